//! What a container is to one sandbox, and its engine report as a value of the plan. Pure. The observer
//! sorts by it and the executor refuses by it, so the two cannot disagree.

use std::sync::Arc;

use crate::engine::Inspected;
use crate::plan::ownership::{Identity, Owner};
use crate::plan::{Container, ContainerId, Fingerprint, Memory, Slot};

/// The sandbox on whose behalf the engine is looked at, and the ids on its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    /// Name of the sandbox.
    pub(crate) sandbox: &'a str,
    uid: &'a str,
    recorded: Option<&'a ContainerId>,
    adopted: Option<&'a ContainerId>,
}

/// What a container is to a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Ours, in this slot, or (`None`) under a name that somebody else gave it. An adopted container has
    /// no fingerprint.
    Ours { slot: Option<Slot>, fingerprint: Option<Fingerprint> },
    /// Ours, made for an earlier sandbox of the same name.
    Leftover { fingerprint: Fingerprint },
    /// Not ours, and it holds this name.
    InTheWay(Slot),
    /// Of no concern to this sandbox.
    Unrelated,
}

impl<'a> Claim<'a> {
    /// The claim of a sandbox. A memory of another uid is of another life and proves nothing.
    pub(crate) fn new(sandbox: &'a str, uid: &'a str, memory: &'a Memory) -> Self {
        let memory = (memory.uid == uid).then_some(memory);
        Self {
            sandbox,
            uid,
            recorded: memory.and_then(|memory| memory.container.as_ref()),
            adopted: memory.and_then(|memory| memory.adopted.as_ref()).map(|it| &it.container),
        }
    }

    /// The ids on record.
    pub(super) fn records(&self) -> impl Iterator<Item = &'a ContainerId> {
        let adopted = self.adopted.filter(|id| self.recorded != Some(id));
        self.recorded.into_iter().chain(adopted)
    }

    /// Judges one container.
    pub(crate) fn standing(
        &self,
        identity: &Identity,
        id: &ContainerId,
        name: &str,
        owner: &Owner,
    ) -> Standing {
        match owner {
            Owner::Ours { sandbox, uid, slot, fingerprint } if sandbox == self.sandbox => {
                let fingerprint = fingerprint.clone();
                if uid == self.uid {
                    Standing::Ours { slot: Some(*slot), fingerprint: Some(fingerprint) }
                } else {
                    Standing::Leftover { fingerprint }
                }
            }
            // Proven to be another sandbox's: no record of this one can make it ours.
            Owner::Ours { .. } => Standing::Unrelated,
            Owner::OursRenamed { sandbox, uid, fingerprint }
                if sandbox == self.sandbox && uid == self.uid && self.recorded == Some(id) =>
            {
                Standing::Ours { slot: None, fingerprint: Some(fingerprint.clone()) }
            }
            // A copy of our labels is as foreign as none.
            Owner::OursRenamed { .. } | Owner::ForeignInTheWay { .. } | Owner::Foreign => {
                self.standing_of_foreign(identity, id, name)
            }
        }
    }

    fn standing_of_foreign(&self, identity: &Identity, id: &ContainerId, name: &str) -> Standing {
        let slot = identity
            .place(name)
            .filter(|(sandbox, _)| sandbox == self.sandbox)
            .map(|(_, slot)| slot);
        if self.adopted == Some(id) {
            return Standing::Ours { slot, fingerprint: None };
        }
        slot.map_or(Standing::Unrelated, Standing::InTheWay)
    }
}

/// An engine's report on a container of ours.
pub(crate) fn container(inspected: &Inspected, fingerprint: Option<Fingerprint>) -> Container {
    // Destructured whole, so that a new fact cannot be forgotten here.
    let Inspected {
        id,
        name,
        state,
        labels: _,
        image,
        image_id,
        created_at,
        started_at,
        finished_at,
        exit_code,
        oom_killed,
        limits,
        bindings,
        networks,
        network_mode,
        mounts,
        pid,
        runtime,
        isolation,
    } = inspected;
    Container {
        id: id.clone(),
        name: name.clone(),
        state: *state,
        fingerprint,
        image: image.clone(),
        image_id: image_id.clone(),
        created_at: *created_at,
        started_at: *started_at,
        finished_at: *finished_at,
        exit_code: *exit_code,
        oom_killed: *oom_killed,
        limits: *limits,
        bindings: bindings.clone(),
        network_attached: network_attached(networks, network_mode),
        mounts: mounts.clone(),
        pid: *pid,
        runtime: runtime.clone(),
        isolation: Arc::clone(isolation),
    }
}

/// Whether a container is attached to the network that it was made for.
pub(crate) fn network_attached(networks: &[String], mode: &str) -> bool {
    own_network(mode).is_none_or(|network| networks.iter().any(|attached| attached == network))
}

/// The network that a container was made for and can be attached to again; `None` for the modes that
/// have none of their own. Docker reports the bridge as `default` when none was asked for.
pub(crate) fn own_network(mode: &str) -> Option<&str> {
    match mode {
        "default" | "bridge" => Some("bridge"),
        "none" | "host" | "" => None,
        shared if shared.starts_with("container:") => None,
        named => Some(named),
    }
}
