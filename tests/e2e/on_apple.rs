//! The whole story with Apple's `container` as the engine: the real program, and in the place of the tool a
//! strict stand-in that runs its containers on Docker.

mod faults;

use std::fs;
use std::time::Duration;

use crate::apple::StandIn;
use crate::harness::{Spec, Status, World, http_get, until_within};

/// Each call of the stand-in is a dozen processes, and a busy machine takes its time for them.
const PATIENCE: Duration = Duration::from_mins(5);
const SECRET: &str = "correct-horse-battery-staple-4711";

/// A web server that says this word and knows a secret.
fn saying(world: &World, text: &str) -> Spec {
    let script = format!(
        "mkdir -p /tmp/www; echo {text} > /tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"
    );
    let env = format!(
        "[{{name: TOKEN, valueFrom: {{secretFile: \"{}\"}}}}]",
        world.path("token").display()
    );
    Spec::serving("web").shell(&script).set("env", &env)
}

/// Waits until the container of this name is ready and up to date, and its server says this word.
#[track_caller]
fn until_it_says(world: &World, text: &str, name: &str) -> Status {
    until_within(PATIENCE, &format!("it says {text}"), || {
        let status = world.status("web")?;
        let told = (status.condition("Ready"), status.condition("UpToDate"));
        let named = status.text("/container/name") == name;
        if !named || told.0.status != "True" || told.1.status != "True" {
            return Err(format!("{told:?}"));
        }
        let answer = http_get(status.host_port(), "/")?;
        if answer.contains(text) { Ok(status) } else { Err(answer) }
    })
}

#[track_caller]
fn until_condition(world: &World, type_: &str, status: &str, reason: &str) {
    until_condition_of(world, "web", type_, status, reason);
}

#[track_caller]
fn until_condition_of(world: &World, sandbox: &str, type_: &str, status: &str, reason: &str) {
    until_within(PATIENCE, &format!("{sandbox}: {type_} is {status} {reason}"), || {
        let found = world.status(sandbox)?.condition(type_);
        let is = found.status == status && found.reason == reason;
        if is { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// The tool's containers, each with its state.
fn containers(tool: &StandIn) -> Vec<(String, String)> {
    let output = tool.run(&["list", "--all", "--format=json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let list = list.as_array().expect("a list").iter();
    list.map(|it| (text(&it["id"]), text(&it["status"]["state"]))).collect()
}

#[test]
fn the_whole_story_is_told_on_apples_container() {
    let world = World::on_apple("apple");
    let tool = world.apple.as_ref().expect("this world has a tool");
    fs::write(world.path("token"), SECRET).expect("a secret");
    // As the real tool does: no two lists are in the same order.
    tool.control(&["set", "RANDOM_ORDER=1"]);
    // Somebody else's, under a name like ours.
    let foreign = format!("{}-other", world.prefix);
    tool.run(&["run", "--detach", &format!("--name={foreign}"), crate::harness::TEST_IMAGE]);
    let daemon = world.start();

    world.write("web", &saying(&world, "one"));
    let (one_name, other_name) = (world.container_name("web"), world.container_name("web.new"));
    let first = until_it_says(&world, "one", &one_name);
    assert_eq!(first.text("/container/engine"), "apple");

    // An edit takes the other name, and the port stays.
    world.write("web", &saying(&world, "two"));
    let second = until_it_says(&world, "two", &other_name);
    assert_eq!(second.host_port(), first.host_port());

    // Killed, it comes back in place.
    tool.run(&["kill", &other_name]);
    until_within(PATIENCE, "it was restarted", || {
        let restarts = world.status("web")?.text("/container/restartCount");
        if restarts == "1" { Ok(()) } else { Err(restarts) }
    });
    let third = until_it_says(&world, "two", &other_name);
    assert_eq!(third.text("/container/id"), second.text("/container/id"));

    // A file that is broken changes nothing, and an edit that does not come up is taken back.
    world.write_text("web.yaml", "kind: [");
    until_condition(&world, "UpToDate", "False", "SpecInvalid");
    world.write("web", &saying(&world, "three").shell("exit 7"));
    until_condition(&world, "UpToDate", "False", "UpdateFailed");
    until_within(PATIENCE, "the old one serves again", || {
        let status = world.status("web")?;
        let same = status.text("/container/id") == second.text("/container/id");
        let ready = status.condition("Ready");
        if !same || ready.status != "True" {
            return Err(format!("{ready:?}"));
        }
        http_get(status.host_port(), "/").map(drop)
    });

    // What the engine lacks is refused by name.
    world.write("web", &saying(&world, "two").set("resources", "{limits: {pids: 9}}"));
    until_condition(&world, "Accepted", "False", "FieldRefused");
    let refused = world.status("web").expect("a status").condition("Accepted").message;
    assert!(refused.contains("spec.resources.limits.pids: the engine apple"), "{refused}");

    world.delete("web");
    let only = [(foreign.clone(), "running".to_owned())];
    until_within(PATIENCE, "it is gone", || {
        let found = containers(tool);
        if found == only { Ok(()) } else { Err(format!("{found:?}")) }
    });

    assert!(daemon.terminate().success());
    let words = tool.trace().concat();
    assert!(!words.iter().any(|word| word.contains(SECRET)), "a secret on a command line");
    assert!(!world.log().contains(SECRET), "a secret in the log");
}
