//! Model checking: the real planner and the real decisions around it, in a small world that does
//! everything it can, in every order.
//!
//! The world ([`world`]) has files, containers and an engine; people and faults act in it between any two
//! calls. The daemon ([`daemon`]) is the product's own pure functions. Observing, and each call of a plan,
//! are transitions of their own, so every plan may be stale when it acts, and a crash may fall before and
//! after every call. Stateright visits every state that the bounds allow, breadth first.
//!
//! Safety is flagged by the transitions. Liveness is a safety property too: from *every* state, once the
//! faults are over, a bounded number of passes brings the world to what its files say, and then nothing is
//! planned ([`Model::settles`]). The seeded bugs ([`seeds`]) show that both can be seen to fail.
//!
//! `SANDKEEPER_MODEL=SANDBOXES,ACTS,FAULTS,WAITS cargo test --release --lib controller::model -- --nocapture`
//! runs it with other bounds.

mod daemon;
mod seeds;
mod world;

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model as Stateright, Property};

use crate::plan::{ContainerState, Memory, Slot};
use daemon::{Daemon, Fate, Lie};
use seeds::Seed;
use world::{Accepted, File, Id, Keeper, Maker, Name, Remembered, Spec, Spent, Who, World, now};

/// Longer than the time for which a replacement is watched, and than the first back-off.
const SHORT: Duration = Duration::from_secs(3);
/// Longer than the longest back-off, and than a healthy run.
const LONG: Duration = Duration::from_secs(700);
/// A healed world is at rest after fewer passes.
const PASSES: usize = 60;

/// How much may happen.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    sandboxes: usize,
    acts: u8,
    faults: u8,
    waits: u8,
    /// Contents that people write into files.
    specs: &'static [Spec],
}

/// What can happen next.
#[derive(Clone, Debug, PartialEq)]
enum Action {
    // What the daemon, the engine and time do by themselves.
    Read(Who),
    Look(Who),
    Step(Who),
    Reap(Id),
    Land(usize),
    Wait(Duration),
    DirectoryReturns,
    EngineReturns,
    // What people do.
    Edit(Who, File),
    Kill(Id),
    RemoveByHand(Id),
    PauseByHand(Id),
    RenameByHand(Id),
    StrangerTakes(Who, Slot),
    StrangerCopies(Id),
    StrangerGoes(Id),
    // What goes wrong.
    LookAt(Who, Lie),
    StepMeets(Who, Fate),
    DirectoryLost,
    EngineLost,
    Crash,
    MemoryLost(Who),
}

/// What a world has come to.
#[derive(Clone, Copy, Debug)]
struct End {
    settled: bool,
    serving: [bool; 2],
}

struct Model {
    bounds: Bounds,
    daemon: Daemon,
    hasher: RandomState,
    /// Where healed worlds end, by their hash.
    ends: Mutex<HashMap<u64, End>>,
}

impl Model {
    fn new(bounds: Bounds, seed: Option<Seed>) -> Self {
        let daemon = Daemon::new(bounds.sandboxes, seed);
        Self { bounds, daemon, hasher: RandomState::new(), ends: Mutex::default() }
    }

    /// Every file is there, and nothing has been done about it.
    fn beginning(&self) -> World {
        let keeper = Keeper {
            file: File::Holds(Spec::Good),
            life: 0,
            accepted: Accepted::Nothing,
            missed: false,
            memory: Remembered(Memory::default()),
            pending: None,
            truly_missed: 0,
            definite: false,
            stuck: false,
        };
        World {
            keepers: vec![keeper; self.bounds.sandboxes],
            crates: Vec::new(),
            directory: true,
            engine: true,
            engine_returned: None,
            late: Vec::new(),
            known: BTreeSet::new(),
            listed: false,
            spent: Spent::default(),
            violation: None,
        }
    }

    fn everybody(&self) -> std::ops::Range<Who> {
        0..self.bounds.sandboxes
    }

    /// The faults are over: what was lost is back, what was asked for late is forgotten, strangers left.
    fn heal(world: &World) -> World {
        let mut healed = world.clone();
        if !healed.engine {
            engine_returns(&mut healed);
        }
        (healed.directory, healed.spent) = (true, Spent::default());
        healed.late.clear();
        healed.crates.retain(|it| it.is_ours() && it.state != ContainerState::Removing);
        for keeper in &mut healed.keepers {
            keeper.pending = None;
        }
        healed
    }

    /// One pass over everything, in which nothing goes wrong.
    fn pass(&self, world: &mut World) {
        for who in self.everybody() {
            self.daemon.read(world, who);
            self.daemon.look(world, who, None);
            while world.keepers[who].pending.is_some() {
                self.daemon.step(world, who, Fate::Done);
                world.crates.retain(|it| it.state != ContainerState::Removing);
            }
            world.disown();
        }
    }

    /// Whether the world comes to what its files say once it is left alone, and costs no container that
    /// serves on the way.
    fn settles(&self, world: &World) -> bool {
        let healed = Self::heal(world);
        let serves = self.serving(&healed);
        let end = self.end(healed);
        let kept = |who: Who| !serves[who] || end.serving[who];
        end.settled && self.everybody().all(kept)
    }

    fn end(&self, mut world: World) -> End {
        let mut on_the_way = Vec::new();
        let mut found = None;
        for _ in 0..PASSES {
            let key = self.hasher.hash_one(&world);
            found = self.ends.lock().unwrap().get(&key).copied();
            if found.is_some() || on_the_way.contains(&key) {
                break;
            }
            on_the_way.push(key);
            self.pass(&mut world);
            world.wait(Duration::from_secs(331)); // longer than the longest back-off
        }
        let end = found.unwrap_or_else(|| End {
            settled: self.everybody().all(|who| self.is_settled(&world, who)),
            serving: self.serving(&world),
        });
        self.ends.lock().unwrap().extend(on_the_way.into_iter().map(|key| (key, end)));
        end
    }

    /// Whether each sandbox has a good container up although its file may say otherwise.
    fn serving(&self, world: &World) -> [bool; 2] {
        let mut serving = [false; 2];
        for who in self.everybody() {
            let keeper = &world.keepers[who];
            let wants_one = match (keeper.file, keeper.accepted) {
                (File::Absent, _)
                | (_, Accepted::Tombstone)
                | (File::Invalid, Accepted::Nothing) => false,
                (File::Holds(spec), _) | (_, Accepted::Declared(spec)) => spec != Spec::Asleep,
            };
            serving[who] = wants_one
                && world.crates.iter().any(|it| {
                    it.is_of(who)
                        && it.state == ContainerState::Running
                        && matches!(it.maker, Maker::Us { life, .. } if life == keeper.life)
                        && it.spec().is_some_and(Spec::serves)
                });
        }
        serving
    }

    fn is_settled(&self, world: &World, who: Who) -> bool {
        let keeper = &world.keepers[who];
        let ours: Vec<_> = world.crates.iter().filter(|it| it.is_of(who)).collect();
        if world.violation.is_some() || world.live(who) > 1 {
            return false;
        }
        let up = |it: &world::Crate| {
            it.name == Name::Of(who, Slot::Main) && it.state == ContainerState::Running
        };
        let wanted = match keeper.accepted {
            Accepted::Tombstone => return false,
            Accepted::Nothing => {
                // An invalid file that was never valid holds back nothing but its own strays.
                return ours.is_empty() || keeper.file == File::Invalid;
            }
            Accepted::Declared(spec) => spec,
        };
        match (wanted, ours.as_slice()) {
            // What does not come up may have a predecessor that waits for it to.
            (Spec::Crashes | Spec::CannotStart, ours) => ours.len() <= 2,
            (Spec::Asleep, ours) => ours.len() <= 1 && world.live(who) == 0,
            (_, [] | [_, _, ..]) => false,
            (_, [one]) => {
                // A replacement that was killed while it came up counts as a bad one.
                let memory = &keeper.memory.0;
                let hash = self.daemon.hash(wanted);
                let rejected = memory.rejected.as_ref().is_some_and(|it| it.spec_hash == hash);
                let right = one.spec().is_some_and(|spec| self.daemon.hash(spec) == hash);
                up(one) && (right || rejected) && self.plans_nothing(world, who)
            }
        }
    }

    fn plans_nothing(&self, world: &World, who: Who) -> bool {
        let mut world = world.clone();
        self.daemon.look(&mut world, who, None);
        world.keepers[who].pending.is_none()
    }

    fn acts(&self, world: &World, actions: &mut Vec<Action>) {
        for who in self.everybody() {
            let valid = self.bounds.specs.iter().map(|spec| File::Holds(*spec));
            let files = [File::Absent, File::Invalid].into_iter().chain(valid);
            let now = world.keepers[who].file;
            actions.extend(files.filter(|file| *file != now).map(|file| Action::Edit(who, file)));
            for slot in [Slot::Main, Slot::Replacement, Slot::Predecessor] {
                if world.holder(Name::Of(who, slot)).is_none() {
                    actions.push(Action::StrangerTakes(who, slot));
                }
            }
        }
        for it in world.crates.iter().filter(|it| it.state != ContainerState::Removing) {
            if !it.is_ours() {
                actions.push(Action::StrangerGoes(it.id));
                continue;
            }
            actions.push(Action::RemoveByHand(it.id));
            actions.push(Action::StrangerCopies(it.id));
            if matches!(it.name, Name::Of(..)) {
                actions.push(Action::RenameByHand(it.id));
            }
            if it.is_live() {
                actions.push(Action::Kill(it.id));
            }
            if it.state == ContainerState::Running {
                actions.push(Action::PauseByHand(it.id));
            }
        }
    }

    fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        for who in self.everybody() {
            if world.keepers[who].pending.is_some() {
                let fates = [Fate::Refused, Fate::ReplyLost, Fate::Late, Fate::Crash];
                actions.extend(fates.map(|fate| Action::StepMeets(who, fate)));
            } else if world.engine && world.listed {
                // The first list after a start is believed, but for what is on record.
                let mine = || world.crates.iter().filter(|it| it.is_of(who));
                if mine().count() > 1 {
                    actions.push(Action::LookAt(who, Lie::Empty));
                }
                actions.extend(mine().map(|it| Action::LookAt(who, Lie::Without(it.id))));
            }
            actions.push(Action::MemoryLost(who));
        }
        if world.directory {
            actions.push(Action::DirectoryLost);
        }
        if world.engine {
            actions.push(Action::EngineLost);
        }
        actions.push(Action::Crash);
    }

    fn act(&self, world: &mut World, action: &Action) {
        match *action {
            Action::Read(who) => self.daemon.read(world, who),
            Action::Look(who) => self.daemon.look(world, who, None),
            Action::LookAt(who, lie) => self.daemon.look(world, who, Some(lie)),
            Action::Step(who) => self.daemon.step(world, who, Fate::Done),
            Action::StepMeets(who, fate) => self.daemon.step(world, who, fate),
            Action::Reap(id) | Action::StrangerGoes(id) | Action::RemoveByHand(id) => {
                world.reap(id);
            }
            Action::Land(index) => {
                let call = world.late.remove(index);
                world.land(call);
            }
            Action::Wait(time) => world.wait(time),
            Action::DirectoryReturns => world.directory = true,
            Action::EngineReturns => engine_returns(world),
            Action::Edit(who, file) => world.keepers[who].file = file,
            Action::Kill(id) => world.kill(id),
            Action::PauseByHand(id) => {
                world.get_mut(id).unwrap().state = ContainerState::Paused;
            }
            Action::RenameByHand(id) => world.get_mut(id).unwrap().name = Name::Aside(id),
            Action::StrangerTakes(who, slot) => {
                world.add(Name::Of(who, slot), Maker::Stranger, ContainerState::Running);
            }
            Action::StrangerCopies(id) => {
                let Maker::Us { who, life, spec } = world.get(id).unwrap().maker else { return };
                let copy = Maker::Copier { who, life, spec };
                // Beside the sandboxes' names, or under the name of another one.
                let other = self.everybody().find(|other| *other != who);
                let name = other.map(|other| Name::Of(other, Slot::Main));
                let free = name.filter(|name| world.holder(*name).is_none());
                let name = free.unwrap_or(Name::Aside(world.free_id()));
                world.add(name, copy, ContainerState::Running);
            }
            Action::DirectoryLost => world.directory = false,
            Action::EngineLost => engine_lost(world),
            Action::Crash => world.crash(),
            Action::MemoryLost(who) => {
                world.crash();
                world.excuse_restarts(who);
                world.keepers[who].memory = Remembered(Memory::default());
            }
        }
    }
}

/// It ends, and what it runs with it.
fn engine_lost(world: &mut World) {
    world.engine = false;
    let live: Vec<Id> = world.crates.iter().filter(|it| it.is_live()).map(|it| it.id).collect();
    for id in live {
        world.kill(id);
    }
    for keeper in &mut world.keepers {
        keeper.pending = None;
    }
}

fn engine_returns(world: &mut World) {
    world.wait(Duration::from_secs(10));
    world.engine = true;
    world.engine_returned = Some(now());
}

impl Action {
    fn cost(&self) -> Spent {
        let mut cost = Spent::default();
        match self {
            Self::Read(_)
            | Self::Look(_)
            | Self::Step(_)
            | Self::Reap(_)
            | Self::Land(_)
            | Self::DirectoryReturns
            | Self::EngineReturns => {}
            Self::Wait(_) => cost.waits = 1,
            Self::Edit(..)
            | Self::Kill(_)
            | Self::RemoveByHand(_)
            | Self::PauseByHand(_)
            | Self::RenameByHand(_)
            | Self::StrangerTakes(..)
            | Self::StrangerCopies(_)
            | Self::StrangerGoes(_) => cost.acts = 1,
            Self::LookAt(..)
            | Self::StepMeets(..)
            | Self::DirectoryLost
            | Self::EngineLost
            | Self::Crash
            | Self::MemoryLost(_) => cost.faults = 1,
        }
        cost
    }

    /// Whether plans under way cannot know of it.
    fn disturbs(&self) -> bool {
        let others = matches!(self, Self::Land(_) | Self::EngineLost | Self::EngineReturns);
        self.cost().acts > 0 || others
    }
}

impl Stateright for Model {
    type State = World;
    type Action = Action;

    /// An empty host, and one on which everything has long been running.
    fn init_states(&self) -> Vec<World> {
        let empty = self.beginning();
        let mut settled = empty.clone();
        for _ in 0..10 {
            self.pass(&mut settled);
            settled.wait(LONG);
        }
        vec![empty, settled]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.violation.is_some() {
            return;
        }
        let (spent, bounds) = (world.spent, self.bounds);
        let planning = world.keepers.iter().any(|keeper| keeper.pending.is_some());
        for who in self.everybody() {
            actions.push(Action::Read(who));
            if world.keepers[who].pending.is_some() {
                actions.push(Action::Step(who));
            } else if world.keepers[who].accepted != Accepted::Nothing {
                actions.push(Action::Look(who));
            }
        }
        let removing = world.crates.iter().filter(|it| it.state == ContainerState::Removing);
        actions.extend(removing.map(|it| Action::Reap(it.id)));
        actions.extend((0..world.late.len()).map(Action::Land));
        if !world.directory {
            actions.push(Action::DirectoryReturns);
        }
        if !world.engine {
            actions.push(Action::EngineReturns);
        }
        // A pass takes no time next to these.
        if spent.waits < bounds.waits && !planning {
            actions.extend([SHORT, LONG].map(Action::Wait));
        }
        if spent.acts < bounds.acts {
            self.acts(world, actions);
        }
        if spent.faults < bounds.faults {
            self.faults(world, actions);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        if action.disturbs() {
            next.disturb();
        }
        self.act(&mut next, &action);
        next.disown();
        if next == *world {
            return None;
        }
        let cost = action.cost();
        next.spent.acts += cost.acts;
        next.spent.faults += cost.faults;
        next.spent.waits += cost.waits;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn up(world: &World, who: Who, spec: Spec) -> bool {
            let main = world.holder(Name::Of(who, Slot::Main));
            main.is_some_and(|it| it.state == ContainerState::Running && it.spec() == Some(spec))
        }
        fn holds(world: &World, name: Slot) -> bool {
            world.holder(Name::Of(0, name)).is_some_and(world::Crate::is_ours)
        }
        vec![
            Property::always("safe", |_: &Self, world: &World| world.violation.is_none()),
            Property::always("settles", |model: &Self, world: &World| model.settles(world)),
            // That the properties are about something.
            Property::sometimes("everything runs", |model: &Self, world: &World| {
                model.everybody().all(|who| up(world, who, Spec::Good))
            }),
            Property::sometimes("an edit has replaced a container", |_: &Self, world: &World| {
                up(world, 0, Spec::Other) && world.crates.len() == world.keepers.len()
            }),
            Property::sometimes(
                "a replacement comes up beside its predecessor",
                |_: &Self, world: &World| {
                    holds(world, Slot::Replacement) && holds(world, Slot::Predecessor)
                },
            ),
            Property::sometimes("a withdrawn sandbox is gone", |_: &Self, world: &World| {
                world.keepers[0].life > 0
                    && world.keepers[0].accepted == Accepted::Nothing
                    && !world.crates.iter().any(|it| it.is_of(0))
            }),
            Property::sometimes("an abandoned request lies in wait", |_: &Self, world: &World| {
                !world.late.is_empty()
            }),
            Property::sometimes("an update was rolled back", |_: &Self, world: &World| {
                world.keepers[0].memory.0.rejected.is_some() && up(world, 0, Spec::Good)
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[Spec] = &Spec::ALL;
    const FEW: &[Spec] = &[Spec::Good, Spec::Other, Spec::Crashes];

    /// Checks, prints the figures, and returns what was found against the properties.
    fn check(
        bounds: Bounds,
        seed: Option<Seed>,
        threads: usize,
    ) -> Vec<(&'static str, Vec<String>)> {
        let began = Instant::now();
        let checker = Model::new(bounds, seed)
            .checker()
            .threads(threads)
            .finish_when(HasDiscoveries::AnyFailures)
            .spawn_bfs()
            .join();
        let mut failures = Vec::new();
        for property in checker.model().properties() {
            let path = checker.discovery(property.name);
            match (property.expectation.discovery_is_failure(), path) {
                (true, Some(path)) => {
                    let last = path.last_state().violation;
                    let mut text: Vec<String> =
                        path.into_actions().iter().map(|it| format!("{it:?}")).collect();
                    text.extend(last.map(|it| format!("{it:?}")));
                    failures.push((property.name, text));
                }
                (false, None) if seed.is_none() && bounds.sandboxes == 1 => {
                    failures.push((property.name, vec!["no state is like this".to_owned()]));
                }
                _ => {}
            }
        }
        println!(
            "{bounds:?} {seed:?}: {} states, {} transitions, depth {}, {:.1} s",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            began.elapsed().as_secs_f64()
        );
        failures
    }

    const fn bounds(
        sandboxes: usize,
        acts: u8,
        faults: u8,
        waits: u8,
        specs: &'static [Spec],
    ) -> Bounds {
        Bounds { sandboxes, acts, faults, waits, specs }
    }

    /// Where the seeded bugs are looked for. All are found long before the bounds are reached.
    const WIDE: Bounds = bounds(1, 2, 1, 1, FEW);

    #[track_caller]
    fn assert_holds(bounds: Bounds) {
        let failures = check(bounds, None, 2);
        assert!(failures.is_empty(), "{failures:#?}");
    }

    #[test]
    fn one_sandbox_is_safe_and_settles_whatever_happens() {
        assert_holds(bounds(1, 1, 1, 1, FEW));
    }

    #[test]
    fn two_sandboxes_are_safe_and_settle_whatever_happens() {
        assert_holds(bounds(2, 1, 1, 0, &[Spec::Other]));
    }

    /// Other bounds, when asked for.
    #[test]
    fn it_holds_within_the_bounds_that_are_asked_for() {
        let Ok(asked) = std::env::var("SANDKEEPER_MODEL") else { return };
        let numbers: Vec<u8> = asked.split(',').map(|it| it.parse().unwrap()).collect();
        let [sandboxes, acts, faults, waits] = numbers[..] else {
            panic!("SANDKEEPER_MODEL is SANDBOXES,ACTS,FAULTS,WAITS, as in 1,3,2,2")
        };
        assert_holds(bounds(sandboxes.into(), acts, faults, waits, ALL));
    }

    #[test]
    fn every_seeded_bug_is_found() {
        let mut missed = Vec::new();
        for seed in Seed::ALL {
            let found = check(WIDE, Some(seed), 1);
            match found.iter().min_by_key(|(_, path)| path.len()) {
                Some((property, path)) => {
                    println!("{seed:?}: {property}, {} steps: {}", path.len(), path.join(" "));
                }
                None => missed.push(seed),
            }
        }
        assert!(missed.is_empty(), "not found: {missed:?}");
    }
}
