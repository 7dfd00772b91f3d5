//! The engine, seen and handled from outside of sandkeeper.

use std::collections::HashMap;
use std::future::Future;
use std::path::{Path, PathBuf};

use bollard::models::{ContainerCreateBody, ContainerUpdateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptions, RenameContainerOptionsBuilder,
    StopContainerOptionsBuilder, TagImageOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures::StreamExt;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::until;
use crate::docker::ensure_test_image;

/// Where the Podman of the tests listens.
const PODMAN: &str = "SANDKEEPER_TEST_PODMAN";
/// Where the Podman of a user listens that was made for the tests.
const ROOTLESS: &str = "SANDKEEPER_TEST_PODMAN_ROOTLESS";
/// Seconds; a private engine may be frozen.
const PRIVATE_TIMEOUT: u64 = 120;

/// A connection to the engine for tests that are not async themselves.
pub(crate) struct Engine {
    runtime: Runtime,
    docker: Docker,
    kind: &'static str,
    /// Where it listens, when it is not the engine of all tests.
    private: Option<PathBuf>,
}

/// One container, as the engine's inspect call shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Container(Value);

impl Container {
    /// The value at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.0.pointer(pointer).cloned().unwrap_or_default()
    }

    /// The value at a JSON pointer, as text; empty when there is none.
    pub(crate) fn text(&self, pointer: &str) -> String {
        self.at(pointer).as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn id(&self) -> String {
        self.text("/Id")
    }

    pub(crate) fn state(&self) -> String {
        self.text("/State/Status")
    }

    /// What tells one run of one container from every other run.
    pub(crate) fn run(&self) -> (String, String) {
        (self.id(), self.text("/State/StartedAt"))
    }

    /// Host port of container port 8080.
    pub(crate) fn host_port(&self) -> u16 {
        let port = self.text("/HostConfig/PortBindings/8080~1tcp/0/HostPort");
        port.parse().unwrap_or_else(|_| panic!("port 8080 is not published: {port:?}"))
    }
}

impl Engine {
    /// Connects, and makes sure of the test image.
    pub(crate) fn connect() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let docker = runtime.block_on(async {
            let docker = Docker::connect_with_defaults()?;
            docker.negotiate_version().await
        });
        let docker = docker.unwrap_or_else(|error| {
            panic!(
                "no container engine answers ({error}): start one, or use ./tests/run, which does"
            )
        });
        runtime.block_on(ensure_test_image(&docker));
        Self { runtime, docker, kind: "docker", private: None }
    }

    /// Connects to an engine that one test has for itself, and makes sure of the test image there.
    pub(crate) fn at(socket: &Path) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let docker = runtime.block_on(async {
            let path = socket.to_string_lossy();
            let docker = Docker::connect_with_unix(&path, PRIVATE_TIMEOUT, API_DEFAULT_VERSION)?;
            docker.negotiate_version().await
        });
        let docker = docker.unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
        runtime.block_on(ensure_test_image(&docker));
        Self { runtime, docker, kind: "docker", private: Some(socket.to_owned()) }
    }

    /// Connects to the Podman of the tests.
    pub(crate) fn podman() -> Self {
        Self::podman_at(PODMAN)
    }

    /// Connects to the rootless Podman of the tests.
    pub(crate) fn rootless_podman() -> Self {
        Self::podman_at(ROOTLESS)
    }

    fn podman_at(variable: &str) -> Self {
        let socket = std::env::var_os(variable).unwrap_or_else(|| {
            panic!("{variable} must be the address of a Podman: use ./tests/run, which starts one")
        });
        Self { kind: "podman", ..Self::at(Path::new(&socket)) }
    }

    /// Whether other tests use it too, so that each must clean up after itself.
    pub(crate) fn is_shared(&self) -> bool {
        self.private.is_none() || self.kind == "podman"
    }

    /// As `--engine` takes it.
    pub(crate) const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Where it listens, when it is not the engine of all tests.
    pub(crate) fn private_socket(&self) -> Option<&Path> {
        self.private.as_deref()
    }

    /// The container of this name or id.
    pub(crate) fn container(&self, name: &str) -> Option<Container> {
        match self.readable(|| self.docker.inspect_container(name, None)) {
            Ok(found) => {
                Some(Container(serde_json::to_value(found).expect("the engine's JSON is JSON")))
            }
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 404, .. }) => None,
            // Podman, when it goes while it is looked at.
            Err(bollard::errors::Error::DockerResponseServerError { message, .. })
                if message.contains("no such container") =>
            {
                None
            }
            Err(error) => panic!("inspect {name}: {error}"),
        }
    }

    /// Names of all containers, running or not, that start with `prefix`, sorted.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let list = self.readable(|| self.docker.list_containers(Some(options.clone())));
        let list = list.expect("list");
        let names = list.into_iter().flat_map(|one| one.names.unwrap_or_default());
        let names = names.map(|name| name.trim_start_matches('/').to_owned());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }

    /// Creates and starts a container that has nothing to do with sandkeeper.
    pub(crate) fn run_foreign(&self, name: &str, labels: HashMap<String, String>) {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let body = ContainerCreateBody {
            image: Some(super::TEST_IMAGE.to_owned()),
            cmd: Some(vec!["sleep".to_owned(), "3600".to_owned()]),
            labels: Some(labels),
            host_config: Some(HostConfig { init: Some(true), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        self.wait(self.docker.create_container(Some(options), body)).expect("create");
        self.wait(self.docker.start_container(name, None)).expect("start");
    }

    /// Creates a container of somebody else's with this part of the host.
    pub(crate) fn create_with(&self, name: &str, host_config: HostConfig) {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let body = ContainerCreateBody {
            image: Some(super::TEST_IMAGE.to_owned()),
            cmd: Some(vec!["sleep".to_owned(), "3600".to_owned()]),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        };
        self.wait(self.docker.create_container(Some(options), body)).expect("create");
    }

    /// `docker start`
    pub(crate) fn start(&self, name: &str) {
        self.wait(self.docker.start_container(name, None)).expect("start");
    }

    /// Creates a container that has nothing to do with sandkeeper, and does not start it.
    pub(crate) fn create_foreign(&self, name: &str) {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let image = Some(super::TEST_IMAGE.to_owned());
        let body = ContainerCreateBody { image, ..ContainerCreateBody::default() };
        self.wait(self.docker.create_container(Some(options), body)).expect("create");
    }

    /// `docker rm -f`
    pub(crate) fn remove(&self, name: &str) {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        self.wait(self.docker.remove_container(name, Some(options))).expect("rm -f");
    }

    /// `docker stop`
    pub(crate) fn stop(&self, name: &str) {
        let options = StopContainerOptionsBuilder::new().t(1).build();
        self.wait(self.docker.stop_container(name, Some(options))).expect("stop");
    }

    /// `docker kill`
    pub(crate) fn kill(&self, name: &str) {
        let options = KillContainerOptionsBuilder::new().signal("SIGKILL").build();
        self.wait(self.docker.kill_container(name, Some(options))).expect("kill");
    }

    /// `docker pause`
    pub(crate) fn pause(&self, name: &str) {
        self.wait(self.docker.pause_container(name)).expect("pause");
    }

    /// `docker rename`
    pub(crate) fn rename(&self, from: &str, to: &str) {
        let options = RenameContainerOptionsBuilder::new().name(to).build();
        self.wait(self.docker.rename_container(from, options)).expect("rename");
    }

    /// `docker update --pids-limit`
    pub(crate) fn limit_pids(&self, name: &str, pids: i64) {
        let body = ContainerUpdateBody { pids_limit: Some(pids), ..ContainerUpdateBody::default() };
        self.wait(self.docker.update_container(name, body)).expect("update");
    }

    /// `docker exec`, and what it printed.
    pub(crate) fn exec(&self, name: &str, command: &[&str]) -> String {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        self.wait(self.try_exec(name, command)).expect("exec")
    }

    /// `docker tag`
    pub(crate) fn tag(&self, image: &str, repository: &str, tag: &str) {
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.wait(self.docker.tag_image(image, Some(options))).expect("tag");
    }

    /// Removes every container whose name starts with `prefix`, and these images. Never fails: it is
    /// the last thing that a test does, be it failing or not.
    pub(crate) fn clean(&self, prefix: &str, images: &[String]) {
        for name in self.names(prefix) {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            if let Err(error) = self.wait(self.docker.remove_container(&name, Some(options))) {
                eprintln!("left behind: container {name}: {error}");
            }
        }
        for image in images {
            if let Err(error) =
                self.wait(self.docker.remove_image(image, None::<RemoveImageOptions>, None))
            {
                eprintln!("left behind: image {image}: {error}");
            }
        }
    }

    async fn try_exec(
        &self,
        name: &str,
        command: Vec<String>,
    ) -> Result<String, bollard::errors::Error> {
        let config = bollard::models::ExecConfig {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command),
            ..bollard::models::ExecConfig::default()
        };
        let exec = self.docker.create_exec(name, config).await?;
        let started = self.docker.start_exec(&exec.id, None).await?;
        let bollard::exec::StartExecResults::Attached { mut output, .. } = started else {
            return Ok(String::new());
        };
        let mut printed = String::new();
        while let Some(chunk) = output.next().await {
            printed.push_str(&chunk?.to_string());
        }
        Ok(printed)
    }

    /// What the engine answers, once that can be read: for a moment after a container's end, Podman uses a
    /// word for its state that the client library does not know.
    fn readable<T, F>(&self, ask: impl Fn() -> F) -> Result<T, bollard::errors::Error>
    where
        F: Future<Output = Result<T, bollard::errors::Error>>,
    {
        until("the engine's answer can be read", || match self.wait(ask()) {
            Err(bollard::errors::Error::JsonDataError { message, .. }) => Err(message),
            answer => Ok(answer),
        })
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}
