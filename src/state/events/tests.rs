use super::fold::KEPT;
use super::*;

fn state() -> (tempfile::TempDir, StateDir) {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDir::open(&directory.path().join("state")).unwrap();
    (directory, state)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn normal(log: &EventLog, reason: &str, message: &str, second: i64) {
    log.record("web", EventKind::Normal, reason, message, at(second)).unwrap();
}

fn file(state: &StateDir) -> PathBuf {
    state.path().join("events/web.jsonl")
}

fn line_count(state: &StateDir) -> usize {
    std::fs::read_to_string(file(state)).unwrap().lines().count()
}

/// Reason and count of each event.
fn seen(state: &StateDir) -> Vec<(String, u32)> {
    let events = read(state.path(), "web").unwrap();
    events.into_iter().map(|event| (event.reason, event.count)).collect()
}

fn pairs(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    expected.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[test]
fn events_are_read_in_the_order_in_which_they_happened() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Created", "from image a", 0);
    normal(&log, "Started", "container 1", 1);
    log.record("web", EventKind::Warning, "Refused", "no", at(2)).unwrap();
    assert_eq!(seen(&state), pairs(&[("Created", 1), ("Started", 1), ("Refused", 1)]));
    let json = serde_json::to_value(&read(state.path(), "web").unwrap()[2]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "sequence": 2, "sandbox": "web", "type": "Warning", "reason": "Refused",
            "message": "no", "count": 1,
            "firstAt": "2023-11-14T22:13:22Z", "lastAt": "2023-11-14T22:13:22Z",
        })
    );
}

#[test]
fn a_repeat_counts_up_and_moves_to_the_end() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    for round in 0..3 {
        normal(&log, "Started", "container 1", round * 10);
        log.record("web", EventKind::Warning, "Ended", "exit code 1", at(round * 10 + 5)).unwrap();
    }
    normal(&log, "Started", "container 1", 99);
    assert_eq!(seen(&state), pairs(&[("Ended", 3), ("Started", 4)]));
    let events = read(state.path(), "web").unwrap();
    assert_eq!((events[1].first_at, events[1].last_at), (at(0), at(99)));
}

#[test]
fn another_message_kind_or_sandbox_is_no_repeat() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Started", "container 1", 0);
    normal(&log, "Started", "container 2", 1);
    log.record("web", EventKind::Warning, "Started", "container 2", at(2)).unwrap();
    log.record("other", EventKind::Normal, "Started", "container 1", at(3)).unwrap();
    assert_eq!(seen(&state), pairs(&[("Started", 1); 3]));
}

#[test]
fn what_is_long_past_is_not_counted_up() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Created", "same", 0);
    for number in 0..8 {
        normal(&log, "Started", &format!("container {number}"), number + 1);
    }
    normal(&log, "Created", "same", 100);
    assert_eq!(seen(&state).iter().filter(|(reason, _)| reason == "Created").count(), 2);
}

#[test]
fn counting_goes_on_after_a_restart() {
    let (_keep, state) = state();
    for round in 0..3 {
        let log = EventLog::open(&state);
        normal(&log, "Started", "container 1", round);
        normal(&log, "Ready", "it answers", round);
    }
    assert_eq!(seen(&state), pairs(&[("Started", 3), ("Ready", 3)]));
}

#[test]
fn the_last_200_are_kept_and_the_file_stays_bounded() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    for number in 0..1000 {
        normal(&log, "Started", &format!("container {number}"), number);
        assert!(line_count(&state) < 2 * KEPT);
    }
    let events = read(state.path(), "web").unwrap();
    assert_eq!(events.len(), KEPT);
    assert_eq!(events[KEPT - 1].message, "container 999");
    assert_eq!(events[0].message, "container 800");
}

#[test]
fn endless_repeats_keep_the_file_bounded_and_lose_no_count() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Created", "once", 0);
    for round in 0..1000 {
        normal(&log, "Started", "again", round);
        assert!(line_count(&state) < 2 * KEPT);
    }
    assert_eq!(seen(&state), pairs(&[("Created", 1), ("Started", 1000)]));
    normal(&log, "Created", "once", 2000);
    assert_eq!(seen(&state), pairs(&[("Started", 1000), ("Created", 2)]));
}

#[test]
fn a_torn_last_line_costs_that_event_only() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Created", "a", 0);
    normal(&log, "Started", "b", 1);
    let whole = std::fs::read(file(&state)).unwrap();
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in first_line..whole.len() - 1 {
        std::fs::write(file(&state), &whole[..length]).unwrap();
        assert_eq!(seen(&state), pairs(&[("Created", 1)]), "cut at {length}");
        normal(&EventLog::open(&state), "Ready", "c", 2);
        assert_eq!(seen(&state), pairs(&[("Created", 1), ("Ready", 1)]), "cut at {length}");
    }
    // All but the line's end: the event is whole.
    std::fs::write(file(&state), &whole[..whole.len() - 1]).unwrap();
    normal(&EventLog::open(&state), "Ready", "c", 2);
    assert_eq!(seen(&state), pairs(&[("Created", 1), ("Started", 1), ("Ready", 1)]));
}

#[test]
fn a_damaged_file_neither_fails_nor_hides_what_follows() {
    let (_keep, state) = state();
    std::fs::write(file(&state), b"\xff\xfe\x00garbage\n{}\n[1]\nmore").unwrap();
    normal(&EventLog::open(&state), "Created", "a", 0);
    assert_eq!(seen(&state), pairs(&[("Created", 1)]));
}

#[test]
fn after_a_failed_write_the_file_is_read_again() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Created", "a", 0);
    let kept = std::fs::read(file(&state)).unwrap();
    std::fs::remove_file(file(&state)).unwrap();
    std::fs::create_dir(file(&state)).unwrap();
    assert!(log.record("web", EventKind::Normal, "Started", "b", at(1)).is_err());
    std::fs::remove_dir(file(&state)).unwrap();
    std::fs::write(file(&state), &kept[..kept.len() - 1]).unwrap();
    normal(&log, "Created", "a", 2);
    assert_eq!(seen(&state), pairs(&[("Created", 2)]));
}

#[test]
fn a_message_is_one_harmless_line_of_bounded_length() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Refused", "a\nb\u{1b}[31m\u{9b}", 0);
    normal(&log, "Refused", &"ä".repeat(5000), 1);
    let events = read(state.path(), "web").unwrap();
    assert_eq!(events[0].message, "a\\nb\\u{1b}[31m\\u{9b}");
    assert_eq!(events[1].message.chars().count(), 1025);
    // Equal after cutting is equal.
    normal(&log, "Refused", &"ä".repeat(5000), 2);
    assert_eq!(seen(&state).len(), 2);
}

#[test]
fn all_sandboxes_are_read_in_one_order() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    for (name, second) in [("b", 1), ("a", 2), ("b", 3)] {
        log.record(name, EventKind::Normal, "Started", &format!("at {second}"), at(second))
            .unwrap();
    }
    let order: Vec<_> =
        read_all(state.path()).unwrap().into_iter().map(|event| event.sandbox).collect();
    assert_eq!(order, ["b", "a", "b"]);
    assert_eq!(read_all(&state.path().join("none")).unwrap(), []);
}

#[test]
fn forgotten_events_are_gone_and_a_new_life_starts_afresh() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    normal(&log, "Created", "a", 0);
    assert!(log.forget("web").unwrap());
    assert!(!log.forget("web").unwrap());
    assert_eq!(seen(&state), []);
    normal(&log, "Created", "a", 1);
    assert_eq!(seen(&state), pairs(&[("Created", 1)]));
}

#[test]
fn many_threads_lose_no_event() {
    let (_keep, state) = state();
    let log = EventLog::open(&state);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..10 {
                    normal(log, "Started", &format!("{thread}/{number}"), number);
                }
            });
        }
    });
    let total: u32 = seen(&state).iter().map(|(_, count)| count).sum();
    assert_eq!(total, 80);
}

#[test]
fn events_of_sandboxes_that_are_gone_are_kept_for_a_while_and_those_of_the_others_for_good() {
    let (_directory, state) = state();
    let log = EventLog::open(&state);
    for (name, second) in [("declared", 1), ("gone", 1), ("just-gone", 100)] {
        log.record(name, EventKind::Normal, "Created", "", at(second)).unwrap();
    }
    log.forget_old(|name| name == "declared", at(50)).unwrap();
    let left: Vec<String> =
        read_all(state.path()).unwrap().into_iter().map(|event| event.sandbox).collect();
    assert_eq!(left, ["declared", "just-gone"]);
}
