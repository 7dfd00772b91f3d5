//! [`CreateRequest`] → a command line and an environment file, as pure functions. The last word on what is
//! asked: whatever is not set here stays as the tool has it. Every option has its value in the same word, so
//! that no value is taken for an option.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};

use super::id::{MARK, Mark, escaped};
use crate::engine::{CreateRequest, EngineError, PublishedPort};
use crate::plan::{BindMount, NetworkChoice, Seccomp};
use crate::sandbox::Protocol;

const ONE_CPU: i64 = 1_000_000_000;

/// The words of `create`. `env` is the file that [`env_file`]'s text is in.
pub(super) fn create(
    request: &CreateRequest,
    mark: &Mark,
    env: Option<&Path>,
) -> Result<Vec<String>, EngineError> {
    refuse(request)?;
    // PID 1 must hear a stop and bury its dead.
    let mut words =
        vec!["create".to_owned(), format!("--name={}", request.name), "--init".to_owned()];
    words.push(format!("--label={MARK}={}", mark.label()));
    let labels = request.labels.iter();
    words.extend(labels.map(|(key, value)| format!("--label={key}={}", escaped(value))));
    if let Some(env) = env {
        words.push(format!("--env-file={}", utf8(env)?));
    }
    words.extend(request.working_dir.iter().map(|path| format!("--workdir={path}")));
    words.extend(user(request)?.map(|user| format!("--user={user}")));
    words.extend(request.ports.iter().map(publish));
    for mount in &request.mounts {
        words.push(share(mount)?);
    }
    words.extend(limits(request)?);
    words.extend(request.shared_memory.iter().map(|bytes| format!("--shm-size={bytes}")));
    words.push("--cap-drop=ALL".to_owned());
    words.extend(request.security.capabilities.iter().map(|it| format!("--cap-add={it}")));
    words.extend(request.security.read_only_root.then(|| "--read-only".to_owned()));
    words.extend(network(&request.network));
    words.extend(program(request)?);
    Ok(words)
}

/// What cannot be asked for. A spec that needs it was refused before; this is the second lock.
fn refuse(request: &CreateRequest) -> Result<(), EngineError> {
    let security = &request.security;
    let what = if request.limits.pids.is_some() {
        "limit processes"
    } else if security.privileged {
        "give full privileges"
    } else if security.seccomp != Seccomp::RuntimeDefault {
        "take another seccomp profile than its own"
    } else if let Some(runtime) = &request.runtime {
        return Err(EngineError::Rejected(format!(
            "spec.runtimeClassName: the engine apple has no runtime {runtime:?}"
        )));
    } else {
        return Ok(());
    };
    Err(super::unsupported(what))
}

/// The environment, a variable a line; `None`: there is none. The tool cuts lines at whatever Unicode ends
/// one with, takes `#` for a comment, and no blank in a name.
pub(super) fn env_file(request: &CreateRequest) -> Result<Option<SecretString>, EngineError> {
    let mut text = String::new();
    for (name, value) in &request.env {
        let value = value.expose_secret();
        let refused = |why: &str| {
            EngineError::Unsupported(format!(
                "spec.env[{name:?}]: the engine apple cannot pass {why}"
            ))
        };
        if value.contains(ends_a_line) {
            return Err(refused("a value of several lines"));
        }
        if name.starts_with('#') || name.contains(char::is_whitespace) {
            return Err(refused("a variable of this name"));
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('\n');
    }
    Ok((!text.is_empty()).then(|| SecretString::from(text)))
}

fn ends_a_line(letter: char) -> bool {
    matches!(letter, '\n'..='\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn utf8(path: &Path) -> Result<&str, EngineError> {
    path.to_str().ok_or_else(|| {
        EngineError::Rejected(format!(
            "the path {} is not UTF-8, which the tool needs",
            path.display()
        ))
    })
}

fn user(request: &CreateRequest) -> Result<Option<String>, EngineError> {
    match (request.security.run_as_user, request.security.run_as_group) {
        (Some(user), Some(group)) => Ok(Some(format!("{user}:{group}"))),
        (Some(user), None) => Ok(Some(user.to_string())),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(EngineError::Rejected(
            "securityContext.runAsGroup needs securityContext.runAsUser".to_owned(),
        )),
    }
}

fn publish(port: &PublishedPort) -> String {
    let address = match port.host_ip {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    };
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("--publish={address}:{}:{}/{protocol}", port.host_port, port.container_port)
}

/// A directory of the host. The two forms have different letters that they cannot take.
fn share(mount: &BindMount) -> Result<String, EngineError> {
    let (source, target) = (utf8(&mount.host_path)?, &mount.mount_path);
    let either = |letters: [char; 2]| source.contains(letters) || target.contains(letters);
    if !either([',', '=']) {
        let readonly = if mount.read_only { ",readonly" } else { "" };
        return Ok(format!("--mount=type=bind,source={source},target={target}{readonly}"));
    }
    if source.contains(':') {
        return Err(super::unsupported(&format!("share the path {source}")));
    }
    let readonly = if mount.read_only { ":ro" } else { "" };
    Ok(format!("--volume={source}:{target}{readonly}"))
}

/// Looks at what is to be shared: a single file would bring its whole directory with it.
pub(super) async fn check_mount(mount: &BindMount) -> Result<(), EngineError> {
    let path = mount.host_path.display();
    match tokio::fs::metadata(&mount.host_path).await {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(EngineError::Unsupported(format!(
            "spec.mounts[].hostPath: the engine apple shares directories only, and {path} is none"
        ))),
        Err(error) => Err(EngineError::Failed { status: 0, message: format!("{path}: {error}") }),
    }
}

fn limits(request: &CreateRequest) -> Result<Vec<String>, EngineError> {
    let mut words = Vec::new();
    if let Some(nano_cpus) = request.limits.nano_cpus {
        if nano_cpus % ONE_CPU != 0 {
            return Err(super::unsupported("limit to a fraction of a processor"));
        }
        words.push(format!("--cpus={}", nano_cpus / ONE_CPU));
    }
    words.extend(request.limits.memory.map(|bytes| format!("--memory={bytes}")));
    Ok(words)
}

fn network(network: &NetworkChoice) -> Option<String> {
    match network {
        NetworkChoice::Bridge => None,
        NetworkChoice::None => Some("--network=none".to_owned()),
        NetworkChoice::Named(name) => Some(format!("--network={name}")),
    }
}

/// Image and program. A command without arguments does not get the image's, which is the tool's rule too.
fn program(request: &CreateRequest) -> Result<Vec<String>, EngineError> {
    let mut words = Vec::new();
    let mut command = request.command.iter().flatten();
    if let Some(first) = command.next() {
        if first.is_empty() {
            return Err(EngineError::Rejected("spec.command: the first word is empty".to_owned()));
        }
        words.push(format!("--entrypoint={first}"));
    }
    words.push(request.image.clone());
    words.extend(command.cloned());
    words.extend(request.args.iter().flatten().cloned());
    Ok(words)
}

#[cfg(test)]
mod tests;
