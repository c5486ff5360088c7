//! Orders and results: the two pieces of data that pass between the steps.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::{AgentConfig, Sandbox};

/// Version of [`Order`] and [`AttemptResult`] as JSON.
pub const SCHEMA: u32 = 1;

/// Everything an attempt needs, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    /// Version of this format, [`SCHEMA`].
    pub schema: u32,
    /// The run.
    pub run: String,
    /// Key of the item: a task's id, or `batch`.
    pub item: String,
    /// Ids of the tasks the attempt works on; one, except in batch mode.
    pub tasks: Vec<String>,
    /// Round of the task's life, from 1.
    pub round: u32,
    /// Number of the attempt within the task, from 1, never reused.
    pub attempt: u32,
    /// Why there is an attempt.
    pub kind: OrderKind,
    /// Commit the change is judged against: the task branch's head, or the run branch's.
    pub base: String,
    /// Commit of the run branch the task forked from: what the task changes is counted against it.
    pub origin: String,
    /// Tree the workspace starts from: `base`'s, or that of a failed attempt.
    pub start_tree: String,
    /// The task branch.
    pub branch: String,
    /// The whole prompt; empty when no agent is asked.
    pub prompt: String,
    /// Hash of the prompt, lower-case hexadecimal sha256.
    pub prompt_sha256: String,
    /// Name of the agent; `None` when only checks run.
    pub agent: Option<OrderAgent>,
    /// What may be touched, and what must be.
    pub scope: Scope,
    /// Check commands: the build first.
    pub checks: Vec<CheckCommand>,
    /// Folder where checks run, from the root of the tree.
    pub directory: String,
    /// Time limit of one check, in seconds.
    pub check_timeout_s: u64,
    /// P0 rules to check, by id, per file.
    pub rules: Vec<FileRules>,
    /// The team's own rules, in ast-grep's format.
    pub rule_files: Vec<RuleFile>,
    /// Findings that a person let pass.
    #[serde(default)]
    pub waived: Vec<Waived>,
    /// What the plan's documents promise about the code.
    #[serde(default)]
    pub design: Design,
    /// Cone of the workspace.
    pub sparse: Vec<String>,
    /// Whether agent and checks are confined.
    pub sandbox: Sandbox,
    /// Id of the claim it was handed out under, so that no two that were handed out are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
}

impl Order {
    /// Whether two orders differ in nothing but how much time and money was left.
    #[must_use]
    pub fn asks_the_same(&self, other: &Self) -> bool {
        let mut like = self.clone();
        if let (Some(mine), Some(theirs)) = (&mut like.agent, &other.agent) {
            mine.config.timeout_s = theirs.config.timeout_s;
            mine.config.max_cost_usd = theirs.config.max_cost_usd;
        }
        like == *other
    }

    /// What the attempt may cost, in US cents, where something limits it.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float too large or negative becomes the nearest whole number, which is meant"
    )]
    pub fn may_cost_cents(&self) -> Option<u64> {
        let most = self.agent.as_ref()?.config.max_cost_usd?;
        Some((most * 100.0).ceil() as u64)
    }
}

/// The agent an order asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderAgent {
    /// Its name in the configuration.
    pub name: String,
    /// Its settings.
    pub config: AgentConfig,
}

/// Why there is an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderKind {
    /// The task's first.
    First,
    /// The one before failed its checks, was interrupted, or a person asked for it.
    Retry,
    /// A review asked for changes, or a question was answered.
    Revision,
    /// Bringing the run branch in did not merge cleanly.
    Conflict,
    /// It was merged, but another task's build fails in its file: a new round.
    Reopened,
    /// A task it waited for was put right: it goes on from its kept work with that merged in.
    Resumed,
    /// No agent: the run branch was merged in and must still pass the checks.
    Forward,
    /// No agent: a person's own commit on the task branch.
    Person,
    /// No agent and no task: commands on the base, or on the run branch for the final checklist.
    Build,
}

/// What an attempt may touch, and what it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scope {
    /// The tasks' files with their limits.
    pub files: Vec<ScopeFile>,
    /// Globs of what else may be touched.
    pub allow: Vec<String>,
    /// Globs of what must also be touched.
    pub requires: Vec<String>,
}

/// A file that must be there at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScopeFile {
    /// Id of the task it belongs to.
    pub task: String,
    /// Path from the root.
    pub path: String,
    /// Largest allowed number of lines, inclusive.
    pub max_lines: Option<u32>,
}

/// A command that must succeed on the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckCommand {
    /// Whether it is the build or an extra check.
    pub kind: CheckKind,
    /// Argument list.
    pub command: Vec<String>,
}

/// Rules that apply to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRules {
    /// Path from the root.
    pub path: String,
    /// Ids of the rules.
    pub rules: Vec<String>,
}

/// A finding that a person let pass, whatever its line is by now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Waived {
    /// Id of the rule.
    pub rule: String,
    /// Path from the root.
    pub file: String,
    /// What was found.
    pub message: String,
}

/// What the plan's documents promise about the code, to be looked for in syntax trees.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Design {
    /// API methods that each file must declare, as the documents write them.
    pub methods: Vec<FileNames>,
    /// Files that each file must use.
    pub uses: Vec<FileNames>,
    /// Globs of the files that must name what each file declares.
    pub registered: Vec<FileNames>,
    /// Whether an unused dependency fails the attempt; otherwise it is a remark.
    pub strict: bool,
}

/// Names that concern one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileNames {
    /// Path from the root.
    pub path: String,
    /// Methods, paths or globs.
    pub names: Vec<String>,
}

/// A file of the team's own rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleFile {
    /// Path from the root.
    pub path: String,
    /// The whole file.
    pub yaml: String,
}

/// What the tool verifies by itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// The files of the task exist and are not empty.
    Files,
    /// Nothing else was touched, nothing protected, no symlink out, no nested repository.
    Scope,
    /// The files keep their line limit.
    Lines,
    /// The build commands succeed.
    Build,
    /// An extra command succeeds.
    Command,
    /// The P0 rules hold.
    Rules,
    /// A drafted plan is one that can be started.
    Plan,
    /// The code has what the plan's documents promise: methods, uses, registration.
    Design,
}

/// What came of an attempt, as data. Nothing in it is the agent's word except `handoff`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptResult {
    /// Version of this format, [`SCHEMA`].
    pub schema: u32,
    /// The run.
    pub run: String,
    /// The item.
    pub item: String,
    /// The attempt's number.
    pub attempt: u32,
    /// Id of the claim it was made under.
    pub claim: String,
    /// When the agent started.
    #[schemars(with = "String")]
    pub started: Timestamp,
    /// When the last check ended.
    #[schemars(with = "String")]
    pub finished: Timestamp,
    /// What became of it.
    pub verdict: Verdict,
    /// The tree as the agent left it, leftovers removed; `None` when nothing could be read.
    pub tree: Option<String>,
    /// What differs from `base`, with facts counted by the tool.
    pub files: Vec<FileFact>,
    /// Functions and methods the tasks' files offer, read from their syntax trees.
    pub api: Vec<String>,
    /// Each check with its outcome, in the order they ran.
    pub checks: Vec<CheckOutcome>,
    /// The files of the repository that a failing build names.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The agent's process, as observed; `None` when no agent was asked.
    pub agent: Option<AgentReport>,
    /// The agent's closing statement.
    pub handoff: Option<Handoff>,
    /// Why there is no handoff, or what is odd about it.
    pub handoff_problem: Option<String>,
}

/// A place in the tree that a failing build names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Path from the root.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// What the compiler says.
    pub message: String,
    /// Whether the attempt changed that file, or may change it.
    pub own: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Verdict {
    /// All checks passed.
    Passed {
        /// The agent asked for a person's eyes (`needs_review`).
        needs_review: bool,
    },
    /// Something did not hold; another attempt may mend it.
    Failed {
        /// One line each.
        reasons: Vec<String>,
        /// Whether another automatic attempt makes sense.
        retryable: bool,
    },
    /// The agent says it cannot go on.
    Blocked {
        /// Its reason.
        reason: String,
        /// What it says it tried.
        attempted: Vec<String>,
    },
    /// The agent asks.
    Question {
        /// The question.
        question: String,
    },
    /// The person, or a signal, ended it.
    Interrupted,
}

/// A changed file, as counted by the tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileFact {
    /// Path from the root.
    pub path: String,
    /// Added, modified or deleted against `base`.
    pub change: Change,
    /// Lines in the file afterwards; 0 when deleted or binary.
    pub lines: u32,
}

/// How a file differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Not there before.
    Added,
    /// Other content or mode.
    Modified,
    /// Not there any more.
    Deleted,
}

/// One check with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CheckOutcome {
    /// What was verified.
    pub kind: CheckKind,
    /// The command line, or the subject, for people.
    pub name: String,
    /// Whether it holds.
    pub passed: bool,
    /// One line that says what was found.
    pub detail: String,
    /// Output of the command, or the findings; capped.
    pub output: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// The agent's process, as observed by the tool.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AgentReport {
    /// How the process ended.
    pub exit: AgentExit,
    /// Version the program reported, if it did.
    pub version: Option<String>,
    /// Model it reported.
    pub model: Option<String>,
    /// Session id it reported.
    pub session: Option<String>,
    /// Cost it reported, or what its tokens cost by its price table, in US dollars.
    pub cost_usd: Option<f64>,
    /// Its money is limited, and what it cost is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cost_missing: bool,
    /// Tokens it reported, in and out together.
    pub tokens: Option<u64>,
    /// Turns it reported.
    pub turns: Option<u32>,
    /// An error it reported in its structured output.
    pub error: Option<String>,
    /// It reported that it ended because of a usage or rate limit.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// When that ends, if it said so.
    #[schemars(with = "Option<String>")]
    pub limited_until: Option<Timestamp>,
    /// Last part of what it printed, capped, invalid UTF-8 replaced.
    pub output_tail: String,
    /// Bytes it printed in all.
    pub output_bytes: u64,
    /// Processes it had left behind, which were ended.
    pub left_behind: u32,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// How an agent's process ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum AgentExit {
    /// By itself, with this status.
    Exited {
        /// Exit status.
        code: i32,
    },
    /// By a signal that was not ours.
    Signalled {
        /// Signal number.
        signal: i32,
    },
    /// Ended by us at its time limit.
    TimedOut {
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// Ended by us at its money limit.
    OverBudget {
        /// The limit, in US cents.
        limit_cents: u64,
    },
    /// Ended by us because the person interrupted.
    Interrupted,
    /// It could not be started.
    #[default]
    NotStarted,
}

/// An agent's closing statement (the seed's step 1 and `agent-handoffs`). Never believed, only compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Handoff {
    /// What the agent says of itself.
    pub status: HandoffStatus,
    /// The status word as it stood there.
    pub status_word: String,
    /// Name the agent gives itself, e.g. `integration-developer`.
    pub agent: Option<String>,
    /// Files it says it created (`file_created` and `files_created` together).
    pub files_created: Vec<String>,
    /// Lines it says the file has.
    pub lines: Option<u64>,
    /// Skills it says it used.
    pub skills_invoked: Vec<String>,
    /// Quick-review points and notes for the reviewer.
    pub review_notes: Vec<String>,
    /// Why it is blocked.
    pub blocked_reason: Option<String>,
    /// What it says it tried.
    pub attempted: Vec<String>,
    /// What it asks.
    pub question: Option<String>,
    /// Its words for the next task.
    pub context: Option<String>,
    /// What it says it did about each thread of a review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threads: Vec<ThreadAnswer>,
    /// The JSON as it was given.
    pub raw: serde_json::Value,
}

/// What an agent says it did about a thread of a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadAnswer {
    /// The name the prompt gave the thread, e.g. `T1`.
    pub thread: String,
    /// Its words.
    pub done: String,
}

/// Handoff statuses (`seed-facts`: hyphens and case are tolerated, unknown words count as blocked).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HandoffStatus {
    /// Done.
    Complete,
    /// Cannot go on.
    Blocked,
    /// Done, and wants a person to look.
    NeedsReview,
    /// Has a question.
    NeedsClarification,
}
