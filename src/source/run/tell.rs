//! Tells the controller and the log what a pass found.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::{Declared, Event, Pass, Reports, Runner, Stopped};
use crate::sandbox::text::shown_path;
use crate::source::{DirectoryMode, DirectoryReport, FileReport, StaleKind};

impl Runner {
    /// Sends what is new; the first time, everything.
    pub(super) async fn tell(&mut self, pass: &Pass) -> Result<(), Stopped> {
        pass.applied.iter().for_each(log);
        if self.initialised {
            for declared in &pass.applied {
                self.send(Event::Apply(declared.clone())).await?;
            }
            return Ok(());
        }
        self.initialised = true;
        let all: Vec<Declared> = self.state.declared().cloned().collect();
        tracing::info!(sandboxes = all.len(), "The directories were read for the first time.");
        self.send(Event::Init).await?;
        for declared in all {
            self.send(Event::InitApply(declared)).await?;
        }
        self.send(Event::InitDone).await
    }

    /// Sends one event. Keeps listening to the controller meanwhile: it may be waiting for us.
    pub(super) async fn send(&mut self, event: Event) -> Result<(), Stopped> {
        loop {
            // Cancel-safe: a permit that is dropped is given back, and `recv` loses nothing.
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Err(Stopped),
                permit = self.events.reserve() => {
                    permit.map_err(|_| Stopped)?.send(event);
                    return Ok(());
                }
                Some(cleaned) = self.forget.recv() => self.cleaned.push(cleaned),
            }
        }
    }
}

fn log(declared: &Declared) {
    let name = declared.name();
    let file = declared.provenance.to_string();
    if declared.is_tombstone() {
        tracing::info!(sandbox = name, file, "The spec is gone; the sandbox is withdrawn.");
        return;
    }
    match &declared.stale {
        None => {
            let generation = declared.sandbox.metadata.generation.unwrap_or_default();
            tracing::info!(sandbox = name, file, generation, "The spec is accepted.");
        }
        Some(stale) if stale.kind == StaleKind::PruneHeld => tracing::warn!(
            sandbox = name,
            reason = stale.message,
            "The deletion is held back until the file returns, or until `sandkeeper prune --yes`."
        ),
        Some(stale) => tracing::warn!(
            sandbox = name,
            reason = stale.message,
            "The sandbox keeps the spec that was accepted last."
        ),
    }
}

/// Logs what is newly wrong with files and directories.
pub(super) fn log_reports(before: &Reports, after: &Reports) {
    for directory in &after.directories {
        if !before.directories.contains(directory) {
            log_directory(directory);
        }
    }
    let known: BTreeMap<&OsStr, &FileReport> =
        before.files.iter().map(|report| (report.file.as_os_str(), report)).collect();
    for report in &after.files {
        let old = known.get(report.file.as_os_str());
        let problems = report.problems.iter();
        for problem in
            problems.filter(|problem| old.is_none_or(|old| !old.problems.contains(problem)))
        {
            tracing::warn!(file = shown_path(&report.file), %problem, "A spec is not accepted.");
        }
    }
}

fn log_directory(report: &DirectoryReport) {
    let DirectoryReport { path, mode, message, complete: _ } = report;
    let (path, message) = (shown_path(path), message.as_deref().unwrap_or_default());
    match mode {
        DirectoryMode::Watching if message.is_empty() => {
            tracing::info!(directory = path, "The directory is watched.");
        }
        DirectoryMode::Late => {}
        _ => tracing::warn!(directory = path, ?mode, message, "The directory needs attention."),
    }
}
