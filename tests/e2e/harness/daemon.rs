//! A running `sandkeeper run`. It does not outlive its guard, whatever happens to the test.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The daemon promises to be gone this long after SIGTERM.
const TERMINATION: Duration = Duration::from_secs(10);

/// A running daemon.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `command` with both its outputs going to the end of `log`.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("the log opens");
        let errors = log.try_clone().expect("a file handle can be doubled");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Self { child: command.spawn().expect("the daemon starts") }
    }

    /// Kills it: no signal handler runs, nothing is finished.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs, or has ended already");
        self.child.wait().expect("its end can be waited for");
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes it crash, as a bug in foreign code might.
    pub(crate) fn abort(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::ABORT).expect("it runs");
        self.child.wait().expect("its end can be waited for")
    }

    /// Asks it to end, and gives its exit status. Fails when it takes longer than promised.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).expect("it runs");
        self.exit_within(TERMINATION)
            .unwrap_or_else(|| panic!("the daemon still runs {TERMINATION:?} after SIGTERM"))
    }

    /// Waits for it to end by itself.
    pub(crate) fn exit(mut self) -> ExitStatus {
        self.exit_within(Duration::from_mins(1)).expect("the daemon ends by itself")
    }

    /// Processes whose parent it is.
    pub(crate) fn children(&self) -> Vec<String> {
        let parent = self.child.id().to_string();
        let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
        processes.filter_map(|entry| child_of(&parent, &entry.path())).collect()
    }

    /// Whether it has not ended.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("its state can be read").is_none()
    }

    /// Stops it in its tracks, or lets it go on.
    pub(crate) fn suspend(&self, suspended: bool) {
        let signal = if suspended { Signal::STOP } else { Signal::CONT };
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// Asks it to look at everything now, as `systemctl reload` does.
    pub(crate) fn reload(&self) {
        kill_process(self.pid(), Signal::HUP).expect("it runs");
    }

    fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            let status = self.child.try_wait().expect("its state can be read");
            if status.is_some() || Instant::now() > end {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Processes whose parent is this one, by number.
pub(crate) fn children_of(parent: u32) -> Vec<Pid> {
    let processes = fs::read_dir("/proc").expect("/proc is there").flatten();
    let children = processes.filter(|it| child_of(&parent.to_string(), &it.path()).is_some());
    let numbers = children.filter_map(|it| it.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

/// The `stat` line of the process at `path`, if its parent is `parent`.
fn child_of(parent: &str, path: &Path) -> Option<String> {
    let stat = fs::read_to_string(path.join("stat")).ok()?;
    // proc(5): "pid (name) state ppid …", and the name may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    (rest.split_whitespace().nth(1)? == parent).then_some(stat)
}
