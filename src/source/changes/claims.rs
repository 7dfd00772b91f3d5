//! Who declares which name, and what the directories say of a sandbox that was accepted before.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::directory::{Directory, View};
use super::entry::Entry;
use super::settle::{FileRecord, Settled};
use super::{Origin, Rules, home};
use crate::sandbox::text::{one_line, shown_path};
use crate::sandbox::{Problem, ProblemReason};
use crate::source::snapshot::{Content, FilePath, Identity};
use crate::source::{Admitted, Stale, StaleKind};

/// A valid document that declares a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) name: &'a str,
    pub(super) file: &'a FilePath,
    pub(super) index: usize,
    pub(super) admitted: &'a Admitted,
    pub(super) origin: Origin,
}

/// What the directories say of a sandbox that was accepted before.
#[derive(Debug)]
pub(super) enum Standing<'a> {
    /// It is declared; another file may declare it too.
    Claimed { claim: Claim<'a>, conflict: Option<Stale> },
    /// Its file is there and says nothing usable.
    Broken { kind: StaleKind, message: String, file: Option<Identity> },
    /// Its directory cannot be listed.
    Unreadable(String),
    /// It cannot be told yet.
    Unsure,
    /// A file that does not count yet declares it, or is its own file and may.
    Announced,
    /// Its directory was listed completely, and nothing declares it.
    Absent,
    /// Its directory is missing, replaced, or no longer configured, and nothing declares it.
    Lost(String),
}

/// Every claim of a pass.
pub(super) struct Index<'a> {
    directories: &'a [Directory],
    /// In order of precedence: directory, then path, then document.
    claims: BTreeMap<&'a str, Vec<Claim<'a>>>,
    /// Invalid documents whose names are known.
    broken: BTreeMap<&'a str, (&'a FilePath, &'a Problem)>,
    /// Files that could declare anything: what is missing may be in there.
    opaque: Vec<(Identity, &'a FilePath, &'a Problem)>,
    /// Names in files that do not count yet.
    announced: BTreeSet<&'a str>,
    /// Something that was not read yet could declare anything.
    unsure: bool,
}

impl<'a> Index<'a> {
    pub(super) fn of(directories: &'a [Directory], rules: &Rules, steady: Duration) -> Self {
        let mut index = Self {
            directories,
            claims: BTreeMap::new(),
            broken: BTreeMap::new(),
            opaque: Vec::new(),
            announced: BTreeSet::new(),
            unsure: false,
        };
        for directory in directories {
            match (&directory.view, directory.identity) {
                (View::Listed, Some(identity)) => index.add(directory, identity, rules, steady),
                (View::Missing, _) => {}
                (View::Listed | View::Unreadable(_) | View::Late, _) => index.unsure = true,
            }
        }
        index
    }

    fn add(
        &mut self,
        directory: &'a Directory,
        identity: Identity,
        rules: &Rules,
        steady: Duration,
    ) {
        for (path, record) in &directory.files {
            // A file that never comes to rest must not keep others from being withdrawn.
            let waits = |since: Duration| steady < since + rules.restless;
            if let Some(pending) = &record.pending {
                self.unsure |= waits(pending.since);
                self.announced.extend(pending.content.iter().flat_map(|content| names(content)));
            }
            if let Some(Settled::Content(content)) = &record.settled {
                self.add_content(path, content, identity);
            }
        }
    }

    fn add_content(&mut self, file: &'a FilePath, content: &'a Arc<Content>, directory: Identity) {
        let origin = Origin { directory, file: content.identity };
        let documents = match &*content.documents {
            Ok(documents) => documents,
            Err(problem) => return self.opaque.push((content.identity, file, problem)),
        };
        for document in documents {
            let name = document.name.as_deref();
            match (&document.result, name) {
                (Ok(admitted), Some(name)) => {
                    let claim = Claim { name, file, index: document.index, admitted, origin };
                    self.claims.entry(name).or_default().push(claim);
                }
                (Err(problems), Some(name)) => {
                    if let Some(problem) = problems.first() {
                        self.broken.entry(name).or_insert((file, problem));
                    }
                }
                (Err(problems), None) => {
                    let first = problems.first().map(|problem| (content.identity, file, problem));
                    self.opaque.extend(first);
                }
                (Ok(_), None) => {}
            }
        }
    }

    /// The first claims of names that nothing has been accepted for.
    pub(super) fn unclaimed(&self, entries: &BTreeMap<String, Entry>) -> Vec<Claim<'a>> {
        let new = self.claims.iter().filter(|(name, _)| !entries.contains_key(**name));
        new.filter_map(|(_, claims)| claims.first().copied()).collect()
    }

    /// What is to be said when others claim the name too.
    pub(super) fn conflict(&self, claim: &Claim<'_>, now: Timestamp) -> Option<Stale> {
        let others = self.claims.get(claim.name)?.iter();
        let other = others
            .filter(|other| (other.file, other.index) != (claim.file, claim.index))
            .map(|other| document(other.file, other.index))
            .next()?;
        let winner = document(claim.file, claim.index);
        let message = format!("{other} declares {} too; {winner} stays in force", claim.name);
        Some(Stale { kind: StaleKind::Conflict, message, since: now })
    }

    /// What the directories say of this sandbox.
    pub(super) fn standing(&self, name: &str, entry: &Entry, now: Timestamp) -> Standing<'a> {
        let file = entry.declared.provenance.file.as_path();
        let home = home(self.directories, file);
        match home.map(|home| &home.view) {
            Some(View::Late) => return Standing::Unsure,
            Some(View::Unreadable(message)) => {
                return Standing::Unreadable(format!("{}: {message}", directory(file)));
            }
            Some(View::Listed) => {
                let record = home.and_then(|home| home.files.get_key_value(file.as_os_str()));
                let own =
                    record.and_then(|(file, record)| self.in_file(name, file, record, entry, now));
                if let Some(standing) = own {
                    return standing;
                }
            }
            Some(View::Missing) | None => {}
        }
        self.elsewhere(name, entry, now).unwrap_or_else(|| self.gone(name, home, entry))
    }

    /// What its own file says of it. `None`: it is readable, and does not declare it. A file that is not
    /// wholly readable still holds it, whatever other files say.
    fn in_file(
        &self,
        name: &str,
        file: &'a FilePath,
        record: &'a FileRecord,
        entry: &Entry,
        now: Timestamp,
    ) -> Option<Standing<'a>> {
        let content = match &record.settled {
            // It is there (again), and what it says does not count yet: the absence, if any, is over.
            None => return Some(Standing::Announced),
            Some(Settled::Refused(problem)) => return Some(broken(file, None, problem, 0)),
            Some(Settled::Content(content)) => content,
        };
        let documents = match &*content.documents {
            Ok(documents) => documents,
            Err(problem) => return Some(broken(file, Some(content.identity), problem, 0)),
        };
        if let Some(claim) = self.claim_in(name, file, entry) {
            return Some(self.claimed(claim, now));
        }
        // An invalid document without a name may be the one that is missed.
        let mut suspects = documents
            .iter()
            .filter(|document| document.name.as_deref().is_none_or(|suspect| suspect == name));
        let problems = suspects.find_map(|document| document.result.as_ref().err())?;
        Some(broken(file, Some(content.identity), problems.first()?, problems.len() - 1))
    }

    /// The claim in this file that continues what was accepted: the equal one, else the first.
    fn claim_in(&self, name: &str, file: &FilePath, entry: &Entry) -> Option<Claim<'a>> {
        let claims = self.claims.get(name)?;
        let mut here = claims.iter().filter(|claim| claim.file == file);
        let equal = here.clone().find(|claim| entry.has_spec(claim.admitted));
        equal.or_else(|| here.next()).copied()
    }

    /// Who else speaks for it, now that its own file does not.
    fn elsewhere(&self, name: &str, entry: &Entry, now: Timestamp) -> Option<Standing<'a>> {
        if let Some(claim) = self.claims.get(name).and_then(|claims| claims.first()) {
            return Some(self.claimed(*claim, now));
        }
        if let Some((file, problem)) = self.broken.get(name) {
            return Some(broken(file, None, problem, 0));
        }
        // The same file under another name: renamed, then broken.
        let moved = self.opaque.iter().find(|(identity, ..)| entry.came_from(*identity));
        moved.map(|(identity, file, problem)| broken(file, Some(*identity), problem, 0))
    }

    /// Nothing declares it: is that a fact, or only what can be seen from here?
    fn gone(&self, name: &str, home: Option<&Directory>, entry: &Entry) -> Standing<'a> {
        if self.announced.contains(name) {
            return Standing::Announced;
        }
        let place = directory(&entry.declared.provenance.file);
        let Some(home) = home else {
            return Standing::Lost(format!("the directory {place} is no longer configured"));
        };
        if home.view == View::Missing {
            return Standing::Lost(format!("the directory {place} is missing"));
        }
        if entry.was_elsewhere_than(home.identity) {
            return Standing::Lost(format!("the directory {place} was replaced by another"));
        }
        if self.unsure { Standing::Unsure } else { Standing::Absent }
    }

    fn claimed(&self, claim: Claim<'a>, now: Timestamp) -> Standing<'a> {
        let conflict = self.conflict(&claim, now);
        Standing::Claimed { claim, conflict }
    }
}

fn broken(
    file: &Path,
    identity: Option<Identity>,
    problem: &Problem,
    more: usize,
) -> Standing<'static> {
    let kind = match problem.reason {
        ProblemReason::Unreadable => StaleKind::SpecUnreadable,
        ProblemReason::PolicyViolation => StaleKind::PolicyViolation,
        _ => StaleKind::SpecInvalid,
    };
    let gap = if problem.line.is_some() { "" } else { " " };
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    let message = format!("{}:{gap}{problem}{more}", shown_path(file));
    Standing::Broken { kind, message: one_line(&message), file: identity }
}

fn directory(file: &Path) -> String {
    file.parent().map(shown_path).unwrap_or_default()
}

/// A document for people: `web.yaml#2`.
pub(super) fn document(file: &Path, index: usize) -> String {
    crate::source::Provenance { file: file.to_owned(), document: index }.to_string()
}

/// Names that documents of this file speak of, valid or not.
pub(super) fn names(content: &Content) -> BTreeSet<&str> {
    content.documents.iter().flatten().filter_map(|document| document.name.as_deref()).collect()
}
