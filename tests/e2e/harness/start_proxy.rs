//! Stands between the daemon and the engine, and lets a test act around each start of a container.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// When a test acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The request to start a container has come and the engine has not heard of it.
    Before,
    /// The engine has answered and the daemon has not heard of it.
    After,
}

type Act = dyn Fn(Moment) + Send + Sync;

/// Path of a socket that leads to the engine.
pub(crate) struct StartProxy(PathBuf);

impl StartProxy {
    /// Listens at `path`. Its threads end with the test's process.
    pub(crate) fn listen(path: PathBuf, act: impl Fn(Moment) + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(&path).expect("a socket");
        let act: Arc<Act> = Arc::new(act);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(engine) = UnixStream::connect(engine_socket()) else { continue };
                connect(client, engine, &act);
            }
        });
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

/// Two threads, one for each direction. The client of the daemon makes one connection for each call.
fn connect(client: UnixStream, engine: UnixStream, act: &Arc<Act>) {
    let (from_client, to_client) = (client.try_clone().expect("a handle"), client);
    let (from_engine, to_engine) = (engine.try_clone().expect("a handle"), engine);
    let (started, is_start) = std::sync::mpsc::channel();
    let before = Arc::clone(act);
    thread::spawn(move || {
        pass(from_client, to_engine, |bytes| {
            if starts_a_container(bytes) {
                before(Moment::Before);
                started.send(()).expect("the other thread lives as long");
            }
        });
    });
    let after = Arc::clone(act);
    thread::spawn(move || {
        pass(from_engine, to_client, |_| {
            if is_start.try_recv().is_ok() {
                after(Moment::After);
            }
        });
    });
}

/// A request's head is small and written at once, so it is not split between two reads.
fn starts_a_container(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let path = line.strip_prefix("POST ").and_then(|rest| rest.split([' ', '?']).next());
    path.is_some_and(|path| path.contains("/containers/") && path.ends_with("/start"))
}

fn pass(mut from: UnixStream, mut to: UnixStream, note: impl Fn(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        note(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // The other end hears that no more comes, or has gone already.
    drop(to.shutdown(std::net::Shutdown::Write));
}

fn engine_socket() -> PathBuf {
    let host =
        std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".into());
    PathBuf::from(host.strip_prefix("unix://").expect("an engine at a Unix socket"))
}
