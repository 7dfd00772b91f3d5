//! Parses on a thread beside the look, under a deadline: one file must not cost the others theirs.
//!
//! The guards of the parser bound its work to milliseconds, so the deadline only meets what they miss. A
//! thread cannot be killed: one that is late is left to finish, and what it finds counts at a later look.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;
use std::time::Duration;

use super::checked;
use crate::sandbox::{Problem, ProblemReason};
use crate::source::Reader;
use crate::source::snapshot::Documents;

/// Longest that one file may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// Most threads that may be late at once; after that nothing new is parsed until one ends.
const MAX_LATE: usize = 4;

/// Parses files, one after the other.
pub(super) struct Parser {
    reader: Reader,
    base: PathBuf,
    deadline: Duration,
    worker: Option<Worker>,
    late: Vec<Late>,
}

/// A thread that waits for files.
struct Worker {
    files: Sender<Arc<[u8]>>,
    results: Receiver<Documents>,
}

/// A file whose parsing has not ended in time.
struct Late {
    bytes: Arc<[u8]>,
    results: Receiver<Documents>,
    outcome: Option<Documents>,
}

impl Parser {
    /// `base` is the directory that relative paths in a file start at.
    pub(super) fn new(reader: Reader, base: PathBuf, deadline: Duration) -> Self {
        Self { reader, base, deadline, worker: None, late: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// The documents of a file; `Err` says why that is not known yet.
    pub(super) fn parse(&mut self, bytes: &Arc<[u8]>) -> Result<Documents, Problem> {
        self.late.iter_mut().for_each(Late::poll);
        if let Some(index) = self.late.iter().position(|late| late.bytes == *bytes) {
            if self.late[index].outcome.is_none() {
                return Err(too_slow(self.deadline));
            }
            return Ok(self.late.swap_remove(index).outcome.unwrap_or_else(failed));
        }
        if self.late.iter().filter(|late| late.outcome.is_none()).count() >= MAX_LATE {
            return Err(crowded());
        }
        self.parse_on_a_thread(bytes)
    }

    /// Ends the thread, and forgets what nobody asked for.
    pub(super) fn rest(&mut self) {
        self.worker = None;
        self.late.iter_mut().for_each(Late::poll);
        self.late.retain(|late| late.outcome.is_none());
    }

    fn parse_on_a_thread(&mut self, bytes: &Arc<[u8]>) -> Result<Documents, Problem> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(self.reader.clone(), self.base.clone())?,
        };
        // A thread that is gone has panicked, and says so below.
        let _ = worker.files.send(Arc::clone(bytes));
        match worker.results.recv_timeout(self.deadline) {
            Ok(documents) => {
                self.worker = Some(worker);
                Ok(documents)
            }
            Err(RecvTimeoutError::Disconnected) => Ok(failed()),
            Err(RecvTimeoutError::Timeout) => {
                let bytes = Arc::clone(bytes);
                self.late.push(Late { bytes, results: worker.results, outcome: None });
                Err(too_slow(self.deadline))
            }
        }
    }
}

impl Worker {
    fn start(reader: Reader, base: PathBuf) -> Result<Self, Problem> {
        let (files, receive_files) = channel::<Arc<[u8]>>();
        let (send_results, results) = channel();
        let work = move || {
            for bytes in receive_files {
                if send_results.send(parse(&reader, &base, &bytes)).is_err() {
                    break;
                }
            }
        };
        match thread::Builder::new().name("parse".to_owned()).spawn(work) {
            Ok(_) => Ok(Self { files, results }),
            Err(error) => {
                let message = format!("the file cannot be parsed now: no thread for it: {error}");
                Err(Problem::new(ProblemReason::TooComplex, message))
            }
        }
    }
}

impl Late {
    fn poll(&mut self) {
        if self.outcome.is_none() {
            self.outcome = match self.results.try_recv() {
                Ok(documents) => Some(documents),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(failed()),
            };
        }
    }
}

/// A parser that panics on one file must not take the others with it.
fn parse(reader: &Reader, base: &Path, bytes: &[u8]) -> Documents {
    let parsed = catch_unwind(AssertUnwindSafe(|| reader(bytes, base)));
    let documents = parsed.unwrap_or_else(|_| failed().map(|_| Vec::new()))?;
    if documents.is_empty() {
        let message = "the file declares nothing; to delete a sandbox, delete its file";
        return Err(Problem::new(ProblemReason::Empty, message));
    }
    Ok(documents.into_iter().map(checked).collect())
}

fn failed() -> Documents {
    let message = "sandkeeper failed to parse this file; please report it with the file";
    Err(Problem::new(ProblemReason::Invalid, message))
}

fn too_slow(deadline: Duration) -> Problem {
    let message = format!("the file takes longer than {deadline:?} to parse; make it simpler");
    Problem::new(ProblemReason::TooComplex, message)
}

fn crowded() -> Problem {
    let message = format!("not parsed: {MAX_LATE} other files still keep the parser busy");
    Problem::new(ProblemReason::TooComplex, message)
}
