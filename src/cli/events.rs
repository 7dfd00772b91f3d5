//! `sandkeeper events`: what happened.

use std::process::ExitCode;

use anyhow::Result;

use super::console::Console;
use super::lookup;
use super::options::Options;
use crate::render::events;

/// Show what happened to one sandbox, or to all, newest last
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper events
  sandkeeper events web

Events outlive their sandbox until the daemon drops them.
Exit status: 0 shown, 1 not found, or another error.")]
pub(crate) struct Args {
    /// Name of the sandbox [default: all]
    name: Option<String>,
}

pub(crate) fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let state = options.load()?.state;
    let sandboxes = lookup::sandboxes(&state)?;
    let mut events = crate::state::events::read_all(&state)?;
    let now = console.now();
    let table = match &args.name {
        None => events::merged(&events, console.style, now),
        Some(name) => {
            events.retain(|event| event.sandbox == *name);
            let known = sandboxes.iter().any(|it| it.metadata.name.as_ref() == Some(name));
            if !known && events.is_empty() {
                return Err(lookup::not_found(name, &sandboxes));
            }
            events::of_one(&events, console.style, now)
        }
    };
    if events.is_empty() {
        console.note("No events found.");
    } else {
        console.print(&table)?;
    }
    Ok(ExitCode::SUCCESS)
}
