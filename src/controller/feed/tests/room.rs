//! Nobody waits for anybody: wakes, strays and word of clean-ups.

use std::sync::Mutex;
use std::task::{Context, Wake, Waker};

use futures::StreamExt;
use kube::runtime::reflector;

use crate::controller::feed::*;
use crate::controller::triggers::TriggerStream;
use crate::plan::testing::at;

fn feed() -> (Feed, TriggerStream, Store<Declared>) {
    let (store, writer) = reflector::store();
    let (triggers, stream) = Triggers::new();
    (
        Feed::new(writer, triggers, watch::Sender::new(false), watch::Sender::default()),
        stream,
        store,
    )
}

fn stray(name: &str) -> Declared {
    Declared::stray(name.to_owned(), "uid".to_owned(), at(0))
}

fn forget(name: &str) -> Forget {
    Forget { name: name.to_owned(), uid: "uid".to_owned() }
}

/// Notes, at the moment of the wake, what the store knows of a name.
struct Look(Store<Declared>, Mutex<Option<bool>>);

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        *self.1.lock().unwrap() = Some(self.0.get(&ObjectRef::new("web")).is_some());
    }
}

#[test]
fn whoever_is_woken_for_a_stray_finds_it_in_the_store() {
    let (mut feed, mut stream, store) = feed();
    let look = Arc::new(Look(store, Mutex::default()));
    let waker = Waker::from(Arc::clone(&look));
    assert!(stream.poll_next_unpin(&mut Context::from_waker(&waker)).is_pending());
    feed.condemn(stray("web"));
    assert_eq!(*look.1.lock().unwrap(), Some(true));
}

#[test]
fn a_stray_that_was_cleaned_up_leaves_the_store_and_the_source_hears_nothing() {
    let (mut feed, _stream, store) = feed();
    feed.condemn(stray("web"));
    feed.forget(forget("web"));
    assert!(store.state().is_empty() && feed.cleaned.is_empty());
}

#[tokio::test]
async fn a_source_without_room_is_told_of_every_clean_up_when_it_has_some() {
    let (feed, _stream, _store) = feed();
    let (to_source, mut source) = mpsc::channel(1);
    let (events, strays) = (mpsc::channel(1), mpsc::channel(1));
    let (cleaned, forgets) = mpsc::channel(8);
    let reports = watch::channel(Reports::default());
    let inputs = Inputs { events: events.1, reports: reports.1, strays: strays.1, forget: forgets };
    let run = feed.run(inputs, to_source);
    let tell = async {
        for name in ["a", "b", "c"] {
            cleaned.send(forget(name)).await.unwrap();
        }
        let mut told = Vec::new();
        while told.len() < 3 {
            tokio::task::yield_now().await;
            told.push(source.recv().await.unwrap().name);
        }
        drop(events.0);
        told
    };
    let ((), told) = tokio::join!(run, tell);
    assert_eq!(told, ["a", "b", "c"]);
}
