//! `architecture.md` and the template together: the document says what the tasks are, the template
//! gives what they lack.

use std::collections::HashMap;

use super::Risk;
use super::diagnostic::{Diagnostic, Diagnostics, Severity, Sited};
use super::documents::Documents;
use super::draft::{Draft, TaskDraft};
use super::load::Found;
use super::markdown::architecture::{Architecture, Section, Subject};
use super::markdown::{ends_with_path, plain};
use super::names::glob;
use super::reader::Text;

/// A template that may apply.
pub(super) struct Template {
    pub(super) draft: Draft,
    /// The project's own template applies always; the built-in one only to files it knows.
    pub(super) own: bool,
}

/// What was made of the two.
pub(super) struct Combined {
    pub(super) draft: Draft,
    /// Whether the template had a part in it.
    pub(super) templated: bool,
}

/// Puts the two together and notes in `found` what came from where.
pub(super) fn combine(
    architecture: Architecture,
    template: Template,
    docs: &dyn Documents,
    found: &mut Vec<Found>,
    out: &mut Diagnostics,
) -> Combined {
    let Architecture {
        document,
        title,
        mut tasks,
        sections,
    } = architecture;
    let table = !tasks.is_empty();
    let files: Vec<&Text> = tasks
        .iter()
        .map(|task| &task.file)
        .chain(
            sections
                .iter()
                .filter_map(|section| match &section.subject {
                    Subject::File(file) => Some(file),
                    _ => None,
                }),
        )
        .collect();
    let knows = |file: &Text| {
        template
            .draft
            .tasks
            .iter()
            .any(|t| ends_with_path(&t.file.value, &file.value))
    };
    let applies =
        template.own || files.iter().any(|file| knows(file)) || (!table && files.is_empty());
    let mut draft = if applies {
        template.draft
    } else {
        Draft::empty(document.clone())
    };
    let templated = std::mem::take(&mut draft.tasks);
    if draft.title.is_none() {
        draft.title = title;
    }
    if table {
        for task in &tasks {
            found.push(Found::at(&task.at, format!("task {}", task.id.value)));
        }
        lacking(&mut tasks, &templated, &sections, out);
    } else {
        tasks = templated;
        undescribed(&tasks, &sections, &document.path, out);
        extra(&mut tasks, &sections, docs, out);
    }
    described_twice(&sections, out);
    for section in &sections {
        apply(section, &mut tasks, table, docs, found, out);
    }
    for task in &tasks {
        if task.purpose.is_none() {
            out.push(Diagnostic::warning(
                &task.at,
                format!("the task `{}` has no purpose", task.id.value),
            ));
        }
    }
    if draft.build.is_none() && !tasks.is_empty() {
        let place = tasks.first().map(|task| task.at.clone());
        out.extend(
            place
                .map(|at| {
                    Diagnostic::warning(&at, "no build command is known for these tasks").help(
                        "write a template with `build` in .pertask/templates/ and name it in \
                         .pertask/config.toml, or write a plan.toml",
                    )
                })
                .map(Diagnostics::from)
                .unwrap_or_default(),
        );
    }
    draft.tasks = tasks;
    Combined {
        draft,
        templated: applies,
    }
}

/// Fills in what the table's tasks lack from the template's task of the same file.
fn lacking(
    tasks: &mut [TaskDraft],
    known: &[TaskDraft],
    sections: &[Section],
    out: &mut Diagnostics,
) {
    let mut ids: HashMap<String, String> = HashMap::new();
    let mut pairs: Vec<Option<&TaskDraft>> = Vec::with_capacity(tasks.len());
    for task in tasks.iter_mut() {
        let bare = !task.file.value.contains('/');
        let same = known
            .iter()
            .find(|known| ends_with_path(&known.file.value, &task.file.value));
        if let Some(same) = same {
            ids.insert(same.id.value.clone(), task.id.value.clone());
            task.file.value.clone_from(&same.file.value);
        } else if bare {
            let full = sections.iter().find_map(|section| match &section.subject {
                Subject::File(file) if ends_with_path(&file.value, &task.file.value) => {
                    Some(&file.value)
                }
                _ => None,
            });
            match full.filter(|full| full.contains('/')) {
                Some(full) => task.file.value.clone_from(full),
                None => out.push(
                    Diagnostic::warning(
                        &task.file.at,
                        format!(
                            "`{}` is taken as a file in the repository's root",
                            task.file.value
                        ),
                    )
                    .help("write the path from the repository's root"),
                ),
            }
        }
        pairs.push(same);
    }
    for (task, known) in tasks.iter_mut().zip(pairs) {
        let Some(known) = known else { continue };
        let known = known.clone();
        task.title = task.title.take().or(known.title);
        task.purpose = task.purpose.take().or(known.purpose);
        task.requirements = known.requirements;
        task.example = known.example;
        task.success = known.success;
        task.estimated_lines = task.estimated_lines.take().or(known.estimated_lines);
        task.max_lines = known.max_lines;
        task.rules = task.rules.take().or(known.rules);
        task.checks = known.checks;
        task.allow = known.allow;
        task.requires = known.requires;
        task.risk = task.risk.or(known.risk);
        task.complex_data = known.complex_data;
        task.agent = known.agent;
        if task.depends_on.is_none() {
            let here = |text: &Text| {
                ids.get(&text.value).map(|id| Sited {
                    value: id.clone(),
                    at: text.at.clone(),
                })
            };
            task.depends_on = known
                .depends_on
                .map(|list| list.iter().filter_map(here).collect());
        }
    }
}

/// Tasks for files that have a section and are in no template.
fn extra(
    tasks: &mut Vec<TaskDraft>,
    sections: &[Section],
    docs: &dyn Documents,
    out: &mut Diagnostics,
) {
    let templated = !tasks.is_empty();
    for section in sections {
        let Subject::File(file) = &section.subject else {
            continue;
        };
        if section.of_tests()
            || tasks
                .iter()
                .any(|task| ends_with_path(&task.file.value, &file.value))
            || touched(tasks, &file.value)
        {
            continue;
        }
        if !file.value.contains('/') {
            out.push(
                Diagnostic::warning(
                    &file.at,
                    format!("`{}` has no folder; it becomes no task", file.value),
                )
                .help("write the path from the repository's root"),
            );
            continue;
        }
        if docs.exists(&file.value).unwrap_or(false) {
            out.push(
                Diagnostic::warning(
                    &file.at,
                    format!("`{}` is there already; it becomes no task", file.value),
                )
                .help("to have it changed, name it in a task table"),
            );
            continue;
        }
        let id = fresh_id(&file.value, tasks);
        if templated {
            out.push(
                Diagnostic::warning(
                    &file.at,
                    format!(
                        "the template has no task for `{}`; it becomes the task `{id}`",
                        file.value
                    ),
                )
                .help("what it depends on is taken from \"Depends on:\" in its section"),
            );
        }
        let id = Sited {
            value: id,
            at: file.at.clone(),
        };
        tasks.push(TaskDraft::new(id, file.clone(), section.at.clone()));
    }
}

/// An id made of a file's name, and of its whole path when the name is taken.
fn fresh_id(path: &str, tasks: &[TaskDraft]) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let slug = |text: &str| plain(text).replace(' ', "-");
    let short: String = slug(stem.rsplit('/').next().unwrap_or(stem));
    let ascii = |id: &str| super::valid_name(id);
    if ascii(&short) && tasks.iter().all(|task| task.id.value != short) {
        short
    } else {
        slug(stem)
    }
}

fn touched(tasks: &[TaskDraft], path: &str) -> bool {
    tasks
        .iter()
        .flat_map(|task| task.allow.iter().chain(&task.requires))
        .flatten()
        .any(|pattern| {
            glob(&pattern.value).is_ok_and(|glob| glob.is_match(path))
                || ends_with_path(&pattern.value, path)
        })
}

/// Says where a file or a task has a second section: of what both say once, the later counts.
fn described_twice(sections: &[Section], out: &mut Diagnostics) {
    let mut first: HashMap<(bool, &str), usize> = HashMap::new();
    for section in sections {
        let (is_file, name) = match &section.subject {
            Subject::File(file) => (true, file),
            Subject::Task(id) => (false, id),
            Subject::Whole => continue,
        };
        let (line, _) = section.at.position();
        let before = *first.entry((is_file, &name.value)).or_insert(line);
        if before != line {
            out.push(
                Diagnostic::warning(&name.at, format!("`{}` has a second section", name.value))
                    .help(format!("line {before} has the first; put them together")),
            );
        }
    }
}

/// Says which of the template's tasks the document is silent about, when it describes others.
fn undescribed(tasks: &[TaskDraft], sections: &[Section], path: &str, out: &mut Diagnostics) {
    let described = |task: &&TaskDraft| {
        sections.iter().any(|section| match &section.subject {
            Subject::File(file) => ends_with_path(&task.file.value, &file.value),
            _ => false,
        })
    };
    if !tasks.iter().any(|task| described(&task)) {
        return;
    }
    for task in tasks.iter().filter(|task| !described(task)) {
        let (id, file) = (&task.id.value, &task.file.value);
        let message =
            format!("no section describes `{file}`; the task `{id}` is the template's alone");
        out.push(Diagnostic::whole(Severity::Warning, path, message));
    }
}

/// Gives a section's content to its task.
fn apply(
    section: &Section,
    tasks: &mut [TaskDraft],
    table: bool,
    docs: &dyn Documents,
    found: &mut Vec<Found>,
    out: &mut Diagnostics,
) {
    let depends = dependencies(section, tasks, out);
    let task = match &section.subject {
        Subject::Task(id) => tasks.iter_mut().find(|task| task.id.value == id.value),
        Subject::File(file) => {
            let index = tasks
                .iter()
                .position(|task| ends_with_path(&task.file.value, &file.value));
            if index.is_none() && table && !section.of_tests() && !touched(tasks, &file.value) {
                let there = docs.exists(&file.value).unwrap_or(false);
                if !there {
                    out.push(Diagnostic::warning(
                        &file.at,
                        format!("no task of the table has the file `{}`", file.value),
                    ));
                }
            }
            index.map(|index| &mut tasks[index])
        }
        Subject::Whole => {
            let end = if section.api_methods.is_empty() {
                "_transform"
            } else {
                "_client"
            };
            let stem = |task: &TaskDraft| {
                task.file
                    .value
                    .rsplit_once('.')
                    .is_some_and(|(stem, _)| stem.ends_with(end))
            };
            let index = tasks.iter().position(stem);
            if index.is_none() && !(section.api_methods.is_empty() && section.mapping.is_empty()) {
                out.push(
                    Diagnostic::warning(&section.at, "this belongs to no file; it is not used")
                        .help("put it into the section of the file it concerns"),
                );
            }
            index.map(|index| &mut tasks[index])
        }
    };
    let Some(task) = task else { return };
    found.extend(section.found(&task.id.value));
    let section = section.clone();
    // A heading without text of its own leaves the template's words in place.
    task.purpose = section.purpose.or(task.purpose.take());
    task.estimated_lines = section.estimated_lines.or(task.estimated_lines.take());
    task.risk = higher(task.risk, section.risk.map(|risk| risk.value));
    add(&mut task.requirements, section.requirements);
    add(&mut task.success, section.success);
    task.api_methods.extend(section.api_methods);
    task.mapping.extend(section.mapping);
    if !depends.is_empty() && task.depends_on.is_none() {
        task.depends_on = Some(depends);
    }
}

/// Adds to a list what it does not have yet.
fn add(list: &mut Option<Vec<Text>>, more: Vec<Text>) {
    if more.is_empty() {
        return;
    }
    let list = list.get_or_insert_default();
    for text in more {
        if !list
            .iter()
            .any(|other| plain(&other.value) == plain(&text.value))
        {
            list.push(text);
        }
    }
}

/// A document cannot talk a template's high risk down, only up.
fn higher(before: Option<Risk>, now: Option<Risk>) -> Option<Risk> {
    match (before, now) {
        (Some(Risk::High), _) | (_, Some(Risk::High)) => Some(Risk::High),
        (before, now) => now.or(before),
    }
}

/// The ids of the tasks that a section says it depends on, by id or by file.
fn dependencies(section: &Section, tasks: &[TaskDraft], out: &mut Diagnostics) -> Vec<Text> {
    let mut ids = Vec::new();
    for name in &section.depends_on {
        let task = tasks.iter().find(|task| {
            task.id.value == name.value.to_lowercase()
                || ends_with_path(&task.file.value, &name.value)
        });
        match task {
            Some(task) => ids.push(Sited {
                value: task.id.value.clone(),
                at: name.at.clone(),
            }),
            None => out.push(Diagnostic::warning(
                &name.at,
                format!(
                    "`{}` is no task and no task's file; it is not used",
                    name.value
                ),
            )),
        }
    }
    ids
}
