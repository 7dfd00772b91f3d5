//! Rules of the source tree that no compiler checks: which module may name what.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::repository::{Tests, files, modules, product, read, root, rust_files};

/// The lines of a file that are code, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Whether a line names a crate or module: `word::…`, or `use word;`.
fn names(line: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '.';
    line.match_indices(word).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + word.len()..]);
        let whole = !before.chars().next_back().is_some_and(is_part);
        whole && (after.starts_with("::") || before.ends_with("use "))
    })
}

/// A path below `src`, whether as the file of a module or below its folder.
fn is_of(path: &Path, module: &str) -> bool {
    let module = Path::new("src").join(module);
    path == module.with_extension("rs") || path.starts_with(module)
}

/// Fails for each line outside of these modules that names one of the words.
#[track_caller]
fn assert_only_in(modules: &[&str], words: &[&str]) {
    let mut found = Vec::new();
    for path in product() {
        if modules.iter().any(|module| is_of(&path, module)) {
            continue;
        }
        for (number, line) in code_lines(&read(&path)) {
            if words.iter().any(|word| names(line, word)) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "only {modules:?} may name {words:?}:\n{}", found.join("\n"));
}

/// Fails for each line of these modules that contains one of the texts.
#[track_caller]
fn assert_never_in(modules: &[&str], texts: &[&str]) {
    let mut found = Vec::new();
    for path in product() {
        if !modules.iter().any(|module| is_of(&path, module)) {
            continue;
        }
        let text = read(&path);
        // Unit tests at the end of a file may do what the module may not.
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in code_lines(code) {
            if texts.iter().any(|text| line.contains(text)) {
                found.push(format!("{}:{number}: {}", path.display(), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{modules:?} may not name {texts:?}:\n{}", found.join("\n"));
}

#[test]
fn yaml_is_read_and_written_in_one_place() {
    assert_only_in(&["sandbox/yaml"], &["serde_yaml", "granit_parser"]);
}

#[test]
fn the_docker_client_is_named_by_the_docker_engine_only() {
    assert_only_in(&["engine/docker"], &["bollard"]);
}

#[test]
fn the_watcher_of_files_is_named_by_the_watch_only() {
    assert_only_in(&["source/watch"], &["notify"]);
}

#[test]
fn only_apples_engine_starts_processes() {
    for path in product().into_iter().filter(|path| !is_of(path, "engine/apple/run")) {
        let text = read(&path);
        for (number, line) in code_lines(&text) {
            let starts = ["tokio::process", "process::Command"].iter().any(|it| line.contains(it));
            assert!(!starts, "{}:{number}: {line}", path.display());
        }
    }
}

#[test]
fn the_work_queue_is_named_by_the_controllers_shell_only() {
    let shell = ["app", "controller/feed", "controller/reconcile", "controller/resync", "source"];
    let mut found = Vec::new();
    for path in product() {
        if path == Path::new("src/controller.rs") || shell.iter().any(|it| is_of(&path, it)) {
            continue;
        }
        let text = read(&path);
        let names_it = |line: &str| names(line, "kube_runtime") || line.contains("kube::runtime");
        let lines = code_lines(&text).filter(|(_, line)| names_it(line));
        found.extend(lines.map(|(number, line)| format!("{}:{number}: {line}", path.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_decides_does_no_io_reads_no_clock_and_logs_nothing() {
    let io = [
        "tokio",
        "tracing::",
        "std::fs",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "TcpListener",
        "TcpStream",
        "UdpSocket",
        "Instant::now",
        "Timestamp::now",
        "clock::",
    ];
    assert_never_in(&["plan", "sandbox", "source/changes", "source/trust"], &io);
}

/// What each module may name of the others. The order is that of the layers: a module names none that
/// comes after it.
const LAYERS: [(&str, &[&str]); 16] = [
    ("clock", &[]),
    ("sandbox", &[]),
    ("telemetry", &["sandbox"]),
    ("shutdown", &[]),
    ("systemd", &["sandbox"]),
    ("plan", &["sandbox"]),
    ("config", &["plan", "sandbox", "telemetry"]),
    ("engine", &["clock", "plan", "sandbox"]),
    ("ports", &["config", "plan", "sandbox"]),
    ("source", &["clock", "sandbox"]),
    ("state", &["clock", "engine", "plan", "sandbox", "source"]),
    ("controller", &["clock", "engine", "plan", "ports", "sandbox", "source", "state", "systemd"]),
    (
        "app",
        &[
            "clock",
            "config",
            "controller",
            "engine",
            "plan",
            "ports",
            "sandbox",
            "shutdown",
            "source",
            "state",
            "systemd",
        ],
    ),
    ("render", &["app", "plan", "sandbox", "source", "state"]),
    (
        "cli",
        &[
            "app",
            "clock",
            "config",
            "engine",
            "plan",
            "render",
            "sandbox",
            "shutdown",
            "source",
            "state",
            "telemetry",
        ],
    ),
    ("main", &["cli"]),
];

#[test]
fn dependencies_run_one_way() {
    for (index, (module, allowed)) in LAYERS.iter().enumerate() {
        let below: BTreeSet<&str> = LAYERS[..index].iter().map(|(name, _)| *name).collect();
        let upwards: Vec<_> = allowed.iter().filter(|name| !below.contains(**name)).collect();
        assert!(upwards.is_empty(), "{module} names {upwards:?}, which come after it");
        let own = if *module == "main" { "sandkeeper::" } else { "crate::" };
        for path in product().into_iter().filter(|it| is_of(it, module)) {
            let text = read(&path);
            for (number, line) in code_lines(&text) {
                for other in crate_paths(line, own) {
                    let fine = other == *module || allowed.contains(&other);
                    assert!(fine, "{}:{number}: {module} names {other}", path.display());
                }
            }
        }
    }
}

/// The modules of this crate that a line names, by the crate's name inside it or outside.
fn crate_paths<'a>(line: &'a str, name: &str) -> Vec<&'a str> {
    let is_part = |letter: char| letter.is_ascii_lowercase() || letter == '_';
    let paths = line.split(name).skip(1);
    let first = paths.map(|rest| &rest[..rest.find(|it| !is_part(it)).unwrap_or(rest.len())]);
    first.filter(|name| !name.is_empty()).collect()
}

#[test]
fn every_module_is_in_a_layer() {
    for line in read("src/lib.rs").lines() {
        if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            assert!(LAYERS.iter().any(|(layer, _)| *layer == name), "{name}");
        }
    }
}

#[test]
fn every_module_says_first_what_it_owns() {
    for path in product() {
        assert!(read(&path).starts_with("//! "), "{} has no module doc", path.display());
    }
}

/// A file that no `mod` names is never compiled, and nobody notices.
#[test]
fn no_rust_file_is_an_orphan() {
    let roots = rust_files("tests").into_iter().filter(|path| path.ends_with("main.rs"));
    let roots = roots.chain(
        ["src/lib.rs", "src/main.rs", "tests/bench/engine.rs", "tests/soak/soak.rs"]
            .map(PathBuf::from),
    );
    let targets = ["yaml", "plan", "engine"].map(|name| format!("tests/fuzz/targets/{name}.rs"));
    let roots = roots.chain(targets.map(PathBuf::from));
    let reached = modules(roots, Tests::Included);
    let all: BTreeSet<PathBuf> = rust_files("src").into_iter().chain(rust_files("tests")).collect();
    let orphans: Vec<_> = all.difference(&reached).collect();
    assert!(orphans.is_empty(), "no `mod` names {orphans:?}");
}

/// A path of the machine that something was written on is of no use on any other.
#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    let foreign = format!("/{}/", "work");
    for path in files("") {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        assert!(!text.contains(&foreign), "{} names {foreign}", path.display());
    }
}
