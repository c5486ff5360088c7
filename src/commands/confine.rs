//! `git pertask confine`: what stands before the commands of agents and checks.

use super::cli::ConfineArgs;
use super::{Exit, usage};
use crate::attempt::sandbox::{self, Policy};

/// `git pertask confine`: becomes the program, or says why not.
pub(super) fn run(args: &ConfineArgs) -> anyhow::Result<Exit> {
    let policy = Policy::load(&args.policy)?;
    let error = sandbox::confine(&policy, &args.command);
    Err(usage!("{error:#}").into())
}
