//! The body of an item's pull request.

use std::fmt::Write as _;

use super::parts::{self, paragraph};
use super::{Caps, GITHUB_MOST, MOST, Sheet, fit, heading, name, region, tasks};
use crate::report::clean;
use crate::report::markdown::{self, code, line, link, prose, quoted};
use crate::run::P0;
use crate::run::order::OrderKind;
use crate::run::state::{Phase, Round};
use crate::run::transition::short;

/// The body of the item's pull request, below [`MOST`] bytes.
///
/// What stopped the item, or the agent's question, comes first; then what was made and what the
/// checks say of it; then how to decide; then all tasks of the run.
#[must_use]
pub fn body(sheet: &Sheet<'_>) -> String {
    body_within(sheet, MOST)
}

/// [`body`] in at most `most` bytes, but never less than a few lines that say where the rest is.
#[must_use]
pub fn body_within(sheet: &Sheet<'_>, most: usize) -> String {
    let around = |content: &str| {
        let name = format!("{}/{}", sheet.state.run, sheet.item.branch_leaf());
        region::WHOLE.around(&name, content)
    };
    fit(
        most.min(MOST),
        &|caps| around(&content(sheet, caps)),
        &|| around(&least(sheet)),
    )
}

/// What is to be sent when the pull request's body is `old` now: our region rendered anew, as large
/// as what people wrote leaves room for. `None` when nothing differs.
#[must_use]
pub fn fitted(sheet: &Sheet<'_>, old: &str) -> Option<String> {
    let room = GITHUB_MOST.saturating_sub(region::outside(old) + 16);
    let new = super::updated(old, &body_within(sheet, room))?;
    (new.chars().count() <= GITHUB_MOST).then_some(new)
}

/// When there is room for nothing else.
fn least(sheet: &Sheet<'_>) -> String {
    let mut out = String::new();
    paragraph(
        &mut out,
        &format!(
            "{}, {}. What belongs here is too long; read it with {}.",
            heading(sheet.state, sheet.item),
            line(&name(sheet.state, sheet.item), 80),
            code(&clean::short_line(&sheet.show(), 200)),
        ),
    );
    out
}

fn content(sheet: &Sheet<'_>, caps: Caps) -> String {
    let mut out = String::new();
    paragraph(&mut out, &opening(sheet, caps));
    stopped(&mut out, sheet, caps);
    let purpose = prose(&purpose(sheet), caps.text);
    paragraph(&mut out, &purpose);
    if let Some(round) = sheet.item.rounds.last() {
        paragraph(&mut out, &reopened(sheet, round, caps));
    }
    parts::files(&mut out, sheet, caps);
    parts::checks(&mut out, sheet, caps);
    parts::kept(&mut out, sheet, caps);
    parts::violations(&mut out, sheet, caps);
    parts::criteria(&mut out, sheet, caps);
    parts::agents_words(&mut out, sheet, caps);
    deciding(&mut out, sheet);
    parts::origin(&mut out, sheet, caps);
    parts::log(&mut out, sheet, caps);
    out.push_str(&tasks::block(
        sheet.state,
        sheet.pulls,
        sheet.links,
        caps.tasks,
        Some(sheet.item),
    ));
    out
}

fn purpose(sheet: &Sheet<'_>) -> String {
    if sheet.item.key == crate::run::REPAIR {
        "Puts right what the review of the final pull request asks for.".to_owned()
    } else {
        sheet.plan.purpose_of(&sheet.item.key)
    }
}

/// Where it belongs and where it stands, in one line.
fn opening(sheet: &Sheet<'_>, caps: Caps) -> String {
    let (state, item) = (sheet.state, sheet.item);
    let mut said = format!("**{}**", heading(state, item));
    if item.key != crate::run::BATCH {
        let _ = write!(said, " of {}", line(&state.title, 200));
    }
    if item.round > 1 {
        let _ = write!(said, ", round {}", item.round);
    }
    let _ = write!(said, ", in run {}. ", code(&state.run));
    said.push_str(&standing(sheet, caps));
    said
}

/// Where the item stands: a sentence.
pub(super) fn standing(sheet: &Sheet<'_>, caps: Caps) -> String {
    let item = sheet.item;
    let at = |oid: &str| link(&code(short(oid)), &sheet.links.commit(oid));
    match &item.phase {
        Phase::Pending => match item.pending.as_ref().map(|p| (p.kind, &p.from)) {
            Some((OrderKind::Revision, from)) => {
                format!(
                    "Changes were requested by {}; a revision comes next.",
                    line(from, 60)
                )
            }
            Some((OrderKind::Person, _)) => "A person's commit is to be checked.".to_owned(),
            Some((OrderKind::Forward, _)) => {
                "The run branch was merged in, which is to be checked.".to_owned()
            }
            _ if item.attempts.is_empty() => "Not attempted yet.".to_owned(),
            _ => "Another attempt comes next.".to_owned(),
        },
        Phase::Running { claim } => match claim.kind {
            OrderKind::Person => "A person's commit is being checked.".to_owned(),
            OrderKind::Forward => "The run branch, merged in, is being checked.".to_owned(),
            _ => match &claim.holder.workflow {
                Some(workflow) => format!(
                    "Attempt {} is under way in {}.",
                    claim.attempt,
                    link("a workflow run", &sheet.links.workflow_run(workflow.run))
                ),
                None => format!("Attempt {} is under way.", claim.attempt),
            },
        },
        Phase::Review => match sheet.commit() {
            Some(commit) => format!("**Waits for a review** of {}.", at(commit)),
            None => "**Waits for a review.**".to_owned(),
        },
        Phase::Approved {
            because, commit, ..
        } => {
            format!(
                "{} is {}; it will be merged.",
                at(commit),
                line(because, caps.text.min(200))
            )
        }
        Phase::Merged => match &item.merged {
            Some(merged) => format!(
                "Merged as {}: {}.",
                at(&merged.commit),
                line(&merged.because, caps.text.min(200))
            ),
            None => "Merged.".to_owned(),
        },
        Phase::Failed { .. } => "**Failed**, and needs a person.".to_owned(),
        Phase::Blocked {
            question: Some(_), ..
        } => "**Waits for an answer** to the agent's question.".to_owned(),
        Phase::Blocked { .. } => "**Blocked**, and needs a person.".to_owned(),
        Phase::Skipped { why, by } => format!(
            "Left out by {}: {}",
            line(&by.name, 60),
            line(why, caps.text.min(400))
        ),
    }
}

/// What stopped the item, or what the agent asks, as an alert.
fn stopped(out: &mut String, sheet: &Sheet<'_>, caps: Caps) {
    let mut said = String::new();
    let kind = match &sheet.item.phase {
        Phase::Failed { reasons } => {
            said.push_str("**What did not hold:**\n\n");
            parts::bullets(&mut said, reasons, caps, &sheet.show());
            "CAUTION"
        }
        Phase::Blocked {
            question: Some(question),
            ..
        } => {
            said.push_str("**The agent asks** (its own words):\n\n");
            said.push_str(&prose(question, caps.text));
            "IMPORTANT"
        }
        Phase::Blocked {
            reason, attempted, ..
        } => {
            said.push_str("**The agent cannot go on.** It says:\n\n");
            said.push_str(&prose(reason, caps.text));
            if !attempted.is_empty() {
                said.push_str("\n\nWhat it says it tried:\n\n");
                parts::bullets(&mut said, attempted, caps, &sheet.show());
            }
            "WARNING"
        }
        _ => return,
    };
    let said = format!("[!{kind}]\n{}", said.trim_end());
    paragraph(out, &quoted(&said));
}

fn reopened(sheet: &Sheet<'_>, round: &Round, caps: Caps) -> String {
    let before = round
        .branch
        .as_ref()
        .and_then(|b| b.name.rsplit('/').next())
        .and_then(|leaf| sheet.pulls.get(leaf));
    let before = before.map_or_else(String::new, |pull| {
        format!(" ({})", parts::pull(pull, sheet.links))
    });
    format!(
        "Round {}{before} was merged and is open again: {}",
        round.number,
        line(&round.reopened, caps.text)
    )
}

/// How a person decides, with the commands and the whole commit id.
fn deciding(out: &mut String, sheet: &Sheet<'_>) {
    let item = sheet.item;
    let run_branch = code(&sheet.state.run_branch.name);
    let commands: &[&str] = match &item.phase {
        Phase::Review => {
            let _ = writeln!(out, "### How to decide\n");
            let question = crate::report::checkpoint::question(sheet.state, item);
            if question != "Continue?" {
                let _ = writeln!(out, "**{}**\n", line(&question, 200));
            }
            let many = match sheet.approvals {
                0 | 1 => String::new(),
                n => format!(" It takes {n} approvals."),
            };
            let _ = writeln!(
                out,
                "- **Approve** in a review of this pull request: exactly what you saw is merged into {run_branch}, and what waits for it starts.{many}"
            );
            out.push_str(
                "- **Request changes** in a review: a fresh agent revises it with your words and the unresolved threads before it, and you are asked again.\n- Push a commit of your own to this branch, or apply a suggestion: it is checked, and needs an approval like any other.\n- Or write a comment that begins with one of these:\n\n",
            );
            &[
                "approve",
                "revise WHAT TO CHANGE",
                "skip WHY",
                "abort",
                "status",
            ]
        }
        Phase::Blocked {
            question: Some(_), ..
        } => {
            out.push_str("### How to answer\n\nWrite a comment that begins with one of these; `revise` answers the question:\n\n");
            &[
                "revise YOUR ANSWER",
                "retry",
                "retry --fresh",
                "skip WHY",
                "abort",
                "status",
            ]
        }
        Phase::Failed { .. } | Phase::Blocked { .. } => {
            out.push_str("### How to go on\n\nThis is a draft: there is nothing to approve. Write a comment that begins with one of these; `retry` goes on from where it stopped, `retry --fresh` from the run branch:\n\n");
            &[
                "retry",
                "retry --fresh",
                "revise WHAT TO DO",
                "skip WHY",
                "abort",
                "status",
            ]
        }
        _ => return,
    };
    let mut lines = String::new();
    for command in commands {
        match (*command, sheet.commit()) {
            ("approve", Some(commit)) => {
                let _ = writeln!(lines, "/pertask approve {commit}");
            }
            ("approve", None) => {}
            (command, _) => {
                let _ = writeln!(lines, "/pertask {command}");
            }
        }
    }
    paragraph(out, &markdown::fenced(&lines, "text", 2_000));
    let author = if sheet.author_may_approve {
        "The author of this pull request may too, by comment, as `author_may_approve` says."
    } else {
        "The author of this pull request may not."
    };
    let local = clean::short_line(&sheet.show(), 200);
    paragraph(
        out,
        &format!(
            "Whoever may write to this repository decides. {author} In a clone, {} shows everything, and the same commands are there.",
            code(&local)
        ),
    );
    if item.key == P0 {
        paragraph(
            out,
            "To let a violation pass instead, `skip` with the reason: it is recorded as an exception under your name.",
        );
    }
}
