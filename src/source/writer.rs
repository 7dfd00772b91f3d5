//! Carries what a pass decided to the state directory, beside the passes: a sync to disk must not delay
//! the next event. What fails is kept and tried again.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::hold::{self, Held};
use super::last_good::{self, Record};
use crate::sandbox::text::shown_path;

/// Time before what failed is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// What is to be written. A later word on a name replaces an earlier one.
#[derive(Debug, Default)]
struct Batch {
    /// By name; `None` erases.
    records: BTreeMap<String, Option<Record>>,
    held: Option<Vec<Held>>,
}

/// Writes to the state directory, one batch at a time.
#[derive(Debug)]
pub(super) struct Writer {
    state: PathBuf,
    queue: Batch,
    running: Option<JoinHandle<Outcome>>,
    retry_at: Option<Instant>,
    /// Why the last batch failed, for people.
    pub(super) problem: Option<String>,
}

/// What could not be written, and the first reason.
type Outcome = (Batch, Option<String>);

impl Writer {
    pub(super) fn new(state: PathBuf) -> Self {
        Self { state, queue: Batch::default(), running: None, retry_at: None, problem: None }
    }

    pub(super) fn keep(&mut self, record: Record) {
        self.queue.records.insert(record.declared.name().to_owned(), Some(record));
    }

    pub(super) fn erase(&mut self, name: &str) {
        self.queue.records.insert(name.to_owned(), None);
    }

    pub(super) fn hold(&mut self, held: Vec<Held>) {
        self.queue.held = Some(held);
    }

    /// Everything is on disk.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.queue.is_empty()
    }

    /// When to call [`Self::start`] again although nothing was added.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at.filter(|_| self.running.is_none())
    }

    /// Begins to write what is queued, unless a batch is under way or a failed one has to wait.
    pub(super) fn start(&mut self) {
        let waits = self.retry_at.is_some_and(|at| Instant::now() < at);
        if self.running.is_some() || self.queue.is_empty() || waits {
            return;
        }
        let (state, batch) = (self.state.clone(), std::mem::take(&mut self.queue));
        self.running = Some(tokio::task::spawn_blocking(move || batch.write(&state)));
    }

    /// Returns when the batch under way is done; never, if there is none. Cancel-safe.
    pub(super) async fn done(&mut self) {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let outcome = running.await;
        self.running = None;
        match outcome {
            Ok((failed, problem)) => self.settle(failed, problem),
            Err(error) => self.settle(Batch::default(), Some(error.to_string())),
        }
    }

    /// Writes all that can be written. For the end.
    pub(super) async fn finish(&mut self) {
        if self.running.is_some() {
            self.done().await;
        }
        self.retry_at = None;
        self.start();
        if self.running.is_some() {
            self.done().await;
        }
    }

    /// What failed goes back, except where something newer waits.
    fn settle(&mut self, failed: Batch, problem: Option<String>) {
        for (name, record) in failed.records {
            self.queue.records.entry(name).or_insert(record);
        }
        self.queue.held = self.queue.held.take().or(failed.held);
        self.retry_at = problem.is_some().then(|| Instant::now() + RETRY);
        if let Some(problem) = &problem
            && self.problem.as_ref() != Some(problem)
        {
            tracing::warn!(
                problem,
                "The state directory cannot be written; sandboxes go on, but a restart would forget."
            );
        }
        self.problem = problem;
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.records.is_empty() && self.held.is_none()
    }

    fn write(self, state: &std::path::Path) -> Outcome {
        let mut failed = Self::default();
        let mut problem = None;
        let mut note = |path: PathBuf, error: &io::Error| {
            problem.get_or_insert_with(|| format!("{}: {error}", shown_path(&path)));
        };
        for (name, record) in self.records {
            let outcome = match &record {
                Some(record) => last_good::keep(state, record),
                None => last_good::erase(state, &name),
            };
            if let Err(error) = outcome {
                note(state.join("specs"), &error);
                failed.records.insert(name, record);
            }
        }
        if let Err(error) = last_good::sync(state) {
            note(state.join("specs"), &error);
        }
        if let Some(held) = self.held
            && let Err(error) = hold::write_held(state, &held)
        {
            note(state.to_owned(), &error);
            failed.held = Some(held);
        }
        (failed, problem)
    }
}
