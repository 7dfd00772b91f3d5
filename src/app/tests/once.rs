//! `run --once`: converge, then end with a code that says whether all is as the specs say.

use std::process::ExitCode;
use std::time::Duration;

use super::super::RunOptions;
use super::world::World;

fn run_once(world: &mut World, timeout: Duration) -> ExitCode {
    world.start_with(RunOptions { once: true, timeout, ..RunOptions::default() });
    world.wait()
}

#[test]
fn once_ends_with_success_when_everything_is_as_declared() {
    let mut world = World::new();
    world.declare("web", "image: app:1");
    world.declare("idle", "image: app:1\noperatingMode: Suspended");
    world.declare("job", "image: exit:0\nrestartPolicy: Never");
    assert_eq!(run_once(&mut world, Duration::from_secs(30)), ExitCode::SUCCESS);
    let mut asked = world.asked();
    asked.sort();
    assert_eq!(asked, ["create t-job", "create t-web", "start t-job", "start t-web"]);
    assert_eq!(run_once(&mut world, Duration::from_secs(30)), ExitCode::SUCCESS);
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn once_ends_with_failure_when_a_file_is_broken() {
    let mut world = World::new();
    world.declare("web", "image: app:1");
    std::fs::write(world.file("broken"), "{").unwrap();
    assert_eq!(run_once(&mut world, Duration::from_secs(30)), ExitCode::FAILURE);
    assert_eq!(world.containers(), ["t-web app:1 running"]);
}

#[test]
fn once_ends_with_failure_when_a_sandbox_cannot_be_had_in_time() {
    let mut world = World::new();
    world.declare("web", "image: nowhere:1");
    assert_eq!(run_once(&mut world, Duration::from_secs(3)), ExitCode::FAILURE);
    assert_eq!(world.says("web", "Ready"), "False ImageUnavailable");
}

#[test]
fn once_withdraws_what_is_no_longer_declared_before_it_ends() {
    let mut world = World::running(&[("web", "image: app:1"), ("db", "image: app:2")]);
    world.stop();
    world.withdraw("web");
    assert_eq!(run_once(&mut world, Duration::from_secs(30)), ExitCode::SUCCESS);
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    assert_eq!(world.containers(), ["t-db app:2 running"]);
}
