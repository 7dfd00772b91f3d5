//! The state directory is a cache but for the identity: whatever of it is lost, no container is.

use super::world::World;
use crate::engine::fake::FakeState;
use crate::plan::ContainerState;

const TWO: [(&str, &str); 2] = [("web", "image: app:1"), ("db", "image: app:2")];

#[test]
fn lost_memories_specs_or_statuses_cost_no_container_and_no_identity() {
    let losses: [&[&str]; 5] = [
        &["memory"],
        &["specs"],
        &["status"],
        &["events", "requests"],
        &["memory", "specs", "status", "events", "requests"],
    ];
    for lost in losses {
        let mut world = World::running(&TWO);
        let before = (world.container("web"), world.uid("web"));
        world.kill();
        for directory in lost {
            std::fs::remove_dir_all(world.state(directory)).unwrap();
        }
        world.start();
        world.until_ready("web");
        world.until_ready("db");
        world.look_again();
        assert_eq!(world.asked(), [""; 0], "{lost:?}");
        assert_eq!((world.container("web"), world.uid("web")), before, "{lost:?}");
        // It is ours as before.
        world.to("web", FakeState::kill);
        world.until("its restart", |world| world.restarts("web") == 1);
        assert_eq!(world.asked(), ["start t-web"], "{lost:?}");
    }
}

#[test]
fn damaged_records_cost_no_container() {
    let mut world = World::running(&TWO);
    let before = world.container("web");
    world.kill();
    let files = [
        "memory/web.json",
        "specs/web.json",
        "status/web.yaml",
        "status/_files.yaml",
        "events/web.jsonl",
        "held.json",
        "requests/prune.json",
    ];
    for file in files {
        std::fs::write(world.state(file), [0xff, 0, 1, 2]).unwrap();
    }
    world.start();
    world.until_ready("web");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.container("web"), before);
}

#[test]
fn a_state_directory_that_cannot_be_written_keeps_no_sandbox_from_being_mended() {
    const WRITTEN: [&str; 4] = ["memory", "status", "specs", "events"];
    let mut world = World::running(&TWO);
    for directory in WRITTEN {
        std::fs::rename(world.state(directory), world.state(&format!("{directory}-away"))).unwrap();
        std::fs::write(world.state(directory), "in the way").unwrap();
    }
    let first = world.container("web").unwrap().started_at;
    world.to("web", FakeState::kill);
    world.to("db", FakeState::remove_by_force);
    world.declare("new", "image: app:3");
    let runs = |world: &World, name: &str| {
        world.container(name).is_some_and(|it| it.state == ContainerState::Running)
    };
    for name in ["web", "db", "new"] {
        world.until(name, |world| runs(world, name));
    }
    assert_ne!(world.container("web").unwrap().started_at, first);
    // A back-off is remembered all the same.
    world.to("web", FakeState::kill);
    world.until("its restart", |world| runs(world, "web"));
    let mut asked = world.asked();
    asked.sort();
    let expected =
        ["create t-db", "create t-new", "start t-db", "start t-new", "start t-web", "start t-web"];
    assert_eq!(asked, expected);
    for directory in WRITTEN {
        std::fs::remove_file(world.state(directory)).unwrap();
        std::fs::rename(world.state(&format!("{directory}-away")), world.state(directory)).unwrap();
    }
    world.until("what was not written", |world| world.restarts("web") == 2);
    assert_eq!(world.memory("web").restarts.total, 2);
    for name in ["web", "db", "new"] {
        world.until_ready(name);
    }
    world.quiet();
    assert_eq!(world.asked(), [""; 0]);
    world.restart();
    assert_eq!(world.memory("web").container, world.container("web").map(|it| it.id));
}

#[test]
fn with_the_whole_state_lost_the_containers_are_foreign_and_left_alone() {
    let mut world = World::running(&TWO);
    let before = (world.container("web"), world.container("db"));
    world.kill();
    std::fs::remove_dir_all(&world.config.state).unwrap();
    world.start();
    world.until_says("web", "Ready", "False NameConflict");
    world.until_says("db", "Ready", "False NameConflict");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!((world.container("web"), world.container("db")), before);
}

#[test]
fn another_prefix_leaves_what_the_old_one_named() {
    let mut world = World::running(&TWO);
    let before = (world.container("web"), world.container("db"));
    world.kill();
    "u".clone_into(&mut world.config.container_prefix);
    world.start();
    world.until_ready("web");
    world.look_again();
    assert_eq!((world.container("web"), world.container("db")), before);
    assert!(world.find("u-web").is_some());
}

#[test]
fn a_status_file_that_somebody_removed_comes_back() {
    let mut world = World::running(&TWO);
    std::fs::remove_file(world.state("status/web.yaml")).unwrap();
    world.look_again();
    world.until_ready("web");
    assert_eq!(world.asked(), [""; 0]);
}
