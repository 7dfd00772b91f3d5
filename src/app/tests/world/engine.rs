//! The engine as a test sees it, and whoever else uses it.

use super::{World, container_name};
use crate::engine::fake::FakeState;
use crate::engine::{Call, CreateRequest, Inspected};
use crate::plan::{ContainerId, Limits, NetworkChoice, Seccomp, Security};

/// The engine, and whoever else uses it.
impl World {
    /// Arranges or looks at the engine's world.
    pub(in crate::app::tests) fn act<T>(&self, act: impl FnOnce(&mut FakeState) -> T) -> T {
        self.engine.tick();
        self.engine.fake.act(act)
    }

    /// Does something to a sandbox's container behind the daemon's back.
    pub(in crate::app::tests) fn to(
        &self,
        name: &str,
        act: impl FnOnce(&mut FakeState, &ContainerId),
    ) {
        let id = self.container(name).expect("it has a container").id;
        self.act(|state| act(state, &id));
    }

    /// The sandbox's container, under its own name.
    pub(in crate::app::tests) fn container(&self, name: &str) -> Option<Inspected> {
        self.find(&container_name(name))
    }

    /// A container by its own name.
    pub(in crate::app::tests) fn find(&self, name: &str) -> Option<Inspected> {
        self.act(|state| Some(state.by_name(name)?.details.clone()))
    }

    /// Names of all containers, with their states, sorted.
    pub(in crate::app::tests) fn containers(&self) -> Vec<String> {
        let show = |it: &Inspected| format!("{} {} {}", it.name, it.image, it.state);
        let all = |state: &mut FakeState| {
            state.containers.values().map(|it| show(&it.details)).collect::<Vec<_>>()
        };
        let mut all = self.act(all);
        all.sort();
        all
    }

    /// A container that somebody else runs, with these labels.
    pub(in crate::app::tests) fn run_foreign<'a>(
        &self,
        name: &str,
        labels: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Inspected {
        let request = foreign_request(name, labels);
        let id = self.act(|state| state.create_by_hand(&request, true)).unwrap();
        self.engine.foreign.lock().unwrap().insert(id.clone());
        self.act(|state| state.inspect(&id)).unwrap()
    }

    /// What the engine was asked to change since the last call of this: `start t-web`, or
    /// `start t-web (refused)`, in order.
    pub(in crate::app::tests) fn asked(&mut self) -> Vec<String> {
        let ledger = self.engine.fake.ledger();
        let news = ledger[self.seen..].iter().filter(|mutation| mutation.call != Call::Exec);
        let asked = news
            .map(|mutation| {
                let refused = if mutation.succeeded { "" } else { " (refused)" };
                format!("{} {}{refused}", mutation.call.name(), mutation.name)
            })
            .collect();
        self.seen = ledger.len();
        asked
    }
}

fn foreign_request<'a>(
    name: &str,
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> CreateRequest {
    CreateRequest {
        name: name.to_owned(),
        image: "app:1".to_owned(),
        command: None,
        args: None,
        working_dir: None,
        env: Vec::new(),
        labels: labels.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        ports: Vec::new(),
        mounts: Vec::new(),
        shared_memory: None,
        limits: Limits::default(),
        security: Security {
            seccomp: Seccomp::RuntimeDefault,
            capabilities: Vec::new(),
            privileged: false,
            no_new_privileges: true,
            read_only_root: false,
            run_as_user: None,
            run_as_group: None,
        },
        seccomp_profile: None,
        runtime: None,
        network: NetworkChoice::Bridge,
        stop_timeout: 10,
    }
}
