//! What must not change on the host: the files of accounts, and a tree of our own.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Files that hostile specs are after.
const ACCOUNTS: [&str; 5] =
    ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/hosts", "/etc/ld.so.preload"];

/// The host before.
pub(super) struct Host {
    tree: PathBuf,
    before: BTreeMap<PathBuf, Print>,
}

/// What changes when a file does. Its content, not only its times; `None`: it does not exist.
type Print = Option<(u64, u32, u32, u32, i64, i64, Vec<u8>)>;

impl Host {
    /// Makes the tree, and remembers it all.
    pub(super) fn new(tree: &Path) -> Self {
        fs::create_dir_all(tree.join("data/inner")).expect("a tree");
        fs::write(tree.join("data/inner/file"), super::CANARY).expect("a file");
        Self { tree: tree.to_owned(), before: prints(tree) }
    }

    /// Fails if anything differs. The hard link that a hostile file is made of is the test's own.
    #[track_caller]
    pub(super) fn is_unchanged(&self) {
        let after = prints(&self.tree);
        let paths = |prints: &BTreeMap<PathBuf, Print>| prints.keys().cloned().collect::<Vec<_>>();
        assert_eq!(paths(&self.before), paths(&after));
        for (path, before) in &self.before {
            assert!(*before == after[path], "{} changed", path.display());
        }
    }
}

fn prints(tree: &Path) -> BTreeMap<PathBuf, Print> {
    let accounts = ACCOUNTS.iter().map(PathBuf::from);
    accounts.chain(files_below(tree)).map(|path| (path.clone(), print(&path))).collect()
}

fn print(path: &Path) -> Print {
    let metadata = fs::symlink_metadata(path).ok()?;
    // Who may not read it compares the rest.
    let content = fs::read(path).unwrap_or_default();
    let (modified, size) = (metadata.mtime(), metadata.size().try_into().unwrap_or(i64::MAX));
    Some((metadata.ino(), metadata.mode(), metadata.uid(), metadata.gid(), modified, size, content))
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        if entry.path().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}
