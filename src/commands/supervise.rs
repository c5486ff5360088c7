//! `git pertask supervise`: what stands between us and the commands of agents and checks.

use std::time::Duration;

use super::Exit;
use super::cli::SuperviseArgs;
use crate::attempt::process::{Orders, supervise};

/// `git pertask supervise`: runs the program and ends as it does.
pub(super) fn run(args: SuperviseArgs) -> anyhow::Result<Exit> {
    let code = supervise(&Orders {
        notes: args.notes,
        parent: args.parent,
        grace: Duration::from_millis(args.grace),
        command: args.command,
    })?;
    std::process::exit(code.into())
}
