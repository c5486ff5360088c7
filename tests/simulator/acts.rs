//! What the driver of the simulation does about attempts and builds: `src/driver/acts.rs`, `hand.rs` and
//! `validation.rs`.

use std::rc::Rc;
use std::time::Duration;

use git_pertask::driver::Handed;
use git_pertask::driver::orders::plain;
use git_pertask::publish::{judged_files, log_for, log_path, report_for, report_path};
use git_pertask::run::order::{CheckKind, CheckOutcome, Order, OrderKind};
use git_pertask::run::state::{Claim, Phase, State};
use git_pertask::run::transition;
use git_pertask::run::{BASE, GATE, P0};

use super::content::findings;
use super::driver::{Driver, Hands};
use super::gate;
use super::orders::outcomes;
use super::random::id_of;
use super::store::{Record, Snapshot, Step};
use super::worker::{Folder, Stage, Worker};
use super::world::{Fail, pause};

const CLAIM_SLACK: Duration = Duration::from_mins(15);
const QUEUED: Duration = Duration::from_hours(25);

impl Driver {
    /// `Driver::judged`.
    pub fn judged(&self, state: &mut State) -> String {
        if !self.rules_named() {
            return String::new();
        }
        let head = state.run_branch.head.clone();
        let w = self.sim.w();
        let tree = w.git.tree(&w.git.tree_of(&head));
        let found = findings(&tree, &judged_files(state, &self.plan));
        let said = transition::judged(state, &head, found);
        let report = String::from_utf8(report_for(state, &self.plan)).expect("text");
        if state.item(P0).is_some() && w.git.file(&head, &report_path(state)) == Some(report) {
            state.compliance.reported = Some(head);
        }
        said.map(|s| format!("; {s}")).unwrap_or_default()
    }

    pub fn rules_named(&self) -> bool {
        self.plan.tasks.iter().any(|t| !t.rules.is_empty())
    }

    /// `Driver::report`.
    pub async fn report(&mut self, snapshot: &Snapshot, mut state: State) -> Result<(), Fail> {
        let now = self.now();
        let commit = {
            let mut w = self.sim.w();
            let head = state.run_branch.head.clone();
            let path = report_path(&state);
            let text = String::from_utf8(report_for(&state, &self.plan)).expect("text");
            if w.git.file(&head, &path).as_ref() == Some(&text) {
                head
            } else {
                let word = w.git.text(&text);
                let tree = w.git.tree_of(&head);
                let tree = w.git.with(&tree, &[(&path, Some(&word))]);
                w.git.commit(&tree, &[head], &self.by, now)
            }
        };
        let said = transition::reported(&mut state, &commit);
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::publish`.
    pub async fn publish(&mut self, snapshot: &Snapshot, key: &str) -> Result<(), Fail> {
        if key == BASE || key == GATE {
            return self.publish_build(snapshot).await;
        }
        let state = snapshot.state();
        let Some(item) = state.item(key) else {
            return Err(Fail::Error("the item to publish is gone".to_owned()));
        };
        let Phase::Running { claim } = &item.phase else {
            return Ok(());
        };
        let leaf = item.branch_leaf();
        let Some((order, result, _)) = self.stored_result(&leaf, claim) else {
            return Ok(());
        };
        let published = self
            .sim
            .publish_attempt(self.machine, snapshot, &order, &result, &self.by);
        let after = published.await?;
        self.moved(state, after.state());
        self.sim
            .w()
            .folders
            .remove(&(self.machine, leaf, claim.attempt));
        pause().await;
        Ok(())
    }

    /// `Driver::free`.
    pub async fn free(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        why: &str,
    ) -> Result<(), Fail> {
        let item = snapshot.state().item(key);
        if let Some(item) = item
            && let Phase::Running { claim } = &item.phase
            && claim.holder.workflow.is_none()
        {
            let place = (self.machine, item.branch_leaf(), claim.attempt);
            let folder = self.sim.w().folders.get(&place).cloned();
            if let Some(folder) = folder
                && let (Some((order, _)), Some(tree)) = (&folder.begun, &folder.written)
                && folder.asked
                && folder.answered.is_none()
                && order.agent.is_some()
            {
                let items = (snapshot.state(), item);
                let kept = self
                    .sim
                    .keep_partial(self.machine, items, order, tree, &self.by);
                kept.await?;
            }
        }
        let said = transition::freed(&mut state, key, why)?;
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::forward`.
    pub async fn forward(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let item = snapshot.state().item(key);
        let branch = item.and_then(|i| i.branch.clone());
        let branch = branch.ok_or_else(|| Fail::Error("nothing to bring forward".to_owned()))?;
        let run_head = state.run_branch.head.clone();
        let said = {
            let mut w = self.sim.w();
            let (tree, conflicts) = w.git.merge(&branch.head, &run_head);
            let log = log_path(&state);
            let conflicts: Vec<String> = conflicts.into_iter().filter(|p| *p != log).collect();
            if conflicts.is_empty() {
                let text = log_for(&state, key);
                let word = w.git.text(&String::from_utf8_lossy(&text));
                let tree = w.git.with(&tree, &[(&log, Some(&word))]);
                let time = w.git.get(&run_head).at;
                let commit = w
                    .git
                    .commit(&tree, &[branch.head, run_head], &self.by, time);
                let pending = plain(OrderKind::Forward, Some(commit), String::new());
                let why = "the run branch has moved on and is merged in";
                transition::reopened(&mut state, key, pending, why)?
            } else {
                let errors = format!("Conflicts in {}", conflicts.join(", "));
                let pending = plain(OrderKind::Conflict, None, errors);
                transition::reopened(&mut state, key, pending, "the run branch conflicts")?
            }
        };
        self.record(snapshot, state, Step::of(said)).await
    }

    pub fn claim_id(&self, key: &str) -> String {
        let mut w = self.sim.w();
        let n = w.new_id().to_string();
        let mut id = id_of(&["claim", key, &n]);
        id.truncate(16);
        id
    }

    /// `Driver::start`.
    pub async fn start(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let item = snapshot.state().item(key).cloned();
        let item = item.ok_or_else(|| Fail::Error("the item to start is gone".to_owned()))?;
        let leaf = item.branch_leaf();
        let order = {
            let mut w = self.sim.w();
            w.order(snapshot.state(), &self.plan, &self.config, &item)
        };
        let attempt = order.attempt;
        let place = (self.machine, leaf.clone(), attempt);
        {
            // What a lost process left for the same order is used, what belongs to another is put aside.
            let mut w = self.sim.w();
            let folder = w.folders.entry(place.clone()).or_default();
            if folder
                .begun
                .as_ref()
                .is_some_and(|(earlier, _)| !earlier.asks_the_same(&order))
            {
                *folder = Folder::default();
            }
        }
        let now = self.now();
        let limit = order.agent.as_ref().map_or(0, |a| a.config.timeout_s)
            + order.checks.len() as u64 * order.check_timeout_s;
        let claim = Claim {
            id: self.claim_id(key),
            attempt,
            kind: order.kind,
            holder: self.sim.w().holder(self.pid),
            since: now,
            deadline: now + CLAIM_SLACK + Duration::from_secs(limit),
            order: None,
            may_cost_cents: order.may_cost_cents(),
        };
        let order = Rc::new(order);
        let record = Record {
            order: Some(Rc::clone(&order)),
            result: None,
        };
        let said = transition::claimed(&mut state, key, claim.clone())?;
        let step = Step {
            said,
            records: vec![((leaf.clone(), attempt), record)],
            pinned: None,
        };
        self.record(snapshot, state, step).await?;
        let mut w = self.sim.w();
        let folder = w.folders.entry(place).or_default();
        folder.begun = Some((Rc::clone(&order), claim.id.clone()));
        self.known.insert(claim.id.clone());
        let until = w.now;
        let worker = Worker {
            pid: Some(self.pid),
            machine: self.machine,
            leaf,
            order,
            claim: claim.id,
            stage: Stage::Begins,
            until,
        };
        w.workers.push(worker);
        Ok(())
    }

    /// `Driver::gate`.
    pub async fn gate(&mut self, snapshot: &Snapshot, mut state: State) -> Result<(), Fail> {
        let head = state.run_branch.head.clone();
        let ran = outcomes(&mut self.sim.w(), &head, gate::commands(&self.plan));
        if self.is_cancelled() {
            return Ok(());
        }
        let items = gate::items(&self.sim.w(), snapshot, &self.plan, &ran);
        self.gate_seen = Some(head);
        let said = transition::gate_seen(&mut state, items, self.now());
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::hand_out`.
    pub async fn hand_out(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let item = snapshot.state().item(key).cloned();
        let item = item.ok_or_else(|| Fail::Error("the item is gone".to_owned()))?;
        let order = {
            let mut w = self.sim.w();
            w.order(snapshot.state(), &self.plan, &self.config, &item)
        };
        let place = (item.leaf_of_attempt(order.attempt), order.attempt);
        let (claim, order) = self.claim_for_job(order);
        let said = transition::claimed(&mut state, key, claim.clone())?;
        self.give(snapshot, state, said, place, claim, order).await
    }

    /// `Driver::hand_out_build`.
    pub async fn hand_out_build(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let base = key == BASE;
        let commit = if base {
            &state.base.commit
        } else {
            &state.run_branch.head
        }
        .clone();
        let commands = if base {
            &self.plan.build
        } else {
            gate::commands(&self.plan)
        };
        if commands.is_empty() {
            return if base {
                self.base_built = true;
                let said = transition::base_built(&mut state, Vec::new(), self.now());
                self.record(snapshot, state, Step::of(said)).await
            } else {
                self.gate(snapshot, state).await
            };
        }
        let order = {
            let w = self.sim.w();
            gate::build_order(
                &w,
                &state,
                key,
                &commit,
                commands,
                self.plan.check_timeout_s,
            )
        };
        let place = (key.to_owned(), order.attempt);
        let (claim, order) = self.claim_for_job(order);
        let said = transition::build_claimed(&mut state, key, &commit, claim.clone());
        self.give(snapshot, state, said, place, claim, order).await
    }

    /// `Driver::claim_for_job`.
    pub fn claim_for_job(&self, mut order: Order) -> (Claim, Rc<Order>) {
        let Hands::Jobs(workflow) = &self.hands else {
            panic!("there is nobody to hand an order to");
        };
        let id = self.claim_id(&order.item);
        order.claim = Some(id.clone());
        let now = self.now();
        let limit = order.agent.as_ref().map_or(0, |a| a.config.timeout_s)
            + order.checks.len() as u64 * order.check_timeout_s;
        let json = serde_json::to_string(&order).expect("an order");
        let claim = Claim {
            id,
            attempt: order.attempt,
            kind: order.kind,
            holder: git_pertask::run::state::Holder {
                workflow: Some(workflow.clone()),
                ..self.sim.w().holder(self.pid)
            },
            since: now,
            deadline: now + QUEUED + Duration::from_secs(limit),
            order: Some(id_of(&[&json])),
            may_cost_cents: order.may_cost_cents(),
        };
        (claim, Rc::new(order))
    }

    /// `Driver::give`.
    pub async fn give(
        &mut self,
        snapshot: &Snapshot,
        state: State,
        said: String,
        place: (String, u32),
        claim: Claim,
        order: Rc<Order>,
    ) -> Result<(), Fail> {
        let record = Record {
            order: Some(Rc::clone(&order)),
            result: None,
        };
        let step = Step {
            said,
            records: vec![(place, record)],
            pinned: None,
        };
        let run = state.run.clone();
        self.record(snapshot, state, step).await?;
        let handed = Handed {
            run,
            task: order.item.clone(),
            attempt: order.attempt.to_string(),
            order: claim.order.clone().unwrap_or_default(),
        };
        self.sim
            .w()
            .actions
            .orders
            .insert(handed.order.clone(), order);
        self.handed.push((claim.id, handed));
        Ok(())
    }

    /// `Driver::publish_build`.
    pub async fn publish_build(&mut self, snapshot: &Snapshot) -> Result<(), Fail> {
        let Some(building) = &snapshot.state().building else {
            return Ok(());
        };
        let key = building.key.clone();
        let Some((_, result, _)) = self.stored_result(&key, &building.claim) else {
            return Ok(());
        };
        let mut state = snapshot.state().clone();
        let commit = transition::build_ended(&mut state, &result)?;
        let ran: Vec<CheckOutcome> = result
            .checks
            .iter()
            .filter(|c| matches!(c.kind, CheckKind::Build | CheckKind::Command))
            .cloned()
            .collect();
        let said = if key == BASE {
            transition::base_built(&mut state, ran, self.now())
        } else if commit == state.run_branch.head {
            let items = gate::items(&self.sim.w(), snapshot, &self.plan, &ran);
            transition::gate_seen(&mut state, items, self.now())
        } else {
            "The run branch has moved on; the final checklist is looked at again".to_owned()
        };
        self.record(snapshot, state, Step::of(said)).await?;
        let place = (self.machine, key, result.attempt);
        self.sim.w().folders.remove(&place);
        Ok(())
    }
}
