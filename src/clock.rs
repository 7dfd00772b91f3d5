//! The only reader of the wall clock; everything that decides takes `now` as an argument.

use jiff::Timestamp;

/// Now, by the wall clock, in whole microseconds (what RFC 3339 text keeps).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}
