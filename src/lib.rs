//! sandkeeper: a folder of `Sandbox` specs, kept true. The modules in reading order:
//! observe → validate → plan → execute → publish.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod controller;
pub mod engine;
pub mod plan;
pub mod ports;
pub mod render;
pub mod sandbox;
pub mod shutdown;
pub mod source;
pub mod state;
pub mod systemd;
pub mod telemetry;
