//! Directories in memory, a clock by hand, and the source's core over them.
//!
//! A file's content is a list of documents: `web=1` declares web with image 1, `?web` is an invalid
//! document of web, `?` one whose name is unknown, and `!` does not parse at all.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::sandbox::{Problem, ProblemReason, Sandbox, SandboxSpec};
use crate::source::changes::{Inputs, Pass, Rules, State, advance};
use crate::source::hold::Held;
use crate::source::last_good::Record;
use crate::source::snapshot::{
    Content, Documents, Evidence, Identity, Listing, Look, Mark, Reading, Snapshot,
};
use crate::source::{Admitted, Declared, ReadDocument, StaleKind};

/// A file in memory.
#[derive(Clone, Debug)]
pub(super) struct MemoryFile {
    pub(super) text: String,
    pub(super) inode: u64,
    pub(super) modified: Timestamp,
    pub(super) unreadable: bool,
}

/// A directory in memory.
#[derive(Clone, Debug)]
pub(super) struct MemoryDirectory {
    pub(super) inode: u64,
    pub(super) missing: bool,
    pub(super) unreadable: bool,
    pub(super) late: bool,
    pub(super) files: BTreeMap<String, MemoryFile>,
}

pub(super) struct World {
    pub(super) state: State,
    pub(super) directories: BTreeMap<PathBuf, MemoryDirectory>,
    paths: Vec<PathBuf>,
    pub(super) evidence: Evidence,
    pub(super) released: BTreeSet<String>,
    /// What the state directory holds.
    pub(super) kept: BTreeMap<String, Record>,
    pub(super) held: Vec<Held>,
    pub(super) steady: Duration,
    inodes: u64,
    minted: std::cell::Cell<u32>,
    pub(super) rules: Rules,
}

pub(super) const A: &str = "/a";
pub(super) const B: &str = "/b";

impl World {
    /// Two empty directories, looked at once.
    pub(super) fn new() -> Self {
        let mut world = Self::unstarted();
        world.pass();
        world
    }

    /// Two empty directories that were not looked at yet.
    pub(super) fn unstarted() -> Self {
        let paths = vec![PathBuf::from(A), PathBuf::from(B)];
        let directory = |inode| MemoryDirectory {
            inode,
            missing: false,
            unreadable: false,
            late: false,
            files: BTreeMap::new(),
        };
        Self {
            state: State::new(Rules::default(), &paths, Vec::new(), &[]),
            directories: paths.iter().cloned().zip([directory(1), directory(2)]).collect(),
            paths,
            evidence: Evidence::default(),
            released: BTreeSet::new(),
            kept: BTreeMap::new(),
            held: Vec::new(),
            steady: Duration::ZERO,
            inodes: 100,
            minted: std::cell::Cell::new(0),
            rules: Rules::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(1_000_000).unwrap() + self.steady
    }

    pub(super) fn directory(&mut self, path: &str) -> &mut MemoryDirectory {
        self.directories.get_mut(Path::new(path)).unwrap()
    }

    pub(super) fn new_inode(&mut self) -> u64 {
        self.inodes += 1;
        self.inodes
    }

    /// Writes a file in place, as an event without a close would tell.
    pub(super) fn write(&mut self, path: &str, text: &str) {
        self.store(path, text);
        self.mark(path, Mark::Touched);
    }

    /// Writes a file and closes it.
    pub(super) fn save(&mut self, path: &str, text: &str) {
        self.store(path, text);
        self.mark(path, Mark::Closed);
    }

    /// Writes a file so that no event tells.
    pub(super) fn store(&mut self, path: &str, text: &str) {
        let (inode, modified) = (self.new_inode(), self.now());
        let (directory, name) = split(path);
        let files = &mut self.directory(directory).files;
        let inode = files.get(name).map_or(inode, |file| file.inode);
        let file = MemoryFile { text: text.to_owned(), inode, modified, unreadable: false };
        files.insert(name.to_owned(), file);
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<MemoryFile> {
        let (directory, name) = split(path);
        let file = self.directory(directory).files.remove(name);
        self.evidence.marks.remove(OsStr::new(path));
        self.evidence.stirred.insert(PathBuf::from(directory));
        file
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let Some(file) = self.remove(from) else { return };
        let (directory, name) = split(to);
        self.directory(directory).files.insert(name.to_owned(), file);
        self.mark(to, Mark::Closed);
    }

    pub(super) fn mark(&mut self, path: &str, mark: Mark) {
        self.evidence.marks.insert(PathBuf::from(path).into(), mark);
        self.evidence.stirred.insert(PathBuf::from(split(path).0));
    }

    pub(super) fn pass(&mut self) -> Pass {
        let snapshot = Snapshot { looks: self.paths.iter().map(|path| self.look(path)).collect() };
        let evidence = std::mem::take(&mut self.evidence);
        let released = std::mem::take(&mut self.released);
        let mint = |_: &str| {
            self.minted.set(self.minted.get() + 1);
            format!("uid-{}", self.minted.get())
        };
        let inputs = Inputs {
            snapshot: &snapshot,
            evidence: &evidence,
            released: &released,
            now: self.now(),
            steady: self.steady,
            mint: &mint,
        };
        let pass = advance(&mut self.state, &inputs);
        for record in &pass.keep {
            self.kept.insert(record.declared.name().to_owned(), record.clone());
        }
        self.held.clone_from(&pass.reports.held);
        pass
    }

    /// Lets time pass, then looks.
    pub(super) fn pass_after(&mut self, milliseconds: u64) -> Pass {
        self.steady += Duration::from_millis(milliseconds);
        self.pass()
    }

    /// The daemon is stopped and started again: only the state directory is left. Long enough for every
    /// file to be old.
    pub(super) fn restart(&mut self) {
        self.steady += Duration::from_mins(1);
        self.evidence = Evidence::default();
        let kept = self.kept.values().cloned().collect();
        self.state = State::new(self.rules, &self.paths, kept, &self.held);
    }

    pub(super) fn forget(&mut self, name: &str) -> Option<Declared> {
        let uid = self.get(name)?.uid().to_owned();
        let forgotten = self.state.forget(name, &uid)?;
        self.kept.remove(name);
        Some(forgotten)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Declared> {
        self.state.declared().find(|declared| declared.name() == name)
    }

    pub(super) fn stale(&self, name: &str) -> Option<StaleKind> {
        self.get(name)?.stale.as_ref().map(|stale| stale.kind)
    }

    pub(super) fn image(&self, name: &str) -> Option<&str> {
        self.get(name)?.sandbox.spec.image.as_deref()
    }

    pub(super) fn is_live(&self, name: &str) -> bool {
        self.get(name).is_some_and(|declared| !declared.is_tombstone())
    }

    pub(super) fn is_withdrawn(&self, name: &str) -> bool {
        self.get(name).is_some_and(Declared::is_tombstone)
    }

    fn look(&self, path: &Path) -> Look {
        let directory = &self.directories[path];
        if directory.late {
            return Look::Late;
        }
        if directory.missing {
            return Look::Missing { watched: true };
        }
        if directory.unreadable {
            return Look::Unreadable("Input/output error".to_owned());
        }
        let files = directory.files.iter();
        Look::Listed(Listing {
            identity: identity(directory.inode),
            files: files.map(|(name, file)| (path.join(name).into(), reading(file))).collect(),
            ignored: Vec::new(),
            unwatched: None,
        })
    }
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap()
}

fn identity(inode: u64) -> Identity {
    Identity { device: 1, inode, born: None }
}

fn reading(file: &MemoryFile) -> Reading {
    if file.unreadable {
        return Reading::Refused(Problem::new(ProblemReason::Unreadable, "Permission denied"));
    }
    Reading::Content(Arc::new(Content {
        bytes: Arc::from(file.text.as_bytes()),
        documents: Arc::new(documents(&file.text)),
        identity: identity(file.inode),
        modified: file.modified,
    }))
}

fn documents(text: &str) -> Documents {
    if text.is_empty() {
        return Err(Problem::new(ProblemReason::Empty, "empty"));
    }
    if text.starts_with('!') {
        return Err(Problem::new(ProblemReason::Syntax, "not YAML"));
    }
    Ok(text.split(' ').enumerate().map(|(index, text)| document(index + 1, text)).collect())
}

fn document(index: usize, text: &str) -> ReadDocument {
    let invalid = Problem { line: Some(3), column: Some(5), ..Problem::at_field("spec.imag", "?") };
    if let Some(name) = text.strip_prefix('?') {
        let name = (!name.is_empty()).then(|| name.to_owned());
        return ReadDocument { index, name, result: Err(vec![invalid]) };
    }
    let (name, image) = text.split_once('=').unwrap_or((text, ""));
    let spec = SandboxSpec { image: Some(image.to_owned()), ..SandboxSpec::default() };
    let admitted = Admitted { sandbox: Sandbox::new(name, spec), notices: Vec::new(), place: None };
    ReadDocument { index, name: Some(name.to_owned()), result: Ok(admitted) }
}
