//! What an engine's refusal means: one table over (call, status, words). Status codes alone do not say
//! it: a 404 is a missing container, image or network, and a busy port is a 500.

use std::io;
use std::time::Duration;

use bollard::errors::Error;

use super::connect::Address;
use crate::engine::text::clean;
pub(super) use crate::engine::text::{garbled, unreadable};
use crate::engine::{Call, EngineError};

/// One line of [`MEANINGS`]; the first that matches decides.
struct Meaning {
    /// The call; `None`: any.
    call: Option<Call>,
    /// The status; 0: any. Errors inside a stream have none.
    status: u16,
    /// All of these occur in the message, in lower case.
    words: &'static [&'static str],
    becomes: Class,
}

#[derive(Clone, Copy)]
enum Class {
    NoSuchContainer,
    NameConflict,
    ImageMissing,
    WrongPlatform,
    NetworkMissing,
    PortBusy,
    Busy,
    Rejected,
    Unsupported,
    /// The host's own state; tried again.
    Host,
    NothingToDo,
}

const fn means(
    call: Option<Call>,
    status: u16,
    words: &'static [&'static str],
    becomes: Class,
) -> Meaning {
    Meaning { call, status, words, becomes }
}

/// Seen on Docker 20.10 and Podman 4.3, which answers 500 to most; wordings of later engines beside them
/// where they are known.
#[rustfmt::skip]
const MEANINGS: &[Meaning] = &[
    // The goal is reached already.
    means(Some(Call::Remove),  404, &["no such container"], Class::NothingToDo),
    means(Some(Call::Unpause), 0,   &["is not paused"], Class::NothingToDo),
    means(Some(Call::Rename),  400, &["same name as its current name"], Class::NothingToDo),
    means(Some(Call::Connect), 403, &["already exists in network"], Class::NothingToDo),

    // The same from Podman.
    means(Some(Call::Remove),  404, &["no container with"], Class::NothingToDo),
    means(Some(Call::Remove),  500, &["does not exist in database: no such container"], Class::NothingToDo),
    means(Some(Call::Connect), 500, &["network is already connected"], Class::NothingToDo),

    means(None, 404, &["page not found"], Class::Unsupported),
    means(None, 405, &[], Class::Unsupported),
    means(None, 501, &[], Class::Unsupported),
    means(None, 404, &["no such container"], Class::NoSuchContainer),
    means(None, 0, &["is already in use by container"], Class::NameConflict),
    // Podman: creation, and renaming.
    means(None, 404, &["no container with"], Class::NoSuchContainer),
    // One that goes while it is looked at.
    means(None, 500, &["does not exist in database: no such container"], Class::NoSuchContainer),
    means(Some(Call::Create), 0, &["the container name", "is already in use"], Class::NameConflict),
    means(Some(Call::Rename), 0, &["already in use, cannot rename"], Class::NameConflict),

    // Images.
    means(None, 0, &["does not match the specified platform"], Class::WrongPlatform),
    means(None, 0, &["does not provide the specified platform"], Class::WrongPlatform),
    means(None, 0, &["no matching manifest for"], Class::WrongPlatform),
    means(None, 0, &["exec format error"], Class::WrongPlatform),
    means(Some(Call::Create),   404, &["no such image"], Class::ImageMissing),
    means(Some(Call::HasImage), 404, &["no such image"], Class::ImageMissing),
    means(Some(Call::Pull), 0, &["manifest unknown"], Class::ImageMissing),
    means(Some(Call::Pull), 0, &["pull access denied"], Class::ImageMissing),
    means(Some(Call::Pull), 0, &["repository", "not found"], Class::ImageMissing),
    means(Some(Call::Pull), 0, &["manifest", "not found"], Class::ImageMissing),
    means(Some(Call::Pull), 0, &["unauthorized"], Class::ImageMissing),
    means(Some(Call::Pull), 0, &["denied:"], Class::ImageMissing),
    means(Some(Call::Pull), 404, &[], Class::ImageMissing),

    // Networks and ports.
    means(None, 404, &["network", "not found"], Class::NetworkMissing),
    means(None, 500, &["unable to find network"], Class::NetworkMissing),
    means(None, 0, &["port is already allocated"], Class::PortBusy),
    means(Some(Call::Start), 0, &["address already in use"], Class::PortBusy),

    // What is wrong with the host may be mended there.
    means(Some(Call::Create), 400, &["bind source path does not exist"], Class::Host),

    // What the spec asks for cannot be.
    means(Some(Call::Start), 0, &["oci runtime create failed", "exec:"], Class::Rejected),
    means(Some(Call::Start), 0, &["oci runtime create failed", "executable file not found"], Class::Rejected),
    means(Some(Call::Start), 0, &["oci runtime create failed", "chdir to cwd"], Class::Rejected),
    means(Some(Call::Start), 0, &["unable to find user"], Class::Rejected),
    means(Some(Call::Start), 0, &["unable to find group"], Class::Rejected),
    means(Some(Call::Start), 0, &["decoding seccomp profile failed"], Class::Rejected),
    means(Some(Call::Create), 500, &["cannot mkdir"], Class::Rejected),
    means(Some(Call::Update), 409, &["memory limit should be smaller"], Class::Rejected),
    means(Some(Call::Update), 409, &["conflicting options"], Class::Rejected),
    means(None, 400, &[], Class::Rejected),
    // Podman.
    means(None, 500, &["names must match"], Class::Rejected),
    means(None, 500, &["seccomp profile"], Class::Rejected),
    means(Some(Call::Create), 500, &["invalid argument"], Class::Rejected),

    // Removal in progress; running or paused where that stands in the way.
    means(None, 409, &[], Class::Busy),
    means(None, 500, &["container state improper"], Class::Busy),
];

/// The meaning of what an engine answered. `status` is 0 for an error inside a stream.
pub(super) fn classify(call: Call, status: u16, message: &str) -> EngineError {
    let class = class_of(call, status, message);
    // Looked for before the cut: it comes late in Docker's sentence.
    let port = host_port(message);
    let message = clean(message);
    match class {
        Some(Class::NoSuchContainer) => EngineError::NoSuchContainer(missing_one(&message)),
        Some(Class::NameConflict) => EngineError::NameConflict(message),
        Some(Class::ImageMissing) => EngineError::ImageMissing(message),
        Some(Class::WrongPlatform) => EngineError::WrongPlatform(message),
        Some(Class::NetworkMissing) => EngineError::NetworkMissing(message),
        Some(Class::PortBusy) => EngineError::PortBusy { port, message },
        Some(Class::Busy) => EngineError::Busy(message),
        Some(Class::Rejected) => EngineError::Rejected(message),
        Some(Class::Unsupported) => EngineError::Unsupported(message),
        Some(Class::Host | Class::NothingToDo) | None => EngineError::Failed { status, message },
    }
}

/// Whether the refusal says that there is nothing left to do.
pub(super) fn nothing_to_do(call: Call, error: &Error) -> bool {
    let Error::DockerResponseServerError { status_code, message } = error else { return false };
    matches!(class_of(call, *status_code, message), Some(Class::NothingToDo))
}

fn class_of(call: Call, status: u16, message: &str) -> Option<Class> {
    let message = message.to_lowercase();
    let meaning = MEANINGS.iter().find(|meaning| {
        meaning.call.is_none_or(|named| named == call)
            && (meaning.status == 0 || meaning.status == status)
            && meaning.words.iter().all(|words| message.contains(words))
    });
    meaning.map(|meaning| meaning.becomes)
}

/// The container in Podman's `no container with name or ID "0123" found: no such container` or `container
/// 0123 does not exist in database: no such container`, or Docker's `No such container: 0123`, or all of it.
fn missing_one(message: &str) -> String {
    let quoted = message.split('"').nth(1);
    let bare = message.strip_prefix("container ").and_then(|rest| rest.split(' ').next());
    let named = quoted.or(bare).or_else(|| message.split_once(": ").map(|(_, rest)| rest));
    named.unwrap_or(message).to_owned()
}

/// The host port in `Bind for 127.0.0.1:8080 failed`, `listen tcp4 127.0.0.1:8080: bind` or
/// `failed to bind host port for 127.0.0.1:8080:172.17.0.2:80/tcp`.
fn host_port(message: &str) -> Option<u16> {
    let markers = [
        "Bind for ",
        "listen tcp4 ",
        "listen tcp6 ",
        "listen tcp ",
        "listen udp4 ",
        "listen udp6 ",
    ];
    let markers = markers.iter().chain(&["listen udp ", "bind host port for ", "bind host port "]);
    let address = markers
        .filter_map(|marker| message.split_once(marker))
        .find_map(|(_, rest)| rest.split_whitespace().next())?;
    let bracketed = address.split_once("]:").map(|(_, port)| port);
    let port = match bracketed.or(address.strip_prefix(":::")) {
        Some(port) => port,
        None => address.split_once(':')?.1,
    };
    let digits = port.find(|character: char| !character.is_ascii_digit()).unwrap_or(port.len());
    port[..digits].parse().ok()
}

/// The meaning of a failure of bollard's, `after` so long.
pub(super) fn translate(
    call: Call,
    address: &Address,
    error: &Error,
    after: Duration,
) -> EngineError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            classify(call, *status_code, message)
        }
        Error::DockerStreamError { error } => classify(call, 0, error),
        Error::SocketNotFoundError(_) => {
            address.unreachable(&io::Error::from(io::ErrorKind::NotFound))
        }
        // Only a connection that never came about proves that nothing was sent.
        Error::HyperLegacyError { err } if err.is_connect() => address.unreachable(&cause(err)),
        Error::HyperLegacyError { .. }
        | Error::HyperResponseError { .. }
        | Error::IOError { .. }
        | Error::RequestTimeoutError => EngineError::OutcomeUnknown { call: call.name(), after },
        other => unreadable(call, other),
    }
}

/// The I/O error at the root of a failed connection.
fn cause(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io::Error::new(io.kind(), io.to_string());
        }
        source = error.source();
    }
    io::Error::other(error.source().map_or_else(|| error.to_string(), ToString::to_string))
}

#[cfg(test)]
mod tests;
