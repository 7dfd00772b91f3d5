//! The ceiling, by every path by which a spec can come: a new file, an edit, a record of an earlier run
//! under a policy that was tightened since, and one sandbox too many.

use std::collections::BTreeMap;

use super::world::World;
use crate::plan::Policy;
use crate::plan::policy::Isolation;
use crate::state::status;

const PRIVILEGED: &str = "image: app:1\nsecurityContext: {privileged: true}";

/// What `_files.yaml` says of the sandbox's file: classes and messages.
fn file_problems(world: &World, name: &str) -> Vec<String> {
    let file = world.file(name);
    let all = status::read_files(&world.config.state).unwrap_or_default();
    let own = all.into_iter().filter(|report| report.file == file);
    own.flat_map(|report| report.problems)
        .map(|problem| format!("{:?}: {problem}", problem.reason))
        .collect()
}

fn wide(world: &mut World) {
    world.config.policy.privileged = true;
}

#[test]
fn a_new_spec_beyond_the_policy_makes_no_container_and_says_why() {
    let mut world = World::new();
    world.declare("web", PRIVILEGED);
    world.declare("db", "image: app:1");
    world.start();
    world.until_ready("db");
    world.until("the refusal", |world| !file_problems(world, "web").is_empty());
    world.look_again();
    let told = &file_problems(&world, "web")[0];
    assert!(told.starts_with("PolicyViolation: "), "{told}");
    assert!(told.contains("spec.securityContext.privileged"), "{told}");
    assert!(told.contains("policy.privileged (allowed: false)"), "{told}");
    assert_eq!(world.asked(), ["create t-db", "start t-db"]);
}

#[test]
fn an_edit_beyond_the_policy_is_refused_and_the_last_good_spec_stays_in_force() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.declare("web", PRIVILEGED);
    world.until_says("web", "Accepted", "False PolicyViolation");
    assert_eq!(world.says("web", "UpToDate"), "False PolicyViolation");
    assert_eq!(world.says("web", "Ready"), "True ContainerReady");
    // It is looked after as before.
    world.to("web", crate::engine::fake::FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    assert_eq!(world.asked(), ["start t-web"]);
    world.declare("web", "image: app:2");
    world.until_runs("web", "app:2");
    assert_eq!(world.says("web", "Accepted"), "True Accepted");
}

#[test]
fn a_record_beyond_a_tightened_policy_makes_no_container_and_what_runs_is_left_alone() {
    let mut world = World::new();
    wide(&mut world);
    let mut world = world.up(&[("web", PRIVILEGED), ("db", PRIVILEGED)]);
    world.stop();
    world.config.policy.privileged = false;
    world.start();
    for name in ["web", "db"] {
        world.until_says(name, "Accepted", "False PolicyViolation");
    }
    world.to("db", crate::engine::fake::FakeState::remove_by_force);
    world.look_again();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.containers(), ["t-web app:1 running"]);
    let message = world.condition("web", "Accepted").unwrap().message;
    assert!(message.contains("policy.privileged (allowed: false)"), "{message}");
    assert!(message.contains("what runs is left as it is"), "{message}");
    // An edit below the ceiling takes it up again.
    world.declare("db", "image: app:2");
    world.until_runs("db", "app:2");
    // And so does a policy that allows it.
    world.stop();
    wide(&mut world);
    world.start();
    world.until_says("web", "Accepted", "True Accepted");
    world.until_ready("web");
    assert!(world.containers().contains(&"t-web app:1 running".to_owned()));
}

/// The container of this name, with these changes to what it is let do.
fn widen(world: &World, name: &str, widen: impl FnOnce(&mut Isolation)) {
    world.act(|state| {
        let id = state.by_name(name).unwrap().details.id.clone();
        let details = &mut state.containers.get_mut(&id).unwrap().details;
        let mut isolation = (*details.isolation).clone();
        widen(&mut isolation);
        details.isolation = isolation.into();
    });
}

#[test]
fn a_foreign_container_beyond_the_policy_is_not_adopted_and_not_touched() {
    const ADOPT: &str = "annotations: {sandkeeper.dev/adopt: \"true\"}";
    let mut world = World::new();
    world.run_foreign("t-web", &BTreeMap::new());
    widen(&world, "t-web", |it| it.grant.privileged = true);
    let theirs = world.find("t-web").unwrap();
    world.declare_with("web", ADOPT, "image: app:1");
    world.start();
    world.until_says("web", "Ready", "False PolicyViolation");
    let message = world.condition("web", "Ready").unwrap().message;
    assert!(message.contains("container t-web"), "{message}");
    assert!(message.contains("policy.privileged (allowed: false)"), "{message}");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.find("t-web"), Some(theirs.clone()));
    // Under a policy that allows it, it is taken over as it is.
    world.stop();
    wide(&mut world);
    world.start();
    world.until_ready("web");
    assert_eq!(world.asked(), [""; 0]);
    // Tightened again, it runs on, and once it has ended it is not started.
    world.stop();
    world.config.policy.privileged = false;
    world.start();
    world.until_ready("web");
    world.look_again();
    assert_eq!(world.find("t-web"), Some(theirs));
    world.to("web", crate::engine::fake::FakeState::kill);
    world.until_says("web", "Ready", "False PolicyViolation");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.containers(), ["t-web app:1 exited"]);
}

#[test]
fn a_container_of_ours_beyond_a_tightened_policy_runs_on_and_is_not_started_again() {
    let mut world = World::new();
    wide(&mut world);
    let mut world = world.up(&[("web", "image: app:1")]);
    // Made by an engine, or an earlier version, that let it do more than its spec says.
    widen(&world, "t-web", |it| it.grant.privileged = true);
    world.stop();
    world.config.policy.privileged = false;
    world.start();
    world.until_ready("web");
    world.to("web", crate::engine::fake::FakeState::kill);
    world.until_says("web", "Ready", "False PolicyViolation");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    // An edit makes another, below the ceiling.
    world.declare("web", "image: app:2");
    world.until_runs("web", "app:2");
}

#[test]
fn a_deleted_file_takes_its_sandbox_along_whatever_the_policy_says() {
    let mut world = World::new();
    wide(&mut world);
    let mut world = world.up(&[("web", PRIVILEGED)]);
    world.stop();
    world.config.policy.privileged = false;
    world.start();
    world.until_says("web", "Accepted", "False PolicyViolation");
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
}

#[test]
fn row_41_one_sandbox_too_many_waits_until_another_is_gone() {
    let mut world = World::new();
    world.config.policy.max_sandboxes = Some(2);
    let mut world = world.up(&[("b", "image: app:1"), ("c", "image: app:1")]);
    world.declare("a", "image: app:1");
    world.until("the refusal", |world| {
        file_problems(world, "a").iter().any(|it| it.starts_with("QuotaExceeded"))
    });
    assert_eq!(world.asked(), [""; 0]);
    world.withdraw("c");
    world.until_ready("a");
    world.quiet();
    assert_eq!(world.asked(), ["stop t-c", "remove t-c", "create t-a", "start t-a"]);
    assert_eq!(file_problems(&world, "a"), [""; 0]);
}

#[test]
fn row_41_a_lowered_maximum_keeps_the_first_and_leaves_the_others_alone() {
    let mut world = World::running(&[("a", "image: app:1")]);
    world.declare("b", "image: app:1");
    world.until_ready("b");
    world.quiet();
    world.asked();
    world.stop();
    world.config.policy.max_sandboxes = Some(1);
    world.start();
    // Accepted in the same second, the name decides; later, the time.
    world.until_says("b", "Accepted", "False QuotaExceeded");
    world.to("a", crate::engine::fake::FakeState::remove_by_force);
    world.to("b", crate::engine::fake::FakeState::remove_by_force);
    world.until_ready("a");
    world.look_again();
    assert_eq!(world.asked(), ["create t-a", "start t-a"]);
    assert_eq!(world.containers(), ["t-a app:1 running"]);
    let message = world.condition("b", "Accepted").unwrap().message;
    assert!(message.contains("policy.maxSandboxes (allowed: 1)"), "{message}");
}

#[test]
fn the_default_policy_lets_the_smallest_spec_run() {
    let mut world = World::new();
    world.config.policy = Policy::default();
    let world = world.up(&[("web", "image: app:1")]);
    assert_eq!(world.container("web").unwrap().limits.pids, Some(2048));
}
