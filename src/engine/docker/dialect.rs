//! Who speaks Docker's API: Docker, or Podman through its Docker-compatible socket, and where they differ.
//!
//! Facts about Podman that this is built on (4.3.1):
//! - `ID` in `/info` is minted anew by every service process, so it identifies nothing.
//! - A name for a runtime is accepted and ignored: the default runtime runs.
//! - There is no update; limits below the runtime's minimum fail at the start, not at creation.
//! - A bind mount whose source is missing makes it, as root, `Mounts` or not.
//! - A seccomp option is a path, never the profile itself.
//! - The default network is called `podman`; asked for as `bridge`, it is shown by its own name.
//! - How it shows a container otherwise than asked is in [`made`].
//! - After an end it cleans up in a process of its own, and the state says `stopped` until that is done. On a
//!   rootless one a start in between loses its ports (10 of 10 times; none when the clean-up is waited for).
//! - A removal is the event `remove`, and a filter by `destroy` finds none.

mod made;

use std::collections::HashMap;

use bollard::models::{SystemInfo, SystemVersion};

use super::errors::garbled;
use crate::engine::{Call, CreateRequest, EngineError, EngineKind, Feature};
use crate::plan::Limits;
pub(super) use made::{OwnWays, is_ordinary};

/// Least memory that a container is started with, in bytes: runc's own minimum
/// (`opencontainers/runc libcontainer/cgroups/fs/memory.go`), which Docker checks at creation.
const LEAST_MEMORY: i64 = 6 << 20;

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Docker,
    Podman,
}

impl Dialect {
    /// By what `/version` says that the engine is made of.
    pub(super) fn of(version: &SystemVersion) -> Self {
        let mut components = version.components.iter().flatten();
        if components.any(|component| component.name.starts_with("Podman")) {
            Self::Podman
        } else {
            Self::Docker
        }
    }

    pub(super) const fn kind(self) -> EngineKind {
        match self {
            Self::Docker => EngineKind::Docker,
            Self::Podman => EngineKind::Podman,
        }
    }

    /// What tells this engine from another one: Docker's id; Podman's host and storage.
    pub(super) fn engine_id(self, info: &SystemInfo) -> Result<String, EngineError> {
        let missing = |what| garbled(Call::Capabilities, &format!("{what} is missing"));
        match self {
            Self::Docker => info.id.clone().ok_or_else(|| missing("ID")),
            Self::Podman => {
                let storage = info.docker_root_dir.as_deref();
                let storage = storage.filter(|it| !it.is_empty());
                let storage = storage.ok_or_else(|| missing("DockerRootDir"))?;
                Ok(format!("{}:{storage}", info.name.as_deref().unwrap_or_default()))
            }
        }
    }

    /// The runtimes that a container can be given.
    pub(super) fn runtimes<V>(self, registered: HashMap<String, V>) -> Vec<String> {
        let mut runtimes: Vec<String> = match self {
            Self::Docker => registered.into_keys().collect(),
            Self::Podman => Vec::new(),
        };
        runtimes.sort();
        runtimes
    }

    /// Least memory to limit a container to, in bytes; 0: the engine checks that itself.
    pub(super) const fn least_memory(self) -> i64 {
        match self {
            Self::Docker => 0,
            Self::Podman => LEAST_MEMORY,
        }
    }

    /// What to ask for where no limit on processes is wanted: Podman has one by default
    /// (`pids_limit` in containers.conf(5)), Docker has none.
    pub(super) const fn no_pids_limit(self) -> Option<i64> {
        match self {
            Self::Docker => None,
            Self::Podman => Some(-1),
        }
    }

    /// What the engine says of itself that an inspect is read by.
    pub(super) fn own_ways(info: &SystemInfo) -> OwnWays {
        OwnWays {
            default_runtime: info.default_runtime.clone().filter(|it| !it.is_empty()),
            desktop: info.operating_system.as_deref() == Some("Docker Desktop"),
        }
    }

    /// Whether a container is cleaned up after its end has been told.
    pub(super) const fn cleans_up_late(self) -> bool {
        matches!(self, Self::Podman)
    }

    /// Whether limits can change without a new container.
    pub(super) fn updates(self) -> bool {
        !self.kind().lacks().contains(&Feature::LiveUpdate)
    }

    /// Refuses what Docker would refuse at creation and Podman takes, ignores, or stumbles over later.
    pub(super) fn check(self, request: &CreateRequest) -> Result<(), EngineError> {
        if self == Self::Docker {
            return Ok(());
        }
        if let Some(runtime) = &request.runtime {
            return Err(EngineError::Rejected(format!(
                "Podman's API cannot choose a runtime, and {runtime:?} is asked for"
            )));
        }
        check_memory(&request.limits)?;
        // Between this look and the creation the source can go; then Podman makes an empty directory.
        for mount in &request.mounts {
            if let Err(error) = std::fs::symlink_metadata(&mount.host_path) {
                let path = mount.host_path.display();
                let message = format!("bind source path cannot be used: {path}: {error}");
                return Err(EngineError::Failed { status: 0, message });
            }
        }
        Ok(())
    }

    /// The engine's name of a network, from ours.
    pub(super) fn network(self, name: &str) -> &str {
        if self == Self::Podman && name == "bridge" { "podman" } else { name }
    }

    /// Our name of a network, from the engine's.
    pub(super) fn bare_network(self, name: String) -> String {
        if self == Self::Podman && name == "podman" { "bridge".to_owned() } else { name }
    }
}

fn check_memory(limits: &Limits) -> Result<(), EngineError> {
    match limits.memory {
        Some(memory) if memory < LEAST_MEMORY => Err(EngineError::Rejected(format!(
            "the least memory limit is {LEAST_MEMORY} bytes, and {memory} is asked for"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
