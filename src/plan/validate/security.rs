//! Privileges: hardened unless a spec asks for more.

use std::collections::BTreeSet;

use crate::plan::desired::{Seccomp, Security};
use crate::sandbox::text::shown;
use crate::sandbox::{Capabilities, SeccompProfile, SeccompType, SecurityContext};

use super::{Findings, container, paths};

/// Capabilities that a sandbox has unless its spec says otherwise: Docker's own set without three.
///
/// Dropped: `NET_RAW` (raw sockets forge packets to neighbours on the bridge; `ping` works without it
/// on current kernels), `MKNOD` (device nodes left on a mount outlive the sandbox), `AUDIT_WRITE`
/// (writes the host's audit log).
///
/// Kept, because ordinary images fail without them: `CHOWN`, `DAC_OVERRIDE`, `FOWNER`, `FSETID`
/// (package managers and entrypoints that prepare volumes as root), `SETUID`, `SETGID`, `SETPCAP`
/// (entrypoints that step down to a user), `KILL` (supervisors that signal what they started as another
/// user), `NET_BIND_SERVICE` (servers on ports below 1024), `SETFCAP` (packages whose files carry
/// capabilities; with no new privileges they confer nothing), `SYS_CHROOT` (sshd and browsers).
pub const DEFAULT_CAPABILITIES: [&str; 11] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Every capability of Linux, up to `CAP_CHECKPOINT_RESTORE` (5.9).
const ALL_CAPABILITIES: [&str; 41] = [
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];
const ALL: &str = "ALL";

/// Whether this is the name of a capability, without `CAP_`, or `ALL`.
#[must_use]
pub fn is_capability(name: &str) -> bool {
    name == ALL || ALL_CAPABILITIES.contains(&name)
}

/// The privileges of the container.
pub(super) fn check(context: Option<&SecurityContext>, findings: &mut Findings) -> Security {
    let unset = SecurityContext::default();
    let context = context.unwrap_or(&unset);
    let privileged = context.privileged.unwrap_or_default();
    if privileged && context.allow_privilege_escalation == Some(false) {
        findings.problem(
            "spec.securityContext.allowPrivilegeEscalation",
            "must not be false for a privileged container: it has every privilege",
        );
    }
    if context.run_as_group.is_some() && context.run_as_user.is_none() {
        findings.problem("spec.securityContext.runAsGroup", "needs runAsUser");
    }
    // As in Kubernetes, full privileges include those that a process can gain.
    let escalation = context.allow_privilege_escalation.unwrap_or(privileged);
    Security {
        seccomp: seccomp(context.seccomp_profile.as_ref(), findings),
        capabilities: capabilities(context.capabilities.as_ref(), findings),
        privileged,
        no_new_privileges: !escalation,
        read_only_root: context.read_only_root_filesystem.unwrap_or_default(),
        run_as_user: context.run_as_user,
        run_as_group: context.run_as_group,
    }
}

/// Whether a spec (or the defaults) says that no process may gain privileges, as it is by default.
pub(super) fn asks_no_new_privileges(context: Option<&SecurityContext>) -> bool {
    context.is_some_and(|context| context.allow_privilege_escalation == Some(false))
}

fn seccomp(profile: Option<&SeccompProfile>, findings: &mut Findings) -> Seccomp {
    let Some(profile) = profile else { return Seccomp::RuntimeDefault };
    match (profile.type_, profile.localhost_profile.as_deref()) {
        (SeccompType::RuntimeDefault, None) => Seccomp::RuntimeDefault,
        (SeccompType::Unconfined, None) => Seccomp::Unconfined,
        (SeccompType::Localhost, Some(path)) => {
            let field = "spec.securityContext.seccompProfile.localhostProfile";
            Seccomp::Localhost(findings.take(field, paths::absolute_host_path(path)))
        }
        _ => {
            let message = "localhostProfile goes with type Localhost, and only with it";
            findings.problem("spec.securityContext.seccompProfile", message);
            Seccomp::RuntimeDefault
        }
    }
}

/// The whole set, sorted: the default one, without what is dropped, with what is added. `ALL` in one
/// list makes the other one the exceptions.
fn capabilities(capabilities: Option<&Capabilities>, findings: &mut Findings) -> Vec<String> {
    let unset = Capabilities::default();
    let capabilities = capabilities.unwrap_or(&unset);
    let add = names(capabilities.add.as_deref(), "add", findings);
    let drop = names(capabilities.drop.as_deref(), "drop", findings);
    for both in add.intersection(&drop) {
        let message = format!("{both} is added and dropped");
        findings.problem("spec.securityContext.capabilities", message);
    }
    let start: &[&str] = match (add.contains(ALL), drop.contains(ALL)) {
        (_, true) => &[],
        (true, false) => &ALL_CAPABILITIES,
        (false, false) => &DEFAULT_CAPABILITIES,
    };
    let kept = start.iter().copied().filter(|it| !drop.contains(*it)).map(str::to_owned);
    let set: BTreeSet<String> = kept.chain(add.iter().filter(|it| *it != ALL).cloned()).collect();
    set.into_iter().collect()
}

fn names(list: Option<&[String]>, which: &str, findings: &mut Findings) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, written) in list.into_iter().flatten().enumerate() {
        let field = format!("spec.securityContext.capabilities.{which}[{index}]");
        let name = written.to_ascii_uppercase();
        if let Some(short) = name.strip_prefix("CAP_") {
            findings.problem(field, format!("write {}, without CAP_", shown(short)));
        } else if !is_capability(&name) {
            let hint = container::suggestion(&name, ALL_CAPABILITIES.into_iter());
            findings.problem(field, format!("{} is not a capability{hint}", shown(written)));
        } else {
            names.insert(name);
        }
    }
    names
}
