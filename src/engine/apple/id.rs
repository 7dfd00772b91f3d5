//! Ids, and the labels that travel with a container. The tool's id is the name, which a later container may
//! have again; an id of ours is the name and a mark that no other container ever has.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::plan::{ContainerId, Limits};

/// Label: the mark of a container that this module made.
pub(super) const MARK: &str = "sandkeeper.dev/apple";

/// What a container of ours carries beside what it was asked to: who it is, when it was made (older tools do
/// not tell), and which of its limits were asked for (the tool gives every container some).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    nonce: String,
    pub(super) created_at: Timestamp,
    pub(super) cpus_asked: bool,
    pub(super) memory_asked: bool,
    /// The image as it was written; the tool spells out its registry.
    pub(super) image: String,
}

impl Mark {
    /// The mark of a new container.
    pub(super) fn new(image: &str, limits: &Limits) -> Self {
        let created_at = crate::clock::now();
        Self {
            nonce: format!("{:016x}", fastrand::u64(..)),
            // As far as the label keeps it.
            created_at: Timestamp::from_millisecond(created_at.as_millisecond())
                .unwrap_or(created_at),
            cpus_asked: limits.nano_cpus.is_some(),
            memory_asked: limits.memory.is_some(),
            image: image.to_owned(),
        }
    }

    /// The id of the container of this name that carries the mark.
    pub(super) fn id(&self, name: &str) -> ContainerId {
        ContainerId(format!("{name}@{}", self.nonce))
    }

    /// The mark as a label's value, which may hold no `=`.
    pub(super) fn label(&self) -> String {
        let letter = |asked, letter| if asked { letter } else { '-' };
        format!(
            "1.{}.{}.{}{}.{}",
            self.nonce,
            self.created_at.as_millisecond(),
            letter(self.cpus_asked, 'c'),
            letter(self.memory_asked, 'm'),
            escaped(&self.image)
        )
    }

    /// Reads a label back. What is not of this form is nobody's mark.
    pub(super) fn of_label(label: &str) -> Option<Self> {
        let parts: Vec<&str> = label.splitn(5, '.').collect();
        let ["1", nonce, created, asked, image] = parts[..] else { return None };
        let plain = !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_hexdigit());
        let created_at = Timestamp::from_millisecond(created.parse().ok()?).ok()?;
        plain.then(|| Self {
            nonce: nonce.to_owned(),
            created_at,
            cpus_asked: asked.contains('c'),
            memory_asked: asked.contains('m'),
            image: unescaped(image),
        })
    }
}

/// The tool's own name for a container.
pub(super) fn name_of(id: &ContainerId) -> &str {
    // A name holds no `@`.
    id.0.split_once('@').map_or(id.0.as_str(), |(name, _)| name)
}

/// The id of a container that somebody else made: its name, and when it was made, if the tool tells.
pub(super) fn foreign_id(name: &str, created: Option<&str>) -> ContainerId {
    ContainerId(match created {
        Some(created) => format!("{name}@{created}"),
        None => name.to_owned(),
    })
}

/// A label's value as the tool takes it: without `=`.
pub(super) fn escaped(value: &str) -> String {
    value.replace('%', "%25").replace('=', "%3D")
}

fn unescaped(value: &str) -> String {
    value.replace("%3D", "=").replace("%25", "%")
}

/// The labels as they were asked for, and the mark, if the container is one of ours.
pub(super) fn read_labels(
    mut labels: BTreeMap<String, String>,
) -> (BTreeMap<String, String>, Option<Mark>) {
    let Some(mark) = labels.get(MARK).and_then(|label| Mark::of_label(label)) else {
        return (labels, None);
    };
    labels.remove(MARK);
    for value in labels.values_mut() {
        *value = unescaped(value);
    }
    (labels, Some(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_from_its_label() {
        for (cpus, memory) in [(None, None), (Some(1), None), (None, Some(1)), (Some(1), Some(1))] {
            let mark =
                Mark::new("ghcr.io/a/b:1.2", &Limits { nano_cpus: cpus, memory, pids: None });
            assert_eq!(Mark::of_label(&mark.label()), Some(mark.clone()));
            assert!(!mark.label().contains('='));
        }
        for wrong in
            ["", "1", "1.ab.5.--", "1.ab.x.--.a", "2.ab.5.--.a", "1..5.--.a", "1.a b.5.--.a"]
        {
            assert_eq!(Mark::of_label(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_that_is_given_again_is_another_id() {
        let mark = || Mark::new("a:1", &Limits::default());
        let (one, other) = (mark().id("web"), mark().id("web"));
        assert_ne!(one, other);
        assert_eq!((name_of(&one), name_of(&other)), ("web", "web"));
        assert_eq!(name_of(&foreign_id("web", None)), "web");
        assert_eq!(name_of(&foreign_id("web", Some("2026-01-01T00:00:00Z"))), "web");
    }

    #[test]
    fn labels_come_back_as_they_were_asked_for() {
        let mark = Mark::new("a:1", &Limits::default());
        for value in ["", "a", "a=b,c=d", "100%", "%3D", "a%25=%"] {
            let labels = BTreeMap::from([
                ("key".to_owned(), escaped(value)),
                (MARK.to_owned(), mark.label()),
            ]);
            assert!(!escaped(value).contains('='));
            let (read, found) = read_labels(labels);
            assert_eq!(read, BTreeMap::from([("key".to_owned(), value.to_owned())]));
            assert_eq!(found.as_ref(), Some(&mark));
        }
        let foreign = BTreeMap::from([("key".to_owned(), "%3D".to_owned())]);
        assert_eq!(read_labels(foreign.clone()), (foreign, None));
    }
}
