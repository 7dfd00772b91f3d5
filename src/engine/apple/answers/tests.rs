//! Answers of both generations, and answers that cannot be read.

use super::super::sightings::Sightings;
use super::*;
use crate::engine::testing::with_each_value_replaced;
use std::time::Duration;

const NEWER: &str = r#"[{"configuration": {
    "capAdd": [], "capDrop": ["ALL"], "creationDate": "2026-03-14T09:59:58Z",
    "dns": {"nameservers": [], "options": [], "searchDomains": []}, "id": "sandbox-lint",
    "image": {"descriptor": {"digest": "sha256:77ab", "mediaType": "application\/vnd.oci.image.index.v1+json", "size": 856},
              "reference": "ghcr.io\/acme\/lint:3"},
    "initProcess": {"arguments": [], "environment": ["TOKEN=canary-4711"], "executable": "/bin/serve",
                    "user": {"id": {"gid": 0, "uid": 0}}},
    "labels": {"sandkeeper.dev/name": "lint"},
    "mounts": [{"destination": "/mnt", "options": ["ro"], "source": "/Users/dana", "type": {"virtiofs": {}}}],
    "networks": [{"network": "default", "options": {"hostname": "sandbox-lint", "mtu": 1280}}],
    "publishedPorts": [{"containerPort": 8080, "count": 2, "hostAddress": "127.0.0.1", "hostPort": 8093, "proto": "tcp"}],
    "readOnly": false, "resources": {"cpuOverhead": 1, "cpus": 2, "memoryInBytes": 536870912}},
  "id": "sandbox-lint",
  "status": {"networks": [], "startedDate": "2026-03-14T10:00:00Z", "state": "running"}}]"#;

fn of(state: &str) -> String {
    NEWER.replace("\"running\"", &format!("{state:?}"))
}

fn one(json: &str) -> Result<Shown, EngineError> {
    let mut list = list(Call::List, json.as_bytes())?;
    assert_eq!(list.len(), 1);
    Ok(list.remove(0))
}

fn output(code: i32, stdout: &str, stderr: &str) -> Output {
    let (stdout, stderr) = (stdout.into(), stderr.into());
    Output { code: Some(code), stdout, stderr, took: Duration::ZERO }
}

#[test]
fn the_newer_generation_is_read() {
    let shown = one(NEWER).unwrap();
    assert_eq!(shown.id.0, "sandbox-lint@2026-03-14T09:59:58Z");
    assert_eq!((shown.name.as_str(), shown.running), ("sandbox-lint", true));
    assert_eq!(shown.started_at, Some("2026-03-14T10:00:00Z".parse().unwrap()));
    assert_eq!(shown.image, "ghcr.io/acme/lint:3");
    assert_eq!(shown.networks, ["bridge"]);
    let ports: Vec<_> = shown.bindings.iter().map(|it| (it.container_port, it.host_port)).collect();
    assert_eq!(ports, [(8080, 8093), (8081, 8094)]);
    let limits = Limits { nano_cpus: Some(2_000_000_000), memory: Some(512 << 20), pids: None };
    assert_eq!(shown.limits, limits);
}

#[test]
fn the_older_generation_is_read() {
    let older = r#"[{"status": "running", "networks": [], "startedDate": 795175200.0,
        "configuration": {"id": "sandbox-lint", "image": {"reference": "a:1", "descriptor": {"digest": "sha256:7"}},
            "labels": {}, "networks": [], "publishedPorts": [],
            "resources": {"cpus": 4, "memoryInBytes": 1073741824}}}]"#;
    let shown = one(older).unwrap();
    assert_eq!(shown.started_at, Some("2026-03-14T10:00:00Z".parse().unwrap()));
    assert_eq!((shown.id.0.as_str(), shown.running), ("sandbox-lint", true));
    assert_eq!(shown.limits, Limits::default());
}

#[test]
fn an_unknown_state_is_an_error_and_never_stopped() {
    for state in ["unknown", "paused", "", "Stopped"] {
        let answer = one(&of(state));
        assert!(matches!(answer, Err(EngineError::Garbled { .. })), "{state}: {answer:?}");
    }
    assert!(!one(&of("stopped")).unwrap().running);
    assert!(one(&of("stopping")).unwrap().running);
}

#[test]
fn every_answer_cut_short_is_an_error_and_shows_no_secret() {
    for end in (0..NEWER.len()).filter(|end| NEWER.is_char_boundary(*end)) {
        let error = list(Call::List, &NEWER.as_bytes()[..end]).unwrap_err();
        assert!(matches!(error, EngineError::Garbled { .. }));
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    let wrong = NEWER.replace("[\"TOKEN=canary-4711\"]", "{\"TOKEN\": \"canary-4711\"}");
    assert!(one(&wrong).is_ok(), "the environment is not read");
}

#[test]
fn what_is_out_of_place_in_an_answer_is_not_quoted() {
    let answer = serde_json::from_str(NEWER).unwrap();
    let changed = with_each_value_replaced(&answer, "TOKEN=canary-4711");
    let read = changed.iter().map(|answer| list(Call::List, answer.to_string().as_bytes()));
    let errors: Vec<EngineError> = read.filter_map(Result::err).collect();
    assert!(errors.len() > 10, "{errors:?}");
    for error in errors {
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn what_is_inspected_says_what_nobody_knows() {
    let mut sightings = Sightings::default();
    let list = list(Call::List, of("stopped").as_bytes()).unwrap();
    let (seen, _) = sightings.take(list, &BTreeMap::new(), Timestamp::UNIX_EPOCH);
    let inspected = inspected(&seen[0]);
    assert_eq!(inspected.state, ContainerState::Exited);
    assert_eq!((inspected.exit_code, inspected.finished_at), (None, None));
    assert_eq!(inspected.network_mode, "bridge");
}

#[test]
fn the_service_is_up_only_if_it_says_so() {
    let flat = r#"{"apiServerVersion": "container-apiserver version 1.2.2 (build: release, commit: 5ee1)",
        "appRoot": "/Users/dana/", "installRoot": "/usr/local/", "status": "running"}"#;
    let nested = r#"{"host": {"cpus": 10}, "paths": {"appRoot": "/Users/dana/"},
        "server": {"version": "1.4.1"}, "status": "running"}"#;
    let service = |version: &str, cpus| Service {
        version: version.to_owned(),
        app_root: "/Users/dana/".to_owned(),
        cpus,
    };
    assert_eq!(super::service(&output(0, flat, "")), Ok(service("1.2.2", None)));
    assert_eq!(super::service(&output(0, nested, "")), Ok(service("1.4.1", Some(10))));
    let down = r#"{"status": "unregistered", "appRoot": "", "apiServerVersion": ""}"#;
    for (code, text) in [(1, down), (0, down), (1, r#"{"status": "not running"}"#)] {
        let answer = super::service(&output(code, text, ""));
        assert!(matches!(answer, Err(EngineError::Unreachable(_))), "{answer:?}");
    }
    let silent = super::service(&output(1, "", "Error: XPC connection error: Connection invalid"));
    assert!(matches!(silent, Err(EngineError::Unreachable(_))), "{silent:?}");
    let garbled = super::service(&output(0, "{}", ""));
    assert!(matches!(garbled, Err(EngineError::Garbled { .. })), "{garbled:?}");
}

#[test]
fn versions_are_found_in_texts_and_have_an_order() {
    let version = |text| cli_version(text).ok();
    let text = "container CLI version 1.2.2 (build: release, commit: 0190097)";
    assert_eq!(version(text), Some(Version([1, 2, 2])));
    assert_eq!(version("container CLI version unspecified"), None);
    assert!(Version([0, 12, 0]) < Version([1, 0, 0]) && Version([0, 9, 9]) < Version([0, 12, 0]));
}
