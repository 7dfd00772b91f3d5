//! A daemon with mounts of its own: what a test mounts there is seen by nobody else and ends with the
//! daemon. A user namespace around it makes that possible without being root.

use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use super::{Daemon, World, until};

/// A running daemon in namespaces of its own.
pub(crate) struct Apart(Daemon);

impl Apart {
    /// Starts the daemon of a world there, after this shell script; `$1` is the folder of specs and `$2` the
    /// state directory.
    pub(crate) fn start(world: &World, script: &str) -> Self {
        let mut wrapper = Command::new("unshare");
        wrapper.args(["--user", "--map-root-user", "--mount", "sh", "-euc"]);
        wrapper.arg(format!("{script}\nshift 2; exec \"$@\"")).arg("sh");
        wrapper.arg(world.specs()).arg(world.state());
        let daemon = world.spawn(through(wrapper, &world.run_command()));
        // Before that its namespaces are those of the test, or the script is not done.
        let program = Path::new(env!("CARGO_BIN_EXE_sandkeeper"));
        let process = format!("/proc/{}/exe", daemon.id());
        until("the daemon itself runs", || match fs::read_link(&process) {
            Ok(running) if running == program => Ok(()),
            other => Err(format!("{other:?}; {}", world.log())),
        });
        Self(daemon)
    }

    /// Runs a shell script in them; `$1` and so on are the paths.
    #[track_caller]
    pub(crate) fn run(&self, script: &str, paths: &[&Path]) {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.0.id().to_string(), "--user", "--mount"]);
        command.args(["--preserve-credentials", "sh", "-euc", script, "sh"]).args(paths);
        let done = command.output().expect("nsenter is there: apt-get install util-linux");
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{script} {paths:?}: {errors}");
    }
}

impl Deref for Apart {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.0
    }
}

/// The same command, started by a wrapper.
pub(crate) fn through(mut wrapper: Command, command: &Command) -> Command {
    wrapper.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapper.env(name, value),
            None => wrapper.env_remove(name),
        };
    }
    wrapper
}
