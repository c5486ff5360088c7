//! The plan: what a job consists of, read from the documents a team writes.
//!
//! Everything here is a pure function from text to data or to [`diagnostic`]s: files are handed in
//! by the caller, which reads them from a commit, so nothing in the working tree can change a plan.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The tasks of a job with everything they share, parameters filled in, tasks in dependency order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the plan, `[a-z0-9][a-z0-9-]*`; also the folder under `.pertask/`.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Branch the job's final result is meant for; `None` means the default branch.
    pub base: Option<String>,
    /// Documents every prompt names, as paths from the repository's root.
    pub inputs: Vec<String>,
    /// Skills every agent is told to use.
    pub skills: Vec<String>,
    /// Folder where build and checks run, from the repository's root; empty means the root.
    pub directory: String,
    /// Build commands, each an argument list; never a shell string.
    pub build: Vec<Vec<String>>,
    /// Time limit for one check command, in seconds.
    pub check_timeout_s: u64,
    /// Cone directories of the workspace; empty means a full checkout.
    pub sparse: Vec<String>,
    /// The team has little time (the seed's reason for batch mode).
    pub time_constrained: bool,
    /// The team is learning new patterns (the seed's reason for per-task mode).
    pub new_patterns: bool,
    /// The tasks, each after those it depends on.
    pub tasks: Vec<Task>,
    /// What must hold at the end.
    pub gate: Gate,
    /// The parameters as they were filled in.
    pub parameters: BTreeMap<String, String>,
    /// Where the tasks came from.
    pub source: Source,
}

/// One unit of work: a branch, a review, usually one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Identity within the plan, `[a-z0-9][a-z0-9-]*`.
    pub id: String,
    /// One line for people, e.g. `HTTP client`.
    pub title: String,
    /// The file to create or change, from the repository's root.
    pub file: String,
    /// What the file is for.
    pub purpose: String,
    /// What the file must contain or do.
    pub requirements: Vec<String>,
    /// Code or prose that shows the wanted shape (Markdown).
    pub example: Option<String>,
    /// Success criteria in prose, shown unticked to the reviewer.
    pub success: Vec<String>,
    /// The plan's estimate.
    pub estimated_lines: Option<u32>,
    /// Largest allowed number of lines, inclusive.
    pub max_lines: Option<u32>,
    /// Ids of the tasks that must be merged first.
    pub depends_on: Vec<String>,
    /// Ids of the P0 rules that are shown in the prompt and checked.
    pub rules: Vec<String>,
    /// Check commands beyond the build.
    pub checks: Vec<Vec<String>>,
    /// Globs of what else the task may touch besides `file`.
    pub allow: Vec<String>,
    /// Globs of what the task must also touch.
    pub requires: Vec<String>,
    /// How dangerous a mistake would be.
    pub risk: Risk,
    /// The seed's "complex data transformations".
    pub complex_data: bool,
    /// Name of the agent for this task, when it is not the configured one.
    pub agent: Option<String>,
}

/// Risk of a task; `high` asks for per-task mode and always for a checkpoint.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing special.
    #[default]
    Low,
    /// Reviewed even under `--checkpoint high-risk`.
    High,
}

/// The final checklist's own settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Commands of the final build.
    pub build: Vec<Vec<String>>,
}

/// Which document the tasks came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The kind of document.
    pub kind: SourceKind,
    /// Path from the repository's root, or the template's name.
    pub path: String,
}

/// Kinds of documents that tasks come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// `.pertask/<plan>/plan.toml`.
    PlanToml,
    /// The task table in `.pertask/<plan>/architecture.md`.
    Architecture,
    /// A template, built in or under `.pertask/templates/`.
    Template,
}

/// How the tasks are given to agents (the seed's "When to Use Per-Task Mode").
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One fresh agent per task, a review after each.
    PerTask,
    /// One agent for all tasks, one branch, one review.
    Batch,
}

/// Settings of `.pertask/config.toml`, defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Template used when the plan has no tasks of its own.
    pub template: String,
    /// Name of the agent for tasks that name none.
    pub agent: String,
    /// Where checkpoints happen.
    pub forge: ForgeKind,
    /// After which tasks a person decides.
    pub checkpoint: CheckpointPolicy,
    /// How a task joins the run branch.
    pub merge: MergeMethod,
    /// Whether agents and checks are confined.
    pub sandbox: Sandbox,
    /// Agents by name; `claude` and `codex` are always there.
    pub agents: BTreeMap<String, AgentConfig>,
    /// Limits across attempts.
    pub limits: Limits,
    /// Settings of the GitHub forge.
    pub github: Github,
}

/// Where checkpoints happen.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ForgeKind {
    /// In the terminal.
    #[default]
    Local,
    /// In pull requests.
    Github,
}

/// After which tasks a person decides.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    clap::ValueEnum,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointPolicy {
    /// After every task.
    #[default]
    Every,
    /// After tasks of high risk and those whose agent asks for a review.
    HighRisk,
    /// Only when an agent asks for a review.
    None,
}

/// How a task joins the run branch.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum MergeMethod {
    /// One commit per task.
    #[default]
    Squash,
    /// A merge commit.
    Merge,
    /// The task's commits on top of the run branch.
    Rebase,
}

/// Whether agents and checks are confined by the kernel.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// Confined where the kernel can; said plainly where it cannot.
    #[default]
    Auto,
    /// Refuse to start unconfined.
    Require,
    /// Not confined.
    Off,
}

/// One agent of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AgentConfig {
    /// Which program is driven, and so how its output is read.
    pub adapter: Adapter,
    /// Argument list; for `claude` and `codex` the program and extra arguments.
    pub command: Vec<String>,
    /// Names of environment variables it gets beside the basic ones.
    pub env: Vec<String>,
    /// Time limit of one attempt, in seconds.
    pub timeout_s: u64,
    /// Money limit of one attempt, in US dollars.
    pub max_cost_usd: Option<f64>,
    /// Model to ask for, where the adapter has a way to say so.
    pub model: Option<String>,
}

/// How an agent program is driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Adapter {
    /// Claude Code, `claude -p`.
    Claude,
    /// Codex, `codex exec`.
    Codex,
    /// Any command that reads the prompt from stdin.
    Command,
}

/// Limits across attempts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Automatic attempts per task before a person is asked.
    pub attempts: u32,
    /// Money limit of the whole run, in US dollars.
    pub run_cost_usd: Option<f64>,
}

/// Settings of the GitHub forge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Github {
    /// How many permitted people must approve.
    pub approvals: u32,
    /// Who is asked to review: logins and `org/team`.
    pub reviewers: Vec<String>,
    /// Whether the pull request's author may decide by comment.
    pub author_may_approve: bool,
}
