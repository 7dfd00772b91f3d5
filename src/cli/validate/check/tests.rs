use super::*;
use crate::config::{ConfigFile, built_in};

fn rules(assume_image: bool) -> Rules {
    let mut settings = built_in(ConfigFile::default()).unwrap().settings();
    settings.defaults.image = Some("image".to_owned());
    Rules { settings, assume_image, assume_policy: assume_image }
}

fn input(name: &str, text: &str) -> Input {
    Input { file: name.into(), base: "/".into(), content: Ok(text.as_bytes().to_vec()) }
}

fn sandbox(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

fn findings(file: &CheckedFile) -> Vec<(Severity, String)> {
    file.findings.iter().map(|it| (it.severity, it.problem.message.clone())).collect()
}

#[test]
fn a_good_file_has_no_findings_and_names_its_sandboxes() {
    let text = format!("{}---\n{}", sandbox("a", "{image: x}"), sandbox("b", "{image: x}"));
    let checked = file(&input("both.yaml", &text), &rules(true));
    assert_eq!(checked.sandboxes, ["a", "b"]);
    assert_eq!(findings(&checked), []);
}

#[test]
fn a_missing_image_is_warned_of_only_where_the_default_is_assumed() {
    let text = sandbox("a", "{}");
    let warned = file(&input("a.yaml", &text), &rules(true));
    assert_eq!(warned.findings[0].severity, Severity::Warning);
    assert_eq!(warned.findings[0].problem.field.as_deref(), Some("spec.image"));
    assert_eq!(findings(&file(&input("a.yaml", &text), &rules(false))), []);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_of_the_file() {
    let gone = Input {
        file: "a.yaml".into(),
        base: "/".into(),
        content: Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    };
    let checked = file(&gone, &rules(true));
    assert_eq!(checked.findings[0].problem.reason, ProblemReason::Unreadable);
    assert_eq!(checked.findings[0].problem.line, None);
}

#[test]
fn a_name_that_two_files_declare_is_refused_in_the_second() {
    let mut files = [
        file(&input("a.yaml", &sandbox("web", "{image: x}")), &rules(true)),
        file(&input("b.yaml", &sandbox("web", "{image: x}")), &rules(true)),
    ];
    refuse_duplicates(&mut files);
    assert_eq!(findings(&files[0]), []);
    let message = "sandbox \"web\" is declared in a.yaml already".to_owned();
    assert_eq!(findings(&files[1]), [(Severity::Error, message)]);
    assert_eq!(files[1].findings[0].problem.reason, ProblemReason::Conflict);
    assert!(files[1].findings[0].problem.line.is_some());
}

#[test]
fn a_name_that_one_file_declares_twice_is_refused() {
    let text = format!("{}---\n{}", sandbox("web", "{image: x}"), sandbox("web", "{image: x}"));
    let mut files = [file(&input("a.yaml", &text), &rules(true))];
    refuse_duplicates(&mut files);
    assert_eq!(files[0].findings.len(), 1);
}

#[test]
fn more_than_the_policy_allows_is_an_error_where_the_policy_is_known_and_else_a_warning() {
    let text = sandbox("a", "{image: x, securityContext: {privileged: true}}");
    let checked = |assume| file(&input("a.yaml", &text), &rules(assume)).findings.remove(0);
    assert_eq!(checked(true).severity, Severity::Warning);
    let error = checked(false);
    assert_eq!(error.severity, Severity::Error);
    assert_eq!(error.problem.reason, ProblemReason::PolicyViolation);
    assert_eq!((error.problem.line, error.problem.column), (Some(4), Some(36)));
}
