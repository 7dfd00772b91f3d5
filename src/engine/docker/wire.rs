//! A GET with a bounded body, on a connection of its own. Two calls need more than bollard gives:
//! `list` decodes four fields of thousands of containers and must not read an endless answer, and
//! `events` must know that the engine has accepted the subscription and must bound a line.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{Connection, handshake};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

use super::connect::Address;
use super::errors;
use crate::engine::{Call, EngineError};

/// Largest answer that is read. A list of 10,000 containers takes about 20 MB.
const BODY_LIMIT: usize = 64 << 20;
/// Largest refusal that is read.
const REFUSAL_LIMIT: usize = 4 << 10;

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Wire = Connection<TokioIo<Box<dyn Io>>, Empty<Bytes>>;

/// Drives a connection in the task of whoever waits for it, so that nothing runs on when that is dropped.
struct Driver(Option<Pin<Box<Wire>>>);

impl Driver {
    fn poll(&mut self, context: &mut Context<'_>) {
        let ended = self.0.as_mut().is_some_and(|it| it.as_mut().poll(context).is_ready());
        if ended {
            // How it ended is told to whoever reads the answer.
            self.0 = None;
        }
    }
}

/// Body of a successful answer.
pub(super) struct Body {
    driver: Driver,
    incoming: Incoming,
    since: Instant,
}

/// The answer to a GET, once its headers have arrived. A refusal is an error.
pub(super) async fn get(call: Call, address: &Address, path: &str) -> Result<Body, EngineError> {
    let since = Instant::now();
    let broken = |_| EngineError::OutcomeUnknown { call: call.name(), after: since.elapsed() };
    let io = dial(address).await.map_err(|error| address.unreachable(&error))?;
    let (mut sender, connection) = handshake(TokioIo::new(io)).await.map_err(broken)?;
    let mut driver = Driver(Some(Box::pin(connection)));
    let request = hyper::Request::get(path)
        .header(hyper::header::HOST, "docker")
        .body(Empty::new())
        .map_err(|error| errors::garbled(call, &error.to_string()))?;
    let mut response = pin!(sender.send_request(request));
    let response = poll_fn(|context| {
        driver.poll(context);
        response.as_mut().poll(context)
    });
    let response = response.await.map_err(broken)?;
    let status = response.status();
    let body = Body { driver, incoming: response.into_body(), since };
    if status.is_success() { Ok(body) } else { Err(refusal(call, status.as_u16(), body).await) }
}

async fn dial(address: &Address) -> io::Result<Box<dyn Io>> {
    Ok(match address {
        Address::Unix(path) => Box::new(UnixStream::connect(path).await?),
        Address::Tcp(host) => Box::new(TcpStream::connect(host).await?),
    })
}

async fn refusal(call: Call, status: u16, mut body: Body) -> EngineError {
    #[derive(serde::Deserialize)]
    struct Refusal {
        message: String,
    }
    let mut text = Vec::new();
    while let Some(Ok(chunk)) = body.chunk(call).await {
        text.extend_from_slice(&chunk);
        if text.len() > REFUSAL_LIMIT {
            break;
        }
    }
    let message = serde_json::from_slice(&text).map(|refusal: Refusal| refusal.message);
    let message = message.unwrap_or_else(|_| String::from_utf8_lossy(&text).into_owned());
    errors::classify(call, status, &message)
}

impl Body {
    /// The next piece; `None` after the last.
    pub(super) async fn chunk(&mut self, call: Call) -> Option<Result<Bytes, EngineError>> {
        loop {
            let frame = poll_fn(|context| self.poll_frame(context)).await?;
            match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(data)) => return Some(Ok(data)),
                // Trailers.
                Ok(Err(_)) => {}
                Err(_) => {
                    let after = self.since.elapsed();
                    return Some(Err(EngineError::OutcomeUnknown { call: call.name(), after }));
                }
            }
        }
    }

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>> {
        self.driver.poll(context);
        Pin::new(&mut self.incoming).poll_frame(context)
    }

    /// All of it, unless it is larger than any honest answer.
    pub(super) async fn collect(mut self, call: Call) -> Result<Vec<u8>, EngineError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk(call).await {
            all.extend_from_slice(&chunk?);
            if all.len() > BODY_LIMIT {
                return Err(errors::garbled(call, "the answer exceeds 64 MiB"));
            }
        }
        Ok(all)
    }
}

/// Runs a call of this module under a deadline.
pub(super) async fn within<T>(
    call: Call,
    deadline: Duration,
    future: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    let late = |_| Err(EngineError::OutcomeUnknown { call: call.name(), after: deadline });
    timeout(deadline, future).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests;
