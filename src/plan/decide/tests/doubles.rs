//! Two of one sandbox where there should be one. Found by the model (`controller::model`): a predecessor
//! that runs again, because somebody started it or a request of ours that we had given up landed late; one
//! that is left behind; and one that a late request made under the name of one that was renamed.

use super::*;

fn created(id: &str, from: &Desired) -> Container {
    let mut new = container(id, from);
    (new.state, new.started_at) = (ContainerState::Created, None);
    new
}

#[test]
fn a_predecessor_that_runs_again_is_stopped_before_its_replacement_starts() {
    let mut case = case();
    case.observed.predecessor = Some(container("old", &desired("app:0")));
    case.observed.replacement = Some(created("new", &case.desired));
    assert_eq!(text(&case.plan()), "stop old; hold Replacing");
    // And comes back if that fails: it did not end by itself.
    let parked = case.intended().parked;
    assert_eq!(parked, Some(ContainerId("old".to_owned())));
}

#[test]
fn a_predecessor_that_runs_beside_its_replacement_is_stopped() {
    let mut case = case();
    case.now = 1;
    case.observed.predecessor = Some(container("old", &desired("app:0")));
    case.observed.replacement = Some(container("new", &case.desired));
    assert_eq!(text(&case.plan()), "stop old; hold Replacing");
}

#[test]
fn a_predecessor_that_runs_again_serves_when_its_replacement_failed() {
    let mut case = case();
    case.observed.predecessor = Some(container("old", &desired("app:0")));
    case.observed.replacement = Some(exited(container("new", &case.desired), 1, 999));
    assert_eq!(text(&case.plan()), "remove new, rename old to Main");
}

#[test]
fn a_predecessor_that_runs_again_comes_back_when_its_heir_has_ended() {
    let mut case = case();
    case.observed.predecessor = Some(container("old", &desired("app:0")));
    case.observed.main = Some(exited(container("main", &case.desired), 1, 999));
    assert_eq!(text(&case.plan()), "remove main, rename old to Main");
}

#[test]
fn a_predecessor_that_was_given_up_goes_although_its_heir_does_not_come_up() {
    let mut case = case();
    let old = exited(container("old", &desired("app:0")), 1, 900);
    case.memory.idle_predecessor = Some(old.id.clone());
    case.observed.predecessor = Some(old);
    case.observed.main = Some(exited(container("main", &case.desired), 1, 999));
    assert_eq!(text(&case.plan()), "remove old");
}

#[test]
fn a_renamed_container_stays_ours_beside_one_that_took_its_name() {
    let mut case = case();
    case.observed.renamed = Some(container("renamed", &case.desired));
    case.observed.main = Some(created("late", &case.desired));
    case.memory.container = Some(ContainerId("renamed".to_owned()));
    assert_eq!(case.intended().container, Some(ContainerId("renamed".to_owned())));
    assert_eq!(text(&case.plan()), "remove late", "the one that serves stays");
    case.observed.main = Some(container("main", &case.desired));
    assert_eq!(text(&case.plan()), "stop renamed, remove renamed");
}

#[test]
fn a_predecessor_that_was_given_up_and_runs_again_is_worth_bringing_back() {
    let mut case = case();
    let old = container("old", &desired("app:0"));
    case.memory.idle_predecessor = Some(old.id.clone());
    case.observed.predecessor = Some(old);
    case.observed.replacement = Some(created("new", &case.desired));
    assert_eq!(case.intended().idle_predecessor, None);
}

#[test]
fn a_container_that_took_the_name_during_a_replacement_does_not_start_beside_it() {
    let mut case = case();
    case.observed.predecessor = Some(exited(container("old", &case.desired), 143, 990));
    case.observed.replacement = Some(container("new", &desired("app:2")));
    case.observed.main = Some(created("late", &case.desired));
    assert_eq!(text(&case.plan()), "remove late");
    case.observed.main = Some(container("main", &case.desired));
    assert_eq!(text(&case.plan()), "stop new, remove new");
}
