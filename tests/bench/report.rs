//! The table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One sample of each side, taken one after the other.
pub(crate) struct Pair<T> {
    pub(crate) engine_alone: T,
    pub(crate) sandkeeper: T,
}

/// A killed container's way back, counted from the engine's event of its end.
pub(crate) struct Restart {
    /// Until the request to start it. The engine alone: until it tells how the container is.
    pub(crate) requested: Duration,
    /// Until the engine's event of its start.
    pub(crate) running: Duration,
}

/// Many at once: the time until the last one ran, a value for each round.
pub(crate) struct Crowd {
    count: usize,
    pub(crate) sandkeeper: Vec<Duration>,
    pub(crate) engine_alone: BTreeMap<usize, Vec<Duration>>,
}

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) engine: String,
    pub(crate) one_by_one: Vec<Pair<Duration>>,
    pub(crate) crowd: Crowd,
    pub(crate) restarts: Vec<Pair<Restart>>,
}

impl Crowd {
    pub(crate) fn new(count: usize) -> Self {
        Self { count, sandkeeper: Vec::new(), engine_alone: BTreeMap::new() }
    }

    /// Containers a second.
    #[expect(clippy::cast_precision_loss, reason = "a handful of containers")]
    fn rate(&self, rounds: &[Duration]) -> f64 {
        self.count as f64 / median(rounds).as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        writeln!(formatter, "Docker {}, {cores} cores, medians\n", self.engine)?;
        writeln!(formatter, "| what | engine alone | sandkeeper | difference | ratio |")?;
        writeln!(formatter, "| --- | ---: | ---: | ---: | ---: |")?;
        self.show_one_by_one(formatter)?;
        self.show_crowd(formatter)?;
        self.show_restarts(formatter)
    }
}

impl Report {
    fn show_one_by_one(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_pairs(formatter, "file closed → running", &self.one_by_one, |&duration| duration)
    }

    fn show_crowd(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crowd = &self.crowd;
        let ours = crowd.rate(&crowd.sandkeeper);
        for (concurrency, rounds) in &crowd.engine_alone {
            let alone = crowd.rate(rounds);
            writeln!(
                formatter,
                "| {} at once, client at concurrency {concurrency} | {alone:.2}/s | {ours:.2}/s | \
                 {:+.2}/s | {:.2} |",
                crowd.count,
                ours - alone,
                ours / alone,
            )?;
        }
        Ok(())
    }

    fn show_restarts(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let restarts = &self.restarts;
        show_pairs(formatter, "killed → start requested", restarts, |restart| restart.requested)?;
        show_pairs(formatter, "killed → running again", restarts, |restart| restart.running)
    }
}

/// Rows for what was measured on both sides.
fn show_pairs<T>(
    formatter: &mut fmt::Formatter<'_>,
    what: &str,
    pairs: &[Pair<T>],
    value: impl Fn(&T) -> Duration,
) -> fmt::Result {
    let (alone, ours): (Vec<_>, Vec<_>) =
        pairs.iter().map(|pair| (value(&pair.engine_alone), value(&pair.sandkeeper))).unzip();
    for part in [50, 95] {
        let (alone, ours) = (percentile(&alone, part), percentile(&ours, part));
        writeln!(
            formatter,
            "| {what}, p{part} of {} | {:.0} ms | {:.0} ms | {:+.0} ms | {:.2} |",
            pairs.len(),
            milliseconds(alone),
            milliseconds(ours),
            milliseconds(ours) - milliseconds(alone),
            ours.as_secs_f64() / alone.as_secs_f64(),
        )?;
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn median(values: &[Duration]) -> Duration {
    percentile(values, 50)
}

/// The nearest-rank percentile.
fn percentile(values: &[Duration], part: usize) -> Duration {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * part).div_ceil(100).max(1);
    sorted[rank - 1]
}
