//! Fields that the engine in use cannot honour: refused, never silently dropped. Pure; what engines lack is
//! [`Feature`]'s to say.

use crate::engine::{Capabilities, EngineKind, Feature};
use crate::plan::ids::{NotGiven, Why};
use crate::plan::{Blocker, BlockerKind, Desired, EnvValue, Ids, Seccomp};
use crate::sandbox::RestartPolicy;

/// Billionths of a processor in one.
const ONE_CPU: i64 = 1_000_000_000;

/// Why this engine cannot have this sandbox, field by field.
pub(super) fn refusals(
    kind: EngineKind,
    capabilities: &Capabilities,
    ids: &Ids,
    desired: &Desired,
) -> Vec<Blocker> {
    let mut refused = lacking(kind, capabilities, desired);
    refused.extend(beyond_the_host(capabilities, desired));
    refused.extend(owners(kind, ids, desired));
    let blocker = |message| Blocker { kind: BlockerKind::FieldRefused, message };
    refused.into_iter().map(blocker).collect()
}

/// What is not done although nobody refused it: a default that this engine cannot give.
pub(super) fn notices(
    kind: EngineKind,
    capabilities: &Capabilities,
    desired: &Desired,
) -> Vec<String> {
    let dropped = desired.container.security.no_new_privileges
        && !desired.asks_no_new_privileges
        && !capabilities.has(Feature::NoNewPrivileges);
    let notice = format!(
        "spec.securityContext.allowPrivilegeEscalation: the engine {kind} cannot keep processes from \
         gaining privileges; the default is not applied"
    );
    dropped.then_some(notice).into_iter().collect()
}

fn lacking(kind: EngineKind, capabilities: &Capabilities, desired: &Desired) -> Vec<String> {
    let (container, limits) = (&desired.container, &desired.limits);
    let security = &container.security;
    let limits_cpus = capabilities.has(Feature::CpuLimit);
    let fraction = limits_cpus && limits.nano_cpus.is_some_and(|cpus| cpus % ONE_CPU != 0);
    let no_profile = security.seccomp == Seccomp::RuntimeDefault;
    let asked = [
        (Feature::PidsLimit, limits.pids.is_some(), "limit processes"),
        (Feature::CpuLimit, limits.nano_cpus.is_some(), "limit processors"),
        (Feature::MemoryLimit, limits.memory.is_some(), "limit memory"),
        (Feature::FractionalCpu, fraction, "limit to a fraction of a processor"),
        (Feature::SharedMemory, container.shared_memory.is_some(), "set the size of /dev/shm"),
        (Feature::Privileged, security.privileged, "give full privileges"),
        (
            Feature::NoNewPrivileges,
            desired.asks_no_new_privileges,
            "keep processes from gaining privileges",
        ),
        (Feature::SeccompProfile, !no_profile, "take another seccomp profile than its own"),
        (Feature::Runtime, container.runtime.is_some(), "take another runtime than its own"),
        (
            Feature::ExitCode,
            desired.restart_policy == RestartPolicy::OnFailure,
            "tell how a container ended, so OnFailure cannot be decided: use Always or Never",
        ),
        (Feature::MultilineEnv, has_multiline_env(desired), "pass a value of several lines"),
    ];
    let refused =
        asked.into_iter().filter(|(feature, asked, _)| *asked && !capabilities.has(*feature));
    refused
        .map(|(feature, _, what)| {
            let told = format!("spec.{}: the engine {kind} cannot {what}", field(feature));
            match feature.controller().filter(|_| !kind.lacks().contains(&feature)) {
                Some(controller) => format!(
                    "{told}: it was not given the controller {controller} of control groups; delegate it to the \
                     engine's user, or leave the limit out"
                ),
                None => told,
            }
        })
        .collect()
}

/// Owners that nothing on the host can be given, as the engine maps ids.
fn owners(kind: EngineKind, ids: &Ids, desired: &Desired) -> Vec<String> {
    let refused = ids.refused(&desired.container.mounts, &desired.permissions);
    let told = refused.into_iter().map(|(field, NotGiven { kind: of, id, why })| {
        let why = match why {
            Why::NotTold => format!(
                "the engine {kind} maps ids and does not tell how: make the directory yourself, or leave the \
                 owner out and let a rule in `permissions`, which is held in the container, set it"
            ),
            Why::Unmapped => format!(
                "the engine {kind} has no {of} {id} on the host: use an id that it maps, or give its user more \
                 in /etc/sub{}",
                of.field()
            ),
            Why::NotRoot(host) => format!(
                "for the engine {kind}, {of} {id} is {host} on the host, to whom only root may give a \
                 directory: run sandkeeper as root, or leave the owner out and let a rule in `permissions`, \
                 which is held in the container, set it"
            ),
        };
        format!("spec.{field}: {why}")
    });
    told.collect()
}

fn field(feature: Feature) -> &'static str {
    match feature.without() {
        crate::engine::Without::Refused(field) => field,
        crate::engine::Without::Otherwise(_) => "",
    }
}

/// Of what stands in the spec. What a secret's file holds is known when it is read: then the engine refuses.
fn has_multiline_env(desired: &Desired) -> bool {
    let mut values = desired.container.env.values();
    values.any(|value| matches!(value, EnvValue::Literal(text) if text.contains(['\n', '\r'])))
}

/// What is too much, or too little, for the engine's host.
fn beyond_the_host(capabilities: &Capabilities, desired: &Desired) -> Vec<String> {
    let Capabilities { runtimes, cpus, memory: host, least_memory, .. } = capabilities;
    let mut refused = Vec::new();
    if let Some(runtime) = &desired.container.runtime
        && capabilities.has(Feature::Runtime)
        && !runtimes.contains(runtime)
    {
        let known = runtimes.join(", ");
        refused.push(format!(
            "spec.runtimeClassName: the engine has no runtime {runtime:?}; it has {known}"
        ));
    }
    if let Some(wanted) = desired.limits.nano_cpus
        && *cpus > 0
        && wanted > cpus.saturating_mul(ONE_CPU)
    {
        refused.push(format!("spec.resources.limits.cpu: the engine's host has {cpus} processors"));
    }
    if let Some(wanted) = desired.limits.memory {
        if *host > 0 && wanted > *host {
            refused
                .push(format!("spec.resources.limits.memory: the engine's host has {host} bytes"));
        }
        if wanted < *least_memory {
            refused.push(format!(
                "spec.resources.limits.memory: the engine takes no less than {least_memory} bytes"
            ));
        }
    }
    refused
}

#[cfg(test)]
mod tests;
