//! The engine's contract: what the controller may ask of Docker, Podman or Apple `container`, in
//! engine-neutral values. Everything an engine says differently is mapped behind this trait, and every
//! call has its own deadline; after [`EngineError::OutcomeUnknown`] the caller observes before it acts.

pub mod apple;
pub mod docker;
pub mod fake;
mod feature;
#[cfg(test)]
mod testing;
mod text;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::io::AsyncWrite;

use crate::plan::policy::{Grant, Isolation};
use crate::plan::{
    BindMount, Binding, ContainerId, ContainerState, IdMapping, Limits, NetworkChoice, Security,
};
use crate::sandbox::Protocol;
pub use feature::{Feature, Without};

/// Which engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// Docker.
    Docker,
    /// Podman, through its Docker-compatible socket.
    Podman,
    /// Apple's `container`.
    Apple,
    /// The in-memory engine of the tests.
    Fake,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Apple => "apple",
            Self::Fake => "fake",
        })
    }
}

/// What this engine can do. Asked once at connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Version, in the engine's words.
    pub version: String,
    /// Identity of the engine; another engine behind the same socket has another one.
    pub engine_id: String,
    /// Registered runtimes.
    pub runtimes: Vec<String>,
    /// Processors of the engine's host; 0: not known.
    pub cpus: i64,
    /// Memory of the engine's host in bytes; 0: not known.
    pub memory: i64,
    /// Where it keeps its data, on its host.
    pub data_root: Option<PathBuf>,
    /// Least memory that a container can be limited to, in bytes; 0: as the spec's own rule.
    pub least_memory: i64,
    /// How ids in its containers become ids of the host.
    pub ids: IdMapping,
    /// What it cannot do.
    pub lacks: Vec<Feature>,
}

impl Capabilities {
    /// Whether the engine has this feature.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        !self.lacks.contains(&feature)
    }
}

/// A container in a list: what one call tells of all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Full id.
    pub id: ContainerId,
    /// Name, without a leading slash.
    pub name: String,
    /// State.
    pub state: ContainerState,
    /// Labels, its image's included.
    pub labels: BTreeMap<String, String>,
}

/// A container in full.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// Full id; always the one that was asked for.
    pub id: ContainerId,
    /// Name, without a leading slash.
    pub name: String,
    /// State.
    pub state: ContainerState,
    /// Labels, its image's included.
    pub labels: BTreeMap<String, String>,
    /// Image, as written at creation.
    pub image: String,
    /// Image, by content.
    pub image_id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last started.
    pub started_at: Option<Timestamp>,
    /// When it last ended.
    pub finished_at: Option<Timestamp>,
    /// Exit code of its last run; `None` while it runs, before it ran, or when the engine does not know.
    pub exit_code: Option<i64>,
    /// Whether its last run ended for want of memory.
    pub oom_killed: bool,
    /// Limits in force.
    pub limits: Limits,
    /// Ports it was made to publish.
    pub bindings: Vec<Binding>,
    /// Networks it is attached to.
    pub networks: Vec<String>,
    /// Network it was made for, in the engine's words (`default`, `bridge`, `none` or a name).
    pub network_mode: String,
    /// Bind mounts that it was made with.
    pub mounts: Vec<BindMount>,
    /// Its first process, by the number that it has for the engine; `None` while it does not run.
    pub pid: Option<u32>,
    /// Runtime that it was made for, in the engine's words.
    pub runtime: Option<String>,
    /// What it is let do, as far as the engine tells.
    pub isolation: Arc<Isolation>,
}

/// Everything that a new container is made from. Built field by field from `Desired`; no free-form value.
#[derive(Debug)]
pub struct CreateRequest {
    /// Name.
    pub name: String,
    /// Image, as written.
    pub image: String,
    /// Entrypoint; `None`: the image's.
    pub command: Option<Vec<String>>,
    /// Arguments; `None`: the image's.
    pub args: Option<Vec<String>>,
    /// Working directory; `None`: the image's.
    pub working_dir: Option<String>,
    /// Environment. Values may be secrets, so none is ever printed.
    pub env: Vec<(String, SecretString)>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Ports to publish.
    pub ports: Vec<PublishedPort>,
    /// Bind mounts.
    pub mounts: Vec<BindMount>,
    /// Size of `/dev/shm` in bytes.
    pub shared_memory: Option<i64>,
    /// Limits.
    pub limits: Limits,
    /// Privileges.
    pub security: Security,
    /// Content of a seccomp profile on the host, when `security.seccomp` names one.
    pub seccomp_profile: Option<String>,
    /// Engine runtime.
    pub runtime: Option<String>,
    /// Network.
    pub network: NetworkChoice,
    /// Stop grace recorded with the container, in seconds.
    pub stop_timeout: i64,
}

impl CreateRequest {
    /// What it grants, for the policy.
    #[must_use]
    pub fn grant(&self) -> Grant {
        let Self {
            image, ports, mounts, shared_memory, limits, security, runtime, network, ..
        } = self;
        Grant {
            image: Some(image.clone()),
            ports: ports.iter().map(|port| (port.host_ip, Some(port.host_port))).collect(),
            network: network.clone(),
            runtime: runtime.clone(),
            limits: *limits,
            shared_memory: *shared_memory,
            ..Grant::of_security(security, mounts)
        }
    }

    /// What its container must be let do, and no more.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        Isolation::asked(self.grant(), &self.security)
    }
}

/// One port to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// Port in the container.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Address on the host.
    pub host_ip: IpAddr,
    /// Port on the host.
    pub host_port: u16,
}

/// Something that happened on the engine. A wake-up, never a fact to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineEvent {
    /// The container.
    pub container: ContainerId,
    /// Its name at the time, without a leading slash.
    pub name: String,
    /// What happened, in the engine's words: `die`, `destroy`, `rename` …
    pub action: String,
    /// Value of the label `sandkeeper.dev/name`, when the container carries it.
    pub sandbox: Option<String>,
}

/// How a command in a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutcome {
    /// Its exit code.
    pub exit_code: i64,
    /// The first 4 KiB of what it printed, both streams.
    pub output: String,
}

/// One piece of a container's log or of an exec's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputChunk {
    /// Standard output (of a terminal: everything).
    Stdout(Vec<u8>),
    /// Standard error.
    Stderr(Vec<u8>),
}

/// Which part of a log to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on as it grows.
    pub follow: bool,
    /// Only the last so many lines.
    pub tail: Option<u64>,
    /// Only what was written since.
    pub since: Option<Timestamp>,
    /// Only what was written until.
    pub until: Option<Timestamp>,
    /// Put each line's time before it.
    pub timestamps: bool,
}

/// A command to run with its streams attached, as `sandkeeper exec` does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttachOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// User to run it as; `None`: the container's.
    pub user: Option<String>,
    /// Whether it gets a terminal. Both of its streams then arrive as [`OutputChunk::Stdout`].
    pub tty: bool,
    /// Whether it gets a standard input.
    pub stdin: bool,
    /// What it finds in its environment instead of what the container has there, as `NAME=value`.
    pub env: Vec<String>,
}

/// A command that runs in a container, with its streams.
pub struct Attached {
    /// Its standard input; shut it down to end it. Drop it when the command has none.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// What it prints; ends when the command does.
    pub output: BoxStream<'static, Result<OutputChunk, EngineError>>,
    /// The running command.
    pub session: Box<dyn ExecSession>,
}

impl fmt::Debug for Attached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Attached").finish_non_exhaustive()
    }
}

/// Handle to a command that runs in a container.
#[async_trait]
pub trait ExecSession: Send + Sync {
    /// Tells the command's terminal its size.
    async fn resize(&self, columns: u16, rows: u16) -> Result<(), EngineError>;

    /// Its exit code. Ask after the output ended; waits a moment for the engine to notice the end.
    async fn exit_code(&self) -> Result<i64, EngineError>;
}

/// Progress of a pull, in the engine's words.
pub type PullProgress = tokio::sync::watch::Sender<String>;

/// The calls of [`Engine`], by name: for error tables, ledgers and fault injection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// [`Engine::capabilities`].
    Capabilities,
    /// [`Engine::list`].
    List,
    /// [`Engine::inspect`].
    Inspect,
    /// [`Engine::create`].
    Create,
    /// [`Engine::start`].
    Start,
    /// [`Engine::stop`].
    Stop,
    /// [`Engine::unpause`].
    Unpause,
    /// [`Engine::rename`].
    Rename,
    /// [`Engine::update`].
    Update,
    /// [`Engine::connect`].
    Connect,
    /// [`Engine::remove`].
    Remove,
    /// [`Engine::pull`].
    Pull,
    /// [`Engine::has_image`].
    HasImage,
    /// [`Engine::exec`] and [`Engine::exec_attached`].
    Exec,
    /// [`Engine::events`].
    Events,
    /// [`Engine::logs`].
    Logs,
}

impl Call {
    /// The call's name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Capabilities => "info",
            Self::List => "list",
            Self::Inspect => "inspect",
            Self::Create => "create",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Unpause => "unpause",
            Self::Rename => "rename",
            Self::Update => "update",
            Self::Connect => "connect",
            Self::Remove => "remove",
            Self::Pull => "pull",
            Self::HasImage => "image inspect",
            Self::Exec => "exec",
            Self::Events => "events",
            Self::Logs => "logs",
        }
    }
}

/// What the controller may ask of an engine. Implementations bring the deadlines.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;

    /// Asks what the engine can do; also the cheapest proof that it answers.
    async fn capabilities(&self) -> Result<Capabilities, EngineError>;

    /// Name and version of each part of the engine, for `doctor`: `Engine`, `API`, `runc` and so on.
    async fn parts(&self) -> Result<Vec<(String, String)>, EngineError> {
        Ok(vec![("Engine".to_owned(), self.capabilities().await?.version)])
    }

    /// Every container of the engine, running or not, ours or not, in one call.
    async fn list(&self) -> Result<Vec<Listed>, EngineError>;

    /// One container in full, or `None` when the engine says that there is none of this id.
    async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError>;

    /// Creates a container and does not start it.
    async fn create(&self, request: &CreateRequest) -> Result<ContainerId, EngineError>;

    /// Starts a container. One that runs already is no error.
    async fn start(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Stops a container. One that does not run is no error.
    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), EngineError>;

    /// Unfreezes a container. One that is not frozen is no error.
    async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Renames a container. One that has the name already is no error.
    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError>;

    /// Changes the limits of a container, running or not. Inspect afterwards: success proves nothing.
    /// Fails with [`EngineError::Unsupported`], and without effect, where [`Engine::updates_live`] says no.
    async fn update(&self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError>;

    /// Whether this engine can bring a container from these limits to those without a new container.
    fn updates_live(&self, from: &Limits, to: &Limits) -> bool;

    /// Attaches a container to a network. One that is attached already is no error.
    async fn connect(&self, id: &ContainerId, network: &str) -> Result<(), EngineError>;

    /// Removes a container that does not run; never its volumes. One that is gone is no error.
    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError>;

    /// Pulls an image. Fails when there is no progress for a while, not after a fixed time.
    async fn pull(&self, image: &str, progress: &PullProgress) -> Result<(), EngineError>;

    /// Whether the engine has this image.
    async fn has_image(&self, image: &str) -> Result<bool, EngineError>;

    /// Runs a command in a container, without a terminal and with the given deadline. After the deadline
    /// the command may still run: engines cannot end it. One that cannot be run at all (no such program,
    /// no such user) ends with code 126 or 127 and the engine's words as output. In a container that does
    /// not run, or is paused: [`EngineError::Busy`].
    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> Result<ExecOutcome, EngineError>;

    /// Runs a command in a container with its streams attached, for people; no deadline once it runs.
    async fn exec_attached(
        &self,
        id: &ContainerId,
        options: &AttachOptions,
    ) -> Result<Attached, EngineError> {
        let _ = (id, options);
        Err(EngineError::Unsupported(format!(
            "the engine {} cannot attach to a command",
            self.kind()
        )))
    }

    /// What happens to containers from now on, perhaps with a few earlier events before (the engine has
    /// confirmed the subscription when this returns). The stream ends or errs when the connection does; subscribe again, then list.
    async fn events(
        &self,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError>;

    /// A container's log.
    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError>;
}

/// Why a call to an engine failed. The text is the engine's, with control characters escaped and cut to
/// a sane length.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No connection, or no permission to use the socket. Nothing was done.
    #[error("{0}")]
    Unreachable(String),
    /// The deadline passed or the connection broke: the call may have taken effect, or may yet.
    #[error("{call}: no answer within {after:?}; the outcome is unknown")]
    OutcomeUnknown {
        /// The call.
        call: &'static str,
        /// The deadline, or the time until the connection broke.
        after: Duration,
    },
    /// The engine answered with something that cannot be read.
    #[error("{call}: the engine's answer cannot be read: {message}")]
    Garbled {
        /// The call.
        call: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// There is no such container.
    #[error("no such container: {0}")]
    NoSuchContainer(String),
    /// Another container holds the name.
    #[error("the name is in use: {0}")]
    NameConflict(String),
    /// The engine does not have the image, or the registry does not.
    #[error("{0}")]
    ImageMissing(String),
    /// The image cannot run on this engine's platform.
    #[error("{0}")]
    WrongPlatform(String),
    /// There is no such network.
    #[error("{0}")]
    NetworkMissing(String),
    /// A host port is taken.
    #[error("{message}")]
    PortBusy {
        /// The port, when the engine's text tells.
        port: Option<u16>,
        /// The engine's words.
        message: String,
    },
    /// The container is being removed, or another operation holds it.
    #[error("{0}")]
    Busy(String),
    /// The request is wrong and will be wrong again: bad entrypoint, unknown user, limits out of range.
    #[error("{0}")]
    Rejected(String),
    /// The policy does not allow it. The engine was not asked.
    #[error("{0}")]
    Forbidden(String),
    /// The engine cannot do this at all.
    #[error("{0}")]
    Unsupported(String),
    /// Anything else that the engine said.
    #[error("the engine answered {status}: {message}")]
    Failed {
        /// HTTP status, or 0.
        status: u16,
        /// The engine's words.
        message: String,
    },
}
