//! Back-off: how long to wait before the next restart or the next try. Pure; jitter comes from the
//! sandbox's identity, so that a herd spreads and a replay gives the same plan.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::memory::Restarts;
use super::observed::Container;

/// Delay before the second restart in a row; the first is made at once. Doubles from there.
pub const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Longest delay (the kubelet's cap).
pub const LONGEST_DELAY: Duration = Duration::from_mins(5);
/// A run of at least this long ends a streak of restarts (the kubelet's rule: twice its cap).
pub const HEALTHY_STRETCH: Duration = Duration::from_mins(10);

/// Delay after `streak` restarts in a row: nothing, 1 s, 2 s, 4 s … 300 s, each up to a tenth longer.
#[must_use]
pub fn delay(streak: u32, identity: &str) -> Duration {
    if streak == 0 {
        return Duration::ZERO;
    }
    let doublings = (streak - 1).min(16);
    let base = FIRST_DELAY.saturating_mul(1 << doublings).min(LONGEST_DELAY);
    base + base.mul_f64(jitter(identity, streak) / 10.0)
}

/// When the next restart may be made, after an end at `ended_at`. An end in the future is one from before the
/// clock was set back: nobody knows how long ago that was, and a wait from now would begin anew at each look.
#[must_use]
pub fn due(ended_at: Timestamp, streak: u32, identity: &str, now: Timestamp) -> Timestamp {
    if ended_at > now { now } else { plus(ended_at, delay(streak, identity)) }
}

/// When a container ended, as far as that can be told: an engine whose clock is ahead of ours reports the
/// future, and then our own last restart has to stand for it.
#[must_use]
pub fn ended_at(restarts: &Restarts, container: &Container, now: Timestamp) -> Timestamp {
    let past = container.finished_at.filter(|ended| *ended <= now);
    past.or(restarts.last_at).or(container.finished_at).unwrap_or(now)
}

/// The streak that counts for a container that has ended: a healthy stretch clears it.
#[must_use]
pub fn streak_after_run(restarts: &Restarts, container: &Container) -> u32 {
    match (container.started_at, container.finished_at) {
        (Some(started), Some(finished)) if since(started, finished) >= HEALTHY_STRETCH => 0,
        _ => restarts.streak,
    }
}

/// The streak that counts for a container that is gone: time since the last restart stands for the run.
#[must_use]
pub fn streak_after_absence(restarts: &Restarts, now: Timestamp) -> u32 {
    match restarts.last_at {
        Some(last) if since(last, now) >= HEALTHY_STRETCH => 0,
        _ => restarts.streak,
    }
}

/// `later - earlier`, or zero when the clock ran backwards.
#[must_use]
pub fn since(earlier: Timestamp, later: Timestamp) -> Duration {
    later.duration_since(earlier).try_into().unwrap_or(Duration::ZERO)
}

/// `time + duration`, at most the end of representable time.
#[must_use]
pub fn plus(time: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| time.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}

/// A number from 0 to 1 that depends on nothing but its arguments (FNV-1a).
fn jitter(identity: &str, streak: u32) -> f64 {
    let bytes = identity.bytes().chain(streak.to_le_bytes());
    let hash = bytes
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    f64::from(hash) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_restart_is_at_once_and_the_rest_double_to_the_cap() {
        assert_eq!(delay(0, "a"), Duration::ZERO);
        for (streak, seconds) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (4_000_000, 300)] {
            let base = Duration::from_secs(seconds);
            let actual = delay(streak, "a");
            assert!(actual >= base && actual <= base.mul_f64(1.1), "{streak}: {actual:?}");
        }
    }

    #[test]
    fn jitter_differs_between_sandboxes_and_repeats_for_one() {
        assert_eq!(delay(5, "a"), delay(5, "a"));
        assert_ne!(delay(5, "a"), delay(5, "b"));
        let tenth = |number: u32| (jitter(&format!("s{number}"), 1) * 10.0).floor().to_string();
        let tenths: std::collections::BTreeSet<String> = (0..200).map(tenth).collect();
        assert_eq!(tenths.len(), 10, "a fleet is spread over all of it: {tenths:?}");
    }

    #[test]
    fn a_healthy_stretch_since_the_last_restart_ends_the_streak_of_one_that_is_gone() {
        let last: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let restarts = Restarts { total: 9, streak: 4, last_at: Some(last) };
        let healthy = plus(last, HEALTHY_STRETCH);
        assert_eq!(streak_after_absence(&restarts, healthy), 0);
        assert_eq!(streak_after_absence(&restarts, healthy - SignedDuration::from_millis(1)), 4);
        let never = Restarts { last_at: None, ..restarts };
        assert_eq!(streak_after_absence(&never, healthy), 4);
    }

    #[test]
    fn a_clock_set_back_does_not_stretch_the_wait() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let ended: Timestamp = "2036-01-01T00:00:00Z".parse().unwrap();
        let due_at = due(ended, 3, "a", now);
        assert!(since(now, due_at) < Duration::from_secs(5));
        assert!(due(ended, 3, "a", due_at) <= due_at, "nor put it off each time it is asked about");
        assert_eq!(since(ended, now), Duration::ZERO);
    }
}
