//! Plans for an engine that cannot rename: the same, without the renames. Who is who is read from what was
//! observed instead ([`crate::plan::roles`]), and a new container takes the name that is free.

use super::{Inputs, Plan, Slot, Step};

/// The plan as such an engine can carry it out.
pub(super) fn without_renames(inputs: &Inputs<'_>, mut plan: Plan) -> Plan {
    plan.steps.retain(|planned| !matches!(planned.step, Step::Rename { .. }));
    for planned in &mut plan.steps {
        if let Step::Create { slot } = &mut planned.step
            && *slot == Slot::Replacement
        {
            *slot = other_name(inputs);
        }
    }
    plan
}

/// The name that the container in place does not have.
fn other_name(inputs: &Inputs<'_>) -> Slot {
    let suffix = Slot::Replacement.suffix();
    match &inputs.observed.main {
        Some(main) if main.name.ends_with(suffix) => Slot::Main,
        _ => Slot::Replacement,
    }
}
