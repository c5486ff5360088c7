//! What a person reads in the terminal when a task needs them: the seed's step 3, and its stops.

use super::clean::{self, line, short_line};
use super::facts::{self, Build};
use super::status::hanging;
use super::style::{Style, Tone};
use super::{waits, words};
use crate::run::order::{Change, CheckKind};
use crate::run::state::{Attempt, Item, Outcome, Phase, State, TaskRef};
use crate::run::transition::short;
use crate::run::{BATCH, P0};

/// The options of a checkpoint: the key to press, its name, and what it does.
pub const OPTIONS: [(char, &str, &str); 3] = [
    ('c', "Continue", "approve it and go on"),
    ('r', "Review first", "show the change before deciding"),
    ('v', "Revise", "run it again with your feedback"),
];

/// Most entries of a list shown in a summary; `show` has all of them.
const ENTRIES: usize = 12;
/// Lines of output shown from its beginning, and as many from its end.
const EXCERPT: usize = 12;
/// Longest line of output shown, in characters.
const LINE: usize = 200;

/// The summary of a passed attempt, the question whether to go on, and its options. What the agent
/// says is marked as its words; the rest is what the tool found. `success` are the plan's criteria.
#[must_use]
pub fn text(state: &State, item: &Item, success: &[String], style: Style) -> String {
    let mut out = summary(state, item, style);
    out.push_str(&criteria(success, style));
    out.push('\n');
    out.push_str(&style.strong(&question(state, item)));
    out.push('\n');
    out.push_str(&options(style));
    out
}

/// The summary alone.
#[must_use]
pub fn summary(state: &State, item: &Item, style: Style) -> String {
    let mut out = String::new();
    push(&mut out, &style.strong(&headline(state, item, "complete")));
    out.push('\n');
    if let Some(attempt) = item.latest_work() {
        changes(&mut out, item, attempt, style);
        field(&mut out, "Build", &build(attempt, style));
        field(&mut out, "Rules", &rules(attempt, style));
        spent(&mut out, item, attempt);
    }
    if let Some(branch) = &item.branch {
        let name = words::middle(&line(&branch.name), 56);
        let head = line(&branch.head);
        field(&mut out, "Branch", &format!("{name} at {}", short(&head)));
    }
    if let Some(attempt) = item.latest_work() {
        if !attempt.notes.is_empty() {
            out.push('\n');
            push(&mut out, &style.strong("Quick review (the agent's words)"));
            bullets(&mut out, &attempt.notes);
        }
        if !attempt.api.is_empty() {
            out.push('\n');
            push(&mut out, &style.strong("API methods (read from the code)"));
            bullets(&mut out, &attempt.api);
        }
    }
    violations(&mut out, state, item, style);
    out
}

/// The P0 violations that wait to be put right, as every reviewer sees them.
pub(super) fn violations(out: &mut String, state: &State, item: &Item, style: Style) {
    let open: Vec<String> = super::status::violations(state)
        .iter()
        .filter(|v| v.exception.is_none())
        .map(super::status::ViolationView::said)
        .collect();
    if open.is_empty() {
        return;
    }
    let title = if item.key == P0 {
        "P0 violations in merged tasks (this task puts them right)"
    } else {
        "P0 violations in merged tasks (put right together after the last task)"
    };
    out.push('\n');
    push(out, &style.strong(title));
    bullets(out, &open);
}

/// The plan's success criteria in prose, none of them ticked: that is the reviewer's to do. Empty
/// when the plan names none.
#[must_use]
pub fn criteria(success: &[String], style: Style) -> String {
    let mut out = String::new();
    if success.is_empty() {
        return out;
    }
    out.push('\n');
    push(&mut out, &style.strong("Success criteria (yours to judge)"));
    for criterion in success.iter().take(2 * ENTRIES) {
        hanging(&mut out, "[ ] ", &short_line(criterion, 400));
    }
    if let Some(more) = success.len().checked_sub(2 * ENTRIES).filter(|n| *n > 0) {
        push(&mut out, &format!("[ ] and {more} more"));
    }
    out
}

/// `Continue to task 3 (Transformations)?`: what an approval would start.
#[must_use]
pub fn question(state: &State, item: &Item) -> String {
    let settled = |key: &String| *key == item.key || state.item(key).is_none_or(Item::is_settled);
    let waiting = |i: &&Item| i.key != item.key && i.phase == Phase::Pending;
    let next: Vec<String> = state
        .items
        .iter()
        .filter(waiting)
        .filter(|i| i.depends_on.iter().all(settled))
        .flat_map(|i| &i.tasks)
        .map(|t| format!("{} ({})", t.position, short_line(&t.title, 40)))
        .collect();
    match next.as_slice() {
        [] => {
            let others = state.items.iter().filter(|i| i.key != item.key);
            if others.into_iter().all(Item::is_settled) {
                let to_validate = item.key != P0 && state.compliance.open() > 0;
                let next = if to_validate { "P0 validation" } else { "gate" };
                format!("Continue to the {next}?")
            } else {
                "Continue?".to_owned()
            }
        }
        [one] => format!("Continue to task {one}?"),
        [first, second] => format!("Continue to tasks {first} and {second}?"),
        [first, rest @ ..] => format!("Continue to task {first} and {} more?", rest.len()),
    }
}

/// The options, one to a line.
#[must_use]
pub fn options(style: Style) -> String {
    let mut out = String::new();
    for (key, name, does) in OPTIONS {
        let name = style.strong(&format!("{name:<12}"));
        push(&mut out, &format!("  [{key}] {name}  {does}"));
    }
    out
}

/// What a person reads when an item failed, is blocked, or its agent asks. `output` is what the
/// check that failed printed, if any; an excerpt of it is shown.
#[must_use]
pub fn stopped(state: &State, item: &Item, output: Option<&str>, style: Style) -> String {
    let mut out = String::new();
    let attempt = item.latest_work();
    match &item.phase {
        Phase::Failed { reasons } => {
            push(
                &mut out,
                &style.paint(Tone::Bad, &headline(state, item, "failed")),
            );
            out.push('\n');
            bullets(&mut out, reasons);
        }
        Phase::Blocked {
            question: Some(question),
            ..
        } => {
            push(
                &mut out,
                &style.paint(Tone::Warn, &headline(state, item, "has a question")),
            );
            out.push('\n');
            push(&mut out, &style.strong("The agent asks"));
            for part in clean::block(question).lines().take(2 * EXCERPT) {
                indented(&mut out, &words::cut(part, 1000));
            }
        }
        Phase::Blocked {
            reason, attempted, ..
        } => {
            push(
                &mut out,
                &style.paint(Tone::Warn, &headline(state, item, "blocked")),
            );
            out.push('\n');
            push(&mut out, &style.strong("The agent cannot go on"));
            indented(&mut out, &short_line(reason, 1000));
            if !attempted.is_empty() {
                out.push('\n');
                push(&mut out, &style.strong("What it says it tried"));
                bullets(&mut out, attempted);
            }
        }
        _ => push(&mut out, &headline(state, item, "stopped")),
    }
    if let Some(attempt) = attempt {
        failing(&mut out, attempt, output, style);
        out.push('\n');
        if attempt.outcome != Outcome::Passed && !attempt.files.is_empty() {
            changes(&mut out, item, attempt, style);
        }
        spent(&mut out, item, attempt);
        if let Some(kept) = &attempt.kept {
            field(&mut out, "Kept on", &line(kept));
        }
    }
    out.push('\n');
    push(&mut out, &style.strong("Next"));
    let commands = waits::commands(state, item);
    let width = commands.iter().map(|(c, _)| c.chars().count()).max();
    let width = width.unwrap_or(0);
    for (command, does) in commands {
        let gap = " ".repeat(width - command.chars().count());
        push(
            &mut out,
            &format!("  {command}{gap}  {}", style.faint(does)),
        );
    }
    out
}

/// The beginning and the end of some output, cleaned, with the number of lines left out between.
#[must_use]
pub fn excerpt(output: &str) -> Vec<String> {
    let text = clean::block(output);
    let lines: Vec<&str> = text.lines().collect();
    let shown =
        |part: &[&str]| -> Vec<String> { part.iter().map(|l| words::cut(l, LINE)).collect() };
    if lines.len() <= 2 * EXCERPT + 1 {
        return shown(&lines);
    }
    let (head, rest) = lines.split_at(EXCERPT);
    let (between, tail) = rest.split_at(rest.len() - EXCERPT);
    let mut out = shown(head);
    out.push(format!("… {} lines left out …", between.len()));
    out.extend(shown(tail));
    out
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn field(out: &mut String, name: &str, value: &str) {
    push(out, &format!("{:<9}{value}", format!("{name}:")));
}

fn indented(out: &mut String, text: &str) {
    for part in words::wrap(text, words::WIDTH - 2) {
        push(out, &format!("  {part}"));
    }
}

fn bullets(out: &mut String, entries: &[String]) {
    for entry in entries.iter().take(ENTRIES) {
        hanging(out, "- ", &short_line(entry, 400));
    }
    if let Some(more) = entries.len().checked_sub(ENTRIES).filter(|n| *n > 0) {
        push(out, &format!("- and {more} more"));
    }
}

/// `Task 2 of 4 complete: wiz_client.go`.
fn headline(state: &State, item: &Item, what: &str) -> String {
    let said = match item.tasks.as_slice() {
        [task] => format!(
            "Task {} of {} {what}: {}",
            task.position,
            state.total(),
            words::file_name(&line(&task.file))
        ),
        tasks if item.key == BATCH => format!("All {} tasks {what}: {}", tasks.len(), state.title),
        tasks => format!("{} tasks {what}: {}", tasks.len(), state.title),
    };
    words::cut(&line(&said), words::WIDTH)
}

/// The files, and the lines of the tasks' own.
fn changes(out: &mut String, item: &Item, attempt: &Attempt, style: Style) {
    let files = facts::files(item, attempt);
    for (i, file) in files.iter().take(2 * ENTRIES).enumerate() {
        let label = if i == 0 { "Created:" } else { "" };
        let path = words::middle(&line(&file.path), words::WIDTH - 11);
        push(
            out,
            &format!("{label:<9}{} {path}", words::mark(file.change)),
        );
    }
    if let Some(more) = files.len().checked_sub(2 * ENTRIES).filter(|n| *n > 0) {
        push(out, &format!("{:<9}and {more} more files", ""));
    }
    if files.iter().any(|f| f.change != Change::Added) {
        let legend = style.faint("(+ created, ~ modified, - deleted)");
        push(out, &format!("{:<9}{legend}", ""));
    }
    let said = |task: &TaskRef| {
        facts::lines(&files, task).map_or_else(|| "none".to_owned(), |n| n.to_string())
    };
    let lines: Vec<String> = match item.tasks.as_slice() {
        [task] => vec![said(task)],
        tasks => tasks
            .iter()
            .map(|t| format!("{} {}", t.id, said(t)))
            .collect(),
    };
    let text = words::cut(&line(&lines.join(", ")), words::WIDTH - 9);
    field(out, "Lines", &text);
}

fn build(attempt: &Attempt, style: Style) -> String {
    let build = Build::of(attempt);
    let tone = match build {
        Build::Success => Tone::Good,
        Build::Failure => Tone::Bad,
        Build::None => Tone::Plain,
    };
    style.paint(tone, build.loud())
}

/// How many rule checks there were and what they found.
fn rules(attempt: &Attempt, style: Style) -> String {
    let rules = attempt.checks.iter().filter(|c| c.kind == CheckKind::Rules);
    let (held, broken): (Vec<_>, Vec<_>) = rules.partition(|c| c.passed);
    match (held.len(), broken.as_slice()) {
        (0, []) => "none to check".to_owned(),
        (_, []) => {
            let details: Vec<_> = held.iter().map(|c| line(&c.detail)).collect();
            let details = details.join("; ");
            let said = if details.is_empty() {
                "they hold"
            } else {
                &details
            };
            words::cut(said, words::WIDTH - 9)
        }
        (_, broken) => {
            let count = u64::try_from(broken.len()).unwrap_or(u64::MAX);
            let details: Vec<_> = broken.iter().map(|c| line(&c.detail)).collect();
            let said = format!(
                "{}: {}",
                words::counted(count, "finding"),
                details.join("; ")
            );
            style.paint(Tone::Bad, &words::cut(&said, words::WIDTH - 9))
        }
    }
}

/// Time and money, of this attempt and of all when there were others.
fn spent(out: &mut String, item: &Item, attempt: &Attempt) {
    let seconds = words::seconds(attempt.started, attempt.finished);
    let mut said = words::duration(seconds);
    if let Some(cost) = attempt.cost_usd {
        said.push_str(", ");
        said.push_str(&words::money(cost));
    }
    if item.attempts.len() > 1 {
        let all: u64 = item.attempts.iter().fold(0, |sum, a| {
            words::seconds(a.started, a.finished).saturating_add(sum)
        });
        let cost = facts::cost(item).map(|c| format!(", {}", words::money(c)));
        said = format!(
            "{said} ({} attempts: {}{})",
            item.attempts.len(),
            words::duration(all),
            cost.unwrap_or_default()
        );
    }
    field(out, "Spent", &said);
}

/// The checks of an attempt that did not hold, with what the first printed.
fn failing(out: &mut String, attempt: &Attempt, output: Option<&str>, style: Style) {
    let bad: Vec<_> = attempt.checks.iter().filter(|c| !c.passed).collect();
    if bad.is_empty() {
        return;
    }
    out.push('\n');
    push(out, &style.strong("What does not hold"));
    let said: Vec<_> = bad
        .iter()
        .map(|c| {
            format!(
                "{}: {}",
                short_line(&c.name, 100),
                short_line(&c.detail, 300)
            )
        })
        .collect();
    bullets(out, &said);
    for part in output.map(excerpt).unwrap_or_default() {
        push(out, format!("    {part}").trim_end());
    }
}

#[cfg(test)]
mod tests;
