//! On what engines answered.

use serde_json::{Value, json};

use super::*;

/// Podman 4.3.1, rootless, on a host with version 1 of control groups; the parts that matter, as it told.
fn rootless() -> Value {
    let map = |own: u32| {
        json!([
            {"container_id": 0, "host_id": own, "size": 1},
            {"container_id": 1, "host_id": 100_000, "size": 65_536},
        ])
    };
    json!({"host": {
        "arch": "amd64", "cgroupManager": "cgroupfs", "cgroupVersion": "v1", "cgroupControllers": [],
        "idMappings": {"gidmap": map(1002), "uidmap": map(1001)},
        "security": {"apparmorEnabled": false, "rootless": true, "seccompEnabled": true},
    }})
}

fn podman(info: &Value) -> UserNamespace {
    UserNamespace::of_podman(Some(info.to_string().as_bytes())).unwrap()
}

#[test]
fn a_users_podman_tells_how_ids_are_mapped() {
    let IdMapping::Ranges { uids, gids } = podman(&rootless()).ids else { panic!("it tells") };
    assert_eq!(uids[0], IdRange { inside: 0, outside: 1001, count: 1 });
    assert_eq!(gids[0], IdRange { inside: 0, outside: 1002, count: 1 });
    assert_eq!(uids[1], IdRange { inside: 1, outside: 100_000, count: 65_536 });
    assert_eq!(gids[1], uids[1]);
}

#[test]
fn a_users_podman_lacks_the_limits_whose_controllers_it_was_not_given() {
    use Feature::{CpuLimit, FractionalCpu, MemoryLimit, Pause, PidsLimit};
    let lacks = podman(&rootless()).lacks;
    for feature in [CpuLimit, FractionalCpu, MemoryLimit, PidsLimit, Pause] {
        assert!(lacks.contains(&feature), "{feature:?}: {lacks:?}");
    }
    // What systemd hands down to a user's session by itself.
    let mut delegated = rootless();
    delegated["host"]["cgroupVersion"] = json!("v2");
    delegated["host"]["cgroupControllers"] = json!(["memory", "pids"]);
    assert_eq!(podman(&delegated).lacks, [CpuLimit, FractionalCpu]);
    delegated["host"]["cgroupControllers"] = json!(["cpuset", "cpu", "io", "memory", "pids"]);
    assert_eq!(podman(&delegated).lacks, []);
}

#[test]
fn the_hosts_podman_maps_nothing_and_lacks_nothing_by_this() {
    let mut rootful = rootless();
    rootful["host"]["security"]["rootless"] = json!(false);
    rootful["host"]["idMappings"] = json!({"gidmap": null, "uidmap": null});
    assert_eq!(podman(&rootful), UserNamespace::default());
}

#[test]
fn what_podman_does_not_tell_is_not_known() {
    let unknown = UserNamespace { ids: IdMapping::NotTold, lacks: vec![Feature::HostOwners] };
    assert_eq!(UserNamespace::of_podman(None), Ok(unknown));
    let mut silent = rootless();
    silent["host"]["idMappings"] = Value::Null;
    assert_eq!(podman(&silent).ids, IdMapping::NotTold);
    for garbled in ["", "{}", r#"{"host": {"security": {}}}"#] {
        let read = UserNamespace::of_podman(Some(garbled.as_bytes()));
        assert!(matches!(read, Err(EngineError::Garbled { .. })), "{garbled}: {read:?}");
    }
}

#[test]
fn docker_tells_that_ids_are_mapped_and_not_how() {
    let of = |options: &[&str]| {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let info = SystemInfo { security_options: Some(options), ..SystemInfo::default() };
        UserNamespace::of_docker(&info).ids
    };
    assert_eq!(of(&["name=seccomp,profile=default", "name=userns"]), IdMapping::NotTold);
    assert_eq!(of(&["name=seccomp,profile=builtin", "name=rootless"]), IdMapping::NotTold);
    assert_eq!(of(&["name=seccomp,profile=userns", "name=cgroupns"]), IdMapping::Same);
    assert_eq!(UserNamespace::of_docker(&SystemInfo::default()), UserNamespace::default());
}

#[test]
fn what_docker_says_that_it_would_drop_it_lacks() {
    let info = SystemInfo {
        memory_limit: Some(false),
        pids_limit: Some(true),
        cpu_cfs_quota: Some(false),
        ..SystemInfo::default()
    };
    let lacks = UserNamespace::of_docker(&info).lacks;
    assert_eq!(lacks, [Feature::CpuLimit, Feature::MemoryLimit]);
}

#[test]
fn a_limit_that_would_be_dropped_is_rejected_before_anything_is_made() {
    let engine = podman(&rootless());
    let limits = Limits { memory: Some(64 << 20), ..Limits::default() };
    let refused = engine.check(&limits).unwrap_err();
    assert!(refused.to_string().contains("controller memory"), "{refused}");
    assert_eq!(engine.check(&Limits::default()), Ok(()));
    assert_eq!(UserNamespace::default().check(&limits), Ok(()));
}
