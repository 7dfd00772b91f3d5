//! Docker's HTTP API, which Podman serves too. bollard is named only here and below.
//!
//! Facts this module is built on (Docker 20.10 and later):
//! - bollard sends unversioned paths, so an engine answers in its own newest version, and it opens one
//!   connection per call: a hung call holds nothing that another needs, and nothing stale is reused.
//! - bollard's own timeout ends at the response's headers. Every call here has a deadline around the
//!   whole of it instead; when it passes, the outcome is unknown and the caller must look.
//! - An exec inherits the container's environment; the API cannot clear it, but override it by name.
//! - Docker cannot take a CPU or memory limit off a container (zero means "unchanged", negative is
//!   refused); only the limit on processes can be lifted. See [`limits::updates_live`].
//! - With an init process, a program that does not exist is no error at the start: the container ends
//!   with code 126 or 127.

mod answers;
mod connect;
mod dialect;
mod errors;
mod events;
mod exec;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod isolation;
mod limits;
mod pull;
mod request;
mod streams;
mod userns;
mod wire;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::NetworkConnectRequest;
use bollard::query_parameters::{
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use futures::stream::BoxStream;
use tokio::time::{Instant, sleep, timeout};

use super::{
    AttachOptions, Attached, Call, Capabilities, CreateRequest, Engine, EngineError, EngineEvent,
    EngineKind, ExecOutcome, Feature, Inspected, Listed, LogOptions, OutputChunk, PullProgress,
};
use crate::plan::{ContainerId, Limits, Policy, policy};
use connect::Address;
use dialect::{Dialect, OwnWays};
use request::LogRotation;
use userns::UserNamespace;

/// Deadline of a call that only reads, or changes a record.
const SHORT: Duration = Duration::from_secs(30);
/// Deadline of a start: network set-up and runtimes such as Kata are slow on a busy host.
const START: Duration = Duration::from_mins(1);
/// What a stop may take beyond its grace.
const STOP_MARGIN: Duration = Duration::from_secs(15);
/// Longest wait for the clean-up after a run. It took 0.3 to 1 s on a busy host.
const CLEAN_UP: Duration = Duration::from_secs(10);
const CLEAN_UP_POLL: Duration = Duration::from_millis(50);
/// How long a pull may go without progress.
const PULL_IDLE: Duration = Duration::from_mins(1);

/// An engine that speaks Docker's API.
#[derive(Clone, Debug)]
pub struct Docker {
    client: bollard::Docker,
    address: Address,
    dialect: Dialect,
    rotation: LogRotation,
    ways: Arc<OwnWays>,
    userns: UserNamespace,
    policy: Arc<Policy>,
}

impl Docker {
    /// Connects to the engine at `address` (a socket's path, `unix://…` or `tcp://…`), else at
    /// `DOCKER_HOST`, else at `/var/run/docker.sock`, and checks that it answers. It creates what the
    /// default policy allows; see [`Self::under`].
    pub async fn connect(address: Option<&str>) -> Result<Self, EngineError> {
        let address = Address::choose(address, std::env::var("DOCKER_HOST").ok().as_deref())?;
        let client = address.client()?;
        let (dialect, rotation) = (Dialect::Docker, LogRotation::Engine);
        let (ways, policy) = (Arc::default(), Arc::default());
        let userns = UserNamespace::default();
        let mut docker = Self { client, address, dialect, rotation, ways, userns, policy };
        let version = docker.call(Call::Capabilities, SHORT, docker.client.version()).await?;
        docker.dialect = Dialect::of(&version);
        let info = docker.call(Call::Capabilities, SHORT, docker.client.info()).await?;
        docker.rotation = LogRotation::for_driver(info.logging_driver.as_deref());
        docker.ways = Arc::new(Dialect::own_ways(&info));
        docker.userns = match docker.dialect {
            Dialect::Docker => UserNamespace::of_docker(&info),
            Dialect::Podman => UserNamespace::of_podman(docker.native_info().await?.as_deref())?,
        };
        Ok(docker)
    }

    /// What Podman says of itself in its own API, if it serves that.
    async fn native_info(&self) -> Result<Option<Vec<u8>>, EngineError> {
        let answer = wire::within(Call::Capabilities, SHORT, async {
            let body = wire::get(Call::Capabilities, &self.address, userns::NATIVE_INFO).await?;
            body.collect(Call::Capabilities).await
        });
        match answer.await {
            Ok(json) => Ok(Some(json)),
            Err(EngineError::Unsupported(_) | EngineError::Failed { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn inspect_json(&self, id: &ContainerId) -> Result<Vec<u8>, EngineError> {
        let path = format!("/containers/{id}/json");
        wire::within(Call::Inspect, SHORT, async {
            wire::get(Call::Inspect, &self.address, &path).await?.collect(Call::Inspect).await
        })
        .await
    }

    /// Waits until nothing of the container's last run is left to be cleaned up, but not for ever: where
    /// what does that has died, the engine does it at the start.
    async fn wait_for_clean_up(&self, id: &ContainerId) -> Result<(), EngineError> {
        let deadline = Instant::now() + CLEAN_UP;
        while answers::awaits_clean_up(&self.inspect_json(id).await?)? && Instant::now() < deadline
        {
            sleep(CLEAN_UP_POLL).await;
        }
        Ok(())
    }

    /// This engine under another policy: whatever is created passes it, but for what the engine lacks.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        let limits_pids = !self.userns.lacks.contains(&Feature::PidsLimit);
        let policy = if limits_pids { policy } else { policy.without_pids() };
        Self { policy: Arc::new(policy), ..self }
    }

    /// Where the engine listens, as a URL.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Runs a call of bollard's under a deadline. What says that the goal is reached is a success.
    async fn call<T>(
        &self,
        call: Call,
        deadline: Duration,
        future: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let started = Instant::now();
        match timeout(deadline, future).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                Err(errors::translate(call, &self.address, &error, started.elapsed()))
            }
            Err(_) => Err(EngineError::OutcomeUnknown { call: call.name(), after: deadline }),
        }
    }

    /// As [`Self::call`], for calls that have nothing to say. Being told that there is nothing to do
    /// (the container is gone, has the name, is attached …) is a success.
    async fn act(
        &self,
        call: Call,
        deadline: Duration,
        future: impl Future<Output = Result<(), bollard::errors::Error>>,
    ) -> Result<(), EngineError> {
        self.call(call, deadline, async {
            match future.await {
                Err(error) if errors::nothing_to_do(call, &error) => Ok(()),
                outcome => outcome,
            }
        })
        .await
    }
}

#[async_trait]
impl Engine for Docker {
    fn kind(&self) -> EngineKind {
        self.dialect.kind()
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        let info = self.call(Call::Capabilities, SHORT, self.client.info()).await?;
        answers::capabilities(self.dialect, info, &self.userns)
    }

    async fn parts(&self) -> Result<Vec<(String, String)>, EngineError> {
        let version = self.call(Call::Capabilities, SHORT, self.client.version()).await?;
        Ok(answers::parts(version))
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        wire::within(Call::List, SHORT, async {
            // No filter: absence must never depend on one, and an invalid one yields an empty list.
            let body = wire::get(Call::List, &self.address, "/containers/json?all=1").await?;
            answers::list(&body.collect(Call::List).await?)
        })
        .await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        match self.inspect_json(id).await {
            Ok(json) => answers::inspected((self.dialect, &self.ways), id, &json).map(Some),
            Err(EngineError::NoSuchContainer(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, request: &CreateRequest) -> Result<ContainerId, EngineError> {
        self.dialect.check(request)?;
        self.userns.check(&request.limits)?;
        let (options, body) = request::create_body(request, self.dialect, self.rotation)?;
        gate::pass(&options, &body, &self.policy)?;
        let created = self.client.create_container(Some(options), body);
        let answer = self.call(Call::Create, SHORT, created).await?;
        answers::container_id(Call::Create, answer.id)
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        if self.dialect.cleans_up_late() {
            self.wait_for_clean_up(id).await?;
        }
        let options = None::<StartContainerOptions>;
        self.act(Call::Start, START, self.client.start_container(&id.0, options)).await
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let stopped = self.client.stop_container(&id.0, Some(options));
        self.act(Call::Stop, grace.saturating_add(STOP_MARGIN), stopped).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.act(Call::Unpause, SHORT, self.client.unpause_container(&id.0)).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        let options = RenameContainerOptionsBuilder::new().name(name).build();
        self.act(Call::Rename, SHORT, self.client.rename_container(&id.0, options)).await
    }

    async fn update(&self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError> {
        let most = &self.policy.limits.of_a_running_container;
        let beyond = policy::limits(limits, most);
        if !beyond.is_empty() {
            return Err(EngineError::Forbidden(policy::as_text(&beyond)));
        }
        let inspected = self.inspect(id).await?;
        let inspected = inspected.ok_or_else(|| EngineError::NoSuchContainer(id.to_string()))?;
        if !self.dialect.updates() {
            let message =
                "Podman's API cannot change the limits of a container; it takes a new one";
            return Err(EngineError::Unsupported(message.to_owned()));
        }
        let body = limits::update_body(&inspected.limits, limits)?;
        self.act(Call::Update, SHORT, self.client.update_container(&id.0, body)).await
    }

    fn updates_live(&self, from: &Limits, to: &Limits) -> bool {
        self.dialect.updates() && limits::updates_live(from, to)
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        let body = NetworkConnectRequest { container: id.0.clone(), endpoint_config: None };
        let network = self.dialect.network(network);
        self.act(Call::Connect, SHORT, self.client.connect_network(network, body)).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::new().force(false).v(false).build();
        self.act(Call::Remove, SHORT, self.client.remove_container(&id.0, Some(options))).await
    }

    async fn pull(&self, image: &str, progress: &PullProgress) -> Result<(), EngineError> {
        self.pull_image(image, progress).await
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        match self.call(Call::HasImage, SHORT, self.client.inspect_image(image)).await {
            Ok(_) => Ok(true),
            Err(EngineError::ImageMissing(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        self.exec_to_end(id, command, user, deadline).await
    }

    async fn exec_attached(
        &self,
        id: &ContainerId,
        options: &AttachOptions,
    ) -> Result<Attached, EngineError> {
        self.attach(id, options).await
    }

    async fn events(
        &self,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        events::subscribe(&self.address, self.dialect).await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        self.read_logs(id, options).await
    }
}
