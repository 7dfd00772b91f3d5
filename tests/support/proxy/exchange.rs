//! One request and its answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::stream::{self, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::UPGRADE;
use hyper::http::response::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::UnixStream;

use super::answer::{self, Answer, Failure};
use super::call::Call;
use super::rule::{self, Fault, Moment};
use super::wire::Garbage;
use super::{Exchange, Shared, events, held};

const CREATE: &str = "POST /containers/create";
const LIST: &str = "GET /containers/json";
/// Their bodies have no end, or one that is far off.
const STREAMS: [&str; 4] =
    ["GET /events", "GET /containers/*/logs", "POST /images/create", "POST /containers/*/wait"];

/// A request, read whole.
#[derive(Clone)]
struct Ask {
    shared: Arc<Shared>,
    number: usize,
    call: Call,
    request: Request<Full<Bytes>>,
    engine: PathBuf,
}

/// Passes one request on and its answer back, or breaks it as the rules say. An error ends the daemon's
/// connection without another word.
pub(super) async fn pass(
    shared: Arc<Shared>,
    client: Option<i32>,
    garbage: Garbage,
    mut request: Request<Incoming>,
) -> Result<Answer, Failure> {
    let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let target = parts.uri.to_string();
    let call = Call::new(parts.method.as_str(), &target);
    let container = shared.container(&call);
    let fault = rule::strike(&mut shared.rules(), &call.kind, container.as_deref());
    let number = shared.ledger().open(Exchange {
        call: call.kind.clone(),
        target,
        subject: call.subject.clone(),
        container,
        at: Instant::now(),
        fault: fault.as_ref().map(Fault::name),
        sent: 0,
        statuses: Vec::new(),
    });
    let engine = shared.engine();
    let request = Request::from_parts(parts, Full::new(body));
    let mut ask = Ask { shared, number, call, request, engine };

    match fault {
        None => answer(ask, upgrade, None).await,
        Some(Fault::Delay(time)) => {
            tokio::time::sleep(time).await;
            answer(ask, upgrade, None).await
        }
        Some(Fault::DropBefore) => Err("dropped by a rule".into()),
        Some(Fault::KillClient(Moment::Before)) => {
            kill(client);
            Err("its client is dead".into())
        }
        Some(Fault::Answer(status, kind, body)) => Ok(answer::made_up(status, kind, body)),
        Some(Fault::Hold) => {
            let _sent_when_dropped = Held(Some(ask));
            std::future::pending().await
        }
        Some(Fault::Duplicate) => {
            ask.take_effect().await?;
            answer(ask, upgrade, None).await
        }
        Some(Fault::Swap(engine)) => {
            ask.engine = engine;
            answer(ask, upgrade, None).await
        }
        Some(Fault::DropAfter) => {
            ask.take_effect().await?;
            Err("dropped by a rule".into())
        }
        Some(Fault::KillClient(Moment::After)) => {
            ask.take_effect().await?;
            kill(client);
            Err("its client is dead".into())
        }
        Some(Fault::StallHead) => {
            ask.take_effect().await?;
            std::future::pending().await
        }
        Some(Fault::Garbage(bytes)) => {
            ask.take_effect().await?;
            garbage.send(bytes);
            Ok(answer::made_up(200, "text/plain", Bytes::new()))
        }
        Some(Fault::Body(kind, body)) => {
            ask.take_effect().await?;
            Ok(answer::made_up(200, kind, body))
        }
        Some(spoilt) => answer(ask, upgrade, Some(spoilt)).await,
    }
}

/// The engine's answer, spoilt as the fault says.
async fn answer(
    ask: Ask,
    upgrade: Option<OnUpgrade>,
    fault: Option<Fault>,
) -> Result<Answer, Failure> {
    match ask.reply().await? {
        Reply::Open(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            Ok(upgraded(response, upgrade, fault))
        }
        Reply::Open(response) => Ok(streamed(response, fault)),
        Reply::Whole(parts, body) => Ok(ask.spoilt(parts, body, fault)),
    }
}

/// The head of a 101; what follows goes its own way.
fn upgraded(
    mut response: Response<Incoming>,
    client: Option<OnUpgrade>,
    fault: Option<Fault>,
) -> Answer {
    let engine = hyper::upgrade::on(&mut response);
    if let Some(client) = client {
        tokio::spawn(tunnel(client, engine, fault));
    }
    answer::whole(response.into_parts().0, Bytes::new())
}

/// An answer without an end.
fn streamed(response: Response<Incoming>, fault: Option<Fault>) -> Answer {
    let (parts, body) = response.into_parts();
    match fault {
        Some(Fault::StallBody) => answer::stalled(parts, Bytes::new()),
        Some(Fault::Cut) => answer::cut(parts, Bytes::new()),
        Some(Fault::Truncate) => answer::pieces(parts, stream::empty()),
        Some(Fault::Freeze(lines)) => {
            let lines = events::lines(body).take(lines);
            answer::pieces(parts, lines.chain(stream::pending()))
        }
        Some(Fault::Inject(bytes)) => {
            let first = stream::iter([Bytes::from(bytes)]);
            answer::pieces(parts, first.chain(events::lines(body)))
        }
        Some(Fault::Repeat(times)) => {
            answer::pieces(parts, events::repeated(events::lines(body), times))
        }
        _ => answer::passed(parts, body),
    }
}

/// What the engine answers.
enum Reply {
    /// With its body.
    Whole(Parts, Bytes),
    /// A stream, or another protocol.
    Open(Response<Incoming>),
}

impl Ask {
    /// Whether the answer has an end that is not far off.
    fn ends(&self) -> bool {
        !STREAMS.contains(&self.call.kind.as_str())
    }

    /// Asks the engine. What may change something is waited for also when the client is gone: the ledger
    /// tells what the engine has done.
    async fn reply(&self) -> Result<Reply, Failure> {
        if self.call.mutates() && self.ends() {
            let ask = self.clone();
            return tokio::spawn(async move { ask.ask().await }).await?;
        }
        self.ask().await
    }

    async fn ask(&self) -> Result<Reply, Failure> {
        let response = self.send().await?;
        if !self.ends() || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Reply::Open(response));
        }
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        if self.call.kind == CREATE
            && let (Some(id), Some(name)) = (answer::created(&body), &self.call.name)
        {
            held(&self.shared.names).insert(id, name.clone());
        }
        Ok(Reply::Whole(parts, body))
    }

    /// Sends the request to the engine, on a connection of its own.
    async fn send(&self) -> Result<Response<Incoming>, Failure> {
        if self.call.mutates() {
            let lists = &mut *held(&self.shared.lists);
            lists.stale.clone_from(&lists.latest);
        }
        self.shared.ledger().0[self.number].sent += 1;
        let stream = UnixStream::connect(&self.engine).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(self.request.clone()).await;
        let response = response.inspect_err(|_| driver.abort())?;
        self.shared.ledger().0[self.number].statuses.push(response.status().as_u16());
        Ok(response)
    }

    /// Lets the engine act on it, and throws its answer away.
    async fn take_effect(&self) -> Result<(), Failure> {
        self.reply().await.map(drop)
    }

    /// A whole answer, spoilt as the fault says.
    fn spoilt(&self, parts: Parts, body: Bytes, fault: Option<Fault>) -> Answer {
        if self.call.kind == LIST && fault.is_none() {
            held(&self.shared.lists).latest = Some(body.clone());
        }
        match fault {
            Some(Fault::StallBody) => answer::stalled(parts, answer::half(&body)),
            Some(Fault::Cut) => answer::cut(parts, answer::half(&body)),
            Some(Fault::Truncate) => answer::replaced(parts, answer::half(&body)),
            Some(Fault::EmptyList) => answer::replaced(parts, "[]"),
            Some(Fault::Omit(name)) => answer::replaced(parts, answer::without(&body, &name)),
            Some(Fault::Rewrite(from, to)) => {
                let text = String::from_utf8_lossy(&body).replace(from, to);
                answer::replaced(parts, text)
            }
            Some(Fault::StaleList) => {
                let stale = held(&self.shared.lists).stale.clone();
                answer::replaced(parts, stale.unwrap_or(body))
            }
            _ => answer::whole(parts, body),
        }
    }
}

impl Shared {
    /// The name that the container in question was created under, or is to be.
    fn container(&self, call: &Call) -> Option<String> {
        if call.kind == CREATE {
            return call.name.clone();
        }
        held(&self.names).get(call.subject.as_ref()?).cloned()
    }
}

/// A request that is sent when its client has gone.
struct Held(Option<Ask>);

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(ask) = self.0.take() {
            tokio::spawn(async move { ask.take_effect().await });
        }
    }
}

/// What follows a 101.
async fn tunnel(client: OnUpgrade, engine: OnUpgrade, fault: Option<Fault>) {
    let (Ok(client), Ok(engine)) = (client.await, engine.await) else { return };
    let (mut client, mut engine) = (TokioIo::new(client), TokioIo::new(engine));
    match fault {
        Some(Fault::StallBody) => {
            // Until the client gives up.
            while matches!(client.read(&mut [0; 1024]).await, Ok(1..)) {}
        }
        Some(Fault::Cut | Fault::Truncate) => {}
        _ => {
            // Its end is the end of both, in whatever way.
            drop(copy_bidirectional(&mut client, &mut engine).await);
        }
    }
}

fn kill(client: Option<i32>) {
    let pid = client.and_then(Pid::from_raw).expect("the kernel tells who connects");
    kill_process(pid, Signal::KILL).expect("the client runs: it waits for an answer");
}
