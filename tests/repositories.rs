//! Where a run may be started, and what a person's repository looks like afterwards.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use insta::assert_snapshot;
use support::{GOOD, Sandbox, TWO, everything_in};

/// Runs the plan to its end, approving whatever waits.
fn to_the_end(s: &Sandbox) {
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
}

#[track_caller]
fn nothing_started(s: &Sandbox) {
    assert!(!s.refs().contains("pertask"), "{}", s.refs());
}

#[test]
fn two_tasks_are_approved_one_after_the_other() {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz"]).code(0);
    assert_eq!(s.states("wiz"), "one=review two=pending");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.states("wiz"), "one=merged two=review");
    s.pertask(["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
    assert_snapshot!(s.files_at("pertask/wiz/main"), @"
    .pertask/config.toml
    .pertask/wiz/implementation-log.md
    .pertask/wiz/plan.toml
    README.md
    one.txt
    two.txt
    ");
}

#[test]
fn outside_of_a_repository_every_command_says_so() {
    let s = Sandbox::empty();
    for args in [
        &["start", "wiz"][..],
        &["plan", "wiz"],
        &["continue"],
        &["status"],
        &["show"],
        &["log"],
        &["approve"],
        &["revise", "-m", "x"],
        &["retry"],
        &["skip", "-m", "x"],
        &["abort"],
        &["init"],
    ] {
        let out = s.pertask(args).code(2);
        assert_eq!(
            out.err(),
            "git-pertask: [ROOT]/repo is not inside a git repository\n"
        );
        assert_eq!(out.stdout, "");
    }
    assert_eq!(everything_in(&s.repo), []);
}

#[test]
fn a_bare_repository_is_refused() {
    let s = Sandbox::empty();
    s.git(["init", "--quiet", "--bare"]);
    let out = s.pertask(["start", "wiz"]);
    assert_snapshot!(out.text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: [ROOT]/repo/ is a bare repository: tasks need the files; run this in a clone of it
    ");
}

#[test]
fn without_a_commit_there_is_nothing_to_start_from() {
    let s = Sandbox::empty();
    s.git(["init", "--quiet"]);
    s.agent(GOOD);
    s.plan(TWO);
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this repository has no commits yet; make the first one: git commit --allow-empty -m "First commit"
    "#);
    assert_snapshot!(s.pertask(["plan", "wiz"]).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this repository has no commits yet; make the first one: git commit --allow-empty -m "First commit"
    "#);
    assert_snapshot!(s.pertask(["start", "wiz", "--base", "main"]).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this repository has no commits yet; make the first one: git commit --allow-empty -m "First commit"
    "#);
    nothing_started(&s);
}

#[test]
fn without_an_identity_nothing_is_started() {
    let s = Sandbox::with(TWO, GOOD);
    fs::write(s.home.join(".gitconfig"), "").unwrap();
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    git-pertask: git does not know who you are; tell it: git config user.name "Your Name" && git config user.email you@example.com
    "#);
    nothing_started(&s);
    s.pertask(["plan", "wiz"]).code(0);
}

#[test]
fn the_environment_may_say_who_one_is() {
    let mut s = Sandbox::with(TWO, GOOD);
    fs::write(s.home.join(".gitconfig"), "").unwrap();
    s.set("GIT_AUTHOR_NAME", "Grace");
    s.set("GIT_AUTHOR_EMAIL", "grace@example.com");
    s.pertask(["start", "wiz"]).code(0);
    assert_eq!(
        s.git(["log", "-1", "--format=%an <%ae>", "pertask/wiz/1-one"]),
        "Grace <grace@example.com>"
    );
}

#[test]
fn a_dirty_working_tree_stays_as_it_is() {
    let s = Sandbox::with(TWO, GOOD);
    s.write("stashed.txt", "put away\n");
    s.git(["add", "stashed.txt"]);
    s.git(["stash", "push", "--quiet"]);
    s.write("README.md", "Changed, not staged.\n");
    s.write("staged.txt", "staged\n");
    s.git(["add", "staged.txt"]);
    s.write("staged.txt", "staged, then changed\n");
    // In the way of what the tasks make.
    s.write("one.txt", "my own, untracked\n");
    s.write(".gitignore", "ignored\n");
    s.write("ignored", "ignored\n");
    let look = || {
        let mut all = everything_in(&s.repo);
        // The runs' own branches, ledger, objects and lock are new, and nothing else.
        all.retain(|(path, _, _)| {
            let path = path.strip_prefix(&s.repo).unwrap();
            ![
                ".git/objects",
                ".git/refs/heads/pertask",
                ".git/refs/pertask",
                ".git/logs/refs/heads/pertask",
                ".git/logs/refs/pertask",
                ".git/pertask",
            ]
            .iter()
            .any(|ours| path.starts_with(ours))
        });
        all
    };
    let before = look();
    to_the_end(&s);
    let after = look();
    let names = |all: &[(std::path::PathBuf, u32, Vec<u8>)]| {
        all.iter().map(|f| f.0.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&before), names(&after));
    for (was, is) in before.iter().zip(&after) {
        assert!(was == is, "{} has changed", was.0.display());
    }
    // None of it went into the run.
    assert_eq!(s.file_at("pertask/wiz/main", "README.md"), "A test.");
    assert_eq!(s.file_at("pertask/wiz/main", "one.txt"), "one, attempt 1");
    assert!(!s.files_at("pertask/wiz/main").contains("staged.txt"));
}

#[test]
fn a_plan_that_is_not_committed_is_refused_with_the_commands() {
    let s = Sandbox::new();
    s.agent(GOOD);
    s.plan(TWO);
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    git-pertask: .pertask/wiz/plan.toml is not committed on main; plans are read from a commit, so that nothing can change them unseen. Commit it:
      git add .pertask
      git commit -m "Add the plan wiz"
    "#);
    assert_snapshot!(s.pertask(["plan", "wiz"]).text(), @r#"
    exit 2
    --- stdout
    --- stderr
    git-pertask: .pertask/wiz/plan.toml is not committed on main; plans are read from a commit, so that nothing can change them unseen. Commit it:
      git add .pertask
      git commit -m "Add the plan wiz"
    "#);
    // Staged is not committed.
    s.git(["add", "--all"]);
    s.pertask(["start", "wiz"]).code(2);
    nothing_started(&s);
    // The commands that were named do it.
    s.git(["add", ".pertask"]);
    s.git(["commit", "--quiet", "-m", "Add the plan wiz"]);
    s.pertask(["start", "wiz"]).code(0);
}

#[test]
fn a_plan_that_differs_in_the_working_tree_is_named_and_the_committed_one_used() {
    let s = Sandbox::with(TWO, GOOD);
    s.plan(&TWO.replace("First file", "Something else"));
    s.write(".pertask/wiz/discovery.md", "New.\n");
    s.config("checkpoint = \"none\"");
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 0
    --- stdout
    Task 1 of 2 complete: one.txt

    Created: + one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   [T]
    Branch:  pertask/wiz/1-one at [ID]

    Waiting for:
    - a review of task 1 of 2, one (First file): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    warning: not committed, so not part of this: .pertask/wiz/plan.toml, .pertask/wiz/discovery.md, .pertask/config.toml
    Run wiz: 2 tasks in per-task mode (high-risk implementation: one), from [ID]
    note: agents and checks run [CONFINED]
    Building the base, so that old breakage is not blamed on an agent
      ok test -d .pertask ([T])
    The base builds
    Task 1 of 2, one (First file): attempt 1 begins
      ok test -d .pertask ([T])
    Task 1 of 2, one (First file): attempt 1 passes its checks, waiting for a review
    ");
    assert_eq!(s.states("wiz"), "one=review two=pending");
    assert_eq!(
        s.git(["log", "-1", "--format=%s", "pertask/wiz/1-one"]),
        "[wiz 1/2] First file"
    );
}

#[test]
fn a_detached_head_is_a_base_like_any_other() {
    let s = Sandbox::with(TWO, GOOD);
    s.git(["checkout", "--quiet", "--detach"]);
    s.write("README.md", "On no branch.\n");
    let head = s.commit("On no branch");
    to_the_end(&s);
    assert_eq!(s.oid("HEAD"), head);
    assert!(!s.git_ok(["symbolic-ref", "HEAD"]));
    assert!(s.git_ok(["merge-base", "--is-ancestor", &head, "pertask/wiz/main"]));
    assert_snapshot!(s.pertask(["status", "wiz"]).out(), @"
    Run wiz: Two files
    State    complete
    Mode     per task (high-risk implementation: one)
    Base     HEAD at [ID]
    Branch   pertask/wiz/main at [ID]

    TASK  ID   TITLE        STATE   TRY  LINES  BUILD    TIME
    1/2   one  First file   merged    1      1  success    [T]
    2/2   two  Second file  merged    1      1  success    [T]

    Gate
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
}

#[test]
fn an_unfinished_run_is_continued_not_started_again() {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz"]).code(0);
    let before = s.refs();
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: run wiz of plan wiz is not finished; go on with it: git pertask continue wiz (or end it: git pertask abort wiz)
    ");
    assert_snapshot!(s.pertask(["start", "wiz", "--dry-run"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: run wiz of plan wiz is not finished; go on with it: git pertask continue wiz (or end it: git pertask abort wiz)
    ");
    assert_eq!(s.refs(), before);
}

#[test]
fn the_run_after_a_finished_one_has_a_name_and_a_log_of_its_own() {
    let s = Sandbox::with(TWO, GOOD);
    to_the_end(&s);
    s.git(["merge", "--quiet", "pertask/wiz/main"]);
    let first_log = s.read(".pertask/wiz/implementation-log.md");
    s.script(&GOOD.replace("attempt $PERTASK_ATTEMPT", "second run"));
    s.pertask(["start", "wiz"]).code(0);
    assert_eq!(s.states("wiz-2"), "one=review two=pending");
    s.pertask(["approve"]).code(0);
    s.pertask(["approve", "wiz-2", "two"]).code(0);
    assert_eq!(s.status("wiz-2")["state"], "complete");
    assert_eq!(s.status("wiz-2")["plan"], "wiz");
    assert_snapshot!(s.branches(), @"
    main
    pertask/wiz-2/1-one
    pertask/wiz-2/2-two
    pertask/wiz-2/main
    pertask/wiz/1-one
    pertask/wiz/2-two
    pertask/wiz/main
    ");
    let log = |name: &str| s.file_at("pertask/wiz-2/main", &format!(".pertask/wiz/{name}"));
    assert_eq!(log("implementation-log.md"), first_log.trim_end());
    assert!(log("implementation-log-2.md").contains("Run wiz-2 of plan wiz"));
    // An aborted run ends, too.
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["abort"]).code(0);
    s.pertask(["start", "wiz"]).code(0);
    assert_eq!(s.states("wiz-4"), "one=review two=pending");
}

#[test]
fn branches_in_the_way_are_named() {
    let s = Sandbox::with(TWO, GOOD);
    s.git(["branch", "pertask"]);
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: a branch named pertask is in the way of the branches pertask/wiz/…; rename it: git branch -m pertask pertask-old
    ");
    s.git(["branch", "-m", "pertask", "pertask/wiz"]);
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: a branch named pertask/wiz is in the way of the branches pertask/wiz/…; rename it: git branch -m pertask/wiz pertask-wiz-old
    ");
    s.git(["branch", "-m", "pertask/wiz", "pertask/wiz/main"]);
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: pertask/wiz/main is there from an earlier run named wiz whose ledger is gone; look at it, then rename or delete the branches pertask/wiz/…
    ");
    assert!(!s.refs().contains("refs/pertask"));
    s.git(["branch", "-m", "pertask/wiz/main", "pertask/wizard"]);
    s.pertask(["start", "wiz"]).code(0);
}

#[test]
fn a_sha256_repository_is_refused_with_the_reason() {
    let s = Sandbox::empty();
    s.git(["init", "--quiet", "--object-format=sha256"]);
    s.agent(GOOD);
    s.plan(TWO);
    s.commit("Add the plan");
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this repository cannot be worked on: its objects are named by sha256, which libgit2 cannot read yet
    ");
    nothing_started(&s);
}

#[test]
fn a_reftable_repository_is_refused_with_the_reason() {
    let s = Sandbox::new();
    // As git 2.45 and later leave it; older ones cannot make one.
    s.git(["config", "core.repositoryFormatVersion", "1"]);
    fs::write(
        s.repo.join(".git/config"),
        "[core]\n\trepositoryformatversion = 1\n\tbare = false\n[extensions]\n\trefstorage = reftable\n",
    )
    .unwrap();
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this repository cannot be worked on: its refs are kept as reftable, which libgit2 cannot read yet; convert them: git refs migrate --ref-format=files
    ");
}

/// A clone of the sandbox's repository, made with these arguments, as the repository to work in.
fn cloned(mut s: Sandbox, args: &[&str]) -> Sandbox {
    let url = format!("file://{}", s.repo.display());
    let to = s.root().join("clone");
    let mut all = vec!["clone", "--quiet"];
    all.extend(args);
    let to_text = to.display().to_string();
    all.extend([url.as_str(), to_text.as_str()]);
    s.git(all);
    s.repo = to;
    s
}

#[test]
fn a_shallow_clone_works() {
    let s = cloned(Sandbox::with(TWO, GOOD), &["--depth=1"]);
    assert_eq!(s.git(["rev-parse", "--is-shallow-repository"]), "true");
    to_the_end(&s);
    s.git(["fsck", "--connectivity-only"]);
}

#[test]
fn a_partial_clone_is_refused_with_the_commands_that_make_it_whole() {
    let s = Sandbox::with(TWO, GOOD);
    s.git(["config", "uploadpack.allowFilter", "true"]);
    let s = cloned(s, &["--filter=blob:none"]);
    assert_snapshot!(s.pertask(["start", "wiz"]).text(), @"
    exit 2
    --- stdout
    --- stderr
    git-pertask: this repository cannot be worked on: it is a partial clone, so files may be missing when an agent needs them; fetch them all: git fetch --refetch --no-filter, then git config --unset remote.origin.promisor and --unset remote.origin.partialclonefilter
    ");
    nothing_started(&s);
    s.git([
        "fetch",
        "--quiet",
        "--no-auto-maintenance",
        "--refetch",
        "--no-filter",
    ]);
    s.git(["config", "--unset", "remote.origin.promisor"]);
    s.git(["config", "--unset", "remote.origin.partialclonefilter"]);
    to_the_end(&s);
}

#[test]
fn a_linked_worktree_is_a_place_to_start() {
    let s = Sandbox::with(TWO, GOOD);
    let linked = s.root().join("linked");
    s.git([
        "worktree",
        "add",
        "--quiet",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    s.git_in(
        &linked,
        ["commit", "--quiet", "--allow-empty", "-m", "Aside"],
    );
    let side = s.oid("side");
    s.pertask_in(&linked, ["start", "wiz"]).code(0);
    assert_eq!(s.status("wiz")["base"], "side");
    // The main one sees the same run.
    s.pertask(["approve"]).code(0);
    s.pertask_in(&linked, ["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
    assert!(s.git_ok(["merge-base", "--is-ancestor", &side, "pertask/wiz/main"]));
    assert_eq!(s.git_in(&linked, ["status", "--porcelain"]), "");
    assert_eq!(s.git(["status", "--porcelain"]), "");
}

#[test]
fn a_sub_directory_is_a_place_to_start() {
    let s = Sandbox::with(TWO, GOOD);
    let deep = s.repo.join("a/b");
    fs::create_dir_all(&deep).unwrap();
    s.plan(&TWO.replace("First file", "Changed"));
    let out = s.pertask_in(&deep, ["start", "wiz"]).code(0);
    assert!(
        out.stderr
            .contains("not committed, so not part of this: .pertask/wiz/plan.toml"),
        "{}",
        out.text()
    );
    s.pertask_in(&deep, ["approve"]).code(0);
    s.pertask_in(&deep, ["approve"]).code(0);
    assert_eq!(s.status("wiz")["state"], "complete");
    assert_eq!(everything_in(&deep), []);
}

#[test]
fn a_sparse_checkout_of_the_person_is_theirs() {
    let s = Sandbox::with(TWO, GOOD);
    s.write("seen/a.txt", "a\n");
    s.write("unseen/b.txt", "b\n");
    s.commit("Two folders");
    s.git(["sparse-checkout", "set", "--cone", "--sparse-index", "seen"]);
    assert!(!s.repo.join("unseen").exists());
    let list = s.git(["sparse-checkout", "list"]);
    // The agent sees all of it.
    s.script(&format!("test -f unseen/b.txt || exit 1\n{GOOD}"));
    to_the_end(&s);
    assert_eq!(s.git(["sparse-checkout", "list"]), list);
    assert!(!s.repo.join("unseen").exists());
    assert!(!s.repo.join(".pertask").exists());
    assert_eq!(s.git(["status", "--porcelain"]), "");
    assert!(s.files_at("pertask/wiz/main").contains("unseen/b.txt"));
}

#[test]
fn a_path_with_spaces_quotes_and_other_letters_works() {
    let mut s = Sandbox::empty();
    s.repo = s.root().join("mein 'Projekt' \"größer\" 日本");
    fs::create_dir(&s.repo).unwrap();
    s.git(["init", "--quiet"]);
    s.agent(GOOD);
    s.plan(TWO);
    s.write("naïve file.txt", "x\n");
    s.commit("Add the plan");
    to_the_end(&s);
    assert_eq!(s.git(["status", "--porcelain"]), "");
}

#[test]
fn ignored_files_of_the_person_are_not_the_agents() {
    let s = Sandbox::with(TWO, "");
    s.write(".gitignore", "*.log\nbuild/\n");
    s.commit("Ignore");
    s.write("secret.log", "secret\n");
    s.script(&format!(
        "test ! -e secret.log || exit 1\nmkdir -p build; echo x > build/x; echo x > x.log\n{GOOD}"
    ));
    to_the_end(&s);
    assert!(!s.files_at("pertask/wiz/main").contains("log\n"));
    assert_eq!(s.read("secret.log"), "secret\n");
}

#[test]
fn hooks_of_the_repository_are_not_run() {
    let s = Sandbox::with(TWO, GOOD);
    for hook in [
        "post-checkout",
        "pre-commit",
        "post-commit",
        "reference-transaction",
    ] {
        let path = format!(".git/hooks/{hook}");
        s.write(
            &path,
            format!("#!/bin/sh\ntouch '{}/hooked'\n", s.root().display()),
        );
        fs::set_permissions(s.repo.join(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }
    to_the_end_without_git(&s);
    assert!(!s.root().join("hooked").exists());
}

fn to_the_end_without_git(s: &Sandbox) {
    s.pertask(["start", "wiz"]).code(0);
    s.pertask(["approve"]).code(0);
    let out = s.pertask(["approve"]).code(0);
    assert!(out.stdout.contains("is complete"), "{}", out.text());
}

#[test]
fn a_run_branch_that_the_person_has_checked_out_is_left_where_it_is() {
    let s = Sandbox::with(TWO, GOOD);
    s.pertask(["start", "wiz"]).code(0);
    s.git(["checkout", "--quiet", "pertask/wiz/main"]);
    s.pertask(["approve"]).code(0);
    assert_eq!(s.git(["status", "--porcelain"]), "");
    let out = s.pertask(["approve"]).code(0);
    assert!(out.stderr.contains("is checked out in"), "{}", out.text());
    assert_eq!(s.status("wiz")["state"], "complete");
    assert_eq!(s.git(["status", "--porcelain"]), "");
    // Once it is free, it can be brought where it belongs.
    s.git(["checkout", "--quiet", "main"]);
    s.pertask(["continue", "wiz"]).code(0);
    assert!(s.files_at("pertask/wiz/main").contains("two.txt"));
}
