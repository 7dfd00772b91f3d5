//! Finding and reading the configuration file; everything that touches the filesystem.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use super::resolve::{apart, resolve};
use super::{Config, ConfigFile};
use crate::sandbox::Problem;

/// Where the configuration is looked for when no `--config` names it. It need not exist.
pub const DEFAULT_PATH: &str = "/etc/sandkeeper/config.yaml";

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not valid.
    #[error("{}:{problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        problem: Problem,
    },
    /// The values do not make a configuration.
    #[error("the configuration is not valid: {}", list(.0))]
    Invalid(Vec<Problem>),
    /// The working directory, which relative paths need, is gone.
    #[error("the working directory cannot be found")]
    NoWorkingDirectory(#[source] io::Error),
}

/// Reads the file (`path`, or the default one if it exists), puts `overrides` above it, fills in the
/// defaults and checks the outcome. Paths become absolute.
pub fn load(path: Option<&Path>, overrides: ConfigFile) -> Result<Config, ConfigError> {
    settle(overrides, read(path)?)
}

/// As [`load`], as if there were no file.
pub fn built_in(overrides: ConfigFile) -> Result<Config, ConfigError> {
    settle(overrides, ConfigFile::default())
}

fn settle(overrides: ConfigFile, file: ConfigFile) -> Result<Config, ConfigError> {
    let working_directory = std::env::current_dir().map_err(ConfigError::NoWorkingDirectory)?;
    let layers = overrides.relative_to(&working_directory).over(file);
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let config = resolve(layers, processors).map_err(ConfigError::Invalid)?;
    // Again with symbolic links resolved: what counts is where the files are.
    let specs: Vec<PathBuf> = config.specs.iter().map(|path| real_path(path)).collect();
    let problems = apart(&specs, &real_path(&config.state));
    if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
}

fn read(path: Option<&Path>) -> Result<ConfigFile, ConfigError> {
    let named = path.is_some();
    let path = path.unwrap_or(Path::new(DEFAULT_PATH));
    let content = match std::fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
            return Ok(ConfigFile::default());
        }
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    let file = ConfigFile::parse(&content)
        .map_err(|problem| ConfigError::Malformed { path: path.to_owned(), problem })?;
    let directory = std::path::absolute(path).map_err(ConfigError::NoWorkingDirectory)?;
    Ok(file.relative_to(directory.parent().unwrap_or(Path::new("/"))))
}

/// The path with symbolic links resolved as far as it exists.
fn real_path(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let separator = if lines.len() == 1 { "" } else { "\n  " };
    format!("{separator}{}", lines.join("\n  "))
}
