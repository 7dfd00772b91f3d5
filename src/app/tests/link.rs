//! One daemon's connection to the fake engine: keeps the engine's clock, counts what is asked, and goes
//! wrong as a test's rule says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::SignedDuration;

use crate::clock;
use crate::engine::fake::{Fake, FakeState};
use crate::engine::{
    Call, Capabilities, CreateRequest, Engine, EngineError, EngineEvent, EngineKind, ExecOutcome,
    Inspected, Listed, LogOptions, OutputChunk, PullProgress,
};
use crate::plan::{ContainerId, ContainerState, Limits};

/// A call that is about to be made.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) call: Call,
    /// Name of the container, or the image of a pull.
    pub(super) name: String,
}

impl Asked {
    /// Whether it would change a container.
    pub(super) fn mutates(&self) -> bool {
        matches!(
            self.call,
            Call::Create
                | Call::Start
                | Call::Stop
                | Call::Unpause
                | Call::Rename
                | Call::Update
                | Call::Connect
                | Call::Remove
        )
    }
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It is made.
    Go,
    /// It fails, and the engine never hears of it.
    Refuse(EngineError),
    /// It never answers, and the engine never hears of it.
    Hang,
    /// Whoever makes it panics.
    Panic,
    /// The daemon dies before it is made.
    DieBefore,
    /// The daemon dies after it took effect and before it hears so.
    DieAfter,
}

type Rule = Box<dyn FnMut(&Asked) -> Fate + Send>;

/// The engine's side, which outlives every daemon.
#[derive(Default)]
pub(super) struct Switchboard {
    pub(super) fake: Fake,
    rule: Mutex<Option<Rule>>,
    counts: Mutex<BTreeMap<Call, usize>>,
    /// How far the engine's clock is behind ours.
    behind: Mutex<SignedDuration>,
    /// Containers that somebody else made.
    pub(super) foreign: Mutex<BTreeSet<ContainerId>>,
    /// What was seen and must never be.
    violations: Mutex<BTreeSet<String>>,
}

impl Switchboard {
    /// From now on every call is subject to this.
    pub(super) fn rule(&self, rule: impl FnMut(&Asked) -> Fate + Send + 'static) {
        *self.rule.lock().unwrap() = Some(Box::new(rule));
    }

    /// From now on every call is made.
    pub(super) fn no_rule(&self) {
        *self.rule.lock().unwrap() = None;
    }

    /// Sets the engine's clock behind ours, so that whatever starts seems to run for so long already.
    pub(super) fn set_behind(&self, behind: Duration) {
        *self.behind.lock().unwrap() = behind.try_into().unwrap();
    }

    /// Brings the engine's clock up to date; processes whose time has come end.
    pub(super) fn tick(&self) {
        let now = clock::now() - *self.behind.lock().unwrap();
        self.fake.act(|state| state.set_now(now));
    }

    /// How often this has been called.
    pub(super) fn count(&self, call: Call) -> usize {
        self.counts.lock().unwrap().get(&call).copied().unwrap_or_default()
    }

    /// How often anything has been called.
    pub(super) fn total(&self) -> usize {
        self.counts.lock().unwrap().values().sum()
    }

    /// What was seen after a call and must never be.
    pub(super) fn violations(&self) -> BTreeSet<String> {
        self.violations.lock().unwrap().clone()
    }

    /// Of the containers of ours under a sandbox's names at most one is live, at every instant.
    fn check(&self) {
        let foreign = self.foreign.lock().unwrap().clone();
        let live = self.fake.act(|state| {
            let ours = state.containers.values().filter(|it| !foreign.contains(&it.details.id));
            let live = ours.filter(|it| is_live(it.details.state));
            live.map(|it| it.details.name.clone()).collect::<Vec<_>>()
        });
        let sandbox = |name: &str| name.split('.').next().unwrap_or_default().to_owned();
        let mut seen = BTreeSet::new();
        for name in &live {
            if !seen.insert(sandbox(name)) {
                let violation = format!("two of {} are live: {live:?}", sandbox(name));
                self.violations.lock().unwrap().insert(violation);
            }
        }
    }

    fn fate(&self, asked: &Asked) -> Fate {
        *self.counts.lock().unwrap().entry(asked.call).or_default() += 1;
        self.rule.lock().unwrap().as_mut().map_or(Fate::Go, |rule| rule(asked))
    }

    fn name_of(&self, id: &ContainerId) -> String {
        let name = |state: &mut FakeState| Some(state.containers.get(id)?.details.name.clone());
        self.fake.act(name).unwrap_or_default()
    }
}

fn is_live(state: ContainerState) -> bool {
    use ContainerState::{Paused, Restarting, Running};
    matches!(state, Running | Paused | Restarting)
}

/// The connection of one daemon.
#[derive(Clone)]
pub(super) struct Link {
    switchboard: Arc<Switchboard>,
    /// Set when the daemon has died: nothing that it does reaches the engine any more.
    dead: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(switchboard: Arc<Switchboard>) -> Self {
        Self { switchboard, dead: Arc::default() }
    }

    /// Whether a rule has let the daemon die.
    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    /// Nothing that the daemon does reaches the engine from now on.
    pub(super) fn cut(&self) {
        self.dead.store(true, Ordering::SeqCst);
    }

    async fn on<T>(
        &self,
        call: Call,
        id: &ContainerId,
        act: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        self.pass(call, self.switchboard.name_of(id), act).await
    }

    async fn pass<T>(
        &self,
        call: Call,
        name: String,
        act: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        if self.is_dead() {
            return std::future::pending().await;
        }
        self.switchboard.tick();
        match self.switchboard.fate(&Asked { call, name }) {
            Fate::Go => {
                let outcome = act.await;
                self.switchboard.check();
                outcome
            }
            Fate::Refuse(error) => Err(error),
            Fate::Hang => std::future::pending().await,
            Fate::Panic => panic!("a test asked for this panic"),
            Fate::DieBefore => {
                self.cut();
                std::future::pending().await
            }
            Fate::DieAfter => {
                // First, so that nobody hears of what the call causes.
                self.cut();
                let _ = act.await;
                self.switchboard.check();
                std::future::pending().await
            }
        }
    }

    fn fake(&self) -> &Fake {
        &self.switchboard.fake
    }
}

#[async_trait]
impl Engine for Link {
    fn kind(&self) -> EngineKind {
        EngineKind::Fake
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        self.pass(Call::Capabilities, String::new(), self.fake().capabilities()).await
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        self.pass(Call::List, String::new(), self.fake().list()).await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        self.on(Call::Inspect, id, self.fake().inspect(id)).await
    }

    async fn create(&self, request: &CreateRequest) -> Result<ContainerId, EngineError> {
        self.pass(Call::Create, request.name.clone(), self.fake().create(request)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.on(Call::Start, id, self.fake().start(id)).await
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        self.on(Call::Stop, id, self.fake().stop(id, grace)).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.on(Call::Unpause, id, self.fake().unpause(id)).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        self.on(Call::Rename, id, self.fake().rename(id, name)).await
    }

    async fn update(&self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError> {
        self.on(Call::Update, id, self.fake().update(id, limits)).await
    }

    fn updates_live(&self, from: &Limits, to: &Limits) -> bool {
        self.fake().updates_live(from, to)
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        self.on(Call::Connect, id, self.fake().connect(id, network)).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.on(Call::Remove, id, self.fake().remove(id)).await
    }

    async fn pull(&self, image: &str, progress: &PullProgress) -> Result<(), EngineError> {
        self.pass(Call::Pull, image.to_owned(), self.fake().pull(image, progress)).await
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        self.pass(Call::HasImage, image.to_owned(), self.fake().has_image(image)).await
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        self.on(Call::Exec, id, self.fake().exec(id, command, user, deadline)).await
    }

    async fn events(
        &self,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.pass(Call::Events, String::new(), self.fake().events()).await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        self.on(Call::Logs, id, self.fake().logs(id, options)).await
    }
}
