//! A model of GitHub Actions as `templates/github/` uses it: events that come late, twice or never, a
//! decide job at a time, an attempt and a publish job for each order, machines that are lost, runs that
//! are run again. What the jobs do follows `src/commands/ci/`.

use std::collections::BTreeMap;
use std::rc::Rc;

use git_pertask::driver::Handed;
use git_pertask::driver::trust;
use git_pertask::plan::{Config, Plan};
use git_pertask::publish::{log_path, own_files};
use git_pertask::run::order::{AttemptResult, Order, Verdict};
use git_pertask::run::state::{Claim, Item, Phase, State, Workflow};
use git_pertask::run::transition;

use super::driver::{Driver, Hands};
use super::store::{Snapshot, Step};
use super::worker::{Folder, Stage, Worker};
use super::world::{Fail, Fault, Machine, Pid, Sim, World};

/// Where a job stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    Queued,
    /// Its attempt is under way, under this claim.
    Works(String),
    /// What it hands on.
    Packed(Option<Box<AttemptResult>>),
    Publishes(Pid),
    Done,
}

/// A workflow run.
#[derive(Debug, Clone)]
pub struct Run {
    pub attempt: u32,
    /// The decide job: waiting, a process, or over.
    pub decide: Decide,
    pub jobs: Vec<(Handed, String, Job)>,
    pub over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decide {
    Waits,
    Runs(Pid),
    Over,
}

#[derive(Default)]
pub struct Actions {
    /// Orders by the id of their object.
    pub orders: BTreeMap<String, Rc<Order>>,
    /// When events arrive, in the order they were sent.
    pub events: Vec<i64>,
    pub runs: BTreeMap<u64, Run>,
}

impl Actions {
    /// Nobody but the world knows it: whether this workflow run may still bring a result under this
    /// claim.
    pub fn may_bring(&self, workflow: &Workflow, claim: &str) -> bool {
        let Some(run) = self.runs.get(&workflow.run) else {
            return false;
        };
        let busy = |(_, theirs, job): &(Handed, String, Job)| theirs == claim && *job != Job::Done;
        run.attempt == workflow.attempt
            && !run.over
            && (run.decide != Decide::Over || run.jobs.iter().any(busy))
    }

    /// What GitHub says of it.
    pub fn is_over(&self, run: u64) -> bool {
        self.runs.get(&run).is_none_or(|r| r.over)
    }

    /// Whether anything is under way or to come.
    pub fn is_idle(&self) -> bool {
        self.events.is_empty() && self.runs.values().all(|r| r.over)
    }
}

/// What the schedule is to start.
#[derive(Debug, Clone)]
pub enum Start {
    Decide(u64),
    Publish(u64, usize),
}

impl World {
    /// Something happened on GitHub: the workflow hears of it, or not.
    pub fn event(&mut self) {
        if !self.setup.actions || self.fault(Fault::Drop) {
            return;
        }
        let times = if self.fault(Fault::Double) { 3 } else { 1 };
        for _ in 0..times {
            let late = self.random.between(0, 30_000);
            self.actions.events.push(self.now + late);
        }
    }

    fn job_machine(&mut self, name: &str) -> usize {
        let n = self.machines.len();
        let off = self.random.between(-800, 800);
        self.machines.push(Machine {
            host: format!("{name}{n}"),
            boot: 1,
            off,
            of_job: true,
            ..Machine::default()
        });
        n
    }

    /// Moves the workflow on by one thing; says which process that starts, if any.
    pub fn act_in_actions(&mut self) -> Option<Start> {
        let due = |(n, at): &(usize, &i64)| (**at <= self.now).then_some((**at, *n));
        let first = self.actions.events.iter().enumerate();
        if let Some((_, at)) = first.filter_map(|e| due(&e)).min() {
            if at > 0 {
                self.audit
                    .meets("an event that comes before an earlier one");
            }
            self.actions.events.remove(at);
            // One waits at most: a newer one takes its place, which is the same.
            let waits = self
                .actions
                .runs
                .values()
                .any(|r| r.decide == Decide::Waits);
            if !waits {
                let run = self.new_id();
                self.note(|| format!("actions: run {run} is to decide"));
                let new = Run {
                    attempt: 1,
                    decide: Decide::Waits,
                    jobs: Vec::new(),
                    over: false,
                };
                self.actions.runs.insert(run, new);
            }
            return None;
        }
        let busy = self
            .actions
            .runs
            .values()
            .any(|r| matches!(r.decide, Decide::Runs(_)));
        let waiting = self
            .actions
            .runs
            .iter()
            .find(|(_, r)| r.decide == Decide::Waits);
        if let Some((run, _)) = waiting.filter(|_| !busy) {
            return Some(Start::Decide(*run));
        }
        let runs: Vec<u64> = self.open_runs();
        let run = *self.random.pick(&runs)?;
        self.act_in_run(run)
    }

    fn open_runs(&self) -> Vec<u64> {
        let runs = self.actions.runs.iter();
        runs.filter(|(_, r)| !r.over).map(|(n, _)| *n).collect()
    }

    fn act_in_run(&mut self, number: u64) -> Option<Start> {
        let run = self.actions.runs.get(&number)?.clone();
        if let Decide::Runs(pid) = run.decide {
            if !self.processes.contains_key(&pid) {
                // Killed before it said what it handed out.
                self.run_mut(number).decide = Decide::Over;
            }
            return None;
        }
        if run.decide == Decide::Waits {
            return None;
        }
        let open: Vec<usize> = (0..run.jobs.len())
            .filter(|n| run.jobs[*n].2 != Job::Done)
            .collect();
        let Some(n) = self.random.pick(&open).copied() else {
            if self.fault(Fault::Again) {
                self.note(|| format!("actions: run {number} is run again"));
                let run = self.run_mut(number);
                run.attempt += 1;
                run.decide = Decide::Waits;
                run.jobs.clear();
            } else {
                self.note(|| format!("actions: run {number} is over"));
                self.run_mut(number).over = true;
            }
            return None;
        };
        let (handed, claim, job) = &run.jobs[n];
        let next = match job {
            Job::Queued => self.begin_job(handed, claim),
            Job::Works(claim) => {
                let at = self
                    .workers
                    .iter()
                    .position(|w| w.claim == *claim && w.pid.is_none());
                match at {
                    Some(at) if self.fault(Fault::LostJob) => {
                        let worker = self.workers.remove(at);
                        // Cancelled, it packs what there is; lost, nothing.
                        let cancelled = self.random.chance(400);
                        let packed = cancelled.then(|| self.cut_off(&worker)).flatten();
                        Job::Packed(packed.map(Box::new))
                    }
                    Some(at) if self.workers[at].stage == Stage::Done => {
                        let worker = self.workers.remove(at);
                        let folder = self.folders.remove(&worker.folder());
                        Job::Packed(folder.and_then(|f| f.result).map(Box::new))
                    }
                    Some(_) => return None,
                    None => Job::Packed(None),
                }
            }
            Job::Packed(_) => return Some(Start::Publish(number, n)),
            Job::Publishes(pid) if self.processes.contains_key(pid) => return None,
            Job::Publishes(_) | Job::Done => Job::Done,
        };
        self.run_mut(number).jobs[n].2 = next;
        None
    }

    pub fn run_mut(&mut self, number: u64) -> &mut Run {
        self.actions.runs.get_mut(&number).expect("a run")
    }

    /// `ci attempt`: an order that is not current any more is not begun.
    fn begin_job(&mut self, handed: &Handed, claim: &str) -> Job {
        let current = self
            .state()
            .is_some_and(|e| claimed(&e.state, handed).is_some());
        let Some(order) = self
            .actions
            .orders
            .get(&handed.order)
            .cloned()
            .filter(|_| current)
        else {
            return Job::Packed(None);
        };
        let machine = self.job_machine("runner");
        let leaf = handed.task.clone();
        let folder = Folder {
            begun: Some((Rc::clone(&order), claim.to_owned())),
            ..Folder::default()
        };
        self.folders
            .insert((machine, leaf.clone(), order.attempt), folder);
        let until = self.now + self.random.between(0, 600_000);
        self.workers.push(Worker {
            pid: None,
            machine,
            leaf,
            order,
            claim: claim.to_owned(),
            stage: Stage::Begins,
            until,
        });
        Job::Works(claim.to_owned())
    }

    /// A machine for a job, with a process on it.
    pub fn job_process(&mut self, workflow: Workflow) -> Pid {
        let machine = self.job_machine("job");
        self.process(machine, Some(workflow))
    }
}

/// `ci::claimed`: the claim under which an order was handed out, if it is the current one, and the
/// name of its folder.
fn claimed(state: &State, handed: &Handed) -> Option<(Claim, String)> {
    let current = |claim: &&Claim| claim.order.as_deref() == Some(handed.order.as_str());
    if let Some(building) = state.building.as_ref().filter(|b| b.key == handed.task) {
        let claim = Some(&building.claim).filter(current)?;
        return Some((claim.clone(), building.key.clone()));
    }
    let item = state.items.iter().find(|i| i.key == handed.task)?;
    match &item.phase {
        Phase::Running { claim } => {
            let claim = Some(claim).filter(current)?;
            Some((claim.clone(), item.branch_leaf()))
        }
        _ => None,
    }
}

impl World {
    /// `trust::examine`: plan and settings as the base has them, once the ledger follows from them.
    pub fn examine(&self, snapshot: &Snapshot) -> Result<(Rc<Plan>, Rc<Config>), String> {
        let state = snapshot.state();
        let (plan, config) = self.pinned_at(&state.base.commit);
        let mut plan = (*plan).clone();
        for task in &snapshot.entry.plan.tasks {
            let known = plan.tasks.iter().any(|t| t.id == task.id);
            let settled = state.item(&task.id).is_some_and(Item::is_settled);
            if !known && settled {
                plan.tasks.push(task.clone());
            } else if !known {
                return Err(format!("the base has no task named {}", task.id));
            }
        }
        trust::shape(state, &plan)?;
        for item in &state.items {
            self.carried(state, item)?;
        }
        Ok((Rc::new(plan), config))
    }

    /// `trust::carried`
    fn carried(&self, state: &State, item: &Item) -> Result<(), String> {
        let Some(branch) = &item.branch else {
            return Ok(());
        };
        let log = log_path(state);
        let mut at = branch.head.clone();
        for earlier in item.carries.iter().rev() {
            let holds = match self.git.get(&at).parents.as_slice() {
                [first] if *first == earlier.commit => {
                    let (a, b) = (self.git.tree_of(first), self.git.tree_of(&at));
                    let own = own_files(state, &item.key);
                    let changes = self.git.changes(&a, &b);
                    changes.iter().all(|(piece, _, _)| own.contains(piece))
                }
                [first, second] if *first == earlier.commit => {
                    let origin = self.git.base_of(first, second);
                    self.git.is_in(second, &state.run_branch.head)
                        && self.git.patch(&origin, first, &log) == self.git.patch(second, &at, &log)
                }
                _ => false,
            };
            if !holds {
                return Err(format!(
                    "it lets an approval of {} count for {}",
                    &earlier.commit[..10],
                    &branch.head[..10]
                ));
            }
            at.clone_from(&earlier.commit);
        }
        Ok(())
    }
}

/// A driver of a job: nothing of the ledger is believed before it was examined.
fn believing(sim: &Sim, pid: Pid, hands: Hands, jobs: usize) -> Result<Driver, Fail> {
    let mut driver = Driver::new(sim, pid, hands, jobs, false)?;
    let snapshot = sim.w().read(driver.machine);
    let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
    let examined = sim.w().examine(&snapshot);
    match examined {
        Ok((plan, config)) => (driver.plan, driver.config) = (plan, config),
        Err(why) => {
            sim.w().breaks(format!("what we wrote is believed: {why}"));
            return Err(Fail::Error(why));
        }
    }
    Ok(driver)
}

/// `ci decide`
pub async fn decide(sim: Sim, pid: Pid, run: u64) {
    let (machine, workflow) = {
        let w = sim.w();
        let process = &w.processes[&pid];
        let workflow = process.workflow.clone().expect("a job");
        (process.machine, workflow)
    };
    let done = async {
        sim.refresh(machine).await?;
        let mut driver = believing(&sim, pid, Hands::Jobs(workflow), 8)?;
        let rest = driver.run().await;
        // Claimed is claimed: they are carried out, whatever went wrong afterwards.
        let handed = std::mem::take(&mut driver.handed);
        let mut w = sim.w();
        for (claim, handed) in handed {
            w.run_mut(run).jobs.push((handed, claim, Job::Queued));
        }
        drop(w);
        rest
    }
    .await;
    let mut w = sim.w();
    w.run_mut(run).decide = Decide::Over;
    w.came_to_rest(pid, done);
    w.end(pid);
}

/// `ci publish`
pub async fn publish(sim: Sim, pid: Pid, run: u64, n: usize) {
    let done = publish_it(&sim, pid, run, n).await;
    let mut w = sim.w();
    if let Err(e) = done {
        w.note(|| format!("process {pid}: ends with {e:?}"));
    }
    w.end(pid);
}

async fn publish_it(sim: &Sim, pid: Pid, run: u64, n: usize) -> Result<(), Fail> {
    let (machine, handed, packed) = {
        let mut w = sim.w();
        let (handed, _, job) = w.run_mut(run).jobs[n].clone();
        w.run_mut(run).jobs[n].2 = Job::Publishes(pid);
        let Job::Packed(packed) = job else {
            return Ok(());
        };
        (w.processes[&pid].machine, handed, packed)
    };
    sim.refresh(machine).await?;
    let mut driver = believing(sim, pid, Hands::Nobody, 1)?;
    let snapshot = sim.w().read(machine);
    let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
    let Some((claim, leaf)) = claimed(snapshot.state(), &handed) else {
        // "The order is not current any more"
        return Ok(());
    };
    let order = sim.w().actions.orders.get(&handed.order).cloned();
    let order = order.ok_or_else(|| Fail::Error("there is no such order".to_owned()))?;
    let wake = match packed {
        None => {
            lost(sim, machine, &handed).await?;
            false
        }
        Some(result) => {
            let interrupted = result.verdict == Verdict::Interrupted;
            let folder = Folder {
                begun: Some((order, claim.id.clone())),
                result: Some(*result),
                ..Folder::default()
            };
            let place = (machine, leaf, claim.attempt);
            sim.w().folders.insert(place, folder);
            !interrupted
        }
    };
    let rest = driver.run().await?;
    if rest.more && wake && !rest.interrupted {
        sim.call("waking the workflow", machine, true, |w, _| {
            w.actions.events.push(w.now);
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// `publish::lost`: the job was lost, or cancelled, before it could hand anything on.
async fn lost(sim: &Sim, machine: usize, handed: &Handed) -> Result<(), Fail> {
    for _ in 0..5 {
        let snapshot = sim.w().read(machine);
        let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
        let mut state = snapshot.state().clone();
        if claimed(&state, handed).is_none() {
            return Ok(());
        }
        let why = "its job ended without handing anything on";
        let said = transition::freed(&mut state, &handed.task, why)?;
        let now = sim.w().clock(machine);
        match sim
            .append(machine, Some(&snapshot), state, Step::of(said), now)
            .await
        {
            Err(Fail::Raced) => sim.refresh(machine).await?,
            other => return other.map(drop),
        }
    }
    Err(Fail::Raced)
}
