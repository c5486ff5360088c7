//! What was written once is read for ever: one file of each persisted format, as it was written when
//! that version was new. A file here is never changed; a new version of a format gets a file of its
//! own beside it.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod support;

use git_pertask::plan::{Config, Plan};
use git_pertask::run::order::{AttemptResult, Order, Verdict};
use git_pertask::run::state::{Phase, SCHEMA, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use support::{GOOD, Sandbox, TWO};

/// Reads a file, and sees to it that what is written of it again is read as the same.
fn read<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &str) -> T {
    let value: T = serde_json::from_str(text).unwrap();
    let again: T = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
    assert_eq!(value, again);
    value
}

#[test]
fn a_state_of_version_1() {
    let state: State = read(include_str!("formats/state-1.json"));
    assert_eq!(state.schema, 1);
    assert_eq!(state.run, "wiz");
    let phases: Vec<_> = state
        .items
        .iter()
        .map(|i| {
            (
                i.key.as_str(),
                matches!(i.phase, Phase::Merged),
                i.attempts.len(),
            )
        })
        .collect();
    assert_eq!(
        phases,
        [
            ("types", true, 1),
            ("client", false, 2),
            ("transform", false, 1),
            ("handler", false, 0)
        ]
    );
    // What came later is absent in it, and is kept where it is written.
    let attempts = || state.items.iter().flat_map(|i| &i.attempts);
    assert!(state.limited.is_empty());
    assert!(attempts().all(|a| a.limited_until.is_none() && !a.cost_missing));
    let mut limited = state.clone();
    let until = jiff::Timestamp::UNIX_EPOCH;
    limited.limited.insert("claude".to_owned(), until);
    limited.items[0].attempts[0].limited_until = Some(until);
    limited.items[0].attempts[0].cost_missing = true;
    let again: State = read(&serde_json::to_string(&limited).unwrap());
    assert_eq!(again, limited);
}

#[test]
fn an_order_and_a_result_of_version_1() {
    let order: Order = read(include_str!("formats/order-1.json"));
    assert_eq!((order.item.as_str(), order.attempt), ("client", 1));
    let result: AttemptResult = read(include_str!("formats/result-1.json"));
    assert!(matches!(result.verdict, Verdict::Failed { .. }));
    assert!(
        result
            .checks
            .iter()
            .any(|c| !c.passed && c.output.contains("undefined"))
    );
}

#[test]
fn a_plan_and_a_configuration_of_version_1() {
    let plan: Plan = read(include_str!("formats/plan-1.json"));
    assert_eq!(plan.tasks.len(), 4);
    let config: Config = read(include_str!("formats/config-1.json"));
    assert_eq!(config.agent, "scripted");
    let limits = &config.limits;
    assert_eq!((limits.attempts, limits.of_money().len()), (3, 0));
    assert_eq!((limits.task_time_s, limits.run_time_s), (None, None));
}

/// A state from the future is refused with its version, and left alone.
#[test]
fn a_newer_state_is_refused() {
    let site = Sandbox::with(TWO, GOOD);
    site.pertask(["start", "wiz"]).code(0);
    let name = "refs/pertask/runs/wiz";
    let state = site.git(["show", &format!("{name}:state.json")]);
    let newer_state = state.replacen("\"schema\":1,", "\"schema\":99,", 1);
    assert_ne!(state, newer_state);
    site.write("newer.json", &newer_state);
    let blob = site.git(["hash-object", "-w", "newer.json"]);
    let out = newer(&site, name, blob.trim());
    assert_eq!(out.code, 2, "{}", out.text());
    insta::assert_snapshot!(out.stderr.trim(), @"git-pertask: run wiz was written by a newer git-pertask (its state has version 99, this program knows up to 1); update git-pertask");
    assert_eq!(
        SCHEMA, 1,
        "a new version needs a file of its own in tests/formats"
    );
}

/// Points the ledger at a commit that holds this blob as its state.
fn newer(site: &Sandbox, name: &str, blob: &str) -> support::Output {
    let entry = format!("100644,{blob},state.json");
    site.git(["read-tree", "--empty"]);
    site.git(["update-index", "--add", "--cacheinfo", &entry]);
    let tree = site.git(["write-tree"]);
    let commit = site.git(["commit-tree", "-m", "newer", tree.trim()]);
    site.git(["update-ref", name, commit.trim()]);
    site.pertask(["status", "wiz"])
}
