//! What a container that exists is let do, by what its engine says of it, and whether that is below the
//! ceiling.

use super::{Grant, Policy, Violation, judge, list, network};
use crate::plan::decide::Wanted;
use crate::plan::desired::{Desired, Limits, NetworkChoice, Security};
use crate::plan::observed::{Blocker, BlockerKind, Container};
use crate::sandbox::text::{shown, shown_path};

use super::grant::SeccompGrant;

/// What a container is let do, read strictly from what an engine says: what widens it and has no place
/// here is in `beyond`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Isolation {
    /// What the policy speaks of.
    pub grant: Grant,
    /// Number of its user's group; `None`: not told.
    pub group: Option<u32>,
    /// Whether its own files cannot be written; `None`: not told.
    pub read_only_root: Option<bool>,
    /// Networks that it is attached to besides the one that it was made for.
    pub further_networks: Vec<String>,
    /// What no sandbox can have, whatever the policy says: each field with its value.
    pub beyond: Vec<String>,
    /// What no sandbox asks for, and that widens nothing.
    pub unasked: Vec<String>,
    /// What is set and unknown to us. Of a container that we made it is its engine's own.
    pub unknown: Vec<String>,
    /// Whether the engine tells of its privileges at all.
    pub told: bool,
}

impl Isolation {
    /// Nothing but a grant.
    #[must_use]
    pub fn of_grant(grant: Grant) -> Self {
        Self {
            grant,
            group: None,
            read_only_root: None,
            further_networks: Vec::new(),
            beyond: Vec::new(),
            unasked: Vec::new(),
            unknown: Vec::new(),
            told: true,
        }
    }

    /// What is asked for by this grant with these privileges.
    #[must_use]
    pub fn asked(grant: Grant, security: &Security) -> Self {
        Self {
            group: security.run_as_group,
            read_only_root: Some(security.read_only_root),
            ..Self::of_grant(grant)
        }
    }

    /// What a spec asks for.
    #[must_use]
    pub fn of(desired: &Desired) -> Self {
        Self::asked(Grant::of(desired), &desired.container.security)
    }

    /// What `found` has that this, which was asked for, has not. Image, ports and limits are compared
    /// elsewhere; what the request leaves to the engine, its runtime and the size of `/dev/shm`, is its.
    #[must_use]
    pub fn widened(&self, found: &Self) -> Vec<String> {
        let (asked, made) = (&self.grant, &found.grant);
        let mut wider = found.beyond.clone();
        wider.extend(found.unasked.iter().cloned());
        if made.network != asked.network {
            wider.push(format!("network: {}", network_text(&made.network)));
        }
        let known = |mount| asked.mounts.contains(mount);
        wider.extend(made.mounts.iter().filter(|mount| !known(mount)).map(|mount| {
            let access = if mount.read_only { "read-only" } else { "writable" };
            format!("mounts: {} ({access})", shown_path(&mount.path))
        }));
        if !found.told {
            return wider;
        }
        let mut check = |holds: bool, field: &str, value: String| {
            if !holds {
                wider.push(format!("{field}: {value}"));
            }
        };
        check(asked.privileged || !made.privileged, "privileged", "true".to_owned());
        check(
            asked.escalation || !made.escalation || made.privileged,
            "allowPrivilegeEscalation",
            "true".to_owned(),
        );
        let more = made.capabilities.difference(&asked.capabilities).cloned().collect::<Vec<_>>();
        let all = asked.privileged || asked.capabilities.contains(super::ALL);
        check(all || more.is_empty(), "capabilities", more.join(", "));
        check(asked.privileged || fits(&asked.seccomp, &made.seccomp), "seccompProfile", {
            seccomp_text(&made.seccomp)
        });
        let user = |user: Option<u32>| user.map_or("the image's".to_owned(), |it| it.to_string());
        check(asked.user.is_none() || made.user == asked.user, "runAsUser", user(made.user));
        check(self.group.is_none() || found.group == self.group, "runAsGroup", user(found.group));
        let writable = self.read_only_root == Some(true) && found.read_only_root != Some(true);
        check(!writable, "readOnlyRootFilesystem", "false".to_owned());
        let runtime = || made.runtime.clone().unwrap_or("the default one".to_owned());
        let same = asked.runtime.is_none() || made.runtime == asked.runtime;
        check(same, "runtimeClassName", runtime());
        let size = made.shared_memory;
        let same = asked.shared_memory.is_none() || size == asked.shared_memory;
        check(same, "sharedMemory", size.map_or("not set".to_owned(), |size| size.to_string()));
        wider
    }

    /// What it has and the policy does not allow to one that is to be taken over. Its limits are left out:
    /// they are the first thing that is brought to what the spec says.
    #[must_use]
    pub fn against_adoption(&self, policy: &Policy) -> Vec<String> {
        let limits = policy.limits.of_a_running_container;
        let mut found = texts(&judge(&Grant { limits, ..self.grant.clone() }, policy));
        let further = self.further_networks.iter().filter_map(|name| {
            let further = NetworkChoice::Named(name.clone());
            network(&Grant { network: further, ..self.grant.clone() }, policy)
        });
        found.extend(further.map(|violation| violation.to_string()));
        let never = self.beyond.iter().chain(&self.unknown);
        found.extend(never.map(|it| format!("{it}, which no sandbox can have")));
        found
    }

    /// What it has and the policy does not allow to one of ours that is to be started. `wanted` passed the
    /// policy: the image and the runtime of what was made from it are not judged once more by the names that
    /// an engine gives them.
    fn against_start(&self, own: &Container, wanted: Wanted<'_>, policy: &Policy) -> Vec<String> {
        let mut grant = self.grant.clone();
        let made_from = own.fingerprint.as_ref().map(|it| &it.spec_hash);
        if made_from == Some(&wanted.fingerprint.spec_hash) {
            (grant.image, grant.runtime) = (None, None);
        }
        let mut found = texts(&judge(&grant, policy));
        // What is unknown is the engine's doing in one that we made, and its maker's in another.
        let unknown = self.unknown.iter().filter(|_| own.fingerprint.is_none());
        let never = self.beyond.iter().chain(unknown);
        found.extend(never.map(|it| format!("{it}, which no sandbox can have")));
        found
    }
}

impl Default for Isolation {
    /// That of a container without any privilege.
    fn default() -> Self {
        let seccomp = SeccompGrant::EngineDefault;
        Self::of_grant(Grant {
            image: None,
            privileged: false,
            capabilities: [].into(),
            escalation: false,
            seccomp,
            user: None,
            mounts: Vec::new(),
            ports: Vec::new(),
            network: NetworkChoice::Bridge,
            runtime: None,
            limits: Limits::default(),
            shared_memory: None,
        })
    }
}

/// What stands in the way of starting this container of ours: that it has more than the policy allows.
#[must_use]
pub fn forbids_start(own: &Container, wanted: Wanted<'_>, policy: &Policy) -> Option<Blocker> {
    let found = own.isolation.against_start(own, wanted, policy);
    blocker(&own.name, own.id.short(), "is not started", &found)
}

/// What stands in the way of taking this container over: that it has more than the policy allows.
#[must_use]
pub fn forbids_adoption(
    (name, short_id): (&str, &str),
    isolation: &Isolation,
    policy: &Policy,
) -> Option<Blocker> {
    blocker(name, short_id, "is not taken over", &isolation.against_adoption(policy))
}

fn blocker(name: &str, short_id: &str, what: &str, found: &[String]) -> Option<Blocker> {
    let message = || format!("container {name} ({short_id}) {what}: {}", found.join("; "));
    let kind = BlockerKind::PolicyViolation;
    (!found.is_empty()).then(|| Blocker { kind, message: message() })
}

fn texts(violations: &[Violation]) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

/// The engine's own profile is the narrowest. Which one another is, only the one who asks can tell.
fn fits(asked: &SeccompGrant, made: &SeccompGrant) -> bool {
    match (asked, made) {
        (_, SeccompGrant::EngineDefault)
        | (SeccompGrant::Unconfined, _)
        | (SeccompGrant::Profile(_), SeccompGrant::Profile(_)) => true,
        (SeccompGrant::EngineDefault | SeccompGrant::Profile(_), _) => false,
    }
}

fn seccomp_text(seccomp: &SeccompGrant) -> String {
    match seccomp {
        SeccompGrant::EngineDefault => "RuntimeDefault".to_owned(),
        SeccompGrant::Unconfined => "Unconfined".to_owned(),
        SeccompGrant::Profile(path) => list(path.iter().map(|path| shown_path(path))),
    }
}

fn network_text(network: &NetworkChoice) -> String {
    match network {
        NetworkChoice::Bridge => "Bridge".to_owned(),
        NetworkChoice::None => "None".to_owned(),
        NetworkChoice::Named(name) => shown(name),
    }
}

#[cfg(test)]
mod tests;
