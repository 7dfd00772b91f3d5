//! Commands in a container: to their end for probes and repairs, attached for people.

use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bollard::container::LogOutput;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::io::AsyncWrite;
use tokio::time::sleep;

use super::errors::garbled;
use super::{Docker, SHORT, wire};
use crate::engine::{
    AttachOptions, Attached, Call, EngineError, ExecOutcome, ExecSession, OutputChunk,
};
use crate::plan::ContainerId;

/// How much of a command's output is kept.
const OUTPUT_LIMIT: usize = 4 << 10;
/// Wait between two looks at a command whose output has ended but which the engine still calls running.
const END_POLL: Duration = Duration::from_millis(20);

/// What a command finds that runs as another user than the container's. A spec may set these to places
/// that the container's user can write to, who could so become the other.
const CLEAN_ENVIRONMENT: [&str; 4] = [
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LD_PRELOAD=",
    "LD_LIBRARY_PATH=",
    "LD_AUDIT=",
];

type Output = BoxStream<'static, Result<LogOutput, bollard::errors::Error>>;

struct Started {
    id: String,
    input: Pin<Box<dyn AsyncWrite + Send>>,
    output: Output,
}

impl Docker {
    pub(super) async fn exec_to_end(
        &self,
        id: &ContainerId,
        command: &[String],
        user: Option<&str>,
        deadline: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        let options = AttachOptions {
            command: command.to_vec(),
            user: user.map(ToOwned::to_owned),
            env: user.map(|_| CLEAN_ENVIRONMENT.map(str::to_owned).to_vec()).unwrap_or_default(),
            ..AttachOptions::default()
        };
        wire::within(Call::Exec, deadline, async {
            let started = self.start_exec(id, &options).await?;
            let output = self.drain(started.output).await?;
            let exit_code = self.exec_exit_code(&started.id).await?;
            Ok(ExecOutcome { exit_code, output })
        })
        .await
    }

    pub(super) async fn attach(
        &self,
        id: &ContainerId,
        options: &AttachOptions,
    ) -> Result<Attached, EngineError> {
        let started = self.start_exec(id, options).await?;
        Ok(Attached {
            input: started.input,
            output: self.chunks(Call::Exec, None, started.output),
            session: Box::new(Session { docker: self.clone(), id: started.id }),
        })
    }

    async fn start_exec(
        &self,
        id: &ContainerId,
        options: &AttachOptions,
    ) -> Result<Started, EngineError> {
        let create = CreateExecOptions {
            cmd: Some(options.command.clone()),
            user: options.user.clone(),
            env: (!options.env.is_empty()).then(|| options.env.clone()),
            tty: Some(options.tty),
            attach_stdin: Some(options.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..CreateExecOptions::default()
        };
        let created = self.call(Call::Exec, SHORT, self.client.create_exec(&id.0, create)).await?;
        let start = StartExecOptions { tty: options.tty, ..StartExecOptions::default() };
        let started = self.client.start_exec(&created.id, Some(start));
        match self.call(Call::Exec, SHORT, started).await? {
            StartExecResults::Attached { output, input } => {
                Ok(Started { id: created.id, input, output })
            }
            StartExecResults::Detached => Err(garbled(Call::Exec, "the command is detached")),
        }
    }

    /// Reads to the end, so that the command never blocks on a full pipe, and keeps the beginning.
    async fn drain(&self, output: Output) -> Result<String, EngineError> {
        let mut chunks = self.chunks(Call::Exec, None, output);
        let mut kept = Vec::new();
        while let Some(chunk) = chunks.next().await {
            let (OutputChunk::Stdout(bytes) | OutputChunk::Stderr(bytes)) = chunk?;
            let room = OUTPUT_LIMIT - kept.len();
            kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        Ok(String::from_utf8_lossy(&kept).into_owned())
    }

    async fn exec_exit_code(&self, exec: &str) -> Result<i64, EngineError> {
        wire::within(Call::Exec, SHORT, async {
            loop {
                let state = self.call(Call::Exec, SHORT, self.client.inspect_exec(exec)).await?;
                if state.running != Some(true) {
                    let missing = || garbled(Call::Exec, "ExitCode is missing");
                    return state.exit_code.ok_or_else(missing);
                }
                sleep(END_POLL).await;
            }
        })
        .await
    }
}

struct Session {
    docker: Docker,
    id: String,
}

#[async_trait]
impl ExecSession for Session {
    async fn resize(&self, columns: u16, rows: u16) -> Result<(), EngineError> {
        let size = ResizeExecOptions { width: columns, height: rows };
        let resized = self.docker.client.resize_exec(&self.id, size);
        self.docker.call(Call::Exec, SHORT, resized).await
    }

    async fn exit_code(&self) -> Result<i64, EngineError> {
        self.docker.exec_exit_code(&self.id).await
    }
}
