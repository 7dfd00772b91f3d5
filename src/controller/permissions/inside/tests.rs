use std::sync::{Arc, Mutex};

use futures::FutureExt;

use crate::controller::probes::stub::StubEngine;
use crate::plan::PermissionView;

use super::*;

fn rule(path: &str, mode: u32) -> Permission {
    let path = path.to_owned();
    Permission { path, mode, uid: None, gid: None, recursive: false, create: false }
}

type Outcome = Result<ExecOutcome, EngineError>;

fn done(exit_code: i64, output: &str) -> ExecOutcome {
    ExecOutcome { exit_code, output: output.to_owned() }
}

/// An engine that answers by program, and the commands that it was given.
fn engine(
    answer: impl Fn(&str) -> Outcome + Send + Sync + 'static,
) -> (StubEngine, Arc<Mutex<Vec<Vec<String>>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let exec = move |command: Vec<String>| {
        let result = answer(&command[0]);
        seen.lock().unwrap().push(command);
        async move { result }.boxed()
    };
    (StubEngine { exec: Box::new(exec), ..StubEngine::default() }, asked)
}

async fn looked(engine: &StubEngine, rules: &[Permission]) -> PermissionView {
    let rules: Vec<&Permission> = rules.iter().collect();
    let mut findings = Findings::default();
    look(engine, &ContainerId("c".to_owned()), &rules, &mut findings).await;
    findings.view()
}

async fn mended(
    engine: &StubEngine,
    rules: &[Permission],
) -> Result<Vec<String>, super::super::PermissionError> {
    let rules: Vec<&Permission> = rules.iter().collect();
    let mut findings = Findings::default();
    mend(engine, &ContainerId("c".to_owned()), &rules, &mut findings).await;
    findings.outcome()
}

fn words(asked: &Mutex<Vec<Vec<String>>>) -> Vec<String> {
    asked.lock().unwrap().iter().map(|command| command.join(" ")).collect()
}

#[tokio::test]
async fn one_command_looks_at_all_of_them() {
    let output = "41ff 0 0 /a\n41ed 0 0 /b c\nstat: can't stat '/d': No such file or directory\n";
    let (engine, asked) = engine(move |_| Ok(done(1, output)));
    let missing = Permission { create: true, ..rule("/d", 0o777) };
    let rules = [rule("/a", 0o777), rule("/b c", 0o777), missing];
    assert_eq!(
        looked(&engine, &rules).await,
        PermissionView::Drifted(vec![
            "/b c: mode 0755, should be 0777".to_owned(),
            "/d: does not exist".to_owned()
        ])
    );
    assert_eq!(words(&asked), ["stat -c %f %u %g %n -- /a /b c /d"]);
}

#[tokio::test]
async fn a_path_is_an_argument_whatever_it_looks_like() {
    let (engine, asked) =
        engine(|_| Ok(done(1, "stat: cannot statx '; rm -rf /': No such file\n")));
    let rules = [rule("; rm -rf /", 0o777)];
    assert!(matches!(looked(&engine, &rules).await, PermissionView::Failed(_)));
    let asked = asked.lock().unwrap();
    assert_eq!(asked[0].last().map(String::as_str), Some("; rm -rf /"));
    assert_eq!(asked[0][3], "--");
}

#[tokio::test]
async fn an_image_without_tools_is_told_once_and_asked_for_nothing_more() {
    for code in NOT_RUN {
        let (engine, asked) = engine(move |_| Ok(done(code, "OCI runtime exec failed")));
        let rules: Vec<Permission> =
            (0..200).map(|number| rule(&format!("/directory/{number}"), 0o777)).collect();
        let PermissionView::Failed(told) = looked(&engine, &rules).await else { panic!() };
        assert!(told.starts_with("the image has no `stat`; "), "{told}");
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_engine_that_refuses_a_missing_program_is_understood() {
    let message = "exec: \"stat\": executable file not found in $PATH";
    let (engine, _) = engine(move |_| Err(EngineError::Rejected(message.to_owned())));
    let PermissionView::Failed(told) = looked(&engine, &[rule("/a", 0o777)]).await else {
        panic!()
    };
    assert!(told.starts_with("the image has no `stat`; "), "{told}");
}

#[tokio::test]
async fn an_engine_that_fails_is_not_a_missing_path() {
    let (engine, _) = engine(|_| Err(EngineError::Unreachable("gone".to_owned())));
    let rules = [Permission { create: true, ..rule("/a", 0o777) }];
    let view = looked(&engine, &rules).await;
    assert!(matches!(view, PermissionView::Failed(_)), "{view:?}");
    assert!(mended(&engine, &rules).await.is_err());
}

#[tokio::test]
async fn an_old_stat_is_not_a_missing_path() {
    let (engine, _) = engine(|_| Ok(done(1, "stat: unrecognized option: c\n")));
    let rules = [Permission { create: true, ..rule("/a", 0o777) }];
    let PermissionView::Failed(told) = looked(&engine, &rules).await else { panic!() };
    assert!(told.contains("unrecognized option"), "{told}");
}

#[tokio::test]
async fn links_and_devices_are_refused() {
    let (engine, _) = engine(|_| Ok(done(0, "a1ff 0 0 /link\n21b6 0 0 /device\n")));
    let view = looked(&engine, &[rule("/link", 0o777), rule("/device", 0o777)]).await;
    let PermissionView::Failed(told) = view else { panic!("{view:?}") };
    assert!(told.contains("/link: is a symbolic link"), "{told}");
    assert!(told.contains("/device: is neither"), "{told}");
}

#[tokio::test]
async fn directories_come_first_then_owners_then_modes() {
    let output = "stat: can't stat '/new': No such file or directory\n41ed 0 0 /a\n41ed 0 0 /b\n";
    let (engine, asked) = engine(move |program| match program {
        "stat" => Ok(done(1, output)),
        _ => Ok(done(0, "")),
    });
    let rules = [
        Permission { create: true, uid: Some(5), ..rule("/new", 0o777) },
        Permission { recursive: true, gid: Some(6), ..rule("/a", 0o4777) },
        Permission { uid: Some(5), gid: Some(0), ..rule("/b", 0o755) },
    ];
    let changed = mended(&engine, &rules).await.unwrap();
    assert_eq!(
        words(&asked)[1..],
        [
            "mkdir -p -- /new",
            "chown -h -R :6 -- /a",
            "chown -h 5 -- /new",
            "chown -h 5:0 -- /b",
            "chmod -R 0777 -- /a",
            "chmod 0777 -- /new"
        ]
    );
    assert_eq!(
        changed,
        ["/new: created with mode 0777", "/a: mode 0755 → 0777, and gid 0 → 6", "/b: uid 0 → 5"]
    );
}

#[tokio::test]
async fn a_command_that_fails_is_told_and_its_paths_are_not_called_changed() {
    let (engine, _) = engine(|program| match program {
        "stat" => Ok(done(0, "41ed 0 0 /a\n41ed 0 0 /b\n")),
        "chown" => Ok(done(0, "")),
        _ => Ok(done(1, "chmod: /a: Read-only file system\n")),
    });
    let rules = [rule("/a", 0o777), Permission { uid: Some(5), ..rule("/b", 0o755) }];
    let error = mended(&engine, &rules).await.unwrap_err();
    assert_eq!(error.changed, ["/b: uid 0 → 5"]);
    assert_eq!(
        error.to_string(),
        "`chmod` in the container ended with 1: chmod: /a: Read-only file system"
    );
}

#[tokio::test]
async fn what_is_right_gets_no_command() {
    let (engine, asked) = engine(|_| Ok(done(0, "43ff 0 0 /a\n")));
    assert_eq!(mended(&engine, &[rule("/a", 0o777)]).await, Ok(vec![]));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn a_line_is_read_only_for_its_own_path() {
    let found = |directory, mode| Line::Found(Found { directory, mode, uid: 1, gid: 2 });
    assert_eq!(parse("41ff 1 2 /a", "/a"), Some(found(true, 0o777)));
    assert_eq!(parse("89ed 1 2 /a b", "/a b"), Some(found(false, 0o4755)));
    assert_eq!(parse("a1ff 1 2 /a", "/a"), Some(Line::Link));
    assert_eq!(parse("11a4 1 2 /a", "/a"), Some(Line::Special));
    for line in
        ["41ff 1 2 /ab", "41ff 1 2", "41ff -1 2 /a", "stat: /a: No such file", "", "zz 1 2 /a"]
    {
        assert_eq!(parse(line, "/a"), None, "{line}");
    }
}

#[test]
fn batches_keep_every_rule_and_fit_what_an_engine_returns() {
    let rules: Vec<Permission> = (0..100)
        .map(|number| rule(&format!("/{number}/{}", "x".repeat(number * 10)), 0o777))
        .chain([rule(&format!("/{}", "x".repeat(4096)), 0o777)])
        .collect();
    let rules: Vec<&Permission> = rules.iter().collect();
    let batches = batches(&rules);
    assert_eq!(batches.concat(), rules);
    for batch in batches {
        let bytes: usize = batch.iter().map(|rule| rule.path.len() + LINE_BYTES).sum();
        assert!(batch.len() == 1 || bytes <= BATCH_BYTES, "{bytes}");
    }
}
