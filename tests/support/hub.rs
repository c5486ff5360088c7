//! A clone of a repository on the GitHub of the tests, with a scripted agent in it.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a failing helper is a failing test"
)]

use std::path::{Path, PathBuf};

use super::github::{GitHub, Permission};
use super::support::{Output, Sandbox};

/// The repository of the tests.
pub const REPO: &str = "acme/widgets";

/// GitHub, a clone, and people: `robot[bot]` whose token is used, `olive` and `mallory` who may
/// review (write), `rose` who may only read.
pub struct Hub {
    pub github: GitHub,
    pub sandbox: Sandbox,
    pub token: String,
    number: std::cell::Cell<u32>,
}

impl Hub {
    /// A repository on GitHub with this plan, reviewed there, and this agent; its clone.
    pub fn with(plan: &str, agent: &str) -> Self {
        Self::configured(plan, agent, "forge = \"github\"")
    }

    /// The same with these settings.
    pub fn configured(plan: &str, agent: &str, settings: &str) -> Self {
        let github = GitHub::start();
        github.repository(REPO);
        github.account("robot[bot]");
        for (login, permission) in [
            ("robot[bot]", Permission::Write),
            ("olive", Permission::Write),
            ("mallory", Permission::Write),
            ("rose", Permission::Read),
        ] {
            github.account(login);
            github.collaborator(REPO, login, permission);
        }
        let token = github.token("robot[bot]", "*");
        let mut sandbox = Sandbox::with(plan, agent);
        sandbox.config(settings);
        sandbox.commit("Configure");
        sandbox.set("GITHUB_TOKEN", &token);
        sandbox.set("GITHUB_API_URL", github.api());
        sandbox.set("GITHUB_GRAPHQL_URL", github.graphql());
        sandbox.set("GITHUB_SERVER_URL", github.url());
        sandbox.set("PERTASK_TEST_POLL_MS", "50");
        sandbox.set("PERTASK_TEST_PAUSE_DIVISOR", "100");
        let hub = Self {
            github,
            sandbox,
            token,
            number: std::cell::Cell::new(0),
        };
        let url = hub.github.clone_url(REPO);
        let with_token = hub.github.clone_url_as(REPO, &hub.token);
        hub.sandbox.git(["remote", "add", "origin", &url]);
        hub.sandbox
            .git(["push", "--quiet", &with_token, "HEAD:refs/heads/main"]);
        hub
    }

    /// Runs `git-pertask` in the clone.
    pub fn run(&self, args: &[&str]) -> Output {
        self.sandbox.pertask(args)
    }

    /// Another clone of it.
    pub fn clone(&self) -> PathBuf {
        self.number.set(self.number.get() + 1);
        let dir = self
            .sandbox
            .root()
            .join(format!("clone-{}", self.number.get()));
        let url = self.github.clone_url(REPO);
        let with_token = self.github.clone_url_as(REPO, &self.token);
        self.sandbox.git_in(
            &self.sandbox.root(),
            ["clone", "--quiet", &with_token, dir.to_str().unwrap()],
        );
        self.sandbox
            .git_in(&dir, ["remote", "set-url", "origin", &url]);
        dir
    }

    /// Runs `git-pertask` in another clone.
    pub fn run_in(&self, dir: &Path, args: &[&str]) -> Output {
        self.sandbox.pertask_in(dir, args)
    }

    /// Somebody approves, and the run goes on.
    pub fn approve(&self, number: u64) -> Output {
        self.github
            .person("olive")
            .approve(REPO, number, "")
            .unwrap();
        self.run(&["continue"])
    }

    /// State of the run as JSON.
    pub fn status(&self) -> serde_json::Value {
        let out = self.run(&["status", "wiz", "--json"]).code(0);
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// A word for each task.
    pub fn states(&self) -> Vec<String> {
        let status = self.status();
        let tasks = status["tasks"].as_array().unwrap();
        tasks
            .iter()
            .map(|t| t["state"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What stands on every branch of the run and in its ledger at the remote.
    pub fn refs(&self) -> String {
        self.github
            .git(REPO, ["for-each-ref", "--format=%(refname) %(objectname)"])
    }
}
