//! The loop: gather facts, decide, act, record.
//!
//! One thread drives: it alone reads and writes the ledger. Each attempt has a thread of its own,
//! which hands back nothing but the news that it is done; its result lies in its folder, where the
//! next round of the loop (of this process, or after a crash of another) finds and publishes it.
//!
//! Races: whoever loses a compare-and-swap reads again and decides again. While attempts run, the
//! ledger's tip is looked at twice a second, so a review given in another terminal starts what has
//! become ready.

mod acts;
pub mod gate;
mod hand;
pub mod home;
pub mod orders;
mod prompts;
pub mod pulls;
pub mod trust;
mod validation;
pub mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::attempt::folder::{self, Folder};
use crate::attempt::process::Cancel;
use crate::attempt::{BuildOrder, Event};
use crate::forge::Forge;
use crate::git::{GitError, Repo, Worktree};
use crate::ledger::{Files, Ledger, LedgerError, Snapshot, Trees};
use crate::plan::{Config, Plan};
use crate::report;
use crate::run::decide::{Action, Facts, Standing, Wait, decide};
use crate::run::order::{AttemptResult, Order, OrderKind};
use crate::run::state::{Claim, Item, Person, Phase, State, Workflow};
use crate::run::transition::{self, NotPossible};
use crate::run::{BASE, GATE};
use home::Home;
use orders::{Orders, plain};
use trust::Pinned;
use workers::{Done, Workers};

/// What the person at the terminal is told while the loop turns.
pub trait Audience {
    /// Something was recorded or done.
    fn said(&mut self, text: &str);
    /// Something that a person should know, but that stops nothing.
    fn warn(&mut self, text: &str);
    /// An attempt begins.
    fn begins(&mut self, item: &str, name: &str);
    /// Something happens in an attempt, or in a build of the base (`item` is empty then).
    fn event(&mut self, item: &str, event: &Event);
    /// An attempt has ended.
    fn ends(&mut self, item: &str);
    /// Time passes.
    fn tick(&mut self) {}
}

/// Who carries orders out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hands {
    /// This process.
    Own,
    /// Jobs of this workflow run: orders are claimed for them, and handed out.
    Jobs(Workflow),
    /// Nobody here: what has come of orders is taken in and shown, and what follows is left.
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

/// An order that was claimed for another machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Handed {
    /// The run.
    pub run: String,
    /// Key of the item, or [`crate::run::BASE`] or [`crate::run::GATE`].
    pub task: String,
    /// Number of the attempt, as text: it goes through a job matrix.
    pub attempt: String,
    /// Object id of the order in the ledger.
    pub order: String,
}

/// How a driver is to work.
pub struct Options {
    /// How many attempts may run at the same time.
    pub jobs: usize,
    /// Says when to stop.
    pub cancel: Cancel,
    /// Who carries orders out.
    pub hands: Hands,
    /// What the ledger has to follow from, where it is not believed.
    pub pinned: Option<Pinned>,
    /// Who commits, when that is not the person git knows.
    pub by: Option<Person>,
    /// Whether what did not build is built again though nothing has changed.
    pub again: bool,
}

impl Options {
    /// Everything is done here.
    #[must_use]
    pub fn here(jobs: usize, cancel: Cancel) -> Self {
        Self {
            jobs,
            cancel,
            hands: Hands::Own,
            pinned: None,
            by: None,
            again: true,
        }
    }
}

/// Where the loop came to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Rest {
    /// The last state read.
    pub snapshot: Snapshot,
    /// What it waits for; empty when the run has ended.
    pub waits: Vec<Wait>,
    /// The person interrupted.
    pub interrupted: bool,
    /// Something is left that could be done at once, by others.
    pub more: bool,
}

/// What the driver notes in an attempt's folder when it begins.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Begun {
    /// The order.
    pub order: Order,
    /// Id of the claim it was taken under.
    pub claim: String,
    /// Number of the workspace.
    pub slot: usize,
}

/// Drives one run.
pub struct Driver<'a> {
    repo: &'a Repo,
    ledger: Ledger<'a>,
    home: Home,
    forge: Box<dyn Forge + 'a>,
    plan: Plan,
    config: Config,
    by: Person,
    options: Options,
    handed: Vec<(String, Handed)>,
    over: BTreeMap<Workflow, bool>,
    workers: Workers,
    /// Branches that are left where they are, because somebody has them checked out.
    left_alone: BTreeSet<String>,
    base_built: bool,
    gate_seen: Option<String>,
    failure: Option<anyhow::Error>,
    /// Items of which it was said that they wait for money.
    set_aside: BTreeSet<String>,
    there: pulls::There,
    /// The branch that the run's last pull request goes to.
    base_branch: String,
}

/// How long a claim holds beside the time limits of what it is for.
const CLAIM_SLACK: Duration = Duration::from_mins(15);

/// How often the ledger is looked at while attempts run.
const LOOK: Duration = Duration::from_millis(500);

impl<'a> Driver<'a> {
    /// A driver for a run that is in the ledger.
    ///
    /// # Errors
    /// When the ledger cannot be read, or the run's forge cannot be served.
    pub fn new(
        repo: &'a Repo,
        run: &str,
        forge: Box<dyn Forge + 'a>,
        options: Options,
    ) -> anyhow::Result<Self> {
        let ledger = Ledger::of(repo, run).kept_at(forge.remote().cloned());
        let snapshot = ledger.read()?;
        let mut options = options;
        let (plan, config) = match &options.pinned {
            Some(pinned) => (pinned.plan.clone(), pinned.config.clone()),
            None => (
                ledger.plan(&snapshot.commit)?,
                ledger.config(&snapshot.commit)?,
            ),
        };
        let base_branch = plan.base.clone();
        Ok(Self {
            repo,
            base_branch: base_branch.unwrap_or_else(|| snapshot.state.base.branch.clone()),
            home: Home::of(repo)?,
            forge,
            plan,
            config,
            by: match options.by.take() {
                Some(by) => by,
                None => repo.identity()?,
            },
            handed: Vec::new(),
            over: BTreeMap::new(),
            workers: Workers::new(repo, options.cancel.clone()),
            options,
            ledger,
            left_alone: BTreeSet::new(),
            base_built: false,
            gate_seen: None,
            failure: None,
            set_aside: BTreeSet::new(),
            there: pulls::There::default(),
        })
    }

    /// The pinned plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The orders that were handed out.
    #[must_use]
    pub fn handed(&self) -> Vec<Handed> {
        self.handed.iter().map(|(_, h)| h.clone()).collect()
    }

    /// Goes on until a person is needed, the run has ended, or the person interrupts.
    ///
    /// # Errors
    /// When our own part fails; what was recorded until then stays recorded.
    pub fn run(&mut self, audience: &mut dyn Audience) -> anyhow::Result<Rest> {
        let mut lost = Lost::default();
        loop {
            while let Some(done) = self.workers.next(Duration::ZERO, audience) {
                self.worker_done(done, audience);
            }
            let stopping = self.options.cancel.is_cancelled() || self.failure.is_some();
            let (snapshot, facts) = match self.read(stopping) {
                Ok(read) => read,
                Err(e) if self.may_try_again(&e) => continue,
                Err(e) if self.workers.is_idle() => return Err(self.failure.take().unwrap_or(e)),
                Err(e) => {
                    // Let what runs come to its end first.
                    self.failure = Some(self.failure.take().unwrap_or(e));
                    self.wait(audience);
                    continue;
                }
            };
            let decision = decide(&snapshot.state, &facts);
            let more = !decision.actions.is_empty();
            let action = decision
                .actions
                .into_iter()
                .filter(|a| self.options.hands.do_this(a))
                .find(|a| !stopping || must_finish(a));
            if let Some(action) = action {
                match self.act(&action, &snapshot, audience) {
                    Ok(()) => {
                        lost = Lost::default();
                        continue;
                    }
                    Err(e) if is_race(&e) && lost.may_go_on(&snapshot.commit) => {
                        tracing::info!(error = %e, "lost a race; reading again");
                        self.look_anew();
                        continue;
                    }
                    Err(e) if self.may_try_again(&e) => continue,
                    Err(e) if self.workers.is_idle() => return Err(of_ours(e, &action)),
                    // Let what runs come to its end first.
                    Err(e) => self.failure = Some(self.failure.take().unwrap_or(e)),
                }
            } else if self.workers.is_idle() {
                if self.hands_out() {
                    self.tell_waits(&snapshot.state, &decision.waits, audience);
                }
                return match self.failure.take() {
                    Some(failure) => Err(failure),
                    None => Ok(Rest {
                        interrupted: self.options.cancel.is_cancelled(),
                        waits: decision.waits,
                        snapshot,
                        more,
                    }),
                };
            }
            self.tell_waits(&snapshot.state, &decision.waits, audience);
            self.listen(&snapshot, audience)?;
        }
    }

    /// Says once of each item why it does not begin beside what is under way.
    fn tell_waits(&mut self, state: &State, waits: &[Wait], audience: &mut dyn Audience) {
        for wait in waits {
            if let Wait::SetAside { item } = wait
                && self.set_aside.insert(item.clone())
            {
                for sentence in report::waits::sentences(state, std::slice::from_ref(wait)) {
                    audience.said(&format!("Waiting for {sentence}"));
                }
            }
        }
    }

    /// The newest state, and what is known beside it.
    fn read(&mut self, stopping: bool) -> anyhow::Result<(Snapshot, Facts)> {
        self.refresh()?;
        let snapshot = self.ledger.read()?;
        self.examine(&snapshot)?;
        self.take_merges(&snapshot)?;
        let facts = self.facts(&snapshot, stopping)?;
        Ok((snapshot, facts))
    }

    /// Holds a ledger that was read against its base, where it is not believed.
    fn examine(&mut self, snapshot: &Snapshot) -> anyhow::Result<()> {
        let Some(pinned) = &self.options.pinned else {
            return Ok(());
        };
        if pinned.commit != snapshot.commit && !crate::plant::is("ledger-is-examined-once") {
            let pinned = trust::examine(self.repo, &pinned.run, snapshot, &pinned.trusted)?;
            self.plan.clone_from(&pinned.plan);
            self.config.clone_from(&pinned.config);
            self.options.pinned = Some(pinned);
        }
        Ok(())
    }

    /// Waits until a worker is done.
    fn wait(&mut self, audience: &mut dyn Audience) {
        while !self.workers.is_idle() {
            if let Some(done) = self.workers.next(LOOK, audience) {
                return self.worker_done(done, audience);
            }
            audience.tick();
        }
    }

    /// Waits until a worker has news, or the ledger has moved.
    fn listen(&mut self, snapshot: &Snapshot, audience: &mut dyn Audience) -> anyhow::Result<()> {
        loop {
            if let Some(done) = self.workers.next(LOOK, audience) {
                self.worker_done(done, audience);
                return Ok(());
            }
            audience.tick();
            if self.workers.is_idle() || self.ledger.tip()?.as_ref() != Some(&snapshot.commit) {
                return Ok(());
            }
            if self.heard_of_news()? {
                return Ok(());
            }
        }
    }

    fn worker_done(&mut self, done: Done, audience: &mut dyn Audience) {
        audience.ends(&done.item);
        if let Err(e) = done.outcome {
            self.failure = Some(self.failure.take().unwrap_or(e));
        }
    }

    fn facts(&mut self, snapshot: &Snapshot, stopping: bool) -> anyhow::Result<Facts> {
        self.look(&snapshot.state, stopping)?;
        let state = &snapshot.state;
        let orders = Orders {
            repo: self.repo,
            plan: &self.plan,
            config: &self.config,
            state,
        };
        let mut facts = Facts {
            now: Timestamp::now(),
            slots: if stopping {
                0
            } else {
                let busy = self.workers.running() + self.handed.len();
                self.options.jobs.saturating_sub(busy)
            },
            limits: Some(self.config.limits.clone()),
            agents: orders.agents(),
            may_cost: orders.may_cost(),
            base_built: self.base_built || (!self.options.again && state.base_build.is_some()),
            rules_named: self.rules_named(),
            gate_seen: self.gate_seen.as_ref() == Some(&state.run_branch.head)
                || (!self.options.again && state.gate_of.as_ref() == Some(&state.run_branch.head)),
            mine: self.workers.claims(),
            ..Facts::default()
        };
        facts
            .mine
            .extend(self.handed.iter().map(|(c, _)| c.clone()));
        let mut look = |name: &str, head: &str| -> anyhow::Result<()> {
            let standing = if self.left_alone.contains(name) {
                Standing::Same
            } else {
                self.ledger.standing(name, head)?
            };
            facts.standings.insert(name.to_owned(), standing);
            Ok(())
        };
        look(&state.run_branch.name, &state.run_branch.head)?;
        for item in state.items.iter().filter(|i| !i.is_settled()) {
            if let Some(branch) = &item.branch {
                look(&branch.name, &branch.head)?;
            }
        }
        for item in &state.items {
            match (&item.phase, &item.branch) {
                (Phase::Approved { .. }, Some(branch))
                    if self
                        .repo
                        .is_ancestor(&state.run_branch.head, &branch.head)? =>
                {
                    facts.up_to_date.insert(item.key.clone());
                }
                (Phase::Running { claim }, _) => {
                    self.look_after(state, &item.branch_leaf(), claim, &mut facts)?;
                }
                _ => {}
            }
        }
        if let Some(building) = &state.building {
            self.look_after(state, &building.key, &building.claim, &mut facts)?;
        }
        self.facts_there(snapshot, &mut facts)?;
        Ok(facts)
    }

    /// What has become of work that somebody claimed.
    fn look_after(
        &mut self,
        state: &State,
        leaf: &str,
        claim: &Claim,
        facts: &mut Facts,
    ) -> anyhow::Result<()> {
        if facts.mine.contains(&claim.id) {
            return Ok(());
        }
        if self.stored_result(state, leaf, claim)?.is_some() {
            facts.results.insert(claim.id.clone());
        } else if home::is_gone(&claim.holder) || self.is_own_lost(claim) || self.is_over(claim)? {
            facts.gone.insert(claim.id.clone());
        }
        Ok(())
    }

    /// A claim for jobs of a workflow run that is over.
    fn is_over(&mut self, claim: &Claim) -> anyhow::Result<bool> {
        let Some(theirs) = &claim.holder.workflow else {
            return Ok(false);
        };
        match &self.options.hands {
            // What comes of the other orders is not this job's.
            Hands::Nobody => return Ok(false),
            // Run anew as a whole, the jobs of the time before have ended.
            Hands::Jobs(ours) if ours.run == theirs.run => {
                return Ok(theirs.attempt < ours.attempt);
            }
            _ => {}
        }
        if let Some(over) = self.over.get(theirs) {
            return Ok(*over);
        }
        let over = self.forge.is_over(theirs)?;
        self.over.insert(theirs.clone(), over);
        Ok(over)
    }

    /// A claim of this very process on which no worker works: the worker failed.
    fn is_own_lost(&self, claim: &Claim) -> bool {
        claim.holder == home::myself() && self.workers.knew(&claim.id)
    }

    fn folder(&self, state: &State, item: &Item, attempt: u32) -> anyhow::Result<Folder> {
        Folder::open(self.home.attempt(&state.run, &item.branch_leaf(), attempt))
    }

    fn stored_result(
        &self,
        state: &State,
        leaf: &str,
        claim: &Claim,
    ) -> anyhow::Result<Option<(Begun, AttemptResult, Folder)>> {
        let path = self.home.attempt(&state.run, leaf, claim.attempt);
        if !path.is_dir() {
            return Ok(None);
        }
        let folder = Folder::open(path)?;
        let begun: Option<Begun> = folder.read(folder::ORDER)?;
        let result: Option<AttemptResult> = folder.read(folder::RESULT)?;
        Ok(begun
            .zip(result)
            .filter(|(b, r)| b.claim == claim.id && r.claim == claim.id)
            .map(|(b, r)| (b, r, folder)))
    }

    fn act(
        &mut self,
        action: &Action,
        snapshot: &Snapshot,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        tracing::debug!(?action, "act");
        let mut state = snapshot.state.clone();
        match action {
            Action::Repair { .. } if crate::plant::is("no-repair") => Ok(()),
            Action::Repair { branch, from, to } => {
                self.repair(branch, from.as_deref(), to, audience)
            }
            Action::AdoptRun { commit } => {
                let info = self.repo.commit_info(commit)?;
                let merged = self.inside(&state, commit)?;
                let mut said = transition::run_adopted(
                    &mut state,
                    commit,
                    &merged,
                    &info.author,
                    Timestamp::now(),
                );
                said.push_str(&self.judged(&mut state)?);
                self.record(snapshot, state, &said, Vec::new(), audience)
            }
            Action::BuildBase if self.hands_out() => {
                self.hand_out_build(snapshot, state, BASE, audience)
            }
            Action::BuildBase => self.build_base(snapshot, state, audience),
            Action::Publish { item } => self.publish(snapshot, item, audience),
            Action::Free { item, why } => self.free(snapshot, state, item, why, audience),
            Action::Adopt { item, commit } => {
                let pending = plain(OrderKind::Person, Some(commit.clone()), String::new());
                let by = self.repo.commit_info(commit)?.author;
                let why = format!(
                    "{} committed on its branch ({})",
                    by.name,
                    transition::short(commit)
                );
                let said = transition::reopened(&mut state, item, pending, &why)?;
                self.record(snapshot, state, &said, Vec::new(), audience)
            }
            Action::Merge { item } => {
                let whole = state
                    .item(item)
                    .context("the item to merge is gone")?
                    .clone();
                let Some(commit) = self.merge(&state, &whole)? else {
                    return Ok(());
                };
                let mut said = transition::merged(&mut state, item, &commit, Timestamp::now())?;
                said.push_str(&self.taken_along(&mut state, &commit)?);
                said.push_str(&self.judged(&mut state)?);
                self.record(snapshot, state, &said, Vec::new(), audience)
            }
            Action::Forward { item } => self.forward(snapshot, state, item, audience),
            Action::Start { item } if self.hands_out() => {
                self.hand_out(snapshot, state, item, audience)
            }
            Action::Gate if self.hands_out() => {
                self.hand_out_build(snapshot, state, GATE, audience)
            }
            Action::Start { item } => self.start(snapshot, state, item, audience),
            Action::Judge => self.judge(snapshot, state, audience),
            Action::Validate => self.validate(snapshot, state, audience),
            Action::Report => self.report(snapshot, state, audience),
            Action::Gate => self.gate(snapshot, state, audience),
            Action::Show { .. }
            | Action::Hear { .. }
            | Action::Answer { .. }
            | Action::Approve { .. }
            | Action::Withdraw { .. }
            | Action::TakeMerged { .. }
            | Action::TakeClosed { .. }
            | Action::Close { .. }
            | Action::MergeBase { .. } => self.there(action, snapshot, state, audience),
        }
    }

    fn record(
        &mut self,
        from: &Snapshot,
        state: State,
        said: &str,
        files: Files,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        self.record_with(from, state, said, (files, Vec::new()), audience)
    }

    fn record_with(
        &mut self,
        from: &Snapshot,
        state: State,
        said: &str,
        added: (Files, Trees),
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let after =
            self.ledger
                .append_with(from, state, said, added, &self.by, Timestamp::now())?;
        self.moved(&from.state, &after.state);
        self.goes_on();
        audience.said(said);
        Ok(())
    }

    fn repair(
        &mut self,
        branch: &str,
        from: Option<&str>,
        to: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        if from.is_some()
            && self.ledger.remote().is_none()
            && let Some(place) = self.repo.checked_out_at(branch)?
        {
            audience.warn(&format!(
                "{branch} is checked out in {}, so it stays at {}; once another branch is checked out there, `git pertask continue` moves it to {}",
                place.display(),
                transition::short(from.unwrap_or_default()),
                transition::short(to),
            ));
            self.left_alone.insert(branch.to_owned());
            return Ok(());
        }
        self.ledger
            .move_branch(branch, from, to, "pertask: as the ledger says")?;
        Ok(())
    }

    fn workspace(&self, state: &State, slot: usize) -> anyhow::Result<Worktree> {
        Ok(Worktree::open(
            self.repo,
            &self.home.workspace(&state.run, slot),
        )?)
    }

    fn build_order(&self, commands: &[Vec<String>]) -> BuildOrder {
        BuildOrder {
            commands: commands.to_vec(),
            directory: self.plan.directory.clone(),
            timeout_s: self.plan.check_timeout_s,
            sparse: self.plan.sparse.clone(),
            sandbox: self.config.sandbox,
        }
    }
}

/// Races lost in a row on one and the same state. Whoever loses one to somebody finds another state;
/// who does not has met something else, which is not got rid of by trying.
#[derive(Default)]
struct Lost {
    on: String,
    times: u32,
}

impl Lost {
    const MOST: u32 = 5;

    fn may_go_on(&mut self, commit: &str) -> bool {
        if self.on != commit {
            commit.clone_into(&mut self.on);
            self.times = 0;
        }
        self.times += 1;
        self.times <= Self::MOST
    }
}

/// While stopping, only what brings a finished attempt home is still done.
fn must_finish(action: &Action) -> bool {
    matches!(
        action,
        Action::Publish { .. } | Action::Repair { .. } | Action::Free { .. }
    )
}

/// A step that was decided on and cannot be taken is a defect, whatever the words it is refused with.
fn of_ours(error: anyhow::Error, action: &Action) -> anyhow::Error {
    match error.downcast_ref::<NotPossible>() {
        Some(NotPossible(why)) => {
            anyhow::anyhow!("the next step cannot be taken: {why} (it was to be {action:?})")
        }
        None => error,
    }
}

fn is_race(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<LedgerError>()
        .is_some_and(|e| matches!(e, LedgerError::Raced(_)))
        || error
            .downcast_ref::<GitError>()
            .is_some_and(|e| matches!(e, GitError::Raced { .. }))
        || error.downcast_ref::<NotPossible>().is_some()
}

/// Everything an audience may be told, told to nobody.
#[derive(Debug, Default)]
pub struct Silence;

impl Audience for Silence {
    fn said(&mut self, _: &str) {}
    fn warn(&mut self, _: &str) {}
    fn begins(&mut self, _: &str, _: &str) {}
    fn event(&mut self, _: &str, _: &Event) {}
    fn ends(&mut self, _: &str) {}
}
