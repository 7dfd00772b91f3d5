//! The daemon dies before or after any of its calls, and another one goes on: the world ends as if nothing
//! had happened, and at the same price.

use super::link::Fate;
use super::replacement::{REPLACED, ROLLED_BACK, UP_AT_ONCE};
use super::world::World;
use crate::engine::fake::FakeState;

/// Points that are tried at the same time.
const AT_ONCE: usize = 6;

/// Something that changes, and how its end is known.
struct Scenario {
    prepare: fn() -> World,
    change: fn(&World),
    /// What the change asks of the engine when nothing goes wrong.
    asks: &'static [&'static str],
    settled: fn(&World) -> bool,
    containers: &'static [&'static str],
}

impl Scenario {
    /// Without a crash first, so that the rest has something to be compared with.
    fn sweep(&self) {
        self.run("without a crash", None);
        let calls = 1..=self.asks.len();
        let points: Vec<(usize, Fate)> =
            calls.flat_map(|call| [(call, Fate::DieBefore), (call, Fate::DieAfter)]).collect();
        for points in points.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                for (call, fate) in points {
                    let what = format!("{fate:?} call {call} of {:?}", self.asks);
                    scope.spawn(move || self.run(&what, Some((*call, fate.clone()))));
                }
            });
        }
    }

    fn run(&self, what: &str, crash: Option<(usize, Fate)>) {
        let mut world = (self.prepare)();
        if let Some((call, fate)) = crash {
            let mut calls = 0;
            world.engine.rule(move |asked| {
                calls += usize::from(asked.mutates());
                if asked.mutates() && calls == call { fate.clone() } else { Fate::Go }
            });
            (self.change)(&world);
            world.until(what, World::is_dead);
            world.kill();
            world.engine.no_rule();
            world.start();
        } else {
            (self.change)(&world);
        }
        // The one that died may have published the end already, with the clean-up still to come.
        world.until(what, |world| (self.settled)(world) && world.containers() == self.containers);
        world.look_again();
        // In whatever order: a successor may finish what it finds before it goes on.
        let mut asked = world.asked();
        let mut asks = self.asks.to_vec();
        asked.sort();
        asks.sort_unstable();
        assert_eq!(asked, asks, "{what}");
        assert_eq!(world.containers(), self.containers, "{what}");
        world.look_again();
        assert_eq!(world.asked(), [""; 0], "{what}");
    }
}

fn is(world: &World, type_: &str, says: &str) -> bool {
    world.says("web", type_) == says
}

#[test]
fn a_first_creation_survives_a_crash_at_any_call() {
    let scenario = Scenario {
        prepare: || World::new().up(&[]),
        change: |world| world.declare("web", "image: app:1"),
        asks: &["create t-web", "start t-web"],
        settled: |world| is(world, "Ready", "True ContainerReady"),
        containers: &["t-web app:1 running"],
    };
    scenario.sweep();
}

fn running() -> World {
    let world = World::running(&[("web", "image: app:1")]);
    world.engine.set_behind(UP_AT_ONCE);
    world
}

#[test]
fn a_replacement_survives_a_crash_at_any_call() {
    let scenario = Scenario {
        prepare: running,
        change: |world| world.declare("web", "image: app:2"),
        asks: &REPLACED,
        settled: |world| {
            is(world, "UpToDate", "True UpToDate")
                && is(world, "Ready", "True ContainerReady")
                && world.container("web").is_some_and(|it| it.image == "app:2")
        },
        containers: &["t-web app:2 running"],
    };
    scenario.sweep();
}

#[test]
fn a_roll_back_survives_a_crash_at_any_call() {
    let scenario = Scenario {
        prepare: running,
        change: |world| world.declare("web", "image: exit:1"),
        asks: &ROLLED_BACK,
        settled: |world| {
            is(world, "UpToDate", "False UpdateFailed") && is(world, "Ready", "True ContainerReady")
        },
        containers: &["t-web app:1 running"],
    };
    scenario.sweep();
}

#[test]
fn a_withdrawal_survives_a_crash_at_any_call() {
    let scenario = Scenario {
        prepare: running,
        change: |world| world.withdraw("web"),
        asks: &["stop t-web", "remove t-web"],
        settled: |world| world.status("web").is_none(),
        containers: &[],
    };
    scenario.sweep();
}

#[test]
fn a_suspension_survives_a_crash_and_is_no_crash_of_the_container() {
    let scenario = Scenario {
        prepare: running,
        change: |world| world.declare("web", "image: app:1\noperatingMode: Suspended"),
        asks: &["stop t-web"],
        settled: |world| is(world, "Suspended", "True ContainerStopped"),
        containers: &["t-web app:1 exited"],
    };
    scenario.sweep();
}

#[test]
fn a_restart_survives_a_crash_at_any_call() {
    let scenario = Scenario {
        prepare: running,
        change: |world| world.to("web", FakeState::kill),
        asks: &["start t-web"],
        settled: |world| is(world, "Ready", "True ContainerReady") && world.restarts("web") > 0,
        containers: &["t-web app:1 running"],
    };
    scenario.sweep();
}

#[test]
fn a_restarted_daemon_restarts_no_container() {
    let mut world = World::running(&[("web", "image: app:1"), ("db", "image: app:2")]);
    let before = (world.container("web"), world.container("db"));
    world.restart();
    world.look_again();
    assert_eq!(world.stop(), std::process::ExitCode::SUCCESS);
    world.start();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!((world.container("web"), world.container("db")), before);
}
