//! Each rule as a table; rows of the list of hostile inputs are named in the tests' names.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::host_paths::AllowedPath;
use super::*;
use crate::plan::testing::{LOOPBACK, desired};
use crate::plan::{Settings, admit, validate};
use crate::sandbox::{Sandbox, SandboxSpec, yaml};

mod images;

fn settings(policy: Policy) -> Settings {
    Settings {
        defaults: SandboxSpec::default(),
        prefix: "sandbox".to_owned(),
        bind: LOOPBACK,
        policy,
    }
}

fn sandbox(text: &str) -> Sandbox {
    let mut spec: SandboxSpec = yaml::read_typed(text.as_bytes()).unwrap();
    spec.image.get_or_insert_with(|| "app:1".to_owned());
    Sandbox::new("web", spec)
}

/// What is told of a spec under a policy. Nothing: it is accepted.
fn told(text: &str, policy: &Policy) -> Vec<String> {
    let admitted = admit(&sandbox(text), &settings(policy.clone()), Path::new("/specs"));
    admitted.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// Refused by the default policy with this message, and accepted by the one that opens it.
#[track_caller]
fn assert_needs(text: &str, message: &str, open: impl FnOnce(&mut Policy)) {
    assert_eq!(told(text, &Policy::default()), [message], "{text}");
    let mut policy = Policy::default();
    open(&mut policy);
    assert_eq!(told(text, &policy), [""; 0], "{text}");
}

fn allowed(path: &str, read_only: bool) -> AllowedPath {
    AllowedPath { path: path.into(), read_only }
}

#[test]
fn the_smallest_spec_passes_the_default_policy_and_gets_a_limit_of_processes() {
    let admitted =
        admit(&sandbox("{}"), &settings(Policy::default()), Path::new("/specs")).unwrap();
    assert_eq!(admitted.desired.limits.pids, Some(2048));
    assert_eq!(admitted.notices, [""; 0]);
    let own = sandbox("{resources: {limits: {pids: 5}}}");
    let admitted = admit(&own, &settings(Policy::default()), Path::new("/specs")).unwrap();
    assert_eq!(admitted.desired.limits.pids, Some(5));
}

#[test]
fn row_18_privileged_is_refused_unless_the_policy_allows_it() {
    assert_needs(
        "{securityContext: {privileged: true}}",
        "spec.securityContext.privileged: true is not allowed by policy.privileged (allowed: false)",
        |policy| policy.privileged = true,
    );
}

#[test]
fn row_19_capabilities_beyond_the_default_ones_are_refused() {
    assert_needs(
        "{securityContext: {capabilities: {add: [SYS_ADMIN]}}}",
        "spec.securityContext.capabilities.add: SYS_ADMIN is not allowed by policy.capabilities \
         (allowed: the default ones)",
        |policy| policy.capabilities.extend(["SYS_ADMIN".to_owned()]),
    );
    assert_needs(
        "{securityContext: {capabilities: {add: [sys_ptrace, net_raw]}}}",
        "spec.securityContext.capabilities.add: NET_RAW, SYS_PTRACE is not allowed by \
         policy.capabilities (allowed: the default ones)",
        |policy| policy.capabilities.extend(["ALL".to_owned()]),
    );
    let all = told("{securityContext: {capabilities: {add: [ALL]}}}", &Policy::default());
    assert!(all[0].contains("SYS_ADMIN") && all[0].contains("SYS_MODULE"), "{all:?}");
    // Fewer are always allowed, and so is a part of the default ones.
    for text in ["{drop: [ALL]}", "{drop: [ALL], add: [CHOWN]}", "{add: [CHOWN]}"] {
        let text = format!("{{securityContext: {{capabilities: {text}}}}}");
        assert_eq!(told(&text, &Policy::default()), [""; 0], "{text}");
    }
}

#[test]
fn privileges_that_can_be_gained_are_refused_unless_the_policy_allows_them() {
    assert_needs(
        "{securityContext: {allowPrivilegeEscalation: true}}",
        "spec.securityContext.allowPrivilegeEscalation: true is not allowed by \
         policy.allowPrivilegeEscalation (allowed: false)",
        |policy| policy.allow_privilege_escalation = true,
    );
}

#[test]
fn row_20_named_networks_are_refused_unless_the_policy_names_them() {
    let text = "{network: {mode: Named, name: lab}}";
    assert_needs(
        text,
        "spec.network.name: \"lab\" is not allowed by policy.networks (allowed: nothing)",
        |policy| policy.networks = Names(vec!["lab".to_owned()]),
    );
    let other = Policy { networks: Names(vec!["labs".to_owned()]), ..Policy::default() };
    assert_eq!(told(text, &other).len(), 1);
    let any = Policy { networks: Names(vec!["*".to_owned()]), ..Policy::default() };
    assert_eq!(told(text, &any), [""; 0]);
    // Another namespace under the guise of a network's name is refused whatever the policy says.
    for name in ["host", "container:x", "HOST", "default"] {
        let text = format!("{{network: {{mode: Named, name: '{name}'}}}}");
        assert_eq!(told(&text, &any).len(), 1, "{name}");
    }
}

#[test]
fn row_22_seccomp_unconfined_and_profiles_are_refused_unless_the_policy_allows_them() {
    assert_needs(
        "{securityContext: {seccompProfile: {type: Unconfined}}}",
        "spec.securityContext.seccompProfile: Unconfined is not allowed by \
         policy.seccomp.unconfined (allowed: false)",
        |policy| policy.seccomp.unconfined = true,
    );
    let profile =
        "{securityContext: {seccompProfile: {type: Localhost, localhostProfile: /p/a.json}}}";
    assert_needs(
        profile,
        "spec.securityContext.seccompProfile: /p/a.json is not allowed by policy.seccomp.profiles \
         (allowed: nothing)",
        |policy| policy.seccomp.profiles = vec!["/p".into()],
    );
    for other in ["/p/a.jso", "/pp", "/p/a.json/x"] {
        let mut policy = Policy::default();
        policy.seccomp.profiles = vec![other.into()];
        assert_eq!(told(profile, &policy).len(), 1, "{other}");
    }
}

#[test]
fn row_24_runtimes_are_refused_unless_the_policy_names_them() {
    assert_needs(
        "{runtimeClassName: runsc}",
        "spec.runtimeClassName: \"runsc\" is not allowed by policy.runtimes (allowed: nothing)",
        |policy| policy.runtimes = Names(vec!["runsc".to_owned()]),
    );
}

#[test]
fn row_25_a_policy_against_root_wants_a_number_that_is_not_0() {
    let strict = Policy { run_as_non_root: true, ..Policy::default() };
    let refused = |asked: &str| {
        vec![format!(
            "spec.securityContext.runAsUser: {asked} is not allowed by policy.runAsNonRoot \
             (allowed: a number other than 0)"
        )]
    };
    assert_eq!(told("{securityContext: {runAsUser: 0}}", &strict), refused("0"));
    // The image's own user, also by a name that the image maps to 0.
    assert_eq!(told("{}", &strict), refused("the image's own user"));
    assert_eq!(told("{securityContext: {runAsUser: 1000}}", &strict), [""; 0]);
    assert_eq!(told("{securityContext: {runAsUser: 0}}", &Policy::default()), [""; 0]);
}

#[test]
fn row_8_and_11_host_paths_are_refused_unless_the_policy_names_them() {
    let text = "{mounts: [{hostPath: /srv/agents/one, mountPath: /data}]}";
    let message = "spec.mounts[0].hostPath: /srv/agents/one is not allowed by policy.hostPaths \
                   (allowed: nothing)";
    assert_needs(text, message, |policy| policy.host_paths.allowed = vec![allowed("/srv", false)]);
    for other in ["/srv/agent", "/srv/agents/one/two", "/srv/agents/oneself"] {
        let rule = HostPaths { allowed: vec![allowed(other, false)] };
        let policy = Policy { host_paths: rule, ..Policy::default() };
        assert_eq!(told(text, &policy).len(), 1, "{other}");
    }
    let rule = HostPaths { allowed: vec![allowed("/srv", false)] };
    let policy = Policy { host_paths: rule, ..Policy::default() };
    let climbing = "{mounts: [{hostPath: /srv/../etc, mountPath: /data}]}";
    assert_eq!(told(climbing, &policy).len(), 1);
}

#[test]
fn the_deepest_rule_decides_whether_a_path_may_be_written() {
    let rules = vec![allowed("/srv", false), allowed("/srv/skills", true)];
    let policy = Policy { host_paths: HostPaths { allowed: rules }, ..Policy::default() };
    let refused = |path: &str, read_only: bool| {
        let mount = format!("{{hostPath: {path}, mountPath: /data, readOnly: {read_only}}}");
        told(&format!("{{mounts: [{mount}]}}"), &policy)
    };
    assert_eq!(refused("/srv/data", false), [""; 0]);
    assert_eq!(refused("/srv/skills/a", true), [""; 0]);
    assert_eq!(
        refused("/srv/skills/a", false),
        ["spec.mounts[0].hostPath: /srv/skills/a without readOnly: true is not allowed by \
          policy.hostPaths (allowed: /srv, /srv/skills (read-only))"]
    );
    // Writing to what holds it would write to it.
    assert_eq!(refused("/srv", false).len(), 1);
    assert_eq!(refused("/srv", true), [""; 0]);
}

#[test]
fn a_file_of_the_host_is_no_secret_of_a_spec_unless_the_policy_names_it() {
    let secret = |path: &str| {
        format!("{{env: [{{name: A, value: x}}, {{name: T, valueFrom: {{secretFile: {path}}}}}]}}")
    };
    assert_needs(
        &secret("/etc/shadow"),
        "spec.env[1].valueFrom.secretFile: /etc/shadow is not allowed by policy.secretFiles \
         (allowed: nothing)",
        |policy| policy.secret_files = vec!["/etc/shadow".into()],
    );
    let policy = Policy { secret_files: vec!["/run/secrets".into()], ..Policy::default() };
    assert_eq!(told(&secret("/run/secrets/token"), &policy), [""; 0]);
    for other in ["/run/secrets2", "/run", "/run/secrets/../shadow"] {
        assert_eq!(told(&secret(other), &policy).len(), 1, "{other}");
    }
}

#[test]
fn row_27_addresses_that_others_reach_are_refused() {
    for address in ["0.0.0.0", "192.0.2.1", "::", "::ffff:127.0.0.1"] {
        let text = format!("{{ports: [{{containerPort: 80, hostIP: '{address}'}}]}}");
        let parsed: IpAddr = address.parse().unwrap();
        let message = format!(
            "spec.ports[0].hostIP: {parsed} is not allowed by policy.ports.hostIPs (allowed: loopback)"
        );
        assert_needs(&text, &message, |policy| policy.ports.host_ips = vec![parsed]);
    }
    for address in ["127.0.0.1", "127.1.2.3", "::1"] {
        let text = format!("{{ports: [{{containerPort: 80, hostIP: '{address}'}}]}}");
        assert_eq!(told(&text, &Policy::default()), [""; 0], "{address}");
    }
    let unset = validate(
        &sandbox("{ports: [{containerPort: 80}]}"),
        &settings(Policy::default()),
        Path::new("/"),
    );
    assert_eq!(unset.unwrap().desired.container.ports[0].host_ip, LOOPBACK);
}

#[test]
fn the_operator_may_open_every_address_at_once() {
    let mut policy = Policy::default();
    policy.ports.host_ips = vec!["0.0.0.0".parse().unwrap()];
    let text =
        "{ports: [{containerPort: 80, hostIP: 192.0.2.1}, {containerPort: 81, hostIP: '::'}]}";
    assert_eq!(told(text, &policy), [""; 0]);
}

#[test]
fn row_28_ports_of_the_hosts_own_are_refused() {
    assert_needs(
        "{ports: [{containerPort: 80, hostPort: 80}]}",
        "spec.ports[0].hostPort: 80 is not allowed by policy.ports.hostPorts (allowed: 1024-65535)",
        |policy| policy.ports.host_ports = vec![80..=80],
    );
    for (port, refused) in [(1023, 1), (1024, 0), (65535, 0)] {
        let text = format!("{{ports: [{{containerPort: 80, hostPort: {port}}}]}}");
        assert_eq!(told(&text, &Policy::default()).len(), refused, "{port}");
    }
}

#[test]
fn one_sandbox_cannot_take_every_port() {
    let ports = |count: u16| {
        let each: Vec<String> = (1..=count).map(|it| format!("{{containerPort: {it}}}")).collect();
        format!("{{ports: [{}]}}", each.join(", "))
    };
    assert_eq!(told(&ports(32), &Policy::default()), [""; 0]);
    assert_eq!(
        told(&ports(33), &Policy::default()),
        ["spec.ports: 33 ports is not allowed by policy.ports.max (allowed: 32)"]
    );
}

#[test]
fn row_36_a_secret_in_the_spec_is_warned_of_or_refused_and_never_quoted() {
    let text = "{env: [{name: PATH, value: /bin}, {name: API_TOKEN, value: canary}]}";
    let under = |literal_secrets| {
        let policy = Policy { literal_secrets, ..Policy::default() };
        admit(&sandbox(text), &settings(policy), Path::new("/"))
    };
    let notices = under(LiteralSecrets::Warn).unwrap().notices;
    assert_eq!(notices.len(), 1);
    assert!(
        notices[0].starts_with("spec.env[1]: \"API_TOKEN\" looks like a secret"),
        "{notices:?}"
    );
    assert!(!notices[0].contains("canary"));
    assert_eq!(under(LiteralSecrets::Allow).unwrap().notices, [""; 0]);
    let refused = format!("{:?}", under(LiteralSecrets::Refuse).unwrap_err());
    assert!(refused.contains("spec.env[1].value") && refused.contains("policy.literalSecrets"));
    assert!(!refused.contains("canary"));
}

#[test]
fn row_39_modes_that_let_everybody_on_the_host_write_are_refused() {
    let open = |policy: &mut Policy| {
        policy.world_writable = true;
        policy.host_paths.allowed = vec![allowed("/srv", false)];
    };
    let mut closed = Policy::default();
    open(&mut closed);
    closed.world_writable = false;
    let table = [
        (
            "{mounts: [{hostPath: /srv/a, mountPath: /data, create: {mode: '0777'}}]}",
            "spec.mounts[0].create.mode: \"0777\", which lets everybody on the host write, is not \
             allowed by policy.worldWritable (allowed: false)",
        ),
        (
            "{mounts: [{hostPath: /srv/a, mountPath: /data}], permissions: [{path: /data/x, mode: '0777'}]}",
            "spec.permissions[0].mode: \"0777\", which lets everybody on the host write, is not \
             allowed by policy.worldWritable (allowed: false)",
        ),
    ];
    for (text, message) in table {
        assert_eq!(told(text, &closed), [message]);
        let mut policy = Policy::default();
        open(&mut policy);
        assert_eq!(told(text, &policy), [""; 0]);
    }
    for mode in ["0755", "0770", "0775"] {
        let text = format!(
            "{{mounts: [{{hostPath: /srv/a, mountPath: /data, create: {{mode: '{mode}'}}}}]}}"
        );
        assert_eq!(told(&text, &closed), [""; 0]);
    }
    // In the container alone it opens nothing of the host's.
    let inside = "{permissions: [{path: /mnt/user-data, mode: '0777', create: true}]}";
    assert_eq!(told(inside, &Policy::default()), [""; 0]);
}

#[test]
fn row_40_limits_beyond_the_most_are_refused_and_what_says_nothing_gets_the_most() {
    let most = Limits { nano_cpus: Some(2_000_000_000), memory: Some(1 << 30), pids: Some(100) };
    let limits = MaxLimits { of_a_running_container: most, shared_memory: Some(32 << 20) };
    let policy = Policy { limits, ..Policy::default() };
    let table = [
        ("cpu: 2500m", "cpu: 2500m is not allowed by policy.limits.cpu (allowed: at most 2)"),
        (
            "memory: 2Gi",
            "memory: 2Gi is not allowed by policy.limits.memory (allowed: at most 1Gi)",
        ),
        ("pids: 101", "pids: 101 is not allowed by policy.limits.pids (allowed: at most 100)"),
        (
            "sharedMemory: 64Mi",
            "sharedMemory: 64Mi is not allowed by policy.limits.sharedMemory (allowed: at most 32Mi)",
        ),
    ];
    for (limit, message) in table {
        let refused = told(&format!("{{resources: {{limits: {{{limit}}}}}}}"), &policy);
        assert_eq!(refused, [format!("spec.resources.limits.{message}")]);
    }
    let filled = admit(&sandbox("{}"), &settings(policy), Path::new("/")).unwrap().desired;
    assert_eq!(filled.limits, most);
    assert_eq!(filled.container.shared_memory, Some(32 << 20));
}

#[test]
fn shared_memory_is_asked_for_only_where_the_engines_default_is_too_much() {
    let given = |most: Option<i64>| {
        let mut policy = Policy::default();
        policy.limits.shared_memory = most;
        let admitted = admit(&sandbox("{}"), &settings(policy), Path::new("/specs")).unwrap();
        admitted.desired.container.shared_memory
    };
    assert_eq!(given(None), None);
    assert_eq!(given(Some(DEFAULT_SHARED_MEMORY)), None);
    assert_eq!(given(Some(DEFAULT_SHARED_MEMORY - 1)), Some(DEFAULT_SHARED_MEMORY - 1));
}

#[test]
fn defaults_of_the_daemon_are_below_the_ceiling_too() {
    let defaults: SandboxSpec = yaml::read_typed(b"{securityContext: {privileged: true}}").unwrap();
    let settings = Settings { defaults, ..settings(Policy::default()) };
    assert!(admit(&sandbox("{}"), &settings, Path::new("/")).is_err());
}

#[test]
fn everything_beyond_is_told_at_once() {
    let text = "{securityContext: {seccompProfile: {type: Unconfined}}, runtimeClassName: x, \
                ports: [{containerPort: 80, hostPort: 80, hostIP: 0.0.0.0}]}";
    let fields: Vec<String> = told(text, &Policy::default())
        .iter()
        .filter_map(|it| it.split(": ").next().map(str::to_owned))
        .collect();
    assert_eq!(
        fields,
        [
            "spec.securityContext.seccompProfile",
            "spec.ports[0].hostIP",
            "spec.ports[0].hostPort",
            "spec.runtimeClassName"
        ]
    );
}

#[test]
fn an_unrestricted_policy_allows_what_the_default_one_refuses() {
    let text = "{securityContext: {privileged: true}, runtimeClassName: x, \
                network: {mode: Named, name: n}, mounts: [{hostPath: /srv, mountPath: /data}], \
                env: [{name: T, valueFrom: {secretFile: /s}}], \
                ports: [{containerPort: 80, hostPort: 80, hostIP: 0.0.0.0}]}";
    assert_eq!(told(text, &Policy::unrestricted()), [""; 0]);
    let profile = "{securityContext: {seccompProfile: {type: Localhost, localhostProfile: /p/a}}}";
    let open = "{securityContext: {seccompProfile: {type: Unconfined}}, \
                mounts: [{hostPath: /srv, mountPath: /data}], \
                permissions: [{path: /data, mode: '0777'}]}";
    for text in [profile, open] {
        assert_eq!(told(text, &Policy::unrestricted()), [""; 0], "{text}");
        assert_ne!(told(text, &Policy::default()), [""; 0], "{text}");
    }
    let literal = sandbox("{env: [{name: TOKEN, value: x}]}");
    let admitted = admit(&literal, &settings(Policy::unrestricted()), Path::new("/specs")).unwrap();
    assert_eq!(admitted.notices, [""; 0]);
    assert_eq!(Policy::unrestricted().max_sandboxes, None);
}

#[test]
fn a_profile_that_cannot_be_named_is_allowed_where_some_are() {
    let mut grant = Grant::of(&desired("app:1"));
    grant.seccomp = SeccompGrant::Profile(None);
    let refused = |profiles: &[&str]| {
        let profiles = profiles.iter().map(Into::into).collect();
        seccomp(&grant, &SeccompRule { unconfined: false, profiles })
    };
    assert_eq!(refused(&["/p"]), None);
    assert_eq!(
        refused(&[]).unwrap().to_string(),
        "spec.securityContext.seccompProfile: a profile of its own is not allowed by \
         policy.seccomp.profiles (allowed: nothing)"
    );
}

#[test]
fn amounts_are_shown_in_the_largest_unit_that_fits_whole() {
    for (amount, shown) in [
        (0, "0"),
        (1023, "1023"),
        (1 << 10, "1Ki"),
        (3 << 20, "3Mi"),
        (1536 << 20, "1536Mi"),
        (2 << 30, "2Gi"),
        ((1 << 30) + 1, "1073741825"),
    ] {
        assert_eq!(bytes(amount), shown);
    }
    assert_eq!((cpus(2_000_000_000), cpus(1_500_000_000)), ("2".to_owned(), "1500m".to_owned()));
}

#[test]
fn a_violation_is_a_problem_of_the_policys_and_all_of_them_are_one_text() {
    let violation = |field: &str| Violation::new(field, "true", "privileged", "false");
    let problem = Problem::from(violation("spec.a"));
    assert_eq!(problem.reason, ProblemReason::PolicyViolation);
    let one = "spec.a: true is not allowed by policy.privileged (allowed: false)";
    assert_eq!(problem.to_string(), one);
    let both = as_text(&[violation("spec.a"), violation("spec.b")]);
    assert_eq!(both, format!("{one}; {}", one.replace("spec.a", "spec.b")));
    assert_eq!(as_text(&[]), "");
}

proptest! {
    /// A wider policy never refuses what a narrower one allows.
    #[test]
    fn a_wider_policy_refuses_nothing_more(
        privileged: bool,
        escalation: bool,
        capability in prop::sample::select(vec!["CHOWN", "NET_RAW", "SYS_ADMIN"]),
        port in 1u16..3000,
        pids in prop::option::of(1i64..4000),
    ) {
        let mut wanted = desired("app:1");
        wanted.container.security.privileged = privileged;
        wanted.container.security.no_new_privileges = !escalation;
        wanted.container.security.capabilities = vec![capability.to_owned()];
        wanted.container.ports[0].host_port = Some(port);
        wanted.container.env = BTreeMap::new();
        wanted.limits.pids = pids;
        let grant = Grant::of(&wanted);
        let wide = judge(&grant, &Policy::unrestricted());
        prop_assert_eq!(wide, []);
        let narrow = judge(&grant, &Policy::default());
        let beyond = privileged
            || escalation
            || capability != "CHOWN"
            || port < 1024
            || pids.is_none_or(|pids| pids > 2048);
        prop_assert_eq!(!narrow.is_empty(), beyond, "{:?}", narrow);
    }
}
