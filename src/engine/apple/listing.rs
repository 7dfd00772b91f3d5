//! One list for everybody who asks at about the same time. An answer is never older than the question: who
//! comes while a list is under way waits for the next one, which all who wait share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::SHORT;
use super::answers::{self, Shown};
use super::errors;
use super::run::Cli;
use super::sightings::{Seen, Sightings};
use crate::clock;
use crate::engine::{Call, EngineError, EngineEvent};
use crate::plan::ContainerId;
use crate::sandbox::Protocol;

/// Events that a subscriber may be behind; one that is further behind has to look at everything anew.
const BACKLOG: usize = 8192;
/// How long a published port has to accept: it is on this host.
const ACCEPT: Duration = Duration::from_millis(500);

type Answer = Result<Arc<Vec<Seen>>, EngineError>;

/// The shared list.
#[derive(Debug)]
pub(super) struct Listing {
    /// Number of the list that was begun last.
    begun: AtomicU64,
    /// Number and answer of the list that was finished last. Held while one is made.
    last: tokio::sync::Mutex<Option<(u64, Answer)>>,
    sightings: Mutex<Sightings>,
    events: broadcast::Sender<EngineEvent>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            begun: AtomicU64::new(0),
            last: tokio::sync::Mutex::default(),
            sightings: Mutex::default(),
            events: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Listing {
    /// Every container, as a list that was begun after this call shows them.
    pub(super) async fn look(&self, cli: &Cli, call: Call) -> Answer {
        let before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((number, answer)) = &*last
            && *number > before
        {
            return answer.clone();
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = self.ask(cli, call).await;
        *last = Some((number, answer.clone()));
        answer
    }

    /// What happens from now on, as far as looks show it.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<EngineEvent> {
        self.events.subscribe()
    }

    /// A start was refused because the container's machine is still there.
    pub(super) fn left_over(&self, id: &ContainerId) {
        self.sightings().left_over(id);
    }

    async fn ask(&self, cli: &Cli, call: Call) -> Answer {
        let output = cli.run(call, SHORT, &["list", "--all", "--format=json"]).await?;
        if let Some(error) = errors::refusal(call, &output) {
            return Err(error);
        }
        let list = answers::list(call, &output.stdout)?;
        let doubtful: Vec<Shown> = self.sightings().doubtful(&list).into_iter().cloned().collect();
        let left_over = join_all(doubtful.iter().map(is_left_over)).await;
        let left_over: BTreeMap<ContainerId, bool> =
            doubtful.into_iter().map(|shown| shown.id).zip(left_over).collect();
        let (seen, events) = self.sightings().take(list, &left_over, clock::now());
        for event in events {
            // Nobody may be listening.
            let _ = self.events.send(event);
        }
        Ok(Arc::new(seen))
    }

    fn sightings(&self) -> MutexGuard<'_, Sightings> {
        // No code under this lock leaves a value half changed that a panic could interrupt.
        self.sightings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a container that is said to be stopped still runs. Its own process publishes its ports, and
/// accepts before anybody in it listens. One without such a port is taken to run: it must not get a double.
async fn is_left_over(shown: &Shown) -> bool {
    let ports = shown.bindings.iter().filter(|binding| binding.protocol == Protocol::Tcp);
    let addresses: Vec<SocketAddr> =
        ports.map(|port| SocketAddr::new(port.host_ip, port.host_port)).collect();
    let accepts = async |address: &SocketAddr| {
        matches!(timeout(ACCEPT, TcpStream::connect(address)).await, Ok(Ok(_)))
    };
    let answers = join_all(addresses.iter().map(accepts)).await;
    answers.is_empty() || answers.contains(&true)
}
