//! What became of a step, and what is remembered of it. Only outcomes and observations reach the
//! memory as facts; an intention is written before it is acted on where a crash in between would
//! otherwise be mistaken for somebody else's doing.

use jiff::Timestamp;

use super::decide::{HoldKind, Inputs, Plan, Wanted, Wish};
use super::memory::{Adopted, Failure, Finished, Memory, Rejected};
use super::observed::{BlockerKind, Container, ContainerId, ContainerState, MountView, ProbeView};
use super::restart;
use super::step::{Cause, PlannedStep, Slot, Step};
use crate::sandbox::Termination;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The engine said that it is done.
    Done,
    /// A container was created (or found created) with this id.
    Created(ContainerId),
    /// The engine refused or failed.
    Failed {
        /// Class.
        kind: HoldKind,
        /// Its words.
        message: String,
        /// Only an edit can mend it.
        terminal: bool,
    },
    /// Not known, or no longer to the point: observe and plan again. Charged to nobody.
    Void,
}

/// The memory of this sandbox's present life: another uid starts an empty one.
#[must_use]
pub fn of_this_life(memory: Memory, uid: &str) -> Memory {
    if memory.uid == uid { memory } else { Memory { uid: uid.to_owned(), ..Memory::default() } }
}

/// What an observation adds: which container serves, how it ended, whether it was ready, and that a
/// failure is over.
#[must_use]
pub fn after_observing(inputs: &Inputs<'_>) -> Memory {
    let mut memory = inputs.memory.clone();
    let Wish::Declared(wanted) = inputs.wish else { return memory };
    memory.ports.clone_from(&inputs.facts.ports);
    forget_what_the_engines_return_clears(&mut memory, inputs);
    forget_what_an_edit_clears(&mut memory, inputs, wanted);
    forget_what_is_proven(&mut memory, inputs);
    if let Some(old) = inputs.observed.predecessor.as_ref().filter(|old| old.is_live()) {
        // It runs again, so it is worth bringing back.
        memory.idle_predecessor.take_if(|idle| *idle == old.id);
    }
    let Some(main) = &inputs.observed.main else { return memory };
    if inputs.observed.renamed.is_none() {
        // A renamed one is ours by the record alone, which stays until that one is settled.
        memory.container = Some(main.id.clone());
    }
    if let Some(termination) = termination(main) {
        memory.last_termination = Some(termination);
    }
    if let ProbeView::Passing { container } = &inputs.facts.readiness {
        memory.was_ready = Some(container.clone());
    }
    if main.is_live() {
        memory.ran = inputs.facts.fixed_names.then(|| main.id.clone());
        memory.idle_predecessor = None;
        // A stop that was intended and not made, or undone since: how it ends now is its own doing.
        memory.parked.take_if(|parked| *parked == main.id);
    }
    let swapped = matches!(inputs.facts.mounts, MountView::Swapped { .. });
    if main.is_running() && inputs.matches(main) && !swapped {
        memory.failure = None;
        memory.rejected = None;
    }
    if wanted.desired.readiness.is_none() && main.is_running() {
        memory.was_ready = Some(main.id.clone());
    }
    memory
}

/// An engine that was away ends containers, and may come back mended: what failed before is tried again.
/// A return in the future is one by a clock that was set back since: it would clear every later failure too.
fn forget_what_the_engines_return_clears(memory: &mut Memory, inputs: &Inputs<'_>) {
    let returned_at = inputs.facts.engine_returned_at.filter(|at| *at <= inputs.now);
    let Some(returned_at) = returned_at else { return };
    memory.rejected.take_if(|rejected| rejected.at < returned_at);
    memory.failure.take_if(|failure| failure.at < returned_at);
    if memory.restarts.last_at.is_some_and(|last| last < returned_at) {
        memory.restarts.streak = 0;
    }
}

/// An edit starts afresh: what is remembered of another spec no longer counts. While a secret cannot be
/// read the hash is another, and nothing was edited.
fn forget_what_an_edit_clears(memory: &mut Memory, inputs: &Inputs<'_>, wanted: Wanted<'_>) {
    if inputs.facts.blockers.iter().any(|b| b.kind == BlockerKind::SecretUnavailable) {
        return;
    }
    let hash = &wanted.fingerprint.spec_hash;
    let of_ours = |hash: &str| {
        let mut fingerprints = inputs.observed.ours().filter_map(|c| c.fingerprint.as_ref());
        fingerprints.any(|fingerprint| fingerprint.spec_hash == hash)
    };
    memory.failure.take_if(|failure| failure.spec_hash != *hash && !of_ours(&failure.spec_hash));
    memory.rejected.take_if(|rejected| rejected.spec_hash != *hash);
    memory.finished.take_if(|finished| finished.spec_hash != *hash);
}

/// Mounts are compared once for each start, and not again: what a container does with its mounts later,
/// and what becomes of the paths on the host, is no swap.
fn forget_what_is_proven(memory: &mut Memory, inputs: &Inputs<'_>) {
    let proven = match &inputs.facts.mounts {
        MountView::AsChecked { container } | MountView::Unknowable { container } => Some(container),
        MountView::NotChecked | MountView::Swapped { .. } => None,
    };
    memory.unproven.take_if(|unproven| proven == Some(unproven));
}

/// How a container that does not run ended.
fn termination(container: &Container) -> Option<Termination> {
    if container.state != ContainerState::Exited {
        return None;
    }
    let reason = match (container.oom_killed, container.exit_code) {
        (true, _) => "OOMKilled",
        (false, Some(0)) => "Completed",
        (false, _) => "Error",
    };
    Some(Termination {
        exit_code: container.exit_code,
        reason: reason.to_owned(),
        oom_killed: container.oom_killed,
        at: Time(container.finished_at?),
    })
}

/// What a plan adds before its first step is taken. A crash after this and before the step looks, on the
/// next start, as if the step had been taken by us, not as if the container had crashed.
#[must_use]
pub fn before_acting(inputs: &Inputs<'_>, plan: &Plan) -> Memory {
    let mut memory = inputs.memory.clone();
    let Wish::Declared(wanted) = inputs.wish else { return memory };
    if let Some(hold) = &plan.hold
        && hold.kind == HoldKind::Finished
        && memory.finished.is_none()
        && let Some(main) = &inputs.observed.main
    {
        memory.finished = Some(Finished {
            spec_hash: wanted.fingerprint.spec_hash.clone(),
            succeeded: main.exit_code.map(|code| code == 0),
            at: main.finished_at.unwrap_or(inputs.now),
        });
    }
    for planned in &plan.steps {
        intend(&mut memory, planned, wanted, inputs);
    }
    memory
}

fn intend(memory: &mut Memory, planned: &PlannedStep, wanted: Wanted<'_>, inputs: &Inputs<'_>) {
    match (&planned.step, planned.cause) {
        // Also for a replacement: a crash or a failure may leave it as the one that is to serve.
        (
            Step::Stop { container, .. },
            Cause::Suspended
            | Cause::Expired
            | Cause::SpecChanged
            | Cause::LimitsDiffer
            | Cause::PortTaken,
        ) => {
            memory.parked = Some(container.clone());
        }
        (Step::Stop { container, .. }, Cause::MountSwapped) => {
            // It did not end by itself, and is started again with back-off.
            memory.parked = Some(container.clone());
            note_swap(memory, container, wanted, inputs);
        }
        (Step::Rename { container, slot: Slot::Predecessor }, _) => {
            let main = inputs.observed.main.as_ref();
            let served = memory.was_ready.as_ref() == Some(container);
            let idle = main.is_some_and(|main| main.id == *container && !main.is_live()) && !served;
            // A predecessor that an interrupted plan of ours has stopped already was worth keeping.
            if idle && inputs.observed.replacement.is_none() {
                memory.idle_predecessor = Some(container.clone());
            }
        }
        // Where nothing can be renamed, making the replacement is what begins it.
        (Step::Create { .. }, _) if inputs.facts.fixed_names && inputs.observed.main.is_some() => {
            let main = inputs.observed.main.as_ref();
            let idle = main.filter(|it| !it.is_live() && it.state != ContainerState::Created);
            let idle = idle.filter(|it| memory.was_ready.as_ref() != Some(&it.id));
            if let Some(idle) = idle {
                memory.idle_predecessor = Some(idle.id.clone());
            }
        }
        (Step::Remove { container }, Cause::ReplacementFailed) => {
            let replacement = inputs.observed.replacement.as_ref();
            let judged = replacement.is_some_and(|new| new.id == *container && inputs.matches(new));
            if judged && !found_its_port_taken(memory, wanted) {
                memory.rejected = Some(Rejected {
                    spec_hash: wanted.fingerprint.spec_hash.clone(),
                    message: why_it_failed(inputs, wanted, replacement),
                    at: inputs.now,
                });
            }
        }
        (Step::Start { container }, cause) => {
            let own = inputs.observed.ours().find(|ours| ours.id == *container);
            // Before the start: a crash between it and the comparison must not skip that.
            if own.is_some_and(|own| !own.mounts.is_empty()) {
                memory.unproven = Some(container.clone());
            }
            if matches!(cause, Cause::Ended | Cause::Vanished) {
                count_restart(memory, cause, inputs);
            }
        }
        (Step::Create { .. }, Cause::Ended | Cause::Vanished) => {
            count_restart(memory, planned.cause, inputs);
        }
        _ => {}
    }
}

fn count_restart(memory: &mut Memory, cause: Cause, inputs: &Inputs<'_>) {
    memory.restarts.streak = match &inputs.observed.main {
        Some(main) => restart::streak_after_run(&memory.restarts, main),
        None => restart::streak_after_absence(&memory.restarts, inputs.now),
    } + 1;
    memory.restarts.total += 1;
    memory.restarts.last_at = Some(inputs.now);
    if cause == Cause::Vanished {
        memory.last_termination = Some(Termination {
            exit_code: None,
            reason: "Removed".to_owned(),
            oom_killed: false,
            at: Time(inputs.now),
        });
        memory.container = None;
    }
}

/// A container that was stopped for what was mounted in it counts as one that failed to start.
fn note_swap(
    memory: &mut Memory,
    container: &ContainerId,
    wanted: Wanted<'_>,
    inputs: &Inputs<'_>,
) {
    let MountView::Swapped { mounts, .. } = &inputs.facts.mounts else { return };
    let spec_hash = hash_of(&Step::Start { container: container.clone() }, inputs, wanted);
    let earlier = memory.failure.as_ref().filter(|failure| failure.spec_hash == spec_hash);
    memory.failure = Some(Failure {
        attempts: earlier.map_or(0, |failure| failure.attempts) + 1,
        spec_hash,
        kind: HoldKind::MountSwapped,
        message: format!("it was stopped: {}", mounts.join("; ")),
        at: inputs.now,
        terminal: false,
    });
}

/// That a port is taken says nothing of the spec: it is tried again, with back-off.
fn found_its_port_taken(memory: &Memory, wanted: Wanted<'_>) -> bool {
    memory.failure.as_ref().is_some_and(|failure| {
        failure.kind == HoldKind::PortConflict && failure.spec_hash == wanted.fingerprint.spec_hash
    })
}

fn why_it_failed(inputs: &Inputs<'_>, wanted: Wanted<'_>, new: Option<&Container>) -> String {
    let program = wanted.desired.container.program();
    let hash = &wanted.fingerprint.spec_hash;
    if let Some(failure) = inputs.memory.failure.as_ref().filter(|f| f.spec_hash == *hash) {
        return failure.message.clone();
    }
    match new {
        Some(new) if new.is_live() => match &inputs.facts.readiness {
            ProbeView::Pending { message } | ProbeView::Failing { message, .. } => {
                format!("it did not become ready: {message}")
            }
            _ => "it did not become ready".to_owned(),
        },
        Some(new) if new.state == ContainerState::Exited => new.how_it_ended(program),
        _ => "it did not start".to_owned(),
    }
}

/// What the outcome of one step adds.
#[must_use]
pub fn after_step(
    memory: &Memory,
    step: &Step,
    outcome: &Outcome,
    inputs: &Inputs<'_>,
    now: Timestamp,
) -> Memory {
    let mut memory = memory.clone();
    let Wish::Declared(wanted) = inputs.wish else { return memory };
    match (step, outcome) {
        (_, Outcome::Failed { kind, message, terminal }) if step.is_part_of_starting() => {
            let spec_hash = hash_of(step, inputs, wanted);
            let earlier = memory.failure.as_ref().filter(|failure| failure.spec_hash == spec_hash);
            memory.failure = Some(Failure {
                attempts: earlier.map_or(0, |failure| failure.attempts) + 1,
                spec_hash,
                kind: *kind,
                message: message.clone(),
                at: now,
                terminal: *terminal,
            });
        }
        (Step::Create { .. }, Outcome::Created(id)) => {
            memory.failure = None;
            if !wanted.desired.container.mounts.is_empty() {
                memory.unproven = Some(id.clone());
            }
        }
        (Step::Adopt { container }, Outcome::Done) => {
            memory.container = Some(container.clone());
            memory.adopted = Some(Adopted {
                container: container.clone(),
                spec_hash: wanted.fingerprint.spec_hash.clone(),
            });
        }
        (Step::Start { container }, Outcome::Done) => {
            memory.parked.take_if(|parked| parked == container);
        }
        // What we removed ourselves was removed by nobody else.
        (Step::Remove { container }, Outcome::Done) => {
            memory.container.take_if(|recorded| recorded == container);
        }
        _ => {}
    }
    memory
}

/// Spec hash of the container that a step creates or starts.
fn hash_of(step: &Step, inputs: &Inputs<'_>, wanted: Wanted<'_>) -> String {
    let existing = match step {
        Step::Start { container } => inputs.observed.ours().find(|c| c.id == *container),
        _ => None,
    };
    match existing.and_then(|container| container.fingerprint.as_ref()) {
        Some(fingerprint) => fingerprint.spec_hash.clone(),
        None => wanted.fingerprint.spec_hash.clone(),
    }
}

#[cfg(test)]
mod tests;
