//! Messages of the commits the tool makes on its branches.
//!
//! A message ends with one paragraph of trailers, which `git interpret-trailers --parse` reads. What
//! others wrote cannot add a trailer: it stands on single lines in paragraphs before that one, and
//! no line of it starts with what git takes for a comment or the end of a message.

use super::clean::{line, quiet, short_line};
use super::facts::{self, Build};
use super::words;
use crate::run::order::OrderKind;
use crate::run::state::{Attempt, Decision, Item, Outcome, Phase, State};
use crate::run::transition::short;

/// Longest subject, in characters.
const SUBJECT: usize = 72;
/// Longest paragraph taken from the plan or an agent, in characters.
const PARAGRAPH: usize = 600;

/// The commit of a passed attempt on the task branch. `purpose` is the plan's, one paragraph.
#[must_use]
pub fn message(state: &State, item: &Item, attempt: &Attempt, purpose: &str) -> String {
    let what = match attempt.kind {
        OrderKind::Revision => ", revised",
        OrderKind::Conflict => ", conflict resolved",
        _ => "",
    };
    let subject = subject(state, item, &format!("{}{what}", title(state, item)));
    let mut trailers = Trailers::of(state, item);
    trailers.attempt(attempt);
    compose(&subject, &[purpose.to_owned()], &trailers)
}

/// The commit that joins a task to the run branch; also the message of a merge commit. Says who
/// approved it, or by which policy it went unreviewed.
#[must_use]
pub fn squash_message(state: &State, item: &Item, purpose: &str) -> String {
    let mut trailers = Trailers::of(state, item);
    if let Some(attempt) = item.latest_work() {
        trailers.attempt(attempt);
    }
    trailers.add("Pertask-Review", &approval(item));
    let history = format!("{}.", made_in(item));
    compose(
        &subject(state, item, &title(state, item)),
        &[purpose.to_owned(), history],
        &trailers,
    )
}

/// The merge commit that brings the run branch into a task branch.
#[must_use]
pub fn forward_message(state: &State, item: &Item) -> String {
    let into = match &item.branch {
        Some(branch) => format!(" into {}", line(&branch.name)),
        None => String::new(),
    };
    let run_branch = &state.run_branch;
    let body = format!(
        "{} is at {}; the task's own changes stay as they are.",
        line(&run_branch.name),
        short(&line(&run_branch.head))
    );
    compose(
        &subject(state, item, &format!("Merge {}{into}", run_branch.name)),
        &[body],
        &Trailers::of(state, item),
    )
}

/// The commit that puts the report of the P0 validation on the run branch when there was nothing to
/// mend.
#[must_use]
pub fn report_message(state: &State) -> String {
    let compliance = &state.compliance;
    let said = match (compliance.open(), compliance.exceptions.len()) {
        (0, 0) => "compliant",
        (0, _) => "exceptions",
        _ => "not compliant",
    };
    let mut trailers = Trailers(Vec::new());
    trailers.add("Pertask-Run", &state.run);
    let subject = format!("[{}] P0 validation: {said}", line(&state.run));
    compose(
        &words::cut(&subject, SUBJECT),
        &[super::compliance::result(compliance)],
        &trailers,
    )
}

/// The commit that lays out the branch of an item none of whose attempts has passed: the log alone.
#[must_use]
pub fn laid_out_message(state: &State, item: &Item) -> String {
    let said = format!("{}: log of what was tried", title(state, item));
    compose(
        &subject(state, item, &said),
        &["Nothing of the work is in here; it is kept on branches of its own.".to_owned()],
        &Trailers::of(state, item),
    )
}

/// The merge of the base into the run branch.
#[must_use]
pub fn base_message(state: &State, base: &str) -> String {
    let mut trailers = Trailers(Vec::new());
    trailers.add("Pertask-Run", &state.run);
    let branch = line(&state.base.branch);
    let subject = format!(
        "[{}] Merge {branch} into {}",
        line(&state.run),
        line(&state.run_branch.name)
    );
    compose(
        &words::cut(&subject, SUBJECT),
        &[format!(
            "{branch} has moved on to {} since the run started.",
            short(&line(base))
        )],
        &trailers,
    )
}

/// The commit that keeps the work of an attempt that did not pass.
#[must_use]
pub fn kept_message(state: &State, item: &Item, attempt: &Attempt) -> String {
    let said = format!(
        "{}: attempt {} {}, kept",
        title(state, item),
        attempt.number,
        words::outcome(attempt.outcome)
    );
    let mut trailers = Trailers::of(state, item);
    trailers.attempt(attempt);
    let reasons: Vec<_> = attempt.reasons.iter().take(10).map(|r| quiet(r)).collect();
    compose(&subject(state, item, &said), &reasons, &trailers)
}

fn title(state: &State, item: &Item) -> String {
    match item.tasks.as_slice() {
        [task] => line(&task.title),
        _ => line(&state.title),
    }
}

/// `[wiz 2/4] HTTP client`; for a batch `[wiz 1-4/4] Wiz integration`.
fn subject(state: &State, item: &Item, what: &str) -> String {
    let total = state.total();
    let run = line(&state.run);
    let which = match (item.tasks.first(), item.tasks.last()) {
        (Some(first), Some(last)) if first != last => {
            format!("{}-{}", first.position, last.position)
        }
        _ => item
            .tasks
            .first()
            .map_or(item.position, |t| t.position)
            .to_string(),
    };
    words::cut(&line(&format!("[{run} {which}/{total}] {what}")), SUBJECT)
}

/// How many attempts there were, e.g. `Made in 3 attempts with 1 revision`.
fn made_in(item: &Item) -> String {
    let work = item
        .attempts
        .iter()
        .filter(|a| a.kind != OrderKind::Forward && a.outcome != Outcome::Interrupted);
    let revisions = work.clone().filter(|a| a.kind == OrderKind::Revision);
    let count = |n: usize, noun| words::counted(u64::try_from(n).unwrap_or(u64::MAX), noun);
    let made = format!("Made in {}", count(work.count(), "attempt"));
    match revisions.count() {
        0 => made,
        n => format!("{made} with {}", count(n, "revision")),
    }
}

/// Who approved, with their address where the review is known; else the words of the approval.
fn approval(item: &Item) -> String {
    let because = match (&item.phase, &item.merged) {
        (Phase::Approved { because, .. }, _) => because.as_str(),
        (_, Some(merged)) => merged.because.as_str(),
        _ => return "none".to_owned(),
    };
    let said = item.reviews.iter().rev().find(|r| {
        r.round == item.round
            && r.decision == Decision::Approve
            && because == format!("approved by {}", r.by.name)
    });
    said.map_or_else(
        || short_line(because, 200),
        |r| short_line(&format!("approved by {}", r.by), 200),
    )
}

struct Trailers(Vec<(&'static str, String)>);

impl Trailers {
    fn of(state: &State, item: &Item) -> Self {
        let mut trailers = Self(Vec::new());
        trailers.add("Pertask-Run", &state.run);
        for task in &item.tasks {
            trailers.add("Pertask-Task", &task.id);
        }
        trailers
    }

    fn attempt(&mut self, attempt: &Attempt) {
        self.add("Pertask-Attempt", &attempt.number.to_string());
        self.add("Pertask-Agent", &quiet(&facts::agent(attempt)));
        self.add("Pertask-Prompt", &attempt.prompt_sha256);
        self.add("Pertask-Build", Build::of(attempt).word());
    }

    /// One trailer; none when there is nothing to say (checks alone have no prompt).
    fn add(&mut self, key: &'static str, value: &str) {
        let value = line(value);
        if !value.is_empty() {
            self.0.push((key, value));
        }
    }
}

fn compose(subject: &str, paragraphs: &[String], trailers: &Trailers) -> String {
    let mut out = format!("{subject}\n\n");
    for paragraph in paragraphs {
        let lines = words::wrap(&short_line(paragraph, PARAGRAPH), SUBJECT);
        if lines.is_empty() {
            continue;
        }
        for text in lines {
            // git ends a message at `---` and drops `#` lines.
            if text.starts_with("---") || text.starts_with('#') {
                out.push(' ');
            }
            out.push_str(&text);
            out.push('\n');
        }
        out.push('\n');
    }
    for (key, value) in &trailers.0 {
        out.push_str(key);
        out.push_str(": ");
        out.push_str(value);
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::report::sample::{self, Random};

    const PURPOSE: &str = "HTTP client with authentication, rate limiting and API methods,\nas the architecture asks.";

    #[test]
    fn an_attempt() {
        let state = sample::midway();
        let item = state.item("client").unwrap();
        insta::assert_snapshot!(message(&state, item, &item.attempts[1], PURPOSE), @r"
        [wiz 2/4] HTTP client

        HTTP client with authentication, rate limiting and API methods, as the
        architecture asks.

        Pertask-Run: wiz
        Pertask-Task: client
        Pertask-Attempt: 2
        Pertask-Agent: claude 2.1.0, model opus
        Pertask-Prompt: 5555555555555555555555555555555555555555555555555555555555555555
        Pertask-Build: success
        ");
    }

    #[test]
    fn joined_and_brought_forward() {
        let mut state = sample::midway();
        sample::finish(&mut state, "client", |a| a.kind = OrderKind::Revision);
        sample::merge(&mut state, "client");
        let item = state.item("client").unwrap();
        let said = [
            message(&state, item, &item.attempts[2], "---\n# x"),
            squash_message(&state, item, PURPOSE),
            forward_message(&state, item),
            kept_message(&state, item, &item.attempts[0]),
        ];
        insta::assert_snapshot!(said.join("=====\n"), @r"
        [wiz 2/4] HTTP client, revised

         --- # x

        Pertask-Run: wiz
        Pertask-Task: client
        Pertask-Attempt: 3
        Pertask-Agent: claude 2.1.0, model opus
        Pertask-Prompt: 5555555555555555555555555555555555555555555555555555555555555555
        Pertask-Build: success
        =====
        [wiz 2/4] HTTP client

        HTTP client with authentication, rate limiting and API methods, as the
        architecture asks.

        Made in 3 attempts with 1 revision.

        Pertask-Run: wiz
        Pertask-Task: client
        Pertask-Attempt: 3
        Pertask-Agent: claude 2.1.0, model opus
        Pertask-Prompt: 5555555555555555555555555555555555555555555555555555555555555555
        Pertask-Build: success
        Pertask-Review: approved by Ada Lovelace <ada@example.org>
        =====
        [wiz 2/4] Merge pertask/wiz/main into pertask/wiz/2-client

        pertask/wiz/main is at eeeeeeeeee; the task's own changes stay as they
        are.

        Pertask-Run: wiz
        Pertask-Task: client
        =====
        [wiz 2/4] HTTP client: attempt 1 failed, kept

        go build ./... fails: undefined: Asset

        Pertask-Run: wiz
        Pertask-Task: client
        Pertask-Attempt: 1
        Pertask-Agent: claude 2.1.0, model opus
        Pertask-Prompt: 5555555555555555555555555555555555555555555555555555555555555555
        Pertask-Build: failure
        ");
    }

    #[test]
    fn a_batch_names_every_task() {
        let mut state = sample::batch();
        "A title that is rather long for a subject and so has to be cut somewhere near here"
            .clone_into(&mut state.title);
        sample::finish(&mut state, "batch", |a| a.checks.clear());
        let item = &state.items[0];
        insta::assert_snapshot!(message(&state, item, &item.attempts[0], ""), @r"
        [wiz 1-4/4] A title that is rather long for a subject and so has to be…

        Pertask-Run: wiz
        Pertask-Task: types
        Pertask-Task: client
        Pertask-Task: transform
        Pertask-Task: handler
        Pertask-Attempt: 1
        Pertask-Agent: claude 2.1.0, model opus
        Pertask-Prompt: 5555555555555555555555555555555555555555555555555555555555555555
        Pertask-Build: none
        ");
    }

    #[test]
    fn policy_stands_for_a_review() {
        let mut state = sample::state();
        sample::finish(&mut state, "types", |_| {});
        state.item_mut("types").unwrap().phase = Phase::Approved {
            because: "policy: checkpoint none".to_owned(),
            commit: sample::oid('c'),
            by_policy: true,
        };
        let item = state.item("types").unwrap();
        let said = squash_message(&state, item, PURPOSE);
        assert!(
            said.ends_with("\nPertask-Review: policy: checkpoint none\n"),
            "{said}"
        );
    }

    /// git itself reads our trailers and no others, whatever is said in the message.
    #[test]
    fn git_reads_the_trailers() {
        let mut random = Random::new(11);
        for _ in 0..25 {
            let state = random.state();
            let item = &state.items[0];
            let Some(attempt) = item.attempts.first() else {
                continue;
            };
            let purpose = format!("Signed-off-by: x\n\n{}\n---\n", random.hostile());
            for said in [
                message(&state, item, attempt, &purpose),
                squash_message(&state, item, &purpose),
                forward_message(&state, item),
                kept_message(&state, item, attempt),
            ] {
                let ours = said.trim_end().rsplit("\n\n").next().unwrap();
                assert_eq!(parse(&said), ours, "{said}");
                assert!(
                    ours.starts_with("Pertask-Run: wiz\nPertask-Task: "),
                    "{said}"
                );
                let subject = said.lines().next().unwrap();
                assert!(subject.chars().count() <= SUBJECT, "{subject}");
            }
        }
    }

    fn parse(message: &str) -> String {
        let mut git = Command::new("git")
            .args(["interpret-trailers", "--parse"])
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        git.stdin
            .take()
            .unwrap()
            .write_all(message.as_bytes())
            .unwrap();
        let out = git.wait_with_output().unwrap();
        String::from_utf8(out.stdout).unwrap().trim_end().to_owned()
    }
}
