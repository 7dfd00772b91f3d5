//! Apple's `container`, through its command line and its JSON. Processes are started only below here, in
//! [`run`]; that is the daemon's one exception from having no children.
//!
//! Facts this module is built on (0.12 to 1.4, from its source and its users; nothing was run on a Mac):
//! - A container's name is its id, and is given again. Ours carry a mark in a label, so that an id of ours
//!   means one container for ever; see [`id`].
//! - Nothing tells of an event, an exit code or an exit time. The list is asked for often after a change
//!   and seldom at rest ([`events`]), and what was seen before gives what the tool forgets ([`sightings`]).
//! - The server works under one lock: a start holds up every other start and every command. So they wait
//!   here, one at a time, where waiting can be told from hanging.
//! - A call can hang without end, and one that is killed may still take effect: a deadline around each, and
//!   an unknown outcome after it.
//! - `-e NAME` would put a spec's variables into the tool's own environment, where some of them run code
//!   (`DYLD_INSERT_LIBRARIES`); `-e NAME=VALUE` would show secrets to everybody. So they go through a file.

mod answers;
mod arguments;
mod errors;
mod events;
mod exec;
mod id;
mod listing;
mod logs;
mod run;
mod sightings;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;

use super::{
    AttachOptions, Attached, Call, Capabilities, CreateRequest, Engine, EngineError, EngineEvent,
    EngineKind, ExecOutcome, Feature, Inspected, Listed, LogOptions, OutputChunk, PullProgress,
};
use crate::plan::{ContainerId, IdMapping, Limits, Policy, policy};
use answers::{Version, inspected, listed};
use id::{Mark, name_of};
use listing::Listing;
use run::{Cli, Output};

/// Where the program is found when nobody says otherwise.
pub const DEFAULT_CLI: &str = "container";

/// The oldest version that can be spoken to: before it the tool has no capabilities and tells of success
/// where there was none.
const OLDEST: Version = Version([0, 12, 0]);
/// The first version that sets the size of `/dev/shm`.
const SHARED_MEMORY_SINCE: Version = Version([1, 0, 0]);
/// Least memory of a container.
const LEAST_MEMORY: i64 = 200 << 20;

/// Deadline of a call that only reads, or changes a record.
const SHORT: Duration = Duration::from_secs(15);
/// Deadline of a creation, which may unpack an image.
const CREATE: Duration = Duration::from_mins(2);
/// Deadline of a start: a virtual machine boots.
const START: Duration = Duration::from_mins(2);
/// What a stop may take beyond its grace.
const STOP_MARGIN: Duration = Duration::from_secs(15);
/// Deadline of a pull. The tool tells no progress to whom it prints none.
const PULL: Duration = Duration::from_mins(30);
/// Longest wait for a turn to start; then a start that hangs delays nobody else's.
const PATIENCE: Duration = Duration::from_secs(10);

/// Apple's `container` on this host.
#[derive(Clone, Debug)]
pub struct Apple(Arc<Inner>, Arc<Policy>);

/// How long calls may take, in multiples of what they may take on an ordinary host.
#[derive(Clone, Copy, Debug)]
pub struct Patience(pub u32);

#[derive(Debug)]
struct Inner {
    cli: Cli,
    /// Of the program; the server's may be another.
    version: Version,
    listing: Listing,
    /// Whose turn it is to have the server start something.
    turn: Semaphore,
    /// Rises with each call that may have changed something.
    acts: watch::Sender<u64>,
}

impl Apple {
    /// Finds the program (`cli`, else `container` on the `PATH`) and checks that its service answers.
    pub async fn connect(cli: Option<&Path>) -> Result<Self, EngineError> {
        Self::connect_with(cli, Patience(1)).await
    }

    /// As [`Self::connect`], for a slower host.
    pub async fn connect_with(cli: Option<&Path>, patience: Patience) -> Result<Self, EngineError> {
        let cli = cli.map_or_else(|| PathBuf::from(DEFAULT_CLI), Path::to_path_buf);
        let cli = Cli::new(cli, patience);
        let answer = cli.run(Call::Capabilities, SHORT, &["--version"]).await?;
        let version = answers::cli_version(&answer.text())?;
        if version < OLDEST {
            return Err(EngineError::Unsupported(format!(
                "Apple's container {version} is too old: {OLDEST} or later is needed"
            )));
        }
        let inner = Inner {
            cli,
            version,
            listing: Listing::default(),
            turn: Semaphore::new(1),
            acts: watch::Sender::new(0),
        };
        let apple = Self(Arc::new(inner), Arc::default()).under(Policy::default());
        apple.status().await?;
        Ok(apple)
    }

    /// This engine under another policy than the default one: whatever is created passes it.
    #[must_use]
    pub fn under(self, policy: Policy) -> Self {
        Self(self.0, Arc::new(policy.without_pids()))
    }

    async fn status(&self) -> Result<answers::Service, EngineError> {
        let words = ["system", "status", "--format=json"];
        let answer = self.0.cli.run(Call::Capabilities, SHORT, &words).await?;
        answers::service(&answer)
    }

    /// Runs a call that only reads. What the tool refuses is an error.
    async fn ask(
        &self,
        call: Call,
        deadline: Duration,
        words: &[&str],
    ) -> Result<Output, EngineError> {
        let output = self.0.cli.run(call, deadline, words).await?;
        match errors::refusal(call, &output) {
            Some(error) => Err(error),
            None => Ok(output),
        }
    }

    /// Runs a call that changes a container. Whoever watches looks again, whatever came of it.
    async fn act(
        &self,
        call: Call,
        id: &ContainerId,
        deadline: Duration,
        words: &[&str],
    ) -> Result<(), EngineError> {
        let outcome = self.ask(call, deadline, words).await;
        self.0.acts.send_modify(|acts| *acts += 1);
        outcome.map(drop).map_err(|error| errors::about(id, error))
    }

    /// The container, as a list that was begun after this call shows it.
    async fn find(&self, call: Call, id: &ContainerId) -> Result<sightings::Seen, EngineError> {
        let all = self.0.listing.look(&self.0.cli, call).await?;
        let found = all.iter().find(|seen| seen.container.id == *id).cloned();
        found.ok_or_else(|| EngineError::NoSuchContainer(id.to_string()))
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        timeout(PATIENCE, self.0.turn.acquire()).await.ok()?.ok()
    }

    /// What follows from a start that was refused.
    async fn refused_start(&self, id: &ContainerId, error: EngineError) -> EngineError {
        match error {
            error if errors::is_left_over(&error) => {
                // The machine of a server that died: nothing but its removal ends it.
                self.0.listing.left_over(id);
                EngineError::Busy(error.to_string())
            }
            EngineError::PortBusy { port: None, message } => {
                // The tool does not say which; of one port it is known.
                let bindings = self.find(Call::Start, id).await.map(|seen| seen.container.bindings);
                let port = match bindings.as_deref() {
                    Ok([only]) => Some(only.host_port),
                    _ => None,
                };
                EngineError::PortBusy { port, message }
            }
            other => other,
        }
    }
}

#[async_trait]
impl Engine for Apple {
    fn kind(&self) -> EngineKind {
        EngineKind::Apple
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        let service = self.status().await?;
        let mut lacks = EngineKind::Apple.lacks().to_vec();
        if self.0.version < SHARED_MEMORY_SINCE {
            lacks.push(Feature::SharedMemory);
        }
        let cpus = service.cpus.or_else(|| {
            let here = std::thread::available_parallelism().ok()?.get();
            i64::try_from(here).ok()
        });
        Ok(Capabilities {
            version: service.version,
            engine_id: format!("apple:{}", service.app_root),
            runtimes: Vec::new(),
            cpus: cpus.unwrap_or(0),
            memory: 0,
            data_root: None,
            least_memory: LEAST_MEMORY,
            ids: IdMapping::Same,
            lacks,
        })
    }

    async fn parts(&self) -> Result<Vec<(String, String)>, EngineError> {
        let service = self.status().await?;
        Ok(vec![
            ("Engine".to_owned(), service.version),
            ("Client".to_owned(), self.0.version.to_string()),
        ])
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let all = self.0.listing.look(&self.0.cli, Call::List).await?;
        Ok(all.iter().map(listed).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        match self.find(Call::Inspect, id).await {
            Ok(seen) => Ok(Some(inspected(&seen))),
            Err(EngineError::NoSuchContainer(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn create(&self, request: &CreateRequest) -> Result<ContainerId, EngineError> {
        // The tool would pull what it does not have, whatever the spec says about pulling.
        if !self.has_image(&request.image).await? {
            return Err(EngineError::ImageMissing(format!("image not found: {}", request.image)));
        }
        for mount in &request.mounts {
            arguments::check_mount(mount).await?;
        }
        let mark = Mark::new(&request.image, &request.limits);
        let beyond = policy::judge(&request.grant(), &self.1);
        if !beyond.is_empty() {
            return Err(EngineError::Forbidden(policy::as_text(&beyond)));
        }
        // Removed when it is dropped, after the call.
        let env = arguments::env_file(request)?.map(|text| private_file(&text)).transpose()?;
        let words =
            arguments::create(request, &mark, env.as_ref().map(tempfile::NamedTempFile::path))?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let id = mark.id(&request.name);
        self.act(Call::Create, &id, CREATE, &words).await?;
        Ok(id)
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        let outcome = {
            let _turn = self.turn().await;
            self.act(Call::Start, id, START, &["start", name_of(id)]).await
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(self.refused_start(id, error).await),
        }
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<(), EngineError> {
        let seconds = grace.as_millis().div_ceil(1000).min(86_400);
        let (time, name) = (format!("--time={seconds}"), name_of(id));
        let deadline = grace.saturating_add(STOP_MARGIN);
        let outcome = self.act(Call::Stop, id, deadline, &["stop", &time, name]).await;
        if matches!(outcome, Err(EngineError::OutcomeUnknown { .. })) {
            // Whatever becomes of it, the next look tells.
            let _ = self.act(Call::Stop, id, SHORT, &["kill", name]).await;
        }
        outcome
    }

    async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        // Nothing is ever frozen here.
        self.find(Call::Unpause, id).await.map(drop)
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        let found = self.find(Call::Rename, id).await?;
        if found.container.name == name { Ok(()) } else { Err(unsupported("rename a container")) }
    }

    async fn update(&self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError> {
        let found = self.find(Call::Update, id).await?;
        if found.container.limits == *limits { Ok(()) } else { Err(unsupported("change limits")) }
    }

    fn updates_live(&self, _from: &Limits, _to: &Limits) -> bool {
        false
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        let found = self.find(Call::Connect, id).await?;
        if found.container.networks.iter().any(|attached| attached == network) {
            return Ok(());
        }
        Err(unsupported("attach a container to a network"))
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        match self.act(Call::Remove, id, SHORT, &["delete", name_of(id)]).await {
            Err(EngineError::NoSuchContainer(_)) => Ok(()),
            outcome => outcome,
        }
    }

    async fn pull(&self, image: &str, progress: &PullProgress) -> Result<(), EngineError> {
        progress.send_replace("pulling".to_owned());
        self.ask(Call::Pull, PULL, &["image", "pull", "--progress=none", image]).await.map(drop)
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        match self.ask(Call::HasImage, SHORT, &["image", "inspect", image]).await {
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
        events::subscribe(self.clone()).await
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        self.read_logs(id, options).await
    }
}

fn unsupported(what: &str) -> EngineError {
    EngineError::Unsupported(format!("the engine apple cannot {what}"))
}

/// A file that only we can read, for as long as it is held.
fn private_file(text: &SecretString) -> Result<tempfile::NamedTempFile, EngineError> {
    let write = || {
        // Made with mode 0600.
        let mut file = tempfile::Builder::new().prefix("sandkeeper-env-").tempfile()?;
        file.write_all(text.expose_secret().as_bytes())?;
        file.flush()?;
        Ok(file)
    };
    write().map_err(|error: std::io::Error| EngineError::Failed {
        status: 0,
        message: format!("the file for the environment cannot be written: {error}"),
    })
}
