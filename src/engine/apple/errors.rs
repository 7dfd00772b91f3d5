//! What the tool's refusals mean: one table over (call, words), because it has one exit code for them all.
//! Wordings nest and differ by version, so parts of them are matched.

use std::time::Duration;

use crate::engine::text::clean;
pub(super) use crate::engine::text::{garbled, unreadable};
use crate::engine::{Call, EngineError};
use crate::plan::ContainerId;

use super::run::Output;

/// Exit code of a command line that the tool does not understand.
const USAGE: i32 = 64;
/// What the tool's own complaints begin with. A process in a container has the same exit codes.
const SAYS: &str = "Error: ";

/// What is said of a container whose virtual machine the server has lost.
const LEFT_OVER: &str = "it was left over by a server that died, and only its removal ends it";

#[derive(Clone, Copy)]
enum Class {
    Unreachable,
    Unknown,
    NoSuchContainer,
    NameConflict,
    ImageMissing,
    WrongPlatform,
    NetworkMissing,
    PortBusy,
    Busy,
    LeftOver,
    Rejected,
}

/// The call (`None`: any), words that all occur in the complaint in lower case, and what it means. The first
/// that matches decides.
type Meaning = (Option<Call>, &'static [&'static str], Class);

#[rustfmt::skip]
const MEANINGS: &[Meaning] = &[
    // The service: what it did before, nobody knows.
    (None, &["xpc connection error", "invalid"], Class::Unreachable),
    (None, &["unauthorized request"], Class::Unreachable),
    (None, &["xpc connection error"], Class::Unknown),
    (None, &["connection interrupted"], Class::Unknown),
    (None, &["xpc timeout for request"], Class::Unknown),

    (None, &["container not found: "], Class::NoSuchContainer),
    (None, &["get failed: container", "not found"], Class::NoSuchContainer),
    (None, &["container with id", "not found"], Class::NoSuchContainer),
    (None, &["already exist"], Class::NameConflict),

    (None, &["image not found: "], Class::ImageMissing),
    (Some(Call::Pull), &["failed with response: "], Class::ImageMissing),
    (None, &["unsupported platform"], Class::WrongPlatform),
    (None, &["does not support required platforms"], Class::WrongPlatform),

    (None, &["network", "not found"], Class::NetworkMissing),
    (None, &["address already in use"], Class::PortBusy),

    (Some(Call::Start), &["expected to be in created state"], Class::LeftOver),
    (None, &["can not be deleted"], Class::Busy),
    (None, &["is not running"], Class::Busy),
    (None, &["no runtime client exists"], Class::Busy),

    (None, &["permission denied while binding"], Class::Rejected),
    (None, &["is not a valid container id"], Class::Rejected),
    (None, &["minimum memory amount"], Class::Rejected),
    (None, &["failed to find target executable"], Class::Rejected),
    (None, &["command/entrypoint not specified"], Class::Rejected),
    (Some(Call::Create), &["invalid"], Class::Rejected),
];

/// What a run means, if the tool refused; `None`: it did what it was asked.
pub(super) fn refusal(call: Call, output: &Output) -> Option<EngineError> {
    if output.code == Some(0) {
        return None;
    }
    let complaint = output.complaint();
    Some(match (output.code, spoken(&complaint)) {
        (Some(USAGE), Some(words)) => EngineError::Unsupported(format!(
            "this version of Apple's container does not take it: {}",
            clean(words.lines().next().unwrap_or_default())
        )),
        (Some(_), Some(words)) => classify(call, words, output.took),
        (Some(code), None) => {
            let message = format!("exit status {code}: {complaint}");
            EngineError::Failed { status: 0, message: clean(&message) }
        }
        // Something ended the tool. What it had asked for may have been done.
        (None, _) => unknown(call, output.took),
    })
}

/// What the tool itself says in its standard error.
pub(super) fn spoken(complaint: &str) -> Option<&str> {
    let start = match complaint.rfind(&format!("\n{SAYS}")) {
        Some(newline) => newline + 1,
        None if complaint.starts_with(SAYS) => 0,
        None => return None,
    };
    Some(complaint[start + SAYS.len()..].trim())
}

/// The meaning of what the tool said.
pub(super) fn classify(call: Call, words: &str, took: Duration) -> EngineError {
    let lower = words.to_lowercase();
    let meaning = MEANINGS.iter().find(|(named, parts, _)| {
        named.is_none_or(|named| named == call) && parts.iter().all(|part| lower.contains(part))
    });
    let message = clean(words);
    match meaning.map(|(_, _, class)| *class) {
        Some(Class::Unreachable) => EngineError::Unreachable(message),
        Some(Class::Unknown) => unknown(call, took),
        Some(Class::NoSuchContainer) => EngineError::NoSuchContainer(message),
        Some(Class::NameConflict) => EngineError::NameConflict(message),
        Some(Class::ImageMissing) => EngineError::ImageMissing(message),
        Some(Class::WrongPlatform) => EngineError::WrongPlatform(message),
        Some(Class::NetworkMissing) => EngineError::NetworkMissing(message),
        Some(Class::PortBusy) => EngineError::PortBusy { port: None, message },
        Some(Class::Busy) => EngineError::Busy(message),
        Some(Class::LeftOver) => EngineError::Busy(format!("{LEFT_OVER}: {message}")),
        Some(Class::Rejected) => EngineError::Rejected(message),
        None => EngineError::Failed { status: 0, message },
    }
}

fn unknown(call: Call, after: Duration) -> EngineError {
    EngineError::OutcomeUnknown { call: call.name(), after }
}

/// The same error, about this container.
pub(super) fn about(id: &ContainerId, error: EngineError) -> EngineError {
    match error {
        EngineError::NoSuchContainer(_) => EngineError::NoSuchContainer(id.to_string()),
        error => error,
    }
}

/// Whether a start was refused because the virtual machine of a server that died is still there.
pub(super) fn is_left_over(error: &EngineError) -> bool {
    matches!(error, EngineError::Busy(message) if message.starts_with(LEFT_OVER))
}

#[cfg(test)]
mod tests;
