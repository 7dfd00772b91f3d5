//! run, plan, schema, crd, doctor and completions.

use crate::fixture::Host;

#[test]
fn run_and_plan_say_how_to_name_the_specs() {
    let host = Host::new();
    for command in ["run", "plan"] {
        let refused = host.run(&[command]);
        assert_eq!(refused.code, 1, "{command}");
        assert!(refused.err.contains("use --specs DIR"), "{}", refused.err);
    }
}

#[test]
fn a_timeout_goes_with_once_only() {
    let refused = Host::new().run(&["run", "--timeout", "5s"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--once"), "{}", refused.err);
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let host = Host::new();
    host.write("c.yaml", "state: from-file\n");
    let state = |arguments: &[&str], variable: Option<&str>| {
        let mut command = host.command(arguments);
        command.env_remove("SANDKEEPER_STATE");
        if let Some(value) = variable {
            command.env("SANDKEEPER_STATE", value);
        }
        crate::fixture::outcome(&mut command).err
    };
    assert!(state(&["get", "--config", "c.yaml"], None).contains("from-file"));
    assert!(state(&["get", "--config", "c.yaml"], Some("from-env")).contains("from-env"));
    let flag = state(&["get", "--config", "c.yaml", "--state", "from-flag"], Some("from-env"));
    assert!(flag.contains("from-flag"), "{flag}");
}

#[test]
fn a_configuration_that_was_named_must_exist() {
    let refused = Host::new().run(&["get", "--config", "nowhere.yaml"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("nowhere.yaml cannot be read"), "{}", refused.err);
}

/// Set `UPDATE_MANIFESTS=1` to write the file anew.
#[test]
fn the_schema_of_the_configuration_in_manifests_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/config.schema.json");
    let printed = Host::new().run(&["schema", "config"]).out;
    if std::env::var_os("UPDATE_MANIFESTS").is_some() {
        std::fs::write(path, &printed).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), printed);
}

#[test]
fn the_schema_of_the_configuration_describes_every_key() {
    let printed = Host::new().run(&["schema", "config"]).out;
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    let properties = schema["properties"].as_object().unwrap();
    assert!(properties.contains_key("policy"));
    for (key, property) in properties {
        assert!(property["description"].is_string(), "{key} has a description");
    }
}

#[test]
fn the_schema_of_sandboxes_and_the_crd_are_printed() {
    let host = Host::new();
    let schema: serde_json::Value = serde_json::from_str(&host.run(&["schema"]).out).unwrap();
    assert!(schema.is_object());
    let crd = host.run(&["crd"]).out;
    assert!(crd.contains("kind: CustomResourceDefinition"), "{crd}");
}

#[test]
fn completions_name_the_commands() {
    let host = Host::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = host.run(&["completions", shell]);
        assert_eq!(script.code, 0);
        assert!(script.out.contains("describe"), "{shell}");
    }
}

#[test]
fn doctor_fails_on_a_world_writable_directory_of_specs_and_names_the_mend() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::new();
    let specs = host.path().join("specs");
    std::fs::create_dir(&specs).unwrap();
    std::fs::set_permissions(&specs, std::fs::Permissions::from_mode(0o777)).unwrap();
    let found = host.run(&["doctor", "--specs", "specs"]);
    assert_eq!(found.code, 1);
    let said = format!("others may write to {} (mode 0777)", specs.display());
    assert!(found.out.contains(&said), "{}", found.out);
    assert!(found.out.contains("chmod go-w"), "{}", found.out);
}

#[test]
fn doctor_fails_without_an_engine_and_prints_json() {
    let host = Host::new();
    let found = host.run(&["doctor", "--socket", "/nonexistent/engine.sock", "-o", "json"]);
    assert_eq!(found.code, 1);
    let checks: serde_json::Value = serde_json::from_str(&found.out).unwrap();
    let engine = checks.as_array().unwrap().iter().find(|check| check["name"] == "engine").unwrap();
    assert_eq!(engine["level"], "FAIL");
    assert!(engine["mend"].is_string());
}

#[test]
fn a_broken_configuration_hides_no_other_finding_of_doctor() {
    let host = Host::new();
    host.write("c.yaml", "specz: []\n");
    let found = host.run(&["doctor", "--config", "c.yaml"]);
    assert_eq!(found.code, 1);
    assert!(found.out.contains("FAIL  configuration"), "{}", found.out);
    assert!(found.out.contains("ports"), "{}", found.out);
}
