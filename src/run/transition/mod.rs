//! The transitions of a run's state: each changes the state and says in words what happened.
//!
//! Pure. Each becomes one ledger commit, whose message is what is returned here. A command that is
//! not possible in the present state is [`NotPossible`]: nothing is changed then.

mod attempt;
mod build;
mod compliance;
mod end;
mod forge;
mod reopen;
mod review;
mod start;

use thiserror::Error;

use super::state::{Item, State};

pub use attempt::{Facts, Published, claimed, finished, freed};
pub use build::{build_claimed, build_ended};
pub use compliance::{excepted, judged, noted, put_right, reported, validation_opened, violations};
pub use end::{aborted, gate_seen, merged, reopened, run_adopted};
pub use forge::{
    Hearing, answered, base_merged, closed, completed, completed_empty, heard, laid_out,
    last_merged, person, repair_opened, shown, taken, withdrawn,
};
pub use review::{retried, reviewed, skipped};
pub use start::{Start, base_built, start};

/// A command that makes no sense in the present state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotPossible(pub String);

/// What a transition says of itself: the ledger commit's message.
pub type Said = String;

/// A name for messages: `task 2 of 4, client (HTTP client)`.
#[must_use]
pub fn name_of(state: &State, item: &Item) -> String {
    match item.tasks.as_slice() {
        [task] => format!(
            "task {} of {}, {} ({}){}",
            task.position,
            state.total(),
            task.id,
            task.title,
            round_of(item)
        ),
        tasks => format!("all {} tasks", tasks.len()),
    }
}

/// `, round 2` for an item that was opened again.
#[must_use]
pub fn round_of(item: &Item) -> String {
    if item.round > 1 {
        format!(", round {}", item.round)
    } else {
        String::new()
    }
}

fn find<'s>(state: &'s mut State, key: &str) -> Result<(&'s mut Item, String), NotPossible> {
    let name = state.item(key).map(|item| name_of(state, item));
    let known = state
        .items
        .iter()
        .flat_map(|i| &i.tasks)
        .map(|t| t.id.clone())
        .collect::<Vec<_>>();
    let missing = || {
        NotPossible(format!(
            "there is no task named {key}; the tasks are {}",
            known.join(", ")
        ))
    };
    let name = name.ok_or_else(missing)?;
    state
        .item_mut(key)
        .map(|item| (item, name))
        .ok_or_else(missing)
}

fn first(reasons: &[String]) -> &str {
    reasons.first().map_or("no reason given", String::as_str)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// An abbreviated object id for people.
#[must_use]
pub fn short(oid: &str) -> &str {
    oid.get(..10).unwrap_or(oid)
}

#[cfg(test)]
mod tests;
