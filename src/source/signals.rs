//! Where events leave word for the next pass: that something happened, and per file what last happened.
//! Filled by the watchers' threads, emptied by the source's task.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::snapshot::{FilePath, Mark};

/// Word from the watchers.
#[derive(Debug, Default)]
pub(super) struct Signals {
    inner: Mutex<Inner>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Counts events; orders them against the start of a look.
    sequence: u64,
    urgency: Option<Urgency>,
    lost: bool,
    files: HashMap<PathBuf, Times>,
    stirred: BTreeSet<PathBuf>,
}

/// When, in events, a file was last written and last closed.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    touched: u64,
    closed: u64,
}

/// How soon the next pass is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// After the settle window.
    Soon,
    /// At once.
    Now,
}

impl Signals {
    /// A writer closed the file, or it was renamed into place.
    pub(super) fn closed(&self, path: &Path, directory: &Path) {
        self.record(Urgency::Now, |inner| {
            inner.times(path).closed = inner.sequence;
            inner.stirred.insert(directory.to_owned());
        });
    }

    /// The file was created or written.
    pub(super) fn touched(&self, path: &Path, directory: &Path) {
        self.record(Urgency::Soon, |inner| {
            inner.times(path).touched = inner.sequence;
            inner.stirred.insert(directory.to_owned());
        });
    }

    /// Something else happened in the directory.
    pub(super) fn stirred(&self, directory: &Path, urgency: Urgency) {
        self.record(urgency, |inner| {
            inner.stirred.insert(directory.to_owned());
        });
    }

    /// Events were lost.
    pub(super) fn lost(&self) {
        self.record(Urgency::Now, |inner| {
            inner.lost = true;
            inner.files.clear();
        });
    }

    /// Returns when something has been recorded. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// How soon the next pass is wanted, if at all.
    pub(super) fn urgency(&self) -> Option<Urgency> {
        self.lock().urgency
    }

    /// Starts a pass: what is recorded from here on wants another one. Returns the place in the sequence.
    pub(super) fn begin(&self) -> u64 {
        let mut inner = self.lock();
        inner.urgency = None;
        inner.sequence
    }

    /// Takes what is known of a directory whose look began at `started`. What happened later stays, to be
    /// judged by the next pass, and counts here as a touch: the reading may have met a writer.
    pub(super) fn take(&self, directory: &Path, started: u64) -> (BTreeMap<FilePath, Mark>, bool) {
        let mut inner = self.lock();
        let mut marks = BTreeMap::new();
        inner.files.retain(|path, times| {
            if path.parent() != Some(directory) {
                return true;
            }
            let later = times.touched.max(times.closed) > started;
            let closed = times.closed > times.touched && !later;
            marks.insert(
                FilePath::from(path.clone()),
                if closed { Mark::Closed } else { Mark::Touched },
            );
            later
        });
        let stirred = inner.stirred.remove(directory);
        (marks, stirred)
    }

    /// Whether events were lost since the last call.
    pub(super) fn take_lost(&self) -> bool {
        std::mem::take(&mut self.lock().lost)
    }

    fn record(&self, urgency: Urgency, change: impl FnOnce(&mut Inner)) {
        let mut inner = self.lock();
        inner.sequence += 1;
        inner.urgency = inner.urgency.max(Some(urgency));
        change(&mut inner);
        drop(inner);
        self.notify.notify_one();
    }

    /// The lock is held for a few instructions that leave nothing half-done, so a poisoned one is usable.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn times(&mut self, path: &Path) -> &mut Times {
        self.files.entry(path.to_owned()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    const FILE: &str = "/specs/web.yaml";
    const DIRECTORY: &str = "/specs";

    fn take(signals: &Signals, started: u64) -> Option<Mark> {
        signals.take(Path::new(DIRECTORY), started).0.get(OsStr::new(FILE)).copied()
    }

    fn touch(signals: &Signals) {
        signals.touched(Path::new(FILE), Path::new(DIRECTORY));
    }

    fn close(signals: &Signals) {
        signals.closed(Path::new(FILE), Path::new(DIRECTORY));
    }

    #[test]
    fn a_close_after_the_last_write_is_evidence_once() {
        let signals = Signals::default();
        touch(&signals);
        close(&signals);
        let started = signals.begin();
        assert_eq!(take(&signals, started), Some(Mark::Closed));
        assert_eq!(take(&signals, started), None);
    }

    #[test]
    fn a_write_after_the_close_withdraws_the_evidence() {
        let signals = Signals::default();
        close(&signals);
        touch(&signals);
        let started = signals.begin();
        assert_eq!(take(&signals, started), Some(Mark::Touched));
    }

    #[test]
    fn a_close_during_the_look_counts_for_the_next_one() {
        let signals = Signals::default();
        let started = signals.begin();
        close(&signals);
        assert_eq!(take(&signals, started), Some(Mark::Touched));
        assert_eq!(signals.urgency(), Some(Urgency::Now));
        let started = signals.begin();
        assert_eq!(take(&signals, started), Some(Mark::Closed));
    }

    #[test]
    fn lost_events_discard_the_evidence_and_wake_at_once() {
        let signals = Signals::default();
        close(&signals);
        signals.begin();
        signals.lost();
        assert_eq!(signals.urgency(), Some(Urgency::Now));
        assert!(signals.take_lost());
        assert_eq!(take(&signals, u64::MAX), None);
    }
}
