//! Suspension, the end of life, and what stays ended.

use super::world::World;
use crate::engine::fake::FakeState;

#[test]
fn a_suspended_sandbox_is_stopped_kept_and_resumed() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let before = world.container("web").unwrap();
    world.declare("web", "image: app:1\noperatingMode: Suspended");
    world.until_says("web", "Suspended", "True ContainerStopped");
    assert_eq!(world.says("web", "Ready"), "False SandboxSuspended");
    world.restart();
    world.look_again();
    assert_eq!(world.asked(), ["stop t-web"]);
    world.declare("web", "image: app:1");
    world.until_ready("web");
    assert_eq!(world.says("web", "Suspended"), "False NotSuspended");
    world.quiet();
    assert_eq!(world.asked(), ["start t-web"]);
    assert_eq!(world.container("web").unwrap().id, before.id);
    assert_eq!(world.restarts("web"), 0);
}

#[test]
fn a_sandbox_that_is_declared_suspended_gets_no_container_until_it_is_resumed() {
    let mut world = World::new();
    world.declare("web", "image: app:1\noperatingMode: Suspended");
    world.start();
    world.until_says("web", "Suspended", "True ContainerStopped");
    assert_eq!(world.asked(), [""; 0]);
    world.declare("web", "image: app:1");
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
}

#[test]
fn a_suspended_sandbox_that_somebody_starts_is_stopped_again() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.declare("web", "image: app:1\noperatingMode: Suspended");
    world.until_says("web", "Suspended", "True ContainerStopped");
    world.asked();
    world.to("web", |state, id| {
        state.start(id).unwrap();
        state.ledger.pop();
    });
    world.until("its stop", |world| {
        world.container("web").is_some_and(|it| it.state.to_string() == "exited")
    });
    world.quiet();
    assert_eq!(world.asked(), ["stop t-web"]);
}

#[test]
fn the_end_of_life_removes_or_keeps_the_container_and_deletes_no_file() {
    for (policy, asked) in
        [("Delete", vec!["stop t-web", "remove t-web"]), ("Retain", vec!["stop t-web"])]
    {
        let mut world = World::new();
        world.declare("web", &format!("image: app:1\nshutdownAfter: 1s\nshutdownPolicy: {policy}"));
        world.start();
        world.until_says("web", "Ready", "False SandboxExpired");
        world.restart();
        world.look_again();
        let brought_up = ["create t-web", "start t-web"];
        assert_eq!(world.asked(), [&brought_up, asked.as_slice()].concat(), "{policy}");
        assert!(world.file("web").exists());
        // A longer life is a life.
        world.declare("web", "image: app:1\nshutdownAfter: 8h");
        world.until_ready("web");
        let revived: &[&str] =
            if policy == "Delete" { &["create t-web", "start t-web"] } else { &["start t-web"] };
        assert_eq!(world.asked(), revived, "{policy}");
    }
}

#[test]
fn an_edit_under_the_policy_on_restart_waits_for_the_next_restart() {
    let mut world = World::running(&[("web", "image: app:1\nupdatePolicy: OnRestart")]);
    world.declare("web", "image: app:2\nupdatePolicy: OnRestart");
    world.until_says("web", "UpToDate", "False RestartRequired");
    assert_eq!(world.says("web", "Ready"), "True ContainerReady");
    world.restart();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    world.to("web", FakeState::kill);
    world.until_runs("web", "app:2");
    world.quiet();
    let expected = [
        "create t-web.new",
        "rename t-web",
        "start t-web.new",
        "rename t-web.new",
        "remove t-web.old",
    ];
    assert_eq!(world.asked(), expected);
    assert_eq!(world.containers(), ["t-web app:2 running"]);
}

#[test]
fn what_the_restart_policy_leaves_ended_stays_ended_until_an_edit() {
    for (policy, code, reason) in [
        ("Never", 0, "ContainerSucceeded"),
        ("Never", 3, "ContainerFailed"),
        ("OnFailure", 0, "ContainerSucceeded"),
    ] {
        let spec = format!("image: app:1\nrestartPolicy: {policy}");
        let mut world = World::running(&[("web", &spec)]);
        world.to("web", |state, id| state.exit(id, code));
        world.until_says("web", "Finished", &format!("True {reason}"));
        assert_eq!(world.says("web", "Ready"), format!("False {reason}"));
        world.restart();
        world.look_again();
        world.to("web", FakeState::remove_by_force);
        world.look_again();
        assert_eq!(world.asked(), [""; 0], "{policy} {code}");
        assert_eq!(world.says("web", "Finished"), format!("True {reason}"));
        world.declare("web", &format!("image: app:2\nrestartPolicy: {policy}"));
        world.until_ready("web");
        assert_eq!(world.says("web", "Finished"), "");
        assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    }
}

#[test]
fn a_failure_under_the_policy_on_failure_is_started_again() {
    let mut world = World::running(&[("web", "image: app:1\nrestartPolicy: OnFailure")]);
    world.to("web", |state, id| state.exit(id, 3));
    world.until("its restart", |world| world.restarts("web") == 1);
    world.until_ready("web");
    assert_eq!(world.asked(), ["start t-web"]);
}

#[test]
fn a_container_that_does_not_run_is_not_probed() {
    let probe = "livenessProbe: {exec: {command: [alive]}, periodSeconds: 1}";
    let mut world = World::running(&[("web", &format!("image: app:1\n{probe}"))]);
    let probed = |world: &World| format!("{:?}", world.context().prober).contains("sandboxes: 1");
    assert!(probed(&world));
    world.declare("web", &format!("image: app:1\n{probe}\noperatingMode: Suspended"));
    world.until_says("web", "Suspended", "True ContainerStopped");
    assert!(!probed(&world));
    assert_eq!(world.asked(), ["stop t-web"]);
}
