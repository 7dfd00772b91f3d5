//! Finds the engine and makes sure that it is the one that the state directory speaks of.

use std::time::Duration;

use anyhow::bail;
use tokio_util::sync::CancellationToken;

use super::detect::{self, Connected};
use crate::clock;
use crate::config::Config;
use crate::engine::EngineError;
use crate::plan::conditions;
use crate::state::EngineRecord;
use crate::state::StateDir;
use crate::state::memory::MemoryStore;
use crate::state::status::{self, StatusStore};
use crate::systemd;

/// First wait for an engine that does not answer.
const FIRST_DELAY: Duration = Duration::from_millis(500);
/// Longest wait.
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Connects, however long it takes. `None`: asked to stop meanwhile.
pub(super) async fn wait_for_engine(
    config: &Config,
    state: &StateDir,
    stop: &CancellationToken,
) -> anyhow::Result<Option<Connected>> {
    let mut delay = FIRST_DELAY;
    let mut told = false;
    // Nothing changes it meanwhile.
    let in_use = in_use(state)?;
    loop {
        match detect::find(config, in_use.as_ref()).await {
            Ok(connected) => return Ok(Some(connected)),
            Err(error) => {
                tracing::warn!(%error, retry_in = ?delay, "The engine does not answer; nothing is touched.");
                if !told {
                    told = true;
                    say_unknown(state, &error);
                    // Being up and waiting is a state, not a failure to start.
                    systemd::ready(&format!("waiting for the engine: {error}"));
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => delay = delay.saturating_mul(2).min(LONGEST_DELAY),
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// The engine on record, while it holds containers of ours.
pub(super) fn in_use(state: &StateDir) -> anyhow::Result<Option<EngineRecord>> {
    let record = state.engine()?;
    Ok(match record {
        Some(record) if MemoryStore::load(state)?.manages_containers() => Some(record),
        _ => None,
    })
}

/// Whether what answered is not the engine of the record.
pub(super) fn is_another_engine(before: &EngineRecord, now: &Connected) -> bool {
    (before.kind, &before.engine_id) != (now.engine.kind(), &now.capabilities.engine_id)
}

/// Records the engine in use, if it may be used.
pub(super) fn confirm_same_engine(
    config: &Config,
    state: &StateDir,
    connected: &Connected,
) -> anyhow::Result<()> {
    state.record_engine(&same_engine(config, state, connected)?)?;
    tracing::info!(
        engine = %connected.engine.kind(),
        version = connected.capabilities.version,
        "Connected to the engine."
    );
    Ok(())
}

/// Another engine than the one that runs our containers would look like a host without any, and so would
/// another prefix.
pub(super) fn same_engine(
    config: &Config,
    state: &StateDir,
    connected: &Connected,
) -> anyhow::Result<EngineRecord> {
    let now = EngineRecord {
        kind: connected.engine.kind(),
        engine_id: connected.capabilities.engine_id.clone(),
        prefix: config.container_prefix.clone(),
        address: connected.address.clone(),
    };
    // Memories are read, every one of them, only where there is something to decide.
    if let Some(before) = state.engine()?
        && !before.is_same_as(&now)
        && MemoryStore::load(state)?.manages_containers()
    {
        if before.prefix != now.prefix && !is_another_engine(&before, connected) {
            bail!(
                "containerPrefix is {:?}, and this state directory manages containers named {:?}-…; set it \
                 back, or use a state directory of its own for the new prefix",
                now.prefix,
                before.prefix
            );
        }
        bail!(
            "the engine at this address is {} ({}), and this state directory manages containers on {} \
             ({}); point --engine and --socket at that engine, or add --migrate once to stop the containers \
             there and go on with this one",
            now.kind,
            now.engine_id,
            before.kind,
            before.engine_id,
        );
    }
    Ok(now)
}

/// What earlier runs published is no longer known to be true.
fn say_unknown(state: &StateDir, error: &EngineError) {
    let store = StatusStore::new(state);
    for sandbox in status::read_all(state.path()).unwrap_or_default() {
        let generation = sandbox.metadata.generation.unwrap_or_default();
        let previous = sandbox.status.as_ref();
        let source = previous.and_then(|status| status.source_file.clone()).unwrap_or_default();
        let text = error.to_string();
        let (reason, now) = ("EngineUnavailable", clock::now());
        let unknown = conditions::unknown(previous, generation, &source, reason, &text, now);
        if let Err(error) = store.publish(&sandbox, &unknown) {
            tracing::warn!(%error, "A status could not be published.");
        }
    }
}
