use std::os::unix::fs::{MetadataExt, PermissionsExt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::*;
use crate::sandbox::{ContainerPort, EnvVar, Problem, ProblemReason, SandboxSpec};

fn state() -> (tempfile::TempDir, StateDir) {
    let directory = tempfile::tempdir().unwrap();
    let state = StateDir::open(&directory.path().join("state")).unwrap();
    (directory, state)
}

fn sandbox(name: &str) -> Sandbox {
    let port = ContainerPort { container_port: 8080, ..ContainerPort::default() };
    // Texts that YAML would take for something else, or for structure.
    let values = ["0777", "yes", "1e3", "a: b # c", "two\nlines", "\u{1b}[31m", "null"];
    let variable = |value: &str| EnvVar {
        name: "A".to_owned(),
        value: Some(value.to_owned()),
        ..EnvVar::default()
    };
    let spec = SandboxSpec {
        ports: Some(vec![port]),
        env: Some(values.map(variable).to_vec()),
        mounts: Some(vec![]),
        ..SandboxSpec::default()
    };
    let mut sandbox = Sandbox::new(name, spec);
    sandbox.metadata.uid = Some("u1".to_owned());
    sandbox.metadata.generation = Some(3);
    sandbox.metadata.creation_timestamp = Some(at(0));
    sandbox
}

fn at(milliseconds: i64) -> Time {
    Time(jiff::Timestamp::from_millisecond(1_700_000_000_000 + milliseconds).unwrap())
}

fn status(reason: &str) -> SandboxStatus {
    let ready = Condition {
        type_: "Ready".to_owned(),
        status: "False".to_owned(),
        reason: reason.to_owned(),
        message: "the container starts".to_owned(),
        last_transition_time: at(1000),
        observed_generation: Some(3),
    };
    SandboxStatus { conditions: vec![ready], ..SandboxStatus::default() }
}

/// Changes whenever the file is written, be it in place or by rename.
fn identity(path: &Path) -> (u64, i64, i64) {
    let found = std::fs::metadata(path).unwrap();
    (found.ino(), found.mtime(), found.mtime_nsec())
}

#[test]
fn the_whole_object_is_published_and_read_back() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    assert!(store.publish(&sandbox("web"), &status("Starting")).unwrap());
    let expected = Sandbox { status: Some(status("Starting")), ..sandbox("web") };
    assert_eq!(read_one(state.path(), "web").unwrap(), Some(expected.clone()));
    assert_eq!(read_all(state.path()).unwrap(), [expected]);
    let path = state.path().join("status/web.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    for line in ["apiVersion: sandkeeper.dev/v1alpha1", "kind: Sandbox", "  generation: 3"] {
        assert!(text.lines().any(|found| found == line), "{line:?} in {text}");
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn an_equal_status_is_not_written_again_not_even_after_a_restart() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    store.publish(&sandbox("web"), &status("Starting")).unwrap();
    let path = state.path().join("status/web.yaml");
    let before = identity(&path);
    for store in [store, StatusStore::new(&state), StatusStore::new(&state)] {
        assert!(!store.publish(&sandbox("web"), &status("Starting")).unwrap());
        assert!(!store.publish(&sandbox("web"), &status("Starting")).unwrap());
    }
    assert_eq!(identity(&path), before);
}

#[test]
fn fractions_of_a_second_which_kubernetes_times_lose_are_no_difference() {
    let (_keep, state) = state();
    let mut exact = sandbox("web");
    exact.metadata.creation_timestamp = Some(at(123));
    StatusStore::new(&state).publish(&exact, &status("Running")).unwrap();
    assert!(!StatusStore::new(&state).publish(&exact, &status("Running")).unwrap());
}

#[test]
fn any_difference_is_written() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    store.publish(&sandbox("web"), &status("Starting")).unwrap();
    assert!(store.publish(&sandbox("web"), &status("Running")).unwrap());
    let mut edited = sandbox("web");
    edited.spec.image = Some("other".to_owned());
    assert!(store.publish(&edited, &status("Running")).unwrap());
    edited.metadata.generation = Some(4);
    assert!(store.publish(&edited, &status("Running")).unwrap());
    assert_eq!(read_one(state.path(), "web").unwrap().unwrap().metadata.generation, Some(4));
}

#[test]
fn the_status_a_sandbox_brings_along_does_not_count() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    store.publish(&sandbox("web"), &status("Running")).unwrap();
    let brought = Sandbox { status: Some(status("Starting")), ..sandbox("web") };
    assert!(!store.publish(&brought, &status("Running")).unwrap());
}

#[test]
fn a_file_that_somebody_removed_or_damaged_comes_back() {
    let (_keep, state) = state();
    let path = state.path().join("status/web.yaml");
    let store = StatusStore::new(&state);
    store.publish(&sandbox("web"), &status("Running")).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(store.publish(&sandbox("web"), &status("Running")).unwrap());
    std::fs::write(&path, "kind: [").unwrap();
    assert!(StatusStore::new(&state).publish(&sandbox("web"), &status("Running")).unwrap());
    assert!(read_one(state.path(), "web").unwrap().is_some());
}

#[test]
fn a_failed_write_is_tried_again() {
    let (_keep, state) = state();
    let path = state.path().join("status/web.yaml");
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    let store = StatusStore::new(&state);
    assert!(store.publish(&sandbox("web"), &status("Running")).is_err());
    std::fs::remove_dir_all(&path).unwrap();
    assert!(store.publish(&sandbox("web"), &status("Running")).unwrap());
}

#[test]
fn a_removed_status_is_gone_and_can_be_published_again() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    store.publish(&sandbox("web"), &status("Running")).unwrap();
    assert!(store.remove("web").unwrap());
    assert!(!store.remove("web").unwrap());
    assert_eq!(read_one(state.path(), "web").unwrap(), None);
    assert!(store.publish(&sandbox("web"), &status("Running")).unwrap());
}

#[test]
fn a_damaged_status_hides_no_other() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    for name in ["b", "a"] {
        store.publish(&sandbox(name), &status("Running")).unwrap();
    }
    std::fs::write(state.path().join("status/c.yaml"), "kind: [").unwrap();
    std::fs::write(state.path().join("status/.tmp-1"), "half").unwrap();
    store.publish_files(&[]).unwrap();
    let names: Vec<_> =
        read_all(state.path()).unwrap().into_iter().filter_map(|it| it.metadata.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(matches!(read_one(state.path(), "c"), Err(StateError::Corrupt { .. })));
}

#[test]
fn a_directory_that_is_not_there_has_no_statuses() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(read_all(&directory.path().join("none")).unwrap(), []);
    assert_eq!(read_files(&directory.path().join("none")).unwrap(), []);
}

#[test]
fn file_reports_are_published_when_they_differ() {
    let (_keep, state) = state();
    let report = FileReport {
        file: "/etc/sandkeeper/specs/web.yaml".into(),
        problems: vec![Problem::new(ProblemReason::Empty, "the file is empty")],
        sandboxes: vec!["web".to_owned()],
        since: at(5).0,
    };
    let store = StatusStore::new(&state);
    assert!(store.publish_files(std::slice::from_ref(&report)).unwrap());
    let before = identity(&state.path().join("status/_files.yaml"));
    assert!(!StatusStore::new(&state).publish_files(std::slice::from_ref(&report)).unwrap());
    assert_eq!(identity(&state.path().join("status/_files.yaml")), before);
    assert_eq!(read_files(state.path()).unwrap(), [report]);
    assert!(store.publish_files(&[]).unwrap());
    assert_eq!(read_files(state.path()).unwrap(), []);
}

#[test]
fn a_name_that_is_a_path_is_refused() {
    let (_keep, state) = state();
    let store = StatusStore::new(&state);
    let refused = store.publish(&sandbox("../web"), &status("Running"));
    assert!(matches!(refused, Err(StateError::BadName { .. })));
    assert!(matches!(read_one(state.path(), "_files"), Err(StateError::BadName { .. })));
}
