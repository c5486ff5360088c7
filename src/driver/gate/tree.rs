//! Items of the gate about files: the log, the files that must be there, the registration.

use super::{Read, counted, excused, merged, unless, with_exceptions};
use crate::attempt::checks::registered;
use crate::plan::Plan;
use crate::publish;
use crate::report;
use crate::run::order::Change;
use crate::run::state::{GateItem, Item, Phase, State, TaskRef};
use crate::run::transition::short;

/// Lines of a section that are the tool's own and never change after the commit.
const FIELDS: [&str; 8] = [
    "- Status: ",
    "- Started: ",
    "- Completed: ",
    "- Duration: ",
    "- Lines: ",
    "- Build: ",
    "- Agent: ",
    "- Skills invoked: ",
];

/// Each merged task's section came with its merge, says what the ledger says, and is still there.
pub(super) fn logged(state: &State, read: Read<'_>) -> anyhow::Result<GateItem> {
    let path = publish::log_path(state);
    let name = path.rsplit('/').next().unwrap_or(&path);
    let now = read(&state.run_branch.head, &path)?.unwrap_or_default();
    let (mut wrong, mut excuses) = (Vec::new(), Vec::new());
    let mut sections = 0_usize;
    for item in merged(state) {
        let Some(merge) = &item.merged else { continue };
        let then = read(&merge.commit, &path)?.unwrap_or_default();
        let mut found = Vec::new();
        for task in &item.tasks {
            sections += 1;
            if let Some(what) = differs(state, item, task, &then) {
                let commit = short(&merge.commit);
                found.push(format!(
                    "{path}: at {commit}, the merge of {}, {what}",
                    task.id
                ));
            } else if section(&now, task).is_none() {
                found.push(format!("{path}: the section of {} is gone", task.id));
            }
        }
        excused(item, found, &mut wrong, &mut excuses);
    }
    let found = format!("{path}: {}", counted(sections, "section"));
    let item = unless(&format!("{name} updated after each task"), &wrong, found);
    Ok(with_exceptions(item, &excuses))
}

/// How a log's section of a task differs from what the ledger says.
fn differs(state: &State, item: &Item, task: &TaskRef, log: &str) -> Option<String> {
    let Some(found) = section(log, task) else {
        return Some("it has no section".to_owned());
    };
    let rendered = report::log::render(state, &[item.key.as_str()]);
    let wanted = section(&rendered, task)?;
    wanted
        .lines()
        .filter(|line| FIELDS.iter().any(|field| line.starts_with(field)))
        .find(|line| !found.lines().any(|l| l == *line))
        .map(|line| format!("its section does not say `{line}`"))
}

/// The section of a task in a log.
fn section<'l>(log: &'l str, task: &TaskRef) -> Option<&'l str> {
    let heading = format!("## Task {}:", task.position);
    let start = if log.starts_with(&heading) {
        0
    } else {
        log.find(&format!("\n{heading}"))? + 1
    };
    let rest = &log[start..];
    let end = rest[2..].find("\n## ").map_or(rest.len(), |at| at + 2);
    Some(&rest[..end])
}

/// Every file that `file-placement.md` lists, and every task's own, is there.
pub(super) fn placed(state: &State, plan: &Plan, read: Read<'_>) -> anyhow::Result<GateItem> {
    let mut missing = Vec::new();
    let mut excused = Vec::new();
    let mut there = 0_usize;
    let mut wanted: Vec<(&str, bool)> = Vec::new();
    for file in &plan.placement {
        wanted.push((&file.path, file.optional));
    }
    for task in &plan.tasks {
        if !wanted.iter().any(|(path, _)| *path == task.file) {
            wanted.push((&task.file, false));
        }
    }
    let all = wanted.len();
    for (path, optional) in wanted {
        if read(&state.run_branch.head, path)?.is_some() {
            there += 1;
            continue;
        }
        let task = plan.tasks.iter().find(|t| t.file == *path);
        let item = task.and_then(|t| state.item(&t.id));
        match item.map(|i| &i.phase) {
            Some(Phase::Skipped { why, by }) => {
                excused.push(format!("{path} left out by {} ({why})", by.name));
            }
            _ if optional => excused.push(format!("{path} is optional")),
            Some(Phase::Merged) | None => missing.push(format!("missing: {path}")),
            Some(_) => missing.push(format!("missing: {path}, the task is not merged yet")),
        }
    }
    let mut item = unless(
        "All files created per file-placement.md",
        &missing,
        format!("{there} of {} there", counted(all, "file")),
    );
    for exception in excused {
        item.detail.push_str("; exception: ");
        item.detail.push_str(&exception);
    }
    Ok(item)
}

/// What a task must register itself in names it, on the run branch's syntax trees.
pub(super) fn registered(state: &State, plan: &Plan, read: Read<'_>) -> anyhow::Result<GateItem> {
    let head = &state.run_branch.head;
    let at_head = |path: &str| read(head, path);
    let mut wrong = Vec::new();
    let mut found = Vec::new();
    let mut excused = Vec::new();
    let mut registries: Vec<&str> = Vec::new();
    for task in &plan.tasks {
        for glob in &task.requires {
            let name = glob.rsplit('/').next().unwrap_or(glob);
            if !registries.contains(&name) {
                registries.push(name);
            }
            let Some(item) = state.item(&task.id) else {
                continue;
            };
            match &item.phase {
                Phase::Skipped { why, by } => {
                    excused.push(format!("{} left out by {} ({why})", task.id, by.name));
                    continue;
                }
                Phase::Merged => {}
                _ => {
                    wrong.push(format!("{} is not merged yet", task.id));
                    continue;
                }
            }
            // Any attempt of the task may have made the change: a later one builds on it.
            let mut changed: Vec<&str> = item
                .attempts
                .iter()
                .flat_map(|a| &a.files)
                .filter(|f| f.change != Change::Deleted)
                .map(|f| f.path.as_str())
                .collect();
            changed.sort_unstable();
            changed.dedup();
            match registered::look(&at_head, &task.file, glob, &changed)? {
                Some(Ok(said)) => found.push(said),
                Some(Err(why)) => wrong.push(why),
                None => wrong.push(format!("{} changed nothing that matches {glob}", task.id)),
            }
        }
    }
    let label = if registries.is_empty() {
        "Handler registered".to_owned()
    } else {
        format!("Handler registered in {}", registries.join(", "))
    };
    let said = if registries.is_empty() {
        "the plan asks for none".to_owned()
    } else {
        found.join("; ")
    };
    let mut item = unless(&label, &wrong, said);
    for exception in excused {
        if !item.detail.is_empty() {
            item.detail.push_str("; ");
        }
        item.detail.push_str("exception: ");
        item.detail.push_str(&exception);
    }
    Ok(item)
}

/// No violation of a P0 rule, and no note of a reviewer, is left but by an exception.
pub(super) fn compliant(state: &State, plan: &Plan) -> GateItem {
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
    super::item(
        "P0 requirements hold",
        compliance.open() == 0,
        said.join("; "),
    )
}
