//! `sandkeeper get`: the sandboxes at a glance.

mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use super::console::Console;
use super::lookup;
use super::options::Options;
use crate::render::sandboxes::{Columns, files, table};
use crate::sandbox::Sandbox;
use crate::sandbox::yaml::to_yaml;

/// List the sandboxes, or one of them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper get
  sandkeeper get -o wide
  sandkeeper get web -o json | jq -r '.status.endpoints[0].url'
  sandkeeper get --watch

Files that are not valid are listed below the table. --watch looks for changes every 0.3 s.
Exit status: 0 shown, 1 not found, or another error.")]
pub(crate) struct Args {
    /// Name of the sandbox [default: all]
    name: Option<String>,

    /// Form of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: Output,

    /// Print changes as they come, until interrupted
    #[arg(short, long)]
    watch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// What one usually wants
    Table,
    /// More columns
    Wide,
    /// The objects, as JSON
    Json,
    /// The objects, as YAML
    Yaml,
}

impl Output {
    fn columns(self) -> Columns {
        if self == Self::Wide { Columns::Wide } else { Columns::Usual }
    }
}

pub(crate) async fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let state = options.load()?.state;
    if args.watch {
        return watch::run(args, &state, console).await;
    }
    let Some(name) = &args.name else {
        let sandboxes = lookup::sandboxes(&state)?;
        print_all(&sandboxes, args.output, console)?;
        if matches!(args.output, Output::Table | Output::Wide) {
            print_files(
                &files(&crate::state::status::read_files(&state)?),
                sandboxes.is_empty(),
                console,
            )?;
            lookup::note_if_stale(&state, console);
        }
        return Ok(ExitCode::SUCCESS);
    };
    let sandbox = lookup::sandbox(&state, name)?;
    print_one(&sandbox, args.output, console)?;
    if matches!(args.output, Output::Table | Output::Wide) {
        lookup::note_if_stale(&state, console);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_all(sandboxes: &[Sandbox], output: Output, console: &mut Console) -> Result<()> {
    match output {
        Output::Json => console.print_json(&list(sandboxes))?,
        Output::Yaml => console.print(&to_yaml(&list(sandboxes)))?,
        Output::Table | Output::Wide if sandboxes.is_empty() => console.note("No sandboxes found."),
        Output::Table | Output::Wide => {
            console.print(&table(sandboxes, output.columns(), console.style, console.now()))?;
        }
    }
    Ok(())
}

fn print_one(sandbox: &Sandbox, output: Output, console: &mut Console) -> Result<()> {
    match output {
        Output::Json => console.print_json(sandbox)?,
        Output::Yaml => console.print(&to_yaml(sandbox))?,
        Output::Table | Output::Wide => {
            let sandboxes = std::slice::from_ref(sandbox);
            console.print(&table(sandboxes, output.columns(), console.style, console.now()))?;
        }
    }
    Ok(())
}

/// Several objects as `kubectl get -o json` wraps them.
fn list(sandboxes: &[Sandbox]) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "List",
        "metadata": { "resourceVersion": "" },
        "items": sandboxes,
    })
}

/// The files with problems, apart from the table above them.
fn print_files(files: &str, alone: bool, console: &mut Console) -> Result<()> {
    if !files.is_empty() {
        console.print(&format!("{}{files}", if alone { "" } else { "\n" }))?;
    }
    Ok(())
}
