//! A file makes a container; whatever happens to the container is mended; the file's end is its end.

use std::fs;

use crate::harness::{Spec, TEST_IMAGE, World, http_get, until};

/// Runs one sandbox, lets `harm` happen to its container, and waits until the daemon has mended it and
/// says why.
fn mended(test: &str, harm: impl Fn(&World, &str), reasons: &[&str]) {
    let world = World::new(test);
    world.write("web", &Spec::serving("web"));
    let _daemon = world.start();
    let before = world.ready("web");

    harm(&world, &world.container_name("web"));

    world.described("web", reasons);
    let after = world.ready("web");
    assert_eq!(after.host_port(), before.host_port(), "the port is kept for the sandbox's life");
    until("it answers", || http_get(after.host_port(), "/"));
    assert_eq!(world.names(), [world.container_name("web")]);
}

#[test]
fn a_five_line_spec_becomes_a_container_that_answers() {
    let world = World::new("five");
    let _daemon = world.start();
    let spec = format!(
        "apiVersion: sandkeeper.dev/v1alpha1\n\
         kind: Sandbox\n\
         metadata:\n  name: web\n\
         spec: {{image: \"{TEST_IMAGE}\", command: [httpd, -f, -p, \"8080\", -h, /tmp]}}\n"
    );
    assert_eq!(spec.lines().count(), 5);

    world.write_text("web.yaml", &spec);

    let container = world.ready("web");
    assert_eq!(container.text("/HostConfig/PortBindings/8080~1tcp/0/HostIp"), "127.0.0.1");
    until("it answers", || http_get(container.host_port(), "/"));
    let url = world.status("web").expect("a status").text("/endpoints/0/url");
    assert!(url.ends_with(&format!(":{}", container.host_port())), "{url}");

    let table = world.ask(&["get"]);
    let text = String::from_utf8_lossy(&table.stdout).into_owned();
    let row = text.lines().find(|line| line.starts_with("web ")).expect("get has a row for it");
    assert!(row.contains("True") && row.contains(&url), "{text}");
    assert!(table.status.success());
}

#[test]
fn a_removed_container_comes_back() {
    mended("removed", |world, container| world.engine.remove(container), &["removed"]);
}

#[test]
fn a_stopped_container_is_started() {
    let reasons = ["ended", "does not run", "not running"];
    mended("stopped", |world, container| world.engine.stop(container), &reasons);
}

#[test]
fn a_killed_container_is_started() {
    let reasons = ["ended", "does not run", "not running"];
    mended("killed", |world, container| world.engine.kill(container), &reasons);
}

#[test]
fn a_paused_container_is_unpaused() {
    mended("paused", |world, container| world.engine.pause(container), &["paused"]);
}

#[test]
fn a_renamed_container_gets_its_name_back() {
    let rename = |world: &World, container: &str| {
        world.engine.rename(container, &format!("{}-elsewhere", world.prefix));
    };
    mended("renamed", rename, &["renamed"]);
}

#[test]
fn a_container_that_is_stopped_is_started_and_not_replaced() {
    let world = World::new("same");
    world.write("web", &Spec::serving("web"));
    let _daemon = world.start();
    let before = world.ready("web");

    world.engine.kill(&world.container_name("web"));

    until("it runs again", || {
        let container = world.container("web").ok_or("it is gone")?;
        if container.run() == before.run() { Err(container.state()) } else { Ok(()) }
    });
    let after = world.ready("web");
    assert_eq!(after.id(), before.id());
    until("status tells how it ended", || {
        let status = world.status("web")?;
        let (code, restarts) = (
            status.at("/container/lastTermination/exitCode"),
            status.at("/container/restartCount"),
        );
        if code == 137 && restarts == 1 { Ok(()) } else { Err(format!("{code} {restarts}")) }
    });
}

#[test]
fn a_deleted_file_takes_its_container_along() {
    let world = World::new("deleted");
    world.write("web", &Spec::idle("web"));
    world.write("other", &Spec::idle("other"));
    let _daemon = world.start();
    world.ready("web");
    let other = world.ready("other");

    world.delete("web");

    world.gone("web");
    until("its status is gone", || match world.status("web") {
        Err(_) => Ok(()),
        Ok(status) => Err(format!("{status:?}")),
    });
    assert_eq!(world.ready("other").run(), other.run());
}

#[test]
fn a_suspended_sandbox_is_stopped_kept_and_resumed() {
    let world = World::new("suspend");
    world.write("web", &Spec::serving("web"));
    let _daemon = world.start();
    let before = world.ready("web");

    world.write("web", &Spec::serving("web").set("operatingMode", "Suspended"));
    until("it is stopped", || {
        let suspended = world.status("web")?.condition("Suspended").status;
        let state = world.container("web").ok_or("it was removed")?.state();
        if suspended == "True" && state == "exited" { Ok(()) } else { Err(state) }
    });

    world.write("web", &Spec::serving("web"));
    let after = world.ready("web");
    assert_eq!(after.id(), before.id(), "the same container is resumed");
    assert_eq!(after.host_port(), before.host_port());
}

#[test]
fn the_end_of_its_life_stops_or_removes_the_container_and_keeps_the_file() {
    let world = World::new("expire");
    let retained = Spec::idle("retained").set("shutdownAfter", "4s");
    world.write("retained", &retained);
    world.write("deleted", &retained_as_deleted());
    let _daemon = world.start();
    world.ready("retained");

    until("the retained one is stopped", || {
        let state = world.container("retained").ok_or("it was removed")?.state();
        if state == "exited" { Ok(()) } else { Err(state) }
    });
    world.gone("deleted");
    for name in ["retained", "deleted"] {
        world.condition(name, "Ready", "False", "SandboxExpired");
        assert!(world.file(&format!("{name}.yaml")).exists());
    }
    assert_eq!(fs::read_to_string(world.file("retained.yaml")).unwrap(), retained.to_string());
}

fn retained_as_deleted() -> Spec {
    Spec::idle("deleted").set("shutdownAfter", "4s").set("shutdownPolicy", "Delete")
}
