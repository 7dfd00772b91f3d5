//! The directories as the API server: a watch stream of declared sandboxes, with tombstones.
//!
//! Events only wake ([`watch`], [`signals`]); a pass lists, reads and compares everything ([`scan`]); what
//! changed is decided by a pure function of the old state and the new snapshot ([`changes`]); one task
//! drives it ([`run`]). Accepted specs outlive the daemon ([`last_good`]), and so does what the delete
//! guard holds back ([`hold`]). This module never writes into a watched directory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::sandbox::text::shown_path;
use crate::sandbox::{Problem, Sandbox, SandboxSpec};

mod changes;
mod hold;
mod last_good;
mod run;
mod scan;
mod signals;
mod snapshot;
#[cfg(test)]
mod tests;
mod trust;
mod watch;
mod writer;

pub use hold::{Held, read_held, request_prune};

/// What the source tells the controller.
pub type Event = kube_runtime::watcher::Event<Declared>;

/// Parses and admits the bytes of a file; relative paths in it start at the given directory.
pub type Reader =
    Arc<dyn Fn(&[u8], &Path) -> Result<Vec<ReadDocument>, Problem> + Send + Sync + 'static>;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct ReadDocument {
    /// Which document of the file it is, from 1.
    pub index: usize,
    /// The sandbox that it speaks of, where that much could be read.
    pub name: Option<String>,
    /// The sandbox, or everything wrong with it.
    pub result: Result<Admitted, Vec<Problem>>,
}

/// A document that was parsed, validated and allowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// As written.
    pub sandbox: Sandbox,
    /// What the validation noted.
    pub notices: Vec<String>,
    /// Line and column where the document names its sandbox.
    pub place: Option<(u32, u32)>,
}

/// How to run a [`Source`].
#[derive(Clone)]
pub struct Options {
    /// Directories of specs, in order of precedence.
    pub dirs: Vec<PathBuf>,
    /// Directory for what sandkeeper keeps; must not be one of `dirs`.
    pub state: PathBuf,
    /// Longest time between two looks, whatever the events say.
    pub resync: Duration,
    /// A loss of more sandboxes than this at once is held back; 0 switches the guard off.
    pub delete_guard: usize,
    /// The most sandboxes that are accepted.
    pub max_sandboxes: Option<usize>,
    /// Parses and admits.
    pub reader: Reader,
    /// Asks for a look at every file now.
    pub rescan: Arc<Notify>,
    /// Uids that containers of ours carry already, by the sandbox's name.
    pub uids: BTreeMap<String, String>,
}

/// Why a source cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The state directory cannot be read.
    #[error("cannot read {}", shown_path(.path))]
    State {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The state was written by a version that this one does not understand.
    #[error(
        "{} was written by a newer sandkeeper (format {version}); upgrade, or use another state directory",
        shown_path(.path)
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// A directory of specs has no absolute path.
    #[error("cannot resolve the directory {}", shown_path(.path))]
    Directory {
        /// As configured.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Says that a withdrawn sandbox has been cleaned up, so that the source can drop its tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forget {
    /// Name of the sandbox.
    pub name: String,
    /// The incarnation that was cleaned up; a later one of the same name is left alone.
    pub uid: String,
}

/// The state of the directories after a pass.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reports {
    /// Every spec file, good ones with no problems.
    pub files: Vec<FileReport>,
    /// Sandboxes whose deletion waits for the files' return or for an operator.
    pub held: Vec<Held>,
    /// Every directory, in order of precedence.
    pub directories: Vec<DirectoryReport>,
    /// Every directory has been listed completely at least once.
    pub complete: bool,
    /// Nothing waits for a second look: no file that may still be written, no absence to be confirmed.
    pub settled: bool,
    /// Files whose names are not those of specs.
    pub ignored: Vec<PathBuf>,
    /// Everything accepted is on disk.
    pub persisted: bool,
    /// Why the state directory cannot be written, if so; nothing accepted since then survives a restart.
    pub state_problem: Option<String>,
}

/// The state of one directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryReport {
    /// The directory.
    pub path: PathBuf,
    /// How changes are noticed.
    pub mode: DirectoryMode,
    /// What is wrong or noteworthy.
    pub message: Option<String>,
    /// The last look listed everything.
    pub complete: bool,
}

/// How changes in a directory are noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum DirectoryMode {
    /// By events, and by a look every resync period.
    Watching,
    /// By a look every second: events cannot be had or cannot be trusted.
    Polling,
    /// The directory does not exist. Nothing is deleted on that ground.
    Missing,
    /// The directory cannot be listed, or others may write to it. Nothing is deleted on that ground.
    Unreadable,
    /// The directory has not answered yet; what was known still holds.
    Late,
}

/// What one look found, for commands that act on nothing.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    /// Sandboxes that are declared.
    pub declared: Vec<Declared>,
    /// Tombstones of those that would be withdrawn.
    pub withdrawn: Vec<Declared>,
    /// The state of the directories.
    pub reports: Reports,
}

/// The directories of specs. Opening reads the state directory and changes nothing.
pub struct Source {
    options: Options,
    state: changes::State,
}

impl Source {
    /// Loads the specs that were last accepted, and what was held back.
    ///
    /// # Errors
    /// The state directory exists and cannot be read, or is a newer version's.
    pub fn open(options: Options) -> Result<Self, SourceError> {
        let options = Options { dirs: absolute(&options.dirs)?, ..options };
        let records = last_good::load(&options.state)?;
        let held = read_held(&options.state).unwrap_or_else(|error| {
            tracing::warn!(%error, "The list of held deletions cannot be read; the guard decides anew.");
            Vec::new()
        });
        let rules = changes::Rules {
            delete_guard: options.delete_guard,
            max_sandboxes: options.max_sandboxes,
            ..changes::Rules::default()
        };
        let state = changes::State::new(rules, &options.dirs, records, &held);
        Ok(Self { options, state })
    }

    /// One look that acts on nothing and persists nothing: what would be declared, withdrawn and held,
    /// with every file taken as it stands and a file that is missing taken as gone.
    pub fn preview(&mut self, now: Timestamp) -> Preview {
        let mut state = self.state.clone().impatient();
        let looks = self.options.dirs.iter().map(|directory| {
            scan::Scanner::unwatched(directory.clone(), self.options.reader.clone()).look(false)
        });
        let inputs = changes::Inputs {
            snapshot: &snapshot::Snapshot { looks: looks.collect() },
            evidence: &snapshot::Evidence::default(),
            released: &BTreeSet::new(),
            now,
            steady: Duration::ZERO,
            mint: &mint(&self.options.uids),
        };
        let pass = changes::advance(&mut state, &inputs);
        let (withdrawn, declared) = state.declared().cloned().partition(Declared::is_tombstone);
        Preview { declared, withdrawn, reports: pass.reports }
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Source").field("dirs", &self.options.dirs).finish_non_exhaustive()
    }
}

/// Why the specs in a directory do not count: who else could have written them, and what to do. `None`: they
/// do, or it cannot be looked at.
#[must_use]
pub fn exposed(directory: &Path) -> Option<String> {
    scan::exposed(directory)
}

/// Identities for sandboxes that have no record: the one that their container carries already, so that a
/// lost record costs no container, else a fresh one.
fn mint(known: &BTreeMap<String, String>) -> impl Fn(&str) -> String {
    |name| known.get(name).cloned().unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

/// The directories with absolute paths, symbolic links left alone (they may be retargeted), without repeats.
fn absolute(dirs: &[PathBuf]) -> Result<Vec<PathBuf>, SourceError> {
    let mut resolved: Vec<PathBuf> = Vec::with_capacity(dirs.len());
    for path in dirs {
        let path = std::path::absolute(path)
            .map_err(|source| SourceError::Directory { path: path.clone(), source })?;
        // Rebuilt from its components, so that `specs/` and `specs` are one.
        let path: PathBuf = path.components().collect();
        if !resolved.contains(&path) {
            resolved.push(path);
        }
    }
    Ok(resolved)
}

/// Where a sandbox is declared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// The file.
    pub file: PathBuf,
    /// Which of its documents, from 1.
    pub document: usize,
}

/// `web.yaml`, or `web.yaml#2` for the second document.
impl std::fmt::Display for Provenance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&shown_path(&self.file))?;
        if self.document > 1 {
            write!(formatter, "#{}", self.document)?;
        }
        Ok(())
    }
}

/// A sandbox that the directory declares: the last spec that was accepted, with `metadata.uid`,
/// `generation` and `creationTimestamp` minted by us, and what to say of its file.
///
/// A set `metadata.deletionTimestamp` is the tombstone: the spec is confirmed gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// The accepted spec.
    pub sandbox: Sandbox,
    /// Where it came from.
    pub provenance: Provenance,
    /// What the validation noted.
    pub notices: Vec<String>,
    /// Set while the file says something else that was not accepted, or cannot be read.
    pub stale: Option<Stale>,
    /// Set while more sandboxes are accepted than the policy allows, and this is one of the last: for
    /// people, why nothing is made or started for it.
    pub excess: Option<String>,
}

impl Declared {
    /// Name of the sandbox.
    #[must_use]
    pub fn name(&self) -> &str {
        self.sandbox.metadata.name.as_deref().unwrap_or_default()
    }

    /// Identity of this incarnation.
    #[must_use]
    pub fn uid(&self) -> &str {
        self.sandbox.metadata.uid.as_deref().unwrap_or_default()
    }

    /// Directory that relative paths in the spec start at.
    #[must_use]
    pub fn base(&self) -> &Path {
        self.provenance.file.parent().unwrap_or(Path::new("/"))
    }

    /// The tombstone of a sandbox that has containers and no spec.
    #[must_use]
    pub fn stray(name: String, uid: String, now: Timestamp) -> Self {
        let metadata = ObjectMeta {
            name: Some(name),
            uid: Some(uid),
            deletion_timestamp: Some(Time(now)),
            ..ObjectMeta::default()
        };
        let sandbox = Sandbox { metadata, spec: SandboxSpec::default(), status: None };
        let provenance = Provenance { file: PathBuf::new(), document: 1 };
        Self { sandbox, provenance, notices: Vec::new(), stale: None, excess: None }
    }

    /// Whether the spec is confirmed gone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.sandbox.metadata.deletion_timestamp.is_some()
    }
}

/// As the sandbox, so that kube's store and queue can hold it.
impl Resource for Declared {
    type DynamicType = <Sandbox as Resource>::DynamicType;
    type Scope = <Sandbox as Resource>::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        Sandbox::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        Sandbox::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        Sandbox::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        Sandbox::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.sandbox.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.sandbox.meta_mut()
    }
}

/// Why the accepted spec is not what the directory says now.
#[derive(Clone, Debug, PartialEq)]
pub struct Stale {
    /// Class.
    pub kind: StaleKind,
    /// For people, with file, line and column where they are known.
    pub message: String,
    /// Since when.
    pub since: Timestamp,
}

/// Classes of staleness; each becomes a reason of the condition `UpToDate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaleKind {
    /// The file holds something invalid.
    SpecInvalid,
    /// The file asks for more than the policy allows.
    PolicyViolation,
    /// The file or its directory cannot be read.
    SpecUnreadable,
    /// Another file declares the same sandbox.
    Conflict,
    /// The file is gone, and the deletion is held back by the guard.
    PruneHeld,
}

/// What is to be said of one file, in `_files.yaml` and in `get`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileReport {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it or its documents.
    pub problems: Vec<Problem>,
    /// Sandboxes that it declares or did declare.
    pub sandboxes: Vec<String>,
    /// Since when it has been so.
    pub since: Timestamp,
}
