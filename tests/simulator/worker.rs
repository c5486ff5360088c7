//! Attempts: what an agent does, and what the tool's own look at it says. Follows
//! `src/attempt/mod.rs`: what is known after each stage lies in the attempt's folder.

use std::rc::Rc;
use std::time::Duration;

use git_pertask::run::order::{
    AgentExit, AgentReport, AttemptResult, Change, CheckKind, Fault as Place, FileFact, Order,
    OrderKind, SCHEMA, Verdict,
};
use jiff::Timestamp;

use super::content::{broken, check, findings};
use super::git::path_of;
use super::met;
use super::setup::Mood;
use super::world::{Fault, Pid, World};

/// Our notes of one attempt on one machine.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// The order with the claim it was taken under.
    pub begun: Option<(Rc<Order>, String)>,
    /// The prompt was handed over.
    pub asked: bool,
    pub answered: Option<Answered>,
    pub result: Option<AttemptResult>,
    /// What lies in the workspace.
    pub written: Option<String>,
}

/// What is known once the agent has ended.
#[derive(Debug, Clone)]
pub struct Answered {
    started: Timestamp,
    report: Option<AgentReport>,
    tree: String,
    mood: Mood,
}

/// An attempt under way.
#[derive(Debug, Clone)]
pub struct Worker {
    /// The process whose thread it is; `None` in a job.
    pub pid: Option<Pid>,
    pub machine: usize,
    pub leaf: String,
    pub order: Rc<Order>,
    pub claim: String,
    pub stage: Stage,
    /// When the stage is over.
    pub until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Begins,
    Works(Mood, Timestamp),
    Checks,
    Done,
}

impl Worker {
    pub fn folder(&self) -> (usize, String, u32) {
        (self.machine, self.leaf.clone(), self.order.attempt)
    }
}

impl World {
    /// Moves an attempt on by one stage. `cancelled`: its process was asked to stop.
    pub fn work(&mut self, n: usize, cancelled: bool) {
        let worker = self.workers[n].clone();
        let key = worker.folder();
        let now = self.clock(worker.machine);
        let mut folder = self.folders.get(&key).cloned().unwrap_or_default();
        let stage = match worker.stage {
            Stage::Begins if folder.answered.is_some() => self.next_checks(n),
            Stage::Begins if worker.order.agent.is_none() => {
                folder.answered = Some(Answered {
                    started: now,
                    report: None,
                    tree: worker.order.start_tree.clone(),
                    mood: Mood::Good,
                });
                self.next_checks(n)
            }
            Stage::Begins => {
                let moods = self.setup.moods.clone();
                let mood = self.random.weighed(&moods).filter(|_| !self.calm);
                let mood = mood.unwrap_or(Mood::Good);
                folder.asked = true;
                self.audit.meets(met::of_mood(mood));
                if self.random.chance(300) {
                    folder.written = Some(self.made(&worker.order, Mood::Good));
                }
                let took = self.random.between(5_000, 1_500_000);
                self.workers[n].until = self.now + took;
                Stage::Works(mood, now)
            }
            Stage::Works(mood, started) => {
                let exit = if cancelled {
                    AgentExit::Interrupted
                } else if mood == Mood::Dead {
                    AgentExit::TimedOut { limit_s: 1 }
                } else {
                    AgentExit::Exited { code: 0 }
                };
                let tree = if cancelled && self.random.chance(500) {
                    worker.order.start_tree.clone()
                } else {
                    self.made(&worker.order, mood)
                };
                let session = self.new_id().to_string();
                let left = self.random.next() % 20_000;
                let most = worker.order.may_cost_cents().unwrap_or(300);
                let cents = self
                    .random
                    .between(0, 300)
                    .min(i64::try_from(most).expect("small"));
                let cents = i32::try_from(cents).expect("small");
                folder.written = Some(tree.clone());
                folder.answered = Some(Answered {
                    started,
                    report: Some(AgentReport {
                        exit,
                        session: Some(session),
                        cost_usd: Some(f64::from(cents) / 100.0),
                        limited: mood == Mood::Spent,
                        limited_until: (mood == Mood::Spent)
                            .then(|| now + Duration::from_secs(left)),
                        ..AgentReport::default()
                    }),
                    tree,
                    mood,
                });
                self.next_checks(n)
            }
            Stage::Checks if cancelled && self.random.chance(500) => {
                // Cut off in the checks: the answer is noted, and is judged the next time.
                Stage::Done
            }
            Stage::Checks => {
                if let Some(answered) = folder.answered.clone() {
                    folder.result = Some(self.judged(&worker, &answered, now));
                }
                Stage::Done
            }
            Stage::Done => Stage::Done,
        };
        self.note(|| {
            let (item, attempt) = (&worker.order.item, worker.order.attempt);
            let verdict = folder.result.as_ref().map(|r| &r.verdict);
            match (stage, verdict) {
                (Stage::Done, Some(verdict)) => {
                    format!("  attempt {attempt} on {item} ends: {verdict:?}")
                }
                _ => format!("  attempt {attempt} on {item}: {stage:?}"),
            }
        });
        self.workers[n].stage = stage;
        if stage == Stage::Done {
            self.effects += 1;
        }
        self.folders.insert(key, folder);
    }

    fn next_checks(&mut self, n: usize) -> Stage {
        self.workers[n].until = self.now + self.random.between(100, 60_000);
        Stage::Checks
    }

    /// The tree that an agent in this mood leaves.
    fn made(&mut self, order: &Order, mood: Mood) -> String {
        if matches!(
            mood,
            Mood::Lazy | Mood::Blocked | Mood::Asks | Mood::Spent | Mood::Dead
        ) && !self.random.chance(200)
        {
            return order.start_tree.clone();
        }
        let other = {
            let others = self.setup.plan.tasks.iter().map(|t| t.id.clone());
            let others: Vec<String> = others.filter(|id| !order.tasks.contains(id)).collect();
            self.random.pick(&others).cloned()
        };
        let mark = match (mood, other) {
            (Mood::Breaks, _) => "!bad".to_owned(),
            (Mood::Trap, Some(other)) => format!("!without={other}"),
            (Mood::Rude, _) => "!rule".to_owned(),
            _ => String::new(),
        };
        let mut pieces = (*self.git.tree(&order.start_tree)).clone();
        if self.calm {
            // The best of agents, who mends whatever does not build.
            for word in pieces.values_mut().filter(|w| w.contains('!')) {
                word.truncate(word.find('!').unwrap_or(0));
            }
        }
        for file in &order.scope.files {
            let n = self.new_id();
            let word = format!("{}.{}.{n}{mark}", order.item, order.attempt);
            pieces.insert(file.path.clone(), word);
        }
        if order.scope.files.is_empty() {
            let n = self.new_id();
            pieces.insert(format!("extra.x#{n}"), format!("{}.{n}", order.item));
        }
        if self.random.chance(self.setup.shared) {
            let piece = format!("shared.x#{}", self.random.below(3));
            let n = self.new_id();
            pieces.insert(piece, format!("{}.{n}", order.item));
        }
        self.git.put(pieces)
    }

    /// Files in which a tree differs from a commit's.
    fn changed(&self, origin: &str, tree: &str) -> Vec<FileFact> {
        let origin = self.git.tree_of(origin);
        let mut files: Vec<FileFact> = Vec::new();
        for (piece, before, after) in self.git.changes(&origin, tree) {
            let path = path_of(&piece).to_owned();
            if path.starts_with(".pertask/") || files.iter().any(|f| f.path == path) {
                continue;
            }
            files.push(FileFact {
                path,
                change: match (before, after) {
                    (None, _) => Change::Added,
                    (_, None) => Change::Deleted,
                    _ => Change::Modified,
                },
                lines: 1,
            });
        }
        files
    }

    /// What the tool finds when it looks: as `attempt::Judge`.
    fn judged(&mut self, worker: &Worker, answered: &Answered, now: Timestamp) -> AttemptResult {
        let order = &worker.order;
        let pieces = self.git.tree(&answered.tree);
        let files = self.changed(&order.origin, &answered.tree);
        let there = order
            .scope
            .files
            .iter()
            .all(|f| pieces.contains_key(&f.path));
        let mut checks = vec![check(CheckKind::Files, "files", there)];
        let mut faults = Vec::new();
        if there {
            let bad = broken(&pieces, &self.setup.plan);
            for command in &order.checks {
                let flake = self.fault(Fault::Flake);
                let passed = bad.is_empty() && !flake;
                checks.push(check(command.kind, &command.command.join(" "), passed));
                if passed {
                    continue;
                }
                faults = bad
                    .iter()
                    .map(|file| Place {
                        file: file.clone(),
                        line: 1,
                        message: "undefined".to_owned(),
                        own: order.scope.files.iter().any(|f| f.path == *file)
                            || files.iter().any(|f| f.path == *file),
                    })
                    .collect();
                if order.kind != OrderKind::Build {
                    break;
                }
            }
            if order.rules.iter().any(|r| !r.rules.is_empty()) {
                let found = findings(&pieces, &order.rules);
                let open = found.iter().filter(|f| {
                    let waived = |w: &git_pertask::run::order::Waived| {
                        w.rule == f.rule && w.file == f.file && w.message == f.message
                    };
                    !order.waived.iter().any(waived)
                });
                checks.push(check(CheckKind::Rules, "rules", open.count() == 0));
            }
        }
        let exit = answered.report.as_ref().map(|r| &r.exit);
        let reasons: Vec<String> = checks
            .iter()
            .filter(|c| !c.passed)
            .map(|c| format!("{}: {}", c.name, c.detail))
            .collect();
        let verdict = match (answered.mood, exit) {
            (_, Some(AgentExit::Interrupted)) => Verdict::Interrupted,
            (Mood::Asks, _) => Verdict::Question {
                question: "which one?".to_owned(),
            },
            (Mood::Blocked, _) => Verdict::Blocked {
                reason: "it is not there".to_owned(),
                attempted: Vec::new(),
            },
            (Mood::Spent, _) => Verdict::Failed {
                reasons: vec!["the agent claude: it is at its usage limit".to_owned()],
                retryable: false,
            },
            (Mood::Dead, _) => Verdict::Failed {
                reasons: vec!["the agent claude: it took too long".to_owned()],
                retryable: false,
            },
            _ if reasons.is_empty() => Verdict::Passed {
                needs_review: answered.mood == Mood::Unsure,
            },
            _ => Verdict::Failed {
                reasons,
                retryable: true,
            },
        };
        AttemptResult {
            schema: SCHEMA,
            run: order.run.clone(),
            item: order.item.clone(),
            attempt: order.attempt,
            claim: worker.claim.clone(),
            started: answered.started,
            finished: now,
            verdict,
            tree: Some(answered.tree.clone()),
            files,
            api: Vec::new(),
            checks,
            faults,
            agent: answered.report.clone(),
            handoff: None,
            handoff_problem: None,
        }
    }

    /// As `attempt::cut_off`: what is known of an attempt in a job that was cancelled.
    pub fn cut_off(&self, worker: &Worker) -> Option<AttemptResult> {
        let folder = self.folders.get(&worker.folder())?;
        let order = &worker.order;
        let now = self.clock(worker.machine);
        let (started, report, tree) = match &folder.answered {
            Some(answered) => (
                answered.started,
                answered.report.clone(),
                answered.tree.clone(),
            ),
            None if folder.asked => (now, None, order.start_tree.clone()),
            None => return None,
        };
        Some(AttemptResult {
            schema: SCHEMA,
            run: order.run.clone(),
            item: order.item.clone(),
            attempt: order.attempt,
            claim: worker.claim.clone(),
            started,
            finished: now,
            verdict: Verdict::Interrupted,
            tree: Some(tree),
            files: Vec::new(),
            api: Vec::new(),
            checks: Vec::new(),
            faults: Vec::new(),
            agent: report,
            handoff: None,
            handoff_problem: None,
        })
    }
}
