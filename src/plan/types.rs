//! The plan as data, parameters filled in and everything validated.

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
    /// Files that must exist at the end, from `file-placement.md`.
    #[serde(default)]
    pub placement: Vec<PlacedFile>,
}

/// One unit of work: a branch, a review, usually one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
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
    /// API methods that `architecture.md` names for the file.
    #[serde(default)]
    pub api_methods: Vec<String>,
    /// Lines of the Tabularium mapping in `architecture.md` that concern the file.
    #[serde(default)]
    pub mapping: Vec<String>,
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
    /// Items of the plan's own, beside the built-in ones.
    #[serde(default)]
    pub items: Vec<GateItem>,
}

/// An item that the plan adds to the final checklist, `[[gate]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateItem {
    /// What must hold, in words.
    pub item: String,
    /// Argument list; the item holds when it succeeds.
    pub command: Vec<String>,
}

/// A file that must exist at the end, as `file-placement.md` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedFile {
    /// Path from the repository's root.
    pub path: String,
    /// The document's line that lists it, from 1.
    pub line: usize,
    /// Whether the document says that it may be left out.
    #[serde(default)]
    pub optional: bool,
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

/// Reserved id: the validation of the P0 rules after the last task.
pub const VALIDATION: &str = "p0";

impl Plan {
    /// What the task with this id is for; the plan's title for batch mode.
    #[must_use]
    pub fn purpose_of(&self, key: &str) -> String {
        if key == VALIDATION {
            return "Puts right what the P0 rules and the reviewers found in finished tasks."
                .to_owned();
        }
        let task = self.tasks.iter().find(|t| t.id == key);
        task.map_or_else(|| self.title.clone(), |t| t.purpose.clone())
    }

    /// The success criteria of some tasks, each with its task's id when there are several.
    #[must_use]
    pub fn success_of<'i>(&self, ids: impl Iterator<Item = &'i str>) -> Vec<String> {
        let ids: Vec<&str> = ids.collect();
        let tasks = self.tasks.iter().filter(|t| ids.contains(&t.id.as_str()));
        tasks
            .flat_map(|task| {
                task.success.iter().map(|criterion| match ids.len() {
                    1 => criterion.clone(),
                    _ => format!("{}: {criterion}", task.id),
                })
            })
            .collect()
    }

    /// Whether the tasks are those of the `integration` template, built in or a project's own: there
    /// a dependency means that the code is used.
    #[must_use]
    pub fn is_integration(&self) -> bool {
        let file = self.source.path.split(' ').next().unwrap_or_default();
        self.source.kind == SourceKind::Template && file.ends_with("templates/integration.toml")
    }
}
