//! The driver of the simulation: the loop of `src/driver/mod.rs` and what it does for each action of
//! `src/driver/acts.rs` and `hand.rs`, over the model of git and ledger. What follows from pull
//! requests is in `there`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use git_pertask::driver::Handed;
use git_pertask::driver::orders::plain;
use git_pertask::plan::{Config, Plan};
use git_pertask::publish::{judged_files, log_for, log_path, report_for, report_path};
use git_pertask::run::decide::{Action, Facts, Wait, decide};
use git_pertask::run::order::{AttemptResult, CheckKind, CheckOutcome, Order, OrderKind};
use git_pertask::run::state::{Claim, Phase, State, Workflow};
use git_pertask::run::transition;
use git_pertask::run::{BASE, GATE, P0};
use jiff::Timestamp;

use super::content::findings;
use super::gate;
use super::orders::outcomes;
use super::random::id_of;
use super::store::{Record, Snapshot, Step};
use super::there::There;
use super::worker::{Folder, Stage, Worker};
use super::world::{Fail, Pid, Sim, pause, person};

/// As `driver::Hands`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hands {
    Own,
    Jobs(Workflow),
    Nobody,
}

impl Hands {
    fn do_this(&self, action: &Action) -> bool {
        match self {
            Self::Own | Self::Jobs(_) => true,
            Self::Nobody => matches!(
                action,
                Action::Publish { .. }
                    | Action::Free { .. }
                    | Action::Repair { .. }
                    | Action::Show { .. }
                    | Action::Answer { .. }
            ),
        }
    }
}

/// As `driver::Rest`.
pub struct Rest {
    pub snapshot: Snapshot,
    pub waits: Vec<Wait>,
    pub interrupted: bool,
    pub more: bool,
}

/// As `driver::Driver`: what a process knows and does.
pub struct Driver {
    pub sim: Sim,
    pub pid: Pid,
    pub machine: usize,
    pub hands: Hands,
    pub jobs: usize,
    /// What did not build is built again though nothing has changed.
    pub again: bool,
    pub plan: Rc<Plan>,
    pub config: Rc<Config>,
    pub by: String,
    pub handed: Vec<(String, Handed)>,
    pub over: BTreeMap<Workflow, bool>,
    pub known: BTreeSet<String>,
    pub base_built: bool,
    pub gate_seen: Option<String>,
    pub there: There,
}

const CLAIM_SLACK: Duration = Duration::from_mins(15);
const QUEUED: Duration = Duration::from_hours(25);

/// As `driver::Lost`.
#[derive(Default)]
struct Lost {
    on: String,
    times: u32,
}

impl Lost {
    fn may_go_on(&mut self, commit: &str) -> bool {
        if self.on != commit {
            commit.clone_into(&mut self.on);
            self.times = 0;
        }
        self.times += 1;
        self.times <= 5
    }
}

/// How often a loop may turn without any effect on the world.
const ON_THE_SPOT: u32 = 60;

impl Driver {
    /// As `Driver::new`, for a run that is in the ledger.
    pub fn new(sim: &Sim, pid: Pid, hands: Hands, jobs: usize, again: bool) -> Result<Self, Fail> {
        let w = sim.w();
        let machine = w.processes[&pid].machine;
        let snapshot = w.read(machine);
        let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
        let us = w.hub.token_of(machine, &w.machines[machine]);
        Ok(Self {
            pid,
            machine,
            hands,
            jobs,
            again,
            plan: Rc::clone(&snapshot.entry.plan),
            config: Rc::clone(&snapshot.entry.config),
            by: w.hub.members[us].account.login.clone(),
            handed: Vec::new(),
            over: BTreeMap::new(),
            known: BTreeSet::new(),
            base_built: false,
            gate_seen: None,
            there: There::default(),
            sim: sim.clone(),
        })
    }

    /// `Driver::run`: goes on until a person is needed, the run has ended, or somebody interrupts.
    pub async fn run(&mut self) -> Result<Rest, Fail> {
        let mut lost = Lost::default();
        let mut failure: Option<Fail> = None;
        let (mut effects, mut turns) = (0, 0);
        loop {
            self.turns_on_the_spot(&mut effects, &mut turns);
            let stopping = self.is_cancelled() || failure.is_some();
            let (snapshot, facts) = match self.read(stopping).await {
                Ok(read) => read,
                Err(e) if self.may_try_again(&e) => continue,
                Err(e) if self.is_idle() => return Err(failure.take().unwrap_or(e)),
                Err(e) => {
                    failure = Some(failure.take().unwrap_or(e));
                    self.wait().await;
                    continue;
                }
            };
            let decision = decide(snapshot.state(), &facts);
            self.sim
                .w()
                .audit_decision(snapshot.state(), &facts, &decision);
            let more = !decision.actions.is_empty();
            let action = decision
                .actions
                .into_iter()
                .filter(|a| self.hands.do_this(a))
                .find(|a| !stopping || must_finish(a));
            if let Some(action) = action {
                let pid = self.pid;
                self.sim.w().note(|| format!("process {pid}: {action:?}"));
                pause().await;
                match self.act(&action, &snapshot, &facts).await {
                    Ok(()) => {
                        lost = Lost::default();
                        continue;
                    }
                    Err(e @ (Fail::Raced | Fail::Not(_))) if lost.may_go_on(&snapshot.commit) => {
                        let mut w = self.sim.w();
                        w.note(|| format!("process {pid}: reads again: {e:?}"));
                        if e == Fail::Raced {
                            w.audit.meets("a lost race");
                        }
                        drop(w);
                        self.look_anew();
                        continue;
                    }
                    Err(e) if self.may_try_again(&e) => continue,
                    Err(e) if self.is_idle() => return Err(e),
                    Err(e) => failure = Some(failure.take().unwrap_or(e)),
                }
            } else if self.is_idle() {
                return match failure.take() {
                    Some(failure) => Err(failure),
                    None => Ok(Rest {
                        interrupted: self.is_cancelled(),
                        waits: decision.waits,
                        snapshot,
                        more,
                    }),
                };
            }
            self.listen(&snapshot).await?;
        }
    }

    fn turns_on_the_spot(&self, effects: &mut u64, turns: &mut u32) {
        let mut w = self.sim.w();
        if w.effects == *effects {
            *turns += 1;
        } else {
            (*effects, *turns) = (w.effects, 0);
        }
        if *turns > ON_THE_SPOT && !w.processes[&self.pid].cancelled {
            w.breaks("no action repeated: a loop turns on the spot");
        }
    }

    async fn read(&mut self, stopping: bool) -> Result<(Snapshot, Facts), Fail> {
        self.refresh().await?;
        let snapshot = self.sim.w().read(self.machine);
        let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
        let facts = self.facts(&snapshot, stopping).await?;
        Ok((snapshot, facts))
    }

    fn is_cancelled(&self) -> bool {
        let w = self.sim.w();
        w.processes.get(&self.pid).is_some_and(|p| p.cancelled)
    }

    fn mine(&self) -> BTreeSet<String> {
        let w = self.sim.w();
        let mine = w.workers.iter().filter(|k| k.pid == Some(self.pid));
        mine.map(|k| k.claim.clone()).collect()
    }

    fn is_idle(&self) -> bool {
        self.mine().is_empty()
    }

    /// Waits until a worker is done.
    async fn wait(&self) {
        let before = self.mine().len();
        while self.mine().len() == before && before > 0 {
            self.sim.w().listens(self.pid, true);
            pause().await;
        }
        self.sim.w().listens(self.pid, false);
    }

    /// `Driver::listen`: waits until a worker has news, or the ledger has moved.
    async fn listen(&mut self, snapshot: &Snapshot) -> Result<(), Fail> {
        let before = self.mine().len();
        loop {
            self.sim.w().listens(self.pid, true);
            pause().await;
            self.sim.w().listens(self.pid, false);
            let tip = self.sim.w().branch(self.machine, super::world::LEDGER);
            if self.mine().len() != before
                || self.is_idle()
                || self.is_cancelled()
                || tip.as_ref() != Some(&snapshot.commit)
            {
                return Ok(());
            }
            if self.heard_of_news().await? {
                return Ok(());
            }
        }
    }

    /// `Driver::facts`.
    async fn facts(&mut self, snapshot: &Snapshot, stopping: bool) -> Result<Facts, Fail> {
        let state = snapshot.state();
        self.look(state, stopping).await?;
        let mine = self.mine();
        let head = &state.run_branch.head;
        let mut facts = Facts {
            now: self.now(),
            slots: if stopping {
                0
            } else {
                self.jobs.saturating_sub(mine.len() + self.handed.len())
            },
            limits: Some(self.config.limits.clone()),
            base_built: self.base_built || (!self.again && state.base_build.is_some()),
            rules_named: self.rules_named(),
            agents: {
                let items = state.items.iter();
                let agent = &self.config.agent;
                items.map(|i| (i.key.clone(), agent.clone())).collect()
            },
            gate_seen: self.gate_seen.as_ref() == Some(head)
                || (!self.again && state.gate_of.as_ref() == Some(head)),
            mine,
            ..Facts::default()
        };
        facts
            .mine
            .extend(self.handed.iter().map(|(c, _)| c.clone()));
        {
            let w = self.sim.w();
            let mut look = |name: &str, head: &str| {
                let standing = w.standing(self.machine, name, head);
                facts.standings.insert(name.to_owned(), standing);
            };
            look(&state.run_branch.name, head);
            for item in state.items.iter().filter(|i| !i.is_settled()) {
                if let Some(branch) = &item.branch {
                    look(&branch.name, &branch.head);
                }
            }
            for item in &state.items {
                if let (Phase::Approved { .. }, Some(branch)) = (&item.phase, &item.branch)
                    && w.git.is_in(head, &branch.head)
                {
                    facts.up_to_date.insert(item.key.clone());
                }
            }
        }
        for item in &state.items {
            if let Phase::Running { claim } = &item.phase {
                self.look_after(&item.branch_leaf(), claim, &mut facts)
                    .await?;
            }
        }
        if let Some(building) = &state.building {
            self.look_after(&building.key, &building.claim, &mut facts)
                .await?;
        }
        self.facts_there(snapshot, &mut facts);
        Ok(facts)
    }

    pub fn now(&self) -> Timestamp {
        self.sim.w().clock(self.machine)
    }

    /// `Driver::look_after`: what has become of work that somebody claimed.
    async fn look_after(
        &mut self,
        leaf: &str,
        claim: &Claim,
        facts: &mut Facts,
    ) -> Result<(), Fail> {
        if facts.mine.contains(&claim.id) {
            return Ok(());
        }
        if self.stored_result(leaf, claim).is_some() {
            facts.results.insert(claim.id.clone());
            return Ok(());
        }
        let gone = self.sim.w().is_gone(self.machine, &claim.holder);
        if gone || self.is_own_lost(claim) || self.is_over(claim).await? {
            facts.gone.insert(claim.id.clone());
        }
        Ok(())
    }

    fn is_own_lost(&self, claim: &Claim) -> bool {
        claim.holder == self.sim.w().holder(self.pid) && self.known.contains(&claim.id)
    }

    /// `Driver::is_over`: a claim for jobs of a workflow run that is over.
    async fn is_over(&mut self, claim: &Claim) -> Result<bool, Fail> {
        let Some(theirs) = &claim.holder.workflow else {
            return Ok(false);
        };
        match &self.hands {
            Hands::Nobody => return Ok(false),
            Hands::Jobs(ours) if ours.run == theirs.run => {
                return Ok(theirs.attempt < ours.attempt);
            }
            _ => {}
        }
        if let Some(over) = self.over.get(theirs) {
            return Ok(*over);
        }
        let over = self.sim.is_over(self.machine, theirs).await?;
        self.over.insert(theirs.clone(), over);
        Ok(over)
    }

    fn stored_result(
        &self,
        leaf: &str,
        claim: &Claim,
    ) -> Option<(Rc<Order>, AttemptResult, Folder)> {
        let w = self.sim.w();
        let folder = w
            .folders
            .get(&(self.machine, leaf.to_owned(), claim.attempt))?;
        let (order, begun) = folder.begun.clone()?;
        let result = folder.result.clone()?;
        (begun == claim.id && result.claim == claim.id).then(|| (order, result, folder.clone()))
    }

    /// `Driver::act`.
    async fn act(
        &mut self,
        action: &Action,
        snapshot: &Snapshot,
        facts: &Facts,
    ) -> Result<(), Fail> {
        let mut state = snapshot.state().clone();
        let jobs = matches!(self.hands, Hands::Jobs(_));
        match action {
            // `Driver::repair`
            Action::Repair { branch, from, to } => {
                self.sim
                    .move_branch(self.machine, branch, from.as_deref(), to)
                    .await
            }
            // in `Driver::act`
            Action::AdoptRun { commit } => {
                let merged = self.inside(&state, commit);
                let author = person(&self.sim.w().git.get(commit).by);
                let now = self.now();
                let mut said = transition::run_adopted(&mut state, commit, &merged, &author, now);
                said.push_str(&self.judged(&mut state));
                self.record(snapshot, state, Step::of(said)).await
            }
            Action::BuildBase if jobs => self.hand_out_build(snapshot, state, BASE).await,
            // `Driver::build_base`
            Action::BuildBase => {
                let base = state.base.commit.clone();
                let checks = outcomes(&mut self.sim.w(), &base, &self.plan.build);
                if self.is_cancelled() {
                    return Ok(());
                }
                self.base_built = true;
                let said = transition::base_built(&mut state, checks, self.now());
                self.record(snapshot, state, Step::of(said)).await
            }
            Action::Publish { item } => self.publish(snapshot, item).await,
            Action::Free { item, why } => self.free(snapshot, state, item, why).await,
            // in `Driver::act`
            Action::Adopt { item, commit } => {
                let pending = plain(OrderKind::Person, Some(commit.clone()), String::new());
                let why = format!("somebody committed on its branch ({})", &commit[..10]);
                let said = transition::reopened(&mut state, item, pending, &why)?;
                self.record(snapshot, state, Step::of(said)).await
            }
            // in `Driver::act`
            Action::Merge { item } => {
                let whole = state.item(item).cloned();
                let whole = whole.ok_or_else(|| Fail::Error("it is gone".to_owned()))?;
                let Some(commit) = self.merge(&state, &whole, facts).await? else {
                    return Ok(());
                };
                let mut said = transition::merged(&mut state, item, &commit, self.now())?;
                said.push_str(&self.taken_along(&mut state, &commit));
                said.push_str(&self.judged(&mut state));
                self.record(snapshot, state, Step::of(said)).await
            }
            Action::Forward { item } => self.forward(snapshot, state, item).await,
            Action::Start { item } if jobs => self.hand_out(snapshot, state, item).await,
            Action::Gate if jobs => self.hand_out_build(snapshot, state, GATE).await,
            Action::Start { item } => self.start(snapshot, state, item).await,
            // `Driver::judge`
            Action::Judge => {
                let news = self.judged(&mut state);
                let said = format!("The P0 rules were run on the run branch{news}");
                self.record(snapshot, state, Step::of(said)).await
            }
            // `Driver::validate`
            Action::Validate => {
                let path = report_path(&state);
                let said = transition::validation_opened(&mut state, &path);
                self.record(snapshot, state, Step::of(said)).await
            }
            Action::Report => self.report(snapshot, state).await,
            Action::Gate => self.gate(snapshot, state).await,
            _ => self.act_there(action, snapshot, state).await,
        }
    }

    /// `Driver::record`.
    pub async fn record(&mut self, from: &Snapshot, state: State, step: Step) -> Result<(), Fail> {
        let now = self.now();
        let after = self
            .sim
            .append(self.machine, Some(from), state, step, now)
            .await?;
        self.moved(from.state(), after.state());
        self.there.goes_on();
        Ok(())
    }

    fn rules_named(&self) -> bool {
        self.plan.tasks.iter().any(|t| !t.rules.is_empty())
    }

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

    /// `Driver::report`.
    async fn report(&mut self, snapshot: &Snapshot, mut state: State) -> Result<(), Fail> {
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
    async fn publish(&mut self, snapshot: &Snapshot, key: &str) -> Result<(), Fail> {
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
    async fn free(
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
    async fn forward(
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

    fn claim_id(&self, key: &str) -> String {
        let mut w = self.sim.w();
        let n = w.new_id().to_string();
        let mut id = id_of(&["claim", key, &n]);
        id.truncate(16);
        id
    }

    /// `Driver::start`.
    async fn start(
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
    async fn gate(&mut self, snapshot: &Snapshot, mut state: State) -> Result<(), Fail> {
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
    async fn hand_out(
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
    async fn hand_out_build(
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
    fn claim_for_job(&self, mut order: Order) -> (Claim, Rc<Order>) {
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
        };
        (claim, Rc::new(order))
    }

    /// `Driver::give`.
    async fn give(
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
    async fn publish_build(&mut self, snapshot: &Snapshot) -> Result<(), Fail> {
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

/// As `driver::must_finish`.
fn must_finish(action: &Action) -> bool {
    matches!(
        action,
        Action::Publish { .. } | Action::Repair { .. } | Action::Free { .. }
    )
}
