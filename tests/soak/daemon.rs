//! The program under test, as a process.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// It promises to be gone this long after SIGTERM; the rest is for a busy machine.
const TERMINATION: Duration = Duration::from_secs(20);

/// What a process uses.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) rss_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
}

/// A running `sandkeeper run`. It does not outlive this guard.
pub(crate) struct Daemon(Child);

impl Daemon {
    pub(crate) fn start(mut command: Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("the log opens");
        let errors = log.try_clone().expect("a file handle can be doubled");
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        Self(command.spawn().expect("the program starts"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself, which is noticed elsewhere.
        let _ = kill_process(Pid::from_child(&self.0), signal);
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }

    pub(crate) fn kill(mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }

    /// Asks it to end; an error says how it did not.
    pub(crate) async fn terminate(mut self) -> Result<(), String> {
        self.signal(Signal::TERM);
        let end = Instant::now() + TERMINATION;
        loop {
            match self.0.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(format!("asked to end it ended with {status}")),
                None if Instant::now() > end => {
                    return Err(format!("it still runs {TERMINATION:?} after SIGTERM"));
                }
                None => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// What it uses now, by proc(5).
    pub(crate) fn usage(&self) -> Option<Usage> {
        let process = Path::new("/proc").join(self.id().to_string());
        let status = fs::read_to_string(process.join("status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        Some(Usage {
            rss_kib: field("VmRSS:")?,
            descriptors: fs::read_dir(process.join("fd")).ok()?.count(),
            threads: field("Threads:")?,
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail when it has ended already, which is as good.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
