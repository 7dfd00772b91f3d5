//! An engine of a few lines for the tests of this folder: it records what is asked, and fails on cue.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::engine::*;
use crate::plan::ownership::Identity;
use crate::plan::policy::Isolation;
use crate::plan::{Binding, ContainerId, ContainerState, Fingerprint, Limits, Slot};

/// What happens to one call.
pub(crate) enum Fault {
    /// It fails and does nothing.
    Refused(EngineError),
    /// It takes effect, and the reply is lost.
    ReplyLost,
    /// It never answers.
    Hang,
}

type Events = mpsc::UnboundedReceiver<Result<EngineEvent, EngineError>>;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) containers: Vec<Inspected>,
    /// Every call, as in `start a`.
    pub(crate) calls: Vec<String>,
    faults: HashMap<&'static str, VecDeque<Fault>>,
    /// Answers to the next lists, instead of the truth.
    pub(crate) lists: VecDeque<Vec<Listed>>,
    /// Answers to inspects, instead of the truth.
    pub(crate) answers: HashMap<ContainerId, Inspected>,
    /// Connections of the event stream, in order.
    pub(crate) streams: VecDeque<Events>,
    /// Limits that the engine will not go beyond, whatever is asked.
    pub(crate) ignores_limits: bool,
    /// What new containers are let do, whatever is asked.
    pub(crate) isolates: Option<Arc<Isolation>>,
}

#[derive(Default)]
pub(crate) struct StubEngine(Mutex<World>);

impl StubEngine {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(crate) fn add(&self, container: Inspected) -> ContainerId {
        let id = container.id.clone();
        self.world().containers.push(container);
        id
    }

    pub(crate) fn change(&self, id: &ContainerId, change: impl FnOnce(&mut Inspected)) {
        let mut world = self.world();
        change(world.containers.iter_mut().find(|it| it.id == *id).unwrap());
    }

    pub(crate) fn delete(&self, id: &ContainerId) {
        self.world().containers.retain(|it| it.id != *id);
    }

    pub(crate) fn get(&self, id: &ContainerId) -> Option<Inspected> {
        self.world().containers.iter().find(|it| it.id == *id).cloned()
    }

    pub(crate) fn fail_next(&self, call: &'static str, fault: Fault) {
        self.world().faults.entry(call).or_default().push_back(fault);
    }

    /// How often this was called, with whatever argument.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.world().calls.iter().filter(|it| it.split(' ').next() == Some(call)).count()
    }

    /// Every call that could change something.
    pub(crate) fn mutations(&self) -> Vec<String> {
        let reads = ["list", "inspect", "events"];
        let world = self.world();
        let mutates = |call: &&String| !reads.contains(&call.split(' ').next().unwrap());
        world.calls.iter().filter(mutates).cloned().collect()
    }

    /// Another connection of the event stream, and its other end.
    pub(crate) fn next_stream(&self) -> mpsc::UnboundedSender<Result<EngineEvent, EngineError>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.world().streams.push_back(receiver);
        sender
    }

    async fn call<T>(
        &self,
        call: &'static str,
        argument: &str,
        effect: impl FnOnce(&mut World) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let fault = {
            let mut world = self.world();
            world.calls.push(format!("{call} {argument}").trim_end().to_owned());
            world.faults.get_mut(call).and_then(VecDeque::pop_front)
        };
        tokio::task::yield_now().await;
        match fault {
            None => effect(&mut self.world()),
            Some(Fault::Refused(error)) => Err(error),
            Some(Fault::ReplyLost) => {
                effect(&mut self.world())?;
                Err(EngineError::OutcomeUnknown { call, after: Duration::from_secs(30) })
            }
            Some(Fault::Hang) => std::future::pending().await,
        }
    }

    async fn on(
        &self,
        call: &'static str,
        id: &ContainerId,
        effect: impl FnOnce(&mut Inspected),
    ) -> Result<(), EngineError> {
        self.call(call, &id.0, |world| {
            let found = world.containers.iter_mut().find(|it| it.id == *id);
            effect(found.ok_or_else(|| EngineError::NoSuchContainer(id.0.clone()))?);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Engine for StubEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Fake
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        Err(EngineError::Unsupported("a stub".to_owned()))
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        self.call("list", "", |world| {
            let truth = world.containers.iter().map(listed).collect();
            Ok(world.lists.pop_front().unwrap_or(truth))
        })
        .await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        self.call("inspect", &id.0, |world| {
            let answer = world.answers.get(id);
            Ok(answer.or_else(|| world.containers.iter().find(|it| it.id == *id)).cloned())
        })
        .await
    }

    async fn create(&self, request: &CreateRequest) -> Result<ContainerId, EngineError> {
        self.call("create", &request.name, |world| {
            if world.containers.iter().any(|it| it.name == request.name) {
                return Err(EngineError::NameConflict(request.name.clone()));
            }
            let id = ContainerId(format!("created-{}", world.containers.len()));
            let asked = |port: &PublishedPort| Binding {
                container_port: port.container_port,
                protocol: port.protocol,
                host_ip: port.host_ip,
                host_port: port.host_port,
            };
            world.containers.push(Inspected {
                labels: request.labels.clone(),
                limits: if world.ignores_limits { Limits::default() } else { request.limits },
                bindings: request.ports.iter().map(asked).collect(),
                isolation: world.isolates.clone().unwrap_or_else(|| request.isolation().into()),
                ..inspected(&id.0, &request.name, ContainerState::Created)
            });
            Ok(id)
        })
        .await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.on("start", id, |it| it.state = ContainerState::Running).await
    }

    async fn stop(&self, id: &ContainerId, _grace: Duration) -> Result<(), EngineError> {
        self.on("stop", id, |it| it.state = ContainerState::Exited).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.on("unpause", id, |it| it.state = ContainerState::Running).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        if self.world().containers.iter().any(|it| it.name == name) {
            self.world().calls.push(format!("rename {id}"));
            return Err(EngineError::NameConflict(name.to_owned()));
        }
        self.on("rename", id, |it| name.clone_into(&mut it.name)).await
    }

    fn updates_live(&self, _from: &Limits, _to: &Limits) -> bool {
        true
    }

    async fn update(&self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError> {
        let ignores = self.world().ignores_limits;
        self.on("update", id, |it| it.limits = if ignores { it.limits } else { *limits }).await
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        self.on("connect", id, |it| it.networks.push(network.to_owned())).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call("remove", &id.0, |world| {
            world.containers.retain(|it| it.id != *id);
            Ok(())
        })
        .await
    }

    async fn pull(&self, _image: &str, _progress: &PullProgress) -> Result<(), EngineError> {
        Err(EngineError::Unsupported("a stub".to_owned()))
    }

    async fn has_image(&self, _image: &str) -> Result<bool, EngineError> {
        Ok(true)
    }

    async fn exec(
        &self,
        _id: &ContainerId,
        _command: &[String],
        _user: Option<&str>,
        _deadline: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        Err(EngineError::Unsupported("a stub".to_owned()))
    }

    async fn events(
        &self,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.call("events", "", |world| {
            let receiver = world.streams.pop_front();
            let receiver = receiver.ok_or_else(|| EngineError::Unreachable("down".to_owned()))?;
            let next = |mut receiver: Events| async { Some((receiver.recv().await?, receiver)) };
            Ok(futures::stream::unfold(receiver, next).boxed())
        })
        .await
    }

    async fn logs(
        &self,
        _id: &ContainerId,
        _options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        Err(EngineError::Unsupported("a stub".to_owned()))
    }
}

pub(crate) fn listed(container: &Inspected) -> Listed {
    Listed {
        id: container.id.clone(),
        name: container.name.clone(),
        state: container.state,
        labels: container.labels.clone(),
    }
}

/// A container without labels.
pub(crate) fn inspected(id: &str, name: &str, state: ContainerState) -> Inspected {
    Inspected {
        id: ContainerId(id.to_owned()),
        name: name.to_owned(),
        state,
        labels: BTreeMap::new(),
        image: "busybox:1".to_owned(),
        image_id: "sha256:1".to_owned(),
        created_at: Timestamp::UNIX_EPOCH,
        started_at: None,
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        limits: Limits::default(),
        bindings: Vec::new(),
        networks: vec!["bridge".to_owned()],
        network_mode: "default".to_owned(),
        mounts: Vec::new(),
        pid: None,
        runtime: Some("runc".to_owned()),
        isolation: Arc::default(),
    }
}

pub(crate) fn identity() -> Identity {
    Identity { instance: "i-1".to_owned(), key: b"key".to_vec(), prefix: "sbx".to_owned() }
}

pub(crate) fn fingerprint(hash: &str) -> Fingerprint {
    Fingerprint::from_labels(hash, "image=01234567")
}

/// A running container of ours, under its name, made for uid `u-1`.
pub(crate) fn owned(id: &str, sandbox: &str, slot: Slot) -> Inspected {
    let identity = identity();
    let name = identity.container_name(sandbox, slot);
    Inspected {
        labels: identity.labels(sandbox, "u-1", &fingerprint("v1:a")),
        ..inspected(id, &name, ContainerState::Running)
    }
}
