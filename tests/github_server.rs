//! The GitHub of the tests, tested itself: what it does and refuses, and that it notices requests
//! that GitHub's own descriptions do not know.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

#[path = "support/github/mod.rs"]
mod github;

#[path = "github_server/http.rs"]
mod http;
#[path = "github_server/merging.rs"]
mod merging;
#[path = "github_server/talk.rs"]
mod talk;

use std::process::Command;

use github::client::Client;
use github::{GitHub, Permission, Protection};
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
fn git_pushes_and_fetches_over_http() {
    let site = Site::with_pull();
    let home = tempfile::tempdir().unwrap();
    let url = site.github.clone_url_as(REPO, &site.token);
    let (ok, said) = git(home.path(), &["clone", "-q", &url, "w"]);
    assert!(ok, "{said}");
    let work = home.path().join("w");
    // More than git sends without compressing or chunking it.
    let lines: Vec<String> = (0..300_000_i64)
        .map(|n| (n * 7919 % 100_003).to_string())
        .collect();
    let big = lines.join("\n");
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

/// For trying things by hand: `cargo test --test github_server by_hand -- --ignored --nocapture`.
#[test]
#[ignore = "runs until a line is typed"]
fn by_hand() {
    let site = Site::with_pull();
    let ada = site.github.token("ada", "*");
    println!("{}\nwiz[bot] (App)    {}", site.github.api(), site.token);
    println!(
        "ada (may write)   {ada}\n{}",
        site.github.clone_url_as(REPO, &ada)
    );
    println!("Return ends it.");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    println!("{:?}", site.github.take_violations());
}
