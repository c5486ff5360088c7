//! Writes the ledger of a large run into the repository around the working directory, step by step
//! as a run would: `bench-ledger TASKS ENTRIES`. Each task takes five entries: an attempt that
//! fails, one that passes, the merge. For `bench/run`.

use std::path::Path;

use anyhow::Context as _;
use git_pertask::git::Repo;
use git_pertask::ledger::{Ledger, Snapshot};
use git_pertask::plan::{CheckpointPolicy, Config, Mode, Plan};
use git_pertask::run::order::{AttemptResult, OrderKind};
use git_pertask::run::state::{Base, Claim, Person, State};
use git_pertask::run::transition::{self, Facts, Published, Start};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|n| n.parse::<usize>());
    let (Some(Ok(tasks)), Some(Ok(entries))) = (numbers.next(), numbers.next()) else {
        anyhow::bail!("usage: bench-ledger TASKS ENTRIES");
    };
    let repo = Repo::discover(Path::new("."))?;
    let by = repo.identity()?;
    let plan = plan(tasks)?;
    let config = Config {
        checkpoint: CheckpointPolicy::None,
        ..Config::default()
    };
    let at = Timestamp::from_second(1_700_000_000)?;
    let commit = repo.head()?.commit;
    let state = transition::start(Start {
        run: "bench",
        number: 1,
        plan: &plan,
        config: &config,
        mode: (Mode::PerTask, "many tasks".to_owned()),
        base: Base {
            branch: "main".to_owned(),
            commit: commit.clone(),
        },
        by: by.clone(),
        at,
    });
    let ledger = Ledger::of(&repo, "bench");
    let snapshot = ledger.create(state, &plan, &config, "Run bench starts", &by, at)?;
    let mut writer = Writer {
        ledger,
        snapshot,
        by,
        left: entries.saturating_sub(1),
        config,
        commit,
        at,
    };
    writer.step(|_, state, at| Ok(transition::base_built(state, Vec::new(), at)))?;
    for task in &plan.tasks {
        if writer.left == 0 {
            break;
        }
        writer.attempt(&task.id, 1, false)?;
        writer.attempt(&task.id, 2, true)?;
        writer.step(|w, state, at| Ok(transition::merged(state, &task.id, &w.commit, at)?))?;
    }
    Ok(())
}

struct Writer<'r> {
    ledger: Ledger<'r>,
    snapshot: Snapshot,
    by: Person,
    left: usize,
    config: Config,
    commit: String,
    at: Timestamp,
}

impl Writer<'_> {
    fn step(
        &mut self,
        change: impl FnOnce(&Self, &mut State, Timestamp) -> anyhow::Result<String>,
    ) -> anyhow::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        self.at += SignedDuration::from_secs(30);
        let mut state = self.snapshot.state.clone();
        let said = change(self, &mut state, self.at)?;
        let none = Vec::new();
        self.snapshot =
            self.ledger
                .append(&self.snapshot, state, &said, none, &self.by, self.at)?;
        Ok(())
    }

    fn attempt(&mut self, key: &str, number: u32, passes: bool) -> anyhow::Result<()> {
        let id = format!("{key}-{number}");
        let claim = id.clone();
        self.step(|_, state, at| {
            let claim: Claim = serde_json::from_value(json!({
                "id": claim, "attempt": number, "kind": OrderKind::First, "since": at,
                "deadline": at + SignedDuration::from_mins(30),
                "holder": {"host": "bench", "boot": "", "pid": 1, "started": 1},
            }))?;
            Ok(transition::claimed(state, key, claim)?)
        })?;
        self.step(|w, state, at| {
            let result = result(key, number, &id, passes, at)?;
            let facts = Facts {
                kind: OrderKind::First,
                by: "claude",
                prompt_sha256: &"0123456789abcdef".repeat(4),
                published: Published {
                    commit: Some(w.commit.clone()),
                    kept: (!passes).then(|| format!("pertask/bench/kept/{key}-{number}")),
                    carries_approval: false,
                    made: None,
                },
                branch: &format!("pertask/bench/{key}"),
                limits: &w.config.limits,
            };
            Ok(transition::finished(state, &result, &facts)?)
        })
    }
}

fn result(
    key: &str,
    number: u32,
    claim: &str,
    passes: bool,
    at: Timestamp,
) -> anyhow::Result<AttemptResult> {
    let check = |kind: &str, name: &str, passed: bool| {
        json!({"kind": kind, "name": name, "passed": passed, "detail": "as it should be, or not",
               "output": "", "duration_ms": 1200})
    };
    let verdict = if passes {
        json!({"is": "passed", "needs_review": false})
    } else {
        json!({"is": "failed", "reasons": ["go build ./...: exit status 1"], "retryable": true})
    };
    let value: Value = json!({
        "schema": 1, "run": "bench", "item": key, "attempt": number, "claim": claim,
        "started": at, "finished": at, "verdict": verdict,
        "tree": "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        "files": [
            {"path": format!("pkg/{key}/{key}.go"), "change": "added", "lines": 140},
            {"path": format!("pkg/{key}/{key}_test.go"), "change": "added", "lines": 90},
        ],
        "api": [], "handoff": null, "handoff_problem": null,
        "checks": [
            check("files", "files exist", true), check("scope", "scope", true),
            check("lines", "line limit", true), check("build", "go build ./...", passes),
        ],
        "agent": {
            "exit": {"is": "exited", "code": 0}, "version": "2.1.0", "model": "opus",
            "session": null, "cost_usd": 0.31, "tokens": 52000, "turns": 12, "error": null,
            "limited_until": null, "output_tail": "", "output_bytes": 120_000, "left_behind": 0,
            "duration_ms": 95_000,
        },
    });
    serde_json::from_value(value).context("the shape of a result has changed")
}

fn plan(tasks: usize) -> anyhow::Result<Plan> {
    let tasks: Vec<Value> = (1..=tasks)
        .map(|n| {
            let before = if n % 10 == 1 {
                Vec::new()
            } else {
                vec![format!("module-{}", n - 1)]
            };
            json!({
                "id": format!("module-{n}"), "title": format!("Module {n}"),
                "file": format!("pkg/module-{n}/module-{n}.go"), "purpose": "Moves one module",
                "requirements": [], "example": null, "success": [], "estimated_lines": 140,
                "max_lines": 200, "depends_on": before, "rules": [], "checks": [], "allow": [],
                "requires": [], "risk": "low", "complex_data": false, "agent": null,
            })
        })
        .collect();
    let value = json!({
        "name": "bench", "title": "A migration of many modules", "base": null, "inputs": [],
        "skills": [], "directory": "", "build": [["go", "build", "./..."]],
        "check_timeout_s": 600, "sparse": [], "time_constrained": false, "new_patterns": false,
        "tasks": tasks, "gate": {"build": []}, "parameters": {},
        "source": {"kind": "plan-toml", "path": ".pertask/bench/plan.toml"},
    });
    serde_json::from_value(value).context("the shape of a plan has changed")
}
