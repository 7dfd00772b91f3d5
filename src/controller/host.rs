//! What the host's files say to the plan: whether mounts can be made, and what secret files hold.
//!
//! Owns every touch of a user's file on the host. It does not judge which paths a spec may name: that is
//! the policy's. Everything here blocks; async callers go through [`blocking()`].

mod blocking;
mod mount_table;
mod mounts;
pub(in crate::controller) mod object;
mod secrets;
mod sources;

pub use blocking::{Overdue, blocking};
pub use mount_table::mount_tables;
pub use mounts::{Looked, look_at_mounts, prepare_mounts};
pub use secrets::SecretDigests;
pub use sources::{MountRules, OwnPaths, identities};
