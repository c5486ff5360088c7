//! A plan as it was written, every value with its place, before it is checked and completed.

use std::sync::Arc;

use super::Risk;
use super::diagnostic::{At, Diagnostic, Diagnostics, Document, Sited};
use super::params::Params;
use super::reader::{self, Command, Key, Kind, Table, Text};

/// What `plan.toml` and templates hold.
pub static PLAN: &[Key] = &[
    Key {
        name: "title",
        kind: Kind::Text,
        about: "One line for people.",
    },
    Key {
        name: "base",
        kind: Kind::Text,
        about: "Branch the final pull request goes to; the default branch when absent.",
    },
    Key {
        name: "inputs",
        kind: Kind::Texts,
        about: "Documents every prompt names, from the plan's folder or the repository's root.",
    },
    Key {
        name: "skills",
        kind: Kind::Texts,
        about: "Skills every agent is told to use.",
    },
    Key {
        name: "directory",
        kind: Kind::Text,
        about: "Folder where build and checks run; the root when absent.",
    },
    Key {
        name: "build",
        kind: Kind::Commands,
        about: "Build commands, each an argument list.",
    },
    Key {
        name: "check_timeout",
        kind: Kind::Duration,
        about: "Time limit of one check command; 10m when absent.",
    },
    Key {
        name: "sparse",
        kind: Kind::Texts,
        about: "Cone directories of the workspace.",
    },
    Key {
        name: "time_constrained",
        kind: Kind::Flag,
        about: "There is little time: a reason for batch mode.",
    },
    Key {
        name: "new_patterns",
        kind: Kind::Flag,
        about: "The team learns new patterns: a reason for per-task mode.",
    },
    Key {
        name: "task",
        kind: Kind::Tables(TASK),
        about: "The tasks.",
    },
    Key {
        name: "gate",
        kind: Kind::TableOrTables(GATE, GATE_ITEM),
        about: "The final checklist: the final build, and items of the plan's own.",
    },
];

static TASK: &[Key] = &[
    Key {
        name: "id",
        kind: Kind::Required,
        about: "Identity: [a-z0-9][a-z0-9-]*, not `batch`.",
    },
    Key {
        name: "title",
        kind: Kind::Text,
        about: "One line for people.",
    },
    Key {
        name: "file",
        kind: Kind::Required,
        about: "The file, from the repository's root.",
    },
    Key {
        name: "purpose",
        kind: Kind::Text,
        about: "What the file is for.",
    },
    Key {
        name: "requirements",
        kind: Kind::Texts,
        about: "What it must contain or do.",
    },
    Key {
        name: "example",
        kind: Kind::Text,
        about: "The wanted shape, as Markdown.",
    },
    Key {
        name: "success",
        kind: Kind::Texts,
        about: "Success criteria in prose, shown unticked to the reviewer.",
    },
    Key {
        name: "estimated_lines",
        kind: Kind::Count,
        about: "The plan's estimate.",
    },
    Key {
        name: "max_lines",
        kind: Kind::Count,
        about: "Largest number of lines, inclusive.",
    },
    Key {
        name: "depends_on",
        kind: Kind::Texts,
        about: "Ids of tasks merged before it starts.",
    },
    Key {
        name: "rules",
        kind: Kind::Texts,
        about: "Ids of P0 rules, shown and checked.",
    },
    Key {
        name: "checks",
        kind: Kind::Commands,
        about: "Check commands beyond the build.",
    },
    Key {
        name: "allow",
        kind: Kind::Texts,
        about: "Globs of what else it may touch; the file's test when absent.",
    },
    Key {
        name: "requires",
        kind: Kind::Texts,
        about: "Globs of what it must also touch.",
    },
    Key {
        name: "risk",
        kind: Kind::Choice(&["low", "high"]),
        about: "How bad a mistake is.",
    },
    Key {
        name: "complex_data",
        kind: Kind::Flag,
        about: "Complex data transformations.",
    },
    Key {
        name: "agent",
        kind: Kind::Text,
        about: "Agent for this task.",
    },
];

static GATE: &[Key] = &[Key {
    name: "build",
    kind: Kind::Commands,
    about: "The final build; `build` when absent.",
}];

static GATE_ITEM: &[Key] = &[
    Key {
        name: "item",
        kind: Kind::Text,
        about: "What must hold, in words.",
    },
    Key {
        name: "command",
        kind: Kind::Command,
        about: "Succeeds when it holds.",
    },
    Key {
        name: "build",
        kind: Kind::Commands,
        about: "The final build; `build` when absent.",
    },
];

/// A plan as written.
#[derive(Debug)]
pub struct Draft {
    /// The document it was read from.
    pub document: Arc<Document>,
    /// See [`super::Plan`] for this and all that follow.
    pub title: Option<Text>,
    /// Target branch.
    pub base: Option<Text>,
    /// Input documents.
    pub inputs: Option<Vec<Text>>,
    /// Skills.
    pub skills: Option<Vec<Text>>,
    /// Folder of the checks.
    pub directory: Option<Text>,
    /// Build commands.
    pub build: Option<Vec<Command>>,
    /// Time limit of a check.
    pub check_timeout: Option<u64>,
    /// Cone.
    pub sparse: Option<Vec<Text>>,
    /// Little time.
    pub time_constrained: Option<bool>,
    /// New patterns.
    pub new_patterns: Option<bool>,
    /// Final build.
    pub gate_build: Option<Vec<Command>>,
    /// Gate items of the plan's own.
    pub gate_items: Vec<(Text, Command)>,
    /// Tasks in the order they were written.
    pub tasks: Vec<TaskDraft>,
}

/// A task as written.
#[derive(Debug, Clone)]
pub struct TaskDraft {
    /// The task's own place: its header, table row or heading.
    pub at: At,
    /// See [`super::Task`] for this and all that follow.
    pub id: Text,
    /// The file.
    pub file: Text,
    /// Title.
    pub title: Option<Text>,
    /// Purpose.
    pub purpose: Option<Text>,
    /// Requirements.
    pub requirements: Option<Vec<Text>>,
    /// Example.
    pub example: Option<Text>,
    /// Success criteria.
    pub success: Option<Vec<Text>>,
    /// Estimate.
    pub estimated_lines: Option<Sited<u32>>,
    /// Limit.
    pub max_lines: Option<Sited<u32>>,
    /// Dependencies.
    pub depends_on: Option<Vec<Text>>,
    /// Rules.
    pub rules: Option<Vec<Text>>,
    /// Checks.
    pub checks: Option<Vec<Command>>,
    /// What else may be touched.
    pub allow: Option<Vec<Text>>,
    /// What else must be touched.
    pub requires: Option<Vec<Text>>,
    /// Risk.
    pub risk: Option<Risk>,
    /// Complex data.
    pub complex_data: Option<bool>,
    /// Agent.
    pub agent: Option<Text>,
    /// API methods named by `architecture.md`.
    pub api_methods: Vec<Text>,
    /// Lines of the Tabularium mapping in `architecture.md`.
    pub mapping: Vec<Text>,
}

impl TaskDraft {
    /// A task of which only identity, file and place are known.
    #[must_use]
    pub fn new(id: Text, file: Text, at: At) -> Self {
        Self {
            at,
            id,
            file,
            title: None,
            purpose: None,
            requirements: None,
            example: None,
            success: None,
            estimated_lines: None,
            max_lines: None,
            depends_on: None,
            rules: None,
            checks: None,
            allow: None,
            requires: None,
            risk: None,
            complex_data: None,
            agent: None,
            api_methods: Vec::new(),
            mapping: Vec::new(),
        }
    }
}

impl Draft {
    /// A plan of which nothing is known.
    #[must_use]
    pub fn empty(document: Arc<Document>) -> Self {
        Self {
            document,
            title: None,
            base: None,
            inputs: None,
            skills: None,
            directory: None,
            build: None,
            check_timeout: None,
            sparse: None,
            time_constrained: None,
            new_patterns: None,
            gate_build: None,
            gate_items: Vec::new(),
            tasks: Vec::new(),
        }
    }

    /// Reads `plan.toml` or a template, parameters filled in. `None` when it is not TOML.
    pub fn read(
        document: &Arc<Document>,
        params: &mut Params,
        out: &mut Diagnostics,
    ) -> Option<Self> {
        let mut table = reader::read(document, PLAN, Some(params), out)?;
        let mut draft = Self {
            document: Arc::clone(document),
            title: table.text("title"),
            base: table.text("base"),
            inputs: values(table.texts("inputs")),
            skills: values(table.texts("skills")),
            directory: table.text("directory"),
            build: values(table.commands("build")),
            check_timeout: value(table.seconds("check_timeout")),
            sparse: values(table.texts("sparse")),
            time_constrained: value(table.flag("time_constrained")),
            new_patterns: value(table.flag("new_patterns")),
            gate_build: None,
            gate_items: Vec::new(),
            tasks: Vec::new(),
        };
        if let Some(mut gate) = table.table("gate") {
            draft.gate_build = values(gate.commands("build"));
        }
        for mut item in value(table.tables("gate")).unwrap_or_default() {
            if let Some(build) = item.commands("build") {
                if draft.gate_build.is_some() {
                    out.error(&build.at, "the final build is given twice");
                }
                draft.gate_build = Some(build.value);
            } else if let (Some(name), Some(command)) = (item.text("item"), item.command("command"))
            {
                draft.gate_items.push((name, command));
            } else {
                out.push(
                    Diagnostic::error(&item.at, "a gate item needs `item` and `command`")
                        .help("say in `item` what must hold; it holds when `command` succeeds"),
                );
            }
        }
        let tasks = value(table.tables("task")).unwrap_or_default();
        draft.tasks = tasks.into_iter().filter_map(task).collect();
        Some(draft)
    }
}

fn value<T>(sited: Option<Sited<T>>) -> Option<T> {
    sited.map(|sited| sited.value)
}

fn values<T>(sited: Option<Sited<Vec<T>>>) -> Option<Vec<T>> {
    value(sited)
}

fn task(mut table: Table) -> Option<TaskDraft> {
    let at = table.at.clone();
    Some(TaskDraft {
        title: table.text("title"),
        purpose: table.text("purpose"),
        requirements: values(table.texts("requirements")),
        example: table.text("example"),
        success: values(table.texts("success")),
        estimated_lines: table.count("estimated_lines"),
        max_lines: table.count("max_lines"),
        depends_on: values(table.texts("depends_on")),
        rules: values(table.texts("rules")),
        checks: values(table.commands("checks")),
        allow: values(table.texts("allow")),
        requires: values(table.texts("requires")),
        risk: table.text("risk").map(|risk| match risk.value.as_str() {
            "high" => Risk::High,
            _ => Risk::Low,
        }),
        complex_data: value(table.flag("complex_data")),
        agent: table.text("agent"),
        ..TaskDraft::new(table.text("id")?, table.text("file")?, at)
    })
}
