//! Which paths of the host may be mounted. What the host says of a path is a value here.
//!
//! A path is judged by what it is, not by how it is spelt: by device and inode of itself and of every
//! directory above it. Another spelling, or another mount of the same directory, is the same directory.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::sandbox::text::shown_path;

/// Sockets whose reader is root on the host, by name: one in a directory betrays an engine that no list
/// of well-known places knows.
pub const ENGINE_SOCKETS: [&str; 4] =
    ["docker.sock", "podman.sock", "containerd.sock", "crio.sock"];

/// The rule `policy.hostPaths`: what may be mounted. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPaths {
    /// Each with everything below it.
    pub allowed: Vec<AllowedPath>,
}

/// A path that may be mounted, and everything below it. The deepest one that holds a path decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedPath {
    /// Absolute path on the host, without links.
    pub path: PathBuf,
    /// Whether only read-only.
    pub read_only: bool,
}

/// A file's identity, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
}

/// Kinds of file, as far as they matter to a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// Anything else: a file, a socket, a pipe, a device.
    Other,
}

/// One file on the way from `/` to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Identity.
    pub id: FileId,
    /// Kind.
    pub kind: FileKind,
    /// Permission bits, with suid, sgid and sticky.
    pub mode: u32,
}

impl Place {
    /// Whether more than its owner may put another file in the place of one that is in it.
    fn is_shared(&self) -> bool {
        const WRITABLE: u32 = 0o022;
        const STICKY: u32 = 0o1000;
        self.kind == FileKind::Directory && self.mode & WRITABLE != 0 && self.mode & STICKY == 0
    }
}

/// What the host says of the source of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountSource {
    /// Its path, as the engine is asked for it.
    pub path: PathBuf,
    /// From `/` to it, through no link. Where it does not exist: to the deepest directory that does.
    pub route: Vec<Place>,
    /// Whether it exists; else it is to be made.
    pub exists: bool,
    /// The name of an engine's socket ([`ENGINE_SOCKETS`]) that is directly in it, or its own.
    pub engine_socket: Option<String>,
}

impl MountSource {
    /// Its identity, if it exists.
    #[must_use]
    pub fn id(&self) -> Option<FileId> {
        self.route.last().filter(|_| self.exists).map(|place| place.id)
    }

    /// The directories that it is in.
    fn above(&self) -> &[Place] {
        let end = self.route.len() - usize::from(self.exists && !self.route.is_empty());
        &self.route[..end]
    }

    fn is_below(&self, id: FileId) -> bool {
        self.above().iter().any(|place| place.id == id)
    }
}

/// A path that sandboxes must not have, where it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservedPath {
    /// Its path, for people.
    pub path: PathBuf,
    /// What it is, for people: `/etc, {the host's configuration}`.
    pub what: &'static str,
    /// What of it must not be mounted, beside itself and what contains it.
    pub reach: Reach,
    /// Identities from `/` to it.
    pub route: Vec<FileId>,
}

/// What must not be mounted of a reserved path, beside itself and what contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Anything below it.
    Everything,
    /// Anything below it that the policy does not name.
    UnlessNamed,
    /// The files directly in it; directories below it are not concerned.
    Files,
}

/// A path that the policy allows, as the host has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedRoot {
    /// What the policy says.
    pub allowed: AllowedPath,
    /// From `/` to it, through no link; empty when there is no such path.
    pub route: Vec<Place>,
}

impl AllowedRoot {
    fn id(&self) -> Option<FileId> {
        self.route.last().map(|place| place.id)
    }

    fn holds(&self, source: &MountSource) -> bool {
        self.id().is_some_and(|id| source.id() == Some(id) || source.is_below(id))
    }

    /// Whether it lies below this.
    fn is_below(&self, id: FileId) -> bool {
        self.route.iter().rev().skip(1).any(|place| place.id == id)
    }

    /// The first directory above it in which others than its owner may change names.
    fn shared_above(&self) -> Option<(&Path, u32)> {
        let above = self.route.len().saturating_sub(1);
        let position = self.route[..above].iter().position(Place::is_shared)?;
        let path = self.allowed.path.ancestors().nth(above - position)?;
        Some((path, self.route[position].mode))
    }
}

/// `/srv/models (read-only)`
impl fmt::Display for AllowedPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.read_only { " (read-only)" } else { "" };
        write!(formatter, "{}{suffix}", shown_path(&self.path))
    }
}

/// What the host says of every path that a judgement needs beside the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// Paths that are never mounted, as far as they exist.
    pub reserved: Vec<ReservedPath>,
    /// What the policy allows; `None`: it says nothing about host paths.
    pub allowed: Option<Vec<AllowedRoot>>,
}

/// Why a path is not mounted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPathRefusal {
    /// It is reserved, whatever the policy says.
    #[error("is never mounted: {0}")]
    Never(String),
    /// It lies in a place of which only what the policy names is mounted.
    #[error(
        "lies in {}, {what}: it is mounted only if policy.hostPaths names it or a directory between",
        shown_path(reserved)
    )]
    NotNamed {
        /// The place.
        reserved: PathBuf,
        /// What that is.
        what: &'static str,
    },
    /// The policy does not allow it.
    #[error("is not allowed by policy.hostPaths; allowed: {allowed}")]
    NotAllowed {
        /// What is allowed.
        allowed: String,
    },
    /// The policy allows it read-only.
    #[error("is allowed by policy.hostPaths only with readOnly: true (allowed: {allowed})")]
    ReadOnly {
        /// The rule that says so.
        allowed: String,
    },
    /// Others could put something else in the place of what the policy allows.
    #[error(
        "is below {allowed} of policy.hostPaths, but {} has mode {mode:04o}: others could put another \
         directory in its place; take their right to write away (chmod go-w)",
        shown_path(shared)
    )]
    Shared {
        /// The rule that allows it.
        allowed: String,
        /// The directory above it.
        shared: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Whether a path may be mounted. `read_only` is what the mount asks for.
///
/// # Errors
/// The rule that forbids it, and what that allows.
pub fn judge(
    source: &MountSource,
    read_only: bool,
    host: &HostView,
) -> Result<(), HostPathRefusal> {
    let roots = host.allowed.as_deref().unwrap_or_default();
    let reserved = host.reserved.iter();
    let mut refused: Vec<HostPathRefusal> =
        reserved.filter_map(|reserved| not_reserved(source, reserved, roots).err()).collect();
    // What no policy can allow is told first.
    refused.sort_by_key(|refusal| !matches!(refusal, HostPathRefusal::Never(_)));
    if let Some(refusal) = refused.into_iter().next() {
        return Err(refusal);
    }
    if let Some(socket) = &source.engine_socket {
        let socket = format!("{socket} is an engine's socket, whose reader is root on the host");
        return Err(HostPathRefusal::Never(socket));
    }
    match &host.allowed {
        Some(roots) => within_the_policy(source, read_only, roots),
        None => Ok(()),
    }
}

/// Why a file may not be read for a sandbox, if so: it is, or lies in, what is reserved whole.
#[must_use]
pub fn not_to_be_read(source: &MountSource, reserved: &[ReservedPath]) -> Option<String> {
    let mut whole = reserved.iter().filter(|reserved| reserved.reach == Reach::Everything);
    let held = whole.find(|reserved| {
        let own = reserved.route.last().copied();
        own.is_some_and(|own| source.id() == Some(own) || source.is_below(own))
    })?;
    Some(format!("it is {} or in it, {}", shown_path(&held.path), held.what))
}

/// The path of the first source that is another file than when it was judged, or has gone. `now` are the
/// identities of the sources, in their order.
#[must_use]
pub fn changed<'s>(judged: &'s [MountSource], now: &[Option<FileId>]) -> Option<&'s Path> {
    let pairs = judged.iter().zip(now.iter().copied().chain(std::iter::repeat(None)));
    let mut changed = pairs.filter(|(source, now)| now.is_none() || source.id() != *now);
    changed.next().map(|(source, _)| source.path.as_path())
}

fn not_reserved(
    source: &MountSource,
    reserved: &ReservedPath,
    roots: &[AllowedRoot],
) -> Result<(), HostPathRefusal> {
    let Some((own, above)) = reserved.route.split_last() else { return Ok(()) };
    let (path, what) = (shown_path(&reserved.path), reserved.what);
    let never = |text: String| Err(HostPathRefusal::Never(text));
    if let Some(id) = source.id() {
        if id == *own {
            return never(format!("it is {what}"));
        }
        if above.contains(&id) {
            return never(format!("it contains {path}, {what}"));
        }
    }
    if !source.is_below(*own) {
        return Ok(());
    }
    match reserved.reach {
        Reach::Everything => never(format!("it lies in {path}, {what}")),
        Reach::UnlessNamed => {
            let named = roots.iter().any(|root| root.is_below(*own) && root.holds(source));
            if named {
                return Ok(());
            }
            Err(HostPathRefusal::NotNamed { reserved: reserved.path.clone(), what })
        }
        Reach::Files => {
            let own_file = source.route.last().is_some_and(|it| it.kind == FileKind::Other);
            let directly = source.above().last().is_some_and(|place| place.id == *own);
            if own_file && directly {
                return never(format!("it is a file of {path}, {what}"));
            }
            Ok(())
        }
    }
}

fn within_the_policy(
    source: &MountSource,
    read_only: bool,
    roots: &[AllowedRoot],
) -> Result<(), HostPathRefusal> {
    let holding = roots.iter().filter(|root| root.holds(source));
    let Some(root) = holding.max_by_key(|root| root.route.len()) else {
        let all: Vec<String> = roots.iter().map(|root| root.allowed.to_string()).collect();
        let allowed = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
        return Err(HostPathRefusal::NotAllowed { allowed });
    };
    let allowed = root.allowed.to_string();
    if let Some((shared, mode)) = root.shared_above() {
        let shared = shared.to_owned();
        return Err(HostPathRefusal::Shared { allowed, shared, mode });
    }
    if read_only {
        return Ok(());
    }
    // Above a path that may only be read, all of it would be open to writing.
    let within = roots.iter().filter(|root| source.id().is_some_and(|id| root.is_below(id)));
    let strict = within.chain([root]).find(|root| root.allowed.read_only);
    strict
        .map_or(Ok(()), |root| Err(HostPathRefusal::ReadOnly { allowed: root.allowed.to_string() }))
}

#[cfg(test)]
mod tests;
