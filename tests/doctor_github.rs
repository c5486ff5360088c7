//! `git pertask doctor` against a GitHub: what it finds there, and that it changes nothing.

#[path = "support/github/mod.rs"]
mod github;
mod support;

use github::{Branches, Environment, Fault, FaultKind, GitHub, Permission, Protection, When};
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
        let text = text.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
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
    ok    there is no .github/workflows/pertask.yml on main: runs go on when somebody calls `git pertask continue`
    → git pertask init --github
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
    ok    there is no .github/workflows/pertask.yml on main: runs go on when somebody calls `git pertask continue`
    → git pertask init --github
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
    ok    there is no .github/workflows/pertask.yml on main: runs go on when somebody calls `git pertask continue`
    → git pertask init --github
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

const MAIN: &str = ".github/workflows/pertask.yml";

impl Site {
    /// With the workflows on the default branch, for an agent with a key, and a token of an
    /// administrator.
    fn in_actions() -> Self {
        let mut site = Self::new();
        site.github.collaborator(REPO, "ada", Permission::Admin);
        let scopes = "*,environments:read,administration:read,workflows:write";
        site.token = site.github.token("ada", scopes);
        site.s.set("GITHUB_TOKEN", &site.token);
        let config = site.s.read(".pertask/config.toml") + "env = ['MINE_KEY']\n";
        site.s.write(".pertask/config.toml", config);
        let action = format!("octo/git-pertask@{}", "0".repeat(40));
        site.s
            .pertask(["init", "--github", "--action", &action])
            .code(0);
        site.push();
        site
    }

    fn push(&self) {
        self.s.commit("Change something");
        let url = self.github.clone_url_as(REPO, &self.token);
        self.s
            .git(["push", "--quiet", &url, "HEAD:refs/heads/main"]);
        let fetch = "+refs/heads/*:refs/remotes/origin/*";
        self.s.git(["fetch", "--quiet", &url, fetch]);
    }

    fn environment(&self, branches: Branches, secrets: &[&str]) {
        let environment = Environment {
            branches,
            reviewed: false,
            secrets: secrets.iter().map(|&name| name.to_owned()).collect(),
        };
        self.github.change(REPO, |r| {
            r.environments.insert("pertask".to_owned(), environment)
        });
    }

    /// What it says of GitHub Actions.
    fn of_actions(&self, code: i32) -> String {
        let text = self.doctor(code);
        let lines = text
            .lines()
            .skip_while(|l| !l.contains("no rule stands in the way"));
        lines.skip(1).collect::<Vec<_>>().join("\n")
    }
}

#[test]
fn runs_that_go_on_in_actions() {
    let site = Site::in_actions();
    // Nothing is set up there yet.
    site.github.change(REPO, |r| r.actions_may_approve = false);
    assert_snapshot!(site.of_actions(1), @r#"
    ok    .github/workflows/pertask.yml is on main: runs go on in GitHub Actions
    ok    the workflows on main are as git pertask [VERSION] writes them
    bad   there is no environment pertask: attempts have no key, and GitHub makes one that is open to every branch
    → make it, for main alone, with the agent's key: http://[HOST]/octo/app/settings/environments
    bad   workflows may not open pull requests with GITHUB_TOKEN
    → tick "Allow GitHub Actions to create and approve pull requests" at http://[HOST]/octo/app/settings/actions
    "#);
    // All of it.
    site.github.change(REPO, |r| r.actions_may_approve = true);
    let main = || Branches::Named(vec!["main".to_owned()]);
    site.environment(main(), &["MINE_KEY"]);
    assert_snapshot!(site.of_actions(0), @r"
    ok    .github/workflows/pertask.yml is on main: runs go on in GitHub Actions
    ok    the workflows on main are as git pertask [VERSION] writes them
    ok    the environment pertask is open to main only
    ok    the environment pertask has MINE_KEY
    ok    workflows may open pull requests with GITHUB_TOKEN
    ");
    // Half of it.
    site.environment(Branches::All, &[]);
    site.github.change(REPO, |r| {
        let state = "disabled_inactivity".to_owned();
        r.workflow_states.insert("pertask.yml".to_owned(), state)
    });
    assert_snapshot!(site.of_actions(1), @r"
    bad   .github/workflows/pertask.yml is switched off, because nothing happened in the repository for 60 days: nothing goes on by itself
    → gh workflow enable pertask.yml
    ok    the workflows on main are as git pertask [VERSION] writes them
    warn  the environment pertask is open to every branch, so whoever may push can take the agent's key
    → make main its only deployment branch: http://[HOST]/octo/app/settings/environments
    warn  the environment pertask does not have MINE_KEY, so mine has no key in an attempt, unless the workflows say otherwise
    → gh secret set MINE_KEY --env pertask
    ok    workflows may open pull requests with GITHUB_TOKEN
    ");
    // Edited, with an App, and seen by somebody who is no administrator.
    site.github.change(REPO, |r| r.workflow_states.clear());
    site.environment(main(), &[]);
    let text = site.s.read(MAIN);
    let app = text.lines().filter(|l| !l.ends_with("# no app"));
    let app: Vec<String> = app.map(|l| l.replacen("#app ", "", 1)).collect();
    site.s.write(MAIN, app.join("\n"));
    site.push();
    site.github.change(REPO, |r| r.private = true);
    let mut site = site;
    let weaker = site.github.token("ada", "*");
    site.s.set("GITHUB_TOKEN", &weaker);
    assert_snapshot!(site.of_actions(0), @r"
    ok    .github/workflows/pertask.yml is on main: runs go on in GitHub Actions
    ok    the workflows on main are not quite as git pertask [VERSION] writes them
    → fine if you edited them; to compare, move them aside, git pertask init --github, git diff
    ok    the environment pertask is open to main only
    ");
    // The same without the App: then it matters what it may do.
    site.s.write(MAIN, text);
    site.push();
    assert_snapshot!(site.of_actions(0), @r#"
    ok    .github/workflows/pertask.yml is on main: runs go on in GitHub Actions
    ok    the workflows on main are as git pertask [VERSION] writes them
    ok    the environment pertask is open to main only
    warn  whether workflows may open pull requests with GITHUB_TOKEN cannot be seen with this token
    → look whether "Allow GitHub Actions to create and approve pull requests" is ticked at http://[HOST]/octo/app/settings/actions
    "#);
    assert_eq!(site.github.take_violations(), [] as [&str; 0]);
}

#[test]
fn a_workflow_that_is_not_at_github() {
    let site = Site::new();
    let action = format!("octo/git-pertask@{}", "0".repeat(40));
    site.s
        .pertask(["init", "--github", "--action", &action])
        .code(0);
    site.s.commit("Workflows");
    assert_snapshot!(site.of_actions(0), @r"
    warn  .github/workflows/pertask.yml is committed, but not on main at GitHub, so it does nothing
    → push it to main, or merge it there
    ");
    // Without the right to see it.
    site.github.change(REPO, |r| r.private = true);
    let mut site = site;
    site.token = site.github.token("ada", "contents:write");
    site.s.set("GITHUB_TOKEN", &site.token);
    assert_snapshot!(site.of_actions(0), @r"
    warn  whether .github/workflows/pertask.yml is on main cannot be seen: the token of GITHUB_TOKEN may not GET /repos/octo/app/actions/workflows/pertask.yml: Resource not accessible by personal access token (it takes actions=read)
    → give the token the scope repo: http://[HOST]/settings/tokens
    ");
}
