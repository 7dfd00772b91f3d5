//! Durations as people write them: `45s`, `5m`, `1h30m`.

use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

/// A duration written as numbers with units: `ms`, `s`, `m`, `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

/// What a [`HumanDuration`] looks like; also in the JSON schema.
const PATTERN: &str = "^([0-9]+(ms|s|m|h))+$";

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || "write a duration as 45s, 5m or 1h30m (units ms, s, m, h)".to_owned();
        // jiff reads more (signs, words, ISO 8601, days); only this much is promised.
        let allowed = |c: char| c.is_ascii_digit() || matches!(c, 'h' | 'm' | 's');
        if !text.chars().all(allowed) {
            return Err(refused());
        }
        let signed: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
        Duration::try_from(signed).map(Self).map_err(|_| refused())
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": PATTERN })
    }
}
