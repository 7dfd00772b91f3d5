//! What the main process of a fake container does.

use std::time::Duration;

/// Script of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// When it ends by itself, and with which code; `None`: it runs until it is ended.
    pub ends: Option<(Duration, i64)>,
    /// Whether it ignores the stop signal and has to be killed.
    pub ignores_stop: bool,
    /// What it prints when it starts.
    pub prints: String,
}

impl Program {
    /// Runs until it is ended.
    #[must_use]
    pub fn sleeps() -> Self {
        Self::default()
    }

    /// Ends at once.
    #[must_use]
    pub fn exits(code: i64) -> Self {
        Self::ends_after(Duration::ZERO, code)
    }

    /// Ends after a while.
    #[must_use]
    pub fn ends_after(after: Duration, code: i64) -> Self {
        Self { ends: Some((after, code)), ..Self::default() }
    }

    /// The script that an image's name stands for: `exit:N` ends at once with code N,
    /// `crash-after:N` ends N seconds after its start with code 1, anything else runs.
    #[must_use]
    pub fn named(image: &str) -> Self {
        let (name, tag) = image.rsplit_once(':').unwrap_or((image, ""));
        match (name, tag.parse::<u32>()) {
            ("exit", Ok(code)) => Self::exits(i64::from(code)),
            ("crash-after", Ok(seconds)) => {
                Self::ends_after(Duration::from_secs(u64::from(seconds)), 1)
            }
            _ => Self::sleeps(),
        }
    }

    /// Exit code after a stop.
    pub(super) fn stopped(&self) -> i64 {
        if self.ignores_stop { 137 } else { 143 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_name_is_its_script() {
        assert_eq!(Program::named("exit:3"), Program::exits(3));
        let crash = Program::ends_after(Duration::from_secs(5), 1);
        assert_eq!(Program::named("crash-after:5"), crash);
        assert_eq!(Program::named("web:1"), Program::sleeps());
        assert_eq!(Program::named("exit"), Program::sleeps());
    }
}
