//! sandkeeper as its users run it: the real binary, real files, a real Docker engine.
//!
//! One module per kind of promise; `harness` owns processes, folders, ports and cleaning up. A test
//! fails, with what to do, where no engine answers: none of them is ever skipped. They share nothing
//! but the engine, so any number of them may run at once.
#![expect(
    clippy::disallowed_methods,
    reason = "the tests start the daemon, read the clock for their deadlines and poll"
)]
#![expect(clippy::panic, reason = "that is how a test fails")]
#![expect(clippy::print_stderr, reason = "a failed test shows what it saw")]

#[path = "../support/apple.rs"]
mod apple;
mod commands;
mod crash;
mod crash_sweep;
#[path = "../support/docker.rs"]
#[expect(dead_code, reason = "shared with the contract tests")]
mod docker;
mod edits;
mod engine_process;
mod faults;
mod file_faults;
mod files;
mod harness;
mod health;
mod hostile;
mod life;
mod lifecycle;
mod mounts;
mod on_apple;
mod ownership;
mod podman;
mod policy;
mod ports;
#[path = "../support/proxy.rs"]
#[expect(dead_code, reason = "shared with tests that use other parts of it")]
mod proxy;
mod rootless;
mod secrets;
mod sweep;
mod trace;
