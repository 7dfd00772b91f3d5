//! One sandbox between passes: the spec that was last accepted, and what is against it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::core::ObjectMeta;

use super::claims::{Claim, Standing};
use super::{Inputs, Pass};
use crate::sandbox::Sandbox;
use crate::source::hold::Held;
use crate::source::last_good::Record;
use crate::source::snapshot::Identity;
use crate::source::{Admitted, Declared, Provenance, Stale, StaleKind};

/// A sandbox that is declared, or withdrawn and not cleaned up yet.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) declared: Declared,
    /// The directory that last declared it.
    directory: Option<Identity>,
    /// The file that last declared it.
    file: Option<Identity>,
    /// Since when complete listings miss it, by the steady clock.
    pub(super) absent: Option<Duration>,
    /// Why its deletion waits for an operator or for the file's return.
    pub(super) hold: Option<Hold>,
    /// An operator let it go.
    released: bool,
    /// In this pass nothing declares it, and that is certain.
    pub(super) gone: bool,
    /// What the controller and the state directory do not know yet.
    news: News,
}

#[derive(Clone, Copy, Debug, Default)]
struct News {
    untold: bool,
    unsaved: bool,
}

/// A deletion that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hold {
    pub(super) since: Timestamp,
    /// For people: why.
    pub(super) message: String,
}

impl Entry {
    /// As an earlier run left it.
    pub(super) fn restored(record: Record, kept: Option<&Held>) -> Self {
        let hold = kept.map(|word| Hold { since: word.since, message: word.message.clone() });
        Self { hold, ..Self::new(record.declared, record.directory, None) }
    }

    /// A sandbox that is accepted for the first time.
    pub(super) fn declare(claim: &Claim<'_>, stale: Option<Stale>, inputs: &Inputs<'_>) -> Self {
        let declared = Declared {
            sandbox: Sandbox {
                metadata: ObjectMeta {
                    name: Some(claim.name.to_owned()),
                    uid: Some((inputs.mint)(claim.name)),
                    generation: Some(1),
                    creation_timestamp: Some(stamp(inputs.now)),
                    labels: claim.admitted.sandbox.metadata.labels.clone(),
                    annotations: claim.admitted.sandbox.metadata.annotations.clone(),
                    ..ObjectMeta::default()
                },
                spec: claim.admitted.sandbox.spec.clone(),
                status: None,
            },
            provenance: provenance(claim),
            notices: claim.admitted.notices.clone(),
            stale,
            excess: None,
        };
        let origin = claim.origin;
        let entry = Self::new(declared, Some(origin.directory), Some(origin.file));
        Self { news: News { untold: true, unsaved: true }, ..entry }
    }

    fn new(declared: Declared, directory: Option<Identity>, file: Option<Identity>) -> Self {
        Self {
            declared,
            directory,
            file,
            absent: None,
            hold: None,
            released: false,
            gone: false,
            news: News::default(),
        }
    }

    /// Whether a claim says what was accepted.
    pub(super) fn has_spec(&self, admitted: &Admitted) -> bool {
        self.declared.sandbox.spec == admitted.sandbox.spec
    }

    /// Whether this is the file that last declared it, under whatever name.
    pub(super) fn came_from(&self, file: Identity) -> bool {
        self.file == Some(file)
    }

    /// Whether it was last declared by another directory than this, whatever the path.
    pub(super) fn was_elsewhere_than(&self, directory: Option<Identity>) -> bool {
        self.directory.is_some() && self.directory != directory
    }

    /// Takes in what the directories say. A withdrawn sandbox stays withdrawn: a file that declares the
    /// name again waits until it is cleaned up, and then makes a new incarnation, because half of the old
    /// one may be gone already.
    pub(super) fn meet(&mut self, standing: Standing<'_>, inputs: &Inputs<'_>) {
        self.gone = false;
        if self.declared.is_tombstone() {
            return;
        }
        match standing {
            Standing::Claimed { claim, conflict } => {
                self.returned();
                self.accept(&claim);
                self.set_stale(conflict);
            }
            Standing::Broken { kind, message, file } => {
                self.returned();
                self.file = file.or(self.file);
                self.set_stale(Some(Stale { kind, message, since: inputs.now }));
            }
            Standing::Unreadable(message) => {
                self.absent = None;
                let kind = StaleKind::SpecUnreadable;
                if self.hold.is_none() {
                    self.set_stale(Some(Stale { kind, message, since: inputs.now }));
                }
            }
            Standing::Unsure => {}
            Standing::Announced => self.absent = None,
            Standing::Absent => {
                self.gone = true;
                self.absent.get_or_insert(inputs.steady);
            }
            Standing::Lost(message) => {
                self.gone = true;
                self.absent = None;
                self.hold(inputs.now, message);
            }
        }
    }

    /// Holds the deletion back, unless it is held already.
    pub(super) fn hold(&mut self, since: Timestamp, message: String) {
        self.hold.get_or_insert(Hold { since, message });
    }

    /// Lets a held deletion go, if this is the one that was asked for. Shows what is held.
    pub(super) fn release_if_asked(&mut self, inputs: &Inputs<'_>) {
        let Some(hold) = &self.hold else { return };
        self.released |= inputs.released.contains(self.declared.uid());
        let (since, message) = (hold.since, hold.message.clone());
        self.set_stale(Some(Stale { kind: StaleKind::PruneHeld, message, since }));
    }

    /// Whether an operator let it go and it is certain that nothing declares it.
    pub(super) fn may_go(&self) -> bool {
        self.released && self.gone
    }

    /// Sets the tombstone.
    pub(super) fn withdraw(&mut self, now: Timestamp) {
        self.returned();
        self.declared.stale = None;
        self.declared.sandbox.metadata.deletion_timestamp = Some(stamp(now));
        self.news = News { untold: true, unsaved: true };
    }

    /// Hands over what is new since the last call.
    pub(super) fn tell(&mut self, pass: &mut Pass) {
        let News { untold, unsaved } = std::mem::take(&mut self.news);
        if untold {
            pass.applied.push(self.declared.clone());
        }
        if unsaved {
            pass.keep.push(Record { declared: self.declared.clone(), directory: self.directory });
        }
    }

    /// Nothing is missing any more.
    fn returned(&mut self) {
        self.absent = None;
        self.hold = None;
        self.released = false;
    }

    /// Makes the claim the accepted spec. The generation rises only with the spec, so that a rename or a
    /// new label restarts nothing.
    fn accept(&mut self, claim: &Claim<'_>) {
        let spec_differs = !self.has_spec(claim.admitted);
        let differs = spec_differs || self.differs(claim);
        self.news.unsaved |= differs || self.directory != Some(claim.origin.directory);
        self.directory = Some(claim.origin.directory);
        self.file = Some(claim.origin.file);
        if !differs {
            return;
        }
        self.news.untold = true;
        self.declared.provenance = provenance(claim);
        self.declared.notices.clone_from(&claim.admitted.notices);
        let Sandbox { metadata, spec, .. } = &claim.admitted.sandbox;
        let own = &mut self.declared.sandbox;
        own.metadata.labels.clone_from(&metadata.labels);
        own.metadata.annotations.clone_from(&metadata.annotations);
        if spec_differs {
            own.spec = spec.clone();
            own.metadata.generation = Some(own.metadata.generation.unwrap_or_default() + 1);
        }
    }

    /// Whether a claim says anything new besides the spec.
    fn differs(&self, claim: &Claim<'_>) -> bool {
        let (own, new) = (&self.declared.sandbox.metadata, &claim.admitted.sandbox.metadata);
        let Provenance { file, document } = &self.declared.provenance;
        own.labels != new.labels
            || own.annotations != new.annotations
            || self.declared.notices != claim.admitted.notices
            || (file.as_os_str(), *document) != (claim.file.as_os_str(), claim.index)
    }

    /// When it was accepted: what came first has the better right.
    pub(super) fn seniority(&self) -> (Option<Timestamp>, &str) {
        let accepted = self.declared.sandbox.metadata.creation_timestamp.as_ref();
        (accepted.map(|at| at.0), self.declared.name())
    }

    /// Sets (or takes off) that there are too many, and this is one of the last.
    pub(super) fn set_excess(&mut self, excess: Option<String>) {
        self.news.untold |= self.declared.excess != excess;
        self.declared.excess = excess;
    }

    /// Sets what is against the accepted spec; the same kind keeps its `since`.
    fn set_stale(&mut self, stale: Option<Stale>) {
        let stale = stale.map(|stale| match &self.declared.stale {
            Some(before) if before.kind == stale.kind => Stale { since: before.since, ..stale },
            _ => stale,
        });
        self.news.untold |= self.declared.stale != stale;
        self.declared.stale = stale;
    }
}

/// In whole seconds, which is all that Kubernetes' text form keeps.
fn stamp(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

fn provenance(claim: &Claim<'_>) -> Provenance {
    Provenance { file: claim.file.to_path_buf(), document: claim.index }
}
