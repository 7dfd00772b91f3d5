//! Linux: `O_PATH` descriptors, which need no right to read and open nothing, and `openat2`, whose checks
//! the kernel makes while it resolves the name. Every Linux-only call of the module is here.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::{Entry, Look, Mounts, Object, ObjectError, entry_of, look_at, names_in, single};

const REFERENCE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const CONFINED: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// An object held by an `O_PATH` descriptor.
#[derive(Debug)]
pub(in crate::controller) struct Handle(OwnedFd);

impl Object for Handle {
    fn slash() -> io::Result<Self> {
        Ok(Self(rustix::fs::open("/", REFERENCE | OFlags::DIRECTORY, Mode::empty())?))
    }

    fn child(&self, name: &OsStr, mounts: Mounts) -> Result<Self, ObjectError> {
        let name = single(name)?;
        let resolve = match mounts {
            Mounts::Cross => CONFINED,
            Mounts::Stay => CONFINED | ResolveFlags::NO_XDEV,
        };
        let child = match rustix::fs::openat2(&self.0, name, REFERENCE, Mode::empty(), resolve) {
            // Before Linux 5.6, or forbidden by a system call filter.
            Err(Errno::NOSYS | Errno::PERM) => self.child_without_openat2(name, mounts)?,
            other => Self(other?),
        };
        // With these flags a link opens as itself.
        child.look_or_refuse()?;
        Ok(child)
    }

    fn look(&self) -> io::Result<Look> {
        self.look_or_refuse().map_err(|error| match error {
            ObjectError::Io(error) => error,
            other => io::Error::other(other),
        })
    }

    fn entry(&self, name: &OsStr) -> Result<Entry, ObjectError> {
        entry_of(&rustix::fs::statat(&self.0, single(name)?, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        // `fchmod` refuses `O_PATH` descriptors; this magic link leads to the object whatever its name.
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode))?)
    }

    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        Ok(rustix::fs::chownat(&self.0, "", uid, gid, AtFlags::EMPTY_PATH)?)
    }

    fn names(&self, limit: usize) -> io::Result<(Vec<OsString>, bool)> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        names_in(rustix::fs::openat(&self.0, ".", flags, Mode::empty())?, limit)
    }

    fn make_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, single(name)?, Mode::RWXU)?)
    }
}

impl Handle {
    /// As safe for links, since it is one name from a held directory; it only overlooks mounts of the
    /// same device.
    fn child_without_openat2(&self, name: &OsStr, mounts: Mounts) -> Result<Self, ObjectError> {
        let child = rustix::fs::openat(&self.0, name, REFERENCE, Mode::empty())?;
        let device = |fd: &OwnedFd| rustix::fs::fstat(fd).map(|stat| stat.st_dev);
        if mounts == Mounts::Stay && device(&child)? != device(&self.0)? {
            return Err(ObjectError::OtherMount);
        }
        Ok(Self(child))
    }

    fn look_or_refuse(&self) -> Result<Look, ObjectError> {
        look_at(&rustix::fs::fstat(&self.0)?)
    }
}
