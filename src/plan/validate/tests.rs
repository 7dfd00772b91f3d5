use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::plan::desired::{
    BindMount, CreateDirectory, EnvValue, Limits, NetworkChoice, Permission, Port, ProbeAction,
    ProbeSpec, Seccomp, Security,
};
use crate::sandbox::{
    OperatingMode, Protocol, PullPolicy, RestartPolicy, ShutdownPolicy, UpdatePolicy, yaml,
};

mod defaults;
mod labels;
mod mistakes;
mod names;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn settings() -> Settings {
    Settings {
        defaults: SandboxSpec::default(),
        prefix: "sandbox".to_owned(),
        bind: LOOPBACK,
        policy: Policy::default(),
    }
}

fn spec(text: &str) -> SandboxSpec {
    yaml::read_typed(text.as_bytes()).unwrap()
}

fn sandbox(text: &str) -> Sandbox {
    let mut sandbox = Sandbox::new("web", spec(text));
    sandbox.metadata.uid = Some("uid-1".to_owned());
    sandbox.metadata.generation = Some(3);
    sandbox.metadata.creation_timestamp = Some(Time(created()));
    sandbox
}

fn created() -> Timestamp {
    "2026-08-01T12:00:00Z".parse().unwrap()
}

fn check(sandbox: &Sandbox, settings: &Settings) -> Result<Validated, Vec<String>> {
    validate(sandbox, settings, Path::new("/srv/specs"))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn valid(text: &str) -> Desired {
    check(&sandbox(text), &settings()).unwrap().desired
}

fn with_defaults(text: &str, defaults: &str) -> Validated {
    let settings = Settings { defaults: spec(defaults), ..settings() };
    check(&sandbox(text), &settings).unwrap()
}

/// The problems of a spec that has an image besides.
fn problems(text: &str) -> Vec<String> {
    let mut sandbox = sandbox(text);
    sandbox.spec.image.get_or_insert("a:1".to_owned());
    check(&sandbox, &settings()).unwrap_err()
}

fn tcp(name: &str, container_port: u16) -> Port {
    let name = name.to_owned();
    Port { name, container_port, protocol: Protocol::Tcp, host_port: None, host_ip: LOOPBACK }
}

#[test]
fn an_image_alone_gets_every_built_in_default() {
    let desired = valid("image: example/web:1");
    let capabilities = DEFAULT_CAPABILITIES.map(str::to_owned).to_vec();
    let expected = Desired {
        name: crate::plan::SandboxName("web".to_owned()),
        uid: "uid-1".to_owned(),
        generation: 3,
        created_at: created(),
        container: ContainerSpec {
            image: "example/web:1".to_owned(),
            command: None,
            args: None,
            working_dir: None,
            env: std::collections::BTreeMap::new(),
            ports: vec![tcp("http", 8080)],
            mounts: vec![],
            shared_memory: None,
            security: Security {
                seccomp: Seccomp::RuntimeDefault,
                capabilities,
                privileged: false,
                no_new_privileges: true,
                read_only_root: false,
                run_as_user: None,
                run_as_group: None,
            },
            runtime: None,
            network: NetworkChoice::Bridge,
        },
        limits: Limits::default(),
        pull_policy: PullPolicy::IfNotPresent,
        readiness: Some(ProbeSpec {
            action: ProbeAction::Tcp { port: "http".to_owned() },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
        }),
        liveness: None,
        permissions: vec![],
        restart_policy: RestartPolicy::Always,
        grace: Duration::from_secs(10),
        operating_mode: OperatingMode::Running,
        shutdown_at: None,
        shutdown_policy: ShutdownPolicy::Retain,
        update_policy: UpdatePolicy::Recreate,
        adopt: false,
        asks_no_new_privileges: false,
    };
    assert_eq!(desired, expected);
}

#[test]
fn the_documented_capabilities_are_sorted_and_leave_three_of_dockers_out() {
    assert!(DEFAULT_CAPABILITIES.is_sorted());
    for dropped in ["NET_RAW", "MKNOD", "AUDIT_WRITE", "SYS_ADMIN"] {
        assert!(!DEFAULT_CAPABILITIES.contains(&dropped));
    }
}

#[test]
fn everything_that_is_written_arrives() {
    let desired = valid(
        "
image: example/web:1
imagePullPolicy: Never
command: [run]
args: [\"a\\nb\"]
workingDir: /app/
env:
- {name: A, value: x}
- {name: B, valueFrom: {secretFile: /etc/secret}}
- {name: C}
ports:
- {containerPort: 80, hostPort: 80, hostIP: 127.0.0.2}
- {name: dns, containerPort: 53, protocol: UDP}
mounts:
- {hostPath: data, mountPath: /data, readOnly: true, create: {mode: '0700', uid: 1000}}
permissions:
- {path: /data/x/, mode: '0777', gid: 5, recursive: true, create: true}
resources: {limits: {cpu: 500m, memory: 1Gi, pids: 100, sharedMemory: 64Mi}}
securityContext:
  seccompProfile: {type: Localhost, localhostProfile: /etc/seccomp.json}
  capabilities: {drop: [all], add: [net_admin]}
  readOnlyRootFilesystem: true
  runAsUser: 1000
  runAsGroup: 1000
runtimeClassName: runsc
network: {mode: Named, name: backend}
livenessProbe: {exec: {command: [true]}, periodSeconds: 5}
restartPolicy: OnFailure
terminationGracePeriodSeconds: 0
operatingMode: Suspended
shutdownAfter: 8h
shutdownPolicy: Delete
updatePolicy: OnRestart
",
    );
    let container = &desired.container;
    assert_eq!(desired.pull_policy, PullPolicy::Never);
    assert_eq!(container.command.as_deref(), Some(&["run".to_owned()][..]));
    assert_eq!(container.args.as_deref(), Some(&["a\nb".to_owned()][..]));
    assert_eq!(container.working_dir.as_deref(), Some("/app"));
    assert_eq!(container.env["A"], EnvValue::Literal("x".to_owned()));
    assert_eq!(container.env["B"], EnvValue::SecretFile("/etc/secret".into()));
    assert_eq!(container.env["C"], EnvValue::Literal(String::new()));
    let host_ip = "127.0.0.2".parse().unwrap();
    let web = Port { host_port: Some(80), host_ip, ..tcp("80-tcp", 80) };
    let dns = Port { protocol: Protocol::Udp, ..tcp("dns", 53) };
    assert_eq!(container.ports, [web, dns]);
    let create = Some(CreateDirectory { mode: 0o700, uid: Some(1000), gid: None });
    let mount = BindMount {
        host_path: "/srv/specs/data".into(),
        mount_path: "/data".to_owned(),
        read_only: true,
        create,
    };
    assert_eq!(container.mounts, [mount]);
    let permission = Permission {
        path: "/data/x".to_owned(),
        mode: 0o777,
        uid: None,
        gid: Some(5),
        recursive: true,
        create: true,
    };
    assert_eq!(desired.permissions, [permission]);
    let limits =
        Limits { nano_cpus: Some(500_000_000), memory: Some(1_073_741_824), pids: Some(100) };
    assert_eq!(desired.limits, limits);
    assert_eq!(container.shared_memory, Some(67_108_864));
    let security = Security {
        seccomp: Seccomp::Localhost("/etc/seccomp.json".into()),
        capabilities: vec!["NET_ADMIN".to_owned()],
        privileged: false,
        no_new_privileges: true,
        read_only_root: true,
        run_as_user: Some(1000),
        run_as_group: Some(1000),
    };
    assert_eq!(container.security, security);
    assert_eq!(container.runtime.as_deref(), Some("runsc"));
    assert_eq!(container.network, NetworkChoice::Named("backend".to_owned()));
    let readiness = desired.readiness.unwrap();
    assert_eq!(readiness.action, ProbeAction::Tcp { port: "80-tcp".to_owned() });
    let liveness = desired.liveness.unwrap();
    assert_eq!(liveness.action, ProbeAction::Exec { command: vec!["true".to_owned()] });
    assert_eq!(liveness.period, Duration::from_secs(5));
    assert_eq!(desired.restart_policy, RestartPolicy::OnFailure);
    assert_eq!(desired.grace, Duration::ZERO);
    assert_eq!(desired.operating_mode, OperatingMode::Suspended);
    assert_eq!(desired.shutdown_at, Some("2026-08-01T20:00:00Z".parse().unwrap()));
    assert_eq!(desired.shutdown_policy, ShutdownPolicy::Delete);
    assert_eq!(desired.update_policy, UpdatePolicy::OnRestart);
}

#[test]
fn every_error_is_reported_with_its_path() {
    let found = problems(
        "
image: 'a b'
env: [{name: 'A=B'}, {name: ''}, {name: X}, {name: X}]
ports: [{containerPort: 80, name: Web}, {containerPort: 80, hostIP: nowhere}]
mounts: [{hostPath: /, mountPath: rel}]
permissions: [{path: rel, mode: '755'}]
",
    );
    assert_eq!(
        found,
        [
            "spec.image: \"a b\" is not an image: between slashes it has letters and digits, joined by a dot, underscores or dashes",
            "spec.env[0].name: must not contain `=`; the value goes in `value`",
            "spec.env[1].name: must not be empty",
            "spec.env[3].name: \"X\" is set twice",
            "spec.ports[0].name: \"Web\" is not a port's name: use lower-case letters, digits and dashes, at most 15",
            "spec.ports[1].hostIP: \"nowhere\" is not an IP address",
            "spec.ports[1].containerPort: 80/TCP is published twice",
            "spec.mounts[0].hostPath: \"/\" is never mounted: it would hand over the host",
            "spec.mounts[0].mountPath: \"rel\" is not an absolute path",
            "spec.permissions[0].path: \"rel\" is not an absolute path",
            "spec.permissions[0].mode: write \"0755\"",
        ]
    );
}

#[test]
fn a_huge_environment_value_is_refused_and_not_quoted() {
    let with_value_of = |bytes: usize| {
        let mut sandbox = sandbox("image: a");
        let value = Some("s".repeat(bytes));
        sandbox.spec.env =
            Some(vec![crate::sandbox::EnvVar { name: "A".into(), value, value_from: None }]);
        check(&sandbox, &settings())
    };
    assert!(with_value_of(131_072).is_ok());
    for bytes in [131_073, 1 << 20] {
        let told = format!("spec.env[0].value: has {bytes} bytes; at most 131072 are allowed");
        assert_eq!(with_value_of(bytes).unwrap_err(), [told]);
    }
}

#[test]
fn limits_by_themselves_are_read_as_in_a_spec() {
    let limits = |text: &str| serde_yaml::from_str::<ResourceLimits>(text).unwrap();
    let read =
        read_limits(&limits("{cpu: 500m, memory: 1Gi, pids: 7, sharedMemory: 1Mi}")).unwrap();
    let running = Limits { nano_cpus: Some(500_000_000), memory: Some(1 << 30), pids: Some(7) };
    assert_eq!(read, (running, Some(1 << 20)));
    assert_eq!(read_limits(&limits("{}")), Ok((Limits::default(), None)));
    let told = read_limits(&limits("{memory: much}")).unwrap_err();
    assert!(told[0].to_string().starts_with("spec.resources.limits.memory: \"much\""), "{told:?}");
}

#[test]
fn whether_no_new_privileges_was_asked_for_is_remembered() {
    let asks = |context: &str| valid(&format!("image: a\n{context}")).asks_no_new_privileges;
    assert!(asks("securityContext: {allowPrivilegeEscalation: false}"));
    assert!(!asks("securityContext: {allowPrivilegeEscalation: true}"));
    assert!(!asks("securityContext: {runAsUser: 5}"));
    assert!(!asks(""));
}

#[test]
fn each_seccomp_profile_is_read() {
    let profile = |profile: &str| {
        let text = format!("image: a\nsecurityContext: {{seccompProfile: {profile}}}");
        valid(&text).container.security.seccomp
    };
    assert_eq!(profile("{type: RuntimeDefault}"), Seccomp::RuntimeDefault);
    assert_eq!(profile("{type: Unconfined}"), Seccomp::Unconfined);
    let file = profile("{type: Localhost, localhostProfile: /p/a.json}");
    assert_eq!(file, Seccomp::Localhost("/p/a.json".into()));
    let told = "spec.securityContext.seccompProfile: localhostProfile goes with type Localhost, and only with it";
    for wrong in ["{type: Localhost}", "{type: RuntimeDefault, localhostProfile: /p/a.json}"] {
        assert_eq!(problems(&format!("securityContext: {{seccompProfile: {wrong}}}")), [told]);
    }
}

#[test]
fn a_grace_of_a_day_is_the_longest() {
    let grace = valid("image: a\nterminationGracePeriodSeconds: 86400").grace;
    assert_eq!(grace.as_secs(), 86_400);
}

#[test]
fn a_mode_of_the_engine_is_no_network_of_a_user() {
    assert!(is_network_name("lab") && is_network_name("lab_2.a-b"));
    for other in ["host", "Host", "none", "container:x", "-lab", "", "a/b"] {
        assert!(!is_network_name(other), "{other}");
    }
}

#[test]
fn an_image_is_required_from_spec_or_defaults() {
    assert_eq!(
        check(&sandbox("{}"), &settings()).unwrap_err(),
        ["spec.image: is required, because the daemon's configuration has no defaults.image"]
    );
    assert_eq!(with_defaults("{}", "image: b:2").desired.container.image, "b:2");
    assert_eq!(with_defaults("image: a:1", "image: b:2").desired.container.image, "a:1");
}

#[test]
fn all_in_one_list_makes_the_other_the_exceptions() {
    let capabilities = |text: &str| {
        valid(&format!("{{image: a, securityContext: {text}}}")).container.security.capabilities
    };
    assert_eq!(capabilities("{capabilities: {drop: [ALL]}}"), Vec::<String>::new());
    assert_eq!(
        capabilities("{capabilities: {drop: [ALL], add: [kill, CHOWN]}}"),
        ["CHOWN", "KILL"]
    );
    let most = capabilities("{capabilities: {add: [ALL], drop: [SYS_ADMIN]}}");
    assert_eq!(most.len(), 40);
    assert!(most.is_sorted() && !most.contains(&"SYS_ADMIN".to_owned()));
    let more = capabilities("{capabilities: {add: [NET_RAW], drop: [CHOWN]}}");
    assert!(more.contains(&"NET_RAW".to_owned()) && !more.contains(&"CHOWN".to_owned()));
}

#[test]
fn full_privileges_include_those_that_can_be_gained() {
    let security = valid("{image: a, securityContext: {privileged: true}}").container.security;
    assert!(security.privileged && !security.no_new_privileges);
}

#[test]
fn the_same_port_over_tcp_and_udp_is_two_ports() {
    let desired = valid(
        "{image: a, ports: [{containerPort: 53, hostPort: 53}, {containerPort: 53, hostPort: 53, protocol: UDP}]}",
    );
    let names: Vec<_> = desired.container.ports.iter().map(|port| port.name.as_str()).collect();
    assert_eq!(names, ["53-tcp", "53-udp"]);
}

#[test]
fn the_name_of_a_port_has_at_most_fifteen_characters() {
    let port = |name: &str| format!("ports: [{{containerPort: 80, name: {name}}}]");
    let longest = "abcdefghij-1234";
    assert_eq!(valid(&format!("image: a\n{}", port(longest))).container.ports[0].name, longest);
    let told = "spec.ports[0].name: \"abcdefghij-12345\" is not a port's name: use lower-case letters, \
                digits and dashes, at most 15";
    assert_eq!(problems(&port("abcdefghij-12345")), [told]);
}

#[test]
fn a_namespace_is_ignored_and_said_so() {
    let mut sandbox = sandbox("image: a");
    sandbox.metadata.namespace = Some("team".to_owned());
    let validated = check(&sandbox, &settings()).unwrap();
    assert_eq!(validated.notices, ["metadata.namespace is ignored: one host has no namespaces"]);
}

#[test]
fn missing_identity_gets_placeholders() {
    let desired = check(&Sandbox::new("web", spec("image: a")), &settings()).unwrap().desired;
    assert_eq!((desired.uid.as_str(), desired.generation), ("", 0));
    assert_eq!(desired.created_at, Timestamp::UNIX_EPOCH);
}
