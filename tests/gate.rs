//! The gate: each of its items, holding and failing, on runs made by the real program.
//!
//! What a run cannot be brought to do is done to its ledger by hand afterwards; `check` must notice.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

mod support;

use insta::assert_snapshot;
use serde_json::{Value, json};
use support::{GOOD, Output, Sandbox, TWO};

const LEDGER: &str = "refs/pertask/runs/wiz";

/// A run of two tasks that is complete.
fn complete() -> Sandbox {
    let sandbox = Sandbox::with(TWO, GOOD);
    to_the_end(&sandbox, 0);
    sandbox
}

fn to_the_end(sandbox: &Sandbox, code: i32) -> Output {
    sandbox.pertask(["start", "wiz"]).code(0);
    sandbox.pertask(["approve", "wiz", "one"]).code(0);
    sandbox.pertask(["approve", "wiz", "two"]).code(code)
}

/// What `check` finds: the exit code and the gate.
fn gate(sandbox: &Sandbox) -> (i32, Vec<Value>) {
    let out = sandbox.pertask(["check", "wiz", "--format", "json"]);
    let value: Value = serde_json::from_str(&out.stdout).unwrap_or_else(|e| {
        panic!("{e}\n{}", out.text());
    });
    assert_eq!(value["schema"], 1);
    (out.code, value["gate"].as_array().unwrap().clone())
}

/// The item whose name begins like this.
#[track_caller]
fn item(gate: &[Value], name: &str) -> Value {
    let found = gate
        .iter()
        .find(|g| g["item"].as_str().unwrap().starts_with(name));
    found
        .unwrap_or_else(|| panic!("no {name} in {gate:#?}"))
        .clone()
}

/// Only this item fails, and says why.
#[track_caller]
fn only_fails(sandbox: &Sandbox, name: &str, why: &str) {
    let (code, gate) = gate(sandbox);
    assert_eq!(code, 1, "{gate:#?}");
    let failing: Vec<&str> = gate
        .iter()
        .filter(|g| g["holds"] == false)
        .map(|g| g["item"].as_str().unwrap())
        .collect();
    let one = item(&gate, name);
    assert_eq!(failing, [one["item"].as_str().unwrap()], "{gate:#?}");
    let detail = one["detail"].as_str().unwrap();
    assert!(detail.contains(why), "{detail}");
}

/// Changes a JSON file of the ledger behind the program's back.
fn edit(sandbox: &Sandbox, path: &str, change: impl Fn(&mut Value)) {
    let mut value: Value = serde_json::from_str(&sandbox.file_at(LEDGER, path)).unwrap();
    change(&mut value);
    let text = serde_json::to_string_pretty(&value).unwrap();
    let commit = commit_with(sandbox, LEDGER, path, Some(&text));
    sandbox.git(["update-ref", LEDGER, &commit]);
}

/// A commit after `parent` with another text in one file, or without it.
fn commit_with(sandbox: &Sandbox, parent: &str, path: &str, text: Option<&str>) -> String {
    let index = sandbox.root().join("tampering-index");
    let git = |args: &[&str]| {
        let mut command = sandbox.command("git", &sandbox.repo);
        command.args(args).env("GIT_INDEX_FILE", &index);
        let out = sandbox.finish(command).code(0);
        out.stdout.trim().to_owned()
    };
    git(&["read-tree", parent]);
    if let Some(text) = text {
        let file = sandbox.root().join("tampering");
        std::fs::write(&file, text).unwrap();
        let blob = git(&["hash-object", "-w", file.to_str().unwrap()]);
        let entry = format!("100644,{blob},{path}");
        git(&["update-index", "--add", "--cacheinfo", &entry]);
    } else {
        git(&["update-index", "--force-remove", path]);
    }
    let tree = git(&["write-tree"]);
    git(&["commit-tree", "-p", parent, "-m", "Tamper", &tree])
}

/// Does something to a complete run, looks, and puts the ledger back.
fn after(sandbox: &Sandbox, change: impl Fn(), look: impl Fn()) {
    let before = sandbox.oid(LEDGER);
    change();
    look();
    sandbox.git(["update-ref", LEDGER, &before]);
}

#[test]
fn a_complete_run_says_what_was_looked_at() {
    let sandbox = complete();
    assert_snapshot!(sandbox.pertask(["check"]).code(2).err(), @"git-pertask: no run is unfinished; name one of these: wiz");
    let refs = sandbox.refs();
    assert_snapshot!(sandbox.pertask(["check", "wiz"]).code(0).out(), @"
    The rules find nothing in the tasks' files.

    Gate of run wiz at [ID]
    [x] All tasks identified from plan.toml: 2 tasks in .pertask/wiz/plan.toml at
        [ID], all in the run
    [x] Tasks ordered by dependency: one, two
    [x] Each task spawned with a fresh agent: 2 processes started, each for one
        attempt
    [x] Each task includes context from prior tasks: 2 prompts looked at, each as
        its hash says
    [x] Each task validated (compile check): 2 builds among 8 checks, all run by the
        tool on what was merged
    [x] implementation-log.md updated after each task:
        .pertask/wiz/implementation-log.md: 2 sections
    [x] All files created per file-placement.md: 2 of 2 files there
    [x] Handler registered: the plan asks for none
    [x] P0 requirements hold: the plan names no P0 rule
    [x] Final build succeeds: test -d .pertask: succeeded at [ID]
    ");
    assert_eq!(sandbox.refs(), refs);
    let (code, gate) = gate(&sandbox);
    assert_eq!((code, gate.len()), (0, 10));
    // What the run recorded is what is computed again.
    assert_eq!(sandbox.status("wiz")["gate"], json!(gate));
    for format in ["sarif", "github"] {
        let out = sandbox.pertask(["check", "wiz", "--format", format]);
        assert_eq!(out.code, 0, "{}", out.text());
    }
}

#[test]
fn an_unfinished_run_does_not_hold_yet() {
    let sandbox = Sandbox::with(TWO, GOOD);
    sandbox.pertask(["start", "wiz"]).code(0);
    let refs = sandbox.refs();
    assert_snapshot!(sandbox.pertask(["check"]).code(1).out(), @"
    The rules find nothing in the tasks' files.

    Gate of run wiz at [ID]
    [x] All tasks identified from plan.toml: 2 tasks in .pertask/wiz/plan.toml at
        [ID], all in the run
    [x] Tasks ordered by dependency: one, two
    [ ] Each task spawned with a fresh agent: 1 process started, each for one
        attempt; not merged yet: one, two
    [ ] Each task includes context from prior tasks: no prompt to look at; not
        merged yet: one, two
    [ ] Each task validated (compile check): nothing merged to look at; not merged
        yet: one, two
    [ ] implementation-log.md updated after each task:
        .pertask/wiz/implementation-log.md: 0 sections; not merged yet: one, two
    [ ] All files created per file-placement.md: missing: one.txt, the task is not
        merged yet; missing: two.txt, the task is not merged yet
    [x] Handler registered: the plan asks for none
    [x] P0 requirements hold: the plan names no P0 rule
    [ ] Final build succeeds: test -d .pertask: not run yet at [ID]: it is run
        once every task is merged or left out
    ");
    assert_eq!(sandbox.refs(), refs);
    let github = sandbox.pertask(["check", "--format", "github"]).code(1);
    assert!(
        github.stdout.contains(
            "::error title=Gate%3A All files created per file-placement.md::missing: one.txt"
        ),
        "{}",
        github.stdout
    );
}

#[test]
fn tasks_that_the_documents_name_and_the_run_has_not() {
    let sandbox = complete();
    let other = |path: &'static str, to: &'static str| {
        move |state: &mut Value| *state.pointer_mut(path).unwrap() = json!(to)
    };
    after(
        &sandbox,
        || edit(&sandbox, "state.json", other("/items/0/tasks/0/id", "uno")),
        || {
            let (_, gate) = gate(&sandbox);
            let item = item(&gate, "All tasks identified from plan.toml");
            assert_eq!(item["holds"], false);
            assert_eq!(item["detail"], "one (one.txt) is not in the run");
        },
    );
}

#[test]
fn a_task_that_began_too_early() {
    let sandbox = complete();
    let base = sandbox.oid("main");
    after(
        &sandbox,
        || {
            edit(&sandbox, "attempts/2-two/1/order.json", |order| {
                order["origin"] = json!(base);
            });
        },
        || only_fails(&sandbox, "Tasks ordered", "two began before one was merged"),
    );
}

#[test]
fn an_agent_that_was_not_fresh() {
    let sandbox = complete();
    let claim: Value =
        serde_json::from_str(&sandbox.file_at(LEDGER, "attempts/1-one/1/result.json")).unwrap();
    let claim = claim["claim"].clone();
    let second = "attempts/2-two/1/result.json";
    after(
        &sandbox,
        || edit(&sandbox, second, |r| r["claim"] = claim.clone()),
        || {
            only_fails(
                &sandbox,
                "Each task spawned",
                "attempt 1 on two was made under the claim of attempt 1 on one",
            );
        },
    );
    after(
        &sandbox,
        || {
            for path in ["attempts/1-one/1/result.json", second] {
                edit(&sandbox, path, |r| r["agent"]["session"] = json!("s-1"));
            }
        },
        || only_fails(&sandbox, "Each task spawned", "went on with the session of"),
    );
    after(
        &sandbox,
        || {
            edit(&sandbox, second, |r| {
                r["agent"]["exit"] = json!({"is": "not-started"});
            });
        },
        || {
            only_fails(
                &sandbox,
                "Each task spawned",
                "no agent ran in attempt 1 on two",
            );
        },
    );
}

#[test]
fn a_prompt_that_is_not_the_one_or_says_nothing_of_prior_tasks() {
    let sandbox = complete();
    let order = "attempts/2-two/1/order.json";
    after(
        &sandbox,
        || {
            edit(&sandbox, order, |o| {
                o["prompt"] = json!("Do it. See one.txt.");
            });
        },
        || {
            only_fails(
                &sandbox,
                "Each task includes context",
                "is not the one whose hash",
            );
        },
    );
    // A prompt that tells nothing, its hash noted everywhere.
    let hash = git_pertask::driver::orders::sha256(b"Do it.");
    after(
        &sandbox,
        || {
            edit(&sandbox, order, |o| {
                o["prompt"] = json!("Do it.");
                o["prompt_sha256"] = json!(hash);
            });
            edit(&sandbox, "state.json", |s| {
                s["items"][1]["attempts"][0]["prompt_sha256"] = json!(hash);
            });
        },
        || {
            only_fails(
                &sandbox,
                "Each task includes context",
                "does not name one.txt",
            );
        },
    );
}

#[test]
fn work_that_was_not_checked() {
    let sandbox = complete();
    let state = "state.json";
    let build = |state: &Value| {
        let checks = state["items"][0]["attempts"][0]["checks"]
            .as_array()
            .unwrap();
        checks.iter().position(|c| c["kind"] == "build").unwrap()
    };
    after(
        &sandbox,
        || {
            edit(&sandbox, state, |s| {
                let n = build(s);
                s["items"][0]["attempts"][0]["checks"][n]["passed"] = json!(false);
            });
        },
        || {
            let (_, gate) = gate(&sandbox);
            let detail = item(&gate, "Each task validated")["detail"].clone();
            let detail = detail.as_str().unwrap();
            assert!(
                detail.contains("one was merged although this did not hold"),
                "{detail}"
            );
        },
    );
    after(
        &sandbox,
        || {
            edit(&sandbox, state, |s| {
                let n = build(s);
                s["items"][0]["attempts"][0]["checks"][n]["kind"] = json!("command");
            });
        },
        || {
            let (_, gate) = gate(&sandbox);
            let item = item(&gate, "Each task validated");
            assert_eq!(item["detail"], "one was merged without its build");
        },
    );
    let base = sandbox.oid("main");
    after(
        &sandbox,
        || {
            edit(&sandbox, state, |s| {
                s["items"][0]["merged"]["head"] = json!(base);
            });
        },
        || {
            only_fails(
                &sandbox,
                "Each task validated",
                "a commit that no attempt made",
            );
        },
    );
}

#[test]
fn a_log_that_was_not_kept() {
    let sandbox = complete();
    let base = sandbox.oid("main");
    after(
        &sandbox,
        || {
            edit(&sandbox, "state.json", |s| {
                s["items"][0]["merged"]["commit"] = json!(base);
            });
        },
        || {
            only_fails(
                &sandbox,
                "implementation-log.md",
                "the merge of one, it has no section",
            );
        },
    );
    after(
        &sandbox,
        || {
            edit(&sandbox, "state.json", |s| {
                s["items"][0]["attempts"][0]["agent_version"] = json!("9.9");
                s["items"][0]["attempts"][0]["skills"] = json!(["none-of-this"]);
            });
        },
        || {
            only_fails(
                &sandbox,
                "implementation-log.md",
                "its section does not say `- ",
            );
        },
    );
    let log = ".pertask/wiz/implementation-log.md";
    let head = sandbox.oid("pertask/wiz/main");
    let text = sandbox
        .file_at(&head, log)
        .replace("## Task 1:", "## Tusk 1:");
    let other = commit_with(&sandbox, &head, log, Some(&text));
    after(
        &sandbox,
        || {
            edit(&sandbox, "state.json", |s| {
                s["run_branch"]["head"] = json!(other);
            });
        },
        || {
            let (_, gate) = gate(&sandbox);
            let detail = item(&gate, "implementation-log.md")["detail"].clone();
            assert!(
                detail
                    .as_str()
                    .unwrap()
                    .contains("the section of one is gone"),
                "{detail}"
            );
            // The build on record is of another commit, so it counts no more.
            let build = item(&gate, "Final build");
            assert_eq!(build["holds"], false);
            assert!(
                build["detail"]
                    .as_str()
                    .unwrap()
                    .starts_with("not run yet at ")
            );
        },
    );
}

#[test]
fn files_that_must_be_there_may_be_optional_or_left_out() {
    let sandbox = Sandbox::with(TWO, GOOD);
    sandbox.write(
        ".pertask/wiz/file-placement.md",
        "# Files\n\n| File | Note |\n|---|---|\n| `one.txt` | first |\n| `two.txt` | second |\n\n## Optional\n\n| File | Note |\n|---|---|\n| `docs/three.txt` | later |\n",
    );
    sandbox.commit("Say which files");
    sandbox.pertask(["start", "wiz"]).code(0);
    sandbox.pertask(["approve", "wiz", "one"]).code(0);
    sandbox
        .pertask(["skip", "wiz", "two", "-m", "not needed"])
        .code(0);
    let (code, found) = gate(&sandbox);
    assert_eq!(code, 0, "{found:#?}");
    assert_eq!(
        item(&found, "All files created")["detail"],
        "1 of 3 files there; exception: two.txt left out by Ada Example (not needed); exception: docs/three.txt is optional"
    );
    let head = sandbox.oid("pertask/wiz/main");
    let without = commit_with(&sandbox, &head, "one.txt", None);
    edit(&sandbox, "state.json", |s| {
        s["run_branch"]["head"] = json!(without);
    });
    let (_, gate) = gate(&sandbox);
    let placed = item(&gate, "All files created");
    assert_eq!(placed["holds"], false);
    assert!(
        placed["detail"]
            .as_str()
            .unwrap()
            .starts_with("missing: one.txt;")
    );
}

#[test]
fn the_final_build_and_the_plans_own_items_are_run() {
    let plan = format!(
        "{TWO}\n[[gate]]\nbuild = [[\"test\", \"-f\", \"two.txt\"]]\n\n[[gate]]\nitem = \"First file says so\"\ncommand = [\"grep\", \"-q\", \"one\", \"one.txt\"]\n\n[[gate]]\nitem = \"A third file\"\ncommand = [\"test\", \"-f\", \"three.txt\"]\n"
    );
    let sandbox = Sandbox::with(&plan, GOOD);
    let out = to_the_end(&sandbox, 1);
    assert!(out.stdout.contains("A third file"), "{}", out.text());
    let (code, gate) = gate(&sandbox);
    assert_eq!((code, gate.len()), (1, 12));
    assert_eq!(
        item(&gate, "Final build succeeds: test -f two.txt")["holds"],
        true
    );
    assert_eq!(item(&gate, "First file says so")["holds"], true);
    let third = item(&gate, "A third file");
    assert_eq!(third["holds"], false);
    assert!(
        third["detail"]
            .as_str()
            .unwrap()
            .starts_with("test -f three.txt ended with exit status 1 at "),
        "{third}"
    );
    // A person puts it right on the run branch, and the run is complete.
    sandbox.git(["checkout", "--quiet", "pertask/wiz/main"]);
    sandbox.write("three.txt", "3\n");
    sandbox.commit("Add the third");
    sandbox.git(["checkout", "--quiet", "main"]);
    sandbox.pertask(["continue", "wiz"]).code(0);
    sandbox.pertask(["check", "wiz"]).code(0);
}

const REGISTERED: &str = r#"title = "Handler"
build = []

[[task]]
id = "types"
title = "Types"
file = "in/wiz/types.go"
purpose = "The types"

[[task]]
id = "handler"
title = "Handler"
file = "in/wiz/wiz.go"
purpose = "The handler"
depends_on = ["types"]
allow = ["in/integrations.go"]
requires = ["**/integrations.go"]
risk = "high"
"#;

/// Writes the handler; its first attempt registers it in a comment only.
const REGISTRAR: &str = r#"
cat > /dev/null
mkdir -p in/wiz
if [ "$PERTASK_TASK" = types ]; then
	printf 'package wiz\n\ntype Asset struct{}\n' > in/wiz/types.go
else
	printf 'package wiz\n\nfunc New() *Wiz { return &Wiz{} }\n\ntype Wiz struct{}\n' > in/wiz/wiz.go
	if [ "$PERTASK_ATTEMPT" = 1 ]; then
		printf 'package in\n\nimport _ "example.com/x/in/wiz"\n\n// wiz.New is registered\n' > in/integrations.go
	else
		printf 'package in\n\nimport "example.com/x/in/wiz"\n\nvar all = []any{wiz.New}\n' > in/integrations.go
	fi
fi
printf '{"status":"complete"}' > "$PERTASK_HANDOFF_FILE"
"#;

#[test]
fn a_handler_is_registered_by_code_that_names_it() {
    let sandbox = Sandbox::with(REGISTERED, REGISTRAR);
    sandbox.write("go.mod", "module example.com/x\n\ngo 1.23\n");
    sandbox.write("in/integrations.go", "package in\n");
    sandbox.commit("Add the module");
    sandbox.pertask(["start", "wiz"]).code(0);
    let out = sandbox.pertask(["approve", "wiz", "types"]).code(0);
    // The comment of the first attempt did not count.
    let show = sandbox.pertask(["show", "wiz", "handler"]).code(0);
    assert!(
        show.stdout.contains(
            "registration: in/integrations.go imports example.com/x/in/wiz, but its code names nothing"
        ),
        "{}\n{}",
        out.text(),
        show.stdout
    );
    // An unused dependency is no more than a remark outside the integration template.
    assert!(
        show.stdout.contains(
            "dependencies: holds, a remark: in/wiz/wiz.go uses nothing of in/wiz/types.go"
        ),
        "{}",
        show.stdout
    );
    sandbox.pertask(["approve", "wiz", "handler"]).code(0);
    let (code, found) = gate(&sandbox);
    assert_eq!(code, 0, "{found:#?}");
    let registered = item(&found, "Handler registered in integrations.go");
    assert_eq!(registered["detail"], "in/integrations.go names wiz.New");
    let head = sandbox.oid("pertask/wiz/main");
    let only_said = "package in\n\nimport \"example.com/x/in/wiz\"\n\nvar all = \"wiz.New\"\n";
    let other = commit_with(&sandbox, &head, "in/integrations.go", Some(only_said));
    edit(&sandbox, "state.json", |s| {
        s["run_branch"]["head"] = json!(other);
    });
    only_fails(
        &sandbox,
        "Handler registered",
        "its code names nothing that in/wiz/wiz.go declares",
    );
}

/// Items that a plan adds to the checklist.
const ITEMS: &str = r#"
[[gate]]
item = "The notes are written"
command = ["test", "-f", "NOTES.md"]

[[gate]]
item = "The first file is there"
command = ["test", "-f", "one.txt"]
"#;

#[test]
fn an_item_of_the_plans_own_keeps_the_run_open_until_it_holds() {
    let sandbox = Sandbox::with(&format!("{TWO}{ITEMS}"), GOOD);
    let started = sandbox
        .pertask(["start", "wiz", "--checkpoint", "none"])
        .code(1);
    assert!(
        started.text().contains("The notes are written"),
        "{}",
        started.text()
    );
    let gate = |status: serde_json::Value| {
        let items = status["gate"].as_array().cloned().unwrap_or_default();
        let own = items.iter().filter(|i| {
            let item = i["item"].as_str().unwrap_or_default();
            item == "The notes are written" || item == "The first file is there"
        });
        own.map(|i| format!("{}: {}", i["item"], i["holds"]))
            .collect::<Vec<_>>()
            .join("\n")
    };
    insta::assert_snapshot!(gate(sandbox.status("wiz")), @r#"
    "The notes are written": false
    "The first file is there": true
    "#);

    // Mended by a person on the run branch.
    sandbox.git(["switch", "--quiet", "pertask/wiz/main"]);
    sandbox.write("NOTES.md", "Notes.\n");
    sandbox.commit("Write the notes");
    sandbox.git(["switch", "--quiet", "main"]);
    sandbox.pertask(["continue", "wiz"]).code(0);
    insta::assert_snapshot!(gate(sandbox.status("wiz")), @r#"
    "The notes are written": true
    "The first file is there": true
    "#);
    assert_eq!(sandbox.status("wiz")["state"], "complete");
}
