//! An engine's words, made safe to show: its text is as hostile as what containers put into it, and an answer
//! about a container has the container's environment in it, which no error may quote.

use super::{Call, EngineError};
use crate::sandbox::text::is_unsafe;

/// Longest text kept of an engine's message, in bytes.
const LIMIT: usize = 256;
/// Ends a text that was cut.
const CUT: &str = "…";
/// Longest word of an engine's that is quoted, in bytes.
const WORD: usize = 32;

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

/// A word that an answer has where one of a few is known, to be quoted in an error. What is not letters alone
/// is no new word of the engine's but something out of place, and stays unsaid.
pub(super) fn word(word: &str) -> String {
    let plain = word.len() <= WORD && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    if plain { format!("{word:?}") } else { CUT.to_owned() }
}

/// An answer that cannot be read.
pub(super) fn garbled(call: Call, message: &str) -> EngineError {
    EngineError::Garbled { call: call.name(), message: clean(message) }
}

/// An answer that a parser cannot read, in its words, but for the values that these quote.
pub(super) fn unreadable(call: Call, error: &impl ToString) -> EngineError {
    garbled(call, &without_values(&error.to_string()))
}

/// A parser's message without the values that it quotes. serde quotes text as `string "…"`, and the names of
/// variants and fields in backticks.
fn without_values(message: &str) -> String {
    let hidden = between(message, "\"", "\"");
    ["unknown variant `", "unknown field `"]
        .into_iter()
        .fold(hidden, |message, start| between(&message, start, "`, "))
}

/// The text with `…` for what stands between the first `start` and the last `end` after it.
fn between(text: &str, start: &str, end: &str) -> String {
    let Some((before, rest)) = text.split_once(start) else { return text.to_owned() };
    let after = rest.rsplit_once(end).map_or("", |(_, after)| after);
    format!("{before}{start}…{end}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parsers_error_quotes_no_value() {
        let error = serde_json::from_str::<Vec<String>>(r#""TOKEN=a\"b""#).unwrap_err();
        assert!(error.to_string().contains("TOKEN"), "{error}");
        let said = unreadable(Call::Inspect, &error).to_string();
        assert!(!said.contains("TOKEN") && said.contains("expected a sequence"), "{said}");
        let said = without_values("unknown variant `TOKEN`=`x`, expected `a` or `b` at line 1");
        assert_eq!(said, "unknown variant `…`, expected `a` or `b` at line 1");
        assert_eq!(without_values("missing field `Id`"), "missing field `Id`");
    }

    #[test]
    fn only_a_plain_word_is_quoted() {
        assert_eq!(word("hibernating"), "\"hibernating\"");
        for other in ["TOKEN=canary", "two words", "sk-5714", "a\u{1b}b", &"x".repeat(33)] {
            assert_eq!(word(other), "…");
        }
    }

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
