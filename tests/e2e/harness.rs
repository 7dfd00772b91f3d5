//! What every test needs: a world of its own, the daemon in it, and patience.

mod daemon;
mod engine;
mod namespace;
mod port_range;
mod private_engine;
mod request;
mod spec;
mod start_proxy;
mod status;
mod wait;
mod world;

pub(crate) use crate::docker::TEST_IMAGE;
pub(crate) use daemon::Daemon;
pub(crate) use engine::{Container, Engine};
pub(crate) use namespace::{Apart, through};
pub(crate) use private_engine::{Part, PrivateEngine, Setup};
pub(crate) use request::Request;
pub(crate) use spec::{MISSING_IMAGE, Spec};
pub(crate) use start_proxy::{Moment, StartProxy};
pub(crate) use status::Status;
pub(crate) use wait::{http_get, until, until_within};
pub(crate) use world::World;
