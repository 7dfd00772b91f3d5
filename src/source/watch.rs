//! The watch on one directory and on its parent; the only place that names `notify`.
//!
//! Each directory has a watcher of its own, so that a mount that hangs hangs nobody else. A watch follows
//! an inode, not a path: the caller says which directory it has before it, and a watch that belongs to
//! another one is moved.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use super::scan::is_spec_name;
use super::signals::{Signals, Urgency};
use super::snapshot::Identity;

/// A watch on a directory and its parent.
#[derive(Debug)]
pub(super) struct DirectoryWatch {
    watcher: Contained,
    directory: Watched,
    parent: Option<Watched>,
}

/// A watched path, and the inode that the watch is on.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    armed: Option<Identity>,
}

impl DirectoryWatch {
    /// A watcher, armed for nothing yet.
    pub(super) fn new(directory: &Path, signals: Arc<Signals>) -> Result<Self, String> {
        let path = directory.to_owned();
        Self::with(directory, move |event| match event {
            Ok(event) => hear(&event, &path, &signals),
            Err(_) => signals.lost(),
        })
    }

    /// A watcher whose thread dies at the first event.
    #[cfg(test)]
    pub(super) fn doomed(directory: &Path) -> Self {
        Self::with(directory, |_| panic!("as a fault")).expect("there are inotify instances")
    }

    fn with(directory: &Path, handler: impl notify::EventHandler) -> Result<Self, String> {
        let watcher = notify::recommended_watcher(handler).map_err(|error| reason(&error))?;
        let watcher = Contained(Some(watcher));
        let parent = directory.parent().map(|path| Watched { path: path.to_owned(), armed: None });
        let directory = Watched { path: directory.to_owned(), armed: None };
        Ok(Self { watcher, directory, parent })
    }

    /// Whether its thread has died. It is of no use any more.
    pub(super) fn is_dead(&self) -> bool {
        self.watcher.0.is_none()
    }

    /// Makes sure that the watch is on this directory. `refresh` asks again for a watch that should be
    /// there: an unmount takes it away without a word.
    pub(super) fn arm(&mut self, identity: Identity, refresh: bool) -> Result<(), String> {
        self.directory.arm(&mut self.watcher, identity, refresh)
    }

    /// The directory is not there; its old inode says nothing any more.
    pub(super) fn disarm(&mut self) {
        if self.directory.armed.take().is_some() {
            // The watch went with the inode, or its events would speak of another directory.
            let _ = self.watcher.call(|watcher| watcher.unwatch(&self.directory.path));
        }
    }

    /// Watches the parent, so that a directory that comes, goes or is swapped is noticed at once.
    pub(super) fn arm_parent(&mut self, refresh: bool) -> bool {
        let Some(parent) = &mut self.parent else { return false };
        let Ok(metadata) = fs::metadata(&parent.path) else {
            parent.armed = None;
            return false;
        };
        parent.arm(&mut self.watcher, Identity::of(&metadata), refresh).is_ok()
    }
}

impl Watched {
    fn arm(
        &mut self,
        watcher: &mut Contained,
        identity: Identity,
        refresh: bool,
    ) -> Result<(), String> {
        let same = self.armed == Some(identity);
        // Asking twice is free with inotify only; FSEvents would restart its stream.
        if same && !(refresh && cfg!(target_os = "linux")) {
            return Ok(());
        }
        if !same && self.armed.take().is_some() {
            let _ = watcher.call(|watcher| watcher.unwatch(&self.path));
        }
        watcher.call(|watcher| watcher.watch(&self.path, RecursiveMode::NonRecursive))?;
        self.armed = Some(identity);
        Ok(())
    }
}

/// A watcher that panics when its thread has died, also when it is dropped: two at once would end the daemon.
/// `None`: it has.
#[derive(Debug)]
struct Contained(Option<RecommendedWatcher>);

impl Contained {
    fn call(
        &mut self,
        ask: impl FnOnce(&mut RecommendedWatcher) -> notify::Result<()>,
    ) -> Result<(), String> {
        let died = || "the watcher's thread has died; another one is started".to_owned();
        let watcher = self.0.as_mut().ok_or_else(died)?;
        // A watcher that has panicked is not used again.
        let outcome = catch_unwind(AssertUnwindSafe(|| ask(watcher)));
        let Ok(outcome) = outcome else {
            self.end();
            return Err(died());
        };
        outcome.map_err(|error| reason(&error))
    }

    fn end(&mut self) {
        let watcher = self.0.take();
        let _ = catch_unwind(AssertUnwindSafe(move || drop(watcher)));
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why there is no watch, for people.
fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => {
            "the limit fs.inotify.max_user_watches is reached; raise it with sysctl".to_owned()
        }
        notify::ErrorKind::Io(error) if error.raw_os_error() == Some(EMFILE) => {
            "the limit fs.inotify.max_user_instances is reached; raise it with sysctl".to_owned()
        }
        notify::ErrorKind::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// What an event says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Closed,
    Touched,
    Other,
}

/// Sorts an event into the signals. Opens are ignored, or our own reading would wake us.
fn hear(event: &notify::Event, directory: &Path, signals: &Signals) {
    if event.need_rescan() {
        return signals.lost();
    }
    let news = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => News::Closed,
        EventKind::Access(_) => return,
        EventKind::Create(_)
        | EventKind::Modify(
            ModifyKind::Any | ModifyKind::Data(_) | ModifyKind::Name(RenameMode::Any),
        ) => News::Touched,
        EventKind::Modify(ModifyKind::Metadata(_) | ModifyKind::Name(_) | ModifyKind::Other)
        | EventKind::Remove(_)
        | EventKind::Any
        | EventKind::Other => News::Other,
    };
    // `Both` names the old path first; the old path has had its own `From`.
    if let Some(path) = event.paths.last() {
        sort(path, news, event.kind, directory, signals);
    }
}

fn sort(path: &Path, news: News, kind: EventKind, directory: &Path, signals: &Signals) {
    if path == directory {
        // Touching the directory's times or mode is no reason to hurry.
        let metadata = matches!(kind, EventKind::Modify(ModifyKind::Metadata(_)));
        let urgency = if metadata { Urgency::Soon } else { Urgency::Now };
        return signals.stirred(directory, urgency);
    }
    // The parent's other children are not ours.
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return };
    if parent != directory {
        return;
    }
    // `..data` is the symbolic link that a ConfigMap-style update swaps; it names no visible file.
    let swap = name.as_encoded_bytes().starts_with(b"..");
    match news {
        News::Closed if swap => signals.stirred(directory, Urgency::Now),
        _ if swap => signals.stirred(directory, Urgency::Soon),
        _ if !is_spec_name(name) => {}
        News::Closed => signals.closed(path, directory),
        News::Touched => signals.touched(path, directory),
        News::Other => signals.stirred(directory, Urgency::Soon),
    }
}

#[cfg(test)]
mod tests {
    use notify::Event;
    use notify::event::{CreateKind, DataChange, Flag, MetadataKind, RemoveKind};

    use super::*;

    const DATA: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const TO: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const OPEN: EventKind = EventKind::Access(AccessKind::Open(AccessMode::Any));
    const CHMOD: EventKind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));

    fn urgency(event: &Event) -> Option<Urgency> {
        let signals = Signals::default();
        hear(event, Path::new("/specs"), &signals);
        signals.urgency()
    }

    #[test]
    fn each_event_has_its_urgency() {
        let (now, soon) = (Some(Urgency::Now), Some(Urgency::Soon));
        let cases = [
            (CLOSE, "/specs/web.yaml", now),
            (TO, "/specs/web.yaml", now),
            (TO, "/specs/..data", now),
            (EventKind::Create(CreateKind::File), "/specs/web.yaml", soon),
            (DATA, "/specs/web.yaml", soon),
            (CHMOD, "/specs/web.yaml", soon),
            (EventKind::Remove(RemoveKind::File), "/specs/web.yaml", soon),
            (EventKind::Remove(RemoveKind::Folder), "/specs", now),
            (TO, "/specs", now),
            (CHMOD, "/specs", soon),
            // What we cause by reading, what is not a spec, and what is not ours.
            (OPEN, "/specs/web.yaml", None),
            (OPEN, "/specs", None),
            (CLOSE, "/specs/web.yaml~", None),
            (CLOSE, "/specs/.web.yaml.swp", None),
            (CLOSE, "/elsewhere/web.yaml", None),
        ];
        for (kind, path, expected) in cases {
            let event = Event::new(kind).add_path(PathBuf::from(path));
            assert_eq!(urgency(&event), expected, "{kind:?} {path}");
        }
    }

    // 42
    #[test]
    fn an_overflow_of_the_queue_asks_for_a_look_at_once() {
        let event = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(urgency(&event), Some(Urgency::Now));
    }
}
