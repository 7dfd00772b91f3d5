//! A proxy between the daemon and the real engine's socket that breaks what it is told to break, and
//! keeps a ledger of everything that passed. Without rules it changes nothing: the contract suite runs
//! through it too. Include it with `#[path]`.
//!
//! ```ignore
//! let proxy = Proxy::start();
//! command.env("DOCKER_HOST", proxy.address());
//! let lost = proxy.add(Rule::new(Fault::DropAfter).on("POST /containers/create").nth(1));
//! // … drive the daemon …
//! assert_eq!(lost.count(), 1);
//! assert_eq!(proxy.ledger().effects("POST /containers/create"), 1);
//! proxy.clear();
//! ```
//!
//! Both sides are hyper's: heads, lengths, chunks, keep-alive and upgrades are parsed, never searched.

#[path = "proxy/answer.rs"]
mod answer;
#[path = "proxy/call.rs"]
mod call;
#[path = "proxy/events.rs"]
mod events;
#[path = "proxy/exchange.rs"]
mod exchange;
#[path = "proxy/ledger.rs"]
mod ledger;
#[path = "proxy/rule.rs"]
mod rule;
#[path = "proxy/wire.rs"]
mod wire;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use hyper::body::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};

pub(crate) use ledger::{Exchange, Ledger};
pub(crate) use rule::{Fault, Hits, Moment, Rule};

use wire::Wire;

/// A running proxy. It ends, with all its connections, when this is dropped.
pub(crate) struct Proxy {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    // Of its own, so that tests of every kind can use it. `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// What all connections share.
struct Shared {
    engine: Mutex<PathBuf>,
    rules: Mutex<Vec<rule::Armed>>,
    ledger: Mutex<Ledger>,
    /// Names that containers were created under, by id.
    names: Mutex<HashMap<String, String>>,
    lists: Mutex<Lists>,
}

/// Lists that have passed.
#[derive(Default)]
struct Lists {
    latest: Option<Bytes>,
    /// The latest before the last call that changed something.
    stale: Option<Bytes>,
}

impl Proxy {
    /// Starts in front of the engine that the tests use: `DOCKER_HOST`, else the default socket.
    pub(crate) fn start() -> Self {
        let host =
            std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
        let path = host.strip_prefix("unix://").unwrap_or_else(|| {
            panic!("the proxy stands before a Unix socket, and DOCKER_HOST is {host}")
        });
        Self::before(Path::new(path))
    }

    /// Starts in front of the engine at this socket.
    pub(crate) fn before(engine: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("sk-proxy-").tempdir().expect("a folder");
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime starts");
        let shared = Arc::new(Shared {
            engine: Mutex::new(engine.to_owned()),
            rules: Mutex::default(),
            ledger: Mutex::default(),
            names: Mutex::default(),
            lists: Mutex::default(),
        });
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(folder.path().join("engine.sock")).expect("a socket")
        };
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Self { folder, shared, runtime: Some(runtime) }
    }

    /// Path of the socket that it listens on.
    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("engine.sock")
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Adds a rule; its own count of matching exchanges starts now. Of several rules that strike the same
    /// exchange the one that was added first has its way.
    pub(crate) fn add(&self, rule: Rule) -> Hits {
        let armed = rule.arm();
        let hits = armed.hits();
        self.shared.rules().push(armed);
        hits
    }

    /// Removes all rules. What is stalled or frozen stays so until its client goes.
    pub(crate) fn clear(&self) {
        self.shared.rules().clear();
    }

    /// Everything that has passed, as it stands now.
    pub(crate) fn ledger(&self) -> Ledger {
        self.shared.ledger().clone()
    }

    /// Forwards to the engine at another socket from now on.
    pub(crate) fn swap_engine(&self, engine: &Path) {
        engine.clone_into(&mut held(&self.shared.engine));
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Waiting for its tasks is not allowed inside another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Vec<rule::Armed>> {
        held(&self.rules)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        held(&self.ledger)
    }

    fn engine(&self) -> PathBuf {
        held(&self.engine).clone()
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(connection(client, Arc::clone(&shared)));
    }
}

/// One connection of the daemon's, which may carry several exchanges.
async fn connection(client: UnixStream, shared: Arc<Shared>) {
    let pid = client.peer_cred().ok().and_then(|peer| peer.pid());
    let wire = Wire::new(client);
    let garbage = wire.garbage();
    let service = service_fn(move |request| {
        exchange::pass(Arc::clone(&shared), pid, garbage.clone(), request)
    });
    let served =
        http1::Builder::new().serve_connection(TokioIo::new(wire), service).with_upgrades().await;
    // A connection that ends in an error is one that a rule has broken, or that the daemon has dropped.
    drop(served);
}
