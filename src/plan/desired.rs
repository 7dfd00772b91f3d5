//! What must exist, with every default filled in and nothing invalid representable.
//!
//! Only [`super::validate()`] builds a [`Desired`]. The fields of [`ContainerSpec`] are those that need a
//! new container when they change; everything else is applied to a running one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::observed::Container;
use crate::sandbox::{
    OperatingMode, Protocol, PullPolicy, RestartPolicy, ShutdownPolicy, UpdatePolicy,
};

/// Seconds between the stop signal and the kill where nobody says otherwise: the engines' own default.
pub const DEFAULT_GRACE_SECONDS: u32 = 10;

/// A sandbox's name: a DNS-1123 label that leaves room for the container prefix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SandboxName(pub(super) String);

impl SandboxName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SandboxName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A sandbox as it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
    /// Name of the sandbox.
    pub name: SandboxName,
    /// Identity minted when the sandbox was first declared.
    pub uid: String,
    /// Rises with every change of the spec.
    pub generation: i64,
    /// When the sandbox was first declared.
    pub created_at: Timestamp,
    /// What only a new container can change.
    pub container: ContainerSpec,
    /// What a running container can be given.
    pub limits: Limits,
    /// When to pull the image.
    pub pull_policy: PullPolicy,
    /// When it counts as ready; `None`: as soon as it runs.
    pub readiness: Option<ProbeSpec>,
    /// When it must be restarted.
    pub liveness: Option<ProbeSpec>,
    /// Modes and owners that must hold.
    pub permissions: Vec<Permission>,
    /// What to do when the container ends.
    pub restart_policy: RestartPolicy,
    /// Time between the stop signal and the kill.
    pub grace: Duration,
    /// Running or suspended.
    pub operating_mode: OperatingMode,
    /// End of life.
    pub shutdown_at: Option<Timestamp>,
    /// What becomes of the container at the end of life.
    pub shutdown_policy: ShutdownPolicy,
    /// When an edit that needs a new container takes effect.
    pub update_policy: UpdatePolicy,
    /// Whether a foreign container of our name may be taken over.
    pub adopt: bool,
    /// Whether no new privileges are asked for by name, and not by default.
    pub asks_no_new_privileges: bool,
}

/// The part of a sandbox that is fixed when its container is created.
///
/// Its serialised form is what [`super::fingerprint`] hashes: renaming or reordering a field here
/// recreates every user's containers, which the golden test exists to prevent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Image, as written.
    pub image: String,
    /// Entrypoint; `None`: the image's.
    pub command: Option<Vec<String>>,
    /// Arguments; `None`: the image's.
    pub args: Option<Vec<String>>,
    /// Working directory; `None`: the image's.
    pub working_dir: Option<String>,
    /// Environment, by name.
    pub env: BTreeMap<String, EnvValue>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Bind mounts.
    pub mounts: Vec<BindMount>,
    /// Size of `/dev/shm` in bytes.
    pub shared_memory: Option<i64>,
    /// Privileges.
    pub security: Security,
    /// Engine runtime.
    pub runtime: Option<String>,
    /// Network.
    pub network: NetworkChoice,
}

impl ContainerSpec {
    /// Whether any variable's value is in a file on the host.
    #[must_use]
    pub fn has_secret_files(&self) -> bool {
        self.env.values().any(|value| matches!(value, EnvValue::SecretFile(_)))
    }

    /// The program that it runs, where the spec says.
    #[must_use]
    pub fn program(&self) -> Option<&str> {
        self.command.as_ref().and_then(|command| command.first()).map(String::as_str)
    }

    /// Whether a fingerprint's field depends on the content of a secret file.
    #[must_use]
    pub fn is_secret_field(&self, field: &str) -> bool {
        let value = field.strip_prefix("env.").and_then(|name| self.env.get(name));
        matches!(value, Some(EnvValue::SecretFile(_)))
    }
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvValue {
    /// Plain text.
    Literal(String),
    /// Content of a file on the host, read when the container is created and never kept.
    SecretFile(PathBuf),
}

impl Desired {
    /// The port that a probe tries; `None`: it runs a command.
    #[must_use]
    pub fn probed_port(&self, probe: &ProbeSpec) -> Option<&Port> {
        let (ProbeAction::Http { port, .. } | ProbeAction::Tcp { port }) = &probe.action else {
            return None;
        };
        self.container.ports.iter().find(|declared| declared.name == *port)
    }

    /// Whether a probe can say anything of a container, which may be of another spec: not if it tries a port
    /// that the container does not publish.
    #[must_use]
    pub fn reaches(&self, probe: &ProbeSpec, container: &Container) -> bool {
        self.probed_port(probe).is_none_or(|port| container.binding(port).is_some())
    }
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Unique name within the sandbox.
    pub name: String,
    /// Port in the container.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Fixed port on the host; `None`: allocated.
    pub host_port: Option<u16>,
    /// Address bound on the host.
    pub host_ip: std::net::IpAddr,
}

/// A bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute path on the host.
    pub host_path: PathBuf,
    /// Absolute, normalised path in the container.
    pub mount_path: String,
    /// Read-only.
    pub read_only: bool,
    /// How to create a missing directory; not part of the container, so never hashed.
    #[serde(skip)]
    pub create: Option<CreateDirectory>,
}

/// Mode and owner of a directory that is created on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateDirectory {
    /// Permission bits, without suid, sgid and sticky.
    pub mode: u32,
    /// Owner; `None`: the daemon's.
    pub uid: Option<u32>,
    /// Group; `None`: the daemon's.
    pub gid: Option<u32>,
}

/// Privileges of the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Security {
    /// Seccomp profile.
    pub seccomp: Seccomp,
    /// Every capability it has, sorted, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Full privileges.
    pub privileged: bool,
    /// Whether `no-new-privileges` is set.
    pub no_new_privileges: bool,
    /// Read-only root filesystem.
    pub read_only_root: bool,
    /// User id; `None`: the image's.
    pub run_as_user: Option<u32>,
    /// Group id; `None`: the image's.
    pub run_as_group: Option<u32>,
}

/// Seccomp profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seccomp {
    /// The engine's own.
    RuntimeDefault,
    /// None.
    Unconfined,
    /// A JSON file on the host.
    Localhost(PathBuf),
}

/// Network of the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkChoice {
    /// The default bridge.
    Bridge,
    /// Loopback only.
    None,
    /// An existing network.
    Named(String),
}

/// Limits that an engine can change on a running container. `None`: unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processors in units of 10⁻⁹.
    pub nano_cpus: Option<i64>,
    /// Bytes of memory; swap gets no more.
    pub memory: Option<i64>,
    /// Processes and threads.
    pub pids: Option<i64>,
}

impl Limits {
    /// The names of the limits in which the two differ, as users write them.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut fields = Vec::new();
        if self.nano_cpus != other.nano_cpus {
            fields.push("resources.limits.cpu".to_owned());
        }
        if self.memory != other.memory {
            fields.push("resources.limits.memory".to_owned());
        }
        if self.pids != other.pids {
            fields.push("resources.limits.pids".to_owned());
        }
        fields
    }
}

/// A mode and owner that must hold at a path in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Absolute, normalised path in the container.
    pub path: String,
    /// Permission bits, without suid, sgid and sticky.
    pub mode: u32,
    /// Owner; `None`: any.
    pub uid: Option<u32>,
    /// Group; `None`: any.
    pub gid: Option<u32>,
    /// Also for everything below.
    pub recursive: bool,
    /// Create a missing directory.
    pub create: bool,
}

/// A probe with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// What is tried.
    pub action: ProbeAction,
    /// Wait after the start.
    pub initial_delay: Duration,
    /// Wait between two checks.
    pub period: Duration,
    /// Deadline of one check.
    pub timeout: Duration,
    /// Successes in a row that make it succeed.
    pub success_threshold: u32,
    /// Failures in a row that make it fail.
    pub failure_threshold: u32,
}

impl ProbeSpec {
    /// The least time after a start in which it can succeed.
    #[must_use]
    pub fn earliest_success(&self) -> Duration {
        self.initial_delay + self.period * self.success_threshold.saturating_sub(1)
    }
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeAction {
    /// GET of a path on the published port of this name.
    Http {
        /// Path and query.
        path: String,
        /// Name of the port in [`ContainerSpec::ports`].
        port: String,
    },
    /// Connection to the published port of this name.
    Tcp {
        /// Name of the port in [`ContainerSpec::ports`].
        port: String,
    },
    /// A command in the container.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

#[cfg(test)]
mod tests;
