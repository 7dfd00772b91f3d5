//! The ceiling: what no sandbox can have beyond what the operator allows, by whatever path its spec came.
//! Pure, and deny by default.
//!
//! One predicate, [`judge`], looks at a [`Grant`]: everything of a container that the ceiling speaks of.
//! A grant is read from a spec (when it is accepted, and at each reconcile), from the final request to an
//! engine (right before it is sent), and from a container that exists, as part of its [`Isolation`] (before
//! it is started or taken over). What only a spec can say, files of the host that the daemon would read for it, is judged by
//! [`judge_spec`].

mod grant;
pub mod host_paths;
mod images;
mod isolation;
pub mod mounted;
mod spec;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::sandbox::text::{shown, shown_path};
use crate::sandbox::{Problem, ProblemReason};

use super::desired::{Limits, NetworkChoice};
use super::validate::DEFAULT_CAPABILITIES;
use host_paths::HostPaths;

pub use grant::{Grant, MountGrant, SeccompGrant};
pub use images::{ImagePattern, cannot_be_an_id};
pub use isolation::{Isolation, forbids_adoption, forbids_start};
pub use spec::{fill, judge_spec};

/// What the operator allows. [`Policy::default`] is what holds where nothing is configured.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own, as users write it")]
pub struct Policy {
    /// Images that may run.
    pub images: Vec<ImagePattern>,
    /// Paths of the host that may be mounted.
    pub host_paths: HostPaths,
    /// Files, or directories of files, that may be given as secrets.
    pub secret_files: Vec<PathBuf>,
    /// Capabilities beyond the default ones. `ALL` is every one.
    pub capabilities: BTreeSet<String>,
    /// Whether full privileges may be had.
    pub privileged: bool,
    /// Whether a process may gain privileges.
    pub allow_privilege_escalation: bool,
    /// Whether a sandbox must say a user that is not root.
    pub run_as_non_root: bool,
    /// Seccomp profiles besides the engine's own.
    pub seccomp: SeccompRule,
    /// Named networks.
    pub networks: Names,
    /// Runtimes besides the engine's default one.
    pub runtimes: Names,
    /// Published ports.
    pub ports: PortRule,
    /// Whether modes of directories on the host may let everybody write.
    pub world_writable: bool,
    /// What becomes of values in a spec that look like secrets.
    pub literal_secrets: LiteralSecrets,
    /// The most that one sandbox may have; also what one gets that does not say.
    pub limits: MaxLimits,
    /// The most sandboxes that are accepted.
    pub max_sandboxes: Option<usize>,
}

/// Seccomp profiles besides the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeccompRule {
    /// Whether none at all may be asked for.
    pub unconfined: bool,
    /// Files, or directories of files, that may be asked for.
    pub profiles: Vec<PathBuf>,
}

/// Published ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRule {
    /// Addresses besides loopback; an unspecified one stands for every address.
    pub host_ips: Vec<IpAddr>,
    /// Ports of the host.
    pub host_ports: Vec<RangeInclusive<u16>>,
    /// The most ports of one sandbox.
    pub max: usize,
}

/// The most that one sandbox may have. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxLimits {
    /// Processors, memory and processes.
    pub of_a_running_container: Limits,
    /// Size of `/dev/shm` in bytes.
    pub shared_memory: Option<i64>,
}

/// What becomes of values in a spec that look like secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
pub enum LiteralSecrets {
    /// Nothing.
    Allow,
    /// The sandbox has a notice.
    #[default]
    Warn,
    /// The spec is refused.
    Refuse,
}

/// Names of something that the engine has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl Names {
    /// Any of them.
    pub const ANY: &str = "*";

    fn allow(&self, name: &str) -> bool {
        self.0.iter().any(|allowed| allowed == Self::ANY || allowed == name)
    }
}

/// Processes and threads of a sandbox that does not say: enough for builds and browsers, and a fork bomb
/// ends in its own container. Podman's own default.
const DEFAULT_PIDS: i64 = 2048;
/// As many sandboxes as the default range has ports.
const DEFAULT_MAX_SANDBOXES: usize = 1000;
/// Ports of one sandbox: what more would be taken from the others.
const DEFAULT_MAX_PORTS: usize = 32;
/// The first port that is not the host's own.
pub const FIRST_UNPRIVILEGED_PORT: u16 = 1024;
/// Size of `/dev/shm` where nobody says: the engines' own default.
const DEFAULT_SHARED_MEMORY: i64 = 64 << 20;

impl Default for Policy {
    fn default() -> Self {
        Self {
            images: vec![ImagePattern::any()],
            host_paths: HostPaths::default(),
            secret_files: Vec::new(),
            capabilities: BTreeSet::new(),
            privileged: false,
            allow_privilege_escalation: false,
            run_as_non_root: false,
            seccomp: SeccompRule::default(),
            networks: Names::default(),
            runtimes: Names::default(),
            ports: PortRule::default(),
            world_writable: false,
            literal_secrets: LiteralSecrets::Warn,
            limits: MaxLimits {
                of_a_running_container: Limits { pids: Some(DEFAULT_PIDS), ..Limits::default() },
                shared_memory: None,
            },
            max_sandboxes: Some(DEFAULT_MAX_SANDBOXES),
        }
    }
}

impl Default for PortRule {
    fn default() -> Self {
        Self {
            host_ips: Vec::new(),
            host_ports: vec![FIRST_UNPRIVILEGED_PORT..=u16::MAX],
            max: DEFAULT_MAX_PORTS,
        }
    }
}

impl Policy {
    /// Everything is allowed: what an operator has who trusts every spec as himself.
    #[must_use]
    pub fn unrestricted() -> Self {
        let any = || Names(vec![Names::ANY.to_owned()]);
        let everywhere = || vec![PathBuf::from("/")];
        let root = host_paths::AllowedPath { path: PathBuf::from("/"), read_only: false };
        Self {
            host_paths: HostPaths { allowed: vec![root] },
            secret_files: everywhere(),
            capabilities: BTreeSet::from([ALL.to_owned()]),
            privileged: true,
            allow_privilege_escalation: true,
            seccomp: SeccompRule { unconfined: true, profiles: everywhere() },
            networks: any(),
            runtimes: any(),
            ports: PortRule {
                host_ips: vec![IpAddr::V4(Ipv4Addr::UNSPECIFIED)],
                host_ports: vec![1..=u16::MAX],
                max: usize::from(u16::MAX),
            },
            world_writable: true,
            literal_secrets: LiteralSecrets::Allow,
            limits: MaxLimits::default(),
            max_sandboxes: None,
            ..Self::default()
        }
    }
}

impl Policy {
    /// As it is on an engine that limits no processes (each sandbox has a machine of its own there): a
    /// ceiling that nobody can keep would refuse every spec.
    #[must_use]
    pub fn without_pids(mut self) -> Self {
        self.limits.of_a_running_container.pids = None;
        self
    }
}

const ALL: &str = "ALL";

/// One thing that is asked for and not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The field of the spec.
    pub field: String,
    /// What is asked for there.
    pub asked: String,
    /// The rule that forbids it: a key below `policy`.
    pub rule: &'static str,
    /// What that allows.
    pub allowed: String,
}

/// `spec.securityContext.privileged: true is not allowed by policy.privileged (allowed: false)`
impl std::fmt::Display for Violation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message())
    }
}

impl Violation {
    fn new(
        field: impl Into<String>,
        asked: impl Into<String>,
        rule: &'static str,
        allowed: impl Into<String>,
    ) -> Self {
        Self { field: field.into(), asked: asked.into(), rule, allowed: allowed.into() }
    }

    fn message(&self) -> String {
        let Self { asked, rule, allowed, .. } = self;
        format!("{asked} is not allowed by policy.{rule} (allowed: {allowed})")
    }
}

impl From<Violation> for Problem {
    fn from(violation: Violation) -> Self {
        let message = violation.message();
        Self { reason: ProblemReason::PolicyViolation, ..Self::at_field(violation.field, message) }
    }
}

/// All of them on one line.
#[must_use]
pub fn as_text(violations: &[Violation]) -> String {
    let texts: Vec<String> = violations.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

/// Everything that a grant has and the policy does not allow. None: it is below the ceiling.
#[must_use]
pub fn judge(grant: &Grant, policy: &Policy) -> Vec<Violation> {
    let mut found = Vec::new();
    found.extend(image(grant, policy));
    found.extend(privileges(grant, policy));
    found.extend(user(grant, policy));
    found.extend(grant.mounts.iter().enumerate().filter_map(|(index, mount)| {
        let field = format!("spec.mounts[{index}].hostPath");
        self::mount(mount, &field, &policy.host_paths)
    }));
    found.extend(ports(grant, &policy.ports));
    found.extend(network(grant, policy));
    found.extend(runtime(grant, policy));
    found.extend(limits(&grant.limits, &policy.limits.of_a_running_container));
    found.extend(shared_memory(grant, policy));
    found
}

fn image(grant: &Grant, policy: &Policy) -> Option<Violation> {
    let image = grant.image.as_deref()?;
    if policy.images.iter().any(|pattern| pattern.matches(image)) {
        return None;
    }
    let hint = if cannot_be_an_id(image) { "" } else { ", which could be an image's id," };
    let patterns = policy.images.iter().map(ToString::to_string);
    Some(Violation::new("spec.image", format!("{}{hint}", shown(image)), "images", list(patterns)))
}

fn privileges(grant: &Grant, policy: &Policy) -> Vec<Violation> {
    let field = |name: &str| format!("spec.securityContext.{name}");
    if grant.privileged {
        // Full privileges include all that follows.
        let refused = Violation::new(field("privileged"), "true", "privileged", "false");
        return if policy.privileged { Vec::new() } else { vec![refused] };
    }
    let mut found = Vec::new();
    if grant.escalation && !policy.allow_privilege_escalation {
        let rule = "allowPrivilegeEscalation";
        found.push(Violation::new(field(rule), "true", rule, "false"));
    }
    let allowed = |name: &str| {
        DEFAULT_CAPABILITIES.contains(&name)
            || policy.capabilities.contains(name)
            || policy.capabilities.contains(ALL)
    };
    let more: Vec<&str> =
        grant.capabilities.iter().map(String::as_str).filter(|name| !allowed(name)).collect();
    if !more.is_empty() {
        let further = policy.capabilities.iter().map(|name| format!(", {name}"));
        let allowed = format!("the default ones{}", further.collect::<String>());
        let asked = more.join(", ");
        found.push(Violation::new(field("capabilities.add"), asked, "capabilities", allowed));
    }
    found.extend(seccomp(grant, &policy.seccomp));
    found
}

fn seccomp(grant: &Grant, rule: &SeccompRule) -> Option<Violation> {
    let field = "spec.securityContext.seccompProfile";
    let profiles = || list(rule.profiles.iter().map(|path| shown_path(path)));
    match &grant.seccomp {
        SeccompGrant::EngineDefault => None,
        SeccompGrant::Unconfined if rule.unconfined => None,
        SeccompGrant::Unconfined => {
            Some(Violation::new(field, "Unconfined", "seccomp.unconfined", "false"))
        }
        SeccompGrant::Profile(Some(path)) if is_in(path, &rule.profiles) => None,
        SeccompGrant::Profile(Some(path)) => {
            Some(Violation::new(field, shown_path(path), "seccomp.profiles", profiles()))
        }
        SeccompGrant::Profile(None) if !rule.profiles.is_empty() => None,
        SeccompGrant::Profile(None) => {
            Some(Violation::new(field, "a profile of its own", "seccomp.profiles", profiles()))
        }
    }
}

fn user(grant: &Grant, policy: &Policy) -> Option<Violation> {
    if !policy.run_as_non_root {
        return None;
    }
    let asked = match grant.user {
        Some(0) => "0",
        Some(_) => return None,
        // A name in the image can stand for root.
        None => "the image's own user",
    };
    let field = "spec.securityContext.runAsUser";
    Some(Violation::new(field, asked, "runAsNonRoot", "a number other than 0"))
}

/// By spelling; what the path is in truth, [`host_paths::judge`] looks at. The deepest path that holds it
/// decides, and above a path that is only to be read nothing is mounted to be written.
fn mount(mount: &MountGrant, field: &str, rule: &HostPaths) -> Option<Violation> {
    let allowed = || list(rule.allowed.iter().map(ToString::to_string));
    let refused = |asked: String| Some(Violation::new(field, asked, "hostPaths", allowed()));
    let path = shown_path(&mount.path);
    let holding = rule.allowed.iter().filter(|it| mount.path.starts_with(&it.path));
    let Some(deepest) = holding.max_by_key(|it| it.path.components().count()) else {
        return refused(path);
    };
    let below = rule.allowed.iter().filter(|it| it.path.starts_with(&mount.path));
    let strict = below.chain([deepest]).any(|it| it.read_only);
    if strict && !mount.read_only {
        refused(format!("{path} without readOnly: true"))
    } else {
        None
    }
}

fn ports(grant: &Grant, rule: &PortRule) -> Vec<Violation> {
    let mut found = Vec::new();
    if grant.ports.len() > rule.max {
        let asked = format!("{} ports", grant.ports.len());
        found.push(Violation::new("spec.ports", asked, "ports.max", rule.max.to_string()));
    }
    for (index, (address, port)) in grant.ports.iter().enumerate() {
        let field = |name: &str| format!("spec.ports[{index}].{name}");
        if !rule.binds(*address) {
            let addresses = rule.host_ips.iter().map(|it| format!(", {it}"));
            let allowed = format!("loopback{}", addresses.collect::<String>());
            let asked = address.to_string();
            found.push(Violation::new(field("hostIP"), asked, "ports.hostIPs", allowed));
        }
        let Some(port) = port else { continue };
        if !rule.host_ports.iter().any(|range| range.contains(port)) {
            let show = |it: &RangeInclusive<u16>| format!("{}-{}", it.start(), it.end());
            let allowed = list(rule.host_ports.iter().map(show));
            found.push(Violation::new(
                field("hostPort"),
                port.to_string(),
                "ports.hostPorts",
                allowed,
            ));
        }
    }
    found
}

impl PortRule {
    fn binds(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || self.host_ips.iter().any(|allowed| *allowed == address || allowed.is_unspecified())
    }
}

fn network(grant: &Grant, policy: &Policy) -> Option<Violation> {
    let NetworkChoice::Named(name) = &grant.network else { return None };
    let allowed = || list(policy.networks.0.iter().cloned());
    let refused = || Violation::new("spec.network.name", shown(name), "networks", allowed());
    (!policy.networks.allow(name)).then(refused)
}

fn runtime(grant: &Grant, policy: &Policy) -> Option<Violation> {
    let name = grant.runtime.as_deref()?;
    let allowed = || list(policy.runtimes.0.iter().cloned());
    let refused = || Violation::new("spec.runtimeClassName", shown(name), "runtimes", allowed());
    (!policy.runtimes.allow(name)).then(refused)
}

/// What limits have beyond the most that is allowed. No limit is more than any.
#[must_use]
pub fn limits(asked: &Limits, most: &Limits) -> Vec<Violation> {
    let checks = [
        ("cpu", "limits.cpu", asked.nano_cpus, most.nano_cpus, cpus as fn(i64) -> String),
        ("memory", "limits.memory", asked.memory, most.memory, bytes),
        ("pids", "limits.pids", asked.pids, most.pids, |pids| pids.to_string()),
    ];
    let beyond = checks.into_iter().filter_map(|(name, rule, asked, most, show)| {
        let most = most?;
        let within = asked.is_some_and(|asked| asked <= most);
        let asked = asked.map_or("no limit".to_owned(), show);
        let field = format!("spec.resources.limits.{name}");
        let allowed = || format!("at most {}", show(most));
        (!within).then(|| Violation::new(field, asked, rule, allowed()))
    });
    beyond.collect()
}

fn shared_memory(grant: &Grant, policy: &Policy) -> Option<Violation> {
    let most = policy.limits.shared_memory?;
    let asked = grant.shared_memory.unwrap_or(DEFAULT_SHARED_MEMORY);
    let field = "spec.resources.limits.sharedMemory";
    let allowed = format!("at most {}", bytes(most));
    (asked > most).then(|| Violation::new(field, bytes(asked), "limits.sharedMemory", allowed))
}

/// Whether a path is one of these, or below one, by its spelling.
fn is_in(path: &Path, allowed: &[PathBuf]) -> bool {
    allowed.iter().any(|root| path.starts_with(root))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = items.collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

fn cpus(nano: i64) -> String {
    if nano % 1_000_000_000 == 0 {
        (nano / 1_000_000_000).to_string()
    } else {
        format!("{}m", nano / 1_000_000)
    }
}

fn bytes(bytes: i64) -> String {
    let units = [(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki")];
    let fitting = units.into_iter().find(|(size, _)| bytes % size == 0 && bytes >= *size);
    fitting.map_or_else(|| bytes.to_string(), |(size, unit)| format!("{}{unit}", bytes / size))
}

#[cfg(test)]
mod tests;
