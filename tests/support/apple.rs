//! A stand-in for Apple's `container`, one for each test: a link to the program in `tests/apple-container`
//! beside its settings. It runs its containers on the Docker engine, under names that no other test uses.
//! Include it with `#[path]`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

/// One stand-in and its world, which goes with it, also when the test panics.
pub(crate) struct StandIn {
    folder: tempfile::TempDir,
}

impl StandIn {
    /// A tool of this version whose service runs.
    pub(crate) fn new(version: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = tempfile::tempdir().expect("a folder");
        let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apple-container");
        for program in ["container", "shimctl"] {
            let link = folder.path().join(program);
            std::os::unix::fs::symlink(programs.join(program), link).expect("a link");
        }
        let settings = json!({
            "NS": format!("sandkeeper-test-{}-apple{count}", std::process::id()),
            "STATE": folder.path().join("state"),
            "TRACE": folder.path().join("trace"),
            "VERSION": version,
            "OFFLINE": "1",
        });
        std::fs::write(folder.path().join("shim.json"), settings.to_string()).expect("settings");
        Self { folder }
    }

    /// Path of the program.
    pub(crate) fn program(&self) -> PathBuf {
        self.folder.path().join("container")
    }

    /// What was run so far, a line each.
    pub(crate) fn trace(&self) -> Vec<Vec<String>> {
        let text = std::fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default();
        let words = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            serde_json::from_value(line["argv"].clone()).ok()
        };
        text.lines().filter_map(words).collect()
    }

    /// Switches faults, or makes something happen: `["set", "DOWN=1"]`, `["crash-apiserver"]`.
    pub(crate) fn control(&self, words: &[&str]) {
        succeed("shimctl", self.folder.path(), words);
    }

    /// The user's own use of the tool.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        succeed("container", self.folder.path(), words)
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // A failed clean-up must not hide why the test failed.
        let _ = run(&self.folder.path().join("shimctl"), &["purge"]);
    }
}

fn succeed(program: &str, folder: &Path, words: &[&str]) -> Output {
    let output = run(&folder.join(program), words).expect("python3 is there");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {words:?}: {told}");
    output
}

#[expect(clippy::disallowed_methods, reason = "a test is not the daemon")]
fn run(program: &Path, words: &[&str]) -> std::io::Result<Output> {
    Command::new(program).args(words).stdin(Stdio::null()).output()
}
