//! Cases as tables of literal values, one sentence each; the properties over all states are in
//! [`world`].

mod details;
mod doubles;
mod isolation;
mod mounts;
mod world;

use super::*;
use crate::plan::observed::{Blocker, Foreign, PermissionView, ProbeView};
use crate::plan::outcome::{Outcome, after_observing, after_step, before_acting};
use crate::plan::testing::{at, container, desired, exited, fingerprint, tcp_probe};
use crate::plan::{Adopted, ContainerId, Failure, Finished, Limits, ProbeSpec, Rejected, Restarts};
use crate::sandbox::{RestartPolicy, UpdatePolicy};

/// One situation; `Default` is a sandbox `web` of image `app:1` that has no container.
struct Case {
    desired: Desired,
    observed: Observed,
    facts: Facts,
    memory: Memory,
    now: i64,
}

fn case() -> Case {
    let facts = Facts {
        ports: BTreeMap::from([("http".to_owned(), 8080)]),
        live_update: true,
        ..Facts::default()
    };
    let memory = Memory { uid: "uid-1".to_owned(), ..Memory::default() };
    Case { desired: desired("app:1"), observed: Observed::default(), facts, memory, now: 1000 }
}

impl Case {
    fn plan(&self) -> Plan {
        let fingerprint = fingerprint(&self.desired);
        let wanted = Wanted { desired: &self.desired, fingerprint: &fingerprint };
        self.plan_for(Wish::Declared(wanted))
    }

    fn plan_for(&self, wish: Wish<'_>) -> Plan {
        plan(&Inputs {
            wish,
            observed: &self.observed,
            facts: &self.facts,
            memory: &self.memory,
            now: at(self.now),
        })
    }

    fn running(mut self, from: &Desired) -> Self {
        self.observed.main = Some(container("main", from));
        self
    }

    fn hash(&self) -> String {
        fingerprint(&self.desired).spec_hash
    }
}

/// The plan as short text: `create .new, stop main, …; hold Replacing`.
fn text(plan: &Plan) -> String {
    let name = |id: &ContainerId| id.0.clone();
    let steps: Vec<String> = plan
        .steps
        .iter()
        .map(|planned| match &planned.step {
            Step::Pull => "pull".to_owned(),
            Step::Create { slot } => format!("create {slot:?}"),
            Step::Start { container } => format!("start {}", name(container)),
            Step::StartCreated => "start created".to_owned(),
            Step::Unpause { container } => format!("unpause {}", name(container)),
            Step::Stop { container, .. } => format!("stop {}", name(container)),
            Step::Rename { container, slot } => format!("rename {} to {slot:?}", name(container)),
            Step::UpdateLimits { container, .. } => format!("update {}", name(container)),
            Step::ConnectNetwork { container } => format!("connect {}", name(container)),
            Step::Remove { container } => format!("remove {}", name(container)),
            Step::RepairPermissions { container } => format!("repair {}", name(container)),
            Step::Adopt { container } => format!("adopt {}", name(container)),
        })
        .collect();
    match &plan.hold {
        Some(hold) if steps.is_empty() => format!("hold {:?}", hold.kind),
        Some(hold) => format!("{}; hold {:?}", steps.join(", "), hold.kind),
        None => steps.join(", "),
    }
}

#[test]
fn a_missing_container_is_created_and_started() {
    let plan = case().plan();
    assert_eq!(text(&plan), "create Main, start created");
    assert_eq!(plan.steps[0].cause, Cause::Missing);
}

#[test]
fn an_equal_world_plans_nothing() {
    let case = case();
    let desired = case.desired.clone();
    assert_eq!(case.running(&desired).plan(), Plan::default());
}

#[test]
fn a_changed_image_replaces_the_container_and_names_the_field() {
    let plan = case().running(&desired("app:0")).plan();
    assert_eq!(
        text(&plan),
        "create Replacement, stop main, rename main to Predecessor, start created; hold Replacing"
    );
    assert_eq!(plan.steps[0].fields, ["image"]);
}

#[test]
fn changed_limits_are_applied_without_a_restart() {
    let mut case = case();
    let old = case.desired.clone();
    case.desired.limits = Limits { memory: Some(1 << 30), ..Limits::default() };
    let plan = case.running(&old).plan();
    assert_eq!(text(&plan), "update main");
    assert_eq!(plan.steps[0].fields, ["resources.limits.memory"]);
}

#[test]
fn changed_limits_replace_where_the_engine_cannot_update() {
    let mut case = case();
    let old = case.desired.clone();
    case.desired.limits = Limits { pids: Some(64), ..Limits::default() };
    case.facts.live_update = false;
    assert!(text(&case.running(&old).plan()).starts_with("create Replacement"));
}

#[test]
fn an_edit_waits_for_the_restart_when_the_policy_says_so() {
    let mut case = case();
    case.desired.update_policy = UpdatePolicy::OnRestart;
    let mut case = case.running(&desired("app:0"));
    assert_eq!(text(&case.plan()), "hold RestartRequired");
    case.observed.main = Some(exited(container("main", &desired("app:0")), 1, 990));
    assert!(text(&case.plan()).starts_with("create Replacement"));
}

#[test]
fn an_edit_whose_host_path_is_missing_keeps_the_container() {
    let mut case = case().running(&desired("app:0"));
    let message = "spec.mounts[0].hostPath: /data does not exist".to_owned();
    case.facts.blockers = vec![Blocker { kind: BlockerKind::MountUnavailable, message }];
    assert_eq!(text(&case.plan()), "hold MountUnavailable");
}

#[test]
fn an_edit_to_an_image_that_cannot_be_pulled_keeps_and_mends_the_container() {
    let mut case = case();
    let mut old = container("main", &desired("app:0"));
    old.state = ContainerState::Paused;
    case.observed.main = Some(old);
    case.facts.pull = PullView::Failed { message: "not found".to_owned(), retry_at: at(1100) };
    let plan = case.plan();
    assert_eq!(text(&plan), "unpause main; hold ImageUnavailable");
    assert_eq!(plan.next_check, Some(at(1100)));
}

#[test]
fn a_rejected_edit_is_not_tried_again() {
    let mut case = case().running(&desired("app:0"));
    let message = "it exited with code 1".to_owned();
    case.memory.rejected = Some(Rejected { spec_hash: case.hash(), message, at: at(900) });
    assert_eq!(text(&case.plan()), "hold UpdateFailed");
    case.desired = desired("app:2");
    assert!(text(&case.plan()).starts_with("create Replacement"));
}

#[test]
fn an_ended_container_is_started_again_at_once_the_first_time() {
    let mut case = case();
    case.observed.main = Some(exited(container("main", &case.desired), 1, 1000));
    let plan = case.plan();
    assert_eq!(text(&plan), "start main");
    assert_eq!(plan.steps[0].cause, Cause::Ended);
}

#[test]
fn a_container_that_keeps_ending_waits_longer_each_time() {
    let mut case = case();
    let mut main = exited(container("main", &case.desired), 1, 999);
    main.started_at = Some(at(998));
    case.observed.main = Some(main);
    case.memory.restarts = Restarts { total: 5, streak: 5, last_at: Some(at(998)) };
    let plan = case.plan();
    assert_eq!(text(&plan), "hold CrashLoopBackOff");
    let wait = plan.next_check.unwrap().duration_since(at(999)).as_secs();
    assert!((16..=17).contains(&wait), "{wait}");
    case.now = 1020;
    assert_eq!(text(&case.plan()), "start main");
}

#[test]
fn an_end_that_lies_in_the_future_is_measured_by_the_last_restart() {
    let mut case = case();
    let mut main = exited(container("main", &case.desired), 1, 9000);
    main.started_at = Some(at(8999));
    case.observed.main = Some(main);
    // The engine's clock is ahead: the back-off holds by ours.
    case.memory.restarts = Restarts { total: 5, streak: 5, last_at: Some(at(998)) };
    assert_eq!(text(&case.plan()), "hold CrashLoopBackOff");
    case.now = 1020;
    assert_eq!(text(&case.plan()), "start main");
    // The clock was set back: nothing is waited for that never comes.
    case.memory.restarts.last_at = Some(at(8998));
    assert_eq!(text(&case.plan()), "start main");
}

#[test]
fn a_healthy_stretch_ends_the_back_off() {
    let mut case = case();
    let mut main = exited(container("main", &case.desired), 1, 1000);
    main.started_at = Some(at(300));
    case.observed.main = Some(main);
    case.memory.restarts = Restarts { total: 9, streak: 9, last_at: Some(at(300)) };
    assert_eq!(text(&case.plan()), "start main");
}

#[test]
fn restart_policies_decide_what_stays_ended() {
    for (policy, code, expected) in [
        (RestartPolicy::Always, 0, "start main"),
        (RestartPolicy::OnFailure, 1, "start main"),
        (RestartPolicy::OnFailure, 0, "hold Finished"),
        (RestartPolicy::Never, 1, "hold Finished"),
    ] {
        let mut case = case();
        case.desired.restart_policy = policy;
        case.observed.main = Some(exited(container("main", &case.desired), code, 1000));
        assert_eq!(text(&case.plan()), expected, "{policy:?} {code}");
    }
}

#[test]
fn a_finished_sandbox_whose_container_was_removed_stays_finished_until_an_edit() {
    let mut case = case();
    let spec_hash = case.hash();
    case.memory.finished = Some(Finished { spec_hash, succeeded: Some(true), at: at(500) });
    assert_eq!(text(&case.plan()), "hold Finished");
    case.desired = desired("app:2");
    assert_eq!(text(&case.plan()), "create Main, start created");
}

#[test]
fn a_removed_container_comes_back_and_a_repeated_removal_backs_off() {
    let mut case = case();
    case.memory.container = Some(ContainerId("main".to_owned()));
    let plan = case.plan();
    assert_eq!(
        (text(&plan).as_str(), plan.steps[0].cause),
        ("create Main, start created", Cause::Vanished)
    );
    case.memory.restarts = Restarts { total: 4, streak: 4, last_at: Some(at(999)) };
    assert_eq!(text(&case.plan()), "hold CrashLoopBackOff");
}

#[test]
fn a_paused_container_is_unpaused_only_if_the_spec_says_running() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.state = ContainerState::Paused;
    case.observed.main = Some(main);
    assert_eq!(text(&case.plan()), "unpause main");
    case.desired.operating_mode = OperatingMode::Suspended;
    assert_eq!(text(&case.plan()), "unpause main, stop main; hold Suspended");
}

#[test]
fn a_suspended_sandbox_is_stopped_kept_and_resumed_without_back_off() {
    let mut case = case();
    case.desired.operating_mode = OperatingMode::Suspended;
    assert_eq!(text(&case.plan()), "hold Suspended");
    let mut case = {
        let d = case.desired.clone();
        case.running(&d)
    };
    assert_eq!(text(&case.plan()), "stop main; hold Suspended");
    case.observed.main = Some(exited(container("main", &case.desired), 137, 1000));
    assert_eq!(text(&case.plan()), "hold Suspended");
    case.desired.operating_mode = OperatingMode::Running;
    case.desired.restart_policy = RestartPolicy::Never;
    case.memory.parked = Some(ContainerId("main".to_owned()));
    case.memory.restarts = Restarts { total: 9, streak: 9, last_at: Some(at(999)) };
    let plan = case.plan();
    assert_eq!((text(&plan).as_str(), plan.steps[0].cause), ("start main", Cause::NotRunning));
}

#[test]
fn the_end_of_life_removes_or_retains_the_container() {
    let mut case = case();
    case.desired.shutdown_at = Some(at(1000));
    let wanted = case.desired.clone();
    let mut case = case.running(&wanted);
    assert_eq!(text(&case.plan()), "stop main; hold Expired");
    case.desired.shutdown_policy = ShutdownPolicy::Delete;
    assert_eq!(text(&case.plan()), "stop main, remove main; hold Expired");
    case.observed.main = None;
    assert_eq!(text(&case.plan()), "hold Expired");
    case.desired.shutdown_at = Some(at(2000));
    let plan = case.plan();
    assert_eq!(text(&plan), "create Main, start created");
    assert_eq!(plan.next_check, Some(at(2000)));
}

#[test]
fn a_withdrawn_sandbox_loses_every_container_and_nothing_else() {
    let mut case = case();
    case.observed.main = Some(container("main", &case.desired));
    case.observed.predecessor = Some(exited(container("old", &case.desired), 0, 1));
    let plan = case.plan_for(Wish::Withdrawn { grace: Duration::from_secs(3) });
    assert_eq!(text(&plan), "stop main, remove main, remove old");
}

#[test]
fn a_foreign_container_of_the_name_is_left_alone_unless_adoption_is_asked() {
    let mut case = case();
    case.observed.foreign = Some(Foreign {
        id: ContainerId("theirs".to_owned()),
        name: "sandbox-web".to_owned(),
        slot: Slot::Main,
        state: ContainerState::Running,
    });
    assert_eq!(text(&case.plan()), "hold NameConflict");
    assert_eq!(case.plan_for(Wish::Withdrawn { grace: Duration::ZERO }), Plan::default());
    case.desired.adopt = true;
    assert_eq!(text(&case.plan()), "adopt theirs");
}

#[test]
fn an_adopted_container_is_kept_until_the_spec_is_edited() {
    let mut case = case();
    let mut main = container("theirs", &case.desired);
    main.fingerprint = None;
    case.observed.main = Some(main);
    let container = ContainerId("theirs".to_owned());
    case.memory.adopted = Some(Adopted { container, spec_hash: case.hash() });
    assert_eq!(case.plan(), Plan::default());
    case.desired = desired("app:2");
    assert!(text(&case.plan()).starts_with("create Replacement, stop theirs"));
}

// Found by fuzzing: the name was to be given on while the engine still removed its holder.
#[test]
fn a_container_that_is_being_removed_keeps_its_name_until_it_is_gone() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.state = ContainerState::Removing;
    case.observed.main = Some(main);
    for (replacement, predecessor) in [(false, true), (true, false), (true, true)] {
        let other = |id, there: bool| there.then(|| exited(container(id, &case.desired), 0, 900));
        case.observed.replacement = other("new", replacement);
        case.observed.predecessor = other("old", predecessor);
        assert_eq!(text(&case.plan()), "hold Busy", "{replacement} {predecessor}");
    }
}

// Found by fuzzing: a second replacement was to be made under the first one's name, for ever.
#[test]
fn of_three_containers_one_goes_before_another_is_made() {
    let mut case = case();
    case.observed.main = Some(exited(container("main", &case.desired), 1, 900));
    case.observed.predecessor = Some(exited(container("old", &desired("app:0")), 0, 800));
    let mut new = container("new", &desired("app:0"));
    new.state = ContainerState::Paused;
    case.observed.replacement = Some(new);
    assert_eq!(text(&case.plan()), "remove main");
    case.observed.main = Some(container("main", &case.desired));
    assert_eq!(text(&case.plan()), "unpause new, stop new, remove new");
}

// Found by fuzzing: it was to be set aside under the name of the predecessor, which was still there.
#[test]
fn a_replacement_that_is_down_is_made_anew_while_its_predecessor_waits() {
    let mut case = case();
    let mut main = exited(container("main", &case.desired), 1, 900);
    main.limits.pids = Some(7);
    case.observed.main = Some(main);
    case.observed.predecessor = Some(exited(container("old", &desired("app:0")), 0, 800));
    case.facts.live_update = false;
    assert_eq!(text(&case.plan()), "remove main, create Main, start created");
}

#[test]
fn a_renamed_container_gets_its_name_back() {
    let mut case = case();
    case.observed.renamed = Some(container("main", &case.desired));
    assert_eq!(text(&case.plan()), "rename main to Main");
}

#[test]
fn a_container_of_an_earlier_life_goes_first() {
    let mut case = case();
    case.observed.leftover = vec![container("earlier", &case.desired)];
    assert_eq!(text(&case.plan()), "stop earlier, remove earlier");
}

#[test]
fn the_image_is_pulled_first_when_the_policy_says_so() {
    let mut case = case();
    case.desired.pull_policy = PullPolicy::Always;
    assert_eq!(text(&case.plan()), "pull; hold Pulling");
    case.facts.pull = PullView::InProgress { message: "1 of 3 layers".to_owned() };
    assert_eq!(text(&case.plan()), "hold Pulling");
    case.facts.pull = PullView::Done;
    assert_eq!(text(&case.plan()), "create Main, start created");
}

#[test]
fn a_failed_start_waits_and_a_hopeless_one_waits_for_an_edit() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.state = ContainerState::Created;
    case.observed.main = Some(main);
    assert_eq!(text(&case.plan()), "start main");
    let failure = |terminal| Failure {
        spec_hash: fingerprint(&desired("app:1")).spec_hash,
        kind: HoldKind::StartFailed,
        message: "no such file".to_owned(),
        attempts: 4,
        at: at(999),
        terminal,
    };
    case.memory.failure = Some(failure(false));
    let plan = case.plan();
    assert_eq!(text(&plan), "hold StartFailed");
    assert!(plan.next_check.is_some());
    case.memory.failure = Some(failure(true));
    assert_eq!(case.plan().next_check, None);
    case.desired = desired("app:2");
    assert_eq!(text(&case.plan()), "remove main, create Main, start created");
}

#[test]
fn a_container_that_never_ran_moves_to_another_port() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.state = ContainerState::Created;
    case.observed.main = Some(main);
    case.facts.ports = BTreeMap::from([("http".to_owned(), 8081)]);
    let plan = case.plan();
    assert_eq!(text(&plan), "remove main, create Main, start created");
    assert_eq!(plan.steps[0].cause, Cause::PortTaken);
}

#[test]
fn a_running_container_is_made_whole() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.network_attached = false;
    case.observed.main = Some(main);
    case.facts.permissions = PermissionView::Drifted(vec!["/data: mode 0755".to_owned()]);
    assert_eq!(text(&case.plan()), "repair main, connect main");
}

#[test]
fn a_failing_liveness_probe_stops_the_container_it_speaks_of() {
    let mut case = case();
    case.observed.main = Some(container("main", &case.desired));
    let failing = |id: &str| ProbeView::Failing {
        container: ContainerId(id.to_owned()),
        message: "refused".to_owned(),
    };
    case.facts.liveness = failing("main");
    assert_eq!(text(&case.plan()), "stop main");
    case.facts.liveness = failing("another");
    assert_eq!(case.plan(), Plan::default());
}

#[test]
fn an_unreadable_secret_is_not_a_changed_secret() {
    let mut case = case();
    let secret = super::super::EnvValue::SecretFile("/run/secret".into());
    case.desired.container.env.insert("TOKEN".to_owned(), secret);
    let digests = BTreeMap::from([("TOKEN".to_owned(), "ab".to_owned())]);
    let mut main = container("main", &case.desired);
    main.fingerprint = Some(Fingerprint::of(&case.desired.container, &digests));
    case.observed.main = Some(main);
    let message = "spec.env[0]: cannot be read".to_owned();
    case.facts.blockers = vec![Blocker { kind: BlockerKind::SecretUnavailable, message }];
    assert_eq!(case.plan(), Plan::default());
    case.facts.blockers.clear();
    assert_eq!(case.plan().steps[0].fields, ["env.TOKEN"]);
}

/// A replacement after the switch: `.old` stopped, `.new` in this state.
fn switched(state: ContainerState) -> Case {
    let mut case = case();
    case.desired.readiness = Some(tcp_probe());
    let mut new = container("new", &case.desired);
    new.state = state;
    new.started_at = Some(at(995));
    case.observed.replacement = Some(new);
    case.observed.predecessor = Some(exited(container("old", &desired("app:0")), 0, 994));
    case.facts.readiness = ProbeView::Pending { message: "refused".to_owned() };
    case
}

const ROLL_BACK: &str = "remove new, rename old to Main, start old";
const FINISH: &str = "rename new to Main, remove old";

#[test]
fn a_ready_replacement_takes_the_name_and_the_old_one_goes() {
    let mut case = switched(ContainerState::Running);
    case.facts.readiness = ProbeView::Passing { container: ContainerId("new".to_owned()) };
    assert_eq!(text(&case.plan()), FINISH);
}

#[test]
fn a_replacement_that_ended_is_rolled_back() {
    assert_eq!(text(&switched(ContainerState::Exited).plan()), ROLL_BACK);
}

#[test]
fn a_replacement_that_did_not_start_is_rolled_back_and_one_that_was_not_started_is_started() {
    let mut case = switched(ContainerState::Created);
    assert_eq!(text(&case.plan()), "start new; hold Replacing");
    case.memory.failure = Some(Failure {
        spec_hash: case.hash(),
        kind: HoldKind::StartFailed,
        message: "no such file".to_owned(),
        attempts: 1,
        at: at(999),
        terminal: true,
    });
    assert_eq!(text(&case.plan()), ROLL_BACK);
}

#[test]
fn an_unready_replacement_of_a_ready_container_is_rolled_back_at_the_deadline() {
    let mut case = switched(ContainerState::Running);
    case.memory.was_ready = Some(ContainerId("old".to_owned()));
    let plan = case.plan();
    assert_eq!(text(&plan), "hold Replacing");
    assert_eq!(plan.next_check, Some(at(995 + 60)));
    case.now = 1055;
    assert_eq!(text(&case.plan()), format!("stop new, {ROLL_BACK}"));
}

#[test]
fn the_deadline_allows_for_the_time_that_the_probe_takes_at_the_least() {
    let mut case = switched(ContainerState::Running);
    let slow = ProbeSpec { initial_delay: Duration::from_secs(90), ..tcp_probe() };
    case.desired.readiness = Some(ProbeSpec { success_threshold: 3, ..slow });
    case.memory.was_ready = Some(ContainerId("old".to_owned()));
    assert_eq!(case.plan().next_check, Some(at(995 + 60 + 90 + 2 * 10)));
}

#[test]
fn what_we_removed_ourselves_was_removed_by_nobody_else() {
    let mut case = case();
    case.memory.container = Some(ContainerId("main".to_owned()));
    let fingerprint = fingerprint(&case.desired);
    let wanted = Wanted { desired: &case.desired, fingerprint: &fingerprint };
    let inputs = Inputs {
        wish: Wish::Declared(wanted),
        observed: &case.observed,
        facts: &case.facts,
        memory: &case.memory,
        now: at(case.now),
    };
    let step = Step::Remove { container: ContainerId("main".to_owned()) };
    case.memory = after_step(&case.memory, &step, &Outcome::Done, &inputs, at(case.now));
    assert_eq!(case.plan().steps[0].cause, Cause::Missing);
}

#[test]
fn an_unready_replacement_of_a_container_that_never_was_ready_stays() {
    let mut case = switched(ContainerState::Running);
    case.now = 1004;
    assert_eq!(text(&case.plan()), "hold Replacing");
    case.now = 1005;
    assert_eq!(text(&case.plan()), FINISH);
}

#[test]
fn a_job_that_was_done_is_not_run_again_because_its_update_failed() {
    let mut case = switched(ContainerState::Exited);
    case.desired.restart_policy = RestartPolicy::Never;
    assert_eq!(text(&case.plan()), "remove new, rename old to Main");
    // One that we stopped ourselves had not done its work.
    case.memory.parked = Some(ContainerId("old".to_owned()));
    assert_eq!(text(&case.plan()), ROLL_BACK);
}

/// What runs is never stopped for a spec of which nobody knows yet whether it can be carried out.
#[test]
fn a_second_edit_lets_the_replacement_of_the_first_come_up() {
    let mut case = switched(ContainerState::Running);
    case.desired.container.image = "app:2".to_owned();
    let plan = case.plan();
    assert_eq!(text(&plan), "hold Replacing");
    assert_eq!(plan.next_check, Some(at(995 + 10)));
    case.facts.readiness = ProbeView::Passing { container: ContainerId("new".to_owned()) };
    assert_eq!(text(&case.plan()), FINISH);
}

#[test]
fn a_second_edit_waits_a_short_time_for_a_replacement_that_is_not_ready() {
    let mut case = switched(ContainerState::Running);
    case.desired.container.image = "app:2".to_owned();
    case.now = 1005;
    assert_eq!(text(&case.plan()), FINISH, "the old one was no better");
    case.memory.was_ready = Some(ContainerId("old".to_owned()));
    assert_eq!(text(&case.plan()), format!("stop new, {ROLL_BACK}"));
    assert_eq!(case.intended().rejected, None, "the latest edit was not tried");
}

/// A probe that came with the second edit may be of a port that the first never published.
#[test]
fn a_replacement_is_not_judged_by_the_second_edits_probe_of_a_port_that_it_has_not() {
    let mut case = switched(ContainerState::Running);
    case.memory.was_ready = Some(ContainerId("old".to_owned()));
    case.desired.container.image = "app:2".to_owned();
    case.now = 997;
    assert_eq!(text(&case.plan()), "hold Replacing");
    case.observed.replacement.as_mut().unwrap().bindings.clear();
    assert_eq!(text(&case.plan()), FINISH);
}

#[test]
fn a_second_edit_brings_the_old_one_back_when_the_replacement_of_the_first_does_not_run() {
    for state in [ContainerState::Created, ContainerState::Exited] {
        let mut case = switched(state);
        case.desired = desired("app:2");
        assert_eq!(text(&case.plan()), ROLL_BACK, "{state}");
    }
    let mut case = switched(ContainerState::Running);
    case.desired = desired("app:2");
    case.observed.predecessor.as_mut().unwrap().state = ContainerState::Running;
    assert_eq!(
        text(&case.plan()),
        "stop new, remove new, rename old to Main",
        "one of them serves"
    );
}

#[test]
fn a_replacement_is_undone_without_a_start_when_the_sandbox_is_suspended_meanwhile() {
    let mut case = switched(ContainerState::Running);
    case.desired.operating_mode = OperatingMode::Suspended;
    assert_eq!(text(&case.plan()), "stop new, remove new, rename old to Main");
}

#[test]
fn a_predecessor_that_somebody_starts_by_hand_is_stopped_before_two_run() {
    for state in [ContainerState::Created, ContainerState::Running] {
        let mut case = switched(state);
        let old = case.observed.predecessor.as_mut().unwrap();
        (old.state, old.exit_code, old.finished_at) = (ContainerState::Running, None, None);
        assert_eq!(text(&case.plan()), "stop old; hold Replacing", "{state}");
    }
}

/// Main, replacement, predecessor.
type Three = (Option<Container>, Option<Container>, Option<Container>);

#[test]
fn an_interrupted_replacement_goes_on_from_every_state_that_a_crash_can_leave() {
    let wanted = desired("app:1");
    let created = |id: &str| {
        let mut new = container(id, &wanted);
        (new.state, new.started_at) = (ContainerState::Created, None);
        new
    };
    let old = || container("old", &desired("app:0"));
    let stopped = || exited(old(), 0, 990);
    let table: [(Three, &str); 6] = [
        (
            (Some(old()), Some(created("new")), None),
            "stop old, rename old to Predecessor, start new; hold Replacing",
        ),
        (
            (Some(stopped()), Some(created("new")), None),
            "rename old to Predecessor, start new; hold Replacing",
        ),
        ((None, Some(created("new")), Some(stopped())), "start new; hold Replacing"),
        ((Some(container("new", &wanted)), None, Some(stopped())), "remove old"),
        ((None, None, Some(stopped())), "rename old to Main"),
        ((None, Some(created("new")), None), "rename new to Main"),
    ];
    for ((main, replacement, predecessor), expected) in table {
        let mut case = case();
        case.observed = Observed { main, replacement, predecessor, ..Observed::default() };
        assert_eq!(text(&case.plan()), expected);
    }
}

impl Case {
    /// What is remembered after this case was looked at and planned, before the first step.
    fn intended(&self) -> Memory {
        let fingerprint = fingerprint(&self.desired);
        let wish = Wish::Declared(Wanted { desired: &self.desired, fingerprint: &fingerprint });
        let inputs = Inputs {
            wish,
            observed: &self.observed,
            facts: &self.facts,
            memory: &self.memory,
            now: at(self.now),
        };
        let memory = after_observing(&inputs);
        let inputs = Inputs { memory: &memory, ..inputs };
        before_acting(&inputs, &plan(&inputs))
    }
}

#[test]
fn a_suspended_sandbox_is_looked_at_again_when_its_life_ends() {
    let mut case = case();
    case.desired.operating_mode = OperatingMode::Suspended;
    case.desired.shutdown_at = Some(at(2000));
    let old = case.desired.clone();
    let case = case.running(&old);
    assert_eq!(case.plan().next_check, Some(at(2000)));
}

#[test]
fn what_a_replacement_stopped_did_not_end_by_itself() {
    let mut case = case();
    case.desired.restart_policy = RestartPolicy::Never;
    let (old, new) = (desired("app:0"), case.desired.clone());
    let mut case = case.running(&old);
    case.memory = case.intended();
    // A crash after the stop; meanwhile the edit is taken back, and nothing differs any more.
    case.desired.container = old.container.clone();
    case.observed.main = Some(exited(container("main", &old), 0, 999));
    assert_eq!(text(&case.plan()), "start main");
    // Nor where the edit stands and was rejected.
    case.desired = new;
    let (spec_hash, message) = (case.hash(), "exited with code 1".to_owned());
    case.memory.rejected = Some(Rejected { spec_hash, message, at: at(999) });
    assert_eq!(text(&case.plan()), "start main; hold UpdateFailed");
}

#[test]
fn an_unreadable_secret_is_no_edit_that_clears_what_is_remembered() {
    let mut case = case();
    let (spec_hash, now) = (case.hash(), at(500));
    case.memory.finished =
        Some(Finished { spec_hash: spec_hash.clone(), succeeded: Some(true), at: now });
    case.memory.rejected =
        Some(Rejected { spec_hash, message: "it did not start".to_owned(), at: now });
    let before = case.memory.clone();
    // Its content is part of the hash, so the hash is another one while it cannot be read.
    let secret = super::super::EnvValue::SecretFile("/run/secret".into());
    case.desired.container.env.insert("TOKEN".to_owned(), secret);
    let message = "/run/secret: permission denied".to_owned();
    case.facts.blockers = vec![Blocker { kind: BlockerKind::SecretUnavailable, message }];
    let after = case.intended();
    assert_eq!((after.finished, after.rejected), (before.finished, before.rejected));
}

#[test]
fn an_engines_return_in_the_future_of_a_clock_that_was_set_back_clears_nothing() {
    let mut case = case();
    case.desired.readiness = None;
    let message = "exited with code 1".to_owned();
    case.memory.rejected = Some(Rejected { spec_hash: case.hash(), message, at: at(999) });
    case.facts.engine_returned_at = Some(at(5000));
    assert!(case.intended().rejected.is_some());
    case.now = 5001;
    assert!(case.intended().rejected.is_none());
}

#[test]
fn restarts_before_the_engine_returned_are_no_crash_loop() {
    let mut case = case();
    let ended = |case: &Case, second| {
        let mut main = exited(container("main", &case.desired), 143, second);
        main.started_at = Some(at(second - 1));
        Some(main)
    };
    case.observed.main = ended(&case, 998);
    case.memory.restarts = Restarts { total: 8, streak: 8, last_at: Some(at(997)) };
    assert_eq!(text(&case.plan()), "hold CrashLoopBackOff");
    // It ended with the engine, as it did the seven times before.
    case.facts.engine_returned_at = Some(at(999));
    let after = case.intended().restarts;
    assert_eq!(after, Restarts { total: 9, streak: 1, last_at: Some(at(1000)) });
    // How it ends from then on is its own doing.
    case.memory.restarts = after.clone();
    case.observed.main = ended(&case, 1000);
    assert_eq!(case.intended().restarts, after);
    assert_eq!(text(&case.plan()), "hold CrashLoopBackOff");
}

#[test]
fn another_port_waits_for_what_stands_in_the_way_of_a_creation() {
    let created = |case: &Case| {
        let mut main = container("main", &case.desired);
        (main.state, main.started_at) = (ContainerState::Created, None);
        main
    };
    let mut case = case();
    case.facts.ports = BTreeMap::from([("http".to_owned(), 9090)]);
    let message = "/data: not there".to_owned();
    case.facts.blockers = vec![Blocker { kind: BlockerKind::MountUnavailable, message }];
    case.observed.main = Some(created(&case));
    assert_eq!(text(&case.plan()), "hold MountUnavailable");
    // One that has run may also get its port back.
    case.observed.main = Some(exited(container("main", &case.desired), 1, 1));
    assert_eq!(text(&case.plan()), "start main");
    case.facts.blockers.clear();
    case.facts.pull = PullView::Needed;
    assert_eq!(text(&case.plan()), "pull; hold Pulling");
}

#[test]
fn a_container_whose_port_is_taken_is_not_replaced_by_a_rejected_spec() {
    let mut case = case();
    case.facts.ports = BTreeMap::from([("http".to_owned(), 9090)]);
    case.observed.main = Some(exited(container("main", &desired("app:0")), 1, 1));
    let message = "exited with code 1".to_owned();
    case.memory.rejected = Some(Rejected { spec_hash: case.hash(), message, at: at(900) });
    assert_eq!(text(&case.plan()), "start main; hold UpdateFailed");
}

#[test]
fn the_only_container_that_runs_is_not_thrown_away_for_its_name() {
    let mut case = case();
    case.observed.replacement = Some(container("new", &desired("app:0")));
    assert_eq!(text(&case.plan()), "rename new to Main");
}
