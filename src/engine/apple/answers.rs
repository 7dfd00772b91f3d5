//! The tool's JSON, of both generations, → engine-neutral values. What cannot be read is an error, never
//! "nothing", and a state that nobody knows is never "stopped".

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::errors::{self, garbled, unreadable};
use super::id::{foreign_id, read_labels};
use super::run::Output;
use super::sightings::Seen;
use crate::engine::text;
use crate::engine::{Call, EngineError, Inspected, Listed};
use crate::plan::policy::{Grant, Isolation, MountGrant};
use crate::plan::{Binding, ContainerId, ContainerState, Limits, NetworkChoice};
use crate::sandbox::Protocol;

/// Seconds from 1970 to 2001, where the older generation's clock begins.
const REFERENCE_DATE: i64 = 978_307_200;
/// What the tool gives a container that was asked to have no limit.
const DEFAULT_CPUS: i64 = 4;
const DEFAULT_MEMORY: i64 = 1 << 30;
/// The tool's name of the network that every container has by default; elsewhere it is the bridge.
const DEFAULT_NETWORK: &str = "default";

/// A version of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) [u32; 3]);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(formatter, "{major}.{minor}.{patch}")
    }
}

impl Version {
    /// The first three numbers with dots between that a text holds.
    fn find(text: &str) -> Option<Self> {
        let words = text.split(|letter: char| !letter.is_ascii_digit() && letter != '.');
        words.into_iter().find_map(|word| {
            let mut numbers = word.split('.').map(str::parse);
            let version = [numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?];
            Some(Self(version))
        })
    }
}

/// What `--version` says: `container CLI version 1.2.2 (build: release, commit: …)`.
pub(super) fn cli_version(text: &str) -> Result<Version, EngineError> {
    Version::find(text).ok_or_else(|| garbled(Call::Capabilities, &format!("no version: {text}")))
}

/// The tool's service, running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// Version of the server.
    pub(super) version: String,
    /// Where it keeps its containers: what tells one user's service from another's.
    pub(super) app_root: String,
    /// Processors of the host, if it tells.
    pub(super) cpus: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: String,
    // Up to 1.4.0.
    api_server_version: Option<String>,
    app_root: Option<String>,
    // Since.
    server: Option<Part>,
    paths: Option<Paths>,
    host: Option<Host>,
}

#[derive(Deserialize)]
struct Part {
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paths {
    app_root: String,
}

#[derive(Deserialize)]
struct Host {
    cpus: Option<i64>,
}

/// What `system status --format=json` says, which fails when the service is down and says so all the same.
pub(super) fn service(output: &Output) -> Result<Service, EngineError> {
    let call = Call::Capabilities;
    let status: Health = match serde_json::from_slice(&output.stdout) {
        Ok(status) => status,
        Err(error) => {
            let refused = errors::refusal(call, output);
            return Err(refused.unwrap_or_else(|| unreadable(call, &error)));
        }
    };
    if output.code != Some(0) || status.status != "running" {
        return Err(EngineError::Unreachable(format!(
            "the service of Apple's container is {:?}: start it with `container system start`",
            status.status
        )));
    }
    let missing = |what| garbled(call, &format!("{what} is missing"));
    let version = status.server.map(|part| part.version).or(status.api_server_version);
    let version = version.ok_or_else(|| missing("the server's version"))?;
    let app_root = status.paths.map(|paths| paths.app_root).or(status.app_root);
    Ok(Service {
        version: Version::find(&version).map_or(version, |version| version.to_string()),
        app_root: app_root.filter(|root| !root.is_empty()).ok_or_else(|| missing("appRoot"))?,
        cpus: status.host.and_then(|host| host.cpus),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    configuration: Configuration,
    status: Run,
    /// Of the older generation, in seconds since 2001.
    started_date: Option<f64>,
}

/// The older generation has a word where the newer has an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Run {
    Word(String),
    Object(RunObject),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunObject {
    state: String,
    started_date: Option<Timestamp>,
}

// No environment: what is not read cannot reach a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Configuration {
    id: String,
    image: Image,
    creation_date: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    networks: Vec<Attachment>,
    #[serde(default)]
    published_ports: Vec<Published>,
    resources: Resources,
    #[serde(default)]
    mounts: Vec<Mount>,
    #[serde(default)]
    published_sockets: Vec<IgnoredAny>,
    #[serde(default)]
    cap_add: Vec<String>,
    #[serde(default)]
    ssh: bool,
    #[serde(default)]
    virtualization: bool,
}

#[derive(Deserialize)]
struct Mount {
    #[serde(default)]
    r#type: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    source: PathBuf,
    #[serde(default)]
    options: Vec<String>,
}

#[derive(Deserialize)]
struct Image {
    reference: String,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

#[derive(Deserialize)]
struct Attachment {
    network: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    container_port: u16,
    host_address: IpAddr,
    host_port: u16,
    proto: String,
    /// How many ports from there on.
    count: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resources {
    cpus: i64,
    memory_in_bytes: i64,
}

/// A container as the tool shows it. Whether one that does not run ever did, it may have forgotten.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) id: ContainerId,
    pub(super) name: String,
    pub(super) running: bool,
    pub(super) started_at: Option<Timestamp>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) created_at: Timestamp,
    pub(super) limits: Limits,
    pub(super) bindings: Vec<Binding>,
    pub(super) networks: Vec<String>,
    pub(super) isolation: Arc<Isolation>,
}

/// What `ls -a --format json` says.
pub(super) fn list(call: Call, json: &[u8]) -> Result<Vec<Shown>, EngineError> {
    let entries: Vec<Entry> =
        serde_json::from_slice(json).map_err(|error| unreadable(call, &error))?;
    entries.into_iter().map(|entry| shown(call, entry)).collect()
}

fn shown(call: Call, entry: Entry) -> Result<Shown, EngineError> {
    let Entry { configuration, status, started_date } = entry;
    let (word, started_at) = match status {
        Run::Word(word) => (word, started_date.map(|date| reference_time(call, date)).transpose()?),
        Run::Object(RunObject { state, started_date }) => (state, started_date),
    };
    let running = match word.as_str() {
        // Until it has ended.
        "running" | "stopping" => true,
        "stopped" => false,
        other => {
            return Err(garbled(call, &format!("unknown container state {}", text::word(other))));
        }
    };
    let Configuration { id: name, creation_date, resources, .. } = &configuration;
    let (labels, mark) = read_labels(configuration.labels.clone());
    let created_at = match (&mark, creation_date) {
        (Some(mark), _) => Some(mark.created_at),
        (None, Some(date)) => {
            Some(date.parse().map_err(|_| garbled(call, "creationDate is no time"))?)
        }
        // The older generation does not tell when somebody else made something.
        (None, None) => None,
    };
    let cpus = match &mark {
        Some(mark) => mark.cpus_asked,
        None => resources.cpus != DEFAULT_CPUS,
    };
    let memory = match &mark {
        Some(mark) => mark.memory_asked,
        None => resources.memory_in_bytes != DEFAULT_MEMORY,
    };
    let networks: Vec<String> =
        configuration.networks.iter().map(|it| network(&it.network)).collect();
    let isolation = isolation(&configuration, &networks);
    Ok(Shown {
        isolation: Arc::new(isolation),
        id: match &mark {
            Some(mark) => mark.id(name),
            None => foreign_id(name, creation_date.as_deref()),
        },
        name: name.clone(),
        running,
        started_at,
        created_at: created_at.unwrap_or(Timestamp::UNIX_EPOCH),
        limits: Limits {
            nano_cpus: cpus.then(|| resources.cpus.saturating_mul(1_000_000_000)),
            memory: memory.then_some(resources.memory_in_bytes),
            pids: None,
        },
        networks,
        bindings: bindings(call, &configuration.published_ports)?,
        labels,
        image: mark.map_or(configuration.image.reference, |mark| mark.image),
        image_id: configuration.image.descriptor.digest,
    })
}

fn reference_time(call: Call, seconds: f64) -> Result<Timestamp, EngineError> {
    let wrong = || garbled(call, &format!("startedDate {seconds} is no time"));
    let since = jiff::SignedDuration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    let zero = Timestamp::from_second(REFERENCE_DATE).map_err(|_| wrong())?;
    zero.checked_add(since).map_err(|_| wrong())
}

fn network(name: &str) -> String {
    if name == DEFAULT_NETWORK { "bridge".to_owned() } else { name.to_owned() }
}

fn bindings(call: Call, published: &[Published]) -> Result<Vec<Binding>, EngineError> {
    let mut bindings = Vec::new();
    for range in published {
        let protocol = match range.proto.as_str() {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            other => return Err(garbled(call, &format!("unknown protocol {}", text::word(other)))),
        };
        for offset in 0..range.count.unwrap_or(1) {
            let port = |first: u16| {
                first.checked_add(offset).ok_or_else(|| garbled(call, "a port beyond 65535"))
            };
            bindings.push(Binding {
                container_port: port(range.container_port)?,
                protocol,
                host_ip: range.host_address,
                host_port: port(range.host_port)?,
            });
        }
    }
    Ok(bindings)
}

/// What the container is let do, as far as the tool tells: what of the host is in it, and its networks. The
/// rest it is let do to a machine of its own.
fn isolation(configuration: &Configuration, networks: &[String]) -> Isolation {
    let Configuration { image, mounts, published_sockets, cap_add, ssh, virtualization, .. } =
        configuration;
    let inner = |mount: &&Mount| mount.r#type.keys().all(|kind| kind == "tmpfs");
    let volume = |mount: &&Mount| !inner(mount) && !mount.r#type.contains_key("virtiofs");
    let shared = mounts.iter().filter(|mount| mount.r#type.contains_key("virtiofs"));
    let shared = shared.map(|mount| MountGrant {
        path: mount.source.clone(),
        read_only: mount.options.iter().any(|option| option == "ro"),
    });
    let network = match networks.first().map(String::as_str) {
        None => NetworkChoice::None,
        Some("bridge") => NetworkChoice::Bridge,
        Some(name) => NetworkChoice::Named(name.to_owned()),
    };
    let beyond = [
        (!published_sockets.is_empty(), "publishedSockets"),
        (*ssh, "ssh: true"),
        (*virtualization, "virtualization: true"),
        (mounts.iter().any(|mount| volume(&mount)), "mounts: a volume"),
    ];
    let nothing = Isolation::default();
    Isolation {
        further_networks: networks.iter().skip(1).cloned().collect(),
        beyond: beyond.iter().filter(|(has, _)| *has).map(|(_, it)| (*it).to_owned()).collect(),
        told: false,
        grant: Grant {
            image: Some(image.reference.clone()),
            capabilities: cap_add
                .iter()
                .map(|name| name.strip_prefix("CAP_").unwrap_or(name).to_owned())
                .collect(),
            mounts: shared.collect(),
            network,
            ..nothing.grant
        },
        ..nothing
    }
}

/// The entry of a list.
pub(super) fn listed(seen: &Seen) -> Listed {
    let Shown { id, name, labels, .. } = &seen.container;
    Listed { id: id.clone(), name: name.clone(), state: seen.state, labels: labels.clone() }
}

/// The container in full, as far as anybody can tell.
pub(super) fn inspected(seen: &Seen) -> Inspected {
    let shown = seen.container.clone();
    let network_mode = shown.networks.first().cloned().unwrap_or_else(|| "none".to_owned());
    let ran = seen.state != ContainerState::Created;
    Inspected {
        id: shown.id,
        name: shown.name,
        state: seen.state,
        labels: shown.labels,
        image: shown.image,
        image_id: shown.image_id,
        created_at: shown.created_at,
        started_at: shown.started_at.filter(|_| ran),
        finished_at: seen.ended_at,
        exit_code: None,
        oom_killed: false,
        limits: shown.limits,
        bindings: shown.bindings,
        networks: shown.networks,
        network_mode,
        // Its containers are virtual machines: what is mounted in them cannot be seen from here.
        mounts: Vec::new(),
        pid: None,
        runtime: None,
        isolation: shown.isolation,
    }
}

#[cfg(test)]
mod tests;
