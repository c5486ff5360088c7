//! What follows from the pull requests of a run.

use super::super::approval::{self, Asked, Policy, Verdict};
use super::super::seen::{Command, PullStanding, SeenPull, Voice, VoiceKind};
use super::super::state::{Item, Phase, Pull, State};
use super::{Action, Decision, Facts, Standing, Wait, repair};
use crate::plan::ForgeKind;
use crate::plant;
use crate::run::LAST;

/// An item that is merged on the forge, but not in the ledger.
pub(super) fn merged_there(state: &State, facts: &Facts) -> Option<String> {
    let seen = facts.seen.as_ref()?;
    let mut items = state.items.iter().filter(|i| !i.is_settled());
    let item = items.find(|i| {
        let pull = seen.pulls.get(&i.key);
        pull.is_some_and(|p| {
            matches!(p.standing, PullStanding::Merged { .. }) && p.base == state.run_branch.name
        })
    })?;
    Some(item.key.clone())
}

/// A run that has ended: what is still open there is closed when it was ended by a person; otherwise
/// its last pull request is followed.
pub(super) fn ended(state: &State, facts: &Facts, decision: &mut Decision) {
    let Some(seen) = &facts.seen else { return };
    let aborted = state.end.as_ref().is_some_and(|e| e.aborted);
    if aborted {
        let tasks = seen.pulls.iter().map(|(key, pull)| (key.as_str(), pull));
        let all = tasks.chain(seen.last.iter().map(|pull| (LAST, pull)));
        for (key, pull) in all {
            let ours = if key == LAST {
                state.pull.as_ref()
            } else {
                state.item(key).and_then(|i| i.pull.as_ref())
            };
            decision.actions.extend(farewell(key, ours, pull));
        }
        return;
    }
    // One may have been opened just when its task was left out.
    for item in &state.items {
        if item.is_settled() {
            settled(item, seen.pulls.get(&item.key), decision);
        }
    }
    if !decision.actions.is_empty() {
        return;
    }
    let Some(pull) = &seen.last else { return };
    let item = LAST.to_owned();
    match &pull.standing {
        PullStanding::Merged { .. } if state.merged.is_none() => {
            decision.actions.push(Action::TakeMerged { item });
        }
        PullStanding::Closed | PullStanding::Open if is_news(state.pull.as_ref(), pull) => {
            let closed = pull.standing == PullStanding::Closed;
            decision.actions.push(Action::TakeClosed { item, closed });
        }
        PullStanding::Merged { .. } | PullStanding::Closed => {}
        PullStanding::Open => {
            let ours = &state.run_branch;
            match facts.standings.get(&ours.name) {
                Some(Standing::Ahead { at }) => {
                    decision
                        .actions
                        .push(Action::AdoptRun { commit: at.clone() });
                }
                Some(Standing::Behind { at }) => decision.actions.push(repair(ours, Some(at))),
                _ => {}
            }
            if let Some(voice) = next_voice(state.pull.as_ref(), pull, facts.policy, true) {
                decision.actions.push(Action::Hear {
                    item,
                    voice: voice.id.clone(),
                });
            } else if let Some(voice) = unanswered(state.pull.as_ref(), pull) {
                decision.actions.push(Action::Answer { item, voice });
            } else if facts.differs.contains(LAST) {
                decision.actions.push(Action::Show { item });
            } else if let Some(commit) = facts.base_ahead.clone()
                && pull.mergeable == Some(false)
            {
                match facts.base_held.clone() {
                    Some(held) => decision.waits.push(Wait::Base { commit, held }),
                    None => decision.actions.push(Action::MergeBase { commit }),
                }
            }
        }
    }
}

/// Whether the pull request was closed or opened again since we last recorded it. One that was never
/// recorded is news when it is closed: what is said there can only be acted on once it is known.
fn is_news(ours: Option<&Pull>, pull: &SeenPull) -> bool {
    let closed = pull.standing == PullStanding::Closed;
    ours.map_or(closed, |p| p.closed != closed)
}

/// The pull request of an item that was left out is closed. Who was heard before an item was merged some
/// other way is told so; its pull request may be open still, with what was not merged.
pub(super) fn settled(item: &Item, pull: Option<&SeenPull>, decision: &mut Decision) {
    let Some(pull) = pull else { return };
    let last = match &item.phase {
        Phase::Skipped { .. } => farewell(&item.key, item.pull.as_ref(), pull),
        _ => unanswered(item.pull.as_ref(), pull).map(|voice| Action::Answer {
            item: item.key.clone(),
            voice,
        }),
    };
    decision.actions.extend(last);
}

/// A pull request that is not needed any more is closed, once who said so is told that it was heard:
/// what is closed is not looked at again.
fn farewell(key: &str, ours: Option<&Pull>, pull: &SeenPull) -> Option<Action> {
    let item = key.to_owned();
    if let Some(voice) = unanswered(ours, pull) {
        return Some(Action::Answer { item, voice });
    }
    (pull.standing == PullStanding::Open).then_some(Action::Close { item })
}

/// Whether an item's pull request is open, so that the item can go on. Closing it is a stop, opening
/// it again ends the stop.
pub(super) fn open_there(
    item: &Item,
    pull: &SeenPull,
    facts: &Facts,
    decision: &mut Decision,
) -> bool {
    let closed = pull.standing == PullStanding::Closed;
    // Who deletes a branch closes its pull request, which cannot be opened again without it.
    if closed
        && let Some(branch) = &item.branch
        && facts.standings.get(&branch.name) == Some(&Standing::Missing)
    {
        decision.actions.push(repair(branch, None));
    }
    if is_news(item.pull.as_ref(), pull) {
        decision.actions.push(Action::TakeClosed {
            item: item.key.clone(),
            closed,
        });
        return false;
    }
    // Merged into the run branch was taken before: this one went elsewhere.
    if let PullStanding::Merged { .. } = &pull.standing {
        decision.waits.push(Wait::Held {
            item: item.key.clone(),
            why: format!(
                "its pull request was merged into {}, not into the run branch; merge its branch into the run branch by hand, or leave it out with `git pertask skip`",
                pull.base
            ),
        });
    }
    if closed {
        // Leaving it out, or ending the run, is still said there.
        if let Some(voice) = next_voice(item.pull.as_ref(), pull, facts.policy, false) {
            decision.actions.push(Action::Hear {
                item: item.key.clone(),
                voice: voice.id.clone(),
            });
        } else if let Some(voice) = unanswered(item.pull.as_ref(), pull) {
            let item = item.key.clone();
            decision.actions.push(Action::Answer { item, voice });
        }
        decision.waits.push(Wait::Closed {
            item: item.key.clone(),
        });
    }
    !closed
}

/// Brings an item's pull request up to date and takes what was said there. False when that leaves
/// nothing else to be said about the item now.
pub(super) fn shown_and_heard(
    state: &State,
    item: &Item,
    pull: Option<&SeenPull>,
    facts: &Facts,
    decision: &mut Decision,
) -> bool {
    let key = || item.key.clone();
    if facts.differs.contains(&item.key) {
        decision.actions.push(Action::Show { item: key() });
        return false;
    }
    let Some(pull) = pull else { return true };
    if let Some(voice) = next_voice(item.pull.as_ref(), pull, facts.policy, can_hear(item)) {
        decision.actions.push(Action::Hear {
            item: key(),
            voice: voice.id.clone(),
        });
        return false;
    }
    if let Some(voice) = unanswered(item.pull.as_ref(), pull) {
        decision.actions.push(Action::Answer { item: key(), voice });
        return false;
    }
    if state.forge != ForgeKind::Github {
        return true;
    }
    match (&item.phase, decided(item, pull, facts.policy)) {
        (Phase::Review, Some(Verdict::Approved { by })) => {
            let by = by.into_iter().map(|a| a.login).collect();
            decision.actions.push(Action::Approve { item: key(), by });
            false
        }
        (Phase::Review, Some(Verdict::Open { why })) if !why.is_empty() => {
            decision.waits.push(Wait::Votes { item: key(), why });
            true
        }
        (
            Phase::Approved {
                by_policy: false, ..
            },
            Some(Verdict::Open { why }),
        ) if !plant::is("approval-stays") => {
            let why = if why.is_empty() {
                "the approval is not there any more".to_owned()
            } else {
                why.join("; ")
            };
            decision.actions.push(Action::Withdraw { item: key(), why });
            false
        }
        // What policy approves waits all the same while somebody asks for changes.
        (
            Phase::Approved {
                by_policy: true, ..
            },
            _,
        ) if !approval::outstanding(pull, &answers(item), facts.policy).is_empty() => {
            let why = "somebody asks for changes".to_owned();
            decision.actions.push(Action::Withdraw { item: key(), why });
            false
        }
        _ => true,
    }
}

/// Why an approved item cannot be merged through its pull request as that is now.
pub(super) fn not_mergeable(state: &State, item: &Item, facts: &Facts) -> Option<String> {
    if state.forge != ForgeKind::Github {
        return None;
    }
    let Some(seen) = &facts.seen else {
        return Some("nobody has looked at its pull request yet".to_owned());
    };
    let Some(pull) = seen.pulls.get(&item.key) else {
        return Some("it has no pull request yet".to_owned());
    };
    let head = item.branch.as_ref().map(|b| b.head.as_str());
    if pull.base != state.run_branch.name && !plant::is("merged-wherever-it-goes") {
        Some(format!(
            "its pull request goes to {}; on GitHub, change its base back to {}",
            pull.base, state.run_branch.name
        ))
    } else if pull.standing != PullStanding::Open {
        Some("its pull request is closed".to_owned())
    } else if Some(pull.head.as_str()) != head {
        Some("its pull request does not show the commit that was checked yet".to_owned())
    } else {
        facts.held.get(&item.key).cloned()
    }
}

/// What people decided about an item's head; `None` when it has none, or has not been shown.
fn decided(item: &Item, pull: &SeenPull, policy: Policy) -> Option<Verdict> {
    let head = &item.branch.as_ref()?.head;
    let ours = item.pull.as_ref().filter(|p| p.head == *head)?;
    let answers = answers(item);
    let asked = Asked {
        head,
        since: Some(ours.since),
        carries: &item.carries,
        answers: &answers,
    };
    Some(approval::verdict(pull, &asked, policy))
}

/// Ids of what was said in answer to an agent's question.
fn answers(item: &Item) -> Vec<&str> {
    let heard = item.pull.iter().flat_map(|p| &p.heard);
    heard.filter(|h| h.answer).map(|h| h.id.as_str()).collect()
}

/// Whether a review can be taken now: there is something it would be about.
fn can_hear(item: &Item) -> bool {
    matches!(
        item.phase,
        Phase::Review | Phase::Approved { .. } | Phase::Failed { .. } | Phase::Blocked { .. }
    )
}

/// The oldest thing said that is to be acted on and was not yet.
fn next_voice<'p>(
    ours: Option<&Pull>,
    pull: &'p SeenPull,
    policy: Policy,
    reviews_too: bool,
) -> Option<&'p Voice> {
    pull.voices.iter().find(|voice| {
        let heard = ours.is_some_and(|p| p.heard.iter().any(|h| h.id == voice.id));
        let wanted = match &voice.kind {
            VoiceKind::ChangesRequested { .. } => {
                reviews_too && approval::stands(pull, voice, policy)
            }
            VoiceKind::Command(command) => {
                let any_time = matches!(
                    command,
                    Command::Abort
                        | Command::Status
                        | Command::Misread { .. }
                        | Command::Skip { .. }
                );
                // Strangers are not answered; who may write is told why it does not count.
                voice.permitted && !voice.by.bot && (any_time || reviews_too)
            }
            VoiceKind::Approval { .. } | VoiceKind::Dismissed => false,
        };
        (!heard || plant::is("heard-again")) && wanted
    })
}

/// A comment that was acted on, but whose author was not told.
fn unanswered(ours: Option<&Pull>, pull: &SeenPull) -> Option<String> {
    let heard = ours.map(|p| p.heard.as_slice()).unwrap_or_default();
    let voice = pull.voices.iter().find(|v| {
        matches!(v.kind, VoiceKind::Command(_))
            && !v.marked
            && heard.iter().any(|h| h.id == v.id && !h.answered)
    })?;
    Some(voice.id.clone())
}
