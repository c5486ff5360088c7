//! Which approvals count on GitHub: no merge of content that a permitted person did not approve.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use std::time::Duration;

use github::{Fault, FaultKind, Permission, Protection, Remark, ReviewState, When};
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

/// One task.
const ONE: &str = r#"title = "One file"
build = [["test", "-d", ".pertask"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The only one"
risk = "high"
"#;

/// Adds a line at every attempt.
const GROWING: &str = r#"
cat > /dev/null
echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" >> "$PERTASK_TASK.txt"
printf '{"status":"complete","summary":"wrote %s"}' "$PERTASK_TASK" > "$PERTASK_HANDOFF_FILE"
"#;

const BRANCH: &str = "pertask/wiz/1-one";

const MERGE: &str = "PUT /repos/{owner}/{repo}/pulls/{pull_number}/merge";

/// A run with one task, which waits for its review.
fn waiting_with(settings: &str) -> Hub {
    let hub = Hub::configured(ONE, GROWING, &format!("forge = \"github\"\n{settings}"));
    hub.run(&["start", "wiz"]).code(0);
    assert_eq!(hub.states(), ["review"]);
    hub
}

/// Goes on; nothing is merged: what people read.
fn goes_on_unmerged(hub: &Hub) -> String {
    let out = hub.run(&["continue"]);
    not_merged(hub);
    out.text()
}

fn not_merged(hub: &Hub) {
    assert!(hub.github.pull(REPO, 1).merged.is_none());
    assert_eq!(hub.github.file(REPO, "pertask/wiz/main", "one.txt"), None);
}

/// Goes on, and this is what is merged, for this reason.
#[expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]
fn merges(hub: &Hub, head: &str, because: &str) {
    let out = hub.run(&["continue"]).code(0);
    assert!(out.stderr.contains(because), "{because}: {}", out.stderr);
    assert_eq!(hub.states(), ["merged"]);
    let merged = hub.github.pull(REPO, 1).merged.unwrap();
    let tree = |rev: &str| {
        hub.github
            .git(REPO, ["rev-parse", &format!("{rev}^{{tree}}")])
    };
    assert_eq!(tree(&merged.commit), tree(head), "what was approved");
}

/// The head of the task's branch.
#[expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]
fn head(hub: &Hub) -> String {
    hub.github.tip(REPO, BRANCH).unwrap()
}

/// A run that olive started with her own token.
fn of_olive(settings: &str) -> Hub {
    let settings = format!("forge = \"github\"\n{settings}");
    let mut hub = Hub::configured(ONE, GROWING, &settings);
    let token = hub.github.token("olive", "*");
    hub.sandbox.set("GITHUB_TOKEN", token);
    hub.run(&["start", "wiz"]).code(0);
    hub
}

#[test]
fn the_author_does_not_count_unless_the_base_says_so() {
    let hub = of_olive("");
    let sha = head(&hub);
    let olive = hub.github.person("olive");
    assert!(olive.approve(REPO, 1, "").is_err(), "GitHub refuses it");
    olive
        .comment(REPO, 1, &format!("/pertask approve {sha}"))
        .unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - an approval that counts, for task 1 of 1, one (First file): what olive said does not count: they opened the pull request, and `author_may_approve` is not set on the base
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    A comment of olive does not count
    ");
    let out = hub.run(&["approve", "wiz", "one"]).code(2);
    insta::assert_snapshot!(out.err(), @r"git-pertask: olive opened http://[HOST]/acme/widgets/pull/1, and on GitHub nobody decides about their own pull request; somebody else reviews it there, or `author_may_approve = true` under [github] in .pertask/config.toml on the base lets its author decide");
    hub.github.person("mallory").approve(REPO, 1, "").unwrap();
    merges(&hub, &sha, "approved by mallory");

    let hub = of_olive("[github]\nauthor_may_approve = true");
    let sha = head(&hub);
    let olive = hub.github.person("olive");
    olive.comment(REPO, 1, "/pertask approve").unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    A comment of olive cannot be read as a command
    ");
    olive
        .comment(REPO, 1, &format!("/pertask approve {sha}"))
        .unwrap();
    merges(&hub, &sha, "approved by olive");
}

#[test]
fn an_approval_that_is_dismissed_after_it_was_recorded_is_withdrawn() {
    let hub = waiting_with("");
    let sha = head(&hub);
    let checks = Protection {
        checks: vec!["ci".to_owned()],
        ..Protection::default()
    };
    hub.github.protect(REPO, "pertask/wiz/main", checks);
    let olive = hub.github.person("olive");
    let review = olive.approve(REPO, 1, "").unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r#"
    exit 0
    --- stdout
    Waiting for:
    - the merge of task 1 of 1, one (First file): the branch's protection wants something first, such as required checks or more reviews: Required status check "ci" is expected.
    --- stderr
    Task 1 of 1, one (First file): approved by olive
    "#);
    assert_eq!(hub.states(), ["approved"]);
    olive.dismiss(REPO, 1, review).unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - an approval that counts, for task 1 of 1, one (First file): the review of olive was dismissed
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    Task 1 of 1, one (First file): waiting for a review again: the review of olive was dismissed
    ");
    assert_eq!(hub.states(), ["review"]);
    hub.github
        .protect(REPO, "pertask/wiz/main", Protection::default());
    not_merged(&hub);
    olive.approve(REPO, 1, "").unwrap();
    merges(&hub, &sha, "approved by olive");
}

#[test]
fn an_approval_that_github_moves_to_another_commit_is_none_of_it() {
    let hub = waiting_with("");
    hub.github.at("2030-01-01T10:00:00Z");
    let olive = hub.github.person("olive");
    let review = olive.approve(REPO, 1, "").unwrap();
    let elsewhere = hub.github.tip(REPO, "main").unwrap();
    for commit in [Some(elsewhere.as_str()), None] {
        olive.rebind(REPO, 1, review, commit).unwrap();
        let said = goes_on_unmerged(&hub);
        let why = commit.map_or("names no commit that still exists", |_| "is for [ID]");
        assert!(said.contains(why), "{said}");
    }
    // A new head appears, and the approval of the old one is moved there.
    hub.github.advance(60);
    hub.github
        .person("mallory")
        .request_changes(REPO, 1, "Once more", &[])
        .unwrap();
    hub.github.advance(60);
    hub.run(&["continue"]).code(0);
    let sha = head(&hub);
    olive.rebind(REPO, 1, review, Some(&sha)).unwrap();
    hub.github.advance(60);
    hub.github.person("mallory").approve(REPO, 1, "").unwrap();
    // An approval of this commit that goes away does not make up for that.
    let of_mallory = hub.github.pull(REPO, 1).reviews.last().unwrap().id;
    hub.github
        .person("mallory")
        .dismiss(REPO, 1, of_mallory)
        .unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   2
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T] (2 attempts: [T])
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - an approval that counts, for task 1 of 1, one (First file): the approval of olive was given before [ID] was there, for another commit; the review of mallory was dismissed
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    ");
    olive.approve(REPO, 1, "").unwrap();
    merges(&hub, &sha, "approved by olive");
}

#[test]
fn what_somebody_else_wrote_into_a_comment_is_no_command() {
    let hub = waiting_with("");
    let sha = head(&hub);
    let olive = hub.github.person("olive");
    let comment = olive.comment(REPO, 1, "Looks good so far").unwrap();
    hub.github
        .person("mallory")
        .edit_comment(REPO, comment, &format!("/pertask approve {sha}"))
        .unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - an approval that counts, for task 1 of 1, one (First file): a comment of olive does not count: somebody else has changed it
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    A comment of olive does not count
    ");
    // The words of a review may be changed: what it decides stays.
    let review = hub
        .github
        .person("mallory")
        .remark(REPO, 1, "I have a question", &[])
        .unwrap();
    olive
        .edit_review(REPO, 1, review, &format!("/pertask approve {sha}"))
        .unwrap();
    goes_on_unmerged(&hub);
    let review = olive.approve(REPO, 1, "Fine").unwrap();
    olive.edit_review(REPO, 1, review, "Very fine").unwrap();
    merges(&hub, &sha, "approved by olive");
}

#[test]
fn a_head_that_moves_in_the_moment_of_the_merge_is_not_merged() {
    let hub = waiting_with("");
    let olive = hub.github.person("olive");
    olive.approve(REPO, 1, "").unwrap();
    hub.github.fault(Fault::next(
        MERGE,
        FaultKind::Stall(When::Before, Duration::from_millis(1500)),
    ));
    let sandbox = &hub.sandbox;
    std::thread::scope(|scope| {
        let going = scope.spawn(|| sandbox.pertask(["continue"]));
        // The merge is on its way when somebody pushes.
        while hub.states() != ["approved"] {
            std::thread::sleep(Duration::from_millis(20));
        }
        hub.github
            .person("mallory")
            .push(REPO, BRANCH, &[("one.txt", "mine\n")], "Better")
            .unwrap();
        insta::assert_snapshot!(going.join().unwrap().text(), @r"
        exit 0
        --- stdout
        Task 1 of 1 complete: one.txt

        Created: + one.txt
        Lines:   1
        Build:   SUCCESS
        Rules:   none to check
        Spent:   [T] (2 attempts: [T])
        Branch:  pertask/wiz/1-one at [ID]

        Waiting for:
        - an approval that counts, for task 1 of 1, one (First file): the approval of olive is for [ID], not for [ID]
        - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
        --- stderr
        Task 1 of 1, one (First file): approved by olive
        Task 1 of 1, one (First file): mallory committed on its branch ([ID])
        Task 1 of 1, one (First file): checking a person's commit begins
          ok test -d .pertask ([T])
        Task 1 of 1, one (First file): attempt 2 passes its checks, waiting for a review
        Task 1 of 1, one (First file): pull request #1 shows [ID]
        ");
    });
    assert!(hub.github.used().iter().all(|(_, used)| *used));
    not_merged(&hub);
    assert_eq!(hub.states(), ["review"]);
    olive.approve(REPO, 1, "").unwrap();
    merges(&hub, &head(&hub), "approved by olive");
}

#[test]
fn a_suggestion_that_is_applied_is_checked_and_approved_anew() {
    let hub = waiting_with("");
    let olive = hub.github.person("olive");
    let remark = Remark::line("one.txt", 1, "Louder.").suggesting("LOUD");
    olive.remark(REPO, 1, "", &[remark]).unwrap();
    olive.approve(REPO, 1, "With that").unwrap();
    let thread = hub.github.pull(REPO, 1).threads[0].id;
    olive.apply_suggestion(REPO, 1, thread).unwrap();
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T] (2 attempts: [T])
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - an approval that counts, for task 1 of 1, one (First file): the approval of olive is for [ID], not for [ID]
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    Task 1 of 1, one (First file): olive committed on its branch ([ID])
    Task 1 of 1, one (First file): checking a person's commit begins
      ok test -d .pertask ([T])
    Task 1 of 1, one (First file): attempt 2 passes its checks, waiting for a review
    Task 1 of 1, one (First file): pull request #1 shows [ID]
    ");
    olive.approve(REPO, 1, "").unwrap();
    merges(&hub, &head(&hub), "approved by olive");
    assert_eq!(
        hub.github
            .file(REPO, "pertask/wiz/main", "one.txt")
            .unwrap(),
        "LOUD\n"
    );
}

#[test]
fn a_pull_request_that_was_merged_elsewhere_is_not_taken_for_merged() {
    let hub = waiting_with("");
    hub.github
        .change_pull(REPO, 1, |p| "main".clone_into(&mut p.base_ref));
    hub.github.person("olive").merge(REPO, 1, "merge").unwrap();
    let out = hub.run(&["continue"]);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - the merge of task 1 of 1, one (First file): its pull request was merged into main, not into the run branch; merge its branch into the run branch by hand, or leave it out with `git pertask skip`
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    ");
    assert_eq!(hub.github.file(REPO, "pertask/wiz/main", "one.txt"), None);
    assert_eq!(hub.states(), ["review"]);
    hub.github
        .person("olive")
        .comment(REPO, 1, "/pertask skip It is in main already")
        .unwrap();
    hub.run(&["continue"]);
    assert_eq!(hub.states(), ["skipped"]);
}

#[test]
fn pull_requests_of_forks_with_our_branch_name_are_not_ours() {
    let hub = waiting_with("");
    let sha = head(&hub);
    for n in 0..11 {
        let login = format!("stranger{n}");
        hub.github.account(&login);
        let stranger = hub.github.person(&login);
        let fork = stranger.fork(REPO);
        stranger
            .push(&fork, BRANCH, &[("one.txt", "evil\n")], "Mine")
            .unwrap();
        let number = stranger
            .open(
                REPO,
                &format!("{login}:{BRANCH}"),
                "pertask/wiz/main",
                "Mine",
            )
            .unwrap();
        hub.github
            .person("olive")
            .approve(REPO, number, "")
            .unwrap();
    }
    insta::assert_snapshot!(goes_on_unmerged(&hub), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    ");
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    merges(&hub, &sha, "approved by olive");
    assert!(hub.github.pulls(REPO)[1..12].iter().all(github::Pull::open));
}
