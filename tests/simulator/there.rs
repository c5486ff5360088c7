//! What the driver does about pull requests: `src/driver/pulls.rs`, `pulls/pages.rs`, `pulls/hear.rs`
//! and `pulls/taken.rs`, over the model of GitHub. What of those is free of I/O is called, not copied.

use std::collections::{BTreeMap, BTreeSet};

use git_pertask::driver::pulls::taken::{approval, closed as closed_there};
use git_pertask::driver::pulls::{noted, targets};
use git_pertask::forge::{Merging, Page};
use git_pertask::plan::MergeMethod;
use git_pertask::run::LAST;
use git_pertask::run::approval::Policy;
use git_pertask::run::decide::{Action, BaseHeld, Facts};
use git_pertask::run::seen::{Seen, SeenPull};
use git_pertask::run::state::{Branch, Item, State};
use git_pertask::run::transition;

use super::driver::Driver;
use super::shown::{pages, steps};
use super::store::{Snapshot, Step, base_at};
use super::world::{Fail, person};

/// How old what was seen may be when something is merged for it, in milliseconds.
const FRESH: i64 = 10_000;
const NEWS: i64 = 20_000;
const HELD: i64 = 15;
const TROUBLES: u32 = 3;

/// As `pulls::There`.
#[derive(Default)]
pub struct There {
    pub seen: Option<(Seen, i64)>,
    pub seen_with: Option<String>,
    pub stale: bool,
    pub fetched: bool,
    pub shown: BTreeMap<String, Page>,
    pub answered: BTreeSet<String>,
    pub held: BTreeMap<String, (String, String)>,
    pub moved: BTreeMap<String, (String, u32)>,
    pub held_since: Option<i64>,
    pub base_held: Option<(String, BaseHeld)>,
    pub troubles: u32,
    pub asked_for_news: Option<i64>,
}

impl There {
    pub fn goes_on(&mut self) {
        self.troubles = 0;
    }
}

impl Driver {
    pub fn is_there(&self) -> bool {
        !self.sim.w().is_local()
    }

    pub fn policy(&self) -> Policy {
        Policy {
            approvals: self.config.github.approvals,
            author_may_approve: self.config.github.author_may_approve,
        }
    }

    /// `Driver::refresh`
    pub async fn refresh(&mut self) -> Result<(), Fail> {
        if self.is_there() && (self.there.stale || !self.there.fetched) {
            self.sim.refresh(self.machine).await?;
            self.there.fetched = true;
            self.there.stale = false;
        }
        Ok(())
    }

    /// `Driver::look_anew`
    pub fn look_anew(&mut self) {
        self.there.seen = None;
        self.there.stale = true;
    }

    /// `Driver::moved`
    pub fn moved(&mut self, before: &State, after: &State) {
        if !self.is_there() {
            return;
        }
        let heads = |state: &State| -> Vec<Option<Branch>> {
            state.items.iter().map(|i| i.branch.clone()).collect()
        };
        if heads(before) != heads(after) {
            self.there.seen = None;
        }
        if before.run_branch.head != after.run_branch.head {
            self.there.held.clear();
            self.there.held_since = None;
        }
    }

    /// `Driver::may_try_again`
    pub fn may_try_again(&mut self, error: &Fail) -> bool {
        if !self.is_there() || !matches!(error, Fail::Passing(_)) {
            return false;
        }
        self.there.troubles += 1;
        self.look_anew();
        self.there.troubles < TROUBLES
    }

    /// `Driver::look`
    pub async fn look(&mut self, state: &State, stopping: bool) -> Result<(), Fail> {
        if !self.is_there() || stopping {
            return Ok(());
        }
        let run_branch = self.sim.w().branch(self.machine, &state.run_branch.name);
        if run_branch.as_ref() != Some(&state.run_branch.head) && run_branch != self.there.seen_with
        {
            self.there.seen = None;
        }
        if self.there.seen.is_some() {
            return Ok(());
        }
        self.there.seen_with = run_branch;
        let seen = self.sim.look(self.machine, &targets(state)).await?;
        let now = self.sim.w().now;
        self.there.seen = Some((seen, now));
        Ok(())
    }

    /// `Driver::facts_there`
    pub fn facts_there(&mut self, snapshot: &Snapshot, facts: &mut Facts) {
        facts.policy = self.policy();
        if !self.is_there() {
            return;
        }
        let state = snapshot.state();
        for (key, (head, why)) in &self.there.held {
            let item = state.item(key);
            if item
                .and_then(|i| i.branch.as_ref())
                .is_some_and(|b| b.head == *head)
            {
                facts.held.insert(key.clone(), why.clone());
            }
        }
        let base = {
            let w = self.sim.w();
            base_at(&w, self.machine).filter(|b| !w.git.is_in(b, &state.run_branch.head))
        };
        if let Some(head) = base {
            if let Some((commit, held)) = &self.there.base_held
                && *commit == head
            {
                facts.base_held = Some(held.clone());
            }
            facts.base_ahead = Some(head);
        }
        let Some((seen, _)) = &self.there.seen else {
            return;
        };
        let mut seen = seen.clone();
        for pull in seen.pulls.values_mut().chain(&mut seen.last) {
            for voice in &mut pull.voices {
                voice.marked |= self.there.answered.contains(&voice.id);
            }
        }
        for (key, page) in pages(state, &seen) {
            let pull = if key == LAST {
                seen.last.as_ref()
            } else {
                seen.pulls.get(&key)
            };
            if self.there.shown.get(&key) == Some(&page)
                && pull.is_some()
                && noted(state, &key, &page)
            {
                continue;
            }
            if !steps(&page, pull).is_empty() || !noted(state, &key, &page) {
                facts.differs.insert(key);
            }
        }
        facts.seen = Some(seen);
    }

    /// `Driver::heard_of_news`
    pub async fn heard_of_news(&mut self) -> Result<bool, Fail> {
        if !self.is_there() {
            return Ok(false);
        }
        let now = self.sim.w().now;
        let asked = *self.there.asked_for_news.get_or_insert(now);
        if now - asked < NEWS {
            return Ok(false);
        }
        self.there.asked_for_news = Some(now);
        match self.has_news().await {
            Err(Fail::Passing(_) | Fail::Limited) => Ok(false),
            other => other,
        }
    }

    /// `Driver::has_news`
    pub async fn has_news(&mut self) -> Result<bool, Fail> {
        let tip = self.sim.w().branch(self.machine, super::world::LEDGER);
        self.sim.refresh(self.machine).await?;
        if self.sim.w().branch(self.machine, super::world::LEDGER) != tip {
            self.look_anew();
            return Ok(true);
        }
        let Some((seen, at)) = self.there.seen.clone() else {
            return Ok(true);
        };
        let numbers: Vec<u64> = seen
            .pulls
            .values()
            .chain(&seen.last)
            .map(|p| p.number)
            .collect();
        let changed = self
            .sim
            .call("asking for news", self.machine, false, |w, _| {
                Ok(w.changed_since(&numbers, at))
            })
            .await?;
        let now = self.sim.w().now;
        let again = self
            .there
            .held_since
            .is_some_and(|since| now - since >= NEWS * HELD);
        if changed || again {
            self.there.held.clear();
            self.there.held_since = None;
            self.look_anew();
            return Ok(true);
        }
        Ok(false)
    }

    /// `Driver::merge`, and `Local::merge`.
    pub async fn merge(
        &mut self,
        state: &State,
        item: &Item,
        _: &Facts,
    ) -> Result<Option<String>, Fail> {
        if !self.is_there() {
            return Ok(Some(self.merge_here(state, item)));
        }
        let now = self.sim.w().now;
        let (pull, looked) = match &self.there.seen {
            Some((seen, at)) if now - at < FRESH => (seen.pulls.get(&item.key).cloned(), *at),
            _ => {
                self.there.seen = None;
                return Ok(None);
            }
        };
        let pull =
            pull.ok_or_else(|| Fail::Error("an item to merge has no pull request".to_owned()))?;
        let head = item
            .branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default();
        let linear = {
            let w = self.sim.w();
            let own = w.git.first_parents(&state.run_branch.head, &head);
            own.iter().all(|c| w.git.get(c).parents.len() == 1)
        };
        let method = if state.merge == MergeMethod::Rebase && !linear {
            MergeMethod::Squash
        } else {
            state.merge
        };
        let merging = self
            .sim
            .merge_at(self.machine, (pull.number, looked), &head, method)
            .await?;
        match merging {
            Merging::Done(commit) => {
                self.sim.refresh(self.machine).await?;
                let there = {
                    let w = self.sim.w();
                    let there = w.branch(self.machine, &state.run_branch.name);
                    there.is_some_and(|there| w.git.is_in(&commit, &there))
                        && w.git.is_in(&state.run_branch.head, &commit)
                };
                if !there {
                    self.look_anew();
                    return Ok(None);
                }
                if let Some((seen, _)) = &mut self.there.seen {
                    seen.pulls.remove(&item.key);
                }
                Ok(Some(commit))
            }
            Merging::Held(why) => {
                self.there.held_since.get_or_insert(now);
                self.there.held.insert(item.key.clone(), (head, why));
                Ok(None)
            }
            Merging::Moved => {
                let moved = self.there.moved.entry(item.key.clone()).or_default();
                if moved.0 != head {
                    *moved = (head.clone(), 0);
                }
                moved.1 += 1;
                if moved.1 >= TROUBLES {
                    self.there.held_since.get_or_insert(now);
                    let why = "GitHub says that it has moved".to_owned();
                    self.there.held.insert(item.key.clone(), (head, why));
                }
                self.look_anew();
                Ok(None)
            }
        }
    }

    /// `Local::merge`
    pub fn merge_here(&self, state: &State, item: &Item) -> String {
        let now = self.now();
        let mut w = self.sim.w();
        let head = item
            .branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default();
        let onto = state.run_branch.head.clone();
        let tree = w.git.tree_of(&head);
        let squash = |w: &mut super::world::World| {
            w.git
                .commit(&tree, std::slice::from_ref(&onto), &self.by, now)
        };
        match state.merge {
            MergeMethod::Squash => squash(&mut w),
            MergeMethod::Merge => {
                let parents = [onto.clone(), head];
                w.git.commit(&tree, &parents, &self.by, now)
            }
            MergeMethod::Rebase => {
                let mut at = onto.clone();
                for commit in w.git.first_parents(&onto, &head) {
                    let known = w.git.get(&commit).clone();
                    let [parent] = known.parents.as_slice() else {
                        return squash(&mut w);
                    };
                    if *parent == at {
                        at = commit;
                        continue;
                    }
                    if w.git.tree_of(parent) != w.git.tree_of(&at) {
                        return squash(&mut w);
                    }
                    at = w.git.commit(&known.tree, &[at], &known.by, known.at);
                }
                if w.git.tree_of(&at) == tree {
                    at
                } else {
                    squash(&mut w)
                }
            }
        }
    }

    pub fn pull(&self, key: &str) -> Option<&SeenPull> {
        let (seen, _) = self.there.seen.as_ref()?;
        if key == LAST {
            seen.last.as_ref()
        } else {
            seen.pulls.get(key)
        }
    }

    /// `Driver::there`
    pub async fn act_there(
        &mut self,
        action: &Action,
        snapshot: &Snapshot,
        mut state: State,
    ) -> Result<(), Fail> {
        match action {
            Action::Show { item } => self.show(snapshot, state, item).await,
            Action::Hear { item, voice } => self.hear(snapshot, item, voice).await,
            Action::Answer { item, voice } => self.answer(snapshot, state, item, voice).await,
            // `Driver::take_approval`
            Action::Approve { item, by } => {
                let pull = self.pull(item).cloned();
                let pull =
                    pull.ok_or_else(|| Fail::Error("its pull request is gone".to_owned()))?;
                let whole = state.item(item).cloned();
                let whole = whole.ok_or_else(|| Fail::Error("it is gone".to_owned()))?;
                let review = approval(&whole, &pull, by, &person(&self.by), self.now());
                let said = transition::reviewed(&mut state, item, review)?;
                self.record(snapshot, state, Step::of(said)).await
            }
            // in `Driver::there`
            Action::Withdraw { item, why } => {
                let said = transition::withdrawn(&mut state, item, why)?;
                self.record(snapshot, state, Step::of(said)).await
            }
            Action::TakeMerged { item } => self.take_merged(snapshot, state, item).await,
            // in `Driver::there`
            Action::TakeClosed { item, closed } => {
                let pull = self.pull(item).cloned();
                let pull =
                    pull.ok_or_else(|| Fail::Error("its pull request is gone".to_owned()))?;
                let at = self.seen_at();
                let said = closed_there(&mut state, item, &pull, *closed, at)?;
                self.record(snapshot, state, Step::of(said)).await
            }
            Action::Close { item } => self.close(snapshot, state, item).await,
            Action::MergeBase { commit } => self.merge_base(snapshot, state, commit).await,
            _ => Ok(()),
        }
    }

    pub fn seen_at(&self) -> jiff::Timestamp {
        let seen = self.there.seen.as_ref();
        seen.map_or_else(|| self.now(), |(s, _)| s.at)
    }
}
