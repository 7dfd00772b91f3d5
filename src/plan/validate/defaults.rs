//! What a spec leaves out is filled from the daemon's `defaults`.

use crate::sandbox::{
    ContainerPort, NetworkMode, PortRef, Probe, Protocol, ResourceLimits, Resources, SandboxSpec,
    SecurityContext,
};

use super::Findings;
use super::ports::{BUILT_IN_PORT, name_of};

/// The spec with every field that it leaves out taken from the defaults. `resources.limits` and
/// `securityContext` are filled field by field, everything else as a whole.
///
/// A default that does not fit what the spec itself says gives way, with a notice.
pub(super) fn fill(
    spec: &SandboxSpec,
    defaults: &SandboxSpec,
    findings: &mut Findings,
) -> SandboxSpec {
    let own = spec.clone();
    let default = defaults.clone();
    // One end of life excludes the other: a spec that sets one takes neither from the defaults.
    let ends = own.shutdown_time.is_some() || own.shutdown_after.is_some();
    let network = own.network.or(default.network);
    // Without a network nothing can be published, so the default is no port.
    let alone = network.as_ref().is_some_and(|it| it.mode == Some(NetworkMode::None));
    let ports = own.ports.or(if alone { Some(Vec::new()) } else { default.ports });
    let mut usable = |name: &str, probe: Option<Probe>| {
        probe.filter(|probe| fits(probe, ports.as_deref(), name, findings))
    };
    SandboxSpec {
        readiness_probe: own
            .readiness_probe
            .or_else(|| usable("readinessProbe", default.readiness_probe)),
        liveness_probe: own
            .liveness_probe
            .or_else(|| usable("livenessProbe", default.liveness_probe)),
        image: own.image.or(default.image),
        image_pull_policy: own.image_pull_policy.or(default.image_pull_policy),
        command: own.command.or(default.command),
        args: own.args.or(default.args),
        working_dir: own.working_dir.or(default.working_dir),
        env: own.env.or(default.env),
        ports,
        mounts: own.mounts.or(default.mounts),
        permissions: own.permissions.or(default.permissions),
        resources: fill_resources(own.resources, default.resources),
        security_context: fill_security(own.security_context, default.security_context),
        runtime_class_name: own.runtime_class_name.or(default.runtime_class_name),
        network,
        restart_policy: own.restart_policy.or(default.restart_policy),
        termination_grace_period_seconds: own
            .termination_grace_period_seconds
            .or(default.termination_grace_period_seconds),
        operating_mode: own.operating_mode.or(default.operating_mode),
        shutdown_time: own.shutdown_time.or(default.shutdown_time.filter(|_| !ends)),
        shutdown_after: own.shutdown_after.or(default.shutdown_after.filter(|_| !ends)),
        shutdown_policy: own.shutdown_policy.or(default.shutdown_policy),
        update_policy: own.update_policy.or(default.update_policy),
    }
}

/// Whether a probe of the defaults names a TCP port that the sandbox has.
fn fits(
    probe: &Probe,
    ports: Option<&[ContainerPort]>,
    name: &str,
    findings: &mut Findings,
) -> bool {
    let http = probe.http_get.as_ref().map(|action| &action.port);
    let Some(port) = http.or(probe.tcp_socket.as_ref().map(|action| &action.port)) else {
        return true;
    };
    let fits = match ports {
        None => is(port, BUILT_IN_PORT.0, BUILT_IN_PORT.1),
        Some(ports) => ports
            .iter()
            .filter(|port| port.protocol.unwrap_or_default() == Protocol::Tcp)
            .any(|it| is(port, &name_of(it), it.container_port)),
    };
    if !fits {
        findings.notice(format!(
            "the daemon's default {name} asks for port {port}, which this sandbox does not have; it is not used"
        ));
    }
    fits
}

fn is(port: &PortRef, name: &str, number: u16) -> bool {
    match port {
        PortRef::Number(wanted) => *wanted == number,
        PortRef::Name(wanted) => wanted == name,
    }
}

fn fill_resources(own: Option<Resources>, default: Option<Resources>) -> Option<Resources> {
    let (Some(own), Some(default)) = (own.clone(), default.clone()) else {
        return own.or(default);
    };
    let limits = match (own.limits, default.limits) {
        (Some(own), Some(default)) => Some(ResourceLimits {
            cpu: own.cpu.or(default.cpu),
            memory: own.memory.or(default.memory),
            pids: own.pids.or(default.pids),
            shared_memory: own.shared_memory.or(default.shared_memory),
        }),
        (own, default) => own.or(default),
    };
    Some(Resources { limits })
}

fn fill_security(
    own: Option<SecurityContext>,
    default: Option<SecurityContext>,
) -> Option<SecurityContext> {
    let (Some(own), Some(default)) = (own.clone(), default.clone()) else {
        return own.or(default);
    };
    Some(SecurityContext {
        seccomp_profile: own.seccomp_profile.or(default.seccomp_profile),
        capabilities: own.capabilities.or(default.capabilities),
        privileged: own.privileged.or(default.privileged),
        allow_privilege_escalation: own
            .allow_privilege_escalation
            .or(default.allow_privilege_escalation),
        read_only_root_filesystem: own
            .read_only_root_filesystem
            .or(default.read_only_root_filesystem),
        run_as_user: own.run_as_user.or(default.run_as_user),
        run_as_group: own.run_as_group.or(default.run_as_group),
    })
}
