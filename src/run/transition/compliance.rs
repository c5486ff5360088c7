//! P0 violations: found, noted, let pass, and put right together after the last task.

use jiff::Timestamp;

use super::{NotPossible, Said, find, reopen};
use crate::plan::Risk;
use crate::rules::Finding;
use crate::run::P0;
use crate::run::compliance::{Exception, Note, NoteStanding, same};
use crate::run::order::OrderKind;
use crate::run::state::{Item, Pending, Person, Phase, State, TaskRef};

/// The rules were run on the run branch at `commit`. Says what is new, if anything is.
pub fn judged(state: &mut State, commit: &str, findings: Vec<Finding>) -> Option<Said> {
    let before = state.compliance.open();
    state.compliance.judged = Some(commit.to_owned());
    state.compliance.findings = findings;
    let open = state.compliance.open();
    match (before, open) {
        (before, open) if before == open => None,
        (_, 0) => Some("No P0 violation is left on the run branch".to_owned()),
        (_, open) => Some(format!(
            "{} on the run branch, to be put right after the last task",
            violations(open)
        )),
    }
}

/// `1 P0 violation`, `2 P0 violations`.
#[must_use]
pub fn violations(count: usize) -> String {
    if count == 1 {
        "1 P0 violation".to_owned()
    } else {
        format!("{count} P0 violations")
    }
}

/// A reviewer records a violation that no rule sees.
///
/// # Errors
/// [`NotPossible`] when the run has ended, or there is no such task.
pub fn noted(
    state: &mut State,
    task: Option<&str>,
    text: &str,
    by: &Person,
    at: Timestamp,
) -> Result<Said, NotPossible> {
    if state.end.is_some() {
        return Err(NotPossible(format!(
            "run {} has ended; nothing is put right in it any more",
            state.run
        )));
    }
    let mut file = String::new();
    let mut about = "the whole".to_owned();
    if let Some(task) = task {
        let (item, name) = find(state, task)?;
        let meant = item
            .tasks
            .iter()
            .find(|t| t.id == task)
            .or(item.tasks.first());
        if item.key != P0
            && let Some(meant) = meant
        {
            file.clone_from(&meant.file);
        }
        about = name;
    }
    state.compliance.notes.push(Note {
        task: task.map(str::to_owned),
        file,
        text: text.to_owned(),
        by: by.clone(),
        at,
        standing: NoteStanding::Open,
    });
    state.gate.clear();
    Ok(format!(
        "Noted by {} on {about}, to be put right at the P0 validation: {text}",
        by.name
    ))
}

/// The P0 validation begins, or begins again: one task for all that is open. `report` is the path
/// of its report.
pub fn validation_opened(state: &mut State, report: &str) -> Said {
    let open: Vec<Finding> = state.compliance.open_findings().cloned().collect();
    let mut left = state.compliance.to_mend.clone();
    for finding in open {
        match left.iter().position(|k| same(k, &finding)) {
            Some(at) => drop(left.remove(at)),
            None => state.compliance.to_mend.push(finding),
        }
    }
    let count = violations(state.compliance.open());
    state.gate.clear();
    if let Some(item) = state.item_mut(P0) {
        // Left out before; what came up since was not part of that decision.
        if matches!(item.phase, Phase::Skipped { .. }) {
            item.phase = Phase::Pending;
            item.pending = Some(first());
            item.count_from = item.next_attempt();
        } else {
            reopen::open(item, &format!("{count} came up after it was merged"), "");
        }
        return format!("P0 validation: {count} to put right, once more");
    }
    let position = 1 + state.items.iter().map(|i| i.position).max().unwrap_or(0);
    let tasks = state.items.iter().flat_map(|i| &i.tasks);
    let number = 1 + tasks.map(|t| t.position).max().unwrap_or(0);
    let tasks = vec![TaskRef {
        id: P0.to_owned(),
        position: number,
        title: "P0 validation".to_owned(),
        file: report.to_owned(),
    }];
    let mut item = Item::new(P0, position, tasks, Vec::new(), Risk::High);
    item.pending = Some(first());
    state.items.push(item);
    format!("P0 validation: {count} to put right in one task")
}

fn first() -> Pending {
    Pending {
        kind: OrderKind::First,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: None,
    }
}

/// A person lets every open violation pass.
///
/// # Errors
/// [`NotPossible`] when none is open, the run has ended, or one is being put right.
pub fn excepted(
    state: &mut State,
    why: &str,
    by: &Person,
    at: Timestamp,
) -> Result<Said, NotPossible> {
    if state.end.is_some() {
        return Err(NotPossible(format!("run {} has ended", state.run)));
    }
    let open = state.compliance.open();
    if open == 0 {
        return Err(NotPossible(
            "no P0 violation is open, so there is nothing to let pass".to_owned(),
        ));
    }
    if let Some(item) = state.item_mut(P0) {
        match item.phase {
            Phase::Running { .. } => {
                return Err(NotPossible(
                    "an attempt at the P0 validation is under way; interrupt it first (Ctrl-C where it runs)"
                        .to_owned(),
                ));
            }
            Phase::Merged | Phase::Skipped { .. } => {}
            _ => {
                if !super::review::give_up_round(item, why, by) {
                    item.phase = Phase::Skipped {
                        why: why.to_owned(),
                        by: by.clone(),
                    };
                }
                item.pending = None;
                item.waits_for.clear();
            }
        }
    }
    let compliance = &mut state.compliance;
    let exception = |rule: &str, file: &str, line, message: &str| Exception {
        rule: rule.to_owned(),
        file: file.to_owned(),
        line,
        message: message.to_owned(),
        by: by.clone(),
        at,
        why: why.to_owned(),
    };
    let mut passed: Vec<Exception> = compliance
        .open_findings()
        .map(|f| exception(&f.rule, &f.file, f.line, &f.message))
        .collect();
    for note in &mut compliance.notes {
        if note.standing == NoteStanding::Open {
            note.standing = NoteStanding::Excepted;
            passed.push(exception("note", &note.file, 0, &note.text));
        }
    }
    compliance.exceptions.append(&mut passed);
    state.gate.clear();
    Ok(format!(
        "{} left as exceptions by {}: {why}",
        violations(open),
        by.name
    ))
}

/// The report of the P0 validation stands on the run branch at `head`.
pub fn reported(state: &mut State, head: &str) -> Said {
    let compliance = &mut state.compliance;
    if compliance.judged.is_some() {
        // The report is no source file: the findings are those of the commit before.
        compliance.judged = Some(head.to_owned());
    }
    compliance.reported = Some(head.to_owned());
    head.clone_into(&mut state.run_branch.head);
    match state.compliance.exceptions.len() {
        0 => "P0 validation: compliant".to_owned(),
        n => format!("P0 validation: {n} exceptions"),
    }
}

/// What the P0 task's agent was told of is put right: its checks pass, and a reviewer sees it.
pub fn put_right(state: &mut State) {
    mended(state);
    let compliance = &mut state.compliance;
    let excepted = compliance
        .standing()
        .into_iter()
        .filter(|(_, exception)| exception.is_some())
        .map(|(finding, _)| finding.clone())
        .collect();
    compliance.findings = excepted;
}

/// The P0 task is merged: what its agent was told of is put right, for a reviewer has seen it.
pub(super) fn mended(state: &mut State) {
    let told = state.compliance.told;
    for note in state.compliance.notes.iter_mut().take(told) {
        if note.standing == NoteStanding::Open {
            note.standing = NoteStanding::Mended;
        }
    }
}
