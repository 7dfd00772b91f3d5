//! Deletions that are held back, as two files in the state directory: what is held, and what an operator
//! lets go. Written and read by different processes, so every write is atomic.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::last_good::write_atomically;

/// A sandbox whose deletion waits for the file's return or for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Name of the sandbox.
    pub name: String,
    /// The incarnation; only this one is let go.
    pub uid: String,
    /// The file that declared it.
    pub file: PathBuf,
    /// Since when it is held.
    pub since: Timestamp,
    /// Why, for people.
    pub message: String,
}

#[derive(Serialize, Deserialize)]
struct HeldFile {
    held: Vec<Held>,
}

#[derive(Default, Serialize, Deserialize)]
struct Request {
    uids: BTreeSet<String>,
}

/// What is held back, by the daemon's last word on it.
///
/// # Errors
/// The list exists and cannot be read.
pub fn read_held(state: &Path) -> io::Result<Vec<Held>> {
    let file: Option<HeldFile> = read(&state.join("held.json"))?;
    Ok(file.map(|file| file.held).unwrap_or_default())
}

/// Asks the daemon to let these identities go. A request that was not taken up yet is added to.
///
/// # Errors
/// The state directory cannot be written.
pub fn request_prune(state: &Path, uids: &[String]) -> io::Result<()> {
    let path = request_path(state);
    // A request that cannot be read asks for nothing.
    let mut request: Request = read(&path).ok().flatten().unwrap_or_default();
    request.uids.extend(uids.iter().cloned());
    write_atomically(&path, &serde_json::to_vec(&request)?)
}

/// Says what is held.
pub(super) fn write_held(state: &Path, held: &[Held]) -> io::Result<()> {
    let file = HeldFile { held: held.to_vec() };
    write_atomically(&state.join("held.json"), &serde_json::to_vec_pretty(&file)?)
}

/// Where requests arrive; a directory of its own, so that it can be watched.
pub(super) fn requests(state: &Path) -> PathBuf {
    state.join("requests")
}

/// Takes up the request, if there is one. It is moved away before it is read, so that one that arrives
/// meanwhile is not lost.
pub(super) fn take_request(state: &Path) -> io::Result<BTreeSet<String>> {
    let taken = requests(state).join("prune.taken");
    match fs::rename(request_path(state), &taken) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
        outcome => outcome?,
    }
    let request: io::Result<Option<Request>> = read(&taken);
    fs::remove_file(&taken)?;
    Ok(request?.unwrap_or_default().uids)
}

fn request_path(state: &Path) -> PathBuf {
    requests(state).join("prune.json")
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_up_once_and_adds_to_one_that_waits() {
        let state = tempfile::tempdir().unwrap();
        request_prune(state.path(), &["a".to_owned()]).unwrap();
        request_prune(state.path(), &["b".to_owned()]).unwrap();
        let taken = take_request(state.path()).unwrap();
        assert_eq!(taken, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
        assert!(take_request(state.path()).unwrap().is_empty());
    }

    #[test]
    fn a_request_of_garbage_is_removed_and_releases_nothing() {
        let state = tempfile::tempdir().unwrap();
        write_atomically(&request_path(state.path()), b"{").unwrap();
        assert!(take_request(state.path()).is_err());
        assert!(take_request(state.path()).unwrap().is_empty());
    }
}
