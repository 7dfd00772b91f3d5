use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::plan::testing::{at, container, desired, exited, fingerprint, tcp_probe};
use crate::plan::{Desired, Facts, Fingerprint, Hold, Observed, Restarts};

/// The moment of every case.
const NOW: i64 = 1000;

/// A sandbox `web` of image `app:1` as remembered before and observed now.
struct Case {
    desired: Desired,
    fingerprint: Fingerprint,
    observed: Observed,
    facts: Facts,
    memory: Memory,
}

fn case() -> Case {
    let desired = desired("app:1");
    Case {
        fingerprint: fingerprint(&desired),
        desired,
        observed: Observed::default(),
        facts: Facts::default(),
        memory: Memory { uid: "uid-1".to_owned(), ..Memory::default() },
    }
}

impl Case {
    fn with_main(main: Container) -> Self {
        let mut case = case();
        case.observed.main = Some(main);
        case
    }

    fn inputs(&self) -> Inputs<'_> {
        let wanted = Wanted { desired: &self.desired, fingerprint: &self.fingerprint };
        Inputs {
            wish: Wish::Declared(wanted),
            observed: &self.observed,
            facts: &self.facts,
            memory: &self.memory,
            now: at(NOW),
        }
    }

    fn observing(&self) -> Memory {
        after_observing(&self.inputs())
    }

    fn acting(&self, step: Step, cause: Cause) -> Memory {
        let steps = vec![PlannedStep::new(step, cause)];
        before_acting(&self.inputs(), &Plan { steps, ..Plan::default() })
    }

    fn step(&self, step: &Step, outcome: &Outcome) -> Memory {
        after_step(&self.memory, step, outcome, &self.inputs(), at(NOW))
    }
}

fn id(id: &str) -> ContainerId {
    ContainerId(id.to_owned())
}

fn main() -> Container {
    container("main", &desired("app:1"))
}

fn ended(code: i64) -> Container {
    exited(main(), code, 990)
}

fn failure(image: &str, attempts: u32) -> Failure {
    Failure {
        spec_hash: fingerprint(&desired(image)).spec_hash,
        kind: HoldKind::StartFailed,
        message: "no such file".to_owned(),
        attempts,
        at: at(900),
        terminal: false,
    }
}

fn rejected(image: &str) -> Rejected {
    let spec_hash = fingerprint(&desired(image)).spec_hash;
    Rejected { spec_hash, message: "it exited".to_owned(), at: at(900) }
}

fn failed(terminal: bool) -> Outcome {
    let message = "no space left".to_owned();
    Outcome::Failed { kind: HoldKind::StartFailed, message, terminal }
}

#[test]
fn another_life_starts_with_an_empty_memory() {
    let memory = Memory { container: Some(id("main")), ..case().memory };
    assert_eq!(of_this_life(memory.clone(), "uid-1"), memory);
    let fresh = Memory { uid: "uid-2".to_owned(), ..Memory::default() };
    assert_eq!(of_this_life(memory, "uid-2"), fresh);
}

#[test]
fn on_another_engine_a_sandbox_keeps_its_life_and_forgets_its_containers() {
    let lasting = Memory {
        uid: "uid-1".to_owned(),
        ports: BTreeMap::from([("http".to_owned(), 8081)]),
        restarts: Restarts { total: 3, streak: 2, last_at: Some(at(900)) },
        last_termination: termination(&ended(3)),
        failure: Some(failure("app:1", 2)),
        rejected: Some(rejected("app:2")),
        finished: Some(Finished { spec_hash: "hash".to_owned(), succeeded: None, at: at(900) }),
        ..Memory::default()
    };
    let memory = Memory {
        container: Some(id("main")),
        parked: Some(id("main")),
        was_ready: Some(id("main")),
        unproven: Some(id("main")),
        ..lasting.clone()
    };
    assert_eq!(memory.without_containers(), lasting);
}

mod observing {
    use super::*;

    #[test]
    fn a_stop_that_was_undone_is_no_longer_ours_and_anothers_still_is() {
        let mut case = Case::with_main(main());
        for (parked, remembered) in [("main", None), ("old", Some(id("old")))] {
            case.memory.parked = Some(id(parked));
            assert_eq!(case.observing().parked, remembered);
        }
    }

    #[test]
    fn what_failed_before_the_engine_returned_is_tried_again_and_what_failed_since_is_not() {
        let mut case = case();
        case.memory.failure = Some(failure("app:1", 3));
        case.memory.rejected = Some(rejected("app:1"));
        for (returned, kept) in [(901, false), (900, true), (899, true)] {
            case.facts.engine_returned_at = Some(at(returned));
            let memory = case.observing();
            assert_eq!(memory.failure.is_some(), kept, "{returned}");
            assert_eq!(memory.rejected.is_some(), kept, "{returned}");
        }
    }

    #[test]
    fn only_an_engine_that_returned_after_a_restart_ends_its_streak() {
        let mut case = Case::with_main(ended(1));
        case.memory.restarts = Restarts { total: 6, streak: 4, last_at: Some(at(900)) };
        for (returned, streak) in [(899, 4), (900, 4), (901, 0)] {
            case.facts.engine_returned_at = Some(at(returned));
            assert_eq!(case.observing().restarts.streak, streak, "{returned}");
        }
    }

    #[test]
    fn a_running_container_ends_every_failure_and_is_put_on_record() {
        let mut case = Case::with_main(main());
        case.memory.failure = Some(failure("app:1", 3));
        case.memory.idle_predecessor = Some(id("old"));
        case.facts.ports = BTreeMap::from([("http".to_owned(), 8081)]);
        let expected = Memory {
            uid: "uid-1".to_owned(),
            ports: BTreeMap::from([("http".to_owned(), 8081)]),
            container: Some(id("main")),
            was_ready: Some(id("main")),
            ..Memory::default()
        };
        assert_eq!(case.observing(), expected);
    }

    #[test]
    fn a_container_of_an_older_spec_ends_no_failure_of_this_one() {
        let mut case = Case::with_main(container("main", &desired("app:0")));
        case.memory.failure = Some(failure("app:1", 3));
        case.memory.rejected = Some(rejected("app:1"));
        let memory = case.observing();
        assert_eq!(memory.failure, case.memory.failure);
        assert_eq!(memory.rejected, case.memory.rejected);
    }

    #[test]
    fn an_edit_clears_what_is_remembered_of_another_spec() {
        let mut case = Case::with_main(main());
        case.memory.failure = Some(failure("app:0", 3));
        case.memory.rejected = Some(rejected("app:0"));
        let spec_hash = fingerprint(&desired("app:0")).spec_hash;
        case.memory.finished = Some(Finished { spec_hash, succeeded: Some(true), at: at(900) });
        let memory = case.observing();
        assert_eq!((memory.failure, memory.rejected, memory.finished), (None, None, None));
    }

    #[test]
    fn the_back_off_of_the_container_that_is_there_outlives_an_edit() {
        let mut case = Case::with_main(exited(container("main", &desired("app:0")), 1, 990));
        case.memory.failure = Some(failure("app:0", 3));
        assert_eq!(case.observing().failure, case.memory.failure);
    }

    #[test]
    fn where_a_probe_is_declared_ready_is_what_the_probe_says() {
        let mut case = Case::with_main(main());
        case.desired.readiness = Some(tcp_probe());
        case.facts.readiness = ProbeView::Pending { message: String::new() };
        assert_eq!(case.observing().was_ready, None);
        case.facts.readiness = ProbeView::Passing { container: id("main") };
        assert_eq!(case.observing().was_ready, Some(id("main")));
        // Once ready, it is remembered as such.
        case.memory.was_ready = Some(id("main"));
        case.facts.readiness = ProbeView::Failing { container: id("main"), message: String::new() };
        assert_eq!(case.observing().was_ready, Some(id("main")));
    }

    #[test]
    fn the_way_it_ended_is_remembered() {
        let oom = Container { oom_killed: true, ..ended(137) };
        let unknown = Container { exit_code: None, ..ended(0) };
        for (main, reason, code, oom_killed) in [
            (ended(0), "Completed", Some(0), false),
            (ended(3), "Error", Some(3), false),
            (oom, "OOMKilled", Some(137), true),
            (unknown, "Error", None, false),
        ] {
            let end = Case::with_main(main).observing().last_termination.unwrap();
            assert_eq!((end.reason.as_str(), end.exit_code), (reason, code));
            assert_eq!((end.oom_killed, end.at), (oom_killed, Time(at(990))));
        }
    }

    #[test]
    fn what_has_not_ended_says_nothing_of_an_end() {
        let created = Container { state: ContainerState::Created, ..main() };
        let no_time = Container { finished_at: None, ..ended(1) };
        for main in [main(), created, no_time] {
            assert_eq!(Case::with_main(main).observing().last_termination, None);
        }
    }

    #[test]
    fn a_container_that_is_gone_stays_on_record() {
        let mut case = case();
        case.memory.container = Some(id("main"));
        assert_eq!(case.observing().container, Some(id("main")));
    }

    #[test]
    fn a_withdrawn_sandbox_learns_nothing() {
        let mut case = Case::with_main(ended(1));
        case.memory.failure = Some(failure("app:0", 1));
        let wish = Wish::Withdrawn { grace: Duration::ZERO };
        let inputs = Inputs { wish, ..case.inputs() };
        assert_eq!(after_observing(&inputs), case.memory);
        let steps = vec![PlannedStep::new(
            Step::Stop { container: id("main"), grace: Duration::ZERO },
            Cause::Withdrawn,
        )];
        assert_eq!(before_acting(&inputs, &Plan { steps, ..Plan::default() }), case.memory);
        let create = Step::Create { slot: Slot::Main };
        let after = after_step(&case.memory, &create, &failed(false), &inputs, at(NOW));
        assert_eq!(after, case.memory);
    }
}

mod acting {
    use super::*;

    fn stop() -> Step {
        Step::Stop { container: id("main"), grace: Duration::ZERO }
    }

    fn aside() -> Step {
        Step::Rename { container: id("main"), slot: Slot::Predecessor }
    }

    #[test]
    fn only_a_stop_that_the_spec_asks_for_parks_the_container() {
        let case = Case::with_main(main());
        for cause in [Cause::Suspended, Cause::Expired, Cause::SpecChanged, Cause::PortTaken] {
            assert_eq!(case.acting(stop(), cause).parked, Some(id("main")), "{cause:?}");
        }
        assert_eq!(case.acting(stop(), Cause::Unhealthy).parked, None);
    }

    #[test]
    fn a_restart_after_an_end_counts_and_one_that_we_caused_does_not() {
        let start = || Step::Start { container: id("main") };
        let mut case = Case::with_main(Container { started_at: Some(at(980)), ..ended(1) });
        case.memory.restarts = Restarts { total: 7, streak: 2, last_at: Some(at(980)) };
        let counted = Restarts { total: 8, streak: 3, last_at: Some(at(NOW)) };
        assert_eq!(case.acting(start(), Cause::Ended).restarts, counted);
        assert_eq!(case.acting(start(), Cause::NotRunning).restarts, case.memory.restarts);
        // It had run long enough for the streak to be over.
        case.observed.main = Some(Container { started_at: Some(at(300)), ..ended(1) });
        let anew = Restarts { total: 8, streak: 1, last_at: Some(at(NOW)) };
        assert_eq!(case.acting(start(), Cause::Ended).restarts, anew);
    }

    #[test]
    fn a_removal_by_somebody_else_counts_as_an_end() {
        let mut case = case();
        case.memory.container = Some(id("main"));
        let memory = case.acting(Step::Create { slot: Slot::Main }, Cause::Vanished);
        assert_eq!(memory.restarts, Restarts { total: 1, streak: 1, last_at: Some(at(NOW)) });
        assert_eq!(memory.container, None);
        let end = memory.last_termination.unwrap();
        assert_eq!((end.reason.as_str(), end.at), ("Removed", Time(at(NOW))));
        let first = case.acting(Step::Create { slot: Slot::Main }, Cause::Missing);
        assert_eq!(first, case.memory);
    }

    #[test]
    fn a_predecessor_that_was_down_and_never_ready_is_not_worth_a_return() {
        let case = Case::with_main(ended(1));
        let memory = case.acting(aside(), Cause::SpecChanged);
        assert_eq!(memory.idle_predecessor, Some(id("main")));
    }

    /// Where nothing can be renamed, the replacement's creation is the moment.
    #[test]
    fn under_fixed_names_it_is_judged_when_its_replacement_is_made() {
        let create = || Step::Create { slot: Slot::Replacement };
        let of = |main: Option<Container>, fixed_names: bool, served: bool| {
            let mut case = case();
            case.observed.main = main;
            case.facts.fixed_names = fixed_names;
            case.memory.was_ready = served.then(|| id("main"));
            case.acting(create(), Cause::SpecChanged).idle_predecessor
        };
        let created = Container { state: ContainerState::Created, ..main() };
        assert_eq!(of(Some(ended(1)), true, false), Some(id("main")));
        assert_eq!(of(Some(ended(1)), true, true), None, "it has served");
        assert_eq!(of(Some(ended(1)), false, false), None, "it is renamed first");
        assert_eq!(of(Some(main()), true, false), None, "it runs");
        assert_eq!(of(Some(created), true, false), None, "it was never started");
        assert_eq!(of(None, true, false), None);
    }

    #[test]
    fn what_has_mounts_is_to_be_compared_after_its_start() {
        let mount = crate::plan::BindMount {
            host_path: "/srv/a".into(),
            mount_path: "/data".to_owned(),
            read_only: false,
            create: None,
        };
        let mounted = Container { mounts: vec![mount], ..container("old", &desired("app:0")) };
        let mut case = Case::with_main(ended(1));
        case.observed.predecessor = Some(mounted);
        let started = |container: &str| {
            case.acting(Step::Start { container: id(container) }, Cause::NotRunning).unproven
        };
        assert_eq!(started("old"), Some(id("old")));
        assert_eq!(started("main"), None);
    }

    #[test]
    fn a_predecessor_that_runs_has_served_or_was_stopped_by_us_is() {
        let runs = Case::with_main(main());
        let mut has_served = Case::with_main(ended(1));
        has_served.memory.was_ready = Some(id("main"));
        let mut stopped_by_us = Case::with_main(ended(143));
        stopped_by_us.observed.replacement = Some(container("new", &desired("app:1")));
        for case in [runs, has_served, stopped_by_us] {
            assert_eq!(case.acting(aside(), Cause::SpecChanged).idle_predecessor, None);
        }
    }

    /// `.old` stopped, `.new` like this.
    fn switched(new: Container) -> Case {
        let mut case = case();
        case.observed.replacement = Some(new);
        case.observed.predecessor = Some(exited(container("old", &desired("app:0")), 0, 980));
        case
    }

    fn remove_new() -> Step {
        Step::Remove { container: id("new") }
    }

    #[test]
    fn a_replacement_that_is_given_up_rejects_its_spec_and_says_why() {
        let new = || container("new", &desired("app:1"));
        let created = Container { state: ContainerState::Created, ..new() };
        let oom = Container { oom_killed: true, ..exited(new(), 137, 990) };
        let table = [
            (exited(new(), 7, 990), ProbeView::None, "the container exited with code 7"),
            (oom, ProbeView::None, "the container ran out of memory"),
            (created, ProbeView::None, "it did not start"),
            (new(), ProbeView::None, "it did not become ready"),
            (
                new(),
                ProbeView::Pending { message: "connection refused".to_owned() },
                "it did not become ready: connection refused",
            ),
        ];
        for (new, readiness, message) in table {
            let mut case = switched(new);
            case.facts.readiness = readiness;
            let rejected = case.acting(remove_new(), Cause::ReplacementFailed).rejected.unwrap();
            assert_eq!(rejected.message, message);
            assert_eq!(rejected.spec_hash, case.fingerprint.spec_hash);
            assert_eq!(rejected.at, at(NOW));
        }
    }

    #[test]
    fn what_the_engine_said_of_a_start_is_why_a_replacement_is_rejected() {
        let mut case = switched(container("new", &desired("app:1")));
        case.memory.failure = Some(failure("app:1", 1));
        let rejected = case.acting(remove_new(), Cause::ReplacementFailed).rejected.unwrap();
        assert_eq!(rejected.message, "no such file");
    }

    /// Found by the soak: an engine that lets go of the old container's port late cost the edit.
    #[test]
    fn a_port_that_is_taken_says_nothing_of_the_spec_and_rejects_nothing() {
        let mut case = switched(container("new", &desired("app:1")));
        let taken = Failure { kind: HoldKind::PortConflict, ..failure("app:1", 1) };
        case.memory.failure = Some(taken.clone());
        let memory = case.acting(remove_new(), Cause::ReplacementFailed);
        assert_eq!((memory.rejected, memory.failure), (None, Some(taken)));
    }

    #[test]
    fn a_replacement_that_is_outdated_or_interrupted_rejects_nothing() {
        let outdated = switched(container("new", &desired("app:9")));
        assert_eq!(outdated.acting(remove_new(), Cause::ReplacementFailed).rejected, None);
        let interrupted = switched(container("new", &desired("app:1")));
        assert_eq!(interrupted.acting(remove_new(), Cause::Interrupted).rejected, None);
    }

    #[test]
    fn the_end_for_good_is_remembered_once() {
        let plan = Plan { hold: Some(Hold::new(HoldKind::Finished, "")), ..Plan::default() };
        for (code, succeeded) in [(Some(0), Some(true)), (Some(3), Some(false)), (None, None)] {
            let mut case = Case::with_main(Container { exit_code: code, ..ended(0) });
            let spec_hash = case.fingerprint.spec_hash.clone();
            let expected = Finished { spec_hash, succeeded, at: at(990) };
            let memory = before_acting(&case.inputs(), &plan);
            assert_eq!(memory.finished, Some(expected.clone()));
            // Somebody removes what is left of it.
            case.memory = memory;
            case.observed.main = None;
            assert_eq!(before_acting(&case.inputs(), &plan).finished, Some(expected));
        }
    }
}

mod after {
    use super::*;

    #[test]
    fn failures_to_come_up_add_up_for_one_spec() {
        let mut case = case();
        for (step, attempts) in [
            (Step::Create { slot: Slot::Main }, 1),
            (Step::StartCreated, 2),
            (Step::StartCreated, 3),
        ] {
            case.memory = case.step(&step, &failed(false));
            let failure = case.memory.failure.clone().unwrap();
            assert_eq!((failure.attempts, failure.at), (attempts, at(NOW)));
            assert_eq!(failure.spec_hash, case.fingerprint.spec_hash);
            assert_eq!(failure.message, "no space left");
        }
        case.memory.failure = Some(failure("app:0", 9));
        let anew = case.step(&Step::StartCreated, &failed(true)).failure.unwrap();
        assert_eq!((anew.attempts, anew.terminal), (1, true));
    }

    #[test]
    fn a_failed_start_counts_against_the_spec_of_the_container_that_it_is_about() {
        let case = Case::with_main(exited(container("main", &desired("app:0")), 1, 990));
        let start = Step::Start { container: id("main") };
        let failure = case.step(&start, &failed(false)).failure.unwrap();
        assert_eq!(failure.spec_hash, fingerprint(&desired("app:0")).spec_hash);
    }

    #[test]
    fn what_is_no_part_of_coming_up_is_no_failure_to_come_up() {
        let case = Case::with_main(main());
        let container = || id("main");
        for step in [
            Step::Stop { container: container(), grace: Duration::ZERO },
            Step::Remove { container: container() },
            Step::Rename { container: container(), slot: Slot::Main },
            Step::Unpause { container: container() },
            Step::RepairPermissions { container: container() },
        ] {
            assert_eq!(case.step(&step, &failed(false)), case.memory, "{step:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_charged_to_nobody() {
        let case = case();
        for step in [Step::Create { slot: Slot::Main }, Step::StartCreated] {
            assert_eq!(case.step(&step, &Outcome::Void), case.memory);
        }
    }

    #[test]
    fn a_creation_ends_the_failures_before_it() {
        let mut case = case();
        case.memory.failure = Some(failure("app:1", 4));
        let create = Step::Create { slot: Slot::Main };
        assert_eq!(case.step(&create, &Outcome::Created(id("main"))).failure, None);
    }

    #[test]
    fn an_adoption_puts_the_container_and_its_spec_on_record() {
        let case = case();
        let adopt = Step::Adopt { container: id("theirs") };
        let memory = case.step(&adopt, &Outcome::Done);
        assert_eq!(memory.container, Some(id("theirs")));
        let spec_hash = case.fingerprint.spec_hash.clone();
        assert_eq!(memory.adopted, Some(Adopted { container: id("theirs"), spec_hash }));
        assert_eq!(case.step(&adopt, &Outcome::Void), case.memory);
    }

    #[test]
    fn only_its_own_start_ends_a_parking() {
        let mut case = Case::with_main(ended(143));
        case.memory.parked = Some(id("main"));
        let start = |container: &str| Step::Start { container: id(container) };
        assert_eq!(case.step(&start("main"), &Outcome::Done).parked, None);
        assert_eq!(case.step(&start("another"), &Outcome::Done).parked, Some(id("main")));
        assert_eq!(case.step(&start("main"), &failed(false)).parked, Some(id("main")));
    }
}
