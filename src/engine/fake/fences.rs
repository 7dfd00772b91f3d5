//! What the fake engine refuses, and in which words.

use std::collections::BTreeSet;

use super::program::Program;
use super::state::{FakeState, is_live};
use crate::engine::{CreateRequest, EngineError};
use crate::plan::{Binding, ContainerId, Limits};

/// Smallest memory limit that Docker accepts.
const LEAST_MEMORY: i64 = 6 << 20;

impl FakeState {
    pub(super) fn check_create(&self, request: &CreateRequest) -> Result<Program, EngineError> {
        let image = self.images.get(&request.image).filter(|image| image.present);
        let image = image.ok_or_else(|| {
            EngineError::ImageMissing(format!("No such image: {}", request.image))
        })?;
        self.check_name(&request.name)?;
        self.check_limits(&request.limits)?;
        match &request.runtime {
            Some(runtime) if !self.capabilities.runtimes.contains(runtime) => {
                Err(EngineError::Rejected(format!("Unknown runtime specified {runtime}")))
            }
            _ => Ok(image.program.clone()),
        }
    }

    /// The name fence. A container holds its name until it is gone, also while it is being removed.
    pub(super) fn check_name(&self, name: &str) -> Result<(), EngineError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        if name.len() < 2
            || !name.bytes().all(allowed)
            || !name.as_bytes()[0].is_ascii_alphanumeric()
        {
            return Err(EngineError::Rejected(format!("Invalid container name ({name})")));
        }
        match self.by_name(name) {
            Some(holder) => Err(EngineError::NameConflict(format!(
                "Conflict. The container name \"/{name}\" is already in use by container {:?}",
                holder.details.id.0
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn check_limits(&self, limits: &Limits) -> Result<(), EngineError> {
        if limits.memory.is_some_and(|bytes| bytes < LEAST_MEMORY) {
            return Err(EngineError::Rejected("Minimum memory limit allowed is 6MB".to_owned()));
        }
        let cpus = self.capabilities.cpus;
        if limits.nano_cpus.is_some_and(|nano| nano > cpus * 1_000_000_000) {
            return Err(EngineError::Rejected(format!("Range of CPUs is from 0.01 to {cpus}.00")));
        }
        Ok(())
    }

    pub(super) fn check_network(&self, network: &str) -> Result<(), EngineError> {
        if self.networks.contains(network) {
            return Ok(());
        }
        Err(EngineError::NetworkMissing(format!("network {network} not found")))
    }

    /// The port fence, which only a start meets.
    pub(super) fn check_ports(&self, id: &ContainerId) -> Result<(), EngineError> {
        let others = self.containers.values().filter(|it| it.details.id != *id);
        let taken: BTreeSet<u16> = others
            .filter(|it| is_live(it.details.state))
            .flat_map(|it| it.details.bindings.iter().map(|binding| binding.host_port))
            .chain(self.occupied_ports.iter().copied())
            .collect();
        let mut wanted = self.existing(id)?.details.bindings.iter();
        match wanted.find(|binding| taken.contains(&binding.host_port)) {
            Some(Binding { host_ip, host_port, .. }) => Err(EngineError::PortBusy {
                port: Some(*host_port),
                message: format!(
                    "Bind for {host_ip}:{host_port} failed: port is already allocated"
                ),
            }),
            None => Ok(()),
        }
    }
}

/// As on Docker: limits on CPU and memory can be set and moved, and not taken off.
pub(super) fn updates_live(from: &Limits, to: &Limits) -> bool {
    let lifted = |from: Option<i64>, to: Option<i64>| from.is_some() && to.is_none();
    !lifted(from.memory, to.memory) && !lifted(from.nano_cpus, to.nano_cpus)
}
