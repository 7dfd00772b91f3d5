//! The readers of Docker's answers, for `tests/fuzz` alone: compiled with `--cfg fuzzing` only.

use super::dialect::{Dialect, OwnWays};
use super::{answers, events};
use crate::engine::{EngineError, EngineEvent, Inspected, Listed};
use crate::plan::ContainerId;

/// The answer to a list.
pub fn list(json: &[u8]) -> Result<Vec<Listed>, EngineError> {
    answers::list(json)
}

/// The answer to an inspect of this container.
pub fn inspected(podman: bool, asked: &ContainerId, json: &[u8]) -> Result<Inspected, EngineError> {
    let dialect = if podman { Dialect::Podman } else { Dialect::Docker };
    answers::inspected((dialect, &OwnWays::default()), asked, json)
}

/// The events in the pieces of a stream.
pub fn events(pieces: &[&[u8]]) -> Result<Vec<Option<EngineEvent>>, EngineError> {
    let mut lines = events::Lines::default();
    let mut events = Vec::new();
    for piece in pieces {
        for line in lines.push(piece)? {
            events.push(events::event(&line)?);
        }
    }
    Ok(events)
}
