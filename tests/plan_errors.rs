//! Plans that are wrong, each with file, line and column, all at once, and nothing started.

mod support;

use std::fmt::Write as _;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO};

/// What `start` says to this plan; it must refuse it, and so must `plan`, in the same words.
#[track_caller]
fn refused(plan: &str) -> String {
    let s = Sandbox::with(plan, GOOD);
    refused_in(&s, &[])
}

#[track_caller]
fn refused_in(s: &Sandbox, args: &[&str]) -> String {
    let before = s.refs();
    let mut start = vec!["start", "wiz"];
    start.extend(args);
    let started = s.pertask(&start).code(2);
    assert_eq!(started.stdout, "");
    assert_eq!(s.refs(), before);
    assert!(!s.root().join("pertask").exists());
    start[0] = "plan";
    let planned = s.pertask(&start).code(2);
    assert_eq!(planned.stderr, started.stderr);
    assert_eq!(planned.stdout, "");
    started.err()
}

/// [`TWO`] with the text between two words replaced.
fn two(from: &str, to: &str) -> String {
    assert!(TWO.contains(from));
    TWO.replacen(from, to, 1)
}

#[test]
fn a_missing_plan_says_where_it_was_looked_for() {
    let s = Sandbox::new();
    s.agent(GOOD);
    s.commit("No plan");
    assert_snapshot!(refused_in(&s, &[]), @"
    error: there is no plan `wiz`
           help: write .pertask/wiz/plan.toml, or .pertask/wiz/architecture.md for the template `integration`, and commit it
    ");
}

#[test]
fn a_name_that_cannot_be_a_plan() {
    let s = Sandbox::with(TWO, GOOD);
    let mut said = String::new();
    for name in ["Wiz", "", "../wiz", "-wiz", "wiz.toml", "w iz", "größe"] {
        for command in ["start", "plan"] {
            let out = s.pertask([command, "--", name]).code(2);
            if command == "plan" {
                said.push_str(&out.err());
            }
        }
    }
    assert!(!s.refs().contains("pertask"));
    assert_snapshot!(said, @"
    git-pertask: `Wiz` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    git-pertask: `` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    git-pertask: `../wiz` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    git-pertask: `-wiz` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    git-pertask: `wiz.toml` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    git-pertask: `w iz` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    git-pertask: `größe` cannot be the name of a plan: use lower-case letters, digits and hyphens, not starting with a hyphen
    ");
}

#[test]
fn an_empty_plan() {
    assert_snapshot!(refused(""), @"
    error: the plan has no tasks
     --> .pertask/wiz/plan.toml:1:1
      |
    1 |
      | ^
      |
      = help: a task is written as [[task]] with at least `id` and `file`
    ");
}

#[test]
fn a_plan_without_tasks() {
    assert_snapshot!(refused("title = \"Nothing\"\n"), @r#"
    error: the plan has no tasks
     --> .pertask/wiz/plan.toml:1:1
      |
    1 | title = "Nothing"
      | ^
      |
      = help: a task is written as [[task]] with at least `id` and `file`
    "#);
}

#[test]
fn a_malformed_plan() {
    assert_snapshot!(refused("title = \"Two\nbuild = [[\n"), @r#"
    error: this is not TOML: invalid basic string, expected `"`
     --> .pertask/wiz/plan.toml:1:13
      |
    1 | title = "Two
      |             ^

    error: this is not TOML: unclosed array, expected `]`
     --> .pertask/wiz/plan.toml:2:11
      |
    2 | build = [[
      |           ^
    "#);
}

#[test]
fn a_plan_that_is_not_text() {
    let s = Sandbox::with(TWO, GOOD);
    s.write(".pertask/wiz/plan.toml", b"title = \"\xff\xfe\"\n");
    s.commit("Bytes");
    assert_snapshot!(refused_in(&s, &[]), @"error: .pertask/wiz/plan.toml: it cannot be read: .pertask/wiz/plan.toml is not UTF-8: invalid utf-8 sequence of 1 bytes from index 9");
}

#[test]
fn unknown_keys_with_the_near_one() {
    let plan = two("depends_on", "dependson")
        .replace("title = \"Two files\"", "titel = \"Two files\"\nbanana = 1")
        .replace("risk = ", "max_line = 3\nrisk = ");
    assert_snapshot!(refused(&plan), @r#"
    error: unknown key `titel`
     --> .pertask/wiz/plan.toml:1:1
      |
    1 | titel = "Two files"
      | ^^^^^
      |
      = help: did you mean `title`?

    error: unknown key `banana`
     --> .pertask/wiz/plan.toml:2:1
      |
    2 | banana = 1
      | ^^^^^^
      |
      = help: known here are title, base, inputs, skills, directory, build, check_timeout, sparse, time_constrained, new_patterns, task, gate

    error: unknown key `max_line`
      --> .pertask/wiz/plan.toml:10:1
       |
    10 | max_line = 3
       | ^^^^^^^^
       |
       = help: did you mean `max_lines`?

    error: unknown key `dependson`
      --> .pertask/wiz/plan.toml:18:1
       |
    18 | dependson = ["one"]
       | ^^^^^^^^^
       |
       = help: did you mean `depends_on`?
    "#);
}

#[test]
fn values_of_the_wrong_kind() {
    let plan = two(
        "risk = \"high\"",
        "risk = \"medium\"\nmax_lines = \"many\"\nallow = \"*\"",
    )
    .replace(
        "build = [[\"test\", \"-d\", \".pertask\"]]",
        "build = \"go build ./...\"\ncheck_timeout = \"soon\"",
    );
    assert_snapshot!(refused(&plan), @r#"
    error: `build` must be a list of argument lists, like [["go", "build"]], not a string
     --> .pertask/wiz/plan.toml:2:9
      |
    2 | build = "go build ./..."
      |         ^^^^^^^^^^^^^^^^

    error: `check_timeout` is not a duration
     --> .pertask/wiz/plan.toml:3:17
      |
    3 | check_timeout = "soon"
      |                 ^^^^^^
      |
      = help: write it like "[T]", "10m" or "1h 30m"

    error: `risk` cannot be "medium"
      --> .pertask/wiz/plan.toml:10:8
       |
    10 | risk = "medium"
       |        ^^^^^^^^
       |
       = help: use one of low, high

    error: `max_lines` must be a whole number, not a string
      --> .pertask/wiz/plan.toml:11:13
       |
    11 | max_lines = "many"
       |             ^^^^^^

    error: `allow` must be a list of strings, not a string
      --> .pertask/wiz/plan.toml:12:9
       |
    12 | allow = "*"
       |         ^^^
    "#);
}

#[test]
fn a_cycle() {
    assert_snapshot!(refused(&two("risk = \"high\"", "depends_on = [\"two\"]")), @r#"
    error: tasks depend on each other in a circle: one → two → one
     --> .pertask/wiz/plan.toml:9:15
      |
    9 | depends_on = ["two"]
      |               ^^^^^
      |
      = help: an arrow reads "depends on"; take one of them out
    "#);
}

#[test]
fn a_task_that_depends_on_itself() {
    assert_snapshot!(refused(&two("depends_on = [\"one\"]", "depends_on = [\"two\"]")), @r#"
    error: tasks depend on each other in a circle: two → two
      --> .pertask/wiz/plan.toml:16:15
       |
    16 | depends_on = ["two"]
       |               ^^^^^
       |
       = help: an arrow reads "depends on"; take one of them out
    "#);
}

#[test]
fn a_missing_dependency() {
    assert_snapshot!(refused(&two("depends_on = [\"one\"]", "depends_on = [\"onne\", \"zebra\"]")), @r#"
    error: `two` depends on `onne`, which is no task
      --> .pertask/wiz/plan.toml:16:15
       |
    16 | depends_on = ["onne", "zebra"]
       |               ^^^^^^
       |
       = help: did you mean `one`?

    error: `two` depends on `zebra`, which is no task
      --> .pertask/wiz/plan.toml:16:23
       |
    16 | depends_on = ["onne", "zebra"]
       |                       ^^^^^^^
    "#);
}

#[test]
fn two_tasks_with_one_file() {
    assert_snapshot!(refused(&two("two.txt", "one.txt")), @r#"
    error: two tasks claim the file `one.txt`
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "one.txt"
       |        ^^^^^^^^^
       |
       = help: `one` claims it in .pertask/wiz/plan.toml:7; a file belongs to one task
    "#);
    // By way of a parameter.
    let plan = two("two.txt", "{{ vendor }}.txt").replace("one.txt", "wiz.txt");
    assert_snapshot!(refused(&plan), @r#"
    error: two tasks claim the file `wiz.txt`
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "{{ vendor }}.txt"
       |        ^^^^^^^^^^^^^^^^^^
       |
       = help: `one` claims it in .pertask/wiz/plan.toml:7; a file belongs to one task
    "#);
    assert_snapshot!(refused(&two("two.txt", "./one.txt")), @r#"
    error: the path `./one.txt` has an empty part or `.`; write it plainly
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "./one.txt"
       |        ^^^^^^^^^^^
    "#);
}

#[test]
fn a_file_that_another_task_needs_as_a_folder() {
    assert_snapshot!(refused(&two("two.txt", "one.txt/two.txt")), @r#"
    error: `one.txt` is a file of `one` and cannot be a folder too
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "one.txt/two.txt"
       |        ^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn line_endings_and_a_byte_order_mark_do_no_harm() {
    let s = Sandbox::with(&TWO.replace('\n', "\r\n"), GOOD);
    s.pertask(["plan", "wiz"]).code(0);
    s.plan(&format!("\u{feff}{TWO}"));
    s.commit("A mark");
    s.pertask(["plan", "wiz"]).code(0);
    s.pertask(["start", "wiz"]).code(0);
}

#[test]
fn two_tasks_with_one_id() {
    assert_snapshot!(refused(&two("id = \"two\"", "id = \"one\"")), @r#"
    error: the id `one` is taken
      --> .pertask/wiz/plan.toml:12:6
       |
    12 | id = "one"
       |      ^^^^^
       |
       = help: .pertask/wiz/plan.toml:5 has it first
    "#);
}

#[test]
fn paths_that_leave_the_repository() {
    let mut said = String::new();
    for path in [
        "../two.txt",
        "/etc/passwd",
        "a/../../two.txt",
        ".git/hooks/pre-commit",
        "a\\\\..\\\\b",
        ".pertask/config.toml",
        ".github/workflows/x.yml",
        "a//b",
        "dir/",
        "",
    ] {
        let _ = writeln!(said, "{}", refused(&two("two.txt", path)));
    }
    assert_snapshot!(said, @r#"
    error: the path `../two.txt` leaves the repository
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "../two.txt"
       |        ^^^^^^^^^^^^

    error: the path `/etc/passwd` is not relative to the repository's root
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "/etc/passwd"
       |        ^^^^^^^^^^^^^

    error: the path `a/../../two.txt` leaves the repository
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "a/../../two.txt"
       |        ^^^^^^^^^^^^^^^^^

    error: the path `.git/hooks/pre-commit` is under the protected path `.git*`
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = ".git/hooks/pre-commit"
       |        ^^^^^^^^^^^^^^^^^^^^^^^

    error: the path `a\..\b` uses `\`; parts of a path are separated by `/`
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "a\\..\\b"
       |        ^^^^^^^^^^

    error: the path `.pertask/config.toml` is under the protected path `.pertask/`
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = ".pertask/config.toml"
       |        ^^^^^^^^^^^^^^^^^^^^^^

    error: the path `.github/workflows/x.yml` is under the protected path `.github/`
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = ".github/workflows/x.yml"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^

    error: the path `a//b` has an empty part or `.`; write it plainly
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "a//b"
       |        ^^^^^^

    error: the path `dir/` is a folder, not a file
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "dir/"
       |        ^^^^^^

    error: the path `` is empty
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = ""
       |        ^^
    "#);
}

#[test]
fn ids_and_names_that_cannot_be_branches() {
    assert_snapshot!(refused(&two("id = \"two\"", "id = \"Two Files\"")), @r#"
    error: `Two Files` cannot be the id of a task
      --> .pertask/wiz/plan.toml:12:6
       |
    12 | id = "Two Files"
       |      ^^^^^^^^^^^
       |
       = help: use lower-case letters, digits and hyphens, not starting with a hyphen
    "#);
}

#[test]
fn unknown_variables() {
    assert_snapshot!(refused(&two("two.txt", "{{ vender }}/{{ other }}.txt")), @r#"
    error: there is no parameter `vender`
      --> .pertask/wiz/plan.toml:14:12
       |
    14 | file = "{{ vender }}/{{ other }}.txt"
       |            ^^^^^^
       |
       = help: did you mean `vendor`? known are `vendor`; give it with --param vender=…

    error: there is no parameter `other`
      --> .pertask/wiz/plan.toml:14:25
       |
    14 | file = "{{ vender }}/{{ other }}.txt"
       |                         ^^^^^
       |
       = help: known are `vendor`; give it with --param other=…
    "#);
}

#[test]
fn a_template_that_does_not_close() {
    assert_snapshot!(refused(&two("two.txt", "{{ vendor /two.txt")), @r#"
    error: `{{ … }}` cannot be filled in: unexpected end of input, expected end of variable block
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "{{ vendor /two.txt"
       |        ^^^^^^^^^^^^^^^^^^^^
       |
       = help: put text that holds such braces between {% raw %} and {% endraw %}
    "#);
}

#[test]
fn everything_at_once() {
    let plan = r#"title = "All of it"
colour = "red"
directory = "../elsewhere"

[[task]]
id = "one"
title = "First"
file = "../one.txt"
purpose = "p"
depends_on = ["two", "zero"]

[[task]]
id = "two"
title = "Second"
file = "shared.txt"
purpose = "p"
depends_on = ["one"]

[[task]]
id = "two"
file = "shared.txt"
max_lines = 0
"#;
    assert_snapshot!(refused(plan), @r#"
    error: unknown key `colour`
     --> .pertask/wiz/plan.toml:2:1
      |
    2 | colour = "red"
      | ^^^^^^
      |
      = help: known here are title, base, inputs, skills, directory, build, check_timeout, sparse, time_constrained, new_patterns, task, gate

    error: `directory`: the path `../elsewhere` leaves the repository
     --> .pertask/wiz/plan.toml:3:13
      |
    3 | directory = "../elsewhere"
      |             ^^^^^^^^^^^^^^

    error: the path `../one.txt` leaves the repository
     --> .pertask/wiz/plan.toml:8:8
      |
    8 | file = "../one.txt"
      |        ^^^^^^^^^^^^

    error: tasks depend on each other in a circle: one → two → one
      --> .pertask/wiz/plan.toml:10:15
       |
    10 | depends_on = ["two", "zero"]
       |               ^^^^^
       |
       = help: an arrow reads "depends on"; take one of them out

    error: `one` depends on `zero`, which is no task
      --> .pertask/wiz/plan.toml:10:22
       |
    10 | depends_on = ["two", "zero"]
       |                      ^^^^^^

    error: the id `two` is taken
      --> .pertask/wiz/plan.toml:20:6
       |
    20 | id = "two"
       |      ^^^^^
       |
       = help: .pertask/wiz/plan.toml:13 has it first

    error: two tasks claim the file `shared.txt`
      --> .pertask/wiz/plan.toml:21:8
       |
    21 | file = "shared.txt"
       |        ^^^^^^^^^^^^
       |
       = help: `two` claims it in .pertask/wiz/plan.toml:15; a file belongs to one task

    error: `max_lines` must be a whole number from 1 to [ID]
      --> .pertask/wiz/plan.toml:22:13
       |
    22 | max_lines = 0
       |             ^
    "#);
}

#[test]
fn parameters_on_the_command_line() {
    let s = Sandbox::with(&two("two.txt", "{{ vendor }}/{{ kind }}.txt"), GOOD);
    assert_snapshot!(refused_in(&s, &[]), @r#"
    error: there is no parameter `kind`
      --> .pertask/wiz/plan.toml:14:25
       |
    14 | file = "{{ vendor }}/{{ kind }}.txt"
       |                         ^^^^
       |
       = help: known are `vendor`; give it with --param kind=…
    "#);
    assert_snapshot!(refused_in(&s, &["--param", "kind"]), @"git-pertask: --param kind has no value; write --param key=value");
    assert_snapshot!(refused_in(&s, &["--param", "=x"]), @"git-pertask: --param =x has no value; write --param key=value");
    assert_snapshot!(refused_in(&s, &["--param", "kind=a", "--param", "kind=b"]), @"git-pertask: --param kind is given twice");
    assert_snapshot!(refused_in(&s, &["--param", "kind=../../x"]), @r#"
    error: the path `wiz/../../x.txt` leaves the repository
      --> .pertask/wiz/plan.toml:14:8
       |
    14 | file = "{{ vendor }}/{{ kind }}.txt"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
    let out = s
        .pertask(["plan", "wiz", "--param", "kind=a", "--param", "vendor=acme"])
        .code(0);
    assert!(out.stdout.contains("acme/a.txt"), "{}", out.text());
    let out = s.pertask(["plan", "wiz", "--param", "kind=a"]).code(0);
    assert!(out.stdout.contains("wiz/a.txt"), "{}", out.text());
}

#[test]
fn configuration_that_is_wrong() {
    let s = Sandbox::with(TWO, GOOD);
    s.write(
        ".pertask/config.toml",
        "agnet = \"mine\"\nforge = \"gitlab\"\nmerge = \"octopus\"\n[limits]\nattempts = -1\n[agents.mine]\ncommand = \"my-agent --stdin\"\ntimeout = \"30\"\n",
    );
    s.commit("Wrong configuration");
    assert_snapshot!(refused_in(&s, &[]), @r#"
    error: unknown key `agnet`
     --> .pertask/config.toml:1:1
      |
    1 | agnet = "mine"
      | ^^^^^
      |
      = help: did you mean `agent`?

    error: `forge` cannot be "gitlab"
     --> .pertask/config.toml:2:9
      |
    2 | forge = "gitlab"
      |         ^^^^^^^^
      |
      = help: did you mean "github"?

    error: `merge` cannot be "octopus"
     --> .pertask/config.toml:3:9
      |
    3 | merge = "octopus"
      |         ^^^^^^^^^
      |
      = help: use one of squash, merge, rebase

    error: `attempts` must be a whole number from 1 to [ID]
     --> .pertask/config.toml:5:12
      |
    5 | attempts = -1
      |            ^^

    error: `command` must be an argument list, like ["go", "build"], not a string
     --> .pertask/config.toml:7:11
      |
    7 | command = "my-agent --stdin"
      |           ^^^^^^^^^^^^^^^^^^

    error: `timeout` is not a duration
     --> .pertask/config.toml:8:11
      |
    8 | timeout = "30"
      |           ^^^^
      |
      = help: write it like "[T]", "10m" or "1h 30m"
    "#);
}

#[test]
fn agents_that_are_not_there() {
    let s = Sandbox::with(TWO, GOOD);
    let mut said = refused_in(&s, &["--agent", "nobody"]);
    s.plan(&two(
        "risk = \"high\"",
        "agent = \"somebody\"\nrisk = \"high\"",
    ));
    s.commit("Another agent");
    said.push_str(&s.pertask(["start", "wiz"]).code(2).err());
    s.plan(TWO);
    s.write(
        ".pertask/config.toml",
        "agent = \"mine\"\n[agents.mine]\ncommand = [\"no-such-program-here\"]\n",
    );
    s.commit("No such program");
    said.push_str(&s.pertask(["start", "wiz"]).code(2).err());
    assert!(!s.refs().contains("pertask"));
    assert_snapshot!(said, @r#"
    git-pertask: there is no agent named nobody; the configuration knows claude, codex, mine; add one under [agents.nobody] in .pertask/config.toml
    error: unknown agent `somebody`
     --> .pertask/wiz/plan.toml:9:9
      |
    9 | agent = "somebody"
      |         ^^^^^^^^^^
      |
      = help: known are claude, codex, mine; others stand in .pertask/config.toml as [agents.NAME]
    git-pertask: the agent mine cannot be started: there is no program `no-such-program-here` on the PATH ([PATH]); install it, or name another with --agent or in .pertask/config.toml
    "#);
}

#[test]
fn a_base_that_is_not_there() {
    let s = Sandbox::with(TWO, GOOD);
    assert_snapshot!(refused_in(&s, &["--base", "nowhere"]), @"git-pertask: there is no branch or commit named nowhere");
}

#[test]
fn a_thousand_tasks_are_planned() {
    let s = Sandbox::with(TWO, GOOD);
    let mut plan = String::from("title = \"Many\"\n");
    for n in 0..1000 {
        let depends = if n == 0 {
            String::new()
        } else {
            format!("depends_on = [\"t{}\"]\n", n - 1)
        };
        let _ = write!(
            plan,
            "[[task]]\nid = \"t{n}\"\ntitle = \"Task {n}\"\nfile = \"f/{n}.txt\"\npurpose = \"p\"\n{depends}"
        );
    }
    s.plan(&plan);
    s.commit("Many tasks");
    let out = s.pertask(["plan", "wiz"]).code(0);
    assert!(
        out.stdout.contains("4+ implementation tasks: 1000"),
        "{}",
        &out.stdout[..500]
    );
    assert!(out.stdout.contains("\n1000. t999  Task 999\n"));
}

#[test]
fn of_a_thousand_errors_the_first_hundred_are_told() {
    let mut plan = String::from("title = \"Many\"\n");
    for n in 0..1000 {
        let _ = write!(
            plan,
            "[[task]]\nid = \"t{n}\"\ntitle = \"Task {n}\"\nfile = \"../{n}.txt\"\npurpose = \"p\"\n"
        );
    }
    let said = refused(&plan);
    let count = said.matches("leaves the repository").count();
    let (_, rest) = said.trim_end().rsplit_once('\n').unwrap_or_default();
    assert_snapshot!(format!("{count}\n{rest}"), @"
    100
    … and 900 more of the kind
    ");
}
