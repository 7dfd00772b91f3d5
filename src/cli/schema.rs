//! `sandkeeper schema` and `sandkeeper crd`: what may be written.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use super::console::Console;
use crate::config;
use crate::sandbox::schema;

/// Print the JSON schema of Sandbox specs or of the configuration file
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper schema > sandbox.schema.json
  sandkeeper schema config > config.schema.json

An editor with a YAML language server checks a file that starts with
  # yaml-language-server: $schema=sandbox.schema.json")]
pub(crate) struct Args {
    /// Schema of what
    #[arg(value_name = "WHAT", default_value = "sandbox")]
    of: Of,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    /// A Sandbox
    Sandbox,
    /// The configuration file
    Config,
}

pub(crate) fn run(args: &Args, console: &mut Console) -> Result<ExitCode> {
    let schema = match args.of {
        Of::Sandbox => schema::json_schema(),
        Of::Config => config::json_schema(),
    };
    console.print_json(&schema)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn crd(console: &mut Console) -> Result<ExitCode> {
    console.print(&schema::crd_yaml())?;
    Ok(ExitCode::SUCCESS)
}
