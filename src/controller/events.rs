//! Engine events → wakes. Keeps the event stream connected and drained.
//!
//! An event is never a fact to act on: it says which container to look at again and which sandbox to
//! wake. Draining never waits for anything else, because an engine whose events are not read loses them
//! and slows down. Lists, conditions and readiness are not its business; [`EngineHealth`] is what it knows.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::engine::{Engine, EngineError, EngineEvent};
use crate::plan::ownership::Identity;

use super::observe::Observer;
use super::triggers::Triggers;

/// First wait before connecting again.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// Longest wait before connecting again.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// A connection that lasted this long was a good one: after it, waits start small again.
const GOOD_CONNECTION: Duration = Duration::from_mins(1);
/// A stream can freeze without an error, and a quiet engine looks the same. After so much silence it is
/// connected anew, which costs what a resync costs; until then the resync finds what was missed.
const LONGEST_SILENCE: Duration = Duration::from_mins(5);

/// Whether the engine answers, as far as its event stream tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineHealth {
    /// Not connected yet, and nothing went wrong yet.
    Connecting,
    /// Events arrive.
    Connected {
        /// Since when.
        since: Timestamp,
    },
    /// The connection is lost or cannot be made.
    Failing {
        /// Since when.
        since: Timestamp,
        /// The last error, in the engine's words.
        message: String,
    },
}

impl EngineHealth {
    /// Whether events arrive.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}

/// Everything that the event pump works with.
pub struct Pump {
    engine: Arc<dyn Engine>,
    identity: Identity,
    observer: Arc<Observer>,
    triggers: Triggers,
    wake_all: Box<dyn Fn() + Send + Sync>,
    health: watch::Sender<EngineHealth>,
}

impl Pump {
    /// A pump, and what it knows of the engine. `wake_all` wakes every sandbox; it must not block.
    #[must_use]
    pub fn new(
        engine: Arc<dyn Engine>,
        identity: Identity,
        observer: Arc<Observer>,
        triggers: Triggers,
        wake_all: impl Fn() + Send + Sync + 'static,
    ) -> (Self, watch::Receiver<EngineHealth>) {
        let (health, reader) = watch::channel(EngineHealth::Connecting);
        let wake_all = Box::new(wake_all);
        (Self { engine, identity, observer, triggers, wake_all, health }, reader)
    }

    /// Runs until `shutdown`. Dropping it at any point loses events and nothing else.
    pub async fn run(self, shutdown: CancellationToken) {
        // Ends only by the token, so the pump is dropped at whatever await it is.
        shutdown.run_until_cancelled(self.pump()).await;
    }

    async fn pump(&self) {
        let mut attempt = 0;
        loop {
            let began = Instant::now();
            let end = self.connect_and_drain().await;
            if began.elapsed() >= GOOD_CONNECTION {
                attempt = 0;
            }
            if let End::Broken(error) = end {
                self.observer.set_events_live(false);
                self.report_failing(&error);
                sleep(backoff(attempt, fastrand::f64())).await;
                attempt += 1;
            }
        }
    }

    /// One connection, from the subscription to its end. The order makes that nothing is missed: what
    /// happens after the subscription is in the stream, and everything before is looked at anew.
    async fn connect_and_drain(&self) -> End {
        let stream = match self.engine.events().await {
            Ok(stream) => stream,
            Err(error) => return End::Broken(error),
        };
        self.observer.set_events_live(true);
        self.report_connected();
        (self.wake_all)();
        self.drain(stream).await
    }

    async fn drain(&self, mut stream: BoxStream<'static, Result<EngineEvent, EngineError>>) -> End {
        loop {
            match timeout(LONGEST_SILENCE, stream.next()).await {
                Ok(Some(Ok(event))) => self.take(&event),
                Ok(Some(Err(error))) => return End::Broken(error),
                Ok(None) => {
                    return End::Broken(EngineError::Unreachable(
                        "the engine closed the event stream".to_owned(),
                    ));
                }
                Err(_) => return End::Silent,
            }
        }
    }

    /// Invalidates first and wakes second, so that whoever is woken sees what happened.
    fn take(&self, event: &EngineEvent) {
        if changes_nothing(&event.action) {
            return;
        }
        let observed_for = self.observer.invalidate(&event.container);
        let holds_name_of = self.identity.place(&event.name).map(|(sandbox, _)| sandbox);
        let concerned = [observed_for, event.sandbox.clone(), holds_name_of];
        for sandbox in concerned.into_iter().flatten() {
            self.triggers.wake(&sandbox);
        }
    }

    fn report_connected(&self) {
        let was_failing = matches!(*self.health.borrow(), EngineHealth::Failing { .. });
        if was_failing {
            tracing::info!("the engine's events arrive again");
        }
        self.health.send_if_modified(|health| {
            let news = !health.is_connected();
            if news {
                *health = EngineHealth::Connected { since: clock::now() };
            }
            news
        });
    }

    fn report_failing(&self, error: &EngineError) {
        let message = error.to_string();
        self.health.send_if_modified(|health| match health {
            EngineHealth::Failing { message: known, .. } => {
                let news = *known != message;
                known.clone_from(&message);
                news
            }
            EngineHealth::Connecting | EngineHealth::Connected { .. } => {
                tracing::warn!(error = %message, "the engine's events do not arrive");
                *health = EngineHealth::Failing { since: clock::now(), message: message.clone() };
                true
            }
        });
    }
}

/// How a connection ended.
enum End {
    /// With an error: wait, then connect again.
    Broken(EngineError),
    /// It was silent for long: connect again at once.
    Silent,
}

/// What probes, permission checks and people at a terminal cause: waking for it would make every probe
/// the cause of a pass, whose checks cause the next.
fn changes_nothing(action: &str) -> bool {
    const NOISE: [&str; 11] = [
        "archive-path",
        "attach",
        "commit",
        "copy",
        "detach",
        "export",
        "extract-to-dir",
        "health_status",
        "prune",
        "resize",
        "top",
    ];
    // Docker appends detail after a colon: `exec_create: sh -c …`, `health_status: healthy`.
    let verb = action.split(':').next().unwrap_or(action);
    verb.starts_with("exec_") || NOISE.contains(&verb)
}

/// Doubling from [`FIRST_DELAY`] to [`LONGEST_DELAY`], less up to half of it by `jitter` in 0…1.
fn backoff(attempt: u32, jitter: f64) -> Duration {
    let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(attempt)).min(LONGEST_DELAY);
    delay.mul_f64(1.0 - jitter / 2.0)
}

#[cfg(test)]
mod tests;
