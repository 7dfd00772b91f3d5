use super::*;

fn labelled(key: &str, value: &str, annotation: bool) -> Result<Validated, Vec<String>> {
    let mut sandbox = sandbox("image: a");
    let map = Some([(key.to_owned(), value.to_owned())].into());
    if annotation {
        sandbox.metadata.annotations = map;
    } else {
        sandbox.metadata.labels = map;
    }
    check(&sandbox, &settings())
}

#[test]
fn adoption_is_asked_for_by_label_or_annotation() {
    for annotation in [true, false] {
        assert!(labelled("sandkeeper.dev/adopt", "true", annotation).unwrap().desired.adopt);
        assert!(!labelled("sandkeeper.dev/adopt", "false", annotation).unwrap().desired.adopt);
    }
    assert_eq!(
        labelled("sandkeeper.dev/adopt", "yes", true).unwrap_err(),
        [
            "metadata.annotations[sandkeeper.dev/adopt]: must be \"true\" or \"false\", found \"yes\""
        ]
    );
}

#[test]
fn our_own_labels_cannot_be_set() {
    for key in ["instance", "uid", "tag", "spec-hash", "anything"] {
        for annotation in [true, false] {
            let key = format!("sandkeeper.dev/{key}");
            let problem = labelled(&key, "x", annotation).unwrap_err().remove(0);
            assert!(problem.contains("is sandkeeper's own"), "{problem}");
        }
    }
    assert!(labelled("example.com/uid", "x", false).is_ok());
}

#[test]
fn labels_cannot_forge_a_log_line() {
    let problem = labelled("a\n{\"level\":\"INFO\"}", "x", false).unwrap_err().remove(0);
    assert!(!problem.contains('\n'), "{problem}");
    assert!(labelled("a", "x\nfake", false).is_err());
    assert!(labelled("a", "several\nlines", true).is_ok(), "annotations may have them");
}

// 6, 35
#[test]
fn keys_and_labels_have_kubernetes_grammar() {
    let domain = format!("{0}.{0}.{0}.{0}", "d".repeat(63));
    for good in ["a", "A.b_c-1", "example.com/a", &"k".repeat(63), &format!("{}/a", &domain[..253])]
    {
        assert!(labelled(good, "x", false).is_ok() && labelled(good, "x", true).is_ok(), "{good}");
    }
    for bad in ["", "-a", "a/", "/a", "a/b/c", "a b", "é", "Ex.com/a", &"k".repeat(64), &domain] {
        let problem = labelled(bad, "x", true).unwrap_err().remove(0);
        assert!(problem.contains("is not a key"), "{problem}");
    }
    for value in ["", "v1.2_3", &"v".repeat(63)] {
        assert!(labelled("a", value, false).is_ok(), "{value}");
    }
    for value in ["a b", "-a", "a\u{202e}b", "\u{200b}", &"v".repeat(64)] {
        assert!(labelled("a", value, false).is_err(), "{value}");
        assert!(labelled("a", value, true).is_ok(), "annotations are free: {value}");
    }
}
