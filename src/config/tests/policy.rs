use std::net::IpAddr;

use super::{parse, refusals};
use crate::config::resolve::resolve;
use crate::config::{ConfigFile, PolicyFile};
use crate::plan::policy::host_paths::AllowedPath;
use crate::plan::policy::{LiteralSecrets, Names, Policy};

fn policy(text: &str) -> Policy {
    resolve(parse(text), 2).unwrap().policy
}

#[test]
fn without_the_key_the_default_policy_holds() {
    let allocated = |mut policy: Policy| {
        // What the daemon allocates itself lies in the default range already.
        policy.ports.host_ports.retain(|range| *range.start() == 1024);
        policy
    };
    assert_eq!(policy(""), Policy::default());
    assert_eq!(policy("policy: {}"), allocated(Policy::default()));
}

#[test]
fn every_key_of_the_policy_can_be_set() {
    let text = "
policy:
  images: ['ghcr.io/acme/**', 'nginx:1.*']
  hostPaths: [{path: /srv/agents}, {path: /opt/skills/, readOnly: true}]
  secretFiles: [/etc/sandkeeper/secrets]
  capabilities: [NET_RAW, SYS_PTRACE]
  privileged: true
  allowPrivilegeEscalation: true
  runAsNonRoot: true
  seccomp: {unconfined: true, profiles: [/etc/sandkeeper/seccomp]}
  networks: [lab]
  runtimes: [runsc]
  ports: {hostIPs: [192.0.2.1], hostPorts: 80-443, max: 4}
  worldWritable: true
  literalSecrets: Refuse
  limits: {cpu: 1500m, memory: 2Gi, pids: 100, sharedMemory: 1Gi}
  maxSandboxes: 7
";
    let policy = policy(text);
    let images: Vec<String> = policy.images.iter().map(ToString::to_string).collect();
    assert_eq!(images, ["ghcr.io/acme/**", "nginx:1.*"]);
    let allowed = |path: &str, read_only| AllowedPath { path: path.into(), read_only };
    assert_eq!(
        policy.host_paths.allowed,
        [allowed("/srv/agents", false), allowed("/opt/skills", true)]
    );
    assert_eq!(policy.secret_files, [std::path::Path::new("/etc/sandkeeper/secrets")]);
    assert_eq!(policy.capabilities.len(), 2);
    assert!(policy.privileged && policy.allow_privilege_escalation && policy.run_as_non_root);
    assert!(policy.seccomp.unconfined && policy.seccomp.profiles.len() == 1);
    assert_eq!(policy.networks, Names(vec!["lab".to_owned()]));
    assert_eq!(policy.runtimes, Names(vec!["runsc".to_owned()]));
    assert_eq!(policy.ports.host_ips, ["192.0.2.1".parse::<IpAddr>().unwrap()]);
    assert_eq!(policy.ports.host_ports, [80..=443, 8080..=9079]);
    assert_eq!(policy.ports.max, 4);
    assert!(policy.world_writable);
    assert_eq!(policy.literal_secrets, LiteralSecrets::Refuse);
    let limits = policy.limits.of_a_running_container;
    assert_eq!(
        (limits.nano_cpus, limits.memory, limits.pids),
        (Some(1_500_000_000), Some(2 << 30), Some(100))
    );
    assert_eq!(policy.limits.shared_memory, Some(1 << 30));
    assert_eq!(policy.max_sandboxes, Some(7));
}

#[test]
fn a_limit_of_zero_sandboxes_is_no_limit_and_pids_stay_limited_beside_other_limits() {
    assert_eq!(policy("policy: {maxSandboxes: 0}").max_sandboxes, None);
    let limits = policy("policy: {limits: {cpu: 1}}").limits.of_a_running_container;
    assert_eq!((limits.nano_cpus, limits.pids), (Some(1_000_000_000), Some(2048)));
}

#[test]
fn an_unknown_key_of_the_policy_is_an_error_with_a_hint() {
    let problem = ConfigFile::parse(b"policy:\n  privilegd: true\n").unwrap_err();
    let told = problem.to_string();
    assert!(told.ends_with("unknown field \"privilegd\"; did you mean privileged?"), "{told}");
    assert_eq!(problem.line, Some(1), "the place of the key `policy`");
}

#[test]
fn every_value_of_the_policy_that_makes_no_sense_is_reported_with_its_field() {
    let refused = refusals(
        "policy:\n  images: ['**', 'a b', 'ok', 'app@sha256:*']\n  hostPaths: [{path: x}, {path: /a/../b}]\n  \
         secretFiles: [rel]\n  capabilities: [CAP_NET_RAW, net_raw]\n  seccomp: {profiles: [x]}\n  \
         ports: {hostPorts: 90-80}\n  limits: {memory: -1, cpu: NaN}\n",
    );
    let fields: Vec<&str> = refused.iter().filter_map(|it| it.split(": ").next()).collect();
    assert_eq!(
        fields,
        [
            "policy.images[0]",
            "policy.images[1]",
            "policy.images[3]",
            "policy.hostPaths[0].path",
            "policy.hostPaths[1].path",
            "policy.secretFiles[0]",
            "policy.capabilities[0]",
            "policy.capabilities[1]",
            "policy.seccomp.profiles[0]",
            "policy.ports.hostPorts",
            "policy.limits.cpu",
            "policy.limits.memory",
        ]
    );
}

#[test]
fn relative_paths_of_the_policy_start_at_the_files_directory() {
    let text = "policy: {hostPaths: [{path: data}], secretFiles: [s], seccomp: {profiles: [p]}}";
    let file = parse(text).relative_to(std::path::Path::new("/etc/x"));
    let policy = resolve(file, 2).unwrap().policy;
    assert_eq!(policy.host_paths.allowed[0].path, std::path::Path::new("/etc/x/data"));
    assert_eq!(policy.secret_files, [std::path::Path::new("/etc/x/s")]);
    assert_eq!(policy.seccomp.profiles, [std::path::Path::new("/etc/x/p")]);
}

#[test]
fn what_the_daemon_binds_and_allocates_itself_is_allowed() {
    let policy = policy("ports: {bind: 192.0.2.7, base: 90, count: 10}");
    assert_eq!(policy.ports.host_ips, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    assert!(policy.ports.host_ports.contains(&(90..=99)));
}

#[test]
fn a_policy_above_replaces_the_one_below_as_a_whole() {
    let above = ConfigFile { policy: Some("{maxSandboxes: 3}".parse().unwrap()), ..parse("") };
    let config = resolve(above.over(parse("policy: {privileged: true}")), 2).unwrap();
    assert!(!config.policy.privileged);
    assert_eq!(config.policy.max_sandboxes, Some(3));
}

#[test]
fn a_policy_on_the_command_line_is_yaml_or_json() {
    let yaml: PolicyFile = "privileged: true".parse().unwrap();
    assert_eq!(Ok(yaml), "{\"privileged\": true}".parse());
    assert_eq!("".parse(), Ok(PolicyFile::default()));
    assert!("privilegd: true".parse::<PolicyFile>().is_err());
}

#[test]
fn defaults_beyond_the_policy_are_an_error_of_the_configuration() {
    let refused = refusals("defaults: {securityContext: {privileged: true}}");
    assert_eq!(
        refused,
        [
            "defaults.securityContext.privileged: true is not allowed by policy.privileged (allowed: false)"
        ]
    );
    let allowed = "defaults: {securityContext: {privileged: true}}\npolicy: {privileged: true}";
    assert!(resolve(parse(allowed), 2).is_ok());
    // Every spec must say what the policy asks for; the defaults need not.
    assert!(resolve(parse("policy: {runAsNonRoot: true, images: [nginx]}"), 2).is_ok());
}
