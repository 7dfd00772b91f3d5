//! HTTP probes: one GET on one connection. There is no code here that could follow a redirect, ask a
//! proxy or speak to another address than the one given.

use std::net::SocketAddr;
use std::pin::pin;

use futures::future::{Either, select};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Bytes};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::tcp;
use crate::sandbox::text::one_line;

/// Most of a body that is read.
const MAX_BODY: usize = 10 * 1024;

/// Room for an answer's head; a longer one is an error.
const MAX_HEAD: usize = 16 * 1024;

/// Most header fields of an answer.
const MAX_HEADERS: usize = 100;

const AGENT: &str = concat!("sandkeeper/", env!("CARGO_PKG_VERSION"));

/// Asks for a path. As in Kubernetes, a status from 200 to 399 is success, a redirect is not followed, and
/// a body that breaks off or never ends is a failure (unless it is longer than is read).
pub(super) async fn get(address: SocketAddr, path: &str) -> Result<(), String> {
    let shown = one_line(path);
    let status = exchange(address, path).await.map_err(|error| match error {
        HttpError::Connect(error) => tcp::explain(address, &error),
        HttpError::Path => format!("the path `{shown}` cannot be asked for"),
        HttpError::Http(error) => format!("GET {shown} on {address}: {}", describe(&error)),
    })?;
    if (200..400).contains(&status.as_u16()) {
        Ok(())
    } else {
        Err(format!("GET {shown} on {address}: status {}", status.as_u16()))
    }
}

enum HttpError {
    Connect(std::io::Error),
    Path,
    Http(hyper::Error),
}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

async fn exchange(address: SocketAddr, path: &str) -> Result<StatusCode, HttpError> {
    let request = request(address, path)?;
    let stream = TcpStream::connect(address).await.map_err(HttpError::Connect)?;
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .handshake(TokioIo::new(stream))
        .await?;
    let answer = pin!(async move {
        let response = sender.send_request(request).await?;
        let status = response.status();
        drain(response.into_body()).await?;
        Ok(status)
    });
    match select(answer, pin!(connection)).await {
        Either::Left((status, _)) => status,
        // The connection has ended; whatever it brought, and every error, is with the request.
        Either::Right((_, answer)) => answer.await,
    }
}

fn request(address: SocketAddr, path: &str) -> Result<Request<Empty<Bytes>>, HttpError> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    Request::get(format!("{slash}{path}"))
        .header(HOST, address.to_string())
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::new())
        .map_err(|_| HttpError::Path)
}

async fn drain(
    mut body: impl Body<Data = Bytes, Error = hyper::Error> + Unpin,
) -> hyper::Result<()> {
    let mut read = 0;
    while read < MAX_BODY {
        let Some(frame) = body.frame().await else { break };
        read += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(())
}

fn describe(error: &hyper::Error) -> &'static str {
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        "the connection was closed without an answer"
    } else if error.is_parse() {
        "the answer is not HTTP, or its head is too large"
    } else {
        "the connection broke"
    }
}

#[cfg(test)]
mod tests;
