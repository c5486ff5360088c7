//! What the design promises, as code: one function for each sentence of it.
//!
//! They are written from the design (`docs/design.md`), not from the code they are about: none of them
//! calls what it is there to catch.

use std::collections::BTreeSet;
use std::rc::Rc;

use git_pertask::plan::ForgeKind;
use git_pertask::run::P0;
use git_pertask::run::decide::{Action, Decision, Facts};
use git_pertask::run::order::OrderKind;
use git_pertask::run::state::{Decision as Opinion, Item, Outcome, Phase, State};

use super::approved::merged_was_approved;
use super::decided::{
    actions_once, decide_is_pure, freed_when_gone, settled_is_left, starts_within_limits,
};
use super::ended::{end_is_earned, nothing_after_end, skipped_by_person};
use super::store::Entry;
use super::world::World;

pub type Held = Result<(), String>;

/// A check of two states that follow each other.
type OfStep = fn(&World, &Rc<Entry>, &Rc<Entry>) -> Held;
/// A check of a state by itself.
type OfState = fn(&World, &Rc<Entry>) -> Held;
/// A check of what was decided.
type OfDecision = fn(&World, &State, &Facts, &Decision) -> Held;

pub const STEP: &[(&str, OfStep)] = &[
    (
        "attempts are only added, and no number is used again",
        attempts_grow,
    ),
    ("reviews, rounds and notes are only added", history_grows),
    ("what was heard is not acted on twice", heard_once),
    ("one claim at a time, and none is used again", one_claim),
    (
        "a result is accepted from the current claim only",
        result_of_claim,
    ),
    (
        "what a task builds on is settled before it begins and before it is merged",
        dependencies_settled,
    ),
    ("the run branch only grows", run_branch_grows),
    (
        "what is merged has all that was merged before",
        has_the_rest,
    ),
    ("the base builds before the first agent", base_built_first),
    ("attempts keep to their limit", attempts_limited),
    ("the money limit of the run is kept", budget_kept),
    (
        "a task goes from phase to phase as the design has it",
        phases_follow,
    ),
    ("a task is left out by a person only", skipped_by_person),
    (
        "what is merged was approved, or merged by hand",
        merged_was_approved,
    ),
    (
        "a branch under review gets only what passed its checks, and people's commits",
        branch_gets_passed,
    ),
    (
        "a run ends when all is settled and the gate holds, or a person ends it",
        end_is_earned,
    ),
    ("nothing goes on in a run that has ended", nothing_after_end),
];

pub const STATE: &[(&str, OfState)] = &[
    ("what was merged is in the run branch", merged_is_there),
    ("items have branches of their own", branches_apart),
    ("what we wrote is believed", believed),
];

pub const DECISION: &[(&str, OfDecision)] = &[
    (
        "decide depends on nothing but what it is given",
        decide_is_pure,
    ),
    ("nothing begins beyond the limits", starts_within_limits),
    (
        "a claim is freed only when its holder is gone or its time is over",
        freed_when_gone,
    ),
    ("each thing is decided on once", actions_once),
    (
        "nothing is done about what is settled but to close it",
        settled_is_left,
    ),
];

pub fn kind_of(action: &Action) -> &'static str {
    match action {
        Action::Repair { .. } => "decide: repair",
        Action::AdoptRun { .. } => "decide: adopt run",
        Action::BuildBase => "decide: build base",
        Action::Publish { .. } => "decide: publish",
        Action::Free { .. } => "decide: free",
        Action::Adopt { .. } => "decide: adopt",
        Action::Merge { .. } => "decide: merge",
        Action::Forward { .. } => "decide: forward",
        Action::Start { .. } => "decide: start",
        Action::Judge => "decide: judge",
        Action::Validate => "decide: validate",
        Action::Report => "decide: report",
        Action::Gate => "decide: gate",
        Action::Show { .. } => "decide: show",
        Action::Hear { .. } => "decide: hear",
        Action::Answer { .. } => "decide: answer",
        Action::Approve { .. } => "decide: approve",
        Action::Withdraw { .. } => "decide: withdraw",
        Action::TakeMerged { .. } => "decide: take merged",
        Action::TakeClosed { .. } => "decide: take closed",
        Action::Close { .. } => "decide: close",
        Action::MergeBase { .. } => "decide: merge base",
    }
}

pub fn held(holds: bool, why: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(why()) }
}

/// Items that both states have.
pub fn pairs<'s>(before: &'s State, after: &'s State) -> Vec<(&'s Item, &'s Item)> {
    let items = before.items.iter();
    items
        .filter_map(|a| Some((a, after.items.iter().find(|b| b.key == a.key)?)))
        .collect()
}

/// Design, words: "attempt"; orders: "number of the attempt within the task, from 1, never reused".
fn attempts_grow(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        let kept = b.attempts.len() >= a.attempts.len()
            && a.attempts.iter().zip(&b.attempts).all(|(x, y)| x == y);
        held(kept, || format!("attempts of {} were changed", a.key))?;
        let numbers: Vec<u32> = b.attempts.iter().map(|x| x.number).collect();
        let grow = numbers.windows(2).all(|w| w[0] < w[1]);
        held(grow, || {
            format!("attempts of {} have the numbers {numbers:?}", a.key)
        })?;
    }
    Ok(())
}

/// "The ledger … history"; "No work is ever deleted".
fn history_grows(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        let reviews = b.reviews.starts_with(&a.reviews);
        held(reviews, || format!("reviews of {} were changed", a.key))?;
        let rounds = a.rounds.len() <= b.rounds.len()
            && a.rounds
                .iter()
                .zip(&b.rounds)
                .all(|(x, y)| x.number == y.number && x.merged == y.merged);
        held(rounds, || format!("rounds of {} were changed", a.key))?;
    }
    let (a, b) = (&before.state.compliance, &after.state.compliance);
    let texts = |c: &git_pertask::run::compliance::Compliance| -> Vec<String> {
        c.notes.iter().map(|n| n.text.clone()).collect()
    };
    held(texts(b).starts_with(&texts(a)), || {
        "notes were changed".to_owned()
    })?;
    held(b.exceptions.starts_with(&a.exceptions), || {
        "exceptions were changed".to_owned()
    })
}

/// "What was said is acted on once; the ledger has its id."
fn heard_once(_: &World, _: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    let state = &after.state;
    let pulls = state.items.iter().flat_map(|i| {
        let rounds = i.rounds.iter().filter_map(|r| r.pull.as_ref());
        i.pull.iter().chain(rounds)
    });
    let mut heard = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for pull in pulls.chain(&state.pull) {
        // A round that was given up has the pull request of the one before once more.
        if !seen.insert(pull.number) {
            continue;
        }
        for said in &pull.heard {
            held(heard.insert(&said.id), || {
                format!("{} was heard twice", said.id)
            })?;
        }
    }
    let mut asked = BTreeSet::new();
    for review in state.items.iter().flat_map(|i| &i.reviews) {
        if review.decision == Opinion::Revise {
            for id in review.source.iter().flat_map(|s| &s.ids) {
                held(asked.insert(id), || format!("{id} asked for two revisions"))?;
            }
        }
    }
    Ok(())
}

pub fn claim(item: &Item) -> Option<&git_pertask::run::state::Claim> {
    match &item.phase {
        Phase::Running { claim } => Some(claim),
        _ => None,
    }
}

/// "It accepts a result only from the current claim on that order": there is one, and who takes an
/// order takes it from nobody.
fn one_claim(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        let Some(new) = claim(b) else { continue };
        if let Some(old) = claim(a) {
            held(old == new, || format!("a claim on {} was replaced", a.key))?;
            continue;
        }
        held(a.phase == Phase::Pending, || {
            format!("{} was not to be had", a.key)
        })?;
        held(new.attempt == a.next_attempt(), || {
            format!("a claim on attempt {} of {}", new.attempt, a.key)
        })?;
        held(!w.audit.claims.contains_key(&new.id), || {
            format!("claim {} was used before", new.id)
        })?;
    }
    if let (Some(a), Some(b)) = (&before.state.building, &after.state.building) {
        held(a == b || a.commit != b.commit || a.key != b.key, || {
            format!("a claim on {} was replaced", a.key)
        })?;
    }
    Ok(())
}

/// "It accepts a result only from the current claim on that order."
fn result_of_claim(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        if a.attempts.len() == b.attempts.len() {
            continue;
        }
        let name = || a.key.clone();
        held(b.attempts.len() == a.attempts.len() + 1, || {
            format!("two attempts at once on {}", name())
        })?;
        let Some(claim) = claim(a) else {
            return Err(format!("a result on {}, which nobody had claimed", name()));
        };
        let new = &b.attempts[b.attempts.len() - 1];
        let place = (b.leaf_of_attempt(new.number), new.number);
        let record = after.records.get(&place).and_then(|r| r.result.clone());
        let made = record.as_ref().map(|r| r.claim.as_str());
        held(
            made == Some(&claim.id) && new.number == claim.attempt,
            || {
                format!(
                    "the result of claim {made:?} on {} was taken for that of {}",
                    name(),
                    claim.id
                )
            },
        )?;
    }
    Ok(())
}

/// "For each task, when those it depends on are merged": settled is merged, or left out by a person.
fn dependencies_settled(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    let settled = |key: &String| {
        let item = before.state.items.iter().find(|i| i.key == *key);
        item.is_none_or(|i| matches!(i.phase, Phase::Merged | Phase::Skipped { .. }))
    };
    for (a, b) in pairs(&before.state, &after.state) {
        let begins = claim(a).is_none() && claim(b).is_some();
        let merges = matches!(a.phase, Phase::Approved { .. }) && b.phase == Phase::Merged;
        let by_hand = b
            .merged
            .as_ref()
            .is_some_and(|m| m.because.starts_with("merged by"));
        if begins || (merges && !by_hand) {
            let open: Vec<&String> = a
                .depends_on
                .iter()
                .chain(&a.waits_for)
                .filter(|k| !settled(k))
                .collect();
            held(open.is_empty(), || format!("{} before {open:?}", a.key))?;
        }
    }
    Ok(())
}

/// "Branches under review only grow", and so does the branch they go to.
fn run_branch_grows(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    let (a, b) = (&before.state.run_branch.head, &after.state.run_branch.head);
    held(w.git.is_in(a, b), || {
        format!("{} is not in {}", &a[..6], &b[..6])
    })
}

/// "Only an item … whose branch contains the run branch, is merged": nobody's work is undone by it.
fn has_the_rest(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        let merged = b.merged.as_ref().filter(|_| a.phase != Phase::Merged);
        let Some(merged) = merged.filter(|m| !m.because.contains("merged by")) else {
            continue;
        };
        let given_up = a.rounds.last().is_some_and(|r| r.merged == b.merged);
        let ours = before.state.forge == ForgeKind::Local && !given_up;
        let head = &before.state.run_branch.head;
        held(!ours || w.git.is_in(head, &merged.head), || {
            format!("{} lacks {}", a.key, &head[..6])
        })?;
    }
    Ok(())
}

/// "The build runs once on the base before the first agent."
fn base_built_first(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    let build = before.state.base_build.as_ref();
    let builds = build.is_some_and(|b| b.checks.iter().all(|c| c.passed));
    for (a, b) in pairs(&before.state, &after.state) {
        let begins = claim(a).is_none() && claim(b).is_some_and(|c| is_agents(c.kind));
        held(!begins || builds, || format!("{} begins", a.key))?;
    }
    Ok(())
}

pub fn is_agents(kind: OrderKind) -> bool {
    !matches!(
        kind,
        OrderKind::Forward | OrderKind::Person | OrderKind::Build
    )
}

/// "`attempts`: automatic attempts per task before a person is asked."
fn attempts_limited(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        if let (None, Some(claim)) = (claim(a), claim(b))
            && is_agents(claim.kind)
        {
            let tries = w.audit.tries.get(&a.key).copied().unwrap_or(0);
            held(tries < before.config.limits.attempts, || {
                format!(
                    "attempt {} on {} after {tries} that failed",
                    claim.attempt, a.key
                )
            })?;
        }
    }
    Ok(())
}

/// "Reaching a limit of money … is a stop": no agent is asked any more, and those that are keep to it
/// together.
fn budget_kept(w: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    let limits = &before.config.limits;
    let spent = |of: Option<&str>| -> f64 {
        let results = before.records.values().filter_map(|r| r.result.as_ref());
        let results = results.filter(|r| of.is_none_or(|key| r.item == key));
        results.filter_map(|r| r.agent.as_ref()?.cost_usd).sum()
    };
    if let Some(limit) = after.config.limits.run_cost_usd
        && !w.audit.cost_lost
    {
        let all = after.state.cost_usd();
        // What is left is given out in whole cents.
        held(all < limit + 0.1, || {
            format!("{all:.2} of {limit} are spent")
        })?;
    }
    for (a, b) in pairs(&before.state, &after.state) {
        if let (None, Some(claim)) = (claim(a), claim(b))
            && is_agents(claim.kind)
        {
            for (limit, spent) in [
                (limits.run_cost_usd, spent(None)),
                (limits.task_cost_usd, spent(Some(&a.key))),
            ] {
                held(limit.is_none_or(|limit| spent < limit), || {
                    format!("{} begins after {spent:.2} of {limit:?}", a.key)
                })?;
            }
            // "Money that attempts under way may still cost is set aside."
            let aside = pairs(&before.state, &after.state)
                .into_iter()
                .filter(|(other, _)| other.key != a.key)
                .filter_map(|(other, _)| self::claim(other)?.may_cost_cents);
            let aside: u64 = aside.sum();
            if let (Some(limit), true) = (limits.run_cost_usd, aside > 0) {
                let own = claim
                    .may_cost_cents
                    .and_then(|c| u32::try_from(aside + c).ok());
                let all = spent(None) + f64::from(own.unwrap_or(u32::MAX)) / 100.0;
                held(all <= limit + 0.011, || {
                    format!("{} begins where {all:.2} of {limit} may be spent", a.key)
                })?;
            }
        }
    }
    Ok(())
}

/// "pending → running → review → approved → merged", with the ways back that "The phases of an item"
/// names.
fn phases_follow(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    use Phase::{Approved, Blocked, Failed, Merged, Pending, Review, Running, Skipped};
    let ends = after.state.end.is_some() && before.state.end.is_none();
    for (a, b) in pairs(&before.state, &after.state) {
        if std::mem::discriminant(&a.phase) == std::mem::discriminant(&b.phase) {
            continue;
        }
        let by_hand = b
            .merged
            .as_ref()
            .is_some_and(|m| m.because.contains("merged by"));
        let round_given_up = b.phase == Merged && a.round == b.round && !a.rounds.is_empty();
        let fine = match (&a.phase, &b.phase) {
            (Pending, Running { .. } | Skipped { .. })
            | (
                Running { .. },
                Pending | Review | Approved { .. } | Failed { .. } | Blocked { .. },
            )
            | (Review, Approved { .. } | Pending | Skipped { .. })
            | (Approved { .. }, Merged | Review | Pending | Skipped { .. })
            | (Failed { .. } | Blocked { .. }, Pending | Skipped { .. }) => true,
            // A further round, or what is put right once more.
            (Merged, Pending) => b.round == a.round + 1,
            (Skipped { .. }, Pending) => git_pertask::run::is_extra(&a.key),
            (_, Merged) => by_hand || round_given_up,
            _ => false,
        };
        held(fine || ends, || {
            format!("{} went from {:?} to {:?}", a.key, a.phase, b.phase)
        })?;
    }
    Ok(())
}

/// "The task branch only receives attempts whose checks passed", or commits of people.
fn branch_gets_passed(_: &World, before: &Rc<Entry>, after: &Rc<Entry>) -> Held {
    for (a, b) in pairs(&before.state, &after.state) {
        let (Some(new), old) = (&b.branch, &a.branch) else {
            continue;
        };
        if old.as_ref().map(|o| &o.head) == Some(&new.head) || a.round != b.round {
            continue;
        }
        // A round that is given up has its branch again.
        if b.phase == Phase::Merged || a.attempts.len() == b.attempts.len() {
            continue;
        }
        let made = b.attempts.last();
        let fine =
            made.is_some_and(|m| m.outcome == Outcome::Passed || m.kind == OrderKind::Person);
        held(fine, || {
            format!("the branch of {} got what did not pass", a.key)
        })?;
    }
    Ok(())
}

/// "Failure never restarts a finished task, and no work is ever deleted."
fn merged_is_there(w: &World, entry: &Rc<Entry>) -> Held {
    let head = &entry.state.run_branch.head;
    for item in &entry.state.items {
        let rounds = item.rounds.iter().filter_map(|r| r.merged.as_ref());
        for merged in item.merged.iter().chain(rounds) {
            held(w.git.is_in(&merged.commit, head), || {
                format!("{} at {}", item.key, &merged.commit[..6])
            })?;
        }
    }
    Ok(())
}

/// "A branch of its own": no two items share one, and none is the run branch.
fn branches_apart(_: &World, entry: &Rc<Entry>) -> Held {
    let mut names = BTreeSet::from([entry.state.run_branch.name.as_str()]);
    for item in &entry.state.items {
        if let Some(branch) = &item.branch {
            held(names.insert(&branch.name), || {
                format!("{} twice", branch.name)
            })?;
        }
    }
    Ok(())
}

/// "Where a write token is at stake, a ledger is believed only as far as it follows from its base":
/// what we wrote ourselves does, or no job would go on with it.
fn believed(w: &World, entry: &Rc<Entry>) -> Held {
    if entry.state.forge != ForgeKind::Github {
        return Ok(());
    }
    let snapshot = super::store::Snapshot {
        commit: String::new(),
        entry: Rc::clone(entry),
    };
    w.examine(&snapshot).map(drop)
}

/// Keeps what later steps are held against.
pub fn learn(w: &mut World, before: &Rc<Entry>, after: &Rc<Entry>) {
    for (a, b) in pairs(&before.state, &after.state) {
        if let (None, Some(claim)) = (claim(a), claim(b)) {
            w.audit.claims.insert(claim.id.clone(), a.key.clone());
        }
        if let (Some(claim), None) = (claim(a), claim(b)) {
            let lost = b.attempts.len() == a.attempts.len() && is_agents(claim.kind);
            w.audit.cost_lost |= lost;
        }
        let tries = w.audit.tries.entry(a.key.clone()).or_default();
        if b.attempts.len() > a.attempts.len() {
            let new = &b.attempts[b.attempts.len() - 1];
            // What another task's file broke, or a machine cut off, is no failure of its own.
            if is_agents(new.kind)
                && new.outcome == Outcome::Failed
                && new.blames.is_empty()
                && new.limited_until.is_none()
            {
                *tries += 1;
            } else if new.outcome == Outcome::Passed {
                *tries = 0;
            }
            continue;
        }
        let was_stopped = matches!(
            a.phase,
            Phase::Review
                | Phase::Approved { .. }
                | Phase::Failed { .. }
                | Phase::Blocked { .. }
                | Phase::Merged
                | Phase::Skipped { .. }
        );
        // A person said something, or it is another piece of work.
        if (was_stopped && b.phase == Phase::Pending) || b.round > a.round {
            *tries = 0;
        }
    }
    let mut meets = |now: bool, before: bool, what| {
        if now && !before {
            w.audit.meets(what);
        }
    };
    let has = |entry: &Rc<Entry>, test: &dyn Fn(&Item) -> bool| entry.state.items.iter().any(test);
    let here = |test: &dyn Fn(&Item) -> bool| (has(after, test), has(before, test));
    let (now, then) = here(&|i| i.key == P0);
    meets(now, then, "P0 validation");
    let (now, then) = here(&|i| i.round > 1);
    meets(now, then, "round two");
    let (now, then) = here(&|i| i.carries.iter().any(|c| c.since.is_some()));
    meets(now, then, "an approval that carries over");
    let policy = |i: &Item| {
        let merged = i.merged.as_ref();
        merged.is_some_and(|m| m.because.starts_with("policy: "))
    };
    let (now, then) = here(&policy);
    meets(now, then, "a merge by policy");
    let ended = |entry: &Rc<Entry>, aborted| {
        let end = entry.state.end.as_ref();
        end.is_some_and(|e| e.aborted == aborted)
    };
    meets(
        ended(after, false),
        ended(before, false),
        "a run that ends complete",
    );
    meets(
        ended(after, true),
        ended(before, true),
        "a run that is ended",
    );
}
