use proptest::prelude::*;

use super::*;
use crate::plan::testing::{desired, fingerprint};

type Labels = BTreeMap<String, String>;

fn identity() -> Identity {
    Identity {
        instance: "0123456789abcdef".to_owned(),
        key: b"a key of this state directory".to_vec(),
        prefix: "sandbox".to_owned(),
    }
}

fn made_from() -> Fingerprint {
    fingerprint(&desired("app:1"))
}

fn labels() -> Labels {
    identity().labels("web", "uid-1", &made_from())
}

fn in_the_way(sandbox: &str, slot: Slot) -> Owner {
    Owner::ForeignInTheWay { sandbox: sandbox.to_owned(), slot }
}

#[test]
fn our_labels_under_each_of_the_sandboxs_names_are_ours() {
    for (name, slot) in [
        ("sandbox-web", Slot::Main),
        ("sandbox-web.new", Slot::Replacement),
        ("sandbox-web.old", Slot::Predecessor),
    ] {
        assert_eq!(identity().container_name("web", slot), name);
        let expected = Owner::Ours {
            sandbox: "web".to_owned(),
            uid: "uid-1".to_owned(),
            slot,
            fingerprint: made_from(),
        };
        assert_eq!(identity().owner(name, &labels()), expected);
    }
}

#[test]
fn our_labels_under_any_other_name_prove_nothing_by_themselves() {
    let expected = Owner::OursRenamed {
        sandbox: "web".to_owned(),
        uid: "uid-1".to_owned(),
        fingerprint: made_from(),
    };
    for name in
        ["copy", "sandbox-db", "sandbox-db.old", "sandbox-web.bak", "sandbox-", "Sandbox-web"]
    {
        assert_eq!(identity().owner(name, &labels()), expected, "{name}");
    }
}

#[test]
fn a_change_to_any_label_breaks_the_tag() {
    for key in [INSTANCE, NAME, UID, SPEC_HASH, FIELDS, TAG] {
        for change in [Labels::remove as fn(&mut Labels, &str) -> Option<String>, edit] {
            let mut labels = labels();
            change(&mut labels, key);
            let owner = identity().owner("sandbox-web", &labels);
            assert_eq!(owner, in_the_way("web", Slot::Main), "{key}");
            assert_eq!(identity().owner("elsewhere", &labels), Owner::Foreign, "{key}");
        }
    }
}

fn edit(labels: &mut Labels, key: &str) -> Option<String> {
    let value = labels.get_mut(key)?;
    // The last digit of a hash, or a letter more of a name.
    value.push('0');
    None
}

#[test]
fn a_tag_of_another_length_or_no_hexadecimal_is_no_tag() {
    let good = labels()[TAG].clone();
    for tag in ["", "zz", &good[..62], &format!("{good}00"), &good.replace(&good[..2], "zz")] {
        let mut labels = labels();
        labels.insert(TAG.to_owned(), tag.to_owned());
        assert_eq!(
            identity().owner("sandbox-web", &labels),
            in_the_way("web", Slot::Main),
            "{tag}"
        );
    }
}

#[test]
fn another_instance_key_or_prefix_owns_nothing_of_ours() {
    let others = [
        Identity { instance: "fedcba9876543210".to_owned(), ..identity() },
        Identity { key: b"another key".to_vec(), ..identity() },
        Identity::unknown("sandbox"),
    ];
    for other in others {
        let owner = other.owner("sandbox-web", &labels());
        assert_eq!(owner, in_the_way("web", Slot::Main), "{other:?}");
    }
    let prefixed = Identity { prefix: "box".to_owned(), ..identity() };
    for name in ["sandbox-web", "box-web"] {
        assert!(!matches!(
            prefixed.owner(name, &labels()),
            Owner::Ours { .. } | Owner::OursRenamed { .. }
        ));
    }
}

/// Two sandboxes whose labels run together to the same text are still two.
#[test]
fn the_tag_knows_where_one_label_ends_and_the_next_begins() {
    let mut labels = identity().labels("web", "uid-1", &made_from());
    labels.insert(NAME.to_owned(), "webu".to_owned());
    labels.insert(UID.to_owned(), "id-1".to_owned());
    assert_eq!(identity().owner("sandbox-webu", &labels), in_the_way("webu", Slot::Main));
}

#[test]
fn labels_that_are_not_ours_do_not_matter() {
    let mut labels = labels();
    labels.insert("org.example/from-the-image".to_owned(), "1".to_owned());
    assert!(matches!(identity().owner("sandbox-web", &labels), Owner::Ours { .. }));
}

#[test]
fn a_container_without_labels_is_foreign_and_in_the_way_if_it_has_a_name_of_ours() {
    let table = [
        ("sandbox-web", in_the_way("web", Slot::Main)),
        ("sandbox-web.new", in_the_way("web", Slot::Replacement)),
        ("sandbox-web.old", in_the_way("web", Slot::Predecessor)),
        ("web", Owner::Foreign),
        ("sandboxes", Owner::Foreign),
    ];
    for (name, expected) in table {
        assert_eq!(identity().owner(name, &Labels::new()), expected, "{name}");
    }
}

#[test]
fn a_name_stands_for_a_sandbox_and_a_slot_or_for_nothing() {
    let table = [
        ("sandbox-web", Some(("web", Slot::Main))),
        ("sandbox-a-b-c", Some(("a-b-c", Slot::Main))),
        ("sandbox-new", Some(("new", Slot::Main))),
        ("sandbox-web.new", Some(("web", Slot::Replacement))),
        ("sandbox-web.old", Some(("web", Slot::Predecessor))),
        ("sandbox-web.old.new", None),
        ("sandbox-web.other", None),
        ("sandbox-.new", None),
        ("sandbox-", None),
        ("sandbox", None),
        ("sandboxweb", None),
        ("/sandbox-web", None),
        ("x-sandbox-web", None),
        ("", None),
    ];
    for (name, expected) in table {
        let expected = expected.map(|(sandbox, slot)| (sandbox.to_owned(), slot));
        assert_eq!(identity().place(name), expected, "{name}");
    }
}

#[test]
fn a_prefix_with_a_hyphen_is_taken_whole() {
    let identity = Identity { prefix: "deer-flow".to_owned(), ..identity() };
    assert_eq!(identity.place("deer-flow-web"), Some(("web".to_owned(), Slot::Main)));
    assert_eq!(identity.place("deer-web"), None);
}

#[test]
fn nothing_prints_the_key() {
    let printed = format!("{:?}", identity());
    assert!(!printed.contains("a key") && !printed.contains("97, 32"), "{printed}");
}

#[test]
fn only_the_very_id_on_record_is_on_record() {
    let id = |id: &str| ContainerId(id.to_owned());
    assert!(Identity::is_recorded(Some(&id("a")), &id("a")));
    assert!(!Identity::is_recorded(Some(&id("a")), &id("ab")));
    assert!(!Identity::is_recorded(None, &id("a")));
}

proptest! {
    #[test]
    fn whatever_we_name_we_recognise(
        sandbox in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?",
        prefix in "[a-z]([a-z0-9-]{0,8}[a-z0-9])?",
        slot in prop::sample::select(vec![Slot::Main, Slot::Replacement, Slot::Predecessor]),
    ) {
        let identity = Identity { prefix, ..identity() };
        let name = identity.container_name(&sandbox, slot);
        prop_assert_eq!(identity.place(&name), Some((sandbox.clone(), slot)));
        let labels = identity.labels(&sandbox, "uid-1", &made_from());
        let owner = identity.owner(&name, &labels);
        let ours = matches!(&owner, Owner::Ours { sandbox: of, slot: at, .. } if *of == sandbox && *at == slot);
        prop_assert!(ours, "{:?}", owner);
    }

    #[test]
    fn no_name_breaks_the_judgement(name in ".{0,40}") {
        let owner = identity().owner(&name, &Labels::new());
        let ours = matches!(owner, Owner::Ours { .. } | Owner::OursRenamed { .. });
        prop_assert!(!ours);
    }
}
