use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::*;
use crate::sandbox::SandboxSpec;

fn now() -> Timestamp {
    "2025-11-24T12:00:00Z".parse().unwrap()
}

fn at(text: &str) -> Time {
    Time(text.parse().unwrap())
}

fn web() -> Sandbox {
    let spec = SandboxSpec { image: Some("example/web:1".to_owned()), ..SandboxSpec::default() };
    let mut sandbox = Sandbox::new("web", spec);
    sandbox.metadata.uid = Some("7d6c".to_owned());
    sandbox.metadata.generation = Some(3);
    sandbox.metadata.creation_timestamp = Some(at("2025-11-24T09:00:00Z"));
    sandbox.status = Some(SandboxStatus {
        observed_generation: Some(2),
        conditions: vec![Condition {
            type_: "Ready".to_owned(),
            status: "False".to_owned(),
            reason: "CrashLoopBackOff".to_owned(),
            message: "ended 3 times; next attempt in 40s".to_owned(),
            last_transition_time: at("2025-11-24T11:55:00Z"),
            observed_generation: None,
        }],
        endpoints: vec![Endpoint {
            name: "http".to_owned(),
            container_port: 8080,
            host_ip: "::1".to_owned(),
            host_port: 9000,
            url: Some("http://localhost:9000".to_owned()),
            ..Endpoint::default()
        }],
        container: Some(ContainerStatus {
            engine: "docker".to_owned(),
            name: "sandbox-web".to_owned(),
            id: "0123".to_owned(),
            state: "exited".to_owned(),
            image: "example/web:1".to_owned(),
            image_id: "sha256:abc".to_owned(),
            restart_count: 3,
            last_termination: Some(Termination {
                exit_code: Some(137),
                reason: "OOMKilled".to_owned(),
                oom_killed: true,
                at: at("2025-11-24T11:59:30Z"),
            }),
            ..ContainerStatus::default()
        }),
        source_file: Some("/specs/web.yaml".to_owned()),
        notices: vec!["hostPort 80 needs root".to_owned()],
    });
    sandbox
}

fn event(minute: usize) -> Event {
    let time = format!("2025-11-24T11:{minute:02}:00Z");
    serde_json::from_value(serde_json::json!({
        "sequence": minute, "sandbox": "web", "type": "Warning", "reason": "Ended",
        "message": "exit code 137", "count": 3, "firstAt": time, "lastAt": time,
    }))
    .unwrap()
}

#[test]
fn everything_known_has_its_section() {
    assert_eq!(
        describe(&web(), &[event(50)], Style::default(), now()),
        "Name:         web
Source:       /specs/web.yaml
UID:          7d6c
Generation:   3 (the status is of 2)
Created:      2025-11-24T09:00:00Z (3h ago)
Spec:
  image: example/web:1
Conditions:
  TYPE    STATUS   REASON             AGE   MESSAGE
  Ready   False    CrashLoopBackOff   5m    ended 3 times; next attempt in 40s
Endpoints:
  NAME   PORT       HOST         URL
  http   8080/TCP   [::1]:9000   http://localhost:9000
Container:
  Engine:          docker
  Name:            sandbox-web
  ID:              0123
  Image:           example/web:1
  Image ID:        sha256:abc
  State:           exited
  Started:         <none>
  Restart Count:   3
Last Termination:
  Reason:       OOMKilled
  Exit Code:    137
  OOM Killed:   true
  At:           2025-11-24T11:59:30Z (30s ago)
Notices:
  hostPort 80 needs root
Events:
  LAST SEEN   TYPE      REASON   COUNT   MESSAGE
  10m         Warning   Ended    3       exit code 137
"
    );
}

#[test]
fn what_is_not_known_is_none() {
    let text = describe(&Sandbox::new("new", SandboxSpec::default()), &[], Style::default(), now());
    for section in ["Conditions", "Endpoints", "Container", "Last Termination", "Notices", "Events"]
    {
        assert!(text.contains(&format!("{section}:  <none>\n")), "{section} in {text}");
    }
}

#[test]
fn only_the_latest_events_are_shown_and_the_rest_counted() {
    let events: Vec<Event> = (0..25).map(event).collect();
    let text = describe(&web(), &events, Style::default(), now());
    assert_eq!(text.matches("exit code 137").count(), RECENT);
    assert!(text.ends_with("  (5 older events not shown)\n"), "{text}");
}

#[test]
fn a_spec_cannot_drive_the_terminal() {
    let spec = SandboxSpec {
        command: Some(vec!["a\x1b[2J".to_owned(), "b\u{202e}c".to_owned()]),
        ..SandboxSpec::default()
    };
    let text = describe(&Sandbox::new("x", spec), &[], Style::default(), now());
    assert!(!text.contains('\x1b') && !text.contains('\u{202e}'), "{text:?}");
}
