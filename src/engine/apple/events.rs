//! Events of an engine that has none: its list is asked for, often after something has changed or was
//! changed by us, and ever more seldom at rest. Whoever else asks for a list finds events for everybody.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::Apple;
use crate::engine::{Call, EngineError, EngineEvent};

/// Between two looks right after a change.
const QUICK: Duration = Duration::from_millis(250);
/// Between two looks at rest.
const SLOW: Duration = Duration::from_secs(5);

/// Begins to watch. The service has answered when this returns.
pub(super) async fn subscribe(
    apple: Apple,
) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
    let events = apple.0.listing.subscribe();
    apple.0.listing.look(&apple.0.cli, Call::Events).await?;
    let acts = apple.0.acts.subscribe();
    let watch = Watch { apple, events, acts, pause: QUICK };
    Ok(stream::unfold(Some(watch), next).boxed())
}

struct Watch {
    apple: Apple,
    events: Receiver<EngineEvent>,
    acts: watch::Receiver<u64>,
    /// Until the next look.
    pause: Duration,
}

/// The next event, and the rest of the stream, which ends with its first error.
async fn next(watch: Option<Watch>) -> Option<(Result<EngineEvent, EngineError>, Option<Watch>)> {
    let mut watch = watch?;
    let mut due = Instant::now() + watch.pause;
    loop {
        // Cancel-safe: what `recv` and `changed` have not returned is still there, and a look that is
        // dropped is made by whoever comes next.
        let looked = tokio::select! {
            biased;
            event = watch.events.recv() => {
                watch.pause = QUICK;
                return Some(match event {
                    Ok(event) => (Ok(event), Some(watch)),
                    Err(RecvError::Lagged(missed)) => (Err(behind(missed)), None),
                    Err(RecvError::Closed) => return None,
                });
            }
            Ok(()) = watch.acts.changed() => {
                watch.pause = QUICK;
                due = due.min(Instant::now() + QUICK);
                continue;
            }
            () = sleep_until(due) => watch.apple.0.listing.look(&watch.apple.0.cli, Call::Events).await,
        };
        if let Err(error) = looked {
            return Some((Err(error), None));
        }
        watch.pause = watch.pause.saturating_mul(2).min(SLOW);
        due = Instant::now() + watch.pause;
    }
}

fn behind(missed: u64) -> EngineError {
    EngineError::Garbled {
        call: Call::Events.name(),
        message: format!("{missed} events were missed"),
    }
}
