//! What the sweeps share. A sweep has one blow for each way to strike each point of a life. A life is
//! struck once in every step: all steps end in a state that is checked, so what is struck in one is not
//! seen in the next, and a sweep takes a seventh of the lives.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::World;
use crate::life::{Effects, Life, STEPS, Seen, Step};

/// Set to `full` for everything there is, or to a number of lives; see docs/RELIABILITY.md.
const SIZE: &str = "SANDKEEPER_TEST_SWEEP";
/// Set to the number that a failed run has printed, to draw the same lots again.
const SEED: &str = "SANDKEEPER_TEST_SEED";
/// The call that starts a container.
const START: &str = "POST /containers/*/start";
/// Lives at once: they wait more than they work.
const AT_ONCE: usize = 5;
const SLOW_AT_ONCE: usize = 12;

/// One point of a life, struck in one way.
pub(crate) trait Blow: Clone + Display + Sync {
    fn step(&self) -> Step;
    /// The kind of point.
    fn point(&self) -> String;
    /// The way.
    fn way(&self) -> String;
    /// The kind of point of which even the short form strikes one.
    fn kind(&self) -> String {
        self.point()
    }
    /// Which point of its kind in its step, from 1.
    fn nth(&self) -> usize;
    /// Whether the daemon must wait for a deadline of its own.
    fn is_slow(&self) -> bool {
        false
    }
}

/// What a life without blows looks like.
pub(crate) struct Clean {
    pub(crate) states: Vec<Seen>,
    pub(crate) effects: Effects,
}

impl Clean {
    /// Plays a life without blows; `record` sees it after every step, and how many calls were before.
    pub(crate) fn play(life: &mut Life, mut record: impl FnMut(Step, &Life, usize)) -> Self {
        let mut states = Vec::new();
        for step in STEPS {
            let mark = life.proxy.ledger().len();
            if let Some(trace) = &life.trace {
                trace.arm(None);
            }
            life.act(step);
            states.push(life.settle(step));
            record(step, life, mark);
        }
        life.end();
        let effects = Effects::of(&life.proxy.ledger());
        assert_eq!(effects, Effects { creates: 2, removes: 2 }, "no more than what is needed");
        assert_eq!(life.edits_again, 0, "no edit is rolled back");
        Self { states, effects }
    }
}

/// What became of a struck life.
struct Played {
    states: Vec<Seen>,
    effects: Effects,
    edits_again: usize,
    starts: usize,
    /// Whether each blow has struck: a call may not come as often as in the clean life.
    struck: Vec<bool>,
    took: Duration,
}

/// Whether an armed blow has struck.
pub(crate) type Struck = Box<dyn Fn() -> bool>;

/// A sweep: its blows, and how to deal them.
pub(crate) struct Sweep<'a, B> {
    /// Lower-case letters: part of every container's name.
    pub(crate) name: &'static str,
    pub(crate) blows: Vec<B>,
    pub(crate) clean: Clean,
    /// Lives of the short form.
    pub(crate) drawn: usize,
    /// Whether each blow kills the daemon.
    pub(crate) kills: bool,
    /// A world without a daemon.
    pub(crate) life: &'a (dyn Fn(&str) -> Life + Sync),
    /// Prepares a blow.
    pub(crate) arm: &'a (dyn Fn(&Life, &B) -> Struck + Sync),
}

impl<B: Blow> Sweep<'_, B> {
    /// Plays all of it or, unless asked to, a part; prints what was played, and fails with what was not
    /// as it should be.
    pub(crate) fn run(&self) {
        let mut lots = lots();
        let stranger = World::new(&format!("{}stranger", self.name));
        let name = stranger.container_name("stranger");
        stranger.engine.run_foreign(&name, [].into());
        let before = stranger.engine.container(&name);

        let size = std::env::var(SIZE).unwrap_or_default();
        let lives = if size == "full" {
            let (slow, fast): (Vec<B>, Vec<B>) = self.blows.iter().cloned().partition(B::is_slow);
            [(SLOW_AT_ONCE, dealt(slow, &mut lots)), (AT_ONCE, dealt(fast, &mut lots))]
        } else {
            let count = size.parse().unwrap_or(self.drawn);
            [(AT_ONCE, drawn(&self.blows, count, &mut lots)), (0, Vec::new())]
        };
        let first = [0, lives[0].1.len()];
        let outcomes: Vec<_> = thread::scope(|scope| {
            // Those that wait leave the machine to the others.
            let parts = lives.iter().zip(first).map(|((at_once, lives), first)| {
                let play = move |index: usize, blows: &Vec<B>| self.play(first + index, blows);
                scope.spawn(move || play_all(lives, *at_once, play))
            });
            let parts: Vec<_> = parts.collect();
            parts.into_iter().flat_map(|part| part.join().expect("no life stops it")).collect()
        });
        let lives = lives.into_iter().flat_map(|(_, lives)| lives);
        let outcomes: Vec<_> = lives.zip(outcomes).collect();

        let failed = self.report(&outcomes);
        let count = outcomes.len();
        assert_eq!(stranger.engine.container(&name), before, "a stranger is not touched");
        assert!(failed.is_empty(), "{} of {count} lives:\n{}", failed.len(), failed.join("\n"));
    }

    fn play(&self, index: usize, blows: &[B]) -> Played {
        let mut life = (self.life)(&world_name(self.name, index));
        let began = Instant::now();
        let (mut states, mut struck) = (Vec::new(), vec![false; blows.len()]);
        for step in STEPS {
            let blow = blows.iter().position(|blow| blow.step() == step);
            let armed = blow.map(|index| (index, (self.arm)(&life, &blows[index])));
            life.act(step);
            states.push(life.settle(step));
            life.proxy.clear();
            if let Some(trace) = &life.trace {
                trace.disarm();
            }
            if let Some((index, has_struck)) = armed {
                struck[index] = has_struck();
            }
            if self.kills {
                life.bury(struck.iter().filter(|struck| **struck).count());
            }
        }
        life.end();
        let effects = Effects::of(&life.proxy.ledger());
        let (edits_again, starts) = (life.edits_again, life.starts);
        Played { states, effects, edits_again, starts, struck, took: began.elapsed() }
    }

    /// Prints what was played, and gives what was not as it should be.
    fn report(&self, outcomes: &[(Vec<B>, Result<Played, String>)]) -> Vec<String> {
        let (mut table, mut failed, mut states) = (Table::default(), Vec::new(), BTreeSet::new());
        let mut kinds = BTreeSet::new();
        let (mut missed, mut edits_again, mut longest) = (0, 0, Duration::ZERO);
        for (index, (blows, played)) in outcomes.iter().enumerate() {
            let what: Vec<String> = blows.iter().map(ToString::to_string).collect();
            let what = format!("life {index} ({})", what.join("; "));
            let played = match played {
                Ok(played) => played,
                Err(message) => {
                    failed.push(format!("{what}: {message}"));
                    continue;
                }
            };
            for (blow, struck) in blows.iter().zip(&played.struck) {
                if *struck {
                    table.count(&blow.point(), &blow.way());
                    kinds.insert(blow.kind());
                } else {
                    missed += 1;
                }
            }
            failed.extend(
                self.judge(blows, played).into_iter().map(|wrong| format!("{what}: {wrong}")),
            );
            if played.edits_again > 0 {
                eprintln!("rolled back, {} edits made again: {what}", played.edits_again);
            }
            states.insert(&played.states);
            edits_again += played.edits_again;
            longest = longest.max(played.took);
        }
        table.print("point");
        eprintln!(
            "\n{}: {} of {} blows struck in {} lives, {missed} points did not come; {} distinct end \
             states; {edits_again} edits were rolled back and made again; the longest life took \
             {longest:.0?}; {} failures",
            self.name,
            table.total(),
            self.blows.len(),
            outcomes.len(),
            states.len(),
            failed.len()
        );
        if failed.is_empty() {
            let all: BTreeSet<String> = self.blows.iter().map(B::kind).collect();
            let ways: BTreeSet<String> = self.blows.iter().map(B::way).collect();
            assert_eq!(kinds, all, "every kind of point is struck");
            assert_eq!(table.ways(), ways, "every way is used");
        }
        failed
    }

    /// What is not as in a clean life.
    fn judge(&self, blows: &[B], played: &Played) -> Vec<String> {
        let mut wrong = Vec::new();
        // Only an engine that refuses to start the replacement is a reason to roll back, and a death is none.
        let start = |blow: &B| blow.step() == Step::Replace && blow.point() == START;
        let refused = !self.kills && blows.iter().any(start);
        if played.edits_again > usize::from(refused) {
            wrong.push(format!("{} edits were rolled back", played.edits_again));
        }
        if played.states != self.clean.states {
            wrong.push(format!("{:?}, not {:?}", played.states, self.clean.states));
        }
        let allowed = self.clean.effects.and(played.edits_again);
        if played.effects != allowed {
            wrong.push(format!("{:?}, not {allowed:?}", played.effects));
        }
        let deaths = if self.kills { played.struck.iter().filter(|it| **it).count() } else { 0 };
        if played.starts != 1 + deaths {
            wrong.push(format!("{} starts after {deaths} deaths", played.starts));
        }
        wrong
    }
}

/// Lots for this run. Prints how to draw the same again.
fn lots() -> fastrand::Rng {
    let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("{SEED}={seed}");
    fastrand::Rng::with_seed(seed)
}

/// All blows, as lives with at most one for each step.
fn dealt<B: Blow>(mut blows: Vec<B>, lots: &mut fastrand::Rng) -> Vec<Vec<B>> {
    lots.shuffle(&mut blows);
    let mut lives: Vec<Vec<B>> = Vec::new();
    for step in STEPS {
        for (index, blow) in blows.iter().filter(|blow| blow.step() == step).enumerate() {
            if lives.len() <= index {
                lives.push(Vec::new());
            }
            lives[index].push(blow.clone());
        }
    }
    lives
}

/// Some blows that are drawn by lot, every kind of point and every way among them, as so many lives.
fn drawn<B: Blow>(blows: &[B], count: usize, lots: &mut fastrand::Rng) -> Vec<Vec<B>> {
    let mut blows = blows.to_vec();
    lots.shuffle(&mut blows);
    let mut lives = vec![Vec::new(); count];
    let (mut kinds, mut ways) = (BTreeSet::new(), BTreeSet::new());
    // The first of its kind in a step comes for sure.
    for blow in blows.iter().filter(|blow| blow.nth() == 1) {
        let new_way = !ways.contains(&blow.way());
        let new = if blow.is_slow() { new_way } else { new_way || !kinds.contains(&blow.kind()) };
        if new && place(&mut lives, blow) {
            kinds.insert(blow.kind());
            ways.insert(blow.way());
        }
    }
    // What changes something first: there is more that only looks.
    blows.sort_by_key(|blow| blow.point().starts_with("GET "));
    for blow in blows.iter().filter(|blow| !blow.is_slow()) {
        place(&mut lives, blow);
    }
    lives.sort_by_key(|life| !life.iter().any(B::is_slow));
    lives
}

/// Gives a blow to the first life that has none in its step yet, nor a slow one where this one is.
fn place<B: Blow>(lives: &mut [Vec<B>], blow: &B) -> bool {
    let free = lives.iter_mut().find(|life| {
        let taken = life.iter().any(|other| other.step() == blow.step());
        let slow = blow.is_slow() && life.iter().any(B::is_slow);
        !taken && !slow
    });
    free.map(|life| life.push(blow.clone())).is_some()
}

/// Plays all of these in order, so many at once. A life that fails does not stop the others.
fn play_all<L: Sync, O: Send>(
    lives: &[L],
    at_once: usize,
    play: impl Fn(usize, &L) -> O + Sync,
) -> Vec<Result<O, String>> {
    let next = Mutex::new(0..lives.len());
    let outcomes = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let Some(index) = held(&next).next() else { return };
                    let played = catch_unwind(AssertUnwindSafe(|| play(index, &lives[index])));
                    let outcome = played.map_err(|panic| message(panic.as_ref()));
                    held(&outcomes).insert(index, outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("no holder panics").into_values().collect()
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

/// A name for the world of life number `index`: names hold letters only.
fn world_name(sweep: &str, index: usize) -> String {
    let letter = |digit: usize| char::from(b'a' + u8::try_from(digit % 26).expect("below 26"));
    format!("{sweep}{}{}{}", letter(index / 676), letter(index / 26), letter(index))
}

/// How often each kind of point was struck in each way; printed in Markdown.
#[derive(Default)]
struct Table(BTreeMap<(String, String), usize>);

impl Table {
    fn count(&mut self, point: &str, way: &str) {
        *self.0.entry((point.to_owned(), way.to_owned())).or_default() += 1;
    }

    fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn points(&self) -> BTreeSet<String> {
        self.0.keys().map(|(point, _)| point.clone()).collect()
    }

    fn ways(&self) -> BTreeSet<String> {
        self.0.keys().map(|(_, way)| way.clone()).collect()
    }

    fn print(&self, title: &str) {
        let ways: Vec<String> = self.ways().into_iter().collect();
        eprintln!("\n| {title} | {} |", ways.join(" | "));
        eprintln!("| --- {}|", "| ---: ".repeat(ways.len()));
        for point in self.points() {
            let cells = ways.iter().map(|way| {
                let count = self.0.get(&(point.clone(), way.clone()));
                count.map_or_else(String::new, ToString::to_string)
            });
            eprintln!("| `{point}` | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
    }
}
