//! When things happened, by the engine's event stream as this process receives it: one clock for both
//! sides of the comparison.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures::{Stream, StreamExt};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_mins(2);

type Seen = HashMap<(String, String), Vec<Instant>>;

/// The events of all containers since the subscription.
#[derive(Clone, Default)]
pub(crate) struct Events {
    seen: Arc<Mutex<Seen>>,
    changed: Arc<Notify>,
}

impl Events {
    pub(crate) async fn subscribe(docker: &Docker) -> Self {
        let filters = HashMap::from([("type".to_owned(), vec!["container".to_owned()])]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let events = Self::default();
        tokio::spawn(events.clone().collect(docker.events(Some(options))));
        // The request is under way; a missed event would end the benchmark, not falsify it.
        docker.ping().await.expect("the engine answers");
        events
    }

    /// When this first happened to the container of this name; waits for it.
    pub(crate) async fn first(&self, action: &str, container: &str) -> Instant {
        self.nth(0, action, container).await
    }

    /// When this happened to the container of this name after so many earlier times; waits for it.
    pub(crate) async fn nth(&self, earlier: usize, action: &str, container: &str) -> Instant {
        let key = (action.to_owned(), container.to_owned());
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if let Some(at) = self.look(&key, earlier) {
                    return at;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, wait).await;
        found.unwrap_or_else(|_| panic!("no event {action} of {container} within {PATIENCE:?}"))
    }

    fn look(&self, key: &(String, String), earlier: usize) -> Option<Instant> {
        self.seen.lock().expect("no holder panics").get(key)?.get(earlier).copied()
    }

    async fn collect(
        self,
        stream: impl Stream<Item = Result<EventMessage, bollard::errors::Error>>,
    ) {
        let mut stream = std::pin::pin!(stream);
        while let Some(event) = stream.next().await {
            let at = Instant::now();
            let Ok(event) = event else { continue };
            let attributes = event.actor.and_then(|actor| actor.attributes).unwrap_or_default();
            if let (Some(action), Some(name)) = (event.action, attributes.get("name")) {
                let mut seen = self.seen.lock().expect("no holder panics");
                seen.entry((action, name.clone())).or_default().push(at);
            }
            self.changed.notify_waiters();
        }
    }
}
