//! What the loop does about orders and builds: start, publish, free, bring forward, look at the gate.

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;

use super::home;
use super::orders::{self, Orders, plain};
use super::workers::{self, Job};
use super::{Audience, Begun, CLAIM_SLACK, Driver, gate};
use crate::attempt::folder::{self, Folder};
use crate::effect;
use crate::git::NewCommit;
use crate::ledger::{Files, Snapshot, Trees, to_json};
use crate::publish::{self, Publisher};
use crate::run::order::{Order, OrderKind};
use crate::run::state::{Claim, Phase, State};
use crate::run::transition;
use crate::run::{BASE, GATE};

/// The tree that an attempt starts from, in its folder of the ledger's tree.
const START: &str = "start";
/// The merge that an attempt checks, as git stores a commit.
const MERGE: &str = "merge";

impl Driver<'_> {
    pub(super) fn build_base(
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

    pub(super) fn publish(
        &mut self,
        snapshot: &Snapshot,
        key: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let state = &snapshot.state;
        if key == BASE || key == GATE {
            return self.publish_build(snapshot, audience);
        }
        let item = state.item(key).context("the item to publish is gone")?;
        let Phase::Running { claim } = &item.phase else {
            return Ok(());
        };
        let Some((begun, result, folder)) =
            self.stored_result(state, &item.branch_leaf(), claim)?
        else {
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
        self.moved(&snapshot.state, &after.state);
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
    pub(super) fn free(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        key: &str,
        why: &str,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let item = snapshot.state.item(key);
        // On another machine there is nothing of it to be found here.
        let here = |claim: &&Claim| claim.holder.workflow.is_none();
        let running = item.and_then(|i| match &i.phase {
            Phase::Running { claim } => Some((i, claim)).filter(|(_, c)| here(c)),
            _ => None,
        });
        if let Some((item, claim)) = running {
            let folder = self.folder(&state, item, claim.attempt)?;
            crate::attempt::process::kill_carriers(
                "PERTASK_OUTPUT_DIR",
                folder.output().as_os_str(),
            );
            let begun: Option<Begun> = folder.read(folder::ORDER)?;
            // Asked but not answered: before the prompt was handed over, the workspace may still hold
            // what belongs to another task.
            let unanswered =
                folder.path("prompt.md").exists() && !folder.path(folder::ANSWERED).exists();
            if let Some(begun) = begun.filter(|b| unanswered && b.order.agent.is_some()) {
                let worktree = self.workspace(&state, begun.slot)?;
                let publisher = Publisher {
                    repo: self.repo,
                    ledger: &self.ledger,
                    plan: &self.plan,
                    config: &self.config,
                    by: &self.by,
                };
                let left = crate::attempt::unfinished(self.repo, &worktree, &folder, &begun.order);
                if let Ok((tree, leaks)) = left
                    && let Some(kept) = publisher.keep_partial(&state, item, &begun.order, &tree)?
                {
                    audience.said(&format!("What it had written so far is kept on {kept}"));
                    for leak in leaks {
                        audience.said(&leak);
                    }
                }
            }
        }
        let said = transition::freed(&mut state, key, why)?;
        self.record(snapshot, state, &said, Vec::new(), audience)
    }

    pub(super) fn forward(
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
        let mut added = (Vec::new(), Vec::new());
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
            let dir = publish::attempt_dir(item, item.next_attempt());
            added = (
                vec![(format!("{dir}/{MERGE}"), self.repo.raw_commit(&commit)?)],
                vec![(format!("{dir}/{START}"), tree)],
            );
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
        self.record_with(snapshot, state, &said, added, audience)
    }

    /// The files and trees that an order is recorded with: the tree it starts from is at no branch
    /// when it was put together for it, and whoever carries it out may be on another machine.
    pub(super) fn with_order(&self, dir: &str, order: &Order) -> anyhow::Result<(Files, Trees)> {
        let files = vec![(format!("{dir}/order.json"), to_json(order))];
        let mut trees = Vec::new();
        if order.start_tree != self.repo.tree_of(&order.base)? {
            trees.push((format!("{dir}/{START}"), order.start_tree.clone()));
        }
        Ok((files, trees))
    }

    /// Takes in the merges that are still to be checked, if they were made on another machine.
    pub(super) fn take_merges(&self, snapshot: &Snapshot) -> anyhow::Result<()> {
        for item in &snapshot.state.items {
            let commit = item.pending.as_ref().and_then(|p| p.commit.as_deref());
            let Some(commit) = commit.filter(|c| !self.repo.has(c)) else {
                continue;
            };
            let dir = publish::attempt_dir(item, item.next_attempt());
            let file = self
                .ledger
                .file(&snapshot.commit, &format!("{dir}/{MERGE}"))?;
            if let Some(bytes) = file {
                self.repo.put_commit(commit, &bytes)?;
            }
        }
        Ok(())
    }

    pub(super) fn start(
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
        if earlier.is_some_and(|b| !b.order.asks_the_same(&order)) {
            folder = aside(&folder)?;
        }
        let slot = self.workers.free_slot();
        let limit = time_limit(&order);
        let now = Timestamp::now();
        let claim = Claim {
            id: claim_id(&state, key, now),
            attempt,
            kind: order.kind,
            holder: home::myself(),
            since: now,
            deadline: now + CLAIM_SLACK + Duration::from_secs(limit),
            order: None,
            may_cost_cents: order.may_cost_cents(),
        };
        let added = self.with_order(&publish::attempt_dir(item, attempt), &order)?;
        let said = transition::claimed(&mut state, key, claim.clone())?;
        let name = transition::name_of(&state, item);
        self.record_with(snapshot, state, &said, added, audience)?;
        let begun = Begun {
            order: order.clone(),
            claim: claim.id.clone(),
            slot,
        };
        effect::perform("note the order", || folder.write(folder::ORDER, &begun))?;
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

    pub(super) fn gate(
        &mut self,
        snapshot: &Snapshot,
        mut state: State,
        audience: &mut dyn Audience,
    ) -> anyhow::Result<()> {
        let worktree = self.workspace(&state, 0)?;
        let head = state.run_branch.head.clone();
        let ran = gate::commands(&self.plan, &mut |doing, commands| {
            audience.said(doing);
            let (order, cancel) = (self.build_order(commands), &self.options.cancel);
            workers::build(self.repo, &worktree, &head, &order, cancel, audience)
        })?;
        if self.options.cancel.is_cancelled() {
            return Ok(());
        }
        let look = gate::Look {
            repo: self.repo,
            ledger: &self.ledger,
            snapshot,
            plan: &self.plan,
            config: &self.config,
        };
        let items = gate::items(&look, Some(&ran))?;
        self.gate_seen = Some(head);
        let said = transition::gate_seen(&mut state, items, Timestamp::now());
        self.record(snapshot, state, &said, Vec::new(), audience)
    }
}

/// How long an order may take at most by its own limits, in seconds.
pub(super) fn time_limit(order: &Order) -> u64 {
    order.agent.as_ref().map_or(0, |a| a.config.timeout_s)
        + u64::try_from(order.checks.len()).unwrap_or(0) * order.check_timeout_s
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

pub(super) fn claim_id(state: &State, key: &str, now: Timestamp) -> String {
    let seed = format!(
        "{} {key} {now} {} {:?}",
        state.run,
        std::process::id(),
        std::time::Instant::now()
    );
    orders::sha256(seed.as_bytes()).chars().take(16).collect()
}
