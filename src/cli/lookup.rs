//! Finding sandboxes in the state directory.

use std::io;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::console::Console;
use crate::sandbox::text::nearest;
use crate::sandbox::{ContainerStatus, Sandbox};
use crate::state::status;

/// Every published sandbox, sorted by name.
pub(crate) fn sandboxes(state: &Path) -> Result<Vec<Sandbox>> {
    require(state)?;
    let mut sandboxes = status::read_all(state)
        .with_context(|| format!("the state in {} cannot be read", state.display()))?;
    sandboxes.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
    Ok(sandboxes)
}

/// The sandbox of this name, or an error that names the nearest.
pub(crate) fn sandbox(state: &Path, name: &str) -> Result<Sandbox> {
    let mut sandboxes = sandboxes(state)?;
    match sandboxes.iter().position(|sandbox| sandbox.metadata.name.as_deref() == Some(name)) {
        Some(index) => Ok(sandboxes.swap_remove(index)),
        None => Err(not_found(name, &sandboxes)),
    }
}

/// `sandbox "wbe" not found; did you mean "web"?`
pub(crate) fn not_found(name: &str, sandboxes: &[Sandbox]) -> anyhow::Error {
    let names = sandboxes.iter().filter_map(|sandbox| sandbox.metadata.name.as_deref());
    match nearest(name, names) {
        Some(nearest) => anyhow!("sandbox {name:?} not found; did you mean {nearest:?}?"),
        None => anyhow!("sandbox {name:?} not found"),
    }
}

/// The container of a sandbox, or why there is none.
pub(crate) fn container(sandbox: &Sandbox) -> Result<&ContainerStatus> {
    let status = sandbox.status.as_ref();
    if let Some(container) = status.and_then(|status| status.container.as_ref()) {
        return Ok(container);
    }
    let name = sandbox.metadata.name.as_deref().unwrap_or_default();
    match status.and_then(|status| status.condition("Ready")) {
        Some(ready) => {
            bail!("sandbox {name:?} has no container: {}: {}", ready.reason, ready.message)
        }
        None => bail!("sandbox {name:?} has no container yet"),
    }
}

/// Statuses outlive the daemon that wrote them; says so when none keeps them current.
pub(crate) fn note_if_stale(state: &Path, console: &mut Console) {
    if let Ok(None) = crate::state::lock_holder(state) {
        console.note("No daemon runs: this is what the last one saw.");
    }
}

fn require(state: &Path) -> Result<()> {
    match std::fs::metadata(state) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => bail!("the state directory {} is not a directory", state.display()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(
            "there is no state directory {}: start `sandkeeper run`, or name the daemon's with --state",
            state.display()
        ),
        Err(error) => Err(error)
            .with_context(|| format!("the state directory {} cannot be read", state.display())),
    }
}
