//! Tells people what happened and how things are: status files, the event log, one log line per change.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::execute::{StepDone, StepError};
use super::reconcile::{Context, ReconcileError};
use super::refusals;
use crate::clock;
use crate::plan::conditions::{self, Context as Told};
use crate::plan::{Inputs, Plan, PlannedStep, Step, Wish};
use crate::sandbox::SandboxStatus;
use crate::source::{Declared, StaleKind};
use crate::state::StateError;
use crate::state::events::EventKind;

/// The last status of each sandbox, so that transition times survive and transitions are noticed.
#[derive(Debug, Default)]
pub struct LastStatus(Mutex<HashMap<String, Published>>);

#[derive(Clone, Debug)]
struct Published {
    status: SandboxStatus,
    /// By this process, and not by an earlier run.
    by_us: bool,
}

impl LastStatus {
    /// Starts from what earlier runs published.
    #[must_use]
    pub fn load(published: Vec<crate::sandbox::Sandbox>) -> Self {
        let statuses = published.into_iter().filter_map(|sandbox| {
            Some((sandbox.metadata.name?, Published { status: sandbox.status?, by_us: false }))
        });
        Self(Mutex::new(statuses.collect()))
    }

    /// The last status of this sandbox, by whichever run.
    #[must_use]
    pub fn get(&self, sandbox: &str) -> Option<SandboxStatus> {
        self.entries().get(sandbox).map(|published| published.status.clone())
    }

    /// What this process has published, by sandbox.
    #[must_use]
    pub fn all(&self) -> HashMap<String, SandboxStatus> {
        let all = self.entries();
        let ours = all.iter().filter(|(_, published)| published.by_us);
        ours.map(|(name, published)| (name.clone(), published.status.clone())).collect()
    }

    pub(super) fn forget(&self, sandbox: &str) {
        self.entries().remove(sandbox);
    }

    fn replace(&self, sandbox: &str, status: SandboxStatus) {
        self.entries().insert(sandbox.to_owned(), Published { status, by_us: true });
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Published>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Publishes how a sandbox is: `inputs` as observed after acting, `rest` as planned from them.
pub(super) fn publish(
    context: &Context,
    declared: &Declared,
    inputs: &Inputs<'_>,
    rest: &Plan,
    not_converging: Option<&str>,
) -> Result<(), StateError> {
    let previous = context.last_status.get(declared.name());
    let source = declared.provenance.to_string();
    let engine = context.engine.kind().to_string();
    let stale = declared.stale.as_ref();
    let stale = stale.map(|stale| (stale_reason(stale.kind), stale.message.as_str()));
    let mut notices = declared.notices.clone();
    if let Wish::Declared(wanted) = inputs.wish {
        let (kind, capabilities) = (context.engine.kind(), &context.capabilities);
        notices.extend(refusals::notices(kind, capabilities, wanted.desired));
    }
    let told = Told {
        engine: &engine,
        advertise: &context.advertise,
        bind: context.settings.bind,
        source: &source,
        stale,
        notices: &notices,
        not_converging,
        previous: previous.as_ref(),
    };
    put(context, declared, conditions::status(inputs, rest, &told))
}

/// Publishes that the engine (or a file of ours) does not tell how a sandbox is.
pub(super) fn publish_unknown(
    context: &Context,
    declared: &Declared,
    error: &ReconcileError,
) -> Result<(), StateError> {
    let previous = context.last_status.get(declared.name());
    let generation = declared.sandbox.metadata.generation.unwrap_or_default();
    let source = declared.provenance.to_string();
    let (reason, text) = (error.reason(), error.to_string());
    let now = clock::now();
    let status = conditions::unknown(previous.as_ref(), generation, &source, reason, &text, now);
    put(context, declared, status)
}

/// Publishes that an accepted spec is refused by the daemon's present configuration.
pub(super) fn publish_refused(
    context: &Context,
    declared: &Declared,
    reason: &str,
    why: &str,
) -> Result<(), StateError> {
    let previous = context.last_status.get(declared.name());
    let generation = declared.sandbox.metadata.generation.unwrap_or_default();
    let source = declared.provenance.to_string();
    let status =
        conditions::refused(previous.as_ref(), generation, &source, reason, why, clock::now());
    put(context, declared, status)
}

fn put(context: &Context, declared: &Declared, status: SandboxStatus) -> Result<(), StateError> {
    let name = declared.name();
    context.status.publish(&declared.sandbox, &status)?;
    let previous = context.last_status.get(name);
    for type_ in ["Ready", "UpToDate", "PermissionsApplied"] {
        transition(context, name, type_, previous.as_ref(), &status);
    }
    context.last_status.replace(name, status);
    context.published.notify_waiters();
    Ok(())
}

/// An event and a log line when a condition says something else than before.
fn transition(
    context: &Context,
    name: &str,
    type_: &str,
    previous: Option<&SandboxStatus>,
    status: &SandboxStatus,
) {
    let Some(now) = status.condition(type_) else { return };
    let before = previous.and_then(|status| status.condition(type_));
    let same =
        before.is_some_and(|before| before.status == now.status && before.reason == now.reason);
    // What a sandbox passes through is no news, nor that all is well where it was well before.
    let trouble =
        |condition: &Condition| condition.status == "False" && !is_passing(&condition.reason);
    let mended = now.status == "True" && (type_ == "Ready" || before.is_some_and(trouble));
    if same || !trouble(now) && !mended {
        return;
    }
    let kind = if now.status == "True" { EventKind::Normal } else { EventKind::Warning };
    let reason = if type_ == "Ready" && now.status == "True" { "Ready" } else { &now.reason };
    tracing::info!(
        sandbox = name,
        condition = type_,
        status = now.status,
        reason,
        detail = now.message,
        "A condition changed."
    );
    record(context, name, kind, reason, &now.message);
}

/// Reasons that a sandbox passes through on its way, as opposed to those in which it stays.
fn is_passing(reason: &str) -> bool {
    matches!(
        reason,
        "ContainerStarting" | "ContainerMissing" | "UpdatePending" | "Pulling" | "EngineBusy"
    )
}

/// Records what became of a step.
pub(super) fn step(
    context: &Context,
    sandbox: &str,
    planned: &PlannedStep,
    result: &Result<StepDone, StepError>,
) {
    match result {
        Ok(_) => {
            record(context, sandbox, EventKind::Normal, done(&planned.step), &planned.to_string());
        }
        // The world moved between the look and the act: not worth a line, the next look tells.
        Err(StepError::Gone(_) | StepError::Changed(_)) => {}
        Err(error) => {
            let message = format!("{}: {error}", planned.step);
            record(context, sandbox, EventKind::Warning, error.reason(), &message);
        }
    }
}

/// The word for a step that was taken.
fn done(step: &Step) -> &'static str {
    match step {
        Step::Pull => "Pulling",
        Step::Create { .. } => "Created",
        Step::Start { .. } | Step::StartCreated => "Started",
        Step::Unpause { .. } => "Unpaused",
        Step::Stop { .. } => "Stopped",
        Step::Rename { .. } => "Renamed",
        Step::UpdateLimits { .. } => "Updated",
        Step::ConnectNetwork { .. } => "Reattached",
        Step::Remove { .. } => "Removed",
        Step::RepairPermissions { .. } => "PermissionsRepaired",
        Step::Adopt { .. } => "Adopted",
    }
}

fn record(context: &Context, sandbox: &str, kind: EventKind, reason: &str, message: &str) {
    if let Err(error) = context.events.record(sandbox, kind, reason, message, clock::now()) {
        tracing::warn!(sandbox, %error, "The event could not be recorded.");
    }
}

/// The condition reason of a staleness.
fn stale_reason(kind: StaleKind) -> &'static str {
    match kind {
        StaleKind::SpecInvalid => "SpecInvalid",
        StaleKind::PolicyViolation => "PolicyViolation",
        StaleKind::SpecUnreadable => "SpecUnreadable",
        StaleKind::Conflict => "Conflict",
        StaleKind::PruneHeld => "PruneHeld",
    }
}
