//! The seeded bugs of `tests/seeded` still fit the source, and each names tests that exist.

use std::path::PathBuf;

use crate::repository::{files, read, rust_files};

fn patches() -> Vec<PathBuf> {
    let is_patch = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "patch");
    files("tests/seeded").into_iter().filter(is_patch).collect()
}

/// The lines that each hunk expects to find.
fn expected(patch: &str) -> Vec<String> {
    let mut hunks: Vec<String> = Vec::new();
    for line in patch.lines().skip_while(|line| !line.starts_with("@@")) {
        if line.starts_with("@@") {
            hunks.push(String::new());
        } else if let Some(text) = line.strip_prefix(['-', ' ']) {
            let hunk = hunks.last_mut().unwrap();
            hunk.push_str(text);
            hunk.push('\n');
        }
    }
    hunks
}

#[test]
fn every_seeded_bug_still_applies() {
    let patches = patches();
    assert!(patches.len() >= 12, "{patches:?}");
    for path in patches {
        let patch = read(&path);
        let target = patch.lines().find_map(|line| line.strip_prefix("--- a/")).unwrap();
        let source = read(target);
        let hunks = expected(&patch);
        assert!(!hunks.is_empty(), "{} changes nothing", path.display());
        for hunk in hunks {
            let found = source.matches(&hunk).count();
            assert_eq!(found, 1, "{}: {target} holds this {found} times:\n{hunk}", path.display());
        }
    }
}

#[test]
fn every_seeded_bug_says_what_it_is_and_which_tests_find_it() {
    let sources: Vec<String> = rust_files("src").iter().map(read).collect();
    for path in patches() {
        let patch = read(&path);
        assert!(patch.starts_with("# "), "{} does not say what it is", path.display());
        let tests: Vec<_> = patch.lines().filter_map(|it| it.strip_prefix("Found-by: ")).collect();
        assert!(!tests.is_empty(), "{} names no test", path.display());
        for test in tests {
            let name = test.rsplit("::").next().unwrap();
            let signature = format!("fn {name}(");
            let exists = sources.iter().any(|source| source.contains(&signature));
            assert!(exists, "{}: {test} is no test", path.display());
        }
    }
}
