//! `sandkeeper validate`.

use crate::fixture::Host;

fn spec(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata:\n  name: {name}\nspec: {spec}\n"
    )
}

#[test]
fn good_specs_are_counted_on_standard_error() {
    let host = Host::new();
    host.write("specs/a.yaml", &spec("a", "{image: x}"));
    host.write("specs/b.yml", &spec("b", "{image: x}"));
    host.write("specs/notes.txt", "not a spec");
    let checked = host.run(&["validate", "specs"]);
    assert_eq!((checked.code, checked.out.as_str()), (0, ""));
    assert_eq!(checked.err, "2 sandboxes in 2 files: 0 errors, 0 warnings.\n");
}

#[test]
fn an_error_has_file_line_and_column_and_exits_1() {
    let host = Host::new();
    host.write("web.yaml", &spec("web", "{image: x, imag: y}"));
    let checked = host.run(&["validate", "web.yaml"]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("web.yaml:5:"), "{}", checked.out);
    assert!(checked.out.contains("imag"), "{}", checked.out);
    assert!(checked.err.contains("1 error,"), "{}", checked.err);
}

#[test]
fn a_missing_image_is_a_warning_without_a_configuration() {
    let host = Host::new();
    host.write("web.yaml", &spec("web", "{}"));
    let checked = host.run(&["validate", "web.yaml"]);
    assert_eq!(checked.code, 0);
    assert!(checked.out.contains(" warning: spec.image: no image: relies on"), "{}", checked.out);
}

#[test]
fn a_name_that_two_files_declare_is_an_error() {
    let host = Host::new();
    host.write("a.yaml", &spec("web", "{image: x}")).write("b.yaml", &spec("web", "{image: x}"));
    let checked = host.run(&["validate", "a.yaml", "b.yaml"]);
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("b.yaml:"), "{}", checked.out);
    assert!(checked.out.contains("declared in a.yaml already"), "{}", checked.out);
}

#[test]
fn standard_input_can_be_checked() {
    let checked = Host::new().run_with_input(&["validate", "-"], &spec("web", "{imag: y}"));
    assert_eq!(checked.code, 1);
    assert!(checked.out.starts_with("<stdin>:5:"), "{}", checked.out);
}

#[test]
fn json_holds_every_problem_and_the_counts() {
    let host = Host::new();
    host.write("web.yaml", &spec("web", "{imag: y}"));
    let checked = host.run(&["validate", "-o", "json", "web.yaml"]);
    assert_eq!(checked.code, 1);
    let json: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!(json["errors"], 1);
    assert_eq!(json["files"][0]["file"], "web.yaml");
    assert_eq!(json["files"][0]["problems"][0]["severity"], "error");
    assert_eq!(json["files"][0]["problems"][0]["line"], 5);
}

#[test]
fn a_path_that_is_not_there_or_holds_no_spec_is_an_error() {
    let host = Host::new();
    host.write("empty/readme.txt", "");
    for path in ["nowhere.yaml", "empty"] {
        let checked = host.run(&["validate", path]);
        assert_eq!(checked.code, 1, "{path}");
        assert!(checked.out.starts_with(&format!("{path}: ")), "{}", checked.out);
    }
}

#[test]
fn a_broken_configuration_is_an_error_with_its_place() {
    let host = Host::new();
    host.write("c.yaml", "state: /x\nspecz: []\n").write("web.yaml", &spec("web", "{image: x}"));
    let checked = host.run(&["validate", "--config", "c.yaml", "web.yaml"]);
    assert_eq!(checked.code, 1);
    assert!(checked.err.starts_with("error: c.yaml:2:1: "), "{}", checked.err);
}
