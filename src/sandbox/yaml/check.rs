//! A document's tree against the schema: every mistake at once, each with its place.
//!
//! Stricter than `serde_yaml`, so that one file means the same here and on a cluster: what looks like a
//! number, a boolean or nothing is not text unless it is quoted, and a number is plain decimal.

use super::decode::holds_values;
use super::node::{Entry, Node, Place, Value, join};
use crate::sandbox::Problem;
use crate::sandbox::schema::{Object, Shape};
use crate::sandbox::text::{nearest, shown};

/// Most field names that a message lists.
const MAX_LISTED: usize = 10;

/// Reports everything in which the node at this path differs from the shape.
pub(super) fn against(node: &Node, shape: &Shape, path: &str, problems: &mut Vec<Problem>) {
    match (shape, &node.value) {
        (Shape::Any, _) => {}
        (Shape::Object(object), Value::Mapping(entries)) => {
            check_object(node.place, entries, object, path, problems);
        }
        (Shape::Map(inner), Value::Mapping(entries)) => {
            check_duplicates(entries, path, problems);
            for entry in entries {
                against(&entry.value, inner, &join(path, &entry.key), problems);
            }
        }
        (Shape::List(inner), Value::List(items)) => {
            for (index, item) in items.iter().enumerate() {
                against(item, inner, &format!("{path}[{index}]"), problems);
            }
        }
        (_, Value::Scalar { text, plain }) => {
            if let Err(message) = check_scalar(text, *plain, shape, path) {
                problems.push(Problem::at_field(path, message).at(node.place));
            }
        }
        (_, value) => {
            let message = format!("must be {}, found {}", shape.kind(), kind(value));
            problems.push(Problem::at_field(path, message).at(node.place));
        }
    }
}

/// Reports keys that a mapping has twice, at any depth.
pub(super) fn duplicates(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match &node.value {
        Value::Scalar { .. } => {}
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                duplicates(item, &format!("{path}[{index}]"), problems);
            }
        }
        Value::Mapping(entries) => {
            check_duplicates(entries, path, problems);
            for entry in entries {
                duplicates(&entry.value, &join(path, &entry.key), problems);
            }
        }
    }
}

fn check_object(
    place: Place,
    entries: &[Entry],
    object: &Object,
    path: &str,
    problems: &mut Vec<Problem>,
) {
    check_duplicates(entries, path, problems);
    for entry in entries {
        let path = join(path, &entry.key);
        match object.fields.get(&entry.key) {
            Some(_) if entry.value.is_null() && !object.requires(&entry.key) => {}
            Some(shape) => against(&entry.value, shape, &path, problems),
            None if object.extensible && entry.key.starts_with("x-") => {}
            None => {
                let message = unknown_field(&entry.key, object);
                problems.push(Problem::at_field(path, message).at(entry.place));
            }
        }
    }
    for required in &object.required {
        if !entries.iter().any(|entry| entry.key == *required) {
            problems.push(Problem::at_field(join(path, required), "is required").at(place));
        }
    }
}

fn check_duplicates(entries: &[Entry], path: &str, problems: &mut Vec<Problem>) {
    let mut seen = std::collections::HashMap::with_capacity(entries.len());
    for entry in entries {
        if let Some(first) = seen.insert(entry.key.as_str(), entry.place.0) {
            let message = format!("is set twice; the first time on line {first}");
            problems.push(Problem::at_field(join(path, &entry.key), message).at(entry.place));
        }
    }
}

fn unknown_field(key: &str, object: &Object) -> String {
    let known = || object.fields.keys().map(String::as_str);
    if let Some(near) = nearest(key, known()) {
        return format!("unknown field; did you mean {near}?");
    }
    if object.fields.len() > MAX_LISTED {
        return "unknown field".to_owned();
    }
    format!("unknown field; known here: {}", known().collect::<Vec<_>>().join(", "))
}

fn check_scalar(text: &str, plain: bool, shape: &Shape, path: &str) -> Result<(), String> {
    let look = if plain { Look::of(text) } else { Look::Text };
    match shape {
        _ if look == Look::Nothing => Err(format!("must be {}, found nothing", shape.kind())),
        Shape::Text => match look.misread_as() {
            None => Ok(()),
            Some(_) if text.is_empty() || holds_values(path) => {
                Err("put it in quotes: without them YAML does not read it as text".to_owned())
            }
            Some(_) if path.rsplit('.').next() == Some("mode") && is_octal(text) => {
                // Said at once: quoted as it is, `755` would only be refused again for its length.
                Err(format!("write \"{text:0>4}\", in quotes and with four digits"))
            }
            Some(read_as) => {
                Err(format!("write \"{text}\", in quotes: YAML reads {text} as {read_as}"))
            }
        },
        Shape::Time => check_time(text),
        Shape::Choice(choices) => check_choice(text, choices),
        Shape::Integer { min, max } => check_integer(text, look, *min, *max),
        Shape::Boolean if look == Look::Boolean => Ok(()),
        Shape::Boolean if !plain && Look::of(text) == Look::Boolean => {
            Err(format!("write {text} without quotes"))
        }
        Shape::IntegerOrText { min, max } if look == Look::Integer => {
            check_integer(text, look, *min, *max)
        }
        Shape::IntegerOrText { .. } if look != Look::Boolean => Ok(()),
        _ => Err(format!("must be {}, found {}", shape.kind(), look.kind())),
    }
}

fn check_time(text: &str) -> Result<(), String> {
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(drop)
        .map_err(|_| format!("{} is not a time; write it as in 2026-08-01T12:00:00Z", shown(text)))
}

fn check_choice(text: &str, choices: &[String]) -> Result<(), String> {
    if choices.iter().any(|choice| choice == text) {
        return Ok(());
    }
    let names = choices.join(", ");
    Err(match nearest(text, choices.iter().map(String::as_str)) {
        Some(near) => format!("{} is not one of {names}; did you mean {near}?", shown(text)),
        None => format!("{} is not one of {names}", shown(text)),
    })
}

fn check_integer(text: &str, look: Look, min: i64, max: i64) -> Result<(), String> {
    match (look, text.parse::<i64>()) {
        (Look::Integer, Ok(number)) if (min..=max).contains(&number) => Ok(()),
        (Look::Integer, _) => Err(format!("must be from {min} to {max}, found {}", shown(text))),
        (Look::Octal, _) => {
            Err("is read as octal by some and as decimal by others; write a plain decimal number"
                .to_owned())
        }
        (Look::Text, Ok(_)) => Err(format!("write {text} without quotes")),
        _ => Err(format!("must be a whole number, found {}", shown(text))),
    }
}

/// What an unquoted scalar looks like to YAML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    Boolean,
    Integer,
    /// Digits whose base readers disagree about: `0755`, `0o755`, `0x1f`.
    Octal,
    Float,
    Text,
}

impl Look {
    /// The core schema of YAML 1.2, and leading zeros, which are octal in YAML 1.1. The words that only
    /// YAML 1.1 takes for booleans (`yes`, `off`) are text, as they are to `serde_yaml`.
    fn of(text: &str) -> Self {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text {
            "" | "~" | "null" | "Null" | "NULL" => Self::Nothing,
            "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Self::Boolean,
            _ if digits(unsigned) && unsigned.len() > 1 && unsigned.starts_with('0') => Self::Octal,
            _ if digits(unsigned) => Self::Integer,
            _ if has_base(unsigned) => Self::Octal,
            _ if is_float(unsigned) => Self::Float,
            _ => Self::Text,
        }
    }

    /// What text of this look is taken for where text belongs.
    fn misread_as(self) -> Option<&'static str> {
        match self {
            Self::Text => None,
            Self::Nothing => Some("nothing"),
            Self::Boolean => Some("a boolean"),
            Self::Integer | Self::Octal | Self::Float => Some("a number"),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Nothing => "nothing",
            Self::Boolean => "true or false",
            Self::Integer | Self::Octal | Self::Float => "a number",
        }
    }
}

fn is_octal(text: &str) -> bool {
    text.len() <= 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
}

fn has_base(unsigned: &str) -> bool {
    let of = |prefix: &str, base: u32| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|digit| digit.is_digit(base)))
    };
    of("0o", 8) || of("0x", 16) || of("0b", 2)
}

fn is_float(unsigned: &str) -> bool {
    let lower = unsigned.to_ascii_lowercase();
    let numeric = |byte: u8| byte.is_ascii_digit() || b".e+-".contains(&byte);
    matches!(lower.as_str(), ".inf" | ".nan")
        || (lower.starts_with(|first: char| first.is_ascii_digit() || first == '.')
            && lower.bytes().all(numeric)
            && lower.parse::<f64>().is_ok())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Scalar { .. } => "a single value",
        Value::List(_) => "a list",
        Value::Mapping(_) => "a mapping",
    }
}
