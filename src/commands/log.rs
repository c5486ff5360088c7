//! `git pertask log`.

use super::cli::RunArgs;
use super::{Exit, context, drive, print};
use crate::ledger::Ledger;
use crate::report;

/// `git pertask log`.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let run = context::run_named(&repo, args.run.as_deref())?;
    let steps = Ledger::of(&repo, &run).history()?;
    print(&report::history::text(
        &steps,
        drive::style(&std::io::stdout()),
    ))?;
    Ok(Exit::Done)
}
