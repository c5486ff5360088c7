//! The data behind both forms of `status`.

use jiff::Timestamp;
use serde::Serialize;

use crate::plan::{ForgeKind, Mode};
use crate::report::facts::{self, Build};
use crate::report::{clean, waits, words};
use crate::run::decide::Wait;
use crate::run::state::{GateItem, Item, Phase, State};

/// Version of [`StatusView`] as JSON. Fields are only added.
pub const SCHEMA: u32 = 1;

/// Where a run stands: `status --json` (design, section 3).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusView {
    /// Version of this format, [`SCHEMA`].
    pub schema: u32,
    /// Name of the run.
    pub run: String,
    /// Name of its plan.
    pub plan: String,
    /// The plan's title.
    pub title: String,
    /// Where the run as a whole stands.
    pub state: RunState,
    /// What it waits for, in words with the commands that move it on.
    pub waiting_for: Vec<String>,
    /// Batch or per task.
    pub mode: Mode,
    /// Why this mode.
    pub mode_reason: String,
    /// Where checkpoints happen.
    pub forge: ForgeKind,
    /// Branch it started from.
    pub base: String,
    /// Commit it started from.
    pub base_commit: String,
    /// Branch where approved tasks gather.
    pub run_branch: String,
    /// Its head.
    pub run_head: String,
    /// When it started (RFC 3339).
    pub started: String,
    /// When it ended.
    pub ended: Option<String>,
    /// Seconds of all attempts together; attempts side by side count each.
    pub duration_s: u64,
    /// US dollars of all attempts together; null when no agent reported any.
    pub cost_usd: Option<f64>,
    /// The tasks, in the plan's order.
    pub tasks: Vec<TaskView>,
    /// P0 violations in merged tasks, found by the rules or noted by reviewers, with those let pass.
    pub violations: Vec<ViolationView>,
    /// The final checklist, once it was looked at.
    pub gate: Vec<GateView>,
}

/// A P0 violation in a merged task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViolationView {
    /// Id of the rule; `note` for a reviewer's.
    pub rule: String,
    /// Path from the root; empty for a note about the whole.
    pub file: String,
    /// Line, from 1; null for a note.
    pub line: Option<u32>,
    /// What was found.
    pub message: String,
    /// Who noted it; null when a rule found it.
    pub noted_by: Option<String>,
    /// Who let it pass and why; null while it is to be put right.
    pub exception: Option<String>,
}

/// What is to be put right, then what was let pass.
#[must_use]
pub fn violations(state: &State) -> Vec<ViolationView> {
    let compliance = &state.compliance;
    let found = compliance.open_findings().map(|f| ViolationView {
        rule: f.rule.clone(),
        file: f.file.clone(),
        line: Some(f.line),
        message: f.message.clone(),
        noted_by: None,
        exception: None,
    });
    let noted = compliance.open_notes().map(|n| ViolationView {
        rule: "note".to_owned(),
        file: n.file.clone(),
        line: None,
        message: n.text.clone(),
        noted_by: Some(n.by.name.clone()),
        exception: None,
    });
    let passed = compliance.exceptions.iter().map(|e| ViolationView {
        rule: e.rule.clone(),
        file: e.file.clone(),
        line: (e.line > 0).then_some(e.line),
        message: e.message.clone(),
        noted_by: None,
        exception: Some(format!("{}: {}", e.by.name, e.why)),
    });
    found.chain(noted).chain(passed).collect()
}

impl ViolationView {
    /// One line for people.
    #[must_use]
    pub fn said(&self) -> String {
        let place = match (self.file.as_str(), self.line) {
            ("", _) => "the whole".to_owned(),
            (file, Some(line)) => format!("{file}:{line}"),
            (file, None) => file.to_owned(),
        };
        let who = match &self.noted_by {
            Some(by) => format!("noted by {by}"),
            None => self.rule.clone(),
        };
        let mut said = format!("{place}: {} ({who})", self.message);
        if let Some(exception) = &self.exception {
            said.push_str("; let pass by ");
            said.push_str(exception);
        }
        said
    }
}

/// Where a run as a whole stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Somebody works on a task.
    Running,
    /// A person is to review, or somebody is to carry on.
    Waiting,
    /// It goes no further before a person mends something or decides.
    Failed,
    /// All tasks are merged or left out, and the gate holds.
    Complete,
    /// A person ended it.
    Aborted,
}

impl RunState {
    /// As JSON has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Failed => "failed",
            Self::Complete => "complete",
            Self::Aborted => "aborted",
        }
    }

    /// An ended run is complete or aborted. Else a broken base or gate fails it; else work under
    /// way makes it running; else a review makes it waiting; else a task, branch or budget that
    /// needs a person fails it; else it waits for `continue`, or for an agent's limit to end.
    fn of(state: &State, waits: &[Wait]) -> Self {
        if let Some(end) = &state.end {
            return if end.aborted {
                Self::Aborted
            } else {
                Self::Complete
            };
        }
        let any = |what: fn(&Wait) -> bool| waits.iter().any(what);
        if any(|w| matches!(w, Wait::BaseBroken | Wait::Gate)) {
            Self::Failed
        } else if any(|w| matches!(w, Wait::Here { .. } | Wait::Elsewhere { .. })) {
            Self::Running
        } else if any(|w| matches!(w, Wait::Review { .. }))
            || waits.iter().all(|w| matches!(w, Wait::Limited { .. }))
        {
            Self::Waiting
        } else {
            Self::Failed
        }
    }
}

/// One task. In batch mode all tasks share one item: `attempts`, `branch`, `commit`, `build`,
/// `duration_s` and `cost_usd` are the item's, the same in each; the run's own totals count it once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TaskView {
    /// Its id.
    pub id: String,
    /// Its position in the plan, from 1.
    pub position: u32,
    /// Number of tasks in the plan.
    pub total: usize,
    /// Its title.
    pub title: String,
    /// Its file.
    pub file: String,
    /// Key of its item: its id, or `batch`.
    pub item: String,
    /// Where it stands.
    pub state: TaskState,
    /// Round of its life, from 1; more when it was opened again after it was merged.
    pub round: u32,
    /// Why it stands there, when it failed, is blocked, was left out, or waits for a reopened task.
    pub reasons: Vec<String>,
    /// Number of attempts that have ended.
    pub attempts: usize,
    /// Its branch, once an attempt passed.
    pub branch: Option<String>,
    /// The branch's head.
    pub commit: Option<String>,
    /// How it joined the run branch.
    pub merged: Option<MergedView>,
    /// Lines of its file as counted.
    pub lines: Option<u32>,
    /// What the build said of the latest attempt.
    pub build: Build,
    /// The agent's open question.
    pub question: Option<String>,
    /// Its pull request.
    pub pull_request: Option<PullRequest>,
    /// Seconds of all attempts together, with the one under way.
    pub duration_s: u64,
    /// US dollars of all attempts together; null when no agent reported any.
    pub cost_usd: Option<f64>,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// To be attempted, or to be attempted again.
    Pending,
    /// Somebody works on it.
    Running,
    /// A person decides.
    Review,
    /// Approved, not merged yet.
    Approved,
    /// In the run branch.
    Merged,
    /// It needs a person: its checks do not pass.
    Failed,
    /// It needs a person: the agent cannot go on, or asks.
    Blocked,
    /// Left out by a person.
    Skipped,
}

impl TaskState {
    /// As JSON has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Review => "review",
            Self::Approved => "approved",
            Self::Merged => "merged",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Skipped => "skipped",
        }
    }
}

impl From<&Phase> for TaskState {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Pending => Self::Pending,
            Phase::Running { .. } => Self::Running,
            Phase::Review => Self::Review,
            Phase::Approved { .. } => Self::Approved,
            Phase::Merged => Self::Merged,
            Phase::Failed { .. } => Self::Failed,
            Phase::Blocked { .. } => Self::Blocked,
            Phase::Skipped { .. } => Self::Skipped,
        }
    }
}

/// How a task joined the run branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergedView {
    /// The commit on the run branch.
    pub commit: String,
    /// When (RFC 3339).
    pub at: String,
    /// The reviewer, or the policy.
    pub because: String,
}

/// A pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: String,
}

/// One line of the final checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GateView {
    /// What is asked.
    pub item: String,
    /// Whether it holds.
    pub holds: bool,
    /// What was looked at and found.
    pub detail: String,
}

impl GateView {
    /// The view of an item.
    #[must_use]
    pub fn of(item: &GateItem) -> Self {
        Self {
            item: item.item.clone(),
            holds: item.holds,
            detail: item.detail.clone(),
        }
    }
}

/// The view of a run. `waits` are `decide`'s for the facts of now.
#[must_use]
pub fn view(state: &State, waits: &[Wait], now: Timestamp) -> StatusView {
    let total = state.total();
    let items = &state.items;
    let mut tasks: Vec<_> = items
        .iter()
        .flat_map(|item| item_view(state, item, total, now))
        .collect();
    tasks.sort_by_key(|t| t.position);
    let costs: Vec<f64> = items.iter().filter_map(facts::cost).collect();
    StatusView {
        schema: SCHEMA,
        run: state.run.clone(),
        plan: state.plan.clone(),
        title: state.title.clone(),
        state: RunState::of(state, waits),
        waiting_for: waits::sentences(state, waits),
        mode: state.mode,
        mode_reason: state.mode_reason.clone(),
        forge: state.forge,
        base: state.base.branch.clone(),
        base_commit: state.base.commit.clone(),
        run_branch: state.run_branch.name.clone(),
        run_head: state.run_branch.head.clone(),
        started: words::time(state.created),
        ended: state.end.as_ref().map(|e| words::time(e.at)),
        duration_s: items
            .iter()
            .fold(0, |sum, i| facts::seconds(i, now).saturating_add(sum)),
        cost_usd: (!costs.is_empty()).then(|| round(costs.iter().sum())),
        tasks,
        violations: violations(state),
        gate: state.gate.iter().map(GateView::of).collect(),
    }
}

/// A sum of dollars without the noise of binary fractions.
fn round(usd: f64) -> f64 {
    (usd * 1e6).round() / 1e6
}

/// The reopened tasks that an item waits for.
fn waits_for(state: &State, item: &Item) -> Vec<String> {
    let mut keys: Vec<&String> = item.waits_for.iter().chain(&item.depends_on).collect();
    keys.dedup();
    keys.into_iter()
        .filter_map(|key| state.item(key))
        .filter(|i| i.round > 1 && !i.is_settled())
        .map(|i| format!("waits for round {} of {}", i.round, i.key))
        .collect()
}

fn item_view<'s>(
    state: &'s State,
    item: &'s Item,
    total: usize,
    now: Timestamp,
) -> impl Iterator<Item = TaskView> + 's {
    let latest = item.latest_work();
    let files = latest.map(|a| facts::files(item, a)).unwrap_or_default();
    let (duration_s, cost_usd) = (facts::seconds(item, now), facts::cost(item).map(round));
    let reasons = match &item.phase {
        Phase::Failed { reasons } => reasons.clone(),
        Phase::Blocked { reason, .. } => vec![reason.clone()],
        Phase::Skipped { why, by } => vec![format!("left out by {}: {why}", by.name)],
        Phase::Pending | Phase::Approved { .. } => waits_for(state, item),
        _ => Vec::new(),
    };
    let question = match &item.phase {
        Phase::Blocked { question, .. } => question.as_ref().map(|q| clean::block(q)),
        _ => None,
    };
    item.tasks.iter().map(move |task| TaskView {
        id: task.id.clone(),
        position: task.position,
        total,
        title: task.title.clone(),
        file: task.file.clone(),
        item: item.key.clone(),
        round: item.round,
        state: TaskState::from(&item.phase),
        reasons: reasons.iter().map(|r| clean::line(r)).collect(),
        attempts: item
            .attempts
            .iter()
            .filter(|a| a.kind != crate::run::order::OrderKind::Forward)
            .count(),
        branch: item.branch.as_ref().map(|b| b.name.clone()),
        commit: item.branch.as_ref().map(|b| b.head.clone()),
        merged: item.merged.as_ref().map(|m| MergedView {
            commit: m.commit.clone(),
            at: words::time(m.at),
            because: m.because.clone(),
        }),
        lines: facts::lines(&files, task),
        build: latest.map_or(Build::None, Build::of),
        question: question.clone(),
        pull_request: item.pull.as_ref().map(|pull| PullRequest {
            number: pull.number,
            url: pull.url.clone(),
        }),
        duration_s,
        cost_usd,
    })
}
