//! Layers → [`Config`]: the defaults, and every rule that values must keep. Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Config, ConfigFile, HumanDuration, Log, LogFile, Ports, PortsFile, policy};
use crate::plan::admit;
use crate::sandbox::{Problem, ProblemReason, Sandbox};

/// A container's name is a hostname too (63 bytes); prefix, a dash and a name of one letter must fit.
const LONGEST_PREFIX: usize = 57;
const RESYNC: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_hours(24);

/// Fills in the defaults and checks; returns every problem, not only the first.
pub(super) fn resolve(layers: ConfigFile, processors: usize) -> Result<Config, Vec<Problem>> {
    let mut refused = Vec::new();
    let ports = ports(layers.ports.unwrap_or_default());
    let policy = policy::resolve(layers.policy.unwrap_or_default(), &ports, &mut refused);
    let config = Config {
        specs: layers.specs.unwrap_or_default(),
        state: layers.state.unwrap_or_else(|| PathBuf::from("/var/lib/sandkeeper")),
        engine: layers.engine.unwrap_or_default(),
        socket: layers.socket,
        apple_cli: layers.apple_cli,
        container_prefix: layers.container_prefix.unwrap_or_else(|| "sandbox".to_owned()),
        ports,
        policy,
        defaults: layers.defaults.unwrap_or_default(),
        concurrency: layers.concurrency.unwrap_or((2 * processors).max(4)),
        resync: layers.resync.map_or(Duration::from_secs(30), |HumanDuration(time)| time),
        delete_guard: layers.delete_guard.unwrap_or(10),
        log: log(layers.log.unwrap_or_default()),
    };
    let mut problems = problems(&config);
    problems.extend(refused);
    if problems.is_empty() {
        problems.extend(defaults_beyond_the_policy(&config));
    }
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// Defaults that the policy does not allow would have every spec refused that relies on them. Where a
/// relative path in them leads depends on the spec.
fn defaults_beyond_the_policy(config: &Config) -> Vec<Problem> {
    let mut settings = config.settings();
    settings.defaults.image.get_or_insert_with(|| "image:1".to_owned());
    let made_up = config.defaults.image.is_none();
    let sandbox = Sandbox::new("x", crate::sandbox::SandboxSpec::default());
    let problems = admit(&sandbox, &settings, Path::new("/")).err().unwrap_or_default();
    let field = |problem: &Problem| problem.field.clone().unwrap_or_default();
    problems
        .into_iter()
        .filter(|problem| problem.reason == ProblemReason::PolicyViolation)
        .filter(|problem| !field(problem).starts_with("spec.mounts"))
        .filter(|problem| !(made_up && field(problem) == "spec.image"))
        // A policy that asks for a user asks every spec.
        .filter(|problem| {
            config.defaults.security_context.is_some()
                || field(problem) != "spec.securityContext.runAsUser"
        })
        .map(|problem| {
            let field = field(&problem).replacen("spec.", "defaults.", 1);
            Problem { field: Some(field), ..problem }
        })
        .collect()
}

fn ports(file: PortsFile) -> Ports {
    let default = Ports::default();
    Ports {
        base: file.base.unwrap_or(default.base),
        count: file.count.unwrap_or(default.count),
        bind: file.bind.unwrap_or(default.bind),
        advertise: file.advertise.unwrap_or(default.advertise),
    }
}

fn log(file: LogFile) -> Log {
    Log { level: file.level, format: file.format.unwrap_or_default() }
}

fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = apart(&config.specs, &config.state);
    let mut check = |holds: bool, field: &str, message: &str| {
        if !holds {
            problems.push(Problem::at_field(field, message));
        }
    };
    check(
        is_prefix(&config.container_prefix),
        "containerPrefix",
        "must be a DNS-1123 label of at most 57 characters: lower-case letters, digits and dashes, \
         with a letter or digit at both ends",
    );
    check(config.socket.as_deref() != Some(""), "socket", "must not be empty; leave it out");
    check(config.ports.base > 0, "ports.base", "must be 1 to 65535");
    check(config.ports.count > 0, "ports.count", "must be at least 1");
    check(
        u32::from(config.ports.base) + u32::from(config.ports.count) <= 65_536,
        "ports.count",
        "the range ends beyond port 65535: base + count must be at most 65536",
    );
    check(
        is_host(&config.ports.advertise),
        "ports.advertise",
        "must be a host name or an address, without scheme, port and path",
    );
    check((1..=1000).contains(&config.concurrency), "concurrency", "must be 1 to 1000");
    check(RESYNC.contains(&config.resync), "resync", "must be 1s to 24h");
    check(
        config.log.level.as_deref().is_none_or(is_filter),
        "log.level",
        "must be error, warn, info, debug, trace or off, or directives as in \
         info,sandkeeper::source=debug",
    );
    problems
}

/// The problem with directories of specs and a state directory that contain one another: what
/// sandkeeper writes would be read as specs. Also with a directory that is given twice.
pub(super) fn apart(specs: &[PathBuf], state: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, directory) in specs.iter().enumerate() {
        let mut refuse = |message: String| {
            problems.push(Problem::at_field(format!("specs[{index}]"), message));
        };
        if directory.starts_with(state) || state.starts_with(directory) {
            refuse(format!(
                "{} and the state directory {} must not contain one another",
                directory.display(),
                state.display()
            ));
        }
        if specs[..index].contains(directory) {
            refuse(format!("{} is given twice", directory.display()));
        }
    }
    problems
}

fn is_prefix(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_PREFIX).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Levels and `target=level`. A bare target, which `tracing` would take, is most likely a misspelt level.
fn is_filter(text: &str) -> bool {
    text.split(',').all(|directive| {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level).trim();
        !level.is_empty() && level.parse::<tracing::level_filters::LevelFilter>().is_ok()
    })
}

fn is_host(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
        || (1..=253).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
}
