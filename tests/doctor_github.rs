//! `git pertask doctor` against a GitHub: what it finds there, and that it changes nothing.

#[path = "support/github/mod.rs"]
mod github;
mod support;

use github::{Fault, FaultKind, GitHub, Permission, Protection, When};
use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO};

const REPO: &str = "octo/app";

/// A clone of `octo/app` whose runs happen on GitHub, with a token of `wiz[bot]`.
struct Site {
    github: GitHub,
    s: Sandbox,
    token: String,
}

impl Site {
    fn new() -> Self {
        let github = GitHub::start();
        github.repository(REPO);
        github.collaborator(REPO, "ada", Permission::Write);
        let token = github.token("ada", "*");
        let mut s = Sandbox::with(TWO, GOOD);
        s.config("forge = \"github\"");
        s.commit("Review on GitHub");
        s.git(["remote", "add", "origin", &github.clone_url(REPO)]);
        s.set("GITHUB_SERVER_URL", github.url());
        s.set("GITHUB_TOKEN", &token);
        s.set("PERTASK_TEST_PAUSE_DIVISOR", "10000");
        Self { github, s, token }
    }

    /// The part about GitHub, line by line.
    fn doctor(&self, code: i32) -> String {
        let out = self.s.pertask(["doctor"]).code(code);
        assert!(!out.stdout.contains(&self.token), "{}", out.stdout);
        let text = self.s.tidy(&out.stdout);
        let text = text.replace(&self.github.url(), "[GITHUB]");
        let lines = text.lines().skip_while(|l| *l != "github").skip(1);
        let lines = lines.map(str::trim).take_while(|l| !l.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn all_is_well() {
    let site = Site::new();
    assert_snapshot!(site.doctor(0), @"
    ");
    assert_eq!(site.github.count().changing, 0);
}

#[test]
fn tokens_that_do_not_do() {
    let site = Site::new();
    site.github.collaborator(REPO, "ada", Permission::Read);
    assert!(site.doctor(1).contains("may not push to octo/app (read)"));
    site.github.change(REPO, |r| r.private = true);
    let stranger = Site {
        token: site.github.token("eve", "*"),
        ..site
    };
    let mut s = stranger.s;
    s.set("GITHUB_TOKEN", &stranger.token);
    let stranger = Site { s, ..stranger };
    assert_snapshot!(stranger.doctor(1), @"
    ");
    stranger.github.expire(&stranger.token);
    assert_snapshot!(stranger.doctor(1), @"
    ");
}

#[test]
fn a_repository_that_moved_or_is_archived() {
    let site = Site::new();
    site.github.rename(REPO, "octo/application");
    site.github.archive("octo/application");
    assert_snapshot!(site.doctor(1), @"
    ");
}

#[test]
fn rules_and_settings_that_stand_in_the_way() {
    let site = Site::new();
    let rules = Protection {
        approvals: 1,
        dismiss_stale: true,
        checks: vec!["ci".to_owned()],
        ..Protection::default()
    };
    site.github.protect(REPO, "pertask/*", rules);
    site.github.change(REPO, |r| r.allow_squash = false);
    assert_snapshot!(site.doctor(1), @"
    ");
}

#[test]
fn a_server_that_fails_is_said() {
    let site = Site::new();
    for _ in 0..4 {
        let fault = FaultKind::Status(When::Before, 502);
        site.github
            .fault(Fault::next("GET /repos/{owner}/{repo}", fault));
    }
    let text = site.doctor(0);
    assert!(
        text.contains("cannot be asked, so the rest was not looked at"),
        "{text}"
    );
    // A limit is said, not waited for.
    let fault = FaultKind::Exhausted { reset_in: 3000 };
    site.github
        .fault(Fault::next("GET /repos/{owner}/{repo}", fault));
    let text = site.doctor(0);
    assert!(text.contains("rate limit is reached until"), "{text}");
}
