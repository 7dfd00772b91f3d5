//! A second Docker engine that only one test has: it may be stopped, killed, frozen and filled up.
//!
//! It lives in namespaces of its own, of processes, mounts, network, IPC and host name. So what a test
//! kills cannot be a process of the machine, the bridge of the machine's engine is out of its sight, and
//! when the first process of the namespaces ends the kernel ends everything else in them, mounts
//! included. That first process ends with the test, however the test ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::daemon::children_of;

/// Prepares the namespaces from inside, then waits for ever and reaps whatever is left to it. The three
/// masked directories hold the machine's engine: its configuration and key, which make its identity, and
/// the sockets that a dockerd looks for.
const INIT: &str = r#"
for directory in /etc/docker /run/containerd /run/docker; do
    mkdir -p "$directory"
    mount -t tmpfs tmpfs "$directory"
done
mount -t tmpfs -o "size=$2" tmpfs "$1/data"
ip link set lo up
ip link add sk-bridge type bridge
ip address add 10.213.7.1/24 dev sk-bridge
ip link set sk-bridge up
echo ready
exec env --ignore-signal=CHLD sleep infinity
"#;
const CONTAINERD_SOCKET: &str = "/run/containerd/private.sock";
/// A killed dockerd leaves things behind on which the next ones may fail: it is started until it stays.
const START_LIMIT: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(50);

/// How the engine is to be.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Whether containers live on while dockerd is away.
    pub(crate) live_restore: bool,
    /// Size of the filesystem that it keeps everything on, as mount(8) wants it.
    pub(crate) size: &'static str,
}

impl Default for Setup {
    fn default() -> Self {
        Self { live_restore: false, size: "2g" }
    }
}

/// A process of the engine.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Dockerd,
    Containerd,
}

/// The engine. Nothing of it outlives the guard.
pub(crate) struct PrivateEngine {
    folder: tempfile::TempDir,
    name: String,
    holder: Child,
    init: Pid,
    setup: Setup,
    bridge_before: Option<String>,
}

impl PrivateEngine {
    /// Makes the namespaces and starts the engine. `test` must be short.
    pub(crate) fn start(test: &str, setup: Setup) -> Self {
        assert!(rustix::process::geteuid().is_root(), "this test needs root: use ./tests/run");
        let name = format!("sk-engine-{test}-{}", std::process::id());
        let folder = tempfile::Builder::new().prefix(&format!("{name}-")).tempdir();
        let folder = folder.expect("a folder for the engine");
        fs::create_dir(folder.path().join("data")).expect("a mount point");
        let bridge_before = machines_bridge();
        let mut holder = hold_namespaces(folder.path(), setup.size);
        let init = first_process(&mut holder, folder.path());
        let engine = Self { folder, name, holder, init, setup, bridge_before };
        engine.start_containerd();
        engine.start_dockerd();
        engine
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.path("engine.sock")
    }

    /// Sends a signal to one of its processes.
    pub(crate) fn signal(&self, part: Part, signal: &str) {
        self.run("kill -s \"$1\" \"$2\"", &[signal, &self.pid(part)]);
    }

    /// Sends a signal that ends a process, and waits for the end.
    pub(crate) fn end(&self, part: Part, signal: &str) {
        let pid = self.pid(part);
        self.signal(part, signal);
        let gone = self.seen_from_inside(&format!("/proc/{pid}"));
        wait(&format!("{part:?} ends by SIG{signal}"), || !gone.exists());
    }

    /// Kills a process of a container, by the number that the engine reports.
    pub(crate) fn kill_inside(&self, pid: u64) {
        self.run("kill -s KILL \"$1\"", &[&pid.to_string()]);
    }

    /// Starts containerd, and waits until it listens.
    pub(crate) fn start_containerd(&self) {
        let socket = self.seen_from_inside(CONTAINERD_SOCKET);
        drop(fs::remove_file(&socket));
        let root = self.path("data/containerd");
        let root = root.to_string_lossy();
        self.spawn(
            Part::Containerd,
            &["--root", &root, "--state", "/run/containerd/state", "--address", CONTAINERD_SOCKET],
        );
        wait("the private containerd listens", || UnixStream::connect(&socket).is_ok());
    }

    /// Starts dockerd, again and again, until it answers.
    pub(crate) fn start_dockerd(&self) {
        let end = Instant::now() + START_LIMIT;
        while !self.try_dockerd(end) {
            assert!(Instant::now() < end, "dockerd does not come up:\n{}", self.log());
        }
    }

    /// Fills what is left of its filesystem.
    pub(crate) fn fill(&self) {
        // The end of the room is how it is meant to fail.
        self.run(
            "dd if=/dev/zero of=\"$1/data/filler\" bs=64k 2>/dev/null || :",
            &[&self.folder()],
        );
    }

    /// Makes room again.
    pub(crate) fn empty(&self) {
        self.run("rm \"$1/data/filler\"", &[&self.folder()]);
    }

    /// The ends of the logs of its processes.
    pub(crate) fn log(&self) -> String {
        let tail = |name: &str| {
            let text = fs::read_to_string(self.path(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        };
        format!("{}\n{}", tail("dockerd.log"), tail("containerd.log"))
    }

    fn try_dockerd(&self, end: Instant) -> bool {
        let (socket, pid_file) = (self.socket(), self.path("docker.pid"));
        drop(fs::remove_file(&socket));
        drop(fs::remove_file(&pid_file));
        self.spawn(Part::Dockerd, &self.dockerd_options());
        let process = self.seen_from_inside(&format!("/proc/{}", self.pid(Part::Dockerd)));
        while Instant::now() < end && process.exists() {
            if answers(&socket) {
                return true;
            }
            thread::sleep(PAUSE);
        }
        false
    }

    fn dockerd_options(&self) -> Vec<String> {
        let path = |name: &str| self.path(name).to_string_lossy().into_owned();
        let mut options = vec![
            format!("--host=unix://{}", path("engine.sock")),
            format!("--containerd={CONTAINERD_SOCKET}"),
            format!("--data-root={}", path("data/docker")),
            "--exec-root=/run/docker/exec".to_owned(),
            format!("--pidfile={}", path("docker.pid")),
            // Without a bridge named, an engine makes or removes docker0. It would be the one of its
            // own network namespace, but a second lock costs nothing.
            "--bridge=sk-bridge".to_owned(),
            "--iptables=false".to_owned(),
            "--ip6tables=false".to_owned(),
            "--ip-forward=false".to_owned(),
            "--ip-masq=false".to_owned(),
            // Works on every filesystem; the test image is small.
            "--storage-driver=vfs".to_owned(),
            "--exec-opt=native.cgroupdriver=cgroupfs".to_owned(),
            format!("--cgroup-parent=/{}", self.name),
        ];
        if self.setup.live_restore {
            options.push("--live-restore".to_owned());
        }
        options
    }

    /// Starts a process in the namespaces. Its parent ends at once, so the namespaces' first process
    /// becomes its parent and reaps it.
    fn spawn(&self, part: Part, options: &[impl AsRef<str>]) {
        let program = part.program();
        let script = "program=$1 log=$2 pid=$3; shift 3
            \"$program\" \"$@\" </dev/null >>\"$log\" 2>&1 & echo $! >\"$pid\"";
        let log = self.path(&format!("{program}.log"));
        let pid = self.path(&format!("{program}.pid"));
        let mut arguments = vec![program.to_owned(), lossy(&log), lossy(&pid)];
        arguments.extend(options.iter().map(|option| option.as_ref().to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(script, &arguments);
    }

    fn pid(&self, part: Part) -> String {
        let path = self.path(&format!("{}.pid", part.program()));
        fs::read_to_string(path).expect("it was started").trim().to_owned()
    }

    /// Runs a shell script in the namespaces; `$1` and so on are the arguments.
    fn run(&self, script: &str, arguments: &[&str]) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.as_raw_nonzero().to_string()]);
        command.args(["--mount", "--net", "--pid", "--ipc", "--uts"]);
        command.args(["sh", "-euc", script, "sh"]).args(arguments);
        let done = command.output().expect("nsenter is there: apt-get install util-linux");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script} {arguments:?}: {errors}");
    }

    /// A path of the namespaces, seen from outside of them.
    fn seen_from_inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init.as_raw_nonzero()))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn folder(&self) -> String {
        lossy(self.folder.path())
    }
}

impl Part {
    fn program(self) -> &'static str {
        match self {
            Self::Dockerd => "dockerd",
            Self::Containerd => "containerd",
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- ends of the logs of {}:\n{}", self.name, self.log());
        }
        // Its end is the end of all others in the namespaces, and its parent waits for that.
        let _ = kill_process(self.init, Signal::KILL);
        drop(self.holder.wait());
        remove_cgroups(&self.name);
        if !thread::panicking() {
            assert_eq!(machines_bridge(), self.bridge_before, "docker0 of the machine was changed");
        }
    }
}

/// Starts the process that makes the namespaces and holds them. It is killed when the thread ends that
/// started it, and takes the namespaces along.
fn hold_namespaces(folder: &Path, size: &str) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts"]);
    command.args(["--fork", "--kill-child", "--mount-proc", "sh", "-euc", INIT, "sh"]);
    command.arg(folder).arg(size).stdin(Stdio::null()).stdout(Stdio::piped());
    let log = fs::File::create(folder.join("init.log")).expect("a log opens");
    command.stderr(log).spawn().expect("setpriv is there: apt-get install util-linux")
}

/// The first process of the namespaces, once it has prepared them.
fn first_process(holder: &mut Child, folder: &Path) -> Pid {
    let mut word = String::new();
    let output = holder.stdout.take().expect("it is piped");
    BufReader::new(output).read_line(&mut word).expect("it can be read");
    let log = fs::read_to_string(folder.join("init.log")).unwrap_or_default();
    assert_eq!(word, "ready\n", "the namespaces cannot be prepared: {log}");
    let children = children_of(holder.id());
    let [child] = children[..] else { panic!("one child is expected: {children:?}") };
    child
}

/// What makes the bridge of the machine's engine that one: index, hardware address, addresses.
fn machines_bridge() -> Option<String> {
    let folder = Path::new("/sys/class/net/docker0");
    let index = fs::read_to_string(folder.join("ifindex")).ok()?;
    let hardware = fs::read_to_string(folder.join("address")).ok()?;
    let shown = Command::new("ip").args(["-4", "-oneline", "address", "show", "docker0"]).output();
    let shown = shown.expect("ip is there: apt-get install iproute2").stdout;
    Some(format!("{index}{hardware}{}", String::from_utf8_lossy(&shown)))
}

/// Whether an engine answers here.
fn answers(socket: &Path) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        std::io::Write::write_all(&mut stream, b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(line)
    };
    ask().is_ok_and(|line| line.contains(" 200 "))
}

/// Removes the control groups that the engine made, in each hierarchy. Those of cgroup v2 lie at the top.
fn remove_cgroups(name: &str) {
    let top = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.path());
    for hierarchy in below.chain([top.to_owned()]) {
        remove_groups(&hierarchy.join(name));
    }
}

fn remove_groups(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|it| it.is_dir())) {
        remove_groups(&entry.path());
    }
    // One that is not there is as good as removed; ./tests/run removes what is left.
    drop(fs::remove_dir(group));
}

#[track_caller]
fn wait(what: &str, done: impl Fn() -> bool) {
    super::until(what, || if done() { Ok(()) } else { Err("not yet".to_owned()) });
}

fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
