use super::*;
use crate::plan::{ContainerId, Hold};
use crate::sandbox::Problem;

fn id() -> ContainerId {
    ContainerId("0123456789abcdef".to_owned())
}

fn step(step: Step, cause: Cause) -> PlannedStep {
    PlannedStep { step, cause, fields: vec![] }
}

fn steps(steps: Vec<PlannedStep>) -> Plan {
    Plan { steps, ..Plan::default() }
}

fn held(kind: HoldKind, message: &str) -> Plan {
    Plan { hold: Some(Hold { kind, message: message.to_owned() }), ..Plan::default() }
}

fn creation() -> Plan {
    steps(vec![
        step(Step::Create { slot: Slot::Main }, Cause::Missing),
        step(Step::StartCreated, Cause::Missing),
    ])
}

fn replacement() -> Plan {
    let create = Step::Create { slot: Slot::Replacement };
    steps(vec![
        PlannedStep { fields: vec!["image".to_owned()], ..step(create, Cause::SpecChanged) },
        step(Step::StartCreated, Cause::SpecChanged),
    ])
}

fn removal(cause: Cause) -> Plan {
    let grace = std::time::Duration::from_secs(10);
    steps(vec![
        step(Step::Stop { container: id(), grace }, cause),
        step(Step::Remove { container: id() }, cause),
    ])
}

fn sandbox(name: &str, plan: Plan) -> PlannedSandbox {
    PlannedSandbox {
        name: name.to_owned(),
        container: format!("sandbox-{name}"),
        source: format!("/specs/{name}.yaml"),
        plan,
        notes: vec![],
    }
}

#[test]
fn a_plan_without_steps_changes_nothing() {
    assert_eq!(Change::of(&Plan::default()), Change::Unchanged);
}

#[test]
fn creating_beside_nothing_is_a_creation() {
    assert_eq!(Change::of(&creation()), Change::Create);
}

#[test]
fn creating_a_replacement_or_after_a_removal_is_a_replacement() {
    assert_eq!(Change::of(&replacement()), Change::Replace);
    let aside = steps(vec![
        step(Step::Rename { container: id(), slot: Slot::Predecessor }, Cause::SpecChanged),
        step(Step::Create { slot: Slot::Main }, Cause::SpecChanged),
    ]);
    assert_eq!(Change::of(&aside), Change::Replace);
}

#[test]
fn removing_what_was_withdrawn_or_expired_is_a_removal() {
    assert_eq!(Change::of(&removal(Cause::Withdrawn)), Change::Remove);
    assert_eq!(Change::of(&removal(Cause::Expired)), Change::Remove);
}

#[test]
fn removing_a_leftover_is_an_update() {
    assert_eq!(Change::of(&removal(Cause::ReplacementUp)), Change::Update);
}

#[test]
fn a_start_or_new_limits_are_an_update() {
    let start = steps(vec![step(Step::Start { container: id() }, Cause::Ended)]);
    assert_eq!(Change::of(&start), Change::Update);
}

#[test]
fn a_pull_counts_as_what_it_is_for() {
    let pull = |fields| steps(vec![PlannedStep { fields, ..step(Step::Pull, Cause::ImageNeeded) }]);
    assert_eq!(Change::of(&pull(vec![])), Change::Create);
    assert_eq!(Change::of(&pull(vec!["image".to_owned()])), Change::Replace);
}

#[test]
fn a_hold_without_steps_is_held_unless_the_spec_wants_the_rest() {
    assert_eq!(Change::of(&held(HoldKind::NameConflict, "x")), Change::Held);
    assert_eq!(Change::of(&held(HoldKind::RestartRequired, "x")), Change::Held);
    for kind in [HoldKind::Suspended, HoldKind::Finished, HoldKind::Expired] {
        assert_eq!(Change::of(&held(kind, "x")), Change::Unchanged);
    }
}

fn report() -> PlanReport {
    let mut noted = sandbox("noted", Plan::default());
    noted.notes.push("the file is not valid; its last good spec holds".to_owned());
    PlanReport {
        sandboxes: vec![
            sandbox("api", creation()),
            sandbox("calm", Plan::default()),
            sandbox("db", replacement()),
            noted,
            sandbox("old", removal(Cause::Withdrawn)),
            sandbox("taken", held(HoldKind::NameConflict, "a foreign container is named so")),
        ],
        files: vec![FileReport {
            file: "/specs/bad.yaml".into(),
            problems: vec![Problem::at_field("spec", "is odd")],
            sandboxes: vec![],
            since: jiff::Timestamp::UNIX_EPOCH,
        }],
        foreign: vec!["sandbox-taken".to_owned()],
    }
}

#[test]
fn the_text_reads_like_a_review() {
    assert_eq!(
        text(&report(), Style::default()),
        "  + api  create  sandbox-api from /specs/api.yaml
      create the container because the sandbox has no container
      start it because the sandbox has no container

-/+ db  replace  sandbox-db from /specs/db.yaml
      create the container as its replacement because the spec asks for another container: image
      start it because the spec asks for another container

  = noted  unchanged  sandbox-noted from /specs/noted.yaml
      note: the file is not valid; its last good spec holds

  - old  remove  sandbox-old from /specs/old.yaml
      stop 0123456789ab (within 10s) because the spec is gone
      remove 0123456789ab because the spec is gone

  ! taken  held  sandbox-taken from /specs/taken.yaml
      held: a foreign container is named so

FILE              PROBLEM
/specs/bad.yaml   spec: is odd

1 container under the prefix but not ours, never touched:
  sandbox-taken

Plan: 1 to create, 1 to replace, 1 to remove, 2 unchanged, 1 held.
"
    );
}

#[test]
fn updates_are_counted_where_there_are_any() {
    let start = steps(vec![step(Step::Start { container: id() }, Cause::Ended)]);
    let report = PlanReport { sandboxes: vec![sandbox("web", start)], ..PlanReport::default() };
    let summary = Summary::of(&report);
    assert!(summary.has_changes());
    assert_eq!(
        summary.to_string(),
        "Plan: 0 to create, 0 to replace, 1 to update in place, 0 to remove, 0 unchanged, 0 held."
    );
}

#[test]
fn json_names_the_change_the_cause_and_the_fields() {
    let json = json(&report());
    assert_eq!(json["summary"]["replace"], 1);
    let db = &json["sandboxes"][2];
    assert_eq!(db["change"], "replace");
    assert_eq!(db["steps"][0]["action"], "Create");
    assert_eq!(db["steps"][0]["slot"], "Replacement");
    assert_eq!(db["steps"][0]["cause"], "SpecChanged");
    assert_eq!(db["steps"][0]["fields"][0], "image");
    assert_eq!(json["sandboxes"][5]["hold"]["reason"], "NameConflict");
}
