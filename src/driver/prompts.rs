//! Fills in what a prompt is made of, from the plan, the state and the ledger.

use super::orders::Orders;
use crate::plan::Documents as _;
use crate::prompt::{self, FailedCheck, Feedback, Kind, PriorTask, PromptContext, Violation};
use crate::rules::user::UserRule;
use crate::run::order::OrderKind;
use crate::run::state::{Item, Phase, State, TaskRef};
use crate::run::{BATCH, P0, REPAIR};

/// The prompt for the item's next attempt.
pub(super) fn prompt(orders: &Orders<'_>, item: &Item, kind: OrderKind) -> anyhow::Result<String> {
    let documents = orders.documents();
    let tasks = orders.tasks(item);
    let ids: Vec<&str> = tasks.iter().map(|t| t.id.as_str()).collect();
    let team = orders.user_rules()?;
    let rule = |id: &str| {
        let own = crate::rules::by_id(id).map(|r| r.prompt_text.to_owned());
        own.or_else(|| {
            team.iter()
                .find(|r| r.id() == id)
                .map(UserRule::prompt_text)
        })
        .unwrap_or_default()
    };
    let mut context = PromptContext::new(&orders.state.run, orders.plan, &ids, &rule)
        .with_prior(prior(orders.state, item));
    for path in orders
        .plan
        .inputs
        .iter()
        .filter(|p| p.ends_with("discovery.md"))
    {
        if let Some(text) = documents.read(path)? {
            context = context.with_discovery(path, &text, orders.plan);
        }
    }
    context.attempt = item.next_attempt();
    context.round = item.round;
    // Every attempt of a further round hears why there is one.
    if let Some(round) = item.rounds.last() {
        context.checks.push(FailedCheck {
            name: "why this task is open again".to_owned(),
            detail: round.reopened.clone(),
            output: round.errors.clone(),
        });
    }
    if let Some(pending) = &item.pending {
        context.fresh = pending.fresh;
        if !pending.feedback.trim().is_empty() {
            context.feedback.push(Feedback {
                by: pending.from.clone(),
                place: String::new(),
                text: pending.feedback.clone(),
            });
        }
        if !pending.errors.trim().is_empty() {
            context.checks.push(FailedCheck {
                name: "what went wrong".to_owned(),
                detail: String::new(),
                output: pending.errors.clone(),
            });
        }
    }
    context.question = item
        .attempts
        .last()
        .filter(|a| a.outcome == crate::run::state::Outcome::Question)
        .and_then(|a| a.reasons.first().cloned());
    if item.key == P0 {
        violations(orders.state, &mut context);
    }
    let kind = match kind {
        _ if item.key == P0 => Kind::P0,
        OrderKind::Conflict => Kind::Conflict,
        _ if item.key == REPAIR => Kind::Repair,
        OrderKind::Retry | OrderKind::Resumed => Kind::Retry,
        OrderKind::Reopened => Kind::Reopen,
        OrderKind::Revision => Kind::Revision,
        _ if item.key == BATCH => Kind::Batch,
        _ => Kind::Task,
    };
    Ok(prompt::render(kind, &context, &documents)?)
}

/// Every violation that the P0 validation is to put right.
fn violations(state: &State, context: &mut PromptContext) {
    let compliance = &state.compliance;
    context.violations = compliance
        .open_findings()
        .map(|f| Violation {
            rule: f.rule.clone(),
            place: format!("{}:{}:{}", f.file, f.line, f.column),
            message: f.message.clone(),
            hint: f.hint.clone(),
        })
        .collect();
    context.notes = compliance
        .open_notes()
        .map(|n| Feedback {
            by: n.by.name.clone(),
            place: n.file.clone(),
            text: n.text.clone(),
        })
        .collect();
}

/// What the merged and left-out tasks made: names, lines and API, never their history.
fn prior(state: &State, present: &Item) -> Vec<PriorTask> {
    // A task that is open again is still there as it was merged.
    let settled = state.items.iter().filter(|i| i.key != present.key);
    let settled: Vec<Item> = settled.filter_map(Item::as_merged).collect();
    settled
        .iter()
        .flat_map(|item| item.tasks.iter().map(move |task| prior_task(item, task)))
        .collect()
}

fn prior_task(item: &Item, task: &TaskRef) -> PriorTask {
    let work = item.latest_work();
    let lines = work
        .and_then(|w| w.files.iter().find(|f| f.path == task.file))
        .map(|f| f.lines);
    PriorTask {
        number: task.position as usize,
        id: task.id.clone(),
        title: task.title.clone(),
        file: task.file.clone(),
        status: match item.phase {
            Phase::Skipped { .. } => "skipped".to_owned(),
            _ => "completed".to_owned(),
        },
        lines,
        api: work.map(|w| w.api.clone()).unwrap_or_default(),
        api_left_out: 0,
        files_created: work
            .map(|w| w.files.iter().map(|f| f.path.clone()).collect())
            .unwrap_or_default(),
    }
}
