//! What the invariants remember from step to step: claims ever made, what people were seen to approve,
//! who was permitted when.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use git_pertask::run::decide::{Action, Decision, Facts, Wait};
use git_pertask::run::state::State;

use git_pertask::run::seen::PullStanding;

use super::driver::Rest;
use super::hub::{LAG, Pull};
use super::invariants;
use super::store::Entry;
use super::world::{Fail, LEDGER, Pid, RUN, World};

#[derive(Default)]
pub struct Audit {
    /// Every claim ever made, with the item.
    pub claims: BTreeMap<String, String>,
    /// A process was lost with an attempt that may have cost something. What it cost is not known, or only
    /// when the next goes on from its answer.
    pub cost_lost: bool,
    /// What was approved in a terminal: item and commit.
    pub here: BTreeSet<(String, String)>,
    /// Items that somebody asked to leave out in a terminal.
    pub skips: BTreeSet<String>,
    pub abort_asked: bool,
    /// Comments as they were before somebody else changed them: branch, who, and text.
    pub altered: Vec<(String, usize, String)>,
    /// A person moves the ref, not the tool.
    pub by_person: bool,
    /// When somebody's permission changed: time, account, and what it was from then on.
    pub permissions: Vec<(i64, usize, bool)>,
    /// Automatic attempts that failed in a row, by item and round.
    pub tries: BTreeMap<String, u32>,
    /// Commits at which the tool merged pull requests, with the item's branch.
    pub merged: BTreeSet<(String, String)>,
    /// The same of merges in the name of whose token people's machines use, by whomever.
    pub merged_by_owner: BTreeSet<(String, String)>,
    /// When people last closed a pull request or sent it to another branch, or when it was merged.
    pub touched: BTreeMap<u64, i64>,
    /// Pull requests that were opened because people had just closed another, or sent it elsewhere.
    pub twins: BTreeSet<u64>,
    /// Pull requests that people opened again.
    pub reopened: BTreeSet<u64>,
    /// The ledger's commit when it was last looked at.
    tip: Option<String>,
    /// What the run waited for when a process last came to rest, and at which state.
    pub rest: Option<(String, Vec<Wait>)>,
    /// How often each kind of thing happened, to see that a campaign meets them.
    pub met: BTreeMap<&'static str, u64>,
}

impl Audit {
    pub fn permission(&mut self, now: i64, who: usize, may: bool) {
        self.permissions.push((now, who, may));
    }

    pub fn approved_here(&mut self, key: &str, head: &str) {
        self.here.insert((key.to_owned(), head.to_owned()));
    }

    pub fn skip_asked(&mut self, key: &str) {
        self.skips.insert(key.to_owned());
    }

    pub fn meets(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }
}

impl World {
    /// Looks at what has changed since the last step. Everything the design promises of a step is in
    /// [`invariants`], one function each.
    pub fn audit(&mut self) {
        let Some(tip) = self.refs.get(LEDGER).cloned() else {
            return;
        };
        let before = self.audit.tip.clone();
        if before.as_ref() == Some(&tip) {
            return;
        }
        // Oldest first: several steps may have been taken.
        let mut steps: Vec<Rc<Entry>> = Vec::new();
        let mut at = Some(tip.clone());
        while at != before {
            let Some(entry) = at.as_ref().and_then(|c| self.ledger.entry(c)) else {
                self.breaks("the ledger only grows: what was recorded is not in it any more");
                return;
            };
            at.clone_from(&entry.parent);
            steps.push(entry);
        }
        steps.reverse();
        for entry in steps {
            let parent = entry.parent.as_ref().and_then(|c| self.ledger.entry(c));
            if let Some(parent) = parent {
                for (name, check) in invariants::STEP {
                    if let Err(why) = check(self, &parent, &entry) {
                        self.breaks(format!("{name}: {why}"));
                    }
                }
                invariants::learn(self, &parent, &entry);
            }
            for (name, check) in invariants::STATE {
                if let Err(why) = check(self, &entry) {
                    self.breaks(format!("{name}: {why}"));
                }
            }
        }
        self.audit.tip = Some(tip);
    }

    /// Looks at what was decided.
    pub fn audit_decision(&mut self, state: &State, facts: &Facts, decision: &Decision) {
        for (name, check) in invariants::DECISION {
            if let Err(why) = check(self, state, facts, decision) {
                self.breaks(format!("{name}: {why}"));
            }
        }
        for action in &decision.actions {
            self.audit.meets(invariants::kind_of(action));
            if let Action::Free { why, .. } = action
                && why.contains("deadline")
            {
                self.audit.meets("a claim freed by its deadline");
            }
        }
        if decision
            .waits
            .iter()
            .any(|w| matches!(w, Wait::Budget { .. }))
        {
            self.audit.meets("a limit of money or time");
        }
        if decision
            .waits
            .iter()
            .any(|w| matches!(w, Wait::SetAside { .. }))
        {
            self.audit.meets("money set aside for what is under way");
        }
    }

    /// Looks at a merge that the tool has made through the forge, for what it saw `since`.
    pub fn audit_merging(&mut self, number: u64, head: &str, since: i64) {
        if let Err(why) = super::approved::approved_content(self, number, head, since) {
            self.breaks(format!(
                "nothing is merged whose exact content no permitted person approved: {why}"
            ));
        }
    }

    pub fn audit_opens(&mut self, branch: &str, number: u64, looked: i64) {
        // Somebody may have opened and closed the other, or sent it elsewhere, after it was looked for.
        let late = |p: &&Pull| {
            let touched = self.audit.touched.get(&p.number);
            touched.is_some_and(|at| *at >= looked - LAG)
        };
        // The run branch has another one after its first was merged, or closed when it was not wanted
        // yet.
        let run_branch = format!("pertask/{RUN}/main");
        let done = |p: &&Pull| branch == run_branch && p.standing != PullStanding::Open;
        let others: Vec<u64> = {
            let others = self.hub.pulls.iter().filter(|p| p.branch == branch);
            others.map(|p| p.number).collect()
        };
        if !others.is_empty() {
            self.audit.twins.extend(others);
            self.audit.twins.insert(number);
        }
        let mut ours = self.hub.pulls.iter().filter(|p| p.branch == branch);
        if let Some(other) = ours.find(|p| !late(p) && !done(p)) {
            let why = format!(
                "no two pull requests for one branch: {branch} has #{}",
                other.number
            );
            self.breaks(why);
        }
    }

    /// A process of the tool has come to an end.
    pub fn came_to_rest(&mut self, pid: Pid, done: Result<Rest, Fail>) {
        match done {
            Ok(rest) => {
                self.note(|| format!("process {pid}: rests, waiting for {:?}", rest.waits));
                if !rest.interrupted {
                    self.audit.rest = Some((rest.snapshot.commit, rest.waits));
                }
            }
            Err(e) => {
                self.note(|| format!("process {pid}: ends with {e:?}"));
                match e {
                    Fail::Not(why) => {
                        self.breaks(format!("a step that is decided on can be taken: {why}"));
                    }
                    // One that began before may have seen what was.
                    Fail::Error(why) if self.calm && pid > self.last_of_trouble => {
                        self.breaks(format!("without faults nothing goes wrong: {why}"));
                    }
                    _ => {}
                }
            }
        }
    }
}
