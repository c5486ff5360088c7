//! The final checklist: the real items where they are computed from the ledger and files, over the
//! model's. Follows `src/driver/gate/mod.rs`.

use git_pertask::driver::gate::{Evidence, of_attempts, of_files};
use git_pertask::plan::{Plan, Sandbox};
use git_pertask::run::order::{
    CheckCommand, CheckKind, CheckOutcome, Design, Order, OrderKind, SCHEMA, Scope,
};
use git_pertask::run::state::{GateItem, State};

use super::store::Snapshot;
use super::world::World;

/// The commands of the final build.
pub fn commands(plan: &Plan) -> &[Vec<String>] {
    if plan.gate.build.is_empty() {
        &plan.build
    } else {
        &plan.gate.build
    }
}

/// As `gate::items`, without those that read documents.
pub fn items(w: &World, snapshot: &Snapshot, plan: &Plan, ran: &[CheckOutcome]) -> Vec<GateItem> {
    let state = snapshot.state();
    let mut evidence = Vec::new();
    for item in &state.items {
        for attempt in &item.attempts {
            let place = (item.leaf_of_attempt(attempt.number), attempt.number);
            let record = snapshot
                .entry
                .records
                .get(&place)
                .cloned()
                .unwrap_or_default();
            evidence.push(Evidence {
                item,
                number: attempt.number,
                order: record.order.map(|o| (*o).clone()),
                result: record.result.map(|r| (*r).clone()),
            });
        }
    }
    let chain = w
        .git
        .first_parents(&state.base.commit, &state.run_branch.head);
    let place = |commit: &str| {
        let place = chain.iter().position(|c| c == commit).map(|n| n + 1);
        place.or_else(|| w.git.is_in(commit, &state.base.commit).then_some(0))
    };
    let is_in = |one: &str, other: &str| match (place(one)?, place(other)?) {
        (0, 0) => Some(w.git.is_in(one, other)),
        (one, other) => Some(one <= other),
    };
    let mut found: Vec<GateItem> = of_attempts(state, plan, &evidence, &is_in).into();
    let read = |commit: &str, path: &str| Ok(w.git.file(commit, path));
    match of_files(state, plan, &read) {
        Ok(items) => found.extend(items),
        Err(e) => panic!("{e:#}"),
    }
    let bad = ran.iter().find(|c| !c.passed);
    found.push(GateItem {
        item: "Final build succeeds".to_owned(),
        holds: bad.is_none() && (!ran.is_empty() || commands(plan).is_empty()),
        detail: bad.map(|c| c.name.clone()).unwrap_or_default(),
    });
    found
}

/// The order for commands alone: in `Driver::hand_out_build`.
pub fn build_order(
    w: &World,
    state: &State,
    key: &str,
    commit: &str,
    commands: &[Vec<String>],
    check_timeout_s: u64,
) -> Order {
    Order {
        schema: SCHEMA,
        run: state.run.clone(),
        item: key.to_owned(),
        tasks: Vec::new(),
        round: 1,
        attempt: state.builds + 1,
        kind: OrderKind::Build,
        base: commit.to_owned(),
        origin: commit.to_owned(),
        start_tree: w.git.tree_of(commit),
        branch: "build".to_owned(),
        prompt: String::new(),
        prompt_sha256: String::new(),
        agent: None,
        scope: Scope {
            files: Vec::new(),
            allow: Vec::new(),
            requires: Vec::new(),
        },
        checks: commands
            .iter()
            .map(|command| CheckCommand {
                kind: CheckKind::Build,
                command: command.clone(),
            })
            .collect(),
        directory: String::new(),
        check_timeout_s,
        rules: Vec::new(),
        rule_files: Vec::new(),
        waived: Vec::new(),
        design: Design::default(),
        sparse: Vec::new(),
        sandbox: Sandbox::Off,
        claim: None,
    }
}
