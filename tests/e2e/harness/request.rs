//! The daemon's own account of what it asked an engine for: one line of its log for each mutating call.

use serde_json::Value;

/// One mutating call.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Action and sandbox: `create web`.
    pub(crate) what: String,
    /// Whether the engine did it, as far as is known.
    pub(crate) done: bool,
}

impl Request {
    /// The request that a line of the log tells of, if it tells of one.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line: Value = serde_json::from_str(line).ok()?;
        if line["message"] != "asked the engine for a change" {
            return None;
        }
        let text = |key: &str| line[key].as_str().unwrap_or_default();
        let what = format!("{} {}", text("action"), text("sandbox"));
        Some(Self { what, done: text("outcome") == "Done" })
    }
}
