//! The block of all tasks: where each stands, its pull request, and what depends on what.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Links, PullRef, is_extra, name, number, parts, region};
use crate::report::clean;
use crate::report::markdown::{cell, line};
use crate::report::status::TaskState;
use crate::run::state::{Item, State};

/// Most items that are listed and drawn; of larger runs, what is open.
const MANY: usize = 60;

/// Most lines between tasks that are drawn; Mermaid refuses 500.
const EDGES: usize = 400;

/// Each state with its colours in the graph: GitHub's own for labels.
const COLOURS: [(TaskState, &str); 8] = [
    (TaskState::Pending, "fill:#eaeef2,color:#24292f"),
    (TaskState::Running, "fill:#54aeff,color:#24292f"),
    (TaskState::Review, "fill:#d4a72c,color:#24292f"),
    (TaskState::Approved, "fill:#4ac26b,color:#24292f"),
    (TaskState::Merged, "fill:#8250df,color:#ffffff"),
    (TaskState::Failed, "fill:#cf222e,color:#ffffff"),
    (TaskState::Blocked, "fill:#bc4c00,color:#ffffff"),
    (TaskState::Skipped, "fill:#6e7781,color:#ffffff"),
];

/// The block of all tasks with its markers, on the page of `own`.
#[must_use]
pub fn tasks_block(
    state: &State,
    pulls: &BTreeMap<String, PullRef>,
    links: &Links,
    own: Option<&Item>,
) -> String {
    block(state, pulls, links, MANY, own)
}

/// `old`, a pull request's body as it is now, with only the block of all tasks renewed. `None` when
/// nothing differs, or when it has no such block.
#[must_use]
pub fn updated_tasks(old: &str, block: &str) -> Option<String> {
    region::replaced(old, block, region::TASKS, false)
}

/// [`tasks_block`] with at most so many rows.
pub(super) fn block(
    state: &State,
    pulls: &BTreeMap<String, PullRef>,
    links: &Links,
    most: usize,
    own: Option<&Item>,
) -> String {
    let items: Vec<&Item> = state.items.iter().collect();
    let whole = items.len() <= most.min(MANY);
    let listed: Vec<&Item> = if whole {
        items.clone()
    } else {
        let open = items.iter().filter(|i| !i.is_settled());
        open.copied().take(most.min(MANY)).collect()
    };
    let mut out = String::from("### All tasks\n\n");
    let _ = writeln!(out, "{}.\n", counts(&items));
    if !listed.is_empty() {
        out.push_str("| | Task | State | Pull request |\n|---|---|---|---|\n");
    }
    for item in &listed {
        let which = number(state, item).unwrap_or_default();
        let which = which.split('/').next().unwrap_or_default();
        let page = pulls.get(&item.branch_leaf());
        let page = match page {
            _ if own.is_some_and(|own| own.key == item.key) => "this one".to_owned(),
            Some(page) => parts::pull(page, links),
            None => String::new(),
        };
        let _ = writeln!(
            out,
            "| {which} | {} | {} | {page} |",
            cell(&line(&name(state, item), 100)),
            said(of(item)),
        );
    }
    if whole {
        graph(&mut out, &items);
    } else {
        let _ = writeln!(
            out,
            "\n{} of {} are listed, the open ones first to last.",
            listed.len(),
            items.len()
        );
    }
    region::TASKS.around("", &out)
}

/// `1 merged, 1 in review, 2 pending`.
pub(in crate::report) fn counts(items: &[&Item]) -> String {
    let order = [
        TaskState::Merged,
        TaskState::Approved,
        TaskState::Review,
        TaskState::Running,
        TaskState::Failed,
        TaskState::Blocked,
        TaskState::Skipped,
        TaskState::Pending,
    ];
    let said: Vec<String> = order
        .iter()
        .map(|state| {
            let count = items.iter().filter(|i| of(i) == *state).count();
            (count, said(*state))
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if said.is_empty() {
        "No tasks".to_owned()
    } else {
        said.join(", ")
    }
}

fn of(item: &Item) -> TaskState {
    TaskState::from(&item.phase)
}

/// The state as one says it of a task.
fn said(state: TaskState) -> &'static str {
    match state {
        TaskState::Review => "in review",
        TaskState::Skipped => "left out",
        other => other.word(),
    }
}

fn word(item: &Item) -> &'static str {
    of(item).word()
}

/// What depends on what, as Mermaid draws it; nothing for a single item, nor where it would be too
/// much to be drawn.
pub(in crate::report) fn graph(out: &mut String, items: &[&Item]) {
    let nodes: BTreeMap<&str, usize> = items
        .iter()
        .enumerate()
        .map(|(i, item)| (item.key.as_str(), i + 1))
        .collect();
    let mut edges = std::collections::BTreeSet::new();
    for (i, item) in items.iter().enumerate() {
        let needed = item.depends_on.iter().chain(&item.waits_for);
        let needed = needed.filter_map(|key| nodes.get(key.as_str()));
        edges.extend(needed.map(|needed| (i + 1, *needed)).take(EDGES + 1));
    }
    if items.len() < 2 || edges.len() > EDGES {
        return;
    }
    out.push_str("\n```mermaid\ngraph TD\n");
    for (i, item) in items.iter().enumerate() {
        let which = if is_extra(item) {
            String::new()
        } else {
            format!("{} ", item.position)
        };
        let _ = writeln!(
            out,
            "  t{}[\"{which}{}: {}\"]:::{}",
            i + 1,
            label(&item.key),
            said(of(item)),
            word(item)
        );
    }
    for (i, needed) in edges {
        let _ = writeln!(out, "  t{needed} --> t{i}");
    }
    for (state, style) in COLOURS {
        if items.iter().any(|item| of(item) == state) {
            let _ = writeln!(out, "  classDef {} {style}", state.word());
        }
    }
    out.push_str("```\n");
}

/// A key as text of a node: nothing that Mermaid reads as syntax.
fn label(key: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    clean::line(key).chars().filter(plain).take(40).collect()
}
