//! What follows from two lists after another.

use super::*;
use crate::plan::Limits;

fn shown(id: &str, running: bool, started: Option<i64>) -> Shown {
    Shown {
        isolation: std::sync::Arc::default(),
        id: ContainerId(id.to_owned()),
        name: id.to_owned(),
        running,
        started_at: started.map(at),
        labels: BTreeMap::from([(ownership::NAME.to_owned(), "web".to_owned())]),
        image: String::new(),
        image_id: String::new(),
        created_at: at(0),
        limits: Limits::default(),
        bindings: Vec::new(),
        networks: Vec::new(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

struct Tool(Sightings, i64);

impl Tool {
    fn new() -> Self {
        Self(Sightings::default(), 0)
    }

    /// Takes in a list, with those in doubt judged so.
    fn shows(&mut self, list: &[Shown], left_over: bool) -> (Vec<Seen>, Vec<String>) {
        self.1 += 1;
        let judged =
            self.0.doubtful(list).into_iter().map(|it| (it.id.clone(), left_over)).collect();
        let (seen, events) = self.0.take(list.to_vec(), &judged, at(self.1));
        assert!(events.iter().all(|event| event.sandbox.as_deref() == Some("web")));
        (seen, events.into_iter().map(|event| event.action).collect())
    }

    fn state(&mut self, shown: Shown) -> ContainerState {
        self.shows(&[shown], false).0.remove(0).state
    }
}

#[test]
fn a_life_is_told_from_its_lists() {
    let mut tool = Tool::new();
    assert_eq!(tool.shows(&[shown("a", false, None)], false).1, ["create"]);
    assert_eq!(tool.shows(&[shown("a", false, None)], false).1, [""; 0]);
    assert_eq!(tool.shows(&[shown("a", true, Some(5))], false).1, ["start"]);
    assert_eq!(tool.shows(&[shown("a", true, Some(9))], false).1, ["die", "start"]);
    let (seen, events) = tool.shows(&[shown("a", false, Some(9))], false);
    assert_eq!((events, seen[0].ended_at), (vec!["die".to_owned()], Some(at(5))));
    let (seen, _) = tool.shows(&[shown("a", false, Some(9))], false);
    assert_eq!(seen[0].ended_at, Some(at(5)), "the time of the first sight");
    assert_eq!(tool.shows(&[], false).1, ["destroy"]);
    assert_eq!(tool.shows(&[shown("b", true, Some(20))], false).1, ["create", "start"]);
    assert_eq!(tool.shows(&[], false).1, ["die", "destroy"]);
    assert_eq!(tool.shows(&[shown("c", false, Some(30))], false).1, ["create", "start", "die"]);
}

#[test]
fn one_that_was_never_started_is_created_and_one_that_was_has_ended() {
    let mut tool = Tool::new();
    assert_eq!(tool.state(shown("a", false, None)), ContainerState::Created);
    assert_eq!(tool.state(shown("a", true, Some(5))), ContainerState::Running);
    assert_eq!(tool.state(shown("a", false, Some(5))), ContainerState::Exited);
    // The service was restarted in order and has forgotten.
    assert_eq!(tool.state(shown("a", false, None)), ContainerState::Exited);
}

#[test]
fn what_outlived_its_server_is_dead_until_it_is_gone() {
    let mut tool = Tool::new();
    tool.state(shown("a", true, Some(5)));
    let (seen, events) = tool.shows(&[shown("a", false, None)], true);
    assert_eq!((seen[0].state, events), (ContainerState::Dead, vec!["die".to_owned()]));
    assert_eq!(tool.state(shown("a", false, None)), ContainerState::Dead, "judged once");
    assert_eq!(tool.shows(&[], false).1, ["destroy"]);
    assert_eq!(tool.state(shown("a", false, None)), ContainerState::Created, "nothing is kept");
}

#[test]
fn a_refused_start_is_as_good_a_witness() {
    let mut tool = Tool::new();
    assert_eq!(tool.state(shown("a", false, None)), ContainerState::Created);
    tool.0.left_over(&ContainerId("a".to_owned()));
    assert_eq!(tool.state(shown("a", false, None)), ContainerState::Dead);
    assert_eq!(tool.state(shown("a", true, Some(9))), ContainerState::Running);
}
