//! `git pertask plan`.

use super::cli::PlanArgs;
use super::context::{self, Prepared};
use super::{Exit, draft, drive, print};
use crate::driver::orders::Orders;
use crate::git::Repo;
use crate::plan::{Mode, Risk};
use crate::report::Style;
use crate::run::transition;

/// `git pertask plan`.
pub(super) fn run(args: &PlanArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    if args.draft {
        return draft::run(&repo, args);
    }
    let prepared = context::prepare(&repo, &args.plan, &args.settings)?;
    let style = drive::style(&std::io::stdout());
    let mut out = text(&prepared, style);
    if args.prompts {
        out.push_str(&prompts(&repo, &prepared, style)?);
    }
    print(&out)?;
    Ok(Exit::Done)
}

/// Tasks in order, the mode and why, what was found where, what is doubtful.
pub(super) fn text(prepared: &Prepared, style: Style) -> String {
    use std::fmt::Write as _;
    let plan = &prepared.loaded.plan;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}",
        style.strong(&format!("{} ({})", plan.title, plan.name))
    );
    let mode = match prepared.choice.mode {
        Mode::Batch => "batch",
        Mode::PerTask => "per-task",
    };
    let _ = writeln!(out, "Mode:   {mode} ({})", prepared.choice.reason);
    let _ = writeln!(
        out,
        "Base:   {} at {}",
        prepared.base.branch,
        transition::short(&prepared.base.commit)
    );
    let _ = writeln!(out, "Tasks:  from {}", plan.source.path);
    let builds: Vec<_> = plan
        .build
        .iter()
        .map(|c| crate::attempt::checks::commands::shell_words(c))
        .collect();
    if !builds.is_empty() {
        let place = if plan.directory.is_empty() {
            "the root"
        } else {
            &plan.directory
        };
        let _ = writeln!(out, "Build:  {} (in {place})", builds.join("; "));
    }
    for (task, n) in plan.tasks.iter().zip(1..) {
        let risk = if task.risk == Risk::High {
            ", high risk"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "\n{n}. {}  {}{risk}",
            style.strong(&task.id),
            task.title
        );
        let _ = writeln!(out, "   {}", task.file);
        if !task.depends_on.is_empty() {
            let _ = writeln!(out, "   after {}", task.depends_on.join(", "));
        }
        let mut facts = Vec::new();
        if let Some(lines) = task.estimated_lines {
            facts.push(format!("about {lines} lines"));
        }
        if let Some(lines) = task.max_lines {
            facts.push(format!("at most {lines} lines"));
        }
        if !task.rules.is_empty() {
            facts.push(format!("rules {}", task.rules.join(", ")));
        }
        let agent = task.agent.as_ref().unwrap_or(&prepared.config.agent);
        facts.push(format!("agent {agent}"));
        let _ = writeln!(out, "   {}", facts.join("; "));
    }
    if !prepared.loaded.found.is_empty() {
        let _ = writeln!(out, "\n{}", style.strong("Found in the documents"));
        for found in &prepared.loaded.found {
            let line = if found.line == 0 {
                String::new()
            } else {
                format!(":{}", found.line)
            };
            let _ = writeln!(out, "- {}{line}: {}", found.file, found.what);
        }
    }
    if !prepared.loaded.warnings.is_empty() {
        let _ = writeln!(
            out,
            "\n{}",
            prepared.loaded.warnings.render(style.colour).trim_end()
        );
    }
    for warning in &prepared.warnings {
        let _ = writeln!(out, "\nwarning: {warning}");
    }
    out
}

/// Each task's first prompt, as it would be if all went as planned.
fn prompts(repo: &Repo, prepared: &Prepared, style: Style) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let plan = &prepared.loaded.plan;
    let start = transition::Start {
        run: &plan.name,
        number: 1,
        plan,
        config: &prepared.config,
        mode: (prepared.choice.mode, prepared.choice.reason.clone()),
        base: prepared.base.clone(),
        by: crate::run::state::Person {
            name: String::new(),
            email: String::new(),
        },
        at: jiff::Timestamp::UNIX_EPOCH,
    };
    let mut state = transition::start(start);
    let mut out = String::new();
    for n in 0..state.items.len() {
        let orders = Orders {
            repo,
            plan,
            config: &prepared.config,
            state: &state,
        };
        let order = orders.next(&state.items[n])?;
        let _ = writeln!(
            out,
            "\n{}\n",
            style.strong(&format!("--- prompt of {} ---", state.items[n].key))
        );
        out.push_str(order.prompt.trim_end());
        out.push('\n');
        // The next prompt is to name it as done.
        state.items[n].phase = crate::run::state::Phase::Merged;
    }
    Ok(out)
}
