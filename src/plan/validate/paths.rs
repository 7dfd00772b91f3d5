//! Paths and modes: mounts, permissions, the working directory. By their spelling alone; what a path
//! really is, through links, is for those to check who open it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::plan::desired::{BindMount, CreateDirectory, Permission};
use crate::sandbox::text::{is_unsafe, shown};
use crate::sandbox::{Mount, MountCreate, PermissionRule};

use super::Findings;

/// Longest path (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// Mode of a directory that is created, unless its mount says otherwise.
const DEFAULT_CREATE_MODE: u32 = 0o755;
/// Places in the container that belong to its runtime; nothing is mounted on or below them.
const RUNTIME_PATHS: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Files by which the container knows its users; a mount there decides who is root.
const ACCOUNT_FILES: [&str; 3] = ["/etc/passwd", "/etc/shadow", "/etc/group"];
/// Directories of the host that would hand it to the sandbox as a whole.
const HOST_DIRECTORIES: [&str; 11] = [
    "/",
    "/boot",
    "/etc",
    "/root",
    "/root/.ssh",
    "/run",
    "/var",
    "/var/lib",
    "/var/run",
    "/var/lib/containers",
    "/var/lib/docker",
];
/// Sockets whose reader is root on the host.
const ENGINE_SOCKETS: [&str; 4] = ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"];

/// The bind mounts.
pub(super) fn mounts(
    mounts: Option<&[Mount]>,
    base: &Path,
    findings: &mut Findings,
) -> Vec<BindMount> {
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    for (index, mount) in mounts.into_iter().flatten().enumerate() {
        let field = format!("spec.mounts[{index}]");
        let host = host_path(&mount.host_path, base);
        let host_path = findings.take(&format!("{field}.hostPath"), host);
        let mount_path =
            findings.take(&format!("{field}.mountPath"), mount_path(&mount.mount_path));
        if !mount_path.is_empty() && !seen.insert(mount_path.clone()) {
            let message = format!("{} is mounted twice", shown(&mount_path));
            findings.problem(format!("{field}.mountPath"), message);
        }
        let create = mount.create.as_ref().map(|it| create(it, &field, findings));
        let read_only = mount.read_only.unwrap_or_default();
        checked.push(BindMount { host_path, mount_path, read_only, create });
    }
    checked
}

fn create(create: &MountCreate, field: &str, findings: &mut Findings) -> CreateDirectory {
    let mode = match create.mode.as_deref() {
        None => DEFAULT_CREATE_MODE,
        Some(text) => findings.take(&format!("{field}.create.mode"), mode(text)),
    };
    CreateDirectory { mode, uid: create.uid, gid: create.gid }
}

/// The modes and owners that must hold.
pub(super) fn permissions(
    rules: Option<&[PermissionRule]>,
    findings: &mut Findings,
) -> Vec<Permission> {
    let mut seen = BTreeSet::new();
    let mut checked = Vec::new();
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let field = format!("spec.permissions[{index}]");
        let path = findings.take(&format!("{field}.path"), permission_path(&rule.path));
        if !path.is_empty() && !seen.insert(path.clone()) {
            findings.problem(format!("{field}.path"), format!("{} has two rules", shown(&path)));
        }
        checked.push(Permission {
            path,
            mode: findings.take(&format!("{field}.mode"), mode(&rule.mode)),
            uid: rule.uid,
            gid: rule.gid,
            recursive: rule.recursive.unwrap_or_default(),
            create: rule.create.unwrap_or_default(),
        });
    }
    checked
}

/// The working directory. Below `/proc` it would be a way out of the container (CVE-2024-21626).
pub(super) fn working_dir(path: Option<&str>, findings: &mut Findings) -> Option<String> {
    let checked = container_path(path?).and_then(|path| {
        if is_at_or_below(&path, "/proc") {
            Err("must not be in /proc".to_owned())
        } else {
            Ok(path)
        }
    });
    Some(findings.take("spec.workingDir", checked))
}

/// An absolute path on the host that is used as it is.
pub(super) fn absolute_host_path(path: &str) -> Result<PathBuf, String> {
    if path.starts_with('/') {
        normalised(path).map(PathBuf::from)
    } else {
        Err(format!("{} is not an absolute path", shown(path)))
    }
}

fn host_path(path: &str, base: &Path) -> Result<PathBuf, String> {
    if path == "~" || path.starts_with("~/") {
        return Err("`~` is not expanded; write the path out".to_owned());
    }
    if path.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let path = base.join(normalised(path)?);
    check_host_path(&path, base).map(|()| path)
}

/// An early word on what the engine's gate refuses anyway, where the spelling gives it away.
fn check_host_path(path: &Path, base: &Path) -> Result<(), String> {
    let text = path.to_string_lossy();
    let whole = HOST_DIRECTORIES.contains(&text.as_ref());
    let below = RUNTIME_PATHS.into_iter().any(|root| path.starts_with(root));
    let socket = ENGINE_SOCKETS.into_iter().any(|name| path.ends_with(name));
    if whole || below || socket {
        return Err(format!("{} is never mounted: it would hand over the host", shown(&text)));
    }
    if base.starts_with(path) {
        return Err(format!("{} holds the specs: a sandbox could declare others", shown(&text)));
    }
    Ok(())
}

fn mount_path(path: &str) -> Result<String, String> {
    let path = container_path(path)?;
    if path.contains([':', ',']) {
        return Err("must not contain `:` or `,`".to_owned());
    }
    if is_at_or_below(&path, "/dev/shm") {
        return Err("is the runtime's; set resources.limits.sharedMemory for its size".to_owned());
    }
    let runtime = RUNTIME_PATHS.into_iter().any(|root| is_at_or_below(&path, root));
    if path == "/" || runtime || ACCOUNT_FILES.contains(&path.as_str()) {
        return Err(format!("nothing can be mounted on {path}"));
    }
    Ok(path)
}

fn permission_path(path: &str) -> Result<String, String> {
    let path = container_path(path)?;
    if path == "/" || RUNTIME_PATHS.into_iter().any(|root| is_at_or_below(&path, root)) {
        return Err(format!("the modes of {path} are the runtime's"));
    }
    Ok(path)
}

fn container_path(path: &str) -> Result<String, String> {
    if path.starts_with('/') {
        normalised(path)
    } else {
        Err(format!("{} is not an absolute path", shown(path)))
    }
}

/// Without `//`, `/./` and a final slash. `..` is refused: it means another place through a link.
fn normalised(path: &str) -> Result<String, String> {
    if path.len() > MAX_PATH {
        return Err(format!("has {} bytes; a path has at most {MAX_PATH}", path.len()));
    }
    if path.chars().any(is_unsafe) {
        return Err("must not contain control characters".to_owned());
    }
    if path.split('/').any(|part| part == "..") {
        return Err("must not contain `..`; write the path out".to_owned());
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    Ok(format!("{root}{}", parts.join("/")))
}

fn is_at_or_below(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A mode as `0755`. A shorter or longer spelling is refused, because YAML and people read it differently.
fn mode(text: &str) -> Result<u32, String> {
    let octal = text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match text.len() {
        4 if octal && text.starts_with('0') => {
            u32::from_str_radix(text, 8).map_err(|error| error.to_string())
        }
        3 if octal => Err(format!("write \"0{text}\"")),
        4 if octal => {
            Err("the set-user-id, set-group-id and sticky bits are not set; the first digit is 0"
                .to_owned())
        }
        _ => Err(format!("{} is not a mode; write it as in \"0755\"", shown(text))),
    }
}

#[cfg(test)]
mod tests;
