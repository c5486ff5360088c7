//! What a task and a run may cost, in money and time, and what is left of it.
//!
//! Pure. Counted is what attempts of agents came to. Money that attempts under way may still cost is set
//! aside, so attempts side by side keep to a limit of the run together. Time is counted at their end alone:
//! side by side they may go beyond its limit.

use super::decide::Limit;
use super::order::OrderKind;
use super::state::{Attempt, Item, Phase, State};
use crate::plan::Limits;

/// A limit that is reached: what was spent, and what may be, in US cents or in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// Which.
    pub limit: Limit,
    /// Spent so far.
    pub spent: u64,
    /// The limit.
    pub of: u64,
}

/// What is left for the next attempt; `None` where nothing limits it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Left {
    /// US dollars.
    pub cost_usd: Option<f64>,
    /// Seconds.
    pub time_s: Option<u64>,
}

/// The first limit that keeps an agent from being asked for this item: of the run, else of the task.
#[must_use]
pub fn reached(state: &State, item: &Item, limits: &Limits) -> Option<Reached> {
    let over = |limit, spent: f64, of: Option<f64>| {
        of.filter(|of| spent >= *of).map(|of| Reached {
            limit,
            spent: cents(spent),
            of: cents(of),
        })
    };
    let late = |limit, spent, of: Option<u64>| {
        let of = of.filter(|of| spent >= *of)?;
        Some(Reached { limit, spent, of })
    };
    if crate::plant::is("no-budget") {
        return None;
    }
    over(Limit::RunCost, state.cost_usd(), limits.run_cost_usd)
        .or_else(|| late(Limit::RunTime, state.time_s(), limits.run_time_s))
        .or_else(|| over(Limit::TaskCost, item.cost_usd(), limits.task_cost_usd))
        .or_else(|| late(Limit::TaskTime, item.time_s(), limits.task_time_s))
}

/// Money that attempts under way may still cost, other items' than this one, in US dollars.
#[must_use]
pub fn set_aside(state: &State, item: &Item) -> f64 {
    if crate::plant::is("nothing-is-set-aside") {
        return 0.0;
    }
    let others = state.items.iter().filter(|i| i.key != item.key);
    let claims = others.filter_map(|i| match &i.phase {
        Phase::Running { claim } => claim.may_cost_cents,
        _ => None,
    });
    usd(claims.fold(0, u64::saturating_add))
}

/// What the next attempt on this item wants of the run's money, when it may cost `most`: all that is
/// left where nothing limits it. `None` when that has to wait for what is set aside.
#[must_use]
pub fn share(
    state: &State,
    item: &Item,
    limits: &Limits,
    most: Option<f64>,
    set_aside: f64,
) -> Option<f64> {
    let Some(limit) = limits.run_cost_usd else {
        return Some(0.0);
    };
    let of_task = limits.task_cost_usd.map(|of| of - item.cost_usd());
    let left = limit - state.cost_usd();
    let wanted = least(most, of_task);
    if set_aside <= 0.0 {
        return Some(wanted.map_or(left, |wanted| wanted.min(left)));
    }
    // Sums of cents are not exact.
    wanted.filter(|wanted| set_aside + wanted <= left + 1e-6)
}

/// What the next attempt on this item may still cost.
#[must_use]
pub fn left(state: &State, item: &Item, limits: &Limits) -> Left {
    let money = |of: Option<f64>, spent: f64| of.map(|of| (of - spent).max(0.01));
    let time = |of: Option<u64>, spent: u64| of.map(|of| of.saturating_sub(spent).max(1));
    Left {
        cost_usd: least(
            money(limits.task_cost_usd, item.cost_usd()),
            money(
                limits.run_cost_usd,
                state.cost_usd() + set_aside(state, item),
            ),
        ),
        time_s: [
            time(limits.task_time_s, item.time_s()),
            time(limits.run_time_s, state.time_s()),
        ]
        .into_iter()
        .flatten()
        .min(),
    }
}

/// The smaller of two limits of money.
#[must_use]
pub fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// What attempts of agents cost, as far as it is known, in US dollars.
pub(super) fn cost_usd<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> f64 {
    // A result may come from another machine: nothing it says makes the sum smaller.
    let known = attempts.filter_map(|a| a.cost_usd);
    known.filter(|cost| *cost > 0.0).sum()
}

/// How long attempts of agents took, checks included, in seconds.
pub(super) fn time_s<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> u64 {
    attempts
        .filter(|a| !matches!(a.kind, OrderKind::Forward | OrderKind::Person))
        .map(|a| a.finished.as_second().saturating_sub(a.started.as_second()))
        .filter_map(|seconds| u64::try_from(seconds).ok())
        .fold(0, u64::saturating_add)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float too large or negative becomes the nearest whole number, which is meant"
)]
fn cents(usd: f64) -> u64 {
    (usd * 100.0).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "cents below 2^52")]
fn usd(cents: u64) -> f64 {
    cents as f64 / 100.0
}
