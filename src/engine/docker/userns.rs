//! An engine in a user namespace, as that of a user (rootless) is: what it says of ids, and what it may not
//! do with control groups. Pure.
//!
//! Facts that this is built on (Podman 4.3.1, and Docker's documentation):
//! - Podman's native `/info` has the ids and the control groups that it was given; its Docker-compatible
//!   one has neither, and says that every limit is possible.
//! - With version 1 of control groups a rootless Podman drops every limit without a word, and freezes
//!   nothing. With version 2 it has the controllers that the system hands down to it.
//! - Docker says *that* ids are mapped, among its security options, and not how. What it cannot limit, it
//!   says, and drops with a warning.

use bollard::models::SystemInfo;
use serde::Deserialize;

use super::errors::unreadable;
use crate::engine::{Call, EngineError, Feature};
use crate::plan::ids::IdRange;
use crate::plan::{IdMapping, Limits};

/// Where Podman's own words are; every version since 4.0 has this one.
pub(super) const NATIVE_INFO: &str = "/v4.0.0/libpod/info";

/// How an engine stands to its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UserNamespace {
    /// Ids of its containers on the host.
    pub(super) ids: IdMapping,
    /// What it cannot do beyond what no engine of its kind can.
    pub(super) lacks: Vec<Feature>,
}

impl UserNamespace {
    fn new(ids: IdMapping, mut lacks: Vec<Feature>) -> Self {
        if ids == IdMapping::NotTold {
            lacks.push(Feature::HostOwners);
        }
        Self { ids, lacks }
    }

    /// Refuses limits that the engine would drop without a word.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), EngineError> {
        let asked = [
            (Feature::CpuLimit, limits.nano_cpus.is_some()),
            (Feature::MemoryLimit, limits.memory.is_some()),
            (Feature::PidsLimit, limits.pids.is_some()),
        ];
        match asked.into_iter().find(|(feature, asked)| *asked && self.lacks.contains(feature)) {
            Some((feature, _)) => Err(EngineError::Rejected(format!(
                "the engine was not given the controller {} of control groups, and a limit is asked for",
                feature.controller().unwrap_or_default()
            ))),
            None => Ok(()),
        }
    }

    /// By what Docker's `/info` says.
    pub(super) fn of_docker(info: &SystemInfo) -> Self {
        let mapped = |option: &String| {
            ["name=userns", "name=rootless"].contains(&option.split(',').next().unwrap_or_default())
        };
        let mapped = info.security_options.iter().flatten().any(mapped);
        let told = [
            (Feature::CpuLimit, info.cpu_cfs_quota),
            (Feature::MemoryLimit, info.memory_limit),
            (Feature::PidsLimit, info.pids_limit),
        ];
        let lacks = told.into_iter().filter(|(_, can)| *can == Some(false));
        let ids = if mapped { IdMapping::NotTold } else { IdMapping::Same };
        Self::new(ids, lacks.map(|(feature, _)| feature).collect())
    }

    /// By what Podman's native `/info` says; `None`: it has none, and so nothing is known.
    pub(super) fn of_podman(native: Option<&[u8]>) -> Result<Self, EngineError> {
        let Some(json) = native else { return Ok(Self::new(IdMapping::NotTold, Vec::new())) };
        let NativeInfo { host } =
            serde_json::from_slice(json).map_err(|error| unreadable(Call::Capabilities, &error))?;
        if !host.security.rootless {
            return Ok(Self::default());
        }
        let ids = match host.id_mappings {
            Some(IdMappings { uidmap: Some(uids), gidmap: Some(gids) }) => {
                let ranges = |all: Vec<NativeRange>| all.into_iter().map(IdRange::from).collect();
                IdMapping::Ranges { uids: ranges(uids), gids: ranges(gids) }
            }
            _ => IdMapping::NotTold,
        };
        let given = host.cgroup_controllers.unwrap_or_default();
        let lacks = Feature::ALL.into_iter().filter(|feature| {
            let needed = feature.controller();
            needed.is_some_and(|needed| !given.iter().any(|given| given == needed))
        });
        let mut lacks: Vec<Feature> = lacks.collect();
        if host.cgroup_version.as_deref() == Some("v1") {
            lacks.push(Feature::Pause);
        }
        Ok(Self::new(ids, lacks))
    }
}

#[derive(Deserialize)]
struct NativeInfo {
    host: NativeHost,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NativeHost {
    security: NativeSecurity,
    id_mappings: Option<IdMappings>,
    cgroup_version: Option<String>,
    cgroup_controllers: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct NativeSecurity {
    rootless: bool,
}

#[derive(Deserialize)]
struct IdMappings {
    uidmap: Option<Vec<NativeRange>>,
    gidmap: Option<Vec<NativeRange>>,
}

#[derive(Deserialize)]
struct NativeRange {
    container_id: u32,
    host_id: u32,
    size: u32,
}

impl From<NativeRange> for IdRange {
    fn from(range: NativeRange) -> Self {
        Self { inside: range.container_id, outside: range.host_id, count: range.size }
    }
}

#[cfg(test)]
mod tests;
