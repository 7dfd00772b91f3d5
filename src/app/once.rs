//! `run --once`: converge, say what is not as it should be, end.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use kube::runtime::reflector::Store;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::controller::reconcile::Context;
use crate::sandbox::SandboxStatus;
use crate::source::{Declared, Reports};

/// How often to look when nothing is published.
const LOOK: Duration = Duration::from_millis(200);

/// Waits until every sandbox is as its spec says. 0: all of them are; 1: the time is over, a file is
/// broken, or a sandbox cannot become what its spec says.
pub(super) async fn converge(
    context: &Context,
    store: &Store<Declared>,
    reports: watch::Receiver<Reports>,
    limit: Duration,
    stop: &CancellationToken,
) -> ExitCode {
    let wait = async {
        loop {
            let published = context.published.notified();
            let open = open(context, store, &reports);
            if open.is_empty() {
                return;
            }
            tokio::select! {
                () = published => {}
                () = sleep(LOOK) => {}
            }
        }
    };
    let settled = tokio::select! {
        result = timeout(limit, wait) => result.is_ok(),
        () = stop.cancelled() => false,
    };
    let broken = super::problem_lines(&reports.borrow());
    if settled && broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    for line in open(context, store, &reports) {
        tracing::error!("{line}");
    }
    for line in broken {
        tracing::error!("{line}");
    }
    ExitCode::FAILURE
}

/// What is not as it should be, one line each.
fn open(
    context: &Context,
    store: &Store<Declared>,
    reports: &watch::Receiver<Reports>,
) -> Vec<String> {
    let reports = reports.borrow();
    if !reports.complete {
        return vec!["the directories have not been read completely yet".to_owned()];
    }
    if !reports.settled {
        return vec![
            "files are still being written, or their absence is not confirmed yet".to_owned(),
        ];
    }
    let declared = store.state();
    let statuses = context.last_status.all();
    let mut open: Vec<String> =
        declared.iter().filter_map(|declared| unsettled(declared, &statuses, &reports)).collect();
    open.sort();
    open
}

fn unsettled(
    declared: &Declared,
    statuses: &HashMap<String, SandboxStatus>,
    reports: &Reports,
) -> Option<String> {
    let name = declared.name();
    if declared.is_tombstone() {
        return Some(format!("{name}: being removed"));
    }
    if reports.held.iter().any(|held| held.name == name) {
        return Some(format!("{name}: its deletion is held back; see `sandkeeper prune`"));
    }
    let generation = declared.sandbox.metadata.generation;
    let status = statuses.get(name).filter(|status| status.observed_generation == generation);
    let Some(status) = status else { return Some(format!("{name}: not looked at yet")) };
    not_as_asked(status).map(|why| format!("{name}: {why}"))
}

/// Why a sandbox is not what its spec asks for: ready, or suspended, or over, and up to date.
fn not_as_asked(status: &SandboxStatus) -> Option<String> {
    for (type_, at_rest) in [
        ("Ready", &["SandboxSuspended", "SandboxExpired", "ContainerSucceeded"][..]),
        ("UpToDate", &[][..]),
        ("PermissionsApplied", &["NotChecked"][..]),
    ] {
        let Some(condition) = status.condition(type_) else { continue };
        if condition.status != "True" && !at_rest.contains(&condition.reason.as_str()) {
            let message = &condition.message;
            return Some(format!(
                "{type_} is {}: {}: {message}",
                condition.status, condition.reason
            ));
        }
    }
    let suspended = status.condition("Suspended");
    if suspended.is_some_and(|condition| condition.reason == "ContainerStopping") {
        return Some("it is being suspended".to_owned());
    }
    None
}
