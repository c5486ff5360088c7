//! Whatever goes wrong at any request, the run comes to the same end after at most one more
//! `git pertask continue`, and nothing happens twice.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "support/story.rs"]
mod story;
mod support;

use std::sync::Mutex;
use std::time::Duration;

use github::{Fault, FaultKind, When};
use story::{STAGES, Story};

/// What is to go wrong where.
#[derive(Debug, Clone)]
struct Case {
    stage: usize,
    fault: Fault,
}

/// How long a request may take where one is made to take longer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Everything that can go wrong with a change on GitHub.
fn kinds() -> Vec<FaultKind> {
    use FaultKind::{Drop, Exhausted, Forbidden, Malformed, Stale, Stall, Status, TooMany};
    use When::{After, Before};
    vec![
        Status(Before, 500),
        Status(Before, 502),
        Status(After, 503),
        Status(After, 502),
        Drop(Before),
        Drop(After),
        Stall(After, PATIENCE + Duration::from_secs(1)),
        Forbidden {
            retry_after: Some(40),
        },
        Forbidden { retry_after: None },
        TooMany {
            retry_after: 30,
            reset_in: 45,
        },
        Exhausted { reset_in: 120 },
        Malformed,
        Stale { reads: Some(4) },
    ]
}

/// What can go wrong with a push: a limit of the API says nothing to git.
fn is_for(kind: &FaultKind, route: &str) -> bool {
    !route.starts_with("git:")
        || !matches!(
            kind,
            FaultKind::Forbidden { .. } | FaultKind::Exhausted { .. }
        )
}

/// Every change of every stage with every fault.
fn cases(story: &Story) -> Vec<Case> {
    let mut cases = Vec::new();
    for (stage, told) in story.stages.iter().enumerate() {
        let mut seen: Vec<(String, usize)> = Vec::new();
        for one in told.log.iter().filter(|l| l.changes) {
            let nth = 1 + seen.iter().filter(|(r, _)| *r == one.route).count();
            seen.push((one.route.clone(), nth));
            for kind in kinds() {
                if is_for(&kind, &one.route) {
                    let fault = Fault::nth(&one.route, nth, kind);
                    cases.push(Case { stage, fault });
                }
            }
        }
    }
    cases
}

/// Requests that tell somebody something, or that must not be made twice.
const ONCE: [&str; 5] = [
    "POST /repos/{owner}/{repo}/pulls",
    "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies",
    "POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
    "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge",
];

/// Tells one stage with that fault, and says what is not as it should be; else how many commands it
/// took.
fn trial(story: &Story, case: &Case) -> Result<u32, String> {
    let stage = story.go_back(case.stage);
    story.hub.github.fault(case.fault.clone());
    let stalls = matches!(case.fault.kind, FaultKind::Stall(..));
    let patience = PATIENCE.as_millis().to_string();
    let is_git = case.fault.route.starts_with("git:");
    let out = if stalls {
        story.run(
            stage.command,
            &[("PERTASK_TEST_HTTP_TIMEOUT_MS", &patience)],
        )
    } else if is_git && case.fault.kind == FaultKind::Malformed {
        // Git itself waits for ever then.
        story.run(stage.command, &[("PERTASK_TEST_GIT_TIMEOUT_MS", "4000")])
    } else {
        story.run(stage.command, &[])
    };
    if !story.hub.github.unused().is_empty() {
        return Err("the fault did not come to pass".to_owned());
    }
    if out.code != stage.code && out.code != 75 {
        return Err(out.text());
    }
    let mut commands = 1;
    if out.code == 75 || story.compare(case.stage).is_err() {
        commands = 2;
        let next = story.run(story.onward(), &[]);
        if next.code != stage.code {
            return Err(format!("{}\nthen {}", out.text(), next.text()));
        }
    }
    story
        .compare(case.stage)
        .map_err(|what| format!("it differs:\n{what}\n{}", out.text()))?;
    let log = story.hub.github.log();
    for route in ONCE {
        let of = |log: &[github::Logged], fault| {
            let made = log.iter().filter(|l| l.route == route);
            made.filter(|l| l.took_effect(fault)).count()
        };
        let (wanted, found) = (of(&stage.log, None), of(&log, Some(&case.fault)));
        if wanted != found {
            return Err(format!("{route}: {found} times, not {wanted}"));
        }
    }
    Ok(commands)
}

/// The cases that were asked for by name, such as `Malformed git:receive-pack`.
fn wanted(case: &Case) -> bool {
    let Ok(words) = std::env::var("PERTASK_CASES") else {
        return true;
    };
    let text = format!("{case:?}");
    words.split(' ').all(|w| text.contains(w))
}

/// Tries cases on as many hubs as the machine has processors, and one more.
fn all(pick: impl Fn(&Story) -> Vec<Case> + Sync) {
    let todo: Mutex<Option<Vec<Case>>> = Mutex::new(None);
    let wrong = Mutex::new(Vec::new());
    let counts = Mutex::new([0_u32; 3]);
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let story = Story::told();
                todo.lock().unwrap().get_or_insert_with(|| {
                    let mut cases = pick(&story);
                    cases.retain(wanted);
                    cases
                });
                loop {
                    let Some(case) = todo.lock().unwrap().as_mut().unwrap().pop() else {
                        return;
                    };
                    let began = std::time::Instant::now();
                    let tried = || trial(&story, &case);
                    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tried));
                    let tried = tried.unwrap_or_else(|_| Err("it panicked".to_owned()));
                    if std::env::var_os("PERTASK_TRIALS").is_some() {
                        eprintln!("{:?} {:?} {case:?}", began.elapsed(), tried);
                    }
                    match tried {
                        Ok(commands) => counts.lock().unwrap()[commands as usize] += 1,
                        Err(what) => wrong.lock().unwrap().push(format!("{case:?}\n{what}")),
                    }
                    // What a fault does to the server's answers is no violation of ours.
                    story.hub.github.take_violations();
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    let [_, one, two] = counts.into_inner().unwrap();
    eprintln!(
        "{} wrong; {one} went on by themselves, {two} with one more continue",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_story_has_every_kind_of_change_in_it() {
    let story = Story::told();
    assert_eq!(story.stages.len(), STAGES);
    let mut routes: Vec<_> = story
        .stages
        .iter()
        .flat_map(|s| &s.log)
        .filter(|l| l.changes)
        .map(|l| l.route.clone())
        .collect();
    routes.sort();
    routes.dedup();
    insta::assert_snapshot!(routes.join("\n"), @r"
    PATCH /repos/{owner}/{repo}/issues/comments/{comment_id}
    PATCH /repos/{owner}/{repo}/pulls/{pull_number}
    POST /repos/{owner}/{repo}/check-runs
    POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions
    POST /repos/{owner}/{repo}/issues/{issue_number}/comments
    POST /repos/{owner}/{repo}/issues/{issue_number}/labels
    POST /repos/{owner}/{repo}/pulls
    POST /repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies
    POST /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers
    POST /repos/{owner}/{repo}/statuses/{sha}
    PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge
    git:receive-pack
    graphql:Draft
    graphql:Ready
    ");
}

#[test]
fn one_change_gone_wrong_changes_nothing_in_the_end() {
    all(|story| {
        // Each kind of change with each fault, once; another occurrence for each fault.
        let cases = cases(story);
        let mut chosen: Vec<Case> = Vec::new();
        for (n, kind) in kinds().iter().enumerate() {
            let mut routes: Vec<_> = cases.iter().map(|c| &c.fault.route).collect();
            routes.sort();
            routes.dedup();
            for route in routes {
                let of: Vec<_> = cases
                    .iter()
                    .filter(|c| c.fault.route == *route && c.fault.kind == *kind)
                    .collect();
                if !of.is_empty() {
                    chosen.push(of[n % of.len()].clone());
                }
            }
        }
        chosen
    });
}

#[test]
#[ignore = "takes minutes: every change of the story with every fault"]
fn any_change_gone_wrong_changes_nothing_in_the_end() {
    all(cases);
}
