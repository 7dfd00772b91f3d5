//! Whose specs count: who could have written a directory or a file, and whether all of them may.
//!
//! Whoever writes a spec runs containers, so a spec counts only if nobody could have written it but root,
//! the daemon's user, and the owner of the directory. The operator names the directory and with it its
//! owner, provided that only trusted users could have put it there: `/home/ann/specs` is Ann's, because
//! root made `/home/ann`; `/tmp/specs` is anybody's.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::sandbox::text::shown_path;

const WORLD_WRITABLE: u32 = 0o002;
const GROUP_WRITABLE: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// Who owns a file or directory, and who may write to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mode: u32,
}

impl Access {
    /// Whether others than its owner may write. A group of the owner's own number is the owner's own,
    /// as distributions make one for each user; root's is not.
    fn is_open(self) -> bool {
        let own_group = self.uid != 0 && self.uid == self.gid;
        self.mode & WORLD_WRITABLE != 0 || (self.mode & GROUP_WRITABLE != 0 && !own_group)
    }
}

/// A directory or symbolic link on the way from `/` to a directory of specs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) path: PathBuf,
    pub(super) access: Access,
    pub(super) is_link: bool,
}

/// Users whose files count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authors(BTreeSet<u32>);

/// Judges the way to a directory, from `/` to the directory itself, every link on it included.
/// `daemon` is our own user. `Err` says who else could have written there, and what to do.
pub(super) fn authors(way: &[Step], daemon: u32) -> Result<Authors, String> {
    let mut authors = BTreeSet::from([0, daemon]);
    // Directories like /tmp: anybody makes entries, and only their owners remove them.
    let mut shared: BTreeSet<&Path> = BTreeSet::new();
    for (index, step) in way.iter().enumerate() {
        let Step { path, access, is_link } = step;
        let place = path.parent().filter(|place| shared.contains(place));
        match place {
            Some(place) if !authors.contains(&access.uid) => return Err(planted(step, place)),
            Some(_) => {}
            None => {
                authors.insert(access.uid);
            }
        }
        if *is_link || !access.is_open() {
            continue;
        }
        let last = index + 1 == way.len();
        if last || access.mode & STICKY == 0 {
            return Err(open_to_others(path, access.mode));
        }
        shared.insert(path);
    }
    Ok(Authors(authors))
}

/// Judges a file of specs. `links` is how many names it has.
pub(super) fn check_file(access: Access, links: u64, authors: &Authors) -> Result<(), String> {
    if !authors.0.contains(&access.uid) {
        return Err(format!(
            "user {} owns it, and neither root, nor the daemon's user, nor the directory's owner; chown it",
            access.uid
        ));
    }
    if access.is_open() {
        let mode = access.mode & 0o7777;
        return Err(format!("others may write to it (mode {mode:04o}); chmod go-w it"));
    }
    if links > 1 {
        return Err(format!(
            "it has {links} names (hard links), so its content may come from elsewhere; copy it"
        ));
    }
    Ok(())
}

fn open_to_others(path: &Path, mode: u32) -> String {
    let path = shown_path(path);
    let mode = mode & 0o7777;
    format!(
        "others may write to {path} (mode {mode:04o}), and so run containers; what is there is not read until you chmod go-w it"
    )
}

fn planted(step: &Step, place: &Path) -> String {
    format!(
        "{} belongs to user {}, and anyone may put things into {}; what is there is not read until root or the daemon's user owns it",
        shown_path(&step.path),
        step.access.uid,
        shown_path(place),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: u32 = 990;
    const ANN: u32 = 1000;
    const EVE: u32 = 1001;

    fn access(uid: u32, mode: u32) -> Access {
        Access { uid, gid: uid, mode }
    }

    fn step(path: &str, uid: u32, mode: u32) -> Step {
        Step { path: path.into(), access: access(uid, mode), is_link: false }
    }

    fn link(path: &str, uid: u32) -> Step {
        Step { is_link: true, ..step(path, uid, 0o777) }
    }

    fn judge(way: &[Step]) -> Result<Vec<u32>, String> {
        authors(way, DAEMON).map(|authors| authors.0.into_iter().collect())
    }

    #[test]
    fn a_directory_that_only_root_can_write_to_counts() {
        let way = [step("/", 0, 0o755), step("/etc", 0, 0o755), step("/etc/specs", 0, 0o755)];
        assert_eq!(judge(&way), Ok(vec![0, DAEMON]));
    }

    #[test]
    fn the_owner_to_whom_root_gave_a_directory_counts() {
        let way = [
            step("/", 0, 0o755),
            step("/home", 0, 0o755),
            step("/home/ann", ANN, 0o750),
            step("/home/ann/specs", ANN, 0o775),
        ];
        assert_eq!(judge(&way), Ok(vec![0, DAEMON, ANN]));
    }

    // 43, B14
    #[test]
    fn a_directory_that_others_may_write_to_does_not_count() {
        for mode in [0o777, 0o1777, 0o775, 0o757] {
            let way = [step("/", 0, 0o755), step("/specs", 0, mode)];
            let message = judge(&way).unwrap_err();
            assert!(message.contains("/specs") && message.contains("chmod go-w"), "{message}");
        }
        let group = Step {
            access: Access { uid: ANN, gid: 50, mode: 0o775 },
            ..step("/specs", ANN, 0o775)
        };
        assert!(judge(&[step("/", 0, 0o755), group]).is_err());
    }

    #[test]
    fn a_parent_that_others_may_write_to_spoils_what_is_beneath() {
        let way = [step("/", 0, 0o755), step("/srv", 0, 0o777), step("/srv/specs", 0, 0o755)];
        assert!(judge(&way).unwrap_err().contains("/srv (mode 0777)"));
    }

    #[test]
    fn a_directory_in_a_sticky_one_counts_by_its_owner() {
        let way =
            |owner| [step("/", 0, 0o755), step("/tmp", 0, 0o1777), step("/tmp/s", owner, 0o700)];
        assert!(judge(&way(0)).is_ok());
        assert!(judge(&way(DAEMON)).is_ok());
        assert!(judge(&way(EVE)).unwrap_err().contains("/tmp/s belongs to user 1001"));
    }

    #[test]
    fn a_link_counts_by_who_could_have_put_it_there() {
        let way = |owner| {
            [
                step("/", 0, 0o755),
                step("/tmp", 0, 0o1777),
                link("/tmp/s", owner),
                step("/etc", 0, 0o755),
                step("/etc/specs", 0, 0o755),
            ]
        };
        assert!(judge(&way(0)).is_ok());
        assert!(judge(&way(EVE)).is_err());
    }

    // 42
    #[test]
    fn a_file_counts_only_from_a_trusted_hand() {
        let authors = Authors(BTreeSet::from([0, DAEMON, ANN]));
        let check = |uid, mode, links| check_file(access(uid, mode), links, &authors);
        assert_eq!(check(0, 0o644, 1), Ok(()));
        assert_eq!(check(ANN, 0o664, 1), Ok(()));
        assert!(check(EVE, 0o600, 1).unwrap_err().contains("user 1001"));
        assert!(check(0, 0o664, 1).unwrap_err().contains("0664"));
        assert!(check(ANN, 0o646, 1).unwrap_err().contains("chmod go-w"));
        assert!(check(0, 0o640, 2).unwrap_err().contains("2 names"));
    }
}
