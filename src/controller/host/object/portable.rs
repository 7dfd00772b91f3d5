//! Any Unix: descriptors opened for reading with `O_NOFOLLOW`. Needs the right to read what it holds, and
//! tells mounts apart by device only.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RawMode, Stat, Uid};

use super::{Entry, Kind, Look, Mounts, Object, ObjectError, entry_of, look_at, names_in, single};

const READ: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// An object held by a descriptor that can read it.
#[derive(Debug)]
pub(in crate::controller) struct Handle(OwnedFd);

impl Object for Handle {
    fn slash() -> io::Result<Self> {
        Ok(Self(rustix::fs::open("/", READ | OFlags::DIRECTORY, Mode::empty())?))
    }

    fn child(&self, name: &OsStr, mounts: Mounts) -> Result<Self, ObjectError> {
        let name = single(name)?;
        // Looked at first, for opening a device can act on it.
        let before = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = match look_at(&before)?.kind {
            Kind::Directory => READ | OFlags::DIRECTORY,
            Kind::File => READ,
        };
        let child = rustix::fs::openat(&self.0, name, flags, Mode::empty())?;
        let after = rustix::fs::fstat(&child)?;
        look_at(&after)?;
        if !same(&before, &after) {
            return Err(io::Error::other("it changed while it was looked at").into());
        }
        if mounts == Mounts::Stay && after.st_dev != rustix::fs::fstat(&self.0)?.st_dev {
            return Err(ObjectError::OtherMount);
        }
        Ok(Self(child))
    }

    fn look(&self) -> io::Result<Look> {
        look_at(&rustix::fs::fstat(&self.0)?).map_err(io::Error::other)
    }

    fn entry(&self, name: &OsStr) -> Result<Entry, ObjectError> {
        entry_of(&rustix::fs::statat(&self.0, single(name)?, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        let bits = RawMode::try_from(mode).map_err(io::Error::other)?;
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(bits))?)
    }

    fn set_owner(&self, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        Ok(rustix::fs::fchown(&self.0, uid.map(Uid::from_raw), gid.map(Gid::from_raw))?)
    }

    fn names(&self, limit: usize) -> io::Result<(Vec<OsString>, bool)> {
        names_in(rustix::fs::openat(&self.0, ".", READ | OFlags::DIRECTORY, Mode::empty())?, limit)
    }

    fn make_directory(&self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.0, single(name)?, Mode::RWXU)?)
    }
}

fn same(one: &Stat, other: &Stat) -> bool {
    (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
}
