//! The table.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::daemon::Usage;
use crate::judge::Property;
use crate::oracle::Violation;

/// What the daemon used at one time of rest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) process: u32,
    pub(crate) usage: Usage,
    pub(crate) load: f64,
}

type Figure = fn(&Usage) -> f64;

/// The figures of one run.
pub(crate) struct Report {
    pub(crate) head: String,
    pub(crate) operations: BTreeMap<&'static str, usize>,
    pub(crate) faults: BTreeMap<String, usize>,
    pub(crate) strikes: BTreeMap<String, usize>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) latencies: BTreeMap<&'static str, Vec<Duration>>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) rests: usize,
    pub(crate) looks: usize,
    pub(crate) events: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}\n", self.head)?;
        let total: usize = self.operations.values().sum();
        let counts = self.operations.iter().map(|(name, count)| format!("{name} {count}"));
        writeln!(out, "**{total} operations:** {}.\n", counts.collect::<Vec<_>>().join(", "))?;
        let total: usize = self.faults.values().sum();
        let counts = self.faults.iter().map(|(name, count)| {
            let struck = self.strikes.get(name).map(|struck| format!(" ({struck})"));
            format!("{name} {count}{}", struck.unwrap_or_default())
        });
        let counts = counts.collect::<Vec<_>>().join(", ");
        writeln!(out, "**{total} faults** (calls struck in brackets): {counts}.")?;
        writeln!(out, "\n| violations | {} |\n| --- | ---: |", self.violations.len())?;
        for property in Property::ALL {
            let count = self.violations.iter().filter(|it| it.property == property).count();
            writeln!(out, "| {property} | {count} |")?;
        }
        self.convergence(out)?;
        self.resources(out)?;
        let (rests, looks, events) = (self.rests, self.looks, self.events);
        writeln!(
            out,
            "\n{rests} times at rest, {looks} looks, {events} events of the engine judged."
        )
    }
}

impl Report {
    fn convergence(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n| convergence after, in s | n | p50 | p95 | p99 | max |")?;
        writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: |")?;
        let all: Vec<Duration> = self.latencies.values().flatten().copied().collect();
        let rows = self.latencies.iter().map(|(name, times)| (*name, times.clone()));
        for (name, mut times) in rows.chain([("all", all)]) {
            times.sort_unstable();
            let at = |share: f64| percentile(&times, share).as_secs_f64();
            let (p50, p95, p99, max) = (at(0.5), at(0.95), at(0.99), at(1.0));
            let count = times.len();
            writeln!(out, "| {name} | {count} | {p50:.2} | {p95:.2} | {p99:.2} | {max:.2} |")?;
        }
        Ok(())
    }

    fn resources(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.samples.first(), self.samples.last()) else {
            return Ok(());
        };
        writeln!(out, "\n| the daemon at rest | start | end | most | slope per hour |")?;
        writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
        let rows: [(&str, Figure); 3] = [
            ("resident memory, MiB", |it| it.rss_kib as f64 / 1024.0),
            ("file descriptors", |it| it.descriptors as f64),
            ("threads", |it| it.threads as f64),
        ];
        for (name, value) in rows {
            let (start, end) = (value(&first.usage), value(&last.usage));
            let most = self.samples.iter().map(|it| value(&it.usage)).fold(0.0, f64::max);
            let points =
                self.samples.iter().map(|it| (it.at.as_secs_f64() / 3600.0, value(&it.usage)));
            let slope = slope(&points.collect::<Vec<_>>());
            writeln!(out, "| {name} | {start:.1} | {end:.1} | {most:.1} | {slope:+.1} |")?;
        }
        let mut processes: Vec<u32> = self.samples.iter().map(|it| it.process).collect();
        processes.dedup();
        writeln!(out, "\n{} samples of {} processes.", self.samples.len(), processes.len())
    }
}

fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * share).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// Least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let (sum_x, sum_y) = points.iter().fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |sum, (x, y)| {
        (sum.0 + (x - mean_x) * (y - mean_y), sum.1 + (x - mean_x).powi(2))
    });
    if under > 0.0 { over / under } else { 0.0 }
}
