//! Commands in a container. The tool returns the command's own exit code, so what it says itself must be
//! told from what the command says.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::errors::{self, classify, spoken};
use super::id::name_of;
use super::run::{Output, Running};
use super::{Apple, unsupported};
use crate::engine::text::clean;
use crate::engine::{
    AttachOptions, Attached, Call, EngineError, ExecOutcome, ExecSession, OutputChunk,
};
use crate::plan::{ContainerId, ContainerState};

/// Most of a command's output that is kept.
const OUTPUT_LIMIT: usize = 4096;
/// A shell's code for a program that is not there.
const NOT_FOUND: i64 = 127;

impl Apple {
    /// Runs a command to its end. It waits here while the service starts something, for the service would
    /// let it wait without a word.
    pub(super) async fn exec_to_end(
        &self,
        id: &ContainerId,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        let began = Instant::now();
        let waits = || EngineError::Busy("the service is starting something else".to_owned());
        // With less than half of its time left the command would be blamed for the wait.
        let turn = timeout(deadline / 2, self.0.turn.acquire()).await;
        let _turn = turn.map_err(|_| waits())?.map_err(|_| waits())?;
        let left = deadline.saturating_sub(began.elapsed());
        let words = words(id, command, user, &[]);
        let output = match self.0.cli.run_within(Call::Exec, left, &words).await {
            Err(EngineError::OutcomeUnknown { call, .. }) => {
                return Err(EngineError::OutcomeUnknown { call, after: deadline });
            }
            output => output?,
        };
        self.judge(id, output).await
    }

    async fn judge(&self, id: &ContainerId, output: Output) -> Result<ExecOutcome, EngineError> {
        let complaint = output.complaint();
        if let (Some(1 | 64) | None, Some(words)) = (output.code, spoken(&complaint)) {
            match classify(Call::Exec, words, output.took) {
                EngineError::Rejected(message) => {
                    return Ok(ExecOutcome { exit_code: NOT_FOUND, output: message });
                }
                error @ (EngineError::NoSuchContainer(_) | EngineError::Busy(_)) => {
                    // A command can print the same words: then its container is there and runs.
                    let found = self.find(Call::Exec, id).await?;
                    if found.state != ContainerState::Running {
                        return Err(errors::about(id, error));
                    }
                }
                error @ (EngineError::Unreachable(_) | EngineError::OutcomeUnknown { .. }) => {
                    return Err(error);
                }
                _ => {}
            }
        }
        let Some(code) = output.code else {
            return Err(EngineError::OutcomeUnknown {
                call: Call::Exec.name(),
                after: output.took,
            });
        };
        let mut bytes = output.stdout;
        bytes.extend_from_slice(&output.stderr);
        bytes.truncate(OUTPUT_LIMIT);
        let output = String::from_utf8_lossy(&bytes).into_owned();
        Ok(ExecOutcome { exit_code: code.into(), output })
    }

    /// Runs a command with its streams attached. Its end ends with the tool; ended early, the tool goes
    /// and the command runs on.
    pub(super) async fn attach(
        &self,
        id: &ContainerId,
        options: &AttachOptions,
    ) -> Result<Attached, EngineError> {
        if options.tty {
            return Err(unsupported("give a command a terminal"));
        }
        let found = self.find(Call::Exec, id).await?;
        if found.state != ContainerState::Running {
            return Err(EngineError::Busy(format!("container {} does not run", id.short())));
        }
        let input = if options.stdin { &["--interactive"][..] } else { &[] };
        let words = words(id, &options.command, options.user.as_deref(), input);
        let mut running = self.0.cli.spawn(&words, options.stdin)?;
        let (stdin, stdout, stderr) = std::mem::take(&mut running.streams);
        let input: Pin<Box<dyn AsyncWrite + Send>> = match stdin {
            Some(stdin) => Box::pin(stdin),
            None => Box::pin(tokio::io::sink()),
        };
        let output = stream::select(
            chunks(stdout, OutputChunk::Stdout),
            chunks(stderr, OutputChunk::Stderr),
        );
        let session = Box::new(Session(Mutex::new(running)));
        Ok(Attached { input, output: output.boxed(), session })
    }
}

fn words(
    id: &ContainerId,
    command: &[String],
    user: Option<&str>,
    options: &[&str],
) -> Vec<String> {
    let mut words = vec!["exec".to_owned()];
    words.extend(options.iter().map(|&option| option.to_owned()));
    words.extend(user.map(|user| format!("--user={user}")));
    words.push(name_of(id).to_owned());
    words.extend_from_slice(command);
    words
}

/// What a stream brings, piece by piece, until it ends.
pub(super) fn chunks<R: AsyncRead + Unpin + Send + 'static>(
    stream: Option<R>,
    wrap: fn(Vec<u8>) -> OutputChunk,
) -> BoxStream<'static, Result<OutputChunk, EngineError>> {
    stream::unfold(stream, move |stream| async move {
        let mut stream = stream?;
        let mut buffer = vec![0; 8192];
        match stream.read(&mut buffer).await {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some((Ok(wrap(buffer)), Some(stream)))
            }
            Err(error) => {
                let error = errors::garbled(Call::Exec, &error.to_string());
                Some((Err(error), None))
            }
        }
    })
    .boxed()
}

struct Session(Mutex<Running>);

#[async_trait]
impl ExecSession for Session {
    async fn resize(&self, _columns: u16, _rows: u16) -> Result<(), EngineError> {
        Err(unsupported("give a command a terminal"))
    }

    async fn exit_code(&self) -> Result<i64, EngineError> {
        let ended = self.0.lock().await.wait().await;
        let ended = ended.map_err(|error| errors::garbled(Call::Exec, &error.to_string()))?;
        let unknown = || errors::garbled(Call::Exec, &clean("a signal ended the tool"));
        ended.map(i64::from).ok_or_else(unknown)
    }
}
