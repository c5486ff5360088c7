//! The one comment of ours on an item's pull request that is edited in place.

use std::fmt::Write as _;

use super::{Caps, MOST, Sheet, body, fit, is_draft, parts};
use crate::report::clean;
use crate::report::facts;
use crate::report::markdown::{cell, code, line, link};
use crate::report::words;
use crate::run::order::OrderKind;
use crate::run::state::{Attempt, Phase, State};
use crate::run::transition::short;

/// The line by which the comment is found again.
#[must_use]
pub fn progress_marker(state: &State, leaf: &str) -> String {
    super::marker("progress", &format!("{}/{leaf}", state.run))
}

/// The comment: where the item stands, what it waits for, every attempt with outcome, cost and time.
#[must_use]
pub fn progress(sheet: &Sheet<'_>) -> String {
    let marker = progress_marker(sheet.state, &sheet.item.branch_leaf());
    fit(
        MOST,
        &|caps| format!("{marker}\n{}", content(sheet, caps).trim_end()),
        &|| format!("{marker}\n{}", code(&clean::short_line(&sheet.show(), 200))),
    )
}

fn content(sheet: &Sheet<'_>, caps: Caps) -> String {
    let item = sheet.item;
    let mut out = String::new();
    parts::paragraph(&mut out, &body::standing(sheet, caps));
    parts::paragraph(&mut out, &next(sheet));
    if item.attempts.is_empty() {
        return out;
    }
    out.push_str(
        "| Attempt | Why | By | Outcome | Commit | Time | Cost |\n|---|---|---|---|---|---|---|\n",
    );
    let left_out = item.attempts.len().saturating_sub(caps.entries);
    for attempt in item.attempts.iter().skip(left_out) {
        out.push_str(&row(sheet, attempt, caps));
    }
    if left_out > 0 {
        let _ = writeln!(out, "\n{left_out} earlier: {}", code(&sheet.show()));
    }
    out
}

/// What is wanted of whom.
fn next(sheet: &Sheet<'_>) -> String {
    match (&sheet.item.phase, sheet.commit()) {
        (Phase::Review, Some(commit)) => format!(
            "Approve or request changes in a review, or comment `/pertask approve {}`.",
            clean::line(commit).replace('`', "")
        ),
        (Phase::Blocked { question: Some(_), .. }, _) => {
            "Answer with a comment that begins with `/pertask revise`.".to_owned()
        }
        _ if is_draft(sheet.item) => {
            "Comment `/pertask retry`, `/pertask revise` with what to do, or `/pertask skip` with why."
                .to_owned()
        }
        _ => String::new(),
    }
}

fn row(sheet: &Sheet<'_>, attempt: &Attempt, caps: Caps) -> String {
    let who = match attempt.kind {
        OrderKind::Forward => String::new(),
        _ => line(&facts::agent(attempt), caps.text.min(120)),
    };
    let mut outcome = words::outcome(attempt.outcome).to_owned();
    if !attempt.reasons.is_empty() {
        let reasons = clean::short_line(&attempt.reasons.join("; "), caps.text.min(300));
        let _ = write!(outcome, ": {}", line(&reasons, caps.text.min(300)));
    }
    let commit = attempt.commit.as_deref().filter(|c| !c.is_empty());
    let commit = commit.map_or_else(String::new, |oid| {
        link(&code(short(oid)), &sheet.links.commit(oid))
    });
    let round = if attempt.round > 1 {
        format!(", round {}", attempt.round)
    } else {
        String::new()
    };
    let time = words::short_duration(words::seconds(attempt.started, attempt.finished));
    let cost = attempt.cost_usd.map_or_else(String::new, words::money);
    format!(
        "| {} | {}{round} | {} | {} | {} | {time} | {cost} |\n",
        attempt.number,
        words::kind(attempt.kind),
        cell(&who),
        cell(&outcome),
        cell(&commit),
    )
}
