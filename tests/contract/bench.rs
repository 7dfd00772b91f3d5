//! The engines under test, and what a test needs beside them.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{KillContainerOptions, RemoveContainerOptionsBuilder};
use sandkeeper::engine::apple::{Apple, Patience};
use sandkeeper::engine::docker::Docker;
use sandkeeper::engine::fake::{Fake, Program};
use sandkeeper::engine::{
    CreateRequest, Engine, EngineError, EngineKind, ExecOutcome, Feature, PublishedPort,
};
use sandkeeper::plan::{ContainerId, Limits, NetworkChoice, Seccomp, Security};
use sandkeeper::sandbox::Protocol;

use crate::apple::StandIn;
use crate::docker::{Prefix, client, ensure_test_image};
use crate::proxy::Proxy;

/// Where the Podman of the tests listens.
const PODMAN: &str = "SANDKEEPER_TEST_PODMAN";
/// Where the Podman of a user listens that was made for the tests.
const ROOTLESS: &str = "SANDKEEPER_TEST_PODMAN_ROOTLESS";

/// What a test's container does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Runs until it is ended.
    Sleeps,
    /// Ends at once with this code.
    Exits(i64),
    /// Prints two lines and runs on.
    Prints(&'static str, &'static str),
    /// Its program does not exist.
    HasNoProgram,
}

/// The command that prints `out` and ends with 3, on every engine.
pub(crate) fn failing_command() -> Vec<String> {
    ["sh", "-c", "echo out; exit 3"].map(str::to_owned).to_vec()
}

/// A command that does not exist on any engine.
pub(crate) fn no_command() -> Vec<String> {
    vec!["/no/such/command".to_owned()]
}

/// An engine and the hands of its user.
#[async_trait]
pub(crate) trait Bench: Send + Sync {
    fn engine(&self) -> Arc<dyn Engine>;
    /// What the engine under test says that it cannot do.
    fn lacks(&self) -> Vec<Feature> {
        self.engine().kind().lacks().to_vec()
    }
    /// Least memory that a container can be limited to, in bytes.
    fn least_memory(&self) -> i64 {
        0
    }
    /// A name that nobody else uses.
    fn name(&self, rest: &str) -> String;
    /// A request for a container of this name and role.
    fn request(&self, rest: &str, role: Role) -> CreateRequest;
    /// `docker kill`.
    async fn kill(&self, id: &ContainerId);
    /// `docker pause`.
    async fn pause(&self, id: &ContainerId);
    /// `docker rm -f`.
    async fn remove_by_force(&self, id: &ContainerId);
}

/// The fake.
pub(crate) struct FakeBench(Fake);

impl FakeBench {
    pub(crate) fn new() -> Self {
        let fake = Fake::new();
        let outcome =
            |exit_code, output: &str| ExecOutcome { exit_code, output: output.to_owned() };
        fake.act(|state| {
            state.execs.insert(failing_command(), outcome(3, "out\n"));
            state.execs.insert(no_command(), outcome(126, "no such file"));
        });
        Self(fake)
    }
}

#[async_trait]
impl Bench for FakeBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.0.clone())
    }

    fn name(&self, rest: &str) -> String {
        format!("test-{rest}")
    }

    fn request(&self, rest: &str, role: Role) -> CreateRequest {
        let program = match role {
            Role::Sleeps => Program::sleeps(),
            Role::Exits(code) => Program::exits(code),
            Role::HasNoProgram => Program::exits(127),
            Role::Prints(first, second) => {
                Program { prints: format!("{first}\n{second}\n"), ..Program::sleeps() }
            }
        };
        let image = format!("{role:?}");
        self.0.act(|state| state.add_program(&image, program));
        request(self.name(rest), image, None)
    }

    async fn kill(&self, id: &ContainerId) {
        self.0.act(|state| state.kill(id));
    }

    async fn pause(&self, id: &ContainerId) {
        self.0.act(|state| state.pause(id));
    }

    async fn remove_by_force(&self, id: &ContainerId) {
        self.0.act(|state| state.remove_by_force(id));
    }
}

/// A real one: Docker, or Podman by the same API.
pub(crate) struct DockerBench {
    pub(crate) docker: Docker,
    client: bollard::Docker,
    image: &'static str,
    lacks: Vec<Feature>,
    // Dropped after the engine that speaks through it.
    proxy: Option<Proxy>,
    // Dropped last: removes what the test made.
    prefix: Prefix,
}

impl DockerBench {
    pub(crate) async fn new() -> Self {
        Self::with(client(None), None, None).await
    }

    /// Every call of the engine under test passes through the fault proxy, which has no rules.
    pub(crate) async fn behind_a_proxy() -> Self {
        let proxy = Proxy::start();
        let address = proxy.address();
        Self::with(client(None), Some(&address), Some(proxy)).await
    }

    /// The proxy of a bench that is behind one.
    pub(crate) fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("it is behind a proxy")
    }

    pub(crate) async fn podman() -> Self {
        Self::podman_at(PODMAN).await
    }

    pub(crate) async fn rootless_podman() -> Self {
        Self::podman_at(ROOTLESS).await
    }

    async fn podman_at(variable: &str) -> Self {
        let address = std::env::var(variable).unwrap_or_else(|_| {
            unreachable!("{variable} must be Podman's address, as ./tests/run sets it")
        });
        let bench = Self::with(client(Some(&address)), Some(&address), None).await;
        assert_eq!(bench.docker.kind(), EngineKind::Podman, "what listens at {address}");
        bench
    }

    /// `client` is the user's way to the engine, `address` the way of the driver under test.
    async fn with(client: bollard::Docker, address: Option<&str>, proxy: Option<Proxy>) -> Self {
        let image = ensure_test_image(&client).await;
        let docker = Docker::connect(address).await.expect("the engine must be there");
        let docker = docker.under(sandkeeper::plan::Policy::unrestricted());
        let lacks = docker.capabilities().await.expect("it tells").lacks;
        let prefix = Prefix::on(client.clone());
        Self { docker, client, image, lacks, proxy, prefix }
    }

    /// A container that runs.
    pub(crate) async fn running(&self, request: &CreateRequest) -> ContainerId {
        let id = self.docker.create(request).await.expect("it is created");
        self.docker.start(&id).await.expect("it starts");
        id
    }
}

#[async_trait]
impl Bench for DockerBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.docker.clone())
    }

    fn name(&self, rest: &str) -> String {
        self.prefix.name(rest)
    }

    fn request(&self, rest: &str, role: Role) -> CreateRequest {
        let request = request(self.name(rest), self.image.to_owned(), command(role));
        if self.lacks.contains(&Feature::PidsLimit) {
            return CreateRequest { limits: Limits::default(), ..request };
        }
        request
    }

    fn lacks(&self) -> Vec<Feature> {
        self.lacks.clone()
    }

    async fn kill(&self, id: &ContainerId) {
        let killed = self.client.kill_container(&id.0, None::<KillContainerOptions>).await;
        killed.expect("a running container can be killed");
    }

    async fn pause(&self, id: &ContainerId) {
        self.client.pause_container(&id.0).await.expect("a running container can be paused");
    }

    async fn remove_by_force(&self, id: &ContainerId) {
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self.client.remove_container(&id.0, Some(force)).await;
        removed.expect("a container can be removed by force");
    }
}

/// Apple's tool, or what stands in for it.
pub(crate) struct AppleBench {
    pub(crate) apple: Apple,
    pub(crate) tool: StandIn,
}

impl AppleBench {
    pub(crate) async fn new() -> Self {
        Self::of_version("1.2.2").await
    }

    /// A tool of this version.
    pub(crate) async fn of_version(version: &str) -> Self {
        ensure_test_image(&client(None)).await;
        let tool = StandIn::new(version);
        let apple = connect(&tool).await.expect("the service runs");
        Self { apple, tool }
    }

    /// A container that runs.
    pub(crate) async fn running(&self, rest: &str) -> ContainerId {
        let id = self.apple.create(&self.request(rest, Role::Sleeps)).await.expect("it is created");
        self.apple.start(&id).await.expect("it starts");
        id
    }
}

/// Connects to the stand-in, whose calls take as long as a busy machine takes for a dozen processes.
pub(crate) async fn connect(tool: &StandIn) -> Result<Apple, EngineError> {
    let apple = Apple::connect_with(Some(&tool.program()), Patience(20)).await?;
    // What a policy forbids is the gate's own to show.
    Ok(apple.under(sandkeeper::plan::Policy::unrestricted()))
}

/// The tool's own name for a container.
pub(crate) fn tool_name(id: &ContainerId) -> &str {
    id.0.split('@').next().expect("a text has a first part")
}

#[async_trait]
impl Bench for AppleBench {
    fn engine(&self) -> Arc<dyn Engine> {
        Arc::new(self.apple.clone())
    }

    fn least_memory(&self) -> i64 {
        200 << 20
    }

    fn name(&self, rest: &str) -> String {
        format!("sandbox-{rest}")
    }

    fn request(&self, rest: &str, role: Role) -> CreateRequest {
        let image = crate::docker::TEST_IMAGE.to_owned();
        let request = request(self.name(rest), image, command(role));
        CreateRequest { limits: Limits::default(), ..request }
    }

    async fn kill(&self, id: &ContainerId) {
        self.tool.run(&["kill", tool_name(id)]);
    }

    async fn pause(&self, _: &ContainerId) {
        unreachable!("nothing freezes a container of Apple's");
    }

    async fn remove_by_force(&self, id: &ContainerId) {
        self.tool.run(&["delete", "--force", tool_name(id)]);
    }
}

/// The words that play a role in the test image; `None`: the image's own, which sleep.
fn command(role: Role) -> Option<Vec<String>> {
    let script = |script: String| Some(vec!["sh".to_owned(), "-c".to_owned(), script]);
    match role {
        Role::Sleeps => None,
        Role::Exits(code) => script(format!("exit {code}")),
        Role::HasNoProgram => Some(no_command()),
        Role::Prints(first, second) => {
            script(format!("echo {first}; echo {second}; exec sleep infinity"))
        }
    }
}

fn request(name: String, image: String, command: Option<Vec<String>>) -> CreateRequest {
    CreateRequest {
        name,
        image,
        command,
        args: None,
        working_dir: None,
        env: Vec::new(),
        labels: BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        shared_memory: None,
        limits: Limits { pids: Some(64), ..Limits::default() },
        security: Security {
            seccomp: Seccomp::RuntimeDefault,
            capabilities: vec!["CHOWN".to_owned()],
            privileged: false,
            no_new_privileges: true,
            read_only_root: false,
            run_as_user: None,
            run_as_group: None,
        },
        seccomp_profile: None,
        runtime: None,
        network: NetworkChoice::None,
        stop_timeout: 1,
    }
}

/// One port on loopback.
pub(crate) fn port(host_port: u16) -> PublishedPort {
    PublishedPort {
        container_port: 8080,
        protocol: Protocol::Tcp,
        host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        host_port,
    }
}

/// A port that nothing listens on just now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Looks until there is something to see.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    for _ in 0..1000 {
        if let Some(seen) = look().await {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    unreachable!("it never came to pass that {what}")
}
