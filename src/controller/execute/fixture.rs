//! A desired sandbox with every field set, and what its container is made from.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::Recipe;
use crate::plan::{
    BindMount, ContainerSpec, Desired, EnvValue, Fingerprint, Limits, NetworkChoice, Port, Seccomp,
    Security,
};
use crate::sandbox::{
    OperatingMode, Protocol, PullPolicy, RestartPolicy, ShutdownPolicy, UpdatePolicy,
};

/// Owns what a [`Recipe`] borrows.
pub(super) struct Kitchen {
    pub(super) desired: Desired,
    pub(super) fingerprint: Fingerprint,
    pub(super) ports: BTreeMap<String, u16>,
    pub(super) secrets: BTreeMap<String, SecretString>,
}

impl Kitchen {
    pub(super) fn new(desired: Desired) -> Self {
        Self {
            fingerprint: Fingerprint::of(&desired.container, &BTreeMap::new()),
            ports: BTreeMap::from([("http".to_owned(), 8081)]),
            secrets: BTreeMap::from([("TOKEN".to_owned(), SecretString::from("hunter2"))]),
            desired,
        }
    }

    pub(super) fn recipe(&self) -> Recipe<'_> {
        Recipe {
            desired: &self.desired,
            fingerprint: &self.fingerprint,
            ports: &self.ports,
            secrets: &self.secrets,
            seccomp_profile: Some("{}"),
        }
    }
}

/// The sandbox `web` of uid `u-1`.
pub(super) fn desired() -> Desired {
    Desired {
        name: serde_json::from_str("\"web\"").unwrap(),
        uid: "u-1".to_owned(),
        generation: 3,
        created_at: Timestamp::UNIX_EPOCH,
        container: container(),
        limits: Limits { nano_cpus: Some(500_000_000), memory: Some(1 << 30), pids: Some(64) },
        pull_policy: PullPolicy::IfNotPresent,
        readiness: None,
        liveness: None,
        permissions: Vec::new(),
        restart_policy: RestartPolicy::Always,
        grace: Duration::from_secs(10),
        operating_mode: OperatingMode::Running,
        shutdown_at: None,
        shutdown_policy: ShutdownPolicy::Retain,
        update_policy: UpdatePolicy::Recreate,
        adopt: false,
        asks_no_new_privileges: false,
    }
}

fn container() -> ContainerSpec {
    let text = |text: &str| text.to_owned();
    ContainerSpec {
        image: text("example/web:1"),
        command: Some(vec![text("/bin/server")]),
        args: Some(vec![text("--port"), text("80")]),
        working_dir: Some(text("/srv")),
        env: BTreeMap::from([
            (text("TOKEN"), EnvValue::SecretFile(PathBuf::from("/run/secrets/token"))),
            (text("MODE"), EnvValue::Literal(text("plain-text"))),
        ]),
        ports: vec![Port {
            name: text("http"),
            container_port: 80,
            protocol: Protocol::Tcp,
            host_port: None,
            host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }],
        mounts: vec![BindMount {
            host_path: PathBuf::from("/srv/data"),
            mount_path: text("/data"),
            read_only: true,
            create: None,
        }],
        shared_memory: Some(1 << 20),
        security: Security {
            seccomp: Seccomp::Localhost(PathBuf::from("/etc/seccomp.json")),
            capabilities: vec![text("CHOWN")],
            privileged: false,
            no_new_privileges: true,
            read_only_root: true,
            run_as_user: Some(1000),
            run_as_group: Some(1000),
        },
        runtime: Some(text("runsc")),
        network: NetworkChoice::Named(text("lab")),
    }
}
