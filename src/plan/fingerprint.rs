//! What a container was made from, field by field, so that a change can name its fields.
//!
//! The fingerprint travels in two labels of the container: the spec hash decides, the field digests
//! explain. Both are over the *normalised* spec, so formatting, field order and defaults spelt out
//! change nothing; the golden test keeps them stable across releases.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::desired::{ContainerSpec, EnvValue};

/// Bumped when the normal form changes on purpose; containers with another version are compared by
/// field digests of the fields that both know, never replaced for the version alone.
const VERSION: &str = "v1";

/// Hash over everything that needs a new container when it changes: `v1:` and 64 hexadecimal digits.
pub type SpecHash = String;

/// What a container was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// Hash over all of it.
    pub spec_hash: SpecHash,
    /// First 8 hexadecimal digits of each field's hash, by the field's path. Absent fields are absent.
    pub fields: BTreeMap<String, String>,
}

impl Fingerprint {
    /// The fingerprint of a spec. `secret_digests` holds a keyed digest for each secret file that could
    /// be read, by environment variable, so that a changed secret is a changed spec.
    #[must_use]
    pub fn of(spec: &ContainerSpec, secret_digests: &BTreeMap<String, String>) -> Self {
        let full = full_digests(spec, secret_digests);
        let mut hash = Sha256::new();
        for (field, digest) in &full {
            hash.update(field.as_bytes());
            hash.update([0]);
            hash.update(digest.as_bytes());
            hash.update([0]);
        }
        let spec_hash = format!("{VERSION}:{}", hex::encode(hash.finalize()));
        let fields =
            full.into_iter().map(|(field, digest)| (field, digest[..8].to_owned())).collect();
        Self { spec_hash, fields }
    }

    /// The fields in which the two differ.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut fields: Vec<String> = self
            .fields
            .iter()
            .filter(|(field, digest)| other.fields.get(*field) != Some(digest))
            .map(|(field, _)| field.clone())
            .chain(other.fields.keys().filter(|field| !self.fields.contains_key(*field)).cloned())
            .collect();
        fields.sort();
        fields
    }

    /// The field digests as a label's value: `image=0123abcd,ports[http]=…`.
    #[must_use]
    pub fn fields_label(&self) -> String {
        let pairs: Vec<String> = self
            .fields
            .iter()
            .map(|(field, digest)| format!("{}={digest}", escaped(field)))
            .collect();
        pairs.join(",")
    }

    /// Reads the two labels back. A fields label that cannot be read costs the explanation only.
    #[must_use]
    pub fn from_labels(spec_hash: &str, fields: &str) -> Self {
        let fields = fields
            .split(',')
            .filter_map(|pair| pair.rsplit_once('='))
            .map(|(field, digest)| (unescaped(field), digest.to_owned()))
            .collect();
        Self { spec_hash: spec_hash.to_owned(), fields }
    }
}

/// A field's path without the comma that ends a pair: a variable may have one in its name.
fn escaped(field: &str) -> String {
    field.replace('%', "%25").replace(',', "%2C")
}

fn unescaped(field: &str) -> String {
    field.replace("%2C", ",").replace("%25", "%")
}

/// Keyed digest of a secret's content, for [`Fingerprint::of`]. Without the key it tells nothing, not
/// even whether two daemons hold the same secret.
#[must_use]
pub fn secret_digest(key: &[u8], content: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)");
    mac.update(b"secret\0");
    mac.update(content);
    hex::encode(mac.finalize().into_bytes())
}

fn full_digests(
    spec: &ContainerSpec,
    secret_digests: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    // Destructured whole, so that a new field cannot be forgotten here.
    let ContainerSpec {
        image,
        command,
        args,
        working_dir,
        env,
        ports,
        mounts,
        shared_memory,
        security,
        runtime,
        network,
    } = spec;
    let mut digests = BTreeMap::new();
    let mut add = |field: String, value: &dyn erased::Json| {
        digests.insert(field, hex::encode(Sha256::digest(value.json())));
    };
    add("image".to_owned(), image);
    if let Some(command) = command {
        add("command".to_owned(), command);
    }
    if let Some(args) = args {
        add("args".to_owned(), args);
    }
    if let Some(working_dir) = working_dir {
        add("workingDir".to_owned(), working_dir);
    }
    for (name, value) in env {
        match value {
            EnvValue::Literal(_) => add(format!("env.{name}"), value),
            EnvValue::SecretFile(path) => {
                add(format!("env.{name}"), &(path, secret_digests.get(name)));
            }
        }
    }
    for port in ports {
        add(format!("ports[{}]", port.name), port);
    }
    for mount in mounts {
        add(format!("mounts[{}]", mount.mount_path), mount);
    }
    if let Some(bytes) = shared_memory {
        add("resources.limits.sharedMemory".to_owned(), bytes);
    }
    add("securityContext".to_owned(), security);
    if let Some(runtime) = runtime {
        add("runtimeClassName".to_owned(), runtime);
    }
    add("network".to_owned(), network);
    digests
}

/// `serde_json` behind an object-safe trait, so that one closure hashes every field's type.
mod erased {
    use serde::Serialize;

    pub(super) trait Json {
        fn json(&self) -> Vec<u8>;
    }

    impl<T: Serialize> Json for T {
        fn json(&self) -> Vec<u8> {
            serde_json::to_vec(self)
                .expect("specs hold only strings, numbers and string-keyed maps")
        }
    }
}

/// Checks at compile time that the spec stays serialisable as a whole.
const _: fn() = || {
    fn serialisable<T: Serialize>() {}
    serialisable::<ContainerSpec>();
};

#[cfg(test)]
mod tests;
