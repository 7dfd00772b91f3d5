//! The `status` of a Sandbox: what was observed after acting, in Kubernetes' condition shape.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was observed of a sandbox. There is no phase: read the conditions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SandboxStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, Ready, UpToDate, PermissionsApplied, Suspended and Finished.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Where the published ports can be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// The container that serves the sandbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerStatus>,
    /// File that declares the sandbox; `#2` names its second document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_file: Option<String>,
    /// What a user should know and no condition says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

impl SandboxStatus {
    /// The condition of this type, if it is set.
    #[must_use]
    pub fn condition(&self, type_: &str) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.type_ == type_)
    }
}

/// One published port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Name of the port.
    pub name: String,
    /// Port inside the container.
    pub container_port: u16,
    /// TCP or UDP.
    pub protocol: super::Protocol,
    /// Address bound on the host.
    #[serde(rename = "hostIP")]
    pub host_ip: String,
    /// Port on the host.
    pub host_port: u16,
    /// URL under the advertised host; absent for UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The container that serves a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// Engine that runs it.
    pub engine: String,
    /// Its name on the engine.
    pub name: String,
    /// Its full id.
    pub id: String,
    /// Its state in the engine's words: created, running, paused, exited and so on.
    pub state: String,
    /// Image it was made from, as written.
    pub image: String,
    /// Image it was made from, by content.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// When it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// How often sandkeeper has restarted or replaced it because it was found down.
    #[serde(default)]
    pub restart_count: u32,
    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_termination: Option<Termination>,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Termination {
    /// Exit code; absent when the engine did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Completed, Error, OOMKilled or Removed.
    pub reason: String,
    /// Whether the kernel killed it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// When it ended, or was found to have ended.
    pub at: Time,
}
