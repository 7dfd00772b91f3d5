//! The policy ceiling on a real engine.

use bollard::models::HostConfig;
use serde_json::{Value, json};

use crate::harness::{Spec, TEST_IMAGE, World, until};
use crate::proxy::{Fault, Proxy, Rule};

/// `CAP_NET_RAW` in a set of capabilities.
const NET_RAW: u64 = 1 << 13;
/// More than the default policy allows.
const MORE: &str = "{capabilities: {add: [NET_RAW]}, seccompProfile: {type: Unconfined}}";

/// What `_files.yaml` must say of a spec that is refused, and that it has no container.
#[track_caller]
fn assert_refused(world: &World, sandbox: &str, words: &[&str]) {
    world.reported(words);
    world.barrier();
    assert!(world.container(sandbox).is_none(), "{sandbox} has a container");
}

#[test]
fn a_spec_beyond_the_default_policy_makes_no_container() {
    let world = World::new("beyond");
    let _daemon = world.start();
    let privileged = Spec::idle("root").set("securityContext", "{privileged: true}");
    world.write("root", &privileged);
    world.write("etc", &Spec::idle("etc").set("mounts", "[{hostPath: /opt, mountPath: /x}]"));
    world.reported(&["policy.privileged (allowed: false)", "policy.hostPaths"]);
    assert_refused(&world, "root", &["PolicyViolation", "spec.securityContext.privileged"]);
    assert_refused(&world, "etc", &["spec.mounts[0].hostPath"]);
    let validated = world.validate(&world.file("root.yaml"));
    assert!(!validated.status.success());
    let printed = String::from_utf8_lossy(&validated.stdout).into_owned();
    assert!(printed.contains("policy.privileged (allowed: false)"), "{printed}");
}

#[test]
fn an_edit_beyond_the_policy_leaves_the_container_alone() {
    let world = World::new("edit");
    let _daemon = world.start();
    world.write("web", &Spec::idle("web"));
    let before = world.ready("web").run();
    world.write("web", &Spec::idle("web").set("securityContext", "{privileged: true}"));
    let message = world.condition("web", "Accepted", "False", "PolicyViolation");
    assert!(message.contains("policy.privileged (allowed: false)"), "{message}");
    world.barrier();
    assert_eq!(world.container("web").unwrap().run(), before);
}

#[test]
fn row_29_only_images_of_the_policy_run() {
    let world = World::new("image");
    let (repository, _) = TEST_IMAGE.rsplit_once(':').unwrap();
    world.configure(&format!("images: [\"{repository}\"]"));
    let other = world.second_image();
    let _daemon = world.start();
    world.write("other", &Spec::idle("other").set("image", &other));
    world.write("web", &Spec::idle("web"));
    world.ready("web");
    assert_refused(&world, "other", &["PolicyViolation", "policy.images"]);
}

/// Not every host lets its engine start a privileged container (one in a container does not): what the
/// engine was asked for is what counts here.
#[test]
fn a_privileged_container_is_made_where_the_policy_allows_it() {
    let world = World::new("root");
    world.configure("privileged: true");
    let _daemon = world.start();
    world.write("root", &Spec::idle("root").set("securityContext", "{privileged: true}"));
    let made = until("it is made", || world.container("root").ok_or("none".to_owned()));
    assert_eq!(made.at("/HostConfig/Privileged"), json!(true));
}

#[test]
fn what_the_policy_allows_really_holds_and_what_says_nothing_is_hardened() {
    let world = World::new("open");
    world.configure("capabilities: [NET_RAW]\n  seccomp: {unconfined: true}");
    let _daemon = world.start();
    world.write("more", &Spec::idle("more").set("securityContext", MORE));
    world.write("web", &Spec::idle("web"));
    let more = world.ready("more");
    let kernel_says = |name: &str, field: &str| {
        let status = world.engine.exec(&world.container_name(name), &["cat", "/proc/1/status"]);
        let line = status.lines().find_map(|line| line.strip_prefix(field).map(str::trim));
        u64::from_str_radix(line.unwrap_or_else(|| panic!("{status}")), 16).unwrap()
    };
    assert_ne!(kernel_says("more", "CapEff:") & NET_RAW, 0);
    let options = more.at("/HostConfig/SecurityOpt");
    assert_eq!(options, json!(["no-new-privileges", "seccomp=unconfined"]));

    let web = world.ready("web");
    assert_eq!(kernel_says("web", "CapEff:") & NET_RAW, 0);
    assert_eq!(kernel_says("web", "NoNewPrivs:"), 1);
    assert_eq!(web.at("/HostConfig/Privileged"), json!(false));
    assert_eq!(web.at("/HostConfig/PidsLimit"), json!(2048));
    assert_eq!(web.at("/HostConfig/SecurityOpt"), json!(["no-new-privileges"]));
    assert_eq!(web.at("/HostConfig/CapDrop"), json!(["ALL"]));
    assert_eq!(web.at("/HostConfig/Binds"), Value::Null);
}

#[test]
fn a_tightened_policy_leaves_what_runs_and_makes_nothing_beyond_it() {
    let world = World::new("tight");
    world.configure("capabilities: [NET_RAW]\n  seccomp: {unconfined: true}");
    let daemon = world.start();
    for name in ["a", "b"] {
        world.write(name, &Spec::idle(name).set("securityContext", MORE));
    }
    let a = world.ready("a").run();
    world.ready("b");
    assert!(daemon.terminate().success());
    world.configure("capabilities: []");
    let _daemon = world.start();
    for name in ["a", "b"] {
        world.condition(name, "Accepted", "False", "PolicyViolation");
    }
    world.engine.remove(&world.container_name("b"));
    world.barrier();
    assert_eq!(world.container("a").unwrap().run(), a);
    assert!(world.container("b").is_none());
    // Its file still takes it along.
    world.delete("a");
    world.gone("a");
}

#[test]
fn row_41_one_sandbox_too_many_waits() {
    let world = World::new("quota");
    // The barrier is one, too.
    world.configure("maxSandboxes: 2");
    let _daemon = world.start();
    world.write("a", &Spec::idle("a"));
    world.write("b", &Spec::idle("b"));
    let a = world.ready("a").run();
    world.ready("b");
    world.write("c", &Spec::idle("c"));
    world.reported(&["QuotaExceeded", "policy.maxSandboxes (allowed: 2)"]);
    assert!(world.container("c").is_none());
    world.delete("b");
    world.ready("c");
    assert_eq!(world.container("a").unwrap().run(), a);
}

/// What a container has that somebody made with no more than a sandbox gets.
fn hardened() -> HostConfig {
    HostConfig {
        init: Some(true),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        ..HostConfig::default()
    }
}

#[test]
fn containers_beyond_the_policy_are_not_adopted_and_not_touched() {
    let world = World::new("adopt");
    let hardened = || hardened();
    let text = |text: &str| Some(text.to_owned());
    // Not started: not every host lets its engine start each of them.
    let cases = [
        ("priv", HostConfig { privileged: Some(true), ..hardened() }, "policy.privileged"),
        (
            "sock",
            HostConfig {
                binds: Some(vec!["/var/run/docker.sock:/run/docker.sock".to_owned()]),
                ..hardened()
            },
            "/var/run/docker.sock is not allowed by policy.hostPaths",
        ),
        ("net", HostConfig { network_mode: text("host"), ..hardened() }, "NetworkMode: \"host\""),
        ("pid", HostConfig { pid_mode: text("host"), ..hardened() }, "PidMode: \"host\""),
        (
            "cap",
            HostConfig { cap_add: Some(vec!["SYS_ADMIN".to_owned()]), ..hardened() },
            "SYS_ADMIN is not allowed by policy.capabilities",
        ),
        (
            "seccomp",
            HostConfig {
                security_opt: Some(
                    ["no-new-privileges", "seccomp=unconfined"].map(str::to_owned).into(),
                ),
                ..hardened()
            },
            "policy.seccomp.unconfined",
        ),
        ("hand", HostConfig::default(), "policy.allowPrivilegeEscalation"),
    ];
    let mut before = Vec::new();
    for (name, host_config, _) in &cases {
        let container = world.container_name(name);
        world.engine.create_with(&container, host_config.clone());
        before.push(world.container(name).unwrap());
        world.write(name, &Spec::idle(name).adopting());
    }
    let _daemon = world.start();
    for (name, _, words) in &cases {
        let message = world.condition(name, "Ready", "False", "PolicyViolation");
        assert!(message.contains(words), "{name}: {message}");
    }
    world.barrier();
    for ((name, ..), before) in cases.iter().zip(&before) {
        assert_eq!(world.container(name).as_ref(), Some(before), "{name}");
    }
    for (name, ..) in &cases {
        world.engine.remove(&world.container_name(name));
        world.ready(name);
    }
}

/// The engine's socket is reserved: no policy makes it a sandbox's.
#[test]
fn a_container_with_the_engines_socket_is_adopted_under_no_policy() {
    let world = World::new("socket");
    let name = world.container_name("web");
    let binds = Some(vec!["/var/run/docker.sock:/run/docker.sock".to_owned()]);
    world.engine.create_with(&name, HostConfig { binds, ..hardened() });
    let before = world.container("web").unwrap();
    world.write("web", &Spec::idle("web").adopting());
    let mut command = world.run_command();
    command.args(["--policy", "{hostPaths: [{path: /}]}"]);
    let _daemon = world.spawn(command);
    let mut message = String::new();
    until("it is refused", || {
        let status = world.status("web")?;
        message = format!("{status:?}");
        let refused = ["MountRefused", "MountUnavailable"].iter().any(|it| message.contains(it));
        if refused { Ok(()) } else { Err(message.clone()) }
    });
    assert!(message.contains("docker.sock") || message.contains("/var/run"), "{message}");
    world.barrier();
    assert_eq!(world.container("web"), Some(before));
}

#[test]
fn a_container_below_the_policy_is_adopted_and_under_a_tightened_one_not_started_again() {
    let world = World::new("lax");
    world.configure("capabilities: [NET_RAW]");
    let more = HostConfig { cap_add: Some(vec!["NET_RAW".to_owned()]), ..hardened() };
    for (name, host_config) in [("below", hardened()), ("more", more)] {
        let container = world.container_name(name);
        world.engine.create_with(&container, host_config);
        world.engine.start(&container);
        world.write(name, &Spec::idle(name).adopting());
    }
    let before = ["below", "more"].map(|name| world.container(name).unwrap().run());
    let ours = Spec::idle("ours").set("securityContext", "{capabilities: {add: [NET_RAW]}}");
    world.write("ours", &ours);
    let daemon = world.start();
    for (name, before) in ["below", "more"].iter().zip(&before) {
        assert_eq!(world.ready(name).run(), *before);
    }
    let ours = world.ready("ours").run();
    assert!(daemon.terminate().success());
    world.configure("capabilities: []");
    let _daemon = world.start();
    world.condition("ours", "Accepted", "False", "PolicyViolation");
    world.barrier();
    // What runs, runs on.
    assert_eq!(world.container("more").unwrap().run(), before[1]);
    assert_eq!(world.container("ours").unwrap().run(), ours);
    for name in ["below", "more", "ours"] {
        world.engine.kill(&world.container_name(name));
    }
    let message = world.condition("more", "Ready", "False", "PolicyViolation");
    assert!(message.contains("NET_RAW is not allowed by policy.capabilities"), "{message}");
    assert_ne!(world.ready("below").run(), before[0]);
    world.barrier();
    for name in ["more", "ours"] {
        assert_eq!(world.container(name).unwrap().state(), "exited", "{name}");
    }
}

/// As if the engine, or what stands before it, had made the container privileged.
#[test]
fn a_container_that_the_engine_made_privileged_unasked_is_removed_and_never_started() {
    let world = World::new("unasked");
    let proxy = Proxy::start();
    let privileged = Fault::Rewrite("\"Privileged\":false", "\"Privileged\":true");
    let hits = proxy.add(Rule::new(privileged).on("GET /containers/*/json"));
    world.write("web", &Spec::idle("web"));
    let mut command = world.run_command();
    command.env("DOCKER_HOST", proxy.address());
    let _daemon = world.spawn(command);
    world.described("web", &["otherwise than asked", "privileged: true"]);
    assert!(hits.count() > 0);
    assert!(world.container("web").is_none(), "it is still there");
    assert_eq!(proxy.ledger().effects("POST /containers/*/start"), 0);
    proxy.clear();
    world.ready("web");
}
