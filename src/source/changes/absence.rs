//! When a name that nothing declares is withdrawn: confirmed by a second listing, and not part of a loss
//! too large to believe.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::{Inputs, Rules, Wake};
use crate::sandbox::text::shown_path;

/// Withdraws what is confirmed gone, and holds the rest.
pub(super) fn withdraw(
    entries: &mut BTreeMap<String, Entry>,
    rules: &Rules,
    inputs: &Inputs<'_>,
    wake: &mut Wake,
) {
    let missing = entries.values().filter(|entry| is_missing(entry)).count();
    let sudden = rules.delete_guard > 0 && missing > rules.delete_guard;
    for entry in entries.values_mut().filter(|entry| !entry.declared.is_tombstone()) {
        if sudden && is_missing(entry) {
            entry.hold(inputs.now, sudden_loss(entry, missing, rules.delete_guard));
        }
        entry.release_if_asked(inputs);
        if entry.hold.is_some() {
            if entry.may_go() {
                entry.withdraw(inputs.now);
            }
        } else if let Some(since) = entry.absent.filter(|_| entry.gone) {
            let due = since + rules.absence;
            if inputs.steady >= due {
                entry.withdraw(inputs.now);
            } else {
                wake.at(due);
            }
        }
    }
}

/// Missing from a listing, whether or not that is confirmed yet. Those already held count too: a loss that
/// trickles in stays one loss.
fn is_missing(entry: &Entry) -> bool {
    entry.absent.is_some() && !entry.declared.is_tombstone()
}

fn sudden_loss(entry: &Entry, missing: usize, guard: usize) -> String {
    let file = shown_path(&entry.declared.provenance.file);
    format!(
        "{file} no longer declares it, as one of {missing} lost at once; deleteGuard is {guard}"
    )
}
