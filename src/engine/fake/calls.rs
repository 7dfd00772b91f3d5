//! What the controller asks. Each method is the namesake of one of [`Engine`](crate::engine::Engine).

use super::fences::updates_live;
use super::state::{FakeState, Mutation, is_live};
use crate::engine::{Call, CreateRequest, EngineError, ExecOutcome, Inspected, Listed};
use crate::plan::{ContainerId, ContainerState, Limits};

impl FakeState {
    /// Every container.
    #[must_use]
    pub fn list(&self) -> Vec<Listed> {
        let listed = |Inspected { id, name, state, labels, .. }: &Inspected| Listed {
            id: id.clone(),
            name: name.clone(),
            state: *state,
            labels: labels.clone(),
        };
        self.containers.values().map(|it| listed(&it.details)).collect()
    }

    /// One container.
    #[must_use]
    pub fn inspect(&self, id: &ContainerId) -> Option<Inspected> {
        self.containers.get(id).map(|it| it.details.clone())
    }

    /// Creates a container.
    pub fn create(&mut self, request: &CreateRequest) -> Result<ContainerId, EngineError> {
        let created = self.check_create(request).map(|program| self.insert(request, program));
        self.ledger.push(Mutation {
            call: Call::Create,
            container: created.as_ref().ok().cloned(),
            name: request.name.clone(),
            succeeded: created.is_ok(),
        });
        created
    }

    /// Starts a container.
    pub fn start(&mut self, id: &ContainerId) -> Result<(), EngineError> {
        self.mutate(Call::Start, id, |state| {
            let details = &state.existing(id)?.details;
            match details.state {
                ContainerState::Running => return Ok(()),
                ContainerState::Created | ContainerState::Exited => {}
                other => return Err(busy(format!("cannot start a {other} container"))),
            }
            for network in &details.networks {
                state.check_network(network)?;
            }
            state.check_ports(id)?;
            state.run(id);
            Ok(())
        })
    }

    /// Stops a container.
    pub fn stop(&mut self, id: &ContainerId) -> Result<(), EngineError> {
        self.mutate(Call::Stop, id, |state| {
            let container = state.existing(id)?;
            let code = container.program.stopped();
            if is_live(container.details.state) {
                state.end(id, code, state.now());
                state.emit("stop", id);
            }
            Ok(())
        })
    }

    /// Unfreezes a container.
    pub fn unpause(&mut self, id: &ContainerId) -> Result<(), EngineError> {
        self.mutate(Call::Unpause, id, |state| {
            let details = &mut state.existing_mut(id)?.details;
            if details.state == ContainerState::Paused {
                details.state = ContainerState::Running;
                state.emit("unpause", id);
            }
            Ok(())
        })
    }

    /// Renames a container.
    pub fn rename(&mut self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        self.mutate(Call::Rename, id, |state| {
            if state.existing(id)?.details.name == name {
                return Ok(());
            }
            state.check_name(name)?;
            name.clone_into(&mut state.existing_mut(id)?.details.name);
            state.emit("rename", id);
            Ok(())
        })
    }

    /// Changes the limits of a container.
    pub fn update(&mut self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError> {
        self.mutate(Call::Update, id, |state| {
            if !updates_live(&state.existing(id)?.details.limits, limits) {
                let message = "cannot remove a limit on CPU or memory from an existing container";
                return Err(EngineError::Unsupported(message.to_owned()));
            }
            state.check_limits(limits)?;
            state.existing_mut(id)?.details.limits = *limits;
            state.emit("update", id);
            Ok(())
        })
    }

    /// Attaches a container to a network.
    pub fn connect(&mut self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        self.mutate(Call::Connect, id, |state| {
            // A container that does not run is told at its next start.
            if is_live(state.existing(id)?.details.state) {
                state.check_network(network)?;
            }
            let networks = &mut state.existing_mut(id)?.details.networks;
            if !networks.iter().any(|it| it == network) {
                networks.push(network.to_owned());
                networks.sort();
            }
            Ok(())
        })
    }

    /// Removes a container that does not run.
    pub fn remove(&mut self, id: &ContainerId) -> Result<(), EngineError> {
        self.mutate(Call::Remove, id, |state| {
            let Some(container) = state.containers.get_mut(id) else { return Ok(()) };
            match container.details.state {
                ContainerState::Removing => {
                    Err(busy(format!("removal of container {id} is already in progress")))
                }
                live if is_live(live) => Err(busy(format!("you cannot remove a {live} container"))),
                _ if state.slow_removal => {
                    container.details.state = ContainerState::Removing;
                    Ok(())
                }
                _ => {
                    state.erase(id);
                    Ok(())
                }
            }
        })
    }

    /// Pulls an image.
    pub fn pull(&mut self, image: &str) -> Result<(), EngineError> {
        let pulled = match self.images.get_mut(image) {
            Some(found) => {
                found.present = true;
                Ok(())
            }
            None => Err(EngineError::ImageMissing(format!(
                "manifest for {image} not found: manifest unknown"
            ))),
        };
        self.ledger.push(Mutation {
            call: Call::Pull,
            container: None,
            name: image.to_owned(),
            succeeded: pulled.is_ok(),
        });
        pulled
    }

    /// Whether the engine has this image.
    #[must_use]
    pub fn has_image(&self, image: &str) -> bool {
        self.images.get(image).is_some_and(|found| found.present)
    }

    /// Runs a command in a container.
    pub fn exec(
        &mut self,
        id: &ContainerId,
        command: &[String],
    ) -> Result<ExecOutcome, EngineError> {
        self.mutate(Call::Exec, id, |state| {
            let current = state.existing(id)?.details.state;
            if current != ContainerState::Running {
                return Err(busy(format!("container {id} is {current}, not running")));
            }
            let nothing = ExecOutcome { exit_code: 0, output: String::new() };
            Ok(state.execs.get(command).cloned().unwrap_or(nothing))
        })
    }
}

impl FakeState {
    fn mutate<T>(
        &mut self,
        call: Call,
        id: &ContainerId,
        change: impl FnOnce(&mut Self) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let name = self.containers.get(id).map(|it| it.details.name.clone()).unwrap_or_default();
        let outcome = change(self);
        let succeeded = outcome.is_ok();
        self.ledger.push(Mutation { call, container: Some(id.clone()), name, succeeded });
        outcome
    }
}

fn busy(message: String) -> EngineError {
    EngineError::Busy(message)
}
