use super::*;

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    specs: Vec<String>,
    base_port: Option<u16>,
}

fn problem(text: &str) -> String {
    read_typed::<Settings>(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn other_yaml_is_read_into_its_type() {
    let read: Settings = read_typed(b"specs: [a]\nbasePort: 80\n").unwrap();
    assert_eq!(read, Settings { specs: vec!["a".to_owned()], base_port: Some(80) });
    assert_eq!(read_typed::<Settings>(b"# none\n").unwrap_err().reason, ProblemReason::Empty);
}

#[test]
fn errors_speak_yaml_and_name_the_place() {
    let table = [
        ("specs: [a]\nbaseport: 1\n", "2:1: unknown field \"baseport\"; did you mean basePort?"),
        ("specs: [a]\nother: 1\n", "2:1: unknown field \"other\"; known here: specs, basePort"),
        ("# one\nbasePort: 1\n", "2:1: specs: is required"),
        ("specs: a\n", "1:1: specs: must be a list, found text"),
        (
            "specs: [a]\nbasePort: 70000\n",
            "2:1: basePort: must be a whole number from 0 to 65535, found a number that does not fit",
        ),
        ("specs: [a]\nspecs: [b]\n", "2:1: specs: is set twice; the first time on line 1"),
        ("specs: &a [a]\n", "1:11: anchors (`&name`) are not read; write the value out"),
        (
            "specs: [a]\n---\nspecs: [a]\n",
            "3:1: a second document starts here; this file must have only one",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(problem(text), expected);
    }
}
