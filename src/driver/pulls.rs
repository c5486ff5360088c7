//! What the loop does about pull requests: look, show, merge; what people said is in `hear`, what happened there in `taken`.
//!
//! What was seen is used until something is known to have changed: our own pushes and calls, a lost
//! race, a poll with news. Races: an approval is merged only while what was seen is a few seconds
//! old, and the merge carries the commit. Crashes: whatever was done without being recorded is seen
//! at the next look, and then recorded or gone on from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::Timestamp;

use super::{Audience, Driver};
use crate::forge::github::ApiError;
use crate::forge::{Merging, Page, Target};
use crate::git::NewCommit;
use crate::ledger::Snapshot;
use crate::plan::MergeMethod;
use crate::publish;
use crate::run::LAST;
use crate::run::approval::Policy;
use crate::run::decide::{Action, BaseHeld, Facts};
use crate::run::order::OrderKind;
use crate::run::seen::{Seen, SeenPull};
use crate::run::state::{Attempt, Branch, Decision, Item, Outcome, Phase, Pull, Review, State};
use crate::run::transition::{self, NotPossible};

pub mod hear;
mod pages;
pub mod taken;

/// How old what was seen may be when something is merged for it.
const FRESH: Duration = Duration::from_secs(10);

/// How often a forge is asked for news while attempts run.
const NEWS: Duration = Duration::from_secs(20);

/// How long to wait before looking again at what may or may not have happened; longer each time.
const SETTLE: Duration = Duration::from_secs(2);
/// After how many times that long a merge that the forge refused is asked for again without news.
const HELD: u32 = 15;

/// How many times in a row the forge may fail before we give up for now.
const TROUBLES: u32 = 3;

/// What is known of the forge in this process.
#[derive(Default)]
pub(super) struct There {
    /// What was seen, until it is known to have changed.
    seen: Option<(Seen, Instant)>,
    /// Where the run branch was then, as far as was known.
    seen_with: Option<String>,
    /// Ledger and branches must be fetched again.
    stale: bool,
    /// Whether anything was fetched yet.
    fetched: bool,
    /// Pages as they were last shown, so that what the forge words differently is not shown for ever.
    shown: BTreeMap<String, Page>,
    /// What was answered, by id.
    answered: BTreeSet<String>,
    /// Items that the forge would not merge, at which head, and why.
    held: BTreeMap<String, (String, String)>,
    /// How often the forge said of an item that it had moved from this head.
    moved: BTreeMap<String, (String, u32)>,
    /// Since when the first of them is held.
    held_since: Option<Instant>,
    /// Why the base could not be brought in, and which commit of it.
    base_held: Option<(String, BaseHeld)>,
    troubles: u32,
    asked_for_news: Option<Instant>,
}

impl Driver<'_> {
    fn is_there(&self) -> bool {
        self.ledger.remote().is_some()
    }

    /// What an approval takes.
    fn policy(&self) -> Policy {
        Policy {
            approvals: self.config.github.approvals,
            author_may_approve: self.config.github.author_may_approve,
        }
    }

    /// Fetches ledger and branches, when they may have moved.
    pub(super) fn refresh(&mut self) -> anyhow::Result<()> {
        if self.is_there() && (self.there.stale || !self.there.fetched) {
            self.ledger.refresh(&self.base_branch)?;
            self.there.fetched = true;
            self.there.stale = false;
        }
        Ok(())
    }

    /// What was seen is not believed any more, nor where refs were.
    pub(super) fn look_anew(&mut self) {
        self.there.seen = None;
        self.there.stale = true;
    }

    /// Branches have moved with the ledger: their pull requests are not as they were.
    pub(super) fn moved(&mut self, before: &State, after: &State) {
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

    /// Something was recorded: what went wrong before has passed.
    pub(super) fn goes_on(&mut self) {
        self.there.troubles = 0;
    }

    /// Whether an error passes when everything is looked at again; counts, so that it ends.
    pub(super) fn may_try_again(&mut self, error: &anyhow::Error) -> bool {
        // Within a limit's time nothing is asked again.
        let waits = error
            .downcast_ref::<ApiError>()
            .is_some_and(|e| matches!(e, ApiError::Limited { .. } | ApiError::Interrupted));
        if !self.is_there() || waits || !crate::forge::is_passing(error) {
            return false;
        }
        self.there.troubles += 1;
        self.look_anew();
        if self.there.troubles >= TROUBLES || self.options.cancel.is_cancelled() {
            return false;
        }
        tracing::info!(error = %error, "looking again");
        // What has just happened may take a moment to be seen.
        std::thread::sleep(poll_pause(SETTLE * self.there.troubles));
        true
    }

    /// Looks at the forge, unless what was seen still holds.
    pub(super) fn look(&mut self, state: &State, stopping: bool) -> anyhow::Result<()> {
        if !self.is_there() || stopping {
            return Ok(());
        }
        // A run branch that has moved since was most likely merged into, which is to be seen.
        let run_branch = self.ledger.branch(&state.run_branch.name)?;
        if run_branch.as_ref() != Some(&state.run_branch.head) && run_branch != self.there.seen_with
        {
            self.there.seen = None;
        }
        if self.there.seen.is_some() {
            return Ok(());
        }
        self.there.seen_with = run_branch;
        let seen = self.forge.look(&targets(state))?;
        if let Some(seen) = seen {
            self.there.seen = Some((seen, Instant::now()));
        }
        Ok(())
    }

    /// What is known of the forge, for `decide`.
    pub(super) fn facts_there(
        &mut self,
        snapshot: &Snapshot,
        facts: &mut Facts,
    ) -> anyhow::Result<()> {
        facts.policy = self.policy();
        if !self.is_there() {
            return Ok(());
        }
        let state = &snapshot.state;
        for (key, (head, why)) in &self.there.held {
            let same = state
                .item(key)
                .and_then(|i| i.branch.as_ref())
                .is_some_and(|b| b.head == *head);
            if same {
                facts.held.insert(key.clone(), why.clone());
            }
        }
        let base = self.base_ref();
        if let Some(head) = self.repo.target(&base)?
            && !self.repo.is_ancestor(&head, &state.run_branch.head)?
        {
            if let Some((commit, held)) = &self.there.base_held
                && *commit == head
            {
                facts.base_held = Some(held.clone());
            }
            facts.base_ahead = Some(head);
        }
        let Some((seen, _)) = &self.there.seen else {
            return Ok(());
        };
        let mut seen = seen.clone();
        for pull in seen.pulls.values_mut().chain(&mut seen.last) {
            for voice in &mut pull.voices {
                voice.marked |= self.there.answered.contains(&voice.id);
            }
        }
        for (key, page) in self.pages(snapshot, &seen)? {
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
            if self.forge.differs(&page, pull) || !noted(state, &key, &page) {
                facts.differs.insert(key);
            }
        }
        facts.seen = Some(seen);
        Ok(())
    }

    fn base_ref(&self) -> String {
        let remote = self.ledger.remote().map_or("", |r| r.name.as_str());
        format!("refs/remotes/{remote}/{}", self.base_branch)
    }

    /// Whether the forge or the ledger has news; asked now and then while attempts run.
    pub(super) fn heard_of_news(&mut self) -> anyhow::Result<bool> {
        if !self.is_there() {
            return Ok(false);
        }
        // Attempts are under way: trouble with the line is no reason to end them.
        match self.news_when_due() {
            Err(e) if crate::forge::is_passing(&e) => {
                tracing::info!(error = %e, "asking for news again later");
                Ok(false)
            }
            other => other,
        }
    }

    fn news_when_due(&mut self) -> anyhow::Result<bool> {
        let now = Instant::now();
        let asked = *self.there.asked_for_news.get_or_insert(now);
        if now.duration_since(asked) < poll_pause(NEWS) {
            return Ok(false);
        }
        self.there.asked_for_news = Some(now);
        self.has_news()
    }

    /// Asks forge and remote, once, whether anything has changed since it was last looked at.
    ///
    /// # Errors
    /// When neither can be asked.
    pub fn has_news(&mut self) -> anyhow::Result<bool> {
        let tip = self.ledger.tip()?;
        self.ledger.refresh(&self.base_branch)?;
        if self.ledger.tip()? != tip {
            self.look_anew();
            return Ok(true);
        }
        let Some((seen, _)) = &self.there.seen else {
            return Ok(true);
        };
        let changed = self.forge.changed(seen)?;
        // A setting that stands in the way of a merge is no news of the pull request.
        let again = self
            .there
            .held_since
            .is_some_and(|at| at.elapsed() >= poll_pause(NEWS) * HELD);
        if changed || again {
            self.there.held.clear();
            self.there.held_since = None;
            self.look_anew();
            return Ok(true);
        }
        Ok(false)
    }

    /// Merges through the forge; `None` when that must be decided anew.
    pub(super) fn merge(&mut self, state: &State, item: &Item) -> anyhow::Result<Option<String>> {
        if !self.is_there() {
            return match self.forge.merge(&self.plan, state, item, &self.by, None)? {
                Merging::Done(commit) => Ok(Some(commit)),
                Merging::Held(why) => Err(NotPossible(why).into()),
                Merging::Moved => Ok(None),
            };
        }
        let fresh = |at: &Instant| at.elapsed() < FRESH;
        let pull = match &self.there.seen {
            Some((seen, at)) if fresh(at) => seen.pulls.get(&item.key).cloned(),
            _ => {
                self.there.seen = None;
                return Ok(None);
            }
        };
        let pull = pull.context("an item to merge has no pull request")?;
        // GitHub rebases commit by commit and without merges: where the run branch was merged in, one
        // commit with the same content takes their place.
        let mut state = state.clone();
        if state.merge == MergeMethod::Rebase && !self.is_linear(&state, item)? {
            state.merge = MergeMethod::Squash;
        }
        let merging = self
            .forge
            .merge(&self.plan, &state, item, &self.by, Some(&pull))?;
        match merging {
            Merging::Done(commit) => {
                self.ledger.refresh(&self.base_branch)?;
                // Somebody may have sent it to another branch since it was looked at.
                let there = self.ledger.branch(&state.run_branch.name)?;
                let is_in = |one: &str, other: &str| self.repo.is_ancestor(one, other);
                let took = |there: &String| is_in(&commit, there).unwrap_or(false);
                if !there.as_ref().is_some_and(took)
                    || !is_in(&state.run_branch.head, &commit).unwrap_or(false)
                {
                    self.look_anew();
                    return Ok(None);
                }
                if let Some((seen, _)) = &mut self.there.seen {
                    seen.pulls.remove(&item.key);
                }
                Ok(Some(commit))
            }
            Merging::Held(why) => {
                let head = item.branch.as_ref().map(|b| b.head.clone());
                self.there.held_since.get_or_insert_with(Instant::now);
                self.there
                    .held
                    .insert(item.key.clone(), (head.unwrap_or_default(), why));
                Ok(None)
            }
            Merging::Moved => {
                let head = item.branch.as_ref().map(|b| b.head.clone());
                let head = head.unwrap_or_default();
                let moved = self.there.moved.entry(item.key.clone()).or_default();
                if moved.0 != head {
                    *moved = (head.clone(), 0);
                }
                moved.1 += 1;
                if moved.1 >= TROUBLES {
                    self.there.held_since.get_or_insert_with(Instant::now);
                    let why = "GitHub says that it has moved, and shows it where it was; run `git pertask continue` again in a while";
                    self.there
                        .held
                        .insert(item.key.clone(), (head, why.to_owned()));
                }
                self.look_anew();
                Ok(None)
            }
        }
    }

    /// Whether an item's commits lead from the run branch to its head without a merge.
    fn is_linear(&self, state: &State, item: &Item) -> anyhow::Result<bool> {
        let Some(branch) = &item.branch else {
            return Ok(true);
        };
        for commit in self
            .repo
            .first_parents(&state.run_branch.head, &branch.head)?
        {
            if self.repo.commit_info(&commit)?.parents.len() != 1 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does what follows from the pull requests.
    pub(super) fn there(
        &mut self,
        action: &Action,
        snapshot: &Snapshot,
        state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        match action {
            Action::Show { item } => self.show(snapshot, state, item, audience),
            Action::Hear { item, voice } => self.hear(snapshot, item, voice, audience),
            Action::Answer { item, voice } => self.answer(snapshot, state, item, voice, audience),
            Action::Approve { item, by } => self.take_approval(snapshot, state, item, by, audience),
            Action::Withdraw { item, why } => {
                let mut state = state;
                let said = transition::withdrawn(&mut state, item, why)?;
                self.record(snapshot, state, &said, Vec::new(), audience)
            }
            Action::TakeMerged { item } => self.take_merged(snapshot, state, item, audience),
            Action::TakeClosed { item, closed } => {
                let mut state = state;
                let pull = self.pull(item).context("its pull request is gone")?;
                let said = taken::closed(&mut state, item, pull, *closed, self.seen_at())?;
                self.record(snapshot, state, &said, Vec::new(), audience)
            }
            Action::Close { item } => self.close(snapshot, state, item, audience),
            Action::MergeBase { commit } => self.merge_base(snapshot, state, commit, audience),
            _ => Ok(()),
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

    fn seen_at(&self) -> Timestamp {
        let seen = self.there.seen.as_ref();
        seen.map_or_else(Timestamp::now, |(s, _)| s.at)
    }

    fn show(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        if let Some(item) = state.item(key).filter(|i| i.branch.is_none()) {
            let branch = self.lay_out(&state, item)?;
            let said = transition::laid_out(&mut state, key, branch)?;
            return self.record(snapshot, state, &said, Vec::new(), audience);
        }
        if key == LAST && state.end.is_none() && self.is_all_in_base(&state)? {
            let said = transition::completed_empty(&mut state, Timestamp::now())?;
            return self.record(snapshot, state, &said, Vec::new(), audience);
        }
        let seen = self.there.seen.as_ref().map(|(s, _)| s.clone());
        let seen = seen.context("nothing was seen of the forge")?;
        let page = self
            .pages(snapshot, &seen)?
            .into_iter()
            .find(|(k, _)| k == key)
            .map(|(_, page)| page);
        let Some(page) = page else { return Ok(()) };
        let before = self.pull(key).cloned();
        let (pull, doubts) = self.forge.show(&page, before.as_ref())?;
        for doubt in doubts {
            audience.warn(&doubt);
        }
        self.there.troubles = 0;
        let at = self.seen_at();
        let ours = if key == LAST {
            state.pull.as_ref()
        } else {
            state.item(key).and_then(|i| i.pull.as_ref())
        };
        let since = ours.filter(|p| p.head == page.head).map(|p| p.since);
        let replied = match state.item(key).and_then(unreplied) {
            Some(number) => {
                self.reply(snapshot, key, &pull, number, audience)?;
                Some(number)
            }
            None => ours.and_then(|p| p.replied),
        };
        let pull_record = Pull {
            number: pull.number,
            url: pull.url.clone(),
            head: page.head.clone(),
            since: since.unwrap_or(at),
            closed: false,
            replied,
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
            let url = pull_record.url.clone();
            let said = transition::completed(&mut state, pull_record, Timestamp::now())?;
            self.record(snapshot, state, &said, Vec::new(), audience)?;
            audience.said(&format!("  {url}"));
            return Ok(());
        }
        if known.as_ref() == Some(&pull_record) || key == LAST {
            return Ok(());
        }
        let url = pull_record.url.clone();
        let is_new = known.is_none();
        let said = transition::shown(&mut state, key, pull_record)?;
        self.record(snapshot, state, &said, Vec::new(), audience)?;
        if is_new {
            audience.said(&format!("  {url}"));
        }
        Ok(())
    }

    /// Whether there is nothing for a last pull request to take into the base: every task was left
    /// out, say. GitHub opens none then.
    fn is_all_in_base(&self, state: &State) -> anyhow::Result<bool> {
        if self.pull(LAST).is_some() {
            return Ok(false);
        }
        match self.repo.target(&self.base_ref())? {
            Some(base) => Ok(self.repo.is_ancestor(&state.run_branch.head, &base)?),
            None => Ok(false),
        }
    }

    /// A branch with the log alone, for an item none of whose attempts has passed.
    fn lay_out(&self, state: &State, item: &Item) -> anyhow::Result<Branch> {
        let base = &state.run_branch.head;
        let log = vec![(
            publish::log_path(state),
            Some(publish::log_for(state, &item.key)),
        )];
        let tree = self
            .repo
            .with_files(Some(&self.repo.tree_of(base)?), &log)?;
        let commit = self.repo.commit(&NewCommit {
            tree: &tree,
            parents: std::slice::from_ref(base),
            message: &crate::report::commit::laid_out_message(state, item),
            author: &self.by,
            committer: &self.by,
            time: item
                .attempts
                .last()
                .map_or_else(Timestamp::now, |a| a.finished),
        })?;
        Ok(Branch {
            name: format!("pertask/{}/{}", state.run, item.branch_leaf()),
            head: commit,
        })
    }
}

/// Whether the ledger knows that a pull request shows this page's commit.
#[must_use]
pub fn noted(state: &State, key: &str, page: &Page) -> bool {
    let pull = if key == LAST {
        // The run branch grows without being shown anew.
        return state.end.is_none() || state.pull.is_some();
    } else {
        state.item(key).and_then(|i| i.pull.as_ref())
    };
    pull.is_some_and(|p| p.head == page.head)
        && state.item(key).is_none_or(|i| unreplied(i).is_none())
}

/// The latest passed attempt that answers a review with threads nobody was answered in yet.
#[must_use]
pub fn unreplied(item: &Item) -> Option<u32> {
    if item.phase != Phase::Review {
        return None;
    }
    let threads = last_request(item)?.source.as_ref().map(|s| &s.threads);
    threads.filter(|t| !t.is_empty())?;
    // Not by time: the forge has its own clock.
    let answers = |a: &&Attempt| {
        a.number >= item.count_from
            && a.outcome == Outcome::Passed
            && !matches!(
                a.kind,
                OrderKind::First | OrderKind::Forward | OrderKind::Person
            )
    };
    let attempt = item.attempts.iter().rev().find(answers)?;
    let replied = item.pull.as_ref().and_then(|p| p.replied);
    replied
        .is_none_or(|r| r < attempt.number)
        .then_some(attempt.number)
}

/// The newest review of this round that asked for changes.
fn last_request(item: &Item) -> Option<&Review> {
    let mut reviews = item.reviews.iter().rev();
    reviews.find(|r| r.decision == Decision::Revise && r.round == item.round)
}

/// The pull requests there may be something to see of.
#[must_use]
pub fn targets(state: &State) -> Vec<Target> {
    let mut found = Vec::new();
    let ended = state.end.as_ref();
    let aborted = ended.is_some_and(|e| e.aborted);
    for item in &state.items {
        // One may have been opened and never recorded, before the item was left out.
        // Who said something there before it was closed, or merged, is told what came of it.
        let untold = |pull: &Pull| pull.heard.iter().any(|h| !h.answered);
        let open = match &item.pull {
            Some(pull) => !pull.closed || untold(pull),
            None => item.branch.is_some(),
        };
        let wanted = match &item.phase {
            Phase::Merged => {
                let by_hand = item.merged.as_ref().is_some_and(|m| m.by_hand);
                by_hand && item.pull.as_ref().is_some_and(untold)
            }
            Phase::Skipped { .. } => open,
            _ if ended.is_some() => aborted && open,
            _ => item.branch.is_some() || item.pull.is_some(),
        };
        if wanted {
            let leaf = item.branch_leaf();
            found.push(Target {
                key: item.key.clone(),
                branch: format!("pertask/{}/{leaf}", state.run),
                number: number(item.pull.as_ref()),
            });
        }
    }
    if crate::plant::is("pull-request-unlooked") {
        found.retain(|t| t.number.is_some());
    }
    let settled = state.items.iter().all(Item::is_settled);
    let known = state.pull.as_ref();
    if known.map_or(settled, |p| !p.closed || (settled && !aborted)) {
        found.push(Target {
            key: LAST.to_owned(),
            branch: state.run_branch.name.clone(),
            number: number(known),
        });
    }
    found
}

/// By which number a pull request is looked for. Of one that is closed somebody may have opened
/// another from the same branch: then that is the one, and it is found by the branch.
fn number(ours: Option<&Pull>) -> Option<u64> {
    ours.filter(|p| !p.closed).map(|p| p.number)
}

/// A pause between polls; tests shorten it, in builds with debug assertions only.
#[must_use]
pub fn poll_pause(usual: Duration) -> Duration {
    if cfg!(debug_assertions)
        && let Ok(text) = std::env::var("PERTASK_TEST_POLL_MS")
        && let Ok(ms) = text.parse()
    {
        return Duration::from_millis(ms);
    }
    usual
}
