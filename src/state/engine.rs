//! The engine in use, on record: the daemon never changes engine silently once it manages containers.

use serde::{Deserialize, Serialize};

use super::files::read_optional;
use super::{PRIVATE, StateDir, StateError};
use crate::engine::EngineKind;

/// The engine that holds this daemon's containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineRecord {
    /// Which engine.
    pub kind: EngineKind,
    /// Its own identity; another engine behind the same socket has another one.
    pub engine_id: String,
    /// First part of the names of the containers that are ours.
    #[serde(default)]
    pub prefix: String,
    /// Where it listens. Not part of its identity: a socket may move.
    #[serde(default)]
    pub address: String,
}

impl EngineRecord {
    /// Whether both speak of the same containers.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        (self.kind, &self.engine_id, &self.prefix) == (other.kind, &other.engine_id, &other.prefix)
    }
}

impl StateDir {
    /// The engine on record; `None` before the first one is.
    pub fn engine(&self) -> Result<Option<EngineRecord>, StateError> {
        let path = self.root.join("engine.json");
        let Some(bytes) = read_optional(&path)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| StateError::Corrupt {
            path,
            detail: error.to_string(),
            mend: "remove it to have the engine in use recorded again",
        })
    }

    /// Records the engine, durably. `false`: it is on record already.
    pub fn record_engine(&self, record: &EngineRecord) -> Result<bool, StateError> {
        if self.engine()?.as_ref() == Some(record) {
            return Ok(false);
        }
        let bytes = serde_json::to_vec_pretty(record).expect("strings make valid JSON");
        self.write(&self.root.join("engine.json"), &bytes, PRIVATE, true)?;
        Ok(true)
    }
}
