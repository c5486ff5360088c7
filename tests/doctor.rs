//! `git pertask doctor`: what it finds, what it says to do about it, and that it changes nothing.

mod support;

use std::fs;

use insta::assert_snapshot;
use support::{GOOD, Output, Sandbox, TWO};

/// What it printed, without what depends on the machine: git's version, the confinement, and the last
/// line, which counts.
fn said(s: &Sandbox, out: &Output) -> String {
    let tidy = s.tidy(&out.stdout);
    let lines = tidy.lines().map(|line| {
        if line.contains("git version ") {
            "  ok    [GIT]"
        } else if line.contains("agents and checks run ") {
            "  [CONFINED]"
        } else {
            line
        }
    });
    let mut lines: Vec<&str> = lines.collect();
    lines.pop();
    lines.join("\n")
}

#[test]
fn all_is_well() {
    let s = Sandbox::with(TWO, GOOD);
    let before = s.refs();
    let out = s.pertask(["doctor"]).code(0);
    assert_eq!(out.stderr, "");
    assert_snapshot!(said(&s, &out), @r"
    git
      ok    [GIT]
      ok    the repository [ROOT]/repo/, on branch main, can be worked on
      ok    commits are made by Ada Example <ada@example.com>
    settings
      ok    .pertask/config.toml is understood
      ok    the plan wiz has 2 tasks
    agents
      ok    mine: [ROOT]/agent
      [CONFINED]
    ");
    assert_eq!(s.refs(), before);
    assert_eq!(s.git(["status", "--porcelain"]), "");
}

#[test]
fn an_attempt_may_ask_too() {
    let mut s = Sandbox::with(TWO, GOOD);
    s.set("PERTASK_ATTEMPT", "1");
    s.pertask(["doctor"]).code(0);
}

#[test]
fn what_is_wrong_is_said_with_what_mends_it() {
    let s = Sandbox::new();
    s.config("sandbox = \"auto\"\nreviewer = 1");
    s.write(".pertask/wiz/plan.toml", "title = 1\n");
    s.commit("Settings that cannot be used");
    s.write(".pertask/other/plan.toml", TWO);
    fs::write(s.home.join(".gitconfig"), "").unwrap();
    let out = s.pertask(["doctor"]).code(1);
    assert_snapshot!(said(&s, &out), @r#"
    git
      ok    [GIT]
      ok    the repository [ROOT]/repo/, on branch main, can be worked on
      bad   git does not know who you are
            → git config user.name "Your Name" && git config user.email you@example.com
    settings
      bad   the settings cannot be used: .pertask/config.toml:3:1: unknown key `reviewer`
      bad   the plan wiz cannot be run as it is: .pertask/wiz/plan.toml:1:9: `title` must be a string, not an integer
            → git pertask plan wiz
      warn  not committed, so not part of any run: .pertask/other/plan.toml
            → git add .pertask && git commit
    agents
      [CONFINED]
    "#);
}

#[test]
fn without_a_repository_the_rest_is_looked_at() {
    let s = Sandbox::empty();
    let out = s.pertask(["doctor", "--json"]).code(1);
    let json: serde_json::Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["schema"], 1);
    assert_eq!(json["level"], "bad");
    let findings = json["findings"].as_array().unwrap();
    let of = |check: &str| findings.iter().find(|f| f["check"] == check).unwrap();
    assert_eq!(of("git.repository")["level"], "bad");
    assert_eq!(of("git.repository")["mend"], "git init");
    assert_eq!(of("agents.confinement")["section"], "agents");
    // Nobody asked for GitHub.
    assert!(findings.iter().all(|f| f["section"] != "github"));
}

#[test]
fn agents_say_their_version_and_where_their_login_is() {
    let mut s = Sandbox::new();
    s.script("echo '2.1.3 (Claude Code)'");
    let agent = s.root().join("agent");
    let config = |more: &str| {
        let text = format!("[agents.claude]\ncommand = ['{}']\n{more}", agent.display());
        s.write(".pertask/config.toml", text);
        s.commit("Settings");
    };
    config("");
    let lines = |s: &Sandbox, code| {
        let text = said(s, &s.pertask(["doctor"]).code(code));
        let lines = text.lines().skip_while(|l| *l != "agents").skip(1);
        lines
            .take_while(|l| !l.contains("CONFINED"))
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_snapshot!(lines(&s, 0), @"
    ok    claude: 2.1.3 (Claude Code), [ROOT]/agent
    warn  no login of claude is to be seen: neither ANTHROPIC_API_KEY, ANTHROPIC_AUTH_TOKEN, CLAUDE_CODE_OAUTH_TOKEN nor [ROOT]/home/.claude/.credentials.json
    → claude /login
    ");
    s.script("echo no such option >&2; exit 3");
    assert!(lines(&s, 1).contains("does not say its version: it ends with 3: no such option"));
    s.script("echo 1.0");
    s.set("ANTHROPIC_API_KEY", "sk-ant-not-a-real-key");
    let text = lines(&s, 0);
    assert!(
        text.contains("claude has the key of ANTHROPIC_API_KEY"),
        "{text}"
    );
    assert!(!text.contains("sk-ant"), "{text}");
}

#[test]
fn remotes_that_are_not_github() {
    let s = Sandbox::with(TWO, GOOD);
    let remote = |s: &Sandbox| {
        let text = said(s, &s.pertask(["doctor", "--forge", "github"]).code(1));
        let lines = text.lines().skip_while(|l| *l != "github").skip(1);
        lines.take(2).map(str::trim).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(remote(&s), @"
    bad   this repository has no remote, so there is no GitHub to ask
    → add it: git remote add origin https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)
    ");
    s.git(["remote", "add", "origin", "../elsewhere"]);
    assert_snapshot!(remote(&s), @"
    bad   the remote origin is the folder ../elsewhere, not a repository on GitHub
    → point it there: git remote set-url origin https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)
    ");
    s.git([
        "remote",
        "set-url",
        "origin",
        "https://me:s3cret@example.com/just-this",
    ]);
    let text = remote(&s);
    assert!(text.contains("https://example.com/just-this"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    // Another one may be meant, and an address may be a short form.
    s.git(["remote", "add", "hub", "gh:o/r"]);
    s.git(["config", "url.https://github.com/.insteadOf", "gh:"]);
    s.git(["config", "pertask.remote", "hub"]);
    let text = remote(&s);
    assert!(
        text.starts_with("ok    the remote hub is o/r on github.com"),
        "{text}"
    );
    assert!(
        text.contains("bad   there is no token for github.com"),
        "{text}"
    );
}

#[test]
fn a_server_that_cannot_be_reached_is_said() {
    const SECRET: &str = "ghp_thisIsTheSecretOfTheTests";
    let mut s = Sandbox::with(TWO, GOOD);
    // The port was given back, so nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    s.git(["remote", "add", "origin", &format!("{address}/o/r.git")]);
    s.set("GITHUB_TOKEN", SECRET);
    s.set("GITHUB_SERVER_URL", &address);
    s.set("PERTASK_TEST_PAUSE_DIVISOR", "1000");
    let out = s.pertask(["doctor", "--forge", "github"]).code(0);
    assert!(!out.stdout.contains(SECRET), "{}", out.stdout);
    let text = said(&s, &out).replace(&address, "http://[SERVER]");
    let text = text.split("github\n").nth(1).unwrap().to_owned();
    assert_snapshot!(text, @r"
    ok    the remote origin is o/r on 127.0.0.1
    ok    the token is that of GITHUB_TOKEN; git pushes with it too
    warn  http://[HOST]/api/v3 cannot be asked, so the rest was not looked at: GET /repos/o/r did not work: tcp connect error: Connection refused (os error 111); run it again when 127.0.0.1 can be reached
    ");
}

#[test]
fn workflows_that_run_on_our_branches_are_listed() {
    let s = Sandbox::with(TWO, GOOD);
    s.git(["remote", "add", "origin", "git@github.com:o/r.git"]);
    s.write(
        ".github/workflows/deploy.yml",
        "on: push\njobs:\n  a:\n    steps:\n      - run: ./deploy\n        env: {KEY: '${{ secrets.DEPLOY }}'}\n",
    );
    s.write(
        ".github/workflows/ci.yaml",
        "on: [push, pull_request]\njobs: {}\n",
    );
    s.write(
        ".github/workflows/main.yml",
        "on: {push: {branches: [main]}}\n",
    );
    s.write(".github/workflows/broken.yml", "on: [push\n");
    s.write(".github/workflows/README.md", "on: push\n");
    s.commit("Workflows");
    let text = said(&s, &s.pertask(["doctor", "--forge", "github"]).code(1));
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|l| !l.contains(".github/workflows"))
        .map(str::trim)
        .collect();
    assert_snapshot!(lines.join("\n"), @"
    warn  .github/workflows/broken.yml is not understood: line 1 column 5: unclosed bracket '['
    ok    .github/workflows/ci.yaml runs on branches pertask/* (push, pull_request), without secrets
    warn  .github/workflows/deploy.yml runs on branches pertask/* (push), on what agents wrote and nobody has reviewed, with the secret DEPLOY
    → .github/workflows/deploy.yml: leave our branches out: branches-ignore: ['pertask/**'] under push
    ");
}
