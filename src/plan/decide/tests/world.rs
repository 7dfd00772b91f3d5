//! A small model of an engine, driven by random users, crashes and edits, against the real planner:
//! from every state that they reach, the planner brings the world to what the spec says, and on the way
//! it never runs two containers of one sandbox, never touches a foreign one, and never gives up the one
//! that serves before its replacement runs.

use proptest::prelude::*;

use super::*;
use crate::plan::Observed;
use crate::plan::outcome::{Outcome, after_observing, after_step, before_acting};

/// Images of the model and what becomes of a container that is started from them.
const GOOD: &str = "good:1";
const GOOD_TOO: &str = "good:2";
const CRASHES: &str = "crashes:1";
const CANNOT_START: &str = "cannot-start:1";
const MISSING: &str = "missing:1";

#[derive(Clone, Debug)]
struct World {
    now: i64,
    /// Whether the engine cannot rename, and forgets at a reboot which containers ran.
    fixed_names: bool,
    /// Ours and foreign ones; a foreign one has no fingerprint.
    containers: Vec<Container>,
    memory: Memory,
    made: usize,
    desired: Option<Desired>,
}

/// What happens in the world that the planner does not do.
#[derive(Clone, Debug)]
enum Act {
    Edit(&'static str),
    Limit(i64),
    Suspend(bool),
    Withdraw,
    Kill,
    RemoveByHand,
    PauseByHand,
    /// The host: nothing runs afterwards.
    Reboot,
    ForeignTakes(Slot),
    ForeignGoes,
    /// One whole pass.
    Pass,
    /// A pass that dies after so many steps, before the outcome of the last one is remembered.
    CrashAfter(usize),
    Wait(i64),
}

fn acts() -> impl Strategy<Value = Act> {
    let image = prop::sample::select(vec![GOOD, GOOD_TOO, CRASHES, CANNOT_START, MISSING]);
    prop_oneof![
        4 => image.prop_map(Act::Edit),
        1 => (1..4_i64).prop_map(Act::Limit),
        1 => any::<bool>().prop_map(Act::Suspend),
        1 => Just(Act::Withdraw),
        2 => Just(Act::Kill),
        1 => Just(Act::RemoveByHand),
        1 => Just(Act::PauseByHand),
        1 => Just(Act::Reboot),
        1 => prop::sample::select(vec![Slot::Main, Slot::Replacement, Slot::Predecessor])
            .prop_map(Act::ForeignTakes),
        1 => Just(Act::ForeignGoes),
        6 => Just(Act::Pass),
        6 => (0..5_usize).prop_map(Act::CrashAfter),
        2 => (1..400_i64).prop_map(Act::Wait),
    ]
}

fn name_of(slot: Slot) -> String {
    format!("sandbox-web{}", slot.suffix())
}

impl World {
    fn new(fixed_names: bool) -> Self {
        let memory = Memory { uid: "uid-1".to_owned(), ..Memory::default() };
        Self {
            now: 0,
            fixed_names,
            containers: Vec::new(),
            memory,
            made: 0,
            desired: Some(desired(GOOD)),
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut Desired)) {
        change(self.desired.get_or_insert_with(|| desired(GOOD)));
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::Edit(image) => self.edit(|d| d.container.image = (*image).to_owned()),
            Act::Limit(cpus) => self.edit(|d| d.limits.nano_cpus = Some(*cpus)),
            Act::Suspend(true) => self.edit(|d| d.operating_mode = OperatingMode::Suspended),
            Act::Suspend(false) => self.edit(|d| d.operating_mode = OperatingMode::Running),
            Act::Withdraw => self.desired = None,
            Act::Kill => {
                let now = at(self.now);
                for container in self.containers.iter_mut().filter(|c| ours(c) && c.is_live()) {
                    end(container, 137, now);
                }
            }
            Act::RemoveByHand => {
                if let Some(index) = self.containers.iter().position(ours) {
                    self.containers.remove(index);
                }
            }
            Act::PauseByHand => {
                for container in self.containers.iter_mut().filter(|c| ours(c) && c.is_running()) {
                    container.state = ContainerState::Paused;
                }
            }
            Act::Reboot => {
                self.act(&Act::Kill);
                if self.fixed_names {
                    for container in self.containers.iter_mut().filter(|c| ours(c)) {
                        container.state = ContainerState::Created;
                        (container.started_at, container.finished_at) = (None, None);
                        container.exit_code = None;
                    }
                }
            }
            Act::ForeignTakes(slot) => self.foreign_takes(*slot),
            Act::ForeignGoes => self.containers.retain(ours),
            Act::Pass => self.pass(usize::MAX),
            Act::CrashAfter(steps) => self.pass(*steps),
            Act::Wait(seconds) => self.now += seconds,
        }
    }

    fn foreign_takes(&mut self, slot: Slot) {
        if self.at(slot).is_none() {
            let id = format!("foreign-{}", self.containers.len());
            let mut foreign = container(&id, &desired(GOOD));
            foreign.name = name_of(slot);
            foreign.fingerprint = None;
            self.containers.push(foreign);
        }
    }

    fn at(&self, slot: Slot) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name_of(slot))
    }

    fn observe(&self) -> Observed {
        let own = |slot| self.at(slot).filter(|container| ours(container)).cloned();
        let foreign = [Slot::Main, Slot::Replacement, Slot::Predecessor]
            .into_iter()
            .find_map(|slot| Some((slot, self.at(slot).filter(|c| !ours(c))?)));
        let observed = Observed {
            main: own(Slot::Main),
            replacement: own(Slot::Replacement),
            predecessor: own(Slot::Predecessor),
            foreign: foreign.map(|(slot, container)| Foreign {
                id: container.id.clone(),
                name: container.name.clone(),
                slot,
                state: container.state,
            }),
            ..Observed::default()
        };
        if self.fixed_names { observed.with_roles(&self.memory) } else { observed }
    }

    /// Observes, plans and takes the first `limit` steps; a crash forgets what the last one did.
    fn pass(&mut self, limit: usize) {
        let observed = self.observe();
        let facts = Facts {
            ports: BTreeMap::from([("http".to_owned(), 8080)]),
            live_update: true,
            fixed_names: self.fixed_names,
            ..Facts::default()
        };
        let desired = self.desired.clone();
        let fingerprint = desired.as_ref().map(fingerprint);
        let wanted = desired.as_ref().zip(fingerprint.as_ref());
        let wanted = wanted.map(|(desired, fingerprint)| Wanted { desired, fingerprint });
        let wish = match wanted {
            Some(wanted) => Wish::Declared(wanted),
            None => Wish::Withdrawn { grace: Duration::from_secs(1) },
        };
        let now = at(self.now);
        let memory = self.memory.clone();
        let inputs = Inputs { wish, observed: &observed, facts: &facts, memory: &memory, now };
        let memory = after_observing(&inputs);
        let inputs = Inputs { memory: &memory, ..inputs };
        let planned = plan(&inputs);
        assert_eq!(planned, plan(&inputs), "planning is a function");
        self.memory = before_acting(&inputs, &planned);
        let mut created = None;
        for (index, step) in planned.steps.iter().enumerate() {
            if index >= limit {
                return;
            }
            let outcome = self.take(&step.step, created.as_ref(), step.cause, wanted);
            if let Outcome::Created(id) = &outcome {
                created = Some(id.clone());
            }
            self.check_safety();
            if index + 1 == limit {
                return;
            }
            self.memory = after_step(&self.memory, &step.step, &outcome, &inputs, now);
            if matches!(outcome, Outcome::Failed { .. } | Outcome::Void) {
                return;
            }
        }
    }

    fn take(
        &mut self,
        step: &Step,
        created: Option<&ContainerId>,
        cause: Cause,
        wanted: Option<Wanted<'_>>,
    ) -> Outcome {
        let now = at(self.now);
        match step {
            Step::Create { slot } => {
                return self.create(*slot, wanted.expect("only declared ones are created"));
            }
            Step::StartCreated => {
                let id = created.cloned().expect("an earlier step created it");
                return self.start(&id);
            }
            Step::Start { container } => return self.start(container),
            Step::Remove { container } => {
                self.may_go(container, cause, wanted);
                let removed = self.own(container);
                assert!(!removed.is_live(), "a live container is never removed");
                let id = removed.id.clone();
                self.containers.retain(|c| c.id != id);
            }
            Step::Stop { container, .. } => end(self.own(container), 143, now),
            Step::Unpause { container } => self.own(container).state = ContainerState::Running,
            Step::Rename { container, slot } => {
                assert!(!self.fixed_names, "this engine cannot rename");
                assert!(self.at(*slot).is_none(), "the name {} is free", name_of(*slot));
                self.own(container).name = name_of(*slot);
            }
            Step::UpdateLimits { container, limits } => self.own(container).limits = *limits,
            Step::Pull
            | Step::ConnectNetwork { .. }
            | Step::RepairPermissions { .. }
            | Step::Adopt { .. } => unreachable!("the model gives no reason for {step:?}"),
        }
        Outcome::Done
    }

    fn create(&mut self, slot: Slot, wanted: Wanted<'_>) -> Outcome {
        assert!(self.at(slot).is_none(), "the name {} is free", name_of(slot));
        let image = &wanted.desired.container.image;
        if image == MISSING {
            let message = "no such image".to_owned();
            return Outcome::Failed { kind: HoldKind::ImageUnavailable, message, terminal: false };
        }
        self.made += 1;
        let mut made = container(&format!("c{}", self.made), wanted.desired);
        made.name = name_of(slot);
        (made.state, made.started_at) = (ContainerState::Created, None);
        let id = made.id.clone();
        self.containers.push(made);
        Outcome::Created(id)
    }

    fn start(&mut self, id: &ContainerId) -> Outcome {
        let now = at(self.now);
        let container = self.own(id);
        match container.image.as_str() {
            CANNOT_START => Outcome::Failed {
                kind: HoldKind::StartFailed,
                message: "no such file".to_owned(),
                terminal: true,
            },
            image => {
                container.state = ContainerState::Running;
                container.started_at = Some(now);
                if image == CRASHES {
                    end(container, 1, now);
                }
                Outcome::Done
            }
        }
    }

    /// The container of this id, which must be ours: a step on a foreign one fails the test here.
    fn own(&mut self, id: &ContainerId) -> &mut Container {
        let container = self.containers.iter_mut().find(|c| c.id == *id);
        container.filter(|c| ours(c)).expect("steps touch only containers that exist and are ours")
    }

    /// The predecessor goes only when its replacement runs, or when the user wants it gone.
    fn may_go(&self, id: &ContainerId, cause: Cause, wanted: Option<Wanted<'_>>) {
        if wanted.is_none() {
            return;
        }
        let leaving = self.containers.iter().find(|c| c.id == *id).expect("it is there");
        let has_run = self.memory.was_ready.as_ref() == Some(id);
        let set_aside = self.fixed_names || leaving.name == name_of(Slot::Predecessor);
        if set_aside && has_run && cause == Cause::ReplacementUp {
            let mut younger = self.containers.iter().skip_while(|c| c.id != *id).skip(1);
            let heir = |c: &Container| self.fixed_names || c.name == name_of(Slot::Main);
            let heir = younger.find(|c| ours(c) && heir(c));
            assert!(heir.is_some(), "one made later has the name before the old one goes");
        }
        let heirs = self.containers.iter().filter(|c| ours(c) && c.id != *id && c.is_live());
        assert!(!has_run || heirs.count() > 0, "what served is kept until another runs: {cause:?}");
    }

    fn check_safety(&self) {
        let live = self.containers.iter().filter(|c| ours(c) && c.is_live()).count();
        assert!(live <= 1, "never two at once: {:#?}", self.containers);
    }

    /// No more faults: foreign containers go, time passes, passes are made.
    fn settle(&mut self) {
        self.act(&Act::ForeignGoes);
        for _ in 0..40 {
            self.pass(usize::MAX);
            self.now += 331; // longer than the longest back-off
        }
    }
}

fn ours(container: &Container) -> bool {
    container.fingerprint.is_some()
}

fn end(container: &mut Container, code: i64, now: Timestamp) {
    container.state = ContainerState::Exited;
    container.finished_at = Some(now);
    container.exit_code = Some(code);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_converges_and_then_plans_nothing(
        history in prop::collection::vec(acts(), 1..40),
        fixed_names: bool,
    ) {
        let mut world = World::new(fixed_names);
        for act in &history {
            world.act(act);
            world.check_safety();
        }
        world.settle();
        let before = world.clone();
        world.pass(usize::MAX);
        if let Some(desired) = &world.desired {
            let good = [GOOD, GOOD_TOO].contains(&desired.container.image.as_str());
            let running = desired.operating_mode == OperatingMode::Running;
            if good || !running {
                prop_assert_eq!(&before.containers, &world.containers, "a converged world stays");
                prop_assert!(world.containers.len() <= 1);
            }
            if good && running {
                let main = world.observe().main.expect("it is there");
                prop_assert!(main.is_running());
                // A replacement that was killed while it came up counts as a bad one.
                let wanted = fingerprint(desired);
                let rejected = world.memory.rejected.as_ref();
                if rejected.is_none_or(|rejected| rejected.spec_hash != wanted.spec_hash) {
                    prop_assert_eq!(&main.fingerprint, &Some(wanted));
                    prop_assert_eq!(main.limits, desired.limits);
                }
            }
            if !running {
                prop_assert!(world.containers.iter().all(|c| !c.is_live()));
            }
        } else {
            prop_assert!(world.containers.is_empty());
        }
    }

    #[test]
    fn a_bad_edit_never_costs_the_running_sandbox(
        bad in prop::sample::select(vec![CRASHES, CANNOT_START, MISSING]),
        crashes in prop::collection::vec(0..5_usize, 0..6),
        policy in prop::sample::select(vec![RestartPolicy::Always, RestartPolicy::Never]),
        fixed_names: bool,
    ) {
        let mut world = World::new(fixed_names);
        world.edit(|d| d.restart_policy = policy);
        world.settle();
        world.act(&Act::Edit(bad));
        for steps in crashes {
            world.act(&Act::CrashAfter(steps));
        }
        world.settle();
        let main = world.observe().main.expect("the old one serves");
        prop_assert!(main.is_running());
        prop_assert_eq!(main.image.as_str(), GOOD);
        prop_assert_eq!(world.containers.len(), 1);
    }

    /// An edit comes up, and is edited again to what cannot be carried out: it comes up all the same.
    #[test]
    fn a_bad_second_edit_does_not_undo_the_first(
        bad in prop::sample::select(vec![CRASHES, CANNOT_START, MISSING]),
        crashes in prop::collection::vec(0..5_usize, 0..3),
        waited in 0..3_i64,
        fixed_names: bool,
    ) {
        let mut world = World::new(fixed_names);
        world.settle();
        world.act(&Act::Edit(GOOD_TOO));
        world.pass(usize::MAX);
        world.now += waited;
        world.act(&Act::Edit(bad));
        for steps in crashes {
            world.act(&Act::CrashAfter(steps));
        }
        world.settle();
        let main = world.observe().main.expect("what served last serves");
        prop_assert!(main.is_running());
        prop_assert_eq!(main.image.as_str(), GOOD_TOO);
        prop_assert_eq!(world.containers.len(), 1);
    }
}
