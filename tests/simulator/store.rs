//! A model of `ledger/` and of refs: compare-and-swap, here or at a remote, with all that goes wrong
//! on the way there. Follows `src/ledger/mod.rs` line by line where that is not I/O.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use git_pertask::ledger::state_json;
use git_pertask::plan::{Config, Plan};
use git_pertask::run::decide::Standing;
use git_pertask::run::order::{AttemptResult, Order};
use git_pertask::run::state::State;
use jiff::Timestamp;

use super::random::id_of;
use super::world::{BASE_BRANCH, Fail, Fault, LEDGER, Sim, World, pause};

/// Where refs are, by short name.
pub type Refs = BTreeMap<String, String>;

/// What the ledger keeps of attempts, by leaf and number.
pub type Records = BTreeMap<(String, u32), Record>;

#[derive(Debug, Clone, Default)]
pub struct Record {
    pub order: Option<Rc<Order>>,
    pub result: Option<Rc<AttemptResult>>,
}

/// One commit of the ledger.
#[derive(Debug)]
pub struct Entry {
    pub state: State,
    pub parent: Option<String>,
    pub said: String,
    pub plan: Rc<Plan>,
    pub config: Rc<Config>,
    pub records: Rc<Records>,
    /// How many commits are before it.
    pub depth: usize,
}

/// Every commit that any ledger ref ever named, or might have.
#[derive(Default)]
pub struct Ledger {
    entries: HashMap<String, Rc<Entry>>,
}

impl Ledger {
    pub fn entry(&self, commit: &str) -> Option<Rc<Entry>> {
        self.entries.get(commit).cloned()
    }
}

/// As `ledger::Snapshot`.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub commit: String,
    pub entry: Rc<Entry>,
}

impl Snapshot {
    pub fn state(&self) -> &State {
        &self.entry.state
    }
}

/// What a step adds beside the state.
#[derive(Debug, Clone, Default)]
pub struct Step {
    pub said: String,
    pub records: Vec<((String, u32), Record)>,
    pub pinned: Option<(Rc<Plan>, Rc<Config>)>,
}

impl Step {
    pub fn of(said: impl Into<String>) -> Self {
        Self {
            said: said.into(),
            ..Self::default()
        }
    }
}

/// One ref that a push moves.
#[derive(Debug, Clone)]
struct Move {
    name: String,
    from: Option<String>,
    to: String,
}

/// Every branch that a state names, with the commit it belongs at.
fn heads(state: &State) -> Vec<(String, String)> {
    let mut found = vec![(state.run_branch.name.clone(), state.run_branch.head.clone())];
    for item in &state.items {
        if let Some(branch) = item.branch.as_ref().filter(|_| !item.is_settled()) {
            found.push((branch.name.clone(), branch.head.clone()));
        }
        for attempt in &item.attempts {
            if let (Some(kept), Some(commit)) = (&attempt.kept, &attempt.commit) {
                found.push((kept.clone(), commit.clone()));
            }
        }
    }
    found
}

impl World {
    /// The commit a branch is at, as far as this machine knows.
    pub fn branch(&self, machine: usize, name: &str) -> Option<String> {
        let refs = if self.is_local() {
            &self.refs
        } else {
            &self.machines[machine].mirror
        };
        refs.get(name).cloned()
    }

    pub fn standing(&self, machine: usize, name: &str, ours: &str) -> Standing {
        self.git.standing(self.branch(machine, name).as_ref(), ours)
    }

    pub fn read(&self, machine: usize) -> Option<Snapshot> {
        let commit = self.branch(machine, LEDGER)?;
        let entry = self.ledger.entry(&commit)?;
        Some(Snapshot { commit, entry })
    }

    /// Moves a ref, whoever does it, and what follows from that at the forge.
    pub fn set_ref(&mut self, name: &str, to: Option<&str>, by: usize) {
        let before = self.refs.get(name).cloned();
        match to {
            Some(to) => self.refs.insert(name.to_owned(), to.to_owned()),
            None => self.refs.remove(name),
        };
        self.effects += 1;
        self.moved_there(name, before.as_deref(), to, by);
    }

    fn branch_moves(&self, machine: usize, before: Option<&State>, after: &State) -> Vec<Move> {
        let known = before.map(heads).unwrap_or_default();
        let mut moves = Vec::new();
        for (branch, head) in heads(after) {
            if known.contains(&(branch.clone(), head.clone())) {
                continue;
            }
            let at = self.branch(machine, &branch);
            let forward = at
                .as_ref()
                .is_none_or(|at| *at != head && self.git.is_in(at, &head));
            if forward {
                moves.push(Move {
                    name: branch,
                    from: at,
                    to: head,
                });
            }
        }
        moves
    }

    /// The first commit of the ledger.
    pub fn first(&mut self, state: &State, step: &Step, at: Timestamp) -> String {
        self.write(None, state, step, at)
    }

    /// Writes the commit; no ref names it yet. What is written is read again, as the next process
    /// will.
    fn write(
        &mut self,
        from: Option<&Snapshot>,
        state: &State,
        step: &Step,
        at: Timestamp,
    ) -> String {
        let mut state = state.clone();
        let json = state_json(&mut state);
        match serde_json::from_slice::<State>(&json) {
            Ok(read) if read == state => {}
            Ok(_) => self.breaks("what is read of a state is not what was written"),
            Err(e) => self.breaks(format!("a state that was written cannot be read: {e}")),
        }
        let json = String::from_utf8_lossy(&json);
        let parent = from.map(|s| s.commit.clone());
        let second = at.as_second().to_string();
        let parts = [&*json, parent.as_deref().unwrap_or(""), &step.said, &second];
        let commit = id_of(&parts);
        if self.ledger.entries.contains_key(&commit) {
            return commit;
        }
        let (plan, config) = match (&step.pinned, from) {
            (Some(pinned), _) => pinned.clone(),
            (None, Some(from)) => (Rc::clone(&from.entry.plan), Rc::clone(&from.entry.config)),
            (None, None) => (
                Rc::new(self.setup.plan.clone()),
                Rc::new(self.setup.config.clone()),
            ),
        };
        let mut records = from.map_or_else(Rc::default, |f| Rc::clone(&f.entry.records));
        if !step.records.is_empty() {
            let all = Rc::make_mut(&mut records);
            for (key, record) in &step.records {
                let slot = all.entry(key.clone()).or_default();
                if record.order.is_some() {
                    slot.order.clone_from(&record.order);
                }
                if record.result.is_some() {
                    slot.result.clone_from(&record.result);
                }
            }
        }
        let entry = Entry {
            state,
            depth: from.map_or(0, |f| f.entry.depth + 1),
            parent,
            said: step.said.clone(),
            plan,
            config,
            records,
        };
        self.ledger.entries.insert(commit.clone(), Rc::new(entry));
        commit
    }
}

impl Sim {
    /// As `Ledger::refresh`: ledger, branches of the run, the base.
    pub async fn refresh(&self, machine: usize) -> Result<(), Fail> {
        if self.w().is_local() {
            return Ok(());
        }
        pause().await;
        let mut w = self.w();
        if w.fault(Fault::Before) {
            return Err(Fail::Passing("fetching: the line is down".to_owned()));
        }
        let refs = w.refs.clone();
        w.machines[machine].mirror = refs;
        Ok(())
    }

    /// As `Ledger::append`.
    pub async fn append(
        &self,
        machine: usize,
        from: Option<&Snapshot>,
        state: State,
        step: Step,
        at: Timestamp,
    ) -> Result<Snapshot, Fail> {
        let commit = self.w().write(from, &state, &step, at);
        pause().await;
        let parent = from.map(|s| s.commit.clone());
        if self.w().is_local() {
            let mut w = self.w();
            if w.refs.get(LEDGER) != parent.as_ref() {
                return Err(Fail::Raced);
            }
            w.set_ref(LEDGER, Some(&commit), 0);
            w.note(|| format!("  ledger: {}", step.said));
        } else {
            let mut moves = vec![Move {
                name: LEDGER.to_owned(),
                from: parent,
                to: commit.clone(),
            }];
            moves.extend(
                self.w()
                    .branch_moves(machine, from.map(Snapshot::state), &state),
            );
            match self.push(machine, &moves) {
                // The line may have gone dead after the remote took it: look, once.
                Err(Fail::Passing(why)) => {
                    let looked = self.refresh(machine).await.is_ok();
                    if !looked || self.w().branch(machine, LEDGER).as_ref() != Some(&commit) {
                        return Err(Fail::Passing(why));
                    }
                }
                other => other?,
            }
        }
        pause().await;
        let entry = self.w().ledger.entry(&commit);
        let entry = entry.expect("it was written");
        Ok(Snapshot { commit, entry })
    }

    /// As `Repo::push`: all or none, each from where it is said to be.
    fn push(&self, machine: usize, moves: &[Move]) -> Result<(), Fail> {
        let mut w = self.w();
        if w.fault(Fault::Before) {
            return Err(Fail::Passing("pushing: the line is down".to_owned()));
        }
        if moves.iter().any(|m| w.refs.get(&m.name) != m.from.as_ref()) {
            return Err(Fail::Raced);
        }
        if w.fault(Fault::Refuse) {
            return Err(Fail::Refused("a rule of the repository".to_owned()));
        }
        let us = w.hub.token_of(machine, &w.machines[machine]);
        for m in moves {
            w.set_ref(&m.name, Some(&m.to), us);
            if m.name == LEDGER {
                let said = w.ledger.entries[&m.to].said.clone();
                w.note(|| format!("  ledger: {said}"));
            } else {
                w.note(|| format!("  branch: {} is at {}", m.name, &m.to[..6]));
            }
        }
        if w.fault(Fault::After) {
            return Err(Fail::Passing("pushing: the answer is lost".to_owned()));
        }
        for m in moves {
            w.machines[machine]
                .mirror
                .insert(m.name.clone(), m.to.clone());
        }
        Ok(())
    }

    /// As `Ledger::move_branch`.
    pub async fn move_branch(
        &self,
        machine: usize,
        name: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), Fail> {
        pause().await;
        if !self.w().is_local() {
            let moved = Move {
                name: name.to_owned(),
                from: from.map(str::to_owned),
                to: to.to_owned(),
            };
            return self.push(machine, &[moved]);
        }
        {
            let mut w = self.w();
            if w.refs.get(name).map(String::as_str) != from {
                return Err(Fail::Raced);
            }
            w.set_ref(name, Some(to), 0);
            w.note(|| format!("  branch: {name} is at {}", &to[..6]));
        }
        pause().await;
        Ok(())
    }

    /// As `commands::drive::change`: a transition on the newest state, read again after a lost race.
    pub async fn change(
        &self,
        machine: usize,
        mut transition: impl FnMut(&mut State) -> Result<String, Fail>,
    ) -> Result<String, Fail> {
        for _ in 0..20 {
            self.refresh(machine).await?;
            let snapshot = self.w().read(machine);
            let snapshot = snapshot.ok_or_else(|| Fail::Error("there is no run".to_owned()))?;
            let mut state = snapshot.state().clone();
            let said = transition(&mut state)?;
            let at = self.w().clock(machine);
            match self
                .append(machine, Some(&snapshot), state, Step::of(&said), at)
                .await
            {
                Err(Fail::Raced) => {}
                Err(e) => return Err(e),
                Ok(_) => return Ok(said),
            }
        }
        Err(Fail::Raced)
    }
}

/// The base branch, as the remote or the repository has it.
pub fn base_at(w: &World, machine: usize) -> Option<String> {
    w.branch(machine, BASE_BRANCH)
}
