//! Configuration: file, environment and flags → one validated [`Config`]. Flags win over the
//! environment, the environment over the file, the file over the defaults.
//!
//! [`ConfigFile`] is the form with everything optional (a file, or the flags); [`load()`] does the I/O;
//! `resolve` fills in and checks, and is pure.

mod duration;
mod file;
mod load;
mod policy;
mod resolve;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{Policy, Settings};
use crate::sandbox::{Problem, SandboxSpec};
pub use crate::telemetry::LogFormat;

pub use duration::HumanDuration;
pub use file::{ConfigFile, LogFile, PortsFile, json_schema};
pub use load::{ConfigError, DEFAULT_PATH, built_in, load};
pub use policy::{HostPathFile, PolicyFile, PortRuleFile, SeccompFile};

/// Everything that can be configured, with nothing left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Directories of specs, in order of precedence.
    pub specs: Vec<PathBuf>,
    /// Directory for everything that sandkeeper keeps.
    pub state: PathBuf,
    /// Engine to use.
    pub engine: EngineChoice,
    /// Address of the engine: a socket's path, `unix://…` or `tcp://…`. `None`: `DOCKER_HOST`, else the
    /// engine's own default.
    pub socket: Option<String>,
    /// Program of Apple's `container`. `None`: `container`, on the `PATH`.
    pub apple_cli: Option<PathBuf>,
    /// First part of every container's name.
    pub container_prefix: String,
    /// Host ports.
    pub ports: Ports,
    /// Fills what a spec leaves out.
    pub defaults: SandboxSpec,
    /// What no sandbox can have more of.
    pub policy: Policy,
    /// Container creations and starts under way at once.
    pub concurrency: usize,
    /// Time between two looks at everything, whatever the events say.
    pub resync: Duration,
    /// A loss of more sandboxes than this at once is held back; 0 switches the guard off.
    pub delete_guard: usize,
    /// What is logged, and how.
    pub log: Log,
}

/// Host ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// First port that is allocated.
    pub base: u16,
    /// How many there are to allocate.
    pub count: u16,
    /// Address they bind to.
    pub bind: IpAddr,
    /// Host under which `status.endpoints[].url` names them.
    pub advertise: String,
}

/// Which engine to use.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum EngineChoice {
    /// The first that answers.
    #[default]
    Auto,
    /// Docker.
    Docker,
    /// Podman, through its Docker-compatible socket.
    Podman,
    /// Apple's `container`.
    Apple,
}

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// A level, or `tracing` filter directives: `info`, or `info,sandkeeper::source=debug`. `None`:
    /// `SANDKEEPER_LOG` or `RUST_LOG`, else `info`.
    pub level: Option<String>,
    /// Form of the lines.
    pub format: LogFormat,
}

impl Config {
    /// What validation needs of the configuration.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            defaults: self.defaults.clone(),
            prefix: self.container_prefix.clone(),
            bind: self.ports.bind,
            policy: self.policy.clone(),
        }
    }

    /// The problem with a configuration that names no directory of specs, for the commands that need one.
    ///
    /// # Errors
    /// When [`Config::specs`] is empty.
    pub fn require_specs(&self) -> Result<(), ConfigError> {
        if self.specs.is_empty() {
            let message = "no directory of specs is given: use --specs DIR, the environment variable \
                           SANDKEEPER_SPECS, or `specs: [DIR]` in the configuration file";
            return Err(ConfigError::Invalid(vec![Problem::at_field("specs", message)]));
        }
        Ok(())
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            base: 8080,
            count: 1000,
            bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertise: "localhost".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
