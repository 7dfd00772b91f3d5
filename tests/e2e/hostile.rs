//! Hostile input, all of it at once, for a real daemon on a real engine: each file gets the reason that
//! the table in docs/RELIABILITY.md gives it, no container is made for any, the sandboxes beside them live
//! on untouched, nothing on the host changes, and the log stays one JSON object a line.
//!
//! Numbers are those of the table.

mod files;
mod host;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use sandkeeper::sandbox::text::is_unsafe;
use sandkeeper::source::FileReport;
use sandkeeper::state::status::read_files;

use self::files::{Bad, CANARY};
use self::host::Host;
use crate::harness::{Spec, World, until};

#[test]
fn a_folder_of_hostile_files_harms_nobody() {
    let world = World::new("hostile");
    let host = Host::new(&world.path("canary"));
    let bad = files::all(&world.specs(), &world.path("canary"));
    assert!(bad.len() > 100, "{}", bad.len());
    // Read last: whatever delays a look delays these.
    world.write("z", &Spec::idle("z"));
    world.write("z-b", &Spec::idle("z-b"));
    accepted_files(&world);
    let daemon = world.start();

    let (z, z_b) = (world.ready("z"), world.ready("z-b"));
    let reports = reported(&world, &bad);
    for bad in &bad {
        let report = &reports[&bad.file];
        let first = report.problems.first().expect("it was reported");
        let told: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        let row = bad.row;
        assert_eq!(first.reason, bad.reason, "row {row}, {:?}: {told:?}", bad.file);
        assert!(told.iter().any(|it| it.contains(bad.says)), "row {row}, {:?}: {told:?}", bad.file);
        assert!(told.iter().all(|it| it.len() < 6000 && !it.contains(is_unsafe)), "{told:?}");
    }
    for name in ["bom", "crlf", "multi"] {
        world.condition(name, "Accepted", "True", "Accepted");
    }

    // Every file is looked at again; what is new beside them still gets its turn.
    world.barrier();
    assert_eq!(world.names(), [world.container_name("z"), world.container_name("z-b")]);
    assert_eq!(world.ready("z").run(), z.run());
    // 7: names of which one begins the other are two sandboxes.
    world.delete("z");
    world.gone("z");
    assert_eq!(world.ready("z-b").run(), z_b.run());

    assert!(daemon.terminate().success());
    host.is_unchanged();
    let log = world.log();
    for line in log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect(line);
        assert!(record.is_object(), "{line}");
        assert!(!line.contains(CANARY), "{line}");
    }
    let shown = String::from_utf8(world.ask(&["get"]).stdout).expect("text");
    assert!(!shown.chars().any(|it| it != '\n' && is_unsafe(it)), "{shown}");
    assert!(!shown.contains(CANARY) && !world.files_report().contains(CANARY), "{shown}");
}

/// 38: what looks odd and is fine. Suspended, so that they need no container.
fn accepted_files(world: &World) {
    let spec = |name: &str| Spec::idle(name).set("operatingMode", "Suspended").to_string();
    world.write_text("bom.yaml", &format!("\u{feff}{}", spec("bom")));
    world.write_text("crlf.yaml", &spec("crlf").replace('\n', "\r\n"));
    let pod = "apiVersion: v1\nkind: Pod\n";
    world.write_text("multi.yaml", &format!("{}---\n{pod}", spec("multi")));
}

/// Waits until every hostile file is reported; gives the reports by the file's name.
fn reported(world: &World, bad: &[Bad]) -> BTreeMap<String, FileReport> {
    until("every hostile file is reported", || {
        let reports = read_files(&world.state()).map_err(|error| error.to_string())?;
        let name = |report: &FileReport| {
            report.file.file_name().map(|name| name.to_string_lossy().into_owned())
        };
        let by_name: BTreeMap<String, FileReport> = reports
            .into_iter()
            .filter(|report| !report.problems.is_empty())
            .filter_map(|report| Some((name(&report)?, report)))
            .collect();
        let missing: Vec<&str> = bad
            .iter()
            .map(|bad| bad.file.as_str())
            .filter(|file| !by_name.contains_key(*file))
            .collect();
        if missing.is_empty() { Ok(by_name) } else { Err(format!("not {missing:?}")) }
    })
}

// 43, B14
#[test]
fn a_directory_that_anyone_may_write_to_takes_nothing_new_and_costs_nothing() {
    let world = World::new("exposed");
    world.write("web", &Spec::idle("web"));
    world.write("db", &Spec::idle("db"));
    let _daemon = world.start();
    let (web, db) = (world.ready("web"), world.ready("db"));
    let chmod = |mode| {
        fs::set_permissions(world.specs(), fs::Permissions::from_mode(mode)).expect("chmod");
    };

    chmod(0o777);
    let said = world.condition("web", "UpToDate", "False", "SpecUnreadable");
    assert!(said.contains("others may write to") && said.contains("chmod go-w"), "{said}");
    world.condition("web", "Ready", "True", "ContainerReady");
    world.write("planted", &Spec::idle("planted"));
    world.write("web", &Spec::idle("web").set("env", "[{name: PLANTED, value: \"1\"}]"));
    world.delete("db");
    // Kept means kept true: the last good spec is in force.
    world.engine.kill(&world.container_name("web"));
    until("web runs again", || {
        let now = world.container("web").ok_or("it has no container")?;
        let again = now.state() == "running" && now.run() != web.run();
        if again { Ok(()) } else { Err(now.state()) }
    });
    assert_eq!(world.container("db").expect("it is kept").run(), db.run());
    assert_eq!(world.names(), [world.container_name("db"), world.container_name("web")]);

    chmod(0o755);
    world.ready("planted");
    world.gone("db");
    until("the edit of web counts", || {
        let env = world.container("web").ok_or("none")?.at("/Config/Env").to_string();
        if env.contains("PLANTED=1") { Ok(()) } else { Err(env) }
    });
}

// 34
#[test]
fn an_environment_that_misleads_programs_misleads_no_repair() {
    let world = World::new("misled");
    let env = "[{name: PATH, value: /nowhere}, {name: LD_PRELOAD, value: /nowhere/evil.so}]";
    let spec = Spec::idle("web")
        .set("command", "[/bin/sleep, \"3600\"]")
        .set("env", env)
        .set("permissions", "[{path: /srv/made, mode: \"0750\", create: true}]");
    world.write("web", &spec);
    let _daemon = world.start();

    world.ready("web");
    world.condition("web", "PermissionsApplied", "True", "PermissionsHold");
    let env = world.container("web").expect("it runs").at("/Config/Env").to_string();
    assert!(
        env.contains("LD_PRELOAD=/nowhere/evil.so"),
        "the container has what it asked for: {env}"
    );
}
