//! `sandkeeper logs`: what a sandbox's container prints.

use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use futures::StreamExt as _;
use jiff::Timestamp;

use super::console::Console;
use super::lookup;
use super::options::Options;
use crate::app::open_engine;
use crate::config::HumanDuration;
use crate::engine::{Engine, LogOptions, OutputChunk};
use crate::plan::ContainerId;
use crate::sandbox::ContainerStatus;

/// Print what a sandbox's container printed
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper logs web --tail 100
  sandkeeper logs web -f --since 10m
  sandkeeper logs web --previous

A container that ends is started again in place, so its log holds the earlier runs too: --previous prints
what was written before the present start. A container that was replaced took its log with it.
Exit status: 0 printed, 1 not found, or another error.")]
pub(crate) struct Args {
    /// Name of the sandbox
    name: String,

    /// Go on as it grows, until the container ends
    #[arg(short, long)]
    follow: bool,

    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,

    /// Only the runs before the present one
    #[arg(short, long, conflicts_with = "follow")]
    previous: bool,

    /// Put the time before each line
    #[arg(long)]
    timestamps: bool,

    /// Only what is newer: a duration, as in 10m, or an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Since>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    Ago(HumanDuration),
    At(Timestamp),
}

fn parse_since(text: &str) -> Result<Since, String> {
    if let Ok(duration) = text.parse() {
        return Ok(Since::Ago(duration));
    }
    let refused = |_| "write a duration as 10m, or a time as 2025-11-24T03:00:00Z".to_owned();
    text.parse().map(Since::At).map_err(refused)
}

impl Since {
    fn time(self, now: Timestamp) -> Result<Timestamp> {
        match self {
            Self::At(time) => Ok(time),
            Self::Ago(HumanDuration(ago)) => {
                now.checked_sub(ago).map_err(|_| anyhow!("--since lies before all time"))
            }
        }
    }
}

pub(crate) async fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let config = options.load()?;
    let sandbox = lookup::sandbox(&config.state, &args.name)?;
    let container = lookup::container(&sandbox)?;
    if args.previous && !had_earlier_run(container) {
        bail!("sandbox {:?} has no earlier run: its container was started once", args.name);
    }
    let id = ContainerId(container.id.clone());
    let engine = open_engine(&config).await?;
    let until = if args.previous { Some(present_start(&*engine, &id).await?) } else { None };
    let since = args.since.map(|since| since.time(console.now())).transpose()?;
    let wanted = LogOptions {
        follow: args.follow,
        tail: args.tail,
        since,
        until,
        timestamps: args.timestamps,
    };
    let mut chunks = engine.logs(&id, &wanted).await?;
    while let Some(chunk) = chunks.next().await {
        match chunk? {
            OutputChunk::Stdout(bytes) => console.print_bytes(&bytes)?,
            OutputChunk::Stderr(bytes) => console.print_error_bytes(&bytes)?,
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn had_earlier_run(container: &ContainerStatus) -> bool {
    container.restart_count > 0 || container.last_termination.is_some()
}

/// When the present run began, from the engine: the status keeps whole seconds, a log nanoseconds.
async fn present_start(engine: &dyn Engine, id: &ContainerId) -> Result<Timestamp> {
    let inspected = engine.inspect(id).await?;
    let inspected = inspected
        .with_context(|| format!("the container {} is gone, and its log with it", id.short()))?;
    inspected.started_at.context("the container has never been started")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_reads_durations_and_times() {
        let now: Timestamp = "2025-11-24T03:00:00Z".parse().unwrap();
        let ten_minutes_ago = parse_since("10m").unwrap().time(now).unwrap();
        assert_eq!(ten_minutes_ago.to_string(), "2025-11-24T02:50:00Z");
        assert_eq!(parse_since("2025-11-24T03:00:00Z").unwrap(), Since::At(now));
        assert!(parse_since("yesterday").is_err());
    }

    #[test]
    fn a_container_that_was_started_once_has_no_earlier_run() {
        assert!(!had_earlier_run(&ContainerStatus::default()));
        assert!(had_earlier_run(&ContainerStatus {
            restart_count: 1,
            ..ContainerStatus::default()
        }));
    }
}
