//! Which rule is held where, and what differs from a rule. No I/O.

use std::ffi::OsString;

use crate::plan::ids::{Hand, IdKind};
use crate::plan::{BindMount, Ids, Permission};

/// Permission bits without suid, sgid and sticky.
const PLAIN: u32 = 0o777;

/// A rule under a mount.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HostRule {
    /// The rule, with its owner on the host.
    pub rule: Permission,
    /// The mount it is under.
    pub mount: BindMount,
    /// Names from the mount's root to the rule's path; empty for the root itself.
    pub below: Vec<OsString>,
}

/// What was found at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether it is a directory.
    pub directory: bool,
    /// Permission bits, with suid, sgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// How an object differs from a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Mode as it is and as it should be.
    pub mode: Option<(u32, u32)>,
    /// Owner as it is and as it should be.
    pub uid: Option<(u32, u32)>,
    /// Group as it is and as it should be.
    pub gid: Option<(u32, u32)>,
}

/// Rules that are held on the host and rules that are held in the container.
pub(super) fn split<'a>(
    rules: &'a [Permission],
    mounts: &[BindMount],
    ids: &Ids,
) -> (Vec<HostRule>, Vec<&'a Permission>) {
    let (mut on_host, mut in_container) = (Vec::new(), Vec::new());
    for rule in rules {
        match (under_mount(rule, mounts), ids.hand(rule)) {
            (Some(mut on), Hand::Host(owner)) => {
                (on.rule.uid, on.rule.gid) = (owner.uid, owner.gid);
                on_host.push(on);
            }
            _ => in_container.push(rule),
        }
    }
    (on_host, in_container)
}

fn under_mount(rule: &Permission, mounts: &[BindMount]) -> Option<HostRule> {
    let (mount, rest) = mounts
        .iter()
        .filter_map(|mount| Some((mount, below(&rule.path, &mount.mount_path)?)))
        .max_by_key(|(mount, _)| mount.mount_path.len())?;
    let names = rest.split('/').filter(|name| !name.is_empty()).map(OsString::from).collect();
    Some(HostRule { rule: rule.clone(), mount: mount.clone(), below: names })
}

/// What follows a mount's path in a path under it.
fn below<'a>(path: &'a str, mount_path: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(mount_path.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl Difference {
    /// Compares. Special bits are cleared from files, where they lend privileges, and left as they are on
    /// directories, where people set them to share files.
    pub(super) fn between(rule: &Permission, found: &Found) -> Self {
        let special = if found.directory { found.mode & !PLAIN } else { 0 };
        let differs = |is: u32, should: u32| (is != should).then_some((is, should));
        Self {
            mode: differs(found.mode, rule.mode & PLAIN | special),
            uid: rule.uid.and_then(|should| differs(found.uid, should)),
            gid: rule.gid.and_then(|should| differs(found.gid, should)),
        }
    }

    /// Whether all is as it should be.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// `/data: mode 0755, should be 0777`. Owners are those of `ids`, shown as in the container.
    pub(super) fn drift(&self, path: &str, ids: &Ids) -> String {
        self.tell(path, ids, ", should be ")
    }

    /// `/data: mode 0755 → 0777`
    pub(super) fn change(&self, path: &str, ids: &Ids) -> String {
        self.tell(path, ids, " → ")
    }

    fn tell(&self, path: &str, ids: &Ids, between: &str) -> String {
        let owner = |kind: IdKind, (is, should): (u32, u32)| {
            format!("{} {}{between}{}", kind.field(), ids.shown(kind, is), ids.shown(kind, should))
        };
        let mode = self.mode.map(|(is, should)| format!("mode {is:04o}{between}{should:04o}"));
        let uid = self.uid.map(|uid| owner(IdKind::User, uid));
        let gid = self.gid.map(|gid| owner(IdKind::Group, gid));
        let parts: Vec<String> = [mode, uid, gid].into_iter().flatten().collect();
        format!("{path}: {}", parts.join(", and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::IdMapping;
    use crate::plan::ids::IdRange;

    fn rule(path: &str) -> Permission {
        Permission {
            path: path.to_owned(),
            mode: 0o777,
            uid: None,
            gid: None,
            recursive: false,
            create: false,
        }
    }

    fn mount(mount_path: &str) -> BindMount {
        BindMount {
            host_path: "/host".into(),
            mount_path: mount_path.to_owned(),
            read_only: false,
            create: None,
        }
    }

    fn found(directory: bool, mode: u32) -> Found {
        Found { directory, mode, uid: 0, gid: 0 }
    }

    /// Where a rule is held: the mount, and the names below it.
    fn place(path: &str, mounts: &[&str]) -> Option<(String, String)> {
        let mounts: Vec<BindMount> = mounts.iter().map(|path| mount(path)).collect();
        let place = under_mount(&rule(path), &mounts)?;
        let names: Vec<&str> = place.below.iter().map(|name| name.to_str().unwrap()).collect();
        Some((place.mount.mount_path, names.join("/")))
    }

    #[test]
    fn the_deepest_mount_above_a_path_holds_it() {
        let held = |mount: &str, below: &str| Some((mount.to_owned(), below.to_owned()));
        assert_eq!(place("/mnt/a/b", &["/mnt", "/mnt/a"]), held("/mnt/a", "b"));
        assert_eq!(place("/mnt/a/b", &["/mnt/a", "/mnt"]), held("/mnt/a", "b"));
        assert_eq!(place("/mnt/a", &["/mnt/a"]), held("/mnt/a", ""));
        assert_eq!(place("/mnt/x/y/z", &["/mnt"]), held("/mnt", "x/y/z"));
    }

    #[test]
    fn a_rule_whose_owner_only_root_in_the_container_can_set_is_held_there() {
        let owned = |uid| Permission { uid, ..rule("/mnt/a") };
        let rules = [owned(None), owned(Some(5))];
        let held = |mapping| {
            let ids = Ids { mapping, daemon: (0, 0) };
            let (on_host, inside) = split(&rules, &[mount("/mnt")], &ids);
            let on_host: Vec<_> = on_host.iter().map(|on| on.rule.uid).collect();
            (on_host, inside.into_iter().map(|rule| rule.uid).collect::<Vec<_>>())
        };
        let range = |outside| vec![IdRange { inside: 0, outside, count: 10 }];
        let ranges = IdMapping::Ranges { uids: range(700), gids: range(900) };
        assert_eq!(held(IdMapping::Same), (vec![None, Some(5)], vec![]));
        assert_eq!(held(ranges), (vec![None, Some(705)], vec![]));
        assert_eq!(held(IdMapping::NotTold), (vec![None], vec![Some(5)]));
    }

    #[test]
    fn a_path_that_only_begins_like_a_mount_is_not_under_it() {
        assert_eq!(place("/mnt/ab", &["/mnt/a"]), None);
        assert_eq!(place("/mnt", &["/mnt/a"]), None);
        assert_eq!(place("/srv", &[]), None);
    }

    #[test]
    fn differences_read_well() {
        let rule = Permission { uid: Some(1000), gid: Some(0), ..rule("/d") };
        let difference = Difference::between(&rule, &found(true, 0o755));
        assert_eq!(
            difference.drift("/d", &Ids::default()),
            "/d: mode 0755, should be 0777, and uid 0, should be 1000"
        );
        assert_eq!(
            difference.change("/d", &Ids::default()),
            "/d: mode 0755 → 0777, and uid 0 → 1000"
        );
    }

    #[test]
    fn special_bits_are_never_set_and_are_cleared_from_files_only() {
        let special = Permission { mode: 0o7755, ..rule("/d") };
        assert!(Difference::between(&special, &found(true, 0o755)).is_none());
        assert!(Difference::between(&special, &found(false, 0o755)).is_none());
        let suid = Difference::between(&rule("/f"), &found(false, 0o4777));
        assert_eq!(suid.mode, Some((0o4777, 0o777)));
        assert!(Difference::between(&rule("/d"), &found(true, 0o1777)).is_none());
        let shared = Difference::between(&rule("/d"), &found(true, 0o2755));
        assert_eq!(shared.mode, Some((0o2755, 0o2777)));
    }

    #[test]
    fn owners_that_no_rule_names_are_any() {
        let found = Found { uid: 7, gid: 8, ..found(true, 0o777) };
        assert!(Difference::between(&rule("/d"), &found).is_none());
    }
}
