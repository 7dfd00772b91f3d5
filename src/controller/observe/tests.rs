//! The observer against a stub engine.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;

use super::*;
use crate::controller::stub_engine::{
    Fault, StubEngine, fingerprint, identity, inspected, listed, owned,
};
use crate::plan::Adopted;

const MAX_AGE: Duration = Duration::from_mins(10);

fn observer(engine: &Arc<StubEngine>) -> Observer {
    let observer = Observer::new(Arc::clone(engine) as Arc<dyn Engine>, identity(), MAX_AGE);
    observer.set_events_live(true);
    observer
}

fn remembering(container: Option<&str>, adopted: Option<&str>) -> Memory {
    let id = |id: &str| ContainerId(id.to_owned());
    Memory {
        uid: "u-1".to_owned(),
        container: container.map(id),
        adopted: adopted.map(|it| Adopted { container: id(it), spec_hash: "v1:a".to_owned() }),
        ..Memory::default()
    }
}

fn id_of(container: Option<&crate::plan::Container>) -> Option<&str> {
    container.map(|it| it.id.0.as_str())
}

/// Foreign labels that say the same as ours.
fn copied(id: &str, name: &str, sandbox: &str) -> Inspected {
    Inspected { name: name.to_owned(), ..owned(id, sandbox, Slot::Main) }
}

#[tokio::test]
async fn containers_are_sorted_by_the_name_they_hold() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    engine.add(owned("n", "web", Slot::Replacement));
    engine.add(owned("o", "web", Slot::Predecessor));
    engine.add(owned("x", "other", Slot::Main));
    let seen = observer(&engine).observe("web", &Memory::default(), "u-1").await.unwrap();
    assert_eq!(id_of(seen.main.as_ref()), Some("m"));
    assert_eq!(id_of(seen.replacement.as_ref()), Some("n"));
    assert_eq!(id_of(seen.predecessor.as_ref()), Some("o"));
    assert_eq!(seen.main.unwrap().fingerprint, Some(fingerprint("v1:a")));
    assert_eq!((seen.renamed, seen.foreign, seen.leftover.len()), (None, None, 0));
}

#[tokio::test]
async fn a_renamed_container_is_ours_only_where_its_id_is_on_record() {
    let engine = StubEngine::new();
    engine.add(copied("r", "elsewhere", "web"));
    let observer = observer(&engine);
    let recorded = observer.observe("web", &remembering(Some("r"), None), "u-1").await.unwrap();
    assert_eq!(id_of(recorded.renamed.as_ref()), Some("r"));
    let unknown = observer.observe("web", &remembering(None, None), "u-1").await.unwrap();
    assert_eq!(unknown, Observed::default());
}

#[tokio::test]
async fn the_record_of_an_earlier_life_proves_nothing() {
    let engine = StubEngine::new();
    engine.add(copied("r", "elsewhere", "web"));
    let memory = Memory { uid: "u-0".to_owned(), ..remembering(Some("r"), Some("r")) };
    let seen = observer(&engine).observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(seen, Observed::default());
}

#[tokio::test]
async fn a_container_under_our_name_without_our_proof_is_foreign() {
    let engine = StubEngine::new();
    engine.add(inspected("f", "sbx-web", ContainerState::Running));
    let seen = observer(&engine).observe("web", &Memory::default(), "u-1").await.unwrap();
    assert_eq!(seen.foreign.unwrap().id.0, "f");
    assert_eq!(seen.main, None);
    assert_eq!(engine.count("inspect"), 0);
}

#[tokio::test]
async fn a_copy_of_another_sandboxs_labels_in_our_name_is_foreign() {
    let engine = StubEngine::new();
    engine.add(owned("m", "other", Slot::Main));
    engine.add(copied("f", "sbx-web", "other"));
    let seen = observer(&engine).observe("web", &Memory::default(), "u-1").await.unwrap();
    assert_eq!(seen.foreign.unwrap().id.0, "f");
}

#[tokio::test]
async fn of_several_foreign_holders_the_one_most_in_the_way_is_told() {
    let told = async |names: &[&str]| {
        let engine = StubEngine::new();
        for name in names {
            engine.add(inspected(name, name, ContainerState::Running));
        }
        let seen = observer(&engine).observe("web", &Memory::default(), "u-1").await.unwrap();
        seen.foreign.map(|foreign| (foreign.name, foreign.slot))
    };
    let (main, new, old) = ("sbx-web", "sbx-web.new", "sbx-web.old");
    assert_eq!(told(&[new, main, old]).await, Some((main.to_owned(), Slot::Main)));
    assert_eq!(told(&[old, new]).await, Some((new.to_owned(), Slot::Replacement)));
    assert_eq!(told(&[old]).await, Some((old.to_owned(), Slot::Predecessor)));
}

#[tokio::test]
async fn an_adopted_container_is_ours_under_every_name() {
    let engine = StubEngine::new();
    engine.add(inspected("a", "sbx-web", ContainerState::Running));
    let observer = observer(&engine);
    let memory = remembering(None, Some("a"));
    let seen = observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(id_of(seen.main.as_ref()), Some("a"));
    assert_eq!(seen.main.unwrap().fingerprint, None);
    let id = ContainerId("a".to_owned());
    engine.change(&id, |it| it.name = "sbx-web.old".to_owned());
    let seen = observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(id_of(seen.predecessor.as_ref()), Some("a"));
    engine.change(&id, |it| it.name = "elsewhere".to_owned());
    let seen = observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(id_of(seen.renamed.as_ref()), Some("a"));
}

#[tokio::test]
async fn no_record_makes_another_sandboxs_container_ours() {
    let engine = StubEngine::new();
    engine.add(owned("m", "other", Slot::Main));
    let memory = remembering(Some("m"), Some("m"));
    let seen = observer(&engine).observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(seen, Observed::default());
}

#[tokio::test]
async fn a_container_of_an_earlier_uid_is_left_over() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    let seen = observer(&engine).observe("web", &Memory::default(), "u-2").await.unwrap();
    assert_eq!(seen.main, None);
    assert_eq!(seen.leftover[0].id.0, "m");
    assert_eq!(seen.ours().count(), 0);
}

#[tokio::test]
async fn two_containers_in_one_slot_cannot_be_true() {
    let engine = StubEngine::new();
    engine.add(owned("one", "web", Slot::Main));
    engine.add(owned("two", "web", Slot::Main));
    let answer = observer(&engine).observe("web", &Memory::default(), "u-1").await;
    assert!(matches!(answer, Err(EngineError::Garbled { .. })));
}

#[tokio::test]
async fn a_list_with_one_id_twice_cannot_be_true() {
    let engine = StubEngine::new();
    let twice = listed(&owned("one", "web", Slot::Main));
    engine.world().lists.push_back(vec![twice.clone(), twice]);
    let answer = observer(&engine).observe("web", &Memory::default(), "u-1").await;
    assert!(matches!(answer, Err(EngineError::Garbled { .. })));
}

#[tokio::test]
async fn the_inspect_wins_over_an_older_list() {
    let engine = StubEngine::new();
    let id = engine.add(owned("m", "web", Slot::Main));
    let stale = listed(&engine.get(&id).unwrap());
    engine.world().lists.push_back(vec![stale]);
    engine.change(&id, |it| {
        it.state = ContainerState::Exited;
        it.name = "sbx-web.old".to_owned();
    });
    let seen = observer(&engine).observe("web", &Memory::default(), "u-1").await.unwrap();
    assert_eq!(seen.main, None);
    assert_eq!(seen.predecessor.unwrap().state, ContainerState::Exited);
}

#[tokio::test]
async fn another_container_than_the_one_asked_for_is_refused() {
    let engine = StubEngine::new();
    let id = engine.add(owned("m", "web", Slot::Main));
    engine.world().answers.insert(id, owned("x", "web", Slot::Main));
    let answer = observer(&engine).observe("web", &Memory::default(), "u-1").await;
    assert!(matches!(answer, Err(EngineError::Garbled { call: "inspect", .. })));
}

#[tokio::test]
async fn a_pass_over_a_thousand_unchanged_sandboxes_is_one_list_and_no_inspect() {
    let engine = StubEngine::new();
    let names: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
    for name in &names {
        engine.add(owned(name, name, Slot::Main));
    }
    let observer = observer(&engine);
    let memory = Memory::default();
    let pass = || join_all(names.iter().map(|name| observer.observe(name, &memory, "u-1")));
    let seen = pass().await;
    assert!(seen.iter().all(|seen| seen.as_ref().unwrap().main.is_some()));
    assert_eq!((engine.count("list"), engine.count("inspect")), (1, 1000));
    pass().await;
    assert_eq!((engine.count("list"), engine.count("inspect")), (2, 1000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_on_many_threads_each_see_what_was_there_before_them() {
    let engine = StubEngine::new();
    let observer = Arc::new(observer(&engine));
    let tasks = tokio_util::task::TaskTracker::new();
    for number in 0..100 {
        let observer = Arc::clone(&observer);
        let name = format!("s{number}");
        engine.add(owned(&name, &name, Slot::Main));
        tasks.spawn(async move {
            observer.observe(&name, &Memory::default(), "u-1").await.unwrap().main.unwrap()
        });
    }
    tasks.close();
    tasks.wait().await;
    assert_eq!(engine.count("inspect"), 100);
}

#[tokio::test]
async fn a_caller_during_a_list_does_not_get_that_list() {
    let engine = StubEngine::new();
    let observer = observer(&engine);
    let memory = Memory::default();
    let mut first = Box::pin(observer.observe("web", &memory, "u-1"));
    while engine.count("list") == 0 {
        assert!(first.as_mut().now_or_never().is_none());
    }
    // The list is under way and will answer without this container.
    engine.world().lists.push_back(Vec::new());
    engine.add(owned("m", "web", Slot::Main));
    let (first, second) =
        tokio::join!(first, async { observer.observe("web", &memory, "u-1").await });
    assert_eq!(first.unwrap().main, None);
    assert_eq!(id_of(second.unwrap().main.as_ref()), Some("m"));
    assert_eq!(engine.count("list"), 2);
}

#[tokio::test]
async fn a_caller_that_gives_up_does_not_hold_the_others() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    engine.fail_next("list", Fault::Hang);
    let observer = observer(&engine);
    let memory = Memory::default();
    let mut first = Box::pin(observer.observe("web", &memory, "u-1"));
    while engine.count("list") == 0 {
        assert!(first.as_mut().now_or_never().is_none());
    }
    drop(first);
    assert!(observer.observe("web", &memory, "u-1").await.unwrap().main.is_some());
}

#[tokio::test]
async fn an_engine_error_is_never_an_absence() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    for call in ["list", "inspect"] {
        engine.fail_next(call, Fault::Refused(EngineError::Unreachable("down".to_owned())));
        assert!(observer.observe("web", &memory, "u-1").await.is_err());
    }
    assert!(observer.observe("web", &memory, "u-1").await.unwrap().main.is_some());
}

#[tokio::test]
async fn what_may_have_changed_is_inspected_again() {
    let engine = StubEngine::new();
    let id = engine.add(owned("m", "web", Slot::Main));
    engine.add(owned("x", "other", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    observer.observe("web", &memory, "u-1").await.unwrap();
    observer.observe("other", &memory, "u-1").await.unwrap();

    engine.change(&id, |it| it.limits.pids = Some(7));
    assert_eq!(observer.invalidate(&id), Some("web".to_owned()));
    observer.observe("other", &memory, "u-1").await.unwrap();
    let seen = observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(seen.main.unwrap().limits.pids, Some(7));
    assert_eq!(engine.count("inspect"), 3);

    engine.change(&id, |it| it.state = ContainerState::Exited);
    let seen = observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(seen.main.unwrap().state, ContainerState::Exited);
    assert_eq!(engine.count("inspect"), 4);

    observer.invalidate_all();
    observer.observe("web", &memory, "u-1").await.unwrap();
    observer.observe("other", &memory, "u-1").await.unwrap();
    assert_eq!(engine.count("inspect"), 6);
}

#[tokio::test]
async fn an_event_during_an_inspect_outdates_its_answer() {
    let engine = StubEngine::new();
    let id = engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    let mut first = Box::pin(observer.observe("web", &memory, "u-1"));
    while engine.count("inspect") == 0 {
        assert!(first.as_mut().now_or_never().is_none());
    }
    observer.invalidate(&id);
    first.await.unwrap();
    observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(engine.count("inspect"), 2);
}

#[tokio::test]
async fn nothing_is_cached_while_no_events_arrive() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    observer.set_events_live(false);
    for _ in 0..2 {
        observer.observe("web", &memory, "u-1").await.unwrap();
    }
    observer.set_events_live(true);
    observer.observe("web", &memory, "u-1").await.unwrap();
    assert_eq!(engine.count("inspect"), 3);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_no_event_told_is_found_in_time() {
    let engine = StubEngine::new();
    let id = engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    observer.observe("web", &memory, "u-1").await.unwrap();
    engine.change(&id, |it| it.networks.clear());
    tokio::time::advance(MAX_AGE).await;
    let seen = observer.observe("web", &memory, "u-1").await.unwrap();
    assert!(!seen.main.unwrap().network_attached);
}

#[tokio::test]
async fn a_list_that_leaves_out_a_container_is_not_believed() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    observer.observe("web", &memory, "u-1").await.unwrap();
    engine.world().lists.push_back(Vec::new());
    let answer = observer.observe("web", &memory, "u-1").await;
    assert!(matches!(answer, Err(EngineError::Garbled { call: "list", .. })));
    assert!(observer.observe("web", &memory, "u-1").await.unwrap().main.is_some());
}

#[tokio::test]
async fn a_list_that_is_older_than_a_container_of_ours_is_not_believed() {
    let engine = StubEngine::new();
    let observer = observer(&engine);
    let memory = Memory::default();
    observer.observe("web", &memory, "u-1").await.unwrap();
    let id = engine.add(owned("n", "web", Slot::Replacement));
    observer.note_made(&id, "web");
    engine.world().lists.push_back(Vec::new());
    let answer = observer.observe("web", &memory, "u-1").await;
    assert!(matches!(answer, Err(EngineError::Garbled { call: "list", .. })));
    // It is of no concern to another sandbox, and of none to this one once the engine says it is gone.
    engine.world().lists.push_back(Vec::new());
    observer.observe("db", &memory, "u-1").await.unwrap();
    engine.delete(&id);
    assert!(observer.observe("web", &memory, "u-1").await.unwrap().replacement.is_none());
}

#[tokio::test]
async fn an_empty_first_list_is_checked_against_the_record() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    engine.world().lists.push_back(Vec::new());
    let answer = observer(&engine).observe("web", &remembering(Some("m"), None), "u-1").await;
    assert!(matches!(answer, Err(EngineError::Garbled { .. })));
}

#[tokio::test]
async fn an_absence_is_confirmed_once() {
    let engine = StubEngine::new();
    let id = engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = remembering(Some("m"), None);
    observer.observe("web", &memory, "u-1").await.unwrap();
    engine.delete(&id);
    for _ in 0..3 {
        assert_eq!(observer.observe("web", &memory, "u-1").await.unwrap(), Observed::default());
    }
    assert_eq!(engine.count("inspect"), 2);
}

#[tokio::test]
async fn two_wrong_lists_in_a_row_forget_nothing() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    let observer = observer(&engine);
    let memory = Memory::default();
    observer.observe("web", &memory, "u-1").await.unwrap();
    for _ in 0..2 {
        engine.world().lists.push_back(Vec::new());
        assert!(observer.observe("web", &memory, "u-1").await.is_err());
    }
    engine.world().lists.push_back(Vec::new());
    assert!(observer.inventory().await.is_err());
}

#[tokio::test]
async fn the_inventory_tells_ours_from_foreign_in_the_way() {
    let engine = StubEngine::new();
    engine.add(owned("b", "web", Slot::Replacement));
    engine.add(owned("a", "api", Slot::Main));
    engine.add(inspected("f", "sbx-db", ContainerState::Exited));
    engine.add(copied("c", "elsewhere", "web"));
    engine.add(inspected("u", "unrelated", ContainerState::Running));
    let inventory = observer(&engine).inventory().await.unwrap();
    let owned: Vec<_> =
        inventory.owned.iter().map(|it| (it.sandbox.as_str(), it.slot, it.id.0.as_str())).collect();
    assert_eq!(owned, [("api", Slot::Main, "a"), ("web", Slot::Replacement, "b")]);
    let foreign: Vec<_> = inventory.foreign.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(foreign, ["sbx-db"]);
}

#[tokio::test]
async fn a_hung_inspect_delays_its_own_sandbox_only() {
    let engine = StubEngine::new();
    engine.add(owned("m", "web", Slot::Main));
    engine.add(owned("x", "other", Slot::Main));
    engine.fail_next("inspect", Fault::Hang);
    let observer = observer(&engine);
    let memory = Memory::default();
    let mut hung = Box::pin(observer.observe("web", &memory, "u-1"));
    while engine.count("inspect") == 0 {
        assert!(hung.as_mut().now_or_never().is_none());
    }
    assert!(observer.observe("other", &memory, "u-1").await.unwrap().main.is_some());
    assert!(hung.now_or_never().is_none());
}

#[test]
fn attachment_is_judged_by_the_network_that_the_container_was_made_for() {
    let attached = |networks: &[&str], mode: &str| {
        let networks: Vec<String> = networks.iter().map(|&it| it.to_owned()).collect();
        network_attached(&networks, mode)
    };
    assert!(attached(&["bridge"], "default"));
    assert!(attached(&["bridge"], "bridge"));
    assert!(!attached(&[], "bridge"));
    assert!(!attached(&["other"], "bridge"));
    assert!(attached(&["none"], "none"));
    assert!(attached(&[], "none"));
    assert!(attached(&["host"], "host"));
    assert!(attached(&[], "container:0123"));
    assert!(attached(&["bridge", "lab"], "lab"));
    assert!(!attached(&["bridge"], "lab"));
}
