//! From result to effects: the commit with its log entry, the ledger's record, the kept work.
//!
//! Order of effects, so that a crash anywhere leaves either nothing or something that is found
//! again: objects first; then the branch that keeps failed work, whose name is the attempt's own;
//! then the ledger, which is the commit point; the task branch last, by `decide`'s repair. Done
//! again from the same result, every object has the same id.

use std::path::Path;

use crate::attempt::checks::scope;
use crate::attempt::folder::Folder;
use crate::git::{GitError, NewCommit, Repo};
use crate::ledger::{Files, Ledger, LedgerError, Snapshot, to_json};
use crate::plan::{Config, Plan};
use crate::report;
use crate::run::P0;
use crate::run::order::{AttemptResult, FileRules, Order, OrderKind, Verdict};
use crate::run::state::{Item, Person, State};
use crate::run::transition::{self, Facts, NotPossible, Published};
use crate::secrets::Secrets;

/// What publishing works with.
pub struct Publisher<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The ledger.
    pub ledger: &'a Ledger<'a>,
    /// The pinned plan.
    pub plan: &'a Plan,
    /// The pinned configuration.
    pub config: &'a Config,
    /// Who commits.
    pub by: &'a Person,
}

/// Path of the run's log in the tree.
#[must_use]
pub fn log_path(state: &State) -> String {
    if state.number > 1 {
        format!(
            ".pertask/{}/implementation-log-{}.md",
            state.plan, state.number
        )
    } else {
        format!(".pertask/{}/implementation-log.md", state.plan)
    }
}

/// Whether a path is a log of this plan's, of whichever run.
#[must_use]
pub fn is_log(state: &State, path: &str) -> bool {
    path.strip_prefix(&format!(".pertask/{}/implementation-log", state.plan))
        .and_then(|rest| rest.strip_suffix(".md"))
        .is_some_and(|number| number.is_empty() || number.starts_with('-'))
}

/// Path of the report of the P0 validation in the tree.
#[must_use]
pub fn report_path(state: &State) -> String {
    if state.number > 1 {
        format!(
            ".pertask/{}/p0-compliance-review-{}.md",
            state.plan, state.number
        )
    } else {
        format!(".pertask/{}/p0-compliance-review.md", state.plan)
    }
}

/// The files of the tasks in the run branch, with the rules each is asked about.
#[must_use]
pub fn judged_files(state: &State, plan: &Plan) -> Vec<FileRules> {
    let merged = |id: &str| state.item(id).is_some_and(Item::was_merged);
    let tasks = plan.tasks.iter().filter(|t| merged(&t.id));
    tasks
        .map(|t| FileRules {
            path: t.file.clone(),
            rules: t.rules.clone(),
        })
        .collect()
}

/// The files that our own commit on top of a person's may change: the log, and the report where it is
/// the P0 validation's.
#[must_use]
pub fn own_files(state: &State, key: &str) -> Vec<String> {
    let report = (key == P0).then(|| report_path(state));
    std::iter::once(log_path(state)).chain(report).collect()
}

/// The report of the P0 validation as the state has it.
#[must_use]
pub fn report_for(state: &State, plan: &Plan) -> Vec<u8> {
    report::compliance::render(state, &judged_files(state, plan)).into_bytes()
}

/// Folder of an attempt in the ledger's tree.
#[must_use]
pub fn attempt_dir(item: &Item, attempt: u32) -> String {
    format!("attempts/{}/{attempt}", item.leaf_of_attempt(attempt))
}

/// Folder of a build that was handed out, in the ledger's tree.
#[must_use]
pub fn build_dir(key: &str, number: u32) -> String {
    format!("attempts/{key}/{number}")
}

/// The log as it belongs on a commit that holds the merged items and `present`.
#[must_use]
pub fn log_for(state: &State, present: &str) -> Vec<u8> {
    let mut shown = state.clone();
    // A task that is open again is on the run branch as it was merged, and so it is in the log.
    shown.items = state
        .items
        .iter()
        .filter_map(|i| {
            if i.key == present {
                Some(i.clone())
            } else {
                i.as_merged()
            }
        })
        .collect();
    let keys: Vec<&str> = shown.items.iter().map(|i| i.key.as_str()).collect();
    report::log::render(&shown, &keys).into_bytes()
}

impl Publisher<'_> {
    /// Publishes a result and returns the new state of the ledger.
    ///
    /// # Errors
    /// [`NotPossible`] when the result is not of the current claim; a lost race; git.
    pub fn attempt(
        &self,
        from: &Snapshot,
        order: &Order,
        result: &AttemptResult,
        folder: &Folder,
    ) -> anyhow::Result<Snapshot> {
        let item = from
            .state
            .item(&result.item)
            .ok_or_else(|| NotPossible(format!("there is no task named {}", result.item)))?;
        let names: Vec<String> = self
            .config
            .agents
            .values()
            .flat_map(|a| a.env.clone())
            .collect();
        let secrets = Secrets::of_process(&names);
        let result = &secrets.cleaned(result)?;
        let by = match (&order.agent, order.kind) {
            (Some(agent), _) => agent.name.clone(),
            (None, OrderKind::Person) => {
                let commit = item.pending.as_ref().and_then(|p| p.commit.clone());
                let author = commit
                    .map(|c| self.repo.commit_info(&c))
                    .transpose()?
                    .map(|i| i.author.name);
                author.unwrap_or_default()
            }
            (None, _) => String::new(),
        };
        let facts = |published| Facts {
            kind: order.kind,
            by: &by,
            prompt_sha256: &order.prompt_sha256,
            published,
            branch: &order.branch,
            limits: &self.config.limits,
        };
        // Once without commits, to know what the log will say; then with them.
        let mut sketch = from.state.clone();
        transition::finished(&mut sketch, result, &facts(Published::default()))?;
        let mut published = self.put_into_git(&from.state, &sketch, item, order, result)?;
        // At a remote it moves together with the ledger.
        if let (Some(kept), Some(commit)) = (&mut published.kept, &published.commit)
            && self.ledger.remote().is_none()
        {
            *kept = self.keep(kept, commit, &log_path(&sketch))?;
        }
        if crate::plant::is("branch-before-ledger")
            && self.ledger.remote().is_none()
            && let (None, Some(commit)) = (&published.kept, &published.commit)
        {
            let from = self.ledger.branch(&order.branch)?;
            self.ledger
                .move_branch(&order.branch, from.as_deref(), commit, "planted")?;
        }
        let mut state = from.state.clone();
        let said = transition::finished(&mut state, result, &facts(published))?;
        let files = attempt_files(self.repo, item, order, result, folder, &secrets);
        Ok(self
            .ledger
            .append(from, state, &said, files, self.by, result.finished)?)
    }

    /// Points a branch that keeps work at its commit. It may be there from before a crash, with a log
    /// that was rendered when others stood elsewhere. Returns its name, which is another one where
    /// somebody has made something of that branch.
    fn keep(&self, branch: &str, commit: &str, log: &str) -> anyhow::Result<String> {
        let why = "keep the work of an attempt";
        match self.ledger.move_branch(branch, None, commit, why) {
            Err(LedgerError::Git(GitError::Raced { .. })) => {}
            other => return Ok(other.map(|()| branch.to_owned())?),
        }
        match self.ledger.branch(branch)? {
            Some(at) if at == commit => {}
            Some(at) if self.is_same_work(&at, commit, log)? => {
                self.ledger.move_branch(branch, Some(&at), commit, why)?;
            }
            _ => {
                let name = format!("{branch}-{}", transition::short(commit));
                return self.keep(&name, commit, log);
            }
        }
        Ok(branch.to_owned())
    }

    /// Whether two commits are the same work on the same commit, but for the log.
    fn is_same_work(&self, one: &str, other: &str, log: &str) -> anyhow::Result<bool> {
        let parents = |commit: &str| self.repo.commit_info(commit).map(|i| i.parents);
        if parents(one)? != parents(other)? {
            return Ok(false);
        }
        let changes = self.repo.changes(one, &self.repo.tree_of(other)?)?;
        Ok(changes.iter().all(|c| c.path == log))
    }

    fn put_into_git(
        &self,
        before: &State,
        sketch: &State,
        item: &Item,
        order: &Order,
        result: &AttemptResult,
    ) -> anyhow::Result<Published> {
        let Some(tree) = &result.tree else {
            return Ok(Published::default());
        };
        let passed = matches!(result.verdict, Verdict::Passed { .. });
        if !passed && order.kind == OrderKind::Person {
            return Ok(Published {
                commit: Some(order.base.clone()),
                ..Published::default()
            });
        }
        if !passed && *tree == self.repo.tree_of(&order.base)? {
            return Ok(Published::default());
        }
        let mut ours = vec![(log_path(sketch), Some(log_for(sketch, &item.key)))];
        if item.key == P0 && passed {
            // As it will be once this is merged: the rules hold, and what was noted was heard.
            let mut merged = sketch.clone();
            transition::put_right(&mut merged);
            ours.push((report_path(sketch), Some(report_for(&merged, self.plan))));
        }
        let tree = if passed {
            tree.clone()
        } else {
            self.that_can_be_pushed(order, tree)?
        };
        let with_log = self.repo.with_files(Some(&tree), &ours)?;
        let head = item.branch.as_ref().map(|b| b.head.clone());
        if order.kind == OrderKind::Forward && passed {
            // The merge commit that was checked has the log already.
            let commit = item.pending.as_ref().and_then(|p| p.commit.clone());
            let carries = self.carries_approval(before, item, commit.as_deref())?;
            return Ok(Published {
                commit,
                kept: None,
                carries_approval: carries,
                made: None,
            });
        }
        let parents = match head {
            // It started from the branch joined with the run branch, and joins them.
            Some(head) if !self.contains(&order.base, &head)? => vec![head, order.base.clone()],
            _ => vec![order.base.clone()],
        };
        let new = sketch.item(&item.key).unwrap_or(item);
        let Some(attempt) = new.attempts.last() else {
            return Ok(Published::default());
        };
        let message = if passed {
            report::commit::message(sketch, new, attempt, &self.plan.purpose_of(&item.key))
        } else {
            report::commit::kept_message(sketch, new, attempt)
        };
        let commit = self.repo.commit(&NewCommit {
            tree: &with_log,
            parents: &parents,
            message: &message,
            author: self.by,
            committer: self.by,
            time: result.finished,
        })?;
        let kept = (!passed).then(|| {
            format!(
                "pertask/{}/kept/{}-{}",
                before.run,
                item.branch_leaf(),
                result.attempt
            )
        });
        Ok(Published {
            commit: Some(commit),
            kept,
            carries_approval: false,
            made: match order.kind {
                OrderKind::Person => Some(self.repo.commit_info(&order.base)?.time),
                _ => None,
            },
        })
    }

    /// What failed is kept as it is, but for what no agent may change and what may be in no commit: that
    /// is not pushed for others' programs to run on, nor handed to the next agent, and workflow files
    /// GitHub takes from no token of Actions
    /// (<https://docs.github.com/en/actions/reference/security/secure-use>).
    fn that_can_be_pushed(&self, order: &Order, tree: &str) -> anyhow::Result<String> {
        if self.ledger.remote().is_none() {
            return Ok(tree.to_owned());
        }
        let mut back = Vec::new();
        for change in self.repo.changes(&order.base, tree)? {
            let asked = order.scope.files.iter().any(|f| f.path == change.path);
            if !asked && scope::is_protected(&change.path)
                || scope::impossible(self.repo, &change)?.is_some()
            {
                back.push((change.path, change.before.map(|b| (b.mode, b.oid))));
            }
        }
        Ok(self.repo.with_entries(Some(tree), &back)?)
    }

    fn contains(&self, commit: &str, ancestor: &str) -> anyhow::Result<bool> {
        Ok(commit == ancestor || self.repo.is_ancestor(ancestor, commit)?)
    }

    /// Whether the approval of the branch's present head holds for a merge of the run branch into
    /// it: the head is its first parent, and the task's own difference, the log apart, is the same.
    fn carries_approval(
        &self,
        state: &State,
        item: &Item,
        merge: Option<&str>,
    ) -> anyhow::Result<bool> {
        let (Some(merge), Some(branch)) = (merge, &item.branch) else {
            return Ok(false);
        };
        let parents = self.repo.commit_info(merge)?.parents;
        let [first, second] = parents.as_slice() else {
            return Ok(false);
        };
        if *first != branch.head {
            return Ok(false);
        }
        let origin = self.repo.merge_base(first, second)?;
        let log = log_path(state);
        Ok(self.repo.patch_id(&origin, first, &log)? == self.repo.patch_id(second, merge, &log)?)
    }

    /// Keeps what an attempt that was cut off had written so far.
    ///
    /// # Errors
    /// When git fails.
    pub fn keep_partial(
        &self,
        state: &State,
        item: &Item,
        order: &Order,
        tree: &str,
    ) -> anyhow::Result<Option<String>> {
        if *tree == order.start_tree || *tree == self.repo.tree_of(&order.base)? {
            return Ok(None);
        }
        let tree = &*self.that_can_be_pushed(order, tree)?;
        let info = self.repo.commit_info(&order.base)?;
        let message = format!(
            "[{}] Unfinished work of attempt {} on {}\n\nThe attempt was cut off; this is what it had written.\n",
            state.run, order.attempt, item.key
        );
        let commit = self.repo.commit(&NewCommit {
            tree,
            parents: std::slice::from_ref(&order.base),
            message: &message,
            author: self.by,
            committer: self.by,
            time: info.time,
        })?;
        let branch = format!(
            "pertask/{}/kept/{}-{}-unfinished-{}",
            state.run,
            item.branch_leaf(),
            order.attempt,
            transition::short(&commit)
        );
        Ok(Some(self.keep(&branch, &commit, &log_path(state))?))
    }
}

/// What of an attempt goes into the ledger's tree.
fn attempt_files(
    repo: &Repo,
    item: &Item,
    order: &Order,
    result: &AttemptResult,
    folder: &Folder,
    secrets: &Secrets,
) -> Files {
    let dir = attempt_dir(item, result.attempt);
    let mut files = vec![(format!("{dir}/result.json"), to_json(result))];
    if !order.prompt.is_empty() {
        files.push((
            format!("{dir}/prompt.md"),
            order.prompt.clone().into_bytes(),
        ));
    }
    if let Some(handoff) = &result.handoff {
        files.push((format!("{dir}/handoff.json"), to_json(&handoff.raw)));
    }
    if let Some(agent) = &result.agent
        && !agent.output_tail.is_empty()
    {
        files.push((
            format!("{dir}/agent-output.txt"),
            agent.output_tail.clone().into_bytes(),
        ));
    }
    for (check, n) in result.checks.iter().zip(1..) {
        if !check.output.is_empty() {
            files.push((
                format!("{dir}/checks/{n}.txt"),
                check.output.clone().into_bytes(),
            ));
        }
    }
    let (outputs, left_out) = folder.outputs(&|name| repo.may_be_named(name).unwrap_or_default());
    for (path, bytes) in outputs {
        let safe = Path::new(&path)
            .components()
            .all(|c| matches!(c, std::path::Component::Normal(_)));
        if safe {
            let bytes = secrets.redact_bytes(bytes);
            files.push((format!("{dir}/output/{path}"), bytes));
        }
    }
    if left_out > 0 {
        let note = format!(
            "{left_out} files of the agent's output folder were too many or too large to keep\n"
        );
        files.push((format!("{dir}/output-left-out.txt"), note.into_bytes()));
    }
    files
}
