//! A sandbox's scripted life, from its first spec to its last trace, and what can be seen of it after
//! each step. The sweeps play it clean once and then with something broken at every step.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::harness::{Container, Daemon, Spec, World, until_within};
use crate::proxy::{Ledger, Proxy};
use crate::trace::{Trace, Traced};

/// Name of the sandbox.
pub(crate) const NAME: &str = "life";
/// A stalled start alone takes a minute to be given up, and what follows may be refused or stalled too.
const PATIENCE: Duration = Duration::from_mins(4);

/// What its user does, one after the other. Each is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    /// The daemon starts, and the spec is written.
    Create,
    /// An edit that takes a new container.
    Replace,
    /// An edit that does not.
    Limits,
    /// The container is killed.
    Kill,
    Suspend,
    Resume,
    /// The spec is removed.
    Delete,
}

pub(crate) const STEPS: [Step; 7] = [
    Step::Create,
    Step::Replace,
    Step::Limits,
    Step::Kill,
    Step::Suspend,
    Step::Resume,
    Step::Delete,
];

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", format!("{self:?}").to_lowercase())
    }
}

/// What there is to see of the sandbox after a step.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    /// The conditions in its status.
    told: String,
    /// Its containers, under all its names.
    containers: Vec<String>,
    /// Files that the daemon keeps of it, but its history.
    files: Vec<String>,
}

/// The daemon, by itself or under a tracer.
enum Running {
    Plain(Daemon),
    Traced(Traced),
}

/// One life: a daemon of its own, behind a proxy of its own.
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) proxy: Proxy,
    /// What a daemon is watched for that runs under a tracer.
    pub(crate) trace: Option<Trace>,
    /// How often the daemon was started.
    pub(crate) starts: usize,
    running: Option<Running>,
    /// How often an edit that was rolled back was made again: each costs one creation and one removal.
    pub(crate) edits_again: usize,
    /// A container that has the prefix of ours and is not ours.
    bystander: Container,
    /// The run that a kill ended.
    killed: Option<(String, String)>,
}

impl Life {
    /// A world without a daemon. `world` is part of every container's name: lower-case letters.
    pub(crate) fn new(world: &str) -> Self {
        let world = World::new(world);
        let proxy = Proxy::start();
        let name = world.container_name("bystander");
        world.engine.create_foreign(&name);
        let bystander = world.engine.container(&name).expect("it was made a moment ago");
        Self {
            world,
            proxy,
            trace: None,
            starts: 0,
            running: None,
            edits_again: 0,
            bystander,
            killed: None,
        }
    }

    /// Starts the daemon behind the proxy.
    fn start(&mut self) {
        let mut command = self.world.run_command();
        command.env("DOCKER_HOST", self.proxy.address());
        self.running = Some(match &self.trace {
            None => Running::Plain(self.world.spawn(command)),
            Some(trace) => {
                let (log, state) = (self.world.path("daemon.log"), self.world.state());
                Running::Traced(Traced::spawn(&command, &log, &state, trace.clone()))
            }
        });
    }

    /// Starts the daemon unless it runs. That it does not end by itself is for the sweep to say.
    fn keep_running(&mut self) {
        let runs = match &mut self.running {
            Some(Running::Plain(daemon)) => daemon.is_running(),
            Some(Running::Traced(daemon)) => daemon.is_running(),
            None => false,
        };
        if !runs {
            self.starts += 1;
            self.start();
        }
    }

    /// Waits until the daemon has died so often, and lets it run again: who is killed is not dead at once.
    pub(crate) fn bury(&mut self, deaths: usize) {
        until_within(PATIENCE, "the daemon is dead and runs again", || {
            self.keep_running();
            if self.starts > deaths { Ok(()) } else { Err(format!("{} starts", self.starts)) }
        });
    }

    /// What the user does in this step.
    pub(crate) fn act(&mut self, step: Step) {
        self.keep_running();
        match step {
            Step::Create | Step::Replace | Step::Limits | Step::Suspend | Step::Resume => {
                self.write(step);
            }
            Step::Kill => {
                let container = self.world.container(NAME).expect("it runs");
                self.killed = Some(container.run());
                self.world.engine.kill(&container.id());
            }
            Step::Delete => self.world.delete(NAME),
        }
    }

    /// Waits until the step has led to what it is to lead to; gives what there is to see.
    #[track_caller]
    pub(crate) fn settle(&mut self, step: Step) -> Seen {
        let again = self.edits_again;
        let state = until_within(PATIENCE, &format!("{step} has settled"), || {
            self.keep_running();
            if step == Step::Replace && self.edits_again == again && self.was_rolled_back() {
                // As its user would: the same edit is not tried twice, and rightly so.
                self.edits_again += 1;
                self.write(step);
            }
            if step == Step::Kill && !self.was_restarted() {
                return Err("it was not restarted".to_owned());
            }
            self.look(&Self::wanted(step))
        });
        let bystander = self.world.container("bystander");
        assert_eq!(bystander.as_ref(), Some(&self.bystander), "what is not ours is not touched");
        state
    }

    /// What there is to see of the sandbox, from outside: its status, its containers, its files.
    fn look(&self, wanted: &Seen) -> Result<Seen, String> {
        // The status first: it costs the engine nothing, and until it is as wanted nothing else counts.
        let told = self.told()?;
        if told != wanted.told {
            return Err(format!("{told}, not {}", wanted.told));
        }
        let names = ["", ".new", ".old"].map(|slot| format!("{NAME}{slot}"));
        let containers = names.iter().filter_map(|name| self.describe(name)).collect();
        let paths = [format!("specs/{NAME}.json"), format!("memory/{NAME}.json")];
        let files = paths.into_iter().filter(|it| self.world.state().join(it).exists()).collect();
        let seen = Seen { told, containers, files };
        if seen == *wanted { Ok(seen) } else { Err(format!("{seen:?}, not {wanted:?}")) }
    }

    /// What the daemon has published.
    fn told(&self) -> Result<String, String> {
        let Ok(status) = self.world.status(NAME) else { return Ok("nothing".to_owned()) };
        if !status.is_current() {
            return Err("the status is an old one".to_owned());
        }
        let told = ["Ready", "UpToDate", "Suspended"].map(|type_| {
            let condition = status.condition(type_);
            format!("{type_}={}/{}", condition.status, condition.reason)
        });
        Ok(told.join(" "))
    }

    /// Lets the daemon end as it is asked to, and looks at what it has said in all its runs.
    pub(crate) fn end(&mut self) {
        self.keep_running();
        // One that has only just been started would be ended by the signal itself.
        let pid = match self.running.as_ref().expect("it runs") {
            Running::Plain(daemon) => daemon.id(),
            Running::Traced(daemon) => daemon.id(),
        };
        until_within(PATIENCE, "the daemon listens for SIGTERM", || {
            if catches_sigterm(pid) { Ok(()) } else { Err("not yet".to_owned()) }
        });
        let code = match self.running.take().expect("it runs") {
            Running::Plain(daemon) => daemon.terminate().code(),
            Running::Traced(daemon) => daemon.terminate(),
        };
        assert_eq!(code, Some(0), "it ends in order");
        let log = self.world.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    fn describe(&self, name: &str) -> Option<String> {
        let container = self.world.container(name)?;
        let env = container.at("/Config/Env");
        let mut env = env.as_array().into_iter().flatten().filter_map(|value| value.as_str());
        let step = env.find(|value| value.starts_with("STEP=")).unwrap_or("no STEP");
        let pids = container.at("/HostConfig/PidsLimit");
        Some(format!("{name}: {} {step} pids={pids}", container.state()))
    }

    fn wanted(step: Step) -> Seen {
        let ready = "Ready=True/ContainerReady UpToDate=True/UpToDate Suspended=False/NotSuspended";
        let suspended =
            "Ready=False/SandboxSuspended UpToDate=True/UpToDate Suspended=True/ContainerStopped";
        let (told, state, edit, pids) = match step {
            Step::Create => (ready, "running", 1, 64),
            Step::Replace => (ready, "running", 2, 64),
            Step::Limits | Step::Kill | Step::Resume => (ready, "running", 2, 32),
            Step::Suspend => (suspended, "exited", 2, 32),
            Step::Delete => {
                return Seen { told: "nothing".to_owned(), ..Seen::default() };
            }
        };
        Seen {
            told: told.to_owned(),
            containers: vec![format!("{NAME}: {state} STEP={edit} pids={pids}")],
            files: vec![format!("specs/{NAME}.json"), format!("memory/{NAME}.json")],
        }
    }

    /// Whether another run has followed the killed one, and the status speaks of it.
    fn was_restarted(&self) -> bool {
        let told = self.world.status(NAME).map(|status| status.at("/container/restartCount"));
        told.is_ok_and(|count| count.as_u64() > Some(0))
            && self.world.container(NAME).map(|container| container.run()) != self.killed
    }

    fn was_rolled_back(&self) -> bool {
        let status = self.world.status(NAME);
        status.is_ok_and(|it| it.is_current() && it.condition("UpToDate").reason == "UpdateFailed")
    }

    fn write(&self, step: Step) {
        let (edit, pids) = match step {
            Step::Create => (1, 64),
            Step::Replace => (2, 64),
            _ => (2, 32),
        };
        let again = self.edits_again;
        let env =
            format!("[{{name: STEP, value: \"{edit}\"}}, {{name: AGAIN, value: \"{again}\"}}]");
        let mode = if step == Step::Suspend { "Suspended" } else { "Running" };
        let spec = Spec::idle(NAME)
            .set("env", &env)
            .set("network", "{mode: None}")
            .set("resources", &format!("{{limits: {{pids: {pids}}}}}"))
            // Asked through the engine: its calls are part of the life.
            .set(
                "readinessProbe",
                "{exec: {command: [\"true\"]}, periodSeconds: 10, timeoutSeconds: 20}",
            )
            .set("operatingMode", mode);
        // Whole at once, as a user should.
        let path = self.world.path("spec.yaml");
        fs::write(&path, spec.to_string()).expect("a file can be written");
        fs::rename(path, self.world.file(&format!("{NAME}.yaml"))).expect("it can be moved");
    }
}

/// Creations and removals that the engine has carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) creates: usize,
    pub(crate) removes: usize,
}

impl Effects {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        Self {
            creates: ledger.effects("POST /containers/create"),
            removes: ledger.effects("DELETE /containers/*"),
        }
    }

    /// One of each more for every edit that was made again.
    pub(crate) fn and(self, edits_again: usize) -> Self {
        Self { creates: self.creates + edits_again, removes: self.removes + edits_again }
    }
}

/// Whether the process has a handler of its own for SIGTERM, by the mask in `proc_pid_status(5)`.
fn catches_sigterm(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (15 - 1)) != 0)
}
