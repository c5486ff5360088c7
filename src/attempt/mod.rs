//! From order to result: a workspace at the start tree, a fresh agent, the checks.
//!
//! An attempt has no forge and no token. It writes three places only: its workspace, its own folder
//! ([`Folder`]) and unreferenced objects in the repository; so until its result is published, nothing
//! of it shows.
//!
//! Crashes: after the agent has ended, and again after the checks, what is known is written into the
//! folder in one rename. Begun again under the same claim or another, [`run`] goes on from there: an
//! agent that has answered is not asked twice.

pub mod agent;
pub mod checks;
pub mod folder;
mod inside;
mod left;
pub mod process;
pub mod sandbox;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect;
use crate::git::{Oddity, Repo, Scan, Worktree};
use crate::plan::Sandbox;
use crate::run::order::{
    AgentExit, AgentReport, AttemptResult, Change, CheckCommand, CheckKind, CheckOutcome, FileFact,
    Handoff, HandoffStatus, Order, OrderKind, SCHEMA, Verdict,
};
use crate::secrets::Secrets;
use agent::Progress;
use folder::Folder;
pub use left::unfinished;
use process::Cancel;
use sandbox::Confinement;

/// What an attempt needs beside the order.
pub struct Place<'a> {
    /// The user's repository, for objects.
    pub repo: &'a Repo,
    /// The workspace.
    pub worktree: &'a Worktree,
    /// The attempt's own folder.
    pub folder: &'a Folder,
    /// Id of the claim.
    pub claim: &'a str,
    /// The environment agents and checks get their share of.
    pub environment: Vec<(OsString, OsString)>,
    /// What confines agent and checks.
    pub confinement: Confinement,
}

/// What happens while an attempt runs, for people.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Something about the agent.
    Agent(Progress),
    /// The agent has ended; the checks begin.
    Checking,
    /// A check begins.
    Check(String),
    /// A check has ended.
    Checked(CheckOutcome),
}

/// What is known once the agent has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Answered {
    schema: u32,
    started: Timestamp,
    report: Option<AgentReport>,
    handoff: Option<Handoff>,
    handoff_problem: Option<String>,
    tree: String,
    odd: Vec<String>,
    /// What lay there but is ignored by git.
    #[serde(default)]
    ignored: Vec<String>,
    /// Filters of the person's repository that came to be, or changed, while the agent worked.
    #[serde(default)]
    planted: Vec<String>,
}

impl Answered {
    /// Whether git ignores this file of the task, so that no attempt can ever commit it.
    fn ignores(&self, path: &str) -> bool {
        self.ignored
            .iter()
            .any(|ignored| match ignored.strip_suffix('/') {
                Some(folder) => path
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/')),
                None => path == ignored,
            })
    }
}

/// Asks the agent alone, unless it has answered: for where agent and checks are steps of their own,
/// with other keys in reach. [`run`] goes on from there.
///
/// # Errors
/// As [`run`].
pub async fn answer(
    place: &Place<'_>,
    order: &Order,
    cancel: &Cancel,
    now: &dyn Fn() -> Timestamp,
    tell: &mut dyn FnMut(Event),
) -> anyhow::Result<()> {
    let answered: Option<Answered> = place.folder.read(folder::ANSWERED)?;
    if answered.is_none() {
        let (answered, _) = ask(place, order, cancel, now, tell).await?;
        effect::perform("note the agent's answer", || {
            place.folder.write(folder::ANSWERED, &answered)
        })?;
    }
    Ok(())
}

/// What is known of an attempt that was cut off before its checks were through: what the agent
/// answered, or what lies in the workspace, as a result that says so, with what is to be said of the
/// keys that stood in it. `None` when no agent was asked.
///
/// # Errors
/// As [`run`].
pub fn cut_off(
    repo: &Repo,
    worktree: &Worktree,
    folder: &Folder,
    order: &Order,
    claim: &str,
    now: Timestamp,
) -> anyhow::Result<Option<(AttemptResult, Vec<String>)>> {
    let answered = match folder.read::<Answered>(folder::ANSWERED)? {
        Some(answered) => answered,
        // Before the prompt was handed over, the workspace may hold what belongs to another task.
        None if folder.path("prompt.md").exists() => {
            let (tree, leaks) = unfinished(repo, worktree, folder, order)?;
            Answered {
                schema: SCHEMA,
                started: now,
                report: None,
                handoff: None,
                handoff_problem: None,
                tree,
                odd: leaks,
                ignored: Vec::new(),
                planted: Vec::new(),
            }
        }
        None => return Ok(None),
    };
    let judge = Judge::new(repo, order, &answered.tree)?;
    let result = AttemptResult {
        schema: SCHEMA,
        run: order.run.clone(),
        item: order.item.clone(),
        attempt: order.attempt,
        claim: claim.to_owned(),
        started: answered.started,
        finished: now,
        verdict: Verdict::Interrupted,
        tree: Some(answered.tree),
        files: judge.files,
        api: Vec::new(),
        checks: Vec::new(),
        faults: Vec::new(),
        agent: answered.report,
        handoff: answered.handoff,
        handoff_problem: answered.handoff_problem,
    };
    Ok(Some((result, answered.odd)))
}

/// What can be said of a tree by looking at it, without running anything.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    /// What differs.
    pub files: Vec<FileFact>,
    /// What the tasks' files declare.
    pub api: Vec<String>,
    /// The checks that only look.
    pub checks: Vec<CheckOutcome>,
}

/// Looks at a tree that somebody says is what came of an order.
///
/// # Errors
/// When git fails.
pub fn look(repo: &Repo, order: &Order, tree: &str) -> anyhow::Result<Looked> {
    let mut judge = Judge::new(repo, order, tree)?;
    judge.before_commands(&|_| false, &[])?;
    judge.rules()?;
    Ok(Looked {
        api: judge.api()?,
        files: judge.files,
        checks: judge.checks,
    })
}

/// Carries out an order.
///
/// # Errors
/// When our own part fails: the disk is full, git does not work. Nothing an agent does is an error.
pub async fn run(
    place: &Place<'_>,
    order: &Order,
    cancel: &Cancel,
    now: &dyn Fn() -> Timestamp,
    tell: &mut dyn FnMut(Event),
) -> anyhow::Result<AttemptResult> {
    let mut resumed = true;
    let noted = place.folder.read(folder::ANSWERED)?;
    let noted = noted.filter(|_| !crate::plant::is("answer-is-asked-again"));
    let (mut answered, scan) = if let Some(answered) = noted {
        (answered, None)
    } else {
        resumed = false;
        let (answered, scan) = ask(place, order, cancel, now, tell).await?;
        effect::perform("note the agent's answer", || {
            place.folder.write(folder::ANSWERED, &answered)
        })?;
        (answered, Some(scan))
    };
    tell(Event::Checking);
    let mut judge = Judge::new(place.repo, order, &answered.tree)?;
    let stop = judge.before_commands(&|path| answered.ignores(path), &answered.odd)?;
    let mut complete = true;
    if !stop && !order.checks.is_empty() {
        match (&scan, resumed) {
            (Some(scan), false) => place.worktree.remove_leftovers(scan)?,
            _ => place.worktree.move_to(
                place.repo,
                &answered.tree,
                &order.sparse,
                &order.base,
                &order.branch,
            )?,
        }
        let programs = place.repo.programs()?;
        complete = judge.commands(place, cancel, tell).await?;
        if !crate::plant::is("checks-plant-programs") {
            answered.planted.extend(new_programs(&programs, place.repo));
        }
    }
    if !stop {
        judge.rules()?;
    }
    let agent_ended_by_us = answered
        .report
        .as_ref()
        .is_some_and(|r| r.exit == AgentExit::Interrupted);
    let result = judge.result(place, answered, complete, cancel, now())?;
    let result = secrets(&place.environment, order).cleaned(&result)?;
    if result.verdict == Verdict::Interrupted && !agent_ended_by_us {
        // The checks were cut off, not the agent: its answer is noted, and is judged the next time.
        return Ok(result);
    }
    effect::perform("note the result", || {
        place.folder.write(folder::RESULT, &result)
    })?;
    Ok(result)
}

/// Prepares the workspace, asks the agent if the order names one, and looks at what is there then.
async fn ask(
    place: &Place<'_>,
    order: &Order,
    cancel: &Cancel,
    now: &dyn Fn() -> Timestamp,
    tell: &mut dyn FnMut(Event),
) -> anyhow::Result<(Answered, Scan)> {
    let started = now();
    place
        .worktree
        .move_to(
            place.repo,
            &order.start_tree,
            &order.sparse,
            &order.base,
            &order.branch,
        )
        .context("preparing the workspace")?;
    let Some(wanted) = &order.agent else {
        let scan = Scan {
            tree: order.start_tree.clone(),
            ignored: Vec::new(),
            odd: Vec::new(),
        };
        let answered = Answered {
            schema: SCHEMA,
            started,
            report: None,
            handoff: None,
            handoff_problem: None,
            tree: order.start_tree.clone(),
            odd: Vec::new(),
            ignored: Vec::new(),
            planted: Vec::new(),
        };
        return Ok((answered, scan));
    };
    let invocation = agent::Invocation {
        name: wanted.name.clone(),
        config: wanted.config.clone(),
        workdir: place.worktree.path().to_owned(),
        prompt: order.prompt.clone(),
        prompt_file: place.folder.path("prompt.md"),
        // Inside the output folder: Codex's own sandbox refuses it elsewhere.
        handoff_file: place.folder.output().join("handoff.json"),
        output_dir: place.folder.output(),
        settings_dir: place.folder.path("settings"),
        run: order.run.clone(),
        task: order.item.clone(),
        attempt: order.attempt,
        wrapper: place.confinement.agent.clone(),
        parent_env: place.environment.clone(),
    };
    let mut secrets = secrets(&place.environment, order);
    left::note(place.folder, &secrets)?;
    effect::perform("ask the agent", || ());
    let programs = place.repo.programs()?;
    let outcome = agent::run(&invocation, cancel, &mut |p| tell(Event::Agent(p))).await?;
    let planted = new_programs(&programs, place.repo);
    let scan = place
        .worktree
        .scan(place.repo)
        .context("looking at what the agent did")?;
    let mut odd: Vec<String> = scan.odd.iter().map(oddity_words).collect();
    // Here, because the agent's key may be out of reach afterwards.
    secrets.join(outcome.renewed);
    place
        .folder
        .clean_outputs(&|bytes| secrets.redact_bytes(bytes))?;
    let (tree, leaks) = left::without_keys(place.repo, order, &scan.tree, &|bytes| {
        secrets.out_of_code(bytes)
    })?;
    odd.extend(leaks);
    let answered = Answered {
        schema: SCHEMA,
        started,
        report: Some(outcome.report),
        handoff: outcome.handoff,
        handoff_problem: outcome.handoff_problem,
        tree,
        odd,
        ignored: scan.ignored.clone(),
        planted,
    };
    Ok((secrets.cleaned(&answered)?, scan))
}

/// Settings naming programs and servers that were not there, or not like this, when the agent or a
/// check began. The workspace goes on with those of before; what opens one anew, merges or pushes would
/// follow them.
fn new_programs(before: &BTreeMap<String, String>, repo: &Repo) -> Vec<String> {
    // One that cannot be read any more is as good as changed.
    let Ok(after) = repo.programs() else {
        return vec!["its configuration cannot be read any more".to_owned()];
    };
    let new = after.iter().filter(|(k, v)| before.get(*k) != Some(v));
    let gone = before.iter().filter(|(k, _)| !after.contains_key(*k));
    let names = new.chain(gone).map(|(name, _)| name);
    names
        .map(|name| crate::text::clipped(crate::text::line(name), 200))
        .collect()
}

/// The secrets that whoever carries this order out has in reach.
fn secrets(environment: &[(OsString, OsString)], order: &Order) -> Secrets {
    let Some(agent) = &order.agent else {
        return Secrets::of(environment, &[]);
    };
    let mut secrets = Secrets::of(environment, &agent.config.env);
    secrets.join(agent::login::secrets(agent.config.adapter, environment));
    secrets
}

fn oddity_words(oddity: &Oddity) -> String {
    match oddity {
        Oddity::NestedRepository(path) => format!("{path} is a repository of its own"),
        Oddity::Unreadable(path) => format!("{path} cannot be read"),
        Oddity::BadName(path) => {
            format!("{path} has a name that git cannot keep, or no plain UTF-8")
        }
        Oddity::Special(path) => format!("{path} is neither a file nor a folder nor a link"),
    }
}

/// Verifies a tree, believing nothing that was said about it.
struct Judge<'a> {
    repo: &'a Repo,
    order: &'a Order,
    tree: String,
    files: Vec<FileFact>,
    checks: Vec<CheckOutcome>,
}

impl<'a> Judge<'a> {
    fn new(repo: &'a Repo, order: &'a Order, tree: &str) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        for change in repo.changes(&order.origin, tree)? {
            // The log is ours; it is part of the branch but not of what the attempt did.
            if change.path.starts_with(".pertask/")
                && repo.entry(&order.base, &change.path)? == change.after
            {
                continue;
            }
            let kind = match (&change.before, &change.after) {
                (None, _) => Change::Added,
                (_, None) => Change::Deleted,
                _ => Change::Modified,
            };
            let lines = match &change.after {
                Some(entry) if entry.mode & 0o170_000 == 0o100_000 => {
                    checks::files::count(&repo.blob(&entry.oid)?)
                }
                _ => 0,
            };
            files.push(FileFact {
                path: change.path,
                change: kind,
                lines,
            });
        }
        Ok(Self {
            repo,
            order,
            tree: tree.to_owned(),
            files,
            checks: Vec::new(),
        })
    }

    /// The checks that only look. Returns whether it makes no sense to run anything afterwards.
    fn before_commands(
        &mut self,
        ignores: &dyn Fn(&str) -> bool,
        odd: &[String],
    ) -> anyhow::Result<bool> {
        let (repo, order) = (self.repo, self.order);
        let exist = checks::files::exist(repo, &self.tree, &order.scope, &self.files, ignores)?;
        let changes = repo.changes(&order.base, &self.tree)?;
        let violations = if matches!(
            order.kind,
            OrderKind::Person | OrderKind::Forward | OrderKind::Build
        ) {
            // A person may change what they like, short of what no commit may hold; and a forward
            // merge is our own, of two sides that were judged.
            let mut found = Vec::new();
            for change in &changes {
                if let Some(what) = checks::scope::impossible(repo, change)? {
                    found.push(checks::scope::Violation {
                        path: change.path.clone(),
                        what,
                    });
                }
            }
            found
        } else {
            checks::scope::violations(repo, &changes, &order.scope)?
        };
        let scope = checks::scope::check(&violations, odd, self.files.len());
        let mut counted = std::collections::BTreeMap::new();
        for file in &order.scope.files {
            if let Some(bytes) = repo.file(&self.tree, &file.path)? {
                counted.insert(file.path.clone(), checks::files::count(&bytes));
            }
        }
        let lines = checks::files::lines(&order.scope, &|path| counted.get(path).copied());
        let stop = !exist.passed || !scope.passed;
        self.checks.extend([exist, scope, lines]);
        Ok(stop)
    }

    /// Runs the commands, each on the tree that will be committed, whatever the one before has made of
    /// it. Returns whether it got through them, or to one that failed by itself.
    async fn commands(
        &mut self,
        place: &Place<'_>,
        cancel: &Cancel,
        tell: &mut dyn FnMut(Event),
    ) -> anyhow::Result<bool> {
        let dir = place.worktree.path().join(&self.order.directory);
        let wrapper = &place.confinement.checks;
        let limit = Duration::from_secs(self.order.check_timeout_s);
        let secrets = secrets(&place.environment, self.order);
        for (nth, command) in self.order.checks.iter().enumerate() {
            if cancel.is_cancelled() {
                return Ok(false);
            }
            tell(Event::Check(checks::commands::shell_words(
                &command.command,
            )));
            let mut env = agent::env::allowed(
                place.environment.iter().cloned(),
                agent::env::For::Check,
                &[],
            );
            // So that what a check starts is found again after a crash, and cannot change the run.
            env.set("PERTASK_RUN", &self.order.run);
            env.set("PERTASK_TASK", &self.order.item);
            env.set("PERTASK_ATTEMPT", self.order.attempt.to_string());
            env.set("PERTASK_OUTPUT_DIR", place.folder.output());
            let mut outcome =
                checks::commands::run(command, &dir, env, wrapper, limit, cancel).await;
            secrets.clean(&mut outcome.output);
            if nth + 1 < self.order.checks.len()
                && !crate::plant::is("checks-see-what-checks-wrote")
            {
                let changed = self.put_back(place)?;
                if let Some(first) = changed.first() {
                    let more = match changed.len() - 1 {
                        0 => String::new(),
                        n => format!(" and {n} more"),
                    };
                    outcome.detail.push_str(&crate::text::clipped(
                        format!("; it changed {first}{more}, which was put back"),
                        300,
                    ));
                }
            }
            tell(Event::Checked(outcome.clone()));
            let failed_build = command.kind == CheckKind::Build && !outcome.passed;
            let passed = outcome.passed;
            self.checks.push(outcome);
            if cancel.is_cancelled() && !passed {
                return Ok(false);
            }
            if failed_build && self.order.kind != OrderKind::Build {
                break;
            }
        }
        Ok(true)
    }

    fn put_back(&self, place: &Place<'_>) -> anyhow::Result<Vec<String>> {
        let order = self.order;
        let back = place.worktree.put_back(
            place.repo,
            &self.tree,
            &order.sparse,
            &order.base,
            &order.branch,
        );
        back.context("putting back what a check changed")
    }

    fn rules(&mut self) -> anyhow::Result<()> {
        let outcome = checks::rules::run(self.repo, &self.tree, self.order)?;
        self.checks.extend(outcome);
        self.checks
            .extend(checks::draft::run(self.repo, &self.tree, &self.order.scope));
        let (repo, design) = (self.repo, &self.order.design);
        self.checks
            .extend(checks::design::run(repo, &self.tree, design, &self.files)?);
        Ok(())
    }

    /// What the tasks' files declare, read from their syntax trees.
    fn api(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for file in &self.order.scope.files {
            if let Some(bytes) = self.repo.file(&self.tree, &file.path)? {
                let items = crate::facts::api(&file.path, &String::from_utf8_lossy(&bytes));
                found.extend(items.into_iter().map(|item| item.signature));
            }
        }
        Ok(found)
    }

    fn result(
        self,
        place: &Place<'_>,
        answered: Answered,
        complete: bool,
        cancel: &Cancel,
        finished: Timestamp,
    ) -> anyhow::Result<AttemptResult> {
        let interrupted = !complete && cancel.is_cancelled();
        let verdict = verdict(&answered, &self.checks, self.order, interrupted);
        let api = self.api()?;
        let faults = checks::faults::find(
            self.repo,
            &self.tree,
            place.worktree.path(),
            self.order,
            &self.files,
            &self.checks,
        )?;
        Ok(AttemptResult {
            schema: SCHEMA,
            run: self.order.run.clone(),
            item: self.order.item.clone(),
            attempt: self.order.attempt,
            claim: place.claim.to_owned(),
            started: answered.started,
            finished,
            verdict,
            tree: Some(self.tree),
            files: self.files,
            api,
            checks: self.checks,
            faults,
            agent: answered.report,
            handoff: answered.handoff,
            handoff_problem: answered.handoff_problem,
        })
    }
}

fn verdict(
    answered: &Answered,
    checks: &[CheckOutcome],
    order: &Order,
    interrupted: bool,
) -> Verdict {
    if interrupted
        || answered
            .report
            .as_ref()
            .is_some_and(|r| r.exit == AgentExit::Interrupted)
    {
        return Verdict::Interrupted;
    }
    let name = order.agent.as_ref().map_or("", |a| a.name.as_str());
    if let Some(report) = answered.report.as_ref().filter(|r| r.cost_missing)
        && report.exit != AgentExit::NotStarted
        && !crate::plant::is("missing-cost-is-nothing")
    {
        let missing = format!(
            "the agent {name} did not say what it cost, though its money is limited, so another attempt is for a person to allow"
        );
        let failure = agent::failure(report).map(|why| format!("the agent {name}: {why}"));
        return Verdict::Failed {
            reasons: failure.into_iter().chain([missing]).collect(),
            retryable: false,
        };
    }
    if !answered.planted.is_empty() && !crate::plant::is("planted-filters-pass") {
        // Another attempt would run them, so a person looks first.
        let most = 10;
        let mut names = answered.planted.clone();
        names.truncate(most);
        if answered.planted.len() > most {
            names.push(format!("and {} more", answered.planted.len() - most));
        }
        let reason = format!(
            "during the attempt settings of your repository changed, by which git runs programs or chooses servers: {}; look at them with `git config --show-origin --list` before you go on",
            names.join(", ")
        );
        return Verdict::Failed {
            reasons: vec![reason],
            retryable: false,
        };
    }
    let status = answered.handoff.as_ref().map(|h| h.status);
    if let (Some(HandoffStatus::NeedsClarification), Some(handoff)) = (status, &answered.handoff) {
        let question = handoff
            .question
            .clone()
            .or_else(|| handoff.blocked_reason.clone());
        let question =
            question.unwrap_or_else(|| "it has a question, but did not say which".to_owned());
        return Verdict::Question { question };
    }
    if let (Some(HandoffStatus::Blocked), Some(handoff)) = (status, &answered.handoff) {
        return Verdict::Blocked {
            reason: handoff
                .blocked_reason
                .clone()
                .unwrap_or_else(|| format!("it ended with status {}", handoff.status_word)),
            attempted: handoff.attempted.clone(),
        };
    }
    if let Some(report) = &answered.report
        && let Some(reason) = agent::failure(report)
    {
        let retryable = matches!(
            report.exit,
            AgentExit::Exited { .. } | AgentExit::Signalled { .. }
        ) && !report.limited;
        return Verdict::Failed {
            reasons: vec![format!("the agent {name}: {reason}")],
            retryable,
        };
    }
    let reasons: Vec<String> = checks
        .iter()
        .filter(|c| !c.passed)
        .map(|c| format!("{}: {}", c.name, c.detail))
        .collect();
    if reasons.is_empty() {
        Verdict::Passed {
            needs_review: status == Some(HandoffStatus::NeedsReview),
        }
    } else {
        Verdict::Failed {
            reasons,
            // Nothing an agent does makes git take it.
            retryable: !order.scope.files.iter().any(|f| answered.ignores(&f.path)),
        }
    }
}

/// Runs commands alone on a commit: the build of the base, or of the gate.
///
/// # Errors
/// When the workspace cannot be prepared.
pub async fn build(
    repo: &Repo,
    worktree: &Worktree,
    commit: &str,
    order: &BuildOrder,
    environment: Vec<(OsString, OsString)>,
    cancel: &Cancel,
    tell: &mut dyn FnMut(Event),
) -> anyhow::Result<Vec<CheckOutcome>> {
    let subject = sandbox::Subject {
        repo,
        worktree,
        agent: None,
        environment: &environment,
    };
    let confinement = Confinement::prepare(order.sandbox, &subject)?;
    worktree.move_to(repo, &repo.tree_of(commit)?, &order.sparse, commit, "build")?;
    let dir = worktree.path().join(&order.directory);
    let limit = Duration::from_secs(order.timeout_s);
    let secrets = Secrets::of(&environment, &[]);
    let mut outcomes = Vec::new();
    for command in &order.commands {
        let check = CheckCommand {
            kind: CheckKind::Build,
            command: command.clone(),
        };
        tell(Event::Check(checks::commands::shell_words(command)));
        let env = agent::env::allowed(environment.iter().cloned(), agent::env::For::Check, &[]);
        let mut outcome =
            checks::commands::run(&check, &dir, env, &confinement.checks, limit, cancel).await;
        secrets.clean(&mut outcome.output);
        tell(Event::Checked(outcome.clone()));
        let failed = !outcome.passed;
        outcomes.push(outcome);
        if failed {
            break;
        }
    }
    Ok(outcomes)
}

/// Commands to run on a commit, without an agent.
#[derive(Debug, Clone)]
pub struct BuildOrder {
    /// Argument lists.
    pub commands: Vec<Vec<String>>,
    /// Folder where they run.
    pub directory: String,
    /// Time limit of one, in seconds.
    pub timeout_s: u64,
    /// Cone of the workspace.
    pub sparse: Vec<String>,
    /// Whether they are confined.
    pub sandbox: Sandbox,
}
