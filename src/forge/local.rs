//! The local forge: people decide in the terminal, merges are made in the repository.

use jiff::Timestamp;

use super::{Asked, Forge, Merging, Page, Reply, Target};
use crate::git::remote::Remote;
use crate::git::{NewCommit, Repo};
use crate::plan::{MergeMethod, Plan};
use crate::report;
use crate::run::seen::{Seen, SeenPull, Voice};
use crate::run::state::{Item, Person, State, Workflow};

/// The local forge.
pub struct Local<'r> {
    repo: &'r Repo,
}

impl<'r> Local<'r> {
    /// The local forge of a repository.
    #[must_use]
    pub fn new(repo: &'r Repo) -> Self {
        Self { repo }
    }

    fn squash(
        &self,
        plan: &Plan,
        state: &State,
        item: &Item,
        head: &str,
        by: &Person,
    ) -> anyhow::Result<String> {
        let message = squash_text(plan, state, item);
        Ok(self.repo.commit(&NewCommit {
            tree: &self.repo.tree_of(head)?,
            parents: std::slice::from_ref(&state.run_branch.head),
            message: &message,
            author: by,
            committer: by,
            time: Timestamp::now(),
        })?)
    }

    /// The task's own commits on top of the run branch; `None` when that does not give the tree that
    /// was approved (because the run branch was merged in on the way).
    fn rebase(&self, state: &State, head: &str, by: &Person) -> anyhow::Result<Option<String>> {
        let onto = &state.run_branch.head;
        let mut at = onto.clone();
        for commit in self.repo.first_parents(onto, head)? {
            let info = self.repo.commit_info(&commit)?;
            let [parent] = info.parents.as_slice() else {
                return Ok(None);
            };
            if *parent == at {
                at = commit;
                continue;
            }
            if self.repo.tree_of(parent)? != self.repo.tree_of(&at)? {
                return Ok(None);
            }
            at = self.repo.commit(&NewCommit {
                tree: &self.repo.tree_of(&commit)?,
                parents: std::slice::from_ref(&at),
                message: &info.message,
                author: &info.author,
                committer: by,
                time: info.time,
            })?;
        }
        Ok((self.repo.tree_of(&at)? == self.repo.tree_of(head)?).then_some(at))
    }
}

impl Forge for Local<'_> {
    fn remote(&self) -> Option<&Remote> {
        None
    }

    fn web(&self) -> Option<String> {
        None
    }

    fn look(&mut self, _: &[Target]) -> anyhow::Result<Option<Seen>> {
        // Who decides in the terminal writes the ledger at once.
        Ok(None)
    }

    fn changed(&mut self, _: &Seen) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn is_over(&mut self, _: &Workflow) -> anyhow::Result<bool> {
        Ok(false)
    }

    fn merge(
        &mut self,
        plan: &Plan,
        state: &State,
        item: &Item,
        by: &Person,
        _: Option<&SeenPull>,
    ) -> anyhow::Result<Merging> {
        let head = item.branch.as_ref().map_or("", |b| b.head.as_str());
        let commit = match state.merge {
            MergeMethod::Squash => self.squash(plan, state, item, head, by)?,
            MergeMethod::Merge => self.repo.commit(&NewCommit {
                tree: &self.repo.tree_of(head)?,
                parents: &[state.run_branch.head.clone(), head.to_owned()],
                message: &squash_text(plan, state, item),
                author: by,
                committer: by,
                time: Timestamp::now(),
            })?,
            MergeMethod::Rebase => match self.rebase(state, head, by)? {
                Some(commit) => commit,
                None => self.squash(plan, state, item, head, by)?,
            },
        };
        Ok(Merging::Done(commit))
    }

    fn differs(&self, _: &Page, _: Option<&SeenPull>) -> bool {
        false
    }

    fn show(
        &mut self,
        _: &Page,
        pull: Option<&SeenPull>,
    ) -> anyhow::Result<(SeenPull, Vec<String>)> {
        Ok((pull.cloned().unwrap_or_default(), Vec::new()))
    }

    fn close(&mut self, _: &SeenPull) -> anyhow::Result<()> {
        Ok(())
    }

    fn answer(
        &mut self,
        _: &SeenPull,
        _: &Voice,
        _: bool,
        _: Option<(String, String)>,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    fn asked_for(&mut self, _: &SeenPull, _: &[Voice]) -> anyhow::Result<Asked> {
        Ok(Asked::default())
    }

    fn reply(&mut self, _: &SeenPull, _: &[Reply]) -> anyhow::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn say(&mut self, _: &SeenPull, _: &str) -> anyhow::Result<()> {
        Ok(())
    }
}

fn squash_text(plan: &Plan, state: &State, item: &Item) -> String {
    report::commit::squash_message(state, item, &plan.purpose_of(&item.key))
}
