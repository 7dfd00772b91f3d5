//! An engine in memory, with Docker's behaviour as the trait shows it: the name fence, the port fence at
//! start, states, events, refusals. For tests of what sits on top of [`Engine`]; the contract suite holds
//! it to what Docker does.
//!
//! [`FakeState`] is the engine as a plain value, for property tests; [`Fake`] puts it behind the trait and
//! adds what can go wrong between the two.

mod calls;
mod fences;
mod program;
mod state;
mod user;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

pub use program::Program;
pub use state::{FakeContainer, FakeImage, FakeState, Mutation};

use super::{
    Call, Capabilities, CreateRequest, Engine, EngineError, EngineEvent, EngineKind, ExecOutcome,
    Feature, Inspected, Listed, LogOptions, OutputChunk, PullProgress,
};
use crate::plan::{ContainerId, Limits};

/// Where a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Before the engine hears of it.
    Before,
    /// After it took effect: only the answer is lost.
    After,
}

/// A fake engine. Clones are the same engine.
#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    state: FakeState,
    faults: Vec<Fault>,
    delays: Vec<(Call, Duration)>,
    lists: VecDeque<Vec<Listed>>,
    subscribers: Vec<UnboundedSender<Result<EngineEvent, EngineError>>>,
    frozen: bool,
}

#[derive(Debug)]
struct Fault {
    call: Call,
    point: FaultPoint,
    error: EngineError,
    remaining: usize,
}

/// The test's side.
impl Fake {
    /// An engine with the images `sleep`, `exit:0` and `exit:1`.
    #[must_use]
    pub fn new() -> Self {
        let fake = Self::default();
        fake.act(|state| ["sleep", "exit:0", "exit:1"].map(|image| state.add_image(image)));
        fake
    }

    /// Arranges or looks at the engine's world, as its user or its host; events are delivered afterwards.
    pub fn act<T>(&self, act: impl FnOnce(&mut FakeState) -> T) -> T {
        let mut inner = self.lock();
        let outcome = act(&mut inner.state);
        inner.deliver();
        outcome
    }

    /// Makes the next `times` calls of this kind fail.
    pub fn fail(&self, call: Call, times: usize, point: FaultPoint, error: EngineError) {
        self.lock().faults.push(Fault { call, point, error, remaining: times });
    }

    /// Makes the next call of this kind take this long.
    pub fn delay(&self, call: Call, by: Duration) {
        self.lock().delays.push((call, by));
    }

    /// Makes the next list say this: nothing, something old, all but one.
    pub fn answer_next_list(&self, list: Vec<Listed>) {
        self.lock().lists.push_back(list);
    }

    /// Nothing that was arranged to go wrong goes wrong any more.
    pub fn forget_faults(&self) {
        let mut inner = self.lock();
        inner.faults.clear();
        inner.delays.clear();
        inner.lists.clear();
    }

    /// Withholds events until they are thawed; they are delivered then.
    pub fn freeze_events(&self, frozen: bool) {
        let mut inner = self.lock();
        inner.frozen = frozen;
        inner.deliver();
    }

    /// Breaks every subscription.
    pub fn break_events(&self) {
        for subscriber in self.lock().subscribers.drain(..) {
            let broken =
                EngineError::OutcomeUnknown { call: Call::Events.name(), after: Duration::ZERO };
            // A subscriber that left has nothing to be told.
            let _ = subscriber.send(Err(broken));
        }
    }

    /// Every call so far that would change something.
    #[must_use]
    pub fn ledger(&self) -> Vec<Mutation> {
        self.lock().state.ledger.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut FakeState) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let delay = self.lock().take_delay(call);
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        let mut inner = self.lock();
        if let Some(error) = inner.take_fault(call, FaultPoint::Before) {
            return Err(error);
        }
        let outcome = act(&mut inner.state);
        inner.deliver();
        inner.take_fault(call, FaultPoint::After).map_or(outcome, Err)
    }
}

impl Inner {
    fn take_fault(&mut self, call: Call, point: FaultPoint) -> Option<EngineError> {
        self.faults.retain(|fault| fault.remaining > 0);
        let fault = self.faults.iter_mut().find(|it| it.call == call && it.point == point)?;
        fault.remaining -= 1;
        Some(fault.error.clone())
    }

    fn take_delay(&mut self, call: Call) -> Option<Duration> {
        let position = self.delays.iter().position(|(delayed, _)| *delayed == call)?;
        Some(self.delays.remove(position).1)
    }

    fn deliver(&mut self) {
        if self.frozen {
            return;
        }
        for event in self.state.take_events() {
            self.subscribers.retain(|subscriber| subscriber.send(Ok(event.clone())).is_ok());
        }
    }
}

#[async_trait]
impl Engine for Fake {
    fn kind(&self) -> EngineKind {
        EngineKind::Fake
    }

    async fn capabilities(&self) -> Result<Capabilities, EngineError> {
        self.call(Call::Capabilities, |state| Ok(state.capabilities.clone())).await
    }

    async fn list(&self) -> Result<Vec<Listed>, EngineError> {
        let listed = self.call(Call::List, |state| Ok(state.list())).await?;
        Ok(self.lock().lists.pop_front().unwrap_or(listed))
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        self.call(Call::Inspect, |state| Ok(state.inspect(id))).await
    }

    async fn create(&self, request: &CreateRequest) -> Result<ContainerId, EngineError> {
        self.call(Call::Create, |state| state.create(request)).await
    }

    async fn start(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(Call::Start, |state| state.start(id)).await
    }

    async fn stop(&self, id: &ContainerId, _grace: Duration) -> Result<(), EngineError> {
        self.call(Call::Stop, |state| state.stop(id)).await
    }

    async fn unpause(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(Call::Unpause, |state| state.unpause(id)).await
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<(), EngineError> {
        self.call(Call::Rename, |state| {
            if !state.capabilities.has(Feature::Rename) {
                return Err(EngineError::Unsupported("this engine cannot rename".to_owned()));
            }
            state.rename(id, name)
        })
        .await
    }

    async fn update(&self, id: &ContainerId, limits: &Limits) -> Result<(), EngineError> {
        self.call(Call::Update, |state| state.update(id, limits)).await
    }

    fn updates_live(&self, from: &Limits, to: &Limits) -> bool {
        fences::updates_live(from, to)
    }

    async fn connect(&self, id: &ContainerId, network: &str) -> Result<(), EngineError> {
        self.call(Call::Connect, |state| state.connect(id, network)).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<(), EngineError> {
        self.call(Call::Remove, |state| state.remove(id)).await
    }

    async fn pull(&self, image: &str, progress: &PullProgress) -> Result<(), EngineError> {
        progress.send_replace(format!("Pulling {image}"));
        self.call(Call::Pull, |state| state.pull(image)).await
    }

    async fn has_image(&self, image: &str) -> Result<bool, EngineError> {
        self.call(Call::HasImage, |state| Ok(state.has_image(image))).await
    }

    async fn exec(
        &self,
        id: &ContainerId,
        command: &[String],
        _user: Option<&str>,
        _deadline: Duration,
    ) -> Result<ExecOutcome, EngineError> {
        self.call(Call::Exec, |state| state.exec(id, command)).await
    }

    async fn events(
        &self,
    ) -> Result<BoxStream<'static, Result<EngineEvent, EngineError>>, EngineError> {
        self.call(Call::Events, |_| Ok(())).await?;
        let (sender, receiver) = unbounded_channel();
        self.lock().subscribers.push(sender);
        let next = |mut receiver: UnboundedReceiver<_>| async move {
            receiver.recv().await.map(|event| (event, receiver))
        };
        Ok(stream::unfold(receiver, next).boxed())
    }

    async fn logs(
        &self,
        id: &ContainerId,
        options: &LogOptions,
    ) -> Result<BoxStream<'static, Result<OutputChunk, EngineError>>, EngineError> {
        let log = self.call(Call::Logs, |state| {
            let container = state.containers.get(id);
            let log = container.map(|container| container.log.clone());
            log.ok_or_else(|| EngineError::NoSuchContainer(id.to_string()))
        });
        let text = tail(&log.await?, options.tail);
        Ok(stream::iter([Ok(OutputChunk::Stdout(text.into_bytes()))]).boxed())
    }
}

fn tail(log: &str, lines: Option<u64>) -> String {
    let all: Vec<&str> = log.split_inclusive('\n').collect();
    let wanted = lines.and_then(|lines| usize::try_from(lines).ok()).unwrap_or(all.len());
    all[all.len().saturating_sub(wanted)..].concat()
}

#[cfg(test)]
mod tests;
