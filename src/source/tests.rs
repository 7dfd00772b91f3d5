//! The source as it runs: real directories, real events. The resync period is an hour, so that whatever is
//! noticed was noticed by an event or by the source's own timers.
//!
//! Tests may run as root, who can read everything: a file that cannot be read is a directory, a dangling
//! symbolic link or a circle of them here.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kube_runtime::reflector;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::sandbox::ProblemReason;

/// Far more than anything here takes; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// Directories on disk that outlive a source.
struct Disk {
    root: TempDir,
}

impl Disk {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("specs")).unwrap();
        Self { root }
    }

    fn specs(&self) -> PathBuf {
        self.root.path().join("specs")
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.specs().join(name)
    }

    fn save(&self, name: &str, image: &str) {
        let stem = name.split('.').next().unwrap();
        fs::write(self.file(name), spec(stem, image)).unwrap();
    }

    /// Writes beside the directory, then renames into it, as we ask writers to.
    fn rename_in(&self, name: &str, text: &str) {
        let temporary = self.root.path().join("temporary");
        fs::write(&temporary, text).unwrap();
        fs::rename(temporary, self.file(name)).unwrap();
    }

    /// Makes every file look as if it had been written long ago.
    fn age(&self) {
        for entry in fs::read_dir(self.specs()).unwrap() {
            let path = entry.unwrap().path();
            let Ok(file) = OpenOptions::new().write(true).open(path) else { continue };
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }
    }

    fn options(&self) -> Options {
        Options {
            dirs: vec![self.specs()],
            state: self.state(),
            resync: Duration::from_hours(1),
            delete_guard: 10,
            max_sandboxes: None,
            reader: reader(),
            uids: BTreeMap::new(),
            rescan: Arc::default(),
        }
    }

    async fn start(&self) -> Running {
        self.start_with(self.options()).await
    }

    async fn start_with(&self, options: Options) -> Running {
        let source = Source::open(options).unwrap();
        let (send_events, events) = mpsc::channel(4);
        let (send_reports, reports) = watch::channel(Reports::default());
        let (forget, receive_forget) = mpsc::channel(4);
        let shutdown = CancellationToken::new();
        let tasks = TaskTracker::new();
        tasks.spawn(source.run(send_events, send_reports, receive_forget, shutdown.clone()));
        tasks.close();
        let live = BTreeMap::new();
        let mut running = Running { events, reports, forget, shutdown, tasks, live };
        assert!(matches!(running.event().await, Event::Init));
        while !matches!(running.event().await, Event::InitDone) {}
        running
    }
}

/// A source that runs, and what it has told.
struct Running {
    events: mpsc::Receiver<Event>,
    reports: watch::Receiver<Reports>,
    forget: mpsc::Sender<Forget>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    live: BTreeMap<String, Declared>,
}

impl Running {
    async fn event(&mut self) -> Event {
        let event = timeout(PATIENCE, self.events.recv()).await.expect("no event came").unwrap();
        match &event {
            Event::Apply(declared) | Event::InitApply(declared) => {
                self.live.insert(declared.name().to_owned(), declared.clone());
            }
            Event::Delete(declared) => {
                self.live.remove(declared.name());
            }
            Event::Init | Event::InitDone => {}
        }
        event
    }

    /// The next sandbox that is told of.
    async fn applied(&mut self) -> Declared {
        match self.event().await {
            Event::Apply(declared) => declared,
            event => panic!("expected Apply, got {event:?}"),
        }
    }

    async fn until(&mut self, done: impl Fn(&BTreeMap<String, Declared>) -> bool) {
        while !done(&self.live) {
            self.event().await;
        }
    }

    async fn report(&mut self, done: impl Fn(&Reports) -> bool) -> Reports {
        let waited = timeout(PATIENCE, self.reports.wait_for(|reports| done(reports))).await;
        waited.expect("no such report came").unwrap().clone()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.tasks.wait()).await.expect("the source did not stop");
    }
}

fn spec(name: &str, image: &str) -> String {
    format!("metadata: {{name: {name}}}\nspec: {{image: {image}, workingDir: /srv}}\n")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    metadata: Metadata,
    spec: crate::sandbox::SandboxSpec,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
}

/// A small reader: metadata.name and spec.
fn reader() -> Reader {
    Arc::new(|bytes, _| {
        let documents = serde_yaml::Deserializer::from_slice(bytes).enumerate();
        let read = documents.map(|(index, document)| {
            let wire = Wire::deserialize(document)
                .map_err(|error| Problem::new(ProblemReason::Syntax, error.to_string()))?;
            let sandbox = Sandbox::new(&wire.metadata.name, wire.spec);
            let result = Ok(Admitted { sandbox, notices: Vec::new(), place: None });
            Ok(ReadDocument { index: index + 1, name: Some(wire.metadata.name), result })
        });
        read.collect()
    })
}

fn image(declared: &Declared) -> &str {
    declared.sandbox.spec.image.as_deref().unwrap()
}

fn stale(running: &Running, name: &str) -> Option<StaleKind> {
    running.live.get(name)?.stale.as_ref().map(|stale| stale.kind)
}

#[tokio::test]
async fn a_closed_file_is_told_before_one_that_was_written_earlier_and_left_open() {
    let disk = Disk::new();
    let mut running = disk.start().await;
    let mut open = File::create(disk.file("open.yaml")).unwrap();
    open.write_all(spec("open", "1").as_bytes()).unwrap();
    disk.save("closed.yaml", "1");
    assert_eq!(running.applied().await.name(), "closed");
    assert_eq!(running.applied().await.name(), "open");
    running.stop().await;
}

#[tokio::test]
async fn half_a_file_is_not_acted_on() {
    let disk = Disk::new();
    disk.save("web.yaml", "old");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    let text = spec("web", "new");
    let (first, rest) = text.split_at(text.find(", working").unwrap());
    let mut open = File::create(disk.file("web.yaml")).unwrap();
    open.write_all(first.as_bytes()).unwrap();
    disk.save("db.yaml", "1");
    running.until(|live| live.contains_key("db")).await;
    assert_eq!(image(&running.live["web"]), "old");
    open.write_all(rest.as_bytes()).unwrap();
    drop(open);
    running.until(|live| image(&live["web"]) == "new").await;
    assert_eq!(running.live["web"].sandbox.metadata.generation, Some(2));
    running.stop().await;
}

#[tokio::test]
async fn a_file_renamed_into_place_is_accepted_and_one_renamed_away_is_withdrawn() {
    let disk = Disk::new();
    let mut running = disk.start().await;
    disk.rename_in("web.yaml", &spec("web", "1"));
    assert_eq!(running.applied().await.name(), "web");
    disk.rename_in("web.yaml", &spec("web", "2"));
    assert_eq!(image(&running.applied().await), "2");
    fs::rename(disk.file("web.yaml"), disk.root.path().join("away")).unwrap();
    let tombstone = running.applied().await;
    assert!(tombstone.is_tombstone());
    running.stop().await;
}

// 10
#[tokio::test]
async fn a_swapped_data_link_is_followed() {
    let disk = Disk::new();
    for (version, image) in [("..v1", "1"), ("..v2", "2")] {
        fs::create_dir(disk.file(version)).unwrap();
        fs::write(disk.file(version).join("web.yaml"), spec("web", image)).unwrap();
    }
    symlink("..v1", disk.file("..data")).unwrap();
    symlink("..data/web.yaml", disk.file("web.yaml")).unwrap();
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    symlink("..v2", disk.file("..data_tmp")).unwrap();
    fs::rename(disk.file("..data_tmp"), disk.file("..data")).unwrap();
    assert_eq!(image(&running.applied().await), "2");
    running.stop().await;
}

// 36
#[tokio::test]
async fn a_directory_that_appears_is_watched() {
    let disk = Disk::new();
    fs::remove_dir(disk.specs()).unwrap();
    let mut running = disk.start().await;
    running.report(|reports| reports.directories[0].mode == DirectoryMode::Missing).await;
    fs::create_dir(disk.specs()).unwrap();
    running.report(|reports| reports.directories[0].mode == DirectoryMode::Watching).await;
    disk.save("web.yaml", "1");
    assert_eq!(running.applied().await.name(), "web");
    running.stop().await;
}

// 37, B1, B2
#[tokio::test]
async fn a_directory_that_was_removed_and_made_anew_holds_its_sandboxes_and_is_watched_again() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    fs::remove_dir_all(disk.specs()).unwrap();
    fs::create_dir(disk.specs()).unwrap();
    running.until(|live| live["web"].stale.is_some()).await;
    assert_eq!(stale(&running, "web"), Some(StaleKind::PruneHeld));
    disk.save("db.yaml", "1");
    running.until(|live| live.contains_key("db")).await;
    disk.save("web.yaml", "1");
    running.until(|live| live["web"].stale.is_none()).await;
    assert_eq!(running.live["web"].sandbox.metadata.generation, Some(1));
    running.stop().await;
}

// 37, B3
#[tokio::test]
async fn a_directory_that_was_swapped_for_another_holds_its_sandboxes_and_the_new_one_is_watched() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    let (old, new) = (disk.root.path().join("old"), disk.root.path().join("new"));
    fs::create_dir(&new).unwrap();
    fs::rename(disk.specs(), &old).unwrap();
    fs::rename(&new, disk.specs()).unwrap();
    running.until(|live| live["web"].stale.is_some()).await;
    assert_eq!(stale(&running, "web"), Some(StaleKind::PruneHeld));
    fs::write(old.join("ghost.yaml"), spec("ghost", "1")).unwrap();
    disk.save("db.yaml", "1");
    running.until(|live| live.contains_key("db")).await;
    assert!(!running.live.contains_key("ghost"));
    running.stop().await;
}

// B4
#[tokio::test]
async fn a_directory_link_that_was_retargeted_holds_its_sandboxes() {
    let disk = Disk::new();
    let (first, second) = (disk.root.path().join("first"), disk.root.path().join("second"));
    fs::rename(disk.specs(), &first).unwrap();
    fs::create_dir(&second).unwrap();
    symlink(&first, disk.specs()).unwrap();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    let link = disk.root.path().join("link");
    symlink(&second, &link).unwrap();
    fs::rename(&link, disk.specs()).unwrap();
    running.until(|live| live["web"].stale.is_some()).await;
    assert_eq!(stale(&running, "web"), Some(StaleKind::PruneHeld));
    running.stop().await;
}

// ENOTDIR stands for every error that is not absence.
#[tokio::test]
async fn a_directory_that_cannot_be_listed_keeps_its_sandboxes() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    fs::remove_dir_all(disk.specs()).unwrap();
    fs::write(disk.specs(), "").unwrap();
    running.report(|reports| reports.directories[0].mode == DirectoryMode::Unreadable).await;
    running.until(|live| live["web"].stale.is_some()).await;
    assert!(!running.live["web"].is_tombstone());
    running.stop().await;
}

// 12, 13, 15
#[tokio::test]
async fn a_file_that_became_unreadable_keeps_its_sandbox() {
    let disk = Disk::new();
    let names = ["directory", "dangling", "circle", "fifo"];
    for name in names {
        disk.save(&format!("{name}.yaml"), "1");
    }
    let mut running = disk.start().await;
    running.until(|live| live.len() == names.len()).await;
    for name in names {
        let path = disk.file(&format!("{name}.yaml"));
        fs::remove_file(&path).unwrap();
        match name {
            "directory" => fs::create_dir(&path).unwrap(),
            "dangling" => symlink("nowhere", &path).unwrap(),
            "circle" => symlink("circle.yaml", &path).unwrap(),
            _ => make_fifo(&path),
        }
    }
    running.until(|live| live.values().all(|declared| declared.stale.is_some())).await;
    for name in names {
        assert_eq!(stale(&running, name), Some(StaleKind::SpecUnreadable), "{name}");
    }
    running.stop().await;
}

#[cfg(target_os = "linux")]
fn make_fifo(path: &Path) {
    use rustix::fs::{CWD, Mode, mkfifoat};
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).unwrap();
}

/// Without a call for it, a socket stands for a FIFO.
#[cfg(not(target_os = "linux"))]
fn make_fifo(path: &Path) {
    std::os::unix::net::UnixListener::bind(path).unwrap();
}

// 43, B14
#[tokio::test]
async fn a_directory_that_others_may_write_to_keeps_what_it_declared_and_takes_nothing_new() {
    use std::os::unix::fs::PermissionsExt as _;
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    disk.save("db.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.len() == 2).await;
    let chmod = |mode| fs::set_permissions(disk.specs(), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o777);
    let reports =
        running.report(|reports| reports.directories[0].mode == DirectoryMode::Unreadable).await;
    let message = reports.directories[0].message.clone().unwrap_or_default();
    assert!(message.contains("chmod go-w"), "{message}");
    running.until(|live| live.values().all(|declared| declared.stale.is_some())).await;
    assert_eq!(stale(&running, "web"), Some(StaleKind::SpecUnreadable));
    disk.save("web.yaml", "2");
    disk.save("new.yaml", "1");
    fs::remove_file(disk.file("db.yaml")).unwrap();
    // Whatever was done meanwhile counts only from here on.
    chmod(0o755);
    running.until(|live| live.contains_key("new")).await;
    running.until(|live| image(&live["web"]) == "2").await;
    running.until(|live| live["db"].is_tombstone()).await;
    running.stop().await;
}

// 37: whatever a parser meets, the other files of the directory get their turn.
#[tokio::test]
async fn a_file_that_is_never_done_parsing_delays_no_other() {
    let disk = Disk::new();
    let (release, hangs) = std::sync::mpsc::channel::<()>();
    let hangs = std::sync::Mutex::new(hangs);
    let plain = reader();
    let reader: Reader = Arc::new(move |bytes, base| {
        if bytes.starts_with(b"# hang") {
            let _ = hangs.lock().unwrap().recv();
        }
        plain(bytes, base)
    });
    let mut running = disk.start_with(Options { reader, ..disk.options() }).await;
    fs::write(disk.file("a.yaml"), "# hang").unwrap();
    disk.save("web.yaml", "1");
    running.until(|live| live.contains_key("web")).await;
    let reports = running
        .report(|reports| reports.files.iter().any(|report| !report.problems.is_empty()))
        .await;
    let problem = reports.files.iter().find_map(|report| report.problems.first()).unwrap();
    assert_eq!(problem.reason, ProblemReason::TooComplex);
    disk.save("db.yaml", "1");
    running.until(|live| live.contains_key("db")).await;
    drop(release);
    running.stop().await;
}

#[tokio::test]
async fn two_hundred_files_at_once_are_all_accepted() {
    let disk = Disk::new();
    let mut running = disk.start().await;
    for number in 0..200 {
        disk.save(&format!("s{number}.yaml"), "1");
    }
    running.until(|live| live.len() == 200).await;
    let reports = running.report(|reports| reports.persisted && reports.files.len() == 200).await;
    assert!(reports.files.iter().all(|report| report.problems.is_empty()));
    running.stop().await;
    assert_eq!(last_good::load(&disk.state()).unwrap().len(), 200);
}

#[tokio::test]
async fn a_restart_with_a_broken_file_keeps_the_last_good() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    let before = running.live["web"].clone();
    running.stop().await;
    fs::write(disk.file("web.yaml"), "{").unwrap();
    disk.age();
    let mut running = disk.start().await;
    running.until(|live| live["web"].stale.is_some()).await;
    assert_eq!(stale(&running, "web"), Some(StaleKind::SpecInvalid));
    assert_eq!(running.live["web"].sandbox, before.sandbox);
    running.stop().await;
}

#[tokio::test]
async fn a_restart_sees_no_edit_in_a_time_with_fractions() {
    let disk = Disk::new();
    let text = "metadata: {name: web}\nspec: {shutdownTime: \"2030-01-01T00:00:00.5Z\"}\n";
    disk.rename_in("web.yaml", text);
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    let before = running.live["web"].clone();
    running.stop().await;
    disk.age();
    let running = disk.start().await;
    assert_eq!(running.live["web"], before);
    running.stop().await;
}

#[tokio::test]
async fn a_file_removed_while_the_source_was_down_is_withdrawn_and_forgotten() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    running.stop().await;
    fs::remove_file(disk.file("web.yaml")).unwrap();
    let mut running = disk.start().await;
    assert!(!running.live["web"].is_tombstone());
    let tombstone = running.applied().await;
    assert!(tombstone.is_tombstone());
    let (name, uid) = (tombstone.name().to_owned(), tombstone.uid().to_owned());
    running.forget.send(Forget { name, uid }).await.unwrap();
    assert!(matches!(running.event().await, Event::Delete(_)));
    running.stop().await;
    assert!(last_good::load(&disk.state()).unwrap().is_empty());
}

#[tokio::test]
async fn an_operator_lets_held_deletions_go() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut running = disk.start().await;
    running.until(|live| live.contains_key("web")).await;
    fs::remove_dir_all(disk.specs()).unwrap();
    running.report(|reports| reports.held.len() == 1 && reports.persisted).await;
    let held = read_held(&disk.state()).unwrap();
    assert_eq!(held[0].uid, running.live["web"].uid());
    request_prune(&disk.state(), &[held[0].uid.clone()]).unwrap();
    running.until(|live| live["web"].is_tombstone()).await;
    running.report(|reports| reports.held.is_empty() && reports.persisted).await;
    assert!(read_held(&disk.state()).unwrap().is_empty());
    running.stop().await;
}

// B11
#[tokio::test]
async fn a_state_directory_that_cannot_be_written_stops_nothing_and_is_reported() {
    let disk = Disk::new();
    fs::create_dir(disk.state()).unwrap();
    let mut running = disk.start().await;
    fs::write(disk.state().join("specs"), "in the way").unwrap();
    disk.save("web.yaml", "1");
    assert_eq!(running.applied().await.name(), "web");
    let reports = running.report(|reports| reports.state_problem.is_some()).await;
    assert!(!reports.persisted);
    running.stop().await;
}

// 40, B15
#[tokio::test]
async fn a_directory_that_hangs_delays_no_other() {
    let disk = Disk::new();
    let hung = disk.root.path().join("hung");
    fs::create_dir(&hung).unwrap();
    fs::write(hung.join("hung.yaml"), spec("hung", "1")).unwrap();
    // Reading anything in `hung` takes until the sender is dropped.
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let small = reader();
    let slow: Reader = Arc::new(move |bytes, directory| {
        if directory.ends_with("hung") {
            let _ = released.lock().unwrap().recv();
        }
        small(bytes, directory)
    });
    let options = Options { dirs: vec![hung, disk.specs()], reader: slow, ..disk.options() };
    let mut running = disk.start_with(options).await;
    disk.save("web.yaml", "1");
    assert_eq!(running.applied().await.name(), "web");
    drop(release);
    assert_eq!(running.applied().await.name(), "hung");
    running.stop().await;
}

#[tokio::test]
async fn the_store_of_kube_runtime_holds_what_is_declared() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    disk.age();
    let mut running = disk.start().await;
    let (store, mut writer) = reflector::store::<Declared>();
    writer.apply_watcher_event(&Event::Init);
    for declared in running.live.values() {
        writer.apply_watcher_event(&Event::InitApply(declared.clone()));
    }
    writer.apply_watcher_event(&Event::InitDone);
    disk.save("web.yaml", "2");
    writer.apply_watcher_event(&running.event().await);
    let found = store.get(&reflector::ObjectRef::new("web")).unwrap();
    assert_eq!(image(&found), "2");
    running.stop().await;
}

#[test]
fn a_preview_shows_what_would_change_and_keeps_nothing() {
    let disk = Disk::new();
    disk.save("web.yaml", "1");
    let mut source = Source::open(disk.options()).unwrap();
    let preview = source.preview(crate::clock::now());
    assert_eq!(preview.declared[0].name(), "web");
    assert!(preview.reports.complete);
    assert!(!disk.state().exists());
}

#[test]
fn a_damaged_record_is_left_out_and_a_newer_one_is_refused() {
    let disk = Disk::new();
    let kept = disk.state().join("specs");
    fs::create_dir_all(&kept).unwrap();
    fs::write(kept.join("web.json"), [0, 159, 146, 150]).unwrap();
    assert!(Source::open(disk.options()).is_ok());
    fs::write(kept.join("db.json"), r#"{"version": 2, "unknown": true}"#).unwrap();
    let error = Source::open(disk.options()).unwrap_err();
    assert!(matches!(error, SourceError::Newer { version: 2, .. }));
}

// 19
#[test]
fn control_characters_in_a_path_are_escaped() {
    let provenance = Provenance { file: PathBuf::from("/specs/a\u{1b}[31m\n.yaml"), document: 2 };
    assert_eq!(provenance.to_string(), "/specs/a\\u{1b}[31m\\n.yaml#2");
}
