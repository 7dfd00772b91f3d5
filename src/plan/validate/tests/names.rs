use super::*;
use crate::plan::Slot;
use crate::plan::ownership::Identity;

fn problem(name: &str, prefix: &str) -> Option<String> {
    let mut sandbox = sandbox("image: a");
    sandbox.metadata.name = Some(name.to_owned());
    let settings = Settings { prefix: prefix.to_owned(), ..settings() };
    check(&sandbox, &settings).err().map(|mut problems| problems.remove(0))
}

#[test]
fn a_name_is_a_dns_label() {
    for bad in [
        "../../etc/x",
        "a/b",
        "a b",
        "A",
        "-a",
        "a-",
        "a.b",
        "web\0x",
        "a\u{202e}b",
        "wеb",
        "a\u{200b}b",
        "a\nb",
    ] {
        let problem = problem(bad, "sandbox").unwrap();
        assert!(problem.contains("is not a name"), "{problem}");
        assert!(!problem.chars().any(char::is_control), "{problem}");
    }
    assert_eq!(problem("", "sandbox").unwrap(), "metadata.name: is required");
}

#[test]
fn a_name_leaves_room_for_prefix_and_suffix() {
    assert_eq!(problem(&"a".repeat(51), "sandbox"), None);
    assert_eq!(
        problem(&"a".repeat(52), "sandbox").unwrap(),
        "metadata.name: has 52 characters; with the prefix \"sandbox\" there is room for 51"
    );
    assert!(problem(&"a".repeat(300), "sandbox").is_some());
    assert!(problem("a", &"p".repeat(80)).unwrap().ends_with("there is room for 0"));
}

// 3: an engine takes 12 or 64 hexadecimal digits for an id.
#[test]
fn no_name_gives_a_container_that_is_named_like_an_id() {
    for name in ["deadbeefcafe", "beefcafe", "0", &"a".repeat(51)] {
        for prefix in ["d", "dead", "deadbee"] {
            assert_eq!(problem(name, prefix), None);
            let identity = Identity::unknown(prefix);
            for slot in [Slot::Main, Slot::Replacement, Slot::Predecessor] {
                let container = identity.container_name(name, slot);
                assert!(!container.bytes().all(|byte| byte.is_ascii_hexdigit()), "{container}");
                assert!(container.len() < 64, "{container}");
            }
        }
    }
}

#[test]
fn similar_names_stay_distinct() {
    assert_eq!(problem("a", "sandbox"), None);
    assert_eq!(problem("a-b", "sandbox"), None);
}

#[test]
fn a_missing_name_is_reported() {
    let mut sandbox = sandbox("image: a");
    sandbox.metadata.name = None;
    sandbox.metadata.generate_name = Some("web-".to_owned());
    assert_eq!(
        check(&sandbox, &settings()).unwrap_err(),
        [
            "metadata.generateName: names are not generated: a sandbox keeps the name that its file gives it",
            "metadata.name: is required",
        ]
    );
}
