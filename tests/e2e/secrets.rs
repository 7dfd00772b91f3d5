//! A secret reaches its container and nothing else, whatever fails, at the most talkative level of the log.

mod echo;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use self::echo::Echo;
use crate::harness::{Daemon, MISSING_IMAGE, Spec, World, until};

/// In every secret of these tests, and nowhere else.
const CANARY: &str = "correct-horse-battery-staple-5714";

/// The world, and a spec whose environment has the secret.
fn secret_world(test: &str) -> (World, impl Fn(&str) -> Spec) {
    let world = World::new(test);
    let file = world.path("token");
    fs::write(&file, format!("{CANARY}\n")).expect("a secret");
    let env = format!("[{{name: TOKEN, valueFrom: {{secretFile: \"{}\"}}}}]", file.display());
    (world, move |name| Spec::idle(name).set("env", &env))
}

/// Starts a daemon that says all that it can, and that may leave a core.
fn talkative(world: &World, arguments: &[&str]) -> Daemon {
    let daemon = world.run_command();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited 2>/dev/null; exec \"$@\"", "sh"]);
    command.arg(daemon.get_program()).args(daemon.get_args());
    for (name, value) in daemon.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["--log-level", "trace"]).args(arguments).env("SANDKEEPER_LOG", "trace");
    world.spawn(command)
}

/// Where the canary is although it must not be.
fn leaks(world: &World, daemon: &Daemon) -> Vec<String> {
    let mut found = holding(&world.state());
    let mut look = |place: &str, bytes: &[u8]| {
        if contains(bytes, CANARY.as_bytes()) {
            found.push(place.to_owned());
        }
    };
    look("log", world.log().as_bytes());
    for file in ["environ", "cmdline"] {
        let bytes = fs::read(format!("/proc/{}/{file}", daemon.id())).expect("it runs");
        look(file, &bytes);
    }
    for arguments in [
        &["get", "-o", "yaml"][..],
        &["get", "-o", "json"],
        &["get", "-o", "wide"],
        &["events"],
        &["describe", "web"],
        &["describe", "db"],
        &["prune"],
    ] {
        let output = world.ask(arguments);
        look(&arguments.join(" "), &[output.stdout, output.stderr].concat());
    }
    for arguments in [&["plan"][..], &["plan", "-o", "json"]] {
        let output = world.converge(arguments);
        look(&arguments.join(" "), &[output.stdout, output.stderr].concat());
    }
    let validated = world.ask_of_files(&["validate", "-o", "json"]);
    look("validate", &[validated.stdout, validated.stderr].concat());
    for name in world.names() {
        if let Some(container) = world.engine.container(&name) {
            look("labels", container.at("/Config/Labels").to_string().as_bytes());
            look("command", container.at("/Args").to_string().as_bytes());
        }
    }
    found
}

#[test]
fn a_secret_reaches_its_container_and_nothing_else() {
    let (world, spec) = secret_world("secret");
    world.write("web", &spec("web"));
    let daemon = talkative(&world, &[]);

    let container = world.ready("web");

    let env = container.at("/Config/Env").to_string();
    assert!(env.contains(&format!("TOKEN={CANARY}\"")), "{}", env.replace(CANARY, "(the secret)"));
    assert_eq!(leaks(&world, &daemon), [""; 0]);
    assert!(world.log().contains("TRACE") || world.log().contains("DEBUG"), "it was talkative");

    // A crash leaves no core: the secret was in memory.
    assert!(!daemon.abort().core_dumped());
    assert!(!world.log().contains(CANARY));
}

#[test]
fn no_failure_shows_a_secret() {
    let (world, spec) = secret_world("leaky");
    world.write("web", &spec("web"));
    world.write("db", &spec("db").set("workingDir", "/bin/busybox"));
    world.write("image", &spec("image").set("image", MISSING_IMAGE));
    world.write("crash", &spec("crash").shell("exit 3"));
    let probe = "{exec: {command: [\"false\"]}, periodSeconds: 1, timeoutSeconds: 60}";
    world.write("probe", &spec("probe").set("readinessProbe", probe));
    let no_program = "{exec: {command: [/no/such/program]}, periodSeconds: 1, timeoutSeconds: 60}";
    world.write("exec", &spec("exec").set("readinessProbe", no_program));
    let rule = "[{path: /no/such/place, mode: \"0755\"}]";
    world.write("rule", &spec("rule").set("permissions", rule));
    let daemon = talkative(&world, &[]);

    let first = world.ready("web");
    world.condition("db", "Ready", "False", "StartFailed");
    world.condition("image", "Ready", "False", "ImageUnavailable");
    world.condition("crash", "Ready", "False", "CrashLoopBackOff");
    world.described("probe", &["ended with 1"]);
    world.described("exec", &["ended with 126", "ended with 127", "no such file"]);
    assert_eq!(leaks(&world, &daemon), [""; 0]);

    // An edit that is rolled back, and one that succeeds.
    world.write("web", &spec("web").shell("exit 3"));
    world.condition("web", "UpToDate", "False", "UpdateFailed");
    world.write("web", &spec("web").set("resources", "{limits: {sharedMemory: 32Mi}}"));
    world.up_to_date("web");
    let second = world.ready("web");
    assert_ne!(first.id(), second.id());
    assert_eq!(leaks(&world, &daemon), [""; 0]);

    // Another content takes another container; one that cannot be used is not quoted.
    fs::write(world.path("token"), format!("{CANARY}-rotated")).expect("a secret");
    until("the rotated secret arrives", || {
        let env = world.container("web").ok_or("none")?.at("/Config/Env").to_string();
        if env.contains("rotated") { Ok(()) } else { Err("not yet".to_owned()) }
    });
    // Each with an edit that needs it: what runs and is not edited needs no secret.
    let edit = |size: &str| {
        let limits = format!("{{limits: {{sharedMemory: {size}}}}}");
        world.write("web", &spec("web").set("resources", &limits));
    };
    for (unusable, size) in [(&b"\xff"[..], "48Mi"), (b"\0", "64Mi")] {
        let content = [CANARY.as_bytes(), unusable].concat();
        fs::write(world.path("token"), content).expect("a secret");
        edit(size);
        world.condition("web", "UpToDate", "False", "SecretUnavailable");
        assert_eq!(leaks(&world, &daemon), [""; 0]);
        fs::write(world.path("token"), format!("{CANARY}-rotated")).expect("a secret");
        world.up_to_date("web");
    }
    fs::remove_file(world.path("token")).expect("rm");
    edit("80Mi");
    world.condition("web", "UpToDate", "False", "SecretUnavailable");
    assert_eq!(leaks(&world, &daemon), [""; 0]);

    assert!(daemon.terminate().success());
    assert!(!world.log().contains(CANARY));
}

#[test]
fn an_engine_that_repeats_what_it_was_asked_shows_no_secret() {
    let (world, spec) = secret_world("echo");
    let echo = Echo::start(&world.path("engine.sock"));
    world.write("web", &spec("web"));
    let socket = world.path("engine.sock");
    let daemon = talkative(&world, &["--socket", &socket.display().to_string()]);

    let message = world.condition("web", "Ready", "False", "StartFailed");

    assert!(message.contains("withheld"), "{message}");
    assert!(echo.was_told(CANARY), "the engine was asked with the secret");
    assert_eq!(leaks(&world, &daemon), [""; 0]);
}

/// Files under `folder` that hold the secret.
fn holding(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path));
        } else if fs::read(&path).is_ok_and(|bytes| contains(&bytes, CANARY.as_bytes())) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
