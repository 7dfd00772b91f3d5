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

/// A replacement is coming up, and its predecessor was stopped.
fn replacing(readiness: ProbeView) -> Case {
    let mut case = case();
    case.desired.readiness = Some(tcp_probe());
    let new = Container { started_at: Some(at(999)), ..container("new", &case.desired) };
    case.observed.replacement = Some(new);
    case.observed.predecessor = Some(exited(container("old", &desired("app:0")), 143, 998));
    case.facts.readiness = readiness;
    case
}

#[test]
fn a_replacement_says_what_it_waits_for_if_anybody_knows() {
    let hold = |message: &str| {
        let case = replacing(ProbeView::Pending { message: message.to_owned() });
        case.plan().hold.unwrap().message
    };
    let what = hold("");
    assert!(!what.contains(':'), "{what}");
    assert_eq!(hold("connection refused"), format!("{what}: connection refused"));
}

#[test]
fn another_spec_that_was_rejected_ends_no_replacement() {
    let mut case = replacing(ProbeView::Pending { message: String::new() });
    let rejected =
        |spec_hash: String| Rejected { spec_hash, message: "it exited".to_owned(), at: at(900) };
    case.memory.rejected = Some(rejected("another".to_owned()));
    assert_eq!(text(&case.plan()), "hold Replacing");
    case.memory.rejected = Some(rejected(case.hash()));
    assert!(text(&case.plan()).contains("remove new"), "{}", text(&case.plan()));
}

#[test]
fn nothing_is_replaced_that_is_being_removed_or_cannot_live_again() {
    for (state, planned) in
        [(ContainerState::Removing, "hold Busy"), (ContainerState::Dead, "remove main")]
    {
        let mut case = case();
        let main = container("main", &desired("app:0"));
        case.observed.main = Some(Container { state, ..main });
        assert_eq!(text(&case.plan()), planned, "{state}");
    }
}

#[test]
fn whether_to_start_again_is_not_guessed() {
    let mut case = case();
    case.desired.restart_policy = RestartPolicy::OnFailure;
    let nobody_knows =
        Container { exit_code: None, ..exited(container("main", &case.desired), 0, 990) };
    case.observed.main = Some(nobody_knows.clone());
    let plan = case.plan();
    assert_eq!(text(&plan), "hold FieldRefused");
    assert!(plan.hold.unwrap().message.starts_with("spec.restartPolicy: "));

    case.observed.main = Some(Container { oom_killed: true, ..nobody_knows.clone() });
    assert_eq!(text(&case.plan()), "start main", "that it ran out of memory is a failure");
    case.observed.main = Some(nobody_knows);
    case.desired.restart_policy = RestartPolicy::Always;
    assert_eq!(text(&case.plan()), "start main", "nobody asks");
}

#[test]
fn where_nothing_is_renamed_the_new_container_takes_the_name_that_is_free() {
    for (name, slot) in [("sandbox-web", "Replacement"), ("sandbox-web.new", "Main")] {
        let mut case = case();
        case.facts.fixed_names = true;
        let main = Container { name: name.to_owned(), ..container("main", &desired("app:0")) };
        case.observed.main = Some(main);
        let expected = format!("create {slot}, stop main, start created; hold Replacing");
        assert_eq!(text(&case.plan()), expected);
    }
}

#[test]
fn one_alone_that_is_being_removed_is_judged_as_what_it_is() {
    let mut case = case();
    case.desired.operating_mode = OperatingMode::Suspended;
    let state = ContainerState::Removing;
    case.observed.main = Some(Container { state, ..container("main", &case.desired) });
    assert_eq!(text(&case.plan()), "hold Suspended");
}

/// The old container runs under the sandbox's name, made from `main`, and a replacement made from `new` is there.
fn before_the_switch(main: &str, new: &str, state: ContainerState) -> Plan {
    let mut case = case();
    case.observed.main = Some(container("main", &desired(main)));
    case.observed.replacement = Some(Container { state, ..container("new", &desired(new)) });
    case.plan()
}

#[test]
fn only_a_replacement_that_can_run_and_is_wanted_takes_over() {
    use ContainerState::{Created, Dead, Exited, Running};
    let goes_on = "stop main, rename main to Predecessor";
    for (main, new, state, planned) in [
        ("app:0", "app:1", Created, format!("{goes_on}, start new; hold Replacing")),
        ("app:0", "app:1", Running, format!("{goes_on}; hold Replacing")),
        ("app:0", "app:1", Exited, "remove new".to_owned()),
        ("app:0", "app:1", Dead, "remove new".to_owned()),
        ("app:0", "app:2", Created, "remove new".to_owned()),
        ("app:1", "app:1", Created, "remove new".to_owned()),
    ] {
        let plan = text(&before_the_switch(main, new, state));
        assert_eq!(plan, planned, "{main} {new} {state}");
    }
}

#[test]
fn a_replacement_that_was_paused_goes_on() {
    let mut case = replacing(ProbeView::Pending { message: String::new() });
    if let Some(new) = &mut case.observed.replacement {
        new.state = ContainerState::Paused;
    }
    assert_eq!(text(&case.plan()), "unpause new");
}
