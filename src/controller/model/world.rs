//! The world of the model: files, containers, requests under way, and what of them may never happen.
//!
//! It knows nothing of the planner. What it flags, it judges by what is true here, not by what the daemon
//! believes.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::mem::discriminant;
use std::time::Duration;

use jiff::Timestamp;

use crate::plan::testing::at;
use crate::plan::{ContainerId, ContainerState, Memory, PlannedStep, Slot, Step, restart};

/// A sandbox, by its place in [`World::keepers`].
pub(super) type Who = usize;
/// A container, by its engine id.
pub(super) type Id = u8;

/// The present: time does not pass, the past recedes. So equal situations are equal states.
pub(super) fn now() -> Timestamp {
    at(0)
}

/// What is older than this is no different from what is this old.
const FORGOTTEN: Duration = Duration::from_secs(2000);

/// A valid spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spec {
    /// Runs.
    Good,
    /// Runs, and needs another container than [`Spec::Good`].
    Other,
    /// Starts and ends at once with code 1.
    Crashes,
    /// Is refused by the engine at the start, for good.
    CannotStart,
    /// [`Spec::Good`], suspended.
    Asleep,
}

impl Spec {
    pub(super) const ALL: [Self; 5] =
        [Self::Good, Self::Other, Self::Crashes, Self::CannotStart, Self::Asleep];

    /// Whether a container of it stays up.
    pub(super) fn serves(self) -> bool {
        matches!(self, Self::Good | Self::Other)
    }
}

/// What a spec file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum File {
    Absent,
    Invalid,
    Holds(Spec),
}

/// A container name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    /// One of a sandbox's.
    Of(Who, Slot),
    /// One that no sandbox needs.
    Aside(u8),
}

/// Who made a container, and what its labels say. The truth, which no program but this one can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Maker {
    Us {
        who: Who,
        life: u8,
        spec: Spec,
    },
    Stranger,
    /// A stranger, from an image that carries our labels.
    Copier {
        who: Who,
        life: u8,
        spec: Spec,
    },
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Crate {
    pub(super) id: Id,
    pub(super) name: Name,
    pub(super) maker: Maker,
    pub(super) state: ContainerState,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) exit_code: Option<i64>,
    /// It was restarted after it ended, and no time has passed since.
    just_restarted: bool,
}

impl Crate {
    pub(super) fn is_of(&self, who: Who) -> bool {
        matches!(self.maker, Maker::Us { who: owner, .. } if owner == who)
    }

    pub(super) fn is_ours(&self) -> bool {
        matches!(self.maker, Maker::Us { .. })
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, ContainerState::Running | ContainerState::Paused)
    }

    pub(super) fn spec(&self) -> Option<Spec> {
        match self.maker {
            Maker::Us { spec, .. } | Maker::Copier { spec, .. } => Some(spec),
            Maker::Stranger => None,
        }
    }

    fn end(&mut self, code: i64) {
        self.state = ContainerState::Exited;
        self.finished = Some(now());
        self.exit_code = Some(code);
    }
}

/// A mutating request, as the engine gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Call {
    Create { who: Who, slot: Slot, life: u8, spec: Spec },
    Start(Id),
    Unpause(Id),
    Stop(Id),
    Rename(Id, Name),
    Remove(Id),
}

impl Call {
    pub(super) fn target(self) -> Option<Id> {
        match self {
            Self::Create { .. } => None,
            Self::Start(id)
            | Self::Unpause(id)
            | Self::Stop(id)
            | Self::Rename(id, _)
            | Self::Remove(id) => Some(id),
        }
    }
}

/// The engine's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Done,
    Created(Id),
    NameTaken,
    /// It cannot be done, and never can.
    Rejected,
    /// Not with the container as it is, or there is none.
    NotSo,
}

/// What the daemon takes for the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Accepted {
    Nothing,
    Declared(Spec),
    /// Confirmed gone; its containers are to go.
    Tombstone,
}

/// What the daemon holds of one sandbox.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct Keeper {
    pub(super) file: File,
    pub(super) life: u8,
    pub(super) accepted: Accepted,
    /// The last look missed the file.
    pub(super) missed: bool,
    pub(super) memory: Remembered,
    pub(super) pending: Option<Pending>,
    /// Complete looks in a row at which the file was truly not there.
    pub(super) truly_missed: u8,
    /// It was truly gone when it was withdrawn.
    pub(super) definite: bool,
    /// Used by one seeded bug.
    pub(super) stuck: bool,
}

/// A plan that is being carried out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pending {
    pub(super) steps: Vec<PlannedStep>,
    pub(super) next: usize,
    pub(super) created: Option<Id>,
    /// What it was planned for.
    pub(super) wish: Accepted,
    /// What it was planned from.
    pub(super) seen: Vec<Crate>,
    /// Something else has happened since.
    pub(super) disturbed: bool,
}

impl Hash for Pending {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { steps, next, created, wish, seen, disturbed } = self;
        for PlannedStep { step, cause, fields: _ } in steps {
            (discriminant(step), cause).hash(state);
            match step {
                Step::Create { slot } => slot.hash(state),
                Step::Rename { container, slot } => (container, slot).hash(state),
                Step::Start { container }
                | Step::Unpause { container }
                | Step::Stop { container, .. }
                | Step::Remove { container } => container.hash(state),
                _ => {}
            }
        }
        (next, created, wish, seen, disturbed).hash(state);
    }
}

/// A memory that can be hashed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Remembered(pub(super) Memory);

impl Hash for Remembered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Destructured whole, so that nothing that could tell two states apart is forgotten here.
        let Memory {
            uid,
            ports,
            container,
            adopted,
            restarts,
            last_termination,
            failure,
            rejected,
            parked,
            idle_predecessor,
            finished,
            ran,
            was_ready,
            unproven,
        } = &self.0;
        (uid, ports, container, parked, idle_predecessor, ran, was_ready, unproven).hash(state);
        (restarts.total, restarts.streak, restarts.last_at).hash(state);
        adopted.as_ref().map(|it| (&it.container, &it.spec_hash)).hash(state);
        failure.as_ref().map(|it| (&it.spec_hash, it.attempts, it.at, it.terminal)).hash(state);
        rejected.as_ref().map(|it| (&it.spec_hash, it.at)).hash(state);
        finished.as_ref().map(|it| (&it.spec_hash, it.succeeded, it.at)).hash(state);
        last_termination.is_some().hash(state);
    }
}

/// How much of everything has been used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Spent {
    pub(super) acts: u8,
    pub(super) faults: u8,
    pub(super) waits: u8,
}

/// What may never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Violation {
    TouchedAStranger,
    ActedWithoutAWish,
    StoppedAHealthyOne,
    StoppedBeforeItsReplacementWasMade,
    RemovedBeforeItsReplacementRan,
    RanTwoAtOnce,
    RestartedWithoutAWait,
    WaitedAfterAHealthyRun,
}

/// Everything.
#[derive(Clone, Debug, PartialEq, Hash)]
pub(super) struct World {
    pub(super) keepers: Vec<Keeper>,
    /// By id.
    pub(super) crates: Vec<Crate>,
    pub(super) directory: bool,
    pub(super) engine: bool,
    pub(super) engine_returned: Option<Timestamp>,
    /// Requests whose sender has given up, and which the engine may carry out yet.
    pub(super) late: Vec<Call>,
    /// Containers of ours that earlier lists showed and nobody said are gone.
    pub(super) known: BTreeSet<Id>,
    /// A true list has been had since the daemon's start.
    pub(super) listed: bool,
    pub(super) spent: Spent,
    pub(super) violation: Option<Violation>,
}

impl World {
    pub(super) fn get(&self, id: Id) -> Option<&Crate> {
        self.crates.iter().find(|it| it.id == id)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut Crate> {
        self.crates.iter_mut().find(|it| it.id == id)
    }

    pub(super) fn holder(&self, name: Name) -> Option<&Crate> {
        self.crates.iter().find(|it| it.name == name)
    }

    pub(super) fn live(&self, who: Who) -> usize {
        self.crates.iter().filter(|it| it.is_of(who) && it.is_live()).count()
    }

    pub(super) fn flag(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// Something happened that no plan under way can know of.
    pub(super) fn disturb(&mut self) {
        for pending in self.keepers.iter_mut().filter_map(|keeper| keeper.pending.as_mut()) {
            pending.disturbed = true;
        }
    }

    /// The least id that nobody speaks of. One that nobody speaks of is as good as new.
    pub(super) fn free_id(&self) -> Id {
        let mut used: BTreeSet<Id> = self.crates.iter().map(|it| it.id).collect();
        used.extend(&self.known);
        used.extend(self.late.iter().filter_map(|call| call.target()));
        for keeper in &self.keepers {
            let memory = &keeper.memory.0;
            let ids = [
                &memory.container,
                &memory.parked,
                &memory.idle_predecessor,
                &memory.ran,
                &memory.was_ready,
            ];
            used.extend(ids.into_iter().flatten().map(number));
            if let Some(pending) = &keeper.pending {
                used.extend(pending.created);
                used.extend(pending.seen.iter().map(|it| it.id));
            }
        }
        (0..=Id::MAX).find(|id| !used.contains(id)).unwrap_or(Id::MAX)
    }

    pub(super) fn add(&mut self, name: Name, maker: Maker, state: ContainerState) -> Id {
        let id = self.free_id();
        let started = (state == ContainerState::Running).then(now);
        self.crates.push(Crate {
            id,
            name,
            maker,
            state,
            started,
            finished: None,
            exit_code: None,
            just_restarted: false,
        });
        self.crates.sort_by_key(|it| it.id);
        id
    }

    /// Carries out a request, as engines do.
    pub(super) fn land(&mut self, call: Call) -> Reply {
        use ContainerState::{Created, Exited, Paused, Removing, Running};
        if let Call::Create { who, slot, life, spec } = call {
            let name = Name::Of(who, slot);
            if self.holder(name).is_some() {
                return Reply::NameTaken;
            }
            return Reply::Created(self.add(name, Maker::Us { who, life, spec }, Created));
        }
        if let Call::Rename(id, name) = call
            && self.holder(name).is_some_and(|holder| holder.id != id)
        {
            return Reply::NameTaken;
        }
        let Some(it) = call.target().and_then(|id| self.get_mut(id)) else { return Reply::NotSo };
        match (call, it.state) {
            (Call::Start(_), Created | Exited) => match it.spec() {
                Some(Spec::CannotStart) => return Reply::Rejected,
                spec => {
                    it.state = Running;
                    it.started = Some(now());
                    if spec == Some(Spec::Crashes) {
                        it.end(1);
                    }
                }
            },
            (Call::Start(_) | Call::Unpause(_), Running) | (Call::Stop(_), Created | Exited) => {}
            (Call::Unpause(_), Paused) => it.state = Running,
            (Call::Stop(_), Running | Paused) => it.end(143),
            (Call::Rename(_, name), state) if state != Removing => it.name = name,
            (Call::Remove(_), Created | Exited) => it.state = Removing,
            _ => return Reply::NotSo,
        }
        Reply::Done
    }

    /// The engine is done with a removal.
    pub(super) fn reap(&mut self, id: Id) {
        self.crates.retain(|it| it.id != id);
    }

    pub(super) fn kill(&mut self, id: Id) {
        if let Some(it) = self.get_mut(id) {
            it.end(137);
        }
    }

    /// The daemon restarted a container because it had ended.
    pub(super) fn note_restart(&mut self, id: Id) {
        let twice =
            self.get_mut(id).is_some_and(|it| std::mem::replace(&mut it.just_restarted, true));
        if twice {
            self.flag(Violation::RestartedWithoutAWait);
        }
    }

    /// What the world remembers of restarts is forgotten with the daemon's memory of them.
    pub(super) fn excuse_restarts(&mut self, who: Who) {
        for it in self.crates.iter_mut().filter(|it| it.is_of(who)) {
            it.just_restarted = false;
        }
    }

    /// Under a name of somebody else's, and off the record, a container is no longer known to be ours: a
    /// copy of it would look the same.
    pub(super) fn disown(&mut self) {
        for it in &mut self.crates {
            let (Maker::Us { who, life, spec }, Name::Aside(_)) = (it.maker, it.name) else {
                continue;
            };
            if self.keepers[who].memory.0.container != Some(container_id(it.id)) {
                it.maker = Maker::Copier { who, life, spec };
            }
        }
    }

    /// The daemon ends, and starts again.
    pub(super) fn crash(&mut self) {
        self.known.clear();
        self.listed = false;
        for keeper in &mut self.keepers {
            keeper.pending = None;
            keeper.missed = false;
            keeper.truly_missed = 0;
            keeper.stuck = false;
        }
    }

    /// Time passes: everything is that much longer ago.
    pub(super) fn wait(&mut self, time: Duration) {
        let recede = |past: &mut Option<Timestamp>| {
            *past = past.map(|past| ago(restart::since(past, now()) + time));
        };
        recede(&mut self.engine_returned);
        for it in &mut self.crates {
            it.just_restarted = false;
            recede(&mut it.started);
            recede(&mut it.finished);
        }
        for keeper in &mut self.keepers {
            let memory = &mut keeper.memory.0;
            recede(&mut memory.restarts.last_at);
            let failed = memory.failure.as_mut().map(|it| &mut it.at);
            let rejected = memory.rejected.as_mut().map(|it| &mut it.at);
            for past in failed.into_iter().chain(rejected) {
                *past = ago(restart::since(*past, now()) + time);
            }
        }
    }
}

fn ago(time: Duration) -> Timestamp {
    let seconds = time.min(FORGOTTEN);
    now().checked_sub(jiff::SignedDuration::try_from(seconds).unwrap()).unwrap()
}

pub(super) fn container_id(id: Id) -> ContainerId {
    ContainerId(format!("c{id}"))
}

pub(super) fn number(id: &ContainerId) -> Id {
    id.0[1..].parse().unwrap()
}
