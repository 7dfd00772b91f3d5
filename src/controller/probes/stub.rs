//! An engine of which a test says how it answers the few calls that helpers make.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::engine::{
    Capabilities, CreateRequest, Engine, EngineError, EngineEvent, EngineKind, ExecOutcome,
    Inspected, Listed, LogOptions, OutputChunk, PullProgress,
};
use crate::plan::{ContainerId, IdMapping, Limits};

/// What a call answers.
pub(in crate::controller) type Answer<T> = BoxFuture<'static, Result<T, EngineError>>;

/// The engine. Calls without a closure are not supported.
pub(in crate::controller) struct StubEngine {
    /// Whether [`Engine::capabilities`] succeeds.
    pub alive: bool,
    /// Given the command.
    pub exec: Box<dyn Fn(Vec<String>) -> Answer<ExecOutcome> + Send + Sync>,
    /// Given the image.
    pub pull: Box<dyn Fn(String) -> Answer<()> + Send + Sync>,
}

impl Default for StubEngine {
    fn default() -> Self {
        Self {
            alive: true,
            exec: Box::new(|_| Box::pin(async { unsupported() })),
            pull: Box::new(|_| Box::pin(async { unsupported() })),
        }
    }
}

fn unsupported<T>() -> Result<T, EngineError> {
    Err(EngineError::Unsupported("not in this test".to_owned()))
}

#[async_trait]
impl Engine for StubEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Fake
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        if !self.alive {
            return Err(EngineError::Unreachable("gone".to_owned()));
        }
        Ok(Capabilities {
            version: String::new(),
            engine_id: String::new(),
            runtimes: vec![],
            cpus: 1,
            memory: 1,
            data_root: None,
            least_memory: 0,
            ids: IdMapping::Same,
            lacks: Vec::new(),
        })
    }

    async fn exec(
        &self,
        _: &ContainerId,
        command: &[String],
        _: Option<&str>,
        _: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        (self.exec)(command.to_vec()).await
    }

    async fn pull(&self, image: &str, _: &PullProgress) -> Result<(), EngineError> {
        (self.pull)(image.to_owned()).await
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        unsupported()
    }

    async fn inspect(&self, _: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        unsupported()
    }

    async fn create(&self, _: &CreateRequest) -> Result<ContainerId, EngineError> {
        unsupported()
    }

    async fn start(&self, _: &ContainerId) -> Result<(), EngineError> {
        unsupported()
    }

    async fn stop(&self, _: &ContainerId, _: Duration) -> Result<(), EngineError> {
        unsupported()
    }

    async fn unpause(&self, _: &ContainerId) -> Result<(), EngineError> {
        unsupported()
    }

    async fn rename(&self, _: &ContainerId, _: &str) -> Result<(), EngineError> {
        unsupported()
    }

    fn updates_live(&self, _from: &Limits, _to: &Limits) -> bool {
        true
    }

    async fn update(&self, _: &ContainerId, _: &Limits) -> Result<(), EngineError> {
        unsupported()
    }

    async fn connect(&self, _: &ContainerId, _: &str) -> Result<(), EngineError> {
        unsupported()
    }

    async fn remove(&self, _: &ContainerId) -> Result<(), EngineError> {
        unsupported()
    }

    async fn has_image(&self, _: &str) -> Result<bool, EngineError> {
        unsupported()
    }

    async fn events(
        &self,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        unsupported()
    }

    async fn logs(
        &self,
        _: &ContainerId,
        _: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        unsupported()
    }
}
