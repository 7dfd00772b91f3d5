//! What the daemon has published of one sandbox.

use serde_json::Value;

/// One `<state>/status/<name>.yaml`.
#[derive(Clone, Debug)]
pub(crate) struct Status(Value);

/// One condition of a status.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Condition {
    pub(crate) status: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Status {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_yaml::from_str(text).map(Self).map_err(|error| error.to_string())
    }

    /// A condition; empty when it is not set.
    pub(crate) fn condition(&self, type_: &str) -> Condition {
        let conditions = self.0.pointer("/status/conditions").and_then(Value::as_array);
        let found = conditions.into_iter().flatten().find(|one| one["type"] == type_);
        let text =
            |key: &str| found.and_then(|one| one[key].as_str()).unwrap_or_default().to_owned();
        Condition { status: text("status"), reason: text("reason"), message: text("message") }
    }

    /// The value at a JSON pointer under `status`, as text; empty when there is none.
    pub(crate) fn text(&self, pointer: &str) -> String {
        match self.at(pointer) {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// The value at a JSON pointer under `status`.
    pub(crate) fn at(&self, pointer: &str) -> Value {
        self.0.pointer(&format!("/status{pointer}")).cloned().unwrap_or_default()
    }

    /// Host port of the first endpoint.
    pub(crate) fn host_port(&self) -> u16 {
        let port = self.at("/endpoints/0/hostPort").as_u64();
        let port = port.and_then(|port| u16::try_from(port).ok());
        port.unwrap_or_else(|| panic!("the status has no endpoint: {self:?}"))
    }

    /// A field of the spec that it speaks of.
    pub(crate) fn spec(&self, pointer: &str) -> Value {
        self.0["spec"].pointer(pointer).cloned().unwrap_or_default()
    }

    /// Whether the status speaks of the spec as it was last accepted.
    pub(crate) fn is_current(&self) -> bool {
        self.at("/observedGeneration") == self.0["metadata"]["generation"]
    }
}
