use clap::CommandFactory as _;

use super::*;

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

/// Every key of the configuration file, but `defaults`, which is a whole spec.
#[test]
fn every_key_of_the_configuration_has_a_flag_and_a_variable() {
    let command = Cli::command();
    let flags: Vec<(String, Option<String>)> = command
        .get_arguments()
        .filter_map(|argument| {
            let variable = argument.get_env().map(|name| name.to_string_lossy().into_owned());
            Some((argument.get_long()?.to_owned(), variable))
        })
        .collect();
    let schema = crate::config::json_schema();
    let keys = |pointer: &str| -> Vec<String> {
        schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect()
    };
    let nested = |parent: &str, pointer: &str| -> Vec<String> {
        keys(pointer).iter().map(|key| format!("{parent}-{key}")).collect()
    };
    let mut expected: Vec<String> = keys("/properties");
    expected.retain(|key| !["defaults", "ports", "log"].contains(&key.as_str()));
    expected.extend(nested("ports", "/$defs/Ports/properties"));
    expected.extend(nested("log", "/$defs/Log/properties"));
    for key in expected {
        let flag = match key.as_str() {
            "containerPrefix" => "prefix",
            "deleteGuard" => "delete-guard",
            "appleCli" => "apple-cli",
            other => other,
        };
        let variable = format!("SANDKEEPER_{}", flag.replace('-', "_").to_uppercase());
        assert!(flags.contains(&(flag.to_owned(), Some(variable))), "{key}");
    }
}

#[test]
fn a_command_that_is_piped_into_head_does_not_complain() {
    let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing");
    assert!(is_broken_pipe(&error));
    assert!(!is_broken_pipe(&anyhow::anyhow!("broken pipe")));
}
