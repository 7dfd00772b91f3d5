//! The same story on Podman, and the way from one engine to the other.

use crate::harness::{Engine, MISSING_IMAGE, Spec, World, http_get, until};

#[test]
fn dropped_edited_killed_broken_and_deleted() {
    let world = World::on("podman", Engine::podman());
    let _daemon = world.start();

    world.write("web", &Spec::serving("web"));
    let first = world.ready("web");
    until("it answers", || http_get(first.host_port(), "/"));

    // Podman changes no limits in place.
    let limited = Spec::serving("web").set("resources", "{limits: {memory: 64Mi}}");
    world.write("web", &limited);
    let second = until("a container with the limit serves", || {
        let container = world.container("web").ok_or("none")?;
        let memory = container.at("/HostConfig/Memory");
        if memory == 64 << 20 { Ok(container) } else { Err(memory.to_string()) }
    });
    assert_ne!(second.id(), first.id());
    let second = world.ready("web");
    assert_eq!(second.host_port(), first.host_port(), "the port is kept");

    world.engine.kill(&world.container_name("web"));
    until("it was started again", || {
        let found = world.container("web").ok_or("none")?.run();
        if found == second.run() { Err(format!("{found:?}")) } else { Ok(()) }
    });
    world.engine.pause(&world.container_name("web"));
    world.described("web", &["paused"]);
    let before = world.ready("web");

    world
        .write("web", &limited.clone().set("image", MISSING_IMAGE).set("imagePullPolicy", "Never"));
    world.condition("web", "UpToDate", "False", "ImageUnavailable");
    world.write_text("web.yaml", "kind: Sandbox\nmetadata: {");
    world.reported(&["web.yaml"]);
    assert_eq!(world.container("web").expect("it is kept").run(), before.run());
    world.write("web", &limited);
    world.up_to_date("web");
    assert_eq!(world.ready("web").run(), before.run());

    world.delete("web");
    world.gone("web");
    assert_eq!(world.names(), [""; 0]);
}

#[test]
fn another_engine_is_refused_and_with_migrate_the_old_containers_are_stopped_first() {
    let mut world = World::new("migrate");
    world.write("web", &Spec::serving("web"));
    let daemon = world.start();
    let before = world.ready("web");
    let name = world.container_name("web");
    daemon.kill();
    world.move_to(Engine::podman());

    let refused = world.converge(&["run", "--once", "--timeout", "30s"]);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("--migrate"), "{words}");
    assert_eq!(world.left[0].container(&name).expect("it is kept").run(), before.run());
    assert_eq!(world.names(), [""; 0]);

    let migrated = world.converge(&["run", "--once", "--timeout", "2m", "--migrate"]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let old = world.left[0].container(&name).expect("it is stopped, and kept");
    assert_eq!((old.id(), old.state()), (before.id(), "exited".to_owned()));
    let new = world.ready("web");
    assert_eq!(new.host_port(), before.host_port(), "the port is kept");
    until("it answers", || http_get(new.host_port(), "/"));

    // Without a word about the engine, it is the one that holds the containers.
    let _daemon = world.spawn(world.command_without_an_engine());
    world.delete("web");
    world.gone("web");
    let old = world.left[0].container(&name).expect("what was left is nobody's business");
    assert_eq!(old.id(), before.id());
}
