//! ARCHITECTURE.md and docs/RELIABILITY.md name only what is there.

use std::collections::BTreeSet;

use crate::repository::{code, read, root, rust_files, section};

fn architecture() -> String {
    read("ARCHITECTURE.md")
}

fn reliability() -> String {
    read("docs/RELIABILITY.md")
}

/// Names of all functions in the source and the tests.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        for rest in read(&file).split("fn ").skip(1) {
            let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
            names.insert(rest[..end].to_owned());
        }
    }
    names
}

/// Whether a word looks like the name of a test: a sentence with underscores.
fn is_sentence(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.bytes().all(plain) && word.matches('_').count() >= 3
}

#[test]
fn every_test_that_they_name_exists() {
    let functions = functions();
    for document in [architecture(), reliability()] {
        let named: Vec<String> =
            code(&document).into_iter().filter(|word| is_sentence(word)).collect();
        assert!(named.len() > 20, "{named:?}");
        for name in named {
            assert!(functions.contains(&name), "{name} is no test");
        }
    }
}

#[test]
fn the_table_of_hostile_input_has_each_of_its_rows_once() {
    let document = reliability();
    let table = section(&document, "## Hostile input");
    let mut rows = Vec::new();
    for line in table.lines().filter_map(|line| line.strip_prefix("| ")) {
        let cell = line.split(" | ").next().unwrap();
        for part in cell.split(", ") {
            let ends: Vec<u8> = part.split('–').filter_map(|number| number.parse().ok()).collect();
            rows.extend(ends.first().into_iter().flat_map(|first| *first..=ends[ends.len() - 1]));
        }
    }
    assert_eq!(rows, (1..=52).collect::<Vec<u8>>());
}

#[test]
fn every_file_that_it_names_exists() {
    let document = architecture();
    let paths = code(&document).into_iter().filter(|word| {
        let top = ["src/", "tests/", "examples/", "manifests/"];
        top.iter().any(|top| word.starts_with(top)) && !word.contains(['*', '{', '<'])
    });
    for path in paths {
        assert!(root().join(&path).exists(), "{path}");
    }
}

#[test]
fn its_code_map_has_every_module_of_the_crate() {
    let document = architecture();
    let map: BTreeSet<String> = code(section(&document, "## Code map"))
        .iter()
        .map(|it| it.trim_end_matches('/').to_owned())
        .collect();
    for line in read("src/lib.rs").lines() {
        if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(map.contains(name), "{name} is not in the code map");
        }
    }
}
