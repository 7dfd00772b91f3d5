//! What signals ask of the process, as values that the rest can wait for and tests can make.
//!
//! | signal | first | again |
//! | --- | --- | --- |
//! | SIGTERM, SIGINT (Ctrl-C) | finish what runs, then exit; containers stay | abort |
//! | SIGHUP | look at all specs and all containers now | the same |

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The end of the process.
    Stop,
    /// A look at everything.
    Rescan,
}

/// What has been asked of the process so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Cancelled by the first request to stop: take no new work, finish what runs.
    pub graceful: CancellationToken,
    /// Cancelled by the second: drop everything. What an engine call does then is found out at the next
    /// start.
    pub abort: CancellationToken,
    /// Notified by each request to rescan. Requests while nobody waits count as one.
    pub rescan: Arc<Notify>,
}

impl Shutdown {
    /// Takes one request into account.
    pub fn take(&self, asked: Asked) {
        match asked {
            Asked::Rescan => {
                tracing::info!("asked to look at everything now");
                self.rescan.notify_one();
            }
            Asked::Stop if !self.graceful.is_cancelled() => {
                tracing::info!("asked to stop: finishing what runs; containers stay as they are");
                self.graceful.cancel();
            }
            Asked::Stop => {
                tracing::warn!("asked to stop again: dropping what runs");
                self.abort.cancel();
            }
        }
    }

    /// Takes requests as they come, until the stream ends. The caller owns this future.
    pub async fn follow(self, mut requests: impl Stream<Item = Asked> + Unpin) {
        while let Some(asked) = requests.next().await {
            self.take(asked);
        }
    }
}

/// Requests by signal, from now on. From this call on the signals no longer end the process by
/// themselves, so somebody must follow the stream ([`Shutdown::follow`]).
///
/// Needs a tokio runtime.
pub fn signals() -> std::io::Result<impl Stream<Item = Asked> + Send + Unpin> {
    let requests = [
        requests(SignalKind::terminate(), Asked::Stop)?,
        requests(SignalKind::interrupt(), Asked::Stop)?,
        requests(SignalKind::hangup(), Asked::Rescan)?,
    ];
    Ok(stream::select_all(requests))
}

fn requests(
    kind: SignalKind,
    asked: Asked,
) -> std::io::Result<impl Stream<Item = Asked> + Send + Unpin> {
    let signal = unix::signal(kind)?;
    let next = move |mut signal: unix::Signal| async move {
        signal.recv().await.map(|()| (asked, signal))
    };
    Ok(stream::unfold(signal, next).boxed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_request_to_stop_is_graceful_and_the_second_aborts() {
        let shutdown = Shutdown::default();
        shutdown.take(Asked::Stop);
        assert!(shutdown.graceful.is_cancelled());
        assert!(!shutdown.abort.is_cancelled());
        shutdown.take(Asked::Stop);
        assert!(shutdown.abort.is_cancelled());
    }

    #[tokio::test]
    async fn a_rescan_is_not_lost_while_nobody_waits_and_stops_nothing() {
        let shutdown = Shutdown::default();
        let requests = stream::iter([Asked::Rescan, Asked::Rescan]);
        shutdown.clone().follow(requests).await;
        shutdown.rescan.notified().await;
        assert!(!shutdown.graceful.is_cancelled());
    }

    #[tokio::test]
    async fn signals_of_the_system_arrive_as_requests() {
        let mut requests = signals().unwrap();
        let expected = [
            (rustix::process::Signal::HUP, Asked::Rescan),
            (rustix::process::Signal::TERM, Asked::Stop),
            (rustix::process::Signal::INT, Asked::Stop),
        ];
        for (signal, asked) in expected {
            rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
            assert_eq!(requests.next().await, Some(asked), "{signal:?}");
        }
    }
}
