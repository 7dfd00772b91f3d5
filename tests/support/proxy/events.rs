//! Line by line through the event stream.

use futures::stream::{self, Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};

/// Lines of a body, each with its end.
pub(super) fn lines(body: Incoming) -> impl Stream<Item = Bytes> + Send {
    stream::unfold((body.into_data_stream(), Vec::new()), |(mut body, mut rest)| async move {
        loop {
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = rest.drain(..=end).collect();
                return Some((Bytes::from(line), (body, rest)));
            }
            // An error is an end here: the engine has gone.
            rest.extend_from_slice(&body.next().await?.ok()?);
        }
    })
}

/// Every line so often, and then once more the one before it.
pub(super) fn repeated(
    lines: impl Stream<Item = Bytes> + Send,
    times: usize,
) -> impl Stream<Item = Bytes> + Send {
    let mut earlier: Option<Bytes> = None;
    lines.flat_map(move |line| {
        let mut out = vec![line.clone(); times];
        out.extend(earlier.replace(line));
        stream::iter(out)
    })
}
