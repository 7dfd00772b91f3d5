//! One container under the sandbox's own name, or none: make it, keep it up, mend it.

use super::{
    Cause, Container, ContainerState, Hold, HoldKind, Inputs, Plan, PlannedStep, Slot, Step,
    Wanted, after_earlier_failure, before_creating, ports_differ, replace, seconds, stop,
};
use crate::plan::observed::{PermissionView, ProbeView};
use crate::plan::restart;
use crate::sandbox::{RestartPolicy, UpdatePolicy};

/// There is no container: make one, unless this life is over or has to wait.
pub(super) fn make(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Plan {
    if let Some(plan) = stays_finished(inputs, wanted) {
        return plan;
    }
    let vanished = inputs.memory.container.is_some();
    if vanished && let Some(plan) = back_off_after_absence(inputs, wanted) {
        return plan;
    }
    if let Err(plan) = before_creating(inputs, wanted) {
        return plan;
    }
    let cause = if vanished { Cause::Vanished } else { Cause::Missing };
    Plan {
        steps: vec![
            PlannedStep::new(Step::Create { slot: Slot::Main }, cause),
            PlannedStep::new(Step::StartCreated, cause),
        ],
        ..Plan::default()
    }
}

/// There is a container: bring it to what the spec says, then keep it there.
pub(super) fn keep(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Plan {
    match main.state {
        ContainerState::Removing => {
            return Plan { hold: Some(Hold::removing(main)), ..Plan::default() };
        }
        ContainerState::Dead => {
            let step = Step::Remove { container: main.id.clone() };
            return Plan::of(vec![PlannedStep::new(step, Cause::NotRunning)]);
        }
        _ => {}
    }
    let mut fields = inputs.differences(main);
    let mut cause = Cause::SpecChanged;
    if fields.is_empty() {
        let limits = wanted.desired.limits.differences(&main.limits);
        if limits.is_empty() {
            return maintain(inputs, wanted, main);
        }
        if inputs.facts.live_update {
            let step =
                Step::UpdateLimits { container: main.id.clone(), limits: wanted.desired.limits };
            return Plan::of(vec![PlannedStep {
                step,
                cause: Cause::LimitsDiffer,
                fields: limits,
            }]);
        }
        (fields, cause) = (limits, Cause::LimitsDiffer);
    }
    update(inputs, wanted, main, cause, fields)
}

/// The container differs: replace it, or say why not yet and maintain the one that is there.
fn update(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    main: &Container,
    cause: Cause,
    fields: Vec<String>,
) -> Plan {
    let refused = match waits_for_restart(wanted, main, &fields) {
        Some(hold) => Some(Plan { hold: Some(hold), ..Plan::default() }),
        None => replace::refused(inputs, wanted),
    };
    let Some(refused) = refused else {
        return replace::begin(inputs, wanted, main, cause, fields);
    };
    if main.state == ContainerState::Created {
        return refused;
    }
    // The container that is there keeps serving, by its own (older) spec.
    let maintained = maintain(inputs, wanted, main);
    let mut plan = Plan { hold: refused.hold, ..maintained };
    plan.steps.extend(refused.steps);
    plan.check_at(refused.next_check);
    plan
}

fn waits_for_restart(wanted: Wanted<'_>, main: &Container, fields: &[String]) -> Option<Hold> {
    if wanted.desired.update_policy != UpdatePolicy::OnRestart || !main.is_live() {
        return None;
    }
    let message = format!("{} changed; applied at the next restart", fields.join(", "));
    Some(Hold::new(HoldKind::RestartRequired, message))
}

/// The container is the right one: keep it running and whole.
fn maintain(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Plan {
    let id = || main.id.clone();
    match main.state {
        ContainerState::Created => start_first_time(inputs, wanted, main),
        ContainerState::Exited => start_again(inputs, wanted, main),
        ContainerState::Paused => {
            let step = Step::Unpause { container: id() };
            Plan::of(vec![PlannedStep::new(step, Cause::Paused)])
        }
        ContainerState::Running => mend(inputs, wanted, main),
        ContainerState::Restarting | ContainerState::Removing | ContainerState::Dead => {
            let message =
                format!("the engine reports container {} {}", main.id.short(), main.state);
            Plan { hold: Some(Hold::new(HoldKind::Busy, message)), ..Plan::default() }
        }
    }
}

fn start_first_time(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Plan {
    if ports_differ(main, wanted.desired, &inputs.facts.ports) {
        // It has never run, so nothing is lost by making it again.
        let recreated = || recreate(main, Cause::PortTaken, Vec::new());
        return before_creating(inputs, wanted).err().unwrap_or_else(recreated);
    }
    if let Err(plan) = may_start(inputs, wanted, main) {
        return plan;
    }
    let step = Step::Start { container: main.id.clone() };
    Plan::of(vec![PlannedStep::new(step, Cause::NotRunning)])
}

/// Whether this container's earlier failures to start let it be started now.
fn may_start(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Result<(), Plan> {
    let own = main.fingerprint.as_ref().unwrap_or(wanted.fingerprint);
    after_earlier_failure(inputs, wanted, &own.spec_hash)
}

/// Remove and create again: only for a container that has never run, or whose predecessor still waits.
pub(super) fn recreate(main: &Container, cause: Cause, fields: Vec<String>) -> Plan {
    Plan::of(vec![
        PlannedStep {
            step: Step::Remove { container: main.id.clone() },
            cause,
            fields: fields.clone(),
        },
        PlannedStep { step: Step::Create { slot: Slot::Main }, cause, fields },
        PlannedStep::new(Step::StartCreated, cause),
    ])
}

/// The container ended. Whether it is started again is the restart policy's business, unless it was we
/// who stopped it.
fn start_again(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Plan {
    let start =
        |cause| Plan::of(vec![PlannedStep::new(Step::Start { container: main.id.clone() }, cause)]);
    if inputs.memory.parked.as_ref() == Some(&main.id) {
        return may_start(inputs, wanted, main).err().unwrap_or_else(|| start(Cause::NotRunning));
    }
    if let Some(plan) = cannot_tell(wanted, main).or_else(|| stays_ended(wanted, main)) {
        return plan;
    }
    if let Err(plan) = may_start(inputs, wanted, main) {
        return plan;
    }
    if ports_differ(main, wanted.desired, &inputs.facts.ports)
        && let Some(plan) = move_to_another_port(inputs, wanted, main)
    {
        return plan;
    }
    let streak = restart::streak_after_run(&inputs.memory.restarts, main);
    let ended = restart::ended_at(&inputs.memory.restarts, main, inputs.now);
    let due = restart::due(ended, streak, &wanted.desired.uid, inputs.now);
    if due <= inputs.now {
        return start(Cause::Ended);
    }
    let message = format!(
        "{}; restart {} at {}",
        main.how_it_ended(wanted.desired.container.program()),
        streak + 1,
        seconds(due)
    );
    let hold = Some(Hold::new(HoldKind::CrashLoopBackOff, message));
    Plan { hold, next_check: Some(due), steps: Vec::new() }
}

/// Its port was given up, and a container's ports are fixed when it is made. `None`: none can be made now,
/// so this one tries to get its port back.
fn move_to_another_port(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Option<Plan> {
    let pulls = |hold: &Hold| hold.kind == HoldKind::Pulling;
    match replace::refused(inputs, wanted) {
        None => Some(replace::begin(inputs, wanted, main, Cause::PortTaken, Vec::new())),
        Some(refused) => refused.hold.as_ref().is_some_and(pulls).then_some(refused),
    }
}

/// Whether it failed is what the restart policy asks, and the engine does not say.
fn cannot_tell(wanted: Wanted<'_>, main: &Container) -> Option<Plan> {
    let asks = wanted.desired.restart_policy == RestartPolicy::OnFailure;
    let message = "spec.restartPolicy: the engine does not tell how the container ended, so OnFailure \
                   cannot be decided: use Always or Never";
    let hold = Some(Hold::new(HoldKind::FieldRefused, message));
    (asks && main.exit_code.is_none() && !main.oom_killed).then(|| Plan { hold, ..Plan::default() })
}

pub(super) fn stays_ended(wanted: Wanted<'_>, main: &Container) -> Option<Plan> {
    let policy = wanted.desired.restart_policy;
    let stays = match policy {
        RestartPolicy::Always => false,
        RestartPolicy::OnFailure => main.exit_code == Some(0),
        RestartPolicy::Never => true,
    };
    let message = format!(
        "{}; restartPolicy {policy:?} leaves it so",
        main.how_it_ended(wanted.desired.container.program())
    );
    stays.then(|| Plan { hold: Some(Hold::new(HoldKind::Finished, message)), ..Plan::default() })
}

/// A finished sandbox whose container somebody removed stays finished until its spec is edited.
fn stays_finished(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Option<Plan> {
    let finished = inputs.memory.finished.as_ref()?;
    if finished.spec_hash != wanted.fingerprint.spec_hash {
        return None;
    }
    let how = match finished.succeeded {
        Some(true) => "succeeded",
        Some(false) => "failed",
        None => "ended",
    };
    let message = format!("it {how} at {}; edit the spec to run it again", seconds(finished.at));
    Some(Plan { hold: Some(Hold::new(HoldKind::Finished, message)), ..Plan::default() })
}

fn back_off_after_absence(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Option<Plan> {
    let streak = restart::streak_after_absence(&inputs.memory.restarts, inputs.now);
    let last = inputs.memory.restarts.last_at?;
    let due = restart::due(last, streak, &wanted.desired.uid, inputs.now);
    if due <= inputs.now {
        return None;
    }
    let message = format!("the container was removed again; made anew at {}", seconds(due));
    let hold = Some(Hold::new(HoldKind::CrashLoopBackOff, message));
    Some(Plan { hold, next_check: Some(due), steps: Vec::new() })
}

/// It runs. Everything else that must hold.
fn mend(inputs: &Inputs<'_>, wanted: Wanted<'_>, main: &Container) -> Plan {
    let mut plan = Plan::default();
    if matches!(&inputs.facts.liveness, ProbeView::Failing { container, .. } if *container == main.id)
    {
        plan.steps = stop(main, wanted.desired.grace, Cause::Unhealthy);
        return plan;
    }
    // First, for a step that fails ends the plan, and a repair that failed is not planned again at once.
    if let PermissionView::Drifted(paths) = &inputs.facts.permissions {
        plan.steps.push(PlannedStep {
            step: Step::RepairPermissions { container: main.id.clone() },
            cause: Cause::PermissionsDiffer,
            fields: paths.clone(),
        });
    }
    if !main.network_attached {
        let step = Step::ConnectNetwork { container: main.id.clone() };
        plan.steps.push(PlannedStep::new(step, Cause::NetworkLost));
    }
    plan
}
