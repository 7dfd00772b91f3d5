//! Random histories: whatever happens to the files, nothing is withdrawn on less than two complete looks
//! at the same directory, and once the files are at rest what is declared is what they say.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::world::{A, B, World};
use crate::source::Declared;
use crate::source::snapshot::Mark;

const NAMES: [&str; 4] = ["web", "db", "cache", "queue"];
const FILES: [&str; 4] = ["/a/1.yaml", "/a/2.yaml", "/b/1.yaml", "/b/2.yaml"];

#[derive(Clone, Debug)]
enum Operation {
    Save(usize, Content),
    Write(usize, Content),
    Store(usize, Content),
    Unreadable(usize),
    Remove(usize),
    Rename(usize, usize),
    LoseEvents,
    ToggleMissing(bool),
    ToggleUnreadable(bool),
    ToggleLate(bool),
    Replace(bool, bool),
    Restart,
    Prune,
    Forget(usize),
    Pass(u64),
}

#[derive(Clone, Debug)]
enum Content {
    Names(Vec<usize>, u8),
    Invalid(usize),
    Nameless,
    Garbage,
    Empty,
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        6 => (proptest::sample::subsequence(vec![0, 1, 2, 3], 1..=3), 1..3_u8)
            .prop_map(|(names, image)| Content::Names(names, image)),
        1 => (0..4_usize).prop_map(Content::Invalid),
        1 => Just(Content::Nameless),
        1 => Just(Content::Garbage),
        1 => Just(Content::Empty),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let file = 0..FILES.len();
    prop_oneof![
        5 => (file.clone(), content()).prop_map(|(file, content)| Operation::Save(file, content)),
        2 => (file.clone(), content()).prop_map(|(file, content)| Operation::Write(file, content)),
        1 => (file.clone(), content()).prop_map(|(file, content)| Operation::Store(file, content)),
        1 => file.clone().prop_map(Operation::Unreadable),
        3 => file.clone().prop_map(Operation::Remove),
        2 => (file.clone(), file).prop_map(|(from, to)| Operation::Rename(from, to)),
        1 => Just(Operation::LoseEvents),
        1 => any::<bool>().prop_map(Operation::ToggleMissing),
        1 => any::<bool>().prop_map(Operation::ToggleUnreadable),
        1 => any::<bool>().prop_map(Operation::ToggleLate),
        1 => any::<(bool, bool)>().prop_map(|(first, empty)| Operation::Replace(first, empty)),
        1 => Just(Operation::Restart),
        1 => Just(Operation::Prune),
        2 => (0..NAMES.len()).prop_map(Operation::Forget),
        12 => prop_oneof![Just(1_u64), Just(300), Just(1000), Just(2000), Just(5000)]
            .prop_map(Operation::Pass),
    ]
}

fn text(content: &Content) -> String {
    match content {
        Content::Names(names, image) => {
            let documents = names.iter().map(|name| format!("{}={image}", NAMES[*name]));
            documents.collect::<Vec<_>>().join(" ")
        }
        Content::Invalid(name) => format!("?{}", NAMES[*name]),
        Content::Nameless => "?".to_owned(),
        Content::Garbage => "!".to_owned(),
        Content::Empty => String::new(),
    }
}

/// One complete look as an observer who knows nothing of the core's state sees it.
#[derive(Clone, Debug)]
struct Look {
    at: Duration,
    /// Inodes of both directories; `None`: not listed.
    listed: [Option<u64>; 2],
    /// Files that may declare each name, in directories that were listed.
    declaring: BTreeMap<&'static str, usize>,
}

struct History {
    world: World,
    looks: Vec<Look>,
    /// Sandboxes that an operator let go, by identity.
    released: Vec<String>,
}

impl History {
    fn apply(&mut self, operation: &Operation) {
        let world = &mut self.world;
        match operation {
            Operation::Save(file, content) => world.save(FILES[*file], &text(content)),
            Operation::Write(file, content) => world.write(FILES[*file], &text(content)),
            Operation::Store(file, content) => world.store(FILES[*file], &text(content)),
            Operation::Unreadable(file) => {
                let (directory, name) = FILES[*file].rsplit_once('/').unwrap();
                if let Some(file) = world.directory(directory).files.get_mut(name) {
                    file.unreadable = true;
                }
            }
            Operation::Remove(file) => drop(world.remove(FILES[*file])),
            Operation::Rename(from, to) => world.rename(FILES[*from], FILES[*to]),
            Operation::LoseEvents => {
                world.evidence.marks.clear();
                world.evidence.lost = true;
            }
            Operation::ToggleMissing(first) => {
                let directory = world.directory(path(*first));
                directory.missing = !directory.missing;
            }
            Operation::ToggleUnreadable(first) => {
                let directory = world.directory(path(*first));
                directory.unreadable = !directory.unreadable;
            }
            Operation::ToggleLate(first) => {
                let directory = world.directory(path(*first));
                directory.late = !directory.late;
            }
            Operation::Replace(first, empty) => {
                let inode = world.new_inode();
                let directory = world.directory(path(*first));
                directory.inode = inode;
                if *empty {
                    directory.files.clear();
                }
            }
            Operation::Restart => world.restart(),
            Operation::Prune => {
                let held: Vec<String> = world.held.iter().map(|held| held.uid.clone()).collect();
                world.released.extend(held.clone());
                self.released.extend(held);
            }
            Operation::Forget(name) => drop(world.forget(NAMES[*name])),
            Operation::Pass(milliseconds) => self.pass(*milliseconds),
        }
    }

    fn pass(&mut self, milliseconds: u64) {
        let before: Vec<Declared> = self.world.state.declared().cloned().collect();
        let pass = self.world.pass_after(milliseconds);
        self.looks.push(self.observe());
        for withdrawn in pass.applied.iter().filter(|declared| declared.is_tombstone()) {
            assert!(before.iter().any(|before| before.uid() == withdrawn.uid()));
            self.assert_confirmed(withdrawn);
        }
    }

    fn observe(&self) -> Look {
        let mut listed = [None; 2];
        let mut declaring: BTreeMap<&'static str, usize> = BTreeMap::new();
        for (directory, slot) in self.world.directories.values().zip(&mut listed) {
            if directory.missing || directory.unreadable || directory.late {
                continue;
            }
            *slot = Some(directory.inode);
            for file in directory.files.values().filter(|file| !file.unreadable) {
                for name in NAMES {
                    if file.text.split(' ').any(|text| text.split('=').next() == Some(name)) {
                        *declaring.entry(name).or_default() += 1;
                    }
                }
            }
        }
        Look { at: self.world.steady, listed, declaring }
    }

    /// An operator said so, or two complete looks at the same directory, two seconds apart, missed it.
    fn assert_confirmed(&self, withdrawn: &Declared) {
        if self.released.iter().any(|uid| uid == withdrawn.uid()) {
            return;
        }
        let first = withdrawn.provenance.file.starts_with(A);
        let place = usize::from(!first);
        let missed = |look: &&Look| {
            look.listed[place].is_some() && !look.declaring.contains_key(withdrawn.name())
        };
        let last = self.looks.last().unwrap();
        assert!(missed(&last), "{} withdrawn although it is there", withdrawn.name());
        let earlier = self.looks.iter().rev().take_while(|look| {
            // An unlisted directory neither confirms nor refutes.
            look.listed[place].is_none() || missed(look)
        });
        let confirmed = earlier.filter(missed).any(|look| {
            look.listed[place] == last.listed[place]
                && last.at.checked_sub(look.at) >= Some(Duration::from_secs(2))
        });
        assert!(confirmed, "{} withdrawn without a second look", withdrawn.name());
    }

    /// Everything heals, invalid files are put right, what is held is let go, and time passes.
    fn rest(&mut self) {
        for name in [A, B] {
            let directory = self.world.directory(name);
            (directory.missing, directory.unreadable, directory.late) = (false, false, false);
        }
        for (number, file) in FILES.iter().enumerate() {
            let (directory, name) = file.rsplit_once('/').unwrap();
            let known = self.world.directory(directory).files.get(name).cloned();
            if known.is_some_and(|file| {
                file.unreadable || file.text.starts_with(['!', '?']) || file.text.is_empty()
            }) {
                self.world.save(file, &format!("{}=9", NAMES[number]));
            }
        }
        for _ in 0..4 {
            self.pass(3000);
            self.apply(&Operation::Prune);
            self.pass(3000);
            for name in 0..NAMES.len() {
                self.apply(&Operation::Forget(name));
            }
        }
        self.pass(3000);
    }
}

fn path(first: bool) -> &'static str {
    if first { A } else { B }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_withdrawn_without_two_looks_and_at_rest_the_files_are_what_is_declared(
        operations in proptest::collection::vec(operation(), 1..60)
    ) {
        let mut history = History { world: World::new(), looks: Vec::new(), released: Vec::new() };
        for operation in &operations {
            history.apply(operation);
        }
        history.rest();
        let files: Vec<&str> = history.observe().declaring.into_keys().collect();
        let mut declared: Vec<&str> = history.world.state.declared().map(Declared::name).collect();
        declared.sort_unstable();
        prop_assert_eq!(declared, files);
        prop_assert!(history.world.state.declared().all(|declared| !declared.is_tombstone()));
        prop_assert!(history.world.pass_after(60_000).applied.is_empty());
    }

    #[test]
    fn every_prefix_of_a_good_spec_waits(cut in 1..40_usize) {
        let mut world = World::new();
        let whole = "web=0123456789012345678901234567890123456789";
        world.save("/a/web.yaml", whole);
        world.pass();
        world.store("/a/web.yaml", &whole[..whole.len() - cut]);
        world.mark("/a/web.yaml", Mark::Closed);
        world.pass();
        prop_assert_eq!(world.image("web"), Some(&whole[4..]));
    }
}
