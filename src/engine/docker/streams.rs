//! Output as streams: logs, and what commands print.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::LogsOptionsBuilder;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use jiff::Timestamp;
use tokio::time::{Instant, timeout};

use super::{Docker, SHORT, errors};
use crate::engine::{Call, Engine as _, EngineError, LogOptions, OutputChunk};
use crate::plan::ContainerId;

impl Docker {
    /// A container's log. bollard passes whole seconds: `since` is rounded down, `until` up.
    pub(super) async fn read_logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        // bollard sends nothing before the stream is polled; a missing container is told now.
        if self.inspect(id).await?.is_none() {
            return Err(EngineError::NoSuchContainer(id.to_string()));
        }
        let tail = options.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
        let query = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .follow(options.follow)
            .timestamps(options.timestamps)
            .tail(&tail)
            .since(options.since.map_or(0, floor))
            .until(options.until.map_or(0, ceiling))
            .build();
        let idle = (!options.follow).then_some(SHORT);
        Ok(self.chunks(Call::Logs, idle, self.client.logs(&id.0, Some(query))))
    }

    /// bollard's pieces as ours; an error is the last. `idle` bounds the wait for each.
    pub(super) fn chunks(
        &self,
        call: Call,
        idle: Option<Duration>,
        output: impl Stream<Item = Result<LogOutput, Error>> + Send + Unpin + 'static,
    ) -> BoxStream<'static, Result<OutputChunk, EngineError>> {
        let address = self.address.clone();
        let started = Instant::now();
        stream::unfold(Some(output), move |output| {
            let address = address.clone();
            async move {
                let mut output = output?;
                match next(&mut output, idle).await {
                    Ok(None) => None,
                    Ok(Some(Ok(piece))) => Some((Ok(chunk(piece)), Some(output))),
                    Ok(Some(Err(error))) => {
                        let error = errors::translate(call, &address, &error, started.elapsed());
                        Some((Err(error), None))
                    }
                    Err(after) => {
                        Some((Err(EngineError::OutcomeUnknown { call: call.name(), after }), None))
                    }
                }
            }
        })
        .boxed()
    }
}

/// The next item, or how long it was waited for in vain.
async fn next<S: Stream + Unpin>(
    stream: &mut S,
    idle: Option<Duration>,
) -> Result<Option<S::Item>, Duration> {
    match idle {
        Some(idle) => timeout(idle, stream.next()).await.map_err(|_| idle),
        None => Ok(stream.next().await),
    }
}

fn chunk(piece: LogOutput) -> OutputChunk {
    match piece {
        LogOutput::StdErr { message } => OutputChunk::Stderr(message.into()),
        LogOutput::StdOut { message }
        | LogOutput::StdIn { message }
        | LogOutput::Console { message } => OutputChunk::Stdout(message.into()),
    }
}

fn floor(time: Timestamp) -> i32 {
    i32::try_from(time.as_second()).unwrap_or(i32::MAX)
}

fn ceiling(time: Timestamp) -> i32 {
    let partial = i32::from(time.subsec_nanosecond() > 0);
    floor(time).saturating_add(partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_second_is_included_on_both_sides() {
        let time: Timestamp = "2026-11-25T03:37:30.25Z".parse().unwrap();
        assert_eq!(floor(time), 1_795_577_850);
        assert_eq!(ceiling(time), 1_795_577_851);
        let whole: Timestamp = "2026-11-25T03:37:30Z".parse().unwrap();
        assert_eq!(ceiling(whole), 1_795_577_850);
    }
}
