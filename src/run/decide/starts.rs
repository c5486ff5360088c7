//! Which attempts begin, and what keeps the others from it: limits of ours, and of agents.

use super::super::order::OrderKind;
use super::super::state::{Item, Phase, State};
use super::{Action, Decision, Facts, Limit, Wait, undisturbed};
use crate::run::budget;

pub(super) fn starts(state: &State, facts: &Facts, decision: &mut Decision) {
    let ready = state.items.iter().filter(|item| {
        matches!(item.phase, Phase::Pending)
            && undisturbed(item, facts)
            && (state.is_free(item) || crate::plant::is("dependent-begins-early"))
    });
    let mut slots = facts.slots;
    let mut begun = 0.0;
    for item in ready {
        if let Some(wait) = kept_from(state, item, facts) {
            if !decision.waits.contains(&wait) {
                decision.waits.push(wait);
            }
        } else if slots > 0 {
            let key = item.key.clone();
            if let Some(cost) = share(state, item, facts, begun) {
                slots -= 1;
                begun += cost;
                decision.actions.push(Action::Start { item: key });
            } else {
                decision.waits.push(Wait::SetAside { item: key });
            }
        }
    }
}

/// What of the run's money an attempt takes that begins beside those under way and `begun` ones.
fn share(state: &State, item: &Item, facts: &Facts, begun: f64) -> Option<f64> {
    let (Some(limits), true) = (&facts.limits, asks(item)) else {
        return Some(0.0);
    };
    let set_aside = budget::set_aside(state, item) + begun;
    let most = facts.may_cost.get(&item.key).copied();
    budget::share(state, item, limits, most, set_aside)
}

/// Whether its next attempt asks an agent.
fn asks(item: &Item) -> bool {
    let kind = item.pending.as_ref().map(|p| p.kind);
    !matches!(kind, Some(OrderKind::Forward | OrderKind::Person))
}

/// What keeps an agent from being asked for this item now.
fn kept_from(state: &State, item: &Item, facts: &Facts) -> Option<Wait> {
    if !asks(item) {
        return None;
    }
    let limits = facts.limits.as_ref();
    if let Some(reached) = limits.and_then(|limits| budget::reached(state, item, limits)) {
        let of_task = matches!(reached.limit, Limit::TaskCost | Limit::TaskTime);
        let item = of_task.then(|| item.key.clone());
        return Some(Wait::Budget { item, reached });
    }
    let agent = facts.agents.get(&item.key)?;
    let until = state.limited.get(agent).copied()?;
    (until > facts.now && !crate::plant::is("limited-agent-is-asked")).then(|| Wait::Limited {
        agent: agent.clone(),
        until,
    })
}
