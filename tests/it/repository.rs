//! The repository as files: what the tests of documents and source tree read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What lies in the directory and is no part of the repository. In a linked worktree `.git` is a file.
const APART: [&str; 2] = [".git", "target"];

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The content of a file, by its path from the root.
pub(crate) fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a directory, sorted, by its path from the root.
pub(crate) fn files(below: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    collect(&root().join(below), &mut found);
    found.sort();
    found
}

fn collect(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if APART.iter().any(|apart| path.ends_with(apart)) {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(&path, found);
        } else {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}

/// Every Rust file below a directory.
pub(crate) fn rust_files(below: &str) -> Vec<PathBuf> {
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    files(below).into_iter().filter(is_rust).collect()
}

/// Whether modules that are compiled for tests only count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    Included,
    Left,
}

/// The files of the program itself: those of `src`, without modules for tests.
pub(crate) fn product() -> BTreeSet<PathBuf> {
    let product = modules(["src/lib.rs", "src/main.rs"].map(PathBuf::from), Tests::Left);
    assert!(product.len() > 100, "the walk over the modules lost its way: {product:?}");
    product
}

/// The files that are reached from these roots of crates, as the compiler reaches them.
pub(crate) fn modules(roots: impl IntoIterator<Item = PathBuf>, tests: Tests) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    for root in roots {
        let beside = root.parent().unwrap().to_owned();
        reach(&root, &beside, tests, &mut reached);
    }
    reached
}

/// Adds a file and the files of its modules, which lie in `folder` unless `#[path]` says otherwise.
fn reach(path: &Path, folder: &Path, tests: Tests, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(path.to_owned()) {
        return;
    }
    let (mut given, mut for_tests) = (None, false);
    for line in read(path).lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("#[path = \"") {
            let relative = rest.split('"').next().unwrap();
            given = Some(normalised(&path.parent().unwrap().join(relative)));
        } else if line == "#[cfg(test)]" {
            for_tests = true;
        } else if !line.starts_with("#[") {
            let file = given.take();
            let left = std::mem::take(&mut for_tests) && tests == Tests::Left;
            if let Some(name) = module_name(line).filter(|_| !left) {
                let file = file.unwrap_or_else(|| folder.join(format!("{name}.rs")));
                reach(&file, &file.with_extension(""), tests, reached);
            }
        }
    }
}

/// The name in `mod name;`, whatever its visibility.
fn module_name(line: &str) -> Option<&str> {
    let (visibility, name) = line.strip_suffix(';')?.rsplit_once("mod ")?;
    (visibility.is_empty() || visibility.starts_with("pub")).then_some(name)
}

/// Without `..`.
fn normalised(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path {
        if part == ".." {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// The part of a Markdown document below a heading (`## Fields`), up to the next of its rank or above.
pub(crate) fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let level = heading.bytes().take_while(|byte| *byte == b'#').count();
    let start = document.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let body = &document[start + heading.len() + 2..];
    let ends = |line: &str| {
        let rank = line.bytes().take_while(|byte| *byte == b'#').count();
        (1..=level).contains(&rank) && line[rank..].starts_with(' ')
    };
    let mut end = 0;
    for line in body.split_inclusive('\n') {
        if ends(line) {
            break;
        }
        end += line.len();
    }
    &body[..end]
}

/// The rows of every table in a part of a document, each with its cells; without heads and rules.
pub(crate) fn rows(part: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = part.lines().collect();
    let is_row = |line: &str| line.starts_with('|');
    let is_rule = |line: &str| line.starts_with("| ---") || line.starts_with("|---");
    let mut rows = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let is_head = lines.get(index + 1).is_some_and(|next| is_rule(next));
        if is_row(line) && !is_rule(line) && !is_head {
            rows.push(cells(line));
        }
    }
    assert!(!rows.is_empty(), "no table in {part:.100}");
    rows
}

/// The cells of a row. A bar after a backslash is text.
fn cells(row: &str) -> Vec<String> {
    const BAR: &str = "\u{0}";
    let row = row.replace("\\|", BAR);
    let inner = row.trim().trim_start_matches('|').trim_end_matches('|');
    inner.split('|').map(|cell| cell.trim().replace(BAR, "|")).collect()
}

/// What stands in backticks.
pub(crate) fn code(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// What stands in backticks in the first column of the tables of a part. Nothing may stand there twice.
#[track_caller]
pub(crate) fn first_column(part: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for row in rows(part) {
        for word in code(&row[0]) {
            assert!(found.insert(word.clone()), "{word} stands in the table twice");
        }
    }
    found
}
