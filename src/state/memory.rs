//! What the planner remembers of each sandbox, in memory and as `memory/<name>.json`. A cache: a file
//! that is lost or damaged costs a back-off or a port, so none of them may keep the daemon from starting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::files::entries;
use super::{PRIVATE, StateDir, StateError, entry};
use crate::plan::{ContainerId, Memory};

/// The memories of all sandboxes. At most one caller at a time may put one sandbox's, which the work
/// queue guarantees; different sandboxes never wait for each other's disk.
#[derive(Debug)]
pub struct MemoryStore {
    state: StateDir,
    kept: Mutex<BTreeMap<String, Kept>>,
}

/// One memory, and whether its file says the same.
#[derive(Debug)]
struct Kept {
    memory: Memory,
    written: bool,
}

impl MemoryStore {
    /// Reads every memory. A damaged one is logged, put aside as `<name>.json.corrupt` and empty.
    pub fn load(state: &StateDir) -> Result<Self, StateError> {
        let mut kept = BTreeMap::new();
        for (name, path) in entries(&state.root.join("memory"), "json")? {
            if let Some(memory) = read(state, &path) {
                kept.insert(name, Kept { memory, written: true });
            }
        }
        Ok(Self { state: state.clone(), kept: Mutex::new(kept) })
    }

    /// What is remembered of this life of a sandbox: empty for another uid than the one remembered.
    #[must_use]
    pub fn get(&self, name: &str, uid: &str) -> Memory {
        match self.kept().get(name) {
            Some(kept) if kept.memory.uid == uid => kept.memory.clone(),
            _ => Memory { uid: uid.to_owned(), ..Memory::default() },
        }
    }

    /// Remembers. `false`: it was remembered and written already, so nothing is.
    ///
    /// On an error (a full disk) it is remembered all the same, and the next call writes it.
    pub fn put(&self, name: &str, memory: &Memory) -> Result<bool, StateError> {
        let path = self.file(name)?;
        {
            let mut all = self.kept();
            if all.get(name).is_some_and(|kept| kept.written && kept.memory == *memory) {
                return Ok(false);
            }
            all.insert(name.to_owned(), Kept { memory: memory.clone(), written: false });
        }
        let bytes = serde_json::to_vec(memory).expect("a memory has string keys only");
        // Not durable: a power cut may cost the last change, and a sync would cost every sandbox time.
        self.state.write(&path, &bytes, PRIVATE, false)?;
        if let Some(kept) = self.kept().get_mut(name) {
            kept.written = true;
        }
        Ok(true)
    }

    /// Forgets a sandbox. `false`: there was nothing to forget.
    pub fn forget(&self, name: &str) -> Result<bool, StateError> {
        let path = self.file(name)?;
        let known = self.kept().remove(name).is_some();
        Ok(self.state.remove(&path)? || known)
    }

    /// Names of the sandboxes that something is remembered of.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.kept().keys().cloned().collect()
    }

    /// Whether any sandbox took this container over.
    #[must_use]
    pub fn has_adopted(&self, container: &ContainerId) -> bool {
        let adopted = |kept: &Kept| kept.memory.adopted.as_ref().map(|it| it.container.clone());
        self.kept().values().filter_map(adopted).any(|id| id == *container)
    }

    /// Every container that was taken over.
    #[must_use]
    pub fn adopted(&self) -> BTreeSet<ContainerId> {
        let all = self.kept();
        all.values()
            .filter_map(|kept| Some(kept.memory.adopted.as_ref()?.container.clone()))
            .collect()
    }

    /// Forgets every container, for they are on an engine that is left: what has them next is a new one.
    pub fn leave_engine(&self) -> Result<(), StateError> {
        let all: Vec<(String, Memory)> = self
            .kept()
            .iter()
            .map(|(name, kept)| (name.clone(), kept.memory.clone().without_containers()))
            .collect();
        for (name, memory) in all {
            self.put(&name, &memory)?;
        }
        Ok(())
    }

    /// Whether any sandbox is remembered to have a container.
    #[must_use]
    pub fn manages_containers(&self) -> bool {
        self.kept().values().any(|kept| kept.memory.container.is_some())
    }

    /// Host ports of every sandbox by port name, to begin a [`crate::ports::PortBook`] with.
    #[must_use]
    pub fn all_ports(&self) -> BTreeMap<String, BTreeMap<String, u16>> {
        let all = self.kept();
        let with_ports = all.iter().filter(|(_, kept)| !kept.memory.ports.is_empty());
        with_ports.map(|(name, kept)| (name.clone(), kept.memory.ports.clone())).collect()
    }

    fn file(&self, name: &str) -> Result<PathBuf, StateError> {
        entry(&self.state.root, "memory", name, "json")
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the map whole.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One memory, or `None` with a word in the log about why.
fn read(state: &StateDir, path: &Path) -> Option<Memory> {
    let bytes = std::fs::read(path)
        .inspect_err(|error| {
            tracing::warn!(path = %path.display(), %error, "a memory cannot be read; it starts empty");
        })
        .ok()?;
    match serde_json::from_slice(&bytes) {
        Ok(memory) => Some(memory),
        Err(error) => {
            tracing::warn!(
                path = %path.display(), %error,
                "a memory is damaged; it starts empty, and the file is kept as .corrupt"
            );
            put_aside(state, path);
            None
        }
    }
}

fn put_aside(state: &StateDir, path: &Path) {
    if state.writable(path).is_err() {
        return;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".corrupt");
    if let Err(error) = std::fs::rename(path, aside) {
        tracing::warn!(path = %path.display(), %error, "the damaged memory cannot be renamed");
    }
}

#[cfg(test)]
mod tests;
