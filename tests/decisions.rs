//! What people decide: approve, revise, retry, skip, abort, and what they do with the branches by
//! hand; the mode and the checkpoint policies that say when they are asked.

mod support;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO};

/// Three tasks without dependencies, reviewed one by one.
const THREE: &str = r#"title = "Three files"

[[task]]
id = "one"
title = "First file"
file = "one.txt"
purpose = "The first"
risk = "high"

[[task]]
id = "two"
title = "Second file"
file = "two.txt"
purpose = "The second"

[[task]]
id = "three"
title = "Third file"
file = "three.txt"
purpose = "The third"
"#;

/// A run whose task `one` has failed.
fn failed() -> Sandbox {
    let s = Sandbox::with(TWO, "");
    s.config("limits = { attempts = 1 }");
    s.script("echo half > one.txt; exit 3");
    s.commit("One attempt");
    s.pertask(["start", "wiz"]).code(1);
    assert_eq!(s.states("wiz"), "one=failed two=pending");
    s
}

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

#[test]
fn approving_merges_and_starts_the_next() {
    let s = in_review();
    assert_snapshot!(s.pertask(["approve"]).text(), @"
    exit 0
    --- stdout
    Task 2 of 2 complete: two.txt

    Created: + two.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/2-two at [ID]

    Waiting for:
    - a review of task 2 of 2, two (Second file): read it with `git pertask show wiz two`, then `git pertask approve wiz two` or `git pertask revise wiz two -m …`
    --- stderr
    Task 1 of 2, one (First file): approved by Ada Example
    Task 1 of 2, one (First file): merged as [ID] (approved by Ada Example)
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    ");
    assert_snapshot!(s.pertask(["approve", "wiz", "two"]).text(), @"
    exit 0
    --- stdout
    Run wiz is complete: 2 of 2 tasks merged into pertask/wiz/main.
    Take it into your branch: git merge pertask/wiz/main
    --- stderr
    Task 2 of 2, two (Second file): approved by Ada Example
    Task 2 of 2, two (Second file): merged as [ID] (approved by Ada Example)
    Building the run branch for the gate
      ok test -d .pertask ([T])
    The gate holds: the run is complete
    ");
    assert_eq!(s.states("wiz"), "one=merged two=merged");
}

#[test]
fn a_revision_is_a_commit_on_top_with_the_feedback_in_its_prompt() {
    let s = Sandbox::with(
        TWO,
        &format!("grep -q 'use fewer words' && touch \"$PERTASK_OUTPUT_DIR/heard\"\n{GOOD}"),
    );
    s.pertask(["start", "wiz"]).code(0);
    let first = s.oid("pertask/wiz/1-one");
    assert_snapshot!(s.pertask(["revise", "-m", "use fewer words"]).text(), @"
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
    ");
    assert_eq!(s.oid("pertask/wiz/1-one^"), first);
    assert_eq!(s.file_at("pertask/wiz/1-one", "one.txt"), "one, attempt 2");
    assert!(
        s.files_at("refs/pertask/runs/wiz")
            .contains("attempts/1-one/2/output/heard"),
        "{}",
        s.files_at("refs/pertask/runs/wiz")
    );
    assert!(
        !s.files_at("refs/pertask/runs/wiz")
            .contains("attempts/1-one/1/output/heard")
    );
    s.pertask(["approve"]).code(0);
    assert_snapshot!(
        s.file_at("pertask/wiz/2-two", ".pertask/wiz/implementation-log.md")
            .split("## Task 2")
            .next()
            .map(|t| s.tidy(t))
            .unwrap_or_default(),
        @"
    # Implementation log: Two files

    Run wiz of plan wiz, one agent per task (high-risk implementation: one), from main at [ID], started [TIME] by Ada Example. Written by `git pertask` from the run's ledger at every task; edits made here are lost.

    ## Task 1: First file (one.txt)
    - Status: Complete
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: 1
    - Build: SUCCESS
    - Agent: mine (task-1)
    - Skills invoked: none named

    ### Files Created
    - one.txt

    ### API Methods Implemented
    - None

    ### Review Notes
    - Review by Ada Example, [TIME]: asked for changes to [ID]: use fewer words
    - Review by Ada Example, [TIME]: approved [ID]

    ### Earlier attempts
    - Attempt 1 (first, mine): passed
    "
    );
}

#[test]
fn a_failed_task_is_tried_again_from_where_it_stopped() {
    let s = failed();
    assert_eq!(s.file_at("pertask/wiz/kept/1-one-1", "one.txt"), "half");
    s.script(&format!(
        "grep -q half one.txt && touch \"$PERTASK_OUTPUT_DIR/continued\"\n{GOOD}"
    ));
    s.pertask(["retry"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert!(
        s.files_at("refs/pertask/runs/wiz")
            .contains("1-one/2/output/continued")
    );
    assert_eq!(s.oid("pertask/wiz/1-one^"), s.oid("pertask/wiz/main"));
}

#[test]
fn a_fresh_retry_starts_from_the_run_branch() {
    let s = failed();
    s.script(&format!("test ! -e one.txt || exit 1\n{GOOD}"));
    s.pertask(["retry", "--fresh", "wiz", "one"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
}

#[test]
fn a_failed_task_may_be_revised_with_words() {
    let s = failed();
    s.script(&format!("grep -q 'try harder' || exit 1\n{GOOD}"));
    s.pertask(["revise", "-m", "try harder"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
}

#[test]
fn a_skipped_task_lets_its_dependents_start_and_is_an_exception_of_the_gate() {
    let s = failed();
    s.script(GOOD);
    assert_snapshot!(s.pertask(["skip", "-m", "not needed any more"]).text(), @"
    exit 0
    --- stdout
    Task 2 of 2 complete: two.txt

    Created: + two.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/2-two at [ID]

    Waiting for:
    - a review of task 2 of 2, two (Second file): read it with `git pertask show wiz two`, then `git pertask approve wiz two` or `git pertask revise wiz two -m …`
    --- stderr
    Task 1 of 2, one (First file): left out by Ada Example: not needed any more
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a review
    ");
    assert_eq!(s.states("wiz"), "one=skipped two=review");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
    let status = s.pertask(["status", "wiz"]).code(0);
    let line = status.stdout.split("[x] All files").nth(1).unwrap_or("");
    assert_snapshot!(line.split("[x]").next().unwrap_or(""), @"
    created per file-placement.md: 1 of 2 files there; exception:
       one.txt left out by Ada Example (not needed any more)
    ");
}

#[test]
fn aborting_keeps_every_branch() {
    let s = failed();
    let branches = s.branches();
    assert_snapshot!(s.pertask(["abort"]).text(), @"
    exit 0
    --- stdout
    Ended by Ada Example before all was done; every branch is kept
    --- stderr
    ");
    assert_eq!(s.branches(), branches);
    assert_eq!(s.status("wiz")["state"], "aborted");
    assert_snapshot!(s.pertask(["continue", "wiz"]).text(), @"
    exit 0
    --- stdout
    Run wiz was ended by Ada Example; every branch is kept. Start anew: git pertask start wiz
    --- stderr
    ");
    assert_snapshot!(
        all_refused(
            &s,
            &[
                &["approve", "wiz"],
                &["revise", "wiz", "-m", "x"],
                &["retry", "wiz"],
                &["skip", "wiz", "-m", "x"],
                &["abort", "wiz"],
                &["abort"],
                &["approve"],
            ]
        ),
        @"
    approve wiz
      git-pertask: run wiz has ended; start anew: git pertask start wiz
    revise wiz -m x
      git-pertask: run wiz has ended; start anew: git pertask start wiz
    retry wiz
      git-pertask: run wiz has ended; start anew: git pertask start wiz
    skip wiz -m x
      git-pertask: run wiz has ended; start anew: git pertask start wiz
    abort wiz
      git-pertask: run wiz has ended already
    abort
      git-pertask: no run is unfinished; name one of these: wiz
    approve
      git-pertask: no run is unfinished; name one of these: wiz
    "
    );
}

#[test]
fn what_is_not_possible_in_review_is_refused() {
    let s = in_review();
    assert_snapshot!(
        all_refused(
            &s,
            &[
                &["retry"],
                &["retry", "wiz", "one"],
                &["retry", "wiz", "two"],
                &["approve", "wiz", "two"],
                &["revise", "wiz", "two", "-m", "x"],
                &["revise"],
                &["revise", "-m", "  "],
                &["skip", "-m", " "],
                &["approve", "wiz", "three"],
                &["approve", "nothing"],
                &["approve", "nothing", "one"],
                &["abort", "nothing"],
            ]
        ),
        @r#"
    retry
      git-pertask: no task of run wiz is failed or blocked; `git pertask status wiz` says where it stands
    retry wiz one
      git-pertask: task 1 of 2, one (First file) is neither failed nor blocked; `git pertask status wiz` says where it stands
    retry wiz two
      git-pertask: task 2 of 2, two (Second file) is neither failed nor blocked; `git pertask status wiz` says where it stands
    approve wiz two
      git-pertask: task 2 of 2, two (Second file) cannot be approved: it has not been attempted yet
    revise wiz two -m x
      git-pertask: task 2 of 2, two (Second file) cannot be revised: it has not been attempted yet
    revise
      git-pertask: say what should change: git pertask revise wiz one -m "…"
    revise -m   
      git-pertask: nothing was said, so nothing is changed
    skip -m  
      git-pertask: say why it is left out: git pertask skip wiz one -m "…"
    approve wiz three
      git-pertask: run wiz has no task named three; its tasks are one, two
    approve nothing
      git-pertask: run wiz has no task named nothing; its tasks are one, two
    approve nothing one
      git-pertask: there is no run named nothing; there are: wiz
    abort nothing
      git-pertask: there is no run named nothing; there are: wiz
    "#
    );
}

#[test]
fn what_is_not_possible_with_a_failed_task_is_refused() {
    let s = failed();
    assert_snapshot!(
        all_refused(&s, &[&["approve"], &["approve", "wiz", "one"]]),
        @"
    approve
      git-pertask: no task of run wiz waits for a review; `git pertask status wiz` says where it stands
    approve wiz one
      git-pertask: task 1 of 2, one (First file) cannot be approved: its checks do not pass; try again with `git pertask retry wiz one`, say what to change with `git pertask revise wiz one -m …`, or leave it out with `git pertask skip wiz one -m …`
    "
    );
}

#[test]
fn what_is_merged_or_left_out_stays_so() {
    let s = in_review();
    s.pertask(["approve"]).code(0);
    s.pertask(["skip", "-m", "enough"]).code(0);
    // Ended now; start one that is not.
    s.script(GOOD);
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz-2"), "one=merged two=review");
    assert_snapshot!(
        all_refused(
            &s,
            &[
                &["approve", "one"],
                &["revise", "one", "-m", "x"],
                &["retry", "one"],
                &["skip", "one", "-m", "x"],
            ]
        ),
        @"
    approve one
      git-pertask: task 1 of 2, one (First file) cannot be approved: it is merged already
    revise one -m x
      git-pertask: task 1 of 2, one (First file) cannot be revised: it is merged already
    retry one
      git-pertask: task 1 of 2, one (First file) is neither failed nor blocked; `git pertask status wiz-2` says where it stands
    skip one -m x
      git-pertask: task 1 of 2, one (First file) is merged already
    "
    );
}

#[test]
fn bad_usage_of_decisions() {
    let s = in_review();
    for args in [
        &["skip"][..],
        &["revise", "-m"],
        &["approve", "-m", "x"],
        &["frobnicate"],
        &[],
    ] {
        let before = s.refs();
        let out = s.pertask(args).code(2);
        assert_eq!(out.stdout, "", "{args:?}");
        assert!(out.stderr.contains("--help"), "{}", out.text());
        assert_eq!(s.refs(), before);
    }
}

#[test]
fn a_run_or_a_task_or_both_or_none_may_be_named() {
    for args in [
        &["approve"][..],
        &["approve", "wiz"],
        &["approve", "one"],
        &["approve", "wiz", "one"],
    ] {
        let s = in_review();
        s.pertask(args).code(0);
        assert_eq!(s.states("wiz"), "one=merged two=review", "{args:?}");
    }
}

#[test]
fn with_several_unfinished_runs_one_must_be_named() {
    let s = in_review();
    s.write(".pertask/orca/plan.toml", TWO);
    s.commit("Another plan");
    assert_snapshot!(all_refused(&s, &[&["approve", "orca"]]), @"
    approve orca
      git-pertask: run wiz has no task named orca; its tasks are one, two
    ");
    s.pertask(["start", "orca"]).code(0);
    assert_snapshot!(
        all_refused(
            &s,
            &[
                &["approve"],
                &["approve", "one"],
                &["revise", "-m", "x"],
                &["skip", "-m", "x"],
                &["retry"],
                &["abort"],
                &["continue"],
                &["status"],
                &["show"],
                &["log"],
            ]
        ),
        @"
    approve
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    approve one
      git-pertask: there is no run named one; there are: orca, wiz
    revise -m x
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    skip -m x
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    retry
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    abort
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    continue
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    status
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    show
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    log
      git-pertask: several runs are unfinished, name one of them: orca, wiz
    "
    );
    s.pertask(["approve", "orca"]).code(0);
    assert_eq!(s.states("orca"), "one=merged two=review");
    assert_eq!(s.states("wiz"), "one=review two=pending");
    s.pertask(["approve", "wiz", "one"]).code(0);
    assert_eq!(s.states("wiz"), "one=merged two=review");
}

#[test]
fn without_a_run_there_is_nothing_to_decide() {
    let s = Sandbox::with(TWO, GOOD);
    assert_snapshot!(
        all_refused(&s, &[&["approve"], &["approve", "wiz"], &["continue"], &["status"], &["log", "wiz"], &["abort"]]),
        @"
    approve
      git-pertask: there is no run yet; start one: git pertask start <plan>
    approve wiz
      git-pertask: there is no run named wiz; start one: git pertask start wiz
    continue
      git-pertask: there is no run yet; start one: git pertask start <plan>
    status
      git-pertask: there is no run yet; start one: git pertask start <plan>
    log wiz
      git-pertask: there is no run named wiz; start one: git pertask start wiz
    abort
      git-pertask: there is no run yet; start one: git pertask start <plan>
    "
    );
}

#[test]
fn several_reviews_at_once_are_told_apart() {
    let s = Sandbox::with(THREE, GOOD);
    s.pertask(["start", "wiz", "--jobs", "3"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=review three=review");
    assert_snapshot!(all_refused(&s, &[&["approve"], &["revise", "wiz", "-m", "x"], &["skip", "-m", "x"]]), @"
    approve
      git-pertask: several tasks of run wiz: name one that waits for a review: one, two, three
    revise wiz -m x
      git-pertask: several tasks of run wiz: name one that waits for a person: one, two, three
    skip -m x
      git-pertask: several tasks of run wiz: name one that waits for a person: one, two, three
    ");
    // In any order; what comes later is brought forward, and its approval carries over.
    s.pertask(["approve", "three"]).code(0);
    s.pertask(["approve", "one"]).code(0);
    s.pertask(["approve", "two"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
    let files = s.files_at("pertask/wiz/main");
    assert!(files.contains("one.txt\nthree.txt\ntwo.txt"), "{files}");
    let log = s.file_at("pertask/wiz/main", ".pertask/wiz/implementation-log.md");
    let sections: Vec<_> = log.lines().filter(|l| l.starts_with("## ")).collect();
    assert_snapshot!(sections.join("\n"), @"
    ## Task 1: First file (one.txt)
    ## Task 2: Second file (two.txt)
    ## Task 3: Third file (three.txt)
    ");
}

#[test]
fn an_attempt_may_not_decide_about_itself() {
    let mut s = in_review();
    s.set("PERTASK_ATTEMPT", "1");
    assert_snapshot!(refused(&s, &["approve"]), @"
    approve
      git-pertask: this is an attempt of a run (PERTASK_ATTEMPT is set): commands that change something are for people, outside of it
    ");
    for args in [
        &["init"][..],
        &["start", "wiz"],
        &["continue"],
        &["revise", "-m", "x"],
        &["retry"],
        &["skip", "-m", "x"],
        &["abort"],
    ] {
        refused(&s, args);
    }
    for args in [&["status"][..], &["show"], &["log"], &["plan", "wiz"]] {
        s.pertask(args).code(0);
    }
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

#[test]
fn the_question_of_an_agent_is_answered_by_revise() {
    let s = Sandbox::with(
        TWO,
        &format!(
            "prompt=$(cat)\ncase $prompt in *'tabs, please'*) :;; *) printf '{{\"status\":\"needs_clarification\",\"question\":\"Tabs or spaces?\"}}' > \"$PERTASK_HANDOFF_FILE\"; exit 0;; esac\n{GOOD}"
        ),
    );
    let out = s.pertask(["start", "wiz"]).code(1);
    assert_snapshot!(out.out(), @"
    Task 1 of 2 has a question: one.txt

    The agent asks
      Tabs or spaces?

    What does not hold
    - files: one.txt is not there
        one.txt is not there

    Spent:   [T]

    Next
      git pertask revise wiz one -m …    answer the question, and go on
      git pertask retry wiz one          try again, from where it stopped
      git pertask retry --fresh wiz one  try again, from the run branch
      git pertask skip wiz one -m …      leave it out, saying why
      git pertask abort wiz              end the run; every branch is kept

    Waiting for:
    - an answer to the agent's question on task 1 of 2, one (First file), “Tabs or spaces?”: `git pertask revise wiz one -m …`
    ");
    assert_eq!(s.status("wiz")["tasks"][0]["question"], "Tabs or spaces?");
    assert_eq!(s.states("wiz"), "one=blocked two=pending");
    assert_snapshot!(all_refused(&s, &[&["approve"], &["approve", "one"]]), @"
    approve
      git-pertask: no task of run wiz waits for a review; `git pertask status wiz` says where it stands
    approve one
      git-pertask: task 1 of 2, one (First file) cannot be approved: it is blocked; answer with `git pertask revise wiz one -m …`
    ");
    s.pertask(["revise", "-m", "tabs, please"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
}

// ---- checkpoint policies

#[test]
fn every_task_is_a_checkpoint_unless_told_otherwise() {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz", "--checkpoint", "every"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
}

#[test]
fn with_high_risk_only_what_is_risky_is_reviewed() {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz", "--checkpoint", "high-risk"])
        .code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    let out = s.pertask(["approve"]).code(0);
    assert!(out.stdout.contains("is complete"), "{}", out.text());
    assert_snapshot!(
        s.git(["log", "--format=%(trailers:key=Pertask-Task,key=Pertask-Review,unfold,separator=%x20)", "main..pertask/wiz/main"]),
        @"
    Pertask-Task: two Pertask-Review: policy: checkpoint high-risk, and this task is not
    Pertask-Task: one Pertask-Review: approved by Ada Example <ada@example.com>
    "
    );
}

#[test]
fn with_none_nobody_is_asked_and_that_is_on_record() {
    let s = Sandbox::with(TWO, GOOD);
    s.config("checkpoint = \"none\"");
    s.commit("No checkpoints");
    let out = s.pertask(["start", "wiz"]).code(0);
    assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    Run wiz is complete: 2 of 2 tasks merged into pertask/wiz/main.
    Take it into your branch: git merge pertask/wiz/main
    --- stderr
    Run wiz: 2 tasks in per-task mode (high-risk implementation: one), from [ID]
    note: agents and checks run unconfined (this version cannot confine them yet): they can read and change whatever you can, beyond their workspace
    Building the base, so that old breakage is not blamed on an agent
      ok test -d .pertask ([T])
    The base builds
    Task 1 of 2, one (First file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): attempt 1 passes its checks, approved by policy
    Task 1 of 2, one (First file): merged as [ID] (policy: checkpoint none)
    Task 2 of 2, two (Second file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 2 of 2, two (Second file): attempt 1 passes its checks, approved by policy
    Task 2 of 2, two (Second file): merged as [ID] (policy: checkpoint none)
    Building the run branch for the gate
      ok test -d .pertask ([T])
    The gate holds: the run is complete
    ");
    let log = s.pertask(["log", "wiz"]).code(0);
    assert_eq!(
        log.stdout.matches("approved by\n    policy").count(),
        2,
        "{}",
        log.text()
    );
}

#[test]
fn an_agent_that_asks_for_a_review_gets_one_under_every_policy() {
    for policy in ["every", "high-risk", "none"] {
        let s = Sandbox::with(
            &TWO.replace("risk = \"high\"\n", "complex_data = true\n"),
            &GOOD.replace("\"complete\"", "\"needs_review\""),
        );
        s.pertask(["start", "wiz", "--checkpoint", policy]).code(0);
        assert_eq!(s.states("wiz"), "one=review two=pending", "{policy}");
    }
}

#[test]
fn who_asked_for_changes_sees_them_even_when_the_revision_took_two_attempts() {
    let s = Sandbox::with(
        &TWO.replace("risk = \"high\"\n", "complex_data = true\n"),
        &GOOD.replace("\"complete\"", "\"needs_review\""),
    );
    s.pertask(["start", "wiz", "--checkpoint", "none"]).code(0);
    // The revision fails once, then passes.
    s.script(&format!("test $PERTASK_ATTEMPT = 2 && exit 1\n{GOOD}"));
    s.pertask(["revise", "-m", "once more"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert_eq!(s.status("wiz")["tasks"][0]["attempts"], 3);
}

// ---- mode

/// `count` independent tasks, with these settings of the plan and of the first task.
fn tasks(count: usize, plan: &str, first: &str) -> String {
    let mut text = format!("title = \"Tasks\"\n{plan}\n");
    for n in 1..=count {
        let more = if n == 1 { first } else { "" };
        text.push_str(&format!(
            "[[task]]\nid = \"t{n}\"\ntitle = \"Task {n}\"\nfile = \"t{n}.txt\"\npurpose = \"p\"\n{more}\n"
        ));
    }
    text
}

#[test]
fn each_row_of_the_table_decides_and_is_named() {
    let s = Sandbox::with(TWO, GOOD);
    let mut said = String::new();
    for (count, plan, first) in [
        (3, "", ""),
        (4, "", ""),
        (1, "", "risk = \"high\""),
        (1, "", "complex_data = true"),
        (1, "new_patterns = true", ""),
        (4, "time_constrained = true", ""),
        (1, "time_constrained = true", ""),
        // Several rows fit.
        (4, "time_constrained = true\nnew_patterns = true", ""),
        (4, "time_constrained = true", "risk = \"high\""),
        (4, "time_constrained = true", "complex_data = true"),
    ] {
        s.plan(&tasks(count, plan, first));
        s.commit("Another plan");
        let out = s.pertask(["plan", "wiz"]).code(0);
        let mode = out
            .stdout
            .lines()
            .find(|l| l.starts_with("Mode:"))
            .unwrap_or("");
        let forced = if mode.contains("batch") {
            "per-task"
        } else {
            "batch"
        };
        let out = s.pertask(["plan", "wiz", "--mode", forced]).code(0);
        let other = out
            .stdout
            .lines()
            .find(|l| l.starts_with("Mode:"))
            .unwrap_or("");
        let what = [
            format!("{count} tasks"),
            plan.replace('\n', ", "),
            first.to_owned(),
        ];
        let what: Vec<_> = what.into_iter().filter(|w| !w.is_empty()).collect();
        said.push_str(&format!("{}\n  {mode}\n  {other}\n", what.join(", ")));
    }
    assert_snapshot!(said, @r#"
    3 tasks
      Mode:   batch (1-3 implementation tasks: 3)
      Mode:   per-task (asked for with --mode)
    4 tasks
      Mode:   per-task (4+ implementation tasks: 4)
      Mode:   batch (asked for with --mode)
    1 tasks, risk = "high"
      Mode:   per-task (high-risk implementation: t1)
      Mode:   batch (asked for with --mode)
    1 tasks, complex_data = true
      Mode:   per-task (complex data transformations: t1)
      Mode:   batch (asked for with --mode)
    1 tasks, new_patterns = true
      Mode:   per-task (learning new patterns)
      Mode:   batch (asked for with --mode)
    4 tasks, time_constrained = true
      Mode:   batch (time-constrained session)
      Mode:   per-task (asked for with --mode)
    1 tasks, time_constrained = true
      Mode:   batch (time-constrained session)
      Mode:   per-task (asked for with --mode)
    4 tasks, time_constrained = true, new_patterns = true
      Mode:   per-task (learning new patterns)
      Mode:   batch (asked for with --mode)
    4 tasks, time_constrained = true, risk = "high"
      Mode:   per-task (high-risk implementation: t1)
      Mode:   batch (asked for with --mode)
    4 tasks, time_constrained = true, complex_data = true
      Mode:   per-task (complex data transformations: t1)
      Mode:   batch (asked for with --mode)
    "#);
}

/// One agent that writes the files of all tasks of [`THREE`].
const BATCH: &str = r#"
cat > "$PERTASK_OUTPUT_DIR/prompt"
echo "$PERTASK_TASK" > "$PERTASK_OUTPUT_DIR/task"
for t in one two three; do echo "$t, attempt $PERTASK_ATTEMPT" > $t.txt; done
echo '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;

#[test]
fn a_batch_is_one_agent_one_branch_one_review() {
    let s = Sandbox::with(THREE, BATCH);
    assert_snapshot!(s.pertask(["start", "wiz", "--mode", "batch"]).text(), @"
    exit 0
    --- stdout
    All 3 tasks complete: Three files

    Created: + one.txt
             + three.txt
             + two.txt
    Lines:   one 1, two 1, three 1
    Build:   NONE
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/batch at [ID]

    Waiting for:
    - a review of all 3 tasks: read it with `git pertask show wiz batch`, then `git pertask approve wiz batch` or `git pertask revise wiz batch -m …`
    --- stderr
    Run wiz: 3 tasks in batch mode (asked for with --mode), from [ID]
    note: agents and checks run unconfined (this version cannot confine them yet): they can read and change whatever you can, beyond their workspace
    No build to try on the base
    All 3 tasks: attempt 1 begins
    All 3 tasks: attempt 1 passes its checks, waiting for a review
    ");
    assert_eq!(s.states("wiz"), "one=review two=review three=review");
    assert_snapshot!(s.branches(), @"
    main
    pertask/wiz/batch
    pertask/wiz/main
    ");
    assert_eq!(
        s.file_at("refs/pertask/runs/wiz", "attempts/batch/1/output/task"),
        "batch"
    );
    assert_snapshot!(s.tidy(&s.git(["log", "-1", "--format=%B", "pertask/wiz/batch"])), @"
    [wiz 1-3/3] Three files

    Three files

    Pertask-Run: wiz
    Pertask-Task: one
    Pertask-Task: two
    Pertask-Task: three
    Pertask-Attempt: 1
    Pertask-Agent: mine
    Pertask-Prompt: [SHA256]
    Pertask-Build: none
    ");
    assert_snapshot!(s.tidy(&s.file_at("pertask/wiz/batch", ".pertask/wiz/implementation-log.md")), @"
    # Implementation log: Three files

    Run wiz of plan wiz, one agent for all tasks (asked for with --mode), from main at [ID], started [TIME] by Ada Example. Written by `git pertask` from the run's ledger at every task; edits made here are lost.

    ## Task 1: First file (one.txt)
    - Status: Complete
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: 1
    - Build: NONE
    - Agent: mine (task-1)
    - Skills invoked: none named

    ### Files Created
    - one.txt

    ### API Methods Implemented
    - Under the last task: one agent worked on all files

    ### Review Notes
    - None

    ## Task 2: Second file (two.txt)
    - Status: Complete
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: 1
    - Build: NONE
    - Agent: mine (task-2)
    - Skills invoked: none named

    ### Files Created
    - two.txt

    ### API Methods Implemented
    - Under the last task: one agent worked on all files

    ### Review Notes
    - None

    ## Task 3: Third file (three.txt)
    - Status: Complete
    - Started: [TIME]
    - Completed: [TIME]
    - Duration: [T]
    - Lines: 1
    - Build: NONE
    - Agent: mine (task-3)
    - Skills invoked: none named

    ### Files Created
    - three.txt

    ### API Methods Implemented
    - None

    ### Review Notes
    - None
    ");
    s.pertask(["revise", "-m", "again"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=review three=review");
    let out = s.pertask(["approve"]).code(0);
    assert_snapshot!(out.text(), @"
    exit 0
    --- stdout
    Run wiz is complete: 3 of 3 tasks merged into pertask/wiz/main.
    Take it into your branch: git merge pertask/wiz/main
    --- stderr
    All 3 tasks: approved by Ada Example
    All 3 tasks: merged as [ID] (approved by Ada Example)
    The gate holds: the run is complete
    ");
    assert_eq!(s.states("wiz"), "one=merged two=merged three=merged");
    assert_eq!(
        s.file_at("pertask/wiz/main", "three.txt"),
        "three, attempt 2"
    );
    assert_snapshot!(s.pertask(["status", "wiz"]).out(), @"
    Run wiz: Three files
    State    complete
    Mode     batch (asked for with --mode)
    Base     main at [ID]
    Branch   pertask/wiz/main at [ID]

    TASK  ID     TITLE        STATE   TRY  LINES  BUILD  TIME
    1/3   one    First file   merged    2      1  -        [T]
    2/3   two    Second file  merged    2      1  -        [T]
    3/3   three  Third file   merged    2      1  -        [T]

    Gate
    [x] All tasks identified: 3 tasks from .pertask/wiz/plan.toml, all in the run
    [x] Tasks ordered by dependency: one, two, three
    [x] Each task spawned with a fresh agent: 2 attempts, each a process of its own
    [x] Each task includes context from prior tasks: 2 prompts looked at
    [x] Each task validated: 0 builds run by the tool
    [x] implementation-log.md updated after each task:
        .pertask/wiz/implementation-log.md
    [x] All files created per file-placement.md: 3 of 3 files there
    [x] Handler registered: the plan asks for none
    [x] Final build succeeds: the plan names no build
    ");
}

#[test]
fn a_batch_is_decided_by_the_name_of_any_of_its_tasks() {
    for name in ["batch", "two"] {
        let s = Sandbox::with(THREE, BATCH);
        s.pertask(["start", "wiz", "--mode", "batch"]).code(0);
        s.pertask(["approve", "wiz", name]).code(0);
        assert_eq!(s.states("wiz"), "one=merged two=merged three=merged");
    }
}

#[test]
fn a_batch_that_lacks_one_file_fails_as_a_whole() {
    let s = Sandbox::with(THREE, &BATCH.replace("one two three", "one three"));
    let out = s.pertask(["start", "wiz", "--mode", "batch"]).code(1);
    assert_snapshot!(out.out(), @"
    All 3 tasks failed: Three files

    - files: two.txt is not there

    What does not hold
    - files: two.txt is not there
        two.txt is not there

    Created: + one.txt
             + three.txt
    Lines:   one 1, two none, three 1
    Spent:   [T] (3 attempts: [T])
    Kept on: pertask/wiz/kept/batch-3

    Next
      git pertask retry wiz batch          try again, from where it stopped
      git pertask retry --fresh wiz batch  try again, from the run branch
      git pertask revise wiz batch -m …    say what to do differently, and try again
      git pertask skip wiz batch -m …      leave it out, saying why
      git pertask abort wiz                end the run; every branch is kept

    Waiting for:
    - a decision on all 3 tasks, which failed (files: two.txt is not there): `git pertask retry wiz batch`, `git pertask revise wiz batch -m …` or `git pertask skip wiz batch -m …`
    ");
    assert_eq!(s.states("wiz"), "one=failed two=failed three=failed");
}
