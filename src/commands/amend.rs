//! `git pertask amend`: the plan or the configuration turned out wrong after the first review.

use jiff::Timestamp;

use super::cli::{AmendArgs, Settings};
use super::context;
use super::{Exit, print};
use crate::driver::home::RunLock;
use crate::forge;
use crate::git::{NewCommit, Repo};
use crate::ledger::{Ledger, Snapshot};
use crate::plan::ForgeKind;
use crate::publish;
use crate::run::amend::{self, Amendment};
use crate::run::decide::Standing;
use crate::run::state::{Person, State};
use crate::run::transition::NotPossible;

/// `git pertask amend`.
pub(super) fn run(args: &AmendArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    context::sync(&repo, None)?;
    let run = context::run_named(&repo, args.run.as_deref())?;
    let by = repo.identity()?;
    let lock = RunLock::take(&repo, &run)?;
    let kind = Ledger::of(&repo, &run).read()?.state.forge;
    let forge = forge::open(kind, &repo, context::patience())?;
    let ledger = Ledger::of(&repo, &run).kept_at(forge.remote().cloned());
    let snapshot = ledger.read()?;
    let state = &snapshot.state;
    let (plan, config) = (
        ledger.plan(&snapshot.commit)?,
        ledger.config(&snapshot.commit)?,
    );
    // The choices made on the command line at the start hold on where the base says nothing new.
    let settings = Settings {
        forge: Some(kind),
        base: Some(state.base.branch.clone()),
        params: plan
            .parameters
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect(),
        ..Settings::default()
    };
    let then = context::prepare(
        &repo,
        &state.plan,
        &Settings {
            // A commit is read where it is, whoever reviews.
            forge: Some(ForgeKind::Local),
            base: Some(state.base.commit.clone()),
            ..settings.clone()
        },
    )?;
    let now = context::prepare(&repo, &state.plan, &settings)?;
    let mut wanted = now.config.clone();
    if config.agent != then.config.agent {
        wanted.agent.clone_from(&config.agent);
    }
    if config.checkpoint != then.config.checkpoint {
        wanted.checkpoint = config.checkpoint;
    }
    let amendment = amend::amend(state, (&plan, &config), (&now.loaded.plan, &wanted))?;
    let at = &now.base.commit;
    print(&shown(&amendment, &state.base.branch, at))?;
    if amendment.changes.is_empty() && *at == state.base.commit {
        return Ok(Exit::Done);
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    taken_in(&ledger, state)?;
    record(&repo, &ledger, &snapshot, amendment, at, &by)?;
    drop(lock);
    print(&format!("Recorded. Go on: git pertask continue {run}\n"))?;
    Ok(Exit::Done)
}

/// Nothing is put onto the run branch before what others put there is taken in: it would go astray.
fn taken_in(ledger: &Ledger<'_>, state: &State) -> anyhow::Result<()> {
    let branch = &state.run_branch;
    let at = ledger.standing(&branch.name, &branch.head)?;
    if let Standing::Ahead { .. } | Standing::Diverged { .. } = at {
        return Err(NotPossible(format!(
            "somebody has committed on {}, which run {run} has not taken in yet: `git pertask continue {run}`, then amend it",
            branch.name,
            run = state.run
        ))
        .into());
    }
    Ok(())
}

fn shown(amendment: &Amendment, branch: &str, commit: &str) -> String {
    use std::fmt::Write as _;
    let place = format!("{branch} at {}", crate::run::transition::short(commit));
    let mut out = String::new();
    if amendment.changes.is_empty() {
        let _ = writeln!(
            out,
            "Nothing changes for what has not started; read from {place}."
        );
    } else {
        let _ = writeln!(out, "From {place}:");
        for change in &amendment.changes {
            let _ = writeln!(out, "- {change}");
        }
    }
    if !amendment.too_late.is_empty() {
        out.push_str("Not applied, because the task has started:\n");
        for change in &amendment.too_late {
            let _ = writeln!(out, "- {change}");
        }
    }
    out
}

/// Records the amendment; the plan's documents on the run branch become those of the base, so that
/// the next agents read what the prompts speak of.
fn record(
    repo: &Repo,
    ledger: &Ledger<'_>,
    snapshot: &Snapshot,
    amendment: Amendment,
    base: &str,
    by: &Person,
) -> anyhow::Result<()> {
    let now = Timestamp::now();
    let mut state = snapshot.state.clone();
    let folder = format!(".pertask/{}", state.plan);
    let mut edits = Vec::new();
    for change in repo.changes(&state.run_branch.head, base)? {
        let ours = change.path.starts_with(&format!("{folder}/"))
            && !publish::is_log(&state, &change.path);
        if ours && let Some(after) = change.after {
            edits.push((change.path, Some((after.mode, after.oid))));
        }
    }
    if !edits.is_empty() {
        let tree = repo.with_entries(Some(&repo.tree_of(&state.run_branch.head)?), &edits)?;
        let message = format!(
            "[{}] Take the amended documents of the plan\n\nFrom {} at {base}.\n\nPertask-Run: {}\n",
            state.run, state.base.branch, state.run
        );
        state.run_branch.head = repo.commit(&NewCommit {
            tree: &tree,
            parents: std::slice::from_ref(&state.run_branch.head),
            message: &message,
            author: by,
            committer: by,
            time: now,
        })?;
    }
    base.clone_into(&mut state.base.commit);
    state.items = amendment.items;
    // Tasks may be asked about other rules from now on.
    state.compliance.judged = None;
    state.checkpoint = amendment.config.checkpoint;
    state.merge = amendment.config.merge;
    state.title.clone_from(&amendment.plan.title);
    let mut said = format!("Plan amended by {} from {}", by.name, state.base.branch);
    if !amendment.changes.is_empty() {
        said.push_str("\n\n");
        said.push_str(&amendment.changes.join("\n"));
    }
    ledger.amend(
        snapshot,
        state,
        &amendment.plan,
        &amendment.config,
        &said,
        by,
        now,
    )?;
    Ok(())
}
