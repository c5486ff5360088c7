mod any;

use super::*;
use crate::plan::Config;
use crate::report::sample::{self, ada, at, oid};
use crate::run::approval::Carried;
use crate::run::order::{AttemptResult, OrderKind, SCHEMA, Verdict};
use crate::run::state::{Claim, Decision, Outcome, Pending, Phase, Review};

/// What came of the attempt under way on `key`.
fn result(state: &State, key: &str, verdict: Verdict) -> AttemptResult {
    let item = state.item(key).unwrap();
    let Phase::Running { claim } = &item.phase else {
        panic!("{key} is not running");
    };
    AttemptResult {
        schema: SCHEMA,
        run: state.run.clone(),
        item: key.to_owned(),
        attempt: claim.attempt,
        claim: claim.id.clone(),
        started: at(0),
        finished: at(1),
        verdict,
        tree: Some(oid('e')),
        files: Vec::new(),
        api: Vec::new(),
        checks: Vec::new(),
        faults: Vec::new(),
        agent: None,
        handoff: None,
        handoff_problem: None,
    }
}

#[test]
fn no_approval_carries_over_to_a_persons_commit_that_does_not_pass() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |_| {});
    let item = state.item_mut("types").unwrap();
    item.carries = vec![Carried {
        commit: oid('b'),
        since: None,
    }];
    item.phase = Phase::Pending;
    item.pending = Some(Pending {
        kind: OrderKind::Person,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: Some(oid('f')),
    });
    let mut claim = sample::claim(2);
    claim.kind = OrderKind::Person;
    claimed(&mut state, "types", claim).unwrap();
    let failed = Verdict::Failed {
        reasons: vec!["build: fails".to_owned()],
        retryable: true,
    };
    let result = result(&state, "types", failed);
    let facts = Facts {
        kind: OrderKind::Person,
        by: "Ada",
        prompt_sha256: "",
        published: Published {
            commit: Some(oid('f')),
            ..Published::default()
        },
        branch: "pertask/wiz/1-types",
        limits: &Config::default().limits,
    };
    finished(&mut state, &result, &facts).unwrap();
    let item = state.item("types").unwrap();
    assert_eq!(item.branch.as_ref().unwrap().head, oid('f'));
    assert_eq!(item.carries, Vec::new());
}

#[test]
fn a_result_of_another_claim_is_not_taken() {
    let mut state = sample::state();
    claimed(&mut state, "types", sample::claim(1)).unwrap();
    let mut late = result(
        &state,
        "types",
        Verdict::Passed {
            needs_review: false,
        },
    );
    late.claim.push_str("-earlier");
    let facts = Facts {
        kind: OrderKind::First,
        by: "claude",
        prompt_sha256: "",
        published: Published::default(),
        branch: "pertask/wiz/1-types",
        limits: &Config::default().limits,
    };
    let refused = finished(&mut state, &late, &facts).unwrap_err();
    assert!(
        refused.0.contains("not of the current claim"),
        "{}",
        refused.0
    );
}

#[test]
fn what_a_person_merged_is_what_its_log_tells_of() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |_| {});
    // Another attempt ended blocked before somebody merged what was there.
    sample::finish(&mut state, "types", |a| {
        a.outcome = crate::run::state::Outcome::Blocked;
        a.commit = None;
    });
    assert_eq!(
        state.item("types").unwrap().latest_work().unwrap().number,
        2
    );
    sample::merge(&mut state, "types");
    let item = state.item("types").unwrap();
    assert_eq!(item.latest_work().unwrap().number, 1);
}

#[test]
fn a_run_of_which_nothing_is_left_is_complete_without_a_pull_request() {
    let mut state = sample::state();
    state.forge = crate::plan::ForgeKind::Github;
    assert!(completed_empty(&mut state, at(9)).is_err());
    for key in ["types", "client", "transform", "handler"] {
        skipped(&mut state, key, "not needed", &sample::ada()).unwrap();
    }
    let held = crate::run::state::GateItem {
        item: "Final build succeeds".to_owned(),
        holds: true,
        detail: String::new(),
    };
    gate_seen(&mut state, vec![held], at(8));
    let said = completed_empty(&mut state, at(9)).unwrap();
    insta::assert_snapshot!(said, @"The run is complete: it has nothing that main does not have");
    assert!(state.pull.is_none() && state.end.is_some_and(|e| !e.aborted));
}

mod walks;

/// Somebody else may have ended the run between the look and the word.
#[test]
fn nothing_is_decided_in_a_run_that_has_ended() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |a| a.outcome = Outcome::Failed);
    state.item_mut("types").unwrap().phase = Phase::Failed {
        reasons: Vec::new(),
    };
    aborted(&mut state, &ada(), at(1)).unwrap();
    let before = state.clone();
    let review = Review {
        decision: Decision::Revise,
        by: ada(),
        at: at(2),
        commit: String::new(),
        text: "again".to_owned(),
        round: 1,
        source: None,
    };
    let said = [
        skipped(&mut state, "client", "not needed", &ada()),
        retried(&mut state, "types", false, &ada()),
        reviewed(&mut state, "types", review),
    ];
    for said in said {
        assert_eq!(said.unwrap_err().to_string(), "run wiz has ended");
    }
    assert_eq!(state, before);
}

/// An approval that was given before their commit was made is one of another commit.
#[test]
fn a_persons_commit_carries_approvals_from_when_it_was_made() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |_| {});
    let item = state.item_mut("types").unwrap();
    item.phase = Phase::Pending;
    item.pending = Some(Pending {
        kind: OrderKind::Person,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: Some(oid('f')),
    });
    let claim = Claim {
        kind: OrderKind::Person,
        ..sample::claim(2)
    };
    claimed(&mut state, "types", claim).unwrap();
    let passed = Verdict::Passed {
        needs_review: false,
    };
    let result = result(&state, "types", passed);
    let facts = Facts {
        kind: OrderKind::Person,
        by: "Ada",
        prompt_sha256: "",
        published: Published {
            commit: Some(oid('1')),
            made: Some(at(500)),
            ..Published::default()
        },
        branch: "pertask/wiz/1-types",
        limits: &Config::default().limits,
    };
    finished(&mut state, &result, &facts).unwrap();
    let carried = Carried {
        commit: oid('f'),
        since: Some(at(500)),
    };
    assert_eq!(state.item("types").unwrap().carries, [carried]);
}
