//! `sandkeeper plan`: what would be done, as a review reads: each action with its cause and the fields
//! that differ. What kind of change a plan is, is read off the plan alone ([`Change::of`]).

use std::fmt::Write as _;

use serde::Serialize;

use super::{Color, Style, count, escape, sandboxes};
use crate::app::{PlanReport, PlannedSandbox};
use crate::plan::{Cause, Hold, HoldKind, Plan, PlannedStep, Slot, Step};
use crate::sandbox::ProblemReason;
use crate::source::FileReport;

mod json;

pub use json::json;

/// What a plan amounts to for its sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// It gets a container.
    Create,
    /// It gets another container.
    Replace,
    /// Its container stays and is changed: started, stopped, given limits.
    Update,
    /// Its container goes, and none follows.
    Remove,
    /// Something differs, and something stands in the way of mending it now.
    Held,
    /// It is as it must be.
    Unchanged,
}

impl Change {
    /// Reads the kind of change off the plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let any = |wanted: fn(&PlannedStep) -> bool| plan.steps.iter().any(wanted);
        let creates = any(|it| matches!(it.step, Step::Create { .. }));
        let takes_over = any(|it| {
            matches!(it.step, Step::Create { slot: Slot::Replacement })
                || matches!(it.step, Step::Rename { .. } | Step::Remove { .. })
                // Under the other name, where the engine cannot rename.
                || matches!(it.step, Step::Create { .. })
                    && matches!(it.cause, Cause::SpecChanged | Cause::LimitsDiffer)
        });
        let pulls = any(|it| it.step == Step::Pull);
        let differs = any(|it| !it.fields.is_empty());
        let ends = any(|it| {
            matches!(it.step, Step::Remove { .. })
                && matches!(it.cause, Cause::Withdrawn | Cause::Expired)
        });
        match plan {
            Plan { steps, hold: Some(hold), .. } if steps.is_empty() && !is_rest(hold.kind) => {
                Self::Held
            }
            Plan { steps, .. } if steps.is_empty() => Self::Unchanged,
            _ if creates && takes_over => Self::Replace,
            _ if creates => Self::Create,
            _ if ends => Self::Remove,
            // A pull comes alone, ahead of the creation that needs it.
            _ if pulls && differs => Self::Replace,
            _ if pulls => Self::Create,
            _ => Self::Update,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Create => "+",
            Self::Replace => "-/+",
            Self::Update => "~",
            Self::Remove => "-",
            Self::Held => "!",
            Self::Unchanged => "=",
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Replace => "replace",
            Self::Update => "update in place",
            Self::Remove => "remove",
            Self::Held => "held",
            Self::Unchanged => "unchanged",
        }
    }

    fn color(self) -> Color {
        match self {
            Self::Create => Color::Green,
            Self::Remove => Color::Red,
            Self::Replace | Self::Update | Self::Held => Color::Yellow,
            Self::Unchanged => Color::Dim,
        }
    }
}

/// Whether a hold of this kind is where the spec wants the sandbox to be.
fn is_rest(kind: HoldKind) -> bool {
    matches!(kind, HoldKind::Suspended | HoldKind::Finished | HoldKind::Expired)
}

/// How many sandboxes get which change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// To create.
    pub create: usize,
    /// To replace.
    pub replace: usize,
    /// To update in place.
    pub update: usize,
    /// To remove.
    pub remove: usize,
    /// As they must be.
    pub unchanged: usize,
    /// Held.
    pub held: usize,
}

impl Summary {
    /// Counts.
    #[must_use]
    pub fn of(report: &PlanReport) -> Self {
        let mut summary = Self::default();
        for sandbox in &report.sandboxes {
            *match Change::of(&sandbox.plan) {
                Change::Create => &mut summary.create,
                Change::Replace => &mut summary.replace,
                Change::Update => &mut summary.update,
                Change::Remove => &mut summary.remove,
                Change::Held => &mut summary.held,
                Change::Unchanged => &mut summary.unchanged,
            } += 1;
        }
        summary
    }

    /// Whether anything would be done.
    #[must_use]
    pub fn has_changes(self) -> bool {
        self.create + self.replace + self.update + self.remove > 0
    }
}

/// `Plan: 2 to create, 1 to replace, 0 to remove, 3 unchanged, 1 held.`
impl std::fmt::Display for Summary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { create, replace, update, remove, unchanged, held } = self;
        write!(formatter, "Plan: {create} to create, {replace} to replace, ")?;
        if *update > 0 {
            write!(formatter, "{update} to update in place, ")?;
        }
        write!(formatter, "{remove} to remove, {unchanged} unchanged, {held} held.")
    }
}

/// Whether a file has a problem that its author must mend. One that is being written has not.
#[must_use]
pub fn is_invalid(report: &FileReport) -> bool {
    report.problems.iter().any(|problem| problem.reason != ProblemReason::Settling)
}

/// The whole report as text.
#[must_use]
pub fn text(report: &PlanReport, style: Style) -> String {
    let mut text = String::new();
    for sandbox in report.sandboxes.iter().filter(|sandbox| is_worth_showing(sandbox)) {
        text += &one(sandbox, style);
        text.push('\n');
    }
    let files = sandboxes::files(&report.files);
    if !files.is_empty() {
        let _ = writeln!(text, "{files}");
    }
    if !report.foreign.is_empty() {
        let containers = count(report.foreign.len(), "container", "containers");
        let _ = writeln!(text, "{containers} under the prefix but not ours, never touched:");
        for name in &report.foreign {
            let _ = writeln!(text, "  {}", escape(name));
        }
        text.push('\n');
    }
    let _ = writeln!(text, "{}", style.paint(Color::Bold, &Summary::of(report).to_string()));
    text
}

fn is_worth_showing(sandbox: &PlannedSandbox) -> bool {
    Change::of(&sandbox.plan) != Change::Unchanged || !sandbox.notes.is_empty()
}

fn one(sandbox: &PlannedSandbox, style: Style) -> String {
    let change = Change::of(&sandbox.plan);
    let title = format!("{:>3} {}", change.symbol(), escape(&sandbox.name));
    let mut text = format!(
        "{}  {}  {} {} {}\n",
        style.paint(change.color(), &title),
        change.verb(),
        escape(&sandbox.container),
        style.paint(Color::Dim, "from"),
        escape(&sandbox.source),
    );
    for step in &sandbox.plan.steps {
        let _ = writeln!(text, "      {}", step_line(step, style));
    }
    if let Some(hold) = worth_showing(&sandbox.plan) {
        let _ = writeln!(text, "      {}: {}", manner(hold.kind), escape(&hold.message));
    }
    for note in &sandbox.notes {
        let _ = writeln!(text, "      note: {}", escape(note));
    }
    text
}

/// The plan's hold, unless it only says that its own steps are under way.
fn worth_showing(plan: &Plan) -> Option<&Hold> {
    let under_way = |kind| matches!(kind, HoldKind::Pulling | HoldKind::Replacing);
    plan.hold.as_ref().filter(|hold| plan.steps.is_empty() || !under_way(hold.kind))
}

fn manner(kind: HoldKind) -> &'static str {
    if is_rest(kind) { "stays" } else { "held" }
}

fn step_line(planned: &PlannedStep, style: Style) -> String {
    let because = style.paint(Color::Dim, "because").into_owned();
    let mut line = format!("{} {because} {}", describe(&planned.step), planned.cause);
    if !planned.fields.is_empty() {
        let fields = escape(&planned.fields.join(", ")).into_owned();
        let _ = write!(line, ": {}", style.paint(Color::Yellow, &fields));
    }
    line
}

/// What the step does, in the imperative.
fn describe(step: &Step) -> String {
    let named = |slot: &Slot| match slot {
        Slot::Main => "",
        Slot::Replacement => " as its replacement",
        Slot::Predecessor => " as the predecessor",
    };
    match step {
        Step::Pull => "pull the image".to_owned(),
        Step::Create { slot } => format!("create the container{}", named(slot)),
        Step::StartCreated => "start it".to_owned(),
        Step::Start { container } => format!("start {}", container.short()),
        Step::Unpause { container } => format!("unpause {}", container.short()),
        Step::Stop { container, grace } => {
            format!("stop {} (within {}s)", container.short(), grace.as_secs())
        }
        Step::Rename { container, slot: Slot::Main } => {
            format!("give {} the sandbox's name", container.short())
        }
        Step::Rename { container, slot } => {
            format!("set {} aside{}", container.short(), named(slot))
        }
        Step::UpdateLimits { container, limits: _ } => {
            format!("set the limits of {} without a restart", container.short())
        }
        Step::ConnectNetwork { container } => {
            format!("attach {} to its network", container.short())
        }
        Step::Remove { container } => format!("remove {}", container.short()),
        Step::RepairPermissions { container } => {
            format!("repair permissions in {}", container.short())
        }
        Step::Adopt { container } => format!("adopt {}", container.short()),
    }
}

#[cfg(test)]
mod tests;
