//! Image pulls in the background: one per image for all who wait, a few at once, with back-off.
//!
//! Owns the running of pulls. Whether an image is needed is the plan's to decide; what a sandbox is told
//! is kept in [`book`], which does no I/O.

mod book;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::engine::{Engine, EngineError};
use crate::plan::PullView;
use crate::sandbox::text::one_line;

use book::{Book, Retry};

/// Called with a sandbox's name when its pull has begun again or ended.
pub type Wake = Arc<dyn Fn(&str) + Send + Sync>;

/// Pulls at once: more only share the network.
const AT_ONCE: usize = 3;

/// Pulls images. Dropping it ends every pull.
pub struct Puller {
    shared: Arc<Shared>,
    tracker: TaskTracker,
}

struct Shared {
    engine: Arc<dyn Engine>,
    wake: Wake,
    pool: Semaphore,
    /// Each pull in the book carries what ends its task when it is dropped from the book.
    book: Mutex<Book<DropGuard>>,
}

impl Puller {
    /// A puller with nothing to do. Tasks are put on the tracker.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, tracker: TaskTracker, wake: Wake) -> Self {
        let shared = Shared { engine, wake, pool: Semaphore::new(AT_ONCE), book: Mutex::default() };
        Self { shared: Arc::new(shared), tracker }
    }

    /// Asks for an image. A sandbox waits for one image at a time: another request replaces the first and
    /// none of its back-off. Asking again for the same changes nothing, also once it is there.
    pub fn request(&self, sandbox: &str, image: &str) {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let begin = lock(&self.shared.book).request(sandbox, image, || stop.drop_guard());
        if begin {
            let pull = pull(Arc::clone(&self.shared), image.to_owned());
            self.tracker.spawn(async move { stopped.run_until_cancelled(pull).await });
        }
    }

    /// Where the pull that this sandbox asked for stands; [`PullView::NotNeeded`] when it asked for none.
    #[must_use]
    pub fn view(&self, sandbox: &str, image: &str, now: Timestamp) -> PullView {
        lock(&self.shared.book).view(sandbox, image, now)
    }

    /// The image was used, so [`PullView::Done`] is no longer reported.
    pub fn consume(&self, sandbox: &str, image: &str) {
        lock(&self.shared.book).consume(sandbox, image);
    }

    /// The sandbox waits for nothing any more. A pull that nobody waits for is given up.
    pub fn forget(&self, sandbox: &str) {
        lock(&self.shared.book).forget(sandbox);
    }

    /// Ends every pull.
    pub fn stop(&self) {
        *lock(&self.shared.book) = Book::default();
    }
}

impl Drop for Puller {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Puller {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Puller").finish_non_exhaustive()
    }
}

/// Pulls one image until it is there or nobody waits for it any more.
async fn pull(shared: Arc<Shared>, image: String) {
    loop {
        let result = once(&shared, &image).await;
        let random = fastrand::f64();
        let (waiters, retry) =
            lock(&shared.book).finished(&image, result.as_ref().err(), clock::now(), random);
        log(&image, &result, retry.as_ref());
        shared.wake_all(&waiters);
        let Some(retry) = retry else { return };
        tokio::time::sleep(retry.after).await;
        let waiters = lock(&shared.book).queued(&image);
        shared.wake_all(&waiters);
    }
}

async fn once(shared: &Shared, image: &str) -> Result<(), EngineError> {
    let _slot = shared.pool.acquire().await;
    let (progress, seen) = watch::channel("the pull has begun".to_owned());
    lock(&shared.book).begun(image, seen);
    shared.engine.pull(image, &progress).await
}

fn log(image: &str, result: &Result<(), EngineError>, retry: Option<&Retry>) {
    let image = one_line(image);
    match result {
        Ok(()) => tracing::info!(image, "The image was pulled."),
        Err(error) => {
            let (error, after) = (error.to_string(), retry.map(|retry| retry.after.as_secs()));
            tracing::warn!(image, error, retry_seconds = after, "The image cannot be pulled.");
        }
    }
}

impl Shared {
    /// Never under the lock: whoever is woken may look at once.
    fn wake_all(&self, waiters: &[String]) {
        for sandbox in waiters {
            (self.wake)(sandbox);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
