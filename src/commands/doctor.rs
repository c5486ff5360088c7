//! `git pertask doctor`.

use super::cli::DoctorArgs;
use super::{Exit, drive, print, usage};
use crate::doctor::{self, Level};

/// `git pertask doctor`.
pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<Exit> {
    let dir =
        std::env::current_dir().map_err(|e| usage!("the current folder cannot be read: {e}"))?;
    let report = doctor::examine(&dir, args.forge);
    if args.json {
        print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&report.json())?
        ))?;
    } else {
        print(&report.text(drive::style(&std::io::stdout())))?;
    }
    Ok(match report.worst() {
        Level::Ok | Level::Warn => Exit::Done,
        Level::Bad => Exit::PersonNeeded,
    })
}
