//! One attempt, of whatever kind, within its deadline.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::time::timeout;

use crate::plan::ProbeAction;

use super::{Attempt, ProbeTarget, http, tcp};

/// Makes one attempt. The deadline of a network attempt covers all of it; `exec` brings its own.
pub(super) async fn attempt<E: Future<Output = Attempt>>(
    target: &ProbeTarget,
    exec: impl FnOnce() -> E,
) -> Attempt {
    let address = |port: &str| probed(target.address, port);
    let deadline = target.spec.timeout;
    let result = match &target.spec.action {
        ProbeAction::Exec { .. } => return exec().await,
        ProbeAction::Http { path, port } => match address(port) {
            Ok(address) => within(deadline, http::get(address, path)).await,
            Err(message) => Err(message),
        },
        ProbeAction::Tcp { port } => match address(port) {
            Ok(address) => within(deadline, tcp::connect(address)).await,
            Err(message) => Err(message),
        },
    };
    result.map_or_else(Attempt::Failed, |()| Attempt::Passed)
}

async fn within(
    deadline: Duration,
    attempt: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    timeout(deadline, attempt)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {deadline:?}")))
}

/// Where to connect to reach what is published at an address.
fn probed(published: Option<SocketAddr>, port: &str) -> Result<SocketAddr, String> {
    let published =
        published.ok_or_else(|| format!("the container does not publish the port `{port}`"))?;
    let ip = match published.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        // Cloud metadata services live there, and no container publishes there.
        IpAddr::V4(ip) if ip.is_link_local() => return Err(refused(ip.into())),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => return Err(refused(ip.into())),
        ip => ip,
    };
    Ok(SocketAddr::new(ip, published.port()))
}

fn refused(ip: IpAddr) -> String {
    format!("{ip} is a link-local address, which is never probed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> Result<SocketAddr, String> {
        probed(Some(address.parse().unwrap()), "http")
    }

    #[test]
    fn what_is_published_everywhere_is_probed_at_loopback() {
        assert_eq!(at("0.0.0.0:80"), Ok("127.0.0.1:80".parse().unwrap()));
        assert_eq!(at("[::]:80"), Ok("[::1]:80".parse().unwrap()));
        assert_eq!(at("192.0.2.1:80"), Ok("192.0.2.1:80".parse().unwrap()));
    }

    #[test]
    fn link_local_addresses_are_never_probed() {
        for address in ["169.254.169.254:80", "[fe80::1]:80", "[::ffff:169.254.169.254]:80"] {
            assert!(at(address).unwrap_err().contains("link-local"), "{address}");
        }
    }

    // 50
    #[tokio::test]
    async fn an_answer_that_trickles_ends_at_the_deadline() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let trickle = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await;
            // A byte at a time: each comes soon enough, and there is no end to them.
            loop {
                let _ = stream.write_all(b"x").await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let deadline = Duration::from_millis(200);
        let result = tokio::select! {
            result = within(deadline, http::get(address, "/")) => result,
            () = trickle => Ok(()),
        };
        assert_eq!(result, Err("no answer within 200ms".to_owned()));
    }

    #[test]
    fn a_port_that_is_not_published_is_named() {
        assert!(probed(None, "http").unwrap_err().contains("`http`"));
    }
}
