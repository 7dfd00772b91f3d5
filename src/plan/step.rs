//! One engine call, decided: what to do, to which container, and why.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::desired::Limits;
use super::observed::ContainerId;

/// Which of a sandbox's three names a container gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Slot {
    /// `{prefix}-{name}`.
    Main,
    /// `{prefix}-{name}.new`, a replacement being brought up.
    Replacement,
    /// `{prefix}-{name}.old`, what it replaces.
    Predecessor,
}

impl Slot {
    /// The suffix after the sandbox's container name. A dot cannot occur in a sandbox's name.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Main => "",
            Self::Replacement => ".new",
            Self::Predecessor => ".old",
        }
    }
}

/// One action. Everything but `Pull` and `Create` names the container it touches by its full id.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Step {
    /// Pull the sandbox's image, in the background.
    Pull,
    /// Create the container under this slot's name.
    Create {
        /// Name to give it.
        slot: Slot,
    },
    /// Start a container that is created or has ended.
    Start {
        /// The container.
        container: ContainerId,
    },
    /// Start the container that an earlier step of this plan created.
    StartCreated,
    /// Unfreeze a paused container.
    Unpause {
        /// The container.
        container: ContainerId,
    },
    /// Stop a container, with the signal and, after the grace, the kill.
    Stop {
        /// The container.
        container: ContainerId,
        /// Time between the signal and the kill.
        grace: Duration,
    },
    /// Rename a container to this slot's name.
    Rename {
        /// The container.
        container: ContainerId,
        /// Name to give it.
        slot: Slot,
    },
    /// Change limits on a running container.
    UpdateLimits {
        /// The container.
        container: ContainerId,
        /// Limits to apply.
        limits: Limits,
    },
    /// Attach the container to its network again.
    ConnectNetwork {
        /// The container.
        container: ContainerId,
    },
    /// Remove a container that does not run. Never its volumes.
    Remove {
        /// The container.
        container: ContainerId,
    },
    /// Bring modes and owners back to what the spec says.
    RepairPermissions {
        /// The container.
        container: ContainerId,
    },
    /// Record a foreign container as ours, as the user asked.
    Adopt {
        /// The container.
        container: ContainerId,
    },
}

impl Step {
    /// Whether a failure of this step means that the sandbox's container cannot come up.
    #[must_use]
    pub fn is_part_of_starting(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Start { .. } | Self::StartCreated)
    }
}

/// A step and why it is taken.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStep {
    /// What.
    pub step: Step,
    /// Why.
    pub cause: Cause,
    /// Fields that differ, where a difference is the cause.
    pub fields: Vec<String>,
}

impl PlannedStep {
    /// A step whose cause is no difference between fields.
    #[must_use]
    pub fn new(step: Step, cause: Cause) -> Self {
        Self { step, cause, fields: Vec::new() }
    }
}

/// `create the container`, `stop 0123456789ab`: what, without why.
impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pull => formatter.write_str("pull the image"),
            Self::Create { slot: Slot::Main } => formatter.write_str("create the container"),
            Self::Create { .. } => formatter.write_str("create the replacement"),
            Self::Start { container } => write!(formatter, "start {}", container.short()),
            Self::StartCreated => formatter.write_str("start the new container"),
            Self::Unpause { container } => write!(formatter, "unpause {}", container.short()),
            Self::Stop { container, .. } => write!(formatter, "stop {}", container.short()),
            Self::Rename { container, slot: Slot::Main } => {
                write!(formatter, "give {} the sandbox's name", container.short())
            }
            Self::Rename { container, .. } => write!(formatter, "set {} aside", container.short()),
            Self::UpdateLimits { container, .. } => {
                write!(formatter, "change the limits of {}", container.short())
            }
            Self::ConnectNetwork { container } => {
                write!(formatter, "attach {} to its network", container.short())
            }
            Self::Remove { container } => write!(formatter, "remove {}", container.short()),
            Self::RepairPermissions { container } => {
                write!(formatter, "repair permissions in {}", container.short())
            }
            Self::Adopt { container } => write!(formatter, "adopt {}", container.short()),
        }
    }
}

/// `stop 0123456789ab: the spec asks for another container (image)`.
impl fmt::Display for PlannedStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.step, self.cause)?;
        if !self.fields.is_empty() {
            write!(formatter, " ({})", self.fields.join(", "))?;
        }
        Ok(())
    }
}

/// Why a step is taken. The text is what `plan`, events and logs show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Cause {
    /// The sandbox has no container.
    Missing,
    /// The container was removed by somebody else.
    Vanished,
    /// The container is there but does not run.
    NotRunning,
    /// The container ended.
    Ended,
    /// The container is paused.
    Paused,
    /// The liveness probe fails.
    Unhealthy,
    /// The spec asks for another container.
    SpecChanged,
    /// The spec asks for other limits, or somebody changed them.
    LimitsDiffer,
    /// The replacement is up.
    ReplacementUp,
    /// The replacement did not come up.
    ReplacementFailed,
    /// A replacement was interrupted.
    Interrupted,
    /// The spec says Suspended.
    Suspended,
    /// The sandbox's life is over.
    Expired,
    /// The spec is gone.
    Withdrawn,
    /// Somebody renamed the container.
    Renamed,
    /// The container lost its network.
    NetworkLost,
    /// Modes or owners differ.
    PermissionsDiffer,
    /// The user asked for it.
    AdoptionAsked,
    /// The image must be there first.
    ImageNeeded,
    /// Something else than what was checked is mounted.
    MountSwapped,
    /// The host port was taken by somebody else; the container needs another.
    PortTaken,
    /// The engine made the container otherwise than asked.
    MadeOtherwise,
}

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Missing => "the sandbox has no container",
            Self::Vanished => "the container was removed by somebody else",
            Self::NotRunning => "the container does not run",
            Self::Ended => "the container ended",
            Self::Paused => "the container is paused",
            Self::Unhealthy => "the liveness probe fails",
            Self::SpecChanged => "the spec asks for another container",
            Self::LimitsDiffer => "the limits differ",
            Self::ReplacementUp => "the replacement is up",
            Self::ReplacementFailed => "the replacement did not come up",
            Self::Interrupted => "a replacement was interrupted",
            Self::Suspended => "the spec says Suspended",
            Self::Expired => "the sandbox's life is over",
            Self::Withdrawn => "the spec is gone",
            Self::Renamed => "somebody renamed the container",
            Self::NetworkLost => "the container lost its network",
            Self::PermissionsDiffer => "modes or owners differ",
            Self::AdoptionAsked => "the spec asks to adopt it",
            Self::ImageNeeded => "the image must be pulled first",
            Self::MountSwapped => "something else than what was checked is mounted",
            Self::MadeOtherwise => "the engine made the container otherwise than asked",
            Self::PortTaken => "its host port is taken",
        })
    }
}
