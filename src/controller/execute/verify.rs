//! What an inspect right before and right after a call must show. Pure.

use crate::engine::{CreateRequest, Inspected};
use crate::plan::{Binding, ContainerState, Slot, Step};

use crate::controller::observe::network_attached;

/// Whether a step still fits the container that it was planned for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Readiness {
    /// It does.
    Act,
    /// There is nothing left to do.
    AlreadySo,
    /// It does not fit any more; says how.
    Changed(String),
}

/// Judges a step by the container's present state. `name` is the new one of a rename. What steps aside for
/// a replacement must have stopped: somebody may have started it again meanwhile.
pub(in crate::controller) fn readiness(
    step: &Step,
    found: &Inspected,
    name: Option<&str>,
) -> Readiness {
    use ContainerState::{Created, Dead, Exited, Paused, Restarting, Running};
    match (step, found.state) {
        (Step::Rename { slot: Slot::Predecessor, .. }, Running | Paused | Restarting) => {
            changed(found)
        }
        (Step::Start { .. } | Step::StartCreated, Created | Exited)
        | (Step::Unpause { .. }, Paused)
        | (Step::Stop { .. }, Running | Paused | Restarting)
        | (Step::Remove { .. }, Created | Exited | Dead) => Readiness::Act,
        (Step::Start { .. } | Step::StartCreated | Step::Unpause { .. }, Running)
        | (Step::Stop { .. }, Created | Exited | Dead) => Readiness::AlreadySo,
        (
            Step::Rename { .. } | Step::UpdateLimits { .. } | Step::ConnectNetwork { .. },
            Created | Running | Paused | Restarting | Exited,
        ) => {
            if already_so(step, found, name) {
                Readiness::AlreadySo
            } else {
                Readiness::Act
            }
        }
        _ => changed(found),
    }
}

fn changed(found: &Inspected) -> Readiness {
    Readiness::Changed(format!("container {} is {} now", found.id.short(), found.state))
}

fn already_so(step: &Step, found: &Inspected, name: Option<&str>) -> bool {
    match step {
        Step::Rename { .. } => name == Some(found.name.as_str()),
        Step::UpdateLimits { limits, .. } => found.limits == *limits,
        Step::ConnectNetwork { .. } => network_attached(&found.networks, &found.network_mode),
        _ => false,
    }
}

/// In what a container differs from the request that it should come from, or is let do more. An image may
/// add labels.
pub(super) fn differences(request: &CreateRequest, found: &Inspected) -> Vec<String> {
    let mut differences = Vec::new();
    if found.name != request.name {
        differences.push("name".to_owned());
    }
    if request.labels.iter().any(|(key, value)| found.labels.get(key) != Some(value)) {
        differences.push("labels".to_owned());
    }
    if !publishes_as_asked(request, &found.bindings) {
        differences.push("ports".to_owned());
    }
    differences.extend(request.limits.differences(&found.limits));
    differences.extend(request.isolation().widened(&found.isolation));
    differences
}

fn publishes_as_asked(request: &CreateRequest, bindings: &[Binding]) -> bool {
    let asked = |binding: &Binding| {
        request.ports.iter().any(|port| {
            port.container_port == binding.container_port
                && port.protocol == binding.protocol
                && port.host_ip == binding.host_ip
                && port.host_port == binding.host_port
        })
    };
    bindings.len() == request.ports.len() && bindings.iter().all(asked)
}

#[cfg(test)]
mod tests;
