//! What the design promises of approvals: "an approval counts only for the exact content a permitted
//! person saw".

use std::collections::BTreeSet;
use std::rc::Rc;

use git_pertask::forge::words::Command as Word;
use git_pertask::plan::{CheckpointPolicy, ForgeKind, Risk};
use git_pertask::publish::{log_path, report_path};
use git_pertask::run::order::{OrderKind, Verdict};
use git_pertask::run::state::{Attempt, Item, Outcome, Phase, State};

use super::hub::{Kind, Pull, Said};
use super::invariants::{Held, held, pairs};
use super::store::Entry;
use super::world::World;

/// "Only an item that is approved … is merged."
pub fn merged_was_approved(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        if a.phase == Phase::Merged || b.phase != Phase::Merged || a.round != b.round {
            continue;
        }
        let Some(merged) = &b.merged else {
            return Err(format!("{} is merged, and nothing says how", a.key));
        };
        if a.rounds.last().is_some_and(|r| r.merged == b.merged) {
            continue;
        }
        let by_hand = merged.because.contains("merged by");
        if by_hand {
            continue;
        }
        if before.state.forge == ForgeKind::Github {
            let leaf = a
                .branch
                .as_ref()
                .map(|x| x.name.clone())
                .unwrap_or_default();
            let at = (leaf, merged.head.clone());
            // A person whose token we use merges what we would have merged: it is the same account.
            let approved =
                matches!(&a.phase, Phase::Approved { commit, .. } if *commit == merged.head);
            let known =
                w.audit.merged.contains(&at) || (approved && w.audit.merged_by_owner.contains(&at));
            held(known, || {
                format!("{} at {} was merged by nobody", a.key, &merged.head[..6])
            })?;
            continue;
        }
        let tree = w.git.tree_of(&merged.commit);
        held(tree == w.git.tree_of(&merged.head), || {
            format!("{} was merged with other content", a.key)
        })?;
        if merged.because.starts_with("policy: ") {
            policy_allows(w, before, a)?;
            continue;
        }
        let approved = w.audit.here.iter().any(|(key, commit)| {
            *key == a.key && same_content(w, &before.state, commit, &merged.head)
        });
        held(approved, || {
            format!("nobody approved {} at {}", a.key, &merged.head[..6])
        })?;
    }
    Ok(())
}

/// "What a policy merges unreviewed": by the base's policy only, and never what its agent or a person
/// wants looked at.
pub fn policy_allows(w: &World, entry: &Rc<Entry>, item: &Item) -> Held {
    let (_, config) = w.pinned_at(&entry.state.base.commit);
    let head = item
        .branch
        .as_ref()
        .map(|b| b.head.as_str())
        .unwrap_or_default();
    let made: Vec<&Attempt> = item
        .attempts
        .iter()
        .filter(|a| a.round == item.round && a.outcome == Outcome::Passed)
        .collect();
    let wants_eyes = |a: &&&Attempt| {
        let place = (item.leaf_of_attempt(a.number), a.number);
        let result = entry.records.get(&place).and_then(|r| r.result.as_ref());
        result.is_some_and(|r| r.verdict == Verdict::Passed { needs_review: true })
            || matches!(a.kind, OrderKind::Person | OrderKind::Revision)
    };
    // What is merged in later changes nothing of who wanted to see it.
    let last = made.iter().rev().find(|a| a.kind != OrderKind::Forward);
    let asked = last.as_ref().is_some_and(wants_eyes);
    let risky = item.risk == Risk::High;
    let allowed = match config.checkpoint {
        CheckpointPolicy::Every => false,
        CheckpointPolicy::HighRisk => !risky && !asked,
        CheckpointPolicy::None => !asked,
    };
    held(allowed, || {
        format!(
            "the policy does not let {} pass at {}",
            item.key,
            &head[..6]
        )
    })
}

/// Whether `later` is `earlier` but for our own log, or with the run branch brought in and the task's
/// own difference as it was.
pub fn same_content(w: &World, state: &State, earlier: &str, later: &str) -> bool {
    if earlier == later {
        return true;
    }
    if !w.git.knows(earlier) || !w.git.is_in(earlier, later) {
        return false;
    }
    // The report of the P0 validation is rendered like the log.
    let (log, report) = (log_path(state), report_path(state));
    match w.git.get(later).parents.as_slice() {
        [first] => {
            let (a, b) = (w.git.tree_of(first), w.git.tree_of(later));
            w.git
                .changes(&a, &b)
                .iter()
                .all(|(piece, _, _)| *piece == log || *piece == report)
                && same_content(w, state, earlier, first)
        }
        [first, second] => {
            let origin = w.git.base_of(first, second);
            w.git.patch(&origin, first, &log) == w.git.patch(second, later, &log)
                && same_content(w, state, earlier, first)
        }
        _ => false,
    }
}

/// "Merge only if: the newest decision of a person with write permission (not the pull request's author,
/// not the bot) is approve; no permitted person's request for changes stands; the approved commit is the
/// head." What the forge showed may be some seconds old: it must have been so at some moment of them.
pub fn approved_content(w: &mut World, number: u64, head: &str, since: i64) -> Held {
    let Some(pull) = w.hub.pull(number).cloned() else {
        return Err("there is no such pull request".to_owned());
    };
    w.audit
        .merged
        .insert((pull.branch.clone(), head.to_owned()));
    let mut why = format!("{} is at {} in no state", pull.branch, &head[..6]);
    let mut entry = w.state();
    // Another process may have recorded something while this one was about to merge.
    for _ in 0..8 {
        let Some(known) = entry else { break };
        let state = &known.state;
        let item = state.items.iter().find(|i| {
            i.branch
                .as_ref()
                .is_some_and(|b| b.name == pull.branch && b.head == head)
        });
        if let Some(item) = item {
            for version in w.hub.versions(number, since) {
                match approved_in(w, &known, item, &version, head, since) {
                    Ok(()) => return Ok(()),
                    Err(e) => why = format!("{} at {}: {e}", item.key, &head[..6]),
                }
            }
        }
        entry = known.parent.as_ref().and_then(|c| w.ledger.entry(c));
    }
    Err(why)
}

/// The rule for one moment.
pub fn approved_in(
    w: &World,
    entry: &Rc<Entry>,
    item: &Item,
    pull: &Pull,
    head: &str,
    since: i64,
) -> Held {
    let state = &entry.state;
    held(pull.base == state.run_branch.name, || {
        format!("it went to {}", pull.base)
    })?;
    held(w.git.is_in(&state.run_branch.head, head), || {
        "it lacks what was merged before".to_owned()
    })?;
    let (_, config) = w.pinned_at(&state.base.commit);
    let answers: Vec<&str> = item
        .pull
        .iter()
        .flat_map(|p| &p.heard)
        .filter(|h| h.answer)
        .map(|h| h.id.as_str())
        .collect();
    let mut approving = BTreeSet::new();
    let mut refusing = BTreeSet::new();
    for said in &pull.said {
        let member = &w.hub.members[said.who];
        if member.account.bot
            || !w.permitted_since(said.who, since)
            || answers.contains(&said.id.as_str())
        {
            continue;
        }
        let of_author = said.who == pull.author;
        let command = match &said.kind {
            Kind::Comment { text } => match git_pertask::forge::words::read(text) {
                Some(Ok(command)) => Some(command),
                _ => continue,
            },
            _ => None,
        };
        if of_author && !(command.is_some() && config.github.author_may_approve) {
            continue;
        }
        if command.is_some() && said.altered {
            continue;
        }
        let sees = |commit: &str| same_content(w, state, commit, head);
        let opinion = match (&said.kind, &command) {
            (Kind::Approval { .. }, _) => {
                Some(sees(&said.before_eyes) || put_back(w, state, pull, said, (item, head)))
            }
            (Kind::Changes { .. }, _) => None,
            (Kind::Dismissed, _) => Some(false),
            (_, Some(Word::Approve { sha })) => Some(w.git.knows(sha) && sees(sha)),
            (_, Some(Word::Revise { .. })) => None,
            _ => continue,
        };
        approving.remove(&said.who);
        refusing.remove(&said.who);
        match opinion {
            Some(true) => drop(approving.insert(said.who)),
            // Who might not decide at some moment of them was not in the way then.
            None if w.always_permitted_since(said.who, since) => drop(refusing.insert(said.who)),
            Some(false) | None => {}
        }
    }
    held(refusing.is_empty(), || {
        format!("{refusing:?} ask for changes")
    })?;
    if let Phase::Approved {
        by_policy: true, ..
    } = &item.phase
    {
        return policy_allows(w, entry, item);
    }
    let needed = config.github.approvals.max(1) as usize;
    held(approving.len() >= needed, || {
        format!("{approving:?} approve, {needed} are needed")
    })
}

/// Whether a branch that was at `head`, or what it carries on from, was rewritten with the same
/// difference, approved there, and put back: what was approved is that difference. The rewriting may
/// have come before the pull request.
pub fn put_back(
    w: &World,
    state: &State,
    pull: &Pull,
    said: &Said,
    (item, head): (&Item, &str),
) -> bool {
    let (log, base) = (log_path(state), &state.run_branch.head);
    let earlier = w.hub.heads_before(pull.number, said.at.as_millisecond());
    let patch = |commit: &str| w.git.patch(&w.git.base_of(base, commit), commit, &log);
    let carried = item.carries.iter().map(|c| c.commit.as_str());
    let was_there = |head: &str| earlier.iter().any(|h| h == head) || w.git.get(head).at <= said.at;
    w.git.knows(&said.before_eyes)
        && carried
            .chain([head])
            .any(|head| was_there(head) && patch(&said.before_eyes) == patch(head))
}
