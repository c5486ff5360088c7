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
