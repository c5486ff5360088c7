//! One seed from start to end: trouble for a while, then calm, in which the run must come to its end.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use git_pertask::plan::{ForgeKind, Mode};
use git_pertask::run::state::{Base, Workflow};
use git_pertask::run::transition;

use super::driver::{Driver, Hands};
use super::git::Pieces;
use super::jobs::{self, Decide, Start};
use super::met;
use super::people::Typed;
use super::random::Random;
use super::setup::Setup;
use super::store::Step;
use super::typed;
use super::worker::Stage;
use super::world::{BASE_BRANCH, Fail, Fault, Pid, Process, RUN, Sim, World, pause, person};

/// Most steps that a calm run may take to its end.
const CALM: usize = 12_000;

/// What came of a seed.
pub struct Outcome {
    pub broken: Option<String>,
    pub trace: Vec<String>,
    pub steps: usize,
    /// How often each kind of thing happened.
    pub met: std::collections::BTreeMap<&'static str, u64>,
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Processes, and who goes next.
pub struct Schedule {
    pub sim: Sim,
    tasks: Vec<(Pid, Task)>,
}

/// Runs a seed.
pub fn run(seed: u64, traced: bool) -> Outcome {
    let mut random = Random::new(seed);
    let setup = Setup::of(&mut random);
    let mut schedule = Schedule::new(setup, random, traced);
    schedule.troubled();
    schedule.calm();
    schedule.outcome()
}

impl Schedule {
    pub fn new(setup: Setup, random: Random, traced: bool) -> Self {
        let mut world = World::new(setup, random, traced);
        world.found();
        Self {
            sim: Sim(Rc::new(RefCell::new(world))),
            tasks: Vec::new(),
        }
    }

    pub fn outcome(self) -> Outcome {
        drop(self.tasks);
        let mut w = self.sim.w();
        Outcome {
            broken: w.broken.clone(),
            trace: w.take_trace(),
            steps: w.steps,
            met: std::mem::take(&mut w.audit.met),
        }
    }

    fn is_broken(&self) -> bool {
        self.sim.w().broken.is_some()
    }

    /// Everything happens, and goes wrong.
    fn troubled(&mut self) {
        let steps = self.sim.w().setup.steps;
        for _ in 0..steps {
            if self.is_broken() {
                return;
            }
            self.step();
            self.disturb();
        }
    }

    /// One step of something that is under way.
    pub fn step(&mut self) {
        {
            let mut w = self.sim.w();
            w.steps += 1;
            w.now += w.random.between(10, 300);
            if w.processes.len() > 1 {
                w.audit.meets("several processes at once");
            }
        }
        let choice = {
            let mut w = self.sim.w();
            let tasks = u32::try_from(self.tasks.len()).unwrap_or(0);
            let busy = w.due_workers().len();
            let busy = u32::try_from(busy).unwrap_or(0);
            w.random.weighed(&[(4 * tasks, 0), (3 * busy, 1), (2, 2)])
        };
        match choice {
            Some(0) => self.poll(),
            Some(1) => self.sim.w().work_somewhere(),
            _ => self.actions(),
        }
        let mut w = self.sim.w();
        w.pass_time();
        w.audit();
    }

    /// Lets one process go on to its next effect.
    fn poll(&mut self) {
        let n = self.sim.w().random.below(self.tasks.len());
        let mut context = Context::from_waker(Waker::noop());
        if self.tasks[n].1.as_mut().poll(&mut context).is_ready() {
            let (pid, task) = self.tasks.swap_remove(n);
            drop(task);
            self.sim.w().end(pid);
        }
    }

    fn actions(&mut self) {
        let start = self.sim.w().act_in_actions();
        match start {
            Some(Start::Decide(run)) => {
                let mut w = self.sim.w();
                let attempt = w.run_mut(run).attempt;
                let pid = w.job_process(Workflow { run, attempt });
                w.run_mut(run).decide = Decide::Runs(pid);
                w.note(|| format!("actions: run {run} decides as process {pid}"));
                drop(w);
                self.spawn(pid, jobs::decide(self.sim.clone(), pid, run));
            }
            Some(Start::Publish(run, n)) => {
                let mut w = self.sim.w();
                let attempt = w.run_mut(run).attempt;
                let pid = w.job_process(Workflow { run, attempt });
                w.note(|| format!("actions: run {run} publishes as process {pid}"));
                drop(w);
                self.spawn(pid, jobs::publish(self.sim.clone(), pid, run, n));
                // It takes what the job packed before anybody can ask for it.
                let last = self.tasks.len() - 1;
                let mut context = Context::from_waker(Waker::noop());
                let _ = self.tasks[last].1.as_mut().poll(&mut context);
            }
            None => {}
        }
    }

    pub fn spawn(&mut self, pid: Pid, task: impl Future<Output = ()> + 'static) {
        self.tasks.push((pid, Box::pin(task)));
    }

    pub fn type_in(&mut self, typed: Typed) {
        let pid = self.sim.w().typing();
        self.spawn(pid, typed::typed(self.sim.clone(), pid, typed));
    }

    /// Somebody goes on with the run on a machine of their own.
    pub fn go_on(&mut self, watch: bool) {
        let pid = {
            let mut w = self.sim.w();
            let own = w.setup.machines;
            let machine = w.random.below(own);
            let pid = w.process(machine, None);
            w.note(|| format!("process {pid}: continues on machine {machine}, watching: {watch}"));
            pid
        };
        self.spawn(pid, go_on(self.sim.clone(), pid, watch));
    }

    /// People and trouble.
    fn disturb(&mut self) {
        let deed = {
            let mut w = self.sim.w();
            if w.random.chance(150) {
                let deeds = w.setup.deeds.clone();
                w.random.weighed(&deeds)
            } else {
                None
            }
        };
        if let Some(deed) = deed {
            let before = self.sim.w().effects;
            let typed = self.sim.w().deed(deed);
            if typed.is_some() || self.sim.w().effects != before {
                self.sim.w().audit.meets(met::of_deed(deed));
            }
            if let Some(typed) = typed {
                self.type_in(typed);
            }
            self.sim.w().audit();
        }
        let (starts, watch) = {
            let mut w = self.sim.w();
            let own = w.setup.own && w.processes.len() < 5;
            (own && w.random.chance(60), w.random.chance(300))
        };
        if starts {
            self.go_on(watch);
        }
        let mut w = self.sim.w();
        if w.setup.actions && w.random.chance(15) {
            // The schedule.
            let now = w.now;
            w.actions.events.push(now);
        }
        if w.random.chance(60) {
            w.run_queue();
            w.audit();
        }
        if w.fault(Fault::Clock) {
            let all = w.machines.len();
            let machine = w.random.below(all);
            let by = match w.random.below(4) {
                0 => w.random.between(-3_000, 3_000),
                1 => w.random.between(-120_000, 120_000),
                2 => w.random.between(-7_200_000, 7_200_000),
                _ => w.random.between(-200_000_000, 200_000_000),
            };
            w.machines[machine].off += by;
            w.note(|| format!("the clock of machine {machine} jumps by {by} ms"));
        }
        if w.fault(Fault::Interrupt) {
            let all: Vec<Pid> = w.processes.keys().copied().collect();
            if let Some(pid) = w.random.pick(&all).copied() {
                w.note(|| format!("process {pid} is interrupted"));
                if let Some(process) = w.processes.get_mut(&pid) {
                    process.cancelled = true;
                }
            }
        }
        let kills = w.fault(Fault::Kill);
        let reboots = w.fault(Fault::Reboot);
        drop(w);
        if kills && !self.tasks.is_empty() {
            let n = self.sim.w().random.below(self.tasks.len());
            self.kill(n);
        }
        if reboots {
            let machine = {
                let mut w = self.sim.w();
                let own = w.setup.machines;
                let machine = w.random.below(own);
                w.machines[machine].boot += 1;
                w.note(|| format!("machine {machine} starts anew"));
                machine
            };
            self.kill_on(machine);
        }
    }

    fn kill(&mut self, n: usize) {
        let (pid, task) = self.tasks.swap_remove(n);
        drop(task);
        let mut w = self.sim.w();
        w.note(|| format!("process {pid} is killed"));
        w.end(pid);
    }

    fn kill_on(&mut self, machine: usize) {
        while let Some(n) = {
            let w = self.sim.w();
            self.tasks
                .iter()
                .position(|(pid, _)| w.processes.get(pid).is_some_and(|p| p.machine == machine))
        } {
            self.kill(n);
        }
    }

    /// Faults stop and people approve everything: the run comes to its end.
    fn calm(&mut self) {
        if self.is_broken() {
            return;
        }
        {
            let mut w = self.sim.w();
            w.calm = true;
            w.last_of_trouble = w.new_pid();
            w.note(|| "all is calm".to_owned());
            for machine in &mut w.machines {
                machine.off = 0;
            }
        }
        let all_anew = self.sim.w().random.chance(500);
        while all_anew && !self.tasks.is_empty() {
            self.kill(0);
        }
        let mut rounds = 0;
        for _ in 0..CALM {
            if self.is_broken() {
                return;
            }
            if self.is_idle() {
                if self.sim.w().is_over() {
                    self.sim.w().look_back();
                    return;
                }
                rounds += 1;
                if rounds > 150 {
                    break;
                }
                self.help();
            }
            self.step();
        }
        let mut w = self.sim.w();
        let phases = w.state().map(|e| {
            let items = e.state.items.iter();
            items
                .map(|i| format!("{} {:?}", i.key, i.phase))
                .collect::<Vec<_>>()
        });
        let waits = w.audit.rest.clone();
        w.breaks(format!(
            "no wait is forgotten: it comes to no end; {phases:?}, waiting for {waits:?}"
        ));
    }

    fn is_idle(&self) -> bool {
        let w = self.sim.w();
        let waits = self.tasks.iter().all(|(pid, _)| {
            let process = w.processes.get(pid);
            process.is_none_or(|p| p.listens)
        });
        waits && w.workers.iter().all(|k| k.stage == Stage::Done) && w.actions.is_idle()
    }

    /// What people do when the tool waits for them.
    fn help(&mut self) {
        self.sim.w().run_queue();
        let typed = self.sim.w().help();
        for typed in typed {
            self.type_in(typed);
        }
        self.sim.w().audit();
        let (own, actions, again) = {
            let mut w = self.sim.w();
            let again = w.wants_building_again();
            (w.setup.own || w.random.chance(100), w.setup.actions, again)
        };
        let drives = |(pid, _): &(Pid, Task)| self.sim.w().drives(*pid);
        if (!actions || again || own) && !self.tasks.iter().any(drives) {
            self.go_on(false);
        }
        if actions {
            let mut w = self.sim.w();
            let now = w.now;
            w.actions.events.push(now);
        }
    }
}

/// `git pertask continue`: `commands::drive::drive_with`.
async fn go_on(sim: Sim, pid: Pid, watch: bool) {
    let machine = sim.w().processes[&pid].machine;
    if sim.w().machines[machine].lock.is_some() {
        sim.w().end(pid);
        return;
    }
    sim.w().machines[machine].lock = Some(pid);
    let done = drive(&sim, pid, machine, watch).await;
    let mut w = sim.w();
    if let Some(done) = done {
        w.came_to_rest(pid, done);
    }
    w.end(pid);
}

async fn drive(
    sim: &Sim,
    pid: Pid,
    machine: usize,
    watch: bool,
) -> Option<Result<super::driver::Rest, Fail>> {
    if let Err(e) = sim.refresh(machine).await {
        return Some(Err(e));
    }
    let (jobs, local) = {
        let w = sim.w();
        let snapshot = w.read(machine)?;
        let state = snapshot.state();
        let over = state.forge == ForgeKind::Local || state.merged.is_some();
        if state.end.is_some() && over {
            return None;
        }
        (w.setup.jobs, w.is_local())
    };
    let mut driver = match Driver::new(sim, pid, Hands::Own, jobs, true) {
        Ok(driver) => driver,
        Err(e) => return Some(Err(e)),
    };
    loop {
        let rest = match driver.run().await {
            Ok(rest) => rest,
            Err(e) => return Some(Err(e)),
        };
        if rest.interrupted {
            return Some(Ok(rest));
        }
        if local {
            // Who decided something meanwhile left it to us.
            let tip = sim.w().branch(machine, super::world::LEDGER);
            if tip.as_ref() != Some(&rest.snapshot.commit) {
                continue;
            }
            return Some(Ok(rest));
        }
        if !watch || rest.snapshot.state().end.is_some() {
            return Some(Ok(rest));
        }
        loop {
            match driver.has_news().await {
                Ok(true) => break,
                Ok(false) | Err(Fail::Passing(_)) => {}
                Err(e) => return Some(Err(e)),
            }
            sim.w().listens(pid, true);
            pause().await;
            sim.w().listens(pid, false);
            let stops = {
                let mut w = sim.w();
                let cancelled = w.processes.get(&pid).is_some_and(|p| p.cancelled);
                cancelled || w.calm || w.random.chance(20)
            };
            if stops {
                return Some(Ok(rest));
            }
        }
    }
}

impl World {
    /// The repository with a base, and a run that has just started.
    fn found(&mut self) {
        let mut pieces = Pieces::new();
        pieces.insert("README".to_owned(), "first".to_owned());
        for n in 0..3 {
            pieces.insert(format!("shared.x#{n}"), "first".to_owned());
        }
        let tree = self.git.put(pieces);
        let now = World::time(self.now);
        let root = self.git.commit(&tree, &[], "ada", now);
        self.refs.insert(BASE_BRANCH.to_owned(), root.clone());
        let pinned = (
            Rc::new(self.setup.plan.clone()),
            Rc::new(self.setup.config.clone()),
        );
        self.documents.insert(root.clone(), pinned);
        let state = transition::start(transition::Start {
            run: RUN,
            number: 1,
            plan: &self.setup.plan,
            config: &self.setup.config,
            mode: (self.setup.mode, "as the seed has it".to_owned()),
            base: Base {
                branch: BASE_BRANCH.to_owned(),
                commit: root,
            },
            by: person("ada"),
            at: now,
        });
        let text = {
            let tasks: Vec<String> = self
                .setup
                .plan
                .tasks
                .iter()
                .map(|t| format!("{}{:?}", t.id, t.depends_on))
                .collect();
            let (setup, config) = (&self.setup, &self.setup.config);
            format!(
                "a run of {} ({}), {:?}, {:?}, {:?}, {:?}, own {}, jobs {}, faults {:?}",
                tasks.join(" "),
                if setup.mode == Mode::Batch {
                    "batch"
                } else {
                    "per task"
                },
                config.forge,
                config.checkpoint,
                config.merge,
                config.limits,
                setup.own,
                setup.actions,
                setup.faults
            )
        };
        self.note(|| text);
        let kind = match (self.is_local(), self.setup.actions) {
            (true, _) => "local forge",
            (false, false) => "GitHub, people's machines",
            (false, true) => "GitHub, jobs",
        };
        self.audit.meets(kind);
        if self.setup.mode == Mode::Batch {
            self.audit.meets("batch");
        }
        // Where it starts is no matter of this simulation: the run is there.
        let commit = self.first(&state, &Step::of("the run starts"), now);
        let main = state.run_branch.clone();
        self.refs.insert(super::world::LEDGER.to_owned(), commit);
        if !self.is_local() {
            self.refs.insert(main.name, main.head);
        }
        if self.setup.actions {
            let now = self.now;
            self.actions.events.push(now);
        }
        self.audit();
    }

    /// Attempts whose stage is over.
    fn due_workers(&self) -> Vec<usize> {
        let cancelled = |pid: Option<Pid>| {
            pid.and_then(|p| self.processes.get(&p))
                .is_some_and(|p| p.cancelled)
        };
        (0..self.workers.len())
            .filter(|n| {
                let worker = &self.workers[*n];
                worker.stage != Stage::Done && (worker.until <= self.now || cancelled(worker.pid))
            })
            .collect()
    }

    fn work_somewhere(&mut self) {
        let due = self.due_workers();
        let Some(n) = self.random.pick(&due).copied() else {
            return;
        };
        let pid = self.workers[n].pid;
        let cancelled = pid
            .and_then(|p| self.processes.get(&p))
            .is_some_and(|p| p.cancelled);
        self.work(n, cancelled);
        // A thread that is done is no more; a job's is packed first.
        if self.workers[n].stage == Stage::Done && pid.is_some() {
            self.workers.remove(n);
        }
    }

    /// When nothing else can happen, time passes.
    fn pass_time(&mut self) {
        let waits = |p: &Process| p.listens || p.asleep.is_some_and(|until| until > self.now);
        let waits = self.processes.values().all(waits);
        if !waits || !self.due_workers().is_empty() {
            return;
        }
        let stages = self
            .workers
            .iter()
            .filter(|k| k.stage != Stage::Done)
            .map(|k| k.until);
        let asleep = self.processes.values().filter_map(|p| p.asleep);
        let events = self.actions.events.iter().copied();
        let next = stages.chain(asleep).chain(events).min();
        if let Some(next) = next.filter(|n| *n > self.now) {
            self.now = next;
        }
    }

    /// Whether a process drives the run.
    pub fn drives(&self, pid: Pid) -> bool {
        self.machines.iter().any(|m| m.lock == Some(pid))
    }
}
