//! Host paths of mounts: whether they are there and may be mounted, and making those that may be made.
//!
//! The engine must never find a missing path: some make a directory owned by root out of every typing
//! error. What exists is only looked at; a mode or owner is set on what was made here and nothing else.

use std::ffi::OsStr;

use crate::plan::policy::host_paths::{HostView, MountSource, judge};
use crate::plan::{BindMount, Blocker, BlockerKind, CreateDirectory};

use super::object::{Handle, Mounts, Object, ObjectError};
use super::sources::{MountRules, find};
use crate::sandbox::text::{one_line, shown_path};

/// What came of a look at mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// The sources, as they were then.
    pub sources: Vec<MountSource>,
    /// What stands in the way of them.
    pub blockers: Vec<Blocker>,
}

/// Looks at the sources of mounts. Blocks.
///
/// A missing path is nothing in the way when the mount has `create`: [`prepare_mounts`] makes it.
#[must_use]
pub fn look_at_mounts(mounts: &[BindMount], rules: &MountRules) -> Looked {
    each(mounts, rules, &look_at)
}

/// Looks at the sources of mounts, and makes the missing directories of those with `create`, each missing
/// parent too, with the mode and owner that it says. Called just before a container is created or started.
/// Blocks.
#[must_use]
pub fn prepare_mounts(mounts: &[BindMount], rules: &MountRules) -> Looked {
    each(mounts, rules, &prepare)
}

fn each(
    mounts: &[BindMount],
    rules: &MountRules,
    one: &dyn Fn(&BindMount, &HostView) -> Result<MountSource, Blocker>,
) -> Looked {
    let mut looked = Looked::default();
    if mounts.is_empty() {
        return looked;
    }
    let view = rules.view();
    for mount in mounts {
        match one(mount, &view) {
            Ok(source) => looked.sources.push(source),
            Err(blocker) => looked.blockers.push(blocker),
        }
    }
    looked
}

fn look_at(mount: &BindMount, view: &HostView) -> Result<MountSource, Blocker> {
    let found = find(&mount.host_path).map_err(|reason| unavailable(mount, &reason))?;
    may_be_mounted(mount, &found.source, view)?;
    if !found.source.exists && mount.create.is_none() {
        let hint = "does not exist; make it, or set `create` on the mount to have a directory made";
        return Err(unavailable(mount, hint));
    }
    Ok(found.source)
}

fn prepare(mount: &BindMount, view: &HostView) -> Result<MountSource, Blocker> {
    let source = look_at(mount, view)?;
    let Some(create) = mount.create.filter(|_| !source.exists) else { return Ok(source) };
    let found = find(&mount.host_path).map_err(|reason| unavailable(mount, &reason))?;
    // Judged once more, for it is made in what was found this time.
    may_be_mounted(mount, &found.source, view)?;
    make(found.above, &found.missing, create)
        .map_err(|error| unavailable(mount, &format!("cannot be created: {error}")))?;
    look_at(mount, view)
}

fn may_be_mounted(mount: &BindMount, source: &MountSource, view: &HostView) -> Result<(), Blocker> {
    judge(source, mount.read_only, view).map_err(|refusal| {
        let kind = BlockerKind::MountRefused;
        blocker(kind, mount, &refusal.to_string())
    })
}

/// Makes these directories, each in the one before, beneath a directory that is held.
fn make(above: Handle, missing: &[&OsStr], create: CreateDirectory) -> Result<(), ObjectError> {
    let mut directory = above;
    for name in missing {
        directory = step(&directory, name, create)?;
    }
    Ok(())
}

/// One name further down, made if it is missing.
fn step(directory: &Handle, name: &OsStr, create: CreateDirectory) -> Result<Handle, ObjectError> {
    let (made, new) = directory.directory(name, Mounts::Cross)?;
    if new {
        if create.uid.is_some() || create.gid.is_some() {
            made.set_owner(create.uid, create.gid)?;
        }
        made.set_mode(create.mode & 0o777)?;
    }
    Ok(made)
}

fn unavailable(mount: &BindMount, reason: &str) -> Blocker {
    blocker(BlockerKind::MountUnavailable, mount, reason)
}

fn blocker(kind: BlockerKind, mount: &BindMount, reason: &str) -> Blocker {
    let field = one_line(&format!("mounts[{}].hostPath", mount.mount_path));
    Blocker { kind, message: format!("{field}: {} {reason}", shown_path(&mount.host_path)) }
}

#[cfg(test)]
mod tests;
