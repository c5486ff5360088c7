//! What the state says of a task, gathered for the views: build, files, lines, time, money.

use jiff::Timestamp;
use serde::Serialize;

use super::words;
use crate::run::order::{Change, CheckKind, FileFact, OrderKind};
use crate::run::state::{Attempt, Item, Outcome, Phase, TaskRef};

/// What the build said of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Build {
    /// Every build command succeeded.
    Success,
    /// One did not.
    Failure,
    /// It was not run: there is none, or an earlier check failed.
    None,
}

impl Build {
    /// The build of an attempt.
    #[must_use]
    pub fn of(attempt: &Attempt) -> Self {
        let mut builds = attempt.checks.iter().filter(|c| c.kind == CheckKind::Build);
        match builds.next() {
            None => Self::None,
            Some(first) if first.passed && builds.all(|c| c.passed) => Self::Success,
            Some(_) => Self::Failure,
        }
    }

    /// As JSON and trailers have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::None => "none",
        }
    }

    /// As the seed's log and summary have it.
    #[must_use]
    pub fn loud(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Failure => "FAILURE",
            Self::None => "NONE",
        }
    }
}

/// What the task has changed with this attempt and the passed ones of the round before it, which
/// it builds on: a file that an earlier attempt added and this one changed was added by the task.
/// Sorted by path.
#[must_use]
pub fn files(item: &Item, attempt: &Attempt) -> Vec<FileFact> {
    let before = item.attempts.iter().filter(|a| {
        a.number < attempt.number
            && a.round == attempt.round
            && a.outcome == Outcome::Passed
            && a.kind != OrderKind::Forward
    });
    let mut net = std::collections::BTreeMap::<&str, (Change, u32)>::new();
    for file in before.chain([attempt]).flat_map(|a| &a.files) {
        let known = net.get(file.path.as_str()).map(|(change, _)| *change);
        let change = match (known, file.change) {
            (Some(Change::Added), Change::Deleted) => {
                net.remove(file.path.as_str());
                continue;
            }
            (Some(Change::Added), _) => Change::Added,
            (Some(Change::Deleted), Change::Added) => Change::Modified,
            (_, change) => change,
        };
        net.insert(&file.path, (change, file.lines));
    }
    net.into_iter()
        .map(|(path, (change, lines))| FileFact {
            path: path.to_owned(),
            change,
            lines,
        })
        .collect()
}

/// Lines of the task's file as counted; `None` when the task did not touch it, or deleted it.
#[must_use]
pub fn lines(files: &[FileFact], task: &TaskRef) -> Option<u32> {
    files
        .iter()
        .find(|f| f.path == task.file && f.change != Change::Deleted)
        .map(|f| f.lines)
}

/// Which of an item's tasks a file belongs to: the one whose file it is, else the one whose file's
/// name it begins with (`client_test.go` belongs to `client.go`), else none. An item with one task
/// owns every file.
#[must_use]
pub fn owner<'i>(item: &'i Item, path: &str) -> Option<&'i TaskRef> {
    if let [only] = item.tasks.as_slice() {
        return Some(only);
    }
    if let Some(exact) = item.tasks.iter().find(|t| t.file == path) {
        return Some(exact);
    }
    let stem = |file: &str| {
        let name = words::file_name(file);
        let extension = name.rfind('.').map_or(0, |i| name.len() - i);
        file.len() - extension
    };
    let named = item.tasks.iter().filter(|t| {
        let stem = &t.file[..stem(&t.file)];
        !stem.is_empty() && path.strip_prefix(stem).is_some_and(|r| !r.contains('/'))
    });
    named.max_by_key(|t| stem(&t.file))
}

/// Seconds of all attempts together, with the one under way.
#[must_use]
pub fn seconds(item: &Item, now: Timestamp) -> u64 {
    let ended = item.attempts.iter().fold(0u64, |sum, a| {
        sum.saturating_add(words::seconds(a.started, a.finished))
    });
    match &item.phase {
        Phase::Running { claim } => ended.saturating_add(words::seconds(claim.since, now)),
        _ => ended,
    }
}

/// US dollars of all attempts together; `None` when no agent reported any.
#[must_use]
pub fn cost(item: &Item) -> Option<f64> {
    let mut reported = item.attempts.iter().filter_map(|a| a.cost_usd).peekable();
    reported.peek()?;
    Some(reported.sum())
}

/// Who made an attempt, as recorded: `claude 2.1.0, model opus`; for checks alone `nobody`.
#[must_use]
pub fn agent(attempt: &Attempt) -> String {
    use super::clean::short_line;
    let mut said = short_line(&attempt.by, 60);
    if said.is_empty() {
        return "nobody".to_owned();
    }
    if let Some(version) = &attempt.agent_version {
        said.push(' ');
        said.push_str(&short_line(version, 40));
    }
    if let Some(model) = &attempt.model {
        said.push_str(", model ");
        said.push_str(&short_line(model, 60));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, added, modified};

    #[test]
    fn files_add_up_over_a_round() {
        let mut state = sample::state();
        sample::finish(&mut state, "types", |a| {
            a.files = vec![added("a.go", 10), added("b.go", 5), modified("c.go", 7)];
        });
        sample::finish(&mut state, "types", |a| {
            a.kind = OrderKind::Revision;
            a.files = vec![
                modified("a.go", 12),
                FileFact {
                    path: "b.go".to_owned(),
                    change: Change::Deleted,
                    lines: 0,
                },
            ];
        });
        let item = state.item("types").unwrap();
        let net = files(item, &item.attempts[1]);
        assert_eq!(net, [added("a.go", 12), modified("c.go", 7)]);
        let first = files(item, &item.attempts[0]);
        assert_eq!(first.len(), 3);
    }

    #[test]
    fn a_file_belongs_to_the_nearest_name() {
        let state = sample::batch();
        let item = &state.items[0];
        let owner = |path: &str| owner(item, path).map(|t| t.id.as_str());
        assert_eq!(owner("pkg/wiz/wiz.go"), Some("handler"));
        assert_eq!(owner("pkg/wiz/wiz_client_test.go"), Some("client"));
        assert_eq!(owner("pkg/wiz/wiz_test.go"), Some("handler"));
        assert_eq!(owner("pkg/integrations.go"), None);
    }
}
