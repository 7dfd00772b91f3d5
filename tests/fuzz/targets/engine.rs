//! Bytes as an engine's answers. The first one chooses which: a list, an inspect, or a stream of events.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sandkeeper::engine::docker::fuzzing::{events, inspected, list};
use sandkeeper::engine::{EngineError, Inspected};
use sandkeeper::plan::ContainerId;
use sandkeeper::sandbox::text::is_unsafe;

/// The id that the inspect of the seeds is about.
const ID: &str = "8747c1db73c3f4176eb77630e2d20d91444b84565469d0057630e6fd58b64eed";
/// What the environment of the seeds holds, and no error may.
const CANARY: &str = "canary-5714";

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, answer)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => a_list(answer),
        1 => an_inspect(choice / 4 % 2 == 1, answer),
        _ => a_stream(*choice, answer),
    }
});

fn a_list(answer: &[u8]) {
    match list(answer) {
        Err(error) => harmless(&error),
        Ok(containers) => {
            for container in containers {
                let id = &container.id.0;
                assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
                assert!(!container.name.contains('/'), "{}", container.name);
            }
        }
    }
}

fn an_inspect(podman: bool, answer: &[u8]) {
    let asked = ContainerId(ID.to_owned());
    match inspected(podman, &asked, answer) {
        Err(error) => harmless(&error),
        Ok(Inspected { id, bindings, networks, .. }) => {
            assert_eq!(id, asked, "an answer about another container is none");
            assert!(bindings.iter().all(|binding| binding.host_port != 0));
            assert!(networks.is_sorted());
        }
    }
}

/// Wherever the pieces of a stream end, they tell the same.
fn a_stream(choice: u8, answer: &[u8]) {
    let whole = events(&[answer]);
    let size = usize::from(choice / 4) + 1;
    let pieces: Vec<&[u8]> = answer.chunks(size).collect();
    assert_eq!(whole, events(&pieces));
    if let Err(error) = whole {
        harmless(&error);
    }
}

fn harmless(error: &EngineError) {
    let text = error.to_string();
    assert!(!text.contains(is_unsafe) && text.len() < 400, "{text:?}");
    assert!(!text.contains(CANARY), "{text:?}");
}
