//! Inspects as the engines wrote them (Docker 20.10.24, Podman 4.3.1), and what is read of each.

use serde_json::json;

use super::super::answers;
use super::*;
use crate::plan::ContainerId;
use crate::plan::policy::{Policy, SeccompGrant};
use crate::plan::validate::DEFAULT_CAPABILITIES;

const DOCKER_ASKED: &str = include_str!("recorded/docker-asked.json");
const DOCKER_PLAIN: &str = include_str!("recorded/docker-plain.json");
const DOCKER_PRIVILEGED: &str = include_str!("recorded/docker-privileged.json");
const DOCKER_WIDE: &str = include_str!("recorded/docker-wide.json");
const PODMAN_ASKED: &str = include_str!("recorded/podman-asked.json");
const PODMAN_PLAIN: &str = include_str!("recorded/podman-plain.json");
const PODMAN_PRIVILEGED: &str = include_str!("recorded/podman-privileged.json");
const PODMAN_USER: &str = include_str!("recorded/podman-user.json");
const PODMAN_WIDE: &str = include_str!("recorded/podman-wide.json");

fn of(dialect: Dialect, inspect: &Value) -> Isolation {
    let id = ContainerId(inspect["Id"].as_str().unwrap().to_owned());
    let ways = OwnWays { default_runtime: Some("runc".to_owned()), desktop: false };
    let json = inspect.to_string();
    let inspected = answers::inspected((dialect, &ways), &id, json.as_bytes()).unwrap();
    (*inspected.isolation).clone()
}

fn docker(text: &str) -> Isolation {
    of(Dialect::Docker, &serde_json::from_str(text).unwrap())
}

fn podman(text: &str) -> Isolation {
    of(Dialect::Podman, &serde_json::from_str(text).unwrap())
}

/// Docker's inspect of what we asked for, with these changes at JSON pointers.
fn changed(changes: &[(&str, Value)]) -> Isolation {
    let mut inspect: Value = serde_json::from_str(DOCKER_ASKED).unwrap();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        inspect.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    of(Dialect::Docker, &inspect)
}

fn capabilities(isolation: &Isolation) -> Vec<&str> {
    isolation.grant.capabilities.iter().map(String::as_str).collect()
}

#[test]
fn what_we_ask_of_docker_is_read_back_as_it_was_asked() {
    let found = docker(DOCKER_ASKED);
    assert_eq!(capabilities(&found), ["CHOWN", "KILL", "NET_RAW"]);
    assert_eq!((found.grant.user, found.group), (Some(1000), Some(1000)));
    assert_eq!(found.grant.seccomp, SeccompGrant::Unconfined);
    assert_eq!(found.grant.ports, [("127.0.0.1".parse().unwrap(), Some(34567))]);
    assert_eq!(found.grant.network, NetworkChoice::Bridge);
    let [mount] = &found.grant.mounts[..] else { panic!("{found:?}") };
    assert_eq!((mount.path.to_str(), mount.read_only), (Some("/srv/data"), true));
    assert_eq!((found.read_only_root, found.grant.escalation), (Some(true), false));
    assert_eq!(found.grant.runtime, None);
    assert_eq!((found.beyond, found.unasked, found.unknown), (vec![], vec![], vec![]));
}

#[test]
fn what_we_ask_of_podman_is_read_back_as_it_was_asked() {
    let found = podman(PODMAN_ASKED);
    assert_eq!(capabilities(&found), DEFAULT_CAPABILITIES);
    assert_eq!((found.read_only_root, found.grant.escalation), (Some(true), false));
    assert_eq!(found.grant.seccomp, SeccompGrant::EngineDefault);
    let [mount] = &found.grant.mounts[..] else { panic!("{found:?}") };
    assert_eq!((mount.path.to_str(), mount.read_only), (Some("/srv/data"), true));
    assert_eq!((found.beyond, found.unasked, found.unknown), (vec![], vec![], vec![]));

    let found = podman(PODMAN_USER);
    assert_eq!(capabilities(&found), ["NET_RAW"]);
    assert_eq!((found.grant.user, found.group), (Some(1000), Some(1000)));
    assert_eq!(found.grant.seccomp, SeccompGrant::Unconfined);
    assert_eq!(found.grant.network, NetworkChoice::None);
    assert_eq!((found.beyond, found.unasked, found.unknown), (vec![], vec![], vec![]));
}

#[test]
fn a_container_made_by_hand_has_the_engines_capabilities_and_may_gain_privileges() {
    for found in [docker(DOCKER_PLAIN), podman(PODMAN_PLAIN)] {
        assert!(found.grant.escalation);
        assert_eq!(found.grant.capabilities.len(), 14, "{found:?}");
        assert_eq!((&found.beyond, &found.unknown), (&vec![], &vec![]));
        let told = found.against_adoption(&Policy::default());
        assert_eq!(
            told,
            [
                "spec.securityContext.allowPrivilegeEscalation: true is not allowed by \
                 policy.allowPrivilegeEscalation (allowed: false)",
                "spec.securityContext.capabilities.add: AUDIT_WRITE, MKNOD, NET_RAW is not allowed by \
                 policy.capabilities (allowed: the default ones)",
            ]
        );
        assert_eq!(found.against_adoption(&Policy::unrestricted()), [""; 0]);
    }
}

#[test]
fn full_privileges_are_one_violation_and_pass_where_they_are_allowed() {
    for found in [docker(DOCKER_PRIVILEGED), podman(PODMAN_PRIVILEGED)] {
        assert_eq!(
            found.against_adoption(&Policy::default()),
            [
                "spec.securityContext.privileged: true is not allowed by policy.privileged (allowed: false)"
            ]
        );
        assert_eq!(found.against_adoption(&Policy::unrestricted()), [""; 0]);
    }
}

#[test]
fn everything_that_a_wide_container_has_is_named_whatever_the_policy() {
    let told = docker(DOCKER_WIDE).against_adoption(&Policy::unrestricted()).join("\n");
    for field in [
        "Devices: ",
        "GroupAdd: [\"5\"]",
        "IpcMode: \"host\"",
        "NetworkMode: \"host\"",
        "PidMode: \"host\"",
        "UTSMode: \"host\"",
        "UsernsMode: \"host\"",
        "Sysctls: ",
        "SecurityOpt: ",
        "MaskedPaths: []",
        "ReadonlyPaths: []",
        "Mounts: volume named at /v",
    ] {
        assert!(told.contains(field), "{field} is missing:\n{told}");
    }
    let told = podman(PODMAN_WIDE).against_adoption(&Policy::unrestricted()).join("\n");
    for field in [
        "Devices: ",
        "GroupAdd: [\"5\"]",
        "NetworkMode: \"host\"",
        "PidMode: \"host\"",
        "UTSMode: \"host\"",
        "SecurityOpt: ",
        "Mounts: ",
    ] {
        assert!(told.contains(field), "{field} is missing:\n{told}");
    }
}

/// Whatever the policy says, and in one that we made too.
#[test]
fn what_widens_and_no_sandbox_can_have_is_beyond_every_policy() {
    let volume =
        json!([{"Type": "volume", "Name": "data", "Destination": "/v", "Driver": "local"}]);
    let shared = json!([{"Type": "bind", "Source": "/srv", "Destination": "/v", "RW": true,
                         "Propagation": "rshared"}]);
    let image = json!([{"Type": "image", "Source": "x", "Destination": "/v"}]);
    let table = [
        ("/HostConfig/PidMode", json!("host")),
        ("/HostConfig/PidMode", json!("container:x")),
        ("/HostConfig/IpcMode", json!("host")),
        ("/HostConfig/IpcMode", json!("container:x")),
        ("/HostConfig/UTSMode", json!("host")),
        ("/HostConfig/UsernsMode", json!("host")),
        ("/HostConfig/NetworkMode", json!("host")),
        ("/HostConfig/NetworkMode", json!("container:x")),
        ("/HostConfig/NetworkMode", json!("")),
        ("/HostConfig/Cgroup", json!("container:x")),
        ("/HostConfig/CgroupParent", json!("/system.slice")),
        ("/HostConfig/Devices", json!([{"PathOnHost": "/dev/sda"}])),
        ("/HostConfig/DeviceRequests", json!([{"Count": -1}])),
        ("/HostConfig/DeviceCgroupRules", json!(["a *:* rwm"])),
        ("/HostConfig/Sysctls", json!({"kernel.core_pattern": "|/x"})),
        ("/HostConfig/GroupAdd", json!(["docker"])),
        ("/HostConfig/Links", json!(["x:y"])),
        ("/HostConfig/PublishAllPorts", json!(true)),
        ("/HostConfig/OomKillDisable", json!(true)),
        ("/HostConfig/OomScoreAdj", json!(-1000)),
        ("/HostConfig/CpuRealtimeRuntime", json!(950_000)),
        ("/HostConfig/MaskedPaths", json!([])),
        ("/HostConfig/MaskedPaths", json!(["/proc/kcore"])),
        ("/HostConfig/ReadonlyPaths", json!([])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges", "apparmor=unconfined"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges", "label=disable"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges", "systempaths=unconfined"])),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges", "writable-cgroups=true"])),
        ("/Mounts", volume),
        ("/Mounts", shared),
        ("/Mounts", image),
    ];
    for (pointer, value) in table {
        let found = changed(&[(pointer, value.clone())]);
        let key = pointer.rsplit_once('/').unwrap().1;
        let told = found.beyond.join("\n");
        assert!(told.starts_with(&format!("{key}: ")), "{pointer} {value}: {told:?}");
        let told = found.against_adoption(&Policy::unrestricted());
        assert_eq!(told, [format!("{}, which no sandbox can have", found.beyond[0])]);
    }
}

#[test]
fn what_is_beyond_the_policy_is_named_by_field_rule_and_value() {
    let bind =
        |path: &str| json!([{"Type": "bind", "Source": path, "Destination": "/v", "RW": true}]);
    let table = [
        ("/HostConfig/Privileged", json!(true), "policy.privileged"),
        ("/HostConfig/CapAdd", json!(["CAP_SYS_ADMIN"]), "SYS_ADMIN is not allowed by policy.cap"),
        ("/HostConfig/CapAdd", json!(["ALL"]), "policy.capabilities"),
        ("/HostConfig/CapDrop", json!(null), "policy.capabilities"),
        ("/HostConfig/SecurityOpt", json!([]), "policy.allowPrivilegeEscalation"),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges:false"]), "policy.allowPrivilege"),
        ("/HostConfig/SecurityOpt", json!(["seccomp=unconfined"]), "policy.seccomp.unconfined"),
        ("/HostConfig/SecurityOpt", json!(["seccomp={}"]), "policy.seccomp.profiles"),
        ("/HostConfig/Runtime", json!("sysbox"), "policy.runtimes"),
        ("/HostConfig/NetworkMode", json!("lab"), "policy.networks"),
        ("/NetworkSettings/Networks", json!({"bridge": {}, "lab": {}}), "policy.networks"),
        ("/Mounts", bind("/"), "/ is not allowed by policy.hostPaths"),
        ("/Mounts", bind("/var/run/docker.sock"), "docker.sock is not allowed by policy.hostPaths"),
        (
            "/HostConfig/PortBindings",
            json!({"80/tcp": [{"HostIp": "", "HostPort": "80"}]}),
            "0.0.0.0 is not allowed by policy.ports.hostIPs",
        ),
    ];
    // All else of it is allowed.
    let mut policy = Policy::unrestricted();
    let strict = Policy::default();
    policy.privileged = false;
    policy.allow_privilege_escalation = false;
    policy.capabilities = ["NET_RAW".to_owned()].into();
    policy.seccomp = strict.seccomp;
    policy.runtimes = strict.runtimes;
    policy.networks = strict.networks;
    policy.host_paths = strict.host_paths;
    policy.ports = strict.ports;
    let base = ("/HostConfig/SecurityOpt", json!(["no-new-privileges"]));
    let none = ("/Mounts", json!([]));
    let told = changed(&[base.clone(), none.clone()]).against_adoption(&policy);
    assert_eq!(told, [""; 0]);
    for (pointer, value, rule) in table {
        let change = (pointer, value.clone());
        let told = changed(&[base.clone(), none.clone(), change]).against_adoption(&policy);
        assert!(told.join("\n").contains(rule), "{pointer} {value}: {told:?}");
    }
}

#[test]
fn what_widens_nothing_is_no_violation() {
    let anonymous = json!([{"Type": "volume", "Name": "a".repeat(64), "Source": "/var/lib/x",
                            "Destination": "/v", "Driver": "local", "RW": true}]);
    let table = [
        ("/HostConfig/CgroupnsMode", json!("private")),
        ("/HostConfig/CgroupnsMode", json!("host")),
        ("/HostConfig/IpcMode", json!("shareable")),
        ("/HostConfig/Ulimits", json!([{"Name": "nofile", "Soft": 1, "Hard": 1}])),
        ("/HostConfig/Dns", json!(["1.1.1.1"])),
        ("/HostConfig/ExtraHosts", json!(["a:1.2.3.4"])),
        ("/HostConfig/LogConfig", json!({"Type": "journald", "Config": {}})),
        ("/HostConfig/Tmpfs", json!({"/x": ""})),
        ("/HostConfig/RestartPolicy", json!({"Name": "always"})),
        ("/HostConfig/AutoRemove", json!(true)),
        ("/HostConfig/ShmSize", json!(1 << 20)),
        ("/HostConfig/Runtime", json!("io.containerd.runc.v2")),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges:true", "seccomp=builtin"])),
        ("/HostConfig/MaskedPaths", json!(null)),
        ("/HostConfig/SomethingNew", json!(null)),
        ("/HostConfig/SomethingNew", json!([])),
        ("/Mounts", anonymous),
    ];
    for (pointer, value) in table {
        let found = changed(&[(pointer, value.clone())]);
        let told = found.against_adoption(&Policy::unrestricted());
        assert_eq!(told, [""; 0], "{pointer} {value}");
    }
    let found = changed(&[("/HostConfig/RestartPolicy", json!({"Name": "always"}))]);
    assert_eq!(found.unasked, ["RestartPolicy: always"], "but nobody asked for it");
}

#[test]
fn a_field_that_nobody_knows_keeps_a_foreign_container_foreign() {
    let found = changed(&[("/HostConfig/SomethingNew", json!({"wide": "open\u{1b}[2J"}))]);
    assert_eq!(found.beyond, [""; 0]);
    let told = found.against_adoption(&Policy::unrestricted()).join("\n");
    assert!(told.starts_with("SomethingNew: {\"wide\":\"open"), "{told}");
    assert!(!told.contains('\u{1b}'));
    let found = changed(&[("/HostConfig/Annotations", json!({"run.oci.x": "y"}))]);
    assert_eq!(found.unknown, ["Annotations: run.oci.x"]);
}

#[test]
fn docker_desktops_paths_are_those_of_the_host() {
    let desktop = OwnWays { desktop: true, ..OwnWays::default() };
    assert_eq!(desktop.host_path("/host_mnt/Users/a".to_owned()), "/Users/a");
    assert_eq!(desktop.host_path("/host_mntx".to_owned()), "/host_mntx");
    let linux = OwnWays::default();
    assert_eq!(linux.host_path("/host_mnt/a".to_owned()), "/host_mnt/a");
}
