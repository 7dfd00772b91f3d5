//! Keeps the store of declared sandboxes: the source's watch stream, plus tombstones for containers that
//! nobody declares. Store first, wake second, so that a reconcile never sees less than it was woken for.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use kube::runtime::reflector::{ObjectRef, Store, store::Writer};
use kube_runtime::watcher::Event;
use tokio::sync::{mpsc, watch};

use super::triggers::Triggers;
use crate::source::{Declared, Forget, Reports};

/// The one writer of the store.
pub struct Feed {
    writer: Writer<Declared>,
    store: Store<Declared>,
    triggers: Triggers,
    /// Strays that were given a tombstone here, which the source knows nothing of.
    strays: HashSet<(String, String)>,
    /// Word for the source that it has no room for yet. As many as there are tombstones, at most.
    cleaned: VecDeque<Forget>,
    initialised: watch::Sender<bool>,
    /// The source's reports, passed on when everything that it told before is in the store.
    reports: watch::Sender<Reports>,
}

/// What comes in.
pub struct Inputs {
    /// From the source.
    pub events: mpsc::Receiver<Event<Declared>>,
    /// From the source, each after the events that it speaks of.
    pub reports: watch::Receiver<Reports>,
    /// Tombstones from the sweep.
    pub strays: mpsc::Receiver<Declared>,
    /// From the reconciles: a withdrawn sandbox has been cleaned up.
    pub forget: mpsc::Receiver<Forget>,
}

impl Feed {
    /// A feed for this store. `initialised` becomes true when the source's first complete set is in;
    /// whoever sees a report in `reports` sees a store that is as new.
    #[must_use]
    pub fn new(
        writer: Writer<Declared>,
        triggers: Triggers,
        initialised: watch::Sender<bool>,
        reports: watch::Sender<Reports>,
    ) -> Self {
        let store = writer.as_reader();
        Self {
            writer,
            store,
            triggers,
            strays: HashSet::new(),
            cleaned: VecDeque::new(),
            initialised,
            reports,
        }
    }

    /// Runs until the source's stream ends. Every arm only receives or waits for room, so none loses anything
    /// when another is chosen; nor do we and the source ever wait for each other.
    pub async fn run(mut self, mut inputs: Inputs, to_source: mpsc::Sender<Forget>) {
        loop {
            tokio::select! {
                event = inputs.events.recv() => match event {
                    Some(event) => self.apply(event),
                    None => return self.pass_on(&mut inputs),
                },
                Ok(()) = inputs.reports.changed() => self.pass_on(&mut inputs),
                Some(stray) = inputs.strays.recv() => self.condemn(stray),
                Some(forget) = inputs.forget.recv() => self.forget(forget),
                Ok(room) = to_source.reserve(), if !self.cleaned.is_empty() => {
                    if let Some(forget) = self.cleaned.pop_front() {
                        room.send(forget);
                    }
                }
            }
        }
    }

    /// The report that is there now was made after the events that are there now.
    fn pass_on(&mut self, inputs: &mut Inputs) {
        let reports = inputs.reports.borrow_and_update().clone();
        while let Ok(event) = inputs.events.try_recv() {
            self.apply(event);
        }
        self.reports.send_replace(reports);
    }

    fn apply(&mut self, event: Event<Declared>) {
        self.writer.apply_watcher_event(&event);
        match event {
            Event::Apply(declared) => {
                self.strays.retain(|(name, _)| name != declared.name());
                self.triggers.wake(declared.name());
            }
            Event::InitDone => {
                for declared in self.store.state() {
                    self.triggers.wake(declared.name());
                }
                self.initialised.send_replace(true);
            }
            Event::Delete(_) | Event::Init | Event::InitApply(_) => {}
        }
    }

    /// A tombstone for a container that nobody declares; one that was declared meanwhile is left alone.
    fn condemn(&mut self, stray: Declared) {
        if self.get(stray.name()).is_some() {
            return;
        }
        let name = stray.name().to_owned();
        self.strays.insert((name.clone(), stray.uid().to_owned()));
        self.writer.apply_watcher_event(&Event::Apply(stray));
        self.triggers.wake(&name);
    }

    fn forget(&mut self, forget: Forget) {
        let key = (forget.name.clone(), forget.uid.clone());
        if !self.strays.remove(&key) {
            self.cleaned.push_back(forget);
            return;
        }
        if let Some(stray) = self.get(&forget.name).filter(|stray| stray.uid() == forget.uid) {
            self.writer.apply_watcher_event(&Event::Delete(Declared::clone(&stray)));
        }
    }

    fn get(&self, name: &str) -> Option<Arc<Declared>> {
        self.store.get(&ObjectRef::new(name))
    }
}

#[cfg(test)]
mod tests;
