//! What the schema's check and the CEL rules say of fields.

use super::*;

#[test]
fn every_mistake_is_reported_with_place_path_and_the_nearest_name() {
    let text = "\
spec:
  imgae: x
  volumes: []
  ports:
  - containerPort: 70000
    hostport: 1
  - name: http
  restartPolicy: always
  restartPolicy: Never
  securityContext: {privileged: 'true'}
";
    assert_eq!(
        spec_problems(text),
        [
            "13:3: spec.restartPolicy: is set twice; the first time on line 12",
            "6:3: spec.imgae: unknown field; did you mean image?",
            "7:3: spec.volumes: unknown field",
            "9:20: spec.ports[0].containerPort: must be from 1 to 65535, found \"70000\"",
            "10:5: spec.ports[0].hostport: unknown field; did you mean hostPort?",
            "11:5: spec.ports[1].containerPort: is required",
            "12:18: spec.restartPolicy: \"always\" is not one of Always, OnFailure, Never; did you mean Always?",
            "14:33: spec.securityContext.privileged: write true without quotes",
        ]
    );
}

#[test]
fn values_of_the_wrong_kind_say_what_belongs_there() {
    let table = [
        ("spec: 5\n", "5:7: spec: must be a mapping, found a number"),
        ("spec: {ports: {}}\n", "5:15: spec.ports: must be a list, found a mapping"),
        ("spec: {image: [a]}\n", "5:15: spec.image: must be text, found a list"),
        (
            "spec: {image: 1.10}\n",
            "5:15: spec.image: write \"1.10\", in quotes: YAML reads 1.10 as a number",
        ),
        (
            "spec: {permissions: [{path: /a, mode: 0755}]}\n",
            "5:39: spec.permissions[0].mode: write \"0755\", in quotes and with four digits",
        ),
        (
            "spec: {permissions: [{path: /a, mode: 755}]}\n",
            "5:39: spec.permissions[0].mode: write \"0755\", in quotes and with four digits",
        ),
        (
            "spec: {permissions: [{path: /a, mode: 1e3}]}\n",
            "5:39: spec.permissions[0].mode: write \"1e3\", in quotes: YAML reads 1e3 as a number",
        ),
        (
            "spec: {terminationGracePeriodSeconds: 08080}\n",
            "5:39: spec.terminationGracePeriodSeconds: is read as octal by some and as decimal by others; write a plain decimal number",
        ),
        (
            "spec: {terminationGracePeriodSeconds: '5'}\n",
            "5:39: spec.terminationGracePeriodSeconds: write 5 without quotes",
        ),
        (
            "spec: {terminationGracePeriodSeconds: -1}\n",
            "5:39: spec.terminationGracePeriodSeconds: must be from 0 to 86400, found \"-1\"",
        ),
        (
            "spec: {securityContext: {runAsUser: '0:0 '}}\n",
            "5:37: spec.securityContext.runAsUser: must be a whole number, found \"0:0 \"",
        ),
        (
            "spec: {securityContext: {privileged: yes}}\n",
            "5:38: spec.securityContext.privileged: must be true or false, found text",
        ),
        (
            "spec: {shutdownTime: tomorrow}\n",
            "5:22: spec.shutdownTime: \"tomorrow\" is not a time; write it as in 2026-08-01T12:00:00Z",
        ),
        ("spec: {command: [a, ~]}\n", "5:21: spec.command[1]: must be text, found nothing"),
        (
            "spec: {mounts: [{hostPath: /a, mountPath: }]}\n",
            "5:41: spec.mounts[0].mountPath: must be text, found nothing",
        ),
        (
            "spec: {resources: {limits: {cpu: true}}}\n",
            "5:34: spec.resources.limits.cpu: must be a number or text, found true or false",
        ),
        (
            "spec: {readinessProbe: {tcpSocket: {port: 70000}}}\n",
            "5:43: spec.readinessProbe.tcpSocket.port: must be from 1 to 65535, found \"70000\"",
        ),
        (
            "spec: {network: {mode: host}}\n",
            "5:24: spec.network.mode: \"host\" is not one of Bridge, None, Named",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(spec_problems(text), [expected]);
    }
}

#[test]
fn cel_rules_hold_on_the_client_with_path_and_place() {
    let table = [
        (
            "spec: {shutdownAfter: 1h, shutdownTime: 2026-08-01T12:00:00Z}\n",
            "5:1: spec: set shutdownTime or shutdownAfter, not both",
        ),
        (
            "spec:\n  livenessProbe: {tcpSocket: {port: 1}, successThreshold: 2}\n",
            "5:1: spec: livenessProbe.successThreshold must be 1",
        ),
        (
            "spec:\n  env:\n  - name: A\n  - {name: B, value: x, valueFrom: {secretFile: /s}}\n",
            "8:5: spec.env[1]: set value or valueFrom, not both",
        ),
        (
            "spec:\n  readinessProbe: {periodSeconds: 1}\n",
            "6:3: spec.readinessProbe: set exactly one of httpGet, tcpSocket and exec",
        ),
        (
            "spec:\n  securityContext:\n    seccompProfile: {type: Localhost}\n",
            "7:5: spec.securityContext.seccompProfile: localhostProfile goes with type Localhost, and only with it",
        ),
        (
            "spec:\n  network: {name: backend}\n",
            "6:3: spec.network: name goes with mode Named, and only with it",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(spec_problems(text), [expected]);
    }
}

#[test]
fn secrets_in_the_environment_are_never_quoted() {
    for text in [
        "spec: {env: [{name: TOKEN, value: 4711}]}\n",
        "spec: {env: [{name: TOKEN, value: [4711]}]}\n",
        "spec: {env: [TOKEN=4711]}\n",
        "spec: {env: TOKEN=4711}\n",
        "spec: {env: [{name: TOKEN, valueFrom: 4711}]}\n",
    ] {
        let problems = spec_problems(text).join("\n");
        assert!(!problems.contains("4711"), "{problems}");
    }
    assert_eq!(
        spec_problems("spec: {env: [{name: TOKEN, value: 4711}]}\n"),
        ["5:35: spec.env[0].value: put it in quotes: without them YAML does not read it as text"]
    );
}

#[test]
fn extensions_are_only_for_the_top_level() {
    assert_eq!(spec_problems("spec: {x-note: 1}\n"), ["5:8: spec.x-note: unknown field"]);
}

#[test]
fn metadata_is_checked_too() {
    let text = "apiVersion: sandkeeper.dev/v1alpha1\nkind: Sandbox\nmetadata:\n  finalizers: [a]\n  labels: {a.b/c: true}\n";
    let problems = one(text).result.unwrap_err();
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "4:3: metadata.finalizers: unknown field",
            "5:19: metadata.labels[a.b/c]: write \"true\", in quotes: YAML reads true as a boolean",
            "4:3: metadata.name: is required",
        ]
    );
}
