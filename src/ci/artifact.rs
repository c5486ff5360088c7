//! What passes from the job that carries an order out to the job that publishes: a folder with
//! `result.json`, `result.bundle` and `output/`.
//!
//! The job that made it ran an agent, so nothing in it is believed. It is read here with a size for
//! everything, and whatever can be known by looking at the tree is looked at again; what cannot
//! (whether the build passed, what the agent cost) is that job's word.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use jiff::Timestamp;

use crate::attempt;
use crate::attempt::checks::commands::shell_words;
use crate::attempt::folder::Folder;
use crate::git::{GitError, NewCommit, Repo};
use crate::run::order::{
    AttemptResult, CheckKind, CheckOutcome, Order, OrderKind, SCHEMA, Verdict,
};
use crate::run::state::Person;
use crate::secrets::Secrets;
use crate::text;

/// The result as data.
pub const RESULT: &str = "result.json";
/// The objects.
pub const BUNDLE: &str = "result.bundle";
/// What the agent left beside the tree.
pub const OUTPUT: &str = "output";

/// Largest `result.json`, in bytes. An honest one has at most one of a handoff (1 MiB), the ends of what
/// its commands printed, and a line for each file.
const MOST_JSON: u64 = 8 * 1024 * 1024;
/// What of it is kept in the ledger at most, in bytes.
const MOST_KEPT: usize = 4 * 1024 * 1024;
/// Largest handoff as it was given, in bytes.
const MOST_RAW: usize = 1024 * 1024;
/// Largest bundle, in bytes.
const MOST_BUNDLE: u64 = 200 * 1024 * 1024;
/// Largest file in the tree that may differ, in bytes.
const MOST_FILE: u64 = 50 * 1024 * 1024;
/// All files that differ together, in bytes.
const MOST_FILES: u64 = 200 * 1024 * 1024;
/// How many files may differ.
const MOST_CHANGES: usize = 5_000;
/// Characters of a text that is kept.
const MOST_TEXT: usize = 256 * 1024;
/// Characters of a name, a version, a message.
const MOST_WORDS: usize = 2_000;
/// Texts in a list.
const MOST_LINES: usize = 200;

/// Why a result is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

macro_rules! refuse {
    ($($arg:tt)*) => { return Ok(Err(Refused(format!($($arg)*)))) };
}

fn brief(text: &str, most: usize) -> String {
    text::clipped(text::line(text), most)
}

/// Writes a result with its objects and the agent's outputs into a folder.
///
/// # Errors
/// When it cannot be written.
pub fn pack(
    repo: &Repo,
    dir: &Path,
    order: &Order,
    result: &AttemptResult,
    folder: &Folder,
) -> anyhow::Result<()> {
    // The agent's key was taken out where it was known; here is what is known by its look.
    let secrets = Secrets::of_process(&[]);
    let result = &secrets.cleaned(result)?;
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("emptying {}", dir.display()))?;
    }
    fs::create_dir_all(dir.join(OUTPUT)).with_context(|| format!("creating {}", dir.display()))?;
    if let Some(tree) = &result.tree {
        let nobody = Person {
            name: "git-pertask".to_owned(),
            email: "git-pertask@localhost".to_owned(),
        };
        let commit = repo.commit(&NewCommit {
            tree,
            parents: std::slice::from_ref(&order.base),
            message: "The result of an attempt\n",
            author: &nobody,
            committer: &nobody,
            time: result.finished,
        })?;
        repo.write_bundle(&dir.join(BUNDLE), &commit, &order.base)?;
    }
    let (outputs, _) = folder.outputs(&|name| repo.may_be_named(name).unwrap_or_default());
    for (path, bytes) in outputs {
        let to = dir.join(OUTPUT).join(path);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        let bytes = secrets.redact_bytes(bytes);
        fs::write(&to, bytes).with_context(|| format!("writing {}", to.display()))?;
    }
    // Last: where it is, all is.
    let json = serde_json::to_vec_pretty(result)?;
    let to = dir.join(RESULT);
    fs::write(&to, json).with_context(|| format!("writing {}", to.display()))
}

/// What is expected of a result.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The order it must be of.
    pub order: &'a Order,
    /// Id of the claim it must be under.
    pub claim: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// Reads a result. `Ok(None)` when there is none: the job was lost before it could hand one on.
///
/// # Errors
/// When our own part fails. What is wrong with the result is [`Refused`].
pub fn receive(
    repo: &Repo,
    dir: &Path,
    expected: Expected<'_>,
) -> anyhow::Result<Result<Option<AttemptResult>, Refused>> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Ok(Ok(None));
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", dir.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry
            .metadata()
            .with_context(|| format!("looking at {name}"))?;
        let fits = match name.as_str() {
            RESULT | BUNDLE => kind.is_file(),
            OUTPUT => kind.is_dir(),
            _ => crate::plant::is("any-file-accepted"),
        };
        if !fits {
            refuse!("it holds {}, which no result has", brief(&name, 100));
        }
        let most = if name == RESULT {
            MOST_JSON
        } else {
            MOST_BUNDLE
        };
        if kind.is_file() && kind.len() > most {
            refuse!(
                "its {name} has {} bytes, and {most} are allowed",
                kind.len()
            );
        }
    }
    let file = dir.join(RESULT);
    if !file.exists() {
        return Ok(Ok(None));
    }
    let bytes = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    let mut result: AttemptResult = match serde_json::from_slice(&bytes) {
        Ok(result) => result,
        Err(e) => refuse!("its {RESULT} cannot be read: {e}"),
    };
    if let Err(refused) = is_of(&result, expected) {
        return Ok(Err(refused));
    }
    trim(&mut result, expected.now);
    if let Some(tree) = result.tree.clone()
        && let Err(refused) = tree_is(repo, dir, &tree, expected.order)?
    {
        return Ok(Err(refused));
    }
    if let Err(refused) = holds(repo, &mut result, expected.order)? {
        return Ok(Err(refused));
    }
    if serde_json::to_vec(&result)?.len() > MOST_KEPT {
        refuse!("it has more text than the {MOST_KEPT} bytes that are kept");
    }
    Ok(Ok(Some(result)))
}

/// It is of this order and this claim.
fn is_of(result: &AttemptResult, expected: Expected<'_>) -> Result<(), Refused> {
    let order = expected.order;
    let about = |r: &AttemptResult| format!("{} of {}, attempt {}", r.item, r.run, r.attempt);
    if result.schema != SCHEMA {
        return Err(Refused(format!(
            "its format has version {}, and this program reads {SCHEMA}",
            result.schema
        )));
    }
    if result.run != order.run || result.item != order.item || result.attempt != order.attempt {
        return Err(Refused(format!(
            "it is a result for {}, and the order was {} of {}, attempt {}",
            brief(&about(result), 200),
            order.item,
            order.run,
            order.attempt
        )));
    }
    if result.claim != expected.claim {
        return Err(Refused("it was made under another claim".to_owned()));
    }
    let spent = result.agent.as_ref().and_then(|a| a.cost_usd);
    if spent.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
        return Err(Refused(
            "it says that the agent cost less than nothing".to_owned(),
        ));
    }
    let limited = order
        .agent
        .as_ref()
        .is_some_and(|a| a.config.max_cost_usd.is_some());
    if limited && spent.is_none() && matches!(result.verdict, Verdict::Passed { .. }) {
        return Err(Refused(
            "it passes without saying what the agent cost, whose money is limited".to_owned(),
        ));
    }
    if order.agent.is_none() && result.agent.is_some() {
        return Err(Refused(
            "it speaks of an agent, and none was asked".to_owned(),
        ));
    }
    Ok(())
}

/// Cuts what is longer than anything honest, and puts times right.
fn trim(result: &mut AttemptResult, now: Timestamp) {
    result.finished = result.finished.min(now);
    result.started = result.started.min(result.finished);
    let cut = |text: &mut String| {
        if text.chars().nth(MOST_TEXT).is_some() {
            *text = text.chars().take(MOST_TEXT).collect();
        }
    };
    let brief = |text: &mut String| *text = text::clipped(std::mem::take(text), MOST_WORDS);
    result.checks.truncate(MOST_LINES);
    for check in &mut result.checks {
        cut(&mut check.output);
        brief(&mut check.detail);
    }
    result.faults.truncate(MOST_LINES);
    for fault in &mut result.faults {
        brief(&mut fault.file);
        brief(&mut fault.message);
    }
    result.handoff_problem.iter_mut().for_each(brief);
    if let Some(agent) = &mut result.agent {
        cut(&mut agent.output_tail);
        let words = [
            &mut agent.version,
            &mut agent.model,
            &mut agent.session,
            &mut agent.error,
        ];
        words.into_iter().flatten().for_each(brief);
    }
    if let Some(handoff) = &mut result.handoff {
        for list in [
            &mut handoff.files_created,
            &mut handoff.skills_invoked,
            &mut handoff.review_notes,
            &mut handoff.attempted,
        ] {
            list.truncate(MOST_LINES);
            list.iter_mut().for_each(cut);
        }
        brief(&mut handoff.status_word);
        handoff.agent.iter_mut().for_each(brief);
        let texts = [
            &mut handoff.blocked_reason,
            &mut handoff.question,
            &mut handoff.context,
        ];
        texts.into_iter().flatten().for_each(cut);
        handoff.threads.truncate(MOST_LINES);
        for thread in &mut handoff.threads {
            brief(&mut thread.thread);
            cut(&mut thread.done);
        }
        if handoff.raw.to_string().len() > MOST_RAW {
            handoff.raw = serde_json::Value::Null;
        }
    }
    match &mut result.verdict {
        Verdict::Failed { reasons, .. } => {
            reasons.truncate(MOST_LINES);
            for reason in reasons {
                *reason = text::clipped(std::mem::take(reason), 2_000);
            }
        }
        Verdict::Blocked { reason, attempted } => {
            *reason = text::clipped(std::mem::take(reason), 4_000);
            attempted.truncate(MOST_LINES);
            attempted.iter_mut().for_each(cut);
        }
        Verdict::Question { question } => {
            *question = text::clipped(std::mem::take(question), 4_000);
        }
        Verdict::Passed { .. } | Verdict::Interrupted => {}
    }
}

/// The bundle's one commit has this tree, stands on the order's base, and is of bearable size.
fn tree_is(
    repo: &Repo,
    dir: &Path,
    tree: &str,
    order: &Order,
) -> anyhow::Result<Result<(), Refused>> {
    let file = dir.join(BUNDLE);
    if !file.exists() {
        refuse!("it names a tree and brings no {BUNDLE}");
    }
    let commit = match repo.read_bundle(&file) {
        Ok(commit) => commit,
        Err(GitError::Program { detail, .. }) => {
            refuse!("git does not take its {BUNDLE}: {}", brief(&detail, 500))
        }
        Err(e) => return Err(e.into()),
    };
    let info = repo.commit_info(&commit)?;
    if info.parents != [order.base.clone()] && !crate::plant::is("replaced-base-accepted") {
        refuse!("it does not stand on the commit that the order starts from");
    }
    if repo.tree_of(&commit)? != *tree {
        refuse!("its {RESULT} names another tree than its {BUNDLE} brings");
    }
    let changes = repo.changes(&order.base, tree)?;
    if changes.len() > MOST_CHANGES {
        refuse!(
            "it changes {} files, and {MOST_CHANGES} are allowed",
            changes.len()
        );
    }
    let mut all = 0;
    for change in &changes {
        let after = change.after.as_ref().filter(|e| e.mode != 0o160_000);
        let size = match after {
            Some(entry) => repo.size_of(&entry.oid)?,
            None => 0,
        };
        all += size;
        if size > MOST_FILE {
            refuse!(
                "its {} has {size} bytes, and {MOST_FILE} are allowed",
                brief(&change.path, 200)
            );
        }
    }
    if all > MOST_FILES {
        refuse!("its files have {all} bytes, and {MOST_FILES} are allowed");
    }
    Ok(Ok(()))
}

/// What it says of the tree is what is seen there, and what passed was asked.
fn holds(
    repo: &Repo,
    result: &mut AttemptResult,
    order: &Order,
) -> anyhow::Result<Result<(), Refused>> {
    let passed = matches!(result.verdict, Verdict::Passed { .. });
    let Some(tree) = result.tree.clone() else {
        if passed {
            refuse!("it says that its checks pass, and brings nothing");
        }
        result.files.clear();
        result.api.clear();
        return Ok(Ok(()));
    };
    if order.agent.is_none() && tree != order.start_tree {
        refuse!("it changes files, and only checks were asked for");
    }
    if order.kind == OrderKind::Build {
        return Ok(ran(result, order, false));
    }
    let looked = attempt::look(repo, order, &tree)?;
    result.files = looked.files;
    result.api = looked.api;
    let mut said = std::mem::take(&mut result.checks);
    said.retain(|c| matches!(c.kind, CheckKind::Build | CheckKind::Command));
    if passed && let Some(bad) = looked.checks.iter().find(|c| !c.passed) {
        refuse!(
            "it says that its checks pass, and this does not hold: {}: {}",
            bad.name,
            brief(&bad.detail, 1_000)
        );
    }
    // In the order in which they ran.
    let (first, rest): (Vec<_>, Vec<_>) = looked.checks.into_iter().partition(|c| {
        matches!(
            c.kind,
            CheckKind::Files | CheckKind::Scope | CheckKind::Lines
        )
    });
    result.checks = first.into_iter().chain(said).chain(rest).collect();
    Ok(ran(result, order, passed))
}

/// Every command of the order has an outcome, when all are said to pass; and no other has.
fn ran(result: &AttemptResult, order: &Order, passed: bool) -> Result<(), Refused> {
    let commands = || {
        let of_commands =
            |c: &&CheckOutcome| matches!(c.kind, CheckKind::Build | CheckKind::Command);
        result.checks.iter().filter(of_commands)
    };
    if let Some(odd) = commands().find(|c| {
        let named = |o: &&crate::run::order::CheckCommand| shell_words(&o.command) == c.name;
        !order.checks.iter().any(|o| named(&o))
    }) {
        return Err(Refused(format!(
            "it ran {}, which was not asked for",
            brief(&odd.name, 200)
        )));
    }
    if !passed {
        return Ok(());
    }
    for asked in &order.checks {
        let name = shell_words(&asked.command);
        if !commands().any(|c| c.name == name && c.passed && c.kind == asked.kind) {
            return Err(Refused(format!(
                "it says that its checks pass, and has no outcome of {name}"
            )));
        }
    }
    Ok(())
}

/// Takes over what the agent left beside the tree: plain files, as many and as large as are kept.
///
/// # Errors
/// When they cannot be written.
pub fn take_outputs(from: &Path, to: &Path) -> anyhow::Result<()> {
    let source = Folder::outputs_in(from, &|_| true);
    for (path, bytes) in source.0 {
        let file = to.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, bytes).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// What is recorded in place of a result that was refused: nothing of it but the reason.
#[must_use]
pub fn instead(order: &Order, claim: &str, refused: &Refused, now: Timestamp) -> AttemptResult {
    failed(
        order,
        claim,
        &format!("what the job handed on was refused: {refused}"),
        now,
    )
}

/// A result that says nothing but why there is none.
#[must_use]
pub fn failed(order: &Order, claim: &str, why: &str, now: Timestamp) -> AttemptResult {
    AttemptResult {
        schema: SCHEMA,
        run: order.run.clone(),
        item: order.item.clone(),
        attempt: order.attempt,
        claim: claim.to_owned(),
        started: now,
        finished: now,
        verdict: Verdict::Failed {
            reasons: vec![why.to_owned()],
            retryable: false,
        },
        tree: None,
        files: Vec::new(),
        api: Vec::new(),
        checks: failed_build(order, why),
        faults: Vec::new(),
        agent: None,
        handoff: None,
        handoff_problem: None,
    }
}

/// A build that did not come about is one that failed.
fn failed_build(order: &Order, why: &str) -> Vec<CheckOutcome> {
    if order.kind != OrderKind::Build {
        return Vec::new();
    }
    let outcome = |c: &crate::run::order::CheckCommand| CheckOutcome {
        kind: c.kind,
        name: shell_words(&c.command),
        passed: false,
        detail: why.to_owned(),
        output: String::new(),
        duration_ms: 0,
    };
    order.checks.iter().map(outcome).collect()
}
