//! Wiring: which parts there are, in which order they start and stop. Owns every task.

mod connect;
mod detect;
mod migrate;
mod once;
mod preview;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use kube::runtime::reflector::{self, Store};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::controller::events::{EngineHealth, Pump};
use crate::controller::execute::Executor;
use crate::controller::facts::PermissionCache;
use crate::controller::feed::{self, Feed};
use crate::controller::host::{MountRules, OwnPaths, SecretDigests};
use crate::controller::observe::Observer;
use crate::controller::probes::Prober;
use crate::controller::pulls::Puller;
use crate::controller::reconcile::Context;
use crate::controller::report::LastStatus;
use crate::controller::resync::Resync;
use crate::controller::triggers::{TriggerStream, Triggers};
use crate::controller::{self, HEARTBEAT};
use crate::engine::{Capabilities, Engine, EngineError, Feature};
use crate::plan::ownership::Identity;
use crate::plan::{Ids, Slot};
use crate::ports::PortBook;
use crate::sandbox::{Problem, yaml};
use crate::shutdown::Shutdown;
use crate::source::{self, Admitted, Declared, ReadDocument, Reports, Source};
use crate::state::events::EventLog;
use crate::state::memory::MemoryStore;
use crate::state::status::{self, StatusStore};
use crate::state::{EngineRecord, StateDir, StateLock};
use crate::systemd;

use detect::Connected;
pub(crate) use detect::survey;
pub use preview::{PlanReport, PlannedSandbox, plan};

/// Longest wait for what is in flight when asked to stop; systemd is told to wait a little longer.
const DRAIN: Duration = Duration::from_secs(8);
/// What no list shows (limits, networks) is asked for again after so many resync periods.
const INSPECT_PERIODS: u32 = 20;
/// Wait before an engine that failed to list its containers is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Room in the channels between the parts. A full one slows its sender down and loses nothing.
const CHANNEL: usize = 256;

/// How to run.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Converge once and end.
    pub once: bool,
    /// Longest time for that.
    pub timeout: Duration,
    /// Leave the engine on record, if another one is to be used now.
    pub migrate: bool,
}

/// Runs the daemon until it is asked to stop, or, with `once`, until everything is as it should be.
///
/// # Errors
/// What keeps the daemon from starting: the state directory, the lock, the configuration.
pub async fn run(
    config: Config,
    options: RunOptions,
    shutdown: Shutdown,
) -> anyhow::Result<ExitCode> {
    let state = StateDir::open(&config.state)?;
    let lock = state.lock()?;
    let identity = state.identity(&config.container_prefix)?;
    let engine = connect::wait_for_engine(&config, &state, &shutdown.graceful);
    let Some(engine) = systemd::while_waiting(engine).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    if options.migrate
        && let Some(before) = connect::in_use(&state)?
        && connect::is_another_engine(&before, &engine)
    {
        let memory = MemoryStore::load(&state)?;
        systemd::while_waiting(migrate::leave(&before, &identity, &memory, &config)).await?;
    }
    connect::confirm_same_engine(&config, &state, &engine)?;
    let daemon = Daemon::assemble(config, state, lock, identity, engine, &shutdown)?;
    daemon.run(options, shutdown).await
}

/// The engine that a command of a person's should speak to.
pub(crate) async fn open_engine(config: &Config) -> Result<Arc<dyn Engine>, EngineError> {
    Ok(detect::find(config, engine_in_use(config).as_ref()).await?.engine)
}

/// The engine that holds containers of this state directory, as far as we may read that.
pub(crate) fn engine_in_use(config: &Config) -> Option<EngineRecord> {
    connect::in_use(&StateDir::read_only(&config.state).ok()?).ok().flatten()
}

/// Parses and admits a file, with the daemon's own settings.
pub(crate) fn reader(config: &Config) -> source::Reader {
    let settings = config.settings();
    Arc::new(move |bytes, base| {
        let documents = yaml::read(bytes)?;
        Ok(documents.into_iter().map(|document| read(document, &settings, base)).collect())
    })
}

fn read(document: yaml::Document, settings: &crate::plan::Settings, base: &Path) -> ReadDocument {
    let positions = document.positions;
    let admitted = |sandbox| match crate::plan::admit(&sandbox, settings, base) {
        Ok(validated) => {
            let place = positions.locate("metadata.name");
            Ok(Admitted { sandbox, notices: validated.notices, place })
        }
        Err(problems) => Err(positions.attach(problems)),
    };
    let result = document.result.and_then(admitted);
    ReadDocument { index: document.index, name: document.name, result }
}

/// What may be mounted: nothing of this daemon's own, nor of its engine's.
fn mount_rules(config: &Config, capabilities: &Capabilities, address: &str) -> MountRules {
    let socket = Some(Path::new(address.strip_prefix("unix://").unwrap_or(address)));
    let own = OwnPaths {
        specs: &config.specs,
        state: Some(&config.state),
        socket: socket.filter(|socket| socket.is_absolute()),
        data: capabilities.data_root.as_deref(),
    };
    MountRules::new(Some(config.policy.host_paths.clone()), own)
}

/// The engine's ids, and this process's.
fn ids(capabilities: &Capabilities) -> Ids {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    Ids { mapping: capabilities.ids.clone(), daemon: (user.as_raw(), group.as_raw()) }
}

/// Every part, before it runs.
struct Daemon {
    config: Config,
    _lock: StateLock,
    state: StateDir,
    identity: Identity,
    context: Arc<Context>,
    store: Store<Declared>,
    writer: reflector::store::Writer<Declared>,
    triggers: Triggers,
    trigger_stream: TriggerStream,
    forget: mpsc::Receiver<source::Forget>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Daemon {
    fn assemble(
        mut config: Config,
        state: StateDir,
        lock: StateLock,
        identity: Identity,
        engine: Connected,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Self> {
        let Connected { engine, capabilities, address } = engine;
        if !capabilities.has(Feature::PidsLimit) {
            config.policy = config.policy.without_pids();
            tracing::warn!(
                "The engine cannot limit processes: the policy's limits.pids does not hold."
            );
        }
        let tracker = TaskTracker::new();
        let (store, writer) = reflector::store();
        let (triggers, trigger_stream) = Triggers::new();
        let wake: Arc<dyn Fn(&str) + Send + Sync> = {
            let triggers = triggers.clone();
            Arc::new(move |name| triggers.wake(name))
        };
        let max_age = config.resync.saturating_mul(INSPECT_PERIODS);
        let observer = Observer::new(engine.clone(), identity.clone(), max_age)
            .of_engine(capabilities.engine_id.clone())
            .of_fixed_names(!capabilities.has(Feature::Rename));
        let observer = Arc::new(observer);
        let executor = Executor::new(
            engine.clone(),
            identity.clone(),
            Arc::clone(&observer),
            config.concurrency,
        );
        let memory = MemoryStore::load(&state)?;
        let mount_rules = Arc::new(mount_rules(&config, &capabilities, &address));
        let (forget_sender, forget) = mpsc::channel(CHANNEL);
        let context = Context {
            prober: Prober::new(engine.clone(), tracker.clone(), Arc::clone(&wake)),
            puller: Puller::new(engine.clone(), tracker.clone(), wake),
            ports: PortBook::new(config.ports.clone(), memory.all_ports()),
            secrets: Arc::new(SecretDigests::new(identity.key.clone(), Arc::clone(&mount_rules))),
            ids: ids(&capabilities),
            mount_rules,
            permissions: PermissionCache::default(),
            status: StatusStore::new(&state),
            last_status: LastStatus::load(status::read_all(state.path())?),
            published: Notify::new(),
            planned: watch::Sender::new(HashSet::new()),
            events: EventLog::open(&state),
            settings: config.settings(),
            advertise: config.ports.advertise.clone(),
            resync: config.resync,
            identity: identity.clone(),
            forget: forget_sender,
            tracker: tracker.clone(),
            engine_returned_at: watch::Sender::new(None),
            failures: Mutex::new(HashMap::new()),
            engine,
            capabilities,
            observer,
            executor,
            memory,
        };
        Ok(Self {
            config,
            _lock: lock,
            state,
            identity,
            context: Arc::new(context),
            store,
            writer,
            triggers,
            trigger_stream,
            forget,
            tracker,
            stop: shutdown.graceful.clone(),
        })
    }

    async fn run(self, options: RunOptions, shutdown: Shutdown) -> anyhow::Result<ExitCode> {
        let (event_sender, events) = mpsc::channel(CHANNEL);
        let (stray_sender, strays) = mpsc::channel(CHANNEL);
        let (source_forget, source_forgets) = mpsc::channel(CHANNEL);
        let (source_reports, source_report) = watch::channel(Reports::default());
        let (report_sender, reports) = watch::channel(Reports::default());
        let (initialised_sender, initialised) = watch::channel(false);

        let (rescan_files, resync_now) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let Some(source) = self.open_source(Arc::clone(&rescan_files)).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        self.tracker.spawn(source.run(
            event_sender,
            source_reports,
            source_forgets,
            self.stop.clone(),
        ));
        let feed = Feed::new(self.writer, self.triggers.clone(), initialised_sender, report_sender);
        let inputs = feed::Inputs { events, reports: source_report, strays, forget: self.forget };
        self.tracker.spawn(feed.run(inputs, source_forget));
        let (pump, health) = Pump::new(
            Arc::clone(&self.context.engine),
            self.identity.clone(),
            Arc::clone(&self.context.observer),
            self.triggers.clone(),
            wake_everything(self.store.clone(), self.triggers.clone()),
        );
        self.tracker.spawn(pump.run(self.stop.clone()));
        let wake_all = wake_everything(self.store.clone(), self.triggers.clone());
        until(
            &self.tracker,
            &self.stop,
            follow_the_engine(Arc::clone(&self.context), health, wake_all),
        );
        let resync = Resync {
            observer: Arc::clone(&self.context.observer),
            identity: self.identity.clone(),
            store: self.store.clone(),
            triggers: self.triggers.clone(),
            reports: reports.clone(),
            strays: stray_sender,
            period: self.config.resync,
            guard: self.config.delete_guard,
            now: Arc::clone(&resync_now),
        };
        let asked = pass_on(Arc::clone(&shutdown.rescan), [rescan_files, resync_now]);
        until(&self.tracker, &self.stop, asked);
        until(&self.tracker, &self.stop, resync.run());
        until(&self.tracker, &self.stop, publish_files(Arc::clone(&self.context), reports.clone()));
        let tidy = forget_old_events(Arc::clone(&self.context), self.store.clone());
        until(&self.tracker, &self.stop, tidy);
        until(&self.tracker, &self.stop, heartbeat(self.triggers.clone()));
        let planned = self.context.planned.subscribe();
        until(&self.tracker, &self.stop, first_pass(planned, self.store.clone(), initialised));

        let controller = self.tracker.spawn(controller::run(
            Arc::clone(&self.context),
            self.store.clone(),
            self.trigger_stream,
        ));
        let code = if options.once {
            once::converge(&self.context, &self.store, reports, options.timeout, &self.stop).await
        } else {
            self.stop.cancelled().await;
            ExitCode::SUCCESS
        };
        self.stop.cancel();
        systemd::stopping();
        self.triggers.close();
        drain(controller, &self.context, &shutdown.abort).await;
        Ok(code)
    }

    /// The directories, with the uids of containers that are ours already: should the record of a
    /// sandbox be lost, its container is still its container. `None`: asked to stop meanwhile.
    async fn open_source(&self, rescan: Arc<Notify>) -> anyhow::Result<Option<Source>> {
        let uids = systemd::while_waiting(self.uids_in_use());
        let Some(uids) = self.stop.run_until_cancelled(uids).await else {
            return Ok(None);
        };
        let options = source::Options {
            dirs: self.config.specs.clone(),
            state: self.state.path().to_owned(),
            resync: self.config.resync,
            delete_guard: self.config.delete_guard,
            max_sandboxes: self.config.policy.max_sandboxes,
            reader: reader(&self.config),
            rescan,
            uids,
        };
        Source::open(options).map(Some).context("cannot open the directories of specs")
    }

    /// By sandbox; of two lives the one under the sandbox's own name. An engine that does not answer is
    /// no engine without containers, so it is asked until it does.
    async fn uids_in_use(&self) -> BTreeMap<String, String> {
        loop {
            match self.context.observer.owned().await {
                Ok(mut owned) => {
                    owned.sort_by_key(|container| container.slot == Slot::Main);
                    return owned.into_iter().map(|c| (c.sandbox, c.uid)).collect();
                }
                Err(error) => {
                    tracing::warn!(%error, "The engine does not say what it runs; nothing is touched.");
                    sleep(ASK_AGAIN).await;
                }
            }
        }
    }
}

/// Spawns a task that may be dropped at any await once the token is cancelled.
fn until(
    tracker: &TaskTracker,
    stop: &CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) {
    let stop = stop.clone();
    tracker.spawn(async move {
        stop.run_until_cancelled(task).await;
    });
}

/// A request to look at everything goes to everybody who looks at something.
async fn pass_on(asked: Arc<Notify>, to: [Arc<Notify>; 2]) {
    loop {
        asked.notified().await;
        for looker in &to {
            looker.notify_one();
        }
    }
}

fn wake_everything(store: Store<Declared>, triggers: Triggers) -> impl Fn() + Send + Sync {
    move || store.state().iter().for_each(|declared| triggers.wake(declared.name()))
}

/// A lost engine changes what is known of every sandbox, and each status says so; one that returns is
/// another chance for what failed.
async fn follow_the_engine(
    context: Arc<Context>,
    mut health: watch::Receiver<EngineHealth>,
    wake_all: impl Fn() + Send + Sync,
) {
    while health.wait_for(|health| matches!(health, EngineHealth::Failing { .. })).await.is_ok() {
        wake_all();
        if health.wait_for(EngineHealth::is_connected).await.is_err() {
            return;
        }
        context.engine_returned_at.send_replace(Some(crate::clock::now()));
        wake_all();
    }
}

/// The events of a sandbox outlive it for a day, and then go, lest a host whose sandboxes have random names
/// fills up with them.
async fn forget_old_events(context: Arc<Context>, store: Store<Declared>) {
    let mut hours = tokio::time::interval(Duration::from_hours(1));
    // The first tick is immediate, and nobody has said yet what is declared.
    hours.tick().await;
    loop {
        hours.tick().await;
        let declared: HashSet<String> =
            store.state().iter().map(|declared| declared.name().to_owned()).collect();
        let before = crate::clock::now() - Duration::from_hours(24);
        if let Err(error) = context.events.forget_old(|name| declared.contains(name), before) {
            tracing::warn!(%error, "Old events could not be removed.");
        }
    }
}

/// Keeps `_files.yaml` as the source reports.
async fn publish_files(context: Arc<Context>, mut reports: watch::Receiver<Reports>) {
    loop {
        let files = reports.borrow_and_update().files.clone();
        let wrong: Vec<_> = files.into_iter().filter(|file| !file.problems.is_empty()).collect();
        if let Err(error) = context.status.publish_files(&wrong) {
            tracing::warn!(%error, "The problems of the spec files could not be published.");
        }
        context.published.notify_waiters();
        if reports.changed().await.is_err() {
            return;
        }
    }
}

/// Sends a name that nobody declares round the control loop, which pings systemd when it comes by: if
/// that loop stands still, so does the watchdog.
async fn heartbeat(triggers: Triggers) {
    let Some(interval) = systemd::watchdog_interval() else { return };
    let mut ticks = tokio::time::interval(interval / 2);
    loop {
        ticks.tick().await;
        triggers.wake(HEARTBEAT);
    }
}

/// Tells systemd that we are ready when every declared sandbox has been planned once.
async fn first_pass(
    mut planned: watch::Receiver<HashSet<String>>,
    store: Store<Declared>,
    mut initialised: watch::Receiver<bool>,
) {
    if initialised.wait_for(|initialised| *initialised).await.is_err() {
        return;
    }
    let names: Vec<String> =
        store.state().iter().map(|declared| declared.name().to_owned()).collect();
    let all = |planned: &HashSet<String>| names.iter().all(|name| planned.contains(name));
    if planned.wait_for(all).await.is_ok() {
        let text = format!("{} sandboxes declared", names.len());
        tracing::info!(sandboxes = names.len(), "The first pass is planned.");
        systemd::ready(&text);
    }
}

/// Waits for what is in flight, for a while. Containers are left as they are.
async fn drain(
    controller: tokio::task::JoinHandle<()>,
    context: &Context,
    abort: &CancellationToken,
) {
    context.tracker.close();
    let in_flight = async {
        if let Err(error) = controller.await {
            tracing::error!(%error, "The control loop ended badly.");
        }
        // Only now: the last reconciles still say what the probes found.
        context.prober.stop();
        context.puller.stop();
        context.tracker.wait().await;
    };
    tokio::select! {
        ended = timeout(DRAIN, in_flight) => {
            if ended.is_err() {
                tracing::warn!("Stopping although something is still in flight; the next start goes on from it.");
            }
        }
        () = abort.cancelled() => tracing::warn!("Stopping at once, as asked twice."),
    }
    tracing::info!("Stopped. Every container runs on.");
}

/// What is wrong with the files, one line each.
fn problem_lines(reports: &Reports) -> Vec<String> {
    let line = |file: &Path, problem: &Problem| format!("{}:{problem}", file.display());
    let problems = reports
        .files
        .iter()
        .flat_map(|report| report.problems.iter().map(move |problem| line(&report.file, problem)));
    problems.collect()
}

#[cfg(test)]
mod tests;
