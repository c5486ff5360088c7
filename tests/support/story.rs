//! A short story of a run on GitHub in stages, to be told again from any of them with one thing
//! going wrong.
//!
//! In it every kind of change that is made on GitHub happens: a question opens a draft, its answer
//! makes it ready, a review with a thread is worked on, somebody asks how it stands and approves,
//! a revision ends in a draft again, and in the end the last pull request is opened.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "each test program uses its own part; a failing helper is a failing test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::github::keep::{self, Kept};
use super::github::{Fault, FaultKind, Logged, Remark};
use super::hub::{Hub, REPO};
use super::support::Output;

const PLAN: &str = r#"title = "Two files"
build = [["test", "-d", ".pertask"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
depends_on = ["one"]
"#;

const AGENT: &str = r#"
cat > /dev/null
say() { printf '%s' "$1" > "$PERTASK_HANDOFF_FILE"; }
case $PERTASK_TASK-$PERTASK_ATTEMPT in
    one-1) say '{"status":"needs_clarification","question":"Which?"}' ;;
    two-2) say '{"status":"blocked","reason":"No way"}' ;;
    *)
        echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" > "$PERTASK_TASK.txt"
        say '{"status":"complete","summary":"wrote it"}' ;;
esac
"#;

/// What somebody does, and the command that follows.
type Act = (fn(&Hub), &'static [&'static str]);

const ACTS: [Act; 7] = [
    (|_| {}, &["start", "wiz", "--mode", "per-task"]),
    (
        |hub| {
            let olive = hub.github.person("olive");
            olive.comment(REPO, 1, "/pertask revise The first").unwrap();
        },
        &["continue", "wiz"],
    ),
    (
        |hub| {
            let olive = hub.github.person("olive");
            let remarks = [Remark::line("one.txt", 1, "Another number")];
            olive.request_changes(REPO, 1, "Nearly", &remarks).unwrap();
        },
        &["continue", "wiz"],
    ),
    (
        |hub| {
            let olive = hub.github.person("olive");
            olive.comment(REPO, 1, "/pertask status").unwrap();
            olive.approve(REPO, 1, "").unwrap();
        },
        &["continue", "wiz"],
    ),
    (
        |hub| {
            let olive = hub.github.person("olive");
            olive.request_changes(REPO, 2, "Not so", &[]).unwrap();
        },
        &["continue", "wiz"],
    ),
    (
        |hub| {
            let olive = hub.github.person("olive");
            olive.comment(REPO, 2, "/pertask revise So then").unwrap();
        },
        &["continue", "wiz"],
    ),
    (
        |hub| {
            hub.github.person("olive").approve(REPO, 2, "").unwrap();
        },
        &["continue", "wiz"],
    ),
];

/// Number of stages.
pub const STAGES: usize = ACTS.len();

/// Everything as it was before a command, and what the undisturbed command made of it.
pub struct Stage {
    kept: Kept,
    folder: PathBuf,
    /// The command.
    pub command: &'static [&'static str],
    /// Its exit code.
    pub code: i32,
    /// What was asked of GitHub.
    pub log: Vec<Logged>,
    /// Names of its effects, in order.
    pub effects: Vec<String>,
    /// How long it took.
    pub took: Duration,
    /// Where it came to rest.
    pub end: End,
}

/// A hub with the story told once.
pub struct Story {
    pub hub: Hub,
    pub stages: Vec<Stage>,
    copies: tempfile::TempDir,
}

/// All that can be seen of a run, on GitHub and with `status`, without what differs between two
/// runs of the same work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End(pub BTreeMap<String, String>);

impl Story {
    /// Tells it once, undisturbed.
    pub fn told() -> Self {
        let mut hub = Hub::configured(
            PLAN,
            AGENT,
            "forge = \"github\"\n[github]\nreviewers = [\"olive\"]",
        );
        let token = hub.github.app_token(&hub.token);
        hub.sandbox.set("GITHUB_TOKEN", &token);
        hub.sandbox.set("PERTASK_TEST_PAUSE_DIVISOR", "1000");
        let mut story = Self {
            hub,
            stages: Vec::new(),
            copies: tempfile::tempdir().unwrap(),
        };
        for (act, command) in ACTS {
            story.tell(act, command);
        }
        story
    }

    fn tell(&mut self, act: fn(&Hub), command: &'static [&'static str]) {
        let hub = &self.hub;
        act(hub);
        let n = self.stages.len();
        let kept = hub
            .github
            .keep(&self.copies.path().join(format!("github-{n}")));
        let folder = self.copies.path().join(format!("sandbox-{n}"));
        keep::copy(&hub.sandbox.root(), &folder);
        hub.github.clear_log();
        let trace = self.copies.path().join(format!("effects-{n}"));
        let mut program = hub.sandbox.program(&hub.sandbox.repo);
        program.args(command).env("PERTASK_TEST_EFFECTS", &trace);
        let began = Instant::now();
        let out = hub.sandbox.finish(program);
        let took = began.elapsed();
        assert!(matches!(out.code, 0 | 1), "{}", out.text());
        let effects = std::fs::read_to_string(trace).unwrap();
        let named = |line: &str| line.split_once(' ').unwrap().1.to_owned();
        self.stages.push(Stage {
            kept,
            folder,
            command,
            code: out.code,
            log: hub.github.log(),
            effects: effects.lines().map(named).collect(),
            took,
            end: End::of(hub),
        });
    }

    /// Everything is again as it was before the stage's command.
    pub fn go_back(&self, stage: usize) -> &Stage {
        let stage = &self.stages[stage];
        self.hub.github.go_back(&stage.kept);
        keep::put_back(&stage.folder, &self.hub.sandbox.root());
        stage
    }

    /// The clone and all that the program keeps beside it are gone; here is another clone.
    pub fn clone_anew(&self) {
        let sandbox = &self.hub.sandbox;
        std::fs::remove_dir_all(&sandbox.repo).unwrap();
        std::fs::remove_dir_all(sandbox.root().join("pertask")).unwrap();
        std::fs::rename(self.hub.clone(), &sandbox.repo).unwrap();
    }

    /// What `git fsck` says of the clone and of the remote's repository.
    pub fn fsck(&self) -> String {
        let args = ["fsck", "--strict", "--no-dangling", "--no-progress"];
        self.hub.sandbox.git(args) + &self.hub.github.git(REPO, args)
    }

    /// Runs a command with variables.
    pub fn run(&self, command: &[&str], variables: &[(&str, &str)]) -> Output {
        let sandbox = &self.hub.sandbox;
        let mut program = sandbox.program(&sandbox.repo);
        program.args(command).envs(variables.iter().copied());
        sandbox.finish(program)
    }

    /// Whether the run is in the ledger at the remote.
    pub fn has_begun(&self) -> bool {
        self.hub.refs().contains("refs/pertask/runs/wiz ")
    }

    /// The command that goes on: `continue`, or `start` again where nothing was begun.
    pub fn onward(&self) -> &'static [&'static str] {
        if self.has_begun() {
            &["continue", "wiz"]
        } else {
            ACTS[0].1
        }
    }

    /// What is not as in the undisturbed run.
    pub fn compare(&self, stage: usize) -> Result<(), String> {
        self.compare_but(stage, &[])
    }

    /// The same, whatever is under these names.
    pub fn compare_but(&self, stage: usize, names: &[&str]) -> Result<(), String> {
        self.stages[stage].end.compare(&End::of(&self.hub), names)
    }
}

/// Requests that tell somebody something, or that must not be made twice.
const ONCE: [&str; 5] = [
    "POST /repos/{owner}/{repo}/pulls",
    COMMENT,
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies",
    REQUEST,
    "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
];

const COMMENT: &str = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";

/// Takes away a comment that two runners wrote at the same moment.
const WITHDRAW: &str = "DELETE /repos/{owner}/{repo}/issues/comments/{comment_id}";

/// Who is asked already is asked no more by it.
const REQUEST: &str = "POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers";

impl Story {
    /// Nothing that somebody notices was done twice, or not at all. `fault` is the only one there was,
    /// and so many runners did it. Returns how many comments several of them wrote at the same moment, of
    /// which one took the younger away.
    pub fn once(
        &self,
        stage: usize,
        fault: Option<&Fault>,
        runners: usize,
    ) -> Result<usize, String> {
        let log = self.hub.github.log();
        let mut withdrawn = 0;
        for route in ONCE {
            let of = |log: &[Logged], fault| {
                let made = log.iter().filter(|l| l.route == route);
                made.filter(|l| l.took_effect(fault)).count()
            };
            let (wanted, mut found) = (of(&self.stages[stage].log, None), of(&log, fault));
            // Nobody waited for this answer, so it never came to be logged.
            let stalled =
                fault.is_some_and(|f| f.route == route && matches!(f.kind, FaultKind::Stall(..)));
            if stalled && !log.iter().any(|l| l.disturbed) {
                found += 1;
            }
            // Several look, see that nobody is asked, and ask.
            let several = runners > 1 && route == REQUEST && wanted > 0 && found > wanted;
            if runners > 1 && route == COMMENT {
                let of = |log: &[Logged]| {
                    let made = log.iter().filter(|l| l.route == WITHDRAW);
                    made.filter(|l| l.took_effect(None)).count()
                };
                withdrawn = of(&log).saturating_sub(of(&self.stages[stage].log));
                found = found.saturating_sub(withdrawn);
            }
            if wanted != found && !several {
                return Err(format!("{route}: {found} times, not {wanted}"));
            }
        }
        Ok(withdrawn)
    }
}

/// The lines of a text that another has not.
fn short(text: Option<&String>, other: Option<&String>) -> String {
    let (Some(text), Some(other)) = (text, other) else {
        return format!("{text:?}");
    };
    let (a, b): (Vec<_>, Vec<_>) = (text.lines().collect(), other.lines().collect());
    let differ = a.iter().enumerate().filter(|(n, l)| b.get(*n) != Some(l));
    let lines: Vec<_> = differ.map(|(_, l)| *l).take(6).collect();
    lines.join("\n  ")
}

impl End {
    /// What is not as it is here, whatever is under these names.
    pub fn compare(&self, found: &Self, but: &[&str]) -> Result<(), String> {
        let mut text = String::new();
        let mut keys: Vec<_> = self.0.keys().chain(found.0.keys()).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let (a, b) = (self.0.get(key), found.0.get(key));
            if a != b && !but.contains(&key.as_str()) {
                let _ = writeln!(text, "{key}:\n- {}\n+ {}", short(a, b), short(b, a));
            }
        }
        if text.is_empty() { Ok(()) } else { Err(text) }
    }

    /// As it is now.
    pub fn of(hub: &Hub) -> Self {
        let github = &hub.github;
        let repo = github.repo(REPO);
        let bare = git2::Repository::open(&repo.bare.path).unwrap();
        let plain = |text: &str| plain(&text.replace(&github.url(), "[HUB]"), hub);
        let mut found = BTreeMap::new();
        for pull in &repo.pulls {
            let mut text = String::new();
            let names = |ids: &[u64]| -> Vec<String> {
                let mut names: Vec<_> = ids.iter().map(|id| github.login(*id)).collect();
                names.sort();
                names
            };
            let _ = writeln!(
                text,
                "{} by {}\n{} into {}\n{:?} draft {} labels {:?} asked {:?}",
                pull.title,
                github.login(pull.author),
                pull.head_ref,
                pull.base_ref,
                pull.state,
                pull.draft,
                pull.labels,
                names(&pull.requested),
            );
            let _ = writeln!(text, "head {}", history(&bare, &pull.head_sha, &plain));
            if let Some(merged) = &pull.merged {
                let _ = writeln!(text, "merged {}", history(&bare, &merged.commit, &plain));
            }
            let mut statuses = BTreeMap::new();
            for status in github.statuses(REPO, &pull.head_sha) {
                let said = format!("{} {:?}", status.state, status.description);
                statuses.insert(status.context, said);
            }
            let _ = writeln!(text, "statuses {statuses:#?}");
            let checks = repo.checks.iter().filter(|c| c.sha == pull.head_sha);
            for check in checks {
                let _ = writeln!(
                    text,
                    "check {} {:?} {:?} {:?} {:?}",
                    check.name, check.conclusion, check.title, check.summary, check.annotations
                );
            }
            for thread in &pull.threads {
                let _ = writeln!(text, "thread on {}", thread.path);
                for comment in &thread.comments {
                    let _ = writeln!(text, "  {}: {}", github.login(comment.user), comment.body);
                }
            }
            // A cut-off call may come after another the next time.
            let mut comments: Vec<String> = pull
                .comments
                .iter()
                .map(|c| {
                    let marks = c.reactions.iter().map(|r| (r.content.clone(), r.user));
                    let marks: Vec<_> = marks.map(|(c, u)| (c, github.login(u))).collect();
                    format!("{}: {}\n  {marks:?}\n", github.login(c.user), c.body)
                })
                .collect();
            comments.sort();
            text.push_str(&comments.concat());
            let number = pull.number;
            found.insert(format!("pull request {number}"), plain(&text));
            let body = pull.body.clone().unwrap_or_default();
            found.insert(format!("body {number}"), plain(&body));
        }
        for reference in bare.references_glob("refs/heads/*").unwrap() {
            let reference = reference.unwrap();
            let name = reference.name().unwrap().to_owned();
            // What a killed agent had written so far is kept there.
            if name.contains("/kept/") && name.contains("-unfinished") {
                continue;
            }
            let head = reference.target().unwrap().to_string();
            found.insert(name, history(&bare, &head, &plain));
        }
        if let Ok(ledger) = bare.refname_to_id("refs/pertask/runs/wiz") {
            let steps = messages(&bare, ledger);
            found.insert("ledger".to_owned(), plain(&steps.join("\n")));
            let commit = bare.find_commit(ledger).unwrap();
            let entry = commit.tree().unwrap().get_path("state.json".as_ref());
            let blob = bare.find_blob(entry.unwrap().id()).unwrap();
            let mut state: Value = serde_json::from_slice(blob.content()).unwrap();
            no_times(&mut state);
            let state = serde_json::to_string_pretty(&state).unwrap();
            found.insert("state".to_owned(), plain(&state));
        }
        Self(found)
    }
}

/// What is different every time.
fn no_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                if matches!(key.as_str(), "claim" | "since" | "builds") || key.contains("duration")
                {
                    *field = Value::Null;
                } else {
                    no_times(field);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(no_times),
        _ => {}
    }
}

fn messages(bare: &git2::Repository, head: git2::Oid) -> Vec<String> {
    let mut walk = bare.revwalk().unwrap();
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE)
        .unwrap();
    walk.push(head).unwrap();
    walk.map(|oid| {
        let commit = bare.find_commit(oid.unwrap()).unwrap();
        commit.message().unwrap_or_default().trim().to_owned()
    })
    .collect()
}

/// Parents, message and tree of a commit and all before it.
fn history(bare: &git2::Repository, head: &str, plain: &dyn Fn(&str) -> String) -> String {
    let mut walk = bare.revwalk().unwrap();
    walk.set_sorting(git2::Sort::TOPOLOGICAL).unwrap();
    walk.push(git2::Oid::from_str(head).unwrap()).unwrap();
    let mut text = String::new();
    for oid in walk {
        let commit = bare.find_commit(oid.unwrap()).unwrap();
        let message = commit.message().unwrap_or_default();
        let _ = writeln!(text, "{} parents, {message:?}", commit.parent_count());
        let tree = commit.tree().unwrap();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            if let Some(git2::ObjectType::Blob) = entry.kind() {
                let blob = bare.find_blob(entry.id()).unwrap();
                let content = String::from_utf8_lossy(blob.content());
                let name = entry.name().unwrap();
                let _ = writeln!(text, "  {folder}{name} {content:?}");
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
    }
    plain(&text)
}

/// Without ids, times and other numbers that are not the same twice.
fn plain(text: &str, hub: &Hub) -> String {
    let text = hub.sandbox.tidy(text);
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let hex = bare.len() >= 7 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let number = bare.len() >= 4 && bare.chars().all(|c| c.is_ascii_digit());
        if hex || number {
            out.push('#');
            out.push_str(&word[bare.len()..]);
        } else {
            out.push_str(word);
        }
    }
    out
}
