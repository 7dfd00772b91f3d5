//! What an engine behind Docker's API does beyond the contract: hardening that a process can see, streams
//! for people.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use sandkeeper::engine::{
    AttachOptions, Attached, CreateRequest, Engine as _, EngineError, EngineKind, ExecOutcome,
    LogOptions, OutputChunk,
};
use sandkeeper::plan::{BindMount, ContainerId, ContainerState, NetworkChoice};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::bench::{Bench as _, DockerBench, Role, eventually, free_port, port};

async fn run(bench: &DockerBench, id: &ContainerId, script: &str) -> ExecOutcome {
    let command = ["sh", "-c", script].map(str::to_owned);
    bench.docker.exec(id, &command, None, Duration::from_secs(20)).await.expect("it runs")
}

pub(crate) async fn a_process_sees_the_hardening(bench: &DockerBench) {
    let mut request = bench.request("a", Role::Sleeps);
    request.security.read_only_root = true;
    request.security.run_as_user = Some(1000);
    request.security.run_as_group = Some(1001);
    request.shared_memory = Some(8 << 20);
    request.env = vec![("TOKEN".to_owned(), SecretString::from("s3cret"))];
    let id = bench.running(&request).await;
    let status = run(bench, &id, "cat /proc/1/status").await.output;
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    // CAP_CHOWN alone, and not even that for a user other than root; from Podman, which would give it to
    // such a user too, it is not asked for.
    let bounding = u8::from(bench.docker.kind() == EngineKind::Docker);
    assert!(status.contains(&format!("CapBnd:\t{bounding:016}")), "{status}");
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
    assert_ne!(run(bench, &id, "touch /data/x").await.exit_code, 0);
    let seen = run(bench, &id, "id -u; id -g; echo $TOKEN").await.output;
    assert_eq!(seen, "1000\n1001\ns3cret\n");
    assert!(run(bench, &id, "df -k /dev/shm").await.output.contains(" 8192 "));
}

pub(crate) async fn a_mount_shows_the_host_and_a_missing_one_is_refused(bench: &DockerBench) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    // A rootless engine is another user.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).expect("it is ours");
    std::fs::write(directory.path().join("file"), "content").expect("it is writable");
    let mounting = |rest: &str, host_path: PathBuf| CreateRequest {
        mounts: vec![BindMount {
            host_path,
            mount_path: "/data".to_owned(),
            read_only: true,
            create: None,
        }],
        ..bench.request(rest, Role::Sleeps)
    };
    let id = bench.running(&mounting("a", directory.path().to_path_buf())).await;
    assert_eq!(run(bench, &id, "cat /data/file").await.output, "content");
    assert_ne!(run(bench, &id, "touch /data/file").await.exit_code, 0);
    let missing = directory.path().join("missing");
    let outcome = bench.docker.create(&mounting("b", missing.clone())).await;
    assert!(matches!(outcome, Err(EngineError::Failed { .. })), "{outcome:?}");
    assert!(!missing.exists());
}

pub(crate) async fn an_argument_goes_to_the_images_entrypoint_and_a_command_replaces_it(
    bench: &DockerBench,
) {
    let words = |words: &[&str]| Some(words.iter().map(|word| (*word).to_owned()).collect());
    let mut only_arguments = bench.request("a", Role::Sleeps);
    only_arguments.args = words(&["sleep", "1000"]);
    let id = bench.running(&only_arguments).await;
    let commands = run(bench, &id, "cat /proc/[0-9]*/cmdline").await.output;
    assert!(commands.contains("sleep\x001000"), "{commands:?}");
    let mut only_command = bench.request("b", Role::Sleeps);
    only_command.command = words(&["sh"]);
    let id = bench.running(&only_command).await;
    // With the image's `sleep infinity` as arguments, the shell would fail: there is no such script.
    let ended = eventually("the shell ends", || async {
        bench.docker.inspect(&id).await.expect("it answers").and_then(|it| it.exit_code)
    });
    assert_eq!(ended.await, 0);
}

pub(crate) async fn a_command_past_its_deadline_has_an_unknown_outcome(bench: &DockerBench) {
    let id = bench.running(&bench.request("a", Role::Sleeps)).await;
    let command = ["sleep", "60"].map(str::to_owned);
    let deadline = Duration::from_millis(500);
    let outcome = bench.docker.exec(&id, &command, None, deadline).await;
    assert_eq!(outcome, Err(EngineError::OutcomeUnknown { call: "exec", after: deadline }));
}

pub(crate) async fn long_output_is_read_to_the_end_and_its_beginning_kept(bench: &DockerBench) {
    let id = bench.running(&bench.request("a", Role::Sleeps)).await;
    let script = "i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; exit 4";
    let outcome = run(bench, &id, script).await;
    assert_eq!((outcome.exit_code, outcome.output.len()), (4, 4096));
}

pub(crate) async fn an_attached_command_reads_what_is_typed(bench: &DockerBench) {
    let id = bench.running(&bench.request("a", Role::Sleeps)).await;
    let options = AttachOptions {
        command: ["sh", "-c", "cat; echo late >&2; exit 5"].map(str::to_owned).to_vec(),
        stdin: true,
        ..AttachOptions::default()
    };
    let mut attached = bench.docker.exec_attached(&id, &options).await.expect("it attaches");
    attached.input.write_all(b"typed\n").await.expect("it reads");
    attached.input.shutdown().await.expect("its input can be ended");
    let pieces: Vec<_> = attached.output.collect().await;
    // Two streams have no order between them: the engine copies each by itself.
    assert_eq!(pieces.len(), 2, "{pieces:?}");
    assert!(pieces.contains(&Ok(OutputChunk::Stdout(b"typed\n".to_vec()))), "{pieces:?}");
    assert!(pieces.contains(&Ok(OutputChunk::Stderr(b"late\n".to_vec()))), "{pieces:?}");
    assert_eq!(attached.session.exit_code().await, Ok(5));
}

pub(crate) async fn an_attached_terminal_has_a_size(bench: &DockerBench) {
    let id = bench.running(&bench.request("a", Role::Sleeps)).await;
    let script = r#"until [ "$size" = "45 123" ]; do read line; size=$(busybox stty size); done"#;
    let options = AttachOptions {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        stdin: true,
        tty: true,
        ..AttachOptions::default()
    };
    let Attached { mut input, output, session } =
        bench.docker.exec_attached(&id, &options).await.expect("it attaches");
    // Refused before the command runs, and lost by Podman before its terminal is open.
    let told = async {
        loop {
            if session.resize(123, 45).await.is_ok() {
                input.write_all(b"\n").await.expect("it reads");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = output.for_each(|_| std::future::ready(()));
    let either = async {
        tokio::select! {
            () = ended => {}
            () = told => {}
        }
    };
    tokio::time::timeout(Duration::from_mins(1), either).await.expect("its terminal has the size");
    assert_eq!(session.exit_code().await, Ok(0));
}

/// Podman cleans up after an end while the next run may have begun.
pub(crate) async fn a_port_answers_after_a_kill_and_an_immediate_start(bench: &DockerBench) {
    let number = free_port();
    let mut request = bench.request("a", Role::Sleeps);
    let server = "mkdir -p /tmp/www; echo hello > /tmp/www/index.html; \
                  exec httpd -f -p 8080 -h /tmp/www";
    request.command = Some(["sh", "-c", server].map(str::to_owned).to_vec());
    request.ports = vec![port(number)];
    request.network = NetworkChoice::Bridge;
    let id = bench.docker.create(&request).await.expect("it is created");
    for _ in 0..3 {
        bench.docker.start(&id).await.expect("it starts");
        eventually("its port answers", || async { http_get(number).await.ok() }).await;
        bench.kill(&id).await;
        eventually("it has ended", || async {
            let state = bench.docker.inspect(&id).await.ok()??.state;
            (state == ContainerState::Exited).then_some(())
        })
        .await;
    }
}

async fn http_get(port: u16) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.contains("hello") { Ok(()) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}

pub(crate) async fn a_log_is_followed_until_the_container_ends(bench: &DockerBench) {
    let id = bench.running(&bench.request("a", Role::Prints("one", "two"))).await;
    let options = LogOptions { follow: true, timestamps: true, ..LogOptions::default() };
    let mut log = bench.docker.logs(&id, &options).await.expect("it has a log");
    let first = log.next().await.expect("it has a line").expect("it can be read");
    let OutputChunk::Stdout(line) = first else { unreachable!("{first:?}") };
    let line = String::from_utf8(line).expect("it is text");
    let (time, text) = line.split_once(' ').expect("a time comes first");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
    assert_eq!(text, "one\n");
    bench.docker.stop(&id, Duration::from_secs(1)).await.expect("it stops");
    assert_eq!(log.count().await, 1);
}
