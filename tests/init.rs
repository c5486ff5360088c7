//! `git pertask init`: what it writes, what it says, and that it overwrites nothing.

#[path = "support/github/mod.rs"]
mod github;
mod support;

use std::fs;

use github::GitHub;
use insta::assert_snapshot;
use serde_json::Value;
use support::{Output, Sandbox};

const REPO: &str = "octo/app";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const MAIN: &str = ".github/workflows/pertask.yml";
const ORDER: &str = ".github/workflows/pertask-order.yml";
const CONFIG: &str = ".pertask/config.toml";

fn with_action(s: &Sandbox, action: &str) -> Output {
    s.pertask(["init", "--github", "--action", action])
}

fn init(s: &Sandbox) -> Output {
    with_action(s, &format!("octo/git-pertask@{COMMIT}"))
}

/// Everything in the working tree that git does not know.
fn new(s: &Sandbox) -> String {
    s.git(["status", "--porcelain", "--untracked-files=all"])
}

/// A template with its gaps filled in.
fn filled(template: &str, gaps: &[(&str, &str)]) -> String {
    let gaps = gaps.iter().chain(&[(
        "@ACTION@",
        "octo/git-pertask@0123456789abcdef0123456789abcdef01234567",
    )]);
    gaps.fold(template.to_owned(), |text, (gap, with)| {
        text.replace(gap, with)
    })
}

/// The value of each `uses:` of the action.
fn uses(s: &Sandbox) -> Vec<String> {
    let text = s.read(MAIN) + &s.read(ORDER);
    let lines = text.lines().filter_map(|l| l.trim().strip_prefix("uses: "));
    let mut found: Vec<String> = lines
        .filter(|l| l.contains("/git-pertask@"))
        .map(str::to_owned)
        .collect();
    assert_eq!(found.len(), 6);
    found.dedup();
    found
}

#[test]
fn without_github_only_the_settings_are_written() {
    let s = Sandbox::new();
    assert_snapshot!(s.pertask(["init"]).text(), @r"
    exit 0
    --- stdout
    Wrote .pertask/config.toml. Next:
      1. write .pertask/<plan>/architecture.md or plan.toml
      2. git add .pertask && git commit
      3. git pertask plan <plan>
      4. git pertask start <plan>
    --- stderr
    ");
    assert_eq!(new(&s), "?? .pertask/config.toml");
    assert!(s.read(CONFIG).contains("\n# forge = \"local\"\n"));
    assert_snapshot!(s.pertask(["init"]).text(), @r"
    exit 2
    --- stdout
    --- stderr
    git-pertask: .pertask/config.toml is there already and is left as it is
    ");
    assert_snapshot!(s.pertask(["init", "--action", "a/b"]).text(), @r"
    exit 2
    --- stdout
    --- stderr
    error: the following required arguments were not provided:
      --github

    Usage: git pertask init --github --action <OWNER/REPO@REF>

    For more information, try '--help'.
    ");
}

#[test]
fn everything_for_github_is_written() {
    let mut s = Sandbox::new();
    s.git(["remote", "add", "origin", "https://github.com/octo/app.git"]);
    s.set("GITHUB_SERVER_URL", "https://github.com");
    let refs = s.refs();
    assert_snapshot!(init(&s).text(), @r#"
    exit 0
    --- stdout
    Wrote .pertask/config.toml
    Wrote .github/workflows/pertask.yml
    Wrote .github/workflows/pertask-order.yml

    Five steps remain:
      1. Look at what the workflows say behind EDIT, then commit, on the default branch:
         git add .pertask .github/workflows && git commit -m "Carry runs on in GitHub Actions" && git push
      2. Make the environment pertask, with the default branch as its only deployment branch, and put the
         agent's key there, not among the repository's secrets:
         https://github.com/octo/app/settings/environments
         gh secret set ANTHROPIC_API_KEY --env pertask
      3. Tick "Allow GitHub Actions to create and approve pull requests":
         https://github.com/octo/app/settings/actions
      4. Protect the default branch, so that only pull requests that somebody approved reach it: plans, settings
         and these workflows are trusted because they are there. Leave branches pertask/** out of it:
         https://github.com/octo/app/settings/rules
      5. Start a plan with the form, or: gh workflow run pertask.yml -f plan=<plan>
         https://github.com/octo/app/actions/workflows/pertask.yml
    Then `git pertask doctor` says what is still missing.
    --- stderr
    "#);
    assert_eq!(
        new(&s),
        "?? .github/workflows/pertask-order.yml\n?? .github/workflows/pertask.yml\n?? .pertask/config.toml"
    );
    assert_eq!(s.refs(), refs);
    assert!(s.read(CONFIG).contains("\nforge = \"github\"\n"));
    assert_eq!(
        s.read(MAIN),
        filled(
            include_str!("../templates/github/pertask.yml"),
            &[(
                "@SECRETS_OF_CALL@\n",
                "    secrets:
      ANTHROPIC_API_KEY: ${{ secrets.ANTHROPIC_API_KEY }}
      #app PERTASK_APP_KEY: ${{ secrets.PERTASK_APP_KEY }}
"
            )]
        )
    );
    assert_eq!(
        s.read(ORDER),
        filled(
            include_str!("../templates/github/pertask-order.yml"),
            &[
                (
                    "@SECRETS_OF_WORKFLOW@\n",
                    "    # Not `required`: that is looked at before the environment is.
    secrets:
      ANTHROPIC_API_KEY:
        description: For the agent
        required: false
      #app PERTASK_APP_KEY:
      #app   description: Private key of the App
      #app   required: false
"
                ),
                (
                    "@AGENT_INSTALL@\n",
                    "      # EDIT: other agents that tasks name, and the version, which stays until you change it.
      - name: Install the agent
        shell: bash
        # zizmor: ignore[adhoc-packages] a version on npm never changes, and no lock file is at hand
        run: npm install --global @anthropic-ai/claude-code@2.1.330
"
                ),
                (
                    "@AGENT_KEY@\n",
                    "        env:
          ANTHROPIC_API_KEY: ${{ secrets.ANTHROPIC_API_KEY }}
"
                ),
            ]
        )
    );
    for path in [MAIN, ORDER] {
        let yaml: Value = ast_grep_config::from_str(&s.read(path)).unwrap();
        assert!(yaml["jobs"].is_object(), "{path}");
    }
    // The settings it wrote are read by the rest.
    s.commit("Set it up");
    let doctor = s.pertask(["doctor", "--json"]);
    assert!(doctor.stdout.contains("config.toml is understood"));
    assert!(doctor.stdout.contains("github"), "{}", doctor.stdout);

    // Again: nothing to do, and all is said again.
    let again = init(&s).code(0);
    let first: Vec<&str> = again.stdout.lines().take(3).collect();
    assert_snapshot!(first.join("\n"), @r"
    .pertask/config.toml is there, and is left as it is
    .github/workflows/pertask.yml is there, as it would be written
    .github/workflows/pertask-order.yml is there, as it would be written
    ");
    assert_eq!(new(&s), "");
}

#[test]
fn what_is_there_stays() {
    let s = Sandbox::new();
    s.config("forge = \"local\"");
    s.write(
        ".github/workflows/ci.yml",
        "on: [push, pull_request]\njobs:\n  test:\n    steps:\n      - run: deploy ${{ secrets.DEPLOY_KEY }}\n",
    );
    s.write(".github/workflows/lint.yml", "on: push\njobs: {}\n");
    let before = s.read(CONFIG);
    s.commit("Settings and workflows");
    assert_snapshot!(init(&s).text(), @r#"
    exit 0
    --- stdout
    .pertask/config.toml is there, and is left as it is; set in it: forge = "github"
    Wrote .github/workflows/pertask.yml
    Wrote .github/workflows/pertask-order.yml

    Five steps remain:
      1. Look at what the workflows say behind EDIT, then commit, on the default branch:
         git add .pertask .github/workflows && git commit -m "Carry runs on in GitHub Actions" && git push
      2. Make the environment pertask, with the default branch as its only deployment branch, and put the
         agent's key there, not among the repository's secrets:
         https://github.com/OWNER/NAME/settings/environments
         mine has no key in the settings: if it needs one, give its name where the workflows say EDIT.
      3. Tick "Allow GitHub Actions to create and approve pull requests":
         https://github.com/OWNER/NAME/settings/actions
      4. Protect the default branch, so that only pull requests that somebody approved reach it: plans, settings
         and these workflows are trusted because they are there. Leave branches pertask/** out of it:
         https://github.com/OWNER/NAME/settings/rules
      5. Start a plan with the form, or: gh workflow run pertask.yml -f plan=<plan>
         https://github.com/OWNER/NAME/actions/workflows/pertask.yml
    Then `git pertask doctor` says what is still missing.

    Your own workflows that run what agents write. With GITHUB_TOKEN a pull request starts them once somebody
    has let it, and a push never does; with the token of an App both do, at once:
      .github/workflows/ci.yml runs on branches pertask/* (push, pull_request), on what agents wrote and nobody has reviewed, with the secret DEPLOY_KEY
        .github/workflows/ci.yml: let it run nothing of the branch with them, or leave our branches out (branches-ignore: ['pertask/**']; if: "!startsWith(github.head_ref, 'pertask/')")
    --- stderr
    "#);
    assert_eq!(s.read(CONFIG), before);
    let order = s.read(ORDER);
    let install: Vec<&str> = order
        .lines()
        .skip_while(|l| !l.contains("install the agent mine"))
        .take(5)
        .collect();
    assert_snapshot!(install.join("\n"), @r"
    # EDIT: install the agent mine, in a version of your choice. Where an attacker may have
    # written, in a cache or a file of the repository, is no place to take it from.
    # - name: Install the agent
    #   shell: bash
    #   run: …
    ");
}

#[test]
fn a_workflow_that_says_something_else_is_left_alone_with_all_the_rest() {
    let s = Sandbox::new();
    s.write(ORDER, "on: workflow_call\n");
    s.commit("A workflow");
    assert_snapshot!(init(&s).text(), @r"
    exit 2
    --- stdout
    --- stderr
    git-pertask: .github/workflows/pertask-order.yml is there already and says something else; nothing was written. To compare, move it aside and run this again
    ");
    assert_eq!(new(&s), "");
    s.write(MAIN, "on: push\n");
    s.commit("Another");
    assert_snapshot!(init(&s).text(), @r"
    exit 2
    --- stdout
    --- stderr
    git-pertask: .github/workflows/pertask.yml and .github/workflows/pertask-order.yml are there already and say something else; nothing was written. To compare, move them aside and run this again
    ");
    assert_eq!(new(&s), "");
}

#[test]
fn what_cannot_be_written_whole_is_not_written() {
    let s = Sandbox::new();
    std::os::unix::fs::symlink("nowhere/at/all", s.repo.join(".github")).unwrap();
    s.commit("A link that leads nowhere");
    let out = init(&s);
    assert_ne!(out.code, 0);
    assert_eq!(out.stdout, "");
    assert!(out.stderr.contains("writing "), "{}", out.stderr);
    assert_eq!(new(&s), "");
}

#[test]
fn settings_that_cannot_be_read_stop_it() {
    let s = Sandbox::new();
    s.write(CONFIG, "agnet = \"claude\"\n");
    s.commit("Settings");
    assert_snapshot!(init(&s).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    error: unknown key `agnet`
     --> .pertask/config.toml:1:1
      |
    1 | agnet = "claude"
      | ^^^^^
      |
      = help: did you mean `agent`?
    "#);
    assert_eq!(new(&s), "");
}

#[test]
fn the_action_is_pinned_to_a_commit() {
    let github = GitHub::start();
    github.repository(REPO);
    github.repository("octo/git-pertask");
    let git = |args: &[&str]| {
        let out = github.git("octo/git-pertask", args.iter().copied());
        out.trim().to_owned()
    };
    let me = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
    let tree = git(&["hash-object", "-t", "tree", "-w", "/dev/null"]);
    let tip = git(&[&me[..], &["commit-tree", "-m", "First", &tree]].concat());
    git(&["update-ref", "refs/heads/main", &tip]);
    git(&[&me[..], &["tag", "-a", "-m", "A release", "v1.2.3", &tip]].concat());
    git(&["tag", "light", &tip]);
    let site = || {
        let mut s = Sandbox::new();
        s.git(["remote", "add", "origin", &github.clone_url(REPO)]);
        s.set("GITHUB_SERVER_URL", github.url());
        s
    };
    for name in ["v1.2.3", "light", "main"] {
        let s = site();
        with_action(&s, &format!("octo/git-pertask@{name}")).code(0);
        assert_eq!(uses(&s), [format!("octo/git-pertask@{tip} # {name}")]);
    }
    let s = site();
    let upper = COMMIT.to_uppercase();
    with_action(&s, &format!("octo/git-pertask@{upper}")).code(0);
    assert_eq!(uses(&s), [format!("octo/git-pertask@{COMMIT}")]);

    let s = site();
    for (action, code) in [
        // The release that this is has no tag there.
        ("octo/git-pertask", 2),
        ("octo/git-pertask@v9", 2),
        ("octo/git-pertask@0123456", 2),
        ("octo/git-pertask@refs/tags/v1.2.3", 2),
        ("octo/missing@v1", 1),
        ("git-pertask@v1", 2),
        ("octo/git-pertask@v1; rm -rf", 2),
    ] {
        let out = with_action(&s, action).code(code);
        assert_eq!(out.stdout, "", "{action}");
    }
    assert_snapshot!(with_action(&s, "octo/git-pertask@v9").err(), @r"git-pertask: http://[HOST]/octo/git-pertask has no tag or branch v9, and v9 is not the full id of a commit, which has 40 digits");
    assert_snapshot!(with_action(&s, "octo/missing@v1").err(), @r"git-pertask: looking up v1 of octo/missing, which the full id of a commit would not need: the remote http://[HOST]/octo/missing does not let us in: could not read Username for 'http://[HOST]': terminal prompts disabled");
    assert_snapshot!(with_action(&s, "git-pertask@v1").err(), @r#"git-pertask: "git-pertask@v1" names no action; --action takes OWNER/REPO@REF, where REF is the full id of a commit, a tag or a branch"#);
    // Not published anywhere yet.
    assert_snapshot!(s.pertask(["init", "--github"]).text(), @r"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this git-pertask was not built from a release, so it does not know where its action is; name it: git pertask init --github --action OWNER/REPO@<full id of a commit, or a tag>
    ");
    assert_eq!(new(&s), "");
    assert!(!fs::exists(s.repo.join(".pertask")).unwrap());
}
