//! A container that is not ours is never touched.

use std::collections::HashMap;

use crate::harness::{Spec, World};

#[test]
fn a_foreign_container_with_our_prefix_is_never_touched() {
    let world = World::new("foreign");
    let foreign = world.container_name("x");
    world.engine.run_foreign(&foreign, HashMap::new());
    let before = world.container("x").expect("it was made");

    let _daemon = world.start();
    world.barrier();
    assert_eq!(world.container("x"), Some(before.clone()), "without a spec of that name");

    world.write("x", &Spec::idle("x"));
    let message = world.condition("x", "Ready", "False", "NameConflict");
    assert!(message.contains(&foreign), "{message}");
    world.barrier();
    assert_eq!(world.container("x"), Some(before.clone()), "with a spec of that name");

    world.delete("x");
    world.barrier();
    world.barrier();
    assert_eq!(world.container("x"), Some(before), "after the spec went");
}

#[test]
fn a_copy_of_our_labels_does_not_make_a_container_ours() {
    let world = World::new("copy");
    world.write("web", &Spec::idle("web"));
    let _daemon = world.start();
    let ours = world.ready("web");
    let labels = ours.at("/Config/Labels");
    let labels: HashMap<String, String> = serde_json::from_value(labels).expect("labels are text");
    let (elsewhere, in_the_way) = (format!("{}-copy", world.prefix), world.container_name("y"));
    for name in [&elsewhere, &in_the_way] {
        world.engine.run_foreign(name, labels.clone());
    }
    let copies = || [&elsewhere, &in_the_way].map(|name| world.engine.container(name));
    let before = copies();

    world.write("y", &Spec::idle("y"));
    world.condition("y", "Ready", "False", "NameConflict");
    world.delete("web");
    world.gone("web");
    world.barrier();

    assert_eq!(copies(), before);
}
