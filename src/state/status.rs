//! What users are told, as files: `status/<name>.yaml` holds the whole object, spec and status, and
//! `status/_files.yaml` what is wrong with which file of the spec directories. Written only when it
//! differs from what was published last, so that a steady state writes nothing.
//!
//! The readers take the state directory's path: they serve commands that run beside the daemon.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{entries, read_optional};
use super::{GROUP_READABLE, StateDir, StateError, entry};
use crate::sandbox::yaml;
use crate::sandbox::{Sandbox, SandboxStatus};
use crate::source::FileReport;

/// Digest of a published value. Values themselves would cost memory for every sandbox.
type Print = [u8; 32];

/// Publishes statuses, and knows what is published.
#[derive(Debug)]
pub struct StatusStore {
    state: StateDir,
    published: Mutex<BTreeMap<PathBuf, Print>>,
}

/// `_files.yaml`. A mapping, so that more can be said later.
#[derive(Default, Serialize, Deserialize)]
struct Files {
    files: Vec<FileReport>,
}

impl StatusStore {
    /// A publisher for this state directory. What is published is read when it is first compared.
    #[must_use]
    pub fn new(state: &StateDir) -> Self {
        Self { state: state.clone(), published: Mutex::default() }
    }

    /// Publishes a sandbox with this status in place of its own. `false`: nothing differs, so nothing
    /// was written.
    pub fn publish(&self, sandbox: &Sandbox, status: &SandboxStatus) -> Result<bool, StateError> {
        let name = sandbox.metadata.name.as_deref().unwrap_or_default();
        let path = entry(&self.state.root, "status", name, "yaml")?;
        let mut object = Sandbox::new(name, sandbox.spec.clone());
        object.metadata = sandbox.metadata.clone();
        object.status = Some(status.clone());
        self.write(&path, &object)
    }

    /// Withdraws a sandbox's status. `false`: there was none.
    pub fn remove(&self, name: &str) -> Result<bool, StateError> {
        let path = entry(&self.state.root, "status", name, "yaml")?;
        self.published().remove(&path);
        self.state.remove(&path)
    }

    /// Publishes what is wrong with which file. `false`: nothing differs, so nothing was written.
    pub fn publish_files(&self, reports: &[FileReport]) -> Result<bool, StateError> {
        self.write(&files_path(&self.state.root), &Files { files: reports.to_vec() })
    }

    fn write<T: Serialize + DeserializeOwned>(
        &self,
        path: &Path,
        value: &T,
    ) -> Result<bool, StateError> {
        let print = print(value);
        if self.last_published::<T>(path) == Some(print) {
            return Ok(false);
        }
        self.published().remove(path);
        self.state.write(path, yaml::to_yaml(value).as_bytes(), GROUP_READABLE, false)?;
        self.published().insert(path.to_path_buf(), print);
        Ok(true)
    }

    /// Print of what the file holds. A file that is gone or damaged counts as unpublished, so it comes back.
    fn last_published<T: Serialize + DeserializeOwned>(&self, path: &Path) -> Option<Print> {
        if let Some(known) = self.published().get(path).copied() {
            return path.exists().then_some(known);
        }
        let on_disk = print(&read::<T>(path).ok()??);
        self.published().insert(path.to_path_buf(), on_disk);
        Some(on_disk)
    }

    fn published(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Print>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
        self.published.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every published sandbox, by name. A damaged file is logged and left out.
pub fn read_all(state: &Path) -> Result<Vec<Sandbox>, StateError> {
    let mut sandboxes = vec![];
    for (_, path) in entries(&state.join("status"), "yaml")? {
        match read(&path) {
            Ok(found) => sandboxes.extend(found),
            Err(error @ StateError::Corrupt { .. }) => tracing::warn!("left out: {error}"),
            Err(error) => return Err(error),
        }
    }
    Ok(sandboxes)
}

/// One published sandbox; `None` when there is none of this name.
pub fn read_one(state: &Path, name: &str) -> Result<Option<Sandbox>, StateError> {
    read(&entry(state, "status", name, "yaml")?)
}

/// What is wrong with which file.
pub fn read_files(state: &Path) -> Result<Vec<FileReport>, StateError> {
    Ok(read::<Files>(&files_path(state))?.unwrap_or_default().files)
}

fn files_path(state: &Path) -> PathBuf {
    state.join("status").join("_files.yaml")
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(bytes) = read_optional(path)? else { return Ok(None) };
    yaml::read_own(&bytes).map(Some).map_err(|detail| StateError::Corrupt {
        path: path.to_path_buf(),
        detail,
        mend: "the daemon writes it again when it next looks at the sandbox",
    })
}

/// Fields come in declaration order and maps are sorted, so equal values have equal prints.
fn print<T: Serialize>(value: &T) -> Print {
    let canonical = serde_json::to_vec(value).expect("published values have string keys only");
    Sha256::digest(canonical).into()
}

#[cfg(test)]
mod tests;
