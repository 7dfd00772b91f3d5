//! Reading and validating as the source of specs does: bytes in, sandboxes and placed problems out.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use sandkeeper::plan::{Settings, validate};
use sandkeeper::sandbox::{ProblemReason, SandboxSpec, yaml};

fn settings() -> Settings {
    let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let policy = sandkeeper::plan::Policy::default();
    Settings { defaults: SandboxSpec::default(), prefix: "sandbox".to_owned(), bind, policy }
}

/// What a user is told of a file, one line a problem.
fn told(text: &str) -> Vec<String> {
    let documents = match yaml::read(text.as_bytes()) {
        Ok(documents) => documents,
        Err(problem) => return vec![problem.to_string()],
    };
    let problems = documents.into_iter().flat_map(|document| {
        let checked = document
            .result
            .and_then(|sandbox| validate(&sandbox, &settings(), Path::new("/srv/specs")).map(drop));
        document.positions.attach(checked.err().unwrap_or_default())
    });
    problems.map(|problem| problem.to_string()).collect()
}

#[test]
fn what_validation_finds_gets_its_place_in_the_file() {
    let text = "\
apiVersion: sandkeeper.dev/v1alpha1
kind: Sandbox
metadata:
  name: web
  labels:
    sandkeeper.dev/uid: forged
spec:
  image: Nginx
  permissions:
  - path: /data
    mode: \"4755\"
";
    assert_eq!(
        told(text),
        [
            "6:5: metadata.labels[sandkeeper.dev/uid]: sandkeeper.dev/ is sandkeeper's own; only sandkeeper.dev/adopt may be set",
            "8:3: spec.image: \"Nginx\" is not an image: repository names are in lower case",
            "11:5: spec.permissions[0].mode: the set-user-id, set-group-id and sticky bits are not set; the first digit is 0",
        ]
    );
}

#[test]
fn every_prefix_of_a_spec_is_read_or_refused_with_a_reason() {
    let text =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/hardened.yaml")).unwrap();
    for end in 0..text.len() {
        match yaml::read(&text[..end]) {
            Err(problem) => {
                assert!(matches!(problem.reason, ProblemReason::Empty | ProblemReason::Syntax));
            }
            Ok(documents) => assert_eq!(documents.len(), 1),
        }
    }
}

#[test]
fn a_million_keys_and_a_huge_scalar_are_refused_by_size() {
    let keys = "key: 1\n".repeat(1_000_000);
    let scalar = format!("x: {}\n", "y".repeat(50_000_000));
    for text in [keys, scalar] {
        let problem = yaml::read(text.as_bytes()).unwrap_err();
        assert_eq!(problem.reason, ProblemReason::TooLarge);
    }
}

#[test]
fn the_largest_file_is_read() {
    let head = "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata: {name: web}\nx-pad: ";
    let text = format!("{head}{}\n", "y".repeat(yaml::MAX_FILE_BYTES - head.len() - 1));
    assert_eq!(text.len(), yaml::MAX_FILE_BYTES);
    assert!(yaml::read(text.as_bytes()).unwrap()[0].result.is_ok());
}
