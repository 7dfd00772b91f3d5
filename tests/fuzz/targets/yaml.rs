//! Bytes as a spec file: whatever they are, they are read or refused with harmless words, and what is
//! accepted means the same after it was written and read again.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use sandkeeper::plan::{Settings, validate};
use sandkeeper::sandbox::text::{is_dns_label, is_unsafe};
use sandkeeper::sandbox::yaml::{self, MAX_FILE_BYTES};
use sandkeeper::sandbox::{Problem, Sandbox, SandboxSpec};

fuzz_target!(|bytes: &[u8]| {
    let documents = match yaml::read(bytes) {
        Ok(documents) => documents,
        Err(problem) => return harmless(&problem, bytes),
    };
    assert!(bytes.len() <= MAX_FILE_BYTES && (1..=64).contains(&documents.len()));
    for (index, document) in documents.into_iter().enumerate() {
        assert_eq!(document.index, index + 1);
        assert!(document.name.as_deref().is_none_or(is_dns_label));
        match document.result {
            Err(problems) => {
                assert!((1..=21).contains(&problems.len()));
                problems.iter().for_each(|problem| harmless(problem, bytes));
            }
            Ok(sandbox) => accepted(&sandbox, bytes),
        }
    }
});

fn harmless(problem: &Problem, bytes: &[u8]) {
    let text = problem.to_string();
    assert!(!text.contains(is_unsafe) && text.chars().count() < 1400, "{text:?}");
    assert!(!problem.message.is_empty());
    // `\r` alone breaks a line too, and a place may be behind the last one.
    let lines = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 2;
    assert!(problem.line.is_none_or(|line| (1..=lines).contains(&(line as usize))), "{text}");
}

/// Accepted by the reader; the validation may still refuse it.
fn accepted(sandbox: &Sandbox, bytes: &[u8]) {
    let text = yaml::to_yaml(sandbox);
    assert!(!text.contains(|it| it != '\n' && is_unsafe(it)), "{text:?}");
    // Indentation can make it larger than a file may be.
    if text.len() <= MAX_FILE_BYTES {
        let again = yaml::read(text.as_bytes()).expect("what was written can be read");
        let again = again.first().expect("it is one document").result.as_ref();
        assert_eq!(again.expect("what was accepted is accepted again"), sandbox, "{text}");
    }
    let settings = Settings {
        defaults: SandboxSpec::default(),
        prefix: "sandbox".to_owned(),
        bind: IpAddr::V4(Ipv4Addr::LOCALHOST),
        policy: sandkeeper::plan::Policy::default(),
    };
    let base = Path::new("/srv/specs");
    let validated = validate(sandbox, &settings, base);
    assert_eq!(validated, validate(sandbox, &settings, base), "validation is a function");
    match validated {
        Err(problems) => problems.iter().for_each(|problem| harmless(problem, bytes)),
        Ok(validated) => {
            let name = validated.desired.name.as_str();
            assert!(is_dns_label(name) && name.len() + "sandbox-.new".len() <= 63, "{name}");
            let notices = validated.notices.iter();
            notices.for_each(|notice| assert!(!notice.contains(is_unsafe), "{notice:?}"));
        }
    }
}
