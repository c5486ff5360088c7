//! A run whose checkpoints are pull requests, from start to the merge of the last.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use hub::{Hub, REPO};
use support::{GOOD, TWO};

#[test]
fn each_task_is_a_pull_request_and_its_approval_starts_the_next() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    assert_eq!(hub.github.pulls(REPO).len(), 1);
    assert_eq!(hub.states(), ["review", "pending"]);

    hub.approve(1).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
    let pulls = hub.github.pulls(REPO);
    assert_eq!(pulls.len(), 2);
    assert!(pulls[0].merged.is_some());

    hub.approve(2).code(0);
    assert_eq!(hub.states(), ["merged", "merged"]);
    let pulls = hub.github.pulls(REPO);
    assert_eq!(pulls.len(), 3, "the last one takes the run into its base");
    hub.github.person("olive").merge(REPO, 3, "merge").unwrap();
    let out = hub.run(&["continue", "wiz"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Run wiz is complete: 2 of 2 tasks merged into pertask/wiz/main.
    It is in main as [ID] (merged by olive).
    --- stderr
    Merged into main as [ID] (merged by olive)
    ");
}

/// `bench/run requests` prints what this counts.
#[test]
fn a_task_takes_twelve_requests_and_a_poll_without_news_none_of_the_limit() {
    let hub = Hub::configured(
        TWO,
        GOOD,
        "forge = \"github\"\n[github]\nreviewers = [\"olive\"]",
    );
    hub.run(&["start", "wiz"]).code(0);
    hub.approve(1).code(0);
    let log = hub.github.log();
    let merged = log
        .iter()
        .position(|l| l.route.ends_with("/merge"))
        .unwrap();
    let api: Vec<_> = log[..=merged]
        .iter()
        .filter(|l| !l.route.starts_with("git:") && !l.route.contains("check-runs"))
        .collect();
    let changes = api.iter().filter(|l| l.changes).count();
    for one in &api {
        println!(
            "{} {}",
            if one.changes { "change" } else { "read  " },
            one.route
        );
    }
    println!(
        "one task, from start to merged: {} requests, {changes} of which change something",
        api.len()
    );
    assert!(api.len() <= 12 && changes <= 7);
    assert_eq!(hub.github.requested(REPO, 2), ["olive"]);

    // The second waits for a review. A process that watches asks once for all, then for news only.
    let mut command = hub.sandbox.program(&hub.sandbox.repo);
    command.args(["continue", "--watch"]);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut watching = command.spawn().unwrap();
    let free = || hub.github.log().iter().filter(|l| l.status == 304).count();
    let wait_for = |times: usize| {
        while free() < times {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    wait_for(3);
    let before = hub.github.charged(&hub.token);
    wait_for(33);
    let after = hub.github.charged(&hub.token);
    watching.kill().unwrap();
    watching.wait().unwrap();
    println!(
        "ten polls without news: {} of the rate limit",
        after.0 - before.0 + after.1 - before.1
    );
    assert_eq!(before, after);
}
