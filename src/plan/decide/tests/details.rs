//! What mutation testing found that no other test would have missed.

use super::*;
use crate::plan::Binding;
use crate::sandbox::Protocol;

#[test]
fn a_hopeless_start_says_why_it_waits() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.state = ContainerState::Created;
    case.observed.main = Some(main);
    case.memory.failure = Some(Failure {
        spec_hash: case.hash(),
        kind: HoldKind::StartFailed,
        message: "no such file".to_owned(),
        attempts: 1,
        at: at(999),
        terminal: true,
    });
    assert_eq!(text(&case.plan()), "hold StartFailed");
}

#[test]
fn a_port_is_told_from_another_of_its_number_by_the_protocol() {
    let mut case = case();
    let mut main = container("main", &case.desired);
    main.state = ContainerState::Created;
    let udp = Binding { protocol: Protocol::Udp, host_port: 9999, ..main.bindings[0].clone() };
    main.bindings.insert(0, udp);
    case.observed.main = Some(main);
    assert_eq!(text(&case.plan()), "start main");
}
