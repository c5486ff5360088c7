//! Checks a draft as a whole and makes the plan of it.

use crate::plan::VALIDATION;
use std::collections::{BTreeMap, HashMap};

use super::config::{Config, unknown_agent, unpriced};
use super::diagnostic::{At, Diagnostic, Diagnostics, suggest};
use super::draft::{Draft, TaskDraft};
use super::names::{
    NAME_SHAPE, glob, inside_problem, path_problem, protected, test_globs, valid_name,
};
use super::order;
use super::reader::{Command, Text};
use super::{Gate, GateItem, Plan, Source, Task};

/// Time limit of a check when the plan sets none.
const CHECK_TIMEOUT_S: u64 = 10 * 60;

/// What the checks need to know beside the draft.
pub(super) struct Context<'a> {
    pub(super) name: &'a str,
    pub(super) config: &'a Config,
    pub(super) rules: &'a [&'a str],
    pub(super) source: Source,
    pub(super) inputs: Vec<String>,
}

/// The plan, when nothing in `out` is an error; parameters and placement are the caller's to add.
pub(super) fn plan(draft: Draft, context: Context<'_>, out: &mut Diagnostics) -> Option<Plan> {
    let whole = At {
        document: draft.document.clone(),
        span: 0..0,
    };
    if draft.tasks.is_empty() && !out.has_errors() {
        out.push(
            Diagnostic::error(&whole, "the plan has no tasks")
                .help("a task is written as [[task]] with at least `id` and `file`"),
        );
    }
    if let Some(directory) = draft
        .directory
        .as_ref()
        .filter(|dir| !matches!(&*dir.value, "" | "."))
    {
        folder(directory, "directory", out);
    }
    for folder_text in draft.sparse.iter().flatten() {
        folder(folder_text, "sparse", out);
    }
    if let Some(base) = draft
        .base
        .as_ref()
        .filter(|base| !plausible_branch(&base.value))
    {
        out.error(&base.at, format!("`{}` cannot be a branch", base.value));
    }
    for task in &draft.tasks {
        one(task, &context, out);
    }
    unique(&draft.tasks, out);
    let depends = dependencies(&draft.tasks, out);
    let order = match order::sort(&depends) {
        Ok(order) => order,
        Err(circles) => {
            for circle in circles {
                report_circle(&circle, &draft.tasks, out);
            }
            return None;
        }
    };
    outside_cone(&draft, out);
    if out.has_errors() {
        return None;
    }
    let build = commands(draft.build);
    let mut tasks: Vec<Option<Task>> = draft.tasks.into_iter().map(|t| Some(finish(t))).collect();
    Some(Plan {
        name: context.name.to_owned(),
        title: draft
            .title
            .map_or_else(|| context.name.to_owned(), |title| title.value),
        base: draft.base.map(|base| base.value),
        inputs: context.inputs,
        skills: texts(draft.skills),
        directory: draft
            .directory
            .map(|dir| dir.value.trim_end_matches('/').to_owned())
            .filter(|dir| dir != ".")
            .unwrap_or_default(),
        gate: Gate {
            build: draft
                .gate_build
                .map_or_else(|| build.clone(), |given| commands(Some(given))),
            items: draft
                .gate_items
                .into_iter()
                .map(|(item, command)| GateItem {
                    item: item.value,
                    command: command.value,
                })
                .collect(),
        },
        build,
        check_timeout_s: draft.check_timeout.unwrap_or(CHECK_TIMEOUT_S),
        sparse: texts(draft.sparse)
            .into_iter()
            .map(|folder| folder.trim_end_matches('/').to_owned())
            .collect(),
        time_constrained: draft.time_constrained.unwrap_or_default(),
        new_patterns: draft.new_patterns.unwrap_or_default(),
        tasks: order
            .into_iter()
            .filter_map(|index| tasks[index].take())
            .collect(),
        parameters: BTreeMap::new(),
        source: context.source,
        placement: Vec::new(),
    })
}

fn one(task: &TaskDraft, context: &Context<'_>, out: &mut Diagnostics) {
    let id = &task.id;
    if id.value == "batch" {
        out.push(
            Diagnostic::error(&id.at, "a task cannot be called `batch`")
                .help("that name stands for all tasks together in batch mode"),
        );
    } else if id.value == VALIDATION {
        out.push(
            Diagnostic::error(&id.at, "a task cannot be called `p0`")
                .help("that name stands for the P0 validation after the last task"),
        );
    } else if id.value == "repair" {
        out.push(
            Diagnostic::error(&id.at, "a task cannot be called `repair`")
                .help("that name stands for what a review of the final pull request asks for"),
        );
    } else if !valid_name(&id.value) {
        out.push(
            Diagnostic::error(&id.at, format!("`{}` cannot be the id of a task", id.value))
                .help(format!("use {NAME_SHAPE}")),
        );
    }
    if let Some(problem) = path_problem(&task.file.value) {
        out.error(
            &task.file.at,
            format!("the path `{}` {problem}", task.file.value),
        );
    }
    if let Some(agent) = task
        .agent
        .as_ref()
        .filter(|a| !context.config.agents.contains_key(&a.value))
    {
        out.push(unknown_agent(agent, &context.config.agents));
    }
    if let Some(name) = &task.agent
        && let Some(agent) = context.config.agents.get(&name.value)
        && !agent.tells_cost()
        && let Some(limit) = context.config.limits.of_money().first()
    {
        out.push(unpriced(&name.at, limit, &name.value, agent));
    }
    for rule in task.rules.iter().flatten() {
        if !context.rules.contains(&rule.value.as_str()) {
            let help = match suggest(&rule.value, context.rules.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", context.rules.join(", ")),
            };
            out.push(
                Diagnostic::error(&rule.at, format!("unknown rule `{}`", rule.value)).help(help),
            );
        }
    }
    for pattern in task.allow.iter().chain(&task.requires).flatten() {
        let problem = match glob(&pattern.value) {
            Err(error) => Some(format!("is not a pattern: {}", error.kind())),
            Ok(_) => inside_problem(&pattern.value).or_else(|| {
                protected(&pattern.value).map(|path| format!("names the protected path `{path}`"))
            }),
        };
        if let Some(problem) = problem {
            out.error(&pattern.at, format!("`{}` {problem}", pattern.value));
        }
    }
    if let (Some(estimate), Some(most)) = (&task.estimated_lines, &task.max_lines)
        && estimate.value > most.value
    {
        out.push(Diagnostic::warning(
            &estimate.at,
            format!(
                "the estimate of {} lines is above the limit of {}",
                estimate.value, most.value
            ),
        ));
    }
}

/// Ids and files that more than one task claims.
fn unique(tasks: &[TaskDraft], out: &mut Diagnostics) {
    let mut ids: HashMap<&str, &TaskDraft> = HashMap::new();
    let mut files: BTreeMap<&str, &TaskDraft> = BTreeMap::new();
    for task in tasks {
        if let Some(first) = ids.get(task.id.value.as_str()) {
            let (line, _) = first.id.at.position();
            out.push(
                Diagnostic::error(&task.id.at, format!("the id `{}` is taken", task.id.value))
                    .help(format!("{}:{line} has it first", first.id.at.document.path)),
            );
        } else {
            ids.insert(&task.id.value, task);
        }
        if let Some(first) = files.get(task.file.value.as_str()) {
            let (line, _) = first.file.at.position();
            out.push(
                Diagnostic::error(
                    &task.file.at,
                    format!("two tasks claim the file `{}`", task.file.value),
                )
                .help(format!(
                    "`{}` claims it in {}:{line}; a file belongs to one task",
                    first.id.value, first.file.at.document.path
                )),
            );
        } else {
            files.insert(&task.file.value, task);
        }
    }
    files.remove("");
    for (path, task) in &files {
        let mut parent = *path;
        while let Some((folder, _)) = parent.rsplit_once('/') {
            if let Some(other) = files.get(folder) {
                out.error(
                    &task.file.at,
                    format!(
                        "`{folder}` is a file of `{}` and cannot be a folder too",
                        other.id.value
                    ),
                );
            }
            parent = folder;
        }
    }
}

/// Per task the indices of those it depends on, unknown ones reported and left out.
fn dependencies(tasks: &[TaskDraft], out: &mut Diagnostics) -> Vec<Vec<usize>> {
    let mut by_id: HashMap<&str, usize> = HashMap::new();
    for (index, task) in tasks.iter().enumerate() {
        by_id.entry(&task.id.value).or_insert(index);
    }
    let mut all = Vec::with_capacity(tasks.len());
    for task in tasks {
        let mut needed = Vec::new();
        for name in task.depends_on.iter().flatten() {
            if let Some(index) = by_id.get(name.value.as_str()) {
                if !needed.contains(index) {
                    needed.push(*index);
                }
            } else {
                let error = Diagnostic::error(
                    &name.at,
                    format!(
                        "`{}` depends on `{}`, which is no task",
                        task.id.value, name.value
                    ),
                );
                out.push(match suggest(&name.value, by_id.keys().copied()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error,
                });
            }
        }
        all.push(needed);
    }
    all
}

fn report_circle(circle: &[usize], tasks: &[TaskDraft], out: &mut Diagnostics) {
    const SHOWN: usize = 10;
    let id = |index: &usize| tasks[*index].id.value.as_str();
    let mut names: Vec<&str> = circle.iter().take(SHOWN).map(id).collect();
    if circle.len() > SHOWN {
        names.push("…");
    }
    names.extend(circle.first().map(id));
    let Some(first) = circle.first().map(|index| &tasks[*index]) else {
        return;
    };
    let next = names[1];
    let at = first
        .depends_on
        .iter()
        .flatten()
        .find(|name| name.value == next);
    out.push(
        Diagnostic::error(
            at.map_or(&first.at, |name| &name.at),
            format!(
                "tasks depend on each other in a circle: {}",
                names.join(" → ")
            ),
        )
        .help("an arrow reads \"depends on\"; take one of them out"),
    );
}

fn folder(text: &Text, what: &str, out: &mut Diagnostics) {
    if let Some(problem) = inside_problem(&text.value) {
        out.error(
            &text.at,
            format!("`{what}`: the path `{}` {problem}", text.value),
        );
    }
}

/// Warns of files that a sparse checkout would not hold. A cone holds the listed folders, and the
/// files directly in each folder above them.
fn outside_cone(draft: &Draft, out: &mut Diagnostics) {
    let Some(cone) = draft.sparse.as_ref().filter(|cone| !cone.is_empty()) else {
        return;
    };
    let parents = |path: &str| {
        path.rsplit_once('/')
            .map_or(String::new(), |(up, _)| up.to_owned())
    };
    for task in &draft.tasks {
        let folder = parents(&task.file.value);
        let inside = folder.is_empty()
            || cone.iter().any(|dir| {
                let dir = dir.value.trim_end_matches('/');
                let below = |path: &str, dir: &str| {
                    path == dir
                        || path
                            .strip_prefix(dir)
                            .is_some_and(|rest| rest.starts_with('/'))
                };
                below(&folder, dir) || below(dir, &folder)
            });
        if !inside {
            out.push(Diagnostic::warning(
                &task.file.at,
                format!("`{}` lies outside the folders of `sparse`", task.file.value),
            ));
        }
    }
}

fn plausible_branch(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['-', '/'])
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains(|c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c))
}

fn finish(task: TaskDraft) -> Task {
    let requires = texts(task.requires);
    let mut allow = task
        .allow
        .map_or_else(|| test_globs(&task.file.value), |given| texts(Some(given)));
    // What must be touched may be touched.
    for glob in &requires {
        if !allow.contains(glob) {
            allow.push(glob.clone());
        }
    }
    let mut depends_on = texts(task.depends_on);
    let mut seen = std::collections::HashSet::new();
    depends_on.retain(|id| seen.insert(id.clone()));
    Task {
        title: task
            .title
            .map_or_else(|| task.id.value.clone(), |title| title.value),
        id: task.id.value,
        file: task.file.value,
        purpose: task
            .purpose
            .map(|purpose| purpose.value)
            .unwrap_or_default(),
        requirements: texts(task.requirements),
        example: task.example.map(|example| example.value),
        success: texts(task.success),
        estimated_lines: task.estimated_lines.map(|lines| lines.value),
        max_lines: task.max_lines.map(|lines| lines.value),
        depends_on,
        rules: texts(task.rules),
        checks: commands(task.checks),
        allow,
        requires,
        risk: task.risk.unwrap_or_default(),
        complex_data: task.complex_data.unwrap_or_default(),
        agent: task.agent.map(|agent| agent.value),
        api_methods: texts(Some(task.api_methods)),
        mapping: texts(Some(task.mapping)),
    }
}

fn texts(list: Option<Vec<Text>>) -> Vec<String> {
    list.unwrap_or_default()
        .into_iter()
        .map(|text| text.value)
        .collect()
}

fn commands(list: Option<Vec<Command>>) -> Vec<Vec<String>> {
    list.unwrap_or_default()
        .into_iter()
        .map(|command| command.value)
        .collect()
}
