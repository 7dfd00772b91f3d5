//! One list for a burst of callers, never older than the call of any of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::EngineError;

use super::snapshot::Snapshot;

/// The engine's list, fetched by one caller at a time for all who wait.
#[derive(Debug, Default)]
pub(super) struct SharedList {
    /// Number of the last list that was begun.
    begun: AtomicU64,
    last: tokio::sync::Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    /// Number of the list that gave `answer`.
    number: u64,
    answer: Option<Result<Arc<Snapshot>, EngineError>>,
    /// The last list that could be read: what must be explained when it is missing from the next.
    good: Option<Arc<Snapshot>>,
}

impl SharedList {
    /// A list that was begun after this call was. `fetch` gets the last one that could be read.
    ///
    /// A caller notes the number of the last list begun and then queues for the lock. When its turn comes
    /// and a list with a higher number has ended meanwhile, that one began after the caller came and is its
    /// answer; otherwise it fetches the next for itself and everybody behind it. A caller that comes while
    /// a list is under way notes that list's number, so it waits for the next. A caller that is dropped
    /// in the middle leaves a number that no answer bears, which harms nobody.
    pub(super) async fn fresh<Fetch, Answer>(
        &self,
        fetch: Fetch,
    ) -> Result<Arc<Snapshot>, EngineError>
    where
        Fetch: FnOnce(Option<Arc<Snapshot>>) -> Answer,
        Answer: Future<Output = Result<Snapshot, EngineError>>,
    {
        let noted = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some(answer) = last.answer.as_ref().filter(|_| last.number > noted) {
            return answer.clone();
        }
        // Callers of one burst become runnable together: let them all arrive before the list begins.
        tokio::task::yield_now().await;
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = fetch(last.good.clone()).await.map(Arc::new);
        if let Ok(snapshot) = &answer {
            last.good = Some(Arc::clone(snapshot));
        }
        last.number = number;
        last.answer = Some(answer.clone());
        answer
    }
}
