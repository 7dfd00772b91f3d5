//! Answers: the engine's own, spoilt ones, and made-up ones.

use std::convert::Infallible;
use std::error::Error;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use hyper::http::response::Parts;
use hyper::{Response, StatusCode};
use serde_json::Value;

use super::rule::is_of;

pub(super) type Failure = Box<dyn Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, Failure>;
pub(super) type Answer = Response<Body>;

/// Time for what was written to leave before the connection is broken.
const FLUSH: Duration = Duration::from_millis(20);

/// The body as it comes.
pub(super) fn passed(parts: Parts, body: Incoming) -> Answer {
    Response::from_parts(parts, body.map_err(Into::into).boxed_unsync())
}

/// A body that is known whole.
pub(super) fn whole(parts: Parts, body: Bytes) -> Answer {
    Response::from_parts(parts, full(body))
}

/// Another body under the same head, but for its length.
pub(super) fn replaced(mut parts: Parts, body: impl Into<Bytes>) -> Answer {
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(TRANSFER_ENCODING);
    Response::from_parts(parts, full(body.into()))
}

/// An answer that no engine gave.
pub(super) fn made_up(status: u16, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(full(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).expect("rules name valid statuses");
    let kind = kind.parse().expect("rules name valid types");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// The head and these first bytes of the body, and then nothing more.
pub(super) fn stalled(parts: Parts, first: Bytes) -> Answer {
    streamed(parts, once(first).chain(stream::pending()))
}

/// The head and these first bytes of the body, and then the end of the connection.
pub(super) fn cut(parts: Parts, first: Bytes) -> Answer {
    let end = stream::once(async {
        tokio::time::sleep(FLUSH).await;
        Err(Failure::from("cut by a rule"))
    });
    streamed(parts, once(first).chain(end))
}

/// A stream of pieces.
pub(super) fn pieces(parts: Parts, pieces: impl Stream<Item = Bytes> + Send + 'static) -> Answer {
    streamed(parts, pieces.map(|piece| Ok(Frame::data(piece))))
}

fn once(bytes: Bytes) -> impl Stream<Item = Result<Frame<Bytes>, Failure>> + Send {
    stream::iter((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
}

fn streamed(
    parts: Parts,
    frames: impl Stream<Item = Result<Frame<Bytes>, Failure>> + Send + 'static,
) -> Answer {
    Response::from_parts(parts, StreamBody::new(frames).boxed_unsync())
}

fn full(body: Bytes) -> Body {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// The first half.
pub(super) fn half(body: &Bytes) -> Bytes {
    body.slice(..body.len() / 2)
}

/// A list without the containers of this name.
pub(super) fn without(list: &Bytes, name: &str) -> Bytes {
    let Ok(Value::Array(mut containers)) = serde_json::from_slice(list) else {
        return list.clone();
    };
    containers.retain(|container| {
        let names = container["Names"].as_array().into_iter().flatten();
        !names.filter_map(Value::as_str).any(|found| is_of(found, name))
    });
    Bytes::from(Value::Array(containers).to_string())
}

/// The id in the answer to a creation.
pub(super) fn created(body: &Bytes) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    Some(answer["Id"].as_str()?.to_owned())
}
