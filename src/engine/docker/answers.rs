//! Docker's answers → engine-neutral values. What cannot be read is an error, never "nothing".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bollard::models::{
    ContainerConfig, HostConfig, MountPoint, NetworkSettings, PortBinding, PortMap, SystemInfo,
    SystemVersion,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::dialect::{Dialect, OwnWays};
use super::errors::{garbled, unreadable};
use super::userns::UserNamespace;
use super::{isolation, limits};
use crate::engine::text;
use crate::engine::{Call, Capabilities, EngineError, Inspected, Listed};
use crate::plan::{BindMount, Binding, ContainerId, ContainerState};
use crate::sandbox::Protocol;

/// What `/info` says, of an engine that stands so to its host.
pub(super) fn capabilities(
    dialect: Dialect,
    info: SystemInfo,
    userns: &UserNamespace,
) -> Result<Capabilities, EngineError> {
    let missing = |what| garbled(Call::Capabilities, &format!("{what} is missing"));
    Ok(Capabilities {
        engine_id: dialect.engine_id(&info)?,
        version: info.server_version.ok_or_else(|| missing("ServerVersion"))?,
        runtimes: dialect.runtimes(info.runtimes.unwrap_or_default()),
        cpus: info.ncpu.ok_or_else(|| missing("NCPU"))?,
        memory: info.mem_total.ok_or_else(|| missing("MemTotal"))?,
        data_root: info.docker_root_dir.filter(|path| !path.is_empty()).map(Into::into),
        least_memory: dialect.least_memory(),
        ids: userns.ids.clone(),
        lacks: [dialect.kind().lacks(), &userns.lacks].concat(),
    })
}

/// Name and version of each part, the API's among them. Podman's `Podman Engine` and `OCI Runtime (runc)`,
/// whose version is a paragraph, go by Docker's names.
pub(super) fn parts(version: SystemVersion) -> Vec<(String, String)> {
    let components = version.components.unwrap_or_default().into_iter();
    let components = components.map(|component| {
        let name = component.name.trim_start_matches("Podman ");
        let name =
            name.strip_prefix("OCI Runtime (").and_then(|it| it.strip_suffix(')')).unwrap_or(name);
        let first = component.version.lines().next().unwrap_or_default();
        let bare = first.strip_prefix(name).map(|it| it.trim_start_matches(" version "));
        (name.to_owned(), bare.unwrap_or(first).to_owned())
    });
    components.chain(version.api_version.map(|api| ("API".to_owned(), api))).collect()
}

/// A full id, or the engine's answer is none.
pub(super) fn container_id(call: Call, id: String) -> Result<ContainerId, EngineError> {
    let full = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if full { Ok(ContainerId(id)) } else { Err(garbled(call, "the id is no full id")) }
}

/// Only what [`Listed`] holds; the rest of each container, most of the bytes, is skipped undecoded.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    names: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    labels: Option<BTreeMap<String, String>>,
}

/// What `/containers/json` says.
pub(super) fn list(json: &[u8]) -> Result<Vec<Listed>, EngineError> {
    let summaries: Vec<Summary<'_>> =
        serde_json::from_slice(json).map_err(|error| unreadable(Call::List, &error))?;
    summaries.into_iter().map(listed).collect()
}

fn listed(summary: Summary<'_>) -> Result<Listed, EngineError> {
    // A container that is half removed may have no name left; aliases of links hold a second slash.
    let names = summary.names.unwrap_or_default();
    let name = names.iter().map(|name| bare(name)).find(|name| !name.contains('/'));
    Ok(Listed {
        id: container_id(Call::List, summary.id.into_owned())?,
        name: name.unwrap_or_default().to_owned(),
        state: state(Call::List, &summary.state)?,
        labels: summary.labels.unwrap_or_default(),
    })
}

fn bare(name: &str) -> &str {
    name.strip_prefix('/').unwrap_or(name)
}

fn state(call: Call, word: &str) -> Result<ContainerState, EngineError> {
    Ok(match word {
        // Podman has two more words on the way to a start, and one between the end and its clean-up.
        "created" | "configured" | "initialized" => ContainerState::Created,
        // Still running until it has ended.
        "running" | "stopping" => ContainerState::Running,
        "paused" => ContainerState::Paused,
        "restarting" => ContainerState::Restarting,
        "exited" | "stopped" => ContainerState::Exited,
        "removing" => ContainerState::Removing,
        "dead" => ContainerState::Dead,
        other => {
            return Err(garbled(call, &format!("unknown container state {}", text::word(other))));
        }
    })
}

/// Whether the container has ended and the engine has still to clean up after it: Podman's state between
/// running and exited.
pub(super) fn awaits_clean_up(json: &[u8]) -> Result<bool, EngineError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Shown {
        state: Run,
    }
    let shown: Shown =
        serde_json::from_slice(json).map_err(|error| unreadable(Call::Inspect, &error))?;
    Ok(shown.state.status == "stopped")
}

/// What is read of an inspect. The client library's own type knows Docker's words for states only, and
/// fails at Podman's.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    id: String,
    name: String,
    created: String,
    image: String,
    state: Run,
    config: ContainerConfig,
    host_config: Map<String, Value>,
    network_settings: Option<NetworkSettings>,
    mounts: Option<Vec<MountPoint>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Run {
    status: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    exit_code: Option<i64>,
    #[serde(rename = "OOMKilled")]
    oom_killed: Option<bool>,
    pid: Option<i64>,
}

/// What an inspect of `asked` says. An answer about another container is refused: an id also finds a
/// container that is *named* so.
pub(super) fn inspected(
    (dialect, ways): (Dialect, &OwnWays),
    asked: &ContainerId,
    json: &[u8],
) -> Result<Inspected, EngineError> {
    let missing = |what| garbled(Call::Inspect, &format!("{what} is missing"));
    let Details {
        id,
        name,
        created,
        image,
        state: run,
        config,
        host_config: raw,
        network_settings,
        mounts,
    } = serde_json::from_slice(json).map_err(|error| unreadable(Call::Inspect, &error))?;
    if id != asked.0 {
        return Err(garbled(Call::Inspect, &format!("asked for {asked}, told of another")));
    }
    let host: HostConfig = serde_json::from_value(Value::Object(raw.clone()))
        .map_err(|error| unreadable(Call::Inspect, &error))?;
    let state = state(Call::Inspect, &run.status)?;
    let network = network_settings.unwrap_or_default();
    let started_at = time("StartedAt", run.started_at.as_deref())?;
    let ran = started_at.is_some() && state != ContainerState::Created;
    let networks = network.networks.unwrap_or_default().into_keys();
    let mut networks: Vec<String> = networks.map(|name| dialect.bare_network(name)).collect();
    networks.sort();
    let mounts = mounts.unwrap_or_default();
    let read_by = (dialect, ways);
    let isolation = isolation::read(read_by, &config, &host, &raw, &mounts, &networks);
    Ok(Inspected {
        id: ContainerId(id),
        name: bare(&name).to_owned(),
        state,
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        image: config.image.ok_or_else(|| missing("Config.Image"))?,
        image_id: image,
        created_at: time("Created", Some(&created))?.ok_or_else(|| missing("Created"))?,
        started_at,
        finished_at: time("FinishedAt", run.finished_at.as_deref())?,
        exit_code: run.exit_code.filter(|_| ran && has_ended(state)),
        oom_killed: run.oom_killed.unwrap_or_default(),
        limits: limits::in_force(&host),
        bindings: bindings(&host, network.ports.as_ref()),
        networks,
        network_mode: host.network_mode.unwrap_or_default(),
        mounts: binds(ways, mounts),
        pid: run.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0),
        runtime: host.runtime,
        isolation: Arc::new(isolation),
    })
}

/// The bind mounts, in the order of their places.
fn binds(ways: &OwnWays, mounts: Vec<MountPoint>) -> Vec<BindMount> {
    let bind = |mount: MountPoint| {
        (mount.typ? == "bind").then_some(())?;
        Some(BindMount {
            host_path: ways.host_path(mount.source?).into(),
            mount_path: mount.destination?,
            read_only: !mount.rw.unwrap_or(true),
            create: None,
        })
    };
    let mut binds: Vec<BindMount> = mounts.into_iter().filter_map(bind).collect();
    binds.sort_by(|one, other| one.mount_path.cmp(&other.mount_path));
    binds
}

fn has_ended(state: ContainerState) -> bool {
    !matches!(state, ContainerState::Running | ContainerState::Paused)
}

/// Docker's zero time means "never".
fn time(field: &str, text: Option<&str>) -> Result<Option<Timestamp>, EngineError> {
    match text {
        None | Some("") => Ok(None),
        Some(text) if text.starts_with("0001-01-01T00:00:00") => Ok(None),
        Some(text) => text
            .parse()
            .map(Some)
            .map_err(|_| garbled(Call::Inspect, &format!("{field} is no time"))),
    }
}

/// The ports as asked for; where the engine was left to choose, as it chose.
fn bindings(host: &HostConfig, actual: Option<&PortMap>) -> Vec<Binding> {
    let asked = host.port_bindings.iter().flatten();
    let mut bindings: Vec<Binding> = asked
        .flat_map(|(port, hosts)| {
            let actual = actual.and_then(|ports| ports.get(port)).into_iter().flatten().flatten();
            let chosen = hosts.iter().flatten().any(|binding| host_port(binding).is_none());
            let hosts: Vec<&PortBinding> =
                if chosen { actual.collect() } else { hosts.iter().flatten().collect() };
            hosts.into_iter().filter_map(|binding| published(port, binding)).collect::<Vec<_>>()
        })
        .collect();
    bindings.sort_by_key(|binding| (binding.container_port, binding.host_ip, binding.host_port));
    bindings
}

fn published(port: &str, binding: &PortBinding) -> Option<Binding> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let host_ip = binding.host_ip.as_deref().filter(|ip| !ip.is_empty());
    Some(Binding {
        container_port: number.parse().ok()?,
        protocol,
        host_ip: host_ip.map_or(Some(any), |ip| ip.parse().ok())?,
        host_port: host_port(binding)?,
    })
}

fn host_port(binding: &PortBinding) -> Option<u16> {
    binding.host_port.as_deref()?.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests;
