//! A document as a tree of nodes with their places in the file.

use crate::sandbox::Problem;

/// Line and column, both from 1.
pub(super) type Place = (u32, u32);

/// A node and where it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Text as the parser unescaped it. `plain`: written without quotes, so that its look decides its type.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Mapping(Vec<Entry>),
}

/// A key, where it starts, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Node,
}

impl Node {
    /// Whether it stands for nothing: empty, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// Its text, if it is a scalar that stands for something.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Its entries, if it is a mapping.
    pub(super) fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            _ => None,
        }
    }

    /// The first entry with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }
}

/// Where the fields of a document are in its file.
#[derive(Clone, Debug, Default)]
pub struct Positions {
    root: Option<Node>,
}

impl Positions {
    pub(super) fn of(root: Node) -> Self {
        Self { root: Some(root) }
    }

    /// Line and column, from 1, of the field at a path such as `spec.ports[0].containerPort`; where the
    /// document does not have it, of the nearest parent that it has.
    #[must_use]
    pub fn locate(&self, field: &str) -> Option<(u32, u32)> {
        let mut node = self.root.as_ref()?;
        let mut place = node.place;
        for segment in segments(field) {
            let Some((next_place, next)) = step(node, segment) else { break };
            (place, node) = (next_place, next);
        }
        Some(place)
    }

    /// Gives a place to each problem that has a field and no place.
    #[must_use]
    pub fn attach(&self, problems: Vec<Problem>) -> Vec<Problem> {
        problems.into_iter().map(|problem| self.attach_one(problem)).collect()
    }

    pub(super) fn attach_one(&self, problem: Problem) -> Problem {
        let place = problem.field.as_deref().and_then(|field| self.locate(field));
        match place {
            Some(place) if problem.line.is_none() => problem.at(place),
            _ => problem,
        }
    }
}

/// The path of a key below a path. Keys that are not plain words go in brackets.
pub(super) fn join(parent: &str, key: &str) -> String {
    let word =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    match (parent, key.chars().all(word)) {
        ("", _) => key.to_owned(),
        (_, true) => format!("{parent}.{key}"),
        (_, false) => format!("{parent}[{key}]"),
    }
}

/// `spec.ports[0].name` → spec, ports, 0, name; dots within brackets do not split.
fn segments(field: &str) -> impl Iterator<Item = &str> {
    let mut rest = field;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let (segment, after) = inner.split_once(']').unwrap_or((inner, ""));
            rest = after;
            return Some(segment);
        }
        let (segment, after) = rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len()));
        rest = after;
        Some(segment)
    })
}

fn step<'n>(node: &'n Node, segment: &str) -> Option<(Place, &'n Node)> {
    match &node.value {
        Value::Scalar { .. } => None,
        Value::List(items) => {
            let item = items.get(segment.parse::<usize>().ok()?)?;
            Some((item.place, item))
        }
        Value::Mapping(_) => {
            let entry = node.entry(segment)?;
            Some((entry.place, &entry.value))
        }
    }
}
