//! Containers that are let do more than was asked, or than the policy allows.

use super::*;
use crate::plan::policy::Policy;

fn privileged(container: Container) -> Container {
    let mut isolation = (*container.isolation).clone();
    isolation.grant.privileged = true;
    Container { isolation: isolation.into(), ..container }
}

fn beyond() -> Blocker {
    Blocker { kind: BlockerKind::PolicyViolation, message: "it is privileged".to_owned() }
}

#[test]
fn what_was_made_otherwise_than_asked_is_made_again_and_never_started() {
    let mut case = case();
    let made = Container { state: ContainerState::Created, ..container("main", &case.desired) };
    case.observed.main = Some(made.clone());
    assert_eq!(text(&case.plan()), "start main");
    case.observed.main = Some(privileged(made.clone()));
    let plan = case.plan();
    assert_eq!(text(&plan), "remove main");
    assert_eq!(plan.steps[0].cause, Cause::MadeOtherwise);
    assert_eq!(plan.steps[0].fields, ["privileged: true"]);
    // One that was taken over was never asked for.
    let adopted = Container { fingerprint: None, ..privileged(made) };
    case.memory.adopted = Some(crate::plan::Adopted {
        container: adopted.id.clone(),
        spec_hash: fingerprint(&case.desired).spec_hash,
    });
    case.observed.main = Some(adopted);
    assert_eq!(text(&case.plan()), "start main");
}

#[test]
fn what_has_more_than_the_policy_allows_is_not_started() {
    let mut case = case();
    case.now = 1000;
    case.observed.main = Some(privileged(exited(container("main", &case.desired), 0, 1)));
    let plan = case.plan();
    assert_eq!(text(&plan), "start main");
    let print = fingerprint(&case.desired);
    let wanted = Wanted { desired: &case.desired, fingerprint: &print };
    let policy = Policy::default().without_pids();
    let blocker = plan.beyond(wanted, &case.observed, &policy).unwrap();
    assert_eq!(blocker.kind, BlockerKind::PolicyViolation);
    assert_eq!(plan.beyond(wanted, &case.observed, &Policy::unrestricted()), None);
    case.facts.unstartable = vec![blocker.clone()];
    let plan = case.plan();
    assert_eq!(text(&plan), "hold PolicyViolation");
    assert_eq!(plan.hold.unwrap().message, blocker.message);
    // One that runs, runs on: nothing is planned, so nobody asks.
    case.observed.main = Some(privileged(container("main", &case.desired)));
    assert_eq!(case.plan(), Plan::default());
}

#[test]
fn a_foreign_container_with_more_than_the_policy_allows_is_not_taken_over() {
    let mut case = case();
    case.desired.adopt = true;
    case.observed.foreign = Some(Foreign {
        id: ContainerId("theirs".to_owned()),
        name: "sandbox-web".to_owned(),
        slot: Slot::Main,
        state: ContainerState::Running,
    });
    assert_eq!(case.plan().adopts(), Some(&ContainerId("theirs".to_owned())));
    case.facts.unadoptable = vec![beyond()];
    let plan = case.plan();
    assert_eq!(text(&plan), "hold PolicyViolation");
    assert_eq!(plan.adopts(), None);
    assert_eq!(plan.hold.unwrap().message, "it is privileged");
}

#[test]
fn what_stands_aside_beyond_the_policy_is_not_brought_back() {
    let mut case = case();
    case.now = 1000;
    let old = desired("app:0");
    case.observed.replacement = Some(exited(container("new", &case.desired), 1, 990));
    case.observed.predecessor = Some(exited(container("old", &old), 0, 980));
    assert!(text(&case.plan()).contains("start old"), "{}", text(&case.plan()));
    case.facts.unstartable = vec![beyond()];
    let told = text(&case.plan());
    assert!(!told.contains("start old"), "{told}");
    assert!(told.contains("hold PolicyViolation"), "{told}");
}
