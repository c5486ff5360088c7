//! Whose file a failing build is about (the seed's "Build Fails After Task").
//!
//! Pure. A merged task is opened again only when every place that the build names lies in files of
//! merged tasks, none in the failing task's own, and at most once for the same pair of tasks until a
//! person asks for another attempt; in every other case the failing task itself is attempted again.

use super::BATCH;
use super::order::{AttemptResult, CheckKind, Fault, Verdict};
use super::state::{Item, Outcome, State};

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// The failing task's own, or no build failed.
    Own,
    /// No task's: the build names no file of any, or none at all.
    Nobody,
    /// Merged tasks', by key; they are to be opened again.
    Earlier(Vec<String>),
    /// Merged tasks', but they cannot be opened again for this one.
    Again {
        /// By key.
        keys: Vec<String>,
        /// Why not, in words.
        why: &'static str,
    },
}

/// Looks at the result of an attempt on `item`.
#[must_use]
pub fn blame(state: &State, item: &Item, result: &AttemptResult) -> Blame {
    let failed: Vec<_> = result.checks.iter().filter(|c| !c.passed).collect();
    let by_checks = matches!(&result.verdict, Verdict::Failed { reasons, retryable: true }
        if reasons.len() == failed.len()
            && reasons.iter().zip(&failed).all(|(r, c)| r.starts_with(&c.name)));
    if !by_checks || failed.is_empty() || failed.iter().any(|c| c.kind != CheckKind::Build) {
        return Blame::Own;
    }
    if result.faults.iter().any(|f| f.own) {
        return Blame::Own;
    }
    let mut keys: Vec<String> = Vec::new();
    for fault in &result.faults {
        match owner(state, item, fault) {
            Some(owner) if keys.contains(&owner.key) => {}
            Some(owner) => keys.push(owner.key.clone()),
            None => return Blame::Nobody,
        }
    }
    if keys.is_empty() {
        return Blame::Nobody;
    }
    let before = |key: &String| {
        let since = item.attempts.iter().filter(|a| a.number >= item.count_from);
        since.into_iter().any(|a| a.blames.contains(key))
    };
    if keys.iter().any(before) {
        let why = "it was put right once already, for the same task";
        return Blame::Again { keys, why };
    }
    // What builds on this task cannot be done again before it.
    if keys.iter().any(|key| state.needs(key, &item.key)) {
        let why = "it builds on this task";
        return Blame::Again { keys, why };
    }
    Blame::Earlier(keys)
}

/// The item in the run branch that a place belongs to: by its task's file, else the newest that
/// changed it.
fn owner<'s>(state: &'s State, present: &Item, fault: &Fault) -> Option<&'s Item> {
    let others = || {
        state.items.iter().filter(|i| {
            i.key != present.key && i.key != BATCH && i.key != super::P0 && i.was_merged()
        })
    };
    let exact = others().find(|i| i.tasks.iter().any(|t| t.file == fault.file));
    let touched = || {
        let mut changed: Vec<&Item> = others()
            .filter(|i| {
                let passed = i.attempts.iter().filter(|a| a.outcome == Outcome::Passed);
                passed
                    .into_iter()
                    .any(|a| a.files.iter().any(|f| f.path == fault.file))
            })
            .collect();
        changed.sort_by_key(|i| i.first_merged().map(|m| m.at));
        changed.pop()
    };
    let by_name = || {
        let ends = |path: &str| {
            path.strip_suffix(fault.file.as_str())
                .is_some_and(|p| p.ends_with('/'))
        };
        let mut named = others().filter(|i| i.tasks.iter().any(|t| ends(&t.file)));
        named.next().filter(|_| named.next().is_none())
    };
    exact.or_else(touched).or_else(by_name)
}

/// The places, one to a line.
#[must_use]
pub fn places(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|f| format!("{}:{}: {}", f.file, f.line, f.message))
        .collect();
    lines.join("\n")
}
