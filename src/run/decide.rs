//! What is to be done next: a pure function from state and facts to actions.
//!
//! It is level-triggered: it looks at how things are, never at what happened, so an event that is
//! lost, doubled or late changes nothing. The caller does the first action, gathers the facts anew,
//! and asks again; an action that is no longer due is simply not named the next time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::approval::Policy;
use super::budget::Reached;
use super::order::OrderKind;
use super::seen::Seen;
use super::state::{Claim, Item, Phase, State};
use crate::plan::{ForgeKind, Limits};
use crate::plant;
use crate::run::{BASE, GATE, LAST};

/// Where a branch stands beside the commit we recorded for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Exactly there.
    Same,
    /// It is not there at all.
    Missing,
    /// At an ancestor of ours: our own move was not finished.
    Behind {
        /// Where it is.
        at: String,
    },
    /// Somebody added commits on top of ours.
    Ahead {
        /// Where it is.
        at: String,
    },
    /// It was rewritten.
    Diverged {
        /// Where it is.
        at: String,
    },
}

/// What is known of the world beside the state.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// Where each branch of ours stands, by short name.
    pub standings: BTreeMap<String, Standing>,
    /// Claims whose holder is known to be gone.
    pub gone: BTreeSet<String>,
    /// Claims for which a finished result lies on this machine.
    pub results: BTreeSet<String>,
    /// Claims that this process works on.
    pub mine: BTreeSet<String>,
    /// Keys of items whose branch contains the run branch's head.
    pub up_to_date: BTreeSet<String>,
    /// Whether a task of the pinned plan names a P0 rule.
    pub rules_named: bool,
    /// How many more attempts may run here at the same time.
    pub slots: usize,
    /// The pinned limits.
    pub limits: Option<Limits>,
    /// Name of the agent that each item would ask.
    pub agents: BTreeMap<String, String>,
    /// What an attempt of each item may cost, in US dollars, where its agent's configuration limits it.
    pub may_cost: BTreeMap<String, f64>,
    /// Whether this process has already built the base.
    pub base_built: bool,
    /// Whether this process has already looked at the gate, for this head of the run branch.
    pub gate_seen: bool,
    /// What the forge shows; `None` in the terminal, and where nobody has looked.
    pub seen: Option<Seen>,
    /// What an approval on the forge takes.
    pub policy: Policy,
    /// Items whose pull request does not show what it should.
    pub differs: BTreeSet<String>,
    /// Items that the forge would not merge, and why.
    pub held: BTreeMap<String, String>,
    /// The head of the base, when the run branch does not have it yet.
    pub base_ahead: Option<String>,
    /// Why the base cannot be brought in, once that was tried.
    pub base_held: Option<BaseHeld>,
}

/// Why the base cannot be brought into the run branch by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseHeld {
    /// It does not merge cleanly.
    Conflicts {
        /// In these files.
        files: Vec<String>,
    },
    /// The remote will not have the merge, e.g. because it brings workflow files.
    Refused {
        /// What it says.
        why: String,
    },
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Point a branch to where the ledger says it is.
    Repair {
        /// Short name.
        branch: String,
        /// Where it is now.
        from: Option<String>,
        /// Where it belongs.
        to: String,
    },
    /// Take note of commits that somebody made on the run branch.
    AdoptRun {
        /// Its head.
        commit: String,
    },
    /// Build the base, before the first agent.
    BuildBase,
    /// Record a result that was finished, but not recorded.
    Publish {
        /// The item.
        item: String,
    },
    /// Take an order back whose holder is gone.
    Free {
        /// The item.
        item: String,
        /// Why.
        why: String,
    },
    /// Check commits that a person made on a task branch.
    Adopt {
        /// The item.
        item: String,
        /// The branch's head.
        commit: String,
    },
    /// Merge an approved item into the run branch.
    Merge {
        /// The item.
        item: String,
    },
    /// Merge the run branch into an approved item's branch.
    Forward {
        /// The item.
        item: String,
    },
    /// Start an attempt.
    Start {
        /// The item.
        item: String,
    },
    /// Run the P0 rules on the run branch.
    Judge,
    /// Begin the P0 validation: one task for every open violation.
    Validate,
    /// Write the report of the P0 validation onto the run branch.
    Report,
    /// Look at the final checklist.
    Gate,
    /// Make an item's pull request show what it should: open it, or bring it up to date.
    Show {
        /// The item.
        item: String,
    },
    /// Act on what somebody said on a pull request.
    Hear {
        /// The item.
        item: String,
        /// The forge's id of what was said.
        voice: String,
    },
    /// Tell somebody that what they said was acted on.
    Answer {
        /// The item.
        item: String,
        /// The forge's id of what was said.
        voice: String,
    },
    /// Take note that enough people have approved an item.
    Approve {
        /// The item.
        item: String,
        /// Their names.
        by: Vec<String>,
    },
    /// Take note that an approval does not hold any more.
    Withdraw {
        /// The item.
        item: String,
        /// Why.
        why: String,
    },
    /// Take note of a pull request that was merged.
    TakeMerged {
        /// The item.
        item: String,
    },
    /// Take note that a pull request was closed without a merge, or opened again.
    TakeClosed {
        /// The item.
        item: String,
        /// Whether it is closed now.
        closed: bool,
    },
    /// Close the pull request of an item that was left out, or of a run that was ended.
    Close {
        /// The item.
        item: String,
    },
    /// Merge the base into the run branch.
    MergeBase {
        /// Its head.
        commit: String,
    },
}

/// Something that nothing can be done about now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// A person must decide.
    Review {
        /// The item.
        item: String,
    },
    /// A person must say how to go on.
    Stopped {
        /// The item.
        item: String,
    },
    /// A branch of ours was rewritten.
    Rewritten {
        /// Short name.
        branch: String,
        /// Where it is.
        at: String,
        /// Where it belongs.
        ours: String,
    },
    /// Another process works on it.
    Elsewhere {
        /// The item.
        item: String,
        /// Whose claim it is.
        claim: Claim,
    },
    /// This process works on it.
    Here {
        /// The item.
        item: String,
    },
    /// A limit of money or time is reached.
    Budget {
        /// The item, when it is the limit of a task.
        item: Option<String>,
        /// What was spent, and of how much.
        reached: Reached,
    },
    /// What attempts under way may still cost leaves too little of the run's money.
    SetAside {
        /// The item.
        item: String,
    },
    /// An agent is at its rate or usage limit.
    Limited {
        /// Its name.
        agent: String,
        /// When it may be asked again.
        until: Timestamp,
    },
    /// The base does not build.
    BaseBroken,
    /// The gate does not hold.
    Gate,
    /// What people said on a pull request is not enough.
    Votes {
        /// The item.
        item: String,
        /// Why not, one sentence each.
        why: Vec<String>,
    },
    /// The pull request of an item was closed.
    Closed {
        /// The item.
        item: String,
    },
    /// The forge would not merge an item.
    Held {
        /// The item.
        item: String,
        /// Why.
        why: String,
    },
    /// The base cannot be brought into the run branch.
    Base {
        /// Its head.
        commit: String,
        /// Why.
        held: BaseHeld,
    },
}

/// A limit on what attempts may spend together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Money of a task.
    TaskCost,
    /// Time of a task.
    TaskTime,
    /// Money of the run.
    RunCost,
    /// Time of the run.
    RunTime,
}

impl Limit {
    /// Its name under `[limits]`.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::TaskCost => "task_cost_usd",
            Self::TaskTime => "task_time",
            Self::RunCost => "run_cost_usd",
            Self::RunTime => "run_time",
        }
    }
}

/// What to do, and what it waits for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// In the order they are to be done.
    pub actions: Vec<Action>,
    /// What cannot be done now.
    pub waits: Vec<Wait>,
}

/// Decides.
#[must_use]
pub fn decide(state: &State, facts: &Facts) -> Decision {
    let mut decision = Decision::default();
    if state.end.is_some() {
        ended(state, facts, &mut decision);
        return decision;
    }
    if let Some(item) = merged_there(state, facts) {
        decision.actions.push(Action::TakeMerged { item });
        return decision;
    }
    run_branch(state, facts, &mut decision);
    if !decision.waits.is_empty() {
        return decision;
    }
    if !base_builds(state, facts, &mut decision) {
        return decision;
    }
    for item in &state.items {
        look_at(state, item, facts, &mut decision);
    }
    merges(state, facts, &mut decision);
    starts(state, facts, &mut decision);
    if state.items.iter().all(Item::is_settled) && decision.actions.is_empty() {
        if let Some(action) = validation(state, facts) {
            decision.actions.push(action);
            return decision;
        }
        if let Some(commit) = facts.base_ahead.clone() {
            match facts.base_held.clone() {
                Some(held) => decision.waits.push(Wait::Base { commit, held }),
                None => decision.actions.push(Action::MergeBase { commit }),
            }
            return decision;
        }
        let known_not_to_hold = state.gate.iter().any(|g| !g.holds);
        if state.forge == ForgeKind::Github && gate_holds(state) {
            let item = LAST.to_owned();
            decision.actions.push(Action::Show { item });
        } else if building(state, GATE, &state.run_branch.head, facts, &mut decision) {
            // What comes of it decides.
        } else if facts.gate_seen && known_not_to_hold {
            decision.waits.push(Wait::Gate);
        } else {
            decision.actions.push(Action::Gate);
        }
    }
    decision
}

/// What is still to be done about the P0 rules, after the plan's last task and before the gate.
fn validation(state: &State, facts: &Facts) -> Option<Action> {
    let compliance = &state.compliance;
    if !facts.rules_named && compliance.is_blank() {
        return None;
    }
    let head = Some(&state.run_branch.head);
    if facts.rules_named && compliance.judged.as_ref() != head {
        Some(Action::Judge)
    } else if compliance.open() > 0 {
        Some(Action::Validate)
    } else if compliance.reported.as_ref() != head {
        Some(Action::Report)
    } else {
        None
    }
}

fn run_branch(state: &State, facts: &Facts, decision: &mut Decision) {
    let branch = &state.run_branch;
    match facts.standings.get(&branch.name) {
        None | Some(Standing::Same) => {}
        Some(Standing::Missing) => decision.actions.push(repair(branch, None)),
        Some(Standing::Behind { at }) => decision.actions.push(repair(branch, Some(at))),
        Some(Standing::Ahead { at }) => {
            decision
                .actions
                .push(Action::AdoptRun { commit: at.clone() });
        }
        Some(Standing::Diverged { at }) => decision.waits.push(rewritten(branch, at)),
    }
}

fn repair(branch: &super::state::Branch, from: Option<&String>) -> Action {
    Action::Repair {
        branch: branch.name.clone(),
        from: from.cloned(),
        to: branch.head.clone(),
    }
}

fn rewritten(branch: &super::state::Branch, at: &str) -> Wait {
    Wait::Rewritten {
        branch: branch.name.clone(),
        at: at.to_owned(),
        ours: branch.head.clone(),
    }
}

fn base_builds(state: &State, facts: &Facts, decision: &mut Decision) -> bool {
    match &state.base_build {
        Some(build) if build.checks.iter().all(|c| c.passed) => true,
        _ if plant::is("base-is-not-built") => true,
        _ if building(state, BASE, &state.base.commit, facts, decision) => false,
        Some(_) if facts.base_built => {
            decision.waits.push(Wait::BaseBroken);
            false
        }
        _ => {
            decision.actions.push(Action::BuildBase);
            false
        }
    }
}

/// Whether somebody was handed these commands for this commit; says what follows.
fn building(
    state: &State,
    key: &str,
    commit: &str,
    facts: &Facts,
    decision: &mut Decision,
) -> bool {
    let handed = state.building.as_ref();
    let Some(building) = handed.filter(|b| b.key == key && b.commit == commit) else {
        return false;
    };
    under_way(key, &building.claim, facts, decision);
    true
}

/// Whether the final checklist was looked at for the run branch as it is, and holds.
fn gate_holds(state: &State) -> bool {
    let holds = !state.gate.is_empty() && state.gate.iter().all(|g| g.holds);
    state.gate_of.as_ref() == Some(&state.run_branch.head)
        && (holds || plant::is("gate-is-not-asked"))
}

/// What follows for work that somebody has claimed.
fn under_way(key: &str, claim: &Claim, facts: &Facts, decision: &mut Decision) {
    let item = key.to_owned();
    if facts.mine.contains(&claim.id) {
        decision.waits.push(Wait::Here { item });
    } else if facts.results.contains(&claim.id) {
        decision.actions.push(Action::Publish { item });
    } else if facts.gone.contains(&claim.id) && !plant::is("dead-claim-is-kept") {
        let why = match &claim.holder.workflow {
            Some(workflow) => format!("the workflow run {} ended without a result", workflow.run),
            None => "the process that worked on it is gone".to_owned(),
        };
        decision.actions.push(Action::Free { item, why });
    } else if claim.deadline < facts.now && !plant::is("dead-claim-is-kept")
        || plant::is("living-claim-is-freed")
    {
        let why = "its deadline has passed".to_owned();
        decision.actions.push(Action::Free { item, why });
    } else {
        let claim = claim.clone();
        decision.waits.push(Wait::Elsewhere { item, claim });
    }
}

fn look_at(state: &State, item: &Item, facts: &Facts, decision: &mut Decision) {
    let key = || item.key.clone();
    if let Phase::Running { claim } = &item.phase {
        under_way(&item.key, claim, facts, decision);
        return;
    }
    let pull = facts.seen.as_ref().and_then(|s| s.pulls.get(&item.key));
    if item.is_settled() {
        settled(item, pull, decision);
        return;
    }
    if let Some(pull) = pull
        && !open_there(item, pull, facts, decision)
    {
        return;
    }
    if let Some(branch) = &item.branch {
        match facts.standings.get(&branch.name) {
            None | Some(Standing::Same) => {}
            Some(Standing::Missing) => decision.actions.push(repair(branch, None)),
            Some(Standing::Behind { at }) => decision.actions.push(repair(branch, Some(at))),
            Some(Standing::Ahead { at }) => {
                // Checked like any attempt: it needs a place to run in.
                if facts.slots > 0 && !adopted(item, at) {
                    decision.actions.push(Action::Adopt {
                        item: key(),
                        commit: at.clone(),
                    });
                }
                return;
            }
            Some(Standing::Diverged { at }) => {
                decision.waits.push(rewritten(branch, at));
                return;
            }
        }
    }
    if facts.seen.is_some() && !shown_and_heard(state, item, pull, facts, decision) {
        return;
    }
    match &item.phase {
        Phase::Review => decision.waits.push(Wait::Review { item: key() }),
        Phase::Failed { .. } | Phase::Blocked { .. } => {
            decision.waits.push(Wait::Stopped { item: key() });
        }
        _ => {}
    }
}

/// Whether this commit of a person is what the item's next attempt looks at.
fn adopted(item: &Item, commit: &str) -> bool {
    item.phase == Phase::Pending
        && item
            .pending
            .as_ref()
            .is_some_and(|p| p.kind == OrderKind::Person && p.commit.as_deref() == Some(commit))
}

/// An item whose branch has moved, or was rewritten, is not merged before that is settled.
fn undisturbed(item: &Item, facts: &Facts) -> bool {
    let standing = item
        .branch
        .as_ref()
        .and_then(|b| facts.standings.get(&b.name));
    match standing {
        Some(Standing::Ahead { at }) => adopted(item, at),
        Some(Standing::Diverged { .. }) => false,
        _ => true,
    }
}

fn merges(state: &State, facts: &Facts, decision: &mut Decision) {
    let approved = state
        .items
        .iter()
        .filter(|i| matches!(i.phase, Phase::Approved { .. }))
        // What it builds on may have been reopened: then it waits, and is brought forward.
        .filter(|i| undisturbed(i, facts))
        .filter(|i| state.is_free(i) || plant::is("dependent-is-merged-early"));
    for item in approved {
        if let Some(why) = forge::not_mergeable(state, item, facts) {
            let item = item.key.clone();
            decision.waits.push(Wait::Held { item, why });
        } else if facts.up_to_date.contains(&item.key) || plant::is("merged-without-the-rest") {
            decision.actions.push(Action::Merge {
                item: item.key.clone(),
            });
        } else if facts.slots > 0 {
            decision.actions.push(Action::Forward {
                item: item.key.clone(),
            });
        }
    }
}

mod forge;
mod starts;

use forge::{ended, merged_there, open_there, settled, shown_and_heard};
use starts::starts;

#[cfg(test)]
mod tests;
