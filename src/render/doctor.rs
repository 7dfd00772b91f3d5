//! `sandkeeper doctor`: what was checked, and the mend where something is wrong.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Serialize;

use super::{Color, Style, count, escape};

/// How good it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, and could be better or safer.
    Warn,
    /// Does not work, or is dangerous.
    Fail,
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// What, in a word or two.
    pub name: Cow<'static, str>,
    /// How good it is.
    pub level: Level,
    /// What was found.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Check {
    /// As it should be.
    #[must_use]
    pub fn ok(name: &'static str, message: impl Into<String>) -> Self {
        Self { name: name.into(), level: Level::Ok, message: message.into(), mend: None }
    }

    /// Works, and could be better or safer.
    #[must_use]
    pub fn warn(name: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Warn, mend: Some(mend.into()), ..Self::ok(name, message) }
    }

    /// Does not work, or is dangerous.
    #[must_use]
    pub fn fail(name: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { level: Level::Fail, mend: Some(mend.into()), ..Self::ok(name, message) }
    }
}

/// Width of the longest name, and a bit.
const NAME: usize = 16;

/// A line for each check, and one below for its mend.
#[must_use]
pub fn text(checks: &[Check], style: Style) -> String {
    let mut text = String::new();
    for Check { name, level, message, mend } in checks {
        let (word, color) = match level {
            Level::Ok => ("OK  ", Color::Green),
            Level::Warn => ("WARN", Color::Yellow),
            Level::Fail => ("FAIL", Color::Red),
        };
        let word = style.paint(color, word).into_owned();
        let _ = writeln!(text, "{word}  {name:NAME$}  {}", escape(message));
        if let Some(mend) = mend {
            let arrow = style.paint(Color::Dim, "mend:").into_owned();
            let _ = writeln!(text, "{:width$}{arrow} {}", "", escape(mend), width = NAME + 8);
        }
    }
    let number = |level| checks.iter().filter(|check| check.level == level).count();
    let summary = format!(
        "{}, {}, {} passed.",
        count(number(Level::Fail), "failure", "failures"),
        count(number(Level::Warn), "warning", "warnings"),
        count(number(Level::Ok), "check", "checks"),
    );
    let _ = writeln!(text, "\n{}", style.paint(Color::Bold, &summary));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mend_stands_below_its_finding() {
        let checks = [
            Check::ok("clock", "2025-11-24T03:00:00Z"),
            Check::fail("engine", "no answer", "start dockerd"),
        ];
        assert_eq!(
            text(&checks, Style::default()),
            "OK    clock             2025-11-24T03:00:00Z\n\
             FAIL  engine            no answer\n\
             \x20                       mend: start dockerd\n\
             \n\
             1 failure, 0 warnings, 1 check passed.\n"
        );
    }
}
