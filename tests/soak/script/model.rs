//! What the script knows of a sandbox: only what it did itself.

use crate::spec::{Run, Spec};

/// How often one life of a sandbox is hurt: each time doubles the wait for the next restart.
const HURTS: u8 = 4;

/// How a file is spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Garbage,
    Empty,
    UnknownField,
    TooLarge,
    /// The first half of what it was.
    Half,
    /// A directory of that name.
    Directory,
    /// A named pipe of that name.
    Pipe,
}

impl Broken {
    pub(crate) const ALL: [Self; 7] = [
        Self::Garbage,
        Self::Empty,
        Self::UnknownField,
        Self::TooLarge,
        Self::Half,
        Self::Directory,
        Self::Pipe,
    ];
}

/// What its file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    #[default]
    Absent,
    Valid,
    Broken(Broken),
}

/// One sandbox.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each stands for itself, in any combination")]
pub(crate) struct Sandbox {
    pub(crate) standing: Standing,
    /// The last valid content.
    pub(crate) spec: Option<Spec>,
    pub(crate) duplicated: bool,
    /// A foreign container has its name.
    pub(crate) taken: bool,
    /// Its file was renamed in this round.
    pub(crate) moved: bool,
    /// At the last rest it was as it is now.
    pub(crate) rested: bool,
    hurts: u8,
    edited: bool,
    handled: bool,
    met_ill_engine: bool,
}

impl Sandbox {
    pub(super) fn begin_round(&mut self) {
        self.rested = true;
        self.moved = false;
        self.edited = false;
        self.handled = false;
        self.met_ill_engine = false;
    }

    /// Valid, and nothing special.
    pub(super) fn is_plain(&self) -> bool {
        self.standing == Standing::Valid && !self.duplicated
    }

    /// Its container is the one of the last rest.
    pub(super) fn is_settled(&self) -> bool {
        self.rested && !self.handled
    }

    pub(super) fn wrote(&mut self, spec: Spec, ill: bool) {
        if self.standing == Standing::Absent {
            self.hurts = 0;
        }
        self.edited |= self.spec.as_ref().is_none_or(|it| it.generation != spec.generation);
        self.met_ill_engine |= ill;
        self.standing = Standing::Valid;
        self.spec = Some(spec);
        self.rested = false;
    }

    pub(super) fn deleted(&mut self) {
        self.standing = Standing::Absent;
        self.spec = None;
        self.rested = false;
    }

    pub(super) fn handled(&mut self) {
        self.handled = true;
    }

    pub(super) fn met_ill_engine(&mut self) {
        self.met_ill_engine = true;
    }

    /// Whether this life can be hurt so much more.
    pub(super) fn spend(&mut self, cost: u8) -> bool {
        let affordable = self.hurts + cost <= HURTS;
        if affordable {
            self.hurts += cost;
        }
        affordable
    }

    /// A replacement that was disturbed while it came up may have been rolled back, as promised; only an
    /// edit takes it further. One that crashes comes to no rest.
    pub(super) fn needs_an_edit(&self) -> bool {
        let Some(spec) = &self.spec else { return false };
        let disturbed = self.edited && (self.handled || self.met_ill_engine);
        spec.run == Run::Crash || disturbed
    }
}
