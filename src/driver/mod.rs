//! The loop: gather facts, decide, act, record.
//!
//! One thread drives: it alone reads and writes the ledger. Each attempt has a thread of its own,
//! which hands back nothing but the news that it is done; its result lies in its folder, where the
//! next round of the loop (of this process, or after a crash of another) finds and publishes it.
//!
//! Races: whoever loses a compare-and-swap reads again and decides again. While attempts run, the
//! ledger's tip is looked at twice a second, so a review given in another terminal starts what has
//! become ready.

mod gate;
pub mod home;
pub mod orders;
mod prompts;
mod validation;
pub mod workers;

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::attempt::folder::{self, Folder};
use crate::attempt::process::Cancel;
use crate::attempt::{BuildOrder, Event};
use crate::forge::{self, Forge};
use crate::git::{GitError, NewCommit, Repo, Worktree};
use crate::ledger::{Files, Ledger, LedgerError, Snapshot, to_json};
use crate::plan::{Config, Plan};
use crate::publish::{self, Publisher};
use crate::run::decide::{Action, Facts, Standing, Wait, decide};
use crate::run::order::{AttemptResult, Order, OrderKind};
use crate::run::state::{Claim, Item, Person, Phase, State};
use crate::run::transition::{self, NotPossible};
use home::Home;
use orders::{Orders, plain};
use workers::{Done, Job, Workers};

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

/// How a driver is to work.
pub struct Options {
    /// How many attempts may run at the same time.
    pub jobs: usize,
    /// Says when to stop.
    pub cancel: Cancel,
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
}

/// What the driver notes in an attempt's folder when it begins.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Begun {
    order: Order,
    claim: String,
    slot: usize,
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
    workers: Workers,
    /// Branches that are left where they are, because somebody has them checked out.
    left_alone: BTreeSet<String>,
    base_built: bool,
    gate_seen: Option<String>,
    failure: Option<anyhow::Error>,
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
    pub fn new(repo: &'a Repo, run: &str, options: Options) -> anyhow::Result<Self> {
        let ledger = Ledger::of(repo, run);
        let snapshot = ledger.read()?;
        let plan = ledger.plan(&snapshot.commit)?;
        let config = ledger.config(&snapshot.commit)?;
        Ok(Self {
            repo,
            home: Home::of(repo)?,
            forge: forge::open(snapshot.state.forge, repo)?,
            plan,
            config,
            by: repo.identity()?,
            workers: Workers::new(repo, options.cancel.clone()),
            options,
            ledger,
            left_alone: BTreeSet::new(),
            base_built: false,
            gate_seen: None,
            failure: None,
        })
    }

    /// The pinned plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Goes on until a person is needed, the run has ended, or the person interrupts.
    ///
    /// # Errors
    /// When our own part fails; what was recorded until then stays recorded.
    pub fn run(&mut self, audience: &mut dyn Audience) -> anyhow::Result<Rest> {
        loop {
            while let Some(done) = self.workers.next(Duration::ZERO, audience) {
                self.worker_done(done, audience);
            }
            let snapshot = self.ledger.read()?;
            if self.take_decisions(&snapshot, audience)? {
                continue;
            }
            let stopping = self.options.cancel.is_cancelled() || self.failure.is_some();
            let facts = self.facts(&snapshot.state, stopping)?;
            let decision = decide(&snapshot.state, &facts);
            let action = decision
                .actions
                .into_iter()
                .find(|a| !stopping || must_finish(a));
            if let Some(action) = action {
                match self.act(&action, &snapshot, audience) {
                    Ok(()) => continue,
                    Err(e) if is_race(&e) => {
                        tracing::info!(error = %e, "lost a race; reading again");
                        continue;
                    }
                    Err(e) if self.workers.is_idle() => return Err(e),
                    // Let what runs come to its end first.
                    Err(e) => self.failure = Some(self.failure.take().unwrap_or(e)),
                }
            } else if self.workers.is_idle() {
                return match self.failure.take() {
                    Some(failure) => Err(failure),
                    None => Ok(Rest {
                        interrupted: self.options.cancel.is_cancelled(),
                        waits: decision.waits,
                        snapshot,
                    }),
                };
            }
            self.listen(&snapshot, audience)?;
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
        }
    }

    fn worker_done(&mut self, done: Done, audience: &mut dyn Audience) {
        audience.ends(&done.item);
        if let Err(e) = done.outcome {
            self.failure = Some(self.failure.take().unwrap_or(e));
        }
    }

    fn take_decisions(
        &mut self,
        snapshot: &Snapshot,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<bool> {
        let mut taken = false;
        for (key, review) in self.forge.decisions(&snapshot.state)? {
            let mut state = snapshot.state.clone();
            if let Ok(said) = transition::reviewed(&mut state, &key, review) {
                self.record(snapshot, state, &said, Vec::new(), audience)?;
                taken = true;
                break;
            }
        }
        Ok(taken)
    }

    fn facts(&self, state: &State, stopping: bool) -> anyhow::Result<Facts> {
        let mut facts = Facts {
            now: Timestamp::now(),
            slots: if stopping {
                0
            } else {
                self.options.jobs.saturating_sub(self.workers.running())
            },
            limits: Some(self.config.limits.clone()),
            base_built: self.base_built,
            rules_named: self.rules_named(),
            gate_seen: self.gate_seen.as_ref() == Some(&state.run_branch.head),
            mine: self.workers.claims(),
            ..Facts::default()
        };
        let mut look = |name: &str, head: &str| -> anyhow::Result<()> {
            let standing = if self.left_alone.contains(name) {
                Standing::Same
            } else {
                self.repo.standing(name, head)?
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
                (Phase::Running { claim }, _) if !facts.mine.contains(&claim.id) => {
                    if self.stored_result(state, item, claim)?.is_some() {
                        facts.results.insert(claim.id.clone());
                    } else if home::is_gone(&claim.holder) || self.is_own_lost(claim) {
                        facts.gone.insert(claim.id.clone());
                    }
                }
                _ => {}
            }
        }
        Ok(facts)
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
        item: &Item,
        claim: &Claim,
    ) -> anyhow::Result<Option<(Begun, AttemptResult, Folder)>> {
        let path = self
            .home
            .attempt(&state.run, &item.branch_leaf(), claim.attempt);
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
            Action::Repair { branch, from, to } => {
                self.repair(branch, from.as_deref(), to, audience)
            }
            Action::AdoptRun { commit } => {
                let info = self.repo.commit_info(commit)?;
                let mut merged = Vec::new();
                for item in state.items.iter().filter(|i| !i.is_settled()) {
                    if let Some(branch) = &item.branch
                        && self.repo.is_ancestor(&branch.head, commit)?
                    {
                        merged.push(item.key.clone());
                    }
                }
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
                let commit = self.forge.merge(&self.plan, &state, &whole, &self.by)?;
                let mut said = transition::merged(&mut state, item, &commit, Timestamp::now())?;
                said.push_str(&self.judged(&mut state)?);
                self.record(snapshot, state, &said, Vec::new(), audience)
            }
            Action::Forward { item } => self.forward(snapshot, state, item, audience),
            Action::Start { item } => self.start(snapshot, state, item, audience),
            Action::Judge => self.judge(snapshot, state, audience),
            Action::Validate => self.validate(snapshot, state, audience),
            Action::Report => self.report(snapshot, state, audience),
            Action::Gate => self.gate(snapshot, state, audience),
        }
    }

    fn record(
        &self,
        from: &Snapshot,
        state: State,
        said: &str,
        files: Files,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        self.ledger
            .append(from, state, said, files, &self.by, Timestamp::now())?;
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
        self.repo.swap(
            &format!("refs/heads/{branch}"),
            from,
            to,
            "pertask: as the ledger says",
        )?;
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
        }
    }

    fn build_base(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let checks = if self.plan.build.is_empty() {
            Vec::new()
        } else {
            audience.said("Building the base, so that old breakage is not blamed on an agent");
            let worktree = self.workspace(&state, 0)?;
            let order = self.build_order(&self.plan.build);
            workers::build(
                self.repo,
                &worktree,
                &state.base.commit,
                &order,
                &self.options.cancel,
                audience,
            )?
        };
        if self.options.cancel.is_cancelled() {
            return Ok(());
        }
        self.base_built = true;
        let said = transition::base_built(&mut state, checks, Timestamp::now());
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    fn publish(
        &mut self,
        snapshot: &Snapshot,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let state = &snapshot.state;
        let item = state.item(key).context("the item to publish is gone")?;
        let Phase::Running { claim } = &item.phase else {
            return Ok(());
        };
        let Some((begun, result, folder)) = self.stored_result(state, item, claim)? else {
            return Ok(());
        };
        let publisher = Publisher {
            repo: self.repo,
            ledger: &self.ledger,
            plan: &self.plan,
            config: &self.config,
            by: &self.by,
        };
        let after = publisher.attempt(snapshot, &begun.order, &result, &folder)?;
        folder.remove();
        let step = self.repo.commit_info(&after.commit)?;
        audience.said(step.message.trim_end());
        if let Some(attempt) = after.state.item(key).and_then(|i| i.attempts.last())
            && let Some(kept) = &attempt.kept
        {
            audience.said(&format!("  its work is kept on {kept}"));
        }
        Ok(())
    }

    /// Takes an order back. What the lost process left running is ended, what it had written is kept.
    fn free(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        why: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let item = snapshot
            .state
            .item(key)
            .context("the item to free is gone")?;
        if let Phase::Running { claim } = &item.phase {
            let folder = self.folder(&state, item, claim.attempt)?;
            crate::attempt::process::kill_carriers(
                "PERTASK_OUTPUT_DIR",
                folder.output().as_os_str(),
            );
            let begun: Option<Begun> = folder.read(folder::ORDER)?;
            let unanswered = !folder.path(folder::ANSWERED).exists();
            if let Some(begun) = begun.filter(|b| unanswered && b.order.agent.is_some()) {
                let worktree = self.workspace(&state, begun.slot)?;
                let publisher = Publisher {
                    repo: self.repo,
                    ledger: &self.ledger,
                    plan: &self.plan,
                    config: &self.config,
                    by: &self.by,
                };
                if let Ok(scan) = worktree.scan(self.repo)
                    && let Some(kept) =
                        publisher.keep_partial(&state, item, &begun.order, &scan.tree)?
                {
                    audience.said(&format!("What it had written so far is kept on {kept}"));
                }
            }
        }
        let said = transition::freed(&mut state, key, why)?;
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    fn forward(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let item = snapshot
            .state
            .item(key)
            .context("the item to bring forward is gone")?;
        let branch = item
            .branch
            .clone()
            .context("the item to bring forward has no branch")?;
        let run_head = state.run_branch.head.clone();
        let merged = self.repo.merge(&branch.head, &run_head)?;
        let log = publish::log_path(&state);
        let conflicts: Vec<_> = merged
            .conflicts
            .iter()
            .filter(|p| **p != log)
            .cloned()
            .collect();
        let said = if conflicts.is_empty() {
            let edit = vec![(log, Some(publish::log_for(&state, key)))];
            let tree = self.repo.with_files(Some(&merged.tree), &edit)?;
            let time = self.repo.commit_info(&run_head)?.time;
            let commit = self.repo.commit(&NewCommit {
                tree: &tree,
                parents: &[branch.head, run_head],
                message: &crate::report::commit::forward_message(&state, item),
                author: &self.by,
                committer: &self.by,
                time,
            })?;
            let pending = plain(OrderKind::Forward, Some(commit), String::new());
            transition::reopened(
                &mut state,
                key,
                pending,
                "the run branch has moved on and is merged in",
            )?
        } else {
            let errors = format!("Conflicts in {}\n{}", conflicts.join(", "), merged.messages);
            let pending = plain(OrderKind::Conflict, None, errors);
            let why = format!(
                "the run branch has moved on and conflicts in {}",
                conflicts.join(", ")
            );
            transition::reopened(&mut state, key, pending, &why)?
        };
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    fn start(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let item = snapshot
            .state
            .item(key)
            .context("the item to start is gone")?;
        let attempt = item.next_attempt();
        let mut folder = self.folder(&state, item, attempt)?;
        let orders = Orders {
            repo: self.repo,
            plan: &self.plan,
            config: &self.config,
            state: &snapshot.state,
        };
        let order = orders.next(item)?;
        // What a lost process left for the same order is used, what belongs to another is put aside.
        let earlier: Option<Begun> = folder.read(folder::ORDER)?;
        if earlier.is_some_and(|b| b.order != order) {
            folder = aside(&folder)?;
        }
        let slot = self.workers.free_slot();
        let limit = order.agent.as_ref().map_or(0, |a| a.config.timeout_s)
            + u64::try_from(order.checks.len()).unwrap_or(0) * order.check_timeout_s;
        let now = Timestamp::now();
        let claim = Claim {
            id: claim_id(&state, key, now),
            attempt,
            kind: order.kind,
            holder: home::myself(),
            since: now,
            deadline: now + CLAIM_SLACK + Duration::from_secs(limit),
        };
        let dir = publish::attempt_dir(item, attempt);
        let files = vec![(format!("{dir}/order.json"), to_json(&order))];
        let said = transition::claimed(&mut state, key, claim.clone())?;
        let name = transition::name_of(&state, item);
        self.record(snapshot, state, &said, files, audience)?;
        let begun = Begun {
            order: order.clone(),
            claim: claim.id.clone(),
            slot,
        };
        folder.write(folder::ORDER, &begun)?;
        let worktree = self.workspace(&snapshot.state, slot)?;
        audience.begins(key, &name);
        self.workers.start(Job {
            item: key.to_owned(),
            order,
            claim: claim.id,
            slot,
            folder,
            worktree,
        });
        Ok(())
    }

    fn gate(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let commands = if self.plan.gate.build.is_empty() {
            &self.plan.build
        } else {
            &self.plan.gate.build
        };
        let order = self.build_order(commands);
        let worktree = self.workspace(&state, 0)?;
        let head = state.run_branch.head.clone();
        let builds = if commands.is_empty() {
            Vec::new()
        } else {
            audience.said("Building the run branch for the gate");
            workers::build(
                self.repo,
                &worktree,
                &head,
                &order,
                &self.options.cancel,
                audience,
            )?
        };
        let mut own = Vec::new();
        for item in &self.plan.gate.items {
            audience.said(&format!("Looking at the gate: {}", item.item));
            let order = self.build_order(std::slice::from_ref(&item.command));
            let cancel = &self.options.cancel;
            let outcomes = workers::build(self.repo, &worktree, &head, &order, cancel, audience)?;
            own.push(gate::own(&item.item, &outcomes));
        }
        if self.options.cancel.is_cancelled() {
            return Ok(());
        }
        let mut items = gate::items(self.repo, &self.ledger, snapshot, &self.plan, &builds)?;
        items.extend(own);
        self.gate_seen = Some(head);
        let said = transition::gate_seen(&mut state, items, Timestamp::now());
        self.record(snapshot, state, &said, Vec::new(), audience)
    }
}

/// While stopping, only what brings a finished attempt home is still done.
fn must_finish(action: &Action) -> bool {
    matches!(
        action,
        Action::Publish { .. } | Action::Repair { .. } | Action::Free { .. }
    )
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

/// Moves a folder out of the way, keeping it, and gives a new one in its place.
fn aside(folder: &Folder) -> anyhow::Result<Folder> {
    let root = folder.root().to_owned();
    for n in 1..1000 {
        let mut name = root.clone().into_os_string();
        name.push(format!(".stale-{n}"));
        if !std::path::Path::new(&name).exists() {
            std::fs::rename(&root, &name)
                .with_context(|| format!("moving {} aside", root.display()))?;
            break;
        }
    }
    Folder::open(root)
}

fn claim_id(state: &State, key: &str, now: Timestamp) -> String {
    let seed = format!(
        "{} {key} {now} {} {:?}",
        state.run,
        std::process::id(),
        std::time::Instant::now()
    );
    orders::sha256(seed.as_bytes()).chars().take(16).collect()
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
