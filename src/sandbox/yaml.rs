//! YAML in and out: the only module that knows the YAML libraries.
//!
//! A file passes, in this order: size, encoding and bracket [`guard`]s; an event [`scan`] that bounds
//! depth, nodes and documents and refuses aliases, anchors, tags and merge keys; a [`check`] of every
//! node against the schema, which reports every mistake with its place; and only then `serde_yaml`,
//! straight into the typed `Sandbox`. The order is what bounds the work that hostile text can cause.
//! JSON is read as the YAML that it is.

mod check;
mod decode;
mod guard;
mod node;
mod scan;

use std::fmt::Write as _;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::text::{is_dns_label, is_unsafe, shown};
use super::{API_VERSION, KIND, Problem, ProblemReason, Sandbox, schema};

pub use guard::MAX_FILE_BYTES;
pub use node::Positions;

use node::Node;
use scan::Scanned;

/// Most problems that are reported of one document; the rest is counted.
const MAX_PROBLEMS: usize = 20;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Which of the file's documents, from 1; empty ones are not counted.
    pub index: usize,
    /// Line on which its content starts, from 1.
    pub line: u32,
    /// `metadata.name`, where it is a DNS label: also of a document that is invalid otherwise.
    pub name: Option<String>,
    /// The sandbox, or everything that is wrong with it.
    pub result: Result<Sandbox, Vec<Problem>>,
    /// Where its fields are.
    pub positions: Positions,
}

/// Reads the documents of a file. An invalid document does not hide the others.
///
/// What a file cannot decide is dropped: `status`, and metadata that the system sets (`uid`,
/// `generation`, `creationTimestamp` and so on). Keys that start with `x-` at the top of a document
/// are ignored.
///
/// # Errors
/// What is wrong with the file as a whole: too large, not UTF-8, a NUL, not YAML, too complex, empty.
pub fn read(bytes: &[u8]) -> Result<Vec<Document>, Problem> {
    let scanned = scan::documents(guard::text(bytes)?)?;
    let filled = scanned.into_iter().filter(|document| !document.is_empty());
    let documents: Vec<Document> =
        filled.enumerate().map(|(index, scanned)| document(index + 1, scanned)).collect();
    if documents.is_empty() {
        return Err(empty());
    }
    Ok(documents)
}

/// Reads other YAML, of one document, into its type; for example the configuration.
///
/// # Errors
/// The first thing that is wrong, with its place. An empty file is [`ProblemReason::Empty`].
pub fn read_typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let scanned = scan::documents(guard::text(bytes)?)?;
    let mut filled = scanned.into_iter().filter(|document| !document.is_empty());
    let document = filled.next().ok_or_else(empty)?;
    if let Some(second) = filled.next() {
        let message = "a second document starts here; this file must have only one";
        return Err(Problem::new(ProblemReason::Invalid, message).at(second.root.place));
    }
    let mut problems = document.problems;
    check::duplicates(&document.root, "", &mut problems);
    if let Some(first) = problems.into_iter().next() {
        return Err(first);
    }
    decode::typed(document.text, document.first_line, &Positions::of(document.root))
}

/// A file that we wrote ourselves: no caps, for it may be as long as there are sandboxes.
///
/// # Errors
/// What is wrong with it, in the parser's words.
pub(crate) fn read_own<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    serde_yaml::from_slice(bytes).map_err(|error| error.to_string())
}

/// The value as YAML, with a final newline, and without characters that a terminal acts on. Only quoted
/// text can hold those as escapes, so a value that has any is written with all of its text quoted.
#[must_use]
pub fn to_yaml<T: Serialize>(value: &T) -> String {
    const INVARIANT: &str = "our types hold only strings, numbers, lists and string-keyed maps";
    let yaml = serde_yaml::to_string(value).expect(INVARIANT);
    if !yaml.contains(acts) {
        return yaml;
    }
    let json = serde_json::to_string_pretty(value).expect(INVARIANT);
    let mut quoted = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        let outcome = match u32::from(character) {
            _ if !acts(character) => quoted.write_char(character),
            code @ ..=0xffff => write!(quoted, "\\u{code:04x}"),
            code => write!(quoted, "\\U{code:08x}"),
        };
        outcome.expect("a String takes any text");
    }
    quoted.push('\n');
    quoted
}

fn acts(character: char) -> bool {
    character != '\n' && is_unsafe(character)
}

fn document(index: usize, scanned: Scanned<'_>) -> Document {
    let Scanned { text, first_line, root, mut problems } = scanned;
    let line = root.place.0;
    let name = name(&root);
    if problems.is_empty() {
        problems = header(&root);
    }
    if problems.is_empty() {
        check::against(&root, schema::shape(), "", &mut problems);
    }
    let positions = Positions::of(root);
    let result = if problems.is_empty() {
        typed(text, first_line, &positions)
    } else {
        Err(capped(problems))
    };
    Document { index, line, name, result, positions }
}

/// The second half of reading a document that passed the checks: types, then the schema's CEL rules.
fn typed(text: &str, first_line: u32, positions: &Positions) -> Result<Sandbox, Vec<Problem>> {
    let wire: decode::Wire =
        decode::typed(text, first_line, positions).map_err(|problem| vec![problem])?;
    let sandbox = Sandbox::from(wire);
    let violations = schema::rule_violations(&sandbox.spec);
    if violations.is_empty() { Ok(sandbox) } else { Err(capped(positions.attach(violations))) }
}

/// `apiVersion` and `kind` come first: what another version means by a field is not ours to judge.
fn header(root: &Node) -> Vec<Problem> {
    if root.entries().is_none() {
        let message =
            format!("a Sandbox is a mapping that starts with `apiVersion: {API_VERSION}`");
        return vec![Problem::new(ProblemReason::Invalid, message).at(root.place)];
    }
    let expected = [("apiVersion", API_VERSION), ("kind", KIND)];
    expected.into_iter().filter_map(|(key, supported)| mismatch(root, key, supported)).collect()
}

fn mismatch(root: &Node, key: &str, supported: &str) -> Option<Problem> {
    let entry = root.entry(key);
    let message = match entry.map(|entry| entry.value.text()) {
        Some(Some(found)) if found == supported => return None,
        Some(Some(found)) => {
            format!("{} is not supported; this version reads {supported}", shown(found))
        }
        Some(None) => format!("must be text; write `{key}: {supported}`"),
        None => format!("is missing; write `{key}: {supported}`"),
    };
    let place = entry.map_or(root.place, |entry| entry.place);
    let problem = Problem::at_field(key, message).at(place);
    Some(Problem { reason: ProblemReason::UnsupportedVersion, ..problem })
}

fn name(root: &Node) -> Option<String> {
    let name = root.entry("metadata")?.value.entry("name")?.value.text()?;
    is_dns_label(name).then(|| name.to_owned())
}

/// A file full of mistakes must not fill the log and the status.
fn capped(mut problems: Vec<Problem>) -> Vec<Problem> {
    let more = problems.len().saturating_sub(MAX_PROBLEMS);
    if more > 0 {
        problems.truncate(MAX_PROBLEMS);
        problems.push(Problem::new(ProblemReason::Invalid, format!("and {more} more problems")));
    }
    problems
}

fn empty() -> Problem {
    Problem::new(ProblemReason::Empty, "the file is empty, or has only comments")
}

#[cfg(test)]
mod tests;
