//! The engine's event stream: only what can change a container's state, name or limits.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use serde::Deserialize;

use super::connect::Address;
use super::dialect::Dialect;
use super::errors;
use super::wire::{self, Body};
use crate::clock;
use crate::engine::{Call, EngineError, EngineEvent};
use crate::plan::ContainerId;
use crate::plan::ownership;

/// What is subscribed to. `exec_*` and `kill` are left out on purpose: each probe would wake everybody,
/// and `die` follows where a kill ended something. `stop` alone tells of a container that the engine was
/// about to restart (docker/compose#13985). `disconnect` is a network's event about a container.
const FILTERS: &str = r#"{"type":["container","network"],"event":["create","start","die","oom","stop","pause","unpause","destroy","rename","update","disconnect"]}"#;
/// The same for Podman, whose filters know other words; [`translated`] drops the rest.
const PODMAN_FILTERS: &str = r#"{"type":["container"]}"#;
/// The engine confirms a moment before it subscribes (20.10), so it is asked for that moment again.
const OVERLAP: Duration = Duration::from_secs(1);
/// Longest line that is read; an event with a hundred labels takes about 10 kB.
const LINE_LIMIT: usize = 1 << 20;

/// Subscribes. The engine has accepted when this returns.
pub(super) async fn subscribe(
    address: &Address,
    dialect: Dialect,
) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
    let path = path(clock::now() - OVERLAP, dialect);
    let body = wire::within(Call::Events, super::SHORT, wire::get(Call::Events, address, &path));
    let reader =
        Reader { body: body.await?, lines: Lines::default(), ready: VecDeque::new(), dialect };
    Ok(stream::unfold(Some(reader), Reader::next).boxed())
}

fn path(since: Timestamp, dialect: Dialect) -> String {
    let filters = match dialect {
        Dialect::Docker => FILTERS,
        Dialect::Podman => PODMAN_FILTERS,
    };
    let (seconds, nanoseconds) = (since.as_second(), since.subsec_nanosecond());
    format!("/events?since={seconds}.{nanoseconds:09}&filters={}", percent_encode(filters))
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

struct Reader {
    body: Body,
    lines: Lines,
    ready: VecDeque<Vec<u8>>,
    dialect: Dialect,
}

impl Reader {
    /// The next event, and the reader unless this was the last.
    async fn next(
        reader: Option<Self>,
    ) -> Option<(Result<EngineEvent, EngineError>, Option<Self>)> {
        let mut reader = reader?;
        loop {
            if let Some(line) = reader.ready.pop_front() {
                match event(&line) {
                    Ok(Some(event)) => match translated(reader.dialect, event) {
                        Some(event) => return Some((Ok(event), Some(reader))),
                        None => continue,
                    },
                    Ok(None) => continue,
                    Err(error) => return Some((Err(error), None)),
                }
            }
            match reader.body.chunk(Call::Events).await? {
                Ok(chunk) => match reader.lines.push(&chunk) {
                    Ok(lines) => reader.ready.extend(lines),
                    Err(error) => return Some((Err(error), None)),
                },
                Err(error) => return Some((Err(error), None)),
            }
        }
    }
}

/// Cuts a stream into lines.
#[derive(Default)]
pub(super) struct Lines(Vec<u8>);

impl Lines {
    /// The lines that this piece completes.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<Vec<Vec<u8>>, EngineError> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            if self.0.len() + piece.len() > LINE_LIMIT {
                return Err(errors::garbled(Call::Events, "a line exceeds 1 MiB"));
            }
            self.0.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                lines.push(std::mem::take(&mut self.0));
            }
        }
        lines.retain(|line| !line.trim_ascii().is_empty());
        Ok(lines)
    }
}

/// The event in Docker's words, if it is one that Docker would have been asked for.
fn translated(dialect: Dialect, event: EngineEvent) -> Option<EngineEvent> {
    if dialect == Dialect::Docker {
        return Some(event);
    }
    match event.action.as_str() {
        "remove" => Some(EngineEvent { action: "destroy".to_owned(), ..event }),
        "create" | "start" | "die" | "oom" | "stop" | "pause" | "unpause" | "rename" | "update" => {
            Some(event)
        }
        _ => None,
    }
}

/// The event that a line tells of; `None` when it is about no container (a network that is made).
pub(super) fn event(line: &[u8]) -> Result<Option<EngineEvent>, EngineError> {
    #[derive(Deserialize)]
    struct Message {
        #[serde(rename = "Type", default)]
        kind: String,
        #[serde(rename = "Action")]
        action: String,
        #[serde(rename = "Actor")]
        actor: Actor,
    }
    #[derive(Deserialize)]
    struct Actor {
        #[serde(rename = "ID")]
        id: String,
        #[serde(rename = "Attributes", default)]
        attributes: std::collections::HashMap<String, String>,
    }
    let message: Message =
        serde_json::from_slice(line).map_err(|error| errors::unreadable(Call::Events, &error))?;
    let Actor { id, mut attributes } = message.actor;
    if message.kind == "network" {
        // Its name and labels are the network's own.
        return Ok(attributes.remove("container").map(|container| EngineEvent {
            container: ContainerId(container),
            name: String::new(),
            action: message.action,
            sandbox: None,
        }));
    }
    Ok(Some(EngineEvent {
        container: ContainerId(id),
        name: attributes.remove("name").unwrap_or_default(),
        action: message.action,
        sandbox: attributes.remove(ownership::NAME),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_docker_becomes_an_event() {
        let line = br#"{"status":"die","id":"c3","from":"x:1","Type":"container","Action":"die","Actor":{"ID":"c3","Attributes":{"exitCode":"137","image":"x:1","name":"sandbox-web","sandkeeper.dev/name":"web"}},"scope":"local","time":1795577873,"timeNano":1795577873571393885}"#;
        let expected = EngineEvent {
            container: ContainerId("c3".to_owned()),
            name: "sandbox-web".to_owned(),
            action: "die".to_owned(),
            sandbox: Some("web".to_owned()),
        };
        assert_eq!(event(line), Ok(Some(expected)));
    }

    #[test]
    fn a_networks_line_is_about_the_container_that_it_names_or_about_none() {
        let line = br#"{"Type":"network","Action":"disconnect","Actor":{"ID":"n1","Attributes":{"container":"c3","name":"bridge","type":"bridge"}}}"#;
        let disconnected = event(line).unwrap().unwrap();
        assert_eq!(disconnected.container, ContainerId("c3".to_owned()));
        assert_eq!((disconnected.action.as_str(), disconnected.name.as_str()), ("disconnect", ""));
        let made = br#"{"Type":"network","Action":"create","Actor":{"ID":"n1","Attributes":{"name":"x"}}}"#;
        assert_eq!(event(made), Ok(None));
    }

    #[test]
    fn a_line_that_is_no_event_is_garbled() {
        let error = event(b"<html>").unwrap_err();
        assert!(matches!(error, EngineError::Garbled { call: "events", .. }), "{error:?}");
    }

    #[test]
    fn lines_are_cut_wherever_the_pieces_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"{\"a\"").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(lines.push(b":1}\n\n{\"b\"").unwrap(), vec![b"{\"a\":1}\n".to_vec()]);
        assert_eq!(lines.push(b":2}\n").unwrap(), vec![b"{\"b\":2}\n".to_vec()]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; 64 << 10];
        let refused = (0..17).map(|_| lines.push(&piece)).any(|outcome| outcome.is_err());
        assert!(refused);
    }

    #[test]
    fn the_subscription_asks_for_the_last_moment_again() {
        let path = path("2026-11-25T03:37:30.5Z".parse().unwrap(), Dialect::Docker);
        assert!(path.starts_with("/events?since=1795577850.500000000&filters=%7B%22type%22%3A"));
    }
}
