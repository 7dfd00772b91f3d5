//! Ids in containers and on their host: two numbers for one user where the engine maps them, as an engine
//! of a user (rootless) does. Specs speak of ids in the container, files on the host have the host's. Pure.

use std::fmt;

use super::{BindMount, CreateDirectory, Permission};

/// How an engine's ids in containers become ids of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IdMapping {
    /// They are the same.
    #[default]
    Same,
    /// As these ranges say; ids in none of them are nobody's.
    Ranges {
        /// Of users.
        uids: Vec<IdRange>,
        /// Of groups.
        gids: Vec<IdRange>,
    },
    /// They are mapped, and the engine does not tell how.
    NotTold,
}

/// A run of ids, as in `user_namespaces(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first in the container.
    pub inside: u32,
    /// The first on the host.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// A user and a group; `None`: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
}

impl From<&Permission> for Owner {
    fn from(rule: &Permission) -> Self {
        Self { uid: rule.uid, gid: rule.gid }
    }
}

impl From<&CreateDirectory> for Owner {
    fn from(create: &CreateDirectory) -> Self {
        Self { uid: create.uid, gid: create.gid }
    }
}

/// Users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl IdKind {
    /// The field of a spec.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::User => "uid",
            Self::Group => "gid",
        }
    }
}

impl fmt::Display for IdKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
        })
    }
}

/// Why a file on the host cannot be given to an id in a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotGiven {
    /// User or group.
    pub kind: IdKind,
    /// The id in the container.
    pub id: u32,
    /// Why.
    pub why: Why,
}

/// See [`NotGiven`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The engine does not tell which id of the host it is.
    NotTold,
    /// It is no id of the host.
    Unmapped,
    /// It is this id of the host, which takes root.
    NotRoot(u32),
}

/// Whose hand holds a rule under a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// The daemon's, on the host: with this owner there.
    Host(Owner),
    /// Root's in the container.
    Container,
}

/// The ids of containers, seen by a daemon that runs as some user of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// How the engine maps them.
    pub mapping: IdMapping,
    /// The daemon's own user and group on the host; 0 may give files to anybody.
    pub daemon: (u32, u32),
}

impl Ids {
    /// The owner on the host of what a spec gives to an owner in the container.
    ///
    /// # Errors
    /// There is none, or it is not this daemon's to give.
    pub fn on_host(&self, owner: Owner) -> Result<Owner, NotGiven> {
        let uid = owner.uid.map(|uid| self.given(IdKind::User, uid)).transpose()?;
        let gid = owner.gid.map(|gid| self.given(IdKind::Group, gid)).transpose()?;
        Ok(Owner { uid, gid })
    }

    fn given(&self, kind: IdKind, id: u32) -> Result<u32, NotGiven> {
        let (uids, gids) = match &self.mapping {
            // Whether it may, the host says when it is tried.
            IdMapping::Same => return Ok(id),
            IdMapping::NotTold => return Err(NotGiven { kind, id, why: Why::NotTold }),
            IdMapping::Ranges { uids, gids } => (uids, gids),
        };
        let (ranges, own) = match kind {
            IdKind::User => (uids, self.daemon.0),
            IdKind::Group => (gids, self.daemon.1),
        };
        let host = outside(ranges, id).ok_or(NotGiven { kind, id, why: Why::Unmapped })?;
        if self.daemon.0 == 0 || host == own {
            Ok(host)
        } else {
            Err(NotGiven { kind, id, why: Why::NotRoot(host) })
        }
    }

    /// Who holds a rule under a mount. What the daemon cannot give, root in the container can.
    #[must_use]
    pub fn hand(&self, rule: &Permission) -> Hand {
        self.on_host(Owner::from(rule)).map_or(Hand::Container, Hand::Host)
    }

    /// Why no directory can be made as a spec says, nor any rule hold: each with its field.
    #[must_use]
    pub fn refused(&self, mounts: &[BindMount], rules: &[Permission]) -> Vec<(String, NotGiven)> {
        let created = mounts.iter().filter_map(|mount| {
            let refused = self.on_host(Owner::from(&mount.create?)).err()?;
            let path = &mount.mount_path;
            Some((format!("mounts[{path}].create.{}", refused.kind.field()), refused))
        });
        let held = rules.iter().filter_map(|rule| {
            let refused = self.on_host(Owner::from(rule)).err()?;
            let never = refused.why == Why::Unmapped;
            never.then(|| (format!("permissions[{}].{}", rule.path, refused.kind.field()), refused))
        });
        created.chain(held).collect()
    }

    /// The owner on the host of what is made for nobody in particular: the container's root, to whom what the
    /// host's root keeps would be nobody's. Any: the daemon's user is right.
    #[must_use]
    pub fn maker(&self) -> Owner {
        let of_root = matches!(self.mapping, IdMapping::Ranges { .. }) && self.daemon.0 == 0;
        let root = of_root.then_some(0);
        self.on_host(Owner { uid: root, gid: root }).unwrap_or_default()
    }

    /// Mounts whose missing directories are made with owners of the host.
    #[must_use]
    pub fn mounts_on_host(&self, mut mounts: Vec<BindMount>) -> Vec<BindMount> {
        let maker = self.maker();
        for create in mounts.iter_mut().filter_map(|mount| mount.create.as_mut()) {
            // What cannot be given was refused before.
            let owner = self.on_host(Owner::from(&*create)).unwrap_or_default();
            (create.uid, create.gid) = (owner.uid.or(maker.uid), owner.gid.or(maker.gid));
        }
        mounts
    }

    /// What an id of the host is in a container, for people.
    #[must_use]
    pub fn shown(&self, kind: IdKind, host: u32) -> String {
        let inside = match (&self.mapping, kind) {
            (IdMapping::Same, _) => Some(host),
            (IdMapping::NotTold, _) => None,
            (IdMapping::Ranges { uids, .. }, IdKind::User) => inside(uids, host),
            (IdMapping::Ranges { gids, .. }, IdKind::Group) => inside(gids, host),
        };
        inside.map_or_else(|| format!("{host} of the host"), |id| id.to_string())
    }
}

fn outside(ranges: &[IdRange], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| mapped(range.inside, range.outside, range.count, id))
}

fn inside(ranges: &[IdRange], id: u32) -> Option<u32> {
    ranges.iter().find_map(|range| mapped(range.outside, range.inside, range.count, id))
}

fn mapped(from: u32, to: u32, count: u32, id: u32) -> Option<u32> {
    let offset = id.checked_sub(from).filter(|offset| *offset < count)?;
    to.checked_add(offset)
}

#[cfg(test)]
mod tests;
