//! What was seen before, for what the tool forgets: that a container ran, when it ended, and whether the
//! service was restarted under it. Pure; it is as good as the process is old.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::answers::Shown;
use crate::engine::EngineEvent;
use crate::plan::ownership;
use crate::plan::{ContainerId, ContainerState};

/// A container as it is shown, and what was seen of it besides.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) container: Shown,
    pub(super) state: ContainerState,
    /// When it was first seen ended.
    pub(super) ended_at: Option<Timestamp>,
}

/// What is remembered of every container that the last list showed.
#[derive(Debug, Default)]
pub(super) struct Sightings(BTreeMap<ContainerId, Sighting>);

#[derive(Clone, Debug)]
struct Sighting {
    name: String,
    sandbox: Option<String>,
    running: bool,
    started_at: Option<Timestamp>,
    /// It was seen running.
    ran: bool,
    ended_at: Option<Timestamp>,
    /// Its machine outlived the server that knew of it. Nothing but its removal ends it.
    left_over: Option<bool>,
}

impl Sightings {
    /// Those of a new list that ran when they were last seen, are said to be stopped, and have lost the time
    /// of their start: the service was restarted, and whether they run on nobody says.
    pub(super) fn doubtful<'a>(&self, list: &'a [Shown]) -> Vec<&'a Shown> {
        let in_doubt = |shown: &&Shown| {
            !shown.running
                && shown.started_at.is_none()
                && self.0.get(&shown.id).is_some_and(|it| it.ran && it.left_over.is_none())
        };
        list.iter().filter(in_doubt).collect()
    }

    /// A start of it was refused because its machine is still there.
    pub(super) fn left_over(&mut self, id: &ContainerId) {
        if let Some(sighting) = self.0.get_mut(id) {
            sighting.left_over = Some(true);
        }
    }

    /// Takes in a new list: what it shows, and what has happened since the last one. `left_over` answers
    /// for those in doubt.
    pub(super) fn take(
        &mut self,
        list: Vec<Shown>,
        left_over: &BTreeMap<ContainerId, bool>,
        now: Timestamp,
    ) -> (Vec<Seen>, Vec<EngineEvent>) {
        let before = std::mem::take(&mut self.0);
        let mut events = Vec::new();
        let mut all = Vec::with_capacity(list.len());
        for shown in list {
            let earlier = before.get(&shown.id);
            let sighting = sighting(&shown, earlier, left_over.get(&shown.id).copied(), now);
            for action in happened(earlier, &sighting) {
                events.push(event(&shown.id, &sighting, action));
            }
            let (state, ended_at) = (state(&sighting), sighting.ended_at);
            self.0.insert(shown.id.clone(), sighting);
            all.push(Seen { container: shown, state, ended_at });
        }
        for (id, sighting) in before.iter().filter(|(id, _)| !self.0.contains_key(*id)) {
            let end = if sighting.running { &["die", "destroy"][..] } else { &["destroy"] };
            events.extend(end.iter().map(|action| event(id, sighting, action)));
        }
        (all, events)
    }
}

fn sighting(
    shown: &Shown,
    earlier: Option<&Sighting>,
    left_over: Option<bool>,
    now: Timestamp,
) -> Sighting {
    let was_running = earlier.is_some_and(|it| it.running);
    Sighting {
        name: shown.name.clone(),
        sandbox: shown.labels.get(ownership::NAME).cloned(),
        running: shown.running,
        started_at: shown.started_at,
        ran: shown.running || earlier.is_some_and(|it| it.ran),
        ended_at: match earlier {
            _ if shown.running => None,
            Some(_) if was_running => Some(now),
            earlier => earlier.and_then(|it| it.ended_at),
        },
        left_over: if shown.running {
            None
        } else {
            left_over.or(earlier.and_then(|it| it.left_over))
        },
    }
}

fn state(sighting: &Sighting) -> ContainerState {
    match sighting {
        Sighting { running: true, .. } => ContainerState::Running,
        Sighting { left_over: Some(true), .. } => ContainerState::Dead,
        Sighting { started_at: None, ran: false, .. } => ContainerState::Created,
        _ => ContainerState::Exited,
    }
}

/// What must have happened between two looks, in the words of other engines.
fn happened(earlier: Option<&Sighting>, now: &Sighting) -> Vec<&'static str> {
    let Some(earlier) = earlier else {
        return match now {
            Sighting { running: true, .. } => vec!["create", "start"],
            Sighting { started_at: Some(_), .. } => vec!["create", "start", "die"],
            _ => vec!["create"],
        };
    };
    match (earlier.running, now.running) {
        (false, true) => vec!["start"],
        (true, false) => vec!["die"],
        (true, true) if earlier.started_at != now.started_at => vec!["die", "start"],
        // It ran and ended in between.
        (false, false) if earlier.started_at != now.started_at && now.started_at.is_some() => {
            vec!["start", "die"]
        }
        _ => Vec::new(),
    }
}

fn event(id: &ContainerId, sighting: &Sighting, action: &str) -> EngineEvent {
    EngineEvent {
        container: id.clone(),
        name: sighting.name.clone(),
        action: action.to_owned(),
        sandbox: sighting.sandbox.clone(),
    }
}

#[cfg(test)]
mod tests;
