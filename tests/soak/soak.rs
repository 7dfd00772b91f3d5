//! The soak: a seeded mixture of everything that users, other users, crashes and faults do, for a given
//! time, on the real program and a real engine. An oracle with code of its own watches, and knows the
//! README only. Prints one table; fails on any violation.
//!
//! `tests/soak/run --minutes 30 --seed 1`; with `--smoke` a small one; with `--self-test` the oracle is
//! lied to and must see it; with `--script N` it only prints what would be done in N rounds.
#![expect(clippy::disallowed_methods, reason = "it reads the clock, starts the daemon and sleeps")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the table is its product")]
#![expect(clippy::panic, reason = "a world that cannot be made cannot be judged")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index from a share"
)]

mod canary;
mod daemon;
#[path = "../support/docker.rs"]
#[expect(dead_code, reason = "shared with the contract tests, which clean up by name")]
mod docker;
mod driver;
mod engine;
mod history;
mod judge;
mod lies;
mod oracle;
#[path = "../e2e/harness/port_range.rs"]
mod port_range;
#[path = "../support/proxy.rs"]
#[expect(dead_code, unused_imports, reason = "shared with tests that use more of it")]
mod proxy;
mod report;
mod script;
mod spec;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::driver::{Driver, World};
use crate::port_range::PortRange;
use crate::report::{Report, Sample};
use crate::script::{Script, Size};

const LONG: Size = Size { sandboxes: 30, foreign: 10, steps: 60, delete_guard: 10 };
const SMALL: Size = Size { sandboxes: 12, foreign: 3, steps: 30, delete_guard: 4 };
/// Rounds of the small form: the first only creates.
const SMALL_ROUNDS: usize = 3;
/// So long may it take to come to rest: longer than any deadline or back-off that a script can cause.
const PATIENCE: Duration = Duration::from_mins(4);
/// Three resyncs, and a little.
const QUIET: Duration = Duration::from_millis(6500);

/// What was asked for.
struct Options {
    minutes: f64,
    seed: u64,
    smoke: bool,
    self_test: bool,
    /// So many rounds are only printed.
    script: usize,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut options =
            Self { minutes: 30.0, seed: 1, smoke: false, self_test: false, script: 0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut number = || {
                let text = arguments.next().ok_or(format!("{argument} needs a number"))?;
                text.parse::<f64>().map_err(|error| format!("{argument} {text}: {error}"))
            };
            match argument.as_str() {
                "--minutes" => options.minutes = number()?,
                "--seed" => options.seed = number()? as u64,
                "--script" => options.script = number()? as usize,
                "--smoke" => options.smoke = true,
                "--self-test" => options.self_test = true,
                // Given by cargo.
                "--bench" => {}
                other => {
                    return Err(format!(
                        "unknown argument {other}; known: --minutes N, --seed N, --smoke, --self-test, \
                         --script N"
                    ));
                }
            }
        }
        Ok(options)
    }

    fn size(&self) -> Size {
        match (self.self_test, self.smoke) {
            (true, _) => Size { sandboxes: lies::SANDBOXES, ..SMALL },
            (_, true) => SMALL,
            _ => LONG,
        }
    }
}

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if options.script > 0 {
        for line in script_of(&options, options.script) {
            println!("{line}");
        }
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    let done = runtime.block_on(guarded(options));
    runtime.shutdown_background();
    done
}

/// The steps of the first rounds, one a line.
fn script_of(options: &Options, rounds: usize) -> Vec<String> {
    let mut script = Script::new(options.seed, options.size());
    let steps = (0..rounds).flat_map(|round| {
        script.round().into_iter().map(move |step| format!("{round} {:?}", step.op))
    });
    steps.collect()
}

/// Runs, and cleans up whatever happens: also after a panic and after Ctrl-C.
async fn guarded(options: Options) -> ExitCode {
    let mark = format!("sk-soak-{}", std::process::id());
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .expect("signals can be heard");
    let mut run = tokio::spawn(run(options, mark.clone()));
    let signal = tokio::select! {
        done = &mut run => Err(done.unwrap_or(ExitCode::FAILURE)),
        _ = tokio::signal::ctrl_c() => Ok(130),
        _ = terminated.recv() => Ok(143),
    };
    let code = match signal {
        Err(code) => code,
        Ok(number) => {
            // Ends the daemon too.
            run.abort();
            drop(run.await);
            ExitCode::from(number)
        }
    };
    for left in engine::Engine::connect().await.clean(&format!("{mark}-")).await {
        eprintln!("left behind: {left}");
    }
    code
}

async fn run(options: Options, mark: String) -> ExitCode {
    let size = options.size();
    let folder = tempfile::Builder::new().prefix("sk-soak-").tempdir().expect("a folder");
    let mut script = Script::new(options.seed, size);
    let world = World {
        folder: folder.path().to_owned(),
        prefix: format!("{mark}-box"),
        mark,
        delete_guard: size.delete_guard,
        ports: PortRange::reserve(),
    };
    let names: Vec<String> = script.sandboxes.keys().cloned().collect();
    let mut driver = Driver::new(world, names.into_iter()).await;
    let began = Instant::now();
    let mut samples = Vec::new();
    let mut rests = 0;
    let over = |rests: usize| match (options.self_test, options.smoke) {
        (true, _) => rests >= 1,
        (_, true) => rests >= SMALL_ROUNDS,
        _ => began.elapsed().as_secs_f64() >= options.minutes * 60.0,
    };
    while !over(rests) {
        for step in script.round() {
            driver.step(step).await;
        }
        driver.rest(PATIENCE, QUIET).await;
        if rests == 0 {
            driver.add_foreign(size.foreign).await;
        }
        rests += 1;
        if let Some((process, usage)) = driver.usage() {
            samples.push(Sample { at: began.elapsed(), process, usage, load: load() });
        }
        let violations = driver.oracle.record().violations.len();
        println!("round {rests}: at rest after {:.0?}, {violations} violations", began.elapsed());
    }
    let honest = driver.oracle.record().violations.is_empty();
    let mut believed = Vec::new();
    if options.self_test && honest {
        believed = lies::tell(&mut driver).await;
        if script_of(&options, 5) != script_of(&options, 5) {
            believed.push("one seed gives two scripts".to_owned());
        }
    }
    let report = report(&options, size, &driver, samples, rests, began.elapsed()).await;
    if !options.self_test {
        println!("{report}");
    }
    driver.clean_up().await;
    if options.self_test && honest {
        return judge_oracle(&believed);
    }
    let kept = keep(&report, &options, folder.path());
    println!("The daemon's log is {}.", kept.join("daemon.log").display());
    if report.violations.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {} violations, each in {}", report.violations.len(), kept.display());
    ExitCode::FAILURE
}

fn judge_oracle(believed: &[String]) -> ExitCode {
    if believed.is_empty() {
        println!("the oracle has seen through every lie");
        return ExitCode::SUCCESS;
    }
    for lie in believed {
        eprintln!("error: {lie}");
    }
    ExitCode::FAILURE
}

async fn report(
    options: &Options,
    size: Size,
    driver: &Driver,
    samples: Vec<Sample>,
    rests: usize,
    took: Duration,
) -> Report {
    let load = samples.iter().map(|it: &Sample| it.load).sum::<f64>() / samples.len().max(1) as f64;
    let version = driver.engine.0.version().await.ok().and_then(|it| it.version);
    let record = driver.oracle.record();
    Report {
        head: format!(
            "Seed {}, {:.1} minutes, {} sandboxes, {} foreign containers, Docker {}; \
             {} processors, mean load {load:.0}.",
            options.seed,
            took.as_secs_f64() / 60.0,
            size.sandboxes,
            size.foreign,
            version.unwrap_or_default(),
            std::thread::available_parallelism().map_or(0, usize::from),
        ),
        operations: driver.operations.clone(),
        faults: driver.faults.clone(),
        strikes: driver.strikes.clone(),
        violations: record.violations.clone(),
        latencies: record.latencies.clone(),
        samples,
        rests,
        looks: record.looks,
        events: record.events,
    }
}

/// Processes that want to run, by proc(5): what the times have to be read against.
fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

/// Writes what is known of each violation, and the daemon's whole log; gives the directory.
fn keep(report: &Report, options: &Options, folder: &std::path::Path) -> PathBuf {
    let name = format!("soak-{}-{}", options.seed, std::process::id());
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&kept).expect("the build's folder is writable");
    for (number, violation) in report.violations.iter().enumerate() {
        let text =
            format!("{}\n\n--- end of the daemon's log then:\n{}\n", violation.text, violation.log);
        std::fs::write(kept.join(format!("violation-{number}.txt")), text).expect("it is writable");
    }
    drop(std::fs::copy(folder.join("daemon.log"), kept.join("daemon.log")));
    kept
}
