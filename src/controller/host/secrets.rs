//! Secret files: read when a container is created, and digested so that a changed secret is noticed.
//!
//! No content leaves here but as [`SecretString`] or as a keyed digest, and no error quotes any.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{FileType, Mode, OFlags, Stat};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::sources::{MountRules, find};
use crate::plan::fingerprint::secret_digest;
use crate::plan::policy::host_paths::{FileId, not_to_be_read};
use crate::plan::{Blocker, BlockerKind, EnvValue};

use crate::sandbox::text::{one_line, shown_path};

/// Largest secret file in bytes; the kernel takes no larger single environment string than twice this.
const MAX_BYTES: usize = 64 * 1024;

/// Digests that are remembered; far more than a host has secret files.
const MAX_REMEMBERED: usize = 4096;

/// A file that changed so shortly before it was read may change again without showing it, for a kernel's
/// file times move in ticks and some filesystems' in seconds. Such a file is read again next time.
const SETTLED: SignedDuration = SignedDuration::from_secs(2);

/// Secret files: their content, and keyed digests of it, remembered while the files stay the same.
pub struct SecretDigests {
    key: Vec<u8>,
    rules: Arc<MountRules>,
    remembered: Mutex<HashMap<PathBuf, (Version, String)>>,
}

impl SecretDigests {
    /// Digests under the state directory's key, of files that these rules do not keep from sandboxes.
    #[must_use]
    pub fn new(key: Vec<u8>, rules: Arc<MountRules>) -> Self {
        Self { key, rules, remembered: Mutex::default() }
    }

    /// The content of every secret file in an environment, by variable. Blocks.
    pub fn read(
        &self,
        env: &BTreeMap<String, EnvValue>,
    ) -> Result<BTreeMap<String, SecretString>, Blocker> {
        let secrets = secret_files(env).map(|(name, path)| match self.content(path) {
            Ok(content) => Ok((name.to_owned(), SecretString::from(content.as_str().to_owned()))),
            Err(error) => Err(blocker(name, path, &error)),
        });
        secrets.collect()
    }

    fn content(&self, path: &Path) -> Result<Zeroizing<String>, SecretError> {
        let file = open(path)?;
        self.permitted(path, &file)?;
        file.read()
    }

    /// Whoever may write a spec may not read through it what opens the host or forges our proofs. Judged by
    /// what was opened: links, as Kubernetes makes them, are followed.
    fn permitted(&self, path: &Path, file: &Opened) -> Result<(), SecretError> {
        let real = path.canonicalize()?;
        let found = find(&real).map_err(SecretError::Unreachable)?;
        let opened = FileId { device: file.version.device, inode: file.version.inode };
        if found.source.id() != Some(opened) {
            return Err(SecretError::Changing);
        }
        match not_to_be_read(&found.source, &self.rules.reserved()) {
            Some(why) => Err(SecretError::Reserved(why)),
            None => Ok(()),
        }
    }

    /// Digest of each secret file in an environment, by variable, and what could not be read. Unchanged
    /// files are not read again. Blocks.
    #[must_use]
    pub fn digests(
        &self,
        env: &BTreeMap<String, EnvValue>,
        now: Timestamp,
    ) -> (BTreeMap<String, String>, Vec<Blocker>) {
        let mut digests = BTreeMap::new();
        let mut blockers = Vec::new();
        for (name, path) in secret_files(env) {
            match self.digest(path, now) {
                Ok(digest) => {
                    digests.insert(name.to_owned(), digest);
                }
                Err(error) => blockers.push(blocker(name, path, &error)),
            }
        }
        (digests, blockers)
    }

    fn digest(&self, path: &Path, now: Timestamp) -> Result<String, SecretError> {
        let file = open(path)?;
        if let Some(digest) = self.recall(path, &file.version) {
            return Ok(digest);
        }
        self.permitted(path, &file)?;
        let version = file.version;
        let digest = secret_digest(&self.key, file.read()?.as_bytes());
        if version.settled(now) {
            self.remember(path, version, digest.clone());
        }
        Ok(digest)
    }

    fn recall(&self, path: &Path, version: &Version) -> Option<String> {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, digest) = remembered.get(path)?;
        (known == version).then(|| digest.clone())
    }

    fn remember(&self, path: &Path, version: Version, digest: String) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(path.to_owned(), (version, digest));
    }
}

/// Neither key nor digests are printed.
impl std::fmt::Debug for SecretDigests {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SecretDigests").finish_non_exhaustive()
    }
}

/// What changes whenever a file's content does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    #[expect(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        reason = "the types differ by platform, and the values are only compared"
    )]
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    fn settled(&self, now: Timestamp) -> bool {
        Timestamp::from_second(self.changed.0)
            .is_ok_and(|changed| now.duration_since(changed) > SETTLED)
    }
}

struct Opened {
    file: File,
    version: Version,
}

impl Opened {
    fn read(self) -> Result<Zeroizing<String>, SecretError> {
        // All capacity at once: a vector that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        (&self.file).take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_BYTES {
            return Err(SecretError::TooLarge);
        }
        if Version::of(&rustix::fs::fstat(&self.file)?) != self.version {
            return Err(SecretError::Changing);
        }
        value_of(&bytes)
    }
}

/// The value that a file's content stands for.
fn value_of(content: &[u8]) -> Result<Zeroizing<String>, SecretError> {
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    if content.contains(&0) {
        return Err(SecretError::Nul);
    }
    let text = std::str::from_utf8(content).map_err(|_| SecretError::NotUtf8)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn open(path: &Path) -> Result<Opened, SecretError> {
    // A pipe would block, and a terminal would become ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: OwnedFd = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(SecretError::NotAFile);
    }
    Ok(Opened { file: file.into(), version: Version::of(&stat) })
}

/// Why a secret cannot be had. Says nothing of its content but its size and encoding.
#[derive(Debug, thiserror::Error)]
enum SecretError {
    #[error("does not exist")]
    Missing,
    #[error("cannot be read: {0}")]
    Io(io::Error),
    #[error("is not a regular file")]
    NotAFile,
    #[error("{0}")]
    Unreachable(String),
    #[error("is not read for a sandbox: {0}")]
    Reserved(String),
    #[error("is larger than 64 KiB")]
    TooLarge,
    #[error("is not UTF-8 text")]
    NotUtf8,
    #[error("contains a NUL byte, which no environment variable can hold")]
    Nul,
    #[error("changed while it was read; it is read again at the next look")]
    Changing,
}

impl From<io::Error> for SecretError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for SecretError {
    fn from(errno: rustix::io::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

fn secret_files(env: &BTreeMap<String, EnvValue>) -> impl Iterator<Item = (&str, &Path)> {
    env.iter().filter_map(|(name, value)| match value {
        EnvValue::SecretFile(path) => Some((name.as_str(), path.as_path())),
        EnvValue::Literal(_) => None,
    })
}

fn blocker(name: &str, path: &Path, error: &SecretError) -> Blocker {
    let field = one_line(&format!("env[{name}].valueFrom.secretFile"));
    Blocker {
        kind: BlockerKind::SecretUnavailable,
        message: format!("{field}: {} {error}", shown_path(path)),
    }
}

#[cfg(test)]
mod tests;
