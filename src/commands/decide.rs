//! `approve`, `revise`, `retry`, `skip`, `abort`: what a person decides.

use jiff::Timestamp;

use super::cli::{DecideArgs, Driving, RetryArgs, ReviseArgs, RunArgs, SkipArgs};
use super::terminal::{self, Terminal};
use super::{Exit, context, drive, print, there, usage};
use crate::driver::Audience as _;
use crate::driver::home::{Held, RunLock};
use crate::git::Repo;
use crate::ledger::Ledger;
use crate::plan::ForgeKind;
use crate::run::P0;
use crate::run::state::{Decision, Item, Phase, Review, State};
use crate::run::transition;

/// A run with its newest state.
fn meant(args: &DecideArgs) -> anyhow::Result<(Repo, String, Option<String>, State)> {
    let repo = context::repository()?;
    context::sync(&repo, None)?;
    let (run, task) = context::run_and_task(&repo, args.run.as_deref(), args.task.as_deref())?;
    let state = Ledger::of(&repo, &run).read()?.state;
    if state.end.is_some() {
        return Err(usage!(
            "run {run} has ended; start anew: git pertask start {}",
            state.plan
        )
        .into());
    }
    Ok((repo, run, task, state))
}

fn review(repo: &Repo, item: &Item, decision: Decision, text: String) -> anyhow::Result<Review> {
    Ok(Review {
        decision,
        by: repo.identity()?,
        at: Timestamp::now(),
        commit: item
            .branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default(),
        text,
        round: item.round,
        source: None,
    })
}

/// `git pertask approve`.
pub(super) fn approve(args: &DecideArgs) -> anyhow::Result<Exit> {
    let (repo, run, task, state) = meant(args)?;
    let waits = |i: &Item| i.phase == Phase::Review;
    let item = context::item_meant(&state, task.as_deref(), waits, "waits for a review")?;
    if state.forge == ForgeKind::Github {
        let head = item.branch.as_ref().map_or("", |b| b.head.as_str());
        let said = format!("/pertask approve {head}");
        return there::say(&repo, &state, item, &said, &args.driving);
    }
    // The branch may have moved beyond what the ledger knows: then nobody has seen the checks of it.
    if let Some(branch) = &item.branch
        && let Some(at) = repo.target(&format!("refs/heads/{}", branch.name))?
        && at != branch.head
        && !repo.is_ancestor(&at, &branch.head)?
    {
        return Err(usage!(
            "{} has commits that are not checked yet; have them checked first: git pertask continue {run}",
            branch.name
        )
        .into());
    }
    let review = review(&repo, item, Decision::Approve, String::new())?;
    let key = item.key.clone();
    drive::decide(
        &repo,
        &run,
        &key,
        &review,
        &review.by.clone(),
        &mut Terminal::new(),
    )?;
    drive::carry_on(&repo, &run, &args.driving)
}

/// `git pertask revise`.
pub(super) fn revise(args: &ReviseArgs) -> anyhow::Result<Exit> {
    let (repo, run, task, state) = meant(&args.which)?;
    let waits = |i: &Item| {
        matches!(
            i.phase,
            Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. }
        )
    };
    let item = context::item_meant(&state, task.as_deref(), waits, "waits for a person")?;
    let text = match &args.message {
        Some(text) => text.trim().to_owned(),
        None if terminal::can_ask() => terminal::edit(&repo.editor(), &drive::hint(item))?,
        None => {
            return Err(usage!(
                "say what should change: git pertask revise {run} {} -m \"…\"",
                item.key
            )
            .into());
        }
    };
    if text.is_empty() {
        return Err(usage!("nothing was said, so nothing is changed").into());
    }
    if state.forge == ForgeKind::Github {
        let said = format!("/pertask revise {text}");
        return there::say(&repo, &state, item, &said, &args.which.driving);
    }
    let review = review(&repo, item, Decision::Revise, text)?;
    let key = item.key.clone();
    drive::decide(
        &repo,
        &run,
        &key,
        &review,
        &review.by.clone(),
        &mut Terminal::new(),
    )?;
    drive::carry_on(&repo, &run, &args.which.driving)
}

/// `git pertask retry`.
pub(super) fn retry(args: &RetryArgs) -> anyhow::Result<Exit> {
    let (repo, run, task, state) = meant(&args.which)?;
    let stopped = |i: &Item| {
        let limited = i
            .is_limited()
            .is_some_and(|a| state.limited.contains_key(a));
        limited || matches!(i.phase, Phase::Failed { .. } | Phase::Blocked { .. })
    };
    let item = context::item_meant(&state, task.as_deref(), stopped, "is failed or blocked")?;
    if state.forge == ForgeKind::Github && item.is_limited().is_none() {
        let fresh = if args.fresh { " --fresh" } else { "" };
        let said = format!("/pertask retry{fresh}");
        return there::say(&repo, &state, item, &said, &args.which.driving);
    }
    let by = repo.identity()?;
    let said = drive::change(&repo, &run, &by, |s| {
        transition::retried(s, &item.key, args.fresh, &by)
    })?;
    Terminal::new().said(&said);
    drive::carry_on(&repo, &run, &args.which.driving)
}

/// `git pertask skip`.
pub(super) fn skip(args: &SkipArgs) -> anyhow::Result<Exit> {
    let (repo, run, task, state) = meant(&args.which)?;
    let stopped = |i: &Item| {
        matches!(
            i.phase,
            Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. }
        )
    };
    // The P0 validation may be left out before it is begun.
    let key = if task.as_deref() == Some(P0) {
        P0
    } else {
        let found = context::item_meant(&state, task.as_deref(), stopped, "waits for a person")?;
        found.key.as_str()
    };
    let why = args.message.trim();
    if why.is_empty() {
        return Err(usage!("say why it is left out: git pertask skip {run} {key} -m \"…\"").into());
    }
    if state.forge == ForgeKind::Github
        && let Some(item) = state.item(key).filter(|i| i.pull.is_some())
    {
        let said = format!("/pertask skip {why}");
        return there::say(&repo, &state, item, &said, &args.which.driving);
    }
    let by = repo.identity()?;
    let said = drive::change(&repo, &run, &by, |s| {
        if key == P0 {
            transition::excepted(s, why, &by, Timestamp::now())
        } else {
            transition::skipped(s, key, why, &by)
        }
    })?;
    Terminal::new().said(&said);
    drive::carry_on(&repo, &run, &args.which.driving)
}

/// `git pertask abort`.
pub(super) fn abort(args: &RunArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    context::sync(&repo, None)?;
    let run = context::run_named(&repo, args.run.as_deref())?;
    let by = repo.identity()?;
    // Whoever works on it must stop first: its result would have no place to go.
    let lock = match RunLock::take(&repo, &run) {
        Ok(lock) => lock,
        Err(e) => match e.downcast::<Held>() {
            Ok(held) => {
                return Err(usage!(
                    "process {} is working on run {run}; interrupt it first (kill -INT {})",
                    held.pid,
                    held.pid
                )
                .into());
            }
            Err(e) => return Err(e),
        },
    };
    let state = Ledger::of(&repo, &run).read()?.state;
    if state.forge == ForgeKind::Github
        && state.end.is_none()
        && there::said_by_person(&repo, &state, "/pertask abort")?
    {
        drop(lock);
        return drive::drive(&repo, &run, &Driving::default());
    }
    let said = drive::change(&repo, &run, &by, |s| {
        transition::aborted(s, &by, Timestamp::now())
    })?;
    if Ledger::of(&repo, &run).read()?.state.forge == ForgeKind::Github {
        // Its pull requests are closed.
        drop(lock);
        return drive::drive(&repo, &run, &Driving::default());
    }
    print(&format!("{said}\n"))?;
    Ok(Exit::Done)
}
