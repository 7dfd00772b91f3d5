//! The daemon may end at any moment, in any way: the containers do not notice.

use std::thread;
use std::time::Duration;

use crate::harness::{Spec, World, until};

#[test]
fn killed_at_any_moment_it_restarts_leaks_and_doubles_nothing() {
    let world = World::new("crash");
    let settled: Vec<String> = (0..3).map(|number| format!("old-{number}")).collect();
    for name in &settled {
        world.write(name, &Spec::idle(name));
    }
    let daemon = world.start();
    let before: Vec<_> = settled.iter().map(|name| world.ready(name).run()).collect();
    daemon.kill();

    for round in 0..6_u64 {
        let name = format!("new-{round}");
        let daemon = world.start();
        world.write(&name, &Spec::idle(&name));
        // A moment between the start of the process and a little after the container's creation.
        thread::sleep(Duration::from_millis(fastrand::u64(0..150) + 80 * round));
        daemon.kill();
    }

    let _daemon = world.start();
    let mut expected = settled.clone();
    expected.extend((0..6).map(|round| format!("new-{round}")));
    for name in &expected {
        world.ready(name);
    }
    let mut names: Vec<_> = expected.iter().map(|name| world.container_name(name)).collect();
    names.sort();
    until("there is one container to each sandbox", || match world.names() {
        found if found == names => Ok(()),
        found => Err(format!("{found:?}")),
    });
    let after: Vec<_> = settled.iter().map(|name| world.ready(name).run()).collect();
    assert_eq!(after, before);
}

#[test]
fn killed_during_a_replacement_it_finishes_or_reverses_it() {
    let world = World::new("midway");
    world.write("web", &Spec::serving("web"));
    let daemon = world.start();
    world.ready("web");
    daemon.kill();

    for round in 0..4_u64 {
        let daemon = world.start();
        let env = format!("[{{name: ROUND, value: \"{round}\"}}]");
        world.write("web", &Spec::serving("web").set("env", &env));
        thread::sleep(Duration::from_millis(fastrand::u64(0..200) + 150 * round));
        daemon.kill();
        assert!(
            !world.engine.names(&world.container_name("web")).is_empty(),
            "at no moment is there no container"
        );
    }

    let _daemon = world.start();
    until("the last edit runs, alone", || {
        let names = world.names();
        let env = world.container("web").ok_or("none")?.at("/Config/Env").to_string();
        let done = env.contains("ROUND=3") && names == [world.container_name("web")];
        if done { Ok(()) } else { Err(format!("{names:?} {env}")) }
    });
    world.ready("web");
}

#[test]
fn asked_to_end_it_exits_with_0_and_stops_no_container() {
    let world = World::new("term");
    world.write("web", &Spec::serving("web"));
    let daemon = world.start();
    let before = world.ready("web");

    let status = daemon.terminate();

    assert_eq!(status.code(), Some(0));
    assert_eq!(world.container("web").expect("it is kept").run(), before.run());

    let _daemon = world.start();
    world.barrier();
    assert_eq!(world.ready("web").run(), before.run(), "a new daemon restarts nothing");
}

#[test]
fn asked_to_end_while_it_works_it_leaves_nothing_half_done() {
    let world = World::new("busy");
    let names: Vec<String> = (0..8).map(|number| format!("web-{number}")).collect();
    for name in &names {
        world.write(name, &Spec::idle(name));
    }
    let daemon = world.start();
    until("it has begun", || match world.names().len() {
        0 => Err("no container yet".to_owned()),
        _ => Ok(()),
    });

    assert_eq!(daemon.terminate().code(), Some(0));

    let _daemon = world.start();
    for name in &names {
        world.ready(name);
    }
    assert_eq!(world.names().len(), names.len());
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let world = World::new("second");
    world.write("web", &Spec::idle("web"));
    let mut first = world.start();
    world.ready("web");

    let second = world.spawn(world.run_command());

    assert_eq!(second.exit().code(), Some(1));
    let state = world.state().display().to_string();
    let log = world.log();
    let told = log.lines().any(|line| line.contains(&state) && line.contains("another"));
    assert!(told, "the message names the state directory and another sandkeeper: {log}");
    assert!(first.is_running());
}

#[test]
fn it_has_no_child_processes() {
    let world = World::new("children");
    let probe = "{exec: {command: [busybox, test, -d, /tmp]}, periodSeconds: 1}";
    let spec = Spec::serving("web").set("readinessProbe", probe).set("livenessProbe", probe);
    world.write(
        "web",
        &spec.set("permissions", "[{path: /tmp/made, mode: \"0777\", create: true}]"),
    );
    let daemon = world.start();

    until("it is Ready, and never had a child", || {
        assert_eq!(daemon.children(), Vec::<String>::new());
        let ready = world.status("web")?.condition("Ready");
        if ready.status == "True" { Ok(()) } else { Err(format!("{ready:?}")) }
    });
    world.engine.remove(&world.container_name("web"));
    until("it is mended, and never had a child", || {
        assert_eq!(daemon.children(), Vec::<String>::new());
        let state = world.container("web").ok_or("none")?.state();
        if state == "running" { Ok(()) } else { Err(state) }
    });
}
