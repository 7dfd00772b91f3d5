//! Rules under a mount, held on the host. Blocks.
//!
//! What is in the mount belongs to the sandbox, which may be changing it at this moment. Nothing here acts
//! on a path: every step goes from a held directory to an entry of it, and every change is made to the
//! held object that was looked at.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use crate::controller::host::object::{Kind, Look, Mounts, Object, ObjectError};
use crate::plan::Ids;
use crate::plan::ids::Owner;
use crate::sandbox::text::shown_path;

use super::findings::Findings;
use super::rules::{Difference, Found, HostRule};

/// Most entries that are looked at for one sandbox.
const MAX_ENTRIES: usize = 100_000;

/// Deepest level that is entered: each costs a descriptor while it is open.
const MAX_DEPTH: usize = 128;

/// Mode of the directories above one that a rule creates, as of `mkdir -p`.
const PARENT_MODE: u32 = 0o755;

/// Whether differences are told or mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Told.
    Look,
    /// Mended.
    Mend,
}

/// What may be spent on one sandbox.
#[derive(Debug)]
pub(super) struct Budget {
    entries: usize,
    end: Instant,
}

impl Budget {
    /// All entries, and so much time.
    pub(super) fn new(time: Duration) -> Self {
        Self { entries: MAX_ENTRIES, end: Instant::now() + time }
    }
}

/// Looks at, or mends, everything that one rule speaks of.
pub(super) fn hold<O: Object>(
    rule: &HostRule,
    ids: &Ids,
    act: Act,
    budget: &mut Budget,
    findings: &mut Findings,
) {
    let mut holder = Holder { rule, ids, act, budget, findings };
    let Some(root) = holder.root::<O>() else { return };
    let Some(object) = holder.descend(root) else { return };
    let path = rule.rule.path.clone();
    if holder.visit(&object, &path, true) == Some(Kind::Directory) && rule.rule.recursive {
        holder.walk(object, path);
    }
}

struct Holder<'a> {
    rule: &'a HostRule,
    ids: &'a Ids,
    act: Act,
    budget: &'a mut Budget,
    findings: &'a mut Findings,
}

/// A directory whose entries are being visited.
struct Level<O> {
    directory: O,
    path: String,
    names: std::vec::IntoIter<OsString>,
}

impl Holder<'_> {
    fn root<O: Object>(&mut self) -> Option<O> {
        let host_path = &self.rule.mount.host_path;
        // A link here may have been put there by another sandbox that has the directory above it.
        O::at(host_path)
            .map_err(|error| {
                let hint = match error {
                    ObjectError::Link => "; write the real path into hostPath",
                    _ => hint(&error),
                };
                let (path, host_path) = (&self.rule.rule.path, shown_path(host_path));
                self.findings.problem(&format!("{path}: on the host, {host_path} {error}{hint}"));
            })
            .ok()
    }

    /// From the mount's root to the rule's path, which is created if that is asked for.
    fn descend<O: Object>(&mut self, root: O) -> Option<O> {
        let mut object = root;
        let mut path = self.rule.mount.mount_path.clone();
        let last = self.rule.below.len().checked_sub(1);
        for (index, name) in self.rule.below.iter().enumerate() {
            path = join(&path, name);
            object = match object.child(name, Mounts::Stay) {
                Ok(child) => child,
                Err(ObjectError::Missing) => {
                    self.create(&object, name, &path, Some(index) == last)?
                }
                Err(error) => {
                    self.findings.problem(&format!("{path}: {error}{}", hint(&error)));
                    return None;
                }
            };
        }
        Some(object)
    }

    fn create<O: Object>(
        &mut self,
        parent: &O,
        name: &OsString,
        path: &str,
        last: bool,
    ) -> Option<O> {
        if !self.rule.rule.create {
            self.findings.problem(&format!(
                "{path}: does not exist; make it, or set `create: true` on the rule"
            ));
            return None;
        }
        if self.rule.mount.read_only {
            self.findings.problem(&format!("{path}: does not exist{}", self.read_only()));
            return None;
        }
        if self.act == Act::Look {
            self.findings.drift(&format!("{}: does not exist", self.rule.rule.path));
            return None;
        }
        let mode = if last { self.rule.rule.mode & 0o777 } else { PARENT_MODE };
        let created = parent.directory(name, Mounts::Stay).and_then(|(object, new)| {
            if new {
                let maker = self.ids.maker();
                if maker != Owner::default() {
                    object.set_owner(maker.uid, maker.gid)?;
                }
                object.set_mode(mode)?;
            }
            Ok((object, new))
        });
        match created {
            Ok((object, new)) => {
                if new {
                    self.findings.change(&format!("{path}: created with mode {mode:04o}"));
                }
                Some(object)
            }
            Err(error) => {
                self.findings.problem(&format!("{path}: cannot be created: {error}"));
                None
            }
        }
    }

    /// Everything below a directory, depth first. Each open level holds one descriptor.
    fn walk<O: Object>(&mut self, directory: O, path: String) {
        let mut levels = Vec::new();
        levels.extend(self.enter(directory, path));
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.next() else {
                levels.pop();
                continue;
            };
            if Instant::now() >= self.budget.end {
                let path = &self.rule.rule.path;
                self.findings.problem(&format!("{path}: too slow to look at everything below it"));
                return;
            }
            let path = join(&level.path, &name);
            let child = level.directory.child(&name, Mounts::Stay);
            let Some((object, kind)) = self.entry(child, &path) else { continue };
            if kind != Kind::Directory {
                continue;
            }
            if levels.len() < MAX_DEPTH {
                levels.extend(self.enter(object, path));
            } else {
                self.findings.problem(&format!("{path}: deeper than {MAX_DEPTH} levels"));
            }
        }
    }

    fn entry<O: Object>(&mut self, child: Result<O, ObjectError>, path: &str) -> Option<(O, Kind)> {
        match child {
            Ok(object) => {
                let kind = self.visit(&object, path, false)?;
                Some((object, kind))
            }
            Err(ObjectError::Io(error)) => {
                self.findings.problem(&format!("{path}: cannot be looked at: {error}"));
                None
            }
            // Not for us to touch, or gone since it was listed.
            Err(
                ObjectError::Link
                | ObjectError::Special
                | ObjectError::OtherMount
                | ObjectError::Missing,
            ) => None,
        }
    }

    fn enter<O: Object>(&mut self, directory: O, path: String) -> Option<Level<O>> {
        match directory.names(self.budget.entries) {
            Ok((names, more)) => {
                self.budget.entries -= names.len();
                if more {
                    self.findings.problem(&format!(
                        "{path}: more than {MAX_ENTRIES} entries; the rest is not looked at"
                    ));
                }
                Some(Level { directory, path, names: names.into_iter() })
            }
            Err(error) => {
                self.findings.problem(&format!("{path}: cannot be listed: {error}"));
                None
            }
        }
    }

    /// One object. `own` says that it is the rule's own path, whose oddities are worth telling.
    fn visit<O: Object>(&mut self, object: &O, path: &str, own: bool) -> Option<Kind> {
        let look = match object.look() {
            Ok(look) => look,
            Err(error) => {
                self.findings.problem(&format!("{path}: cannot be looked at: {error}"));
                return None;
            }
        };
        if look.kind == Kind::File && look.links > 1 {
            // Its other names may be outside the mount.
            if own {
                let links = look.links;
                self.findings.problem(&format!("{path}: has {links} names, and is left alone"));
            }
            return Some(look.kind);
        }
        let difference = Difference::between(&self.rule.rule, &found(&look));
        if !difference.is_none() {
            self.differs(object, path, &difference);
        }
        Some(look.kind)
    }

    fn differs<O: Object>(&mut self, object: &O, path: &str, difference: &Difference) {
        if self.rule.mount.read_only {
            let text = format!("{}{}", difference.drift(path, self.ids), self.read_only());
            return self.findings.problem(&text);
        }
        match self.act {
            Act::Look => self.findings.drift(&difference.drift(path, self.ids)),
            Act::Mend => match mend(object, difference) {
                Ok(()) => self.findings.change(&difference.change(path, self.ids)),
                Err(error) => {
                    let drift = difference.drift(path, self.ids);
                    self.findings.problem(&format!("{drift}; cannot be changed: {error}"));
                }
            },
        }
    }

    fn read_only(&self) -> String {
        let mount = &self.rule.mount.mount_path;
        format!("; the mount {mount} is read-only, so change it on the host or drop the rule")
    }
}

/// What to do about an object that cannot be reached.
fn hint(error: &ObjectError) -> &'static str {
    match error {
        ObjectError::Link => "; name the path that it leads to",
        ObjectError::OtherMount => "; give it a mount of its own",
        ObjectError::Missing | ObjectError::Special | ObjectError::Io(_) => "",
    }
}

fn mend<O: Object>(object: &O, difference: &Difference) -> std::io::Result<()> {
    let (uid, gid) = (difference.uid.map(|(_, to)| to), difference.gid.map(|(_, to)| to));
    // The owner first: afterwards the mode might not be ours to set back as a change of owner clears bits.
    if uid.is_some() || gid.is_some() {
        object.set_owner(uid, gid)?;
    }
    match difference.mode {
        Some((_, mode)) => object.set_mode(mode),
        None => Ok(()),
    }
}

fn found(look: &Look) -> Found {
    let directory = look.kind == Kind::Directory;
    Found { directory, mode: look.mode, uid: look.uid, gid: look.gid }
}

fn join(path: &str, name: &OsString) -> String {
    format!("{}/{}", path.trim_end_matches('/'), name.to_string_lossy())
}

#[cfg(test)]
mod tests;
