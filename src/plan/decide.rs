//! The decision: what was wished, what is, what to do.
//!
//! Read [`plan`] top to bottom: it is the order of precedence. Each rule returns the steps that it can
//! justify from what was observed; the next pass observes again and goes on from there, so every prefix
//! of a plan is a state that this function knows how to continue or to undo.

mod fixed_names;
mod replace;
mod serve;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::desired::{BindMount, Desired};
use super::fingerprint::Fingerprint;
use super::memory::Memory;
use super::observed::{
    Blocker, BlockerKind, Container, ContainerId, ContainerState, Facts, MountView, Observed,
    PullView,
};
use super::policy::{self, Isolation, Policy};
use super::restart;
use super::step::{Cause, PlannedStep, Slot, Step};
use crate::sandbox::{OperatingMode, PullPolicy, ShutdownPolicy};

/// What the directory wants of a sandbox.
#[derive(Clone, Copy, Debug)]
pub enum Wish<'a> {
    /// It must be as this says.
    Declared(Wanted<'a>),
    /// Its spec is confirmed gone: nothing of it may remain.
    Withdrawn {
        /// Time between the stop signal and the kill.
        grace: Duration,
    },
}

/// A sandbox as it must be, and the fingerprint of the container that this needs.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The sandbox.
    pub desired: &'a Desired,
    /// [`Fingerprint::of`] its container and the secrets' digests.
    pub fingerprint: &'a Fingerprint,
}

/// Everything that a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// What is wanted.
    pub wish: Wish<'a>,
    /// What the engine reported.
    pub observed: &'a Observed,
    /// What the host and the helpers reported.
    pub facts: &'a Facts,
    /// What is remembered.
    pub memory: &'a Memory,
    /// Now, by the wall clock, as engines report it.
    pub now: Timestamp,
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// Steps, in order. Empty: nothing to do now.
    pub steps: Vec<PlannedStep>,
    /// Why the sandbox is not (or not only) as its spec says although there is nothing to do now.
    pub hold: Option<Hold>,
    /// When to look again although nothing happened: the end of a back-off, a deadline.
    pub next_check: Option<Timestamp>,
}

/// Why nothing is done although something differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// Class; becomes a condition's reason.
    pub kind: HoldKind,
    /// For people.
    pub message: String,
}

/// Classes of hold. Their names are condition reasons, so they are API: add, never rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HoldKind {
    /// A foreign container has the name.
    NameConflict,
    /// A mount's host path is missing or unusable.
    MountUnavailable,
    /// A mount's host path may not be mounted.
    MountRefused,
    /// A secret file cannot be read.
    SecretUnavailable,
    /// Something else than what was checked was mounted, and the container was stopped.
    MountSwapped,
    /// A host port is taken.
    PortConflict,
    /// The engine cannot honour a field.
    FieldRefused,
    /// The policy does not allow what the spec asks for.
    PolicyViolation,
    /// There are more sandboxes than the policy allows.
    QuotaExceeded,
    /// The image is being pulled.
    Pulling,
    /// The image cannot be had.
    ImageUnavailable,
    /// The container ended too often; it is started again later.
    CrashLoopBackOff,
    /// Creating or starting failed; it is tried again later, or after an edit.
    StartFailed,
    /// A replacement is coming up.
    Replacing,
    /// This spec was tried and rolled back; only an edit changes that.
    UpdateFailed,
    /// An edit waits for the next restart.
    RestartRequired,
    /// The container ended for good under its restart policy.
    Finished,
    /// Suspended, as asked.
    Suspended,
    /// Its life is over.
    Expired,
    /// The engine is removing or restarting the container; wait.
    Busy,
}

impl Inputs<'_> {
    /// Whether the container was made from what is wanted now. A secret that cannot be read is not a
    /// secret that differs.
    #[must_use]
    pub fn matches(&self, container: &Container) -> bool {
        self.differences(container).is_empty()
    }

    /// The fields in which the container differs from what is wanted. Withdrawn: none.
    #[must_use]
    pub fn differences(&self, container: &Container) -> Vec<String> {
        let Wish::Declared(wanted) = self.wish else { return Vec::new() };
        let Some(actual) = &container.fingerprint else {
            return self.differences_of_adopted(container, wanted);
        };
        if actual.spec_hash == wanted.fingerprint.spec_hash {
            return Vec::new();
        }
        let unreadable =
            self.facts.blockers.iter().any(|b| b.kind == BlockerKind::SecretUnavailable);
        let mut fields = wanted.fingerprint.differences(actual);
        if unreadable {
            fields.retain(|field| !wanted.desired.container.is_secret_field(field));
        }
        fields
    }

    /// An adopted container carries no fingerprint: it is taken to match the spec that adopted it.
    fn differences_of_adopted(&self, container: &Container, wanted: Wanted<'_>) -> Vec<String> {
        let adopted =
            self.memory.adopted.as_ref().filter(|adopted| adopted.container == container.id);
        match adopted {
            Some(adopted) if adopted.spec_hash == wanted.fingerprint.spec_hash => Vec::new(),
            _ => vec!["spec".to_owned()],
        }
    }

    fn expired(&self, desired: &Desired) -> bool {
        desired.shutdown_at.is_some_and(|end| end <= self.now)
    }
}

/// Decides. Equal inputs give equal plans; a converged world gives no steps.
#[must_use]
pub fn plan(inputs: &Inputs<'_>) -> Plan {
    let plan = match inputs.wish {
        Wish::Withdrawn { grace } => withdraw(inputs, grace),
        Wish::Declared(wanted) => declared(inputs, wanted),
    };
    let plan =
        if inputs.facts.fixed_names { fixed_names::without_renames(inputs, plan) } else { plan };
    let plan = start_nothing_made_otherwise(inputs, plan);
    yield_to_foreign(inputs, start_nothing_unstartable(inputs, plan))
}

fn withdraw(inputs: &Inputs<'_>, grace: Duration) -> Plan {
    remove_all(inputs.observed.ours().chain(&inputs.observed.leftover), grace, Cause::Withdrawn)
}

fn declared(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Plan {
    let desired = wanted.desired;
    let observed = inputs.observed;
    if let Some(plan) = stop_swapped(inputs) {
        return plan;
    }
    if !observed.leftover.is_empty() {
        return remove_all(observed.leftover.iter(), desired.grace, Cause::Withdrawn);
    }
    if let Some(plan) = replace::settle_names(inputs, wanted) {
        return plan;
    }
    if inputs.expired(desired) {
        return expire(inputs, desired);
    }
    if desired.operating_mode == OperatingMode::Suspended {
        let message = "the spec says Suspended".to_owned();
        let hold = Hold::new(HoldKind::Suspended, message);
        let mut plan = park(inputs, desired, Cause::Suspended, hold);
        plan.check_at(desired.shutdown_at);
        return plan;
    }
    let mut plan = match &observed.main {
        Some(main) => serve::keep(inputs, wanted, main),
        None => serve::make(inputs, wanted),
    };
    plan.check_at(desired.shutdown_at);
    plan
}

/// A container in which something else is mounted than what was checked may not run on, not even for its
/// grace: it may have been given the host.
fn stop_swapped(inputs: &Inputs<'_>) -> Option<Plan> {
    let MountView::Swapped { container, mounts } = &inputs.facts.mounts else { return None };
    inputs.observed.ours().find(|ours| ours.id == *container && ours.is_live())?;
    let kill = PlannedStep {
        step: Step::Stop { container: container.clone(), grace: Duration::ZERO },
        cause: Cause::MountSwapped,
        fields: mounts.clone(),
    };
    let hold = Some(Hold::new(HoldKind::MountSwapped, mounts.join("; ")));
    Some(Plan { steps: vec![kill], hold, next_check: None })
}

/// A container whose mounts may not be used (any more), or that has more than the policy allows (now), is not
/// started; what comes before that is done.
fn start_nothing_unstartable(inputs: &Inputs<'_>, mut plan: Plan) -> Plan {
    let Some(blocker) = inputs.facts.unstartable.first() else { return plan };
    let is_start = |planned: &PlannedStep| matches!(planned.step, Step::Start { .. });
    if let Some(position) = plan.steps.iter().position(is_start) {
        plan.steps.truncate(position);
        plan.hold = Some(Hold::new(blocker.kind.into(), blocker.message.clone()));
    }
    plan
}

/// A container that was made otherwise than asked, and was not removed at once (a crash, a failure), has
/// never run and never does: it is made again.
fn start_nothing_made_otherwise(inputs: &Inputs<'_>, mut plan: Plan) -> Plan {
    let Wish::Declared(wanted) = inputs.wish else { return plan };
    let asked = Isolation::of(wanted.desired);
    let found = plan.steps.iter().enumerate().find_map(|(position, planned)| {
        let Step::Start { container } = &planned.step else { return None };
        let ours = inputs.observed.ours().find(|ours| ours.id == *container)?;
        let unused = ours.state == ContainerState::Created && ours.fingerprint.is_some();
        let differences = asked.widened(&ours.isolation);
        (unused && inputs.matches(ours) && !differences.is_empty())
            .then(|| (position, container.clone(), differences))
    });
    if let Some((position, container, fields)) = found {
        plan.steps.truncate(position);
        let step = Step::Remove { container };
        plan.steps.push(PlannedStep { step, cause: Cause::MadeOtherwise, fields });
    }
    plan
}

fn expire(inputs: &Inputs<'_>, desired: &Desired) -> Plan {
    let at = desired.shutdown_at.unwrap_or(inputs.now);
    let hold = Hold::new(HoldKind::Expired, format!("the sandbox's life ended at {at}"));
    match desired.shutdown_policy {
        ShutdownPolicy::Retain => park(inputs, desired, Cause::Expired, hold),
        ShutdownPolicy::Delete => {
            let plan = remove_all(inputs.observed.ours(), desired.grace, Cause::Expired);
            Plan { hold: Some(hold), ..plan }
        }
    }
}

/// Stopped, and kept.
fn park(inputs: &Inputs<'_>, desired: &Desired, cause: Cause, hold: Hold) -> Plan {
    let mut plan = Plan { hold: Some(hold), ..Plan::default() };
    if let Some(main) = &inputs.observed.main {
        plan.steps = stop(main, desired.grace, cause);
        if main.state == ContainerState::Dead {
            // There is nothing to resume, and what is left of it may still run.
            let step = Step::Remove { container: main.id.clone() };
            plan.steps.push(PlannedStep::new(step, Cause::NotRunning));
        }
    }
    plan
}

/// The steps that bring a container to a stop: a frozen one cannot hear a signal.
fn stop(container: &Container, grace: Duration, cause: Cause) -> Vec<PlannedStep> {
    let id = || container.id.clone();
    let stop = PlannedStep::new(Step::Stop { container: id(), grace }, cause);
    match container.state {
        ContainerState::Paused => {
            vec![PlannedStep::new(Step::Unpause { container: id() }, cause), stop]
        }
        ContainerState::Running | ContainerState::Restarting => vec![stop],
        _ => Vec::new(),
    }
}

fn remove_all<'c>(
    containers: impl Iterator<Item = &'c Container>,
    grace: Duration,
    cause: Cause,
) -> Plan {
    let mut plan = Plan::default();
    for container in containers {
        if container.state == ContainerState::Removing {
            plan.hold = Some(Hold::removing(container));
            continue;
        }
        plan.steps.extend(stop(container, grace, cause));
        plan.steps.push(PlannedStep::new(Step::Remove { container: container.id.clone() }, cause));
    }
    plan
}

/// A name that a foreign container holds is not ours to use: whatever needs it waits, unless the user
/// asked us to take that container over.
fn yield_to_foreign(inputs: &Inputs<'_>, plan: Plan) -> Plan {
    let Some(foreign) = &inputs.observed.foreign else { return plan };
    let needs_it = plan.steps.iter().any(|planned| match &planned.step {
        Step::Create { slot } | Step::Rename { slot, .. } => *slot == foreign.slot,
        _ => false,
    });
    if !needs_it {
        return plan;
    }
    let may_adopt = matches!(inputs.wish, Wish::Declared(wanted) if wanted.desired.adopt);
    if may_adopt && foreign.slot == Slot::Main && inputs.observed.main.is_none() {
        if let Some(blocker) = inputs.facts.unadoptable.first() {
            let hold = Hold::new(blocker.kind.into(), blocker.message.clone());
            return Plan { hold: Some(hold), ..Plan::default() };
        }
        let step = Step::Adopt { container: foreign.id.clone() };
        return Plan {
            steps: vec![PlannedStep::new(step, Cause::AdoptionAsked)],
            ..Plan::default()
        };
    }
    let message = format!(
        "container {} ({}) is not ours and holds the name; remove or rename it, or set the annotation \
         sandkeeper.dev/adopt: \"true\" to take it over",
        foreign.name,
        foreign.id.short()
    );
    Plan { hold: Some(Hold::new(HoldKind::NameConflict, message)), ..Plan::default() }
}

/// Whether a container can be created now; if not, the plan that waits or pulls instead.
fn before_creating(inputs: &Inputs<'_>, wanted: Wanted<'_>) -> Result<(), Plan> {
    if let Some(blocker) = inputs.facts.blockers.first() {
        let hold = Hold::new(blocker.kind.into(), blocker.message.clone());
        return Err(Plan { hold: Some(hold), ..Plan::default() });
    }
    after_earlier_failure(inputs, wanted, &wanted.fingerprint.spec_hash)?;
    let image = &wanted.desired.container.image;
    let pull = || {
        let hold = Hold::new(HoldKind::Pulling, format!("{image}: to be pulled"));
        let steps = vec![PlannedStep::new(Step::Pull, Cause::ImageNeeded)];
        Plan { steps, hold: Some(hold), next_check: None }
    };
    match &inputs.facts.pull {
        PullView::NotNeeded if wanted.desired.pull_policy == PullPolicy::Always => Err(pull()),
        PullView::NotNeeded | PullView::Done => Ok(()),
        PullView::Needed => Err(pull()),
        PullView::InProgress { message } => {
            let hold = Hold::new(HoldKind::Pulling, format!("{image}: {message}"));
            Err(Plan { hold: Some(hold), ..Plan::default() })
        }
        PullView::Failed { message, retry_at } => {
            let message = format!("{image}: {message}; tried again at {}", seconds(*retry_at));
            let hold = Hold::new(HoldKind::ImageUnavailable, message);
            Err(Plan { hold: Some(hold), next_check: Some(*retry_at), steps: Vec::new() })
        }
    }
}

/// The back-off after a failure to create or start a container of this very spec.
fn after_earlier_failure(
    inputs: &Inputs<'_>,
    wanted: Wanted<'_>,
    spec_hash: &str,
) -> Result<(), Plan> {
    let failure = inputs.memory.failure.as_ref();
    let Some(failure) = failure.filter(|failure| failure.spec_hash == spec_hash) else {
        return Ok(());
    };
    if failure.terminal {
        let message = format!("{}; edit the spec to try again", failure.message);
        return Err(Plan { hold: Some(Hold::new(failure.kind, message)), ..Plan::default() });
    }
    let due = restart::due(failure.at, failure.attempts, &wanted.desired.uid, inputs.now);
    if due <= inputs.now {
        return Ok(());
    }
    let message =
        format!("{}; attempt {} at {}", failure.message, failure.attempts + 1, seconds(due));
    let hold = Some(Hold::new(failure.kind, message));
    Err(Plan { hold, next_check: Some(due), steps: Vec::new() })
}

/// A time as people read it in a message: whole seconds, so that equal plans have equal texts.
fn seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

impl Plan {
    /// Whether it makes a container, or fetches the image to make one from.
    fn creates(&self) -> bool {
        self.steps.iter().any(|planned| matches!(planned.step, Step::Create { .. } | Step::Pull))
    }

    /// The mounts that must be there for it: those of the container that it makes (or fetches the image
    /// for), else those that the container that it starts was made with.
    #[must_use]
    pub fn mounts_needed(&self, desired: &Desired, observed: &Observed) -> Vec<BindMount> {
        if self.creates() {
            return desired.container.mounts.clone();
        }
        let started = self.steps.iter().find_map(|planned| match &planned.step {
            Step::Start { container } => observed.ours().find(|ours| ours.id == *container),
            _ => None,
        });
        let mut mounts = started.map(|container| container.mounts.clone()).unwrap_or_default();
        for mount in &mut mounts {
            let asked = desired.container.mounts.iter().find(|asked| {
                asked.host_path == mount.host_path && asked.mount_path == mount.mount_path
            });
            mount.create = asked.and_then(|asked| asked.create);
        }
        mounts
    }

    /// Where to write down what stands in the way of [`Self::mounts_needed`], to plan again.
    pub fn blocked_by(&self, mounts: Vec<Blocker>, facts: &mut Facts) {
        let blockers = if self.creates() { &mut facts.blockers } else { &mut facts.unstartable };
        blockers.extend(mounts);
    }

    /// What the policy says of the container that it starts.
    #[must_use]
    pub fn beyond(
        &self,
        wanted: Wanted<'_>,
        observed: &Observed,
        policy: &Policy,
    ) -> Option<Blocker> {
        let started = self.steps.iter().find_map(|planned| match &planned.step {
            Step::Start { container } => observed.ours().find(|ours| ours.id == *container),
            _ => None,
        })?;
        policy::forbids_start(started, wanted, policy)
    }

    /// The container that it takes over.
    #[must_use]
    pub fn adopts(&self) -> Option<&ContainerId> {
        self.steps.iter().find_map(|planned| match &planned.step {
            Step::Adopt { container } => Some(container),
            _ => None,
        })
    }

    /// A plan of these steps and nothing else.
    fn of(steps: Vec<PlannedStep>) -> Self {
        Self { steps, ..Self::default() }
    }

    /// Asks for another look at this time, if no earlier one is asked for already. A time that has
    /// passed asks for nothing: the plan was made after it.
    fn check_at(&mut self, time: Option<Timestamp>) {
        self.next_check = match (self.next_check, time) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

impl Hold {
    /// A hold with its reason and text.
    #[must_use]
    pub fn new(kind: HoldKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    fn removing(container: &Container) -> Self {
        Self::new(
            HoldKind::Busy,
            format!("the engine is removing container {}", container.id.short()),
        )
    }
}

impl From<BlockerKind> for HoldKind {
    fn from(kind: BlockerKind) -> Self {
        match kind {
            BlockerKind::MountUnavailable => Self::MountUnavailable,
            BlockerKind::MountRefused => Self::MountRefused,
            BlockerKind::SecretUnavailable => Self::SecretUnavailable,
            BlockerKind::PortConflict => Self::PortConflict,
            BlockerKind::FieldRefused => Self::FieldRefused,
            BlockerKind::PolicyViolation => Self::PolicyViolation,
        }
    }
}

/// Whether each port is published where it was assigned.
fn ports_differ(
    container: &Container,
    desired: &Desired,
    assigned: &BTreeMap<String, u16>,
) -> bool {
    desired.container.ports.iter().any(|port| {
        match (container.binding(port), assigned.get(&port.name)) {
            (Some(binding), Some(assigned)) => binding.host_port != *assigned,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests;
