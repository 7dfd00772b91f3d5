//! Help and usage.

use crate::fixture::{bare, outcome};

/// Each command and the options that its help must explain.
const COMMANDS: [(&str, &[&str]); 13] = [
    ("run", &["--once", "--timeout", "--specs", "--engine", "--delete-guard", "--log-format"]),
    ("plan", &["--output", "--specs", "--prefix"]),
    ("validate", &["<PATH>...", "--output", "--config"]),
    ("get", &["[NAME]", "--output", "--watch", "wide"]),
    ("describe", &["<NAME>"]),
    ("events", &["[NAME]"]),
    ("logs", &["--follow", "--tail", "--previous", "--timestamps", "--since"]),
    ("exec", &["--stdin", "--tty", "--user", "<COMMAND>"]),
    ("schema", &["sandbox", "config"]),
    ("crd", &[]),
    ("prune", &["--yes"]),
    ("doctor", &["--output"]),
    ("completions", &["bash", "zsh", "fish"]),
];

#[test]
fn the_help_of_each_command_explains_its_options() {
    for (command, options) in COMMANDS {
        let shown = outcome(&mut bare(&[command, "--help"]));
        assert_eq!((shown.code, shown.err.as_str()), (0, ""), "{command}");
        for option in options {
            assert!(shown.out.contains(option), "{option} in the help of {command}: {}", shown.out);
        }
    }
}

#[test]
fn the_help_lists_every_command() {
    let shown = outcome(&mut bare(&["--help"]));
    for (command, _) in COMMANDS {
        assert!(shown.out.contains(&format!("\n  {command} ")), "{command}");
    }
}

#[test]
fn the_short_help_keeps_the_daemons_settings_for_the_long_one() {
    let short = outcome(&mut bare(&["get", "-h"])).out;
    assert!(short.contains("--state") && !short.contains("--ports-base"), "{short}");
}

#[test]
fn a_usage_error_is_1_so_that_plan_cannot_be_misread() {
    for arguments in [&["plan", "--typo"][..], &["frobnicate"], &[], &["plan", "--resync", "soon"]]
    {
        let refused = outcome(&mut bare(arguments));
        assert_eq!(refused.code, 1, "{arguments:?}: {}", refused.err);
        assert_eq!(refused.out, "");
    }
}

#[test]
fn the_version_is_printed() {
    let shown = outcome(&mut bare(&["--version"]));
    assert_eq!(shown.out, format!("sandkeeper {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn options_may_stand_before_or_after_the_command() {
    let before = outcome(&mut bare(&["--state", "/nonexistent", "get"]));
    let after = outcome(&mut bare(&["get", "--state", "/nonexistent"]));
    assert_eq!(before.err, after.err);
    assert!(before.err.contains("/nonexistent"), "{}", before.err);
}
