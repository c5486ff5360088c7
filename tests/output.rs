//! What people and programs read: status, show, log, plan, help and streams.

mod support;

use insta::assert_snapshot;
use support::{FULL, GOOD, Sandbox, TWO};

fn in_review() -> Sandbox {
    let s = Sandbox::with(TWO, FULL);
    s.pertask(["start", "wiz"]).code(0);
    s
}

fn complete() -> Sandbox {
    let s = in_review();
    s.pertask(["approve"]).code(0);
    s.pertask(["approve"]).code(0);
    s
}

#[test]
fn status_for_people() {
    let s = in_review();
    assert_snapshot!(s.pertask(["status"]).text(), @"
    exit 0
    --- stdout
    Run wiz: Two files
    State    waiting
    Mode     per task (high-risk implementation: one)
    Base     main at [ID]
    Branch   pertask/wiz/main at [ID]

    TASK  ID   TITLE        STATE    TRY  LINES  BUILD    TIME
    1/2   one  First file   review     1      1  success    [T]
    2/2   two  Second file  pending    0      -  -           -

    Waiting for
    - a review of task 1 of 2, one (First file): read it with
      `git pertask show wiz one`, then `git pertask approve wiz one` or
      `git pertask revise wiz one -m …`
    --- stderr
    ");
    s.pertask(["abort"]).code(0);
    assert_snapshot!(s.pertask(["status", "wiz"]).text(), @"
    exit 0
    --- stdout
    Run wiz: Two files
    State    aborted
    Mode     per task (high-risk implementation: one)
    Base     main at [ID]
    Branch   pertask/wiz/main at [ID]

    TASK  ID   TITLE        STATE    TRY  LINES  BUILD    TIME
    1/2   one  First file   review     1      1  success    [T]
    2/2   two  Second file  pending    0      -  -           -
    --- stderr
    ");
    assert_snapshot!(s.pertask(["status", "wizz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: there is no run named wizz; there are: wiz
    ");
}

/// Fails unless `value` has at least what the command-line contract promises.
#[track_caller]
fn keeps_the_contract(value: &serde_json::Value) {
    assert_eq!(value["schema"], 1);
    for key in ["run", "plan", "state", "mode", "base", "run_branch"] {
        assert!(value[key].is_string(), "{key}: {value}");
    }
    let state = value["state"].as_str().unwrap_or("");
    assert!(
        ["running", "waiting", "failed", "complete", "aborted"].contains(&state),
        "{state}"
    );
    let waiting = value["waiting_for"].as_array().expect("a list");
    assert!(waiting.iter().all(serde_json::Value::is_string));
    let tasks = value["tasks"].as_array().expect("a list");
    for (task, n) in tasks.iter().zip(1..) {
        assert!(task["id"].is_string() && task["file"].is_string(), "{task}");
        assert_eq!(task["position"], n);
        assert_eq!(task["total"], tasks.len());
        let state = task["state"].as_str().unwrap_or("");
        assert!(
            [
                "pending", "running", "review", "approved", "merged", "failed", "blocked",
                "skipped"
            ]
            .contains(&state),
            "{state}"
        );
        assert!(task["attempts"].is_u64(), "{task}");
        for key in ["branch", "commit", "question"] {
            let is = task.get(key).expect(key);
            assert!(is.is_null() || is.is_string(), "{key}: {task}");
        }
        for key in ["lines", "duration_s", "cost_usd"] {
            let is = task.get(key).expect(key);
            assert!(is.is_null() || is.is_number(), "{key}: {task}");
        }
        let build = task["build"].as_str().unwrap_or("");
        assert!(["success", "failure", "none"].contains(&build), "{task}");
        assert!(task.get("pull_request").expect("a pull request").is_null());
    }
    for item in value["gate"].as_array().expect("a list") {
        assert!(
            item["item"].is_string() && item["holds"].is_boolean() && item["detail"].is_string(),
            "{item}"
        );
    }
}

#[test]
fn status_for_programs() {
    let s = in_review();
    let status = s.status("wiz");
    keeps_the_contract(&status);
    assert_eq!(status["state"], "waiting");
    assert_eq!(status["tasks"][0]["branch"], "pertask/wiz/1-one");
    assert_eq!(status["tasks"][0]["commit"], s.oid("pertask/wiz/1-one"));
    assert_eq!(status["tasks"][0]["lines"], 1);
    assert_eq!(status["tasks"][0]["build"], "success");
    assert_eq!(status["tasks"][1]["build"], "none");
    assert_eq!(status["mode"], "per-task");
    assert_eq!(status["base"], "main");
    assert_eq!(status["run_branch"], "pertask/wiz/main");
    s.script("exit 1");
    s.pertask(["approve"]).code(1);
    let status = s.status("wiz");
    keeps_the_contract(&status);
    assert_eq!(status["state"], "failed");
    s.script(GOOD);
    s.pertask(["retry"]).code(0);
    s.pertask(["approve"]).code(0);
    let status = s.status("wiz");
    keeps_the_contract(&status);
    assert_eq!(status["state"], "complete");
    assert_eq!(status["waiting_for"], serde_json::json!([]));
    assert_eq!(status["gate"].as_array().map(Vec::len), Some(10));
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["abort"]).code(0);
    let status = s.status("wiz-2");
    keeps_the_contract(&status);
    assert_eq!(status["state"], "aborted");
}

#[test]
fn show_says_everything_about_a_task() {
    let s = in_review();
    let out = s.pertask(["show"]).code(0);
    assert_eq!(out.stderr, "");
    let text = out.out();
    let (before, rest) = text.split_once("\nPrompt\n").expect("a prompt");
    let (prompt, change) = rest.split_once("\nChange\n").expect("a change");
    assert_snapshot!(before, @"
    Task 1 of 2, one (First file)
    File:   one.txt
    State:  review
    Branch: pertask/wiz/1-one at [ID]

    Decide with `git pertask approve wiz one` or `git pertask revise wiz one -m …`.

    Attempts
    - 1 (first, mine): passed, [TIME] in [T]
        commit [ID] on the task branch

    Files
      + one.txt (1 lines)

    Notes (the agent's words)
    - Names are short

    Skills (the agent's words)
    - developing-with-tdd
    - verifying-before-completion

    Checks
    - files: holds, one.txt ([T])
    - scope: holds, 1 file changed, all within the task ([T])
    - line limit: holds, one.txt has 1 line ([T])
    - test -d .pertask: holds, succeeded ([T])
    ");
    assert!(prompt.contains("task 1 of 2, First file"), "{prompt}");
    let change: Vec<_> = change
        .lines()
        .filter(|l| !l.starts_with("index "))
        .collect();
    assert_snapshot!(change[..4].join("\n"), @"
    diff --git a/.pertask/wiz/implementation-log.md b/.pertask/wiz/implementation-log.md
    new file mode 100644
    --- /dev/null
    +++ b/.pertask/wiz/implementation-log.md
    ");
    for args in [
        &["show", "one"][..],
        &["show", "wiz"],
        &["show", "wiz", "one"],
    ] {
        assert_eq!(s.pertask(args).code(0).stdout, out.stdout, "{args:?}");
    }
    assert_snapshot!(s.pertask(["show", "two"]).text(), @"
    exit 0
    --- stdout
    Task 2 of 2, two (Second file)
    File:   two.txt
    State:  pending
    --- stderr
    ");
    assert_snapshot!(s.pertask(["show", "three"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: run wiz has no task named three; its tasks are one, two
    ");
    s.pertask(["approve"]).code(0);
    let merged = s.pertask(["show", "one"]).code(0);
    assert!(
        merged.stdout.contains("+one, attempt 1"),
        "{}",
        merged.text()
    );
    s.pertask(["approve"]).code(0);
    // Nothing waits: the overview.
    let out = s.pertask(["show", "wiz"]).code(0);
    assert_eq!(out.stdout, s.pertask(["status", "wiz"]).code(0).stdout);
}

#[test]
fn log_tells_the_history_newest_first() {
    let s = complete();
    assert_snapshot!(s.pertask(["log", "wiz"]).text(), @"
    exit 0
    --- stdout
    [ID]  [TIME]  Ada Example
        The gate holds: the run is complete

    [ID]  [TIME]  Ada Example
        Task 2 of 2, two (Second file): merged as [ID] (approved by Ada
        Example)

    [ID]  [TIME]  Ada Example
        Task 2 of 2, two (Second file): approved by Ada Example

    [ID]  [TIME]  Ada Example
        Task 2 of 2, two (Second file): attempt 1 passes its checks, waiting for a
        review

    [ID]  [TIME]  Ada Example
        Task 2 of 2, two (Second file): attempt 1 begins

    [ID]  [TIME]  Ada Example
        Task 1 of 2, one (First file): merged as [ID] (approved by Ada
        Example)

    [ID]  [TIME]  Ada Example
        Task 1 of 2, one (First file): approved by Ada Example

    [ID]  [TIME]  Ada Example
        Task 1 of 2, one (First file): attempt 1 passes its checks, waiting for a
        review

    [ID]  [TIME]  Ada Example
        Task 1 of 2, one (First file): attempt 1 begins

    [ID]  [TIME]  Ada Example
        The base builds

    [ID]  [TIME]  Ada Example
        Run wiz of plan wiz starts

          high-risk implementation: one
    --- stderr
    ");
    assert_snapshot!(s.pertask(["log"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: no run is unfinished; name one of these: wiz
    ");
}

#[test]
fn plan_shows_order_mode_and_reason_and_changes_nothing() {
    let s = Sandbox::with(TWO, GOOD);
    let before = support::everything_in(&s.root());
    assert_snapshot!(s.pertask(["plan", "wiz"]).text(), @"
    exit 0
    --- stdout
    Two files (wiz)
    Mode:   per-task (high-risk implementation: one)
    Base:   main at [ID]
    Tasks:  from .pertask/wiz/plan.toml
    Build:  test -d .pertask (in the root)

    1. one  First file, high risk
       one.txt
       agent mine

    2. two  Second file
       two.txt
       after one
       agent mine

    Found in the documents
    - .pertask/wiz/plan.toml:4: task one
    - .pertask/wiz/plan.toml:11: task two
    --- stderr
    ");
    assert_snapshot!(s.pertask(["start", "wiz", "--dry-run"]).out().lines().last().unwrap_or(""), @"This would start the run wiz.");
    let out = s.pertask(["plan", "wiz", "--prompts"]).code(0);
    let prompts: Vec<_> = out
        .stdout
        .lines()
        .filter(|l| l.starts_with("---"))
        .collect();
    assert_eq!(prompts, ["--- prompt of one ---", "--- prompt of two ---"]);
    assert_snapshot!(out.out().split("--- prompt of two ---").nth(1).unwrap_or("").trim(), @r#"
    # Two files: task 2 of 2, Second file

    You implement one task of a larger job. Other tasks are not yours.

    ## Context from prior tasks

    - Task 1, First file: one.txt (completed)

    The files of completed tasks are in your working directory. Read them where you need more than
    this.

    ## Input files

    - one.txt: from a prior task

    ## This task

    - File to create or change: two.txt
    - Purpose: The second of two

    ### Dependencies

    - This file uses one.txt (First file).

    ### What you may touch

    - two.txt
    - two_test.txt

    A change anywhere else fails the task.

    ### Success criteria

    - Builds: `test -d .pertask`

    OUTPUT_DIRECTORY: $PERTASK_OUTPUT_DIR

    Reports and notes go there; they are kept with the job, outside the code.

    ## How to end

    End with one JSON object: write it to the file that `$PERTASK_HANDOFF_FILE` names, or print it as
    the last JSON of your output.

    ```json
    {
      "agent": "the name you go by",
      "status": "complete",
      "task": "Task 2 of 2: Second file",
      "file_created": "two.txt",
      "lines": 0,
      "skills_invoked": [],
      "review_notes": ["what a reviewer should look at"],
      "handoff": { "next_task": null, "context": "what the next task must know" }
    }
    ```

    `status` is one of:

    - `complete`: everything under success criteria holds.
    - `needs_review`: done, and a person should look at a point you name in `review_notes`.
    - `needs_clarification`: you cannot decide something; ask it in `question`.
    - `blocked`: you cannot go on; say why in `blocked_reason` and what you tried in the list `attempted`.

    What you state is compared with the files: they are looked for, their lines counted, the build and
    all checks run again. An honest `blocked` costs less than a false `complete`. Do not commit, push or
    switch branches; the files as you leave them are what counts.
    "#);
    let out = s
        .pertask(["plan", "wiz", "--prompts", "--mode", "batch"])
        .code(0);
    assert!(
        out.stdout.contains("--- prompt of batch ---"),
        "{}",
        out.text()
    );
    assert!(support::everything_in(&s.root()) == before);
}

#[test]
fn the_prompt_that_was_shown_is_the_one_that_is_given() {
    let s = Sandbox::with(
        TWO,
        &GOOD.replace("/dev/null", "\"$PERTASK_OUTPUT_DIR/stdin\""),
    );
    let shown = s.pertask(["plan", "wiz", "--prompts"]).code(0).stdout;
    let shown = shown
        .split("--- prompt of one ---\n\n")
        .nth(1)
        .and_then(|t| t.split("\n\n--- prompt of two").next())
        .unwrap_or("")
        .to_owned();
    s.pertask(["start", "wiz"]).code(0);
    let given = s.file_at("refs/pertask/runs/wiz", "attempts/1-one/1/output/stdin");
    assert_eq!(given.trim_end(), shown.trim_end());
}

#[test]
fn help_is_an_answer() {
    let s = Sandbox::empty();
    let top = s.pertask(["--help"]).code(0);
    assert_eq!(top.stderr, "");
    assert!(
        top.stdout
            .contains("Exit codes: 0 all that can be done now is done")
    );
    let listed = top
        .stdout
        .split("Commands:")
        .nth(1)
        .and_then(|t| t.split("Options:").next());
    let commands: Vec<_> = listed
        .unwrap_or("")
        .lines()
        .filter_map(|l| l.strip_prefix("  ")?.split(' ').next())
        .filter(|c| !c.is_empty() && *c != "help")
        .collect();
    for command in [
        "init", "plan", "start", "continue", "status", "show", "approve", "revise", "retry",
        "skip", "abort", "log", "demo",
    ] {
        assert!(
            commands.contains(&command),
            "{command} is not in {commands:?}"
        );
    }
    for command in commands {
        let out = s.pertask([command, "--help"]).code(0);
        assert_eq!(out.stderr, "", "{command}");
        let usage = format!("Usage: git pertask {command}");
        assert!(out.stdout.contains(&usage), "{command}: {}", out.stdout);
        assert_eq!(s.pertask(["help", command]).code(0).stdout, out.stdout);
    }
    assert_snapshot!(s.pertask(["revise", "--help"]).out(), @"
    Request changes, or answer an agent's question

    Usage: git pertask revise [OPTIONS] [RUN] [TASK]

    Arguments:
      [RUN]   Name of the run, or of a task when only one run is unfinished
      [TASK]  Name of the task; may be left out when only one waits

    Options:
          --jobs <N>        How many attempts may run at the same time [default: 1]
          --yes             Ask nothing: stop at a checkpoint as without a terminal
          --watch           Stay and carry on as reviews come in
      -m, --message <TEXT>  What to change, or the answer; else an editor opens
      -h, --help            Print help
    ");
    assert_snapshot!(s.pertask(["skip", "--help"]).out(), @"
    Leave a task out

    Usage: git pertask skip [OPTIONS] --message <WHY> [RUN] [TASK]

    Arguments:
      [RUN]   Name of the run, or of a task when only one run is unfinished
      [TASK]  Name of the task; may be left out when only one waits

    Options:
          --jobs <N>       How many attempts may run at the same time [default: 1]
          --yes            Ask nothing: stop at a checkpoint as without a terminal
          --watch          Stay and carry on as reviews come in
      -m, --message <WHY>  Why it is left out
      -h, --help           Print help
    ");
    let out = s.pertask(["--version"]).code(0);
    assert_eq!(
        out.stdout,
        format!("git-pertask {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn git_finds_the_program_as_a_subcommand() {
    let mut s = in_review();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_git-pertask"));
    let path = std::env::var("PATH").unwrap_or_default();
    s.set(
        "PATH",
        format!("{}:{path}", program.parent().expect("a folder").display()),
    );
    let out = s.git(["pertask", "status", "wiz"]);
    assert!(out.starts_with("Run wiz: Two files"), "{out}");
    // git sets variables of its own for subcommands, also from an alias.
    s.git(["config", "alias.pt", "!git pertask"]);
    let out = s.git(["pt", "approve"]);
    assert!(out.contains("Task 2 of 2 complete"), "{out}");
}

#[test]
fn what_an_agent_tells_the_next_one_is_in_its_prompt() {
    let s = in_review();
    s.pertask(["approve"]).code(0);
    let prompt = s.file_at("refs/pertask/runs/wiz", "attempts/2-two/1/prompt.md");
    let context = prompt.split("## Input files").next().unwrap_or("");
    assert_snapshot!(context.split("## Context").nth(1).unwrap_or("").trim(), @"
    from prior tasks

    - Task 1, First file: one.txt (completed, 1 lines)

    The files of completed tasks are in your working directory. Read them where you need more than
    this.
    ");
}

#[test]
fn no_colours_and_no_control_characters_without_a_terminal() {
    let s = Sandbox::with(TWO, FULL);
    let mut all = String::new();
    for args in [
        &["start", "wiz"][..],
        &["status"],
        &["show"],
        &["log"],
        &["plan", "wiz"],
        &["approve"],
    ] {
        let out = s.pertask(args).code(0);
        all.push_str(&out.stdout);
        all.push_str(&out.stderr);
    }
    assert!(
        !all.contains(|c: char| c.is_control() && c != '\n' && c != '\t'),
        "{all:?}"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_defect() {
    let s = complete();
    for command in [
        "status wiz",
        "status wiz --json",
        "show wiz one",
        "log wiz",
        "plan wiz --prompts",
        "--help",
    ] {
        let out = s.shell(&format!(
            "{{ git-pertask {command}; echo \"code $?\" >&2; }} | head -c 1 > /dev/null"
        ));
        assert_eq!(out.stderr, "code 0\n", "{command}");
        let out = s.shell(&format!(
            "{{ git-pertask {command}; echo \"code $?\" >&2; }} | true"
        ));
        assert_eq!(out.stderr, "code 0\n", "{command}");
    }
    // Nor one that was never there, on either stream.
    for command in [
        "status wiz",
        "log wiz",
        "status nothing",
        "frobnicate",
        "--help",
    ] {
        let out = s.shell(&format!("git-pertask {command} >&- 2>&-"));
        assert!([0, 2].contains(&out.code), "{command}: {}", out.text());
    }
    let out = s.shell("git-pertask start wiz >&- 2>&-");
    assert_eq!(out.code, 0);
    let out = s.shell("git-pertask approve 2>&1 | true; git-pertask approve | true");
    assert_eq!(out.code, 0);
    assert_eq!(s.status("wiz-2")["state"], "complete", "{}", out.text());
}

#[test]
fn a_full_disk_for_the_answer_is_told() {
    let s = in_review();
    let out = s.shell("git-pertask status > /dev/full");
    assert_snapshot!(out.text(), @"
    exit 75
    --- stdout
    --- stderr
    git-pertask: writing the answer to stdout: No space left on device (os error 28)
    ");
}

#[test]
fn a_lock_that_stays_is_temporary_and_named() {
    let s = in_review();
    let before = s.refs();
    // Held by us for as long as the file is open.
    let lock = s.repo.join(".git/refs/pertask/runs/wiz.lock");
    let held = std::fs::File::create(&lock).expect("a lock");
    let out = s.pertask(["approve"]);
    assert_snapshot!(out.text(), @"
    exit 75
    --- stdout
    --- stderr
    git-pertask: refs/pertask/runs/wiz is locked by another process ([ROOT]/repo/.git/refs/pertask/runs/wiz.lock); try again when it is done, or remove the file if no git program runs
    ");
    assert_eq!(s.refs(), before);
    drop(held);
    std::fs::remove_file(&lock).expect("the lock");
    s.pertask(["approve"]).code(0);
}
