//! `sandkeeper doctor`: what is wrong with this host, and the mend. [`facts`] looks, [`checks`] judges.

mod checks;
mod facts;

use std::process::ExitCode;

use anyhow::Result;
use clap::ValueEnum;

use super::console::Console;
use super::options::Options;
use crate::app;
use crate::config::{Config, EngineChoice, built_in};
use crate::render::doctor::{Check, Level, text};
use crate::source;

/// Check this host: configuration, directories, engine, limits
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper doctor
  sandkeeper doctor -o json | jq '.[] | select(.level != \"OK\")'

Run it as the user that the daemon runs as. It changes nothing.
Exit status: 0 no FAIL, 1 any FAIL.")]
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
    let loaded = options.load();
    let mut all = vec![checks::configuration(options.config.as_deref(), &loaded)];
    // With a broken file the rest is checked as if there were none: one mistake hides no other.
    let config = match loaded {
        Ok(config) => config,
        Err(_) => built_in(options.layer())?,
    };
    all.extend(of_files(&config));
    all.extend(of_engine(&config).await);
    all.push(checks::ports(&config.ports, &facts::ports(&config.ports)));
    all.extend(checks::suid_mounts(&facts::suid_mounts(&config.state)));
    all.push(checks::clock(console.now(), facts::newest_status(&config.state)));
    all.extend(facts::service().map(checks::service));
    all.push(checks::daemon(&crate::state::lock_holder(&config.state)));
    match args.output {
        Output::Text => console.print(&text(&all, console.style))?,
        Output::Json => console.print_json(&all)?,
    }
    let failed = all.iter().any(|check| check.level == Level::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn of_files(config: &Config) -> Vec<Check> {
    let mut all = Vec::new();
    if config.specs.is_empty() {
        all.push(checks::no_specs());
    }
    for directory in &config.specs {
        let exposed = source::exposed(directory);
        all.push(checks::specs(directory, &facts::directory(directory), exposed));
    }
    all.extend(facts::inotify().map(|inotify| checks::inotify(&inotify, config.specs.len())));
    all.push(checks::state(&config.state, &facts::directory(&config.state)));
    all
}

async fn of_engine(config: &Config) -> Vec<Check> {
    let in_use = app::engine_in_use(config);
    let because = match (config.engine, &in_use) {
        (EngineChoice::Auto, _) if config.socket.is_some() => "its address is configured",
        (EngineChoice::Auto, Some(_)) => "it holds the containers of this state directory",
        (EngineChoice::Auto, None) => "the first that answers",
        _ => "it is configured",
    };
    let mut asked = Vec::new();
    for (candidate, outcome) in app::survey(config, in_use.as_ref()).await {
        let outcome = match outcome {
            Ok(engine) => engine.parts().await.map(|parts| (engine.kind(), parts)),
            Err(error) => Err(error),
        };
        let outcome = outcome.map_err(|error| error.to_string());
        asked.push(checks::Asked { candidate: candidate.to_string(), outcome });
    }
    checks::engines(&asked, because)
}
