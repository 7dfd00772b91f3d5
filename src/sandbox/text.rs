//! Rules for text that users write: what a name may look like, and how foreign text is shown.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// Longest piece of foreign text that a message quotes, in characters.
const SHOWN: usize = 64;

/// Longest name of a sandbox, a DNS label (RFC 1123).
pub const MAX_LABEL: usize = 63;

/// Whether this is a DNS-1123 label: lower-case letters, digits and dashes, neither first nor last a
/// dash, at most 63. Such a name is safe as a file name, a hostname and a container name.
#[must_use]
pub fn is_dns_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty()
        && text.len() <= MAX_LABEL
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a character could disturb a terminal, a log line or a reader: control characters, line and
/// paragraph separators, the marks that change the direction of text, and characters of no width.
#[must_use]
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

/// The text on one line, with every unsafe character escaped.
#[must_use]
pub fn one_line(text: &str) -> String {
    escape(text).into_owned()
}

/// [`one_line`], cut after so many characters.
#[must_use]
pub fn one_line_of(text: &str, most: usize) -> String {
    let mut line = one_line(text);
    if let Some((end, _)) = line.char_indices().nth(most) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// [`one_line`], without a copy where there is nothing to escape.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        push_escaped(&mut line, character);
    }
    Cow::Owned(line)
}

/// A path as messages show it: on one line, escaped.
#[must_use]
pub fn shown_path(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// JSON text with what JSON lets through and a terminal acts on (DEL, the C1 controls, direction marks)
/// as `\u` escapes. Such characters occur only inside strings, so the meaning stays; line breaks between
/// values stay too.
#[must_use]
pub fn escape_json(json: &str) -> Cow<'_, str> {
    let acts = |character: char| character != '\n' && is_unsafe(character);
    if !json.contains(acts) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if acts(character) {
            // JSON spells a character beyond the first plane as two halves.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(escaped, "\\u{unit:04x}").expect("a String takes any text");
            }
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Foreign text as a message quotes it: in double quotes, escaped, cut to a readable length.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut quoted = String::from("\"");
    for (index, character) in text.chars().enumerate() {
        if index == SHOWN {
            quoted.push('…');
            break;
        }
        push_escaped(&mut quoted, character);
    }
    quoted.push('"');
    quoted
}

/// The candidate that the user most likely meant, if one is close.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, candidate)| *distance <= tolerance(word, candidate))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// One typing error in three characters, and never more than three, still reads as the same word.
fn tolerance(word: &str, candidate: &str) -> usize {
    (word.chars().count().max(candidate.chars().count()) / 3).clamp(1, 3)
}

fn push_escaped(line: &mut String, character: char) {
    if is_unsafe(character) {
        line.extend(character.escape_default());
    } else {
        line.push(character);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lower_case_ascii_with_inner_dashes() {
        for good in ["a", "web", "web-1", "0", &"a".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a_b", "a/b", "a b", "../x", "wéb", &"a".repeat(64)]
        {
            assert!(!is_dns_label(bad), "{bad}");
        }
    }

    #[test]
    fn foreign_text_cannot_start_a_line_or_turn_it_around() {
        assert_eq!(one_line("a\nb\u{202e}c\u{1b}[31m"), "a\\nb\\u{202e}c\\u{1b}[31m");
        assert_eq!(shown("x\0"), "\"x\\u{0}\"");
        assert_eq!(one_line_of("é\né\n", 3), "é\\n…");
        assert_eq!(one_line_of("abc", 3), "abc");
        assert_eq!(shown(&"x".repeat(100)).chars().count(), SHOWN + 3);
    }

    #[test]
    fn escaped_json_means_the_same() {
        let values = ["\u{9b}31m\u{7f}\u{202e}", "tag \u{e0041}"];
        let json = serde_json::to_string_pretty(&values).unwrap();
        let escaped = escape_json(&json);
        assert!(!escaped.chars().any(|c| c != '\n' && is_unsafe(c)), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), values);
    }

    #[test]
    fn only_close_names_are_suggested() {
        let names = ["image", "imagePullPolicy", "ports", "env"];
        assert_eq!(nearest("imgae", names.into_iter()), Some("image"));
        assert_eq!(nearest("Image", names.into_iter()), Some("image"));
        assert_eq!(nearest("imagepullpolicy", names.into_iter()), Some("imagePullPolicy"));
        assert_eq!(nearest("volumes", names.into_iter()), None);
        assert_eq!(nearest("x", names.into_iter()), None);
    }
}
