//! What happens when a task goes wrong: the seed's "Error Recovery", as a person meets it.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod support;

use support::Sandbox;

const LOG: &str = ".pertask/wiz/implementation-log.md";

/// Types, then notes and a client that use them, and something that uses none.
const FOUR: &str = r#"title = "Wiz"
directory = "src"
build = [["sh", "../build.sh"]]

[[task]]
id = "types"
title = "API types"
file = "src/types.go"
purpose = "The types"
risk = "high"

[[task]]
id = "notes"
title = "Notes"
file = "src/notes.go"
purpose = "Notes"
depends_on = ["types"]

[[task]]
id = "client"
title = "Client"
file = "src/client.go"
purpose = "The client"
depends_on = ["types"]

[[task]]
id = "extra"
title = "Extra"
file = "src/extra.go"
purpose = "Needs nobody"
"#;

/// Fails in `types.go` when the client needs a `Page` that the types do not have.
const BUILD: &str = r#"
if [ -f client.go ] && grep -q Page client.go && ! grep -q Page types.go; then
    echo "./types.go:1:6: Asset has no field Page"
    exit 1
fi
"#;

/// Writes the types without `Page` in round one and with it in round two.
const AGENT: &str = r#"
cat > /dev/null
cp "$PERTASK_PROMPT_FILE" "ROOT/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
case "$PERTASK_TASK-$PERTASK_ATTEMPT" in
    types-1) echo "type Asset" > src/types.go ;;
    types-*) echo "type Asset with Page" > src/types.go ;;
    client-1) echo "client of Page" > src/client.go ;;
    client-*) echo "client of Page, again" >> src/client.go ;;
    *) echo "$PERTASK_TASK" > "src/$PERTASK_TASK.go" ;;
esac
printf '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;

fn sandbox(plan: &str, build: &str, agent: &str) -> Sandbox {
    let s = Sandbox::new();
    s.agent(&agent.replace("ROOT", s.root().to_str().unwrap()));
    s.write("build.sh", build);
    s.write("src/go.mod", "module example.com/wiz\n\ngo 1.22\n");
    s.plan(plan);
    s.commit("Add the plan");
    // Agents leave their prompts where the test finds them.
    s.unconfined();
    s
}

fn task<'s>(status: &'s serde_json::Value, id: &str) -> &'s serde_json::Value {
    let tasks = status["tasks"].as_array().unwrap();
    tasks.iter().find(|t| t["id"] == id).unwrap()
}

fn prompt(s: &Sandbox, task: &str, attempt: u32) -> String {
    support::read(&s.root().join(format!("prompt-{task}-{attempt}")))
}

#[test]
fn the_task_whose_file_breaks_the_build_gets_a_second_round() {
    let s = sandbox(FOUR, BUILD, AGENT);
    s.pertask(["start", "wiz"]).code(0);
    // The client's build fails in the types' file: the types are done again.
    let out = s.pertask(["approve", "wiz", "types"]).code(0);
    assert!(
        out.err().contains("fails in a file of another task"),
        "{}",
        out.text()
    );
    assert_eq!(
        s.states("wiz"),
        "types=review notes=review client=pending extra=review"
    );
    let status = s.status("wiz");
    assert_eq!(task(&status, "types")["branch"], "pertask/wiz/1-types-r2");
    assert_eq!(task(&status, "types")["round"], 2);
    assert_eq!(
        task(&status, "client")["reasons"][0],
        "waits for round 2 of types"
    );
    let told = prompt(&s, "types", 2);
    assert!(
        told.contains("src/types.go:1: Asset has no field Page"),
        "{told}"
    );
    assert!(told.contains("round 2"), "{told}");
    // The first round's branch stays where it was, and so does what was merged of it.
    assert_eq!(
        s.file_at("pertask/wiz/1-types", "src/types.go"),
        "type Asset"
    );
    assert_eq!(s.file_at("pertask/wiz/main", "src/types.go"), "type Asset");

    // What needs nobody goes its own way; the log still has the types as they were merged. What
    // builds on the types waits.
    s.pertask(["approve", "wiz", "extra"]).code(0);
    s.pertask(["approve", "wiz", "notes"]).code(0);
    assert_eq!(
        s.states("wiz"),
        "types=review notes=approved client=pending extra=merged"
    );
    let log = s.file_at("pertask/wiz/main", LOG);
    assert!(log.contains("## Task 1: API types"), "{log}");

    s.pertask(["approve", "wiz", "types"]).code(0);
    assert_eq!(
        s.states("wiz"),
        "types=merged notes=merged client=review extra=merged"
    );
    let told = prompt(&s, "client", 2);
    assert!(
        told.contains("has been put right and merged meanwhile"),
        "{told}"
    );
    // The kept work went on, with the run branch merged in.
    assert_eq!(
        s.file_at("pertask/wiz/3-client", "src/client.go"),
        "client of Page\nclient of Page, again"
    );
    assert_eq!(
        s.file_at("pertask/wiz/3-client", "src/types.go"),
        "type Asset with Page"
    );
    s.pertask(["approve"]).code(0);
    let status = s.status("wiz");
    assert_eq!(status["state"], "complete", "{status:#}");
    let log = s.file_at("pertask/wiz/main", LOG);
    assert!(log.contains("Attempt 1 (first, mine): passed"), "{log}");
    let ledger = s.git([
        "ls-tree",
        "-r",
        "--name-only",
        "refs/pertask/runs/wiz",
        "attempts/",
    ]);
    assert!(ledger.contains("attempts/1-types/1/order.json"), "{ledger}");
    assert!(
        ledger.contains("attempts/1-types-r2/2/order.json"),
        "{ledger}"
    );
}

/// Two Go files under a rule, checked by nothing else.
const RULES: &str = r#"title = "Wiz"

[[task]]
id = "types"
title = "API types"
file = "src/types.go"
purpose = "The types"
rules = ["error-handling"]
risk = "high"

[[task]]
id = "client"
title = "Client"
file = "src/client.go"
purpose = "The client"
rules = ["error-handling", "file-size"]
depends_on = ["types"]
"#;

const GO: &str = r#"package wiz

import "encoding/json"

func FUNC(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}
"#;

const REPORT: &str = ".pertask/wiz/p0-compliance-review.md";

/// Writes files that keep the rules; the P0 validation puts both files right.
fn keeps_the_rules() -> String {
    let good = "package wiz\n";
    format!(
        r#"
cat > /dev/null
cp "$PERTASK_PROMPT_FILE" "ROOT/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
case "$PERTASK_TASK" in
    p0) printf '{good}// put right\n' | tee src/types.go > src/client.go ;;
    *) printf '{good}// %s\n' "$PERTASK_TASK" > "src/$PERTASK_TASK.go" ;;
esac
printf '{{"status":"complete"}}' > "$PERTASK_HANDOFF_FILE"
"#
    )
}

/// Puts a violation into a merged task's file, as a merge or a person might.
fn violate(s: &Sandbox, file: &str) {
    let dir = s.root().join("by-hand");
    if dir.exists() {
        s.git_in(
            &dir,
            ["checkout", "--quiet", "--detach", "pertask/wiz/main"],
        );
    } else {
        s.git([
            "worktree",
            "add",
            "--quiet",
            "--detach",
            dir.to_str().unwrap(),
            "pertask/wiz/main",
        ]);
    }
    support::write(&dir.join(file), GO.replace("FUNC", "encode"));
    s.git_in(&dir, ["commit", "--quiet", "-am", "By hand"]);
    let head = s.git_in(&dir, ["rev-parse", "HEAD"]);
    s.git(["update-ref", "refs/heads/pertask/wiz/main", &head]);
}

#[test]
fn without_a_violation_the_report_says_so_before_the_gate() {
    let s = sandbox(RULES, "", &keeps_the_rules());
    s.pertask(["start", "wiz", "--checkpoint", "none"]).code(0);
    let status = s.status("wiz");
    assert_eq!(status["state"], "complete", "{status:#}");
    assert_eq!(
        s.git(["log", "-1", "--format=%s", "pertask/wiz/main"]),
        "[wiz] P0 validation: compliant"
    );
    let report = s.file_at("pertask/wiz/main", REPORT);
    assert!(report.contains("**COMPLIANT**"), "{report}");
    assert!(
        report.contains("| src/client.go | `error-handling`, `file-size` | hold |"),
        "{report}"
    );
    let gate = status["gate"].as_array().unwrap();
    let line = gate
        .iter()
        .find(|g| g["item"] == "P0 requirements hold")
        .unwrap();
    assert_eq!(line["detail"], "3 rules asked of 2 files");
    assert_eq!(gate.len(), 10);
}

#[test]
fn violations_in_finished_tasks_are_put_right_together_at_the_end() {
    let s = sandbox(RULES, "", &keeps_the_rules());
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    // Found while another task is under review: recorded and shown, and nothing stops.
    violate(&s, "src/types.go");
    s.pertask(["continue"]).code(0);
    let out = s
        .pertask(["note", "wiz", "client", "-m", "No timeout is set"])
        .code(0);
    assert!(out.stdout.contains("No timeout is set"), "{}", out.text());
    let status = s.status("wiz");
    assert_eq!(status["violations"][0]["file"], "src/types.go");
    assert_eq!(status["violations"][0]["line"], 6);
    assert_eq!(status["violations"][1]["message"], "No timeout is set");
    let text = s.pertask(["status"]).stdout;
    assert!(text.contains("src/types.go:6:"), "{text}");
    let shown = s.pertask(["show", "wiz", "client"]).stdout;
    assert!(shown.contains("src/types.go:6:"), "{shown}");

    s.pertask(["approve", "wiz", "client"]).code(0);
    assert_eq!(s.states("wiz"), "types=merged client=merged p0=review");
    assert_eq!(task(&s.status("wiz"), "p0")["branch"], "pertask/wiz/3-p0");
    let told = prompt(&s, "p0", 1);
    assert!(told.contains("src/types.go:6:5"), "{told}");
    assert!(told.contains("No timeout is set"), "{told}");
    let report = s.file_at("pertask/wiz/3-p0", REPORT);
    assert!(report.contains("**COMPLIANT**"), "{report}");
    assert!(report.contains("| put right |"), "{report}");

    s.pertask(["approve"]).code(0);
    let status = s.status("wiz");
    assert_eq!(status["state"], "complete", "{status:#}");
    assert_eq!(status["violations"].as_array().unwrap().len(), 0);
    assert_eq!(s.file_at("pertask/wiz/main", REPORT), report);
    let log = s.file_at("pertask/wiz/main", LOG);
    assert!(log.contains("## Task 3: P0 validation"), "{log}");
}

#[test]
fn violations_may_be_left_as_exceptions_which_the_gate_shows() {
    let s = sandbox(RULES, "", &keeps_the_rules());
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["skip", "wiz", "p0", "-m", "no"]).code(2);
    s.pertask(["approve"]).code(0);
    violate(&s, "src/types.go");
    s.pertask(["continue"]).code(0);
    s.pertask(["skip", "wiz", "p0", "-m", "the encoder cannot fail here"])
        .code(0);
    s.pertask(["approve", "wiz", "client"]).code(0);
    let status = s.status("wiz");
    assert_eq!(status["state"], "complete", "{status:#}");
    let gate = status["gate"].as_array().unwrap();
    let line = gate
        .iter()
        .find(|g| g["item"] == "P0 requirements hold")
        .unwrap();
    assert_eq!(line["holds"], true);
    insta::assert_snapshot!(line["detail"].as_str().unwrap(), @"3 rules asked of 2 files; exception: error-handling at src/types.go:6, let pass by Ada Example (the encoder cannot fail here)");
    let report = s.file_at("pertask/wiz/main", REPORT);
    assert!(
        report.contains("**NON-COMPLIANT, with 1 exception accepted**"),
        "{report}"
    );
}

#[test]
fn a_violation_in_the_attempts_own_file_fails_the_attempt() {
    let agent = keeps_the_rules().replace(
        "p0)",
        &format!(
            "types) printf '%s' '{}' > src/types.go ;;\n    p0)",
            GO.replace("FUNC", "encode")
        ),
    );
    let s = sandbox(RULES, "", &agent);
    s.pertask(["start", "wiz"]).code(1);
    let status = s.status("wiz");
    assert_eq!(task(&status, "types")["state"], "failed");
    assert_eq!(task(&status, "types")["attempts"], 3);
    assert_eq!(s.states("wiz"), "types=failed client=pending");
}

/// Two tasks that need nobody; the first asks, or is blocked, until it is told `frankfurt`.
const APART: &str = r#"title = "Wiz"
build = [["true"]]

[[task]]
id = "first"
title = "First"
file = "first.txt"
purpose = "The first"
risk = "high"

[[task]]
id = "after"
title = "After"
file = "after.txt"
purpose = "After the first"
depends_on = ["first"]

[[task]]
id = "other"
title = "Other"
file = "other.txt"
purpose = "Needs nobody"
"#;

fn asks(handoff: &str) -> String {
    format!(
        r#"
cat > /dev/null
echo "$PERTASK_TASK-$PERTASK_ATTEMPT" >> "ROOT/spawned"
cp "$PERTASK_PROMPT_FILE" "ROOT/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
if [ "$PERTASK_TASK" = first ] && ! grep -q frankfurt "$PERTASK_PROMPT_FILE"; then
    printf '%s' '{handoff}' > "$PERTASK_HANDOFF_FILE"
    exit 0
fi
echo "$PERTASK_TASK" > "$PERTASK_TASK.txt"
printf '{{"status":"complete"}}' > "$PERTASK_HANDOFF_FILE"
"#
    )
}

#[test]
fn a_question_is_shown_and_its_answer_reaches_the_next_prompt() {
    let question = r#"{"status":"needs_clarification","question":"Which region?"}"#;
    let s = sandbox(APART, "", &asks(question));
    let out = s.pertask(["start", "wiz"]).code(1);
    assert!(out.err().contains("Which region?"), "{}", out.text());
    assert_eq!(s.states("wiz"), "first=blocked after=pending other=review");
    assert_eq!(task(&s.status("wiz"), "first")["question"], "Which region?");
    let shown = s.pertask(["show", "wiz", "first"]).code(0).stdout;
    assert!(shown.contains("Which region?"), "{shown}");
    assert!(shown.contains("git pertask revise wiz first -m"), "{shown}");
    // What needs nobody goes on meanwhile.
    s.pertask(["approve", "wiz", "other"]).code(1);
    assert_eq!(s.states("wiz"), "first=blocked after=pending other=merged");
    // Approving a question is no answer.
    let out = s.pertask(["approve", "wiz", "first"]).code(2);
    assert!(
        out.err().contains("git pertask revise wiz first -m"),
        "{}",
        out.text()
    );

    s.pertask(["revise", "wiz", "first", "-m", "Take frankfurt."])
        .code(0);
    assert_eq!(s.states("wiz"), "first=review after=pending other=merged");
    let told = prompt(&s, "first", 2);
    assert!(told.contains("Which region?"), "{told}");
    assert!(told.contains("Take frankfurt."), "{told}");
    assert_eq!(
        support::read(&s.root().join("spawned")),
        "first-1\nother-1\nfirst-2\n"
    );
}

#[test]
fn a_blocked_agent_is_shown_with_what_it_tried_and_only_it_is_spawned_again() {
    let blocked =
        r#"{"status":"blocked","blocked_reason":"no such API","attempted":["read the manual"]}"#;
    let s = sandbox(APART, "", &asks(blocked));
    let out = s.pertask(["start", "wiz"]).code(1);
    assert!(out.err().contains("no such API"), "{}", out.text());
    assert_eq!(s.states("wiz"), "first=blocked after=pending other=review");
    let shown = s.pertask(["show", "wiz", "first"]).code(0).stdout;
    for text in [
        "no such API",
        "read the manual",
        "git pertask retry wiz first",
        "git pertask revise wiz first -m",
        "git pertask skip wiz first -m",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    // Blocked again: nothing is retried by itself, however often somebody carries on.
    s.pertask(["retry", "wiz", "first"]).code(1);
    s.pertask(["continue"]).code(1);
    s.pertask(["revise", "wiz", "first", "-m", "The API is in frankfurt."])
        .code(0);
    assert_eq!(s.states("wiz"), "first=review after=pending other=review");
    assert_eq!(
        support::read(&s.root().join("spawned")),
        "first-1\nother-1\nfirst-2\nfirst-3\n"
    );
    assert!(prompt(&s, "first", 3).contains("The API is in frankfurt."));
    let told = prompt(&s, "first", 2);
    assert!(told.contains("no such API"), "{told}");
}

#[test]
fn a_task_that_is_left_out_lets_its_dependents_go_on() {
    let blocked = r#"{"status":"blocked","blocked_reason":"no such API","attempted":["a"]}"#;
    let s = sandbox(APART, "", &asks(blocked));
    s.pertask(["start", "wiz"]).code(1);
    s.pertask(["skip", "wiz", "first", "-m", "not needed"])
        .code(0);
    assert_eq!(s.states("wiz"), "first=skipped after=review other=review");
}

/// Builds alone; once `meta` has an `ID` of its own, `a.ID` could mean either.
const TYPES: &str = "package wiz

type base struct{ ID string }

type meta struct{}

// Page is one page.
type Page struct {
	base
	meta
}

// Name is its name.
func (a Page) Name() string { return a.ID }
";

/// The real compiler on these types, and on a client beside them.
fn go_sandbox(client: &str) -> Sandbox {
    let agent = r#"
cat > /dev/null
cp "$PERTASK_PROMPT_FILE" "ROOT/prompt-$PERTASK_TASK-$PERTASK_ATTEMPT"
dir=src/wiz
mkdir -p $dir
case "$PERTASK_TASK-$PERTASK_ATTEMPT" in
    types-1) cp "ROOT/types.go" $dir/types.go ;;
    types-*) sed 's/a.ID/a.base.ID/' "ROOT/types.go" > $dir/types.go ;;
    client-*) cp "ROOT/client.go" $dir/client.go ;;
esac
printf '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;
    let plan = r#"title = "Wiz"
directory = "src"
build = [["go", "build", "./..."]]

[[task]]
id = "types"
title = "API types"
file = "src/wiz/types.go"
purpose = "The types"
risk = "high"

[[task]]
id = "client"
title = "Client"
file = "src/wiz/client.go"
purpose = "The client"
depends_on = ["types"]
"#;
    let s = sandbox(plan, "", agent);
    s.write("src/wiz/doc.go", "package wiz\n");
    s.commit("Begin the package");
    support::write(&s.root().join("types.go"), TYPES);
    support::write(&s.root().join("client.go"), client);
    s
}

#[test]
fn a_real_compiler_that_points_at_an_earlier_file_opens_that_task_again() {
    let s = go_sandbox("package wiz\n\nfunc (meta) ID() string { return \"\" }\n");
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "types=review client=pending");
    let told = prompt(&s, "types", 2);
    assert!(
        told.contains("src/wiz/types.go:14: ambiguous selector a.ID"),
        "{told}"
    );
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "types=merged client=review");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn what_a_task_declares_twice_is_its_own_fault_though_the_error_is_elsewhere() {
    // The compiler reports `types.go` and names `client.go` beside it.
    let s = go_sandbox("package wiz\n\ntype Page struct{ other int }\n");
    s.pertask(["start", "wiz"]).code(0);
    let out = s.pertask(["approve"]).code(1);
    assert!(out.stderr.contains("fails"), "{}", out.text());
    let status = s.status("wiz");
    assert_eq!(s.states("wiz"), "types=merged client=failed");
    assert_eq!(task(&status, "types")["round"], 1);
    assert_eq!(task(&status, "client")["attempts"], 3);
    let told = prompt(&s, "client", 2);
    assert!(told.contains("redeclared"), "{told}");
}

#[test]
fn the_other_task_is_opened_again_only_once_for_the_same_one() {
    // Round two changes nothing, so the client fails as before: now that counts against it.
    let agent = AGENT.replace("type Asset with Page", "type Asset");
    let s = sandbox(FOUR, BUILD, &agent);
    s.pertask(["start", "wiz", "--checkpoint", "none"]).code(1);
    let status = s.status("wiz");
    assert_eq!(
        s.states("wiz"),
        "types=merged notes=merged client=failed extra=merged"
    );
    assert_eq!(task(&status, "types")["round"], 2);
    // One that did not count, then as many as the limit allows.
    assert_eq!(task(&status, "client")["attempts"], 4);
    let reasons = task(&status, "client")["reasons"].to_string();
    assert!(
        reasons.contains("it was put right once already"),
        "{reasons}"
    );
    // A person may have it opened once more.
    s.pertask(["retry", "wiz", "client"]).code(1);
    let status = s.status("wiz");
    assert_eq!(task(&status, "types")["round"], 3);
}

#[test]
fn a_build_that_names_no_tasks_file_is_the_present_tasks_again() {
    let build = "test ! -f client.go || { echo 'tool.go:3:1: no such tool'; exit 1; }";
    let s = sandbox(FOUR, build, AGENT);
    s.write("src/tool.go", "package tool\n");
    s.commit("A tool");
    s.pertask(["start", "wiz", "--checkpoint", "none"]).code(1);
    let status = s.status("wiz");
    assert_eq!(task(&status, "types")["round"], 1);
    assert_eq!(task(&status, "client")["attempts"], 3);
    let reasons = task(&status, "client")["reasons"].to_string();
    assert!(
        reasons.contains("the build names no file of any task"),
        "{reasons}"
    );
    let told = prompt(&s, "client", 2);
    assert!(told.contains("tool.go:3:1: no such tool"), "{told}");
}

#[test]
fn a_second_round_that_is_given_up_leaves_the_first() {
    let s = sandbox(FOUR, BUILD, AGENT);
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve", "wiz", "types"]).code(0);
    s.pertask(["skip", "wiz", "types", "-m", "the types are right"])
        .code(1);
    assert_eq!(
        s.states("wiz"),
        "types=merged notes=review client=failed extra=review"
    );
    let shown = s.pertask(["show", "wiz", "types"]).code(0).stdout;
    assert!(
        shown.contains("round 2 was given up by Ada Example: the types are right"),
        "{shown}"
    );
}

#[test]
fn a_validation_that_fails_is_tried_again_and_then_a_person_decides() {
    let agent =
        keeps_the_rules().replace("printf 'package wiz\n// put right\n'", "cat src/types.go");
    let s = sandbox(RULES, "", &agent);
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    violate(&s, "src/types.go");
    s.pertask(["approve", "wiz", "client"]).code(1);
    assert_eq!(s.states("wiz"), "types=merged client=merged p0=failed");
    assert_eq!(task(&s.status("wiz"), "p0")["attempts"], 3);
    let told = prompt(&s, "p0", 2);
    assert!(told.contains("What did not hold"), "{told}");
    s.pertask(["skip", "wiz", "p0", "-m", "agreed"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn in_batch_mode_violations_are_put_right_too() {
    let agent = keeps_the_rules().replace(
        "    p0)",
        "    batch) for n in types client; do printf 'package wiz\n' > src/$n.go; done ;;\n    p0)",
    );
    let s = sandbox(RULES, "", &agent);
    s.pertask(["start", "wiz", "--mode", "batch"]).code(0);
    s.pertask(["note", "wiz", "-m", "No timeout is set"])
        .code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "types=merged client=merged p0=review");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn no_task_may_take_the_name_of_the_validation() {
    let s = sandbox(&RULES.replace("\"client\"", "\"p0\""), "", AGENT);
    let out = s.pertask(["plan", "wiz"]).code(2);
    assert!(
        out.stderr.contains("a task cannot be called `p0`"),
        "{}",
        out.text()
    );
}
