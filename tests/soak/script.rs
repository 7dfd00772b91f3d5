//! What is done, in which order: a function of the seed alone, never of what came of it.

mod model;

pub(crate) use model::{Broken, Sandbox, Standing};

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::spec::{Run, Spec};

/// How a file gets its new content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    InPlace,
    Rename,
    /// Half of it, a pause, the rest; closed at the end.
    Halves,
}

/// What somebody does to a container of ours by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hand {
    Kill,
    Stop,
    Pause,
    Remove,
    Rename,
    Limits,
    Start,
}

/// What breaks beyond one sandbox. It lasts until [`Op::End`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The daemon is killed, and started again at the end.
    Kill,
    /// The daemon is asked to end, and started again at the end.
    Terminate,
    /// The daemon is stopped (SIGSTOP) until the end.
    Freeze,
    /// The daemon is killed, files of its state are lost or damaged, and it is started again.
    State(Damage),
    /// The directory of specs is renamed away.
    DirectoryAway,
    /// The directory of specs is replaced by an empty one.
    DirectoryReplaced,
    /// More specs vanish at once than the guard lets go; they come back at the end.
    MassLoss(Vec<String>),
    /// The engine's socket is at fault; the number draws the lots.
    Engine(Ill, u64),
}

/// What happens to the state directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    MemoryLost,
    MemoryGarbled,
    StatusLost,
    SpecsLost,
    EventsGarbled,
    HeldLost,
}

/// How the engine's socket is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ill {
    DropBefore,
    DropAfter,
    Delay,
    StallInspect,
    Status500,
    Html502,
    EmptyList,
    StaleList,
    TornList,
    FrozenEvents,
    RepeatedEvents,
    Duplicate,
    Gone,
}

/// One thing that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A file gets a new content; of several, one right after the other.
    Write {
        specs: Vec<Spec>,
        how: How,
        class: &'static str,
    },
    /// A file gets a content that is no spec, or what is no file takes its place.
    Break(String, Broken),
    /// A file is deleted.
    Delete(String),
    /// A file gets another name.
    MoveFile(String),
    /// A file is moved out of the directory and back, for less than a deletion takes.
    AwayAndBack(String, Duration),
    /// A second file declares the same name.
    Duplicate(Spec),
    /// The second file goes.
    Unduplicate(String),
    /// Modes inside of a mount are changed.
    Drift(String),
    /// Somebody handles a container of ours.
    Hand(String, Hand),
    /// A foreign container takes the name that a sandbox is about to need.
    Take(String),
    /// That container goes.
    Untake(String),
    Begin(Fault),
    End(Fault),
}

/// One step: a pause, then something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) pause: Duration,
    pub(crate) op: Op,
}

/// How many of what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) sandboxes: usize,
    pub(crate) foreign: usize,
    /// Steps between two times of rest.
    pub(crate) steps: usize,
    pub(crate) delete_guard: usize,
}

/// The script: gives one round after the other, for ever.
pub(crate) struct Script {
    rng: Rng,
    size: Size,
    generation: u32,
    round: usize,
    pub(crate) sandboxes: BTreeMap<String, Sandbox>,
    faults: Vec<Fault>,
    active: Option<(Fault, usize)>,
    deletions: usize,
    renamed: bool,
    records_lost: bool,
}

impl Script {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let names = (0..size.sandboxes).map(|number| format!("s{number:02}"));
        Self {
            rng: Rng::with_seed(seed),
            size,
            generation: 1000,
            round: 0,
            sandboxes: names.map(|name| (name, Sandbox::default())).collect(),
            faults: Vec::new(),
            active: None,
            deletions: 0,
            renamed: false,
            records_lost: false,
        }
    }

    /// The next round. At its end no fault is left, and every sandbox can come to what its spec says.
    pub(crate) fn round(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        self.begin_round();
        if self.round == 1 {
            for name in self.names(|it| it.standing == Standing::Absent) {
                let op = self.write(&name, "create");
                steps.push(Step { pause: Duration::from_millis(20), op });
            }
            return steps;
        }
        while steps.len() < self.size.steps {
            let pause = Duration::from_millis(self.rng.u64(30..900));
            if let Some(op) = self.end_of_fault().or_else(|| self.next()) {
                steps.push(Step { pause, op });
            }
        }
        steps.extend(self.heal());
        steps
    }

    fn begin_round(&mut self) {
        self.round += 1;
        self.deletions = 0;
        self.renamed = false;
        self.records_lost = false;
        for sandbox in self.sandboxes.values_mut() {
            sandbox.begin_round();
        }
    }

    fn end_of_fault(&mut self) -> Option<Op> {
        let (fault, left) = self.active.take()?;
        if left == 0 {
            return Some(Op::End(fault));
        }
        self.active = Some((fault, left - 1));
        None
    }

    fn next(&mut self) -> Option<Op> {
        if self.active.is_none() && self.rng.u8(0..8) == 0 {
            return self.begin_fault();
        }
        if self.files_are_away() {
            return self.by_hand();
        }
        match self.rng.u8(0..100) {
            0..35 => self.edit(),
            35..50 => self.break_or_mend(),
            50..57 => self.delete(),
            57..67 => self.handle_file(),
            67..72 => self.take(),
            _ => self.by_hand(),
        }
    }

    fn files_are_away(&self) -> bool {
        let away = |fault: &Fault| {
            matches!(fault, Fault::DirectoryAway | Fault::DirectoryReplaced | Fault::MassLoss(_))
        };
        self.active.as_ref().is_some_and(|(fault, _)| away(fault))
    }

    fn engine_is_ill(&self) -> bool {
        self.active.as_ref().is_some_and(|(fault, _)| matches!(fault, Fault::Engine(..)))
    }

    /// Every kind of fault comes before any comes twice.
    fn begin_fault(&mut self) -> Option<Op> {
        if self.faults.len() < 4 {
            let mut more = all_faults(&mut self.rng);
            self.rng.shuffle(&mut more);
            more.append(&mut self.faults);
            self.faults = more;
        }
        // The next one that suits; what does not waits for another time.
        let mut order = (0..self.faults.len()).rev();
        let fault = order.find_map(|index| {
            let mut fault = self.faults[index].clone();
            self.suits(&mut fault).then(|| {
                self.faults.remove(index);
                fault
            })
        })?;
        self.records_lost |= matches!(
            fault,
            Fault::State(Damage::MemoryLost | Damage::MemoryGarbled | Damage::SpecsLost)
        );
        if matches!(fault, Fault::Engine(..)) {
            for sandbox in self.sandboxes.values_mut() {
                sandbox.met_ill_engine();
            }
        }
        self.active = Some((fault.clone(), self.rng.usize(3..12)));
        Some(Op::Begin(fault))
    }

    /// Whether the promises hold under this fault, after what was done in this round; chooses its files.
    fn suits(&mut self, fault: &mut Fault) -> bool {
        match fault {
            // What makes a renamed container ours.
            Fault::State(Damage::MemoryLost | Damage::MemoryGarbled) => !self.renamed,
            // A file that is not valid has nothing but the record.
            Fault::State(Damage::SpecsLost) => {
                let special =
                    |it: &Sandbox| it.duplicated || matches!(it.standing, Standing::Broken(_));
                !self.renamed && self.names(special).is_empty()
            }
            Fault::MassLoss(names) => {
                *names = self.names(Sandbox::is_plain);
                self.rng.shuffle(names);
                names.truncate(self.size.delete_guard + 2);
                self.deletions == 0 && names.len() > self.size.delete_guard
            }
            // A deletion that is not confirmed yet is held when the directory goes, until somebody prunes.
            Fault::DirectoryAway | Fault::DirectoryReplaced => self.deletions == 0,
            _ => true,
        }
    }

    fn edit(&mut self) -> Option<Op> {
        let name = self.pick(|it| !matches!(it.standing, Standing::Broken(_)))?;
        if self.sandboxes[&name].standing == Standing::Absent {
            return Some(self.write(&name, "create"));
        }
        let spec = self.sandboxes[&name].spec.clone()?;
        let choice = self.rng.u8(0..100);
        let class = match choice {
            30..55 => "limits",
            55..70 if spec.suspended => "resume",
            55..70 => "suspend",
            70..80 if spec.image => "missing image",
            80..90 if spec.run != Run::Crash && spec.image && !spec.suspended => "crashing edit",
            90..100 => "burst",
            _ => "edit",
        };
        if class == "crashing edit" && !self.sandboxes.get_mut(&name)?.spend(2) {
            return None;
        }
        Some(self.write(&name, class))
    }

    /// Writes a content that suits the class; the model follows.
    fn write(&mut self, name: &str, class: &'static str) -> Op {
        let how = *self
            .rng
            .choice(&[How::InPlace, How::Rename, How::Rename, How::Halves])
            .unwrap_or(&How::Rename);
        let count = if class == "burst" { self.rng.usize(5..25) } else { 1 };
        let how = if count > 1 || class == "create" { How::Rename } else { how };
        let mut specs = Vec::new();
        for _ in 0..count {
            let spec = self.new_spec(name, class);
            let ill = self.engine_is_ill();
            if let Some(sandbox) = self.sandboxes.get_mut(name) {
                sandbox.wrote(spec.clone(), ill);
            }
            specs.push(spec);
        }
        Op::Write { specs, how, class }
    }

    fn new_spec(&mut self, name: &str, class: &str) -> Spec {
        self.generation += 1;
        let generation = self.generation;
        let (memory_mib, pids) = (self.rng.i64(24..64), self.rng.i64(20..99));
        let served = self.rng.u8(0..3) == 0;
        let mount = name.as_bytes().last().is_some_and(|digit| digit % 2 == 0);
        let before = self.sandboxes.get(name).and_then(|it| it.spec.clone());
        let run = if served { Run::Serve } else { Run::Idle };
        let new = Spec {
            name: name.to_owned(),
            generation,
            run,
            image: true,
            memory_mib,
            pids,
            suspended: false,
            mount,
        };
        match (class, before) {
            ("limits", Some(before)) => Spec { memory_mib, pids, ..before },
            ("resume", Some(before)) => Spec { suspended: false, ..before },
            ("suspend", Some(before)) => Spec { suspended: true, ..before },
            ("missing image", Some(before)) => {
                Spec { image: false, suspended: before.suspended, ..new }
            }
            ("crashing edit", _) => Spec { run: Run::Crash, ..new },
            (_, Some(before)) => Spec { suspended: before.suspended, ..new },
            (_, None) => new,
        }
    }

    fn break_or_mend(&mut self) -> Option<Op> {
        if self.rng.bool() || self.records_lost {
            let name = self.pick(|it| matches!(it.standing, Standing::Broken(_)))?;
            return Some(self.write(&name, "mend"));
        }
        // What was written a moment ago may not have been read yet: then the last good one is another.
        let name = self.pick(|it| it.is_plain() && it.rested && !it.moved)?;
        let broken = *self.rng.choice(&Broken::ALL)?;
        self.sandboxes.get_mut(&name)?.standing = Standing::Broken(broken);
        Some(Op::Break(name, broken))
    }

    fn delete(&mut self) -> Option<Op> {
        let mass = matches!(self.active, Some((Fault::MassLoss(_), _)));
        if mass || self.deletions >= (self.size.delete_guard / 2).max(1) {
            return None;
        }
        let name = self.pick(|it| it.is_plain() && !it.taken)?;
        self.deletions += 1;
        self.sandboxes.get_mut(&name)?.deleted();
        Some(Op::Delete(name))
    }

    fn handle_file(&mut self) -> Option<Op> {
        match self.rng.u8(0..5) {
            0 if !self.records_lost => {
                let name = self.pick(Sandbox::is_plain)?;
                self.sandboxes.get_mut(&name)?.moved = true;
                Some(Op::MoveFile(name))
            }
            1 => {
                let name = self.pick(|it| it.is_plain() && !it.duplicated)?;
                let spec = self.new_spec(&name, "edit");
                self.sandboxes.get_mut(&name)?.duplicated = true;
                Some(Op::Duplicate(spec))
            }
            2 => {
                let name = self.pick(|it| it.duplicated)?;
                self.sandboxes.get_mut(&name)?.duplicated = false;
                Some(Op::Unduplicate(name))
            }
            3 => {
                let name = self.pick(Sandbox::is_plain)?;
                Some(Op::AwayAndBack(name, Duration::from_millis(self.rng.u64(50..900))))
            }
            _ => {
                let name =
                    self.pick(|it| it.is_plain() && it.spec.as_ref().is_some_and(|it| it.mount))?;
                Some(Op::Drift(name))
            }
        }
    }

    fn take(&mut self) -> Option<Op> {
        if let Some(name) = self.pick(|it| it.taken).filter(|_| self.rng.bool()) {
            self.sandboxes.get_mut(&name)?.taken = false;
            return Some(Op::Untake(name));
        }
        let name = self.pick(|it| it.standing == Standing::Absent && it.rested && !it.taken)?;
        self.sandboxes.get_mut(&name)?.taken = true;
        Some(Op::Take(name))
    }

    fn by_hand(&mut self) -> Option<Op> {
        let hands = [
            Hand::Kill,
            Hand::Stop,
            Hand::Pause,
            Hand::Remove,
            Hand::Rename,
            Hand::Limits,
            Hand::Start,
        ];
        let hand = *self.rng.choice(&hands)?;
        if hand == Hand::Rename && self.records_lost {
            return None;
        }
        // A renamed container is ours by its id, which may not be on record yet when it is new.
        let known = |it: &Sandbox| hand != Hand::Rename || it.is_settled();
        let name = self.pick(|it| it.standing != Standing::Absent && !it.taken && known(it))?;
        let cost = u8::from(matches!(hand, Hand::Kill | Hand::Stop | Hand::Remove));
        let sandbox = self.sandboxes.get_mut(&name)?;
        if !sandbox.spend(cost) {
            return None;
        }
        sandbox.handled();
        self.renamed |= hand == Hand::Rename;
        Some(Op::Hand(name, hand))
    }

    /// Faults end, names are given back, and whoever may have been left with a rejected spec is edited.
    fn heal(&mut self) -> Vec<Step> {
        let mut ops: Vec<Op> =
            self.active.take().map(|(fault, _)| Op::End(fault)).into_iter().collect();
        for name in self.names(|it| it.taken) {
            if let Some(sandbox) = self.sandboxes.get_mut(&name) {
                sandbox.taken = false;
            }
            ops.push(Op::Untake(name));
        }
        // Now and then everything is in order: some faults only suit such a world.
        if self.round % 3 == 2 {
            for name in self.names(|it| it.duplicated) {
                if let Some(sandbox) = self.sandboxes.get_mut(&name) {
                    sandbox.duplicated = false;
                }
                ops.push(Op::Unduplicate(name));
            }
            for name in self.names(|it| matches!(it.standing, Standing::Broken(_))) {
                ops.push(self.write(&name, "mend"));
            }
        }
        for name in self.names(Sandbox::needs_an_edit) {
            ops.push(self.write(&name, "edit at the end of a round"));
        }
        ops.into_iter().map(|op| Step { pause: Duration::from_millis(20), op }).collect()
    }

    fn names(&self, which: impl Fn(&Sandbox) -> bool) -> Vec<String> {
        let found = self.sandboxes.iter().filter(|(_, sandbox)| which(sandbox));
        found.map(|(name, _)| name.clone()).collect()
    }

    fn pick(&mut self, which: impl Fn(&Sandbox) -> bool) -> Option<String> {
        let names = self.names(which);
        self.rng.choice(names)
    }
}

fn all_faults(rng: &mut Rng) -> Vec<Fault> {
    let mut faults = vec![
        Fault::Kill,
        Fault::Kill,
        Fault::Terminate,
        Fault::Freeze,
        Fault::DirectoryAway,
        Fault::DirectoryReplaced,
        Fault::MassLoss(Vec::new()),
    ];
    let damages = [
        Damage::MemoryLost,
        Damage::MemoryGarbled,
        Damage::StatusLost,
        Damage::SpecsLost,
        Damage::EventsGarbled,
        Damage::HeldLost,
    ];
    faults.extend(damages.map(Fault::State));
    let ills = [
        Ill::DropBefore,
        Ill::DropAfter,
        Ill::Delay,
        Ill::StallInspect,
        Ill::Status500,
        Ill::Html502,
        Ill::EmptyList,
        Ill::StaleList,
        Ill::TornList,
        Ill::FrozenEvents,
        Ill::RepeatedEvents,
        Ill::Duplicate,
        Ill::Gone,
    ];
    faults.extend(ills.map(|ill| Fault::Engine(ill, rng.u64(..))));
    faults
}
