//! From the documents under `.pertask/` to a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::combine::{Template, combine};
use super::config::Config;
use super::diagnostic::{At, Diagnostic, Diagnostics, Document, Severity};
use super::documents::Documents;
use super::draft::Draft;
use super::markdown::architecture::{Architecture, Subject};
use super::markdown::placement;
use super::names::{NAME_SHAPE, inside_problem, valid_name};
use super::params::Params;
use super::reader::Text;
use super::validate::{self, Context};
use super::{Plan, Source, SourceKind};

/// The template for vendor integrations that is always there.
pub const INTEGRATION: &str = include_str!("../../templates/integration.toml");

/// Ids of the shipped rules: the seed's six P0 requirements and the limit on file size.
pub const RULES: [&str; 7] = [
    "vmfilter",
    "check-affiliation",
    "validate-credentials",
    "errgroup",
    "pagination",
    "error-handling",
    "file-size",
];

/// A plan with what there is to say about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The plan.
    pub plan: Plan,
    /// What is doubtful, but does not keep it from being run.
    pub warnings: Diagnostics,
    /// What was found in which document.
    pub found: Vec<Found>,
}

/// Something that was found in a document, shown by `git pertask plan`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The document's path, or the name of a built-in template.
    pub file: String,
    /// Line from 1; 0 for the document as a whole.
    pub line: usize,
    /// What it is, e.g. `task types: 3 requirements`.
    pub what: String,
}

impl Found {
    pub(super) fn at(at: &At, what: impl Into<String>) -> Self {
        Self {
            file: at.document.path.clone(),
            line: at.position().0,
            what: what.into(),
        }
    }
}

/// Reads the plan `name`: `.pertask/<name>/plan.toml`, else the task table of `architecture.md`
/// there, else its file sections with the configured template. `rules` are the ids of rules that
/// tasks may name; [`RULES`] when there are no others.
///
/// # Errors
/// Every problem in every document that was read, each with its place.
pub fn load(
    name: &str,
    docs: &dyn Documents,
    config: &Config,
    params: &BTreeMap<String, String>,
    rules: &[&str],
) -> Result<Loaded, Diagnostics> {
    let mut out = Diagnostics::default();
    if !valid_name(name) {
        let message = format!("`{name}` cannot be the name of a plan");
        let error = Diagnostic::whole(Severity::Error, "", message);
        return Err(error.help(format!("use {NAME_SHAPE}")).into());
    }
    let mut loader = Loader {
        name,
        docs,
        config,
        params: Params::new(name, params, &mut out),
        found: Vec::new(),
        out,
    };
    let plan = loader.plan(rules);
    let Loader {
        params: mut filled,
        found,
        mut out,
        ..
    } = loader;
    if let Some(mut plan) = plan.filter(|_| !out.has_errors()) {
        filled.unused(params, &mut out);
        plan.parameters = filled.take_values();
        out.sort();
        return Ok(Loaded {
            plan,
            warnings: out,
            found,
        });
    }
    out.sort();
    Err(out)
}

struct Loader<'a> {
    name: &'a str,
    docs: &'a dyn Documents,
    config: &'a Config,
    params: Params,
    found: Vec<Found>,
    out: Diagnostics,
}

impl Loader<'_> {
    fn plan(&mut self, rules: &[&str]) -> Option<Plan> {
        let folder = format!(".pertask/{}", self.name);
        let plan_toml = self.document("plan.toml");
        let architecture = self.document("architecture.md");
        let (draft, source) = match (plan_toml, architecture) {
            (Some(document), architecture) => self.read_toml(&document, architecture.as_ref())?,
            (None, Some(document)) => self.read_architecture(&document)?,
            (None, None) => {
                if !self.out.has_errors() {
                    let error = Diagnostic::whole(
                        Severity::Error,
                        "",
                        format!("there is no plan `{}`", self.name),
                    );
                    self.out.push(error.help(format!(
                        "write {folder}/plan.toml, or {folder}/architecture.md for the template \
                         `{}`, and commit it",
                        self.config.template
                    )));
                }
                return None;
            }
        };
        let mut plan = self.finish(draft, source, rules)?;
        if let Some(document) = self.document("file-placement.md") {
            plan.placement =
                placement::read(&document, &plan, self.docs, &mut self.params, &mut self.out);
            self.found.push(Found {
                file: document.path.clone(),
                line: 0,
                what: format!("{} files that must exist at the end", plan.placement.len()),
            });
        }
        Some(plan)
    }

    /// `plan.toml` says everything; of `architecture.md` only API methods and mapping are taken.
    fn read_toml(
        &mut self,
        document: &Arc<Document>,
        architecture: Option<&Arc<Document>>,
    ) -> Option<(Draft, Source)> {
        let mut draft = Draft::read(document, &mut self.params, &mut self.out)?;
        for task in &draft.tasks {
            self.found
                .push(Found::at(&task.at, format!("task {}", task.id.value)));
        }
        if let Some(document) = architecture {
            let mut doubts = Diagnostics::default();
            let read = Architecture::read(document, &mut self.params, &mut doubts);
            for section in read.sections {
                let Subject::File(file) = &section.subject else {
                    continue;
                };
                let of = |task: &&mut super::draft::TaskDraft| {
                    super::markdown::ends_with_path(&task.file.value, &file.value)
                };
                if let Some(task) = draft.tasks.iter_mut().find(of)
                    && !(section.api_methods.is_empty() && section.mapping.is_empty())
                {
                    self.found.extend(section.found(&task.id.value));
                    task.api_methods.extend(section.api_methods);
                    task.mapping.extend(section.mapping);
                }
            }
        }
        Some((
            draft,
            Source {
                kind: SourceKind::PlanToml,
                path: document.path.clone(),
            },
        ))
    }

    fn read_architecture(&mut self, document: &Arc<Document>) -> Option<(Draft, Source)> {
        let architecture = Architecture::read(document, &mut self.params, &mut self.out);
        let table = !architecture.tasks.is_empty();
        if !table && architecture.sections.is_empty() && !self.out.has_errors() {
            let at = At {
                document: Arc::clone(document),
                span: 0..0,
            };
            self.out.push(
                Diagnostic::warning(&at, "no tasks and no files are described here").help(format!(
                    "the template `{}` alone gives the tasks; describe each file under a heading \
                     that names it",
                    self.config.template
                )),
            );
        }
        let (template, doubts) = self.template(table)?;
        let template_document = Arc::clone(&template.draft.document);
        let combined = combine(
            architecture,
            template,
            self.docs,
            &mut self.found,
            &mut self.out,
        );
        if combined.templated {
            self.out.extend(doubts);
            let what = format!("template {}: what the document lacks", self.config.template);
            self.found.push(Found {
                file: template_document.path.clone(),
                line: 0,
                what,
            });
        }
        let source = if table || !combined.templated {
            Source {
                kind: SourceKind::Architecture,
                path: document.path.clone(),
            }
        } else {
            Source {
                kind: SourceKind::Template,
                path: template_document.path.clone(),
            }
        };
        Some((combined.draft, source))
    }

    /// The configured template, with its problems, which count only if it is used.
    fn template(&mut self, table: bool) -> Option<(Template, Diagnostics)> {
        let name = &self.config.template;
        let path = format!(".pertask/templates/{name}.toml");
        let own = self.document_at(&path);
        let is_own = own.is_some();
        let document = match own {
            Some(document) => document,
            None if name == "integration" => {
                Document::new("templates/integration.toml (built in)", INTEGRATION)
            }
            None => {
                let known = self.docs.list(".pertask/templates").unwrap_or_default();
                let mut known: Vec<&str> = known
                    .iter()
                    .filter_map(|file| file.strip_suffix(".toml"))
                    .collect();
                known.push("integration");
                let message = format!("there is no template `{name}`");
                let error = Diagnostic::whole(Severity::Error, super::config::PATH, message);
                self.out
                    .push(error.help(format!("write {path}; known are {}", known.join(", "))));
                return None;
            }
        };
        let mut doubts = Diagnostics::default();
        let draft = Draft::read(&document, &mut self.params, &mut doubts);
        match draft {
            Some(draft) => Some((Template { draft, own: is_own }, doubts)),
            // A table of tasks does not need the built-in template; one's own must be right.
            None if table && !is_own => {
                let draft = Draft::empty(document);
                Some((Template { draft, own: false }, Diagnostics::default()))
            }
            None => {
                self.out.extend(doubts);
                None
            }
        }
    }

    fn finish(&mut self, draft: Draft, source: Source, rules: &[&str]) -> Option<Plan> {
        let inputs = self.inputs(draft.inputs.as_deref(), source.kind);
        for path in &inputs {
            let what = "an input of every prompt".to_owned();
            self.found.push(Found {
                file: path.clone(),
                line: 0,
                what,
            });
        }
        let context = Context {
            name: self.name,
            config: self.config,
            rules,
            source,
            inputs,
        };
        validate::plan(draft, context, &mut self.out)
    }

    /// Paths of the inputs from the repository's root. Named in a plan, they must exist; from a
    /// template, or without any named, those that exist count.
    fn inputs(&mut self, named: Option<&[Text]>, kind: SourceKind) -> Vec<String> {
        let folder = format!(".pertask/{}", self.name);
        let mut paths = Vec::new();
        let Some(named) = named else {
            for name in ["architecture.md", "discovery.md"] {
                let path = format!("{folder}/{name}");
                if self.exists(&path) {
                    paths.push(path);
                }
            }
            return paths;
        };
        for input in named {
            if let Some(problem) = inside_problem(&input.value) {
                self.out
                    .error(&input.at, format!("`inputs`: `{}` {problem}", input.value));
                continue;
            }
            let beside = format!("{folder}/{}", input.value);
            if self.exists(&beside) {
                paths.push(beside);
            } else if self.exists(&input.value) {
                paths.push(input.value.clone());
            } else if kind == SourceKind::PlanToml {
                self.out.push(
                    Diagnostic::error(&input.at, format!("there is no input `{}`", input.value))
                        .help(format!("looked for {beside} and {}", input.value)),
                );
            }
        }
        paths
    }

    /// A document of the plan's folder; a failure to read it is reported.
    fn document(&mut self, name: &str) -> Option<Arc<Document>> {
        let path = format!(".pertask/{}/{name}", self.name);
        self.document_at(&path)
    }

    fn document_at(&mut self, path: &str) -> Option<Arc<Document>> {
        match self.docs.read(path) {
            Ok(text) => text.map(|text| Document::new(path, text)),
            Err(error) => {
                let message = format!("it cannot be read: {error:#}");
                self.out
                    .push(Diagnostic::whole(Severity::Error, path, message));
                None
            }
        }
    }

    fn exists(&mut self, path: &str) -> bool {
        self.docs.exists(path).unwrap_or_else(|error| {
            let message = format!("it cannot be looked for: {error:#}");
            self.out
                .push(Diagnostic::whole(Severity::Error, path, message));
            false
        })
    }
}
