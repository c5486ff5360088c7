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
    assert_snapshot!(site.doctor(0), @r"
    ok    the remote origin is octo/app on 127.0.0.1
    ok    the token is that of GITHUB_TOKEN; git pushes with it too
    ok    http://[HOST]/api/v3 answers
    ok    pull requests are opened by @ada, whose own reviews do not count: somebody else has to decide
    ok    the token's account may push (write)
    ok    tasks are merged by squash, which the repository allows
    ok    no rule stands in the way of branches pertask/*
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
    assert_snapshot!(stranger.doctor(1), @r"
    ok    the remote origin is octo/app on 127.0.0.1
    ok    the token is that of GITHUB_TOKEN; git pushes with it too
    bad   127.0.0.1 has no repository octo/app, or the token may not see it
    → give the token access to it, or correct the remote: git remote set-url origin http://[HOST]/OWNER/NAME.git
    ");
    stranger.github.expire(&stranger.token);
    assert_snapshot!(stranger.doctor(1), @r"
    ok    the remote origin is octo/app on 127.0.0.1
    ok    the token is that of GITHUB_TOKEN; git pushes with it too
    bad   127.0.0.1 does not know the token of GITHUB_TOKEN (Bad credentials); it may have expired or been revoked
    → make a new one at http://[HOST]/settings/tokens and set GITHUB_TOKEN to it, or unset GITHUB_TOKEN
    ");
}

#[test]
fn a_repository_that_moved_or_is_archived() {
    let site = Site::new();
    site.github.rename(REPO, "octo/application");
    site.github.archive("octo/application");
    assert_snapshot!(site.doctor(1), @r"
    ok    the remote origin is octo/app on 127.0.0.1
    ok    the token is that of GITHUB_TOKEN; git pushes with it too
    ok    http://[HOST]/api/v3 answers
    ok    pull requests are opened by @ada, whose own reviews do not count: somebody else has to decide
    warn  octo/app is called octo/application now
    → git remote set-url origin http://[HOST]/octo/application.git
    bad   octo/application is archived: nothing can be changed there
    → unarchive it: http://[HOST]/octo/application/settings
    ok    the token's account may push (write)
    ok    tasks are merged by squash, which the repository allows
    ok    no rule stands in the way of branches pertask/*
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
    assert_snapshot!(site.doctor(1), @r#"
    ok    the remote origin is octo/app on 127.0.0.1
    ok    the token is that of GITHUB_TOKEN; git pushes with it too
    ok    http://[HOST]/api/v3 answers
    ok    pull requests are opened by @ada, whose own reviews do not count: somebody else has to decide
    ok    the token's account may push (write)
    bad   tasks are to be merged by squash, which the repository does not allow
    → tick "Allow squash merging" at http://[HOST]/octo/app/settings, or set another `merge` in .pertask/config.toml
    bad   branches like pertask/run/1-task may only be changed by pull requests, so tasks cannot be pushed (rule pull_request of octo/app)
    → exclude refs/heads/pertask/**/* at http://[HOST]/octo/app/rules/1
    bad   branches like pertask/run/1-task take only commits whose checks have passed, so tasks cannot be pushed (rule required_status_checks of octo/app)
    → exclude refs/heads/pertask/**/* at http://[HOST]/octo/app/rules/1
    warn  branches like pertask/run/main lose their approvals when the branch below moves; the same people are asked again (rule pull_request of octo/app)
    → exclude refs/heads/pertask/**/* at http://[HOST]/octo/app/rules/1
    bad   branches like pertask/run/main take only commits whose checks have passed, so tasks cannot be pushed (rule required_status_checks of octo/app)
    → exclude refs/heads/pertask/**/* at http://[HOST]/octo/app/rules/1
    "#);
}

#[test]
fn a_server_that_fails_is_said() {
    let site = Site::new();
    let fault = |nth| {
        let kind = FaultKind::Status(When::Before, 502);
        Fault::nth("GET /repos/{owner}/{repo}", nth, kind)
    };
    site.github.faults((1..=2).map(fault));
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
