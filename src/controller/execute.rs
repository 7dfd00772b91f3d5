//! One step of a plan → at most one mutating engine call, on a container that is certainly ours.
//!
//! Owns the last check before the engine: the plan was made from a view, and the world may have moved
//! since. Every container is inspected by its full id and its ownership proven again right before it is
//! touched; what does not fit any more is refused, and the caller plans again. It decides nothing else:
//! no retry, no back-off, no order. Pulls and permission repairs are made elsewhere.

mod error;
mod request;
pub(super) mod verify;
mod withhold;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::engine::{CreateRequest, Engine, EngineError, Inspected};
use crate::plan::ownership::Identity;
use crate::plan::policy::host_paths::{MountSource, changed};
use crate::plan::{
    Blocker, Cause, ContainerId, ContainerState, Memory, Policy, Slot, Step, Wanted, policy,
};

use super::host;
use super::limiter::Limiter;
use super::observe::{Claim, Observer, Standing, container, inspect_exactly, own_network};
use super::reconcile::HOST_DEADLINE;
use crate::sandbox::text::shown_path;
use error::POLICY_VIOLATION;
pub use error::StepError;
pub use request::{Recipe, create_request};
use verify::{Readiness, differences, readiness};

/// Longest wait for a turn to create or start. A busy engine answers within it; a hung one may not delay
/// the others by more.
const PATIENCE: Duration = Duration::from_secs(2);

/// Carries out steps on one engine.
pub struct Executor {
    engine: Arc<dyn Engine>,
    identity: Identity,
    observer: Arc<Observer>,
    /// Creations and starts under way. Stops and removals are cheap and free resources: not limited.
    limiter: Limiter,
}

/// On whose behalf a step is taken, and what it needs besides.
#[derive(Clone, Copy, Debug)]
pub struct ExecuteContext<'a> {
    /// Name of the sandbox.
    pub sandbox: &'a str,
    /// Its uid.
    pub uid: &'a str,
    /// Its memory, up to date with the steps before this one.
    pub memory: &'a Memory,
    /// Why the step is taken; for the audit line.
    pub cause: Cause,
    /// What a container is made from. Needed by [`Step::Create`] alone.
    pub recipe: Option<Recipe<'a>>,
    /// The secrets that the engine's words may repeat, and nobody else may.
    pub secrets: Option<&'a BTreeMap<String, SecretString>>,
    /// The container that an earlier step of this plan created. Needed by [`Step::StartCreated`] alone.
    pub created: Option<&'a ContainerId>,
    /// The sources of the container's mounts as they were judged. Needed by starts.
    pub sources: &'a [MountSource],
    /// What nothing may exceed that is started or taken over. Needed by these steps.
    pub ceiling: Option<Ceiling<'a>>,
}

/// The policy, and the wish that passed it.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling<'a> {
    /// The policy.
    pub policy: &'a Policy,
    /// What is wanted.
    pub wanted: Wanted<'a>,
}

/// A step was carried out, or there was no need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepDone {
    /// This container is as the step wanted it; of [`Step::Create`], the new one.
    Container(ContainerId),
    /// [`Step::Pull`] and [`Step::RepairPermissions`]: not carried out here.
    Elsewhere,
}

impl StepDone {
    /// The container, where there is one.
    #[must_use]
    pub fn container(&self) -> Option<&ContainerId> {
        match self {
            Self::Container(id) => Some(id),
            Self::Elsewhere => None,
        }
    }
}

impl Executor {
    /// An executor that creates and starts about `concurrency` containers at a time.
    #[must_use]
    pub fn new(
        engine: Arc<dyn Engine>,
        identity: Identity,
        observer: Arc<Observer>,
        concurrency: usize,
    ) -> Self {
        Self { engine, identity, observer, limiter: Limiter::new(concurrency, PATIENCE) }
    }

    /// Carries out one step with at most one mutating call, and one more to take back a creation that went
    /// wrong. Not cancelled halfway by a caller that must
    /// know the outcome: a dropped call may still take effect.
    ///
    /// # Errors
    /// See [`StepError`]. After any of them: observe and plan before acting again.
    pub async fn execute(
        &self,
        step: &Step,
        context: &ExecuteContext<'_>,
    ) -> Result<StepDone, StepError> {
        match step {
            Step::Pull | Step::RepairPermissions { .. } => Ok(StepDone::Elsewhere),
            Step::Create { slot } => self.create(*slot, context).await,
            Step::Adopt { container } => self.adopt(container, context).await,
            Step::StartCreated => {
                let id = context.created.ok_or_else(|| {
                    StepError::Changed(
                        "no earlier step of this plan created a container".to_owned(),
                    )
                })?;
                self.change(step, id, context).await
            }
            Step::Start { container }
            | Step::Unpause { container }
            | Step::Stop { container, .. }
            | Step::Rename { container, .. }
            | Step::UpdateLimits { container, .. }
            | Step::ConnectNetwork { container }
            | Step::Remove { container } => self.change(step, container, context).await,
        }
    }

    /// Changes a container that exists.
    async fn change(
        &self,
        step: &Step,
        id: &ContainerId,
        context: &ExecuteContext<'_>,
    ) -> Result<StepDone, StepError> {
        // Before the inspect: what it shows must not age in a queue.
        let _turn = match step {
            Step::Start { .. } | Step::StartCreated => self.limiter.turn().await,
            _ => None,
        };
        let found = self.inspect_own(step, id, context).await?;
        let name = self.new_name(step, context);
        match readiness(step, &found, name.as_deref()) {
            Readiness::AlreadySo => return Ok(StepDone::Container(id.clone())),
            Readiness::Changed(how) => return Err(StepError::Changed(how)),
            Readiness::Act => {}
        }
        if matches!(step, Step::Start { .. }) {
            self.judge_start(&found, context)?;
        }
        if matches!(step, Step::Start { .. } | Step::StartCreated) {
            unchanged_since_judged(context.sources).await?;
        }
        // Twice, because a call that is dropped halfway never reaches the second.
        self.observer.invalidate(id);
        let began = Instant::now();
        let outcome = self.call(step, &found, name.as_deref()).await;
        self.observer.invalidate(id);
        let outcome = match outcome {
            Err(EngineError::NameConflict(message)) => {
                Err(self.conflict(name.as_deref().unwrap_or_default(), message, context).await)
            }
            other => other.map_err(|error| StepError::of_mutation(&error)),
        };
        let outcome = outcome.map_err(|error| error.withholding(context.secrets));
        audit(step, Some(id), context, began, outcome.as_ref().err());
        outcome?;
        self.confirm_limits(step, id).await?;
        Ok(StepDone::Container(id.clone()))
    }

    /// The policy's last word before a start. What this plan made was compared with its request, which
    /// passed the gate.
    fn judge_start(
        &self,
        found: &Inspected,
        context: &ExecuteContext<'_>,
    ) -> Result<(), StepError> {
        let (Some(ceiling), Standing::Ours { fingerprint, .. }) =
            (context.ceiling, self.standing(found, context))
        else {
            return Err(StepError::Changed("it is not known what it may have".to_owned()));
        };
        let own = container(found, fingerprint);
        forbidden(policy::forbids_start(&own, ceiling.wanted, ceiling.policy))
    }

    /// The one mutating call of a step.
    async fn call(
        &self,
        step: &Step,
        found: &Inspected,
        name: Option<&str>,
    ) -> Result<(), EngineError> {
        let (engine, id) = (&self.engine, &found.id);
        match step {
            Step::Start { .. } | Step::StartCreated => engine.start(id).await,
            Step::Unpause { .. } => engine.unpause(id).await,
            Step::Stop { grace, .. } => engine.stop(id, *grace).await,
            Step::Rename { .. } => engine.rename(id, name.unwrap_or_default()).await,
            Step::UpdateLimits { limits, .. } => engine.update(id, limits).await,
            Step::ConnectNetwork { .. } => match own_network(&found.network_mode) {
                Some(network) => engine.connect(id, network).await,
                None => Ok(()),
            },
            Step::Remove { .. } => engine.remove(id).await,
            Step::Pull
            | Step::Create { .. }
            | Step::RepairPermissions { .. }
            | Step::Adopt { .. } => Ok(()),
        }
    }

    fn new_name(&self, step: &Step, context: &ExecuteContext<'_>) -> Option<String> {
        let Step::Rename { slot, .. } = step else { return None };
        Some(self.identity.container_name(context.sandbox, *slot))
    }

    /// The container in full, proven to be ours a moment ago. What an earlier sandbox of the same name
    /// left behind may be stopped and removed, and nothing else.
    async fn inspect_own(
        &self,
        step: &Step,
        id: &ContainerId,
        context: &ExecuteContext<'_>,
    ) -> Result<Inspected, StepError> {
        let found = self.inspect(id).await?;
        match self.standing(&found, context) {
            Standing::Ours { .. } => Ok(found),
            Standing::Leftover { .. }
                if matches!(step, Step::Stop { .. } | Step::Remove { .. }) =>
            {
                Ok(found)
            }
            Standing::Leftover { .. } | Standing::InTheWay(_) | Standing::Unrelated => {
                Err(StepError::Foreign { container: id.clone(), name: found.name })
            }
        }
    }

    /// Confirms that a foreign container may be taken over: it is there, under the sandbox's own name.
    /// The engine is asked and not told; the record is the caller's.
    async fn adopt(
        &self,
        id: &ContainerId,
        context: &ExecuteContext<'_>,
    ) -> Result<StepDone, StepError> {
        let found = self.inspect(id).await?;
        match self.standing(&found, context) {
            Standing::InTheWay(Slot::Main) | Standing::Ours { .. } => {
                let ceiling = context.ceiling.ok_or_else(|| {
                    StepError::Changed("it is not known what it may have".to_owned())
                })?;
                let who = (found.name.as_str(), id.short());
                forbidden(policy::forbids_adoption(who, &found.isolation, ceiling.policy))?;
                Ok(StepDone::Container(id.clone()))
            }
            Standing::InTheWay(_) | Standing::Leftover { .. } | Standing::Unrelated => {
                Err(StepError::Changed(format!(
                    "container {} no longer has the sandbox's name",
                    id.short()
                )))
            }
        }
    }

    async fn create(
        &self,
        slot: Slot,
        context: &ExecuteContext<'_>,
    ) -> Result<StepDone, StepError> {
        let recipe = context.recipe.as_ref().ok_or_else(|| StepError::Retry {
            reason: "CreateFailed",
            message: "there is no spec to create the container from".to_owned(),
        })?;
        let request = create_request(recipe, &self.identity, slot)?;
        let _turn = self.limiter.turn().await;
        let began = Instant::now();
        let outcome = self.create_once(&request, context).await;
        let outcome = outcome.map_err(|error| error.withholding(context.secrets));
        let step = Step::Create { slot };
        audit(&step, outcome.as_ref().ok(), context, began, outcome.as_ref().err());
        let id = outcome?;
        self.observer.invalidate(&id);
        self.observer.note_made(&id, context.sandbox);
        Ok(StepDone::Container(id))
    }

    /// Creates, and settles the two answers that can mean that an earlier or lost request took effect.
    async fn create_once(
        &self,
        request: &CreateRequest,
        context: &ExecuteContext<'_>,
    ) -> Result<ContainerId, StepError> {
        match self.engine.create(request).await {
            Ok(id) => self.confirm_created(request, &id).await.map(|()| id),
            Err(EngineError::NameConflict(message)) => match self.existing(request, context).await?
            {
                Some(id) => Ok(id),
                None => Err(self.conflict(&request.name, message, context).await),
            },
            Err(lost @ (EngineError::OutcomeUnknown { .. } | EngineError::Garbled { .. })) => {
                // Not found is no proof either: the request may still land, and then the name is held by
                // a container of ours with this very hash, which the next plan goes on with.
                self.existing(request, context).await?.ok_or_else(|| StepError::of_mutation(&lost))
            }
            Err(error) => Err(StepError::of_mutation(&error)),
        }
    }

    /// The container that this request asks for, if it exists already, is ours and was never started.
    async fn existing(
        &self,
        request: &CreateRequest,
        context: &ExecuteContext<'_>,
    ) -> Result<Option<ContainerId>, StepError> {
        let holder = self
            .observer
            .holder(&request.name)
            .await
            .map_err(|error| StepError::of_reading(&error))?;
        let Some(holder) = holder else { return Ok(None) };
        let found = self.inspect(&holder).await?;
        let ours = matches!(self.standing(&found, context), Standing::Ours { .. });
        let unused = found.state == ContainerState::Created;
        let as_asked = ours && unused && differences(request, &found).is_empty();
        Ok(as_asked.then_some(holder))
    }

    /// Asks the engine for what it made: an answer of success does not prove it.
    async fn confirm_created(
        &self,
        request: &CreateRequest,
        id: &ContainerId,
    ) -> Result<(), StepError> {
        let differences = differences(request, &self.inspect(id).await?);
        if differences.is_empty() {
            return Ok(());
        }
        // It is ours and has never run, and what it is let do nobody asked for. If this fails, the next plan
        // finds it as it is.
        let removed = self.engine.remove(id).await;
        self.observer.invalidate(id);
        let left = removed.err().map(|error| format!("; it could not be removed: {error}"));
        Err(StepError::Retry {
            reason: "NotAsAsked",
            message: format!(
                "the engine made container {} otherwise than asked, and it was not started: {}{}",
                id.short(),
                differences.join(", "),
                left.unwrap_or_default()
            ),
        })
    }

    async fn confirm_limits(&self, step: &Step, id: &ContainerId) -> Result<(), StepError> {
        let Step::UpdateLimits { limits, .. } = step else { return Ok(()) };
        let fields = limits.differences(&self.inspect(id).await?.limits);
        if fields.is_empty() {
            return Ok(());
        }
        Err(StepError::Retry {
            reason: "LimitsNotApplied",
            message: format!("the engine did not apply {}", fields.join(", ")),
        })
    }

    /// Who holds a name that the engine says is in use.
    async fn conflict(
        &self,
        name: &str,
        message: String,
        context: &ExecuteContext<'_>,
    ) -> StepError {
        let holder = match self.observer.holder(name).await {
            Ok(Some(holder)) => holder,
            Ok(None) => return StepError::Changed(message),
            Err(error) => return StepError::of_reading(&error),
        };
        let found = match self.inspect(&holder).await {
            Ok(found) => found,
            Err(error) => return error,
        };
        match self.standing(&found, context) {
            Standing::Ours { .. } | Standing::Leftover { .. } => StepError::Changed(message),
            Standing::InTheWay(_) | Standing::Unrelated => {
                StepError::Foreign { container: found.id, name: found.name }
            }
        }
    }

    fn standing(&self, found: &Inspected, context: &ExecuteContext<'_>) -> Standing {
        let owner = self.identity.owner(&found.name, &found.labels);
        Claim::new(context.sandbox, context.uid, context.memory).standing(
            &self.identity,
            &found.id,
            &found.name,
            &owner,
        )
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Inspected, StepError> {
        inspect_exactly(self.engine.as_ref(), id)
            .await
            .map_err(|error| StepError::of_reading(&error))?
            .ok_or_else(|| StepError::Gone(id.clone()))
    }
}

fn forbidden(blocker: Option<Blocker>) -> Result<(), StepError> {
    match blocker {
        None => Ok(()),
        // Not for ever: the policy may be another tomorrow.
        Some(Blocker { message, .. }) => {
            Err(StepError::Retry { reason: POLICY_VIOLATION, message })
        }
    }
}

/// The engine looks up the sources of mounts at the start, so they must still be what was judged. What
/// is swapped after this is found in the container.
async fn unchanged_since_judged(sources: &[MountSource]) -> Result<(), StepError> {
    if sources.is_empty() {
        return Ok(());
    }
    let paths: Vec<PathBuf> = sources.iter().map(|source| source.path.clone()).collect();
    let now = host::blocking(HOST_DEADLINE, move || host::identities(&paths)).await;
    let now = now.map_err(|overdue| StepError::Changed(format!("spec.mounts: {overdue}")))?;
    match changed(sources, &now) {
        None => Ok(()),
        Some(path) => {
            let path = shown_path(path);
            Err(StepError::Changed(format!("{path} is no longer what was looked at for the mount")))
        }
    }
}

/// One line for each mutating request: what, to which container, for whom, why, and what came of it.
fn audit(
    step: &Step,
    id: Option<&ContainerId>,
    context: &ExecuteContext<'_>,
    began: Instant,
    error: Option<&StepError>,
) {
    tracing::info!(
        sandbox = context.sandbox,
        action = verb(step),
        container = id.map(ContainerId::short),
        cause = %context.cause,
        outcome = error.map_or("Done", StepError::reason),
        error = error.map(tracing::field::display),
        ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        "asked the engine for a change"
    );
}

fn verb(step: &Step) -> &'static str {
    match step {
        Step::Pull => "pull",
        Step::Create { .. } => "create",
        Step::Start { .. } | Step::StartCreated => "start",
        Step::Unpause { .. } => "unpause",
        Step::Stop { .. } => "stop",
        Step::Rename { .. } => "rename",
        Step::UpdateLimits { .. } => "update",
        Step::ConnectNetwork { .. } => "connect",
        Step::Remove { .. } => "remove",
        Step::RepairPermissions { .. } => "repair",
        Step::Adopt { .. } => "adopt",
    }
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
