//! The other side: the daemon, on a folder of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::ContainerInspectResponse;

use crate::daemon::Daemon;
use crate::docker::TEST_IMAGE;
use crate::events::Events;
use crate::port_range::PortRange;
use crate::proxy::Proxy;
use crate::raw::{remove_all, unique_prefix};
use crate::report::Restart;

const PATIENCE: Duration = Duration::from_mins(1);

/// A running daemon and its folder.
pub(crate) struct Sandkeeper {
    docker: Docker,
    events: Events,
    prefix: String,
    folder: tempfile::TempDir,
    daemon: Daemon,
    _ports: PortRange,
}

impl Sandkeeper {
    /// Starts a daemon on an empty folder, speaking to the engine through `proxy` if there is one.
    pub(crate) fn start(docker: &Docker, events: &Events, proxy: Option<&Proxy>) -> Self {
        let folder = tempfile::Builder::new().prefix("sk-bench-").tempdir().expect("a folder");
        let ports = PortRange::reserve();
        let prefix = unique_prefix();
        fs::create_dir(folder.path().join("specs")).expect("a folder of specs");
        let mut command = run_command(folder.path(), &prefix, &ports);
        if let Some(proxy) = proxy {
            command.env("DOCKER_HOST", proxy.address());
        }
        let daemon = Daemon::spawn(command, &folder.path().join("daemon.log"));
        let (docker, events) = (docker.clone(), events.clone());
        Self { docker, events, prefix, folder, daemon, _ports: ports }
    }

    /// Drops a first file, to know that the daemon is up; gives the container as the engine shows it.
    pub(crate) async fn warm_up(&self) -> ContainerInspectResponse {
        self.drop_file("warm-up").await;
        let name = self.container("warm-up");
        self.docker.inspect_container(&name, None).await.expect("the engine shows it")
    }

    /// Writes one spec; from its file being closed until the engine's start event.
    pub(crate) async fn drop_file(&self, name: &str) -> Duration {
        self.write(name);
        let closed = Instant::now();
        self.events.first("start", &self.container(name)).await.duration_since(closed)
    }

    /// Writes many specs; from the first file being closed until the last start event.
    pub(crate) async fn drop_files(&self, count: usize) -> Duration {
        self.write("crowd-0");
        let closed = Instant::now();
        for number in 1..count {
            self.write(&format!("crowd-{number}"));
        }
        let mut last = closed;
        for number in 0..count {
            let name = self.container(&format!("crowd-{number}"));
            last = last.max(self.events.first("start", &name).await);
        }
        last.duration_since(closed)
    }

    /// Kills a container, which the daemon starts again.
    pub(crate) async fn kill(&self, name: &str, proxy: &Proxy) -> Restart {
        let name = self.container(name);
        let inspected = self.docker.inspect_container(&name, None).await;
        let id = inspected.expect("the engine shows it").id.expect("it has an id");
        let earlier = start_requests(proxy, &id).len();
        self.docker.kill_container(&name, None).await.expect("the engine kills it");
        let died = self.events.first("die", &name).await;
        let requested = start_request(proxy, &id, earlier).await;
        let running = self.events.nth(1, "start", &name).await;
        Restart {
            requested: requested.saturating_duration_since(died),
            running: running.saturating_duration_since(died),
        }
    }

    /// Ends the daemon and removes what it made.
    pub(crate) async fn clean_up(self) {
        self.daemon.kill();
        remove_all(&self.docker, &format!("{}-", self.prefix)).await;
    }

    fn write(&self, name: &str) {
        let text = format!(
            "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {{name: {name}}}\n\
             spec: {{image: \"{TEST_IMAGE}\", command: [httpd, -f, -p, \"8080\", -h, /tmp]}}\n"
        );
        let path = self.folder.path().join("specs").join(format!("{name}.yaml"));
        fs::write(path, text).expect("a spec can be written");
    }

    fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

/// When requests to start this container have passed.
fn start_requests(proxy: &Proxy, id: &str) -> Vec<Instant> {
    let ledger = proxy.ledger();
    let starts = ledger.of("POST /containers/*/start");
    starts.filter(|it| it.subject.as_deref() == Some(id)).map(|it| it.at).collect()
}

/// When the first request to start this container passes, after so many earlier ones.
async fn start_request(proxy: &Proxy, id: &str, earlier: usize) -> Instant {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(at) = start_requests(proxy, id).get(earlier) {
            return *at;
        }
        assert!(Instant::now() < end, "the daemon starts a killed container");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn run_command(folder: &Path, prefix: &str, ports: &PortRange) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandkeeper"));
    command.arg("run");
    command.arg("--specs").arg(folder.join("specs"));
    command.arg("--state").arg(folder.join("state"));
    command.args(["--prefix", prefix, "--engine", "docker"]);
    command.args(["--ports-base", &ports.base.to_string()]);
    command.args(["--ports-count", &ports.count.to_string()]);
    command.env_remove("NOTIFY_SOCKET");
    command
}
