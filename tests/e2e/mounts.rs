//! No sandbox gets a path of the host that it may not have, however its file, its path or the moment is
//! chosen.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::harness::{Container, Moment, Spec, StartProxy, World, until};

fn mounting(sandbox: &str, host_path: &str) -> Spec {
    let mounts = format!("[{{hostPath: \"{host_path}\", mountPath: /data}}]");
    Spec::idle(sandbox).set("mounts", &mounts)
}

#[test]
fn paths_that_would_hand_over_the_host_are_refused_and_nothing_is_created() {
    let world = World::new("refused");
    let _engine = {
        fs::create_dir(world.path("engine")).expect("a directory");
        UnixListener::bind(world.path("engine/docker.sock")).expect("a socket")
    };
    fs::create_dir(world.path("linked")).expect("a directory");
    symlink("/etc", world.path("linked/etc")).expect("a link");
    // The sandboxes whose path gives itself away by its spelling, and what is said of it.
    let by_spelling = [
        ("root", "/", "would hand over the host"),
        ("etc", "/etc", "would hand over the host"),
        ("keys", "/root/.ssh", "would hand over the host"),
        ("socket", "/var/run/docker.sock", "would hand over the host"),
        ("slashes", "//run/docker.sock", "would hand over the host"),
        ("around", "/run/../run/docker.sock", "must not contain `..`"),
        ("outside", "../../etc", "must not contain `..`"),
        ("below", "/etc/ssl", "policy.hostPaths"),
    ];
    let here = |path: &str| world.path(path).to_string_lossy().into_owned();
    // Those that the host has to tell.
    let by_looking = [
        ("state", here("state/memory"), "MountRefused", "sandkeeper's state"),
        ("engine", here("engine"), "MountRefused", "docker.sock is an engine's socket"),
        ("link", here("linked/etc"), "MountUnavailable", "is a symbolic link"),
        ("through", here("linked/etc/ssl"), "MountUnavailable", "is a symbolic link"),
        ("missing", here("none"), "MountUnavailable", "does not exist"),
    ];
    for (sandbox, path, _) in &by_spelling {
        world.write(sandbox, &mounting(sandbox, path));
    }
    for (sandbox, path, ..) in &by_looking {
        world.write(sandbox, &mounting(sandbox, path));
    }
    let _daemon = world.start();

    for (sandbox, _, words) in &by_spelling {
        world.reported(&[&format!("{sandbox}.yaml"), words]);
    }
    for (sandbox, _, reason, words) in &by_looking {
        let message = world.condition(sandbox, "Ready", "False", reason);
        assert!(message.contains(words), "{sandbox}: {message}");
    }
    let accepted = world.condition("state", "Accepted", "False", "MountRefused");
    assert!(accepted.contains("sandkeeper's state"), "{accepted}");
    world.barrier();
    assert_eq!(world.names(), [""; 0]);
    assert!(!world.path("none").exists());
}

#[test]
fn a_colon_in_a_path_is_a_colon() {
    let world = World::new("colon");
    fs::create_dir_all(world.specs().join("x:/y:rw")).expect("a directory");
    fs::write(world.specs().join("x:/y:rw/marker"), "").expect("a file");
    world.write("web", &mounting("web", "x:/y:rw"));
    let _daemon = world.start();

    world.ready("web");
    assert_eq!(world.engine.exec(&world.container_name("web"), &["ls", "/data"]), "marker\n");
}

/// The daemon sees `/etc` mounted at another place, of which the engine knows nothing.
#[test]
fn another_mount_of_a_reserved_directory_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let world = World::new("alias");
    for (sandbox, of) in [("etc", "/etc"), ("run", "/run"), ("data", "/var/lib")] {
        fs::create_dir(world.path(sandbox)).expect("a directory");
        world.write(sandbox, &mounting(sandbox, &world.path(sandbox).to_string_lossy()));
        assert!(Path::new(of).is_dir(), "{of}");
    }
    let daemon = world.run_command();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c"]);
    command.arg(
        "mount --bind /etc \"$1\" && mount --bind /run \"$2\" && mount --bind /var/lib \"$3\" && \
         shift 3 && exec \"$@\"",
    );
    command.arg("sh").args(["etc", "run", "data"].map(|name| world.path(name)));
    command.arg(daemon.get_program()).args(daemon.get_args());
    command.env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        !name.starts_with("SANDKEEPER") && name != "RUST_LOG" && name != "NOTIFY_SOCKET"
    }));
    command.env("SANDKEEPER_CONFIG", world.path("config.yaml")).env("NO_COLOR", "1");
    let _daemon = world.spawn(command);

    for (sandbox, words) in
        [("etc", "the host's configuration"), ("run", "services listen"), ("data", "it contains")]
    {
        let message = world.condition(sandbox, "Ready", "False", "MountRefused");
        assert!(message.contains(words), "{sandbox}: {message}");
    }
    assert_eq!(world.names(), [""; 0]);
}

/// What a container can leave in its mount: a link to a file of the host, and another name for one; a
/// program with the set-user-id bit; and what a path can look like.
#[test]
fn what_a_container_plants_in_its_mount_changes_nothing_outside() {
    let world = World::new("plant");
    let (data, victim) = (world.path("data"), world.path("victim"));
    fs::create_dir(&data).expect("a directory");
    fs::write(&victim, "x").expect("a file");
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).expect("chmod");
    // A container cannot make a second name across its mount, but what is on the host can.
    fs::hard_link(&victim, data.join("hard")).expect("a second name");
    let rules = "[{path: /data, mode: \"0777\", recursive: true}, \
                 {path: \"/srv/; touch $HOME; x\", mode: \"0750\", create: true}]";
    let spec = mounting("web", &data.to_string_lossy())
        .set("permissions", rules)
        .set("env", "[{name: PATH, value: /data}, {name: LD_PRELOAD, value: /data/evil.so}]")
        .set("command", "[/bin/sleep, \"3600\"]");
    world.write("web", &spec);
    let _daemon = world.start();
    world.ready("web");
    let container = world.container_name("web");
    let script = format!(
        "/bin/busybox ln -s {victim} /data/link; /bin/busybox cp /bin/busybox /data/suid; \
         /bin/busybox chmod 4755 /data/suid; /bin/busybox printf \"#!/bin/sh\\n/bin/busybox touch /data/owned\\n\" >/data/stat; \
         /bin/busybox mkdir /data/deep; /bin/busybox ln -s /etc/shadow /data/deep/link",
        victim = victim.display()
    );
    world.engine.exec(&container, &["/bin/sh", "-c", &script]);
    let mode = |path: &Path| fs::symlink_metadata(path).expect("it is there").mode() & 0o7777;
    until("everything in the mount has its mode", || {
        let found = (mode(&data.join("suid")), mode(&data.join("deep")), mode(&data.join("stat")));
        if found == (0o777, 0o777, 0o777) { Ok(()) } else { Err(format!("{found:?}")) }
    });
    until("the odd path in the container has its mode", || {
        let odd = "/srv/; touch $HOME; x";
        let printed = world.engine.exec(&container, &["/bin/stat", "-c", "%a", odd]);
        if printed.trim() == "750" { Ok(()) } else { Err(printed) }
    });
    assert_eq!(mode(&victim), 0o600, "neither through a link nor by its other name");
    assert!(!data.join("owned").exists(), "no program of the sandbox's choice was run");
    assert!(data.join("link").is_symlink() && data.join("deep/link").is_symlink());
    world.condition("web", "PermissionsApplied", "True", "PermissionsHold");
}

/// A directory with a marker, and beside it a link to `/etc`, to be exchanged in one system call.
struct Trap {
    directory: PathBuf,
    link: PathBuf,
}

impl Trap {
    fn set(world: &World, name: &str) -> Self {
        let trap = Self { directory: world.path(name), link: world.path(&format!("{name}-link")) };
        fs::create_dir(&trap.directory).expect("a directory");
        fs::write(trap.directory.join("marker"), "").expect("a file");
        symlink("/etc", &trap.link).expect("a link");
        trap
    }

    fn exchange(&self) {
        renameat_with(CWD, &self.directory, CWD, &self.link, RenameFlags::EXCHANGE)
            .expect("two names are exchanged");
    }

    fn is_sprung(&self) -> bool {
        self.directory.is_symlink()
    }
}

/// What a running container shows at `/data`, by the kernel's word.
fn shown(container: &Container) -> Option<String> {
    let pid = container.at("/State/Pid").as_u64().filter(|pid| *pid != 0)?;
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).ok()?;
    let mut rows = table.lines().map(|line| line.split(' '));
    rows.find_map(|mut row| {
        let root = row.nth(3)?.to_owned();
        (row.next()? == "/data").then_some(root)
    })
}

#[test]
fn a_link_put_in_place_as_the_container_starts_is_found_and_the_container_killed() {
    let world = World::new("swap");
    let trap = Arc::new(Trap::set(&world, "data"));
    let armed = Arc::new(AtomicBool::new(true));
    let caught = Arc::new(AtomicUsize::new(0));
    let proxy = {
        let (trap, armed, caught) = (Arc::clone(&trap), Arc::clone(&armed), Arc::clone(&caught));
        StartProxy::listen(world.path("engine.socket"), move |moment| match moment {
            Moment::Before if armed.load(Ordering::SeqCst) => {
                trap.exchange();
                caught.fetch_add(1, Ordering::SeqCst);
            }
            Moment::After if trap.is_sprung() => trap.exchange(),
            _ => {}
        })
    };
    // It is deaf to the polite signal: only a kill ends it at once.
    let spec = mounting("web", &trap.directory.to_string_lossy())
        .set("terminationGracePeriodSeconds", "600")
        .shell("trap : TERM; while :; do sleep 1; done");
    world.write("web", &spec);
    let mut command = world.run_command();
    command.arg("--socket").arg(proxy.path());
    let _daemon = world.spawn(command);

    let message = world.condition("web", "Ready", "False", "MountSwapped");
    assert!(message.contains("mounts[/data]: /etc"), "{message}");
    assert!(message.contains(&format!("not {}", trap.directory.display())), "{message}");
    assert!(caught.load(Ordering::SeqCst) > 0);
    let container = world.container("web").expect("it is kept for its log");
    assert_eq!((container.state().as_str(), shown(&container)), ("exited", None));
    world.described("web", &["MountSwapped"]);

    armed.store(false, Ordering::SeqCst);
    world.ready("web");
    let name = world.container_name("web");
    assert_eq!(world.engine.exec(&name, &["ls", "/data"]), "marker\n");
}

/// Links come and go as fast as the kernel can, while sandboxes start. `SANDKEEPER_TEST_RACES` says how
/// many.
#[test]
fn a_race_for_the_path_of_a_mount_never_leaves_the_host_in_a_container() {
    const AT_ONCE: usize = 20;
    let races = std::env::var("SANDKEEPER_TEST_RACES").ok();
    let races = races.map_or(AT_ONCE, |races| races.parse().expect("a number of races"));
    let world = World::new("race");
    world.configure("maxSandboxes: 0");
    let configured = fs::read_to_string(world.path("config.yaml")).expect("a configuration");
    fs::write(world.path("config.yaml"), format!("{configured}deleteGuard: 0\n"))
        .expect("a configuration");
    let _daemon = world.start();
    let mut started = 0;
    for first in (0..races).step_by(AT_ONCE) {
        let names: Vec<String> = (first..first + AT_ONCE).map(|n| format!("r{n}")).collect();
        let traps: Arc<Vec<Trap>> =
            Arc::new(names.iter().map(|name| Trap::set(&world, name)).collect());
        let racing = Arc::new(AtomicBool::new(true));
        let exchanging = {
            let (traps, racing) = (Arc::clone(&traps), Arc::clone(&racing));
            thread::spawn(move || {
                while racing.load(Ordering::SeqCst) {
                    traps.iter().for_each(Trap::exchange);
                }
                traps.iter().filter(|trap| trap.is_sprung()).for_each(Trap::exchange);
            })
        };
        for (name, trap) in names.iter().zip(traps.iter()) {
            world.write(name, &mounting(name, &trap.directory.to_string_lossy()));
        }
        for name in &names {
            until(&format!("{name} has been tried"), || {
                let ready = world.status(name)?.condition("Ready");
                let settled = ready.status == "True"
                    || ["MountSwapped", "MountUnavailable", "NotConverging", "StartFailed"]
                        .contains(&ready.reason.as_str());
                if settled { Ok(()) } else { Err(format!("{ready:?}")) }
            });
        }
        racing.store(false, Ordering::SeqCst);
        exchanging.join().expect("it ends");
        for name in &names {
            let root = until(&format!("{name} does not run with /etc"), || {
                let root = world.container(name).and_then(|container| shown(&container));
                if root.as_deref() == Some("/etc") { Err("it does".to_owned()) } else { Ok(root) }
            });
            started += usize::from(root.is_some());
        }
        for name in &names {
            world.delete(name);
        }
        for name in &names {
            world.gone(name);
        }
    }
    let log = world.log();
    let swaps = log.lines().filter(|line| line.contains("MountSwapped")).count();
    eprintln!(
        "{races} races: {started} containers run with their own directory, {swaps} swaps told"
    );
}
