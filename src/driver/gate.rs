//! The gate: the seed's final checklist and the P0 requirements, each line computed from the ledger
//! and the tree.

use crate::git::Repo;
use crate::ledger::{Ledger, Snapshot};
use crate::plan::{Plan, SourceKind};
use crate::publish;
use crate::run::order::{CheckKind, CheckOutcome, Order};
use crate::run::state::{GateItem, Item, Phase, State};

/// Looks at every line of the checklist. `builds` are the outcomes of the final build.
///
/// # Errors
/// When the ledger or the tree cannot be read.
pub(super) fn items(
    repo: &Repo,
    ledger: &Ledger<'_>,
    snapshot: &Snapshot,
    plan: &Plan,
    builds: &[CheckOutcome],
) -> anyhow::Result<Vec<GateItem>> {
    let state = &snapshot.state;
    Ok(vec![
        identified(state, plan),
        ordered(state, plan),
        fresh(state),
        context(ledger, snapshot, plan)?,
        validated(state),
        logged(repo, state)?,
        placed(repo, state, plan)?,
        required(state, plan),
        compliant(state, plan),
        built(builds),
    ])
}

fn line(item: &str, holds: bool, detail: String) -> GateItem {
    GateItem {
        item: item.to_owned(),
        holds,
        detail,
    }
}

fn merged(state: &State) -> impl Iterator<Item = &Item> {
    state.items.iter().filter(|i| i.phase == Phase::Merged)
}

fn identified(state: &State, plan: &Plan) -> GateItem {
    let from = match plan.source.kind {
        SourceKind::PlanToml | SourceKind::Architecture => plan.source.path.clone(),
        SourceKind::Template => format!("the template {}", plan.source.path),
    };
    let missing: Vec<_> = plan
        .tasks
        .iter()
        .filter(|t| state.item(&t.id).is_none())
        .map(|t| t.id.as_str())
        .collect();
    let detail = if missing.is_empty() {
        format!("{} tasks from {from}, all in the run", plan.tasks.len())
    } else {
        format!("not in the run: {}", missing.join(", "))
    };
    line("All tasks identified", missing.is_empty(), detail)
}

fn ordered(state: &State, plan: &Plan) -> GateItem {
    // In batch mode one agent has them all; the plan's order is what its prompt says.
    let mut wrong = Vec::new();
    for item in merged(state) {
        for needed in &item.depends_on {
            let started = item.attempts.first().map(|a| a.started);
            let before = state
                .item(needed)
                .and_then(Item::first_merged)
                .map(|m| m.at);
            if let (Some(started), Some(before)) = (started, before)
                && started < before
            {
                wrong.push(format!("{} began before {needed} was merged", item.key));
            }
        }
    }
    let order = plan
        .tasks
        .iter()
        .map(|t| t.id.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let holds = wrong.is_empty();
    line(
        "Tasks ordered by dependency",
        holds,
        if holds { order } else { wrong.join("; ") },
    )
}

fn fresh(state: &State) -> GateItem {
    let without: Vec<_> = merged(state)
        .filter(|i| i.attempts.is_empty())
        .map(|i| i.key.as_str())
        .collect();
    let attempts: usize = state.items.iter().map(|i| i.attempts.len()).sum();
    let detail = if without.is_empty() {
        format!("{attempts} attempts, each a process of its own")
    } else {
        format!("no attempt on record for {}", without.join(", "))
    };
    line(
        "Each task spawned with a fresh agent",
        without.is_empty(),
        detail,
    )
}

fn context(ledger: &Ledger<'_>, snapshot: &Snapshot, plan: &Plan) -> anyhow::Result<GateItem> {
    let mut wrong = Vec::new();
    let mut looked_at = 0;
    for item in merged(&snapshot.state) {
        for attempt in item.attempts.iter().filter(|a| !a.prompt_sha256.is_empty()) {
            let path = format!("{}/order.json", publish::attempt_dir(item, attempt.number));
            let order = ledger.file(&snapshot.commit, &path)?;
            let order: Option<Order> = order.and_then(|b| serde_json::from_slice(&b).ok());
            let Some(order) = order else {
                wrong.push(format!(
                    "no order on record for attempt {} on {}",
                    attempt.number, item.key
                ));
                continue;
            };
            looked_at += 1;
            for needed in &item.depends_on {
                let file = plan
                    .tasks
                    .iter()
                    .find(|t| t.id == *needed)
                    .map(|t| t.file.as_str());
                let skipped = snapshot
                    .state
                    .item(needed)
                    .is_some_and(|i| i.phase != Phase::Merged);
                if file.is_some_and(|f| !order.prompt.contains(f)) && !skipped {
                    wrong.push(format!(
                        "the prompt of {} does not name what {needed} made",
                        item.key
                    ));
                }
            }
        }
    }
    let holds = wrong.is_empty();
    let detail = if holds {
        format!("{looked_at} prompts looked at")
    } else {
        wrong.join("; ")
    };
    Ok(line(
        "Each task includes context from prior tasks",
        holds,
        detail,
    ))
}

fn validated(state: &State) -> GateItem {
    let mut wrong = Vec::new();
    for item in merged(state) {
        let head = item.merged.as_ref().map(|m| m.head.as_str());
        let checked = item
            .attempts
            .iter()
            .rev()
            .find(|a| a.commit.as_deref() == head);
        match checked {
            None => wrong.push(format!(
                "{} was merged at a commit that no attempt made",
                item.key
            )),
            Some(a) if a.checks.iter().any(|c| !c.passed) => {
                wrong.push(format!("{} was merged with a failing check", item.key));
            }
            Some(_) => {}
        }
    }
    let holds = wrong.is_empty();
    let builds = state
        .items
        .iter()
        .flat_map(|i| &i.attempts)
        .flat_map(|a| &a.checks)
        .filter(|c| c.kind == CheckKind::Build)
        .count();
    let detail = if holds {
        format!("{builds} builds run by the tool")
    } else {
        wrong.join("; ")
    };
    line("Each task validated", holds, detail)
}

fn logged(repo: &Repo, state: &State) -> anyhow::Result<GateItem> {
    let path = publish::log_path(state);
    let text = repo
        .file(&state.run_branch.head, &path)?
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let missing: Vec<_> = merged(state)
        .flat_map(|i| &i.tasks)
        .filter(|t| {
            !text
                .lines()
                .any(|l| l.starts_with(&format!("## Task {}:", t.position)))
        })
        .map(|t| t.id.as_str())
        .collect();
    let detail = if missing.is_empty() {
        path
    } else {
        format!("{path} has no section for {}", missing.join(", "))
    };
    Ok(line(
        "implementation-log.md updated after each task",
        missing.is_empty(),
        detail,
    ))
}

fn placed(repo: &Repo, state: &State, plan: &Plan) -> anyhow::Result<GateItem> {
    let mut excused = Vec::new();
    let mut missing = Vec::new();
    let mut wanted: Vec<String> = plan.placement.iter().map(|p| p.path.clone()).collect();
    for task in &plan.tasks {
        if !wanted.contains(&task.file) {
            wanted.push(task.file.clone());
        }
    }
    for path in &wanted {
        if repo.file(&state.run_branch.head, path)?.is_some() {
            continue;
        }
        let task = plan.tasks.iter().find(|t| t.file == *path);
        match task.and_then(|t| state.item(&t.id)).map(|i| &i.phase) {
            Some(Phase::Skipped { why, by }) => {
                excused.push(format!("{path} left out by {} ({why})", by.name));
            }
            _ => missing.push(path.clone()),
        }
    }
    let holds = missing.is_empty();
    let mut detail = if holds {
        format!(
            "{} of {} files there",
            wanted.len() - excused.len(),
            wanted.len()
        )
    } else {
        format!("missing: {}", missing.join(", "))
    };
    for exception in excused {
        detail.push_str("; exception: ");
        detail.push_str(&exception);
    }
    Ok(line(
        "All files created per file-placement.md",
        holds,
        detail,
    ))
}

fn required(state: &State, plan: &Plan) -> GateItem {
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    for task in &plan.tasks {
        let Some(item) = state.item(&task.id).filter(|i| i.phase == Phase::Merged) else {
            continue;
        };
        for glob in &task.requires {
            let matcher = crate::attempt::checks::scope::matcher(std::slice::from_ref(glob));
            let touched = item
                .attempts
                .iter()
                .flat_map(|a| &a.files)
                .find(|f| matcher.is_match(&f.path));
            match touched {
                Some(file) => found.push(format!("{} changed by {}", file.path, task.id)),
                None => wrong.push(format!("{} changed nothing that matches {glob}", task.id)),
            }
        }
    }
    let holds = wrong.is_empty();
    let detail = match (holds, found.is_empty()) {
        (true, true) => "the plan asks for none".to_owned(),
        (true, false) => found.join("; "),
        (false, _) => wrong.join("; "),
    };
    line("Handler registered", holds, detail)
}

fn compliant(state: &State, plan: &Plan) -> GateItem {
    let compliance = &state.compliance;
    let files = publish::judged_files(state, plan);
    let rules: usize = files.iter().map(|f| f.rules.len()).sum();
    let judged = files.iter().filter(|f| !f.rules.is_empty()).count();
    let mut said = Vec::new();
    if rules == 0 {
        said.push("the plan names no P0 rule".to_owned());
    } else {
        said.push(format!("{rules} rules asked of {judged} files"));
    }
    for finding in compliance.open_findings() {
        said.push(format!(
            "{}:{}: {} ({})",
            finding.file, finding.line, finding.message, finding.rule
        ));
    }
    for note in compliance.open_notes() {
        said.push(format!("noted by {}: {}", note.by.name, note.text));
    }
    for exception in &compliance.exceptions {
        let place = match (exception.file.as_str(), exception.line) {
            ("", _) => "the whole".to_owned(),
            (file, 0) => file.to_owned(),
            (file, line) => format!("{file}:{line}"),
        };
        said.push(format!(
            "exception: {} at {place}, let pass by {} ({})",
            exception.rule, exception.by.name, exception.why
        ));
    }
    line(
        "P0 requirements hold",
        compliance.open() == 0,
        said.join("; "),
    )
}

/// An item of the plan's own, from the outcome of its command.
pub(super) fn own(item: &str, outcomes: &[CheckOutcome]) -> GateItem {
    let Some(outcome) = outcomes.first() else {
        return line(item, false, "its command was not run".to_owned());
    };
    let detail = if outcome.passed {
        outcome.name.clone()
    } else {
        format!("{}: {}", outcome.name, outcome.detail)
    };
    line(item, outcome.passed, detail)
}

fn built(builds: &[CheckOutcome]) -> GateItem {
    let bad = builds.iter().find(|b| !b.passed);
    let detail = match bad {
        Some(bad) => format!("{}: {}", bad.name, bad.detail),
        None if builds.is_empty() => "the plan names no build".to_owned(),
        None => builds
            .iter()
            .map(|b| b.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    };
    line("Final build succeeds", bad.is_none(), detail)
}
