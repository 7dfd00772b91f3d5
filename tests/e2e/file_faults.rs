//! Faults of directories, filesystems, watches, the clock and the state directory, for real. What is
//! mounted is mounted where only the daemon sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Apart, Container, Spec, World, through, until};

/// `web`, edited so that it can be seen on the container, which is not restarted for it.
fn edited(name: &str, pids: u32) -> Spec {
    Spec::idle(name).set("resources", &format!("{{limits: {{pids: {pids}}}}}"))
}

/// Waits until the edit is followed, on the same run of the container.
#[track_caller]
fn followed(world: &World, name: &str, pids: u32, before: &Container) {
    until(&format!("the edit of {name} to {pids} pids is followed"), || {
        let found = world.container(name).ok_or("none")?.at("/HostConfig/PidsLimit");
        if found == pids { Ok(()) } else { Err(found.to_string()) }
    });
    kept(world, name, before);
}

/// It runs as it ran before.
#[track_caller]
fn kept(world: &World, name: &str, before: &Container) {
    let now = world.container(name).expect("it is kept");
    assert_eq!((now.run(), now.state()), (before.run(), "running".to_owned()));
}

/// Kills the container of a sandbox, and waits until it runs again.
#[track_caller]
fn comes_back(world: &World, name: &str) {
    let before = world.container(name).expect("it runs").run();
    world.engine.kill(&world.container_name(name));
    until(&format!("{name} runs again"), || {
        let container = world.container(name).ok_or("none")?;
        let again = container.state() == "running" && container.run() != before;
        if again { Ok(()) } else { Err(container.state()) }
    });
}

#[test]
fn a_folder_that_is_mounted_over_is_another_one_and_is_itself_again_afterwards() {
    let world = World::new("overmount");
    world.write("web", &Spec::idle("web"));
    let daemon = Apart::start(&world, "");
    let before = world.ready("web");
    let (specs, new) = (world.specs(), world.path("new.yaml"));
    fs::write(&new, Spec::idle("new").to_string()).expect("a spec");

    daemon.run("mount -t tmpfs -o mode=0755 tmpfs \"$1\"", &[&specs]);
    world.condition("web", "UpToDate", "False", "PruneHeld");
    daemon.run("cp \"$1\" \"$2\"", &[&new, &specs]);
    world.ready("new");
    kept(&world, "web", &before);

    daemon.run("umount \"$1\"", &[&specs]);
    world.up_to_date("web");
    world.condition("new", "UpToDate", "False", "PruneHeld");
    world.write("web", &edited("web", 77));
    followed(&world, "web", 77, &before);
}

#[test]
fn a_folder_whose_filesystem_is_lazily_unmounted_is_held_until_it_is_back() {
    let world = World::new("lazy");
    let web = world.path("web.yaml");
    fs::write(&web, Spec::idle("web").to_string()).expect("a spec");
    let daemon = Apart::start(&world, "mount -t tmpfs -o mode=0755 tmpfs \"$1\"");
    let specs = world.specs();
    daemon.run("cp \"$1\" \"$2\"", &[&web, &specs]);
    let before = world.ready("web");

    // The watch stays on the filesystem that no path leads to any more.
    daemon.run("umount --lazy \"$1\"", &[&specs]);
    world.condition("web", "UpToDate", "False", "PruneHeld");
    world.write("new", &Spec::idle("new"));
    world.ready("new");
    kept(&world, "web", &before);

    daemon.run("mount -t tmpfs -o mode=0755 tmpfs \"$1\"; cp \"$2\" \"$1\"", &[&specs, &web]);
    world.up_to_date("web");
    kept(&world, "web", &before);
}

#[test]
fn an_edit_whose_event_was_lost_in_an_overflow_is_found_without_a_resync() {
    let world = World::new("overflow");
    world.resync.set("1h");
    world.write("web", &Spec::idle("web"));
    let daemon = world.start();
    let before = world.ready("web");
    let queue = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("inotify");
    let queue: usize = queue.trim().parse().expect("a number");

    daemon.suspend(true);
    let noise = world.file("noise");
    for _ in 0..=queue {
        // Several events each, and no two alike in a row, which the kernel would count as one.
        fs::write(&noise, "noise").expect("a write");
        fs::remove_file(&noise).expect("rm");
    }
    world.write("web", &edited("web", 77));
    daemon.suspend(false);

    followed(&world, "web", 77, &before);
}

#[test]
fn without_inotify_a_folder_is_polled_and_the_log_says_which_limit_is_reached() {
    for limit in ["instances", "watches"] {
        let world = World::new("limits");
        world.resync.set("1h");
        world.write("web", &Spec::idle("web"));
        let script = format!("echo 0 >/proc/sys/user/max_inotify_{limit}");
        let _daemon = Apart::start(&world, &script);
        let before = world.ready("web");

        world.write("web", &edited("web", 77));
        followed(&world, "web", 77, &before);
        world.write("new", &Spec::idle("new"));
        world.ready("new");
        assert!(world.log().contains(&format!("fs.inotify.max_user_{limit}")), "{}", world.log());
    }
}

#[test]
fn a_clock_that_is_set_by_hours_or_years_costs_no_container_and_delays_none() {
    const STEPS: [&str; 5] = ["+1h", "-1h", "+10y", "-10y", "+0"];
    let world = World::new("clock");
    world.write("web", &Spec::idle("web"));
    for number in 0..STEPS.len() {
        world.write(&format!("other-{number}"), &Spec::idle(&format!("other-{number}")));
    }
    let (library, clock) = (faketime(), world.path("clock"));
    fs::write(&clock, "+0").expect("a clock");
    let mut wrapper = Command::new("env");
    wrapper.arg(format!("LD_PRELOAD={}", library.display()));
    wrapper.arg(format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()));
    // Only the wall clock jumps: times of files and the steady clock are those of the machine.
    wrapper.args(["FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]);
    let _daemon = world.spawn(through(wrapper, &world.run_command()));
    let before = world.ready("web");

    for (number, step) in STEPS.iter().enumerate() {
        let other = format!("other-{number}");
        world.ready(&other);
        fs::write(&clock, step).expect("a clock");
        let pids = 71 + u32::try_from(number).expect("a few");
        world.write("web", &edited("web", pids));
        followed(&world, "web", pids, &before);
        comes_back(&world, &other);
        world.ready(&other);
    }
    let years: Vec<_> = world.log().lines().filter_map(year).collect();
    let span = years.iter().max().zip(years.iter().min()).map(|(last, first)| last - first);
    assert!(span >= Some(19), "the daemon saw the clock of the machine: {years:?}");
    kept(&world, "web", &before);
}

/// The year of a line of the daemon's log.
fn year(line: &str) -> Option<i32> {
    line.strip_prefix("{\"timestamp\":\"")?.get(..4)?.parse().ok()
}

/// The library that gives a program another clock, wherever the architecture has it.
fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib").flatten();
    let library = |entry: fs::DirEntry| entry.path().join("faketime/libfaketimeMT.so.1");
    let found = folders.map(library).find(|path| path.exists());
    found.expect("libfaketime is missing: apt-get install faketime")
}

#[test]
fn a_daemon_that_was_suspended_goes_on_where_the_world_is() {
    let world = World::new("suspended");
    for name in ["web", "other", "gone"] {
        world.write(name, &Spec::idle(name));
    }
    let daemon = world.start();
    let before = world.ready("web");
    let other = world.ready("other");
    world.ready("gone");

    daemon.suspend(true);
    world.write("web", &edited("web", 77));
    world.engine.kill(&world.container_name("other"));
    world.delete("gone");
    world.write("new", &Spec::idle("new"));
    daemon.suspend(false);

    world.ready("new");
    world.gone("gone");
    followed(&world, "web", 77, &before);
    assert_eq!(world.ready("other").id(), other.id());
}

#[test]
fn a_state_directory_that_is_full_or_read_only_keeps_no_container_from_being_mended() {
    let world = World::new("unwritable");
    fs::create_dir(world.state()).expect("a mount point");
    let daemon = Apart::start(&world, "mount -t tmpfs -o size=512k,mode=0700 tmpfs \"$2\"");
    world.see_through(daemon.id());
    for name in ["web", "other"] {
        world.write(name, &Spec::idle(name));
    }
    let before = world.ready("web");
    world.ready("other");
    let state = world.state();
    let faults = [
        // The end of the room is how it is meant to fail.
        ("dd if=/dev/zero of=\"$1/filler\" bs=4k 2>/dev/null || :", "rm \"$1/filler\""),
        // The filesystem itself stays writable, for the lock is held open; by no path it is.
        ("mount --bind \"$1\" \"$1\"; mount -o remount,bind,ro \"$1\"", "umount \"$1\""),
    ];

    for (round, (fault, end)) in (1_u32..).zip(faults) {
        daemon.run(fault, &[&state]);
        comes_back(&world, "other");
        world.write("web", &edited("web", 70 + round));
        followed(&world, "web", 70 + round, &before);
        let new = format!("new-{round}");
        world.write(&new, &Spec::idle(&new));
        until("a new spec is followed", || {
            let state = world.container(&new).ok_or("none")?.state();
            if state == "running" { Ok(()) } else { Err(state) }
        });
        assert!(world.log().contains("cannot be written"), "it is told");
        daemon.run(end, &[&state]);
        // It is tried again with back-off, and at once when an operator asks.
        daemon.reload();
        for name in ["web", "other", &new] {
            world.ready(name);
        }
    }
    kept(&world, "web", &before);
}

/// A world whose folder of specs lies on a filesystem that fails on demand.
struct Faulty {
    _daemon: Apart,
    world: World,
}

impl Faulty {
    fn start(test: &str) -> Self {
        let world = World::new(test);
        let (folder, control) = (world.path("backing"), world.path("control"));
        fs::create_dir(&folder).expect("a folder");
        fs::write(&control, "").expect("a control file");
        for name in ["web", "other"] {
            fs::write(folder.join(format!("{name}.yaml")), Spec::idle(name).to_string())
                .expect("a spec");
        }
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/faulty_fs.py");
        // It ends with the daemon, which takes the place of the shell.
        let script = format!(
            "setpriv --pdeathsig KILL /usr/bin/python3 '{}' '{}' '{}' \"$1\" </dev/null &
            tries=0
            until mountpoint --quiet \"$1\"; do
                tries=$((tries + 1))
                [ $tries -lt 600 ] || exit 1
                sleep 0.1
            done",
            program.display(),
            folder.display(),
            control.display()
        );
        let daemon = Apart::start(&world, &script);
        Self { _daemon: daemon, world }
    }

    fn fail(&self, how: &str) {
        fs::write(self.world.path("control"), how).expect("a control file");
    }

    fn edit(&self, name: &str, pids: u32) {
        let file = self.world.path("backing").join(format!("{name}.yaml"));
        fs::write(file, edited(name, pids).to_string()).expect("a spec");
    }
}

#[test]
fn a_listing_or_a_read_that_fails_midway_costs_nothing() {
    let faulty = Faulty::start("midway");
    let world = &faulty.world;
    let runs = [world.ready("web"), world.ready("other")];

    for (pids, how) in (71..).zip(["list", "read"]) {
        faulty.fail(how);
        for name in ["web", "other"] {
            world.condition(name, "UpToDate", "False", "SpecUnreadable");
        }
        comes_back(world, "other");
        faulty.edit("web", pids);
        kept(world, "web", &runs[0]);
        faulty.fail("");
        followed(world, "web", pids, &runs[0]);
        world.up_to_date("other");
    }
    assert_eq!(world.ready("other").id(), runs[1].id());
}

#[test]
fn a_filesystem_that_takes_ten_seconds_for_a_read_stops_nothing() {
    let faulty = Faulty::start("slow");
    let world = &faulty.world;
    let before = world.ready("web");
    world.ready("other");

    faulty.fail("slow");
    faulty.edit("web", 77);
    comes_back(world, "other");
    comes_back(world, "other");
    kept(world, "web", &before);
    faulty.fail("");
    followed(world, "web", 77, &before);
}
