//! An engine that does not answer, lies, or falls silent: nothing is touched on that ground.

use std::time::Duration;

use super::link::Fate;
use super::world::{World, internal_error, unreachable};
use crate::engine::fake::{FakeState, FaultPoint};
use crate::engine::{Call, EngineError};

const TWO: [(&str, &str); 2] = [("web", "image: app:1"), ("db", "image: app:2")];

#[test]
fn an_engine_that_is_away_makes_readiness_unknown_and_changes_nothing_until_it_returns() {
    let mut world = World::running(&TWO);
    world.engine.rule(|_| Fate::Refuse(unreachable()));
    world.engine.fake.break_events();
    for name in ["web", "db"] {
        world.until_says(name, "Ready", "Unknown EngineUnavailable");
    }
    let status = world.status("web").unwrap();
    assert_eq!(world.says("web", "Accepted"), "True Accepted");
    assert!(status.container.is_some(), "what was last seen is still told");
    // Its containers end with it, as they do when an engine stops.
    world.to("web", FakeState::kill);
    world.declare("late", "image: app:1");
    world.until_says("late", "Ready", "Unknown EngineUnavailable");
    assert_eq!(world.asked(), [""; 0]);
    world.engine.no_rule();
    for name in ["web", "db", "late"] {
        world.until_ready(name);
    }
    world.quiet();
    let mut asked = world.asked();
    asked.sort();
    assert_eq!(asked, ["create t-late", "start t-late", "start t-web"]);
}

#[test]
fn an_engine_that_goes_away_without_a_word_is_missed_within_a_resync() {
    let mut world = World::new();
    world.config.resync = Duration::from_millis(200);
    let mut world = world.up(&TWO);
    // The stream neither ends nor speaks, as while it is connected anew or is frozen.
    world.engine.fake.freeze_events(true);
    world.engine.rule(|_| Fate::Refuse(unreachable()));
    for name in ["web", "db"] {
        world.until_says(name, "Ready", "Unknown EngineUnavailable");
    }
    world.engine.no_rule();
    for name in ["web", "db"] {
        world.until_ready(name);
    }
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_daemon_that_starts_while_the_engine_is_away_waits_for_it() {
    let mut world = World::running(&TWO);
    world.kill();
    world.engine.fake.fail(Call::List, 1, FaultPoint::Before, unreachable());
    world.start();
    world.look_again();
    world.until_ready("web");
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_list_that_is_empty_once_doubles_nothing() {
    let mut world = World::running(&TWO);
    for _ in 0..4 {
        world.engine.fake.answer_next_list(Vec::new());
    }
    world.look_again();
    world.until_ready("web");
    world.until_ready("db");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_list_from_the_past_undoes_nothing() {
    let mut world = World::running(&TWO);
    let past = world.act(|state| state.list());
    world.to("web", FakeState::remove_by_force);
    world.until("its return", |world| world.restarts("web") == 1);
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    for _ in 0..4 {
        world.engine.fake.answer_next_list(past.clone());
    }
    world.look_again();
    world.until_ready("web");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_list_that_leaves_one_out_is_not_believed() {
    let mut world = World::running(&TWO);
    let mut partial = world.act(|state| state.list());
    partial.retain(|listed| listed.name != "t-web");
    for _ in 0..4 {
        world.engine.fake.answer_next_list(partial.clone());
    }
    world.look_again();
    world.until_ready("web");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_list_that_cannot_be_read_is_no_list() {
    let mut world = World::running(&TWO);
    let garbled = EngineError::Garbled { call: "list", message: "<html>".to_owned() };
    world.engine.fake.fail(Call::List, 5, FaultPoint::After, garbled);
    world.to("web", FakeState::kill);
    world.until("the failures", |world| world.says("web", "Ready").starts_with("Unknown"));
    assert_eq!(world.asked(), [""; 0]);
    world.until("its restart", |world| world.restarts("web") == 1);
    world.until_ready("db");
    assert_eq!(world.asked(), ["start t-web"]);
}

#[test]
fn an_engine_that_fails_at_random_is_brought_to_the_same_end() {
    let mut world = World::new();
    let mut random = fastrand::Rng::with_seed(3);
    let mut failures = 0;
    world.engine.rule(move |_| {
        if failures == 12 || random.u8(0..10) >= 3 {
            return Fate::Go;
        }
        failures += 1;
        Fate::Refuse(internal_error())
    });
    for name in ["a", "b", "c", "d"] {
        world.declare(name, "image: app:1");
    }
    world.start();
    for name in ["a", "b", "c", "d"] {
        world.until_ready(name);
    }
    let asked = world.asked();
    assert_eq!(asked.len(), 8, "{asked:?}");
}

#[test]
fn without_any_event_a_resync_finds_what_a_list_shows() {
    let mut world = World::new();
    world.config.resync = Duration::from_millis(200);
    let mut world = world.up(&TWO);
    world.engine.fake.freeze_events(true);
    world.to("web", FakeState::kill);
    world.to("db", FakeState::remove_by_force);
    world.until("both", |world| world.restarts("web") == 1 && world.restarts("db") == 1);
    world.until_ready("db");
    let mut asked = world.asked();
    asked.sort();
    assert_eq!(asked, ["create t-db", "start t-db", "start t-web"]);
}

#[test]
fn without_any_event_what_no_list_shows_is_found_in_time() {
    let mut world = World::new();
    world.config.resync = Duration::from_millis(50);
    let mut world = world.up(&TWO);
    world.engine.fake.freeze_events(true);
    world.to("web", |state, id| state.disconnect(id, "bridge"));
    world.until("the network", |world| world.told("web", "Reattached", "lost its network"));
    assert_eq!(world.asked(), ["connect t-web"]);
}

#[test]
fn what_happened_while_events_were_lost_is_found_when_they_return() {
    let mut world = World::running(&TWO);
    world.engine.fake.fail(Call::Events, 1, FaultPoint::Before, unreachable());
    let before = world.engine.count(Call::Events);
    world.engine.fake.break_events();
    world.to("web", FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    assert_eq!(world.asked(), ["start t-web"]);
    world.until("another subscription", |world| world.engine.count(Call::Events) > before + 1);
    world.to("db", FakeState::kill);
    world.until("its restart", |world| world.restarts("db") == 1);
    assert_eq!(world.asked(), ["start t-db"]);
}

#[test]
fn events_that_come_late_and_many_times_over_cost_no_mutation() {
    let mut world = World::running(&TWO);
    world.engine.fake.freeze_events(true);
    for _ in 0..50 {
        // Nothing changes, but the engine talks.
        world.to("web", |state, id| state.rename_by_hand(id, "t-web"));
    }
    world.engine.fake.freeze_events(false);
    world.quiet();
    world.until_ready("web");
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn another_engine_that_answers_after_an_outage_is_not_taken_for_ours() {
    let mut world = World::running(&TWO);
    let ours = world.act(|state| {
        let ours = std::mem::take(&mut state.containers);
        (ours, std::mem::replace(&mut state.capabilities.engine_id, "ANOTHER".to_owned()))
    });
    world.engine.fake.break_events();
    for name in ["web", "db"] {
        world.until_says(name, "Ready", "Unknown EngineUnavailable");
    }
    assert_eq!(world.asked(), [""; 0]);
    world.act(|state| (state.containers, state.capabilities.engine_id) = ours);
    world.until_ready("web");
    world.until_ready("db");
    assert_eq!(world.asked(), [""; 0]);
}
