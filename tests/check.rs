//! `git pertask check`, with a directory and with a run.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::Sandbox;

/// A handler without any fault that the rules could find.
const RIGHT: &str = r#"package okta

import (
	"context"
	"fmt"
)

type Okta struct {
	filter *VMFilter
	client *Client
}

func New(client *Client) *Okta {
	return &Okta{filter: NewVMFilter(), client: client}
}

func (o *Okta) Invoke(ctx context.Context) error {
	if err := o.ValidateCredentials(ctx); err != nil {
		return fmt.Errorf("okta: %w", err)
	}
	return nil
}

func (o *Okta) ValidateCredentials(ctx context.Context) error {
	if err := o.client.Me(ctx); err != nil {
		return fmt.Errorf("validate credentials: %w", err)
	}
	return nil
}

func (o *Okta) CheckAffiliation(ctx context.Context, id string) (bool, error) {
	found, err := o.client.GetAsset(ctx, id)
	if err != nil {
		return false, fmt.Errorf("check affiliation: %w", err)
	}
	return found != nil, nil
}
"#;

/// The same, but `Invoke` begins with something else; a comment claims the contrary.
fn wrong() -> String {
    RIGHT.replace(
        "	if err := o.ValidateCredentials(ctx); err != nil {\n		return fmt.Errorf(\"okta: %w\", err)\n	}\n	return nil\n}\n\nfunc (o *Okta) Val",
        "	// if err := o.ValidateCredentials(ctx); err != nil { return err }\n	return nil\n}\n\nfunc (o *Okta) Val",
    )
}

fn findings(stdout: &str) -> Vec<Value> {
    let value: Value = serde_json::from_str(stdout).unwrap();
    assert_eq!(value["schema"], 1);
    value["findings"].as_array().unwrap().clone()
}

#[test]
fn a_folder_outside_any_repository_is_judged_package_by_package() {
    let sandbox = Sandbox::empty();
    sandbox.write("good/okta.go", RIGHT);
    sandbox.write("bad/anything.go", wrong());
    // Neither other people's code, nor what tests read, nor what is hidden.
    for folder in ["vendor/x", "node_modules/x", "testdata", ".cache", "_old"] {
        sandbox.write(&format!("{folder}/okta.go"), wrong());
    }
    let out = sandbox.pertask(["check", "--path", "."]).code(1);
    insta::assert_snapshot!(out.text(), @r#"
    exit 1
    --- stdout
    bad/anything.go:19:2: Invoke of Okta: the first statement does not call ValidateCredentials [validate-credentials]
        begin Invoke with `if err := h.ValidateCredentials(); err != nil { return fmt.Errorf("validate credentials: %w", err) }`
    1 finding
    --- stderr
    Looked at 2 source files by the 7 shipped rules
    "#);

    let good = sandbox.pertask(["check", "--path", "good"]).code(0);
    assert_eq!(good.stdout, "");
    let json = sandbox
        .pertask(["check", "--path", "good", "--format", "json"])
        .code(0);
    assert_eq!(json.stdout, "{\"schema\":1,\"findings\":[]}\n");
    // A folder that is named is judged, whatever its name.
    sandbox.pertask(["check", "--path", "testdata"]).code(1);
}

#[test]
fn every_format_says_the_same_place() {
    let sandbox = Sandbox::new();
    sandbox.write("pkg/okta.go", wrong());
    let run = |format: &str| {
        sandbox
            .pertask_in(
                &sandbox.repo.join("pkg"),
                ["check", "--path", ".", "--format", format],
            )
            .code(1)
            .stdout
    };
    let json = findings(&run("json"));
    assert_eq!(json.len(), 1, "{json:?}");
    // In a repository paths are the repository's, from wherever the command is run.
    assert_eq!(json[0]["file"], "pkg/okta.go");
    assert_eq!(json[0]["rule"], "validate-credentials");
    let keys: Vec<&String> = json[0].as_object().unwrap().keys().collect();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert!(run("text").starts_with("pkg/okta.go:19:"));
    assert!(run("github").starts_with("::error file=pkg/okta.go,line=19,"));
    let sarif: Value = serde_json::from_str(&run("sarif")).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "pkg/okta.go");
    assert_eq!(place["region"]["startLine"], 19);
}

#[test]
fn the_nearest_module_says_which_go_it_is() {
    const LOOP: &str = "package a

import \"golang.org/x/sync/errgroup\"

func run(items []int, send func(int) error) error {
	var g errgroup.Group
	g.SetLimit(4)
	for _, item := range items {
		g.Go(func() error { return send(item) })
	}
	return g.Wait()
}
";
    let sandbox = Sandbox::empty();
    sandbox.write("go.mod", "module new\n\ngo 1.25\n");
    sandbox.write("a/a.go", LOOP);
    sandbox.write("old/go.mod", "module old\n\ngo 1.21\n");
    sandbox.write("old/deep/down/a.go", LOOP);
    let out = sandbox
        .pertask(["check", "--path", ".", "--format", "json"])
        .code(1);
    let files: Vec<Value> = findings(&out.stdout)
        .iter()
        .filter(|f| f["rule"] == "errgroup")
        .map(|f| f["file"].clone())
        .collect();
    assert_eq!(files, [json!("old/deep/down/a.go")], "{}", out.stdout);
    // The module may be above the folder that is named.
    let below = sandbox
        .pertask(["check", "--path", "old/deep", "--format", "json"])
        .code(1);
    assert_eq!(findings(&below.stdout)[0]["file"], "down/a.go");
}

#[test]
fn a_repositorys_own_rules_are_asked_too() {
    let sandbox = Sandbox::new();
    sandbox.write(
        ".pertask/rules/no-print.yml",
        "id: no-print\nlanguage: Go\nmessage: no printing here\nrule:\n  pattern: println($$$)\n",
    );
    sandbox.write("a.go", "package a\n\nfunc f() { println(\"x\") }\n");
    let out = sandbox
        .pertask(["check", "--path", ".", "--format", "json"])
        .code(1);
    assert_eq!(findings(&out.stdout)[0]["rule"], "no-print");
    sandbox.write(".pertask/rules/no-print.yml", "id: no-print\n");
    let broken = sandbox.pertask(["check", "--path", "."]).code(2);
    assert!(
        broken.stderr.contains(".pertask/rules/no-print.yml"),
        "{}",
        broken.stderr
    );
}

#[test]
fn a_wrong_path_is_bad_usage() {
    let sandbox = Sandbox::empty();
    sandbox.write("a.go", RIGHT);
    for wrong in [
        vec!["check", "--path", "nowhere"],
        vec!["check", "--path", "a.go"],
        vec!["check", "wiz", "--path", "."],
        vec!["check", "--path", ".", "--format", "xml"],
        vec!["check"],
        vec!["check", "wiz"],
    ] {
        let out = sandbox.pertask(&wrong).code(2);
        assert_eq!(out.stdout, "", "{wrong:?}");
        assert!(!out.stderr.is_empty());
    }
}

#[test]
fn what_says_that_it_is_generated_is_named() {
    let sandbox = Sandbox::empty();
    sandbox.write(
        "a.go",
        format!("// Code generated by hand. DO NOT EDIT.\n\n{}", wrong()),
    );
    let out = sandbox.pertask(["check", "--path", "."]).code(0);
    assert!(
        out.stderr
            .contains("a.go is not judged by the shipped rules: it says that it is generated"),
        "{}",
        out.stderr
    );
}

#[test]
fn the_sample_and_what_the_demo_ends_with_are_without_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sandbox = Sandbox::empty();
    for folder in ["samples/wiz/repository", "templates/demo/final"] {
        let out = sandbox
            .pertask_in(root, ["check", "--path", folder, "--format", "json"])
            .code(0);
        assert_eq!(out.stdout, "{\"schema\":1,\"findings\":[]}\n", "{folder}");
        assert!(!out.stderr.contains("No source file"), "{}", out.stderr);
    }
}

#[test]
fn a_run_is_judged_on_its_branch_by_the_rules_each_task_names() {
    const PLAN: &str = r#"title = "Handler"
build = []

[[task]]
id = "handler"
title = "Handler"
file = "okta/okta.go"
purpose = "The handler"
rules = ["validate-credentials"]
success = ["It is good to read", "It is fast"]
risk = "high"

[[task]]
id = "notes"
title = "Notes"
file = "notes.txt"
purpose = "The notes"
depends_on = ["handler"]
"#;
    let sandbox = Sandbox::new();
    let right = sandbox.root().join("right.go");
    std::fs::write(&right, RIGHT).unwrap();
    sandbox.agent(&format!(
        "cat > /dev/null\nmkdir -p okta\necho notes > notes.txt\n[ $PERTASK_TASK = notes ] || {{ rm notes.txt; cp '{}' okta/okta.go; }}\nprintf '{{\"status\":\"complete\"}}' > \"$PERTASK_HANDOFF_FILE\"",
        right.display()
    ));
    sandbox.plan(PLAN);
    sandbox.commit("Add the plan");
    // The agent copies a file of the test's.
    sandbox.unconfined();
    let out = sandbox.pertask(["start", "wiz"]).code(0);
    // The criteria in prose are the reviewer's: shown, and never ticked.
    let criteria = "Success criteria (yours to judge)\n[ ] It is good to read\n[ ] It is fast\n";
    assert!(out.stdout.contains(criteria), "{}", out.text());
    let show = sandbox.pertask(["show", "wiz", "handler"]).code(0);
    assert!(show.stdout.contains(criteria), "{}", show.text());
    // What waits for a review is not on the run branch yet.
    let before = sandbox
        .pertask(["check", "wiz", "--format", "json"])
        .code(1);
    assert_eq!(findings(&before.stdout), Vec::<Value>::new());
    sandbox.pertask(["approve", "wiz", "handler"]).code(0);
    // Somebody spoils it on the run branch after the review: the rules say so, on that branch.
    sandbox.git(["checkout", "--quiet", "pertask/wiz/main"]);
    sandbox.write("okta/okta.go", wrong());
    sandbox.commit("Spoil it");
    sandbox.git(["checkout", "--quiet", "main"]);
    sandbox.pertask(["continue", "wiz"]).code(0);
    let spoilt = sandbox
        .pertask(["check", "wiz", "--format", "json"])
        .code(1);
    let found = findings(&spoilt.stdout);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["file"], "okta/okta.go");
    assert_eq!(found[0]["rule"], "validate-credentials");
    sandbox.git(["checkout", "--quiet", "pertask/wiz/main"]);
    sandbox.git(["revert", "--no-edit", "HEAD"]);
    sandbox.git(["checkout", "--quiet", "main"]);
    sandbox.pertask(["approve", "wiz", "notes"]).code(0);
    let done = sandbox
        .pertask(["check", "wiz", "--format", "json"])
        .code(0);
    let value: Value = serde_json::from_str(&done.stdout).unwrap();
    let keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["findings", "gate", "schema"]);
}
