//! `sandkeeper completions`: for the shell.

use std::process::ExitCode;

use anyhow::Result;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::console::Console;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper completions bash > /etc/bash_completion.d/sandkeeper
  sandkeeper completions zsh > \"${fpath[1]}/_sandkeeper\"
  sandkeeper completions fish > ~/.config/fish/completions/sandkeeper.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sandkeeper", &mut script);
    console.print_bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}
