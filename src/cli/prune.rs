//! `sandkeeper prune`: what the delete guard holds back, and the word that lets it go.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::Timestamp;

use super::console::Console;
use super::options::Options;
use crate::render::age::age;
use crate::render::count;
use crate::render::table::{Table, cell};
use crate::source::{self, Held};

/// Show the deletions that the delete guard holds back; with --yes, let them go
///
/// When many specs vanish at once, or a directory of specs vanishes or is replaced, sandkeeper deletes
/// nothing until the files return or somebody says that the loss is meant.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper prune
  sandkeeper prune --yes

Exit status: 0 also when nothing is held back, 1 error.")]
pub(crate) struct Args {
    /// Let every deletion shown go
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let state = options.load()?.state;
    let held = source::read_held(&state)
        .with_context(|| format!("the state in {} cannot be read", state.display()))?;
    if held.is_empty() {
        console.print("Nothing is held back.\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    console.print(&table(&held, console.now()))?;
    if args.yes {
        let uids: Vec<String> = held.iter().map(|held| held.uid.clone()).collect();
        source::request_prune(&state, &uids)
            .with_context(|| format!("the request cannot be left in {}", state.display()))?;
        console.print(&released(uids.len(), daemon_runs(&state)))?;
    } else {
        console.print(
            "\nBring the files back, or run `sandkeeper prune --yes` to remove these sandboxes.\n",
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn table(held: &[Held], now: Timestamp) -> String {
    let mut table = Table::new(&["NAME", "FILE", "SINCE", "WHY"]);
    for Held { name, uid: _, file, since, message } in held {
        table.row([
            cell(Some(name)),
            cell(Some(&file.display().to_string())),
            format!("{} ago", age(Some(*since), now)),
            cell(Some(message)),
        ]);
    }
    table.render()
}

fn released(number: usize, daemon_runs: bool) -> String {
    let released = count(number, "sandbox is", "sandboxes are");
    let when = if daemon_runs { "now" } else { "when it runs again" };
    format!(
        "\n{released} released: the daemon removes the containers {when}. Data on mounts stays.\n"
    )
}

fn daemon_runs(state: &Path) -> bool {
    matches!(crate::state::lock_holder(state), Ok(Some(_)))
}
