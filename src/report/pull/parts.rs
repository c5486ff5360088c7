//! Sections of a pull request's body.

use std::fmt::Write as _;

use super::{Caps, Links, PullRef, Sheet, is_draft};
use crate::report::clean;
use crate::report::facts;
use crate::report::log as log_entries;
use crate::report::markdown::{cell, code, fenced, folded, line, link, prose};
use crate::report::words;
use crate::run::order::{Change, CheckKind, OrderKind};
use crate::run::state::{CheckSummary, Phase};
use crate::run::transition::short;
use crate::text;

/// Adds a paragraph; nothing when there is nothing to say.
pub(super) fn paragraph(out: &mut String, said: &str) {
    if !said.trim().is_empty() {
        out.push_str(said.trim_end());
        out.push_str("\n\n");
    }
}

/// A list of texts by others; `show` is the command that has the rest.
pub(super) fn bullets(out: &mut String, entries: &[String], caps: Caps, show: &str) {
    for entry in entries.iter().take(caps.entries) {
        let said = line(entry, caps.text);
        if !said.is_empty() {
            let _ = writeln!(out, "- {said}");
        }
    }
    more(out, "-", entries.len(), caps.entries, show);
}

/// Says how many were left out, if any were.
fn more(out: &mut String, mark: &str, all: usize, shown: usize, show: &str) {
    if let Some(rest) = all.checked_sub(shown).filter(|n| *n > 0) {
        let _ = writeln!(out, "{mark} and {rest} more: {}", code(show));
    }
}

/// A pull request as a link.
pub(in crate::report) fn pull(pull: &PullRef, links: &Links) -> String {
    let harmless = pull.url.starts_with("https://") || pull.url.starts_with("http://");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:%".contains(&b);
    let address = if harmless && pull.url.bytes().all(plain) && pull.url.len() < 500 {
        pull.url.clone()
    } else {
        links.pull(pull.number)
    };
    link(&format!("#{}", pull.number), &address)
}

/// What was changed, with lines and limits.
pub(super) fn files(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let Some(attempt) = sheet.attempt() else {
        return;
    };
    let files = facts::files(sheet.item, attempt);
    if files.is_empty() {
        return;
    }
    let limit = |path: &str| {
        let task = sheet.plan.tasks.iter().find(|t| t.file == path);
        task.and_then(|t| t.max_lines)
    };
    let limits = files.iter().any(|f| limit(&f.path).is_some());
    out.push_str("### Files\n\n");
    out.push_str(if limits {
        "| File | Change | Lines | At most |\n|---|---|---|---|\n"
    } else {
        "| File | Change | Lines |\n|---|---|---|\n"
    });
    for file in files.iter().take(caps.entries) {
        let shown = code(&words::middle(&clean::line(&file.path), caps.text.min(200)));
        let place = match (sheet.commit(), file.change) {
            (Some(commit), Change::Added | Change::Modified) if file.path.len() < 1_000 => {
                link(&shown, &sheet.links.file(commit, &file.path))
            }
            _ => shown,
        };
        let (change, lines) = match file.change {
            Change::Added => ("added", file.lines.to_string()),
            Change::Modified => ("modified", file.lines.to_string()),
            Change::Deleted => ("deleted", String::new()),
        };
        let _ = write!(out, "| {} | {change} | {lines} |", cell(&place));
        if limits {
            let most = limit(&file.path).map_or_else(String::new, |n| n.to_string());
            let _ = write!(out, " {most} |");
        }
        out.push('\n');
    }
    out.push('\n');
    let mut rest = String::new();
    more(&mut rest, "…", files.len(), caps.entries, &sheet.show());
    paragraph(out, &rest);
}

/// One check with its output, where it is at hand.
struct Shown<'a> {
    kind: CheckKind,
    name: &'a str,
    passed: bool,
    detail: &'a str,
    output: &'a str,
    duration_ms: u64,
}

fn shown<'a>(sheet: &Sheet<'a>) -> Vec<Shown<'a>> {
    if let Some(result) = sheet.result {
        let checks = result.checks.iter();
        return checks
            .map(|c| Shown {
                kind: c.kind,
                name: &c.name,
                passed: c.passed,
                detail: &c.detail,
                output: &c.output,
                duration_ms: c.duration_ms,
            })
            .collect();
    }
    let summary = |c: &'a CheckSummary| Shown {
        kind: c.kind,
        name: &c.name,
        passed: c.passed,
        detail: &c.detail,
        output: "",
        duration_ms: 0,
    };
    let checks = sheet.attempt().map(|a| a.checks.as_slice());
    checks.unwrap_or_default().iter().map(summary).collect()
}

/// What the checks found: a table, the findings of the rules with their places, the outputs folded.
pub(super) fn checks(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let checks = shown(sheet);
    // An agent that stopped before it made anything: that nothing is there is no finding.
    let stopped = matches!(sheet.item.phase, Phase::Blocked { .. });
    let nothing = sheet
        .attempt()
        .is_none_or(|a| facts::files(sheet.item, a).is_empty());
    if checks.is_empty() || (stopped && nothing) {
        return;
    }
    out.push_str("### Checks\n\n| Check | Result | Found |\n|---|---|---|\n");
    for check in checks.iter().take(caps.entries) {
        let result = if check.passed { "holds" } else { "**fails**" };
        let mut found = line(check.detail, caps.text.min(400));
        if check.duration_ms >= 1_000 {
            let time = words::short_duration(check.duration_ms / 1_000);
            let _ = write!(found, " ({time})");
        }
        let name = code(&clean::short_line(check.name, caps.text.min(120)));
        let _ = writeln!(
            out,
            "| {} | {result} | {} |",
            cell(&name),
            cell(found.trim_start())
        );
    }
    out.push('\n');
    let mut rest = String::new();
    more(&mut rest, "…", checks.len(), caps.entries, &sheet.show());
    paragraph(out, &rest);
    for check in checks.iter().filter(|c| c.kind == CheckKind::Rules) {
        findings(out, sheet, check, caps);
    }
    outputs(out, &checks, sheet, caps);
}

fn findings(out: &mut String, sheet: &Sheet<'_>, check: &Shown<'_>, caps: Caps) {
    let findings = super::status::findings(check.output);
    if findings.is_empty() {
        return;
    }
    out.push_str("What the rules found:\n\n");
    for one in findings.iter().take(caps.entries) {
        let place = clean::line(&format!("{}:{}", one.file, one.line));
        let place = code(&words::middle(&place, caps.text.min(200)));
        let place = match sheet.commit() {
            Some(commit) if one.file.len() < 1_000 => {
                link(&place, &sheet.links.line(commit, &one.file, one.line))
            }
            _ => place,
        };
        let rule = code(&clean::short_line(&one.rule, 80));
        let said = line(&one.message, caps.text.min(400));
        let _ = write!(out, "- {place} {rule}: {said}");
        if !one.hint.is_empty() {
            let _ = write!(out, ". {}", line(&one.hint, caps.text.min(400)));
        }
        out.push('\n');
    }
    more(out, "-", findings.len(), caps.entries, &sheet.show());
    out.push('\n');
}

/// What is to be put right in merged tasks: every reviewer sees it, as in a terminal.
pub(super) fn violations(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let open: Vec<String> = crate::report::status::violations(sheet.state)
        .iter()
        .filter(|v| v.exception.is_none())
        .map(crate::report::status::ViolationView::said)
        .collect();
    if open.is_empty() {
        return;
    }
    out.push_str("### P0 violations in merged tasks\n\n");
    out.push_str(if sheet.item.key == crate::run::P0 {
        "This task is to put them right.\n\n"
    } else {
        "Put right together after the last task.\n\n"
    });
    bullets(out, &open, caps, &sheet.show());
    out.push('\n');
}

/// The outputs, those of failed checks with the first claim on the room.
fn outputs(out: &mut String, checks: &[Shown<'_>], sheet: &Sheet<'_>, caps: Caps) {
    let told: Vec<&Shown<'_>> = checks
        .iter()
        .filter(|c| !c.output.trim().is_empty())
        // Listed with their places already.
        .filter(|c| c.kind != CheckKind::Rules || super::status::findings(c.output).is_empty())
        .take(caps.entries)
        .collect();
    if told.is_empty() {
        return;
    }
    if caps.output == 0 {
        let show = code(&sheet.show());
        paragraph(
            out,
            &format!("The outputs are too long for this page: {show}."),
        );
        return;
    }
    let (failed, held): (Vec<_>, Vec<_>) = told.into_iter().partition(|c| !c.passed);
    let mut room = caps.output;
    for group in [failed, held] {
        let lengths: Vec<usize> = group.iter().map(|c| c.output.chars().count()).collect();
        let shares = text::share(&lengths, room);
        for (check, most) in group.iter().zip(shares) {
            room -= most;
            let output = if most < check.output.chars().count().min(200) {
                format!("Left out for its length: {}", code(&sheet.show()))
            } else {
                fenced(check.output, "text", most)
            };
            let name = clean::short_line(check.name, caps.text.min(120));
            out.push_str(&folded("Output of", &name, &output));
            out.push('\n');
        }
    }
}

/// Where the work of an attempt that did not pass is kept, with what it changes.
pub(super) fn kept(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    if !is_draft(sheet.item) {
        return;
    }
    let attempt = sheet.attempt().filter(|a| a.kept.is_some());
    let Some((attempt, branch)) = attempt.and_then(|a| Some((a, a.kept.as_ref()?))) else {
        return;
    };
    let run_branch = &sheet.state.run_branch.name;
    out.push_str("### Kept work\n\n");
    let shown = code(&words::middle(&clean::line(branch), 200));
    let mut said = format!(
        "What attempt {} left is kept on {}",
        attempt.number,
        link(&shown, &sheet.links.branch(branch))
    );
    if let Some(commit) = attempt.commit.as_deref().filter(|c| !c.is_empty()) {
        let at = link(&code(short(commit)), &sheet.links.commit(commit));
        let _ = write!(said, " at {at}");
    }
    let compare = link("comparison", &sheet.links.compare(run_branch, branch));
    let _ = write!(
        said,
        " ({compare} with the run branch). Nothing of it is merged."
    );
    paragraph(out, &said);
    let Some(patch) = sheet.kept_patch.filter(|p| !p.trim().is_empty()) else {
        return;
    };
    if caps.patch == 0 {
        paragraph(out, "The patch is too long for this page.");
        return;
    }
    // A patch is read from its beginning.
    let patch = clean::visible(patch);
    let lines = patch.lines().count();
    let mut head = String::new();
    let mut shown = 0;
    for line in patch.lines() {
        if head.len() + line.len() >= caps.patch {
            break;
        }
        head.push_str(line);
        head.push('\n');
        shown += 1;
    }
    let mut folded_patch = fenced(&head, "diff", caps.patch);
    if shown < lines {
        let _ = write!(
            folded_patch,
            "\n\n{} lines more in the comparison.",
            lines - shown
        );
    }
    out.push_str(&folded("What it changes", "", &folded_patch));
    out.push('\n');
}

/// The plan's success criteria, none of them ticked: that is the reviewer's to judge. No check boxes
/// of GitHub's: their ticks would be lost with the next rendering, and would look like ours.
pub(super) fn criteria(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let ids = sheet.item.tasks.iter().map(|t| t.id.as_str());
    let success = sheet.plan.success_of(ids);
    // Of a draft there is nothing to judge yet.
    if success.is_empty() || is_draft(sheet.item) {
        return;
    }
    out.push_str("### Success criteria\n\nYours to judge; no check ticks them.\n\n");
    for criterion in success.iter().take(caps.entries) {
        let _ = writeln!(out, "- ☐ {}", line(criterion, caps.text.min(400)));
    }
    more(out, "-", success.len(), caps.entries, &sheet.show());
    out.push('\n');
}

/// What the agent says to the reviewer, marked as its words.
pub(super) fn agents_words(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let Some(attempt) = sheet.attempt().filter(|a| !a.notes.is_empty()) else {
        return;
    };
    out.push_str(if attempt.kind == OrderKind::Person {
        "### The author's words\n\n"
    } else {
        "### The agent's words\n\nNot verified.\n\n"
    });
    bullets(out, &attempt.notes, caps, &sheet.show());
    out.push('\n');
}

/// Who made it, at which cost, from which prompt, and where all of it is recorded.
pub(super) fn origin(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let Some(attempt) = sheet.attempt() else {
        return;
    };
    out.push_str("### Where it comes from\n\n");
    let who = line(&facts::agent(attempt), caps.text.min(200));
    if attempt.kind == OrderKind::Person {
        let _ = writeln!(out, "- A commit of {who}");
    } else {
        let _ = write!(out, "- Agent: {who}");
        let says = attempt.agent_says.as_deref().unwrap_or_default();
        let says = line(says, 60);
        if !says.is_empty() && says != line(&attempt.by, 60) {
            let _ = write!(out, "; it calls itself {says}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "- Time and cost: {}", spent(sheet));
    if !attempt.prompt_sha256.is_empty() {
        let prompt = code(&clean::short_line(&attempt.prompt_sha256, 64));
        let _ = writeln!(out, "- Prompt: sha256 {prompt}");
    }
    let ledger = format!("refs/pertask/runs/{}", clean::line(&sheet.state.run));
    let _ = writeln!(
        out,
        "- Everything recorded: {}, from {}",
        code(&sheet.show()),
        code(&ledger)
    );
    out.push('\n');
}

/// Time and money of the attempt, and of all when there were others.
fn spent(sheet: &Sheet<'_>) -> String {
    let Some(attempt) = sheet.attempt() else {
        return String::new();
    };
    let seconds = words::seconds(attempt.started, attempt.finished);
    let money =
        |usd: Option<f64>| usd.map_or_else(String::new, |u| format!(", {}", words::money(u)));
    let mut said = format!("{}{}", words::duration(seconds), money(attempt.cost_usd));
    let attempts = &sheet.item.attempts;
    if attempts.len() > 1 {
        let all = attempts.iter().fold(0u64, |sum, a| {
            sum.saturating_add(words::seconds(a.started, a.finished))
        });
        let _ = write!(
            said,
            " ({} attempts: {}{})",
            attempts.len(),
            words::duration(all),
            money(facts::cost(sheet.item))
        );
    }
    said
}

/// The item's part of the log, folded.
pub(super) fn log(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    if caps.log == 0 || sheet.item.attempts.is_empty() {
        return;
    }
    let entry = log_entries::entry(sheet.item);
    let mut shown = String::new();
    let mut left_out = 0;
    for line in entry.lines() {
        if left_out > 0 || shown.len() + line.len() >= caps.log {
            left_out += 1;
        } else {
            // Headings of the page are of the second and third level.
            if line.starts_with("## ") || line.starts_with("### ") {
                shown.push_str("##");
            }
            shown.push_str(line);
            shown.push('\n');
        }
    }
    if left_out > 0 {
        let _ = write!(
            shown,
            "\n{left_out} lines more in the log: {}",
            code(&sheet.show())
        );
    }
    out.push_str(&folded("Log entry", "", shown.trim_end()));
    out.push('\n');
}

/// The purpose of a text in the plan, in a cell.
pub(super) fn summary(text: &str, max: usize) -> String {
    cell(&prose(&clean::line(text), max))
}
