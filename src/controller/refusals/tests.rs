//! What is refused on which engine.

use super::*;
use crate::plan::ids::IdRange;
use crate::plan::testing::desired;
use crate::plan::{BindMount, CreateDirectory, IdMapping};

type Change = fn(&mut Desired);

fn engine(kind: EngineKind) -> Capabilities {
    Capabilities {
        version: String::new(),
        engine_id: String::new(),
        runtimes: vec!["runc".to_owned()],
        cpus: 4,
        memory: 8 << 30,
        least_memory: 200 << 20,
        data_root: None,
        ids: IdMapping::Same,
        lacks: kind.lacks().to_vec(),
    }
}

fn refused(kind: EngineKind, change: impl FnOnce(&mut Desired)) -> Vec<String> {
    let mut desired = desired("image:1");
    change(&mut desired);
    let refused = refusals(kind, &engine(kind), &Ids::default(), &desired);
    assert!(refused.iter().all(|blocker| blocker.kind == BlockerKind::FieldRefused));
    refused.into_iter().map(|blocker| blocker.message).collect()
}

#[test]
fn the_smallest_spec_is_refused_by_no_engine() {
    for kind in [EngineKind::Docker, EngineKind::Apple] {
        assert_eq!(refused(kind, |_| {}), Vec::<String>::new());
    }
}

#[test]
fn a_field_that_the_engine_lacks_is_refused_with_engine_and_field() {
    let refusing: [(&str, Change); 9] = [
        ("resources.limits.pids", |d| d.limits.pids = Some(5)),
        ("resources.limits.cpu", |d| d.limits.nano_cpus = Some(1_500_000_000)),
        ("securityContext.privileged", |d| d.container.security.privileged = true),
        ("securityContext.allowPrivilegeEscalation", |d| d.asks_no_new_privileges = true),
        ("securityContext.seccompProfile", |d| d.container.security.seccomp = Seccomp::Unconfined),
        ("runtimeClassName", |d| d.container.runtime = Some("runc".to_owned())),
        ("restartPolicy", |d| d.restart_policy = RestartPolicy::OnFailure),
        ("resources.limits.memory", |d| d.limits.memory = Some(100 << 20)),
        ("env[]", |d| {
            let value = EnvValue::Literal("one\ntwo".to_owned());
            d.container.env.insert("LINES".to_owned(), value);
        }),
    ];
    for (field, change) in refusing {
        let told = refused(EngineKind::Apple, change);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with(&format!("spec.{field}: ")), "{told:?}");
        let docker = refused(EngineKind::Docker, change);
        assert!(docker.is_empty() || field == "resources.limits.memory", "{docker:?}");
    }
    let told = refused(EngineKind::Apple, |d| d.limits.pids = Some(5));
    assert_eq!(told, ["spec.resources.limits.pids: the engine apple cannot limit processes"]);
}

#[test]
fn what_the_host_does_not_have_is_refused() {
    let too_much: [(&str, Change); 3] = [
        ("4 processors", |d| d.limits.nano_cpus = Some(5_000_000_000)),
        ("8589934592 bytes", |d| d.limits.memory = Some(9 << 30)),
        ("no runtime \"levitation\"", |d| d.container.runtime = Some("levitation".to_owned())),
    ];
    for (words, change) in too_much {
        let told = refused(EngineKind::Docker, change);
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
    }
}

#[test]
fn what_is_not_known_of_the_host_refuses_nothing() {
    let unknown = Capabilities { cpus: 0, memory: 0, ..engine(EngineKind::Docker) };
    let mut desired = desired("image:1");
    desired.limits.memory = Some(900 << 30);
    desired.limits.nano_cpus = Some(900 * ONE_CPU);
    assert_eq!(refusals(EngineKind::Docker, &unknown, &Ids::default(), &desired), []);
}

#[test]
fn a_default_that_the_engine_lacks_is_dropped_with_a_notice() {
    let told = |kind, asked| {
        let desired = Desired { asks_no_new_privileges: asked, ..desired("image:1") };
        notices(kind, &engine(kind), &desired)
    };
    assert_eq!(told(EngineKind::Docker, false), Vec::<String>::new());
    assert_eq!(told(EngineKind::Apple, true), Vec::<String>::new());
    let dropped = told(EngineKind::Apple, false);
    assert!(dropped.len() == 1 && dropped[0].contains("the engine apple"), "{dropped:?}");
}

#[test]
fn a_limit_whose_controller_the_engine_was_not_given_is_refused_with_it() {
    let mut capabilities = engine(EngineKind::Podman);
    capabilities.lacks.extend([Feature::CpuLimit, Feature::FractionalCpu, Feature::MemoryLimit]);
    let mut desired = desired("image:1");
    desired.limits.nano_cpus = Some(1_500_000_000);
    desired.limits.memory = Some(1 << 30);
    let told = refusals(EngineKind::Podman, &capabilities, &Ids::default(), &desired);
    let told: Vec<_> = told.into_iter().map(|blocker| blocker.message).collect();
    let cannot = |field, what, controller| {
        format!(
            "spec.resources.limits.{field}: the engine podman cannot limit {what}: it was not given the \
             controller {controller} of control groups; delegate it to the engine's user, or leave the limit out"
        )
    };
    assert_eq!(told, [cannot("cpu", "processors", "cpu"), cannot("memory", "memory", "memory")]);
}

#[test]
fn an_owner_that_nothing_on_the_host_can_be_given_is_refused_with_what_to_do() {
    let range = |count| vec![IdRange { inside: 0, outside: 1001, count }];
    let ranges = IdMapping::Ranges { uids: range(2), gids: range(2) };
    let told = |mapping, daemon, uid| {
        let mut desired = desired("image:1");
        desired.container.mounts = vec![BindMount {
            host_path: "/srv/data".into(),
            mount_path: "/data".to_owned(),
            read_only: false,
            create: Some(CreateDirectory { mode: 0o755, uid: Some(uid), gid: None }),
        }];
        let ids = Ids { mapping, daemon };
        let told = refusals(EngineKind::Podman, &engine(EngineKind::Podman), &ids, &desired);
        told.into_iter().map(|blocker| blocker.message).collect::<Vec<_>>()
    };
    let cases = [
        (told(ranges.clone(), (1001, 1001), 1), "user 1 is 1002 on the host"),
        (told(ranges.clone(), (0, 0), 2), "has no user 2 on the host"),
        (told(IdMapping::NotTold, (0, 0), 1), "does not tell how"),
    ];
    for (told, words) in cases {
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].starts_with("spec.mounts[/data].create.uid: "), "{told:?}");
        assert!(told[0].contains("the engine podman") && told[0].contains(words), "{told:?}");
    }
    assert_eq!(told(ranges, (0, 0), 1), [""; 0]);
}
