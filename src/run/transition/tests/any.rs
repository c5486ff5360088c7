//! Whatever comes, in whatever order: no state that cannot be, and nothing lost in the ledger's JSON.

use super::*;
use crate::report::sample::Random;
use crate::run::state::{Branch, Decision, Review, SCHEMA as STATE_SCHEMA};

const KEYS: [&str; 5] = ["types", "client", "transform", "handler", "nobody"];

fn name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Pending => "pending",
        Phase::Running { .. } => "running",
        Phase::Review => "review",
        Phase::Approved { .. } => "approved",
        Phase::Merged => "merged",
        Phase::Failed { .. } => "failed",
        Phase::Blocked { .. } => "blocked",
        Phase::Skipped { .. } => "skipped",
    }
}

/// From where each transition leads where; what is not here cannot be.
const EDGES: &[(&str, &str, &str)] = &[
    ("claimed", "pending", "running"),
    ("freed", "running", "pending"),
    ("freed", "running", "failed"),
    ("finished", "running", "pending"),
    ("finished", "running", "review"),
    ("finished", "running", "approved"),
    ("finished", "running", "failed"),
    ("finished", "running", "blocked"),
    ("reviewed", "review", "approved"),
    ("reviewed", "review", "pending"),
    ("reviewed", "approved", "pending"),
    ("reviewed", "failed", "pending"),
    ("reviewed", "blocked", "pending"),
    ("retried", "failed", "pending"),
    ("retried", "blocked", "pending"),
    ("skipped", "pending", "skipped"),
    ("skipped", "review", "skipped"),
    ("skipped", "approved", "skipped"),
    ("skipped", "failed", "skipped"),
    ("skipped", "blocked", "skipped"),
    ("merged", "approved", "merged"),
    ("reopened", "review", "pending"),
    ("reopened", "approved", "pending"),
    ("aborted", "running", "pending"),
];

fn pending(kind: OrderKind) -> Pending {
    Pending {
        kind,
        feedback: String::new(),
        from: String::new(),
        fresh: false,
        errors: String::new(),
        commit: None,
    }
}

/// Tries something, also what is not possible; says what it was.
fn step(random: &mut Random, state: &mut State, count: u32) -> (&'static str, bool) {
    const KINDS: [OrderKind; 4] = [
        OrderKind::First,
        OrderKind::Retry,
        OrderKind::Forward,
        OrderKind::Person,
    ];
    let key = KEYS[random.below(KEYS.len())];
    let letter = |random: &mut Random| oid(char::from(b"abcdef"[random.below(6)]));
    let at = at(i64::from(count));
    let ada = sample::ada();
    let (what, done) = match random.below(24) {
        0..=6 => {
            let next = state.item(key).map_or(1, Item::next_attempt);
            let mut claim = sample::claim(next);
            claim.id = format!("claim-{count}");
            claim.kind = KINDS[random.below(4)];
            ("claimed", claimed(state, key, claim).is_ok())
        }
        7 => ("freed", freed(state, key, "it was lost").is_ok()),
        8..=13 => {
            let Some(Phase::Running { claim }) = state.item(key).map(|i| i.phase.clone()) else {
                return ("finished", false);
            };
            let verdict = match random.below(6) {
                0 | 1 => Verdict::Passed {
                    needs_review: random.flip(),
                },
                2 => Verdict::Failed {
                    reasons: vec![random.hostile()],
                    retryable: random.flip(),
                },
                3 => Verdict::Blocked {
                    reason: random.hostile(),
                    attempted: vec![random.hostile()],
                },
                4 => Verdict::Question {
                    question: random.hostile(),
                },
                _ => Verdict::Interrupted,
            };
            let mut result = result(state, key, verdict);
            if random.below(5) == 0 {
                result.claim = "another".to_owned();
            }
            let limits = Config::default().limits;
            let facts = Facts {
                kind: claim.kind,
                by: "Ada",
                prompt_sha256: "",
                published: Published {
                    commit: Some(letter(random)),
                    kept: random.flip().then(|| "pertask/wiz/kept/x".to_owned()),
                    carries_approval: random.flip(),
                    made: None,
                },
                branch: "pertask/wiz/x",
                limits: &limits,
            };
            let done = finished(state, &result, &facts).is_ok();
            assert!(!done || result.claim == claim.id, "a result of no claim");
            ("finished", done)
        }
        14..=17 => {
            let head = state.item(key).and_then(|i| i.branch.clone());
            let seen = head.map_or_else(String::new, |b: Branch| b.head);
            let review = Review {
                decision: if random.below(3) == 0 {
                    Decision::Revise
                } else {
                    Decision::Approve
                },
                by: ada,
                at,
                commit: if random.flip() { seen } else { letter(random) },
                text: random.hostile(),
                round: 1,
                source: None,
            };
            ("reviewed", reviewed(state, key, review).is_ok())
        }
        18 => ("retried", retried(state, key, random.flip(), &ada).is_ok()),
        19 if random.below(4) == 0 => ("skipped", skipped(state, key, "no", &ada).is_ok()),
        20..=21 => {
            let commit = letter(random);
            ("merged", merged(state, key, &commit, at).is_ok())
        }
        22 if state
            .item(key)
            .is_some_and(|i| matches!(i.phase, Phase::Review | Phase::Approved { .. })) =>
        {
            let kind = KINDS[random.below(4)];
            (
                "reopened",
                reopened(state, key, pending(kind), "again").is_ok(),
            )
        }
        23 if random.below(40) == 0 => ("aborted", aborted(state, &ada, at).is_ok()),
        _ => ("nothing", false),
    };
    (what, done)
}

fn sound(state: &State, story: &str) {
    for item in &state.items {
        let head = item.branch.as_ref().map(|b| b.head.as_str());
        match &item.phase {
            Phase::Review => assert!(head.is_some(), "{story}: a review of nothing"),
            Phase::Approved { commit, .. } => {
                assert_eq!(
                    head,
                    Some(commit.as_str()),
                    "{story}: another commit was approved"
                );
            }
            Phase::Merged => {
                let merged = item.merged.as_ref().map(|m| m.head.as_str());
                assert_eq!(merged, head, "{story}: another commit was merged");
            }
            _ => {}
        }
        for (attempt, number) in item.attempts.iter().zip(1..) {
            assert_eq!(attempt.number, number, "{story}: attempts are numbered");
        }
        if state.end.is_some() {
            assert_ne!(name(&item.phase), "running", "{story}: work after the end");
        }
    }
}

#[test]
fn random_transitions_reach_no_impossible_state() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut state = sample::state();
        let mut story = format!("seed {seed}");
        for count in 0..120 {
            let before = state.clone();
            let (what, done) = step(&mut random, &mut state, count);
            story = format!("{story} {what}");
            if !done {
                assert_eq!(state, before, "{story}: what was refused changed something");
                continue;
            }
            let mut moved = 0;
            for (old, new) in before.items.iter().zip(&state.items) {
                let (from, to) = (name(&old.phase), name(&new.phase));
                if from != to {
                    moved += 1;
                    let edge = EDGES.iter().find(|e| **e == (what, from, to));
                    seen.insert(edge.unwrap_or_else(|| panic!("{story}: {from} to {to}")));
                }
                if let (
                    Phase::Approved {
                        by_policy: false, ..
                    },
                    "reviewed",
                ) = (&new.phase, what)
                    && from != to
                {
                    let last = new.reviews.last().unwrap();
                    let head = new.branch.as_ref().map(|b| &b.head);
                    assert_eq!(Some(&last.commit), head, "{story}: it saw another commit");
                }
            }
            assert!(moved <= 1 || what == "aborted", "{story}: {moved} moved");
            sound(&state, &story);
            let json = serde_json::to_string(&state).unwrap();
            let read: State = serde_json::from_str(&json).unwrap();
            assert_eq!(read, state, "{story}");
            assert_eq!(read.schema, STATE_SCHEMA);
            if state.end.is_some() {
                break;
            }
        }
    }
    // `freed` to failed asks for machines of a workflow.
    let never: Vec<_> = EDGES.iter().filter(|e| !seen.contains(e)).collect();
    assert!(never.len() <= 1, "never tried: {never:?}");
}
