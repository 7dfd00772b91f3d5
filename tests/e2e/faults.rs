//! Every fault at every engine call of a life: each ends as if nothing had happened, with as many
//! creations and removals as a clean life takes.

use std::fmt;
use std::time::Duration;

use crate::life::{Life, NAME, Step};
use crate::proxy::{Fault, Rule};
use crate::sweep::{Blow, Clean, Struck, Sweep};

/// One call that is broken.
#[derive(Clone)]
struct Broken {
    step: Step,
    call: String,
    nth: usize,
    fault: Fault,
}

impl Blow for Broken {
    fn step(&self) -> Step {
        self.step
    }

    fn point(&self) -> String {
        self.call.clone()
    }

    fn way(&self) -> String {
        self.fault.name().to_owned()
    }

    fn nth(&self) -> usize {
        self.nth
    }

    fn is_slow(&self) -> bool {
        matches!(self.fault, Fault::StallHead | Fault::StallBody | Fault::Hold)
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} at {} #{}", self.step, self.fault.name(), self.call, self.nth)
    }
}

#[test]
fn each_fault_at_each_call_of_a_life_ends_as_a_clean_life_does() {
    let mut blows = Vec::new();
    let clean = Clean::play(&mut Life::new("faultclean"), |step, life, mark| {
        let calls = numbered(life.proxy.ledger().since(mark).0.into_iter().map(|it| it.call));
        for (call, nth) in calls {
            let faults = faults_of(&call).into_iter();
            blows.extend(faults.map(|fault| Broken { step, call: call.clone(), nth, fault }));
        }
    });
    let sweep =
        Sweep { name: "fault", blows, clean, drawn: 10, kills: false, life: &Life::new, arm: &arm };
    sweep.run();
}

fn arm(life: &Life, broken: &Broken) -> Struck {
    let fault = match &broken.fault {
        Fault::Omit(sandbox) => Fault::Omit(life.world.container_name(sandbox)),
        other => other.clone(),
    };
    let hits = life.proxy.add(Rule::new(fault).on(&broken.call).nth(broken.nth));
    Box::new(move || hits.count() > 0)
}

/// Each of these with its number among its like, from 1.
pub(crate) fn numbered(kinds: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut numbered: Vec<(String, usize)> = Vec::new();
    for kind in kinds {
        let nth = 1 + numbered.iter().filter(|(earlier, _)| *earlier == kind).count();
        numbered.push((kind, nth));
    }
    numbered
}

/// What can be done to a call of this kind.
fn faults_of(call: &str) -> Vec<Fault> {
    let mut faults = vec![
        Fault::Delay(Duration::from_millis(500)),
        Fault::DropBefore,
        Fault::DropAfter,
        Fault::StallHead,
        Fault::StallBody,
        Fault::Cut,
        Fault::Truncate,
        Fault::Duplicate,
        Fault::Hold,
        Fault::refuse(409, "conflict, says a rule"),
        Fault::refuse(500, "failure, says a rule"),
        Fault::html502(),
        Fault::Garbage(b"\x16\x03\x01 this is no HTTP\r\n\r\n".to_vec()),
        Fault::Body("application/json", b"{\"a\": [}".to_vec()),
    ];
    match call {
        "GET /containers/json" => {
            faults.extend([Fault::EmptyList, Fault::Omit(NAME.to_owned()), Fault::StaleList]);
        }
        "GET /events" => faults.extend([
            Fault::Freeze(0),
            Fault::Freeze(3),
            Fault::Inject(b"no event\n".to_vec()),
            Fault::Inject([vec![b'x'; 10 << 20], b"\n".to_vec()].concat()),
            Fault::Repeat(10),
        ]),
        "POST /containers/*/start" | "POST /containers/*/stop" => {
            faults.push(Fault::Answer(304, "text/plain", String::new()));
        }
        "DELETE /containers/*" => faults.push(Fault::refuse(404, "No such container: x")),
        _ => {}
    }
    faults
}
