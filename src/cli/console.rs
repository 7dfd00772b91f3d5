//! Where a command prints, and whether in colour.

use std::io::{self, IsTerminal, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::render::{Color, Style, escape_json, escape_lines};

/// The two output streams of the process.
pub(crate) struct Console {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// Colours of standard output.
    pub(crate) style: Style,
    error_style: Style,
}

impl Console {
    /// Standard output and standard error.
    pub(crate) fn of_process() -> Self {
        let color = color_allowed(|name| std::env::var_os(name).map(|value| !value.is_empty()));
        Self {
            style: Style { color: color && io::stdout().is_terminal() },
            error_style: Style { color: color && io::stderr().is_terminal() },
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// The time that ages are counted to.
    #[expect(clippy::unused_self, reason = "the console is what commands have at hand")]
    pub(crate) fn now(&self) -> Timestamp {
        crate::clock::now()
    }

    /// Prints text that is already safe.
    pub(crate) fn print(&mut self, text: &str) -> io::Result<()> {
        self.print_bytes(text.as_bytes())
    }

    /// Prints bytes as they are: the output of a container.
    pub(crate) fn print_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.out.flush()
    }

    /// Prints bytes as they are to standard error.
    pub(crate) fn print_error_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.err.write_all(bytes)?;
        self.err.flush()
    }

    /// Prints a value as JSON.
    pub(crate) fn print_json<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.print(&format!("{}\n", escape_json(&json)))
    }

    /// Tells the user something that is not the command's output.
    pub(crate) fn note(&mut self, text: &str) {
        // Nothing is left to tell it to when standard error is gone.
        let _ = self.err.write_all(escape_lines(text).as_bytes());
    }

    /// Reports the error that ends the command, with its causes.
    pub(crate) fn error(&mut self, error: &anyhow::Error) {
        let title = self.error_style.paint(Color::Red, "error:").into_owned();
        let text = escape_lines(&format!("{error:#}"));
        let _ = write!(self.err, "{title} {text}");
    }
}

/// Whether the user's environment lets colours be used on a terminal (<https://no-color.org>). `set`
/// says whether a variable is there and not empty.
fn color_allowed(set: impl Fn(&str) -> Option<bool>) -> bool {
    set("NO_COLOR") != Some(true) && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
