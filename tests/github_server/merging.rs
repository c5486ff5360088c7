//! Opening, following the branches, merging.

use serde_json::{Value, json};

use super::github::Protection;
use super::{REPO, Site};

#[test]
fn a_pull_request_is_opened_approved_and_merged() {
    let site = Site::with_pull();
    let first = site.client.get("/repos/octo/app/pulls/1").expect(200);
    assert_eq!(first["mergeable"], Value::Null);
    let second = site.client.get("/repos/octo/app/pulls/1").expect(200);
    assert_eq!(second["mergeable"], true);
    assert_eq!(second["mergeable_state"], "clean");
    assert_eq!(second["user"]["login"], "wiz[bot]");
    site.github.person("ada").approve(REPO, 1, "Good").unwrap();
    let reviews = site
        .client
        .get("/repos/octo/app/pulls/1/reviews")
        .expect(200);
    assert_eq!(reviews[0]["state"], "APPROVED");
    assert_eq!(reviews[0]["commit_id"], second["head"]["sha"]);
    let said = site.client.graphql(
        "query look { repository(owner: \"octo\", name: \"app\") { nameWithOwner \
         pullRequests(headRefName: \"task\", states: [OPEN], first: 1) { nodes { number \
         author { __typename login } mergeable reviews(last: 100) { nodes { state \
         author { login } commit { oid } } } } } } viewer { login } }",
        &Value::Null,
    );
    let pull = &said["data"]["repository"]["pullRequests"]["nodes"][0];
    assert_eq!(
        pull["author"],
        json!({"__typename": "Bot", "login": "wiz"}),
        "{said}"
    );
    assert_eq!(pull["mergeable"], "MERGEABLE");
    assert_eq!(
        pull["reviews"]["nodes"][0]["commit"]["oid"],
        second["head"]["sha"]
    );
    let how = json!({"sha": second["head"]["sha"], "merge_method": "squash",
        "commit_title": "Add a", "commit_message": "Because."});
    let merged = site.merge(&how).expect(200);
    assert_eq!(
        site.github.tip(REPO, "main").unwrap(),
        merged["sha"].as_str().unwrap()
    );
    assert_eq!(
        site.github
            .git(REPO, ["log", "-1", "--format=%B%an <%ae> %cn", "main"])
            .trim(),
        format!(
            "Add a\n\nBecause.\nwiz[bot] <{0}+wiz[bot]@users.noreply.github.com> GitHub",
            site.github.person("wiz[bot]").id
        )
    );
    site.client.get("/repos/octo/app/pulls/1/merge").expect(204);
    assert_eq!(
        site.merge(&how).refused(405),
        "Pull Request is not mergeable"
    );
}

#[test]
fn merging_is_refused_with_the_reason() {
    let site = Site::with_pull();
    let head = site.github.pull(REPO, 1).head_sha;
    let refused = |status: u16| site.merge(&json!({"sha": head})).refused(status);
    assert_eq!(
        site.merge(&json!({"sha": "0".repeat(40)})).refused(409),
        "Head branch was modified. Review and try the merge again."
    );
    let bot = site.github.person("wiz[bot]");
    bot.set_draft(REPO, 1, true).unwrap();
    assert_eq!(refused(405), "Pull Request is still a draft");
    bot.set_draft(REPO, 1, false).unwrap();
    site.github.change(REPO, |r| r.allow_squash = false);
    assert_eq!(
        site.merge(&json!({"merge_method": "squash"})).refused(405),
        "Squash merges are not allowed on this repository."
    );
    let rules = Protection {
        approvals: 1,
        checks: vec!["build".into()],
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    assert_eq!(site.github.merge_state(REPO, 1), "BLOCKED");
    assert_eq!(
        refused(405),
        "At least 1 approving review is required by reviewers with write access."
    );
    let eve = site.github.person("eve");
    eve.approve(REPO, 1, "").unwrap();
    assert!(refused(405).starts_with("At least 1"));
    site.github.person("ada").approve(REPO, 1, "").unwrap();
    assert_eq!(refused(405), "Required status check \"build\" is expected.");
    let status = format!("/repos/octo/app/statuses/{head}");
    let state = |state: &str| json!({"state": state, "context": "build", "description": "d"});
    site.client.post(&status, &state("pending")).expect(201);
    assert_eq!(refused(405), "Required status check \"build\" is pending.");
    site.client.post(&status, &state("success")).expect(201);
    assert_eq!(site.github.merge_state(REPO, 1), "CLEAN");
    let rules = Protection {
        queue: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    assert_eq!(refused(405), "Changes must be made through the merge queue");
    site.github.change(REPO, |r| r.protections.clear());
    let octo = site.github.person("octo");
    octo.push(REPO, "main", &[("a.txt", "other\n")], "Conflict")
        .unwrap();
    assert_eq!(site.github.merge_state(REPO, 1), "DIRTY");
    assert_eq!(refused(405), "Pull Request is not mergeable");
}

#[test]
fn each_kind_of_merge_is_gits() {
    for (method, parents, commits) in [("merge", 2, 3), ("squash", 1, 1), ("rebase", 1, 2)] {
        let site = Site::with_pull();
        let ada = site.github.person("ada");
        ada.push(REPO, "task", &[("b.txt", "b\n")], "Add b\n\nWith words.")
            .unwrap();
        ada.push(REPO, "main", &[("c.txt", "c\n")], "Elsewhere")
            .unwrap();
        let before = site.github.tip(REPO, "main").unwrap();
        let new = ada.merge(REPO, 1, method).unwrap();
        let line = site.github.git(REPO, ["log", "-1", "--format=%P", &new]);
        assert_eq!(line.split(' ').count(), parents, "{method}");
        let range = format!("{before}..{new}");
        let count = site.github.git(REPO, ["rev-list", "--count", &range]);
        assert_eq!(count, commits.to_string(), "{method}");
        for file in ["a.txt", "b.txt", "c.txt"] {
            assert!(
                site.github.file(REPO, "main", file).is_some(),
                "{method} {file}"
            );
        }
        let message = site.github.git(REPO, ["log", "-1", "--format=%B", &new]);
        let ada = site.github.person("ada").id;
        let wanted = match method {
            "merge" => "Merge pull request #1 from octo/task\n\nTask".to_owned(),
            "rebase" => "Add b\n\nWith words.".to_owned(),
            _ => format!(
                "Task (#1)\n\n* Add a\n\n* Add b\n\nWith words.\n\n---------\n\n\
                 Co-authored-by: ada <{ada}+ada@users.noreply.github.com>"
            ),
        };
        assert_eq!(message, wanted);
    }
}

#[test]
fn pull_requests_follow_their_branches() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let merged = ada.merge_by_git(REPO, "main", "task").unwrap();
    let pull = site.github.pull(REPO, 1);
    let how = pull.merged.unwrap();
    assert_eq!((how.by, how.commit), (ada.id, merged));

    ada.push(REPO, "two", &[("two.txt", "2\n")], "Two").unwrap();
    site.open("two").expect(201);
    ada.push(REPO, "two", &[("two.txt", "2, 2\n")], "More")
        .unwrap();
    let head = site.github.tip(REPO, "two").unwrap();
    assert_eq!(site.github.pull(REPO, 2).head_sha, head);
    ada.delete_branch(REPO, "two").unwrap();
    assert!(!site.github.pull(REPO, 2).open());
    assert_eq!(
        ada.reopen(REPO, 2).unwrap_err(),
        "422 Validation Failed: state cannot be changed. The branch has been deleted."
    );
    ada.force_push(REPO, "two", &head).unwrap();
    ada.reopen(REPO, 2).unwrap();
    assert!(site.github.pull(REPO, 2).open());
    ada.close(REPO, 2).unwrap();
    assert!(!site.github.pull(REPO, 2).open());

    let eve = site.github.person("eve");
    let fork = eve.fork(REPO);
    eve.push(&fork, "mine", &[("eve.txt", "e\n")], "Mine")
        .unwrap();
    let number = eve.open(REPO, "eve:mine", "main", "From a fork").unwrap();
    let shown = site
        .client
        .get(&format!("/repos/octo/app/pulls/{number}"))
        .expect(200);
    assert_eq!(shown["head"]["repo"]["full_name"], "eve/app");
    assert_eq!(shown["head"]["label"], "eve:mine");
    eve.push(&fork, "mine", &[("eve.txt", "e, e\n")], "More")
        .unwrap();
    assert_eq!(
        Some(site.github.pull(REPO, number).head_sha),
        site.github.tip(&fork, "mine")
    );
    ada.merge(REPO, number, "merge").unwrap();
    assert_eq!(site.github.file(REPO, "main", "eve.txt").unwrap(), "e, e\n");
}

#[test]
fn a_push_dismisses_approvals_where_that_is_the_rule() {
    let site = Site::with_pull();
    let rules = Protection {
        approvals: 1,
        dismiss_stale: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    let ada = site.github.person("ada");
    ada.approve(REPO, 1, "").unwrap();
    assert_eq!(site.github.merge_state(REPO, 1), "CLEAN");
    // The same changes on a newer base are not stale.
    ada.push(REPO, "main", &[("c.txt", "c\n")], "Elsewhere")
        .unwrap();
    ada.merge_by_git(REPO, "task", "main").unwrap();
    assert_eq!(site.github.merge_state(REPO, 1), "CLEAN");
    ada.push(REPO, "task", &[("a.txt", "new\n")], "Another")
        .unwrap();
    assert_eq!(site.github.merge_state(REPO, 1), "BLOCKED");
    assert_eq!(
        site.github.pull(REPO, 1).reviews[0].state.name(),
        "DISMISSED"
    );
}
