//! From a new spec file to a running container, whatever happens to the calls on the way.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::world::{World, internal_error, lost};
use crate::engine::Call;
use crate::engine::fake::FaultPoint;

/// Files of the state directory with what changes when one is written.
fn prints(world: &World) -> Vec<(PathBuf, u64, u64)> {
    let mut prints = Vec::new();
    for directory in ["status", "memory", "events", "specs"] {
        for entry in std::fs::read_dir(world.state(directory)).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            prints.push((entry.path(), metadata.ino(), metadata.len()));
        }
    }
    prints.sort();
    prints
}

#[test]
fn a_declared_sandbox_is_created_and_started_once_and_then_left_alone() {
    let mut world = World::new();
    world.declare("web", "image: app:1");
    world.start();
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    let written = prints(&world);
    world.look_again();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(prints(&world), written);
}

#[test]
fn a_lost_reply_of_a_creation_or_a_start_doubles_nothing() {
    for call in [Call::Create, Call::Start] {
        let mut world = World::new();
        world.engine.fake.fail(call, 1, FaultPoint::After, lost());
        world.declare("web", "image: app:1");
        world.start();
        world.until_ready("web");
        world.quiet();
        assert_eq!(world.asked(), ["create t-web", "start t-web"], "{call:?}");
    }
}

#[test]
fn a_lost_reply_of_a_stop_or_a_removal_doubles_nothing() {
    for call in [Call::Stop, Call::Remove] {
        let mut world = World::running(&[("web", "image: app:1")]);
        world.engine.fake.fail(call, 1, FaultPoint::After, lost());
        world.withdraw("web");
        world.until("its end", |world| world.status("web").is_none());
        assert_eq!(world.asked(), ["stop t-web", "remove t-web"], "{call:?}");
        assert_eq!(world.containers(), [""; 0]);
    }
}

#[test]
fn a_creation_that_never_reached_the_engine_is_asked_for_again() {
    let mut world = World::new();
    world.engine.fake.fail(Call::Create, 1, FaultPoint::Before, lost());
    world.declare("web", "image: app:1");
    world.start();
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
}

#[test]
fn a_creation_that_fails_backs_off_says_so_and_succeeds() {
    let mut world = World::new();
    world.engine.fake.fail(Call::Create, 2, FaultPoint::Before, internal_error());
    world.declare("web", "image: app:1");
    world.start();
    world.until_says("web", "Ready", "False StartFailed");
    let message = world.condition("web", "Ready").unwrap().message;
    assert!(message.contains("no space left on device; attempt 2 at "), "{message}");
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    assert!(world.told("web", "EngineError", "no space left on device"));
    assert_eq!(world.memory("web").failure, None);
}

#[test]
fn an_edit_beats_the_back_off() {
    let mut world = World::new();
    // So many failures would keep it waiting for minutes.
    world.engine.fake.fail(Call::Create, 3, FaultPoint::Before, internal_error());
    world.declare("web", "image: app:1");
    world.start();
    world.until("the third failure", |world| {
        let message = world.condition("web", "Ready").map(|it| it.message);
        message.is_some_and(|message| message.contains("attempt 4"))
    });
    let creations = world.engine.count(Call::Create);
    world.declare("web", "image: app:2");
    world.until_runs("web", "app:2");
    assert_eq!(world.engine.count(Call::Create), creations + 1);
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
}

#[test]
fn a_start_that_cannot_succeed_waits_for_an_edit() {
    let mut world = World::new();
    let bad = crate::engine::EngineError::Rejected("exec: no such file".to_owned());
    world.engine.fake.fail(Call::Start, 1, FaultPoint::Before, bad);
    world.declare("web", "image: app:1\ncommand: [/nowhere]");
    world.start();
    world.until_says("web", "Ready", "False StartFailed");
    world.look_again();
    assert_eq!(world.asked(), ["create t-web"]);
    world.declare("web", "image: app:1");
    world.until_runs("web", "app:1");
    assert_eq!(world.asked(), ["remove t-web", "create t-web", "start t-web"]);
}
