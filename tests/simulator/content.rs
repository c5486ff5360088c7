//! What is true of a tree: whether it builds, what it breaks, what the rules find in it.
//!
//! A word may bear marks: `!bad` breaks the build, `!without=KEY` breaks it as soon as the file of that
//! task is there, `!rule` is what the rules forbid. So an attempt's outcome follows from its tree, the
//! same on every machine and every time.

use git_pertask::plan::{Plan, Task};
use git_pertask::rules::Finding;
use git_pertask::run::order::{CheckKind, CheckOutcome, FileRules};

use super::git::{Pieces, path_of};

pub const RULE: &str = "error-handling";

/// Files in which the build fails.
pub fn broken(tree: &Pieces, plan: &Plan) -> Vec<String> {
    let there = |key: &str| {
        let task = plan.tasks.iter().find(|t| t.id == key);
        task.is_some_and(|t| tree.contains_key(&t.file))
    };
    tree.iter()
        .filter(|(_, word)| {
            word.contains("!bad")
                || word
                    .split_once("!without=")
                    .is_some_and(|(_, key)| there(key))
        })
        .map(|(piece, _)| path_of(piece).to_owned())
        .collect()
}

/// What the rules find in files that are asked about.
pub fn findings(tree: &Pieces, asked: &[FileRules]) -> Vec<Finding> {
    asked
        .iter()
        .filter(|f| f.rules.iter().any(|r| r == RULE))
        .filter(|f| tree.get(&f.path).is_some_and(|word| word.contains("!rule")))
        .map(|f| Finding {
            rule: RULE.to_owned(),
            file: f.path.clone(),
            line: 1,
            column: 1,
            message: "an error is dropped".to_owned(),
            hint: String::new(),
        })
        .collect()
}

pub fn check(kind: CheckKind, name: &str, passed: bool) -> CheckOutcome {
    CheckOutcome {
        kind,
        name: name.to_owned(),
        passed,
        detail: if passed { "holds" } else { "does not hold" }.to_owned(),
        output: String::new(),
        duration_ms: 1,
    }
}

/// The file of a task.
pub fn file_of(key: &str) -> String {
    format!("src/{key}.x")
}

/// A plan of these tasks: name, what it needs, whether its risk is high.
pub fn plan(tasks: &[(String, Vec<String>, bool)], rules: bool, build: bool) -> Plan {
    let text = serde_json::json!({
        "name": "wiz", "title": "Wiz", "base": null, "inputs": [], "skills": [], "directory": "",
        "build": if build { vec![vec!["build"]] } else { Vec::new() },
        "check_timeout_s": 600, "sparse": [], "time_constrained": false,
        "new_patterns": false, "tasks": [], "gate": {"build": [], "items": []}, "parameters": {},
        "source": {"kind": "plan-toml", "path": "plan.toml"}
    });
    let mut plan: Plan = serde_json::from_value(text).expect("a plan");
    plan.tasks = tasks
        .iter()
        .map(|(id, needs, high)| Task {
            id: id.clone(),
            title: format!("Task {id}"),
            file: file_of(id),
            purpose: format!("Does {id}"),
            depends_on: needs.clone(),
            rules: if rules {
                vec![RULE.to_owned()]
            } else {
                Vec::new()
            },
            risk: if *high {
                git_pertask::plan::Risk::High
            } else {
                git_pertask::plan::Risk::Low
            },
            ..Task::default()
        })
        .collect();
    plan
}
