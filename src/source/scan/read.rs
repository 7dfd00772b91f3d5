//! Reads one file safely: without blocking on a FIFO, without trusting its size, and not while it changes.

use std::ffi::CStr;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use super::beneath::{Found, find};
use super::way::access;
use crate::sandbox::{Problem, ProblemReason};
use crate::source::trust::{Authors, check_file};

/// Largest file that is read, in bytes.
pub(super) const CAP: u64 = 64 * 1024;
/// A file that changes while it is read is tried this often before the pass goes on.
const ATTEMPTS: usize = 3;

/// What reading a file gave.
pub(super) enum RawReading {
    /// All of it, and the metadata that held before and after.
    Bytes(Vec<u8>, Metadata),
    /// It cannot or must not be read.
    Refused(Problem),
    /// It changed each time.
    Unsettled,
    /// It is not there.
    Gone,
}

/// Reads the file of this name. Symbolic links are followed, but only to a regular file beneath the
/// directory. `regular`: the listing said that the name is that of a regular file.
pub(super) fn read(directory: &File, name: &CStr, regular: bool, authors: &Authors) -> RawReading {
    match try_read(directory, name, regular, authors) {
        Ok(reading) => reading,
        Err(Errno::NOENT) => missing(directory, name),
        Err(Errno::LOOP) => unreadable("its symbolic links lead in a circle"),
        Err(Errno::XDEV) => unreadable("it is a symbolic link that leads out of the directory"),
        // A link was moved while it was followed.
        Err(Errno::AGAIN) => RawReading::Unsettled,
        Err(error) => unreadable(&io::Error::from(error).to_string()),
    }
}

fn try_read(
    directory: &File,
    name: &CStr,
    regular: bool,
    authors: &Authors,
) -> Result<RawReading, Errno> {
    for _ in 0..ATTEMPTS {
        let file = match find(directory, name, regular)? {
            Found::File(file) => file,
            Found::Other(kind) => {
                return Ok(unreadable(&format!("it is {}, not a regular file", describe(kind))));
            }
        };
        let reading = read_open(&file, authors)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if !matches!(reading, RawReading::Unsettled) {
            return Ok(reading);
        }
    }
    Ok(RawReading::Unsettled)
}

fn read_open(mut file: &File, authors: &Authors) -> io::Result<RawReading> {
    let before = file.metadata()?;
    if !before.is_file() {
        return Ok(unreadable("it is not a regular file"));
    }
    if let Err(reason) = check_file(access(&before), before.nlink(), authors) {
        return Ok(unreadable(&reason));
    }
    if before.len() > CAP {
        return Ok(too_large(before.len()));
    }
    // As many bytes as it had; whether it grew meanwhile, its metadata tell.
    let mut bytes = vec![0; usize::try_from(before.len()).unwrap_or_default()];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(RawReading::Unsettled),
        outcome => outcome?,
    }
    let after = file.metadata()?;
    if stamp(&before) == stamp(&after) {
        return Ok(RawReading::Bytes(bytes, after));
    }
    Ok(RawReading::Unsettled)
}

/// What moves when a file is written.
fn stamp(metadata: &Metadata) -> (u64, u64, [i64; 4]) {
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    (metadata.ino(), metadata.len(), times)
}

/// A name that leads nowhere: either it has gone, or it is a symbolic link to nothing.
fn missing(directory: &File, name: &CStr) -> RawReading {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => unreadable("it is a symbolic link to a file that does not exist"),
        Err(_) => RawReading::Gone,
    }
}

fn describe(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a directory",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        _ => "something else",
    }
}

fn unreadable(message: &str) -> RawReading {
    RawReading::Refused(Problem::new(
        ProblemReason::Unreadable,
        format!("the file cannot be read: {message}"),
    ))
}

fn too_large(size: u64) -> RawReading {
    RawReading::Refused(Problem::new(
        ProblemReason::TooLarge,
        format!("the file has {size} bytes; a spec may have up to {CAP}"),
    ))
}
