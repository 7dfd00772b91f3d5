//! What the fuzzer's bytes mean to the planner: a spec, containers, facts and a memory. Each choice is
//! one of a few, so that equal and different, old and new come up often.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use jiff::Timestamp;
use sandkeeper::plan::{
    Adopted, Binding, Blocker, BlockerKind, Container, ContainerId, ContainerState, Desired, Facts,
    Failure, Fingerprint, Finished, Foreign, HoldKind, Inputs, Limits, Memory, Observed,
    PermissionView, ProbeView, PullView, Rejected, Restarts, Settings, Slot, Wanted, Wish,
    validate,
};
use sandkeeper::sandbox::{
    OperatingMode, Protocol, PullPolicy, RestartPolicy, Sandbox, SandboxSpec, ShutdownPolicy,
    UpdatePolicy,
};

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[derive(Arbitrary, Debug)]
pub struct World {
    withdrawn: bool,
    image: bool,
    policies: u16,
    probes: bool,
    adopt: bool,
    shutdown: Option<i8>,
    limits: Choice,
    main: Option<Kept>,
    replacement: Option<Kept>,
    predecessor: Option<Kept>,
    renamed: Option<Kept>,
    leftover: Option<Kept>,
    foreign: Option<(u8, Choice)>,
    facts: HostFacts,
    memory: Remembered,
    now: i16,
}

/// One of a few.
type Choice = u8;

#[derive(Arbitrary, Debug)]
struct Kept {
    state: Choice,
    made_of: Choice,
    limits: Choice,
    started: Option<i8>,
    ended: Option<i8>,
    code: Option<i8>,
    oom: bool,
    port: bool,
    attached: bool,
}

#[derive(Arbitrary, Debug)]
struct HostFacts {
    ports: bool,
    blocker: Choice,
    permissions: Choice,
    readiness: Choice,
    liveness: Choice,
    pull: Choice,
    live_update: bool,
    returned: Option<i8>,
}

#[derive(Arbitrary, Debug)]
struct Remembered {
    container: Choice,
    adopted: Choice,
    streak: u8,
    last_at: Option<i8>,
    failure: Option<(Choice, Choice, bool, u8, i8)>,
    rejected: Option<(Choice, i8)>,
    parked: Choice,
    idle: Choice,
    finished: Option<(Choice, Option<bool>, i8)>,
    ran: Choice,
    was_ready: Choice,
}

/// What [`Inputs`] borrow from.
pub struct Parts<'d> {
    withdrawn: bool,
    desired: &'d Desired,
    fingerprint: Fingerprint,
    observed: Observed,
    facts: Facts,
    memory: Memory,
    now: Timestamp,
}

impl Parts<'_> {
    pub fn inputs(&self) -> Inputs<'_> {
        let wanted = Wanted { desired: self.desired, fingerprint: &self.fingerprint };
        let wish = match self.withdrawn {
            true => Wish::Withdrawn { grace: Duration::from_secs(10) },
            false => Wish::Declared(wanted),
        };
        let Self { observed, facts, memory, now, .. } = self;
        Inputs { wish, observed, facts, memory, now: *now }
    }
}

impl World {
    pub fn desired(&self) -> Desired {
        let bit = |index: u32| self.policies >> index & 1 == 1;
        let spec = SandboxSpec {
            image: Some(if self.image { "app:2" } else { "app:1" }.to_owned()),
            image_pull_policy: Some(if bit(0) {
                PullPolicy::Always
            } else {
                PullPolicy::IfNotPresent
            }),
            operating_mode: (bit(1) && bit(2)).then_some(OperatingMode::Suspended),
            restart_policy: match (bit(3), bit(4)) {
                (true, true) => Some(RestartPolicy::Never),
                (true, false) => Some(RestartPolicy::OnFailure),
                _ => None,
            },
            update_policy: (bit(5) && bit(6)).then_some(UpdatePolicy::OnRestart),
            shutdown_policy: bit(7).then_some(ShutdownPolicy::Delete),
            ..SandboxSpec::default()
        };
        let settings = Settings {
            defaults: SandboxSpec::default(),
            prefix: "sandbox".to_owned(),
            bind: LOOPBACK,
            policy: sandkeeper::plan::Policy::default(),
        };
        let sandbox = Sandbox::new("web", spec);
        let validated = validate(&sandbox, &settings, Path::new("/srv/specs"));
        let mut desired = validated.expect("it is a valid spec").desired;
        if !self.probes {
            desired.readiness = None;
        }
        desired.adopt = self.adopt;
        desired.uid = "uid-1".to_owned();
        desired.shutdown_at = self.shutdown.map(at);
        desired.limits = limits(self.limits);
        desired
    }

    pub fn parts<'d>(&self, desired: &'d Desired) -> Parts<'d> {
        let fingerprint = Fingerprint::of(&desired.container, &BTreeMap::new());
        let other = Fingerprint::from_labels("another", "{}");
        let made = Makers { desired, prints: [Some(fingerprint.clone()), Some(other), None] };
        Parts {
            withdrawn: self.withdrawn,
            desired,
            observed: self.observed(&made),
            facts: self.facts.facts(desired),
            memory: self.memory.memory(&fingerprint.spec_hash),
            fingerprint,
            now: Timestamp::from_second(1_750_000_000 + i64::from(self.now)).expect("in range"),
        }
    }

    fn observed(&self, made: &Makers<'_>) -> Observed {
        let kept = |kept: &Option<Kept>, id: usize, name: &str| {
            kept.as_ref().map(|kept| made.container(kept, IDS[id], name))
        };
        let mut observed = Observed {
            main: kept(&self.main, 0, "sandbox-web"),
            replacement: kept(&self.replacement, 1, "sandbox-web.new"),
            predecessor: kept(&self.predecessor, 2, "sandbox-web.old"),
            renamed: kept(&self.renamed, 3, "elsewhere"),
            leftover: kept(&self.leftover, 4, "sandbox-web-earlier").into_iter().collect(),
            ..Observed::default()
        };
        observed.foreign = self.foreign.and_then(|(slot, state)| {
            let (slot, held) = match slot % 3 {
                0 => (Slot::Main, &observed.main),
                1 => (Slot::Replacement, &observed.replacement),
                _ => (Slot::Predecessor, &observed.predecessor),
            };
            let name = format!("sandbox-web{}", slot.suffix());
            let id = ContainerId(IDS[5].to_owned());
            // An engine gives a name to one container.
            held.is_none().then(|| Foreign { id, name, slot, state: state_of(state) })
        });
        observed
    }
}

/// Ids of main, replacement, predecessor, renamed, leftover and foreign.
const IDS: [&str; 6] = ["main", "new", "old", "renamed", "leftover", "foreign"];

struct Makers<'d> {
    desired: &'d Desired,
    /// As wanted, of another spec, adopted.
    prints: [Option<Fingerprint>; 3],
}

impl Makers<'_> {
    fn container(&self, kept: &Kept, id: &str, name: &str) -> Container {
        Container {
            id: ContainerId(id.to_owned()),
            name: name.to_owned(),
            state: state_of(kept.state),
            fingerprint: self.prints[usize::from(kept.made_of) % 3].clone(),
            image: self.desired.container.image.clone(),
            image_id: "sha256:1".to_owned(),
            created_at: at(-128),
            started_at: kept.started.map(at),
            finished_at: kept.ended.map(at),
            exit_code: kept.code.map(i64::from),
            oom_killed: kept.oom,
            limits: limits(kept.limits),
            bindings: vec![Binding {
                container_port: 8080,
                protocol: Protocol::Tcp,
                host_ip: LOOPBACK,
                host_port: if kept.port { 8080 } else { 8081 },
            }],
            network_attached: kept.attached,
            mounts: Vec::new(),
            pid: None,
            runtime: None,
            isolation: Arc::default(),
        }
    }
}

impl HostFacts {
    fn facts(&self, desired: &Desired) -> Facts {
        let port = if self.ports { 8080 } else { 8081 };
        let names = desired.container.ports.iter().map(|port| port.name.clone());
        let kinds = [
            BlockerKind::MountUnavailable,
            BlockerKind::SecretUnavailable,
            BlockerKind::PortConflict,
            BlockerKind::FieldRefused,
        ];
        let blocker = kinds
            .get(usize::from(self.blocker))
            .map(|kind| Blocker { kind: *kind, message: said() });
        Facts {
            ports: names.map(|name| (name, port)).collect(),
            blockers: blocker.into_iter().collect(),
            permissions: match self.permissions % 4 {
                0 => PermissionView::NotChecked,
                1 => PermissionView::Hold,
                2 => PermissionView::Drifted(vec![said()]),
                _ => PermissionView::Failed(said()),
            },
            readiness: probe(self.readiness),
            liveness: probe(self.liveness),
            pull: match self.pull % 5 {
                0 => PullView::NotNeeded,
                1 => PullView::Needed,
                2 => PullView::InProgress { message: said() },
                3 => PullView::Failed { message: said(), retry_at: at(100) },
                _ => PullView::Done,
            },
            live_update: self.live_update,
            engine_returned_at: self.returned.map(at),
            ..Facts::default()
        }
    }
}

impl Remembered {
    fn memory(&self, wanted: &str) -> Memory {
        let hash = |choice: Choice| if choice % 2 == 0 { wanted } else { "another" }.to_owned();
        let kinds = [HoldKind::StartFailed, HoldKind::PortConflict, HoldKind::ImageUnavailable];
        Memory {
            uid: "uid-1".to_owned(),
            container: id(self.container),
            adopted: id(self.adopted)
                .map(|container| Adopted { container, spec_hash: hash(self.adopted) }),
            restarts: Restarts {
                total: self.streak.into(),
                streak: self.streak.into(),
                last_at: self.last_at.map(at),
            },
            failure: self.failure.map(|(of, kind, terminal, attempts, when)| Failure {
                spec_hash: hash(of),
                kind: kinds[usize::from(kind) % kinds.len()],
                message: said(),
                attempts: attempts.into(),
                at: at(when),
                terminal,
            }),
            rejected: self.rejected.map(|(of, when)| Rejected {
                spec_hash: hash(of),
                message: said(),
                at: at(when),
            }),
            parked: id(self.parked),
            idle_predecessor: id(self.idle),
            finished: self.finished.map(|(of, succeeded, when)| Finished {
                spec_hash: hash(of),
                succeeded,
                at: at(when),
            }),
            ran: id(self.ran),
            was_ready: id(self.was_ready),
            ..Memory::default()
        }
    }
}

fn probe(choice: Choice) -> ProbeView {
    match (choice % 4, id(choice / 4)) {
        (1, _) => ProbeView::Pending { message: said() },
        (2, Some(container)) => ProbeView::Passing { container },
        (3, Some(container)) => ProbeView::Failing { container, message: said() },
        _ => ProbeView::None,
    }
}

fn id(choice: Choice) -> Option<ContainerId> {
    IDS.get(usize::from(choice % 8)).map(|id| ContainerId((*id).to_owned()))
}

fn limits(choice: Choice) -> Limits {
    match choice % 3 {
        0 => Limits::default(),
        1 => Limits { nano_cpus: Some(1_000_000_000), ..Limits::default() },
        _ => Limits { memory: Some(1 << 30), pids: Some(100), ..Limits::default() },
    }
}

fn state_of(choice: Choice) -> ContainerState {
    [
        ContainerState::Running,
        ContainerState::Exited,
        ContainerState::Created,
        ContainerState::Paused,
        ContainerState::Restarting,
        ContainerState::Removing,
        ContainerState::Dead,
    ][usize::from(choice) % 7]
}

fn at(offset: i8) -> Timestamp {
    Timestamp::from_second(1_750_000_000 + i64::from(offset)).expect("in range")
}

fn said() -> String {
    "as somebody said".to_owned()
}
