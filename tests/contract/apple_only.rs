//! What happens to Apple's tool alone: a service that is down, hangs, loses answers, dies and forgets; both
//! generations of its JSON; lists in any order.

#![expect(clippy::unwrap_used, reason = "an unexpected refusal fails the test, with its words")]

use std::time::Duration;

use futures::StreamExt as _;
use sandkeeper::engine::{
    AttachOptions, Engine as _, EngineError, Feature, LogOptions, OutputChunk,
};
use sandkeeper::plan::{BindMount, ContainerId, ContainerState, Limits};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt as _;

use crate::apple::StandIn;
use crate::bench::{AppleBench, Bench as _, Role, connect, eventually, free_port, port, tool_name};

async fn state(bench: &AppleBench, id: &ContainerId) -> Option<ContainerState> {
    bench.apple.inspect(id).await.expect("it answers").map(|found| found.state)
}

async fn eventually_is(bench: &AppleBench, id: &ContainerId, expected: ContainerState) {
    eventually(&format!("it is {expected}"), || async {
        (state(bench, id).await == Some(expected)).then_some(())
    })
    .await;
}

/// Both generations of JSON, and the nested status of the newest.
async fn a_life(version: &str) {
    let bench = AppleBench::of_version(version).await;
    let capabilities = bench.apple.capabilities().await.unwrap();
    assert_eq!(capabilities.version, version);
    assert_eq!(capabilities.has(Feature::SharedMemory), !version.starts_with("0."));
    bench.tool.control(&["set", "RANDOM_ORDER=1"]);
    let mut request = bench.request("a", Role::Sleeps);
    let number = free_port();
    request.ports = vec![port(number)];
    request.network = sandkeeper::plan::NetworkChoice::Bridge;
    request.limits = Limits { nano_cpus: Some(1_000_000_000), memory: Some(256 << 20), pids: None };
    request.labels.insert("sandkeeper.dev/fields".to_owned(), "image=0123,b=%3D".to_owned());
    let id = bench.apple.create(&request).await.unwrap();
    let made = bench.apple.inspect(&id).await.unwrap().unwrap();
    assert_eq!((made.state, made.started_at), (ContainerState::Created, None));
    assert_eq!((&made.labels, made.limits), (&request.labels, request.limits));
    assert_eq!(made.bindings.len(), 1);
    bench.apple.start(&id).await.unwrap();
    let runs = bench.apple.inspect(&id).await.unwrap().unwrap();
    assert_eq!(runs.state, ContainerState::Running);
    assert!(runs.started_at.is_some_and(|at| at >= runs.created_at), "{runs:?}");
    bench.apple.stop(&id, Duration::from_secs(1)).await.unwrap();
    let ended = bench.apple.inspect(&id).await.unwrap().unwrap();
    assert_eq!((ended.state, ended.exit_code), (ContainerState::Exited, None));
    assert!(ended.finished_at.is_some());
    bench.apple.remove(&id).await.unwrap();
    assert_eq!(bench.apple.inspect(&id).await, Ok(None));
}

#[tokio::test]
async fn the_newest_version_is_spoken() {
    a_life("1.4.1").await;
}

#[tokio::test]
async fn the_oldest_version_is_spoken() {
    a_life("0.12.3").await;
}

#[tokio::test]
async fn a_version_that_is_too_old_is_refused() {
    let tool = StandIn::new("0.9.0");
    let outcome = connect(&tool).await;
    assert!(matches!(outcome, Err(EngineError::Unsupported(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_service_that_is_down_is_unreachable_and_nothing_is_absent() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    bench.tool.control(&["set", "DOWN=1"]);
    let connected = connect(&bench.tool).await;
    let outcomes = [
        connected.map(drop),
        bench.apple.capabilities().await.map(drop),
        bench.apple.list().await.map(drop),
        bench.apple.inspect(&id).await.map(drop),
        bench.apple.start(&id).await,
        bench.apple.remove(&id).await,
        bench.apple.has_image("a:1").await.map(drop),
        bench.apple.events().await.map(drop),
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        assert!(matches!(outcome, Err(EngineError::Unreachable(_))), "{index}: {outcome:?}");
    }
    bench.tool.control(&["unset", "DOWN"]);
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Running));
}

#[tokio::test]
async fn a_command_that_hangs_is_given_up_and_delays_nobody() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    bench.tool.control(&["set", "HANG=exec"]);
    let deadline = Duration::from_secs(2);
    let command = ["true".to_owned()];
    let hung = bench.apple.exec(&id, &command, None, deadline);
    let (hung, list) = tokio::join!(hung, bench.apple.list());
    assert_eq!(hung, Err(EngineError::OutcomeUnknown { call: "exec", after: deadline }));
    assert_eq!(list.unwrap().len(), 1);
    bench.tool.control(&["unset", "HANG"]);
    let patience = Duration::from_mins(1);
    let outcome = bench.apple.exec(&id, &command, None, patience).await.unwrap();
    assert_eq!(outcome.exit_code, 0);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_an_unknown_outcome_and_the_list_knows() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    for kind in ["interrupted", "timeout"] {
        bench.tool.control(&["set", &format!("FAIL=delete={kind},start={kind},list={kind}")]);
        let outcomes = [
            bench.apple.start(&id).await,
            bench.apple.remove(&id).await,
            bench.apple.list().await.map(drop),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(EngineError::OutcomeUnknown { .. })), "{outcome:?}");
        }
    }
    bench.tool.control(&["unset", "FAIL"]);
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Running));
}

#[tokio::test]
async fn a_busy_port_and_a_failed_boot_leave_what_was_made() {
    let bench = AppleBench::new().await;
    let id = bench.apple.create(&bench.request("a", Role::Sleeps)).await.unwrap();
    bench.tool.control(&["set", "FAIL=start=bind"]);
    let outcome = bench.apple.start(&id).await;
    assert!(matches!(outcome, Err(EngineError::PortBusy { port: None, .. })), "{outcome:?}");
    bench.tool.control(&["set", "FAIL=start=boot"]);
    let outcome = bench.apple.start(&id).await;
    assert!(matches!(outcome, Err(EngineError::Failed { .. })), "{outcome:?}");
    bench.tool.control(&["unset", "FAIL"]);
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Created));
    assert_eq!(bench.apple.start(&id).await, Ok(()));
}

/// The machine lives on and answers; the service says that it is stopped.
#[tokio::test]
async fn what_outlives_a_dead_service_is_dead_and_its_removal_ends_it() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Running));
    bench.tool.control(&["crash-apiserver"]);
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Dead));
    assert_eq!(bench.apple.remove(&id).await, Ok(()));
    assert_eq!(state(&bench, &id).await, None);
}

/// As after a restart of the daemon: nothing was seen before, so a start is what tells.
#[tokio::test]
async fn a_start_tells_of_a_machine_that_a_dead_service_left() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    bench.tool.control(&["crash-apiserver"]);
    let apple = connect(&bench.tool).await;
    let apple = apple.unwrap();
    let found = apple.inspect(&id).await.unwrap().unwrap();
    assert_eq!(found.state, ContainerState::Created);
    let outcome = apple.start(&id).await;
    assert!(matches!(outcome, Err(EngineError::Busy(_))), "{outcome:?}");
    let found = apple.inspect(&id).await.unwrap().unwrap();
    assert_eq!(found.state, ContainerState::Dead);
    assert_eq!(apple.remove(&id).await, Ok(()));
}

#[tokio::test]
async fn after_a_reboot_what_ran_has_ended_and_can_be_started() {
    let bench = AppleBench::new().await;
    let mut request = bench.request("a", Role::Sleeps);
    request.ports = vec![port(free_port())];
    request.network = sandkeeper::plan::NetworkChoice::Bridge;
    let id = bench.apple.create(&request).await.unwrap();
    bench.apple.start(&id).await.unwrap();
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Running));
    bench.tool.control(&["reboot"]);
    let down = bench.apple.list().await;
    assert!(matches!(down, Err(EngineError::Unreachable(_))), "{down:?}");
    bench.tool.run(&["system", "start", "--disable-kernel-install"]);
    // Nothing answers at its port, so it does not run.
    eventually_is(&bench, &id, ContainerState::Exited).await;
    assert_eq!(bench.apple.start(&id).await, Ok(()));
    assert_eq!(state(&bench, &id).await, Some(ContainerState::Running));
}

#[tokio::test]
async fn a_name_that_is_given_again_is_not_taken_for_the_one_before() {
    let bench = AppleBench::new().await;
    let first = bench.running("a").await;
    bench.tool.run(&["delete", "--force", tool_name(&first)]);
    let second = bench.running("a").await;
    assert_eq!(tool_name(&first), tool_name(&second));
    assert_eq!(state(&bench, &first).await, None);
    assert_eq!(state(&bench, &second).await, Some(ContainerState::Running));
}

#[tokio::test]
async fn a_secret_reaches_its_container_and_no_command_line() {
    let bench = AppleBench::new().await;
    let mut request = bench.request("a", Role::Sleeps);
    request.env = vec![("TOKEN".to_owned(), SecretString::from("canary 4711 # = \"x\""))];
    let id = bench.apple.create(&request).await.unwrap();
    bench.apple.start(&id).await.unwrap();
    let command = ["sh", "-c", "echo $TOKEN"].map(str::to_owned);
    let seen = bench.apple.exec(&id, &command, None, Duration::from_mins(1)).await.unwrap();
    assert_eq!(seen.output, "canary 4711 # = \"x\"\n");
    let words = bench.tool.trace().concat();
    assert!(words.iter().any(|word| word.starts_with("--env-file=")), "{words:?}");
    assert!(!words.iter().any(|word| word.contains("canary")), "{words:?}");
}

#[tokio::test]
async fn nobody_elses_containers_are_touched_by_any_word() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    bench.apple.stop(&id, Duration::from_secs(1)).await.unwrap();
    bench.apple.remove(&id).await.unwrap();
    let everybodys = ["-a", "prune", "--rm", "--remove", "--force", "-f"];
    for words in bench.tool.trace() {
        assert!(words[0] == "list" || !words.iter().any(|word| word == "--all"), "{words:?}");
        assert!(!words.iter().any(|word| everybodys.contains(&word.as_str())), "{words:?}");
    }
}

#[tokio::test]
async fn a_process_sees_its_hardening_and_its_mount() {
    let bench = AppleBench::new().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "content").unwrap();
    let mut request = bench.request("a", Role::Sleeps);
    request.security.read_only_root = true;
    request.security.run_as_user = Some(1000);
    request.security.run_as_group = Some(1001);
    request.mounts = vec![BindMount {
        host_path: folder.path().to_path_buf(),
        mount_path: "/data".to_owned(),
        read_only: true,
        create: None,
    }];
    let id = bench.apple.create(&request).await.unwrap();
    bench.apple.start(&id).await.unwrap();
    let script = "id -u; id -g; grep CapBnd /proc/1/status; cat /data/file; touch /data/x /y";
    let command = ["sh", "-c", script].map(str::to_owned);
    let seen = bench.apple.exec(&id, &command, None, Duration::from_mins(1)).await.unwrap();
    assert_ne!(seen.exit_code, 0);
    let expected = "1000\n1001\nCapBnd:\t0000000000000001\ncontent";
    assert!(seen.output.starts_with(expected), "{seen:?}");
    assert_eq!(seen.output.matches("Read-only file system").count(), 2, "{seen:?}");
}

#[tokio::test]
async fn an_attached_command_reads_what_is_typed() {
    let bench = AppleBench::new().await;
    let id = bench.running("a").await;
    let options = AttachOptions {
        command: ["sh", "-c", "cat; echo late >&2; exit 5"].map(str::to_owned).to_vec(),
        stdin: true,
        ..AttachOptions::default()
    };
    let mut attached = bench.apple.exec_attached(&id, &options).await.unwrap();
    attached.input.write_all(b"typed\n").await.unwrap();
    attached.input.shutdown().await.unwrap();
    drop(attached.input);
    let pieces: Vec<_> = attached.output.collect().await;
    assert!(pieces.contains(&Ok(OutputChunk::Stdout(b"typed\n".to_vec()))), "{pieces:?}");
    assert!(pieces.contains(&Ok(OutputChunk::Stderr(b"late\n".to_vec()))), "{pieces:?}");
    assert_eq!(attached.session.exit_code().await, Ok(5));
}

#[tokio::test]
async fn a_log_is_followed_until_the_container_ends() {
    let bench = AppleBench::new().await;
    let id = bench.apple.create(&bench.request("a", Role::Prints("one", "two"))).await.unwrap();
    bench.apple.start(&id).await.unwrap();
    let options = LogOptions { follow: true, ..LogOptions::default() };
    let mut log = bench.apple.logs(&id, &options).await.unwrap();
    let OutputChunk::Stdout(first) = log.next().await.unwrap().unwrap() else { unreachable!() };
    assert!(first.starts_with(b"one\n"), "{first:?}");
    bench.apple.stop(&id, Duration::from_secs(1)).await.unwrap();
    // The tool itself would follow for ever.
    let _rest: Vec<_> = log.collect().await;
    let timed = LogOptions { timestamps: true, ..LogOptions::default() };
    let refused = bench.apple.logs(&id, &timed).await.map(drop);
    assert!(matches!(refused, Err(EngineError::Unsupported(_))), "{refused:?}");
}
