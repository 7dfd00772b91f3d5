use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::pending;
use tokio::sync::mpsc;

use crate::controller::probes::stub::StubEngine;

use super::*;

struct Rig {
    puller: Puller,
    tracker: TaskTracker,
    woken: mpsc::UnboundedReceiver<String>,
    pulls: Arc<AtomicUsize>,
}

/// An engine whose first `failures` pulls fail, and which hangs on images named so.
fn rig(failures: usize) -> Rig {
    let (send, woken) = mpsc::unbounded_channel();
    let wake: Wake = Arc::new(move |sandbox: &str| drop(send.send(sandbox.to_owned())));
    let (tracker, pulls) = (TaskTracker::new(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&pulls);
    let engine = StubEngine {
        pull: Box::new(move |image| {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            async move {
                if image.starts_with("hang") {
                    pending::<()>().await;
                }
                if nth < failures {
                    return Err(EngineError::ImageMissing("manifest unknown".to_owned()));
                }
                Ok(())
            }
            .boxed()
        }),
        ..StubEngine::default()
    };
    let puller = Puller::new(Arc::new(engine), tracker.clone(), wake);
    Rig { puller, tracker, woken, pulls }
}

fn view(puller: &Puller, sandbox: &str, image: &str) -> PullView {
    puller.view(sandbox, image, Timestamp::UNIX_EPOCH)
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_are_woken_by_one_pull() {
    let mut rig = rig(0);
    rig.puller.request("a", "busybox");
    rig.puller.request("b", "busybox");
    let mut woken = [rig.woken.recv().await.unwrap(), rig.woken.recv().await.unwrap()];
    woken.sort();
    assert_eq!(woken, ["a", "b"]);
    assert_eq!(rig.pulls.load(Ordering::SeqCst), 1);
    assert_eq!(view(&rig.puller, "b", "busybox"), PullView::Done);
}

#[tokio::test(start_paused = true)]
async fn a_failed_pull_is_tried_again_by_itself() {
    let mut rig = rig(2);
    rig.puller.request("a", "busybox");
    rig.woken.recv().await;
    let failed = view(&rig.puller, "a", "busybox");
    assert!(matches!(failed, PullView::Failed { .. }), "{failed:?}");
    // Woken as the retry begins, as it fails, as the next begins, as it succeeds.
    for _ in 0..4 {
        rig.woken.recv().await;
    }
    assert_eq!(view(&rig.puller, "a", "busybox"), PullView::Done);
    assert_eq!(rig.pulls.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn no_more_run_at_once_than_the_pool_holds() {
    let rig = rig(0);
    for number in 0..5 {
        rig.puller.request(&format!("s{number}"), &format!("hang{number}"));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.pulls.load(Ordering::SeqCst), AT_ONCE);
    rig.puller.forget("s0");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(rig.pulls.load(Ordering::SeqCst), AT_ONCE + 1);
}

#[tokio::test(start_paused = true)]
async fn an_edit_begins_the_new_images_pull_at_once() {
    let mut rig = rig(1);
    rig.puller.request("a", "typo");
    rig.woken.recv().await;
    rig.puller.request("a", "busybox");
    rig.woken.recv().await;
    assert_eq!(view(&rig.puller, "a", "busybox"), PullView::Done);
    assert_eq!(view(&rig.puller, "a", "typo"), PullView::NotNeeded);
}

#[tokio::test(start_paused = true)]
async fn every_task_ends_with_the_puller() {
    let rig = rig(usize::MAX);
    rig.puller.request("a", "hang");
    rig.puller.request("b", "busybox");
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(rig.puller);
    rig.tracker.close();
    rig.tracker.wait().await;
}
