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
