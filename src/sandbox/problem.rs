//! What is wrong with a spec, where, and why: the one shape in which bad input is reported.

use serde::{Deserialize, Serialize};

use super::text::one_line_of;

/// Most characters of a message and of a field's path: a file must not fill the log and the status.
const MAX_MESSAGE: usize = 1024;
const MAX_FIELD: usize = 256;

/// One thing wrong with a file or a document in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Class of the problem; becomes a condition's reason.
    pub reason: ProblemReason,
    /// Line in the file, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in the line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Path of the field, as in `spec.ports[0].containerPort`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what to do. One line, no control characters.
    pub message: String,
}

/// Classes of problem. Reasons are API: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProblemReason {
    /// The file cannot be opened or read.
    Unreadable,
    /// The file is empty, or has only comments.
    Empty,
    /// The file is larger than the cap.
    TooLarge,
    /// The file nests too deeply, has too many nodes or documents, or uses aliases.
    TooComplex,
    /// The file is not YAML.
    Syntax,
    /// The file is YAML, but not a valid Sandbox.
    Invalid,
    /// `apiVersion` or `kind` is not one that this version reads.
    UnsupportedVersion,
    /// Another file declares the same sandbox, and did so first.
    Conflict,
    /// The file is still being written.
    Settling,
    /// It asks for more than the daemon's policy allows.
    PolicyViolation,
    /// There are as many sandboxes as the daemon's policy allows.
    QuotaExceeded,
}

impl Problem {
    /// A problem with no place in the file. Unsafe characters in the message are escaped, and it is
    /// cut to a readable length.
    #[must_use]
    pub fn new(reason: ProblemReason, message: impl Into<String>) -> Self {
        let message = one_line_of(&message.into(), MAX_MESSAGE);
        Self { reason, line: None, column: None, field: None, message }
    }

    /// A problem with the field at this path. Unsafe characters in path and message are escaped.
    #[must_use]
    pub fn at_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        let field = Some(one_line_of(&field.into(), MAX_FIELD));
        Self { field, ..Self::new(ProblemReason::Invalid, message) }
    }

    /// The same problem at this line and column of the file, both from 1.
    #[must_use]
    pub fn at(self, (line, column): (u32, u32)) -> Self {
        Self { line: Some(line), column: Some(column), ..self }
    }
}

/// `3:5: spec.image: message`, without the file's name.
impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "{line}:{}: ", self.column.unwrap_or(1))?;
        }
        if let Some(field) = &self.field {
            write!(formatter, "{field}: ")?;
        }
        formatter.write_str(&self.message)
    }
}
