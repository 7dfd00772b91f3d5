//! An engine's words, made safe to show: its text is as hostile as what containers put into it.

use crate::sandbox::text::is_unsafe;

/// Longest text kept of an engine's message, in bytes.
const LIMIT: usize = 256;
/// Ends a text that was cut.
const CUT: &str = "…";

/// Escapes control and direction-changing characters and cuts the text to 256 bytes.
pub(super) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len().min(LIMIT));
    for character in text.trim().chars() {
        let end = clean.len();
        if is_unsafe(character) {
            clean.extend(character.escape_default());
        } else {
            clean.push(character);
        }
        if clean.len() > LIMIT - CUT.len() {
            clean.truncate(end);
            clean.push_str(CUT);
            break;
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_stays() {
        assert_eq!(clean(" No such container: größe \n"), "No such container: größe");
    }

    #[test]
    fn terminal_and_bidi_controls_are_escaped() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb\\nc\\u{202e}d");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        let cut = clean(&"ü".repeat(1000));
        assert!(cut.len() <= 256, "{} bytes", cut.len());
        assert!(cut.ends_with("ü…"), "{cut}");
    }

    #[test]
    fn text_that_just_fits_is_not_cut_short() {
        assert_eq!(clean(&"x".repeat(250)), "x".repeat(250));
    }
}
