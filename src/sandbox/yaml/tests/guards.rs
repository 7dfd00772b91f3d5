//! What is refused before a typed parser sees it.

use std::fmt::Write as _;

use super::*;

#[test]
fn files_that_cannot_be_read_as_a_whole_say_why() {
    use ProblemReason::{Empty, Syntax, TooComplex, TooLarge};
    let deep = format!("{HEAD}x-deep: {}1{}\n", "[".repeat(40), "]".repeat(40));
    let list_of_lists = format!("x: \n{}", "- ".repeat(200));
    let many = "---\na: 1\n".repeat(65);
    let large = vec![b'a'; MAX_FILE_BYTES + 1];
    let wide = format!("[{}]", "1,".repeat(20_001));
    let table: &[(&[u8], ProblemReason, &str)] = &[
        (b"", Empty, "the file is empty, or has only comments"),
        (b"# nothing\n\n", Empty, "the file is empty, or has only comments"),
        (b"---\n---\n# nothing\n", Empty, "the file is empty, or has only comments"),
        (b"null\n", Empty, "the file is empty, or has only comments"),
        (b"a: \0\n", Syntax, "a NUL at byte offset 3; save the file as plain UTF-8 text"),
        (b"a: \xff\n", Syntax, "the file is not UTF-8 (byte offset 3); save it as UTF-8"),
        (b"\xff\xfea\0", Syntax, "the file is UTF-16 (byte offset 0); save it as UTF-8"),
        (b"a: 1\n\tb: 2\n", Syntax, "2:1: not YAML: indent with spaces, not with tabs"),
        (b"a: [1, 2\n", Syntax, "1:4: not YAML: unclosed bracket '['"),
        (b"a: \"x\n", Syntax, "1:4: not YAML: unclosed quote"),
        (
            b"%YAML 1.1\n---\na: 1\n",
            Syntax,
            "1:1: not YAML: directives (`%`) are not read; remove it",
        ),
        (&large, TooLarge, "the file is larger than 65536 bytes, the most that is read"),
        (
            deep.as_bytes(),
            TooComplex,
            "5:42: the file has more than 32 levels of nesting, the most that is read",
        ),
        (
            list_of_lists.as_bytes(),
            TooComplex,
            "2:63: the file has more than 32 levels of nesting, the most that is read",
        ),
        (
            many.as_bytes(),
            TooComplex,
            "129:1: the file has more than 64 documents, the most that is read",
        ),
        (
            wide.as_bytes(),
            TooComplex,
            "1:40002: the file has more than 20000 values, the most that is read",
        ),
    ];
    for (bytes, reason, message) in table {
        let problem = whole_file(bytes);
        assert_eq!((problem.reason, problem.to_string().as_str()), (*reason, *message));
    }
}

#[test]
fn a_bracket_bomb_is_counted_and_refused_before_any_parser() {
    for bomb in ["[", "{a: ", "[{a: "] {
        let text = format!("x: {}", bomb.repeat(65_000 / bomb.len()));
        let problem = whole_file(text.as_bytes());
        let brackets = text.bytes().filter(|byte| b"[{".contains(byte)).count();
        assert_eq!(problem.reason, ProblemReason::TooComplex);
        assert_eq!(
            problem.to_string(),
            format!("the file opens {brackets} brackets; at most 4096 are read")
        );
    }
    let quoted = format!("a: \"{}\"\nb: {}", "]".repeat(4000), "[".repeat(4000));
    assert_eq!(
        whole_file(quoted.as_bytes()).to_string(),
        "2:37: the file has more than 32 levels of nesting, the most that is read"
    );
}

#[test]
fn aliases_anchors_tags_and_merge_keys_are_refused_with_their_place() {
    let table = [
        ("spec: {image: &a x}\n", "5:18: anchors (`&name`) are not read; write the value out"),
        ("spec: {image: *a}\n", "5:15: aliases (`*name`) are not read; write the value out"),
        ("spec: {image: !!str x}\n", "5:21: tags (`!name`) are not read; remove it"),
        ("spec: {image: ! x}\n", "5:17: tags (`!name`) are not read; remove it"),
        ("spec: !!python/object {}\n", "5:23: tags (`!name`) are not read; remove it"),
        ("<<: {spec: {}}\n", "5:1: merge keys (`<<`) are not read; write the fields out"),
        ("? [a]\n: b\n", "5:3: a key must be text"),
    ];
    for (text, expected) in table {
        let problems = one(&format!("{HEAD}{text}")).result.unwrap_err();
        assert_eq!(problems[0].to_string(), expected);
        assert_eq!(problems[0].reason, ProblemReason::TooComplex);
    }
}

#[test]
fn an_alias_bomb_is_refused_by_the_scan() {
    let mut text = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (from, to) in "abcdefgh".chars().zip("bcdefghi".chars()) {
        writeln!(text, "{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}]").unwrap();
    }
    let problems = one(&text).result.unwrap_err();
    assert_eq!(problems[0].reason, ProblemReason::TooComplex);
    assert_eq!(problems.len(), MAX_PROBLEMS + 1, "the rest is only counted");
    assert_eq!(problems[MAX_PROBLEMS].to_string(), "and 29 more problems");
}

#[test]
fn characters_that_yaml_versions_read_differently_are_refused() {
    for character in ['\u{85}', '\u{2028}', '\u{2029}', '\u{feff}'] {
        let text = format!("{HEAD}spec: {{image: a}} # {character}x: &b [*b]\n");
        let problem = whole_file(text.as_bytes());
        assert_eq!(problem.reason, ProblemReason::Syntax);
        let code = format!("U+{:04X}", u32::from(character));
        assert!(problem.to_string().starts_with(&format!("5:1: the character {code} is")));
    }
    let sandbox = spec("spec: {env: [{name: A, value: \"a\\u2028b\"}]}\n");
    assert_eq!(sandbox.spec.env.unwrap()[0].value.as_deref(), Some("a\u{2028}b"));
}
