//! Who waits for which image and where its pull stands. No I/O and no clock.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::engine::EngineError;
use crate::plan::PullView;

/// Wait after the first failure; it doubles with each.
const FIRST: Duration = Duration::from_secs(10);

/// Longest wait, Kubernetes' own for images.
const LONGEST: Duration = Duration::from_mins(5);

/// The book. `T` is what comes with a pull's task and is dropped to end it.
#[derive(Debug)]
pub(super) struct Book<T> {
    pulls: HashMap<String, Pull<T>>,
    /// What each sandbox asked for.
    wanted: HashMap<String, Wanted>,
}

#[derive(Debug)]
struct Wanted {
    image: String,
    done: bool,
}

#[derive(Debug)]
struct Pull<T> {
    waiters: BTreeSet<String>,
    phase: Phase,
    failures: u32,
    _task: T,
}

#[derive(Debug)]
enum Phase {
    /// Waits for a place in the pool.
    Queued,
    /// The engine pulls.
    Running(watch::Receiver<String>),
    /// Waits for the end of a back-off.
    Failed { message: String, retry_at: Timestamp },
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// From now.
    pub after: Duration,
}

impl<T> Default for Book<T> {
    fn default() -> Self {
        Self { pulls: HashMap::new(), wanted: HashMap::new() }
    }
}

impl<T> Book<T> {
    /// Notes a request; true when a task must be begun for the image, which `task` stands for.
    pub(super) fn request(&mut self, sandbox: &str, image: &str, task: impl FnOnce() -> T) -> bool {
        if self.wanted.get(sandbox).is_some_and(|wanted| wanted.image == image) {
            return false;
        }
        self.forget(sandbox);
        let wanted = Wanted { image: image.to_owned(), done: false };
        self.wanted.insert(sandbox.to_owned(), wanted);
        if let Some(pull) = self.pulls.get_mut(image) {
            pull.waiters.insert(sandbox.to_owned());
            return false;
        }
        let waiters = BTreeSet::from([sandbox.to_owned()]);
        let pull = Pull { waiters, phase: Phase::Queued, failures: 0, _task: task() };
        self.pulls.insert(image.to_owned(), pull);
        true
    }

    pub(super) fn view(&self, sandbox: &str, image: &str, now: Timestamp) -> PullView {
        let wanted = self.wanted.get(sandbox).filter(|wanted| wanted.image == image);
        match wanted {
            None => PullView::NotNeeded,
            Some(wanted) if wanted.done => PullView::Done,
            Some(_) => self.pulls.get(image).map_or(PullView::Needed, |pull| pull.view(now)),
        }
    }

    pub(super) fn consume(&mut self, sandbox: &str, image: &str) {
        let used = |wanted: &Wanted| wanted.done && wanted.image == image;
        if self.wanted.get(sandbox).is_some_and(used) {
            self.wanted.remove(sandbox);
        }
    }

    pub(super) fn forget(&mut self, sandbox: &str) {
        let Some(wanted) = self.wanted.remove(sandbox) else { return };
        let Some(pull) = self.pulls.get_mut(&wanted.image) else { return };
        pull.waiters.remove(sandbox);
        if pull.waiters.is_empty() {
            self.pulls.remove(&wanted.image);
        }
    }

    /// The engine pulls now.
    pub(super) fn begun(&mut self, image: &str, progress: watch::Receiver<String>) {
        if let Some(pull) = self.pulls.get_mut(image) {
            pull.phase = Phase::Running(progress);
        }
    }

    /// A back-off is over. Returns who waits.
    pub(super) fn queued(&mut self, image: &str) -> Vec<String> {
        let Some(pull) = self.pulls.get_mut(image) else { return Vec::new() };
        pull.phase = Phase::Queued;
        pull.waiters.iter().cloned().collect()
    }

    /// A pull has ended. Returns who waits, and when to try again if it failed. `random` is from 0 to 1.
    pub(super) fn finished(
        &mut self,
        image: &str,
        error: Option<&EngineError>,
        now: Timestamp,
        random: f64,
    ) -> (Vec<String>, Option<Retry>) {
        let Some(error) = error else { return (self.succeeded(image), None) };
        let Some(pull) = self.pulls.get_mut(image) else { return (Vec::new(), None) };
        pull.failures = pull.failures.saturating_add(1);
        let after = back_off(pull.failures, random);
        let span = SignedDuration::try_from(after).unwrap_or_default();
        let retry_at = now.saturating_add(span).unwrap_or(Timestamp::MAX);
        pull.phase = Phase::Failed { message: error.to_string(), retry_at };
        (pull.waiters.iter().cloned().collect(), Some(Retry { after }))
    }

    fn succeeded(&mut self, image: &str) -> Vec<String> {
        let Some(pull) = self.pulls.remove(image) else { return Vec::new() };
        for sandbox in &pull.waiters {
            if let Some(wanted) = self.wanted.get_mut(sandbox) {
                wanted.done = true;
            }
        }
        pull.waiters.into_iter().collect()
    }
}

impl<T> Pull<T> {
    fn view(&self, now: Timestamp) -> PullView {
        let in_progress = |message: &str| PullView::InProgress { message: message.to_owned() };
        match &self.phase {
            Phase::Queued => in_progress("waiting for other pulls"),
            Phase::Running(progress) => in_progress(&progress.borrow()),
            Phase::Failed { retry_at, .. } if *retry_at <= now => in_progress("about to try again"),
            Phase::Failed { message, retry_at } => {
                PullView::Failed { message: message.clone(), retry_at: *retry_at }
            }
        }
    }
}

/// Wait after the nth failure in a row, give or take a tenth, so that many hosts do not ask in step.
fn back_off(failures: u32, random: f64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let base = FIRST.saturating_mul(1 << doublings).min(LONGEST);
    base.mul_f64(0.9 + 0.2 * random).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "busybox:1";

    fn book() -> Book<()> {
        Book::default()
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn error() -> EngineError {
        EngineError::ImageMissing("manifest unknown".to_owned())
    }

    fn fail(book: &mut Book<()>) -> Duration {
        book.finished(IMAGE, Some(&error()), now(), 0.5).1.unwrap().after
    }

    #[test]
    fn one_pull_serves_all_who_wait() {
        let mut book = book();
        assert!(book.request("a", IMAGE, || ()));
        assert!(!book.request("b", IMAGE, || ()));
        assert!(!book.request("a", IMAGE, || ()));
        let (waiters, retry) = book.finished(IMAGE, None, now(), 0.5);
        assert_eq!((waiters, retry), (vec!["a".to_owned(), "b".to_owned()], None));
        assert_eq!(book.view("a", IMAGE, now()), PullView::Done);
        assert_eq!(book.view("b", IMAGE, now()), PullView::Done);
    }

    #[test]
    fn done_is_reported_to_each_until_it_is_consumed() {
        let mut book = book();
        book.request("a", IMAGE, || ());
        book.request("b", IMAGE, || ());
        book.consume("a", IMAGE);
        book.finished(IMAGE, None, now(), 0.5);
        assert!(!book.request("a", IMAGE, || ()), "it is there already");
        book.consume("a", IMAGE);
        assert_eq!(book.view("a", IMAGE, now()), PullView::NotNeeded);
        assert_eq!(book.view("b", IMAGE, now()), PullView::Done);
        assert!(book.request("a", IMAGE, || ()), "a later creation pulls again");
    }

    #[test]
    fn progress_is_the_engines() {
        let mut book = book();
        book.request("a", IMAGE, || ());
        let (progress, seen) = watch::channel("layer 1".to_owned());
        book.begun(IMAGE, seen);
        progress.send_replace("layer 2".to_owned());
        let message = "layer 2".to_owned();
        assert_eq!(book.view("a", IMAGE, now()), PullView::InProgress { message });
    }

    #[test]
    fn a_failure_says_why_and_when_it_is_tried_again() {
        let mut book = book();
        book.request("a", IMAGE, || ());
        let after = fail(&mut book);
        let retry_at = now() + SignedDuration::try_from(after).unwrap();
        let message = "manifest unknown".to_owned();
        assert_eq!(book.view("a", IMAGE, now()), PullView::Failed { message, retry_at });
        assert!(matches!(book.view("a", IMAGE, retry_at), PullView::InProgress { .. }));
        assert_eq!(book.queued(IMAGE), ["a"]);
        assert!(matches!(book.view("a", IMAGE, now()), PullView::InProgress { .. }));
    }

    #[test]
    fn an_edit_of_the_image_does_not_wait_for_the_old_back_off() {
        let mut book = book();
        book.request("a", IMAGE, || ());
        fail(&mut book);
        assert!(book.request("a", "busybox:2", || ()));
        assert!(matches!(book.view("a", "busybox:2", now()), PullView::InProgress { .. }));
        assert_eq!(book.view("a", IMAGE, now()), PullView::NotNeeded);
    }

    #[test]
    fn whoever_joins_a_failing_pull_waits_with_the_others() {
        let mut book = book();
        book.request("a", IMAGE, || ());
        fail(&mut book);
        assert!(!book.request("b", IMAGE, || ()));
        assert!(matches!(book.view("b", IMAGE, now()), PullView::Failed { .. }));
    }

    #[test]
    fn a_pull_is_given_up_with_its_last_waiter() {
        let task = std::sync::Arc::new(());
        let mut book = Book::default();
        for sandbox in ["a", "b"] {
            book.request(sandbox, IMAGE, || std::sync::Arc::clone(&task));
        }
        book.forget("a");
        assert_eq!(std::sync::Arc::strong_count(&task), 2);
        book.forget("b");
        assert_eq!(std::sync::Arc::strong_count(&task), 1);
        assert_eq!(book.finished(IMAGE, Some(&error()), now(), 0.5), (vec![], None));
    }

    #[test]
    fn back_off_doubles_to_its_cap_give_or_take_a_tenth() {
        let mut book = book();
        book.request("a", IMAGE, || ());
        let waits: Vec<u64> = (0..7).map(|_| fail(&mut book).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(back_off(1, 0.0), Duration::from_secs(9));
        assert_eq!(back_off(1, 1.0), Duration::from_secs(11));
        assert_eq!(back_off(u32::MAX, 1.0), LONGEST);
    }
}
