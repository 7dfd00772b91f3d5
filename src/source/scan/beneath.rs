//! Opens a file beneath a directory: symbolic links are followed, but only to what lies in the directory.
//! The chain of links of a mounted `ConfigMap` works; a link to `/etc/shadow` is refused unopened.

use std::collections::VecDeque;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

/// A FIFO must not block us, a terminal not become ours.
const READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
/// Most links on a way, as in the kernel.
const MAX_LINKS: usize = 40;

/// What a name leads to.
pub(super) enum Found {
    /// Most likely a regular file; opened.
    File(File),
    /// Something else; not opened, for opening alone has effects on some devices.
    Other(FileType),
}

/// Opens what a name leads to. `regular`: the listing said that it is a regular file. A link that leads
/// out of the directory is `EXDEV`.
#[cfg(target_os = "linux")]
pub(super) fn find(directory: &File, name: &CStr, regular: bool) -> Result<Found, Errno> {
    match by_openat2(directory, name, regular) {
        // Before Linux 5.6, or forbidden by a system call filter.
        Err(Errno::NOSYS | Errno::PERM) => by_steps(directory, name),
        other => other,
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn find(directory: &File, name: &CStr, _: bool) -> Result<Found, Errno> {
    by_steps(directory, name)
}

#[cfg(target_os = "linux")]
fn by_openat2(directory: &File, name: &CStr, regular: bool) -> Result<Found, Errno> {
    use rustix::fs::ResolveFlags;
    let confined = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let open = |flags| rustix::fs::openat2(directory, name, flags, Mode::empty(), confined);
    if !regular {
        let object = open(OFlags::PATH | OFlags::CLOEXEC)?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&object)?.st_mode);
        if !kind.is_file() {
            return Ok(Found::Other(kind));
        }
    }
    Ok(Found::File(open(READ)?.into()))
}

/// The same one name at a time. Stricter in one thing: a link with `..` leads out, wherever it ends.
fn by_steps(directory: &File, name: &CStr) -> Result<Found, Errno> {
    let mut at = OwnedFd::from(directory.try_clone().map_err(|_| Errno::MFILE)?);
    let mut rest = VecDeque::from([OsStr::from_bytes(name.to_bytes()).to_owned()]);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if let Some(target) = link_target(&at, &name)? {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            for name in inner(Path::new(&target))?.into_iter().rev() {
                rest.push_front(name);
            }
        } else if rest.is_empty() {
            let stat = rustix::fs::statat(&at, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            if !kind.is_file() {
                return Ok(Found::Other(kind));
            }
            let file = rustix::fs::openat(&at, &name, READ | OFlags::NOFOLLOW, Mode::empty())?;
            return Ok(Found::File(file.into()));
        } else {
            let flags = READ | OFlags::NOFOLLOW | OFlags::DIRECTORY;
            at = rustix::fs::openat(&at, &name, flags, Mode::empty())?;
        }
    }
    Ok(Found::Other(FileType::Directory))
}

/// Where a link leads; `None` for what is no link.
fn link_target(directory: &OwnedFd, name: &OsStr) -> Result<Option<OsString>, Errno> {
    match rustix::fs::readlinkat(directory, name, Vec::new()) {
        Ok(target) => Ok(Some(OsStr::from_bytes(target.to_bytes()).to_owned())),
        Err(Errno::INVAL) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The names of a path that stays within its directory.
fn inner(path: &Path) -> Result<Vec<OsString>, Errno> {
    let names = path.components().filter(|it| !matches!(it, Component::CurDir));
    names
        .map(|component| match component {
            Component::Normal(name) => Ok(name.to_owned()),
            _ => Err(Errno::XDEV),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    type Find = fn(&File, &CStr) -> Result<Found, Errno>;

    /// Both ways to open, so that the fallback is tested where it is not used.
    const WAYS: [Find; 2] = [|directory, name| find(directory, name, false), by_steps];

    fn read(find: Find, directory: &Path, name: &CStr) -> Result<String, Errno> {
        match find(&File::open(directory).unwrap(), name)? {
            Found::File(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                Ok(text)
            }
            Found::Other(kind) => Ok(format!("{kind:?}")),
        }
    }

    #[test]
    fn a_chain_of_links_within_the_directory_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("..v1")).unwrap();
        fs::write(path("..v1/web.yaml"), "web").unwrap();
        symlink("..v1", path("..data")).unwrap();
        symlink("./..data/web.yaml", path("web.yaml")).unwrap();
        for find in WAYS {
            assert_eq!(read(find, directory.path(), c"web.yaml"), Ok("web".to_owned()));
        }
    }

    // 42, A19
    #[test]
    fn a_link_that_leads_out_is_not_opened() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("specs");
        fs::create_dir(&directory).unwrap();
        fs::write(parent.path().join("secret"), "secret").unwrap();
        symlink(parent.path().join("secret"), directory.join("absolute")).unwrap();
        symlink("../secret", directory.join("relative")).unwrap();
        symlink("/etc/shadow", directory.join("shadow")).unwrap();
        symlink("absolute", directory.join("chain")).unwrap();
        symlink("/dev/zero", directory.join("device")).unwrap();
        for find in WAYS {
            for name in [c"absolute", c"relative", c"shadow", c"chain", c"device"] {
                assert_eq!(read(find, &directory, name), Err(Errno::XDEV), "{name:?}");
            }
        }
    }

    #[test]
    fn what_is_no_file_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("folder")).unwrap();
        symlink("circle", directory.path().join("circle")).unwrap();
        for find in WAYS {
            assert_eq!(read(find, directory.path(), c"folder"), Ok("Directory".to_owned()));
            assert_eq!(read(find, directory.path(), c"circle"), Err(Errno::LOOP));
            assert_eq!(read(find, directory.path(), c"none"), Err(Errno::NOENT));
        }
    }
}
