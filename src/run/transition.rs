//! The transitions of a run's state: each changes the state and says in words what happened.
//!
//! Pure. Each becomes one ledger commit, whose message is what is returned here. A command that is
//! not possible in the present state is [`NotPossible`]: nothing is changed then.

use jiff::Timestamp;
use thiserror::Error;

use super::BATCH;
use super::order::{AttemptResult, CheckOutcome, OrderKind, Verdict};
use super::state::{
    Attempt, Base, BaseBuild, Branch, CheckSummary, Claim, Decision, End, GateItem, Item, Merged,
    Outcome, Pending, Person, Phase, Review, SCHEMA, State, TaskRef,
};
use crate::plan::{CheckpointPolicy, Config, Limits, Mode, Plan, Risk};

/// A command that makes no sense in the present state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotPossible(pub String);

/// What a transition says of itself: the ledger commit's message.
pub type Said = String;

/// What a run starts from.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// Its name.
    pub run: &'a str,
    /// Its number among the runs of the plan.
    pub number: u32,
    /// The plan.
    pub plan: &'a Plan,
    /// The configuration, with the command line's choices in it.
    pub config: &'a Config,
    /// Mode and why.
    pub mode: (Mode, String),
    /// Where everything was read from.
    pub base: Base,
    /// Who starts it.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

/// The first state of a run.
#[must_use]
pub fn start(start: Start<'_>) -> State {
    let Start {
        run,
        number,
        plan,
        config,
        mode,
        base,
        by,
        at,
    } = start;
    let refs = |ids: &dyn Fn(&str) -> bool| -> Vec<TaskRef> {
        let tasks = plan.tasks.iter().zip(1u32..).filter(|(t, _)| ids(&t.id));
        tasks
            .map(|(t, position)| TaskRef {
                id: t.id.clone(),
                position,
                title: t.title.clone(),
                file: t.file.clone(),
            })
            .collect()
    };
    let item = |key: &str, position, tasks, depends_on, risk| Item {
        key: key.to_owned(),
        position,
        tasks,
        depends_on,
        risk,
        round: 1,
        phase: Phase::Pending,
        branch: None,
        attempts: Vec::new(),
        reviews: Vec::new(),
        merged: None,
        pending: None,
        count_from: 1,
    };
    let items = match mode.0 {
        Mode::Batch => {
            let high = plan.tasks.iter().any(|t| t.risk == Risk::High);
            let risk = if high { Risk::High } else { Risk::Low };
            vec![item(BATCH, 1, refs(&|_| true), Vec::new(), risk)]
        }
        Mode::PerTask => plan
            .tasks
            .iter()
            .zip(1u32..)
            .map(|(t, n)| {
                item(
                    &t.id,
                    n,
                    refs(&|id| id == t.id),
                    t.depends_on.clone(),
                    t.risk,
                )
            })
            .collect(),
    };
    State {
        schema: SCHEMA,
        run: run.to_owned(),
        plan: plan.name.clone(),
        title: plan.title.clone(),
        number,
        created: at,
        started_by: by,
        forge: config.forge,
        checkpoint: config.checkpoint,
        merge: config.merge,
        mode: mode.0,
        mode_reason: mode.1,
        run_branch: Branch {
            name: format!("pertask/{run}/main"),
            head: base.commit.clone(),
        },
        base,
        base_build: None,
        items,
        gate: Vec::new(),
        end: None,
    }
}

/// A name for messages: `task 2 of 4, client (HTTP client)`.
#[must_use]
pub fn name_of(state: &State, item: &Item) -> String {
    match item.tasks.as_slice() {
        [task] => format!(
            "task {} of {}, {} ({})",
            task.position,
            state.total(),
            task.id,
            task.title
        ),
        tasks => format!("all {} tasks", tasks.len()),
    }
}

fn find<'s>(state: &'s mut State, key: &str) -> Result<(&'s mut Item, String), NotPossible> {
    let name = state.item(key).map(|item| name_of(state, item));
    let known = state
        .items
        .iter()
        .flat_map(|i| &i.tasks)
        .map(|t| t.id.clone())
        .collect::<Vec<_>>();
    let missing = || {
        NotPossible(format!(
            "there is no task named {key}; the tasks are {}",
            known.join(", ")
        ))
    };
    let name = name.ok_or_else(missing)?;
    state
        .item_mut(key)
        .map(|item| (item, name))
        .ok_or_else(missing)
}

/// The build on the base has ended.
pub fn base_built(state: &mut State, checks: Vec<CheckOutcome>, at: Timestamp) -> Said {
    let said = match checks.iter().find(|c| !c.passed) {
        None if checks.is_empty() => "No build to try on the base".to_owned(),
        None => "The base builds".to_owned(),
        Some(bad) => format!("The base does not build: {}", bad.name),
    };
    state.base_build = Some(BaseBuild { at, checks });
    said
}

/// Somebody committed on the run branch.
pub fn run_adopted(
    state: &mut State,
    head: &str,
    merged_by_hand: &[String],
    by: &Person,
    at: Timestamp,
) -> Said {
    head.clone_into(&mut state.run_branch.head);
    for key in merged_by_hand {
        if let Some(item) = state.item_mut(key) {
            item.merged = item.branch.as_ref().map(|b| Merged {
                commit: head.to_owned(),
                head: b.head.clone(),
                at,
                because: format!("merged by hand by {}", by.name),
            });
            item.phase = Phase::Merged;
            item.pending = None;
        }
    }
    let what = if merged_by_hand.is_empty() {
        String::new()
    } else {
        format!(", merging {}", merged_by_hand.join(", "))
    };
    format!("{} committed on the run branch{what}", by.name)
}

/// Somebody takes an order.
///
/// # Errors
/// [`NotPossible`] when it is not pending.
pub fn claimed(state: &mut State, key: &str, claim: Claim) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if item.phase != Phase::Pending {
        return Err(NotPossible(format!("{name} is not waiting for an attempt")));
    }
    let what = match claim.kind {
        OrderKind::Forward => "checking with the run branch merged in".to_owned(),
        OrderKind::Person => "checking a person's commit".to_owned(),
        _ => format!("attempt {}", claim.attempt),
    };
    item.phase = Phase::Running { claim };
    Ok(capital(&format!("{name}: {what} begins")))
}

/// An order is taken back; the next attempt gets the same number.
///
/// # Errors
/// [`NotPossible`] when nobody works on it.
pub fn freed(state: &mut State, key: &str, why: &str) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if !matches!(item.phase, Phase::Running { .. }) {
        return Err(NotPossible(format!("nobody works on {name}")));
    }
    item.phase = Phase::Pending;
    Ok(capital(&format!("{name}: taken back, {why}")))
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
#[expect(
    clippy::too_many_lines,
    reason = "one arm per verdict, best read side by side"
)]
pub fn finished(
    state: &mut State,
    result: &AttemptResult,
    facts: &Facts<'_>,
) -> Result<Said, NotPossible> {
    let policy = state.checkpoint;
    let (item, name) = find(state, &result.item)?;
    let current = matches!(&item.phase, Phase::Running { claim } if claim.id == result.claim);
    if !current {
        return Err(NotPossible(format!(
            "the result of attempt {} on {name} is not of the current claim",
            result.attempt
        )));
    }
    let attempt = record(item, result, facts);
    item.attempts.push(attempt);
    let pending = item.pending.take();
    let failing = failing_output(result);
    let said = match &result.verdict {
        Verdict::Passed { needs_review } => {
            if let Some(commit) = &facts.published.commit {
                item.branch = Some(Branch {
                    name: facts.branch.to_owned(),
                    head: commit.clone(),
                });
            }
            let head = facts.published.commit.clone().unwrap_or_default();
            let carried = match (&pending, facts.kind) {
                (Some(p), OrderKind::Forward) if facts.published.carries_approval => {
                    Some(p.from.clone())
                }
                _ => None,
            };
            let asked = match policy {
                CheckpointPolicy::Every => true,
                CheckpointPolicy::HighRisk => *needs_review || item.risk == Risk::High,
                CheckpointPolicy::None => *needs_review,
            } || matches!(facts.kind, OrderKind::Person | OrderKind::Revision)
                || pending.as_ref().is_some_and(|p| !p.feedback.is_empty())
                || (facts.kind == OrderKind::Forward && carried.is_none());
            if let Some(because) = carried {
                item.phase = Phase::Approved {
                    because,
                    commit: head,
                };
                format!(
                    "{name}: still passes with the run branch merged in; the approval carries over"
                )
            } else if asked {
                item.phase = Phase::Review;
                format!(
                    "{name}: attempt {} passes its checks, waiting for a review",
                    result.attempt
                )
            } else {
                item.phase = Phase::Approved {
                    because: policy_words(policy).to_owned(),
                    commit: head,
                };
                format!(
                    "{name}: attempt {} passes its checks, approved by policy",
                    result.attempt
                )
            }
        }
        Verdict::Failed { reasons, retryable } => {
            let used = item.automatic_attempts();
            let left = usize::try_from(facts.limits.attempts)
                .unwrap_or(usize::MAX)
                .saturating_sub(used);
            if facts.kind == OrderKind::Person {
                // Their commit is the branch's head all the same, or it would be found anew for ever.
                if let Some(commit) = &facts.published.commit {
                    item.branch = Some(Branch {
                        name: facts.branch.to_owned(),
                        head: commit.clone(),
                    });
                }
                item.phase = Phase::Failed {
                    reasons: reasons.clone(),
                };
                format!(
                    "{name}: the commit of {} does not pass its checks",
                    facts.by
                )
            } else if *retryable && left > 0 {
                let kind = match (facts.kind, &pending) {
                    (OrderKind::Forward | OrderKind::Conflict, _) => OrderKind::Conflict,
                    _ => OrderKind::Retry,
                };
                item.pending = Some(Pending {
                    kind,
                    feedback: pending
                        .as_ref()
                        .map(|p| p.feedback.clone())
                        .unwrap_or_default(),
                    from: pending.as_ref().map(|p| p.from.clone()).unwrap_or_default(),
                    fresh: false,
                    errors: failing,
                    commit: pending.and_then(|p| p.commit),
                });
                item.phase = Phase::Pending;
                format!(
                    "{name}: attempt {} fails, another follows: {}",
                    result.attempt,
                    first(reasons)
                )
            } else {
                item.phase = Phase::Failed {
                    reasons: reasons.clone(),
                };
                format!(
                    "{name}: attempt {} fails: {}",
                    result.attempt,
                    first(reasons)
                )
            }
        }
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
            let kind = match facts.kind {
                OrderKind::First | OrderKind::Retry => OrderKind::Retry,
                other => other,
            };
            item.pending = Some(Pending {
                kind,
                feedback: pending
                    .as_ref()
                    .map(|p| p.feedback.clone())
                    .unwrap_or_default(),
                from: pending.as_ref().map(|p| p.from.clone()).unwrap_or_default(),
                fresh: false,
                errors: pending
                    .as_ref()
                    .map(|p| p.errors.clone())
                    .unwrap_or_default(),
                commit: pending.and_then(|p| p.commit),
            });
            item.phase = Phase::Pending;
            format!("{name}: attempt {} was interrupted", result.attempt)
        }
    };
    Ok(capital(&said))
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
        tokens: agent.and_then(|a| a.tokens),
        prompt_sha256: facts.prompt_sha256.to_owned(),
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

fn first(reasons: &[String]) -> &str {
    reasons.first().map_or("no reason given", String::as_str)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|c| c.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

/// A person decides.
///
/// # Errors
/// [`NotPossible`] when there is nothing to decide, or the commit is not the one that waits.
pub fn reviewed(state: &mut State, key: &str, mut review: Review) -> Result<Said, NotPossible> {
    let ended = state.end.is_some();
    let run = state.run.clone();
    let (item, name) = find(state, key)?;
    if ended {
        return Err(NotPossible(format!("run {run} has ended")));
    }
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
                errors: String::new(),
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

/// An abbreviated object id for people.
#[must_use]
pub fn short(oid: &str) -> &str {
    oid.get(..10).unwrap_or(oid)
}

/// An approved item is in the run branch.
///
/// # Errors
/// [`NotPossible`] when it is not approved.
pub fn merged(
    state: &mut State,
    key: &str,
    commit: &str,
    at: Timestamp,
) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    let Phase::Approved { because, .. } = item.phase.clone() else {
        return Err(NotPossible(format!("{name} is not approved")));
    };
    let head = item
        .branch
        .as_ref()
        .map(|b| b.head.clone())
        .unwrap_or_default();
    item.merged = Some(Merged {
        commit: commit.to_owned(),
        head,
        at,
        because: because.clone(),
    });
    item.phase = Phase::Merged;
    commit.clone_into(&mut state.run_branch.head);
    state.gate.clear();
    Ok(capital(&format!(
        "{name}: merged as {} ({because})",
        short(commit)
    )))
}

/// An item that must be looked at again, without an agent or with one: forward merge, conflict,
/// a person's commit.
///
/// # Errors
/// [`NotPossible`] when there is no such item.
pub fn reopened(
    state: &mut State,
    key: &str,
    mut pending: Pending,
    why: &str,
) -> Result<Said, NotPossible> {
    let (item, name) = find(state, key)?;
    if pending.from.is_empty()
        && let Phase::Approved { because, .. } = &item.phase
    {
        pending.from.clone_from(because);
    }
    if pending.kind == OrderKind::Conflict {
        item.count_from = item.next_attempt();
    }
    item.pending = Some(pending);
    item.phase = Phase::Pending;
    Ok(capital(&format!("{name}: {why}")))
}

/// A person asks for another attempt.
///
/// # Errors
/// [`NotPossible`] when the item is neither failed nor blocked.
pub fn retried(
    state: &mut State,
    key: &str,
    fresh: bool,
    by: &Person,
) -> Result<Said, NotPossible> {
    let run = state.run.clone();
    let (item, name) = find(state, key)?;
    if !matches!(item.phase, Phase::Failed { .. } | Phase::Blocked { .. }) {
        return Err(NotPossible(format!(
            "{name} is neither failed nor blocked; `git pertask status {run}` says where it stands"
        )));
    }
    let errors = match &item.phase {
        Phase::Failed { reasons } if !fresh => reasons.join("\n"),
        _ => String::new(),
    };
    let last = item.attempts.last();
    let kind = match last.map(|a| a.kind) {
        _ if fresh => OrderKind::Retry,
        Some(OrderKind::Conflict) => OrderKind::Conflict,
        _ => OrderKind::Retry,
    };
    item.count_from = item.next_attempt();
    item.pending = Some(Pending {
        kind,
        feedback: String::new(),
        from: by.name.clone(),
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

/// A person leaves a task out; its dependents may start.
///
/// # Errors
/// [`NotPossible`] when it is merged, left out already, or being worked on.
pub fn skipped(state: &mut State, key: &str, why: &str, by: &Person) -> Result<Said, NotPossible> {
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
    item.phase = Phase::Skipped {
        why: why.to_owned(),
        by: by.clone(),
    };
    item.pending = None;
    Ok(capital(&format!("{name}: left out by {}: {why}", by.name)))
}

/// A person ends the run.
///
/// # Errors
/// [`NotPossible`] when it has ended.
pub fn aborted(state: &mut State, by: &Person, at: Timestamp) -> Result<Said, NotPossible> {
    if state.end.is_some() {
        return Err(NotPossible(format!("run {} has ended already", state.run)));
    }
    state.end = Some(End {
        at,
        aborted: true,
        by: Some(by.clone()),
    });
    for item in &mut state.items {
        if matches!(item.phase, Phase::Running { .. }) {
            item.phase = Phase::Pending;
        }
    }
    Ok(format!(
        "Ended by {} before all was done; every branch is kept",
        by.name
    ))
}

/// The gate was looked at; when every item holds the run is complete.
pub fn gate_seen(state: &mut State, gate: Vec<GateItem>, at: Timestamp) -> Said {
    let bad = gate.iter().filter(|g| !g.holds).count();
    state.gate = gate;
    if bad == 0 {
        state.end = Some(End {
            at,
            aborted: false,
            by: None,
        });
        "The gate holds: the run is complete".to_owned()
    } else {
        format!(
            "The gate does not hold: {bad} of {} items",
            state.gate.len()
        )
    }
}
