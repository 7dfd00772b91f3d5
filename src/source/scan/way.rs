//! The way from `/` to a directory, link by link, for [`trust`](crate::source::trust) to judge.
//!
//! By path and not by descriptor: a step that could change under us lies in a directory that others may
//! write to, and such a way is refused whatever the step says.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use crate::source::snapshot::Identity;
use crate::source::trust::{Access, Step};

/// Most links on a way, as in the kernel.
const MAX_LINKS: usize = 40;

/// Every directory and link on the way to an absolute path, and which directory it leads to.
pub(super) fn way(directory: &Path) -> io::Result<(Vec<Step>, Identity)> {
    let mut at = PathBuf::from("/");
    let mut last = fs::symlink_metadata(&at)?;
    let mut steps = vec![step(&at, &last)];
    let mut rest = names(directory);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            // `at` has no links in it, so this is the directory's real parent, and was judged before.
            at.pop();
            last = fs::symlink_metadata(&at)?;
            continue;
        }
        let path = at.join(&name);
        let metadata = fs::symlink_metadata(&path)?;
        steps.push(step(&path, &metadata));
        if !metadata.is_symlink() {
            (at, last) = (path, metadata);
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::LOOP.into());
        }
        let target = fs::read_link(&path)?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
    }
    // The directory itself comes last, although `..` may have led back to it.
    steps.push(step(&at, &last));
    Ok((steps, Identity::of(&last)))
}

/// Who owns a file, and who may write to it.
pub(super) fn access(metadata: &Metadata) -> Access {
    Access { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() }
}

fn step(path: &Path, metadata: &Metadata) -> Step {
    Step { path: path.to_owned(), access: access(metadata), is_link: metadata.is_symlink() }
}

fn names(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    parts.collect()
}
