//! One directory between passes: whether it can be listed, and what its files say.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::settle::{FileRecord, Glance};
use super::{Inputs, Rules, Wake};
use crate::source::snapshot::{FilePath, Identity, Listing, Look};

/// A directory of specs.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) view: View,
    /// Which directory was listed last; `None` until one was.
    pub(super) identity: Option<Identity>,
    /// Its files at the last complete listing.
    pub(super) files: BTreeMap<FilePath, FileRecord>,
    pub(super) ignored: Vec<PathBuf>,
    /// Why no events can be had, if so.
    pub(super) unwatched: Option<String>,
    /// Looks in a row that found changes which no event announced.
    pub(super) unannounced: u32,
    /// Files that a second look must confirm before they count.
    pub(super) unsettled: usize,
    /// Since when it has not answered, by the steady clock.
    late_since: Option<Duration>,
}

/// What the last look made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Listed to the end.
    Listed,
    /// It does not exist.
    Missing,
    /// It cannot be listed, and why.
    Unreadable(String),
    /// It has not answered yet, or was not looked at yet.
    Late,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            view: View::Late,
            identity: None,
            files: BTreeMap::new(),
            ignored: Vec::new(),
            unwatched: None,
            unannounced: 0,
            unsettled: 0,
            late_since: None,
        }
    }

    /// Whether events are not relied on.
    pub(super) fn is_polled(&self, rules: &Rules) -> bool {
        self.unwatched.is_some() || self.unannounced >= rules.unannounced
    }

    /// Takes in what a look found. Only a complete listing changes what the files say.
    pub(super) fn take_in(
        &mut self,
        look: &Look,
        inputs: &Inputs<'_>,
        rules: &Rules,
        wake: &mut Wake,
    ) {
        if !matches!(look, Look::Late) {
            self.late_since = None;
        }
        match look {
            Look::Listed(listing) => self.list(listing, inputs, rules, wake),
            Look::Missing { watched } => {
                self.view = View::Missing;
                if !watched {
                    wake.at(inputs.steady + rules.poll);
                }
            }
            Look::Unreadable(message) => {
                self.view = View::Unreadable(message.clone());
                wake.at(inputs.steady + rules.poll);
            }
            Look::Late => self.wait(inputs, rules, wake),
        }
    }

    fn wait(&mut self, inputs: &Inputs<'_>, rules: &Rules, wake: &mut Wake) {
        let due = *self.late_since.get_or_insert(inputs.steady) + rules.late;
        if inputs.steady < due {
            self.view = View::Late;
            wake.at(due);
        } else {
            let seconds = rules.late.as_secs();
            self.view = View::Unreadable(format!("it has not answered for {seconds} s or longer"));
        }
    }

    fn list(&mut self, listing: &Listing, inputs: &Inputs<'_>, rules: &Rules, wake: &mut Wake) {
        let fresh = self.identity != Some(listing.identity);
        let before = self.files.len();
        self.files.retain(|path, _| listing.files.contains_key(path));
        let mut changed = self.files.len() != before;
        self.unsettled = 0;
        for (path, reading) in &listing.files {
            let glance = Glance {
                mark: inputs.evidence.marks.get(path).copied(),
                lost: inputs.evidence.lost,
                fresh,
                now: inputs.now,
                steady: inputs.steady,
                rules,
            };
            let record = self.files.entry(path.clone()).or_default();
            changed |= record.differs_from(reading);
            if let Some(due) = record.settle(reading, &glance) {
                self.unsettled += 1;
                wake.at(due);
            }
        }
        let announced =
            fresh || inputs.evidence.lost || inputs.evidence.stirred.contains(&self.path);
        self.count(changed, announced);
        self.view = View::Listed;
        self.identity = Some(listing.identity);
        self.ignored.clone_from(&listing.ignored);
        self.unwatched.clone_from(&listing.unwatched);
        if self.is_polled(rules) {
            wake.at(inputs.steady + rules.poll);
        }
    }

    /// One event that works restores the trust; several changes without any end it.
    fn count(&mut self, changed: bool, announced: bool) {
        if announced {
            self.unannounced = 0;
        } else if changed {
            self.unannounced = self.unannounced.saturating_add(1);
        }
    }
}
