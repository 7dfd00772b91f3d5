use serde_json::{Value, json};

use super::*;
use crate::engine::testing::with_each_value_replaced;
use crate::plan::Limits;

const ID: &str = "8747c1db73c3f4176eb77630e2d20d91444b84565469d0057630e6fd58b64eed";

fn summary(state: &str) -> Value {
    json!({
        "Id": ID, "Names": ["/peer/alias", "/sandbox-web"], "Image": "web:1", "ImageID": "sha256:00",
        "Command": "sleep infinity", "Created": 1_795_577_873, "Ports": [], "State": state,
        "Status": "Up 2 seconds", "Labels": {"a": "b\"c"}, "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {}}, "Mounts": [],
    })
}

fn read(list_of: &Value) -> Result<Vec<Listed>, EngineError> {
    list(list_of.to_string().as_bytes())
}

#[test]
fn a_list_keeps_what_is_needed() {
    let expected = Listed {
        id: ContainerId(ID.to_owned()),
        name: "sandbox-web".to_owned(),
        state: ContainerState::Running,
        labels: BTreeMap::from([("a".to_owned(), "b\"c".to_owned())]),
    };
    assert_eq!(read(&json!([summary("running")])), Ok(vec![expected]));
}

#[test]
fn what_is_no_list_is_never_an_empty_one() {
    let half = summary("running").to_string();
    let bad = [
        b"".to_vec(),
        b"null".to_vec(),
        b"{}".to_vec(),
        b"<html>".to_vec(),
        format!("[{half}").into_bytes(),
        json!([summary("levitating")]).to_string().into_bytes(),
        json!([{"Id": "8747", "Names": ["/a"], "State": "running"}]).to_string().into_bytes(),
    ];
    for json in bad {
        let read = list(&json);
        let text = String::from_utf8_lossy(&json);
        assert!(matches!(read, Err(EngineError::Garbled { .. })), "{text}: {read:?}");
    }
}

#[test]
fn a_container_that_lost_its_name_does_not_hide_the_others() {
    let mut nameless = summary("dead");
    nameless["Names"] = Value::Null;
    nameless["Labels"] = Value::Null;
    let read = read(&json!([nameless, summary("exited")])).unwrap();
    assert_eq!(read.iter().map(|listed| &*listed.name).collect::<Vec<_>>(), ["", "sandbox-web"]);
}

fn details() -> Value {
    json!({
        "Id": ID, "Name": "/sandbox-web", "Created": "2026-11-25T03:35:43.035090646Z",
        "Image": "sha256:00",
        "State": {
            "Status": "exited", "OOMKilled": true, "ExitCode": 137, "Pid": 0,
            "StartedAt": "2026-11-25T03:35:44Z", "FinishedAt": "2026-11-25T03:36:44Z",
        },
        "Config": {"Image": "web:1", "Labels": {"a": "b"}},
        "HostConfig": {
            "NetworkMode": "default", "Runtime": "runc", "Memory": 268_435_456, "NanoCpus": 500_000_000, "PidsLimit": 100,
            "PortBindings": {
                "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18080"}],
                "53/udp": [{"HostIp": "", "HostPort": ""}],
            },
        },
        "Mounts": [
            {"Type": "bind", "Source": "/srv/b", "Destination": "/b", "Mode": "", "RW": false},
            {"Type": "volume", "Name": "v", "Source": "/var/lib/v", "Destination": "/v", "RW": true},
            {"Type": "bind", "Source": "/srv/a", "Destination": "/a", "Mode": "", "RW": true},
        ],
        "NetworkSettings": {
            "Networks": {"bridge": {}},
            "Ports": {"53/udp": [{"HostIp": "0.0.0.0", "HostPort": "49153"}]},
        },
    })
}

fn inspect(details: &Value) -> Result<Inspected, EngineError> {
    inspected(
        (Dialect::Docker, &OwnWays::default()),
        &ContainerId(ID.to_owned()),
        details.to_string().as_bytes(),
    )
}

#[test]
fn an_inspect_is_read_in_full() {
    let binding = |container_port, protocol, host_ip: &str, host_port| Binding {
        container_port,
        protocol,
        host_ip: host_ip.parse().unwrap(),
        host_port,
    };
    let read = inspect(&details()).unwrap();
    // What it is let do has tests of its own.
    let expected = Inspected {
        id: ContainerId(ID.to_owned()),
        name: "sandbox-web".to_owned(),
        state: ContainerState::Exited,
        labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
        image: "web:1".to_owned(),
        image_id: "sha256:00".to_owned(),
        created_at: "2026-11-25T03:35:43.035090646Z".parse().unwrap(),
        started_at: Some("2026-11-25T03:35:44Z".parse().unwrap()),
        finished_at: Some("2026-11-25T03:36:44Z".parse().unwrap()),
        exit_code: Some(137),
        oom_killed: true,
        limits: Limits { nano_cpus: Some(500_000_000), memory: Some(268_435_456), pids: Some(100) },
        bindings: vec![
            binding(53, Protocol::Udp, "0.0.0.0", 49153),
            binding(8080, Protocol::Tcp, "127.0.0.1", 18080),
        ],
        networks: vec!["bridge".to_owned()],
        network_mode: "default".to_owned(),
        mounts: [("/srv/a", "/a", false), ("/srv/b", "/b", true)]
            .map(|(source, target, read_only)| BindMount {
                host_path: source.into(),
                mount_path: target.to_owned(),
                read_only,
                create: None,
            })
            .into(),
        pid: None,
        runtime: Some("runc".to_owned()),
        isolation: Arc::clone(&read.isolation),
    };
    assert_eq!(read, expected);
}

#[test]
fn an_answer_about_another_container_is_refused() {
    let mut other = details();
    other["Id"] = json!("f".repeat(64));
    assert!(matches!(inspect(&other), Err(EngineError::Garbled { .. })));
}

#[test]
fn what_is_out_of_place_in_an_answer_is_not_quoted() {
    let canary = "TOKEN=canary-5714";
    let lists = with_each_value_replaced(&json!([summary("running")]), canary);
    let lists = lists.iter().map(read).filter_map(Result::err);
    let inspects = with_each_value_replaced(&details(), canary);
    let inspects = inspects.iter().map(inspect).filter_map(Result::err);
    let errors: Vec<EngineError> = lists.chain(inspects).collect();
    assert!(errors.len() > 20, "{errors:?}");
    for error in errors {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn a_container_that_never_ran_has_no_end() {
    let mut created = details();
    let never = "0001-01-01T00:00:00Z";
    // 128 is what a start that failed leaves behind.
    created["State"] = json!({
        "Status": "created", "ExitCode": 128, "StartedAt": never, "FinishedAt": never,
    });
    let created = inspect(&created).unwrap();
    assert_eq!((created.started_at, created.finished_at, created.exit_code), (None, None, None));
}

#[test]
fn a_container_that_runs_again_has_no_exit_code() {
    let mut running = details();
    running["State"]["Status"] = json!("running");
    assert_eq!(inspect(&running).unwrap().exit_code, None);
}

#[test]
fn an_inspect_without_its_parts_is_garbled() {
    for part in ["Id", "State", "Config", "HostConfig", "Name", "Image", "Created"] {
        let mut partial = details();
        partial.as_object_mut().unwrap().remove(part);
        let read = inspect(&partial);
        assert!(matches!(read, Err(EngineError::Garbled { .. })), "{part}: {read:?}");
    }
}

#[test]
fn capabilities_need_an_identity() {
    let info = json!({
        "ID": "NL4V:MRBB", "ServerVersion": "20.10.24", "NCPU": 2, "MemTotal": 1024,
        "Runtimes": {"runsc": {}, "runc": {}},
    });
    let read = |info: &Value| {
        capabilities(
            Dialect::Docker,
            serde_json::from_value(info.clone()).unwrap(),
            &UserNamespace::default(),
        )
    };
    assert_eq!(read(&info).unwrap().runtimes, ["runc", "runsc"]);
    let mut nobody = info;
    nobody.as_object_mut().unwrap().remove("ID");
    assert!(matches!(read(&nobody), Err(EngineError::Garbled { .. })));
}

#[test]
fn podmans_words_for_states_are_known_in_lists_and_inspects() {
    let expected = [
        ("configured", ContainerState::Created),
        ("initialized", ContainerState::Created),
        ("stopping", ContainerState::Running),
        ("stopped", ContainerState::Exited),
    ];
    for (word, state) in expected {
        assert_eq!(read(&json!([summary(word)])).unwrap()[0].state, state);
        let mut details = details();
        details["State"]["Status"] = json!(word);
        assert_eq!(inspect(&details).unwrap().state, state);
    }
}

#[test]
fn podmans_default_network_is_shown_by_our_name() {
    let mut details = details();
    details["NetworkSettings"]["Networks"] = json!({"podman": {}});
    let id = ContainerId(ID.to_owned());
    let inspected =
        inspected((Dialect::Podman, &OwnWays::default()), &id, details.to_string().as_bytes())
            .unwrap();
    assert_eq!(inspected.networks, ["bridge"]);
}

#[test]
fn podmans_parts_go_by_dockers_names() {
    let version = json!({"ApiVersion": "1.41", "Components": [
        {"Name": "Podman Engine", "Version": "4.3.1"},
        {"Name": "OCI Runtime (runc)", "Version": "runc version 1.1.5+ds1\ncommit: 1.1.5"},
    ]});
    let named = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    assert_eq!(
        parts(serde_json::from_value(version).unwrap()),
        [named("Engine", "4.3.1"), named("runc", "1.1.5+ds1"), named("API", "1.41")]
    );
}

#[test]
fn podmans_clean_up_is_awaited_between_the_end_and_the_exit() {
    for (status, awaited) in [("stopped", true), ("exited", false), ("running", false)] {
        let json = serde_json::json!({"State": {"Status": status}}).to_string();
        assert_eq!(awaits_clean_up(json.as_bytes()), Ok(awaited), "{status}");
    }
    assert!(awaits_clean_up(b"{}").is_err());
}
