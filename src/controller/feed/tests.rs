mod room;

use std::path::PathBuf;

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use kube::runtime::reflector;

use super::*;
use crate::controller::triggers::TriggerStream;
use crate::sandbox::{Sandbox, SandboxSpec};
use crate::source::Provenance;

/// A feed and everything around it.
struct Bench {
    feed: Feed,
    inputs: Inputs,
    store: Store<Declared>,
    woken: TriggerStream,
    events: mpsc::Sender<Event<Declared>>,
    source_reports: watch::Sender<Reports>,
    reports: watch::Receiver<Reports>,
    strays: mpsc::Sender<Declared>,
    forget: mpsc::Sender<Forget>,
    to_source: mpsc::Sender<Forget>,
    forgotten: mpsc::Receiver<Forget>,
}

fn bench() -> Bench {
    let (store, writer) = reflector::store();
    let (triggers, woken) = Triggers::new();
    let (events, event_inputs) = mpsc::channel(16);
    let (source_reports, report_inputs) = watch::channel(Reports::default());
    let (report_sender, reports) = watch::channel(Reports::default());
    let (strays, stray_inputs) = mpsc::channel(16);
    let (forget, forget_inputs) = mpsc::channel(16);
    let (to_source, forgotten) = mpsc::channel(16);
    let feed = Feed::new(writer, triggers, watch::Sender::new(false), report_sender);
    let inputs = Inputs {
        events: event_inputs,
        reports: report_inputs,
        strays: stray_inputs,
        forget: forget_inputs,
    };
    Bench {
        feed,
        inputs,
        store,
        woken,
        events,
        source_reports,
        reports,
        strays,
        forget,
        to_source,
        forgotten,
    }
}

fn declared(name: &str, uid: &str) -> Declared {
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        uid: Some(uid.to_owned()),
        ..ObjectMeta::default()
    };
    let sandbox = Sandbox { metadata, spec: SandboxSpec::default(), status: None };
    let provenance = Provenance { file: PathBuf::from("/specs/web.yaml"), document: 1 };
    Declared { sandbox, provenance, notices: Vec::new(), stale: None, excess: None }
}

fn forget(name: &str, uid: &str) -> Forget {
    Forget { name: name.to_owned(), uid: uid.to_owned() }
}

fn stray(name: &str, uid: &str) -> Declared {
    Declared::stray(name.to_owned(), uid.to_owned(), Timestamp::UNIX_EPOCH)
}

impl Bench {
    async fn declare(&self, all: &[Declared]) {
        self.events.send(Event::Init).await.unwrap();
        for declared in all {
            self.events.send(Event::InitApply(declared.clone())).await.unwrap();
        }
        self.events.send(Event::InitDone).await.unwrap();
    }

    /// Lets the feed take what is there, and ends it.
    async fn run(self) -> (Store<Declared>, Vec<String>, mpsc::Receiver<Forget>) {
        let Bench { feed, inputs, store, mut woken, events, to_source, forgotten, .. } = self;
        let mut run = Box::pin(feed.run(inputs, to_source));
        assert_eq!(run.as_mut().now_or_never(), None);
        drop(events);
        run.await;
        let names = std::iter::from_fn(|| woken.next().now_or_never().flatten()).collect();
        (store, names, forgotten)
    }
}

fn names(store: &Store<Declared>) -> Vec<String> {
    let mut names: Vec<String> = store.state().iter().map(|it| it.name().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn whoever_sees_a_report_sees_everything_that_was_told_before_it() {
    // Often, since the feed takes what is ready in no certain order.
    for _ in 0..50 {
        let bench = bench();
        bench.declare(&[declared("a", "1"), declared("b", "1")]).await;
        bench.events.send(Event::Apply(declared("c", "1"))).await.unwrap();
        bench.source_reports.send_replace(Reports { complete: true, ..Reports::default() });
        let (store, mut reports) = (bench.store.clone(), bench.reports.clone());
        let see = async {
            reports.wait_for(|reports| reports.complete).await.unwrap();
            assert_eq!(names(&store), ["a", "b", "c"]);
        };
        let run = bench.feed.run(bench.inputs, bench.to_source);
        tokio::select! {
            biased;
            () = see => {}
            () = run => panic!("the source has not ended"),
        }
    }
}

#[tokio::test]
async fn the_last_report_of_a_source_is_passed_on() {
    let bench = bench();
    let reports = bench.reports.clone();
    bench.source_reports.send_replace(Reports { persisted: true, ..Reports::default() });
    bench.run().await;
    assert!(reports.borrow().persisted);
}

#[tokio::test]
async fn what_is_declared_is_in_the_store_and_woken() {
    let bench = bench();
    bench.declare(&[declared("a", "1")]).await;
    bench.events.send(Event::Apply(declared("b", "1"))).await.unwrap();
    let (store, woken, _) = bench.run().await;
    assert_eq!(names(&store), ["a", "b"]);
    assert_eq!(woken, ["a", "b"]);
}

#[tokio::test]
async fn a_stray_gets_a_tombstone_that_goes_when_it_is_cleaned_up() {
    let bench = bench();
    bench.declare(&[]).await;
    let store = bench.store.clone();
    let Bench { feed, inputs, events, strays, forget: cleaned, to_source, mut forgotten, .. } =
        bench;
    let mut run = Box::pin(feed.run(inputs, to_source));
    assert_eq!(run.as_mut().now_or_never(), None);
    strays.send(stray("lost", "9")).await.unwrap();
    assert_eq!(run.as_mut().now_or_never(), None);
    assert!(store.state()[0].is_tombstone());
    cleaned.send(forget("lost", "9")).await.unwrap();
    assert_eq!(run.as_mut().now_or_never(), None);
    assert_eq!(names(&store), [""; 0]);
    drop(events);
    run.await;
    assert!(forgotten.try_recv().is_err(), "the source knows nothing of it");
}

#[tokio::test]
async fn a_stray_that_is_declared_after_all_is_left_alone() {
    let bench = bench();
    bench.declare(&[declared("web", "1")]).await;
    let store = bench.store.clone();
    let Bench { feed, inputs, strays, events: _events, to_source, .. } = bench;
    let mut run = Box::pin(feed.run(inputs, to_source));
    assert_eq!(run.as_mut().now_or_never(), None);
    strays.send(stray("web", "1")).await.unwrap();
    assert_eq!(run.as_mut().now_or_never(), None);
    assert!(!store.state()[0].is_tombstone());
}

#[tokio::test]
async fn word_of_a_cleaned_up_sandbox_goes_to_the_source() {
    let bench = bench();
    bench.declare(&[declared("web", "1")]).await;
    bench.forget.send(forget("web", "1")).await.unwrap();
    let (_, _, mut forgotten) = bench.run().await;
    assert_eq!(forgotten.try_recv(), Ok(forget("web", "1")));
}
