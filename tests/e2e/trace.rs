//! Runs the daemon under ptrace and kills it at a chosen change of a file in its state directory. Needs
//! nothing of the daemon's. (strace can kill at the nth call too, but it counts by thread, and which
//! thread writes what differs from run to run.)

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Longer than the daemon may take to end.
const PATIENCE: Duration = Duration::from_mins(1);

/// When the daemon dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// The call is not made.
    Before,
    /// Half of what is to be written is written.
    Torn,
    /// The call is made, and does not return.
    After,
}

/// A change of a file: `rename memory/life.json`, and which of this kind, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) change: String,
    pub(crate) nth: usize,
    pub(crate) when: When,
}

/// What a traced daemon is watched for, by whoever holds it.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    seen: Vec<String>,
    armed: Option<Point>,
    struck: bool,
}

impl Trace {
    /// Forgets what was seen, and waits for this point from now on.
    pub(crate) fn arm(&self, point: Option<Point>) {
        *self.inner() = Inner { armed: point, ..Inner::default() };
    }

    /// Waits for no point any more.
    pub(crate) fn disarm(&self) {
        self.inner().armed = None;
    }

    /// Changes since the last call of `arm`, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.inner().seen.clone()
    }

    /// Whether the daemon was killed at the point.
    pub(crate) fn has_struck(&self) -> bool {
        self.inner().struck
    }

    /// Notes a change that is about to happen; says when the daemon is to die by it.
    fn note(&self, change: &str) -> Option<When> {
        let mut inner = self.inner();
        inner.seen.push(change.to_owned());
        let count = inner.seen.iter().filter(|seen| *seen == change).count();
        let turn = |point: &&Point| point.change == change && point.nth == count;
        let when = inner.armed.as_ref().filter(turn).map(|point| point.when)?;
        inner.struck = true;
        Some(when)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no holder panics")
    }
}

/// A daemon that is traced. It does not outlive this value.
pub(crate) struct Traced {
    pid: Pid,
    ended: Receiver<WaitStatus>,
    /// How it has ended.
    end: Option<WaitStatus>,
}

impl Traced {
    /// Starts `command` with both its outputs going to the end of `log`.
    pub(crate) fn spawn(command: &Command, log: &Path, state: &Path, trace: Trace) -> Self {
        let (shell, state) = (waiting_shell(command, log), state.to_owned());
        let (tell_pid, pid) = channel();
        let (tell_end, ended) = channel();
        // All of ptrace is between one thread and what it traces.
        thread::spawn(move || {
            let mut tracer = Tracer::start(shell, state, trace);
            tell_pid.send(tracer.pid).expect("somebody waits for it");
            // Nobody waits any more for one that is dropped.
            let _ = tell_end.send(tracer.run());
        });
        Self { pid: pid.recv().expect("it starts"), ended, end: None }
    }

    /// Number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        if self.end.is_none() {
            self.end = self.ended.try_recv().ok();
        }
        self.end.is_none()
    }

    /// Asks it to end, and gives its exit status: none if a signal ended it.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        if self.is_running() {
            kill(self.pid, Signal::SIGTERM).expect("it runs");
            self.end = Some(self.ended.recv_timeout(PATIENCE).expect("it ends as asked"));
        }
        match self.end {
            Some(WaitStatus::Exited(_, code)) => Some(code),
            _ => None,
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.is_running() {
            // Fails when it has ended this moment, which is as good.
            let _ = kill(self.pid, Signal::SIGKILL);
            let _ = self.ended.recv_timeout(PATIENCE);
        }
    }
}

/// A shell that waits for a line before it becomes the command: time to attach to it.
fn waiting_shell(command: &Command, log: &Path) -> Command {
    let log = File::options().create(true).append(true).open(log).expect("the log opens");
    let errors = log.try_clone().expect("a file handle can be doubled");
    let mut shell = Command::new("sh");
    shell.args(["-c", "read -r go; exec \"$@\"", "sh"]).arg(command.get_program());
    shell.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::piped()).stdout(log).stderr(errors);
    shell
}

/// The thread that traces.
struct Tracer {
    pid: Pid,
    state: PathBuf,
    trace: Trace,
    /// Calls that have begun and not ended, by thread, and whether the daemon dies at their end.
    inside: HashMap<Pid, (u64, bool)>,
}

impl Tracer {
    #[expect(clippy::zombie_processes, reason = "`run` waits for it")]
    fn start(mut shell: Command, state: PathBuf, trace: Trace) -> Self {
        let mut child = shell.spawn().expect("sh starts");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("pids are positive"));
        ptrace::attach(pid).expect("children may be traced: is ptrace forbidden here?");
        waitpid(pid, Some(WaitPidFlag::__WALL)).expect("it stops");
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        ptrace::setoptions(pid, options).expect("it is stopped");
        ptrace::syscall(pid, None).expect("it is stopped");
        let mut input = child.stdin.take().expect("it is piped");
        input.write_all(b"go\n").expect("the shell reads it");
        Self { pid, state, trace, inside: HashMap::new() }
    }

    /// Until it has ended; says how.
    fn run(&mut self) -> WaitStatus {
        // Other threads of this process have children of their own.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        loop {
            // A thread that is killed while it is stopped is gone when it is told to go on.
            match waitpid(None, Some(flags)).expect("it is traced until it ends") {
                end @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..))
                    if pid == self.pid =>
                {
                    return end;
                }
                WaitStatus::PtraceSyscall(pid) => {
                    self.call(pid);
                    let _ = ptrace::syscall(pid, None);
                }
                WaitStatus::PtraceEvent(pid, ..) | WaitStatus::Stopped(pid, Signal::SIGSTOP) => {
                    let _ = ptrace::syscall(pid, None);
                }
                WaitStatus::Stopped(pid, signal) => {
                    let _ = ptrace::syscall(pid, signal);
                }
                _ => {}
            }
        }
    }

    /// A thread begins a call or ends it.
    fn call(&mut self, thread: Pid) {
        let Ok(mut registers) = ptrace::getregs(thread) else { return };
        if let Some((call, dies)) = self.inside.remove(&thread)
            && call == registers.orig_rax
        {
            if dies {
                self.kill();
            }
            return;
        }
        let change = change(thread, &registers, &self.state);
        let when = change.and_then(|change| self.trace.note(&change));
        self.inside
            .insert(thread, (registers.orig_rax, matches!(when, Some(When::Torn | When::After))));
        match when {
            Some(When::Before) => self.kill(),
            Some(When::Torn) => {
                registers.rdx /= 2;
                ptrace::setregs(thread, registers).expect("it is stopped");
            }
            Some(When::After) | None => {}
        }
    }

    /// A call that has not begun is not made then.
    fn kill(&self) {
        kill(self.pid, Signal::SIGKILL).expect("it is traced");
    }
}

/// The change of a file in the state directory that this call asks for, if it does.
fn change(thread: Pid, registers: &libc::user_regs_struct, state: &Path) -> Option<String> {
    let by_handle = |verb: &str, handle: u64| {
        let path = fs::read_link(format!("/proc/{thread}/fd/{handle}")).ok()?;
        named(verb, &path, state)
    };
    let by_path = |verb: &str, address: u64| named(verb, &path_at(thread, address)?, state);
    let (first, second, third) = (registers.rdi, registers.rsi, registers.rdx);
    let creates = |flags: u64| {
        let writing = libc::O_CREAT | libc::O_TRUNC;
        flags & u64::try_from(writing).expect("flags are positive") != 0
    };
    match i64::try_from(registers.orig_rax).ok()? {
        libc::SYS_write | libc::SYS_pwrite64 => by_handle("write", first),
        libc::SYS_fsync | libc::SYS_fdatasync => by_handle("fsync", first),
        libc::SYS_ftruncate => by_handle("truncate", first),
        libc::SYS_fchmod => by_handle("chmod", first),
        libc::SYS_open if creates(second) => by_path("create", first),
        libc::SYS_openat if creates(third) => by_path("create", second),
        libc::SYS_mkdir => by_path("mkdir", first),
        libc::SYS_mkdirat => by_path("mkdir", second),
        libc::SYS_unlink | libc::SYS_rmdir => by_path("unlink", first),
        libc::SYS_unlinkat => by_path("unlink", second),
        libc::SYS_rename => by_path("rename", second),
        libc::SYS_renameat | libc::SYS_renameat2 => by_path("rename", registers.r10),
        libc::SYS_link => by_path("link", second),
        libc::SYS_linkat => by_path("link", registers.r10),
        _ => None,
    }
}

/// The change, if the path is in the state directory. Files that are being written are all alike.
fn named(verb: &str, path: &Path, state: &Path) -> Option<String> {
    let rest = path.strip_prefix(state).ok()?;
    let hidden = rest.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let rest = if hidden { rest.with_file_name(".tmp") } else { rest.to_owned() };
    let rest = if rest.as_os_str().is_empty() { PathBuf::from(".") } else { rest };
    Some(format!("{verb} {}", rest.display()))
}

/// The path that lies at an address of the thread's memory.
fn path_at(thread: Pid, address: u64) -> Option<PathBuf> {
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let mut path = vec![0; 4096];
    let read = memory.read_at(&mut path, address).ok()?;
    path.truncate(read);
    let end = path.iter().position(|byte| *byte == 0)?;
    path.truncate(end);
    Some(PathBuf::from(String::from_utf8(path).ok()?))
}
