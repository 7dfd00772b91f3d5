//! The most sandboxes that are accepted: the first stay, and a newcomer takes nobody's place.

use super::world::World;
use super::{one, problems};
use crate::sandbox::ProblemReason;

fn at_most(most: usize) -> World {
    let mut world = World::unstarted();
    limit(&mut world, Some(most));
    world.pass();
    world
}

/// The daemon starts again with another maximum.
fn limit(world: &mut World, most: Option<usize>) {
    world.rules.max_sandboxes = most;
    world.restart();
}

fn excess(world: &World) -> Vec<&str> {
    let all = ["a", "b", "c", "d"].into_iter();
    all.filter(|name| world.get(name).is_some_and(|it| it.excess.is_some())).collect()
}

#[test]
fn row_41_the_first_stay_and_the_rest_are_refused() {
    let mut world = at_most(2);
    world.save("/a/b.yaml", "b=1");
    world.save("/a/c.yaml", "c=1");
    world.pass();
    // Though its name and its directory come first.
    world.save("/a/a.yaml", "a=1");
    let pass = world.pass();
    assert!(world.is_live("b") && world.is_live("c") && world.get("a").is_none());
    assert_eq!(problems(&pass, "/a/a.yaml"), [ProblemReason::QuotaExceeded]);
    assert_eq!(problems(&pass, "/a/b.yaml"), []);
    assert_eq!(excess(&world), [""; 0]);
}

#[test]
fn row_41_ten_thousand_specs_and_one_leave_the_first_alone() {
    let mut world = at_most(1000);
    let many: Vec<String> = (0..10_001).map(|number| format!("s{number:05}=1")).collect();
    for (index, documents) in many.chunks(64).enumerate() {
        world.save(&format!("/a/{index:03}.yaml"), &documents.join(" "));
    }
    let pass = world.pass();
    assert_eq!(pass.applied.len(), 1000);
    assert!(world.is_live("s00999") && world.get("s01000").is_none());
    let refused = pass.reports.files.iter().flat_map(|file| &file.problems);
    assert_eq!(refused.filter(|it| it.reason == ProblemReason::QuotaExceeded).count(), 9001);
    assert_eq!(world.pass().applied.len(), 0);
}

#[test]
fn one_that_is_gone_for_good_makes_room_for_the_next() {
    let mut world = at_most(1);
    world.save("/a/b.yaml", "b=1");
    world.pass();
    world.save("/a/a.yaml", "a=1");
    world.pass();
    world.remove("/a/b.yaml");
    world.pass();
    world.pass_after(3000);
    assert!(world.is_withdrawn("b"));
    assert!(world.get("a").is_none(), "something of b is left yet");
    world.forget("b");
    world.pass();
    assert!(world.is_live("a"));
}

#[test]
fn row_41_after_the_maximum_was_lowered_those_accepted_last_are_marked_and_kept() {
    let mut world = at_most(3);
    for name in ["c", "b", "a"] {
        world.save(&format!("/a/{name}.yaml"), &format!("{name}=1"));
        world.pass_after(1000);
    }
    limit(&mut world, Some(1));
    let pass = world.pass();
    assert_eq!(excess(&world), ["a", "b"]);
    assert!(world.is_live("a") && world.is_live("b") && world.is_live("c"));
    // A file that is accepted already is in order; its sandbox says what is against it.
    assert_eq!(problems(&pass, "/a/a.yaml"), []);
    let message = world.get("a").unwrap().excess.clone().unwrap();
    assert!(message.contains("policy.maxSandboxes (allowed: 1)"), "{message}");
    // An edit is no way round it, and no pass tells the same twice.
    world.save("/a/a.yaml", "a=2");
    world.pass();
    assert_eq!(excess(&world), ["a", "b"]);
    assert_eq!(world.pass().applied.len(), 0);
    limit(&mut world, Some(2));
    world.pass();
    assert_eq!(excess(&world), ["a"]);
    limit(&mut world, None);
    world.pass();
    assert_eq!(excess(&world), [""; 0]);
}

#[test]
fn a_second_document_of_an_accepted_name_is_still_a_conflict() {
    let mut world = one("web=1");
    limit(&mut world, Some(1));
    world.save("/b/web.yaml", "web=2");
    let pass = world.pass();
    assert_eq!(problems(&pass, "/b/web.yaml"), [ProblemReason::Conflict]);
}
