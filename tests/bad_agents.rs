//! Agents that fail, lie, hang and break things: each ends in a clear message and the right exit
//! code, with nothing lost and nothing half-merged, and the person's repository untouched.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/site.rs"]
mod site;

use site::{Output, Site};

/// One task, one file, one build that looks for it.
const PLAN: &str = r#"
build = [["test", "-e", "README.md"]]
[[task]]
id = "one"
file = "src/one.txt"
purpose = "The one file"
max_lines = 5
"#;

/// A run of one task with this agent and one attempt.
fn one(script: &str) -> (Site, Output) {
    one_with(script, "", |_| ())
}

fn one_with(script: &str, agent: &str, prepare: impl FnOnce(&Site)) -> (Site, Output) {
    let site = Site::new();
    site.agent(script);
    prepare(&site);
    site.plan(PLAN, agent, "[limits]\nattempts = 1\n");
    let before = site.users_own();
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(site.users_own(), before, "the person's own was touched");
    assert_eq!(site.processes(), Vec::<String>::new());
    assert!(site.locks().is_empty(), "{:?}", site.locks());
    let fsck = site.git(&["fsck", "--no-dangling"]);
    assert_eq!(fsck, "");
    (site, out)
}

#[test]
fn its_command_is_not_there() {
    let site = Site::new();
    site.agent("");
    site.plan(PLAN, "", "");
    let config = site.repo(".pertask/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, text.replace("/bin/agent", "/bin/no-such-agent")).unwrap();
    site.commit("Name another agent");
    let out = site.pertask(&["start", "wiz"]);
    let refs = site.git(&["for-each-ref", "refs/pertask", "refs/heads/pertask"]);
    assert_eq!(refs, "");
    insta::assert_snapshot!(site.plain(&out.all()), @r"
    exit 2
    --- stdout

    --- stderr
    git-pertask: the agent script cannot be started: there is no program `/site/bin/no-such-agent` at that path; install it, or name another with --agent or in .pertask/config.toml
    ");
}

#[test]
fn it_exits_with_an_error() {
    let (site, out) = one("mkdir src; echo half > src/one.txt; echo 'no licence' >&2; exit 1");
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.plain(&out.all()), @r"
    exit 1
    --- stdout
    Task 1 of 1 failed: one.txt

    - the agent script: the agent ended with exit status 1

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1

    Next
      git pertask retry wiz one          try again, from where it stopped
      git pertask retry --fresh wiz one  try again, from the run branch
      git pertask revise wiz one -m …    say what to do differently, and try again
      git pertask skip wiz one -m …      leave it out, saying why
      git pertask abort wiz              end the run; every branch is kept

    Waiting for:
    - a decision on task 1 of 1, one (one), which failed (the agent script: the agent ended with exit status 1): `git pertask retry wiz one`, `git pertask revise wiz one -m …` or `git pertask skip wiz one -m …`
    --- stderr
    Run wiz: 1 task in per-task mode (asked for with --mode), from <id>
    note: agents and checks run unconfined (as the configuration asks): they can read and change whatever you can, beyond their workspace
    Building the base, so that old breakage is not blamed on an agent
      ok test -e README.md (<time>)
    The base builds
    Task 1 of 1, one (one): attempt 1 begins
      ok test -e README.md (<time>)
    Task 1 of 1, one (one): attempt 1 fails: the agent script: the agent ended with exit status 1
      its work is kept on pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_is_killed() {
    let (site, out) = one("mkdir src; echo half > src/one.txt; kill -9 $$");
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - the agent script: the agent was killed by signal 9

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_hangs() {
    let (site, out) = one_with(
        "mkdir src; echo half > src/one.txt; trap '' TERM; while :; do sleep 1; done",
        "timeout = \"1s\"",
        |_| (),
    );
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - the agent script: the agent was ended at its time limit of <time>

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_prints_without_end() {
    let (site, out) =
        one("head -c 100000000 /dev/zero | tr '\\0' x; mkdir src; echo x > src/one.txt; complete");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    let kept = "refs/pertask/runs/wiz:attempts/1-one/1/agent-output.txt";
    let bytes = site.git(&["cat-file", "-s", kept]);
    assert!(bytes.parse::<u64>().unwrap() < 100_000, "{bytes}");
}

#[test]
fn it_prints_no_text() {
    let (site, out) = one(
        "printf '\\377\\376\\200{\\n\\0\\033[2J'; mkdir src; printf '\\377\\n' > src/one.txt; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    assert!(!out.stderr.contains('\u{1b}'));
}

#[test]
fn it_leaves_children_behind() {
    let (site, out) = one(
        "(sleep 300 &); setsid sleep 300 >/dev/null 2>&1 & mkdir src; echo x > src/one.txt; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
}

/// Leaves one behind that is in no group, session and environment of anybody's, and has no parent.
#[cfg(target_os = "linux")]
const HIDES: &str = "setsid env -i /bin/sh -c '(/bin/sleep 1000 &) &' >/dev/null 2>&1;";

#[test]
#[cfg(target_os = "linux")]
fn it_hides_what_it_leaves_behind() {
    for config in ["", "sandbox = \"off\"\n"] {
        let site = Site::new();
        site.agent(&format!(
            "{HIDES} mkdir -p src; echo x > src/one.txt; complete"
        ));
        site.plan(PLAN, "", config);
        let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
        assert_eq!(out.code, 0, "{}", out.all());
        assert_eq!(site.processes(), Vec::<String>::new());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_check_hides_what_it_leaves_behind() {
    let (_, out) = checked(HIDES, "1m");
    assert_eq!(out.code, 0, "{}", out.all());
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_hidden_outlives_a_killed_run() {
    let site = Site::new();
    site.agent(&format!("{HIDES} sleep 1000"));
    site.plan(PLAN, "", "sandbox = \"off\"\n");
    let mut run = site.command(env!("CARGO_BIN_EXE_git-pertask"));
    let mut run = run.args(["start", "wiz", "--mode", "per-task"]);
    run = run.stdout(std::process::Stdio::null());
    run = run.stderr(std::process::Stdio::null());
    let mut run = run.spawn().unwrap();
    let asleep = || {
        let all = site.processes();
        all.iter()
            .filter(|line| line.contains("sleep 1000"))
            .count()
    };
    while asleep() < 2 {
        assert!(run.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    run.kill().unwrap();
    run.wait().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !site.processes().is_empty() {
        assert!(std::time::Instant::now() < until, "{:?}", site.processes());
        std::thread::yield_now();
    }
}

#[test]
fn it_says_complete_without_the_file() {
    let (site, out) = one(r#"say '{"status":"complete","file_created":"src/one.txt","lines":3}'"#);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - files: src/one.txt is not there

    What does not hold
    - files: src/one.txt is not there
        src/one.txt is not there

    Spent:   <time>
    ");
}

#[test]
fn it_says_a_false_number_of_lines() {
    let (site, out) = one(r#"mkdir src; seq 9 > src/one.txt
           say '{"status":"complete","lines":3,"build_status":"success"}'"#);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - line limit: src/one.txt has 9 lines, 5 are allowed

    What does not hold
    - line limit: src/one.txt has 9 lines, 5 are allowed

    Created: + src/one.txt
    Lines:   9
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_hands_nothing_off() {
    let (site, out) = one("mkdir src; echo x > src/one.txt");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
}

#[test]
fn it_hands_off_what_is_no_json() {
    let (site, out) = one("mkdir src; echo x > src/one.txt; say '{\"status\": \"comp'");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
}

#[test]
fn it_ends_with_a_word_nobody_knows() {
    let (site, out) = one(r#"mkdir src; echo x > src/one.txt; say '{"status": "finito"}'"#);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 blocked: one.txt

    The agent cannot go on
      the handoff's status `finito` is not one of the known ones

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_is_blocked() {
    let (site, out) = one(r#"mkdir src; echo half > src/one.txt
           say '{"status": "blocked", "blocked_reason": "no key", "attempted": ["asked"]}'"#);
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 blocked: one.txt

    The agent cannot go on
      no key

    What it says it tried
    - asked

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_asks_and_gets_an_answer() {
    let (site, out) = one(r#"if [ $PERTASK_ATTEMPT = 1 ]; then
             say '{"status": "needs_clarification", "question": "Tabs or spaces?"}'; exit
           fi
           mkdir src; echo x > src/one.txt; complete"#);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 has a question: one.txt

    The agent asks
      Tabs or spaces?

    What does not hold
    - files: src/one.txt is not there
        src/one.txt is not there

    Spent:   <time>
    ");
    let out = site.pertask(&["revise", "-m", "Tabs, of course"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.task("one"), "review");
    let prompt = site.out("prompt-one-2");
    assert!(prompt.contains("Tabs or spaces?"), "{prompt}");
    assert!(prompt.contains("Tabs, of course"), "{prompt}");
}

#[test]
fn it_wants_a_review_and_gets_one_where_policy_asks_for_none() {
    let site = Site::new();
    site.agent(r#"mkdir src; echo x > src/one.txt; say '{"status": "needs_review"}'"#);
    site.plan(PLAN, "", "checkpoint = \"none\"");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(
        (out.code, &*site.task("one")),
        (0, "review"),
        "{}",
        out.all()
    );
}

/// What an agent can put into a repository so that a later git command runs it.
const TRAPS: &str = r#"
trap_="touch $OUT/executed-"
git config core.hooksPath "$PWD/hooks"
git config core.fsmonitor "${trap_}fsmonitor; false"
git config core.sshCommand "${trap_}ssh"
git config core.pager "${trap_}pager"
git config core.editor "${trap_}editor"
git config diff.external "${trap_}diff"
git config filter.evil.clean "${trap_}clean; cat"
git config filter.evil.smudge "${trap_}smudge; cat"
git config filter.evil.process "${trap_}process"
git config diff.evil.textconv "${trap_}textconv; cat"
git config merge.evil.driver "${trap_}merge"
for a in status add diff diff-files ls-files read-tree checkout-index hash-object clean; do
  git config alias.$a "!${trap_}alias"
done
mkdir -p hooks .git/hooks
for h in post-checkout pre-commit post-index-change reference-transaction post-commit; do
  printf '#!/bin/sh\ntouch "%s/executed-hook"\n' "$OUT" > .git/hooks/$h
  cp .git/hooks/$h hooks/$h; chmod +x hooks/$h .git/hooks/$h
done
printf '* filter=evil diff=evil merge=evil\n' > .git/info/attributes
# The same once more in files that the configuration includes.
for n in 1 2; do
  f="$PWD/.git/included-$n"
  git config -f "$f" core.fsmonitor "${trap_}included-fsmonitor; false"
  git config -f "$f" core.hooksPath "$PWD/.git/hooks"
  git config -f "$f" filter.evil.clean "${trap_}included-clean; cat"
  git config -f "$f" filter.evil.process "${trap_}included-process"
  git config -f "$f" alias.status "!${trap_}included-alias"
done
git config include.path "$PWD/.git/included-1"
git config "includeIf.gitdir:/**.path" "$PWD/.git/included-2"
rm -f "$OUT"/executed-*
"#;

fn nothing_executed(site: &Site) {
    for entry in std::fs::read_dir(site.path("out")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with("executed"), "{name}");
    }
}

#[test]
fn it_rewrites_configuration_and_hooks() {
    let script =
        format!("{TRAPS}\nrm -rf hooks; mkdir -p src; echo x >> src/$PERTASK_TASK.txt; complete");
    let site = Site::new();
    site.agent(&script);
    site.write("src/old.txt", "old\n");
    let plan = format!(
        "{PLAN}[[task]]\nid = \"two\"\nfile = \"src/two.txt\"\npurpose = \"Two\"\ndepends_on = [\"one\"]\n"
    );
    site.plan(&plan, "", "");
    let before = site.users_own();
    let steps: [&[&str]; 4] = [
        &["start", "wiz", "--mode", "per-task"],
        &["revise", "-m", "again"],
        &["approve"],
        &["approve"],
    ];
    for step in steps {
        let out = site.pertask(step);
        assert_eq!(out.code, 0, "{}", out.all());
        nothing_executed(&site);
    }
    assert_eq!(site.status()["state"], "complete");
    assert_eq!(site.users_own(), before);
}

/// Not confined, it reaches the configuration of the person's own repository.
#[test]
fn it_sets_traps_in_the_persons_repository() {
    let site = Site::new();
    let repo = site.path("repo").display().to_string();
    // What git is to run for us is another matter: see below.
    let others = ["filter", "merge.evil", "sshCommand"];
    let traps = TRAPS.lines();
    let traps = traps.filter(|line| !others.iter().any(|other| line.contains(other)));
    let traps: Vec<&str> = traps.collect();
    let traps = traps.join("\n");
    site.agent(&format!(
        "(cd '{repo}' && {{ {traps}\n}}; rm -rf hooks)
         mkdir -p src; echo x >> src/one.txt; complete"
    ));
    site.write("src/old.txt", "old\n");
    site.plan(PLAN, "", "");
    let steps: [&[&str]; 10] = [
        &["start", "wiz", "--mode", "per-task"],
        &["status"],
        &["show"],
        &["plan", "wiz"],
        &["log"],
        &["check"],
        &["doctor"],
        &["revise", "-m", "again"],
        &["approve"],
        &["log", "wiz"],
    ];
    for step in steps {
        let out = site.pertask(step);
        assert!(out.code < 2, "{step:?}: {}", out.all());
        nothing_executed(&site);
    }
    assert_eq!(site.status()["state"], "complete");
    // They were there all the time: git itself runs into them.
    site.command("git").arg("status").output().unwrap();
    let left = std::fs::read_dir(site.path("out")).unwrap().flatten();
    let run = left.filter(|e| e.file_name().to_string_lossy().starts_with("executed"));
    assert!(run.count() > 0);
}

/// A filter is a program that the person's git is to run, like that of LFS; so one that appears while
/// an agent works is a stop, and nothing runs it before a person has been told.
#[test]
fn it_plants_a_program_in_the_persons_repository() {
    for how in [
        "git config filter.evil.clean \"touch $OUT/executed-clean; cat\"
         git config filter.evil.smudge \"touch $OUT/executed-smudge; cat\"",
        "git config -f .git/more filter.evil.process \"touch $OUT/executed-process\"
         git config include.path more",
        "git config merge.evil.driver \"touch $OUT/executed-merge\"",
        "git config core.sshCommand \"touch $OUT/executed-ssh\"",
        "git config credential.helper \"!touch $OUT/executed-helper\"",
        "git config url.https://evil.example/.insteadOf https://",
    ] {
        let site = Site::new();
        let repo = site.path("repo").display().to_string();
        site.agent(&format!(
            "(cd '{repo}'; {how}
              echo '* filter=evil' > .git/info/attributes; rm -f \"$OUT\"/executed-*)
             mkdir -p src; echo x >> src/one.txt; complete"
        ));
        site.plan(PLAN, "", "");
        let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
        assert_eq!(
            (out.code, &*site.task("one")),
            (1, "failed"),
            "{}",
            out.all()
        );
        assert_eq!(site.out("asked"), "one-1\n");
        assert!(
            out.stdout.contains("settings of your repository changed"),
            "{}",
            out.all()
        );
        let steps: [&[&str]; 5] = [&["status"], &["show"], &["log"], &["continue"], &["check"]];
        for step in steps {
            site.pertask(step);
        }
        nothing_executed(&site);
    }
}

#[test]
fn it_sets_traps_in_the_tree() {
    let script = format!(
        "{TRAPS}\nprintf '* filter=evil diff=evil merge=evil\\n' > .gitattributes
         mkdir -p src; echo x > src/one.txt; complete"
    );
    let (site, out) = one(&script);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 6 paths are not within the task, the first: .gitattributes is
      protected: no agent may change it

    What does not hold
    - scope: 6 paths are not within the task, the first: .gitattributes is
      protected: no agent may change it
        .gitattributes is protected: no agent may change it
        hooks/post-checkout is outside what this task may touch
        hooks/post-commit is outside what this task may touch
        hooks/post-index-change is outside what this task may touch
        hooks/pre-commit is outside what this task may touch
        hooks/reference-transaction is outside what this task may touch

    Created: + .gitattributes
             + hooks/post-checkout
             + hooks/post-commit
             + hooks/post-index-change
             + hooks/pre-commit
             + hooks/reference-transaction
             + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    nothing_executed(&site);
    assert_eq!(site.pertask(&["retry"]).code, 1);
    nothing_executed(&site);
}

#[test]
fn it_commits_branches_and_resets() {
    let (site, out) = one(
        "git checkout -q -b mine; mkdir src; echo x > src/one.txt; git add -A; git commit -q -m mine
         git branch main; git tag v1; git update-ref refs/heads/pertask/wiz/main HEAD
         git update-ref refs/pertask/runs/wiz HEAD; git checkout -q --orphan empty; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
    assert_eq!(site.git(&["show", "pertask/wiz/1-one:src/one.txt"]), "x");
    assert_eq!(site.git(&["tag"]), "");
}

#[test]
fn it_deletes_the_repository() {
    let (site, out) = one("rm -rf .git; mkdir src; echo x > src/one.txt; complete");
    assert_eq!(
        (out.code, &*site.task("one")),
        (0, "review"),
        "{}",
        out.all()
    );
}

#[test]
fn it_loses_its_own_file() {
    let (site, out) =
        one("mkdir src; echo x > src/one.txt; git add -A; git reset -q --hard; complete");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - files: src/one.txt is not there

    What does not hold
    - files: src/one.txt is not there
        src/one.txt is not there

    Spent:   <time>
    ");
}

#[test]
fn it_points_the_repository_at_the_persons() {
    // The folder of the test is beside that of the repository.
    let (site, out) = one(r#"mkdir src; echo x > src/one.txt; rm -rf .git
           echo "gitdir: ${OUT%/out}/repo/.git" > .git
           GIT_OPTIONAL_LOCKS=0 git status > $OUT/git-status; complete"#);
    assert!(site.out("git-status").contains("On branch main"));
    assert_eq!(
        (out.code, &*site.task("one")),
        (0, "review"),
        "{}",
        out.all()
    );
}

#[test]
fn it_touches_what_is_not_its_own() {
    let (site, out) = one(
        "mkdir -p src .github/workflows sub; echo x > src/one.txt; echo x > src/two.txt
         echo x > .github/workflows/ci.yml; echo x > .pertask/wiz/plan.toml
         echo '* -text' > .gitattributes; echo x > CLAUDE.md; echo x > sub/AGENTS.md
         rm README.md; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 7 paths are not within the task, the first: .gitattributes is
      protected: no agent may change it

    What does not hold
    - scope: 7 paths are not within the task, the first: .gitattributes is
      protected: no agent may change it
        .gitattributes is protected: no agent may change it
        .github/workflows/ci.yml is protected: no agent may change it
        .pertask/wiz/plan.toml is protected: no agent may change it
        CLAUDE.md is protected: no agent may change it
        README.md is outside what this task may touch
        src/two.txt is outside what this task may touch
        sub/AGENTS.md is protected: no agent may change it

    Created: + .gitattributes
             + .github/workflows/ci.yml
             ~ .pertask/wiz/plan.toml
             + CLAUDE.md
             - README.md
             + src/one.txt
             + src/two.txt
             + sub/AGENTS.md
             (+ created, ~ modified, - deleted)
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

/// No object of the repository holds what lies outside of the tree.
fn no_secret(site: &Site, secret: &str) {
    let format = "--batch-check=%(objecttype) %(objectname)";
    let objects = site.git(&["cat-file", "--batch-all-objects", format]);
    for line in objects.lines() {
        if let Some(blob) = line.strip_prefix("blob ") {
            assert_ne!(
                site.git(&["cat-file", "blob", blob]).trim(),
                secret,
                "{blob}"
            );
        }
    }
}

#[test]
fn it_plants_links_that_lead_out() {
    let (site, out) = one_with(
        "echo secret > $OUT/secret; mkdir src; echo x > src/one.txt
         ln -s $OUT src/out; ln -s ../../../../out src/up; ln -s ../.git/config src/config
         rm README.md; ln -s $OUT/secret README.md; rm -r lib; ln -s $OUT lib; complete",
        "",
        |site| site.write("lib/secret", "ours\n"),
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 6 paths are not within the task, the first: README.md is a symbolic
      link that leads out of the repository, to /site/out/secret

    What does not hold
    - scope: 6 paths are not within the task, the first: README.md is a symbolic
      link that leads out of the repository, to /site/out/secret
        README.md is a symbolic link that leads out of the repository, to /site/out/secret
        lib is a symbolic link that leads out of the repository, to /site/out
        lib/secret is outside what this task may touch
        src/config is a symbolic link that leads out of the repository, to ../.git/config
        src/out is a symbolic link that leads out of the repository, to /site/out
        src/up is a symbolic link that leads out of the repository, to ../../../../out

    Created: ~ README.md
             + lib
             - lib/secret
             + src/config
             + src/one.txt
             + src/out
             + src/up
             (+ created, ~ modified, - deleted)
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    no_secret(&site, "secret");
    // The next attempt finds the tree as it belongs, and nothing was written through the link.
    site.agent("cat lib/secret > $OUT/seen; mkdir -p src; echo x > src/one.txt; complete");
    let out = site.pertask(&["retry"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.out("seen"), "ours\n");
    assert_eq!(site.out("secret"), "secret\n");
}

#[test]
fn its_file_is_a_link_to_a_secret() {
    let (site, out) =
        one("echo secret > $OUT/secret; mkdir src; ln -s $OUT/secret src/one.txt; complete");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - files: src/one.txt is not there
    - scope: src/one.txt is a symbolic link that leads out of the repository, to
      /site/out/secret

    What does not hold
    - files: src/one.txt is not there
    - scope: src/one.txt is a symbolic link that leads out of the repository, to
      /site/out/secret
        src/one.txt is not there

    Created: + src/one.txt
    Lines:   0
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    no_secret(&site, "secret");
}

#[test]
fn it_names_a_file_so_that_git_reads_another() {
    // `hash-object --stdin-paths` takes a line in quotes for a path written in C's manner.
    let (site, out) = one(
        r#"echo secret > $OUT/secret; mkdir src; echo x > src/one.txt
           name=$(printf '%s' "$OUT/secret" | sed 's,/,\\057,g'); echo bait > "\"$name\""
           complete"#,
    );
    no_secret(&site, "secret");
    assert_eq!(out.code, 1, "{}", out.all());
    assert!(
        out.stdout.contains("outside what this task may touch"),
        "{}",
        out.stdout
    );
}

#[test]
fn it_uses_names_that_are_hard_to_write() {
    let (site, out) = one(
        r#"mkdir src; echo x > src/one.txt; echo t > "$(printf 'src/tab\ttab')"
           echo q > 'src/quote"quote'; echo b > 'src/back\slash'; echo s > ' space '
           echo r > "$(printf 'return\r')"; echo d > ':colon'; echo e > '*'; echo f > 'été'
           complete"#,
    );
    insta::assert_snapshot!(site.short(&out), @r#"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 8 paths are not within the task, the first: space is outside what this
      task may touch

    What does not hold
    - scope: 8 paths are not within the task, the first: space is outside what this
      task may touch
         space  is outside what this task may touch
        * is outside what this task may touch
        :colon is outside what this task may touch
        return
         is outside what this task may touch
        src/back\slash is outside what this task may touch
        src/quote"quote is outside what this task may touch
        src/tab    tab is outside what this task may touch
        été is outside what this task may touch

    Created: + space
             + *
             + :colon
             + return
             + src/back\slash
             + src/one.txt
             + src/quote"quote
             + src/tab tab
             + été
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    "#);
    let names = [
        ("src/tab\ttab", "t"),
        ("src/quote\"quote", "q"),
        ("src/back\\slash", "b"),
        (" space ", "s"),
        ("return\r", "r"),
        (":colon", "d"),
        ("*", "e"),
        ("été", "f"),
    ];
    for (name, text) in names {
        let object = format!("pertask/wiz/kept/1-one-1:{name}");
        assert_eq!(site.git(&["show", &object]), text, "{name:?}");
    }
}

#[test]
fn it_uses_names_that_are_no_text() {
    let (site, out) = one(
        r#"mkdir src; echo x > src/one.txt; echo n > "src/$(printf 'new\nline')"
           echo i > "src/$(printf 'in\377valid')"; mkdir "$(printf 'in\376valid')"
           echo i > "$(printf 'in\376valid/x')"; complete"#,
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 3 paths are not within the task, the first: in�valid/ has a name that
      git cannot keep, or no plain UTF-8

    What does not hold
    - scope: 3 paths are not within the task, the first: in�valid/ has a name that
      git cannot keep, or no plain UTF-8
        in�valid/ has a name that git cannot keep, or no plain UTF-8
        src/in�valid has a name that git cannot keep, or no plain UTF-8
        src/new\nline has a name that git cannot keep, or no plain UTF-8

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_makes_repositories_inside() {
    let (site, out) = one(
        "mkdir -p src; echo x > src/one.txt; git init -q empty; git init -q full; echo y > full/y
         git -C full add y; git -C full -c user.name=a -c user.email=a commit -q -m y
         mkdir fake; echo 'gitdir: ../.git' > fake/.git; mkdir -p src/deep
         git init -q src/deep/er; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 4 paths are not within the task, the first: empty is a repository of
      its own

    What does not hold
    - scope: 4 paths are not within the task, the first: empty is a repository of
      its own
        empty is a repository of its own
        fake is a repository of its own
        full is a repository of its own
        src/deep/er is a repository of its own

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    // What is left of it is not in the way of the next attempt.
    site.agent("mkdir -p src; echo x > src/one.txt; ls -A > $OUT/ls; complete");
    let out = site.pertask(&["retry"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.out("ls"), ".git\n.pertask\nREADME.md\nsrc\n");
}

#[test]
fn it_adds_a_submodule() {
    let (site, out) = one(
        "mkdir -p src; echo x > src/one.txt; git init -q other; echo y > other/y
         git -C other add y; git -C other -c user.name=a -c user.email=a commit -q -m y
         git -c protocol.file.allow=always submodule --quiet add ./other sub || exit 3
         rm -rf other; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 2 paths are not within the task, the first: .gitmodules is protected:
      no agent may change it

    What does not hold
    - scope: 2 paths are not within the task, the first: .gitmodules is protected:
      no agent may change it
        .gitmodules is protected: no agent may change it
        sub is a repository of its own

    Created: + .gitmodules
             + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_fills_a_submodule_of_the_base_with_traps() {
    let (site, out) = one_with(
        r#"mkdir -p src sub; echo x > src/one.txt; cd sub; git init -q; echo y > y; git add y
           git -c user.name=a -c user.email=a commit -q -m y
           git config core.fsmonitor "touch $OUT/executed-fsmonitor; false"
           # At the very commit that the base names, so that git looks further inside.
           git -C .. rev-parse HEAD:sub > .git/refs/heads/$(git branch --show-current)
           git config core.hooksPath "$PWD"
           printf '#!/bin/sh\ntouch %s/executed-hook' "$OUT" > post-index-change
           chmod +x post-index-change; echo z > z; cd ..; rm -f "$OUT"/executed-*; complete"#,
        "",
        |site| {
            site.commit("First");
            let commit = site.git(&["rev-parse", "HEAD"]);
            let entry = format!("160000,{commit},sub");
            site.git(&["update-index", "--add", "--cacheinfo", &entry]);
            site.git(&["commit", "-q", "-m", "A submodule"]);
            std::fs::create_dir(site.repo("sub")).unwrap();
        },
    );
    nothing_executed(&site);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 0
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time>
    Branch:  pertask/wiz/1-one at <id>

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    ");
}

#[test]
fn it_makes_pipes() {
    let (site, out) = one(
        "mkdir src; mkfifo src/pipe; mkfifo pipe; rm README.md; mkfifo README.md
         mkfifo src/one.txt; complete",
    );
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - files: src/one.txt is not there
    - scope: 3 paths are not within the task, the first: README.md is neither a file
      nor a folder nor a link

    What does not hold
    - files: src/one.txt is not there
    - scope: 3 paths are not within the task, the first: README.md is neither a file
      nor a folder nor a link
        src/one.txt is not there

    Spent:   <time>
    ");
}

#[test]
fn it_deletes_everything() {
    let (site, out) = one("rm -rf ./* .[!.]*; complete");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - files: src/one.txt is not there
    - scope: 3 paths are not within the task, the first: .pertask/config.toml is
      protected: no agent may change it

    What does not hold
    - files: src/one.txt is not there
    - scope: 3 paths are not within the task, the first: .pertask/config.toml is
      protected: no agent may change it
        src/one.txt is not there

    Created: - .pertask/config.toml
             - .pertask/wiz/plan.toml
             - README.md
             (+ created, ~ modified, - deleted)
    Lines:   none
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn it_deletes_even_the_folder_it_is_in() {
    let (site, out) = one("rm -rf \"$PWD\"; complete");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - files: src/one.txt is not there
    - scope: 3 paths are not within the task, the first: .pertask/config.toml is
      protected: no agent may change it

    What does not hold
    - files: src/one.txt is not there
    - scope: 3 paths are not within the task, the first: .pertask/config.toml is
      protected: no agent may change it
        src/one.txt is not there

    Created: - .pertask/config.toml
             - .pertask/wiz/plan.toml
             - README.md
             (+ created, ~ modified, - deleted)
    Lines:   none
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    site.agent("mkdir src; echo x > src/one.txt; complete");
    let out = site.pertask(&["retry", "--fresh"]);
    assert_eq!(out.code, 0, "{}", out.all());
}

#[test]
fn it_puts_a_link_where_its_folder_was() {
    let (site, out) = one(
        r#"mkdir $OUT/dear; echo dear > $OUT/dear/letter; here=$PWD; cd ..
           mv "$here" "$here-moved"; ln -s $OUT/dear "$here"; complete"#,
    );
    assert_eq!(site.out("dear/letter"), "dear\n");
    no_secret(&site, "dear");
    assert_eq!(out.code, 1, "{}", out.all());
    site.agent("mkdir src; echo x > src/one.txt; complete");
    let out = site.pertask(&["retry", "--fresh"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(site.out("dear/letter"), "dear\n");
}

#[test]
fn it_makes_thousands_of_files() {
    let (site, out) = one("mkdir src; echo x > src/one.txt; mkdir many; cd many
         seq 5000 | while read n; do echo $n > $n; done; cd ..; complete");
    assert!(
        out.stdout.len() < 20_000,
        "{} bytes of output",
        out.stdout.len()
    );
    let said: Vec<&str> = out.stdout.lines().take(3).collect();
    insta::assert_snapshot!(site.plain(&format!("exit {}\n{}", out.code, said.join("\n"))), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - scope: 5000 paths are not within the task, the first: many/1 is outside what
    ");
}

#[test]
fn it_makes_a_huge_file() {
    let (site, out) = one("mkdir src; head -c 50000000 /dev/zero > src/one.txt; complete");
    assert_eq!(
        (out.code, &*site.task("one")),
        (0, "review"),
        "{}",
        out.all()
    );
}

#[test]
fn it_puts_strange_things_into_its_output_folder() {
    let (site, out) = one(
        r#"mkdir src; echo x > src/one.txt; cd "$PERTASK_OUTPUT_DIR"; echo g > .git
           mkdir -p a/.git 'git~1' .GIT; echo x > a/.git/x; echo x > 'git~1/x'; echo x > .GIT/x
           ln -s /etc/passwd passwd; mkfifo pipe; echo n > "$(printf 'new\nline')"
           echo i > "$(printf 'in\377valid')"; echo ok > notes.md; head -c 9000000 /dev/zero > big
           complete"#,
    );
    assert_eq!(out.code, 0, "{}", out.all());
    let ledger = "refs/pertask/runs/wiz";
    let folder = "attempts/1-one/1";
    let names = site.git(&["ls-tree", "-r", "--name-only", ledger, folder]);
    insta::assert_snapshot!(names, @r#"
    attempts/1-one/1/handoff.json
    attempts/1-one/1/order.json
    attempts/1-one/1/output-left-out.txt
    attempts/1-one/1/output/handoff.json
    "attempts/1-one/1/output/new\nline"
    attempts/1-one/1/output/notes.md
    attempts/1-one/1/prompt.md
    attempts/1-one/1/result.json
    "#);
}

#[test]
fn what_git_ignores_is_gone_before_the_build_and_before_the_next_task() {
    let site = Site::new();
    site.write(".gitignore", "*.o\ncache/\n");
    site.agent(
        "ls -A > $OUT/ls-$PERTASK_TASK; mkdir -p src/cache cache; echo x > src/$PERTASK_TASK.txt
         touch src/x.o cache/y src/cache/z; complete",
    );
    let plan = r#"
build = [["sh", "-c", "! ls -R . | grep -E 'x.o|cache' && touch left.o"]]
[[task]]
id = "one"
file = "src/one.txt"
purpose = "One"
[[task]]
id = "two"
file = "src/two.txt"
purpose = "Two"
depends_on = ["one"]
"#;
    site.plan(plan, "", "checkpoint = \"none\"\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(
        site.out("ls-two"),
        ".git\n.gitignore\n.pertask\nREADME.md\nsrc\n"
    );
}

#[test]
fn the_compiler_is_not_installed() {
    let site = Site::new();
    site.agent("");
    let plan = PLAN.replace(
        r#"["test", "-e", "README.md"]"#,
        r#"["no-such-compiler", "build"]"#,
    );
    site.plan(&plan, "", "");
    let out = site.pertask(&["start", "wiz"]);
    assert_eq!(site.out("asked"), "");
    let text = out.all().replace(&std::env::var("PATH").unwrap(), "<path>");
    insta::assert_snapshot!(site.plain(&text), @r"
    exit 1
    --- stdout
    Waiting for:
    - a base that builds: `no-such-compiler build` fails on main at <id>; if this machine lacks something, install it and `git pertask continue wiz`; if the code is broken, mend it on main, then `git pertask abort wiz` and `git pertask start wiz`
    --- stderr
    Run wiz: 1 task in batch mode (1-3 implementation tasks: 1), from <id>
    note: agents and checks run unconfined (as the configuration asks): they can read and change whatever you can, beyond their workspace
    Building the base, so that old breakage is not blamed on an agent
      FAILED no-such-compiler build (<time>): there is no program `no-such-compiler` on the PATH (<path>)
    The base does not build: no-such-compiler build
    ");
}

#[test]
fn the_base_does_not_build() {
    let site = Site::new();
    site.agent("");
    let plan = PLAN.replace(
        r#"["test", "-e", "README.md"]"#,
        r#"["sh", "-c", "echo broken; exit 3"]"#,
    );
    site.plan(&plan, "", "");
    let out = site.pertask(&["start", "wiz"]);
    assert_eq!(site.out("asked"), "");
    insta::assert_snapshot!(site.plain(&out.all()), @r"
    exit 1
    --- stdout
    Waiting for:
    - a base that builds: `sh -c 'echo broken; exit 3'` fails on main at <id>; if this machine lacks something, install it and `git pertask continue wiz`; if the code is broken, mend it on main, then `git pertask abort wiz` and `git pertask start wiz`
    --- stderr
    Run wiz: 1 task in batch mode (1-3 implementation tasks: 1), from <id>
    note: agents and checks run unconfined (as the configuration asks): they can read and change whatever you can, beyond their workspace
    Building the base, so that old breakage is not blamed on an agent
      FAILED sh -c 'echo broken; exit 3' (<time>): ended with exit status 3
    The base does not build: sh -c 'echo broken; exit 3'
    ");
    let again = site.pertask(&["continue"]);
    assert_eq!(again.code, 1);
}

/// A run whose check passes on the base and does this on the task's tree.
fn checked(check: &str, timeout: &str) -> (Site, Output) {
    let site = Site::new();
    site.agent("mkdir -p src; echo x > src/one.txt; complete");
    site.write(
        "check.sh",
        &format!("[ -e src/one.txt ] || exit 0\n{check}\n"),
    );
    let plan = PLAN.replace(r#"["test", "-e", "README.md"]"#, r#"["sh", "check.sh"]"#);
    let plan = format!("check_timeout = \"{timeout}\"\n{plan}");
    site.plan(&plan, "", "[limits]\nattempts = 1\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(site.processes(), Vec::<String>::new());
    (site, out)
}

#[test]
fn a_check_hangs() {
    let (site, out) = checked("echo begun; sleep 300 & sleep 300", "1s");
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - sh check.sh: did not end within <time>
    - the build names no file of any task, so this task is attempted again

    What does not hold
    - sh check.sh: did not end within <time>
        begun

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
}

#[test]
fn a_check_prints_without_end() {
    let (site, out) = checked("head -c 10000000 /dev/zero | tr '\\0' x; exit 1", "1m");
    assert_eq!(out.code, 1);
    assert!(out.stdout.len() < 20_000, "{}", out.stdout.len());
    let folder = "attempts/1-one/1/checks/";
    let sizes = site.git(&[
        "ls-tree",
        "-r",
        "--format=%(objectsize)",
        "refs/pertask/runs/wiz",
        folder,
    ]);
    let largest = sizes.lines().filter_map(|s| s.parse::<u64>().ok()).max();
    assert!((60_000..70_000).contains(&largest.unwrap()), "{sizes}");
}

#[test]
fn a_check_changes_the_tree() {
    let (site, out) = checked(
        "echo changed > src/one.txt; echo new > new.txt; rm README.md; git add -A; true",
        "1m",
    );
    assert_eq!(
        (out.code, &*site.task("one")),
        (0, "review"),
        "{}",
        out.all()
    );
    assert_eq!(site.git(&["show", "pertask/wiz/1-one:src/one.txt"]), "x");
    let names = site.git(&["ls-tree", "--name-only", "pertask/wiz/1-one"]);
    assert_eq!(names, ".pertask\nREADME.md\ncheck.sh\nsrc");
}

#[test]
fn a_check_changes_the_tree_for_the_next_one() {
    let site = Site::new();
    site.agent("mkdir -p src; echo x > src/one.txt; complete");
    site.write(".gitignore", "built/\n");
    let first = "[ -e src/one.txt ] || exit 0; mkdir -p built src/new; touch built/a src/new/b; echo right > src/one.txt; rm README.md";
    site.write("first.sh", first);
    let next = "[ -e src/one.txt ] || exit 0; ls -A built src README.md; cat src/one.txt; grep right src/one.txt";
    site.write("next.sh", next);
    let plan = PLAN.replace(
        r#"["test", "-e", "README.md"]"#,
        r#"["sh", "first.sh"], ["sh", "next.sh"]"#,
    );
    site.plan(&plan, "", "[limits]\nattempts = 1\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - sh next.sh: ended with exit status 1
    - the build names no file of any task, so this task is attempted again

    What does not hold
    - sh next.sh: ended with exit status 1
        README.md

        built:
        a

        src:
        one.txt
        x

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    let folder = "refs/pertask/runs/wiz:attempts/1-one/1/result.json";
    let result: serde_json::Value = serde_json::from_str(&site.git(&["show", folder])).unwrap();
    let first = result["checks"].as_array().unwrap().iter();
    let first = first.clone().find(|c| c["name"] == "sh first.sh").unwrap();
    insta::assert_snapshot!(first["detail"].as_str().unwrap(), @"succeeded; it changed README.md and 2 more, which was put back");
}

/// A check runs what an agent has written.
#[test]
fn a_check_plants_a_program_in_the_persons_repository() {
    let site = Site::new();
    let (repo, out) = (site.path("repo"), site.path("out"));
    site.agent("mkdir -p src; echo x > src/one.txt; complete");
    let script = format!(
        "[ -e src/one.txt ] || exit 0\ncd '{repo}'\ngit config filter.evil.clean \"touch '{out}'/executed-clean; cat\"\necho '* filter=evil' > .git/info/attributes\n",
        repo = repo.display(),
        out = out.display(),
    );
    site.write("check.sh", &script);
    let plan = PLAN.replace(r#"["test", "-e", "README.md"]"#, r#"["sh", "check.sh"]"#);
    site.plan(&plan, "", "");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    insta::assert_snapshot!(site.short(&out), @r"
    exit 1
    Task 1 of 1 failed: one.txt

    - during the attempt settings of your repository changed, by which git runs
      programs or chooses servers: filter.evil.clean; look at them with
      `git config --show-origin --list` before you go on

    Created: + src/one.txt
    Lines:   1
    Spent:   <time>
    Kept on: pertask/wiz/kept/1-one-1
    ");
    site.pertask(&["continue"]);
    nothing_executed(&site);
}

#[test]
fn failing_attempts_reach_their_limit_and_each_is_told_what_was_wrong() {
    let site = Site::new();
    site.agent(
        "mkdir -p src; echo $PERTASK_ATTEMPT >> src/one.txt; [ -e stray ] && touch $OUT/stray-was-there
         echo s > stray; rm -f README.md; complete",
    );
    site.plan(PLAN, "", "[limits]\nattempts = 3\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    insta::assert_snapshot!(site.plain(&out.all()), @r"
    exit 1
    --- stdout
    Task 1 of 1 failed: one.txt

    - scope: 2 paths are not within the task, the first: README.md is outside what
      this task may touch

    What does not hold
    - scope: 2 paths are not within the task, the first: README.md is outside what
      this task may touch
        README.md is outside what this task may touch
        stray is outside what this task may touch

    Created: - README.md
             + src/one.txt
             + stray
             (+ created, ~ modified, - deleted)
    Lines:   3
    Spent:   <time> (3 attempts: <time>)
    Kept on: pertask/wiz/kept/1-one-3

    Next
      git pertask retry wiz one          try again, from where it stopped
      git pertask retry --fresh wiz one  try again, from the run branch
      git pertask revise wiz one -m …    say what to do differently, and try again
      git pertask skip wiz one -m …      leave it out, saying why
      git pertask abort wiz              end the run; every branch is kept

    Waiting for:
    - a decision on task 1 of 1, one (one), which failed (scope: 2 paths are not within the task, the first: README.md is outside what this task may touch): `git pertask retry wiz one`, `git pertask revise wiz one -m …` or `git pertask skip wiz one -m …`
    --- stderr
    Run wiz: 1 task in per-task mode (asked for with --mode), from <id>
    note: agents and checks run unconfined (as the configuration asks): they can read and change whatever you can, beyond their workspace
    Building the base, so that old breakage is not blamed on an agent
      ok test -e README.md (<time>)
    The base builds
    Task 1 of 1, one (one): attempt 1 begins
    Task 1 of 1, one (one): attempt 1 fails, another follows: scope: 2 paths are not within the task, the first: README.md is outside what this task may touch
      its work is kept on pertask/wiz/kept/1-one-1
    Task 1 of 1, one (one): attempt 2 begins
    Task 1 of 1, one (one): attempt 2 fails, another follows: scope: 2 paths are not within the task, the first: README.md is outside what this task may touch
      its work is kept on pertask/wiz/kept/1-one-2
    Task 1 of 1, one (one): attempt 3 begins
    Task 1 of 1, one (one): attempt 3 fails: scope: 2 paths are not within the task, the first: README.md is outside what this task may touch
      its work is kept on pertask/wiz/kept/1-one-3
    ");
    assert_eq!(site.out("asked"), "one-1\none-2\none-3\n");
    // What the task may not touch is put back for the next attempt, its own work is not.
    assert!(!site.path("out/stray-was-there").exists());
    for n in 1..=3 {
        let text = site.git(&["show", &format!("pertask/wiz/kept/1-one-{n}:src/one.txt")]);
        assert_eq!(text.lines().count(), n);
    }
    let prompt = site.out("prompt-one-2");
    assert!(
        prompt.contains("stray is outside what this task may touch"),
        "{prompt}"
    );
    assert_eq!(site.pertask(&["continue"]).code, 1);
    assert_eq!(
        site.out("asked").lines().count(),
        3,
        "nobody asked for another"
    );
}

#[test]
fn the_retry_sees_what_the_build_printed() {
    let site = Site::new();
    site.agent("mkdir -p src; echo $PERTASK_ATTEMPT >> src/one.txt; complete");
    let check =
        "[ ! -e src/one.txt ] || grep 2 src/one.txt || { echo one.txt:1: wrong; exit 1; }\n";
    site.write("check.sh", check);
    let plan = PLAN.replace(r#"["test", "-e", "README.md"]"#, r#"["sh", "check.sh"]"#);
    site.plan(&plan, "", "");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert!(site.out("prompt-one-2").contains("one.txt:1: wrong"));
    assert_eq!(site.git(&["show", "pertask/wiz/1-one:src/one.txt"]), "1\n2");
    // Only what passed is on the task's branch; what failed is kept beside it.
    let range = "pertask/wiz/main..pertask/wiz/1-one";
    assert_eq!(site.git(&["rev-list", "--count", range]), "1");
    assert_eq!(
        site.git(&["show", "pertask/wiz/kept/1-one-1:src/one.txt"]),
        "1"
    );
}

#[test]
fn it_drives_the_tool_itself() {
    let script = format!(
        "{} approve wiz one > $OUT/approve 2>&1; echo $? >> $OUT/approve
         mkdir src; echo x > src/one.txt; complete",
        env!("CARGO_BIN_EXE_git-pertask"),
    );
    let (site, out) = one(&script);
    assert_eq!(out.code, 0, "{}", out.all());
    assert!(
        site.out("approve").ends_with("2\n"),
        "{}",
        site.out("approve")
    );
}

#[test]
fn it_writes_its_key_wherever_it_can() {
    const MARK: &str = "marked-agent-key-0001";
    let mut site = Site::new();
    site.set("MY_AGENT_KEY", MARK);
    site.set("GITHUB_TOKEN", "marked-token-of-github-0002");
    site.agent(
        r#"
mkdir -p src deep/er "$PERTASK_OUTPUT_DIR/notes"
[ -z "$GITHUB_TOKEN" ] || touch "$OUT/had-the-token"
if [ $PERTASK_ATTEMPT = 1 ]; then
    printf 'first\nkey: %s\n' "$MY_AGENT_KEY" > src/one.txt
    chmod +x src/one.txt
else
    cat src/one.txt >> "$OUT/seen"
    echo 'no key' > src/one.txt
fi
printf 'x%s' "$MY_AGENT_KEY" | base64 > "$PERTASK_OUTPUT_DIR/notes/encoded"
printf '\377\0%s' "$MY_AGENT_KEY" > "$PERTASK_OUTPUT_DIR/binary"
ln "$PERTASK_OUTPUT_DIR/binary" "$OUT/linked"
ln -s "$OUT/asked" "$PERTASK_OUTPUT_DIR/link"
echo "my key is $MY_AGENT_KEY, my token ghp_0123456789abcdefghijklmnopqrstuvwxyz"
say '{"status": "complete", "review_notes": ["I used '"$MY_AGENT_KEY"'"]}'
"#,
    );
    site.plan(PLAN, "env = [\"MY_AGENT_KEY\"]", "[limits]\nattempts = 2\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    insta::assert_snapshot!(site.plain(&out.all()), @r"
    exit 0
    --- stdout
    Task 1 of 1 complete: one.txt

    Created: + src/one.txt
    Lines:   1
    Build:   SUCCESS
    Rules:   none to check
    Spent:   <time> (2 attempts: <time>)
    Branch:  pertask/wiz/1-one at <id>

    Quick review (the agent's words)
    - I used ***

    Waiting for:
    - a review of task 1 of 1, one (one): read it with `git pertask show wiz one`, then `git pertask approve wiz one` or `git pertask revise wiz one -m …`
    --- stderr
    Run wiz: 1 task in per-task mode (asked for with --mode), from <id>
    note: agents and checks run unconfined (as the configuration asks): they can read and change whatever you can, beyond their workspace
    Building the base, so that old breakage is not blamed on an agent
      ok test -e README.md (<time>)
    The base builds
    Task 1 of 1, one (one): attempt 1 begins
    Task 1 of 1, one (one): attempt 1 fails, another follows: scope: src/one.txt held the value of MY_AGENT_KEY, which was taken out
      its work is kept on pertask/wiz/kept/1-one-1
    Task 1 of 1, one (one): attempt 2 begins
      ok test -e README.md (<time>)
    Task 1 of 1, one (one): attempt 2 passes its checks, waiting for a review
    ");
    assert!(!site.path("out/had-the-token").exists());
    // The next attempt starts from the tree without it.
    assert_eq!(site.out("seen"), "first\nkey: ***\n");
    let kept = "pertask/wiz/kept/1-one-1";
    assert_eq!(
        site.git(&["ls-tree", "-r", "--format=%(objectmode)", kept, "src"]),
        "100755"
    );
    let all = site.git(&["rev-list", "--objects", "--all"]);
    let everything: String = all
        .lines()
        .map(|line| {
            site.command("git")
                .args(["cat-file", "-p", &line[..40]])
                .output()
                .unwrap()
        })
        .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
        .collect();
    assert!(everything.contains("I used ***"));
    for secret in [
        MARK,
        "marked-token",
        "ghp_0123456789",
        "bWFya2Vk",
        "tYXJrZWQ",
        "1hcmtlZ",
    ] {
        assert!(!everything.contains(secret), "{secret}");
    }
    // What lies elsewhere is left alone.
    let linked = std::fs::read(site.path("out/linked")).unwrap();
    assert!(String::from_utf8_lossy(&linked).contains(MARK));
}

/// Claude's login is copied for it, and is no less its key than one from the environment; nor is the
/// one that it was given in exchange.
#[test]
fn it_writes_its_login_everywhere() {
    let site = Site::new();
    let login = r#"{"claudeAiOauth":{"accessToken":"marked-access-0123","refreshToken":"marked-refresh-0123","expiresAt":1,"scopes":["user:profile"]}}"#;
    let folder = site.path("home/.claude");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(".credentials.json"), login).unwrap();
    site.agent(
        r#"
login="$CLAUDE_CONFIG_DIR/.credentials.json"
token=$(sed 's/.*"accessToken":"\([^"]*\)".*/\1/' "$login")
other=$(sed 's/.*"refreshToken":"\([^"]*\)".*/\1/' "$login")
mkdir -p src
case $PERTASK_ATTEMPT in
1) printf 'first\n%s\n' "$token" > src/one.txt ;;
2) new=Marked-RENEWED-456
   printf '{"claudeAiOauth":{"accessToken":"%s"}}' "$new" > "$login"
   cp src/one.txt "$OUT/seen"; echo "$new" > src/one.txt
   echo "$new" > "$PERTASK_OUTPUT_DIR/new" ;;
*) cat src/one.txt >> "$OUT/seen"; echo 'user:profile' > src/one.txt ;;
esac
echo "$other" | base64 > "$PERTASK_OUTPUT_DIR/encoded"
echo "$token" > "$PERTASK_OUTPUT_DIR/plain"
printf '%s\n' '{"type":"system","subtype":"init","model":"m"}' \
  '{"type":"assistant","message":{"content":[{"type":"text","text":"I am '"$token"'"}]}}' \
  '{"type":"result","subtype":"success","is_error":false,"total_cost_usd":1,"result":"{\"status\":\"complete\",\"review_notes\":[\"NOTE '"$token"'\"]}"}'
"#,
    );
    site.plan(PLAN, "adapter = \"claude\"", "[limits]\nattempts = 3\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(
        site.out("seen"),
        "first\n***\n***\n",
        "what is kept and goes on: {}",
        out.all()
    );
    let taken = "src/one.txt held the value of the agent's login, which was taken out";
    assert_eq!(out.all().matches(taken).count(), 2, "{}", out.all());
    assert!(!out.all().contains("marked-access"), "{}", out.all());
    let all = site.git(&["rev-list", "--objects", "--all"]);
    let mut everything = String::new();
    for line in all.lines() {
        let mut git = site.command("git");
        let out = git.args(["cat-file", "-p", &line[..40]]).output().unwrap();
        everything.push_str(&String::from_utf8_lossy(&out.stdout));
    }
    assert!(everything.contains("NOTE ***"));
    assert!(everything.contains("user:profile"));
    for secret in ["marked-access", "bWFya2Vk", "Marked-RENEWED"] {
        assert!(!everything.contains(secret), "{secret}");
    }
}

/// Proxies and mirrors are passed on with the passwords that are in their addresses.
#[test]
fn it_writes_the_password_of_a_proxy() {
    let mut site = Site::new();
    site.set("HTTPS_PROXY", "http://me:proxy-pass-0001@127.0.0.1:9");
    site.set(
        "GOPROXY",
        "https://m%40e:go%2Fpass-0002@127.0.0.1:9/go,direct",
    );
    site.set(
        "PIP_INDEX_URL",
        "https://piptoken00000003@127.0.0.1:9/simple",
    );
    site.set("DATABASE_URL", "postgres://postgres:postgres@127.0.0.1:9/");
    site.agent(
        r#"
mkdir -p src
if [ $PERTASK_ATTEMPT = 1 ]; then
    echo "${HTTPS_PROXY#*me:} $GOPROXY go/pass-0002 ${PIP_INDEX_URL#*//}" > src/one.txt
else
    cp src/one.txt "$OUT/seen"; echo 'postgres' > src/one.txt
fi
env > "$PERTASK_OUTPUT_DIR/env"
echo "the proxy is $HTTPS_PROXY"
complete
"#,
    );
    site.plan(PLAN, "", "[limits]\nattempts = 2\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    assert_eq!(out.code, 0, "{}", out.all());
    assert_eq!(
        site.out("seen"),
        "***@127.0.0.1:9 https://m%40e:***@127.0.0.1:9/go,direct *** ***@127.0.0.1:9/simple\n",
        "{}",
        out.all()
    );
    let all = site.git(&["rev-list", "--objects", "--all"]);
    let mut everything = String::new();
    for line in all.lines() {
        let mut git = site.command("git");
        let out = git.args(["cat-file", "-p", &line[..40]]).output().unwrap();
        everything.push_str(&String::from_utf8_lossy(&out.stdout));
    }
    assert!(everything.contains("http://me:***@127.0.0.1:9"));
    for secret in ["proxy-pass-0001", "pass-0002", "piptoken00000003"] {
        assert!(!everything.contains(secret), "{secret}");
    }
}
