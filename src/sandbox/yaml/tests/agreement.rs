//! A scan that took an alias for text, or text for a document, would guard nothing.

use serde_yaml::Value as Theirs;

use super::*;
use crate::sandbox::yaml::node::Value as Ours;

fn same(ours: &Node, theirs: &Theirs) -> bool {
    match (&ours.value, theirs) {
        (Ours::List(ours), Theirs::Sequence(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| same(a, b))
        }
        (Ours::Mapping(ours), Theirs::Mapping(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(entry, (key, value))| {
                    (key.as_str() == Some(&entry.key) || !key.is_string())
                        && same(&entry.value, value)
                })
        }
        (Ours::Scalar { text, .. }, Theirs::String(theirs)) => text == theirs,
        (Ours::Scalar { .. }, Theirs::Null | Theirs::Bool(_) | Theirs::Number(_)) => true,
        _ => false,
    }
}

fn check(text: &str) {
    let Ok(text) = guard::text(text.as_bytes()) else { return };
    for document in scan::documents(text).unwrap_or_default() {
        let mut problems = document.problems;
        check::duplicates(&document.root, "", &mut problems);
        let theirs = serde_yaml::from_str::<Theirs>(document.text);
        if let (true, Ok(theirs)) = (problems.is_empty(), theirs) {
            assert!(same(&document.root, &theirs), "{:?}\n{theirs:?}", document.root);
        }
    }
}

#[test]
fn both_parsers_see_the_same_where_they_once_did_not() {
    for text in ["|\n - &a !*a x", "- |\n #", "a: 1\n...\n|\n b", "x: |\n  a", "- >\n *a b"] {
        check(text);
    }
}

proptest! {
    #[test]
    fn both_parsers_see_the_same(
        text in "([-a0 \\n:\\[\\]{},&*!|>'\"#?.~\\t\\r]|\n  |: |- |---\n|...\n|\\|\n |>\n |&a |\\*a ){0,14}"
    ) {
        check(&text);
    }
}
