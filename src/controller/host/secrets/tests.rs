use std::fs;
use std::os::unix::fs::symlink;

use secrecy::ExposeSecret;

use super::*;

fn env(path: &Path) -> BTreeMap<String, EnvValue> {
    BTreeMap::from([
        ("PLAIN".to_owned(), EnvValue::Literal("x".to_owned())),
        ("TOKEN".to_owned(), EnvValue::SecretFile(path.to_owned())),
    ])
}

fn secrets() -> SecretDigests {
    SecretDigests::new(b"key".to_vec(), Arc::default())
}

fn write(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    fs::write(&path, content).unwrap();
    (directory, path)
}

fn refusal(content: &[u8]) -> String {
    let (_keep, path) = write(content);
    secrets().read(&env(&path)).unwrap_err().message
}

/// Long after every file of these tests was written.
fn later() -> Timestamp {
    crate::clock::now() + SignedDuration::from_hours(1)
}

#[test]
fn one_final_newline_is_dropped() {
    for (content, value) in
        [("s3cret\n", "s3cret"), ("s3cret", "s3cret"), ("a\n\n", "a\n"), ("", "")]
    {
        let (_keep, path) = write(content.as_bytes());
        let secrets = secrets().read(&env(&path)).unwrap();
        assert_eq!(secrets.keys().collect::<Vec<_>>(), ["TOKEN"]);
        assert_eq!(secrets["TOKEN"].expose_secret(), value);
    }
}

#[test]
fn what_no_variable_can_hold_is_refused_without_quoting_it() {
    let nul = refusal(b"canary\0x");
    assert!(nul.contains("NUL"), "{nul}");
    let binary = refusal(b"canary\xff");
    assert!(binary.contains("UTF-8"), "{binary}");
    let large = refusal(&b"canary".repeat(11_000));
    assert!(large.contains("64 KiB"), "{large}");
    for message in [nul, binary, large] {
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn a_file_of_exactly_the_limit_is_read() {
    let (_keep, path) = write(&b"x".repeat(MAX_BYTES));
    assert_eq!(secrets().read(&env(&path)).unwrap()["TOKEN"].expose_secret().len(), MAX_BYTES);
}

#[test]
fn a_blocker_names_variable_and_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none");
    let blocker = secrets().read(&env(&path)).unwrap_err();
    assert_eq!(blocker.kind, BlockerKind::SecretUnavailable);
    assert_eq!(
        blocker.message,
        format!("env[TOKEN].valueFrom.secretFile: {} does not exist", path.display())
    );
}

#[test]
fn directories_devices_and_pipes_are_refused_and_never_block() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    for path in [directory.path(), Path::new("/dev/zero"), &pipe] {
        let message = secrets().read(&env(path)).unwrap_err().message;
        assert!(message.contains("not a regular file"), "{message}");
    }
}

#[test]
fn a_linked_secret_is_read_as_secret_stores_publish_them() {
    let (keep, path) = write(b"one");
    let link = keep.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(secrets().read(&env(&link)).unwrap()["TOKEN"].expose_secret(), "one");
}

#[test]
fn a_changed_secret_has_another_digest_and_an_added_newline_has_not() {
    let (_keep, path) = write(b"one");
    let digests = SecretDigests::new(b"key".to_vec(), Arc::default());
    let first = digests.digests(&env(&path), later()).0;
    assert_eq!(first["TOKEN"], secret_digest(b"key", b"one"));
    fs::write(&path, "one\n").unwrap();
    assert_eq!(digests.digests(&env(&path), later()).0, first);
    fs::write(&path, "two\n").unwrap();
    assert_ne!(digests.digests(&env(&path), later()).0, first);
}

#[test]
fn an_unchanged_file_is_not_read_again() {
    let (_keep, path) = write(b"one");
    let digests = SecretDigests::new(b"key".to_vec(), Arc::default());
    let version = open(&path).unwrap().version;
    digests.remember(&path, version, "remembered".to_owned());
    assert_eq!(digests.digests(&env(&path), later()).0["TOKEN"], "remembered");
    fs::write(&path, "other").unwrap();
    assert_eq!(digests.digests(&env(&path), later()).0["TOKEN"], secret_digest(b"key", b"other"));
}

#[test]
fn a_replaced_file_of_equal_size_is_noticed() {
    let (keep, path) = write(b"one");
    let digests = SecretDigests::new(b"key".to_vec(), Arc::default());
    let first = digests.digests(&env(&path), later()).0;
    let next = keep.path().join("next");
    fs::write(&next, "two").unwrap();
    fs::rename(&next, &path).unwrap();
    assert_ne!(digests.digests(&env(&path), later()).0, first);
}

#[test]
fn a_file_that_just_changed_is_not_remembered() {
    let (_keep, path) = write(b"one");
    let digests = SecretDigests::new(b"key".to_vec(), Arc::default());
    let _ = digests.digests(&env(&path), crate::clock::now());
    assert!(digests.remembered.lock().unwrap().is_empty());
    let _ = digests.digests(&env(&path), later());
    assert_eq!(digests.remembered.lock().unwrap().len(), 1);
}

#[test]
fn an_unreadable_secret_is_a_blocker_and_the_others_are_digested() {
    let (keep, path) = write(b"one");
    let mut env = env(&path);
    env.insert("OTHER".to_owned(), EnvValue::SecretFile(keep.path().join("none")));
    let (digests, blockers) = secrets().digests(&env, later());
    assert_eq!(digests.keys().collect::<Vec<_>>(), ["TOKEN"]);
    assert_eq!(blockers.len(), 1);
}

#[test]
fn debug_output_shows_neither_key_nor_digest() {
    assert_eq!(format!("{:?}", secrets()), "SecretDigests { .. }");
}

#[test]
fn what_opens_the_host_is_read_for_no_sandbox_also_through_a_link() {
    let root = tempfile::tempdir().unwrap();
    let state = root.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::write(state.join("instance.json"), "canary").unwrap();
    fs::write(root.path().join("token"), "mine").unwrap();
    symlink("state/instance.json", root.path().join("link")).unwrap();
    symlink("token", root.path().join("fine")).unwrap();
    let own = super::super::OwnPaths { state: Some(&state), ..super::super::OwnPaths::default() };
    let secrets = SecretDigests::new(b"key".to_vec(), Arc::new(MountRules::new(None, own)));
    for path in [state.join("instance.json"), root.path().join("link"), "/proc/version".into()] {
        let message = secrets.read(&env(&path)).unwrap_err().message;
        assert!(message.contains("is not read for a sandbox"), "{message}");
        let (digests, blockers) = secrets.digests(&env(&path), later());
        assert_eq!((digests.len(), blockers.len()), (0, 1));
    }
    assert_eq!(
        secrets.read(&env(&root.path().join("fine"))).unwrap()["TOKEN"].expose_secret(),
        "mine"
    );
}
