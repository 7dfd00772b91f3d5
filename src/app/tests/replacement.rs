//! An edit that needs a new container: the old one stays until the new one runs, and comes back when it
//! does not.

use std::time::Duration;

use super::world::{World, internal_error};
use crate::engine::fake::FaultPoint;
use crate::engine::{Call, EngineError};

/// Whatever has just started seems to run for longer than it takes to count as up.
pub(super) const UP_AT_ONCE: Duration = Duration::from_secs(3);

pub(super) const REPLACED: [&str; 6] = [
    "create t-web.new",
    "stop t-web",
    "rename t-web",
    "start t-web.new",
    "rename t-web.new",
    "remove t-web.old",
];

/// Rolled back after the new one ended.
pub(super) const ROLLED_BACK: [&str; 7] = [
    "create t-web.new",
    "stop t-web",
    "rename t-web",
    "start t-web.new",
    "remove t-web.new",
    "rename t-web.old",
    "start t-web",
];
/// What a replacement asks of the engine that refuses its start.
const START_REFUSED: [&str; 6] = [
    "create t-web.new",
    "stop t-web",
    "rename t-web",
    "remove t-web.new",
    "rename t-web.old",
    "start t-web",
];

#[test]
fn an_edited_image_replaces_the_container() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.declare("web", "image: app:2");
    world.until_says("web", "UpToDate", "False UpdatePending");
    world.until_runs("web", "app:2");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
    assert_eq!(world.containers(), ["t-web app:2 running"]);
    assert_eq!(world.restarts("web"), 0);
    assert!(world.told("web", "Created", "the spec asks for another container (image)"));
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_replacement_that_exits_at_once_is_rolled_back_and_not_tried_again_until_an_edit() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let old = world.container("web").unwrap();
    world.declare("web", "image: exit:1");
    world.until_says("web", "UpToDate", "False UpdateFailed");
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ROLLED_BACK);
    assert_eq!(world.container("web").unwrap().id, old.id);
    assert_eq!(world.containers(), ["t-web app:1 running"]);
    let message = world.condition("web", "UpToDate").unwrap().message;
    assert!(message.contains("the container exited with code 1"), "{message}");
    world.look_again();
    world.restart();
    world.until_ready("web");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.says("web", "UpToDate"), "False UpdateFailed");
    world.engine.set_behind(UP_AT_ONCE);
    world.declare("web", "image: app:2");
    world.until_runs("web", "app:2");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
}

#[test]
fn a_replacement_whose_start_is_refused_is_rolled_back() {
    let refusals = [
        EngineError::Rejected("exec: no such file".to_owned()),
        internal_error(),
        EngineError::NetworkMissing("network lab not found".to_owned()),
    ];
    for refusal in refusals {
        let mut world = World::running(&[("web", "image: app:1")]);
        world.engine.fake.fail(Call::Start, 1, FaultPoint::Before, refusal.clone());
        world.declare("web", "image: app:2");
        world.until_says("web", "UpToDate", "False UpdateFailed");
        world.until_ready("web");
        world.quiet();
        assert_eq!(world.asked(), START_REFUSED, "{refusal:?}");
        assert_eq!(world.containers(), ["t-web app:1 running"]);
    }
}

#[test]
fn a_replacement_that_cannot_be_created_does_not_stop_the_container() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.engine.set_behind(UP_AT_ONCE);
    world.engine.fake.fail(Call::Create, 2, FaultPoint::Before, internal_error());
    world.declare("web", "image: app:2");
    world.until_says("web", "UpToDate", "False StartFailed");
    assert_eq!(world.says("web", "Ready"), "True ContainerReady");
    assert_eq!(world.asked(), [""; 0]);
    world.until_runs("web", "app:2");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
}

#[test]
fn an_edit_whose_host_path_is_missing_does_not_stop_the_container() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.engine.set_behind(UP_AT_ONCE);
    let data = world.beside("data");
    let path = data.display();
    world
        .declare("web", &format!("image: app:2\nmounts: [{{hostPath: {path}, mountPath: /data}}]"));
    world.until_says("web", "UpToDate", "False MountUnavailable");
    assert_eq!(world.says("web", "Ready"), "True ContainerReady");
    assert_eq!(world.asked(), [""; 0]);
    std::fs::create_dir(&data).unwrap();
    world.look_again();
    world.until_runs("web", "app:2");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
}

#[test]
fn an_edit_during_a_replacement_lets_it_come_up_and_replaces_it() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.declare("web", "image: app:2");
    world.until("the switch", |world| {
        world.find("t-web.new").is_some_and(|it| it.started_at.is_some())
    });
    world.declare("web", "image: app:3");
    world.until_runs("web", "app:3");
    world.quiet();
    assert_eq!(world.containers(), ["t-web app:3 running"]);
    assert_eq!(world.asked(), REPLACED.repeat(2));
}

#[test]
fn an_edit_back_and_forth_costs_no_container() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let before = world.container("web");
    world.declare("web", "image: app:1\nterminationGracePeriodSeconds: 3");
    world.until("the edit", |world| {
        world.status("web").is_some_and(|status| status.observed_generation == Some(2))
    });
    world.declare("web", "image: app:1");
    world.until("the edit", |world| {
        world.status("web").is_some_and(|status| status.observed_generation == Some(3))
    });
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.container("web"), before);
}

#[test]
fn changed_limits_are_applied_to_the_running_container() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let before = world.container("web").unwrap();
    world.declare("web", "image: app:1\nresources: {limits: {memory: 64Mi, pids: 50}}");
    world.until("the new limits", |world| {
        world.container("web").is_some_and(|it| it.limits.memory == Some(64 << 20))
    });
    world.until_runs("web", "app:1");
    world.quiet();
    assert_eq!(world.asked(), ["update t-web"]);
    let after = world.container("web").unwrap();
    assert_eq!((after.id, after.started_at), (before.id, before.started_at));
    assert!(world.told("web", "Updated", "resources.limits.memory, resources.limits.pids"));
}

#[test]
fn limits_that_the_engine_cannot_take_off_live_replace_the_container() {
    let mut world = World::running(&[("web", "image: app:1\nresources: {limits: {memory: 64Mi}}")]);
    world.engine.set_behind(UP_AT_ONCE);
    world.declare("web", "image: app:1");
    world.until("the lifted limit", |world| {
        world.container("web").is_some_and(|it| it.limits.memory.is_none())
    });
    world.until_runs("web", "app:1");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
}

#[test]
fn a_lost_reply_at_any_step_of_a_replacement_changes_nothing_about_its_end() {
    for call in [Call::Create, Call::Stop, Call::Rename, Call::Start, Call::Remove] {
        let mut world = World::running(&[("web", "image: app:1")]);
        world.engine.set_behind(UP_AT_ONCE);
        world.engine.fake.fail(call, 1, FaultPoint::After, super::world::lost());
        world.declare("web", "image: app:2");
        world.until_runs("web", "app:2");
        world.quiet();
        assert_eq!(world.asked(), REPLACED, "{call:?}");
        assert_eq!(world.containers(), ["t-web app:2 running"], "{call:?}");
    }
}

/// The engine may let go of the old container's port a moment late.
#[test]
fn a_replacement_that_finds_its_port_taken_is_rolled_back_and_tried_again() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.engine.set_behind(UP_AT_ONCE);
    let message = "port is already allocated".to_owned();
    let taken = EngineError::PortBusy { port: None, message };
    world.engine.fake.fail(Call::Start, 1, FaultPoint::Before, taken);
    world.declare("web", "image: app:2");
    world.until_runs("web", "app:2");
    assert_eq!(world.asked(), [&START_REFUSED[..], &REPLACED].concat());
    assert_eq!(world.containers(), ["t-web app:2 running"]);
}
