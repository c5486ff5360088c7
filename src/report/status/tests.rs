use super::*;
use crate::report::sample::{self, Random, at};
use crate::run::state::{End, GateItem, Phase};

fn review(key: &str) -> Wait {
    Wait::Review {
        item: key.to_owned(),
    }
}

fn elsewhere(key: &str) -> Wait {
    Wait::Elsewhere {
        item: key.to_owned(),
        claim: sample::claim(1),
    }
}

#[test]
fn midway_as_a_table() {
    let state = sample::midway();
    let waits = [review("client"), elsewhere("transform")];
    insta::assert_snapshot!(text(&state, &waits, at(1130), Style::PLAIN), @r"
        Run wiz: Wiz integration
        State    running
        Mode     per task (four tasks or more)
        Base     main at aaaaaaaaaa
        Branch   pertask/wiz/main at eeeeeeeeee
        Spent    $1.62 in 47 minutes 10 seconds

        TASK  ID         TITLE            STATE    TRY  LINES  BUILD      TIME   COST
        1/4   types      API types        merged     1    120  success  15m00s  $0.40
        2/4   client     HTTP client      review     2    185  success  30m00s  $1.22
        3/4   transform  Transformations  running    0      -  -         2m10s      -
        4/4   handler    Primary handler  pending    0      -  -             -      -

        Waiting for
        - a review of task 2 of 4, client (HTTP client): read it with
          `git pertask show wiz client`, then `git pertask approve wiz client` or
          `git pertask revise wiz client -m …`
        - attempt 1 on task 3 of 4, transform (Transformations), under way since
          2026-01-14T15:46:40Z on laptop (process 4711), until 2026-01-14T16:16:40Z at
          the latest
        ");
}

#[test]
fn at_the_start_and_at_the_gate() {
    let mut state = sample::batch();
    insta::assert_snapshot!(text(&state, &[], at(0), Style::PLAIN), @r"
        Run wiz: Wiz integration
        State    waiting
        Mode     batch (time-constrained)
        Base     main at aaaaaaaaaa
        Branch   pertask/wiz/main at aaaaaaaaaa

        TASK  ID         TITLE            STATE    TRY  LINES  BUILD  TIME
        1/4   types      API types        pending    0      -  -         -
        2/4   client     HTTP client      pending    0      -  -         -
        3/4   transform  Transformations  pending    0      -  -         -
        4/4   handler    Primary handler  pending    0      -  -         -

        Waiting for
        - somebody to carry on: `git pertask continue wiz`
        ");
    state.gate = vec![
        GateItem { item: "Tasks ordered by dependency".to_owned(), holds: true, detail: String::new() },
        GateItem {
            item: "Handler registered in integrations.go".to_owned(),
            holds: false,
            detail: "pkg/integrations.go holds no call that names the new package, and nothing else does".to_owned(),
        },
    ];
    insta::assert_snapshot!(text(&state, &[Wait::Gate], at(0), Style { colour: true }).replace('\u{1b}', "^"), @r"
        ^[1mRun wiz: Wiz integration^[0m
        ^[2mState   ^[0m ^[31mfailed^[0m
        ^[2mMode    ^[0m batch (time-constrained)
        ^[2mBase    ^[0m main at aaaaaaaaaa
        ^[2mBranch  ^[0m pertask/wiz/main at aaaaaaaaaa

        ^[2mTASK^[0m  ^[2mID^[0m         ^[2mTITLE^[0m            ^[2mSTATE^[0m    ^[2mTRY^[0m  ^[2mLINES^[0m  ^[2mBUILD^[0m  ^[2mTIME^[0m
        1/4   types      API types        ^[2mpending^[0m    0      -  -         -
        2/4   client     HTTP client      ^[2mpending^[0m    0      -  -         -
        3/4   transform  Transformations  ^[2mpending^[0m    0      -  -         -
        4/4   handler    Primary handler  ^[2mpending^[0m    0      -  -         -

        ^[1mGate^[0m
        ^[32m[x]^[0m Tasks ordered by dependency
        ^[31m[ ]^[0m Handler registered in integrations.go: pkg/integrations.go holds no call
            that names the new package, and nothing else does

        ^[1mWaiting for^[0m
        - a gate that holds: 1 of 2 items do not (Handler registered in integrations.go:
          pkg/integrations.go holds no call that names the new package, and nothing else
          does); mend it with a commit on pertask/wiz/main, then
          `git pertask continue wiz`
        ");
}

#[test]
fn midway_as_json() {
    let state = sample::midway();
    let json = json(&state, &[review("client")], at(1130));
    let mut short = json.clone();
    short["tasks"] = serde_json::json!([json["tasks"][1]]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&short).unwrap(), @r#"
        {
          "base": "main",
          "base_commit": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          "cost_usd": 1.62,
          "duration_s": 2830,
          "ended": null,
          "forge": "local",
          "gate": [],
          "mode": "per-task",
          "mode_reason": "four tasks or more",
          "plan": "wiz",
          "run": "wiz",
          "run_branch": "pertask/wiz/main",
          "run_head": "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
          "schema": 1,
          "started": "2026-01-14T15:29:00Z",
          "state": "waiting",
          "tasks": [
            {
              "attempts": 2,
              "branch": "pertask/wiz/2-client",
              "build": "success",
              "commit": "cccccccccccccccccccccccccccccccccccccccc",
              "cost_usd": 1.22,
              "duration_s": 1800,
              "file": "pkg/wiz/wiz_client.go",
              "id": "client",
              "item": "client",
              "lines": 185,
              "merged": null,
              "position": 2,
              "pull_request": null,
              "question": null,
              "reasons": [],
              "round": 1,
              "state": "review",
              "title": "HTTP client",
              "total": 4
            }
          ],
          "title": "Wiz integration",
          "violations": [],
          "waiting_for": [
            "a review of task 2 of 4, client (HTTP client): read it with `git pertask show wiz client`, then `git pertask approve wiz client` or `git pertask revise wiz client -m …`"
          ]
        }
        "#);
    for task in json["tasks"].as_array().unwrap() {
        for field in [
            "id",
            "position",
            "total",
            "file",
            "state",
            "attempts",
            "branch",
            "commit",
            "lines",
            "build",
            "question",
            "pull_request",
            "duration_s",
            "cost_usd",
        ] {
            assert!(task.get(field).is_some(), "{field}");
        }
    }
}

#[test]
fn the_state_of_the_whole() {
    let mut state = sample::midway();
    let of = |state: &_, waits: &[Wait]| view(state, waits, at(0)).state;
    let stopped = || Wait::Stopped {
        item: "client".to_owned(),
    };
    assert_eq!(of(&state, &[]), RunState::Waiting);
    assert_eq!(of(&state, &[review("client")]), RunState::Waiting);
    assert_eq!(
        of(&state, &[review("client"), elsewhere("transform")]),
        RunState::Running
    );
    assert_eq!(of(&state, &[stopped()]), RunState::Failed);
    assert_eq!(
        of(&state, &[stopped(), review("transform")]),
        RunState::Waiting
    );
    assert_eq!(
        of(&state, &[stopped(), elsewhere("transform")]),
        RunState::Running
    );
    assert_eq!(of(&state, &[Wait::Gate]), RunState::Failed);
    assert_eq!(
        of(&state, &[Wait::BaseBroken, review("client")]),
        RunState::Failed
    );
    assert_eq!(
        of(
            &state,
            &[Wait::Budget {
                item: None,
                reached: crate::run::budget::Reached {
                    limit: crate::run::decide::Limit::RunTime,
                    spent: 2,
                    of: 1
                }
            }]
        ),
        RunState::Failed
    );
    let limited = || Wait::Limited {
        agent: "claude".to_owned(),
        until: at(0),
    };
    assert_eq!(of(&state, &[limited()]), RunState::Waiting);
    assert_eq!(of(&state, &[limited(), Wait::Gate]), RunState::Failed);
    state.end = Some(End {
        at: at(0),
        aborted: false,
        by: None,
    });
    assert_eq!(of(&state, &[]), RunState::Complete);
    assert!(view(&state, &[], at(0)).waiting_for.is_empty());
    state.end = Some(End {
        at: at(0),
        aborted: true,
        by: Some(sample::ada()),
    });
    assert_eq!(of(&state, &[]), RunState::Aborted);
}

#[test]
fn every_phase_has_its_word() {
    let mut random = Random::new(3);
    for _ in 0..200 {
        let state = random.state();
        let waits: Vec<_> = state
            .items
            .iter()
            .map(|i| Wait::Stopped {
                item: i.key.clone(),
            })
            .collect();
        let json = json(&state, &waits, at(0));
        for task in json["tasks"].as_array().unwrap() {
            let item = state.item(task["item"].as_str().unwrap()).unwrap();
            let word = serde_json::to_value(&item.phase).unwrap()["is"].clone();
            assert_eq!(task["state"], word);
            assert_eq!(
                task["question"].is_string(),
                matches!(
                    &item.phase,
                    Phase::Blocked {
                        question: Some(_),
                        ..
                    }
                )
            );
        }
        let text = text(&state, &waits, at(0), Style::PLAIN);
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\r']), "{text:?}");
        let rows = text.lines().skip_while(|l| !l.starts_with("TASK")).take(5);
        assert!(rows.clone().all(|l| l.chars().count() <= WIDTH), "{text}");
    }
}

/// Generous, as the machine may be busy and the build is not optimised; what it would catch is a
/// search through all items for each of them.
#[test]
fn a_thousand_tasks() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |_| {});
    let first = state.items[0].clone();
    state.items = (1..=1000)
        .map(|n| {
            let mut item = first.clone();
            item.key = format!("task-number-{n}");
            item.tasks[0].id.clone_from(&item.key);
            item.tasks[0].position = n;
            item
        })
        .collect();
    let waits: Vec<_> = state.items.iter().map(|i| review(&i.key)).collect();
    let begun = std::time::Instant::now();
    let out = text(&state, &waits, at(0), Style::PLAIN);
    let took = begun.elapsed();
    assert_eq!(out.lines().filter(|l| l.contains("/1000 ")).count(), 1000);
    assert!(out.contains("and 990 more"), "{out}");
    assert!(took.as_millis() < 1000, "{took:?}");
}

#[test]
fn a_pull_request_is_named() {
    let mut state = sample::midway();
    let url = "https://github.com/o/r/pull/8";
    state.item_mut("client").unwrap().pull = Some(crate::run::state::Pull {
        number: 8,
        url: url.to_owned(),
        ..crate::run::state::Pull::default()
    });
    let json = json(&state, &[], at(1130));
    let pulls: Vec<_> = (0..2).map(|n| &json["tasks"][n]["pull_request"]).collect();
    let expected = serde_json::json!({ "number": 8, "url": url });
    assert_eq!(pulls, [&serde_json::Value::Null, &expected]);
}
