//! The daemon in the model: the real decisions, and as little as possible between them and the world.
//!
//! Real are ownership ([`Identity`], [`Claim`]), how containers are sorted into a view ([`place`]), the
//! planner ([`plan`]), what is remembered ([`outcome`]), and the last check before each call
//! ([`readiness`]). What is written here after the shell is: when a list is not believed
//! (`Observer::confirm_gone`), how a create with a doubtful answer is settled (`Executor::existing`), and
//! what the source promises (`read`).

use std::collections::HashMap;
use std::time::Duration;

use super::seeds::Seed;
use super::world::{
    Accepted, Call, Crate, File, Id, Keeper, Maker, Name, Pending, Remembered, Reply, Spec,
    Violation, Who, World, container_id, now, number,
};
use crate::controller::execute::verify::{Readiness, readiness};
use crate::controller::observe::{Claim, Standing, place};
use crate::engine::Inspected;
use crate::plan::ownership::{Identity, Owner};
use crate::plan::testing::{at, container_spec, desired, fingerprint};
use crate::plan::{
    Cause, ContainerState, Desired, Facts, Fingerprint, Hold, HoldKind, Inputs, Memory, Observed,
    Outcome, Plan, PlannedStep, Slot, Step, Wanted, Wish, outcome, plan, restart,
};
use crate::sandbox::OperatingMode;

/// More lives than the bounds can use up; after them come the first again.
const LIVES: u8 = 3;
const SANDBOXES: [&str; 2] = ["web", "db"];
const SLOTS: [Slot; 3] = [Slot::Main, Slot::Replacement, Slot::Predecessor];

/// How a list of the engine lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lie {
    /// It is empty.
    Empty,
    /// It leaves out this one: it is stale, or wrong.
    Without(Id),
}

/// What becomes of a step besides being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// It is done, and the daemon is told.
    Done,
    /// The engine has a failure of its own; nothing is done.
    Refused,
    /// It is done, and the reply is lost.
    ReplyLost,
    /// The daemon gives up on it, and it may be carried out yet.
    Late,
    /// The daemon ends right after it.
    Crash,
}

/// The daemon, whatever it keeps between looks being in the world.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) seed: Option<Seed>,
    identity: Identity,
    facts: Facts,
    desired: HashMap<(Who, u8, Spec), Desired>,
    fingerprints: HashMap<Spec, Fingerprint>,
    /// What [`Identity::owner`] says of each maker's labels under each name.
    owners: HashMap<(Maker, Name), Owner>,
    prototype: Inspected,
}

impl Daemon {
    pub(super) fn new(sandboxes: usize, seed: Option<Seed>) -> Self {
        let identity = Identity {
            instance: "instance".to_owned(),
            key: b"key".to_vec(),
            prefix: "sandbox".to_owned(),
        };
        let mut daemon = Self {
            seed,
            identity,
            facts: Facts {
                ports: [("http".to_owned(), 8080)].into(),
                live_update: true,
                ..Facts::default()
            },
            desired: HashMap::new(),
            fingerprints: HashMap::new(),
            owners: HashMap::new(),
            prototype: prototype(),
        };
        for spec in Spec::ALL {
            daemon.fingerprints.insert(spec, fingerprint(&wanted(0, 0, spec)));
            for (who, life) in
                (0..sandboxes).flat_map(|who| (0..LIVES).map(move |life| (who, life)))
            {
                daemon.desired.insert((who, life, spec), wanted(who, life, spec));
            }
        }
        daemon.owners = daemon.judge_everything(sandboxes);
        daemon
    }

    fn judge_everything(&self, sandboxes: usize) -> HashMap<(Maker, Name), Owner> {
        let places = (0..sandboxes).flat_map(|who| SLOTS.map(|slot| Name::Of(who, slot)));
        let names: Vec<Name> = places.chain((0..24).map(Name::Aside)).collect();
        let mut owners = HashMap::new();
        for name in names {
            let text = self.name(name);
            owners.insert((Maker::Stranger, name), self.identity.owner(&text, &[].into()));
            for ((who, life, spec), desired) in &self.desired {
                let (who, life, spec) = (*who, *life, *spec);
                let print = &self.fingerprints[&spec];
                let labels = self.identity.labels(SANDBOXES[who], &desired.uid, print);
                let owner = self.identity.owner(&text, &labels);
                owners.insert((Maker::Us { who, life, spec }, name), owner.clone());
                owners.insert((Maker::Copier { who, life, spec }, name), owner);
            }
        }
        owners
    }

    fn name(&self, name: Name) -> String {
        match name {
            Name::Of(who, slot) => self.identity.container_name(SANDBOXES[who], slot),
            Name::Aside(number) => format!("aside-{number}"),
        }
    }

    fn desired(&self, who: Who, keeper: &Keeper, spec: Spec) -> &Desired {
        &self.desired[&(who, keeper.life, spec)]
    }

    /// The fingerprint of what a container was made from.
    pub(super) fn hash(&self, spec: Spec) -> &str {
        &self.fingerprints[&spec].spec_hash
    }

    fn seeded(&self, seed: Seed) -> bool {
        self.seed == Some(seed)
    }

    /// One look at the file of a sandbox. The contract of [`crate::source`]; its own model is
    /// beside `source/changes`.
    pub(super) fn read(&self, world: &mut World, who: Who) {
        let directory = world.directory;
        let stray = world.crates.iter().find(|it| it.is_of(who)).and_then(|it| match it.maker {
            Maker::Us { life, .. } => Some(life),
            _ => None,
        });
        let keeper = &mut world.keepers[who];
        let truly_gone = directory && keeper.file == File::Absent;
        keeper.truly_missed = if truly_gone { (keeper.truly_missed + 1).min(2) } else { 0 };
        let blind = !directory && !self.seeded(Seed::DeletesOnAnUnreadableDirectory);
        let file = if directory { keeper.file } else { File::Absent };
        match file {
            _ if blind => keeper.missed = false,
            File::Invalid if !self.seeded(Seed::DeletesOnAnInvalidSpec) => keeper.missed = false,
            File::Holds(spec) => {
                keeper.missed = false;
                match keeper.accepted {
                    Accepted::Tombstone => {}
                    Accepted::Declared(_) => keeper.accepted = Accepted::Declared(spec),
                    Accepted::Nothing => {
                        keeper.life = (keeper.life + 1) % LIVES;
                        keeper.accepted = Accepted::Declared(spec);
                    }
                }
            }
            File::Absent | File::Invalid => {
                let confirmed = keeper.missed || self.seeded(Seed::BelievesOneLook);
                match keeper.accepted {
                    Accepted::Declared(_) if confirmed => {
                        keeper.accepted = Accepted::Tombstone;
                        keeper.definite = keeper.truly_missed == 2;
                        keeper.missed = false;
                    }
                    Accepted::Declared(_) => keeper.missed = true,
                    // What is left behind is swept, and only while everything can be read.
                    Accepted::Nothing => {
                        if let (Some(life), File::Absent) = (stray, file) {
                            (keeper.life, keeper.accepted) = (life, Accepted::Tombstone);
                            keeper.definite = truly_gone;
                        }
                    }
                    Accepted::Tombstone => {}
                }
            }
        }
    }

    /// Observes and plans. What is planned is carried out by [`Self::step`], one call at a time.
    pub(super) fn look(&self, world: &mut World, who: Who, lie: Option<Lie>) {
        if !world.engine || world.keepers[who].accepted == Accepted::Nothing {
            return;
        }
        let Some((seen, observed)) = self.observe(world, who, lie) else { return };
        let keeper = &world.keepers[who];
        let memory = outcome::of_this_life(keeper.memory.0.clone(), &self.uid(who, keeper));
        let (memory, planned) = self.decide(world, who, &observed, memory);
        if planned.hold.as_ref().is_some_and(|hold| hold.kind == HoldKind::CrashLoopBackOff) {
            Self::check_wait(world, &observed);
        }
        let keeper = &mut world.keepers[who];
        let conflict = planned.hold.as_ref().is_some_and(|it| it.kind == HoldKind::NameConflict);
        keeper.stuck |= conflict && self.seeded(Seed::GivesUpOnAConflict);
        let withdrawn = keeper.accepted == Accepted::Tombstone;
        keeper.memory = Remembered(memory);
        if planned.steps.is_empty() {
            if withdrawn && planned.hold.is_none() {
                keeper.accepted = Accepted::Nothing;
                keeper.definite = false;
                keeper.memory = Remembered(Memory::default());
            }
            return;
        }
        keeper.pending = Some(Pending {
            steps: planned.steps,
            next: 0,
            created: None,
            wish: keeper.accepted,
            seen,
            disturbed: false,
        });
    }

    fn uid(&self, who: Who, keeper: &Keeper) -> String {
        self.desired(who, keeper, Spec::Good).uid.clone()
    }

    /// What the engine shows of a sandbox; `None`: it cannot be believed.
    fn observe(
        &self,
        world: &mut World,
        who: Who,
        lie: Option<Lie>,
    ) -> Option<(Vec<Crate>, Observed)> {
        let shown = |it: &&Crate| match lie {
            None => true,
            Some(Lie::Empty) => false,
            Some(Lie::Without(id)) => it.id != id,
        };
        let keeper = &world.keepers[who];
        let memory = outcome::of_this_life(keeper.memory.0.clone(), &self.uid(who, keeper));
        let uid = self.uid(who, keeper);
        let claim = Claim::new(SANDBOXES[who], &uid, &memory);
        // A container on record, or shown by an earlier list, is asked for by id before it is given up.
        let on_record = [&memory.container].into_iter().flatten().map(number);
        let hidden = world.known.iter().copied().chain(on_record).any(|id| {
            let it = world.get(id).filter(|it| it.is_of(who));
            it.is_some_and(|it| !shown(&it))
        });
        let list: Vec<Crate> = world.crates.iter().filter(shown).copied().collect();
        if hidden && !self.seeded(Seed::TrustsAnEmptyList) {
            return None;
        }
        world.listed |= lie.is_none();
        let owned = list.iter().filter(|it| matches!(self.owner(it), Owner::Ours { .. }));
        let known = owned.map(|it| it.id).chain(world.known.iter().copied());
        world.known = known.filter(|id| world.get(*id).is_some()).collect();
        let mut observed = Observed::default();
        let mut seen = Vec::new();
        for it in &list {
            let standing = self.standing(&claim, it);
            if standing != Standing::Unrelated {
                seen.push(*it);
            }
            place(&mut observed, &self.inspected(it), standing).ok()?;
        }
        Some((seen, observed))
    }

    fn owner(&self, it: &Crate) -> &Owner {
        &self.owners[&(it.maker, it.name)]
    }

    fn standing(&self, claim: &Claim<'_>, it: &Crate) -> Standing {
        let id = container_id(it.id);
        let standing = claim.standing(&self.identity, &id, &self.name(it.name), self.owner(it));
        match (&standing, self.owner(it)) {
            (Standing::InTheWay(slot), _) if self.seeded(Seed::MatchesByName) => {
                let print = self.fingerprints[&it.spec().unwrap_or(Spec::Other)].clone();
                Standing::Ours { slot: Some(*slot), fingerprint: Some(print) }
            }
            (Standing::Unrelated, Owner::OursRenamed { sandbox, fingerprint, .. })
                if self.seeded(Seed::IgnoresTheNameOfATag) && sandbox == claim.sandbox =>
            {
                Standing::Ours { slot: None, fingerprint: Some(fingerprint.clone()) }
            }
            (Standing::Ours { slot, .. }, _) if self.seeded(Seed::HashesWhatTheEngineReports) => {
                let mut print = self.fingerprints[&it.spec().unwrap_or(Spec::Other)].clone();
                print.spec_hash.push_str("-normalised");
                print.fields.insert("image".to_owned(), "normalised".to_owned());
                Standing::Ours { slot: *slot, fingerprint: Some(print) }
            }
            _ => standing,
        }
    }

    fn inspected(&self, it: &Crate) -> Inspected {
        Inspected {
            id: container_id(it.id),
            name: self.name(it.name),
            state: it.state,
            started_at: it.started,
            finished_at: it.finished,
            exit_code: it.exit_code,
            ..self.prototype.clone()
        }
    }

    /// The real decisions on one observation: what is learnt, what is planned, what is intended.
    fn decide(
        &self,
        world: &World,
        who: Who,
        observed: &Observed,
        mut memory: Memory,
    ) -> (Memory, Plan) {
        let keeper = &world.keepers[who];
        if self.seeded(Seed::NeverBacksOff) {
            memory.restarts.streak = 0;
        }
        let facts = Facts { engine_returned_at: world.engine_returned, ..self.facts.clone() };
        let inputs = Inputs {
            wish: self.wish(who, keeper, keeper.accepted),
            observed,
            facts: &facts,
            memory: &memory,
            now: now(),
        };
        let learnt = outcome::after_observing(&inputs);
        let inputs = Inputs { memory: &learnt, ..inputs };
        let mut planned = plan(&inputs);
        debug_assert_eq!(planned, plan(&inputs), "planning is a function");
        self.spoil(&mut planned, keeper, observed);
        let mut intended = outcome::before_acting(&inputs, &planned);
        if self.seeded(Seed::ForgetsWhatItIntended) {
            intended = learnt.clone();
        }
        // Both are for people; nothing is decided from them.
        intended.restarts.total = 0;
        intended.last_termination = None;
        // The delay has long reached its cap.
        intended.restarts.streak = intended.restarts.streak.min(12);
        if let Some(failure) = &mut intended.failure {
            failure.attempts = failure.attempts.min(12);
        }
        (intended, planned)
    }

    fn wish<'a>(&'a self, who: Who, keeper: &Keeper, accepted: Accepted) -> Wish<'a> {
        match accepted {
            Accepted::Declared(spec) => Wish::Declared(Wanted {
                desired: self.desired(who, keeper, spec),
                fingerprint: &self.fingerprints[&spec],
            }),
            Accepted::Tombstone | Accepted::Nothing => {
                Wish::Withdrawn { grace: Duration::from_secs(1) }
            }
        }
    }

    /// Design bugs of plans.
    fn spoil(&self, planned: &mut Plan, keeper: &Keeper, observed: &Observed) {
        let steps = &mut planned.steps;
        let position = |steps: &[PlannedStep], test: fn(&Step) -> bool| {
            steps.iter().position(|planned| test(&planned.step))
        };
        let create_new = |step: &Step| matches!(step, Step::Create { slot: Slot::Replacement });
        let aside = |step: &Step| matches!(step, Step::Rename { slot: Slot::Predecessor, .. });
        match self.seed {
            Some(Seed::GivesUpOnAConflict) if keeper.stuck => *planned = Plan::default(),
            Some(Seed::LeavesItCreated) => {
                let created = |planned: &PlannedStep| match &planned.step {
                    Step::Start { container } => observed
                        .ours()
                        .any(|it| it.id == *container && it.state == ContainerState::Created),
                    _ => false,
                };
                steps.retain(|planned| !created(planned));
            }
            Some(Seed::StartsBeforeTheStop) if position(steps, create_new).is_some() => {
                if let Some(start) = position(steps, |step| *step == Step::StartCreated) {
                    let start = steps.remove(start);
                    steps.insert(1, start);
                }
            }
            Some(Seed::StopsBeforeTheCreate)
                if position(steps, create_new) == Some(0) && steps.len() > 2 =>
            {
                steps.swap(0, 1);
            }
            Some(Seed::RemovesThePredecessorEarly) => {
                if let Some(aside) = position(steps, aside)
                    && let Step::Rename { container, .. } = &steps[aside].step
                {
                    let step = Step::Remove { container: container.clone() };
                    steps[aside].step = step;
                }
            }
            Some(Seed::KeepsThePredecessor) => {
                let old = observed.predecessor.as_ref().map(|it| it.id.clone());
                steps.retain(|planned| match &planned.step {
                    Step::Remove { container } => Some(container) != old.as_ref(),
                    _ => true,
                });
            }
            Some(Seed::NeverResetsTheBackOff) => Self::never_reset(planned, keeper, observed),
            _ => {}
        }
    }

    /// The streak counts whatever the length of the run.
    fn never_reset(planned: &mut Plan, keeper: &Keeper, observed: &Observed) {
        let restarts = &keeper.memory.0.restarts;
        let again = planned.steps.iter().any(|it| it.cause == Cause::Ended);
        let Some(ended) = observed.main.as_ref().and_then(|main| main.finished_at) else { return };
        let due = restart::due(ended, restarts.streak, "uid", now());
        if again && due > now() {
            let hold = Some(Hold::new(HoldKind::CrashLoopBackOff, "never reset"));
            *planned = Plan { hold, next_check: Some(due), steps: Vec::new() };
        }
    }

    /// A container that has run for long enough starts again at once.
    fn check_wait(world: &mut World, observed: &Observed) {
        let Some(main) = &observed.main else { return };
        if let (Some(started), Some(finished)) = (main.started_at, main.finished_at)
            && restart::since(started, finished) >= restart::HEALTHY_STRETCH
        {
            world.flag(Violation::WaitedAfterAHealthyRun);
        }
    }

    /// The next call of a plan, and what becomes of it.
    pub(super) fn step(&self, world: &mut World, who: Who, fate: Fate) {
        if !world.engine {
            world.keepers[who].pending = None;
            return;
        }
        let Some(mut pending) = world.keepers[who].pending.take() else { return };
        let Some(planned) = pending.steps.get(pending.next).cloned() else { return };
        let checked = self.check(world, who, &planned.step, &pending);
        let outcome = match checked {
            Err(outcome) => outcome,
            Ok(call) => match fate {
                Fate::Refused => Outcome::Failed {
                    kind: HoldKind::StartFailed,
                    message: "the engine failed".to_owned(),
                    terminal: false,
                },
                Fate::Late => {
                    world.late.push(call);
                    Outcome::Void
                }
                Fate::Done | Fate::ReplyLost | Fate::Crash => {
                    let reply = self.call(world, who, call, planned.cause, &pending);
                    match (fate, reply) {
                        (Fate::Crash, _) => return world.crash(),
                        // Whoever made it, the container that was asked for is there.
                        (Fate::ReplyLost, Reply::Created(id)) => Outcome::Created(container_id(id)),
                        (Fate::ReplyLost, _) => Outcome::Void,
                        (_, reply) => self.outcome(world, who, call, reply),
                    }
                }
            },
        };
        if let Outcome::Created(id) = &outcome {
            pending.created = Some(number(id));
            world.known.insert(number(id));
        }
        self.remember(world, who, &pending, &planned.step, &outcome);
        let unknown = matches!(fate, Fate::ReplyLost | Fate::Late);
        let goes_on = match outcome {
            Outcome::Done | Outcome::Created(_) => true,
            Outcome::Void => unknown && self.seeded(Seed::GoesOnAfterAnUnknownOutcome),
            Outcome::Failed { .. } => false,
        };
        pending.next += 1;
        if goes_on && pending.next < pending.steps.len() {
            world.keepers[who].pending = Some(pending);
        }
    }

    /// The last look before the call: the container is still ours, and the step still fits it.
    fn check(
        &self,
        world: &World,
        who: Who,
        step: &Step,
        pending: &Pending,
    ) -> Result<Call, Outcome> {
        let keeper = &world.keepers[who];
        let id = match step {
            Step::Create { slot } => {
                let Accepted::Declared(spec) = pending.wish else { return Err(Outcome::Void) };
                return Ok(Call::Create { who, slot: *slot, life: keeper.life, spec });
            }
            Step::StartCreated => pending.created.ok_or(Outcome::Void)?,
            Step::Start { container }
            | Step::Unpause { container }
            | Step::Stop { container, .. }
            | Step::Rename { container, .. }
            | Step::Remove { container } => number(container),
            _ => unreachable!("the model gives no reason for {step:?}"),
        };
        if self.seeded(Seed::ActsByName) {
            let name = pending.seen.iter().find(|it| it.id == id).map(|it| it.name);
            let id = name.and_then(|name| world.holder(name)).map_or(id, |holder| holder.id);
            return Ok(request(step, who, id));
        }
        let Some(found) = world.get(id) else { return Err(Outcome::Void) };
        let uid = self.uid(who, keeper);
        let claim = Claim::new(SANDBOXES[who], &uid, &keeper.memory.0);
        match self.standing(&claim, found) {
            Standing::Ours { .. } => {}
            Standing::Leftover { .. }
                if matches!(step, Step::Stop { .. } | Step::Remove { .. }) => {}
            _ => return Err(Outcome::Void),
        }
        let call = request(step, who, id);
        let name = match call {
            Call::Rename(_, name) => Some(self.name(name)),
            _ => None,
        };
        match readiness(step, &self.inspected(found), name.as_deref()) {
            Readiness::Act => Ok(call),
            Readiness::AlreadySo => Err(Outcome::Done),
            Readiness::Changed(_) => Err(Outcome::Void),
        }
    }

    /// One mutating call, and what may not come of it.
    fn call(
        &self,
        world: &mut World,
        who: Who,
        call: Call,
        cause: Cause,
        pending: &Pending,
    ) -> Reply {
        self.judge(world, who, call, pending);
        let before = world.live(who);
        let reply = world.land(call);
        if world.live(who) > before.max(1) && !pending.disturbed {
            world.flag(Violation::RanTwoAtOnce);
        }
        if let (Call::Start(id), Cause::Ended, Reply::Done) = (call, cause, reply) {
            world.note_restart(id);
        }
        reply
    }

    fn judge(&self, world: &mut World, who: Who, call: Call, pending: &Pending) {
        let Some(target) = call.target().and_then(|id| world.get(id)).copied() else { return };
        let Maker::Us { who: owner, life, spec } = target.maker else {
            return world.flag(Violation::TouchedAStranger);
        };
        if owner != who {
            return world.flag(Violation::TouchedAStranger);
        }
        let keeper = &world.keepers[who];
        let destroys = matches!(call, Call::Stop(_) | Call::Remove(_));
        let Accepted::Declared(wanted) = pending.wish else {
            if destroys && !keeper.definite {
                world.flag(Violation::ActedWithoutAWish);
            }
            return;
        };
        if !destroys || pending.disturbed || life != keeper.life || wanted == Spec::Asleep {
            return;
        }
        let main = target.name == Name::Of(who, Slot::Main);
        let running = target.state == ContainerState::Running;
        let others = || world.crates.iter().filter(|it| it.is_of(who) && it.id != target.id);
        if matches!(call, Call::Stop(_)) && main && running {
            let replacement = others().any(|it| it.name == Name::Of(who, Slot::Replacement));
            if self.hash(spec) == self.hash(wanted) {
                world.flag(Violation::StoppedAHealthyOne);
            } else if !replacement {
                world.flag(Violation::StoppedBeforeItsReplacementWasMade);
            }
            return;
        }
        // One that people took out of its place has nobody waiting for it there.
        let served = keeper.memory.0.was_ready == Some(container_id(target.id))
            && matches!(target.name, Name::Of(..));
        if matches!(call, Call::Remove(_)) && served && !others().any(Crate::is_live) {
            world.flag(Violation::RemovedBeforeItsReplacementRan);
        }
    }

    fn outcome(&self, world: &mut World, who: Who, call: Call, reply: Reply) -> Outcome {
        match (reply, call) {
            (Reply::Done, _) => Outcome::Done,
            (Reply::Created(id), _) => Outcome::Created(container_id(id)),
            (Reply::Rejected, _) => Outcome::Failed {
                kind: HoldKind::StartFailed,
                message: "no such file".to_owned(),
                terminal: true,
            },
            (Reply::NameTaken, Call::Create { who, slot, life, spec }) => {
                let asked = Maker::Us { who, life, spec };
                let holder = world.holder(Name::Of(who, slot));
                let made =
                    holder.filter(|it| it.maker == asked && it.state == ContainerState::Created);
                if let Some(it) = made {
                    Outcome::Created(container_id(it.id))
                } else {
                    world.keepers[who].stuck = self.seeded(Seed::GivesUpOnAConflict);
                    Outcome::Void
                }
            }
            (Reply::NameTaken, _) => {
                world.keepers[who].stuck = self.seeded(Seed::GivesUpOnAConflict);
                Outcome::Void
            }
            (Reply::NotSo, _) => Outcome::Void,
        }
    }

    fn remember(
        &self,
        world: &mut World,
        who: Who,
        pending: &Pending,
        step: &Step,
        outcome: &Outcome,
    ) {
        if !matches!(pending.wish, Accepted::Declared(_)) {
            return;
        }
        let keeper = &world.keepers[who];
        let uid = self.uid(who, keeper);
        let claim = Claim::new(SANDBOXES[who], &uid, &keeper.memory.0);
        let mut observed = Observed::default();
        for it in &pending.seen {
            let placed = place(&mut observed, &self.inspected(it), self.standing(&claim, it));
            debug_assert!(placed.is_ok(), "it was planned from");
        }
        let inputs = Inputs {
            wish: self.wish(who, keeper, pending.wish),
            observed: &observed,
            facts: &self.facts,
            memory: &keeper.memory.0,
            now: now(),
        };
        let memory = outcome::after_step(&keeper.memory.0, step, outcome, &inputs, now());
        world.keepers[who].memory = Remembered(memory);
    }
}

fn request(step: &Step, who: Who, id: Id) -> Call {
    match step {
        Step::Stop { .. } => Call::Stop(id),
        Step::Unpause { .. } => Call::Unpause(id),
        Step::Remove { .. } => Call::Remove(id),
        Step::Rename { slot, .. } => Call::Rename(id, Name::Of(who, *slot)),
        _ => Call::Start(id),
    }
}

fn wanted(who: Who, life: u8, spec: Spec) -> Desired {
    let image = match spec {
        Spec::Good | Spec::Asleep => "good:1",
        Spec::Other => "good:2",
        Spec::Crashes => "crashes:1",
        Spec::CannotStart => "cannot-start:1",
    };
    let mut desired = desired(image);
    desired.uid = format!("uid-{who}-{life}");
    if spec == Spec::Asleep {
        desired.operating_mode = OperatingMode::Suspended;
    }
    desired
}

fn prototype() -> Inspected {
    let spec = container_spec("good:1");
    Inspected {
        id: container_id(0),
        name: String::new(),
        state: ContainerState::Created,
        labels: [].into(),
        image: spec.image,
        image_id: "sha256:1".to_owned(),
        created_at: at(0),
        started_at: None,
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        limits: crate::plan::Limits::default(),
        bindings: Vec::new(),
        networks: vec!["bridge".to_owned()],
        network_mode: "bridge".to_owned(),
        mounts: Vec::new(),
        pid: None,
        runtime: None,
        isolation: std::sync::Arc::default(),
    }
}
