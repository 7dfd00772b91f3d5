//! Host ports: taken from the range, free at bind time, kept for the sandbox's life.

use std::net::TcpListener;

use crate::harness::{Spec, World, http_get, until};

#[test]
fn a_port_is_kept_over_removal_and_restart() {
    let world = World::new("kept");
    world.write("first", &Spec::serving("first"));
    world.write("web", &Spec::serving("web"));
    let daemon = world.start();
    let first = world.ready("first").host_port();
    let port = world.ready("web").host_port();
    assert_ne!(first, port);
    for port in [first, port] {
        assert!((world.ports.base..world.ports.base + world.ports.count).contains(&port));
    }

    world.engine.remove(&world.container_name("web"));
    until("it is back", || world.container("web").ok_or_else(|| "none".to_owned()));
    assert_eq!(world.ready("web").host_port(), port);

    assert!(daemon.terminate().success());
    for name in ["first", "web"] {
        world.engine.remove(&world.container_name(name));
    }
    let _daemon = world.start();
    assert_eq!(world.ready("web").host_port(), port);
    assert_eq!(world.ready("first").host_port(), first);
    assert_eq!(world.status("web").expect("a status").host_port(), port);
}

#[test]
fn a_port_that_is_taken_is_passed_over() {
    let world = World::new("taken");
    let _held = TcpListener::bind(("127.0.0.1", world.ports.base)).expect("the port is free");
    world.write("web", &Spec::serving("web"));
    let _daemon = world.start();

    let port = world.ready("web").host_port();

    assert_ne!(port, world.ports.base);
    http_get(port, "/").expect("it answers");
}

#[test]
fn a_port_that_is_taken_while_the_container_is_away_is_given_up() {
    let world = World::new("lost");
    world.write("web", &Spec::serving("web"));
    let daemon = world.start();
    let port = world.ready("web").host_port();
    assert!(daemon.terminate().success());
    world.engine.stop(&world.container_name("web"));

    let _held = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let _daemon = world.start();

    let new_port = until("it has another port", || {
        let found = world.container("web").ok_or("none")?.host_port();
        if found == port { Err(format!("still {port}")) } else { Ok(found) }
    });
    world.ready("web");
    until("it answers there", || http_get(new_port, "/"));
    assert_eq!(world.status("web").expect("a status").host_port(), new_port);
}

#[test]
fn a_fixed_port_that_is_taken_is_waited_for() {
    let world = World::new("fixed");
    let port = world.ports.base + world.ports.count - 1;
    let held = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let ports = format!("[{{containerPort: 8080, hostPort: {port}}}]");
    world.write("web", &Spec::serving("web").set("ports", &ports));
    let _daemon = world.start();

    let message = world.condition("web", "Ready", "False", "PortConflict");
    assert!(message.contains(&port.to_string()), "{message}");

    drop(held);
    assert_eq!(world.ready("web").host_port(), port);
}
