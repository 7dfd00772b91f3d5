//! One list of the engine, judged and indexed by sandbox. Pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::engine::{EngineError, Inspected, Listed};
use crate::plan::ownership::{Identity, Owner};
use crate::plan::{ContainerId, Foreign, Slot};

use super::standing::Claim;
use super::{Inventory, OwnedSummary};

/// A listed container and whose it is.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) listed: Listed,
    pub(super) owner: Owner,
    /// The sandbox whose name it holds, whoever made it, and which of its names.
    place: Option<(String, Slot)>,
}

impl Judged {
    /// Judges one entry. The verdict depends on name and labels alone, so an earlier one over the same
    /// saves the keyed hash, which is most of the cost of a list.
    fn new(listed: Listed, identity: &Identity, earlier: Option<&Arc<Self>>) -> Arc<Self> {
        let known = earlier.filter(|earlier| {
            earlier.listed.name == listed.name && earlier.listed.labels == listed.labels
        });
        match known {
            Some(known) if known.listed.state == listed.state => Arc::clone(known),
            Some(known) => {
                Arc::new(Self { owner: known.owner.clone(), place: known.place.clone(), listed })
            }
            None => {
                let owner = identity.owner(&listed.name, &listed.labels);
                let place = identity.place(&listed.name);
                Arc::new(Self { listed, owner, place })
            }
        }
    }

    /// Sandboxes that it concerns: the one it was made for, and the one whose name it holds.
    fn concerns(&self) -> impl Iterator<Item = &str> {
        let made_for = match &self.owner {
            Owner::Ours { sandbox, .. } | Owner::OursRenamed { sandbox, .. } => Some(sandbox),
            Owner::ForeignInTheWay { .. } | Owner::Foreign => None,
        };
        let holds_name_of = self.place.as_ref().map(|(sandbox, _)| sandbox);
        let other = holds_name_of.filter(|other| made_for != Some(other));
        made_for.into_iter().chain(other).map(String::as_str)
    }

    /// Whether an inspect shows the name and labels that this verdict is about.
    pub(super) fn describes(&self, inspected: &Inspected) -> bool {
        self.listed.name == inspected.name && self.listed.labels == inspected.labels
    }

    /// It, as a container that is not ours and holds a name of some sandbox.
    fn as_foreign(&self) -> Option<Foreign> {
        let (_, slot) = self.place.as_ref().filter(|_| self.as_owned().is_none())?;
        Some(Foreign {
            id: self.listed.id.clone(),
            name: self.listed.name.clone(),
            slot: *slot,
            state: self.listed.state,
        })
    }

    fn as_owned(&self) -> Option<OwnedSummary> {
        let Owner::Ours { sandbox, uid, slot, .. } = &self.owner else { return None };
        Some(OwnedSummary {
            sandbox: sandbox.clone(),
            uid: uid.clone(),
            slot: *slot,
            id: self.listed.id.clone(),
            state: self.listed.state,
        })
    }
}

/// One list, indexed.
#[derive(Debug, Default)]
pub(super) struct Snapshot {
    by_id: HashMap<ContainerId, Arc<Judged>>,
    by_sandbox: HashMap<String, Vec<Arc<Judged>>>,
    /// Ours in an earlier list, missing since, and not confirmed to be gone; by sandbox.
    unseen: HashMap<String, Vec<ContainerId>>,
}

impl Snapshot {
    /// Indexes a list. Ids that it shows are struck from `gone`.
    ///
    /// # Errors
    /// [`EngineError::Garbled`] when it shows one id twice.
    pub(super) fn index(
        listed: Vec<Listed>,
        identity: &Identity,
        earlier: Option<&Self>,
        gone: &mut HashSet<ContainerId>,
    ) -> Result<Self, EngineError> {
        let mut snapshot = Self::default();
        snapshot.by_id.reserve(listed.len());
        for entry in listed {
            let known = earlier.and_then(|earlier| earlier.by_id.get(&entry.id));
            let judged = Judged::new(entry, identity, known);
            for sandbox in judged.concerns() {
                let concerned = snapshot.by_sandbox.entry(sandbox.to_owned()).or_default();
                concerned.push(Arc::clone(&judged));
            }
            let id = judged.listed.id.clone();
            if let Some(twice) = snapshot.by_id.insert(id, judged) {
                return Err(EngineError::Garbled {
                    call: "list",
                    message: format!("it shows container {} twice", twice.listed.id.short()),
                });
            }
        }
        gone.retain(|id| !snapshot.by_id.contains_key(id));
        if let Some(earlier) = earlier {
            snapshot.note_unseen(earlier, gone);
        }
        Ok(snapshot)
    }

    fn note_unseen(&mut self, earlier: &Self, gone: &HashSet<ContainerId>) {
        let still = earlier
            .unseen
            .iter()
            .flat_map(|(sandbox, ids)| ids.iter().map(move |id| (sandbox.as_str(), id)));
        let newly = earlier.by_id.iter().filter_map(|(id, judged)| match &judged.owner {
            Owner::Ours { sandbox, .. } => Some((sandbox.as_str(), id)),
            _ => None,
        });
        for (sandbox, id) in still.chain(newly) {
            if !self.by_id.contains_key(id) && !gone.contains(id) {
                self.unseen.entry(sandbox.to_owned()).or_default().push(id.clone());
            }
        }
    }

    /// Whether the list shows this container.
    pub(super) fn contains(&self, id: &ContainerId) -> bool {
        self.by_id.contains_key(id)
    }

    /// The containers that could be this sandbox's or in its way.
    pub(super) fn candidates(&self, claim: &Claim<'_>) -> Vec<Arc<Judged>> {
        let mut found = self.by_sandbox.get(claim.sandbox).cloned().unwrap_or_default();
        for judged in claim.records().filter_map(|id| self.by_id.get(id)) {
            if !found.iter().any(|other| Arc::ptr_eq(other, judged)) {
                found.push(Arc::clone(judged));
            }
        }
        found
    }

    /// Containers of this sandbox, by earlier lists or by the record, that the list does not show.
    pub(super) fn unseen(&self, claim: &Claim<'_>) -> Vec<ContainerId> {
        let mut ids = self.unseen.get(claim.sandbox).cloned().unwrap_or_default();
        for id in claim.records() {
            if !self.contains(id) && !ids.contains(id) {
                ids.push(id.clone());
            }
        }
        ids
    }

    /// Containers of ours, by earlier lists, that the list does not show.
    pub(super) fn all_unseen(&self) -> Vec<ContainerId> {
        self.unseen.values().flatten().cloned().collect()
    }

    /// The container under this name.
    pub(super) fn holder(&self, name: &str) -> Option<ContainerId> {
        self.by_id.values().find(|it| it.listed.name == name).map(|it| it.listed.id.clone())
    }

    /// What the list shows of ours, and of others in the way.
    pub(super) fn inventory(&self) -> Inventory {
        let all = self.by_id.values();
        let mut owned: Vec<OwnedSummary> = all.clone().filter_map(|it| it.as_owned()).collect();
        let mut foreign: Vec<Foreign> = all.filter_map(|it| it.as_foreign()).collect();
        owned.sort_by(|one, other| (&one.sandbox, &one.id).cmp(&(&other.sandbox, &other.id)));
        foreign.sort_by(|one, other| one.name.cmp(&other.name));
        Inventory { owned, foreign }
    }
}
