//! Feedback on GitHub: what reviewers ask for reaches the agent, and they are told what was done.

#[path = "github_revision/comments.rs"]
mod comments;
#[path = "github_revision/drafts.rs"]
mod drafts;
#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "github_revision/pages.rs"]
mod pages;
#[path = "github_revision/questions.rs"]
mod questions;
#[path = "github_revision/reviews.rs"]
mod reviews;
mod support;
#[path = "github_revision/threads.rs"]
mod threads;

use hub::{Hub, REPO};

/// Settings: nobody is confined, so that the agent can leave its prompts to the test.
const OPEN: &str = "forge = \"github\"\nsandbox = \"off\"";

/// An agent that keeps its prompt beside itself, writes twelve lines, and at a revision changes the
/// third and answers the first thread.
const WRITER: &str = r#"
root=$(dirname "$0")
cat > "$root/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
rm -f "$PERTASK_TASK.txt"
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do
    if [ "$n" = 3 ] && [ "$PERTASK_ATTEMPT" -gt 1 ]; then
        echo "line 3, attempt $PERTASK_ATTEMPT" >> "$PERTASK_TASK.txt"
    else
        echo "line $n" >> "$PERTASK_TASK.txt"
    fi
done
threads=
if grep -q '^\[T1\]' "$root/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"; then
    threads=',"threads":[{"thread":"T1","done":"Line 3 says so now"}]'
fi
printf '{"status":"complete","summary":"wrote %s"%s}' "$PERTASK_TASK" "$threads" > "$PERTASK_HANDOFF_FILE"
"#;

/// The prompt of an attempt, as the agent got it.
#[track_caller]
fn prompt(hub: &Hub, task: &str, attempt: u32) -> String {
    support::read(&hub.sandbox.root().join(format!("prompt-{task}-{attempt}")))
}

/// What reviewers say in a prompt, with its heading.
#[track_caller]
fn feedback(hub: &Hub, task: &str, attempt: u32) -> String {
    let text = prompt(hub, task, attempt);
    let (_, rest) = text
        .split_once("## What the reviewer says")
        .unwrap_or_else(|| panic!("nothing is said:\n{text}"));
    let end = rest.find("\n## ").unwrap_or(rest.len());
    rest[..end].trim().to_owned()
}

/// A page with what differs from run to run replaced.
fn page(hub: &Hub, text: &str) -> String {
    let url = hub.github.url();
    let text = hub.sandbox.tidy(&text.replace(&url, "[GITHUB]"));
    let mut parts = text.split("PRRT_kw");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("[THREAD]");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// What the token's account wrote in the conversation of a pull request.
fn own_comments(hub: &Hub, number: u64) -> Vec<String> {
    let all = hub.github.comments(REPO, number).into_iter();
    all.filter(|(who, _)| who == "robot[bot]")
        .map(|(_, c)| c.body)
        .collect()
}

/// Each thread of a pull request: its path, and what we answered in it.
#[track_caller]
fn replies(hub: &Hub, number: u64) -> Vec<(String, Vec<String>)> {
    let pull = hub.github.pull(REPO, number);
    let said = |t: &github::state::Thread| {
        let name = |id| hub.github.login(id);
        let ours = t.comments.iter().filter(|c| name(c.user) == "robot[bot]");
        (t.path.clone(), ours.map(|c| c.body.clone()).collect())
    };
    pull.threads.iter().map(said).collect()
}
