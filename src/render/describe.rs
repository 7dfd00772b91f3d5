//! `sandkeeper describe`: everything known of one sandbox, in the sections of `kubectl describe`.

use std::fmt::Write as _;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::age::age;
use super::sandboxes::truth;
use super::table::{Table, cell};
use super::{Style, count, escape, escape_lines, events, indent};
use crate::sandbox::yaml::to_yaml;
use crate::sandbox::{ContainerStatus, Endpoint, Sandbox, SandboxStatus, Termination};
use crate::state::events::Event;

/// The description. `recent` are its latest events, newest last.
#[must_use]
pub fn describe(sandbox: &Sandbox, recent: &[Event], style: Style, now: Timestamp) -> String {
    let none = SandboxStatus::default();
    let status = sandbox.status.as_ref().unwrap_or(&none);
    [
        heading(sandbox, status, now),
        section("Spec", &escape_lines(&to_yaml(&sandbox.spec))),
        section("Conditions", &conditions(status, style, now)),
        section("Endpoints", &endpoints(&status.endpoints)),
        section("Container", &container(status.container.as_ref(), now)),
        section("Last Termination", &last_termination(status, now)),
        section("Notices", &notices(&status.notices)),
        section("Events", &recent_events(recent, style, now)),
    ]
    .concat()
}

fn section(title: &str, body: &str) -> String {
    if body.is_empty() {
        return format!("{title}:  <none>\n");
    }
    format!("{title}:\n{}", indent(body, 2))
}

fn heading(sandbox: &Sandbox, status: &SandboxStatus, now: Timestamp) -> String {
    let metadata = &sandbox.metadata;
    let mut table = Table::bare();
    table.row(["Name:", &cell(metadata.name.as_deref())]);
    table.row(["Source:", &cell(status.source_file.as_deref())]);
    table.row(["UID:", &cell(metadata.uid.as_deref())]);
    table.row(["Generation:", &generation(metadata.generation, status.observed_generation)]);
    table.row(["Created:", &moment(metadata.creation_timestamp.as_ref(), now)]);
    for (title, map) in [("Labels:", &metadata.labels), ("Annotations:", &metadata.annotations)] {
        for (index, (key, value)) in map.iter().flatten().enumerate() {
            let title = if index == 0 { title } else { "" };
            table.row([title, &cell(Some(&format!("{key}={value}")))]);
        }
    }
    table.render()
}

/// The generation, and which one the status speaks of when that is another.
fn generation(current: Option<i64>, observed: Option<i64>) -> String {
    match (current, observed) {
        (None, _) => cell(None),
        (Some(current), Some(observed)) if current != observed => {
            format!("{current} (the status is of {observed})")
        }
        (Some(current), _) => current.to_string(),
    }
}

/// `2025-11-24T03:00:00Z (3h ago)`.
fn moment(time: Option<&Time>, now: Timestamp) -> String {
    let Some(Time(at)) = time else { return cell(None) };
    format!("{} ({} ago)", at.strftime("%Y-%m-%dT%H:%M:%SZ"), age(Some(*at), now))
}

fn conditions(status: &SandboxStatus, style: Style, now: Timestamp) -> String {
    if status.conditions.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["TYPE", "STATUS", "REASON", "AGE", "MESSAGE"]);
    for condition in &status.conditions {
        table.row([
            cell(Some(&condition.type_)),
            // Suspended and Finished state facts; false is not bad there, so only Ready-like ones shine.
            match condition.type_.as_str() {
                "Suspended" | "Finished" => cell(Some(&condition.status)),
                _ => truth(&condition.status, style),
            },
            cell(Some(&condition.reason)),
            age(Some(condition.last_transition_time.0), now),
            escape(&condition.message).into_owned(),
        ]);
    }
    table.render()
}

fn endpoints(endpoints: &[Endpoint]) -> String {
    if endpoints.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["NAME", "PORT", "HOST", "URL"]);
    for endpoint in endpoints {
        let protocol = match endpoint.protocol {
            crate::sandbox::Protocol::Tcp => "TCP",
            crate::sandbox::Protocol::Udp => "UDP",
        };
        table.row([
            cell(Some(&endpoint.name)),
            format!("{}/{protocol}", endpoint.container_port),
            host_and_port(&escape(&endpoint.host_ip), endpoint.host_port),
            cell(endpoint.url.as_deref()),
        ]);
    }
    table.render()
}

fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn container(container: Option<&ContainerStatus>, now: Timestamp) -> String {
    let Some(container) = container else { return String::new() };
    let mut table = Table::bare();
    table.row(["Engine:", &cell(Some(&container.engine))]);
    table.row(["Name:", &cell(Some(&container.name))]);
    table.row(["ID:", &cell(Some(&container.id))]);
    table.row(["Image:", &cell(Some(&container.image))]);
    table.row(["Image ID:", &cell(Some(&container.image_id))]);
    table.row(["State:", &cell(Some(&container.state))]);
    table.row(["Started:", &moment(container.started_at.as_ref(), now)]);
    table.row(["Restart Count:", &container.restart_count.to_string()]);
    table.render()
}

fn last_termination(status: &SandboxStatus, now: Timestamp) -> String {
    let last = status.container.as_ref().and_then(|container| container.last_termination.as_ref());
    let Some(Termination { exit_code, reason, oom_killed, at }) = last else {
        return String::new();
    };
    let mut table = Table::bare();
    table.row(["Reason:", &cell(Some(reason))]);
    table.row(["Exit Code:", &exit_code.map_or_else(|| cell(None), |code| code.to_string())]);
    table.row(["OOM Killed:", if *oom_killed { "true" } else { "false" }]);
    table.row(["At:", &moment(Some(at), now)]);
    table.render()
}

fn notices(notices: &[String]) -> String {
    notices.iter().flat_map(|notice| [escape(notice), "\n".into()]).collect()
}

/// Events that a description shows; `sandkeeper events` shows all.
const RECENT: usize = 20;

fn recent_events(all: &[Event], style: Style, now: Timestamp) -> String {
    if all.is_empty() {
        return String::new();
    }
    let older = all.len().saturating_sub(RECENT);
    let mut text = events::of_one(&all[older..], style, now);
    if older > 0 {
        let _ = writeln!(text, "({} not shown)", count(older, "older event", "older events"));
    }
    text
}

#[cfg(test)]
mod tests;
