//! The gate refuses whatever no sandbox can ask for, and what is beyond the policy.

use bollard::models::HostConfigCgroupnsModeEnum;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::plan::policy::Names;
use crate::plan::policy::SeccompRule;
use crate::plan::policy::host_paths::{AllowedPath, HostPaths};

/// The smallest request that the daemon makes.
fn body() -> Value {
    json!({
        "Image": "web:1",
        "Env": ["TOKEN=canary"],
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
            "CapAdd": ["CHOWN"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": false,
            "PidsLimit": 100,
        },
    })
}

fn options() -> CreateContainerOptions {
    CreateContainerOptions { name: Some("sandbox-web".to_owned()), ..Default::default() }
}

/// What the gate says of the smallest request with these changes at JSON pointers.
fn judged(changes: &[(&str, Value)], policy: &Policy) -> Result<(), String> {
    let mut body = body();
    for (pointer, value) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    let body: ContainerCreateBody = serde_json::from_value(body).unwrap();
    match pass(&options(), &body, policy) {
        Ok(()) => Ok(()),
        Err(EngineError::Forbidden(message)) => Err(message),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn the_smallest_request_passes_the_default_policy() {
    assert_eq!(judged(&[], &Policy::default()), Ok(()));
}

/// Whatever the policy says: these have no field in a spec, so a request that has them is a bug of ours.
#[test]
fn rows_17_20_21_23_24_what_no_sandbox_can_ask_for_passes_under_no_policy() {
    let table = [
        ("/HostConfig/Binds", json!(["/:/host"]), "binds"),
        ("/HostConfig/VolumesFrom", json!(["x"]), "volumes_from"),
        ("/HostConfig/VolumeDriver", json!("local"), "volume_driver"),
        ("/Volumes", json!({"/data": {}}), "volumes"),
        ("/HostConfig/Devices", json!([{"PathOnHost": "/dev/sda"}]), "devices"),
        ("/HostConfig/DeviceRequests", json!([{"Count": -1}]), "device_requests"),
        ("/HostConfig/DeviceCgroupRules", json!(["a *:* rwm"]), "device_cgroup_rules"),
        ("/HostConfig/PidMode", json!("host"), "pid_mode"),
        ("/HostConfig/IpcMode", json!("host"), "ipc_mode"),
        ("/HostConfig/UTSMode", json!("host"), "uts_mode"),
        ("/HostConfig/UsernsMode", json!("host"), "userns_mode"),
        ("/HostConfig/CgroupnsMode", json!("host"), "cgroupns_mode"),
        ("/HostConfig/CgroupParent", json!("/system.slice"), "cgroup_parent"),
        ("/HostConfig/Cgroup", json!("container:x"), "cgroup"),
        ("/HostConfig/NetworkMode", json!("host"), "network_mode"),
        ("/HostConfig/NetworkMode", json!("container:x"), "network_mode"),
        ("/HostConfig/NetworkMode", json!("default"), "network_mode"),
        ("/HostConfig/NetworkMode", Value::Null, "network_mode"),
        ("/HostConfig/Sysctls", json!({"kernel.core_pattern": "|/x"}), "sysctls"),
        ("/HostConfig/Links", json!(["x:y"]), "links"),
        ("/HostConfig/GroupAdd", json!(["docker"]), "group_add"),
        ("/HostConfig/ExtraHosts", json!(["a:1.2.3.4"]), "extra_hosts"),
        ("/HostConfig/PublishAllPorts", json!(true), "publish_all_ports"),
        ("/HostConfig/MaskedPaths", json!([]), "masked_paths"),
        ("/HostConfig/ReadonlyPaths", json!([]), "readonly_paths"),
        ("/HostConfig/OomScoreAdj", json!(-1000), "oom_score_adj"),
        ("/HostConfig/OomKillDisable", json!(true), "oom_kill_disable"),
        ("/HostConfig/Tmpfs", json!({"/x": ""}), "tmpfs"),
        ("/HostConfig/StorageOpt", json!({"size": "1"}), "storage_opt"),
        ("/HostConfig/Ulimits", json!([{"Name": "nofile"}]), "ulimits"),
        ("/HostConfig/Annotations", json!({"run.oci.x": "y"}), "annotations"),
        ("/HostConfig/ContainerIDFile", json!("/etc/x"), "container_id_file"),
        ("/HostConfig/CpuQuota", json!(-1), "cpu_quota"),
        ("/HostConfig/MemorySwap", json!(-1), "memory_swap"),
        ("/HostConfig/AutoRemove", json!(true), "auto_remove"),
        ("/HostConfig/Init", json!(false), "init"),
        ("/HostConfig/RestartPolicy", json!({"Name": "always"}), "restart_policy"),
        ("/HostConfig/LogConfig", json!({"Type": "syslog", "Config": {}}), "log_config"),
        ("/HostConfig/CapDrop", json!([]), "cap_drop"),
        ("/HostConfig/SecurityOpt", json!(["apparmor=unconfined"]), "security_opt"),
        ("/HostConfig/SecurityOpt", json!(["label=disable"]), "security_opt"),
        ("/HostConfig/SecurityOpt", json!(["systempaths=unconfined"]), "security_opt"),
        ("/HostConfig/SecurityOpt", json!(["no-new-privileges=false"]), "security_opt"),
        ("/HostConfig/SecurityOpt", json!(["seccomp=profile"]), "security_opt"),
        ("/NetworkingConfig", json!({"EndpointsConfig": {}}), "networking_config"),
        ("/NetworkDisabled", json!(false), "network_disabled"),
        ("/Hostname", json!("x"), "hostname"),
        ("/Healthcheck", json!({"Test": ["CMD", "x"]}), "healthcheck"),
        ("/User", json!("root"), "user"),
        ("/User", json!("0:0 "), "user"),
        ("/User", json!(":0"), "user"),
        ("/HostConfig/PortBindings", json!({"80/tcp": [{"HostPort": "8080"}]}), "port_bindings"),
        (
            "/HostConfig/PortBindings",
            json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}),
            "port_bindings",
        ),
        ("/HostConfig/PortBindings", json!({"80/tcp": null}), "port_bindings"),
    ];
    for (pointer, value, field) in table {
        let message = judged(&[(pointer, value.clone())], &Policy::unrestricted()).unwrap_err();
        assert!(message.ends_with(&format!(": {field}")), "{pointer} {value}: {message}");
        assert!(!message.contains("canary"));
    }
    let mut body: ContainerCreateBody = serde_json::from_value(body()).unwrap();
    body.host_config.as_mut().unwrap().cgroupns_mode = Some(HostConfigCgroupnsModeEnum::EMPTY);
    assert!(pass(&options(), &body, &Policy::unrestricted()).is_err());
    let unnamed = CreateContainerOptions::default();
    let body: ContainerCreateBody = serde_json::from_value(super::tests::body()).unwrap();
    assert!(pass(&unnamed, &body, &Policy::unrestricted()).is_err());
}

#[test]
fn rows_16_17_a_mount_is_a_private_bind_of_one_path_and_nothing_else() {
    let mount = |changes: Value| {
        let mut mount = json!({
            "Type": "bind",
            "Source": "/srv/x:/y:rw",
            "Target": "/data",
            "ReadOnly": false,
            "BindOptions": {"Propagation": "rprivate", "CreateMountpoint": false},
        });
        for (key, value) in changes.as_object().unwrap() {
            mount[key] = value.clone();
        }
        vec![("/HostConfig/Mounts", json!([mount]))]
    };
    // A colon is a part of the path here.
    assert_eq!(judged(&mount(json!({})), &Policy::unrestricted()), Ok(()));
    let device = json!({"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/"}}});
    for changes in [
        json!({"Type": "volume"}),
        json!({"Type": "volume", "VolumeOptions": device}),
        json!({"VolumeOptions": {}}),
        json!({"TmpfsOptions": {}}),
        json!({"Type": "tmpfs"}),
        json!({"Consistency": "cached"}),
        json!({"Source": "relative"}),
        json!({"Source": null}),
        json!({"Target": "data"}),
        json!({"BindOptions": null}),
        json!({"BindOptions": {"Propagation": "rshared", "CreateMountpoint": false}}),
        json!({"BindOptions": {"Propagation": "rprivate", "CreateMountpoint": true}}),
        json!({"BindOptions": {"CreateMountpoint": false}}),
    ] {
        assert!(judged(&mount(changes.clone()), &Policy::unrestricted()).is_err(), "{changes}");
    }
}

#[test]
fn the_final_request_is_held_against_the_policy_whatever_it_was_made_from() {
    let bind = |read_only: bool| {
        json!([{
            "Type": "bind", "Source": "/srv/x", "Target": "/data", "ReadOnly": read_only,
            "BindOptions": {"Propagation": "rprivate", "CreateMountpoint": false},
        }])
    };
    let published =
        |address: &str, port: &str| json!({"80/tcp": [{"HostIp": address, "HostPort": port}]});
    let table: Vec<(&str, Value, &str)> = vec![
        ("/HostConfig/Privileged", json!(true), "policy.privileged"),
        ("/HostConfig/CapAdd", json!(["SYS_ADMIN"]), "policy.capabilities"),
        ("/HostConfig/CapAdd", json!(["CAP_SYS_ADMIN"]), "policy.capabilities"),
        ("/HostConfig/CapAdd", json!(["ALL"]), "policy.capabilities"),
        ("/HostConfig/SecurityOpt", json!([]), "policy.allowPrivilegeEscalation"),
        (
            "/HostConfig/SecurityOpt",
            json!(["no-new-privileges", "seccomp=unconfined"]),
            "policy.seccomp.unconfined",
        ),
        (
            "/HostConfig/SecurityOpt",
            json!(["no-new-privileges", "seccomp={}"]),
            "policy.seccomp.profiles",
        ),
        ("/HostConfig/NetworkMode", json!("lab"), "policy.networks"),
        ("/HostConfig/Runtime", json!("runsc"), "policy.runtimes"),
        ("/HostConfig/PidsLimit", json!(2049), "policy.limits.pids"),
        ("/HostConfig/PidsLimit", json!(-1), "policy.limits.pids"),
        ("/HostConfig/PidsLimit", Value::Null, "policy.limits.pids"),
        ("/HostConfig/Mounts", bind(true), "policy.hostPaths"),
        ("/HostConfig/PortBindings", published("0.0.0.0", "8080"), "policy.ports.hostIPs"),
        ("/HostConfig/PortBindings", published("127.0.0.1", "80"), "policy.ports.hostPorts"),
    ];
    for (pointer, value, rule) in table {
        let message = judged(&[(pointer, value.clone())], &Policy::default()).unwrap_err();
        assert!(message.contains(rule), "{pointer} {value}: {message}");
    }
    let read_only =
        HostPaths { allowed: vec![AllowedPath { path: "/srv".into(), read_only: true }] };
    let policy = Policy { host_paths: read_only, ..Policy::default() };
    assert_eq!(judged(&[("/HostConfig/Mounts", bind(true))], &policy), Ok(()));
    assert!(judged(&[("/HostConfig/Mounts", bind(false))], &policy).is_err());
}

#[test]
fn a_privileged_request_passes_where_the_policy_allows_it() {
    let policy = Policy { privileged: true, ..Policy::default() };
    let changes = [
        ("/HostConfig/Privileged", json!(true)),
        ("/HostConfig/CapAdd", Value::Null),
        ("/HostConfig/CapDrop", Value::Null),
        ("/HostConfig/SecurityOpt", json!([])),
    ];
    assert_eq!(judged(&changes, &policy), Ok(()));
}

fn requests() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let capabilities =
        prop::sample::subsequence(vec!["CHOWN", "KILL", "NET_RAW", "SYS_ADMIN"], 0..4);
    let options = prop::sample::subsequence(
        vec!["no-new-privileges", "seccomp=unconfined", "seccomp={}", "apparmor=unconfined"],
        0..4,
    );
    let network =
        prop::sample::select(vec!["bridge", "none", "host", "lab", "other", "container:x"]);
    let runtime = prop::sample::select(vec![Value::Null, json!("runsc"), json!("runc")]);
    let source = prop::sample::select(vec!["/srv/a", "/srv", "/etc", "/srv2", "/srv/ro/x", "/"]);
    let address = prop::sample::select(vec!["127.0.0.1", "0.0.0.0", "::1", "192.0.2.1"]);
    let user = prop::sample::select(vec![Value::Null, json!("0"), json!("1000"), json!("web")]);
    (
        any::<bool>(),
        capabilities,
        options,
        network,
        (runtime, user),
        prop::option::of((source, any::<bool>())),
        prop::option::of((address, 1u16..2000)),
        -1i64..200,
    )
        .prop_map(
            |(privileged, capabilities, options, network, (runtime, user), mount, port, pids)| {
                let mounts: Vec<Value> = mount
                    .iter()
                    .map(|(source, read_only)| {
                        json!({
                            "Type": "bind", "Source": source, "Target": "/x", "ReadOnly": read_only,
                            "BindOptions": {"Propagation": "rprivate", "CreateMountpoint": false},
                        })
                    })
                    .collect();
                let ports = port.map_or(json!({}), |(address, port)| {
                json!({"80/tcp": [{"HostIp": address, "HostPort": port.to_string()}]})
            });
                vec![
                    ("/User", user),
                    ("/HostConfig/Privileged", json!(privileged)),
                    ("/HostConfig/CapAdd", json!(capabilities)),
                    ("/HostConfig/SecurityOpt", json!(options)),
                    ("/HostConfig/NetworkMode", json!(network)),
                    ("/HostConfig/Runtime", runtime),
                    ("/HostConfig/Mounts", json!(mounts)),
                    ("/HostConfig/PortBindings", ports),
                    ("/HostConfig/PidsLimit", json!(pids)),
                ]
            },
        )
}

fn policies() -> impl Strategy<Value = Policy> {
    let any = any::<(bool, bool, bool, bool, bool, bool)>();
    (any, 1i64..150).prop_map(|((privileged, escalation, unconfined, root, named, paths), pids)| {
        let mut policy = Policy {
            privileged,
            allow_privilege_escalation: escalation,
            run_as_non_root: root,
            seccomp: SeccompRule { unconfined, profiles: Vec::new() },
            networks: Names(if named { vec!["lab".to_owned()] } else { Vec::new() }),
            runtimes: Names(if named { vec!["runsc".to_owned()] } else { Vec::new() }),
            ..Policy::default()
        };
        if paths {
            let rule = |path: &str, read_only| AllowedPath { path: path.into(), read_only };
            policy.host_paths.allowed = vec![rule("/srv", false), rule("/srv/ro", true)];
            policy.capabilities.insert("NET_RAW".to_owned());
        }
        policy.limits.of_a_running_container.pids = Some(pids);
        policy
    })
}

/// What the policy promises of a request, told once more from the JSON that goes to the engine and in
/// other words than the gate's.
fn keeps_the_promise(body: &Value, policy: &Policy) -> bool {
    let host = &body["HostConfig"];
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.map(|it| it.as_str().unwrap().to_owned()).collect()
    };
    let privileged = host["Privileged"] == true;
    let options = texts(&host["SecurityOpt"]);
    let has = |option: &str| options.iter().any(|it| it == option);
    let harmless = ["CHOWN", "KILL"];
    let capabilities = texts(&host["CapAdd"]).iter().all(|name| {
        harmless.contains(&name.as_str()) || policy.capabilities.contains(name.as_str())
    });
    let confined = !privileged
        && (has("no-new-privileges") || policy.allow_privilege_escalation)
        && (!has("seccomp=unconfined") || policy.seccomp.unconfined)
        && capabilities
        && !has("seccomp={}");
    let network = match host["NetworkMode"].as_str().unwrap() {
        "bridge" | "none" => true,
        name => name == "lab" && !policy.networks.0.is_empty(),
    };
    let runtime =
        host["Runtime"].is_null() || host["Runtime"] == "runsc" && !policy.runtimes.0.is_empty();
    let mounts = host["Mounts"].as_array().unwrap().iter().all(|mount| {
        let read_only = mount["ReadOnly"] == true;
        !policy.host_paths.allowed.is_empty()
            && match mount["Source"].as_str().unwrap() {
                "/srv/a" => true,
                "/srv" | "/srv/ro/x" => read_only,
                _ => false,
            }
    });
    let ports = host["PortBindings"].as_object().unwrap().values().all(|hosts| {
        let host = &hosts[0];
        let local = host["HostIp"] == "127.0.0.1" || host["HostIp"] == "::1";
        local && host["HostPort"].as_str().unwrap().parse::<u16>().unwrap() >= 1024
    });
    let pids = host["PidsLimit"].as_i64().unwrap();
    let within = pids > 0 && pids <= policy.limits.of_a_running_container.pids.unwrap();
    let user = body["User"] == "1000"
        || !policy.run_as_non_root && (body["User"].is_null() || body["User"] == "0");
    (privileged && policy.privileged || confined)
        && !has("apparmor=unconfined")
        && network
        && runtime
        && mounts
        && ports
        && within
        && user
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What passes keeps the policy's promise, and what keeps it passes.
    #[test]
    fn the_gate_lets_pass_exactly_what_the_policy_promises(
        changes in requests(),
        policy in policies(),
    ) {
        let mut sent = body();
        for (pointer, value) in &changes {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            sent.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let passed = judged(&changes, &policy);
        prop_assert_eq!(passed.is_ok(), keeps_the_promise(&sent, &policy), "{:?}\n{:#}", passed, sent);
    }
}
