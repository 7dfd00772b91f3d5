//! The tool's words, of several versions, and what they mean.

use super::*;

fn refused(call: Call, code: i32, stderr: &str) -> Option<EngineError> {
    let output = Output { code: Some(code), stderr: stderr.into(), ..Output::default() };
    refusal(call, &output)
}

fn meaning(call: Call, words: &str) -> EngineError {
    refused(call, 1, &format!("warning: x\nError: {words}\n")).unwrap()
}

#[test]
fn every_known_complaint_has_its_meaning() {
    type Is = fn(&EngineError) -> bool;
    let cases: [(Call, &str, Is); 17] = [
        (Call::Inspect, "container not found: web", |it| {
            matches!(it, EngineError::NoSuchContainer(_))
        }),
        (Call::Start, "get failed: container web not found", |it| {
            matches!(it, EngineError::NoSuchContainer(_))
        }),
        (
            Call::Stop,
            "failed to stop container (cause: \"container with ID web not found\")",
            |it| matches!(it, EngineError::NoSuchContainer(_)),
        ),
        (Call::Create, "container already exists: web", |it| {
            matches!(it, EngineError::NameConflict(_))
        }),
        (Call::Create, "hostname(s) already exist: [\"web\"]", |it| {
            matches!(it, EngineError::NameConflict(_))
        }),
        (Call::Create, "container ID a b is not a valid container ID", |it| {
            matches!(it, EngineError::Rejected(_))
        }),
        (Call::Create, "network nowhere not found", |it| {
            matches!(it, EngineError::NetworkMissing(_))
        }),
        (Call::HasImage, "image not found: a:1", |it| matches!(it, EngineError::ImageMissing(_))),
        (Call::Start, "bind(descriptor:ptr:bytes:): Address already in use) (errno: 48)", |it| {
            matches!(it, EngineError::PortBusy { port: None, .. })
        }),
        (Call::Remove, "container web is running and can not be deleted", |it| {
            matches!(it, EngineError::Busy(_))
        }),
        (Call::Exec, "container web is not running", |it| matches!(it, EngineError::Busy(_))),
        (Call::Start, "minimum memory amount allowed is 200 MiB", |it| {
            matches!(it, EngineError::Rejected(_))
        }),
        (Call::List, "XPC connection error: Connection invalid", |it| {
            matches!(it, EngineError::Unreachable(_))
        }),
        (Call::Start, "XPC connection error: Connection interrupted", |it| {
            matches!(it, EngineError::OutcomeUnknown { .. })
        }),
        (
            Call::Create,
            "XPC timeout for request to com.apple.container.apiserver/containerCreate",
            |it| matches!(it, EngineError::OutcomeUnknown { .. }),
        ),
        (Call::Start, "mount source path '/x' does not exist", |it| {
            matches!(it, EngineError::Failed { .. })
        }),
        (Call::List, "something new", |it| matches!(it, EngineError::Failed { .. })),
    ];
    for (call, words, is) in cases {
        let error = meaning(call, words);
        assert!(is(&error), "{words}: {error:?}");
    }
}

#[test]
fn nothing_that_is_not_understood_means_absent() {
    for words in ["", "boom", "not found", "container", "no such thing: web"] {
        let error = meaning(Call::Inspect, words);
        assert!(matches!(error, EngineError::Failed { .. }), "{words}: {error:?}");
    }
    assert!(matches!(refused(Call::List, 70, "odd"), Some(EngineError::Failed { .. })));
    assert_eq!(refused(Call::List, 0, "Error: told and done"), None);
}

#[test]
fn a_tool_that_was_killed_may_have_done_what_it_was_asked() {
    let killed = Output { code: None, ..Output::default() };
    let error = refusal(Call::Create, &killed);
    assert!(matches!(error, Some(EngineError::OutcomeUnknown { .. })), "{error:?}");
}

#[test]
fn a_command_line_that_an_older_tool_does_not_take_is_unsupported() {
    let told = "Error: Unknown option '--shm-size'\nUsage: container create [<options>]";
    let error = refused(Call::Create, 64, told).unwrap();
    let EngineError::Unsupported(message) = &error else { unreachable!("{error:?}") };
    assert!(message.ends_with("Unknown option '--shm-size'"), "{message}");
}

#[test]
fn a_left_over_is_told_however_long_the_words_are() {
    let words = format!(
        "failed to bootstrap container (cause: \"{}container expected to be in created state, got: running\")",
        "failed to bootstrap container web (cause: ".repeat(20)
    );
    assert!(is_left_over(&meaning(Call::Start, &words)));
    assert!(!is_left_over(&meaning(
        Call::Remove,
        "container web is running and can not be deleted"
    )));
}

#[test]
fn only_a_line_that_begins_so_is_the_tool_speaking() {
    assert_eq!(spoken("Error: a"), Some("a"));
    assert_eq!(spoken("noise\nError: a\nmore"), Some("a\nmore"));
    assert_eq!(spoken("an Error: a"), None);
    assert_eq!(spoken(""), None);
}
