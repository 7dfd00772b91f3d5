//! The matrix of the contract says what the results say, in both forms that a runner writes them.

#![expect(clippy::disallowed_methods, reason = "the script is run as ./tests/run runs it")]

use std::process::Command;

use crate::repository::root;

/// What the script prints for such a file of results.
fn printed(results: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), results).unwrap();
    let mut script = Command::new("python3");
    let output = script.arg(root().join("tests/lib/matrix.py")).arg(file.path()).output();
    let output = output.expect("python3 is there: ./tests/run installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of one row.
fn row(table: &str, behaviour: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.split("  ").next() == Some(behaviour));
    let cells = line.unwrap_or_else(|| panic!("no {behaviour} in\n{table}")).split("  ").skip(1);
    cells.map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
}

fn assert_matrix(table: &str) {
    assert_eq!(
        row(table, "behaviour"),
        ["fake", "Docker", "Podman", "Apple (stand-in)"],
        "{table}"
    );
    assert_eq!(row(table, "renaming_moves_the_name"), ["ok", "FAILED", "not run", "declared"]);
    assert_eq!(row(table, "over_the_api"), ["–", "–", "ok", "–"]);
    assert!(table.contains("1 FAILED, 1 declared, 3 ok"), "{table}");
    assert!(!table.contains("of_another_binary"), "{table}");
}

#[test]
fn it_is_read_from_nextests_report() {
    let case = |class: &str, name: &str, inner: &str| {
        format!(
            r#"<testcase name="{name}" classname="sandkeeper::{class}" time="1.0">{inner}</testcase>"#
        )
    };
    let cases = [
        case("contract", "on_the_fake::renaming_moves_the_name", ""),
        case("contract", "on_docker::renaming_moves_the_name", r#"<failure type="x">it</failure>"#),
        case(
            "contract",
            "on_apple::renaming_moves_the_name",
            "<system-out>\nrunning 1 test\ndeclared: Rename\n</system-out>",
        ),
        case("contract", "on_podman::a_stop", ""),
        case("contract", "over_dockers_api::on_podman::over_the_api", ""),
        case("e2e", "on_docker::of_another_binary", ""),
    ];
    let cases = cases.concat();
    assert_matrix(&printed(&format!("<testsuites><testsuite>{cases}</testsuite></testsuites>")));
}

#[test]
fn it_is_read_from_the_lines_of_cargo_test() {
    assert_matrix(&printed(
        "     Running tests/e2e/main.rs (target/debug/deps/e2e-0)\n\
         test on_docker::of_another_binary ... ok\n\
         \x20    Running tests/contract/main.rs (target/debug/deps/contract-0)\n\
         test on_the_fake::renaming_moves_the_name ... ok\n\
         test on_apple::renaming_moves_the_name ... ok\n\
         test on_docker::renaming_moves_the_name ... FAILED\n\
         test on_podman::a_stop ... ok\n\
         test over_dockers_api::on_podman::over_the_api ... ok\n\
         successes:\n\n---- on_apple::renaming_moves_the_name stdout ----\ndeclared: Rename\n\n",
    ));
}

#[test]
fn nothing_is_printed_when_the_contract_was_not_run() {
    assert_eq!(printed("     Running tests/it/main.rs (x)\ntest tidy ... ok\n"), "");
}
