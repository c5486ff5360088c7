//! Makes an order: where an attempt starts, what it is told, what it is judged by.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sha2::Digest as _;

use crate::attempt::checks::scope;
use crate::git::AtCommit;
use crate::git::Repo;
use crate::plan::{Config, Documents, Plan, Task};
use crate::publish;
use crate::rules::user::UserRule;
use crate::run::budget;
use crate::run::order::{
    CheckCommand, CheckKind, Design, FileNames, FileRules, Order, OrderAgent, OrderKind, RuleFile,
    SCHEMA, Scope, ScopeFile, Waived,
};
use crate::run::state::{Item, Pending, State};
use crate::run::{P0, REPAIR, is_extra};

/// What orders are made from.
pub struct Orders<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The pinned plan.
    pub plan: &'a Plan,
    /// The pinned configuration.
    pub config: &'a Config,
    /// The run's state.
    pub state: &'a State,
}

/// Where an attempt starts.
struct Start {
    base: String,
    origin: String,
    tree: String,
    kind: OrderKind,
}

impl Orders<'_> {
    /// The order for the item's next attempt.
    ///
    /// # Errors
    /// When git fails, or a prompt template does.
    pub fn next(&self, item: &Item) -> anyhow::Result<Order> {
        let start = self.start(item)?;
        let tasks = self.tasks(item);
        let agent = self.asked(item, start.kind)?;
        let mut scope = scope_of(&tasks);
        if item.round > 1 || is_extra(&item.key) {
            // What it must also touch was touched in its first round; it may be again.
            scope.allow.append(&mut scope.requires);
        }
        let prompt = if agent.is_some() {
            super::prompts::prompt(self, item, start.kind)?
        } else {
            String::new()
        };
        let prompt_sha256 = if prompt.is_empty() {
            String::new()
        } else {
            sha256(prompt.as_bytes())
        };
        let mut checks = Vec::new();
        let commands = self.plan.build.iter().map(|c| (CheckKind::Build, c));
        let extra = tasks
            .iter()
            .flat_map(|t| &t.checks)
            .map(|c| (CheckKind::Command, c));
        for (kind, command) in commands.chain(extra) {
            let check = CheckCommand {
                kind,
                command: command.clone(),
            };
            if !checks.contains(&check) {
                checks.push(check);
            }
        }
        Ok(Order {
            schema: SCHEMA,
            run: self.state.run.clone(),
            item: item.key.clone(),
            tasks: item.tasks.iter().map(|t| t.id.clone()).collect(),
            round: item.round,
            attempt: item.next_attempt(),
            kind: start.kind,
            base: start.base,
            origin: start.origin,
            start_tree: start.tree,
            branch: format!("pertask/{}/{}", self.state.run, item.branch_leaf()),
            prompt,
            prompt_sha256,
            agent,
            scope,
            checks,
            directory: self.plan.directory.clone(),
            check_timeout_s: self.plan.check_timeout_s,
            rules: if is_extra(&item.key) {
                // Mending one file must not break another.
                publish::judged_files(self.state, self.plan)
            } else {
                tasks
                    .iter()
                    .map(|t| FileRules {
                        path: t.file.clone(),
                        rules: t.rules.clone(),
                    })
                    .collect()
            },
            rule_files: rule_files(&self.documents())?,
            waived: self
                .state
                .compliance
                .exceptions
                .iter()
                .map(|e| Waived {
                    rule: e.rule.clone(),
                    file: e.file.clone(),
                    message: e.message.clone(),
                })
                .collect(),
            design: if is_extra(&item.key) {
                design(self.plan, &self.plan.tasks.iter().collect::<Vec<_>>())
            } else {
                design(self.plan, &tasks)
            },
            sparse: self.plan.sparse.clone(),
            sandbox: self.config.sandbox,
            claim: None,
        })
    }

    /// The agent that an attempt of this kind asks, held to what is left of the limits.
    fn asked(&self, item: &Item, kind: OrderKind) -> anyhow::Result<Option<OrderAgent>> {
        if matches!(kind, OrderKind::Forward | OrderKind::Person) {
            return Ok(None);
        }
        let name = self.agent(item).to_owned();
        let config = self.config.agents.get(&name).cloned();
        let mut config =
            config.with_context(|| format!("the configuration has no agent named {name}"))?;
        // What is left to the task and the run limits the attempt, too.
        let left = budget::left(self.state, item, &self.config.limits);
        config.timeout_s = left
            .time_s
            .map_or(config.timeout_s, |s| s.min(config.timeout_s));
        if config.tells_cost() {
            config.max_cost_usd = budget::least(config.max_cost_usd, left.cost_usd);
        }
        Ok(Some(OrderAgent { name, config }))
    }

    /// Name of the agent that an item's next attempt asks.
    #[must_use]
    pub fn agent(&self, item: &Item) -> &str {
        let named = match self.tasks(item).as_slice() {
            [task] => task.agent.as_deref(),
            _ => None,
        };
        named.unwrap_or(&self.config.agent)
    }

    /// Name of the agent that each item would ask.
    #[must_use]
    pub fn agents(&self) -> BTreeMap<String, String> {
        let items = self.state.items.iter();
        items
            .map(|i| (i.key.clone(), self.agent(i).to_owned()))
            .collect()
    }

    /// What an attempt of each item may cost, in US dollars, where its agent's configuration limits it.
    #[must_use]
    pub fn may_cost(&self) -> BTreeMap<String, f64> {
        let agents = self.agents().into_iter();
        agents
            .filter_map(|(key, agent)| {
                let agent = self.config.agents.get(&agent)?;
                Some((key, agent.max_cost_usd?))
            })
            .collect()
    }

    /// The plan's tasks of an item, in order.
    ///
    /// The P0 validation works on the tasks whose files the violations are in: on all merged ones
    /// when a note is about the whole.
    pub(super) fn tasks(&self, item: &Item) -> Vec<&Task> {
        if item.key == P0 {
            let compliance = &self.state.compliance;
            let files: Vec<&str> = compliance
                .open_findings()
                .map(|f| f.file.as_str())
                .chain(compliance.open_notes().map(|n| n.file.as_str()))
                .collect();
            let whole = files.is_empty() || files.contains(&"");
            let merged = |id: &str| self.state.item(id).is_some_and(Item::was_merged);
            return self
                .plan
                .tasks
                .iter()
                .filter(|t| merged(&t.id) && (whole || files.contains(&t.file.as_str())))
                .collect();
        }
        if item.key == REPAIR {
            // What a person asks for at the end may be about any of them.
            let merged = |id: &str| self.state.item(id).is_some_and(Item::was_merged);
            return self.plan.tasks.iter().filter(|t| merged(&t.id)).collect();
        }
        self.plan
            .tasks
            .iter()
            .filter(|t| item.tasks.iter().any(|r| r.id == t.id))
            .collect()
    }

    fn start(&self, item: &Item) -> anyhow::Result<Start> {
        let repo = self.repo;
        let run_head = &self.state.run_branch.head;
        let kind = item.pending.as_ref().map_or(OrderKind::First, |p| p.kind);
        let commit = item.pending.as_ref().and_then(|p| p.commit.as_deref());
        let head = item.branch.as_ref().map(|b| b.head.clone());
        match (kind, &head, commit) {
            (OrderKind::Forward, Some(_), Some(merge)) => Ok(Start {
                base: run_head.clone(),
                origin: run_head.clone(),
                tree: repo.tree_of(merge)?,
                kind,
            }),
            (OrderKind::Person, _, Some(commit)) => Ok(Start {
                base: commit.to_owned(),
                origin: repo.merge_base(run_head, commit)?,
                tree: repo.tree_of(commit)?,
                kind,
            }),
            (_, Some(head), _) if Self::joins(item, kind) => {
                let again = self.left_over(item, run_head)?;
                let tree = match again {
                    Some(tree) => tree,
                    None => self.with_log_of(run_head, &repo.merge(head, run_head)?.tree)?,
                };
                Ok(Start {
                    base: run_head.clone(),
                    origin: run_head.clone(),
                    tree,
                    kind,
                })
            }
            _ => {
                let base = head.unwrap_or_else(|| run_head.clone());
                let fresh = item.pending.as_ref().is_some_and(|p| p.fresh);
                let (base, tree) = if fresh {
                    (base.clone(), repo.tree_of(&base)?)
                } else {
                    let tree = match self.left_over(item, &base)? {
                        Some(tree) => tree,
                        None => repo.tree_of(&base)?,
                    };
                    (base, tree)
                };
                let origin = repo.merge_base(run_head, &base)?;
                Ok(Start {
                    base,
                    origin,
                    tree,
                    kind,
                })
            }
        }
    }

    /// Whether an attempt on an item with a branch starts from that branch joined with the run
    /// branch: it resolves a conflict, or another task was put right for it; or it goes on from an
    /// attempt that did.
    fn joins(item: &Item, kind: OrderKind) -> bool {
        let joining = |kind| matches!(kind, OrderKind::Conflict | OrderKind::Resumed);
        let last = item.attempts.last();
        let goes_on = matches!(kind, OrderKind::Retry | OrderKind::Revision)
            && item.pending.as_ref().is_some_and(|p| !p.fresh)
            && last.is_some_and(|a| a.kept.is_some() && a.round == item.round && joining(a.kind));
        joining(kind) || goes_on
    }

    /// The tree of the last attempt, when it did not pass and left something: what it may not touch
    /// put back, and what has been merged since brought in. `None` when that is not possible.
    fn left_over(&self, item: &Item, base: &str) -> anyhow::Result<Option<String>> {
        let last = item.attempts.last();
        let Some(last) = last.filter(|a| a.kept.is_some() && a.round == item.round) else {
            return Ok(None);
        };
        let Some(commit) = &last.commit else {
            return Ok(None);
        };
        let parents = self.repo.commit_info(commit)?.parents;
        let tree = if parents.iter().any(|p| p == base) {
            // By its commit: the tree alone may be on the machine that the attempt was made on.
            self.with_log_of(base, &self.repo.tree_of(commit)?)?
        } else {
            let merged = self.repo.merge(base, commit)?;
            if merged
                .conflicts
                .iter()
                .any(|path| *path != publish::log_path(self.state))
            {
                return Ok(None);
            }
            self.with_log_of(base, &merged.tree)?
        };
        let changes = self.repo.changes(base, &tree)?;
        let scope = scope_of(&self.tasks(item));
        let put_back: Vec<_> = scope::violations(self.repo, &changes, &scope)?
            .into_iter()
            .map(|violation| {
                let before = changes
                    .iter()
                    .find(|c| c.path == violation.path)
                    .and_then(|c| c.before.clone());
                (violation.path, before.map(|b| (b.mode, b.oid)))
            })
            .collect();
        Ok(Some(self.repo.with_entries(Some(&tree), &put_back)?))
    }

    /// The tree with the log as it stands on `commit`: logs are rendered, never merged.
    fn with_log_of(&self, commit: &str, tree: &str) -> anyhow::Result<String> {
        let log = publish::log_path(self.state);
        let entry = self.repo.entry(commit, &log)?.map(|e| (e.mode, e.oid));
        Ok(self.repo.with_entries(Some(tree), &[(log, entry)])?)
    }

    /// The team's own rules.
    pub(super) fn user_rules(&self) -> anyhow::Result<Vec<UserRule>> {
        parse_rules(&rule_files(&self.documents())?)
    }

    /// The documents prompts may be overridden by: those of the pinned commit.
    pub(super) fn documents(&self) -> AtCommit<'_> {
        AtCommit::new(self.repo, &self.state.base.commit)
    }
}

/// The files of the team's own rules, `.pertask/rules/*.yml`.
///
/// # Errors
/// When they cannot be read.
pub fn rule_files(docs: &dyn Documents) -> anyhow::Result<Vec<RuleFile>> {
    let folder = ".pertask/rules";
    let mut files = Vec::new();
    for name in docs.list(folder)? {
        let path = format!("{folder}/{name}");
        let is_yaml = path
            .rsplit('.')
            .next()
            .is_some_and(|e| e == "yml" || e == "yaml");
        if let Some(yaml) = docs.read(&path)?.filter(|_| is_yaml) {
            files.push(RuleFile { path, yaml });
        }
    }
    Ok(files)
}

/// The rules in these files.
///
/// # Errors
/// When one of them is not in ast-grep's format.
pub fn parse_rules(files: &[RuleFile]) -> anyhow::Result<Vec<UserRule>> {
    let mut rules = Vec::new();
    for file in files {
        rules.extend(crate::rules::user::parse(&file.path, &file.yaml)?);
    }
    Ok(rules)
}

fn scope_of(tasks: &[&Task]) -> Scope {
    let mut allow: Vec<String> = Vec::new();
    for task in tasks {
        let globs = task.allow.clone();
        allow.extend(globs);
    }
    Scope {
        files: tasks
            .iter()
            .map(|t| ScopeFile {
                task: t.id.clone(),
                path: t.file.clone(),
                max_lines: t.max_lines,
            })
            .collect(),
        allow,
        requires: tasks.iter().flat_map(|t| t.requires.clone()).collect(),
    }
}

/// What the documents promise about the tasks' files.
fn design(plan: &Plan, tasks: &[&Task]) -> Design {
    let about = |names: &dyn Fn(&Task) -> Vec<String>| -> Vec<FileNames> {
        tasks
            .iter()
            .map(|task| FileNames {
                path: task.file.clone(),
                names: names(task),
            })
            .filter(|file| !file.names.is_empty())
            .collect()
    };
    let file_of = |id: &String| plan.tasks.iter().find(|t| t.id == *id);
    Design {
        methods: about(&|task| task.api_methods.clone()),
        uses: about(&|task| {
            let files = task.depends_on.iter().filter_map(file_of);
            files.map(|t| t.file.clone()).collect()
        }),
        registered: about(&|task| task.requires.clone()),
        strict: plan.is_integration(),
    }
}

/// Lower-case hexadecimal sha256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in sha2::Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Nothing to say but the kind.
#[must_use]
pub fn plain(kind: OrderKind, commit: Option<String>, errors: String) -> Pending {
    Pending {
        kind,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors,
        commit,
    }
}
