//! How fast sandkeeper is against the engine it drives: the same containers, made in the same run by
//! the daemon and by a minimal client of the engine's API. Prints one table in Markdown.
//!
//! `cargo bench --bench engine`; with `-- --smoke` a few samples, which only show that it works.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock and starts the daemon")]
#![expect(clippy::print_stdout, reason = "the table is its product")]
#![expect(clippy::panic, reason = "a benchmark that cannot measure must not print a number")]

#[path = "../e2e/harness/daemon.rs"]
#[expect(dead_code, reason = "shared with the end-to-end tests, which use more of it")]
mod daemon;
#[path = "../support/docker.rs"]
#[expect(dead_code, reason = "shared with the contract tests, which clean up by name")]
mod docker;
mod events;
#[path = "../e2e/harness/port_range.rs"]
mod port_range;
#[path = "../support/proxy.rs"]
#[expect(dead_code, unused_imports, reason = "the benchmark reads the ledger and breaks nothing")]
mod proxy;
mod raw;
mod report;
mod sandkeeper;

use std::time::Duration;

use bollard::Docker;

use crate::events::Events;
use crate::raw::RawClient;
use crate::report::{Crowd, Pair, Report, Restart};
use crate::sandkeeper::Sandkeeper;

/// How much is measured.
struct Size {
    samples: usize,
    crowd: usize,
    rounds: usize,
    concurrencies: &'static [usize],
}

const FULL: Size = Size { samples: 20, crowd: 40, rounds: 3, concurrencies: &[1, 4, 8, 20, 40] };
const SMOKE: Size = Size { samples: 2, crowd: 4, rounds: 1, concurrencies: &[2] };

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let size = if smoke { SMOKE } else { FULL };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let report = runtime.block_on(measure(&size));
    println!("{report}");
}

async fn measure(size: &Size) -> Report {
    let docker = Docker::connect_with_defaults().expect("the engine's address is valid");
    let docker = docker.negotiate_version().await.expect("an engine answers: see ./tests/run");
    docker::ensure_test_image(&docker).await;
    let events = Events::subscribe(&docker).await;

    let one_by_one = one_by_one(&docker, &events, size).await;
    let crowd = crowd(&docker, &events, size).await;
    let restarts = restarts(&docker, &events, size).await;
    let version = docker.version().await.expect("the engine answers").version.unwrap_or_default();
    Report { engine: version, one_by_one, crowd, restarts }
}

/// Create and start, one container after the other, the two sides taking turns.
async fn one_by_one(docker: &Docker, events: &Events, size: &Size) -> Vec<Pair<Duration>> {
    let sandkeeper = Sandkeeper::start(docker, events, None);
    let raw = RawClient::like(docker, &sandkeeper.warm_up().await).await;
    raw.create_and_start(events, "warm-up").await;
    let mut pairs = Vec::new();
    for number in 0..size.samples {
        let name = format!("one-{number}");
        let engine_alone = raw.create_and_start(events, &name).await;
        pairs.push(Pair { engine_alone, sandkeeper: sandkeeper.drop_file(&name).await });
    }
    sandkeeper.clean_up().await;
    raw.clean_up().await;
    pairs
}

/// Many at once. Every round measures the daemon and the client at each concurrency.
async fn crowd(docker: &Docker, events: &Events, size: &Size) -> Crowd {
    let mut crowd = Crowd::new(size.crowd);
    for _ in 0..size.rounds {
        let sandkeeper = Sandkeeper::start(docker, events, None);
        let example = sandkeeper.warm_up().await;
        crowd.sandkeeper.push(sandkeeper.drop_files(size.crowd).await);
        sandkeeper.clean_up().await;
        for &concurrency in size.concurrencies {
            let raw = RawClient::like(docker, &example).await;
            let took = raw.create_and_start_many(events, size.crowd, concurrency).await;
            crowd.engine_alone.entry(concurrency).or_default().push(took);
            raw.clean_up().await;
        }
    }
    crowd
}

/// Kills, one after the other, the two sides taking turns.
async fn restarts(docker: &Docker, events: &Events, size: &Size) -> Vec<Pair<Restart>> {
    let proxy = proxy::Proxy::start();
    let sandkeeper = Sandkeeper::start(docker, events, Some(&proxy));
    let raw = RawClient::like(docker, &sandkeeper.warm_up().await).await;
    let mut pairs = Vec::new();
    for number in 0..size.samples {
        let name = format!("kill-{number}");
        raw.create_and_start(events, &name).await;
        sandkeeper.drop_file(&name).await;
        let engine_alone = raw.kill(events, &name).await;
        pairs.push(Pair { engine_alone, sandkeeper: sandkeeper.kill(&name, &proxy).await });
    }
    sandkeeper.clean_up().await;
    raw.clean_up().await;
    pairs
}
