use super::*;

fn request(name: &str, image: &str) -> CreateRequest {
    CreateRequest {
        name: name.to_owned(),
        image: image.to_owned(),
        command: None,
        args: None,
        working_dir: None,
        env: Vec::new(),
        labels: std::collections::BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        shared_memory: None,
        limits: Limits::default(),
        security: crate::plan::Security {
            seccomp: crate::plan::Seccomp::RuntimeDefault,
            capabilities: Vec::new(),
            privileged: false,
            no_new_privileges: true,
            read_only_root: false,
            run_as_user: None,
            run_as_group: None,
        },
        seccomp_profile: None,
        runtime: None,
        network: crate::plan::NetworkChoice::Bridge,
        stop_timeout: 10,
    }
}

fn lost() -> EngineError {
    EngineError::OutcomeUnknown { call: "test", after: Duration::ZERO }
}

#[tokio::test]
async fn a_fault_before_has_no_effect_and_one_after_has() {
    let fake = Fake::new();
    fake.fail(Call::Create, 1, FaultPoint::Before, lost());
    assert_eq!(fake.create(&request("web", "sleep")).await, Err(lost()));
    assert!(fake.ledger().is_empty());
    fake.fail(Call::Create, 1, FaultPoint::After, lost());
    assert_eq!(fake.create(&request("web", "sleep")).await, Err(lost()));
    assert!(fake.act(|state| state.by_name("web").is_some()));
    let again = fake.create(&request("web", "sleep")).await;
    assert!(matches!(again, Err(EngineError::NameConflict(_))));
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_was_asked() {
    let fake = Fake::new();
    fake.fail(Call::List, 2, FaultPoint::Before, lost());
    assert_eq!(fake.list().await, Err(lost()));
    assert_eq!(fake.list().await, Err(lost()));
    assert_eq!(fake.list().await, Ok(Vec::new()));
}

#[tokio::test]
async fn one_list_can_lie() {
    let fake = Fake::new();
    fake.create(&request("web", "sleep")).await.unwrap();
    fake.answer_next_list(Vec::new());
    assert_eq!(fake.list().await.unwrap().len(), 0);
    assert_eq!(fake.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn frozen_events_come_with_the_thaw() {
    let fake = Fake::new();
    let mut events = fake.events().await.unwrap();
    fake.freeze_events(true);
    fake.create(&request("web", "sleep")).await.unwrap();
    assert!(futures::FutureExt::now_or_never(events.next()).is_none());
    fake.freeze_events(false);
    assert_eq!(events.next().await.unwrap().unwrap().action, "create");
    fake.break_events();
    assert!(events.next().await.unwrap().is_err());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_slow_removal_holds_the_name() {
    let fake = Fake::new();
    fake.act(|state| state.slow_removal = true);
    let id = fake.create(&request("web", "sleep")).await.unwrap();
    fake.remove(&id).await.unwrap();
    assert!(matches!(fake.remove(&id).await, Err(EngineError::Busy(_))));
    let second = fake.create(&request("web", "sleep")).await;
    assert!(matches!(second, Err(EngineError::NameConflict(_))));
    fake.act(FakeState::finish_removals);
    assert!(fake.create(&request("web", "sleep")).await.is_ok());
}

#[tokio::test]
async fn a_process_ends_when_its_time_has_come() {
    let fake = Fake::new();
    fake.act(|state| state.add_image("crash-after:5"));
    let id = fake.create(&request("web", "crash-after:5")).await.unwrap();
    fake.start(&id).await.unwrap();
    fake.act(|state| state.advance(Duration::from_secs(4)));
    assert_eq!(fake.inspect(&id).await.unwrap().unwrap().exit_code, None);
    fake.act(|state| state.advance(Duration::from_secs(4)));
    let ended = fake.inspect(&id).await.unwrap().unwrap();
    assert_eq!(ended.exit_code, Some(1));
    assert_eq!(ended.finished_at, Some(ended.started_at.unwrap() + Duration::from_secs(5)));
}

#[tokio::test]
async fn what_a_user_does_is_not_in_the_ledger() {
    let fake = Fake::new();
    let id = fake.act(|state| state.create_by_hand(&request("web", "sleep"), true)).unwrap();
    fake.act(|state| state.remove_by_force(&id));
    assert!(fake.ledger().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_delayed_call_waits_and_the_others_do_not() {
    let fake = Fake::new();
    fake.delay(Call::List, Duration::from_mins(1));
    assert!(futures::FutureExt::now_or_never(fake.list()).is_none());
    assert!(futures::FutureExt::now_or_never(fake.list()).is_some());
}
