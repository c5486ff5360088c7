//! Orders that are carried out elsewhere: claimed, recorded and handed out by id; builds among them,
//! so that the process that hands out runs nothing of the repository.
//!
//! Crashes: an order that was recorded but never handed out is freed when the workflow run it was
//! claimed for is over. Races: what comes back is taken in under the claim it was handed out with,
//! or not at all.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::acts::{claim_id, time_limit};
use super::home;
use super::orders::Orders;
use super::{Audience, Driver, Handed, Hands, gate};
use crate::ledger::{Snapshot, to_json};
use crate::plan::Sandbox;
use crate::publish;
use crate::run::BASE;
use crate::run::order::{
    CheckCommand, CheckKind, CheckOutcome, Design, Order, OrderKind, SCHEMA, Scope,
};
use crate::run::state::{Claim, Holder, State};
use crate::run::transition;

/// How long a claim holds beside the time limits of what it is for: a job may wait a day for a
/// self-hosted runner (GitHub's limits of Actions). Lost jobs are known long before, by their run.
const QUEUED: Duration = Duration::from_hours(25);

impl Driver<'_> {
    /// Whether orders are for others to carry out.
    pub(super) fn hands_out(&self) -> bool {
        matches!(self.options.hands, Hands::Jobs(_))
    }

    /// Claims the item's next order for a job, records it and hands it out.
    pub(super) fn hand_out(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let item = snapshot.state.item(key).context("the item is gone")?;
        let orders = Orders {
            repo: self.repo,
            plan: &self.plan,
            config: &self.config,
            state: &snapshot.state,
        };
        let order = orders.next(item)?;
        let dir = publish::attempt_dir(item, order.attempt);
        let (claim, order) = self.claim_for_job(&state, order)?;
        let said = transition::claimed(&mut state, key, claim.clone())?;
        self.give(snapshot, state, &said, &dir, claim, &order, audience)
    }

    /// The same for the build of the base, or for the commands of the final checklist.
    pub(super) fn hand_out_build(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let commit = if key == BASE {
            state.base.commit.clone()
        } else {
            state.run_branch.head.clone()
        };
        let checks = if key == BASE {
            commands(&self.plan.build, CheckKind::Build)
        } else {
            gate::order(&self.plan)
        };
        if checks.is_empty() {
            return if key == BASE {
                self.base_built = true;
                let said = transition::base_built(&mut state, Vec::new(), Timestamp::now());
                self.record(snapshot, state, &said, Vec::new(), audience)
            } else {
                self.gate(snapshot, state, audience)
            };
        }
        let order = Order {
            schema: SCHEMA,
            run: state.run.clone(),
            item: key.to_owned(),
            tasks: Vec::new(),
            round: 1,
            attempt: state.builds + 1,
            kind: OrderKind::Build,
            base: commit.clone(),
            origin: commit.clone(),
            start_tree: self.repo.tree_of(&commit)?,
            branch: "build".to_owned(),
            prompt: String::new(),
            prompt_sha256: String::new(),
            agent: None,
            scope: Scope {
                files: Vec::new(),
                allow: Vec::new(),
                requires: Vec::new(),
            },
            checks,
            directory: self.plan.directory.clone(),
            check_timeout_s: self.plan.check_timeout_s,
            rules: Vec::new(),
            rule_files: Vec::new(),
            waived: Vec::new(),
            design: Design::default(),
            sparse: self.plan.sparse.clone(),
            sandbox: self.config.sandbox,
            claim: None,
        };
        let dir = publish::build_dir(key, order.attempt);
        let (claim, order) = self.claim_for_job(&state, order)?;
        let said = transition::build_claimed(&mut state, key, &commit, claim.clone());
        self.give(snapshot, state, &said, &dir, claim, &order, audience)
    }

    fn claim_for_job(&self, state: &State, mut order: Order) -> anyhow::Result<(Claim, Order)> {
        let Hands::Jobs(workflow) = &self.options.hands else {
            anyhow::bail!("there is nobody to hand an order to");
        };
        // With nobody there to read a warning, an agent is confined or does not run.
        if order.sandbox == Sandbox::Auto {
            order.sandbox = Sandbox::Require;
        }
        let now = Timestamp::now();
        let id = claim_id(state, &order.item, now);
        order.claim = Some(id.clone());
        let claim = Claim {
            id,
            attempt: order.attempt,
            kind: order.kind,
            holder: Holder {
                workflow: Some(workflow.clone()),
                ..home::myself()
            },
            since: now,
            deadline: now + QUEUED + Duration::from_secs(time_limit(&order)),
            order: Some(self.repo.write_blob(&to_json(&order))?),
            may_cost_cents: order.may_cost_cents(),
        };
        Ok((claim, order))
    }

    #[expect(clippy::too_many_arguments, reason = "one record, all of it")]
    fn give(
        &mut self,
        snapshot: &Snapshot,
        state: State,
        said: &str,
        dir: &str,
        claim: Claim,
        order: &Order,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let added = self.with_order(dir, order)?;
        let run = state.run.clone();
        self.record_with(snapshot, state, said, added, audience)?;
        let handed = Handed {
            run,
            task: order.item.clone(),
            attempt: order.attempt.to_string(),
            order: claim.order.unwrap_or_default(),
        };
        self.handed.push((claim.id, handed));
        Ok(())
    }

    /// Records what came of a build that was handed out.
    pub(super) fn publish_build(
        &mut self,
        snapshot: &Snapshot,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let Some(building) = &snapshot.state.building else {
            return Ok(());
        };
        let key = building.key.clone();
        let stored = self.stored_result(&snapshot.state, &key, &building.claim)?;
        let Some((_, result, folder)) = stored else {
            return Ok(());
        };
        let mut state = snapshot.state.clone();
        let commit = transition::build_ended(&mut state, &result)?;
        let ran: Vec<CheckOutcome> = result
            .checks
            .iter()
            .filter(|c| matches!(c.kind, CheckKind::Build | CheckKind::Command))
            .cloned()
            .collect();
        let dir = publish::build_dir(&key, result.attempt);
        let files = vec![(format!("{dir}/result.json"), to_json(&result))];
        let said = if key == BASE {
            transition::base_built(&mut state, ran, Timestamp::now())
        } else if commit == state.run_branch.head {
            let ran = gate::Ran::of(&ran);
            let look = gate::Look {
                repo: self.repo,
                ledger: &self.ledger,
                snapshot,
                plan: &self.plan,
                config: &self.config,
            };
            let items = gate::items(&look, Some(&ran))?;
            transition::gate_seen(&mut state, items, Timestamp::now())
        } else {
            "The run branch has moved on; the final checklist is looked at again".to_owned()
        };
        self.record(snapshot, state, &said, files, audience)?;
        folder.remove();
        Ok(())
    }
}

fn commands(lists: &[Vec<String>], kind: CheckKind) -> Vec<CheckCommand> {
    let one = |command: &Vec<String>| CheckCommand {
        kind,
        command: command.clone(),
    };
    lists.iter().map(one).collect()
}
