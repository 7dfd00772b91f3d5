//! The `sandkeeper` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandkeeper::cli::main(std::env::args_os())
}
