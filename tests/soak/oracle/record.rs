//! What the oracle has seen and been told, and what it accuses the daemon of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::history::{Acts, History, Nanos};
use crate::judge::{self, Blow, Expected, Owned, Property};

/// How many of the last operations on a sandbox are told with a violation.
const RECENT: usize = 12;
/// What takes longer than this to converge is told in full; it is no violation.
const SLOW: Duration = Duration::from_secs(30);
/// How much of the daemon's log is kept with a violation.
const TAIL: usize = 400;

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) property: Property,
    pub(crate) text: String,
    /// End of the daemon's log at that time.
    pub(crate) log: String,
}

/// One sandbox, as the oracle knows it.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) history: History,
    expected: Option<Expected>,
    /// Since when it is awaited to become as expected, and after what.
    awaited: Option<(Instant, &'static str)>,
    recent: VecDeque<String>,
}

/// Everything.
pub(crate) struct Record {
    began: Instant,
    log: PathBuf,
    pub(crate) sandboxes: BTreeMap<String, Watched>,
    /// Names under which canaries were made.
    pub(crate) canaries: BTreeSet<String>,
    pub(crate) acts: Acts,
    pub(crate) violations: Vec<Violation>,
    pub(crate) latencies: BTreeMap<&'static str, Vec<Duration>>,
    pub(crate) looks: usize,
    pub(crate) events: usize,
    accused: BTreeSet<String>,
    owned: BTreeMap<String, Owned>,
    foreign: BTreeMap<String, Value>,
    foreign_names: BTreeSet<String>,
    heard: BTreeSet<(Nanos, String, String)>,
    resting: bool,
    over: bool,
}

impl Record {
    pub(super) fn new(log: PathBuf) -> Self {
        Self {
            began: Instant::now(),
            log,
            sandboxes: BTreeMap::new(),
            canaries: BTreeSet::new(),
            acts: Acts::default(),
            violations: Vec::new(),
            latencies: BTreeMap::new(),
            looks: 0,
            events: 0,
            accused: BTreeSet::new(),
            owned: BTreeMap::new(),
            foreign: BTreeMap::new(),
            foreign_names: BTreeSet::new(),
            heard: BTreeSet::new(),
            resting: false,
            over: false,
        }
    }

    pub(crate) fn sandbox(&mut self, name: &str) -> &mut Watched {
        self.sandboxes.entry(name.to_owned()).or_default()
    }

    /// Notes what was done, for whoever reads a violation.
    pub(crate) fn note(&mut self, sandbox: &str, what: &str) {
        let line = format!("{:8.2} s {what}", self.began.elapsed().as_secs_f64());
        let recent = &mut self.sandbox(sandbox).recent;
        recent.push_back(line);
        if recent.len() > RECENT {
            recent.pop_front();
        }
    }

    /// From now on this is to become true; the time that it takes counts for the class.
    pub(crate) fn expect(
        &mut self,
        sandbox: &str,
        expected: Expected,
        class: Option<&'static str>,
    ) {
        let watched = self.sandbox(sandbox);
        watched.expected = Some(expected);
        watched.awaited = class.map(|class| (Instant::now(), class));
    }

    /// A fault that concerned everybody is over: whoever is still awaited is so from now on.
    pub(crate) fn fault_ended(&mut self, class: &'static str) {
        for watched in self.sandboxes.values_mut() {
            if let Some(awaited) = &mut watched.awaited {
                *awaited = (Instant::now(), class);
            }
        }
    }

    /// Who is awaited.
    pub(crate) fn awaited(&self) -> Vec<(String, Expected)> {
        let awaited = self.sandboxes.iter().filter(|(_, it)| it.awaited.is_some());
        awaited.filter_map(|(name, it)| Some((name.clone(), it.expected.clone()?))).collect()
    }

    pub(super) fn all_expected(&self) -> Vec<(String, Expected)> {
        let all = self.sandboxes.iter();
        all.filter_map(|(name, it)| Some((name.clone(), it.expected.clone()?))).collect()
    }

    /// It is as was expected, unless something else is expected meanwhile.
    pub(super) fn arrived(&mut self, sandbox: &str, seen: &Expected) {
        let watched = self.sandbox(sandbox);
        if watched.expected.as_ref() != Some(seen) {
            return;
        }
        if let Some((since, class)) = watched.awaited.take() {
            let took = since.elapsed();
            if took > SLOW {
                let recent: Vec<String> = watched.recent.iter().cloned().collect();
                let recent = recent.join("\n  ");
                println!("slow: {sandbox} took {took:.0?} after {class}\n  {recent}");
            }
            self.latencies.entry(class).or_default().push(took);
        }
    }

    pub(crate) fn accuse(&mut self, property: Property, sandbox: &str, what: &str) {
        if self.over {
            return;
        }
        let at = self.began.elapsed().as_secs_f64();
        let recent = self.sandboxes.get(sandbox).map(|it| &it.recent);
        let recent: Vec<String> = recent.into_iter().flatten().cloned().collect();
        let text = format!("{at:.2} s: {property}: {sandbox}: {what}\n  {}", recent.join("\n  "));
        eprintln!("violation: {text}");
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        self.violations.push(Violation { property, text, log });
    }

    /// One accusation for each key.
    pub(super) fn accuse_once(&mut self, key: &str, property: Property, sandbox: &str, what: &str) {
        if self.accused.insert(key.to_owned()) {
            self.accuse(property, sandbox, what);
        }
    }

    /// Announces a container that is not ours, before it is made.
    pub(crate) fn announce_foreign(&mut self, name: &str) {
        self.foreign_names.insert(name.to_owned());
    }

    pub(super) fn foreign_identity(&mut self, id: &str, identity: Value) {
        self.foreign.insert(id.to_owned(), identity);
    }

    /// The driver has removed it.
    pub(crate) fn forget_foreign(&mut self, id: &str) {
        self.foreign.remove(id);
    }

    /// A name that a foreign container no longer has.
    pub(crate) fn free_name(&mut self, name: &str) {
        self.foreign_names.remove(name);
    }

    pub(super) fn foreign_identities(&self) -> BTreeMap<String, Value> {
        self.foreign.clone()
    }

    pub(super) fn is_foreign(&self, id: &str, name: &str) -> bool {
        self.foreign.contains_key(id) || self.foreign_names.contains(name)
    }

    /// A stream that was opened again tells some events twice.
    pub(super) fn is_new_event(&mut self, id: &str, action: &str, at: Nanos) -> bool {
        let new = self.heard.insert((at, id.to_owned(), action.to_owned()));
        if self.heard.len() > 4096 {
            self.heard.pop_first();
        }
        self.events += usize::from(new);
        new
    }

    pub(super) fn foreign_event(&mut self, id: &str, name: &str, action: &str, at: Nanos) {
        if !self.acts.cover(id, at) && !self.acts.cover(name, at) {
            self.accuse(Property::ForeignTouched, "", &format!("{action} of {name} ({id})"));
        }
    }

    pub(super) fn owned_event(
        &mut self,
        id: &str,
        name: &str,
        sandbox: &str,
        action: &str,
        at: Nanos,
    ) {
        let by_driver = self.acts.cover(id, at);
        let short = &id[..id.len().min(12)];
        self.note(sandbox, &format!("  engine: {action} {name} {short} by_driver={by_driver}"));
        if self.resting {
            self.accuse(Property::NotQuiet, sandbox, &format!("{action} of {name}"));
        }
        let blow = match action {
            "kill" | "stop" | "restart" => Some(Blow::Stop),
            "destroy" => Some(Blow::Destroy),
            "pause" => Some(Blow::Pause),
            _ => None,
        };
        if let Some(blow) = blow.filter(|_| !by_driver) {
            self.judge(id, blow, at);
        }
        if action == "destroy" {
            self.owned.remove(id);
            return;
        }
        let one = self.owned.entry(id.to_owned()).or_insert_with(|| Owned {
            sandbox: sandbox.to_owned(),
            name: name.to_owned(),
            generation: None,
            created: at,
            started: None,
            running: false,
        });
        name.clone_into(&mut one.name);
        match action {
            "start" => (one.started, one.running) = (Some((at, by_driver)), true),
            "die" => one.running = false,
            _ => {}
        }
    }

    /// Whether the driver itself made two of these run.
    pub(super) fn excuses(&self, ids: &BTreeSet<&str>, now: Nanos) -> bool {
        let running: Vec<&Owned> = ids.iter().filter_map(|id| self.owned.get(*id)).collect();
        judge::started_by_hand(&running, now)
    }

    fn judge(&mut self, id: &str, blow: Blow, at: Nanos) {
        let Some(container) = self.owned.get(id) else { return };
        let sandbox = container.sandbox.clone();
        let others: Vec<&Owned> = self
            .owned
            .iter()
            .filter(|(other, it)| it.sandbox == sandbox && *other != id)
            .map(|(_, it)| it)
            .collect();
        let Some(watched) = self.sandboxes.get(&sandbox) else { return };
        if let Err((property, why)) = judge::blow(blow, container, &others, &watched.history, at) {
            let why = format!("{why} ({}, {id})", container.name);
            self.accuse(property, &sandbox, &why);
        }
    }

    /// What a new container was made from.
    pub(super) fn made_from(&mut self, id: &str, sandbox: &str, generation: Option<u32>) {
        if let Some(one) = self.owned.get_mut(id) {
            one.generation = generation;
        }
        let known = generation.is_some_and(|it| self.sandbox(sandbox).history.has(it));
        if !known {
            let what = format!("container {id} is made from generation {generation:?}");
            self.accuse(Property::FromNoSpec, sandbox, &what);
        }
    }

    /// What is cleaned up now is nobody's fault.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }

    pub(super) fn rest_begins(&mut self) {
        self.resting = true;
    }

    pub(super) fn rest_ends(&mut self) {
        self.resting = false;
    }
}
