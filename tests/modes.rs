//! Which tasks a person is asked about, and batch or per-task mode.

mod support;

use std::fmt::Write as _;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, THREE, TWO};

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
    note: agents and checks run [CONFINED]
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

/// `count` independent tasks, with these settings of the plan and of the first task.
fn tasks(count: usize, plan: &str, first: &str) -> String {
    let mut text = format!("title = \"Tasks\"\n{plan}\n");
    for n in 1..=count {
        let more = if n == 1 { first } else { "" };
        let _ = write!(
            text,
            "[[task]]\nid = \"t{n}\"\ntitle = \"Task {n}\"\nfile = \"t{n}.txt\"\npurpose = \"p\"\n{more}\n"
        );
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
        let _ = write!(said, "{}\n  {mode}\n  {other}\n", what.join(", "));
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
#[expect(clippy::too_many_lines, reason = "whole outputs")]
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
    note: agents and checks run [CONFINED]
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
    [x] All tasks identified from plan.toml: 3 tasks in .pertask/wiz/plan.toml at
        [ID], all in the run
    [x] Tasks ordered by dependency: one, two, three
    [x] Each task spawned with a fresh agent: 2 processes started, each for one
        attempt
    [x] Each task includes context from prior tasks: 2 prompts looked at, each as
        its hash says
    [x] Each task validated (compile check): 3 checks hold; the plan names no build
    [x] implementation-log.md updated after each task:
        .pertask/wiz/implementation-log.md: 3 sections
    [x] All files created per file-placement.md: 3 of 3 files there
    [x] Handler registered: the plan asks for none
    [x] P0 requirements hold: the plan names no P0 rule
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
