//! What happened to each sandbox, for people: `events/<name>.jsonl`, one line per event, appended. A
//! repeat appends the event again with its new count; readers keep the last line of each. When the file
//! has grown to twice what is kept, it is rewritten. Survives restarts; nothing is decided from it.

mod fold;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::io;
use super::files::{entries, read_optional};
use super::{GROUP_READABLE, StateDir, StateError, entry};
use fold::{COMPACT_AT, Tail, lines, parse};

/// Something that happened, possibly more than once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Counts up within the sandbox; a repeat keeps it.
    pub sequence: u64,
    /// Name of the sandbox.
    pub sandbox: String,
    /// Whether somebody should look at it.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// One word, for programs: Created, Started, Ready …
    pub reason: String,
    /// One line, for people. Control characters are escaped.
    pub message: String,
    /// How often it happened.
    pub count: u32,
    /// When it first happened.
    pub first_at: Timestamp,
    /// When it last happened.
    pub last_at: Timestamp,
}

/// Whether somebody should look at an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// As intended.
    Normal,
    /// Somebody should look.
    Warning,
}

/// The events of all sandboxes.
#[derive(Debug)]
pub struct EventLog {
    state: StateDir,
    tails: Mutex<BTreeMap<String, SharedTail>>,
}

/// `None` until the file has been read, and again after a write failed: then the file is the truth.
type SharedTail = Arc<Mutex<Option<Tail>>>;

impl EventLog {
    /// The log of this state directory. A sandbox's file is read when its first event comes.
    #[must_use]
    pub fn open(state: &StateDir) -> Self {
        Self { state: state.clone(), tails: Mutex::default() }
    }

    /// Records that something happened. The same reason and message among the latest few events is a
    /// repeat, which counts up. An error must not keep the caller from its work: log it.
    pub fn record(
        &self,
        name: &str,
        kind: EventKind,
        reason: &str,
        message: &str,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let path = entry(&self.state.root, "events", name, "jsonl")?;
        self.state.writable(&path)?;
        let shared = self.tail(name);
        let mut slot = locked(&shared);
        let mut tail = match slot.take() {
            Some(tail) => tail,
            None => Tail::of(&read_optional(&path)?.unwrap_or_default()),
        };
        let line = tail.note(name, kind, reason, message, now);
        append(&path, line.as_bytes())?;
        if tail.lines >= COMPACT_AT {
            tail.lines = self.compact(&path)?;
        }
        *slot = Some(tail);
        Ok(())
    }

    /// Drops a sandbox's events. `false`: there were none.
    pub fn forget(&self, name: &str) -> Result<bool, StateError> {
        let path = entry(&self.state.root, "events", name, "jsonl")?;
        let shared = self.tail(name);
        let mut slot = locked(&shared);
        *slot = None;
        locked(&self.tails).remove(name);
        self.state.remove(&path)
    }

    /// Drops the events of sandboxes that are not `kept` and of which nothing has been heard since `before`.
    pub fn forget_old(
        &self,
        kept: impl Fn(&str) -> bool,
        before: Timestamp,
    ) -> Result<(), StateError> {
        for (name, path) in entries(&self.state.root.join("events"), "jsonl")? {
            if kept(&name) {
                continue;
            }
            let events = parse(&read_optional(&path)?.unwrap_or_default());
            if events.iter().all(|event| event.last_at < before) {
                self.forget(&name)?;
            }
        }
        Ok(())
    }

    /// Rewrites a file with what is kept; returns its lines.
    fn compact(&self, path: &Path) -> Result<usize, StateError> {
        let kept = parse(&read_optional(path)?.unwrap_or_default());
        self.state.write(path, lines(&kept).as_bytes(), GROUP_READABLE, false)?;
        Ok(kept.len())
    }

    fn tail(&self, name: &str) -> SharedTail {
        Arc::clone(locked(&self.tails).entry(name.to_owned()).or_default())
    }
}

/// The events of one sandbox, in the order in which they last happened.
pub fn read(state: &Path, name: &str) -> Result<Vec<Event>, StateError> {
    Ok(parse(&read_optional(&entry(state, "events", name, "jsonl")?)?.unwrap_or_default()))
}

/// The events of all sandboxes, in the order in which they last happened.
pub fn read_all(state: &Path) -> Result<Vec<Event>, StateError> {
    let mut all = vec![];
    for (_, path) in entries(&state.join("events"), "jsonl")? {
        all.extend(parse(&read_optional(&path)?.unwrap_or_default()));
    }
    all.sort_by_key(|event| event.last_at);
    Ok(all)
}

fn append(path: &PathBuf, line: &[u8]) -> Result<(), StateError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(GROUP_READABLE)
        .open(path)
        .and_then(|mut file| file.write_all(line))
        .map_err(io("append to", path))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A tail is put back only whole, and the map changes by single insertions and removals.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
