//! Facts → [`SandboxStatus`]. Called after acting, with what was observed then and what is still planned
//! then, so an intention cannot pass for a fact.

use std::net::{IpAddr, Ipv6Addr};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::decide::{Hold, HoldKind, Inputs, Plan, Wanted, Wish};
use super::desired::Desired;
use super::memory::Finished;
use super::observed::{Binding, Container, ContainerState, PermissionView, ProbeView};
use crate::sandbox::{ContainerStatus, Endpoint, OperatingMode, Protocol, SandboxStatus};

/// Every condition type, in the order in which they are shown.
pub const TYPES: [&str; 6] =
    ["Accepted", "Ready", "UpToDate", "PermissionsApplied", "Suspended", "Finished"];

/// Every reason that a condition can carry. Reasons are API: add, never rename. The README explains each.
pub const REASONS: &[&str] = &[
    "Accepted",
    "Conflict",
    "ContainerEnded",
    "ContainerFailed",
    "ContainerMissing",
    "ContainerPaused",
    "ContainerReady",
    "ContainerStarting",
    "ContainerStopped",
    "ContainerStopping",
    "ContainerSucceeded",
    "CrashLoopBackOff",
    "EngineBusy",
    "EngineUnavailable",
    "FieldRefused",
    "ImageUnavailable",
    "InternalError",
    "MountRefused",
    "MountSwapped",
    "MountUnavailable",
    "NameConflict",
    "NotChecked",
    "NotConverging",
    "NotSuspended",
    "PermissionsDrifted",
    "PermissionsFailed",
    "PermissionsHold",
    "PolicyViolation",
    "PortConflict",
    "ProbeFailing",
    "PruneHeld",
    "Pulling",
    "QuotaExceeded",
    "RestartRequired",
    "SandboxExpired",
    "SandboxSuspended",
    "SecretUnavailable",
    "SpecInvalid",
    "SpecUnreadable",
    "StartFailed",
    "UpToDate",
    "UpdateFailed",
    "UpdatePending",
];

/// What the source and the configuration add to a status.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Engine that runs the container.
    pub engine: &'a str,
    /// Host under which URLs name the ports.
    pub advertise: &'a str,
    /// Address that ports bind to by default.
    pub bind: IpAddr,
    /// File that declares the sandbox.
    pub source: &'a str,
    /// Why the accepted spec is not what the file says now: reason and message.
    pub stale: Option<(&'a str, &'a str)>,
    /// Notices of the validation.
    pub notices: &'a [String],
    /// Set when acting again and again changed nothing.
    pub not_converging: Option<&'a str>,
    /// The status that was published before, for the transition times.
    pub previous: Option<&'a SandboxStatus>,
}

/// The status of a declared sandbox: `inputs` as observed after acting, `rest` as planned from them.
#[must_use]
pub fn status(inputs: &Inputs<'_>, rest: &Plan, context: &Context<'_>) -> SandboxStatus {
    let Wish::Declared(wanted) = inputs.wish else { return SandboxStatus::default() };
    let view = View { inputs, wanted, rest, context };
    let mut conditions = vec![view.accepted(), view.ready(), view.up_to_date()];
    conditions.extend(view.permissions_applied());
    conditions.push(view.suspended());
    conditions.extend(view.finished());
    let generation = wanted.desired.generation;
    SandboxStatus {
        observed_generation: Some(generation),
        conditions: stamp(conditions, context.previous, generation, inputs.now),
        endpoints: view.endpoints(),
        container: view.shown().map(|container| view.container(container)),
        source_file: Some(context.source.to_owned()),
        notices: context.notices.to_vec(),
    }
}

/// The status while nobody can say (the engine does not answer, or we failed): what was last seen, with
/// every claim about the present turned to Unknown.
#[must_use]
pub fn unknown(
    previous: Option<&SandboxStatus>,
    generation: i64,
    source: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) -> SandboxStatus {
    let claims = unknown_claims(previous, reason, message);
    as_last_seen(previous, claims, generation, source, now)
}

/// What was last claimed, as far as it does not speak of the present.
fn unknown_claims(previous: Option<&SandboxStatus>, reason: &str, message: &str) -> Vec<Claim> {
    let mut claims = vec![Claim::unknown("Ready", reason, message)];
    for condition in previous.map_or(&[][..], |status| &status.conditions) {
        match condition.type_.as_str() {
            "Accepted" | "Finished" => claims.push(Claim::repeat(condition)),
            "PermissionsApplied" | "Suspended" => {
                claims.push(Claim::unknown(&condition.type_, reason, message));
            }
            "UpToDate" if condition.status == "False" => claims.push(Claim::repeat(condition)),
            "UpToDate" => claims.push(Claim::unknown("UpToDate", reason, message)),
            _ => {}
        }
    }
    claims
}

fn as_last_seen(
    previous: Option<&SandboxStatus>,
    mut claims: Vec<Claim>,
    generation: i64,
    source: &str,
    now: Timestamp,
) -> SandboxStatus {
    claims.sort_by_key(|claim| TYPES.iter().position(|type_| *type_ == claim.type_));
    SandboxStatus {
        conditions: stamp(claims, previous, generation, now),
        source_file: Some(source.to_owned()),
        ..previous.cloned().unwrap_or_default()
    }
}

/// The status of a sandbox whose accepted spec the daemon's present configuration refuses. What was last
/// seen of its container stays; it is not looked after, so nothing is claimed of its present.
#[must_use]
pub fn refused(
    previous: Option<&SandboxStatus>,
    generation: i64,
    source: &str,
    reason: &str,
    why: &str,
    now: Timestamp,
) -> SandboxStatus {
    let mut claims = unknown_claims(previous, reason, why);
    claims.retain(|claim| claim.type_ != "Accepted");
    claims.push(Claim::no("Accepted", reason, why));
    as_last_seen(previous, claims, generation, source, now)
}

/// A condition before it has its times.
struct Claim {
    type_: String,
    status: &'static str,
    reason: String,
    message: String,
}

impl Claim {
    fn new(type_: &str, status: &'static str, reason: &str, message: impl Into<String>) -> Self {
        Self { type_: type_.to_owned(), status, reason: reason.to_owned(), message: message.into() }
    }

    fn yes(type_: &str, reason: &str, message: impl Into<String>) -> Self {
        Self::new(type_, "True", reason, message)
    }

    fn no(type_: &str, reason: &str, message: impl Into<String>) -> Self {
        Self::new(type_, "False", reason, message)
    }

    fn unknown(type_: &str, reason: &str, message: impl Into<String>) -> Self {
        Self::new(type_, "Unknown", reason, message)
    }

    fn repeat(condition: &Condition) -> Self {
        let status = match condition.status.as_str() {
            "True" => "True",
            "False" => "False",
            _ => "Unknown",
        };
        Self::new(&condition.type_, status, &condition.reason, condition.message.clone())
    }
}

/// Gives each claim its times: the transition time moves only when the status does.
fn stamp(
    claims: Vec<Claim>,
    previous: Option<&SandboxStatus>,
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let since = |claim: &Claim| {
        previous
            .and_then(|status| status.condition(&claim.type_))
            .filter(|condition| condition.status == claim.status)
            .map_or(Time(now), |condition| condition.last_transition_time.clone())
    };
    claims
        .into_iter()
        .map(|claim| Condition {
            last_transition_time: since(&claim),
            message: claim.message,
            observed_generation: Some(generation),
            reason: claim.reason,
            status: claim.status.to_owned(),
            type_: claim.type_,
        })
        .collect()
}

/// The reason that a hold gives a condition.
#[must_use]
pub fn reason_of(kind: HoldKind) -> &'static str {
    match kind {
        HoldKind::NameConflict => "NameConflict",
        HoldKind::MountUnavailable => "MountUnavailable",
        HoldKind::MountRefused => "MountRefused",
        HoldKind::MountSwapped => "MountSwapped",
        HoldKind::SecretUnavailable => "SecretUnavailable",
        HoldKind::PortConflict => "PortConflict",
        HoldKind::FieldRefused => "FieldRefused",
        HoldKind::PolicyViolation => "PolicyViolation",
        HoldKind::QuotaExceeded => "QuotaExceeded",
        HoldKind::Pulling => "Pulling",
        HoldKind::ImageUnavailable => "ImageUnavailable",
        HoldKind::CrashLoopBackOff => "CrashLoopBackOff",
        HoldKind::StartFailed => "StartFailed",
        HoldKind::Replacing => "UpdatePending",
        HoldKind::UpdateFailed => "UpdateFailed",
        HoldKind::RestartRequired => "RestartRequired",
        HoldKind::Finished => "ContainerFailed",
        HoldKind::Suspended => "SandboxSuspended",
        HoldKind::Expired => "SandboxExpired",
        HoldKind::Busy => "EngineBusy",
    }
}

struct View<'a> {
    inputs: &'a Inputs<'a>,
    wanted: Wanted<'a>,
    rest: &'a Plan,
    context: &'a Context<'a>,
}

impl View<'_> {
    fn desired(&self) -> &Desired {
        self.wanted.desired
    }

    fn hold(&self) -> Option<&Hold> {
        self.rest.hold.as_ref()
    }

    /// The container that the status speaks of.
    fn shown(&self) -> Option<&Container> {
        let observed = self.inputs.observed;
        observed
            .main
            .as_ref()
            .or(observed.replacement.as_ref())
            .or(observed.predecessor.as_ref())
            .or(observed.renamed.as_ref())
    }

    fn accepted(&self) -> Claim {
        match (self.context.stale, self.hold()) {
            (Some((reason @ ("SpecInvalid" | "PolicyViolation" | "Conflict"), message)), _) => {
                Claim::no("Accepted", reason, message)
            }
            (Some((reason @ "SpecUnreadable", message)), _) => {
                Claim::unknown("Accepted", reason, message)
            }
            (
                _,
                Some(Hold {
                    kind: kind @ (HoldKind::FieldRefused | HoldKind::MountRefused),
                    message,
                }),
            ) => Claim::no("Accepted", reason_of(*kind), message),
            _ => Claim::yes("Accepted", "Accepted", ""),
        }
    }

    fn ready(&self) -> Claim {
        if let Some(hold @ Hold { kind: HoldKind::Expired | HoldKind::Suspended, .. }) = self.hold()
        {
            return Claim::no("Ready", reason_of(hold.kind), hold.message.as_str());
        }
        match &self.inputs.observed.main {
            Some(main) if main.is_running() => self.ready_while_running(main),
            Some(main) => self.not_running(main),
            None => self.absent(),
        }
    }

    fn ready_while_running(&self, main: &Container) -> Claim {
        if let ProbeView::Failing { container, message } = &self.inputs.facts.liveness
            && *container == main.id
        {
            return Claim::no("Ready", "ProbeFailing", format!("liveness: {message}"));
        }
        match &self.inputs.facts.readiness {
            ProbeView::None => Claim::yes("Ready", "ContainerReady", ""),
            ProbeView::Passing { container } if *container == main.id => {
                Claim::yes("Ready", "ContainerReady", "")
            }
            ProbeView::Failing { container, message } if *container == main.id => {
                Claim::no("Ready", "ProbeFailing", message.as_str())
            }
            ProbeView::Pending { message } => {
                Claim::no("Ready", "ContainerStarting", message.as_str())
            }
            _ => Claim::no("Ready", "ContainerStarting", "not probed yet"),
        }
    }

    fn not_running(&self, main: &Container) -> Claim {
        match (self.hold(), main.state) {
            (Some(hold), _) => self.held(hold),
            (None, ContainerState::Paused) => Claim::no("Ready", "ContainerPaused", ""),
            (None, state) => {
                self.otherwise("ContainerStarting", format!("the container is {state}"))
            }
        }
    }

    fn absent(&self) -> Claim {
        match self.hold() {
            Some(hold) => self.held(hold),
            None => self.otherwise("ContainerMissing", "the container is not there yet".to_owned()),
        }
    }

    fn otherwise(&self, reason: &str, message: String) -> Claim {
        match self.context.not_converging {
            Some(why) => Claim::no("Ready", "NotConverging", why),
            None => Claim::no("Ready", reason, message),
        }
    }

    fn held(&self, hold: &Hold) -> Claim {
        let finished = self.inputs.memory.finished.as_ref();
        let reason = match finished {
            Some(finished) if hold.kind == HoldKind::Finished => how_it_finished(finished),
            _ => reason_of(hold.kind),
        };
        Claim::no("Ready", reason, hold.message.as_str())
    }

    fn up_to_date(&self) -> Claim {
        if let Some((reason, message)) = self.context.stale {
            return Claim::no("UpToDate", reason, message);
        }
        let Some(container) = self.shown() else { return self.up_to_date_without_container() };
        let mut fields = self.inputs.differences(container);
        if fields.is_empty() {
            fields = self.desired().limits.differences(&container.limits);
        }
        let held_aside = self.inputs.observed.main.is_none();
        if fields.is_empty() && !held_aside {
            return Claim::yes("UpToDate", "UpToDate", "");
        }
        match (self.hold(), self.context.not_converging) {
            (_, Some(why)) => Claim::no("UpToDate", "NotConverging", why),
            (Some(hold), _) if explains_an_update(hold.kind) => {
                Claim::no("UpToDate", reason_of(hold.kind), hold.message.as_str())
            }
            _ => {
                Claim::no("UpToDate", "UpdatePending", format!("differs in {}", fields.join(", ")))
            }
        }
    }

    fn up_to_date_without_container(&self) -> Claim {
        match self.hold() {
            Some(hold)
                if !matches!(
                    hold.kind,
                    HoldKind::Suspended | HoldKind::Expired | HoldKind::Finished
                ) =>
            {
                Claim::no("UpToDate", reason_of(hold.kind), hold.message.as_str())
            }
            Some(_) => Claim::yes("UpToDate", "UpToDate", ""),
            None => Claim::no("UpToDate", "UpdatePending", "the container is not there yet"),
        }
    }

    fn permissions_applied(&self) -> Option<Claim> {
        if self.desired().permissions.is_empty() {
            return None;
        }
        let type_ = "PermissionsApplied";
        Some(match &self.inputs.facts.permissions {
            PermissionView::Hold => Claim::yes(type_, "PermissionsHold", ""),
            PermissionView::Drifted(paths) => {
                Claim::no(type_, "PermissionsDrifted", paths.join("; "))
            }
            PermissionView::Failed(message) => {
                Claim::no(type_, "PermissionsFailed", message.as_str())
            }
            PermissionView::NotChecked => {
                Claim::unknown(type_, "NotChecked", "the container does not run")
            }
        })
    }

    fn suspended(&self) -> Claim {
        let live = self.inputs.observed.ours().any(Container::is_live);
        match (self.desired().operating_mode, live) {
            (OperatingMode::Running, _) => Claim::no("Suspended", "NotSuspended", ""),
            (OperatingMode::Suspended, true) => Claim::no("Suspended", "ContainerStopping", ""),
            (OperatingMode::Suspended, false) => Claim::yes("Suspended", "ContainerStopped", ""),
        }
    }

    fn finished(&self) -> Option<Claim> {
        if let Some(Hold { kind: HoldKind::Expired, message }) = self.hold() {
            return Some(Claim::yes("Finished", "SandboxExpired", message.as_str()));
        }
        let finished = self.inputs.memory.finished.as_ref()?;
        Some(Claim::yes("Finished", how_it_finished(finished), ""))
    }

    fn endpoints(&self) -> Vec<Endpoint> {
        let Some(container) = self.shown().filter(|container| container.is_live()) else {
            return Vec::new();
        };
        container.bindings.iter().map(|binding| self.endpoint(binding)).collect()
    }

    fn endpoint(&self, binding: &Binding) -> Endpoint {
        let named = self.desired().container.ports.iter().find(|port| {
            port.container_port == binding.container_port && port.protocol == binding.protocol
        });
        let url = format!("http://{}:{}", self.host(binding), binding.host_port);
        Endpoint {
            name: named
                .map_or_else(|| binding.container_port.to_string(), |port| port.name.clone()),
            container_port: binding.container_port,
            protocol: binding.protocol,
            host_ip: binding.host_ip.to_string(),
            host_port: binding.host_port,
            url: (binding.protocol == Protocol::Tcp).then_some(url),
        }
    }

    /// The host under which a port is reached: the advertised one stands for the address that ports bind
    /// to by default (and for every address); a port bound elsewhere is reached there alone.
    fn host(&self, binding: &Binding) -> String {
        if binding.host_ip == self.context.bind || binding.host_ip.is_unspecified() {
            return match self.context.advertise.parse::<Ipv6Addr>() {
                Ok(address) => format!("[{address}]"),
                Err(_) => self.context.advertise.to_owned(),
            };
        }
        match binding.host_ip {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }
    }

    fn container(&self, container: &Container) -> ContainerStatus {
        ContainerStatus {
            engine: self.context.engine.to_owned(),
            name: container.name.clone(),
            id: container.id.0.clone(),
            state: container.state.to_string(),
            image: container.image.clone(),
            image_id: container.image_id.clone(),
            started_at: container.started_at.map(Time),
            restart_count: self.inputs.memory.restarts.total,
            last_termination: self.inputs.memory.last_termination.clone(),
        }
    }
}

fn how_it_finished(finished: &Finished) -> &'static str {
    match finished.succeeded {
        Some(true) => "ContainerSucceeded",
        Some(false) => "ContainerFailed",
        None => "ContainerEnded",
    }
}

/// Whether a hold is about the update, and not about the container that is there.
fn explains_an_update(kind: HoldKind) -> bool {
    !matches!(
        kind,
        HoldKind::CrashLoopBackOff | HoldKind::Finished | HoldKind::Suspended | HoldKind::Expired
    )
}

#[cfg(test)]
mod tests;
