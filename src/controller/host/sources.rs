//! What the host says of the paths that mounts name, and of those that no sandbox may have. Looks only;
//! [`crate::plan::policy::host_paths`] judges. Blocks.
//!
//! A source is reached from `/` one name at a time and through no link: the engine resolves its path
//! again, and a link could lead it elsewhere than us.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::object::{Handle, Kind, Mounts, Object, ObjectError, names_of};
use crate::plan::policy::host_paths::{
    AllowedPath, AllowedRoot, ENGINE_SOCKETS, FileId, FileKind, HostPaths, HostView, MountSource,
    Place, Reach, ReservedPath,
};
use crate::sandbox::text::shown_path;

/// Paths that no sandbox may have on any host: what each is, and how much of it is meant.
const RESERVED: [(&str, &str, Reach); 24] = [
    ("/", "the whole host", Reach::Files),
    ("/boot", "what the host starts from", Reach::Everything),
    ("/dev", "the host's devices", Reach::Everything),
    ("/proc", "the kernel's view of the host", Reach::Everything),
    ("/sys", "the kernel's view of the host", Reach::Everything),
    ("/etc", "the host's configuration", Reach::UnlessNamed),
    ("/etc/shadow", "the host's passwords", Reach::Everything),
    ("/etc/gshadow", "the host's passwords", Reach::Everything),
    ("/run", "where the host's services listen", Reach::UnlessNamed),
    ("/root", "root's home", Reach::UnlessNamed),
    ("/root/.ssh", "root's keys", Reach::Everything),
    ("/var/root", "root's home", Reach::UnlessNamed),
    ("/var/root/.ssh", "root's keys", Reach::Everything),
    ("/var/lib/docker", DATA, Reach::Everything),
    ("/var/lib/containerd", DATA, Reach::Everything),
    ("/var/lib/containers", DATA, Reach::Everything),
    ("/var/run/docker.sock", SOCKET, Reach::Everything),
    ("/run/podman/podman.sock", SOCKET, Reach::Everything),
    ("/run/containerd/containerd.sock", SOCKET, Reach::Everything),
    ("/run/docker/containerd/containerd.sock", SOCKET, Reach::Everything),
    ("/run/crio/crio.sock", SOCKET, Reach::Everything),
    ("/run/buildkit/buildkitd.sock", SOCKET, Reach::Everything),
    ("/run/systemd/private", "how systemd is commanded", Reach::Everything),
    ("/run/dbus/system_bus_socket", "how the host's services are commanded", Reach::Everything),
];

const DATA: &str = "an engine's data";
const SOCKET: &str = "an engine's socket, whose reader is root on the host";

/// What there is to look at beside a mount's own source, to judge it.
#[derive(Clone, Debug, Default)]
pub struct MountRules {
    allowed: Option<Vec<AllowedPath>>,
    own: Vec<(PathBuf, &'static str, Reach)>,
}

/// Paths of this daemon and its engine, which no sandbox may have.
#[derive(Clone, Copy, Debug, Default)]
pub struct OwnPaths<'a> {
    /// Directories of specs.
    pub specs: &'a [PathBuf],
    /// The state directory.
    pub state: Option<&'a Path>,
    /// The engine's socket.
    pub socket: Option<&'a Path>,
    /// The engine's data.
    pub data: Option<&'a Path>,
}

impl MountRules {
    /// The rules under this policy; `None`: it says nothing about host paths.
    #[must_use]
    pub fn new(policy: Option<HostPaths>, paths: OwnPaths<'_>) -> Self {
        let specs = paths
            .specs
            .iter()
            .map(|path| (path.clone(), "where a sandbox could declare others", Reach::Files));
        let single = [
            (paths.state, "sandkeeper's state", Reach::Everything),
            (paths.socket, SOCKET, Reach::Everything),
            (paths.data, DATA, Reach::Everything),
        ];
        let single =
            single.into_iter().filter_map(|(path, what, reach)| Some((path?.into(), what, reach)));
        Self { allowed: policy.map(|policy| policy.allowed), own: specs.chain(single).collect() }
    }

    /// The reserved paths that exist now.
    pub(super) fn reserved(&self) -> Vec<ReservedPath> {
        let known = RESERVED.map(|(path, what, reach)| (PathBuf::from(path), what, reach));
        known.iter().chain(&self.own).filter_map(reserve).collect()
    }

    /// What the host says of all paths that a judgement needs, now.
    pub(super) fn view(&self) -> HostView {
        let root = |allowed: &AllowedPath| AllowedRoot {
            allowed: allowed.clone(),
            route: existing(&allowed.path).unwrap_or_default(),
        };
        HostView {
            reserved: self.reserved(),
            allowed: self.allowed.as_ref().map(|all| all.iter().map(root).collect()),
        }
    }
}

/// A reserved path, if there is anything. Links on the way to it are followed: it is what they lead to.
fn reserve((path, what, reach): &(PathBuf, &'static str, Reach)) -> Option<ReservedPath> {
    let real = path.canonicalize().ok()?;
    let route = existing(&real)?.into_iter().map(|place| place.id).collect();
    Some(ReservedPath { path: path.clone(), what, reach: *reach, route })
}

fn existing(path: &Path) -> Option<Vec<Place>> {
    let found = find(path).ok()?;
    found.source.exists.then_some(found.source.route)
}

/// A source as it was found.
pub(super) struct Found<'p> {
    pub(super) source: MountSource,
    /// The deepest directory of its path that exists, beside itself.
    pub(super) above: Handle,
    /// The names below that one which are missing.
    pub(super) missing: Vec<&'p OsStr>,
}

/// Looks at a path, and says in words why that cannot be.
pub(super) fn find(path: &Path) -> Result<Found<'_>, String> {
    let names = names_of(path).map_err(|error| error.to_string())?;
    let mut walk = Walk::start().map_err(|error| format!("cannot be looked at: {error}"))?;
    for (index, name) in names.iter().enumerate() {
        let last = index + 1 == names.len();
        match walk.step(name, last) {
            Ok(()) => {}
            Err(ObjectError::Missing) => {
                let missing = names[index..].to_vec();
                return Ok(walk.found(path, false, None, missing));
            }
            Err(error) => {
                let so_far: PathBuf =
                    Path::new("/").join(names[..=index].iter().collect::<PathBuf>());
                return Err(explain(path, &so_far, &error));
            }
        }
    }
    let socket = walk.engine_socket(names.last().copied());
    Ok(walk.found(path, true, socket, Vec::new()))
}

/// What each path is now; `None`: nothing, or nothing that can be reached. Blocks.
#[must_use]
pub fn identities(paths: &[PathBuf]) -> Vec<Option<FileId>> {
    paths.iter().map(|path| find(path).ok()?.source.id()).collect()
}

struct Walk {
    route: Vec<Place>,
    directory: Handle,
    is_socket: bool,
}

impl Walk {
    fn start() -> Result<Self, ObjectError> {
        let directory = Handle::slash()?;
        let route = vec![place_of(&directory)?];
        Ok(Self { route, directory, is_socket: false })
    }

    fn step(&mut self, name: &OsStr, last: bool) -> Result<(), ObjectError> {
        if last {
            let entry = self.directory.entry(name)?;
            self.is_socket = entry.is_socket;
            self.route.push(entry.place);
        } else {
            let child = self.directory.child(name, Mounts::Cross)?;
            self.route.push(place_of(&child)?);
            self.directory = child;
        }
        Ok(())
    }

    /// The engine's socket that was found: the path itself, or directly in it.
    fn engine_socket(&self, name: Option<&OsStr>) -> Option<String> {
        let name = name?;
        let is_engines = |name: &OsStr| ENGINE_SOCKETS.iter().find(|socket| name == **socket);
        if self.is_socket {
            return is_engines(name).map(|socket| (*socket).to_owned());
        }
        if self.route.last()?.kind != FileKind::Directory {
            return None;
        }
        // Where we may not look, the engine's own rights are all that is left to trust in.
        let inside = self.directory.child(name, Mounts::Cross).ok()?;
        let socket = ENGINE_SOCKETS
            .into_iter()
            .find(|socket| inside.entry(OsStr::new(socket)).is_ok_and(|entry| entry.is_socket))?;
        Some(socket.to_owned())
    }

    fn found<'p>(
        self,
        path: &Path,
        exists: bool,
        engine_socket: Option<String>,
        missing: Vec<&'p OsStr>,
    ) -> Found<'p> {
        let source =
            MountSource { path: path.to_owned(), route: self.route, exists, engine_socket };
        Found { source, above: self.directory, missing }
    }
}

fn place_of(object: &Handle) -> Result<Place, ObjectError> {
    let look = object.look()?;
    let kind = match look.kind {
        Kind::Directory => FileKind::Directory,
        Kind::File => FileKind::Other,
    };
    Ok(Place { id: look.id, kind, mode: look.mode })
}

fn explain(path: &Path, so_far: &Path, error: &ObjectError) -> String {
    let hint = match error {
        // Somebody who may write to a parent could otherwise choose what is mounted.
        ObjectError::Link => match path.canonicalize() {
            Ok(real) => format!("; write the real path into hostPath: {}", shown_path(&real)),
            Err(_) => "; write the real path into hostPath".to_owned(),
        },
        _ => String::new(),
    };
    if so_far == path {
        return format!("{error}{hint}");
    }
    format!("cannot be reached: {} {error}{hint}", shown_path(so_far))
}

#[cfg(test)]
mod tests;
