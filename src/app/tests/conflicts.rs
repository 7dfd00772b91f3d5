//! Containers and ports that are somebody else's.

use std::collections::BTreeMap;

use super::replacement::{REPLACED, UP_AT_ONCE};
use super::world::World;
use crate::engine::fake::FakeState;

const NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

#[test]
fn a_foreign_container_of_the_name_is_never_touched_and_its_end_frees_the_name() {
    let mut world = World::new();
    let foreign = world.run_foreign("t-web", &NO_LABELS);
    world.declare("web", "image: app:1");
    world.start();
    world.until_says("web", "Ready", "False NameConflict");
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.find("t-web"), Some(foreign.clone()));
    assert!(world.condition("web", "Ready").unwrap().message.contains(foreign.id.short()));
    world.act(|state| state.remove_by_force(&foreign.id));
    world.until_ready("web");
    assert_eq!(world.asked(), ["create t-web", "start t-web"]);
}

#[test]
fn a_withdrawn_sandbox_leaves_the_foreign_container_of_its_name() {
    let mut world = World::new();
    let foreign = world.run_foreign("t-web", &NO_LABELS);
    world.declare("web", "image: app:1");
    world.start();
    world.until_says("web", "Ready", "False NameConflict");
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    world.quiet();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.find("t-web"), Some(foreign));
}

#[test]
fn a_foreign_container_in_the_way_of_a_replacement_only_holds_that_up() {
    let mut world = World::running(&[("web", "image: app:1")]);
    world.engine.set_behind(UP_AT_ONCE);
    let foreign = world.run_foreign("t-web.new", &NO_LABELS);
    world.declare("web", "image: app:2");
    world.until_says("web", "UpToDate", "False NameConflict");
    assert_eq!(world.says("web", "Ready"), "True ContainerReady");
    assert_eq!(world.asked(), [""; 0]);
    world.act(|state| state.remove_by_force(&foreign.id));
    world.until_runs("web", "app:2");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
}

#[test]
fn an_adopted_container_is_kept_as_it_is_until_an_edit_and_goes_with_its_spec() {
    const ADOPT: &str = "annotations: {sandkeeper.dev/adopt: \"true\"}";
    let mut world = World::new();
    let theirs = world.run_foreign("t-web", &NO_LABELS);
    world.declare_with("web", ADOPT, "image: app:1");
    world.start();
    world.until_ready("web");
    world.restart();
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.find("t-web"), Some(theirs));
    assert!(world.told("web", "Adopted", "the spec asks to adopt it"));
    world.to("web", FakeState::kill);
    world.until("its restart", |world| world.restarts("web") == 1);
    assert_eq!(world.asked(), ["start t-web"]);
    world.engine.set_behind(UP_AT_ONCE);
    world.declare_with("web", ADOPT, "image: app:2");
    world.until_runs("web", "app:2");
    world.quiet();
    assert_eq!(world.asked(), REPLACED);
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
}

#[test]
fn a_copy_of_our_labels_under_another_name_is_foreign() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let labels = world.container("web").unwrap().labels;
    let copies = ["copy", "t-other", "t-other.old"].map(|name| world.run_foreign(name, &labels));
    world.look_again();
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    world.look_again();
    assert_eq!(world.asked(), ["stop t-web", "remove t-web"]);
    for copy in copies {
        assert_eq!(world.find(&copy.name), Some(copy));
    }
}

#[test]
fn labels_that_an_image_brings_make_no_container_ours() {
    let mut world = World::running(&[("web", "image: app:1")]);
    let mut labels = world.container("web").unwrap().labels;
    labels.insert("sandkeeper.dev/name".to_owned(), "db".to_owned());
    let forged = world.run_foreign("t-db", &labels);
    world.declare("db", "image: app:1");
    world.until_says("db", "Ready", "False NameConflict");
    assert_eq!(world.asked(), [""; 0]);
    assert_eq!(world.find("t-db"), Some(forged));
}

#[test]
fn a_taken_port_is_given_up_by_a_container_that_never_ran() {
    let mut world = World::new();
    world.config.ports.base = 28_000;
    // Held by a program that only the engine sees.
    world.act(|state| state.occupied_ports.insert(28_000));
    world.declare("web", "image: app:1\nports: [{name: http, containerPort: 80}]");
    world.start();
    world.until("another port", |world| {
        let endpoint = world.status("web").and_then(|status| status.endpoints.first().cloned());
        endpoint.is_some_and(|endpoint| endpoint.host_port == 28_001)
    });
    let expected =
        ["create t-web", "start t-web (refused)", "remove t-web", "create t-web", "start t-web"];
    assert_eq!(world.asked(), expected);
    assert_eq!(world.memory("web").ports["http"], 28_001);
}

#[test]
fn a_port_is_kept_through_replacements_and_restarts_of_the_daemon() {
    let spec = |image| format!("image: {image}\nports: [{{name: http, containerPort: 80}}]");
    let mut world = World::new();
    world.config.ports.base = 28_100;
    world.engine.set_behind(UP_AT_ONCE);
    for name in ["web", "db"] {
        world.declare(name, &spec("app:1"));
        if name == "web" {
            world.start();
        }
        world.until("a container", |world| {
            world.container(name).is_some_and(|it| it.started_at.is_some())
        });
    }
    let port = |world: &World| world.container("web").unwrap().bindings[0].host_port;
    let (before, other) = (port(&world), world.container("db").unwrap().bindings[0].host_port);
    assert_ne!(before, other);
    world.kill();
    std::fs::remove_dir_all(world.state("memory")).unwrap();
    world.start();
    world.declare("web", &spec("app:2"));
    world.until("the replacement", |world| {
        world.container("web").is_some_and(|it| it.image == "app:2")
    });
    assert_eq!(port(&world), before);
}
