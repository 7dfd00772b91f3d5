//! Rules that no mount holds, held by commands in the container: an argument list each, never a shell, so
//! no path can become a command, and without the container's environment, so no variable of a spec or an
//! image can choose another program.
//!
//! The commands are the image's and run as root within the container's own confinement. What they say is
//! believed about the container only. Links can be swapped under them, but lead nowhere that root in this
//! container could not go; a link at a rule's own path is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::engine::{Engine, EngineError, ExecOutcome};
use crate::plan::{ContainerId, Ids, Permission};

use super::findings::Findings;
use super::rules::{Difference, Found};

/// Time for one command.
const DEADLINE: Duration = Duration::from_secs(5);

/// Root, by number: names are the image's to define.
const ROOT: &str = "0:0";

/// What `stat` prints: raw mode in hexadecimal (the kind of file included), owner, group, path.
const FORMAT: &str = "%f %u %g %n";

/// An engine returns the first 4 KiB of what a command prints, so a batch of paths must say no more.
const BATCH_BYTES: usize = 3500;

/// What `stat` prints for a path beside the path itself, at most.
const LINE_BYTES: usize = 96;

/// Exit codes of what cannot be run: the engine's (126) and a shell's (127).
const NOT_RUN: [i64; 2] = [126, 127];

/// Looks.
pub(super) async fn look(
    engine: &dyn Engine,
    container: &ContainerId,
    rules: &[&Permission],
    findings: &mut Findings,
) {
    let tools = Tools { engine, container };
    for (rule, state) in tools.survey(rules, findings).await {
        let path = &rule.path;
        match state {
            State::Missing => findings.drift(&format!("{path}: does not exist")),
            State::Differs(difference) => findings.drift(&difference.drift(path, &Ids::default())),
        }
    }
}

/// Mends.
pub(super) async fn mend(
    engine: &dyn Engine,
    container: &ContainerId,
    rules: &[&Permission],
    findings: &mut Findings,
) {
    let tools = Tools { engine, container };
    let found = tools.survey(rules, findings).await;
    let mut failed = BTreeSet::new();
    for command in commands(&found) {
        if let Err(message) = tools.succeed(command.arguments()).await {
            findings.problem(&message);
            failed.extend(command.paths);
        }
    }
    for (rule, state) in found.iter().filter(|(rule, _)| !failed.contains(rule.path.as_str())) {
        let path = &rule.path;
        match state {
            State::Missing => {
                findings.change(&format!("{path}: created with mode {:04o}", rule.mode & 0o777));
            }
            State::Differs(difference) => {
                findings.change(&difference.change(path, &Ids::default()));
            }
        }
    }
}

/// What must be mended at a rule's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Missing,
    Differs(Difference),
}

/// One command for many paths.
#[derive(Debug, PartialEq, Eq)]
struct Command<'a> {
    program: Vec<String>,
    paths: Vec<&'a str>,
}

impl Command<'_> {
    fn arguments(&self) -> Vec<String> {
        let paths = self.paths.iter().map(|path| (*path).to_owned());
        // No path after the dashes is read as an option.
        self.program.iter().cloned().chain(["--".to_owned()]).chain(paths).collect()
    }
}

/// The commands that mend all of it: directories first, then owners, then modes, for a change of owner
/// can clear bits of the mode.
fn commands<'a>(found: &[(&'a Permission, State)]) -> Vec<Command<'a>> {
    let mut groups: BTreeMap<(u8, Vec<String>), Vec<&'a str>> = BTreeMap::new();
    let mut add = |order: u8, program: &[&str], path: &'a str| {
        let program = program.iter().filter(|word| !word.is_empty());
        let program = program.map(|word| (*word).to_owned()).collect();
        groups.entry((order, program)).or_default().push(path);
    };
    for (rule, state) in found {
        let recursive = if rule.recursive { "-R" } else { "" };
        let (missing, mode, owner) = match state {
            State::Missing => (true, true, rule.uid.is_some() || rule.gid.is_some()),
            State::Differs(by) => (false, by.mode.is_some(), by.uid.is_some() || by.gid.is_some()),
        };
        if missing {
            add(0, &["mkdir", "-p"], &rule.path);
        }
        if owner {
            add(1, &["chown", "-h", recursive, &owner_of(rule)], &rule.path);
        }
        if mode {
            add(2, &["chmod", recursive, &format!("{:04o}", rule.mode & 0o777)], &rule.path);
        }
    }
    let group =
        |((_, program), paths): ((u8, Vec<String>), Vec<&'a str>)| Command { program, paths };
    groups.into_iter().map(group).collect()
}

/// As `chown` reads it. A colon behind a bare uid would mean that user's login group.
fn owner_of(rule: &Permission) -> String {
    let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
    let colon = if rule.gid.is_some() { ":" } else { "" };
    format!("{}{colon}{}", number(rule.uid), number(rule.gid))
}

struct Tools<'a> {
    engine: &'a dyn Engine,
    container: &'a ContainerId,
}

impl Tools<'_> {
    /// What must be mended, by rule. What cannot be is told as a problem.
    async fn survey<'r>(
        &self,
        rules: &[&'r Permission],
        findings: &mut Findings,
    ) -> Vec<(&'r Permission, State)> {
        let mut states = Vec::new();
        for batch in batches(rules) {
            match self.stat(batch).await {
                Ok(output) => {
                    let told = batch.iter().map(|rule| (*rule, judge(rule, &output)));
                    for (rule, state) in told {
                        match state {
                            Ok(None) => {}
                            Ok(Some(state)) => states.push((rule, state)),
                            Err(problem) => findings.problem(&format!("{}: {problem}", rule.path)),
                        }
                    }
                }
                Err(problem) => {
                    // The next batch would fare no better.
                    findings.problem(&problem);
                    break;
                }
            }
        }
        states
    }

    /// A path that does not exist makes `stat` fail and still print the others.
    async fn stat(&self, rules: &[&Permission]) -> Result<String, String> {
        let program = ["stat", "-c", FORMAT].map(str::to_owned).to_vec();
        let paths = rules.iter().map(|rule| rule.path.as_str()).collect();
        let outcome = self.run(Command { program, paths }.arguments()).await?;
        Ok(outcome.output)
    }

    async fn succeed(&self, command: Vec<String>) -> Result<(), String> {
        let program = command[0].clone();
        let outcome = self.run(command).await?;
        if outcome.exit_code == 0 {
            return Ok(());
        }
        let code = outcome.exit_code;
        Err(format!("`{program}` in the container ended with {code}: {}", outcome.output.trim()))
    }

    async fn run(&self, command: Vec<String>) -> Result<ExecOutcome, String> {
        let program = &command[0];
        let call = self.engine.exec(self.container, &command, Some(ROOT), DEADLINE);
        match call.await {
            Ok(outcome) if NOT_RUN.contains(&outcome.exit_code) => Err(absent(program)),
            Ok(outcome) => Ok(outcome),
            Err(EngineError::Rejected(message)) if says_absent(&message) => Err(absent(program)),
            Err(error) => Err(format!("`{program}` in the container: {error}")),
        }
    }
}

fn absent(program: &str) -> String {
    format!(
        "the image has no `{program}`; put the rule's path on a mount, where none is needed unless the owner can \
         be set in the container only, or drop the rule"
    )
}

/// As engines say it that refuse the exec itself.
fn says_absent(message: &str) -> bool {
    message.contains("executable file not found") || message.contains("no such file or directory")
}

/// What one rule's line in the output of `stat` means.
fn judge(rule: &Permission, output: &str) -> Result<Option<State>, String> {
    match output.lines().find_map(|line| parse(line, &rule.path)) {
        Some(Line::Found(found)) => {
            let difference = Difference::between(rule, &found);
            Ok((!difference.is_none()).then_some(State::Differs(difference)))
        }
        Some(Line::Link) => Err("is a symbolic link; name the path that it leads to".to_owned()),
        Some(Line::Special) => Err("is neither a file nor a directory".to_owned()),
        None if !output.contains(&rule.path) => {
            Err(format!("`stat` in the container does not tell: {}", output.trim()))
        }
        None if rule.create => Ok(Some(State::Missing)),
        None => Err("does not exist; make it, or set `create: true` on the rule".to_owned()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Found(Found),
    Link,
    Special,
}

/// Reads a line of `stat`, if it is one for this path.
fn parse(line: &str, path: &str) -> Option<Line> {
    let mut words = line.splitn(4, ' ');
    let raw = u32::from_str_radix(words.next()?, 16).ok()?;
    let (uid, gid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    if words.next()? != path {
        return None;
    }
    let found = |directory| Line::Found(Found { directory, mode: raw & 0o7777, uid, gid });
    Some(match raw & 0o170_000 {
        0o040_000 => found(true),
        0o100_000 => found(false),
        0o120_000 => Line::Link,
        _ => Line::Special,
    })
}

/// Rules in batches whose output fits what an engine returns; at least one in each.
fn batches<'a, 'r>(mut rules: &'a [&'r Permission]) -> Vec<&'a [&'r Permission]> {
    let mut batches = Vec::new();
    while !rules.is_empty() {
        let mut bytes = 0;
        let fits = rules.iter().take_while(|rule| {
            bytes += rule.path.len() + LINE_BYTES;
            bytes <= BATCH_BYTES
        });
        let (batch, rest) = rules.split_at(fits.count().max(1));
        batches.push(batch);
        rules = rest;
    }
    batches
}

#[cfg(test)]
mod tests;
