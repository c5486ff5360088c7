//! Whatever happens to a run, and in whatever order, its state is one that can be.
//!
//! Walks of commands, results and events chosen by chance, each held against every invariant below.

use std::collections::{BTreeMap, BTreeSet};

use super::result;
use crate::plan::{CheckpointPolicy, Config};
use crate::report::sample::{self, Random, ada, at};
use crate::run::decide::{self, decide};
use crate::run::order::{AgentReport, CheckKind, CheckOutcome, Fault, OrderKind, Verdict};
use crate::run::state::{
    BaseBuild, Branch, Decision, GateItem, Item, Merged, Pending, Phase, Pull, Review, State,
};
use crate::run::transition::{self as go, Facts, NotPossible, Published};

/// What can be done, or happen, to a run.
const STEPS: [&str; 18] = [
    "claimed", "claimed", "passed", "passed", "failed", "blamed", "stopped", "freed", "approved",
    "approved", "revised", "retried", "skipped", "merged", "moved", "adopted", "taken", "rare",
];

struct Walk {
    random: Random,
    state: State,
    /// Ids of commits and claims so far; also the clock.
    count: i64,
    /// How often each step was possible.
    went: BTreeMap<&'static str, usize>,
    /// Every phase that was reached.
    phases: BTreeSet<&'static str>,
}

fn phase(item: &Item) -> &'static str {
    match item.phase {
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

impl Walk {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut state = sample::state();
        state.base_build = Some(BaseBuild {
            at: at(0),
            checks: Vec::new(),
        });
        state.checkpoint = [
            CheckpointPolicy::Every,
            CheckpointPolicy::HighRisk,
            CheckpointPolicy::None,
        ][random.below(3)];
        Self {
            random,
            state,
            count: 0,
            went: BTreeMap::new(),
            phases: BTreeSet::new(),
        }
    }

    fn commit(&mut self) -> String {
        self.count += 1;
        format!("{:040x}", self.count)
    }

    /// A person's decision, on the commit that is there or on another.
    fn review(&mut self, key: &str, decision: Decision) -> Review {
        let branch = self.state.item(key).unwrap().branch.clone();
        let head = branch.map(|b| b.head).unwrap_or_default();
        Review {
            decision,
            by: ada(),
            at: at(self.count),
            commit: if self.random.below(5) == 0 {
                self.commit()
            } else {
                head
            },
            text: "# words\n".to_owned(),
            round: 1,
            source: None,
        }
    }

    fn claim(&mut self, key: &str) -> Result<(), NotPossible> {
        let item = self.state.item(key).unwrap();
        if self.state.end.is_some() || !self.state.is_free(item) {
            return Err(NotPossible(String::new()));
        }
        let mut claim = sample::claim(item.next_attempt());
        claim.kind = item.pending.as_ref().map_or(OrderKind::First, |p| p.kind);
        if self.random.flip() {
            claim.holder.workflow = Some(crate::run::state::Workflow { run: 1, attempt: 1 });
        }
        claim.id = self.commit();
        go::claimed(&mut self.state, key, claim).map(drop)
    }

    /// The result of the attempt under way, or of one that is not any more.
    fn finish(&mut self, key: &str, verdict: Verdict) -> Result<(), NotPossible> {
        let item = self.state.item(key).unwrap();
        let Phase::Running { claim } = item.phase.clone() else {
            return Err(NotPossible(String::new()));
        };
        let passed = matches!(verdict, Verdict::Passed { .. });
        let blamed = matches!(&verdict, Verdict::Failed { reasons, .. } if reasons.len() == 1);
        let mut result = result(&self.state, key, verdict);
        result.finished = at(self.count);
        result.agent = Some(AgentReport {
            cost_usd: Some(f64::from(u32::try_from(self.random.below(9_999_999)).unwrap()) / 1e6),
            limited_until: (self.random.below(9) == 0).then(|| at(self.count + 60)),
            ..AgentReport::default()
        });
        if blamed {
            result.checks.push(CheckOutcome {
                kind: CheckKind::Build,
                name: "make".to_owned(),
                passed: false,
                detail: "fails".to_owned(),
                output: "x".to_owned(),
                duration_ms: 1,
            });
            let files: Vec<String> = self
                .state
                .items
                .iter()
                .flat_map(|i| i.tasks.iter().map(|t| t.file.clone()))
                .collect();
            for _ in 0..=self.random.below(2) {
                result.faults.push(Fault {
                    file: files[self.random.below(files.len())].clone(),
                    line: 1,
                    message: "m".to_owned(),
                    own: false,
                });
            }
        }
        let stale = self.random.below(8) == 0;
        if stale {
            result.claim = "another".to_owned();
        }
        let leaves_commit = passed || self.random.flip();
        let commit = leaves_commit.then(|| self.commit());
        let branch = format!(
            "pertask/wiz/{}",
            self.state.item(key).unwrap().branch_leaf()
        );
        let facts = Facts {
            kind: claim.kind,
            by: "claude",
            prompt_sha256: "",
            published: Published {
                kept: commit.clone().filter(|_| !passed),
                commit,
                carries_approval: claim.kind == OrderKind::Forward && self.random.flip(),
                made: None,
            },
            branch: &branch,
            limits: &Config::default().limits,
        };
        let ended = go::finished(&mut self.state, &result, &facts);
        assert!(!stale || ended.is_err(), "a result of no claim was taken");
        ended.map(drop)
    }

    /// An approved or shown item is to be looked at again, as the run branch or a person moved on.
    fn moved(&mut self, key: &str) -> Result<(), NotPossible> {
        let item = self.state.item(key).unwrap();
        let kinds: &[OrderKind] = match item.phase {
            Phase::Approved { .. } => &[OrderKind::Forward, OrderKind::Conflict, OrderKind::Person],
            Phase::Review | Phase::Failed { .. } | Phase::Blocked { .. }
                if item.branch.is_some() =>
            {
                &[OrderKind::Person]
            }
            _ => return Err(NotPossible(String::new())),
        };
        if self.random.below(4) == 0 {
            return go::withdrawn(&mut self.state, key, "a review was dismissed").map(drop);
        }
        let kind = kinds[self.random.below(kinds.len())];
        let commit = (kind != OrderKind::Conflict).then(|| self.commit());
        let pending = Pending {
            kind,
            feedback: String::new(),
            from: String::new(),
            fresh: false,
            errors: String::new(),
            commit,
        };
        go::reopened(&mut self.state, key, pending, "it is looked at again").map(drop)
    }

    /// Somebody merged the item's branch: by hand, or on the forge.
    fn taken(&mut self, key: &str, by_hand: bool) -> Result<(), NotPossible> {
        let item = self.state.item(key).unwrap();
        let head = match &item.branch {
            Some(branch) if !item.is_settled() => branch.head.clone(),
            _ => return Err(NotPossible(String::new())),
        };
        let (commit, time) = (self.commit(), at(self.count));
        if by_hand {
            if matches!(item_of(&self.state, key).phase, Phase::Running { .. }) {
                return Err(NotPossible(String::new()));
            }
            go::run_adopted(&mut self.state, &commit, &[key.to_owned()], &ada(), time);
            return Ok(());
        }
        let merged = Merged {
            commit: commit.clone(),
            head,
            at: time,
            because: "merged on the forge".to_owned(),
            by_hand: false,
        };
        go::taken(&mut self.state, key, merged, &commit).map(drop)
    }

    /// What happens seldom.
    fn rare(&mut self, key: &str) -> Result<(), NotPossible> {
        let settled = self.state.items.iter().all(Item::is_settled);
        let pull = Pull {
            number: 7,
            head: self.commit(),
            since: at(0),
            ..Pull::default()
        };
        let what = self.random.below(if settled { 8 } else { 30 });
        match what {
            0 => go::aborted(&mut self.state, &ada(), at(self.count)).map(drop),
            1 if settled => {
                let held = GateItem {
                    item: "Final build succeeds".to_owned(),
                    holds: self.random.flip(),
                    detail: String::new(),
                };
                go::gate_seen(&mut self.state, vec![held], at(self.count));
                Ok(())
            }
            2 if settled => {
                let review = self.review(key, Decision::Revise);
                go::repair_opened(&mut self.state, review);
                Ok(())
            }
            3 | 4 => go::shown(&mut self.state, key, pull).map(drop),
            5 => go::closed(&mut self.state, key, true).map(drop),
            6 => {
                let hearing = go::Hearing {
                    ids: vec!["id".to_owned()],
                    reply: None,
                    followed: true,
                    answer: false,
                };
                go::heard(&mut self.state, key, &hearing)
            }
            7 => {
                let stopped = ["failed", "blocked"].contains(&phase(item_of(&self.state, key)));
                if !stopped {
                    return Err(NotPossible(String::new()));
                }
                let head = self.commit();
                let name = "pertask/wiz/x".to_owned();
                go::laid_out(&mut self.state, key, Branch { name, head }).map(drop)
            }
            _ => Err(NotPossible(String::new())),
        }
    }

    fn step(&mut self) -> &'static str {
        self.count += 1;
        // Mostly what is not over yet: else walks come to nothing soon.
        let all = self.random.below(6) == 0 || self.state.items.iter().all(Item::is_settled);
        let open = |i: &&Item| all || (!i.is_settled() && self.state.is_free(i));
        let items = self.state.items.iter().filter(open);
        let keys: Vec<String> = items.map(|i| i.key.clone()).collect();
        let Some(key) = keys.get(self.random.below(keys.len().max(1))) else {
            return "nothing";
        };
        let step = STEPS[self.random.below(STEPS.len())];
        let before = self.state.clone();
        let outcome = match step {
            "claimed" => self.claim(key),
            "passed" => {
                let needs_review = self.random.flip();
                self.finish(key, Verdict::Passed { needs_review })
            }
            "failed" => {
                let reasons = vec!["make: fails".to_owned(), "lines: too many".to_owned()];
                let retryable = self.random.flip();
                self.finish(key, Verdict::Failed { reasons, retryable })
            }
            "blamed" => {
                let reasons = vec!["make: fails".to_owned()];
                let retryable = true;
                self.finish(key, Verdict::Failed { reasons, retryable })
            }
            "stopped" => {
                let verdict = match self.random.below(3) {
                    0 => Verdict::Interrupted,
                    1 => Verdict::Question {
                        question: "which?".to_owned(),
                    },
                    _ => Verdict::Blocked {
                        reason: "no".to_owned(),
                        attempted: vec!["all".to_owned()],
                    },
                };
                self.finish(key, verdict)
            }
            "freed" => go::freed(&mut self.state, key, "it is gone").map(drop),
            "approved" => {
                let review = self.review(key, Decision::Approve);
                let waits = phase(item_of(&self.state, key)) == "review";
                let other = item_of(&self.state, key)
                    .branch
                    .as_ref()
                    .is_none_or(|b| b.head != review.commit);
                let outcome = go::reviewed(&mut self.state, key, review);
                assert!(outcome.is_err() || (waits && !other), "approved unseen");
                outcome.map(drop)
            }
            "revised" => {
                let review = self.review(key, Decision::Revise);
                go::reviewed(&mut self.state, key, review).map(drop)
            }
            "retried" => {
                let fresh = self.random.flip();
                go::retried(&mut self.state, key, fresh, &ada()).map(drop)
            }
            "skipped" if self.random.below(12) > 0 => Err(NotPossible(String::new())),
            "skipped" => go::skipped(&mut self.state, key, "no", &ada()).map(drop),
            "merged" => {
                let commit = self.commit();
                go::merged(&mut self.state, key, &commit, at(self.count)).map(drop)
            }
            "moved" => self.moved(key),
            "adopted" if self.random.below(3) == 0 => self.taken(key, true),
            "taken" if self.random.below(3) == 0 => self.taken(key, false),
            "rare" => self.rare(key),
            _ => Err(NotPossible(String::new())),
        };
        match outcome {
            Ok(()) => *self.went.entry(step).or_default() += 1,
            Err(_) => assert_eq!(
                self.state, before,
                "{step} was not possible, but did something"
            ),
        }
        self.phases.extend(self.state.items.iter().map(phase));
        step
    }
}

fn item_of<'s>(state: &'s State, key: &str) -> &'s Item {
    state.item(key).unwrap()
}

/// What holds of every state, in words where it does not.
fn wrong(state: &State) -> Option<String> {
    let keys: BTreeSet<&str> = state.items.iter().map(|i| i.key.as_str()).collect();
    if keys.len() != state.items.len() {
        return Some("two items have one key".to_owned());
    }
    let aborted = state.end.as_ref().is_some_and(|e| e.aborted);
    state.items.iter().find_map(|item| {
        let mut needed = item.depends_on.iter().chain(&item.waits_for);
        let head = item.branch.as_ref().map(|b| &b.head);
        let numbers = item.attempts.iter().map(|a| a.number);
        let what = if !numbers.eq(1..=u32::try_from(item.attempts.len()).unwrap()) {
            "its attempts are not numbered in order"
        } else if !item.attempts.is_sorted_by_key(|a| a.round)
            || item.attempts.iter().any(|a| a.round > item.round)
        {
            "an attempt is of a round that was not"
        } else if item.count_from > item.next_attempt() || item.lost >= 3 {
            "it counts what was not"
        } else if !item.rounds.iter().map(|r| r.number).eq(1..item.round)
            || item.rounds.iter().any(|r| r.merged.is_none())
        {
            "its rounds are not those that were merged"
        } else if item.merged.is_some() != (item.phase == Phase::Merged) {
            "it is merged, or is not"
        } else if item.is_settled() && !(item.waits_for.is_empty() && item.pending.is_none()) {
            "it is settled and waits"
        } else if needed.any(|key| !keys.contains(key.as_str()) || state.needs(key, &item.key)) {
            "it waits for itself, or for nothing"
        } else if !item.carries.is_empty() && head.is_none() {
            "an approval carries over to nothing"
        } else {
            match &item.phase {
                Phase::Running { claim } if claim.attempt != item.next_attempt() => {
                    "it works on another attempt than the next"
                }
                Phase::Running { .. } if aborted => "it works on after the end",
                Phase::Review if head.is_none() => "there is nothing to review",
                Phase::Approved { commit, .. } if head != Some(commit) => {
                    "another commit is approved than is there"
                }
                Phase::Pending if item.round > 1 && item.pending.is_none() => {
                    "nobody knows why there is another round"
                }
                _ => match &item.pending {
                    Some(p) if p.kind == OrderKind::Person && p.commit.is_none() => {
                        "a person's commit is not known"
                    }
                    _ => return None,
                },
            }
        };
        Some(format!("{}: {what}: {item:#?}", item.key))
    })
}

/// It is the same when written and read; with what is not known yet, and without what an older
/// program did not write.
fn is_kept(state: &State) {
    let text = serde_json::to_string(state).unwrap();
    let read: State = serde_json::from_str(&text).unwrap();
    assert_eq!(&read, state);
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let mut json = serde_json::to_value(state).unwrap();
    json["of a later program"] = serde_json::json!({ "x": [1] });
    json["items"][0]["of a later program"] = serde_json::json!(true);
    assert_eq!(
        &serde_json::from_value::<State>(json.clone()).unwrap(),
        state
    );
    // What came into the format after its first version.
    let later = [
        "compliance",
        "gate_of",
        "pull",
        "merged",
        "building",
        "builds",
        "limited",
    ];
    for name in later {
        json.as_object_mut().unwrap().remove(name);
    }
    let later = [
        "pull",
        "carries",
        "merged",
        "lost",
        "waits_for",
        "rounds",
        "branch",
        "attempts",
        "reviews",
    ];
    for item in json["items"].as_array_mut().unwrap() {
        for name in later {
            item.as_object_mut().unwrap().remove(name);
        }
    }
    let older: State = serde_json::from_value(json).unwrap();
    let phases = |state: &State| {
        state
            .items
            .iter()
            .map(|i| i.phase.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(phases(&older), phases(state));
}

#[test]
fn no_walk_leads_to_a_state_that_cannot_be() {
    let mut went = BTreeMap::<&str, usize>::new();
    let mut phases = BTreeSet::new();
    let mut rounds = 0;
    for seed in 0..200 {
        let mut walk = Walk::new(seed);
        let mut trace = Vec::new();
        for number in 0..200 {
            trace.push(walk.step());
            if let Some(what) = wrong(&walk.state) {
                panic!("seed {seed}, step {number}: {what}\nafter {trace:?}");
            }
            if walk.state.end.as_ref().is_some_and(|e| e.aborted) {
                is_kept(&walk.state);
                break;
            }
            if number % 10 == 0 {
                is_kept(&walk.state);
                let state = &walk.state;
                let facts = decide::Facts {
                    now: at(walk.count),
                    slots: 2,
                    base_built: true,
                    up_to_date: state.items.iter().map(|i| i.key.clone()).collect(),
                    ..decide::Facts::default()
                };
                let next = decide(state, &facts);
                assert!(
                    state.end.is_some() || !next.actions.is_empty() || !next.waits.is_empty(),
                    "seed {seed}, step {number}: nothing is to be done: {state:#?}"
                );
            }
        }
        rounds += walk.state.items.iter().filter(|i| i.round > 1).count();
        for (step, times) in walk.went {
            *went.entry(step).or_default() += times;
        }
        phases.extend(walk.phases);
    }
    // The walks go everywhere.
    let steps: BTreeSet<&str> = STEPS.into_iter().collect();
    assert_eq!(went.keys().copied().collect::<BTreeSet<_>>(), steps);
    assert!(went.values().all(|times| *times > 20), "{went:?}");
    assert_eq!(phases.len(), 8, "{phases:?}");
    assert!(rounds > 20, "{rounds}");
}

/// It waited for a task that was put right, and somebody merged it by hand meanwhile.
#[test]
fn what_was_merged_by_hand_waits_for_nothing() {
    let mut state = sample::state();
    sample::finish(&mut state, "types", |_| {});
    sample::merge(&mut state, "types");
    sample::finish(&mut state, "client", |_| {});
    let item = state.item_mut("client").unwrap();
    item.phase = Phase::Pending;
    item.waits_for = vec!["transform".to_owned()];
    go::run_adopted(&mut state, "f", &["client".to_owned()], &ada(), at(9));
    assert_eq!(wrong(&state), None);
    assert!(!state.needs("client", "transform"));
}
