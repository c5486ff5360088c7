//! Whatever goes wrong at any request, the run comes to the same end after at most one more
//! `git pertask continue`, and nothing happens twice.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failing helper is a failing test; what was tried is printed"
)]

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
#[path = "support/story.rs"]
mod story;
mod support;

use std::collections::{BTreeMap, BTreeSet};
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
    story.once(case.stage, Some(&case.fault), 1)?;
    Ok(commands)
}

/// Whether a case was asked for by words in its name, such as `Malformed+git:receive-pack`.
fn wanted(case: &impl Debug) -> bool {
    let Ok(words) = std::env::var("PERTASK_CASES") else {
        return true;
    };
    let text = format!("{case:?}");
    words.split('+').all(|w| text.contains(w))
}

/// Tries cases on as many hubs as the machine has processors (`PERTASK_THREADS`), and prints how many of each class were
/// wrong.
fn all<C: Debug + Clone + Send>(
    pick: impl Fn(&Story) -> Vec<C> + Sync,
    trial: impl Fn(&Story, &C) -> Result<u32, String> + Sync,
    class: impl Fn(&C) -> String + Sync,
) {
    let tried: Mutex<BTreeMap<String, [usize; 2]>> = Mutex::default();
    let todo: Mutex<Option<Vec<C>>> = Mutex::new(None);
    let wrong = Mutex::new(Vec::new());
    let counts = Mutex::new([0_u32; 3]);
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    let threads = std::env::var("PERTASK_THREADS").ok();
    let threads = threads.map_or(processors, |n| n.parse().unwrap());
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
                    let once = || trial(&story, &case);
                    let once = std::panic::catch_unwind(std::panic::AssertUnwindSafe(once));
                    let once = once.unwrap_or_else(|_| Err("it panicked".to_owned()));
                    let mut sums = tried.lock().unwrap();
                    let sum = sums.entry(class(&case)).or_default();
                    *sum = [sum[0] + usize::from(once.is_err()), sum[1] + 1];
                    drop(sums);
                    match once {
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
    for (class, [wrong, all]) in tried.into_inner().unwrap() {
        println!("figure: {class} | {wrong} wrong of {all} | fixed");
    }
    println!("figure: cases that needed one more continue | {two} | fixed");
    assert!(
        wrong.is_empty(),
        "{} wrong; {one} went on by themselves, {two} with one more continue\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
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

/// One thing that goes wrong.
#[derive(Debug, Clone)]
enum Trouble {
    Change(Case),
    Read(Case),
    /// A read that does not work again while the command runs.
    NoRead(Case),
}

fn try_it(story: &Story, trouble: &Trouble) -> Result<u32, String> {
    match trouble {
        Trouble::Change(case) | Trouble::Read(case) => trial(story, case),
        Trouble::NoRead(case) => without(story, case),
    }
}

/// What a case is counted with.
fn class(trouble: &Trouble) -> String {
    let (what, case) = match trouble {
        Trouble::Change(case) => ("a change on GitHub", case),
        Trouble::Read(case) => ("a read", case),
        Trouble::NoRead(case) => ("a read that stays broken", case),
    };
    let fault = match &case.fault.kind {
        FaultKind::Status(When::Before, _) => "5xx, nothing done",
        FaultKind::Status(When::After, _) => "5xx, but done",
        FaultKind::Drop(When::Before) => "the connection ends, nothing done",
        FaultKind::Drop(When::After) => "the connection ends, but done",
        FaultKind::Stall(..) => "no answer in time, but done",
        FaultKind::Forbidden {
            retry_after: Some(_),
        } => "403 of a secondary limit with retry-after",
        FaultKind::Forbidden { retry_after: None } => {
            "403 of a secondary limit without retry-after"
        }
        FaultKind::TooMany { .. } => "429",
        FaultKind::Exhausted { .. } => "403 of the primary limit",
        FaultKind::GraphQlRateLimited => "a limit that GraphQL tells",
        FaultKind::Malformed => "half an answer",
        FaultKind::Stale { .. } => "done, but not seen by the next reads",
        FaultKind::Moved { .. } => "somebody moves a ref",
    };
    format!("{what}: {fault}")
}

/// Every change and every kind of read with every fault.
fn everything(story: &Story) -> Vec<Trouble> {
    let reads = reads(story).into_iter();
    let for_good = reads.clone().filter(|c| {
        let FaultKind::Status(_, 502) = c.fault.kind else {
            return c.fault.kind == FaultKind::Malformed;
        };
        true
    });
    let changes = cases(story).into_iter().map(Trouble::Change);
    changes
        .chain(for_good.map(Trouble::NoRead))
        .chain(reads.map(Trouble::Read))
        .collect()
}

/// Each kind of change with a quarter of the faults, so that each fault meets a quarter of them, at one
/// occurrence or another; as many of the reads.
fn selection(story: &Story) -> Vec<Trouble> {
    let kinds = kinds();
    let mut routes: BTreeMap<String, usize> = BTreeMap::new();
    let mut met: BTreeSet<String> = BTreeSet::new();
    let mut chosen = everything(story);
    let mut n = 0;
    chosen.retain(|trouble| match trouble {
        Trouble::Change(case) => {
            let next = routes.len();
            let route = *routes.entry(case.fault.route.clone()).or_insert(next);
            let kind = kinds.iter().position(|k| *k == case.fault.kind);
            (route + kind.unwrap_or_default()).is_multiple_of(4)
                && met.insert(format!("{:?} {}", case.fault.kind, case.fault.route))
        }
        Trouble::Read(_) | Trouble::NoRead(_) => {
            n += 1;
            n % 4 == 0
        }
    });
    chosen
}

#[test]
fn one_thing_gone_wrong_changes_nothing_in_the_end() {
    all(selection, try_it, class);
}

/// The remote takes a push and the connection ends before it says so. Curl sends the push once more by
/// itself, and is told that the refs are not where they were seen: nobody but us has moved them.
#[test]
fn a_push_that_goes_out_twice_is_ours() {
    let sent_twice = |trouble: &Trouble| {
        matches!(trouble, Trouble::Change(case) if case.stage < 2
            && case.fault.route == "git:receive-pack"
            && case.fault.kind == FaultKind::Drop(When::After))
    };
    let those = |story: &Story| {
        let mut chosen = everything(story);
        chosen.retain(sent_twice);
        chosen
    };
    all(those, try_it, class);
}

#[test]
#[ignore = "takes a quarter of an hour: everything that can go wrong with the story"]
fn anything_gone_wrong_changes_nothing_in_the_end() {
    all(everything, try_it, class);
}

/// GitHub made it, did not say so, and does not show it yet: it says that it exists already.
#[test]
fn a_pull_request_that_exists_already_is_taken() {
    let story = Story::told();
    let route = "POST /repos/{owner}/{repo}/pulls";
    for reads in [1, 2, 3] {
        let told = story.go_back(0);
        let before = told.log.iter().take_while(|l| l.route != route);
        let pushes = before.filter(|l| l.route == "git:receive-pack").count();
        let lost = FaultKind::Status(When::After, 502);
        let stale = FaultKind::Stale {
            reads: Some(reads + 1),
        };
        story.hub.github.faults([
            Fault::next(route, lost),
            Fault::nth("git:receive-pack", pushes, stale),
        ]);
        let out = story.run(told.command, &[]);
        assert!([told.code, 75].contains(&out.code), "{}", out.text());
        assert!(story.hub.github.unused().is_empty());
        let log = story.hub.github.log();
        let exists = log.iter().filter(|l| l.route == route && l.status == 422);
        assert!(exists.count() > 0, "{reads} reads: {}", out.text());
        if out.code == 75 {
            story.run(story.onward(), &[]).code(told.code);
        }
        story.compare(0).unwrap();
        assert_eq!(story.hub.github.pulls(hub::REPO).len(), 1);
    }
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
    let asked = |log: &[github::Logged]| {
        let api = log.iter().filter(|l| !l.route.starts_with("git:"));
        api.count()
    };
    let mut most = 0;
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
        let (before, after) = (asked(&told.log), asked(&story.hub.github.log()));
        println!("stage {stage}: {after} requests to the API, {before} in the old clone");
        most = most.max(after.saturating_sub(before));
    }
    let tasks = story.hub.states().len();
    println!(
        "figure: requests to the API more after a clone was lost, at most, {tasks} tasks | {most} | fixed"
    );
    // What a clone knows is the ledger's, and that comes by git.
    assert!(most <= 2 * tasks, "{most} more requests for {tasks} tasks");
}

/// Each kind of read, where it first happens, with what can go wrong with it.
fn reads(story: &Story) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (stage, told) in story.stages.iter().enumerate() {
        for one in told.log.iter().filter(|l| !l.changes) {
            if cases.iter().any(|c| c.fault.route == one.route) {
                continue;
            }
            let mut kinds = vec![
                FaultKind::Status(When::Before, 502),
                FaultKind::Drop(When::Before),
                FaultKind::TooMany {
                    retry_after: 5,
                    reset_in: 5,
                },
            ];
            if !one.route.starts_with("git:") {
                kinds.push(FaultKind::Malformed);
                kinds.push(FaultKind::Forbidden { retry_after: None });
            }
            if one.route.starts_with("graphql:") {
                kinds.push(FaultKind::GraphQlRateLimited);
            }
            cases.extend(kinds.into_iter().map(|kind| Case {
                stage,
                fault: Fault::next(&one.route, kind),
            }));
        }
    }
    cases
}

/// As long as a read does not work it is given up for now, and gone on with later.
fn without(story: &Story, case: &Case) -> Result<u32, String> {
    let told = story.go_back(case.stage);
    let Fault { route, kind, .. } = &case.fault;
    let faults = (1..100).map(|nth| Fault::nth(route, nth, kind.clone()));
    story.hub.github.faults(faults);
    let out = story.run(told.command, &[]);
    if out.code != 75 {
        return Err(out.text());
    }
    story.hub.github.clear_faults();
    let next = story.run(story.onward(), &[]);
    if next.code != told.code {
        return Err(next.text());
    }
    story.compare(case.stage).map(|()| 2)
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
        assert!(
            out.err()
                .contains("GitHub's rate limit is reached; waiting until [TIME] (1 min"),
            "{}",
            out.text()
        );
        story.compare(0).unwrap();
    }
}
