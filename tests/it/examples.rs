//! What we tell people to copy must work.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use sandkeeper::plan::{Desired, ProbeAction, Seccomp, Settings, validate};
use sandkeeper::sandbox::{SandboxSpec, yaml};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");

fn yaml_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    files
}

fn settings(defaults: SandboxSpec) -> Settings {
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let policy = sandkeeper::plan::Policy::default();
    Settings { defaults, prefix: "sandbox".to_owned(), bind, policy }
}

/// Every sandbox of a file, valid or the test fails with what a user would see.
fn sandboxes(file: &Path, settings: &Settings) -> Vec<Desired> {
    let documents = yaml::read(&fs::read(file).unwrap())
        .unwrap_or_else(|problem| panic!("{}:{problem}", file.display()));
    let desired = documents.into_iter().map(|document| {
        let validated = document
            .result
            .and_then(|sandbox| validate(&sandbox, settings, file.parent().unwrap()))
            .unwrap_or_else(|problems| panic!("{}: {problems:#?}", file.display()));
        assert_eq!(validated.notices, Vec::<String>::new(), "{}", file.display());
        validated.desired
    });
    desired.collect()
}

#[test]
fn every_example_is_valid_without_a_configuration() {
    let files = yaml_files(Path::new(EXAMPLES));
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        assert!(!sandboxes(&file, &settings(SandboxSpec::default())).is_empty());
    }
}

#[test]
fn every_example_names_its_schema_for_editors() {
    let deer_flow = Path::new(EXAMPLES).join("deer-flow/specs");
    for file in yaml_files(Path::new(EXAMPLES)).into_iter().chain(yaml_files(&deer_flow)) {
        let text = fs::read_to_string(&file).unwrap();
        let first = text.lines().next().unwrap();
        let schema = first.strip_prefix("# yaml-language-server: $schema=").unwrap();
        assert!(file.parent().unwrap().join(schema).exists(), "{}", file.display());
    }
}

#[test]
fn the_examples_have_distinct_names() {
    let mut names: Vec<String> = yaml_files(Path::new(EXAMPLES))
        .iter()
        .flat_map(|file| sandboxes(file, &settings(SandboxSpec::default())))
        .map(|desired| desired.name.to_string())
        .collect();
    let all = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), all);
}

/// The part of the configuration that validation needs.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Preset {
    container_prefix: String,
    defaults: SandboxSpec,
}

/// The preset opens what its own specs need, and they need all that it opens for privileges.
#[test]
fn the_deer_flow_preset_allows_its_specs_and_the_default_policy_does_not() {
    let directory = Path::new(EXAMPLES).join("deer-flow");
    let overrides = sandkeeper::config::ConfigFile::default();
    let config = sandkeeper::config::load(Some(&directory.join("config.yaml")), overrides).unwrap();
    let file = directory.join("specs/thread.yaml");
    let sandbox = || yaml::read(&fs::read(&file).unwrap()).unwrap().remove(0).result.unwrap();
    let settings = config.settings();
    let admitted = sandkeeper::plan::admit(&sandbox(), &settings, file.parent().unwrap());
    assert!(admitted.is_ok(), "{admitted:?}");
    let strict = Settings { policy: sandkeeper::plan::Policy::default(), ..settings };
    let refused = sandkeeper::plan::admit(&sandbox(), &strict, file.parent().unwrap()).unwrap_err();
    let text: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let text = text.join("\n");
    for rule in ["policy.seccomp.unconfined", "policy.hostPaths", "policy.worldWritable"] {
        assert!(text.contains(rule), "{rule}: {text}");
    }
}

#[test]
fn the_deer_flow_preset_equals_the_seed() {
    let directory = Path::new(EXAMPLES).join("deer-flow");
    let preset: Preset =
        yaml::read_typed(&fs::read(directory.join("config.yaml")).unwrap()).unwrap();
    assert_ne!(preset.container_prefix, "deer-flow-sandbox");
    let settings = Settings { prefix: preset.container_prefix, ..settings(preset.defaults) };
    let desired = sandboxes(&directory.join("specs/thread.yaml"), &settings).remove(0);

    assert_eq!(desired.container.image, "ghcr.io/agent-infra/sandbox:1.11.0");
    assert_eq!(desired.container.security.seccomp, Seccomp::Unconfined);
    let probe = ProbeAction::Http { path: "/v1/sandbox".to_owned(), port: "http".to_owned() };
    assert_eq!(desired.readiness.unwrap().action, probe);
    let rules: Vec<_> = desired
        .permissions
        .iter()
        .map(|rule| (rule.path.as_str(), rule.mode, rule.create, rule.recursive))
        .collect();
    assert_eq!(
        rules,
        [
            ("/mnt/user-data/uploads", 0o777, true, false),
            ("/mnt/user-data/workspace", 0o777, true, false),
            ("/mnt/user-data/outputs", 0o777, true, false),
        ]
    );
    assert!(desired.limits.pids.unwrap() >= 512);
}
