//! Who this daemon is: minted once per state directory, and the one thing here that cannot be had again.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::io;
use super::files::{entries, read_optional, write_new};
use super::{PRIVATE, StateDir, StateError};
use crate::plan::ownership::Identity;

/// `instance.json`. No `Debug`: the key is a secret.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Instance {
    /// 16 hexadecimal digits.
    #[serde(rename = "instance")]
    id: String,
    /// 32 bytes as hexadecimal digits.
    key: String,
    /// When it was minted.
    created_at: Timestamp,
}

impl StateDir {
    /// The identity of this state directory, minted on the first call. Hold the lock.
    ///
    /// A damaged file is an error, and so is a missing one while sandboxes are remembered: a new
    /// identity would make strangers of all their containers.
    pub fn identity(&self, prefix: &str) -> Result<Identity, StateError> {
        if let Some(identity) = self.existing_identity(prefix)? {
            return Ok(identity);
        }
        let (path, memory) = (self.instance_file(), self.root.join("memory"));
        self.writable(&path)?;
        let sandboxes = entries(&memory, "json")?.len();
        if sandboxes > 0 {
            return Err(StateError::IdentityLost { path, memory, sandboxes });
        }
        let minted = Instance {
            id: hex::encode(&random()[..8]),
            key: hex::encode(random()),
            created_at: crate::clock::now(),
        };
        let bytes = serde_json::to_vec_pretty(&minted).expect("three strings make valid JSON");
        write_new(&path, &bytes, PRIVATE).map_err(io("write", &path))?;
        tracing::info!(instance = %minted.id, path = %path.display(), "minted an identity");
        self.understood(minted, prefix)
    }

    /// The identity if there is one; never mints. For commands that only read.
    pub fn existing_identity(&self, prefix: &str) -> Result<Option<Identity>, StateError> {
        let path = self.instance_file();
        let Some(bytes) = read_optional(&path)? else { return Ok(None) };
        let mode = std::fs::metadata(&path).map_err(io("look at", &path))?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(
                path = %path.display(), mode = format!("{:04o}", mode & 0o7777),
                "others may read the identity's key: chmod 0600 it"
            );
        }
        // serde's own message may quote the content, which is a secret.
        let instance = serde_json::from_slice(&bytes).map_err(|error| {
            self.corrupt(format!("not understood at line {}, {}", error.line(), error.column()))
        })?;
        self.understood(instance, prefix).map(Some)
    }

    fn understood(&self, instance: Instance, prefix: &str) -> Result<Identity, StateError> {
        let id = hex::decode(&instance.id).unwrap_or_default();
        let key = hex::decode(&instance.key).unwrap_or_default();
        if id.len() != 8 || key.len() != 32 {
            return Err(self.corrupt("its id or its key has the wrong length".to_owned()));
        }
        Ok(Identity { instance: instance.id, key, prefix: prefix.to_owned() })
    }

    fn corrupt(&self, detail: String) -> StateError {
        let (path, memory) = (self.instance_file(), self.root.join("memory"));
        StateError::IdentityCorrupt { path, memory, detail }
    }

    fn instance_file(&self) -> PathBuf {
        self.root.join("instance.json")
    }
}

/// 32 random bytes: four UUIDs hold 488 bits from the system's generator, of which the hash keeps 256.
fn random() -> [u8; 32] {
    let mut hash = Sha256::new();
    for _ in 0..4 {
        hash.update(uuid::Uuid::new_v4().as_bytes());
    }
    hash.finalize().into()
}
