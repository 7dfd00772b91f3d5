//! The last thing before a container is created: the request as it will be sent, held against the policy.
//! Pure.
//!
//! Every type of the request is taken apart without `..`, so that a field that the client library adds
//! later does not compile until somebody has decided about it. What no sandbox can ask for must be unset;
//! the rest is read back into a [`Grant`], which the policy judges as it judges a spec. Nothing is taken
//! on trust from how the request was built.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::CreateContainerOptions;

use crate::engine::EngineError;
use crate::plan::policy::{self, Grant, MountGrant, Policy, SeccompGrant};
use crate::plan::validate::is_network_name;
use crate::plan::{Limits, NetworkChoice};

/// Adds the names of those fields that are set.
macro_rules! must_be_unset {
    ($found:expr; $($field:ident)+) => {
        $(if $field.is_some() { $found.push(stringify!($field).to_owned()); })+
    };
}

/// Lets the request pass, or says what of it is refused and by which rule.
pub(super) fn pass(
    options: &CreateContainerOptions,
    body: &ContainerCreateBody,
    policy: &Policy,
) -> Result<(), EngineError> {
    let mut odd = Vec::new();
    let CreateContainerOptions { name, platform } = options;
    if name.as_deref().unwrap_or_default().is_empty() {
        odd.push("name".to_owned());
    }
    if !platform.is_empty() {
        odd.push("platform".to_owned());
    }
    let grant = read(body, &mut odd);
    if !odd.is_empty() {
        let fields = odd.join(", ");
        let message = format!("the request has what no sandbox can ask for: {fields}");
        return Err(EngineError::Forbidden(message));
    }
    let violations = policy::judge(&grant, policy);
    if violations.is_empty() {
        return Ok(());
    }
    Err(EngineError::Forbidden(policy::as_text(&violations)))
}

/// What the request grants. `odd` gets the name of everything that is not as we ever ask for it.
fn read(body: &ContainerCreateBody, odd: &mut Vec<String>) -> Grant {
    // What runs in it is the spec's own business: command, environment, labels, directory, exposed ports.
    let ContainerCreateBody {
        hostname,
        domainname,
        user,
        attach_stdin,
        attach_stdout,
        attach_stderr,
        exposed_ports: _,
        tty,
        open_stdin,
        stdin_once,
        env: _,
        cmd: _,
        healthcheck,
        args_escaped,
        image,
        volumes,
        working_dir: _,
        entrypoint: _,
        network_disabled,
        on_build,
        labels: _,
        stop_signal,
        stop_timeout: _,
        shell,
        host_config,
        networking_config,
    } = body;
    must_be_unset!(odd; hostname domainname attach_stdin attach_stdout attach_stderr tty open_stdin
        stdin_once healthcheck args_escaped volumes network_disabled on_build stop_signal shell
        networking_config);
    let unset = HostConfig::default();
    let grant = read_host(host_config.as_ref().unwrap_or(&unset), odd);
    if image.is_none() {
        odd.push("image".to_owned());
    }
    Grant { image: image.clone(), user: user_of(user.as_deref(), odd), ..grant }
}

/// What the host's part of a request grants; of an inspect too, once it has the words of a request
/// ([`Dialect::as_asked`](super::dialect::Dialect::as_asked)).
#[expect(clippy::too_many_lines, reason = "the library's fields are that many, and all are named")]
pub(super) fn read_host(host: &HostConfig, odd: &mut Vec<String>) -> Grant {
    let HostConfig {
        cpu_shares,
        memory,
        cgroup_parent,
        blkio_weight,
        blkio_weight_device,
        blkio_device_read_bps,
        blkio_device_write_bps,
        blkio_device_read_iops,
        blkio_device_write_iops,
        cpu_period,
        cpu_quota,
        cpu_realtime_period,
        cpu_realtime_runtime,
        cpuset_cpus,
        cpuset_mems,
        devices,
        device_cgroup_rules,
        device_requests,
        memory_reservation,
        memory_swap,
        memory_swappiness,
        nano_cpus,
        oom_kill_disable,
        init,
        pids_limit,
        ulimits,
        cpu_count,
        cpu_percent,
        io_maximum_iops,
        io_maximum_bandwidth,
        binds,
        container_id_file,
        log_config,
        network_mode,
        port_bindings,
        restart_policy,
        auto_remove,
        volume_driver,
        volumes_from,
        mounts,
        console_size,
        annotations,
        cap_add,
        cap_drop,
        cgroupns_mode,
        dns,
        dns_options,
        dns_search,
        extra_hosts,
        group_add,
        ipc_mode,
        cgroup,
        links,
        oom_score_adj,
        pid_mode,
        privileged,
        publish_all_ports,
        readonly_rootfs: _,
        security_opt,
        storage_opt,
        tmpfs,
        uts_mode,
        userns_mode,
        shm_size,
        sysctls,
        runtime,
        isolation,
        masked_paths,
        readonly_paths,
    } = host;
    must_be_unset!(odd; cpu_shares cgroup_parent blkio_weight blkio_weight_device
        blkio_device_read_bps blkio_device_write_bps blkio_device_read_iops blkio_device_write_iops
        cpu_period cpu_quota cpu_realtime_period cpu_realtime_runtime cpuset_cpus cpuset_mems devices
        device_cgroup_rules device_requests memory_reservation memory_swappiness oom_kill_disable
        ulimits cpu_count cpu_percent io_maximum_iops io_maximum_bandwidth binds container_id_file
        volume_driver volumes_from console_size annotations cgroupns_mode dns dns_options dns_search
        extra_hosts group_add cgroup links oom_score_adj pid_mode publish_all_ports storage_opt tmpfs
        uts_mode userns_mode sysctls isolation masked_paths readonly_paths);
    let mut check = |holds: bool, field: &str| {
        if !holds {
            odd.push(field.to_owned());
        }
    };
    check(*init == Some(true), "init");
    check(*auto_remove == Some(false), "auto_remove");
    check(ipc_mode.as_deref() == Some("private"), "ipc_mode");
    check(memory_swap == memory, "memory_swap");
    check(restart_policy.as_ref().is_some_and(never_restarts), "restart_policy");
    check(log_config.as_ref().is_none_or(writes_json_files), "log_config");
    let privileged = *privileged == Some(true);
    let dropped = cap_drop.as_deref().unwrap_or_default();
    check(privileged || *dropped == ["ALL"], "cap_drop");
    let (seccomp, escalation) = security(security_opt.as_deref().unwrap_or_default(), odd);
    // Zero and less stand for no limit.
    let limit = |value: &Option<i64>| value.filter(|value| *value > 0);
    Grant {
        image: None,
        privileged,
        capabilities: cap_add.iter().flatten().cloned().collect::<BTreeSet<_>>(),
        escalation,
        seccomp,
        user: None,
        mounts: mounts.iter().flatten().filter_map(|it| mount(it, odd)).collect(),
        ports: ports(port_bindings.iter().flatten(), odd),
        network: network(network_mode.as_deref(), odd),
        runtime: runtime.clone(),
        limits: Limits {
            nano_cpus: limit(nano_cpus),
            memory: limit(memory),
            pids: limit(pids_limit),
        },
        shared_memory: limit(shm_size),
    }
}

fn never_restarts(policy: &RestartPolicy) -> bool {
    let RestartPolicy { name, maximum_retry_count } = policy;
    *name == Some(RestartPolicyNameEnum::NO) && maximum_retry_count.is_none()
}

fn writes_json_files(log: &HostConfigLogConfig) -> bool {
    let HostConfigLogConfig { typ, config: _ } = log;
    typ.as_deref() == Some("json-file")
}

/// A number, with or without a group's. A name could stand for any user.
fn user_of(user: Option<&str>, odd: &mut Vec<String>) -> Option<u32> {
    let user = user?;
    let (user, group) = user.split_once(':').unwrap_or((user, "0"));
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    if number(user).is_none() || number(group).is_none() {
        odd.push("user".to_owned());
    }
    number(user)
}

fn security(options: &[String], odd: &mut Vec<String>) -> (SeccompGrant, bool) {
    let (mut seccomp, mut escalation) = (SeccompGrant::EngineDefault, true);
    for option in options {
        match option.split_once('=') {
            None if option == "no-new-privileges" => escalation = false,
            Some(("seccomp", "unconfined")) => seccomp = SeccompGrant::Unconfined,
            Some(("seccomp", profile)) if profile.trim_start().starts_with('{') => {
                seccomp = SeccompGrant::Profile(None);
            }
            // Podman reads the file itself.
            Some(("seccomp", path)) if path.starts_with('/') => {
                seccomp = SeccompGrant::Profile(Some(PathBuf::from(path)));
            }
            _ => odd.push("security_opt".to_owned()),
        }
    }
    (seccomp, escalation)
}

fn mount(mount: &Mount, odd: &mut Vec<String>) -> Option<MountGrant> {
    let Mount {
        target,
        source,
        typ,
        read_only,
        consistency,
        bind_options,
        volume_options,
        image_options,
        tmpfs_options,
    } = mount;
    must_be_unset!(odd; consistency volume_options image_options tmpfs_options);
    let absolute = |path: &Option<String>| path.as_deref().is_some_and(|it| it.starts_with('/'));
    let as_asked = *typ == Some(MountType::BIND)
        && absolute(source)
        && absolute(target)
        && bind_options.as_ref().is_some_and(is_private);
    if !as_asked {
        odd.push("mounts".to_owned());
    }
    let path = PathBuf::from(source.as_ref()?);
    Some(MountGrant { path, read_only: *read_only == Some(true) })
}

fn is_private(options: &MountBindOptions) -> bool {
    let MountBindOptions {
        propagation,
        non_recursive,
        create_mountpoint,
        read_only_non_recursive,
        read_only_force_recursive,
    } = options;
    *propagation == Some(MountBindOptionsPropagationEnum::RPRIVATE)
        && *create_mountpoint == Some(false)
        && non_recursive.is_none()
        && read_only_non_recursive.is_none()
        && read_only_force_recursive.is_none()
}

/// An address or a port that is left out is the engine's to choose, and it chooses every address.
fn ports<'a>(
    bindings: impl Iterator<Item = (&'a String, &'a Option<Vec<PortBinding>>)>,
    odd: &mut Vec<String>,
) -> Vec<(IpAddr, Option<u16>)> {
    let mut ports = Vec::new();
    for (_, hosts) in bindings {
        let hosts = hosts.as_deref().unwrap_or_default();
        if hosts.is_empty() {
            odd.push("port_bindings".to_owned());
        }
        for PortBinding { host_ip, host_port } in hosts {
            let address = host_ip.as_deref().and_then(|text| text.parse().ok());
            let port = host_port.as_deref().and_then(|text| text.parse().ok());
            match (address, port.filter(|port| *port > 0)) {
                (Some(address), Some(port)) => ports.push((address, Some(port))),
                _ => odd.push("port_bindings".to_owned()),
            }
        }
    }
    ports.sort_unstable();
    ports
}

fn network(mode: Option<&str>, odd: &mut Vec<String>) -> NetworkChoice {
    match mode {
        Some("bridge") => NetworkChoice::Bridge,
        Some("none") => NetworkChoice::None,
        Some(name) if is_network_name(name) => NetworkChoice::Named(name.to_owned()),
        // `host`, `container:…`, and nothing at all, which is the engine's to choose.
        _ => {
            odd.push("network_mode".to_owned());
            NetworkChoice::None
        }
    }
}

#[cfg(test)]
mod tests;
