//! The end of a sandbox's life.

use jiff::fmt::friendly::SpanParser;
use jiff::{SignedDuration, SpanRelativeTo, Timestamp};

use crate::sandbox::SandboxSpec;
use crate::sandbox::text::shown;

use super::Findings;

/// Longest of the periods that are given in seconds: a day.
pub(super) const MAX_SECONDS: u32 = 86_400;

/// When the sandbox's life ends.
pub(super) fn shutdown_at(
    spec: &SandboxSpec,
    created_at: Timestamp,
    findings: &mut Findings,
) -> Option<Timestamp> {
    match (&spec.shutdown_time, spec.shutdown_after.as_deref()) {
        (None, None) => None,
        (Some(time), None) => Some(time.0),
        (None, Some(after)) => {
            let end = duration(after).and_then(|after| {
                created_at.checked_add(after).map_err(|_| "is too long".to_owned())
            });
            Some(findings.take("spec.shutdownAfter", end))
        }
        (Some(_), Some(_)) => {
            findings.problem("spec", "set shutdownTime or shutdownAfter, not both");
            None
        }
    }
}

/// `8h`, `90m`, `1d 12h`. Days are 24 hours: the end must not depend on a time zone.
fn duration(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{} is not a duration; write it as in 8h, 90m or 1d12h", shown(text));
    // The parser also takes years, words and ISO 8601; a spec has one way to say it.
    let unit = |byte: u8| byte.is_ascii_digit() || b"dhms ".contains(&byte);
    let lone_units = text.split(|byte: char| !byte.is_ascii_alphabetic()).all(|it| it.len() <= 1);
    if !text.bytes().all(unit) || !lone_units {
        return Err(wrong());
    }
    let span = SpanParser::new().parse_span(text).map_err(|_| wrong())?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "is too long".to_owned())?;
    if duration.is_positive() {
        Ok(duration)
    } else {
        Err("must be longer than nothing".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_days_hours_minutes_and_seconds() {
        let table = [
            ("8h", 8 * 3600),
            ("90m", 90 * 60),
            ("45s", 45),
            ("1d12h", 36 * 3600),
            ("1d 12h", 36 * 3600),
            ("30d", 30 * 86_400),
        ];
        for (text, seconds) in table {
            assert_eq!(duration(text), Ok(SignedDuration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in
            ["", "8", "h", "8 hours", "1w", "1mo", "-8h", "8h ago", "PT8H", "1.5h", "8ms", "1h30"]
        {
            let message = duration(text).unwrap_err();
            assert!(message.ends_with("write it as in 8h, 90m or 1d12h"), "{text}: {message}");
        }
        assert_eq!(duration("0s").unwrap_err(), "must be longer than nothing");
        assert!(duration("99999999999999999d").is_err());
    }
}
