//! The P0 rules on the run branch: judged after every merge, put right together after the last task.

use jiff::Timestamp;

use super::{Audience, Driver, orders};
use crate::attempt::checks;
use crate::git::NewCommit;
use crate::ledger::Snapshot;
use crate::publish;
use crate::report;
use crate::rules::Finding;
use crate::run::P0;
use crate::run::state::State;
use crate::run::transition;

impl Driver<'_> {
    pub(super) fn rules_named(&self) -> bool {
        self.plan.tasks.iter().any(|t| !t.rules.is_empty())
    }

    /// Judges the merged tasks' files at the head of the run branch as `state` has it, and takes the
    /// findings into the state. Returns what is new, as a second part of a message.
    pub(super) fn judged(&self, state: &mut State) -> anyhow::Result<String> {
        if !self.rules_named() {
            return Ok(String::new());
        }
        let head = state.run_branch.head.clone();
        let findings = self.findings(state, &head)?;
        let said = transition::judged(state, &head, findings);
        // A merged P0 validation brought its report along.
        let path = publish::report_path(state);
        let report = publish::report_for(state, &self.plan);
        if state.item(P0).is_some() && self.repo.file(&head, &path)? == Some(report) {
            state.compliance.reported = Some(head);
        }
        Ok(said.map(|s| format!("; {s}")).unwrap_or_default())
    }

    fn findings(&self, state: &State, commit: &str) -> anyhow::Result<Vec<Finding>> {
        let asked = publish::judged_files(state, &self.plan);
        let docs = crate::git::AtCommit::new(self.repo, &state.base.commit);
        let team = orders::rule_files(&docs)?;
        checks::rules::findings(self.repo, commit, &asked, &team, &self.plan.directory)
    }

    pub(super) fn judge(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let news = self.judged(&mut state)?;
        let said = format!("The P0 rules were run on the run branch{news}");
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    pub(super) fn validate(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let path = publish::report_path(&state);
        let said = transition::validation_opened(&mut state, &path);
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    /// Writes the report onto the run branch, unless it says this already.
    pub(super) fn report(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let head = state.run_branch.head.clone();
        let path = publish::report_path(&state);
        let text = publish::report_for(&state, &self.plan);
        let commit = if self.repo.file(&head, &path)?.as_ref() == Some(&text) {
            head
        } else {
            let edit = vec![(path, Some(text))];
            let tree = self
                .repo
                .with_files(Some(&self.repo.tree_of(&head)?), &edit)?;
            self.repo.commit(&NewCommit {
                tree: &tree,
                parents: std::slice::from_ref(&head),
                message: &report::commit::report_message(&state),
                author: &self.by,
                committer: &self.by,
                time: Timestamp::now(),
            })?
        };
        let said = transition::reported(&mut state, &commit);
        self.record(snapshot, state, &said, Vec::new(), audience)
    }
}
