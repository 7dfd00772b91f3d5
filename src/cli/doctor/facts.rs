//! What the host says. Looks only; nothing here judges.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::config::Ports;

/// A directory, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) is_dir: bool,
    /// Permission bits, with the sticky bit.
    pub(super) mode: u32,
    /// User id of the owner.
    pub(super) owner: u32,
    /// Whether it can be listed by us.
    pub(super) listable: bool,
    /// User id that we run as.
    pub(super) us: u32,
}

pub(super) fn directory(path: &Path) -> io::Result<Directory> {
    let metadata = std::fs::metadata(path)?;
    Ok(Directory {
        is_dir: metadata.is_dir(),
        mode: metadata.permissions().mode() & 0o7777,
        owner: metadata.uid(),
        listable: std::fs::read_dir(path).is_ok(),
        us: rustix::process::geteuid().as_raw(),
    })
}

/// Linux' limits on watching files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inotify {
    pub(super) instances: Option<u64>,
    pub(super) watches: Option<u64>,
    /// Whether another instance can be had now.
    pub(super) available: bool,
}

#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have none")]
pub(super) fn inotify() -> Option<Inotify> {
    use rustix::fs::inotify::{CreateFlags, init};
    let limit = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    Some(Inotify {
        instances: limit("max_user_instances"),
        watches: limit("max_user_watches"),
        available: init(CreateFlags::CLOEXEC).is_ok(),
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn inotify() -> Option<Inotify> {
    None
}

/// Which ports of the range cannot be bound now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TakenPorts {
    pub(super) taken: usize,
    /// Why the address itself cannot be used.
    pub(super) unusable: Option<String>,
}

pub(super) fn ports(ports: &Ports) -> TakenPorts {
    let mut found = TakenPorts::default();
    for port in (ports.base..=u16::MAX).take(usize::from(ports.count)) {
        match TcpListener::bind(SocketAddr::new(ports.bind, port)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => found.taken += 1,
            Err(error) => {
                found.unusable = Some(format!("port {port}: {error}"));
                break;
            }
        }
    }
    found
}

/// When a status was last written.
pub(super) fn newest_status(state: &Path) -> Option<Timestamp> {
    let entries = std::fs::read_dir(state.join("status")).ok()?;
    let modified = |entry: std::fs::DirEntry| entry.metadata().ok()?.modified().ok();
    entries.flatten().filter_map(modified).max()?.try_into().ok()
}

/// Directories of the host that sandboxes may write to, as they were last published, and on whose
/// filesystem a set-user-id bit counts.
pub(super) fn suid_mounts(state: &Path) -> Vec<PathBuf> {
    use rustix::fs::{StatVfsMountFlags, statvfs};

    let published = crate::state::status::read_all(state).unwrap_or_default();
    let mounts = published.into_iter().flat_map(|sandbox| sandbox.spec.mounts.unwrap_or_default());
    let writable = mounts.filter(|mount| !mount.read_only.unwrap_or_default());
    let paths = writable.map(|mount| PathBuf::from(mount.host_path)).filter(|it| it.is_absolute());
    let counts = |path: &PathBuf| {
        statvfs(path).is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::NOSUID))
    };
    let mut paths: Vec<PathBuf> = paths.filter(counts).collect();
    paths.sort();
    paths.dedup();
    paths
}

/// What systemd knows of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) installed: bool,
    pub(super) enabled: bool,
    pub(super) active: bool,
}

/// Read from the filesystem, as systemd keeps it there; `None` where systemd does not run.
pub(super) fn service() -> Option<Service> {
    let exists = |path: &str| Path::new(path).symlink_metadata().is_ok();
    exists("/run/systemd/system").then(|| Service {
        installed: exists("/etc/systemd/system/sandkeeper.service")
            || exists("/usr/local/lib/systemd/system/sandkeeper.service")
            || exists("/usr/lib/systemd/system/sandkeeper.service")
            || exists("/lib/systemd/system/sandkeeper.service"),
        enabled: exists("/etc/systemd/system/multi-user.target.wants/sandkeeper.service"),
        active: exists("/sys/fs/cgroup/system.slice/sandkeeper.service")
            || exists("/sys/fs/cgroup/systemd/system.slice/sandkeeper.service"),
    })
}
