//! Does what the script says, to files, containers, the daemon and its socket, and tells the oracle.

mod faults;
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::{Daemon, Usage};
use crate::engine::Engine;
use crate::history::View;
use crate::judge::{Expected, Property};
use crate::oracle::{NAME_LABEL, Oracle, now};
use crate::port_range::PortRange;
use crate::proxy::Proxy;
use crate::script::{Fault, Hand, Op, Step};
use crate::spec::{Run, Spec};
use crate::{canary, docker};

/// What the driver knows of one sandbox.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The last valid content.
    spec: Option<Spec>,
    view: Option<View>,
    /// The file has its second name.
    moved: bool,
    taken: bool,
}

/// The world, and everybody in it but the daemon.
pub(crate) struct Driver {
    pub(crate) oracle: Oracle,
    pub(crate) engine: Engine,
    pub(crate) proxy: Proxy,
    pub(crate) operations: BTreeMap<&'static str, usize>,
    pub(crate) faults: BTreeMap<String, usize>,
    pub(crate) strikes: BTreeMap<String, usize>,
    world: World,
    known: BTreeMap<String, Known>,
    daemon: Option<Daemon>,
    hits: Vec<(String, crate::proxy::Hits)>,
}

/// Where things are.
pub(crate) struct World {
    pub(crate) folder: PathBuf,
    /// Every container's name begins with it, ours or not.
    pub(crate) mark: String,
    /// The program's prefix.
    pub(crate) prefix: String,
    pub(crate) delete_guard: usize,
    pub(crate) ports: PortRange,
}

impl World {
    fn specs(&self) -> PathBuf {
        self.folder.join("specs")
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The program that is tested: a copy, so that a build meanwhile changes nothing.
    fn program(&self) -> PathBuf {
        self.folder.join("sandkeeper")
    }

    /// `sandkeeper SUBCOMMAND`, independent of the caller's configuration.
    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.program());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("SANDKEEPER") {
                command.env_remove(name);
            }
        }
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
        command.env("SANDKEEPER_CONFIG", self.folder.join("config.yaml"));
        command.arg(subcommand);
        command
    }

    fn run_command(&self, socket: &str) -> Command {
        let mut command = self.command("run");
        command.arg("--specs").arg(self.specs()).arg("--state").arg(self.state());
        command.args(["--prefix", &self.prefix, "--engine", "docker", "--socket", socket]);
        command.args(["--resync", "2s", "--delete-guard", &self.delete_guard.to_string()]);
        command.args(["--ports-base", &self.ports.base.to_string()]);
        command.args(["--ports-count", &self.ports.count.to_string()]);
        command
    }
}

impl Driver {
    /// Makes the world and starts the daemon in it.
    pub(crate) async fn new(world: World, sandboxes: impl Iterator<Item = String>) -> Self {
        let engine = Engine::connect().await;
        docker::ensure_test_image(&engine.0).await;
        std::fs::create_dir_all(world.specs()).expect("the folder is writable");
        let folder = world.folder.display();
        let policy =
            format!("policy: {{hostPaths: [{{path: {folder}}}], secretFiles: [{folder}]}}\n");
        std::fs::write(world.folder.join("config.yaml"), policy).expect("the folder is writable");
        std::fs::copy(env!("CARGO_BIN_EXE_sandkeeper"), world.program()).expect("it was built");
        let oracle = Oracle::start(&engine, &world.prefix, world.folder.clone());
        let mut known = BTreeMap::new();
        for name in sandboxes {
            canary::make(&world.folder, &name).expect("the folder is writable");
            let mut record = oracle.record();
            record.canaries.insert(name.clone());
            record.expect(&name, Expected::Nothing, None);
            known.insert(name, Known::default());
        }
        let mut driver = Self {
            oracle,
            engine,
            proxy: Proxy::start(),
            operations: BTreeMap::new(),
            faults: BTreeMap::new(),
            strikes: BTreeMap::new(),
            world,
            known,
            daemon: None,
            hits: Vec::new(),
        };
        driver.start_daemon();
        driver
    }

    pub(crate) fn usage(&self) -> Option<(u32, Usage)> {
        let daemon = self.daemon.as_ref()?;
        Some((daemon.id(), daemon.usage()?))
    }

    /// Does one step.
    pub(crate) async fn step(&mut self, step: Step) {
        tokio::time::sleep(step.pause).await;
        self.notice_an_ended_daemon();
        match step.op {
            Op::Begin(fault) => self.begin(fault).await,
            Op::End(fault) => self.end(&fault),
            op => self.operate(op).await,
        }
    }

    async fn operate(&mut self, op: Op) {
        match op {
            Op::Write { specs, how, class } => {
                self.count(class);
                let name = specs.first().map(|spec| spec.name.clone()).unwrap_or_default();
                for spec in specs {
                    self.write(spec, how).await;
                }
                self.expect(&name, Some(class));
            }
            Op::Break(name, broken) => {
                self.count("break a file");
                self.break_file(&name, broken);
            }
            Op::Delete(name) => {
                self.count("delete");
                self.delete(&name);
                self.expect(&name, Some("delete"));
            }
            Op::MoveFile(name) => {
                self.count("rename a file");
                self.move_file(&name);
            }
            Op::AwayAndBack(name, during) => {
                self.count("a file away and back");
                self.away_and_back(&name, during).await;
            }
            Op::Duplicate(spec) => {
                self.count("a name in two files");
                self.duplicate(&spec);
            }
            Op::Unduplicate(name) => {
                self.count("the second file gone");
                self.unduplicate(&name);
            }
            Op::Drift(name) => {
                self.count("drift in a mount");
                self.note(&name, "drift in the mount");
                canary::drift(&self.world.folder, &name).expect("modes can be changed");
                self.expect(&name, Some("drift in a mount"));
            }
            Op::Hand(name, hand) => self.hand(&name, hand).await,
            Op::Take(name) => self.take(&name).await,
            Op::Untake(name) => self.untake(&name).await,
            Op::Begin(_) | Op::End(_) => {}
        }
    }

    /// Somebody handles the container of a sandbox, if there is one.
    async fn hand(&mut self, name: &str, hand: Hand) {
        let class = match hand {
            Hand::Kill => "docker kill",
            Hand::Stop => "docker stop",
            Hand::Pause => "docker pause",
            Hand::Remove => "docker rm -f",
            Hand::Rename => "docker rename",
            Hand::Limits => "docker update",
            Hand::Start => "docker start",
        };
        self.count(class);
        let container = self.container_name(name);
        let Ok(Some(found)) = self.engine.inspect(&container).await else { return };
        let id = found.pointer("/Id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
        self.note(name, &format!("{class} {}", &id[..id.len().min(12)]));
        let engine = self.engine.clone();
        let other = format!("{}.{}", container, "renamed");
        let act = async {
            match hand {
                Hand::Kill => engine.kill(&id).await,
                Hand::Stop => engine.stop(&id).await,
                Hand::Pause => engine.0.pause_container(&id).await,
                Hand::Remove => engine.remove(&id).await,
                Hand::Rename => engine.rename(&id, &other).await,
                Hand::Limits => engine.limit(&id, 19).await,
                Hand::Start => engine.0.start_container(&id, None).await,
            }
        };
        // The daemon may have been faster: then there is nothing to handle.
        let done = self.oracle.by_driver(&[&id], act).await;
        if done.is_ok() && hand != Hand::Start {
            self.expect(name, Some(class));
        }
    }

    async fn take(&mut self, name: &str) {
        self.count("a name taken");
        let container = self.container_name(name);
        self.oracle.record().announce_foreign(&container);
        let labels = std::collections::HashMap::new();
        let run = self.engine.run(&container, "exec sleep 100000", labels, None);
        let engine = self.oracle.by_driver(&[&container], run).await;
        match engine {
            Ok(id) => self.oracle.remember_foreign(&id).await,
            Err(error) => self.note(name, &format!("its name could not be taken: {error}")),
        }
        self.known_mut(name).taken = true;
        self.expect(name, None);
    }

    async fn untake(&mut self, name: &str) {
        self.count("a name given back");
        let container = self.container_name(name);
        if let Ok(Some(found)) = self.engine.inspect(&container).await {
            let id = found.pointer("/Id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
            if found.pointer("/Config/Labels").is_none_or(|it| it.get(NAME_LABEL).is_none()) {
                self.oracle.record().forget_foreign(&id);
                let removal = self.engine.remove(&id);
                let removed = self.oracle.by_driver(&[&id, &container], removal).await;
                self.note(name, &format!("the foreign container goes: {removed:?}"));
            }
        }
        self.oracle.record().free_name(&container);
        self.known_mut(name).taken = false;
        self.expect(name, Some("a name given back"));
    }

    /// Foreign containers: with our prefix, with a copy of our labels, with another name, each with data.
    pub(crate) async fn add_foreign(&mut self, count: usize) {
        let rows = self.engine.list().await.unwrap_or_default();
        let ours = rows.iter().find(|row| {
            row.labels.contains_key(NAME_LABEL) && row.name.starts_with(&self.world.prefix)
        });
        let labels = ours.map(|row| row.labels.clone()).unwrap_or_default();
        for number in 0..count {
            let data = format!("foreign-{number}");
            canary::make(&self.world.folder, &data).expect("the folder is writable");
            self.oracle.record().canaries.insert(data.clone());
            let (name, labels) = match number % 3 {
                0 => (
                    format!("{}-foreign-{number}", self.world.prefix),
                    std::collections::HashMap::new(),
                ),
                1 => (format!("{}-copy-{number}", self.world.prefix), labels.clone()),
                _ => (format!("{}-other-{number}", self.world.mark), labels.clone()),
            };
            self.oracle.record().announce_foreign(&name);
            let mount = canary::data(&self.world.folder).join(&data);
            let run = self.engine.run(&name, "exec sleep 100000", labels, Some(&mount));
            let id =
                self.oracle.by_driver(&[&name], run).await.expect("the engine runs a container");
            self.oracle.remember_foreign(&id).await;
        }
    }

    /// Waits until the world is what the specs say, then that nothing moves any more.
    pub(crate) async fn rest(&mut self, patience: Duration, quiet: Duration) {
        self.notice_an_ended_daemon();
        let late = self.oracle.converged(patience).await;
        for (name, why) in &late {
            self.oracle.record().accuse(
                Property::NotConverged,
                name,
                &format!("after {patience:?}: {why}"),
            );
        }
        if !late.is_empty() {
            return;
        }
        // What is late by a moment, as the clean-up of a replacement, is in time.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = self.proxy.ledger().len();
        self.oracle.quiet(quiet).await;
        let asked = self.proxy.ledger().since(before);
        let changes = asked.0.iter().filter(|it| it.mutates() && it.call != "POST /images/create");
        for change in changes {
            self.oracle.record().accuse(
                Property::NotQuiet,
                "",
                &format!("asked for {}", change.target),
            );
        }
    }

    /// Name of a sandbox's container.
    pub(crate) fn container_name(&self, sandbox: &str) -> String {
        format!("{}-{sandbox}", self.world.prefix)
    }

    /// What the file of a sandbox says, if it is valid or was.
    pub(crate) fn spec(&self, sandbox: &str) -> Option<Spec> {
        self.known.get(sandbox)?.spec.clone()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.world.folder
    }

    /// The daemon is killed, and nobody says so.
    pub(crate) async fn lose_daemon(&mut self) {
        self.start_daemon();
        self.signal_daemon(Signal::KILL);
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.notice_an_ended_daemon();
        }
    }

    /// Removes whatever this run has on the engine.
    pub(crate) async fn clean_up(mut self) {
        self.oracle.record().end();
        drop(self.daemon.take());
        for left in self.engine.clean(&format!("{}-", self.world.mark)).await {
            eprintln!("left behind: {left}");
        }
    }

    fn count(&mut self, operation: &'static str) {
        *self.operations.entry(operation).or_default() += 1;
    }

    fn note(&self, name: &str, what: &str) {
        self.oracle.record().note(name, what);
    }

    fn known_mut(&mut self, name: &str) -> &mut Known {
        self.known.entry(name.to_owned()).or_default()
    }

    /// Tells the oracle what a sandbox must come to.
    fn expect(&mut self, name: &str, class: Option<&'static str>) {
        let known = self.known_mut(name);
        let expected = match &known.spec {
            _ if known.taken => Expected::Taken,
            None => Expected::Nothing,
            Some(spec) if spec.suspended => Expected::Stopped,
            Some(spec) if !spec.image || spec.run == Run::Crash => Expected::Held,
            Some(spec) => Expected::Runs(spec.clone()),
        };
        // What is held by a name or an image, or crashes, comes to nothing that could be timed.
        let class = class.filter(|_| !matches!(expected, Expected::Taken | Expected::Held));
        self.oracle.record().expect(name, expected, class);
    }

    /// Something that changes what a sandbox's file is.
    fn change_view(&mut self, name: &str, view: View, change: impl FnOnce(&mut Self)) {
        self.known_mut(name).view = Some(view.clone());
        self.oracle.record().sandbox(name).history.begin(view, now());
        change(self);
        self.oracle.record().sandbox(name).history.end(now());
    }
}

pub(crate) fn name_of(fault: &Fault) -> String {
    match fault {
        Fault::Kill => "daemon killed".to_owned(),
        Fault::Terminate => "daemon terminated".to_owned(),
        Fault::Freeze => "daemon frozen".to_owned(),
        Fault::State(damage) => format!("state: {damage:?}"),
        Fault::DirectoryAway => "directory away".to_owned(),
        Fault::DirectoryReplaced => "directory replaced".to_owned(),
        Fault::MassLoss(_) => "mass loss of files".to_owned(),
        Fault::Engine(ill, _) => format!("engine: {ill:?}"),
    }
}
