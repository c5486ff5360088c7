//! Tables: how things are, and what is decided.

use super::*;
use crate::report::sample::{self, ada, at, oid};
use crate::rules::Finding;
use crate::run::P0;
use crate::run::order::OrderKind;
use crate::run::seen::{Account, Seen, SeenPull};
use crate::run::seen::{Command, Voice, VoiceKind};
use crate::run::state::{BaseBuild, Branch, GateItem, Heard, Outcome, Pending, Pull};
use crate::run::transition;

mod limits;

/// A run whose base builds.
fn state() -> State {
    let mut state = sample::state();
    state.base_build = Some(BaseBuild {
        at: at(0),
        checks: Vec::new(),
    });
    state
}

fn facts() -> Facts {
    Facts {
        now: at(1100),
        slots: 2,
        base_built: true,
        ..Facts::default()
    }
}

/// Actions and waits, one to a line.
fn said(state: &State, facts: &Facts) -> String {
    let decision = decide(state, facts);
    let mut lines: Vec<String> = decision.actions.iter().map(|a| format!("{a:?}")).collect();
    lines.extend(decision.waits.iter().map(|w| match w {
        Wait::Elsewhere { item, .. } => format!("wait: Elsewhere {{ item: {item:?} }}"),
        wait => format!("wait: {wait:?}"),
    }));
    lines.join("\n")
}

fn merge(state: &mut State, key: &str) {
    sample::finish(state, key, |_| {});
    sample::merge(state, key);
}

fn merge_all(state: &mut State) {
    for key in ["types", "client", "transform", "handler"] {
        merge(state, key);
    }
}

fn reopen(state: &mut State, key: &str) {
    let item = state.item_mut(key).unwrap();
    item.rounds.push(crate::run::state::Round {
        number: item.round,
        branch: item.branch.take(),
        merged: item.merged.take(),
        reopened: "The build of client fails in its file".to_owned(),
        errors: String::new(),
        pull: None,
    });
    item.round += 1;
    item.phase = Phase::Pending;
}

fn approve(state: &mut State, key: &str) {
    sample::finish(state, key, |_| {});
    state.item_mut(key).unwrap().phase = Phase::Approved {
        because: "approved by Ada Lovelace".to_owned(),
        commit: oid('c'),
        by_policy: false,
    };
}

fn finding() -> Finding {
    Finding {
        rule: "pagination".to_owned(),
        file: "pkg/wiz/wiz_types.go".to_owned(),
        line: 4,
        column: 1,
        message: "no bound".to_owned(),
        hint: String::new(),
    }
}

/// How things are: a change of state and facts.
type Given = fn(&mut State, &mut Facts);

#[test]
fn a_reopened_task_is_started_and_what_needs_it_waits() {
    let cases: &[(&str, Given, &str)] = &[
        (
            "what builds on it and has not begun waits",
            |s, _| {
                merge(s, "types");
                reopen(s, "types");
            },
            r#"Start { item: "types" }"#,
        ),
        (
            "what is merged stays merged",
            |s, _| {
                merge(s, "types");
                merge(s, "client");
                reopen(s, "types");
            },
            r#"Start { item: "types" }"#,
        ),
        (
            "a review of what builds on it may go on",
            |s, _| {
                merge(s, "types");
                sample::finish(s, "client", |_| {});
                reopen(s, "types");
            },
            "Start { item: \"types\" }\nwait: Review { item: \"client\" }",
        ),
        (
            "what is approved is not merged before it",
            |s, f| {
                merge(s, "types");
                approve(s, "client");
                f.up_to_date.insert("client".to_owned());
                reopen(s, "types");
            },
            r#"Start { item: "types" }"#,
        ),
        (
            "and is brought forward after it",
            |s, _| {
                merge(s, "types");
                approve(s, "client");
                reopen(s, "types");
                merge(s, "types");
            },
            "Forward { item: \"client\" }\nStart { item: \"transform\" }",
        ),
        (
            "one that waits for a task it does not depend on",
            |s, f| {
                merge(s, "types");
                merge(s, "transform");
                f.slots = 5;
                reopen(s, "transform");
                s.item_mut("client").unwrap().waits_for = vec!["transform".to_owned()];
            },
            r#"Start { item: "transform" }"#,
        ),
        (
            "a task left out needs nobody",
            |s, _| {
                merge(s, "types");
                transition::skipped(s, "client", "no", &ada()).unwrap();
                merge(s, "transform");
            },
            r#"Start { item: "handler" }"#,
        ),
    ];
    for (what, given, want) in cases {
        let (mut state, mut facts) = (state(), facts());
        given(&mut state, &mut facts);
        assert_eq!(said(&state, &facts), *want, "{what}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn the_rules_are_settled_after_the_last_task_and_before_the_gate() {
    let cases: &[(&str, Given, &str)] = &[
        ("no rule is named", |_, _| {}, "Gate"),
        ("they were never run", |_, f| f.rules_named = true, "Judge"),
        (
            "they were run on another commit",
            |s, f| {
                f.rules_named = true;
                transition::judged(s, &oid('b'), Vec::new());
            },
            "Judge",
        ),
        (
            "they hold, and the report does not say so yet",
            |s, f| {
                f.rules_named = true;
                let head = s.run_branch.head.clone();
                transition::judged(s, &head, Vec::new());
            },
            "Report",
        ),
        (
            "they hold, and the report says so",
            |s, f| {
                f.rules_named = true;
                transition::judged(s, &oid('e'), Vec::new());
                transition::reported(s, &oid('e'));
            },
            "Gate",
        ),
        (
            "one does not hold",
            |s, f| {
                f.rules_named = true;
                transition::judged(s, &oid('e'), vec![finding()]);
            },
            "Validate",
        ),
        (
            "a reviewer noted something, and no rule is named",
            |s, _| {
                transition::noted(s, Some("types"), "no timeout", &ada(), at(0)).unwrap();
            },
            "Validate",
        ),
        (
            "a person let it pass",
            |s, f| {
                f.rules_named = true;
                transition::judged(s, &oid('e'), vec![finding()]);
                transition::excepted(s, "agreed", &ada(), at(0)).unwrap();
            },
            "Report",
        ),
        (
            "a second one like it came up since",
            |s, f| {
                f.rules_named = true;
                transition::judged(s, &oid('e'), vec![finding()]);
                transition::excepted(s, "agreed", &ada(), at(0)).unwrap();
                let mut other = finding();
                other.line = 90;
                transition::judged(s, &oid('e'), vec![finding(), other]);
            },
            "Validate",
        ),
        (
            "the task that puts them right is there",
            |s, f| {
                f.rules_named = true;
                transition::judged(s, &oid('e'), vec![finding()]);
                transition::validation_opened(s, "report.md");
            },
            r#"Start { item: "p0" }"#,
        ),
        (
            "it is merged, and something was noted after its agent had begun",
            |s, _| {
                transition::noted(s, Some("types"), "no timeout", &ada(), at(0)).unwrap();
                transition::validation_opened(s, "report.md");
                transition::claimed(s, P0, sample::claim(1)).unwrap();
                transition::noted(s, None, "no retry", &ada(), at(1)).unwrap();
                approve(s, P0);
                transition::merged(s, P0, &oid('e'), at(2)).unwrap();
                assert_eq!(s.compliance.open(), 1);
            },
            "Validate",
        ),
        (
            "the gate is known not to hold",
            |s, f| {
                f.gate_seen = true;
                s.gate = vec![GateItem {
                    item: "Final build succeeds".to_owned(),
                    holds: false,
                    detail: String::new(),
                }];
            },
            "wait: Gate",
        ),
    ];
    for (what, given, want) in cases {
        let (mut state, mut facts) = (state(), facts());
        merge_all(&mut state);
        given(&mut state, &mut facts);
        assert_eq!(said(&state, &facts), *want, "{what}");
    }
}

#[test]
fn a_violation_stops_nothing_while_tasks_remain() {
    let (mut state, mut facts) = (state(), facts());
    facts.rules_named = true;
    merge(&mut state, "types");
    let said_of_it = transition::judged(&mut state, &oid('e'), vec![finding()]);
    assert_eq!(
        said_of_it.as_deref(),
        Some("1 P0 violation on the run branch, to be put right after the last task")
    );
    assert_eq!(
        said(&state, &facts),
        "Start { item: \"client\" }\nStart { item: \"transform\" }"
    );
}

#[test]
fn the_validation_left_out_is_opened_again_for_what_comes_up_later() {
    let mut state = state();
    merge_all(&mut state);
    transition::judged(&mut state, &oid('e'), vec![finding()]);
    transition::validation_opened(&mut state, "report.md");
    transition::excepted(&mut state, "agreed", &ada(), at(0)).unwrap();
    assert!(matches!(
        state.item(P0).unwrap().phase,
        Phase::Skipped { .. }
    ));
    let mut other = finding();
    other.message = "another".to_owned();
    transition::judged(&mut state, &oid('e'), vec![finding(), other]);
    transition::validation_opened(&mut state, "report.md");
    assert_eq!(state.items.iter().filter(|i| i.key == P0).count(), 1);
    assert_eq!(said(&state, &facts()), r#"Start { item: "p0" }"#);
    assert_eq!(state.compliance.to_mend.len(), 2);
}

#[test]
fn what_a_state_without_these_fields_says_is_read_all_the_same() {
    let mut json = serde_json::to_value(state()).unwrap();
    let object = json.as_object_mut().unwrap();
    object.remove("compliance");
    for item in object["items"].as_array_mut().unwrap() {
        let item = item.as_object_mut().unwrap();
        item.remove("waits_for");
        item.remove("rounds");
    }
    let read: State = serde_json::from_value(json).unwrap();
    assert_eq!(read, state());
}

#[test]
fn attempts_that_were_another_tasks_fault_or_cut_off_do_not_count() {
    let mut state = state();
    for blamed in [true, false] {
        sample::finish(&mut state, "types", |a| {
            a.outcome = Outcome::Failed;
            if blamed {
                a.blames = vec!["client".to_owned()];
            }
        });
    }
    sample::finish(&mut state, "types", |a| a.outcome = Outcome::Interrupted);
    let item = state.item_mut("types").unwrap();
    assert_eq!(item.automatic_attempts(), 1);
    item.branch = Some(Branch {
        name: "x".to_owned(),
        head: oid('c'),
    });
    item.pending = Some(Pending {
        kind: OrderKind::Retry,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: None,
    });
    assert_eq!(item.next_attempt(), 4);
}

/// Somebody was heard, and before that was answered, the task was merged by hand.
#[test]
fn who_was_heard_is_answered_after_a_merge_by_hand() {
    let (mut state, mut facts) = (state(), facts());
    merge(&mut state, "types");
    let item = state.item_mut("types").unwrap();
    item.pull = Some(Pull {
        number: 7,
        url: String::new(),
        head: oid('a'),
        since: at(0),
        closed: false,
        replied: None,
        heard: vec![Heard {
            id: "c1".to_owned(),
            reply: None,
            followed: true,
            answer: false,
            answered: false,
        }],
    });
    let targets = |state: &State| crate::driver::pulls::targets(state).len();
    assert_eq!(targets(&state), 0, "every merged task would be looked at");
    state
        .item_mut("types")
        .unwrap()
        .merged
        .as_mut()
        .unwrap()
        .by_hand = true;
    assert_eq!(targets(&state), 1);
    let voice = Voice {
        id: "c1".to_owned(),
        number: 1,
        by: Account::default(),
        permitted: true,
        at: at(0),
        altered: false,
        text: "/pertask abort".to_owned(),
        url: String::new(),
        kind: VoiceKind::Command(Command::Abort),
        marked: false,
    };
    let mut see = |marked| {
        let pull = SeenPull {
            number: 7,
            voices: vec![Voice {
                marked,
                ..voice.clone()
            }],
            ..SeenPull::default()
        };
        facts.seen = Some(Seen {
            at: at(0),
            viewer: Account::default(),
            pulls: [("types".to_owned(), pull)].into(),
            last: None,
        });
        said(&state, &facts)
    };
    let answers = r#"Answer { item: "types", voice: "c1" }"#;
    assert!(see(false).contains(answers), "{}", see(false));
    assert!(!see(true).contains("Answer"), "{}", see(true));
}
