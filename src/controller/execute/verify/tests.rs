//! The last check, as a table.

use std::time::Duration;

use super::*;
use crate::controller::stub_engine::inspected;
use crate::plan::{ContainerId, Limits, Slot};

const STATES: [ContainerState; 7] = [
    ContainerState::Created,
    ContainerState::Running,
    ContainerState::Paused,
    ContainerState::Restarting,
    ContainerState::Exited,
    ContainerState::Removing,
    ContainerState::Dead,
];

/// One letter for each state of [`STATES`]: a(ct), s(o already), c(hanged).
fn row(step: &Step) -> String {
    let letter = |state| match readiness(step, &inspected("c", "sbx-web", state), Some("sbx-x")) {
        Readiness::Act => 'a',
        Readiness::AlreadySo => 's',
        Readiness::Changed(_) => 'c',
    };
    STATES.into_iter().map(letter).collect()
}

#[test]
fn each_step_fits_the_states_it_was_meant_for() {
    let container = ContainerId("c".to_owned());
    let grace = Duration::from_secs(1);
    let limits = Limits { pids: Some(7), ..Limits::default() };
    let start = Step::Start { container: container.clone() };
    assert_eq!(row(&start), "asccacc");
    assert_eq!(row(&Step::StartCreated), "asccacc");
    assert_eq!(row(&Step::Unpause { container: container.clone() }), "csacccc");
    assert_eq!(row(&Step::Stop { container: container.clone(), grace }), "saaascs");
    assert_eq!(row(&Step::Rename { container: container.clone(), slot: Slot::Main }), "aaaaacc");
    let aside = Step::Rename { container: container.clone(), slot: Slot::Predecessor };
    assert_eq!(row(&aside), "acccacc");
    assert_eq!(row(&Step::UpdateLimits { container: container.clone(), limits }), "aaaaacc");
    assert_eq!(row(&Step::Remove { container }), "acccaca");
}

#[test]
fn a_network_is_connected_only_when_it_is_lost() {
    let step = Step::ConnectNetwork { container: ContainerId("c".to_owned()) };
    let mut found = inspected("c", "sbx-web", ContainerState::Running);
    assert_eq!(readiness(&step, &found, None), Readiness::AlreadySo);
    found.networks.clear();
    assert_eq!(readiness(&step, &found, None), Readiness::Act);
}

#[test]
fn a_rename_and_an_update_that_hold_already_are_no_work() {
    let container = ContainerId("c".to_owned());
    let found = inspected("c", "sbx-web", ContainerState::Running);
    let rename = Step::Rename { container: container.clone(), slot: Slot::Main };
    assert_eq!(readiness(&rename, &found, Some("sbx-web")), Readiness::AlreadySo);
    let update = Step::UpdateLimits { container, limits: found.limits };
    assert_eq!(readiness(&update, &found, None), Readiness::AlreadySo);
}
