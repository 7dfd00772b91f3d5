//! What happened to sandboxes, newest last.

use jiff::Timestamp;

use super::age::age;
use super::table::{Table, cell};
use super::{Color, Style, escape};
use crate::state::events::{Event, EventKind};

/// The events of several sandboxes.
#[must_use]
pub fn merged(events: &[Event], style: Style, now: Timestamp) -> String {
    let mut table = Table::new(&["LAST SEEN", "SANDBOX", "TYPE", "REASON", "COUNT", "MESSAGE"]);
    for event in events {
        let [seen, rest @ ..] = cells(event, style, now);
        table.row([seen, cell(Some(&event.sandbox))].into_iter().chain(rest));
    }
    table.render()
}

/// The events of one sandbox.
#[must_use]
pub fn of_one(events: &[Event], style: Style, now: Timestamp) -> String {
    let mut table = Table::new(&["LAST SEEN", "TYPE", "REASON", "COUNT", "MESSAGE"]);
    for event in events {
        table.row(cells(event, style, now));
    }
    table.render()
}

fn cells(event: &Event, style: Style, now: Timestamp) -> [String; 5] {
    let kind = match event.kind {
        EventKind::Normal => "Normal".into(),
        EventKind::Warning => style.paint(Color::Yellow, "Warning"),
    };
    [
        age(Some(event.last_at), now),
        kind.into_owned(),
        cell(Some(&event.reason)),
        event.count.to_string(),
        escape(&event.message).into_owned(),
    ]
}
