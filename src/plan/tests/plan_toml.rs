use insta::assert_snapshot;

use super::{errors, load_docs, load_toml, params};
use crate::plan::{Config, RULES, Risk, SourceKind, load};

const FULL: &str = r#"
title = "Wiz integration"
base = "main"
inputs = ["architecture.md", "docs/api.md"]
skills = ["developing-with-tdd"]
directory = "modules/chariot/backend/"
build = [["go", "build", "./..."]]
check_timeout = "10m"
sparse = ["modules/chariot"]
time_constrained = true
new_patterns = true

[[task]]
id = "client"
title = "HTTP client for {{ vendor }}"
file = "modules/chariot/{{ vendor }}/{{ vendor }}_client.go"
purpose = "p"
requirements = ["r"]
example = "e"
success = ["s"]
estimated_lines = 185
max_lines = 199
depends_on = ["types"]
rules = ["error-handling"]
checks = [["go", "vet", "./..."]]
allow = ["**/*_test.go", "go.mod"]
requires = ["**/integrations.go"]
risk = "high"
complex_data = true
agent = "codex"

[[task]]
id = "types"
file = "modules/chariot/{{ vendor }}/{{ vendor }}_types.go"

[[gate]]
item = "licences are in order"
command = ["licences", "check"]
[[gate]]
build = [["make"]]
"#;

#[test]
fn every_key_is_read_and_tasks_are_ordered() {
    let loaded = load_docs(&[
        (".pertask/wiz/plan.toml", FULL),
        (".pertask/wiz/architecture.md", ""),
        ("docs/api.md", ""),
    ])
    .expect("a valid plan");
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let plan = loaded.plan;
    assert_eq!(plan.source.kind, SourceKind::PlanToml);
    assert_eq!(plan.inputs, [".pertask/wiz/architecture.md", "docs/api.md"]);
    assert_eq!(plan.directory, "modules/chariot/backend");
    assert_eq!(plan.parameters["vendor"], "wiz");
    assert_eq!(plan.gate.build, [["make"]]);
    assert_eq!(plan.gate.items[0].command, ["licences", "check"]);
    assert_eq!(plan.check_timeout_s, 600);
    assert!(plan.time_constrained && plan.new_patterns);
    let [types, client] = plan.tasks.as_slice() else {
        panic!("two tasks")
    };
    assert_eq!(types.title, "types");
    assert_eq!(types.allow, ["modules/chariot/wiz/wiz_types_test.go"]);
    assert_eq!(client.title, "HTTP client for wiz");
    assert_eq!(client.file, "modules/chariot/wiz/wiz_client.go");
    assert_eq!(
        client.allow,
        ["**/*_test.go", "go.mod", "**/integrations.go"]
    );
    assert_eq!((client.max_lines, client.risk), (Some(199), Risk::High));
    assert_eq!(client.agent.as_deref(), Some("codex"));
}

#[test]
fn unknown_keys_and_wrong_types_come_with_suggestions() {
    assert_snapshot!(errors(r#"titel = "x"
build = ["go", "build"]
check_timeout = 10

[[task]]
id = "a"
file = "a.go"
depend_on = ["b"]
estimated_lines = "many"
max_lines = 0
risk = "hihg"
checks = [[]]

[[tasks]]
id = "b"
"#), @r#"
    error: unknown key `titel`
     --> .pertask/wiz/plan.toml:1:1
      |
    1 | titel = "x"
      | ^^^^^
      |
      = help: did you mean `title`?

    error: `build` must be a list of argument lists, like [["go", "build"]], not a string
     --> .pertask/wiz/plan.toml:2:10
      |
    2 | build = ["go", "build"]
      |          ^^^^

    error: `build` must be a list of argument lists, like [["go", "build"]], not a string
     --> .pertask/wiz/plan.toml:2:16
      |
    2 | build = ["go", "build"]
      |                ^^^^^^^

    error: `check_timeout` must be a duration as a string, like "10m", not an integer
     --> .pertask/wiz/plan.toml:3:17
      |
    3 | check_timeout = 10
      |                 ^^

    error: unknown key `depend_on`
     --> .pertask/wiz/plan.toml:8:1
      |
    8 | depend_on = ["b"]
      | ^^^^^^^^^
      |
      = help: did you mean `depends_on`?

    error: `estimated_lines` must be a whole number, not a string
     --> .pertask/wiz/plan.toml:9:19
      |
    9 | estimated_lines = "many"
      |                   ^^^^^^

    error: `max_lines` must be a whole number from 1 to 4294967295
      --> .pertask/wiz/plan.toml:10:13
       |
    10 | max_lines = 0
       |             ^

    error: `risk` cannot be "hihg"
      --> .pertask/wiz/plan.toml:11:8
       |
    11 | risk = "hihg"
       |        ^^^^^^
       |
       = help: did you mean "high"?

    error: `checks` has an empty command
      --> .pertask/wiz/plan.toml:12:11
       |
    12 | checks = [[]]
       |           ^^
       |
       = help: a command is an argument list with the program first: ["go", "build", "./..."]

    error: unknown key `tasks`
      --> .pertask/wiz/plan.toml:14:3
       |
    14 | [[tasks]]
       |   ^^^^^
       |
       = help: did you mean `task`?
    "#);
}

#[test]
fn whole_plan_problems_are_reported_at_once() {
    assert_snapshot!(errors(r#"
inputs = ["nowhere.md"]
directory = "../elsewhere"
[[task]]
id = "a"
file = "x/a.go"
depends_on = ["b", "bee"]
rules = ["vmfiltre"]
agent = "cluade"
[[task]]
id = "b"
file = "x/a.go"
depends_on = ["c"]
allow = ["src/[", ".github/**"]
[[task]]
id = "c"
file = "/etc/passwd"
depends_on = ["a"]
[[task]]
id = "a"
file = "x/../../y"
[[task]]
id = "batch"
file = ".github/workflows/ci.yml"
[[task]]
id = "Bad Id"
file = ""
"#), @r#"
    error: there is no input `nowhere.md`
     --> .pertask/wiz/plan.toml:2:11
      |
    2 | inputs = ["nowhere.md"]
      |           ^^^^^^^^^^^^
      |
      = help: looked for .pertask/wiz/nowhere.md and nowhere.md

    error: `directory`: the path `../elsewhere` leaves the repository
     --> .pertask/wiz/plan.toml:3:13
      |
    3 | directory = "../elsewhere"
      |             ^^^^^^^^^^^^^^

    error: tasks depend on each other in a circle: a → b → c → a
     --> .pertask/wiz/plan.toml:7:15
      |
    7 | depends_on = ["b", "bee"]
      |               ^^^
      |
      = help: an arrow reads "depends on"; take one of them out

    error: `a` depends on `bee`, which is no task
     --> .pertask/wiz/plan.toml:7:20
      |
    7 | depends_on = ["b", "bee"]
      |                    ^^^^^

    error: unknown rule `vmfiltre`
     --> .pertask/wiz/plan.toml:8:10
      |
    8 | rules = ["vmfiltre"]
      |          ^^^^^^^^^^
      |
      = help: did you mean `vmfilter`?

    error: unknown agent `cluade`
     --> .pertask/wiz/plan.toml:9:9
      |
    9 | agent = "cluade"
      |         ^^^^^^^^
      |
      = help: did you mean `claude`?

    error: two tasks claim the file `x/a.go`
      --> .pertask/wiz/plan.toml:12:8
       |
    12 | file = "x/a.go"
       |        ^^^^^^^^
       |
       = help: `a` claims it in .pertask/wiz/plan.toml:6; a file belongs to one task

    error: `src/[` is not a pattern: unclosed character class; missing ']'
      --> .pertask/wiz/plan.toml:14:10
       |
    14 | allow = ["src/[", ".github/**"]
       |          ^^^^^^^

    error: `.github/**` names the protected path `.github/`
      --> .pertask/wiz/plan.toml:14:19
       |
    14 | allow = ["src/[", ".github/**"]
       |                   ^^^^^^^^^^^^

    error: the path `/etc/passwd` is not relative to the repository's root
      --> .pertask/wiz/plan.toml:17:8
       |
    17 | file = "/etc/passwd"
       |        ^^^^^^^^^^^^^

    error: the id `a` is taken
      --> .pertask/wiz/plan.toml:20:6
       |
    20 | id = "a"
       |      ^^^
       |
       = help: .pertask/wiz/plan.toml:5 has it first

    error: the path `x/../../y` leaves the repository
      --> .pertask/wiz/plan.toml:21:8
       |
    21 | file = "x/../../y"
       |        ^^^^^^^^^^^

    error: a task cannot be called `batch`
      --> .pertask/wiz/plan.toml:23:6
       |
    23 | id = "batch"
       |      ^^^^^^^
       |
       = help: that name stands for all tasks together in batch mode

    error: the path `.github/workflows/ci.yml` is under the protected path `.github/`
      --> .pertask/wiz/plan.toml:24:8
       |
    24 | file = ".github/workflows/ci.yml"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^

    error: `Bad Id` cannot be the id of a task
      --> .pertask/wiz/plan.toml:26:6
       |
    26 | id = "Bad Id"
       |      ^^^^^^^^
       |
       = help: use lower-case letters, digits and hyphens, not starting with a hyphen

    error: the path `` is empty
      --> .pertask/wiz/plan.toml:27:8
       |
    27 | file = ""
       |        ^^
    "#);
}

#[test]
fn parameters_are_strict() {
    assert_snapshot!(errors(r#"
title = "{{ vendro }} and {{ colour }}"
[[task]]
id = "a"
file = "{{ vendor"
example = "m := []T{{1}, {2}}"
"#), @r#"
    error: there is no parameter `vendro`
     --> .pertask/wiz/plan.toml:2:13
      |
    2 | title = "{{ vendro }} and {{ colour }}"
      |             ^^^^^^
      |
      = help: did you mean `vendor`? known are `vendor`; give it with --param vendro=…

    error: there is no parameter `colour`
     --> .pertask/wiz/plan.toml:2:30
      |
    2 | title = "{{ vendro }} and {{ colour }}"
      |                              ^^^^^^
      |
      = help: known are `vendor`; give it with --param colour=…

    error: `{{ … }}` cannot be filled in: unexpected end of input, expected end of variable block
     --> .pertask/wiz/plan.toml:5:8
      |
    5 | file = "{{ vendor"
      |        ^^^^^^^^^^^
      |
      = help: put text that holds such braces between {% raw %} and {% endraw %}

    error: `{{ … }}` cannot be filled in: unexpected `}`, expected end of variable block
     --> .pertask/wiz/plan.toml:6:11
      |
    6 | example = "m := []T{{1}, {2}}"
      |           ^^^^^^^^^^^^^^^^^^^^
      |
      = help: put text that holds such braces between {% raw %} and {% endraw %}
    "#);
}

#[test]
fn parameters_that_nothing_uses_are_warned_of() {
    let text = "[[task]]\nid = 'a'\nfile = '{{ vendor }}/{{ region }}.go'\n";
    let docs = super::docs(&[(".pertask/wiz/plan.toml", text)]);
    let given = params(&[("region", "eu"), ("vendro", "x"), ("vendor", "acme")]);
    let loaded = load("wiz", &docs, &Config::default(), &given, &RULES).expect("valid");
    assert_eq!(loaded.plan.tasks[0].file, "acme/eu.go");
    assert_snapshot!(loaded.warnings, @r#"
    warning: nothing uses the parameter `vendro`
             help: did you mean `vendor`?
    "#);
    let given = params(&[("region", "eu"), ("vendor", "../x"), ("no-name", "")]);
    let found = load("wiz", &docs, &Config::default(), &given, &RULES).expect_err("bad values");
    assert_snapshot!(found, @r#"
    error: `../x` cannot be the parameter `vendor`: it becomes part of file names
           help: use lower-case letters, digits and hyphens, not starting with a hyphen

    error: `no-name` cannot be the name of a parameter
           help: use letters, digits and underscores, not starting with a digit

    error: the path `../x/eu.go` leaves the repository
     --> .pertask/wiz/plan.toml:3:8
      |
    3 | file = '{{ vendor }}/{{ region }}.go'
      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn empty_and_malformed_files() {
    assert_snapshot!(errors(""), @r#"
    error: the plan has no tasks
     --> .pertask/wiz/plan.toml:1:1
      |
    1 |
      | ^
      |
      = help: a task is written as [[task]] with at least `id` and `file`
    "#);
    assert_snapshot!(errors("title = \n[[task\nid = 'a'\n"), @r#"
    error: this is not TOML: string values must be quoted, expected literal string
     --> .pertask/wiz/plan.toml:1:9
      |
    1 | title = 
      |         ^

    error: this is not TOML: unclosed array table, expected `]]`
     --> .pertask/wiz/plan.toml:2:7
      |
    2 | [[task
      |       ^
    "#);
    assert_snapshot!(errors("\u{feff}titel = 'ä'\n[[task]]\nid = 'a'\nfile = 'a'"), @r#"
    error: unknown key `titel`
     --> .pertask/wiz/plan.toml:1:1
      |
    1 | titel = 'ä'
      | ^^^^^
      |
      = help: did you mean `title`?
    "#);
}

#[test]
fn large_plans_are_read_quickly() {
    use std::fmt::Write as _;

    let mut text = format!("title = \"{}\"\n", "x".repeat(1 << 20));
    for index in 0..1_000 {
        let before = if index == 0 {
            String::new()
        } else {
            format!("\"t{}\"", index - 1)
        };
        write!(
            text,
            "[[task]]\nid = \"t{index}\"\nfile = \"{{{{ vendor }}}}/{index}.go\"\ndepends_on = [{before}]\n"
        )
        .expect("writing to a string");
    }
    let started = std::time::Instant::now();
    let plan = load_toml(&text).expect("valid").plan;
    assert_eq!(plan.tasks.len(), 1_000);
    assert_eq!(plan.tasks[999].file, "wiz/999.go");
    // A thousand errors in a file of a megabyte must not take a thousand passes over it.
    let broken = text.replace("file =", "flie =");
    assert_eq!(errors(&broken).matches("unknown key `flie`").count(), 50);
    assert!(started.elapsed().as_secs() < 5, "{:?}", started.elapsed());
}
