//! `git pertask status`.

use jiff::Timestamp;

use super::cli::StatusArgs;
use super::{Exit, context, drive, print};
use crate::driver::home;
use crate::driver::orders::Orders;
use crate::git::Repo;
use crate::ledger::Ledger;
use crate::plan::ForgeKind;
use crate::report;
use crate::run::decide::{Facts, Wait, decide};
use crate::run::state::{Item, Phase, State};

/// `git pertask status`.
pub(super) fn run(args: &StatusArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let state = match named(&repo, args) {
        Ok(state) if state.forge == ForgeKind::Local => state,
        // Somewhere else it may have gone on, or begun.
        here => match (context::sync(&repo, None), here) {
            (Ok(()), _) => named(&repo, args)?,
            (Err(e), Ok(state)) => {
                context::seen_here(&e);
                state
            }
            (Err(_), here) => here?,
        },
    };
    let waits = waits(&repo, &state);
    let now = Timestamp::now();
    if args.json {
        let json = report::status::json(&state, &waits, now);
        print(&format!("{}\n", serde_json::to_string_pretty(&json)?))?;
    } else {
        print(&report::status::text(
            &state,
            &waits,
            now,
            drive::style(&std::io::stdout()),
        ))?;
    }
    Ok(Exit::Done)
}

fn named(repo: &Repo, args: &StatusArgs) -> anyhow::Result<State> {
    let run = context::run_named(repo, args.run.as_deref())?;
    Ok(Ledger::of(repo, &run).read()?.state)
}

/// What the run waits for, as far as the ledger alone says; refs are not looked at.
pub(super) fn waits(repo: &Repo, state: &State) -> Vec<Wait> {
    let in_actions = |item: &Item| matches!(&item.phase, Phase::Running { claim } if claim.holder.workflow.is_some());
    let mut facts = Facts {
        now: Timestamp::now(),
        // There as many begin as are ready; how many a process here may run is not known.
        slots: usize::from(state.items.iter().any(in_actions)),
        base_built: true,
        gate_seen: true,
        ..Facts::default()
    };
    // Without them nothing is known of limits; that is no reason to say nothing.
    let ledger = Ledger::of(repo, &state.run);
    if let Ok(Some(tip)) = ledger.tip()
        && let (Ok(plan), Ok(config)) = (ledger.plan(&tip), ledger.config(&tip))
    {
        let orders = Orders {
            repo,
            plan: &plan,
            config: &config,
            state,
        };
        facts.agents = orders.agents();
        facts.may_cost = orders.may_cost();
        facts.limits = Some(config.limits.clone());
    }
    for item in &state.items {
        if let Phase::Running { claim } = &item.phase
            && home::is_gone(&claim.holder)
        {
            facts.gone.insert(claim.id.clone());
        }
    }
    decide(state, &facts).waits
}
