//! Which engine: who is asked, in which order, and why the choice falls where it falls.

use std::fmt;
use std::sync::Arc;

use crate::config::{Config, EngineChoice};
use crate::engine::apple::Apple;
use crate::engine::docker::Docker;
use crate::engine::{Capabilities, Engine, EngineError, EngineKind};
use crate::state::EngineRecord;

/// Podman's socket for the whole host (podman-system-service(1)).
const PODMAN_OF_THE_HOST: &str = "/run/podman/podman.sock";

/// An engine that answered.
pub(crate) struct Connected {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) capabilities: Capabilities,
    /// Where it listens.
    pub(crate) address: String,
}

/// An engine that may be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// What must answer; `None`: whatever speaks Docker's API.
    kind: Option<EngineKind>,
    /// Where; `None`: `DOCKER_HOST`, else Docker's own default.
    address: Option<String>,
}

impl fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, &self.address) {
            (Some(kind), None) => write!(formatter, "{kind}"),
            (Some(kind), Some(address)) => write!(formatter, "{kind} at {address}"),
            (None, Some(address)) => write!(formatter, "the engine at {address}"),
            (None, None) => formatter.write_str("the engine"),
        }
    }
}

/// What else than the configuration decides where engines are looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    /// `CONTAINER_HOST`, Podman's own variable for its address.
    container_host: Option<String>,
    /// `DOCKER_HOST`.
    docker_host: Option<String>,
    /// `XDG_RUNTIME_DIR`, where a user's own Podman listens.
    runtime_dir: Option<String>,
    /// Whether this is macOS, where Apple's `container` comes first.
    macos: bool,
}

impl Surroundings {
    pub(crate) fn read() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            container_host: variable("CONTAINER_HOST"),
            docker_host: variable("DOCKER_HOST"),
            runtime_dir: variable("XDG_RUNTIME_DIR"),
            macos: cfg!(target_os = "macos"),
        }
    }
}

/// Who is asked, in order. The engine that holds our containers already is the only one under `auto`: it may
/// be away for a while, and another one that answers meanwhile knows nothing of them.
pub(crate) fn candidates(
    choice: EngineChoice,
    socket: Option<&str>,
    in_use: Option<&EngineRecord>,
    around: &Surroundings,
) -> Vec<Candidate> {
    let one = |kind, address: Option<&str>| {
        vec![Candidate { kind, address: address.map(ToOwned::to_owned) }]
    };
    match (choice, socket) {
        (EngineChoice::Docker, socket) => one(Some(EngineKind::Docker), socket),
        (EngineChoice::Apple, _) => one(Some(EngineKind::Apple), None),
        (EngineChoice::Podman, Some(socket)) => one(Some(EngineKind::Podman), Some(socket)),
        (EngineChoice::Podman, None) => podman(around),
        (EngineChoice::Auto, Some(socket)) => one(None, Some(socket)),
        (EngineChoice::Auto, None) => match in_use {
            Some(EngineRecord { kind: EngineKind::Apple, .. }) => {
                one(Some(EngineKind::Apple), None)
            }
            Some(record) if !record.address.is_empty() => {
                one(Some(record.kind), Some(&record.address))
            }
            Some(EngineRecord { kind: EngineKind::Podman, .. }) => podman(around),
            Some(record) => one(Some(record.kind), None),
            // An address in the environment is meant, whatever answers there.
            None if around.docker_host.is_some() => one(None, None),
            None if around.macos => [EngineKind::Apple, EngineKind::Docker]
                .map(|kind| Candidate { kind: Some(kind), address: None })
                .to_vec(),
            None => {
                let mut all = one(Some(EngineKind::Docker), None);
                all.extend(podman(around));
                all
            }
        },
    }
}

fn podman(around: &Surroundings) -> Vec<Candidate> {
    let candidate =
        |address: String| Candidate { kind: Some(EngineKind::Podman), address: Some(address) };
    if let Some(address) = &around.container_host {
        return vec![candidate(address.clone())];
    }
    let of_the_user = around.runtime_dir.iter().map(|it| format!("{it}/podman/podman.sock"));
    of_the_user.chain([PODMAN_OF_THE_HOST.to_owned()]).map(candidate).collect()
}

/// The first candidate that answers.
///
/// # Errors
/// None does; says what each of them answered.
pub(crate) async fn find(
    config: &Config,
    in_use: Option<&EngineRecord>,
) -> Result<Connected, EngineError> {
    let all = candidates(config.engine, config.socket.as_deref(), in_use, &Surroundings::read());
    let mut refusals = Vec::new();
    for candidate in all {
        match ask(&candidate, config).await {
            Ok(connected) => return Ok(connected),
            Err(error) => refusals.push((candidate, error)),
        }
    }
    Err(none_answers(refusals))
}

/// One engine's own words, or a summary of several.
fn none_answers(mut refusals: Vec<(Candidate, EngineError)>) -> EngineError {
    if let [_] = &refusals[..]
        && let Some((_, error)) = refusals.pop()
    {
        return error;
    }
    let each: Vec<String> =
        refusals.iter().map(|(candidate, error)| format!("{candidate}: {error}")).collect();
    EngineError::Unreachable(format!("no engine answers: {}", each.join("; ")))
}

/// Every candidate with what came of asking it, for `doctor`.
pub(crate) async fn survey(
    config: &Config,
    in_use: Option<&EngineRecord>,
) -> Vec<(Candidate, Result<Arc<dyn Engine>, EngineError>)> {
    let all = candidates(config.engine, config.socket.as_deref(), in_use, &Surroundings::read());
    let asked = all.into_iter().map(|candidate| async move {
        let outcome = ask(&candidate, config).await.map(|connected| connected.engine);
        (candidate, outcome)
    });
    futures::future::join_all(asked).await
}

/// The engine on record, for those who must speak to it although another one is configured.
pub(crate) async fn on_record(
    record: &EngineRecord,
    config: &Config,
) -> Result<Connected, EngineError> {
    let address = Some(&record.address).filter(|address| !address.is_empty()).cloned();
    ask(&Candidate { kind: Some(record.kind), address }, config).await
}

async fn ask(candidate: &Candidate, config: &Config) -> Result<Connected, EngineError> {
    if candidate.kind == Some(EngineKind::Apple) {
        let cli = config.apple_cli.as_deref();
        let engine: Arc<dyn Engine> =
            Arc::new(Apple::connect(cli).await?.under(config.policy.clone()));
        let capabilities = engine.capabilities().await?;
        return Ok(Connected { engine, capabilities, address: String::new() });
    }
    let docker = Docker::connect(candidate.address.as_deref()).await?;
    let docker = docker.under(config.policy.clone());
    let address = docker.address();
    if let Some(kind) = candidate.kind
        && kind != docker.kind()
    {
        let found = docker.kind();
        return Err(EngineError::Unsupported(format!(
            "what answers at {address} is {found}, and {kind} is asked for: use --engine {found}, or name \
             another address with --socket"
        )));
    }
    let capabilities = docker.capabilities().await?;
    Ok(Connected { engine: Arc::new(docker), capabilities, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(
        choice: EngineChoice,
        socket: Option<&str>,
        in_use: Option<&EngineRecord>,
        around: &Surroundings,
    ) -> Vec<String> {
        candidates(choice, socket, in_use, around).iter().map(ToString::to_string).collect()
    }

    fn record(kind: EngineKind, address: &str) -> EngineRecord {
        EngineRecord {
            kind,
            engine_id: "id".to_owned(),
            prefix: "sandbox".to_owned(),
            address: address.to_owned(),
        }
    }

    #[test]
    fn docker_comes_before_podman_and_a_users_own_podman_before_the_hosts() {
        let around = Surroundings {
            runtime_dir: Some("/run/user/1000".to_owned()),
            ..Surroundings::default()
        };
        assert_eq!(
            asked(EngineChoice::Auto, None, None, &around),
            [
                "docker",
                "podman at /run/user/1000/podman/podman.sock",
                "podman at /run/podman/podman.sock"
            ]
        );
        assert_eq!(
            asked(EngineChoice::Auto, None, None, &Surroundings::default()),
            ["docker", "podman at /run/podman/podman.sock"]
        );
    }

    #[test]
    fn on_macos_apples_container_comes_before_docker() {
        let around = Surroundings { macos: true, ..Surroundings::default() };
        assert_eq!(asked(EngineChoice::Auto, None, None, &around), ["apple", "docker"]);
        let in_use = record(EngineKind::Apple, "");
        assert_eq!(asked(EngineChoice::Auto, None, Some(&in_use), &around), ["apple"]);
    }

    #[test]
    fn an_address_is_meant_whatever_answers_there() {
        let around = Surroundings {
            docker_host: Some("unix:///x.sock".to_owned()),
            ..Surroundings::default()
        };
        assert_eq!(asked(EngineChoice::Auto, None, None, &around), ["the engine"]);
        assert_eq!(
            asked(EngineChoice::Auto, Some("/y.sock"), None, &around),
            ["the engine at /y.sock"]
        );
        assert_eq!(
            asked(EngineChoice::Podman, Some("/y.sock"), None, &around),
            ["podman at /y.sock"]
        );
        assert_eq!(asked(EngineChoice::Docker, None, None, &around), ["docker"]);
    }

    #[test]
    fn podmans_own_variable_names_its_address() {
        let around = Surroundings {
            container_host: Some("unix:///p.sock".to_owned()),
            runtime_dir: Some("/run/user/1000".to_owned()),
            ..Surroundings::default()
        };
        assert_eq!(asked(EngineChoice::Podman, None, None, &around), ["podman at unix:///p.sock"]);
    }

    #[test]
    fn the_engine_that_holds_our_containers_is_not_left_for_another_that_answers() {
        let around = Surroundings::default();
        let in_use = record(EngineKind::Podman, "unix:///p.sock");
        let of = |choice, socket, in_use| asked(choice, socket, Some(in_use), &around);
        assert_eq!(of(EngineChoice::Auto, None, &in_use), ["podman at unix:///p.sock"]);
        // Whoever names an engine means it; the record is compared afterwards.
        assert_eq!(of(EngineChoice::Docker, None, &in_use), ["docker"]);
        // Records of earlier versions hold no address.
        let old = record(EngineKind::Docker, "");
        assert_eq!(of(EngineChoice::Auto, None, &old), ["docker"]);
    }

    #[test]
    fn the_words_of_one_engine_are_kept_and_those_of_several_are_told_apart() {
        let refusal = |kind| {
            let candidate = Candidate { kind: Some(kind), address: None };
            (candidate, EngineError::Unreachable(format!("no {kind} here")))
        };
        let one = none_answers(vec![refusal(EngineKind::Docker)]);
        assert_eq!(one.to_string(), "no docker here");
        let two = none_answers(vec![refusal(EngineKind::Docker), refusal(EngineKind::Podman)]);
        assert_eq!(
            two.to_string(),
            "no engine answers: docker: no docker here; podman: no podman here"
        );
    }
}
