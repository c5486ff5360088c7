//! What a job in GitHub Actions says: workflow commands, annotations, the job summary.
//!
//! Pure. Safe against text that would be a command: what others wrote stands in a command only
//! escaped, and outside of commands only while commands are stopped. In the summary it is shown as
//! text and nothing else ([`super::markdown`]).
//!
//! Sources: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>,
//! <https://docs.github.com/en/actions/reference/limits>.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::facts::Build;
use super::markdown::{cell, code, line, link};
use super::pull::{self, Annotation, Level, Links, PullRef};
use super::status::{self, StatusView, TaskState, TaskView};
use super::{clean, words};
use crate::run::decide::Wait;
use crate::run::order::{AttemptResult, Verdict};
use crate::run::state::{Item, State};
use crate::text::{command_data, command_property};

/// Most errors, and most warnings, that Actions takes from one step.
const AT_ONCE: usize = 10;
/// Of the errors, most that say why as a whole.
const REASONS: usize = 5;
/// Most bytes of a summary of ours. Actions refuses one above 1 MiB.
pub const MOST: usize = 1_000_000;
/// Most tasks that are drawn.
const DRAWN: usize = 200;
/// Most waits and most gate items that are listed of a run.
const LISTED: usize = 50;
/// A run that has less room than this is named only.
const LEAST: usize = 4_000;

/// Begins a group of lines that is shown folded. Groups cannot hold groups.
#[must_use]
pub fn group(name: &str) -> String {
    format!("::group::{}\n", command_data(&clean::short_line(name, 200)))
}

/// Ends the group.
pub const END_GROUP: &str = "::endgroup::\n";

/// Has Actions replace a value in all that is printed from now on. The value itself must not be
/// printed anywhere else but in Actions.
#[must_use]
pub fn add_mask(value: &str) -> String {
    format!("::add-mask::{}\n", command_data(value))
}

/// From here on nothing is a command, until [`go_on`] with the same token. The token must be one
/// that nobody can guess.
#[must_use]
pub fn stop_commands(token: &str) -> String {
    format!("::stop-commands::{token}\n")
}

/// Ends what [`stop_commands`] began.
#[must_use]
pub fn go_on(token: &str) -> String {
    format!("::{token}::\n")
}

/// How grave a remark is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gravity {
    /// Something failed.
    Error,
    /// Something is odd.
    Warning,
    /// Something is worth knowing.
    Notice,
}

/// An annotation; `place` is a path from the root with a line, from 1. The title is cut where
/// Actions would, and no message is empty.
#[must_use]
pub fn remark(gravity: Gravity, title: &str, place: Option<(&str, u32)>, message: &str) -> String {
    let name = match gravity {
        Gravity::Error => "error",
        Gravity::Warning => "warning",
        Gravity::Notice => "notice",
    };
    let mut properties = Vec::new();
    if let Some((file, at)) = place {
        let file = command_property(&clean::line(file));
        properties.push(format!("file={file},line={at}"));
    }
    let title = clean::short_line(title, 255);
    if !title.is_empty() {
        properties.push(format!("title={}", command_property(&title)));
    }
    let gap = if properties.is_empty() { "" } else { " " };
    let message = crate::text::clipped(crate::text::lines(message), 2_000);
    let message = if message.is_empty() { title } else { message };
    format!(
        "::{name}{gap}{}::{}\n",
        properties.join(","),
        command_data(&message)
    )
}

/// What an attempt has to say on lines of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Workflow commands, one per line: at most ten errors, ten warnings and a notice.
    pub commands: String,
    /// What Actions would have dropped; for the summary.
    pub rest: Vec<Annotation>,
}

/// Why an attempt did not pass, what compilers said and what the rules found, each at its line.
#[must_use]
pub fn annotations(result: &AttemptResult) -> Remarks {
    let mut remarks = Remarks::default();
    let about = format!("{}, attempt {}", result.item, result.attempt);
    let mut left = [AT_ONCE, AT_ONCE];
    match &result.verdict {
        Verdict::Failed { reasons, .. } => {
            for reason in reasons.iter().take(REASONS) {
                left[0] -= 1;
                let said = remark(Gravity::Error, &about, None, reason);
                remarks.commands.push_str(&said);
            }
        }
        Verdict::Blocked { reason, .. } => {
            left[0] -= 1;
            let said = format!("the agent is blocked: {reason}");
            let said = remark(Gravity::Error, &about, None, &said);
            remarks.commands.push_str(&said);
        }
        Verdict::Question { question } => {
            let said = format!("the agent asks: {question}");
            let said = remark(Gravity::Notice, &about, None, &said);
            remarks.commands.push_str(&said);
        }
        Verdict::Passed { .. } | Verdict::Interrupted => {}
    }
    for one in pull::annotations(result) {
        let (which, gravity) = match one.level {
            Level::Failure => (0, Gravity::Error),
            Level::Warning => (1, Gravity::Warning),
        };
        if left[which] == 0 {
            remarks.rest.push(one);
            continue;
        }
        left[which] -= 1;
        let place = Some((one.path.as_str(), one.start_line));
        let said = remark(gravity, &one.title, place, &one.message);
        remarks.commands.push_str(&said);
    }
    remarks
}

/// A run as the summary shows it.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Its state.
    pub state: &'a State,
    /// What it waits for.
    pub waits: &'a [Wait],
    /// Addresses.
    pub links: &'a Links,
    /// The time.
    pub now: Timestamp,
}

/// The summary of a job that drives runs: of each where it stands, what it waits for, the graph and
/// table of its tasks, what was spent, the gate. At most [`MOST`] bytes; what is left out is said.
#[must_use]
pub fn summary(runs: &[Shown<'_>]) -> String {
    summary_within(runs, MOST)
}

/// [`summary`] in at most `most` bytes, as far as one line fits into them.
#[must_use]
pub fn summary_within(runs: &[Shown<'_>], most: usize) -> String {
    /// Room for the line about those left out.
    const NOTE: usize = 100;
    if runs.is_empty() {
        return "No run is unfinished.\n".to_owned();
    }
    let mut out = String::new();
    for (n, shown) in runs.iter().enumerate() {
        let left = most.saturating_sub(out.len() + NOTE);
        // What one does not use, the others share.
        let share = left / (runs.len() - n);
        let room = if share < LEAST {
            left.min(LEAST)
        } else {
            share
        };
        let text = one(shown, room);
        if text.len() > left {
            let _ = writeln!(
                out,
                "{} not shown: {}",
                words::counted((runs.len() - n) as u64, "run"),
                code("git pertask status")
            );
            break;
        }
        out.push_str(&text);
    }
    out
}

fn one(shown: &Shown<'_>, room: usize) -> String {
    let view = status::view(shown.state, shown.waits, shown.now);
    let mut out = opening(shown, &view);
    let mut waits = String::new();
    list(&mut waits, "Waiting for:", &view.waiting_for, &view.run);
    let gate = gate(&view);
    let mut drawn = String::new();
    let items: Vec<&Item> = shown.state.items.iter().collect();
    if items.len() <= DRAWN {
        pull::graph(&mut drawn, &items);
        drawn = format!("{}\n", drawn.trim_start());
    }
    for (part, share) in [(&waits, 3), (&drawn, 2)] {
        if !part.trim().is_empty() && part.len() <= room.saturating_sub(out.len()) / share {
            out.push_str(part);
        }
    }
    // The table takes what the gate leaves, whole rows only.
    let left = room.saturating_sub(out.len());
    let gate = if gate.len() <= left / 2 {
        gate
    } else {
        String::new()
    };
    table(&mut out, shown, &view, left - gate.len());
    out.push_str(&gate);
    out
}

/// The heading, and where the run stands in a line.
fn opening(shown: &Shown<'_>, view: &StatusView) -> String {
    let state = shown.state;
    let address = match &state.pull {
        Some(pull) => shown.links.pull(pull.number),
        None if state.run_branch.name.len() < 300 => shown.links.branch(&state.run_branch.name),
        None => shown.links.web.clone(),
    };
    let name = link(&code(&clean::short_line(&view.run, 100)), &address);
    let mut out = format!("## Run {name}");
    let title = line(&view.title, 200);
    if !title.is_empty() {
        let _ = write!(out, ": {title}");
    }
    let items: Vec<&Item> = state.items.iter().collect();
    let time = words::duration(view.duration_s);
    let spent = match view.cost_usd {
        Some(cost) => format!("{} in {time}", words::money(cost)),
        None => time,
    };
    let _ = write!(
        out,
        "\n\n**{}**: {}. Spent: {spent}.\n\n",
        view.state.word(),
        pull::counts(&items)
    );
    out
}

/// A list of texts with its heading; nothing when it is empty.
fn list(out: &mut String, heading: &str, entries: &[String], run: &str) {
    if entries.is_empty() {
        return;
    }
    let _ = writeln!(out, "{heading}\n");
    for entry in entries.iter().take(LISTED) {
        let _ = writeln!(out, "- {}", line(entry, 600));
    }
    if let Some(more) = entries.len().checked_sub(LISTED).filter(|n| *n > 0) {
        let _ = writeln!(out, "- and {more} more: {}", status_of(run));
    }
    out.push('\n');
}

/// `git pertask status wiz`, as code.
fn status_of(run: &str) -> String {
    code(&format!(
        "git pertask status {}",
        clean::short_line(run, 100)
    ))
}

fn gate(view: &StatusView) -> String {
    if view.gate.is_empty() {
        return String::new();
    }
    let mut out = "| Gate | Holds | Found |\n|---|---|---|\n".to_owned();
    for one in view.gate.iter().take(LISTED) {
        let holds = if one.holds { "yes" } else { "**no**" };
        let _ = writeln!(
            out,
            "| {} | {holds} | {} |",
            cell(&line(&one.item, 200)),
            cell(&line(&one.detail, 400))
        );
    }
    let more = view.gate.len().checked_sub(LISTED).filter(|n| *n > 0);
    if let Some(more) = more {
        let _ = writeln!(out, "\nand {more} more: {}", status_of(&view.run));
    }
    out.push('\n');
    out
}

fn table(out: &mut String, shown: &Shown<'_>, view: &StatusView, room: usize) {
    const HEAD: &str = "| | Task | State | Attempts | Lines | Build | Time | Cost | Pull request |\n|---|---|---|---|---|---|---|---|---|\n";
    /// Room for the line about those left out.
    const NOTE: usize = 200;
    let end = out.len() + room.saturating_sub(NOTE);
    let mut items: BTreeMap<&str, &Item> = shown
        .state
        .items
        .iter()
        .map(|i| (i.key.as_str(), i))
        .collect();
    for (n, task) in view.tasks.iter().enumerate() {
        // What is the item's stands in its first row.
        let row = row(shown, task, items.remove(task.item.as_str()));
        let head = if n == 0 { HEAD } else { "" };
        if out.len() + head.len() + row.len() > end {
            let _ = writeln!(
                out,
                "\n{} of {} tasks not shown: {}",
                view.tasks.len() - n,
                view.tasks.len(),
                status_of(&view.run)
            );
            break;
        }
        out.push_str(head);
        out.push_str(&row);
    }
    out.push('\n');
}

/// `item` is the task's in the item's first row.
fn row(shown: &Shown<'_>, task: &TaskView, item: Option<&Item>) -> String {
    let first = item.is_some();
    let extra = crate::run::is_extra(&task.item);
    let which = if extra {
        String::new()
    } else {
        task.position.to_string()
    };
    let title = match item {
        Some(item) if item.tasks.len() < 2 => pull::name(shown.state, item),
        _ => task.title.clone(),
    };
    let mut stands = task.state.word().to_owned();
    if matches!(task.state, TaskState::Failed | TaskState::Blocked)
        && let Some(reason) = task.reasons.first()
    {
        let _ = write!(stands, ": {}", line(reason, 200));
    }
    let lines = task.lines.map_or_else(String::new, |n| n.to_string());
    let build = match task.build {
        Build::None => "",
        build => build.word(),
    };
    let spent = if first {
        let page = task.pull_request.as_ref().map(|p| PullRef {
            number: p.number,
            url: p.url.clone(),
        });
        let page = page.map_or_else(String::new, |p| pull::pull_link(&p, shown.links));
        let time = words::short_duration(task.duration_s);
        let cost = task.cost_usd.map_or_else(String::new, words::money);
        format!("{lines} | {build} | {time} | {cost} | {page}")
    } else {
        format!("{lines} | {build} | | |")
    };
    let attempts = if first {
        task.attempts.to_string()
    } else {
        String::new()
    };
    format!(
        "| {which} | {}: {} | {} | {attempts} | {spent} |\n",
        cell(&code(&clean::short_line(&task.id, 100))),
        cell(&line(&title, 120)),
        cell(&stands),
    )
}

/// The summary of a job that made an attempt: what came of it, what the checks found, and the
/// remarks for which there was no room beside the lines. At most [`MOST`] bytes.
#[must_use]
pub fn attempt(result: &AttemptResult, rest: &[Annotation]) -> String {
    let (word, said): (&str, Vec<String>) = match &result.verdict {
        Verdict::Passed { needs_review: true } => (
            "passed",
            vec!["The agent asks for a person's eyes.".to_owned()],
        ),
        Verdict::Passed { .. } => ("passed", Vec::new()),
        Verdict::Failed { reasons, .. } => ("failed", reasons.clone()),
        Verdict::Blocked { reason, .. } => ("blocked", vec![reason.clone()]),
        Verdict::Question { question } => ("asks", vec![question.clone()]),
        Verdict::Interrupted => ("interrupted", Vec::new()),
    };
    let mut out = format!(
        "## {} of run {}, attempt {}: {word}\n\n",
        code(&clean::short_line(&result.item, 100)),
        code(&clean::short_line(&result.run, 100)),
        result.attempt
    );
    for reason in said.iter().take(LISTED) {
        let _ = writeln!(out, "- {}", line(reason, 600));
    }
    let time = words::duration(words::seconds(result.started, result.finished));
    let agent = result.agent.as_ref();
    let cost = agent.and_then(|a| a.cost_usd);
    let spent = match cost {
        Some(cost) => format!("{} in {time}", words::money(cost)),
        None => time,
    };
    let _ = write!(out, "\nSpent: {spent}.\n\n");
    if !result.checks.is_empty() {
        out.push_str("| Check | Result | Found |\n|---|---|---|\n");
    }
    for check in result.checks.iter().take(2 * LISTED) {
        let holds = if check.passed { "holds" } else { "**fails**" };
        let _ = writeln!(
            out,
            "| {} | {holds} | {} |",
            cell(&code(&clean::short_line(&check.name, 200))),
            cell(&line(&check.detail, 400))
        );
    }
    if !rest.is_empty() {
        let _ = writeln!(
            out,
            "\nBeyond the {AT_ONCE} that Actions shows beside the lines:\n"
        );
    }
    for one in rest {
        let place = words::middle(&format!("{}:{}", one.path, one.start_line), 200);
        let _ = writeln!(
            out,
            "- {} {}: {}",
            code(&place),
            line(&one.title, 100),
            line(&one.message, 300)
        );
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests;
