//! What a prompt is made of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::quote::{OUTPUT_MOST, share, shorten, threads_in};
use crate::plan::{Plan, Risk, Task, discovery};

/// Most names of a prior task's API that a prompt lists.
const API_MOST: usize = 40;

/// Everything a template can use, by these names.
#[derive(Debug, Clone, Serialize)]
pub struct PromptContext {
    /// The run.
    pub run: String,
    /// The plan's name.
    pub plan: String,
    /// The plan's title.
    pub title: String,
    /// Parameters, e.g. `parameters.vendor`.
    pub parameters: BTreeMap<String, String>,
    /// How many tasks the plan has.
    pub total: usize,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// Round of the task's life, from 1.
    pub round: u32,
    /// A retry that starts from the run branch and not from the failed attempt's tree.
    pub fresh: bool,
    /// The tasks of this prompt: one, or all in batch mode.
    pub tasks: Vec<TaskContext>,
    /// Tasks done before, in order.
    pub prior: Vec<PriorTask>,
    /// Documents to read.
    pub inputs: Vec<Input>,
    /// Files of prior tasks.
    pub prior_files: Vec<String>,
    /// Parts of documents, quoted.
    pub excerpts: Vec<Excerpt>,
    /// Skills every agent is told to use.
    pub skills: Vec<String>,
    /// Folder where build and checks run; empty means the root.
    pub directory: String,
    /// Build commands, as a person would type them.
    pub build: Vec<String>,
    /// Where reports go; the variable that names the folder.
    pub output_directory: String,
    /// Checks that did not hold, for a retry.
    pub checks: Vec<FailedCheck>,
    /// What reviewers said, for a revision.
    pub feedback: Vec<Feedback>,
    /// Names of the review threads in the feedback; set when rendering.
    pub threads: Vec<String>,
    /// P0 violations to put right, for the P0 validation.
    pub violations: Vec<Violation>,
    /// What reviewers noted that no rule sees, for the P0 validation.
    pub notes: Vec<Feedback>,
    /// The question of an earlier attempt that the feedback answers.
    pub question: Option<String>,
    /// Paths with conflict markers, for a conflict.
    pub conflicts: Vec<String>,
}

/// One task of a prompt.
#[derive(Debug, Clone, Serialize)]
pub struct TaskContext {
    /// Position in the plan, from 1.
    pub number: usize,
    /// Identity.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// The task after it in the plan, as the handoff names it.
    pub next: Option<String>,
    /// The file.
    pub file: String,
    /// What the file is for.
    pub purpose: String,
    /// What it must contain or do.
    pub requirements: Vec<String>,
    /// Example, as Markdown.
    pub example: Option<String>,
    /// Success criteria in prose.
    pub success: Vec<String>,
    /// The estimate.
    pub estimated_lines: Option<u32>,
    /// Largest number of lines, inclusive.
    pub max_lines: Option<u32>,
    /// Tasks whose files this one uses.
    pub uses: Vec<Related>,
    /// Tasks whose files use this one.
    pub used_by: Vec<Related>,
    /// P0 rules for the file.
    pub rules: Vec<RuleText>,
    /// Check commands beyond the build, as a person would type them.
    pub checks: Vec<String>,
    /// Globs of what else may be touched.
    pub allow: Vec<String>,
    /// Globs of what must also be touched.
    pub requires: Vec<String>,
    /// `low` or `high`.
    pub risk: Risk,
    /// API methods to implement.
    pub api_methods: Vec<String>,
    /// Lines of the Tabularium mapping.
    pub mapping: Vec<String>,
}

/// A task that this one depends on, or that depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Related {
    /// Identity.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// Its file.
    pub file: String,
}

/// A rule as the prompt shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleText {
    /// Identity.
    pub id: String,
    /// What it asks.
    pub text: String,
}

/// What became of an earlier task: names and numbers, never its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriorTask {
    /// Position in the plan, from 1.
    pub number: usize,
    /// Identity.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// Its file.
    pub file: String,
    /// A word: `completed`, `skipped`.
    pub status: String,
    /// Lines of the file, as counted.
    pub lines: Option<u32>,
    /// Functions and methods, read from the code.
    pub api: Vec<String>,
    /// How many of them are not listed; set when rendering.
    pub api_left_out: usize,
    /// Other files it created.
    pub files_created: Vec<String>,
}

/// A document to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Path from the root.
    pub path: String,
    /// What it is, in a few words; empty when not known.
    pub about: String,
}

/// A part of a document, quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// The document.
    pub path: String,
    /// Title of the task it concerns.
    pub about: String,
    /// The quoted text.
    pub text: String,
}

/// A check that did not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedCheck {
    /// Command line or subject.
    pub name: String,
    /// One line that says what was found.
    pub detail: String,
    /// Output; capped when rendering.
    pub output: String,
}

/// A P0 violation to put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Id of the rule.
    pub rule: String,
    /// Path, line and column.
    pub place: String,
    /// What was found.
    pub message: String,
    /// How it is usually put right.
    pub hint: String,
}

/// What a reviewer said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feedback {
    /// Who.
    pub by: String,
    /// Path and line it is about; empty for the review as a whole.
    pub place: String,
    /// The words, and the part of the difference they are about.
    pub text: String,
}

impl PromptContext {
    /// What the plan alone says about these tasks; the rest is the caller's to add. `rule` gives a
    /// rule's text by its id. Ids that the plan does not have are left out.
    #[must_use]
    pub fn new(run: &str, plan: &Plan, ids: &[&str], rule: &dyn Fn(&str) -> String) -> Self {
        let tasks = plan
            .tasks
            .iter()
            .enumerate()
            .filter(|(_, task)| ids.contains(&task.id.as_str()))
            .map(|(index, task)| TaskContext::new(index + 1, task, plan, rule))
            .collect();
        Self {
            run: run.to_owned(),
            plan: plan.name.clone(),
            title: plan.title.clone(),
            parameters: plan.parameters.clone(),
            total: plan.tasks.len(),
            attempt: 1,
            round: 1,
            fresh: false,
            tasks,
            prior: Vec::new(),
            inputs: plan.inputs.iter().map(|path| Input::new(path)).collect(),
            prior_files: Vec::new(),
            excerpts: Vec::new(),
            skills: plan.skills.clone(),
            directory: plan.directory.clone(),
            build: plan.build.iter().map(|command| typed(command)).collect(),
            output_directory: "$PERTASK_OUTPUT_DIR".to_owned(),
            checks: Vec::new(),
            feedback: Vec::new(),
            threads: Vec::new(),
            violations: Vec::new(),
            notes: Vec::new(),
            question: None,
            conflicts: Vec::new(),
        }
    }

    /// Adds tasks done before, and their files as inputs.
    #[must_use]
    pub fn with_prior(mut self, prior: Vec<PriorTask>) -> Self {
        for done in prior.iter().filter(|done| done.status != "skipped") {
            for file in std::iter::once(&done.file).chain(&done.files_created) {
                if !self.prior_files.contains(file) {
                    self.prior_files.push(file.clone());
                }
            }
        }
        self.prior = prior;
        self
    }

    /// Quotes the parts of a document that concern the tasks, within [`discovery::QUOTED`]
    /// characters in all.
    #[must_use]
    pub fn with_discovery(mut self, path: &str, text: &str, plan: &Plan) -> Self {
        let each = discovery::QUOTED / self.tasks.len().max(1);
        for context in &self.tasks {
            let task = plan.tasks.iter().find(|task| task.id == context.id);
            if let Some(text) = task.and_then(|task| discovery::excerpt(text, task, each)) {
                let about = context.title.clone();
                self.excerpts.push(Excerpt {
                    path: path.to_owned(),
                    about,
                    text,
                });
            }
        }
        self
    }

    /// The same with everything that others wrote cut to its size.
    pub(super) fn within_sizes(&self) -> Self {
        let mut context = self.clone();
        for done in &mut context.prior {
            done.api_left_out += done.api.len().saturating_sub(API_MOST);
            done.api.truncate(API_MOST);
            done.files_created.retain(|file| *file != done.file);
        }
        let mut outputs: Vec<&mut String> = context
            .checks
            .iter_mut()
            .map(|check| &mut check.output)
            .collect();
        cap(&mut outputs);
        let mut words: Vec<&mut String> = context
            .feedback
            .iter_mut()
            .map(|said| &mut said.text)
            .collect();
        words.extend(context.notes.iter_mut().map(|said| &mut said.text));
        words.extend(&mut context.question);
        cap(&mut words);
        let said = context.feedback.iter();
        context.threads = said.flat_map(|said| threads_in(&said.text)).collect();
        context
    }
}

fn cap(texts: &mut [&mut String]) {
    let lengths: Vec<usize> = texts.iter().map(|text| text.chars().count()).collect();
    for (text, most) in texts.iter_mut().zip(share(&lengths, OUTPUT_MOST)) {
        **text = shorten(text, most);
    }
}

impl Input {
    /// An input with what is known of the documents that usually are there.
    #[must_use]
    pub fn new(path: &str) -> Self {
        let about = match path.rsplit('/').next() {
            Some("architecture.md") => "how it is to be built",
            Some("discovery.md") => "patterns that are there already",
            Some("file-placement.md") => "the files that must exist at the end",
            _ => "",
        };
        Self {
            path: path.to_owned(),
            about: about.to_owned(),
        }
    }
}

impl TaskContext {
    fn new(number: usize, task: &Task, plan: &Plan, rule: &dyn Fn(&str) -> String) -> Self {
        let related = |other: &Task| Related {
            id: other.id.clone(),
            title: other.title.clone(),
            file: other.file.clone(),
        };
        let others = |test: &dyn Fn(&Task) -> bool| {
            plan.tasks
                .iter()
                .filter(|other| test(other))
                .map(related)
                .collect()
        };
        Self {
            number,
            id: task.id.clone(),
            title: task.title.clone(),
            next: plan.tasks.get(number).map(|next| {
                format!(
                    "Task {} of {}: {}",
                    number + 1,
                    plan.tasks.len(),
                    next.title
                )
            }),
            file: task.file.clone(),
            purpose: task.purpose.clone(),
            requirements: task.requirements.clone(),
            example: task
                .example
                .as_ref()
                .map(|example| example.trim().to_owned()),
            success: task.success.clone(),
            estimated_lines: task.estimated_lines,
            max_lines: task.max_lines,
            uses: others(&|other| task.depends_on.contains(&other.id)),
            used_by: others(&|other| other.depends_on.contains(&task.id)),
            rules: task
                .rules
                .iter()
                .map(|id| RuleText {
                    id: id.clone(),
                    text: rule(id),
                })
                .collect(),
            checks: task.checks.iter().map(|command| typed(command)).collect(),
            allow: task
                .allow
                .iter()
                .filter(|p| !task.requires.contains(p))
                .cloned()
                .collect(),
            requires: task.requires.clone(),
            risk: task.risk,
            api_methods: task.api_methods.clone(),
            mapping: task.mapping.clone(),
        }
    }
}

/// A command as a person would type it: words with anything unusual in single quotes.
fn typed(command: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./=:,@%+".contains(c);
    let word = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}
