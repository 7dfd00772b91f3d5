//! What is mounted in a container, against what its mounts name. Pure.
//!
//! A mount table says of each mount which directory of which filesystem it shows, by the kernel's own
//! knowledge: no link and no later change of a name can hide what was mounted.

use std::path::{Path, PathBuf};

use crate::plan::BindMount;
use crate::sandbox::text::{one_line, shown_path};

/// One mount, as in `/proc/PID/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountRow {
    /// Number, unique in its table.
    pub id: u64,
    /// Number of the mount that it stands on.
    pub parent: u64,
    /// Device of its filesystem, as `major:minor`.
    pub device: String,
    /// Which directory (or file) of that filesystem it shows.
    pub root: PathBuf,
    /// Where it is mounted.
    pub at: PathBuf,
}

/// The mounts that one process sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountTable(pub Vec<MountRow>);

/// A place in a filesystem.
type Shown<'t> = (&'t str, PathBuf);

impl MountTable {
    /// The mount in which a path lies, if the path goes through no link.
    fn holding(&self, path: &Path) -> Option<&MountRow> {
        let has_parent =
            |row: &MountRow| self.0.iter().any(|it| it.id == row.parent && it.id != row.id);
        let mut current =
            self.0.iter().rev().find(|row| row.at == Path::new("/") && !has_parent(row))?;
        // As the kernel looks a path up: the mounts on this mount that lie on the way, the nearest first,
        // of two at one place the later. A table without end would not be the kernel's.
        for _ in 0..self.0.len() {
            let on_the_way = self.0.iter().rev().filter(|row| {
                row.parent == current.id && row.id != current.id && path.starts_with(&row.at)
            });
            match on_the_way.min_by_key(|row| row.at.components().count()) {
                Some(next) => current = next,
                None => break,
            }
        }
        Some(current)
    }

    /// Which place of which filesystem a path is.
    fn shown_at(&self, path: &Path) -> Option<Shown<'_>> {
        let mount = self.holding(path)?;
        let below = path.strip_prefix(&mount.at).ok()?;
        let place =
            if below.as_os_str().is_empty() { mount.root.clone() } else { mount.root.join(below) };
        Some((&mount.device, place))
    }

    /// What is mounted at exactly this path.
    fn mounted_at(&self, path: &Path) -> Option<Shown<'_>> {
        let mount = self.holding(path).filter(|mount| mount.at == path)?;
        Some((&mount.device, mount.root.clone()))
    }

    fn shows(&self, wanted: &Shown<'_>) -> bool {
        self.0.iter().any(|row| row.device == wanted.0 && row.root == wanted.1)
    }
}

/// The mounts that show something else than what they name, in words. `outside` is the table of this
/// process, `inside` that of the container.
#[must_use]
pub fn swapped(mounts: &[BindMount], outside: &MountTable, inside: &MountTable) -> Vec<String> {
    mounts.iter().filter_map(|mount| swapped_one(mount, outside, inside)).collect()
}

fn swapped_one(mount: &BindMount, outside: &MountTable, inside: &MountTable) -> Option<String> {
    let wanted = outside.shown_at(&mount.host_path)?;
    let found = match inside.mounted_at(Path::new(&mount.mount_path)) {
        Some(found) if found == wanted => return None,
        Some(found) => found,
        // The image has a link on the way to it, so it is mounted elsewhere.
        None if inside.shows(&wanted) => return None,
        None => return Some(format!("{}: nothing is mounted", field(mount))),
    };
    let device =
        if found.0 == wanted.0 { String::new() } else { format!(" of device {}", found.0) };
    Some(format!(
        "{}: {}{device} is mounted and not {}",
        field(mount),
        shown_path(&found.1),
        shown_path(&mount.host_path)
    ))
}

fn field(mount: &BindMount) -> String {
    one_line(&format!("mounts[{}]", mount.mount_path))
}

#[cfg(test)]
mod tests;
