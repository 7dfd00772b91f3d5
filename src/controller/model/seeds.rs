//! Design bugs that people have made elsewhere, or could make here. Each is put between the real planner
//! and the world of the model; the checker must find every one, or it cannot be trusted to find others.
//! Bugs below the planner (a tag without the name, a guard that is off by one, …) are patches in
//! `tests/seeded`.

/// A design bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Seed {
    /// A file that does not parse counts as gone. The kubelet's static pods do this.
    DeletesOnAnInvalidSpec,
    /// A directory that cannot be listed counts as empty. So does this.
    DeletesOnAnUnreadableDirectory,
    /// One look that misses a file is enough: a save by delete-and-write costs the container.
    BelievesOneLook,
    /// Whatever holds the name is ours.
    MatchesByName,
    /// Labels and tag prove ownership, whatever the name: a copy of our image carries both.
    IgnoresTheNameOfATag,
    /// A name conflict is remembered as final.
    GivesUpOnAConflict,
    /// A container that was created and never started is nobody's case.
    LeavesItCreated,
    /// A step names its container by the name it had, and proves nothing again before the call.
    ActsByName,
    /// The replacement is started while the old one still runs.
    StartsBeforeTheStop,
    /// The old one is stopped before the new one is created.
    StopsBeforeTheCreate,
    /// The old one is removed, not set aside, before the new one runs.
    RemovesThePredecessorEarly,
    /// The old one is never collected.
    KeepsThePredecessor,
    /// After a request whose outcome is unknown the plan goes on.
    GoesOnAfterAnUnknownOutcome,
    /// The fingerprint is taken from what the engine reports, which it has normalised.
    HashesWhatTheEngineReports,
    /// A restart is never delayed.
    NeverBacksOff,
    /// A healthy run does not end a streak of restarts.
    NeverResetsTheBackOff,
    /// A list that shows none of ours is believed.
    TrustsAnEmptyList,
    /// A stop is not remembered as intended before it is made.
    ForgetsWhatItIntended,
}

impl Seed {
    pub(super) const ALL: [Self; 18] = [
        Self::DeletesOnAnInvalidSpec,
        Self::DeletesOnAnUnreadableDirectory,
        Self::BelievesOneLook,
        Self::MatchesByName,
        Self::IgnoresTheNameOfATag,
        Self::GivesUpOnAConflict,
        Self::LeavesItCreated,
        Self::ActsByName,
        Self::StartsBeforeTheStop,
        Self::StopsBeforeTheCreate,
        Self::RemovesThePredecessorEarly,
        Self::KeepsThePredecessor,
        Self::GoesOnAfterAnUnknownOutcome,
        Self::HashesWhatTheEngineReports,
        Self::NeverBacksOff,
        Self::NeverResetsTheBackOff,
        Self::TrustsAnEmptyList,
        Self::ForgetsWhatItIntended,
    ];
}
