//! What happened on the pull requests of a run.

use jiff::Timestamp;

use super::{NotPossible, Said, capital, find, name_of, short};
use crate::plan::Risk;
use crate::run::order::OrderKind;
use crate::run::state::{
    Branch, Decision, End, Heard, Item, Merged, Pending, Person, Phase, Pull, Review, State,
    TaskRef,
};
use crate::run::{LAST, P0, REPAIR};

fn pull_mut<'s>(state: &'s mut State, key: &str) -> Result<&'s mut Option<Pull>, NotPossible> {
    if key == LAST {
        return Ok(&mut state.pull);
    }
    find(state, key).map(|(item, _)| &mut item.pull)
}

fn name(state: &State, key: &str) -> String {
    match state.item(key) {
        Some(item) => name_of(state, item),
        None => "the final pull request".to_owned(),
    }
}

/// An item's pull request shows its head.
///
/// # Errors
/// [`NotPossible`] when there is no such item.
pub fn shown(state: &mut State, key: &str, seen: Pull) -> Result<Said, NotPossible> {
    let name = name(state, key);
    let pull = pull_mut(state, key)?;
    let (number, head) = (seen.number, seen.head.clone());
    let said = match pull {
        None => format!("{name}: pull request #{number} is open"),
        Some(before) if before.head == head => {
            format!("{name}: pull request #{number} is up to date")
        }
        Some(_) => format!("{name}: pull request #{number} shows {}", short(&head)),
    };
    let before = pull.take().unwrap_or_default();
    *pull = Some(Pull {
        replied: seen.replied.or(before.replied),
        heard: before.heard,
        ..seen
    });
    Ok(capital(&said))
}

/// An item that stopped before any of its attempts passed gets its branch, with the log alone, so
/// that there is something to open a pull request from.
///
/// # Errors
/// [`NotPossible`] when it has one.
pub fn laid_out(state: &mut State, key: &str, branch: Branch) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if item.branch.is_some() {
        return Err(NotPossible(format!("{name} has a branch already")));
    }
    item.branch = Some(branch);
    Ok(capital(&format!(
        "{name}: its branch is laid out, with its log entry"
    )))
}

/// A pull request was closed without a merge, or opened again.
///
/// # Errors
/// [`NotPossible`] when there is no such item, or it has none.
pub fn closed(state: &mut State, key: &str, is_closed: bool) -> Result<Said, NotPossible> {
    let name = name(state, key);
    let pull = pull_mut(state, key)?
        .as_mut()
        .ok_or_else(|| NotPossible(format!("{name} has no pull request")))?;
    pull.closed = is_closed;
    let number = pull.number;
    let what = if is_closed { "closed" } else { "opened again" };
    Ok(capital(&format!(
        "{name}: pull request #{number} was {what}"
    )))
}

/// What came of something said on a pull request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hearing {
    /// The forge's ids of what was said.
    pub ids: Vec<String>,
    /// What is told in reply.
    pub reply: Option<String>,
    /// Whether it was followed.
    pub followed: bool,
    /// Whether it answered an agent's question.
    pub answer: bool,
}

/// Notes that something said on a pull request was acted on.
///
/// # Errors
/// [`NotPossible`] when there is no such item, or it has no pull request.
pub fn heard(state: &mut State, key: &str, hearing: &Hearing) -> Result<(), NotPossible> {
    let name = name(state, key);
    let pull = pull_mut(state, key)?
        .as_mut()
        .ok_or_else(|| NotPossible(format!("{name} has no pull request")))?;
    for id in &hearing.ids {
        pull.heard.push(Heard {
            id: id.clone(),
            reply: hearing.reply.clone(),
            followed: hearing.followed,
            answer: hearing.answer,
            answered: false,
        });
    }
    Ok(())
}

/// Notes that who said something was told what came of it.
///
/// # Errors
/// [`NotPossible`] when there is no such item, or it has no pull request.
pub fn answered(state: &mut State, key: &str, id: &str, by: &str) -> Result<Said, NotPossible> {
    let name = name(state, key);
    let pull = pull_mut(state, key)?
        .as_mut()
        .ok_or_else(|| NotPossible(format!("{name} has no pull request")))?;
    for heard in pull.heard.iter_mut().filter(|h| h.id == id) {
        heard.answered = true;
    }
    Ok(capital(&format!("{name}: the comment of {by} is answered")))
}

/// An approval does not hold any more.
///
/// # Errors
/// [`NotPossible`] when the item is not approved.
pub fn withdrawn(state: &mut State, key: &str, why: &str) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if !matches!(item.phase, Phase::Approved { .. }) {
        return Err(NotPossible(format!("{name} is not approved")));
    }
    item.phase = Phase::Review;
    Ok(capital(&format!(
        "{name}: waiting for a review again: {why}"
    )))
}

/// An item's pull request was merged on the forge, by whomever: its content is in the run branch.
///
/// # Errors
/// [`NotPossible`] when there is no such item, or it is settled.
pub fn taken(
    state: &mut State,
    key: &str,
    merged: Merged,
    run_head: &str,
) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if item.is_settled() {
        return Err(NotPossible(format!("{name} is settled already")));
    }
    let said = format!(
        "{name}: merged as {} ({})",
        short(&merged.commit),
        merged.because
    );
    item.merged = Some(merged);
    item.phase = Phase::Merged;
    item.pending = None;
    item.waits_for.clear();
    let is_validation = item.key == P0;
    run_head.clone_into(&mut state.run_branch.head);
    state.gate.clear();
    if is_validation {
        super::compliance::mended(state);
    }
    Ok(capital(&said))
}

/// The base was merged into the run branch; what was complete is to be looked at again.
pub fn base_merged(state: &mut State, commit: &str, base: &str) -> Said {
    commit.clone_into(&mut state.run_branch.head);
    state.gate.clear();
    state.end = None;
    format!(
        "{} has moved on to {} and is merged into the run branch",
        state.base.branch,
        short(base)
    )
}

/// The last pull request is open: the run is complete.
///
/// # Errors
/// [`NotPossible`] when the gate does not hold.
pub fn completed(state: &mut State, seen: Pull, at: Timestamp) -> Result<Said, NotPossible> {
    let holds = !state.gate.is_empty() && state.gate.iter().all(|g| g.holds);
    if !holds && !crate::plant::is("gate-is-not-asked") {
        return Err(NotPossible("the gate does not hold".to_owned()));
    }
    let number = seen.number;
    shown(state, LAST, seen)?;
    state.end = Some(End {
        at,
        aborted: false,
        by: None,
    });
    Ok(format!(
        "The run is complete: pull request #{number} takes it into {}",
        state.base.branch
    ))
}

/// There is nothing in the run branch that the base does not have, and so no pull request to open.
///
/// # Errors
/// [`NotPossible`] when the gate does not hold.
pub fn completed_empty(state: &mut State, at: Timestamp) -> Result<Said, NotPossible> {
    if state.gate.is_empty() || state.gate.iter().any(|g| !g.holds) {
        return Err(NotPossible("the gate does not hold".to_owned()));
    }
    state.end = Some(End {
        at,
        aborted: false,
        by: None,
    });
    Ok(format!(
        "The run is complete: it has nothing that {} does not have",
        state.base.branch
    ))
}

/// The last pull request was merged.
pub fn last_merged(state: &mut State, merged: Merged) -> Said {
    let said = format!(
        "Merged into {} as {} ({})",
        state.base.branch,
        short(&merged.commit),
        merged.because
    );
    state.merged = Some(merged);
    said
}

/// Changes were requested on the last pull request: one more task, or one more round of it.
pub fn repair_opened(state: &mut State, review: Review) -> Said {
    state.end = None;
    state.gate.clear();
    let by = review.by.name.clone();
    let pending = Pending {
        kind: OrderKind::Revision,
        feedback: review.text.clone(),
        from: by.clone(),
        fresh: false,
        errors: String::new(),
        commit: None,
    };
    if state.item(REPAIR).is_none() {
        let position = 1 + state.items.iter().map(|i| i.position).max().unwrap_or(0);
        let tasks = state.items.iter().flat_map(|i| &i.tasks);
        let number = 1 + tasks.map(|t| t.position).max().unwrap_or(0);
        let tasks = vec![TaskRef {
            id: REPAIR.to_owned(),
            position: number,
            title: "Changes requested at the end".to_owned(),
            file: String::new(),
        }];
        state
            .items
            .push(Item::new(REPAIR, position, tasks, Vec::new(), Risk::High));
    }
    if let Some(item) = state.item_mut(REPAIR) {
        if item.phase == Phase::Merged {
            super::reopen::open(item, &format!("changes requested by {by} at the end"), "");
        }
        if matches!(item.phase, Phase::Skipped { .. }) {
            item.phase = Phase::Pending;
        }
        item.count_from = item.next_attempt();
        item.pending = Some(pending);
        item.reviews.push(Review {
            decision: Decision::Revise,
            round: item.round,
            ..review
        });
    }
    format!("Changes requested on the final pull request by {by}: one more task")
}

/// A person of a forge, as git would name them.
#[must_use]
pub fn person(id: u64, login: &str) -> Person {
    Person {
        name: login.to_owned(),
        email: format!("{id}+{login}@users.noreply.github.com"),
    }
}
