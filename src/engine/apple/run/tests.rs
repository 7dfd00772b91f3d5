//! The runner, with a shell in the tool's place.

use std::path::Path;

use super::*;

fn shell() -> Cli {
    Cli::new(PathBuf::from("/bin/sh"), Patience(1))
}

async fn run(script: &str, deadline: Duration) -> Result<Output, EngineError> {
    shell().run(Call::List, deadline, &["-c", script]).await
}

const PATIENCE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn both_streams_and_the_code_are_kept_apart() {
    let output = run("echo out; echo err >&2; exit 3", PATIENCE).await.unwrap();
    assert_eq!((output.text().as_str(), output.complaint().as_str()), ("out\n", "err\n"));
    assert_eq!(output.code, Some(3));
    let killed = run("kill -9 $$", PATIENCE).await.unwrap();
    assert_eq!(killed.code, None);
}

#[tokio::test]
async fn it_has_no_input_to_wait_for() {
    assert_eq!(run("cat", PATIENCE).await.unwrap().code, Some(0));
}

#[tokio::test]
async fn after_the_deadline_the_outcome_is_unknown() {
    let deadline = Duration::from_millis(100);
    let outcome = run("sleep 1000", deadline).await;
    let expected = EngineError::OutcomeUnknown { call: "list", after: deadline };
    assert_eq!(outcome.unwrap_err(), expected);
}

#[tokio::test]
async fn one_that_is_given_up_takes_its_helpers_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // The helper would hold the pipe and outlive the shell.
    let script = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let helper = async {
        while !file.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::read_to_string(&file).unwrap()
    };
    let helper = tokio::select! {
        outcome = run(&script, PATIENCE) => unreachable!("{outcome:?}"),
        helper = helper => helper,
    };
    let ended = async {
        while is_running(helper.trim()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, ended).await.unwrap();
}

/// A zombie has ended.
fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

#[tokio::test]
async fn what_is_too_long_is_no_answer_and_a_long_complaint_is_cut() {
    let mut kept = Vec::new();
    let bytes = vec![7; 20_000];
    let mut stream: &[u8] = &bytes;
    assert!(!read_bounded(Some(&mut stream), 9000, &mut kept).await.unwrap());
    assert_eq!(kept.len(), 9000);
    let script = "i=0; while [ $i -lt 2000 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123456789 >&2; i=$((i+1)); done; echo ok";
    let output = run(script, PATIENCE).await.unwrap();
    assert_eq!((output.text().as_str(), output.stderr.len()), ("ok\n", STDERR_LIMIT));
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named_with_the_setting() {
    let missing = Cli::new(PathBuf::from("/no/such/container"), Patience(1));
    let error = missing.run(Call::List, PATIENCE, &["list"]).await.unwrap_err();
    let EngineError::Unreachable(message) = &error else { unreachable!("{error:?}") };
    assert!(message.contains("/no/such/container") && message.contains("SANDKEEPER_APPLE_CLI"));
}
