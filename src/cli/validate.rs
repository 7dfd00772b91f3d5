//! `sandkeeper validate`: what is wrong with specs, before a daemon sees them.

mod check;
mod input;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;
use serde_json::json;

use super::console::Console;
use super::options::Options;
use crate::config;
use crate::render::count;
use crate::render::problems::{Severity, line};
use check::{CheckedFile, Rules};

/// Check spec files
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper validate ./specs
  sandkeeper validate web.yaml db.yaml -o json
  generate-spec | sandkeeper validate -

Each problem is a line `file:line:column: field: message`. Of a directory, the files named *.yaml, *.yml
and *.json are checked. With --config, the specs are checked against that configuration's defaults, policy and
prefix; without, against the built-in ones, and a spec without an image, or with more than the built-in
policy allows, is only warned of.
Exit status: 0 valid, 1 any error.")]
pub(crate) struct Args {
    /// Files or directories; - reads standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<std::path::PathBuf>,

    /// Form of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(crate) fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let rules = rules(options)?;
    let mut files: Vec<CheckedFile> = Vec::new();
    for path in &args.paths {
        for input in input::read(path) {
            files.push(check::file(&input, &rules));
        }
    }
    check::refuse_duplicates(&mut files);
    match args.output {
        Output::Text => print_text(&files, console)?,
        Output::Json => print_json(&files, console)?,
    }
    let failed = number(&files, Severity::Error) > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// With `--config`, what that daemon would say; else the built-in defaults, whose missing image and whose
/// policy the daemon's configuration may well supply.
fn rules(options: &Options) -> Result<Rules> {
    if options.config.is_some() {
        return Ok(Rules {
            settings: options.load()?.settings(),
            assume_image: false,
            assume_policy: false,
        });
    }
    let layer = options.layer();
    let assume_policy = layer.policy.is_none();
    let mut settings = config::built_in(layer)?.settings();
    settings.defaults.image = Some("image".to_owned());
    Ok(Rules { settings, assume_image: true, assume_policy })
}

fn number(files: &[CheckedFile], severity: Severity) -> usize {
    files.iter().flat_map(|file| &file.findings).filter(|it| it.severity == severity).count()
}

fn print_text(files: &[CheckedFile], console: &mut Console) -> Result<()> {
    let mut text = String::new();
    for file in files {
        for finding in &file.findings {
            text += &line(&file.file, finding.severity, &finding.problem, console.style);
        }
    }
    console.print(&text)?;
    let sandboxes = files.iter().map(|file| file.sandboxes.len()).sum();
    console.note(&format!(
        "{} in {}: {}, {}.",
        count(sandboxes, "sandbox", "sandboxes"),
        count(files.len(), "file", "files"),
        count(number(files, Severity::Error), "error", "errors"),
        count(number(files, Severity::Warning), "warning", "warnings"),
    ));
    Ok(())
}

fn print_json(files: &[CheckedFile], console: &mut Console) -> Result<()> {
    Ok(console.print_json(&json!({
        "files": files,
        "errors": number(files, Severity::Error),
        "warnings": number(files, Severity::Warning),
    }))?)
}
