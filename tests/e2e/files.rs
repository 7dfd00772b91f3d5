//! Whatever happens to a file or a folder, no running container is lost, and status says what is wrong.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{Container, Daemon, Spec, World, through, until};

/// A world in which the sandbox `web` runs.
fn running(test: &str) -> (World, Daemon, Container) {
    let world = World::new(test);
    world.write("web", &Spec::idle("web"));
    let daemon = world.start();
    let container = world.ready("web");
    (world, daemon, container)
}

/// Nothing was done to `web`, although the daemon has looked at everything since.
fn untouched(world: &World, before: &Container) {
    world.barrier();
    let now = world.container("web").expect("it still has its container");
    assert_eq!(now.run(), before.run());
}

fn restored(world: &World, before: &Container) {
    world.write("web", &Spec::idle("web"));
    until("the file is in order again", || {
        let up_to_date = world.status("web")?.condition("UpToDate");
        let report = world.files_report();
        let clear = up_to_date.status == "True" && !report.contains("web.yaml");
        if clear { Ok(()) } else { Err(format!("{up_to_date:?}, {report}")) }
    });
    assert_eq!(world.ready("web").run(), before.run());
}

#[test]
fn an_emptied_file_costs_nothing() {
    let (world, _daemon, before) = running("emptied");

    world.write_text("web.yaml", "");

    world.condition("web", "UpToDate", "False", "SpecInvalid");
    world.reported(&["web.yaml", "Empty"]);
    untouched(&world, &before);
    restored(&world, &before);
}

#[test]
fn a_truncated_file_costs_nothing() {
    let (world, _daemon, before) = running("truncated");
    let text = Spec::idle("web").to_string();

    // The part that is left ends inside of the flow sequence of `command`.
    let end = text.find("sleep").expect("the spec has a command");
    world.write_text("web.yaml", &text[..end]);

    let message = world.condition("web", "UpToDate", "False", "SpecInvalid");
    assert!(message.contains("web.yaml:"), "{message}");
    untouched(&world, &before);
    restored(&world, &before);
}

#[test]
fn garbage_in_a_file_is_named_with_its_line_and_costs_nothing() {
    let (world, daemon, before) = running("garbage");

    world.write_text("web.yaml", "kind: Sandbox\n\n  {{{ garbage: [\n");

    let message = world.condition("web", "UpToDate", "False", "SpecInvalid");
    assert!(message.contains("web.yaml:3:"), "{message}");
    world.reported(&["web.yaml", "line: 3"]);
    untouched(&world, &before);

    // The last good spec outlives the daemon.
    assert!(daemon.terminate().success());
    let _daemon = world.start();
    untouched(&world, &before);
    world.condition("web", "UpToDate", "False", "SpecInvalid");
    world.engine.kill(&world.container_name("web"));
    until("the last good spec is still kept true", || {
        let container = world.container("web").ok_or("none")?;
        let running = container.state() == "running" && container.run() != before.run();
        if running { Ok(()) } else { Err(container.state()) }
    });
}

#[test]
fn a_misspelt_field_is_named_with_its_place_and_the_nearest_name() {
    let (world, _daemon, before) = running("misspelt");

    let text = Spec::idle("web").set("imagePulPolicy", "Never").to_string();
    let line = text.lines().position(|line| line.contains("imagePulPolicy")).expect("it is there");
    world.write_text("web.yaml", &text);

    let message = world.condition("web", "UpToDate", "False", "SpecInvalid");
    assert!(message.contains(&format!("web.yaml:{}:", line + 1)), "{message}");
    assert!(message.contains("imagePullPolicy"), "{message}");
    untouched(&world, &before);
    restored(&world, &before);
}

#[test]
fn an_unreadable_file_or_folder_costs_nothing() {
    let world = World::new("unreadable");
    world.write("web", &Spec::idle("web"));
    let _daemon = world.spawn(without_root_override(&world.run_command()));
    let before = world.ready("web");
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("chmod");
    };

    mode(&world.file("web.yaml"), 0o000);
    world.condition("web", "UpToDate", "False", "SpecUnreadable");
    world.reported(&["web.yaml", "Unreadable"]);
    untouched(&world, &before);
    mode(&world.file("web.yaml"), 0o644);
    world.up_to_date("web");

    mode(&world.specs(), 0o000);
    world.condition("web", "UpToDate", "False", "SpecUnreadable");
    assert_eq!(world.container("web").expect("it is kept").run(), before.run());
    mode(&world.specs(), 0o755);
    untouched(&world, &before);
}

/// The same command, bound by file modes: root is not, unless it gives up two capabilities.
fn without_root_override(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        bound.arg("--bounding-set=-dac_override,-dac_read_search");
    }
    through(bound, command)
}

#[test]
fn a_folder_that_is_removed_and_made_again_costs_nothing() {
    let (world, _daemon, before) = running("folder");

    fs::remove_dir_all(world.specs()).expect("rm -r");
    let message = world.condition("web", "UpToDate", "False", "PruneHeld");
    assert!(message.contains("is missing"), "{message}");
    assert_eq!(world.container("web").expect("it is kept").run(), before.run());

    fs::create_dir(world.specs()).expect("mkdir");
    world.write("new", &Spec::idle("new"));
    world.ready("new");
    world.condition("web", "UpToDate", "False", "PruneHeld");
    assert_eq!(world.container("web").expect("it is kept").run(), before.run());

    restored(&world, &before);
}

#[test]
fn a_file_that_is_moved_out_ends_its_sandbox_and_moved_in_begins_it() {
    let (world, _daemon, before) = running("moved");
    let outside = world.path("outside.yaml");

    fs::rename(world.file("web.yaml"), &outside).expect("mv out");
    world.gone("web");

    fs::rename(&outside, world.file("web.yaml")).expect("mv in");
    assert_ne!(world.ready("web").id(), before.id());
}

#[test]
fn a_file_that_is_renamed_is_the_same_sandbox() {
    let (world, _daemon, before) = running("rename");

    fs::rename(world.file("web.yaml"), world.file("other-name.yaml")).expect("mv");

    until("status names the new file", || {
        let file = world.status("web")?.text("/sourceFile");
        if file.ends_with("other-name.yaml") { Ok(()) } else { Err(file) }
    });
    untouched(&world, &before);
}

#[test]
fn an_edit_that_no_event_announces_is_found_by_the_next_look() {
    let (world, _daemon, before) = running("quiet");
    let elsewhere = world.file(".elsewhere/web.yaml");
    fs::create_dir(world.file(".elsewhere")).expect("mkdir");
    fs::rename(world.file("web.yaml"), &elsewhere).expect("mv");
    std::os::unix::fs::symlink(".elsewhere/web.yaml", world.file("web.yaml")).expect("ln -s");
    untouched(&world, &before);

    // The watch is on the folder of the link, where nothing happens now.
    let edited = Spec::idle("web").set("resources", "{limits: {pids: 77}}");
    fs::write(&elsewhere, edited.to_string()).expect("a write");

    until("the edit is followed", || {
        let pids = world.container("web").ok_or("none")?.at("/HostConfig/PidsLimit");
        if pids == 77 { Ok(()) } else { Err(pids.to_string()) }
    });
}

#[test]
fn two_hundred_files_at_once_are_all_accepted() {
    const RUNNING: usize = 6;
    let (world, _daemon, before) = running("many");

    for number in 0..200 {
        let name = format!("many-{number}");
        let mode = if number < RUNNING { "Running" } else { "Suspended" };
        world.write(&name, &Spec::idle(&name).set("operatingMode", mode));
    }

    for number in 0..RUNNING {
        world.ready(&format!("many-{number}"));
    }
    until("all are accepted", || {
        let accepted = (0..200).filter(|number| {
            let status = world.status(&format!("many-{number}"));
            status.is_ok_and(|status| status.condition("Accepted").status == "True")
        });
        let accepted = accepted.count();
        if accepted == 200 { Ok(()) } else { Err(format!("{accepted} of 200")) }
    });
    assert_eq!(world.ready("web").run(), before.run());
}

#[test]
fn two_files_with_one_name_keep_the_first_and_name_both() {
    let (world, _daemon, before) = running("twice");

    let other = Spec::idle("web").set("env", "[{name: WHICH, value: other}]");
    world.write_text("a-copy.yaml", &other.to_string());

    world.reported(&["a-copy.yaml", "web.yaml", "Conflict", "line: "]);
    untouched(&world, &before);

    fs::remove_file(world.file("a-copy.yaml")).expect("rm");
    until("the conflict is over", || match world.files_report() {
        report if report.contains("Conflict") => Err(report),
        _ => Ok(()),
    });
    untouched(&world, &before);
}

#[test]
fn many_deletions_at_once_are_held_until_they_are_confirmed() {
    let world = World::new("mass");
    let names: Vec<String> = (0..11).map(|number| format!("many-{number}")).collect();
    let write = || {
        for name in &names {
            world.write(name, &Spec::idle(name));
        }
    };
    let delete = || {
        for name in &names {
            world.delete(name);
        }
    };
    write();
    let _daemon = world.start();
    let before: Vec<_> = names.iter().map(|name| world.ready(name).run()).collect();
    let runs = || -> Vec<_> {
        names.iter().map(|name| world.container(name).expect("it is kept").run()).collect()
    };

    delete();
    for name in &names {
        world.condition(name, "UpToDate", "False", "PruneHeld");
    }
    // A barrier's own deletion would count as part of the loss.
    world.write("later", &Spec::idle("later"));
    world.ready("later");
    assert_eq!(runs(), before, "nothing was touched");

    write();
    for name in &names {
        world.up_to_date(name);
    }
    assert_eq!(runs(), before, "nothing was touched");

    delete();
    for name in &names {
        world.condition(name, "UpToDate", "False", "PruneHeld");
    }
    let listed = String::from_utf8_lossy(&world.ask(&["prune"]).stdout).into_owned();
    assert!(names.iter().all(|name| listed.contains(name)), "{listed}");
    assert_eq!(runs(), before, "a look changes nothing");

    let confirmed = world.ask(&["prune", "--yes"]);
    assert!(confirmed.status.success(), "{confirmed:?}");
    for name in &names {
        world.gone(name);
    }
}
