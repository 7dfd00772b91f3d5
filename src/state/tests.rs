use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::engine::EngineKind;

fn state() -> (tempfile::TempDir, StateDir) {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDir::open(&directory.path().join("state")).unwrap();
    (directory, state)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let listing = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        listing.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_directory_is_private_and_complete() {
    let (_keep, state) = state();
    assert_eq!(names(state.path()), ["events", "memory", "requests", "specs", "status", "version"]);
    assert_eq!(std::fs::read_to_string(state.path().join("version")).unwrap(), "1\n");
    for directory in SUBDIRECTORIES.map(|name| state.path().join(name)) {
        assert_eq!(mode(&directory), 0o700, "{}", directory.display());
    }
    assert_eq!(mode(state.path()), 0o700);
}

#[test]
fn opening_again_changes_nothing() {
    let (_keep, state) = state();
    let inode = || std::fs::metadata(state.path().join("version")).unwrap().ino();
    let before = inode();
    StateDir::open(state.path()).unwrap();
    assert_eq!(inode(), before);
}

#[test]
fn a_newer_layout_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("version"), "2\n").unwrap();
    for opened in [StateDir::open(directory.path()), StateDir::read_only(directory.path())] {
        let message = opened.unwrap_err().to_string();
        assert!(
            message.contains("newer sandkeeper (layout 2; this one knows up to 1)"),
            "{message}"
        );
    }
    assert_eq!(names(directory.path()), ["version"]);
}

#[test]
fn a_version_that_is_no_number_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    for text in ["", "one", "0", "-1"] {
        std::fs::write(directory.path().join("version"), text).unwrap();
        let error = StateDir::open(directory.path()).unwrap_err();
        assert!(matches!(error, StateError::Corrupt { .. }), "{text:?}: {error}");
    }
    assert_eq!(names(directory.path()), ["version"]);
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    chmod(directory.path(), 0o1777);
    let error = StateDir::open(directory.path()).unwrap_err();
    assert!(error.to_string().contains("chmod 0700"), "{error}");
    assert!(names(directory.path()).is_empty());
}

#[test]
fn opening_for_reading_creates_nothing_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let state = StateDir::read_only(&path).unwrap();
    assert!(state.existing_identity("sandbox").unwrap().is_none());
    assert!(state.engine().unwrap().is_none());
    assert!(matches!(state.identity("sandbox"), Err(StateError::NotWritable { .. })));
    assert!(matches!(state.lock(), Err(StateError::NotWritable { .. })));
    assert!(!path.exists());
}

#[test]
fn nothing_is_written_outside_the_directory() {
    let (keep, state) = state();
    let outside = keep.path().join("other");
    let around = state.path().join("status/../../other");
    for path in [&outside, &around] {
        let error = state.write(path, b"x", PRIVATE, false).unwrap_err();
        assert!(matches!(error, StateError::NotWritable { .. }), "{error}");
    }
    for name in ["../other", "a/b", "", ".hidden", "_files", "a\nb"] {
        let error = entry(state.path(), "status", name, "yaml").unwrap_err();
        assert!(matches!(error, StateError::BadName { .. }), "{name:?}: {error}");
    }
    assert!(!outside.exists());
}

mod lock {
    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_has_the_directory() {
        let (_keep, state) = state();
        let _lock = state.lock().unwrap();
        // Another open file description, as another process would have.
        let message = StateDir::open(state.path()).unwrap().lock().unwrap_err().to_string();
        let expected = format!(
            "another sandkeeper (pid {}) uses {}; stop it",
            std::process::id(),
            state.path().display()
        );
        assert!(message.starts_with(&expected), "{message}");
    }

    #[test]
    fn the_lock_ends_with_its_holder() {
        let (_keep, state) = state();
        drop(state.lock().unwrap());
        // A stale pid in the file says nothing: only the kernel's lock counts.
        std::fs::write(state.path().join("lock"), "1\n").unwrap();
        let _lock = state.lock().unwrap();
        let text = std::fs::read_to_string(state.path().join("lock")).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_holder_that_wrote_no_pid_yet_is_unknown() {
        let (_keep, state) = state();
        let _lock = state.lock().unwrap();
        std::fs::write(state.path().join("lock"), "").unwrap();
        let message = state.lock().unwrap_err().to_string();
        assert!(message.contains("(pid unknown)"), "{message}");
    }

    #[test]
    fn what_an_interrupted_write_left_is_removed() {
        let (_keep, state) = state();
        std::fs::write(state.path().join("status/.tmp-1234"), "half").unwrap();
        std::fs::write(state.path().join("status/web.yaml"), "whole").unwrap();
        let _lock = state.lock().unwrap();
        assert_eq!(names(&state.path().join("status")), ["web.yaml"]);
    }
}

mod identity {
    use super::*;

    #[test]
    fn it_is_minted_once_and_private() {
        let (_keep, state) = state();
        let first = state.identity("sandbox").unwrap();
        let second = StateDir::open(state.path()).unwrap().identity("other").unwrap();
        assert_eq!((first.instance.as_str(), &first.key), (second.instance.as_str(), &second.key));
        assert_eq!(second.prefix, "other");
        assert_eq!(first.instance.len(), 16);
        assert_eq!(first.key.len(), 32);
        assert_eq!(mode(&state.path().join("instance.json")), 0o600);
    }

    #[test]
    fn two_directories_have_two_identities() {
        let ((_one, one), (_two, two)) = (state(), state());
        let (one, two) = (one.identity("sandbox").unwrap(), two.identity("sandbox").unwrap());
        assert_ne!(one.instance, two.instance);
        assert_ne!(one.key, two.key);
    }

    #[test]
    fn a_damaged_one_is_never_minted_again_and_never_shown() {
        let (_keep, state) = state();
        state.identity("sandbox").unwrap();
        let path = state.path().join("instance.json");
        let whole = std::fs::read_to_string(&path).unwrap();
        let key = hex::encode(state.identity("sandbox").unwrap().key);
        let wrong_type = format!("{{\"instance\":\"0\",\"key\":\"k\",\"createdAt\":\"{key}\"}}");
        for damaged in ["", &whole[..whole.len() / 2], &whole.replace(&key, "abcd"), &wrong_type] {
            std::fs::write(&path, damaged).unwrap();
            let error = state.identity("sandbox").unwrap_err();
            assert!(matches!(error, StateError::IdentityCorrupt { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains("instance.json is damaged") && message.contains("foreign"));
            assert!(!message.contains(&key[..8]), "{message}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_lost_one_is_not_minted_again_while_sandboxes_are_remembered() {
        let (_keep, state) = state();
        std::fs::write(state.path().join("memory/web.json"), "{}").unwrap();
        let error = state.identity("sandbox").unwrap_err();
        assert!(matches!(error, StateError::IdentityLost { sandboxes: 1, .. }), "{error}");
        assert!(!state.path().join("instance.json").exists());
    }

    #[test]
    fn commands_that_only_read_see_it() {
        let (_keep, state) = state();
        let minted = state.identity("sandbox").unwrap();
        let reader = StateDir::read_only(state.path()).unwrap();
        assert_eq!(reader.identity("sandbox").unwrap().key, minted.key);
    }
}

mod engine {
    use super::*;

    fn record(id: &str) -> EngineRecord {
        EngineRecord {
            kind: EngineKind::Docker,
            engine_id: id.to_owned(),
            prefix: "sandbox".to_owned(),
            address: "unix:///engine.sock".to_owned(),
        }
    }

    #[test]
    fn an_engine_stays_the_same_when_its_socket_moves() {
        let moved = EngineRecord { address: "/elsewhere.sock".to_owned(), ..record("one") };
        assert!(moved.is_same_as(&record("one")));
        assert!(!record("two").is_same_as(&record("one")));
    }

    #[test]
    fn the_engine_in_use_is_on_record() {
        let (_keep, state) = state();
        assert_eq!(state.engine().unwrap(), None);
        assert!(state.record_engine(&record("one")).unwrap());
        assert!(!state.record_engine(&record("one")).unwrap());
        assert!(state.record_engine(&record("two")).unwrap());
        assert_eq!(
            StateDir::read_only(state.path()).unwrap().engine().unwrap(),
            Some(record("two"))
        );
    }

    #[test]
    fn a_damaged_record_is_an_error_that_says_what_to_do() {
        let (_keep, state) = state();
        std::fs::write(state.path().join("engine.json"), "{\"kind\":").unwrap();
        let message = state.engine().unwrap_err().to_string();
        assert!(message.contains("engine.json is damaged") && message.contains("remove it"));
        assert!(state.record_engine(&record("one")).is_err());
    }
}

mod files {
    use super::super::files::write_new;
    use super::*;

    #[test]
    fn a_write_replaces_content_and_mode_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        for (content, permissions, durable) in [("old", 0o600, true), ("new", 0o640, false)] {
            write_atomic(&path, content.as_bytes(), permissions, durable).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
            assert_eq!(mode(&path), permissions);
        }
        assert_eq!(names(directory.path()), ["file"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_content_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("occupied");
        std::fs::create_dir_all(path.join("by a directory")).unwrap();
        assert!(write_atomic(&path, b"new", PRIVATE, false).is_err());
        assert_eq!(names(directory.path()), ["occupied"]);
    }

    #[test]
    fn a_write_replaces_a_symlink_instead_of_following_it() {
        let directory = tempfile::tempdir().unwrap();
        let (target, link) = (directory.path().join("target"), directory.path().join("link"));
        std::fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        write_atomic(&link, b"new", PRIVATE, false).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
    }

    #[test]
    fn a_reader_never_sees_a_part() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let (short, long) = (vec![b'a'; 10], vec![b'b'; 200_000]);
        write_atomic(&path, &short, PRIVATE, false).unwrap();
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for round in 0..100 {
                    let content = if round % 2 == 0 { &long } else { &short };
                    write_atomic(&path, content, PRIVATE, false).unwrap();
                }
            });
            while !writer.is_finished() {
                let seen = std::fs::read(&path).unwrap();
                assert!(seen == short || seen == long, "{} bytes", seen.len());
            }
        });
    }

    #[test]
    fn of_two_writers_of_a_new_file_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_new(&path, b"first", PRIVATE).unwrap();
        let error = write_new(&path, b"second", PRIVATE).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }
}
