//! Rules and gate on the head of a run's branch.

use super::super::cli::CheckFormat;
use super::super::{Exit, context, drive, print};
use crate::attempt::checks::rules::findings;
use crate::driver::{gate, orders};
use crate::git::AtCommit;
use crate::ledger::Ledger;
use crate::publish;
use crate::report;
use crate::rules::Finding;

/// Judges what is on the run branch now, and computes the gate. Commands of the gate are not run:
/// what is on record for this head is shown, or that nothing is.
pub(super) fn run(name: Option<&str>, format: CheckFormat) -> anyhow::Result<Exit> {
    let repo = context::repository()?;
    let run = context::run_named(&repo, name)?;
    let ledger = Ledger::of(&repo, &run);
    let mut snapshot = ledger.read()?;
    let plan = ledger.plan(&snapshot.commit)?;
    let config = ledger.config(&snapshot.commit)?;
    let state = &mut snapshot.state;
    let files = publish::judged_files(state, &plan);
    let team = orders::rule_files(&AtCommit::new(&repo, &state.base.commit))?;
    let head = &state.run_branch.head;
    // What is found now, not what was found when the last task was merged.
    state.compliance.findings = findings(&repo, head, &files, &team, &plan.directory)?;
    let state = &snapshot.state;
    let findings: Vec<Finding> = state.compliance.open_findings().cloned().collect();
    let items = gate::items(
        &gate::Look {
            repo: &repo,
            ledger: &ledger,
            snapshot: &snapshot,
            plan: &plan,
            config: &config,
        },
        None,
    )?;
    super::say(format, &findings, Some(&items))?;
    if format == CheckFormat::Text {
        let style = drive::style(&std::io::stdout());
        let rules = match findings.len() {
            0 => "The rules find nothing in the tasks' files.\n\n",
            _ => "\n",
        };
        print(rules)?;
        print(&report::status::checklist(state, &items, style))?;
    }
    Ok(super::exit(&findings, &items))
}
