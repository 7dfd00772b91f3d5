//! From one engine to another, on request: what runs on the old one is stopped before anything is made on
//! the new one, so that no sandbox ever runs on both. Nothing is removed: whoever goes back finds it.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::detect;
use crate::config::Config;
use crate::controller::observe::Observer;
use crate::engine::{Engine, Feature};
use crate::plan::desired::DEFAULT_GRACE_SECONDS;
use crate::plan::ownership::{Identity, Owner};
use crate::plan::{ContainerId, ContainerState};
use crate::state::EngineRecord;
use crate::state::memory::MemoryStore;

/// Stops our containers on the engine of before, and forgets which they were.
///
/// # Errors
/// That engine does not answer, is another one by now, or does not stop a container. Then nothing may be
/// made elsewhere.
pub(super) async fn leave(
    before: &EngineRecord,
    identity: &Identity,
    memory: &MemoryStore,
    config: &Config,
) -> anyhow::Result<()> {
    let old = detect::on_record(before, config).await.with_context(|| {
        format!(
            "the containers on {} ({}) cannot be stopped, and are not left running beside new ones: start \
             that engine for the time of the migration",
            before.kind, before.engine_id
        )
    })?;
    if old.capabilities.engine_id != before.engine_id {
        bail!(
            "at {} answers another {} ({}) than the one that runs the containers ({}); nothing is migrated",
            old.address,
            before.kind,
            old.capabilities.engine_id,
            before.engine_id
        );
    }
    let observer = Observer::new(old.engine.clone(), identity.clone(), Duration::ZERO)
        .of_fixed_names(!old.capabilities.has(Feature::Rename));
    let owned = observer.owned().await.context("the old engine does not list its containers")?;
    let mut ids: BTreeSet<ContainerId> = owned.into_iter().map(|container| container.id).collect();
    let adopted = memory.adopted();
    ids.extend(adopted.iter().cloned());
    for id in &ids {
        stop(&*old.engine, identity, &adopted, id).await?;
    }
    memory.leave_engine().context("the old containers cannot be forgotten")?;
    tracing::info!(from = %before.kind, containers = ids.len(), "Left the old engine; its containers are stopped and kept.");
    Ok(())
}

/// Stops one, if by a last look it is still ours and runs.
async fn stop(
    engine: &dyn Engine,
    identity: &Identity,
    adopted: &BTreeSet<ContainerId>,
    id: &ContainerId,
) -> anyhow::Result<()> {
    let Some(found) = engine.inspect(id).await? else { return Ok(()) };
    let ours = adopted.contains(id)
        || matches!(identity.owner(&found.name, &found.labels), Owner::Ours { .. });
    if !ours || !may_run(found.state) {
        return Ok(());
    }
    let grace = Duration::from_secs(DEFAULT_GRACE_SECONDS.into());
    let stopped = engine.stop(id, grace).await;
    let after = engine.inspect(id).await?;
    if let Some(after) = after.filter(|after| may_run(after.state)) {
        stopped?;
        bail!("{} is {} after it was stopped; nothing is migrated", after.name, after.state);
    }
    tracing::info!(container = found.name, id = id.short(), "Stopped, to leave its engine.");
    Ok(())
}

const fn may_run(state: ContainerState) -> bool {
    !matches!(state, ContainerState::Created | ContainerState::Exited | ContainerState::Dead)
}
