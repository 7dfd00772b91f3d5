//! What the container runs and where: command, environment, network, runtime.

use std::collections::BTreeMap;

use crate::plan::desired::{EnvValue, NetworkChoice};
use crate::sandbox::text::{nearest, shown};
use crate::sandbox::{EnvVar, Network, NetworkMode};

use super::{Findings, paths};

/// Longest value of an environment variable: the kernel's limit on one string (`MAX_ARG_STRLEN`).
const MAX_VALUE_BYTES: usize = 128 * 1024;
/// Names by which engines mean something other than a network that a user made.
const RESERVED_NETWORKS: [&str; 8] =
    ["host", "none", "bridge", "default", "private", "container", "slirp4netns", "pasta"];

/// A command or its arguments.
pub(super) fn words(
    words: Option<&[String]>,
    field: &str,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let words = words?;
    for (index, word) in words.iter().enumerate() {
        if word.contains('\0') {
            findings.problem(format!("{field}[{index}]"), "must not contain a NUL");
        }
    }
    Some(words.to_vec())
}

/// The environment, by name.
pub(super) fn env(env: Option<&[EnvVar]>, findings: &mut Findings) -> BTreeMap<String, EnvValue> {
    let mut values = BTreeMap::new();
    for (index, variable) in env.into_iter().flatten().enumerate() {
        let field = format!("spec.env[{index}]");
        let name = &variable.name;
        if let Err(message) = check_env_name(name) {
            findings.problem(format!("{field}.name"), message);
        }
        let value = env_value(variable, &field, findings);
        if values.insert(name.clone(), value).is_some() {
            findings.problem(format!("{field}.name"), format!("{} is set twice", shown(name)));
        }
    }
    values
}

fn check_env_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("must not be empty");
    }
    if name.contains('=') {
        return Err("must not contain `=`; the value goes in `value`");
    }
    // As in Kubernetes: any printable ASCII character.
    if name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("must have printable ASCII characters only")
    }
}

/// Never quotes a value: it may be a secret.
fn env_value(variable: &EnvVar, field: &str, findings: &mut Findings) -> EnvValue {
    if variable.value.is_some() && variable.value_from.is_some() {
        findings.problem(field, "set value or valueFrom, not both");
    }
    if let Some(source) = &variable.value_from {
        let field = format!("{field}.valueFrom.secretFile");
        let path = findings.take(&field, paths::absolute_host_path(&source.secret_file));
        return EnvValue::SecretFile(path);
    }
    let value = variable.value.clone().unwrap_or_default();
    if value.contains('\0') {
        findings.problem(format!("{field}.value"), "must not contain a NUL");
    }
    if value.len() > MAX_VALUE_BYTES {
        let message = format!("has {} bytes; at most {MAX_VALUE_BYTES} are allowed", value.len());
        findings.problem(format!("{field}.value"), message);
    }
    EnvValue::Literal(value)
}

/// The network. A reserved name would reach another namespace under the guise of a network's name.
pub(super) fn network(network: Option<&Network>, findings: &mut Findings) -> NetworkChoice {
    let Some(network) = network else { return NetworkChoice::Bridge };
    match (network.mode.unwrap_or_default(), network.name.as_deref()) {
        (NetworkMode::Bridge, None) => NetworkChoice::Bridge,
        (NetworkMode::None, None) => NetworkChoice::None,
        (NetworkMode::Named, Some(name)) => {
            if let Err(message) = check_network_name(name) {
                findings.problem("spec.network.name", message);
            }
            NetworkChoice::Named(name.to_owned())
        }
        _ => {
            findings.problem("spec.network", "name goes with mode Named, and only with it");
            NetworkChoice::None
        }
    }
}

/// Whether this names a network that a user made, and is no mode of an engine under another name.
#[must_use]
pub fn is_network_name(name: &str) -> bool {
    check_network_name(name).is_ok()
}

fn check_network_name(name: &str) -> Result<(), String> {
    if RESERVED_NETWORKS.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("{} is not a network but a mode of the engine", shown(name)));
    }
    check_engine_name(name)
}

/// The engine runtime. A path would run any program of the host as root, so it is not a name.
pub(super) fn runtime(name: Option<&str>, findings: &mut Findings) -> Option<String> {
    let name = name?;
    if let Err(message) = check_engine_name(name) {
        findings.problem("spec.runtimeClassName", message);
    }
    Some(name.to_owned())
}

/// Docker's grammar for the names of its objects.
fn check_engine_name(name: &str) -> Result<(), String> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let fits = name.len() <= 128
        && name.bytes().all(inner)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if fits {
        return Ok(());
    }
    Err(format!(
        "{} is not a name: use letters, digits, dots, underscores and dashes, a letter or digit first",
        shown(name)
    ))
}

/// `; did you mean …?`, where one of the candidates is close.
pub(super) fn suggestion<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean {near}?"))
}
