//! Containers in full, for as long as nothing says that they changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::{Inspected, Listed};
use crate::plan::ContainerId;

use super::lock;

/// The cache. An entry holds until its container is invalidated, a list shows another state or name, it
/// is too old, or events do not arrive.
#[derive(Debug)]
pub(super) struct Cache {
    max_age: Duration,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Whether events arrive that would tell of changes.
    trusted: bool,
    /// Rises with every change; no two tickets or invalidations share a number.
    clock: u64,
    by_id: HashMap<ContainerId, Slot>,
}

#[derive(Debug)]
struct Slot {
    /// What the last invalidation of this slot (or its making) was numbered.
    version: u64,
    /// The sandbox that it was asked for.
    sandbox: String,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    inspected: Arc<Inspected>,
    until: Instant,
}

/// An inspect under way. Whatever is invalidated meanwhile is not kept.
#[derive(Debug)]
pub(super) struct Ticket {
    id: ContainerId,
    version: u64,
}

impl Slots {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

impl Cache {
    /// An empty cache, not trusted until events arrive.
    pub(super) fn new(max_age: Duration) -> Self {
        Self { max_age, slots: Mutex::default() }
    }

    /// What is known of this container, if it still holds beside this list entry.
    pub(super) fn get(&self, listed: &Listed) -> Option<Arc<Inspected>> {
        let slots = lock(&self.slots);
        let held = slots.by_id.get(&listed.id).filter(|_| slots.trusted)?.held.as_ref()?;
        let inspected = &held.inspected;
        let holds = Instant::now() < held.until
            && inspected.state == listed.state
            && inspected.name == listed.name;
        holds.then(|| Arc::clone(inspected))
    }

    /// Announces an inspect.
    pub(super) fn begin(&self, id: &ContainerId, sandbox: &str) -> Ticket {
        let mut slots = lock(&self.slots);
        let version = slots.tick();
        slots.by_id.insert(id.clone(), Slot { version, sandbox: sandbox.to_owned(), held: None });
        Ticket { id: id.clone(), version }
    }

    /// Keeps the answer, unless the container was invalidated since [`Self::begin`]: the event may be
    /// younger than what the inspect saw.
    pub(super) fn finish(&self, ticket: &Ticket, inspected: &Arc<Inspected>) {
        // Spread, so that what was inspected together at the start is not inspected together for ever.
        let age = self.max_age.mul_f64(0.5 + fastrand::f64() / 2.0);
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.by_id.get_mut(&ticket.id)
            && slot.version == ticket.version
        {
            let until = Instant::now() + age;
            slot.held = Some(Held { inspected: Arc::clone(inspected), until });
        }
    }

    /// Drops what is known of this container. Returns the sandbox that it was asked for.
    pub(super) fn invalidate(&self, id: &ContainerId) -> Option<String> {
        let mut slots = lock(&self.slots);
        let version = slots.tick();
        let slot = slots.by_id.get_mut(id)?;
        slot.version = version;
        slot.held = None;
        Some(slot.sandbox.clone())
    }

    /// Drops everything that is known.
    pub(super) fn invalidate_all(&self) {
        let mut slots = lock(&self.slots);
        let version = slots.tick();
        for slot in slots.by_id.values_mut() {
            slot.version = version;
            slot.held = None;
        }
    }

    /// Sandboxes of which something is kept that is too old to be used.
    pub(super) fn overdue(&self) -> BTreeSet<String> {
        let now = Instant::now();
        let slots = lock(&self.slots);
        let overdue = |slot: &&Slot| slot.held.as_ref().is_some_and(|held| held.until <= now);
        slots.by_id.values().filter(overdue).map(|slot| slot.sandbox.clone()).collect()
    }

    /// Whether what is kept may be used.
    pub(super) fn set_trusted(&self, trusted: bool) {
        lock(&self.slots).trusted = trusted;
    }

    /// Forgets the containers that are gone.
    pub(super) fn retain(&self, exists: impl Fn(&ContainerId) -> bool) {
        lock(&self.slots).by_id.retain(|id, _| exists(id));
    }
}
