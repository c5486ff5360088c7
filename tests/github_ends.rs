//! How a run on GitHub ends, where it can be gone on with, and what it is told when it cannot begin.

#[path = "support/github/mod.rs"]
mod github;
#[path = "support/hub.rs"]
mod hub;
mod support;

use github::{GitHub, Permission, Remark};
use hub::{Hub, REPO};
use support::{GOOD, Sandbox, TWO};

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

fn tip(hub: &Hub, branch: &str) -> String {
    hub.github.tip(REPO, branch).unwrap()
}

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
    insta::assert_snapshot!(out.text(), @"");
    let last = hub.github.pull(REPO, 2);
    assert_eq!((last.head_ref.as_str(), last.base_ref.as_str()), ("pertask/wiz/main", "main"));
    assert!(hub.github.file(REPO, "pertask/wiz/main", "other.txt").is_some());
    let merged = hub.github.git(REPO, ["merge-base", &moved, "pertask/wiz/main"]);
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
    insta::assert_snapshot!(out.text(), @"");
    // The person does as told, in a clone of their own.
    let dir = hub.clone();
    let git = |args: &[&str]| hub.sandbox.git_in(&dir, args);
    git(&["switch", "--quiet", "--detach", "origin/pertask/wiz/main"]);
    git(&["merge", "--quiet", "-X", "ours", "-m", "Bring main in", "origin/main"]);
    let url = hub.github.clone_url_as(REPO, &hub.token);
    git(&["push", "--quiet", &url, "HEAD:refs/heads/pertask/wiz/main"]);
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @"");
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
    insta::assert_snapshot!(out.text(), @"");
    assert_eq!(hub.github.pulls(REPO).len(), 1);
}

#[test]
fn changes_requested_on_the_last_pull_request_become_a_repair_task() {
    let hub = Hub::with(ONE, REPAIRING);
    hub.run(&["start", "wiz"]).code(0);
    hub.approve(1).code(0);
    let olive = hub.github.person("olive");
    olive
        .request_changes(REPO, 2, "Say it louder.", &[Remark::line("one.txt", 1, "Here.")])
        .unwrap();
    let out = hub.run(&["continue", "wiz"]).code(0);
    insta::assert_snapshot!(out.text(), @"");
    let repair = hub.github.pull(REPO, 3);
    assert_eq!(repair.base_ref, "pertask/wiz/main");
    assert_eq!(hub.states(), ["merged", "review"]);
    hub.approve(3).code(0);
    assert_eq!(hub.states(), ["merged", "merged"]);
    let text = hub.github.file(REPO, "pertask/wiz/main", "one.txt").unwrap();
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
    insta::assert_snapshot!(out.text(), @"");
    assert_eq!(hub.github.pull(REPO, 2).state, github::PullState::Closed);
    assert!(hub.github.tip(REPO, "pertask/wiz/2-two").is_some(), "branches are kept");
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
    insta::assert_snapshot!(out.text(), @"");
    assert_eq!(hub.refs(), before);
    assert_eq!(hub.github.count().changing, 0, "{:?}", hub.github.log());
    hub.github.person("olive").approve(REPO, 1, "").unwrap();
    hub.run_in(&other, &["continue"]).code(0);
    assert_eq!(hub.github.pulls(REPO).len(), 2);
    let status = hub.run_in(&other, &["status"]).code(0);
    insta::assert_snapshot!(status.out(), @"");
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
        assert_eq!(hub.github.charged(&hub.token).0, used, "a poll without news is free");
        hub.github.person("olive").approve(REPO, 1, "").unwrap();
        while hub.github.pulls(REPO).len() < 2 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        hub.github.person("olive").merge(REPO, 2, "squash").unwrap();
        let out = watching.join().unwrap().code(0);
        insta::assert_snapshot!(out.text(), @"");
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
        said.push_str(&format!("== {what}: exit {}\n{}", out.code, out.err()));
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
        h.sandbox.git(["push", "--quiet", &url, "HEAD:refs/heads/main"]);
        h.sandbox.git(["mv", ".pertask/old", ".pertask/wiz"]);
        h.sandbox.commit("Move it back");
    });
    insta::assert_snapshot!(said, @"");
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
        said.push_str(&format!("== {scopes}: exit {}\n{}", out.code, out.err()));
    }
    drop(hub);
    insta::assert_snapshot!(said, @"");
}

#[test]
fn a_renamed_repository_is_followed_and_said() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    hub.github.rename(REPO, "acme/gadgets");
    hub.github.person("olive").approve("acme/gadgets", 1, "").unwrap();
    let out = hub.run(&["continue"]).code(0);
    insta::assert_snapshot!(out.text(), @"");
    assert_eq!(hub.github.pulls("acme/gadgets").len(), 2);
}

#[test]
fn a_deleted_branch_is_put_back() {
    let hub = Hub::with(ONE, GOOD);
    hub.run(&["start", "wiz"]).code(0);
    let head = tip(&hub, "pertask/wiz/1-one");
    hub.github.person("olive").delete_branch(REPO, "pertask/wiz/1-one").unwrap();
    let out = hub.run(&["continue"]);
    insta::assert_snapshot!(out.text(), @"");
    let _ = (head, Permission::Write, GitHub::start, Sandbox::new);
}
