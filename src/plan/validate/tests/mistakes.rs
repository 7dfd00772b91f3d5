//! Each mistake alone, with the whole message: they are what a user has to go by.

use super::{problems, valid};

#[track_caller]
fn assert_told(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(problems(text), [*expected]);
    }
}

#[test]
fn mistakes_in_container_say_what_to_do() {
    assert_told(&[
        ("command: [\"a\\0\"]", "spec.command[0]: must not contain a NUL"),
        ("workingDir: /proc/self/fd/7", "spec.workingDir: must not be in /proc"),
        ("workingDir: //proc/./self", "spec.workingDir: must not be in /proc"),
        ("env: [{name: \"A\\nB\"}]", "spec.env[0].name: must have printable ASCII characters only"),
        ("env: [{name: A, value: \"x\\0\"}]", "spec.env[0].value: must not contain a NUL"),
        (
            "env: [{name: A, valueFrom: {secretFile: secret}}]",
            "spec.env[0].valueFrom.secretFile: \"secret\" is not an absolute path",
        ),
        (
            "network: {mode: Named, name: host}",
            "spec.network.name: \"host\" is not a network but a mode of the engine",
        ),
        (
            "network: {mode: Named, name: 'container:x'}",
            "spec.network.name: \"container:x\" is not a name: use letters, digits, dots, underscores and dashes, a letter or digit first",
        ),
        (
            "runtimeClassName: /usr/bin/evil",
            "spec.runtimeClassName: \"/usr/bin/evil\" is not a name: use letters, digits, dots, underscores and dashes, a letter or digit first",
        ),
    ]);
}

#[test]
fn mistakes_in_ports_and_mounts_say_what_to_do() {
    assert_told(&[
        (
            "ports: [{containerPort: 80, hostPort: 80}, {containerPort: 81, hostPort: 80}]",
            "spec.ports[1].hostPort: 80/TCP is used twice",
        ),
        (
            "ports: [{containerPort: 80, name: a}, {containerPort: 81, name: a}]",
            "spec.ports[1].name: \"a\" is the name of another port",
        ),
        (
            "mounts: [{hostPath: /a, mountPath: /x}, {hostPath: /b, mountPath: /x/}]",
            "spec.mounts[1].mountPath: \"/x\" is mounted twice",
        ),
        (
            "mounts: [{hostPath: /a, mountPath: /dev/shm}]",
            "spec.mounts[0].mountPath: is the runtime's; set resources.limits.sharedMemory for its size",
        ),
        (
            "permissions: [{path: /a, mode: '0777'}, {path: /a/, mode: '0700'}]",
            "spec.permissions[1].path: \"/a\" has two rules",
        ),
        (
            "network: {mode: None}\nports: [{containerPort: 80}]",
            "spec.ports: network mode None cannot publish ports; leave them out",
        ),
    ]);
}

#[test]
fn mistakes_in_limits_and_probes_say_what_to_do() {
    assert_told(&[
        (
            "resources: {limits: {cpu: 9m}}",
            "spec.resources.limits.cpu: must be at least 10m, found \"9m\"",
        ),
        (
            "resources: {limits: {cpu: -1}}",
            "spec.resources.limits.cpu: must be at least 10m, found \"-1\"",
        ),
        (
            "resources: {limits: {memory: NaN}}",
            "spec.resources.limits.memory: \"NaN\" is not a quantity; write it as in 2, 500m or 1Gi",
        ),
        (
            "resources: {limits: {memory: 5Mi}}",
            "spec.resources.limits.memory: must be at least 6Mi, found \"5Mi\"",
        ),
        (
            "resources: {limits: {memory: 9999Ei}}",
            "spec.resources.limits.memory: \"9999Ei\" is more than any host has",
        ),
        (
            "resources: {limits: {memory: 9999Ti}}",
            "spec.resources.limits.memory: \"9999Ti\" is more than any host has",
        ),
        (
            "resources: {limits: {memory: '1e99'}}",
            "spec.resources.limits.memory: \"1e99\" is more than any host has",
        ),
        (
            "resources: {limits: {sharedMemory: 0}}",
            "spec.resources.limits.sharedMemory: must be at least 1, found \"0\"",
        ),
        (
            "readinessProbe: {httpGet: {port: web}}",
            "spec.readinessProbe.httpGet.port: \"web\" is not a TCP port of this sandbox: http (8080)",
        ),
        (
            "readinessProbe: {tcpSocket: {port: 53}}\nports: [{containerPort: 53, protocol: UDP}]",
            "spec.readinessProbe.tcpSocket.port: 53 is not a TCP port of this sandbox: it has none",
        ),
        (
            "readinessProbe: {httpGet: {port: 8080, path: 'a b'}}",
            "spec.readinessProbe.httpGet.path: \"a b\" is not a path: it starts with / and has printable ASCII characters without spaces",
        ),
        (
            "readinessProbe: {httpGet: {port: 8080, path: '/a b'}}",
            "spec.readinessProbe.httpGet.path: \"/a b\" is not a path: it starts with / and has printable ASCII characters without spaces",
        ),
        (
            "readinessProbe: {httpGet: {port: 8080, path: ready}}",
            "spec.readinessProbe.httpGet.path: \"ready\" is not a path: it starts with / and has printable ASCII characters without spaces",
        ),
        (
            "livenessProbe: {tcpSocket: {port: 8080}, successThreshold: 2}",
            "spec.livenessProbe.successThreshold: must be 1",
        ),
        (
            "livenessProbe: {exec: {command: []}}",
            "spec.livenessProbe.exec.command: must name a program",
        ),
        (
            "livenessProbe: {exec: {command: [a]}, tcpSocket: {port: 8080}}",
            "spec.livenessProbe: set exactly one of httpGet, tcpSocket and exec",
        ),
    ]);
}

#[test]
fn the_numbers_of_a_probe_have_their_ranges() {
    let ranges = [
        ("initialDelaySeconds", 0, 86_400),
        ("periodSeconds", 1, 86_400),
        ("timeoutSeconds", 1, 86_400),
        ("successThreshold", 1, 1000),
        ("failureThreshold", 1, 1000),
    ];
    for (name, min, max) in ranges {
        let probe = |number: u32| {
            format!("image: a\nreadinessProbe: {{tcpSocket: {{port: 8080}}, {name}: {number}}}")
        };
        for number in [min, max] {
            valid(&probe(number));
        }
        for number in [max + 1].into_iter().chain((min > 0).then_some(0)) {
            let told = format!("spec.readinessProbe.{name}: must be from {min} to {max}");
            assert_eq!(problems(&probe(number)), [told]);
        }
    }
}

#[test]
fn the_least_of_a_limit_is_enough() {
    let limits = "{cpu: 10m, memory: 6Mi, pids: 1, sharedMemory: 1}";
    let desired = valid(&format!("image: a\nresources: {{limits: {limits}}}"));
    assert_eq!(desired.limits.nano_cpus, Some(10_000_000));
    assert_eq!(desired.limits.memory, Some(6 << 20));
    valid("image: a\nlivenessProbe: {tcpSocket: {port: 8080}, successThreshold: 1}");
}

#[test]
fn mistakes_in_privileges_say_what_to_do() {
    assert_told(&[
        (
            "securityContext: {capabilities: {add: [CAP_SYS_PTRACE]}}",
            "spec.securityContext.capabilities.add[0]: write \"SYS_PTRACE\", without CAP_",
        ),
        (
            "securityContext: {capabilities: {add: [cap_sys_admin]}}",
            "spec.securityContext.capabilities.add[0]: write \"SYS_ADMIN\", without CAP_",
        ),
        (
            "securityContext: {capabilities: {drop: [NETRAW]}}",
            "spec.securityContext.capabilities.drop[0]: \"NETRAW\" is not a capability; did you mean NET_RAW?",
        ),
        (
            "securityContext: {capabilities: {add: [KILL], drop: [kill]}}",
            "spec.securityContext.capabilities: KILL is added and dropped",
        ),
        (
            "securityContext: {privileged: true, allowPrivilegeEscalation: false}",
            "spec.securityContext.allowPrivilegeEscalation: must not be false for a privileged container: it has every privilege",
        ),
        ("securityContext: {runAsGroup: 5}", "spec.securityContext.runAsGroup: needs runAsUser"),
    ]);
}

#[test]
fn mistakes_in_times_say_what_to_do() {
    assert_told(&[
        (
            "shutdownAfter: soon",
            "spec.shutdownAfter: \"soon\" is not a duration; write it as in 8h, 90m or 1d12h",
        ),
        (
            "terminationGracePeriodSeconds: 100000",
            "spec.terminationGracePeriodSeconds: must be at most 86400",
        ),
    ]);
}
