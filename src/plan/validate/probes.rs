//! Probes with their defaults filled in and their ports resolved.

use std::time::Duration;

use crate::plan::desired::{Port, ProbeAction, ProbeSpec};
use crate::sandbox::text::shown;
use crate::sandbox::{PortRef, Probe, Protocol};

use super::lifetime::MAX_SECONDS;
use super::{Findings, container};

/// Most successes or failures in a row that a probe may ask for.
const MAX_THRESHOLD: u32 = 1000;

/// The readiness probe; by default a connection to the first TCP port, or none without one.
pub(super) fn readiness(
    probe: Option<&Probe>,
    ports: &[Port],
    findings: &mut Findings,
) -> Option<ProbeSpec> {
    if let Some(probe) = probe {
        return check(probe, "spec.readinessProbe", ports, findings);
    }
    let port = ports.iter().find(|port| port.protocol == Protocol::Tcp)?;
    let action = ProbeAction::Tcp { port: port.name.clone() };
    Some(timed(action, &Probe::default()))
}

/// The liveness probe; none by default.
pub(super) fn liveness(
    probe: Option<&Probe>,
    ports: &[Port],
    findings: &mut Findings,
) -> Option<ProbeSpec> {
    let probe = probe?;
    if probe.success_threshold.is_some_and(|threshold| threshold != 1) {
        findings.problem("spec.livenessProbe.successThreshold", "must be 1");
    }
    check(probe, "spec.livenessProbe", ports, findings)
}

fn check(probe: &Probe, field: &str, ports: &[Port], findings: &mut Findings) -> Option<ProbeSpec> {
    check_numbers(probe, field, findings);
    let action = match (&probe.http_get, &probe.tcp_socket, &probe.exec) {
        (Some(http), None, None) => {
            let path = http.path.clone().unwrap_or_else(|| "/".to_owned());
            if !is_request_target(&path) {
                let message = format!(
                    "{} is not a path: it starts with / and has printable ASCII characters without spaces",
                    shown(&path)
                );
                findings.problem(format!("{field}.httpGet.path"), message);
            }
            let port = resolve(&http.port, &format!("{field}.httpGet.port"), ports, findings);
            ProbeAction::Http { path, port }
        }
        (None, Some(tcp), None) => ProbeAction::Tcp {
            port: resolve(&tcp.port, &format!("{field}.tcpSocket.port"), ports, findings),
        },
        (None, None, Some(exec)) => {
            if exec.command.first().is_none_or(String::is_empty) {
                findings.problem(format!("{field}.exec.command"), "must name a program");
            }
            let field = format!("{field}.exec.command");
            container::words(Some(&exec.command), &field, findings);
            ProbeAction::Exec { command: exec.command.clone() }
        }
        _ => {
            findings.problem(field, "set exactly one of httpGet, tcpSocket and exec");
            return None;
        }
    };
    Some(timed(action, probe))
}

fn timed(action: ProbeAction, probe: &Probe) -> ProbeSpec {
    let seconds =
        |value: Option<u32>, default: u32| Duration::from_secs(value.unwrap_or(default).into());
    ProbeSpec {
        action,
        initial_delay: seconds(probe.initial_delay_seconds, 0),
        period: seconds(probe.period_seconds, 10),
        timeout: seconds(probe.timeout_seconds, 1),
        success_threshold: probe.success_threshold.unwrap_or(1),
        failure_threshold: probe.failure_threshold.unwrap_or(3),
    }
}

/// The schema's ranges again: specs also come from the configuration and from disk.
fn check_numbers(probe: &Probe, field: &str, findings: &mut Findings) {
    let numbers = [
        ("initialDelaySeconds", probe.initial_delay_seconds, 0, MAX_SECONDS),
        ("periodSeconds", probe.period_seconds, 1, MAX_SECONDS),
        ("timeoutSeconds", probe.timeout_seconds, 1, MAX_SECONDS),
        ("successThreshold", probe.success_threshold, 1, MAX_THRESHOLD),
        ("failureThreshold", probe.failure_threshold, 1, MAX_THRESHOLD),
    ];
    for (name, number, min, max) in numbers {
        if number.is_some_and(|number| !(min..=max).contains(&number)) {
            findings.problem(format!("{field}.{name}"), format!("must be from {min} to {max}"));
        }
    }
}

fn is_request_target(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The name of the TCP port that is meant.
fn resolve(port: &PortRef, field: &str, ports: &[Port], findings: &mut Findings) -> String {
    let tcp = || ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let found = match port {
        PortRef::Number(number) => tcp().find(|port| port.container_port == *number),
        PortRef::Name(name) => tcp().find(|port| port.name == *name),
    };
    if let Some(found) = found {
        return found.name.clone();
    }
    let shown_port = match port {
        PortRef::Number(number) => number.to_string(),
        PortRef::Name(name) => shown(name),
    };
    let known: Vec<String> =
        tcp().map(|port| format!("{} ({})", port.name, port.container_port)).collect();
    let known = if known.is_empty() { "it has none".to_owned() } else { known.join(", ") };
    findings.problem(field, format!("{shown_port} is not a TCP port of this sandbox: {known}"));
    String::new()
}
