//! What somebody does at the engine's own command line, or the host to a container. None of it is in
//! the ledger.

use super::state::FakeState;
use crate::engine::{CreateRequest, EngineError};
use crate::plan::{ContainerId, ContainerState, Limits};

impl FakeState {
    /// Ends a container's process from outside.
    pub fn kill(&mut self, id: &ContainerId) {
        self.end(id, 137, self.now());
    }

    /// Ends a container's process with this code, as if by itself.
    pub fn exit(&mut self, id: &ContainerId, code: i64) {
        self.end(id, code, self.now());
    }

    /// Ends a container's process for want of memory.
    pub fn run_out_of_memory(&mut self, id: &ContainerId) {
        self.emit("oom", id);
        if let Some(container) = self.containers.get_mut(id) {
            container.details.oom_killed = true;
        }
        self.end(id, 137, self.now());
    }

    /// `docker rm -f`.
    pub fn remove_by_force(&mut self, id: &ContainerId) {
        self.kill(id);
        self.erase(id);
    }

    /// `docker pause`.
    pub fn pause(&mut self, id: &ContainerId) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if container.details.state == ContainerState::Running {
            container.details.state = ContainerState::Paused;
            self.emit("pause", id);
        }
    }

    /// `docker update`.
    pub fn update_by_hand(&mut self, id: &ContainerId, limits: Limits) {
        if let Some(container) = self.containers.get_mut(id) {
            container.details.limits = limits;
            self.emit("update", id);
        }
    }

    /// `docker rename`.
    pub fn rename_by_hand(&mut self, id: &ContainerId, name: &str) {
        if let Some(container) = self.containers.get_mut(id) {
            name.clone_into(&mut container.details.name);
            self.emit("rename", id);
        }
    }

    /// `docker network disconnect`.
    pub fn disconnect(&mut self, id: &ContainerId, network: &str) {
        if let Some(container) = self.containers.get_mut(id) {
            container.details.networks.retain(|it| it != network);
        }
    }

    /// `docker run`: a container that is nobody's. It does not show in the ledger.
    pub fn create_by_hand(
        &mut self,
        request: &CreateRequest,
        start: bool,
    ) -> Result<ContainerId, EngineError> {
        let known = self.ledger.len();
        let created = self.create(request);
        let outcome = match created {
            Ok(id) if start => self.start(&id).map(|()| id),
            other => other,
        };
        self.ledger.truncate(known);
        outcome
    }
}
