//! The engine, straight at its own socket, past the proxy.

use std::collections::HashMap;
use std::path::Path;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerUpdateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, StopContainerOptionsBuilder,
};
use futures::StreamExt as _;
use serde_json::Value;

use crate::docker::TEST_IMAGE;

/// A connection to the engine. What it returns are the engine's own words.
#[derive(Clone)]
pub(crate) struct Engine(pub(crate) Docker);

/// One row of the engine's list.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) command: String,
    pub(crate) labels: HashMap<String, String>,
}

impl Engine {
    pub(crate) async fn connect() -> Self {
        let docker = Docker::connect_with_defaults().expect("the engine's address is valid");
        Self(docker.negotiate_version().await.expect("an engine answers: see ./tests/soak/run"))
    }

    /// All containers, running or not.
    pub(crate) async fn list(&self) -> Result<Vec<Row>, Error> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let list = self.0.list_containers(Some(options)).await?;
        Ok(list.into_iter().map(row).collect())
    }

    /// `None`: there is none of this name or id.
    pub(crate) async fn inspect(&self, id: &str) -> Result<Option<Value>, Error> {
        match self.0.inspect_container(id, None).await {
            Ok(found) => Ok(serde_json::to_value(found).ok()),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates and starts a container that is not sandkeeper's, with `mount` at `/data`; gives its id.
    pub(crate) async fn run(
        &self,
        name: &str,
        command: &str,
        labels: HashMap<String, String>,
        mount: Option<&Path>,
    ) -> Result<String, Error> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let binds = mount.map(|path| vec![format!("{}:/data", path.display())]);
        let body = ContainerCreateBody {
            image: Some(TEST_IMAGE.to_owned()),
            cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()]),
            labels: Some(labels),
            host_config: Some(HostConfig { init: Some(true), binds, ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let id = self.0.create_container(Some(options), body).await?.id;
        self.0.start_container(&id, None).await?;
        Ok(id)
    }

    pub(crate) async fn kill(&self, id: &str) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.0.kill_container(id, Some(options)).await
    }

    pub(crate) async fn stop(&self, id: &str) -> Result<(), Error> {
        self.0.stop_container(id, Some(StopContainerOptionsBuilder::new().t(1).build())).await
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        self.0.remove_container(id, Some(options)).await
    }

    pub(crate) async fn rename(&self, id: &str, name: &str) -> Result<(), Error> {
        self.0.rename_container(id, RenameContainerOptionsBuilder::new().name(name).build()).await
    }

    /// Sets a limit by hand.
    pub(crate) async fn limit(&self, id: &str, pids: i64) -> Result<(), Error> {
        let body = ContainerUpdateBody { pids_limit: Some(pids), ..ContainerUpdateBody::default() };
        self.0.update_container(id, body).await
    }

    /// Removes every container whose name starts with `prefix`; says what it could not.
    pub(crate) async fn clean(&self, prefix: &str) -> Vec<String> {
        let rows = self.list().await.unwrap_or_default();
        let ours = rows.into_iter().filter(|row| row.name.starts_with(prefix));
        let removals = futures::stream::iter(ours).map(|row| async move {
            let error = self.remove(&row.id).await.err()?;
            Some(format!("{}: {error}", row.name))
        });
        removals.buffer_unordered(4).filter_map(std::future::ready).collect().await
    }
}

fn row(summary: bollard::models::ContainerSummary) -> Row {
    let name = summary.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    Row {
        id: summary.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        state: summary.state.map(|state| state.to_string()).unwrap_or_default(),
        command: summary.command.unwrap_or_default(),
        labels: summary.labels.unwrap_or_default(),
    }
}
