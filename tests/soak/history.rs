//! What the files said when, and what the driver did to containers: the facts from which the oracle
//! judges. Pure.

use std::collections::BTreeMap;

use crate::spec::Spec;

/// Nanoseconds since 1970, the engine's clock and ours.
pub(crate) type Nanos = i64;

pub(crate) const SECOND: Nanos = 1_000_000_000;
/// A deletion needs a second look this much later; clocks and rounding may cost a little.
const CONFIRMATION: Nanos = 2 * SECOND - SECOND / 10;
/// So late may a request land that was right when it was decided: a stalled call, a frozen daemon.
const LATEST: Nanos = 90 * SECOND;
/// So much later may the engine tell of what the driver did.
const ECHO: Nanos = SECOND / 2;

/// What the directory says of a sandbox.
#[derive(Clone, Debug)]
pub(crate) enum View {
    Valid(Spec),
    /// There, and says nothing usable.
    Broken,
    /// Not there, in a directory that can be listed.
    Absent,
    /// The directory is away, or the loss is larger than the guard lets go.
    Unknown,
}

/// From when a view may have been seen, and from when no other can have been.
#[derive(Clone, Debug)]
struct Entry {
    from: Nanos,
    sure: Nanos,
    view: View,
}

/// One sandbox's file over time.
#[derive(Clone, Debug, Default)]
pub(crate) struct History(Vec<Entry>);

/// What the last word of the files demanded of a container, at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Demands {
    /// Another spec was in force.
    pub(crate) replaced: bool,
    /// It was to be stopped.
    pub(crate) suspended: bool,
    /// The sandbox was deleted for good.
    pub(crate) deleted: bool,
}

impl History {
    /// Notes that an operation is about to change the view.
    pub(crate) fn begin(&mut self, view: View, now: Nanos) {
        self.0.push(Entry { from: now, sure: now, view });
    }

    /// Notes that the operation is over.
    pub(crate) fn end(&mut self, now: Nanos) {
        if let Some(last) = self.0.last_mut() {
            last.sure = now;
        }
    }

    /// Whether a valid content of this generation has been there.
    pub(crate) fn has(&self, generation: u32) -> bool {
        let is = |entry: &Entry| matches!(&entry.view, View::Valid(spec) if spec.generation == generation);
        self.0.iter().any(is)
    }

    /// What was demanded of a container of this generation at any time that still counts at `now`.
    pub(crate) fn demands(&self, generation: u32, created: Nanos, now: Nanos) -> Demands {
        let begin = created.max(now - LATEST);
        let mut demands = Demands::default();
        let mut spec: Option<&Spec> = None;
        let mut absent_since = None;
        for (index, entry) in self.0.iter().enumerate() {
            let end = self.0.get(index + 1).map_or(now, |next| next.sure).min(now);
            match &entry.view {
                View::Valid(valid) => (spec, absent_since) = (Some(valid), None),
                View::Broken => absent_since = None,
                View::Absent => absent_since = absent_since.or(Some(entry.from)),
                // A file that was missing before is still missing where nobody can look.
                View::Unknown => {}
            }
            if end < begin || entry.from > now {
                continue;
            }
            if let (View::Absent, Some(since)) = (&entry.view, absent_since)
                && end - since >= CONFIRMATION
            {
                demands.deleted = true;
            }
            if let Some(spec) = spec {
                demands.replaced |= spec.generation != generation && spec.image;
                demands.suspended |= spec.suspended;
            }
        }
        demands
    }
}

/// What the driver did to containers, by id.
#[derive(Debug, Default)]
pub(crate) struct Acts(BTreeMap<String, Vec<(Nanos, Option<Nanos>)>>);

impl Acts {
    pub(crate) fn begin(&mut self, id: &str, now: Nanos) {
        self.0.entry(id.to_owned()).or_default().push((now, None));
    }

    pub(crate) fn end(&mut self, id: &str, now: Nanos) {
        if let Some(last) = self.0.get_mut(id).and_then(|acts| acts.last_mut()) {
            last.1 = Some(now);
        }
    }

    /// Whether the driver was at work on this container then.
    pub(crate) fn cover(&self, id: &str, at: Nanos) -> bool {
        let covers = |(begin, end): &(Nanos, Option<Nanos>)| {
            *begin <= at && end.is_none_or(|end| at <= end + ECHO)
        };
        self.0.get(id).is_some_and(|acts| acts.iter().any(covers))
    }
}
