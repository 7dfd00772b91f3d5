//! What one look at the directories found, as plain values. [`super::scan`] and [`super::signals`] make
//! them, [`super::changes`] judges them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::Metadata;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ReadDocument;
use crate::sandbox::Problem;

/// Which directory or file it is, whatever its path.
///
/// The time of birth is part of it because ext4 gives a new directory the inode number of the one that was
/// removed a moment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) born: Option<Timestamp>,
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|born| Timestamp::try_from(born).ok());
        Self { device: metadata.dev(), inode: metadata.ino(), born }
    }
}

/// The path of a spec file, compared byte by byte and cheap to clone: a pass over many files compares paths
/// many times, and by components, as [`Path`] does it, that costs more than reading the files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FilePath(Arc<OsStr>);

impl From<PathBuf> for FilePath {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into())
    }
}

impl Deref for FilePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl Borrow<OsStr> for FilePath {
    fn borrow(&self) -> &OsStr {
        &self.0
    }
}

/// Every directory once, in order of precedence.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) looks: Vec<Look>,
}

/// What a look at one directory found.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// It was listed to the end, and was the same directory before and after.
    Listed(Listing),
    /// It does not exist. `watched`: an event will announce it.
    Missing { watched: bool },
    /// It cannot be listed, or others may write there.
    Unreadable(String),
    /// It has not answered yet.
    Late,
}

/// A complete listing.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    pub(super) identity: Identity,
    /// Spec files by path.
    pub(super) files: BTreeMap<FilePath, Reading>,
    /// Entries whose names are not those of specs.
    pub(super) ignored: Vec<PathBuf>,
    /// Why no events can be had, if so.
    pub(super) unwatched: Option<String>,
}

/// What reading one file gave.
#[derive(Clone, Debug)]
pub(super) enum Reading {
    /// All of it, unchanged while it was read.
    Content(Arc<Content>),
    /// It cannot or must not be read.
    Refused(Problem),
    /// It has not been parsed in time; a later look may have it.
    Slow(Problem),
    /// It changed while it was read.
    Unsettled,
}

/// The documents of a file, or why it has none.
pub(super) type Documents = Result<Vec<ReadDocument>, Problem>;

/// The content of a file, parsed.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) bytes: Arc<[u8]>,
    pub(super) documents: Arc<Documents>,
    pub(super) identity: Identity,
    pub(super) modified: Timestamp,
}

impl Content {
    /// Same bytes, whatever the file's metadata say.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.bytes, &other.bytes) || self.bytes == other.bytes
    }

    /// Same bytes in the same, unmodified file.
    pub(super) fn is_unmoved(&self, other: &Self) -> bool {
        self.identity == other.identity
            && self.modified == other.modified
            && self.says_the_same(other)
    }
}

/// What events told since the last pass. Only a hint of when to believe a reading; never data.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    /// By path.
    pub(super) marks: BTreeMap<FilePath, Mark>,
    /// Directories in which any event happened.
    pub(super) stirred: BTreeSet<PathBuf>,
    /// Events were lost: no earlier evidence counts.
    pub(super) lost: bool,
}

/// What events told of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// A writer closed it or it was renamed into place, and nothing wrote to it afterwards.
    Closed,
    /// It was created or written, and not closed since, or only while it was being read.
    Touched,
}
