//! `sandkeeper get --watch`: a line for each change. The state directory is looked at every so often:
//! a status changes rarely, so a look costs less than another watcher's machinery.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use tokio::time::MissedTickBehavior;

use super::{Args, Output, print_all, print_one};
use crate::cli::console::Console;
use crate::cli::lookup;
use crate::render::sandboxes::table;
use crate::sandbox::Sandbox;

const PERIOD: Duration = Duration::from_millis(300);

type ByName = BTreeMap<String, Sandbox>;

/// Runs until interrupted.
pub(super) async fn run(args: &Args, state: &Path, console: &mut Console) -> Result<ExitCode> {
    let mut stamp = stamp(state);
    let mut known = read(args, state)?;
    if let Some(name) = args.name.as_ref().filter(|name| !known.contains_key(*name)) {
        return Err(lookup::not_found(name, &lookup::sandboxes(state)?));
    }
    print_first(args, &known, console)?;
    lookup::note_if_stale(state, console);
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let latest = self::stamp(state);
        if latest == stamp {
            continue;
        }
        stamp = latest;
        let current = read(args, state)?;
        for sandbox in changes(&known, &current) {
            print_change(&sandbox, args.output, &current, console)?;
        }
        known = current;
    }
}

fn read(args: &Args, state: &Path) -> Result<ByName> {
    let named = |sandbox: Sandbox| Some((sandbox.metadata.name.clone()?, sandbox));
    let mut sandboxes: ByName = lookup::sandboxes(state)?.into_iter().filter_map(named).collect();
    if let Some(wanted) = &args.name {
        sandboxes.retain(|name, _| name == wanted);
    }
    Ok(sandboxes)
}

/// What tells that a status file changed, without reading it.
fn stamp(state: &Path) -> Vec<(std::ffi::OsString, Option<SystemTime>, u64)> {
    let Ok(entries) = std::fs::read_dir(state.join("status")) else { return Vec::new() };
    let mut stamps: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((entry.file_name(), metadata.modified().ok(), metadata.len()))
        })
        .collect();
    stamps.sort();
    stamps
}

/// What to print: the sandboxes that are new, differ, or went; the latter as they last were, with the
/// time of deletion set.
fn changes(before: &ByName, after: &ByName) -> Vec<Sandbox> {
    let changed = after.iter().filter(|(name, sandbox)| before.get(*name) != Some(sandbox));
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    changed
        .map(|(_, sandbox)| sandbox.clone())
        .chain(gone.map(|(_, sandbox)| marked_as_gone(sandbox.clone())))
        .collect()
}

fn marked_as_gone(mut sandbox: Sandbox) -> Sandbox {
    let ready = sandbox.status.iter_mut().flat_map(|status| &mut status.conditions);
    for condition in ready.filter(|condition| condition.type_ == "Ready") {
        "False".clone_into(&mut condition.status);
        "Deleted".clone_into(&mut condition.reason);
    }
    sandbox
}

fn print_first(args: &Args, known: &ByName, console: &mut Console) -> Result<()> {
    let sandboxes: Vec<Sandbox> = known.values().cloned().collect();
    match args.output {
        Output::Table | Output::Wide => print_all(&sandboxes, args.output, console),
        Output::Json | Output::Yaml => {
            sandboxes.iter().try_for_each(|it| print_document(it, args.output, console))
        }
    }
}

fn print_change(
    sandbox: &Sandbox,
    output: Output,
    current: &ByName,
    console: &mut Console,
) -> Result<()> {
    if matches!(output, Output::Json | Output::Yaml) {
        return print_document(sandbox, output, console);
    }
    // Laid out beside all the others, so that its columns stand where theirs do.
    let beside: Vec<Sandbox> = current.values().chain([sandbox]).cloned().collect();
    let text = table(&beside, output.columns(), console.style, console.now());
    let line = text.lines().next_back().unwrap_or_default();
    Ok(console.print(&format!("{line}\n"))?)
}

fn print_document(sandbox: &Sandbox, output: Output, console: &mut Console) -> Result<()> {
    if output == Output::Yaml {
        console.print("---\n")?;
    }
    print_one(sandbox, output, console)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::SandboxSpec;

    fn one(name: &str, image: &str) -> (String, Sandbox) {
        let spec = SandboxSpec { image: Some(image.to_owned()), ..SandboxSpec::default() };
        (name.to_owned(), Sandbox::new(name, spec))
    }

    #[test]
    fn only_what_is_new_differs_or_went_is_printed() {
        let before = ByName::from([one("same", "a"), one("edited", "a"), one("gone", "a")]);
        let after = ByName::from([one("same", "a"), one("edited", "b"), one("new", "a")]);
        let names: Vec<_> =
            changes(&before, &after).into_iter().filter_map(|it| it.metadata.name).collect();
        assert_eq!(names, ["edited", "new", "gone"]);
    }
}
