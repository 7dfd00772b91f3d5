//! A state directory as a daemon leaves it, and a way to run the command on it.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use jiff::{SignedDuration, Timestamp};

/// How a command ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A directory of its own for a test.
pub(crate) struct Host {
    directory: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    /// The status of a sandbox that runs since long ago.
    pub(crate) fn status(&self, name: &str) -> &Self {
        self.write(&format!("state/status/{name}.yaml"), &status(name, "True", "SandboxReady"))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare(arguments);
        command.env("SANDKEEPER_STATE", self.path().join("state")).current_dir(self.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        outcome(&mut self.command(arguments))
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        read(&child.wait_with_output().unwrap())
    }
}

/// The command without the settings of whoever runs the tests.
#[expect(clippy::disallowed_methods, reason = "a test of a program starts it")]
pub(crate) fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandkeeper"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SANDKEEPER_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn outcome(command: &mut Command) -> Outcome {
    read(&command.output().unwrap())
}

fn read(output: &std::process::Output) -> Outcome {
    Outcome {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// A time so long ago that its age reads `5d2h` for the next hour.
pub(crate) fn long_ago() -> String {
    ago(SignedDuration::from_hours(5 * 24 + 2))
}

/// A time that reads `7h` or `7h1m`.
pub(crate) fn ago(duration: SignedDuration) -> String {
    #[expect(clippy::disallowed_methods, reason = "ages are counted to the present")]
    let now = Timestamp::now();
    format!("{:.0}", now - duration)
}

pub(crate) fn status(name: &str, ready: &str, reason: &str) -> String {
    let then = long_ago();
    format!(
        "apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata:
  name: {name}
  uid: uid-of-{name}
  generation: 1
  creationTimestamp: {then}
spec:
  image: example/{name}:1
status:
  observedGeneration: 1
  conditions:
  - {{type: Ready, status: '{ready}', reason: {reason}, message: m, lastTransitionTime: {then}}}
  - {{type: UpToDate, status: 'True', reason: UpToDate, message: '', lastTransitionTime: {then}}}
  endpoints:
  - {{name: http, containerPort: 8080, protocol: TCP, hostIP: 127.0.0.1, hostPort: 8080, url: 'http://localhost:8080'}}
  container:
    engine: docker
    name: sandbox-{name}
    id: 0123456789abcdef
    state: running
    image: example/{name}:1
    imageID: sha256:abc
    restartCount: 0
  sourceFile: /specs/{name}.yaml
"
    )
}

/// A line of an event log.
pub(crate) fn event(sandbox: &str, reason: &str, at: &str) -> String {
    format!(
        r#"{{"sequence":1,"sandbox":"{sandbox}","type":"Normal","reason":"{reason}","message":"{reason} it","count":1,"firstAt":"{at}","lastAt":"{at}"}}
"#
    )
}
