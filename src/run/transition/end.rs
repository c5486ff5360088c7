//! A task joins the run branch or is looked at again; the run ends.

use jiff::Timestamp;

use super::{NotPossible, Said, capital, find, short};
use crate::plan::ForgeKind;
use crate::run::P0;
use crate::run::order::OrderKind;
use crate::run::state::{End, GateItem, Merged, Pending, Person, Phase, State};

/// Somebody committed on the run branch.
pub fn run_adopted(
    state: &mut State,
    head: &str,
    merged_by_hand: &[String],
    by: &Person,
    at: Timestamp,
) -> Said {
    head.clone_into(&mut state.run_branch.head);
    state.gate.clear();
    // What was complete is to be looked at again.
    state.end = None;
    for key in merged_by_hand {
        if let Some(item) = state.item_mut(key) {
            item.merged = item.branch.as_ref().map(|b| Merged {
                commit: head.to_owned(),
                head: b.head.clone(),
                at,
                because: format!("merged by hand by {}", by.name),
                by_hand: true,
            });
            item.phase = Phase::Merged;
            item.pending = None;
            if !crate::plant::is("merged-by-hand-waits") {
                item.waits_for.clear();
            }
        }
        if key == P0 {
            super::compliance::mended(state);
        }
    }
    let what = if merged_by_hand.is_empty() {
        String::new()
    } else {
        format!(", merging {}", merged_by_hand.join(", "))
    };
    format!("{} committed on the run branch{what}", by.name)
}

/// An approved item is in the run branch.
///
/// # Errors
/// [`NotPossible`] when it is not approved.
pub fn merged(
    state: &mut State,
    key: &str,
    commit: &str,
    at: Timestamp,
) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    let Phase::Approved { because, .. } = item.phase.clone() else {
        return Err(NotPossible(format!("{name} is not approved")));
    };
    let head = item
        .branch
        .as_ref()
        .map(|b| b.head.clone())
        .unwrap_or_default();
    item.merged = Some(Merged {
        commit: commit.to_owned(),
        head,
        at,
        because: because.clone(),
        by_hand: false,
    });
    item.phase = Phase::Merged;
    let is_validation = item.key == P0;
    commit.clone_into(&mut state.run_branch.head);
    state.gate.clear();
    if is_validation {
        super::compliance::mended(state);
    }
    Ok(capital(&format!(
        "{name}: merged as {} ({because})",
        short(commit)
    )))
}

/// An item that must be looked at again, without an agent or with one: forward merge, conflict,
/// a person's commit.
///
/// # Errors
/// [`NotPossible`] when there is no such item.
pub fn reopened(
    state: &mut State,
    key: &str,
    mut pending: Pending,
    why: &str,
) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if pending.from.is_empty()
        && let Phase::Approved { because, .. } = &item.phase
    {
        pending.from.clone_from(because);
    }
    if pending.kind == OrderKind::Conflict {
        item.count_from = item.next_attempt();
    }
    item.pending = Some(pending);
    item.phase = Phase::Pending;
    Ok(capital(&format!("{name}: {why}")))
}

/// A person ends the run.
///
/// # Errors
/// [`NotPossible`] when it has ended.
pub fn aborted(state: &mut State, by: &Person, at: Timestamp) -> Result<Said, NotPossible> {
    if state.end.is_some() {
        return Err(NotPossible(format!("run {} has ended already", state.run)));
    }
    state.end = Some(End {
        at,
        aborted: true,
        by: Some(by.clone()),
    });
    for item in &mut state.items {
        if matches!(item.phase, Phase::Running { .. }) {
            item.phase = Phase::Pending;
        }
    }
    Ok(format!(
        "Ended by {} before all was done; every branch is kept",
        by.name
    ))
}

/// The gate was looked at; when every item holds the run is complete.
///
/// On a forge it is complete only when its last pull request is open, see [`super::completed`].
pub fn gate_seen(state: &mut State, gate: Vec<GateItem>, at: Timestamp) -> Said {
    let bad = gate.iter().filter(|g| !g.holds).count();
    state.gate = gate;
    state.gate_of = Some(state.run_branch.head.clone());
    if bad == 0 && state.forge == ForgeKind::Github {
        "The gate holds".to_owned()
    } else if bad == 0 {
        state.end = Some(End {
            at,
            aborted: false,
            by: None,
        });
        "The gate holds: the run is complete".to_owned()
    } else {
        format!(
            "The gate does not hold: {bad} of {} items",
            state.gate.len()
        )
    }
}
