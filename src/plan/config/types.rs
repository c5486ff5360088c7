//! The settings of `.pertask/config.toml` as data, defaults filled in.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// What tokens cost, by model, for an agent that reports tokens and no cost.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
}

/// Name in a price table for every model that is not named there.
pub const ANY_MODEL: &str = "default";

/// What tokens of a model cost, in US dollars per million.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Price {
    /// What goes in.
    pub input: f64,
    /// What goes in and was there before; as the rest of the input when absent.
    pub cached_input: Option<f64>,
    /// What comes out.
    pub output: f64,
}

impl AgentConfig {
    /// Whether it is known at the end of an attempt what it cost, so that money can be limited.
    #[must_use]
    pub fn tells_cost(&self) -> bool {
        match self.adapter {
            Adapter::Claude => true,
            Adapter::Codex => self.price().is_some(),
            Adapter::Command => false,
        }
    }

    /// What tokens of the model that is asked for cost.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        let named = self.model.as_ref().and_then(|model| self.prices.get(model));
        named.or_else(|| self.prices.get(ANY_MODEL)).copied()
    }
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
    /// Money limit of one task with all its attempts, in US dollars.
    #[serde(default)]
    pub task_cost_usd: Option<f64>,
    /// Time limit of one task with all its attempts, in seconds.
    #[serde(default)]
    pub task_time_s: Option<u64>,
    /// Money limit of the whole run, in US dollars.
    pub run_cost_usd: Option<f64>,
    /// Time limit of all attempts of the run together, in seconds.
    #[serde(default)]
    pub run_time_s: Option<u64>,
}

impl Limits {
    /// The settings that limit money across attempts, by name.
    #[must_use]
    pub fn of_money(&self) -> Vec<&'static str> {
        let named = [
            ("task_cost_usd", self.task_cost_usd),
            ("run_cost_usd", self.run_cost_usd),
        ];
        let set = named.into_iter().filter(|(_, limit)| limit.is_some());
        set.map(|(name, _)| name).collect()
    }
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
