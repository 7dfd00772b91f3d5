//! What has passed, in the order of the requests.

use std::time::Instant;

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// Method and path, with `*` for an id or a name and without the version: `POST /containers/*/start`.
    pub(crate) call: String,
    /// Path and query as they were sent.
    pub(crate) target: String,
    /// The id or name in the path.
    pub(crate) subject: Option<String>,
    /// The name that the container in question was created under (or is to be).
    pub(crate) container: Option<String>,
    /// When the request had been read.
    pub(crate) at: Instant,
    /// What was done to it by a rule.
    pub(crate) fault: Option<&'static str>,
    /// How often it was sent to the engine.
    pub(crate) sent: usize,
    /// What the engine answered, each time.
    pub(crate) statuses: Vec<u16>,
}

impl Exchange {
    /// How often the engine says that it has changed something: 304 is none.
    pub(crate) fn effects(&self) -> usize {
        self.statuses.iter().filter(|status| (200..300).contains(*status)).count()
    }

    /// Whether it may change something.
    pub(crate) fn mutates(&self) -> bool {
        !self.call.starts_with("GET ") && !self.call.starts_with("HEAD ")
    }
}

/// Exchanges in the order of their requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(pub(crate) Vec<Exchange>);

impl Ledger {
    /// The exchanges of one kind of call; `*` stands for any word.
    pub(crate) fn of(&self, pattern: &str) -> impl Iterator<Item = &Exchange> {
        self.0.iter().filter(move |exchange| super::call::matches(pattern, &exchange.call))
    }

    /// How many requests of this kind the daemon made.
    pub(crate) fn requests(&self, pattern: &str) -> usize {
        self.of(pattern).count()
    }

    /// How many changes of this kind the engine says it has made.
    pub(crate) fn effects(&self, pattern: &str) -> usize {
        self.of(pattern).map(Exchange::effects).sum()
    }

    /// What came after so many exchanges.
    pub(crate) fn since(&self, count: usize) -> Self {
        Self(self.0.iter().skip(count).cloned().collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn open(&mut self, exchange: Exchange) -> usize {
        self.0.push(exchange);
        self.0.len() - 1
    }
}
