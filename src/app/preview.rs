//! `sandkeeper plan`: what a daemon would do now. Has no handle that could change anything.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::connect;
use super::detect::{self, Connected};
use crate::clock;
use crate::config::Config;
use crate::controller::facts::{self, Glance};
use crate::controller::host::SecretDigests;
use crate::controller::observe::{Inventory, Observer};
use crate::controller::sweep::{Stray, Strays};
use crate::engine::Feature;
use crate::plan::ownership::Identity;
use crate::plan::{
    Desired, Facts, Fingerprint, Hold, HoldKind, Inputs, Plan, Slot, Wanted, Wish, admit, outcome,
};
use crate::ports::PortBook;
use crate::sandbox::{Problem, ProblemReason, Sandbox};
use crate::source::{self, Declared, FileReport, Source};
use crate::state::memory::MemoryStore;
use crate::state::{StateDir, status};

/// What a daemon would do now.
#[derive(Clone, Debug, Default)]
pub struct PlanReport {
    /// Every sandbox, with what would be done for it.
    pub sandboxes: Vec<PlannedSandbox>,
    /// Files with problems.
    pub files: Vec<FileReport>,
    /// Containers that are not ours and hold a name that a sandbox of ours could need.
    pub foreign: Vec<String>,
}

/// What would be done for one sandbox.
#[derive(Clone, Debug, Default)]
pub struct PlannedSandbox {
    /// Its name.
    pub name: String,
    /// Name of its container.
    pub container: String,
    /// File that declares it.
    pub source: String,
    /// What would be done.
    pub plan: Plan,
    /// What else to know.
    pub notes: Vec<String>,
}

/// Looks at directories, state and engine, and plans. Changes nothing.
///
/// # Errors
/// What keeps it from looking: the state directory, the directories, the engine.
pub async fn plan(config: &Config) -> anyhow::Result<PlanReport> {
    let state = StateDir::read_only(&config.state)?;
    // Without an identity nothing can be ours yet.
    let identity = state.existing_identity(&config.container_prefix)?;
    let identity = identity.unwrap_or_else(|| Identity::unknown(&config.container_prefix));
    let connected = detect::find(config, connect::in_use(&state)?.as_ref()).await?;
    connect::same_engine(config, &state, &connected)?;
    let Connected { engine, capabilities, address } = connected;
    let mut config = config.clone();
    if !capabilities.has(Feature::PidsLimit) {
        config.policy = config.policy.without_pids();
    }
    let config = &config;
    let observer = Observer::new(engine.clone(), identity.clone(), config.resync)
        .of_fixed_names(!capabilities.has(Feature::Rename));
    let inventory = observer.inventory().await?;
    let uids: BTreeMap<String, String> =
        inventory.owned.iter().map(|owned| (owned.sandbox.clone(), owned.uid.clone())).collect();
    let options = source::Options {
        dirs: config.specs.clone(),
        state: state.path().to_owned(),
        resync: config.resync,
        delete_guard: config.delete_guard,
        max_sandboxes: config.policy.max_sandboxes,
        reader: super::reader(config),
        rescan: Arc::default(),
        uids,
    };
    let found = Source::open(options)?.preview(clock::now());
    let memory = MemoryStore::load(&state)?;
    let ports = PortBook::new(config.ports.clone(), memory.all_ports());
    let mount_rules = Arc::new(super::mount_rules(config, &capabilities, &address));
    let secrets = Arc::new(SecretDigests::new(identity.key.clone(), Arc::clone(&mount_rules)));
    let glance = Glance {
        engine: &engine,
        capabilities: &capabilities,
        ids: &super::ids(&capabilities),
        ports: &ports,
        secrets: &secrets,
        mount_rules: &mount_rules,
    };
    let preview =
        Preview { config, identity: &identity, observer: &observer, memory: &memory, glance };
    let mut sandboxes = Vec::new();
    let strays = strays(&inventory, &found, config.delete_guard);
    for declared in found.declared.iter().chain(&found.withdrawn).chain(&strays) {
        let published = status::read_one(state.path(), declared.name())?;
        sandboxes.push(preview.sandbox(declared, published.as_ref()).await?);
    }
    sandboxes.sort_by(|a, b| a.name.cmp(&b.name));
    let files = found.reports.files.into_iter().filter(|file| !file.problems.is_empty()).collect();
    let foreign = inventory.foreign.into_iter().filter(|foreign| !memory.has_adopted(&foreign.id));
    let foreign = foreign.map(|foreign| foreign.name).collect();
    Ok(PlanReport { sandboxes, files, foreign })
}

/// Tombstones of what the daemon's sweep would remove.
fn strays(inventory: &Inventory, found: &source::Preview, guard: usize) -> Vec<Declared> {
    let all = found.declared.iter().chain(&found.withdrawn);
    let known = all.map(|declared| declared.name().to_owned()).collect();
    let (reports, now) = (&found.reports, clock::now());
    let verdict =
        Strays::default().judge(&inventory.owned, &known, reports, guard, Duration::ZERO, now);
    let tombstone = |stray: Stray| Declared::stray(stray.sandbox, stray.uid, now);
    verdict.condemned.into_iter().map(tombstone).collect()
}

struct Preview<'a> {
    config: &'a Config,
    identity: &'a Identity,
    observer: &'a Observer,
    memory: &'a MemoryStore,
    glance: Glance<'a>,
}

impl Preview<'_> {
    async fn sandbox(
        &self,
        declared: &Declared,
        published: Option<&Sandbox>,
    ) -> anyhow::Result<PlannedSandbox> {
        let mut notes = declared.notices.clone();
        notes.extend(declared.stale.as_ref().map(|stale| stale.message.clone()));
        let plan = if declared.is_tombstone() {
            notes.push("no file declares it; it is removed once that is confirmed".to_owned());
            self.withdrawn(declared).await?
        } else if let Some(excess) = &declared.excess {
            let hold = Some(Hold::new(HoldKind::QuotaExceeded, excess.as_str()));
            Plan { hold, ..Plan::default() }
        } else {
            let settings = self.config.settings();
            match admit(&declared.sandbox, &settings, declared.base()) {
                Ok(validated) => self.declared(&validated.desired, published).await?,
                Err(problems) => refused(&problems),
            }
        };
        Ok(PlannedSandbox {
            name: declared.name().to_owned(),
            container: self.identity.container_name(declared.name(), Slot::Main),
            source: declared.provenance.to_string(),
            plan,
            notes,
        })
    }

    async fn withdrawn(&self, declared: &Declared) -> anyhow::Result<Plan> {
        let memory = self.memory.get(declared.name(), declared.uid());
        let observed = self.observer.observe(declared.name(), &memory, declared.uid()).await?;
        Ok(crate::plan::plan(&Inputs {
            wish: Wish::Withdrawn { grace: Duration::ZERO },
            observed: &observed,
            facts: &Facts::default(),
            memory: &memory,
            now: clock::now(),
        }))
    }

    async fn declared(
        &self,
        desired: &Desired,
        published: Option<&Sandbox>,
    ) -> anyhow::Result<Plan> {
        let name = desired.name.as_str();
        let memory = self.memory.get(name, &desired.uid);
        let observed = self.observer.observe(name, &memory, &desired.uid).await?;
        let now = clock::now();
        let status = published.and_then(|sandbox| sandbox.status.as_ref());
        let mut facts = facts::glance(&self.glance, desired, &observed, &memory, status, now).await;
        let fingerprint = Fingerprint::of(&desired.container, &facts.secret_digests);
        let wish = Wish::Declared(Wanted { desired, fingerprint: &fingerprint });
        let inputs = Inputs { wish, observed: &observed, facts: &facts, memory: &memory, now };
        let memory = outcome::after_observing(&inputs);
        let planned = crate::plan::plan(&Inputs { memory: &memory, ..inputs });
        let (policy, rules) = (&self.config.policy, self.glance.mount_rules);
        let wanted = Wanted { desired, fingerprint: &fingerprint };
        if planned.adopts().is_some() {
            facts.unadoptable =
                facts::unadoptable(self.observer, observed.foreign.as_ref(), name, policy, rules)
                    .await?;
        } else if let Some(beyond) = planned.beyond(wanted, &observed, policy) {
            facts.unstartable.push(beyond);
        } else {
            let mounts = planned.mounts_needed(desired, &observed);
            if mounts.is_empty() {
                return Ok(planned);
            }
            let looked = facts::look_at_mounts(mounts, rules).await;
            planned.blocked_by(looked.blockers, &mut facts);
        }
        Ok(crate::plan::plan(&Inputs {
            wish,
            observed: &observed,
            facts: &facts,
            memory: &memory,
            now,
        }))
    }
}

fn refused(problems: &[Problem]) -> Plan {
    let text: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let of_policy = |problem: &Problem| problem.reason == ProblemReason::PolicyViolation;
    let beyond = problems.iter().all(of_policy);
    let kind = if beyond { HoldKind::PolicyViolation } else { HoldKind::FieldRefused };
    Plan { hold: Some(Hold::new(kind, text.join("; "))), ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::observe::OwnedSummary;
    use crate::plan::testing::at;
    use crate::plan::{ContainerId, ContainerState};
    use crate::source::Reports;

    #[test]
    fn a_container_that_no_file_declares_is_planned_to_go_if_everything_was_read() {
        let owned = OwnedSummary {
            sandbox: "web".to_owned(),
            uid: "uid".to_owned(),
            slot: Slot::Main,
            id: ContainerId("main".to_owned()),
            state: ContainerState::Running,
        };
        let inventory = Inventory { owned: vec![owned], foreign: Vec::new() };
        let found = |complete, withdrawn| source::Preview {
            declared: Vec::new(),
            withdrawn,
            reports: Reports { complete, ..Reports::default() },
        };
        let names = |found| -> Vec<String> {
            let strays = strays(&inventory, &found, 10);
            strays.iter().map(|stray| stray.name().to_owned()).collect()
        };
        assert_eq!(names(found(true, Vec::new())), ["web"]);
        assert_eq!(names(found(false, Vec::new())), [""; 0]);
        let withdrawn = Declared::stray("web".to_owned(), "uid".to_owned(), at(0));
        assert_eq!(names(found(true, vec![withdrawn])), [""; 0], "it is planned already");
    }
}
