//! The specs that were last accepted, one file each in the state directory, so that a restart with a
//! broken spec on disk still knows what to keep running. A cache: whatever it holds, nothing is deleted
//! on its word alone.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::snapshot::Identity;
use super::{Declared, Provenance, SourceError};
use crate::sandbox::Sandbox;
use crate::sandbox::text::shown_path;

/// Format of the files. Rises when an older version would misread a newer file.
const VERSION: u32 = 1;

/// A sandbox as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) declared: Declared,
    /// The directory that declared it, to tell one that was replaced while nobody looked.
    pub(super) directory: Option<Identity>,
}

#[derive(Deserialize)]
struct Header {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    version: u32,
    provenance: Provenance,
    #[serde(default)]
    notices: Vec<String>,
    directory: Option<Identity>,
    sandbox: Sandbox,
}

/// Reads every record. One that cannot be read is left out with a warning: its file, if it is there, is
/// accepted anew.
///
/// # Errors
/// The directory exists and cannot be listed, or holds a newer version's record.
pub(super) fn load(state: &Path) -> Result<Vec<Record>, SourceError> {
    let path = directory(state);
    let failed = |source| SourceError::State { path: path.clone(), source };
    let entries = match fs::read_dir(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut records = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if is_record(&path) {
            records.extend(load_one(&path)?);
        }
    }
    Ok(records)
}

fn load_one(path: &Path) -> Result<Option<Record>, SourceError> {
    let bytes =
        fs::read(path).map_err(|source| SourceError::State { path: path.to_owned(), source })?;
    let header = serde_json::from_slice::<Header>(&bytes);
    if let Ok(Header { version }) = header
        && version > VERSION
    {
        return Err(SourceError::Newer { path: path.to_owned(), version });
    }
    let record = serde_json::from_slice(&bytes).ok().and_then(|wire| record(path, wire));
    if record.is_none() {
        tracing::warn!(
            file = shown_path(path),
            "A kept spec is damaged and was left out; its file is accepted anew."
        );
    }
    Ok(record)
}

/// A record must be whole, and be about the name that it is filed under.
fn record(path: &Path, wire: Wire) -> Option<Record> {
    let Wire { version: _, provenance, notices, directory, sandbox } = wire;
    let declared = Declared { sandbox, provenance, notices, stale: None, excess: None };
    let filed = path.file_stem() == Some(OsStr::new(declared.name()));
    (filed && !declared.uid().is_empty()).then_some(Record { declared, directory })
}

/// Writes a record. It survives a crash of the host only after [`sync`].
pub(super) fn keep(state: &Path, record: &Record) -> io::Result<()> {
    let Declared { sandbox, provenance, notices, stale: _, excess: _ } = record.declared.clone();
    let name = record.declared.name().to_owned();
    let wire = Wire { version: VERSION, provenance, notices, directory: record.directory, sandbox };
    replace(&record_path(state, &name), &serde_json::to_vec_pretty(&wire)?)
}

/// Removes a record.
pub(super) fn erase(state: &Path, name: &str) -> io::Result<()> {
    match fs::remove_file(record_path(state, name)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Makes what [`keep`] and [`erase`] did survive a crash of the host.
pub(super) fn sync(state: &Path) -> io::Result<()> {
    match File::open(directory(state)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        directory => directory?.sync_all(),
    }
}

/// Replaces a file so that a reader, or a crash, finds the old content or the new.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes)?;
    File::open(parent(path))?.sync_all()
}

/// Replaces a file. Makes its directory; both are for the owner only, since specs may hold what others
/// should not read.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = parent(path);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn directory(state: &Path) -> PathBuf {
    state.join("specs")
}

fn record_path(state: &Path, name: &str) -> PathBuf {
    directory(state).join(format!("{name}.json"))
}

/// Temporary files of an interrupted write begin with a dot.
fn is_record(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension() == Some(OsStr::new("json"))
}
