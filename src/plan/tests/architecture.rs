use insta::assert_snapshot;

use super::{load_docs, template};
use crate::plan::{Loaded, RULES, SourceKind};

const PATH: &str = ".pertask/wiz/architecture.md";

/// The tasks, what was found and what is doubtful, as `git pertask plan` has them to show.
fn summary(loaded: &Loaded) -> String {
    use std::fmt::Write as _;

    let mut text = String::new();
    for task in &loaded.plan.tasks {
        writeln!(
            text,
            "{} \"{}\" {} <- {:?} lines {:?}/{:?} {:?} rules {:?}",
            task.id,
            task.title,
            task.file,
            task.depends_on,
            task.estimated_lines,
            task.max_lines,
            task.risk,
            task.rules
        )
        .expect("writing to a string");
    }
    for found in &loaded.found {
        writeln!(text, "{}:{} {}", found.file, found.line, found.what).expect("string");
    }
    format!("{text}\n{}", loaded.warnings)
}

fn architecture(text: &str) -> Result<Loaded, String> {
    load_docs(&[(PATH, text)])
}

#[test]
fn a_table_in_any_order_of_columns_gives_the_tasks() {
    let loaded = architecture(
        "# Migration\n\n## Implementation Tasks\n\n\
         | Risk | DEPENDS ON | File | Batch | Estimated Lines | id | Task | Owner |\n\
         |---|---|---|---|---|---|---|---|\n\
         | high | T002, `T003` | `src/main.rs` | 2 | ~120 | T001 | Start | me |\n\
         | low | - | src/a.rs | 1 | 80-100 | T002 | Part A | |\n\
         | medium | none | src/b.rs | 1 | | T003 | Part B | |\n\n\
         ### T002: Part A\n\nKeeps the parser.\n\n**Acceptance criteria**\n\n- [ ] Parses\n- [ ] Prints\n\n\
         ### `src/b.rs`\n\nPurpose: prints.\n\n#### Requirements\n\n1. One\n2. Two with `code`\n\n\
         ### `src/nobody.rs`\n\nPurpose: lost.\n\n### src/b_test.rs\n\nTests.\n",
    )
    .expect("a valid document");
    assert_eq!(loaded.plan.title, "Migration");
    assert_eq!(loaded.plan.source.kind, SourceKind::Architecture);
    assert_eq!(loaded.plan.tasks[0].success, ["Parses", "Prints"]);
    assert_eq!(loaded.plan.tasks[0].purpose, "Keeps the parser.");
    assert_eq!(
        loaded.plan.tasks[1].requirements,
        ["One", "Two with `code`"]
    );
    assert!(loaded.plan.build.is_empty() && loaded.plan.directory.is_empty());
    assert_snapshot!(summary(&loaded), @r#"
    t002 "Part A" src/a.rs <- [] lines Some(100)/None Low rules []
    t003 "Part B" src/b.rs <- [] lines None/None High rules []
    t001 "Start" src/main.rs <- ["t002", "t003"] lines Some(120)/None High rules []
    .pertask/wiz/architecture.md:7 task t001
    .pertask/wiz/architecture.md:8 task t002
    .pertask/wiz/architecture.md:9 task t003
    .pertask/wiz/architecture.md:13 task t002: purpose
    .pertask/wiz/architecture.md:17 task t002: 2 acceptance criteria
    .pertask/wiz/architecture.md:22 task t003: purpose
    .pertask/wiz/architecture.md:26 task t003: 2 requirements
    .pertask/wiz/architecture.md:0 an input of every prompt

    warning: the column "Owner" is not known and not used
     --> .pertask/wiz/architecture.md:5:68
      |
    5 | | Risk | DEPENDS ON | File | Batch | Estimated Lines | id | Task | Owner |
      |                                                                    ^^^^^

    warning: no build command is known for these tasks
     --> .pertask/wiz/architecture.md:7:52
      |
    7 | | high | T002, `T003` | `src/main.rs` | 2 | ~120 | T001 | Start | me |
      |                                                    ^^^^
      |
      = help: write a template with `build` in .pertask/templates/ and name it in .pertask/config.toml, or write a plan.toml

    warning: the task `t001` has no purpose
     --> .pertask/wiz/architecture.md:7:52
      |
    7 | | high | T002, `T003` | `src/main.rs` | 2 | ~120 | T001 | Start | me |
      |                                                    ^^^^

    warning: a range of lines is taken as 100
     --> .pertask/wiz/architecture.md:8:28
      |
    8 | | low | - | src/a.rs | 1 | 80-100 | T002 | Part A | |
      |                            ^^^^^^

    warning: the risk "medium" is taken as high
     --> .pertask/wiz/architecture.md:9:3
      |
    9 | | medium | none | src/b.rs | 1 | | T003 | Part B | |
      |   ^^^^^^
      |
      = help: write low or high

    warning: no task of the table has the file `src/nobody.rs`
      --> .pertask/wiz/architecture.md:29:6
       |
    29 | ### `src/nobody.rs`
       |      ^^^^^^^^^^^^^
    "#);
}

#[test]
fn what_is_wrong_in_a_table_has_its_place() {
    assert_snapshot!(architecture(
        "## Implementation tasks\n\n\
         | ID | File | Dependencies | Risk | Rules | Files | ID |\n\
         |----|------|--------------|------|-------|-------|----|\n\
         | T001 | a.go, b.go | | low | | | |\n\
         | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |\n\
         | | c.go | | | | | |\n\
         | T004 | | | | | | |\n",
    ).expect_err("errors"), @r#"
    error: this column is there twice
     --> .pertask/wiz/architecture.md:3:53
      |
    3 | | ID | File | Dependencies | Risk | Rules | Files | ID |
      |                                                     ^^

    error: `a.go, b.go` is not one file
     --> .pertask/wiz/architecture.md:5:10
      |
    5 | | T001 | a.go, b.go | | low | | | |
      |          ^^^^^^^^^^
      |
      = help: a task has one file; split the task, or allow the others in a plan.toml

    error: `t 2` cannot be the id of a task
     --> .pertask/wiz/architecture.md:6:3
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |   ^^^
      |
      = help: use lower-case letters, digits and hyphens, not starting with a hyphen

    error: the path `/abs.go` is not relative to the repository's root
     --> .pertask/wiz/architecture.md:6:9
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |         ^^^^^^^

    error: `t 2` depends on `t01`, which is no task
     --> .pertask/wiz/architecture.md:6:19
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |                   ^^^

    error: `t 2` depends on `t004`, which is no task
     --> .pertask/wiz/architecture.md:6:24
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |                        ^^^^

    error: "tiny" is no risk
     --> .pertask/wiz/architecture.md:6:31
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |                               ^^^^
      |
      = help: write low or high

    error: unknown rule `vmfiler`
     --> .pertask/wiz/architecture.md:6:38
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |                                      ^^^^^^^
      |
      = help: did you mean `vmfilter`?

    error: this row has no ID
     --> .pertask/wiz/architecture.md:7:3
      |
    7 | | | c.go | | | | | |
      |   ^

    error: the task `t004` names no file
     --> .pertask/wiz/architecture.md:8:3
      |
    8 | | T004 | | | | | | |
      |   ^^^^
      |
      = help: each task creates or changes one file; name it in the column "File"

    warning: the column "Files" is not known and not used
     --> .pertask/wiz/architecture.md:3:45
      |
    3 | | ID | File | Dependencies | Risk | Rules | Files | ID |
      |                                             ^^^^^
      |
      = help: did you mean "file"?

    warning: no build command is known for these tasks
     --> .pertask/wiz/architecture.md:6:3
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |   ^^^
      |
      = help: write a template with `build` in .pertask/templates/ and name it in .pertask/config.toml, or write a plan.toml

    warning: the task `t 2` has no purpose
     --> .pertask/wiz/architecture.md:6:3
      |
    6 | | T 2 | /abs.go | T01, T004 | tiny | vmfiler | | |
      |   ^^^
    "#);
}

#[test]
fn a_table_that_cannot_be_used_is_said() {
    assert_snapshot!(architecture("## Implementation tasks\n\n| ID | Task |\n|--|--|\n| a | b |\n")
        .expect_err("errors"), @r#"
    error: the task table has no column "File"
     --> .pertask/wiz/architecture.md:3:1
      |
    3 | | ID | Task |
      | ^^^^^^^^^^^^^
    "#);
    let stray = architecture("## Overview\n\n| ID | Task | File |\n|--|--|--|\n| a | b | c/d.go |\n\n## Tasks\n\nSoon.\n")
        .expect("the template's tasks");
    assert_snapshot!(stray.warnings, @r#"
    warning: no tasks and no files are described here
     --> .pertask/wiz/architecture.md:1:1
      |
    1 | ## Overview
      | ^
      |
      = help: the template `integration` alone gives the tasks; describe each file under a heading that names it

    warning: this looks like a task table, but its heading does not say so; it is not used
     --> .pertask/wiz/architecture.md:3:1
      |
    3 | | ID | Task | File |
      | ^^^^^^^^^^^^^^^^^^^^
      |
      = help: call the heading "Implementation tasks"

    warning: there is no task table under this heading
     --> .pertask/wiz/architecture.md:7:1
      |
    7 | ## Tasks
      | ^^^^^^^^
    "#);
}

#[test]
fn file_sections_fill_the_template() {
    let loaded = load_docs(&[
        (
            PATH,
            "# Wiz\n\n## Files\n\n### 1. wiz_types.go\n\nEstimated lines: 120\n\n\
             ### `modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_client.go` (~185 lines)\n\n\
             **Purpose**: Talks to Wiz.\n\n**Estimated lines**: ~185\n\n**Requirements**:\n- OAuth token kept\n- Constructor `NewClient`\n\n\
             **API methods**:\n- `ListAssets(ctx, token) (*ListResponse, error)` lists\n- GetAsset - one asset\n- and more to come\n\n\
             ### wiz_transform.go\n\n#### Tabularium mapping\n\n| Wiz | Tabularium |\n|--|--|\n| hostname | Asset.DNS |\n| id | Asset.CloudId |\n\n\
             ### wiz.go\n\n#### Acceptance criteria\n\n- Filtered\n\n#### Risk\n\nlow\n\n\
             ### modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_cache.go\n\nKeeps pages.\n\nDepends on: wiz_types.go, nothing.go\n\n\
             ### wiz_client_test.go\n\nTests.\n\n### `integrations.go`\n\nRegistration.\n\n### helper.go\n\nBare.\n",
        ),
        (".pertask/wiz/discovery.md", "x"),
    ])
    .expect("a valid document");
    let plan = &loaded.plan;
    assert_eq!(plan.source.kind, SourceKind::Template);
    assert_eq!(
        plan.inputs,
        [".pertask/wiz/architecture.md", ".pertask/wiz/discovery.md"]
    );
    let client = plan
        .tasks
        .iter()
        .find(|task| task.id == "client")
        .expect("there");
    assert_eq!(client.purpose, "Talks to Wiz.");
    assert_eq!(client.api_methods[1], "GetAsset - one asset");
    assert_eq!(
        client.requirements.last().map(String::as_str),
        Some("Constructor `NewClient`")
    );
    let transform = plan
        .tasks
        .iter()
        .find(|task| task.id == "transform")
        .expect("there");
    assert_eq!(
        transform.mapping,
        ["hostname → Asset.DNS", "id → Asset.CloudId"]
    );
    assert_snapshot!(summary(&loaded), @r#"
    types "API types" modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_types.go <- [] lines Some(120)/Some(199) Low rules ["error-handling", "file-size"]
    client "HTTP client" modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_client.go <- ["types"] lines Some(185)/Some(199) Low rules ["error-handling", "pagination", "file-size"]
    transform "Data transformations" modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_transform.go <- ["types"] lines None/Some(149) Low rules ["error-handling", "file-size"]
    handler "Primary handler" modules/chariot/backend/pkg/tasks/integrations/wiz/wiz.go <- ["client", "transform"] lines None/Some(349) High rules ["vmfilter", "check-affiliation", "validate-credentials", "errgroup", "pagination", "error-handling", "file-size"]
    wiz-cache "wiz-cache" modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_cache.go <- ["types"] lines None/None Low rules []
    .pertask/wiz/architecture.md:7 task types: estimated lines 120
    .pertask/wiz/architecture.md:11 task client: purpose
    .pertask/wiz/architecture.md:13 task client: estimated lines 185
    .pertask/wiz/architecture.md:16 task client: 2 requirements
    .pertask/wiz/architecture.md:20 task client: API methods ListAssets, GetAsset
    .pertask/wiz/architecture.md:30 task transform: 2 lines of the mapping
    .pertask/wiz/architecture.md:41 task handler: risk low
    .pertask/wiz/architecture.md:37 task handler: 1 acceptance criterion
    .pertask/wiz/architecture.md:45 task wiz-cache: purpose
    .pertask/wiz/architecture.md:47 task wiz-cache: depends on wiz_types.go, nothing.go
    templates/integration.toml (built in):0 template integration: what the document lacks
    .pertask/wiz/architecture.md:0 an input of every prompt
    .pertask/wiz/discovery.md:0 an input of every prompt

    warning: no method is named here
      --> .pertask/wiz/architecture.md:22:1
       |
    22 | - and more to come
       | ^^^^^^^^^^^^^^^^^^
       |
       = help: start with the method, like `ListAssets(ctx)`

    warning: the template has no task for `modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_cache.go`; it becomes the task `wiz-cache`
      --> .pertask/wiz/architecture.md:43:5
       |
    43 | ### modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_cache.go
       |     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: what it depends on is taken from "Depends on:" in its section

    warning: `nothing.go` is no task and no task's file; it is not used
      --> .pertask/wiz/architecture.md:47:1
       |
    47 | Depends on: wiz_types.go, nothing.go
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    warning: `helper.go` has no folder; it becomes no task
      --> .pertask/wiz/architecture.md:57:5
       |
    57 | ### helper.go
       |     ^^^^^^^^^
       |
       = help: write the path from the repository's root
    "#);
}

#[test]
fn what_the_document_is_silent_about_or_says_twice_is_told() {
    let loaded = architecture(
        "### wiz.go\n\nOne.\n\n### wiz_types.go\n\n### wiz_client.go\n\n### wiz.go\n\nTwo.\n",
    )
    .expect("valid");
    assert_eq!(loaded.plan.tasks[3].purpose, "Two.");
    assert_snapshot!(loaded.warnings, @r#"
    warning: .pertask/wiz/architecture.md: no section describes `modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_transform.go`; the task `transform` is the template's alone

    warning: `wiz.go` has a second section
     --> .pertask/wiz/architecture.md:9:5
      |
    9 | ### wiz.go
      |     ^^^^^^
      |
      = help: line 1 has the first; put them together
    "#);
}

#[test]
fn the_template_alone_serves_an_empty_document() {
    let loaded = architecture("").expect("the template's four tasks");
    let ids: Vec<&str> = loaded
        .plan
        .tasks
        .iter()
        .map(|task| task.id.as_str())
        .collect();
    assert_eq!(ids, ["types", "client", "transform", "handler"]);
    let limits: Vec<u32> = loaded
        .plan
        .tasks
        .iter()
        .filter_map(|task| task.max_lines)
        .collect();
    assert_eq!(limits, [199, 199, 149, 349]);
    assert_eq!(loaded.plan.tasks[3].depends_on, ["client", "transform"]);
    assert_eq!(loaded.plan.tasks[3].rules.len(), 7);
    assert_eq!(loaded.plan.build, [["go", "build", "./..."]]);
    assert_eq!(loaded.plan.title, "wiz integration");
    assert_snapshot!(loaded.warnings, @r#"
    warning: no tasks and no files are described here
     --> .pertask/wiz/architecture.md:1:1
      |
    1 |
      | ^
      |
      = help: the template `integration` alone gives the tasks; describe each file under a heading that names it
    "#);
}

#[test]
fn a_table_of_the_template_s_files_takes_the_rest_from_it() {
    let loaded = architecture(
        "## Implementation tasks\n\n| ID | File | Depends on |\n|--|--|--|\n\
         | T001 | wiz_types.go | - |\n| T002 | `wiz.go` | T001 |\n",
    )
    .expect("valid");
    let all = architecture("## Tasks\n\n| ID | File | Rules |\n|--|--|--|\n| a | b/c.go | all |\n");
    assert_eq!(all.expect("valid").plan.tasks[0].rules, RULES);
    let [types, handler] = loaded.plan.tasks.as_slice() else {
        panic!("two tasks")
    };
    assert_eq!(types.max_lines, Some(199));
    assert_eq!(
        (handler.depends_on.as_slice(), handler.rules.len()),
        (&["t001".to_owned()][..], 7)
    );
    assert_eq!(loaded.plan.directory, "modules/chariot/backend");
}

#[test]
fn one_s_own_template_is_used_and_an_unknown_one_named() {
    let own = "build = [['make']]\n[[task]]\nid = 'x'\nfile = '{{ vendor }}/{{ region }}.c'\n";
    let files = [(PATH, "text"), (".pertask/templates/mine.toml", own)];
    assert_snapshot!(template("mine", &files).expect_err("a parameter is missing"), @r#"
    error: there is no parameter `region`
     --> .pertask/templates/mine.toml:4:25
      |
    4 | file = '{{ vendor }}/{{ region }}.c'
      |                         ^^^^^^
      |
      = help: known are `vendor`; give it with --param region=…

    warning: the task `x` has no purpose
     --> .pertask/templates/mine.toml:2:1
      |
    2 | [[task]]
      | ^^^^^^^^

    warning: no tasks and no files are described here
     --> .pertask/wiz/architecture.md:1:1
      |
    1 | text
      | ^
      |
      = help: the template `mine` alone gives the tasks; describe each file under a heading that names it
    "#);
    assert_snapshot!(template("mien", &files).expect_err("unknown"), @r#"
    error: .pertask/config.toml: there is no template `mien`
           help: write .pertask/templates/mien.toml; known are mine, integration

    warning: no tasks and no files are described here
     --> .pertask/wiz/architecture.md:1:1
      |
    1 | text
      | ^
      |
      = help: the template `mien` alone gives the tasks; describe each file under a heading that names it
    "#);
}

#[test]
fn nothing_there_says_what_to_write() {
    assert_snapshot!(load_docs(&[]).expect_err("nothing"), @r#"
    error: there is no plan `wiz`
           help: write .pertask/wiz/plan.toml, or .pertask/wiz/architecture.md for the template `integration`, and commit it
    "#);
}

#[test]
fn the_api_and_the_mapping_may_stand_by_themselves() {
    let loaded = architecture(
        "## Vendor API\n\n| Method | Request |\n|--|--|\n| `ListAssets` | `GET /assets` |\n| `GetAsset` | x |\n\n\
         ### Answers\n\n| Method | Path |\n|--|--|\n| GET | /me |\n\n\
         ## API endpoints\n\n| Method | Path |\n|--|--|\n| GET | /me |\n\n\
         ## API methods\n\n- `GetUser(ctx)`\n\n### Tabularium mapping\n\n- id is Asset.Key\n",
    )
    .expect("valid");
    let task = |id: &str| {
        loaded
            .plan
            .tasks
            .iter()
            .find(|task| task.id == id)
            .expect("there")
    };
    assert_eq!(
        task("client").api_methods,
        ["`ListAssets`", "`GetAsset`", "`GetUser(ctx)`"]
    );
    assert_eq!(task("transform").mapping, ["id is Asset.Key"]);
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    assert!(
        loaded
            .found
            .iter()
            .all(|found| !found.what.contains("nothing")),
        "{:?}",
        loaded.found
    );
    let nobody = architecture(
        "## Tasks\n\n| ID | File |\n|--|--|\n| a | b/c.go |\n\n## API methods\n\n- `X`\n",
    );
    let warnings = nobody.expect("valid").warnings;
    let lost: Vec<String> = warnings
        .iter()
        .map(|found| format!("{} {}", found.place(), found.message))
        .collect();
    assert!(
        lost.contains(
            &".pertask/wiz/architecture.md:7:1 this belongs to no file; it is not used".to_owned()
        ),
        "{lost:?}"
    );
}

#[test]
fn methods_are_named_in_many_ways() {
    use crate::plan::method_name;

    let named = [
        (
            "`ListAssets(ctx, token) (*List, error)` lists",
            Some("ListAssets"),
        ),
        ("func (c *client) ListAssets(ctx) error", Some("ListAssets")),
        ("async def list_assets(self):", Some("list_assets")),
        ("client.ListAssets - all of them", Some("ListAssets")),
        ("ListAssets: all of them", Some("ListAssets")),
        ("List[T any](x T)", Some("List")),
        ("Self::list", Some("list")),
        ("GET /assets", None),
        ("`GET`", None),
        ("the other methods", None),
        ("(c *client", None),
        ("", None),
        ("42", None),
    ];
    for (text, name) in named {
        assert_eq!(method_name(text), name, "{text}");
    }
}
