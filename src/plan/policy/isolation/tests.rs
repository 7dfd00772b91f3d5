//! What is wider than asked, and what a container that exists may not have.

use super::*;
use crate::plan::decide::Wanted;
use crate::plan::policy::MountGrant;
use crate::plan::testing::{container, desired, fingerprint};

#[test]
fn what_was_made_as_asked_is_no_wider() {
    let asked = Isolation::of(&desired("app:1"));
    assert_eq!(asked.widened(&asked), [""; 0]);
}

type Widen = fn(&mut Isolation);

#[test]
fn everything_that_is_wider_than_asked_is_named() {
    let asked = Isolation::of(&desired("app:1"));
    let cases: [(Widen, &str); 14] = [
        (|it| it.grant.privileged = true, "privileged: true"),
        (|it| it.grant.escalation = true, "allowPrivilegeEscalation: true"),
        (|it| it.grant.capabilities.extend(["SYS_ADMIN".to_owned()]), "capabilities: SYS_ADMIN"),
        (|it| it.grant.seccomp = SeccompGrant::Unconfined, "seccompProfile: Unconfined"),
        (|it| it.grant.user = None, "runAsUser: the image's"),
        (|it| it.grant.user = Some(0), "runAsUser: 0"),
        (|it| it.group = Some(0), "runAsGroup: 0"),
        (|it| it.read_only_root = Some(false), "readOnlyRootFilesystem: false"),
        (
            |it| {
                it.grant.mounts.push(MountGrant { path: "/etc".into(), read_only: true });
            },
            "mounts: /etc (read-only)",
        ),
        (|it| it.grant.network = NetworkChoice::Named("lab".to_owned()), "network: \"lab\""),
        (|it| it.grant.runtime = None, "runtimeClassName: the default one"),
        (|it| it.grant.shared_memory = None, "sharedMemory: not set"),
        (|it| it.beyond.push("PidMode: host".to_owned()), "PidMode: host"),
        (|it| it.unasked.push("RestartPolicy: always".to_owned()), "RestartPolicy: always"),
    ];
    let mut asked = asked;
    asked.grant.user = Some(1000);
    asked.group = Some(1000);
    asked.read_only_root = Some(true);
    asked.grant.runtime = Some("runsc".to_owned());
    asked.grant.shared_memory = Some(1 << 20);
    for (widen, named) in cases {
        let mut found = asked.clone();
        widen(&mut found);
        assert_eq!(asked.widened(&found), [named]);
    }
}

#[test]
fn what_is_narrower_or_left_to_the_engine_is_as_asked() {
    let mut asked = Isolation::of(&desired("app:1"));
    asked.grant.escalation = true;
    asked.grant.seccomp = SeccompGrant::Unconfined;
    let mut found = Isolation::default();
    found.grant.shared_memory = Some(65_536_000);
    found.grant.runtime = Some("nvidia".to_owned());
    found.unknown = vec!["Novelty: 1".to_owned()];
    assert_eq!(asked.widened(&found), [""; 0]);
    // An engine that tells nothing of it is not blamed.
    asked.grant.user = Some(1000);
    found.told = false;
    assert_eq!(asked.widened(&found), [""; 0]);
}

#[test]
fn what_a_spec_asks_for_is_all_of_it() {
    let mut desired = desired("app:1");
    let security = &mut desired.container.security;
    (security.run_as_user, security.run_as_group) = (Some(1000), Some(1001));
    security.read_only_root = true;
    let asked = Isolation::of(&desired);
    assert_eq!(asked.grant, Grant::of(&desired));
    assert_eq!((asked.group, asked.read_only_root), (Some(1001), Some(true)));
    assert!(asked.told && asked.beyond.is_empty() && asked.unasked.is_empty());
}

#[test]
fn who_asked_for_every_capability_gets_no_more_than_asked() {
    let mut found = Isolation::default();
    found.grant.capabilities.insert("SYS_ADMIN".to_owned());
    let mut all = Isolation::default();
    all.grant.capabilities.insert("ALL".to_owned());
    assert_eq!(all.widened(&found), [""; 0]);
    let mut privileged = Isolation::default();
    privileged.grant.privileged = true;
    assert_eq!(privileged.widened(&found), [""; 0]);
}

#[test]
fn a_container_that_has_more_than_the_policy_allows_is_not_taken_over() {
    let mut policy = Policy::default();
    policy.networks.0.push("lab".to_owned());
    let told = |widen: Widen| {
        let mut isolation = Isolation::default();
        widen(&mut isolation);
        forbids_adoption(("box", "1f"), &isolation, &policy).map(|blocker| blocker.message)
    };
    assert_eq!(told(|it| it.further_networks.push("lab".to_owned())), None);
    let cases: [(Widen, &str); 4] = [
        (|it| it.grant.privileged = true, "policy.privileged (allowed: false)"),
        (|it| it.further_networks.push("home".to_owned()), "policy.networks (allowed: lab)"),
        (|it| it.beyond.push("PidMode: host".to_owned()), "PidMode: host, which no sandbox can"),
        (|it| it.unknown.push("Novelty: 1".to_owned()), "Novelty: 1, which no sandbox can have"),
    ];
    for (widen, why) in cases {
        let told = told(widen).unwrap_or_default();
        assert!(told.starts_with("container box (1f) is not taken over: "), "{told}");
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn a_container_of_ours_is_started_below_the_policy_only() {
    let desired = desired("app:1");
    let fingerprint = fingerprint(&desired);
    let wanted = Wanted { desired: &desired, fingerprint: &fingerprint };
    let policy =
        Policy { images: vec!["app".parse().unwrap()], ..Policy::default().without_pids() };
    let mut own = container("main", &desired);
    assert_eq!(forbids_start(&own, wanted, &policy), None);

    // What it was made from passed the policy; how the engine calls it does not matter.
    let mut isolation = (*own.isolation).clone();
    isolation.grant.image = Some("localhost/app:1".to_owned());
    isolation.unknown = vec!["Novelty: 1".to_owned()];
    own.isolation = isolation.clone().into();
    assert_eq!(forbids_start(&own, wanted, &policy), None);
    let adopted = Container { fingerprint: None, ..own.clone() };
    let told = forbids_start(&adopted, wanted, &policy).unwrap();
    assert_eq!(told.kind, BlockerKind::PolicyViolation);
    assert!(told.message.contains("policy.images"), "{}", told.message);
    assert!(told.message.contains("Novelty: 1, which no sandbox can have"), "{}", told.message);

    isolation.grant.privileged = true;
    own.isolation = isolation.into();
    assert_eq!(
        forbids_start(&own, wanted, &policy).unwrap().message,
        "container sandbox-web (main) is not started: spec.securityContext.privileged: true is not \
         allowed by policy.privileged (allowed: false)"
    );
}

#[test]
fn limits_do_not_keep_a_container_from_being_taken_over_but_from_being_started() {
    let mut policy = Policy::default();
    let limits = Isolation::default();
    assert_eq!(forbids_adoption(("x", "1"), &limits, &policy), None);
    policy.limits.of_a_running_container.memory = Some(1 << 30);
    assert_eq!(forbids_adoption(("x", "1"), &limits, &policy), None);
    let desired = desired("app:1");
    let fingerprint = fingerprint(&desired);
    let wanted = Wanted { desired: &desired, fingerprint: &fingerprint };
    let told = forbids_start(&container("main", &desired), wanted, &policy).unwrap();
    assert!(told.message.contains("policy.limits.memory"), "{}", told.message);
}
