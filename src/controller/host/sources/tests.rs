//! On real files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::symlink;

use super::*;

fn tempdir() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

fn id(path: &Path) -> FileId {
    let metadata = fs::metadata(path).unwrap();
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

#[test]
fn a_route_is_every_directory_from_the_root_on() {
    let (_keep, root) = tempdir();
    let path = root.join("a/b");
    fs::create_dir_all(&path).unwrap();
    let found = find(&path).unwrap();
    let expected: Vec<FileId> = path.ancestors().map(id).collect();
    let mut route: Vec<FileId> = found.source.route.iter().map(|place| place.id).collect();
    route.reverse();
    assert_eq!(route, expected);
    assert!(found.source.exists);
    assert_eq!(found.source.id(), Some(id(&path)));
}

#[test]
fn of_a_missing_path_the_route_ends_at_what_exists() {
    let (_keep, root) = tempdir();
    fs::create_dir(root.join("a")).unwrap();
    let path = root.join("a/b/c");
    let found = find(&path).unwrap();
    assert!(!found.source.exists);
    assert_eq!(found.source.id(), None);
    assert_eq!(found.source.route.last().unwrap().id, id(&root.join("a")));
    assert_eq!(found.missing, ["b", "c"]);
    assert_eq!(found.above.look().unwrap().id, id(&root.join("a")));
}

#[test]
fn no_link_is_followed_and_no_way_up_is_taken() {
    let (_keep, root) = tempdir();
    fs::create_dir(root.join("real")).unwrap();
    symlink("real", root.join("link")).unwrap();
    assert!(find(&root.join("link")).is_err());
    assert!(find(&root.join("link/below")).is_err());
    assert!(find(&root.join("real/../real")).is_err());
    assert!(find(Path::new("relative")).is_err());
    assert!(find(Path::new("/proc/self/root/etc")).is_err(), "a magic link is a link");
}

#[test]
fn a_source_that_was_exchanged_is_another_one() {
    let (_keep, root) = tempdir();
    let path = root.join("data");
    fs::create_dir(&path).unwrap();
    let before = identities(std::slice::from_ref(&path));
    assert_eq!(before, [Some(id(&path))]);
    fs::rename(&path, root.join("aside")).unwrap();
    assert_eq!(identities(std::slice::from_ref(&path)), [None]);
    symlink("/etc", &path).unwrap();
    assert_eq!(identities(std::slice::from_ref(&path)), [None]);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_ne!(identities(std::slice::from_ref(&path)), before);
}
