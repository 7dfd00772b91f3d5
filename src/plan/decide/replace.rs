//! Replacement: the new container is created while the old one runs, the old one is stopped and kept
//! aside, the new one is started, and only when it is up is the old one removed; otherwise the old one
//! comes back.
//!
//! ```text
//!   main            main, .new        .old, .new          main, .old       main
//!   ─── create ──▶  ─── stop, ─────▶  ─── new is up: ──▶  ── remove ────▶
//!                       rename, start     rename new
//!                                     ─── it is not: remove new, rename old back, start it
//! ```
//!
//! A crash can leave any of these states; [`settle_names`] goes on from each of them.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Cause, Container, ContainerState, Hold, HoldKind, Inputs, Plan, PlannedStep, Slot, Step,
    Wanted, before_creating, serve, stop,
};
use crate::plan::observed::ProbeView;
use crate::plan::restart;
use crate::sandbox::OperatingMode;

/// How long a replacement must have run to count as up where no probe says so.
pub(super) const STABLE_WITHOUT_PROBE: Duration = Duration::from_secs(2);
/// How long a replacement that runs may stay unready where there is no reason to wait longer: a predecessor
/// that never was ready itself is given up then, and one that was ready comes back if the spec was edited
/// again meanwhile.
pub(super) const STABLE_UNREADY: Duration = Duration::from_secs(10);
/// How long a replacement of a sandbox that was ready may take to become ready, beyond the time that its
/// probe takes at the least.
pub(super) const READY_DEADLINE: Duration = Duration::from_mins(1);

/// Why this spec may not replace what is there (now), if so.
pub(super) fn refused(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Option<Plan> {
    let hash = &wanted.fingerprint.spec_hash;
    if let Some(rejected) = inputs.memory.rejected.as_ref().filter(|r| r.spec_hash == *hash) {
        let message =
            format!("{}; the previous container was kept; edit the spec", rejected.message);
        let hold = Some(Hold::new(HoldKind::UpdateFailed, message));
        return Some(Plan { hold, ..Plan::default() });
    }
    before_creating(inputs, wanted).err()
}

/// Begins a replacement of `main`.
pub(super) fn begin(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    main: &Container,
    cause: Cause,
    fields: Vec<String>,
) -> Plan {
    // A predecessor that still waits is what serves; main is its replacement, and down.
    let waits = inputs.observed.predecessor.is_some() && !main.is_live();
    if main.state == ContainerState::Created || waits {
        return serve::recreate(main, cause, fields);
    }
    let create = PlannedStep { step: Step::Create { slot: Slot::Replacement }, cause, fields };
    let mut plan = Plan::of(vec![create]);
    plan.steps.extend(step_aside(main, wanted, cause));
    plan.steps.push(PlannedStep::new(Step::StartCreated, cause));
    plan.hold = Some(replacing(inputs, "a replacement is created"));
    plan
}

/// Brings the sandbox's containers back to one name, or waits for a replacement to come up. `None`: there
/// is at most the one under the sandbox's own name.
pub(super) fn settle_names(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Option<Plan> {
    let observed = inputs.observed;
    if let Some(renamed) = &observed.renamed {
        return Some(settle_renamed(inputs, wanted, renamed));
    }
    // One that is being removed holds its name until it is gone; alone, it is waited for as what it is.
    let others = observed.replacement.is_some() || observed.predecessor.is_some();
    if let Some(gone) = observed.ours().find(|c| c.state == ContainerState::Removing)
        && (others || observed.main.as_ref() != Some(gone))
    {
        return Some(Plan { hold: Some(Hold::removing(gone)), ..Plan::default() });
    }
    match (&observed.main, &observed.replacement, &observed.predecessor) {
        (_, None, None) => None,
        (Some(main), Some(new), Some(_)) => {
            // A create of ours that landed late took the name while it was free.
            let extra = if main.is_live() { new } else { main };
            Some(discard(extra, wanted, Cause::Interrupted))
        }
        (Some(main), None, Some(old)) => resume_after_rename(inputs, wanted, main, old),
        (Some(main), Some(new), None) => Some(resume_before_switch(inputs, wanted, main, new)),
        (None, Some(new), Some(old)) => Some(resume_after_switch(inputs, wanted, new, old)),
        // One that runs serves, whatever it was made from; what differs is brought about from there.
        (None, Some(new), None) => Some(if inputs.matches(new) || new.is_live() {
            rename(new, Slot::Main, Cause::Interrupted)
        } else {
            discard(new, wanted, Cause::Interrupted)
        }),
        (None, None, Some(old)) => Some(rename(old, Slot::Main, Cause::Interrupted)),
    }
}

fn settle_renamed(inputs: &Inputs<'_>, wanted: Wanted<'_>, renamed: &Container) -> Plan {
    let Some(main) = &inputs.observed.main else {
        return rename(renamed, Slot::Main, Cause::Renamed);
    };
    // Never two: the one that serves stays, or else the one under the sandbox's name.
    let extra = if renamed.is_live() && !main.is_live() { main } else { renamed };
    discard(extra, wanted, Cause::Renamed)
}

/// The replacement has its final name; what is missing is the clean-up. Until it runs, the old one stays.
fn resume_after_rename(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    main: &Container,
    old: &Container,
) -> Option<Plan> {
    let proven = inputs.memory.was_ready.as_ref() == Some(&main.id);
    // As [`give_up`] decided; only the clean-up was cut short.
    let idle = inputs.memory.idle_predecessor.as_ref() == Some(&old.id) && !old.is_live();
    if main.is_live() || proven || idle || serve::stays_ended(wanted, main).is_some() {
        return Some(discard(old, wanted, Cause::ReplacementUp));
    }
    // An old one that runs again, by hand or by a request of ours that landed late, comes back.
    if inputs.matches(main) && runs(inputs, wanted) && !old.is_live() {
        // It ended meanwhile and is started again like any other.
        return None;
    }
    let mut plan = discard(main, wanted, Cause::Interrupted);
    plan.steps.extend(rename(old, Slot::Main, Cause::Interrupted).steps);
    Some(plan)
}

/// The replacement exists, the old one still has the name: go on, or throw the replacement away.
fn resume_before_switch(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    main: &Container,
    new: &Container,
) -> Plan {
    let usable = matches!(new.state, ContainerState::Created | ContainerState::Running);
    if !usable || !still_wanted(inputs, wanted, new) || inputs.matches(main) {
        return discard(new, wanted, Cause::Interrupted);
    }
    let mut plan = Plan::of(step_aside(main, wanted, Cause::SpecChanged));
    if new.state == ContainerState::Created {
        let start = Step::Start { container: new.id.clone() };
        plan.steps.push(PlannedStep::new(start, Cause::SpecChanged));
    }
    plan.hold = Some(replacing(inputs, "a replacement is started"));
    plan
}

/// The old one stands aside, stopped: the replacement must come up, or the old one comes back.
fn resume_after_switch(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    new: &Container,
    old: &Container,
) -> Plan {
    if !still_wanted(inputs, wanted, new) {
        return superseded(inputs, wanted, new, old);
    }
    match new.state {
        ContainerState::Created if start_failed(inputs, wanted) => {
            give_up(inputs, wanted, new, old)
        }
        ContainerState::Created | ContainerState::Running | ContainerState::Paused
            if old.is_live() =>
        {
            // Somebody has started it by hand, or a request of ours landed late. Never two.
            let hold = Some(replacing(inputs, "the old container is stopped"));
            Plan { hold, ..Plan::of(stop(old, wanted.desired.grace, Cause::SpecChanged)) }
        }
        ContainerState::Created => {
            let start = Step::Start { container: new.id.clone() };
            let mut plan = Plan::of(vec![PlannedStep::new(start, Cause::Interrupted)]);
            plan.hold = Some(replacing(inputs, "the replacement is started"));
            plan
        }
        ContainerState::Running => judge(inputs, wanted, new, old),
        ContainerState::Paused => {
            let step = Step::Unpause { container: new.id.clone() };
            Plan::of(vec![PlannedStep::new(step, Cause::Paused)])
        }
        _ => give_up(inputs, wanted, new, old),
    }
}

/// The replacement did not come up. A predecessor that was down itself is no better: the new one takes
/// the name, and is retried as any container is.
fn give_up(inputs: &Inputs<'_>, wanted: Wanted<'_>, new: &Container, old: &Container) -> Plan {
    if inputs.memory.idle_predecessor.as_ref() == Some(&old.id) {
        return finish(wanted, new, old);
    }
    roll_back(inputs, wanted, new, old, Cause::ReplacementFailed)
}

/// The spec was edited again. A replacement that runs serves, and nobody knows yet whether the latest spec
/// can be carried out: it comes up first and is replaced from there, or else the old one comes back.
fn superseded(inputs: &Inputs<'_>, wanted: Wanted<'_>, new: &Container, old: &Container) -> Plan {
    let comes_up =
        new.is_running() && !old.is_live() && !inputs.matches(new) && runs(inputs, wanted);
    // A probe of a port that it does not publish says nothing of it.
    let probe = wanted.desired.readiness.as_ref();
    let probe = probe.filter(|probe| wanted.desired.reaches(probe, new));
    let verdict = if comes_up {
        verdict(inputs, new, old, probe.map(|_| STABLE_UNREADY))
    } else {
        Verdict::Failed
    };
    match verdict {
        Verdict::Up => finish(wanted, new, old),
        Verdict::Failed => roll_back(inputs, wanted, new, old, Cause::Interrupted),
        Verdict::DueAt(due) => wait_until(inputs, due),
    }
}

/// The replacement runs. Is it up?
fn judge(inputs: &Inputs<'_>, wanted: Wanted<'_>, new: &Container, old: &Container) -> Plan {
    let probe = wanted.desired.readiness.as_ref();
    let ready_within = probe.map(|probe| READY_DEADLINE + probe.earliest_success());
    match verdict(inputs, new, old, ready_within) {
        Verdict::Up => finish(wanted, new, old),
        Verdict::Failed => give_up(inputs, wanted, new, old),
        Verdict::DueAt(due) => wait_until(inputs, due),
    }
}

enum Verdict {
    Up,
    Failed,
    DueAt(Timestamp),
}

/// Whether a replacement that runs is up. `ready_within`: how long it may take to become ready if the old
/// one was; `None`: nothing probes it.
fn verdict(
    inputs: &Inputs<'_>,
    new: &Container,
    old: &Container,
    ready_within: Option<Duration>,
) -> Verdict {
    let ready =
        matches!(&inputs.facts.readiness, ProbeView::Passing { container } if *container == new.id);
    if ready {
        return Verdict::Up;
    }
    let predecessor_was_ready = inputs.memory.was_ready.as_ref() == Some(&old.id);
    let (enough, at_last) = match ready_within {
        None => (STABLE_WITHOUT_PROBE, Verdict::Up),
        Some(_) if !predecessor_was_ready => (STABLE_UNREADY, Verdict::Up),
        Some(ready_within) => (ready_within, Verdict::Failed),
    };
    let started = new.started_at.unwrap_or(inputs.now).min(inputs.now);
    if restart::since(started, inputs.now) >= enough {
        return at_last;
    }
    Verdict::DueAt(restart::plus(started, enough))
}

fn wait_until(inputs: &Inputs<'_>, due: Timestamp) -> Plan {
    let hold = Some(replacing(inputs, "waiting for the replacement to come up"));
    Plan { hold, next_check: Some(due), steps: Vec::new() }
}

fn finish(wanted: Wanted<'_>, new: &Container, old: &Container) -> Plan {
    let mut plan = rename(new, Slot::Main, Cause::ReplacementUp);
    plan.steps.extend(discard(old, wanted, Cause::ReplacementUp).steps);
    plan
}

fn roll_back(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    new: &Container,
    old: &Container,
    cause: Cause,
) -> Plan {
    let mut plan = discard(new, wanted, cause);
    plan.steps.extend(rename(old, Slot::Main, cause).steps);
    // One that had done its work, and was not stopped by us, stays done.
    let done =
        serve::stays_ended(wanted, old).is_some() && inputs.memory.parked.as_ref() != Some(&old.id);
    if !old.is_live() && !done && runs(inputs, wanted) {
        let start = Step::Start { container: old.id.clone() };
        plan.steps.push(PlannedStep::new(start, cause));
    }
    plan
}

/// Whether the replacement is still what the spec asks for.
fn still_wanted(inputs: &Inputs<'_>, wanted: Wanted<'_>, new: &Container) -> bool {
    let hash = &wanted.fingerprint.spec_hash;
    let rejected = inputs.memory.rejected.as_ref().is_some_and(|r| r.spec_hash == *hash);
    inputs.matches(new) && !rejected && runs(inputs, wanted)
}

/// Whether the spec wants it running at all.
fn runs(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> bool {
    wanted.desired.operating_mode == OperatingMode::Running && !inputs.expired(wanted.desired)
}

fn start_failed(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> bool {
    let hash = &wanted.fingerprint.spec_hash;
    inputs.memory.failure.as_ref().is_some_and(|failure| failure.spec_hash == *hash)
}

fn step_aside(main: &Container, wanted: Wanted<'_>, cause: Cause) -> Vec<PlannedStep> {
    let mut steps = stop(main, wanted.desired.grace, cause);
    let rename = Step::Rename { container: main.id.clone(), slot: Slot::Predecessor };
    steps.push(PlannedStep::new(rename, cause));
    steps
}

fn discard(container: &Container, wanted: Wanted<'_>, cause: Cause) -> Plan {
    super::remove_all(std::iter::once(container), wanted.desired.grace, cause)
}

fn rename(container: &Container, slot: Slot, cause: Cause) -> Plan {
    let step = Step::Rename { container: container.id.clone(), slot };
    Plan::of(vec![PlannedStep::new(step, cause)])
}

fn replacing(inputs: &Inputs<'_>, what: &str) -> Hold {
    let message = match &inputs.facts.readiness {
        ProbeView::Pending { message } if !message.is_empty() => format!("{what}: {message}"),
        _ => what.to_owned(),
    };
    Hold::new(HoldKind::Replacing, message)
}
