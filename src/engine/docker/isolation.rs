//! An inspect → what the container is let do. Pure. A request is read by the same code ([`super::gate`]),
//! after [`Dialect::as_asked`]; what cannot be read as anything that a sandbox may ask for is beyond.

use std::net::{IpAddr, Ipv4Addr};

use bollard::models::{ContainerConfig, HostConfig, MountPoint, RestartPolicyNameEnum};
use serde_json::{Map, Value};

use super::dialect::{Dialect, OwnWays, is_ordinary};
use super::gate;
use crate::plan::NetworkChoice;
use crate::plan::policy::{Grant, Isolation};
use crate::sandbox::text::one_line_of;

/// Fields of the host's part that are known, harmless ones of older engines among them; the others say
/// something that nobody has judged.
const KNOWN: &str = " AutoRemove Binds BlkioDeviceReadBps BlkioDeviceReadIOps BlkioDeviceWriteBps \
    BlkioDeviceWriteIOps BlkioWeight BlkioWeightDevice CapAdd CapDrop Cgroup CgroupParent CgroupnsMode \
    ConsoleSize ContainerIDFile CpuCount CpuPercent CpuPeriod CpuQuota CpuRealtimePeriod \
    CpuRealtimeRuntime CpuShares CpusetCpus CpusetMems DeviceCgroupRules DeviceRequests Devices Dns \
    DnsOptions DnsSearch ExtraHosts GroupAdd IOMaximumBandwidth IOMaximumIOps Init IpcMode Isolation \
    KernelMemory KernelMemoryTCP Links LogConfig MaskedPaths Memory MemoryReservation MemorySwap \
    MemorySwappiness Mounts NanoCpus NetworkMode OomKillDisable OomScoreAdj PidMode PidsLimit \
    PortBindings Privileged PublishAllPorts ReadonlyPaths ReadonlyRootfs RestartPolicy Runtime \
    SecurityOpt ShmSize StorageOpt Sysctls Tmpfs UTSMode Ulimits UsernsMode VolumeDriver VolumesFrom \
    Annotations ";
/// What of a value is shown.
const SHOWN: usize = 120;

/// What an inspect says that the container is let do. `raw` is the host's part as the engine wrote it.
pub(super) fn read(
    (dialect, ways): (Dialect, &OwnWays),
    config: &ContainerConfig,
    host: &HostConfig,
    raw: &Map<String, Value>,
    mounts: &[MountPoint],
    networks: &[String],
) -> Isolation {
    let mut odd = Vec::new();
    let asked = dialect.as_asked(ways, host.clone(), mounts);
    let mut grant = gate::read_host(&asked, &mut odd);
    grant.image.clone_from(&config.image);
    let (user, group) = user(config.user.as_deref());
    grant.user = user;
    grant.ports = ports(host, &mut odd);
    odd.sort();
    odd.dedup();
    let beyond = odd.iter().map(|field| shown(field, raw, mounts)).collect();
    let further = networks.iter().filter(|name| !is_own(&grant, name)).cloned().collect();
    let mut unknown: Vec<String> = raw
        .iter()
        .filter(|(key, value)| !KNOWN.contains(&format!(" {key} ")) && !is_blank(value))
        .map(|(key, value)| entry(key, value))
        .collect();
    let annotations = dialect.foreign_annotations(host).into_iter();
    unknown.extend(annotations.map(|key| format!("Annotations: {}", cut(&key))));
    Isolation {
        group,
        read_only_root: Some(host.readonly_rootfs == Some(true)),
        further_networks: further,
        beyond,
        unasked: unasked(host),
        unknown,
        ..Isolation::of_grant(grant)
    }
}

/// What an engine does with a container by itself.
fn unasked(host: &HostConfig) -> Vec<String> {
    let mut unasked = Vec::new();
    let policy = host.restart_policy.as_ref().and_then(|policy| policy.name);
    if !matches!(policy, None | Some(RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY)) {
        let policy = policy.map(|name| name.to_string()).unwrap_or_default();
        unasked.push(format!("RestartPolicy: {policy}"));
    }
    if host.auto_remove == Some(true) {
        unasked.push("AutoRemove: true".to_owned());
    }
    unasked
}

/// Whether it is the network that the container was made for.
fn is_own(grant: &Grant, name: &str) -> bool {
    match &grant.network {
        NetworkChoice::Bridge => name == "bridge",
        NetworkChoice::None => name == "none",
        NetworkChoice::Named(own) => own == name,
    }
}

/// Numbers of a user and a group; a name says nothing that can be relied on.
fn user(text: Option<&str>) -> (Option<u32>, Option<u32>) {
    let text = text.unwrap_or_default();
    let (user, group) = text.split_once(':').unwrap_or((text, ""));
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    (number(user), number(group))
}

/// Each port with its address; without one it is bound to every address, and without a number the engine
/// chooses.
fn ports(host: &HostConfig, odd: &mut Vec<String>) -> Vec<(IpAddr, Option<u16>)> {
    let mut ports = Vec::new();
    for binding in host.port_bindings.iter().flatten().flat_map(|(_, it)| it.iter().flatten()) {
        let address = match binding.host_ip.as_deref().unwrap_or_default() {
            "" => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            address => address.parse().ok(),
        };
        let port = match binding.host_port.as_deref().unwrap_or_default() {
            "" | "0" => Some(None),
            port => port.parse().ok().map(Some),
        };
        match (address, port) {
            (Some(address), Some(port)) => ports.push((address, port)),
            _ => odd.push("port_bindings".to_owned()),
        }
    }
    ports.sort_unstable();
    ports
}

/// A mount that no sandbox can have.
fn mount(point: &MountPoint) -> String {
    let kind = point.typ.as_ref().map(ToString::to_string).unwrap_or_default();
    let what = point.name.as_deref().or(point.source.as_deref()).unwrap_or_default();
    let place = point.destination.as_deref().unwrap_or_default();
    match point.propagation.as_deref().unwrap_or_default() {
        "" => cut(&format!("{kind} {what} at {place}")),
        propagation => cut(&format!("{kind} {what} at {place} ({propagation})")),
    }
}

/// A field by the engine's own name, with its value.
fn shown(field: &str, raw: &Map<String, Value>, mounts: &[MountPoint]) -> String {
    if field == "mounts" {
        let odd: Vec<String> = mounts.iter().filter(|it| !is_ordinary(it)).map(mount).collect();
        return format!("Mounts: {}", odd.join(", "));
    }
    let bare = field.replace('_', "");
    match raw.iter().find(|(key, _)| key.eq_ignore_ascii_case(&bare)) {
        Some((key, value)) => entry(key, value),
        None => field.to_owned(),
    }
}

fn entry(key: &str, value: &Value) -> String {
    format!("{}: {}", cut(key), cut(&value.to_string()))
}

/// On one line, and of bounded length: it is an engine's text.
fn cut(text: &str) -> String {
    one_line_of(text, SHOWN)
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests;
