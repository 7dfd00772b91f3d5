//! What an inspect says of a container, in the words of a request for one, so that both are read by the
//! same eyes ([`super::super::gate`]). What an engine fills in by itself, and what widens nothing, becomes
//! what we ask for; everything else stays, and is found there.
//!
//! Measured, Docker 20.10.24 and Podman 4.3.1:
//!
//! | asked | Docker shows | Podman shows |
//! | --- | --- | --- |
//! | `CapDrop: [ALL]`, `CapAdd: […]` | as asked | the difference to the default set of 14 |
//! | a capability by hand | `CAP_SYS_ADMIN` | `SYS_ADMIN` |
//! | `IpcMode: private` | `private` | `shareable` |
//! | no `PidMode`, `UTSMode` | `""` | `private` |
//! | no `CgroupnsMode` | `host` with cgroup v1, `private` with v2 | `""` |
//! | no `ShmSize` | 67108864 | 65536000 |
//! | no `Runtime` | the default one's name | `oci`, whichever it is |
//! | `NetworkMode: bridge` | `bridge`; `default` where none was asked for | `bridge` |
//! | no `MaskedPaths`, `ReadonlyPaths` | its lists; with `systempaths=unconfined` `[]` | nothing |
//! | `Privileged: true` | also `label=disable` | as asked |
//! | a bind mount | in `Mounts` | in `Binds`; in the list of mounts both |
//! | a read-only root | as asked | also tmpfs at `/run`, `/tmp`, `/var/tmp` |
//! | nothing | | `Ulimits`; `MemorySwappiness` 0 or -1 |
//! | user other than root | | `CapDrop` of what was not asked for |
//!
//! Read in the sources: `no-new-privileges:true` and `seccomp=builtin` (moby, `daemon/daemon_unix.go`),
//! `machine.slice`, `user.slice` and `/libpod_parent` as Podman's own cgroup parents (libpod,
//! `libpod/define/config.go`), annotations of Podman's own (libpod, `pkg/annotations`).
//! Not measured: `/host_mnt` before sources on Docker Desktop.

use std::collections::BTreeSet;

use bollard::models::{
    HostConfig, Mount, MountBindOptions, MountBindOptionsPropagationEnum, MountPoint, MountType,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::Dialect;
use crate::engine::docker::limits;

/// What both engines give a container that asks for no other capabilities, and what Podman tells the
/// difference to (`opencontainers/runtime-tools`, `generate`).
const ENGINES_CAPABILITIES: [&str; 14] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const ALL: &str = "ALL";
/// What Docker has masked since 20.10; a newer one masks more.
const MASKED: [&str; 7] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
/// Runtimes that are no other than what the engine takes by itself.
const PLAIN_RUNTIMES: [&str; 5] = ["", "oci", "runc", "crun", "io.containerd.runc.v2"];
const PODMANS_CGROUPS: [&str; 3] = ["machine.slice", "user.slice", "/libpod_parent"];

/// What an engine says of itself that an inspect is read by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::engine::docker) struct OwnWays {
    /// The runtime that a container is given when it asks for none.
    pub(in crate::engine::docker) default_runtime: Option<String>,
    /// Whether it is Docker Desktop: paths of the host have another beginning in its machine.
    pub(in crate::engine::docker) desktop: bool,
}

impl OwnWays {
    /// The host's own path.
    pub(in crate::engine::docker) fn host_path(&self, source: String) -> String {
        let inner = source.strip_prefix("/host_mnt").filter(|path| path.starts_with('/'));
        match inner {
            Some(path) if self.desktop => path.to_owned(),
            _ => source,
        }
    }
}

impl Dialect {
    /// The host's part of an inspect in the words of a request. Ports are read elsewhere.
    pub(in crate::engine::docker) fn as_asked(
        self,
        ways: &OwnWays,
        mut host: HostConfig,
        mounts: &[MountPoint],
    ) -> HostConfig {
        let privileged = host.privileged == Some(true);
        let in_force = limits::in_force(&host);
        host.nano_cpus = in_force.nano_cpus;
        host.memory = in_force.memory;
        host.pids_limit = in_force.pids;
        host.memory_swap = host.memory;
        if !privileged {
            host.cap_add = Some(capabilities(&host));
            host.cap_drop = Some(vec![ALL.to_owned()]);
        }
        unset_blanks(&mut host);
        unset_harmless(&mut host);
        self.unset_own(ways, &mut host, privileged);
        host.security_opt = Some(
            host.security_opt.iter().flatten().filter_map(|it| option(it, privileged)).collect(),
        );
        host.mounts = Some(mounts.iter().filter_map(|it| mount(ways, it)).collect());
        host
    }

    /// What the engine fills in where nothing was asked for.
    fn unset_own(self, ways: &OwnWays, host: &mut HostConfig, privileged: bool) {
        let plain = |it: &mut String| {
            PLAIN_RUNTIMES.contains(&it.as_str()) || ways.default_runtime.as_ref() == Some(it)
        };
        host.runtime.take_if(plain);
        if matches!(host.ipc_mode.as_deref(), None | Some("private" | "shareable" | "none")) {
            host.ipc_mode = Some("private".to_owned());
        }
        for mode in [&mut host.pid_mode, &mut host.uts_mode, &mut host.userns_mode] {
            mode.take_if(|mode| mode == "private");
        }
        // Which of the two is the engine's default, it does not tell; it shows names, and gives no right.
        host.cgroupns_mode = None;
        if matches!(host.network_mode.as_deref(), Some("default")) {
            host.network_mode = Some("bridge".to_owned());
        }
        host.network_mode = host.network_mode.take().map(|name| self.bare_network(name));
        let holds = |list: &Option<Vec<String>>, least: &[&str]| {
            list.as_ref()
                .is_some_and(|list| least.iter().all(|path| list.iter().any(|it| it == path)))
        };
        if privileged || holds(&host.masked_paths, &MASKED) {
            host.masked_paths = None;
        }
        if privileged || holds(&host.readonly_paths, &READ_ONLY) {
            host.readonly_paths = None;
        }
        if self == Self::Podman {
            host.cgroup_parent.take_if(|parent| PODMANS_CGROUPS.contains(&parent.as_str()));
        }
    }

    /// Annotations that are not the engine's own.
    pub(in crate::engine::docker) fn foreign_annotations(self, host: &HostConfig) -> Vec<String> {
        const PODMANS: [&str; 3] =
            ["io.container.manager", "io.podman.annotations.", "org.opencontainers.image."];
        let own = |key: &str| self == Self::Podman && PODMANS.iter().any(|it| key.starts_with(it));
        let keys = host.annotations.iter().flatten().map(|(key, _)| key.clone());
        let mut keys: Vec<String> = keys.filter(|key| !own(key)).collect();
        keys.sort();
        keys
    }
}

/// Every capability that the container has.
fn capabilities(host: &HostConfig) -> Vec<String> {
    let bare = |name: &String| {
        let name = name.to_ascii_uppercase();
        name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
    };
    let set = |names: &Option<Vec<String>>| {
        names.iter().flatten().map(bare).collect::<BTreeSet<String>>()
    };
    let (added, dropped) = (set(&host.cap_add), set(&host.cap_drop));
    let mut all: BTreeSet<String> = ENGINES_CAPABILITIES.map(str::to_owned).into();
    if dropped.contains(ALL) {
        all.clear();
    }
    all.retain(|name| !dropped.contains(name));
    all.extend(added);
    all.into_iter().collect()
}

/// An engine writes out what is not set.
fn unset_blanks(host: &mut HostConfig) {
    macro_rules! unset {
        ($blank:expr; $($field:ident)+) => { $(host.$field.take_if(|it| $blank(it));)+ };
    }
    unset!(|it: &String| it.is_empty(); cgroup_parent cgroup pid_mode uts_mode userns_mode ipc_mode
        network_mode runtime);
    unset!(|it: &i64| *it == 0; cpu_realtime_period cpu_realtime_runtime oom_score_adj shm_size);
    unset!(|it: &bool| !*it; oom_kill_disable publish_all_ports);
    unset!(|it: &Vec<String>| it.is_empty(); device_cgroup_rules group_add links);
    host.devices.take_if(|it| it.is_empty());
    host.device_requests.take_if(|it| it.is_empty());
    host.sysctls.take_if(|it| it.is_empty());
}

/// What widens nothing: shares of what the limits bound, names, logs, and how the container ends. Its mounts
/// are in a list of their own, wherever they came from.
fn unset_harmless(host: &mut HostConfig) {
    host.init = Some(true);
    host.auto_remove = Some(false);
    host.restart_policy =
        Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None });
    macro_rules! unset {
        ($($field:ident)+) => { $(host.$field = None;)+ };
    }
    unset!(cpu_shares blkio_weight blkio_weight_device blkio_device_read_bps blkio_device_write_bps
        blkio_device_read_iops blkio_device_write_iops cpu_period cpu_quota cpuset_cpus cpuset_mems
        memory_reservation memory_swappiness ulimits cpu_count cpu_percent io_maximum_iops
        io_maximum_bandwidth container_id_file log_config console_size dns dns_options dns_search
        extra_hosts storage_opt tmpfs isolation binds volumes_from volume_driver port_bindings
        annotations);
}

/// A security option in our words; `None`: it is the default.
fn option(option: &str, privileged: bool) -> Option<String> {
    match option {
        "no-new-privileges" | "no-new-privileges:true" | "no-new-privileges=true" => {
            Some("no-new-privileges".to_owned())
        }
        "no-new-privileges:false"
        | "no-new-privileges=false"
        | "seccomp=builtin"
        | "apparmor=docker-default" => None,
        _ if option.starts_with("apparmor=containers-default-") => None,
        "label=disable" | "apparmor=unconfined" if privileged => None,
        other => Some(other.to_owned()),
    }
}

/// A mount of the list, as if it had been asked for. `None`: it is no part of the host. A volume that has a
/// name was made by somebody, and can be any part of the host; one without comes from the image.
fn mount(ways: &OwnWays, point: &MountPoint) -> Option<Mount> {
    let kind = point.typ.as_ref().map(ToString::to_string).unwrap_or_default();
    let typ = match kind.as_str() {
        "bind" => MountType::BIND,
        "tmpfs" => return None,
        "volume" if is_anonymous(point) => return None,
        _ => MountType::VOLUME,
    };
    let propagation = if is_private(point) {
        MountBindOptionsPropagationEnum::RPRIVATE
    } else {
        MountBindOptionsPropagationEnum::RSHARED
    };
    Some(Mount {
        typ: Some(typ),
        // Another's is no path of the host that the policy could allow.
        source: point.source.clone().filter(|_| kind == "bind").map(|it| ways.host_path(it)),
        target: point.destination.clone(),
        read_only: Some(point.rw == Some(false)),
        bind_options: Some(MountBindOptions {
            propagation: Some(propagation),
            create_mountpoint: Some(false),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    })
}

/// Whether it is a private bind mount, or no part of the host.
pub(in crate::engine::docker) fn is_ordinary(point: &MountPoint) -> bool {
    let kind = point.typ.as_ref().map(ToString::to_string).unwrap_or_default();
    match kind.as_str() {
        "bind" => is_private(point),
        "tmpfs" => true,
        "volume" => is_anonymous(point),
        _ => false,
    }
}

fn is_private(point: &MountPoint) -> bool {
    matches!(point.propagation.as_deref(), None | Some("" | "private" | "rprivate"))
}

fn is_anonymous(point: &MountPoint) -> bool {
    let named_by_engine =
        |name: &String| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let local = matches!(point.driver.as_deref(), None | Some("" | "local"));
    local && point.name.as_ref().is_some_and(named_by_engine)
}
