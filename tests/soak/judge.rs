//! The properties, as functions of what was seen and of what the driver did. Pure; nothing here knows the
//! program, only what its README promises.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::history::{History, Nanos, SECOND};
use crate::spec::{Run, Spec, generation_in};

/// A start by hand may fall between the daemon's last look and its own start.
const MEANWHILE: Nanos = 5 * SECOND;
/// So long may it take to notice a start by hand.
const NOTICED: Nanos = 30 * SECOND;

/// A promise that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    ForeignTouched,
    StoppedWithoutCause,
    TwoAtOnce,
    StoppedBeforeReplacement,
    DataLost,
    ChangedOutside,
    FromNoSpec,
    NotConverged,
    NotQuiet,
    DaemonFailed,
}

impl Property {
    pub(crate) const ALL: [Self; 10] = [
        Self::ForeignTouched,
        Self::StoppedWithoutCause,
        Self::TwoAtOnce,
        Self::StoppedBeforeReplacement,
        Self::DataLost,
        Self::ChangedOutside,
        Self::FromNoSpec,
        Self::NotConverged,
        Self::NotQuiet,
        Self::DaemonFailed,
    ];
}

impl fmt::Display for Property {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ForeignTouched => "a foreign container is touched",
            Self::StoppedWithoutCause => "a container is stopped or removed without cause",
            Self::TwoAtOnce => "two containers of one sandbox run",
            Self::StoppedBeforeReplacement => {
                "a container is stopped before its replacement exists"
            }
            Self::DataLost => "data on a mount is lost or changed",
            Self::ChangedOutside => "something outside of the mounts is changed",
            Self::FromNoSpec => "a container is made from what never was a whole spec",
            Self::NotConverged => "at rest, what runs is not what the specs say",
            Self::NotQuiet => "at rest, something is still changed",
            Self::DaemonFailed => "the daemon ends by itself, or does not end when asked",
        })
    }
}

/// A container of ours.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) sandbox: String,
    pub(crate) name: String,
    /// `None`: it was gone before it could be looked at.
    pub(crate) generation: Option<u32>,
    pub(crate) created: Nanos,
    /// When it was last started, and whether by the driver.
    pub(crate) started: Option<(Nanos, bool)>,
    pub(crate) running: bool,
}

/// What the engine told of a container of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    Stop,
    Destroy,
    Pause,
}

/// Whether the daemon may do this to a container of its own. `others`: the other containers of the
/// sandbox that exist.
pub(crate) fn blow(
    blow: Blow,
    container: &Owned,
    others: &[&Owned],
    history: &History,
    now: Nanos,
) -> Result<(), (Property, String)> {
    let wrong = |why: String| Err((Property::StoppedWithoutCause, why));
    let Some(generation) = container.generation else { return Ok(()) };
    let demands = history.demands(generation, container.created, now);
    match blow {
        Blow::Pause => wrong("it was paused".to_owned()),
        // What has never run, or has ended beside one that is there, is no loss.
        Blow::Destroy if container.started.is_none() => Ok(()),
        Blow::Destroy if !container.running && !others.is_empty() => Ok(()),
        Blow::Destroy if demands.deleted || demands.replaced => Ok(()),
        Blow::Destroy => wrong(format!("generation {generation} was removed: {demands:?}")),
        Blow::Stop if !container.running || demands.deleted || demands.suspended => Ok(()),
        Blow::Stop if !demands.replaced => {
            wrong(format!("generation {generation} was stopped: {demands:?}"))
        }
        Blow::Stop if others.is_empty() => Err((
            Property::StoppedBeforeReplacement,
            format!("generation {generation} was stopped, and nothing is there to follow it"),
        )),
        Blow::Stop => Ok(()),
    }
}

/// What must be there when everything has come to rest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expected {
    Nothing,
    /// Exactly one, as this spec says.
    Runs(Spec),
    /// None that runs.
    Stopped,
    /// The spec cannot be had: the one that ran before serves on, if there is one.
    Held,
    /// A foreign container has the name: none of ours.
    Taken,
}

/// Compares one sandbox with what must be there. `inspect` has what the engine says of a container.
pub(crate) fn compare(
    expected: &Expected,
    prefix: &str,
    sandbox: &str,
    found: &[Value],
) -> Result<(), String> {
    let main = format!("/{prefix}-{sandbox}");
    let text = |inspect: &Value, at: &str| {
        inspect.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let all: Vec<String> = found
        .iter()
        .map(|it| format!("{} {} {}", text(it, "/Name"), text(it, "/State/Status"), command(it)))
        .collect();
    let one = match (found, expected) {
        ([], Expected::Nothing | Expected::Stopped | Expected::Held | Expected::Taken) => {
            return Ok(());
        }
        ([one], _) => one,
        _ => return Err(format!("expected {expected:?}, found {all:?}")),
    };
    let status = text(one, "/State/Status");
    if text(one, "/Name") != main {
        return Err(format!("expected the name {main}, found {all:?}"));
    }
    match expected {
        Expected::Nothing | Expected::Taken => Err(format!("expected none, found {all:?}")),
        Expected::Stopped if status == "exited" || status == "created" => Ok(()),
        Expected::Held if status == "running" => Ok(()),
        Expected::Stopped | Expected::Held => Err(format!("expected {expected:?}, found {all:?}")),
        Expected::Runs(spec) if status == "running" => differences(spec, one),
        Expected::Runs(_) => Err(format!("expected it to run, found {all:?}")),
    }
}

fn differences(spec: &Spec, inspect: &Value) -> Result<(), String> {
    let number = |at: &str| inspect.pointer(at).and_then(Value::as_i64).unwrap_or_default();
    let same = |what: &str, found: i64, wanted: i64| {
        if found == wanted { Ok(()) } else { Err(format!("{what} is {found}, not {wanted}")) }
    };
    let generation = generation_in(&command(inspect)).unwrap_or_default();
    same("generation", generation.into(), spec.generation.into())?;
    same("memory", number("/HostConfig/Memory"), spec.memory_mib << 20)?;
    same("pids", number("/HostConfig/PidsLimit"), spec.pids)?;
    let binds = inspect.pointer("/Mounts").and_then(Value::as_array).map_or(0, Vec::len);
    same("number of mounts", i64::try_from(binds).unwrap_or(-1), spec.mount.into())?;
    let published = inspect.pointer("/HostConfig/PortBindings/8080~1tcp/0/HostPort").is_some();
    same("a published port", published.into(), (spec.run == Run::Serve).into())
}

fn command(inspect: &Value) -> String {
    inspect.pointer("/Args").map(Value::to_string).unwrap_or_default()
}

/// What makes a foreign container the same one, untouched.
pub(crate) fn identity(inspect: &Value) -> Value {
    let parts = [
        "/Id",
        "/Name",
        "/State/StartedAt",
        "/State/Status",
        "/RestartCount",
        "/HostConfig",
        "/Mounts",
    ];
    parts.iter().map(|at| inspect.pointer(at).cloned().unwrap_or_default()).collect()
}

/// Whether two that run are the driver's doing: it started one by hand, about when the daemon started the
/// other. The daemon must see it soon.
pub(crate) fn started_by_hand(running: &[&Owned], now: Nanos) -> bool {
    let starts: Vec<(Nanos, bool)> = running.iter().filter_map(|it| it.started).collect();
    let last = starts.iter().map(|(at, _)| *at).max().unwrap_or_default();
    starts.iter().any(|(at, by_driver)| *by_driver && last - at < MEANWHILE) && now - last < NOTICED
}

/// Sandboxes of which more than one container runs.
pub(crate) fn doubled<'a>(
    running: impl Iterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (sandbox, id) in running {
        all.entry(sandbox).or_default().insert(id);
    }
    all.retain(|_, ids| ids.len() > 1);
    all
}
