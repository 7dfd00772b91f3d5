//! Published ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::plan::desired::{NetworkChoice, Port};
use crate::sandbox::text::{is_dns_label, shown};
use crate::sandbox::{ContainerPort, Protocol};

use super::Findings;

/// The port of a sandbox that names none, and of a daemon without defaults.
pub(super) const BUILT_IN_PORT: (&str, u16) = ("http", 8080);
/// Longest name of a port, as in Kubernetes.
const MAX_NAME: usize = 15;

/// The ports to publish. `None`: the built-in one, unless the sandbox has no network.
pub(super) fn check(
    ports: Option<&[ContainerPort]>,
    network: &NetworkChoice,
    bind: IpAddr,
    findings: &mut Findings,
) -> Vec<Port> {
    let networked = *network != NetworkChoice::None;
    let Some(ports) = ports else {
        let (name, container_port) = BUILT_IN_PORT;
        let (name, protocol) = (name.to_owned(), Protocol::Tcp);
        let port = Port { name, container_port, protocol, host_port: None, host_ip: bind };
        return if networked { vec![port] } else { Vec::new() };
    };
    if !networked && !ports.is_empty() {
        findings.problem("spec.ports", "network mode None cannot publish ports; leave them out");
    }
    let mut seen = Seen::default();
    let checked = ports.iter().enumerate().map(|(index, port)| {
        let field = format!("spec.ports[{index}]");
        let port = check_one(port, &field, bind, findings);
        seen.check(&port, &field, findings);
        port
    });
    checked.collect()
}

/// The name of a port, written or not.
pub(super) fn name_of(port: &ContainerPort) -> String {
    port.name.clone().unwrap_or_else(|| {
        let protocol = port.protocol.unwrap_or_default();
        format!("{}-{}", port.container_port, words(protocol).to_ascii_lowercase())
    })
}

fn check_one(port: &ContainerPort, field: &str, bind: IpAddr, findings: &mut Findings) -> Port {
    let name = name_of(port);
    if !is_dns_label(&name) || name.len() > MAX_NAME {
        let message = format!(
            "{} is not a port's name: use lower-case letters, digits and dashes, at most {MAX_NAME}",
            shown(&name)
        );
        findings.problem(format!("{field}.name"), message);
    }
    if port.container_port == 0 {
        findings.problem(format!("{field}.containerPort"), "must be from 1 to 65535, found 0");
    }
    if port.host_port == Some(0) {
        let message = "must be from 1 to 65535; leave it out to have one allocated";
        findings.problem(format!("{field}.hostPort"), message);
    }
    let host_ip = match port.host_ip.as_deref().map(host_ip) {
        None => bind,
        Some(Ok(address)) => address,
        Some(Err(message)) => {
            findings.problem(format!("{field}.hostIP"), message);
            bind
        }
    };
    Port {
        name,
        container_port: port.container_port,
        protocol: port.protocol.unwrap_or_default(),
        host_port: port.host_port,
        host_ip,
    }
}

/// Which addresses a spec may use is the policy's business.
fn host_ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{} is not an IP address", shown(text)))
}

#[derive(Default)]
struct Seen {
    names: BTreeSet<String>,
    container: BTreeSet<(u16, Protocol)>,
    host: BTreeSet<(u16, Protocol)>,
}

impl Seen {
    fn check(&mut self, port: &Port, field: &str, findings: &mut Findings) {
        if !self.names.insert(port.name.clone()) {
            let message = format!("{} is the name of another port", shown(&port.name));
            findings.problem(format!("{field}.name"), message);
        }
        let protocol = words(port.protocol);
        if !self.container.insert((port.container_port, port.protocol)) {
            let message = format!("{}/{protocol} is published twice", port.container_port);
            findings.problem(format!("{field}.containerPort"), message);
        }
        let host = port.host_port.filter(|port| *port != 0);
        if host.is_some_and(|number| !self.host.insert((number, port.protocol))) {
            let message =
                format!("{}/{protocol} is used twice", port.host_port.unwrap_or_default());
            findings.problem(format!("{field}.hostPort"), message);
        }
    }
}

fn words(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
    }
}
