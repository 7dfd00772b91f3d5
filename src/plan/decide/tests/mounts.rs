//! Mounts that may not be used, and those that are not what was checked.

use super::*;
use crate::plan::outcome::Outcome;

fn data() -> BindMount {
    BindMount {
        host_path: "/srv/a".into(),
        mount_path: "/data".to_owned(),
        read_only: false,
        create: None,
    }
}

fn with_mount() -> Desired {
    let mut desired = desired("app:1");
    desired.container.mounts = vec![data()];
    desired
}

fn made(id: &str) -> Container {
    Container { mounts: vec![data()], ..container(id, &with_mount()) }
}

fn swapped(id: &str) -> MountView {
    let mounts = vec!["mounts[/data]: /etc is mounted and not /srv/a".to_owned()];
    MountView::Swapped { container: ContainerId(id.to_owned()), mounts }
}

fn refused() -> Blocker {
    let message = "mounts[/data].hostPath: /srv/a is never mounted".to_owned();
    Blocker { kind: BlockerKind::MountRefused, message }
}

/// A container with a mount runs, and was started last by us.
fn started() -> Case {
    let mut case = case();
    case.desired = with_mount();
    case.observed.main = Some(made("main"));
    case.memory.unproven = Some(ContainerId("main".to_owned()));
    case
}

#[test]
fn a_container_with_a_swapped_mount_is_stopped_at_once_and_without_grace() {
    let mut case = started();
    case.facts.mounts = swapped("main");
    let plan = case.plan();
    let stop = Step::Stop { container: ContainerId("main".to_owned()), grace: Duration::ZERO };
    assert_eq!(plan.steps.len(), 1);
    assert_eq!((&plan.steps[0].step, plan.steps[0].cause), (&stop, Cause::MountSwapped));
    let hold = plan.hold.unwrap();
    assert_eq!(hold.kind, HoldKind::MountSwapped);
    assert_eq!(hold.message, "mounts[/data]: /etc is mounted and not /srv/a");
}

#[test]
fn only_the_container_with_the_swapped_mount_is_stopped() {
    let mut case = started();
    case.facts.mounts = swapped("another");
    assert_eq!(case.plan(), Plan::default());
    case.facts.mounts = swapped("main");
    case.observed.main = Some(Container { state: ContainerState::Created, ..made("main") });
    assert_eq!(text(&case.plan()), "start main");
}

#[test]
fn whatever_else_the_spec_asks_for_the_stop_comes_first() {
    let edits: [fn(&mut Desired); 4] = [
        |desired| desired.container.image = "app:2".to_owned(),
        |desired| desired.operating_mode = OperatingMode::Suspended,
        |desired| desired.shutdown_at = Some(at(1)),
        |desired| desired.restart_policy = RestartPolicy::Never,
    ];
    for edit in edits {
        let mut case = started();
        case.facts.mounts = swapped("main");
        edit(&mut case.desired);
        assert_eq!(text(&case.plan()).split(',').next().unwrap(), "stop main; hold MountSwapped");
    }
}

#[test]
fn after_a_swap_it_is_started_again_with_back_off_whatever_its_restart_policy() {
    for policy in [RestartPolicy::Always, RestartPolicy::OnFailure, RestartPolicy::Never] {
        let mut case = started();
        case.desired.restart_policy = policy;
        for attempt in 1..=3 {
            case.observed.main = Some(made("main"));
            case.facts.mounts = swapped("main");
            case.memory = case.intended();
            let failure = case.memory.failure.as_ref().unwrap();
            assert_eq!((failure.kind, failure.attempts), (HoldKind::MountSwapped, attempt));

            case.observed.main = Some(exited(made("main"), 137, case.now));
            case.facts.mounts = MountView::NotChecked;
            case.memory = case.intended();
            assert_eq!(text(&case.plan()), "hold MountSwapped");
            case.now = case.plan().next_check.unwrap().as_second() - at(0).as_second() + 1;
            assert_eq!(text(&case.plan()), "start main");
            case.memory = case.intended();
            assert_eq!(case.memory.unproven, Some(ContainerId("main".to_owned())));
        }
        // And now nobody swaps it.
        case.observed.main = Some(made("main"));
        case.facts.mounts = MountView::AsChecked { container: ContainerId("main".to_owned()) };
        case.memory = case.intended();
        assert_eq!(case.memory.failure, None);
        assert_eq!(case.memory.unproven, None);
        assert_eq!(case.plan(), Plan::default());
    }
}

#[test]
fn a_replacement_with_a_swapped_mount_is_stopped_and_the_old_container_comes_back() {
    let mut case = case();
    let old = desired("app:0");
    case.desired = with_mount();
    case.observed.replacement = Some(made("new"));
    case.observed.predecessor = Some(exited(container("old", &old), 0, 990));
    case.facts.mounts = swapped("new");
    assert_eq!(text(&case.plan()), "stop new; hold MountSwapped");
    case.memory = case.intended();

    case.observed.replacement = Some(exited(made("new"), 137, 1000));
    case.facts.mounts = MountView::NotChecked;
    assert_eq!(text(&case.plan()), "remove new, rename old to Main, start old");
    let rejected = case.intended().rejected.unwrap();
    assert!(rejected.message.contains("/etc is mounted and not /srv/a"), "{}", rejected.message);
}

#[test]
fn a_container_whose_mounts_are_refused_is_not_started() {
    let mut case = case();
    case.desired = with_mount();
    case.facts.unstartable = vec![refused()];
    case.observed.main = Some(exited(made("main"), 1, 990));
    assert_eq!(text(&case.plan()), "hold MountRefused");
    case.observed.main = Some(made("main"));
    assert_eq!(case.plan(), Plan::default(), "one that runs is left alone");
    // What comes before the start is done: the predecessor gets its name back.
    case.memory.rejected = None;
    case.observed.main = None;
    case.observed.replacement = Some(exited(made("new"), 1, 999));
    case.observed.predecessor = Some(exited(container("old", &desired("app:0")), 0, 990));
    assert_eq!(text(&case.plan()), "remove new, rename old to Main; hold MountRefused");
}

#[test]
fn a_plan_says_which_mounts_it_needs() {
    let mut case = case();
    case.desired = with_mount();
    let created = case.plan();
    assert_eq!(created.mounts_needed(&case.desired, &case.observed), [data()]);
    let mut facts = Facts::default();
    created.blocked_by(vec![refused()], &mut facts);
    assert_eq!((facts.blockers.len(), facts.unstartable.len()), (1, 0));

    // A start needs those that its container was made with, and may make what its spec still asks to make.
    let create = Some(crate::plan::CreateDirectory { mode: 0o750, uid: None, gid: None });
    case.desired.container.mounts[0].create = create;
    let other = BindMount { mount_path: "/other".to_owned(), ..data() };
    let main = Container { mounts: vec![data(), other.clone()], ..made("main") };
    case.observed.main = Some(exited(main, 1, 990));
    let started = case.plan();
    assert_eq!(text(&started), "start main");
    let needed = started.mounts_needed(&case.desired, &case.observed);
    assert_eq!(needed, [BindMount { create, ..data() }, other]);
    let mut facts = Facts::default();
    started.blocked_by(vec![refused()], &mut facts);
    assert_eq!((facts.blockers.len(), facts.unstartable.len()), (0, 1));

    case.observed.main = Some(made("main"));
    assert_eq!(case.plan().mounts_needed(&case.desired, &case.observed), []);
}

#[test]
fn what_was_started_is_on_record_until_its_mounts_were_compared() {
    let main = || ContainerId("main".to_owned());
    let mut case = started();
    assert_eq!(case.intended().unproven, Some(main()), "not compared yet");
    case.facts.mounts = MountView::AsChecked { container: ContainerId("other".to_owned()) };
    assert_eq!(case.intended().unproven, Some(main()), "another one was");
    for view in
        [MountView::AsChecked { container: main() }, MountView::Unknowable { container: main() }]
    {
        case.facts.mounts = view;
        assert_eq!(case.intended().unproven, None);
    }
    // A creation is on record before the start that follows it.
    let fingerprint = fingerprint(&case.desired);
    let inputs = Inputs {
        wish: Wish::Declared(Wanted { desired: &case.desired, fingerprint: &fingerprint }),
        observed: &Observed::default(),
        facts: &Facts::default(),
        memory: &Memory::default(),
        now: at(0),
    };
    let step = Step::Create { slot: Slot::Main };
    let created = |inputs: &Inputs<'_>| {
        after_step(&Memory::default(), &step, &Outcome::Created(main()), inputs, at(0)).unproven
    };
    assert_eq!(created(&inputs), Some(main()));
    let without = desired("app:1");
    let wish = Wish::Declared(Wanted { desired: &without, fingerprint: &fingerprint });
    assert_eq!(created(&Inputs { wish, ..inputs }), None);
}
