//! A container of a real Docker engine, for the few facts that nothing else can show. The tests that use it
//! are ignored by default; `./tests/run` runs them.

#[path = "../../../tests/support/docker.rs"]
#[expect(dead_code, reason = "shared with the contract tests, which use more of it")]
mod docker;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;

use bollard::Docker;
use bollard::exec::StartExecResults;
use bollard::models::{ContainerCreateBody, ExecConfig, HostConfig, PortBinding};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};
use futures::{FutureExt, StreamExt};

use super::stub::StubEngine;
use crate::engine::ExecOutcome;
use crate::plan::ContainerId;

/// Port in the container that is published.
const PORT: &str = "8080/tcp";

/// Runs a test against a new container, and removes the container whatever comes of it.
pub(in crate::controller) async fn with_container(
    command: &[&str],
    test: impl AsyncFnOnce(&StubEngine, &ContainerId, SocketAddr),
) {
    let docker = docker::client(None);
    let image = docker::ensure_test_image(&docker).await;
    let name = Some(format!("sandkeeper-test-{}-{}", std::process::id(), uuid::Uuid::new_v4()));
    let named = CreateContainerOptions { name, ..CreateContainerOptions::default() };
    let id = docker.create_container(Some(named), body(image, command)).await.unwrap().id;
    let outcome = AssertUnwindSafe(async {
        docker.start_container(&id, None).await.unwrap();
        let address = published(&docker, &id).await;
        test(&engine(&docker, &id), &ContainerId(id.clone()), address).await;
    })
    .catch_unwind()
    .await;
    let force = RemoveContainerOptions { force: true, ..RemoveContainerOptions::default() };
    docker.remove_container(&id, Some(force)).await.unwrap();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn body(image: &str, command: &[&str]) -> ContainerCreateBody {
    let binding = PortBinding { host_ip: Some("127.0.0.1".to_owned()), host_port: None };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        exposed_ports: Some(vec![PORT.to_owned()]),
        host_config: Some(HostConfig {
            port_bindings: Some(HashMap::from([(PORT.to_owned(), Some(vec![binding]))])),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

async fn published(docker: &Docker, id: &str) -> SocketAddr {
    let inspected = docker.inspect_container(id, None).await.unwrap();
    let ports = inspected.network_settings.unwrap().ports.unwrap();
    let port = ports[PORT].as_ref().unwrap()[0].host_port.clone().unwrap();
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn engine(docker: &Docker, id: &str) -> StubEngine {
    let (docker, id) = (docker.clone(), id.to_owned());
    let exec = move |command| {
        let (docker, id) = (docker.clone(), id.clone());
        async move { Ok(exec(&docker, &id, command).await) }.boxed()
    };
    StubEngine { exec: Box::new(exec), ..StubEngine::default() }
}

async fn exec(docker: &Docker, id: &str, command: Vec<String>) -> ExecOutcome {
    let config = ExecConfig {
        cmd: Some(command),
        user: Some("0:0".to_owned()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..ExecConfig::default()
    };
    let exec = docker.create_exec(id, config).await.unwrap().id;
    let StartExecResults::Attached { mut output, .. } =
        docker.start_exec(&exec, None).await.unwrap()
    else {
        panic!("started detached")
    };
    let mut printed = String::new();
    while let Some(chunk) = output.next().await {
        printed.push_str(&chunk.unwrap().to_string());
    }
    let exit_code = docker.inspect_exec(&exec).await.unwrap().exit_code.unwrap();
    ExecOutcome { exit_code, output: printed }
}
