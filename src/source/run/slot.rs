//! One directory's place in the passes: its scanner, or the look that it has not come back from.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::source::Reader;
use crate::source::scan::Scanner;
use crate::source::signals::Signals;
use crate::source::snapshot::Look;

/// A directory that is looked at on the blocking pool, by one look at a time.
pub(super) struct Slot {
    pub(super) directory: PathBuf,
    reader: Reader,
    signals: Arc<Signals>,
    scanner: Option<Scanner>,
    busy: Option<Busy>,
}

struct Busy {
    look: JoinHandle<(Scanner, Look)>,
    /// Place in the sequence of events at which it began.
    started: u64,
}

impl Slot {
    pub(super) fn new(directory: PathBuf, reader: &Reader, signals: &Arc<Signals>) -> Self {
        let (reader, signals) = (reader.clone(), signals.clone());
        Self { directory, reader, signals, scanner: None, busy: None }
    }

    /// Whether a look has not come back.
    pub(super) fn is_late(&self) -> bool {
        self.busy.is_some()
    }

    /// Begins a look, unless one is under way.
    pub(super) fn start(&mut self, started: u64, refresh: bool) {
        if self.busy.is_some() {
            return;
        }
        let new =
            || Scanner::watched(self.directory.clone(), self.reader.clone(), self.signals.clone());
        let mut scanner = self.scanner.take().unwrap_or_else(new);
        let look = tokio::task::spawn_blocking(move || {
            let look = scanner.look(refresh);
            (scanner, look)
        });
        self.busy = Some(Busy { look, started });
    }

    /// What the look found, with the place in the sequence at which it began; or that it is late.
    pub(super) async fn finish(&mut self, deadline: Instant) -> (Look, Option<u64>) {
        let Some(busy) = &mut self.busy else { return (Look::Late, None) };
        let Ok(outcome) = timeout_at(deadline, &mut busy.look).await else {
            return (Look::Late, None);
        };
        let started = busy.started;
        self.busy = None;
        match outcome {
            Ok((scanner, look)) => {
                self.scanner = Some(scanner);
                (look, Some(started))
            }
            // The next look starts with a new scanner.
            Err(error) => (Look::Unreadable(format!("looking at it failed: {error}")), None),
        }
    }
}
