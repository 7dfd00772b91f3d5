//! Many sandboxes at once.

use super::world::World;
use crate::engine::Call;

const MANY: usize = 300;

fn name(number: usize) -> String {
    format!("s{number}")
}

fn many() -> World {
    let mut world = World::new();
    for number in 0..MANY {
        world.declare(&name(number), "image: app:1");
    }
    world.start();
    world.until("all of them", |world| {
        let all = world.context().last_status.all();
        let ready = |status: &crate::sandbox::SandboxStatus| {
            status.condition("Ready").is_some_and(|condition| condition.status == "True")
        };
        all.values().filter(|status| ready(status)).count() == MANY
    });
    world.quiet();
    world
}

#[test]
fn many_sandboxes_at_once_are_each_created_and_started_once() {
    let mut world = many();
    let mut asked = world.asked();
    asked.sort();
    let mut expected: Vec<String> = (0..MANY)
        .flat_map(|number| ["create", "start"].map(|call| format!("{call} t-{}", name(number))))
        .collect();
    expected.sort();
    assert_eq!(asked, expected);
}

#[test]
fn a_pass_over_many_unchanged_sandboxes_costs_a_list_and_no_inspect() {
    let mut world = many();
    world.asked();
    world.wake_everything();
    let before = (world.engine.count(Call::List), world.engine.count(Call::Inspect));
    world.wake_everything();
    let lists = world.engine.count(Call::List) - before.0;
    assert_eq!(world.engine.count(Call::Inspect), before.1);
    assert!(lists < 10, "one list for all who wait: {lists}");
    assert_eq!(world.asked(), [""; 0]);
}
