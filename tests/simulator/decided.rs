//! What the design promises of decisions.

use git_pertask::run::decide::{Action, Decision, Facts};
use git_pertask::run::state::{Phase, State};
use git_pertask::run::{BASE, GATE};

use super::invariants::{Held, claim, held};
use super::world::World;

/// "decide is a pure function from the state and a snapshot of facts."
pub fn decide_is_pure(_: &World, state: &State, facts: &Facts, decision: &Decision) -> Held {
    let again = git_pertask::run::decide::decide(state, facts);
    held(again == *decision, || {
        "it decided otherwise the second time".to_owned()
    })
}

/// Slots, budget and what tasks build on, once more where it is decided.
pub fn starts_within_limits(_: &World, _: &State, facts: &Facts, decision: &Decision) -> Held {
    let starts = decision
        .actions
        .iter()
        .filter(|a| matches!(a, Action::Start { .. }))
        .count();
    held(starts <= facts.slots, || {
        format!("{starts} begin, {} may", facts.slots)
    })
}

/// "A claim is freed when its process is gone … or its deadline has passed."
pub fn freed_when_gone(w: &World, state: &State, facts: &Facts, decision: &Decision) -> Held {
    for action in &decision.actions {
        let Action::Free { item, .. } = action else {
            continue;
        };
        let claim = if item == BASE || item == GATE {
            state.building.as_ref().map(|b| &b.claim)
        } else {
            state.item(item).and_then(claim)
        };
        let Some(claim) = claim else {
            return Err(format!("{item}, which nobody has"));
        };
        let over = claim.deadline < facts.now;
        // Whose worker failed is there, and will bring nothing.
        let works = w.workers.iter().any(|k| k.claim == claim.id);
        held(over || !w.lives(&claim.holder, &claim.id) || !works, || {
            format!("{item}, whose holder is at work until {}", claim.deadline)
        })?;
    }
    Ok(())
}

/// "Every effect … looked for before it is made": the same thing is not asked for twice at once.
pub fn actions_once(_: &World, _: &State, _: &Facts, decision: &Decision) -> Held {
    for (n, action) in decision.actions.iter().enumerate() {
        held(!decision.actions[..n].contains(action), || {
            format!("{action:?} twice")
        })?;
    }
    Ok(())
}

/// "Failure never restarts a finished task."
pub fn settled_is_left(_: &World, state: &State, _: &Facts, decision: &Decision) -> Held {
    for action in &decision.actions {
        let (Action::Start { item: key }
        | Action::Merge { item: key }
        | Action::Forward { item: key }
        | Action::Adopt { item: key, .. }
        | Action::Approve { item: key, .. }
        | Action::Withdraw { item: key, .. }
        | Action::TakeMerged { item: key }) = action
        else {
            continue;
        };
        let settled = state
            .item(key)
            .is_some_and(|i| matches!(i.phase, Phase::Merged | Phase::Skipped { .. }));
        held(!settled, || format!("{action:?}"))?;
    }
    Ok(())
}
