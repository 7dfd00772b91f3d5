//! The configuration file: every key optional. Flags and environment come in the same shape, as a
//! layer above it. Doc comments become the descriptions in `manifests/config.schema.json`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{EngineChoice, HumanDuration, LogFormat, PolicyFile};
use crate::sandbox::yaml::read_typed;
use crate::sandbox::{Problem, ProblemReason, SandboxSpec};

/// sandkeeper's configuration, `/etc/sandkeeper/config.yaml` unless `--config` names another file.
/// Every key is optional; flags and environment variables override it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Config")]
pub struct ConfigFile {
    /// Directories of Sandbox specs, in order of precedence. A relative path starts at the configuration
    /// file's directory. Must lie outside `state`.
    pub specs: Option<Vec<PathBuf>>,
    /// Directory for everything that sandkeeper keeps. Default: /var/lib/sandkeeper.
    pub state: Option<PathBuf>,
    /// Container engine. Default: auto, the first that answers.
    pub engine: Option<EngineChoice>,
    /// Address of the engine: a socket's path, `unix://…` or `tcp://…`. Default: `DOCKER_HOST`, else the
    /// engine's own.
    pub socket: Option<String>,
    /// Program of Apple's `container`, for the engine `apple`. Default: `container`, on the `PATH`.
    pub apple_cli: Option<PathBuf>,
    /// First part of every container's name, a DNS-1123 label. Default: sandbox.
    #[schemars(length(min = 1, max = 57), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub container_prefix: Option<String>,
    /// Host ports that sandboxes are published on.
    pub ports: Option<PortsFile>,
    /// Fills what a Sandbox spec leaves out: any field of a Sandbox's `spec`.
    pub defaults: Option<SandboxSpec>,
    /// Container creations and starts under way at once. Default: twice the processors, at least 4.
    #[schemars(range(min = 1, max = 1000))]
    pub concurrency: Option<usize>,
    /// Time between two looks at everything, whatever the events say, for example `30s`. Default: 30s.
    pub resync: Option<HumanDuration>,
    /// A loss of more sandboxes than this at once is held back until `sandkeeper prune`; 0 switches the
    /// guard off. Default: 10.
    pub delete_guard: Option<usize>,
    /// What is logged, and how.
    pub log: Option<LogFile>,
    /// The ceiling: what no sandbox can have beyond this, whatever its spec says.
    pub policy: Option<PolicyFile>,
}

/// Host ports that sandboxes are published on.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Ports")]
pub struct PortsFile {
    /// First port that is allocated. Default: 8080.
    #[schemars(range(min = 1, max = 65535))]
    pub base: Option<u16>,
    /// How many ports there are to allocate. Default: 1000.
    #[schemars(range(min = 1, max = 65535))]
    pub count: Option<u16>,
    /// Address that ports bind to unless a spec says otherwise. Default: 127.0.0.1.
    pub bind: Option<IpAddr>,
    /// Host name or address under which URLs in the status name them. Default: localhost.
    pub advertise: Option<String>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Log")]
pub struct LogFile {
    /// error, warn, info, debug, trace, or filter directives as in `info,sandkeeper::source=debug`.
    /// Default: the variable `SANDKEEPER_LOG` or `RUST_LOG`, else info.
    pub level: Option<String>,
    /// Lines for people, in colours on a terminal (auto) or never (text), or one JSON object a line.
    /// Default: auto.
    pub format: Option<LogFormat>,
}

impl ConfigFile {
    /// Reads a configuration file's content. An empty file is an empty configuration.
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(content: &[u8]) -> Result<Self, Problem> {
        match read_typed(content) {
            Err(problem) if problem.reason == ProblemReason::Empty => Ok(Self::default()),
            outcome => outcome,
        }
    }

    /// Lets relative paths start at `directory`.
    #[must_use]
    pub fn relative_to(mut self, directory: &Path) -> Self {
        for path in self.specs.iter_mut().flatten().chain(&mut self.state) {
            *path = directory.join(&*path);
        }
        if let Some(policy) = &mut self.policy {
            policy.relative_to(directory);
        }
        self
    }

    /// This layer above another one: what is set here wins.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        let (ports, ports_below) =
            (self.ports.unwrap_or_default(), below.ports.unwrap_or_default());
        let (log, log_below) = (self.log.unwrap_or_default(), below.log.unwrap_or_default());
        Self {
            specs: self.specs.or(below.specs),
            state: self.state.or(below.state),
            engine: self.engine.or(below.engine),
            socket: self.socket.or(below.socket),
            apple_cli: self.apple_cli.or(below.apple_cli),
            container_prefix: self.container_prefix.or(below.container_prefix),
            ports: Some(PortsFile {
                base: ports.base.or(ports_below.base),
                count: ports.count.or(ports_below.count),
                bind: ports.bind.or(ports_below.bind),
                advertise: ports.advertise.or(ports_below.advertise),
            }),
            defaults: self.defaults.or(below.defaults),
            concurrency: self.concurrency.or(below.concurrency),
            resync: self.resync.or(below.resync),
            delete_guard: self.delete_guard.or(below.delete_guard),
            log: Some(LogFile {
                level: log.level.or(log_below.level),
                format: log.format.or(log_below.format),
            }),
            // As a whole: half a ceiling from each of two places is none that anybody wrote.
            policy: self.policy.or(below.policy),
        }
    }
}

/// The JSON schema of the configuration file.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(ConfigFile).to_value()
}
