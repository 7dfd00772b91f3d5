//! Filesystem work off the async threads, with a deadline and a bound.

use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// A thread cannot be killed, so one that hangs on a dead network mount keeps its permit, and at most so
/// many threads are ever lost to such mounts.
static PERMITS: Semaphore = Semaphore::const_new(32);

/// The work did not end in time. It may still run, and its result is dropped.
#[derive(Debug, thiserror::Error)]
#[error("the filesystem did not answer within {0:?}")]
pub struct Overdue(pub Duration);

/// Runs blocking work on a thread made for it and waits no longer than the deadline.
pub async fn blocking<T: Send + 'static>(
    deadline: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Overdue> {
    let end = Instant::now() + deadline;
    let overdue = || Overdue(deadline);
    let permit = timeout_at(end, PERMITS.acquire()).await.map_err(|_| overdue())?;
    let task = tokio::task::spawn_blocking(move || {
        // Held until the work ends, however long nobody has waited for it.
        let _permit = permit;
        work()
    });
    match timeout_at(end, task).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(failed)) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
        // Cancelled: the runtime shuts down.
        Ok(Err(_)) | Err(_) => Err(overdue()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_that_hangs_is_left_behind() {
        let (release, wait) = mpsc::channel::<()>();
        let result = blocking(Duration::from_millis(10), move || wait.recv().is_ok()).await;
        assert!(result.is_err());
        drop(release);
    }

    #[tokio::test]
    async fn the_result_comes_back() {
        assert_eq!(blocking(Duration::from_mins(1), || 7).await.unwrap(), 7);
    }
}
