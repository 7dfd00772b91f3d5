//! The state directory: everything that must outlive the process, and the only place that the daemon
//! writes to on its own account. One daemon at a time holds it ([`StateDir::lock`]).
//!
//! | path | content | when it is lost |
//! | --- | --- | --- |
//! | `version` | layout of this directory | taken for a new directory |
//! | `lock` | pid of the daemon that holds it | made again |
//! | `instance.json` | the identity: the key that proves whose a container is | every container is foreign |
//! | `engine.json` | [engine record](EngineRecord): the engine in use | recorded again |
//! | `specs/` | last good specs, kept by the source | invalid files lose their last good spec |
//! | `status/` | [what users are told](status) | published again |
//! | `events/` | [what happened](events) | history |
//! | `memory/` | [what the planner remembers](memory) | a back-off or a port |
//! | `requests/` | what the command line asks of the daemon | asked again |
//!
//! The files are a cache except `instance.json`: whatever they hold, nothing destructive follows.
//! Everything is replaced whole, by a rename, except `events/`, which grow; every call here blocks, on the local disk only.

mod engine;
mod error;
pub mod events;
mod files;
mod identity;
pub mod memory;
pub mod status;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use engine::EngineRecord;
pub use error::StateError;
pub(crate) use files::write_atomic;

use error::io;
use files::{read_optional, remove_temporaries};

/// Layout of the state directory that this version writes, and the newest that it reads.
const VERSION: u32 = 1;
/// Sub-directories of a state directory.
const SUBDIRECTORIES: [&str; 5] = ["specs", "status", "events", "memory", "requests"];
/// Mode of files that nobody else may read.
const PRIVATE: u32 = 0o600;
/// Mode of files that the directory's group may read, once an administrator opens the directory to it.
const GROUP_READABLE: u32 = 0o640;

/// An opened state directory.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
    read_only: bool,
}

/// Proof that this process is the only daemon on a state directory. The kernel releases the lock when
/// the value is dropped or the process dies, however it dies.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// Pid of the daemon that holds a state directory (0: not known); `None`: none does.
///
/// # Errors
/// The lock exists and cannot be looked at.
pub fn lock_holder(state: &Path) -> std::io::Result<Option<u32>> {
    let path = state.join("lock");
    let file = match File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            Ok(Some(std::fs::read_to_string(path)?.trim().parse().unwrap_or(0)))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

impl StateDir {
    /// Opens a state directory to write to it, and creates what is missing, with mode 0700.
    ///
    /// Fails before anything is touched when a newer version has written it, or when everybody may
    /// write to it.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let root = std::path::absolute(path).map_err(io("find", path))?;
        refuse_exposed(&root)?;
        let known = read_version(&root)?;
        create_private(&root)?;
        for name in SUBDIRECTORIES {
            create_private(&root.join(name))?;
        }
        let state = Self { root, read_only: false };
        if known.is_none() {
            let text = format!("{VERSION}\n");
            state.write(&state.root.join("version"), text.as_bytes(), GROUP_READABLE, true)?;
        }
        Ok(state)
    }

    /// Opens a state directory for reading, and creates nothing. A missing one reads as empty.
    pub fn read_only(path: &Path) -> Result<Self, StateError> {
        let root = std::path::absolute(path).map_err(io("find", path))?;
        read_version(&root)?;
        Ok(Self { root, read_only: true })
    }

    /// Path of the directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Takes the directory for this process alone, or says who has it. Call it before anything is
    /// written; it also removes what an interrupted write left behind.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.root.join("lock");
        self.writable(&path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(PRIVATE)
            .open(&path)
            .map_err(io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(self.in_use(&mut file)),
            Err(TryLockError::Error(source)) => return Err(io("lock", &path)(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io("write", &path))?;
        remove_temporaries(&self.root);
        for name in SUBDIRECTORIES {
            remove_temporaries(&self.root.join(name));
        }
        Ok(StateLock { _file: file })
    }

    fn in_use(&self, lock: &mut File) -> StateError {
        let mut text = String::new();
        // The holder may be between taking the lock and writing its pid: then it stays unknown.
        let pid = lock.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        StateError::InUse { path: self.root.clone(), pid }
    }

    /// Writes a file of this directory, atomically. `durable` waits for the disk.
    fn write(&self, path: &Path, bytes: &[u8], mode: u32, durable: bool) -> Result<(), StateError> {
        self.writable(path)?;
        write_atomic(path, bytes, mode, durable).map_err(io("write", path))
    }

    /// Removes a file of this directory. `false`: there was none.
    fn remove(&self, path: &Path) -> Result<bool, StateError> {
        self.writable(path)?;
        match std::fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(io("remove", path)(source)),
        }
    }

    /// The guard that every write passes: not opened for reading only, and nowhere else.
    fn writable(&self, path: &Path) -> Result<(), StateError> {
        let beneath = path.strip_prefix(&self.root).is_ok_and(|rest| {
            rest.components().all(|part| matches!(part, std::path::Component::Normal(_)))
        });
        if self.read_only || !beneath {
            return Err(StateError::NotWritable { path: path.to_path_buf() });
        }
        Ok(())
    }
}

/// Path of a sandbox's file in one of the sub-directories, or an error for a name that could lead
/// anywhere else. Sandbox names are DNS-1123 labels, which this cannot refuse.
fn entry(root: &Path, directory: &str, name: &str, extension: &str) -> Result<PathBuf, StateError> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || name.len() > 200 || !name.bytes().all(safe) {
        return Err(StateError::BadName { name: name.to_owned() });
    }
    Ok(root.join(directory).join(format!("{name}.{extension}")))
}

/// The layout's version: `None` for a directory that has none yet, an error for one we cannot know.
fn read_version(root: &Path) -> Result<Option<u32>, StateError> {
    let path = root.join("version");
    let Some(bytes) = read_optional(&path)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse::<u32>() {
        Ok(found) if found > VERSION => {
            Err(StateError::Newer { path: root.to_path_buf(), found, known: VERSION })
        }
        Ok(found) if found > 0 => Ok(Some(found)),
        _ => Err(StateError::Corrupt {
            path,
            detail: "it must hold the number of the directory's layout".to_owned(),
            mend: "restore it from a backup, or write 1 into it if no other version wrote here",
        }),
    }
}

fn create_private(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("create", path))
}

/// Whoever may write here could plant the key that decides whose a container is.
fn refuse_exposed(root: &Path) -> Result<(), StateError> {
    match std::fs::metadata(root) {
        Ok(found) if found.permissions().mode() & 0o002 != 0 => {
            Err(StateError::Exposed { path: root.to_path_buf() })
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io("look at", root)(source)),
    }
}

#[cfg(test)]
mod tests;
