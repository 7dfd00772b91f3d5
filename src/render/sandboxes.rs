//! `sandkeeper get`: a line for each sandbox, and below the files that name none.

use jiff::Timestamp;

use super::age::age;
use super::table::{Table, cell};
use super::{Color, Style, escape};
use crate::sandbox::{ContainerStatus, Sandbox};
use crate::source::FileReport;

/// Which columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Columns {
    /// What one usually wants.
    Usual,
    /// Everything that fits a line.
    Wide,
}

const USUAL: [&str; 6] = ["NAME", "READY", "REASON", "URL", "RESTARTS", "AGE"];
const WIDE: [&str; 5] = ["ENGINE", "CONTAINER", "IMAGE", "UPTODATE", "SOURCE"];

/// The table of these sandboxes.
#[must_use]
pub fn table(sandboxes: &[Sandbox], columns: Columns, style: Style, now: Timestamp) -> String {
    let headings = match columns {
        Columns::Usual => USUAL.to_vec(),
        Columns::Wide => [USUAL.as_slice(), WIDE.as_slice()].concat(),
    };
    let mut table = Table::new(&headings);
    for sandbox in sandboxes {
        table.row(row(sandbox, columns, style, now));
    }
    table.render()
}

fn row(sandbox: &Sandbox, columns: Columns, style: Style, now: Timestamp) -> Vec<String> {
    let status = sandbox.status.as_ref();
    let ready = status.and_then(|status| status.condition("Ready"));
    let container = status.and_then(|status| status.container.as_ref());
    let url = status.and_then(|status| status.endpoints.iter().find_map(|at| at.url.as_deref()));
    let mut cells = vec![
        cell(sandbox.metadata.name.as_deref()),
        truth(ready.map_or("Unknown", |ready| &ready.status), style),
        cell(ready.map(|ready| ready.reason.as_str())),
        cell(url),
        restarts(container, now),
        age(sandbox.metadata.creation_timestamp.as_ref().map(|time| time.0), now),
    ];
    if columns == Columns::Wide {
        let up_to_date = status.and_then(|status| status.condition("UpToDate"));
        cells.extend([
            cell(container.map(|container| container.engine.as_str())),
            cell(container.map(|container| container.name.as_str())),
            cell(container.map(|it| it.image.as_str()).or(sandbox.spec.image.as_deref())),
            truth(up_to_date.map_or("Unknown", |condition| &condition.status), style),
            cell(status.and_then(|status| status.source_file.as_deref())),
        ]);
    }
    cells
}

/// A condition's status in its colour.
pub(super) fn truth(status: &str, style: Style) -> String {
    let color = match status {
        "True" => Color::Green,
        "False" => Color::Red,
        _ => Color::Yellow,
    };
    style.paint(color, &escape(status)).into_owned()
}

/// `3 (2m ago)`: how often, and when the container last ended.
fn restarts(container: Option<&ContainerStatus>, now: Timestamp) -> String {
    let Some(container) = container else { return "0".to_owned() };
    match &container.last_termination {
        Some(last) if container.restart_count > 0 => {
            format!("{} ({} ago)", container.restart_count, age(Some(last.at.0), now))
        }
        _ => container.restart_count.to_string(),
    }
}

/// Lines for the files with problems: `FILE   PROBLEM`. Empty when there are none.
#[must_use]
pub fn files(reports: &[FileReport]) -> String {
    let mut table = Table::new(&["FILE", "PROBLEM"]);
    let mut any = false;
    for report in reports {
        for problem in &report.problems {
            any = true;
            let file = report.file.display().to_string();
            table.row([cell(Some(&file)), escape(&problem.to_string()).into_owned()]);
        }
    }
    if any { table.render() } else { String::new() }
}

#[cfg(test)]
mod tests;
