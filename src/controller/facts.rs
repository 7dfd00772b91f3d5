//! What the host and the daemon's own helpers say about one sandbox, gathered before planning.
//!
//! I/O only: each fact is written down as found, and what follows from it is the plan's business.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use super::execute::StepError;
use super::host;
use super::observe::Observer;
use super::permissions;
use super::probes::{ProbeKind, ProbeTarget};
use super::reconcile::{Context, HOST_DEADLINE};
use super::refusals::refusals;
use crate::engine::{Capabilities, Engine, EngineError, Feature};
use crate::plan::policy::mounted;
use crate::plan::{
    BindMount, Blocker, BlockerKind, Container, ContainerId, ContainerState, Desired, Facts,
    Fingerprint, Foreign, Ids, Memory, MountView, Observed, Permission, PermissionView, Policy,
    ProbeSpec, ProbeView, PullView, Seccomp, Step, policy,
};
use crate::ports::PortBook;
use crate::sandbox::SandboxStatus;

/// Everything but the state of the mounts, which only a creation needs to know.
pub(super) async fn gather(
    context: &Context,
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    now: Timestamp,
) -> (Facts, Fingerprint) {
    let name = desired.name.as_str();
    let mut blockers =
        refusals(context.engine.kind(), &context.capabilities, &context.ids, desired);
    let secret_digests = secret_digests(&context.secrets, desired, now, &mut blockers).await;
    let ports = match assign_ports(&context.ports, desired, observed, memory) {
        Ok(ports) => ports,
        Err(blocker) => {
            blockers.push(blocker);
            memory.ports.clone()
        }
    };
    if !observed.ours().any(Container::is_live) {
        // Its port may be somebody else's by now.
        context.prober.forget(name);
    }
    let serving = serving(observed);
    let facts = Facts {
        ports,
        blockers,
        unstartable: Vec::new(),
        unadoptable: Vec::new(),
        mounts: mounts_of(serving, memory).await,
        permissions: permissions_of(context, desired, serving).await,
        readiness: probe(context, desired, serving, ProbeKind::Readiness),
        liveness: probe(context, desired, serving, ProbeKind::Liveness),
        pull: context.puller.view(name, &desired.container.image, now),
        live_update: live_update(context.engine.as_ref(), &context.capabilities, desired, observed),
        fixed_names: !context.capabilities.has(Feature::Rename),
        engine_returned_at: *context.engine_returned_at.borrow(),
        secret_digests,
    };
    let fingerprint = Fingerprint::of(&desired.container, &facts.secret_digests);
    (facts, fingerprint)
}

/// The container that runs for the sandbox now, if any: its own, or a replacement that comes up.
fn serving(observed: &Observed) -> Option<&Container> {
    let candidates = [&observed.main, &observed.replacement];
    candidates.into_iter().flatten().find(|container| container.is_running())
}

/// Whether the engine can bring the container that is there to the wanted limits as it runs.
fn live_update(
    engine: &dyn Engine,
    capabilities: &Capabilities,
    desired: &Desired,
    observed: &Observed,
) -> bool {
    let from = observed.main.as_ref().map(|main| main.limits).unwrap_or_default();
    capabilities.has(Feature::LiveUpdate) && engine.updates_live(&from, &desired.limits)
}

async fn secret_digests(
    secrets: &Arc<host::SecretDigests>,
    desired: &Desired,
    now: Timestamp,
    blockers: &mut Vec<Blocker>,
) -> BTreeMap<String, String> {
    if !desired.container.has_secret_files() {
        return BTreeMap::new();
    }
    let (secrets, env) = (Arc::clone(secrets), desired.container.env.clone());
    match host::blocking(HOST_DEADLINE, move || secrets.digests(&env, now)).await {
        Ok((digests, unreadable)) => {
            blockers.extend(unreadable);
            digests
        }
        Err(overdue) => {
            let message = format!("secret files: {overdue}");
            blockers.push(Blocker { kind: BlockerKind::SecretUnavailable, message });
            BTreeMap::new()
        }
    }
}

/// Ports that a container of ours publishes are the sandbox's own, whatever the memory says.
fn assign_ports(
    book: &PortBook,
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
) -> Result<BTreeMap<String, u16>, Blocker> {
    let mut remembered = memory.ports.clone();
    for port in &desired.container.ports {
        let published =
            observed.ours().filter(|c| c.state != ContainerState::Created).find_map(|c| {
                c.bindings.iter().find(|binding| {
                    binding.container_port == port.container_port
                        && binding.protocol == port.protocol
                })
            });
        if let Some(binding) = published
            && port.host_port.is_none()
        {
            remembered.insert(port.name.clone(), binding.host_port);
        }
    }
    book.assign(desired.name.as_str(), &desired.container.ports, &remembered)
}

/// Failed starts of a container that has run before its port is given up: its URL is known, so the port
/// is worth a wait.
const FAILURES_BEFORE_PORT_IS_GIVEN_UP: u32 = 3;

/// The engine says that somebody else has a port. Gives up the allocated ones that it may mean, so that
/// the next assignment takes others; a fixed port is waited for, and so is, for a while, the port of a
/// container that has run. Whether any was given up.
pub(super) fn give_up_ports(
    book: &PortBook,
    desired: &Desired,
    step: &Step,
    observed: &Observed,
    facts: &Facts,
    memory: &Memory,
    busy: Option<u16>,
) -> bool {
    let failures = memory.failure.as_ref().map_or(0, |failure| failure.attempts);
    if has_run(step, observed) && failures + 1 < FAILURES_BEFORE_PORT_IS_GIVEN_UP {
        return false;
    }
    let mut given_up = false;
    for port in desired.container.ports.iter().filter(|port| port.host_port.is_none()) {
        let Some(assigned) = facts.ports.get(&port.name) else { continue };
        if busy.is_none_or(|busy| busy == *assigned) {
            book.mark_taken(desired.name.as_str(), &port.name, *assigned);
            given_up = true;
        }
    }
    given_up
}

/// Whether the container that a step starts (or the one it replaces) has run before.
fn has_run(step: &Step, observed: &Observed) -> bool {
    match step {
        Step::Start { container } => observed
            .ours()
            .any(|ours| ours.id == *container && ours.state != ContainerState::Created),
        _ => observed.ours().any(|ours| ours.state != ContainerState::Created),
    }
}

/// What a look that changes nothing works with.
pub struct Glance<'a> {
    /// The engine.
    pub engine: &'a Arc<dyn Engine>,
    /// What it can do.
    pub capabilities: &'a Capabilities,
    /// Its ids and ours.
    pub ids: &'a Ids,
    /// Host ports, as remembered.
    pub ports: &'a PortBook,
    /// Digests of secret files.
    pub secrets: &'a Arc<host::SecretDigests>,
    /// What may be mounted.
    pub mount_rules: &'a Arc<host::MountRules>,
}

/// The facts for `plan`, which starts no probe and no pull: readiness is what the daemon last published.
pub async fn glance(
    glance: &Glance<'_>,
    desired: &Desired,
    observed: &Observed,
    memory: &Memory,
    published: Option<&SandboxStatus>,
    now: Timestamp,
) -> Facts {
    let mut blockers = refusals(glance.engine.kind(), glance.capabilities, glance.ids, desired);
    let secret_digests = secret_digests(glance.secrets, desired, now, &mut blockers).await;
    let ports = assign_ports(glance.ports, desired, observed, memory).unwrap_or_else(|blocker| {
        blockers.push(blocker);
        memory.ports.clone()
    });
    let serving = serving(observed);
    let permissions = match serving {
        Some(container) if !desired.permissions.is_empty() => {
            let (rules, mounts) = (&desired.permissions, &desired.container.mounts);
            let engine = glance.engine.as_ref();
            permissions::check(engine, &container.id, rules, mounts, glance.ids).await
        }
        _ => PermissionView::NotChecked,
    };
    Facts {
        ports,
        secret_digests,
        blockers,
        unstartable: Vec::new(),
        unadoptable: Vec::new(),
        mounts: MountView::NotChecked,
        permissions,
        readiness: published_readiness(desired, serving, published),
        liveness: ProbeView::None,
        pull: PullView::NotNeeded,
        live_update: live_update(glance.engine.as_ref(), glance.capabilities, desired, observed),
        fixed_names: !glance.capabilities.has(Feature::Rename),
        engine_returned_at: None,
    }
}

fn published_readiness(
    desired: &Desired,
    serving: Option<&Container>,
    published: Option<&SandboxStatus>,
) -> ProbeView {
    if desired.readiness.is_none() {
        return ProbeView::None;
    }
    let ready = published.is_some_and(|status| {
        status.condition("Ready").is_some_and(|condition| condition.status == "True")
    });
    match serving {
        Some(container) if ready => ProbeView::Passing { container: container.id.clone() },
        _ => ProbeView::Pending { message: String::new() },
    }
}

/// What stands in the way of taking over the container that holds the sandbox's name: that it has more than
/// the policy allows, or paths of the host that no sandbox may have.
///
/// # Errors
/// The engine did not answer, or not sensibly.
pub async fn unadoptable(
    observer: &Observer,
    foreign: Option<&Foreign>,
    sandbox: &str,
    policy: &Policy,
    rules: &Arc<host::MountRules>,
) -> Result<Vec<Blocker>, EngineError> {
    let Some(foreign) = foreign else { return Ok(Vec::new()) };
    let Some(found) = observer.foreign(foreign, sandbox).await? else { return Ok(Vec::new()) };
    let who = (found.name.as_str(), found.id.short());
    if let Some(beyond) = policy::forbids_adoption(who, &found.isolation, policy) {
        return Ok(vec![beyond]);
    }
    if found.mounts.is_empty() {
        return Ok(Vec::new());
    }
    Ok(look_at_mounts(found.mounts.clone(), rules).await.blockers)
}

/// What the host says of mounts, without making anything.
pub async fn look_at_mounts(mounts: Vec<BindMount>, rules: &Arc<host::MountRules>) -> host::Looked {
    let rules = Arc::clone(rules);
    with_mounts(move || host::look_at_mounts(&mounts, &rules)).await
}

/// What the host says of mounts. Missing directories with `create` are made.
pub(super) async fn prepare_mounts(
    mounts: Vec<BindMount>,
    rules: &Arc<host::MountRules>,
    ids: &Ids,
) -> host::Looked {
    let (rules, mounts) = (Arc::clone(rules), ids.mounts_on_host(mounts));
    with_mounts(move || host::prepare_mounts(&mounts, &rules)).await
}

/// Whether what is mounted in a container that was started last is what was checked before. Compared once
/// for each start.
async fn mounts_of(serving: Option<&Container>, memory: &Memory) -> MountView {
    let unproven = serving.filter(|serving| memory.unproven.as_ref() == Some(&serving.id));
    let Some(container) = unproven else { return MountView::NotChecked };
    let unknowable = || MountView::Unknowable { container: container.id.clone() };
    let (true, Some(pid)) = (has_mount_table(container), container.pid) else {
        return unknowable();
    };
    let id = container.id.clone();
    let read = host::blocking(HOST_DEADLINE, move || host::mount_tables(pid, &id.0)).await;
    match read {
        Ok(Ok(Some((outside, inside)))) => {
            let swapped = mounted::swapped(&container.mounts, &outside, &inside);
            let container = container.id.clone();
            if swapped.is_empty() {
                MountView::AsChecked { container }
            } else {
                MountView::Swapped { container, mounts: swapped }
            }
        }
        Ok(Ok(None)) => unknowable(),
        // Asked again at the next look.
        Ok(Err(error)) => {
            tracing::warn!(container = container.id.short(), %error, "What is mounted cannot be read.");
            MountView::NotChecked
        }
        Err(overdue) => {
            tracing::warn!(container = container.id.short(), %overdue, "What is mounted cannot be read.");
            MountView::NotChecked
        }
    }
}

/// Whether the container's process has its mounts, and not a process of a virtual machine or of another
/// kernel, as with gVisor or Kata. `oci` is what Podman says of whatever it is.
fn has_mount_table(container: &Container) -> bool {
    let runtime = container.runtime.as_deref().unwrap_or("runc");
    matches!(runtime, "runc" | "crun" | "nvidia" | "io.containerd.runc.v2" | "oci")
}

async fn with_mounts(look: impl FnOnce() -> host::Looked + Send + 'static) -> host::Looked {
    host::blocking(HOST_DEADLINE, look).await.unwrap_or_else(|overdue| {
        let message = format!("spec.mounts: {overdue}");
        let blockers = vec![Blocker { kind: BlockerKind::MountUnavailable, message }];
        host::Looked { blockers, ..host::Looked::default() }
    })
}

/// What a creation needs read at the last moment: secrets, and a seccomp profile on the host.
pub(super) async fn ingredients(
    secrets: &Arc<host::SecretDigests>,
    desired: &Desired,
) -> Result<(BTreeMap<String, SecretString>, Option<String>), StepError> {
    let (secrets, env) = (Arc::clone(secrets), desired.container.env.clone());
    let seccomp = desired.container.security.seccomp.clone();
    let read = host::blocking(HOST_DEADLINE, move || {
        let secrets = secrets.read(&env).map_err(|blocker| blocker.message)?;
        Ok((secrets, seccomp_profile(&seccomp)?))
    });
    let failed = |reason, message| StepError::Retry { reason, message };
    match read.await {
        Ok(Ok(ingredients)) => Ok(ingredients),
        Ok(Err(message)) => Err(failed("HostFileUnavailable", message)),
        Err(overdue) => Err(failed("HostFileUnavailable", overdue.to_string())),
    }
}

/// Seccomp profiles larger than this are refused; Docker's own has 13 KiB.
const MAX_SECCOMP_PROFILE: u64 = 256 * 1024;

fn seccomp_profile(seccomp: &Seccomp) -> Result<Option<String>, String> {
    let Seccomp::Localhost(path) = seccomp else { return Ok(None) };
    let shown = path.display();
    let field = "spec.securityContext.seccompProfile.localhostProfile";
    let metadata = std::fs::metadata(path).map_err(|error| format!("{field}: {shown}: {error}"))?;
    if !metadata.is_file() || metadata.len() > MAX_SECCOMP_PROFILE {
        return Err(format!("{field}: {shown}: not a file of at most {MAX_SECCOMP_PROFILE} bytes"));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{field}: {shown}: {error}"))?;
    serde_json::from_str::<serde_json::Value>(&text)
        .map_err(|error| format!("{field}: {shown}: not JSON: {error}"))?;
    Ok(Some(text))
}

fn probe(
    context: &Context,
    desired: &Desired,
    serving: Option<&Container>,
    kind: ProbeKind,
) -> ProbeView {
    let spec = match kind {
        ProbeKind::Readiness => desired.readiness.as_ref(),
        ProbeKind::Liveness => desired.liveness.as_ref(),
    };
    let name = desired.name.as_str();
    let Some(spec) = spec else {
        context.prober.unwatch(name, kind);
        return ProbeView::None;
    };
    let Some(container) = serving else { return ProbeView::Pending { message: String::new() } };
    let target = ProbeTarget {
        container: container.id.clone(),
        started_at: container.started_at,
        spec: spec.clone(),
        address: address(spec, desired, container),
    };
    context.prober.watch(name, kind, target);
    context.prober.view(name, kind, &container.id)
}

/// Where a probe finds the port that it names: as published, never as the spec might wish.
fn address(spec: &ProbeSpec, desired: &Desired, container: &Container) -> Option<SocketAddr> {
    let binding = container.binding(desired.probed_port(spec)?)?;
    Some(SocketAddr::new(reachable(binding.host_ip), binding.host_port))
}

/// The wildcard address is no destination; what is bound there is reached at loopback.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// When permissions were last looked at, so that a wake costs no walk and no exec.
#[derive(Debug, Default)]
pub struct PermissionCache(Mutex<HashMap<String, Looked>>);

#[derive(Clone, Debug)]
struct Looked {
    /// By a clock that nobody sets.
    at: Instant,
    container: ContainerId,
    started_at: Option<Timestamp>,
    rules: Vec<Permission>,
    view: PermissionView,
}

impl PermissionCache {
    /// What is known of this sandbox no longer holds.
    pub fn forget(&self, sandbox: &str) {
        self.entries().remove(sandbox);
    }

    /// A repair failed: believed until the next resync, so that it is not tried in a loop.
    pub(super) fn failed(&self, desired: &Desired, container: &ContainerId, message: String) {
        let mut entries = self.entries();
        let looked = Looked {
            at: Instant::now(),
            container: container.clone(),
            started_at: None,
            rules: desired.permissions.clone(),
            view: PermissionView::Failed(message),
        };
        entries.insert(desired.name.as_str().to_owned(), looked);
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<String, Looked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the permissions hold in the container that serves; looked at once per resync and start.
async fn permissions_of(
    context: &Context,
    desired: &Desired,
    serving: Option<&Container>,
) -> PermissionView {
    let Some(container) = serving.filter(|_| !desired.permissions.is_empty()) else {
        return PermissionView::NotChecked;
    };
    let name = desired.name.as_str();
    let fresh = |looked: &Looked| {
        looked.container == container.id
            && (looked.started_at.is_none() || looked.started_at == container.started_at)
            && looked.rules == desired.permissions
            && looked.at.elapsed() < context.resync
            && !matches!(looked.view, PermissionView::Drifted(_))
    };
    let known = context.permissions.entries().get(name).filter(|looked| fresh(looked)).cloned();
    if let Some(looked) = known {
        return looked.view;
    }
    let mounts = &desired.container.mounts;
    let (engine, rules) = (context.engine.as_ref(), &desired.permissions);
    let view = permissions::check(engine, &container.id, rules, mounts, &context.ids).await;
    let looked = Looked {
        at: Instant::now(),
        container: container.id.clone(),
        started_at: container.started_at,
        rules: desired.permissions.clone(),
        view: view.clone(),
    };
    context.permissions.entries().insert(name.to_owned(), looked);
    view
}
