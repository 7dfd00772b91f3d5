//! Everything of a container that the ceiling speaks of, wherever it was read from.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::plan::desired::{BindMount, Desired, Limits, NetworkChoice, Seccomp, Security};

/// Everything of a container that the ceiling speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Image, as written. `None`: not asked for here.
    pub image: Option<String>,
    /// Full privileges.
    pub privileged: bool,
    /// Every capability it has, without `CAP_`.
    pub capabilities: BTreeSet<String>,
    /// Whether a process may gain privileges.
    pub escalation: bool,
    /// Seccomp profile.
    pub seccomp: SeccompGrant,
    /// Number of its user; `None`: the image's.
    pub user: Option<u32>,
    /// Paths of the host in it.
    pub mounts: Vec<MountGrant>,
    /// Address and port on the host of each port; no port yet: allocated later.
    pub ports: Vec<(IpAddr, Option<u16>)>,
    /// Network.
    pub network: NetworkChoice,
    /// Runtime; `None`: the engine's default one.
    pub runtime: Option<String>,
    /// Limits.
    pub limits: Limits,
    /// Size of `/dev/shm` in bytes; `None`: the engine's default.
    pub shared_memory: Option<i64>,
}

/// A path of the host in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountGrant {
    /// The path.
    pub path: PathBuf,
    /// Whether it cannot be written from inside.
    pub read_only: bool,
}

/// Seccomp profile of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeccompGrant {
    /// The engine's own.
    EngineDefault,
    /// None.
    Unconfined,
    /// Another one; from this file, where that can be told.
    Profile(Option<PathBuf>),
}

impl Grant {
    /// What a spec asks for.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        let container = &desired.container;
        Self {
            image: Some(container.image.clone()),
            ports: container.ports.iter().map(|port| (port.host_ip, port.host_port)).collect(),
            network: container.network.clone(),
            runtime: container.runtime.clone(),
            limits: desired.limits,
            shared_memory: container.shared_memory,
            ..Self::of_security(&container.security, &container.mounts)
        }
    }

    /// Privileges and mounts alone; the rest is what needs no permission.
    #[must_use]
    pub fn of_security(security: &Security, mounts: &[BindMount]) -> Self {
        let mount = |mount: &BindMount| MountGrant {
            path: mount.host_path.clone(),
            read_only: mount.read_only,
        };
        Self {
            image: None,
            privileged: security.privileged,
            capabilities: security.capabilities.iter().cloned().collect(),
            escalation: !security.no_new_privileges,
            seccomp: match &security.seccomp {
                Seccomp::RuntimeDefault => SeccompGrant::EngineDefault,
                Seccomp::Unconfined => SeccompGrant::Unconfined,
                Seccomp::Localhost(path) => SeccompGrant::Profile(Some(path.clone())),
            },
            user: security.run_as_user,
            mounts: mounts.iter().map(mount).collect(),
            ports: Vec::new(),
            network: NetworkChoice::None,
            runtime: None,
            limits: Limits::default(),
            shared_memory: None,
        }
    }
}
