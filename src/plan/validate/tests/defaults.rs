use super::*;

#[test]
fn limits_and_security_are_filled_field_by_field() {
    let desired = with_defaults(
        "{image: a, resources: {limits: {cpu: 2}}, securityContext: {runAsUser: 5}}",
        "{resources: {limits: {cpu: 1, memory: 1Gi, pids: 9}}, securityContext: {runAsUser: 1, readOnlyRootFilesystem: true}}",
    )
    .desired;
    assert_eq!(desired.limits.nano_cpus, Some(2_000_000_000));
    assert_eq!(desired.limits.memory, Some(1 << 30));
    assert_eq!(desired.limits.pids, Some(9));
    assert_eq!(desired.container.security.run_as_user, Some(5));
    assert!(desired.container.security.read_only_root);
}

#[test]
fn lists_are_taken_as_a_whole() {
    let desired = with_defaults(
        "{image: a, env: [{name: A}]}",
        "{env: [{name: B}], ports: [{containerPort: 1}]}",
    )
    .desired;
    assert_eq!(desired.container.env.keys().collect::<Vec<_>>(), ["A"]);
    assert_eq!(desired.container.ports, [tcp("1-tcp", 1)]);
    let desired = with_defaults("{image: a, ports: []}", "ports: [{containerPort: 1}]").desired;
    assert_eq!(desired.container.ports, []);
    assert_eq!(desired.readiness, None);
}

#[test]
fn a_spec_that_ends_one_way_takes_no_other_end_from_the_defaults() {
    let desired =
        with_defaults("{image: a, shutdownTime: 2026-08-02T00:00:00Z}", "shutdownAfter: 1h")
            .desired;
    assert_eq!(desired.shutdown_at, Some("2026-08-02T00:00:00Z".parse().unwrap()));
}

#[test]
fn a_default_probe_that_does_not_fit_gives_way_with_a_notice() {
    let probe = "readinessProbe: {httpGet: {port: 8080, path: /ready}}";
    let fitting = with_defaults("image: a", probe);
    assert_eq!(fitting.notices, Vec::<String>::new());
    let action = ProbeAction::Http { path: "/ready".to_owned(), port: "http".to_owned() };
    assert_eq!(fitting.desired.readiness.unwrap().action, action);

    let other = with_defaults("{image: a, ports: [{containerPort: 80}]}", probe);
    let action = ProbeAction::Tcp { port: "80-tcp".to_owned() };
    assert_eq!(other.desired.readiness.unwrap().action, action);
    assert_eq!(
        other.notices,
        [
            "the daemon's default readinessProbe asks for port 8080, which this sandbox does not have; it is not used"
        ]
    );
}

#[test]
fn without_a_network_nothing_is_published_by_default() {
    for defaults in ["{}", "ports: [{containerPort: 80}]"] {
        let desired = with_defaults("{image: a, network: {mode: None}}", defaults).desired;
        assert_eq!(desired.container.ports, []);
        assert_eq!(desired.readiness, None);
    }
}
