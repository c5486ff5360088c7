//! The gate: the seed's final checklist, the P0 requirements and the plan's own items, each computed from the ledger and
//! the tree, with what was looked at and found. Nothing is ticked by hand.
//!
//! Items about attempts look at each attempt's order and result as they are in the ledger, not at
//! what the state says of them; items about files look at the run branch's head.

mod attempts;
mod tree;

use std::collections::BTreeMap;

use crate::attempt::checks::commands::shell_words;
use crate::driver::orders;
use crate::git::{AtCommit, Repo};
use crate::ledger::{Ledger, Snapshot};
use crate::plan::{self, Config, Documents as _, Plan, SourceKind};
use crate::publish;
use crate::run::order::{AttemptResult, CheckCommand, CheckKind, CheckOutcome, Order};
use crate::run::state::{GateItem, Item, Phase, State};
use crate::run::transition::short;

/// What the gate is computed from.
pub struct Look<'a> {
    /// The repository.
    pub repo: &'a Repo,
    /// The run's ledger.
    pub ledger: &'a Ledger<'a>,
    /// The ledger as it was read.
    pub snapshot: &'a Snapshot,
    /// The pinned plan.
    pub plan: &'a Plan,
    /// The pinned configuration.
    pub config: &'a Config,
}

/// What the gate's commands said on the run branch's head.
#[derive(Debug, Clone, Default)]
pub struct Ran {
    /// The final build.
    pub build: Vec<CheckOutcome>,
    /// The commands of the plan's own items, in the plan's order.
    pub items: Vec<Vec<CheckOutcome>>,
}

impl Ran {
    /// The outcomes of [`order`], put where they belong.
    #[must_use]
    pub fn of(outcomes: &[CheckOutcome]) -> Self {
        let of_kind = |kind| outcomes.iter().filter(move |o| o.kind == kind).cloned();
        Self {
            build: of_kind(CheckKind::Build).collect(),
            items: of_kind(CheckKind::Command).map(|o| vec![o]).collect(),
        }
    }
}

/// The commands as part of an order: the final build, then one for each of the plan's own items.
#[must_use]
pub fn order(plan: &Plan) -> Vec<CheckCommand> {
    let builds = build(plan).iter().map(|c| (CheckKind::Build, c));
    let items = plan.gate.items.iter().map(|i| &i.command);
    builds
        .chain(items.map(|c| (CheckKind::Command, c)))
        .map(|(kind, command)| CheckCommand {
            kind,
            command: command.clone(),
        })
        .collect()
}

/// Says what is being done, runs commands on the run branch's head and stops at the first that fails.
pub type Runner<'a> = &'a mut dyn FnMut(&str, &[Vec<String>]) -> anyhow::Result<Vec<CheckOutcome>>;

/// Runs the final build and the commands of the plan's own items.
///
/// # Errors
/// Those of `run`.
pub fn commands(plan: &Plan, run: Runner<'_>) -> anyhow::Result<Ran> {
    let final_build = build(plan);
    let mut ran = Ran::default();
    if !final_build.is_empty() {
        ran.build = run("Building the run branch for the gate", final_build)?;
    }
    for item in &plan.gate.items {
        let doing = format!("Looking at the gate: {}", item.item);
        let command = std::slice::from_ref(&item.command);
        ran.items.push(run(&doing, command)?);
    }
    Ok(ran)
}

/// The commands of the final build.
fn build(plan: &Plan) -> &[Vec<String>] {
    if plan.gate.build.is_empty() {
        &plan.build
    } else {
        &plan.gate.build
    }
}

/// Reads a file of a commit; `None` when it is not there.
pub type Read<'a> = &'a dyn Fn(&str, &str) -> anyhow::Result<Option<String>>;

/// The items that are computed from files of the run branch.
///
/// # Errors
/// Those of `read`.
pub fn of_files(state: &State, plan: &Plan, read: Read<'_>) -> anyhow::Result<[GateItem; 4]> {
    Ok([
        so_far(state, tree::logged(state, read)?),
        tree::placed(state, plan, read)?,
        tree::registered(state, plan, read)?,
        tree::compliant(state, plan),
    ])
}

/// Looks at every item. Without `ran`, items with a command say what is on record for the run
/// branch's head, or that nothing is.
///
/// # Errors
/// When the ledger or the tree cannot be read.
pub fn items(look: &Look<'_>, ran: Option<&Ran>) -> anyhow::Result<Vec<GateItem>> {
    let (state, plan) = (&look.snapshot.state, look.plan);
    let evidence = look.evidence()?;
    let read = |commit: &str, path: &str| -> anyhow::Result<Option<String>> {
        let bytes = look.repo.file(commit, path)?;
        Ok(bytes.map(|b| String::from_utf8_lossy(&b).into_owned()))
    };
    let mut items = vec![identified(look)?];
    let places = look.places()?;
    let place = |commit: &str| {
        let base = &state.base.commit;
        let early = || look.repo.is_ancestor(commit, base).unwrap_or(false);
        let place = places.get(commit).copied();
        place.or_else(|| early().then_some(0))
    };
    let is_in = |one: &str, other: &str| match (place(one)?, place(other)?) {
        // Both are in the base as it is since an amendment.
        (0, 0) => look.repo.is_ancestor(one, other).ok(),
        (one, other) => Some(one <= other),
    };
    items.extend(of_attempts(state, plan, &evidence, &is_in));
    items.extend(of_files(state, plan, &read)?);
    let head = short(&state.run_branch.head);
    let final_build = line_of(build(plan));
    let label = if final_build.is_empty() {
        "Final build succeeds".to_owned()
    } else {
        format!("Final build succeeds: {final_build}")
    };
    items.push(match ran {
        _ if build(plan).is_empty() => item(&label, true, "the plan names no build".to_owned()),
        Some(ran) => outcome(&label, &ran.build, head),
        None => on_record(state, &label, head),
    });
    for (n, own) in plan.gate.items.iter().enumerate() {
        items.push(match ran {
            Some(ran) => outcome(&own.item, ran.items.get(n).map_or(&[], Vec::as_slice), head),
            None => on_record(state, &own.item, head),
        });
    }
    Ok(items)
}

fn item(item: &str, holds: bool, detail: String) -> GateItem {
    GateItem {
        item: item.to_owned(),
        holds,
        detail,
    }
}

/// An item about each task cannot hold before each task is merged or left out.
fn so_far(state: &State, mut item: GateItem) -> GateItem {
    let open: Vec<&str> = state
        .items
        .iter()
        .filter(|i| !i.is_settled())
        .map(|i| i.key.as_str())
        .collect();
    if !open.is_empty() {
        item.holds = false;
        item.detail.push_str("; not merged yet: ");
        item.detail.push_str(&open.join(", "));
    }
    item
}

/// An item that holds when nothing is wrong; `found` is what was found then.
fn unless(label: &str, wrong: &[String], found: String) -> GateItem {
    let detail = if wrong.is_empty() {
        found
    } else {
        wrong.join("; ")
    };
    item(label, wrong.is_empty(), detail)
}

/// Puts what is wrong with a merged item where it belongs: what a person merged by hand was their
/// decision, and is an exception.
fn excused(item: &Item, found: Vec<String>, wrong: &mut Vec<String>, excuses: &mut Vec<String>) {
    let because = item.merged.as_ref().map_or("", |m| m.because.as_str());
    if because.starts_with("merged by") {
        excuses.extend(found.into_iter().map(|f| format!("{f} ({because})")));
    } else {
        wrong.extend(found);
    }
}

/// The item with these exceptions named.
fn with_exceptions(mut item: GateItem, exceptions: &[String]) -> GateItem {
    for exception in exceptions {
        if !item.detail.is_empty() {
            item.detail.push_str("; ");
        }
        item.detail.push_str("exception: ");
        item.detail.push_str(exception);
    }
    item
}

fn counted(n: usize, one: &str) -> String {
    if n == 1 {
        format!("1 {one}")
    } else {
        format!("{n} {one}s")
    }
}

/// Commands as a person would type them.
fn line_of(commands: &[Vec<String>]) -> String {
    let lines: Vec<String> = commands.iter().map(|c| shell_words(c)).collect();
    lines.join(", ")
}

/// The commit stands at the end, so that [`on_record`] finds out what the outcome is of.
fn outcome(label: &str, outcomes: &[CheckOutcome], head: &str) -> GateItem {
    match outcomes.iter().find(|o| !o.passed) {
        Some(bad) => item(
            label,
            false,
            format!("{} {} at {head}", bad.name, bad.detail),
        ),
        None if outcomes.is_empty() => item(label, false, format!("was not run at {head}")),
        None => item(label, true, format!("succeeded at {head}")),
    }
}

/// What the ledger says of an item with a command, if it is of this head.
fn on_record(state: &State, label: &str, head: &str) -> GateItem {
    let known = state.gate.iter().find(|g| g.item == label);
    let known = known.filter(|g| g.detail.ends_with(&format!(" at {head}")));
    known.cloned().unwrap_or_else(|| {
        item(
            label,
            false,
            format!("not run yet at {head}: it is run once every task is merged or left out"),
        )
    })
}

/// An attempt with what the ledger keeps of it.
pub struct Evidence<'s> {
    /// The item.
    pub item: &'s Item,
    /// Number of the attempt.
    pub number: u32,
    /// What it was asked for.
    pub order: Option<Order>,
    /// What came of it.
    pub result: Option<AttemptResult>,
}

/// Whether the first of two commits of base and run branch is in the second, or the same; `None` where
/// that is not known.
pub type IsIn<'a> = &'a dyn Fn(&str, &str) -> Option<bool>;

/// The items that are computed from the attempts on record alone.
#[must_use]
pub fn of_attempts(
    state: &State,
    plan: &Plan,
    evidence: &[Evidence<'_>],
    is_in: IsIn<'_>,
) -> [GateItem; 4] {
    [
        attempts::ordered(state, plan, evidence, is_in),
        so_far(state, attempts::fresh(state, evidence)),
        so_far(state, attempts::context(state, plan, evidence, is_in)),
        so_far(state, attempts::validated(state, plan, evidence)),
    ]
}

impl Look<'_> {
    /// Each commit that the run added to its branch, with its place in it.
    fn places(&self) -> anyhow::Result<BTreeMap<String, usize>> {
        let state = &self.snapshot.state;
        let (base, head) = (&state.base.commit, &state.run_branch.head);
        let commits = self.repo.first_parents(base, head)?;
        Ok(commits.into_iter().zip(1..).collect())
    }

    /// Order and result of every attempt, in the state's order.
    fn evidence(&self) -> anyhow::Result<Vec<Evidence<'_>>> {
        let mut found = Vec::new();
        for item in &self.snapshot.state.items {
            for attempt in &item.attempts {
                let dir = publish::attempt_dir(item, attempt.number);
                let read = |name: &str| {
                    self.ledger
                        .file(&self.snapshot.commit, &format!("{dir}/{name}"))
                };
                found.push(Evidence {
                    item,
                    number: attempt.number,
                    order: read("order.json")?.and_then(|b| serde_json::from_slice(&b).ok()),
                    result: read("result.json")?.and_then(|b| serde_json::from_slice(&b).ok()),
                });
            }
        }
        Ok(found)
    }
}

fn merged(state: &State) -> impl Iterator<Item = &Item> {
    state.items.iter().filter(|i| i.phase == Phase::Merged)
}

/// The plan's documents, read again from the pinned commit, name the tasks that the run has.
fn identified(look: &Look<'_>) -> anyhow::Result<GateItem> {
    let (state, pinned) = (&look.snapshot.state, look.plan);
    let file = match pinned.source.kind {
        SourceKind::PlanToml => "plan.toml",
        SourceKind::Architecture | SourceKind::Template => "architecture.md",
    };
    let label = format!("All tasks identified from {file}");
    let commit = short(&state.base.commit);
    let docs = AtCommit::new(look.repo, &state.base.commit);
    let folder = format!(".pertask/{}", state.plan);
    let mut written = false;
    for name in ["plan.toml", "architecture.md"] {
        written |= docs.exists(&format!("{folder}/{name}"))?;
    }
    if !written {
        // A plan of the tool's own (drafting a plan): no document holds it.
        let tasks = pairs(pinned);
        let found = format!("{} in the pinned plan", counted(tasks.len(), "task"));
        return Ok(unless(
            "All tasks identified",
            &tasks_apart(state, &tasks),
            found,
        ));
    }
    let team = orders::parse_rules(&orders::rule_files(&docs)?)?;
    let mut rules: Vec<&str> = plan::RULES.to_vec();
    rules.extend(team.iter().map(crate::rules::user::UserRule::id));
    let again = plan::load(&state.plan, &docs, look.config, &pinned.parameters, &rules);
    let loaded = match again {
        Ok(loaded) => loaded,
        Err(problems) => {
            let text = problems.render(false);
            let first = text.lines().next().unwrap_or_default();
            let said = format!("the documents at {commit} cannot be read any more: {first}");
            return Ok(item(&label, false, said));
        }
    };
    let tasks = pairs(&loaded.plan);
    let mut found = format!(
        "{} in {folder}/{file} at {commit}, all in the run",
        counted(tasks.len(), "task")
    );
    if pinned.source.kind == SourceKind::Template {
        found.push_str("; what it leaves out is from ");
        found.push_str(&pinned.source.path);
    }
    let doubtful = loaded.warnings.iter().filter(|w| w.file.ends_with(file));
    let doubts = match pinned.source.kind {
        SourceKind::PlanToml => 0,
        _ => doubtful.count(),
    };
    if doubts > 0 {
        let doubts = counted(doubts, "doubt");
        found = format!("{found}; {doubts}: git pertask plan {}", state.plan);
    }
    Ok(unless(&label, &tasks_apart(state, &tasks), found))
}

/// Id and file of each task.
fn pairs(plan: &Plan) -> Vec<(&str, &str)> {
    let tasks = plan.tasks.iter();
    tasks.map(|t| (t.id.as_str(), t.file.as_str())).collect()
}

/// Tasks of the documents, as id and file, that the run does not have. The run may have more: what
/// puts violations right is a task that no document names.
fn tasks_apart(state: &State, documents: &[(&str, &str)]) -> Vec<String> {
    let run: Vec<(&str, &str)> = state
        .items
        .iter()
        .flat_map(|i| &i.tasks)
        .map(|t| (t.id.as_str(), t.file.as_str()))
        .collect();
    let apart = documents.iter().filter(|t| !run.contains(t));
    apart
        .map(
            |(id, file)| match run.iter().find(|(known, _)| known == id) {
                Some((_, other)) => {
                    format!("{id} makes {other} in the run, and {file} in the plan")
                }
                None => format!("{id} ({file}) is not in the run"),
            },
        )
        .collect()
}
