//! One sandbox, brought to what its spec says: observe → validate → plan → execute → publish.
//!
//! A reconcile reads the whole state, does not ask why it was called, and stops when there is nothing
//! left to do *now*. It holds no opinion: what to do is [`plan`]'s, what to say is
//! [`crate::plan::conditions`]'.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::controller::Action;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::TaskTracker;

use super::execute::{Ceiling, ExecuteContext, Executor, Recipe, StepDone, StepError};
use super::facts::{self, PermissionCache};
use super::host;
use super::observe::Observer;
use super::permissions;
use super::probes::Prober;
use super::pulls::Puller;
use super::report;
use crate::clock;
use crate::engine::{Capabilities, Engine, EngineError};
use crate::plan::ownership::Identity;
use crate::plan::policy::host_paths::MountSource;
use crate::plan::{
    Desired, Facts, Fingerprint, HoldKind, Ids, Inputs, Memory, Observed, Outcome, Plan,
    PlannedStep, Settings, Step, Wanted, Wish, admit, outcome, plan,
};
use crate::ports::PortBook;
use crate::sandbox::{Problem, ProblemReason};
use crate::source::{Declared, Forget};
use crate::state::StateError;
use crate::state::events::EventLog;
use crate::state::memory::MemoryStore;
use crate::state::status::StatusStore;

/// Plans made in one reconcile. A replacement takes two, a port collision one more each time; what needs
/// more than this is not converging, or is better continued later.
const MAX_PLANS: usize = 12;
/// How soon to look again at a sandbox that does not converge.
const NOT_CONVERGING_RETRY: Duration = Duration::from_mins(1);
/// Longest look at the host's files for one sandbox; a hung mount costs this and nothing else.
pub(super) const HOST_DEADLINE: Duration = Duration::from_secs(5);

/// Everything that reconciles share.
pub struct Context {
    /// The engine.
    pub engine: Arc<dyn Engine>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Who we are.
    pub identity: Identity,
    /// What validation needs.
    pub settings: Settings,
    /// Host under which URLs name the ports.
    pub advertise: String,
    /// Time between two looks at what no event tells.
    pub resync: Duration,
    /// The engine's containers.
    pub observer: Arc<Observer>,
    /// The engine's hands.
    pub executor: Executor,
    /// Probes.
    pub prober: Prober,
    /// Image pulls.
    pub puller: Puller,
    /// Host ports.
    pub ports: PortBook,
    /// Digests of secret files.
    pub secrets: Arc<host::SecretDigests>,
    /// The engine's ids and ours.
    pub ids: Ids,
    /// What may be mounted.
    pub mount_rules: Arc<host::MountRules>,
    /// When permissions were last looked at.
    pub permissions: PermissionCache,
    /// What is remembered.
    pub memory: MemoryStore,
    /// What is published.
    pub status: StatusStore,
    /// What was published last.
    pub last_status: report::LastStatus,
    /// Told at each publication.
    pub published: Notify,
    /// Which sandboxes have been planned since the start, until the first pass is over.
    pub planned: watch::Sender<HashSet<String>>,
    /// What happened.
    pub events: EventLog,
    /// Told when a withdrawn sandbox has been cleaned up.
    pub forget: mpsc::Sender<Forget>,
    /// Owns every task.
    pub tracker: TaskTracker,
    /// When the engine came back after it was lost.
    pub engine_returned_at: watch::Sender<Option<Timestamp>>,
    /// Failed reconciles in a row, by sandbox.
    pub failures: Mutex<HashMap<String, u32>>,
}

/// Why a reconcile has to be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The engine did not answer, or not sensibly.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A step's outcome is not known, or the engine went away.
    #[error("{0}")]
    Step(#[from] StepError),
    /// The state directory could not be written. The sandbox is looked after all the same.
    #[error("{0}")]
    State(#[from] StateError),
    /// A bug. It costs this sandbox only.
    #[error("the reconcile panicked: {0}")]
    Panicked(String),
}

impl ReconcileError {
    /// The class, as a condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Engine(_) | Self::Step(_) => "EngineUnavailable",
            Self::State(_) | Self::Panicked(_) => "InternalError",
        }
    }
}

impl Context {
    /// Counts a failed reconcile; returns how many there were before it.
    pub(super) fn blame(&self, sandbox: &str) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(sandbox.to_owned()).or_default();
        *count += 1;
        *count - 1
    }

    /// A sandbox has been planned for the first time since the start (or could not be). Kept for as long as
    /// somebody waits for it.
    pub(super) fn note_planned(&self, sandbox: &str) {
        if self.planned.receiver_count() > 0 {
            self.planned.send_if_modified(|planned| planned.insert(sandbox.to_owned()));
        }
    }

    /// Remembers on the way. What cannot be written counts all the same, for the memory is a cache that must
    /// keep no sandbox from being mended; it is written, or the failure told, when the sandbox rests.
    fn remember(&self, sandbox: &str, memory: &Memory) {
        if let Err(error) = self.memory.put(sandbox, memory) {
            tracing::debug!(sandbox, %error, "Remembered, but not written.");
        }
    }

    /// A reconcile went well.
    pub(super) fn forgive(&self, sandbox: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(sandbox);
    }
}

/// What becomes of a sandbox that the configuration refuses.
const KEPT: &str = "what runs is left as it is, and is not mended";

/// Brings one sandbox to what its spec says, as far as that is possible now.
///
/// # Errors
/// The engine or the state directory failed; the status says so, and it is tried again with back-off.
pub async fn reconcile(
    declared: Arc<Declared>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if declared.is_tombstone() {
        return withdraw(&declared, &context).await;
    }
    if let Some(excess) = &declared.excess {
        let why = format!("{excess}; {KEPT}");
        report::publish_refused(&context, &declared, "QuotaExceeded", &why)?;
        return Ok(Action::await_change());
    }
    let base = declared.base();
    match admit(&declared.sandbox, &context.settings, base) {
        Ok(validated) => {
            let result = Reconcile { declared: &declared, context: &context }
                .converge(&validated.desired)
                .await;
            match &result {
                // How the sandbox is was found out, and is published where that can be done.
                Ok(_) | Err(ReconcileError::State(_)) => {}
                Err(error) => report::publish_unknown(&context, &declared, error)?,
            }
            result
        }
        // It was accepted: the configuration has changed since. What runs is kept.
        Err(problems) => {
            let text: Vec<String> = problems.iter().map(Problem::to_string).collect();
            let of_policy = |problem: &Problem| problem.reason == ProblemReason::PolicyViolation;
            let beyond = problems.iter().all(of_policy);
            let reason = if beyond { "PolicyViolation" } else { "SpecInvalid" };
            let why = format!("{}; {KEPT}", text.join("; "));
            report::publish_refused(&context, &declared, reason, &why)?;
            Ok(Action::await_change())
        }
    }
}

/// Removes what a withdrawn sandbox leaves, then lets the source forget it.
async fn withdraw(declared: &Declared, context: &Context) -> Result<Action, ReconcileError> {
    let (name, uid) = (declared.name(), declared.uid());
    context.prober.forget(name);
    context.puller.forget(name);
    for _ in 0..MAX_PLANS {
        let memory = context.memory.get(name, uid);
        let observed = context.observer.observe(name, &memory, uid).await?;
        let facts = Facts::default();
        let inputs = Inputs {
            wish: Wish::Withdrawn { grace: grace(declared, &context.settings) },
            observed: &observed,
            facts: &facts,
            memory: &memory,
            now: clock::now(),
        };
        let planned = plan(&inputs);
        // A stop may take as long as the sandbox's grace; the first pass is planned all the same.
        context.note_planned(name);
        if planned.steps.is_empty() {
            if planned.hold.is_some() {
                return Ok(Action::requeue(FIRST_LOOK_AGAIN));
            }
            return forget(declared, context).await;
        }
        for step in &planned.steps {
            let request = ExecuteContext {
                sandbox: name,
                uid,
                memory: &memory,
                cause: step.cause,
                recipe: None,
                secrets: None,
                created: None,
                sources: &[],
                ceiling: None,
            };
            let result = context.executor.execute(&step.step, &request).await;
            report::step(context, name, step, &result);
            match result {
                Ok(_) => {}
                Err(StepError::Gone(_) | StepError::Changed(_)) => break,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Action::requeue(FIRST_LOOK_AGAIN))
}

/// Time between the stop signal and the kill of a sandbox that may no longer be valid.
fn grace(declared: &Declared, settings: &Settings) -> Duration {
    let spec = declared.sandbox.spec.termination_grace_period_seconds;
    let seconds = spec.or(settings.defaults.termination_grace_period_seconds);
    Duration::from_secs(seconds.unwrap_or(crate::plan::DEFAULT_GRACE_SECONDS).into())
}

/// How soon to look again at something that the engine is about to finish.
const FIRST_LOOK_AGAIN: Duration = Duration::from_secs(1);

async fn forget(declared: &Declared, context: &Context) -> Result<Action, ReconcileError> {
    let name = declared.name();
    context.ports.release(name);
    context.permissions.forget(name);
    context.memory.forget(name)?;
    context.status.remove(name)?;
    context.last_status.forget(name);
    tracing::info!(sandbox = name, "The sandbox is gone, as its spec is.");
    let told = Forget { name: name.to_owned(), uid: declared.uid().to_owned() };
    // A closed channel means that the source has stopped; the next start withdraws it again.
    let _ = context.forget.send(told).await;
    Ok(Action::await_change())
}

/// One declared sandbox and what its reconcile works with.
struct Reconcile<'a> {
    declared: &'a Declared,
    context: &'a Context,
}

/// What one look found.
struct Look {
    observed: Observed,
    facts: Facts,
    fingerprint: Fingerprint,
    memory: Memory,
    /// The sources of the mounts that the plan needs, as they were looked at for it.
    sources: Vec<MountSource>,
    now: Timestamp,
}

impl Look {
    fn inputs<'a>(&'a self, desired: &'a Desired) -> Inputs<'a> {
        Inputs {
            wish: Wish::Declared(Wanted { desired, fingerprint: &self.fingerprint }),
            observed: &self.observed,
            facts: &self.facts,
            memory: &self.memory,
            now: self.now,
        }
    }
}

impl Reconcile<'_> {
    async fn converge(&self, desired: &Desired) -> Result<Action, ReconcileError> {
        let mut earlier: Option<Vec<PlannedStep>> = None;
        for _ in 0..MAX_PLANS {
            let mut look = self.look(desired).await?;
            let planned = self.plan_as_allowed(&mut look, desired).await?;
            self.context.note_planned(desired.name.as_str());
            if planned.steps.is_empty() {
                return self.rest(desired, &look, &planned);
            }
            if earlier.as_ref() == Some(&planned.steps) {
                return self.give_up_for_now(desired, &look, &planned);
            }
            self.act(desired, &mut look, &planned).await?;
            earlier = Some(planned.steps);
        }
        // Other steps at every turn, and still more to do: progress, or a circle that must not spin.
        Ok(Action::requeue(FIRST_LOOK_AGAIN))
    }

    /// Observes, and adds what the observation teaches to the memory.
    async fn look(&self, desired: &Desired) -> Result<Look, ReconcileError> {
        let (context, name) = (self.context, desired.name.as_str());
        let memory = context.memory.get(name, &desired.uid);
        let observed = context.observer.observe(name, &memory, &desired.uid).await?;
        let now = clock::now();
        let (facts, fingerprint) = facts::gather(context, desired, &observed, &memory, now).await;
        let sources = Vec::new();
        let mut look = Look { observed, facts, fingerprint, memory, sources, now };
        let learnt = outcome::after_observing(&look.inputs(desired));
        context.remember(name, &learnt);
        look.memory = learnt;
        Ok(look)
    }

    /// Plans; if something is to be created (or pulled for that) or started, looks at its mounts first, and
    /// if something that is there is to be started or taken over, at what it is let do. If those stand in
    /// the way, plans again.
    async fn plan_as_allowed(
        &self,
        look: &mut Look,
        desired: &Desired,
    ) -> Result<Plan, EngineError> {
        let (context, name) = (self.context, desired.name.as_str());
        let planned = plan(&look.inputs(desired));
        if planned.adopts().is_some() {
            let rules = &context.mount_rules;
            let policy = &context.settings.policy;
            let foreign = look.observed.foreign.as_ref();
            look.facts.unadoptable =
                facts::unadoptable(&context.observer, foreign, name, policy, rules).await?;
            return Ok(plan(&look.inputs(desired)));
        }
        let wanted = Wanted { desired, fingerprint: &look.fingerprint };
        let beyond = planned.beyond(wanted, &look.observed, &context.settings.policy);
        if beyond.is_some() {
            look.facts.unstartable.extend(beyond);
            return Ok(plan(&look.inputs(desired)));
        }
        let mounts = planned.mounts_needed(desired, &look.observed);
        if mounts.is_empty() {
            return Ok(planned);
        }
        let looked =
            facts::prepare_mounts(mounts, &self.context.mount_rules, &self.context.ids).await;
        look.sources = looked.sources;
        if looked.blockers.is_empty() {
            return Ok(planned);
        }
        planned.blocked_by(looked.blockers, &mut look.facts);
        Ok(plan(&look.inputs(desired)))
    }

    /// Takes the plan's steps until one does not end as planned.
    async fn act(
        &self,
        desired: &Desired,
        look: &mut Look,
        planned: &Plan,
    ) -> Result<(), ReconcileError> {
        let (context, name) = (self.context, desired.name.as_str());
        let intended = outcome::before_acting(&look.inputs(desired), planned);
        context.remember(name, &intended);
        look.memory = intended;
        let mut created = None;
        for step in &planned.steps {
            let result = self.take(step, desired, look, created.as_ref()).await;
            report::step(context, name, step, &result);
            let outcome = self.outcome(&step.step, &result, desired, look);
            let memory = outcome::after_step(
                &look.memory,
                &step.step,
                &outcome,
                &look.inputs(desired),
                clock::now(),
            );
            context.remember(name, &memory);
            look.memory = memory;
            match result {
                Ok(StepDone::Container(id)) if matches!(step.step, Step::Create { .. }) => {
                    created = Some(id);
                }
                Ok(_) => {}
                Err(error @ (StepError::OutcomeUnknown(_) | StepError::EngineDown(_))) => {
                    return Err(error.into());
                }
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    async fn take(
        &self,
        step: &PlannedStep,
        desired: &Desired,
        look: &Look,
        created: Option<&crate::plan::ContainerId>,
    ) -> Result<StepDone, StepError> {
        let (context, name) = (self.context, desired.name.as_str());
        let image = &desired.container.image;
        let (secrets, profile);
        let mut request = ExecuteContext {
            sandbox: name,
            uid: &desired.uid,
            memory: &look.memory,
            cause: step.cause,
            recipe: None,
            secrets: None,
            created,
            sources: &look.sources,
            ceiling: Some(Ceiling {
                policy: &context.settings.policy,
                wanted: Wanted { desired, fingerprint: &look.fingerprint },
            }),
        };
        match &step.step {
            Step::Pull => {
                context.puller.request(name, image);
                return Ok(StepDone::Elsewhere);
            }
            Step::RepairPermissions { container } => {
                context.permissions.forget(name);
                return self.repair(container, desired).await;
            }
            Step::Create { .. } => {
                (secrets, profile) = facts::ingredients(&context.secrets, desired).await?;
                request.secrets = Some(&secrets);
                request.recipe = Some(Recipe {
                    desired,
                    fingerprint: &look.fingerprint,
                    ports: &look.facts.ports,
                    secrets: &secrets,
                    seccomp_profile: profile.as_deref(),
                });
            }
            // Only to know them again, should the engine's words hold one.
            Step::Start { .. } | Step::StartCreated if desired.container.has_secret_files() => {
                (secrets, _) =
                    facts::ingredients(&context.secrets, desired).await.unwrap_or_default();
                request.secrets = Some(&secrets);
            }
            _ => {}
        }
        let result = context.executor.execute(&step.step, &request).await;
        if matches!(step.step, Step::Create { .. }) && result.is_ok() {
            context.puller.consume(name, image);
        }
        result
    }

    async fn repair(
        &self,
        container: &crate::plan::ContainerId,
        desired: &Desired,
    ) -> Result<StepDone, StepError> {
        let rules = &desired.permissions;
        let mounts = &desired.container.mounts;
        let (engine, ids) = (self.context.engine.as_ref(), &self.context.ids);
        match permissions::repair(engine, container, rules, mounts, ids).await {
            Ok(_) => Ok(StepDone::Elsewhere),
            Err(error) => {
                self.context.permissions.failed(desired, container, error.to_string());
                Err(StepError::Retry { reason: "PermissionsFailed", message: error.to_string() })
            }
        }
    }

    /// What a step's result means for the memory.
    fn outcome(
        &self,
        step: &Step,
        result: &Result<StepDone, StepError>,
        desired: &Desired,
        look: &Look,
    ) -> Outcome {
        match result {
            Ok(StepDone::Container(id)) if matches!(step, Step::Create { .. }) => {
                Outcome::Created(id.clone())
            }
            Ok(_) => Outcome::Done,
            Err(StepError::ImageMissing(message)) => self.image_missing(desired, message),
            Err(error @ StepError::PortBusy { port, .. }) => {
                let (book, observed) = (&self.context.ports, &look.observed);
                let (facts, memory) = (&look.facts, &look.memory);
                if facts::give_up_ports(book, desired, step, observed, facts, memory, *port) {
                    return Outcome::Void;
                }
                error.outcome()
            }
            Err(error) => error.outcome(),
        }
    }

    /// The engine does not have the image: it is pulled, unless the spec forbids that.
    fn image_missing(&self, desired: &Desired, message: &str) -> Outcome {
        if desired.pull_policy == crate::sandbox::PullPolicy::Never {
            let message = format!("{message} (imagePullPolicy is Never)");
            return StepError::ImageMissing(message).outcome();
        }
        self.context.puller.request(desired.name.as_str(), &desired.container.image);
        Outcome::Void
    }

    /// Nothing to do now: say how things are, and when to look again.
    fn rest(
        &self,
        desired: &Desired,
        look: &Look,
        planned: &Plan,
    ) -> Result<Action, ReconcileError> {
        let memory = outcome::before_acting(&look.inputs(desired), planned);
        let written = self.context.memory.put(desired.name.as_str(), &memory);
        let inputs = Inputs { memory: &memory, ..look.inputs(desired) };
        if !waits_for_image(planned) {
            // Whatever was being pulled for it is of no use any more.
            self.context.puller.forget(desired.name.as_str());
        }
        report::publish(self.context, self.declared, &inputs, planned, None)?;
        written?;
        Ok(match self.next_look(desired, look.now, planned) {
            Some(delay) => Action::requeue(delay),
            None => Action::await_change(),
        })
    }

    /// When to look again although nothing may happen: at the plan's own time, and each resync period
    /// for what no event tells.
    fn next_look(&self, desired: &Desired, now: Timestamp, planned: &Plan) -> Option<Duration> {
        let due = planned.next_check.map(|at| crate::plan::restart::since(now, at));
        let untold = !desired.permissions.is_empty() || desired.container.has_secret_files();
        let resync = (untold || !planned_is_content(planned)).then_some(self.context.resync);
        match (due, resync) {
            (Some(due), Some(resync)) => Some(due.min(resync)),
            (due, resync) => due.or(resync),
        }
    }

    /// The same steps again: acting changed nothing. Say so, and slow down.
    fn give_up_for_now(
        &self,
        desired: &Desired,
        look: &Look,
        planned: &Plan,
    ) -> Result<Action, ReconcileError> {
        let steps: Vec<String> = planned.steps.iter().map(PlannedStep::to_string).collect();
        let why = format!("acting did not change this: {}", steps.join("; "));
        report::publish(self.context, self.declared, &look.inputs(desired), planned, Some(&why))?;
        Ok(Action::requeue(NOT_CONVERGING_RETRY))
    }
}

fn waits_for_image(planned: &Plan) -> bool {
    let hold = planned.hold.as_ref().map(|hold| hold.kind);
    matches!(hold, Some(HoldKind::Pulling | HoldKind::ImageUnavailable))
}

/// Whether a plan without steps also waits for nothing that only the host can tell (a missing path, a
/// secret, a port).
fn planned_is_content(planned: &Plan) -> bool {
    let waits_for_host = |kind| {
        matches!(
            kind,
            HoldKind::MountUnavailable
                | HoldKind::MountRefused
                | HoldKind::MountSwapped
                | HoldKind::SecretUnavailable
                | HoldKind::PortConflict
                | HoldKind::NameConflict
                | HoldKind::FieldRefused
                | HoldKind::PolicyViolation
                | HoldKind::Busy
        )
    };
    !planned.hold.as_ref().is_some_and(|hold| waits_for_host(hold.kind))
}
