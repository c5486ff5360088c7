//! `git pertask plan --draft`: an agent proposes a `plan.toml`, reviewed like any task.
//!
//! The proposal is a run of its own, `<plan>-draft`, whose one task writes
//! `.pertask/<plan>/plan.toml`. That path is closed to every other attempt: plans come from people,
//! and this one too counts only once a person has merged it into the base.

use super::cli::{Driving, PlanArgs, Settings};
use super::context::{self, Prepared};
use super::{Exit, start, usage};
use crate::git::AtCommit;
use crate::git::Repo;
use crate::plan::{
    self, CheckpointPolicy, Documents as _, Gate, Mode, Plan, Risk, Source, SourceKind, Task, mode,
};

/// What a plan looks like, for the prompt.
const SHAPE: &str = include_str!("../../templates/draft.md");

/// Starts the run that drafts a plan.
pub(super) fn run(repo: &Repo, args: &PlanArgs) -> anyhow::Result<Exit> {
    if std::env::var_os("PERTASK_ATTEMPT").is_some() {
        return Err(usage!("this is an attempt of a run (PERTASK_ATTEMPT is set): --draft is for people, outside of it").into());
    }
    let prepared = prepare(repo, &args.plan, &args.settings)?;
    start::begin(
        repo,
        prepared,
        &Driving {
            jobs: 1,
            yes: false,
            watch: false,
        },
    )
}

fn prepare(repo: &Repo, name: &str, settings: &Settings) -> anyhow::Result<Prepared> {
    let base = context::base(repo, settings.base.as_deref())?;
    let docs = AtCommit::new(repo, &base.commit);
    let folder = format!(".pertask/{name}");
    let file = format!("{folder}/plan.toml");
    if docs.exists(&file)? {
        return Err(usage!(
            "{file} is there already on {}; change it by hand, or remove it first",
            base.branch
        )
        .into());
    }
    let mut inputs = Vec::new();
    for input in docs.list(&folder)? {
        if std::path::Path::new(&input)
            .extension()
            .is_some_and(|e| e == "md")
            && !input.starts_with("implementation-log")
        {
            inputs.push(format!("{folder}/{input}"));
        }
    }
    if inputs.is_empty() {
        return Err(usage!("there is no document to draft a plan from: write {folder}/architecture.md and commit it").into());
    }
    let config = context::configuration(&docs, settings)?;
    let plan = draft_of(name, &file, inputs);
    let choice = mode::Choice {
        mode: Mode::PerTask,
        reason: "one task, reviewed by itself".to_owned(),
    };
    let loaded = plan::Loaded {
        plan,
        warnings: plan::Diagnostics::default(),
        found: Vec::new(),
    };
    Ok(Prepared {
        base,
        config,
        loaded,
        choice,
        warnings: Vec::new(),
        forge: None,
        base_checkpoint: CheckpointPolicy::Every,
    })
}

fn draft_of(name: &str, file: &str, inputs: Vec<String>) -> Plan {
    let text = |s: &str| s.to_owned();
    let task = Task {
        id: text("plan"),
        title: format!("Plan of {name}"),
        file: file.to_owned(),
        purpose: format!(
            "The tasks of the job {name}, in a form that `git pertask start {name}` can carry out"
        ),
        requirements: vec![
            text("Every file that the documents ask for is the file of exactly one task"),
            text("A task depends on those whose files it uses; there is no circle"),
            text("Each task is small enough for one sitting, and names what makes it done"),
            text("Build commands are argument lists that exist in this repository"),
            text("High risk only where a mistake would be hard to see or to undo"),
            text("No key but those of the example; leave out what does not apply"),
        ],
        example: Some(text(SHAPE)),
        success: vec![
            text("Every requirement of the documents is found in a task"),
            text("The order of the tasks makes sense to somebody who knows the code"),
        ],
        max_lines: Some(1000),
        risk: Risk::High,
        ..Task::default()
    };
    Plan {
        name: format!("{name}-draft"),
        title: format!("Draft of the plan {name}"),
        base: None,
        inputs,
        skills: Vec::new(),
        directory: String::new(),
        build: Vec::new(),
        check_timeout_s: 600,
        sparse: Vec::new(),
        time_constrained: false,
        new_patterns: false,
        tasks: vec![task],
        gate: Gate::default(),
        placement: Vec::new(),
        parameters: std::collections::BTreeMap::new(),
        source: Source {
            kind: SourceKind::Template,
            path: text("draft"),
        },
    }
}
