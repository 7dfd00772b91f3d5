//! The fault proxy does what its rules say: otherwise a sweep with it proves nothing.

use std::time::Duration;

use futures::StreamExt as _;
use sandkeeper::engine::{Engine as _, EngineError};
use tokio::time::timeout;

use crate::bench::{Bench as _, DockerBench, Role, eventually};
use crate::proxy::{Fault, Rule};

const CREATE: &str = "POST /containers/create";
const LIST: &str = "GET /containers/json";
/// Waited for where no answer is to come.
const SILENCE: Duration = Duration::from_secs(1);
/// Longer than the client itself waits.
const PATIENCE: Duration = Duration::from_mins(1);

/// What the client sees.
#[derive(Debug, PartialEq)]
enum Sees {
    Success,
    Refusal,
    Conflict,
    /// It cannot know what came of it.
    Nothing,
    /// No answer comes.
    Silence,
}

async fn create(bench: &DockerBench, name: &str, patience: Duration) -> Sees {
    let request = bench.request(name, Role::Sleeps);
    match timeout(patience, bench.docker.create(&request)).await {
        Err(_) => Sees::Silence,
        Ok(Ok(_)) => Sees::Success,
        Ok(Err(EngineError::NameConflict(_))) => Sees::Conflict,
        Ok(Err(EngineError::OutcomeUnknown { .. } | EngineError::Garbled { .. })) => Sees::Nothing,
        Ok(Err(_)) => Sees::Refusal,
    }
}

async fn names(bench: &DockerBench) -> Vec<String> {
    let list = bench.docker.list().await.expect("the engine lists");
    let names = list.into_iter().map(|container| container.name);
    names.filter(|name| name.starts_with(&bench.name(""))).collect()
}

#[tokio::test]
async fn each_fault_of_a_creation_is_what_it_is_called() {
    let bench = DockerBench::behind_a_proxy().await;
    let proxy = bench.proxy();
    let garbage = Fault::Garbage(b"no HTTP\r\n\r\n".to_vec());
    let torn = Fault::Body("application/json", b"{\"Id\": ".to_vec());
    // The fault, what the client sees, and what the engine answers: nothing where it is not asked.
    let rows = [
        (Fault::DropBefore, Sees::Nothing, vec![]),
        (Fault::DropAfter, Sees::Nothing, vec![201]),
        (Fault::Cut, Sees::Nothing, vec![201]),
        (Fault::Truncate, Sees::Nothing, vec![201]),
        (Fault::Duplicate, Sees::Conflict, vec![201, 409]),
        (Fault::refuse(500, "no"), Sees::Refusal, vec![]),
        (Fault::html502(), Sees::Refusal, vec![]),
        (garbage, Sees::Nothing, vec![201]),
        (torn, Sees::Nothing, vec![201]),
        (Fault::StallHead, Sees::Silence, vec![201]),
        (Fault::StallBody, Sees::Silence, vec![201]),
        (Fault::Delay(Duration::from_millis(1)), Sees::Success, vec![201]),
        (Fault::Swap("/nonexistent.sock".into()), Sees::Nothing, vec![]),
    ];
    for (number, (fault, sees, statuses)) in rows.into_iter().enumerate() {
        let (fault_name, name) = (fault.name(), number.to_string());
        let hits = proxy.add(Rule::new(fault).on(CREATE).of(&bench.name(&name)));
        let patience = if sees == Sees::Silence { SILENCE } else { PATIENCE };
        assert_eq!(create(&bench, &name, patience).await, sees, "{fault_name}");
        assert_eq!(hits.count(), 1, "{fault_name}");
        // What stalls may do so before the proxy has read the answer.
        eventually(fault_name, async || {
            let ledger = proxy.ledger();
            let exchange = ledger.of(CREATE).last().expect("it passed");
            (exchange.statuses == statuses).then_some(())
        })
        .await;
        let exists = names(&bench).await.contains(&bench.name(&name));
        assert_eq!(exists, !statuses.is_empty(), "{fault_name}");
    }
}

#[tokio::test]
async fn a_held_request_is_sent_when_its_client_has_given_up() {
    let bench = DockerBench::behind_a_proxy().await;
    bench.proxy().add(Rule::new(Fault::Hold).on(CREATE).nth(1));
    assert_eq!(create(&bench, "late", SILENCE).await, Sees::Silence);
    eventually("it lands late", async || {
        names(&bench).await.contains(&bench.name("late")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn lists_are_emptied_thinned_and_made_stale() {
    let bench = DockerBench::behind_a_proxy().await;
    let proxy = bench.proxy();
    let [first, second] = ["first", "second"].map(|name| bench.name(name));
    assert_eq!(create(&bench, "first", PATIENCE).await, Sees::Success);
    assert_eq!(names(&bench).await, [first.as_str()]);
    assert_eq!(create(&bench, "second", PATIENCE).await, Sees::Success);

    proxy.add(Rule::new(Fault::EmptyList).on(LIST).nth(1));
    proxy.add(Rule::new(Fault::Omit(first.clone())).on(LIST).nth(2));
    proxy.add(Rule::new(Fault::StaleList).on(LIST).nth(3));
    assert!(names(&bench).await.is_empty());
    assert_eq!(names(&bench).await, [second.as_str()]);
    assert_eq!(names(&bench).await, [first.as_str()]);
    let mut all = names(&bench).await;
    all.sort();
    assert_eq!(all, [first, second]);
}

#[tokio::test]
async fn events_are_frozen_and_repeated() {
    let bench = DockerBench::behind_a_proxy().await;
    let proxy = bench.proxy();
    proxy.add(Rule::new(Fault::Freeze(0)).on("GET /events").nth(1));
    proxy.add(Rule::new(Fault::Repeat(3)).on("GET /events").nth(2));
    let mut frozen = bench.docker.events().await.expect("it subscribes");
    let repeated = bench.docker.events().await.expect("it subscribes");
    assert_eq!(create(&bench, "seen", PATIENCE).await, Sees::Success);
    // Other tests make events too.
    let name = bench.name("seen");
    let ours = repeated.filter_map(async |event| event.ok().filter(|it| it.name == name));
    let ours: Vec<_> = ours.take(3).collect().await;
    assert!(ours.windows(2).all(|pair| pair[0].action == pair[1].action), "{ours:?}");
    assert!(timeout(SILENCE, frozen.next()).await.is_err(), "a frozen stream is silent");
}

#[tokio::test]
async fn chances_are_drawn_alike_from_the_same_seed() {
    let mut struck = Vec::new();
    for _ in 0..2 {
        let bench = DockerBench::behind_a_proxy().await;
        bench.proxy().add(Rule::new(Fault::refuse(500, "no")).on(LIST).chance(0.5, 7));
        let mut refused = Vec::new();
        for _ in 0..20 {
            refused.push(bench.docker.list().await.is_err());
        }
        struck.push(refused);
    }
    assert_eq!(struck[0], struck[1]);
    assert!(struck[0].contains(&true) && struck[0].contains(&false), "{struck:?}");
}
