//! `run --once` and `plan`: exit codes are the interface of scripts.

use std::process::Output;

use crate::harness::{MISSING_IMAGE, Spec, World};

const ONCE: [&str; 4] = ["run", "--once", "--timeout", "60s"];

fn shown(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

#[track_caller]
fn exits(world: &World, arguments: &[&str], code: i32) -> String {
    let output = world.converge(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", shown(&output));
    shown(&output)
}

#[test]
fn once_converged_the_plan_is_empty() {
    let world = World::new("once");
    world.write("web", &Spec::serving("web"));
    let pending = exits(&world, &["plan"], 2);
    assert!(pending.contains("web"), "{pending}");
    assert!(world.names().is_empty(), "a plan acts on nothing");

    exits(&world, &ONCE, 0);
    let before = world.ready("web");

    exits(&world, &["plan"], 0);
    exits(&world, &ONCE, 0);
    assert_eq!(world.ready("web").run(), before.run());
}

#[test]
fn any_drift_is_planned_and_named() {
    let world = World::new("drift");
    let limited = Spec::idle("web").set("resources", "{limits: {pids: 64}}");
    world.write("web", &limited);
    exits(&world, &ONCE, 0);
    let container = world.container_name("web");

    let drifts: [(&str, &dyn Fn()); 5] = [
        ("stopped", &|| world.engine.stop(&container)),
        ("paused", &|| world.engine.pause(&container)),
        ("limits changed", &|| world.engine.limit_pids(&container, 99)),
        ("removed", &|| world.engine.remove(&container)),
        ("edited", &|| world.write("web", &limited.clone().set("env", "[{name: A, value: b}]"))),
    ];
    for (what, drift) in drifts {
        drift();
        let before = world.container("web");
        let plan = exits(&world, &["plan"], 2);
        assert!(plan.contains("web"), "{what}: {plan}");
        assert_eq!(world.container("web"), before, "{what}: a plan acts on nothing");
        exits(&world, &ONCE, 0);
        exits(&world, &["plan"], 0);
    }
}

#[test]
fn the_plan_of_an_edit_names_the_field() {
    let world = World::new("field");
    world.write("web", &Spec::idle("web"));
    exits(&world, &ONCE, 0);

    world.write("web", &Spec::idle("web").set("env", "[{name: GREETING, value: hi}]"));

    let plan = exits(&world, &["plan"], 2);
    assert!(plan.contains("env.GREETING"), "{plan}");
}

#[test]
fn once_fails_when_a_sandbox_does_not_get_ready() {
    let world = World::new("fails");
    world.write("good", &Spec::idle("good"));
    world.write("bad", &Spec::idle("bad").set("image", MISSING_IMAGE));

    let said = exits(&world, &["run", "--once", "--timeout", "15s"], 1);

    assert!(said.contains("bad"), "{said}");
    world.ready("good");
}

#[test]
fn validate_names_file_line_and_column() {
    let world = World::new("validate");
    world.write("good", &Spec::idle("good"));
    world.write_text(
        "bad.yaml",
        "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadta: {}\n",
    );

    assert!(world.validate(&world.file("good.yaml")).status.success());

    let output = world.validate(&world.file("bad.yaml"));
    assert_eq!(output.status.code(), Some(1));
    assert!(shown(&output).contains("bad.yaml:3:1: "), "{}", shown(&output));
}
