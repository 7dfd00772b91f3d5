//! `sandkeeper plan`: what would be done.

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use super::console::Console;
use super::options::Options;
use crate::app::{self, PlanReport};
use crate::render::plan as render;

/// Show what would be done, and why; act on nothing
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper plan --specs ./specs
  sandkeeper plan -o json | jq '.sandboxes[] | select(.change != \"unchanged\")'

Signs: + create, -/+ replace, ~ update in place, - remove, ! held (something stands in the way), = as it
must be, with a note.

Exit status: 0 nothing to do (what is held back included), 2 changes are pending, 1 an error, or a spec
file that is not valid.")]
pub(crate) struct Args {
    /// Form of the output
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Text,
    Json,
}

pub(crate) async fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    let config = options.load()?;
    config.require_specs()?;
    let report = app::plan(&config).await?;
    match args.output {
        Output::Text => console.print(&render::text(&report, console.style))?,
        Output::Json => console.print_json(&render::json(&report))?,
    }
    Ok(exit_code(&report))
}

fn exit_code(report: &PlanReport) -> ExitCode {
    if report.files.iter().any(render::is_invalid) {
        ExitCode::FAILURE
    } else if render::Summary::of(report).has_changes() {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::PlannedSandbox;
    use crate::plan::{Cause, Plan, PlannedStep, Step};
    use crate::sandbox::{Problem, ProblemReason};
    use crate::source::FileReport;

    fn file(reason: ProblemReason) -> FileReport {
        FileReport {
            file: "web.yaml".into(),
            problems: vec![Problem::new(reason, "odd")],
            sandboxes: vec![],
            since: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn changing() -> PlannedSandbox {
        let step = PlannedStep { step: Step::Pull, cause: Cause::ImageNeeded, fields: vec![] };
        PlannedSandbox {
            plan: Plan { steps: vec![step], ..Plan::default() },
            ..PlannedSandbox::default()
        }
    }

    fn code(sandboxes: Vec<PlannedSandbox>, files: Vec<FileReport>) -> ExitCode {
        exit_code(&PlanReport { sandboxes, files, foreign: vec![] })
    }

    #[test]
    fn nothing_to_do_is_0_and_pending_changes_are_2() {
        assert_eq!(code(vec![PlannedSandbox::default()], vec![]), ExitCode::SUCCESS);
        assert_eq!(code(vec![changing()], vec![]), ExitCode::from(2));
    }

    #[test]
    fn an_invalid_file_is_1_whatever_else_is_pending() {
        assert_eq!(code(vec![changing()], vec![file(ProblemReason::Syntax)]), ExitCode::FAILURE);
    }

    #[test]
    fn a_file_that_is_being_written_is_no_error() {
        assert_eq!(code(vec![], vec![file(ProblemReason::Settling)]), ExitCode::SUCCESS);
    }
}
