//! The person at a terminal: the checkpoint with its questions, editor, pager and colours.

mod support;

use insta::assert_snapshot;
use support::{FULL, Sandbox, TWO};

fn in_review() -> Sandbox {
    let s = Sandbox::with(TWO, FULL);
    s.pertask(["start", "wiz"]).code(0);
    s
}

/// Runs a command at a terminal, where these lines are typed.
fn at_a_terminal(s: &Sandbox, command: &str, typed: &str) -> support::Output {
    support::write(&s.root().join("typed"), typed);
    s.shell(&format!(
        "cat '{}' | script -qec 'git-pertask {command}' /dev/null",
        s.root().join("typed").display()
    ))
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
