//! The engine as one shared, fresh view: what it runs for each sandbox, sorted by whose it is.
//!
//! Owns when the engine is asked. A burst of callers shares one list, and containers in full come from a
//! cache that whatever could have changed them invalidates; so a pass over any number of unchanged
//! sandboxes costs one list and no inspect. It changes nothing on the engine, and an answer that could
//! not be had or cannot be true is an error, never an absence.

mod cache;
mod list;
mod snapshot;
mod standing;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::engine::{Engine, EngineError, Inspected, Listed};
use crate::plan::ownership::Identity;
use crate::plan::{ContainerId, ContainerState, Foreign, Memory, Observed, Slot};

use super::limiter::Limiter;
use cache::Cache;
use list::SharedList;
use snapshot::{Judged, Snapshot};
pub(crate) use standing::{Claim, Standing, container, network_attached, own_network};

/// Inspects under way at once. Each takes a connection, and a daemon start inspects everything.
const CONCURRENT_INSPECTS: usize = 16;
/// Longest wait for a turn to inspect, lest hung inspects delay the others.
const PATIENCE: Duration = Duration::from_secs(2);
/// Remembered absences. Forgetting one costs an inspect.
const REMEMBERED_GONE: usize = 4096;

/// The shared view of one engine.
pub struct Observer {
    engine: Arc<dyn Engine>,
    identity: Identity,
    list: SharedList,
    cache: Cache,
    inspects: Limiter,
    /// Ids that the engine itself said are gone; it never gives an id twice.
    gone: Mutex<HashSet<ContainerId>>,
    /// Containers that we made and no list has shown yet, with their sandboxes.
    made: Mutex<HashMap<ContainerId, String>>,
    /// The engine that this is a view of, by its own identity; `None`: whichever answers.
    engine_id: Option<String>,
    /// Whether the engine cannot rename, so that names do not say which container is which.
    fixed_names: bool,
    /// Whether it was asked who it is since its events were lost last.
    recognised: AtomicBool,
}

/// A container of ours, by what one list tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedSummary {
    /// Sandbox that it was made for.
    pub sandbox: String,
    /// Uid of that sandbox.
    pub uid: String,
    /// Which of the sandbox's names it holds.
    pub slot: Slot,
    /// Full id.
    pub id: ContainerId,
    /// State.
    pub state: ContainerState,
}

/// Every container that concerns us, by what one list tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Ours, sorted by sandbox.
    pub owned: Vec<OwnedSummary>,
    /// Not ours, under a name that a sandbox of ours could need, sorted by name.
    pub foreign: Vec<Foreign>,
}

impl Observer {
    /// A view of this engine. What no list shows (limits, networks) is asked for again after at most
    /// `max_age`, so a lost event costs no more than that.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, identity: Identity, max_age: Duration) -> Self {
        Self {
            engine,
            identity,
            list: SharedList::default(),
            cache: Cache::new(max_age),
            inspects: Limiter::new(CONCURRENT_INSPECTS, PATIENCE),
            gone: Mutex::default(),
            made: Mutex::default(),
            engine_id: None,
            fixed_names: false,
            recognised: AtomicBool::new(true),
        }
    }

    /// A view of the engine of this identity alone: another one that answers at its address later, without
    /// our containers, would look like a host that lost them all.
    #[must_use]
    pub fn of_engine(self, engine_id: String) -> Self {
        Self { engine_id: Some(engine_id), ..self }
    }

    /// A view in which roles are not read from names, where the engine cannot rename.
    #[must_use]
    pub fn of_fixed_names(self, fixed_names: bool) -> Self {
        Self { fixed_names, ..self }
    }

    /// The containers of one sandbox, no older than this call. `memory` counts as far as it speaks of
    /// this `uid`.
    ///
    /// # Errors
    /// The engine did not answer, or gave an answer that cannot be true.
    pub async fn observe(
        &self,
        sandbox: &str,
        memory: &Memory,
        uid: &str,
    ) -> Result<Observed, EngineError> {
        let claim = Claim::new(sandbox, uid, memory);
        let snapshot = self.snapshot().await?;
        for id in snapshot.unseen(&claim).into_iter().chain(self.unlisted(sandbox, &snapshot)) {
            self.confirm_gone(&id).await?;
        }
        let mut observed = Observed::default();
        for judged in snapshot.candidates(&claim) {
            self.sort_into(&mut observed, &judged, &claim).await?;
        }
        if self.fixed_names {
            let of_another_life = Memory::default();
            let memory = if memory.uid == uid { memory } else { &of_another_life };
            observed = observed.with_roles(memory);
        }
        Ok(observed)
    }

    /// Everything of ours and everything foreign in the way, no older than this call: for the sweep of
    /// containers without a spec and for the resync. Nothing that was ours is left out unless the engine
    /// confirmed that it is gone.
    ///
    /// # Errors
    /// The engine did not answer, or gave an answer that cannot be true.
    pub async fn inventory(&self) -> Result<Inventory, EngineError> {
        let snapshot = self.snapshot().await?;
        for id in snapshot.all_unseen() {
            self.confirm_gone(&id).await?;
        }
        Ok(snapshot.inventory())
    }

    /// The containers of [`Self::inventory`] that are ours.
    ///
    /// # Errors
    /// As [`Self::inventory`].
    pub async fn owned(&self) -> Result<Vec<OwnedSummary>, EngineError> {
        Ok(self.inventory().await?.owned)
    }

    /// Sandboxes that nobody has looked at for so long that what no list shows may have changed unseen.
    pub fn overdue(&self) -> BTreeSet<String> {
        self.cache.overdue()
    }

    /// What is cached of this container no longer holds: something happened to it, or is about to.
    /// Returns the sandbox that it was last observed for.
    pub fn invalidate(&self, id: &ContainerId) -> Option<String> {
        self.cache.invalidate(id)
    }

    /// A container was made for this sandbox: a list that does not show it is wrong, or older than it.
    pub fn note_made(&self, id: &ContainerId, sandbox: &str) {
        lock(&self.made).insert(id.clone(), sandbox.to_owned());
    }

    /// What was made for this sandbox, and no list has shown yet.
    fn unlisted(&self, sandbox: &str, snapshot: &Snapshot) -> Vec<ContainerId> {
        let made = lock(&self.made);
        let unlisted = made.iter().filter(|(id, of)| *of == sandbox && !snapshot.contains(id));
        unlisted.map(|(id, _)| id.clone()).collect()
    }

    /// Nothing that is cached holds any longer.
    pub fn invalidate_all(&self) {
        self.cache.invalidate_all();
        lock(&self.gone).clear();
    }

    /// Says whether engine events arrive. While they do not, nothing tells what changed, so everything is
    /// inspected each time; what was cached before is not believed again afterwards.
    pub fn set_events_live(&self, live: bool) {
        if !live {
            self.recognised.store(false, Ordering::SeqCst);
        }
        self.cache.set_trusted(live);
        self.invalidate_all();
    }

    /// A container that is not ours in full, for the sandbox in whose way it is.
    ///
    /// # Errors
    /// The engine did not answer, or answered with another container.
    pub(crate) async fn foreign(
        &self,
        foreign: &Foreign,
        sandbox: &str,
    ) -> Result<Option<Arc<Inspected>>, EngineError> {
        let Foreign { id, name, state, slot: _ } = foreign.clone();
        let listed = Listed { id, name, state, labels: BTreeMap::new() };
        self.full(&listed, sandbox).await
    }

    /// The container that holds this name now, if any.
    pub(crate) async fn holder(&self, name: &str) -> Result<Option<ContainerId>, EngineError> {
        Ok(self.snapshot().await?.holder(name))
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, EngineError> {
        self.list.fresh(|earlier| self.list_once(earlier)).await
    }

    async fn list_once(&self, earlier: Option<Arc<Snapshot>>) -> Result<Snapshot, EngineError> {
        self.recognise().await?;
        let listed = self.engine.list().await?;
        let snapshot =
            Snapshot::index(listed, &self.identity, earlier.as_deref(), &mut lock(&self.gone))?;
        self.cache.retain(|id| snapshot.contains(id));
        // From here on the lists themselves remember it.
        lock(&self.made).retain(|id, _| !snapshot.contains(id));
        Ok(snapshot)
    }

    /// Asks the engine who it is, if it may be another than before.
    async fn recognise(&self) -> Result<(), EngineError> {
        let Some(ours) = &self.engine_id else { return Ok(()) };
        if self.recognised.load(Ordering::SeqCst) {
            return Ok(());
        }
        let found = self.engine.capabilities().await?.engine_id;
        if found != *ours {
            return Err(EngineError::Unreachable(format!(
                "another engine ({found}) answers where the one that runs our containers ({ours}) did; \
                 nothing is touched until that one is back, or the daemon is restarted"
            )));
        }
        self.recognised.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// Puts one candidate where it belongs, judged by its inspect, which is younger than the list. What
    /// the list shows to be foreign is not inspected.
    async fn sort_into(
        &self,
        observed: &mut Observed,
        judged: &Judged,
        claim: &Claim<'_>,
    ) -> Result<(), EngineError> {
        let Listed { id, name, state, .. } = &judged.listed;
        match claim.standing(&self.identity, id, name, &judged.owner) {
            Standing::Unrelated => return Ok(()),
            Standing::InTheWay(slot) => {
                let foreign = Foreign { id: id.clone(), name: name.clone(), slot, state: *state };
                keep_foreign(observed, foreign);
                return Ok(());
            }
            Standing::Ours { .. } | Standing::Leftover { .. } => {}
        }
        let Some(inspected) = self.inspect(judged, claim.sandbox).await? else { return Ok(()) };
        let standing = if judged.describes(&inspected) {
            claim.standing(&self.identity, id, name, &judged.owner)
        } else {
            let owner = self.identity.owner(&inspected.name, &inspected.labels);
            claim.standing(&self.identity, id, &inspected.name, &owner)
        };
        place(observed, &inspected, standing)
    }

    /// One container in full, from the cache while that holds.
    async fn inspect(
        &self,
        judged: &Judged,
        sandbox: &str,
    ) -> Result<Option<Arc<Inspected>>, EngineError> {
        self.full(&judged.listed, sandbox).await
    }

    async fn full(
        &self,
        listed: &Listed,
        sandbox: &str,
    ) -> Result<Option<Arc<Inspected>>, EngineError> {
        if let Some(inspected) = self.cache.get(listed) {
            return Ok(Some(inspected));
        }
        let id = &listed.id;
        let ticket = self.cache.begin(id, sandbox);
        let answer = {
            let _turn = self.inspects.turn().await;
            inspect_exactly(self.engine.as_ref(), id).await?
        };
        let Some(inspected) = answer.map(Arc::new) else {
            self.remember_gone(id);
            return Ok(None);
        };
        self.cache.finish(&ticket, &inspected);
        Ok(Some(inspected))
    }

    /// A container that we know of is not in the list. Lists have been wrong, so it is asked for by id.
    async fn confirm_gone(&self, id: &ContainerId) -> Result<(), EngineError> {
        if lock(&self.gone).contains(id) {
            return Ok(());
        }
        let _turn = self.inspects.turn().await;
        match inspect_exactly(self.engine.as_ref(), id).await? {
            None => {
                self.remember_gone(id);
                Ok(())
            }
            Some(found) => Err(EngineError::Garbled {
                call: "list",
                message: format!(
                    "it leaves out container {} ({}), which exists",
                    id.short(),
                    found.state
                ),
            }),
        }
    }

    fn remember_gone(&self, id: &ContainerId) {
        lock(&self.made).remove(id);
        let mut gone = lock(&self.gone);
        if gone.len() >= REMEMBERED_GONE {
            gone.clear();
        }
        gone.insert(id.clone());
    }
}

/// One container in full, and certainly the one that was asked for: once a container is gone, an engine
/// takes its id for the name of another.
///
/// # Errors
/// The engine did not answer, or answered with another container.
pub(crate) async fn inspect_exactly(
    engine: &dyn Engine,
    id: &ContainerId,
) -> Result<Option<Inspected>, EngineError> {
    match engine.inspect(id).await? {
        Some(found) if found.id != *id => Err(EngineError::Garbled {
            call: "inspect",
            message: format!("asked for {}, answered with {}", id.short(), found.id.short()),
        }),
        found => Ok(found),
    }
}

/// Sorts one inspected container into the view of a sandbox. Pure.
pub(super) fn place(
    observed: &mut Observed,
    inspected: &Inspected,
    standing: Standing,
) -> Result<(), EngineError> {
    let (slot, fingerprint) = match standing {
        Standing::Unrelated => return Ok(()),
        Standing::InTheWay(slot) => {
            let (id, name) = (inspected.id.clone(), inspected.name.clone());
            keep_foreign(observed, Foreign { id, name, slot, state: inspected.state });
            return Ok(());
        }
        Standing::Leftover { fingerprint } => {
            observed.leftover.push(container(inspected, Some(fingerprint)));
            return Ok(());
        }
        Standing::Ours { slot, fingerprint } => (slot, fingerprint),
    };
    let seat = match slot {
        Some(Slot::Main) => &mut observed.main,
        Some(Slot::Replacement) => &mut observed.replacement,
        Some(Slot::Predecessor) => &mut observed.predecessor,
        None => &mut observed.renamed,
    };
    if let Some(seated) = seat {
        return Err(EngineError::Garbled {
            call: "list",
            message: format!(
                "containers {} and {} cannot both be {}",
                seated.id.short(),
                inspected.id.short(),
                inspected.name
            ),
        });
    }
    *seat = Some(container(inspected, fingerprint));
    Ok(())
}

/// Of several foreign holders one is told, in the order in which their names stand in the way.
fn keep_foreign(observed: &mut Observed, foreign: Foreign) {
    let rank = |foreign: &Foreign| match foreign.slot {
        Slot::Main => 0,
        Slot::Replacement => 1,
        Slot::Predecessor => 2,
    };
    if observed.foreign.as_ref().is_none_or(|known| rank(&foreign) < rank(known)) {
        observed.foreign = Some(foreign);
    }
}

/// No code under these locks can leave a value half changed, so a panic elsewhere changes nothing.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
