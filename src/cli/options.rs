//! One flag and one environment variable for every key of the configuration, as a layer above the file.
#![expect(clippy::doc_markdown, reason = "these comments are the help texts, which are plain")]

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Result;

use crate::config::{
    Config, ConfigFile, EngineChoice, HumanDuration, LogFile, LogFormat, PolicyFile, PortsFile,
    load,
};

const WHERE: &str = "Configuration";
const HOW: &str = "Settings of the daemon";

/// Options of every command. The short help shows those that are needed daily.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Configuration file [default: /etc/sandkeeper/config.yaml, if it exists]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SANDKEEPER_CONFIG",
        hide_env_values = true,
        help_heading = WHERE
    )]
    pub(crate) config: Option<PathBuf>,

    /// Directory of specs; may be given several times, or as DIR:DIR, in order of precedence
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        value_delimiter = ':',
        env = "SANDKEEPER_SPECS",
        hide_env_values = true,
        help_heading = WHERE
    )]
    specs: Vec<PathBuf>,

    /// Directory for everything that sandkeeper keeps [default: /var/lib/sandkeeper]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SANDKEEPER_STATE",
        hide_env_values = true,
        help_heading = WHERE
    )]
    state: Option<PathBuf>,

    /// Container engine [default: auto, the first that answers]
    #[arg(
        long,
        global = true,
        value_name = "ENGINE",
        env = "SANDKEEPER_ENGINE",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = WHERE
    )]
    engine: Option<EngineChoice>,

    /// Address of the engine: a socket's path, unix://PATH or tcp://HOST:PORT [default: DOCKER_HOST,
    /// else the engine's own]
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "SANDKEEPER_SOCKET",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = WHERE
    )]
    socket: Option<String>,

    /// Program of Apple's container, for the engine apple [default: container, on the PATH]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "SANDKEEPER_APPLE_CLI",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = WHERE
    )]
    apple_cli: Option<PathBuf>,

    /// First part of every container's name [default: sandbox]
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        env = "SANDKEEPER_PREFIX",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    prefix: Option<String>,

    /// First host port that is allocated [default: 8080]
    #[arg(
        long,
        global = true,
        value_name = "PORT",
        env = "SANDKEEPER_PORTS_BASE",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    ports_base: Option<u16>,

    /// How many host ports there are to allocate [default: 1000]
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "SANDKEEPER_PORTS_COUNT",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    ports_count: Option<u16>,

    /// Address that host ports bind to [default: 127.0.0.1]
    #[arg(
        long,
        global = true,
        value_name = "IP",
        env = "SANDKEEPER_PORTS_BIND",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    ports_bind: Option<IpAddr>,

    /// Host under which URLs name the ports [default: localhost]
    #[arg(
        long,
        global = true,
        value_name = "HOST",
        env = "SANDKEEPER_PORTS_ADVERTISE",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    ports_advertise: Option<String>,

    /// What no sandbox can have more of: the whole key `policy`, in YAML or JSON
    #[arg(
        long,
        global = true,
        value_name = "YAML",
        env = "SANDKEEPER_POLICY",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    policy: Option<PolicyFile>,

    /// Container creations and starts under way at once [default: twice the processors, at least 4]
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "SANDKEEPER_CONCURRENCY",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    concurrency: Option<usize>,

    /// Time between two looks at everything, whatever the events say [default: 30s]
    #[arg(
        long,
        global = true,
        value_name = "DURATION",
        env = "SANDKEEPER_RESYNC",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    resync: Option<HumanDuration>,

    /// Hold back a loss of more sandboxes than this at once; 0 never does [default: 10]
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "SANDKEEPER_DELETE_GUARD",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    delete_guard: Option<usize>,

    /// error, warn, info, debug, trace, or directives as in info,sandkeeper::source=debug
    /// [default: SANDKEEPER_LOG or RUST_LOG, else info]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "SANDKEEPER_LOG_LEVEL",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    log_level: Option<String>,

    /// Form of the log [default: auto]
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "SANDKEEPER_LOG_FORMAT",
        hide_env_values = true,
        hide_short_help = true,
        help_heading = HOW
    )]
    log_format: Option<LogFormat>,
}

impl Options {
    /// The configuration: these options above the file.
    pub(crate) fn load(&self) -> Result<Config> {
        Ok(load(self.config.as_deref(), self.layer())?)
    }

    /// The options as a layer of configuration.
    pub(crate) fn layer(&self) -> ConfigFile {
        let given = self.clone();
        ConfigFile {
            specs: (!given.specs.is_empty()).then_some(given.specs),
            state: given.state,
            engine: given.engine,
            socket: given.socket,
            apple_cli: given.apple_cli,
            container_prefix: given.prefix,
            ports: Some(PortsFile {
                base: given.ports_base,
                count: given.ports_count,
                bind: given.ports_bind,
                advertise: given.ports_advertise,
            }),
            policy: given.policy,
            concurrency: given.concurrency,
            resync: given.resync,
            delete_guard: given.delete_guard,
            log: Some(LogFile { level: given.log_level, format: given.log_format }),
            ..ConfigFile::default()
        }
    }
}
