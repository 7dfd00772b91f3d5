//! A user's own Podman, driven by root and by that user: whose files are, and what cannot be had.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::{Engine, Spec, World, http_get, until};

/// A world on the Podman of a user, who may look into it.
fn world(test: &str) -> World {
    let world = World::on(test, Engine::rootless_podman());
    fs::set_permissions(world.path(""), Permissions::from_mode(0o755)).expect("it is ours");
    world
}

/// Where the user's Podman listens, and as whom.
fn of_the_user(world: &World) -> (PathBuf, u32, u32) {
    let socket = world.engine.private_socket().expect("it has one of its own");
    let folder = socket.parent().expect("a folder");
    let owner = fs::metadata(folder).expect("it is there");
    let runtime_dir = folder.parent().expect("a folder").to_owned();
    (runtime_dir, owner.uid(), owner.gid())
}

/// `sandkeeper run` as that user, which has to find the engine where a user's Podman listens.
fn as_the_user(world: &World) -> Command {
    let (runtime_dir, uid, gid) = of_the_user(world);
    let program = world.path("sandkeeper");
    fs::copy(env!("CARGO_BIN_EXE_sandkeeper"), &program).expect("the program is there");
    for path in ["", "specs", "config.yaml"] {
        chown(world.path(path), Some(uid), Some(gid)).expect("this test runs as root");
    }
    let run = world.command_without_an_engine();
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={gid}")).arg("--clear-groups");
    command.arg("--").arg(program).args(run.get_args()).args(["--engine", "podman"]);
    for (name, value) in run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env_remove("CONTAINER_HOST").env("XDG_RUNTIME_DIR", runtime_dir);
    command
}

/// A web server with a directory that is made for user 1000, another that is made for nobody in particular,
/// and rules under the first and elsewhere.
fn owning(world: &World, create: &str) -> Spec {
    let (data, plain) = (world.path("data"), world.path("plain"));
    let mounts = format!(
        "[{{hostPath: {}, mountPath: /data, create: {create}}}, \
         {{hostPath: {}, mountPath: /plain, create: {{mode: \"0700\"}}}}]",
        data.display(),
        plain.display()
    );
    let rules = "[{path: /data/sub, mode: \"0770\", uid: 1001, gid: 7, create: true}, \
                 {path: /data/deep/er, mode: \"0711\", create: true}, \
                 {path: /srv/x, mode: \"0700\", uid: 5, create: true}]";
    Spec::serving("web").set("mounts", &mounts).set("permissions", rules)
}

/// Waits until the container itself sees these owners and modes.
#[track_caller]
fn sees(world: &World, expected: &[(&str, &str)]) {
    let paths = expected.iter().map(|(path, _)| *path);
    let command: Vec<&str> = ["stat", "-c", "%u:%g %a"].into_iter().chain(paths).collect();
    let owners: Vec<&str> = expected.iter().map(|(_, owner)| *owner).collect();
    until("the container sees what the spec says", || {
        let printed = world.engine.exec(&world.container_name("web"), &command);
        if printed.lines().eq(owners.iter().copied()) { Ok(()) } else { Err(printed) }
    });
}

fn owner(path: &Path) -> (u32, u32) {
    let found = fs::symlink_metadata(path).expect("it is there");
    (found.uid(), found.gid())
}

#[test]
fn root_gives_files_to_a_containers_users_and_takes_them_back_from_others() {
    let world = world("rootless");
    world.write("web", &owning(&world, "{mode: \"0750\", uid: 1000, gid: 1000}"));
    let _daemon = world.start();

    let first = world.ready("web");
    until("it answers", || http_get(first.host_port(), "/"));
    world.condition("web", "PermissionsApplied", "True", "PermissionsHold");
    let expected = [
        ("/data", "1000:1000 750"),
        ("/data/sub", "1001:7 770"),
        ("/data/deep", "0:0 755"),
        ("/data/deep/er", "0:0 711"),
        ("/srv/x", "5:0 700"),
        ("/plain", "0:0 700"),
    ];
    sees(&world, &expected);
    let (_, uid, gid) = of_the_user(&world);
    assert_eq!(owner(&world.path("plain")), (uid, gid), "the container's root is the user");
    let given = owner(&world.path("data"));
    assert!(given.0 > 1000 && given != (uid, gid), "{given:?}");

    // As the host's root might by mistake: nobody's in the container.
    chown(world.path("data/sub"), Some(0), Some(0)).expect("this test runs as root");
    sees(&world, &expected);
    world.described("web", &["PermissionsDrifted", "uid 0 of the host"]);
    assert_eq!(world.ready("web").run(), first.run());

    let beyond = "[{path: /data, mode: \"0700\", uid: 3000000000}]";
    world.write("beyond", &Spec::idle("beyond").set("permissions", beyond));
    let message = world.condition("beyond", "Ready", "False", "FieldRefused");
    assert!(message.contains("permissions[/data].uid"), "{message}");
    assert!(world.container("beyond").is_none());

    world.engine.kill(&world.container_name("web"));
    until("it was started again, and its port answers", || {
        let found = world.container("web").ok_or("none")?;
        if found.run() == first.run() {
            return Err(format!("{:?}", found.run()));
        }
        http_get(found.host_port(), "/").map(drop)
    });
    world.delete("web");
    world.delete("beyond");
    world.gone("web");
    assert_eq!(world.names(), [""; 0]);
}

#[test]
fn a_limit_holds_or_is_refused_and_is_never_left_out() {
    let world = world("rootlimit");
    let limits = "{limits: {memory: 64Mi, pids: 40}}";
    world.write("web", &Spec::idle("web").set("resources", limits));
    let _daemon = world.start();
    until("it is limited, or told why not", || {
        let ready = world.status("web")?.condition("Ready");
        if ready.status == "True" {
            let container = world.container("web").ok_or("none")?;
            assert_eq!(container.at("/HostConfig/Memory"), 64 << 20);
            assert_eq!(container.at("/HostConfig/PidsLimit"), 40);
            return Ok(());
        }
        assert!(world.container("web").is_none_or(|it| it.state() == "created"), "{ready:?}");
        let told = ready.reason == "FieldRefused" && ready.message.contains("the controller ");
        if told { Ok(()) } else { Err(format!("{ready:?}")) }
    });
}

#[test]
fn a_user_finds_its_own_podman_and_owners_are_set_in_the_container() {
    let world = world("rootuser");
    let refused = owning(&world, "{mode: \"0750\", uid: 1000}").to_string();
    world.write_text("no.yaml", &refused.replace("name: web", "name: no"));
    world.write("web", &owning(&world, "{mode: \"0750\", uid: 0, gid: 0}"));
    let _daemon = world.spawn(as_the_user(&world));

    let first = world.ready("web");
    until("it answers", || http_get(first.host_port(), "/"));
    world.condition("web", "PermissionsApplied", "True", "PermissionsHold");
    let expected = [
        ("/data", "0:0 750"),
        ("/data/sub", "1001:7 770"),
        ("/data/deep", "0:0 755"),
        ("/data/deep/er", "0:0 711"),
        ("/srv/x", "5:0 700"),
        ("/plain", "0:0 700"),
    ];
    sees(&world, &expected);
    let message = world.condition("no", "Ready", "False", "FieldRefused");
    assert!(message.contains("spec.mounts[/data].create.uid"), "{message}");
    assert!(message.contains("only root may give"), "{message}");
    assert!(world.container("no").is_none());

    world.write("web", &owning(&world, "{mode: \"0750\"}").set("env", "[{name: A, value: b}]"));
    until("an edit takes a new container", || {
        let found = world.container("web").ok_or("none")?;
        if found.id() == first.id() { Err(found.state()) } else { Ok(()) }
    });
    world.up_to_date("web");
    world.delete("web");
    world.gone("web");
    assert_eq!(world.names(), [""; 0]);
}
