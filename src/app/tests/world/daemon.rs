//! A daemon with a thread and a runtime of its own, to start, stop and kill.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;

use super::World;
use crate::app::detect::Connected;
use crate::app::tests::link::Link;
use crate::app::{Daemon, RunOptions, wake_everything};
use crate::config::Config;
use crate::controller::reconcile::Context;
use crate::engine::{Call, Engine as _};
use crate::shutdown::Shutdown;
use crate::state::StateDir;

/// A daemon with a runtime of its own, so that it can die like a process.
pub(super) struct Process {
    shutdown: Shutdown,
    kill: CancellationToken,
    link: Link,
    handles: Handles,
    thread: JoinHandle<Option<ExitCode>>,
}

/// What a daemon's parts share, and a way to wake every sandbox as the daemon itself does.
struct Handles {
    context: Arc<Context>,
    wake_everything: Box<dyn Fn() + Send>,
}

/// The daemon.
impl World {
    pub(in crate::app::tests) fn start(&mut self) {
        self.start_with(RunOptions::default());
    }

    pub(in crate::app::tests) fn start_with(&mut self, options: RunOptions) {
        assert!(self.daemon.is_none(), "one daemon at a time");
        let shutdown = Shutdown::default();
        let kill = CancellationToken::new();
        let link = Link::new(Arc::clone(&self.engine));
        let (sender, handles) = mpsc::channel();
        let body = {
            let (config, shutdown, kill, link) =
                (self.config.clone(), shutdown.clone(), kill.clone(), link.clone());
            move || live(config, options, link, &shutdown, &kill, &sender)
        };
        let thread = std::thread::spawn(body);
        let handles = handles.recv().expect("the daemon starts");
        self.daemon = Some(Process { shutdown, kill, link, handles, thread });
    }

    /// Asks the daemon to stop, and waits for its end.
    pub(in crate::app::tests) fn stop(&mut self) -> ExitCode {
        let daemon = self.daemon.take().expect("a daemon runs");
        daemon.shutdown.graceful.cancel();
        drop(daemon.handles);
        daemon.thread.join().unwrap().expect("nobody kills it")
    }

    /// Waits for a daemon that ends by itself.
    pub(in crate::app::tests) fn wait(&mut self) -> ExitCode {
        let daemon = self.daemon.take().expect("a daemon runs");
        drop(daemon.handles);
        daemon.thread.join().unwrap().expect("nobody kills it")
    }

    /// Kills the daemon: whatever it was about to do is not done.
    pub(in crate::app::tests) fn kill(&mut self) {
        let daemon = self.daemon.take().expect("a daemon runs");
        daemon.link.cut();
        daemon.kill.cancel();
        drop(daemon.handles);
        daemon.thread.join().unwrap();
    }

    pub(in crate::app::tests) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    pub(in crate::app::tests) fn is_dead(&self) -> bool {
        self.daemon.as_ref().is_none_or(|daemon| daemon.link.is_dead())
    }

    pub(in crate::app::tests) fn context(&self) -> &Context {
        &self.daemon.as_ref().expect("a daemon runs").handles.context
    }

    /// Wakes every sandbox, as a timer would, and waits until each has been looked at.
    pub(in crate::app::tests) fn wake_everything(&self) {
        let lists = self.engine.count(Call::List);
        let daemon = self.daemon.as_ref().expect("a daemon runs");
        (daemon.handles.wake_everything)();
        self.until("a look at everything", |world| world.engine.count(Call::List) > lists);
        self.quiet();
    }

    /// Has the daemon look at everything anew (SIGHUP), and waits until it has.
    pub(in crate::app::tests) fn look_again(&mut self) {
        let lists = self.engine.count(Call::List);
        self.daemon.as_ref().expect("a daemon runs").shutdown.rescan.notify_one();
        self.until("a look at everything", |world| world.engine.count(Call::List) > lists);
        self.quiet();
    }
}

/// The body of a daemon's thread. Ends with the code that it would exit with, or none when it was killed.
fn live(
    config: Config,
    options: RunOptions,
    link: Link,
    shutdown: &Shutdown,
    kill: &CancellationToken,
    started: &mpsc::Sender<Handles>,
) -> Option<ExitCode> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let state = StateDir::open(&config.state).unwrap();
        let lock = state.lock().unwrap();
        let identity = state.identity(&config.container_prefix).unwrap();
        let capabilities = link.capabilities().await.unwrap();
        let engine = Connected { engine: Arc::new(link), capabilities, address: String::new() };
        let daemon = Daemon::assemble(config, state, lock, identity, engine, shutdown).unwrap();
        let wake = wake_everything(daemon.store.clone(), daemon.triggers.clone());
        let context = Arc::clone(&daemon.context);
        started.send(Handles { context, wake_everything: Box::new(wake) }).unwrap();
        let run = daemon.run(options, shutdown.clone());
        kill.run_until_cancelled(run).await.map(|code| code.unwrap())
    })
    // Here the runtime is dropped, and every task with it.
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.link.cut();
            daemon.kill.cancel();
            drop(daemon.handles);
            // A daemon that panicked has failed the test already.
            let _ = daemon.thread.join();
        }
        if !std::thread::panicking() {
            assert_eq!(self.engine.violations(), BTreeSet::new());
        }
    }
}
