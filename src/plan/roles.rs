//! Which of a sandbox's containers is which, on an engine that cannot rename.
//!
//! Where containers can be renamed, the name says it: the one that serves has the sandbox's name, its
//! replacement is `….new` until it is up, the one that it replaces is `….old` meanwhile. Without renames a
//! container keeps its name for life, so the two names are taken in turn and the roles are read from what
//! can be seen: the elder is the one that was there first, and it has stepped aside once it does not run.
//!
//! ```text
//!   elder runs                  main, and the younger is its replacement
//!   elder does not run          predecessor, and the younger is the replacement that comes up
//!   one alone                   main, whatever its name
//! ```
//!
//! With that the planner's protocol for replacements is the same on every engine, and so is what it
//! promises; [`super::decide`] leaves out the renames.

use super::memory::Memory;
use super::observed::{Container, ContainerState, Observed};

impl Observed {
    /// What was observed by name, with the roles of an engine that cannot rename.
    ///
    /// Such an engine may also forget, when it was restarted, that a container ever ran; the memory knows.
    #[must_use]
    pub fn with_roles(mut self, memory: &Memory) -> Self {
        let ours = [&mut self.main, &mut self.replacement, &mut self.predecessor];
        let mut ours: Vec<Container> = ours.into_iter().filter_map(Option::take).collect();
        for container in &mut ours {
            if container.state == ContainerState::Created
                && memory.ran.as_ref() == Some(&container.id)
            {
                container.state = ContainerState::Exited;
            }
        }
        ours.sort_by_key(|container| seniority(container, memory));
        let mut ours = ours.into_iter();
        let (Some(elder), younger) = (ours.next(), ours.next()) else { return self };
        match younger {
            None => self.main = Some(elder),
            Some(younger) => {
                self.replacement = Some(younger);
                let seat = if elder.is_live() { &mut self.main } else { &mut self.predecessor };
                *seat = Some(elder);
            }
        }
        // A third one is nobody's doing: it is removed before anything else is done.
        self.leftover.extend(ours);
        self
    }
}

/// Sorts the one that served first. The clock decides only where the memory is lost.
fn seniority(container: &Container, memory: &Memory) -> (bool, jiff::Timestamp, bool) {
    let recorded = memory.container.as_ref() == Some(&container.id);
    let by_name = container.name.ends_with(super::Slot::Replacement.suffix());
    (!recorded, container.created_at, by_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{at, container, desired};
    use crate::plan::{ContainerId, Slot};

    fn one(id: &str, slot: Slot, state: ContainerState, made: i64) -> Container {
        let mut one = container(id, &desired("image:1"));
        one.name = format!("sandbox-web{}", slot.suffix());
        (one.state, one.created_at) = (state, at(made));
        one
    }

    fn ids(observed: &Observed) -> [Option<&str>; 3] {
        [&observed.main, &observed.replacement, &observed.predecessor]
            .map(|seat| seat.as_ref().map(|container| container.id.0.as_str()))
    }

    fn seats(main: Container, replacement: Option<Container>) -> Observed {
        Observed { main: Some(main), replacement, ..Observed::default() }
    }

    #[test]
    fn one_alone_is_the_main_one_whatever_its_name() {
        let alone = one("a", Slot::Replacement, ContainerState::Running, 0);
        let seen = Observed { replacement: Some(alone), ..Observed::default() };
        assert_eq!(ids(&seen.with_roles(&Memory::default())), [Some("a"), None, None]);
    }

    #[test]
    fn the_elder_is_main_while_it_runs_and_has_stepped_aside_when_it_does_not() {
        for (elder_has, younger_has) in
            [(Slot::Main, Slot::Replacement), (Slot::Replacement, Slot::Main)]
        {
            for (state, expected) in [
                (ContainerState::Running, [Some("a"), Some("b"), None]),
                (ContainerState::Exited, [None, Some("b"), Some("a")]),
            ] {
                let elder = one("a", elder_has, state, 0);
                let younger = one("b", younger_has, ContainerState::Created, 5);
                let (main, replacement) =
                    if elder_has == Slot::Main { (elder, younger) } else { (younger, elder) };
                let seen = seats(main, Some(replacement)).with_roles(&Memory::default());
                assert_eq!(ids(&seen), expected);
            }
        }
    }

    #[test]
    fn the_one_on_record_is_the_elder_also_when_the_clock_was_set_back() {
        let elder = one("a", Slot::Main, ContainerState::Running, 100);
        let younger = one("b", Slot::Replacement, ContainerState::Created, 5);
        let memory = Memory { container: Some(ContainerId("a".to_owned())), ..Memory::default() };
        let seen = seats(elder, Some(younger)).with_roles(&memory);
        assert_eq!(ids(&seen), [Some("a"), Some("b"), None]);
    }

    #[test]
    fn what_was_seen_to_run_has_run_whatever_the_engine_remembers() {
        let forgotten = one("a", Slot::Main, ContainerState::Created, 0);
        let memory = Memory { ran: Some(ContainerId("a".to_owned())), ..Memory::default() };
        let state = |memory| seats(forgotten.clone(), None).with_roles(memory).main.unwrap().state;
        assert_eq!(state(&memory), ContainerState::Exited);
        assert_eq!(state(&Memory::default()), ContainerState::Created);
    }

    #[test]
    fn a_third_one_goes_before_anything_else_is_done() {
        let seen = Observed {
            main: Some(one("a", Slot::Main, ContainerState::Running, 0)),
            replacement: Some(one("b", Slot::Replacement, ContainerState::Created, 1)),
            predecessor: Some(one("c", Slot::Predecessor, ContainerState::Exited, 2)),
            ..Observed::default()
        };
        let seen = seen.with_roles(&Memory::default());
        assert_eq!(ids(&seen), [Some("a"), Some("b"), None]);
        assert_eq!(seen.leftover.len(), 1);
    }
}
