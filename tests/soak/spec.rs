//! Specs as the soak writes them: a writer of its own, which knows the product's README and not its code.
//! Every change that takes a new container has a number of its own, which the container's command shows.

use std::fmt::Write as _;
use std::path::Path;

use crate::docker::TEST_IMAGE;

/// An image that no engine has and that is refused at once: nothing listens on port 1.
const MISSING_IMAGE: &str = "127.0.0.1:1/sandkeeper-test/missing:1";

/// What the container does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    /// Waits.
    Idle,
    /// Serves HTTP on its port 8080.
    Serve,
    /// Ends at once.
    Crash,
}

/// One content of a spec file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Name of the sandbox.
    pub(crate) name: String,
    /// Number of the change that takes a new container.
    pub(crate) generation: u32,
    pub(crate) run: Run,
    /// Whether the image can be had.
    pub(crate) image: bool,
    pub(crate) memory_mib: i64,
    pub(crate) pids: i64,
    pub(crate) suspended: bool,
    /// Whether it has a mount, with a rule for permissions.
    pub(crate) mount: bool,
}

impl Spec {
    /// The document. `data` is the directory of all mounts.
    pub(crate) fn yaml(&self, data: &Path) -> String {
        let work = match self.run {
            Run::Idle => "exec sleep 100000",
            Run::Serve => "mkdir -p /tmp/www; exec httpd -f -p 8080 -h /tmp/www",
            Run::Crash => "exit 3",
        };
        let mut text = String::from("apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\n");
        let mut line = |line: String| writeln!(text, "{line}").expect("a string can be written");
        line(format!("metadata: {{name: {}}}", self.name));
        line("spec:".to_owned());
        let image = if self.image { TEST_IMAGE } else { MISSING_IMAGE };
        line(format!("  image: {image}"));
        let ports =
            if self.run == Run::Serve { "[{name: http, containerPort: 8080}]" } else { "[]" };
        line(format!("  ports: {ports}"));
        line("  terminationGracePeriodSeconds: 1".to_owned());
        let mode = if self.suspended { "Suspended" } else { "Running" };
        line(format!("  operatingMode: {mode}"));
        if self.mount {
            let host = data.join(&self.name);
            line(format!("  mounts: [{{hostPath: {}, mountPath: /data}}]", host.display()));
            line("  permissions:".to_owned());
            line("    - {path: /data/shared, mode: \"0770\", recursive: true}".to_owned());
        }
        line(format!("  command: [sh, -c, \"GEN={}; {work}\"]", self.generation));
        line(format!(
            "  resources: {{limits: {{memory: {}Mi, pids: {}}}}}",
            self.memory_mib, self.pids
        ));
        text
    }
}

/// The number in a container's command.
pub(crate) fn generation_in(command: &str) -> Option<u32> {
    let rest = command.split("GEN=").nth(1)?;
    let digits = rest.find(|it: char| !it.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}
