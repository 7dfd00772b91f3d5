//! The commands that read the state directory.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::fixture::{Host, event, long_ago, status};

const NOTE: &str = "No daemon runs: this is what the last one saw.\n";

#[test]
fn get_prints_a_table_as_kubectl_does() {
    let host = Host::new();
    host.status("web").write("state/status/db.yaml", &status("db", "False", "CrashLoopBackOff"));
    let shown = host.run(&["get"]);
    assert_eq!(
        shown.out,
        "NAME   READY   REASON             URL                     RESTARTS   AGE\n\
         db     False   CrashLoopBackOff   http://localhost:8080   0          5d2h\n\
         web    True    SandboxReady       http://localhost:8080   0          5d2h\n"
    );
    assert_eq!((shown.code, shown.err.as_str()), (0, NOTE));
}

#[test]
fn get_of_a_name_prints_that_one_and_wide_prints_more() {
    let host = Host::new();
    host.status("web").status("db");
    let shown = host.run(&["get", "web", "-o", "wide"]);
    assert_eq!(
        shown.out,
        "NAME   READY   REASON         URL                     RESTARTS   AGE    ENGINE   CONTAINER     IMAGE           UPTODATE   SOURCE\n\
         web    True    SandboxReady   http://localhost:8080   0          5d2h   docker   sandbox-web   example/web:1   True       /specs/web.yaml\n"
    );
}

#[test]
fn files_that_are_not_valid_stand_below_the_table() {
    let host = Host::new();
    host.status("web").write(
        "state/status/_files.yaml",
        &format!(
            "files:
- file: /specs/bad.yaml
  problems: [{{reason: Invalid, line: 4, column: 3, field: spec.imag, message: unknown field}}]
  sandboxes: []
  since: {}
",
            long_ago()
        ),
    );
    let shown = host.run(&["get"]).out;
    let files = "\n\nFILE              PROBLEM\n/specs/bad.yaml   4:3: spec.imag: unknown field\n";
    assert!(shown.ends_with(files), "{shown}");
    assert!(!host.run(&["get", "-o", "json"]).out.contains("bad.yaml"));
}

#[test]
fn get_as_json_is_a_list_without_a_name_and_the_object_with_one() {
    let host = Host::new();
    host.status("web").status("db");
    let all: serde_json::Value =
        serde_json::from_str(&host.run(&["get", "-o", "json"]).out).unwrap();
    assert_eq!(
        (&all["kind"], &all["items"][1]["metadata"]["name"]),
        (&"List".into(), &"web".into())
    );
    let one: serde_json::Value =
        serde_json::from_str(&host.run(&["get", "web", "-o", "json"]).out).unwrap();
    assert_eq!(
        (&one["kind"], &one["apiVersion"]),
        (&"Sandbox".into(), &"sandkeeper.dev/v1alpha1".into())
    );
}

#[test]
fn get_as_yaml_holds_the_object() {
    let host = Host::new();
    host.status("web");
    let shown = host.run(&["get", "web", "-o", "yaml"]).out;
    assert!(shown.starts_with("apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\n"), "{shown}");
}

#[test]
fn an_unknown_name_is_an_error_that_names_the_nearest() {
    let host = Host::new();
    host.status("web").status("db");
    for command in ["get", "describe", "events", "logs"] {
        let refused = host.run(&[command, "wbe"]);
        let message = "error: sandbox \"wbe\" not found; did you mean \"web\"?\n";
        assert_eq!((refused.code, refused.err.as_str()), (1, message), "{command}");
        assert_eq!(refused.out, "");
    }
    let refused = host.run(&["get", "something-else"]);
    assert_eq!(refused.err, "error: sandbox \"something-else\" not found\n");
}

#[test]
fn nothing_to_list_is_said_on_standard_error() {
    let host = Host::new();
    std::fs::create_dir(host.path().join("state")).unwrap();
    let shown = host.run(&["get"]);
    assert_eq!((shown.code, shown.out.as_str()), (0, ""));
    assert!(shown.err.starts_with("No sandboxes found.\n"), "{}", shown.err);
}

#[test]
fn a_missing_state_directory_is_an_error_with_a_mend() {
    let refused = Host::new().run(&["get"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("start `sandkeeper run`, or name the daemon's with --state"));
}

#[test]
fn a_running_daemon_takes_the_note_away() {
    let host = Host::new();
    host.status("web").write("state/lock", "42\n");
    let lock = std::fs::File::open(host.path().join("state/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(host.run(&["get"]).err, "");
}

#[test]
fn a_pipe_gets_no_colours() {
    let host = Host::new();
    host.status("web");
    assert!(!host.run(&["get"]).out.contains('\x1b'));
}

#[test]
fn watching_prints_a_line_for_each_change() {
    let host = Host::new();
    host.status("web");
    let mut command = host.command(&["get", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("NAME   READY"));
    assert!(lines.next().unwrap().starts_with("web    True"));
    host.write("state/status/web.yaml", &status("web", "False", "Unhealthy"));
    assert!(lines.next().unwrap().starts_with("web    False   Unhealthy"));
    host.status("another");
    assert!(lines.next().unwrap().starts_with("another   True"));
    std::fs::remove_file(host.path().join("state/status/web.yaml")).unwrap();
    assert!(lines.next().unwrap().starts_with("web       False   Deleted"));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn describe_shows_conditions_and_events() {
    let host = Host::new();
    host.status("web").write("state/events/web.jsonl", &event("web", "Started", &long_ago()));
    let shown = host.run(&["describe", "web"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    for part in ["Name:         web\n", "  image: example/web:1\n", "5d2h        Normal   Started"]
    {
        assert!(shown.out.contains(part), "{part} in {}", shown.out);
    }
}

#[test]
fn events_of_all_sandboxes_are_merged_newest_last() {
    let host = Host::new();
    let (first, second) = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    host.status("web")
        .write("state/events/web.jsonl", &event("web", "Started", second))
        .write("state/events/db.jsonl", &event("db", "Created", first));
    let shown = host.run(&["events"]).out;
    let columns: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().skip(1).collect()).collect();
    assert_eq!(columns[0], ["SEEN", "SANDBOX", "TYPE", "REASON", "COUNT", "MESSAGE"]);
    assert_eq!(columns[1], ["db", "Normal", "Created", "1", "Created", "it"]);
    assert_eq!(columns[2], ["web", "Normal", "Started", "1", "Started", "it"]);
}

#[test]
fn events_of_one_sandbox_outlive_it() {
    let host = Host::new();
    host.write("state/events/gone.jsonl", &event("gone", "Removed", "2020-01-01T00:00:00Z"));
    let shown = host.run(&["events", "gone"]);
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.starts_with("LAST SEEN   TYPE     REASON"), "{}", shown.out);
}

#[test]
fn prune_shows_what_is_held_and_yes_releases_it() {
    let host = Host::new();
    host.write(
        "state/held.json",
        &format!(
            r#"{{"held":[{{"name":"web","uid":"u-1","file":"/specs/web.yaml","since":"{}","message":"the directory is gone"}}]}}"#,
            long_ago()
        ),
    );
    let shown = host.run(&["prune"]);
    assert_eq!(
        shown.out,
        "NAME   FILE              SINCE      WHY\n\
         web    /specs/web.yaml   5d2h ago   the directory is gone\n\
         \n\
         Bring the files back, or run `sandkeeper prune --yes` to remove these sandboxes.\n"
    );
    assert!(!host.path().join("state/requests").exists(), "a look releases nothing");
    let released = host.run(&["prune", "--yes"]);
    assert_eq!(released.code, 0, "{}", released.err);
    assert!(released.out.contains("1 sandbox is released"), "{}", released.out);
    assert_eq!(host.read("state/requests/prune.json"), r#"{"uids":["u-1"]}"#);
}

#[test]
fn nothing_held_is_no_error() {
    let host = Host::new();
    for arguments in [&["prune"][..], &["prune", "--yes"]] {
        let shown = host.run(arguments);
        assert_eq!((shown.code, shown.out.as_str()), (0, "Nothing is held back.\n"));
    }
}

#[test]
fn logs_of_a_sandbox_that_was_started_once_have_no_previous_run() {
    let host = Host::new();
    host.status("web");
    let refused = host.run(&["logs", "web", "--previous"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("has no earlier run"), "{}", refused.err);
}

#[test]
fn a_terminal_is_refused_where_there_is_none() {
    let host = Host::new();
    host.status("web");
    let refused = host.run(&["exec", "-t", "web", "--", "sh"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("-t needs a terminal"), "{}", refused.err);
}

#[test]
fn a_sandbox_without_a_container_says_why() {
    let host = Host::new();
    let text = status("web", "False", "ImageUnavailable");
    let start = text.find("  container:").unwrap();
    let end = text.find("  sourceFile:").unwrap();
    host.write("state/status/web.yaml", &format!("{}{}", &text[..start], &text[end..]));
    let refused = host.run(&["exec", "web", "--", "ls"]);
    assert_eq!(refused.err, "error: sandbox \"web\" has no container: ImageUnavailable: m\n");
}
