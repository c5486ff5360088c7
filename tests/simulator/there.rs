//! What the driver does about pull requests: `src/driver/pulls.rs`, `pulls/pages.rs`, `pulls/hear.rs`
//! and `pulls/taken.rs`, over the model of GitHub. What of those is free of I/O is called, not copied.

use std::collections::{BTreeMap, BTreeSet};

use git_pertask::driver::pulls::hear::{Said, follow};
use git_pertask::driver::pulls::taken::{approval, closed as closed_there, merged_because};
use git_pertask::driver::pulls::{noted, targets};
use git_pertask::forge::{Asked, Merging, Page};
use git_pertask::plan::MergeMethod;
use git_pertask::publish::{log_for, log_path};
use git_pertask::report::pull::{is_draft, status};
use git_pertask::run::LAST;
use git_pertask::run::approval::Policy;
use git_pertask::run::decide::{Action, BaseHeld, Facts};
use git_pertask::run::seen::{OwnComment, PullStanding, Seen, SeenPull, Voice, VoiceKind};
use git_pertask::run::state::{Branch, Item, Merged, Phase, Pull, State};
use git_pertask::run::transition;

use super::driver::Driver;
use super::store::{Snapshot, Step, base_at};
use super::world::{BASE_BRANCH, Fail, person};

/// How old what was seen may be when something is merged for it, in milliseconds.
const FRESH: i64 = 10_000;
const NEWS: i64 = 20_000;
const HELD: i64 = 15;
const TROUBLES: u32 = 3;

/// As `pulls::There`.
#[derive(Default)]
pub struct There {
    seen: Option<(Seen, i64)>,
    seen_with: Option<String>,
    stale: bool,
    fetched: bool,
    shown: BTreeMap<String, Page>,
    answered: BTreeSet<String>,
    held: BTreeMap<String, (String, String)>,
    moved: BTreeMap<String, (String, u32)>,
    held_since: Option<i64>,
    base_held: Option<(String, BaseHeld)>,
    troubles: u32,
    asked_for_news: Option<i64>,
}

impl There {
    pub fn goes_on(&mut self) {
        self.troubles = 0;
    }
}

impl Driver {
    fn is_there(&self) -> bool {
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
    fn merge_here(&self, state: &State, item: &Item) -> String {
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

    fn pull(&self, key: &str) -> Option<&SeenPull> {
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

    /// `Driver::show`
    async fn show(&mut self, snapshot: &Snapshot, mut state: State, key: &str) -> Result<(), Fail> {
        if let Some(item) = state.item(key).filter(|i| i.branch.is_none()) {
            let branch = self.lay_out(&state, item);
            let said = transition::laid_out(&mut state, key, branch)?;
            return self.record(snapshot, state, Step::of(said)).await;
        }
        if key == LAST && state.end.is_none() && self.is_all_in_base(&state) {
            let said = transition::completed_empty(&mut state, self.now())?;
            return self.record(snapshot, state, Step::of(said)).await;
        }
        let seen = self.there.seen.as_ref().map(|(s, _)| s.clone());
        let seen = seen.ok_or_else(|| Fail::Error("nothing was seen of the forge".to_owned()))?;
        let page = pages(&state, &seen).into_iter().find(|(k, _)| k == key);
        let Some((_, page)) = page else {
            return Ok(());
        };
        let before = self.pull(key).cloned();
        let pull = self.show_page(&page, before.as_ref()).await?;
        self.there.troubles = 0;
        let at = self
            .there
            .seen
            .as_ref()
            .map_or_else(|| self.now(), |(s, _)| s.at);
        let ours = if key == LAST {
            state.pull.as_ref()
        } else {
            state.item(key).and_then(|i| i.pull.as_ref())
        };
        let since = ours.filter(|p| p.head == page.head).map(|p| p.since);
        let record = Pull {
            number: pull.number,
            url: pull.url.clone(),
            head: page.head.clone(),
            since: since.unwrap_or(at),
            closed: false,
            replied: ours.and_then(|p| p.replied),
            heard: Vec::new(),
        };
        let known = ours.map(|p| Pull {
            heard: Vec::new(),
            ..p.clone()
        });
        self.there.shown.insert(key.to_owned(), page);
        if let Some((seen, _)) = &mut self.there.seen {
            if key == LAST {
                seen.last = Some(pull);
            } else {
                seen.pulls.insert(key.to_owned(), pull);
            }
        }
        if key == LAST && state.end.is_none() {
            let said = transition::completed(&mut state, record, self.now())?;
            return self.record(snapshot, state, Step::of(said)).await;
        }
        if known.as_ref() == Some(&record) || key == LAST {
            return Ok(());
        }
        let said = transition::shown(&mut state, key, record)?;
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::is_all_in_base`
    fn is_all_in_base(&self, state: &State) -> bool {
        let w = self.sim.w();
        let base = base_at(&w, self.machine);
        self.pull(LAST).is_none()
            && base.is_some_and(|base| w.git.is_in(&state.run_branch.head, &base))
    }

    /// `Driver::lay_out`
    fn lay_out(&self, state: &State, item: &Item) -> Branch {
        let now = self.now();
        let mut w = self.sim.w();
        let base = state.run_branch.head.clone();
        let text = log_for(state, &item.key);
        let word = w.git.text(&String::from_utf8_lossy(&text));
        let tree = w.git.tree_of(&base);
        let tree = w.git.with(&tree, &[(&log_path(state), Some(&word))]);
        let at = item.attempts.last().map_or(now, |a| a.finished);
        let head = w.git.commit(&tree, &[base], &self.by, at);
        Branch {
            name: format!("pertask/{}/{}", state.run, item.branch_leaf()),
            head,
        }
    }

    /// `github::show`
    async fn show_page(&self, page: &Page, pull: Option<&SeenPull>) -> Result<SeenPull, Fail> {
        let machine = self.machine;
        let mut now = pull.cloned().unwrap_or_default();
        for step in steps(page, pull) {
            match step {
                Do::Open => {
                    let looked = self.there.seen.as_ref().map_or(0, |(_, at)| *at);
                    let number = self.sim.open_pull(machine, page, looked).await?;
                    let w = self.sim.w();
                    let us = w.hub.token_of(machine, &w.machines[machine]);
                    let there = w.hub.pull(number).cloned();
                    let there = there.ok_or_else(|| Fail::Error("it is gone".to_owned()))?;
                    now = SeenPull {
                        number,
                        id: format!("PR{number}"),
                        url: format!("https://hub/pull/{number}"),
                        author: w.hub.members[us].account.clone(),
                        draft: page.draft,
                        head: there.head,
                        base: page.base.clone(),
                        title: page.title.clone(),
                        body: page.body.clone(),
                        ..SeenPull::default()
                    };
                }
                Do::Body => {
                    let body = page.body.clone();
                    let edit = self
                        .sim
                        .edit("the body", machine, now.number, |p, _| p.body = body);
                    edit.await?;
                    now.body.clone_from(&page.body);
                }
                Do::Draft => {
                    let draft = page.draft;
                    let edit = self
                        .sim
                        .edit("draft or not", machine, now.number, |p, _| p.draft = draft);
                    edit.await?;
                    now.draft = draft;
                }
                Do::Status(context, state, said) => {
                    let head = page.head.clone();
                    let set = self.sim.call("a status", machine, true, |w, _| {
                        let all = w.hub.statuses.entry(head).or_default();
                        all.insert(context.clone(), (state.clone(), said.clone()));
                        w.effects += 1;
                        Ok(())
                    });
                    set.await?;
                    now.statuses.insert(context, (state, said));
                }
                Do::Comment(marker, text) => {
                    let number = self.sim.w().new_id();
                    let own = OwnComment { number, body: text };
                    let (said, name) = (own.clone(), marker.clone());
                    let edit = self.sim.edit("a comment", machine, now.number, |p, us| {
                        p.ours.push((us, name, said));
                    });
                    edit.await?;
                    now.ours.insert(marker, own);
                }
                Do::Rewrite(number, marker, text) => {
                    let body = text.clone();
                    let edit = self.sim.edit("our comment", machine, now.number, |p, _| {
                        if let Some((_, _, own)) =
                            p.ours.iter_mut().find(|(_, _, o)| o.number == number)
                        {
                            own.body = body;
                        }
                    });
                    edit.await?;
                    now.ours.insert(marker, OwnComment { number, body: text });
                }
            }
        }
        if page.head != now.head && !now.head.is_empty() {
            now.head.clone_from(&page.head);
        }
        Ok(now)
    }

    /// `Driver::hear`
    async fn hear(&mut self, snapshot: &Snapshot, key: &str, voice: &str) -> Result<(), Fail> {
        let Some(pull) = self.pull(key).cloned() else {
            return Ok(());
        };
        let voice = pull.voices.iter().find(|v| v.id == voice).cloned();
        let voice = voice.ok_or_else(|| Fail::Error("what was said is gone".to_owned()))?;
        let said = Said {
            key,
            pull: &pull,
            voice: &voice,
            policy: self.policy(),
            now: self.now(),
        };
        if matches!(voice.kind, VoiceKind::ChangesRequested { .. }) {
            // The threads are read.
            self.sim
                .call("the threads", self.machine, false, |_, _| Ok(()))
                .await?;
        }
        let mut read = |requests: &[Voice]| {
            let text: Vec<String> = requests
                .iter()
                .map(|v| format!("{}: {}", v.by.login, v.text))
                .collect();
            Ok(Asked {
                text: text.join("\n"),
                threads: Vec::new(),
            })
        };
        let followed = follow(snapshot.state(), &said, &mut read);
        let followed = followed.map_err(|e| match e.downcast::<transition::NotPossible>() {
            Ok(not) => Fail::Not(not.0),
            Err(e) => Fail::Error(format!("{e:#}")),
        })?;
        match followed {
            Some((state, said)) => {
                let step = Step::of(said);
                self.record(snapshot, state, step).await
            }
            None => Ok(()),
        }
    }

    /// `Driver::answer`, and `github::talk::answer`: a reply where there is something to say, then a
    /// mark.
    async fn answer(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        voice: &str,
    ) -> Result<(), Fail> {
        let Some(pull) = self.pull(key).cloned() else {
            return Ok(());
        };
        let ours = if key == LAST {
            state.pull.as_ref()
        } else {
            state.item(key).and_then(|i| i.pull.as_ref())
        };
        let heard = ours
            .and_then(|p| p.heard.iter().find(|h| h.id == voice))
            .cloned();
        let said = pull.voices.iter().find(|v| v.id == voice).cloned();
        if let (Some(heard), Some(said)) = (heard, said) {
            if let Some(reply) = &heard.reply {
                let marker = format!("<!-- pertask:answer {} -->", said.number);
                if !pull.ours.contains_key(&marker) {
                    let number = self.sim.w().new_id();
                    let body = reply.clone();
                    let answered =
                        self.sim
                            .edit("an answer", self.machine, pull.number, |p, us| {
                                p.ours.push((us, marker, OwnComment { number, body }));
                            });
                    answered.await?;
                }
            }
            let id = said.id.clone();
            let marked = self.sim.edit("a mark", self.machine, pull.number, |p, us| {
                if let Some(said) = p.said.iter_mut().find(|s| s.id == id) {
                    said.marks.insert(us);
                }
            });
            marked.await?;
            let viewer = self.there.seen.as_ref().map(|(s, _)| s.viewer.id);
            if viewer != Some(pull.author.id) {
                self.there.answered.insert(voice.to_owned());
                let what = transition::answered(&mut state, key, voice, &said.by.login)?;
                return self.record(snapshot, state, Step::of(what)).await;
            }
        }
        self.there.answered.insert(voice.to_owned());
        Ok(())
    }

    /// `Driver::take_merged`
    async fn take_merged(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let pull = self.pull(key).cloned();
        let pull = pull.ok_or_else(|| Fail::Error("its pull request is gone".to_owned()))?;
        let PullStanding::Merged {
            commit,
            by,
            permitted,
            at,
        } = &pull.standing
        else {
            return Ok(());
        };
        let viewer = self.there.seen.as_ref().map(|(s, _)| s.viewer.id);
        let viewer = viewer.unwrap_or_default();
        let because = merged_because(&state, key, &pull.head, (by, *permitted), viewer);
        let merged = Merged {
            commit: commit.clone(),
            head: pull.head.clone(),
            at: *at,
            because,
        };
        if key == LAST {
            let said = transition::last_merged(&mut state, merged);
            return self.record(snapshot, state, Step::of(said)).await;
        }
        self.sim.refresh(self.machine).await?;
        let (there, known) = {
            let w = self.sim.w();
            let there = w.branch(self.machine, &state.run_branch.name);
            let known = w.git.knows(commit) && w.git.is_in(&state.run_branch.head, commit);
            (there, known)
        };
        let there = there.ok_or_else(|| Fail::Error("the run branch is gone".to_owned()))?;
        let head = if known { commit.clone() } else { there };
        let merged = Merged {
            commit: head.clone(),
            ..merged
        };
        let mut said = transition::taken(&mut state, key, merged, &head)?;
        said.push_str(&self.taken_along(&mut state, &head));
        said.push_str(&self.judged(&mut state));
        self.record(snapshot, state, Step::of(said)).await
    }

    /// `Driver::inside`
    pub fn inside(&self, state: &State, commit: &str) -> Vec<String> {
        let w = self.sim.w();
        let inside = |i: &&Item| {
            let branch = i.branch.as_ref();
            branch.is_some_and(|b| w.git.is_in(&b.head, commit))
        };
        let open = state.items.iter().filter(|i| !i.is_settled());
        open.filter(inside).map(|i| i.key.clone()).collect()
    }

    /// `Driver::taken_along`
    pub fn taken_along(&self, state: &mut State, head: &str) -> String {
        let others = self.inside(state, head);
        if others.is_empty() {
            return String::new();
        }
        let by = person(&self.sim.w().git.get(head).by);
        let said = transition::run_adopted(state, head, &others, &by, self.now());
        format!("; {said}")
    }

    /// `Driver::close`
    async fn close(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
    ) -> Result<(), Fail> {
        let pull = self.pull(key).cloned();
        let pull = pull.ok_or_else(|| Fail::Error("its pull request is gone".to_owned()))?;
        let edit = self.sim.edit("closing", self.machine, pull.number, |p, _| {
            if p.standing == PullStanding::Open {
                p.standing = PullStanding::Closed;
            }
        });
        edit.await?;
        if let Some((seen, _)) = &mut self.there.seen {
            seen.pulls.remove(key);
            if key == LAST {
                seen.last = None;
            }
        }
        let at = self.seen_at();
        let said = closed_there(&mut state, key, &pull, true, at)?;
        self.record(snapshot, state, Step::of(said)).await
    }

    fn seen_at(&self) -> jiff::Timestamp {
        let seen = self.there.seen.as_ref();
        seen.map_or_else(|| self.now(), |(s, _)| s.at)
    }

    /// `Driver::merge_base`
    async fn merge_base(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        base: &str,
    ) -> Result<(), Fail> {
        let head = state.run_branch.head.clone();
        let now = self.now();
        let commit = {
            let mut w = self.sim.w();
            let (tree, conflicts) = w.git.merge(&head, base);
            if !conflicts.is_empty() {
                let why = BaseHeld::Conflicts { files: conflicts };
                self.there.base_held = Some((base.to_owned(), why));
                return Ok(());
            }
            w.git.commit(&tree, &[head, base.to_owned()], &self.by, now)
        };
        let mut said = transition::base_merged(&mut state, &commit, base);
        said.push_str(&self.judged(&mut state));
        match self.record(snapshot, state, Step::of(said)).await {
            Err(Fail::Refused(why)) => {
                self.there.base_held = Some((base.to_owned(), BaseHeld::Refused { why }));
                Ok(())
            }
            other => other,
        }
    }
}

/// One thing to be done so that a pull request shows a page: as `github::show::Step`.
enum Do {
    Open,
    Body,
    Draft,
    Status(String, String, String),
    Comment(String, String),
    Rewrite(u64, String, String),
}

/// As `github::show::steps`.
fn steps(page: &Page, pull: Option<&SeenPull>) -> Vec<Do> {
    let mut found = Vec::new();
    let nothing = SeenPull {
        draft: page.draft,
        title: page.title.clone(),
        body: page.body.clone(),
        ..SeenPull::default()
    };
    let pull = pull.unwrap_or_else(|| {
        found.push(Do::Open);
        &nothing
    });
    if pull.standing != PullStanding::Open {
        return Vec::new();
    }
    if pull.body != page.body {
        found.push(Do::Body);
    }
    if pull.draft != page.draft {
        found.push(Do::Draft);
    }
    for (context, state, said) in &page.statuses {
        let there = pull
            .statuses
            .get(context)
            .filter(|_| pull.head == page.head);
        if there.is_none_or(|(s, d)| s != state || d != said) {
            found.push(Do::Status(context.clone(), state.clone(), said.clone()));
        }
    }
    if let Some((marker, text)) = &page.progress {
        match pull.ours.get(marker) {
            None => found.push(Do::Comment(marker.clone(), text.clone())),
            Some(own) if own.body != *text => {
                found.push(Do::Rewrite(own.number, marker.clone(), text.clone()));
            }
            Some(_) => {}
        }
    }
    found
}

/// As `Driver::pages`, in fewer words.
fn pages(state: &State, seen: &Seen) -> Vec<(String, Page)> {
    let mut found = Vec::new();
    if state.end.is_none() {
        for item in &state.items {
            let there = seen.pulls.get(&item.key);
            let wanted = match &item.phase {
                Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. } => true,
                Phase::Approved { .. } => {
                    item.branch.as_ref().map(|b| &b.head) != item.pull.as_ref().map(|p| &p.head)
                }
                Phase::Pending | Phase::Running { .. } => there.is_some(),
                Phase::Merged | Phase::Skipped { .. } => false,
            };
            if wanted {
                found.push((item.key.clone(), page(state, item, there)));
            }
        }
    }
    let complete = state.end.as_ref().is_some_and(|e| !e.aborted);
    if complete || state.gate_of.as_ref() == Some(&state.run_branch.head) {
        let page = Page {
            branch: state.run_branch.name.clone(),
            head: state.run_branch.head.clone(),
            base: BASE_BRANCH.to_owned(),
            title: "all of it".to_owned(),
            body: format!("{} tasks", state.items.len()),
            ..Page::default()
        };
        found.push((LAST.to_owned(), page));
    }
    found
}

fn page(state: &State, item: &Item, there: Option<&SeenPull>) -> Page {
    let leaf = item.branch_leaf();
    let phase = match &item.phase {
        Phase::Running { claim } => format!("attempt {}", claim.attempt),
        Phase::Review => "review".to_owned(),
        Phase::Approved { because, .. } => because.clone(),
        other => format!("{other:?}"),
    };
    let page = Page {
        branch: format!("pertask/{}/{leaf}", state.run),
        head: item
            .branch
            .as_ref()
            .map(|b| b.head.clone())
            .unwrap_or_default(),
        base: state.run_branch.name.clone(),
        progress: Some((format!("<!-- pertask:progress {leaf} -->"), phase)),
        ..Page::default()
    };
    if let (Phase::Pending | Phase::Running { .. }, Some(there)) = (&item.phase, there) {
        return Page {
            title: there.title.clone(),
            body: there.body.clone(),
            draft: there.draft,
            ..page
        };
    }
    Page {
        title: leaf,
        body: format!("attempt {}", item.attempts.len()),
        draft: is_draft(item),
        statuses: status(state, item)
            .into_iter()
            .map(|s| {
                (
                    s.context.to_owned(),
                    s.state.word().to_owned(),
                    s.description,
                )
            })
            .collect(),
        ..page
    }
}
