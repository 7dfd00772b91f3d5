//! TCP probes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection must stay open to count.
///
/// Docker publishes ports on loopback through a proxy of its own, which accepts a connection before it has
/// tried the container. Where nothing listens there, it then closes: within 1 ms on an idle host, within
/// 17 ms in the worst of a thousand tries with both processors overloaded (Docker 20.10). A connection
/// that was only accepted therefore proves nothing.
const SETTLE: Duration = Duration::from_millis(50);

/// Connects, and sees whether somebody is there. A server that closes every connection at once without a
/// word cannot be told from a proxy with nobody behind it, and fails.
pub(super) async fn connect(address: SocketAddr) -> Result<(), String> {
    let mut stream = TcpStream::connect(address).await.map_err(|error| explain(address, &error))?;
    match timeout(SETTLE, stream.read(&mut [0; 1])).await {
        // Still open, or it spoke.
        Err(_) | Ok(Ok(1..)) => Ok(()),
        Ok(Ok(0) | Err(_)) => {
            Err(format!("{address} accepted a connection and closed it: nothing listens behind it"))
        }
    }
}

/// A failed connection, in few words.
pub(super) fn explain(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{address} refused the connection"),
        _ => format!("{address} cannot be reached: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn an_open_connection_passes() {
        let (_listener, address) = listener().await;
        assert_eq!(connect(address).await, Ok(()));
    }

    #[tokio::test]
    async fn a_server_that_speaks_and_closes_passes() {
        let (listener, address) = listener().await;
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"220 ready\r\n").await.unwrap();
        };
        let (result, ()) = tokio::join!(connect(address), server);
        assert_eq!(result, Ok(()));
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_at_once_fails() {
        let (listener, address) = listener().await;
        let proxy = async { drop(listener.accept().await.unwrap()) };
        let (result, ()) = tokio::join!(connect(address), proxy);
        assert!(result.unwrap_err().contains("nothing listens behind it"));
    }

    #[tokio::test]
    #[ignore = "needs a Docker engine: ./tests/run runs it"]
    async fn dockers_proxy_with_nobody_behind_it_fails() {
        use crate::controller::probes::{http, real};

        real::with_container(&["sleep", "600"], async |_, _, address| {
            // What makes the rule necessary: the connection itself succeeds.
            assert!(TcpStream::connect(address).await.is_ok());
            for _ in 0..100 {
                assert!(connect(address).await.is_err());
                assert!(http::get(address, "/").await.is_err());
            }
        })
        .await;
    }

    #[tokio::test]
    #[ignore = "needs a Docker engine: ./tests/run runs it"]
    async fn dockers_proxy_with_a_server_behind_it_passes() {
        use crate::controller::probes::real;

        real::with_container(&["httpd", "-f", "-p", "8080"], async |_, _, address| {
            while connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            for _ in 0..20 {
                assert_eq!(connect(address).await, Ok(()));
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_closed_port_fails() {
        let (listener, address) = listener().await;
        drop(listener);
        assert!(connect(address).await.unwrap_err().contains("refused"));
    }
}
