//! The create request, field by field from a validated spec. Pure: the one place that decides what an
//! engine is asked to make.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::engine::{CreateRequest, PublishedPort};
use crate::plan::ownership::Identity;
use crate::plan::{ContainerSpec, Desired, EnvValue, Fingerprint, Slot};

use super::error::{SECRET_UNAVAILABLE, StepError};

/// What a container is made from, with everything read that a spec only refers to.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    /// The sandbox as it must be.
    pub desired: &'a Desired,
    /// Fingerprint of the spec and of these very secrets.
    pub fingerprint: &'a Fingerprint,
    /// Host port of each port by its name, allocated or fixed.
    pub ports: &'a BTreeMap<String, u16>,
    /// Contents of the secret files by environment variable.
    pub secrets: &'a BTreeMap<String, SecretString>,
    /// Content of the seccomp profile, when the spec names a file.
    pub seccomp_profile: Option<&'a str>,
}

/// The request for a container under this slot's name.
///
/// # Errors
/// [`StepError::PortBusy`] when a port has no host port, [`StepError::Retry`] when a secret was not read: a
/// container must not be made with less than its spec says.
pub fn create_request(
    recipe: &Recipe<'_>,
    identity: &Identity,
    slot: Slot,
) -> Result<CreateRequest, StepError> {
    let Recipe { desired, fingerprint, seccomp_profile, .. } = recipe;
    // Destructured whole, so that a new field cannot be forgotten here.
    let ContainerSpec {
        image,
        command,
        args,
        working_dir,
        env: _,
        ports: _,
        mounts,
        shared_memory,
        security,
        runtime,
        network,
    } = &desired.container;
    let sandbox = desired.name.as_str();
    Ok(CreateRequest {
        name: identity.container_name(sandbox, slot),
        image: image.clone(),
        command: command.clone(),
        args: args.clone(),
        working_dir: working_dir.clone(),
        env: environment(recipe)?,
        labels: identity.labels(sandbox, &desired.uid, fingerprint),
        ports: published_ports(recipe)?,
        mounts: mounts.clone(),
        shared_memory: *shared_memory,
        limits: desired.limits,
        security: security.clone(),
        seccomp_profile: seccomp_profile.map(str::to_owned),
        runtime: runtime.clone(),
        network: network.clone(),
        stop_timeout: i64::try_from(desired.grace.as_secs()).unwrap_or(i64::MAX),
    })
}

fn environment(recipe: &Recipe<'_>) -> Result<Vec<(String, SecretString)>, StepError> {
    let value = |name: &str, value: &EnvValue| match value {
        EnvValue::Literal(text) => Ok(SecretString::from(text.as_str())),
        EnvValue::SecretFile(path) => {
            recipe.secrets.get(name).cloned().ok_or_else(|| StepError::Retry {
                reason: SECRET_UNAVAILABLE,
                message: format!("env {name}: {} was not read", path.display()),
            })
        }
    };
    let env = &recipe.desired.container.env;
    env.iter().map(|(name, source)| Ok((name.clone(), value(name, source)?))).collect()
}

fn published_ports(recipe: &Recipe<'_>) -> Result<Vec<PublishedPort>, StepError> {
    let publish = |port: &crate::plan::Port| {
        let host_port = port.host_port.or_else(|| recipe.ports.get(&port.name).copied());
        Ok(PublishedPort {
            container_port: port.container_port,
            protocol: port.protocol,
            host_ip: port.host_ip,
            host_port: host_port.ok_or_else(|| StepError::PortBusy {
                port: None,
                message: format!("port {} has no host port", port.name),
            })?,
        })
    };
    recipe.desired.container.ports.iter().map(publish).collect()
}

#[cfg(test)]
mod tests;
