//! What a person reads at a checkpoint, whole.

use super::*;
use crate::report::sample::{self, Random};

#[test]
fn complete() {
    let state = sample::midway();
    let item = state.item("client").unwrap();
    insta::assert_snapshot!(text(&state, item, &[], Style::PLAIN), @r"
    Task 2 of 4 complete: wiz_client.go

    Created: ~ go.mod
             + pkg/wiz/wiz_client.go
             + pkg/wiz/wiz_client_test.go
             (+ created, ~ modified, - deleted)
    Lines:   185
    Build:   SUCCESS
    Rules:   none to check
    Spent:   15 minutes, $0.82 (2 attempts: 30 minutes, $1.22)
    Branch:  pertask/wiz/2-client at cccccccccc

    Quick review (the agent's words)
    - All errors wrapped with context

    API methods (read from the code)
    - newClient(apiKey string) *client
    - (*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)

    Continue?
      [c] Continue      approve it and go on
      [r] Review first  show the change before deciding
      [v] Revise        run it again with your feedback
    ");
}

#[test]
fn complete_in_batch() {
    let mut state = sample::batch();
    sample::finish(&mut state, "batch", |a| {
        a.checks.push(sample::check(
            CheckKind::Rules,
            "rules",
            true,
            "7 rules hold in 4 files",
        ));
        a.notes.clear();
        a.cost_usd = None;
    });
    insta::assert_snapshot!(text(&state, &state.items[0], &[], Style::PLAIN), @r"
    All 4 tasks complete: Wiz integration

    Created: + pkg/wiz/wiz.go
             + pkg/wiz/wiz_client.go
             + pkg/wiz/wiz_transform.go
             + pkg/wiz/wiz_types.go
    Lines:   types 185, client 185, transform 185, handler 185
    Build:   SUCCESS
    Rules:   7 rules hold in 4 files
    Spent:   15 minutes
    Branch:  pertask/wiz/batch at cccccccccc

    API methods (read from the code)
    - newClient(apiKey string) *client
    - (*client).ListAssets(ctx context.Context, token string) (*ListResponse, error)

    Continue to the gate?
      [c] Continue      approve it and go on
      [r] Review first  show the change before deciding
      [v] Revise        run it again with your feedback
    ");
}

#[test]
fn what_comes_next() {
    let mut state = sample::state();
    let ask = |state: &State, key: &str| question(state, state.item(key).unwrap());
    assert_eq!(
        ask(&state, "types"),
        "Continue to tasks 2 (HTTP client) and 3 (Transformations)?"
    );
    sample::finish(&mut state, "types", |_| {});
    sample::merge(&mut state, "types");
    assert_eq!(
        ask(&state, "client"),
        "Continue to task 3 (Transformations)?"
    );
    sample::finish(&mut state, "transform", |_| {});
    assert_eq!(ask(&state, "client"), "Continue?");
    sample::merge(&mut state, "transform");
    assert_eq!(
        ask(&state, "client"),
        "Continue to task 4 (Primary handler)?"
    );
    assert_eq!(ask(&sample::batch(), "batch"), "Continue to the gate?");
}

#[test]
fn failed() {
    let mut state = sample::state();
    sample::fail(&mut state, "client");
    let item = state.item("client").unwrap();
    let output = (1..=40).map(|n| format!("wiz.go:{n}: \u{1b}[31mundefined\u{1b}[0m: x\n"));
    let output: String = output.collect();
    insta::assert_snapshot!(stopped(&state, item, Some(&output), Style::PLAIN), @r"
    Task 2 of 4 failed: wiz_client.go

    - go build ./... fails: undefined: Asset

    What does not hold
    - go build ./...: exit status 1
        wiz.go:1: undefined: x
        wiz.go:2: undefined: x
        wiz.go:3: undefined: x
        wiz.go:4: undefined: x
        wiz.go:5: undefined: x
        wiz.go:6: undefined: x
        wiz.go:7: undefined: x
        wiz.go:8: undefined: x
        wiz.go:9: undefined: x
        wiz.go:10: undefined: x
        wiz.go:11: undefined: x
        wiz.go:12: undefined: x
        … 16 lines left out …
        wiz.go:29: undefined: x
        wiz.go:30: undefined: x
        wiz.go:31: undefined: x
        wiz.go:32: undefined: x
        wiz.go:33: undefined: x
        wiz.go:34: undefined: x
        wiz.go:35: undefined: x
        wiz.go:36: undefined: x
        wiz.go:37: undefined: x
        wiz.go:38: undefined: x
        wiz.go:39: undefined: x
        wiz.go:40: undefined: x

    Created: + pkg/wiz/wiz_client.go
    Lines:   185
    Spent:   15 minutes, $0.40
    Kept on: pertask/wiz/kept/client-1

    Next
      git pertask retry wiz client          try again, from where it stopped
      git pertask retry --fresh wiz client  try again, from the run branch
      git pertask revise wiz client -m …    say what to do differently, and try again
      git pertask skip wiz client -m …      leave it out, saying why
      git pertask abort wiz                 end the run; every branch is kept
    ");
}

#[test]
fn asking_and_blocked() {
    let mut state = sample::state();
    sample::finish(&mut state, "client", |a| {
        a.outcome = Outcome::Question;
        a.files.clear();
    });
    let mut set = |phase| {
        state.item_mut("client").unwrap().phase = phase;
        stopped(&state, state.item("client").unwrap(), None, Style::PLAIN)
    };
    let asking = set(Phase::Blocked {
        reason: "the agent asks".to_owned(),
        attempted: Vec::new(),
        question: Some("Which region?\n1. us\n2. eu".to_owned()),
    });
    let blocked = set(Phase::Blocked {
        reason: "no network".to_owned(),
        attempted: vec!["go mod download".to_owned()],
        question: None,
    });
    insta::assert_snapshot!(format!("{asking}=====\n{blocked}"), @r"
    Task 2 of 4 has a question: wiz_client.go

    The agent asks
      Which region?
      1. us
      2. eu

    Spent:   15 minutes, $0.40

    Next
      git pertask revise wiz client -m …    answer the question, and go on
      git pertask retry wiz client          try again, from where it stopped
      git pertask retry --fresh wiz client  try again, from the run branch
      git pertask skip wiz client -m …      leave it out, saying why
      git pertask abort wiz                 end the run; every branch is kept
    =====
    Task 2 of 4 blocked: wiz_client.go

    The agent cannot go on
      no network

    What it says it tried
    - go mod download

    Spent:   15 minutes, $0.40

    Next
      git pertask retry wiz client          try again, from where it stopped
      git pertask retry --fresh wiz client  try again, from the run branch
      git pertask revise wiz client -m …    say what to do differently, and try again
      git pertask skip wiz client -m …      leave it out, saying why
      git pertask abort wiz                 end the run; every branch is kept
    ");
}

#[test]
fn any_state_can_be_shown() {
    let mut random = Random::new(5);
    for _ in 0..300 {
        let state = random.state();
        let output = random.hostile();
        for item in &state.items {
            let all = [
                text(&state, item, &[], Style::PLAIN),
                stopped(&state, item, Some(&output), Style::PLAIN),
            ];
            for text in all {
                assert!(
                    !text.contains(['\u{1b}', '\u{202e}', '\r', '\0']),
                    "{text:?}"
                );
            }
        }
    }
}
