//! Modes and owners that must hold inside a sandbox: looked at, and brought back when they drift.
//!
//! A rule under a bind mount is held on the host's side of it, by descriptor, beneath the mount's host
//! path and across no link ([`tree`]). Every other rule is held by a command in the container
//! ([`inside`]), and so is one under a mount whose owner this daemon cannot give on the host ([`Ids`]). Special bits are never set, and what is right already is not touched.
//!
//! A rule on a read-only mount is looked at like any other, but never mended: read-only says that the
//! host's files are not this sandbox's to change. When it does not hold, the user is told so.
//!
//! A recursive rule holds for directories and for files with a single name, and does not enter other
//! mounts. Links, devices, sockets and pipes below it are left alone. In a container only the rule's own
//! path is looked at, for want of a way to look at everything below in one command.

mod findings;
mod inside;
mod rules;
mod tree;

use std::time::Duration;

use crate::engine::Engine;
use crate::plan::{BindMount, ContainerId, Ids, Permission, PermissionView};

use super::host::blocking;
use super::host::object::Handle;
use findings::Findings;
use rules::HostRule;
use tree::{Act, Budget};

/// Time to look at everything on the host.
const LOOK: Duration = Duration::from_secs(10);

/// Time to mend everything on the host.
const MEND: Duration = Duration::from_mins(1);

/// Added for a walk to notice that its time is over.
const GRACE: Duration = Duration::from_secs(1);

/// What could not be brought back, and what was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.join("; "))]
pub struct PermissionError {
    /// What was changed all the same, for people.
    pub changed: Vec<String>,
    /// What could not be, each with the reason and what to do.
    pub problems: Vec<String>,
}

/// Whether the rules hold in a running container. What can be mended is [`PermissionView::Drifted`], also
/// beside problems; [`PermissionView::Failed`] is left when nothing but problems is.
pub async fn check(
    engine: &dyn Engine,
    container: &ContainerId,
    rules: &[Permission],
    mounts: &[BindMount],
    ids: &Ids,
) -> PermissionView {
    if rules.is_empty() {
        return PermissionView::NotChecked;
    }
    let (on_host, in_container) = rules::split(rules, mounts, ids);
    let mut findings = on_the_host(on_host, ids, Act::Look, LOOK).await;
    inside::look(engine, container, &in_container, &mut findings).await;
    findings.view()
}

/// Brings back what does not hold in a running container. Returns what was changed, for people.
pub async fn repair(
    engine: &dyn Engine,
    container: &ContainerId,
    rules: &[Permission],
    mounts: &[BindMount],
    ids: &Ids,
) -> Result<Vec<String>, PermissionError> {
    let (on_host, in_container) = rules::split(rules, mounts, ids);
    let mut findings = on_the_host(on_host, ids, Act::Mend, MEND).await;
    inside::mend(engine, container, &in_container, &mut findings).await;
    findings.outcome()
}

async fn on_the_host(rules: Vec<HostRule>, ids: &Ids, act: Act, time: Duration) -> Findings {
    if rules.is_empty() {
        return Findings::default();
    }
    let ids = ids.clone();
    let walk = move || {
        let mut findings = Findings::default();
        let mut budget = Budget::new(time);
        for rule in &rules {
            tree::hold::<Handle>(rule, &ids, act, &mut budget, &mut findings);
        }
        findings
    };
    blocking(time + GRACE, walk).await.unwrap_or_else(|overdue| {
        let mut findings = Findings::default();
        findings.problem(&overdue.to_string());
        findings
    })
}

#[cfg(test)]
mod tests;
