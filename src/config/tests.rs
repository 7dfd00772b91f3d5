use std::path::{Path, PathBuf};
use std::time::Duration;

use super::resolve::{apart, resolve};
use super::*;

fn parse(text: &str) -> ConfigFile {
    ConfigFile::parse(text.as_bytes()).unwrap()
}

/// `field: message` of every problem.
fn refusals(text: &str) -> Vec<String> {
    match resolve(parse(text), 2) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn an_empty_file_means_the_documented_defaults() {
    let config = resolve(parse(""), 8).unwrap();
    assert_eq!(config.specs, Vec::<PathBuf>::new());
    assert_eq!(config.state, Path::new("/var/lib/sandkeeper"));
    assert_eq!(config.engine, EngineChoice::Auto);
    assert_eq!(config.container_prefix, "sandbox");
    assert_eq!((config.ports.base, config.ports.count), (8080, 1000));
    assert_eq!(config.ports.bind.to_string(), "127.0.0.1");
    assert_eq!(config.ports.advertise, "localhost");
    assert_eq!(config.concurrency, 16);
    assert_eq!(config.resync, Duration::from_secs(30));
    assert_eq!(config.delete_guard, 10);
    assert_eq!(config.log, Log { level: None, format: LogFormat::Auto });
}

#[test]
fn every_key_can_be_set_in_the_file() {
    let text = "
specs: [/etc/sandkeeper/specs, /srv/specs]
state: /srv/state
engine: docker
socket: tcp://127.0.0.1:2375
appleCli: /usr/local/bin/container
containerPrefix: deer-flow
ports: {base: 9000, count: 20, bind: '::1', advertise: host.docker.internal}
defaults: {image: 'example/web:1'}
concurrency: 3
resync: 1h30m
deleteGuard: 0
log: {level: 'warn,sandkeeper::source=debug', format: json}
";
    let config = resolve(parse(text), 2).unwrap();
    assert_eq!(config.specs, [Path::new("/etc/sandkeeper/specs"), Path::new("/srv/specs")]);
    assert_eq!(config.state, Path::new("/srv/state"));
    assert_eq!(config.engine, EngineChoice::Docker);
    assert_eq!(config.socket.as_deref(), Some("tcp://127.0.0.1:2375"));
    assert_eq!(config.apple_cli.as_deref(), Some(Path::new("/usr/local/bin/container")));
    assert_eq!(config.container_prefix, "deer-flow");
    assert_eq!(config.ports.bind.to_string(), "::1");
    assert_eq!(config.defaults.image.as_deref(), Some("example/web:1"));
    assert_eq!((config.concurrency, config.delete_guard), (3, 0));
    assert_eq!(config.resync, Duration::from_mins(90));
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn what_is_set_above_wins_key_by_key() {
    let flags = parse("containerPrefix: flag\nports: {base: 1}");
    let file = parse("containerPrefix: file\nstate: /file\nports: {base: 2, count: 2}");
    let config = resolve(flags.over(file), 2).unwrap();
    assert_eq!(config.container_prefix, "flag");
    assert_eq!(config.state, Path::new("/file"));
    assert_eq!((config.ports.base, config.ports.count), (1, 2));
}

#[test]
fn relative_paths_start_at_the_directory_given() {
    let file = parse("specs: [specs, /abs]\nstate: ../state").relative_to(Path::new("/etc/x"));
    assert_eq!(file.specs, Some(vec![PathBuf::from("/etc/x/specs"), PathBuf::from("/abs")]));
    assert_eq!(file.state, Some(PathBuf::from("/etc/x/../state")));
}

#[test]
fn an_unknown_key_is_an_error_with_its_line() {
    let problem = ConfigFile::parse(b"state: /x\nspecz: [/y]\n").unwrap_err();
    assert_eq!(problem.line, Some(2));
    assert!(problem.message.contains("specz"), "{problem}");
}

mod policy;

#[test]
fn every_value_out_of_range_is_reported_with_its_field() {
    let refused = refusals(
        "containerPrefix: Bad_\nsocket: ''\nports: {base: 60000, count: 6000, advertise: 'http://x'}\n\
         concurrency: 0\nresync: 100ms\nlog: {level: verbose}\n",
    );
    let fields: Vec<&str> = refused.iter().filter_map(|it| it.split(':').next()).collect();
    assert_eq!(
        fields,
        [
            "containerPrefix",
            "socket",
            "ports.count",
            "ports.advertise",
            "concurrency",
            "resync",
            "log.level"
        ]
    );
}

#[test]
fn the_last_port_may_be_65535() {
    assert!(resolve(parse("ports: {base: 64536, count: 1000}"), 2).is_ok());
    assert_eq!(refusals("ports: {base: 64537, count: 1000}").len(), 1);
}

#[test]
fn specs_and_state_must_not_contain_one_another() {
    let state = Path::new("/var/lib/sandkeeper");
    for specs in ["/var/lib", "/var/lib/sandkeeper", "/var/lib/sandkeeper/specs"] {
        assert_eq!(apart(&[PathBuf::from(specs)], state).len(), 1, "{specs}");
    }
    assert_eq!(apart(&[PathBuf::from("/var/lib/sandkeeper-specs")], state), []);
}

#[test]
fn a_directory_that_is_given_twice_is_refused() {
    let problems = apart(&["/a".into(), "/b".into(), "/a".into()], Path::new("/state"));
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].field.as_deref(), Some("specs[2]"));
}

#[test]
fn specs_that_a_symbolic_link_leads_into_the_state_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    std::fs::create_dir_all(state.join("inner")).unwrap();
    std::os::unix::fs::symlink(state.join("inner"), directory.path().join("specs")).unwrap();
    let overrides = ConfigFile {
        specs: Some(vec![directory.path().join("specs")]),
        state: Some(state),
        ..ConfigFile::default()
    };
    let error = built_in(overrides).unwrap_err();
    assert!(error.to_string().contains("must not contain one another"), "{error}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let error = load(Some(Path::new("/nonexistent/c.yaml")), ConfigFile::default()).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/c.yaml"), "{error}");
}

#[test]
fn durations_have_units() {
    for (text, seconds) in [("45s", 45), ("5m", 300), ("1h30m", 5400), ("2h", 7200)] {
        assert_eq!(text.parse(), Ok(HumanDuration(Duration::from_secs(seconds))), "{text}");
    }
    for text in ["", "30", "-5s", "5 minutes", "P1D", "1d", "5m ago", "s", "1.5h"] {
        assert!(text.parse::<HumanDuration>().is_err(), "{text}");
    }
}
