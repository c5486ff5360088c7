//! `git pertask start`.

use std::ffi::OsStr;
use std::io::Write as _;

use anyhow::Context as _;
use jiff::Timestamp;

use super::cli::{Driving, StartArgs};
use super::context::{self, Prepared};
use super::{Exit, drive, plan as show_plan, print, usage};
use crate::attempt::{process, sandbox};
use crate::driver::home::RunLock;
use crate::driver::trust;
use crate::forge::Forge as _;
use crate::git::Repo;
use crate::ledger::{Ledger, LedgerError};
use crate::plan::{Mode, Plan, Sandbox};
use crate::run::state::Person;
use crate::run::transition;

/// `git pertask start`.
pub(super) fn run(args: &StartArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let prepared = context::prepare(&repo, &args.plan, &args.settings)?;
    if args.dry_run {
        let run = ready(&repo, &prepared)?.0;
        can_attempt(&repo, &prepared)?;
        print(&show_plan::text(
            &prepared,
            drive::style(&std::io::stdout()),
        ))?;
        print(&format!("\nThis would start the run {run}.\n"))?;
        return Ok(Exit::Done);
    }
    begin(&repo, prepared, &args.driving)
}

/// Name and number of the run that would start; refuses what could not.
fn ready(repo: &Repo, prepared: &Prepared) -> anyhow::Result<(String, u32)> {
    let (run, number) = name_of_run(repo, &prepared.loaded.plan.name)?;
    let remote = prepared
        .forge
        .as_ref()
        .and_then(|f| f.borrow().remote().map(|r| r.name.clone()));
    no_collision(repo, &run, remote.as_deref())?;
    if prepared.forge.is_some() {
        policy_is_of_base(prepared)?;
    }
    Ok((run, number))
}

/// Whether attempts can be made on this machine.
fn can_attempt(repo: &Repo, prepared: &Prepared) -> anyhow::Result<()> {
    agents_are_there(prepared, repo)?;
    if prepared.config.sandbox == Sandbox::Require && sandbox::available().is_none() {
        return Err(usage!(
            "sandbox = \"require\" asks for agents to be confined, and this system has no Landlock; set sandbox = \"auto\" in .pertask/config.toml to let them run unconfined"
        )
        .into());
    }
    Ok(())
}

/// What is merged without a review needs that policy on the base: who starts a run may ask for more
/// reviews than the team agreed on, not for fewer.
fn policy_is_of_base(prepared: &Prepared) -> anyhow::Result<()> {
    let rank = trust::strictness;
    if rank(prepared.config.checkpoint) < rank(prepared.base_checkpoint) {
        return Err(usage!(
            "--checkpoint asks for fewer reviews than .pertask/config.toml on {}; on GitHub that takes a change of the file there",
            prepared.base.branch
        )
        .into());
    }
    Ok(())
}

/// Starts a run of a prepared plan and carries on with it.
pub(super) fn begin(repo: &Repo, prepared: Prepared, driving: &Driving) -> anyhow::Result<Exit> {
    let by = repo.identity()?;
    let (run, number) = ready(repo, &prepared)?;
    can_attempt(repo, &prepared)?;
    // Taken before the run is there and held from then on: between two holds another process could
    // take it, only to find that it came second, and nobody would go on.
    let lock = RunLock::take(repo, &run)?;
    let sandbox = prepared.config.sandbox;
    record(
        repo,
        prepared,
        &run,
        number,
        &by,
        &sandbox::statement(sandbox),
    )?;
    drive::drive_with(repo, &run, driving, lock)
}

/// Starts a run of a prepared plan whose attempts are made on other machines.
pub(super) fn create(repo: &Repo, prepared: Prepared, by: &Person) -> anyhow::Result<()> {
    let (run, number) = ready(repo, &prepared)?;
    let _lock = RunLock::take(repo, &run)?;
    let note = "agents work in jobs of their own, confined unless the configuration says `sandbox = \"off\"`";
    record(repo, prepared, &run, number, by, note)
}

fn record(
    repo: &Repo,
    prepared: Prepared,
    run: &str,
    number: u32,
    by: &Person,
    note: &str,
) -> anyhow::Result<()> {
    let Prepared {
        base,
        config,
        loaded,
        choice,
        warnings,
        forge,
        ..
    } = prepared;
    let remote = forge.as_ref().and_then(|f| f.borrow().remote().cloned());
    say_before(
        run,
        &loaded.plan,
        &choice,
        &base.commit,
        note,
        &warnings,
        &loaded.warnings,
    );
    let now = Timestamp::now();
    let state = transition::start(transition::Start {
        run,
        number,
        plan: &loaded.plan,
        config: &config,
        mode: (choice.mode, choice.reason.clone()),
        base,
        by: by.clone(),
        at: now,
    });
    let message = format!(
        "Run {run} of plan {} starts\n\n{}",
        loaded.plan.name, choice.reason
    );
    match Ledger::of(repo, run).kept_at(remote).create(
        state,
        &loaded.plan,
        &config,
        &message,
        by,
        now,
    ) {
        Ok(_) => Ok(()),
        Err(LedgerError::Raced(_)) => Err(LedgerError::Raced(run.to_owned())).with_context(|| {
            format!(
                "another process has just started {run}; go on with it: git pertask continue {run}"
            )
        }),
        Err(e) => Err(context::explained(repo, e.into())),
    }
}

/// The name for the next run of this plan.
fn name_of_run(repo: &Repo, plan: &str) -> anyhow::Result<(String, u32)> {
    let (runs, unreadable) = context::readable_runs(repo)?;
    if let Some((run, _)) = runs
        .iter()
        .find(|(_, s)| s.state.plan == plan && s.state.end.is_none())
    {
        return Err(usage!(
            "run {run} of plan {plan} is not finished; go on with it: git pertask continue {run} (or end it: git pertask abort {run})"
        )
        .into());
    }
    let earlier = runs
        .iter()
        .filter(|(_, s)| s.state.plan == plan)
        .map(|(_, s)| s.state.number)
        .max();
    let mut number = earlier.map_or(1, |n| n + 1);
    loop {
        let name = if number == 1 {
            plan.to_owned()
        } else {
            format!("{plan}-{number}")
        };
        // A plan may itself be named like the second run of another.
        if runs.iter().all(|(run, _)| *run != name) && !unreadable.contains(&name) {
            return Ok((name, number));
        }
        number += 1;
    }
}

fn no_collision(repo: &Repo, run: &str, remote: Option<&str>) -> anyhow::Result<()> {
    let heads = remote.map_or_else(|| "refs/heads".to_owned(), |r| format!("refs/remotes/{r}"));
    for branch in ["pertask".to_owned(), format!("pertask/{run}")] {
        if repo.target(&format!("{heads}/{branch}"))?.is_some() {
            return Err(usage!(
                "a branch named {branch} is in the way of the branches pertask/{run}/…; rename it: git branch -m {branch} {}-old",
                branch.replace('/', "-")
            )
            .into());
        }
    }
    let left = repo.refs_below(&format!("{heads}/pertask/{run}/"))?;
    if let Some((name, _)) = left.first() {
        return Err(usage!(
            "{} is there from an earlier run named {run} whose ledger is gone; look at it, then rename or delete the branches pertask/{run}/…",
            name.trim_start_matches("refs/heads/").trim_start_matches("refs/remotes/")
        )
        .into());
    }
    Ok(())
}

/// Every agent the plan will ask must be a program that can be started.
fn agents_are_there(prepared: &Prepared, repo: &Repo) -> anyhow::Result<()> {
    let config = &prepared.config;
    let mut names = vec![config.agent.clone()];
    if prepared.choice.mode == Mode::PerTask {
        names.extend(
            prepared
                .loaded
                .plan
                .tasks
                .iter()
                .filter_map(|t| t.agent.clone()),
        );
    }
    names.sort();
    names.dedup();
    let path = std::env::var_os("PATH");
    for name in names {
        let Some(agent) = config.agents.get(&name) else {
            return Err(usage!("the configuration has no agent named {name}").into());
        };
        let Some(program) = agent.command.first() else {
            return Err(usage!("the agent {name} has no command").into());
        };
        if let Err(e) = process::find_program(OsStr::new(program), path.as_deref(), repo.workdir())
        {
            return Err(usage!(
                "the agent {name} cannot be started: {e}; install it, or name another with --agent or in .pertask/config.toml"
            )
            .into());
        }
    }
    Ok(())
}

fn say_before(
    run: &str,
    plan: &Plan,
    choice: &crate::plan::mode::Choice,
    commit: &str,
    note: &str,
    warnings: &[String],
    doubts: &crate::plan::Diagnostics,
) {
    let mut err = std::io::stderr().lock();
    if !doubts.is_empty() {
        let _ = writeln!(
            err,
            "{}",
            doubts
                .render(super::terminal::colour(&std::io::stderr()))
                .trim_end()
        );
    }
    for warning in warnings {
        let _ = writeln!(err, "warning: {warning}");
    }
    let mode = match choice.mode {
        Mode::Batch => "batch mode",
        Mode::PerTask => "per-task mode",
    };
    let _ = writeln!(
        err,
        "Run {run}: {} in {mode} ({}), from {}",
        crate::report::words::counted(plan.tasks.len() as u64, "task"),
        choice.reason,
        transition::short(commit)
    );
    let _ = writeln!(err, "note: {note}");
}
