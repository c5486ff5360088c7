//! The prompt an agent gets: templates, each of which a project may replace.
//!
//! What comes from outside (check output, reviews, documents) is quoted as data inside a fence it
//! cannot close, without invisible characters, and within stated sizes. Values are never read as
//! templates. A mistake in a replaced template is a diagnostic with its line.

mod context;
mod quote;
#[cfg(test)]
mod tests;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};

use crate::plan::Documents;
use crate::plan::diagnostic::{At, Diagnostic, Diagnostics, Document, Severity, suggest};

pub use context::{
    Excerpt, FailedCheck, Feedback, Input, PriorTask, PromptContext, Related, RuleText,
    TaskContext, Violation,
};
pub use quote::{OUTPUT_MOST, quoted, share, shorten, threads_in};

/// Which prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A task's first attempt.
    Task,
    /// All tasks at once.
    Batch,
    /// An attempt after one that failed.
    Retry,
    /// An attempt after a review that asks for changes, or after an answered question.
    Revision,
    /// An attempt that resolves a merge conflict.
    Conflict,
    /// The first attempt of a further round of a merged task.
    Reopen,
    /// The P0 validation: every violation put right together.
    P0,
    /// What a review of the final pull request asks for, put right on all tasks' files.
    Repair,
}

impl Kind {
    /// Name of the template: `.pertask/prompts/<name>.md` replaces it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Batch => "batch",
            Self::Retry => "retry",
            Self::Revision => "revision",
            Self::Conflict => "conflict",
            Self::Reopen => "reopen",
            Self::P0 => "p0",
            Self::Repair => "repair",
        }
    }
}

/// Folder of a project's own templates, from the repository's root.
pub const FOLDER: &str = ".pertask/prompts";

/// The shipped templates. Those with an underscore are parts that all prompts share: each is
/// rendered by itself and reaches the others as `part.<name>`.
const TEMPLATES: &[(&str, &str)] = &[
    ("task", include_str!("../../templates/prompts/task.md")),
    ("batch", include_str!("../../templates/prompts/batch.md")),
    ("retry", include_str!("../../templates/prompts/retry.md")),
    (
        "revision",
        include_str!("../../templates/prompts/revision.md"),
    ),
    (
        "conflict",
        include_str!("../../templates/prompts/conflict.md"),
    ),
    ("p0", include_str!("../../templates/prompts/p0.md")),
    ("repair", include_str!("../../templates/prompts/repair.md")),
    ("reopen", include_str!("../../templates/prompts/reopen.md")),
    ("_prior", include_str!("../../templates/prompts/_prior.md")),
    (
        "_inputs",
        include_str!("../../templates/prompts/_inputs.md"),
    ),
    ("_task", include_str!("../../templates/prompts/_task.md")),
    (
        "_skills",
        include_str!("../../templates/prompts/_skills.md"),
    ),
    ("_wrong", include_str!("../../templates/prompts/_wrong.md")),
    (
        "_handoff",
        include_str!("../../templates/prompts/_handoff.md"),
    ),
];

/// Renders a prompt; `overrides` holds the project's own templates, read from the trusted base.
///
/// # Errors
/// Every problem of the templates that were used, each with its line. A context without a task is
/// an error too.
pub fn render(
    kind: Kind,
    context: &PromptContext,
    overrides: &dyn Documents,
) -> Result<String, Diagnostics> {
    let mut out = Diagnostics::default();
    unknown_overrides(overrides, &mut out);
    let context = context.within_sizes();
    let Some(first) = context.tasks.first() else {
        let message = "a prompt needs a task";
        return Err(Diagnostic::whole(Severity::Error, "", message).into());
    };
    let environment = environment();
    let base = Value::from(Serde(&context));
    let batch = kind == Kind::Batch || context.tasks.len() > 1;
    let with = |task: &TaskContext| {
        minijinja::context! { batch => batch, repair => kind == Kind::Repair, task => Serde(task), ..base.clone() }
    };
    let one = with(first);
    let mut part = std::collections::BTreeMap::new();
    for name in ["prior", "inputs", "skills", "wrong", "handoff"] {
        let text = template(&environment, &format!("_{name}"), &one, overrides, &mut out);
        part.insert(name, text.unwrap_or_default());
    }
    let tasks: Vec<String> = context
        .tasks
        .iter()
        .filter_map(|task| template(&environment, "_task", &with(task), overrides, &mut out))
        .collect();
    part.insert("tasks", tasks.join("\n"));
    let whole = minijinja::context! { part => part, ..one };
    let text = template(&environment, kind.name(), &whole, overrides, &mut out);
    out.sort();
    match text {
        Some(text) if !out.has_errors() => Ok(tidy(&text)),
        _ => Err(out),
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.add_filter("quoted", |text: String| quoted(&text));
    environment.add_filter("line", |text: String| crate::text::line(&text));
    environment.add_filter("json", |text: String| {
        serde_json::Value::String(text).to_string()
    });
    environment.add_filter("code", |text: String| crate::text::code(&text));
    environment
}

fn template(
    environment: &Environment<'_>,
    name: &str,
    context: &Value,
    overrides: &dyn Documents,
    out: &mut Diagnostics,
) -> Option<String> {
    let path = format!("{FOLDER}/{name}.md");
    let document = match overrides.read(&path) {
        Ok(Some(text)) => Document::new(path, text),
        Ok(None) => {
            let text = TEMPLATES
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, text)| *text)?;
            Document::new(format!("templates/prompts/{name}.md (built in)"), text)
        }
        Err(error) => {
            let message = format!("it cannot be read: {error:#}");
            out.push(Diagnostic::whole(Severity::Error, &path, message));
            return None;
        }
    };
    let rendered = environment
        .template_from_named_str(&document.path, &document.text)
        .and_then(|template| template.render(context.clone()));
    match rendered {
        Ok(text) => Some(text),
        Err(error) => {
            let detail = error.detail().map_or_else(
                || error.kind().to_string(),
                |detail| format!("{}: {detail}", error.kind()),
            );
            let span = document.line_span(error.line().unwrap_or(1));
            out.error(
                &At { document, span },
                format!("this prompt cannot be rendered: {detail}"),
            );
            None
        }
    }
}

/// A file in the folder that replaces nothing is most likely misspelt.
fn unknown_overrides(overrides: &dyn Documents, out: &mut Diagnostics) {
    let names = match overrides.list(FOLDER) {
        Ok(names) => names,
        Err(error) => {
            let message = format!("it cannot be read: {error:#}");
            out.push(Diagnostic::whole(Severity::Error, FOLDER, message));
            return;
        }
    };
    for file in names {
        let Some(name) = file.strip_suffix(".md") else {
            continue;
        };
        if name == "README" || TEMPLATES.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let known: Vec<&str> = TEMPLATES.iter().map(|(known, _)| *known).collect();
        let help = match suggest(name, known.iter().copied()) {
            Some(near) => format!("did you mean {near}.md?"),
            None => format!("prompts and their parts are {}", known.join(", ")),
        };
        let path = format!("{FOLDER}/{file}");
        let message = "there is no such prompt to replace";
        out.push(Diagnostic::whole(Severity::Error, &path, message).help(help));
    }
}

/// At most one empty line in a row outside of fences, and one line break at the end.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let (mut empty, mut fence) = (true, None::<usize>);
    for line in text.lines() {
        let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
        match fence {
            None if ticks >= 3 && !line[ticks..].contains('`') => fence = Some(ticks),
            Some(open) if ticks >= open && line.trim_end().len() == ticks => fence = None,
            None if line.trim().is_empty() => {
                if !empty {
                    tidy.push('\n');
                }
                empty = true;
                continue;
            }
            _ => {}
        }
        empty = false;
        tidy.push_str(line);
        tidy.push('\n');
    }
    let end = tidy.trim_end().len();
    tidy.truncate(end);
    tidy.push('\n');
    tidy
}
