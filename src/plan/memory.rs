//! What the daemon must remember of a sandbox beyond what an engine can tell. A cache: losing it
//! costs a back-off or a port, never a container.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::decide::HoldKind;
use super::observed::ContainerId;
use crate::sandbox::Termination;

/// What is remembered of one sandbox, stored as `<state>/memory/<name>.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// Sandbox that this speaks of; another uid means another life, and an empty memory.
    pub uid: String,
    /// Host ports by port name, kept for the sandbox's life.
    pub ports: BTreeMap<String, u16>,
    /// The container that served last; makes a renamed container ours.
    pub container: Option<ContainerId>,
    /// Container taken over on request, and the spec it was taken to match.
    pub adopted: Option<Adopted>,
    /// Restarts after unexpected ends.
    pub restarts: Restarts,
    /// How the container last ended.
    pub last_termination: Option<Termination>,
    /// The action that keeps failing.
    pub failure: Option<Failure>,
    /// A spec that was tried, did not come up, and was rolled back.
    pub rejected: Option<Rejected>,
    /// The container that we stopped because the spec asked for it (or for another): it did not end by itself.
    pub parked: Option<ContainerId>,
    /// A predecessor that was down when its replacement began and was never seen ready: not worth
    /// bringing back.
    pub idle_predecessor: Option<ContainerId>,
    /// Set when the container ended for good under its restart policy.
    pub finished: Option<Finished>,
    /// The container that was last seen running, on an engine that may forget that it ever did.
    pub ran: Option<ContainerId>,
    /// The container that was last seen ready.
    pub was_ready: Option<ContainerId>,
    /// A container with mounts that was started, and in which they have not been compared with what was
    /// checked.
    pub unproven: Option<ContainerId>,
}

impl Memory {
    /// The same life on an engine that has none of its containers.
    #[must_use]
    pub fn without_containers(self) -> Self {
        let Self { uid, ports, restarts, last_termination, failure, rejected, finished, .. } = self;
        Self {
            uid,
            ports,
            restarts,
            last_termination,
            failure,
            rejected,
            finished,
            ..Self::default()
        }
    }
}

/// A container that was taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adopted {
    /// The container.
    pub container: ContainerId,
    /// Spec hash at the time; a later one replaces the container.
    pub spec_hash: String,
}

/// Restarts after unexpected ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Restarts {
    /// Since the sandbox was created.
    pub total: u32,
    /// Since the last healthy stretch.
    pub streak: u32,
    /// When the last one was made.
    pub last_at: Option<Timestamp>,
}

/// An action that failed and is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Spec hash of the container that did not come up; an edit clears the back-off.
    pub spec_hash: String,
    /// Class.
    pub kind: HoldKind,
    /// The engine's words.
    pub message: String,
    /// Failures in a row.
    pub attempts: u32,
    /// When it last failed.
    pub at: Timestamp,
    /// Not to be tried again for this spec: only an edit can mend it.
    pub terminal: bool,
}

/// A spec that was rolled back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// Its spec hash.
    pub spec_hash: String,
    /// Why it did not come up.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// A container that ended for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finished {
    /// Spec hash that ran; an edit starts a new life.
    pub spec_hash: String,
    /// Whether it ended with success; `None`: the engine does not tell.
    pub succeeded: Option<bool>,
    /// When it ended.
    pub at: Timestamp,
}
