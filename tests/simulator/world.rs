//! The world: what is true, beside what each process knows of it.
//!
//! One thread, one seed. Every process is a future that stops at each effect, before and after; the
//! schedule goes on with whichever it picks. Killing a process is dropping its future.

use std::cell::{RefCell, RefMut};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use git_pertask::plan::{Config, ForgeKind, Plan};
use git_pertask::run::state::{Holder, Person, Workflow};
use jiff::Timestamp;

use super::audit::Audit;
use super::git::Git;
use super::hub::Hub;
use super::jobs::Actions;
use super::met;
use super::random::Random;
use super::setup::Setup;
use super::store::{Ledger, Refs};
use super::worker::{Folder, Worker};

/// Name of the run, which is that of its plan.
pub const RUN: &str = "wiz";
/// The run's ledger.
pub const LEDGER: &str = "refs/pertask/runs/wiz";
/// The branch that it all starts from, and goes to.
pub const BASE_BRANCH: &str = "trunk";

pub type Pid = u32;

/// Why something a process does goes wrong, told apart as the driver does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fail {
    /// Somebody was first.
    Raced,
    /// It makes no sense in the present state.
    Not(String),
    /// It may pass when all is looked at again: a line that is down, an answer that was lost.
    Passing(String),
    /// A rate limit: the process ends.
    Limited,
    /// The remote will not have it.
    Refused(String),
    /// Anything else: the process ends, and says so.
    Error(String),
}

impl From<git_pertask::run::transition::NotPossible> for Fail {
    fn from(e: git_pertask::run::transition::NotPossible) -> Self {
        Self::Not(e.0)
    }
}

/// What can go wrong by chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A push or fetch never arrives.
    Before,
    /// A push arrives, and the answer is lost.
    After,
    /// A request to the forge never leaves.
    NotSent,
    /// The forge answers with 5xx and has done nothing.
    Fails,
    /// The forge answers with 5xx and has done it.
    FailsAfter,
    /// The forge has done it, and its answer does not come in time.
    NoAnswer,
    /// A secondary limit: 403 with `retry-after`.
    Secondary,
    /// 403 that does not say for how long.
    SecondaryUnsaid,
    /// 429.
    TooMany,
    /// The primary limit: 403, nothing remaining until a time.
    Spent,
    /// What is read is some seconds old.
    Stale,
    /// The forge will not merge now.
    Held,
    /// The remote refuses a push.
    Refuse,
    /// A process is killed.
    Kill,
    /// A machine is started anew.
    Reboot,
    /// A process is interrupted.
    Interrupt,
    /// A job's machine is lost.
    LostJob,
    /// A clock jumps.
    Clock,
    /// An event is dropped.
    Drop,
    /// An event comes twice.
    Double,
    /// A workflow is run again.
    Again,
    /// A build fails for no reason of the tree.
    Flake,
}

/// A machine with a clone of the repository; in the local forge all have the same.
#[derive(Debug, Default)]
pub struct Machine {
    pub host: String,
    pub boot: u32,
    /// What it knows of the remote's refs.
    pub mirror: Refs,
    /// Who drives the run here.
    pub lock: Option<Pid>,
    /// How far its clock is off, in milliseconds.
    pub off: i64,
    /// It is a job's: made for it, and gone with it.
    pub of_job: bool,
    /// Until when the process that drives the run here knows that the forge wants no request.
    pub limited: i64,
}

/// A process that is there.
#[derive(Debug, Clone)]
pub struct Process {
    pub machine: usize,
    pub workflow: Option<Workflow>,
    /// It was asked to stop.
    pub cancelled: bool,
    /// It waits for something to happen.
    pub listens: bool,
    /// It waits for a time.
    pub asleep: Option<i64>,
}

pub struct World {
    pub random: Random,
    pub setup: Setup,
    /// The true time, in milliseconds.
    pub now: i64,
    pub git: Git,
    /// Refs of the remote; of the repository, in the local forge.
    pub refs: Refs,
    pub ledger: Ledger,
    pub machines: Vec<Machine>,
    pub processes: BTreeMap<Pid, Process>,
    pub workers: Vec<Worker>,
    /// Attempts' folders by machine, leaf and number.
    pub folders: BTreeMap<(usize, String, u32), Folder>,
    pub hub: Hub,
    pub actions: Actions,
    /// No faults any more, and people approve everything.
    pub calm: bool,
    /// The last process that began before all was calm.
    pub last_of_trouble: Pid,
    /// What an invariant said first.
    pub broken: Option<String>,
    pub audit: Audit,
    /// Grows with every lasting effect, so that a loop that turns on the spot is noticed.
    pub effects: u64,
    /// Plans and settings as commits of the base have them.
    pub documents: BTreeMap<String, (Rc<Plan>, Rc<Config>)>,
    pub steps: usize,
    last_pid: Pid,
    last_id: u64,
    trace: Option<Vec<String>>,
}

impl World {
    pub fn new(setup: Setup, random: Random, traced: bool) -> Self {
        let machine = |n: usize| Machine {
            host: format!("host{n}"),
            boot: 1,
            ..Machine::default()
        };
        Self {
            random,
            now: 1_768_404_600_000,
            git: Git::default(),
            refs: Refs::new(),
            ledger: Ledger::default(),
            machines: (0..setup.machines).map(machine).collect(),
            processes: BTreeMap::new(),
            workers: Vec::new(),
            folders: BTreeMap::new(),
            hub: Hub::new(&setup),
            actions: Actions::default(),
            calm: false,
            last_of_trouble: 0,
            broken: None,
            audit: Audit::default(),
            effects: 0,
            documents: BTreeMap::new(),
            steps: 0,
            last_pid: 100,
            last_id: 0,
            trace: traced.then(Vec::new),
            setup,
        }
    }

    pub fn is_local(&self) -> bool {
        self.setup.config.forge == ForgeKind::Local
    }

    /// Notes what happens, when somebody will read it.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        let (steps, now) = (self.steps, self.now);
        if let Some(trace) = &mut self.trace {
            let second = now / 1000 - 1_768_404_600;
            trace.push(format!("{steps:4} {second:6}s  {}", what()));
        }
    }

    pub fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    /// Something of the design does not hold.
    pub fn breaks(&mut self, what: impl Into<String>) {
        let what = what.into();
        self.note(|| format!("BROKEN {what}"));
        self.broken.get_or_insert(what);
    }

    /// Whether this goes wrong now.
    pub fn fault(&mut self, fault: Fault) -> bool {
        if self.calm {
            return false;
        }
        let often = self.setup.faults.get(&fault).copied().unwrap_or(0);
        let now = often > 0 && self.random.chance(often);
        if now {
            self.audit.meets(met::of_fault(fault));
        }
        now
    }

    pub fn time(now: i64) -> Timestamp {
        Timestamp::from_millisecond(now).expect("a time")
    }

    /// The time on a machine's clock.
    pub fn clock(&self, machine: usize) -> Timestamp {
        Self::time(self.now + self.machines[machine].off)
    }

    /// The forge's clock: whole seconds.
    pub fn forge_time(&self) -> Timestamp {
        Self::time(self.now / 1000 * 1000)
    }

    pub fn new_pid(&mut self) -> Pid {
        self.last_pid += 1;
        self.last_pid
    }

    /// A number nobody had before.
    pub fn new_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// A process on a machine.
    pub fn process(&mut self, machine: usize, workflow: Option<Workflow>) -> Pid {
        let pid = self.new_pid();
        let process = Process {
            machine,
            workflow,
            cancelled: false,
            listens: false,
            asleep: None,
        };
        self.processes.insert(pid, process);
        pid
    }

    pub fn listens(&mut self, pid: Pid, listens: bool) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.listens = listens;
        }
    }

    /// As `driver::home::myself`, in a process of its own.
    pub fn holder(&self, pid: Pid) -> Holder {
        let machine = &self.machines[self.processes[&pid].machine];
        Holder {
            host: machine.host.clone(),
            boot: machine.boot.to_string(),
            pid,
            started: 1,
            workflow: None,
        }
    }

    /// As `driver::home::is_gone`, on one machine.
    pub fn is_gone(&self, machine: usize, holder: &Holder) -> bool {
        let here = &self.machines[machine];
        if holder.workflow.is_some() || holder.host != here.host {
            return false;
        }
        holder.boot != here.boot.to_string() || !self.processes.contains_key(&holder.pid)
    }

    /// Whether whoever holds it can still bring a result, as nobody but the world can know.
    pub fn lives(&self, holder: &Holder, claim: &str) -> bool {
        match &holder.workflow {
            Some(workflow) => self.actions.may_bring(workflow, claim),
            None => self.processes.contains_key(&holder.pid),
        }
    }

    /// The state that the ledger's ref names.
    pub fn state(&self) -> Option<Rc<super::store::Entry>> {
        self.ledger.entry(self.refs.get(LEDGER)?)
    }

    /// Plan and settings as a commit of the base has them.
    pub fn pinned_at(&self, commit: &str) -> (Rc<Plan>, Rc<Config>) {
        let newest = self.git.newest_in(self.documents.keys(), commit);
        let found = newest.and_then(|c| self.documents.get(c)).cloned();
        found.unwrap_or_else(|| {
            (
                Rc::new(self.setup.plan.clone()),
                Rc::new(self.setup.config.clone()),
            )
        })
    }

    /// The process is gone, with all that it held and all that ran in it.
    pub fn end(&mut self, pid: Pid) {
        let place = self.processes.get(&pid).map(|p| p.machine);
        for (n, machine) in self.machines.iter_mut().enumerate() {
            if machine.lock == Some(pid) || (machine.of_job && place == Some(n)) {
                machine.lock = None;
                // The next one knows nothing of a limit.
                machine.limited = 0;
            }
        }
        self.workers.retain(|w| w.pid != Some(pid));
        self.processes.remove(&pid);
    }
}

/// The world, shared by all who live in it.
#[derive(Clone)]
pub struct Sim(pub Rc<RefCell<World>>);

impl Sim {
    pub fn w(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }
}

/// Lets others go on, once.
pub fn pause() -> Pause {
    Pause(false)
}

/// What [`pause`] waits for.
pub struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            Poll::Ready(())
        } else {
            self.0 = true;
            Poll::Pending
        }
    }
}

pub fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        email: format!("{name}@example.org"),
    }
}
