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
    let time = "shutdownTime: 2026-08-02T00:00:00Z";
    let desired = with_defaults("{image: a, shutdownAfter: 1h}", time).desired;
    assert_eq!(desired.shutdown_at, Some("2026-08-01T13:00:00Z".parse().unwrap()));
    let desired = with_defaults("image: a", time).desired;
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
fn a_default_probe_fits_a_tcp_port_of_its_name_or_number() {
    let by_name = "livenessProbe: {tcpSocket: {port: main}}";
    let by_number = "livenessProbe: {tcpSocket: {port: 9}}";
    for (ports, defaults, fits) in [
        ("[{name: main, containerPort: 9}]", by_name, true),
        ("[{name: other, containerPort: 9}]", by_name, false),
        ("[{name: main, containerPort: 9}]", by_number, true),
        ("[{name: main, containerPort: 8}]", by_number, false),
        ("[{name: main, containerPort: 9, protocol: UDP}]", by_number, false),
        ("[{containerPort: 9, protocol: UDP}, {containerPort: 9}]", by_number, true),
    ] {
        let Validated { desired, notices, .. } =
            with_defaults(&format!("{{image: a, ports: {ports}}}"), defaults);
        let found = (desired.liveness.is_some(), notices.is_empty());
        assert_eq!(found, (fits, fits), "{ports} {defaults}");
    }
}

#[test]
fn with_a_network_the_default_ports_are_published() {
    let desired =
        with_defaults("{image: a, network: {mode: Bridge}}", "ports: [{containerPort: 1}]").desired;
    assert_eq!(desired.container.ports, [tcp("1-tcp", 1)]);
}

#[test]
fn without_a_network_nothing_is_published_by_default() {
    for defaults in ["{}", "ports: [{containerPort: 80}]"] {
        let desired = with_defaults("{image: a, network: {mode: None}}", defaults).desired;
        assert_eq!(desired.container.ports, []);
        assert_eq!(desired.readiness, None);
    }
}
