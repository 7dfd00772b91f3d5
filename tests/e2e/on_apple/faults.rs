//! The faults of Apple's `container` with the whole daemon: nothing is doubled, nothing of another's is
//! touched, and the daemon stays live.

use super::*;
use crate::harness::Daemon;

/// What changes something. The stand-in's `run` is the user's.
const MUTATIONS: [&str; 6] = ["create", "start", "stop", "kill", "delete", "run"];

/// A daemon that keeps `web` and `other`, which wait, beside a container of somebody else.
struct Story {
    world: World,
    daemon: Daemon,
    foreign: String,
    /// How much of the tool's record is the test's own preparation.
    prepared: usize,
}

impl Story {
    fn begin(test: &str) -> Self {
        let world = World::on_apple(test);
        let foreign = format!("{}-foreign", world.prefix);
        let tool = world.apple.as_ref().expect("this world has a tool");
        tool.control(&["set", "RANDOM_ORDER=1"]);
        let image = crate::harness::TEST_IMAGE;
        tool.run(&["run", "--detach", &format!("--name={foreign}"), image, "sleep", "3600"]);
        let prepared = tool.trace().len();
        let daemon = world.start();
        let story = Self { world, daemon, foreign, prepared };
        for name in ["web", "other"] {
            story.world.write(name, &Spec::idle(name));
        }
        for name in ["web", "other"] {
            until_condition_of(&story.world, name, "Ready", "True", "ContainerReady");
        }
        story
    }

    fn tool(&self) -> &StandIn {
        self.world.apple.as_ref().expect("this world has a tool")
    }

    fn id(&self, sandbox: &str) -> String {
        self.world.status(sandbox).expect("a status").text("/container/id")
    }

    /// Calls of this kind so far.
    fn calls(&self, verb: &str) -> usize {
        let trace = self.tool().trace();
        trace.iter().skip(self.prepared).filter(|words| words[0] == verb).count()
    }

    fn mutations(&self) -> usize {
        MUTATIONS.iter().map(|verb| self.calls(verb)).sum()
    }

    /// Writes an edit that takes a new container.
    fn edit(&self, sandbox: &str, seconds: u32) {
        let command = format!("[sleep, \"{seconds}\"]");
        self.world.write(sandbox, &Spec::idle(sandbox).set("command", &command));
    }

    /// Waits until the sandbox is as its file says, and runs in this many seconds' sleep.
    #[track_caller]
    fn until_it_sleeps(&self, sandbox: &str, seconds: u32) {
        let asked = seconds.to_string();
        until_within(PATIENCE, &format!("{sandbox} sleeps {asked}"), || {
            let status = self.world.status(sandbox)?;
            let told = [status.condition("Ready"), status.condition("UpToDate")];
            let edited = status.spec("/command/1") == asked;
            let done = edited && status.is_current() && told.iter().all(|it| it.status == "True");
            if done { Ok(()) } else { Err(format!("edited: {edited}, {told:?}")) }
        });
    }

    /// Kills the daemon, does this, and starts it again.
    fn restart(self, act: impl FnOnce(&StandIn)) -> Self {
        let Self { world, daemon, foreign, prepared } = self;
        daemon.kill();
        act(world.apple.as_ref().expect("this world has a tool"));
        let daemon = world.start();
        Self { world, daemon, foreign, prepared }
    }

    /// What must hold at the end of each story.
    #[track_caller]
    fn end(mut self) {
        let prefix = &self.world.prefix;
        until_within(PATIENCE, "there is one container for each, and the foreign one", || {
            let mut found: Vec<String> =
                containers(self.tool()).into_iter().map(|(name, _)| name).collect();
            found.sort();
            let of = |sandbox: &str| {
                let name = format!("{prefix}-{sandbox}");
                found.iter().filter(|it| **it == name || **it == format!("{name}.new")).count()
            };
            let whole = found.len() == 3 && found.contains(&self.foreign);
            if whole && of("web") == 1 && of("other") == 1 {
                Ok(())
            } else {
                Err(format!("{found:?}"))
            }
        });
        for words in self.tool().trace().iter().skip(self.prepared) {
            let touches = MUTATIONS.contains(&words[0].as_str());
            let foreign = words.iter().any(|word| word.contains(&self.foreign));
            assert!(!(touches && foreign), "{words:?}");
        }
        assert!(self.daemon.is_running(), "the daemon lives");
        assert!(!self.world.log().contains("panicked"), "{}", self.world.log());
        let mutations = self.mutations();
        assert!(self.daemon.terminate().success());
        let plan = self.world.converge(&["plan"]);
        assert_eq!(plan.status.code(), Some(0), "{}", String::from_utf8_lossy(&plan.stdout));
        let trace = self.world.apple.as_ref().expect("a tool").trace();
        let after = trace.iter().skip(self.prepared);
        let after = after.filter(|words| MUTATIONS.contains(&words[0].as_str())).count();
        assert_eq!(after, mutations, "to end and to plan changes nothing");
    }
}

#[test]
fn a_service_that_is_away_costs_nothing() {
    let story = Story::begin("apple-down");
    let (ids, before) = ([story.id("web"), story.id("other")], story.mutations());
    story.tool().control(&["set", "DOWN=1"]);
    until_condition_of(&story.world, "web", "Ready", "Unknown", "EngineUnavailable");
    story.tool().control(&["unset", "DOWN"]);
    for name in ["web", "other"] {
        until_condition_of(&story.world, name, "Ready", "True", "ContainerReady");
    }
    assert_eq!([story.id("web"), story.id("other")], ids);
    assert_eq!(story.mutations(), before, "no call that changes anything");
    story.end();
}

/// The daemon goes down with the host, and comes up with the service.
#[test]
fn a_reboot_costs_one_start_each() {
    let story = Story::begin("apple-reboot");
    let (ids, created) = ([story.id("web"), story.id("other")], story.calls("create"));
    let started = story.calls("start");
    let story = story.restart(|tool| {
        tool.control(&["reboot"]);
        tool.run(&["system", "start", "--disable-kernel-install"]);
    });
    until_within(PATIENCE, "both are started", || {
        let starts = story.calls("start") - started;
        if starts >= 2 { Ok(()) } else { Err(format!("{starts} starts")) }
    });
    for name in ["web", "other"] {
        until_condition_of(&story.world, name, "Ready", "True", "ContainerReady");
    }
    assert_eq!([story.id("web"), story.id("other")], ids);
    assert_eq!((story.calls("create"), story.calls("start")), (created, started + 2));
    story.end();
}

/// The machines run on, the service lists them as stopped and cannot start them: they are ended, and each is
/// made once.
#[test]
fn what_a_dead_service_left_is_ended_and_made_once() {
    let story = Story::begin("apple-crash");
    let (ids, created) = ([story.id("web"), story.id("other")], story.calls("create"));
    story.tool().control(&["crash-apiserver"]);
    for (name, id) in ["web", "other"].iter().zip(&ids) {
        until_within(PATIENCE, &format!("{name} is made again"), || {
            let status = story.world.status(name)?;
            let ready = status.condition("Ready");
            let anew = status.text("/container/id") != *id;
            if anew && ready.status == "True" { Ok(()) } else { Err(format!("{ready:?}")) }
        });
    }
    assert_eq!(story.calls("create"), created + 2);
    story.end();
}

#[test]
fn answers_that_are_lost_double_nothing() {
    let story = Story::begin("apple-lost");
    for (seconds, verb) in (4000..).zip(["create", "start", "stop", "delete"]) {
        let (created, called) = (story.calls("create"), story.calls(verb));
        story.tool().control(&["set", &format!("LOSE={verb}")]);
        story.edit("web", seconds);
        until_within(PATIENCE, &format!("{verb} is called"), || {
            let calls = story.calls(verb);
            if calls > called { Ok(()) } else { Err(format!("{calls} calls")) }
        });
        story.tool().control(&["unset", "LOSE"]);
        story.until_it_sleeps("web", seconds);
        assert_eq!(story.calls("create"), created + 1, "{verb}: made once");
    }
    story.end();
}

#[test]
fn a_call_that_never_returns_delays_no_other_sandbox() {
    let story = Story::begin("apple-hang");
    let (created, stopped) = (story.calls("create"), story.calls("stop"));
    let id = story.id("web");
    // A stop that does not return is followed by a kill.
    story.tool().control(&["set", "HANG=stop,kill"]);
    story.edit("web", 5000);
    until_within(PATIENCE, "the stop hangs", || {
        let calls = story.calls("stop");
        if calls > stopped { Ok(()) } else { Err(format!("{calls} calls")) }
    });
    story.world.write("third", &Spec::idle("third"));
    until_condition_of(&story.world, "third", "Ready", "True", "ContainerReady");
    assert_eq!(story.id("web"), id, "its edit waits for the stop");
    story.tool().control(&["unset", "HANG"]);
    story.until_it_sleeps("web", 5000);
    assert_eq!(story.calls("create"), created + 2, "one for the edit, one for the third");
    story.world.delete("third");
    story.end();
}
