//! What happened on the forge is taken into the ledger: approvals, merges, closings, a base that moved.

use anyhow::Context as _;
use jiff::Timestamp;

use super::super::{Audience, Driver};
use crate::git::NewCommit;
use crate::ledger::{LedgerError, Snapshot};
use crate::run::LAST;
use crate::run::decide::BaseHeld;
use crate::run::seen::{Account, PullStanding, SeenPull};
use crate::run::state::{Decision, Item, Merged, Person, Phase, Pull, Review, Source, State};
use crate::run::transition;

impl Driver<'_> {
    pub(super) fn take_approval(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        by: &[String],
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let pull = self
            .pull(key)
            .cloned()
            .context("its pull request is gone")?;
        let item = state.item(key).context("the item to approve is gone")?;
        let review = approval(item, &pull, by, &self.by, Timestamp::now());
        let said = transition::reviewed(&mut state, key, review)?;
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    pub(super) fn take_merged(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let pull = self
            .pull(key)
            .cloned()
            .context("its pull request is gone")?;
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
            by_hand: false,
        };
        if key == LAST {
            let said = transition::last_merged(&mut state, merged);
            return self.record(snapshot, state, &said, Vec::new(), audience);
        }
        self.ledger.refresh(&self.base_branch)?;
        let there = self.ledger.branch(&state.run_branch.name)?;
        let there = there.context("the run branch is gone")?;
        // Where that commit is not to be found, the branch itself says what was merged.
        let known = self
            .repo
            .is_ancestor(&state.run_branch.head, commit)
            .unwrap_or(false);
        let head = if known { commit.clone() } else { there };
        let merged = Merged {
            commit: head.clone(),
            ..merged
        };
        let mut said = transition::taken(&mut state, key, merged, &head)?;
        said.push_str(&self.taken_along(&mut state, &head)?);
        said.push_str(&self.judged(&mut state)?);
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    /// Open items whose branches are in a commit.
    pub(in crate::driver) fn inside(
        &self,
        state: &State,
        commit: &str,
    ) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for item in state.items.iter().filter(|i| !i.is_settled()) {
            if let Some(branch) = &item.branch
                && self.repo.is_ancestor(&branch.head, commit)?
            {
                found.push(item.key.clone());
            }
        }
        Ok(found)
    }

    /// Takes note of items that somebody has brought into the run branch before `head`: nothing is
    /// left of them to be merged, or to open a pull request for. Says so.
    pub(in crate::driver) fn taken_along(
        &self,
        state: &mut State,
        head: &str,
    ) -> anyhow::Result<String> {
        let others = self.inside(state, head)?;
        if others.is_empty() {
            return Ok(String::new());
        }
        let by = self.repo.commit_info(head)?.author;
        let said = transition::run_adopted(state, head, &others, &by, Timestamp::now());
        Ok(format!("; {said}"))
    }

    pub(super) fn close(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let pull = self
            .pull(key)
            .cloned()
            .context("its pull request is gone")?;
        self.forge.close(&pull)?;
        if let Some((seen, _)) = &mut self.there.seen {
            seen.pulls.remove(key);
            if key == LAST {
                seen.last = None;
            }
        }
        let said = closed(&mut state, key, &pull, true, self.seen_at())?;
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    /// Merges the base into the run branch and pushes that, when it merges cleanly.
    pub(super) fn merge_base(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        base: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let head = state.run_branch.head.clone();
        let merged = self.repo.merge(&head, base)?;
        if !merged.conflicts.is_empty() {
            let files = merged.conflicts;
            self.there.base_held = Some((base.to_owned(), BaseHeld::Conflicts { files }));
            return Ok(());
        }
        let commit = self.repo.commit(&NewCommit {
            tree: &merged.tree,
            parents: &[head, base.to_owned()],
            message: &crate::report::commit::base_message(&state, base),
            author: &self.by,
            committer: &self.by,
            time: Timestamp::now(),
        })?;
        let mut said = transition::base_merged(&mut state, &commit, base);
        said.push_str(&self.judged(&mut state)?);
        match self.record(snapshot, state, &said, Vec::new(), audience) {
            Err(e) => match e.downcast_ref::<LedgerError>() {
                Some(LedgerError::Refused { why, .. }) => {
                    let refused = BaseHeld::Refused { why: why.clone() };
                    self.there.base_held = Some((base.to_owned(), refused));
                    Ok(())
                }
                _ => Err(e),
            },
            ok => ok,
        }
    }
}

/// The approval of an item by the people of these names, as the ledger keeps it. `here` and `now`
/// stand where nothing of what they said is to be seen.
#[must_use]
pub fn approval(
    item: &Item,
    pull: &SeenPull,
    by: &[String],
    here: &Person,
    now: Timestamp,
) -> Review {
    let head = item.branch.as_ref().map(|b| b.head.clone());
    let voices = pull.voices.iter().filter(|v| by.contains(&v.by.login));
    let last = voices.max_by_key(|v| v.at);
    let person = last.map_or_else(
        || here.clone(),
        |v| transition::person(v.by.id, &v.by.login),
    );
    Review {
        decision: Decision::Approve,
        by: Person {
            name: by.join(" and "),
            ..person
        },
        at: last.map_or(now, |v| v.at),
        commit: head.unwrap_or_default(),
        text: last.map(crate::forge::plain).unwrap_or_default(),
        round: item.round,
        source: last.map(|v| Source {
            ids: vec![v.id.clone()],
            url: v.url.clone(),
            login: v.by.login.clone(),
            threads: Vec::new(),
        }),
    }
}

/// Takes note that a pull request is closed, or open again, be it one that is not the one on record:
/// opened and never recorded, or opened by somebody in its place.
///
/// # Errors
/// [`transition::NotPossible`] when there is no such item.
pub fn closed(
    state: &mut State,
    key: &str,
    pull: &SeenPull,
    is_closed: bool,
    at: Timestamp,
) -> Result<String, transition::NotPossible> {
    let known = if key == LAST {
        state.pull.as_ref()
    } else {
        state.item(key).and_then(|i| i.pull.as_ref())
    };
    if known.is_none_or(|p| p.number != pull.number) {
        let unrecorded = Pull {
            number: pull.number,
            url: pull.url.clone(),
            head: pull.head.clone(),
            since: at,
            ..Pull::default()
        };
        transition::shown(state, key, unrecorded)?;
    }
    transition::closed(state, key, is_closed)
}

/// Why a pull request was merged that somebody (an account, and whether it may decide) has merged at
/// `head`; `viewer` is the account of our token.
#[must_use]
pub fn merged_because(
    state: &State,
    key: &str,
    head: &str,
    (by, permitted): (&Account, bool),
    viewer: u64,
) -> String {
    match state.item(key).map(|i| &i.phase) {
        // By us, or by a merge queue's bot. At another commit it was the person whose token we use.
        Some(Phase::Approved {
            because, commit, ..
        }) if commit == head && (viewer == by.id || by.bot) => because.clone(),
        _ if key == LAST => format!("merged by {}", by.login),
        _ if permitted => format!("merged by hand by {}", by.login),
        _ => format!("merged by {}, who may not decide", by.login),
    }
}
