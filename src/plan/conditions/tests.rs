//! Situations and what is said of them. What is planned is the planner's own word, so that the two agree.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::plan::observed::{Blocker, BlockerKind, Foreign};
use crate::plan::testing::{LOOPBACK, at, container, desired, exited, fingerprint, tcp_probe};
use crate::plan::{
    ContainerId, Facts, Failure, Finished, Limits, Memory, Observed, Permission, Port, PullView,
    Rejected, Restarts, Slot, plan,
};
use crate::sandbox::{RestartPolicy, ShutdownPolicy, UpdatePolicy};

/// The moment of every situation.
const NOW: i64 = 1000;

/// Why nobody can say how it is.
const AWAY: &str = "EngineUnavailable";

/// A sandbox `web` of image `app:1`; nothing is observed yet.
struct Situation {
    desired: Desired,
    observed: Observed,
    facts: Facts,
    memory: Memory,
    stale: Option<(&'static str, &'static str)>,
    not_converging: Option<&'static str>,
    previous: Option<SandboxStatus>,
}

fn situation() -> Situation {
    Situation {
        desired: desired("app:1"),
        observed: Observed::default(),
        facts: Facts {
            ports: BTreeMap::from([("http".to_owned(), 8080)]),
            live_update: true,
            ..Facts::default()
        },
        memory: Memory { uid: "uid-1".to_owned(), ..Memory::default() },
        stale: None,
        not_converging: None,
        previous: None,
    }
}

fn with_main(main: Container) -> Situation {
    let mut situation = situation();
    situation.observed.main = Some(main);
    situation
}

fn running() -> Container {
    container("main", &desired("app:1"))
}

fn older() -> Container {
    container("main", &desired("app:0"))
}

fn id(id: &str) -> ContainerId {
    ContainerId(id.to_owned())
}

impl Situation {
    fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn status(&self) -> SandboxStatus {
        let fingerprint = fingerprint(&self.desired);
        let wanted = Wanted { desired: &self.desired, fingerprint: &fingerprint };
        let inputs = Inputs {
            wish: Wish::Declared(wanted),
            observed: &self.observed,
            facts: &self.facts,
            memory: &self.memory,
            now: at(NOW),
        };
        let context = Context {
            engine: "docker",
            advertise: "sandboxes.example",
            bind: LOOPBACK,
            source: "/specs/web.yaml",
            stale: self.stale,
            notices: &["a notice".to_owned()],
            not_converging: self.not_converging,
            previous: self.previous.as_ref(),
        };
        status(&inputs, &plan(&inputs), &context)
    }
}

/// `Accepted True Accepted`: each condition in a line.
fn lines(status: &SandboxStatus) -> Vec<String> {
    let line = |it: &Condition| format!("{} {} {}", it.type_, it.status, it.reason);
    status.conditions.iter().map(line).collect()
}

fn says(status: &SandboxStatus, type_: &str) -> String {
    let line = |it: &Condition| format!("{} {}", it.status, it.reason);
    status.condition(type_).map(line).unwrap_or_default()
}

fn failure(kind: HoldKind) -> Failure {
    Failure {
        spec_hash: fingerprint(&desired("app:1")).spec_hash,
        kind,
        message: "no such file".to_owned(),
        attempts: 2,
        at: at(999),
        terminal: false,
    }
}

fn blocked(kind: BlockerKind) -> impl FnOnce(&mut Situation) {
    move |it| it.facts.blockers = vec![Blocker { kind, message: "in the way".to_owned() }]
}

fn pulling() -> PullView {
    PullView::InProgress { message: "1 of 3 layers".to_owned() }
}

fn unpulled() -> PullView {
    PullView::Failed { message: "not found".to_owned(), retry_at: at(1100) }
}

fn passing(container: &str) -> ProbeView {
    ProbeView::Passing { container: id(container) }
}

fn failing(container: &str) -> ProbeView {
    ProbeView::Failing { container: id(container), message: "refused".to_owned() }
}

fn foreign(slot: Slot) -> Foreign {
    let name = format!("sandbox-web{}", slot.suffix());
    Foreign { id: id("theirs"), name, slot, state: ContainerState::Running }
}

fn in_state(state: ContainerState) -> Container {
    Container { state, ..running() }
}

/// A replacement that comes up, its predecessor aside.
fn replacing() -> Situation {
    let mut situation = situation();
    situation.desired.readiness = Some(tcp_probe());
    let new = Container { started_at: Some(at(995)), ..container("new", &situation.desired) };
    situation.observed.replacement = Some(new);
    situation.observed.predecessor = Some(exited(older(), 143, 994));
    situation.facts.readiness = ProbeView::Pending { message: "refused".to_owned() };
    situation
}

/// What each situation says of readiness and of being up to date.
#[expect(clippy::too_many_lines, reason = "a table")]
fn situations() -> Vec<(&'static str, Situation, &'static str, &'static str)> {
    use ContainerState::{Created, Exited, Paused, Removing, Restarting};
    let probed = |view: ProbeView| {
        with_main(running()).but(|it| {
            it.desired.readiness = Some(tcp_probe());
            it.facts.readiness = view;
        })
    };
    let crashed = || Container { started_at: Some(at(998)), ..exited(running(), 1, 999) };
    let restarts = Restarts { total: 6, streak: 6, last_at: Some(at(998)) };
    let finished = |code: i64| {
        let spec_hash = fingerprint(&desired("app:1")).spec_hash;
        with_main(exited(running(), code, 990)).but(|it| {
            it.desired.restart_policy = RestartPolicy::Never;
            it.memory.finished =
                Some(Finished { spec_hash, succeeded: Some(code == 0), at: at(990) });
        })
    };
    let rejected = Rejected {
        spec_hash: fingerprint(&desired("app:1")).spec_hash,
        message: "it exited".to_owned(),
        at: at(900),
    };
    let suspended = |it: &mut Situation| it.desired.operating_mode = OperatingMode::Suspended;
    let expired = |it: &mut Situation| it.desired.shutdown_at = Some(at(900));
    let up = "True UpToDate";
    vec![
        ("nothing yet", situation(), "False ContainerMissing", "False UpdatePending"),
        ("running, no probe", with_main(running()), "True ContainerReady", up),
        ("running, probed", probed(passing("main")), "True ContainerReady", up),
        ("another one passed", probed(passing("another")), "False ContainerStarting", up),
        (
            "not probed yet",
            probed(ProbeView::Pending { message: String::new() }),
            "False ContainerStarting",
            up,
        ),
        ("probe fails", probed(failing("main")), "False ProbeFailing", up),
        ("another one's probe fails", probed(failing("another")), "False ContainerStarting", up),
        (
            "not alive",
            with_main(running()).but(|it| it.facts.liveness = failing("main")),
            "False ProbeFailing",
            up,
        ),
        (
            "another one was not alive",
            with_main(running()).but(|it| it.facts.liveness = failing("another")),
            "True ContainerReady",
            up,
        ),
        ("created", with_main(in_state(Created)), "False ContainerStarting", up),
        ("paused", with_main(in_state(Paused)), "False ContainerPaused", up),
        ("removing", with_main(in_state(Removing)), "False EngineBusy", up),
        ("restarting", with_main(in_state(Restarting)), "False EngineBusy", up),
        ("ended", with_main(exited(running(), 1, 999)), "False ContainerStarting", up),
        (
            "crash loop",
            with_main(crashed()).but(|it| it.memory.restarts = restarts.clone()),
            "False CrashLoopBackOff",
            up,
        ),
        (
            "removed again and again",
            situation().but(|it| {
                it.memory.container = Some(id("main"));
                it.memory.restarts = restarts.clone();
            }),
            "False CrashLoopBackOff",
            "False CrashLoopBackOff",
        ),
        (
            "cannot start",
            with_main(in_state(Created))
                .but(|it| it.memory.failure = Some(failure(HoldKind::StartFailed))),
            "False StartFailed",
            up,
        ),
        (
            "port taken",
            with_main(in_state(Created))
                .but(|it| it.memory.failure = Some(failure(HoldKind::PortConflict))),
            "False PortConflict",
            up,
        ),
        (
            "foreign holder",
            situation().but(|it| it.observed.foreign = Some(foreign(Slot::Main))),
            "False NameConflict",
            "False NameConflict",
        ),
        (
            "foreign holder of the replacement's name",
            with_main(older()).but(|it| it.observed.foreign = Some(foreign(Slot::Replacement))),
            "True ContainerReady",
            "False NameConflict",
        ),
        (
            "missing path",
            situation().but(blocked(BlockerKind::MountUnavailable)),
            "False MountUnavailable",
            "False MountUnavailable",
        ),
        (
            "missing path of an edit",
            with_main(older()).but(blocked(BlockerKind::MountUnavailable)),
            "True ContainerReady",
            "False MountUnavailable",
        ),
        (
            "missing secret",
            situation().but(blocked(BlockerKind::SecretUnavailable)),
            "False SecretUnavailable",
            "False SecretUnavailable",
        ),
        (
            "fixed port taken",
            situation().but(blocked(BlockerKind::PortConflict)),
            "False PortConflict",
            "False PortConflict",
        ),
        (
            "refused field",
            situation().but(blocked(BlockerKind::FieldRefused)),
            "False FieldRefused",
            "False FieldRefused",
        ),
        (
            "pulling",
            situation().but(|it| it.facts.pull = pulling()),
            "False Pulling",
            "False Pulling",
        ),
        (
            "pulling for an edit",
            with_main(older()).but(|it| it.facts.pull = pulling()),
            "True ContainerReady",
            "False Pulling",
        ),
        (
            "no image",
            situation().but(|it| it.facts.pull = unpulled()),
            "False ImageUnavailable",
            "False ImageUnavailable",
        ),
        (
            "no image for an edit",
            with_main(older()).but(|it| it.facts.pull = unpulled()),
            "True ContainerReady",
            "False ImageUnavailable",
        ),
        ("to be replaced", with_main(older()), "True ContainerReady", "False UpdatePending"),
        ("being replaced", replacing(), "False UpdatePending", "False UpdatePending"),
        (
            "rolled back",
            with_main(older()).but(|it| it.memory.rejected = Some(rejected.clone())),
            "True ContainerReady",
            "False UpdateFailed",
        ),
        (
            "rolled back, in a crash loop",
            with_main(exited(Container { started_at: Some(at(998)), ..older() }, 1, 999)).but(
                |it| {
                    it.memory.rejected = Some(rejected);
                    it.memory.restarts = restarts;
                },
            ),
            "False UpdateFailed",
            "False UpdateFailed",
        ),
        (
            "waits for a restart",
            with_main(older()).but(|it| it.desired.update_policy = UpdatePolicy::OnRestart),
            "True ContainerReady",
            "False RestartRequired",
        ),
        (
            "other limits",
            with_main(running()).but(|it| it.desired.limits.pids = Some(9)),
            "True ContainerReady",
            "False UpdatePending",
        ),
        ("succeeded", finished(0), "False ContainerSucceeded", up),
        ("failed for good", finished(3), "False ContainerFailed", up),
        (
            "succeeded and cleared away",
            finished(0).but(|it| it.observed.main = None),
            "False ContainerSucceeded",
            up,
        ),
        (
            "done, and edited to something impossible",
            finished(0)
                .but(|it| it.observed.main = Some(exited(older(), 0, 990)))
                .but(blocked(BlockerKind::MountUnavailable)),
            "False MountUnavailable",
            "False MountUnavailable",
        ),
        ("to be suspended", with_main(running()).but(suspended), "False SandboxSuspended", up),
        (
            "edited and to be suspended",
            with_main(older()).but(suspended),
            "False SandboxSuspended",
            "False UpdatePending",
        ),
        ("suspended", with_main(in_state(Exited)).but(suspended), "False SandboxSuspended", up),
        ("never made, suspended", situation().but(suspended), "False SandboxSuspended", up),
        ("expired", with_main(in_state(Exited)).but(expired), "False SandboxExpired", up),
        (
            "expired and removed",
            situation().but(expired).but(|it| it.desired.shutdown_policy = ShutdownPolicy::Delete),
            "False SandboxExpired",
            up,
        ),
        (
            "does not converge",
            with_main(in_state(Created)).but(|it| it.not_converging = Some("start it")),
            "False NotConverging",
            up,
        ),
        (
            "does not converge at all",
            situation().but(|it| it.not_converging = Some("create the container")),
            "False NotConverging",
            "False UpdatePending",
        ),
        (
            "replaced in vain",
            with_main(older()).but(|it| it.not_converging = Some("create a replacement")),
            "True ContainerReady",
            "False NotConverging",
        ),
        (
            "file broken",
            with_main(running()).but(|it| it.stale = Some(("SpecInvalid", "line 3"))),
            "True ContainerReady",
            "False SpecInvalid",
        ),
        (
            "file unreadable",
            with_main(running()).but(|it| it.stale = Some(("SpecUnreadable", "denied"))),
            "True ContainerReady",
            "False SpecUnreadable",
        ),
        (
            "declared twice",
            with_main(running()).but(|it| it.stale = Some(("Conflict", "b.yaml"))),
            "True ContainerReady",
            "False Conflict",
        ),
        (
            "deletion held",
            with_main(running()).but(|it| it.stale = Some(("PruneHeld", "12 are gone"))),
            "True ContainerReady",
            "False PruneHeld",
        ),
    ]
}

#[test]
fn each_situation_has_its_words() {
    for (what, situation, ready, up_to_date) in situations() {
        let status = situation.status();
        assert_eq!(says(&status, "Ready"), ready, "{what}");
        assert_eq!(says(&status, "UpToDate"), up_to_date, "{what}");
    }
}

#[test]
fn a_probe_that_waits_says_for_what() {
    let waiting = with_main(running()).but(|it| {
        it.desired.readiness = Some(tcp_probe());
        it.facts.readiness = ProbeView::Pending { message: "connection refused".to_owned() };
    });
    assert_eq!(waiting.status().condition("Ready").unwrap().message, "connection refused");
}

#[test]
fn each_port_goes_by_its_own_name() {
    let status = with_main(running())
        .but(|it| {
            let port = |name: &str, container_port, protocol| Port {
                name: name.to_owned(),
                container_port,
                protocol,
                ..it.desired.container.ports[0].clone()
            };
            it.desired.container.ports = vec![
                port("metrics", 9090, Protocol::Tcp),
                port("dns", 8080, Protocol::Udp),
                port("http", 8080, Protocol::Tcp),
            ];
        })
        .status();
    let names: Vec<_> = status.endpoints.iter().map(|endpoint| &*endpoint.name).collect();
    assert_eq!(names, ["http"]);
}

#[test]
fn every_reason_is_on_the_list_and_every_condition_in_its_place() {
    for (what, situation, ..) in situations() {
        let status = situation.status();
        let mut places = Vec::new();
        for condition in &status.conditions {
            assert!(REASONS.contains(&condition.reason.as_str()), "{what}: {}", condition.reason);
            places.push(TYPES.iter().position(|type_| *type_ == condition.type_).unwrap());
            assert_eq!(condition.observed_generation, Some(1), "{what}");
        }
        assert!(places.is_sorted(), "{what}: {:?}", lines(&status));
        let distinct: BTreeSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len(), "{what}");
    }
}

#[test]
fn the_list_of_reasons_is_sorted_and_without_repeats() {
    assert!(REASONS.is_sorted_by(|one, other| one < other));
}

#[test]
fn acceptance_tells_a_wrong_file_from_one_that_cannot_be_read() {
    let with = |stale| with_main(running()).but(|it| it.stale = stale).status();
    for (stale, expected) in [
        (None, "True Accepted"),
        (Some(("SpecInvalid", "")), "False SpecInvalid"),
        (Some(("Conflict", "")), "False Conflict"),
        (Some(("SpecUnreadable", "")), "Unknown SpecUnreadable"),
        (Some(("PruneHeld", "")), "True Accepted"),
    ] {
        assert_eq!(says(&with(stale), "Accepted"), expected);
    }
    let refused = situation().but(blocked(BlockerKind::FieldRefused)).status();
    assert_eq!(says(&refused, "Accepted"), "False FieldRefused");
}

#[test]
fn permissions_are_spoken_of_only_where_some_are_declared() {
    let rule = Permission {
        path: "/data".to_owned(),
        mode: 0o777,
        uid: None,
        gid: None,
        recursive: false,
        create: false,
    };
    assert_eq!(with_main(running()).status().condition("PermissionsApplied"), None);
    let drift = PermissionView::Drifted(vec!["/data: mode 0755".to_owned(), "/x".to_owned()]);
    for (view, expected, message) in [
        (PermissionView::Hold, "True PermissionsHold", ""),
        (drift, "False PermissionsDrifted", "/data: mode 0755; /x"),
        (PermissionView::Failed("no chmod".to_owned()), "False PermissionsFailed", "no chmod"),
        (PermissionView::NotChecked, "Unknown NotChecked", "the container does not run"),
    ] {
        let status = with_main(running())
            .but(|it| {
                it.desired.permissions = vec![rule.clone()];
                it.facts.permissions = view;
            })
            .status();
        assert_eq!(says(&status, "PermissionsApplied"), expected);
        assert_eq!(status.condition("PermissionsApplied").unwrap().message, message);
    }
}

#[test]
fn suspended_means_that_nothing_of_it_runs_any_more() {
    let suspended = |it: &mut Situation| it.desired.operating_mode = OperatingMode::Suspended;
    let of = |situation: Situation| says(&situation.status(), "Suspended");
    assert_eq!(of(with_main(running())), "False NotSuspended");
    assert_eq!(of(with_main(running()).but(suspended)), "False ContainerStopping");
    assert_eq!(of(replacing().but(suspended)), "False ContainerStopping");
    assert_eq!(
        of(with_main(in_state(ContainerState::Paused)).but(suspended)),
        "False ContainerStopping"
    );
    assert_eq!(of(with_main(exited(running(), 0, 1)).but(suspended)), "True ContainerStopped");
}

#[test]
fn finished_is_said_of_what_ended_for_good_only() {
    assert_eq!(with_main(running()).status().condition("Finished"), None);
    for (succeeded, expected) in [
        (Some(true), "True ContainerSucceeded"),
        (Some(false), "True ContainerFailed"),
        (None, "True ContainerEnded"),
    ] {
        let spec_hash = fingerprint(&desired("app:1")).spec_hash;
        let status = situation()
            .but(|it| it.memory.finished = Some(Finished { spec_hash, succeeded, at: at(1) }))
            .status();
        assert_eq!(says(&status, "Finished"), expected);
    }
}

#[test]
fn a_difference_names_its_fields() {
    let message =
        |situation: Situation| situation.status().condition("UpToDate").unwrap().message.clone();
    let limits = with_main(running())
        .but(|it| it.desired.limits = Limits { pids: Some(9), ..Limits::default() });
    assert_eq!(message(limits), "differs in resources.limits.pids");
    // While a replacement is planned, that is what is said.
    assert_eq!(message(with_main(older())), "a replacement is created");
}

#[test]
fn the_transition_time_moves_only_when_the_status_does() {
    let mut situation = with_main(running()).but(|it| {
        it.desired.readiness = Some(tcp_probe());
        it.facts.readiness = failing("main");
    });
    let mut previous = situation.status();
    for condition in &mut previous.conditions {
        condition.last_transition_time = Time(at(5));
    }
    situation.previous = Some(previous);
    let time = |situation: &Situation, type_: &str| {
        situation.status().condition(type_).unwrap().last_transition_time.clone()
    };
    assert_eq!(time(&situation, "Ready"), Time(at(5)));
    // Another reason for the same status is no transition.
    situation.facts.readiness = ProbeView::Pending { message: String::new() };
    assert_eq!(says(&situation.status(), "Ready"), "False ContainerStarting");
    assert_eq!(time(&situation, "Ready"), Time(at(5)));
    situation.facts.readiness = passing("main");
    assert_eq!(time(&situation, "Ready"), Time(at(NOW)));
    assert_eq!(time(&situation, "Accepted"), Time(at(5)));
}

#[test]
fn equal_situations_have_equal_statuses_at_any_time() {
    for (what, mut situation, ..) in situations() {
        let mut first = situation.status();
        for condition in &mut first.conditions {
            condition.last_transition_time = Time(at(1));
        }
        situation.previous = Some(first.clone());
        assert_eq!(situation.status(), first, "{what}");
    }
}

#[test]
fn the_status_tells_where_the_ports_are_and_what_serves() {
    let mut main = running();
    main.bindings.push(Binding {
        container_port: 53,
        protocol: Protocol::Udp,
        host_ip: LOOPBACK,
        host_port: 5353,
    });
    let status = with_main(main).but(|it| it.memory.restarts.total = 4).status();
    let [http, dns] = status.endpoints.as_slice() else { panic!("{:?}", status.endpoints) };
    assert_eq!((http.name.as_str(), http.container_port, http.host_port), ("http", 8080, 8080));
    assert_eq!(http.url.as_deref(), Some("http://sandboxes.example:8080"));
    assert_eq!(http.host_ip, "127.0.0.1");
    // A port that the spec no longer names goes by its number, and UDP has no URL.
    assert_eq!((dns.name.as_str(), dns.url.as_deref()), ("53", None));
    let shown = status.container.unwrap();
    assert_eq!((shown.name.as_str(), shown.state.as_str()), ("sandbox-web", "running"));
    assert_eq!((shown.engine.as_str(), shown.restart_count), ("docker", 4));
    assert_eq!(status.source_file.as_deref(), Some("/specs/web.yaml"));
    assert_eq!(status.notices, ["a notice"]);
    assert_eq!(status.observed_generation, Some(1));
}

#[test]
fn nothing_is_published_where_nothing_runs() {
    let status = with_main(exited(running(), 0, 1)).status();
    assert_eq!(status.endpoints, []);
    assert_eq!(status.container.unwrap().state, "exited");
    assert_eq!(situation().status().container, None);
}

#[test]
fn the_replacement_is_shown_while_it_comes_up() {
    assert_eq!(replacing().status().container.unwrap().id, "new");
}

#[test]
fn while_the_engine_is_away_only_what_it_cannot_change_stays_said() {
    let rule = Permission {
        path: "/data".to_owned(),
        mode: 0o777,
        uid: None,
        gid: None,
        recursive: false,
        create: false,
    };
    let known = with_main(running())
        .but(|it| {
            it.desired.permissions = vec![rule];
            it.facts.permissions = PermissionView::Hold;
        })
        .status();
    let status = unknown(Some(&known), 2, "/specs/web.yaml", AWAY, "refused", at(2000));
    let expected = [
        "Accepted True Accepted",
        "Ready Unknown EngineUnavailable",
        "UpToDate Unknown EngineUnavailable",
        "PermissionsApplied Unknown EngineUnavailable",
        "Suspended Unknown EngineUnavailable",
    ];
    assert_eq!(lines(&status), expected);
    assert_eq!(status.container, known.container);
    assert_eq!(status.endpoints, known.endpoints);
    let ready = status.condition("Ready").unwrap();
    assert_eq!(ready.message, "refused");
    assert_eq!(ready.last_transition_time, Time(at(2000)));
    assert_eq!(ready.observed_generation, Some(2));
    // Saying it again changes nothing.
    let again = unknown(Some(&status), 2, "/specs/web.yaml", AWAY, "refused", at(3000));
    assert_eq!(again, status);
}

#[test]
fn an_update_that_failed_stays_failed_while_the_engine_is_away() {
    let known = with_main(older()).but(|it| it.facts.pull = unpulled()).status();
    let status = unknown(Some(&known), 1, "", AWAY, "refused", at(2000));
    assert_eq!(says(&status, "UpToDate"), "False ImageUnavailable");
}

#[test]
fn a_sandbox_that_was_never_seen_is_unknown_and_no_more() {
    let status = unknown(None, 1, "/specs/web.yaml", AWAY, "refused", at(NOW));
    assert_eq!(lines(&status), ["Ready Unknown EngineUnavailable"]);
    assert_eq!(status.source_file.as_deref(), Some("/specs/web.yaml"));
}

#[test]
fn a_spec_that_the_configuration_no_longer_admits_is_said_to_be_refused_and_its_container_stays() {
    let known = with_main(running()).status();
    let status = refused(
        Some(&known),
        1,
        "/specs/web.yaml",
        "SpecInvalid",
        "spec.image: not allowed",
        at(2000),
    );
    assert_eq!(says(&status, "Accepted"), "False SpecInvalid");
    assert_eq!(says(&status, "Ready"), "Unknown SpecInvalid");
    assert_eq!(status.container, known.container);
    for changed in ["Accepted", "Ready"] {
        assert_eq!(status.condition(changed).unwrap().last_transition_time, Time(at(2000)));
    }
    let unseen = refused(None, 1, "", "PolicyViolation", "why", at(1));
    assert_eq!(says(&unseen, "Accepted"), "False PolicyViolation");
}
