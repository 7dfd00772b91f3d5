//! Which sandboxes want a look: a set of names with a stream.
//!
//! Owns the coalescing between what wakes (files, engine events, timers, the resync) and the work queue.
//! It does not know why somebody woke: a reconcile looks at everything anyway.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::Stream;

/// Wakes sandboxes. Clones feed the same stream.
///
/// Waking never blocks and never fails. What waits is a set, so its size is bounded by the number of
/// distinct names, however often each is woken.
#[derive(Clone, Debug)]
pub struct Triggers(Arc<Mutex<Queue>>);

/// The names that were woken, each once until it is yielded, in the order of their first wake.
#[derive(Debug)]
pub struct TriggerStream(Arc<Mutex<Queue>>);

/// Everything is under one lock, the consumer's waker included. A wake therefore either comes before the
/// consumer looks, which then sees the name, or after it left its waker behind, which is then called.
#[derive(Debug, Default)]
struct Queue {
    order: VecDeque<Arc<str>>,
    waiting: HashSet<Arc<str>>,
    closed: bool,
    consumer: Option<Waker>,
}

impl Triggers {
    /// An empty set and its stream.
    #[must_use]
    pub fn new() -> (Self, TriggerStream) {
        let queue = Arc::new(Mutex::new(Queue::default()));
        (Self(Arc::clone(&queue)), TriggerStream(queue))
    }

    /// Asks for a look at this sandbox. A name that waits already waits once; a name that was yielded
    /// before, and is perhaps being looked at now, is yielded again. After [`Self::close`]: nothing.
    pub fn wake(&self, name: &str) {
        let consumer = {
            let mut queue = lock(&self.0);
            if queue.closed || queue.waiting.contains(name) {
                return;
            }
            let name: Arc<str> = name.into();
            queue.waiting.insert(Arc::clone(&name));
            queue.order.push_back(name);
            queue.consumer.take()
        };
        // Outside the lock: a waker may run arbitrary code, a poll of the stream included.
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }

    /// Ends the stream at once. What waits is dropped: whoever starts next looks at everything.
    pub fn close(&self) {
        let consumer = {
            let mut queue = lock(&self.0);
            std::mem::replace(&mut *queue, Queue { closed: true, ..Queue::default() }).consumer
        };
        if let Some(consumer) = consumer {
            consumer.wake();
        }
    }
}

impl Stream for TriggerStream {
    type Item = String;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<String>> {
        let mut queue = lock(&self.0);
        if let Some(name) = queue.order.pop_front() {
            queue.waiting.remove(&name);
            return Poll::Ready(Some(name.as_ref().to_owned()));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        queue.consumer = Some(context.waker().clone());
        Poll::Pending
    }
}

/// No code under this lock can leave the queue half changed, so a panic elsewhere changes nothing.
fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};

    use super::*;

    fn ready(stream: &mut TriggerStream) -> Vec<String> {
        std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
    }

    #[test]
    fn names_come_once_each_in_the_order_of_their_first_wake() {
        let (triggers, mut stream) = Triggers::new();
        for name in ["b", "a", "b", "c", "a"] {
            triggers.wake(name);
        }
        assert_eq!(ready(&mut stream), ["b", "a", "c"]);
    }

    #[test]
    fn a_wake_while_a_name_is_looked_at_yields_it_again() {
        let (triggers, mut stream) = Triggers::new();
        triggers.wake("a");
        assert_eq!(ready(&mut stream), ["a"]);
        triggers.wake("a");
        assert_eq!(ready(&mut stream), ["a"]);
    }

    #[test]
    fn an_endless_burst_takes_the_room_of_its_distinct_names() {
        let (triggers, _stream) = Triggers::new();
        for round in 0..10_000 {
            triggers.wake(if round % 2 == 0 { "a" } else { "b" });
        }
        let queue = lock(&triggers.0);
        assert_eq!((queue.order.len(), queue.waiting.len()), (2, 2));
    }

    #[tokio::test]
    async fn closing_ends_a_stream_that_somebody_waits_for() {
        let (triggers, mut stream) = Triggers::new();
        let (next, ()) = tokio::join!(stream.next(), async { triggers.close() });
        assert_eq!(next, None);
    }

    #[test]
    fn closing_drops_what_waits_and_every_later_wake() {
        let (triggers, mut stream) = Triggers::new();
        triggers.wake("a");
        triggers.close();
        triggers.wake("b");
        assert_eq!(stream.next().now_or_never(), Some(None));
    }

    /// Every thread raises its own counter and then wakes; whoever is yielded a name takes the counter.
    /// A lost wake leaves a counter that nobody takes, and the consumer waits for ever.
    #[test]
    fn no_wake_of_many_threads_is_lost() {
        use std::sync::atomic::{AtomicU64, Ordering};
        const THREADS: usize = 8;
        const WAKES: u64 = 5_000;

        let (triggers, mut stream) = Triggers::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let pending: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
        let taken = std::thread::scope(|scope| {
            for (number, counter) in pending.iter().enumerate() {
                let triggers = triggers.clone();
                scope.spawn(move || {
                    for _ in 0..WAKES {
                        counter.fetch_add(1, Ordering::SeqCst);
                        triggers.wake(&number.to_string());
                    }
                });
            }
            let all = WAKES * u64::try_from(THREADS).unwrap();
            runtime.block_on(async {
                let mut taken = 0;
                while taken < all {
                    let number: usize = stream.next().await.unwrap().parse().unwrap();
                    taken += pending[number].swap(0, Ordering::SeqCst);
                }
                taken
            })
        });
        assert_eq!(taken, WAKES * u64::try_from(THREADS).unwrap());
        assert!(pending.iter().all(|counter| counter.load(Ordering::SeqCst) == 0));
    }
}
