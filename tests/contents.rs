//! What becomes of files on their way: line endings, filters, links, modes, names, submodules.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO};

/// Runs the plan to its end, approving whatever waits.
fn to_the_end(s: &Sandbox) {
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[test]
fn a_task_may_make_a_file_with_spaces_and_other_letters() {
    let file = "dir one/größe 日本.txt";
    let plan = TWO.replace("one.txt", file);
    let s = Sandbox::with(
        &plan,
        &GOOD.replace(
            "> \"$PERTASK_TASK.txt\"",
            &format!(
                "> \"$(test $PERTASK_TASK = one && mkdir -p 'dir one' && echo '{file}' || echo two.txt)\""
            ),
        ),
    );
    to_the_end(&s);
    assert_eq!(s.file_at("pertask/wiz/main", file), "one, attempt 1");
}

#[test]
fn line_endings_are_as_the_repository_wants_them() {
    // By attribute: CRLF in the working tree, LF in the repository.
    let s = Sandbox::with(TWO, "");
    s.write(".gitattributes", "*.txt text eol=crlf\n");
    s.write("old.txt", "a\r\nb\r\n");
    s.commit("Attributes");
    assert_eq!(s.file_at("HEAD", "old.txt"), "a\nb");
    s.script(&format!(
        "grep -q \"$(printf 'a\\r')\" old.txt || exit 1\n{}",
        GOOD.replace(
            "echo \"$PERTASK_TASK, attempt $PERTASK_ATTEMPT\"",
            "printf 'x\\r\\ny\\r\\n'"
        )
    ));
    to_the_end(&s);
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "x\ny");
    assert_snapshot!(
        s.git(["diff", "--stat", "main", "pertask/wiz/main"]),
        @"
    .pertask/wiz/implementation-log.md | 41 ++++++++++++++++++++++++++++++++++++++
    one.txt                            |  2 ++
    two.txt                            |  2 ++
    3 files changed, 45 insertions(+)
    "
    );
}

#[test]
fn autocrlf_of_this_repository_is_honoured() {
    let s = Sandbox::with(TWO, "");
    s.git(["config", "--global", "core.autocrlf", "false"]);
    s.git(["config", "core.autocrlf", "true"]);
    s.write("old.txt", "a\r\nb\r\n");
    s.commit("Lines");
    assert_eq!(s.file_at("HEAD", "old.txt"), "a\nb");
    s.script(&GOOD.replace(
        "echo \"$PERTASK_TASK, attempt $PERTASK_ATTEMPT\"",
        "printf 'x\\r\\ny\\r\\n'",
    ));
    to_the_end(&s);
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "x\ny");
    assert_eq!(
        s.git(["diff", "--name-only", "main", "pertask/wiz/main"]),
        ".pertask/wiz/implementation-log.md\none.txt\ntwo.txt"
    );
}

#[test]
fn a_filter_of_this_repository_is_applied() {
    let s = Sandbox::with(TWO, "");
    s.git(["config", "filter.secret.clean", "sed s/password/XXX/"]);
    s.git(["config", "filter.secret.smudge", "sed s/XXX/password/"]);
    s.git(["config", "filter.secret.required", "true"]);
    s.write(".gitattributes", "*.txt filter=secret\n");
    s.write("old.txt", "the password\n");
    s.commit("Filter");
    assert_eq!(s.file_at("HEAD", "old.txt"), "the XXX");
    s.script(&format!(
        "grep -q password old.txt || exit 1\n{}",
        GOOD.replace("attempt $PERTASK_ATTEMPT", "a password")
    ));
    to_the_end(&s);
    assert_eq!(s.file_at("pertask/wiz/main", "old.txt"), "the XXX");
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "one, a XXX");
}

#[test]
fn what_this_repository_ignores_and_marks_on_its_own_counts() {
    let s = Sandbox::with(TWO, "");
    s.write(".git/info/exclude", "mine.tmp\n");
    s.write(".git/info/attributes", "*.txt text eol=lf\n");
    s.script(&format!(
        "echo x > mine.tmp\n{}",
        GOOD.replace(
            "echo \"$PERTASK_TASK, attempt $PERTASK_ATTEMPT\"",
            "printf 'x\\r\\ny\\r\\n'"
        )
    ));
    to_the_end(&s);
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "x\ny");
}

#[test]
fn a_filter_of_the_person_is_applied() {
    let s = Sandbox::with(TWO, "");
    s.git([
        "config",
        "--global",
        "filter.secret.clean",
        "sed s/password/XXX/",
    ]);
    s.git([
        "config",
        "--global",
        "filter.secret.smudge",
        "sed s/XXX/password/",
    ]);
    s.write(".gitattributes", "*.txt filter=secret\n");
    s.write("old.txt", "the password\n");
    s.commit("Filter");
    s.script(&format!(
        "grep -q password old.txt || exit 1\n{}",
        GOOD.replace("attempt $PERTASK_ATTEMPT", "a password")
    ));
    to_the_end(&s);
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "one, a XXX");
}

#[test]
fn links_and_executable_files_stay_what_they_are() {
    let s = Sandbox::with(TWO, "");
    s.write("run.sh", "#!/bin/sh\n");
    fs::set_permissions(s.repo.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("README.md", s.repo.join("link")).unwrap();
    symlink("nowhere/at/all", s.repo.join("dangling")).unwrap();
    s.commit("Links and modes");
    s.script(&format!(
        "test -x run.sh && test -L link && test -L dangling || exit 1\n{GOOD}chmod +x \"$PERTASK_TASK.txt\""
    ));
    to_the_end(&s);
    let modes = s.git(["ls-tree", "pertask/wiz/main"]);
    let modes: Vec<_> = modes
        .lines()
        .map(|l| format!("{} {}", &l[..6], l.split('\t').nth(1).unwrap()))
        .collect();
    assert_snapshot!(modes.join("\n"), @"
    040000 .pertask
    100644 README.md
    120000 dangling
    120000 link
    100755 one.txt
    100755 run.sh
    100755 two.txt
    ");
}

#[test]
fn a_file_that_the_repository_ignores_is_named_as_such() {
    let s = Sandbox::with(TWO, GOOD);
    s.write(".gitignore", "*.txt\n");
    s.commit("Ignore");
    let out = s.pertask(["start", "wiz"]).code(1);
    assert_snapshot!(out.out(), @"
    Task 1 of 2 failed: one.txt

    - files: one.txt is ignored by git, so it cannot be committed: see .gitignore

    What does not hold
    - files: one.txt is ignored by git, so it cannot be committed: see .gitignore
        one.txt is ignored by git, so it cannot be committed: see .gitignore

    Spent:   [T]

    Next
      git pertask retry wiz one          try again, from where it stopped
      git pertask retry --fresh wiz one  try again, from the run branch
      git pertask revise wiz one -m …    say what to do differently, and try again
      git pertask skip wiz one -m …      leave it out, saying why
      git pertask abort wiz              end the run; every branch is kept

    Waiting for:
    - a decision on task 1 of 2, one (First file), which failed (files: one.txt is ignored by git, so it cannot be committed: see .gitignore): `git pertask retry wiz one`, `git pertask revise wiz one -m …` or `git pertask skip wiz one -m …`
    ");
}

#[test]
fn a_submodule_stays_where_it_is() {
    let s = Sandbox::with(TWO, GOOD);
    let other = s.root().join("other");
    fs::create_dir(&other).unwrap();
    s.git_in(&other, ["init", "--quiet"]);
    s.git_in(
        &other,
        ["commit", "--quiet", "--allow-empty", "-m", "Other"],
    );
    s.git([
        "submodule",
        "--quiet",
        "add",
        other.to_str().unwrap(),
        "vendor/other",
    ]);
    s.commit("A submodule");
    to_the_end(&s);
    assert_eq!(
        s.oid("pertask/wiz/main:vendor/other"),
        s.oid("main:vendor/other")
    );
    assert_eq!(
        s.git(["diff", "--name-only", "main", "pertask/wiz/main"]),
        ".pertask/wiz/implementation-log.md\none.txt\ntwo.txt"
    );
}

#[test]
fn names_that_git_would_quote_are_names_like_any_other() {
    let names = [
        "\"quoted",
        "back\\slash",
        "tab\there",
        " space",
        "-dash",
        "größe",
        "#hash",
        "*",
    ];
    let plan = TWO.replace(
        "risk = \"high\"",
        "risk = \"high\"\nallow = [\"dir/*\", \"-dash\", \"\\\"top\"]",
    );
    let mut script = String::from("mkdir dir\necho x > ./-dash\necho x > '\"top'\n");
    for name in names {
        script += &["echo x > 'dir/", name, "'\n"].concat();
    }
    let s = Sandbox::with(&plan, "");
    s.script(&format!(
        "if test $PERTASK_TASK = one; then {script}fi\n{GOOD}"
    ));
    to_the_end(&s);
    let files = s.git([
        "-c",
        "core.quotePath=false",
        "ls-tree",
        "-r",
        "-z",
        "--name-only",
        "pertask/wiz/main",
    ]);
    let files: Vec<_> = files.split('\0').collect();
    for name in names {
        assert!(files.contains(&format!("dir/{name}").as_str()), "{files:?}");
    }
    assert!(
        files.contains(&"\"top") && files.contains(&"-dash"),
        "{files:?}"
    );
}
