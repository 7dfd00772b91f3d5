//! Text → types through `serde_yaml`, and its errors in a user's words.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::node::Positions;
use crate::sandbox::text::{nearest, shown};
use crate::sandbox::{Problem, ProblemReason, Sandbox, SandboxSpec};

/// What a file can say of a Sandbox; everything else in it is ignored here (and checked before).
#[derive(Deserialize)]
pub(super) struct Wire {
    metadata: Option<WireMetadata>,
    spec: Option<SandboxSpec>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireMetadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl From<Wire> for Sandbox {
    fn from(wire: Wire) -> Self {
        let metadata = wire.metadata.unwrap_or_default();
        let metadata = ObjectMeta {
            name: metadata.name,
            generate_name: metadata.generate_name,
            namespace: metadata.namespace,
            labels: metadata.labels,
            annotations: metadata.annotations,
            ..ObjectMeta::default()
        };
        Self { metadata, spec: wire.spec.unwrap_or_default(), status: None }
    }
}

/// Reads the only document of a text that starts on this line of its file.
pub(super) fn typed<T: DeserializeOwned>(
    text: &str,
    first_line: u32,
    positions: &Positions,
) -> Result<T, Problem> {
    serde_yaml::from_str(text).map_err(|error| problem(&error, first_line, positions))
}

fn problem(error: &serde_yaml::Error, first_line: u32, positions: &Positions) -> Problem {
    let mut message = error.to_string();
    let mut place = None;
    if let Some(at) = error.location() {
        let suffix = format!(" at line {} column {}", at.line(), at.column());
        message.truncate(message.strip_suffix(&suffix).map_or(message.len(), str::len));
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        place = Some((number(at.line()).saturating_add(first_line - 1), number(at.column())));
    }
    let (field, words) = split_path(&message);
    let Words { below, message } = in_users_words(words, field.is_some_and(holds_values));
    let field = match (field, below) {
        (Some(field), Some(below)) => Some(format!("{field}.{below}")),
        (field, below) => field.map(str::to_owned).or(below),
    };
    let problem = Problem { field, ..Problem::new(ProblemReason::Invalid, message) };
    let problem = positions.attach_one(problem);
    match place {
        Some(place) if problem.line.is_none() => problem.at(place),
        _ => problem,
    }
}

/// Whether what is found at this path may be a secret, and must not be quoted.
pub(super) fn holds_values(field: &str) -> bool {
    field.starts_with("spec.env") || field.contains(".env[") || field.starts_with("env")
}

/// `spec.image: message` → the path and the message.
fn split_path(message: &str) -> (Option<&str>, &str) {
    match message.split_once(": ") {
        Some((path, rest)) if is_path(path) => (Some(path), rest),
        _ => (None, message),
    }
}

fn is_path(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[]/".contains(&byte);
    // serde's own messages that have this shape start with one of these words.
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with("invalid")
}

struct Words {
    /// Field below the path that the message is about.
    below: Option<String>,
    message: String,
}

/// serde speaks of Rust types; users wrote YAML.
fn in_users_words(message: &str, secret: bool) -> Words {
    let plain = |message: String| Words { below: None, message };
    if let Some(rest) = message.strip_prefix("missing field ") {
        let field = ticked(rest).next().unwrap_or(rest).to_owned();
        return Words { below: Some(field), message: "is required".to_owned() };
    }
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return plain(unknown("unknown field", rest));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return plain(unknown("unknown value", rest));
    }
    let mismatch = ["invalid type: ", "invalid value: ", "invalid length "]
        .into_iter()
        .find_map(|prefix| message.strip_prefix(prefix)?.rsplit_once(", expected "));
    match mismatch {
        Some((found, expected)) => {
            plain(format!("must be {}, found {}", kind(expected), found_kind(found)))
        }
        None if secret => plain("cannot be read as what belongs here".to_owned()),
        // Hand-written expectations, such as "a port's name or number".
        None if message.starts_with("a ") => plain(format!("must be {message}")),
        None => plain(message.to_owned()),
    }
}

fn unknown(what: &str, rest: &str) -> String {
    let mut names = ticked(rest);
    let word = names.next().unwrap_or(rest);
    let known: Vec<&str> = names.collect();
    match (nearest(word, known.iter().copied()), known.is_empty()) {
        (Some(near), _) => format!("{what} {}; did you mean {near}?", shown(word)),
        (None, true) => format!("{what} {}", shown(word)),
        (None, false) => format!("{what} {}; known here: {}", shown(word), known.join(", ")),
    }
}

/// The names between backticks.
fn ticked(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What was found, as its kind alone: the value itself may be a secret.
fn found_kind(found: &str) -> &str {
    match found.split([' ', '`', '"']).next().unwrap_or(found) {
        "string" => "text",
        "integer" | "floating" => "a number that does not fit",
        "boolean" | "Boolean" | "bool" => "true or false",
        "unit" | "Option" => "nothing",
        "map" => "a mapping",
        "sequence" => "a list",
        _ => "something else",
    }
}

fn kind(expected: &str) -> &str {
    match expected {
        "a string" | "string" | "a borrowed string" => "text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i32" | "i64" => "a whole number",
        other if other.starts_with("struct ") => "a mapping",
        other => other,
    }
}
