//! What the final checklist asks beyond the tasks, on a whole run.

mod support;

use support::{GOOD, Sandbox, TWO};

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
