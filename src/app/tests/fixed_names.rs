//! An engine that cannot rename: the same promises, with two names taken in turn.

use super::world::World;
use crate::engine::{EngineKind, Feature};

/// A host whose engine lacks what Apple's `container` lacks.
fn world() -> World {
    let world = World::new();
    world.act(|state| state.capabilities.lacks = EngineKind::Apple.lacks().to_vec());
    world.up(&[("web", "image: app:1")])
}

#[test]
fn an_edit_takes_the_other_name_and_the_next_edit_the_first_one() {
    let mut world = world();
    world.declare("web", "image: app:2");
    world.until_says("web", "UpToDate", "False UpdatePending");
    world.until_runs("web", "app:2");
    world.quiet();
    let expected = ["create t-web.new", "stop t-web", "start t-web.new", "remove t-web"];
    assert_eq!(world.asked(), expected);
    assert_eq!(world.containers(), ["t-web.new app:2 running"]);
    world.declare("web", "image: app:3");
    world.until_runs("web", "app:3");
    world.quiet();
    let expected = ["create t-web", "stop t-web.new", "start t-web", "remove t-web.new"];
    assert_eq!(world.asked(), expected);
    assert_eq!(world.containers(), ["t-web app:3 running"]);
    world.look_again();
    assert_eq!(world.asked(), [""; 0]);
}

#[test]
fn a_bad_edit_is_rolled_back_under_either_name() {
    let mut world = world();
    for (good, name, other) in [("app:2", "t-web.new", "t-web"), ("app:3", "t-web", "t-web.new")] {
        world.declare("web", &format!("image: {good}"));
        world.until_runs("web", good);
        world.until_ready("web");
        world.quiet();
        let serves = world.find(name).unwrap().id;
        world.asked();
        world.declare("web", "image: exit:1");
        world.until_says("web", "UpToDate", "False UpdateFailed");
        world.until_ready("web");
        world.quiet();
        let expected = [
            format!("create {other}"),
            format!("stop {name}"),
            format!("start {other}"),
            format!("remove {other}"),
            format!("start {name}"),
        ];
        assert_eq!(world.asked(), expected);
        assert_eq!(world.find(name).unwrap().id, serves);
        assert_eq!(world.containers(), [format!("{name} {good} running")]);
    }
}

#[test]
fn what_has_the_other_name_is_kept_up_and_goes_with_its_file() {
    let mut world = world();
    world.declare("web", "image: app:2");
    world.until_runs("web", "app:2");
    world.quiet();
    world.asked();
    let id = world.find("t-web.new").unwrap().id;
    world.act(|state| state.kill(&id));
    world.until("a restart", |world| world.restarts("web") == 1);
    world.until_ready("web");
    world.quiet();
    world.restart();
    world.quiet();
    assert_eq!(world.containers(), ["t-web.new app:2 running"]);
    world.withdraw("web");
    world.until("its end", |world| world.status("web").is_none());
    assert_eq!(world.containers(), [""; 0]);
}

#[test]
fn a_limit_takes_a_new_container_where_none_is_changed_as_it_runs() {
    let mut world = world();
    world.declare("web", "image: app:1\nresources: {limits: {memory: 256Mi}}");
    let expected = ["t-web.new app:1 running"];
    world.until("one container", |world| world.containers() == expected);
    world.until_runs("web", "app:1");
    world.quiet();
    let expected = ["create t-web.new", "stop t-web", "start t-web.new", "remove t-web"];
    assert_eq!(world.asked(), expected);
}

#[test]
fn a_field_that_the_engine_lacks_is_refused_and_a_default_noticed() {
    let mut world = world();
    let notices = world.status("web").unwrap().notices;
    assert!(notices.iter().any(|it| it.contains("allowPrivilegeEscalation")), "{notices:?}");
    world.declare("jobs", "image: app:1\nresources: {limits: {pids: 7}}");
    world.until_says("jobs", "Accepted", "False FieldRefused");
    let message = world.condition("jobs", "Accepted").unwrap().message;
    assert!(message.contains("spec.resources.limits.pids: the engine fake cannot"), "{message}");
    assert_eq!(world.asked(), [""; 0]);
    let can = world.act(|state| state.capabilities.has(Feature::PidsLimit));
    assert!(!can);
}
