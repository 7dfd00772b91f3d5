use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use secrecy::SecretString;
use serde_json::{Value, json};

use super::*;
use crate::plan::Limits;

fn hardened() -> Security {
    Security {
        seccomp: Seccomp::RuntimeDefault,
        capabilities: vec!["CHOWN".to_owned(), "SETUID".to_owned()],
        privileged: false,
        no_new_privileges: true,
        read_only_root: false,
        run_as_user: None,
        run_as_group: None,
    }
}

fn minimal() -> CreateRequest {
    CreateRequest {
        name: "sandbox-web".to_owned(),
        image: "web:1".to_owned(),
        command: None,
        args: None,
        working_dir: None,
        env: Vec::new(),
        labels: BTreeMap::new(),
        ports: Vec::new(),
        mounts: Vec::new(),
        shared_memory: None,
        limits: Limits::default(),
        security: hardened(),
        seccomp_profile: None,
        runtime: None,
        network: NetworkChoice::Bridge,
        stop_timeout: 10,
    }
}

fn full() -> CreateRequest {
    CreateRequest {
        command: Some(vec!["/serve".to_owned()]),
        args: Some(vec!["--verbose".to_owned()]),
        working_dir: Some("/srv".to_owned()),
        env: vec![("TOKEN".to_owned(), SecretString::from("s3cret=x"))],
        labels: BTreeMap::from([("sandkeeper.dev/name".to_owned(), "web".to_owned())]),
        ports: vec![PublishedPort {
            container_port: 8080,
            protocol: Protocol::Udp,
            host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host_port: 18080,
        }],
        mounts: vec![BindMount {
            host_path: PathBuf::from("/srv/a:b"),
            mount_path: "/data".to_owned(),
            read_only: true,
            create: None,
        }],
        shared_memory: Some(64 << 20),
        limits: Limits { nano_cpus: Some(500_000_000), memory: Some(256 << 20), pids: Some(100) },
        security: Security {
            seccomp: Seccomp::Localhost(PathBuf::from("/etc/profile.json")),
            read_only_root: true,
            run_as_user: Some(1000),
            run_as_group: Some(1001),
            ..hardened()
        },
        seccomp_profile: Some("{\"defaultAction\":\"SCMP_ACT_ALLOW\"}".to_owned()),
        runtime: Some("runsc".to_owned()),
        network: NetworkChoice::Named("backend".to_owned()),
        ..minimal()
    }
}

fn body(request: &CreateRequest) -> Value {
    let (_, body) = create_body(request, Dialect::Docker, LogRotation::JsonFile).unwrap();
    serde_json::to_value(body).unwrap()
}

#[test]
fn the_smallest_request_is_hardened() {
    let expected = json!({
        "Image": "web:1",
        "Env": [],
        "Labels": {},
        "ExposedPorts": {},
        "StopTimeout": 10,
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": false,
            "Init": true,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Mounts": [],
            "PortBindings": {},
            "NetworkMode": "bridge",
            "IpcMode": "private",
            "Privileged": false,
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN", "SETUID"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": false,
        },
    });
    assert_eq!(body(&minimal()), expected);
}

#[test]
fn every_field_reaches_the_engine() {
    let expected = json!({
        "Image": "web:1",
        "Entrypoint": ["/serve"],
        "Cmd": ["--verbose"],
        "WorkingDir": "/srv",
        "User": "1000:1001",
        "Env": ["TOKEN=s3cret=x"],
        "Labels": {"sandkeeper.dev/name": "web"},
        "ExposedPorts": {"8080/udp": {}},
        "StopTimeout": 10,
        "HostConfig": {
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": false,
            "Init": true,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
            "Mounts": [{
                "Type": "bind",
                "Source": "/srv/a:b",
                "Target": "/data",
                "ReadOnly": true,
                "BindOptions": {"Propagation": "rprivate", "CreateMountpoint": false},
            }],
            "PortBindings": {"8080/udp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}]},
            "NetworkMode": "backend",
            "IpcMode": "private",
            "Privileged": false,
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN", "SETUID"],
            "SecurityOpt": ["no-new-privileges", "seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"],
            "ReadonlyRootfs": true,
            "Runtime": "runsc",
            "ShmSize": 67_108_864,
            "NanoCpus": 500_000_000,
            "Memory": 268_435_456,
            "MemorySwap": 268_435_456,
            "PidsLimit": 100,
        },
    });
    assert_eq!(body(&full()), expected);
    let (options, _) = create_body(&full(), Dialect::Docker, LogRotation::JsonFile).unwrap();
    assert_eq!(options.name.as_deref(), Some("sandbox-web"));
}

#[test]
fn a_command_without_arguments_does_not_get_the_images() {
    let command = || Some(vec!["/serve".to_owned()]);
    let only_command = body(&CreateRequest { command: command(), ..minimal() });
    assert_eq!(only_command["Entrypoint"], json!(["/serve"]));
    assert_eq!(only_command["Cmd"], json!([]));
    let only_arguments = body(&CreateRequest { args: command(), ..minimal() });
    assert_eq!(only_arguments["Entrypoint"], Value::Null);
    assert_eq!(only_arguments["Cmd"], json!(["/serve"]));
}

#[test]
fn a_privileged_container_has_no_list_of_capabilities() {
    let security = Security { privileged: true, no_new_privileges: false, ..hardened() };
    let host = body(&CreateRequest { security, ..minimal() })["HostConfig"].clone();
    assert_eq!(host["Privileged"], true);
    assert_eq!(host["CapAdd"], Value::Null);
    assert_eq!(host["CapDrop"], Value::Null);
    assert_eq!(host["SecurityOpt"], json!([]));
}

#[test]
fn a_group_without_a_user_is_refused_rather_than_run_as_root() {
    let security = Security { run_as_group: Some(1000), ..hardened() };
    let error =
        create_body(&CreateRequest { security, ..minimal() }, Dialect::Docker, LogRotation::Engine);
    assert!(matches!(error, Err(EngineError::Rejected(_))));
}

#[test]
fn a_seccomp_profile_that_was_not_read_is_refused_rather_than_dropped() {
    let request = CreateRequest { seccomp_profile: None, ..full() };
    assert!(matches!(
        create_body(&request, Dialect::Docker, LogRotation::Engine),
        Err(EngineError::Rejected(_))
    ));
}

#[test]
fn unconfined_is_said_and_the_default_is_not() {
    let security = Security { seccomp: Seccomp::Unconfined, ..hardened() };
    let options = body(&CreateRequest { security, ..minimal() });
    let expected = json!(["no-new-privileges", "seccomp=unconfined"]);
    assert_eq!(options["HostConfig"]["SecurityOpt"], expected);
}

#[test]
fn logs_rotate_only_where_the_engine_writes_json_files() {
    assert_eq!(LogRotation::for_driver(Some("json-file")), LogRotation::JsonFile);
    assert_eq!(LogRotation::for_driver(Some("journald")), LogRotation::Engine);
    assert_eq!(LogRotation::for_driver(Some("local")), LogRotation::Engine);
    let (_, body) = create_body(&minimal(), Dialect::Docker, LogRotation::Engine).unwrap();
    assert_eq!(body.host_config.unwrap().log_config, None);
}

#[test]
fn no_secret_is_printed_with_the_request() {
    assert!(!format!("{:?}", full()).contains("s3cret"));
}

#[test]
fn podman_is_asked_for_no_capability_that_a_user_other_than_root_would_not_have_on_docker() {
    let capabilities = ["CHOWN", "NET_ADMIN"].map(str::to_owned).to_vec();
    let added = |dialect, run_as_user| {
        let security =
            Security { capabilities: capabilities.clone(), run_as_user, ..minimal().security };
        let request = CreateRequest { security, ..minimal() };
        let (_, body) = create_body(&request, dialect, LogRotation::Engine).unwrap();
        body.host_config.unwrap().cap_add.unwrap()
    };
    assert_eq!(added(Dialect::Docker, Some(1000)), ["CHOWN", "NET_ADMIN"]);
    assert_eq!(added(Dialect::Podman, None), ["CHOWN", "NET_ADMIN"]);
    assert_eq!(added(Dialect::Podman, Some(0)), ["CHOWN", "NET_ADMIN"]);
    assert_eq!(added(Dialect::Podman, Some(1000)), ["NET_ADMIN"]);
}

#[test]
fn podman_reads_a_seccomp_profile_itself() {
    let mut request = minimal();
    request.security.seccomp = Seccomp::Localhost("/etc/profile.json".into());
    request.seccomp_profile = Some("{}".to_owned());
    let (_, body) = create_body(&request, Dialect::Podman, LogRotation::Engine).unwrap();
    let options = body.host_config.unwrap().security_opt.unwrap();
    assert!(options.contains(&"seccomp=/etc/profile.json".to_owned()), "{options:?}");
}

#[test]
fn podman_is_told_when_no_limit_on_processes_is_wanted() {
    let mut request = minimal();
    let asked = |request: &CreateRequest, dialect| {
        let (_, body) = create_body(request, dialect, LogRotation::Engine).unwrap();
        body.host_config.unwrap().pids_limit
    };
    request.limits.pids = None;
    assert_eq!(asked(&request, Dialect::Docker), None);
    assert_eq!(asked(&request, Dialect::Podman), Some(-1));
    request.limits.pids = Some(7);
    assert_eq!(asked(&request, Dialect::Podman), Some(7));
}
