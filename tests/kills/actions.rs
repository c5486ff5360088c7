//! A run in Actions: `ci decide` or `ci publish` is killed on its machine, which is gone then. What
//! follows is the next run of the workflow, or the same jobs once more.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::github::keep::{self, Kept};
use super::hub::{Hub, REPO};
use super::jobs::{Jobs, Order, of};
use super::story::End;
use super::trial::{self, Ended, Kill, Met, Trial, With};

const PLAN: &str = r#"title = "Two files"
build = [["sh", "-c", "! grep -q bad two.txt"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first of two"
risk = "high"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second of two"
depends_on = ["one"]
"#;

const AGENT: &str = r#"
cat > /dev/null
case $PERTASK_TASK-$PERTASK_ATTEMPT in
    two-1) echo bad > two.txt ;;
    *) echo "$PERTASK_TASK" > "$PERTASK_TASK.txt" ;;
esac
printf '{"status":"complete","summary":"wrote it"}' > "$PERTASK_HANDOFF_FILE"
"#;

/// What somebody does before the workflow runs, until it does nothing more.
const DAYS: [fn(&Hub); 3] = [
    |_| {},
    |hub| {
        hub.github.person("olive").approve(REPO, 1, "").unwrap();
    },
    |hub| {
        hub.github.person("olive").approve(REPO, 2, "").unwrap();
    },
];

/// A step that may be killed.
#[derive(Clone)]
enum Step {
    /// With the plan to start, or what there is.
    Decide(bool),
    Publish(Order, PathBuf),
}

struct Stage {
    kept: Kept,
    step: Step,
    id: u64,
    day: usize,
    effects: Vec<String>,
    took: Duration,
}

/// The story told once, undisturbed.
pub struct Actions {
    jobs: Jobs,
    stages: Vec<Stage>,
    ends: Vec<End>,
    copies: tempfile::TempDir,
}

/// The orders that a decide printed.
fn orders(out: &Ended) -> Vec<Order> {
    let lines = out.said.lines().rev();
    let mut answers = lines.filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok());
    let answer = answers.find(|a| a["orders"].is_array());
    answer.map_or(Vec::new(), |a| {
        serde_json::from_value(a["orders"].clone()).unwrap()
    })
}

impl Actions {
    pub fn told() -> Self {
        let mut hub = Hub::configured(PLAN, AGENT, "forge = \"github\"");
        let token = hub.github.app_token(&hub.token);
        hub.sandbox.set("GITHUB_TOKEN", &token);
        hub.sandbox.set("PERTASK_TEST_PAUSE_DIVISOR", "1000");
        let mut told = Self {
            jobs: Jobs::of(hub),
            stages: Vec::new(),
            ends: Vec::new(),
            copies: tempfile::tempdir().unwrap(),
        };
        for (day, act) in DAYS.iter().enumerate() {
            act(&told.jobs.hub);
            told.jobs.begin();
            let mut next = Some(Step::Decide(day == 0));
            let mut queue = VecDeque::new();
            while let Some(step) = next {
                let kept = told.copies.path().join(told.stages.len().to_string());
                let kept = told.jobs.hub.github.keep(&kept);
                let began = Instant::now();
                let out = told.run(&step, None, Duration::ZERO);
                assert_eq!(out.code, 0, "{}", out.said);
                queue.extend(orders(&out));
                told.stages.push(Stage {
                    kept,
                    step,
                    id: told.jobs.id.get(),
                    day,
                    effects: out.effects,
                    took: began.elapsed(),
                });
                next = told.next(&mut queue, &mut false);
                if let Some(Step::Publish(_, result)) = &mut next {
                    let to = told
                        .copies
                        .path()
                        .join(format!("result-{}", told.stages.len()));
                    keep::copy(result, &to);
                    *result = to;
                }
            }
            told.jobs.end();
            told.ends.push(End::of(&told.jobs.hub));
        }
        told.sweep();
        told
    }

    /// Names of the effects of each step.
    pub fn effects(&self) -> Vec<Vec<String>> {
        self.stages.iter().map(|s| s.effects.clone()).collect()
    }

    fn command(&self, step: &Step) -> Command {
        let mut args: Vec<&str> = Vec::new();
        match step {
            Step::Decide(true) => args.extend(["decide", "--plan", "wiz"]),
            Step::Decide(false) => args.push("decide"),
            Step::Publish(order, result) => {
                args.extend(["publish", "--result", result.to_str().unwrap()]);
                args.extend(of(order));
            }
        }
        self.jobs.command(&self.jobs.machine(), true, &args)
    }

    fn run(&self, step: &Step, kill: Option<Kill>, took: Duration) -> Ended {
        let notes = self.jobs.hub.sandbox.root().join("tmp");
        trial::run(self.command(step), &notes, kill, took)
    }

    /// The job that comes next: of this run of the workflow, or of another that was asked for.
    fn next(&self, queue: &mut VecDeque<Order>, again: &mut bool) -> Option<Step> {
        if let Some(order) = queue.pop_front() {
            let result = self.jobs.attempt(&order);
            return Some(Step::Publish(order, result));
        }
        if self.jobs.dispatches() > 0 || std::mem::take(again) {
            self.jobs.begin();
            return Some(Step::Decide(false));
        }
        None
    }

    /// The machines are gone.
    fn sweep(&self) {
        for entry in std::fs::read_dir(self.jobs.hub.sandbox.root())
            .unwrap()
            .flatten()
        {
            if entry.file_name().to_string_lossy().starts_with("clone-") {
                std::fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }

    fn has_begun(&self) -> bool {
        self.jobs.hub.refs().contains("refs/pertask/runs/wiz ")
    }

    /// Kills at these points, goes on as Actions would, and says what is not as it should be.
    pub fn trial(&self, trial: &Trial) -> Result<Met, String> {
        let tried = self.tried(trial);
        trial::kill_all(&self.jobs.hub.sandbox.root());
        self.sweep();
        tried
    }

    fn tried(&self, trial: &Trial) -> Result<Met, String> {
        let told = &self.stages[trial.stage];
        let (jobs, github) = (&self.jobs, &self.jobs.hub.github);
        github.go_back(&told.kept);
        jobs.id.set(told.id);
        jobs.attempt_number.set(1);
        if trial.packed {
            github.git(REPO, ["pack-refs", "--all", "--prune"]);
        }
        let mut met = Met::default();
        let mut kills = trial.kills.iter();
        let mut queue = VecDeque::new();
        // The schedule looks after what was lost.
        let mut again = true;
        let mut next = Some(told.step.clone());
        let mut said = String::new();
        for n in 0..30 {
            let Some(step) = next.take() else {
                jobs.end();
                return self
                    .compare(trial, met)
                    .map_err(|what| format!("{what}\n{said}"));
            };
            let kill = kills.next().copied();
            let out = self.run(&step, kill, told.took);
            said.push_str(&out.said);
            if out.was_killed() {
                met.kills += 1;
                // The machine is gone with all that ran on it.
                trial::kill_all(&jobs.hub.sandbox.root());
                again = true;
                if trial.with == With::Rerun {
                    jobs.attempt_number.set(jobs.attempt_number.get() + 1);
                    next = Some(step);
                } else if matches!(step, Step::Decide(true)) && !self.has_begun() {
                    // Nothing was begun, so whoever wanted it asks again.
                    jobs.begin();
                    next = Some(step);
                } else {
                    next = self.next(&mut queue, &mut again);
                }
                continue;
            }
            if n == 0 && kill.is_some_and(Kill::is_at_effect) {
                return Err(format!("it was not killed: {}\n{}", out.code, out.said));
            }
            // The run was begun before it was killed: asked for again it says so.
            let begun_already = n > 0 && matches!(step, Step::Decide(true)) && out.code == 2;
            if out.code != 0 && !begun_already {
                return Err(format!("exit {}\n{said}", out.code));
            }
            queue.extend(orders(&out));
            next = self.next(&mut queue, &mut again);
        }
        Err(format!("the workflow wakes itself for ever\n{said}"))
    }

    fn compare(&self, trial: &Trial, met: Met) -> Result<Met, String> {
        let wanted = &self.ends[self.stages[trial.stage].day];
        // The ledger tells what happened, also that somebody went away.
        wanted.compare(&End::of(&self.jobs.hub), &["ledger"])?;
        let github = &self.jobs.hub.github;
        let locks = trial::locks(&[&github.repo(REPO).bare.path]);
        if !locks.is_empty() {
            return Err(format!("locks are left: {locks:?}"));
        }
        let args = ["fsck", "--strict", "--no-dangling", "--no-progress"];
        let fsck = github.git(REPO, args);
        if fsck.is_empty() { Ok(met) } else { Err(fsck) }
    }
}
