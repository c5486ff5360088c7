//! `implementation-log.md`: one section per task, in the shape of the seed's "Progress Tracking".
//!
//! The whole file is rendered from the state each time, so that it never conflicts and nobody can
//! edit it into saying something else. It is written into the very commit it describes; that commit
//! is therefore not in it, and reviews appear from the next commit on (design, section 5). Texts of
//! agents and reviewers are marked as theirs, kept to one line each, and cannot form Markdown.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::clean::{self, markdown};
use super::facts::{self, Build};
use super::words;
use crate::plan::Mode;
use crate::run::order::{Change, FileFact, OrderKind};
use crate::run::state::{Attempt, Decision, Item, Outcome, Phase, Review, State, TaskRef};
use crate::run::transition::short;

/// Longest text of an agent or reviewer that is quoted, in characters.
const QUOTE: usize = 400;
/// Most entries of a list that an agent fills.
const ENTRIES: usize = 60;

/// The whole log, with sections for the items whose keys are in `wanted`: those in the run branch
/// and the present one. The present item's attempt must be in `state` already (its commit unknown).
///
/// A section shows the item's latest attempt that is not a forward merge, and lists the earlier
/// ones. Lines, files, build and API are what the tool found; skills and notes are the agent's word.
#[must_use]
pub fn render(state: &State, wanted: &[&str]) -> String {
    let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
    let mut out = head(state);
    for item in state
        .items
        .iter()
        .filter(|i| wanted.contains(i.key.as_str()))
    {
        for task in &item.tasks {
            out.push('\n');
            section(&mut out, item, task);
        }
    }
    out
}

/// The sections of one item: what the log says of it.
#[must_use]
pub fn entry(item: &Item) -> String {
    let mut out = String::new();
    for task in &item.tasks {
        if !out.is_empty() {
            out.push('\n');
        }
        section(&mut out, item, task);
    }
    out
}

fn head(state: &State) -> String {
    let mode = match state.mode {
        Mode::PerTask => "one agent per task",
        Mode::Batch => "one agent for all tasks",
    };
    format!(
        "# Implementation log: {}\n\nRun {} of plan {}, {mode} ({}), from {} at {}, started {} by {}. Written by `git pertask` from the run's ledger at every task; edits made here are lost.\n",
        markdown(&state.title),
        markdown(&state.run),
        markdown(&state.plan),
        markdown(&state.mode_reason),
        clean::path(&state.base.branch),
        markdown(short(&state.base.commit)),
        words::time(state.created),
        markdown(&state.started_by.name),
    )
}

fn section(out: &mut String, item: &Item, task: &TaskRef) {
    let _ = writeln!(
        out,
        "## Task {}: {} ({})",
        task.position,
        markdown(&task.title),
        clean::path(words::file_name(&clean::line(&task.file))),
    );
    let attempt = item.latest_work();
    if let Phase::Skipped { why, by } = &item.phase {
        field(out, "Status", "Left out");
        field(out, "Left out by", &markdown(&by.name));
        field(out, "Reason", &quote(why));
        if !item.attempts.is_empty() {
            earlier(out, item.attempts.iter());
        }
    } else if let Some(attempt) = attempt {
        work(out, item, task, attempt);
    } else {
        field(out, "Status", "Not started");
    }
}

fn work(out: &mut String, item: &Item, task: &TaskRef, attempt: &Attempt) {
    let files = facts::files(item, attempt);
    field(out, "Status", status(attempt.outcome));
    field(out, "Started", &words::time(attempt.started));
    field(out, "Completed", &words::time(attempt.finished));
    let seconds = words::seconds(attempt.started, attempt.finished);
    field(out, "Duration", &words::duration(seconds));
    let lines = facts::lines(&files, task);
    let lines = lines.map_or("none, the file was not written".to_owned(), |n| {
        n.to_string()
    });
    field(out, "Lines", &lines);
    field(out, "Build", Build::of(attempt).loud());
    field(out, "Agent", &agent(attempt, task));
    field(out, "Skills invoked", &skills(&attempt.skills));
    for reason in attempt.reasons.iter().take(ENTRIES) {
        field(out, "Reason", &quote(reason));
    }

    // What cannot be told apart by task stands in the last section of a batch.
    let last = item.tasks.last() == Some(task);
    heading(out, "Files Created");
    let entries = files
        .iter()
        .filter_map(|f| match facts::owner(item, &f.path) {
            Some(owner) if owner == task => Some(file(f, "")),
            None if last => Some(file(f, ", of no single task")),
            _ => None,
        });
    list(out, entries);

    heading(out, "API Methods Implemented");
    if last {
        list(
            out,
            attempt
                .api
                .iter()
                .map(|api| clean::code(&clean::short_line(api, QUOTE))),
        );
    } else {
        list(
            out,
            ["Under the last task: one agent worked on all files".to_owned()],
        );
    }

    heading(out, "Review Notes");
    let notes = attempt.notes.iter().take(ENTRIES).map(|note| {
        let who = if attempt.kind == OrderKind::Person {
            "Author's"
        } else {
            "Agent's"
        };
        format!("{who} words: {}", quote(note))
    });
    list(out, notes.chain(item.reviews.iter().map(review)));

    let mut others = item
        .attempts
        .iter()
        .filter(|a| a.number < attempt.number)
        .peekable();
    if others.peek().is_some() {
        earlier(out, others);
    }
}

fn heading(out: &mut String, text: &str) {
    let _ = writeln!(out, "\n### {text}");
}

fn field(out: &mut String, name: &str, value: &str) {
    let _ = writeln!(out, "- {name}: {value}");
}

fn list(out: &mut String, entries: impl IntoIterator<Item = String>) {
    let mut count = 0usize;
    for entry in entries.into_iter().filter(|e| !e.is_empty()) {
        count += 1;
        if count <= ENTRIES {
            let _ = writeln!(out, "- {entry}");
        }
    }
    if count == 0 {
        out.push_str("- None\n");
    } else if count > ENTRIES {
        let _ = writeln!(out, "- And {} more", count - ENTRIES);
    }
}

fn quote(text: &str) -> String {
    let said = markdown(&clean::short_line(text, QUOTE));
    if said.is_empty() {
        "(nothing said)".to_owned()
    } else {
        said
    }
}

fn status(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "Complete",
        Outcome::Failed => "Failed",
        Outcome::Blocked => "Blocked",
        Outcome::Question => "Needs clarification",
        Outcome::Interrupted => "Interrupted",
    }
}

fn agent(attempt: &Attempt, task: &TaskRef) -> String {
    let known = markdown(&facts::agent(attempt));
    let task = task.position;
    if attempt.kind == OrderKind::Person {
        return format!("none, commit of {known} (task-{task})");
    }
    let says = attempt
        .agent_says
        .as_deref()
        .map(|s| clean::short_line(s, 60));
    match says.filter(|s| !s.is_empty() && *s != attempt.by) {
        Some(says) => format!("{}, {known} (task-{task})", markdown(&says)),
        None => format!("{known} (task-{task})"),
    }
}

fn skills(skills: &[String]) -> String {
    let named: Vec<_> = skills
        .iter()
        .take(ENTRIES)
        .map(|s| markdown(&clean::short_line(s, 80)))
        .filter(|s| !s.is_empty())
        .collect();
    if named.is_empty() {
        "none named".to_owned()
    } else {
        named.join(", ")
    }
}

fn file(file: &FileFact, more: &str) -> String {
    let path = clean::path(&file.path);
    let change = match file.change {
        Change::Added => "",
        Change::Modified => "modified",
        Change::Deleted => "deleted",
    };
    let said = format!("{change}{more}");
    match said.trim_start_matches(", ") {
        "" => path,
        said => format!("{path} ({said})"),
    }
}

fn review(review: &Review) -> String {
    let commit = clean::line(&review.commit);
    let commit = markdown(short(&commit));
    let what = match (review.decision, commit.as_str()) {
        (Decision::Approve, "") => "approved".to_owned(),
        (Decision::Approve, commit) => format!("approved {commit}"),
        (Decision::Revise, "") => "answered".to_owned(),
        (Decision::Revise, commit) => format!("asked for changes to {commit}"),
    };
    let who = markdown(&clean::short_line(&review.by.name, 60));
    let when = words::time(review.at);
    let threads = match review.source.as_ref().map_or(0, |s| s.threads.len()) {
        0 => String::new(),
        1 => " in 1 thread".to_owned(),
        n => format!(" in {n} threads"),
    };
    let words = review.words();
    if clean::line(words).is_empty() {
        format!("Review by {who}, {when}: {what}{threads}")
    } else {
        format!("Review by {who}, {when}: {what}{threads}: {}", quote(words))
    }
}

fn earlier<'a>(out: &mut String, attempts: impl Iterator<Item = &'a Attempt>) {
    heading(out, "Earlier attempts");
    let entries = attempts.map(|a| {
        let round = if a.round > 1 {
            format!(", round {}", a.round)
        } else {
            String::new()
        };
        let who = match a.kind {
            OrderKind::Forward => String::new(),
            _ => format!(", {}", markdown(&facts::agent(a))),
        };
        let reasons = clean::short_line(&a.reasons.join("; "), QUOTE);
        let because = if reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", markdown(&reasons))
        };
        format!(
            "Attempt {} ({}{who}{round}): {}{because}",
            a.number,
            words::kind(a.kind),
            words::outcome(a.outcome),
        )
    });
    list(out, entries);
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

    use super::*;
    use crate::report::sample::{self, Random};

    #[test]
    fn as_the_seed_has_it() {
        let mut state = sample::midway();
        sample::review(
            &mut state,
            "client",
            Decision::Revise,
            "Check the rate limit header.\n\n# Now",
        );
        insta::assert_snapshot!(render(&state, &["types", "client"]), @r"
        # Implementation log: Wiz integration

        Run wiz of plan wiz, one agent per task (four tasks or more), from main at aaaaaaaaaa, started 2026-01-14T15:29:00Z by Ada Lovelace. Written by `git pertask` from the run's ledger at every task; edits made here are lost.

        ## Task 1: API types (wiz_types.go)
        - Status: Complete
        - Started: 2026-01-14T15:30:00Z
        - Completed: 2026-01-14T15:45:00Z
        - Duration: 15 minutes
        - Lines: 120
        - Build: SUCCESS
        - Agent: integration-developer, claude 2.1.0, model opus (task-1)
        - Skills invoked: developing-with-tdd

        ### Files Created
        - pkg/wiz/wiz_types.go

        ### API Methods Implemented
        - None

        ### Review Notes
        - Agent's words: All errors wrapped with context
        - Review by Ada Lovelace, 2026-01-14T15:45:50Z: approved cccccccccc

        ## Task 2: HTTP client (wiz_client.go)
        - Status: Complete
        - Started: 2026-01-14T15:46:40Z
        - Completed: 2026-01-14T16:01:40Z
        - Duration: 15 minutes
        - Lines: 185
        - Build: SUCCESS
        - Agent: integration-developer, claude 2.1.0, model opus (task-2)
        - Skills invoked: developing-with-tdd

        ### Files Created
        - go.mod (modified)
        - pkg/wiz/wiz_client.go
        - pkg/wiz/wiz_client_test.go

        ### API Methods Implemented
        - `newClient(apiKey string) *client`
        - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

        ### Review Notes
        - Agent's words: All errors wrapped with context
        - Review by Ada Lovelace, 2026-01-14T15:45:50Z: asked for changes to cccccccccc: Check the rate limit header. # Now

        ### Earlier attempts
        - Attempt 1 (first, claude 2.1.0, model opus): failed: go build ./... fails: undefined: Asset
        ");
    }

    #[test]
    fn failed_and_left_out() {
        let mut state = sample::state();
        sample::fail(&mut state, "types");
        sample::fail(&mut state, "client");
        state.item_mut("client").unwrap().phase = Phase::Skipped {
            why: "not needed\n## Task 3: x".to_owned(),
            by: sample::ada(),
        };
        insta::assert_snapshot!(render(&state, &["types", "client", "handler"]), @r"
        # Implementation log: Wiz integration

        Run wiz of plan wiz, one agent per task (four tasks or more), from main at aaaaaaaaaa, started 2026-01-14T15:29:00Z by Ada Lovelace. Written by `git pertask` from the run's ledger at every task; edits made here are lost.

        ## Task 1: API types (wiz_types.go)
        - Status: Failed
        - Started: 2026-01-14T15:30:00Z
        - Completed: 2026-01-14T15:45:00Z
        - Duration: 15 minutes
        - Lines: 185
        - Build: FAILURE
        - Agent: integration-developer, claude 2.1.0, model opus (task-1)
        - Skills invoked: developing-with-tdd
        - Reason: go build ./... fails: undefined: Asset

        ### Files Created
        - pkg/wiz/wiz_types.go

        ### API Methods Implemented
        - `newClient(apiKey string) *client`
        - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

        ### Review Notes
        - Agent's words: All errors wrapped with context

        ## Task 2: HTTP client (wiz_client.go)
        - Status: Left out
        - Left out by: Ada Lovelace
        - Reason: not needed ## Task 3: x

        ### Earlier attempts
        - Attempt 1 (first, claude 2.1.0, model opus): failed: go build ./... fails: undefined: Asset

        ## Task 4: Primary handler (wiz.go)
        - Status: Not started
        ");
    }

    #[test]
    fn a_batch_has_a_section_for_each_task() {
        let mut state = sample::batch();
        sample::finish(&mut state, "batch", |a| {
            a.files.push(sample::modified("pkg/integrations.go", 40));
            a.files
                .push(sample::added("pkg/wiz/wiz_client_test.go", 60));
        });
        insta::assert_snapshot!(render(&state, &["batch"]), @r"
        # Implementation log: Wiz integration

        Run wiz of plan wiz, one agent for all tasks (time-constrained), from main at aaaaaaaaaa, started 2026-01-14T15:29:00Z by Ada Lovelace. Written by `git pertask` from the run's ledger at every task; edits made here are lost.

        ## Task 1: API types (wiz_types.go)
        - Status: Complete
        - Started: 2026-01-14T15:30:00Z
        - Completed: 2026-01-14T15:45:00Z
        - Duration: 15 minutes
        - Lines: 185
        - Build: SUCCESS
        - Agent: integration-developer, claude 2.1.0, model opus (task-1)
        - Skills invoked: developing-with-tdd

        ### Files Created
        - pkg/wiz/wiz_types.go

        ### API Methods Implemented
        - Under the last task: one agent worked on all files

        ### Review Notes
        - Agent's words: All errors wrapped with context

        ## Task 2: HTTP client (wiz_client.go)
        - Status: Complete
        - Started: 2026-01-14T15:30:00Z
        - Completed: 2026-01-14T15:45:00Z
        - Duration: 15 minutes
        - Lines: 185
        - Build: SUCCESS
        - Agent: integration-developer, claude 2.1.0, model opus (task-2)
        - Skills invoked: developing-with-tdd

        ### Files Created
        - pkg/wiz/wiz_client.go
        - pkg/wiz/wiz_client_test.go

        ### API Methods Implemented
        - Under the last task: one agent worked on all files

        ### Review Notes
        - Agent's words: All errors wrapped with context

        ## Task 3: Transformations (wiz_transform.go)
        - Status: Complete
        - Started: 2026-01-14T15:30:00Z
        - Completed: 2026-01-14T15:45:00Z
        - Duration: 15 minutes
        - Lines: 185
        - Build: SUCCESS
        - Agent: integration-developer, claude 2.1.0, model opus (task-3)
        - Skills invoked: developing-with-tdd

        ### Files Created
        - pkg/wiz/wiz_transform.go

        ### API Methods Implemented
        - Under the last task: one agent worked on all files

        ### Review Notes
        - Agent's words: All errors wrapped with context

        ## Task 4: Primary handler (wiz.go)
        - Status: Complete
        - Started: 2026-01-14T15:30:00Z
        - Completed: 2026-01-14T15:45:00Z
        - Duration: 15 minutes
        - Lines: 185
        - Build: SUCCESS
        - Agent: integration-developer, claude 2.1.0, model opus (task-4)
        - Skills invoked: developing-with-tdd

        ### Files Created
        - pkg/integrations.go (modified, of no single task)
        - pkg/wiz/wiz.go

        ### API Methods Implemented
        - `newClient(apiKey string) *client`
        - `(*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)`

        ### Review Notes
        - Agent's words: All errors wrapped with context
        ");
    }

    #[test]
    fn an_agent_cannot_fill_the_log() {
        let mut state = sample::state();
        sample::finish(&mut state, "types", |a| {
            a.notes = vec!["word ".repeat(10_000); 1000];
            a.api = vec!["f()".to_owned(); 1000];
        });
        let log = render(&state, &["types"]);
        assert!(log.len() < 60_000, "{} bytes", log.len());
        assert!(log.contains("\n- And 940 more\n"));
    }

    /// Whatever agents, reviewers and plans say, the log has its own headings and no others, and
    /// nothing in it but lists, paragraphs and code.
    #[test]
    fn nothing_forges_a_heading() {
        let mut random = Random::new(42);
        for _ in 0..400 {
            let state = random.state();
            let wanted: Vec<&str> = state
                .items
                .iter()
                .map(|i| i.key.as_str())
                .filter(|_| random.below(4) > 0)
                .collect();
            let log = render(&state, &wanted);
            assert_eq!(log, render(&state.clone(), &wanted));
            let tasks = wanted
                .iter()
                .map(|key| state.item(key).unwrap().tasks.len())
                .sum::<usize>();
            let raw = log.lines().filter(|l| l.starts_with("## Task")).count();
            assert_eq!(raw, tasks, "{log}");
            let options = Options::all() - Options::ENABLE_SMART_PUNCTUATION - Options::ENABLE_MATH;
            let mut levels = Vec::new();
            for event in Parser::new_ext(&log, options) {
                match event {
                    Event::Start(Tag::Heading { level, .. }) => levels.push(level),
                    Event::Start(Tag::Paragraph | Tag::List(None) | Tag::Item)
                    | Event::End(_)
                    | Event::Text(_)
                    | Event::Code(_) => {}
                    other => panic!("{other:?} in\n{log}"),
                }
            }
            let count = |level| levels.iter().filter(|l| **l == level).count();
            assert_eq!(count(HeadingLevel::H1), 1, "{log}");
            assert_eq!(count(HeadingLevel::H2), tasks, "{log}");
            let ours = log.lines().filter(|l| l.starts_with("### ")).count();
            assert_eq!(count(HeadingLevel::H3), ours, "{log}");
            assert_eq!(levels.len(), 1 + tasks + ours, "{log}");
        }
    }
}
