//! The event scan: text → documents as trees, within bounds. Builds no types and expands no alias.

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span};

use super::node::{Entry, Node, Place, Value};
use crate::sandbox::{Problem, ProblemReason};

/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 32;
/// Most nodes of a file, keys included.
const MAX_NODES: usize = 20_000;
/// Most documents of a file.
const MAX_DOCUMENTS: usize = 64;

/// A document of a file.
pub(super) struct Scanned<'t> {
    /// Its part of the text, from the line on which it starts.
    pub text: &'t str,
    /// Number of that line, from 1.
    pub first_line: u32,
    /// Its tree.
    pub root: Node,
    /// What it uses although no file may: aliases, anchors, tags, merge keys, keys that are not text.
    pub problems: Vec<Problem>,
}

impl Scanned<'_> {
    /// Whether there is nothing between the separators.
    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty() && self.root.is_null()
    }
}

/// The documents of a text, or why the text as a whole cannot be read.
pub(super) fn documents(text: &str) -> Result<Vec<Scanned<'_>>, Problem> {
    let mut builder = Builder { text, end: (0, 1), ..Builder::default() };
    for event in Parser::new_from_str_with_options(text, options()) {
        let (event, span) = event.map_err(|error| syntax(&error, text))?;
        builder.accept(event, span)?;
    }
    Ok(builder.documents)
}

fn options() -> Options {
    let mut options = granit_parser::options! {
        disallow_directives: true,
        block_scalar_eof_without_line_feed: true,
        emit_unresolved_aliases: true,
        flow_nesting_limit: MAX_DEPTH + 1,
        block_nesting_limit: MAX_DEPTH + 1,
    };
    options.set_emit_comments(false);
    options
}

#[derive(Default)]
struct Builder<'t> {
    text: &'t str,
    documents: Vec<Scanned<'t>>,
    open: Vec<Open>,
    nodes: usize,
    /// Byte at which the current document starts, and its line.
    start: (usize, u32),
    /// Byte at which the last document ended, and its line.
    end: (usize, u32),
    problems: Vec<Problem>,
}

/// A collection whose end has not come yet.
struct Open {
    place: Place,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Mapping { entries: Vec<Entry>, key: Option<(String, Place)> },
}

impl Builder<'_> {
    fn accept(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let at = place(span.start);
        match event {
            Event::DocumentStart(explicit, _) => return self.start_document(span.start, explicit),
            Event::DocumentEnd => self.end = (byte(span.end), place(span.end).0),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), at);
                let plain = style == ScalarStyle::Plain;
                let value = Value::Scalar { text: text.into_owned(), plain };
                self.attach(Node { place: at, value })?;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.refuse("aliases (`*name`) are not read; write the value out", at);
                self.attach(Node { place: at, value: Value::List(Vec::new()) })?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), at);
                self.push(Open { place: at, content: Content::List(Vec::new()) })?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag.is_some(), at);
                let content = Content::Mapping { entries: Vec::new(), key: None };
                self.push(Open { place: at, content })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.attach(open.close())?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An explicit document starts with the line of its `---`, an implicit one where the last ended: the
    /// parser's place of its first value may be after the header that says how to read it.
    fn start_document(&mut self, marker: Marker, explicit: bool) -> Result<(), Problem> {
        let place = place(marker);
        if self.documents.len() == MAX_DOCUMENTS {
            return Err(too_complex(&format!("more than {MAX_DOCUMENTS} documents"), place));
        }
        let start = if explicit { (byte(marker), place.0) } else { self.end };
        if let Some(previous) = self.documents.last_mut() {
            previous.text = &self.text[self.start.0..start.0];
        }
        self.start = start;
        Ok(())
    }

    fn push(&mut self, open: Open) -> Result<(), Problem> {
        if self.open.len() == MAX_DEPTH {
            return Err(too_complex(
                &format!("more than {MAX_DEPTH} levels of nesting"),
                open.place,
            ));
        }
        self.open.push(open);
        Ok(())
    }

    /// Hands a finished node to the collection that it is in, or makes it the root of the document.
    fn attach(&mut self, node: Node) -> Result<(), Problem> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(too_complex(&format!("more than {MAX_NODES} values"), node.place));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.finish_document(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                Some((key, place)) => entries.push(Entry { key, place, value: node }),
                None => self.set_key(node),
            },
        }
        Ok(())
    }

    fn set_key(&mut self, node: Node) {
        let new = self.key(node);
        if let Some(Open { content: Content::Mapping { key, .. }, .. }) = self.open.last_mut() {
            *key = Some(new);
        }
    }

    fn key(&mut self, node: Node) -> (String, Place) {
        let place = node.place;
        match node.value {
            Value::Scalar { text, plain: true } if text == "<<" => {
                self.refuse("merge keys (`<<`) are not read; write the fields out", place);
                (text, place)
            }
            Value::Scalar { text, .. } => (text, place),
            Value::List(_) | Value::Mapping(_) => {
                self.refuse("a key must be text", place);
                (String::new(), place)
            }
        }
    }

    fn finish_document(&mut self, root: Node) {
        let (byte, first_line) = self.start;
        let problems = std::mem::take(&mut self.problems);
        self.documents.push(Scanned { text: &self.text[byte..], first_line, root, problems });
    }

    fn refuse_properties(&mut self, anchor: usize, tagged: bool, place: Place) {
        if anchor != 0 {
            self.refuse("anchors (`&name`) are not read; write the value out", place);
        }
        if tagged {
            self.refuse("tags (`!name`) are not read; remove it", place);
        }
    }

    fn refuse(&mut self, message: &str, place: Place) {
        self.problems.push(Problem::new(ProblemReason::TooComplex, message).at(place));
    }
}

impl Open {
    fn close(self) -> Node {
        let value = match self.content {
            Content::List(items) => Value::List(items),
            Content::Mapping { entries, .. } => Value::Mapping(entries),
        };
        Node { place: self.place, value }
    }
}

fn place(marker: Marker) -> Place {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (number(marker.line()).max(1), number(marker.col()).saturating_add(1))
}

fn byte(marker: Marker) -> usize {
    marker.byte_offset().expect("the parser counts bytes when it reads from a str")
}

fn too_complex(what: &str, place: Place) -> Problem {
    Problem::new(ProblemReason::TooComplex, format!("the file has {what}, the most that is read"))
        .at(place)
}

fn syntax(error: &ScanError, text: &str) -> Problem {
    let place = place(*error.marker());
    let problem =
        |message: String| Problem::new(ProblemReason::Syntax, format!("not YAML: {message}"));
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => {
            too_complex(&format!("more than {MAX_DEPTH} levels of nesting"), place)
        }
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInPlainScalar => {
            let place = indenting_tab(text, place.0).unwrap_or(place);
            problem("indent with spaces, not with tabs".to_owned()).at(place)
        }
        ErrorKind::DirectiveDisallowed => {
            problem("directives (`%`) are not read; remove it".to_owned()).at(place)
        }
        other => problem(other.to_string()).at(place),
    }
}

/// The first line from this one on that a tab indents: the parser names the value before it.
fn indenting_tab(text: &str, from: u32) -> Option<Place> {
    let lines = (1u32..).zip(text.lines()).skip_while(|(line, _)| *line < from);
    let mut tabs = lines.filter_map(|(line, text)| {
        let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
        let column = text[..indent].find('\t')?;
        Some((line, u32::try_from(column + 1).ok()?))
    });
    tabs.next()
}
