//! The GitHub of the tests, tested itself: what it does and refuses, and that it notices requests
//! that GitHub's own descriptions do not know.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[path = "support/github/mod.rs"]
mod github;

use std::process::Command;

use github::client::Client;
use github::{Fault, FaultKind, GitHub, Permission, Protection, Remark, When};
use serde_json::{Value, json};

const REPO: &str = "octo/app";

/// A repository with a branch `task`, a bot that wrote it, and ada, who may review.
struct Site {
    github: GitHub,
    token: String,
    client: Client,
}

impl Site {
    fn new() -> Self {
        let github = GitHub::start();
        github.repository(REPO);
        let octo = github.person("octo");
        octo.push(REPO, "main", &[("README.md", "one\ntwo\nthree\n")], "First")
            .unwrap();
        let bot = github.person("wiz[bot]");
        bot.push(REPO, "task", &[("a.txt", "1\n2\n3\n4\n5\n")], "Add a")
            .unwrap();
        github.collaborator(REPO, "ada", Permission::Write);
        let token = github.token("wiz[bot]", "*");
        let client = Client::new(&github.url(), Some(&token));
        Self {
            github,
            token,
            client,
        }
    }

    /// With pull request 1 from `task` into `main`.
    fn with_pull() -> Self {
        let site = Self::new();
        let made = site.open("task").expect(201);
        assert_eq!(made["number"], 1);
        site
    }

    fn open(&self, head: &str) -> github::client::Reply {
        let body = json!({"title": "Task", "head": head, "base": "main", "body": "Why"});
        self.client.post("/repos/octo/app/pulls", &body)
    }

    fn as_user(&self, login: &str) -> Client {
        Client::new(&self.github.url(), Some(&self.github.token(login, "*")))
    }

    fn merge(&self, body: &Value) -> github::client::Reply {
        self.client
            .rest("PUT", "/repos/octo/app/pulls/1/merge", body)
    }
}

fn git(dir: &std::path::Path, args: &[&str]) -> (bool, String) {
    let out = Command::new("git")
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.com")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.com")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    (out.status.success(), said.into_owned())
}

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
fn git_pushes_and_fetches_over_http() {
    let site = Site::with_pull();
    let home = tempfile::tempdir().unwrap();
    let url = site.github.clone_url_as(REPO, &site.token);
    let (ok, said) = git(home.path(), &["clone", "-q", &url, "w"]);
    assert!(ok, "{said}");
    let work = home.path().join("w");
    // More than git sends without compressing or chunking it.
    let big: String = (0..300_000)
        .map(|n| format!("{}\n", i64::from(n) * 7919 % 100_003))
        .collect();
    std::fs::write(work.join("big.txt"), &big).unwrap();
    git(&work, &["checkout", "-q", "task"]);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "-qm", "Big"]);
    let (ok, said) = git(
        &work,
        &["-c", "http.postBuffer=1000", "push", "-q", "origin", "task"],
    );
    assert!(ok, "{said}");
    let (_, head) = git(&work, &["rev-parse", "HEAD"]);
    assert_eq!(site.github.pull(REPO, 1).head_sha, head.trim());
    assert_eq!(site.github.file(REPO, "task", "big.txt").unwrap(), big);
    let (ok, said) = git(&work, &["fetch", "-q", "origin", "refs/pull/1/head"]);
    assert!(ok, "{said}");
    let (ok, said) = git(&work, &["fetch", "-q", "origin", head.trim()]);
    assert!(ok, "{said}");
    let count = site.github.count();
    assert_eq!((count.pushes, count.api, count.changing), (1, 1, 1));
    // A lease that does not hold moves nothing, not even the other ref.
    let zero = "0".repeat(40);
    let (ok, said) = git(
        &work,
        &[
            "push",
            "--atomic",
            &format!("--force-with-lease=task:{zero}"),
            "--force-with-lease=other:",
            "origin",
            "HEAD~1:task",
            "HEAD:refs/heads/other",
        ],
    );
    assert!(!ok && said.contains("stale info"), "{said}");
    assert_eq!(site.github.tip(REPO, "other"), None);
}

#[test]
fn git_is_refused_as_github_refuses() {
    let site = Site::new();
    let home = tempfile::tempdir().unwrap();
    let url = |token: &str| site.github.clone_url_as(REPO, token);
    let (ok, said) = git(home.path(), &["clone", "-q", &url(&site.token), "w"]);
    assert!(ok, "{said}");
    let work = home.path().join("w");
    let push = |token: &str, to: &str| git(&work, &["push", &url(token), &format!("HEAD:{to}")]);
    std::fs::write(work.join("b.txt"), "b\n").unwrap();
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "-qm", "B"]);
    let reader = site.github.token("wiz[bot]", "contents:read");
    let (ok, said) = push(&reader, "refs/heads/b");
    assert!(
        !ok && said.contains("Permission to octo/app.git denied to wiz[bot]"),
        "{said}"
    );
    let stranger = site.github.token("eve", "*");
    let (ok, said) = push(&stranger, "refs/heads/b");
    assert!(!ok && said.contains("403"), "{said}");
    let (ok, said) = push("nonsense", "refs/heads/b");
    assert!(!ok && said.contains("Authentication failed"), "{said}");

    std::fs::create_dir_all(work.join(".github/workflows")).unwrap();
    std::fs::write(work.join(".github/workflows/ci.yml"), "on: push\n").unwrap();
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "-qm", "Workflow"]);
    let (ok, said) = push(&site.token, "refs/heads/b");
    let why = "! [remote rejected] HEAD -> b (refusing to allow a GitHub App to create or update \
               workflow `.github/workflows/ci.yml` without `workflows` permission)";
    assert!(!ok && said.contains(why), "{said}");
    let (ok, said) = push(
        &site.github.token("wiz[bot]", "*,workflows"),
        "refs/heads/b",
    );
    assert!(ok, "{said}");

    let rules = Protection {
        no_push: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    let (ok, said) = push(&site.github.token("ada", "*,workflows"), "refs/heads/main");
    let why = "(protected branch hook declined)";
    assert!(
        !ok && said.contains(why) && said.contains("GH006"),
        "{said}"
    );

    site.github.archive(REPO);
    let (ok, said) = push(&site.token, "refs/heads/c");
    assert!(
        !ok && said.contains("archived so it is read-only"),
        "{said}"
    );
    site.github.rename(REPO, "octo/new");
    let (ok, said) = git(home.path(), &["clone", "-q", &url(&site.token), "again"]);
    assert!(ok, "{said}");
}

#[test]
fn what_github_refuses_is_refused() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let bot = site.github.person("wiz[bot]");
    assert_eq!(
        bot.approve(REPO, 1, "").unwrap_err(),
        "422 Validation Failed: Can not approve your own pull request"
    );
    assert_eq!(
        bot.request_changes(REPO, 1, "No", &[]).unwrap_err(),
        "422 Validation Failed: Can not request changes on your own pull request"
    );
    assert_eq!(
        site.open("task").refused(422),
        "A pull request already exists for octo:task."
    );
    ada.force_push(REPO, "same", &site.github.tip(REPO, "main").unwrap())
        .unwrap();
    assert_eq!(
        site.open("same").refused(422),
        "No commits between main and same"
    );
    assert_eq!(site.open("nowhere").refused(422), "head invalid");
    let ask = |who: &str| {
        let path = "/repos/octo/app/pulls/1/requested_reviewers";
        site.client.post(path, &json!({"reviewers": [who]}))
    };
    assert_eq!(
        ask("wiz[bot]").refused(422),
        "Review cannot be requested from pull request author."
    );
    assert!(
        ask("eve")
            .refused(422)
            .starts_with("Reviews may only be requested from collabor")
    );
    ask("ada").expect(201);
    assert_eq!(site.github.requested(REPO, 1), ["ada"]);
    let long = json!({"body": "x".repeat(65_537)});
    let path = "/repos/octo/app/pulls/1";
    assert_eq!(
        site.client.rest("PATCH", path, &long).refused(422),
        "body is too long (maximum is 65536 characters)"
    );
    let comments = "/repos/octo/app/issues/1/comments";
    assert_eq!(
        site.client.post(comments, &long).refused(422),
        "Body is too long (maximum is 65536 characters)"
    );
    let head = site.github.pull(REPO, 1).head_sha;
    let check = json!({"name": "rules", "head_sha": head});
    assert_eq!(
        site.as_user("ada")
            .post("/repos/octo/app/check-runs", &check)
            .refused(403),
        "You must authenticate via a GitHub App."
    );
    site.client
        .post("/repos/octo/app/check-runs", &check)
        .expect(201);
    let weak = site.github.token("ada", "contents:write");
    let weak = Client::new(&site.github.url(), Some(&weak));
    let refused = weak.post(comments, &json!({"body": "Hello"}));
    assert_eq!(
        refused.refused(403),
        "Resource not accessible by personal access token"
    );
    assert_eq!(
        refused.header("x-accepted-github-permissions"),
        Some("issues=write; pull_requests=write")
    );
    site.github.expire(&site.token);
    assert_eq!(site.client.get("/user").refused(401), "Bad credentials");
    let nobody = Client::new(&site.github.url(), None);
    assert_eq!(nobody.get("/user").refused(401), "Requires authentication");
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

#[test]
fn threads_move_with_their_lines_and_can_be_answered() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let remarks = [
        Remark::line("a.txt", 1, "First?").suggesting("one"),
        Remark::lines("a.txt", 4, 5, "Both"),
        Remark::file("a.txt", "All of it"),
    ];
    ada.request_changes(REPO, 1, "Please", &remarks).unwrap();
    assert!(
        ada.remark(REPO, 1, "", &[Remark::line("a.txt", 9, "?")])
            .is_err()
    );
    let threads = site.github.pull(REPO, 1).threads;
    assert_eq!(threads[1].hunk, "@@ -0,0 +1,5 @@\n+1\n+2\n+3\n+4\n+5");
    let query = "query threads($n: Int!, $after: String) { repository(owner: \"octo\", \
        name: \"app\") { pullRequest(number: $n) { reviewThreads(first: 2, after: $after) { \
        pageInfo { hasNextPage endCursor } nodes { id isResolved isOutdated path line startLine \
        originalLine diffSide subjectType comments(first: 10) { nodes { databaseId body diffHunk \
        author { login } createdAt } } } } } } }";
    let ask = |after: Value| {
        let said = site.client.graphql(query, &json!({"n": 1, "after": after}));
        said["data"]["repository"]["pullRequest"]["reviewThreads"].clone()
    };
    let first = ask(Value::Null);
    assert_eq!(first["pageInfo"]["hasNextPage"], true);
    let second = ask(first["pageInfo"]["endCursor"].clone());
    assert_eq!(second["nodes"][0]["subjectType"], "FILE");
    assert_eq!(second["pageInfo"]["hasNextPage"], false);

    // Two lines more above, and the first line is another.
    let new = [("a.txt", "0\n0\none\n2\n3\n4\n5\n")];
    site.github
        .person("wiz[bot]")
        .push(REPO, "task", &new, "Revise")
        .unwrap();
    let now = ask(Value::Null);
    assert_eq!(now["nodes"][0]["isOutdated"], true);
    assert_eq!(now["nodes"][0]["line"], Value::Null);
    assert_eq!(now["nodes"][0]["originalLine"], 1);
    assert_eq!(now["nodes"][1]["isOutdated"], false);
    assert_eq!(
        (&now["nodes"][1]["startLine"], &now["nodes"][1]["line"]),
        (&json!(6), &json!(7))
    );
    let listed = site
        .client
        .get("/repos/octo/app/pulls/1/comments")
        .expect(200);
    assert_eq!(listed.as_array().unwrap().len(), 3);

    let first = &now["nodes"][0]["comments"]["nodes"][0]["databaseId"];
    let path = format!("/repos/octo/app/pulls/1/comments/{first}/replies");
    let reply = site
        .client
        .post(&path, &json!({"body": "Done"}))
        .expect(201);
    assert_eq!(reply["in_reply_to_id"], *first);
    let last = site.github.pull(REPO, 1).reviews.pop().unwrap();
    assert_eq!((last.state.name(), last.body.as_str()), ("COMMENTED", ""));
    let resolve = "mutation resolve($id: ID!) { resolveReviewThread(input: {threadId: $id}) { \
        thread { isResolved resolvedBy { login } } } }";
    let said = site
        .client
        .graphql(resolve, &json!({"id": now["nodes"][0]["id"]}));
    assert_eq!(
        said["data"]["resolveReviewThread"]["thread"]["isResolved"], true,
        "{said}"
    );

    let remark = Remark::line("a.txt", 3, "Say it in full").suggesting("the first");
    ada.remark(REPO, 1, "", &[remark]).unwrap();
    let thread = site.github.pull(REPO, 1).threads.pop().unwrap().id;
    ada.apply_suggestion(REPO, 1, thread).unwrap();
    assert_eq!(
        site.github.file(REPO, "task", "a.txt").unwrap(),
        "0\n0\nthe first\n2\n3\n4\n5\n"
    );
}

#[test]
fn drafts_and_the_merge_queue_are_changed_by_mutations() {
    let site = Site::with_pull();
    let id = format!("PR_kw{}", site.github.pull(REPO, 1).id);
    let draft = "mutation draft($id: ID!) { convertPullRequestToDraft(input: {pullRequestId: \
        $id}) { pullRequest { isDraft } } }";
    let ready = "mutation ready($id: ID!) { markPullRequestReadyForReview(input: \
        {pullRequestId: $id}) { pullRequest { isDraft } } }";
    site.client.graphql(draft, &json!({"id": id}));
    assert!(site.github.pull(REPO, 1).draft);
    let weak = site.github.token("wiz[bot]", "pull_requests:read");
    let said = Client::new(&site.github.url(), Some(&weak)).graphql(ready, &json!({"id": id}));
    assert_eq!(said["errors"][0]["type"], "FORBIDDEN", "{said}");
    assert_eq!(said["data"]["markPullRequestReadyForReview"], Value::Null);
    site.client.graphql(ready, &json!({"id": id}));
    assert!(!site.github.pull(REPO, 1).draft);
    let said = site.client.graphql(
        "query { repository(owner: \"octo\", name: \"none\") { id } }",
        &Value::Null,
    );
    assert_eq!(said["errors"][0]["type"], "NOT_FOUND");
    let rules = Protection {
        queue: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    let enqueue = "mutation enqueue($id: ID!, $head: GitObjectID!) { enqueuePullRequest(input: \
        {pullRequestId: $id, expectedHeadOid: $head}) { mergeQueueEntry { state } } }";
    let wrong = json!({"id": id, "head": "0".repeat(40)});
    let said = site.client.graphql(enqueue, &wrong);
    assert_eq!(said["errors"][0]["type"], "UNPROCESSABLE", "{said}");
    let right = json!({"id": id, "head": site.github.pull(REPO, 1).head_sha});
    let said = site.client.graphql(enqueue, &right);
    assert_eq!(
        said["data"]["enqueuePullRequest"]["mergeQueueEntry"]["state"], "QUEUED",
        "{said}"
    );
    site.github
        .person("octo")
        .run_queue(REPO, 1, "squash")
        .unwrap();
    assert!(site.github.pull(REPO, 1).merged.is_some());
    assert_eq!(site.github.count_of("graphql:ready"), 2);
    assert_eq!(site.github.count().changing, 1 + 5);
}

#[test]
fn comments_reactions_labels_and_checks_are_kept() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    let id = ada.comment(REPO, 1, "/pertask status").unwrap();
    let react = format!("/repos/octo/app/issues/comments/{id}/reactions");
    let eyes = json!({"content": "eyes"});
    let made = site.client.post(&react, &eyes).expect(201);
    assert_eq!(
        site.client.post(&react, &eyes).expect(200)["id"],
        made["id"]
    );
    let groups = "query groups { repository(owner: \"octo\", name: \"app\") { pullRequest(number: \
        1) { comments(last: 100) { nodes { databaseId body lastEditedAt editor { login } \
        reactionGroups { content viewerHasReacted } } } labels(first: 9) { nodes { name } } } } }";
    ada.edit_comment(REPO, id, "/pertask abort").unwrap();
    let labels = "/repos/octo/app/issues/1/labels";
    site.client
        .post(labels, &json!({"labels": ["pertask"]}))
        .expect(200);
    let said = site.client.graphql(groups, &Value::Null);
    let pull = &said["data"]["repository"]["pullRequest"];
    let comment = &pull["comments"]["nodes"][0];
    assert_eq!(comment["editor"]["login"], "ada", "{said}");
    let group = json!({"content": "EYES", "viewerHasReacted": true});
    assert!(
        comment["reactionGroups"]
            .as_array()
            .unwrap()
            .contains(&group)
    );
    assert_eq!(pull["labels"]["nodes"][0]["name"], "pertask");
    let delete = format!("{react}/{}", made["id"]);
    site.client
        .rest("DELETE", &delete, &Value::Null)
        .expect(204);
    let mine = site
        .client
        .post("/repos/octo/app/issues/1/comments", &json!({"body": "Hi"}));
    let path = format!("/repos/octo/app/issues/comments/{}", mine.expect(201)["id"]);
    site.client
        .rest("PATCH", &path, &json!({"body": "Ho"}))
        .expect(200);
    assert_eq!(site.github.comments(REPO, 1)[1].1.body, "Ho");

    let head = site.github.pull(REPO, 1).head_sha;
    let note = json!({"path": "a.txt", "start_line": 1, "end_line": 1,
        "annotation_level": "warning", "message": "m"});
    let mut output = json!({"title": "t", "summary": "s", "annotations": [note]});
    let check = json!({"name": "pertask/rules", "head_sha": head, "output": output});
    let made = site
        .client
        .post("/repos/octo/app/check-runs", &check)
        .expect(201);
    output["annotations"] = json!(vec![note; 50]);
    let path = format!("/repos/octo/app/check-runs/{}", made["id"]);
    let done = json!({"conclusion": "success", "output": output});
    site.client.rest("PATCH", &path, &done).expect(200);
    assert_eq!(site.github.checks(REPO, &head)[0].annotations.len(), 51);
    let context = json!({"state": "failure", "context": "pertask/build"});
    site.client
        .post(&format!("/repos/octo/app/statuses/{head}"), &context)
        .expect(201);
    let combined = site
        .client
        .get(&format!("/repos/octo/app/commits/{head}/status"))
        .expect(200);
    assert_eq!(combined["state"], "failure");
    assert_eq!(site.github.merge_state(REPO, 1), "UNSTABLE");
}

#[test]
fn a_read_that_changes_nothing_costs_nothing() {
    let site = Site::with_pull();
    let path = "/api/v3/repos/octo/app/issues/1/comments";
    let read = |tag: &str| {
        site.client
            .send("GET", path, &[("if-none-match", tag)], "")
            .unwrap()
    };
    let first = site.client.get("/repos/octo/app/issues/1/comments");
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let used = first.header("x-ratelimit-used").unwrap().to_owned();
    let same = read(&tag);
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert_eq!(same.header("x-ratelimit-used"), Some(used.as_str()));
    site.github.person("ada").comment(REPO, 1, "Hello").unwrap();
    let other = read(&tag);
    assert_eq!(other.status, 200);
    assert_ne!(other.header("etag"), Some(tag.as_str()));
    let count = site.github.count();
    assert_eq!((count.rest, count.not_modified), (4, 1));
    assert_eq!(site.github.charged(&site.token), (3, 0));
    assert!(site.github.log().last().unwrap().conditional);
}

#[test]
fn lists_have_pages_with_links_by_number() {
    let site = Site::with_pull();
    let ada = site.github.person("ada");
    for n in 0..205 {
        ada.comment(REPO, 1, &format!("{n}")).unwrap();
    }
    let mut path = "/repos/octo/app/issues/1/comments?per_page=100".to_owned();
    let mut all = Vec::new();
    loop {
        let page = site.client.get(&path);
        all.extend(page.expect(200).as_array().unwrap().clone());
        let link = page.header("link").unwrap().to_owned();
        let Some(next) = link.split(", ").find(|l| l.ends_with("rel=\"next\"")) else {
            break;
        };
        let next = next.split(['<', '>']).nth(1).unwrap();
        assert!(next.contains("/repositories/"), "{next}");
        path = next.split_once("/api/v3").unwrap().1.to_owned();
    }
    assert_eq!(all.len(), 205);
    assert_eq!(all[204]["body"], "204");
    assert_eq!(
        site.github
            .count_of("GET /repos/{owner}/{repo}/issues/{issue_number}/comments"),
        3
    );
    let ask = |state: &str, head: &str| {
        let path = format!("/repos/octo/app/pulls?state={state}&head={head}&base=main");
        site.client.get(&path).expect(200).as_array().unwrap().len()
    };
    assert_eq!(
        (ask("open", "octo:task"), ask("closed", "octo:task")),
        (1, 0)
    );
    assert_eq!(ask("all", "eve:task"), 0);
}

#[test]
fn a_renamed_repository_leads_on() {
    let site = Site::with_pull();
    let id = site.github.repo(REPO).id;
    site.github.rename(REPO, "octo/new");
    let read = site.client.get("/repos/octo/app/pulls/1");
    read.expect(301);
    let to = read.header("location").unwrap().to_owned();
    assert!(
        to.ends_with(&format!("/api/v3/repositories/{id}/pulls/1")),
        "{to}"
    );
    let path = to.split_once("/api/v3").unwrap().1;
    assert_eq!(
        site.client.get(path).expect(200)["base"]["repo"]["full_name"],
        "octo/new"
    );
    let write = site
        .client
        .post("/repos/octo/app/issues/1/comments", &json!({"body": "Hi"}));
    write.expect(307);
    assert!(site.github.comments("octo/new", 1).is_empty());
    let query = "query { repository(owner: \"octo\", name: \"app\") { nameWithOwner } }";
    let said = site.client.graphql(query, &Value::Null);
    assert_eq!(said["data"]["repository"]["nameWithOwner"], "octo/new");
    let home = tempfile::tempdir().unwrap();
    let old = site.github.clone_url_as(REPO, &site.token);
    let (ok, said) = git(home.path(), &["clone", "-q", &old, "w"]);
    assert!(ok, "{said}");
}

#[test]
fn faults_come_when_told_and_can_be_read_back() {
    const OPEN: &str = "POST /repos/{owner}/{repo}/pulls";
    let site = Site::new();
    let body = json!({"title": "T", "head": "task", "base": "main"}).to_string();
    let path = "/api/v3/repos/octo/app/pulls";
    let open = || site.client.send("POST", path, &[], &body);
    let fault = |kind| site.github.fault(Fault::next(OPEN, kind));
    let none = || site.github.pulls(REPO).is_empty();

    fault(FaultKind::Status(When::Before, 502));
    assert_eq!(open().unwrap().status, 502);
    fault(FaultKind::Drop(When::Before));
    open().unwrap_err();
    fault(FaultKind::Forbidden {
        retry_after: Some(7),
    });
    assert_eq!(open().unwrap().header("retry-after"), Some("7"));
    fault(FaultKind::Forbidden { retry_after: None });
    let refused = open().unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (403, None));
    fault(FaultKind::TooMany {
        retry_after: 3,
        reset_in: 60,
    });
    let refused = open().unwrap();
    assert_eq!(
        (refused.status, refused.header("x-ratelimit-remaining")),
        (429, Some("0"))
    );
    fault(FaultKind::Exhausted { reset_in: 60 });
    assert!(open().unwrap().text.contains("API rate limit exceeded"));
    assert!(none());
    fault(FaultKind::Drop(When::After));
    open().unwrap_err();
    assert!(!none());
    assert_eq!(
        open().unwrap().refused(422),
        "A pull request already exists for octo:task."
    );

    let second = FaultKind::Status(When::After, 500);
    let comment = "POST /repos/{owner}/{repo}/issues/{issue_number}/comments";
    site.github.fault(Fault::nth(comment, 2, second));
    site.github
        .fault(Fault::next("GET /user", FaultKind::Malformed));
    let say = || {
        site.client
            .post("/repos/octo/app/issues/1/comments", &json!({"body": "Hi"}))
    };
    say().expect(201);
    assert_eq!(site.github.unused().len(), 2);
    say().expect(500);
    assert_eq!(site.github.comments(REPO, 1).len(), 2);
    let cut = site.as_user("ada").get("/user");
    assert!(cut.status == 200 && serde_json::from_str::<Value>(&cut.text).is_err());
    assert!(site.github.unused().is_empty());

    site.github
        .fault(Fault::next(comment, FaultKind::Stale { reads: Some(2) }));
    say().expect(201);
    let seen = || {
        let all = site
            .client
            .get("/repos/octo/app/issues/1/comments")
            .expect(200);
        all.as_array().unwrap().len()
    };
    let query = "query n { repository(owner: \"octo\", name: \"app\") { pullRequest(number: 1) \
        { comments(first: 1) { totalCount } } } }";
    let count = || {
        let said = site.client.graphql(query, &Value::Null);
        said["data"]["repository"]["pullRequest"]["comments"]["totalCount"].clone()
    };
    assert_eq!((seen(), count(), seen()), (2, json!(2), 3));
    site.github.freeze();
    say().expect(201);
    assert_eq!(seen(), 3);
    site.github.thaw();
    assert_eq!(seen(), 4);

    site.github
        .fault(Fault::next("graphql:n", FaultKind::GraphQlRateLimited));
    let said = site.client.graphql(query, &Value::Null);
    assert_eq!(said["errors"][0]["type"], "RATE_LIMITED");

    let home = tempfile::tempdir().unwrap();
    let url = site.github.clone_url_as(REPO, &site.token);
    let (ok, said) = git(home.path(), &["clone", "-q", &url, "w"]);
    assert!(ok, "{said}");
    site.github.fault(Fault::next(
        "git:receive-pack",
        FaultKind::Drop(When::After),
    ));
    let (ok, _) = git(
        &home.path().join("w"),
        &["push", "-q", "origin", "HEAD:refs/heads/late"],
    );
    assert!(!ok);
    assert!(site.github.tip(REPO, "late").is_some());
}

#[test]
fn what_github_does_not_describe_is_a_violation() {
    let site = Site::with_pull();
    let found = || site.github.take_violations().join("\n");
    let has = |what: &str| {
        let said = found();
        assert!(said.contains(what), "{said}");
    };
    site.client
        .get("/repos/octo/app/pulls?stat=open")
        .expect(200);
    has("there is no query parameter stat");
    site.client
        .get("/repos/octo/app/pulls?state=merged")
        .expect(200);
    has("query state");
    site.client
        .get("/repos/octo/app/pulls?per_page=many")
        .expect(200);
    has("per_page");
    site.client
        .post("/repos/octo/app/issues/1/comments", &json!({"text": "Hi"}))
        .expect(422);
    has("\"body\" is a required property");
    let draft = json!({"draft": true});
    site.client
        .rest("PATCH", "/repos/octo/app/pulls/1", &draft)
        .expect(200);
    has("the body has no field draft");
    // What a client library is known to send instead of PATCH.
    site.client
        .post("/repos/octo/app/issues/comments/1", &json!({"body": "Hi"}))
        .expect(404);
    has("POST /repos/octo/app/issues/comments/1: the server has no such route");
    site.client.rest(
        "PUT",
        "/repos/octo/app/pulls/1/merge",
        &json!({"merge_method": "fast"}),
    );
    has("merge_method");
    let said = site
        .client
        .graphql("query { viewer { nickname } }", &Value::Null);
    assert!(said["errors"][0]["message"].is_string(), "{said}");
    has("nickname");
    let query = "query look($n: Int!) { repository(owner: \"octo\", name: \"app\") { \
        pullRequest(number: $n) { id } } }";
    site.client.graphql(query, &json!({"n": "one"}));
    has("n");
    assert_eq!(found(), "");
}

#[test]
fn a_violation_fails_the_test_it_is_in() {
    let failed = std::panic::catch_unwind(|| {
        let github = GitHub::start();
        Client::new(&github.url(), None)
            .get("/no/such/route")
            .expect(404);
    });
    let said = failed.unwrap_err().downcast::<String>().unwrap();
    assert!(said.contains("GET /no/such/route"), "{said}");
}

#[test]
fn time_is_what_the_test_says() {
    let site = Site::new();
    site.github.at("2031-02-03T04:05:06Z");
    let made = site.open("task");
    assert_eq!(made.header("date"), Some("Mon, 03 Feb 2031 04:05:06 GMT"));
    assert_eq!(made.expect(201)["created_at"], "2031-02-03T04:05:06Z");
    site.github.advance(60);
    let id = site.github.person("ada").comment(REPO, 1, "Late").unwrap();
    let path = format!("/repos/octo/app/issues/comments/{id}");
    assert_eq!(
        site.client.get(&path).expect(200)["created_at"],
        "2031-02-03T04:06:06Z"
    );
}

#[test]
fn the_rest_of_the_routes_answer_as_described() {
    let site = Site::with_pull();
    let rules = Protection {
        approvals: 1,
        checks: vec!["build".into()],
        queue: true,
        linear: true,
        ..Protection::default()
    };
    site.github.protect(REPO, "main", rules);
    let admin = site.github.token("octo", "*,administration,workflows");
    let admin = Client::new(&site.github.url(), Some(&admin));
    let get = |path: &str| admin.get(&format!("/repos/octo/app{path}")).expect(200);
    let may = get("/collaborators/ada/permission");
    assert_eq!(
        (&may["permission"], &may["role_name"]),
        (&json!("write"), &json!("write"))
    );
    site.github.collaborator(REPO, "tom", Permission::Triage);
    let may = get("/collaborators/tom/permission");
    assert_eq!(
        (&may["permission"], &may["role_name"]),
        (&json!("read"), &json!("triage"))
    );
    assert_eq!(get("/branches/main")["protected"], true);
    assert_eq!(
        get("/branches/main/protection")["required_pull_request_reviews"]["required_approving_review_count"],
        1
    );
    assert_eq!(get("/rules/branches/main").as_array().unwrap().len(), 4);
    assert_eq!(
        get("/actions/permissions/workflow")["can_approve_pull_request_reviews"],
        true
    );
    get("");
    get("/labels");
    get("/issues/1/labels");
    get("/pulls/1/requested_reviewers");
    let head = site.github.pull(REPO, 1).head_sha;
    get(&format!("/commits/{head}/check-runs"));
    get(&format!("/commits/{head}/statuses"));
    let label = json!({"name": "pertask", "color": "0e8a16", "description": "d"});
    admin.post("/repos/octo/app/labels", &label).expect(201);
    assert_eq!(
        admin.post("/repos/octo/app/labels", &label).refused(422),
        "name already_exists"
    );
    let go = json!({"ref": "main", "inputs": {"run": "wiz"}});
    admin
        .post("/repos/octo/app/actions/workflows/next.yml/dispatches", &go)
        .expect(204);
    let event = json!({"event_type": "pertask"});
    admin.post("/repos/octo/app/dispatches", &event).expect(204);
    assert_eq!(site.github.repo(REPO).dispatches.len(), 2);
    site.client.get("/repos/octo/app/branches/none").expect(404);
    site.client.get("/repos/octo/none").expect(404);
    site.github.change(REPO, |r| r.private = true);
    let eve = site.as_user("eve");
    eve.get("/repos/octo/app/pulls/1").expect(404);
    assert_eq!(admin.get("/user").expect(200)["login"], "octo");
    site.github.archive(REPO);
    assert_eq!(
        site.open("other").refused(403),
        "Repository was archived so is read-only."
    );
}
