//! What goes wrong with one sandbox costs that sandbox only.

use std::time::Duration;

use super::link::Fate;
use super::world::World;
use crate::engine::Call;
use crate::engine::fake::FakeState;

#[test]
fn a_creation_that_hangs_keeps_no_other_sandbox_from_its_container() {
    let mut world = World::new();
    world.config.concurrency = 1;
    world.engine.rule(|asked| {
        let hangs = asked.call == Call::Create && asked.name == "t-slow";
        if hangs { Fate::Hang } else { Fate::Go }
    });
    world.declare("slow", "image: app:1");
    world.start();
    world.until("the call that hangs", |world| world.engine.count(Call::Create) == 1);
    world.declare("web", "image: app:1");
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    assert!(world.container("slow").is_none());
}

#[test]
fn a_slow_stop_of_one_sandbox_delays_no_other() {
    let mut world = World::running(&[("slow", "image: app:1"), ("web", "image: app:1")]);
    world.engine.fake.delay(Call::Stop, Duration::from_hours(1));
    world.declare("slow", "image: app:1\noperatingMode: Suspended");
    world.until("the stop", |world| world.engine.count(Call::Stop) == 1);
    world.to("web", FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    assert_eq!(world.asked(), ["start t-web"]);
}

#[test]
fn an_inspect_that_hangs_costs_one_sandbox_only() {
    let mut world = World::running(&[("slow", "image: app:1"), ("web", "image: app:1")]);
    world.engine.rule(|asked| {
        let hangs = asked.call == Call::Inspect && asked.name == "t-slow";
        if hangs { Fate::Hang } else { Fate::Go }
    });
    world.to("slow", FakeState::kill);
    world.to("web", FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    world.declare("late", "image: app:1");
    world.until_ready("late");
    assert_eq!(world.asked(), ["start t-web", "create t-late", "start t-late"]);
}

#[test]
fn a_panic_in_one_reconcile_costs_that_sandbox_only_and_ends_with_its_cause() {
    for call in [Call::Inspect, Call::Start] {
        let mut world = World::running(&[("bad", "image: app:1"), ("web", "image: app:1")]);
        world.engine.rule(move |asked| {
            let panics = asked.call == call && asked.name == "t-bad";
            if panics { Fate::Panic } else { Fate::Go }
        });
        let before = world.engine.count(call);
        world.to("bad", FakeState::kill);
        world.until("a panic", |world| world.engine.count(call) > before + 1);
        world.to("web", FakeState::kill);
        world.until("its restart", |world| world.restarts("web") == 1);
        assert_eq!(world.asked(), ["start t-web"]);
        world.engine.no_rule();
        world.until("its restart", |world| world.restarts("bad") == 1);
        world.until_ready("bad");
        assert_eq!(world.asked(), ["start t-bad"]);
    }
}

#[test]
fn a_broken_file_costs_neither_its_own_sandbox_nor_another() {
    let mut world = World::running(&[("bad", "image: app:1"), ("web", "image: app:1")]);
    std::fs::write(world.file("bad"), "{").unwrap();
    world.until_says("bad", "UpToDate", "False SpecInvalid");
    assert_eq!(world.says("bad", "Ready"), "True ContainerReady");
    world.to("bad", FakeState::kill);
    world.until("its restart", |world| world.restarts("bad") == 1);
    world.restart();
    world.look_again();
    assert_eq!(world.asked(), ["start t-bad"]);
    world.declare("bad", "image: app:1");
    world.until_says("bad", "UpToDate", "True UpToDate");
    world.quiet();
    assert_eq!(world.asked(), [""; 0]);
}
