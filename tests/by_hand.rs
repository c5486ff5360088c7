//! What people do with the branches by hand: commit, rewrite, delete, merge, check out.

mod support;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO};

/// A run whose task `one` waits for a review.
fn in_review() -> Sandbox {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    s
}

/// Runs a command that must change nothing and be refused.
#[track_caller]
fn refused(s: &Sandbox, args: &[&str]) -> String {
    let before = s.refs();
    let out = s.pertask(args).code(2);
    assert_eq!(s.refs(), before, "{args:?} changed something");
    assert_eq!(out.stdout, "", "{args:?}");
    format!("{}\n  {}", args.join(" "), out.err())
}

#[track_caller]
fn all_refused(s: &Sandbox, commands: &[&[&str]]) -> String {
    commands.iter().map(|args| refused(s, args)).collect()
}

/// Commits a change of a file on a branch, as a person does in a working tree of their own.
fn commit_on(s: &Sandbox, branch: &str, file: &str, text: &str) -> String {
    let dir = s.root().join("by-hand");
    let dir_text = dir.display().to_string();
    s.git(["worktree", "add", "--quiet", dir_text.as_str(), branch]);
    support::write(&dir.join(file), text);
    s.git_in(&dir, ["add", "--all"]);
    s.git_in(&dir, ["commit", "--quiet", "-m", "By hand"]);
    s.git(["worktree", "remove", dir_text.as_str()]);
    s.oid(branch)
}

#[test]
fn a_persons_commit_is_checked_and_needs_approval_on_that_head() {
    let s = in_review();
    let mine = commit_on(&s, "pertask/wiz/1-one", "one.txt", "by hand\n");
    assert_snapshot!(all_refused(&s, &[&["approve"]]), @"
    approve
      git-pertask: pertask/wiz/1-one has commits that are not checked yet; have them checked first: git pertask continue wiz
    ");
    assert_snapshot!(s.pertask(["continue"]).text(), @"
    exit 0
    --- stdout
    Task 1 of 2 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T] (2 attempts: [T])
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - a review of task 1 of 2, one (First file): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    Task 1 of 2, one (First file): Ada Example committed on its branch ([ID])
    Task 1 of 2, one (First file): checking a person's commit begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): attempt 2 passes its checks, waiting for a review
    ");
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert!(s.git_ok(["merge-base", "--is-ancestor", &mine, "pertask/wiz/1-one"]));
    s.pertask(["approve"]).code(0);
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "by hand");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn a_persons_commit_that_does_not_pass_is_theirs_to_mend() {
    let s = Sandbox::with(
        &TWO.replace(
            "purpose = \"The first of two\"",
            "purpose = \"The first of two\"\nmax_lines = 2",
        ),
        GOOD,
    );
    s.pertask(["start", "wiz"]).code(0);
    commit_on(&s, "pertask/wiz/1-one", "one.txt", "a\nb\nc\n");
    assert_snapshot!(s.pertask(["continue"]).code(1).text(), @"
    exit 1
    --- stdout
    Task 1 of 2 failed: one.txt

    - line limit: one.txt has 3 lines, 2 are allowed

    What does not hold
    - line limit: one.txt has 3 lines, 2 are allowed

    Created: + one.txt
    Lines:   3
    Spent:   [T] (2 attempts: [T])

    Next
      git pertask retry wiz one          try again, from where it stopped
      git pertask retry --fresh wiz one  try again, from the run branch
      git pertask revise wiz one -m …    say what to do differently, and try again
      git pertask skip wiz one -m …      leave it out, saying why
      git pertask abort wiz              end the run; every branch is kept

    Waiting for:
    - a decision on task 1 of 2, one (First file), which failed (line limit: one.txt has 3 lines, 2 are allowed): `git pertask retry wiz one`, `git pertask revise wiz one -m …` or `git pertask skip wiz one -m …`
    --- stderr
    Task 1 of 2, one (First file): Ada Example committed on its branch ([ID])
    Task 1 of 2, one (First file): checking a person's commit begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): the commit of Ada Example does not pass its checks
    ");
    assert_eq!(s.states("wiz"), "one=failed two=pending");
    // Nothing more is done about it, however often one asks.
    let before = s.refs();
    s.pertask(["continue"]).code(1);
    assert_eq!(s.refs(), before);
    let mended = commit_on(&s, "pertask/wiz/1-one", "one.txt", "a\nb\n");
    s.pertask(["continue"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert!(s.git_ok(["merge-base", "--is-ancestor", &mended, "pertask/wiz/1-one"]));
    s.pertask(["approve"]).code(0);
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "a\nb");
}

#[test]
fn an_agent_may_mend_a_persons_commit() {
    let s = in_review();
    let mine = commit_on(&s, "pertask/wiz/1-one", "mine.txt", "mine\n");
    let dir = s.root().join("by-hand");
    let dir_text = dir.display().to_string();
    s.git([
        "worktree",
        "add",
        "--quiet",
        dir_text.as_str(),
        "pertask/wiz/1-one",
    ]);
    s.git_in(&dir, ["rm", "--quiet", "one.txt"]);
    s.git_in(&dir, ["commit", "--quiet", "-m", "Without the file"]);
    s.git(["worktree", "remove", dir_text.as_str()]);
    s.pertask(["continue"]).code(1);
    s.pertask(["retry"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert_eq!(s.file_at("pertask/wiz/1-one", "mine.txt"), "mine");
    assert_eq!(s.file_at("pertask/wiz/1-one", "one.txt"), "one, attempt 3");
    assert!(s.git_ok(["merge-base", "--is-ancestor", &mine, "pertask/wiz/1-one"]));
}

#[test]
fn a_rewritten_branch_stops_the_run_with_a_way_out() {
    let s = in_review();
    let ours = s.oid("pertask/wiz/1-one");
    let tree = s.oid("main^{tree}");
    let other = s.git(["commit-tree", &tree, "-m", "Rewritten"]);
    s.git(["update-ref", "refs/heads/pertask/wiz/1-one", &other]);
    let out = s.pertask(["continue"]).code(1);
    assert_snapshot!(out.text(), @"
    exit 1
    --- stdout
    Waiting for:
    - branch pertask/wiz/1-one, which was rewritten: it is at [ID], the run knows it at [ID]; put it back with `git branch --force pertask/wiz/1-one [OID]` (first `git branch <name> [OID]` to keep what is there), then `git pertask continue wiz`
    --- stderr
    ");
    refused(&s, &["approve"]);
    s.git(["branch", "--force", "pertask/wiz/1-one", &ours]);
    s.pertask(["continue"]).code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "one=merged two=review");
}

#[test]
fn a_deleted_or_stale_branch_is_put_back() {
    let s = in_review();
    let ours = s.oid("pertask/wiz/1-one");
    s.git(["branch", "-D", "--quiet", "pertask/wiz/1-one"]);
    s.pertask(["continue"]).code(0);
    assert_eq!(s.oid("pertask/wiz/1-one"), ours);
    s.git(["branch", "--force", "pertask/wiz/1-one", "main"]);
    s.pertask(["continue"]).code(0);
    assert_eq!(s.oid("pertask/wiz/1-one"), ours);
    s.git(["branch", "-D", "--quiet", "pertask/wiz/1-one"]);
    s.git(["branch", "-D", "--quiet", "pertask/wiz/main"]);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "one=merged two=review");
}

#[test]
fn a_merge_by_hand_counts_as_an_approval() {
    let s = in_review();
    let dir = s.root().join("by-hand");
    let dir_text = dir.display().to_string();
    s.git([
        "worktree",
        "add",
        "--quiet",
        dir_text.as_str(),
        "pertask/wiz/main",
    ]);
    s.git_in(
        &dir,
        [
            "merge",
            "--quiet",
            "--no-ff",
            "-m",
            "Merged by hand",
            "pertask/wiz/1-one",
        ],
    );
    s.git(["worktree", "remove", dir_text.as_str()]);
    let merged = s.oid("pertask/wiz/main");
    assert_snapshot!(s.pertask(["continue"]).err(), @"
    Ada Example committed on the run branch, merging one
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    ");
    assert_eq!(s.states("wiz"), "one=merged two=review");
    assert_eq!(s.oid("pertask/wiz/2-two^"), merged);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn a_branch_that_the_person_has_checked_out_is_left_where_it_is() {
    let s = in_review();
    s.git(["checkout", "--quiet", "pertask/wiz/1-one"]);
    s.write("note.txt", "uncommitted\n");
    let out = s.pertask(["revise", "-m", "again"]);
    assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    Task 1 of 2 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T] (2 attempts: [T])
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - a review of task 1 of 2, one (First file): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    Task 1 of 2, one (First file): changes requested by Ada Example
    Task 1 of 2, one (First file): attempt 2 begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): attempt 2 passes its checks, waiting for a review
    warning: pertask/wiz/1-one is checked out in [ROOT]/repo, so it stays at [ID]; once another branch is checked out there, `git pertask continue` moves it to [ID]
    ");
    // The working tree is as it was.
    assert_eq!(s.git(["status", "--porcelain"]), "?? note.txt");
    assert_eq!(s.read("one.txt"), "one, attempt 1\n");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.git(["status", "--porcelain"]), "?? note.txt");
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "one, attempt 2");
    s.git(["checkout", "--quiet", "main"]);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}
