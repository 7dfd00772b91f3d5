//! Readiness and liveness probes: one task per probe, timers while nothing happens.
//!
//! Owns the running of probes and what they found. What follows from it (a condition, a restart) is the
//! plan's to decide. The target is always the sandbox's own container or the address it publishes.

mod attempt;
mod exec;
mod http;
mod progress;
#[cfg(test)]
pub(in crate::controller) mod real;
#[cfg(test)]
pub(in crate::controller) mod stub;
mod tcp;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::engine::Engine;
use crate::plan::{ContainerId, ProbeSpec, ProbeView};

pub use progress::{Attempt, ProbeKind, ProbeProgress, Transition};

use exec::{ExecTurns, SandboxTurn};

/// Called with a sandbox's name when a probe of it has decided something.
pub type Wake = Arc<dyn Fn(&str) + Send + Sync>;

/// What a probe is aimed at. Another value is another probe, which starts from nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeTarget {
    /// The container.
    pub container: ContainerId,
    /// When it was last started; a restart of the same container starts the probe again.
    pub started_at: Option<Timestamp>,
    /// The probe.
    pub spec: ProbeSpec,
    /// Where the probe's port is published; `None` for a command, or when the port is not published.
    pub address: Option<SocketAddr>,
}

/// Runs probes. Dropping it ends them.
pub struct Prober {
    shared: Arc<Shared>,
    tracker: TaskTracker,
    watches: Mutex<HashMap<String, Watches>>,
}

struct Shared {
    engine: Arc<dyn Engine>,
    wake: Wake,
    execs: ExecTurns,
}

/// The probes of one sandbox.
#[derive(Default)]
struct Watches {
    readiness: Option<Watch>,
    liveness: Option<Watch>,
    exec: SandboxTurn,
}

struct Watch {
    target: ProbeTarget,
    progress: Arc<Mutex<ProbeProgress>>,
    /// Ends the task when the watch is dropped.
    _stop: DropGuard,
}

impl Prober {
    /// A prober without probes. Tasks are put on the tracker.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, tracker: TaskTracker, wake: Wake) -> Self {
        let shared = Arc::new(Shared { engine, wake, execs: ExecTurns::default() });
        Self { shared, tracker, watches: Mutex::default() }
    }

    /// Sees to it that this probe runs, and no other of this kind for this sandbox. One that runs against
    /// an equal target goes on undisturbed.
    pub fn watch(&self, sandbox: &str, kind: ProbeKind, target: ProbeTarget) {
        let mut watches = lock(&self.watches);
        let watches = watches.entry(sandbox.to_owned()).or_default();
        if watches.of(kind).as_ref().is_some_and(|watch| watch.target == target) {
            return;
        }
        let turn = Arc::clone(&watches.exec);
        *watches.of(kind) = Some(self.start(sandbox, kind, target, turn));
    }

    /// Ends the probe of this kind, when the spec declares none any more.
    pub fn unwatch(&self, sandbox: &str, kind: ProbeKind) {
        if let Some(watches) = lock(&self.watches).get_mut(sandbox) {
            *watches.of(kind) = None;
        }
    }

    /// Ends the probes of a sandbox and drops what they found.
    pub fn forget(&self, sandbox: &str) {
        lock(&self.watches).remove(sandbox);
    }

    /// Ends every probe.
    pub fn stop(&self) {
        lock(&self.watches).clear();
    }

    /// What the probe of this kind found for this container since it was last started.
    #[must_use]
    pub fn view(&self, sandbox: &str, kind: ProbeKind, container: &ContainerId) -> ProbeView {
        let mut watches = lock(&self.watches);
        match watches.get_mut(sandbox).and_then(|watches| watches.of(kind).as_ref()) {
            None => ProbeView::None,
            Some(watch) if watch.target.container == *container => {
                lock(&watch.progress).view(container)
            }
            Some(_) => ProbeView::Pending { message: progress::NOT_TRIED.to_owned() },
        }
    }

    fn start(
        &self,
        sandbox: &str,
        kind: ProbeKind,
        target: ProbeTarget,
        turn: SandboxTurn,
    ) -> Watch {
        let progress = Arc::new(Mutex::new(ProbeProgress::new(kind, &target.spec)));
        let stop = CancellationToken::new();
        let task = Task {
            shared: Arc::clone(&self.shared),
            sandbox: sandbox.to_owned(),
            kind,
            target: target.clone(),
            progress: Arc::clone(&progress),
            turn,
        };
        let stopped = stop.clone();
        self.tracker.spawn(async move { stopped.run_until_cancelled(task.run()).await });
        Watch { target, progress, _stop: stop.drop_guard() }
    }
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sandboxes = lock(&self.watches).len();
        formatter.debug_struct("Prober").field("sandboxes", &sandboxes).finish_non_exhaustive()
    }
}

impl Watches {
    fn of(&mut self, kind: ProbeKind) -> &mut Option<Watch> {
        match kind {
            ProbeKind::Readiness => &mut self.readiness,
            ProbeKind::Liveness => &mut self.liveness,
        }
    }
}

struct Task {
    shared: Arc<Shared>,
    sandbox: String,
    kind: ProbeKind,
    target: ProbeTarget,
    progress: Arc<Mutex<ProbeProgress>>,
    turn: SandboxTurn,
}

impl Task {
    async fn run(self) {
        let first = lock(&self.progress).first_delay(self.target.started_at, clock::now());
        tokio::time::sleep(first).await;
        loop {
            // Boxed, so that a probe that waits is no larger than its timer.
            let attempt = Box::pin(self.attempt()).await;
            let (transition, delay) = {
                let mut progress = lock(&self.progress);
                (progress.observe(attempt), progress.next_delay())
            };
            if let Some(transition) = transition {
                self.report(transition);
            }
            tokio::time::sleep(spread(delay, fastrand::f64())).await;
        }
    }

    async fn attempt(&self) -> Attempt {
        let exec = || exec::run(&*self.shared.engine, &self.target, &self.shared.execs, &self.turn);
        attempt::attempt(&self.target, exec).await
    }

    fn report(&self, transition: Transition) {
        tracing::info!(
            sandbox = self.sandbox,
            container = self.target.container.short(),
            "The {} probe {transition}.",
            self.kind,
        );
        (self.shared.wake)(&self.sandbox);
    }
}

/// Keeps probes that began together from staying together. `random` is from 0 to 1.
fn spread(delay: Duration, random: f64) -> Duration {
    if delay < Duration::from_secs(1) { delay } else { delay.mul_f64(0.95 + 0.1 * random) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change under these locks is a single assignment, so a panic leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
