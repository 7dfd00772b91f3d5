//! Whose a container is. Labels alone prove nothing: an image can carry them and a copy keeps them. The
//! tag is a keyed hash over the other labels and the container's base name, so only a process that holds
//! this state directory's key can have made it.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::fingerprint::Fingerprint;
use super::observed::ContainerId;
use super::step::Slot;

/// Label: the daemon's persisted id.
pub const INSTANCE: &str = "sandkeeper.dev/instance";
/// Label: `metadata.name`.
pub const NAME: &str = "sandkeeper.dev/name";
/// Label: the sandbox's uid.
pub const UID: &str = "sandkeeper.dev/uid";
/// Label: hash over what the container was made from.
pub const SPEC_HASH: &str = "sandkeeper.dev/spec-hash";
/// Label: digests of the single fields, to explain a difference.
pub const FIELDS: &str = "sandkeeper.dev/fields";
/// Label: keyed hash over the others.
pub const TAG: &str = "sandkeeper.dev/tag";

/// Who this daemon is: minted once per state directory.
#[derive(Clone)]
pub struct Identity {
    /// Random id, in every container's labels.
    pub instance: String,
    /// Secret for [`TAG`]. Never printed.
    pub key: Vec<u8>,
    /// First part of every container's name.
    pub prefix: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("instance", &self.instance)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// What a container's name, id and labels prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Ours, under one of its sandbox's names.
    Ours {
        /// The sandbox.
        sandbox: String,
        /// Its uid.
        uid: String,
        /// Which of its names.
        slot: Slot,
        /// What it was made from.
        fingerprint: Fingerprint,
    },
    /// The labels and the tag are ours, the name is another: ours only where its id is on record, for
    /// a copy carries the labels too.
    OursRenamed {
        /// The sandbox.
        sandbox: String,
        /// Its uid.
        uid: String,
        /// What it was made from.
        fingerprint: Fingerprint,
    },
    /// Not ours, but its name is one that a sandbox of ours could need.
    ForeignInTheWay {
        /// The sandbox that could need it.
        sandbox: String,
        /// Which of its names.
        slot: Slot,
    },
    /// None of our business.
    Foreign,
}

impl Identity {
    /// An identity that owns nothing, for looking at a host where no daemon has run yet.
    #[must_use]
    pub fn unknown(prefix: &str) -> Self {
        Self { instance: String::new(), key: Vec::new(), prefix: prefix.to_owned() }
    }

    /// Name of a sandbox's container.
    #[must_use]
    pub fn container_name(&self, sandbox: &str, slot: Slot) -> String {
        format!("{}-{sandbox}{}", self.prefix, slot.suffix())
    }

    /// Labels for a new container.
    #[must_use]
    pub fn labels(
        &self,
        sandbox: &str,
        uid: &str,
        fingerprint: &Fingerprint,
    ) -> BTreeMap<String, String> {
        let fields = fingerprint.fields_label();
        let tag = self.tag(sandbox, uid, &fingerprint.spec_hash, &fields);
        BTreeMap::from([
            (INSTANCE.to_owned(), self.instance.clone()),
            (NAME.to_owned(), sandbox.to_owned()),
            (UID.to_owned(), uid.to_owned()),
            (SPEC_HASH.to_owned(), fingerprint.spec_hash.clone()),
            (FIELDS.to_owned(), fields),
            (TAG.to_owned(), tag),
        ])
    }

    /// Judges a container by its name and labels.
    #[must_use]
    pub fn owner(&self, name: &str, labels: &BTreeMap<String, String>) -> Owner {
        let place = self.place(name);
        let Some((sandbox, uid, fingerprint)) = self.proven(labels) else {
            return match place {
                Some((sandbox, slot)) => Owner::ForeignInTheWay { sandbox, slot },
                None => Owner::Foreign,
            };
        };
        match place {
            Some((held, slot)) if held == sandbox => {
                Owner::Ours { sandbox, uid, slot, fingerprint }
            }
            _ => Owner::OursRenamed { sandbox, uid, fingerprint },
        }
    }

    /// The sandbox and slot that a container name stands for, whoever made it.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<(String, Slot)> {
        let rest = name.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        let (sandbox, slot) = if let Some(sandbox) = rest.strip_suffix(Slot::Replacement.suffix()) {
            (sandbox, Slot::Replacement)
        } else if let Some(sandbox) = rest.strip_suffix(Slot::Predecessor.suffix()) {
            (sandbox, Slot::Predecessor)
        } else {
            (rest, Slot::Main)
        };
        (!sandbox.is_empty() && !sandbox.contains('.')).then(|| (sandbox.to_owned(), slot))
    }

    /// Whether a recorded id makes a foreign container ours (adoption), or a renamed one.
    #[must_use]
    pub fn is_recorded(recorded: Option<&ContainerId>, id: &ContainerId) -> bool {
        recorded == Some(id)
    }

    fn proven(&self, labels: &BTreeMap<String, String>) -> Option<(String, String, Fingerprint)> {
        let label = |key| labels.get(key).map(String::as_str);
        if label(INSTANCE)? != self.instance {
            return None;
        }
        let (sandbox, uid) = (label(NAME)?, label(UID)?);
        let (spec_hash, fields) = (label(SPEC_HASH)?, label(FIELDS)?);
        let tag = hex::decode(label(TAG)?).ok()?;
        self.mac(sandbox, uid, spec_hash, fields).verify_slice(&tag).ok()?;
        let fingerprint = Fingerprint::from_labels(spec_hash, fields);
        Some((sandbox.to_owned(), uid.to_owned(), fingerprint))
    }

    fn tag(&self, sandbox: &str, uid: &str, spec_hash: &str, fields: &str) -> String {
        hex::encode(self.mac(sandbox, uid, spec_hash, fields).finalize().into_bytes())
    }

    fn mac(&self, sandbox: &str, uid: &str, spec_hash: &str, fields: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .expect("HMAC takes a key of any length (RFC 2104)");
        let base_name = self.container_name(sandbox, Slot::Main);
        // Each part is ended by a byte that no label value of ours holds, so no two lists of parts agree.
        for part in ["owner", &self.instance, &base_name, sandbox, uid, spec_hash, fields] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        mac
    }
}

#[cfg(test)]
mod tests;
