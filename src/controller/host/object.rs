//! Files and directories of the host, held by descriptor and reached without following a link.
//!
//! What a sandbox may write to is hostile: a directory can become a link between a look and an act. So
//! every path is descended one name at a time from a held directory, and every look and act is on the held
//! object itself. An [`Object`] is a directory or a regular file, never a link.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

use crate::plan::policy::host_paths::{FileId, FileKind, Place};

#[cfg(target_os = "linux")]
pub(in crate::controller) use linux::Handle;
#[cfg(not(target_os = "linux"))]
pub(in crate::controller) use portable::Handle;
#[cfg(all(test, target_os = "linux"))]
pub(in crate::controller) use portable::Handle as PortableHandle;

/// A directory or regular file that is held open.
pub(in crate::controller) trait Object: Sized {
    /// The filesystem's root.
    fn slash() -> io::Result<Self>;

    /// The entry of this name. Names of more than one component are refused. `mounts` says whether the
    /// entry may be the root of another mount.
    fn child(&self, name: &OsStr, mounts: Mounts) -> Result<Self, ObjectError>;

    /// What it is now.
    fn look(&self) -> io::Result<Look>;

    /// What stands under this name in a directory, whatever its kind. It is not opened; a link is refused.
    fn entry(&self, name: &OsStr) -> Result<Entry, ObjectError>;

    /// Sets the permission bits of this very object.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Sets the owner of this very object.
    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()>;

    /// Names of at most `limit` entries of a directory, and whether there are more.
    fn names(&self, limit: usize) -> io::Result<(Vec<OsString>, bool)>;

    /// Makes a directory that only the daemon may enter. One that is there already is an error.
    fn make_directory(&self, name: &OsStr) -> io::Result<()>;

    /// The object at an absolute path. Unlike [`Path::canonicalize`] it refuses links anywhere in it.
    fn at(path: &Path) -> Result<Self, ObjectError> {
        let mut object = Self::slash()?;
        for name in names_of(path)? {
            object = object.child(name, Mounts::Cross)?;
        }
        Ok(object)
    }

    /// The directory of this name, made when it is missing, and whether it was.
    fn directory(&self, name: &OsStr, mounts: Mounts) -> Result<(Self, bool), ObjectError> {
        let made = match self.make_directory(name) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error.into()),
        };
        let object = self.child(name, mounts)?;
        match object.look()?.kind {
            Kind::Directory => Ok((object, made)),
            Kind::File => Err(io::Error::from(io::ErrorKind::NotADirectory).into()),
        }
    }
}

/// Whether a step may lead into another mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Mounts {
    /// It may.
    Cross,
    /// It may not.
    Stay,
}

/// Kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
}

/// What an object was at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Look {
    /// Identity.
    pub id: FileId,
    /// Kind.
    pub kind: Kind,
    /// Permission bits, with suid, sgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of names.
    pub links: u64,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Entry {
    /// What matters to a mount.
    pub place: Place,
    /// Whether it is a socket.
    pub is_socket: bool,
}

/// Why an object could not be reached.
#[derive(Debug, thiserror::Error)]
pub(in crate::controller) enum ObjectError {
    /// There is nothing of this name.
    #[error("does not exist")]
    Missing,
    /// It is a link.
    #[error("is a symbolic link, which is never followed")]
    Link,
    /// It is a device, socket or pipe.
    #[error("is neither a file nor a directory")]
    Special,
    /// It belongs to another mount.
    #[error("is the root of another mount")]
    OtherMount,
    /// Anything else.
    #[error("cannot be used: {0}")]
    Io(io::Error),
}

impl From<io::Error> for ObjectError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            io::ErrorKind::CrossesDevices => Self::OtherMount,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Self::Link,
            _ => Self::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for ObjectError {
    fn from(errno: rustix::io::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// The names of an absolute path without `.` and `..`.
pub(in crate::controller) fn names_of(path: &Path) -> io::Result<Vec<&OsStr>> {
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path is not absolute"));
    }
    components
        .map(|component| match component {
            Component::Normal(name) => Ok(name),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "the path contains `..`")),
        })
        .collect()
}

/// Refuses what is more, or other, than the name of one entry.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_encoded_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of one entry"));
    }
    Ok(name)
}

/// Reads a result of `fstat`; links and special files are errors.
#[cfg_attr(
    target_os = "linux",
    expect(clippy::useless_conversion, reason = "the types differ by platform")
)]
fn look_at(stat: &rustix::fs::Stat) -> Result<Look, ObjectError> {
    use rustix::fs::{FileType, Mode};

    let raw = stat.st_mode as rustix::fs::RawMode;
    let kind = match FileType::from_raw_mode(raw) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => return Err(ObjectError::Link),
        _ => return Err(ObjectError::Special),
    };
    Ok(Look {
        id: id_of(stat),
        kind,
        mode: u32::from(Mode::from_raw_mode(raw).bits()),
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: u64::from(stat.st_nlink),
    })
}

#[expect(clippy::unnecessary_cast, reason = "the types differ by platform")]
#[cfg_attr(
    not(target_os = "linux"),
    expect(clippy::cast_sign_loss, reason = "the value is only compared")
)]
fn id_of(stat: &rustix::fs::Stat) -> FileId {
    FileId { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

/// Reads a result of `fstatat`; only links are errors.
#[cfg_attr(
    target_os = "linux",
    expect(clippy::useless_conversion, reason = "the types differ by platform")
)]
fn entry_of(stat: &rustix::fs::Stat) -> Result<Entry, ObjectError> {
    use rustix::fs::{FileType, Mode};

    let raw = stat.st_mode as rustix::fs::RawMode;
    let type_ = FileType::from_raw_mode(raw);
    let kind = match type_ {
        FileType::Symlink => return Err(ObjectError::Link),
        FileType::Directory => FileKind::Directory,
        _ => FileKind::Other,
    };
    let mode = u32::from(Mode::from_raw_mode(raw).bits());
    let place = Place { id: id_of(stat), kind, mode };
    Ok(Entry { place, is_socket: type_ == FileType::Socket })
}

/// Names from an open directory, without `.` and `..`.
fn names_in(directory: rustix::fd::OwnedFd, limit: usize) -> io::Result<(Vec<OsString>, bool)> {
    use std::os::unix::ffi::OsStrExt as _;

    let mut names = Vec::new();
    for entry in rustix::fs::Dir::new(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == limit {
            return Ok((names, true));
        }
        names.push(OsStr::from_bytes(name).to_owned());
    }
    Ok((names, false))
}

#[cfg(test)]
mod tests;
