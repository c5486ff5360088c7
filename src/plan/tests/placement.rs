use insta::assert_snapshot;

use super::load_docs;

const PATH: &str = ".pertask/wiz/architecture.md";

#[test]
fn placement_is_compared_with_the_plan() {
    let loaded = load_docs(&[
        (PATH, "text"),
        ("modules/chariot/backend/pkg/tasks/integrations/integrations.go", "package integrations"),
        (
            ".pertask/wiz/file-placement.md",
            "# Files\n\n```\nmodules/chariot/backend/pkg/tasks/integrations/wiz/\n├── wiz.go        # handler\n├── {vendor}_types.go\n├── sub/\n│   └── extra.go\n└── wiz_client_test.go\n```\n\n\
             - `integrations.go`: registration, see `other.go`\n- match_test.go\n- unknown.go\n\n\
             ## Optional\n\n| File | Why |\n|--|--|\n| `ui/src/wiz.tsx` | icon |\n",
        ),
    ])
    .expect("valid");
    let places: Vec<String> = loaded
        .plan
        .placement
        .iter()
        .map(|file| {
            format!(
                "{}:{}{}",
                file.line,
                file.path,
                if file.optional { " optional" } else { "" }
            )
        })
        .collect();
    assert_snapshot!(places.join("\n"), @r#"
    5:modules/chariot/backend/pkg/tasks/integrations/wiz/wiz.go
    6:modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_types.go
    8:modules/chariot/backend/pkg/tasks/integrations/wiz/sub/extra.go
    9:modules/chariot/backend/pkg/tasks/integrations/wiz/wiz_client_test.go
    12:modules/chariot/backend/pkg/tasks/integrations/integrations.go
    13:modules/chariot/backend/pkg/tasks/integrations/wiz/match_test.go
    20:ui/src/wiz.tsx optional
    "#);
    assert_snapshot!(loaded.warnings, @r#"
    warning: no tasks and no files are described here
     --> .pertask/wiz/architecture.md:1:1
      |
    1 | text
      | ^
      |
      = help: the template `integration` alone gives the tasks; describe each file under a heading that names it

    warning: no task creates `modules/chariot/backend/pkg/tasks/integrations/wiz/sub/extra.go`
     --> .pertask/wiz/file-placement.md:8:1
      |
    8 | │   └── extra.go
      | ^^^^^^^^^^^^^^^^
      |
      = help: add a task for it, or allow a task to touch it, or take it off the list

    warning: `unknown.go` has no folder, and no task has such a file
      --> .pertask/wiz/file-placement.md:14:3
       |
    14 | - unknown.go
       |   ^^^^^^^^^^
       |
       = help: write the path from the repository's root
    "#);
}

#[test]
fn a_list_without_files_is_said() {
    let loaded = load_docs(&[
        (
            ".pertask/wiz/plan.toml",
            "[[task]]\nid = 'a'\nfile = 'b/c.go'\n",
        ),
        (
            ".pertask/wiz/file-placement.md",
            "Everything goes where it belongs.\n",
        ),
    ])
    .expect("valid");
    assert!(loaded.plan.placement.is_empty());
    assert_snapshot!(loaded.warnings, @r#"
    warning: no file is listed here
     --> .pertask/wiz/file-placement.md:1:1
      |
    1 | Everything goes where it belongs.
      | ^
      |
      = help: list the files as list items, in a table or as a tree, by their paths
    "#);
}
