//! `sandkeeper exec`: a command in a sandbox, with the user's streams.

use std::io;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use futures::StreamExt as _;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use super::console::Console;
use super::lookup;
use super::options::Options;
use super::terminal::{self, RawTerminal};
use crate::app::open_engine;
use crate::engine::{AttachOptions, Attached, EngineError, ExecSession, OutputChunk};
use crate::plan::ContainerId;

/// Run a command in a sandbox
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sandkeeper exec web -- ls -l /mnt
  sandkeeper exec -it web -- sh
  tar c . | sandkeeper exec -i web -- tar x -C /work

Exit status: that of the command; 126 or 127 (which, the engine decides) it cannot be run; 1 also another
error.")]
pub(crate) struct Args {
    /// Name of the sandbox
    name: String,

    /// Pass standard input on
    #[arg(short = 'i', long)]
    stdin: bool,

    /// Give the command a terminal; needs one here
    #[arg(short, long)]
    tty: bool,

    /// User to run it as: a name or a number, of the container [default: the container's]
    #[arg(short, long)]
    user: Option<String>,

    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Exit code of a command that a signal ended here, as a shell gives it.
const TERMINATED: u8 = 128 + 15;

pub(crate) async fn run(args: &Args, options: &Options, console: &mut Console) -> Result<ExitCode> {
    if args.tty && !terminal::is_present() {
        bail!("-t needs a terminal as standard input; leave it out in scripts and pipes");
    }
    let config = options.load()?;
    let sandbox = lookup::sandbox(&config.state, &args.name)?;
    let id = ContainerId(lookup::container(&sandbox)?.id.clone());
    let engine = open_engine(&config).await?;
    let wanted = AttachOptions {
        command: args.command.clone(),
        user: args.user.clone(),
        tty: args.tty,
        stdin: args.stdin,
        env: Vec::new(),
    };
    match engine.exec_attached(&id, &wanted).await {
        Ok(attached) => attend(attached, args, console).await,
        Err(error) => match code_of_refusal(&error) {
            Some(code) => {
                console.error(&error.into());
                Ok(ExitCode::from(code))
            }
            None => Err(error.into()),
        },
    }
}

/// Passes everything both ways until the command ends, then returns its exit code.
async fn attend(attached: Attached, args: &Args, console: &mut Console) -> Result<ExitCode> {
    let Attached { input, mut output, session } = attached;
    let _raw = args.tty.then(RawTerminal::enter).transpose()?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let feeding = feed(input, args.stdin);
    let sizing = first_size(&*session);
    tokio::pin!(feeding, sizing);
    let (mut fed, mut sized) = (false, !args.tty);
    let mut seen = !args.tty;
    loop {
        // Cancel-safe: `next` and `recv` lose nothing when dropped, and the others are kept, not dropped.
        tokio::select! {
            chunk = output.next() => match chunk {
                Some(chunk) => {
                    print(chunk?, console)?;
                    if !std::mem::replace(&mut seen, true) {
                        // Podman forgets a size that it is told before it has opened the terminal.
                        resize(&*session).await;
                    }
                }
                None => break,
            },
            () = &mut sizing, if !sized => sized = true,
            outcome = &mut feeding, if !fed => {
                fed = true;
                tracing::debug!(?outcome, "Standard input ended.");
            }
            Some(()) = resized.recv(), if args.tty => {
                resize(&*session).await;
            }
            Some(()) = terminated.recv() => return Ok(ExitCode::from(TERMINATED)),
        }
    }
    Ok(exit_code(session.exit_code().await?))
}

/// Copies standard input until it ends, then ends the command's.
async fn feed(mut input: Pin<Box<dyn AsyncWrite + Send>>, stdin: bool) -> io::Result<()> {
    if stdin {
        tokio::io::copy(&mut tokio::io::stdin(), &mut input).await?;
    }
    input.shutdown().await
}

/// Engines refuse a size until the command runs. Docker's own client tries ten times, as here.
async fn first_size(session: &dyn ExecSession) {
    for attempt in 1..=10 {
        if resize(session).await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10) * attempt).await;
    }
}

/// Whether there is no more to do. A wrong size is a blemish, not a reason to end the command.
async fn resize(session: &dyn ExecSession) -> bool {
    let Some((columns, rows)) = terminal::size() else { return true };
    let resized = session.resize(columns, rows).await;
    if let Err(error) = &resized {
        tracing::debug!(%error, "The command's terminal keeps its size.");
    }
    resized.is_ok()
}

fn print(chunk: OutputChunk, console: &mut Console) -> io::Result<()> {
    match chunk {
        OutputChunk::Stdout(bytes) => console.print_bytes(&bytes),
        OutputChunk::Stderr(bytes) => console.print_error_bytes(&bytes),
    }
}

/// The command's code as ours; one that does not fit a byte was no success.
fn exit_code(code: i64) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// The shell's code for a command that an engine refused to run.
fn code_of_refusal(error: &EngineError) -> Option<u8> {
    let EngineError::Rejected(message) = error else { return None };
    if message.contains("executable file not found") || message.contains("no such file") {
        Some(127)
    } else if message.contains("permission denied") {
        Some(126)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_code_is_ours_and_an_odd_one_is_no_success() {
        assert_eq!(exit_code(0), ExitCode::SUCCESS);
        assert_eq!(exit_code(7), ExitCode::from(7));
        assert_eq!(exit_code(256), ExitCode::from(255));
        assert_eq!(exit_code(-1), ExitCode::from(255));
    }

    #[test]
    fn a_refused_command_has_the_shells_code() {
        let refused = |message: &str| code_of_refusal(&EngineError::Rejected(message.to_owned()));
        assert_eq!(refused("exec: \"nope\": executable file not found in $PATH"), Some(127));
        assert_eq!(refused("exec: \"/etc/passwd\": permission denied"), Some(126));
        assert_eq!(refused("unable to find user nobody2"), None);
        assert_eq!(code_of_refusal(&EngineError::NoSuchContainer("x".to_owned())), None);
    }
}
