//! Which exchange is broken, and how.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::call;

/// What is done to an exchange. Where nothing else is said the engine gets the request and acts on it.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// The request waits this long before it is sent on.
    Delay(Duration),
    /// The connection ends; the engine never sees the request.
    DropBefore,
    /// The connection ends without an answer.
    DropAfter,
    /// No answer comes, and the connection stays open.
    StallHead,
    /// The head comes, and half of the body. Of a stream: the head.
    StallBody,
    /// The head and half of the body, then the connection ends.
    Cut,
    /// Half of the body as if it were all: a whole answer of HTTP, but torn JSON. A stream ends at once.
    Truncate,
    /// The engine gets the request twice, and the second answer is passed on.
    Duplicate,
    /// The request waits until the client has given up; only then is it sent.
    Hold,
    /// This answer, without asking the engine.
    Answer(u16, &'static str, String),
    /// These bytes in place of an answer: no HTTP.
    Garbage(Vec<u8>),
    /// A whole answer of success with this body.
    Body(&'static str, Vec<u8>),
    /// A list without any container.
    EmptyList,
    /// A list without the containers of this name, `.new` and `.old` included.
    Omit(String),
    /// This text in place of that in an answer.
    Rewrite(&'static str, &'static str),
    /// The list as it was before the last call that changed something.
    StaleList,
    /// The event stream passes so many lines and then is silent.
    Freeze(usize),
    /// These bytes come first in the event stream.
    Inject(Vec<u8>),
    /// Every event comes so often, and then once more the one before it.
    Repeat(usize),
    /// The client is killed (SIGKILL) before the engine sees the request, or after it has acted.
    KillClient(Moment),
    /// This one exchange goes to the engine at another socket.
    Swap(PathBuf),
}

/// When a client is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The engine never sees the request.
    Before,
    /// The engine has answered; the client never sees it.
    After,
}

impl Fault {
    /// A refusal as the engine words them.
    pub(crate) fn refuse(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "message": message }).to_string();
        Self::Answer(status, "application/json", body)
    }

    /// What a web server between the two says when the engine is away.
    pub(crate) fn html502() -> Self {
        let page = "<html><head><title>502 Bad Gateway</title></head></html>";
        Self::Answer(502, "text/html", page.to_owned())
    }

    /// For ledger and tables.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Delay(_) => "delay",
            Self::DropBefore => "drop-before",
            Self::DropAfter => "drop-after",
            Self::StallHead => "stall-head",
            Self::StallBody => "stall-body",
            Self::Cut => "cut",
            Self::Truncate => "truncate",
            Self::Duplicate => "duplicate",
            Self::Hold => "hold",
            Self::Answer(304, ..) => "304",
            Self::Answer(404, ..) => "404",
            Self::Answer(409, ..) => "409",
            Self::Answer(500, ..) => "500",
            Self::Answer(502, ..) => "502-html",
            Self::Answer(..) => "answer",
            Self::Garbage(_) => "garbage",
            Self::Body(..) => "body",
            Self::EmptyList => "empty-list",
            Self::Omit(_) => "omit",
            Self::Rewrite(..) => "rewrite",
            Self::StaleList => "stale-list",
            Self::Freeze(_) => "freeze",
            Self::Inject(_) => "inject",
            Self::Repeat(_) => "repeat",
            Self::KillClient(Moment::Before) => "kill-before",
            Self::KillClient(Moment::After) => "kill-after",
            Self::Swap(_) => "swap",
        }
    }
}

/// Which of the exchanges that match.
#[derive(Clone, Debug)]
enum Turn {
    Every,
    Nth(usize),
    Chance(f64, u64),
}

/// A fault, and the exchanges that it befalls: all, unless narrowed down.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    call: Option<String>,
    container: Option<String>,
    turn: Turn,
    fault: Fault,
}

impl Rule {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { call: None, container: None, turn: Turn::Every, fault }
    }

    /// Only calls of this kind: `POST /containers/*/start`. `*` stands for any one word.
    pub(crate) fn on(mut self, call: &str) -> Self {
        self.call = Some(call.to_owned());
        self
    }

    /// Only calls about containers that were created under this name, `.new` and `.old` included.
    pub(crate) fn of(mut self, container: &str) -> Self {
        self.container = Some(container.to_owned());
        self
    }

    /// Only the nth exchange that matches, from 1.
    pub(crate) fn nth(mut self, nth: usize) -> Self {
        self.turn = Turn::Nth(nth);
        self
    }

    /// Each exchange that matches with this probability; the same seed draws the same lots.
    pub(crate) fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.turn = Turn::Chance(probability, seed);
        self
    }

    pub(super) fn arm(self) -> Armed {
        let seed = if let Turn::Chance(_, seed) = self.turn { seed } else { 0 };
        Armed { rule: self, seen: 0, lots: fastrand::Rng::with_seed(seed), hits: Hits::default() }
    }
}

/// How often a rule has struck.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits(Arc<AtomicUsize>);

impl Hits {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A rule at work.
pub(super) struct Armed {
    rule: Rule,
    seen: usize,
    lots: fastrand::Rng,
    hits: Hits,
}

impl Armed {
    pub(super) fn hits(&self) -> Hits {
        self.hits.clone()
    }

    /// Whether this exchange is one that the rule speaks of, and whether it is its turn.
    fn draws(&mut self, kind: &str, container: Option<&str>) -> bool {
        let called = self.rule.call.as_ref().is_none_or(|pattern| call::matches(pattern, kind));
        let about = self.rule.container.as_ref();
        let meant = about.is_none_or(|name| container.is_some_and(|found| is_of(found, name)));
        if !(called && meant) {
            return false;
        }
        self.seen += 1;
        match self.rule.turn {
            Turn::Every => true,
            Turn::Nth(nth) => self.seen == nth,
            Turn::Chance(probability, _) => self.lots.f64() < probability,
        }
    }
}

/// The fault that befalls this exchange. Every rule counts it, whichever has its way.
pub(super) fn strike(rules: &mut [Armed], kind: &str, container: Option<&str>) -> Option<Fault> {
    let mut struck = None;
    for armed in rules {
        if armed.draws(kind, container) && struck.is_none() {
            armed.hits.0.fetch_add(1, Ordering::SeqCst);
            struck = Some(armed.rule.fault.clone());
        }
    }
    struck
}

/// Whether a container of this name belongs to the sandbox whose container has that name.
pub(super) fn is_of(container: &str, name: &str) -> bool {
    let rest = container.trim_start_matches('/').strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
