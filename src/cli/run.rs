//! `sandkeeper run`: the daemon.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use super::options::Options;
use crate::app::{self, RunOptions};
use crate::config::HumanDuration;
use crate::shutdown::{Shutdown, signals};
use crate::telemetry;

/// Keep the sandboxes as their specs say, until stopped
///
/// Watches the directories of specs and converges the containers. SIGTERM or SIGINT ends it once what is
/// under way is done; the containers keep running. A second signal ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper run --specs /etc/sandkeeper/specs
  sandkeeper run --specs ./specs --state ./state --once --timeout 2m

Exit status with --once: 0 every accepted sandbox is Ready, 1 not so within the timeout, or an error.")]
pub(crate) struct Args {
    /// Converge once, wait until every sandbox is Ready, and end
    #[arg(long)]
    once: bool,

    /// With --once: how long to wait [default: 60s]
    #[arg(long, value_name = "DURATION", requires = "once")]
    timeout: Option<HumanDuration>,

    /// Go from the engine that holds the containers to another one: stop them there first, and keep them
    ///
    /// Without it another engine than the one in use is refused. Nothing is removed from the old engine.
    #[arg(long)]
    migrate: bool,
}

const TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) async fn run(args: &Args, options: &Options) -> Result<ExitCode> {
    let config = options.load()?;
    config.require_specs()?;
    telemetry::init(config.log.format, config.log.level.as_deref())?;
    if let Err(error) = keep_memory_private() {
        tracing::warn!(%error, "A crash could leave secrets in a core dump: set ulimit -c 0.");
    }
    let timeout = args.timeout.map_or(TIMEOUT, |HumanDuration(timeout)| timeout);
    let shutdown = Shutdown::default();
    let follow = shutdown.clone().follow(signals().context("cannot listen for signals")?);
    let run =
        app::run(config, RunOptions { once: args.once, timeout, migrate: args.migrate }, shutdown);
    tokio::select! {
        code = run => code,
        // The stream of signals has no end; should it ever have one, the daemon is not told to stop.
        () = async { follow.await; std::future::pending().await } => Ok(ExitCode::FAILURE),
    }
}

/// Secrets pass through: no core dump of ours is written, and no other program of our user looks in.
#[cfg(target_os = "linux")]
fn keep_memory_private() -> std::io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Elsewhere there is no call for it.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "Linux can fail")]
fn keep_memory_private() -> std::io::Result<()> {
    Ok(())
}
