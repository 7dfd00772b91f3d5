//! The README says what the program does: its tables hold every field, key, reason and command, and
//! nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use sandkeeper::engine::{EngineKind, Feature, Without};
use sandkeeper::plan::conditions::{REASONS, TYPES};
use sandkeeper::plan::validate::DEFAULT_CAPABILITIES;
use sandkeeper::sandbox::{Problem, schema};
use serde_json::Value;

use crate::repository::{code, first_column, product, read, root, rows, section};

fn readme() -> String {
    read("README.md")
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

/// Both ways at once, so that a failure names everything that is missing and everything that is too much.
#[track_caller]
fn assert_same(documented: &BTreeSet<String>, real: &BTreeSet<String>) {
    let missing: Vec<_> = real.difference(documented).collect();
    let unknown: Vec<_> = documented.difference(real).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "the README leaves out {missing:?} and invents {unknown:?}"
    );
}

/// Paths of the fields below a schema, as the README writes them: leaves, and what holds leaves.
#[derive(Default)]
struct Fields {
    leaves: BTreeSet<String>,
    inner: BTreeSet<String>,
}

impl Fields {
    fn walk(&mut self, root: &Value, schema: &Value, path: &str) {
        let Some(properties) = resolved(root, schema)["properties"].as_object() else {
            self.leaves.insert(path.to_owned());
            return;
        };
        self.inner.extend((!path.is_empty()).then(|| path.trim_end_matches("[]").to_owned()));
        for (name, field) in properties {
            let dot = if path.is_empty() { "" } else { "." };
            let probe = path.is_empty() && name.ends_with("Probe");
            if probe {
                // Both probes have the same fields, which are told once.
                self.leaves.insert(name.clone());
                self.walk(root, field, "*Probe");
                self.inner.remove("*Probe");
                continue;
            }
            let item = resolved(root, field).get("items").filter(|item| is_mapping(root, item));
            match item {
                Some(item) => self.walk(root, item, &format!("{path}{dot}{name}[]")),
                None => self.walk(root, field, &format!("{path}{dot}{name}")),
            }
        }
    }
}

/// A schema behind references and options.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(pointer) = schema["$ref"].as_str() {
        return resolved(root, root.pointer(pointer.trim_start_matches('#')).unwrap());
    }
    let one_of = ["anyOf", "allOf"].into_iter().find_map(|key| schema[key].as_array());
    let real = one_of.into_iter().flatten().find(|it| it["type"] != "null");
    real.map_or(schema, |real| resolved(root, real))
}

fn is_mapping(root: &Value, schema: &Value) -> bool {
    resolved(root, schema)["properties"].is_object()
}

#[test]
fn every_field_of_a_sandbox_is_in_the_table_of_fields() {
    let schema = schema::json_schema();
    let mut fields = Fields::default();
    fields.walk(&schema, &schema["definitions"]["SandboxSpec"], "");
    assert!(fields.leaves.len() > 50, "{:?}", fields.leaves);
    let mut documented = first_column(section(&readme(), "## The Sandbox"));
    documented.retain(|field| !fields.inner.contains(field) && !field.starts_with("metadata."));
    assert_same(&documented, &fields.leaves);
}

#[test]
fn every_row_of_the_fields_says_what_docker_does_and_where_a_cluster_differs() {
    for row in rows(section(&readme(), "### Fields")) {
        assert_eq!(row.len(), 5, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
}

/// Rows of the table of engines, as the engines themselves declare what they lack.
fn engines() -> Vec<Vec<String>> {
    let row = |feature: &Feature| {
        let has = |kind: EngineKind| if kind.lacks().contains(feature) { "no" } else { "yes" };
        let without = match feature.without() {
            Without::Refused(field) => format!("`{field}` is refused"),
            Without::Otherwise(what) => what.to_owned(),
        };
        let kinds = [EngineKind::Docker, EngineKind::Podman, EngineKind::Apple];
        let [docker, podman, apple] = kinds.map(|kind| has(kind).to_owned());
        let rootless = feature.rootless().unwrap_or("the same").to_owned();
        vec![feature.name().to_owned(), docker, podman, rootless, apple, without]
    };
    Feature::ALL.iter().map(row).collect()
}

#[test]
fn the_table_of_engines_is_what_they_declare() {
    let documented = rows(section(&readme(), "## Engines"));
    let declared = engines();
    let text: Vec<String> = declared.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    assert_eq!(documented, declared, "the table has to be\n{}", text.join("\n"));
}

#[test]
fn every_reason_of_a_condition_is_in_the_table_of_reasons() {
    let documented = first_column(section(&readme(), "### Reasons"));
    assert_same(&documented, &set(REASONS.iter().copied()));
}

#[test]
fn every_condition_is_in_the_table_of_conditions() {
    assert_same(&first_column(section(&readme(), "### Conditions")), &set(TYPES));
}

/// The classes of trouble with a file are an enum whose names are written to `_files.yaml`.
#[test]
fn every_class_of_problem_with_a_file_is_in_its_table() {
    let source = read("src/sandbox/problem.rs");
    let body =
        source.split_once("pub enum ProblemReason {").unwrap().1.split_once("\n}").unwrap().0;
    let names = body.lines().filter_map(|line| line.trim().strip_suffix(','));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    let one: Problem = serde_json::from_str(r#"{"reason":"Empty","message":"x"}"#).unwrap();
    assert!(names.contains(&format!("{:?}", one.reason)), "{names:?}");
    assert_same(&first_column(section(&readme(), "### Problems of files")), &names);
}

#[test]
fn every_key_of_the_configuration_is_in_its_table_with_flag_and_variable() {
    let schema: Value = serde_json::from_str(&read("manifests/config.schema.json")).unwrap();
    let mut keys = BTreeSet::new();
    for (name, field) in schema["properties"].as_object().unwrap() {
        let nested = resolved(&schema, field)["properties"].as_object();
        match nested.filter(|_| !["defaults", "policy"].contains(&name.as_str())) {
            Some(nested) => keys.extend(nested.keys().map(|key| format!("{name}.{key}"))),
            None => _ = keys.insert(name.clone()),
        }
    }
    let readme = readme();
    let table = section(&readme, "## Configuration");
    let table = table.split("### The policy").next().unwrap();
    assert_same(&first_column(table), &keys);
    for row in rows(table) {
        let key = &code(&row[0])[0];
        let flag = match key.as_str() {
            "defaults" => continue,
            "containerPrefix" => "prefix".to_owned(),
            "deleteGuard" => "delete-guard".to_owned(),
            "appleCli" => "apple-cli".to_owned(),
            other => other.replace('.', "-"),
        };
        assert_eq!(code(&row[1]), [format!("--{flag}")], "{key}");
        let variable = format!("SANDKEEPER_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(code(&row[2]), [variable], "{key}");
    }
}

#[test]
fn every_key_of_the_policy_is_in_its_table() {
    let schema: Value = serde_json::from_str(&read("manifests/config.schema.json")).unwrap();
    let mut fields = Fields::default();
    fields.walk(&schema, &schema["$defs"]["Policy"], "policy");
    let keys = fields.leaves.iter().map(|key| key.replace("[]", ""));
    let keys: BTreeSet<String> = keys.collect();
    assert!(keys.len() > 20, "{keys:?}");
    let documented = first_column(section(&readme(), "### The policy"));
    let documented = documented.iter().map(|key| key.replace("[]", "")).collect();
    assert_same(&documented, &keys);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the program is asked for its commands")]
fn every_command_is_in_the_table_of_commands() {
    let help = Command::new(env!("CARGO_BIN_EXE_sandkeeper")).arg("-h").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split_once("Commands:\n").unwrap().1.split_once("\n\n").unwrap().0;
    let commands = listed.lines().filter_map(|line| line.split_whitespace().next());
    let commands: BTreeSet<String> =
        commands.filter(|command| *command != "help").map(str::to_owned).collect();
    assert!(commands.len() > 10, "{help}");
    let documented = first_column(section(&readme(), "## The command line"));
    let documented: BTreeSet<String> =
        documented.iter().filter_map(|it| it.split(' ').next()).map(str::to_owned).collect();
    assert_same(&documented, &commands);
}

/// What an event can say happened: words of the steps and classes of their failures, as the source names
/// them. Those of conditions are in another table.
#[test]
fn every_reason_of_an_event_is_in_the_table_of_events() {
    let mut reasons = BTreeSet::new();
    for file in product().into_iter().filter(|file| file.starts_with("src/controller")) {
        let text = read(&file);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let after = |marker: &str| -> Vec<String> {
            let rest = code.split(marker).skip(1);
            rest.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
        };
        reasons.extend(after("reason: \""));
        if file.ends_with("report.rs") || file.ends_with("execute/error.rs") {
            reasons.extend(after("=> \""));
        }
    }
    // What the world did between the look and the act is logged and is no event.
    reasons.retain(|reason| !["ContainerGone", "ContainerChanged"].contains(&reason.as_str()));
    let readme = readme();
    let mut documented = first_column(section(&readme, "### Events"));
    documented.extend(first_column(section(&readme, "### Reasons")));
    let missing: Vec<_> = reasons.difference(&documented).collect();
    assert!(missing.is_empty(), "the README leaves out {missing:?}");
}

#[test]
fn the_capabilities_that_it_says_are_kept_are_the_default_ones() {
    let readme = readme();
    let of = |word: &str| -> BTreeSet<String> {
        let rows = rows(section(&readme, "### Security defaults")).into_iter();
        rows.filter(|row| row[0] == word).flat_map(|row| code(&row[1])).collect()
    };
    assert_same(&of("kept"), &set(DEFAULT_CAPABILITIES));
    assert_eq!(of("dropped"), set(["AUDIT_WRITE", "MKNOD", "NET_RAW"]));
}

#[test]
fn the_readme_opens_with_the_two_commands_that_do_all_set_up() {
    let readme = readme();
    let block = readme.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let commands: Vec<&str> =
        block.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
    assert_eq!(commands, ["./examples/quickstart/run", "./tests/run"]);
    for command in commands {
        assert!(root().join(command).is_file(), "{command}");
    }
}

/// Specs that the README shows are read as a user would copy them.
#[test]
fn every_spec_in_the_readme_is_valid() {
    let readme = readme();
    let specs: Vec<&str> = readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .filter(|text| text.contains("kind: Sandbox"))
        .collect();
    assert!(!specs.is_empty());
    for text in specs {
        for document in sandkeeper::sandbox::yaml::read(text.as_bytes()).unwrap() {
            assert!(document.result.is_ok(), "{:?}\n{text}", document.result);
        }
    }
}

#[test]
fn every_configuration_in_the_readme_is_valid() {
    let readme = readme();
    let blocks = readme.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let configurations: Vec<&str> = blocks.filter(|text| !text.contains("kind: Sandbox")).collect();
    assert!(!configurations.is_empty());
    for text in configurations {
        let parsed = sandkeeper::config::ConfigFile::parse(text.as_bytes());
        assert!(parsed.is_ok(), "{parsed:?}\n{text}");
    }
}

#[test]
fn every_link_leads_to_a_file_or_a_heading() {
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md"] {
        let text = read(document);
        let anchors: BTreeSet<String> = text
            .lines()
            .filter_map(|line| line.trim_start_matches('#').strip_prefix(' '))
            .map(anchor)
            .collect();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if let Some(heading) = target.strip_prefix('#') {
                assert!(anchors.contains(heading), "{document}: {target}");
            } else if !target.starts_with("https://") {
                let file = target.split('#').next().unwrap();
                assert!(root().join(file).exists(), "{document}: {target}");
            }
        }
    }
}

/// The anchor that code forges give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
