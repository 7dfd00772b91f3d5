//! Which containers of ours nobody declares: what was left when a spec was deleted while we were down and
//! its record lost. Pure; a stray goes through the same queue as everything else.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use super::observe::OwnedSummary;
use crate::plan::restart;
use crate::sandbox::{Problem, ProblemReason};
use crate::source::{DirectoryMode, Reports};

/// Strays that were seen, and since when.
#[derive(Clone, Debug, Default)]
pub struct Strays(BTreeMap<Stray, Timestamp>);

/// A sandbox that has containers and no spec.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stray {
    /// Name in the containers' labels.
    pub sandbox: String,
    /// Uid in the containers' labels.
    pub uid: String,
}

/// What a look at the strays found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// To be removed.
    pub condemned: Vec<Stray>,
    /// So many would be, which is more than the guard lets go.
    pub held: usize,
}

impl Strays {
    /// Judges what one inventory shows. A stray is condemned when it has been one in every look for at
    /// least `patience`, and only while every directory and every file can be read: a spec that cannot be
    /// read may be the one that is missing.
    pub fn judge(
        &mut self,
        owned: &[OwnedSummary],
        declared: &HashSet<String>,
        reports: &Reports,
        guard: usize,
        patience: Duration,
        now: Timestamp,
    ) -> Verdict {
        if !everything_was_read(reports) {
            self.0.clear();
            return Verdict::default();
        }
        let present: BTreeSet<Stray> = owned
            .iter()
            .filter(|container| !declared.contains(&container.sandbox))
            .map(|container| Stray {
                sandbox: container.sandbox.clone(),
                uid: container.uid.clone(),
            })
            .collect();
        self.0.retain(|stray, _| present.contains(stray));
        for stray in present {
            self.0.entry(stray).or_insert(now);
        }
        let patient = |since: &Timestamp| restart::since(*since, now) >= patience;
        let due: Vec<Stray> = self
            .0
            .iter()
            .filter(|(_, since)| patient(since))
            .map(|(stray, _)| stray.clone())
            .collect();
        if guard > 0 && due.len() > guard {
            return Verdict { condemned: Vec::new(), held: due.len() };
        }
        Verdict { condemned: due, held: 0 }
    }
}

/// A name in two files is no obstacle: both were read, and what they declare is known.
fn everything_was_read(reports: &Reports) -> bool {
    let known = |problem: &Problem| problem.reason == ProblemReason::Conflict;
    let readable = |mode| matches!(mode, DirectoryMode::Watching | DirectoryMode::Polling);
    reports.complete
        && reports.held.is_empty()
        && reports
            .directories
            .iter()
            .all(|directory| directory.complete && readable(directory.mode))
        && reports.files.iter().all(|file| file.problems.iter().all(known))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::at;
    use crate::plan::{ContainerId, ContainerState, Slot};
    use crate::source::FileReport;

    const PATIENCE: Duration = Duration::from_mins(1);

    fn owned(sandbox: &str) -> OwnedSummary {
        OwnedSummary {
            sandbox: sandbox.to_owned(),
            uid: "uid".to_owned(),
            slot: Slot::Main,
            id: ContainerId(sandbox.to_owned()),
            state: ContainerState::Running,
        }
    }

    fn readable() -> Reports {
        Reports { complete: true, ..Reports::default() }
    }

    fn judge(strays: &mut Strays, owned: &[OwnedSummary], reports: &Reports, now: i64) -> Verdict {
        let declared = HashSet::from(["web".to_owned()]);
        strays.judge(owned, &declared, reports, 2, PATIENCE, at(now))
    }

    #[test]
    fn a_stray_is_condemned_only_after_it_was_one_for_long_enough() {
        let mut strays = Strays::default();
        let all = [owned("web"), owned("stray")];
        assert_eq!(judge(&mut strays, &all, &readable(), 0), Verdict::default());
        assert_eq!(judge(&mut strays, &all, &readable(), 59), Verdict::default());
        let condemned = judge(&mut strays, &all, &readable(), 60).condemned;
        assert_eq!(condemned.len(), 1);
        assert_eq!(condemned[0].sandbox, "stray");
    }

    fn refused(reason: ProblemReason, message: &str) -> FileReport {
        FileReport {
            file: "a.yaml".into(),
            problems: vec![Problem::new(reason, message)],
            sandboxes: Vec::new(),
            since: at(0),
        }
    }

    #[test]
    fn a_name_in_two_files_keeps_no_stray() {
        let mut strays = Strays::default();
        let twice = refused(ProblemReason::Conflict, "b.yaml declares web too");
        let all = [owned("stray")];
        let read = Reports { files: vec![twice], ..readable() };
        judge(&mut strays, &all, &read, 0);
        assert_eq!(judge(&mut strays, &all, &read, 100).condemned.len(), 1);
    }

    #[test]
    fn nothing_is_condemned_while_something_cannot_be_read() {
        let mut strays = Strays::default();
        let broken = refused(ProblemReason::Syntax, "broken");
        let all = [owned("stray")];
        judge(&mut strays, &all, &readable(), 0);
        let unreadable = Reports { files: vec![broken], ..readable() };
        assert_eq!(judge(&mut strays, &all, &unreadable, 100), Verdict::default());
        assert_eq!(judge(&mut strays, &all, &Reports::default(), 200), Verdict::default());
        // The time begins anew.
        assert_eq!(judge(&mut strays, &all, &readable(), 300), Verdict::default());
    }

    #[test]
    fn many_strays_at_once_are_held() {
        let mut strays = Strays::default();
        let all = [owned("a"), owned("b"), owned("c")];
        judge(&mut strays, &all, &readable(), 0);
        let verdict = judge(&mut strays, &all, &readable(), 100);
        assert_eq!(verdict, Verdict { condemned: Vec::new(), held: 3 });
    }
}
