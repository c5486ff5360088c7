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
    insta::assert_snapshot!(site.plain(&out.all()), @"");
}

#[test]
fn it_exits_with_an_error() {
    let (site, out) = one("mkdir src; echo half > src/one.txt; echo 'no licence' >&2; exit 1");
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.plain(&out.all()), @"");
}

#[test]
fn it_is_killed() {
    let (site, out) = one("mkdir src; echo half > src/one.txt; kill -9 $$");
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_hangs() {
    let (site, out) = one_with(
        "mkdir src; echo half > src/one.txt; trap '' TERM; while :; do sleep 1; done",
        "timeout = \"1s\"",
        |_| (),
    );
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_prints_without_end() {
    let (site, out) =
        one("head -c 100000000 /dev/zero | tr '\\0' x; mkdir src; echo x > src/one.txt; complete");
    insta::assert_snapshot!(site.short(&out), @"");
    let kept = "refs/pertask/runs/wiz:attempts/1-one/1/agent-output.txt";
    let bytes = site.git(&["cat-file", "-s", kept]);
    assert!(bytes.parse::<u64>().unwrap() < 100_000, "{bytes}");
}

#[test]
fn it_prints_no_text() {
    let (site, out) = one(
        "printf '\\377\\376\\200{\\n\\0\\033[2J'; mkdir src; printf '\\377\\n' > src/one.txt; complete",
    );
    insta::assert_snapshot!(site.short(&out), @"");
    assert!(!out.stderr.contains('\u{1b}'));
}

#[test]
fn it_leaves_children_behind() {
    let (site, out) = one(
        "(sleep 300 &); setsid sleep 300 >/dev/null 2>&1 & mkdir src; echo x > src/one.txt; complete",
    );
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_says_complete_without_the_file() {
    let (site, out) = one(r#"say '{"status":"complete","file_created":"src/one.txt","lines":3}'"#);
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_says_a_false_number_of_lines() {
    let (site, out) = one(r#"mkdir src; seq 9 > src/one.txt
           say '{"status":"complete","lines":3,"build_status":"success"}'"#);
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_hands_nothing_off() {
    let (site, out) = one("mkdir src; echo x > src/one.txt");
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_hands_off_what_is_no_json() {
    let (site, out) = one("mkdir src; echo x > src/one.txt; say '{\"status\": \"comp'");
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_ends_with_a_word_nobody_knows() {
    let (site, out) = one(r#"mkdir src; echo x > src/one.txt; say '{"status": "finito"}'"#);
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_is_blocked() {
    let (site, out) = one(r#"mkdir src; echo half > src/one.txt
           say '{"status": "blocked", "blocked_reason": "no key", "attempted": ["asked"]}'"#);
    assert_eq!(site.kept(), "half");
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_asks_and_gets_an_answer() {
    let (site, out) = one(r#"if [ $PERTASK_ATTEMPT = 1 ]; then
             say '{"status": "needs_clarification", "question": "Tabs or spaces?"}'; exit
           fi
           mkdir src; echo x > src/one.txt; complete"#);
    insta::assert_snapshot!(site.short(&out), @"");
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

#[test]
fn it_sets_traps_in_the_tree() {
    let script = format!(
        "{TRAPS}\nprintf '* filter=evil diff=evil merge=evil\\n' > .gitattributes
         mkdir -p src; echo x > src/one.txt; complete"
    );
    let (site, out) = one(&script);
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_makes_repositories_inside() {
    let (site, out) = one(
        "mkdir -p src; echo x > src/one.txt; git init -q empty; git init -q full; echo y > full/y
         git -C full add y; git -C full -c user.name=a -c user.email=a commit -q -m y
         mkdir fake; echo 'gitdir: ../.git' > fake/.git; mkdir -p src/deep
         git init -q src/deep/er; complete",
    );
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_makes_pipes() {
    let (site, out) = one(
        "mkdir src; mkfifo src/pipe; mkfifo pipe; rm README.md; mkfifo README.md
         mkfifo src/one.txt; complete",
    );
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_deletes_everything() {
    let (site, out) = one("rm -rf ./* .[!.]*; complete");
    insta::assert_snapshot!(site.short(&out), @"");
}

#[test]
fn it_deletes_even_the_folder_it_is_in() {
    let (site, out) = one("rm -rf \"$PWD\"; complete");
    insta::assert_snapshot!(site.short(&out), @"");
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
    insta::assert_snapshot!(site.plain(&format!("exit {}\n{}", out.code, said.join("\n"))), @"");
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
    insta::assert_snapshot!(names, @"");
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
    insta::assert_snapshot!(site.plain(&text), @"");
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
    insta::assert_snapshot!(site.plain(&out.all()), @"");
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
    insta::assert_snapshot!(site.short(&out), @"");
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
fn failing_attempts_reach_their_limit_and_each_is_told_what_was_wrong() {
    let site = Site::new();
    site.agent(
        "mkdir -p src; echo $PERTASK_ATTEMPT >> src/one.txt; [ -e stray ] && touch $OUT/stray-was-there
         echo s > stray; rm -f README.md; complete",
    );
    site.plan(PLAN, "", "[limits]\nattempts = 3\n");
    let out = site.pertask(&["start", "wiz", "--mode", "per-task"]);
    insta::assert_snapshot!(site.plain(&out.all()), @"");
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
