//! A world made of the fuzzer's bytes, and one plan for it. Whatever was observed, remembered and wished:
//! planning is a function, it touches only what is ours, takes no name that is in use, removes nothing
//! that runs, and starts nothing beside what runs.
#![no_main]

mod world;

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use sandkeeper::plan::conditions::{self, REASONS, TYPES};
use sandkeeper::plan::outcome::{after_observing, after_step, before_acting};
use sandkeeper::plan::{
    Container, ContainerId, ContainerState, Inputs, Observed, Outcome, Plan, Slot, Step, Wish, plan,
};

use world::World;

fuzz_target!(|world: World| {
    let desired = world.desired();
    let parts = world.parts(&desired);
    let inputs = parts.inputs();
    let memory = after_observing(&inputs);
    let inputs = Inputs { memory: &memory, ..inputs };
    let planned = plan(&inputs);
    assert_eq!(planned, plan(&inputs), "planning is a function");
    check(&inputs, &planned);
    remember(&inputs, &planned);
    told(&inputs, &planned);
});

/// Takes the steps on a model of the names and states.
fn check(inputs: &Inputs<'_>, planned: &Plan) {
    let mut model = Model::of(inputs.observed);
    for planned in &planned.steps {
        model.take(&planned.step, inputs);
    }
}

struct Model {
    /// Ours, by id: the name's slot, if it has one, and the state.
    ours: BTreeMap<ContainerId, (Option<Slot>, ContainerState)>,
    foreign: Option<(ContainerId, Slot)>,
    created: Option<ContainerId>,
    /// More than one ran to begin with: that is for the plan to end, and proves nothing of it.
    crowded: bool,
}

impl Model {
    fn of(observed: &Observed) -> Self {
        let slots = [
            (&observed.main, Slot::Main),
            (&observed.replacement, Slot::Replacement),
            (&observed.predecessor, Slot::Predecessor),
        ];
        let named = slots
            .into_iter()
            .filter_map(|(container, slot)| Some((container.as_ref()?, Some(slot))));
        let unnamed = observed.renamed.iter().chain(&observed.leftover);
        let all = named.chain(unnamed.map(|container| (container, None)));
        let ours: BTreeMap<_, _> =
            all.map(|(it, slot): (&Container, _)| (it.id.clone(), (slot, it.state))).collect();
        let foreign = observed.foreign.as_ref().map(|foreign| (foreign.id.clone(), foreign.slot));
        let live = ours.values().filter(|(_, state)| is_live(*state)).count();
        Self { ours, foreign, created: None, crowded: live > 1 }
    }

    fn take(&mut self, step: &Step, inputs: &Inputs<'_>) {
        let wished = !matches!(inputs.wish, Wish::Withdrawn { .. });
        match step {
            Step::Pull => assert!(wished, "nothing is pulled for what is gone"),
            Step::Create { slot } => {
                assert!(wished, "nothing is made of what is gone");
                self.must_be_free(*slot);
                let id = ContainerId("created".to_owned());
                self.ours.insert(id.clone(), (Some(*slot), ContainerState::Created));
                self.created = Some(id);
            }
            Step::StartCreated => {
                let id = self.created.clone().expect("an earlier step created it");
                self.start(&id);
            }
            Step::Start { container } => {
                assert!(wished, "nothing is started of what is gone");
                self.start(container);
            }
            Step::Unpause { container } => {
                assert_eq!(self.own(container).1, ContainerState::Paused);
                self.own(container).1 = ContainerState::Running;
            }
            Step::Stop { container, .. } => self.own(container).1 = ContainerState::Exited,
            Step::Rename { container, slot } => {
                self.must_be_free(*slot);
                self.own(container).0 = Some(*slot);
            }
            Step::Remove { container } => {
                assert!(!is_live(self.own(container).1), "nothing that runs is removed");
                self.ours.remove(container);
            }
            Step::UpdateLimits { container, .. }
            | Step::ConnectNetwork { container }
            | Step::RepairPermissions { container } => {
                self.own(container);
            }
            Step::Adopt { container } => {
                let Wish::Declared(wanted) = inputs.wish else { panic!("nobody asked for it") };
                assert!(wanted.desired.adopt, "nobody asked for it");
                assert_eq!(self.foreign, Some((container.clone(), Slot::Main)));
            }
        }
    }

    fn start(&mut self, id: &ContainerId) {
        let others = self.ours.iter().filter(|(other, (_, state))| *other != id && is_live(*state));
        assert!(self.crowded || others.count() == 0, "two would run at once");
        let own = self.own(id);
        assert!(!is_live(own.1), "it runs already");
        own.1 = ContainerState::Running;
    }

    /// A step that is about a container of somebody else ends here.
    fn own(&mut self, id: &ContainerId) -> &mut (Option<Slot>, ContainerState) {
        self.ours.get_mut(id).expect("steps are about containers that exist and are ours")
    }

    fn must_be_free(&self, slot: Slot) {
        assert!(self.ours.values().all(|(held, _)| *held != Some(slot)), "{slot:?} is in use");
        let foreign = self.foreign.as_ref().map(|(_, slot)| *slot);
        assert!(foreign != Some(slot), "{slot:?} is somebody else's");
    }
}

fn is_live(state: ContainerState) -> bool {
    use ContainerState::{Paused, Restarting, Running};
    matches!(state, Running | Paused | Restarting)
}

/// Memory takes whatever comes of each step.
fn remember(inputs: &Inputs<'_>, planned: &Plan) {
    let mut memory = before_acting(inputs, planned);
    for planned in &planned.steps {
        let outcome = match planned.step {
            Step::Create { .. } => Outcome::Created(ContainerId("created".to_owned())),
            _ => Outcome::Done,
        };
        memory = after_step(&memory, &planned.step, &outcome, inputs, inputs.now);
        memory = after_step(&memory, &planned.step, &Outcome::Void, inputs, inputs.now);
    }
}

/// The status has known conditions with known reasons, each once.
fn told(inputs: &Inputs<'_>, planned: &Plan) {
    let context = conditions::Context {
        engine: "docker",
        advertise: "localhost",
        bind: world::LOOPBACK,
        source: "/srv/specs/web.yaml",
        stale: None,
        notices: &[],
        not_converging: None,
        previous: None,
    };
    let status = conditions::status(inputs, planned, &context);
    let types: Vec<&str> = status.conditions.iter().map(|it| it.type_.as_str()).collect();
    assert!(types.iter().all(|it| TYPES.contains(it)), "{types:?}");
    let known = |reason: &String| REASONS.contains(&reason.as_str());
    assert!(status.conditions.iter().all(|it| known(&it.reason)), "{:?}", status.conditions);
    let mut once = types.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), types.len(), "{types:?}");
}
