//! Where a run stands: for people as a table, for scripts as JSON.

mod view;

use jiff::Timestamp;

use super::clean::line;
use super::facts::Build;
use super::style::{Style, Tone};
use super::words::{self, WIDTH};
use crate::plan::Mode;
use crate::run::decide::Wait;
use crate::run::state::{GateItem, State};
use crate::run::transition::short;

pub use view::{
    GateView, MergedView, PullRequest, RunState, SCHEMA, StatusView, TaskState, TaskView,
    ViolationView, view, violations,
};

/// Most waits that are spelled out for people; JSON has all of them.
const WAITS: usize = 10;
/// Columns that hold numbers.
const RIGHT: [usize; 4] = [4, 5, 7, 8];

/// `status --json`, as design section 3 has it; see [`StatusView`].
#[must_use]
pub fn json(state: &State, waits: &[Wait], now: Timestamp) -> serde_json::Value {
    // Our own types: string keys, and a number that is not finite becomes null.
    serde_json::to_value(view(state, waits, now)).unwrap_or_default()
}

/// `status` for people: at most 80 columns wide, except for commands that are longer.
#[must_use]
pub fn text(state: &State, waits: &[Wait], now: Timestamp, style: Style) -> String {
    let view = view(state, waits, now);
    let mut out = String::new();
    let title = format!("Run {}: {}", line(&view.run), line(&view.title));
    push(&mut out, &style.strong(&words::cut(&title, WIDTH)));
    let mode = match view.mode {
        Mode::PerTask => "per task",
        Mode::Batch => "batch",
    };
    let reason = words::cut(&line(&view.mode_reason), WIDTH - 24);
    let at = |name: &str, commit: &str| {
        format!(
            "{} at {}",
            words::middle(&line(name), 50),
            short(&line(commit))
        )
    };
    let facts = [
        (
            "State",
            style.paint(run_tone(view.state), view.state.word()),
        ),
        ("Mode", format!("{mode} ({reason})")),
        ("Base", at(&view.base, &view.base_commit)),
        ("Branch", at(&view.run_branch, &view.run_head)),
    ];
    for (name, value) in facts {
        push(
            &mut out,
            &format!("{} {value}", style.faint(&format!("{name:<8}"))),
        );
    }
    if let Some(cost) = view.cost_usd {
        let spent = format!(
            "{} in {}",
            words::money(cost),
            words::duration(view.duration_s)
        );
        push(&mut out, &format!("{} {spent}", style.faint("Spent   ")));
    }
    out.push('\n');
    table(&mut out, &view, style);
    if !view.violations.is_empty() {
        p0(&mut out, &view, style);
    }
    if !view.gate.is_empty() {
        out.push('\n');
        push(&mut out, &style.strong("Gate"));
        gate(&mut out, &view.gate, style);
    }
    if !view.waiting_for.is_empty() {
        out.push('\n');
        push(&mut out, &style.strong("Waiting for"));
        for wait in view.waiting_for.iter().take(WAITS) {
            hanging(&mut out, "- ", wait);
        }
        if let Some(more) = view.waiting_for.len().checked_sub(WAITS).filter(|n| *n > 0) {
            push(&mut out, &format!("- and {more} more; all with --json"));
        }
    }
    out
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// A paragraph that hangs below its mark.
pub(super) fn hanging(out: &mut String, mark: &str, text: &str) {
    let indent = mark.chars().count();
    for (i, part) in words::wrap(text, WIDTH - indent).iter().enumerate() {
        if i == 0 {
            out.push_str(mark);
        } else {
            out.push_str(&" ".repeat(indent));
        }
        push(out, part);
    }
}

/// P0 violations in merged tasks; they wait for the P0 validation.
fn p0(out: &mut String, view: &StatusView, style: Style) {
    out.push('\n');
    let title = "P0 violations (put right together after the last task)";
    push(out, &style.strong(title));
    for violation in view.violations.iter().take(WAITS) {
        hanging(out, "- ", &line(&violation.said()));
    }
    let more = view.violations.len().checked_sub(WAITS);
    if let Some(more) = more.filter(|n| *n > 0) {
        push(out, &format!("- and {more} more; all with --json"));
    }
}

/// The gate as it is computed now, for `check`: a heading, then every item.
#[must_use]
pub fn checklist(state: &State, items: &[GateItem], style: Style) -> String {
    let mut out = String::new();
    let title = format!(
        "Gate of run {} at {}",
        line(&state.run),
        short(&line(&state.run_branch.head))
    );
    push(&mut out, &style.strong(&title));
    let items: Vec<GateView> = items.iter().map(GateView::of).collect();
    gate(&mut out, &items, style);
    out
}

fn gate(out: &mut String, items: &[GateView], style: Style) {
    for item in items {
        let said = match line(&item.detail) {
            detail if detail.is_empty() => line(&item.item),
            detail => format!("{}: {detail}", line(&item.item)),
        };
        let mut entry = String::new();
        let mark = if item.holds { "[x] " } else { "[ ] " };
        hanging(&mut entry, mark, &said);
        let tone = if item.holds { Tone::Good } else { Tone::Bad };
        out.push_str(&style.paint(tone, &entry[..3]));
        out.push_str(&entry[3..]);
    }
}

fn table(out: &mut String, view: &StatusView, style: Style) {
    let header = [
        "TASK", "ID", "TITLE", "STATE", "TRY", "LINES", "BUILD", "TIME", "COST",
    ];
    let rows: Vec<[String; 9]> = view.tasks.iter().map(row).collect();
    let columns = if view.cost_usd.is_none() { 8 } else { 9 };
    let mut widths = [0; 9];
    for (i, width) in widths.iter_mut().enumerate().take(columns) {
        let cells = rows.iter().map(|r| r[i].chars().count());
        *width = cells.max().unwrap_or(0).max(header[i].len());
    }
    // The title gives way first, then the id; both stay readable.
    for (column, least) in [(2, 12), (1, 8), (2, 5)] {
        let total = widths.iter().sum::<usize>() + 2 * (columns - 1);
        let excess = total.saturating_sub(WIDTH);
        widths[column] = widths[column]
            .saturating_sub(excess)
            .max(least.min(widths[column]));
    }
    let mut write = |cells: &[String; 9], tone: Option<Tone>| {
        let mut text = String::new();
        for i in 0..columns {
            let cell = words::middle(&cells[i], widths[i]);
            let gap = " ".repeat(widths[i].saturating_sub(cell.chars().count()));
            let cell = match tone {
                None => style.faint(&cell),
                Some(tone) if i == 3 => style.paint(tone, &cell),
                Some(_) => cell,
            };
            if i > 0 {
                text.push_str("  ");
            }
            if RIGHT.contains(&i) {
                text.push_str(&gap);
                text.push_str(&cell);
            } else {
                text.push_str(&cell);
                text.push_str(&gap);
            }
        }
        push(out, text.trim_end());
    };
    write(&header.map(str::to_owned), None);
    for (row, task) in rows.iter().zip(&view.tasks) {
        write(row, Some(tone(task.state)));
    }
}

fn row(task: &TaskView) -> [String; 9] {
    let tried = task.attempts > 0;
    let dash = || "-".to_owned();
    let time = if tried || task.duration_s > 0 {
        words::short_duration(task.duration_s)
    } else {
        dash()
    };
    let build = match task.build {
        Build::None => dash(),
        build => build.word().to_owned(),
    };
    [
        format!("{}/{}", task.position, task.total),
        line(&task.id),
        line(&task.title),
        task.state.word().to_owned(),
        task.attempts.to_string(),
        task.lines.map_or_else(dash, |n| n.to_string()),
        build,
        time,
        task.cost_usd.map_or_else(dash, words::money),
    ]
}

fn tone(state: TaskState) -> Tone {
    match state {
        TaskState::Pending | TaskState::Skipped => Tone::Faint,
        TaskState::Running => Tone::Busy,
        TaskState::Review | TaskState::Blocked => Tone::Warn,
        TaskState::Approved | TaskState::Merged => Tone::Good,
        TaskState::Failed => Tone::Bad,
    }
}

fn run_tone(state: RunState) -> Tone {
    match state {
        RunState::Running => Tone::Busy,
        RunState::Waiting => Tone::Warn,
        RunState::Failed => Tone::Bad,
        RunState::Complete => Tone::Good,
        RunState::Aborted => Tone::Faint,
    }
}

#[cfg(test)]
mod tests;
