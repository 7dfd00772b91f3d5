//! What is to be said of files and directories after a pass.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;

use super::claims::{document, names};
use super::directory::{Directory, View};
use super::entry::Entry;
use super::settle::{FileRecord, Settled};
use super::{Inputs, Rules, quota};
use crate::sandbox::text::one_line;
use crate::sandbox::{Problem, ProblemReason};
use crate::source::hold::Held;
use crate::source::{
    DirectoryMode, DirectoryReport, FileReport, Provenance, ReadDocument, Reports,
};

/// Everything that is to be said. `before` are the reports of the last pass, for their `since`.
pub(super) fn reports(
    directories: &[Directory],
    entries: &BTreeMap<String, Entry>,
    before: &[FileReport],
    inputs: &Inputs<'_>,
    rules: &Rules,
) -> Reports {
    let files = Files { entries, declared: by_file(entries), inputs, rules };
    Reports {
        files: files.reports(directories, before),
        held: entries.values().filter_map(held).collect(),
        directories: directories.iter().map(|directory| report(directory, rules)).collect(),
        settled: directories.iter().all(|directory| directory.unsettled == 0)
            && !entries.values().any(awaits_confirmation),
        complete: directories.iter().all(|directory| directory.identity.is_some()),
        ignored: directories.iter().flat_map(|directory| directory.ignored.clone()).collect(),
        persisted: false,
        state_problem: None,
    }
}

/// Missing, and neither withdrawn nor held yet.
fn awaits_confirmation(entry: &Entry) -> bool {
    entry.absent.is_some() && entry.hold.is_none() && !entry.declared.is_tombstone()
}

fn held(entry: &Entry) -> Option<Held> {
    let hold = entry.hold.as_ref()?;
    Some(Held {
        name: entry.declared.name().to_owned(),
        uid: entry.declared.uid().to_owned(),
        file: entry.declared.provenance.file.clone(),
        since: hold.since,
        message: hold.message.clone(),
    })
}

fn report(directory: &Directory, rules: &Rules) -> DirectoryReport {
    let (mode, message) = match &directory.view {
        View::Missing => {
            let message = "it does not exist; nothing is deleted until it is there";
            (DirectoryMode::Missing, Some(message.to_owned()))
        }
        View::Unreadable(message) => (DirectoryMode::Unreadable, Some(message.clone())),
        View::Late => (DirectoryMode::Late, None),
        View::Listed if directory.is_polled(rules) => {
            (DirectoryMode::Polling, Some(polling(directory)))
        }
        View::Listed => (DirectoryMode::Watching, None),
    };
    let complete = directory.view == View::Listed;
    DirectoryReport { path: directory.path.clone(), mode, message, complete }
}

fn polling(directory: &Directory) -> String {
    let missed = || "changes were found that no event announced".to_owned();
    directory.unwatched.clone().unwrap_or_else(missed)
}

/// Sandboxes by the file that they were accepted from.
fn by_file(entries: &BTreeMap<String, Entry>) -> BTreeMap<&OsStr, Vec<&str>> {
    let mut by_file: BTreeMap<&OsStr, Vec<&str>> = BTreeMap::new();
    for (name, entry) in entries {
        by_file.entry(entry.declared.provenance.file.as_os_str()).or_default().push(name);
    }
    by_file
}

/// What reports on files are made from.
struct Files<'a> {
    entries: &'a BTreeMap<String, Entry>,
    declared: BTreeMap<&'a OsStr, Vec<&'a str>>,
    inputs: &'a Inputs<'a>,
    rules: &'a Rules,
}

impl Files<'_> {
    fn reports(&self, directories: &[Directory], before: &[FileReport]) -> Vec<FileReport> {
        let since: BTreeMap<&OsStr, &FileReport> =
            before.iter().map(|report| (report.file.as_os_str(), report)).collect();
        let present = directories.iter().filter(|directory| directory.view != View::Missing);
        let files = present.flat_map(|directory| &directory.files);
        let reports = files.map(|(file, record)| {
            let report = self.report(file, record, self.inputs.now);
            match since.get(file.as_os_str()) {
                Some(before) if same(before, &report) => {
                    FileReport { since: before.since, ..report }
                }
                _ => report,
            }
        });
        reports.collect()
    }

    fn report(&self, file: &Path, record: &FileRecord, since: Timestamp) -> FileReport {
        let mut sandboxes: Vec<String> = Vec::new();
        let mut problems = Vec::new();
        match &record.settled {
            Some(Settled::Refused(problem)) => problems.push(problem.clone()),
            Some(Settled::Content(content)) => {
                sandboxes.extend(names(content).into_iter().map(str::to_owned));
                match &*content.documents {
                    Err(problem) => problems.push(problem.clone()),
                    Ok(documents) => {
                        let found = documents.iter().flat_map(|it| self.problems(file, it));
                        problems.extend(found);
                    }
                }
            }
            None => {}
        }
        if self.is_restless(record) {
            let message = "the file keeps changing; it counts once it is at rest";
            problems.push(Problem::new(ProblemReason::Settling, message));
        }
        let accepted = self.declared.get(file.as_os_str()).into_iter().flatten();
        sandboxes.extend(accepted.map(|name| (*name).to_owned()));
        sandboxes.sort();
        sandboxes.dedup();
        FileReport { file: file.to_owned(), problems, sandboxes, since }
    }

    fn is_restless(&self, record: &FileRecord) -> bool {
        let due = |since| self.inputs.steady >= since + self.rules.restless;
        record.pending.as_ref().is_some_and(|pending| due(pending.since))
    }

    /// What is wrong with one document: its own problems, or that another one has its name.
    fn problems(&self, file: &Path, read: &ReadDocument) -> Vec<Problem> {
        match (&read.result, read.name.as_deref()) {
            (Err(problems), _) => problems.clone(),
            (Ok(admitted), Some(name)) => {
                let conflict = self.conflict(file, read.index, name);
                let placed = |problem: Problem| match admitted.place {
                    Some(place) => problem.at(place),
                    None => problem,
                };
                conflict.map(placed).into_iter().collect()
            }
            (Ok(_), None) => Vec::new(),
        }
    }

    fn conflict(&self, file: &Path, index: usize, name: &str) -> Option<Problem> {
        let Some(entry) = self.entries.get(name) else {
            // Valid, and yet not accepted: there was no room.
            let message = quota::message(self.rules.max_sandboxes?);
            return Some(Problem::new(ProblemReason::QuotaExceeded, message));
        };
        let accepted = &entry.declared;
        if accepted.is_tombstone() {
            let message =
                format!("an earlier sandbox {name} is still being removed; this one follows");
            return Some(Problem::new(ProblemReason::Conflict, message));
        }
        let Provenance { file: winner, document: number } = &accepted.provenance;
        if (winner.as_os_str(), *number) == (file.as_os_str(), index) {
            return None;
        }
        let message = format!(
            "{} declares {name} too, and was accepted first; rename or remove {}",
            accepted.provenance,
            document(file, index),
        );
        Some(Problem::new(ProblemReason::Conflict, one_line(&message)))
    }
}

fn same(before: &FileReport, after: &FileReport) -> bool {
    let FileReport { file, problems, sandboxes, since: _ } = before;
    (file, problems, sandboxes) == (&after.file, &after.problems, &after.sandboxes)
}
