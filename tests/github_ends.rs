//! How a run on GitHub ends, where it can be gone on with, and what it is told when it cannot begin.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use std::fmt::Write as _;

use github::Remark;
use hub::{Hub, REPO};
use support::{GOOD, TWO};

/// One task, so that the end is near.
const ONE: &str = r#"title = "One file"
build = [["test", "-d", ".pertask"]]

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The only one"
risk = "high"
"#;

/// Writes what it is asked for once more when there is feedback.
const REPAIRING: &str = r#"
cat > prompt
if [ "$PERTASK_TASK" = repair ]; then f=one.txt; else f="$PERTASK_TASK.txt"; fi
echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" >> "$f"
rm prompt
printf '{"status":"complete","summary":"wrote %s"}' "$f" > "$PERTASK_HANDOFF_FILE"
"#;

#[test]
fn the_base_is_merged_in_before_the_last_pull_request_and_the_gate_looks_again() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let moved = hub
        .github
        .person("olive")
        .push(REPO, "main", &[("other.txt", "other\n")], "Meanwhile")
        .unwrap();
    let out = hub.approve(1).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Run wiz is complete: 1 of 1 tasks merged into pertask/wiz/main.
    Merge it into main there: http://[HOST]/acme/widgets/pull/2
    --- stderr
    Task 1 of 1, one (First file): approved by olive
    Task 1 of 1, one (First file): merged as [ID] (approved by olive)
    main has moved on to [ID] and is merged into the run branch
    Building the run branch for the gate
      ok test -d .pertask ([T])
    The gate holds
    The run is complete: pull request #2 takes it into main
      http://[HOST]/acme/widgets/pull/2
    ");
    let last = hub.github.pull(REPO, 2);
    assert_eq!(
        (last.head_ref.as_str(), last.base_ref.as_str()),
        ("pertask/wiz/main", "main")
    );
    assert!(
        hub.github
            .file(REPO, "pertask/wiz/main", "other.txt")
            .is_some()
    );
    let merged = hub
        .github
        .git(REPO, ["merge-base", &moved, "pertask/wiz/main"]);
    assert_eq!(merged.trim(), moved);
}

#[test]
fn a_base_that_conflicts_waits_with_the_commands_and_goes_on_once_it_is_merged_by_hand() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github
        .person("olive")
        .push(REPO, "main", &[("one.txt", "theirs\n")], "Meanwhile")
        .unwrap();
    let out = hub.approve(1).code(1);
    insta::assert_snapshot!(out.text(), @r"
    exit 1
    --- stdout
    Waiting for:
    - main (at [ID]) to be merged into pertask/wiz/main by hand, it conflicts in one.txt: `git fetch origin`, `git switch --detach origin/pertask/wiz/main`, `git merge origin/main`, `git push origin HEAD:refs/heads/pertask/wiz/main`, then `git pertask continue wiz`
    --- stderr
    Task 1 of 1, one (First file): approved by olive
    Task 1 of 1, one (First file): merged as [ID] (approved by olive)
    ");
    // The person does as told, in a clone of their own.
    let dir = hub.clone();
    let git = |args: &[&str]| hub.sandbox.git_in(&dir, args);
    git(&["switch", "--quiet", "--detach", "origin/pertask/wiz/main"]);
    git(&[
        "merge",
        "--quiet",
        "-X",
        "ours",
        "-m",
        "Bring main in",
        "origin/main",
    ]);
    let url = hub.github.clone_url_as(REPO, &hub.token);
    git(&["push", "--quiet", &url, "HEAD:refs/heads/pertask/wiz/main"]);
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Run wiz is complete: 1 of 1 tasks merged into pertask/wiz/main.
    Merge it into main there: http://[HOST]/acme/widgets/pull/2
    --- stderr
    Ada Example committed on the run branch
    Building the run branch for the gate
      ok test -d .pertask ([T])
    The gate holds
    The run is complete: pull request #2 takes it into main
      http://[HOST]/acme/widgets/pull/2
    ");
}

#[test]
fn a_base_with_workflow_files_that_may_not_be_pushed_waits_with_the_command() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github
        .person("olive")
        .push(
            REPO,
            "main",
            &[(".github/workflows/ci.yml", "on: push\n")],
            "Add CI",
        )
        .unwrap();
    let out = hub.approve(1).code(1);
    insta::assert_snapshot!(out.text(), @r"
    exit 1
    --- stdout
    Waiting for:
    - main (at [ID]) to be merged into pertask/wiz/main by somebody who may push it (refusing to allow a GitHub App to create or update workflow `.github/workflows/ci.yml` without `workflows` permission): `git fetch origin`, `git switch --detach origin/pertask/wiz/main`, `git merge origin/main`, `git push origin HEAD:refs/heads/pertask/wiz/main`, then `git pertask continue wiz`
    --- stderr
    Task 1 of 1, one (First file): approved by olive
    Task 1 of 1, one (First file): merged as [ID] (approved by olive)
    ");
    assert_eq!(hub.github.pulls(REPO).len(), 1);
}

#[test]
fn changes_requested_on_the_last_pull_request_become_a_repair_task() {
    let hub = Hub::with(ONE, REPAIRING);
    hub.run(&["start", "wiz"]).code(0);
    hub.approve(1).code(0);
    let olive = hub.github.person("olive");
    olive
        .request_changes(
            REPO,
            2,
            "Say it louder.",
            &[Remark::line("one.txt", 1, "Here.")],
        )
        .unwrap();
    let out = hub.run(&["continue", "wiz"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 2 of 2 complete:

    Created: ~ one.txt
             (+ created, ~ modified, - deleted)
    Lines:   none
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/2-repair at [ID]

    Waiting for:
    - a review of task 2 of 2, repair (Changes requested at the end) on http://[HOST]/acme/widgets/pull/3, or `git pertask approve wiz repair` or `git pertask revise wiz repair -m …`
    --- stderr
    Changes requested on the final pull request by olive: one more task
    Task 2 of 2, repair (Changes requested at the end): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, repair (Changes requested at the end): attempt 1 passes its checks, waiting for a review
    Task 2 of 2, repair (Changes requested at the end): pull request #3 is open
      http://[HOST]/acme/widgets/pull/3
    ");
    let repair = hub.github.pull(REPO, 3);
    assert_eq!(repair.base_ref, "pertask/wiz/main");
    assert_eq!(hub.states(), ["merged", "review"]);
    hub.approve(3).code(0);
    assert_eq!(hub.states(), ["merged", "merged"]);
    let text = hub
        .github
        .file(REPO, "pertask/wiz/main", "one.txt")
        .unwrap();
    assert_eq!(text, "one, attempt 1\nrepair, attempt 1\n");
    assert_eq!(hub.github.pulls(REPO).len(), 3, "the last one is the same");
    assert_eq!(hub.github.requested(REPO, 2), ["olive"]);
    // Nothing is left to be done, and nothing is written.
    hub.github.clear_log();
    hub.run(&["continue", "wiz"]).code(0);
    assert_eq!(hub.github.count().changing, 0, "{:?}", hub.github.log());
}

#[test]
fn an_ended_run_closes_its_pull_requests_and_a_skipped_task_its_own() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let olive = hub.github.person("olive");
    olive.comment(REPO, 1, "/pertask skip Not needed").unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["skipped", "review"]);
    assert_eq!(hub.github.pull(REPO, 1).state, github::PullState::Closed);
    let out = hub.run(&["abort"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Run wiz was ended by Ada Example; every branch is kept. Start anew: git pertask start wiz
    --- stderr
    Task 2 of 2, two (Second file): pull request #2 was closed
    ");
    assert_eq!(hub.github.pull(REPO, 2).state, github::PullState::Closed);
    assert!(
        hub.github.tip(REPO, "pertask/wiz/2-two").is_some(),
        "branches are kept"
    );
}

#[test]
fn an_amended_plan_is_read_from_the_remote_and_recorded_there() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let plan = TWO.replace("Second file", "Another file");
    hub.github
        .person("olive")
        .push(REPO, "main", &[(".pertask/wiz/plan.toml", &plan)], "Amend")
        .unwrap();
    let out = hub.run(&["amend"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    From main at [ID]:
    - task two: title: Second file → Another file
    Recorded. Go on: git pertask continue wiz
    --- stderr
    ");
    let other = hub.clone();
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    hub.run_in(&other, &["continue"]).code(0);
    assert_eq!(hub.github.pull(REPO, 2).title, "[wiz 2/2] Another file");
}

#[test]
fn a_clone_that_is_lost_is_replaced_by_another_and_nothing_is_repeated() {
    let hub = Hub::with(TWO, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let before = hub.refs();
    let other = hub.clone();
    std::fs::remove_dir_all(&hub.sandbox.repo).unwrap();
    hub.github.clear_log();
    let out = hub.run_in(&other, &["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Task 1 of 2 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - a review of task 1 of 2, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    ");
    assert_eq!(hub.refs(), before);
    assert_eq!(hub.github.count().changing, 0, "{:?}", hub.github.log());
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    hub.run_in(&other, &["continue"]).code(0);
    assert_eq!(hub.github.pulls(REPO).len(), 2);
    let status = hub.run_in(&other, &["status"]).code(0);
    insta::assert_snapshot!(status.out(), @r"
    Run wiz: Two files
    State    waiting
    Mode     per task (high-risk implementation: one)
    Base     main at [ID]
    Branch   pertask/wiz/main at [ID]

    TASK  ID   TITLE        STATE   TRY  LINES  BUILD    TIME
    1/2   one  First file   merged    1      1  success    [T]
    2/2   two  Second file  review    1      1  success    [T]

    Waiting for
    - a review of task 2 of 2, two (Second file) on
      http://[HOST]/acme/widgets/pull/2, or `git pertask approve wiz two`
      or `git pertask revise wiz two -m …`
    ");
}

#[test]
fn watching_goes_on_when_a_review_comes_in_and_its_polls_cost_nothing() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let mut command = hub.sandbox.program(&hub.sandbox.repo);
    command.args(["continue", "--watch"]);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| hub.sandbox.finish(command));
        let polled = |times: usize| {
            let free = || {
                let log = hub.github.log();
                log.iter().filter(|l| l.status == 304).count()
            };
            while free() < times {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        polled(3);
        let (used, _) = hub.github.charged(&hub.token);
        polled(12);
        assert_eq!(
            hub.github.charged(&hub.token).0,
            used,
            "a poll without news is free"
        );
        hub.github.person("olive").approve(REPO, 1, "").unwrap();
        while hub.github.pulls(REPO).len() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        hub.github.person("olive").merge(REPO, 2, "squash").unwrap();
        let out = watching.join().unwrap().code(0);
        insta::assert_snapshot!(out.text(), @r"
        exit 0
        --- stdout
        Run wiz is complete: 1 of 1 tasks merged into pertask/wiz/main.
        It is in main as [ID] (merged by olive).
        --- stderr
        Watching run wiz on GitHub (Ctrl-C stops watching)
        - a review of task 1 of 1, one (First file) on http://[HOST]/acme/widgets/pull/1, or `git pertask approve wiz one` or `git pertask revise wiz one -m …`
        Task 1 of 1, one (First file): approved by olive
        Task 1 of 1, one (First file): merged as [ID] (approved by olive)
        Building the run branch for the gate
          ok test -d .pertask ([T])
        The gate holds
        The run is complete: pull request #2 takes it into main
          http://[HOST]/acme/widgets/pull/2
        Watching run wiz on GitHub (Ctrl-C stops watching)
        - the merge of http://[HOST]/acme/widgets/pull/2
        Merged into main as [ID] (merged by olive)
        ");
    });
}

#[test]
fn what_keeps_a_run_from_beginning_is_said_and_nothing_is_changed() {
    let mut said = String::new();
    let mut attempt = |what: &str, change: &dyn Fn(&mut Hub)| {
        let mut hub = Hub::with(ONE, GOOD);
        change(&mut hub);
        let before = hub.refs();
        let out = hub.run(&["start", "wiz"]);
        let _ = write!(said, "== {what}: exit {}\n{}", out.code, out.err());
        assert_eq!(hub.refs(), before, "{what}");
        hub.github.take_violations();
    };
    attempt("no token", &|h| h.sandbox.set("GITHUB_TOKEN", ""));
    attempt("expired token", &|h| h.github.expire(&h.token));
    attempt("a person who may only read", &|h| {
        let token = h.github.token("rose", "*");
        h.sandbox.set("GITHUB_TOKEN", token);
    });
    attempt("no remote", &|h| {
        h.sandbox.git(["remote", "remove", "origin"]);
    });
    attempt("a folder as remote", &|h| {
        h.sandbox.git(["remote", "set-url", "origin", "/nowhere"]);
    });
    attempt("archived", &|h| h.github.archive(REPO));
    attempt("no such repository", &|h| {
        let url = h.github.clone_url("acme/gone");
        h.sandbox.git(["remote", "set-url", "origin", &url]);
    });
    attempt("a plan that is not pushed", &|h| {
        h.sandbox.write(".pertask/new/plan.toml", ONE);
        h.sandbox.git(["mv", ".pertask/wiz", ".pertask/old"]);
        h.sandbox.commit("Move it");
        let url = h.github.clone_url_as(REPO, &h.token);
        h.sandbox
            .git(["push", "--quiet", &url, "HEAD:refs/heads/main"]);
        h.sandbox.git(["mv", ".pertask/old", ".pertask/wiz"]);
        h.sandbox.commit("Move it back");
    });
    insta::assert_snapshot!(said, @r#"
    == no token: exit 2
    git-pertask: there is no token for 127.0.0.1; set GITHUB_TOKEN (make one at http://[HOST]/settings/personal-access-tokens/new with read and write of Contents, Pull requests, Issues and Commit statuses for acme/widgets), or log in: gh auth login --hostname 127.0.0.1, or give git a credential helper
    == expired token: exit 2
    git-pertask: 127.0.0.1 does not know the token of GITHUB_TOKEN (Bad credentials); it may have expired or been revoked: make a new one at http://[HOST]/settings/tokens and set GITHUB_TOKEN to it, or unset GITHUB_TOKEN
    == a person who may only read: exit 1
    git-pertask: the token of GITHUB_TOKEN may not write to acme/widgets: its account has the permission "read" there (it takes contents=write, pull_requests=write); ask somebody who administers acme/widgets for write permission, or use another token
    == no remote: exit 2
    git-pertask: this repository has no remote, so there is no GitHub to ask; add it: git remote add origin https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)
    == a folder as remote: exit 2
    git-pertask: the remote origin is the folder /nowhere, not a repository on GitHub; point it there: git remote set-url origin https://github.com/OWNER/NAME.git (or work without GitHub: --forge local)
    == archived: exit 2
    git-pertask: acme/widgets is archived, so nothing can be changed there; unarchive it: http://[HOST]/acme/widgets/settings
    == no such repository: exit 2
    git-pertask: 127.0.0.1 answers "not found" to the query Look (Could not resolve to a Repository with the name 'acme/gone'.): it is not there, or the token of GITHUB_TOKEN may not see it (for private repositories that is the same answer)
    == a plan that is not pushed: exit 2
    git-pertask: .pertask/wiz/plan.toml is committed here, but not on main of the remote, from where plans are read on GitHub; push it, or merge it there first:
      git push
    "#);
}

#[test]
fn a_token_without_a_permission_is_named_with_the_setting_to_change() {
    let hub = Hub::with(ONE, GOOD);
    let mut said = String::new();
    for scopes in [
        "pull_requests:write,issues:write,statuses:write",
        "contents:write,issues:write,statuses:write",
    ] {
        let mut hub = Hub::with(ONE, GOOD);
        let token = hub.github.token("robot[bot]", scopes);
        hub.sandbox.set("GITHUB_TOKEN", token);
        let out = hub.run(&["start", "wiz"]);
        let _ = write!(said, "== {scopes}: exit {}\n{}", out.code, out.err());
    }
    drop(hub);
    insta::assert_snapshot!(said, @r"
    == pull_requests:write,issues:write,statuses:write: exit 1
    Run wiz: 1 task in per-task mode (high-risk implementation: one), from [ID]
    note: agents and checks run [CONFINED]
    git-pertask: the token of GITHUB_TOKEN may not push to acme/widgets: remote: Permission to acme/widgets.git denied to robot[bot]. (it takes contents=write); in a workflow add it under `permissions:` (`contents: write`); for a GitHub App change the App's permissions and accept them for acme/widgets
    == contents:write,issues:write,statuses:write: exit 1
    Run wiz: 1 task in per-task mode (high-risk implementation: one), from [ID]
    note: agents and checks run [CONFINED]
    Building the base, so that old breakage is not blamed on an agent
      ok test -d .pertask ([T])
    The base builds
    Task 1 of 1, one (First file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 1 of 1, one (First file): attempt 1 passes its checks, waiting for a review
    git-pertask: the token of GITHUB_TOKEN may not POST /repos/acme/widgets/pulls: Resource not accessible by integration (it takes pull_requests=write); in a workflow add it under `permissions:` (`pull-requests: write`); for a GitHub App change the App's permissions and accept them for acme/widgets
    ");
}

#[test]
fn a_renamed_repository_is_followed_and_said() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github.rename(REPO, "acme/gadgets");
    hub.github
        .person("olive")
        .approve("acme/gadgets", 1, "")
        .unwrap();
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @r"
    exit 0
    --- stdout
    Run wiz is complete: 1 of 1 tasks merged into pertask/wiz/main.
    Merge it into main there: http://[HOST]/acme/gadgets/pull/2
    --- stderr
    the repository is called acme/gadgets now; change the remote: git remote set-url origin http://[HOST]/acme/gadgets.git
    Task 1 of 1, one (First file): approved by olive
    Task 1 of 1, one (First file): merged as [ID] (approved by olive)
    Building the run branch for the gate
      ok test -d .pertask ([T])
    The gate holds
    The run is complete: pull request #2 takes it into main
      http://[HOST]/acme/gadgets/pull/2
    ");
    assert_eq!(hub.github.pulls("acme/gadgets").len(), 2);
}

#[test]
fn a_deleted_branch_is_put_back() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github
        .person("olive")
        .delete_branch(REPO, "pertask/wiz/1-one")
        .unwrap();
    let out = hub.run(&["continue"]);
    insta::assert_snapshot!(out.text(), @r"
    exit 1
    --- stdout
    Waiting for:
    - its pull request to be opened again, for task 1 of 1, one (First file), or `git pertask skip wiz one -m …`
    --- stderr
    Task 1 of 1, one (First file): pull request #1 was closed
    ");
    assert!(hub.github.tip(REPO, "pertask/wiz/1-one").is_some());
    hub.github.person("olive").reopen(REPO, 1).unwrap();
    hub.run(&["continue"]).code(0);
    assert_eq!(hub.states(), ["review"]);
}
