//! Images that are not there yet, or cannot be had.

use super::world::World;
use crate::engine::fake::FakeState;

#[test]
fn a_missing_image_is_pulled_once_for_all_who_wait() {
    let mut world = World::new();
    world.act(|state| state.add_pullable("far:1"));
    world.declare("web", "image: far:1");
    world.start();
    world.until_ready("web");
    let expected = ["create t-web (refused)", "pull far:1", "create t-web", "start t-web"];
    assert_eq!(world.asked(), expected);
}

#[test]
fn an_edit_to_an_image_that_cannot_be_had_keeps_the_container_and_its_restoration_clears_it() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let before = world.container("web").unwrap();
    world.declare("web", "image: nowhere:1");
    world.until_says("web", "UpToDate", "False ImageUnavailable");
    assert_eq!(world.says("web", "Ready"), "True ContainerReady");
    assert_eq!(world.container("web"), Some(before.clone()));
    assert_eq!(world.asked(), ["create t-web.new (refused)", "pull nowhere:1 (refused)"]);
    // It is kept running, too.
    world.to("web", FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    assert_eq!(world.asked(), ["start t-web"]);
    world.declare("web", "image: app:1");
    world.until_runs("web", "app:1");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.container("web").unwrap().id, before.id);
}

#[test]
fn an_image_that_appears_later_is_used_when_its_pull_is_tried_again_or_the_spec_is_edited() {
    let mut world = World::new();
    world.declare("web", "image: late:1");
    world.start();
    world.until_says("web", "Ready", "False ImageUnavailable");
    assert_eq!(world.asked(), ["create t-web (refused)", "pull late:1 (refused)"]);
    world.act(|state| state.add_pullable("late:2"));
    world.declare("web", "image: late:2");
    world.until_runs("web", "late:2");
    let expected = ["create t-web (refused)", "pull late:2", "create t-web", "start t-web"];
    assert_eq!(world.asked(), expected);
}

#[test]
fn the_policy_always_pulls_before_each_creation_and_never_for_a_start() {
    let mut world = World::running(&[("web", "image: app:1\nimagePullPolicy: Always")]);
    world.to("web", FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    assert_eq!(world.asked(), ["start t-web"]);
    world.to("web", FakeState::remove_by_force);
    world.until("its return", |world| world.restarts("web") == 2);
    world.until_ready("web");
    assert_eq!(world.asked(), ["pull app:1", "create t-web", "start t-web"]);
}

#[test]
fn the_policy_never_pulls_nothing_and_says_why_there_is_no_container() {
    let mut world = World::new();
    world.act(|state| state.add_pullable("far:1"));
    world.declare("web", "image: far:1\nimagePullPolicy: Never");
    world.start();
    world.until_says("web", "Ready", "False ImageUnavailable");
    assert!(world.condition("web", "Ready").unwrap().message.contains("imagePullPolicy is Never"));
    assert_eq!(world.asked()[0], "create t-web (refused)");
    world.declare("web", "image: far:1");
    world.until_runs("web", "far:1");
}
