//! Whose file a failing build is about (the seed's "Build Fails After Task").
//!
//! Pure. A merged task is opened again only when every place that the build names lies in files of
//! merged tasks, none in the failing task's own, and at most once for the same pair of tasks until a
//! person asks for another attempt; in every other case the failing task itself is attempted again.

use super::BATCH;
use super::order::{AttemptResult, CheckKind, Fault, Verdict};
use super::state::{Item, Outcome, State};

/// Whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// The failing task's own, or no build failed.
    Own,
    /// No task's: the build names no file of any, or none at all.
    Nobody,
    /// Merged tasks', by key; they are to be opened again.
    Earlier(Vec<String>),
    /// Merged tasks', but they cannot be opened again for this one.
    Again {
        /// By key.
        keys: Vec<String>,
        /// Why not, in words.
        why: &'static str,
    },
}

/// Looks at the result of an attempt on `item`.
#[must_use]
pub fn blame(state: &State, item: &Item, result: &AttemptResult) -> Blame {
    let failed: Vec<_> = result.checks.iter().filter(|c| !c.passed).collect();
    let by_checks = matches!(&result.verdict, Verdict::Failed { reasons, retryable: true }
        if reasons.len() == failed.len()
            && reasons.iter().zip(&failed).all(|(r, c)| r.starts_with(&c.name)));
    if !by_checks || failed.is_empty() || failed.iter().any(|c| c.kind != CheckKind::Build) {
        return Blame::Own;
    }
    if result.faults.iter().any(|f| f.own) {
        return Blame::Own;
    }
    let mut keys: Vec<String> = Vec::new();
    for fault in &result.faults {
        match owner(state, item, fault) {
            Some(owner) if keys.contains(&owner.key) => {}
            Some(owner) => keys.push(owner.key.clone()),
            None => return Blame::Nobody,
        }
    }
    if keys.is_empty() {
        return Blame::Nobody;
    }
    let before = |key: &String| {
        let since = item.attempts.iter().filter(|a| a.number >= item.count_from);
        since.into_iter().any(|a| a.blames.contains(key))
    };
    if keys.iter().any(before) {
        let why = "it was put right once already, for the same task";
        return Blame::Again { keys, why };
    }
    // What builds on this task cannot be done again before it.
    if keys.iter().any(|key| state.needs(key, &item.key)) {
        let why = "it builds on this task";
        return Blame::Again { keys, why };
    }
    Blame::Earlier(keys)
}

/// The item in the run branch that a place belongs to: by its task's file, else the newest that
/// changed it.
fn owner<'s>(state: &'s State, present: &Item, fault: &Fault) -> Option<&'s Item> {
    let others = || {
        state.items.iter().filter(|i| {
            i.key != present.key && i.key != BATCH && !super::is_extra(&i.key) && i.was_merged()
        })
    };
    let exact = others().find(|i| i.tasks.iter().any(|t| t.file == fault.file));
    let touched = || {
        let mut changed: Vec<&Item> = others()
            .filter(|i| {
                let passed = i.attempts.iter().filter(|a| a.outcome == Outcome::Passed);
                passed
                    .into_iter()
                    .any(|a| a.files.iter().any(|f| f.path == fault.file))
            })
            .collect();
        changed.sort_by_key(|i| i.first_merged().map(|m| m.at));
        changed.pop()
    };
    let by_name = || {
        let ends = |path: &str| {
            path.strip_suffix(fault.file.as_str())
                .is_some_and(|p| p.ends_with('/'))
        };
        let mut named = others().filter(|i| i.tasks.iter().any(|t| ends(&t.file)));
        named.next().filter(|_| named.next().is_none())
    };
    exact.or_else(touched).or_else(by_name)
}

/// The places, one to a line.
#[must_use]
pub fn places(faults: &[Fault]) -> String {
    let lines: Vec<String> = faults
        .iter()
        .map(|f| format!("{}:{}: {}", f.file, f.line, f.message))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{self, at};
    use crate::run::order::{CheckOutcome, OrderKind, SCHEMA};
    use crate::run::state::{Pending, Phase};
    use crate::run::transition;

    const TYPES: &str = "pkg/wiz/wiz_types.go";
    const CLIENT: &str = "pkg/wiz/wiz_client.go";
    const TRANSFORM: &str = "pkg/wiz/wiz_transform.go";

    fn fault(file: &str, own: bool) -> Fault {
        Fault {
            file: file.to_owned(),
            line: 3,
            message: "undefined: Page".to_owned(),
            own,
        }
    }

    fn check(kind: CheckKind, name: &str, passed: bool) -> CheckOutcome {
        CheckOutcome {
            kind,
            name: name.to_owned(),
            passed,
            detail: "ended with exit status 1".to_owned(),
            output: "some output".to_owned(),
            duration_ms: 1,
        }
    }

    /// A result of the running attempt on `key` whose build fails in these places.
    fn result(state: &State, key: &str, faults: Vec<Fault>) -> AttemptResult {
        let item = state.item(key).unwrap();
        let Phase::Running { claim } = &item.phase else {
            panic!("{key} is not running");
        };
        AttemptResult {
            schema: SCHEMA,
            run: state.run.clone(),
            item: key.to_owned(),
            attempt: item.next_attempt(),
            claim: claim.id.clone(),
            started: at(0),
            finished: at(1),
            verdict: Verdict::Failed {
                reasons: vec!["go build: ended with exit status 1".to_owned()],
                retryable: true,
            },
            tree: Some(sample::oid('e')),
            files: vec![sample::added(CLIENT, 10)],
            api: Vec::new(),
            checks: vec![
                check(CheckKind::Files, "files", true),
                check(CheckKind::Build, "go build", false),
            ],
            faults,
            agent: None,
            handoff: None,
            handoff_problem: None,
        }
    }

    fn run(state: &mut State, key: &str) {
        let item = state.item_mut(key).unwrap();
        let claim = sample::claim(item.next_attempt());
        transition::claimed(state, key, claim).unwrap();
    }

    fn finish(state: &mut State, result: &AttemptResult, kind: OrderKind) -> String {
        let facts = transition::Facts {
            kind,
            by: "claude",
            prompt_sha256: "",
            published: transition::Published {
                commit: Some(sample::oid('f')),
                kept: Some("pertask/wiz/kept/x".to_owned()),
                carries_approval: false,
                made: None,
            },
            branch: "pertask/wiz/x",
            limits: &crate::plan::Config::default().limits,
        };
        transition::finished(state, result, &facts).unwrap()
    }

    /// Types and transform merged, the client's first attempt under way.
    fn state() -> State {
        let mut state = sample::state();
        for key in ["types", "transform"] {
            sample::finish(&mut state, key, |_| {});
            sample::merge(&mut state, key);
        }
        run(&mut state, "client");
        state
    }

    #[test]
    fn whose_file_it_is() {
        let earlier =
            |keys: &[&str]| Blame::Earlier(keys.iter().map(|k| (*k).to_owned()).collect());
        for (what, faults, want) in [
            ("own", vec![fault(CLIENT, true)], Blame::Own),
            (
                "own beside another's",
                vec![fault(TYPES, false), fault(CLIENT, true)],
                Blame::Own,
            ),
            ("another's", vec![fault(TYPES, false)], earlier(&["types"])),
            (
                "two others', named twice",
                vec![
                    fault(TRANSFORM, false),
                    fault(TYPES, false),
                    fault(TRANSFORM, false),
                ],
                earlier(&["transform", "types"]),
            ),
            (
                "named without its folder",
                vec![fault("wiz_types.go", false)],
                earlier(&["types"]),
            ),
            (
                "a file of no task",
                vec![fault("main.go", false)],
                Blame::Nobody,
            ),
            (
                "a file of no task beside another's",
                vec![fault(TYPES, false), fault("main.go", false)],
                Blame::Nobody,
            ),
            (
                "a task that is not merged",
                vec![fault("pkg/wiz/wiz.go", false)],
                Blame::Nobody,
            ),
            ("no place at all", Vec::new(), Blame::Nobody),
        ] {
            let state = state();
            let result = result(&state, "client", faults);
            let item = state.item("client").unwrap();
            assert_eq!(blame(&state, item, &result), want, "{what}");
        }
    }

    #[test]
    fn only_a_failing_build_is_somebody_elses() {
        let state = state();
        let item = state.item("client").unwrap();
        let good = result(&state, "client", vec![fault(TYPES, false)]);
        for (what, change) in [
            (
                "another check fails as well",
                (|r: &mut AttemptResult| {
                    r.checks.push(check(CheckKind::Rules, "rules", false));
                    r.verdict = Verdict::Failed {
                        reasons: vec!["go build: x".to_owned(), "rules: x".to_owned()],
                        retryable: true,
                    };
                }) as fn(&mut AttemptResult),
            ),
            ("the agent failed", |r| {
                r.verdict = Verdict::Failed {
                    reasons: vec!["the agent claude: exit status 1".to_owned()],
                    retryable: true,
                };
            }),
            ("it passed", |r| {
                r.verdict = Verdict::Passed {
                    needs_review: false,
                };
            }),
        ] {
            let mut result = good.clone();
            change(&mut result);
            assert_eq!(blame(&state, item, &result), Blame::Own, "{what}");
        }
    }

    #[test]
    fn the_other_task_is_opened_again_once_and_the_present_one_waits() {
        let mut state = state();
        let first = result(&state, "client", vec![fault(TYPES, false)]);
        let said = finish(&mut state, &first, OrderKind::First);
        insta::assert_snapshot!(said, @"Task 2 of 4, client (HTTP client): the build of attempt 1 fails in a file of another task; its work is kept, and it waits for task 1 of 4, types (API types), round 2");
        let types = state.item("types").unwrap();
        assert_eq!((types.round, &types.phase), (2, &Phase::Pending));
        assert_eq!(types.next_attempt(), 2, "numbers go on");
        assert_eq!(types.branch_leaf(), "1-types-r2");
        assert_eq!(types.leaf_of_attempt(1), "1-types");
        assert!(
            types.rounds[0]
                .errors
                .contains("wiz_types.go:3: undefined: Page")
        );
        assert!(types.was_merged() && !types.is_settled());
        let client = state.item("client").unwrap();
        assert_eq!(client.automatic_attempts(), 0, "it does not count");
        assert!(!state.is_free(client));
        // What is merged stays merged, what builds on the types and has not begun waits.
        assert_eq!(state.item("transform").unwrap().phase, Phase::Merged);

        // Round two is merged; the same build failure again is the present task's own.
        run(&mut state, "types");
        let types = state.item_mut("types").unwrap();
        types.phase = Phase::Pending;
        sample::finish(&mut state, "types", |_| {});
        sample::merge(&mut state, "types");
        assert!(state.is_free(state.item("client").unwrap()));
        run(&mut state, "client");
        let again = result(&state, "client", vec![fault(TYPES, false)]);
        finish(&mut state, &again, OrderKind::Resumed);
        assert_eq!(state.item("types").unwrap().phase, Phase::Merged);
        let client = state.item("client").unwrap();
        assert_eq!(client.automatic_attempts(), 1);
        assert!(client.attempts[1].reasons[1].contains("it was put right once already"));
        let kind = client.pending.as_ref().map(|p: &Pending| p.kind);
        assert_eq!(kind, Some(OrderKind::Resumed));
        // A person who asks for another attempt allows one more.
        let client = state.item_mut("client").unwrap();
        client.phase = Phase::Failed {
            reasons: Vec::new(),
        };
        transition::retried(&mut state, "client", false, &sample::ada()).unwrap();
        run(&mut state, "client");
        let more = result(&state, "client", vec![fault(TYPES, false)]);
        finish(&mut state, &more, OrderKind::Resumed);
        assert_eq!(state.item("types").unwrap().round, 3);
    }

    #[test]
    fn no_two_tasks_ever_wait_for_each_other() {
        let mut state = state();
        let first = result(&state, "client", vec![fault(TYPES, false)]);
        finish(&mut state, &first, OrderKind::First);
        run(&mut state, "types");
        // Round two of the types fails in the transformations, which build on the types.
        let mut second = result(&state, "types", vec![fault(TRANSFORM, false)]);
        second.files = vec![sample::modified(TYPES, 5)];
        finish(&mut state, &second, OrderKind::Reopened);
        assert_eq!(state.item("transform").unwrap().phase, Phase::Merged);
        let types = state.item("types").unwrap();
        assert_eq!(types.phase, Phase::Pending);
        assert!(state.is_free(types));
        assert!(types.attempts[1].reasons[1].contains("it builds on this task"));
    }

    #[test]
    fn a_round_that_is_given_up_leaves_what_was_merged() {
        let mut state = state();
        let before = state.item("types").unwrap().merged.clone();
        let first = result(&state, "client", vec![fault(TYPES, false)]);
        finish(&mut state, &first, OrderKind::First);
        transition::skipped(&mut state, "types", "it is right", &sample::ada()).unwrap();
        let types = state.item("types").unwrap();
        assert_eq!((&types.phase, &types.merged), (&Phase::Merged, &before));
        assert!(
            types.rounds[0]
                .reopened
                .ends_with("given up by Ada Lovelace: it is right")
        );
        assert!(state.is_free(state.item("client").unwrap()));
    }
}
