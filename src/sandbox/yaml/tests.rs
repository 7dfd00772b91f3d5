use proptest::prelude::*;

use super::*;
use crate::sandbox::{EnvVar, PullPolicy};

mod agreement;
mod fields;
mod guards;
mod typed;

const HEAD: &str = "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata:\n  name: web\n";

fn one(text: &str) -> Document {
    let mut documents = read(text.as_bytes()).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

/// The problems of a document with this spec; the spec starts on line 5.
fn spec_problems(spec: &str) -> Vec<String> {
    let document = one(&format!("{HEAD}{spec}"));
    document.result.unwrap_err().iter().map(ToString::to_string).collect()
}

fn spec(spec: &str) -> Sandbox {
    one(&format!("{HEAD}{spec}")).result.unwrap()
}

fn whole_file(text: &[u8]) -> Problem {
    read(text).unwrap_err()
}

#[test]
fn the_smallest_spec_is_a_name() {
    let document = one(HEAD);
    assert_eq!((document.index, document.line, document.name.as_deref()), (1, 1, Some("web")));
    let sandbox = document.result.unwrap();
    assert_eq!(sandbox.metadata.name.as_deref(), Some("web"));
    assert_eq!(sandbox.spec, crate::sandbox::SandboxSpec::default());
}

#[test]
fn json_is_read_too() {
    let text = "{\n\t\"apiVersion\": \"sandkeeper.dev/v1alpha1\", \"kind\": \"Sandbox\",\n\t\"metadata\": {\"name\": \"web\"},\n\t\"spec\": {\"image\": \"a\\/b:1\", \"imagePullPolicy\": \"Never\"}\n}\n";
    let sandbox = one(text).result.unwrap();
    assert_eq!(sandbox.spec.image.as_deref(), Some("a/b:1"));
    assert_eq!(sandbox.spec.image_pull_policy, Some(PullPolicy::Never));
}

#[test]
fn byte_order_mark_and_carriage_returns_are_accepted() {
    let text = format!("\u{feff}{HEAD}spec: {{image: a}}\n").replace('\n', "\r\n");
    assert_eq!(one(&text).result.unwrap().spec.image.as_deref(), Some("a"));
}

#[test]
fn other_versions_and_kinds_are_refused_before_their_fields_are_judged() {
    let table = [
        (
            "apiVersion: sandkeeper.dev/v2\nkind: Sandbox\nspec: {new: 1}\n",
            "1:1: apiVersion: \"sandkeeper.dev/v2\" is not supported; this version reads sandkeeper.dev/v1alpha1",
        ),
        (
            "apiVersion: sandkeeper.dev/v1alpha1\nkind: Pod\nspec: {containers: []}\n",
            "2:1: kind: \"Pod\" is not supported; this version reads Sandbox",
        ),
        (
            "kind: Sandbox\n",
            "1:1: apiVersion: is missing; write `apiVersion: sandkeeper.dev/v1alpha1`",
        ),
    ];
    for (text, expected) in table {
        let problems = one(text).result.unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].reason, ProblemReason::UnsupportedVersion);
        assert_eq!(problems[0].to_string(), expected);
    }
    let problems = one("just text\n").result.unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "1:1: a Sandbox is a mapping that starts with `apiVersion: sandkeeper.dev/v1alpha1`"
    );
}

#[test]
fn words_that_only_old_yaml_takes_for_booleans_are_text() {
    let sandbox = spec("spec: {env: [{name: A, value: no}, {name: B, value: 1_000}]}\n");
    let values: Vec<_> = sandbox.spec.env.unwrap().into_iter().map(|env| env.value).collect();
    assert_eq!(values, [Some("no".to_owned()), Some("1_000".to_owned())]);
}

#[test]
fn a_field_set_to_nothing_is_left_out() {
    let sandbox = spec("spec:\n  image:\n  ports: ~\n");
    assert_eq!(sandbox.spec, crate::sandbox::SandboxSpec::default());
}

#[test]
fn what_a_file_cannot_decide_is_dropped() {
    let text = "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata:\n  name: web\n  uid: forged\n  generation: 7\n  deletionTimestamp: 2026-08-01T12:00:00Z\nstatus: {made: up}\nx-note: {any: [thing]}\n";
    let sandbox = one(text).result.unwrap();
    assert_eq!(sandbox.metadata.uid, None);
    assert_eq!(sandbox.metadata.generation, None);
    assert_eq!(sandbox.metadata.deletion_timestamp, None);
    assert_eq!(sandbox.status, None);
}

#[test]
fn a_bad_document_does_not_hide_the_good_ones() {
    let text = format!(
        "---\n{HEAD}---\n# empty\n---\n{}spec: {{imgae: x}}\n--- # three\n{}",
        HEAD.replace("web", "bad"),
        HEAD.replace("web", "good")
    );
    let documents = read(text.as_bytes()).unwrap();
    let told: Vec<_> = documents
        .iter()
        .map(|it| (it.index, it.line, it.name.as_deref().unwrap(), it.result.is_ok()))
        .collect();
    assert_eq!(told, [(1, 2, "web", true), (2, 9, "bad", false), (3, 15, "good", true)]);
    let problem = &documents[1].result.as_ref().unwrap_err()[0];
    assert_eq!(problem.to_string(), "13:8: spec.imgae: unknown field; did you mean image?");
}

#[test]
fn a_documents_name_is_told_only_when_it_is_safe_to_use() {
    for bad in ["../../etc/x", "a/b", "A", "''", "\"web\\0x\"", "\"a\\u202eb\"", "\"wéb\""] {
        let document = one(&HEAD.replace("web", bad));
        assert_eq!(document.name, None, "{bad}");
    }
    assert_eq!(one(&format!("{HEAD}spec: 1\n")).name.as_deref(), Some("web"));
}

#[test]
fn places_are_found_by_path_or_by_the_nearest_parent() {
    let text = format!(
        "{HEAD}  annotations:\n    a.b/c: x\nspec:\n  ports:\n  - name: http\n    containerPort: 80\n"
    );
    let positions = one(&text).positions;
    let table = [
        ("spec", (7, 1)),
        ("spec.ports", (8, 3)),
        ("spec.ports[0]", (9, 5)),
        ("spec.ports[0].containerPort", (10, 5)),
        ("spec.ports[0].hostPort", (9, 5)),
        ("spec.ports[7].name", (8, 3)),
        ("metadata.annotations[a.b/c]", (6, 5)),
        ("nowhere", (1, 1)),
        ("spec.ports[", (8, 3)),
    ];
    for (field, place) in table {
        assert_eq!(positions.locate(field), Some(place), "{field}");
    }
    let placed = positions.attach(vec![Problem::at_field("spec.ports[0].hostPort", "is taken")]);
    assert_eq!(placed[0].to_string(), "9:5: spec.ports[0].hostPort: is taken");
    assert_eq!(Positions::default().locate("spec"), None);
}

#[test]
fn what_is_written_is_read_back() {
    let mut sandbox =
        spec("spec: {permissions: [{path: /a, mode: '0755'}], resources: {limits: {cpu: 0.5}}}\n");
    sandbox.spec.env =
        Some(vec![EnvVar { name: "A".into(), value: Some("0755".into()), ..EnvVar::default() }]);
    let text = to_yaml(&sandbox);
    assert_eq!(one(&text).result.unwrap(), sandbox);
}

#[test]
fn what_is_written_steers_no_terminal_and_is_read_back() {
    let odd = "a\u{202e}b\u{200b}\u{9b}31m\u{7f}\u{1b}[0m\u{e0041}\u{feff}\u{85}\u{2028}\n\"\\";
    let mut sandbox = spec("spec: {image: a}\n");
    sandbox.metadata.annotations = Some([("a".to_owned(), odd.to_owned())].into());
    let text = to_yaml(&sandbox);
    assert!(!text.contains(|it| it != '\n' && is_unsafe(it)), "{text}");
    let again = read(text.as_bytes()).unwrap().remove(0).result.unwrap();
    assert_eq!(again, sandbox, "{text}");
    assert_eq!(read_own::<Sandbox>(text.as_bytes()).unwrap(), sandbox);
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = read(&bytes);
    }

    #[test]
    fn reading_yaml_like_text_never_panics(text in "[-a-c0 \\n:\\[\\]{},&*!|>'\"#%?.~\\t\\r\u{e9}\u{2028}]{0,200}") {
        if let Ok(documents) = read(text.as_bytes()) {
            for document in documents {
                prop_assert!(document.line >= 1);
            }
        }
    }

    #[test]
    fn reading_mutated_specs_never_panics(at in 0usize..400, insert in "[-\\n:\\[\\]{},&*!|>'\"#%?~\\t ]{1,6}") {
        let mut text = format!("{HEAD}spec:\n  image: a\n  ports:\n  - containerPort: 80\n---\n{HEAD}");
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &insert);
        if let Ok(documents) = read(text.as_bytes()) {
            for problem in documents.into_iter().filter_map(|document| document.result.err()).flatten() {
                prop_assert!(!problem.to_string().chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn text_survives_writing_and_reading(value in "[ -~\\n]{0,24}") {
        let mut sandbox = spec("spec: {}\n");
        sandbox.spec.env = Some(vec![EnvVar { name: "A".into(), value: Some(value), ..EnvVar::default() }]);
        let text = to_yaml(&sandbox);
        prop_assert_eq!(one(&text).result, Ok(sandbox), "{}", text);
    }
}
