//! Ends, probes and permissions: what the daemon sees inside of a sandbox, and what it does about it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Spec, World, until};

#[test]
fn restarts_back_off_and_are_visible() {
    let world = World::new("backoff");
    world.write("web", &Spec::idle("web").shell("exit 3"));
    world.write("other", &Spec::idle("other"));
    let _daemon = world.start();
    world.ready("other");

    let message = world.condition("web", "Ready", "False", "CrashLoopBackOff");
    assert!(message.contains('3'), "the exit code is told: {message}");
    until("the restarts are counted", || {
        let status = world.status("web")?;
        let restarts = status.at("/container/restartCount").as_u64().unwrap_or_default();
        let code = status.at("/container/lastTermination/exitCode");
        if restarts >= 1 && code == 3 {
            Ok(())
        } else {
            Err(format!("{restarts}, exit code {code}"))
        }
    });
}

#[test]
fn a_container_that_may_end_is_not_restarted() {
    let world = World::new("ends");
    world.write("done", &Spec::idle("done").shell("exit 0").set("restartPolicy", "OnFailure"));
    world.write("never", &Spec::idle("never").shell("exit 7").set("restartPolicy", "Never"));
    let _daemon = world.start();

    for (name, code) in [("done", 0), ("never", 7)] {
        until("it is Finished", || match world.status(name)?.condition("Finished") {
            finished if finished.status == "True" => Ok(()),
            finished => Err(format!("{finished:?}")),
        });
        let before = world.container(name).expect("it is kept");
        assert_eq!(before.at("/State/ExitCode"), code);
        world.barrier();
        assert_eq!(world.container(name).expect("it is kept").run(), before.run());
    }
}

#[test]
fn a_failing_liveness_probe_restarts_the_container() {
    let world = World::new("liveness");
    let probe = "{exec: {command: [busybox, test, -f, /tmp/alive]}, periodSeconds: 1, failureThreshold: 1, \
                 initialDelaySeconds: 1}";
    let spec = Spec::idle("web").shell("touch /tmp/alive; exec sleep 3600");
    world.write("web", &spec.set("livenessProbe", probe));
    let _daemon = world.start();
    let before = world.ready("web");

    world.engine.exec(&world.container_name("web"), &["busybox", "rm", "/tmp/alive"]);

    until("it is restarted", || {
        let container = world.container("web").ok_or("none")?;
        let again = container.run() != before.run() && container.state() == "running";
        if again { Ok(()) } else { Err(container.state()) }
    });
    world.described("web", &["liveness"]);
    world.ready("web");
}

#[test]
fn readiness_follows_the_probe() {
    let world = World::new("readiness");
    let probe = "{httpGet: {path: /ready, port: 8080}, periodSeconds: 1, failureThreshold: 1}";
    world.write("web", &Spec::serving("web").set("readinessProbe", probe));
    let _daemon = world.start();

    until("it runs and is not ready", || {
        let state = world.container("web").ok_or("none")?.state();
        let ready = world.status("web")?.condition("Ready");
        let waits = state == "running" && ready.status == "False" && ready.message.contains("404");
        if waits { Ok(()) } else { Err(format!("{state} {ready:?}")) }
    });
    let container = world.container_name("web");
    world.engine.exec(&container, &["touch", "/tmp/www/ready"]);
    let before = world.ready("web");
    world.engine.exec(&container, &["busybox", "rm", "/tmp/www/ready"]);
    until("it is not ready again", || match world.status("web")?.condition("Ready") {
        ready if ready.status == "False" => Ok(()),
        ready => Err(format!("{ready:?}")),
    });
    assert_eq!(world.container("web").expect("it is kept").run(), before.run());
}

#[test]
fn permissions_that_drift_are_repaired_on_the_mount_and_in_the_container() {
    let world = World::new("modes");
    let data = world.path("data");
    fs::create_dir(&data).expect("mkdir");
    fs::write(data.join("upload.txt"), "mine").expect("a file");
    let mounts = format!("[{{hostPath: \"{}\", mountPath: /data}}]", data.display());
    let rules = "[{path: /data, mode: \"0777\"}, {path: /srv/made, mode: \"0750\", create: true}]";
    world.write("web", &Spec::idle("web").set("mounts", &mounts).set("permissions", rules));
    let _daemon = world.start();
    let before = world.ready("web");
    let container = world.container_name("web");

    let host_mode = || {
        let mode = fs::metadata(&data).expect("it is there").permissions().mode() & 0o7777;
        if mode == 0o777 { Ok(()) } else { Err(format!("{mode:o}")) }
    };
    let inner_mode = || {
        let printed = world.engine.exec(&container, &["stat", "-c", "%a", "/srv/made"]);
        if printed.trim() == "750" { Ok(()) } else { Err(printed) }
    };
    until("the mount has its mode", host_mode);
    until("the directory in the container has its mode", inner_mode);

    fs::set_permissions(&data, Permissions::from_mode(0o700)).expect("chmod");
    world.engine.exec(&container, &["chmod", "0700", "/srv/made"]);
    until("the mount has its mode again", host_mode);
    until("the directory in the container has its mode again", inner_mode);

    world.described("web", &["permissions", "modes or owners"]);
    assert_eq!(fs::read_to_string(data.join("upload.txt")).expect("it is kept"), "mine");
    assert_eq!(world.ready("web").run(), before.run());
}
