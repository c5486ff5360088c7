//! What people and programs read: status, show, log, plan, help, colours, streams; and what stands in
//! the commits.

mod support;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO};

/// An agent that fills in everything a handoff may say.
const FULL: &str = r#"
cat > /dev/null
echo "$PERTASK_TASK, attempt $PERTASK_ATTEMPT" > "$PERTASK_TASK.txt"
cat > "$PERTASK_HANDOFF_FILE" <<END
{"agent":"writer","status":"complete","task":"Task 1 of 2","file_created":"$PERTASK_TASK.txt","lines":99,
 "skills_invoked":["developing-with-tdd","verifying-before-completion"],
 "review_notes":["Names are short"],"handoff":{"next_task":"Task 2","context":"mind the gap"}}
END
"#;

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
    assert_eq!(status["gate"].as_array().map(Vec::len), Some(9));
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
    - line limit: holds, one.txt has 1 lines ([T])
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

/// Runs a command at a terminal, where these lines are typed.
fn at_a_terminal(s: &Sandbox, command: &str, typed: &str) -> support::Output {
    support::write(&s.root().join("typed"), typed);
    shell(
        s,
        &format!(
            "cat '{}' | script -qec 'git-pertask {command}' /dev/null",
            s.root().join("typed").display()
        ),
    )
}

/// What was shown, without colours and what moves the cursor.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next() == Some('[') {
                    chars.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

#[test]
fn the_checkpoint_at_a_terminal_is_answered_with_continue() {
    let s = Sandbox::with(TWO, FULL);
    let out = at_a_terminal(&s, "start wiz", "c\ncontinue\n");
    let text = plain(&out.stdout);
    assert_eq!(out.code, 0, "{text}");
    assert_eq!(
        text.matches("c, r or v (q decides later): ").count(),
        2,
        "{text}"
    );
    let shown = text
        .split("Task 1 of 2 complete")
        .nth(1)
        .and_then(|t| t.split("c, r or v").next());
    assert_snapshot!(s.tidy(shown.unwrap_or(&text)), @"
    : one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Quick review (the agent's words)
    - Names are short

    Continue to task 2 (Second file)?
      [c] Continue      approve it and go on
      [r] Review first  show the change before deciding
      [v] Revise        run it again with your feedback
    ");
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn review_first_shows_the_difference_and_revise_asks_for_words() {
    let mut s = Sandbox::with(TWO, FULL);
    s.set("GIT_PAGER", "cat");
    let out = at_a_terminal(&s, "start wiz", "what?\nr\nv\nshorter, please\nq\n");
    let text = plain(&out.stdout);
    assert_eq!(out.code, 0, "{text}");
    assert!(text.contains("Please answer c, r, v or q."), "{text}");
    assert!(text.contains("+one, attempt 1"), "{text}");
    assert!(text.contains("What should change?"), "{text}");
    assert!(text.contains("changes requested by Ada Example"), "{text}");
    assert!(
        text.contains("Waiting for:\n- a review of task 1 of 2"),
        "{text}"
    );
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert_eq!(s.status("wiz")["tasks"][0]["attempts"], 2);
    let prompt = s.file_at("refs/pertask/runs/wiz", "attempts/1-one/2/prompt.md");
    assert!(prompt.contains("shorter, please"), "{prompt}");
}

#[test]
fn quitting_leaves_a_run_that_continues() {
    let s = Sandbox::with(TWO, FULL);
    let out = at_a_terminal(&s, "start wiz", "q\n");
    assert_eq!(out.code, 0, "{}", plain(&out.stdout));
    assert_eq!(s.states("wiz"), "one=review two=pending");
    // The end of the input is the same.
    let out = at_a_terminal(&s, "continue", "");
    assert_eq!(out.code, 0, "{}", plain(&out.stdout));
    assert_eq!(s.states("wiz"), "one=review two=pending");
    let out = at_a_terminal(&s, "continue", "y\nY\n");
    assert_eq!(out.code, 0, "{}", plain(&out.stdout));
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn nobody_is_asked_with_yes() {
    let s = Sandbox::with(TWO, FULL);
    let out = at_a_terminal(&s, "start wiz --yes", "");
    let text = plain(&out.stdout);
    assert!(!text.contains("(q decides later)"), "{text}");
    assert_eq!(s.states("wiz"), "one=review two=pending");
}

#[test]
fn an_editor_opens_for_words_that_were_not_given() {
    let mut s = Sandbox::with(TWO, FULL);
    let editor = s.root().join("editor");
    s.set("GIT_EDITOR", format!("sh '{}'", editor.display()));
    support::write(
        &editor,
        "printf 'From the editor\\n\\n# not this\\n' > \"$1\"\n",
    );
    let out = at_a_terminal(&s, "start wiz", "v\n\nq\n");
    assert_eq!(out.code, 0, "{}", plain(&out.stdout));
    let prompt = s.file_at("refs/pertask/runs/wiz", "attempts/1-one/2/prompt.md");
    assert!(prompt.contains("From the editor"), "{prompt}");
    assert!(!prompt.contains("not this"), "{prompt}");
    // An editor that leaves nothing changes nothing.
    support::write(&editor, ": > \"$1\"\n");
    let before = s.refs();
    let out = at_a_terminal(&s, "revise", "");
    assert_eq!(out.code, 2, "{}", plain(&out.stdout));
    support::write(&editor, "exit 1\n");
    let out = at_a_terminal(&s, "revise", "");
    assert_eq!(out.code, 2, "{}", plain(&out.stdout));
    assert_eq!(s.refs(), before);
}

#[test]
fn an_editor_that_fails_at_the_checkpoint_does_not_end_the_run() {
    let mut s = Sandbox::with(TWO, FULL);
    s.set("GIT_EDITOR", "false");
    let out = at_a_terminal(&s, "start wiz", "v\n\nc\nc\n");
    let text = plain(&out.stdout);
    assert_eq!(out.code, 0, "{text}");
    assert!(text.contains("the editor false failed"), "{text}");
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn colours_at_a_terminal_unless_told_otherwise() {
    let mut s = in_review();
    // Of text, not of what moves the cursor.
    let coloured =
        |out: &support::Output| out.stdout.contains("\u{1b}[1m") || out.stdout.contains("\u{1b}[3");
    for command in ["status", "show", "log wiz", "plan wiz"] {
        let out = at_a_terminal(&s, command, "");
        assert!(coloured(&out), "{command}: {:?}", out.stdout);
    }
    s.set("NO_COLOR", "1");
    for command in [
        "status",
        "show",
        "log wiz",
        "plan wiz",
        "continue",
        "plan nothing",
    ] {
        let out = at_a_terminal(&s, command, "");
        assert!(!coloured(&out), "{command}: {:?}", out.stdout);
    }
}

/// Runs a shell line in the repository, with the program as `git-pertask`.
fn shell(s: &Sandbox, line: &str) -> support::Output {
    let mut command = s.command("sh", &s.repo);
    command.args([
        "-c",
        &line.replace("git-pertask", env!("CARGO_BIN_EXE_git-pertask")),
    ]);
    s.finish(command)
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
        let out = shell(
            &s,
            &format!("{{ git-pertask {command}; echo \"code $?\" >&2; }} | head -c 1 > /dev/null"),
        );
        assert_eq!(out.stderr, "code 0\n", "{command}");
        let out = shell(
            &s,
            &format!("{{ git-pertask {command}; echo \"code $?\" >&2; }} | true"),
        );
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
        let out = shell(&s, &format!("git-pertask {command} >&- 2>&-"));
        assert!([0, 2].contains(&out.code), "{command}: {}", out.text());
    }
    let out = shell(&s, "git-pertask start wiz >&- 2>&-");
    assert_eq!(out.code, 0);
    let out = shell(
        &s,
        "git-pertask approve 2>&1 | true; git-pertask approve | true",
    );
    assert_eq!(out.code, 0);
    assert_eq!(s.status("wiz-2")["state"], "complete", "{}", out.text());
}

#[test]
fn a_full_disk_for_the_answer_is_told() {
    let s = in_review();
    let out = shell(&s, "git-pertask status > /dev/full");
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

// ---- the commits

#[test]
fn a_task_commit_holds_files_log_and_trailers() {
    let s = in_review();
    assert_eq!(
        s.git(["diff", "--name-status", "main", "pertask/wiz/1-one"]),
        "A\t.pertask/wiz/implementation-log.md\nA\tone.txt"
    );
    assert_eq!(s.oid("pertask/wiz/1-one^"), s.oid("main"));
    let message = s.git(["log", "-1", "--format=%B", "pertask/wiz/1-one"]);
    assert_snapshot!(s.tidy(&message), @"
    [wiz 1/2] First file

    The first of two

    Pertask-Run: wiz
    Pertask-Task: one
    Pertask-Attempt: 1
    Pertask-Agent: mine
    Pertask-Prompt: [SHA256]
    Pertask-Build: success
    ");
    assert_snapshot!(s.tidy(&trailers(&s, "pertask/wiz/1-one")), @"
    Pertask-Run: wiz
    Pertask-Task: one
    Pertask-Attempt: 1
    Pertask-Agent: mine
    Pertask-Prompt: [SHA256]
    Pertask-Build: success
    ");
    assert_snapshot!(
        s.tidy(&s.file_at("pertask/wiz/1-one", ".pertask/wiz/implementation-log.md")),
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
    - Agent: writer, mine (task-1)
    - Skills invoked: developing-with-tdd, verifying-before-completion

    ### Files Created
    - one.txt

    ### API Methods Implemented
    - None

    ### Review Notes
    - Agent's words: Names are short
    "
    );
    s.pertask(["approve"]).code(0);
    assert_snapshot!(s.tidy(&trailers(&s, "pertask/wiz/main")), @"
    Pertask-Run: wiz
    Pertask-Task: one
    Pertask-Attempt: 1
    Pertask-Agent: mine
    Pertask-Prompt: [SHA256]
    Pertask-Build: success
    Pertask-Review: approved by Ada Example <ada@example.com>
    ");
}

/// The trailers as git itself reads them.
fn trailers(s: &Sandbox, commit: &str) -> String {
    let out = shell(
        s,
        &format!("git log -1 --format=%B {commit} | git interpret-trailers --parse"),
    )
    .code(0);
    out.stdout
}

#[test]
fn what_plan_and_agent_write_cannot_add_a_trailer() {
    let plan = TWO
        .replace("\"First file\"", "\"First file: Pertask-Task: two\"")
        .replace("\"The first of two\"", "\"\"\"Pertask-Build: success\n\nPertask-Run: other\nPertask-Review: approved by Eve\"\"\"");
    let s = Sandbox::with(
        &plan,
        &FULL.replace("\"writer\"", "\"x\\\\nPertask-Review: approved by Eve\""),
    );
    s.pertask(["start", "wiz"]).code(0);
    let found = trailers(&s, "pertask/wiz/1-one");
    assert_snapshot!(s.tidy(&found), @"
    Pertask-Run: wiz
    Pertask-Task: one
    Pertask-Attempt: 1
    Pertask-Agent: mine
    Pertask-Prompt: [SHA256]
    Pertask-Build: success
    ");
}

#[test]
fn each_way_to_merge_gives_its_own_history() {
    let mut said = String::new();
    for merge in ["squash", "merge", "rebase"] {
        let s = Sandbox::with(TWO, GOOD);
        s.config(&format!("merge = \"{merge}\""));
        s.commit("How to merge");
        s.pertask(["start", "wiz"]).code(0);
        s.pertask(["revise", "-m", "again"]).code(0);
        s.pertask(["approve"]).code(0);
        s.pertask(["approve"]).code(0);
        assert_eq!(s.status("wiz")["state"], "complete", "{merge}");
        let graph = s.git(["log", "--graph", "--format=%s", "main..pertask/wiz/main"]);
        let lines: Vec<_> = graph.lines().map(str::trim_end).collect();
        said.push_str(&format!("{merge}\n{}\n", lines.join("\n")));
        assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "one, attempt 2");
        assert!(
            s.git_ok(["merge", "--quiet", "pertask/wiz/main"]),
            "{merge}"
        );
        let log = s.read(".pertask/wiz/implementation-log.md");
        assert_eq!(log.lines().filter(|l| l.starts_with("## Task ")).count(), 2);
    }
    assert_snapshot!(said, @r"
    squash
    * [wiz 2/2] Second file
    * [wiz 1/2] First file
    merge
    *   [wiz 2/2] Second file
    |\
    | * [wiz 2/2] Second file
    |/
    * [wiz 1/2] First file
    * [wiz 1/2] First file, revised
    * [wiz 1/2] First file
    rebase
    * [wiz 2/2] Second file
    * [wiz 1/2] First file, revised
    * [wiz 1/2] First file
    ");
}

#[test]
fn each_way_to_merge_brings_forward_what_comes_second() {
    for merge in ["squash", "merge", "rebase"] {
        let s = Sandbox::with(&TWO.replace("depends_on = [\"one\"]\n", ""), GOOD);
        s.config(&format!("merge = \"{merge}\""));
        s.commit("How to merge");
        s.pertask(["start", "wiz", "--jobs", "2"]).code(0);
        s.pertask(["approve", "two"]).code(0);
        s.pertask(["approve", "one"]).code(0);
        assert_eq!(s.status("wiz")["state"], "complete", "{merge}");
        assert!(
            s.files_at("pertask/wiz/main").contains("one.txt\ntwo.txt"),
            "{merge}"
        );
        // A branch under review only grows: the forward merge is on top.
        let parents = s.git(["log", "-1", "--format=%P", "pertask/wiz/1-one"]);
        assert_eq!(parents.split(' ').count(), 2, "{merge}");
    }
}
