//! The pump against a stub engine, in paused time.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;

use super::*;
use crate::controller::stub_engine::{Fault, StubEngine, identity, inspected, owned};
use crate::controller::triggers::TriggerStream;
use crate::plan::{ContainerId, ContainerState, Memory, Slot};

struct Bench {
    engine: Arc<StubEngine>,
    observer: Arc<Observer>,
    woken: TriggerStream,
    health: watch::Receiver<EngineHealth>,
    all_woken: Arc<AtomicUsize>,
    pump: Pump,
}

fn bench() -> Bench {
    let engine = StubEngine::new();
    let dyn_engine = Arc::clone(&engine) as Arc<dyn Engine>;
    let max_age = Duration::from_hours(24);
    let observer = Arc::new(Observer::new(Arc::clone(&dyn_engine), identity(), max_age));
    let (triggers, woken) = Triggers::new();
    let all_woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&all_woken);
    let count = move || {
        counter.fetch_add(1, Ordering::SeqCst);
    };
    let (pump, health) = Pump::new(dyn_engine, identity(), Arc::clone(&observer), triggers, count);
    Bench { engine, observer, woken, health, all_woken, pump }
}

fn event(container: &str, name: &str, action: &str, sandbox: Option<&str>) -> EngineEvent {
    EngineEvent {
        container: ContainerId(container.to_owned()),
        name: name.to_owned(),
        action: action.to_owned(),
        sandbox: sandbox.map(str::to_owned),
    }
}

async fn while_pumping(pump: Pump, body: impl Future<Output = ()>) {
    let shutdown = CancellationToken::new();
    let stop = async {
        body.await;
        shutdown.cancel();
    };
    tokio::join!(pump.run(shutdown.clone()), stop);
}

#[tokio::test(start_paused = true)]
async fn an_event_wakes_the_sandbox_of_the_label_and_that_of_the_name() {
    let Bench { engine, mut woken, pump, .. } = bench();
    let events = engine.next_stream();
    while_pumping(pump, async {
        events.send(Ok(event("1", "elsewhere", "rename", Some("web")))).unwrap();
        assert_eq!(woken.next().await.unwrap(), "web");
        events.send(Ok(event("2", "sbx-api.new", "destroy", None))).unwrap();
        assert_eq!(woken.next().await.unwrap(), "api");
        events.send(Ok(event("3", "unrelated", "die", None))).unwrap();
        events.send(Ok(event("4", "sbx-last", "die", Some("last")))).unwrap();
        assert_eq!(woken.next().await.unwrap(), "last");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_event_of_an_adopted_container_wakes_the_sandbox_that_observed_it() {
    let Bench { engine, observer, mut woken, pump, .. } = bench();
    engine.add(inspected("a", "elsewhere", ContainerState::Running));
    let adopted = crate::plan::Adopted {
        container: ContainerId("a".to_owned()),
        spec_hash: "v1:a".to_owned(),
    };
    let memory = Memory { uid: "u-1".to_owned(), adopted: Some(adopted), ..Memory::default() };
    let events = engine.next_stream();
    while_pumping(pump, async {
        observer.observe("web", &memory, "u-1").await.unwrap();
        events.send(Ok(event("a", "elsewhere", "die", None))).unwrap();
        assert_eq!(woken.next().await.unwrap(), "web");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_is_woken_sees_what_happened() {
    let Bench { engine, observer, mut woken, mut health, pump, .. } = bench();
    let id = engine.add(owned("m", "web", Slot::Main));
    let events = engine.next_stream();
    while_pumping(pump, async {
        health.wait_for(EngineHealth::is_connected).await.unwrap();
        observer.observe("web", &Memory::default(), "u-1").await.unwrap();
        engine.change(&id, |it| it.limits.pids = Some(7));
        events.send(Ok(event("m", "sbx-web", "update", Some("web")))).unwrap();
        woken.next().await.unwrap();
        let seen = observer.observe("web", &Memory::default(), "u-1").await.unwrap();
        assert_eq!(seen.main.unwrap().limits.pids, Some(7));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_invalidates_and_wakes_everything() {
    let Bench { engine, observer, mut health, all_woken, pump, .. } = bench();
    engine.add(owned("m", "web", Slot::Main));
    let first = engine.next_stream();
    let _second = engine.next_stream();
    while_pumping(pump, async {
        health.wait_for(EngineHealth::is_connected).await.unwrap();
        observer.observe("web", &Memory::default(), "u-1").await.unwrap();
        drop(first);
        health.wait_for(|health| !health.is_connected()).await.unwrap();
        health.wait_for(EngineHealth::is_connected).await.unwrap();
        observer.observe("web", &Memory::default(), "u-1").await.unwrap();
        assert_eq!(engine.count("inspect"), 2);
        tokio::task::yield_now().await;
        assert_eq!(all_woken.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_stream_connects_again() {
    let Bench { engine, mut health, pump, .. } = bench();
    let first = engine.next_stream();
    let _second = engine.next_stream();
    while_pumping(pump, async {
        health.wait_for(EngineHealth::is_connected).await.unwrap();
        let garbage = EngineError::Garbled { call: "events", message: "not JSON".to_owned() };
        first.send(Err(garbage)).unwrap();
        health.wait_for(|health| !health.is_connected()).await.unwrap();
        health.wait_for(EngineHealth::is_connected).await.unwrap();
        assert_eq!(engine.count("events"), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_away_is_reported_with_its_last_words() {
    let Bench { engine, mut health, pump, .. } = bench();
    engine.fail_next("events", Fault::Refused(EngineError::Unreachable("no socket".to_owned())));
    while_pumping(pump, async {
        let failing = |health: &EngineHealth| match health {
            EngineHealth::Failing { message, .. } => message.contains("down"),
            _ => false,
        };
        let known = health.wait_for(failing).await.unwrap().clone();
        assert!(!known.is_connected());
        assert!(engine.count("events") >= 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_connected_anew() {
    let Bench { engine, health, all_woken, pump, .. } = bench();
    let _frozen = engine.next_stream();
    let _second = engine.next_stream();
    while_pumping(pump, async {
        tokio::time::sleep(LONGEST_SILENCE + Duration::from_secs(1)).await;
        assert_eq!(engine.count("events"), 2);
        assert_eq!(all_woken.load(Ordering::SeqCst), 2);
        assert!(health.borrow().is_connected());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_probes_do_wakes_nobody() {
    let Bench { engine, mut woken, pump, .. } = bench();
    let events = engine.next_stream();
    while_pumping(pump, async {
        for action in ["exec_create: sh -c true", "exec_die", "health_status: healthy", "top"] {
            events.send(Ok(event("1", "sbx-web", action, Some("web")))).unwrap();
        }
        events.send(Ok(event("2", "sbx-api", "die", Some("api")))).unwrap();
        assert_eq!(woken.next().await.unwrap(), "api");
    })
    .await;
}

#[test]
fn what_happens_to_a_container_wakes() {
    let actions = [
        "create",
        "start",
        "die",
        "oom",
        "kill",
        "stop",
        "restart",
        "pause",
        "unpause",
        "rename",
        "update",
        "destroy",
        "remove",
        "cleanup",
        "init",
        "connect",
        "disconnect",
    ];
    assert!(actions.iter().all(|action| !changes_nothing(action)));
}

#[test]
fn waits_double_up_to_the_longest_and_jitter_halves_at_most() {
    let seconds = |attempt, jitter| backoff(attempt, jitter).as_secs_f64();
    assert!((seconds(0, 0.0) - 0.5).abs() < 1e-9);
    assert!((seconds(1, 0.0) - 1.0).abs() < 1e-9);
    assert!((seconds(5, 0.0) - 16.0).abs() < 1e-9);
    assert!((seconds(6, 0.0) - 30.0).abs() < 1e-9);
    assert!((seconds(u32::MAX, 0.0) - 30.0).abs() < 1e-9);
    assert!((seconds(6, 1.0) - 15.0).abs() < 1e-9);
}
