//! A host in a temporary directory: spec files, a state directory, the fake engine with its users, and a
//! daemon that can be started, stopped and killed.

mod daemon;
mod engine;

use std::cell::Cell;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use tempfile::TempDir;

use self::daemon::Process;
use super::link::Switchboard;
use crate::config::{Config, ConfigFile, built_in};
use crate::engine::{Call, EngineError};
use crate::plan::Memory;
use crate::plan::policy::MaxLimits;
use crate::plan::policy::host_paths::AllowedPath;
use crate::sandbox::SandboxStatus;
use crate::state::{events, status};

/// Far more than anything here takes; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between two looks of a test that waits.
const LOOK: Duration = Duration::from_millis(5);
/// An engine that has not been asked anything for so long has a daemon that waits for something to happen.
const QUIET: Duration = Duration::from_millis(150);
/// First part of every container's name.
const PREFIX: &str = "t";

/// A host.
pub(super) struct World {
    root: TempDir,
    pub(super) config: Config,
    pub(super) engine: Arc<Switchboard>,
    daemon: Option<Process>,
    /// Entries of the ledger that a test has seen already.
    seen: usize,
}

/// Building a host and what is declared on it.
impl World {
    /// A host without specs and without a daemon. Nothing is looked at again for an hour unless something
    /// tells of a change, and sandboxes have no port, hence no probe, unless they say so.
    pub(super) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("specs")).unwrap();
        let mut config = built_in(ConfigFile::default()).unwrap();
        config.specs = vec![root.path().join("specs")];
        config.state = root.path().join("state");
        config.container_prefix = PREFIX.to_owned();
        config.resync = Duration::from_hours(1);
        config.defaults.ports = Some(Vec::new());
        // The paths beside the daemon's own may be mounted. No limit is filled in, so that what a foreign
        // container lacks is not given to it.
        let beside = AllowedPath { path: root.path().to_owned(), read_only: false };
        config.policy.host_paths.allowed = vec![beside];
        config.policy.limits = MaxLimits::default();
        let engine = Arc::new(Switchboard::default());
        engine.fake.act(|state| {
            for image in ["app:1", "app:2", "app:3", "exit:0", "exit:1"] {
                state.add_image(image);
            }
        });
        Self { root, config, engine, daemon: None, seen: 0 }
    }

    /// A host whose daemon runs and has brought up these sandboxes, which the ledger is silent about.
    pub(super) fn running(sandboxes: &[(&str, &str)]) -> Self {
        Self::new().up(sandboxes)
    }

    /// Starts the daemon on these sandboxes and waits until they are ready.
    pub(super) fn up(mut self, sandboxes: &[(&str, &str)]) -> Self {
        for (name, spec) in sandboxes {
            self.declare(name, spec);
        }
        self.start();
        for (name, _) in sandboxes {
            self.until_ready(name);
        }
        self.quiet();
        self.asked();
        self
    }

    /// Declares or edits a sandbox, as we ask writers to: by a rename into place.
    pub(super) fn declare(&self, name: &str, spec: &str) {
        self.declare_with(name, "", spec);
    }

    /// As [`Self::declare`], with lines for the metadata.
    pub(super) fn declare_with(&self, name: &str, metadata: &str, spec: &str) {
        let indented = |text: &str| {
            text.lines().fold(String::new(), |mut all, line| {
                let _ = writeln!(all, "  {line}");
                all
            })
        };
        let text = format!(
            "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata:\n  name: {name}\n{}spec:\n{}",
            indented(metadata),
            indented(spec)
        );
        let temporary = self.root.path().join("temporary");
        std::fs::write(&temporary, text).unwrap();
        std::fs::rename(temporary, self.file(name)).unwrap();
    }

    /// Deletes the sandbox's file.
    pub(super) fn withdraw(&self, name: &str) {
        std::fs::remove_file(self.file(name)).unwrap();
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("specs").join(format!("{name}.yaml"))
    }

    /// A path beside the directories of the daemon.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    pub(super) fn state(&self, path: &str) -> PathBuf {
        self.config.state.join(path)
    }
}

/// What users are told.
impl World {
    pub(super) fn status(&self, name: &str) -> Option<SandboxStatus> {
        // A damaged file is one that is not there yet.
        status::read_one(&self.config.state, name).ok()??.status
    }

    /// What the daemon remembers of the sandbox.
    pub(super) fn memory(&self, name: &str) -> Memory {
        self.context().memory.get(name, &self.uid(name))
    }

    /// The sandbox's uid; to wait for another one, see [`World::published_uid`].
    #[track_caller]
    pub(super) fn uid(&self, name: &str) -> String {
        self.published_uid(name).expect("it is published, with a uid")
    }

    /// The uid in the sandbox's status, in one look: between two, the file can go.
    pub(super) fn published_uid(&self, name: &str) -> Option<String> {
        status::read_one(&self.config.state, name).ok()??.metadata.uid
    }

    pub(super) fn restarts(&self, name: &str) -> u32 {
        self.status(name).and_then(|status| status.container).map_or(0, |it| it.restart_count)
    }

    pub(super) fn condition(&self, name: &str, type_: &str) -> Option<Condition> {
        self.status(name)?.condition(type_).cloned()
    }

    /// `True ContainerReady`: status and reason of a condition.
    pub(super) fn says(&self, name: &str, type_: &str) -> String {
        let condition = self.condition(name, type_);
        condition.map_or_else(String::new, |it| format!("{} {}", it.status, it.reason))
    }

    /// Reasons and messages of the sandbox's events, in order.
    pub(super) fn events(&self, name: &str) -> Vec<String> {
        let all = events::read(&self.config.state, name).unwrap();
        all.into_iter().map(|event| format!("{}: {}", event.reason, event.message)).collect()
    }

    /// Whether an event of this reason says this.
    pub(super) fn told(&self, name: &str, reason: &str, message: &str) -> bool {
        let prefix = format!("{reason}: ");
        self.events(name).iter().any(|event| event.starts_with(&prefix) && event.contains(message))
    }
}

/// Waiting.
impl World {
    /// Waits until something holds.
    #[track_caller]
    pub(super) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.account());
            std::thread::park_timeout(LOOK);
            self.engine.tick();
        }
    }

    #[track_caller]
    pub(super) fn until_ready(&self, name: &str) {
        self.until_says(name, "Ready", "True ContainerReady");
    }

    /// Waits until a condition has this status and reason.
    #[track_caller]
    pub(super) fn until_says(&self, name: &str, type_: &str, says: &str) {
        let what = format!("{name}: {type_} {says}");
        self.until(&what, |world| world.says(name, type_) == says);
    }

    /// Waits until the sandbox runs this image and is ready and up to date.
    #[track_caller]
    pub(super) fn until_runs(&self, name: &str, image: &str) {
        self.until(&format!("{name} on {image}"), |world| {
            let status = world.status(name);
            let container = status.as_ref().and_then(|status| status.container.as_ref());
            container.is_some_and(|it| it.image == image && it.state == "running")
                && world.says(name, "Ready") == "True ContainerReady"
                && world.says(name, "UpToDate") == "True UpToDate"
        });
    }

    /// Waits until the daemon has nothing to ask the engine for the moment.
    #[track_caller]
    pub(super) fn quiet(&self) {
        let last = Cell::new((self.business(), Instant::now()));
        self.until("a moment of quiet", |world| {
            let business = world.business();
            if last.get().0 != business {
                last.set((business, Instant::now()));
            }
            last.get().1.elapsed() >= QUIET
        });
    }

    /// How often the engine was called, without the lists of a resync that never rests.
    fn business(&self) -> usize {
        let resyncs = self.config.resync < Duration::from_secs(1);
        self.engine.total() - if resyncs { self.engine.count(Call::List) } else { 0 }
    }

    /// Everything that helps to understand a failure.
    fn account(&self) -> String {
        let mut account = format!("containers: {:#?}\n", self.containers());
        let ledger = self.engine.fake.ledger();
        for mutation in &ledger[ledger.len().saturating_sub(40)..] {
            let _ = writeln!(account, "{} {}", mutation.call.name(), mutation.name);
        }
        for sandbox in status::read_all(&self.config.state).unwrap_or_default().iter().take(5) {
            let name = sandbox.metadata.name.clone().unwrap_or_default();
            for condition in sandbox.status.iter().flat_map(|status| &status.conditions) {
                let Condition { type_, status, reason, message, .. } = condition;
                let _ = writeln!(account, "{name}: {type_} {status} {reason}: {message}");
            }
            let _ = writeln!(account, "{name}: {:#?}", self.events(&name));
        }
        account
    }
}

/// Name of a sandbox's container.
pub(super) fn container_name(sandbox: &str) -> String {
    format!("{PREFIX}-{sandbox}")
}

/// The engine's connection is refused.
pub(super) fn unreachable() -> EngineError {
    EngineError::Unreachable("connection refused".to_owned())
}

/// The reply of a call is lost.
pub(super) fn lost() -> EngineError {
    EngineError::OutcomeUnknown { call: "test", after: Duration::from_secs(30) }
}

/// The engine fails for no reason of ours.
pub(super) fn internal_error() -> EngineError {
    EngineError::Failed { status: 500, message: "no space left on device".to_owned() }
}
