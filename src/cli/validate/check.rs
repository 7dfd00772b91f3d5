//! Content → findings. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::input::Input;
use crate::plan::{self, Settings};
use crate::render::problems::Severity;
use crate::sandbox::yaml::{self, Document};
use crate::sandbox::{Problem, ProblemReason, Sandbox};

/// What to check against.
pub(super) struct Rules {
    pub(super) settings: Settings,
    /// The image in `settings` is made up: a spec that relies on it is warned of.
    pub(super) assume_image: bool,
    /// The policy in `settings` is the default one, and the daemon may have another: what it refuses is
    /// warned of.
    pub(super) assume_policy: bool,
}

/// One file, checked.
#[derive(Debug, Serialize)]
pub(super) struct CheckedFile {
    pub(super) file: PathBuf,
    /// Names of the sandboxes that it declares.
    pub(super) sandboxes: Vec<String>,
    #[serde(rename = "problems")]
    pub(super) findings: Vec<Finding>,
    /// Where each of the sandboxes is declared.
    #[serde(skip)]
    places: Vec<(u32, u32)>,
}

/// One problem, and how bad it is.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    #[serde(flatten)]
    pub(super) problem: Problem,
}

/// Checks one file.
pub(super) fn file(input: &Input, rules: &Rules) -> CheckedFile {
    let mut checked = CheckedFile {
        file: input.file.clone(),
        sandboxes: Vec::new(),
        findings: Vec::new(),
        places: Vec::new(),
    };
    let documents = match &input.content {
        Err(error) => Err(Problem::new(ProblemReason::Unreadable, error.to_string())),
        Ok(content) => yaml::read(content),
    };
    match documents {
        Err(problem) => checked.add(Severity::Error, problem),
        Ok(documents) => {
            for document in &documents {
                checked.check(document, input, rules);
            }
        }
    }
    checked.findings.sort_by_key(|finding| (finding.problem.line, finding.problem.column));
    checked
}

impl CheckedFile {
    fn check(&mut self, document: &Document, input: &Input, rules: &Rules) {
        let place = |problem: Problem| placed(problem, document);
        if let Some(name) = &document.name {
            self.sandboxes.push(name.clone());
            let start = (document.line, 1);
            self.places.push(document.positions.locate("metadata.name").unwrap_or(start));
        }
        let outcome = match &document.result {
            Err(problems) => Err(problems.clone()),
            Ok(sandbox) => {
                if let Some(warning) = missing_image(sandbox, rules) {
                    self.add(Severity::Warning, place(warning));
                }
                plan::admit(sandbox, &rules.settings, &input.base).map(|it| it.notices)
            }
        };
        for notice in outcome.as_ref().into_iter().flatten() {
            let notice = Problem::new(ProblemReason::Invalid, notice);
            self.add(Severity::Warning, place(notice));
        }
        for problem in outcome.err().into_iter().flatten() {
            let of_policy = problem.reason == ProblemReason::PolicyViolation;
            let warned = of_policy && rules.assume_policy;
            let severity = if warned { Severity::Warning } else { Severity::Error };
            self.add(severity, place(problem));
        }
    }

    fn add(&mut self, severity: Severity, problem: Problem) {
        self.findings.push(Finding { severity, problem });
    }
}

/// The problem with the place of its field, or of its document.
fn placed(problem: Problem, document: &Document) -> Problem {
    if problem.line.is_some() {
        return problem;
    }
    let field = problem.field.as_deref().and_then(|field| document.positions.locate(field));
    let (line, column) = field.unwrap_or((document.line, 1));
    Problem { line: Some(line), column: Some(column), ..problem }
}

fn missing_image(sandbox: &Sandbox, rules: &Rules) -> Option<Problem> {
    let missing = rules.assume_image && sandbox.spec.image.is_none();
    missing.then(|| {
        let message = "no image: relies on `defaults.image` in the daemon's configuration";
        Problem::at_field("spec.image", message)
    })
}

/// Refuses every declaration of a sandbox but the first, as a daemon that starts would.
pub(super) fn refuse_duplicates(files: &mut [CheckedFile]) {
    let mut first: BTreeMap<String, PathBuf> = BTreeMap::new();
    for file in files {
        let declared: Vec<_> =
            file.sandboxes.iter().cloned().zip(file.places.iter().copied()).collect();
        for (name, (line, column)) in declared {
            let Some(winner) = first.get(&name) else {
                first.insert(name, file.file.clone());
                continue;
            };
            let message = format!("sandbox {name:?} is declared in {} already", winner.display());
            let problem = Problem {
                reason: ProblemReason::Conflict,
                line: Some(line),
                column: Some(column),
                ..Problem::at_field("metadata.name", message)
            };
            file.add(Severity::Error, problem);
        }
    }
}

#[cfg(test)]
mod tests;
