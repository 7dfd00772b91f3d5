//! The daemon is killed at every engine call and at every change of a file of a life: with the next
//! start each ends as if nothing had happened, with as many creations and removals as a clean life takes.

use std::fmt;

use crate::faults::numbered;
use crate::life::{Life, Step};
use crate::proxy::{Fault, Moment, Rule};
use crate::sweep::{Blow, Clean, Struck, Sweep};
use crate::trace::{Point, Trace, When};

/// Where the daemon dies.
#[derive(Clone)]
struct Death<P> {
    step: Step,
    at: String,
    nth: usize,
    when: P,
}

impl<P: Clone + fmt::Debug + Sync> Blow for Death<P> {
    fn step(&self) -> Step {
        self.step
    }

    fn point(&self) -> String {
        self.at.clone()
    }

    /// Every engine call; of files, every system call.
    fn kind(&self) -> String {
        if self.at.contains(" /") {
            return self.at.clone();
        }
        self.at.split(' ').next().unwrap_or_default().to_owned()
    }

    fn way(&self) -> String {
        format!("{:?}", self.when).to_lowercase()
    }

    fn nth(&self) -> usize {
        self.nth
    }
}

impl<P: fmt::Debug> fmt::Display for Death<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: dead {:?} {} #{}", self.step, self.when, self.at, self.nth)
    }
}

#[test]
fn each_death_at_a_call_of_a_life_ends_as_a_clean_life_does() {
    let mut blows = Vec::new();
    let clean = Clean::play(&mut Life::new("callclean"), |step, life, mark| {
        let calls = numbered(life.proxy.ledger().since(mark).0.into_iter().map(|it| it.call));
        for (at, nth) in calls {
            let whens = [Moment::Before, Moment::After].into_iter();
            blows.extend(whens.map(|when| Death { step, at: at.clone(), nth, when }));
        }
    });
    let arm = |life: &Life, death: &Death<Moment>| -> Struck {
        let rule = Rule::new(Fault::KillClient(death.when)).on(&death.at).nth(death.nth);
        let hits = life.proxy.add(rule);
        Box::new(move || hits.count() > 0)
    };
    let sweep =
        Sweep { name: "call", blows, clean, drawn: 6, kills: true, life: &Life::new, arm: &arm };
    sweep.run();
}

#[test]
fn each_death_at_a_file_of_a_life_ends_as_a_clean_life_does() {
    let mut blows = Vec::new();
    let clean = Clean::play(&mut traced("fileclean"), |step, life, _| {
        let seen = life.trace.as_ref().expect("it is traced").seen();
        for (at, nth) in numbered(seen.into_iter()) {
            let whens = whens_of(&at).iter();
            blows.extend(whens.map(|when| Death { step, at: at.clone(), nth, when: *when }));
        }
    });
    let arm = |life: &Life, death: &Death<When>| -> Struck {
        let trace = life.trace.clone().expect("it is traced");
        trace.arm(Some(Point { change: death.at.clone(), nth: death.nth, when: death.when }));
        Box::new(move || trace.has_struck())
    };
    let sweep =
        Sweep { name: "file", blows, clean, drawn: 8, kills: true, life: &traced, arm: &arm };
    sweep.run();
}

fn traced(world: &str) -> Life {
    let mut life = Life::new(world);
    life.trace = Some(Trace::default());
    life
}

/// When a death leaves something else on the disk than one before the next change does.
fn whens_of(change: &str) -> &'static [When] {
    match change.split(' ').next() {
        Some("write") => &[When::Before, When::Torn, When::After],
        Some("rename" | "link" | "unlink" | "mkdir" | "truncate") => &[When::Before, When::After],
        _ => &[When::Before],
    }
}
