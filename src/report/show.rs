//! Everything known of one task, for `git pertask show`.
//!
//! Unlike in the other views, what hides in the prompt or the diff is not dropped but made visible:
//! a reviewer must see it.

use super::clean::{self, block, line, short_line};
use super::facts::{self, Build};
use super::status::hanging;
use super::style::{Style, Tone};
use super::{waits, words};
use crate::run::decide::Wait;
use crate::run::order::{CheckOutcome, OrderKind};
use crate::run::state::{Attempt, Decision, Item, Outcome, Phase, Review, State};
use crate::run::transition::short;

/// What only the ledger's folders and git know of a task; any of it may be missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Details<'a> {
    /// The plan's success criteria, in prose.
    pub success: &'a [String],
    /// The latest attempt's prompt.
    pub prompt: Option<&'a str>,
    /// The latest attempt's checks with their output.
    pub checks: &'a [CheckOutcome],
    /// The change as a unified diff, without colours.
    pub diff: Option<&'a str>,
}

/// All of a task: where it stands, attempts, checks, reviews, question, prompt, diff.
#[must_use]
pub fn text(state: &State, item: &Item, details: Details<'_>, style: Style) -> String {
    let mut out = String::new();
    let mut title = words::name(state, item);
    if let Some(first) = title.get(..1) {
        title = format!("{}{}", first.to_uppercase(), &title[1..]);
    }
    push(&mut out, &style.strong(&title));
    for task in &item.tasks {
        push(&mut out, &format!("File:   {}", line(&task.file)));
    }
    push(&mut out, &format!("State:  {}", standing(item)));
    if let Some(branch) = &item.branch {
        let head = line(&branch.head);
        push(
            &mut out,
            &format!("Branch: {} at {}", line(&branch.name), short(&head)),
        );
    }
    match &item.phase {
        Phase::Review => {
            let at = format!("{} {}", line(&state.run), line(&item.key));
            let said = format!(
                "Decide with `git pertask approve {at}` or `git pertask revise {at} -m …`."
            );
            out.push('\n');
            hanging(&mut out, "", &said);
        }
        Phase::Failed { .. } | Phase::Blocked { .. } => {
            wait(
                &mut out,
                state,
                &Wait::Stopped {
                    item: item.key.clone(),
                },
            );
        }
        _ => {}
    }
    if let Phase::Blocked {
        question: Some(question),
        ..
    } = &item.phase
    {
        heading(&mut out, "Question (the agent's words)", style);
        quoted(&mut out, &block(question));
    }
    if let Phase::Blocked { attempted, .. } = &item.phase
        && !attempted.is_empty()
    {
        heading(&mut out, "What the agent says it tried", style);
        for tried in attempted {
            hanging(&mut out, "- ", &short_line(tried, 400));
        }
    }
    super::checkpoint::violations(&mut out, state, item, style);
    rounds(&mut out, item, style);
    out.push_str(&super::checkpoint::criteria(details.success, style));
    if !item.attempts.is_empty() {
        heading(&mut out, "Attempts", style);
        for attempt in &item.attempts {
            one(&mut out, attempt, style);
        }
    }
    if let Some(attempt) = item.latest_work() {
        latest(&mut out, item, attempt, style);
    }
    if !details.checks.is_empty() {
        heading(&mut out, "Checks", style);
        for check in details.checks {
            outcome(&mut out, check, style);
        }
    }
    if !item.reviews.is_empty() {
        heading(&mut out, "Reviews", style);
        for review in &item.reviews {
            reviewed(&mut out, review);
        }
    }
    if let Some(prompt) = details.prompt {
        heading(&mut out, "Prompt", style);
        quoted(&mut out, clean::visible(prompt).trim_end());
    }
    if let Some(text) = details.diff {
        heading(&mut out, "Change", style);
        if text.trim().is_empty() {
            push(&mut out, "  none");
        } else {
            out.push_str(&diff(text, style));
        }
    }
    out
}

fn rounds(out: &mut String, item: &Item, style: Style) {
    if item.rounds.is_empty() {
        return;
    }
    heading(out, "Earlier rounds", style);
    for round in &item.rounds {
        let commit = line(round.merged.as_ref().map_or("", |m| m.commit.as_str()));
        let said = format!(
            "Round {}, merged as {}. Opened again: {}",
            round.number,
            short(&commit),
            short_line(&round.reopened, 400)
        );
        hanging(out, "- ", &said);
    }
}

/// A unified diff for a reviewer: hidden characters shown, coloured by line.
#[must_use]
pub fn diff(text: &str, style: Style) -> String {
    let text = clean::visible(text);
    let mut out = String::with_capacity(text.len());
    for part in text.lines() {
        let tone = match part.as_bytes() {
            [b'+', b'+', b'+', b' ', ..]
            | [b'-', b'-', b'-', b' ', ..]
            | [b'd', b'i', b'f', b'f', ..] => Tone::Strong,
            [b'+', ..] => Tone::Good,
            [b'-', ..] => Tone::Bad,
            [b'@', b'@', ..] => Tone::Busy,
            _ => Tone::Plain,
        };
        push(&mut out, &style.paint(tone, part));
    }
    out
}

fn push(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn heading(out: &mut String, text: &str, style: Style) {
    out.push('\n');
    push(out, &style.strong(text));
}

fn quoted(out: &mut String, text: &str) {
    for part in text.lines() {
        push(out, format!("  {part}").trim_end());
    }
}

fn wait(out: &mut String, state: &State, wait: &Wait) {
    out.push('\n');
    hanging(
        out,
        "",
        &format!("Waiting for {}.", waits::sentence(state, wait)),
    );
}

fn standing(item: &Item) -> String {
    match &item.phase {
        Phase::Pending => match &item.pending {
            Some(p) if p.from.is_empty() => format!("pending ({})", words::kind(p.kind)),
            Some(p) => format!(
                "pending ({}, {})",
                words::kind(p.kind),
                short_line(&p.from, 60)
            ),
            None => "pending".to_owned(),
        },
        Phase::Running { claim } => format!(
            "running, attempt {} since {}",
            claim.attempt,
            words::time(claim.since)
        ),
        Phase::Review => "review".to_owned(),
        Phase::Approved { because, .. } => format!("approved ({})", short_line(because, 200)),
        Phase::Merged => match &item.merged {
            Some(m) => format!(
                "merged as {} at {} ({})",
                short(&line(&m.commit)),
                words::time(m.at),
                short_line(&m.because, 200)
            ),
            None => "merged".to_owned(),
        },
        Phase::Failed { reasons } => match reasons.first() {
            Some(reason) => format!("failed: {}", short_line(reason, 400)),
            None => "failed".to_owned(),
        },
        Phase::Blocked { reason, .. } => format!("blocked: {}", short_line(reason, 400)),
        Phase::Skipped { why, by } => format!(
            "left out by {}: {}",
            short_line(&by.name, 60),
            short_line(why, 400)
        ),
    }
}

fn one(out: &mut String, attempt: &Attempt, style: Style) {
    let tone = match attempt.outcome {
        Outcome::Passed => Tone::Good,
        Outcome::Failed => Tone::Bad,
        Outcome::Blocked | Outcome::Question => Tone::Warn,
        Outcome::Interrupted => Tone::Faint,
    };
    let who = match attempt.kind {
        OrderKind::Forward => String::new(),
        _ => format!(", {}", facts::agent(attempt)),
    };
    let seconds = words::seconds(attempt.started, attempt.finished);
    let cost = attempt.cost_usd.map(|c| format!(", {}", words::money(c)));
    push(
        out,
        &format!(
            "- {} ({}{who}): {}, {} in {}{}",
            attempt.number,
            words::kind(attempt.kind),
            style.paint(tone, words::outcome(attempt.outcome)),
            words::time(attempt.started),
            words::duration(seconds),
            cost.unwrap_or_default()
        ),
    );
    for reason in &attempt.reasons {
        hanging(out, "    ", &short_line(reason, 400));
    }
    if let Some(commit) = &attempt.commit {
        let commit = line(commit);
        let place = match &attempt.kept {
            Some(kept) => format!("kept on {}", line(kept)),
            None => "on the task branch".to_owned(),
        };
        push(out, &format!("    commit {} {place}", short(&commit)));
    }
}

fn latest(out: &mut String, item: &Item, attempt: &Attempt, style: Style) {
    let files = facts::files(item, attempt);
    if !files.is_empty() {
        heading(out, "Files", style);
        for file in files {
            let path = line(&file.path);
            push(
                out,
                &format!(
                    "  {} {path} ({} lines)",
                    words::mark(file.change),
                    file.lines
                ),
            );
        }
    }
    let lists = [
        ("API methods (read from the code)", &attempt.api),
        ("Notes (the agent's words)", &attempt.notes),
        ("Skills (the agent's words)", &attempt.skills),
    ];
    for (title, entries) in lists {
        if !entries.is_empty() {
            heading(out, title, style);
            for entry in entries {
                hanging(out, "- ", &short_line(entry, 1000));
            }
        }
    }
    if Build::of(attempt) == Build::None && attempt.outcome == Outcome::Passed {
        heading(out, "Build", style);
        push(out, "  none was run: the plan names no build");
    }
}

fn outcome(out: &mut String, check: &CheckOutcome, style: Style) {
    let (mark, tone) = if check.passed {
        ("holds", Tone::Good)
    } else {
        ("does not hold", Tone::Bad)
    };
    push(
        out,
        &format!(
            "- {}: {}, {} ({}.{:03} s)",
            short_line(&check.name, 200),
            style.paint(tone, mark),
            short_line(&check.detail, 400),
            check.duration_ms / 1000,
            check.duration_ms % 1000
        ),
    );
    for part in block(&check.output).lines() {
        push(out, format!("    {part}").trim_end());
    }
}

fn reviewed(out: &mut String, review: &Review) {
    let commit = line(&review.commit);
    let what = match (review.decision, commit.as_str()) {
        (Decision::Approve, commit) => format!("approved {}", short(commit)),
        (Decision::Revise, "") => "answered".to_owned(),
        (Decision::Revise, commit) => format!("asked for changes to {}", short(commit)),
    };
    let who = short_line(&review.by.to_string(), 120);
    push(
        out,
        &format!("- {who}, {}: {}", words::time(review.at), what.trim_end()),
    );
    for part in block(&review.text).lines() {
        push(out, format!("    {part}").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, Random};
    use crate::run::order::CheckKind;

    #[test]
    fn a_task_in_review() {
        let mut state = sample::midway();
        sample::review(
            &mut state,
            "client",
            Decision::Revise,
            "Check the header.\nAnd log it.",
        );
        let item = state.item("client").unwrap();
        let checks = [CheckOutcome {
            kind: CheckKind::Build,
            name: "go build ./...".to_owned(),
            passed: true,
            detail: "succeeds".to_owned(),
            output: "go: downloading x\n".to_owned(),
            duration_ms: 1234,
        }];
        let details = Details {
            success: &["Every method is there".to_owned()],
            prompt: Some("Task 2 of 4\n\nDo it."),
            checks: &checks,
            diff: Some("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-\ta\n+\tb\u{202e}\n"),
        };
        insta::assert_snapshot!(text(&state, item, details, Style::PLAIN), @r"
        Task 2 of 4, client (HTTP client)
        File:   pkg/wiz/wiz_client.go
        State:  review
        Branch: pertask/wiz/2-client at cccccccccc

        Decide with `git pertask approve wiz client` or
        `git pertask revise wiz client -m …`.

        Success criteria (yours to judge)
        [ ] Every method is there

        Attempts
        - 1 (first, claude 2.1.0, model opus): failed, 2026-01-14T15:30:00Z in 15 minutes, $0.40
            go build ./... fails: undefined: Asset
            commit cccccccccc kept on pertask/wiz/kept/client-1
        - 2 (retry, claude 2.1.0, model opus): passed, 2026-01-14T15:46:40Z in 15 minutes, $0.82
            commit cccccccccc on the task branch

        Files
          ~ go.mod (12 lines)
          + pkg/wiz/wiz_client.go (185 lines)
          + pkg/wiz/wiz_client_test.go (90 lines)

        API methods (read from the code)
        - newClient(apiKey string) *client
        - (*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)

        Notes (the agent's words)
        - All errors wrapped with context

        Skills (the agent's words)
        - developing-with-tdd

        Checks
        - go build ./...: holds, succeeds (1.234 s)
            go: downloading x

        Reviews
        - Ada Lovelace <ada@example.org>, 2026-01-14T15:45:50Z: asked for changes to cccccccccc
            Check the header.
            And log it.

        Prompt
          Task 2 of 4

          Do it.

        Change
        --- a/x
        +++ b/x
        @@ -1 +1 @@
        -	a
        +	b<U+202E>
        ");
    }

    #[test]
    fn a_diff_in_colour() {
        let said = diff(
            "diff --git a b\n--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n c",
            Style { colour: true },
        );
        insta::assert_snapshot!(said.replace('\u{1b}', "^"), @r"
        ^[1mdiff --git a b^[0m
        ^[1m--- a^[0m
        ^[1m+++ b^[0m
        ^[36m@@ -1 +1 @@^[0m
        ^[31m-a^[0m
        ^[32m+b^[0m
         c
        ");
    }

    #[test]
    fn any_state_can_be_shown() {
        let mut random = Random::new(9);
        for _ in 0..300 {
            let state = random.state();
            let said = random.hostile();
            let details = Details {
                success: &[],
                prompt: Some(&said),
                checks: &[],
                diff: Some(&said),
            };
            for item in &state.items {
                let text = text(&state, item, details, Style::PLAIN);
                assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']), "{text:?}");
            }
        }
    }
}
