//! Orders and what is published of results. Follows `src/driver/orders.rs` and `src/publish/mod.rs`.

use std::rc::Rc;

use git_pertask::plan::{Config, Plan, Sandbox, Task};
use git_pertask::publish::{judged_files, log_for, log_path, report_for, report_path};
use git_pertask::run::order::{
    AttemptResult, CheckCommand, CheckKind, Design, FileRules, Order, OrderAgent, OrderKind,
    SCHEMA, Scope, ScopeFile, Verdict, Waived,
};
use git_pertask::run::state::{Item, State};
use git_pertask::run::transition::{self, Facts, Published};
use git_pertask::run::{P0, REPAIR, budget, is_extra};

use super::store::{Record, Snapshot, Step};
use super::world::{Fail, Fault, Sim, World};

/// As `Orders::tasks`.
fn tasks<'p>(state: &State, plan: &'p Plan, item: &Item) -> Vec<&'p Task> {
    let merged = |id: &str| state.item(id).is_some_and(Item::was_merged);
    if item.key == P0 {
        let compliance = &state.compliance;
        let files: Vec<&str> = compliance
            .open_findings()
            .map(|f| f.file.as_str())
            .chain(compliance.open_notes().map(|n| n.file.as_str()))
            .collect();
        let whole = files.is_empty() || files.contains(&"");
        return plan
            .tasks
            .iter()
            .filter(|t| merged(&t.id) && (whole || files.contains(&t.file.as_str())))
            .collect();
    }
    if item.key == REPAIR {
        return plan.tasks.iter().filter(|t| merged(&t.id)).collect();
    }
    plan.tasks
        .iter()
        .filter(|t| item.tasks.iter().any(|r| r.id == t.id))
        .collect()
}

/// As `Orders::joins`.
fn joins(item: &Item, kind: OrderKind) -> bool {
    let joining = |kind| matches!(kind, OrderKind::Conflict | OrderKind::Resumed);
    let last = item.attempts.last();
    let goes_on = matches!(kind, OrderKind::Retry | OrderKind::Revision)
        && item.pending.as_ref().is_some_and(|p| !p.fresh)
        && last.is_some_and(|a| a.kept.is_some() && a.round == item.round && joining(a.kind));
    joining(kind) || goes_on
}

impl World {
    /// As `Orders::next`.
    pub fn order(&mut self, state: &State, plan: &Plan, config: &Config, item: &Item) -> Order {
        let tasks = tasks(state, plan, item);
        let (base, origin, start_tree, kind) = self.start_of(state, item);
        let asks = !matches!(kind, OrderKind::Forward | OrderKind::Person);
        let agent = asks.then(|| {
            // `Orders::asked`: what is left to the task and the run limits the attempt, too.
            let left = budget::left(state, item, &config.limits);
            let mut agent = config.agents[&config.agent].clone();
            let own = agent.timeout_s;
            agent.timeout_s = left.time_s.map_or(own, |s| s.min(own));
            agent.max_cost_usd = budget::least(agent.max_cost_usd, left.cost_usd);
            OrderAgent {
                name: config.agent.clone(),
                config: agent,
            }
        });
        let prompt = if asks {
            // What the tasks before it made, as `prompts::prior` has it.
            let settled = state.items.iter().filter(|i| i.key != item.key);
            let prior: Vec<String> = settled
                .filter_map(Item::as_merged)
                .flat_map(|i| i.tasks.into_iter().map(|t| t.file))
                .collect();
            let pending = item.pending.as_ref();
            let told = pending.map(|p| format!("{} {}", p.feedback, p.errors));
            format!(
                "{} attempt {} of round {}\nthere: {}\n{}",
                item.key,
                item.next_attempt(),
                item.round,
                prior.join(" "),
                told.unwrap_or_default()
            )
        } else {
            String::new()
        };
        let prompt_sha256 = if prompt.is_empty() {
            String::new()
        } else {
            git_pertask::driver::orders::sha256(prompt.as_bytes())
        };
        Order {
            schema: SCHEMA,
            run: state.run.clone(),
            item: item.key.clone(),
            tasks: item.tasks.iter().map(|t| t.id.clone()).collect(),
            round: item.round,
            attempt: item.next_attempt(),
            kind,
            base,
            origin,
            start_tree,
            branch: format!("pertask/{}/{}", state.run, item.branch_leaf()),
            prompt,
            prompt_sha256,
            agent,
            scope: Scope {
                files: tasks
                    .iter()
                    .map(|t| ScopeFile {
                        task: t.id.clone(),
                        path: t.file.clone(),
                        max_lines: None,
                    })
                    .collect(),
                allow: Vec::new(),
                requires: Vec::new(),
            },
            checks: plan
                .build
                .iter()
                .map(|c| CheckCommand {
                    kind: CheckKind::Build,
                    command: c.clone(),
                })
                .collect(),
            directory: String::new(),
            check_timeout_s: plan.check_timeout_s,
            rules: if is_extra(&item.key) {
                judged_files(state, plan)
            } else {
                let rules = |t: &&Task| FileRules {
                    path: t.file.clone(),
                    rules: t.rules.clone(),
                };
                tasks.iter().map(rules).collect()
            },
            rule_files: Vec::new(),
            waived: state
                .compliance
                .exceptions
                .iter()
                .map(|e| Waived {
                    rule: e.rule.clone(),
                    file: e.file.clone(),
                    message: e.message.clone(),
                })
                .collect(),
            design: Design::default(),
            sparse: Vec::new(),
            sandbox: Sandbox::Off,
            claim: None,
        }
    }

    /// As `Orders::start`: base, origin, tree, kind.
    fn start_of(&mut self, state: &State, item: &Item) -> (String, String, String, OrderKind) {
        let run_head = state.run_branch.head.clone();
        let pending = item.pending.as_ref();
        let kind = pending.map_or(OrderKind::First, |p| p.kind);
        let commit = pending.and_then(|p| p.commit.clone());
        let head = item.branch.as_ref().map(|b| b.head.clone());
        match (kind, &head, commit) {
            (OrderKind::Forward, Some(_), Some(merge)) => {
                (run_head.clone(), run_head, self.git.tree_of(&merge), kind)
            }
            (OrderKind::Person, _, Some(commit)) => {
                let origin = self.git.base_of(&run_head, &commit);
                let tree = self.git.tree_of(&commit);
                (commit, origin, tree, kind)
            }
            (_, Some(head), _) if joins(item, kind) => {
                let tree = if let Some(tree) = self.left_over(state, item, &run_head) {
                    tree
                } else {
                    let (tree, _) = self.git.merge(head, &run_head);
                    self.with_log_of(state, &run_head, &tree)
                };
                (run_head.clone(), run_head, tree, kind)
            }
            _ => {
                let base = head.unwrap_or_else(|| run_head.clone());
                let fresh = pending.is_some_and(|p| p.fresh);
                let tree = if fresh {
                    self.git.tree_of(&base)
                } else {
                    self.left_over(state, item, &base)
                        .unwrap_or_else(|| self.git.tree_of(&base))
                };
                let origin = self.git.base_of(&run_head, &base);
                (base, origin, tree, kind)
            }
        }
    }

    /// As `Orders::left_over`.
    fn left_over(&mut self, state: &State, item: &Item, base: &str) -> Option<String> {
        let last = item.attempts.last();
        let last = last.filter(|a| a.kept.is_some() && a.round == item.round)?;
        let commit = last.commit.clone()?;
        if self.git.get(&commit).parents.iter().any(|p| p == base) {
            let tree = self.git.tree_of(&commit);
            return Some(self.with_log_of(state, base, &tree));
        }
        let (merged, conflicts) = self.git.merge(base, &commit);
        if conflicts.iter().any(|path| *path != log_path(state)) {
            return None;
        }
        Some(self.with_log_of(state, base, &merged))
    }

    /// As `Orders::with_log_of`.
    fn with_log_of(&mut self, state: &State, commit: &str, tree: &str) -> String {
        let log = log_path(state);
        let word = self.git.tree(&self.git.tree_of(commit)).get(&log).cloned();
        self.git.with(tree, &[(&log, word.as_deref())])
    }

    /// As `Publisher::put_into_git`.
    fn put_into_git(
        &mut self,
        plan: &Plan,
        (before, sketch): (&State, &State),
        item: &Item,
        order: &Order,
        result: &AttemptResult,
        by: &str,
    ) -> Published {
        let Some(tree) = &result.tree else {
            return Published::default();
        };
        let passed = matches!(result.verdict, Verdict::Passed { .. });
        if !passed && order.kind == OrderKind::Person {
            return Published {
                commit: Some(order.base.clone()),
                ..Published::default()
            };
        }
        if !passed && *tree == self.git.tree_of(&order.base) {
            return Published::default();
        }
        let log = log_for(sketch, &item.key);
        let log = self.git.text(&String::from_utf8_lossy(&log));
        let mut with_log = self.git.with(tree, &[(&log_path(sketch), Some(&log))]);
        if item.key == P0 && passed {
            let mut merged = sketch.clone();
            transition::put_right(&mut merged);
            let text = report_for(&merged, plan);
            let text = self.git.text(&String::from_utf8_lossy(&text));
            with_log = self
                .git
                .with(&with_log, &[(&report_path(sketch), Some(&text))]);
        }
        let head = item.branch.as_ref().map(|b| b.head.clone());
        if order.kind == OrderKind::Forward && passed {
            let commit = item.pending.as_ref().and_then(|p| p.commit.clone());
            let carries_approval = self.carries_approval(before, item, commit.as_deref());
            return Published {
                commit,
                kept: None,
                carries_approval,
                made: None,
            };
        }
        let parents = match head {
            Some(head) if !self.git.is_in(&head, &order.base) => vec![head, order.base.clone()],
            _ => vec![order.base.clone()],
        };
        let commit = self.git.commit(&with_log, &parents, by, result.finished);
        let kept = (!passed).then(|| {
            format!(
                "pertask/{}/kept/{}-{}",
                before.run,
                item.branch_leaf(),
                result.attempt
            )
        });
        Published {
            commit: Some(commit),
            kept,
            carries_approval: false,
            made: (order.kind == OrderKind::Person && self.git.knows(&order.base))
                .then(|| self.git.get(&order.base).at),
        }
    }

    /// As `Publisher::carries_approval`.
    fn carries_approval(&self, state: &State, item: &Item, merge: Option<&str>) -> bool {
        let (Some(merge), Some(branch)) = (merge, &item.branch) else {
            return false;
        };
        let [first, second] = self.git.get(merge).parents.as_slice() else {
            return false;
        };
        if *first != branch.head {
            return false;
        }
        let origin = self.git.base_of(first, second);
        let log = log_path(state);
        self.git.patch(&origin, first, &log) == self.git.patch(second, merge, &log)
    }
}

impl Sim {
    /// As `Publisher::attempt`.
    pub async fn publish_attempt(
        &self,
        machine: usize,
        from: &Snapshot,
        order: &Order,
        result: &AttemptResult,
        by: &str,
    ) -> Result<Snapshot, Fail> {
        let (plan, config) = (Rc::clone(&from.entry.plan), Rc::clone(&from.entry.config));
        let before = from.state();
        let item = before.item(&result.item);
        let item = item.ok_or_else(|| Fail::Not(format!("there is no {}", result.item)))?;
        let name = match (&order.agent, order.kind) {
            (Some(agent), _) => agent.name.clone(),
            (None, OrderKind::Person) => {
                let commit = item.pending.as_ref().and_then(|p| p.commit.clone());
                commit
                    .map(|c| self.w().git.get(&c).by.clone())
                    .unwrap_or_default()
            }
            (None, _) => String::new(),
        };
        let facts = |published| Facts {
            kind: order.kind,
            by: &name,
            prompt_sha256: &order.prompt_sha256,
            published,
            branch: &order.branch,
            limits: &config.limits,
        };
        let mut sketch = before.clone();
        transition::finished(&mut sketch, result, &facts(Published::default()))?;
        let mut published = {
            let mut w = self.w();
            w.put_into_git(&plan, (before, &sketch), item, order, result, by)
        };
        if let (Some(kept), Some(commit)) = (&mut published.kept, &published.commit)
            && self.w().is_local()
        {
            *kept = self.keep(machine, kept, commit, &log_path(&sketch)).await?;
        }
        let mut state = before.clone();
        let said = transition::finished(&mut state, result, &facts(published))?;
        let leaf = item.leaf_of_attempt(result.attempt);
        let record = Record {
            order: None,
            result: Some(Rc::new(result.clone())),
        };
        let step = Step {
            said,
            records: vec![((leaf, result.attempt), record)],
            pinned: None,
        };
        self.append(machine, Some(from), state, step, result.finished)
            .await
    }

    /// As `Publisher::keep`.
    pub async fn keep(
        &self,
        machine: usize,
        branch: &str,
        commit: &str,
        log: &str,
    ) -> Result<String, Fail> {
        match self.move_branch(machine, branch, None, commit).await {
            Err(Fail::Raced) => {}
            other => return other.map(|()| branch.to_owned()),
        }
        let at = self.w().branch(machine, branch);
        let same = at.as_ref().is_some_and(|at| {
            let w = self.w();
            let (one, other) = (w.git.get(at), w.git.get(commit));
            let changes = w.git.changes(&one.tree, &other.tree);
            one.parents == other.parents && changes.iter().all(|(piece, _, _)| piece == log)
        });
        match at {
            Some(at) if at == commit => Ok(branch.to_owned()),
            Some(at) if same => {
                self.move_branch(machine, branch, Some(&at), commit).await?;
                Ok(branch.to_owned())
            }
            _ => {
                let name = format!("{branch}-{}", transition::short(commit));
                Box::pin(self.keep(machine, &name, commit, log)).await
            }
        }
    }

    /// As `Publisher::keep_partial`.
    pub async fn keep_partial(
        &self,
        machine: usize,
        (state, item): (&State, &Item),
        order: &Order,
        tree: &str,
        by: &str,
    ) -> Result<(), Fail> {
        let commit = {
            let mut w = self.w();
            if tree == order.start_tree || tree == w.git.tree_of(&order.base) {
                return Ok(());
            }
            let at = w.git.get(&order.base).at;
            w.git
                .commit(tree, std::slice::from_ref(&order.base), by, at)
        };
        let branch = format!(
            "pertask/{}/kept/{}-{}-unfinished-{}",
            state.run,
            item.branch_leaf(),
            order.attempt,
            transition::short(&commit)
        );
        let log = log_path(state);
        self.keep(machine, &branch, &commit, &log).await.map(drop)
    }
}

/// Commands alone, on a commit.
pub fn outcomes(
    w: &mut World,
    commit: &str,
    commands: &[Vec<String>],
) -> Vec<git_pertask::run::order::CheckOutcome> {
    let tree = w.git.tree_of(commit);
    let good = super::content::broken(&w.git.tree(&tree), &w.setup.plan).is_empty();
    let mut found = Vec::new();
    for command in commands {
        let passed = good && !w.fault(Fault::Flake);
        found.push(super::content::check(
            CheckKind::Build,
            &command.join(" "),
            passed,
        ));
        if !passed {
            break;
        }
    }
    found
}
