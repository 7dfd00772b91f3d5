//! The key `policy`: what is written → [`Policy`], with every problem. Doc comments become the
//! descriptions in `manifests/config.schema.json`.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Ports;
use crate::plan::policy::host_paths::{AllowedPath, HostPaths};
use crate::plan::policy::{
    FIRST_UNPRIVILEGED_PORT, ImagePattern, LiteralSecrets, MaxLimits, Names, Policy, PortRule,
    SeccompRule,
};
use crate::plan::validate::{is_capability, read_limits};
use crate::sandbox::text::shown;
use crate::sandbox::yaml::read_typed;
use crate::sandbox::{Problem, ProblemReason, ResourceLimits};

/// The ceiling: what no sandbox can have beyond this, whatever its spec says. Every key that is left out
/// has its hardened default.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub struct PolicyFile {
    /// Images that may run, as in `ghcr.io/acme/**` or `nginx:1.*`. Default: `*`, any.
    pub images: Option<Vec<String>>,
    /// Paths of the host that may be mounted, each with everything below it. Default: none.
    pub host_paths: Option<Vec<HostPathFile>>,
    /// Files, or directories of files, that `secretFile` may name. Default: none.
    pub secret_files: Option<Vec<PathBuf>>,
    /// Capabilities beyond the default ones, without `CAP_`, or ALL. Default: none.
    pub capabilities: Option<Vec<String>>,
    /// Whether `privileged: true` is allowed; with it all other rules on privileges. Default: false.
    pub privileged: Option<bool>,
    /// Whether `allowPrivilegeEscalation: true` is allowed. Default: false.
    pub allow_privilege_escalation: Option<bool>,
    /// Whether every sandbox must have a `runAsUser` other than 0. Default: false.
    pub run_as_non_root: Option<bool>,
    /// Seccomp profiles besides the engine's own.
    pub seccomp: Option<SeccompFile>,
    /// Named networks, or `*`. Default: none; Bridge and None need no permission.
    pub networks: Option<Vec<String>>,
    /// Runtimes that `runtimeClassName` may name, or `*`. Default: none.
    pub runtimes: Option<Vec<String>>,
    /// Published ports.
    pub ports: Option<PortRuleFile>,
    /// Whether modes on the host (of directories that are made, and below mounts) may let everybody
    /// write. Default: false.
    pub world_writable: Option<bool>,
    /// What becomes of a plain value of a variable whose name says that it is a secret. Default: Warn.
    pub literal_secrets: Option<LiteralSecrets>,
    /// The most that one sandbox may have, and what one has that does not say. Default: 2048 pids.
    pub limits: Option<ResourceLimits>,
    /// The most sandboxes that are accepted; 0 stands for no limit. Default: 1000.
    pub max_sandboxes: Option<usize>,
}

/// A path of the host that may be mounted.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PolicyHostPath")]
pub struct HostPathFile {
    /// Absolute path without symbolic links; everything below it is allowed too. In a file, a relative
    /// one starts at the file's directory.
    pub path: PathBuf,
    /// Whether only with `readOnly: true`. Default: false.
    #[serde(default)]
    pub read_only: bool,
}

/// Seccomp profiles besides the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PolicySeccomp")]
pub struct SeccompFile {
    /// Whether Unconfined is allowed. Default: false.
    pub unconfined: Option<bool>,
    /// Files, or directories of files, that `localhostProfile` may name. Default: none.
    pub profiles: Option<Vec<PathBuf>>,
}

/// Published ports.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "PolicyPorts")]
pub struct PortRuleFile {
    /// Addresses that `hostIP` may be besides loopback and `ports.bind`; 0.0.0.0 stands for every one.
    /// Default: none.
    #[serde(rename = "hostIPs")]
    pub host_ips: Option<Vec<IpAddr>>,
    /// Ports that `hostPort` may be, from the first to the last, besides those that are allocated.
    /// Default: 1024-65535.
    #[schemars(regex(pattern = "^[0-9]{1,5}(-[0-9]{1,5})?$"))]
    pub host_ports: Option<String>,
    /// The most ports of one sandbox. Default: 32.
    pub max: Option<usize>,
}

/// As flag and environment variable have it: the whole policy, in YAML or JSON.
impl FromStr for PolicyFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match read_typed(text.as_bytes()) {
            Err(problem) if problem.reason == ProblemReason::Empty => Ok(Self::default()),
            outcome => outcome.map_err(|problem| problem.to_string()),
        }
    }
}

impl PolicyFile {
    /// Lets relative paths start at `directory`.
    pub(super) fn relative_to(&mut self, directory: &Path) {
        let mounts = self.host_paths.iter_mut().flatten().map(|allowed| &mut allowed.path);
        let profiles = self.seccomp.iter_mut().filter_map(|it| it.profiles.as_mut()).flatten();
        for path in mounts.chain(self.secret_files.iter_mut().flatten()).chain(profiles) {
            *path = directory.join(&*path);
        }
    }
}

/// Fills in the defaults. What the daemon itself binds and allocates is allowed.
pub(super) fn resolve(file: PolicyFile, own: &Ports, problems: &mut Vec<Problem>) -> Policy {
    let default = Policy::default();
    let mut checks = Checks { problems };
    let seccomp = file.seccomp.unwrap_or_default();
    Policy {
        images: file.images.map_or(default.images, |patterns| checks.images(&patterns)),
        host_paths: HostPaths { allowed: checks.host_paths(file.host_paths.unwrap_or_default()) },
        secret_files: checks.paths("secretFiles", file.secret_files),
        capabilities: checks.capabilities(file.capabilities.unwrap_or_default()),
        privileged: file.privileged.unwrap_or(default.privileged),
        allow_privilege_escalation: file
            .allow_privilege_escalation
            .unwrap_or(default.allow_privilege_escalation),
        run_as_non_root: file.run_as_non_root.unwrap_or(default.run_as_non_root),
        seccomp: SeccompRule {
            unconfined: seccomp.unconfined.unwrap_or(default.seccomp.unconfined),
            profiles: checks.paths("seccomp.profiles", seccomp.profiles),
        },
        networks: Names(file.networks.unwrap_or_default()),
        runtimes: Names(file.runtimes.unwrap_or_default()),
        ports: checks.ports(file.ports.unwrap_or_default(), own, default.ports),
        world_writable: file.world_writable.unwrap_or(default.world_writable),
        literal_secrets: file.literal_secrets.unwrap_or(default.literal_secrets),
        limits: checks.limits(file.limits, default.limits),
        max_sandboxes: match file.max_sandboxes {
            None => default.max_sandboxes,
            Some(0) => None,
            some => some,
        },
    }
}

struct Checks<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Checks<'_> {
    fn problem(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(Problem::at_field(format!("policy.{field}"), message));
    }

    fn images(&mut self, patterns: &[String]) -> Vec<ImagePattern> {
        let mut read = Vec::new();
        for (index, pattern) in patterns.iter().enumerate() {
            match pattern.parse() {
                Ok(pattern) => read.push(pattern),
                Err(message) => {
                    self.problem(
                        &format!("images[{index}]"),
                        format!("{} {message}", shown(pattern)),
                    );
                }
            }
        }
        read
    }

    fn host_paths(&mut self, paths: Vec<HostPathFile>) -> Vec<AllowedPath> {
        let mut allowed = Vec::new();
        for (index, HostPathFile { path, read_only }) in paths.into_iter().enumerate() {
            let path = self.path(&format!("hostPaths[{index}].path"), &path);
            allowed.extend(path.map(|path| AllowedPath { path, read_only }));
        }
        allowed
    }

    fn paths(&mut self, field: &str, paths: Option<Vec<PathBuf>>) -> Vec<PathBuf> {
        let paths = paths.unwrap_or_default();
        let read = |(index, path): (usize, PathBuf)| self.path(&format!("{field}[{index}]"), &path);
        paths.into_iter().enumerate().filter_map(read).collect()
    }

    /// Absolute, and without anything that could mean another place.
    fn path(&mut self, field: &str, path: &Path) -> Option<PathBuf> {
        if !path.is_absolute() || path.components().any(|it| it == Component::ParentDir) {
            self.problem(field, "must be an absolute path without `..`");
            return None;
        }
        Some(path.components().collect())
    }

    fn capabilities(&mut self, names: Vec<String>) -> BTreeSet<String> {
        for (index, name) in names.iter().enumerate() {
            if !is_capability(name) {
                let message = format!(
                    "{} is not a capability; write it in upper case, without CAP_",
                    shown(name)
                );
                self.problem(&format!("capabilities[{index}]"), message);
            }
        }
        names.into_iter().collect()
    }

    fn ports(&mut self, file: PortRuleFile, own: &Ports, default: PortRule) -> PortRule {
        let mut host_ips = file.host_ips.unwrap_or(default.host_ips);
        // Loopback needs no permission.
        if !own.bind.is_loopback() && !host_ips.contains(&own.bind) {
            host_ips.push(own.bind);
        }
        let range = file.host_ports.map_or(Some(FIRST_UNPRIVILEGED_PORT..=u16::MAX), |text| {
            let range = port_range(&text);
            if range.is_none() {
                let message = format!("{} is not a range; write it as in 1024-65535", shown(&text));
                self.problem("ports.hostPorts", message);
            }
            range
        });
        let mut host_ports: Vec<_> = range.into_iter().collect();
        let allocated = own.base..=own.base.saturating_add(own.count.saturating_sub(1));
        let covered = |it: &std::ops::RangeInclusive<u16>| {
            it.contains(allocated.start()) && it.contains(allocated.end())
        };
        if !host_ports.iter().any(covered) {
            host_ports.push(allocated);
        }
        PortRule { host_ips, host_ports, max: file.max.unwrap_or(default.max) }
    }

    fn limits(&mut self, file: Option<ResourceLimits>, default: MaxLimits) -> MaxLimits {
        let Some(mut file) = file else { return default };
        let default_pids = default.of_a_running_container.pids;
        file.pids = file.pids.or(default_pids.and_then(|pids| pids.try_into().ok()));
        match read_limits(&file) {
            Ok((of_a_running_container, shared_memory)) => {
                MaxLimits { of_a_running_container, shared_memory }
            }
            Err(problems) => {
                for problem in problems {
                    let field = problem.field.unwrap_or_default();
                    let name = field.rsplit('.').next().unwrap_or_default();
                    self.problem(&format!("limits.{name}"), problem.message);
                }
                default
            }
        }
    }
}

/// `1024-65535`, or one port.
fn port_range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}
