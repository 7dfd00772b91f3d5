//! The files in `manifests/` are what the program prints.

use sandkeeper::sandbox::schema;

/// Compared line by line, so that a failure shows the first difference and not two whole files.
#[track_caller]
fn assert_printed(file: &str, printed: &str, regenerate: &str) {
    let path = format!("{}/manifests/{file}", env!("CARGO_MANIFEST_DIR"));
    let found = std::fs::read_to_string(&path).unwrap();
    for (number, (found, printed)) in (1..).zip(found.lines().zip(printed.lines())) {
        assert_eq!(found, printed, "manifests/{file}:{number} is out of date; run {regenerate}");
    }
    assert_eq!(found.len(), printed.len(), "manifests/{file} is out of date; run {regenerate}");
}

#[test]
fn the_crd_is_the_one_that_the_program_prints() {
    let regenerate = "cargo run -- crd > manifests/sandbox-crd.yaml";
    assert_printed("sandbox-crd.yaml", &schema::crd_yaml(), regenerate);
}

#[test]
fn the_editors_schema_is_the_one_that_the_program_prints() {
    let printed = format!("{:#}\n", schema::json_schema());
    let regenerate = "cargo run -- schema sandbox > manifests/sandbox.schema.json";
    assert_printed("sandbox.schema.json", &printed, regenerate);
}
