use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn spec() -> ProbeSpec {
    ProbeSpec {
        action: ProbeAction::Tcp { port: "http".to_owned() },
        initial_delay: Duration::ZERO,
        period: 10 * SECOND,
        timeout: SECOND,
        success_threshold: 1,
        failure_threshold: 3,
    }
}

fn readiness(spec: &ProbeSpec) -> ProbeProgress {
    ProbeProgress::new(ProbeKind::Readiness, spec)
}

fn liveness(spec: &ProbeSpec) -> ProbeProgress {
    ProbeProgress::new(ProbeKind::Liveness, spec)
}

fn failed() -> Attempt {
    Attempt::Failed("refused".to_owned())
}

fn stalled() -> Attempt {
    Attempt::Stalled("no end".to_owned())
}

fn id() -> ContainerId {
    ContainerId("c".to_owned())
}

fn pending(message: &str) -> ProbeView {
    ProbeView::Pending { message: message.to_owned() }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn the_first_success_passes_once() {
    let mut probe = readiness(&spec());
    assert_eq!(probe.view(&id()), pending(NOT_TRIED));
    assert_eq!(probe.observe(Attempt::Passed), Some(Transition::Passing));
    assert_eq!(probe.observe(Attempt::Passed), None);
    assert_eq!(probe.view(&id()), ProbeView::Passing { container: id() });
}

#[test]
fn successes_must_be_in_a_row() {
    let mut probe = readiness(&ProbeSpec { success_threshold: 2, period: SECOND, ..spec() });
    assert_eq!(probe.observe(Attempt::Passed), None);
    assert_eq!(probe.view(&id()), pending("1 of 2 successes"));
    assert_eq!(probe.observe(failed()), None);
    assert_eq!(probe.observe(Attempt::Passed), None);
    assert_eq!(probe.observe(Attempt::Passed), Some(Transition::Passing));
}

#[test]
fn what_never_was_ready_is_pending_however_often_it_fails() {
    let mut probe = readiness(&spec());
    for _ in 0..100 {
        assert_ne!(probe.observe(failed()), Some(Transition::Failing));
        assert_eq!(probe.view(&id()), pending("refused"));
    }
}

#[test]
fn what_was_ready_fails_at_the_threshold_and_recovers() {
    let mut probe = readiness(&spec());
    probe.observe(Attempt::Passed);
    assert_eq!(probe.observe(failed()), None);
    assert_eq!(probe.observe(failed()), None);
    assert_eq!(probe.view(&id()), ProbeView::Passing { container: id() });
    assert_eq!(probe.observe(failed()), Some(Transition::Failing));
    assert_eq!(probe.observe(failed()), None);
    let message = "refused".to_owned();
    assert_eq!(probe.view(&id()), ProbeView::Failing { container: id(), message });
    assert_eq!(probe.observe(Attempt::Passed), Some(Transition::Passing));
}

#[test]
fn a_success_starts_the_count_of_failures_again() {
    let mut probe = liveness(&spec());
    for _ in 0..10 {
        assert_eq!(probe.observe(failed()), None);
        assert_eq!(probe.observe(failed()), None);
        assert_ne!(probe.observe(Attempt::Passed), Some(Transition::Failing));
    }
}

#[test]
fn what_never_was_alive_fails_at_the_threshold() {
    let mut probe = liveness(&spec());
    assert_eq!(probe.observe(failed()), None);
    assert_eq!(probe.observe(stalled()), None);
    assert_eq!(probe.observe(failed()), Some(Transition::Failing));
}

#[test]
fn an_engine_that_fails_counts_neither_way() {
    let unknown = || Attempt::Unknown("the engine cannot be reached".to_owned());
    let mut probe = liveness(&spec());
    for _ in 0..100 {
        assert_eq!(probe.observe(unknown()), None);
    }
    assert_eq!(probe.view(&id()), pending("the engine cannot be reached"));
    probe.observe(Attempt::Passed);
    probe.observe(failed());
    probe.observe(failed());
    probe.observe(unknown());
    assert_eq!(probe.view(&id()), ProbeView::Passing { container: id() });
    assert_eq!(probe.observe(failed()), Some(Transition::Failing));
}

#[test]
fn until_it_is_ready_it_is_asked_quickly_and_then_ever_more_slowly() {
    let mut probe = readiness(&spec());
    let mut delays = Vec::new();
    let mut waited = Duration::ZERO;
    for _ in 0..200 {
        probe.observe(failed());
        let delay = probe.next_delay();
        assert!(delay <= (waited / 10).max(Duration::from_millis(200)), "{delay:?} at {waited:?}");
        waited += delay;
        delays.push(delay);
    }
    let first: Vec<u128> = delays.iter().take(6).map(Duration::as_millis).collect();
    assert_eq!(first, [20, 50, 100, 200, 200, 200]);
    assert!(delays.is_sorted());
    assert_eq!(delays.last(), Some(&(10 * SECOND)));
}

#[test]
fn once_ready_and_for_liveness_the_period_holds() {
    let mut ready = readiness(&spec());
    ready.observe(Attempt::Passed);
    ready.observe(failed());
    assert_eq!(ready.next_delay(), 10 * SECOND);
    let mut alive = liveness(&spec());
    alive.observe(failed());
    assert_eq!(alive.next_delay(), 10 * SECOND);
}

#[test]
fn successes_that_are_counted_are_a_period_apart() {
    let mut probe = readiness(&ProbeSpec { success_threshold: 2, ..spec() });
    probe.observe(Attempt::Passed);
    assert_eq!(probe.next_delay(), 10 * SECOND);
}

#[test]
fn a_short_period_bounds_the_quick_waits() {
    let mut probe = readiness(&ProbeSpec { period: SECOND, ..spec() });
    for _ in 0..100 {
        probe.observe(failed());
        assert!(probe.next_delay() <= SECOND);
    }
}

#[test]
fn commands_are_asked_for_less_quickly() {
    let action = ProbeAction::Exec { command: vec!["true".to_owned()] };
    let mut probe = readiness(&ProbeSpec { action, ..spec() });
    probe.observe(failed());
    assert_eq!(probe.next_delay(), QUICK_EXEC);
}

#[test]
fn commands_that_do_not_end_do_not_pile_up() {
    let mut probe = readiness(&spec());
    let mut delays = Vec::new();
    for _ in 0..8 {
        probe.observe(stalled());
        delays.push(probe.next_delay().as_secs());
    }
    assert_eq!(delays, [10, 10, 10, 20, 40, 60, 60, 60]);
    probe.observe(Attempt::Passed);
    assert_eq!(probe.next_delay(), 10 * SECOND);
}

#[test]
fn a_slow_start_is_told_once() {
    let mut probe = readiness(&spec());
    let told: Vec<Transition> = (0..100).filter_map(|_| probe.observe(failed())).collect();
    assert_eq!(told, [Transition::Delayed]);
    assert!(liveness(&spec()).observe(failed()).is_none());
}

#[test]
fn a_quick_start_is_not_told_as_slow() {
    let mut probe = readiness(&spec());
    for _ in 0..5 {
        assert_eq!(probe.observe(failed()), None);
    }
    assert_eq!(probe.observe(Attempt::Passed), Some(Transition::Passing));
}

#[test]
fn the_initial_delay_counts_from_the_start_of_the_container() {
    let probe = liveness(&ProbeSpec { initial_delay: 30 * SECOND, ..spec() });
    let started = Some(at("2026-01-01T00:00:00Z"));
    let first = |now: &str| probe.first_delay(started, at(now));
    assert_eq!(first("2026-01-01T00:00:00Z"), 30 * SECOND);
    assert_eq!(first("2026-01-01T00:00:10Z"), 20 * SECOND);
    assert_eq!(first("2026-01-01T09:00:00Z"), Duration::ZERO);
    assert_eq!(first("2025-01-01T00:00:00Z"), 30 * SECOND, "a clock set back never adds to it");
    assert_eq!(probe.first_delay(None, at("2026-01-01T00:00:00Z")), 30 * SECOND);
}
