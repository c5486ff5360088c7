//! The state of a run: what the ledger's tip holds, as data.
//!
//! One value of [`State`] is everything `decide` knows about the past. It changes only through the
//! transitions in [`super::transition`], each of which becomes one ledger commit.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::approval::Carried;
use super::order::{AgentExit, CheckOutcome, FileFact, OrderKind};
use crate::plan::{CheckpointPolicy, ForgeKind, MergeMethod, Mode, Risk};

/// Version of [`State`] as JSON. Grows by one with every change an older program could not keep.
pub const SCHEMA: u32 = 1;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of this format, [`SCHEMA`].
    pub schema: u32,
    /// Name of the run: the plan's name, from the second run on with a number behind it.
    pub run: String,
    /// Name of the plan.
    pub plan: String,
    /// The plan's title.
    pub title: String,
    /// Number of the run of this plan, from 1.
    pub number: u32,
    /// When it started.
    pub created: Timestamp,
    /// Who started it.
    pub started_by: Person,
    /// Where checkpoints happen; fixed when the run starts.
    pub forge: ForgeKind,
    /// After which tasks a person decides.
    pub checkpoint: CheckpointPolicy,
    /// How a task joins the run branch.
    pub merge: MergeMethod,
    /// Batch or per task.
    pub mode: Mode,
    /// Why this mode.
    pub mode_reason: String,
    /// Branch and commit everything was read from.
    pub base: Base,
    /// Where approved tasks gather.
    pub run_branch: Branch,
    /// What the build said on the base, before the first agent.
    pub base_build: Option<BaseBuild>,
    /// What is worked on: one item per task, or one for all in batch mode.
    pub items: Vec<Item>,
    /// The final checklist, once it was looked at.
    pub gate: Vec<GateItem>,
    /// What is known of the P0 rules on the run branch.
    #[serde(default)]
    pub compliance: super::compliance::Compliance,
    /// The commit of the run branch that the final checklist was looked at for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate_of: Option<String>,
    /// The pull request from the run branch to the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// How the run's pull request joined the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// A build of the base or the commands of the final checklist, when they were handed to somebody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<Building>,
    /// How many of them were handed over so far.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub builds: u32,
    /// Agents that said they are at a rate or usage limit, and until when.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limited: BTreeMap<String, Timestamp>,
    /// How the run ended.
    pub end: Option<End>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Commands without an agent that somebody runs for the run as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Building {
    /// [`crate::run::BASE`] or [`crate::run::GATE`].
    pub key: String,
    /// The commit they run on.
    pub commit: String,
    /// Who runs them.
    pub claim: Claim,
}

/// A person, as git knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Name.
    pub name: String,
    /// Electronic mail address.
    pub email: String,
}

impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} <{}>", self.name, self.email)
    }
}

/// Branch and commit that plan, configuration and prompts were read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// Short name of the branch; `HEAD` when the run started from a detached head.
    pub branch: String,
    /// The pinned commit.
    pub commit: String,
}

/// A branch of ours with the head we recorded for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// Short name, e.g. `pertask/wiz/1-types`.
    pub name: String,
    /// The commit it must point to.
    pub head: String,
}

/// Outcome of the build on the base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseBuild {
    /// When it ended.
    pub at: Timestamp,
    /// Each build command.
    pub checks: Vec<CheckOutcome>,
}

/// What one order at a time works on: a task, or all tasks in batch mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The task's id, or `batch`.
    pub key: String,
    /// Position in the run, from 1; part of the branch's name.
    pub position: u32,
    /// The tasks in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tasks: Vec<TaskRef>,
    /// Keys of the items that must be merged or skipped first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// The highest risk among its tasks.
    pub risk: Risk,
    /// Round of its life, from 1.
    pub round: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Its branch, once an attempt passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<Branch>,
    /// Every attempt so far, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Every review so far, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<Review>,
    /// Its pull request in this round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// Earlier heads whose approval holds for the present one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carries: Vec<Carried>,
    /// How it joined the run branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Merged>,
    /// What the next attempt must hear: feedback, an answer, a conflict, what went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// Number of the attempt from which the limit of automatic attempts counts.
    pub count_from: u32,
    /// How many times in a row the machine that worked on it was lost, or cut it off.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u32,
    /// Keys of reopened items that must be settled before its next attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waits_for: Vec<String>,
    /// Its earlier rounds, oldest first; each was merged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
}

/// A pull request of ours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Its number.
    pub number: u64,
    /// Its address.
    pub url: String,
    /// The commit it was last seen at, as we recorded it.
    pub head: String,
    /// When that commit was first seen there, by the forge's clock.
    pub since: Timestamp,
    /// Somebody closed it without a merge.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub closed: bool,
    /// Number of the latest attempt about which reviewers were answered in their threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replied: Option<u32>,
    /// What was said there that was acted on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heard: Vec<Heard>,
}

/// Something said on a pull request that was acted on, so that it is not acted on again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The forge's id of it.
    pub id: String,
    /// What it is told in a reply; `None` when a mark is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply: Option<String>,
    /// Whether it was followed.
    pub followed: bool,
    /// It answered an agent's question.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answer: bool,
    /// The answer was given with another token than the pull request was opened with, so that it
    /// cannot be seen there who gave it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub answered: bool,
}

/// A round that was merged before the item was reopened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Its number, from 1.
    pub number: u32,
    /// Its branch.
    pub branch: Option<Branch>,
    /// Its pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// How it joined the run branch; it is still in there.
    pub merged: Option<Merged>,
    /// Why the next round was opened, in words.
    pub reopened: String,
    /// What the next round is to put right: output of the build, findings.
    pub errors: String,
}

/// A task inside an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// Its id.
    pub id: String,
    /// Its position in the plan, from 1.
    pub position: u32,
    /// Its title.
    pub title: String,
    /// Its file.
    pub file: String,
}

/// Where an item stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Phase {
    /// Not started, or to be attempted again as `Item::pending` says.
    Pending,
    /// Somebody works on it.
    Running {
        /// Who, on which order, until when.
        claim: Claim,
    },
    /// A person decides.
    Review,
    /// Approved, not merged yet.
    Approved {
        /// By whom, or by which policy.
        because: String,
        /// The commit that was approved.
        commit: String,
        /// No person was asked: the checkpoint policy of the base says so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        by_policy: bool,
    },
    /// In the run branch.
    Merged,
    /// The automatic attempts are used up, or another would not help.
    Failed {
        /// One line each.
        reasons: Vec<String>,
    },
    /// The agent cannot go on, or asks.
    Blocked {
        /// Why.
        reason: String,
        /// What the agent says it tried.
        attempted: Vec<String>,
        /// Its question.
        question: Option<String>,
    },
    /// Left out by a person.
    Skipped {
        /// Their reason.
        why: String,
        /// Who.
        by: Person,
    },
}

/// Who works on an order now. A result is accepted only from the current claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Random identity of the claim.
    pub id: String,
    /// Number of the attempt it is for.
    pub attempt: u32,
    /// Why there is this attempt.
    pub kind: OrderKind,
    /// The process.
    pub holder: Holder,
    /// When it began.
    pub since: Timestamp,
    /// When it is taken for lost.
    pub deadline: Timestamp,
    /// Object id of the order in the ledger, when it was handed to another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// What the attempt may cost, in US cents, where something limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub may_cost_cents: Option<u64>,
}

/// A process on some machine, told apart from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Host name.
    pub host: String,
    /// Boot id of the kernel, empty where there is none.
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// Start time of the process in clock ticks since boot, 0 where unknown.
    pub started: u64,
    /// The workflow run whose jobs work on it; what is said of the process is then of no account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
}

/// A run of a workflow in GitHub Actions, `GITHUB_RUN_ID` and `GITHUB_RUN_ATTEMPT`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Workflow {
    /// Its id.
    pub run: u64,
    /// How many times it was run, from 1.
    pub attempt: u32,
}

/// One attempt, in short; the whole is in the ledger's folder of the attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// Its number within the item, from 1.
    pub number: u32,
    /// The round it belongs to.
    pub round: u32,
    /// Why there was one.
    pub kind: OrderKind,
    /// Name of the agent, or of the person whose commit it is; empty for checks alone.
    pub by: String,
    /// When it started.
    pub started: Timestamp,
    /// When its last check ended.
    pub finished: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
    /// One line each: why it failed, or the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// How the agent's process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<AgentExit>,
    /// The commit with its tree: on the task branch when it passed, on `kept` otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The tree the agent left, without the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// Branch on which a failed attempt's work is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// What it changed against its base.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileFact>,
    /// Functions and methods of the task's files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api: Vec<String>,
    /// Checks without their output, which is in the attempt's folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckSummary>,
    /// Skills the agent says it used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// The agent's words for the reviewer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The name the agent gave itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_says: Option<String>,
    /// Version the agent program reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// Model it reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Cost it reported, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Money was limited, and what it cost is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_missing: bool,
    /// Tokens it reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The agent stopped because of a rate or usage limit, which ends then. Such an attempt does not
    /// count against the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_until: Option<Timestamp>,
    /// sha256 of the prompt.
    pub prompt_sha256: String,
    /// Keys of the items whose files its build failed in, and which were reopened for it. Such an
    /// attempt does not count against the limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blames: Vec<String>,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its checks passed.
    Passed,
    /// Something did not hold.
    Failed,
    /// The agent could not go on.
    Blocked,
    /// The agent asked.
    Question,
    /// Ended by a person or a crash; does not count against the limit.
    Interrupted,
}

/// A check without its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckSummary {
    /// What was verified.
    pub kind: super::order::CheckKind,
    /// The command line, or the subject.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// One line that says what was found.
    pub detail: String,
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// Approve or request changes.
    pub decision: Decision,
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
    /// The commit they saw; empty when there was none (an answer to a question).
    pub commit: String,
    /// Their words.
    pub text: String,
    /// The round it belongs to.
    pub round: u32,
    /// Where it was given, when not in the terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// What stands between the words of a review and the threads that follow them in [`Review::text`].
pub const THREADS_BELOW: &str = "Threads on the change, each with a name in brackets:";

impl Review {
    /// Their words without the threads.
    #[must_use]
    pub fn words(&self) -> &str {
        let threads = self.source.as_ref().is_some_and(|s| !s.threads.is_empty());
        match self.text.split_once(THREADS_BELOW) {
            Some((words, _)) if threads => words,
            _ => &self.text,
        }
    }
}

/// A review given on a forge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The forge's ids of what was said.
    pub ids: Vec<String>,
    /// Address of the first of them.
    pub url: String,
    /// Name of the account.
    pub login: String,
    /// The threads it asks about, in the order in which they are numbered in the prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<ThreadRef>,
}

/// A thread of a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRef {
    /// The forge's id of it.
    pub id: String,
    /// Number of its first comment, to which replies go.
    pub comment: u64,
    /// Path of the file it is about.
    pub path: String,
    /// The line it is about, from 1; `None` for the whole file.
    pub line: Option<u32>,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// Take it.
    Approve,
    /// Change it, as the text says.
    Revise,
}

/// How an item joined the run branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// The commit on the run branch.
    pub commit: String,
    /// The task branch's head that was merged.
    pub head: String,
    /// When.
    pub at: Timestamp,
    /// Why it was allowed: the reviewer, or the policy.
    pub because: String,
    /// Somebody merged it on the run branch, past its pull request: what was said there may not be answered yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// What the next attempt must hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Why there will be one.
    pub kind: OrderKind,
    /// A reviewer's words, or the answer to a question.
    pub feedback: String,
    /// Who said so.
    pub from: String,
    /// Start from the run branch instead of the failed attempt's tree.
    pub fresh: bool,
    /// Output to show: what failed, or the conflict.
    pub errors: String,
    /// For [`OrderKind::Person`]: the commit found on the task branch. For [`OrderKind::Forward`]:
    /// the merge commit to check.
    pub commit: Option<String>,
}

/// One line of the final checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateItem {
    /// What is asked.
    pub item: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was looked at and found.
    pub detail: String,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// Whether it was ended by a person before all was done.
    pub aborted: bool,
    /// Who, when aborted.
    pub by: Option<Person>,
}

impl State {
    /// The item with this key, or the one that holds the task with this id.
    #[must_use]
    pub fn item(&self, key: &str) -> Option<&Item> {
        self.index(key).map(|i| &self.items[i])
    }

    /// Like [`State::item`], to change it.
    pub fn item_mut(&mut self, key: &str) -> Option<&mut Item> {
        self.index(key).map(|i| &mut self.items[i])
    }

    fn index(&self, key: &str) -> Option<usize> {
        self.items.iter().position(|i| i.key == key).or_else(|| {
            self.items
                .iter()
                .position(|i| i.tasks.iter().any(|t| t.id == key))
        })
    }

    /// Number of tasks in the plan.
    #[must_use]
    pub fn total(&self) -> usize {
        self.items.iter().map(|i| i.tasks.len()).sum()
    }

    /// Whether everything it builds on is settled. A task that was reopened is not.
    #[must_use]
    pub fn is_free(&self, item: &Item) -> bool {
        let mut needed = item.depends_on.iter().chain(&item.waits_for);
        needed.all(|key| self.item(key).is_none_or(Item::is_settled))
    }

    /// Whether one item needs another, directly or through others.
    #[must_use]
    pub fn needs(&self, key: &str, other: &str) -> bool {
        let mut seen = std::collections::BTreeSet::new();
        let mut left = vec![key];
        while let Some(key) = left.pop() {
            if key == other {
                return true;
            }
            if seen.insert(key)
                && let Some(item) = self.item(key)
            {
                left.extend(
                    item.depends_on
                        .iter()
                        .chain(&item.waits_for)
                        .map(String::as_str),
                );
            }
        }
        false
    }

    /// Money spent so far, as far as agents reported it, in US dollars.
    #[must_use]
    pub fn cost_usd(&self) -> f64 {
        super::budget::cost_usd(self.items.iter().flat_map(|i| &i.attempts))
    }

    /// Time that attempts of agents took so far, in seconds.
    #[must_use]
    pub fn time_s(&self) -> u64 {
        super::budget::time_s(self.items.iter().flat_map(|i| &i.attempts))
    }
}

impl Item {
    /// An item on which nothing was done yet.
    #[must_use]
    pub fn new(
        key: &str,
        position: u32,
        tasks: Vec<TaskRef>,
        depends_on: Vec<String>,
        risk: Risk,
    ) -> Self {
        Self {
            key: key.to_owned(),
            position,
            tasks,
            depends_on,
            risk,
            round: 1,
            phase: Phase::Pending,
            branch: None,
            attempts: Vec::new(),
            reviews: Vec::new(),
            pull: None,
            carries: Vec::new(),
            merged: None,
            pending: None,
            count_from: 1,
            lost: 0,
            waits_for: Vec::new(),
            rounds: Vec::new(),
        }
    }

    /// Merged or left out: dependents may start.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Merged | Phase::Skipped { .. })
    }

    /// The latest attempt of an agent or a person (checks alone do not count).
    #[must_use]
    pub fn latest_work(&self) -> Option<&Attempt> {
        // The attempts of a round that was given up are not what is merged.
        let kept = self
            .rounds
            .last()
            .filter(|r| self.merged.is_some() && r.merged == self.merged)
            .map_or(u32::MAX, |r| r.number);
        // Nor is what came after the commit that a person merged by hand.
        let head = self.merged.as_ref().map(|m| &m.head);
        let mut attempts = self.attempts.iter().rev();
        let made = attempts.find(|a| head.is_some() && a.commit.as_ref() == head);
        let made = made.map_or(u32::MAX, |a| a.number);
        self.attempts
            .iter()
            .rev()
            .find(|a| a.kind != OrderKind::Forward && a.round <= kept && a.number <= made)
    }

    /// Attempts since a person last asked for one: what the limit counts.
    #[must_use]
    pub fn automatic_attempts(&self) -> usize {
        self.attempts
            .iter()
            .filter(|a| a.number >= self.count_from && a.outcome != Outcome::Interrupted)
            .filter(|a| !matches!(a.kind, OrderKind::Forward | OrderKind::Person))
            .filter(|a| a.blames.is_empty())
            .filter(|a| a.limited_until.is_none() || crate::plant::is("limited-attempt-counts"))
            .count()
    }

    /// The agent at whose usage limit its latest attempt ended, if another is to follow.
    #[must_use]
    pub fn is_limited(&self) -> Option<&str> {
        let last = self
            .attempts
            .last()
            .filter(|_| self.phase == Phase::Pending)?;
        last.limited_until.map(|_| last.by.as_str())
    }

    /// Money spent on it so far, as far as agents reported it, in US dollars.
    #[must_use]
    pub fn cost_usd(&self) -> f64 {
        super::budget::cost_usd(self.attempts.iter())
    }

    /// Time that attempts of agents on it took so far, in seconds.
    #[must_use]
    pub fn time_s(&self) -> u64 {
        super::budget::time_s(self.attempts.iter())
    }

    /// The number the next attempt gets.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.attempts.last().map_or(1, |a| a.number + 1)
    }

    /// Its content is in the run branch, from this round or an earlier one.
    #[must_use]
    pub fn was_merged(&self) -> bool {
        self.phase == Phase::Merged || !self.rounds.is_empty()
    }

    /// When its content first came into the run branch.
    #[must_use]
    pub fn first_merged(&self) -> Option<&Merged> {
        let rounds = self.rounds.iter().filter_map(|r| r.merged.as_ref());
        rounds.chain(&self.merged).next()
    }

    /// The item as its content in the run branch is: while a further round is open, as it was when
    /// the round before it was merged.
    #[must_use]
    pub fn as_merged(&self) -> Option<Self> {
        if self.is_settled() {
            return Some(self.clone());
        }
        let round = self.rounds.last()?;
        let mut item = self.clone();
        item.rounds.pop();
        item.round = round.number;
        item.phase = Phase::Merged;
        item.branch.clone_from(&round.branch);
        item.merged.clone_from(&round.merged);
        item.pull.clone_from(&round.pull);
        item.pending = None;
        item.attempts.retain(|a| a.round <= round.number);
        item.reviews.retain(|r| r.round <= round.number);
        Some(item)
    }

    /// The name of its branch in this round, e.g. `1-types` or `1-types-r2`; in batch mode `batch`.
    #[must_use]
    pub fn branch_leaf(&self) -> String {
        self.leaf_in(self.round)
    }

    /// The name of its branch in the round of an attempt; for an attempt to come, in this round.
    #[must_use]
    pub fn leaf_of_attempt(&self, number: u32) -> String {
        let attempt = self.attempts.iter().find(|a| a.number == number);
        self.leaf_in(attempt.map_or(self.round, |a| a.round))
    }

    fn leaf_in(&self, round: u32) -> String {
        let stem = if self.key == crate::run::BATCH {
            self.key.clone()
        } else {
            format!("{}-{}", self.position, self.key)
        };
        if round > 1 {
            format!("{stem}-r{round}")
        } else {
            stem
        }
    }
}
