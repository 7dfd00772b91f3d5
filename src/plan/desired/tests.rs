//! What a resolved spec says of itself.

use super::*;
use crate::plan::testing::{container, desired, tcp_probe};

fn probe(action: ProbeAction) -> ProbeSpec {
    ProbeSpec { action, ..tcp_probe() }
}

#[test]
fn the_program_is_what_the_command_begins_with() {
    let mut spec = desired("app:1").container;
    assert_eq!(spec.program(), None);
    spec.args = Some(vec!["--port=1".to_owned()]);
    assert_eq!(spec.program(), None, "the image's own");
    spec.command = Some(vec!["/bin/serve".to_owned(), "x".to_owned()]);
    assert_eq!(spec.program(), Some("/bin/serve"));
    spec.command = Some(Vec::new());
    assert_eq!(spec.program(), None);
}

#[test]
fn a_secret_file_among_the_variables_is_told_from_a_value() {
    let mut spec = desired("app:1").container;
    spec.env.insert("MODE".to_owned(), EnvValue::Literal("fast".to_owned()));
    assert!(!spec.has_secret_files());
    spec.env.insert("TOKEN".to_owned(), EnvValue::SecretFile("/run/token".into()));
    assert!(spec.has_secret_files());
    let secret = ["env.TOKEN", "env.MODE", "env.OTHER", "image", "TOKEN"];
    assert_eq!(secret.map(|field| spec.is_secret_field(field)), [true, false, false, false, false]);
}

#[test]
fn a_probe_reaches_a_container_that_publishes_its_port() {
    let mut desired = desired("app:1");
    let other =
        Port { name: "other".to_owned(), container_port: 9, ..desired.container.ports[0].clone() };
    desired.container.ports.insert(0, other);
    let made_before = container("main", &desired);
    let tcp = |port: &str| probe(ProbeAction::Tcp { port: port.to_owned() });
    let number = |probe: &ProbeSpec| desired.probed_port(probe).map(|port| port.container_port);

    let http = probe(ProbeAction::Http { path: "/".to_owned(), port: "http".to_owned() });
    assert_eq!((number(&http), number(&tcp("http"))), (Some(8080), Some(8080)));
    assert!(desired.reaches(&http, &made_before));
    assert_eq!(number(&tcp("other")), Some(9));
    assert!(!desired.reaches(&tcp("other"), &made_before), "it has no such port");

    let command = probe(ProbeAction::Exec { command: vec!["true".to_owned()] });
    assert_eq!(number(&command), None);
    assert!(desired.reaches(&command, &made_before));
}

#[test]
fn limits_differ_by_name() {
    let limits = Limits { nano_cpus: Some(1), memory: Some(2), pids: Some(3) };
    assert_eq!(limits.differences(&limits), [""; 0]);
    let name = |other: Limits| limits.differences(&other);
    assert_eq!(name(Limits { nano_cpus: None, ..limits }), ["resources.limits.cpu"]);
    assert_eq!(name(Limits { memory: Some(9), ..limits }), ["resources.limits.memory"]);
    assert_eq!(name(Limits { pids: None, ..limits }), ["resources.limits.pids"]);
    let all = ["resources.limits.cpu", "resources.limits.memory", "resources.limits.pids"];
    assert_eq!(name(Limits::default()), all);
}

#[test]
fn a_probe_can_succeed_after_its_delay_and_as_many_periods_as_it_takes() {
    let seconds = Duration::from_secs;
    let probe = |delay, period, threshold| ProbeSpec {
        initial_delay: seconds(delay),
        period: seconds(period),
        success_threshold: threshold,
        ..tcp_probe()
    };
    assert_eq!(probe(5, 10, 1).earliest_success(), seconds(5));
    assert_eq!(probe(5, 10, 3).earliest_success(), seconds(25));
    assert_eq!(probe(0, 7, 2).earliest_success(), seconds(7));
}

#[test]
fn a_name_is_shown_as_it_is() {
    let name = SandboxName("web".to_owned());
    assert_eq!((name.as_str(), name.to_string().as_str()), ("web", "web"));
}
