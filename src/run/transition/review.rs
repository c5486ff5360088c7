//! What a person decides about one task.

use super::{NotPossible, Said, capital, find, short};
use crate::run::order::OrderKind;
use crate::run::state::{Decision, Item, Pending, Person, Phase, Review, State};

/// A person decides.
///
/// # Errors
/// [`NotPossible`] when there is nothing to decide, or the commit is not the one that waits.
pub fn reviewed(state: &mut State, key: &str, mut review: Review) -> Result<Said, NotPossible> {
    not_ended(state)?;
    let run = state.run.clone();
    let (item, name) = find(state, key)?;
    let head = item
        .branch
        .as_ref()
        .map(|b| b.head.clone())
        .unwrap_or_default();
    review.round = item.round;
    let by = review.by.name.clone();
    let said = match (&item.phase, review.decision) {
        (Phase::Review, Decision::Approve) if review.commit != head => {
            return Err(NotPossible(format!(
                "{name} has moved on: you saw {}, the branch is at {}; look again: git pertask show {run} {key}",
                short(&review.commit),
                short(&head)
            )));
        }
        (Phase::Review, Decision::Approve) => {
            item.phase = Phase::Approved {
                because: format!("approved by {by}"),
                commit: head,
                by_policy: false,
            };
            format!("{name}: approved by {by}")
        }
        (
            Phase::Review | Phase::Approved { .. } | Phase::Failed { .. } | Phase::Blocked { .. },
            Decision::Revise,
        ) => {
            let answered = matches!(
                &item.phase,
                Phase::Blocked {
                    question: Some(_),
                    ..
                }
            );
            item.count_from = item.next_attempt();
            item.pending = Some(Pending {
                kind: OrderKind::Revision,
                feedback: review.text.clone(),
                from: by.clone(),
                fresh: false,
                errors: if answered {
                    String::new()
                } else {
                    went_wrong(item)
                },
                commit: None,
            });
            item.phase = Phase::Pending;
            let what = if answered {
                "answered"
            } else {
                "changes requested"
            };
            format!("{name}: {what} by {by}")
        }
        (phase, decision) => return Err(not_now(&name, &run, key, phase, decision)),
    };
    item.reviews.push(review);
    Ok(capital(&said))
}

fn not_now(name: &str, run: &str, key: &str, phase: &Phase, decision: Decision) -> NotPossible {
    let verb = match decision {
        Decision::Approve => "approved",
        Decision::Revise => "revised",
    };
    let why = match phase {
        Phase::Pending => "it has not been attempted yet".to_owned(),
        Phase::Running { .. } => "an attempt is under way".to_owned(),
        Phase::Approved { .. } => "it is approved already".to_owned(),
        Phase::Merged => "it is merged already".to_owned(),
        Phase::Skipped { why, .. } => format!("it was left out ({why})"),
        Phase::Failed { .. } => format!(
            "its checks do not pass; try again with `git pertask retry {run} {key}`, say what to change with `git pertask revise {run} {key} -m …`, or leave it out with `git pertask skip {run} {key} -m …`"
        ),
        Phase::Blocked { .. } => {
            format!("it is blocked; answer with `git pertask revise {run} {key} -m …`")
        }
        Phase::Review => String::new(),
    };
    NotPossible(format!("{name} cannot be {verb}: {why}"))
}

/// What the next attempt on a stopped item must hear of the last.
fn went_wrong(item: &Item) -> String {
    match &item.phase {
        Phase::Failed { reasons } => match &item.pending {
            Some(pending) if !pending.errors.trim().is_empty() => pending.errors.clone(),
            _ => reasons.join("\n"),
        },
        Phase::Blocked {
            reason,
            attempted,
            question: None,
        } => {
            let mut text = format!("An earlier agent said it was blocked: {reason}\n");
            for tried in attempted {
                text.push_str("It said it had tried: ");
                text.push_str(tried);
                text.push('\n');
            }
            text
        }
        _ => String::new(),
    }
}

/// Nobody decides in a run that has ended, also when it ended after they looked.
fn not_ended(state: &State) -> Result<(), NotPossible> {
    match state.end {
        Some(_) => Err(NotPossible(format!("run {} has ended", state.run))),
        None => Ok(()),
    }
}

/// A person asks for another attempt.
///
/// # Errors
/// [`NotPossible`] when the item is neither failed nor blocked, or the run has ended.
pub fn retried(
    state: &mut State,
    key: &str,
    fresh: bool,
    by: &Person,
) -> Result<Said, NotPossible> {
    not_ended(state)?;
    let run = state.run.clone();
    let limited = state.limited.clone();
    let (item, name) = find(state, key)?;
    if let Some(agent) = item
        .is_limited()
        .filter(|agent| limited.contains_key(*agent))
    {
        let said = format!("{name}: {} asks to try the agent {agent} again", by.name);
        let agent = agent.to_owned();
        state.limited.remove(&agent);
        return Ok(capital(&said));
    }
    if !matches!(item.phase, Phase::Failed { .. } | Phase::Blocked { .. }) {
        return Err(NotPossible(format!(
            "{name} is neither failed nor blocked; `git pertask status {run}` says where it stands"
        )));
    }
    let errors = if fresh {
        String::new()
    } else {
        went_wrong(item)
    };
    let last = item.attempts.last();
    let kind = match last.map(|a| a.kind) {
        _ if fresh => OrderKind::Retry,
        Some(kind @ (OrderKind::Conflict | OrderKind::Resumed)) => kind,
        _ => OrderKind::Retry,
    };
    item.count_from = item.next_attempt();
    // A reviewer's words that the failed attempts were about still hold.
    let told = item.pending.take().filter(|p| !p.feedback.is_empty());
    let (feedback, from) = match told {
        Some(pending) => (pending.feedback, pending.from),
        None => (String::new(), by.name.clone()),
    };
    item.pending = Some(Pending {
        kind,
        feedback,
        from,
        fresh,
        errors,
        commit: None,
    });
    item.phase = Phase::Pending;
    Ok(capital(&format!(
        "{name}: {} asks for another attempt",
        by.name
    )))
}

/// A person leaves a task out; its dependents may start. A further round of a merged task is given
/// up: the task stays as it was merged. The P0 validation is left out by [`super::excepted`].
///
/// # Errors
/// [`NotPossible`] when it is merged, left out already, or being worked on.
pub fn skipped(state: &mut State, key: &str, why: &str, by: &Person) -> Result<Said, NotPossible> {
    not_ended(state)?;
    let (item, name) = find(state, key)?;
    match &item.phase {
        Phase::Merged => return Err(NotPossible(format!("{name} is merged already"))),
        Phase::Skipped { .. } => return Err(NotPossible(format!("{name} is left out already"))),
        Phase::Running { .. } => {
            return Err(NotPossible(format!(
                "an attempt on {name} is under way; interrupt it first (Ctrl-C where it runs)"
            )));
        }
        _ => {}
    }
    item.waits_for.clear();
    let given_up = item.round;
    if give_up_round(item, why, by) {
        return Ok(capital(&format!(
            "{name}: round {given_up} given up by {}, it stays as it was merged: {why}",
            by.name
        )));
    }
    item.phase = Phase::Skipped {
        why: why.to_owned(),
        by: by.clone(),
    };
    item.pending = None;
    Ok(capital(&format!("{name}: left out by {}: {why}", by.name)))
}

/// What was merged stays merged: only the further round is given up. False when there is none.
pub(super) fn give_up_round(item: &mut Item, why: &str, by: &Person) -> bool {
    let given_up = item.round;
    let Some(round) = item.rounds.last_mut() else {
        return false;
    };
    let and = format!("; round {given_up} was given up by {}: {why}", by.name);
    round.reopened.push_str(&and);
    item.branch.clone_from(&round.branch);
    item.pull.clone_from(&round.pull);
    item.merged.clone_from(&round.merged);
    item.pending = None;
    item.phase = Phase::Merged;
    true
}
