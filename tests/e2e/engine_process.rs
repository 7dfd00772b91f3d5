//! The engine's own process is stopped, killed, frozen, starved or swapped for another, on an engine that
//! the test has for itself. Nothing is done to what cannot be seen, nothing is doubled, and in the end
//! everything runs.
//!
//! With `SANDKEEPER_TESTS_LONG=1` outages are longer and fleets larger.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{
    Container, Daemon, Engine, Part, PrivateEngine, Request, Setup, Spec, World, until,
};

/// A world on an engine of its own, with a container beside it that is nobody's. The order is that of
/// going away.
struct Scene {
    _daemon: Daemon,
    world: World,
    engine: PrivateEngine,
    names: Vec<String>,
}

/// What one container is, and which run of it.
type Run = (String, String);

impl Scene {
    /// `size` sandboxes run, and a foreign container.
    fn running(test: &str, setup: Setup, size: usize) -> Self {
        let engine = PrivateEngine::start(test, setup);
        let world = World::on(test, Engine::at(&engine.socket()));
        let names: Vec<String> = (0..size).map(|number| format!("web-{number}")).collect();
        for name in &names {
            world.write(name, &Spec::idle(name));
        }
        world.engine.run_foreign(BYSTANDER, HashMap::new());
        let daemon = world.start();
        let scene = Self { _daemon: daemon, world, engine, names };
        scene.all_ready();
        scene
    }

    fn all_ready(&self) -> Vec<Run> {
        self.names.iter().map(|name| self.world.ready(name).run()).collect()
    }

    fn ids(&self) -> Vec<String> {
        self.names.iter().map(|name| self.container(name).id()).collect()
    }

    fn runs(&self) -> Vec<Run> {
        self.names.iter().map(|name| self.container(name).run()).collect()
    }

    fn container(&self, sandbox: &str) -> Container {
        self.world.container(sandbox).expect("it is kept")
    }

    fn bystander(&self) -> Container {
        self.world.engine.container(BYSTANDER).expect("it is nobody's, so nobody removes it")
    }

    /// The foreign container runs as it ran.
    #[track_caller]
    fn lives_on(&self, bystander: &Container) {
        let now = self.bystander();
        assert_eq!((now.run(), now.state()), (bystander.run(), "running".to_owned()));
    }

    /// Waits until the daemon says of every sandbox that it cannot know.
    #[track_caller]
    fn all_unknown(&self) {
        for name in &self.names {
            self.world.condition(name, "Ready", "Unknown", "EngineUnavailable");
        }
    }

    /// Exactly one container to each sandbox, and the foreign one.
    #[track_caller]
    fn nothing_is_doubled(&self) {
        let mut expected: Vec<_> =
            self.names.iter().map(|name| self.world.container_name(name)).collect();
        expected.push(BYSTANDER.to_owned());
        expected.sort();
        assert_eq!(self.world.engine.names(""), expected);
    }

    /// What the engine was asked for since this many requests, as `action sandbox`, sorted.
    fn asked_since(&self, earlier: usize) -> Vec<String> {
        let requests = self.world.requests().split_off(earlier);
        let mut asked: Vec<_> = requests.iter().map(|it| it.what.clone()).collect();
        asked.sort();
        asked
    }

    fn done_since(&self, earlier: usize) -> Vec<String> {
        let requests = self.world.requests().split_off(earlier).into_iter();
        let mut done: Vec<_> = requests.filter(|it| it.done).map(|it| it.what).collect();
        done.sort();
        done
    }

    fn starts(&self) -> Vec<String> {
        self.names.iter().map(|name| format!("start {name}")).collect()
    }
}

const BYSTANDER: &str = "bystander";

fn long_form() -> bool {
    std::env::var_os("SANDKEEPER_TESTS_LONG").is_some_and(|value| value == "1")
}

/// Part of a fault, not a wait for something.
fn outage(short: Duration, long: Duration) {
    thread::sleep(if long_form() { long } else { short });
}

#[test]
fn an_orderly_restart_of_the_engine_starts_each_container_again_and_makes_none() {
    let scene = Scene::running("orderly", Setup::default(), 3);
    let (ids, bystander) = (scene.ids(), scene.bystander());
    let earlier = scene.world.requests().len();

    scene.engine.end(Part::Dockerd, "TERM");
    scene.all_unknown();
    scene.engine.start_dockerd();

    scene.all_ready();
    // While it shuts down, an engine may still grant or refuse a start of what it has just stopped.
    let asked = scene.asked_since(earlier);
    assert!(asked.iter().all(|it| it.starts_with("start ")), "{asked:?}");
    assert!(scene.starts().iter().all(|start| asked.contains(start)), "{asked:?}");
    assert_eq!(scene.ids(), ids);
    assert_eq!(scene.bystander().run(), bystander.run(), "nobody started it again");
    scene.nothing_is_doubled();
}

#[test]
fn a_killed_engine_that_stays_away_costs_one_start_each_when_it_returns() {
    let scene = Scene::running("killed", Setup::default(), 3);
    let (ids, bystander) = (scene.ids(), scene.bystander());
    let earlier = scene.world.requests().len();

    scene.engine.end(Part::Dockerd, "KILL");
    scene.all_unknown();
    outage(Duration::ZERO, Duration::from_secs(70));
    assert_eq!(scene.asked_since(earlier), [""; 0], "nothing is asked while nothing is known");
    // It kills what it finds running when it returns.
    scene.engine.start_dockerd();

    scene.all_ready();
    assert_eq!(scene.done_since(earlier), scene.starts());
    assert_eq!(scene.ids(), ids);
    assert_eq!(scene.bystander().run(), bystander.run(), "nobody started it again");
    scene.nothing_is_doubled();
}

#[test]
fn with_live_restore_an_engine_that_restarts_or_is_killed_costs_nothing() {
    let setup = Setup { live_restore: true, ..Setup::default() };
    let scene = Scene::running("live", setup, 3);
    let (runs, bystander) = (scene.runs(), scene.bystander());
    let earlier = scene.world.requests().len();

    for signal in ["TERM", "KILL"] {
        scene.engine.end(Part::Dockerd, signal);
        scene.all_unknown();
        scene.engine.start_dockerd();
        assert_eq!(scene.all_ready(), runs);
    }

    assert_eq!(scene.asked_since(earlier), [""; 0]);
    scene.lives_on(&bystander);
    scene.world.barrier();
    assert_eq!(scene.runs(), runs);
    scene.nothing_is_doubled();
}

#[test]
fn a_container_that_ends_while_the_engine_is_away_is_started_again_and_no_other() {
    let setup = Setup { live_restore: true, ..Setup::default() };
    let scene = Scene::running("dies", setup, 3);
    let (ids, runs) = (scene.ids(), scene.runs());
    let earlier = scene.world.requests().len();
    let process = scene.container("web-1").at("/State/Pid").as_u64().expect("it runs");

    scene.engine.end(Part::Dockerd, "KILL");
    scene.engine.kill_inside(process);
    scene.all_unknown();
    scene.engine.start_dockerd();

    // No event told of its end: the first list does.
    until("it runs again", || {
        let container = scene.container("web-1");
        let again = container.state() == "running" && container.run() != runs[1];
        if again { Ok(()) } else { Err(container.state()) }
    });
    let after = scene.all_ready();
    assert_eq!((&after[0], &after[2]), (&runs[0], &runs[2]));
    assert_eq!(scene.ids(), ids);
    assert_eq!(scene.asked_since(earlier), ["start web-1"]);
    scene.nothing_is_doubled();
}

#[test]
fn a_frozen_engine_that_goes_on_later_has_done_nothing_twice() {
    let mut scene = Scene::running("frozen", Setup::default(), 2);
    let (runs, bystander) = (scene.runs(), scene.bystander());

    scene.engine.signal(Part::Dockerd, "STOP");
    // Asked for while nobody answers; in the long form given up and asked for again.
    scene.world.write("late", &Spec::idle("late"));
    scene.world.delete("web-1");
    outage(Duration::from_secs(4), Duration::from_secs(75));
    if long_form() {
        scene.world.condition("web-0", "Ready", "Unknown", "EngineUnavailable");
    }
    scene.engine.signal(Part::Dockerd, "CONT");

    scene.world.gone("web-1");
    scene.names = vec!["web-0".to_owned(), "late".to_owned()];
    let after = scene.all_ready();
    assert_eq!(after[0], runs[0]);
    scene.lives_on(&bystander);
    scene.world.barrier();
    assert_eq!(scene.runs(), after);
    scene.nothing_is_doubled();
}

#[test]
fn without_containerd_no_start_succeeds_and_what_runs_is_kept() {
    let mut scene = Scene::running("starter", Setup::default(), 2);
    let (runs, bystander) = (scene.runs(), scene.bystander());

    scene.engine.end(Part::Containerd, "KILL");
    scene.world.write("late", &Spec::idle("late"));
    until("its start was tried and did not succeed", || {
        let requests = scene.world.requests();
        let tried = requests.iter().any(|it| it.what == "start late" && !it.done);
        if tried { Ok(()) } else { Err(format!("{requests:?}")) }
    });
    assert_eq!(scene.runs(), runs);
    scene.engine.start_containerd();

    scene.names.push("late".to_owned());
    let after = scene.all_ready();
    assert_eq!(after[..2], runs);
    scene.lives_on(&bystander);
    let creations = |it: &&Request| it.what.starts_with("create ") && it.done;
    assert_eq!(scene.world.requests().iter().filter(creations).count(), 3);
    scene.nothing_is_doubled();
}

#[test]
fn an_engine_whose_disk_is_full_loses_no_container_and_recovers_with_room() {
    let mut scene = Scene::running("full", Setup { size: "96m", ..Setup::default() }, 2);
    let (ids, runs, bystander) = (scene.ids(), scene.runs(), scene.bystander());

    scene.engine.fill();
    scene.world.write("late", &Spec::idle("late"));
    scene.world.write("web-0", &Spec::idle("web-0").set("env", "[{name: EDITED, value: \"1\"}]"));
    for what in ["create late", "create web-0"] {
        until(&format!("{what} was tried and did not succeed"), || {
            let requests = scene.world.requests();
            let tried = requests.iter().any(|it| it.what == what && !it.done);
            if tried { Ok(()) } else { Err(format!("{requests:?}")) }
        });
    }
    assert_eq!(scene.runs(), runs, "an edit that cannot be had stops nothing");
    scene.lives_on(&bystander);
    scene.engine.empty();

    scene.names.push("late".to_owned());
    until("the edit runs", || {
        let container = scene.world.container("web-0").ok_or("none")?;
        let edited = container.at("/Config/Env").to_string().contains("EDITED=1");
        if edited { Ok(()) } else { Err(container.state()) }
    });
    let after = scene.all_ready();
    assert_eq!(after[1], runs[1]);
    assert_ne!(after[0].0, ids[0]);
    scene.world.barrier();
    scene.nothing_is_doubled();
}

#[test]
fn restarts_in_a_row_leave_each_sandbox_running_once() {
    let (rounds, fleet) = if long_form() { (20, 50) } else { (3, 8) };
    let scene = Scene::running("rounds", Setup::default(), fleet);
    let (ids, bystander) = (scene.ids(), scene.bystander());
    let earlier = scene.world.requests().len();

    for round in 0..rounds {
        // At any moment of the recovery from the last one.
        thread::sleep(Duration::from_millis(fastrand::u64(0..1500)));
        scene.engine.end(Part::Dockerd, if round % 2 == 0 { "KILL" } else { "TERM" });
        scene.engine.start_dockerd();
    }

    let back = Instant::now();
    scene.all_ready();
    let asked = scene.asked_since(earlier);
    eprintln!(
        "{rounds} restarts of {fleet} sandboxes: {} starts asked for, all Ready {:.1?} after the last",
        asked.len(),
        back.elapsed()
    );
    assert!(asked.iter().all(|it| it.starts_with("start ")), "{asked:?}");
    assert!(asked.len() <= 3 * rounds * fleet, "{} requests", asked.len());
    assert_eq!(scene.ids(), ids);
    assert_eq!(scene.bystander().run(), bystander.run(), "nobody started it again");
    scene.nothing_is_doubled();
}

#[test]
fn another_engine_behind_the_socket_is_left_alone_until_ours_is_back() {
    let scene = Scene::running("ours", Setup::default(), 2);
    let (ids, earlier) = (scene.ids(), scene.world.requests().len());
    let other = PrivateEngine::start("other", Setup::default());
    let others = Engine::at(&other.socket());
    others.run_foreign(BYSTANDER, HashMap::new());
    let before = others.container(BYSTANDER).expect("it runs");

    scene.engine.end(Part::Dockerd, "KILL");
    // A file that is no socket any more, then a link to the other engine's.
    drop(std::fs::remove_file(scene.engine.socket()));
    std::os::unix::fs::symlink(other.socket(), scene.engine.socket()).expect("ln -s");
    for name in &scene.names {
        until(&format!("{name} is said to be unknown, for the engine is another"), || {
            let ready = scene.world.status(name)?.condition("Ready");
            let told = ready.status == "Unknown" && ready.message.contains("another engine");
            if told { Ok(()) } else { Err(format!("{ready:?}")) }
        });
    }
    assert_eq!(scene.asked_since(earlier), [""; 0]);
    assert_eq!(others.names(""), [BYSTANDER]);
    assert_eq!(others.container(BYSTANDER), Some(before));
    scene.engine.start_dockerd();

    scene.all_ready();
    assert_eq!(scene.done_since(earlier), scene.starts());
    assert_eq!(scene.ids(), ids);
    assert_eq!(others.names(""), [BYSTANDER]);
    scene.nothing_is_doubled();
}
