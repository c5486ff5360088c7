//! `git pertask show`.

use super::cli::ShowArgs;
use super::{Exit, context, drive, print, status};
use crate::ledger::Ledger;
use crate::plan::ForgeKind;
use crate::publish;
use crate::report;
use crate::run::order::{AttemptResult, Order};
use crate::run::state::{Item, Phase};

/// `git pertask show`.
pub(super) fn run(args: &ShowArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let (run, task) = context::run_and_task(&repo, args.run.as_deref(), args.task.as_deref())?;
    let ledger = Ledger::of(&repo, &run);
    if ledger.read()?.state.forge == ForgeKind::Github
        && let Err(e) = context::fetch_run(&repo, &run)
    {
        context::seen_here(&e);
    }
    let snapshot = ledger.read()?;
    let state = &snapshot.state;
    let style = drive::style(&std::io::stdout());
    let interesting = |i: &Item| {
        matches!(
            i.phase,
            Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. }
        )
    };
    let item = match context::item_meant(state, task.as_deref(), interesting, "waits for a person")
    {
        Ok(item) => item,
        Err(e) if task.is_some() => return Err(e.into()),
        // Nothing or several to look at: the overview then.
        Err(_) => {
            let waits = status::waits(&repo, state);
            print(&report::status::text(
                state,
                &waits,
                jiff::Timestamp::now(),
                style,
            ))?;
            return Ok(Exit::Done);
        }
    };
    let number = item
        .latest_work()
        .map_or_else(|| item.next_attempt(), |a| a.number);
    let dir = publish::attempt_dir(item, number);
    let order: Option<Order> = ledger
        .file(&snapshot.commit, &format!("{dir}/order.json"))?
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let result: Option<AttemptResult> = ledger
        .file(&snapshot.commit, &format!("{dir}/result.json"))?
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let diff = match (
        &item.branch,
        item.latest_work().and_then(|a| a.commit.as_ref()),
    ) {
        // Somewhere else it may have gone on, and what it made there is not to be had.
        (Some(branch), _) if item.phase != Phase::Merged && repo.has(&branch.head) => {
            let origin = repo.merge_base(&state.run_branch.head, &branch.head)?;
            Some(repo.patch(&origin, &branch.head)?)
        }
        (_, Some(commit)) if repo.has(commit) => {
            let parents = repo.commit_info(commit)?.parents;
            parents
                .first()
                .map(|parent| repo.patch(parent, commit))
                .transpose()?
        }
        _ => None,
    };
    let plan = ledger.plan(&snapshot.commit)?;
    let success = plan.success_of(item.tasks.iter().map(|t| t.id.as_str()));
    let details = report::show::Details {
        success: &success,
        prompt: order
            .as_ref()
            .map(|o| o.prompt.as_str())
            .filter(|p| !p.is_empty()),
        checks: result.as_ref().map_or(&[], |r| r.checks.as_slice()),
        diff: diff.as_deref(),
    };
    print(&report::show::text(state, item, details, style))?;
    Ok(Exit::Done)
}
