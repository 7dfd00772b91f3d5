//! What changed: `(state, snapshot, evidence, now) → events, writes, reports, next wake`. Pure, and the
//! only place that knows when a file counts, when a name is gone, and when a loss is too large to believe.
//!
//! The order inside a pass matters: files settle first ([`settle`]), so that names are judged on what
//! counts ([`claims`]); every name is judged before any is withdrawn ([`absence`]), so that a file that
//! moved has its new place before its old one is missed, and a sudden loss is seen as one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use self::claims::Index;
use self::directory::Directory;
use self::entry::Entry;
use super::hold::Held;
use super::last_good::Record;
use super::snapshot::{Evidence, Identity, Snapshot};
use super::{Declared, FileReport, Reports};

mod absence;
mod claims;
mod directory;
mod entry;
mod quota;
mod report;
mod settle;
#[cfg(test)]
mod tests;

/// Waiting times and limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Two readings this far apart must agree where no close vouches for the content.
    pub(super) settle: Duration,
    /// A file cut short waits this long even after a close: a truncated spec often parses.
    pub(super) truncated: Duration,
    /// A file that has not settled for this long is reported.
    pub(super) restless: Duration,
    /// At the first look, a file unmodified for this long is not being written.
    pub(super) old: Duration,
    /// Two complete listings this far apart must miss a name before it is gone.
    pub(super) absence: Duration,
    /// A directory that has not answered for this long is reported as unreadable.
    pub(super) late: Duration,
    /// Time between two looks where events cannot be relied on.
    pub(super) poll: Duration,
    /// Looks in a row that find changes which no event announced, before events are distrusted.
    pub(super) unannounced: u32,
    /// A loss of more sandboxes than this at once is held back; 0 switches the guard off.
    pub(super) delete_guard: usize,
    /// The most sandboxes that are accepted.
    pub(super) max_sandboxes: Option<usize>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            settle: Duration::from_millis(300),
            truncated: Duration::from_secs(2),
            restless: Duration::from_secs(10),
            old: Duration::from_secs(2),
            absence: Duration::from_secs(2),
            late: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            unannounced: 3,
            delete_guard: 10,
            max_sandboxes: None,
        }
    }
}

/// Everything a pass depends on besides the state.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// What the directories hold.
    pub(super) snapshot: &'a Snapshot,
    /// What events told since the last pass.
    pub(super) evidence: &'a Evidence,
    /// Identities that an operator lets go.
    pub(super) released: &'a BTreeSet<String>,
    /// Now, by the wall clock: goes into metadata and reports.
    pub(super) now: Timestamp,
    /// Now, by a clock that never jumps: waits are measured with it.
    pub(super) steady: Duration,
    /// Makes the identity of a sandbox of this name.
    pub(super) mint: &'a dyn Fn(&str) -> String,
}

/// What came of a pass.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// Sandboxes that are new, changed, or withdrawn (tombstones).
    pub(super) applied: Vec<Declared>,
    /// Sandboxes to write to the state directory.
    pub(super) keep: Vec<Record>,
    /// The state of the directories.
    pub(super) reports: Reports,
    /// When the next pass is due although nothing happens, by the steady clock.
    pub(super) wake: Wake,
}

/// The earliest of several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wake(pub(super) Option<Duration>);

impl Wake {
    fn at(&mut self, steady: Duration) {
        self.0 = Some(self.0.map_or(steady, |earlier| earlier.min(steady)));
    }
}

/// What is known between passes.
#[derive(Clone, Debug)]
pub(super) struct State {
    rules: Rules,
    /// In order of precedence.
    directories: Vec<Directory>,
    /// By name.
    entries: BTreeMap<String, Entry>,
    /// The reports of the last pass, for their `since`.
    files: Vec<FileReport>,
}

impl State {
    /// Starts from what was kept by an earlier run.
    pub(super) fn new(
        rules: Rules,
        directories: &[PathBuf],
        records: Vec<Record>,
        held: &[Held],
    ) -> Self {
        let entries = records.into_iter().map(|record| {
            let held = held.iter().find(|held| held.uid == record.declared.uid());
            (record.declared.name().to_owned(), Entry::restored(record, held))
        });
        Self {
            rules,
            entries: entries.collect(),
            directories: directories.iter().map(|path| Directory::new(path.clone())).collect(),
            files: Vec::new(),
        }
    }

    /// Waits for nothing: files are taken as they stand, and missing ones as gone.
    #[must_use]
    pub(super) fn impatient(mut self) -> Self {
        self.rules.settle = Duration::ZERO;
        self.rules.truncated = Duration::ZERO;
        self.rules.absence = Duration::ZERO;
        self
    }

    /// Everything that is declared, tombstones included.
    pub(super) fn declared(&self) -> impl Iterator<Item = &Declared> {
        self.entries.values().map(|entry| &entry.declared)
    }

    /// Drops a tombstone that has been cleaned up. `None` for a sandbox that is not withdrawn, or is
    /// another incarnation. If a file declares the name again, the next pass declares a new incarnation.
    pub(super) fn forget(&mut self, name: &str, uid: &str) -> Option<Declared> {
        let entry = self.entries.get(name)?;
        if !entry.declared.is_tombstone() || entry.declared.uid() != uid {
            return None;
        }
        self.entries.remove(name).map(|entry| entry.declared)
    }
}

/// One pass.
pub(super) fn advance(state: &mut State, inputs: &Inputs<'_>) -> Pass {
    let mut wake = Wake::default();
    for (directory, look) in state.directories.iter_mut().zip(&inputs.snapshot.looks) {
        directory.take_in(look, inputs, &state.rules, &mut wake);
    }
    let index = Index::of(&state.directories, &state.rules, inputs.steady);
    for (name, entry) in &mut state.entries {
        let standing = index.standing(name, entry, inputs.now);
        entry.meet(standing, inputs);
    }
    absence::withdraw(&mut state.entries, &state.rules, inputs, &mut wake);
    let room = quota::room(&state.entries, &state.rules);
    for claim in index.unclaimed(&state.entries).into_iter().take(room) {
        let entry = Entry::declare(&claim, index.conflict(&claim, inputs.now), inputs);
        state.entries.insert(claim.name.to_owned(), entry);
    }
    quota::mark_excess(&mut state.entries, &state.rules);
    let reports =
        report::reports(&state.directories, &state.entries, &state.files, inputs, &state.rules);
    drop(index);
    state.files.clone_from(&reports.files);
    let mut pass = Pass { reports, wake, ..Pass::default() };
    for entry in state.entries.values_mut() {
        entry.tell(&mut pass);
    }
    pass
}

/// The directory that a file lies in, among those that are configured.
fn home<'a>(directories: &'a [Directory], file: &Path) -> Option<&'a Directory> {
    let place = file.parent()?.as_os_str();
    directories.iter().find(|directory| directory.path.as_os_str() == place)
}

/// Where something was read from: enough to see later that it is another place under the same path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    directory: Identity,
    file: Identity,
}
