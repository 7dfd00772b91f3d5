//! Every test runs against both implementations.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use super::*;

macro_rules! on_both {
    ($($name:ident)*) => {
        mod native { $( #[test] fn $name() { super::$name::<super::Handle>(); } )* }
        #[cfg(target_os = "linux")]
        mod portable { $( #[test] fn $name() { super::$name::<super::PortableHandle>(); } )* }
    };
}

on_both! {
    a_link_is_refused_wherever_it_stands_in_a_path
    special_files_are_refused
    names_of_more_than_one_entry_are_refused
    changes_reach_the_held_object_after_its_name_became_a_link
    a_directory_is_made_once_and_closed_to_others
    another_mount_is_entered_only_where_allowed
    a_listing_stops_at_its_limit
}

/// A directory whose path holds no link.
fn tempdir() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

fn a_link_is_refused_wherever_it_stands_in_a_path<O: Object>() {
    let (_keep, root) = tempdir();
    fs::create_dir_all(root.join("real/inner")).unwrap();
    symlink("real", root.join("link")).unwrap();
    assert!(O::at(&root.join("real/inner")).is_ok());
    assert!(matches!(O::at(&root.join("link")), Err(ObjectError::Link)));
    assert!(matches!(O::at(&root.join("link/inner")), Err(ObjectError::Link)));
    assert!(matches!(O::at(&root.join("real/none")), Err(ObjectError::Missing)));
}

fn special_files_are_refused<O: Object>() {
    let (_keep, root) = tempdir();
    let _listener = UnixListener::bind(root.join("socket")).unwrap();
    assert!(matches!(O::at(&root.join("socket")), Err(ObjectError::Special)));
    assert!(matches!(O::at(Path::new("/dev/null")), Err(ObjectError::Special)));
}

fn names_of_more_than_one_entry_are_refused<O: Object>() {
    let (_keep, root) = tempdir();
    fs::create_dir(root.join("a")).unwrap();
    let object = O::at(&root).unwrap();
    for name in ["", ".", "..", "a/..", "/etc"] {
        assert!(object.child(OsStr::new(name), Mounts::Cross).is_err(), "{name}");
        assert!(object.make_directory(OsStr::new(name)).is_err(), "{name}");
    }
    assert!(O::at(&root.join("a/../a")).is_err());
    assert!(O::at(Path::new("relative")).is_err());
}

fn changes_reach_the_held_object_after_its_name_became_a_link<O: Object>() {
    let (_keep, root) = tempdir();
    fs::write(root.join("outside"), "").unwrap();
    fs::set_permissions(root.join("outside"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(root.join("file"), "").unwrap();
    let held = O::at(&root.join("file")).unwrap();
    fs::rename(root.join("file"), root.join("moved")).unwrap();
    symlink("outside", root.join("file")).unwrap();
    held.set_mode(0o640).unwrap();
    assert_eq!(fs::metadata(root.join("moved")).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(root.join("outside")).unwrap().mode() & 0o7777, 0o600);
}

fn a_directory_is_made_once_and_closed_to_others<O: Object>() {
    let (_keep, root) = tempdir();
    let object = O::at(&root).unwrap();
    let (made, new) = object.directory(OsStr::new("d"), Mounts::Stay).unwrap();
    assert!(new);
    assert_eq!(made.look().unwrap().mode & 0o077, 0);
    assert!(!object.directory(OsStr::new("d"), Mounts::Stay).unwrap().1);
    symlink("d", root.join("link")).unwrap();
    assert!(matches!(object.directory(OsStr::new("link"), Mounts::Stay), Err(ObjectError::Link)));
    fs::write(root.join("file"), "").unwrap();
    assert!(object.directory(OsStr::new("file"), Mounts::Stay).is_err());
}

fn another_mount_is_entered_only_where_allowed<O: Object>() {
    // Wherever tests run, /proc is a mount of its own.
    let slash = O::slash().unwrap();
    if !Path::new("/proc/self").exists() {
        return;
    }
    assert!(slash.child(OsStr::new("proc"), Mounts::Cross).is_ok());
    let refused = slash.child(OsStr::new("proc"), Mounts::Stay);
    assert!(matches!(refused, Err(ObjectError::OtherMount)));
}

fn a_listing_stops_at_its_limit<O: Object>() {
    let (_keep, root) = tempdir();
    for name in ["a", "b", "c"] {
        fs::write(root.join(name), "").unwrap();
    }
    let object = O::at(&root).unwrap();
    assert_eq!(object.names(2).map(|(names, more)| (names.len(), more)).unwrap(), (2, true));
    assert_eq!(object.names(3).map(|(names, more)| (names.len(), more)).unwrap(), (3, false));
}
