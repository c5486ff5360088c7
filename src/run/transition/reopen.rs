//! A merged task is opened again: round two, with a branch and a review of its own.

use super::{capital, name_of};
use crate::run::blame;
use crate::run::order::{AttemptResult, OrderKind};
use crate::run::state::{Item, Pending, Phase, Round, State};

/// The build of an attempt fails in the files of `keys`: they are opened again, and the item of the
/// attempt waits for them with its work kept. Says so.
pub(super) fn for_build(
    state: &mut State,
    result: &AttemptResult,
    keys: &[String],
    pending: Option<&Pending>,
    failing: &str,
    name: &str,
) -> String {
    let mut errors = format!(
        "The build of another task, {name}, fails in files of this task:\n{}\n\n",
        blame::places(&result.faults)
    );
    let mut names = Vec::new();
    if let Some(item) = state.item_mut(&result.item) {
        if let Some(attempt) = item.attempts.last_mut() {
            attempt.blames = keys.to_vec();
            if let Some(commit) = &attempt.commit {
                errors.push_str("The files of that other task are in commit ");
                errors.push_str(commit);
                errors.push_str(", to read with `git show`.\n\n");
            }
        }
        item.waits_for = keys.to_vec();
        item.pending = Some(Pending {
            kind: OrderKind::Resumed,
            feedback: pending.map(|p| p.feedback.clone()).unwrap_or_default(),
            from: pending.map(|p| p.from.clone()).unwrap_or_default(),
            fresh: false,
            errors: format!(
                "{failing}These files belong to {}, which has been put right and merged meanwhile.\n",
                keys.join(", ")
            ),
            commit: None,
        });
        item.phase = Phase::Pending;
    }
    errors.push_str(failing);
    for key in keys {
        let why = format!("the build of {} fails in its file", result.item);
        if let Some(earlier) = state.item_mut(key) {
            open(earlier, &why, &errors);
        }
        if let Some(earlier) = state.item(key) {
            names.push(name_of(state, earlier));
        }
    }
    state.gate.clear();
    format!(
        "{name}: the build of attempt {} fails in a file of another task; its work is kept, and it waits for {}",
        result.attempt,
        names.join(" and ")
    )
}

/// Opens the next round of a merged item. One whose next round is open already hears of it too, if it
/// is not being worked on.
pub(super) fn open(item: &mut Item, why: &str, errors: &str) {
    if item.phase != Phase::Merged {
        if let (Phase::Pending, Some(pending)) = (&item.phase, &mut item.pending) {
            pending.errors.push_str("\n\n");
            pending.errors.push_str(errors);
        }
        return;
    }
    item.rounds.push(Round {
        number: item.round,
        branch: item.branch.take(),
        pull: item.pull.take(),
        merged: item.merged.take(),
        reopened: capital(why),
        errors: errors.to_owned(),
    });
    item.round += 1;
    item.count_from = item.next_attempt();
    item.waits_for.clear();
    item.carries.clear();
    item.pending = Some(Pending {
        kind: OrderKind::Reopened,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: None,
    });
    item.phase = Phase::Pending;
}
