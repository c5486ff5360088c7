//! The driver of the simulation: the loop of `src/driver/mod.rs` and what it does for each action of
//! `src/driver/acts.rs` and `hand.rs`, over the model of git and ledger. What follows from pull
//! requests is in `there`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use git_pertask::driver::Handed;
use git_pertask::driver::orders::plain;
use git_pertask::plan::{Config, Plan};
use git_pertask::publish::report_path;
use git_pertask::run::decide::{Action, Facts, Wait, decide};
use git_pertask::run::order::{AttemptResult, Order, OrderKind};
use git_pertask::run::state::{Claim, Phase, State, Workflow};
use git_pertask::run::transition;
use git_pertask::run::{BASE, GATE};
use jiff::Timestamp;

use super::orders::outcomes;
use super::store::{Snapshot, Step};
use super::there::There;
use super::worker::Folder;
use super::world::{Fail, Pid, Sim, pause, person};

/// As `driver::Hands`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hands {
    Own,
    Jobs(Workflow),
    Nobody,
}

impl Hands {
    pub fn do_this(&self, action: &Action) -> bool {
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

/// As `driver::Lost`.
#[derive(Default)]
struct Lost {
    on: String,
    times: u32,
}

impl Lost {
    pub fn may_go_on(&mut self, commit: &str) -> bool {
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

    pub fn turns_on_the_spot(&self, effects: &mut u64, turns: &mut u32) {
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

    pub async fn read(&mut self, stopping: bool) -> Result<(Snapshot, Facts), Fail> {
        self.refresh().await?;
        let snapshot = self.sim.w().read(self.machine);
        let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
        let facts = self.facts(&snapshot, stopping).await?;
        Ok((snapshot, facts))
    }

    pub fn is_cancelled(&self) -> bool {
        let w = self.sim.w();
        w.processes.get(&self.pid).is_some_and(|p| p.cancelled)
    }

    pub fn mine(&self) -> BTreeSet<String> {
        let w = self.sim.w();
        let mine = w.workers.iter().filter(|k| k.pid == Some(self.pid));
        mine.map(|k| k.claim.clone()).collect()
    }

    pub fn is_idle(&self) -> bool {
        self.mine().is_empty()
    }

    /// Waits until a worker is done.
    pub async fn wait(&self) {
        let before = self.mine().len();
        while self.mine().len() == before && before > 0 {
            self.sim.w().listens(self.pid, true);
            pause().await;
        }
        self.sim.w().listens(self.pid, false);
    }

    /// `Driver::listen`: waits until a worker has news, or the ledger has moved.
    pub async fn listen(&mut self, snapshot: &Snapshot) -> Result<(), Fail> {
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
    pub async fn facts(&mut self, snapshot: &Snapshot, stopping: bool) -> Result<Facts, Fail> {
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
            may_cost: {
                let max = self.config.agents[&self.config.agent].max_cost_usd;
                let items = state.items.iter();
                items.filter_map(|i| Some((i.key.clone(), max?))).collect()
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
    pub async fn look_after(
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

    pub fn is_own_lost(&self, claim: &Claim) -> bool {
        claim.holder == self.sim.w().holder(self.pid) && self.known.contains(&claim.id)
    }

    /// `Driver::is_over`: a claim for jobs of a workflow run that is over.
    pub async fn is_over(&mut self, claim: &Claim) -> Result<bool, Fail> {
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

    pub fn stored_result(
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
    pub async fn act(
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
}

/// As `driver::must_finish`.
fn must_finish(action: &Action) -> bool {
    matches!(
        action,
        Action::Publish { .. } | Action::Repair { .. } | Action::Free { .. }
    )
}
