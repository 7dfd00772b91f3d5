//! [`CreateRequest`] → Docker's create request, as a pure function. This is the last word on what is
//! asked of the engine: whatever is not set here stays at the engine's default, and no JSON passes
//! through. The golden tests hold the whole of it.

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use bollard::query_parameters::{CreateContainerOptions, CreateContainerOptionsBuilder};
use secrecy::ExposeSecret;

use super::dialect::Dialect;
use crate::engine::{CreateRequest, EngineError, PublishedPort};
use crate::plan::validate::DEFAULT_CAPABILITIES;
use crate::plan::{BindMount, NetworkChoice, Seccomp, Security};
use crate::sandbox::Protocol;

/// What to say about logs. Docker's `json-file` never rotates by itself and fills the disk; any other
/// default driver is the operator's choice for the whole host and is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogRotation {
    /// `json-file` with 3 files of 10 MB.
    JsonFile,
    /// As the engine is configured.
    Engine,
}

impl LogRotation {
    pub(super) fn for_driver(driver: Option<&str>) -> Self {
        if driver == Some("json-file") { Self::JsonFile } else { Self::Engine }
    }

    fn config(self) -> Option<HostConfigLogConfig> {
        let options = [("max-size", "10m"), ("max-file", "3")];
        (self == Self::JsonFile).then(|| HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
        })
    }
}

/// The request for a new container. Secret values leave their wrapping here and only here.
pub(super) fn create_body(
    request: &CreateRequest,
    dialect: Dialect,
    rotation: LogRotation,
) -> Result<(CreateContainerOptions, ContainerCreateBody), EngineError> {
    let env = request.env.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
    let body = ContainerCreateBody {
        image: Some(request.image.clone()),
        entrypoint: request.command.clone(),
        cmd: arguments(request),
        working_dir: request.working_dir.clone(),
        user: user(&request.security)?,
        env: Some(env.collect()),
        labels: Some(request.labels.clone().into_iter().collect()),
        exposed_ports: Some(request.ports.iter().map(container_port).collect()),
        stop_timeout: Some(request.stop_timeout),
        host_config: Some(host_config(request, dialect, rotation)?),
        ..ContainerCreateBody::default()
    };
    Ok((CreateContainerOptionsBuilder::new().name(&request.name).build(), body))
}

/// Kubernetes' rule: a command without arguments does not get the image's.
fn arguments(request: &CreateRequest) -> Option<Vec<String>> {
    request.args.clone().or_else(|| request.command.as_ref().map(|_| Vec::new()))
}

fn user(security: &Security) -> Result<Option<String>, EngineError> {
    match (security.run_as_user, security.run_as_group) {
        (Some(user), Some(group)) => Ok(Some(format!("{user}:{group}"))),
        (Some(user), None) => Ok(Some(user.to_string())),
        (None, None) => Ok(None),
        // Docker would read ":1000" as root with that group, whatever the image's user is.
        (None, Some(_)) => Err(EngineError::Rejected(
            "securityContext.runAsGroup needs securityContext.runAsUser".to_owned(),
        )),
    }
}

fn host_config(
    request: &CreateRequest,
    dialect: Dialect,
    rotation: LogRotation,
) -> Result<HostConfig, EngineError> {
    let security = &request.security;
    let unprivileged = !security.privileged;
    Ok(HostConfig {
        // Restarts are the daemon's, with its back-off; the engine must not fight it.
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        auto_remove: Some(false),
        // A PID 1 that ignores SIGTERM takes the whole grace to stop.
        init: Some(true),
        log_config: rotation.config(),
        mounts: Some(request.mounts.iter().map(mount).collect::<Result<_, _>>()?),
        port_bindings: Some(request.ports.iter().map(port_binding).collect()),
        network_mode: Some(network_mode(&request.network)),
        ipc_mode: Some("private".to_owned()),
        privileged: Some(security.privileged),
        cap_drop: unprivileged.then(|| vec!["ALL".to_owned()]),
        cap_add: unprivileged.then(|| capabilities(security, dialect)),
        security_opt: Some(security_options(request, dialect)?),
        readonly_rootfs: Some(security.read_only_root),
        runtime: request.runtime.clone(),
        shm_size: request.shared_memory,
        nano_cpus: request.limits.nano_cpus,
        memory: request.limits.memory,
        memory_swap: request.limits.memory,
        pids_limit: request.limits.pids.or(dialect.no_pids_limit()),
        ..HostConfig::default()
    })
}

/// Podman gives the capabilities that are asked for to any user, Docker to root alone. So that a user other
/// than root gets no more there, only what goes beyond the default set is asked for.
fn capabilities(security: &Security, dialect: Dialect) -> Vec<String> {
    let by_default = |it: &String| DEFAULT_CAPABILITIES.contains(&it.as_str());
    let mut capabilities = security.capabilities.clone();
    if dialect == Dialect::Podman && security.run_as_user.is_some_and(|user| user != 0) {
        capabilities.retain(|it| !by_default(it));
    }
    capabilities
}

fn security_options(request: &CreateRequest, dialect: Dialect) -> Result<Vec<String>, EngineError> {
    let mut options = Vec::new();
    if request.security.no_new_privileges {
        options.push("no-new-privileges".to_owned());
    }
    match (&request.security.seccomp, &request.seccomp_profile) {
        (Seccomp::RuntimeDefault, _) => {}
        (Seccomp::Unconfined, _) => options.push("seccomp=unconfined".to_owned()),
        (Seccomp::Localhost(path), Some(_)) if dialect == Dialect::Podman => {
            options.push(format!("seccomp={}", path.display()));
        }
        (Seccomp::Localhost(_), Some(profile)) => options.push(format!("seccomp={profile}")),
        (Seccomp::Localhost(path), None) => {
            return Err(EngineError::Rejected(format!(
                "the seccomp profile {} was not read",
                path.display()
            )));
        }
    }
    Ok(options)
}

/// `Mounts` and never `Binds`: a missing source must be an error, not a new directory of root's.
fn mount(mount: &BindMount) -> Result<Mount, EngineError> {
    let source = mount.host_path.to_str().ok_or_else(|| {
        let path = mount.host_path.display();
        EngineError::Rejected(format!("the host path {path} is not UTF-8, which Docker needs"))
    })?;
    Ok(Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_owned()),
        target: Some(mount.mount_path.clone()),
        read_only: Some(mount.read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            create_mountpoint: Some(false),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    })
}

fn network_mode(network: &NetworkChoice) -> String {
    match network {
        NetworkChoice::Bridge => "bridge".to_owned(),
        NetworkChoice::None => "none".to_owned(),
        NetworkChoice::Named(name) => name.clone(),
    }
}

fn container_port(port: &PublishedPort) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container_port)
}

fn port_binding(port: &PublishedPort) -> (String, Option<Vec<PortBinding>>) {
    let binding = PortBinding {
        host_ip: Some(port.host_ip.to_string()),
        host_port: Some(port.host_port.to_string()),
    };
    (container_port(port), Some(vec![binding]))
}

#[cfg(test)]
mod tests;
