//! What the facts mean, and the mend. Pure.

use std::io;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::facts::{Directory, Inotify, Service, TakenPorts};
use crate::config::{Config, DEFAULT_PATH, Ports};
use crate::engine::EngineKind;
use crate::render::doctor::Check;
use crate::sandbox::text::shown_path;

/// Instances of inotify that leave room for us beside an editor and a desktop.
const INSTANCES: u64 = 128;

pub(super) fn configuration(named: Option<&Path>, loaded: &anyhow::Result<Config>) -> Check {
    let name = "configuration";
    match (loaded, named) {
        (Ok(_), Some(path)) => Check::ok(name, path.display().to_string()),
        (Ok(_), None) if Path::new(DEFAULT_PATH).exists() => Check::ok(name, DEFAULT_PATH),
        (Ok(_), None) => Check::ok(name, "no file; the built-in defaults hold"),
        (Err(error), _) => {
            let mend = "correct it; `sandkeeper schema config` prints every key";
            Check::fail(name, format!("{error:#}"), mend)
        }
    }
}

pub(super) fn no_specs() -> Check {
    let mend = "name one with --specs DIR, SANDKEEPER_SPECS or `specs:` in the configuration";
    Check::warn("specs", "no directory of specs is configured", mend)
}

/// Whoever may write a spec may run any container, and so is as good as root.
/// `exposed` is what the source says of who else may write there.
pub(super) fn specs(path: &Path, found: &io::Result<Directory>, exposed: Option<String>) -> Check {
    let name = "specs";
    let shown = path.display();
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::fail(name, format!("{shown} does not exist"), format!("mkdir -p {shown}"))
        }
        Err(error) => Check::fail(
            name,
            format!("{shown} cannot be looked at: {error}"),
            "let the daemon's user enter every directory above it",
        ),
        Ok(found) if !found.is_dir => Check::fail(
            name,
            format!("{shown} is not a directory"),
            "name the directory of the specs",
        ),
        Ok(found) if !found.listable => Check::fail(
            name,
            format!("{shown} cannot be listed"),
            "let the daemon's user read it (chmod u+rx, or chown)",
        ),
        Ok(found) => match exposed {
            Some(exposed) => {
                Check::fail(name, exposed, "let only root and the daemon's user write there")
            }
            None if found.owner != found.us && found.owner != 0 => Check::warn(
                name,
                format!("{shown} belongs to user {}, who can so run any container", found.owner),
                "give it to root or to the daemon's user, if that is not meant",
            ),
            None => Check::ok(name, shown.to_string()),
        },
    }
}

pub(super) fn inotify(found: &Inotify, directories: usize) -> Check {
    let name = "file events";
    let raise = "sysctl fs.inotify.max_user_instances=512 (and the same in /etc/sysctl.d/)";
    if !found.available {
        let message = "inotify has no instance left: changes would be found by polling";
        return Check::warn(name, message, raise);
    }
    if found.instances.is_some_and(|instances| instances < INSTANCES) {
        let message = "few inotify instances are allowed: a busy host can run out of them";
        return Check::warn(name, message, raise);
    }
    let directories = u64::try_from(directories).unwrap_or(u64::MAX);
    if found.watches.is_some_and(|watches| watches < 8 * directories.max(1)) {
        let message = "few inotify watches are allowed: changes may be found by polling";
        return Check::warn(name, message, "sysctl fs.inotify.max_user_watches=65536");
    }
    Check::ok(name, "inotify is available")
}

pub(super) fn state(path: &Path, found: &io::Result<Directory>) -> Check {
    let name = "state";
    let shown = path.display();
    match found {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Check::ok(name, format!("{shown} does not exist yet; `run` creates it"))
        }
        Err(error) => Check::fail(
            name,
            format!("{shown} cannot be looked at: {error}"),
            "run doctor as the daemon's user, or let that user enter it",
        ),
        Ok(found) if !found.is_dir => {
            Check::fail(name, format!("{shown} is not a directory"), "name another with --state")
        }
        Ok(found) if found.mode & 0o002 != 0 => Check::fail(
            name,
            format!("{shown} is writable for everybody, who can so take over containers"),
            format!("chmod 0700 {shown}"),
        ),
        Ok(found) if !found.listable => Check::fail(
            name,
            format!("{shown} cannot be read"),
            "run doctor as the daemon's user, or give it to that user",
        ),
        Ok(found) if found.mode & 0o004 != 0 => Check::warn(
            name,
            format!("{shown} is readable for everybody, with the environment of every sandbox"),
            format!("chmod 0700 {shown}"),
        ),
        Ok(_) => Check::ok(name, shown.to_string()),
    }
}

/// One engine that was asked.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Which, and where.
    pub(super) candidate: String,
    /// What it is and what it is made of, by name and version; or why it is not there.
    pub(super) outcome: Result<(EngineKind, Vec<(String, String)>), String>,
}

/// What was found of engines, and why the choice falls on the first that answers.
pub(super) fn engines(asked: &[Asked], because: &str) -> Vec<Check> {
    let chosen = asked.iter().position(|asked| asked.outcome.is_ok());
    let Some(chosen) = chosen else {
        let each: Vec<String> =
            asked.iter().filter_map(|asked| asked.outcome.clone().err()).collect();
        let mend = "start an engine, or name its address with --socket or DOCKER_HOST";
        return vec![Check::fail("engine", each.join("; "), mend)];
    };
    let mut all = Vec::new();
    for (index, Asked { candidate, outcome }) in asked.iter().enumerate() {
        match outcome {
            Ok((kind, parts)) if index == chosen => all.extend(engine(*kind, parts, because)),
            Ok(_) => {
                all.push(Check::ok("engine", format!("{candidate} answers too, and is not used")));
            }
            Err(why) => all.push(Check::ok("engine", format!("not used: {why}"))),
        }
    }
    all
}

/// The chosen engine's parts.
fn engine(kind: EngineKind, parts: &[(String, String)], because: &str) -> Vec<Check> {
    let version = |part: &str| {
        parts.iter().find(|(name, _)| name == part).map(|(_, version)| version.as_str())
    };
    let mut all = Vec::new();
    if let Some(engine) = version("Engine") {
        let api = version("API").map(|api| format!(", API {api}")).unwrap_or_default();
        all.push(Check::ok("engine", format!("{kind} {engine}{api}: {because}")));
        match kind {
            EngineKind::Apple => all.extend(version("Client").and_then(|it| versions(it, engine))),
            EngineKind::Docker => all.extend(loopback(engine)),
            EngineKind::Podman | EngineKind::Fake => {}
        }
    } else {
        all.push(Check::ok(
            "engine",
            format!("{kind} answers, and does not tell its version: {because}"),
        ));
    }
    all.extend(version("runc").and_then(runc));
    all
}

/// An upgrade of Apple's container leaves the old service running, and the two do not fit.
fn versions(client: &str, server: &str) -> Option<Check> {
    (client != server).then(|| {
        Check::warn(
            "container",
            format!("the program is {client} and its service still {server}"),
            "run `container system stop` and `container system start`, which stops every container",
        )
    })
}

/// Before Docker 28, ports published on 127.0.0.1 could be reached from the same network segment.
fn loopback(engine: &str) -> Option<Check> {
    let old = numbers(engine)? < [28, 0, 0];
    old.then(|| {
        Check::warn(
            "loopback",
            format!("Docker {engine} lets neighbours on the network reach ports on 127.0.0.1"),
            "update Docker to 28 or later (moby/moby#45610)",
        )
    })
}

/// Escapes to the host that older versions allow (CVE-2025-31133 and before).
fn runc(version: &str) -> Option<Check> {
    let found = numbers(version)?;
    let old = found < [1, 2, 8] || ([1, 3, 0]..[1, 3, 3]).contains(&found);
    Some(if old {
        Check::warn(
            "runc",
            format!(
                "runc {version} is older than 1.2.8 and 1.3.3, which close escapes to the host"
            ),
            "update runc, unless your distribution says that its version has the fixes \
             (CVE-2024-21626, CVE-2025-31133)",
        )
    } else {
        Check::ok("runc", version)
    })
}

/// The three numbers that a version starts with: `1.1.5+ds1` → 1, 1, 5.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let digits = |part: &str| -> Option<u32> {
        part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let mut parts = version.trim_start_matches('v').splitn(3, '.');
    let first = digits(parts.next()?)?;
    let mut next = || parts.next().and_then(digits).unwrap_or(0);
    Some([first, next(), next()])
}

pub(super) fn ports(range: &Ports, found: &TakenPorts) -> Check {
    let name = "ports";
    let count = usize::from(range.count);
    let last = u32::from(range.base) + u32::from(range.count) - 1;
    let shown = format!("{}:{}-{last}", range.bind, range.base);
    if let Some(why) = &found.unusable {
        let mend =
            "configure an address of this host as ports.bind, and a base above 1023 unless root";
        return Check::fail(name, format!("{shown} cannot be used: {why}"), mend);
    }
    let free = count.saturating_sub(found.taken);
    let message = format!("{free} of {count} are free in {shown}");
    let mend = "configure another ports.base or a larger ports.count";
    match free {
        0 => Check::fail(name, message, mend),
        _ if free * 10 < count => Check::warn(name, message, mend),
        _ => Check::ok(name, message),
    }
}

/// A container's root can leave a program in a mount that runs as the host's root for whoever starts it
/// there.
pub(super) fn suid_mounts(found: &[PathBuf]) -> Option<Check> {
    let first = shown_path(found.first()?);
    let more = match found.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    Some(Check::warn(
        "mounts",
        format!("programs that a sandbox leaves in {first}{more} can run as root on the host"),
        "keep what sandboxes write to on a filesystem mounted with nosuid,nodev",
    ))
}

/// A clock that is far behind makes every back-off and end of life wrong.
pub(super) fn clock(now: Timestamp, newest_status: Option<Timestamp>) -> Check {
    let name = "clock";
    let mend = "set the clock; run a time service (systemd-timesyncd, chrony)";
    if now < released() {
        return Check::fail(name, format!("{now:.0} is before this version was made"), mend);
    }
    match newest_status {
        Some(status) if status > now + SignedDuration::from_secs(60) => {
            Check::warn(name, format!("{now:.0}, but a status was written at {status:.0}"), mend)
        }
        _ => Check::ok(name, format!("{now:.0}")),
    }
}

/// A time that no clock of a running sandkeeper can be before: 2025-01-01.
fn released() -> Timestamp {
    Timestamp::constant(1_735_689_600, 0)
}

pub(super) fn service(found: Service) -> Check {
    let name = "service";
    match found {
        Service { active: true, enabled: true, .. } => {
            Check::ok(name, "active, and starts at boot")
        }
        Service { active: true, .. } => Check::warn(
            name,
            "active, and does not start at boot",
            "systemctl enable sandkeeper.service",
        ),
        Service { installed: true, .. } => Check::warn(
            name,
            "installed, and not active",
            "systemctl enable --now sandkeeper.service; journalctl -u sandkeeper tells why it ended",
        ),
        Service { .. } => Check::ok(name, "no systemd unit is installed"),
    }
}

pub(super) fn daemon(holder: &io::Result<Option<u32>>) -> Check {
    let name = "daemon";
    match holder {
        Ok(Some(0)) => Check::ok(name, "runs"),
        Ok(Some(pid)) => Check::ok(name, format!("runs, with process id {pid}")),
        Ok(None) => Check::warn(
            name,
            "does not run on this state directory: nothing keeps the sandboxes",
            "start the service, or `sandkeeper run`",
        ),
        Err(error) => {
            Check::warn(name, format!("cannot be told: {error}"), "run doctor as the daemon's user")
        }
    }
}

#[cfg(test)]
mod tests;
