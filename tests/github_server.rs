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
        octo.push(REPO, "main", &[("README.md", "one\ntwo\nthree\n")], "First").unwrap();
        let bot = github.person("wiz[bot]");
        bot.push(REPO, "task", &[("a.txt", "1\n2\n3\n4\n5\n")], "Add a").unwrap();
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
        self.client.rest("PUT", "/repos/octo/app/pulls/1/merge", body)
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
    let reviews = site.client.get("/repos/octo/app/pulls/1/reviews").expect(200);
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
    assert_eq!(pull["author"], json!({"__typename": "Bot", "login": "wiz"}), "{said}");
    assert_eq!(pull["mergeable"], "MERGEABLE");
    assert_eq!(pull["reviews"]["nodes"][0]["commit"]["oid"], second["head"]["sha"]);
    let how = json!({"sha": second["head"]["sha"], "merge_method": "squash",
        "commit_title": "Add a", "commit_message": "Because."});
    let merged = site.merge(&how).expect(200);
    assert_eq!(site.github.tip(REPO, "main").unwrap(), merged["sha"].as_str().unwrap());
    assert_eq!(
        site.github.git(REPO, ["log", "-1", "--format=%B%an <%ae> %cn", "main"]).trim(),
        format!(
            "Add a\n\nBecause.\n\nwiz[bot] <{0}+wiz[bot]@users.noreply.github.com> GitHub",
            site.github.person("wiz[bot]").id
        )
    );
    site.client.get("/repos/octo/app/pulls/1/merge").expect(204);
    assert_eq!(site.merge(&how).refused(405), "Pull Request is not mergeable");
}
