//! A look at everything each resync period, whatever the events say: one list, and a wake for each sandbox
//! whose containers are not as they were. A missed event costs at most one period. An engine that stops
//! answering, or answers again, wakes them all. What no list shows is looked at now and then, each sandbox
//! at its own time.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use kube::runtime::reflector::Store;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::observe::{Inventory, Observer};
use super::sweep::{Stray, Strays};
use super::triggers::Triggers;
use crate::clock;
use crate::plan::ownership::Identity;
use crate::source::{Declared, Reports};

/// What a resync works with.
pub struct Resync {
    /// The engine's containers.
    pub observer: Arc<Observer>,
    /// Whose names are whose.
    pub identity: Identity,
    /// What is declared.
    pub store: Store<Declared>,
    /// Whom to wake.
    pub triggers: Triggers,
    /// The state of the directories.
    pub reports: watch::Receiver<Reports>,
    /// Where tombstones for strays go.
    pub strays: mpsc::Sender<Declared>,
    /// Time between two looks.
    pub period: Duration,
    /// Largest number of strays that go at once; 0: any.
    pub guard: usize,
    /// Asks for a look now (SIGHUP).
    pub now: Arc<Notify>,
}

/// The containers and foreign holders of each sandbox, as one comparable text each.
type Picture = BTreeMap<String, Vec<String>>;

impl Resync {
    /// Runs until dropped.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(self.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut before: Option<Picture> = None;
        let mut strays = Strays::default();
        let mut clocks = Clocks::now();
        let mut answered = true;
        loop {
            let asked = tokio::select! {
                _ = ticks.tick() => false,
                () = self.now.notified() => true,
            };
            if asked {
                self.observer.invalidate_all();
            }
            if clocks.stepped() || asked {
                self.wake_all();
            }
            let found = self.observer.inventory().await;
            // No list tells what is no longer known; and a back-off need not last once one tells again.
            if found.is_ok() != std::mem::replace(&mut answered, found.is_ok()) {
                self.wake_all();
            }
            match found {
                Ok(inventory) => {
                    let picture = picture(&inventory, &self.identity);
                    if let Some(before) = &before {
                        changed(before, &picture).for_each(|name| self.triggers.wake(name));
                    }
                    before = Some(picture);
                    self.observer.overdue().iter().for_each(|name| self.triggers.wake(name));
                    self.sweep(&mut strays, &inventory).await;
                }
                Err(error) => {
                    tracing::debug!(%error, "The engine could not be asked for its containers.");
                }
            }
        }
    }

    fn wake_all(&self) {
        for declared in self.store.state() {
            self.triggers.wake(declared.name());
        }
    }

    async fn sweep(&self, strays: &mut Strays, inventory: &Inventory) {
        let declared: HashSet<String> =
            self.store.state().iter().map(|declared| declared.name().to_owned()).collect();
        let reports = self.reports.borrow().clone();
        let patience = self.period.saturating_mul(2);
        let verdict =
            strays.judge(&inventory.owned, &declared, &reports, self.guard, patience, clock::now());
        if verdict.held > 0 {
            tracing::warn!(
                containers = verdict.held,
                guard = self.guard,
                "Containers of ours have no spec; they are more than deleteGuard lets go at once. \
                 Bring the specs back, or raise deleteGuard for one start."
            );
        }
        for stray in verdict.condemned {
            tracing::info!(
                sandbox = stray.sandbox,
                "A container of ours has no spec and is removed."
            );
            // A closed channel means that we are stopping.
            let _ = self.strays.send(tombstone(stray)).await;
        }
    }
}

/// The wall clock beside one that nobody sets and that stands still while the host sleeps. Deadlines are wall
/// times and timers are not, so after a step every deadline is looked at anew.
struct Clocks {
    wall: Timestamp,
    steady: Instant,
}

impl Clocks {
    /// Differences up to this are clocks that drift, and pauses between the two readings.
    const TOLERANCE: Duration = Duration::from_secs(2);

    fn now() -> Self {
        Self { wall: clock::now(), steady: Instant::now() }
    }

    /// Whether one of the two has moved without the other since it was asked last.
    fn stepped(&mut self) -> bool {
        let before = std::mem::replace(self, Self::now());
        differ(self.wall.duration_since(before.wall), self.steady - before.steady)
    }
}

fn differ(wall: SignedDuration, steady: Duration) -> bool {
    let steady = SignedDuration::try_from(steady).unwrap_or(SignedDuration::MAX);
    wall.saturating_sub(steady).unsigned_abs() > Clocks::TOLERANCE
}

fn tombstone(stray: Stray) -> Declared {
    Declared::stray(stray.sandbox, stray.uid, clock::now())
}

fn picture(inventory: &Inventory, identity: &Identity) -> Picture {
    let mut picture = Picture::new();
    for owned in &inventory.owned {
        let line = format!("{} {:?} {}", owned.id, owned.slot, owned.state);
        picture.entry(owned.sandbox.clone()).or_default().push(line);
    }
    for foreign in &inventory.foreign {
        let Some((sandbox, slot)) = identity.place(&foreign.name) else { continue };
        picture.entry(sandbox).or_default().push(format!("foreign {} {slot:?}", foreign.id));
    }
    picture
}

fn changed<'a>(before: &'a Picture, after: &'a Picture) -> impl Iterator<Item = &'a String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| before.get(*name) != after.get(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_or_a_host_that_slept_is_a_step_and_drift_is_none() {
        let steady = Duration::from_secs(30);
        for (wall, step) in [(30, false), (31, false), (29, false), (3600, true), (-3600, true)] {
            assert_eq!(differ(SignedDuration::from_secs(wall), steady), step, "{wall}");
        }
        assert!(differ(SignedDuration::MIN, steady));
    }
}
