//! What people read: tables, descriptions, plans. Values in, text out; nothing here reads a file or a
//! clock or writes to a stream. Every text that a user, an image or an engine chose passes [`escape`].

pub mod age;
pub mod describe;
pub mod doctor;
pub mod events;
pub mod plan;
pub mod problems;
pub mod sandboxes;
pub mod table;

use std::borrow::Cow;

pub use crate::sandbox::text::{escape, escape_json};

/// Whether to colour, decided once for a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Use ANSI colours.
    pub color: bool,
}

/// The few colours that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Good, or new.
    Green,
    /// Bad, or gone.
    Red,
    /// Look here.
    Yellow,
    /// Less important.
    Dim,
    /// More important.
    Bold,
}

impl Style {
    /// The text in this colour, or as it is.
    #[must_use]
    pub fn paint(self, color: Color, text: &str) -> Cow<'_, str> {
        if !self.color {
            return Cow::Borrowed(text);
        }
        let code = match color {
            Color::Green => 32,
            Color::Red => 31,
            Color::Yellow => 33,
            Color::Dim => 2,
            Color::Bold => 1,
        };
        Cow::Owned(format!("\x1b[{code}m{text}\x1b[0m"))
    }
}

/// [`escape`] for text of several lines: line breaks stay.
#[must_use]
pub fn escape_lines(text: &str) -> String {
    text.lines().flat_map(|line| [escape(line), "\n".into()]).collect()
}

/// Text with every line moved to the right.
pub(crate) fn indent(text: &str, width: usize) -> String {
    text.lines()
        .map(
            |line| if line.is_empty() { "\n".to_owned() } else { format!("{:width$}{line}\n", "") },
        )
        .collect()
}

/// `1 sandbox`, `2 sandboxes`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_and_direction_marks_are_escaped() {
        assert_eq!(escape("a\x1b[31m\nb\t\u{202e}c\u{9b}"), "a\\u{1b}[31m\\nb\\t\\u{202e}c\\u{9b}");
    }

    #[test]
    fn plain_text_in_any_script_is_left_alone() {
        assert_eq!(escape("Füße 沙箱"), "Füße 沙箱");
    }

    #[test]
    fn nothing_is_coloured_unless_asked() {
        assert_eq!(Style { color: false }.paint(Color::Red, "x"), "x");
        assert_eq!(Style { color: true }.paint(Color::Red, "x"), "\x1b[31mx\x1b[0m");
    }
}
