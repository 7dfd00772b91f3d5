//! The loop: what the directories declare and what the engine reports, brought together one sandbox at a
//! time on kube-runtime's queue.
//!
//! [`feed`] keeps the store of declared sandboxes, [`events`] and the timers only wake names
//! ([`triggers`]), and kube-runtime's applier calls [`reconcile`] for each of them: never twice at once
//! for one sandbox, at most [`CONCURRENT_RECONCILES`] in all. Everything that decides is in
//! [`crate::plan`].

pub mod events;
pub mod execute;
pub mod facts;
pub mod feed;
pub mod host;
pub mod limiter;
pub mod observe;
pub mod permissions;
pub mod probes;
pub mod pulls;
pub mod reconcile;
mod refusals;
pub mod report;
pub mod resync;
pub mod sweep;
pub mod triggers;

#[cfg(test)]
mod model;
#[cfg(test)]
pub(crate) mod stub_engine;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, Stream, StreamExt};
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{ObjectRef, Store};
use kube_runtime::applier;
use kube_runtime::controller::{Error, ReconcileReason, ReconcileRequest};

use crate::source::Declared;
use crate::systemd;
use reconcile::{Context, ReconcileError};

/// Reconciles under way at once. Most of them wait (for a stop's grace, for a turn to start), and what
/// loads the engine has its own, smaller limit; so this is only a bound on memory.
const CONCURRENT_RECONCILES: u16 = 512;
/// A name that no sandbox can have. Woken by a timer and seen again here, it proves that the loop goes
/// round.
pub const HEARTBEAT: &str = "~heartbeat";
/// First delay after a reconcile that failed for want of an engine.
const FIRST_RETRY: Duration = Duration::from_millis(500);
/// Longest delay after a reconcile that failed.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Runs until the triggers are closed and every reconcile under way has ended.
pub async fn run(
    context: Arc<Context>,
    store: Store<Declared>,
    triggers: impl Stream<Item = String> + Send + 'static,
) {
    let queue = triggers.map(|name| {
        Ok::<_, Infallible>(ReconcileRequest {
            obj_ref: ObjectRef::new(&name),
            reason: ReconcileReason::Unknown,
        })
    });
    let config = Config::default().concurrency(CONCURRENT_RECONCILES);
    let reconciles = applier(
        |declared, context: Arc<Context>| guarded(declared, context).boxed(),
        |declared, error, context| retry(&declared, error, &context),
        context,
        store,
        queue,
        config,
    );
    // The results were reported where they arose; here the stream is driven, and its pulse told.
    reconciles
        .for_each(|result| {
            if let Err(Error::ObjectNotFound(object)) = result
                && object.name == HEARTBEAT
            {
                systemd::ping();
            }
            std::future::ready(())
        })
        .await;
}

/// One reconcile as a task of its own: a panic costs this sandbox only, and the queue is never blocked.
async fn guarded(declared: Arc<Declared>, context: Arc<Context>) -> Result<Action, ReconcileError> {
    let name = declared.name().to_owned();
    let task = reconcile::reconcile(Arc::clone(&declared), Arc::clone(&context));
    let result = match context.tracker.spawn(task).await {
        Ok(result) => result,
        Err(panic) => {
            let error = ReconcileError::Panicked(panic.to_string());
            if let Err(unwritable) = report::publish_unknown(&context, &declared, &error) {
                tracing::warn!(sandbox = name, error = %unwritable, "The status could not be written.");
            }
            Err(error)
        }
    };
    context.note_planned(&name);
    match &result {
        Ok(_) => context.forgive(&name),
        Err(error @ ReconcileError::State(_)) => {
            tracing::warn!(
                sandbox = name,
                %error,
                "The sandbox is looked after, but what is known of it cannot be written."
            );
        }
        Err(error) => {
            tracing::warn!(sandbox = name, %error, "The sandbox could not be reconciled.");
        }
    }
    result
}

fn retry(declared: &Declared, _error: &ReconcileError, context: &Context) -> Action {
    let failures = context.blame(declared.name());
    let delay = FIRST_RETRY.saturating_mul(1 << failures.min(16)).min(LONGEST_RETRY);
    Action::requeue(delay.mul_f64(1.0 + fastrand::f64() / 4.0))
}
