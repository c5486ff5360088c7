//! Tasks side by side: attempts overlap, reviews come in any order, what is merged second is
//! brought forward by a merge commit, and a conflict becomes an attempt of its own.

#[path = "support/site.rs"]
mod site;

use site::Site;

const THREE: &str = r#"
build = [["sh", "check.sh"]]
[[task]]
id = "a"
file = "a.txt"
purpose = "The first file"
allow = ["shared.txt"]
[[task]]
id = "b"
file = "b.txt"
purpose = "The second file"
allow = ["shared.txt"]
[[task]]
id = "c"
file = "c.txt"
purpose = "The third file"
"#;

const START: &[&str] = &["start", "wiz", "--mode", "per-task", "--jobs", "3"];

fn started(script: &str, check: &str) -> Site {
    let site = Site::new();
    site.agent(script);
    site.write("check.sh", check);
    site.write(
        "shared.txt",
        &format!("one\ntwo\nthree\n{}", "more\n".repeat(20)),
    );
    site.plan(THREE, "", "");
    let out = site.pertask(START);
    assert_eq!(out.code, 0, "{}", out.all());
    for task in ["a", "b", "c"] {
        assert_eq!(site.task(task), "review");
    }
    site
}

fn approve(site: &Site, task: &str) -> site::Output {
    let out = site.pertask(&["approve", "wiz", task, "--jobs", "3"]);
    assert_eq!(out.code, 0, "{}", out.all());
    out
}

const LOG: &str = ".pertask/wiz/implementation-log.md";

/// The tasks whose section the log has on this branch.
fn logged(site: &Site, branch: &str) -> Vec<String> {
    let log = site.git(&["show", &format!("{branch}:{LOG}")]);
    let sections = log.lines().filter_map(|l| l.strip_prefix("## Task "));
    let mut names: Vec<_> = sections
        .filter_map(|l| Some(l.split_once(": ")?.1.chars().take(1).collect::<String>()))
        .collect();
    assert!(!log.contains("<<<<"), "{log}");
    names.sort();
    names
}

#[test]
fn attempts_overlap_and_reviews_come_in_any_order() {
    // Each agent waits for the two others, so no two can have run one after the other.
    let site = started(
        "touch $OUT/here-$PERTASK_TASK; for t in a b c; do await $OUT/here-$t; done
         for t in a b c; do [ -e $OUT/here-$t ] || exit 9; done
         echo $PERTASK_TASK > $PERTASK_TASK.txt; complete",
        "true\n",
    );
    let heads: Vec<String> = ["1-a", "2-b", "3-c"]
        .iter()
        .map(|b| site.git(&["rev-parse", &format!("pertask/wiz/{b}")]))
        .collect();
    approve(&site, "c");
    assert_eq!(site.task("c"), "merged");
    let main = site.git(&["rev-parse", "pertask/wiz/main"]);
    approve(&site, "a");
    assert_eq!(site.task("a"), "merged", "the approval was not carried");
    // Brought forward by a merge commit: what was approved first, then the run branch.
    let parents = site.git(&["log", "-1", "--format=%P", "pertask/wiz/1-a"]);
    assert_eq!(parents, format!("{} {main}", heads[0]));
    assert_eq!(logged(&site, "pertask/wiz/1-a"), ["a", "c"]);
    approve(&site, "b");
    assert_eq!(site.status()["state"], "complete");
    assert_eq!(logged(&site, "pertask/wiz/main"), ["a", "b", "c"]);
    assert_eq!(
        site.git(&["log", "-1", "--format=%p", "pertask/wiz/3-c"])
            .split(' ')
            .count(),
        1
    );
    // Nobody was asked twice.
    assert_eq!(site.out("asked").lines().count(), 3);
    for (branch, head) in ["1-a", "2-b", "3-c"].iter().zip(&heads) {
        site.git(&[
            "merge-base",
            "--is-ancestor",
            head,
            &format!("pertask/wiz/{branch}"),
        ]);
    }
    assert_eq!(site.locks(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn changes_that_meet_in_one_file_without_conflict_are_both_there() {
    let site = started(
        "echo $PERTASK_TASK > $PERTASK_TASK.txt
         case $PERTASK_TASK in a) sed -i 's/one/ONE/' shared.txt ;; b) echo four >> shared.txt ;; esac
         complete",
        "true\n",
    );
    for task in ["a", "b", "c"] {
        approve(&site, task);
    }
    assert_eq!(site.status()["state"], "complete");
    let text = site.git(&["show", "pertask/wiz/main:shared.txt"]);
    assert!(
        text.starts_with("ONE\ntwo") && text.ends_with("more\nfour"),
        "{text}"
    );
}

#[test]
fn a_conflict_becomes_an_attempt_that_is_shown_it_and_a_review() {
    let site = started(
        "echo $PERTASK_TASK > $PERTASK_TASK.txt
         if grep -q '<<<<<<<' shared.txt; then
           cp shared.txt $OUT/conflict; printf 'one\\nboth\\nthree\\n' > shared.txt
         elif [ $PERTASK_TASK != c ]; then sed -i \"s/two/$PERTASK_TASK/\" shared.txt; fi
         complete",
        "! grep -q '<<<<' shared.txt\n",
    );
    approve(&site, "a");
    let head = site.git(&["rev-parse", "pertask/wiz/2-b"]);
    let main = site.git(&["rev-parse", "pertask/wiz/main"]);
    let out = approve(&site, "b");
    assert_eq!(site.task("b"), "review", "{}", out.all());
    let conflict = site.out("conflict");
    assert!(
        conflict.contains("<<<<<<<") && conflict.contains("\na\n") && conflict.contains("\nb\n"),
        "{conflict}"
    );
    let prompt = site.out("prompt-b-2");
    assert!(prompt.contains("shared.txt"), "{prompt}");
    let parents = site.git(&["log", "-1", "--format=%P", "pertask/wiz/2-b"]);
    assert_eq!(parents, format!("{head} {main}"));
    assert_eq!(logged(&site, "pertask/wiz/2-b"), ["a", "b"]);
    approve(&site, "b");
    approve(&site, "c");
    assert_eq!(site.status()["state"], "complete");
    assert_eq!(
        site.git(&["show", "pertask/wiz/main:shared.txt"]),
        "one\nboth\nthree"
    );
}

#[test]
fn a_merge_that_does_not_build_becomes_an_attempt() {
    // Each builds by itself; together they do not, until b is told so.
    let site = started(
        "echo $PERTASK_TASK > $PERTASK_TASK.txt
         [ $PERTASK_TASK-$PERTASK_ATTEMPT = b-1 ] || [ $PERTASK_TASK != b ] || echo mended > b.txt
         complete",
        "if [ -e a.txt ] && grep -qx b b.txt 2>/dev/null; then echo a and b clash; exit 1; fi\n",
    );
    approve(&site, "a");
    let head = site.git(&["rev-parse", "pertask/wiz/2-b"]);
    let main = site.git(&["rev-parse", "pertask/wiz/main"]);
    let out = approve(&site, "b");
    assert_eq!(site.task("b"), "review", "{}", out.all());
    let asked = site.out("asked");
    let last = asked
        .lines()
        .rev()
        .find(|l| l.starts_with("b-"))
        .unwrap()
        .to_owned();
    assert_ne!(last, "b-1");
    assert!(
        site.out(&format!("prompt-{last}"))
            .contains("a and b clash"),
        "{last}"
    );
    assert_eq!(site.git(&["show", "pertask/wiz/2-b:b.txt"]), "mended");
    let parents = site.git(&["log", "-1", "--format=%P", "pertask/wiz/2-b"]);
    assert_eq!(parents, format!("{head} {main}"));
    approve(&site, "b");
    approve(&site, "c");
    assert_eq!(site.status()["state"], "complete");
}

#[test]
fn a_failing_task_does_not_stop_the_others() {
    let site = Site::new();
    site.agent("[ $PERTASK_TASK != a ] || exit 1; echo x > $PERTASK_TASK.txt; complete");
    site.write("check.sh", "true\n");
    site.plan(THREE, "", "[limits]\nattempts = 2\n");
    let out = site.pertask(START);
    assert_eq!(out.code, 1, "{}", out.all());
    assert_eq!(
        (&*site.task("a"), &*site.task("b"), &*site.task("c")),
        ("failed", "review", "review")
    );
    let out = site.pertask(&["approve", "wiz", "c"]);
    assert_eq!((out.code, &*site.task("c")), (1, "merged"), "{}", out.all());
}
