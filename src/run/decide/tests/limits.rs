//! Limits of ours, and of agents.

use std::fmt::Write as _;

use super::*;
use crate::run::budget::left;

fn limits(f: &mut Facts, set: impl FnOnce(&mut Limits)) {
    set(f.limits.insert(crate::plan::Config::default().limits));
}
fn asks(f: &mut Facts, agents: &[(&str, &str)]) {
    let named = agents
        .iter()
        .map(|(k, a)| ((*k).to_owned(), (*a).to_owned()));
    f.agents = named.collect();
}
fn forward(s: &mut State, key: &str, kind: OrderKind) {
    let item = s.item_mut(key).unwrap();
    item.phase = Phase::Pending;
    item.pending = Some(Pending {
        kind,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: None,
    });
}

fn run(s: &mut State, key: &str, may_cost_cents: Option<u64>) {
    let claim = Claim {
        may_cost_cents,
        ..sample::claim(1)
    };
    s.item_mut(key).unwrap().phase = Phase::Running { claim };
}

/// Each attempt of the sample costs $0.40 and takes 900 s.
const CASES: &[(&str, Given)] = &[
    ("below its limits everything starts", |s, f| {
        merge(s, "types");
        limits(f, |l| {
            l.run_cost_usd = Some(0.5);
            l.run_time_s = Some(901);
            l.task_cost_usd = Some(0.01);
            l.task_time_s = Some(1);
        });
    }),
    (
        "the money of the run stops all, and is said once",
        |s, f| {
            merge(s, "types");
            limits(f, |l| l.run_cost_usd = Some(0.4));
        },
    ),
    ("and so does its time", |s, f| {
        merge(s, "types");
        limits(f, |l| l.run_time_s = Some(900));
    }),
    ("the money of a task stops that task", |s, f| {
        merge(s, "types");
        sample::finish(s, "client", |a| a.outcome = Outcome::Failed);
        forward(s, "client", OrderKind::Retry);
        limits(f, |l| l.task_cost_usd = Some(0.4));
    }),
    ("and so does its time", |s, f| {
        merge(s, "types");
        sample::finish(s, "client", |a| a.outcome = Outcome::Failed);
        forward(s, "client", OrderKind::Revision);
        limits(f, |l| l.task_time_s = Some(800));
    }),
    ("checks without an agent go on", |s, f| {
        merge(s, "types");
        sample::finish(s, "client", |_| {});
        forward(s, "client", OrderKind::Forward);
        sample::finish(s, "transform", |_| {});
        forward(s, "transform", OrderKind::Person);
        limits(f, |l| {
            l.run_cost_usd = Some(0.4);
            l.task_time_s = Some(1);
        });
    }),
    ("an agent at its limit is not asked, another is", |s, f| {
        merge(s, "types");
        asks(f, &[("client", "claude"), ("transform", "codex")]);
        s.limited.insert("claude".to_owned(), at(1101));
    }),
    ("until it ends", |s, f| {
        merge(s, "types");
        asks(f, &[("client", "claude"), ("transform", "claude")]);
        s.limited.insert("claude".to_owned(), at(1100));
    }),
    ("money under way is set aside", |s, f| {
        merge(s, "types");
        run(s, "client", Some(60));
        limits(f, |l| l.run_cost_usd = Some(1.6));
        f.may_cost.insert("transform".to_owned(), 0.61);
    }),
    ("and begins beside it what it leaves enough for", |s, f| {
        merge(s, "types");
        run(s, "client", Some(60));
        limits(f, |l| l.run_cost_usd = Some(1.6));
        f.may_cost.insert("transform".to_owned(), 0.6);
    }),
    ("what may cost all runs alone", |s, f| {
        merge(s, "types");
        limits(f, |l| l.run_cost_usd = Some(9.0));
    }),
    ("a limit of tasks makes it less", |s, f| {
        merge(s, "types");
        limits(f, |l| {
            l.run_cost_usd = Some(1.4);
            l.task_cost_usd = Some(0.5);
        });
    }),
    ("checks without an agent need no money", |s, f| {
        merge(s, "types");
        run(s, "client", Some(100));
        sample::finish(s, "transform", |_| {});
        forward(s, "transform", OrderKind::Person);
        limits(f, |l| l.run_cost_usd = Some(1.8));
    }),
];

#[test]
fn limits_of_ours_and_of_agents_keep_tasks_from_starting() {
    let mut all = String::new();
    for (what, given) in CASES {
        let (mut state, mut facts) = (state(), facts());
        given(&mut state, &mut facts);
        let said = said(&state, &facts).replace('\n', "\n  ");
        writeln!(all, "{what}\n  {said}").unwrap();
    }
    insta::assert_snapshot!(all, @r#"
    below its limits everything starts
      Start { item: "client" }
      Start { item: "transform" }
    the money of the run stops all, and is said once
      wait: Budget { item: None, reached: Reached { limit: RunCost, spent: 40, of: 40 } }
    and so does its time
      wait: Budget { item: None, reached: Reached { limit: RunTime, spent: 900, of: 900 } }
    the money of a task stops that task
      Start { item: "transform" }
      wait: Budget { item: Some("client"), reached: Reached { limit: TaskCost, spent: 40, of: 40 } }
    and so does its time
      Start { item: "transform" }
      wait: Budget { item: Some("client"), reached: Reached { limit: TaskTime, spent: 900, of: 800 } }
    checks without an agent go on
      Start { item: "client" }
      Start { item: "transform" }
    an agent at its limit is not asked, another is
      Start { item: "transform" }
      wait: Limited { agent: "claude", until: 2026-01-14T15:48:21Z }
    until it ends
      Start { item: "client" }
      Start { item: "transform" }
    money under way is set aside
      wait: Elsewhere { item: "client" }
      wait: SetAside { item: "transform" }
    and begins beside it what it leaves enough for
      Start { item: "transform" }
      wait: Elsewhere { item: "client" }
    what may cost all runs alone
      Start { item: "client" }
      wait: SetAside { item: "transform" }
    a limit of tasks makes it less
      Start { item: "client" }
      Start { item: "transform" }
    checks without an agent need no money
      Start { item: "transform" }
      wait: Elsewhere { item: "client" }
    "#);
    // What is left goes with the next attempt: the least of task and run.
    let (mut state, mut facts) = (state(), facts());
    merge(&mut state, "types");
    limits(&mut facts, |l| {
        l.task_cost_usd = Some(1.0);
        l.run_cost_usd = Some(1.5);
        l.task_time_s = Some(1000);
        l.run_time_s = Some(1000);
    });
    let limits = facts.limits.unwrap();
    let left_of = |state: &State| left(state, state.item("client").unwrap(), &limits);
    let left = left_of(&state);
    assert_eq!((left.cost_usd, left.time_s), (Some(1.0), Some(100)));
    // Without what another may still cost.
    run(&mut state, "transform", Some(60));
    assert_eq!(left_of(&state).cost_usd, Some(0.5));
}
