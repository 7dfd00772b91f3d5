use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::pending;
use tokio::sync::mpsc;

use crate::engine::{EngineError, ExecOutcome};
use crate::plan::ProbeAction;

use super::stub::StubEngine;
use super::*;

/// How an engine answers an exec.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Code(i64),
    Hang,
    Unreachable,
}

/// Counts the commands that run, and the most that ran at once.
#[derive(Default)]
struct Count {
    running: AtomicUsize,
    most: AtomicUsize,
}

async fn exec(answer: Answer, count: Arc<Count>) -> Result<ExecOutcome, EngineError> {
    let running = count.running.fetch_add(1, Ordering::SeqCst) + 1;
    count.most.fetch_max(running, Ordering::SeqCst);
    tokio::task::yield_now().await;
    count.running.fetch_sub(1, Ordering::SeqCst);
    match answer {
        Answer::Code(exit_code) => {
            Ok(ExecOutcome { exit_code, output: "no\u{1b}[31m luck\n".to_owned() })
        }
        Answer::Hang => pending().await,
        Answer::Unreachable => Err(EngineError::Unreachable("gone".to_owned())),
    }
}

struct Rig {
    prober: Prober,
    tracker: TaskTracker,
    woken: mpsc::UnboundedReceiver<String>,
    count: Arc<Count>,
}

fn rig(answer: Answer, alive: bool) -> Rig {
    let (send, woken) = mpsc::unbounded_channel();
    let wake: Wake = Arc::new(move |sandbox: &str| drop(send.send(sandbox.to_owned())));
    let tracker = TaskTracker::new();
    let count = Arc::new(Count::default());
    let counted = Arc::clone(&count);
    let engine = StubEngine {
        alive,
        exec: Box::new(move |_| exec(answer, Arc::clone(&counted)).boxed()),
        ..StubEngine::default()
    };
    let prober = Prober::new(Arc::new(engine), tracker.clone(), wake);
    Rig { prober, tracker, woken, count }
}

fn id(name: &str) -> ContainerId {
    ContainerId(name.to_owned())
}

fn exec_target(container: &str) -> ProbeTarget {
    ProbeTarget {
        container: id(container),
        started_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        spec: ProbeSpec {
            action: ProbeAction::Exec { command: vec!["check".to_owned()] },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 2,
        },
        address: None,
    }
}

fn passing(container: &str) -> ProbeView {
    ProbeView::Passing { container: id(container) }
}

#[tokio::test(start_paused = true)]
async fn a_success_wakes_the_sandbox_and_is_seen() {
    let mut rig = rig(Answer::Code(0), true);
    assert_eq!(rig.prober.view("web", ProbeKind::Readiness, &id("a")), ProbeView::None);
    rig.prober.watch("web", ProbeKind::Readiness, exec_target("a"));
    assert!(matches!(
        rig.prober.view("web", ProbeKind::Readiness, &id("a")),
        ProbeView::Pending { .. }
    ));
    assert_eq!(rig.woken.recv().await.as_deref(), Some("web"));
    assert_eq!(rig.prober.view("web", ProbeKind::Readiness, &id("a")), passing("a"));
    assert_eq!(rig.prober.view("web", ProbeKind::Liveness, &id("a")), ProbeView::None);
}

#[tokio::test(start_paused = true)]
async fn what_was_found_for_one_container_says_nothing_of_another() {
    let mut rig = rig(Answer::Code(0), true);
    rig.prober.watch("web", ProbeKind::Readiness, exec_target("a"));
    rig.woken.recv().await;
    let view = rig.prober.view("web", ProbeKind::Readiness, &id("b"));
    assert!(matches!(view, ProbeView::Pending { .. }));
}

#[tokio::test(start_paused = true)]
async fn an_equal_target_goes_on_and_another_starts_from_nothing() {
    let mut rig = rig(Answer::Code(0), true);
    rig.prober.watch("web", ProbeKind::Readiness, exec_target("a"));
    rig.woken.recv().await;
    rig.prober.watch("web", ProbeKind::Readiness, exec_target("a"));
    assert_eq!(rig.prober.view("web", ProbeKind::Readiness, &id("a")), passing("a"));
    let restarted = ProbeTarget { started_at: None, ..exec_target("a") };
    rig.prober.watch("web", ProbeKind::Readiness, restarted);
    let view = rig.prober.view("web", ProbeKind::Readiness, &id("a"));
    assert!(matches!(view, ProbeView::Pending { .. }));
    assert_eq!(rig.woken.recv().await.as_deref(), Some("web"));
}

#[tokio::test(start_paused = true)]
async fn a_failing_liveness_probe_says_what_the_command_said() {
    let mut rig = rig(Answer::Code(3), true);
    rig.prober.watch("web", ProbeKind::Liveness, exec_target("a"));
    rig.woken.recv().await;
    assert_eq!(
        rig.prober.view("web", ProbeKind::Liveness, &id("a")),
        ProbeView::Failing {
            container: id("a"),
            message: "the command ended with 3: no\\u{1b}[31m luck".to_owned()
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_fails_if_the_engine_answers() {
    let mut rig = rig(Answer::Hang, true);
    rig.prober.watch("web", ProbeKind::Liveness, exec_target("a"));
    rig.woken.recv().await;
    let view = rig.prober.view("web", ProbeKind::Liveness, &id("a"));
    assert!(matches!(view, ProbeView::Failing { .. }), "{view:?}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_kills_nobody() {
    for answer in [Answer::Hang, Answer::Unreachable] {
        let mut rig = rig(answer, false);
        rig.prober.watch("web", ProbeKind::Liveness, exec_target("a"));
        let hour = tokio::time::timeout(Duration::from_hours(1), rig.woken.recv()).await;
        assert!(hour.is_err(), "{answer:?}");
        let view = rig.prober.view("web", ProbeKind::Liveness, &id("a"));
        assert!(matches!(view, ProbeView::Pending { .. }), "{view:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_container_runs_one_command_at_a_time() {
    let mut rig = rig(Answer::Code(0), true);
    rig.prober.watch("web", ProbeKind::Readiness, exec_target("a"));
    rig.prober.watch("web", ProbeKind::Liveness, exec_target("a"));
    rig.woken.recv().await;
    rig.woken.recv().await;
    assert_eq!(rig.count.most.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn forgotten_probes_end() {
    let rig = rig(Answer::Hang, true);
    rig.prober.watch("web", ProbeKind::Readiness, exec_target("a"));
    rig.prober.watch("web", ProbeKind::Liveness, exec_target("a"));
    rig.prober.watch("other", ProbeKind::Liveness, exec_target("b"));
    tokio::task::yield_now().await;
    rig.prober.unwatch("web", ProbeKind::Readiness);
    assert_eq!(rig.prober.view("web", ProbeKind::Readiness, &id("a")), ProbeView::None);
    rig.prober.forget("web");
    assert_eq!(rig.prober.view("web", ProbeKind::Liveness, &id("a")), ProbeView::None);
    drop(rig.prober);
    rig.tracker.close();
    rig.tracker.wait().await;
}

#[test]
fn long_waits_are_spread_and_short_ones_are_not() {
    let short = Duration::from_millis(20);
    assert_eq!(spread(short, 0.9), short);
    let long = Duration::from_secs(10);
    assert_eq!(spread(long, 0.0), Duration::from_millis(9500));
    assert_eq!(spread(long, 1.0), Duration::from_millis(10_500));
}
