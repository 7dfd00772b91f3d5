//! Exec probes, and whose turn it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;

use crate::engine::{Engine, EngineError, ExecOutcome};
use crate::plan::ProbeAction;
use crate::sandbox::text::one_line;

use super::{Attempt, ProbeTarget};

/// Held during a command, so that a container has at most one of ours.
pub(super) type SandboxTurn = Arc<Mutex<()>>;

/// Commands in all containers at once: a courtesy to the engine when a daemon starts with many sandboxes.
const AT_ONCE: usize = 8;

/// Whoever has waited so long goes ahead, so that commands that hang delay nobody else's.
const PATIENCE: Duration = Duration::from_secs(2);

/// The engine holds the deadline; should it fail to, the attempt ends so much later.
const GRACE: Duration = Duration::from_secs(1);

/// Time in which an engine that works says so.
const PROOF: Duration = Duration::from_secs(2);

/// Most of a command's output that a message shows, in characters.
const SHOWN: usize = 200;

/// The bound on commands in all containers.
pub(super) struct ExecTurns(Semaphore);

impl Default for ExecTurns {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

/// Runs the probe's command. Waiting for a turn does not count towards the deadline.
pub(super) async fn run(
    engine: &dyn Engine,
    target: &ProbeTarget,
    turns: &ExecTurns,
    sandbox: &SandboxTurn,
) -> Attempt {
    let ProbeAction::Exec { command } = &target.spec.action else {
        return Attempt::Unknown("not a command".to_owned());
    };
    let deadline = target.spec.timeout;
    let _sandbox = sandbox.lock().await;
    let _turn = timeout(PATIENCE, turns.0.acquire()).await;
    let call = engine.exec(&target.container, command, None, deadline);
    match timeout(deadline.saturating_add(GRACE), call).await {
        Ok(Ok(outcome)) => judge(&outcome),
        Ok(Err(EngineError::OutcomeUnknown { .. })) | Err(_) => stalled(engine, deadline).await,
        Ok(Err(error @ (EngineError::Rejected(_) | EngineError::Unsupported(_)))) => {
            Attempt::Failed(error.to_string())
        }
        // An engine that fails says nothing about the container.
        Ok(Err(error)) => Attempt::Unknown(error.to_string()),
    }
}

fn judge(outcome: &ExecOutcome) -> Attempt {
    if outcome.exit_code == 0 {
        return Attempt::Passed;
    }
    let output: String = outcome.output.trim().chars().take(SHOWN).collect();
    let colon = if output.is_empty() { "" } else { ": " };
    let code = outcome.exit_code;
    Attempt::Failed(format!("the command ended with {code}{colon}{}", one_line(&output)))
}

/// A command without an answer is the container's fault only if the engine still answers.
async fn stalled(engine: &dyn Engine, deadline: Duration) -> Attempt {
    match timeout(PROOF, engine.capabilities()).await {
        Ok(Ok(_)) => Attempt::Stalled(format!("the command did not end within {deadline:?}")),
        Ok(Err(error)) => Attempt::Unknown(error.to_string()),
        Err(_) => Attempt::Unknown("the engine does not answer".to_owned()),
    }
}
