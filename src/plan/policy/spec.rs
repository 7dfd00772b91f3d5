//! What only a spec can say: files of the host that the daemon would read or make for it, and secrets
//! that stand in it.

use crate::plan::desired::{Desired, EnvValue};
use crate::sandbox::SandboxSpec;
use crate::sandbox::text::{shown, shown_path};

use super::{DEFAULT_SHARED_MEMORY, Grant, LiteralSecrets, Policy, Violation, is_in, judge, list};

/// Everybody may write.
const OTHERS_WRITE: u32 = 0o002;
/// Words in the name of a variable that betray a secret.
const SECRET_WORDS: [&str; 9] = [
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "TOKEN",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "CREDENTIAL",
];

/// Gives what says nothing of its limits the most that is allowed.
pub fn fill(desired: &mut Desired, policy: &Policy) {
    let most = policy.limits.of_a_running_container;
    desired.limits.nano_cpus = desired.limits.nano_cpus.or(most.nano_cpus);
    desired.limits.memory = desired.limits.memory.or(most.memory);
    desired.limits.pids = desired.limits.pids.or(most.pids);
    let small = policy.limits.shared_memory.filter(|most| *most < DEFAULT_SHARED_MEMORY);
    desired.container.shared_memory = desired.container.shared_memory.or(small);
}

/// Everything that a spec asks for and the policy does not allow, and what is to be said of the rest.
/// `spec` is where `desired` came from: it has the places of the variables.
#[must_use]
pub fn judge_spec(
    desired: &Desired,
    spec: &SandboxSpec,
    policy: &Policy,
) -> (Vec<Violation>, Vec<String>) {
    let mut found = judge(&Grant::of(desired), policy);
    found.extend(files(desired, spec, policy));
    if !policy.world_writable {
        found.extend(open_to_everybody(desired));
    }
    let (refused, notices) = literals(desired, spec, policy.literal_secrets);
    found.extend(refused);
    (found, notices)
}

fn field_of(variable: &str, spec: &SandboxSpec) -> String {
    let all = spec.env.iter().flatten();
    let index = all.enumerate().find(|(_, it)| it.name == variable).map(|(index, _)| index);
    index.map_or_else(|| "spec.env".to_owned(), |index| format!("spec.env[{index}]"))
}

/// By their spelling. The daemon reads them as root, so a spec must not choose among all files.
fn files(desired: &Desired, spec: &SandboxSpec, policy: &Policy) -> Vec<Violation> {
    let refused = desired.container.env.iter().filter_map(|(name, value)| match value {
        EnvValue::SecretFile(path) if !is_in(path, &policy.secret_files) => {
            let field = format!("{}.valueFrom.secretFile", field_of(name, spec));
            let allowed = list(policy.secret_files.iter().map(|path| shown_path(path)));
            Some(Violation::new(field, shown_path(path), "secretFiles", allowed))
        }
        _ => None,
    });
    refused.collect()
}

/// Modes on the host by which any of its users could change what a sandbox works with.
fn open_to_everybody(desired: &Desired) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut refuse = |field: String, mode: u32| {
        if mode & OTHERS_WRITE != 0 {
            let asked = format!("\"{mode:04o}\", which lets everybody on the host write,");
            found.push(Violation::new(field, asked, "worldWritable", "false"));
        }
    };
    let mounts = &desired.container.mounts;
    for (index, mount) in mounts.iter().enumerate() {
        if let Some(create) = &mount.create {
            refuse(format!("spec.mounts[{index}].create.mode"), create.mode);
        }
    }
    for (index, rule) in desired.permissions.iter().enumerate() {
        let path = std::path::Path::new(&rule.path);
        if mounts.iter().any(|mount| path.starts_with(&mount.mount_path)) {
            refuse(format!("spec.permissions[{index}].mode"), rule.mode);
        }
    }
    found
}

fn literals(
    desired: &Desired,
    spec: &SandboxSpec,
    rule: LiteralSecrets,
) -> (Vec<Violation>, Vec<String>) {
    let suspect = |name: &str| {
        let name = name.to_ascii_uppercase();
        SECRET_WORDS.iter().any(|word| name.contains(word))
    };
    let env = desired.container.env.iter();
    let suspects = env.filter(|(name, value)| {
        matches!(value, EnvValue::Literal(text) if !text.is_empty()) && suspect(name)
    });
    let (mut refused, mut notices) = (Vec::new(), Vec::new());
    for (name, _) in suspects {
        match rule {
            LiteralSecrets::Allow => {}
            LiteralSecrets::Warn => notices.push(format!(
                "{}: {} looks like a secret, and stands in the spec and the status; use \
                 valueFrom.secretFile",
                field_of(name, spec),
                shown(name)
            )),
            LiteralSecrets::Refuse => refused.push(Violation::new(
                format!("{}.value", field_of(name, spec)),
                format!("a value for {}, which looks like a secret,", shown(name)),
                "literalSecrets",
                "valueFrom.secretFile",
            )),
        }
    }
    (refused, notices)
}
