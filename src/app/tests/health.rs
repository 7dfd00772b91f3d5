//! Probes: when a sandbox counts as ready, and when it must be restarted.

use std::net::TcpListener;

use super::replacement::{REPLACED, ROLLED_BACK};
use super::world::World;
use crate::engine::ExecOutcome;

const READINESS: &str = "readinessProbe: {exec: {command: [ready]}, periodSeconds: 1, \
                         failureThreshold: 1}";
const LIVENESS: &str = "livenessProbe: {exec: {command: [alive]}, periodSeconds: 1, \
                        failureThreshold: 2}";

fn answers(world: &World, command: &str, exit_code: i64) {
    let outcome = ExecOutcome { exit_code, output: String::new() };
    world.act(|state| state.execs.insert(vec![command.to_owned()], outcome));
}

#[test]
fn readiness_is_published_as_it_changes() {
    let mut world = World::new();
    answers(&world, "ready", 1);
    world.declare("web", &format!("image: app:1\n{READINESS}"));
    world.start();
    world.until("the failure", |world| {
        let ready = world.condition("web", "Ready");
        ready.is_some_and(|it| it.message.contains("the command ended with 1"))
    });
    assert_eq!(world.says("web", "Ready"), "False ContainerStarting");
    answers(&world, "ready", 0);
    world.until_ready("web");
    answers(&world, "ready", 1);
    world.until_says("web", "Ready", "False ProbeFailing");
    answers(&world, "ready", 0);
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
    assert!(world.told("web", "ProbeFailing", ""));
}

#[test]
fn a_failing_liveness_probe_restarts_the_container() {
    let mut world = World::running(&[("web", &format!("image: app:1\n{LIVENESS}"))]);
    let before = world.container("web").unwrap();
    answers(&world, "alive", 1);
    world.until("its restart", |world| world.restarts("web") == 1);
    answers(&world, "alive", 0);
    world.until_ready("web");
    world.quiet();
    assert_eq!(world.asked(), ["stop t-web", "start t-web"]);
    assert_eq!(world.container("web").unwrap().id, before.id);
    assert!(world.told("web", "Stopped", "the liveness probe fails"));
}

#[test]
fn a_sandbox_whose_port_answers_is_ready_where_it_says() {
    let mut world = World::new();
    world.config.ports.base = 28_200;
    world.declare("web", "image: app:1\nports: [{name: http, containerPort: 80}]");
    world.start();
    world.until("an endpoint", |world| {
        world.status("web").is_some_and(|status| !status.endpoints.is_empty())
    });
    assert_eq!(world.condition("web", "Ready").unwrap().status, "False");
    let endpoint = world.status("web").unwrap().endpoints[0].clone();
    let _listener = TcpListener::bind(("127.0.0.1", endpoint.host_port)).unwrap();
    world.until_ready("web");
    assert_eq!(endpoint.url, Some(format!("http://localhost:{}", endpoint.host_port)));
}

#[test]
fn a_replacement_takes_over_as_soon_as_it_is_ready_and_not_before() {
    let spec = |image| format!("image: {image}\n{READINESS}");
    let world = World::new();
    answers(&world, "ready", 0);
    let mut world = world.up(&[("web", &spec("app:1"))]);
    answers(&world, "ready", 1);
    world.declare("web", &spec("app:2"));
    world.until("the switch", |world| {
        world.find("t-web.new").is_some_and(|it| it.started_at.is_some())
    });
    world.until("a failed attempt", |world| {
        let message = world.condition("web", "UpToDate").map(|it| it.message).unwrap_or_default();
        message.contains("the command ended with 1")
    });
    assert!(world.find("t-web.old").is_some(), "it is kept until its successor is ready");
    answers(&world, "ready", 0);
    world.until_runs("web", "app:2");
    assert_eq!(world.asked(), REPLACED);
}

#[test]
fn a_replacement_that_does_not_become_ready_is_rolled_back() {
    let spec = |image| format!("image: {image}\n{READINESS}");
    let world = World::new();
    answers(&world, "ready", 0);
    let mut world = world.up(&[("web", &spec("app:1"))]);
    answers(&world, "ready", 1);
    // What starts now seems to have run for longer than a replacement may take.
    world.engine.set_behind(std::time::Duration::from_mins(2));
    world.declare("web", &spec("app:2"));
    world.until_says("web", "UpToDate", "False UpdateFailed");
    answers(&world, "ready", 0);
    world.until_ready("web");
    let mut expected = ROLLED_BACK.to_vec();
    expected.insert(4, "stop t-web.new");
    assert_eq!(world.asked(), expected);
    assert_eq!(world.containers(), ["t-web app:1 running"]);
}
