//! The fake engine as a value: synchronous, cloneable, without a clock of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::program::Program;
use crate::engine::{
    Call, Capabilities, CreateRequest, EngineError, EngineEvent, ExecOutcome, Inspected,
    PublishedPort,
};
use crate::plan::{Binding, ContainerId, ContainerState, IdMapping, NetworkChoice, ownership};

/// A call that would change something, as it reached the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The call.
    pub call: Call,
    /// The container; `None` for a creation that failed, and for pulls.
    pub container: Option<ContainerId>,
    /// The container's name before the call, or the image of a pull.
    pub name: String,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// An image of the fake engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeImage {
    /// What its containers do.
    pub program: Program,
    /// Whether the engine has it; else it can be pulled.
    pub present: bool,
}

/// A container of the fake engine.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeContainer {
    /// What an inspect says.
    pub details: Inspected,
    /// What its main process does.
    pub program: Program,
    /// What it printed.
    pub log: String,
}

/// The fake engine's world. Fields are public so that a test can arrange whatever it needs; the methods
/// of [`Engine`](crate::engine::Engine) behave as Docker does.
#[derive(Clone, Debug, PartialEq)]
pub struct FakeState {
    /// What the engine says of itself.
    pub capabilities: Capabilities,
    /// Containers, by id.
    pub containers: BTreeMap<ContainerId, FakeContainer>,
    /// Images, by reference.
    pub images: BTreeMap<String, FakeImage>,
    /// Networks.
    pub networks: BTreeSet<String>,
    /// Host ports that programs outside of containers hold.
    pub occupied_ports: BTreeSet<u16>,
    /// What commands print and return; others print nothing and return 0.
    pub execs: BTreeMap<Vec<String>, ExecOutcome>,
    /// Whether a removal takes until [`Self::finish_removals`]: the container holds its name meanwhile.
    pub slow_removal: bool,
    /// Every call that would change something, in order.
    pub ledger: Vec<Mutation>,
    pub(super) events: Vec<EngineEvent>,
    now: Timestamp,
    created: u64,
}

impl Default for FakeState {
    fn default() -> Self {
        Self {
            capabilities: Capabilities {
                version: "fake".to_owned(),
                engine_id: "FAKE:ENGINE".to_owned(),
                runtimes: vec!["runc".to_owned()],
                cpus: 8,
                memory: 16 << 30,
                data_root: None,
                least_memory: 0,
                ids: IdMapping::Same,
                lacks: Vec::new(),
            },
            containers: BTreeMap::new(),
            images: BTreeMap::new(),
            networks: BTreeSet::from(["bridge".to_owned(), "none".to_owned()]),
            occupied_ports: BTreeSet::new(),
            execs: BTreeMap::new(),
            slow_removal: false,
            ledger: Vec::new(),
            events: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
            created: 0,
        }
    }
}

/// Time, images and what else a test arranges.
impl FakeState {
    /// Now, for the fake engine.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Moves the clock; processes whose time has come end, at their time.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
        let due: Vec<(Timestamp, ContainerId, i64)> = self
            .containers
            .values()
            .filter(|it| it.details.state == ContainerState::Running)
            .filter_map(|it| {
                let (after, code) = it.program.ends?;
                Some((it.details.started_at? + after, it.details.id.clone(), code))
            })
            .filter(|(at, ..)| *at <= now)
            .collect();
        for (at, id, code) in due {
            self.end(&id, code, at);
        }
    }

    /// Moves the clock forward.
    pub fn advance(&mut self, by: Duration) {
        self.set_now(self.now + by);
    }

    /// Gives the engine an image whose name is its script; see [`Program::named`].
    pub fn add_image(&mut self, image: &str) {
        self.add_program(image, Program::named(image));
    }

    /// Gives the engine an image with this script.
    pub fn add_program(&mut self, image: &str, program: Program) {
        self.images.insert(image.to_owned(), FakeImage { program, present: true });
    }

    /// Puts an image into the registry, from where it can be pulled.
    pub fn add_pullable(&mut self, image: &str) {
        let program = Program::named(image);
        self.images.insert(image.to_owned(), FakeImage { program, present: false });
    }

    /// The container that holds this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&FakeContainer> {
        self.containers.values().find(|it| it.details.name == name)
    }

    /// Lets the removals under way finish.
    pub fn finish_removals(&mut self) {
        let removing = |it: &&FakeContainer| it.details.state == ContainerState::Removing;
        let ids = self.containers.values().filter(removing).map(|it| it.details.id.clone());
        for id in ids.collect::<Vec<_>>() {
            self.erase(&id);
        }
    }

    /// Takes the events that have not been delivered.
    pub fn take_events(&mut self) -> Vec<EngineEvent> {
        std::mem::take(&mut self.events)
    }
}

impl FakeState {
    pub(super) fn existing(&self, id: &ContainerId) -> Result<&FakeContainer, EngineError> {
        self.containers.get(id).ok_or_else(|| EngineError::NoSuchContainer(id.to_string()))
    }

    pub(super) fn existing_mut(
        &mut self,
        id: &ContainerId,
    ) -> Result<&mut FakeContainer, EngineError> {
        self.containers.get_mut(id).ok_or_else(|| EngineError::NoSuchContainer(id.to_string()))
    }

    pub(super) fn insert(&mut self, request: &CreateRequest, program: Program) -> ContainerId {
        self.created += 1;
        // Spread over all digits, so that short ids differ too.
        let spread = self.created.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let id = ContainerId(format!("{spread:016x}{:048x}", self.created));
        let network = match &request.network {
            NetworkChoice::Bridge => "bridge",
            NetworkChoice::None => "none",
            NetworkChoice::Named(name) => name,
        };
        let details = Inspected {
            id: id.clone(),
            name: request.name.clone(),
            state: ContainerState::Created,
            labels: request.labels.clone(),
            image: request.image.clone(),
            image_id: format!("sha256:{}", request.image),
            created_at: self.now,
            started_at: None,
            finished_at: None,
            exit_code: None,
            oom_killed: false,
            limits: request.limits,
            bindings: request.ports.iter().map(binding).collect(),
            networks: vec![network.to_owned()],
            network_mode: network.to_owned(),
            mounts: request.mounts.clone(),
            pid: None,
            runtime: Some(request.runtime.clone().unwrap_or_else(|| "runc".to_owned())),
            isolation: request.isolation().into(),
        };
        let container = FakeContainer { details, program, log: String::new() };
        self.containers.insert(id.clone(), container);
        self.emit("create", &id);
        id
    }

    pub(super) fn run(&mut self, id: &ContainerId) {
        let now = self.now;
        let Some(container) = self.containers.get_mut(id) else { return };
        container.details.state = ContainerState::Running;
        container.details.started_at = Some(now);
        container.details.exit_code = None;
        container.details.oom_killed = false;
        container.log.push_str(&container.program.prints);
        let at_once = container.program.ends.filter(|(after, _)| after.is_zero());
        self.emit("start", id);
        if let Some((_, code)) = at_once {
            self.end(id, code, now);
        }
    }

    pub(super) fn end(&mut self, id: &ContainerId, code: i64, at: Timestamp) {
        let Some(container) = self.containers.get_mut(id) else { return };
        if is_live(container.details.state) {
            container.details.state = ContainerState::Exited;
            container.details.exit_code = Some(code);
            container.details.finished_at = Some(at);
            self.emit("die", id);
        }
    }

    pub(super) fn erase(&mut self, id: &ContainerId) {
        self.emit("destroy", id);
        self.containers.remove(id);
    }

    pub(super) fn emit(&mut self, action: &str, id: &ContainerId) {
        let Some(container) = self.containers.get(id) else { return };
        self.events.push(EngineEvent {
            container: id.clone(),
            name: container.details.name.clone(),
            action: action.to_owned(),
            sandbox: container.details.labels.get(ownership::NAME).cloned(),
        });
    }
}

pub(super) fn is_live(state: ContainerState) -> bool {
    matches!(state, ContainerState::Running | ContainerState::Paused | ContainerState::Restarting)
}

fn binding(port: &PublishedPort) -> Binding {
    Binding {
        container_port: port.container_port,
        protocol: port.protocol,
        host_ip: port.host_ip,
        host_port: port.host_port,
    }
}
