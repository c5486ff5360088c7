//! Commands without an agent, for the run as a whole, are handed over and come back.

use super::{NotPossible, Said};
use crate::run::order::AttemptResult;
use crate::run::state::{Building, Claim, State};
use crate::run::{BASE, GATE};

fn name(key: &str) -> &'static str {
    if key == BASE {
        "The build of the base"
    } else {
        "The build of the run branch for the gate"
    }
}

/// Somebody takes them: [`BASE`] or [`GATE`], for this commit.
pub fn build_claimed(state: &mut State, key: &str, commit: &str, claim: Claim) -> Said {
    state.builds = claim.attempt;
    state.building = Some(Building {
        key: key.to_owned(),
        commit: commit.to_owned(),
        claim,
    });
    format!("{} begins", name(key))
}

/// Takes them back; `None` when the key is of neither, or nobody has them.
pub(super) fn freed(state: &mut State, key: &str, why: &str) -> Option<Said> {
    if key != BASE && key != GATE {
        return None;
    }
    state.building.take_if(|b| b.key == key)?;
    Some(format!("{}: taken back, {why}", name(key)))
}

/// They have ended: says for which commit. What follows is another transition of the same record.
///
/// # Errors
/// [`NotPossible`] when the result is not of the current claim.
pub fn build_ended(state: &mut State, result: &AttemptResult) -> Result<String, NotPossible> {
    let current = |b: &mut Building| b.key == result.item && b.claim.id == result.claim;
    match state.building.take_if(current) {
        Some(building) => Ok(building.commit),
        None => Err(NotPossible(format!(
            "the result of {} is not of the current claim",
            result.item
        ))),
    }
}
