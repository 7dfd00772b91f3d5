//! Lines ⇄ events, as plain functions: which repeats an event, what is kept, what a torn file still says.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{Event, EventKind};
use crate::sandbox::text::escape;

/// Events kept per sandbox.
pub(super) const KEPT: usize = 200;
/// Lines at which a file is rewritten.
pub(super) const COMPACT_AT: usize = 2 * KEPT;
/// How far back an event is looked for to be counted up. Long enough for a cycle of create, start, end.
const LATEST: usize = 8;
/// Longest message in characters; engines can answer with pages.
const LONGEST_MESSAGE: usize = 1024;

/// What must be known of a file to append to it.
#[derive(Debug)]
pub(super) struct Tail {
    /// Lines in the file.
    pub(super) lines: usize,
    latest: VecDeque<Event>,
    next: u64,
    /// The file ends amid a line: the next append ends it first.
    torn: bool,
}

impl Tail {
    /// The tail of a file with this content.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let events = parse(bytes);
        let next = events.iter().map(|event| event.sequence + 1).max().unwrap_or(0);
        let start = events.len().saturating_sub(LATEST);
        Self {
            lines: bytes.split_inclusive(|byte| *byte == b'\n').count(),
            latest: events.into_iter().skip(start).collect(),
            next,
            torn: bytes.last().is_some_and(|last| *last != b'\n'),
        }
    }

    /// Takes note of what happened; returns what to append.
    pub(super) fn note(
        &mut self,
        sandbox: &str,
        kind: EventKind,
        reason: &str,
        message: &str,
        now: Timestamp,
    ) -> String {
        let message = shown(message);
        let same = |event: &Event| {
            event.kind == kind && event.reason == reason && event.message == message
        };
        let repeated = self.latest.iter().rposition(same);
        let event = match repeated.and_then(|index| self.latest.remove(index)) {
            Some(known) => Event { count: known.count.saturating_add(1), last_at: now, ..known },
            None => self.first(sandbox, kind, reason, message, now),
        };
        let ending = if std::mem::take(&mut self.torn) { "\n" } else { "" };
        let text = format!("{ending}{}", line(&event));
        self.latest.push_back(event);
        if self.latest.len() > LATEST {
            self.latest.pop_front();
        }
        self.lines += 1;
        text
    }

    fn first(
        &mut self,
        sandbox: &str,
        kind: EventKind,
        reason: &str,
        message: String,
        now: Timestamp,
    ) -> Event {
        let sequence = self.next;
        self.next += 1;
        Event {
            sequence,
            sandbox: sandbox.to_owned(),
            kind,
            reason: reason.to_owned(),
            message,
            count: 1,
            first_at: now,
            last_at: now,
        }
    }
}

/// The events that a file's content tells, in the order in which they last happened, at most [`KEPT`].
/// A line that is no event (torn by a crash) is skipped.
pub(super) fn parse(bytes: &[u8]) -> Vec<Event> {
    let mut last_lines = BTreeMap::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if let Ok(event) = serde_json::from_slice::<Event>(line) {
            last_lines.insert(event.sequence, (number, event));
        }
    }
    let mut events: Vec<_> = last_lines.into_values().collect();
    events.sort_by_key(|(number, _)| *number);
    let start = events.len().saturating_sub(KEPT);
    events.into_iter().skip(start).map(|(_, event)| event).collect()
}

/// The content of a file with these events.
pub(super) fn lines(events: &[Event]) -> String {
    events.iter().map(line).collect()
}

fn line(event: &Event) -> String {
    serde_json::to_string(event).expect("an event has string keys only") + "\n"
}

/// A message as people may be shown it: one line, nothing a terminal would obey, not endless.
fn shown(message: &str) -> String {
    let escaped = escape(message);
    match escaped.char_indices().nth(LONGEST_MESSAGE) {
        Some((end, _)) => format!("{}…", &escaped[..end]),
        None => escaped.into_owned(),
    }
}
