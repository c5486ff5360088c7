//! How the tasks are given to agents: the seed's table "When to Use Per-Task Mode", with the order
//! in which its rows are asked, because several may fit at once.

use serde::{Deserialize, Serialize};

use super::{Plan, Risk};

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

/// The mode and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The mode.
    pub mode: Mode,
    /// The row of the table that decided, as a sentence's end: `4 tasks (four or more)`.
    pub reason: String,
}

/// Chooses the mode. The rows are asked in this order, the first that fits decides: `forced`; high
/// risk, complex data or new patterns (per-task); little time (batch); four tasks or more
/// (per-task); else batch.
#[must_use]
pub fn choose(plan: &Plan, forced: Option<Mode>) -> Choice {
    let choice = |mode, reason: String| Choice { mode, reason };
    if let Some(mode) = forced {
        return choice(mode, "asked for with --mode".to_owned());
    }
    let ids = |test: &dyn Fn(&super::Task) -> bool| {
        let ids: Vec<&str> = plan
            .tasks
            .iter()
            .filter(|task| test(task))
            .map(|task| task.id.as_str())
            .collect();
        match ids.as_slice() {
            [first, _, _, _, ..] => format!("{first} and {} more", ids.len() - 1),
            few => few.join(", "),
        }
    };
    let risky = ids(&|task| task.risk == Risk::High);
    if !risky.is_empty() {
        return choice(Mode::PerTask, format!("high-risk implementation: {risky}"));
    }
    let complex = ids(&|task| task.complex_data);
    if !complex.is_empty() {
        return choice(
            Mode::PerTask,
            format!("complex data transformations: {complex}"),
        );
    }
    if plan.new_patterns {
        return choice(Mode::PerTask, "learning new patterns".to_owned());
    }
    if plan.time_constrained {
        return choice(Mode::Batch, "time-constrained session".to_owned());
    }
    match plan.tasks.len() {
        count @ 4.. => choice(Mode::PerTask, format!("4+ implementation tasks: {count}")),
        count => choice(Mode::Batch, format!("1-3 implementation tasks: {count}")),
    }
}
