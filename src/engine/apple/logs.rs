//! Logs. The tool knows no times, mixes both streams, begins anew with each start, and does not notice when a
//! container that it follows ends.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::time::sleep;

use super::exec::chunks;
use super::id::name_of;
use super::run::Running;
use super::{Apple, SHORT, errors, unsupported};
use crate::engine::{Call, EngineError, LogOptions, OutputChunk};
use crate::plan::{ContainerId, ContainerState};

/// Between two looks whether a container that is followed still runs.
const LOOK: Duration = Duration::from_secs(2);
/// How long after its end its last lines may take.
const LAST_LINES: Duration = Duration::from_secs(1);

type Chunks = BoxStream<'static, Result<OutputChunk, EngineError>>;

impl Apple {
    pub(super) async fn read_logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<Chunks, EngineError> {
        if options.since.is_some() || options.until.is_some() || options.timestamps {
            return Err(unsupported("tell when a line of a log was written"));
        }
        let found = self.find(Call::Logs, id).await?;
        if found.state == ContainerState::Created {
            return Ok(stream::empty().boxed());
        }
        let mut words = vec!["logs".to_owned()];
        words.extend(
            options.tail.into_iter().flat_map(|lines| ["-n".to_owned(), lines.to_string()]),
        );
        if options.follow && found.state == ContainerState::Running {
            words.push("--follow".to_owned());
            words.push(name_of(id).to_owned());
            return self.follow(id, &words);
        }
        words.push(name_of(id).to_owned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = self.ask(Call::Logs, SHORT, &words).await;
        let output = output.map_err(|error| errors::about(id, error))?;
        Ok(stream::iter([Ok(OutputChunk::Stdout(output.stdout))]).boxed())
    }

    fn follow(&self, id: &ContainerId, words: &[String]) -> Result<Chunks, EngineError> {
        let mut running = self.0.cli.spawn(words, false)?;
        let (_, stdout, _) = std::mem::take(&mut running.streams);
        let lines = chunks(stdout, OutputChunk::Stdout);
        // The tool is held by the stream: it goes when nobody reads on.
        let held = Held { _running: running, lines };
        let lines =
            stream::unfold(held, |mut held| async move { Some((held.lines.next().await?, held)) });
        Ok(lines.take_until(end_of(self.clone(), id.clone())).boxed())
    }
}

struct Held {
    _running: Running,
    lines: Chunks,
}

/// Ends a while after the container has. A service that does not answer is no end.
async fn end_of(apple: Apple, id: ContainerId) {
    loop {
        sleep(LOOK).await;
        match apple.find(Call::Logs, &id).await {
            Ok(seen) if seen.state == ContainerState::Running => {}
            Ok(_) | Err(EngineError::NoSuchContainer(_)) => return sleep(LAST_LINES).await,
            Err(_) => {}
        }
    }
}
