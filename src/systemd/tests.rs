use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use super::*;

/// Runs one of the tests below in a process of its own with these variables, for the environment of this
/// one is shared by all tests. Returns what it printed.
fn in_child(test: &str, variables: &[(&str, &str)]) -> String {
    #[expect(clippy::disallowed_methods, reason = "a test of what the environment does")]
    let mut command = Command::new(std::env::current_exe().unwrap());
    let test = format!("systemd::tests::{test}");
    let output = command
        .args([&test, "--exact", "--ignored", "--nocapture"])
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    said
}

fn received(socket: &UnixDatagram) -> Vec<String> {
    let mut messages = vec![];
    let mut buffer = [0; 4096];
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                messages.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return messages,
            Err(error) => panic!("{error}"),
        }
    }
}

fn listen(path: &Path) -> UnixDatagram {
    let socket = UnixDatagram::bind(path).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

#[test]
fn systemd_hears_of_every_turn_and_no_text_can_say_more_than_a_status() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let socket = listen(&path);
    in_child("child_tells_everything", &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    assert_eq!(
        received(&socket),
        ["READY=1\nSTATUS=3 sandboxes\n", "STATUS=a\\nMAINPID=1\n", "WATCHDOG=1\n", "STOPPING=1\n",]
    );
}

#[test]
#[ignore = "run in a process of its own by the tests of what systemd hears"]
fn child_tells_everything() {
    ready("3 sandboxes");
    status("a\nMAINPID=1");
    ping();
    stopping();
}

#[test]
fn the_watchdog_is_fed_at_half_its_limit() {
    let said = in_child("child_says_its_interval", &[("WATCHDOG_USEC", "30000000")]);
    assert!(said.contains("interval: Some(15s)"), "{said}");
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let variables = [("WATCHDOG_USEC", "30000000"), ("WATCHDOG_PID", "1")];
    let said = in_child("child_says_its_interval", &variables);
    assert!(said.contains("interval: None"), "{said}");
}

#[test]
#[ignore = "run in a process of its own by the tests of the watchdog"]
fn child_says_its_interval() {
    println!("interval: {:?}", watchdog_interval());
}

#[test]
fn without_systemd_nothing_fails() {
    in_child("child_tells_everything", &[]);
    in_child("child_tells_everything", &[("NOTIFY_SOCKET", "/nonexistent/notify")]);
    let said = in_child("child_says_its_interval", &[]);
    assert!(said.contains("interval: None"), "{said}");
}
