//! People who answer whatever the tool waits for, so that a run must come to its end.

use std::rc::Rc;

use git_pertask::plan::{Config, ForgeKind, Limits, MergeMethod};
use git_pertask::run::LAST;
use git_pertask::run::decide::Wait;
use git_pertask::run::seen::PullStanding;
use git_pertask::run::state::{Item, Phase, State};

use super::ended;
use super::hub::{ADA, Kind};
use super::people::Typed;
use super::world::{BASE_BRANCH, World};

/// Who decides when all is calm: they may write, and did not open anything.
const REVIEWERS: [usize; 2] = [3, 4];

impl World {
    /// Whether the run has come to its end, and all is done that follows from that.
    pub fn is_over(&self) -> bool {
        let Some(entry) = self.state() else {
            return false;
        };
        let state = &entry.state;
        let Some(end) = &state.end else { return false };
        if state.forge == ForgeKind::Local {
            return true;
        }
        if end.aborted {
            return self.audit.rest.as_ref().is_some_and(|(commit, waits)| {
                waits.is_empty() && self.refs.get(super::world::LEDGER) == Some(commit)
            });
        }
        // Where nothing was merged there is nothing to open.
        state.merged.is_some() || state.pull.is_none()
    }

    /// What must be so when all is over.
    pub fn look_back(&mut self) {
        let Some(entry) = self.state() else { return };
        let state = &entry.state;
        let checks = [
            (
                "who commanded something is told",
                ended::everybody_is_answered(self, state),
            ),
            (
                "what is over is closed",
                ended::what_is_over_is_closed(self, state),
            ),
        ];
        for (name, check) in checks {
            if let Err(why) = check
                && state.forge == ForgeKind::Github
            {
                self.breaks(format!("{name}: {why}"));
            }
        }
        self.note(|| "it is over".to_owned());
    }

    /// Whether the tool waits for somebody to have something built again.
    pub fn wants_building_again(&self) -> bool {
        let waits = self
            .audit
            .rest
            .as_ref()
            .map(|(_, w)| w.as_slice())
            .unwrap_or_default();
        waits
            .iter()
            .any(|w| matches!(w, Wait::BaseBroken | Wait::Gate))
    }

    /// People do what the tool waits for; says what of it is typed in a terminal.
    pub fn help(&mut self) -> Vec<Typed> {
        for who in REVIEWERS {
            self.hub.members[who].may_write = true;
            self.audit.permission(self.now, who, true);
        }
        let Some(entry) = self.state() else {
            return Vec::new();
        };
        let state = entry.state.clone();
        if state.end.is_some() {
            self.help_at_the_end(&state);
            return Vec::new();
        }
        let waits = self.audit.rest.clone().map(|(_, w)| w).unwrap_or_default();
        let mut typed = Vec::new();
        for wait in &waits {
            self.note(|| format!("people see: {wait:?}"));
            typed.extend(self.help_with(&state, wait));
        }
        let elsewhere = state.items.iter().filter_map(|i| match &i.phase {
            Phase::Running { claim } => Some(claim.deadline),
            _ => None,
        });
        let building = state.building.iter().map(|b| b.claim.deadline);
        // Nothing is under way: who waits for it waits until its time is over.
        if let Some(latest) = elsewhere.chain(building).max() {
            let until = latest.as_millisecond() + 1_000;
            if waits.iter().any(|w| matches!(w, Wait::Elsewhere { .. })) && until > self.now {
                self.note(|| "time passes, until a claim is over".to_owned());
                self.now = until;
            }
        }
        typed
    }

    fn help_with(&mut self, state: &State, wait: &Wait) -> Option<Typed> {
        let local = state.forge == ForgeKind::Local;
        match wait {
            Wait::Review { item } if local => return Some(Typed::Approve(item.clone())),
            Wait::Stopped { item } if local => return Some(Typed::Retry(item.clone(), false)),
            Wait::Review { item } | Wait::Votes { item, .. } => self.all_approve(state, item),
            Wait::Stopped { item } => {
                let pull = state
                    .item(item)
                    .and_then(|i| i.pull.as_ref())
                    .map(|p| p.number);
                match pull.filter(|n| self.is_open(*n)) {
                    Some(number) => self.comment(number, REVIEWERS[0], "/pertask retry"),
                    None => return None,
                }
            }
            Wait::Rewritten { branch, ours, .. } => {
                self.note(|| format!("somebody puts {branch} back"));
                self.audit.by_person = true;
                self.set_ref(branch, Some(ours), ADA);
                self.audit.by_person = false;
            }
            Wait::Closed { item } => {
                let number = self.number_of(state, item)?;
                self.open_again(number);
            }
            Wait::Held { item, why } => self.help_held(state, item, why),
            Wait::Budget { .. } => return self.more_money(),
            Wait::Limited { until, .. } => self.now = self.now.max(until.as_millisecond() + 1_000),
            Wait::Gate => {
                let bad = state
                    .gate
                    .iter()
                    .filter(|g| !g.holds)
                    .map(|g| format!("{}: {}", g.item, g.detail));
                let bad: Vec<String> = bad.collect();
                let mendable =
                    |g: &String| g.starts_with("Final build") || g.starts_with("All files created");
                if !bad.iter().all(mendable) {
                    self.breaks(format!("what was done in order can be finished: {bad:?}"));
                }
                let _ = self.mend(&state.run_branch.name);
            }
            Wait::Base { .. } => self.join(&state.run_branch.name, BASE_BRANCH),
            Wait::BaseBroken => {
                if self.mend(BASE_BRANCH) || self.base_is_behind(state) {
                    return Some(Typed::Amend);
                }
            }
            Wait::Elsewhere { .. } | Wait::Here { .. } | Wait::SetAside { .. } => {}
        }
        None
    }

    fn number_of(&self, state: &State, item: &str) -> Option<u64> {
        let pull = if item == LAST {
            state.pull.as_ref()
        } else {
            state.item(item).and_then(|i| i.pull.as_ref())
        };
        // One that was opened and never recorded is found by its branch, as a person would.
        let branch = state
            .item(item)
            .map(|i| format!("pertask/{}/{}", state.run, i.branch_leaf()));
        pull.map(|p| p.number)
            .or_else(|| Some(self.hub.of_branch(&branch?)?.number))
    }

    fn is_open(&self, number: u64) -> bool {
        self.hub
            .pull(number)
            .is_some_and(|p| p.standing == PullStanding::Open)
    }

    /// Everybody approves a pull request as it is.
    fn all_approve(&mut self, state: &State, item: &str) {
        let Some(number) = self.number_of(state, item) else {
            return;
        };
        let Some(pull) = self.hub.pull(number).cloned() else {
            return;
        };
        let all = (ADA..self.hub.members.len()).filter(|n| self.hub.members[*n].may_write);
        let all: Vec<usize> = all.filter(|n| *n != pull.author).collect();
        // So that it is not the same second as something that came before.
        self.now += 1_500;
        let head = pull.head;
        for who in all {
            let kind = Kind::Approval {
                commit: head.clone(),
            };
            self.say(number, who, kind, &head);
        }
        // Who opened it may have asked for changes by a command, and takes that back by another.
        if self.setup.config.github.author_may_approve && pull.author >= ADA {
            let text = format!("/pertask approve {head}");
            self.say(number, pull.author, Kind::Comment { text }, &head);
        }
    }

    fn help_held(&mut self, state: &State, item: &str, _: &str) {
        let Some(number) = self.number_of(state, item) else {
            return;
        };
        let run_branch = state.run_branch.name.clone();
        let Some(pull) = self.hub.pull(number).cloned() else {
            return;
        };
        if let PullStanding::Merged { .. } = pull.standing {
            // It went elsewhere: its branch is merged by hand.
            self.join(&run_branch, &pull.branch);
            return;
        }
        if pull.base != run_branch {
            self.note(|| format!("somebody sends #{number} to {run_branch}"));
            if let Some(pull) = self.hub.pull_mut(number) {
                pull.base = run_branch;
            }
        }
        if pull.draft
            && state
                .item(item)
                .is_some_and(|i: &Item| matches!(i.phase, Phase::Approved { .. }))
        {
            self.note(|| format!("somebody marks #{number} as ready"));
            if let Some(pull) = self.hub.pull_mut(number) {
                pull.draft = false;
            }
        }
        self.remember();
    }

    /// The base allows more, and somebody has the run take that over.
    fn more_money(&mut self) -> Option<Typed> {
        let head = self.refs.get(BASE_BRANCH)?.clone();
        // What cannot be followed any more is put back.
        let plan = self.state().map(|e| Rc::clone(&e.plan))?;
        let (there, config) = self.pinned_at(&head);
        let unlimited = Limits {
            attempts: config.limits.attempts,
            ..Config::default().limits
        };
        if config.limits != unlimited || there != plan {
            let mut config = (*config).clone();
            config.limits = unlimited;
            let n = self.new_id();
            let word = format!("config.{n}");
            let tree = self.git.tree_of(&head);
            let tree = self
                .git
                .with(&tree, &[(".pertask/config.toml", Some(&word))]);
            let now = World::time(self.now);
            let commit = self.git.commit(&tree, &[head], "olive", now);
            self.documents
                .insert(commit.clone(), (plan, Rc::new(config)));
            self.set_ref(BASE_BRANCH, Some(&commit), ADA);
        }
        Some(Typed::Amend)
    }

    /// Whether the base has moved on since its plan was read.
    fn base_is_behind(&self, state: &State) -> bool {
        self.refs.get(BASE_BRANCH) != Some(&state.base.commit)
    }

    /// Somebody puts right on a branch what does not build; says whether there was anything.
    fn mend(&mut self, branch: &str) -> bool {
        let Some(head) = self.refs.get(branch).cloned() else {
            return false;
        };
        let tree = self.git.tree_of(&head);
        let there = self.git.tree(&tree);
        let plan = self.state().map(|e| Rc::clone(&e.plan));
        let Some(plan) = plan else { return false };
        let tasks = plan.tasks.iter().map(|t| &t.file);
        let gone = tasks.filter(|f| branch != BASE_BRANCH && !there.contains_key(*f));
        let gone: Vec<(String, String)> =
            gone.map(|f| (f.clone(), format!("{f}.mended"))).collect();
        let mut bad: Vec<(String, String)> = self
            .git
            .tree(&tree)
            .iter()
            .filter(|(_, word)| word.contains("!bad") || word.contains("!without="))
            .map(|(piece, word)| {
                let mended = word.split('!').next().unwrap_or(word).to_owned();
                (piece.clone(), format!("{mended}.mended"))
            })
            .collect();
        bad.extend(gone);
        if bad.is_empty() {
            return false;
        }
        let edits: Vec<(&str, Option<&str>)> = bad
            .iter()
            .map(|(p, w)| (p.as_str(), Some(w.as_str())))
            .collect();
        let tree = self.git.with(&tree, &edits);
        let now = World::time(self.now);
        let commit = self.git.commit(&tree, &[head], "olive", now);
        self.note(|| format!("olive mends {branch}: {}", &commit[..6]));
        self.audit.by_person = true;
        self.set_ref(branch, Some(&commit), ADA);
        self.audit.by_person = false;
        true
    }

    /// The last pull request is merged; one that was closed is opened first.
    fn help_at_the_end(&mut self, state: &State) {
        let aborted = state.end.as_ref().is_some_and(|e| e.aborted);
        let Some(number) = state.pull.as_ref().map(|p| p.number).filter(|_| !aborted) else {
            return;
        };
        let Some(pull) = self.hub.pull(number).cloned() else {
            return;
        };
        match pull.standing {
            PullStanding::Closed => self.open_again(number),
            PullStanding::Merged { .. } => {}
            PullStanding::Open => {
                if pull.draft
                    && let Some(pull) = self.hub.pull_mut(number)
                {
                    pull.draft = false;
                }
                if pull.head == state.run_branch.head && !self.asked_at_the_end(state, number) {
                    let conflicts = {
                        let base = self.refs.get(&pull.base).cloned().unwrap_or_default();
                        let (_, conflicts) = self.git.merge(&base, &pull.head);
                        !conflicts.is_empty()
                    };
                    let waits = self
                        .audit
                        .rest
                        .as_ref()
                        .map(|(_, w)| w.clone())
                        .unwrap_or_default();
                    if conflicts && waits.iter().any(|w| matches!(w, Wait::Base { .. })) {
                        self.join(&state.run_branch.name, BASE_BRANCH);
                    } else {
                        self.merge_pull(number, &pull.head, MergeMethod::Merge, REVIEWERS[0]);
                    }
                }
            }
        }
        self.remember();
    }

    /// Whether somebody asks for something on the last pull request that nobody has heard yet.
    fn asked_at_the_end(&self, state: &State, number: u64) -> bool {
        let heard = |id: &str| {
            let pull = state.pull.as_ref();
            pull.is_some_and(|p| p.heard.iter().any(|h| h.id == id))
        };
        let pull = self.hub.pull(number);
        let said = pull.map(|p| p.said.as_slice()).unwrap_or_default();
        said.iter()
            .any(|s| matches!(s.kind, Kind::Changes { .. }) && !heard(&s.id))
            && self.random.clone().chance(500)
    }
}
