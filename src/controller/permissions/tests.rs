use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use futures::FutureExt;

use crate::controller::probes::stub::StubEngine;
use crate::engine::ExecOutcome;

use super::*;

fn rule(path: &str) -> Permission {
    let path = path.to_owned();
    Permission { path, mode: 0o777, uid: None, gid: None, recursive: false, create: false }
}

fn id() -> ContainerId {
    ContainerId("c".to_owned())
}

/// A container in which every directory has this mode.
fn container(mode: u32) -> StubEngine {
    let exec = move |command: Vec<String>| {
        let line = |path: &String| format!("{:x} 0 0 {path}\n", 0o040_000 | mode);
        let output = match command[0].as_str() {
            "stat" => command.iter().skip(4).map(line).collect(),
            _ => String::new(),
        };
        async move { Ok(ExecOutcome { exit_code: 0, output }) }.boxed()
    };
    StubEngine { exec: Box::new(exec), ..StubEngine::default() }
}

#[tokio::test]
async fn without_rules_nothing_is_looked_at() {
    let view = check(&StubEngine::default(), &id(), &[], &[], &Ids::default()).await;
    assert_eq!(view, PermissionView::NotChecked);
}

#[tokio::test]
async fn rules_are_held_on_the_host_under_a_mount_and_in_the_container_elsewhere() {
    let directory = tempfile::tempdir().unwrap();
    let host_path = directory.path().canonicalize().unwrap();
    fs::set_permissions(&host_path, fs::Permissions::from_mode(0o700)).unwrap();
    let mounts = [BindMount {
        host_path: host_path.clone(),
        mount_path: "/mnt/data".to_owned(),
        read_only: false,
        create: None,
    }];
    let rules = [rule("/mnt/data"), rule("/srv")];
    let engine = container(0o755);
    let drifted = vec![
        "/mnt/data: mode 0700, should be 0777".to_owned(),
        "/srv: mode 0755, should be 0777".to_owned(),
    ];
    assert_eq!(
        check(&engine, &id(), &rules, &mounts, &Ids::default()).await,
        PermissionView::Drifted(drifted)
    );
    let changed = repair(&engine, &id(), &rules, &mounts, &Ids::default()).await.unwrap();
    assert_eq!(changed, ["/mnt/data: mode 0700 → 0777", "/srv: mode 0755 → 0777"]);
    assert_eq!(fs::metadata(&host_path).unwrap().mode() & 0o7777, 0o777);
    let held = check(&container(0o777), &id(), &rules, &mounts, &Ids::default()).await;
    assert_eq!(held, PermissionView::Hold);
}

#[tokio::test]
async fn rules_under_mounts_need_nothing_of_the_container() {
    let directory = tempfile::tempdir().unwrap();
    let mounts = [BindMount {
        host_path: directory.path().canonicalize().unwrap(),
        mount_path: "/mnt".to_owned(),
        read_only: false,
        create: None,
    }];
    let missing = Permission { create: true, ..rule("/mnt/uploads") };
    // Every exec of this engine fails.
    let engine = StubEngine::default();
    repair(&engine, &id(), std::slice::from_ref(&missing), &mounts, &Ids::default()).await.unwrap();
    assert_eq!(
        check(&engine, &id(), &[missing], &mounts, &Ids::default()).await,
        PermissionView::Hold
    );
}

#[tokio::test]
#[ignore = "needs a Docker engine: ./tests/run runs it"]
async fn a_real_container_is_mended_and_then_holds() {
    use crate::controller::probes::real;

    let rules = [
        Permission { create: true, uid: Some(5), ..rule("/srv/; echo $(id) 'x") },
        Permission { create: true, mode: 0o4750, gid: Some(6), ..rule("/srv/-R") },
        Permission { recursive: true, ..rule("/data") },
    ];
    real::with_container(&["sleep", "600"], async |engine, id, _| {
        let before = check(engine, id, &rules, &[], &Ids::default()).await;
        let PermissionView::Drifted(told) = before else { panic!("{before:?}") };
        assert_eq!(told.len(), 3, "{told:?}");
        repair(engine, id, &rules, &[], &Ids::default()).await.unwrap();
        assert_eq!(check(engine, id, &rules, &[], &Ids::default()).await, PermissionView::Hold);
        assert_eq!(repair(engine, id, &rules, &[], &Ids::default()).await, Ok(vec![]));
        let link = [rule("/bin/sh"), rule("/none")];
        let PermissionView::Failed(told) = check(engine, id, &link, &[], &Ids::default()).await
        else {
            panic!()
        };
        assert!(told.contains("symbolic link") && told.contains("/none: does not exist"), "{told}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs a Docker engine: ./tests/run runs it"]
async fn a_real_engines_word_for_a_missing_program_is_understood() {
    use crate::controller::probes::real;

    real::with_container(&["sleep", "600"], async |engine, id, _| {
        let remove = ["rm", "/bin/stat"].map(str::to_owned);
        engine.exec(id, &remove, None, LOOK).await.unwrap();
        let view = check(engine, id, &[rule("/srv")], &[], &Ids::default()).await;
        let PermissionView::Failed(told) = view else { panic!("{view:?}") };
        assert!(told.starts_with("the image has no `stat`; "), "{told}");
    })
    .await;
}
