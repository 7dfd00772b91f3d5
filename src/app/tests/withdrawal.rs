//! A spec that is gone takes its container with it, once that is certain.

use std::time::Duration;

use super::world::{World, container_name, internal_error};
use crate::engine::Call;
use crate::engine::fake::{FakeState, FaultPoint};

const TWO: [(&str, &str); 2] = [("web", "image: app:1"), ("db", "image: app:2")];

#[test]
fn a_withdrawn_sandbox_is_stopped_removed_and_forgotten() {
    let mut world = World::running(&TWO);
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    world.until("its record's end", |world| !world.state("specs/web.json").exists());
    world.quiet();
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    assert_eq!(world.containers(), ["t-db app:2 running"]);
    assert!(!world.state("memory/web.json").exists());
    assert!(world.state("specs/db.json").exists());
    // Nothing of it comes back.
    world.restart();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_file_that_is_gone_for_a_moment_costs_nothing() {
    let mut world = World::running(&TWO);
    let uid = world.uid("web");
    world.withdraw("web");
    world.declare("web", "image: app:1");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.uid("web"), uid);
}

#[test]
fn a_sandbox_that_is_declared_again_while_it_goes_gets_a_container_of_its_own() {
    let mut world = World::running(&TWO);
    let uid = world.uid("web");
    world.engine.fake.delay(Call::Stop, Duration::from_secs(1));
    world.withdraw("web");
    world.until("its stop", |world| world.engine.count(Call::Stop) == 1);
    world.declare("web", "image: app:1");
    world.until("another life", |world| world.published_uid("web").is_some_and(|it| it != uid));
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ["stop t-web", "remove t-web", "create t-web", "start t-web"]);
    assert_eq!(world.containers(), ["t-db app:2 running", "t-web app:1 running"]);
    assert_eq!(world.container("web").unwrap().labels["sandkeeper.dev/uid"], world.uid("web"));
}

#[test]
fn a_removal_that_fails_is_asked_for_again() {
    let mut world = World::running(&TWO);
    world.engine.fake.fail(Call::Remove, 2, FaultPoint::Before, internal_error());
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    assert!(world.told("web", "EngineError", "remove"));
}

#[test]
fn a_removal_that_takes_long_is_waited_for() {
    let mut world = World::running(&TWO);
    let uid = world.uid("web");
    world.act(|state| state.slow_removal = true);
    world.withdraw("web");
    world.until("the removal", |world| {
        world.container("web").is_some_and(|it| it.state.to_string() == "removing")
    });
    world.declare("web", "image: app:1");
    world.quiet();
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    world.act(FakeState::finish_removals);
    world.until("another life", |world| world.published_uid("web").is_some_and(|it| it != uid));
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
}

#[test]
fn a_sudden_loss_of_many_specs_is_held_back() {
    let mut world = World::new();
    world.config.delete_guard = 2;
    let mut world =
        world.up(&[("a", "image: app:1"), ("b", "image: app:1"), ("c", "image: app:1")]);
    for name in ["a", "b", "c"] {
        world.withdraw(name);
    }
    world.until_says("a", "UpToDate", "False PruneHeld");
    world.restart();
    world.look_again();
    assert_eq!(world.says("b", "UpToDate"), "False PruneHeld");
    assert_eq!(world.asked(), [""; 0]);
    for name in ["a", "b", "c"] {
        world.declare(name, "image: app:1");
    }
    world.until_says("a", "UpToDate", "True UpToDate");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_directory_that_vanishes_costs_no_container() {
    let mut world = World::running(&TWO);
    let (specs, aside) = (world.config.specs[0].clone(), world.beside("aside"));
    std::fs::rename(&specs, &aside).unwrap();
    world.until_says("web", "UpToDate", "False PruneHeld");
    world.restart();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.containers(), ["t-db app:2 running", "t-web app:1 running"]);
    std::fs::rename(&aside, &specs).unwrap();
    world.until_says("web", "UpToDate", "True UpToDate");
    world.quiet();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_deletion_while_the_daemon_was_down_is_honoured() {
    let mut world = World::running(&TWO);
    world.kill();
    world.withdraw("web");
    world.start();
    world.until("its end", |world| world.status("web").is_none());
    world.quiet();
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    assert_eq!(world.containers(), ["t-db app:2 running"]);
}

#[test]
fn a_container_without_spec_and_record_is_swept_and_a_foreign_one_is_not() {
    let mut world = World::new();
    world.config.resync = Duration::from_millis(200);
    let mut world = world.up(&TWO);
    world.kill();
    world.withdraw("web");
    std::fs::remove_file(world.state("specs/web.json")).unwrap();
    let foreign =
        world.run_foreign(&container_name("stranger"), &std::collections::BTreeMap::new());
    world.start();
    world.until("the sweep", |world| world.container("web").is_none());
    world.until("its end", |world| world.status("web").is_none());
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    assert_eq!(world.find(&foreign.name), Some(foreign));
}
