//! How many sandboxes are accepted. What was accepted first has the better right: a newcomer never takes
//! the place of another, and one that goes makes room for the next.

use std::collections::BTreeMap;

use super::Rules;
use super::entry::Entry;

/// How many more may be accepted. One that is withdrawn keeps its place until nothing is left of it.
pub(super) fn room(entries: &BTreeMap<String, Entry>, rules: &Rules) -> usize {
    rules.max_sandboxes.map_or(usize::MAX, |most| most.saturating_sub(entries.len()))
}

/// Says of those that were accepted last that there are too many, which is so after the maximum was
/// lowered. They keep their containers, and nothing more is made or started for them.
pub(super) fn mark_excess(entries: &mut BTreeMap<String, Entry>, rules: &Rules) {
    let most = rules.max_sandboxes.unwrap_or(usize::MAX);
    let mut all: Vec<&mut Entry> = entries.values_mut().collect();
    // The withdrawn ones go without being asked; they are the first to make room.
    all.retain(|entry| !entry.declared.is_tombstone());
    if all.len() <= most {
        for entry in all {
            entry.set_excess(None);
        }
        return;
    }
    all.sort_by(|one, other| one.seniority().cmp(&other.seniority()));
    let excess = message(most);
    for (position, entry) in all.into_iter().enumerate() {
        entry.set_excess((position >= most).then(|| excess.clone()));
    }
}

/// Why a sandbox is one too many.
pub(super) fn message(most: usize) -> String {
    format!(
        "one sandbox too many for policy.maxSandboxes (allowed: {most}); those that were accepted first \
         stay in force"
    )
}
