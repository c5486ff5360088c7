//! `git pertask ci publish`: takes in what a job handed on, shows it, and wakes the workflow when there
//! is more to do. Runs nothing of what the job made.

use jiff::Timestamp;

use super::super::cli::CiPublishArgs;
use super::super::{Exit, context, print};
use super::teller::{self, Teller};
use super::{Site, claimed, interruptible, order_in, pull_request, standing};
use crate::attempt::folder::{self, Folder};
use crate::ci::artifact::{self, Expected};
use crate::ci::schema::{ANSWERS, Published, Standing};
use crate::driver::home::{Home, RunLock};
use crate::driver::trust::{self, Pinned};
use crate::driver::{Audience as _, Begun, Driver, Hands, Options};
use crate::forge::{self, Forge as _};
use crate::git::Repo;
use crate::ledger::{Ledger, LedgerError};
use crate::plan::ForgeKind;
use crate::run::transition;

/// `git pertask ci publish`.
pub(super) fn run(args: &CiPublishArgs, teller: &mut Teller) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let mut site = Site::open(&repo).map_err(|e| context::explained(&repo, e))?;
    publish(&repo, &mut site, args, teller).map_err(|e| context::explained(&repo, e))
}

fn publish(
    repo: &Repo,
    site: &mut Site,
    args: &CiPublishArgs,
    teller: &mut Teller,
) -> anyhow::Result<Exit> {
    let run = &args.order.run;
    let _lock = RunLock::take(repo, run)?;
    let ledger = Ledger::of(repo, run).kept_at(site.forge.remote().cloned());
    ledger.refresh(&site.branch)?;
    let snapshot = ledger.read()?;
    let pinned = trust::examine(repo, run, &snapshot, &site.trusted)?;
    let state = &snapshot.state;
    let Some((claim, leaf)) = claimed(state, &args.order.task, &args.order.order) else {
        teller.said(
            "The order is not current any more: its result was recorded already, or it was taken back",
        );
        // Where the job failed after it had recorded, and is run again, the rest is still to be done.
        return rest(repo, site, args, pinned, teller, true);
    };
    let order = order_in(repo, &args.order.order, state, &args.order.task)?;
    let expected = Expected {
        order: &order,
        claim: &claim.id,
        now: Timestamp::now(),
    };
    let result = match artifact::receive(repo, &args.result, expected)? {
        Ok(Some(result)) => result,
        Ok(None) => {
            lost(repo, &ledger, site, args, teller)?;
            // Whoever comes next decides whether it is tried again: a run that was cancelled is not
            // to begin anew by itself.
            return rest(repo, site, args, pinned, teller, false);
        }
        Err(refused) => {
            teller.warn(&format!("What the job handed on is refused: {refused}"));
            artifact::instead(&order, &claim.id, &refused, Timestamp::now())
        }
    };
    let interrupted = result.verdict == crate::run::order::Verdict::Interrupted;
    // Where the loop finds what is to be recorded.
    let folder = Home::of(repo)?.attempt(run, &leaf, claim.attempt);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    let folder = Folder::open(folder)?;
    if result.tree.is_some() {
        let from = args.result.join(artifact::OUTPUT);
        artifact::take_outputs(&from, &folder.output())?;
    }
    let begun = Begun {
        order,
        claim: claim.id.clone(),
        slot: 0,
    };
    folder.write(folder::ORDER, &begun)?;
    folder.write(folder::RESULT, &result)?;
    rest(repo, site, args, pinned, teller, !interrupted)
}

/// The job was lost, or cancelled, before it could hand anything on.
fn lost(
    repo: &Repo,
    ledger: &Ledger<'_>,
    site: &Site,
    args: &CiPublishArgs,
    teller: &mut Teller,
) -> anyhow::Result<()> {
    for _ in 0..5 {
        let snapshot = ledger.read()?;
        trust::examine(repo, &args.order.run, &snapshot, &site.trusted)?;
        let mut state = snapshot.state.clone();
        if claimed(&state, &args.order.task, &args.order.order).is_none() {
            return Ok(());
        }
        let why = "its job ended without handing anything on";
        let said = transition::freed(&mut state, &args.order.task, why)?;
        let now = Timestamp::now();
        match ledger.append(&snapshot, state, &said, Vec::new(), &site.by, now) {
            Ok(_) => {
                teller.said(&said);
                return Ok(());
            }
            Err(LedgerError::Raced(_)) => ledger.refresh(&site.branch)?,
            Err(e) => return Err(e.into()),
        }
    }
    Err(LedgerError::Raced(args.order.run.clone()).into())
}

/// Records and shows, leaves the rest to the next run of the workflow, and wakes it.
fn rest(
    repo: &Repo,
    site: &mut Site,
    args: &CiPublishArgs,
    pinned: Pinned,
    teller: &mut Teller,
    wake: bool,
) -> anyhow::Result<Exit> {
    let run = &args.order.run;
    let options = Options {
        jobs: 1,
        cancel: interruptible()?,
        hands: Hands::Nobody,
        pinned: Some(pinned),
        by: Some(site.by.clone()),
        again: false,
    };
    let forge = forge::open(ForgeKind::Github, repo, context::patience())?;
    let mut driver = Driver::new(repo, run, forge, options)?;
    let rest = driver.run(teller)?;
    let state = &rest.snapshot.state;
    let stands = standing(&rest.snapshot, &rest.waits);
    let pull = state
        .item(&args.order.task)
        .and_then(|i| i.pull.as_ref().map(|p| p.url.clone()))
        .or_else(|| pull_request(state));
    if rest.more && wake && !rest.interrupted {
        let (file, branch) = woken(&site.branch);
        site.forge.wake(&file, &branch)?;
        teller.said("There is more to do: the workflow was woken");
    }
    teller.finish();
    let said = Published {
        schema: ANSWERS,
        standing: Standing {
            run: run.clone(),
            state: stands.clone(),
            pull_request: pull.clone(),
        },
    };
    print(&format!("{}\n", serde_json::to_string(&said)?))?;
    teller::outputs(&[
        ("run", run),
        ("state", &stands),
        ("pull-request", &pull.unwrap_or_default()),
    ])?;
    let interrupted = rest.interrupted;
    Teller::runs(&[(rest.snapshot, rest.waits)], &site.web)?;
    if interrupted {
        return Ok(Exit::Interrupted);
    }
    Ok(Exit::Done)
}

/// Which workflow is to be woken, and where: the one this job is of, on the default branch.
fn woken(default: &str) -> (String, String) {
    let of_job = std::env::var("GITHUB_WORKFLOW_REF").unwrap_or_default();
    let file = of_job
        .split('@')
        .next()
        .and_then(|path| path.split_once("/.github/workflows/"))
        .map_or("pertask.yml", |(_, name)| name);
    (file.to_owned(), default.to_owned())
}
