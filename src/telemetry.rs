//! Logs on standard error: sentences for people, or one JSON object a line. Owns the process's subscriber
//! and nothing else. What users or engines wrote cannot forge a line or steer a terminal, and the engine
//! client's own records stay at INFO, since below that they print whole requests with their environment.

mod render;

use std::io::IsTerminal;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// Environment variables that hold a filter, the first that is set.
const VARIABLES: [&str; 2] = ["SANDKEEPER_LOG", "RUST_LOG"];
/// Targets that never log below INFO, whatever the filter says.
const CAPPED: [&str; 6] = ["bollard", "h2", "hyper", "hyper_util", "hyperlocal", "tower"];

/// Shape of the log.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text, in colours on a terminal.
    #[default]
    Auto,
    /// Text without colours.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not understood.
    #[error(
        "{origin}: {filter:?} is no log filter ({source}); write a level (info), or levels by module \
         (info,sandkeeper::source=debug)"
    )]
    Filter {
        /// Where it came from.
        origin: &'static str,
        /// The filter.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process logs already.
    #[error("logging has been started twice")]
    Started(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error, once per process. The filter is this one, else that of the first of
/// `SANDKEEPER_LOG` and `RUST_LOG` that is set, else `info`.
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<(), TelemetryError> {
    let (origin, text) = chosen_filter(filter, |name| std::env::var(name).ok());
    let filter = parse_filter(origin, text)?;
    let colours = format == LogFormat::Auto
        && std::io::stderr().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Ok(subscriber(format, colours, filter, std::io::stderr).try_init()?)
}

fn chosen_filter(
    given: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> (&'static str, String) {
    if let Some(filter) = given {
        return ("log filter", filter.to_owned());
    }
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
    VARIABLES.into_iter().find_map(set).unwrap_or(("default", "info".to_owned()))
}

fn parse_filter(origin: &'static str, filter: String) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().with_regex(false).parse(&filter).map_err(|source| TelemetryError::Filter {
        origin,
        filter,
        source,
    })
}

fn subscriber<W>(
    format: LogFormat,
    colours: bool,
    filter: EnvFilter,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let cap: FilterFn = filter_fn(within_cap);
    let output: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Json => Box::new(render::json(writer)),
        LogFormat::Auto | LogFormat::Text => Box::new(render::text(writer, colours)),
    };
    Box::new(tracing_subscriber::registry().with(output).with(filter).with(cap))
}

/// Whether a record is not held back by [`CAPPED`].
fn within_cap(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() <= Level::INFO || !CAPPED.contains(&root)
}

#[cfg(test)]
mod tests;
