//! What an engine and the host reported, in engine-neutral values. A failed query is an error
//! before it gets here: nothing in this module can mean "could not ask".

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::desired::{BindMount, Limits, Port};
use super::fingerprint::Fingerprint;
use super::policy::Isolation;
use super::step::Slot;
use crate::sandbox::Protocol;

/// A container's full id, 64 hexadecimal digits on Docker and Podman.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContainerId(pub String);

impl ContainerId {
    /// The first twelve digits, as engines show them to people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// State of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// Being restarted by the engine itself.
    Restarting,
    /// Ended.
    Exited,
    /// Being removed.
    Removing,
    /// Removed in part; the engine could not finish.
    Dead,
}

impl fmt::Display for ContainerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
            Self::Removing => "removing",
            Self::Dead => "dead",
        })
    }
}

/// A container that is ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    /// Full id.
    pub id: ContainerId,
    /// Name, without a leading slash.
    pub name: String,
    /// State.
    pub state: ContainerState,
    /// What it was made from, field by field; `None` for an adopted container.
    pub fingerprint: Option<Fingerprint>,
    /// Image, as written at creation.
    pub image: String,
    /// Image, by content.
    pub image_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// Exit code of its last run; `None` while it runs or when the engine does not know.
    pub exit_code: Option<i64>,
    /// Whether its last run ended for want of memory.
    pub oom_killed: bool,
    /// Limits in force.
    pub limits: Limits,
    /// Ports as published.
    pub bindings: Vec<Binding>,
    /// Whether it is attached to the network it was made for.
    pub network_attached: bool,
    /// Bind mounts that it was made with.
    pub mounts: Vec<BindMount>,
    /// Its first process, by the number that it has for the engine; `None` while it does not run.
    pub pid: Option<u32>,
    /// Runtime that it was made for, in the engine's words.
    pub runtime: Option<String>,
    /// What it is let do.
    pub isolation: Arc<Isolation>,
}

impl Container {
    /// Running and not frozen.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }

    /// How its last run ended, for people. `command` is the program that it ran, where the spec says.
    #[must_use]
    pub fn how_it_ended(&self, command: Option<&str>) -> String {
        let command = command.unwrap_or("the image's command");
        match (self.oom_killed, self.exit_code) {
            (true, _) => "the container ran out of memory".to_owned(),
            // The codes of an init (or a shell) that could not run its program.
            (false, Some(126)) => {
                format!("the container exited with code 126: {command} cannot be run")
            }
            (false, Some(127)) => {
                format!("the container exited with code 127: {command} was not found")
            }
            (false, Some(code)) => format!("the container exited with code {code}"),
            (false, None) => {
                "the container ended; the engine does not tell with which code".to_owned()
            }
        }
    }

    /// Where it publishes this port.
    #[must_use]
    pub fn binding(&self, port: &Port) -> Option<&Binding> {
        self.bindings.iter().find(|binding| {
            binding.container_port == port.container_port && binding.protocol == port.protocol
        })
    }

    /// Whether the container has a process: running, paused or being restarted by the engine.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(
            self.state,
            ContainerState::Running | ContainerState::Paused | ContainerState::Restarting
        )
    }
}

/// One published port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Port in the container.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address on the host.
    pub host_ip: IpAddr,
    /// Port on the host.
    pub host_port: u16,
}

/// The containers of one sandbox, sorted by the name they hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// Ours, under the sandbox's container name.
    pub main: Option<Container>,
    /// Ours, under the name `….new`: a replacement being brought up.
    pub replacement: Option<Container>,
    /// Ours, under the name `….old`: what a replacement replaces.
    pub predecessor: Option<Container>,
    /// Ours by recorded id, under a name that somebody else gave it.
    pub renamed: Option<Container>,
    /// Ours, but of an earlier life of a sandbox of this name.
    pub leftover: Vec<Container>,
    /// Not ours, holding one of the three names; the sandbox's own name first.
    pub foreign: Option<Foreign>,
}

impl Observed {
    /// Every container of this life.
    pub fn ours(&self) -> impl Iterator<Item = &Container> {
        [&self.main, &self.replacement, &self.predecessor, &self.renamed].into_iter().flatten()
    }
}

/// A container that is not ours and holds a name that we need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Full id.
    pub id: ContainerId,
    /// The name it holds.
    pub name: String,
    /// Which of the sandbox's names that is.
    pub slot: Slot,
    /// State.
    pub state: ContainerState,
}

/// What the host and the daemon's own helpers say, gathered before planning.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Host port of each port by its name, allocated or fixed.
    pub ports: BTreeMap<String, u16>,
    /// Keyed digests of the secret files' contents, by environment variable.
    pub secret_digests: BTreeMap<String, String>,
    /// What stands in the way of creating the container.
    pub blockers: Vec<Blocker>,
    /// What stands in the way of starting a container that is there: its mounts, or the policy.
    pub unstartable: Vec<Blocker>,
    /// What stands in the way of taking a foreign container over: the same.
    pub unadoptable: Vec<Blocker>,
    /// Whether what is mounted is what was checked.
    pub mounts: MountView,
    /// Whether the permissions hold.
    pub permissions: PermissionView,
    /// Readiness of the main (or only running) container.
    pub readiness: ProbeView,
    /// Liveness of the main (or only running) container.
    pub liveness: ProbeView,
    /// The image's pull.
    pub pull: PullView,
    /// Whether the engine can change limits on a running container.
    pub live_update: bool,
    /// Whether a container keeps the name that it was made with: the engine cannot rename.
    pub fixed_names: bool,
    /// When the engine came back after it was lost, if that has happened since the start.
    pub engine_returned_at: Option<Timestamp>,
}

/// Something that stands in the way of creating a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    /// Class.
    pub kind: BlockerKind,
    /// What is in the way, and what to do.
    pub message: String,
}

/// Classes of blocker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockerKind {
    /// A mount's host path does not exist or cannot be used.
    MountUnavailable,
    /// A mount's host path may not be mounted.
    MountRefused,
    /// A secret file cannot be read.
    SecretUnavailable,
    /// A fixed host port is taken, or the range is used up.
    PortConflict,
    /// The engine cannot honour a field.
    FieldRefused,
    /// A container has more than the policy allows.
    PolicyViolation,
}

/// Whether what is mounted in a container is what was checked before its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MountView {
    /// Not looked at: there is nothing to find out.
    #[default]
    NotChecked,
    /// It is, in the container of this id.
    AsChecked {
        /// The container.
        container: ContainerId,
    },
    /// It cannot be told for the container of this id, and never will.
    Unknowable {
        /// The container.
        container: ContainerId,
    },
    /// It is not, in the container of this id.
    Swapped {
        /// The container.
        container: ContainerId,
        /// Each mount that is another: what it shows, and what it should.
        mounts: Vec<String>,
    },
}

/// Whether the permissions hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PermissionView {
    /// Not looked at (nothing to hold, or the container does not run).
    #[default]
    NotChecked,
    /// Every rule holds.
    Hold,
    /// These paths differ, each with what differs.
    Drifted(Vec<String>),
    /// They could not be looked at or repaired.
    Failed(String),
}

/// What a probe found for one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProbeView {
    /// No probe is declared.
    #[default]
    None,
    /// A probe is declared and has not decided yet.
    Pending {
        /// What the last attempt said.
        message: String,
    },
    /// Its success threshold is met for the container of this id.
    Passing {
        /// The container.
        container: ContainerId,
    },
    /// Its failure threshold is met for the container of this id.
    Failing {
        /// The container.
        container: ContainerId,
        /// What the last attempt said.
        message: String,
    },
}

/// Where the pull of the sandbox's image stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PullView {
    /// Nothing is known to be missing: creation will tell.
    #[default]
    NotNeeded,
    /// The image must be pulled before a container can be made from it.
    Needed,
    /// The pull runs.
    InProgress {
        /// Progress in the engine's words.
        message: String,
    },
    /// The last pull failed.
    Failed {
        /// The engine's words.
        message: String,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// It was pulled for this container creation.
    Done,
}
