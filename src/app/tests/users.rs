//! What somebody does to a container at the engine's own command line is mended, and told.

use super::world::World;
use crate::engine::fake::FakeState;
use crate::plan::Limits;

#[test]
fn a_container_that_ended_is_started_again_at_once() {
    for code in [0, 1, 137] {
        let mut world = World::running(&[("web", "image: app:1")]);
        let before = world.container("web").unwrap();
        world.to("web", |state, id| state.exit(id, code));
        world.until("its restart", |world| world.restarts("web") == 1);
        world.until_ready("web");
        world.quiet();
        assert_eq!(world.asked(), ["start t-web"]);
        let status = world.status("web").unwrap().container.unwrap();
        assert_eq!(status.id, before.id.0);
        let end = status.last_termination.unwrap();
        assert_eq!((end.exit_code, end.oom_killed), (Some(code), false));
        assert_eq!(end.reason, if code == 0 { "Completed" } else { "Error" });
        assert!(world.told("web", "Started", "the container ended"));
    }
}

#[test]
fn a_removed_container_is_made_again() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.to("web", FakeState::remove_by_force);
    world.until("its return", |world| world.restarts("web") == 1);
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    assert!(world.told("web", "Created", "the container was removed by somebody else"));
    let status = world.status("web").unwrap().container.unwrap();
    assert_eq!(status.last_termination.unwrap().reason, "Removed");
}

#[test]
fn a_container_that_is_removed_again_and_again_backs_off() {
    let mut world = World::running(&[("web", "image: app:1")]);
    for removals in 1..=2 {
        world.to("web", FakeState::remove_by_force);
        world.until("its return", |world| world.restarts("web") == removals);
        world.until_ready("web");
    }
    world.to("web", FakeState::remove_by_force);
    world.until_says("web", "Ready", "False CrashLoopBackOff");
    assert!(world.condition("web", "Ready").unwrap().message.contains("removed again"));
    world.until("its return", |world| world.restarts("web") == 3);
    world.until_ready("web");
    let once = ["create t-web", "start t-web"];
    assert_eq!(world.asked(), [once; 3].concat());
}

#[test]
fn a_paused_container_is_unpaused() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.to("web", FakeState::pause);
    world.until("the event", |world| world.told("web", "Unpaused", "the container is paused"));
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ["unpause t-web"]);
}

#[test]
fn a_renamed_container_gets_its_name_back_and_is_not_doubled() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let before = world.container("web").unwrap();
    world.to("web", |state, id| state.rename_by_hand(id, "mine"));
    world.until("the event", |world| world.told("web", "Renamed", "somebody renamed"));
    world.quiet();
    assert_eq!(world.asked(), ["rename mine"]);
    assert_eq!(world.container("web"), Some(before));
}

#[test]
fn limits_that_somebody_changed_are_put_back() {
    let mut world = World::running(&[("web", "image: app:1\nresources: {limits: {memory: 64Mi}}")]);
    let other = Limits { memory: Some(128 << 20), ..Limits::default() };
    world.to("web", |state, id| state.update_by_hand(id, other));
    world.until("the event", |world| world.told("web", "Updated", "resources.limits.memory"));
    world.quiet();
    assert_eq!(world.asked(), ["update t-web"]);
    assert_eq!(world.container("web").unwrap().limits.memory, Some(64 << 20));
}

#[test]
fn a_lost_network_is_attached_again() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.to("web", |state, id| state.disconnect(id, "bridge"));
    world.look_again();
    assert!(world.told("web", "Reattached", "the container lost its network"));
    assert_eq!(world.asked(), ["connect t-web"]);
    assert_eq!(world.container("web").unwrap().networks, ["bridge"]);
}

#[test]
fn a_crash_loop_backs_off_and_bothers_nobody_else() {
    let mut world = World::new();
    world.declare("web", "image: exit:1");
    world.declare("db", "image: app:1");
    world.start();
    world.until_ready("db");
    world.until("some restarts", |world| {
        world.says("web", "Ready") == "False CrashLoopBackOff" && world.restarts("web") >= 2
    });
    let message = world.condition("web", "Ready").unwrap().message;
    assert!(message.contains("the container exited with code 1; restart "), "{message}");
    let asked = world.asked();
    let of = |what: &str| asked.iter().filter(|asked| *asked == what).count();
    assert_eq!((of("create t-web"), of("create t-db"), of("start t-db")), (1, 1, 1));
    assert_eq!(of("start t-web"), asked.len() - 3, "nothing but starts: {asked:?}");
    assert_eq!(of("start t-web"), 1 + usize::try_from(world.restarts("web")).unwrap());
    assert!(world.told("web", "CrashLoopBackOff", "exited with code 1"));
    // An edit ends it at once.
    world.declare("web", "image: app:1");
    world.until_runs("web", "app:1");
}

#[test]
fn the_end_of_a_container_for_want_of_memory_is_told_as_such() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.to("web", FakeState::run_out_of_memory);
    world.until("its restart", |world| world.restarts("web") == 1);
    world.until_ready("web");
    assert_eq!(world.asked(), ["start t-web"]);
    let end = world.status("web").unwrap().container.unwrap().last_termination.unwrap();
    assert_eq!((end.reason.as_str(), end.oom_killed), ("OOMKilled", true));
}

#[test]
fn a_container_of_which_only_remains_are_left_is_removed_and_made_again() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.to("web", |state, id| {
        state.kill(id);
        let container = state.containers.get_mut(id).unwrap();
        container.details.state = crate::plan::ContainerState::Dead;
    });
    world.look_again();
    world.until_ready("web");
    assert_eq!(world.asked(), ["remove t-web", "create t-web", "start t-web"]);
}
