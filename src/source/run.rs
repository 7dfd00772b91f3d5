//! The task that drives the source: wait, look, decide, tell, keep. One consumer of events, timers and the
//! controller's word, so that a listing and an event can never race.

mod slot;
mod tell;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::slot::Slot;
use super::changes::{self, Inputs, Pass, State, Wake};
use super::hold::{self, Held};
use super::signals::{Signals, Urgency};
use super::snapshot::{Evidence, Identity, Snapshot};
use super::watch::DirectoryWatch;
use super::writer::Writer;
use super::{Declared, Event, Forget, Options, Reports, Source, mint};
use crate::clock;

/// How long a pass waits for a directory. One that answers later counts in a later pass.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often to ask for the answer of a directory that is late.
const LATE_POLL: Duration = Duration::from_millis(250);
/// Time between a weak event (a write, a removal) and the look that it asks for.
const SETTLE: Duration = Duration::from_millis(300);
/// How often to look for an operator's request where events cannot announce it.
const REQUEST_POLL: Duration = Duration::from_secs(1);

impl Source {
    /// Runs until `shutdown`, or until nobody receives the events any more.
    ///
    /// The first pass sends `Init`, `InitApply` for everything that is declared, and `InitDone`, also for
    /// an empty or missing directory; from then on there are only `Apply` and `Delete`. `Apply` of a
    /// sandbox with a `deletionTimestamp` is its tombstone: answer it with [`Forget`] once everything of
    /// it is gone, and `Delete` follows. Returns when all that was accepted is on disk, or cannot be.
    ///
    /// A directory that hangs occupies a thread of the blocking pool for as long as it hangs: shut the
    /// runtime down with a deadline.
    pub async fn run(
        self,
        events: mpsc::Sender<Event>,
        reports: watch::Sender<Reports>,
        forget: mpsc::Receiver<Forget>,
        shutdown: CancellationToken,
    ) {
        let mut runner = Runner::new(self, events, reports, forget, shutdown);
        // `Err` is the ordinary end.
        let _: Result<(), Stopped> = runner.run().await;
        runner.writer.finish().await;
        runner.publish();
    }
}

/// Nobody wants to hear more.
struct Stopped;

struct Runner {
    options: Options,
    state: State,
    signals: Arc<Signals>,
    slots: Vec<Slot>,
    requests: Requests,
    writer: Writer,
    events: mpsc::Sender<Event>,
    reports: watch::Sender<Reports>,
    forget: mpsc::Receiver<Forget>,
    shutdown: CancellationToken,
    /// Word of cleaned-up sandboxes that came while events were being sent.
    cleaned: Vec<Forget>,
    /// What `held.json` says, or is about to say.
    held: Option<Vec<Held>>,
    latest: Reports,
    started: Instant,
    initialised: bool,
}

impl Runner {
    fn new(
        source: Source,
        events: mpsc::Sender<Event>,
        reports: watch::Sender<Reports>,
        forget: mpsc::Receiver<Forget>,
        shutdown: CancellationToken,
    ) -> Self {
        let Source { options, state } = source;
        let signals = Arc::new(Signals::default());
        let slot = |directory: &PathBuf| Slot::new(directory.clone(), &options.reader, &signals);
        Self {
            slots: options.dirs.iter().map(slot).collect(),
            requests: Requests { state: options.state.clone(), watch: None, watched: false },
            writer: Writer::new(options.state.clone()),
            options,
            state,
            signals,
            events,
            reports,
            forget,
            shutdown,
            cleaned: Vec::new(),
            held: None,
            latest: Reports::default(),
            started: Instant::now(),
            initialised: false,
        }
    }

    async fn run(&mut self) -> Result<(), Stopped> {
        let mut refresh = true;
        loop {
            let pass = self.pass(refresh).await;
            let wake = pass.wake;
            self.tell(&pass).await?;
            // After the events, so that no disk delays them.
            self.keep(pass);
            refresh = self.wait(wake).await?;
        }
    }

    /// Looks at everything and decides.
    async fn pass(&mut self, refresh: bool) -> Pass {
        let started = self.signals.begin();
        let mut evidence = Evidence { lost: self.signals.take_lost(), ..Evidence::default() };
        for slot in &mut self.slots {
            slot.start(started, refresh);
        }
        let deadline = Instant::now() + PATIENCE;
        let released = self.requests.take(&self.signals, started, refresh).await;
        let mut snapshot = Snapshot::default();
        for slot in &mut self.slots {
            let (look, started) = slot.finish(deadline).await;
            if let Some(started) = started {
                let (marks, stirred) = self.signals.take(&slot.directory, started);
                evidence.marks.extend(marks);
                evidence.stirred.extend(stirred.then(|| slot.directory.clone()));
            }
            snapshot.looks.push(look);
        }
        let inputs = Inputs {
            snapshot: &snapshot,
            evidence: &evidence,
            released: &released,
            now: clock::now(),
            steady: self.started.elapsed(),
            mint: &mint(&self.options.uids),
        };
        changes::advance(&mut self.state, &inputs)
    }

    /// Hands to the writer what must outlive the daemon.
    fn keep(&mut self, pass: Pass) {
        for record in pass.keep {
            self.writer.keep(record);
        }
        if self.held.as_ref() != Some(&pass.reports.held) {
            self.held = Some(pass.reports.held.clone());
            self.writer.hold(pass.reports.held.clone());
        }
        self.writer.start();
        tell::log_reports(&self.latest, &pass.reports);
        self.latest = pass.reports;
        self.publish();
    }

    /// Publishes the reports, if they differ from those published before.
    fn publish(&mut self) {
        self.latest.persisted = self.writer.is_idle();
        self.latest.state_problem.clone_from(&self.writer.problem);
        self.reports.send_if_modified(|published| {
            let differs = *published != self.latest;
            if differs {
                published.clone_from(&self.latest);
            }
            differs
        });
    }

    /// Waits for a reason to look again. Returns whether it was the timer.
    async fn wait(&mut self, wake: Wake) -> Result<bool, Stopped> {
        if self.drop_tombstones().await? {
            return Ok(false);
        }
        let mut until = self.next_look(wake);
        loop {
            // All arms are cancel-safe: the two receivers and `changed` lose nothing, `done` keeps its
            // handle, and the rest are timers.
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Stopped),
                Some(cleaned) = self.forget.recv() => {
                    self.cleaned.push(cleaned);
                    self.drop_tombstones().await?;
                    return Ok(false);
                }
                () = self.signals.changed() => match self.signals.urgency() {
                    Some(Urgency::Now) => return Ok(false),
                    Some(Urgency::Soon) => until = until.min(Instant::now() + SETTLE),
                    None => {}
                },
                () = self.writer.done() => {
                    self.writer.start();
                    until = self.writer.retry_at().map_or(until, |at| until.min(at));
                    self.publish();
                }
                () = self.options.rescan.notified() => return Ok(true),
                () = sleep_until(until) => return Ok(true),
            }
        }
    }

    /// When to look again although nothing happens.
    fn next_look(&self, wake: Wake) -> Instant {
        // Jitter, so that several daemons of a host do not look at the same instant for ever.
        let resync = self.options.resync.mul_f64(0.8 + 0.2 * fastrand::f64());
        let now = Instant::now();
        let asked = wake.0.map(|steady| self.started + steady);
        let late = self.slots.iter().any(Slot::is_late).then(|| now + LATE_POLL);
        let blind = !self.latest.held.is_empty() && !self.requests.watched;
        let request = blind.then(|| now + REQUEST_POLL);
        let sooner = [asked, late, request, self.writer.retry_at()].into_iter().flatten();
        sooner.fold(now + resync, Instant::min)
    }

    /// Tells the end of every tombstone that the controller has cleaned up.
    async fn drop_tombstones(&mut self) -> Result<bool, Stopped> {
        while let Ok(cleaned) = self.forget.try_recv() {
            self.cleaned.push(cleaned);
        }
        let mut dropped = false;
        for Forget { name, uid } in std::mem::take(&mut self.cleaned) {
            if let Some(declared) = self.state.forget(&name, &uid) {
                self.writer.erase(&name);
                tracing::info!(sandbox = name, uid, "The sandbox is gone.");
                self.send(Event::Delete(declared)).await?;
                dropped = true;
            }
        }
        Ok(dropped)
    }
}

/// An operator's requests to let held deletions go.
struct Requests {
    state: PathBuf,
    watch: Option<DirectoryWatch>,
    watched: bool,
}

impl Requests {
    /// Takes up what was asked for, if there is reason to look.
    async fn take(
        &mut self,
        signals: &Arc<Signals>,
        started: u64,
        refresh: bool,
    ) -> BTreeSet<String> {
        let (_, asked) = signals.take(&hold::requests(&self.state), started);
        if self.watched && !asked && !refresh {
            return BTreeSet::new();
        }
        let (state, signals, watch) = (self.state.clone(), signals.clone(), self.watch.take());
        let looked = tokio::task::spawn_blocking(move || {
            // Armed before the look, so that a request cannot fall between the two.
            let watch = if refresh { arm(&state, watch, signals) } else { watch };
            (watch, hold::take_request(&state))
        });
        let (watch, request) = match looked.await {
            Ok((watch, request)) => (watch, request),
            Err(error) => (None, Err(error.into())),
        };
        self.watched = watch.is_some();
        self.watch = watch;
        request.unwrap_or_else(|error| {
            tracing::warn!(%error, "A request to prune cannot be read; ask again.");
            BTreeSet::new()
        })
    }
}

/// Watches the directory of requests; `None` if that cannot be.
fn arm(
    state: &std::path::Path,
    watch: Option<DirectoryWatch>,
    signals: Arc<Signals>,
) -> Option<DirectoryWatch> {
    let directory = hold::requests(state);
    std::fs::create_dir_all(&directory).ok()?;
    let mut watch = match watch {
        Some(watch) => watch,
        None => DirectoryWatch::new(&directory, signals).ok()?,
    };
    let identity = Identity::of(&std::fs::metadata(&directory).ok()?);
    watch.arm(identity, true).ok()?;
    Some(watch)
}
