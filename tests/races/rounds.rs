//! Runners on one run, each with a clone of its own, over smart HTTP: one wins each step, and the others
//! leave it alone.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::campaign::Tried;
use super::github::keep;
use super::hub::REPO;
use super::site::Site;
use super::story::{End, Story};
use super::trial::{self, Ended};

/// What they all do at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// They start the run.
    Start,
    /// They go on with it at this stage of the story.
    GoOn(usize),
    /// Each records a finding.
    Note,
    /// Each records a finding in one and the same repository; somebody was killed there before.
    NoteHere,
}

/// One round; its text is its name: `8/go-on-3/17`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    pub runners: usize,
    pub what: What,
    pub number: usize,
}

impl std::fmt::Display for Round {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.what {
            What::Start => "start".to_owned(),
            What::GoOn(stage) => format!("go-on-{stage}"),
            What::Note => "note".to_owned(),
            What::NoteHere => "note-here".to_owned(),
        };
        write!(f, "{}/{what}/{}", self.runners, self.number)
    }
}

impl std::str::FromStr for Round {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text} names no round");
        let parts: Vec<&str> = text.split('/').collect();
        let [runners, what, number] = parts[..] else {
            return Err(bad());
        };
        Ok(Self {
            runners: runners.parse().map_err(|_| bad())?,
            what: match what {
                "start" => What::Start,
                "note" => What::Note,
                "note-here" => What::NoteHere,
                other => {
                    let stage = other.strip_prefix("go-on-").and_then(|s| s.parse().ok());
                    What::GoOn(stage.ok_or_else(bad)?)
                }
            },
            number: number.parse().map_err(|_| bad())?,
        })
    }
}

/// How the runners of a round came out.
#[derive(Default)]
struct Came {
    winners: usize,
    losers: usize,
    late: usize,
    /// 1 when a comment was written twice.
    doubled: usize,
    /// 1 when one was, and one of the runners took it away.
    withdrawn: usize,
}

/// Holds a round, and says what is not as it should be.
pub fn hold(story: &Story, round: Round) -> Tried {
    let came = match round.what {
        What::NoteHere => notes_here(round),
        What::Note => notes(story, round),
        What::Start => steps(story, round, 0),
        What::GoOn(stage) => steps(story, round, stage),
    };
    let class = match round.what {
        What::NoteHere => format!("{} people record findings in one repository", round.runners),
        What::Note => format!("{} people record findings over HTTP", round.runners),
        What::Start => format!("{} runners start a run over HTTP", round.runners),
        What::GoOn(_) => format!("{} runners go on with a run over HTTP", round.runners),
    };
    let counts = came.as_ref().map_or_else(
        |_| Vec::new(),
        |came| {
            vec![
                ("winners", came.winners),
                ("losers", came.losers),
                ("late", came.late),
                ("doubled", came.doubled),
                ("withdrawn", came.withdrawn),
            ]
        },
    );
    Tried {
        class,
        wrong: came.err().map(|what| {
            format!("{round}\n  repeat it: bench/reliability --trial {round} races\n{what}")
        }),
        counts,
    }
}

/// The clones of so many runners, each with a name of its own; all as the story's is now.
fn clones(story: &Story, runners: usize) -> Vec<PathBuf> {
    let sandbox = &story.hub.sandbox;
    let made = (0..runners).map(|n| {
        let dir = sandbox.root().join(format!("runner-{n}"));
        keep::copy(&sandbox.repo, &dir);
        fs::create_dir_all(dir.with_extension("notes")).unwrap();
        let config = dir.join(".git/config");
        let mut text = fs::read_to_string(&config).unwrap();
        let _ = write!(text, "[user]\n\tname = Runner {n}\n");
        fs::write(config, text).unwrap();
        dir
    });
    made.collect()
}

/// Runs a command in all clones at once.
fn together(story: &Story, clones: &[PathBuf], args: &dyn Fn(usize) -> Vec<String>) -> Vec<Ended> {
    let commands = clones.iter().enumerate().map(|(n, dir)| {
        let mut command = story.hub.sandbox.program(dir);
        command
            .args(args(n))
            .env("PERTASK_HOME", dir.with_extension("home"));
        (command, dir.with_extension("notes"))
    });
    let commands: Vec<_> = commands.collect();
    all_at_once(commands)
}

fn all_at_once(commands: Vec<(std::process::Command, PathBuf)>) -> Vec<Ended> {
    std::thread::scope(|scope| {
        let running: Vec<_> = commands
            .into_iter()
            .map(|(command, notes)| {
                scope.spawn(move || trial::run(command, &notes, None, Duration::ZERO))
            })
            .collect();
        running.into_iter().map(|r| r.join().unwrap()).collect()
    })
}

fn said(outs: &[Ended]) -> String {
    let each = outs.iter().enumerate();
    let each = each.map(|(n, out)| format!("runner {n}: exit {}\n{}", out.code, out.said));
    each.collect::<Vec<_>>().join("\n")
}

/// What the ledger tells since a commit: who, and the first line of what, oldest first.
fn told_since(story: &Story, before: &str) -> Vec<(String, String)> {
    let range = if before.is_empty() {
        "refs/pertask/runs/wiz".to_owned()
    } else {
        format!("{before}..refs/pertask/runs/wiz")
    };
    let log = ["log", "--reverse", "--format=%an%x09%s", &range];
    let log = story.hub.github.git(REPO, log);
    let pair = |line: &str| {
        line.split_once('\t')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
    };
    log.lines().filter_map(pair).collect()
}

fn ledger(story: &Story) -> String {
    let args = [
        "for-each-ref",
        "--format=%(objectname)",
        "refs/pertask/runs/wiz",
    ];
    story.hub.github.git(REPO, args).trim().to_owned()
}

fn steps(story: &Story, round: Round, stage: usize) -> Result<Came, String> {
    let told = story.go_back(stage);
    let before = ledger(story);
    let clones = clones(story, round.runners);
    let args: Vec<String> = told.command.iter().map(|a| (*a).to_owned()).collect();
    let outs = together(story, &clones, &|_| args.clone());
    let left = trial::settle(&story.hub.sandbox.root());
    let all = said(&outs);
    if !left.is_empty() {
        return Err(format!("still running: {left:?}\n{all}"));
    }
    // Who comes to start a run that is there by now is told so.
    let there_already = |out: &&Ended| stage == 0 && out.code == 2;
    let codes = [told.code, 75];
    let wrong = outs
        .iter()
        .find(|o| !codes.contains(&o.code) && !there_already(o));
    if let Some(out) = wrong {
        return Err(format!("a runner exits with {}\n{all}", out.code));
    }
    let steps = told_since(story, &before);
    // Each step is one runner's, and no other says that it took it.
    let mut winners = Vec::new();
    for (who, what) in &steps {
        winners.push(who.clone());
        for (n, out) in outs.iter().enumerate() {
            let mine = *who == format!("Runner {n}");
            let says = out.said.lines().any(|line| line == what);
            if says && !mine && !steps.contains(&(format!("Runner {n}"), what.clone())) {
                return Err(format!(
                    "runner {n} says that it took a step of {who}: {what}\n{all}"
                ));
            }
        }
    }
    let once = |text: &str| {
        let mut text = text.to_owned();
        for n in 0..round.runners {
            text = text.replace(&format!("Runner {n}"), "Ada Example");
        }
        text
    };
    let end = || {
        let mut found = End::of(&story.hub);
        for text in found.0.values_mut() {
            *text = once(text);
        }
        found
    };
    let mut came = Came::default();
    let found = end();
    let pulls: Vec<_> = (1..=3).map(|n| format!("pull request {n}")).collect();
    let pulls: Vec<&str> = pulls.iter().map(String::as_str).collect();
    if told.end.compare(&found, &[]).is_err() && told.end.compare(&found, &pulls).is_ok() {
        // GitHub makes a comment without a condition, so two may write the same one at the same
        // moment. Whoever looks next takes the younger away.
        came.doubled = 1;
        let mut command = story.hub.sandbox.program(&clones[0]);
        command
            .args(["continue", "wiz"])
            .env("PERTASK_HOME", clones[0].with_extension("home"));
        let notes = clones[0].with_extension("notes");
        let out = trial::run(command, &notes, None, Duration::ZERO);
        if out.code != told.code {
            return Err(format!("the next exits with {}\n{}", out.code, out.said));
        }
    } else {
        came.withdrawn = story
            .once(stage, None, round.runners)
            .map_err(|what| format!("{what}\n{all}"))?
            .min(1);
    }
    told.end
        .compare(&end(), &[])
        .map_err(|what| format!("it differs:\n{what}\n{all}"))?;
    let asked = |effects: &[String]| effects.iter().filter(|e| *e == "ask the agent").count();
    let agents: usize = outs.iter().map(|o| asked(&o.effects)).sum();
    if agents != asked(&told.effects) {
        return Err(format!("{agents} agents were asked\n{all}"));
    }
    for dir in &clones {
        let locks = trial::locks(&[&dir.join(".git")]);
        if !locks.is_empty() {
            return Err(format!("locks are left: {locks:?}"));
        }
    }
    let fsck = story.fsck();
    if !fsck.is_empty() {
        return Err(fsck);
    }
    let won = |n: usize| winners.contains(&format!("Runner {n}"));
    for (n, out) in outs.iter().enumerate() {
        if won(n) {
            came.winners += 1;
        } else if out.code == told.code {
            came.late += 1;
        } else {
            came.losers += 1;
        }
    }
    Ok(came)
}

/// What each of them recorded is there, once.
fn all_noted(notes: &[&str], outs: &[Ended]) -> Result<Came, String> {
    let all = said(outs);
    let mut came = Came::default();
    for (n, out) in outs.iter().enumerate() {
        let mine = format!("Finding {n}");
        let times = notes.iter().filter(|note| **note == mine).count();
        match (out.code, times) {
            (0, 1) => came.winners += 1,
            (75, 0) => came.losers += 1,
            _ => {
                return Err(format!("{mine} is there {times} times: {notes:?}\n{all}"));
            }
        }
    }
    if notes.len() == came.winners {
        Ok(came)
    } else {
        Err(format!("there is more than was noted: {notes:?}\n{all}"))
    }
}

fn noted(state: &serde_json::Value) -> Vec<&str> {
    let notes = state["compliance"]["notes"].as_array();
    let texts = notes
        .into_iter()
        .flatten()
        .filter_map(|n| n["text"].as_str());
    texts.filter(|t| t.starts_with("Finding")).collect()
}

fn finding(n: usize) -> Vec<String> {
    let args = ["note", "wiz", "one", "-m", &format!("Finding {n}")];
    args.map(str::to_owned).to_vec()
}

fn notes(story: &Story, round: Round) -> Result<Came, String> {
    story.go_back(3);
    let clones = clones(story, round.runners);
    let outs = together(story, &clones, &finding);
    let blob = ["cat-file", "blob", "refs/pertask/runs/wiz:state.json"];
    let state: serde_json::Value = serde_json::from_str(&story.hub.github.git(REPO, blob)).unwrap();
    all_noted(&noted(&state), &outs)
}

fn notes_here(round: Round) -> Result<Came, String> {
    let site = Site::new();
    site.agent("echo one > one.txt; complete");
    let plan = "[[task]]\nid = \"one\"\nfile = \"one.txt\"\npurpose = \"The first file\"\n";
    site.plan(plan, "", "");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.all());
    if round.number.is_multiple_of(2) {
        fs::write(site.path("repo/.git/refs/pertask/runs/wiz.lock"), "").unwrap();
    }
    let commands = (0..round.runners).map(|n| {
        let mut command = site.command(env!("CARGO_BIN_EXE_git-pertask"));
        command.args(finding(n));
        let notes = site.path(&format!("notes-{n}"));
        fs::create_dir_all(&notes).unwrap();
        (command, notes)
    });
    let outs = all_at_once(commands.collect());
    let locks = trial::locks(&[Path::new(&site.path("repo/.git"))]);
    if !locks.is_empty() {
        return Err(format!("locks are left: {locks:?}"));
    }
    all_noted(&noted(&site.state()), &outs)
}
