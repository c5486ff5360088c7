//! What people decide: approve, revise, retry, skip, abort.

mod support;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, THREE, TWO};

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
