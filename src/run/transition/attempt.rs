//! An order is taken, freed, and comes to an end.

use std::time::Duration;

use jiff::Timestamp;

use super::{NotPossible, Said, capital, find, first};
use crate::plan::{CheckpointPolicy, Limits, Risk};
use crate::plant;
use crate::run::P0;
use crate::run::approval::Carried;
use crate::run::blame::{self, Blame};
use crate::run::budget;
use crate::run::order::{AgentExit, AttemptResult, OrderKind, Verdict};
use crate::run::state::{
    Attempt, Branch, CheckSummary, Claim, Item, Outcome, Pending, Phase, State,
};

/// Somebody takes an order.
///
/// # Errors
/// [`NotPossible`] when it is not pending.
pub fn claimed(state: &mut State, key: &str, claim: Claim) -> Result<Said, NotPossible> {
    let notes = state.compliance.notes.len();
    let asks_agent = !matches!(claim.kind, OrderKind::Forward | OrderKind::Person);
    let (item, name) = find(state, key)?;
    if item.phase != Phase::Pending {
        return Err(NotPossible(format!("{name} is not waiting for an attempt")));
    }
    let what = match claim.kind {
        OrderKind::Forward => "checking with the run branch merged in".to_owned(),
        OrderKind::Person => "checking a person's commit".to_owned(),
        _ => format!("attempt {}", claim.attempt),
    };
    item.waits_for.clear();
    item.phase = Phase::Running { claim };
    if item.key == P0 && asks_agent {
        state.compliance.told = notes;
    }
    Ok(capital(&format!("{name}: {what} begins")))
}

/// An order is taken back; the next attempt gets the same number.
///
/// # Errors
/// [`NotPossible`] when nobody works on it.
///
/// Machines of a workflow that are lost again and again are a matter for a person.
pub fn freed(state: &mut State, key: &str, why: &str) -> Result<Said, NotPossible> {
    if let Some(said) = super::build::freed(state, key, why) {
        return Ok(said);
    }
    let (item, name) = find(state, key)?;
    let Phase::Running { claim } = &item.phase else {
        return Err(NotPossible(format!("nobody works on {name}")));
    };
    let elsewhere = claim.holder.workflow.is_some();
    item.phase = Phase::Pending;
    let end = if elsewhere { lost(item, why) } else { "" };
    Ok(capital(&format!("{name}: taken back, {why}{end}")))
}

/// How many machines in a row may be lost on one item before a person is asked.
const LOST: u32 = 3;

/// Counts a machine that was lost, or cut the work off; says so when it is one too many.
fn lost(item: &mut Item, why: &str) -> &'static str {
    item.lost += 1;
    if item.lost < LOST {
        return "";
    }
    item.lost = 0;
    item.phase = Phase::Failed {
        reasons: vec![format!(
            "{LOST} times in a row the machine that worked on it was lost, or the work was cut off there; the last time {why}"
        )],
    };
    "; it was not the first time, so a person is asked"
}

/// What publishing an attempt's result put into git.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// The commit that holds the attempt's tree.
    pub commit: Option<String>,
    /// Name of the branch it is kept on, when it did not pass.
    pub kept: Option<String>,
    /// Whether an approval of the item's former head carries over to this commit.
    pub carries_approval: bool,
    /// When the person made the commit that was checked, by their clock. What was approved before was
    /// another one: the forge moves approvals to a commit with the same difference.
    pub made: Option<Timestamp>,
}

/// What an attempt is recorded with beside its result.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Why there was an attempt.
    pub kind: OrderKind,
    /// Agent's or person's name.
    pub by: &'a str,
    /// sha256 of the prompt.
    pub prompt_sha256: &'a str,
    /// What publishing put into git.
    pub published: Published,
    /// Name of the task branch.
    pub branch: &'a str,
    /// The pinned limits.
    pub limits: &'a Limits,
}

/// An attempt has ended.
///
/// # Errors
/// [`NotPossible`] when the result is not of the current claim.
pub fn finished(
    state: &mut State,
    result: &AttemptResult,
    facts: &Facts<'_>,
) -> Result<Said, NotPossible> {
    let policy = state.checkpoint;
    let (item, name) = find(state, &result.item)?;
    let claim = match &item.phase {
        Phase::Running { claim }
            if claim.id == result.claim || plant::is("claim-is-not-compared") =>
        {
            Some(claim.clone())
        }
        _ => None,
    };
    let Some(claim) = claim else {
        return Err(NotPossible(format!(
            "the result of attempt {} on {name} is not of the current claim",
            result.attempt
        )));
    };
    let attempt = record(item, result, facts);
    item.attempts.push(attempt);
    if result.verdict != Verdict::Interrupted {
        item.lost = 0;
    }
    let pending = item.pending.take();
    let number = result.attempt;
    let said = match &result.verdict {
        Verdict::Passed { needs_review } => {
            let how = passed(item, pending, *needs_review, policy, facts);
            format!("{name}: {}", how.replace("{n}", &number.to_string()))
        }
        Verdict::Failed { .. } => match limited_until(result) {
            Some(until) => {
                let said = limited(item, pending.as_ref(), until, facts);
                state.limited.retain(|_, until| *until > result.finished);
                state.limited.insert(facts.by.to_owned(), until);
                format!("{name}: {said}")
            }
            None => failed(state, result, facts, pending.as_ref(), &name),
        },
        Verdict::Blocked { reason, attempted } => {
            item.phase = Phase::Blocked {
                reason: reason.clone(),
                attempted: attempted.clone(),
                question: None,
            };
            format!("{name}: the agent is blocked: {reason}")
        }
        Verdict::Question { question } => {
            item.phase = Phase::Blocked {
                reason: "the agent asks".to_owned(),
                attempted: Vec::new(),
                question: Some(question.clone()),
            };
            format!("{name}: the agent asks: {question}")
        }
        Verdict::Interrupted => {
            let kind = once_more(facts.kind);
            let errors = pending.as_ref().map(|p| p.errors.clone());
            let errors = errors.unwrap_or_default();
            item.pending = Some(again(kind, pending.as_ref(), errors));
            item.phase = Phase::Pending;
            let end = if claim.holder.workflow.is_some() {
                lost(item, "it was cut off")
            } else {
                ""
            };
            format!("{name}: attempt {number} was interrupted{end}")
        }
    };
    Ok(capital(&said))
}

/// Furthest end of a limit that is waited for; whatever is beyond is a matter for a person.
const LIMITED_AT_MOST: Duration = Duration::from_hours(8 * 24);

/// How many times in a row an agent may be at its limit on one item before a person is asked.
const LIMITED: usize = 5;

/// When the limit ends because of which the agent could not do its work, and that is waited for.
fn limited_until(result: &AttemptResult) -> Option<Timestamp> {
    let agent = result.agent.as_ref().filter(|a| !a.cost_missing)?;
    let failed = matches!(result.verdict, Verdict::Failed { .. });
    let until = agent.limited_until.filter(|_| failed)?;
    (until.duration_since(result.finished) <= LIMITED_AT_MOST.try_into().ok()?).then_some(until)
}

/// The agent is at its limit: the same is asked again afterwards. Says what follows.
fn limited(
    item: &mut Item,
    pending: Option<&Pending>,
    until: Timestamp,
    facts: &Facts<'_>,
) -> String {
    let in_a_row = item
        .attempts
        .iter()
        .rev()
        .take_while(|a| a.limited_until.is_some() && a.number >= item.count_from)
        .count();
    let errors = pending.map(|p| p.errors.clone()).unwrap_or_default();
    item.pending = Some(again(once_more(facts.kind), pending, errors));
    let by = facts.by;
    if in_a_row < LIMITED {
        item.phase = Phase::Pending;
        return format!(
            "the agent {by} is at its usage limit until {until}; the attempt does not count"
        );
    }
    let reason = format!(
        "{LIMITED} times in a row the agent {by} was at its usage limit, now until {until}"
    );
    item.phase = Phase::Failed {
        reasons: vec![reason.clone()],
    };
    reason
}

/// Why there is an attempt after one of this kind that came to nothing.
fn once_more(kind: OrderKind) -> OrderKind {
    match kind {
        OrderKind::First | OrderKind::Retry => OrderKind::Retry,
        other => other,
    }
}

/// Another attempt that hears what the one before was told, and these errors.
fn again(kind: OrderKind, before: Option<&Pending>, errors: String) -> Pending {
    Pending {
        kind,
        feedback: before.map(|p| p.feedback.clone()).unwrap_or_default(),
        from: before.map(|p| p.from.clone()).unwrap_or_default(),
        fresh: false,
        errors,
        commit: before.and_then(|p| p.commit.clone()),
    }
}

/// Its checks pass: says what follows, `{n}` standing for the attempt's number.
fn passed(
    item: &mut Item,
    pending: Option<Pending>,
    needs_review: bool,
    policy: CheckpointPolicy,
    facts: &Facts<'_>,
) -> &'static str {
    let seen_before = item.branch.is_some();
    let former = item.branch.take();
    let since = |head: &str| {
        let pull = item.pull.as_ref().filter(|p| p.head == head);
        pull.map(|p| p.since)
    };
    let holds_on = facts.published.carries_approval || plant::is("approval-carries-over-anything");
    match (facts.kind, &former, pending.as_ref()) {
        (OrderKind::Forward, Some(former), _) if holds_on => {
            let since = since(&former.head);
            item.carries.push(Carried {
                commit: former.head.clone(),
                since,
            });
        }
        // Our commit on top of a person's adds the log, nothing else.
        (
            OrderKind::Person,
            _,
            Some(Pending {
                commit: Some(theirs),
                ..
            }),
        ) => {
            item.carries = vec![Carried {
                commit: theirs.clone(),
                since: facts.published.made,
            }];
        }
        _ => item.carries.clear(),
    }
    item.branch = match &facts.published.commit {
        Some(commit) => Some(Branch {
            name: facts.branch.to_owned(),
            head: commit.clone(),
        }),
        None => former,
    };
    let commit = facts.published.commit.clone().unwrap_or_default();
    // A person who asked for changes sees what came of it, however many attempts it took.
    let spoken_to = pending.as_ref().is_some_and(|p| !p.feedback.is_empty());
    let carried = match (pending, facts.kind) {
        (Some(p), OrderKind::Forward) if holds_on => Some(p.from),
        _ => None,
    };
    let asked = match policy {
        CheckpointPolicy::Every => true,
        CheckpointPolicy::HighRisk => needs_review || item.risk == Risk::High,
        CheckpointPolicy::None => needs_review,
    } || matches!(facts.kind, OrderKind::Person | OrderKind::Revision)
        || spoken_to
        || (facts.kind == OrderKind::Resumed && seen_before)
        || (facts.kind == OrderKind::Forward && carried.is_none());
    if let Some(because) = carried {
        let by_policy = because.starts_with("policy: ");
        item.phase = Phase::Approved {
            because,
            commit,
            by_policy,
        };
        "still passes with the run branch merged in; the approval carries over"
    } else if asked && !plant::is("policy-asks-nobody") {
        item.phase = Phase::Review;
        "attempt {n} passes its checks, waiting for a review"
    } else {
        let because = policy_words(policy).to_owned();
        item.phase = Phase::Approved {
            because,
            commit,
            by_policy: true,
        };
        "attempt {n} passes its checks, approved by policy"
    }
}

/// Something did not hold: says what follows.
fn failed(
    state: &mut State,
    result: &AttemptResult,
    facts: &Facts<'_>,
    pending: Option<&Pending>,
    name: &str,
) -> String {
    let Verdict::Failed { reasons, retryable } = &result.verdict else {
        return String::new();
    };
    let mut reasons = reasons.clone();
    let mut failing = failing_output(result);
    let by_agent = !matches!(
        facts.kind,
        OrderKind::Forward | OrderKind::Person | OrderKind::Conflict
    );
    let blame = match state.item(&result.item) {
        Some(item) if by_agent => blame::blame(state, item, result),
        _ => Blame::Own,
    };
    match blame {
        Blame::Earlier(keys) => {
            return super::reopen::for_build(state, result, &keys, pending, &failing, name);
        }
        Blame::Nobody => {
            let said = "the build names no file of any task, so this task is attempted again";
            reasons.push(said.to_owned());
            failing.push_str("The build names no file of any task of this run.\n");
        }
        Blame::Again { keys, why } => {
            let said = format!(
                "the build fails in the file of {}, but {why}, so this task is attempted again",
                keys.join(", ")
            );
            failing.push_str(&said);
            failing.push('\n');
            reasons.push(said);
        }
        Blame::Own => {}
    }
    let over = state
        .item(&result.item)
        .and_then(|i| budget::reached(state, i, facts.limits))
        .filter(|_| by_agent || facts.kind == OrderKind::Conflict);
    if let Some(over) = over {
        reasons.push(format!("the limit `{}` is reached", over.limit.setting()));
    }
    let Some(item) = state.item_mut(&result.item) else {
        return String::new();
    };
    if let Some(attempt) = item.attempts.last_mut() {
        attempt.reasons.clone_from(&reasons);
    }
    let most = usize::try_from(facts.limits.attempts).unwrap_or(usize::MAX);
    let left = if plant::is("attempts-without-end") {
        usize::MAX
    } else {
        most
    };
    let left = left.saturating_sub(item.automatic_attempts());
    if facts.kind == OrderKind::Person {
        // No approval of what was there before is one of this.
        if !plant::is("failed-commit-keeps-approval") {
            item.carries.clear();
        }
        // Their commit is the branch's head all the same, or it would be found anew for ever.
        if let Some(commit) = &facts.published.commit {
            item.branch = Some(Branch {
                name: facts.branch.to_owned(),
                head: commit.clone(),
            });
        }
        item.phase = Phase::Failed { reasons };
        format!(
            "{name}: the commit of {} does not pass its checks",
            facts.by
        )
    } else if left > 0 && (*retryable || (over.is_some() && at_its_limit(result))) {
        let kind = match facts.kind {
            OrderKind::Forward | OrderKind::Conflict => OrderKind::Conflict,
            OrderKind::Resumed => OrderKind::Resumed,
            _ => OrderKind::Retry,
        };
        item.pending = Some(again(kind, pending, failing));
        item.phase = Phase::Pending;
        let follows = match over {
            Some(over) => format!(
                "the limit `{}` is reached, so none follows",
                over.limit.setting()
            ),
            None => "another follows".to_owned(),
        };
        format!(
            "{name}: attempt {} fails, {follows}: {}",
            result.attempt,
            first(&reasons)
        )
    } else {
        let said = format!(
            "{name}: attempt {} fails: {}",
            result.attempt,
            first(&reasons)
        );
        // For when a person asks for another.
        item.pending = Some(again(OrderKind::Retry, pending, failing));
        item.phase = Phase::Failed { reasons };
        said
    }
}

/// The agent was ended by what was left to it of time or money.
fn at_its_limit(result: &AttemptResult) -> bool {
    let agent = result.agent.as_ref().filter(|a| !a.cost_missing);
    agent.is_some_and(|a| {
        matches!(
            a.exit,
            AgentExit::TimedOut { .. } | AgentExit::OverBudget { .. }
        )
    })
}

fn record(item: &Item, result: &AttemptResult, facts: &Facts<'_>) -> Attempt {
    let agent = result.agent.as_ref();
    let handoff = result.handoff.as_ref();
    let (outcome, reasons) = match &result.verdict {
        Verdict::Passed { .. } => (Outcome::Passed, Vec::new()),
        Verdict::Failed { reasons, .. } => (Outcome::Failed, reasons.clone()),
        Verdict::Blocked { reason, .. } => (Outcome::Blocked, vec![reason.clone()]),
        Verdict::Question { question } => (Outcome::Question, vec![question.clone()]),
        Verdict::Interrupted => (Outcome::Interrupted, vec!["interrupted".to_owned()]),
    };
    Attempt {
        number: result.attempt,
        round: item.round,
        kind: facts.kind,
        by: facts.by.to_owned(),
        started: result.started,
        finished: result.finished,
        outcome,
        reasons,
        exit: agent.map(|a| a.exit.clone()),
        commit: facts.published.commit.clone(),
        tree: result.tree.clone(),
        kept: facts.published.kept.clone(),
        files: result.files.clone(),
        api: result.api.clone(),
        checks: result
            .checks
            .iter()
            .map(|c| CheckSummary {
                kind: c.kind,
                name: c.name.clone(),
                passed: c.passed,
                detail: c.detail.clone(),
            })
            .collect(),
        skills: handoff
            .map(|h| h.skills_invoked.clone())
            .unwrap_or_default(),
        notes: handoff.map(|h| h.review_notes.clone()).unwrap_or_default(),
        agent_says: handoff.and_then(|h| h.agent.clone()),
        agent_version: agent.and_then(|a| a.version.clone()),
        model: agent.and_then(|a| a.model.clone()),
        cost_usd: agent.and_then(|a| a.cost_usd),
        cost_missing: agent.is_some_and(|a| a.cost_missing),
        tokens: agent.and_then(|a| a.tokens),
        limited_until: limited_until(result),
        prompt_sha256: facts.prompt_sha256.to_owned(),
        blames: Vec::new(),
    }
}

/// Name and output of what did not hold, for the next attempt's prompt.
fn failing_output(result: &AttemptResult) -> String {
    let mut text = String::new();
    for check in result.checks.iter().filter(|c| !c.passed) {
        text.push_str(&check.name);
        text.push_str(": ");
        text.push_str(&check.detail);
        text.push('\n');
        if !check.output.trim().is_empty() {
            text.push_str(check.output.trim_end());
            text.push('\n');
        }
    }
    if let Verdict::Failed { reasons, .. } = &result.verdict {
        let unsaid: Vec<_> = reasons
            .iter()
            .filter(|r| !text.contains(*r))
            .cloned()
            .collect();
        for reason in unsaid {
            text.push_str(&reason);
            text.push('\n');
        }
    }
    text
}

fn policy_words(policy: CheckpointPolicy) -> &'static str {
    match policy {
        CheckpointPolicy::Every => "policy: checkpoint every",
        CheckpointPolicy::HighRisk => "policy: checkpoint high-risk, and this task is not",
        CheckpointPolicy::None => "policy: checkpoint none",
    }
}
