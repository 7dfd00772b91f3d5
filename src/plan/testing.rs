//! Values for the tests of this module: a desired sandbox, a container, a moment.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use jiff::Timestamp;

use super::policy::Isolation;
use super::{
    Binding, Container, ContainerId, ContainerSpec, ContainerState, Desired, Fingerprint, Limits,
    NetworkChoice, Port, ProbeAction, ProbeSpec, SandboxName, Seccomp, Security,
};
use crate::sandbox::{
    OperatingMode, Protocol, PullPolicy, RestartPolicy, ShutdownPolicy, UpdatePolicy,
};

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// `seconds` after the moment at which every test begins.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_750_000_000 + seconds).unwrap()
}

/// A sandbox `web` of this image, with one port and no probe.
pub(crate) fn desired(image: &str) -> Desired {
    Desired {
        name: SandboxName("web".to_owned()),
        uid: "uid-1".to_owned(),
        generation: 1,
        created_at: at(0),
        container: container_spec(image),
        limits: Limits::default(),
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

pub(crate) fn container_spec(image: &str) -> ContainerSpec {
    ContainerSpec {
        image: image.to_owned(),
        command: None,
        args: None,
        working_dir: None,
        env: BTreeMap::new(),
        ports: vec![Port {
            name: "http".to_owned(),
            container_port: 8080,
            protocol: Protocol::Tcp,
            host_port: None,
            host_ip: LOOPBACK,
        }],
        mounts: Vec::new(),
        shared_memory: None,
        security: Security {
            seccomp: Seccomp::RuntimeDefault,
            capabilities: vec!["CHOWN".to_owned()],
            privileged: false,
            no_new_privileges: true,
            read_only_root: false,
            run_as_user: None,
            run_as_group: None,
        },
        runtime: None,
        network: NetworkChoice::Bridge,
    }
}

pub(crate) fn tcp_probe() -> ProbeSpec {
    ProbeSpec {
        action: ProbeAction::Tcp { port: "http".to_owned() },
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 3,
    }
}

pub(crate) fn fingerprint(desired: &Desired) -> Fingerprint {
    Fingerprint::of(&desired.container, &BTreeMap::new())
}

/// A running container that was made from `desired`, under the sandbox's own name.
pub(crate) fn container(id: &str, desired: &Desired) -> Container {
    Container {
        id: ContainerId(id.to_owned()),
        name: "sandbox-web".to_owned(),
        state: ContainerState::Running,
        fingerprint: Some(fingerprint(desired)),
        image: desired.container.image.clone(),
        image_id: "sha256:1".to_owned(),
        created_at: at(0),
        started_at: Some(at(0)),
        finished_at: None,
        exit_code: None,
        oom_killed: false,
        limits: desired.limits,
        bindings: vec![Binding {
            container_port: 8080,
            protocol: Protocol::Tcp,
            host_ip: LOOPBACK,
            host_port: 8080,
        }],
        network_attached: true,
        mounts: Vec::new(),
        pid: None,
        runtime: Some("runc".to_owned()),
        isolation: Isolation::of(desired).into(),
    }
}

/// The same container, ended with this code at this second.
pub(crate) fn exited(container: Container, code: i64, second: i64) -> Container {
    Container {
        state: ContainerState::Exited,
        finished_at: Some(at(second)),
        exit_code: Some(code),
        ..container
    }
}
