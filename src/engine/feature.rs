//! What engines can and cannot do, by name: the one list from which specs are refused, the planner
//! chooses its protocol, the contract suite knows what to expect, and the README's table is made.

use super::EngineKind;

/// Something that not every engine can do. Whatever is not here, every engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Giving a container another name.
    Rename,
    /// Freezing a container.
    Pause,
    /// Telling the code with which a container ended.
    ExitCode,
    /// Telling that something happened when it happens, and not when it is asked next.
    Events,
    /// Changing the limits of a container that exists.
    LiveUpdate,
    /// Attaching a container to a network later on.
    Reattach,
    /// Limiting processes.
    PidsLimit,
    /// Limiting processors.
    CpuLimit,
    /// Limiting processors to a fraction of one.
    FractionalCpu,
    /// Limiting memory.
    MemoryLimit,
    /// Setting the size of `/dev/shm`.
    SharedMemory,
    /// Full privileges on the host.
    Privileged,
    /// Keeping processes from gaining privileges.
    NoNewPrivileges,
    /// Another seccomp profile than the engine's own.
    SeccompProfile,
    /// Another runtime than the engine's own.
    Runtime,
    /// Giving what is made on the host to a container's user.
    HostOwners,
    /// Mounting a single file.
    FileMount,
    /// A variable whose value has more than one line.
    MultilineEnv,
    /// Telling when a line of a log was written.
    LogTimes,
    /// Giving a command a terminal.
    Terminal,
}

/// What sandkeeper does on an engine that lacks a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// A spec that sets this field is refused: `FieldRefused`, or a creation that is not tried again.
    Refused(&'static str),
    /// Something else is done, or nothing is missing: says what.
    Otherwise(&'static str),
}

impl Feature {
    /// Every feature, in the order of the README's table.
    pub const ALL: [Self; 20] = [
        Self::PidsLimit,
        Self::CpuLimit,
        Self::FractionalCpu,
        Self::MemoryLimit,
        Self::SharedMemory,
        Self::Privileged,
        Self::NoNewPrivileges,
        Self::SeccompProfile,
        Self::Runtime,
        Self::FileMount,
        Self::HostOwners,
        Self::MultilineEnv,
        Self::ExitCode,
        Self::LiveUpdate,
        Self::Rename,
        Self::Pause,
        Self::Events,
        Self::Reattach,
        Self::LogTimes,
        Self::Terminal,
    ];

    /// The feature, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rename => "renames containers",
            Self::Pause => "can freeze containers",
            Self::ExitCode => "tells exit codes",
            Self::Events => "tells events",
            Self::LiveUpdate => "changes limits of a running container",
            Self::Reattach => "attaches containers to networks later",
            Self::PidsLimit => "limits processes",
            Self::CpuLimit => "limits processors",
            Self::FractionalCpu => "limits to fractions of a processor",
            Self::MemoryLimit => "limits memory",
            Self::SharedMemory => "sets the size of `/dev/shm`",
            Self::Privileged => "privileged containers",
            Self::NoNewPrivileges => "no new privileges",
            Self::SeccompProfile => "other seccomp profiles",
            Self::Runtime => "other runtimes",
            Self::FileMount => "mounts single files",
            Self::HostOwners => "gives directories of the host to its users",
            Self::MultilineEnv => "variables of several lines",
            Self::LogTimes => "times of log lines",
            Self::Terminal => "terminals for commands",
        }
    }

    /// The controller of control groups that it takes.
    #[must_use]
    pub const fn controller(self) -> Option<&'static str> {
        match self {
            Self::PidsLimit => Some("pids"),
            Self::CpuLimit | Self::FractionalCpu => Some("cpu"),
            Self::MemoryLimit => Some("memory"),
            _ => None,
        }
    }

    /// What an engine of a user (rootless) needs for it beyond what the host's own needs, for people.
    #[must_use]
    pub const fn rootless(self) -> Option<&'static str> {
        match self {
            Self::PidsLimit => Some("needs `pids`"),
            Self::CpuLimit | Self::FractionalCpu => Some("needs `cpu`"),
            Self::MemoryLimit => Some("needs `memory`"),
            Self::Pause => Some("needs cgroups v2"),
            Self::HostOwners => Some("Podman alone"),
            _ => None,
        }
    }

    /// What is done on an engine without it.
    #[must_use]
    pub const fn without(self) -> Without {
        match self {
            Self::PidsLimit => Without::Refused("resources.limits.pids"),
            Self::CpuLimit | Self::FractionalCpu => Without::Refused("resources.limits.cpu"),
            Self::MemoryLimit => Without::Refused("resources.limits.memory"),
            Self::SharedMemory => Without::Refused("resources.limits.sharedMemory"),
            Self::Privileged => Without::Refused("securityContext.privileged"),
            Self::NoNewPrivileges => Without::Refused("securityContext.allowPrivilegeEscalation"),
            Self::SeccompProfile => Without::Refused("securityContext.seccompProfile"),
            Self::Runtime => Without::Refused("runtimeClassName"),
            Self::FileMount => Without::Refused("mounts[].hostPath"),
            Self::HostOwners => Without::Refused("mounts[].create.uid"),
            Self::MultilineEnv => Without::Refused("env[]"),
            Self::ExitCode => Without::Refused("restartPolicy"),
            Self::LiveUpdate => Without::Otherwise("an edit of limits takes a new container"),
            Self::Rename => Without::Otherwise(
                "containers are `….new` and without it in turn; promises as elsewhere",
            ),
            Self::Pause => Without::Otherwise("nobody can freeze one"),
            Self::Events => Without::Otherwise(
                "its list is asked for instead, often after a change, each 5 s at rest",
            ),
            Self::Reattach => Without::Otherwise("no container loses its network"),
            Self::LogTimes => Without::Otherwise("`logs --since` and `--timestamps` are refused"),
            Self::Terminal => Without::Otherwise("`exec -t` is refused"),
        }
    }
}

impl EngineKind {
    /// What no version of this engine can do, with all rights on its host.
    #[must_use]
    pub const fn lacks(self) -> &'static [Feature] {
        match self {
            Self::Docker | Self::Fake => &[],
            Self::Podman => &[Feature::LiveUpdate, Feature::Runtime],
            Self::Apple => &[
                Feature::Rename,
                Feature::Pause,
                Feature::ExitCode,
                Feature::Events,
                Feature::LiveUpdate,
                Feature::Reattach,
                Feature::PidsLimit,
                Feature::FractionalCpu,
                Feature::Privileged,
                Feature::NoNewPrivileges,
                Feature::SeccompProfile,
                Feature::Runtime,
                Feature::FileMount,
                Feature::MultilineEnv,
                Feature::LogTimes,
                Feature::Terminal,
            ],
        }
    }
}
