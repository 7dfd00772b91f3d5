//! Faults beyond one sandbox: of the daemon, its state, the directory and the engine's socket.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::{Driver, name_of};
use crate::daemon::Daemon;
use crate::judge::Property;
use crate::proxy::{Fault as Trouble, Rule};
use crate::script::{Damage, Fault, Ill};

/// The calls that change containers.
const CHANGES: [&str; 6] = [
    "POST /containers/create",
    "POST /containers/*/start",
    "POST /containers/*/stop",
    "POST /containers/*/rename",
    "POST /containers/*/update",
    "DELETE /containers/*",
];

impl Driver {
    pub(super) async fn begin(&mut self, fault: Fault) {
        *self.faults.entry(name_of(&fault)).or_default() += 1;
        self.note_for_all(&format!("FAULT {}", name_of(&fault)));
        match fault {
            Fault::Kill => self.kill_daemon(),
            Fault::Terminate => self.terminate_daemon().await,
            Fault::Freeze => self.signal_daemon(Signal::STOP),
            Fault::State(damage) => {
                self.kill_daemon();
                self.damage(damage);
            }
            Fault::DirectoryAway => self.hide_directory(false),
            Fault::DirectoryReplaced => self.hide_directory(true),
            Fault::MassLoss(names) => self.hide_files(&names),
            Fault::Engine(ill, seed) => {
                if matches!(ill, Ill::FrozenEvents | Ill::RepeatedEvents) {
                    // Only a new stream of events can be broken.
                    self.kill_daemon();
                }
                self.break_socket(ill, seed);
                self.start_daemon();
            }
        }
    }

    pub(super) fn end(&mut self, fault: &Fault) {
        match fault {
            Fault::Freeze => self.signal_daemon(Signal::CONT),
            Fault::DirectoryAway | Fault::DirectoryReplaced => self.show_directory(),
            Fault::MassLoss(names) => self.show_files(names),
            Fault::Engine(..) => self.mend_socket(),
            Fault::Kill | Fault::Terminate | Fault::State(_) => {}
        }
        self.start_daemon();
        self.note_for_all(&format!("END of {}", name_of(fault)));
        let class = match fault {
            Fault::Kill | Fault::Terminate | Fault::State(_) => "after: daemon down",
            Fault::Freeze => "after: daemon frozen",
            Fault::DirectoryAway | Fault::DirectoryReplaced | Fault::MassLoss(_) => {
                "after: files away"
            }
            // A call that hangs is given up after 30 s, whatever the engine does meanwhile.
            Fault::Engine(Ill::StallInspect, _) => "after: engine stalled",
            Fault::Engine(..) => "after: engine ill",
        };
        self.oracle.record().fault_ended(class);
    }

    /// Starts the daemon, unless one runs.
    pub(super) fn start_daemon(&mut self) {
        if self.daemon.is_none() {
            let command = self.world.run_command(&self.proxy.address());
            self.daemon = Some(Daemon::start(command, &self.world.folder.join("daemon.log")));
        }
    }

    pub(crate) fn kill_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    async fn terminate_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take()
            && let Err(why) = daemon.terminate().await
        {
            self.oracle.record().accuse(Property::DaemonFailed, "", &why);
        }
    }

    pub(super) fn signal_daemon(&self, signal: Signal) {
        if let Some(daemon) = &self.daemon {
            daemon.signal(signal);
        }
    }

    /// A daemon that ended unasked is a violation, and started again.
    pub(super) fn notice_an_ended_daemon(&mut self) {
        if let Some(how) = self.daemon.as_mut().and_then(Daemon::ended) {
            self.daemon = None;
            self.oracle.record().accuse(Property::DaemonFailed, "", &how);
            self.start_daemon();
        }
    }

    fn damage(&self, damage: Damage) {
        let files = |folder: &str| -> Vec<PathBuf> {
            let entries = fs::read_dir(self.world.state().join(folder)).into_iter().flatten();
            entries.flatten().map(|entry| entry.path()).collect()
        };
        let garble =
            |path: PathBuf| fs::write(path, "{\"uid\": \"").expect("the state is writable");
        let lose = |path: PathBuf| fs::remove_file(path).expect("it was listed");
        match damage {
            Damage::MemoryLost => files("memory").into_iter().for_each(lose),
            Damage::MemoryGarbled => files("memory").into_iter().for_each(garble),
            Damage::StatusLost => files("status").into_iter().for_each(lose),
            Damage::SpecsLost => files("specs").into_iter().for_each(lose),
            Damage::EventsGarbled => files("events").into_iter().for_each(garble),
            Damage::HeldLost => {
                // Nothing is held most of the time; then there is no such file.
                drop(fs::remove_file(self.world.state().join("held.json")));
            }
        }
    }

    fn break_socket(&mut self, ill: Ill, seed: u64) {
        let some = |trouble: Trouble| vec![Rule::new(trouble).chance(0.3, seed)];
        let list = |trouble: Trouble| vec![Rule::new(trouble).on("GET /containers/json")];
        let events = |trouble: Trouble| vec![Rule::new(trouble).on("GET /events")];
        let rules = match ill {
            Ill::DropBefore => some(Trouble::DropBefore),
            Ill::DropAfter => some(Trouble::DropAfter),
            Ill::Delay => vec![Rule::new(Trouble::Delay(Duration::from_millis(400)))],
            Ill::StallInspect => {
                vec![Rule::new(Trouble::StallHead).on("GET /containers/*/json").chance(0.2, seed)]
            }
            Ill::Status500 => some(Trouble::refuse(500, "no space left on device")),
            Ill::Html502 => some(Trouble::html502()),
            Ill::EmptyList => list(Trouble::EmptyList),
            Ill::StaleList => list(Trouble::StaleList),
            Ill::TornList => list(Trouble::Truncate),
            Ill::FrozenEvents => events(Trouble::Freeze(0)),
            Ill::RepeatedEvents => events(Trouble::Repeat(5)),
            Ill::Duplicate => {
                CHANGES.iter().map(|call| Rule::new(Trouble::Duplicate).on(call)).collect()
            }
            Ill::Gone => vec![Rule::new(Trouble::DropBefore)],
        };
        for rule in rules {
            let hits = self.proxy.add(rule);
            self.hits.push((name_of(&Fault::Engine(ill, seed)), hits));
        }
    }

    fn mend_socket(&mut self) {
        self.proxy.clear();
        for (name, hits) in self.hits.drain(..) {
            *self.strikes.entry(name).or_default() += hits.count();
        }
    }

    fn note_for_all(&self, what: &str) {
        let mut record = self.oracle.record();
        for name in self.known.keys() {
            record.note(name, what);
        }
    }
}
