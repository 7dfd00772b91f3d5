//! `&Sandbox` → [`Desired`], or every field error.
//!
//! [`validate`] checks what must hold whatever the daemon's policy says: grammar, ranges, what fits
//! together, and what no engine honours. [`admit`] holds the outcome against the policy as well; what
//! becomes a container has passed it.

mod container;
mod defaults;
mod identity;
mod image;
mod lifetime;
mod paths;
mod ports;
mod probes;
mod quantity;
mod security;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use crate::sandbox::text::one_line;
use crate::sandbox::{Problem, Sandbox, SandboxSpec};

use super::desired::{ContainerSpec, DEFAULT_GRACE_SECONDS, Desired, Limits};
use super::policy::{self, Policy};
use crate::sandbox::{ResourceLimits, Resources};

pub use container::is_network_name;
pub(in crate::plan) use image::Reference;
pub use security::{DEFAULT_CAPABILITIES, is_capability};

/// What validation needs to know of the daemon's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Fills what a spec leaves out.
    pub defaults: SandboxSpec,
    /// First part of every container's name; name and prefix must fit a hostname together.
    pub prefix: String,
    /// Address that ports bind to unless a spec says otherwise.
    pub bind: IpAddr,
    /// What the operator allows. Holds for what comes from the defaults, too.
    pub policy: Policy,
}

/// The outcome of a validation that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The sandbox as it must be.
    pub desired: Desired,
    /// What the user should know although nothing is wrong.
    pub notices: Vec<String>,
}

/// Checks a sandbox and fills in the defaults. `base` is the directory that relative host paths start at.
///
/// `metadata.uid`, `generation` and `creationTimestamp` are taken as they are; the source mints them.
///
/// # Errors
/// Every field error, each with the field's path.
pub fn validate(
    sandbox: &Sandbox,
    settings: &Settings,
    base: &Path,
) -> Result<Validated, Vec<Problem>> {
    checked(sandbox, settings, base).map(|(validated, _)| validated)
}

/// [`validate`], and then the policy: a spec that asks for more than it allows is refused, one that says
/// nothing of its limits gets the most that it allows.
///
/// # Errors
/// Every field error; if there is none, everything that the policy does not allow.
pub fn admit(
    sandbox: &Sandbox,
    settings: &Settings,
    base: &Path,
) -> Result<Validated, Vec<Problem>> {
    let (mut validated, spec) = checked(sandbox, settings, base)?;
    policy::fill(&mut validated.desired, &settings.policy);
    let (violations, notices) = policy::judge_spec(&validated.desired, &spec, &settings.policy);
    if !violations.is_empty() {
        return Err(violations.into_iter().map(Problem::from).collect());
    }
    validated.notices.extend(notices.iter().map(|notice| one_line(notice)));
    Ok(validated)
}

/// The sandbox as it must be, and the spec with the defaults filled in.
fn checked(
    sandbox: &Sandbox,
    settings: &Settings,
    base: &Path,
) -> Result<(Validated, SandboxSpec), Vec<Problem>> {
    let mut findings = Findings::default();
    let spec = defaults::fill(&sandbox.spec, &settings.defaults, &mut findings);
    let desired = desired(sandbox, &spec, settings, base, &mut findings);
    if findings.problems.is_empty() {
        Ok((Validated { desired, notices: findings.notices }, spec))
    } else {
        Err(findings.problems)
    }
}

/// Limits by themselves, as a policy has them: those of a running container, and of `/dev/shm`.
///
/// # Errors
/// What is wrong, with paths as in a spec.
pub fn read_limits(limits: &ResourceLimits) -> Result<(Limits, Option<i64>), Vec<Problem>> {
    let mut findings = Findings::default();
    let resources = Resources { limits: Some(limits.clone()) };
    let running = quantity::limits(Some(&resources), &mut findings);
    let shared = quantity::shared_memory(Some(&resources), &mut findings);
    if findings.problems.is_empty() { Ok((running, shared)) } else { Err(findings.problems) }
}

/// What was found on the way. Checks go on after a problem, with a stand-in for the bad value, so that a
/// user sees every mistake at once; the stand-ins are dropped with the result.
#[derive(Debug, Default)]
struct Findings {
    problems: Vec<Problem>,
    notices: Vec<String>,
}

impl Findings {
    fn problem(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::at_field(field, message));
    }

    fn notice(&mut self, notice: impl Into<String>) {
        self.notices.push(one_line(&notice.into()));
    }

    /// The value, or a stand-in and a problem with the field.
    fn take<T: Default>(&mut self, field: &str, checked: Result<T, String>) -> T {
        checked.unwrap_or_else(|message| {
            self.problem(field, message);
            T::default()
        })
    }
}

fn desired(
    sandbox: &Sandbox,
    spec: &SandboxSpec,
    settings: &Settings,
    base: &Path,
    findings: &mut Findings,
) -> Desired {
    let identity = identity::check(&sandbox.metadata, &settings.prefix, findings);
    let container = container_spec(spec, settings, base, findings);
    let readiness = probes::readiness(spec.readiness_probe.as_ref(), &container.ports, findings);
    let liveness = probes::liveness(spec.liveness_probe.as_ref(), &container.ports, findings);
    let grace = spec.termination_grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS);
    if grace > lifetime::MAX_SECONDS {
        let message = format!("must be at most {}", lifetime::MAX_SECONDS);
        findings.problem("spec.terminationGracePeriodSeconds", message);
    }
    Desired {
        shutdown_at: lifetime::shutdown_at(spec, identity.created_at, findings),
        name: identity.name,
        uid: identity.uid,
        generation: identity.generation,
        created_at: identity.created_at,
        limits: quantity::limits(spec.resources.as_ref(), findings),
        pull_policy: spec.image_pull_policy.unwrap_or_else(|| image::pull_policy(&container.image)),
        container,
        readiness,
        liveness,
        permissions: paths::permissions(spec.permissions.as_deref(), findings),
        restart_policy: spec.restart_policy.unwrap_or_default(),
        grace: Duration::from_secs(grace.into()),
        operating_mode: spec.operating_mode.unwrap_or_default(),
        shutdown_policy: spec.shutdown_policy.unwrap_or_default(),
        update_policy: spec.update_policy.unwrap_or_default(),
        adopt: identity.adopt,
        asks_no_new_privileges: security::asks_no_new_privileges(spec.security_context.as_ref()),
    }
}

fn container_spec(
    spec: &SandboxSpec,
    settings: &Settings,
    base: &Path,
    findings: &mut Findings,
) -> ContainerSpec {
    let network = container::network(spec.network.as_ref(), findings);
    ContainerSpec {
        image: image::check(spec.image.as_deref(), findings),
        command: container::words(spec.command.as_deref(), "spec.command", findings),
        args: container::words(spec.args.as_deref(), "spec.args", findings),
        working_dir: paths::working_dir(spec.working_dir.as_deref(), findings),
        env: container::env(spec.env.as_deref(), findings),
        ports: ports::check(spec.ports.as_deref(), &network, settings.bind, findings),
        mounts: paths::mounts(spec.mounts.as_deref(), base, findings),
        shared_memory: quantity::shared_memory(spec.resources.as_ref(), findings),
        security: security::check(spec.security_context.as_ref(), findings),
        runtime: container::runtime(spec.runtime_class_name.as_deref(), findings),
        network,
    }
}

#[cfg(test)]
mod tests;
