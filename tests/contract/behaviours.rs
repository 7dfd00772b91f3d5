//! What every engine must do.

#![expect(clippy::unwrap_used, reason = "an unexpected refusal fails the test, with its words")]

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use sandkeeper::engine::{
    CreateRequest, Engine, EngineError, EngineKind, Feature, Inspected, LogOptions, OutputChunk,
};
use sandkeeper::plan::{ContainerId, ContainerState, Limits, NetworkChoice, Seccomp};
use secrecy::SecretString;

use crate::bench::{Bench, Role, eventually, failing_command, free_port, no_command, port};

const GRACE: Duration = Duration::from_secs(1);
/// What a command may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// Whether the engine says that it has this. What it lacks, the suite sees refused and not done.
fn offers(bench: &dyn Bench, feature: Feature) -> bool {
    !bench.lacks().contains(&feature)
}

/// As [`offers`], where a test turns on it: what is seen then is the refusal, and the matrix says so.
fn has(bench: &dyn Bench, feature: Feature) -> bool {
    let has = offers(bench, feature);
    if !has {
        declared(feature);
    }
    has
}

/// Read by `tests/lib/matrix.py` in what a test that passed has printed.
#[expect(clippy::print_stdout, reason = "a result has no other place for it")]
fn declared(feature: Feature) {
    println!("declared: {feature:?}");
}

/// A code, as far as the engine tells.
fn code(bench: &dyn Bench, code: i64) -> Option<i64> {
    offers(bench, Feature::ExitCode).then_some(code)
}

/// Limits as far as the engine has them, in whole processors where it has no others.
fn limits(bench: &dyn Bench, nano_cpus: i64, memory: i64, pids: i64) -> Limits {
    let whole = nano_cpus % 1_000_000_000 == 0 || offers(bench, Feature::FractionalCpu);
    let nano_cpus = if whole { nano_cpus } else { 1_000_000_000 };
    Limits {
        nano_cpus: offers(bench, Feature::CpuLimit).then_some(nano_cpus),
        memory: offers(bench, Feature::MemoryLimit).then_some(memory.max(bench.least_memory())),
        pids: offers(bench, Feature::PidsLimit).then_some(pids),
    }
}

async fn created(bench: &dyn Bench, rest: &str) -> ContainerId {
    let request = bench.request(rest, Role::Sleeps);
    bench.engine().create(&request).await.expect("it is created")
}

async fn running(bench: &dyn Bench, rest: &str) -> ContainerId {
    let id = created(bench, rest).await;
    bench.engine().start(&id).await.expect("it starts");
    id
}

async fn details(engine: &Arc<dyn Engine>, id: &ContainerId) -> Inspected {
    engine.inspect(id).await.expect("the engine answers").expect("the container exists")
}

async fn ended(engine: &Arc<dyn Engine>, id: &ContainerId) -> Inspected {
    eventually("it ends", || async {
        Some(details(engine, id).await).filter(|it| it.state == ContainerState::Exited)
    })
    .await
}

pub(crate) async fn the_engine_has_an_identity(bench: &dyn Bench) {
    let first = bench.engine().capabilities().await.unwrap();
    let second = bench.engine().capabilities().await.unwrap();
    assert_eq!(first.engine_id, second.engine_id);
    assert!(!first.engine_id.is_empty());
    assert!(first.cpus > 0);
    // Not told by Apple's tool.
    assert!(first.memory > 0 || bench.engine().kind() == EngineKind::Apple);
    assert!(bench.engine().kind().lacks().iter().all(|it| bench.lacks().contains(it)));
    let lacks = bench.lacks();
    assert!(lacks.iter().all(|feature| !first.has(*feature)), "{:?}", first.lacks);
}

pub(crate) async fn a_new_container_is_created_and_not_started(bench: &dyn Bench) {
    let id = created(bench, "a").await;
    let details = details(&bench.engine(), &id).await;
    assert_eq!(details.state, ContainerState::Created);
    assert_eq!((details.started_at, details.finished_at, details.exit_code), (None, None, None));
    assert_eq!(details.id, id);
}

/// The inspect in the engine's own words is read as what was asked for, for each field that it can have.
pub(crate) async fn a_container_is_let_do_what_was_asked_and_no_more(bench: &dyn Bench) {
    type Change = fn(&mut CreateRequest);
    let engine = bench.engine();
    let lacks = engine.kind().lacks();
    let changes: [(Option<Feature>, Change); 7] = [
        (None, |_| {}),
        (None, |it| it.network = NetworkChoice::Bridge),
        (None, |it| it.security.capabilities = vec!["CHOWN".to_owned(), "KILL".to_owned()]),
        (None, |it| {
            it.security.read_only_root = true;
            it.security.run_as_user = Some(1000);
            it.security.run_as_group = Some(1000);
        }),
        (Some(Feature::SharedMemory), |it| it.shared_memory = Some(1 << 20)),
        (Some(Feature::NoNewPrivileges), |it| it.security.no_new_privileges = false),
        (Some(Feature::SeccompProfile), |it| it.security.seccomp = Seccomp::Unconfined),
    ];
    for (number, (needs, change)) in changes.into_iter().enumerate() {
        if needs.is_some_and(|feature| lacks.contains(&feature)) {
            continue;
        }
        let mut request = bench.request(&format!("i{number}"), Role::Sleeps);
        change(&mut request);
        let id = engine.create(&request).await.unwrap();
        let found = details(&engine, &id).await.isolation;
        assert_eq!(request.isolation().widened(&found), [""; 0], "{number}: {found:?}");
        assert_eq!(found.unknown, [""; 0], "{number}");
    }
}

pub(crate) async fn the_list_agrees_with_inspect_and_holds_what_does_not_run(bench: &dyn Bench) {
    let engine = bench.engine();
    let ids = [created(bench, "a").await, running(bench, "b").await, running(bench, "c").await];
    engine.stop(&ids[2], GRACE).await.unwrap();
    let list = engine.list().await.unwrap();
    for id in &ids {
        let details = details(&engine, id).await;
        let listed = list.iter().find(|listed| listed.id == *id).expect("it is listed");
        assert_eq!(listed.name, details.name);
        assert_eq!(listed.state, details.state);
        assert_eq!(listed.labels, details.labels);
    }
}

pub(crate) async fn what_was_asked_for_is_what_inspect_shows(bench: &dyn Bench) {
    let engine = bench.engine();
    let mut request = bench.request("a", Role::Sleeps);
    request.labels.insert("sandkeeper.dev/name".to_owned(), "a b=\"c\"".to_owned());
    let number = free_port();
    request.ports = vec![port(number)];
    request.network = NetworkChoice::Bridge;
    request.limits = limits(bench, 500_000_000, 64 << 20, 50);
    let id = engine.create(&request).await.unwrap();
    let details = details(&engine, &id).await;
    assert_eq!(details.name, request.name);
    // Podman spells the registry out.
    assert_eq!(details.image.trim_start_matches("docker.io/"), request.image);
    assert_eq!(details.labels, request.labels);
    assert_eq!(details.limits, request.limits);
    let [binding] = &details.bindings[..] else { unreachable!("{:?}", details.bindings) };
    assert_eq!((binding.container_port, binding.host_port), (8080, number));
    assert_eq!(binding.host_ip, port(number).host_ip);
    assert_eq!(
        (details.network_mode.as_str(), &details.networks[..]),
        ("bridge", &["bridge".to_owned()][..])
    );
}

pub(crate) async fn a_taken_name_is_a_conflict(bench: &dyn Bench) {
    created(bench, "a").await;
    let second = bench.engine().create(&bench.request("a", Role::Sleeps)).await;
    assert!(matches!(second, Err(EngineError::NameConflict(_))), "{second:?}");
}

pub(crate) async fn a_bad_name_is_rejected(bench: &dyn Bench) {
    let outcome = bench.engine().create(&bench.request("a b", Role::Sleeps)).await;
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
}

pub(crate) async fn starting_twice_is_no_error(bench: &dyn Bench) {
    let id = running(bench, "a").await;
    let before = details(&bench.engine(), &id).await;
    assert_eq!(before.state, ContainerState::Running);
    assert_eq!(bench.engine().start(&id).await, Ok(()));
    assert_eq!(details(&bench.engine(), &id).await.started_at, before.started_at);
}

pub(crate) async fn a_stop_ends_the_process_and_shows_its_code(bench: &dyn Bench) {
    let id = running(bench, "a").await;
    assert_eq!(bench.engine().stop(&id, GRACE).await, Ok(()));
    let details = details(&bench.engine(), &id).await;
    assert_eq!((details.state, details.exit_code), (ContainerState::Exited, code(bench, 143)));
    assert!(details.finished_at.is_none_or(|end| Some(end) >= details.started_at));
    assert!(details.finished_at.is_some() || !has(bench, Feature::ExitCode));
}

pub(crate) async fn stopping_what_does_not_run_is_no_error(bench: &dyn Bench) {
    let id = created(bench, "a").await;
    assert_eq!(bench.engine().stop(&id, GRACE).await, Ok(()));
    bench.engine().start(&id).await.unwrap();
    assert_eq!(bench.engine().stop(&id, GRACE).await, Ok(()));
    assert_eq!(bench.engine().stop(&id, GRACE).await, Ok(()));
}

pub(crate) async fn a_container_can_be_started_again(bench: &dyn Bench) {
    let id = running(bench, "a").await;
    bench.engine().stop(&id, GRACE).await.unwrap();
    assert_eq!(bench.engine().start(&id).await, Ok(()));
    let details = details(&bench.engine(), &id).await;
    assert_eq!((details.state, details.exit_code), (ContainerState::Running, None));
}

pub(crate) async fn an_exit_code_shows_after_the_end(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = engine.create(&bench.request("a", Role::Exits(3))).await.unwrap();
    engine.start(&id).await.unwrap();
    let ended = ended(&engine, &id).await;
    assert_eq!((ended.exit_code, ended.oom_killed), (code(bench, 3), false));
}

/// The engine's init takes the blame and the start itself succeeds (Podman's init says 1), or the start is
/// refused.
pub(crate) async fn a_program_that_does_not_exist_ends_at_once(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = engine.create(&bench.request("a", Role::HasNoProgram)).await.unwrap();
    match engine.start(&id).await {
        Err(EngineError::Rejected(_)) => return assert!(!has(bench, Feature::ExitCode)),
        outcome => outcome.unwrap(),
    }
    let told = ended(&engine, &id).await.exit_code;
    assert!(matches!(told, Some(1 | 126 | 127)) || !has(bench, Feature::ExitCode), "{told:?}");
}

pub(crate) async fn a_running_container_is_not_removed(bench: &dyn Bench) {
    let id = running(bench, "a").await;
    let outcome = bench.engine().remove(&id).await;
    assert!(matches!(outcome, Err(EngineError::Busy(_))), "{outcome:?}");
    assert_eq!(details(&bench.engine(), &id).await.state, ContainerState::Running);
}

pub(crate) async fn removing_what_is_gone_is_no_error(bench: &dyn Bench) {
    let id = created(bench, "a").await;
    assert_eq!(bench.engine().remove(&id).await, Ok(()));
    assert_eq!(bench.engine().remove(&id).await, Ok(()));
    assert_eq!(bench.engine().inspect(&id).await, Ok(None));
}

pub(crate) async fn a_removed_container_frees_its_name(bench: &dyn Bench) {
    let first = created(bench, "a").await;
    bench.engine().remove(&first).await.unwrap();
    let second = created(bench, "a").await;
    assert_ne!(first, second);
}

pub(crate) async fn renaming_moves_the_name(bench: &dyn Bench) {
    let engine = bench.engine();
    let (first, second) = (created(bench, "a").await, created(bench, "b").await);
    if !has(bench, Feature::Rename) {
        let outcome = engine.rename(&first, &bench.name("c")).await;
        assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
        assert_eq!(details(&engine, &first).await.name, bench.name("a"));
        return;
    }
    let taken = engine.rename(&second, &bench.name("a")).await;
    assert!(matches!(taken, Err(EngineError::NameConflict(_))), "{taken:?}");
    let old = bench.name("a.old");
    assert_eq!(engine.rename(&first, &old).await, Ok(()));
    assert_eq!(engine.rename(&first, &old).await, Ok(()));
    assert_eq!(engine.rename(&second, &bench.name("a")).await, Ok(()));
    assert_eq!(details(&engine, &first).await.name, old);
    assert_eq!(details(&engine, &second).await.name, bench.name("a"));
}

pub(crate) async fn an_unknown_container_is_told_apart(bench: &dyn Bench) {
    let engine = bench.engine();
    let nobody = ContainerId("0123456789abcdef".repeat(4));
    assert_eq!(engine.inspect(&nobody).await, Ok(None));
    let command = failing_command();
    let outcomes = [
        engine.start(&nobody).await,
        engine.stop(&nobody, GRACE).await,
        engine.unpause(&nobody).await,
        engine.rename(&nobody, &bench.name("a")).await,
        engine.update(&nobody, &Limits::default()).await,
        engine.connect(&nobody, "bridge").await,
        engine.exec(&nobody, &command, None, PATIENCE).await.map(drop),
        engine.logs(&nobody, &LogOptions::default()).await.map(drop),
    ];
    let expected = Err(EngineError::NoSuchContainer(nobody.0.clone()));
    for (index, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, expected, "call {index}");
    }
}

/// Whether the engine, which then says so beforehand, refuses to change the limits of a container.
async fn refuses_to_update(engine: &Arc<dyn Engine>, id: &ContainerId, wanted: &Limits) -> bool {
    if engine.capabilities().await.unwrap().has(Feature::LiveUpdate) {
        return false;
    }
    declared(Feature::LiveUpdate);
    let before = details(engine, id).await;
    assert!(!engine.updates_live(&before.limits, wanted));
    let outcome = engine.update(id, wanted).await;
    assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
    assert_eq!(details(engine, id).await, before);
    true
}

pub(crate) async fn limits_change_without_a_restart(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = running(bench, "a").await;
    if refuses_to_update(&engine, &id, &Limits { pids: Some(50), ..Limits::default() }).await {
        return;
    }
    let started_at = details(&engine, &id).await.started_at;
    let limits = |cpus: i64, mebibytes: i64, pids| Limits {
        nano_cpus: Some(cpus * 1_000_000_000),
        memory: Some(mebibytes << 20),
        pids: Some(pids),
    };
    // From none, up past the old limit on swap, and down again.
    for wanted in [limits(1, 64, 50), limits(2, 256, 100), limits(1, 64, 20)] {
        assert_eq!(engine.update(&id, &wanted).await, Ok(()));
        assert_eq!(details(&engine, &id).await.limits, wanted);
    }
    assert_eq!(details(&engine, &id).await.started_at, started_at);
}

pub(crate) async fn limits_change_on_a_stopped_container(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = running(bench, "a").await;
    engine.stop(&id, GRACE).await.unwrap();
    let wanted = Limits { memory: Some(64 << 20), ..Limits::default() };
    if refuses_to_update(&engine, &id, &wanted).await {
        return;
    }
    assert_eq!(engine.update(&id, &wanted).await, Ok(()));
    assert_eq!(details(&engine, &id).await.limits, wanted);
}

pub(crate) async fn limits_on_cpu_and_memory_cannot_be_lifted(bench: &dyn Bench) {
    let engine = bench.engine();
    let all = limits(bench, 500_000_000, 64 << 20, 50);
    let mut request = bench.request("a", Role::Sleeps);
    request.limits = all;
    let id = engine.create(&request).await.unwrap();
    engine.start(&id).await.unwrap();
    for lifted in [Limits { nano_cpus: None, ..all }, Limits { memory: None, ..all }] {
        assert!(!engine.updates_live(&all, &lifted));
        let outcome = engine.update(&id, &lifted).await;
        assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
        assert_eq!(details(&engine, &id).await.limits, all);
    }
    let without_pids = Limits { pids: None, ..all };
    if !has(bench, Feature::LiveUpdate) {
        return;
    }
    assert!(engine.updates_live(&all, &without_pids));
    assert_eq!(engine.update(&id, &without_pids).await, Ok(()));
    assert_eq!(details(&engine, &id).await.limits, without_pids);
}

pub(crate) async fn a_limit_out_of_range_is_rejected(bench: &dyn Bench) {
    let engine = bench.engine();
    let too_little = Limits { memory: Some(1 << 20), ..Limits::default() };
    let mut request = bench.request("a", Role::Sleeps);
    request.limits = too_little;
    let outcome = engine.create(&request).await;
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
    let id = running(bench, "b").await;
    if refuses_to_update(&engine, &id, &too_little).await {
        return;
    }
    let outcome = engine.update(&id, &too_little).await;
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
}

/// What an engine cannot limit, it must not make without.
pub(crate) async fn a_limit_is_in_force_or_refused(bench: &dyn Bench) {
    let engine = bench.engine();
    let asked = [
        (Feature::CpuLimit, Limits { nano_cpus: Some(1_000_000_000), ..Limits::default() }),
        (Feature::MemoryLimit, Limits { memory: Some(256 << 20), ..Limits::default() }),
        (Feature::PidsLimit, Limits { pids: Some(50), ..Limits::default() }),
    ];
    for (feature, limits) in asked {
        let mut request = bench.request(&format!("{feature:?}").to_lowercase(), Role::Sleeps);
        request.limits = limits;
        let outcome = engine.create(&request).await;
        if has(bench, feature) {
            assert_eq!(details(&engine, &outcome.unwrap()).await.limits, limits);
        } else {
            let refused =
                matches!(outcome, Err(EngineError::Rejected(_) | EngineError::Unsupported(_)));
            assert!(refused, "{feature:?}: {outcome:?}");
        }
    }
}

pub(crate) async fn a_paused_container_waits(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = running(bench, "a").await;
    if !has(bench, Feature::Pause) {
        // Nothing freezes one, so there is nothing to do.
        return assert_eq!(engine.unpause(&id).await, Ok(()));
    }
    bench.pause(&id).await;
    assert_eq!(details(&engine, &id).await.state, ContainerState::Paused);
    let refused = [
        engine.start(&id).await,
        engine.remove(&id).await,
        engine.exec(&id, &failing_command(), None, PATIENCE).await.map(drop),
    ];
    for outcome in refused {
        assert!(matches!(outcome, Err(EngineError::Busy(_))), "{outcome:?}");
    }
    assert_eq!(engine.unpause(&id).await, Ok(()));
    assert_eq!(engine.unpause(&id).await, Ok(()));
    assert_eq!(details(&engine, &id).await.state, ContainerState::Running);
}

pub(crate) async fn a_busy_port_is_told_at_the_start(bench: &dyn Bench) {
    let engine = bench.engine();
    let number = free_port();
    let mut ids = Vec::new();
    for rest in ["a", "b"] {
        let mut request = bench.request(rest, Role::Sleeps);
        request.network = NetworkChoice::Bridge;
        request.ports = vec![port(number)];
        ids.push(engine.create(&request).await.unwrap());
    }
    engine.start(&ids[0]).await.unwrap();
    let refused = engine.start(&ids[1]).await;
    assert!(
        matches!(refused, Err(EngineError::PortBusy { port: Some(busy), .. }) if busy == number),
        "{refused:?}"
    );
    let left = details(&engine, &ids[1]).await;
    assert_eq!((left.state, left.exit_code), (ContainerState::Created, None));
    engine.stop(&ids[0], GRACE).await.unwrap();
    assert_eq!(engine.start(&ids[1]).await, Ok(()));
}

pub(crate) async fn a_missing_image_is_told_apart(bench: &dyn Bench) {
    let engine = bench.engine();
    let mut request = bench.request("a", Role::Sleeps);
    assert_eq!(engine.has_image(&request.image).await, Ok(true));
    // No registry can answer at port 1 of the host itself.
    "127.0.0.1:1/nobody/nothing:1".clone_into(&mut request.image);
    assert_eq!(engine.has_image(&request.image).await, Ok(false));
    let outcome = engine.create(&request).await;
    assert!(matches!(outcome, Err(EngineError::ImageMissing(_))), "{outcome:?}");
    let (progress, _) = tokio::sync::watch::channel(String::new());
    assert!(engine.pull(&request.image, &progress).await.is_err());
    assert_eq!(engine.has_image(&request.image).await, Ok(false));
}

/// Docker looks for it at the start, others at the creation.
pub(crate) async fn a_missing_network_is_told_before_anything_runs(bench: &dyn Bench) {
    let engine = bench.engine();
    let mut request = bench.request("a", Role::Sleeps);
    request.network = NetworkChoice::Named(bench.name("nowhere"));
    match engine.create(&request).await {
        Ok(id) => {
            let outcome = engine.start(&id).await;
            assert!(matches!(outcome, Err(EngineError::NetworkMissing(_))), "{outcome:?}");
            assert_eq!(details(&engine, &id).await.state, ContainerState::Created);
        }
        refused => assert!(matches!(refused, Err(EngineError::NetworkMissing(_))), "{refused:?}"),
    }
    let mut request = bench.request("b", Role::Sleeps);
    request.network = NetworkChoice::Bridge;
    let connected = engine.create(&request).await.unwrap();
    engine.start(&connected).await.unwrap();
    let outcome = engine.connect(&connected, &bench.name("nowhere")).await;
    if has(bench, Feature::Reattach) {
        assert!(matches!(outcome, Err(EngineError::NetworkMissing(_))), "{outcome:?}");
    } else {
        assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
    }
}

pub(crate) async fn connecting_twice_is_no_error(bench: &dyn Bench) {
    let engine = bench.engine();
    let mut request = bench.request("a", Role::Sleeps);
    request.network = NetworkChoice::Bridge;
    let id = engine.create(&request).await.unwrap();
    engine.start(&id).await.unwrap();
    assert_eq!(engine.connect(&id, "bridge").await, Ok(()));
    assert_eq!(details(&engine, &id).await.networks, ["bridge"]);
}

pub(crate) async fn an_unknown_runtime_is_rejected(bench: &dyn Bench) {
    let mut request = bench.request("a", Role::Sleeps);
    request.runtime = Some("levitation".to_owned());
    let outcome = bench.engine().create(&request).await;
    assert!(matches!(outcome, Err(EngineError::Rejected(_))), "{outcome:?}");
}

pub(crate) async fn a_command_reports_its_code_and_output(bench: &dyn Bench) {
    let id = running(bench, "a").await;
    let command = failing_command();
    let outcome = bench.engine().exec(&id, &command, None, PATIENCE).await.unwrap();
    assert_eq!((outcome.exit_code, outcome.output.as_str()), (3, "out\n"));
}

pub(crate) async fn a_command_that_does_not_exist_reports_126_or_127(bench: &dyn Bench) {
    let id = running(bench, "a").await;
    let outcome = bench.engine().exec(&id, &no_command(), None, PATIENCE).await;
    assert!(matches!(outcome.unwrap().exit_code, 126 | 127));
}

pub(crate) async fn a_command_needs_a_running_container(bench: &dyn Bench) {
    let id = created(bench, "a").await;
    let command = failing_command();
    let outcome = bench.engine().exec(&id, &command, None, PATIENCE).await;
    assert!(matches!(outcome, Err(EngineError::Busy(_))), "{outcome:?}");
}

pub(crate) async fn events_tell_what_happened(bench: &dyn Bench) {
    let engine = bench.engine();
    let mut events = engine.events().await.unwrap();
    let mut request = bench.request("a", Role::Sleeps);
    request.labels.insert("sandkeeper.dev/name".to_owned(), "web".to_owned());
    let id = engine.create(&request).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut expected = vec!["create", "start"];
    if has(bench, Feature::Rename) {
        engine.rename(&id, &bench.name("b")).await.unwrap();
        expected.push("rename");
    }
    let limits = Limits { memory: Some(64 << 20), ..Limits::default() };
    if !refuses_to_update(&engine, &id, &limits).await {
        engine.update(&id, &limits).await.unwrap();
        expected.push("update");
    }
    if has(bench, Feature::Pause) {
        bench.pause(&id).await;
        engine.unpause(&id).await.unwrap();
        expected.extend(["pause", "unpause"]);
    }
    engine.exec(&id, &failing_command(), None, PATIENCE).await.unwrap();
    bench.kill(&id).await;
    ended(&engine, &id).await;
    engine.remove(&id).await.unwrap();
    let mut actions = Vec::new();
    while actions.last().is_none_or(|last| last != "destroy") {
        let event = events.next().await.expect("the stream goes on").expect("it can be read");
        // A network tells that it let the container go, and knows no labels.
        if event.container == id && event.action != "disconnect" {
            assert_eq!(event.sandbox.as_deref(), Some("web"));
            assert!(event.name == bench.name("a") || event.name == bench.name("b"));
            actions.push(event.action);
        }
    }
    expected.extend(["die", "destroy"]);
    assert_eq!(actions, expected);
}

pub(crate) async fn what_is_killed_from_outside_is_seen(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = running(bench, "a").await;
    bench.kill(&id).await;
    assert_eq!(ended(&engine, &id).await.exit_code, code(bench, 137));
    bench.remove_by_force(&id).await;
    assert_eq!(engine.inspect(&id).await, Ok(None));
}

pub(crate) async fn logs_hold_what_was_printed(bench: &dyn Bench) {
    let engine = bench.engine();
    let id = engine.create(&bench.request("a", Role::Prints("one", "two"))).await.unwrap();
    engine.start(&id).await.unwrap();
    let read = async |options: LogOptions| {
        let pieces = engine.logs(&id, &options).await.unwrap();
        let bytes = pieces.map(|piece| match piece.expect("it can be read") {
            OutputChunk::Stdout(bytes) | OutputChunk::Stderr(bytes) => bytes,
        });
        String::from_utf8(bytes.concat().await).unwrap()
    };
    let all = eventually("both lines are in the log", || async {
        Some(read(LogOptions::default()).await).filter(|log| log.contains("two"))
    });
    assert_eq!(all.await, "one\ntwo\n");
    assert_eq!(read(LogOptions { tail: Some(1), ..LogOptions::default() }).await, "two\n");
}

pub(crate) async fn no_secret_reaches_an_error(bench: &dyn Bench) {
    let engine = bench.engine();
    let secret = || vec![("TOKEN".to_owned(), SecretString::from("canary-4711"))];
    created(bench, "a").await;
    let mut wrong = ["a", "b c", "d"].map(|rest| bench.request(rest, Role::Sleeps));
    wrong[2].runtime = Some("levitation".to_owned());
    for mut request in wrong {
        request.env = secret();
        let error = engine.create(&request).await.unwrap_err();
        let told = format!("{error} {error:?} {request:?}");
        assert!(!told.contains("canary"), "{told}");
    }
}
