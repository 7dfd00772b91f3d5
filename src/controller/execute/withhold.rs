//! An engine's words may repeat what it was asked for, secrets included (`invalid environment variable: …`).
//! Such words are not passed on. Pure.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::error::StepError;
use crate::sandbox::text::one_line;

/// Shorter pieces of a secret occur in any text.
const SHORTEST: usize = 4;
/// So much of a line of a secret gives it away; an engine's words may be cut behind it.
const TELLING: usize = 16;
const WITHHELD: &str = "the engine's words are withheld, because they hold a secret";

impl StepError {
    /// The same, without words that hold one of these secrets.
    pub(super) fn withholding(self, secrets: Option<&BTreeMap<String, SecretString>>) -> Self {
        let Some(secrets) = secrets else { return self };
        let safe = |words: String| {
            if secrets.values().any(|secret| holds(&words, secret)) {
                return WITHHELD.to_owned();
            }
            words
        };
        match self {
            Self::Gone(id) => Self::Gone(id),
            Self::Foreign { container, name } => Self::Foreign { container, name },
            Self::Changed(words) => Self::Changed(safe(words)),
            Self::ImageMissing(words) => Self::ImageMissing(safe(words)),
            Self::PortBusy { port, message } => Self::PortBusy { port, message: safe(message) },
            Self::Terminal { reason, message } => Self::Terminal { reason, message: safe(message) },
            Self::Retry { reason, message } => Self::Retry { reason, message: safe(message) },
            Self::OutcomeUnknown(words) => Self::OutcomeUnknown(safe(words)),
            Self::EngineDown(words) => Self::EngineDown(safe(words)),
        }
    }
}

fn holds(words: &str, secret: &SecretString) -> bool {
    let lines = secret.expose_secret().lines().map(str::trim);
    lines.filter(|line| line.chars().count() >= SHORTEST).any(|line| {
        let telling: String = line.chars().take(TELLING).collect();
        // Words arrive escaped.
        let telling = one_line(&telling);
        words.contains(&telling) || is_cut_within(words, &telling)
    })
}

/// Whether the words end, cut, with the beginning of it.
fn is_cut_within(words: &str, telling: &str) -> bool {
    let Some(words) = words.strip_suffix('…') else { return false };
    let ends = telling.char_indices().map(|(end, _)| end).filter(|end| *end >= SHORTEST);
    ends.into_iter().any(|end| words.ends_with(&telling[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &str, secret: &str) -> String {
        let secrets = BTreeMap::from([("TOKEN".to_owned(), SecretString::from(secret))]);
        let error = StepError::Terminal { reason: "Rejected", message: words.to_owned() };
        error.withholding(Some(&secrets)).to_string()
    }

    #[test]
    fn words_with_a_secret_are_withheld() {
        let secret = "correct-horse-battery-staple";
        for words in [
            "invalid environment variable: TOKEN=correct-horse-battery-staple",
            "bad TOKEN=correct-horse-bat",
            "a sentence that was cut behind TOKEN=correct-…",
            "a sentence that was cut behind TOKEN=corr…",
        ] {
            assert_eq!(said(words, secret), WITHHELD, "{words}");
        }
    }

    #[test]
    fn any_line_of_a_secret_counts_and_so_does_its_escaped_form() {
        assert_eq!(said("bad: cafebabe", "-----BEGIN KEY-----\n  cafebabe\n--"), WITHHELD);
        assert_eq!(said("bad: a\\u{7}bcd", "a\u{7}bcd"), WITHHELD);
    }

    #[test]
    fn other_words_are_passed_on() {
        for words in ["no such image", "a sentence that was cut behind the word cor…", ""] {
            assert_eq!(said(words, "correct-horse-battery-staple"), words);
            assert_eq!(said(words, "no"), words, "too short to be told from other words");
        }
    }
}
