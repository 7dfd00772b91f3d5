use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::*;
use crate::sandbox::{Endpoint, Problem, SandboxSpec, SandboxStatus, Termination};

fn now() -> Timestamp {
    "2025-11-24T12:00:00Z".parse().unwrap()
}

fn at(text: &str) -> Time {
    Time(text.parse().unwrap())
}

fn condition(type_: &str, status: &str, reason: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        last_transition_time: at("2025-11-24T11:00:00Z"),
        observed_generation: None,
    }
}

fn web() -> Sandbox {
    let mut sandbox = Sandbox::new("web", SandboxSpec::default());
    sandbox.metadata.creation_timestamp = Some(at("2025-11-22T12:00:00Z"));
    sandbox.status = Some(SandboxStatus {
        conditions: vec![
            condition("Ready", "True", "SandboxReady"),
            condition("UpToDate", "False", "SpecInvalid"),
        ],
        endpoints: vec![Endpoint {
            name: "http".to_owned(),
            url: Some("http://localhost:8080".to_owned()),
            ..Endpoint::default()
        }],
        container: Some(ContainerStatus {
            engine: "docker".to_owned(),
            name: "sandbox-web".to_owned(),
            image: "example/web:1".to_owned(),
            restart_count: 3,
            last_termination: Some(Termination {
                exit_code: Some(1),
                reason: "Error".to_owned(),
                oom_killed: false,
                at: at("2025-11-24T11:58:00Z"),
            }),
            ..ContainerStatus::default()
        }),
        source_file: Some("/specs/web.yaml".to_owned()),
        ..SandboxStatus::default()
    });
    sandbox
}

fn plain(sandboxes: &[Sandbox], columns: Columns) -> String {
    table(sandboxes, columns, Style::default(), now())
}

#[test]
fn the_table_looks_like_kubectls() {
    let fresh = Sandbox::new("a-new-sandbox", SandboxSpec::default());
    assert_eq!(
        plain(&[fresh, web()], Columns::Usual),
        "NAME            READY     REASON         URL                     RESTARTS     AGE\n\
         a-new-sandbox   Unknown   <none>         <none>                  0            <unknown>\n\
         web             True      SandboxReady   http://localhost:8080   3 (2m ago)   2d\n"
    );
}

#[test]
fn wide_adds_the_engine_the_image_and_the_source() {
    let text = plain(&[web()], Columns::Wide);
    let last = text.lines().last().unwrap();
    assert!(
        last.ends_with("docker   sandbox-web   example/web:1   False      /specs/web.yaml"),
        "{text}"
    );
}

#[test]
fn a_container_that_never_ended_shows_no_time_of_restart() {
    let container = ContainerStatus::default();
    assert_eq!(restarts(Some(&container), now()), "0");
}

#[test]
fn text_of_others_cannot_drive_the_terminal() {
    let mut sandbox = web();
    let container = sandbox.status.as_mut().unwrap().container.as_mut().unwrap();
    container.image = "x\x1b]0;owned\x07\n".to_owned();
    let text = plain(&[sandbox], Columns::Wide);
    assert!(text.contains("x\\u{1b}]0;owned\\u{7}\\n"), "{text}");
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn files_with_problems_have_a_line_for_each() {
    let report = |file: &str, problems| FileReport {
        file: file.into(),
        problems,
        sandboxes: vec![],
        since: now(),
    };
    let misspelt = Problem {
        line: Some(4),
        column: Some(3),
        ..Problem::at_field("spec.imag", "unknown field; did you mean image?")
    };
    assert_eq!(
        files(&[report("/specs/good.yaml", vec![]), report("/specs/bad.yaml", vec![misspelt])]),
        "FILE              PROBLEM\n\
         /specs/bad.yaml   4:3: spec.imag: unknown field; did you mean image?\n"
    );
    assert_eq!(files(&[report("/specs/good.yaml", vec![])]), "");
}
