//! The decision core of the port book: no lock, no clock, no socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::config::Ports;
use crate::plan::{Blocker, BlockerKind, Port};
use crate::sandbox::Protocol;

/// How long a port that somebody else was found to have is not given out.
const AVOIDED_FOR: Duration = Duration::from_mins(1);

/// Who holds which port.
#[derive(Debug)]
pub(super) struct Book {
    config: Ports,
    claims: BTreeMap<String, Claims>,
    avoided: BTreeMap<u16, Instant>,
}

/// Claims of one sandbox, by port name.
type Claims = BTreeMap<String, Claim>;

/// One port, held.
#[derive(Clone, Debug)]
struct Claim {
    port: u16,
    /// Where it is bound. `None`: remembered from an earlier run, and not asked for in this one yet.
    bound: Option<(IpAddr, Protocol)>,
}

impl Claim {
    fn of(wanted: &Port, port: u16) -> Self {
        Self { port, bound: Some((wanted.host_ip, wanted.protocol)) }
    }

    /// Whether it stands in the way of this port there. One that is not confirmed yet does, wherever
    /// it turns out to be bound: it is older.
    fn blocks(&self, wanted: &Port, port: u16) -> bool {
        self.port == port
            && self.bound.is_none_or(|(address, protocol)| {
                protocol == wanted.protocol && overlap(address, wanted.host_ip)
            })
    }
}

/// Whether both cannot bind the same port.
fn overlap(one: IpAddr, other: IpAddr) -> bool {
    one == other || one.is_unspecified() || other.is_unspecified()
}

impl Book {
    pub(super) fn new(config: Ports, remembered: BTreeMap<String, BTreeMap<String, u16>>) -> Self {
        let unconfirmed = |port| Claim { port, bound: None };
        let claims = remembered
            .into_iter()
            .map(|(sandbox, ports)| {
                (sandbox, ports.into_iter().map(|(name, port)| (name, unconfirmed(port))).collect())
            })
            .collect();
        Self { config, claims, avoided: BTreeMap::new() }
    }

    pub(super) fn assign(
        &mut self,
        sandbox: &str,
        wanted: &[Port],
        remembered: &BTreeMap<String, u16>,
        probe: impl Fn(IpAddr, Protocol, u16) -> bool,
        now: Instant,
    ) -> Result<BTreeMap<String, u16>, Blocker> {
        self.avoided.retain(|_, until| now < *until);
        let mut claims = Claims::new();
        // First what leaves no choice, so that what does can go around it.
        for port in wanted {
            if let Some(number) = self.settled(sandbox, port, remembered)? {
                claims.insert(port.name.clone(), Claim::of(port, number));
            }
        }
        for port in wanted {
            if !claims.contains_key(&port.name) {
                let number = self.allocate(sandbox, port, &claims, &probe)?;
                claims.insert(port.name.clone(), Claim::of(port, number));
            }
        }
        let assigned = claims.iter().map(|(name, claim)| (name.clone(), claim.port)).collect();
        self.claims.insert(sandbox.to_owned(), claims);
        Ok(assigned)
    }

    /// The port's number where there is no choice: fixed by the user, or the sandbox's already.
    fn settled(
        &self,
        sandbox: &str,
        port: &Port,
        remembered: &BTreeMap<String, u16>,
    ) -> Result<Option<u16>, Blocker> {
        let held = self.claims.get(sandbox).and_then(|claims| claims.get(&port.name));
        if let Some(fixed) = port.host_port {
            let mine = held.is_some_and(|claim| claim.port == fixed);
            return match self.holder(sandbox, port, fixed, mine) {
                Some(other) => Err(held_by(other, fixed)),
                None => Ok(Some(fixed)),
            };
        }
        if let Some(claim) = held {
            let free = self.holder(sandbox, port, claim.port, true).is_none();
            return Ok(free.then_some(claim.port));
        }
        let number = remembered.get(&port.name).copied();
        Ok(number.filter(|number| {
            !self.avoided.contains_key(number)
                && self.holder(sandbox, port, *number, false).is_none()
        }))
    }

    /// Another sandbox whose claim stands in the way. Where both are on record from an earlier run
    /// (`mine`), neither is older by the book, and whoever is confirmed first stays.
    fn holder(&self, sandbox: &str, port: &Port, number: u16, mine: bool) -> Option<&str> {
        let blocks = |claim: &Claim| claim.blocks(port, number) && !(mine && claim.bound.is_none());
        let mut others = self.claims.iter().filter(|(other, _)| other.as_str() != sandbox);
        others.find(|(_, claims)| claims.values().any(blocks)).map(|(other, _)| other.as_str())
    }

    fn allocate(
        &self,
        sandbox: &str,
        port: &Port,
        own: &Claims,
        probe: impl Fn(IpAddr, Protocol, u16) -> bool,
    ) -> Result<u16, Blocker> {
        let others = self.claims.iter().filter(|(other, _)| other.as_str() != sandbox);
        let claims = others.flat_map(|(_, claims)| claims.values()).chain(own.values());
        let taken = claims.map(|claim| claim.port).chain(self.avoided.keys().copied()).collect();
        let usable = |number| probe(port.host_ip, port.protocol, number);
        let Ports { base, count, .. } = self.config;
        choose(base, count, &taken, usable).ok_or_else(|| used_up(port, base, count))
    }

    pub(super) fn mark_taken(&mut self, sandbox: &str, port_name: &str, port: u16, now: Instant) {
        self.avoided.insert(port, now + AVOIDED_FOR);
        if let Some(claims) = self.claims.get_mut(sandbox)
            && claims.get(port_name).is_some_and(|claim| claim.port == port)
        {
            claims.remove(port_name);
        }
    }

    pub(super) fn release(&mut self, sandbox: &str) {
        self.claims.remove(sandbox);
    }
}

/// The first port of the range that is not taken and usable. `usable` is asked last, since it costs most.
pub(super) fn choose(
    base: u16,
    count: u16,
    taken: &BTreeSet<u16>,
    usable: impl Fn(u16) -> bool,
) -> Option<u16> {
    let end = u32::from(base) + u32::from(count);
    (u32::from(base)..end)
        .map_while(|port| u16::try_from(port).ok())
        .find(|port| *port != 0 && !taken.contains(port) && usable(*port))
}

fn held_by(other: &str, port: u16) -> Blocker {
    conflict(format!(
        "host port {port} is held by the sandbox {other}: give one of the two another hostPort, or leave \
         it out to have one allocated"
    ))
}

fn used_up(port: &Port, base: u16, count: u16) -> Blocker {
    let last = (u32::from(base) + u32::from(count)).saturating_sub(1).min(u32::from(u16::MAX));
    conflict(format!(
        "no port from {base} to {last} is free on {} for the port {}: remove a sandbox, or raise \
         ports.count in the configuration",
        port.host_ip, port.name
    ))
}

fn conflict(message: String) -> Blocker {
    Blocker { kind: BlockerKind::PortConflict, message }
}
