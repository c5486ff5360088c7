//! What a commit carries: the statuses of build and rules, and annotations of lines.

use super::{heading, is_extra};
use crate::facts::diagnostics;
use crate::report::facts::Build;
use crate::report::{clean, words};
use crate::rules::Finding;
use crate::run::order::{AttemptResult, CheckKind};
use crate::run::state::{Attempt, CheckSummary, Item, Outcome, Phase, State};
use crate::text;

/// Longest description of a commit status, in characters (GitHub's limit).
const DESCRIPTION: usize = 140;
/// Most annotations of one result; GitHub takes 50 at a time.
const ANNOTATIONS: usize = 200;
/// Longest message of an annotation, in characters; GitHub takes 64 KB.
const MESSAGE: usize = 2_000;

/// State of a commit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    /// It holds.
    Success,
    /// It does not.
    Failure,
    /// It is not known yet.
    Pending,
}

impl CheckState {
    /// As the API has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Pending => "pending",
        }
    }
}

/// A commit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusLine {
    /// Its context: `pertask/build` or `pertask/rules`.
    pub context: &'static str,
    /// Its state.
    pub state: CheckState,
    /// At most 140 characters.
    pub description: String,
}

/// The statuses of the item's head: what build and rules said of the attempt that made it.
#[must_use]
pub fn status(state: &State, item: &Item) -> Vec<StatusLine> {
    let one = |context, kind: CheckKind| {
        let (state, description) = judged(state, item, kind);
        StatusLine {
            context,
            state,
            description: words::cut(&clean::line(&description), DESCRIPTION),
        }
    };
    vec![
        one("pertask/build", CheckKind::Build),
        one("pertask/rules", CheckKind::Rules),
    ]
}

/// The attempt that looked at the head: the one that made it, else the latest.
fn shown(item: &Item) -> Option<&Attempt> {
    let head = item.branch.as_ref().map(|b| b.head.as_str());
    let made = |a: &&Attempt| a.commit.as_deref() == head && head.is_some();
    let stopped = super::is_draft(item);
    let made = item.attempts.iter().rev().find(made);
    made.filter(|_| !stopped).or_else(|| item.latest_work())
}

fn judged(state: &State, item: &Item, kind: CheckKind) -> (CheckState, String) {
    if let Phase::Running { claim } = &item.phase {
        return (
            CheckState::Pending,
            format!("attempt {} is under way", claim.attempt),
        );
    }
    let Some(attempt) = shown(item) else {
        return (CheckState::Pending, "not attempted yet".to_owned());
    };
    let about = if is_extra(item) {
        heading(state, item)
    } else {
        format!("{}, attempt {}", heading(state, item), attempt.number)
    };
    let checks: Vec<&CheckSummary> = attempt.checks.iter().filter(|c| c.kind == kind).collect();
    if let Some(bad) = checks.iter().find(|c| !c.passed) {
        return (CheckState::Failure, format!("{}: {}", bad.name, bad.detail));
    }
    let none = match kind {
        CheckKind::Build => "no build command in the plan",
        _ => "no rule in the plan for these files",
    };
    match checks.as_slice() {
        [] if attempt.outcome == Outcome::Passed => (CheckState::Success, none.to_owned()),
        // The base is built before everything else, if there is anything to build with.
        [] if kind == CheckKind::Build
            && state
                .base_build
                .as_ref()
                .is_none_or(|b| b.checks.is_empty()) =>
        {
            (CheckState::Success, none.to_owned())
        }
        [] => (
            CheckState::Failure,
            format!(
                "not run: attempt {} {} before",
                attempt.number,
                match attempt.outcome {
                    Outcome::Question => "asked a question",
                    Outcome::Blocked => "was blocked",
                    _ => "failed",
                }
            ),
        ),
        [one] if kind == CheckKind::Rules => {
            (CheckState::Success, format!("{about}: {}", one.detail))
        }
        _ => {
            let what = match Build::of(attempt) {
                Build::Success if kind == CheckKind::Build => "the build succeeds",
                _ => "they hold",
            };
            (CheckState::Success, format!("{about}: {what}"))
        }
    }
}

/// How grave an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It fails the attempt.
    Failure,
    /// It does not.
    Warning,
}

impl Level {
    /// As the API has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Warning => "warning",
        }
    }
}

/// A remark on lines of a file, for a check run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Path from the root.
    pub path: String,
    /// First line, from 1.
    pub start_line: u32,
    /// Last line.
    pub end_line: u32,
    /// How grave.
    pub level: Level,
    /// At most 255 characters.
    pub title: String,
    /// Plain text.
    pub message: String,
}

/// The findings of the rules and the errors of compilers as annotations, without doubles, at most
/// 200. Compilers print paths as they like; only those that are a file of the change, or that the
/// checks found in the tree, are taken.
#[must_use]
pub fn annotations(result: &AttemptResult) -> Vec<Annotation> {
    let mut all: Vec<Annotation> = Vec::new();
    let mut add = |path: &str, line: u32, level: Level, title: &str, message: &str| {
        let one = Annotation {
            path: path.to_owned(),
            start_line: line.max(1),
            end_line: line.max(1),
            level,
            title: clean::short_line(title, 255),
            message: text::clipped(text::lines(message), MESSAGE),
        };
        // GitHub refuses an empty message, and paths it cannot show.
        let shown = clean::line(path) == path && !path.is_empty() && !one.message.is_empty();
        if shown && all.len() < ANNOTATIONS && !all.contains(&one) {
            all.push(one);
        }
    };
    for check in &result.checks {
        let level = if check.passed {
            Level::Warning
        } else {
            Level::Failure
        };
        match check.kind {
            CheckKind::Rules => {
                for finding in findings(&check.output) {
                    let hint = if finding.hint.is_empty() {
                        String::new()
                    } else {
                        format!("\n{}", finding.hint)
                    };
                    let message = format!("{}{hint}", finding.message);
                    add(&finding.file, finding.line, level, &finding.rule, &message);
                }
            }
            CheckKind::Build | CheckKind::Command if !check.passed => {
                for place in diagnostics::parse(&check.output) {
                    if let Some(path) = located(result, &place.file) {
                        add(path, place.line, level, &check.name, &place.message);
                    }
                }
            }
            _ => {}
        }
    }
    for fault in &result.faults {
        add(
            &fault.file,
            fault.line,
            Level::Failure,
            "build",
            &fault.message,
        );
    }
    // What a build said is there under its command; the same place once is enough.
    let mut seen = std::collections::BTreeSet::new();
    all.retain(|a| seen.insert((a.path.clone(), a.start_line, a.message.clone())));
    all
}

/// The path from the root of what a compiler printed: a known file that it is, or is the end of.
fn located<'r>(result: &'r AttemptResult, printed: &str) -> Option<&'r str> {
    let printed = printed.trim_start_matches("./");
    let known = result.files.iter().map(|f| f.path.as_str());
    let known = known.chain(result.faults.iter().map(|f| f.file.as_str()));
    let ends = |path: &str| {
        path == printed
            || path
                .strip_suffix(printed)
                .is_some_and(|rest| rest.ends_with('/'))
            || printed
                .strip_suffix(path)
                .is_some_and(|rest| rest.ends_with('/'))
    };
    let mut found: Vec<&str> = known.filter(|path| ends(path)).collect();
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [one] => Some(one),
        _ => None,
    }
}

/// Reads what [`crate::rules::output::human`] wrote.
pub(super) fn findings(output: &str) -> Vec<Finding> {
    let mut all: Vec<Finding> = Vec::new();
    for line in output.lines() {
        if let Some(hint) = line.strip_prefix("    ") {
            if let Some(last) = all.last_mut() {
                hint.trim().clone_into(&mut last.hint);
            }
        } else {
            all.extend(finding(line));
        }
    }
    all
}

/// `path:7:3: what is wrong [rule]`.
fn finding(line: &str) -> Option<Finding> {
    let (rest, rule) = line.strip_suffix(']')?.rsplit_once(" [")?;
    let mut parts = rest.match_indices(':').map(|(i, _)| i);
    let (file, at, column, message) = parts.find_map(|i| {
        let (file, rest) = (&rest[..i], &rest[i + 1..]);
        let (at, rest) = rest.split_once(':')?;
        let (column, message) = rest.split_once(": ")?;
        Some((file, at.parse().ok()?, column.parse().ok()?, message))
    })?;
    Some(Finding {
        rule: rule.to_owned(),
        file: file.to_owned(),
        line: at,
        column,
        message: message.to_owned(),
        hint: String::new(),
    })
}
