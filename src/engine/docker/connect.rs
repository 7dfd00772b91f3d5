//! Where the engine listens, and what to say when it does not.

use std::fmt;
use std::io;
use std::path::PathBuf;

use bollard::API_DEFAULT_VERSION;

use crate::engine::EngineError;
use crate::engine::text::clean;

/// Docker's own default.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// bollard's timeout in seconds: out of the way, for every call has a deadline of ours around it.
const BOLLARD_TIMEOUT: u64 = 24 * 60 * 60;

/// Address of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// Host and port, without encryption.
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix://{}", path.display()),
            Self::Tcp(host) => write!(formatter, "tcp://{host}"),
        }
    }
}

impl Address {
    /// The configured address, else that of `DOCKER_HOST`, else the default.
    pub(super) fn choose(
        configured: Option<&str>,
        docker_host: Option<&str>,
    ) -> Result<Self, EngineError> {
        let text = configured.or(docker_host.filter(|host| !host.is_empty()));
        Self::parse(text.unwrap_or(DEFAULT_SOCKET))
    }

    fn parse(text: &str) -> Result<Self, EngineError> {
        if let Some(path) = text.strip_prefix("unix://").or(text.starts_with('/').then_some(text)) {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        match text.strip_prefix("tcp://").or(text.strip_prefix("http://")) {
            Some(host) => Self::tcp(text, host.trim_end_matches('/')),
            None => {
                Err(unusable(text, "it is none of a socket's path, unix://PATH, tcp://HOST:PORT"))
            }
        }
    }

    fn tcp(text: &str, host: &str) -> Result<Self, EngineError> {
        let port = host.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        if port.is_none() || host.contains('/') {
            return Err(unusable(
                text,
                "tcp:// takes a host and a port, as in tcp://127.0.0.1:2375",
            ));
        }
        Ok(Self::Tcp(host.to_owned()))
    }

    /// A client for this address. It connects anew for every call, so an engine that is away now may
    /// answer later.
    pub(super) fn client(&self) -> Result<bollard::Docker, EngineError> {
        let client = match self {
            Self::Unix(path) => {
                let path = path.to_string_lossy();
                bollard::Docker::connect_with_unix(&path, BOLLARD_TIMEOUT, API_DEFAULT_VERSION)
            }
            Self::Tcp(host) => {
                bollard::Docker::connect_with_http(host, BOLLARD_TIMEOUT, API_DEFAULT_VERSION)
            }
        };
        client.map_err(|error| match error {
            bollard::errors::Error::SocketNotFoundError(_) => {
                self.unreachable(&io::Error::from(io::ErrorKind::NotFound))
            }
            other => unusable(&self.to_string(), &other.to_string()),
        })
    }

    /// Says why no connection came about, and what to do.
    pub(super) fn unreachable(&self, error: &io::Error) -> EngineError {
        let reason = match (error.kind(), self) {
            (io::ErrorKind::NotFound, _) => {
                "no such socket — is the engine installed and running (dockerd, or Podman's podman.socket)?".to_owned()
            }
            (io::ErrorKind::ConnectionRefused, _) => {
                "connection refused — is the engine running?".to_owned()
            }
            (io::ErrorKind::PermissionDenied, Self::Unix(_)) => {
                "permission denied — run as root, or add the user to the socket's group (usually \
                 `usermod -aG docker USER`, which is as good as root) and log in again"
                    .to_owned()
            }
            _ => clean(&error.to_string()),
        };
        EngineError::Unreachable(format!("cannot reach the engine at {self}: {reason}"))
    }
}

fn unusable(address: &str, why: &str) -> EngineError {
    EngineError::Unreachable(format!(
        "cannot use {address:?} as the engine's address: {}",
        clean(why)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(configured: Option<&str>, host: Option<&str>) -> String {
        Address::choose(configured, host).unwrap().to_string()
    }

    #[test]
    fn the_configured_address_wins_over_docker_host_and_that_over_the_default() {
        let host = Some("unix:///run/user/1000/docker.sock");
        assert_eq!(choose(Some("/run/x.sock"), host), "unix:///run/x.sock");
        assert_eq!(choose(None, host), "unix:///run/user/1000/docker.sock");
        assert_eq!(choose(None, Some("")), "unix:///var/run/docker.sock");
        assert_eq!(choose(None, None), "unix:///var/run/docker.sock");
    }

    #[test]
    fn tcp_addresses_need_a_port() {
        assert_eq!(choose(Some("tcp://127.0.0.1:2375/"), None), "tcp://127.0.0.1:2375");
        assert_eq!(choose(Some("tcp://[::1]:2375"), None), "tcp://[::1]:2375");
        let error = Address::choose(Some("tcp://localhost"), None).unwrap_err();
        assert!(error.to_string().contains("tcp://127.0.0.1:2375"), "{error}");
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        let error = Address::choose(None, Some("ssh://host")).unwrap_err();
        assert!(error.to_string().contains("\"ssh://host\""), "{error}");
    }

    #[test]
    fn each_reason_says_what_to_do() {
        let address = Address::choose(None, None).unwrap();
        let text = |kind| address.unreachable(&io::Error::from(kind)).to_string();
        assert_eq!(
            text(io::ErrorKind::ConnectionRefused),
            "cannot reach the engine at unix:///var/run/docker.sock: connection refused — is the \
             engine running?"
        );
        assert!(text(io::ErrorKind::PermissionDenied).contains("usermod -aG docker"));
        assert!(text(io::ErrorKind::NotFound).contains("no such socket"));
    }

    #[tokio::test]
    async fn a_missing_socket_is_unreachable() {
        let error = super::super::Docker::connect(Some("/nonexistent/d.sock")).await.unwrap_err();
        assert!(matches!(&error, EngineError::Unreachable(text)
            if text.contains("unix:///nonexistent/d.sock: no such socket")));
    }
}
