//! Decisions in a run that is reviewed on GitHub: left there as the comment that says the same, under
//! the person's own name, and acted on.

use super::cli::Driving;
use super::{Exit, context, drive, usage};
use crate::forge::{self, Target};
use crate::git::Repo;
use crate::ledger::Ledger;
use crate::plan::ForgeKind;
use crate::run::seen::PullStanding;
use crate::run::state::{Item, State};

/// Says it on the item's pull request, and carries on.
pub(super) fn say(
    repo: &Repo,
    state: &State,
    item: &Item,
    text: &str,
    driving: &Driving,
) -> anyhow::Result<Exit> {
    let run = &state.run;
    let Some(pull) = &item.pull else {
        return Err(usage!(
            "{} has no pull request yet; `git pertask continue {run}` opens it",
            item.key
        )
        .into());
    };
    let mut forge = forge::open(ForgeKind::Github, repo, context::patience())?;
    let target = Target {
        key: item.key.clone(),
        branch: format!("pertask/{run}/{}", item.branch_leaf()),
        number: Some(pull.number),
    };
    let seen = forge.look(&[target])?;
    let config = Ledger::of(repo, run);
    let snapshot = config.read()?;
    let settings = config.config(&snapshot.commit)?.github;
    let Some((viewer, there)) = seen.and_then(|s| {
        let there = s.pulls.get(&item.key).cloned()?;
        Some((s.viewer, there))
    }) else {
        return Err(usage!(
            "pull request #{} of {} is not there any more",
            pull.number,
            item.key
        )
        .into());
    };
    if viewer.bot {
        return Err(usage!(
            "the token is one of {}, which is no person: decide on {} itself, or with a token of your own",
            viewer.login,
            pull.url
        )
        .into());
    }
    let decides = text.starts_with("/pertask approve") || text.starts_with("/pertask revise");
    if decides && viewer.id == there.author.id && !settings.author_may_approve {
        return Err(usage!(
            "{} opened {}, and on GitHub nobody decides about their own pull request; somebody else reviews it there, or `author_may_approve = true` under [github] in .pertask/config.toml on the base lets its author decide",
            viewer.login,
            pull.url
        )
        .into());
    }
    forge.say(&there, text)?;
    drive::carry_on(repo, run, driving)
}

/// Says what is about the whole run on the first of its open pull requests; false when there is none,
/// or the token is no person's.
pub(super) fn said_by_person(repo: &Repo, state: &State, text: &str) -> anyhow::Result<bool> {
    let run = &state.run;
    let open = |i: &&Item| !i.is_settled() && i.pull.as_ref().is_some_and(|p| !p.closed);
    let Some(item) = state.items.iter().find(open) else {
        return Ok(false);
    };
    let mut forge = forge::open(ForgeKind::Github, repo, context::patience())?;
    let target = Target {
        key: item.key.clone(),
        branch: format!("pertask/{run}/{}", item.branch_leaf()),
        number: item.pull.as_ref().map(|p| p.number),
    };
    let Some(seen) = forge.look(&[target])? else {
        return Ok(false);
    };
    let Some(there) = seen.pulls.get(&item.key).filter(|p| {
        !seen.viewer.bot && matches!(p.standing, PullStanding::Open | PullStanding::Closed)
    }) else {
        return Ok(false);
    };
    // The author's word counts only where the base says so; the run can be ended without it.
    if seen.viewer.id == there.author.id {
        return Ok(false);
    }
    forge.say(there, text)?;
    Ok(true)
}
