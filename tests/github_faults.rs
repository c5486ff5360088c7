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

use std::fmt::Debug;
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
    once(story, case.stage, Some(&case.fault))?;
    Ok(commands)
}

/// Runs `git pertask` as if the power went off before or after its nth effect, and says what is not
/// as it should be afterwards.
fn crash(story: &Story, stage: usize, when: &str, effect: usize) -> Result<u32, String> {
    let told = story.go_back(stage);
    let point = format!("{when}:{effect}");
    let out = story.run(told.command, &[("PERTASK_TEST_CRASH", &point)]);
    if out.code != -1 {
        return Err(format!("it was not killed: {}", out.text()));
    }
    let next = story.run(story.onward(), &[]);
    if next.code != told.code {
        return Err(next.text());
    }
    // The ledger tells what happened, also that somebody went away.
    story
        .compare_but(stage, &["ledger"])
        .map_err(|what| format!("it differs:\n{what}\n{}", next.text()))?;
    once(story, stage, None)?;
    let locks = story.locks();
    let fsck = story.fsck();
    if !locks.is_empty() || !fsck.is_empty() {
        return Err(format!("{locks:?} {fsck}"));
    }
    Ok(2)
}

/// Nothing that somebody notices was done twice, or not at all.
fn once(story: &Story, stage: usize, fault: Option<&Fault>) -> Result<(), String> {
    let log = story.hub.github.log();
    for route in ONCE {
        let of = |log: &[github::Logged], fault| {
            let made = log.iter().filter(|l| l.route == route);
            made.filter(|l| l.took_effect(fault)).count()
        };
        let (wanted, mut found) = (of(&story.stages[stage].log, None), of(&log, fault));
        // Nobody waited for this answer, so it never came to be logged.
        let stalled =
            fault.is_some_and(|f| f.route == route && matches!(f.kind, FaultKind::Stall(..)));
        if stalled && !log.iter().any(|l| l.disturbed) {
            found += 1;
        }
        if wanted != found {
            return Err(format!("{route}: {found} times, not {wanted}"));
        }
    }
    Ok(())
}

/// Whether a case was asked for by words in its name, such as `Malformed git:receive-pack`.
fn wanted(case: &impl Debug) -> bool {
    let Ok(words) = std::env::var("PERTASK_CASES") else {
        return true;
    };
    let text = format!("{case:?}");
    words.split(' ').all(|w| text.contains(w))
}

/// Tries cases on as many hubs as the machine has processors, and one more.
fn all<C: Debug + Clone + Send>(
    pick: impl Fn(&Story) -> Vec<C> + Sync,
    trial: impl Fn(&Story, &C) -> Result<u32, String> + Sync,
) {
    let todo: Mutex<Option<Vec<C>>> = Mutex::new(None);
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
                        eprintln!("{:?} {tried:?} {case:?}", began.elapsed());
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
    all(
        |story| {
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
        },
        trial,
    );
}

#[test]
#[ignore = "takes minutes: every change of the story with every fault"]
fn any_change_gone_wrong_changes_nothing_in_the_end() {
    all(cases, trial);
}

/// Stage, when, number of the effect, its name.
type Point = (usize, &'static str, usize, String);

fn points(story: &Story) -> Vec<Point> {
    let mut points = Vec::new();
    for (stage, told) in story.stages.iter().enumerate() {
        for (name, n) in told.effects.iter().zip(1..) {
            for when in ["before", "after"] {
                points.push((stage, when, n, name.clone()));
            }
        }
    }
    points
}

/// What an effect is, without numbers and names.
fn kind_of(name: &str) -> String {
    let kind: Vec<&str> = name
        .split(' ')
        .take(2)
        .map(|w| w.trim_start_matches("/repos/acme/widgets/"))
        .collect();
    let kind = kind.join(" ");
    kind.chars().filter(|c| !c.is_ascii_hexdigit()).collect()
}

#[test]
fn killed_at_an_effect_it_comes_to_the_same_end() {
    all(
        |story| {
            // Each kind of effect, before and after.
            let mut points = points(story);
            let mut seen = std::collections::BTreeSet::new();
            points.retain(|(_, when, _, name)| seen.insert((*when, kind_of(name))));
            points
        },
        |story, (stage, when, n, _)| crash(story, *stage, when, *n),
    );
}

#[test]
#[ignore = "takes minutes: killed before and after every effect of the story"]
fn killed_at_any_effect_it_comes_to_the_same_end() {
    all(points, |story, (stage, when, n, _)| {
        crash(story, *stage, when, *n)
    });
}

/// Every change goes through a numbered effect: else nobody could be killed there.
#[test]
fn every_change_is_a_numbered_effect() {
    let story = Story::told();
    for (n, stage) in story.stages.iter().enumerate() {
        let changes = stage.log.iter().filter(|l| l.changes).count();
        let numbered = stage.effects.iter().filter(|name| {
            ["POST ", "PATCH ", "PUT ", "the mutation ", "push "]
                .iter()
                .any(|kind| name.starts_with(kind))
        });
        assert_eq!(changes, numbered.count(), "stage {n}: {:#?}", stage.effects);
    }
}

#[test]
fn a_clone_is_lost_and_another_goes_on() {
    let story = Story::told();
    for stage in 1..STAGES {
        let told = story.go_back(stage);
        story.clone_anew();
        let out = story.run(told.command, &[]);
        assert_eq!(out.code, told.code, "stage {stage}: {}", out.text());
        story.compare(stage).unwrap();
        let changes = |log: &[github::Logged]| {
            let changes = log.iter().filter(|l| l.changes);
            changes.map(|l| l.route.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            changes(&told.log),
            changes(&story.hub.github.log()),
            "stage {stage}"
        );
    }
}

#[test]
fn of_two_clones_one_wins_each_step() {
    let story = Story::told();
    let hub = &story.hub;
    for round in 0..2 {
        // An order is ready; an approval is given; the end.
        for stage in [1, 3, 6] {
            let told = story.go_back(stage);
            let other = hub.clone();
            let mut second = hub.sandbox.program(&other);
            second
                .args(told.command)
                .env("PERTASK_HOME", hub.sandbox.root().join("elsewhere"));
            let first = hub.sandbox.spawn(told.command);
            let second = hub.sandbox.begin(second);
            let outs = [first.wait(), second.wait()];
            let said = format!(
                "round {round}, stage {stage}: {}\n{}",
                outs[0].text(),
                outs[1].text()
            );
            for out in &outs {
                assert!([told.code, 75].contains(&out.code), "{said}");
            }
            if story.compare(stage).is_err() {
                let next = story.run(told.command, &[]);
                assert_eq!(next.code, told.code, "{said}\n{}", next.text());
            }
            if let Err(what) = story.compare(stage) {
                panic!("it differs:\n{what}\n{said}");
            }
            once(&story, stage, None).unwrap_or_else(|what| panic!("{what}\n{said}"));
        }
    }
}

/// A fault at this and many further requests of its kind.
fn always(route: &str, kind: &FaultKind) -> Vec<Fault> {
    let all = 1..100;
    all.map(|nth| Fault::nth(route, nth, kind.clone()))
        .collect()
}

#[test]
fn a_read_gone_wrong_is_asked_again_or_given_up_for_now() {
    let story = Story::told();
    let github = &story.hub.github;
    let mut tried = Vec::new();
    for (n, told) in story.stages.iter().enumerate() {
        for one in told.log.iter().filter(|l| !l.changes) {
            let route = one.route.as_str();
            if tried.contains(&route) {
                continue;
            }
            tried.push(route);
            let is_git = route.starts_with("git:");
            let mut once = vec![
                FaultKind::Status(When::Before, 502),
                FaultKind::Drop(When::Before),
                FaultKind::TooMany {
                    retry_after: 5,
                    reset_in: 5,
                },
            ];
            if !is_git {
                once.push(FaultKind::Malformed);
                once.push(FaultKind::Forbidden { retry_after: None });
            }
            if route.starts_with("graphql:") {
                once.push(FaultKind::GraphQlRateLimited);
            }
            for kind in once {
                story.go_back(n);
                github.fault(Fault::next(route, kind.clone()));
                let out = story.run(told.command, &[]);
                let text = format!("{route} {kind:?} {}", out.text());
                if is_git && out.code == 75 {
                    story.run(story.onward(), &[]).code(told.code);
                } else {
                    assert_eq!(out.code, told.code, "{text}");
                }
                story
                    .compare(n)
                    .unwrap_or_else(|what| panic!("{what}\n{text}"));
            }
            let mut for_good = vec![FaultKind::Status(When::Before, 500)];
            if !is_git {
                for_good.push(FaultKind::Malformed);
            }
            for kind in for_good {
                story.go_back(n);
                github.faults(always(route, &kind));
                let out = story.run(told.command, &[]);
                assert_eq!(out.code, 75, "{route} {kind:?} {}", out.text());
                github.clear_faults();
                let next = story.run(story.onward(), &[]);
                assert_eq!(next.code, told.code, "{route} {kind:?} {}", next.text());
                story
                    .compare(n)
                    .unwrap_or_else(|what| panic!("{route} {kind:?}\n{what}"));
            }
        }
    }
    tried.sort_unstable();
    insta::assert_snapshot!(tried.join("\n"), @"");
}

#[test]
fn a_limit_is_obeyed_announced_and_named() {
    let story = Story::told();
    let github = &story.hub.github;
    for route in [
        "graphql:Look",
        "POST /repos/{owner}/{repo}/issues/{issue_number}/comments",
    ] {
        let told = story.go_back(0);
        // Longer than anybody waits.
        let nth = if route.starts_with("graphql") { 2 } else { 1 };
        github.fault(Fault::nth(
            route,
            nth,
            FaultKind::Exhausted { reset_in: 7200 },
        ));
        let out = story.run(told.command, &[]).code(75);
        let last = out.err().lines().last().unwrap_or_default().to_owned();
        assert_eq!(
            last,
            "git-pertask: GitHub's rate limit is reached until [TIME]; nothing is lost, run it again then"
        );
        let log = github.log();
        let at = log.iter().position(|l| l.disturbed).unwrap();
        let after = log[at + 1..].iter().filter(|l| l.route != "git:info");
        assert_eq!(
            after.count(),
            0,
            "asked within the limit: {:#?}",
            &log[at..]
        );
        story.run(story.onward(), &[]).code(told.code);
        story.compare(0).unwrap();

        // Long enough to tell.
        story.go_back(0);
        github.fault(Fault::nth(
            route,
            nth,
            FaultKind::Forbidden {
                retry_after: Some(90),
            },
        ));
        let out = story.run(told.command, &[]).code(told.code);
        let said = "GitHub's rate limit is reached; waiting until [TIME] (1 min 30 s)";
        assert!(
            out.err()
                .replace("30 s)", "30 s)")
                .contains("waiting until [TIME] (1 min"),
            "{said}\n{}",
            out.text()
        );
        story.compare(0).unwrap();
    }
}
