//! Why a step was not carried out, in the classes that a plan tells apart. Pure.

use crate::engine::EngineError;
use crate::plan::{ContainerId, HoldKind, Outcome};

/// Reason when a secret was not read.
pub(super) const SECRET_UNAVAILABLE: &str = "SecretUnavailable";

/// Reason when a container has more than the policy allows.
pub(super) const POLICY_VIOLATION: &str = "PolicyViolation";

/// Why a step was not carried out. Whatever it is, the next thing to do is to observe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The container does not exist any more. Nothing was done: plan again.
    #[error("container {} is gone", .0.short())]
    Gone(ContainerId),
    /// The world is no longer as it was planned for. Nothing was done: plan again.
    #[error("{0}")]
    Changed(String),
    /// A container that is not ours is in the way. It was not touched.
    #[error("container {} ({name}) is not ours", container.short())]
    Foreign {
        /// The container.
        container: ContainerId,
        /// Its name.
        name: String,
    },
    /// The image must be pulled first.
    #[error("{0}")]
    ImageMissing(String),
    /// A host port is taken.
    #[error("{message}")]
    PortBusy {
        /// The port, when the engine's text tells.
        port: Option<u16>,
        /// The engine's words.
        message: String,
    },
    /// It will fail again until the spec (or the engine) changes.
    #[error("{message}")]
    Terminal {
        /// Class.
        reason: &'static str,
        /// The engine's words.
        message: String,
    },
    /// It failed and may succeed later: try again with back-off.
    #[error("{message}")]
    Retry {
        /// Class.
        reason: &'static str,
        /// The engine's words.
        message: String,
    },
    /// It may have taken effect, or may yet.
    #[error("{0}")]
    OutcomeUnknown(String),
    /// The engine does not answer, or not sensibly. Nothing was done.
    #[error("{0}")]
    EngineDown(String),
}

impl StepError {
    /// The class, for conditions, events and the audit line.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Gone(_) => "ContainerGone",
            Self::Changed(_) => "ContainerChanged",
            Self::Foreign { .. } => "NameConflict",
            Self::ImageMissing(_) => "ImageUnavailable",
            Self::PortBusy { .. } => "PortConflict",
            Self::Terminal { reason, .. } | Self::Retry { reason, .. } => reason,
            Self::OutcomeUnknown(_) => "OutcomeUnknown",
            Self::EngineDown(_) => "EngineUnavailable",
        }
    }

    /// What a plan remembers of it. What was not to the point any more, is not known, or is for the next look to
    /// tell (a container that is not ours), is charged to nobody. A missing image and a busy port are the
    /// caller's to settle first: by a pull, by another port.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let kind = match self {
            Self::Gone(_)
            | Self::Changed(_)
            | Self::Foreign { .. }
            | Self::OutcomeUnknown(_)
            | Self::EngineDown(_) => return Outcome::Void,
            Self::ImageMissing(_) => HoldKind::ImageUnavailable,
            Self::PortBusy { .. } => HoldKind::PortConflict,
            Self::Retry { reason: SECRET_UNAVAILABLE, .. } => HoldKind::SecretUnavailable,
            Self::Retry { reason: POLICY_VIOLATION, .. } => HoldKind::PolicyViolation,
            Self::Terminal { .. } | Self::Retry { .. } => HoldKind::StartFailed,
        };
        let terminal = matches!(self, Self::Terminal { .. });
        Outcome::Failed { kind, message: self.to_string(), terminal }
    }

    /// Class of a failed call that was to change something.
    pub(super) fn of_mutation(error: &EngineError) -> Self {
        let message = error.to_string();
        match error {
            EngineError::Unreachable(_) => Self::EngineDown(message),
            // A success that cannot be read is a success all the same.
            EngineError::OutcomeUnknown { .. } | EngineError::Garbled { .. } => {
                Self::OutcomeUnknown(message)
            }
            // It went, was taken or is being removed between the check and the call: the next look tells.
            EngineError::NoSuchContainer(_)
            | EngineError::NameConflict(_)
            | EngineError::Busy(_) => Self::Changed(message),
            EngineError::ImageMissing(_) => Self::ImageMissing(message),
            EngineError::PortBusy { port, .. } => Self::PortBusy { port: *port, message },
            EngineError::WrongPlatform(_) => Self::Terminal { reason: "WrongPlatform", message },
            EngineError::Rejected(_) => Self::Terminal { reason: "Rejected", message },
            // Not for ever: the policy may be another tomorrow, for the same spec.
            EngineError::Forbidden(_) => Self::Retry { reason: POLICY_VIOLATION, message },
            EngineError::Unsupported(_) => Self::Terminal { reason: "Unsupported", message },
            EngineError::NetworkMissing(_) => Self::Retry { reason: "NetworkMissing", message },
            EngineError::Failed { .. } => Self::Retry { reason: "EngineError", message },
        }
    }

    /// Class of a failed call that was only to read. Whatever went wrong, nothing was done and nothing is
    /// known: no spec is to blame for it, and no edit is undone.
    pub(super) fn of_reading(error: &EngineError) -> Self {
        Self::EngineDown(error.to_string())
    }
}
