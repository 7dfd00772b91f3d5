//! Runs the tool: the one place of the daemon that starts a process. Each is a process group of its own, so
//! that one that is given up takes its helpers with it, has no input unless it is given one, and prints into
//! bounded buffers.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use super::Patience;
use super::errors::garbled;
use crate::engine::{Call, EngineError};

/// Most of the answer that is read: a list of a thousand containers with long environments.
const STDOUT_LIMIT: usize = 64 << 20;
/// Most of the words of an error that are kept.
const STDERR_LIMIT: usize = 64 << 10;

/// The program.
#[derive(Clone, Debug)]
pub(super) struct Cli {
    program: PathBuf,
    patience: Patience,
}

/// How a run ended.
#[derive(Debug, Default)]
pub(super) struct Output {
    /// Its exit code; `None`: a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// How long it took.
    pub(super) took: Duration,
}

impl Output {
    /// What it printed, as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// What it complained of, as text.
    pub(super) fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Cli {
    pub(super) fn new(program: PathBuf, patience: Patience) -> Self {
        Self { program, patience }
    }

    /// Runs the tool to its end, which may take so long on an ordinary host. After that its whole group is
    /// killed, and the outcome is unknown.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        call: Call,
        deadline: Duration,
        words: &[S],
    ) -> Result<Output, EngineError> {
        self.run_within(call, deadline.saturating_mul(self.patience.0), words).await
    }

    /// As [`Self::run`], under a deadline that is the caller's.
    pub(super) async fn run_within<S: AsRef<OsStr>>(
        &self,
        call: Call,
        deadline: Duration,
        words: &[S],
    ) -> Result<Output, EngineError> {
        let began = Instant::now();
        let mut running = self.spawn(words, false)?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let Running { child, streams: (_, out, err), .. } = &mut running;
        let whole = async {
            let (out, err, status) = tokio::join!(
                read_bounded(out.as_mut(), STDOUT_LIMIT, &mut stdout),
                read_bounded(err.as_mut(), STDERR_LIMIT, &mut stderr),
                child.wait()
            );
            // What is cut off of an error's words is of no use; of an answer it is everything.
            err?;
            Ok((out?, status?))
        };
        let ended: io::Result<_> = match timeout(deadline, whole).await {
            Ok(ended) => ended,
            Err(_) => {
                return Err(EngineError::OutcomeUnknown { call: call.name(), after: deadline });
            }
        };
        let (whole, status) = ended.map_err(|error| garbled(call, &error.to_string()))?;
        running.group.ended();
        if !whole {
            return Err(garbled(call, &format!("more than {STDOUT_LIMIT} bytes")));
        }
        Ok(Output { code: status.code(), stdout, stderr, took: began.elapsed() })
    }

    /// Starts the tool. It is killed, with its group, when it is dropped before its end.
    #[expect(clippy::disallowed_methods, reason = "the one engine that has no other interface")]
    pub(super) fn spawn<S: AsRef<OsStr>>(
        &self,
        words: &[S],
        stdin: bool,
    ) -> Result<Running, EngineError> {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .current_dir("/")
            .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| self.not_started(&error))?;
        let group = Group::of(&child);
        let streams = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        Ok(Running { group, child, streams })
    }

    fn not_started(&self, error: &io::Error) -> EngineError {
        let program = self.program.display();
        EngineError::Unreachable(match error.kind() {
            io::ErrorKind::NotFound => format!(
                "{program} is not there: install Apple's container, or name the program with \
                 SANDKEEPER_APPLE_CLI"
            ),
            _ => format!("{program} cannot be started: {error}"),
        })
    }
}

/// A run under way.
#[derive(Debug)]
pub(super) struct Running {
    // Dropped first: the group is ended while its leader still has the number.
    group: Group,
    pub(super) child: Child,
    pub(super) streams: (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>),
}

impl Running {
    /// Waits for the end; what is left of the group lives on.
    pub(super) async fn wait(&mut self) -> io::Result<Option<i32>> {
        let status = self.child.wait().await?;
        self.group.ended();
        Ok(status.code())
    }
}

/// The process group of a run.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let number = child.id().and_then(|id| i32::try_from(id).ok());
        Self(number.and_then(Pid::from_raw))
    }

    /// The number is free for others from now on.
    fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may have ended by itself, which is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Reads to the end and keeps the beginning. Whether that was all of it.
async fn read_bounded<R: AsyncRead + Unpin>(
    stream: Option<&mut R>,
    limit: usize,
    kept: &mut Vec<u8>,
) -> io::Result<bool> {
    let Some(stream) = stream else { return Ok(true) };
    let mut whole = true;
    // On the heap: the futures of whole calls hold it.
    let mut buffer = vec![0; 8192];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(whole);
        }
        let room = limit.saturating_sub(kept.len()).min(count);
        kept.extend_from_slice(&buffer[..room]);
        whole &= room == count;
    }
}

#[cfg(test)]
mod tests;
