//! `sandkeeper describe`: one sandbox in full.

use std::process::ExitCode;

use anyhow::Result;

use super::console::Console;
use super::lookup;
use super::options::Options;
use crate::render::describe::describe;

/// Show everything about one sandbox: spec, conditions, container, events
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  sandkeeper describe web

Exit status: 0 shown, 1 not found, or another error.")]
pub(crate) struct Args {
    /// Name of the sandbox
    name: String,
}

pub(crate) fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let state = options.load()?.state;
    let sandbox = lookup::sandbox(&state, &args.name)?;
    let events = crate::state::events::read(&state, &args.name)?;
    console.print(&describe(&sandbox, &events, console.style, console.now()))?;
    lookup::note_if_stale(&state, console);
    Ok(ExitCode::SUCCESS)
}
