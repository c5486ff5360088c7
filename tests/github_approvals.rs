//! Which approvals count on GitHub: no merge of content that a permitted person did not approve.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use github::{Permission, ReviewState};
use hub::{Hub, REPO};
use support::{GOOD, TWO};

/// One task of two, waiting for its review.
fn waiting() -> Hub {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub
}

/// Goes on; nothing is merged. What it waits for.
fn still_waiting(hub: &Hub) -> String {
    let out = hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review", "pending"], "{}", out.text());
    assert_eq!(
        hub.github
            .count_of("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge"),
        0
    );
    let out = out.out();
    let waits = out.split("Waiting for:\n").nth(1).unwrap_or_default();
    waits.to_owned()
}

#[test]
fn approvals_of_who_may_not_decide_do_not_count() {
    let hub = waiting();
    let mut said = String::new();
    hub.github.person("rose").approve(REPO, 1, "Fine").unwrap();
    said.push_str(&still_waiting(&hub));
    hub.github.account("helper[bot]");
    hub.github
        .collaborator(REPO, "helper[bot]", Permission::Write);
    hub.github
        .person("helper[bot]")
        .approve(REPO, 1, "Fine")
        .unwrap();
    said.push_str(&still_waiting(&hub));
    let head = hub.github.pull(REPO, 1).head_sha;
    hub.github
        .person("robot[bot]")
        .comment(REPO, 1, &format!("/pertask approve {head}"))
        .unwrap();
    said.push_str(&still_waiting(&hub));
    insta::assert_snapshot!(said, @r"
    - an approval that counts, for task 1 of 2, one (First file): what rose said does not count: they may not write to this repository
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - an approval that counts, for task 1 of 2, one (First file): what rose said does not count: they may not write to this repository
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - an approval that counts, for task 1 of 2, one (First file): what rose said does not count: they may not write to this repository
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    hub.approve(1).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn an_approval_that_goes_away_or_is_of_another_commit_does_not_count() {
    let hub = waiting();
    let olive = hub.github.person("olive");
    let mut said = String::new();
    let base = hub.github.tip(REPO, "pertask/wiz/main").unwrap();
    let review = olive.approve(REPO, 1, "").unwrap();
    olive.dismiss(REPO, 1, review).unwrap();
    said.push_str(&still_waiting(&hub));
    // Of an older commit, given there or moved there by GitHub.
    let review = olive
        .review(REPO, 1, ReviewState::Approved, "", Some(&base), &[])
        .unwrap();
    said.push_str(&still_waiting(&hub));
    let head = hub.github.pull(REPO, 1).head_sha;
    hub.github.change_pull(REPO, 1, |pull| {
        for one in &mut pull.reviews {
            one.at = "2020-01-01T00:00:00Z".parse().unwrap();
        }
    });
    olive.rebind(REPO, 1, review, Some(&head)).unwrap();
    said.push_str(&still_waiting(&hub));
    insta::assert_snapshot!(said, @r"
    - an approval that counts, for task 1 of 2, one (First file): the review of olive was dismissed
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - an approval that counts, for task 1 of 2, one (First file): the approval of olive is for [ID], not for [ID]
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - an approval that counts, for task 1 of 2, one (First file): the approval of olive was given before [ID] was there, for another commit
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    hub.approve(1).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn somebody_elses_request_for_changes_stands_until_they_approve() {
    let hub = Hub::configured(TWO, GOOD, "forge = \"github\"\n[github]\napprovals = 2");
    hub.run(&["start", "wiz"]).code(0);
    let (olive, mallory) = (hub.github.person("olive"), hub.github.person("mallory"));
    olive.approve(REPO, 1, "").unwrap();
    let mut said = still_waiting(&hub);
    mallory.request_changes(REPO, 1, "Shorter.", &[]).unwrap();
    said.push_str(&still_waiting(&hub));
    assert_eq!(
        hub.github.requested(REPO, 1),
        ["mallory"],
        "asked again after the revision"
    );
    olive.approve(REPO, 1, "").unwrap();
    said.push_str(&still_waiting(&hub));
    insta::assert_snapshot!(said, @r"
    - an approval that counts, for task 1 of 2, one (First file): 1 of 2 approvals are there
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - an approval that counts, for task 1 of 2, one (First file): the approval of olive is for [ID], not for [ID]; mallory asked for changes and has not approved since
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    - an approval that counts, for task 1 of 2, one (First file): 1 of 2 approvals are there; mallory asked for changes and has not approved since
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    mallory.approve(REPO, 1, "").unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn a_commit_of_somebody_else_is_checked_and_needs_an_approval_on_that_head() {
    let hub = waiting();
    let mallory = hub.github.person("mallory");
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    let theirs = mallory
        .push(
            REPO,
            "pertask/wiz/1-one",
            &[("one.txt", "mine\n")],
            "My way",
        )
        .unwrap();
    let said = still_waiting(&hub);
    insta::assert_snapshot!(said, @r"
    - an approval that counts, for task 1 of 2, one (First file): the approval of olive is for [ID], not for [ID]
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    let head = hub.github.pull(REPO, 1).head_sha;
    assert_ne!(head, theirs, "the log is brought up to date on top");
    let parent = hub.github.git(REPO, ["rev-parse", &format!("{head}^")]);
    assert_eq!(parent.trim(), theirs);
    // Approving what they pushed approves it with the log on top.
    hub.github
        .person("olive")
        .review(REPO, 1, ReviewState::Approved, "", Some(&theirs), &[])
        .unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
    let text = hub.github.file(REPO, "pertask/wiz/main", "one.txt");
    assert_eq!(text.as_deref(), Some("mine\n"));
}

#[test]
fn a_pull_request_that_goes_elsewhere_is_not_merged_and_a_forks_is_none_of_ours() {
    let hub = waiting();
    let fork = hub.github.person("mallory").fork(REPO);
    hub.github
        .person("mallory")
        .push(
            &fork,
            "pertask/wiz/1-one",
            &[("evil.txt", "evil\n")],
            "Evil",
        )
        .unwrap();
    hub.github.change_pull(REPO, 1, |pull| {
        pull.base_ref = "main".to_owned();
    });
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    let out = hub.run(&["continue"]).code(0);
    assert_eq!(
        hub.github
            .count_of("PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge"),
        0
    );
    insta::assert_snapshot!(out.out(), @r"
    Waiting for:
    - the merge of task 1 of 2, one (First file): its pull request goes to main; on GitHub, change its base back to pertask/wiz/main
    ");
    hub.github.change_pull(REPO, 1, |pull| {
        pull.base_ref = "pertask/wiz/main".to_owned();
    });
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["merged", "review"]);
}

#[test]
fn fewer_reviews_than_the_base_asks_for_take_a_change_of_the_base() {
    let hub = Hub::with(TWO, GOOD);
    let out = hub.run(&["start", "wiz", "--checkpoint", "none"]).code(2);
    insta::assert_snapshot!(out.err(), @r"git-pertask: --checkpoint asks for fewer reviews than .pertask/config.toml on main; on GitHub that takes a change of the file there");
    assert!(hub.github.pulls(REPO).is_empty());
    let hub = Hub::configured(TWO, GOOD, "forge = \"github\"\ncheckpoint = \"none\"");
    hub.run(&["start", "wiz"]).code(0);
    assert_eq!(hub.states(), ["merged", "merged"]);
    let pulls = hub.github.pulls(REPO);
    assert_eq!(pulls.len(), 3, "each task is a pull request all the same");
    let merged = pulls[0].merged.as_ref().unwrap();
    let message = hub
        .github
        .git(REPO, ["log", "-1", "--format=%B", &merged.commit]);
    assert!(
        message.contains("Pertask-Review: policy: checkpoint none"),
        "{message}"
    );
}
