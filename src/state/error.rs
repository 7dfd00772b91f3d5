//! Why the state directory cannot be used. Each text says what to do.

use std::path::{Path, PathBuf};

/// Why something about the state directory failed. The text speaks of this level; causes are sources.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory cannot be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A newer version wrote the directory.
    #[error(
        "{} was written by a newer sandkeeper (layout {found}; this one knows up to {known}): \
         nothing was touched; install that version again, or use another --state",
        path.display()
    )]
    Newer {
        /// The state directory.
        path: PathBuf,
        /// Its layout.
        found: u32,
        /// The newest layout that this version knows.
        known: u32,
    },
    /// Another daemon holds the directory.
    #[error(
        "another sandkeeper (pid {}) uses {}; stop it, or give this one its own --state and --prefix",
        pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()),
        path.display()
    )]
    InUse {
        /// The state directory.
        path: PathBuf,
        /// Process that holds it, as far as it says.
        pid: Option<u32>,
    },
    /// Everybody may write to the directory.
    #[error(
        "everybody may write to {}, which holds the key that tells our containers from others'; \
         run: chmod 0700 {}",
        path.display(),
        path.display()
    )]
    Exposed {
        /// The state directory.
        path: PathBuf,
    },
    /// The identity is there and cannot be understood.
    #[error(
        "{} is damaged ({detail}). It holds the id and the key by which sandkeeper knows its own \
         containers. Restore it from a backup. Without it the containers made so far go on running, \
         but are foreign: never touched again, and in the way of new ones. To accept that, remove the \
         file and everything in {}, and remove those containers by hand",
        path.display(),
        memory.display()
    )]
    IdentityCorrupt {
        /// `instance.json`.
        path: PathBuf,
        /// The directory of memories.
        memory: PathBuf,
        /// What is wrong with it; never its content.
        detail: String,
    },
    /// The identity is gone while sandboxes are remembered.
    #[error(
        "{} is missing, although {sandboxes} sandboxes are remembered in {}. It holds the id and the \
         key by which sandkeeper knows its own containers. Restore it from a backup. Without it the \
         containers made so far go on running, but are foreign: never touched again, and in the way of \
         new ones. To accept that, remove everything in that directory, and those containers by hand",
        path.display(),
        memory.display()
    )]
    IdentityLost {
        /// `instance.json`.
        path: PathBuf,
        /// The directory of memories.
        memory: PathBuf,
        /// How many there are.
        sandboxes: usize,
    },
    /// A file that decides something cannot be understood.
    #[error("{} is damaged ({detail}); {mend}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
        /// What to do.
        mend: &'static str,
    },
    /// The directory was opened for reading, or the path is outside of it.
    #[error("{} may not be written: it is outside the state directory, or that is open for reading only",
        path.display())]
    NotWritable {
        /// The path.
        path: PathBuf,
    },
    /// A name that cannot be a file's.
    #[error("{name:?} cannot be a sandbox's name: use letters, digits and hyphens")]
    BadName {
        /// The name.
        name: String,
    },
}

/// Wraps what the system said about a path.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StateError {
    let path = path.to_path_buf();
    move |source| StateError::Io { action, path, source }
}
