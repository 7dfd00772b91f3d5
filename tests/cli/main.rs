//! The command line from outside: what it prints, and how it exits.
#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but sees no helpers as such"
)]

mod fixture;
mod help;
mod rest;
mod state;
mod validate;
