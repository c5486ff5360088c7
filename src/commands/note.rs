//! `git pertask note`: a reviewer's finding that no rule sees.

use jiff::Timestamp;

use super::cli::NoteArgs;
use super::{Exit, context, drive, print, usage};
use crate::ledger::Ledger;
use crate::run::transition;

/// `git pertask note`. It is put right with all other violations after the last task; it stops
/// nothing, and starts nothing.
pub(super) fn run(args: &NoteArgs) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let (run, task) = context::run_and_task(&repo, args.run.as_deref(), args.task.as_deref())?;
    let text = args.message.trim();
    if text.is_empty() {
        return Err(usage!("nothing was said, so nothing is noted").into());
    }
    // A wrong name is bad usage, and says which there are.
    if let Some(task) = &task {
        let state = Ledger::of(&repo, &run).read()?.state;
        context::item_meant(&state, Some(task), |_| true, "")?;
    }
    let by = repo.identity()?;
    let said = drive::change(&repo, &run, &by, |s| {
        transition::noted(s, task.as_deref(), text, &by, Timestamp::now())
    })?;
    print(&format!("{said}\n"))?;
    Ok(Exit::Done)
}
