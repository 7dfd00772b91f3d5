//! The Sandbox API: what users write ([`spec`]), what they are told ([`status`]), and the only
//! place that reads or writes YAML ([`yaml`]). A leaf: it knows no other module.
//!
//! ```yaml
//! apiVersion: sandkeeper.dev/v1alpha1
//! kind: Sandbox
//! metadata:
//!   name: web
//! spec:
//!   image: example/web:1      # everything else comes from the daemon's defaults
//! ```

pub mod problem;
pub mod schema;
pub mod spec;
pub mod status;
pub mod text;
pub mod yaml;

pub use problem::{Problem, ProblemReason};
pub use spec::*;
pub use status::{ContainerStatus, Endpoint, SandboxStatus, Termination};

/// `apiVersion` of every Sandbox that this version reads and writes.
pub const API_VERSION: &str = "sandkeeper.dev/v1alpha1";
/// `kind` of a Sandbox.
pub const KIND: &str = "Sandbox";
/// Prefix of every label and annotation that is ours.
pub const DOMAIN: &str = "sandkeeper.dev";
/// Annotation (or label) by which a user lets sandkeeper take over a foreign container of the sandbox's name.
pub const ADOPT: &str = "sandkeeper.dev/adopt";
