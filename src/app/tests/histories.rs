//! Random histories of users, faults, edits and dying daemons. In the end, with the faults over, the world
//! is what the specs say, and nothing foreign was touched on the way.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::link::Fate;
use super::world::{World, internal_error, lost, unreachable};
use crate::engine::fake::{FakeState, FaultPoint};
use crate::engine::{Call, EngineError};
use crate::plan::ContainerId;

const SANDBOXES: [&str; 3] = ["a", "b", "c"];
const IMAGES: [&str; 4] = ["app:1", "app:2", "exit:1", "nowhere:1"];
const MUTATIONS: [Call; 6] =
    [Call::Create, Call::Start, Call::Stop, Call::Rename, Call::Remove, Call::Unpause];

/// A container that no sandbox of ours could ever have to do with.
const STRANGER: &str = "t-stranger";

/// Things that happen in one history.
const LENGTH: usize = 12;

fn pick<T: Clone>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())].clone()
}

fn something_happens(world: &mut World, random: &mut Rng) {
    let name = pick(random, &SANDBOXES);
    match random.u8(0..13) {
        0..=2 => world.declare(name, &format!("image: {}", pick(random, &IMAGES))),
        3 => world.declare(name, "image: app:1\noperatingMode: Suspended"),
        4 => {
            let _ = std::fs::remove_file(world.file(name));
        }
        5 | 6 => a_user_acts(world, random, name),
        7 => {
            let error = pick(random, &[lost(), internal_error(), unreachable()]);
            let point = pick(random, &[FaultPoint::Before, FaultPoint::After]);
            // A connection that was refused had no effect.
            let refused = matches!(error, EngineError::Unreachable(_));
            let point = if refused { FaultPoint::Before } else { point };
            world.engine.fake.fail(pick(random, &MUTATIONS), 1, point, error);
        }
        8 => world.engine.fake.answer_next_list(Vec::new()),
        9 => a_stranger_takes_a_name(world, random, name),
        10 => world.engine.fake.break_events(),
        11 => {
            let policy = pick(random, &["Never", "OnFailure"]);
            world.declare(name, &format!("image: exit:0\nrestartPolicy: {policy}"));
        }
        _ => the_daemon_dies(world, random),
    }
}

fn a_user_acts(world: &World, random: &mut Rng, name: &str) {
    let Some(container) = world.container(name) else { return };
    let acts: [fn(&mut FakeState, &ContainerId); 5] = [
        FakeState::kill,
        FakeState::remove_by_force,
        FakeState::pause,
        FakeState::run_out_of_memory,
        |state, id| state.rename_by_hand(id, &format!("mine-{}", id.short())),
    ];
    world.act(|state| pick(random, &acts)(state, &container.id));
}

/// If it is free; one that was there before gives its own up.
fn a_stranger_takes_a_name(world: &World, random: &mut Rng, sandbox: &str) {
    strangers_leave(world);
    let name = format!("t-{sandbox}{}", pick(random, &["", ".new", ".old"]));
    if world.find(&name).is_none() {
        world.run_foreign(&name, &BTreeMap::new());
    }
}

fn strangers_leave(world: &World) {
    let foreign = world.engine.foreign.lock().unwrap().clone();
    world.act(|state| {
        for id in foreign {
            if state.inspect(&id).is_some_and(|it| it.name != STRANGER) {
                state.remove_by_force(&id);
            }
        }
    });
}

/// At the next mutating call, or now.
fn the_daemon_dies(world: &mut World, random: &mut Rng) {
    let fate = pick(random, &[Fate::DieBefore, Fate::DieAfter]);
    world.engine.rule(move |asked| if asked.mutates() { fate.clone() } else { Fate::Go });
    world.quiet();
    world.kill();
    world.engine.no_rule();
    world.start();
}

fn history(seed: u64) {
    let mut random = Rng::with_seed(seed);
    let mut world = World::new();
    let stranger = world.run_foreign(STRANGER, &BTreeMap::new());
    for name in SANDBOXES {
        world.declare(name, "image: app:1");
    }
    world.start();
    for _ in 0..LENGTH {
        something_happens(&mut world, &mut random);
        if random.bool() {
            world.quiet();
        }
    }
    // No more faults. An edit to what certainly runs ends every back-off.
    world.engine.fake.forget_faults();
    strangers_leave(&world);
    for name in ["a", "b"] {
        world.declare(name, "image: app:3");
    }
    let _ = std::fs::remove_file(world.file("c"));
    for name in ["a", "b"] {
        world.until_runs(name, "app:3");
    }
    let at_rest = ["t-a app:3 running", "t-b app:3 running", "t-stranger app:1 running"];
    world.until(&format!("rest, seed {seed}"), |world| world.containers() == at_rest);
    world.look_again();
    assert_eq!(world.containers(), at_rest, "seed {seed}");
    assert_eq!(world.find(STRANGER), Some(stranger), "seed {seed}");
    world.asked();
    world.look_again();
    assert_eq!(world.asked(), [""; 0], "seed {seed}");
}

#[test]
fn any_history_ends_in_what_the_specs_say() {
    for seeds in [[1, 2, 3, 4], [5, 6, 7, 8]] {
        std::thread::scope(|scope| {
            for seed in seeds {
                scope.spawn(move || history(seed));
            }
        });
    }
}
