//! Reading and writing whole files. A reader sees the old content or the new, never a part.

use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{StateError, io};

/// First part of the names of files that are being written. No reader looks at them.
const TEMPORARY: &str = ".tmp-";

/// Replaces a file's content, atomically: a new file in the same directory, then a rename.
///
/// The file gets exactly this mode, whatever the umask. `durable` waits until file and name are on the
/// disk; without it a power cut can bring the old content back. A failure leaves the old content.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8], mode: u32, durable: bool) -> io::Result<()> {
    let file = written(path, bytes, mode, durable)?;
    file.persist(path).map_err(|error| error.error)?;
    if durable { sync_directory(path) } else { Ok(()) }
}

/// Writes a new file durably, and fails when there is one: of two writers one wins.
pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let file = written(path, bytes, mode, true)?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    sync_directory(path)
}

fn written(path: &Path, bytes: &[u8], mode: u32, durable: bool) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix(TEMPORARY).tempfile_in(directory_of(path))?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if durable {
        file.as_file().sync_all()?;
    }
    Ok(file)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(directory_of(path))?.sync_all()
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A file's content, or `None` when there is no such file. Anything else is an error: what cannot be
/// read is not absent.
pub(super) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io("read", path)(source)),
    }
}

/// The sandboxes that have a file with this extension in a directory, by name. A missing directory
/// holds none.
pub(super) fn entries(
    directory: &Path,
    extension: &str,
) -> Result<Vec<(String, PathBuf)>, StateError> {
    let listing = match std::fs::read_dir(directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(source) => return Err(io("list", directory)(source)),
    };
    let mut found = vec![];
    for entry in listing {
        let path = entry.map_err(io("list", directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.strip_suffix(extension).and_then(|name| name.strip_suffix('.'));
        // Hidden files are being written; an underscore marks what speaks of no single sandbox.
        if let Some(stem) = stem.filter(|stem| !stem.is_empty() && !stem.starts_with(['.', '_'])) {
            found.push((stem.to_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// Removes what interrupted writes left. Only the holder of the lock may: nobody else writes then.
pub(super) fn remove_temporaries(directory: &Path) {
    let Ok(listing) = std::fs::read_dir(directory) else { return };
    for entry in listing.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // What stays behind costs only space; the next start tries again.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
