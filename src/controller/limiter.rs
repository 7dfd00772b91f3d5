//! How many calls of one kind run at once, without letting hung calls stop the others.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

/// A bound on concurrency that gives way after a while.
///
/// An engine is fastest with a few calls at a time, so a burst queues here. A queue behind calls that hang
/// would pass their delay on to healthy sandboxes, so nobody waits longer than the patience: the bound is
/// a courtesy to the engine, and nothing relies on it for safety.
#[derive(Debug)]
pub struct Limiter {
    permits: Semaphore,
    patience: Duration,
}

impl Limiter {
    /// So many at once (at least one); whoever has waited for `patience` goes ahead anyway.
    #[must_use]
    pub fn new(concurrency: usize, patience: Duration) -> Self {
        Self { permits: Semaphore::new(concurrency.max(1)), patience }
    }

    /// Waits for a turn. Keep the permit for as long as the call runs; `None` means that patience ran out.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        timeout(self.patience, self.permits.acquire()).await.ok().and_then(Result::ok)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_does_not_stop_the_next() {
        let limiter = Limiter::new(1, Duration::from_secs(2));
        let hung = limiter.turn().await;
        assert!(hung.is_some());
        assert!(limiter.turn().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_is_passed_on_when_a_call_ends() {
        let limiter = Limiter::new(1, Duration::from_secs(2));
        let first = limiter.turn().await;
        let mut second = Box::pin(limiter.turn());
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        assert!(second.await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_concurrency_of_zero_is_one() {
        assert!(Limiter::new(0, Duration::from_secs(2)).turn().await.is_some());
    }
}
