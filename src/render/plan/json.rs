//! The report for programs. These names are API.

use jiff::Timestamp;
use serde::Serialize;

use super::{Change, Summary};
use crate::app::{PlanReport, PlannedSandbox};
use crate::plan::{Cause, Hold, HoldKind, PlannedStep, Slot, Step};
use crate::source::FileReport;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    sandboxes: Vec<SandboxView<'a>>,
    files: &'a [FileReport],
    foreign: &'a [String],
    summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SandboxView<'a> {
    name: &'a str,
    change: Change,
    container: &'a str,
    source: &'a str,
    steps: Vec<StepView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_check: Option<Timestamp>,
    notes: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StepView<'a> {
    action: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<Slot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<&'a str>,
    cause: Cause,
    message: String,
    fields: &'a [String],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldView<'a> {
    reason: HoldKind,
    message: &'a str,
}

/// The whole report as a JSON value.
#[must_use]
pub fn json(report: &PlanReport) -> serde_json::Value {
    let view = Report {
        sandboxes: report.sandboxes.iter().map(sandbox).collect(),
        files: &report.files,
        foreign: &report.foreign,
        summary: Summary::of(report),
    };
    serde_json::to_value(view).expect("the view holds only strings, numbers and lists of them")
}

fn sandbox(sandbox: &PlannedSandbox) -> SandboxView<'_> {
    let PlannedSandbox { name, container, source, plan, notes } = sandbox;
    SandboxView {
        name,
        change: Change::of(plan),
        container,
        source,
        steps: plan.steps.iter().map(step).collect(),
        hold: plan.hold.as_ref().map(|Hold { kind, message }| HoldView { reason: *kind, message }),
        next_check: plan.next_check,
        notes,
    }
}

fn step(planned: &PlannedStep) -> StepView<'_> {
    let (action, slot, container) = match &planned.step {
        Step::Pull => ("Pull", None, None),
        Step::Create { slot } => ("Create", Some(*slot), None),
        Step::Start { container } => ("Start", None, Some(container)),
        Step::StartCreated => ("StartCreated", None, None),
        Step::Unpause { container } => ("Unpause", None, Some(container)),
        Step::Stop { container, grace: _ } => ("Stop", None, Some(container)),
        Step::Rename { container, slot } => ("Rename", Some(*slot), Some(container)),
        Step::UpdateLimits { container, limits: _ } => ("UpdateLimits", None, Some(container)),
        Step::ConnectNetwork { container } => ("ConnectNetwork", None, Some(container)),
        Step::Remove { container } => ("Remove", None, Some(container)),
        Step::RepairPermissions { container } => ("RepairPermissions", None, Some(container)),
        Step::Adopt { container } => ("Adopt", None, Some(container)),
    };
    StepView {
        action,
        slot,
        container: container.map(|id| id.0.as_str()),
        cause: planned.cause,
        message: planned.cause.to_string(),
        fields: &planned.fields,
    }
}
