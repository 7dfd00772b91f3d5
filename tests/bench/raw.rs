//! The engine alone: a client that does nothing but create and start, with the very configuration that
//! sandkeeper gave a container of its own.

use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, ContainerInspectResponse, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures::StreamExt;

use crate::events::Events;
use crate::port_range::PortRange;
use crate::report::Restart;

/// Creates containers like one that sandkeeper made.
pub(crate) struct RawClient {
    docker: Docker,
    prefix: String,
    body: ContainerCreateBody,
    ports: PortRange,
    next_port: AtomicU16,
}

impl RawClient {
    /// A client that makes containers like `example`, under names of its own and without its labels.
    pub(crate) async fn like(docker: &Docker, example: &ContainerInspectResponse) -> Self {
        let ports = PortRange::reserve();
        let prefix = unique_prefix();
        let next_port = AtomicU16::new(ports.base);
        let client = Self { docker: docker.clone(), prefix, body: body(example), ports, next_port };
        // A connection is open before anything is measured, as the daemon's is.
        client.docker.ping().await.expect("the engine answers");
        client
    }

    /// Creates and starts one; from before the first call until the engine's start event.
    pub(crate) async fn create_and_start(&self, events: &Events, name: &str) -> Duration {
        let began = Instant::now();
        let name = self.create_and_start_one(name).await;
        events.first("start", &name).await.duration_since(began)
    }

    /// Creates and starts many, so many at a time; until the last start event.
    pub(crate) async fn create_and_start_many(
        &self,
        events: &Events,
        count: usize,
        concurrency: usize,
    ) -> Duration {
        let began = Instant::now();
        let one = |number| async move {
            let name = self.create_and_start_one(&format!("crowd-{number}")).await;
            events.first("start", &name).await
        };
        let started = futures::stream::iter(0..count).map(one).buffer_unordered(concurrency);
        let last = started.fold(began, |last, at| async move { last.max(at) }).await;
        last.duration_since(began)
    }

    /// Kills a container and starts it again as soon as the engine says how it is: an engine that is
    /// taking down a container's network answers neither inspect nor start before it is done.
    pub(crate) async fn kill(&self, events: &Events, name: &str) -> Restart {
        let name = format!("{}-{name}", self.prefix);
        self.docker.kill_container(&name, None).await.expect("the engine kills it");
        let died = events.first("die", &name).await;
        self.docker.inspect_container(&name, None).await.expect("the engine shows it");
        let requested = Instant::now();
        self.docker.start_container(&name, None).await.expect("the engine starts it");
        let running = events.nth(1, "start", &name).await;
        Restart {
            requested: requested.saturating_duration_since(died),
            running: running.saturating_duration_since(died),
        }
    }

    pub(crate) async fn clean_up(self) {
        remove_all(&self.docker, &format!("{}-", self.prefix)).await;
    }

    async fn create_and_start_one(&self, name: &str) -> String {
        let name = format!("{}-{name}", self.prefix);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let created = self.docker.create_container(Some(options), self.with_port()).await;
        let id = created.expect("the engine creates it").id;
        self.docker.start_container(&id, None).await.expect("the engine starts it");
        name
    }

    /// The configuration with the next host port.
    fn with_port(&self) -> ContainerCreateBody {
        let mut body = self.body.clone();
        let port = self.next_port.fetch_add(1, Ordering::Relaxed);
        assert!(port < self.ports.base + self.ports.count, "the range of ports is used up");
        let bindings = body.host_config.as_mut().and_then(|host| host.port_bindings.as_mut());
        for binding in bindings.into_iter().flat_map(|map| map.values_mut().flatten()).flatten() {
            *binding = PortBinding { host_port: Some(port.to_string()), ..binding.clone() };
        }
        body
    }
}

/// What a container was made from.
fn body(example: &ContainerInspectResponse) -> ContainerCreateBody {
    let config = example.config.clone().expect("inspect shows the configuration");
    ContainerCreateBody {
        image: config.image,
        entrypoint: config.entrypoint,
        cmd: config.cmd,
        env: config.env,
        user: config.user,
        working_dir: config.working_dir,
        exposed_ports: config.exposed_ports,
        stop_timeout: config.stop_timeout,
        host_config: example.host_config.clone(),
        ..ContainerCreateBody::default()
    }
}

/// A prefix for names that nothing has had before, so that no earlier event speaks of them.
pub(crate) fn unique_prefix() -> String {
    static COUNT: AtomicU16 = AtomicU16::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("sk-bench-{}-{count}", std::process::id())
}

/// Removes every container whose name starts with `prefix`.
pub(crate) async fn remove_all(docker: &Docker, prefix: &str) {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let list = docker.list_containers(Some(options)).await.expect("the engine lists");
    let ours = list.into_iter().filter(|one| {
        let names = one.names.as_deref().unwrap_or_default();
        names.iter().any(|name| name.trim_start_matches('/').starts_with(prefix))
    });
    let removals = ours.filter_map(|one| one.id).map(|id| async move {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        docker.remove_container(&id, Some(options)).await.expect("the engine removes it");
    });
    futures::stream::iter(removals).buffer_unordered(4).collect::<()>().await;
}
