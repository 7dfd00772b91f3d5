//! The executor against a stub engine.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::join_all;

use super::fixture::{Kitchen, desired};
use super::*;
use crate::controller::stub_engine::{Fault, StubEngine, identity, inspected, owned};
use crate::plan::policy::Isolation;
use crate::plan::{Adopted, HoldKind, Limits, Outcome};

struct Bench {
    engine: Arc<StubEngine>,
    observer: Arc<Observer>,
    executor: Executor,
    kitchen: Kitchen,
    memory: Memory,
    policy: Policy,
}

fn bench() -> Bench {
    let engine = StubEngine::new();
    let dyn_engine = Arc::clone(&engine) as Arc<dyn Engine>;
    let max_age = Duration::from_hours(24);
    let observer = Arc::new(Observer::new(Arc::clone(&dyn_engine), identity(), max_age));
    observer.set_events_live(true);
    let executor = Executor::new(dyn_engine, identity(), Arc::clone(&observer), 1);
    let memory = Memory { uid: "u-1".to_owned(), ..Memory::default() };
    let policy = Policy::unrestricted();
    Bench { engine, observer, executor, kitchen: Kitchen::new(desired()), memory, policy }
}

impl Bench {
    fn context(&self) -> ExecuteContext<'_> {
        ExecuteContext {
            sandbox: "web",
            uid: "u-1",
            memory: &self.memory,
            cause: Cause::Missing,
            recipe: Some(self.kitchen.recipe()),
            secrets: Some(&self.kitchen.secrets),
            created: None,
            sources: &[],
            ceiling: Some(Ceiling {
                policy: &self.policy,
                wanted: Wanted {
                    desired: &self.kitchen.desired,
                    fingerprint: &self.kitchen.fingerprint,
                },
            }),
        }
    }

    async fn execute(&self, step: Step) -> Result<StepDone, StepError> {
        self.executor.execute(&step, &self.context()).await
    }

    async fn create(&self) -> Result<StepDone, StepError> {
        self.execute(Step::Create { slot: Slot::Main }).await
    }
}

fn id(id: &str) -> ContainerId {
    ContainerId(id.to_owned())
}

/// Every step that touches the container of this id.
fn steps_on(container: &ContainerId) -> Vec<Step> {
    let container = || container.clone();
    vec![
        Step::Start { container: container() },
        Step::Unpause { container: container() },
        Step::Stop { container: container(), grace: Duration::from_secs(1) },
        Step::Rename { container: container(), slot: Slot::Predecessor },
        Step::UpdateLimits { container: container(), limits: Limits::default() },
        Step::ConnectNetwork { container: container() },
        Step::Remove { container: container() },
    ]
}

#[tokio::test]
async fn each_step_is_one_mutating_call() {
    use ContainerState::{Created, Exited, Paused, Running};
    let limits = Limits { pids: Some(7), ..Limits::default() };
    let container = || id("m");
    let cases = [
        (Created, Step::Start { container: container() }, "start m"),
        (Paused, Step::Unpause { container: container() }, "unpause m"),
        (Running, Step::Stop { container: container(), grace: Duration::ZERO }, "stop m"),
        (Exited, Step::Rename { container: container(), slot: Slot::Predecessor }, "rename m"),
        (Running, Step::UpdateLimits { container: container(), limits }, "update m"),
        (Running, Step::ConnectNetwork { container: container() }, "connect m"),
        (Exited, Step::Remove { container: container() }, "remove m"),
    ];
    for (state, step, call) in cases {
        let bench = bench();
        let networks = Vec::new();
        bench.engine.add(Inspected { state, networks, ..owned("m", "web", Slot::Main) });
        assert_eq!(bench.execute(step).await, Ok(StepDone::Container(id("m"))));
        assert_eq!(bench.engine.mutations(), [call]);
    }
}

#[tokio::test]
async fn a_container_that_is_not_ours_is_never_touched() {
    let copied = Inspected { name: "elsewhere".to_owned(), ..owned("c", "web", Slot::Main) };
    let bare = inspected("c", "sbx-web", ContainerState::Exited);
    let another = owned("c", "other", Slot::Main);
    let stranger = inspected("c", "unrelated", ContainerState::Exited);
    for foreign in [copied, bare, another, stranger] {
        let bench = bench();
        bench.engine.add(foreign.clone());
        for step in steps_on(&foreign.id) {
            let error = bench.execute(step.clone()).await.unwrap_err();
            assert_eq!(error.reason(), "NameConflict", "{step:?} of {}", foreign.name);
            assert_eq!(error.outcome(), Outcome::Void, "the next look tells of it");
        }
        assert_eq!(bench.engine.mutations(), [""; 0]);
        assert_eq!(bench.engine.get(&foreign.id), Some(foreign));
    }
}

#[tokio::test]
async fn the_id_on_record_makes_a_renamed_container_ours() {
    let mut bench = bench();
    bench.memory.container = Some(id("c"));
    bench.engine.add(Inspected { name: "elsewhere".to_owned(), ..owned("c", "web", Slot::Main) });
    let step = Step::Rename { container: id("c"), slot: Slot::Main };
    assert!(bench.execute(step).await.is_ok());
    assert_eq!(bench.engine.get(&id("c")).unwrap().name, "sbx-web");
}

#[tokio::test]
async fn the_id_on_record_makes_an_adopted_container_ours() {
    let mut bench = bench();
    bench.memory.adopted = Some(Adopted { container: id("c"), spec_hash: "v1:a".to_owned() });
    bench.engine.add(inspected("c", "sbx-web", ContainerState::Exited));
    assert!(bench.execute(Step::Start { container: id("c") }).await.is_ok());
}

#[tokio::test]
async fn what_an_earlier_sandbox_left_may_be_stopped_and_removed_only() {
    let bench = bench();
    let left = Inspected {
        labels: identity().labels("web", "u-0", &bench.kitchen.fingerprint),
        ..owned("c", "web", Slot::Main)
    };
    bench.engine.add(left);
    for step in steps_on(&id("c")) {
        let allowed = matches!(step, Step::Stop { .. } | Step::Remove { .. });
        let done = bench.execute(step.clone()).await;
        assert_eq!(done.is_ok(), allowed, "{step:?}: {done:?}");
    }
    assert_eq!(bench.engine.mutations(), ["stop c", "remove c"]);
}

#[tokio::test]
async fn another_container_than_the_one_asked_for_is_refused() {
    let bench = bench();
    bench.engine.world().answers.insert(id("gone"), owned("m", "web", Slot::Main));
    for step in steps_on(&id("gone")) {
        let error = bench.execute(step).await.unwrap_err();
        assert_eq!(error.reason(), "EngineUnavailable");
    }
    assert_eq!(bench.engine.mutations(), [""; 0]);
}

#[tokio::test]
async fn a_container_that_is_gone_or_changed_is_planned_for_again() {
    let bench = bench();
    let error = bench.execute(Step::Remove { container: id("m") }).await.unwrap_err();
    assert_eq!(error, StepError::Gone(id("m")));
    bench.engine.add(owned("m", "web", Slot::Main));
    let error = bench.execute(Step::Remove { container: id("m") }).await.unwrap_err();
    assert_eq!(error, StepError::Changed("container m is running now".to_owned()));
    assert_eq!(bench.engine.mutations(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_asked_of_an_engine_that_cannot_show_the_container() {
    let bench = bench();
    bench.engine.add(owned("m", "web", Slot::Main));
    let down = EngineError::Unreachable("down".to_owned());
    let fails = EngineError::Failed { status: 500, message: "fails".to_owned() };
    for step in steps_on(&id("m")) {
        for answer in [&down, &fails] {
            bench.engine.fail_next("inspect", Fault::Refused(answer.clone()));
            let error = bench.execute(step.clone()).await.unwrap_err();
            assert_eq!(error.reason(), "EngineUnavailable");
            assert_eq!(error.outcome(), Outcome::Void, "no spec is to blame");
        }
    }
    assert_eq!(bench.engine.mutations(), [""; 0]);
}

#[tokio::test]
async fn what_a_step_touched_is_looked_at_again() {
    let bench = bench();
    bench.engine.add(owned("m", "web", Slot::Main));
    let look = || bench.observer.observe("web", &bench.memory, "u-1");
    look().await.unwrap();
    let limits = Limits { pids: Some(7), ..Limits::default() };
    bench.execute(Step::UpdateLimits { container: id("m"), limits }).await.unwrap();
    assert_eq!(look().await.unwrap().main.unwrap().limits, limits);
}

#[tokio::test]
async fn limits_that_the_engine_ignores_are_an_error() {
    let bench = bench();
    bench.engine.add(owned("m", "web", Slot::Main));
    bench.engine.world().ignores_limits = true;
    let limits = Limits { pids: Some(7), ..Limits::default() };
    let step = Step::UpdateLimits { container: id("m"), limits };
    let error = bench.execute(step).await.unwrap_err();
    assert_eq!(error.reason(), "LimitsNotApplied");
    assert_eq!(error.to_string(), "the engine did not apply resources.limits.pids");
    let error = bench.create().await.unwrap_err();
    assert_eq!(error.reason(), "ContainerChanged", "the name is taken by the one above");
}

#[tokio::test]
async fn a_container_made_otherwise_than_asked_is_an_error() {
    let bench = bench();
    bench.engine.world().ignores_limits = true;
    let error = bench.create().await.unwrap_err();
    assert_eq!(error.reason(), "NotAsAsked");
    assert!(error.to_string().contains("resources.limits.memory"), "{error}");
    assert_eq!(bench.engine.mutations(), ["create sbx-web", "remove created-0"]);
}

/// A container that exists, with these changes to what it is let do.
fn widened(container: Inspected, widen: impl FnOnce(&mut Isolation)) -> Inspected {
    let mut isolation = (*container.isolation).clone();
    widen(&mut isolation);
    Inspected { isolation: isolation.into(), ..container }
}

#[tokio::test]
async fn a_container_that_is_let_do_more_than_asked_is_removed_and_never_started() {
    let widenings: [fn(&mut Isolation); 4] = [
        |it| it.grant.privileged = true,
        |it| it.grant.escalation = true,
        |it| it.read_only_root = Some(false),
        |it| it.beyond.push("PidMode: \"host\"".to_owned()),
    ];
    for widen in widenings {
        let bench = bench();
        let asked = create_request(&bench.kitchen.recipe(), &identity(), Slot::Main).unwrap();
        let mut wide = asked.isolation();
        widen(&mut wide);
        let told = asked.isolation().widened(&wide).remove(0);
        bench.engine.world().isolates = Some(wide.into());
        let error = bench.create().await.unwrap_err();
        assert_eq!(error.reason(), "NotAsAsked");
        assert!(error.to_string().contains(&told), "{error}");
        assert_eq!(bench.engine.mutations(), ["create sbx-web", "remove created-0"]);
        assert_eq!(bench.engine.get(&id("created-0")), None);
    }
}

#[tokio::test]
async fn one_that_was_made_otherwise_and_cannot_be_removed_is_told_of() {
    let bench = bench();
    bench.engine.world().isolates = Some(Isolation::default().into());
    let busy = EngineError::Busy("in use".to_owned());
    bench.engine.fail_next("remove", Fault::Refused(busy));
    let error = bench.create().await.unwrap_err();
    assert!(error.to_string().ends_with("it could not be removed: in use"), "{error}");
}

#[tokio::test]
async fn what_has_more_than_the_policy_allows_is_not_started_whatever_was_planned() {
    let mut bench = bench();
    bench.policy = Policy::default().without_pids();
    let privileged = |it: &mut Isolation| it.grant.privileged = true;
    let state = ContainerState::Exited;
    let own = Inspected { state, ..owned("m", "web", Slot::Main) };
    bench.engine.add(widened(own, privileged));
    let error = bench.execute(Step::Start { container: id("m") }).await.unwrap_err();
    assert_eq!(error.reason(), "PolicyViolation");
    assert!(error.to_string().contains("policy.privileged (allowed: false)"), "{error}");
    assert!(
        matches!(
            error.outcome(),
            Outcome::Failed { kind: HoldKind::PolicyViolation, terminal: false, .. }
        ),
        "{error:?}"
    );
    let foreign = inspected("f", "sbx-other", ContainerState::Running);
    bench.engine.add(widened(foreign, privileged));
    let context = ExecuteContext { sandbox: "other", uid: "u-2", ..bench.context() };
    let step = Step::Adopt { container: id("f") };
    let error = bench.executor.execute(&step, &context).await.unwrap_err();
    assert_eq!(error.reason(), "PolicyViolation");
    assert_eq!(bench.engine.mutations(), [""; 0]);
}

#[tokio::test]
async fn nothing_is_started_or_taken_over_by_who_does_not_know_the_policy() {
    let bench = bench();
    let state = ContainerState::Exited;
    bench.engine.add(Inspected { state, ..owned("m", "web", Slot::Main) });
    bench.engine.add(inspected("f", "sbx-other", state));
    let context = ExecuteContext { ceiling: None, ..bench.context() };
    let start = Step::Start { container: id("m") };
    assert_eq!(
        bench.executor.execute(&start, &context).await.unwrap_err().reason(),
        "ContainerChanged"
    );
    let context = ExecuteContext { sandbox: "other", uid: "u-2", ..context };
    let adopt = Step::Adopt { container: id("f") };
    assert_eq!(
        bench.executor.execute(&adopt, &context).await.unwrap_err().reason(),
        "ContainerChanged"
    );
    assert_eq!(bench.engine.mutations(), [""; 0]);
}

#[tokio::test]
async fn a_created_container_is_ours_and_can_be_started() {
    let bench = bench();
    let done = bench.create().await.unwrap();
    let created = done.container().unwrap();
    let seen = bench.observer.observe("web", &bench.memory, "u-1").await.unwrap();
    let main = seen.main.unwrap();
    assert_eq!(main.id, *created);
    assert_eq!(main.fingerprint.unwrap(), bench.kitchen.fingerprint);
    let context = ExecuteContext { created: Some(created), ..bench.context() };
    bench.executor.execute(&Step::StartCreated, &context).await.unwrap();
    assert!(bench.engine.get(created).unwrap().state == ContainerState::Running);
}

#[tokio::test]
async fn a_lost_create_reply_is_recovered_without_a_second_create() {
    let bench = bench();
    bench.engine.fail_next("create", Fault::ReplyLost);
    let done = bench.create().await.unwrap();
    assert_eq!(done, StepDone::Container(id("created-0")));
    assert_eq!(bench.engine.mutations(), ["create sbx-web"]);
}

#[tokio::test]
async fn an_engine_that_repeats_a_secret_is_not_quoted() {
    let bench = bench();
    let echo = || EngineError::Rejected("invalid environment: TOKEN=hunter2".to_owned());
    bench.engine.fail_next("create", Fault::Refused(echo()));
    let error = bench.create().await.unwrap_err();
    assert_eq!(error.reason(), "Rejected");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    let created = bench.create().await.unwrap();
    bench.engine.fail_next("start", Fault::Refused(echo()));
    let context = ExecuteContext { created: created.container(), ..bench.context() };
    let error = bench.executor.execute(&Step::StartCreated, &context).await.unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn a_create_without_effect_and_answer_stays_unknown() {
    let bench = bench();
    let lost = EngineError::OutcomeUnknown { call: "create", after: Duration::from_secs(30) };
    bench.engine.fail_next("create", Fault::Refused(lost));
    assert_eq!(bench.create().await.unwrap_err().reason(), "OutcomeUnknown");
}

#[tokio::test]
async fn a_create_that_landed_late_is_gone_on_with() {
    let bench = bench();
    let first = bench.create().await;
    let second = bench.create().await;
    assert!(first.is_ok());
    assert_eq!(first, second);
    assert_eq!(bench.engine.world().containers.len(), 1);
}

#[tokio::test]
async fn a_late_create_that_was_started_since_is_planned_for_again() {
    let bench = bench();
    bench.create().await.unwrap();
    bench.engine.change(&id("created-0"), |it| it.state = ContainerState::Running);
    assert_eq!(bench.create().await.unwrap_err().reason(), "ContainerChanged");
}

#[tokio::test]
async fn a_late_create_with_other_ports_is_planned_for_again() {
    let mut bench = bench();
    bench.create().await.unwrap();
    bench.kitchen.ports.insert("http".to_owned(), 8099);
    assert_eq!(bench.create().await.unwrap_err().reason(), "ContainerChanged");
}

#[tokio::test]
async fn a_name_that_a_foreign_container_holds_is_a_conflict() {
    let bench = bench();
    let foreign = inspected("f", "sbx-web", ContainerState::Running);
    bench.engine.add(foreign.clone());
    let conflict = StepError::Foreign { container: id("f"), name: "sbx-web".to_owned() };
    assert_eq!(bench.create().await.unwrap_err(), conflict);

    bench.engine.add(owned("n", "web", Slot::Replacement));
    let step = Step::Rename { container: id("n"), slot: Slot::Main };
    assert_eq!(bench.execute(step).await.unwrap_err(), conflict);
    assert_eq!(bench.engine.get(&id("f")), Some(foreign));
}

#[tokio::test]
async fn a_name_that_our_own_container_holds_is_planned_for_again() {
    let bench = bench();
    bench.engine.add(owned("m", "web", Slot::Main));
    assert_eq!(bench.create().await.unwrap_err().reason(), "ContainerChanged");
}

#[tokio::test]
async fn only_the_sandboxs_own_name_can_be_adopted() {
    let bench = bench();
    let adopt = |name: &str| Step::Adopt { container: id(name) };
    bench.engine.add(inspected("m", "sbx-web", ContainerState::Running));
    bench.engine.add(inspected("n", "sbx-web.new", ContainerState::Running));
    bench.engine.add(owned("o", "other", Slot::Main));
    assert_eq!(bench.execute(adopt("m")).await, Ok(StepDone::Container(id("m"))));
    assert!(bench.execute(adopt("n")).await.is_err());
    assert!(bench.execute(adopt("o")).await.is_err());
    assert_eq!(bench.execute(adopt("x")).await, Err(StepError::Gone(id("x"))));
    assert_eq!(bench.engine.mutations(), [""; 0]);
}

#[tokio::test]
async fn pulls_and_repairs_are_made_elsewhere() {
    let bench = bench();
    let repair = Step::RepairPermissions { container: id("m") };
    assert_eq!(bench.execute(Step::Pull).await, Ok(StepDone::Elsewhere));
    assert_eq!(bench.execute(repair).await, Ok(StepDone::Elsewhere));
    assert_eq!(bench.engine.world().calls, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_hung_start_does_not_stop_the_others() {
    let bench = bench();
    for number in 0..5 {
        let name = format!("s{number}");
        let state = ContainerState::Exited;
        bench.engine.add(Inspected { state, ..owned(&name, &name, Slot::Main) });
    }
    bench.engine.fail_next("start", Fault::Hang);
    let names: Vec<String> = (0..5).map(|number| format!("s{number}")).collect();
    let start = async |name: &String| {
        let context = ExecuteContext { sandbox: name, ..bench.context() };
        bench.executor.execute(&Step::Start { container: id(name) }, &context).await
    };
    let mut hung = Box::pin(start(&names[0]));
    while bench.engine.count("start") == 0 {
        assert!(hung.as_mut().now_or_never().is_none());
    }
    let others = join_all(names[1..].iter().map(start)).await;
    assert!(others.iter().all(Result::is_ok));
    assert!(hung.now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn stops_do_not_queue_behind_starts() {
    let bench = bench();
    let state = ContainerState::Exited;
    bench.engine.add(Inspected { state, ..owned("m", "web", Slot::Main) });
    bench.engine.add(owned("n", "web", Slot::Replacement));
    bench.engine.fail_next("start", Fault::Hang);
    let mut hung = Box::pin(bench.execute(Step::Start { container: id("m") }));
    while bench.engine.count("start") == 0 {
        assert!(hung.as_mut().now_or_never().is_none());
    }
    let before = Instant::now();
    let stop = Step::Stop { container: id("n"), grace: Duration::ZERO };
    bench.execute(stop).await.unwrap();
    assert_eq!(Instant::now(), before, "virtual time: nothing was waited for");
}

#[tokio::test]
async fn every_answer_of_the_engine_has_its_class_and_its_outcome() {
    let text = || "x".to_owned();
    let again = |kind| Some((kind, false));
    let never = |kind| Some((kind, true));
    let cases = [
        (EngineError::Unreachable(text()), "EngineUnavailable", None),
        (EngineError::NoSuchContainer(text()), "ContainerChanged", None),
        (EngineError::Busy(text()), "ContainerChanged", None),
        (
            EngineError::OutcomeUnknown { call: "start", after: Duration::ZERO },
            "OutcomeUnknown",
            None,
        ),
        (EngineError::ImageMissing(text()), "ImageUnavailable", again(HoldKind::ImageUnavailable)),
        (
            EngineError::PortBusy { port: Some(80), message: text() },
            "PortConflict",
            again(HoldKind::PortConflict),
        ),
        (EngineError::NetworkMissing(text()), "NetworkMissing", again(HoldKind::StartFailed)),
        (
            EngineError::Failed { status: 500, message: text() },
            "EngineError",
            again(HoldKind::StartFailed),
        ),
        (EngineError::WrongPlatform(text()), "WrongPlatform", never(HoldKind::StartFailed)),
        (EngineError::Rejected(text()), "Rejected", never(HoldKind::StartFailed)),
        (EngineError::Forbidden(text()), "PolicyViolation", again(HoldKind::PolicyViolation)),
        (EngineError::Unsupported(text()), "Unsupported", never(HoldKind::StartFailed)),
    ];
    for (answer, reason, failed) in cases {
        let bench = bench();
        let state = ContainerState::Created;
        bench.engine.add(Inspected { state, ..owned("m", "web", Slot::Main) });
        bench.engine.fail_next("start", Fault::Refused(answer.clone()));
        let error = bench.execute(Step::Start { container: id("m") }).await.unwrap_err();
        assert_eq!(error.reason(), reason, "{answer:?}");
        let outcome = match error.outcome() {
            Outcome::Failed { kind, terminal, .. } => Some((kind, terminal)),
            _ => None,
        };
        assert_eq!(outcome, failed, "{answer:?}");
    }
}
