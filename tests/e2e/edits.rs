//! An edit is followed: live where the engine can, else by a replacement that never costs the old one.

use crate::harness::{Container, MISSING_IMAGE, Spec, World, http_get, until};

/// A world in which the sandbox `web` serves.
fn serving(test: &str) -> (World, crate::harness::Daemon, Container) {
    let world = World::new(test);
    world.write("web", &Spec::serving("web"));
    let daemon = world.start();
    let container = world.ready("web");
    (world, daemon, container)
}

#[test]
fn an_edited_image_replaces_the_container() {
    let (world, _daemon, before) = serving("image");
    let image = world.second_image();

    world.write("web", &Spec::serving("web").set("image", &image));

    let after = until("a container of the new image serves", || {
        let container = world.container("web").ok_or("none")?;
        let found = container.text("/Config/Image");
        if found == image { Ok(container) } else { Err(found) }
    });
    assert_ne!(after.id(), before.id());
    assert_eq!(world.ready("web").host_port(), before.host_port(), "the port is kept");
    until("nothing of the old one remains", || match world.names().as_slice() {
        [only] if *only == world.container_name("web") => Ok(()),
        names => Err(format!("{names:?}")),
    });
    assert!(world.engine.container(&before.id()).is_none());
    world.described("web", &["image"]);
}

#[test]
fn a_missing_image_leaves_the_old_container_serving_and_says_why() {
    let (world, _daemon, before) = serving("missing");

    for policy in ["IfNotPresent", "Never"] {
        let edited = Spec::serving("web").set("image", MISSING_IMAGE);
        world.write("web", &edited.set("imagePullPolicy", policy));

        until("status says which image is missing", || {
            let condition = world.status("web")?.condition("UpToDate");
            let named = condition.message.contains("missing");
            if condition.status == "False" && named {
                Ok(())
            } else {
                Err(format!("{condition:?}"))
            }
        });
        world.described("web", &["sandkeeper-test/missing"]);
        assert_eq!(world.container("web").expect("it is kept").run(), before.run());
        http_get(before.host_port(), "/").expect("the old one serves");
    }

    world.write("web", &Spec::serving("web"));
    world.up_to_date("web");
    assert_eq!(world.ready("web").run(), before.run());
    assert_eq!(world.names(), [world.container_name("web")]);
}

#[test]
fn limits_change_without_a_restart() {
    let (world, _daemon, before) = serving("limits");

    let limits = "{limits: {cpu: 500m, memory: 96Mi, pids: 64}}";
    world.write("web", &Spec::serving("web").set("resources", limits));

    let has_limits = || {
        let container = world.container("web").ok_or("none")?;
        let found = ["NanoCpus", "Memory", "PidsLimit"]
            .map(|field| container.at(&format!("/HostConfig/{field}")).as_i64());
        let wanted = [500_000_000, 96 << 20, 64].map(Some);
        if found == wanted { Ok(()) } else { Err(format!("{found:?}")) }
    };
    until("the container has the limits", has_limits);
    assert_eq!(world.ready("web").run(), before.run());

    world.engine.limit_pids(&world.container_name("web"), 999);
    until("limits changed by hand are set back", has_limits);
    assert_eq!(world.ready("web").run(), before.run());
}

#[test]
fn a_replacement_that_does_not_start_is_rolled_back() {
    let (world, _daemon, before) = serving("rollback");

    world.write("web", &Spec::serving("web").set("command", "[/does-not-exist]"));

    until("status says that the update failed", || {
        let condition = world.status("web")?.condition("UpToDate");
        // With an init process it is the container that ends, with the shell's code for "not found".
        let told = condition.reason == "UpdateFailed" && condition.message.contains("127");
        if condition.status == "False" && told { Ok(()) } else { Err(format!("{condition:?}")) }
    });
    let serving_again = || {
        let container = world.container("web").ok_or("none")?;
        if container.id() != before.id() {
            return Err(format!("{} instead of {}", container.id(), before.id()));
        }
        http_get(before.host_port(), "/")
    };
    until("the old container serves", serving_again);
    until("nothing of the new one remains", || match world.names().as_slice() {
        [only] if *only == world.container_name("web") => Ok(()),
        names => Err(format!("{names:?}")),
    });

    world.write("web", &Spec::serving("web").set("env", "[{name: A, value: b}]"));
    until("a good edit is taken", || {
        let container = world.container("web").ok_or("none")?;
        let env = container.at("/Config/Env").to_string();
        if env.contains("A=b") { Ok(()) } else { Err(env) }
    });
    world.ready("web");
}

#[test]
fn an_edit_that_changes_nothing_touches_nothing() {
    let (world, _daemon, before) = serving("touch");

    world.write_text("web.yaml", &format!("# a comment\n{}", Spec::serving("web")));
    world.barrier();

    assert_eq!(world.ready("web").run(), before.run());
}
