//! `git pertask ci decide`: brings every run on GitHub up to what people decided, and hands out the
//! orders that are ready.

use super::super::cli::{CiDecideArgs, ModeChoice, Settings};
use super::super::{Exit, context, print, start, usage};
use super::teller::{self, Teller};
use super::{Site, interruptible, open_runs, pull_request, standing, workflow};
use crate::attempt::process::Cancel;
use crate::ci::schema::{Decided, Standing};
use crate::ci::{self, Asks};
use crate::driver::home::RunLock;
use crate::driver::trust;
use crate::driver::{Audience as _, Driver, Hands, Options, Rest};
use crate::forge;
use crate::git::Repo;
use crate::ledger::Ledger;
use crate::plan::ForgeKind;

/// Most orders at a time: the limit of a job matrix
/// (<https://docs.github.com/en/actions/reference/limits>).
const MOST: usize = 256;

/// `git pertask ci decide`.
pub(super) fn run(args: &CiDecideArgs, teller: &mut Teller) -> anyhow::Result<Exit> {
    let mut said = Decided::default();
    let mut exit = Exit::Done;
    match asks(args)? {
        Asks::Nothing { why } => teller.said(&format!("Nothing to do: {why}")),
        asks => match act(asks, args, &mut said, teller) {
            Ok(done) => exit = done,
            Err(e) => {
                // What was handed out before is carried out.
                answer(&said, teller)?;
                return Err(e);
            }
        },
    }
    answer(&said, teller)?;
    Ok(exit)
}

/// Says it on stdout, and to the jobs that follow.
fn answer(said: &Decided, teller: &mut Teller) -> anyhow::Result<()> {
    teller.finish();
    print(&format!("{}\n", serde_json::to_string(&said)?))?;
    let of_runs = |what: fn(&Standing) -> &str| -> String {
        let all: Vec<&str> = said
            .runs
            .iter()
            .map(what)
            .filter(|t| !t.is_empty())
            .collect();
        all.join(" ")
    };
    teller::outputs(&[
        ("run", &of_runs(|r| &r.run)),
        ("state", &of_runs(|r| &r.state)),
        ("orders", &serde_json::to_string(&said.orders)?),
        (
            "pull-request",
            &of_runs(|r| r.pull_request.as_deref().unwrap_or_default()),
        ),
    ])
}

/// What is asked for: by arguments, by the event, or that all go on.
fn asks(args: &CiDecideArgs) -> anyhow::Result<Asks> {
    if let Some(plan) = &args.plan {
        return Ok(Asks::Start {
            plan: plan.clone(),
            mode: args.mode.map(|m| m.word().to_owned()),
            agent: args.agent.clone(),
            parameters: args.params.clone(),
        });
    }
    let name = args.event_name.clone().or_else(|| {
        std::env::var("GITHUB_EVENT_NAME")
            .ok()
            .filter(|n| !n.is_empty())
    });
    let Some(name) = name else {
        return Ok(Asks::GoOn { by: None });
    };
    let path = args
        .event
        .clone()
        .or_else(|| std::env::var_os("GITHUB_EVENT_PATH").map(Into::into));
    let payload = path.and_then(|p| std::fs::read(p).ok());
    let repository = std::env::var("GITHUB_REPOSITORY").unwrap_or_default();
    if repository.is_empty() {
        return Err(usage!(
            "an event is read for one repository: set GITHUB_REPOSITORY to owner/name"
        )
        .into());
    }
    Ok(ci::read(&name, payload.as_deref(), &repository))
}

fn act(
    asks: Asks,
    args: &CiDecideArgs,
    said: &mut Decided,
    teller: &mut Teller,
) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let mut site = Site::open(&repo).map_err(|e| context::explained(&repo, e))?;
    let cancel = interruptible()?;
    if let Asks::GoOn { by: Some(actor) } = &asks
        && !site.forge.may_write(&actor.login)?
    {
        teller.said(&format!(
            "Nothing to do: {} may not write to the repository",
            crate::text::line(&actor.login)
        ));
        return Ok(Exit::Done);
    }
    if let Asks::Start {
        plan,
        mode,
        agent,
        parameters,
    } = asks
    {
        let mode = match mode.as_deref() {
            Some("per-task") => ModeChoice::PerTask,
            Some("batch") => ModeChoice::Batch,
            _ => ModeChoice::Auto,
        };
        let settings = Settings {
            forge: Some(ForgeKind::Github),
            mode,
            agent,
            params: parameters,
            base: Some(site.branch.clone()),
            ..Settings::default()
        };
        if let Some(run) = begun_before(&repo, &plan)? {
            teller.said(&format!("Run {run} was started before; it goes on"));
        } else {
            let prepared = context::prepare(&repo, &plan, &settings)?;
            start::create(&repo, prepared, &site.by)?;
        }
    }
    let runs = match &args.run {
        Some(run) => vec![context::run_named(&repo, Some(run))?],
        None => open_runs(&repo, teller)?,
    };
    let mut worst = Exit::Done;
    let mut stood = Vec::new();
    for run in runs {
        // What stands in the way of one run is no reason to leave the others where they are.
        match drive(&repo, &run, &site, &cancel, args, said, teller) {
            Ok(rest) => {
                if rest.interrupted {
                    worst = Exit::Interrupted;
                }
                stood.push((rest.snapshot, rest.waits));
            }
            Err(e) => {
                let e = context::explained(&repo, e);
                teller.error(&e);
                worst = super::super::classify(&e);
            }
        }
    }
    Teller::runs(&stood, &site.web)?;
    Ok(worst)
}

/// The run that an earlier attempt of this workflow run has started, when somebody pressed "Re-run".
fn begun_before(repo: &Repo, plan: &str) -> anyhow::Result<Option<String>> {
    if workflow().attempt == 1 {
        return Ok(None);
    }
    let mut runs = context::all_runs(repo)?.into_iter();
    let open = runs.find(|(_, s)| s.state.plan == plan && s.state.end.is_none());
    Ok(open.map(|(run, _)| run))
}

fn drive(
    repo: &Repo,
    run: &str,
    site: &Site,
    cancel: &Cancel,
    args: &CiDecideArgs,
    said: &mut Decided,
    teller: &mut Teller,
) -> anyhow::Result<Rest> {
    let _lock = RunLock::take(repo, run)?;
    let snapshot = Ledger::of(repo, run).read()?;
    let pinned = trust::examine(repo, run, &snapshot, &site.trusted)?;
    let options = Options {
        jobs: MOST.saturating_sub(said.orders.len()),
        cancel: cancel.clone(),
        hands: Hands::Jobs(workflow()),
        pinned: Some(pinned),
        by: Some(site.by.clone()),
        again: args.again,
    };
    let forge = forge::open(ForgeKind::Github, repo, context::patience())?;
    let mut driver = Driver::new(repo, run, forge, options)?;
    let rest = driver.run(teller);
    // Claimed is claimed: they are carried out, whatever went wrong afterwards.
    said.orders.extend(driver.handed());
    let rest = rest?;
    said.runs.push(Standing {
        run: run.to_owned(),
        state: standing(&rest.snapshot, &rest.waits),
        pull_request: pull_request(&rest.snapshot.state),
    });
    Ok(rest)
}
