//! What attempts add up to, and when the next one is due. No I/O and no clock.
//!
//! Thresholds mean what they mean in Kubernetes, with one difference: until a readiness probe has passed
//! for the first time it is asked more often than its period says, so that a sandbox is known to be ready
//! soon after it is.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::plan::{ContainerId, ProbeAction, ProbeSpec, ProbeView};

/// What is said of a probe before its first attempt has ended.
pub(super) const NOT_TRIED: &str = "the probe has not been tried yet";

/// The first waits between attempts at a container that is not ready yet. After them a probe waits a tenth
/// of the time that has passed, at least the last of these and at most its period.
const QUICK: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];

/// Shortest wait between commands: an exec costs an engine nearly as much as a start.
const QUICK_EXEC: Duration = QUICK[3];

/// When a container has not become ready for so long, its status should say why.
const REPORT_AFTER: Duration = Duration::from_secs(2);

/// Longest wait after commands that did not end, unless the period is longer.
const STALL_CAP: Duration = Duration::from_mins(1);

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether the sandbox can be used.
    Readiness,
    /// Whether it must be restarted.
    Liveness,
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        })
    }
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// As it should.
    Passed,
    /// Not as it should.
    Failed(String),
    /// A failure that may have left a command running in the container.
    Stalled(String),
    /// It could not be made, for a reason that is not the container's. Counts as nothing.
    Unknown(String),
}

/// A change that somebody should act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The success threshold is met.
    Passing,
    /// The failure threshold is met.
    Failing,
    /// A readiness probe has been tried for a while and has not passed yet. Told once.
    Delayed,
}

impl fmt::Display for Transition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Passing => "passes",
            Self::Failing => "fails",
            Self::Delayed => "has not passed yet",
        })
    }
}

/// What the attempts at one container, since its last start, add up to.
#[derive(Clone, Debug)]
pub struct ProbeProgress {
    kind: ProbeKind,
    spec: ProbeSpec,
    standing: Standing,
    message: String,
    ever_passed: bool,
    /// In a row, as are the next two.
    successes: u32,
    failures: u32,
    stalls: u32,
    attempts: u32,
    /// Sum of the waits between attempts.
    waited: Duration,
    delay_told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Pending,
    Passing,
    Failing,
}

impl ProbeProgress {
    /// Nothing tried yet.
    #[must_use]
    pub fn new(kind: ProbeKind, spec: &ProbeSpec) -> Self {
        Self {
            kind,
            spec: spec.clone(),
            standing: Standing::Pending,
            message: NOT_TRIED.to_owned(),
            ever_passed: false,
            successes: 0,
            failures: 0,
            stalls: 0,
            attempts: 0,
            waited: Duration::ZERO,
            delay_told: false,
        }
    }

    /// Wait before the first attempt: what is left of the initial delay, which counts from the start of
    /// the container, so a restart of the daemon does not delay it again.
    #[must_use]
    pub fn first_delay(&self, started_at: Option<Timestamp>, now: Timestamp) -> Duration {
        let Some(started_at) = started_at else { return self.spec.initial_delay };
        // A start in the future is a clock that was set back.
        let since = Duration::try_from(now.duration_since(started_at)).unwrap_or_default();
        self.spec.initial_delay.saturating_sub(since)
    }

    /// Counts an attempt.
    pub fn observe(&mut self, attempt: Attempt) -> Option<Transition> {
        if self.attempts > 0 {
            self.waited = self.waited.saturating_add(self.next_delay());
        }
        self.attempts = self.attempts.saturating_add(1);
        self.stalls =
            if matches!(attempt, Attempt::Stalled(_)) { self.stalls.saturating_add(1) } else { 0 };
        match attempt {
            Attempt::Passed => self.passed(),
            Attempt::Failed(message) | Attempt::Stalled(message) => self.failed(message),
            Attempt::Unknown(message) => self.not_passed(message),
        }
    }

    /// Wait between the last attempt and the next.
    #[must_use]
    pub fn next_delay(&self) -> Duration {
        let period = self.spec.period;
        if self.stalls > 0 {
            // Each may have left a process behind, so they must not pile up.
            let doublings = self.stalls.saturating_sub(self.spec.failure_threshold).min(16);
            return period.saturating_mul(1 << doublings).min(period.max(STALL_CAP));
        }
        let unsettled = self.kind == ProbeKind::Readiness && !self.ever_passed;
        // Successes that are being counted must be a period apart to mean anything.
        if unsettled && self.successes == 0 { self.quick_delay().min(period) } else { period }
    }

    /// What the plan is told.
    #[must_use]
    pub fn view(&self, container: &ContainerId) -> ProbeView {
        let (container, message) = (container.clone(), self.message.clone());
        match self.standing {
            Standing::Pending => ProbeView::Pending { message },
            Standing::Passing => ProbeView::Passing { container },
            Standing::Failing => ProbeView::Failing { container, message },
        }
    }

    fn quick_delay(&self) -> Duration {
        let nth = usize::try_from(self.attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let delay = QUICK.get(nth).copied().unwrap_or_else(|| QUICK[3].max(self.waited / 10));
        match self.spec.action {
            ProbeAction::Exec { .. } => delay.max(QUICK_EXEC),
            ProbeAction::Http { .. } | ProbeAction::Tcp { .. } => delay,
        }
    }

    fn passed(&mut self) -> Option<Transition> {
        self.failures = 0;
        self.successes = self.successes.saturating_add(1);
        if self.successes < self.spec.success_threshold {
            self.message =
                format!("{} of {} successes", self.successes, self.spec.success_threshold);
            return None;
        }
        self.ever_passed = true;
        self.enter(Standing::Passing, Transition::Passing)
    }

    fn failed(&mut self, message: String) -> Option<Transition> {
        self.failures = self.failures.saturating_add(1);
        let delayed = self.not_passed(message);
        // What never was ready is starting; what never was alive is not.
        let can_fail = self.kind == ProbeKind::Liveness || self.ever_passed;
        if can_fail && self.failures >= self.spec.failure_threshold {
            return self.enter(Standing::Failing, Transition::Failing);
        }
        delayed
    }

    fn not_passed(&mut self, message: String) -> Option<Transition> {
        self.message = message;
        self.successes = 0;
        let delayed = self.kind == ProbeKind::Readiness
            && !self.ever_passed
            && !self.delay_told
            && self.waited >= REPORT_AFTER;
        delayed.then(|| {
            self.delay_told = true;
            Transition::Delayed
        })
    }

    fn enter(&mut self, standing: Standing, transition: Transition) -> Option<Transition> {
        let changed = self.standing != standing;
        self.standing = standing;
        changed.then_some(transition)
    }
}

#[cfg(test)]
mod tests;
