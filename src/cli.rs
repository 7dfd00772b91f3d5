//! The command line: what can be asked, and which command answers. Each command is a file below; it
//! reads, calls [`crate::render`] for the text, prints and returns an exit code.
//!
//! Exit codes: 0 done, 1 error (of usage too, so that for `plan` a typing mistake cannot pass for
//! changes), 2 only from `plan`: changes are pending. `exec` passes on the code of its command.

mod completions;
mod console;
mod describe;
mod doctor;
mod events;
mod exec;
mod get;
mod logs;
mod lookup;
mod options;
mod plan;
mod prune;
mod run;
mod schema;
mod terminal;
mod validate;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use console::Console;
use options::Options;

/// A folder of Sandbox specs, kept true.
///
/// sandkeeper watches directories of YAML Sandbox specs and keeps the containers of this host as they say.
#[derive(Debug, Parser)]
#[command(name = "sandkeeper", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sandkeeper validate ./specs              check specs before they are dropped into place
  sandkeeper plan --specs ./specs          what would be done, and why
  sandkeeper run --specs ./specs           keep it so, until stopped
  sandkeeper get --watch                   the sandboxes, as they change
  sandkeeper describe web                  everything about one of them
  sandkeeper exec -it web -- sh            a shell in it

Exit status: 0 success, 1 error (of usage too), 2 only from `plan`: changes are pending.
Options can also be set in the environment or in /etc/sandkeeper/config.yaml; `--help` lists all.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Plan(plan::Args),
    Validate(validate::Args),
    Get(get::Args),
    Describe(describe::Args),
    Events(events::Args),
    Logs(logs::Args),
    Exec(exec::Args),
    Schema(schema::Args),
    /// Print the custom resource definition of Sandbox, for a Kubernetes cluster
    Crd,
    Prune(prune::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
}

/// Runs the command that the arguments name and returns its exit code.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let failed = error.use_stderr();
            let _ = error.print();
            return if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let mut console = Console::of_process();
    match execute(&cli, &mut console) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            console.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn execute(cli: &Cli, console: &mut Console) -> anyhow::Result<ExitCode> {
    let runtime = runtime(&cli.command)?;
    let code = runtime.block_on(dispatch(cli, console));
    // A read of standard input may still block its thread; there is nothing of ours to wait for.
    runtime.shutdown_background();
    code
}

/// The daemon uses every processor; the other commands live too briefly to start threads.
fn runtime(command: &Command) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = match command {
        Command::Run(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    builder.enable_all().build()
}

async fn dispatch(cli: &Cli, console: &mut Console) -> anyhow::Result<ExitCode> {
    let options = &cli.options;
    match &cli.command {
        Command::Run(args) => run::run(args, options).await,
        Command::Plan(args) => plan::run(args, options, console).await,
        Command::Validate(args) => validate::run(args, options, console),
        Command::Get(args) => get::run(args, options, console).await,
        Command::Describe(args) => describe::run(args, options, console),
        Command::Events(args) => events::run(args, options, console),
        Command::Logs(args) => logs::run(args, options, console).await,
        Command::Exec(args) => exec::run(args, options, console).await,
        Command::Schema(args) => schema::run(args, console),
        Command::Crd => schema::crd(console),
        Command::Prune(args) => prune::run(args, options, console),
        Command::Doctor(args) => doctor::run(args, options, console).await,
        Command::Completions(args) => completions::run(args, console),
    }
}

/// Whoever reads our output has had enough, as `head` has: no reason to complain.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests;
