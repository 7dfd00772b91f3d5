//! One test's world: a folder of specs, a state directory, a name prefix and a range of ports.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::port_range::PortRange;
use super::{Container, Daemon, Engine, Request, Spec, Status, TEST_IMAGE, until};
use crate::apple::StandIn;

/// Everything that one test works on. What it leaves on the engine goes when it is dropped; when the
/// test has failed it says first what there was to see.
pub(crate) struct World {
    pub(crate) prefix: String,
    pub(crate) engine: Engine,
    /// Engines that the daemon was moved away from.
    pub(crate) left: Vec<Engine>,
    pub(crate) ports: PortRange,
    /// Time between two looks of the daemons that are started from now on.
    pub(crate) resync: Cell<&'static str>,
    /// The process whose mounts are looked through for what is published.
    seen_by: Cell<Option<u32>>,
    /// The tool that stands in for Apple's, where that is the engine.
    pub(crate) apple: Option<StandIn>,
    folder: tempfile::TempDir,
    images: RefCell<Vec<String>>,
}

impl World {
    /// A new, empty world. `test` must be short: it becomes part of every container's name.
    pub(crate) fn new(test: &str) -> Self {
        Self::on(test, Engine::connect())
    }

    /// A new, empty world on this engine.
    pub(crate) fn on(test: &str, engine: Engine) -> Self {
        let folder = tempfile::Builder::new().prefix("sk-e2e-").tempdir().expect("a folder");
        let prefix = format!("sk-e2e-{test}-{}", std::process::id());
        let world = Self {
            prefix,
            engine,
            left: Vec::new(),
            ports: PortRange::reserve(),
            resync: Cell::new("1s"),
            seen_by: Cell::new(None),
            apple: None,
            folder,
            images: RefCell::default(),
        };
        fs::create_dir(world.specs()).expect("a folder of specs");
        world.configure("worldWritable: true");
        world
    }

    /// From now on the daemon is to use this engine.
    pub(crate) fn move_to(&mut self, engine: Engine) {
        self.left.push(std::mem::replace(&mut self.engine, engine));
    }

    /// A new, empty world on what stands in for Apple's `container`.
    pub(crate) fn on_apple(test: &str) -> Self {
        let mut world = Self::new(test);
        world.apple = Some(StandIn::new("1.2.2"));
        world
    }

    /// Writes the configuration: what lies beside the specs may be mounted and read as secrets, and the
    /// policy has these lines besides.
    pub(crate) fn configure(&self, policy: &str) {
        let folder = self.folder.path().display();
        let text = format!(
            "policy:\n  hostPaths: [{{path: {folder}}}]\n  secretFiles: [{folder}]\n  {policy}\n"
        );
        fs::write(self.path("config.yaml"), text).expect("a configuration can be written");
    }

    pub(crate) fn specs(&self) -> PathBuf {
        self.path("specs")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A path in this world's own folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Path of a spec.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.specs().join(name)
    }

    /// Writes `<name>.yaml` in place.
    pub(crate) fn write(&self, name: &str, spec: &Spec) {
        self.write_text(&format!("{name}.yaml"), &spec.to_string());
    }

    /// Writes a file into the folder of specs, in place.
    pub(crate) fn write_text(&self, file: &str, text: &str) {
        fs::write(self.file(file), text).expect("a spec can be written");
    }

    /// Removes `<name>.yaml`.
    pub(crate) fn delete(&self, name: &str) {
        fs::remove_file(self.file(&format!("{name}.yaml"))).expect("a spec can be removed");
    }

    /// Name of a sandbox's container.
    pub(crate) fn container_name(&self, sandbox: &str) -> String {
        format!("{}-{sandbox}", self.prefix)
    }

    /// A sandbox's container.
    pub(crate) fn container(&self, sandbox: &str) -> Option<Container> {
        self.engine.container(&self.container_name(sandbox))
    }

    /// Names of this world's containers, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.engine.names(&format!("{}-", self.prefix))
    }

    /// A second image, different in name only; removed with this world.
    pub(crate) fn second_image(&self) -> String {
        let image = format!("{}:2", self.prefix);
        self.engine.tag(TEST_IMAGE, &self.prefix, "2");
        self.images.borrow_mut().push(image.clone());
        image
    }

    /// Starts the daemon.
    pub(crate) fn start(&self) -> Daemon {
        self.spawn(self.run_command())
    }

    /// Starts a daemon by a command of the test's own making.
    pub(crate) fn spawn(&self, command: Command) -> Daemon {
        Daemon::spawn(command, &self.path("daemon.log"))
    }

    /// `sandkeeper run` on this world.
    pub(crate) fn run_command(&self) -> Command {
        let mut command = self.command_without_an_engine();
        self.name_engine(&mut command);
        command
    }

    /// `sandkeeper run` on this world, which has to find the engine itself.
    pub(crate) fn command_without_an_engine(&self) -> Command {
        let mut command = self.command("run");
        self.add_run_options(&mut command);
        command.args(["--log-format", "json"]);
        command
    }

    /// Runs `sandkeeper run --once` or `sandkeeper plan` on this world.
    pub(crate) fn converge(&self, arguments: &[&str]) -> Output {
        let (name, rest) = arguments.split_first().expect("a subcommand");
        let mut command = self.command(name);
        self.add_run_options(&mut command);
        self.name_engine(&mut command);
        command.args(rest).output().expect("sandkeeper runs")
    }

    /// Runs a subcommand that reads the state: `get`, `describe`, `prune` and so on.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        let (name, rest) = arguments.split_first().expect("a subcommand");
        let mut command = self.command(name);
        command.arg("--state").arg(self.state()).args(rest);
        command.output().expect("sandkeeper runs")
    }

    /// Runs a subcommand on the folder of specs: `validate`.
    pub(crate) fn ask_of_files(&self, arguments: &[&str]) -> Output {
        let (name, rest) = arguments.split_first().expect("a subcommand");
        self.command(name).args(rest).arg(self.specs()).output().expect("sandkeeper runs")
    }

    /// Runs `sandkeeper validate`.
    pub(crate) fn validate(&self, file: &Path) -> Output {
        self.command("validate").arg(file).output().expect("sandkeeper runs")
    }

    /// What `sandkeeper describe` prints.
    pub(crate) fn describe(&self, sandbox: &str) -> String {
        String::from_utf8_lossy(&self.ask(&["describe", sandbox]).stdout).into_owned()
    }

    /// What the daemons of this world have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("daemon.log")).unwrap_or_default()
    }

    /// What the daemons of this world asked the engine for, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log().lines().filter_map(Request::parse).collect()
    }

    /// From now on what is published is looked for among the mounts of this process.
    pub(crate) fn see_through(&self, process: u32) {
        self.seen_by.set(Some(process));
    }

    /// A file that tells what is published.
    fn published(&self, file: &str) -> PathBuf {
        let path = self.state().join("status").join(file);
        match self.seen_by.get() {
            None => path,
            Some(process) => PathBuf::from(format!("/proc/{process}/root{}", path.display())),
        }
    }

    /// What is published of a sandbox.
    pub(crate) fn status(&self, sandbox: &str) -> Result<Status, String> {
        let path = self.published(&format!("{sandbox}.yaml"));
        let text =
            fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Status::parse(&text)
    }

    /// What is published of the files, as text.
    pub(crate) fn files_report(&self) -> String {
        fs::read_to_string(self.published("_files.yaml")).unwrap_or_default()
    }

    /// Waits until a sandbox is Ready as its spec now says; gives its container.
    #[track_caller]
    pub(crate) fn ready(&self, sandbox: &str) -> Container {
        until(&format!("{sandbox} is Ready"), || {
            let status = self.status(sandbox)?;
            let container = self.container(sandbox).ok_or("it has no container")?;
            let ready = status.condition("Ready");
            let same = status.text("/container/id") == container.id();
            if ready.status == "True"
                && status.is_current()
                && same
                && container.state() == "running"
            {
                return Ok(container);
            }
            Err(format!("{ready:?}, container {} {}", container.id(), container.state()))
        })
    }

    /// Waits until a condition of a sandbox has this status and reason; gives its message.
    #[track_caller]
    pub(crate) fn condition(
        &self,
        sandbox: &str,
        type_: &str,
        status: &str,
        reason: &str,
    ) -> String {
        until(&format!("{sandbox} is {type_}={status} ({reason})"), || {
            let found = self.status(sandbox)?.condition(type_);
            if found.status == status && found.reason == reason {
                return Ok(found.message);
            }
            Err(format!("{found:?}"))
        })
    }

    /// Waits until what runs is what the file says.
    #[track_caller]
    pub(crate) fn up_to_date(&self, sandbox: &str) {
        until(&format!("{sandbox} is UpToDate"), || {
            let found = self.status(sandbox)?.condition("UpToDate");
            if found.status == "True" { Ok(()) } else { Err(format!("{found:?}")) }
        });
    }

    /// Waits until `sandkeeper describe` says one of these words.
    #[track_caller]
    pub(crate) fn described(&self, sandbox: &str, words: &[&str]) {
        until(&format!("describe {sandbox} says one of {words:?}"), || {
            let text = self.describe(sandbox);
            let found = words.iter().any(|word| text.contains(word));
            if found { Ok(()) } else { Err(text) }
        });
    }

    /// Waits until `_files.yaml` says all of these.
    #[track_caller]
    pub(crate) fn reported(&self, words: &[&str]) {
        until(&format!("_files.yaml says {words:?}"), || {
            let text = self.files_report();
            let found = words.iter().all(|word| text.contains(word));
            if found { Ok(()) } else { Err(text) }
        });
    }

    /// Waits until a sandbox has no container.
    #[track_caller]
    pub(crate) fn gone(&self, sandbox: &str) {
        until(&format!("{sandbox} has no container"), || match self.container(sandbox) {
            None => Ok(()),
            Some(container) => Err(format!("it is {}", container.state())),
        });
    }

    /// Waits until the daemon has looked at everything again, twice: a sandbox that is declared now
    /// comes up, goes with its file (which takes a second look, some seconds later) and is gone.
    #[track_caller]
    pub(crate) fn barrier(&self) {
        self.write("barrier", &Spec::idle("barrier"));
        self.ready("barrier");
        self.delete("barrier");
        self.gone("barrier");
    }

    fn add_run_options(&self, command: &mut Command) {
        let option = |command: &mut Command, name: &str, value: &dyn AsRef<OsStr>| {
            command.arg(name).arg(value.as_ref());
        };
        option(command, "--specs", &self.specs());
        option(command, "--state", &self.state());
        option(command, "--prefix", &self.prefix);
        option(command, "--resync", &self.resync.get());
        option(command, "--ports-base", &self.ports.base.to_string());
        option(command, "--ports-count", &self.ports.count.to_string());
    }

    fn name_engine(&self, command: &mut Command) {
        if let Some(tool) = &self.apple {
            command.args(["--engine", "apple"]).arg("--apple-cli").arg(tool.program());
            return;
        }
        command.args(["--engine", self.engine.kind()]);
        if let Some(socket) = self.engine.private_socket() {
            command.arg("--socket").arg(socket);
        }
    }

    /// `sandkeeper SUBCOMMAND`, independent of the caller's configuration.
    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sandkeeper"));
        for (name, _) in std::env::vars_os() {
            if Path::new(&name).to_string_lossy().starts_with("SANDKEEPER") {
                command.env_remove(name);
            }
        }
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").env("NO_COLOR", "1");
        command.env("SANDKEEPER_CONFIG", self.path("config.yaml"));
        command.arg(subcommand);
        command
    }

    /// What there was to see when a test failed.
    fn show(&self) {
        if self.engine.is_shared() {
            eprintln!("--- containers: {:?}", self.names());
        }
        let status = fs::read_dir(self.state().join("status")).into_iter().flatten().flatten();
        for file in status.take(8) {
            let text = fs::read_to_string(file.path()).unwrap_or_default();
            eprintln!("--- {}:\n{text}", file.path().display());
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("--- end of the daemon's log:");
        for line in &lines[lines.len().saturating_sub(60)..] {
            eprintln!("{line}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.show();
        }
        // A private engine ends with all that it has.
        for engine in self.left.iter().chain([&self.engine]).filter(|engine| engine.is_shared()) {
            engine.clean(&format!("{}-", self.prefix), &self.images.borrow());
        }
    }
}
