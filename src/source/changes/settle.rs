//! When the content of a file counts: at once when a close vouches for it, else when two readings agree.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Rules;
use crate::sandbox::Problem;
use crate::source::snapshot::{Content, Mark, Reading};

/// One file between passes.
#[derive(Clone, Debug, Default)]
pub(super) struct FileRecord {
    /// What counts. `None`: nothing yet.
    pub(super) settled: Option<Settled>,
    /// The last content from which a sandbox was accepted, to recognise it cut short.
    good: Option<Arc<Content>>,
    /// What was read and does not count yet.
    pub(super) pending: Option<Pending>,
}

/// What a file says.
#[derive(Clone, Debug)]
pub(super) enum Settled {
    /// This content.
    Content(Arc<Content>),
    /// Nothing: it cannot or must not be read.
    Refused(Problem),
}

/// Content that waits.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// `None`: it changed while it was read.
    pub(super) content: Option<Arc<Content>>,
    /// When the waiting began, by the steady clock.
    pub(super) since: Duration,
    /// When it was last seen to change.
    changed: Duration,
    /// A close vouches for it.
    closed: bool,
}

/// The circumstances of a reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Glance<'a> {
    pub(super) mark: Option<Mark>,
    pub(super) lost: bool,
    /// The first listing of this directory.
    pub(super) fresh: bool,
    pub(super) now: Timestamp,
    pub(super) steady: Duration,
    pub(super) rules: &'a Rules,
}

impl FileRecord {
    /// Whether a reading is news to this record.
    pub(super) fn differs_from(&self, reading: &Reading) -> bool {
        let Reading::Content(content) = reading else { return false };
        let pending = self.pending.as_ref().and_then(|pending| pending.content.as_ref());
        let last = pending.or(match &self.settled {
            Some(Settled::Content(settled)) => Some(settled),
            Some(Settled::Refused(_)) | None => None,
        });
        last.is_none_or(|last| !last.says_the_same(content))
    }

    /// Takes in a reading. Returns when to read again, if it does not count yet.
    pub(super) fn settle(&mut self, reading: &Reading, glance: &Glance<'_>) -> Option<Duration> {
        match reading {
            Reading::Refused(problem) => {
                self.pending = None;
                self.settled = Some(Settled::Refused(problem.clone()));
                None
            }
            Reading::Slow(problem) => {
                self.pending = None;
                self.settled = Some(Settled::Refused(problem.clone()));
                Some(glance.steady + glance.rules.poll)
            }
            Reading::Unsettled => Some(self.wait(None, false, glance, glance.rules.settle)),
            Reading::Content(content) => self.read(content, glance),
        }
    }

    fn read(&mut self, content: &Arc<Content>, glance: &Glance<'_>) -> Option<Duration> {
        if matches!(&self.settled, Some(Settled::Content(known)) if known.says_the_same(content)) {
            self.accept(content);
            return None;
        }
        let closed = self.is_vouched_for(content, glance);
        let patience = self.patience(content, closed, glance);
        let due = self.wait(Some(content), closed, glance, patience);
        if glance.steady < due {
            return Some(due);
        }
        self.accept(content);
        None
    }

    fn accept(&mut self, content: &Arc<Content>) {
        let good = content.documents.iter().flatten().any(|document| document.result.is_ok());
        if good {
            self.good = Some(content.clone());
        }
        self.pending = None;
        self.settled = Some(Settled::Content(content.clone()));
    }

    /// Whether a close vouches for this content, now or since it was first read.
    fn is_vouched_for(&self, content: &Content, glance: &Glance<'_>) -> bool {
        match glance.mark {
            Some(mark) => mark == Mark::Closed,
            None if glance.lost => false,
            None => self
                .pending
                .as_ref()
                .is_some_and(|pending| pending.closed && pending.holds(content)),
        }
    }

    /// How long the content must have stood unchanged.
    fn patience(&self, content: &Content, closed: bool, glance: &Glance<'_>) -> Duration {
        let rules = glance.rules;
        if self.good.as_ref().is_some_and(|good| is_cut_short(content, good)) {
            rules.truncated
        } else if closed || (glance.fresh && glance.mark.is_none() && is_old(content, glance)) {
            Duration::ZERO
        } else {
            rules.settle
        }
    }

    /// Notes what was read, and returns when it may count.
    fn wait(
        &mut self,
        content: Option<&Arc<Content>>,
        closed: bool,
        glance: &Glance<'_>,
        patience: Duration,
    ) -> Duration {
        let before = self.pending.take();
        let stands = before.as_ref().is_some_and(|before| {
            content.is_some_and(|content| before.holds(content))
                && glance.mark != Some(Mark::Touched)
        });
        let changed = match &before {
            Some(before) if stands => before.changed,
            _ => glance.steady,
        };
        let since = before.map_or(glance.steady, |before| before.since);
        self.pending = Some(Pending { content: content.cloned(), since, changed, closed });
        changed + patience
    }
}

impl Pending {
    fn holds(&self, content: &Content) -> bool {
        self.content.as_ref().is_some_and(|pending| pending.is_unmoved(content))
    }
}

/// Half of a spec is often a spec: what goes missing is the end, with its limits and mounts.
fn is_cut_short(content: &Content, good: &Content) -> bool {
    content.bytes.len() < good.bytes.len() && good.bytes.starts_with(&content.bytes)
}

/// Not being written: last modified a while ago. A time in the future says nothing.
fn is_old(content: &Content, glance: &Glance<'_>) -> bool {
    let age = glance.now.duration_since(content.modified);
    age >= SignedDuration::try_from(glance.rules.old).unwrap_or(SignedDuration::MAX)
}
