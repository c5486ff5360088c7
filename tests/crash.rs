//! Killed at any instant, the next `git pertask continue` finishes the same work.
//!
//! The program numbers its lasting effects. A sample run (a failing first attempt, a second task
//! beside it, a revision, an approval, and one more that needs the first merged in) is driven by a
//! sequence of commands; each command is killed before and after each of its effects, carried on
//! with, and must come to rest where the uninterrupted one does.

#![expect(clippy::unwrap_used, reason = "a failing helper is a failing test")]

#[path = "support/site.rs"]
mod site;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use rustix::process::Signal;
use serde_json::Value;
use site::Site;

const PLAN: &str = r#"
build = [["sh", "check.sh"]]
[[task]]
id = "a"
file = "a.txt"
purpose = "The first file"
[[task]]
id = "b"
file = "b.txt"
purpose = "The second file"
"#;

const AGENT: &str = r"
case $key in
    a-1) echo bad > a.txt ;;
    a-2) echo good > a.txt ;;
    a-*) echo better > a.txt ;;
    b-*) echo b > b.txt ;;
esac
complete
";

/// The commands of the sample run; all exit with 0.
const COMMANDS: [&[&str]; 4] = [
    &["start", "wiz", "--mode", "per-task"],
    &["revise", "wiz", "a", "-m", "Make it better"],
    &["approve", "wiz", "a"],
    &["approve", "wiz", "b"],
];

fn sample() -> Site {
    let mut site = Site::new();
    site.agent_elsewhere(AGENT);
    site.write("check.sh", "! grep bad a.txt\n");
    site.plan(PLAN, "env = [\"OUT\"]", "");
    site
}

/// Where a run came to rest, without what may differ between two runs of the same work.
#[derive(Debug, PartialEq)]
struct Rest {
    state: Value,
    branches: BTreeMap<String, Vec<String>>,
    asked: String,
}

impl Rest {
    fn of(site: &Site) -> Self {
        let repo = git2::Repository::open(site.path("repo")).unwrap();
        let mut state = site.state();
        plain(&repo, &mut state);
        let mut branches = BTreeMap::new();
        for reference in repo.references_glob("refs/heads/pertask/*").unwrap() {
            let reference = reference.unwrap();
            let name = reference.name().unwrap().to_owned();
            if name.contains("/kept/") && name.contains("unfinished") {
                continue;
            }
            branches.insert(name, history(&repo, reference.target().unwrap()));
        }
        Self {
            state,
            branches,
            asked: site.out("asked"),
        }
    }
}

/// Parents, message and tree of a commit and all before it.
fn history(repo: &git2::Repository, head: git2::Oid) -> Vec<String> {
    let mut walk = repo.revwalk().unwrap();
    walk.set_sorting(git2::Sort::TOPOLOGICAL).unwrap();
    walk.push(head).unwrap();
    walk.map(|oid| {
        let commit = repo.find_commit(oid.unwrap()).unwrap();
        let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
        format!(
            "{} parents, {:?}, {}",
            commit.parent_count(),
            no_numbers(&message),
            tree(repo, &commit.tree().unwrap())
        )
    })
    .collect()
}

/// Names and contents of a tree. The log says when things happened.
fn tree(repo: &git2::Repository, tree: &git2::Tree<'_>) -> String {
    let mut text = String::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        if let Some(git2::ObjectType::Blob) = entry.kind() {
            let blob = repo.find_blob(entry.id()).unwrap();
            let content = String::from_utf8_lossy(blob.content()).into_owned();
            let name = entry.name().unwrap();
            let _ = write!(text, "{folder}{name} {:?} ", no_numbers(&content));
        }
        git2::TreeWalkResult::Ok
    })
    .unwrap();
    text
}

fn no_numbers(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let hex = bare.len() >= 10 && bare.chars().all(|c| c.is_ascii_hexdigit());
        if hex || bare.starts_with(|c: char| c.is_ascii_digit()) {
            out.push('#');
            out.push_str(&word[bare.len()..]);
        } else {
            out.push_str(word);
        }
    }
    out.replace(" second\\n", " seconds\\n")
        .replace(" second\n", " seconds\n")
}

fn plain(repo: &git2::Repository, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields.iter_mut() {
                if key == "claim" || key.contains("duration") {
                    *field = Value::Null;
                } else {
                    plain(repo, field);
                }
            }
        }
        Value::Array(all) => all.iter_mut().for_each(|v| plain(repo, v)),
        Value::String(text) => {
            let object = (text.len() == 40)
                .then(|| git2::Oid::from_str(text).ok())
                .flatten();
            *text = match object.and_then(|oid| repo.find_object(oid, None).ok()) {
                Some(object) => tree(repo, &object.peel_to_tree().unwrap()),
                None => no_numbers(text),
            };
        }
        _ => {}
    }
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .arg(from.join("."))
        .arg(to)
        .status();
    assert!(done.unwrap().success());
}

/// Whether the decision of a command is in the ledger.
fn is_recorded(site: &Site, command: usize) -> bool {
    let state = site.state();
    let items = state["items"].as_array().unwrap();
    let reviews = |key: &str| {
        let item = items.iter().find(|i| i["key"] == key).unwrap();
        item["reviews"].as_array().map_or(0, Vec::len)
    };
    match command {
        1 => reviews("a") >= 1,
        2 => reviews("a") >= 2,
        3 => reviews("b") >= 1,
        _ => unreachable!(),
    }
}

fn effects(site: &Site) -> Vec<String> {
    let text = fs::read_to_string(site.path("tmp/effects")).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A point at which to kill: command, effect, and whether it is done by then.
#[derive(Debug, Clone)]
struct Point {
    command: usize,
    effect: usize,
    name: String,
    after: bool,
    /// Go on to the end of the run, not only of the command.
    to_the_end: bool,
}

/// Kills at that point, carries on, and says what is not as it should be.
fn trial(site: &Site, expected: &[Rest], point: &Point) -> Result<(), String> {
    let when = if point.after { "after" } else { "before" };
    let crash = format!("{when}:{}", point.effect);
    let command = COMMANDS[point.command];
    let out = site
        .spawn_with(command, &[("PERTASK_TEST_CRASH", &crash)])
        .end();
    if out.code != -9 {
        return Err(format!("it was not killed: {}", out.all()));
    }
    let started = !site.git(&["for-each-ref", "refs/pertask"]).is_empty();
    let recorded = match point.command {
        0 => started,
        command => is_recorded(site, command),
    };
    let next: &[&str] = if recorded {
        &["continue", "wiz"]
    } else {
        command
    };
    let ended_already = started && !site.state()["end"].is_null();
    let out = site.pertask(next);
    if out.code != 0 && !ended_already {
        return Err(format!("{next:?}: {}", out.all()));
    }
    let mut rest = Rest::of(site);
    let mut wanted = &expected[point.command];
    if !point.after && point.name == "note the agent's answer" {
        // Nobody had noted what it answered, so it is asked again; a forward merge asks nobody.
        let once = without_double(&rest.asked);
        if once == rest.asked && point.command != 3 {
            return Err("the answer was lost, and nobody asked again".to_owned());
        }
        rest.asked = once;
    }
    if point.to_the_end && rest == *wanted {
        for command in &COMMANDS[point.command + 1..] {
            let out = site.pertask(command);
            if out.code != 0 {
                return Err(format!("{command:?}: {}", out.all()));
            }
        }
        let asked = rest.asked.clone();
        rest = Rest::of(site);
        wanted = &expected[COMMANDS.len() - 1];
        if asked.lines().count() != rest.asked.lines().count() {
            rest.asked = without_double(&rest.asked);
        }
    }
    if rest != *wanted {
        return Err(format!("it differs:\n{}", difference(wanted, &rest)));
    }
    let locks = site.locks();
    if !locks.is_empty() {
        return Err(format!("{locks:?}"));
    }
    let fsck = site.git(&["fsck", "--no-dangling", "--connectivity-only"]);
    if !fsck.is_empty() {
        return Err(fsck);
    }
    let left = site.processes();
    if left.is_empty() {
        Ok(())
    } else {
        Err(format!("still running: {left:?}"))
    }
}

fn without_double(asked: &str) -> String {
    let mut lines: Vec<&str> = asked.lines().collect();
    lines.dedup();
    lines.join("\n") + "\n"
}

fn difference(wanted: &Rest, found: &Rest) -> String {
    let text = |rest: &Rest| format!("{rest:#?}\n{:#}", rest.state);
    let (wanted, found) = (text(wanted), text(found));
    let lines: Vec<String> = wanted
        .lines()
        .zip(found.lines())
        .filter(|(a, b)| a != b)
        .take(4)
        .map(|(a, b)| format!("- {a}\n+ {b}"))
        .collect();
    lines.join("\n")
}

#[test]
fn killed_at_any_effect_it_comes_to_the_same_end() {
    let site = sample();
    let mut stages = Vec::new();
    let mut expected = Vec::new();
    let mut points = Vec::new();
    for (number, command) in COMMANDS.iter().enumerate() {
        stages.push(site.copied(&copy));
        let trace = site.path("tmp/effects");
        let _ = fs::remove_file(&trace);
        let out = site
            .spawn_with(
                command,
                &[("PERTASK_TEST_EFFECTS", trace.to_str().unwrap())],
            )
            .end();
        assert_eq!(out.code, 0, "{}", out.all());
        for (n, line) in effects(&site).iter().enumerate() {
            let name = line.split_once(' ').unwrap().1.to_owned();
            assert_eq!(line.split(' ').next(), Some(&*(n + 1).to_string()));
            for after in [false, true] {
                points.push(Point {
                    command: number,
                    effect: n + 1,
                    name: name.clone(),
                    after,
                    to_the_end: points.len() % 24 == 0,
                });
            }
        }
        expected.push(Rest::of(&site));
    }
    assert_eq!(site.status()["state"], "complete");
    assert_eq!(site.out("asked"), "a-1\na-2\nb-1\na-3\n");
    assert!(points.len() > 100, "{} points", points.len());
    let total = points.len();
    let todo = Mutex::new(points);
    let wrong = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from) + 1;
    let stages: Vec<_> = stages.into_iter().map(Mutex::new).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(point) = todo.lock().unwrap().pop() else {
                        return;
                    };
                    let site = stages[point.command].lock().unwrap().copied(&copy);
                    if let Err(what) = trial(&site, &expected, &point) {
                        wrong.lock().unwrap().push(format!("{point:?}\n{what}"));
                    }
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap();
    wrong.sort();
    assert!(
        wrong.is_empty(),
        "{} of {total}:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn killed_while_the_agent_runs_its_processes_end_and_its_work_is_kept() {
    let site = Site::new();
    site.agent(
        "if [ ! -e $OUT/second ]; then touch $OUT/second; echo half > a.txt; (setsid sleep 300 &)
           touch $OUT/working; await $OUT/never; fi
         echo good > a.txt; echo b > b.txt; rm -f b.txt; complete",
    );
    site.write("check.sh", "true\n");
    site.plan(PLAN.split("[[task]]\nid = \"b\"").next().unwrap(), "", "");
    let run = site.spawn(&["start", "wiz", "--mode", "per-task"]);
    site.wait_for("working");
    run.signal(Signal::KILL);
    assert_eq!(run.end().code, -9);
    assert!(
        !site.processes().is_empty(),
        "the agent went with the program"
    );
    let out = site.pertask(&["continue"]);
    assert_eq!((out.code, &*site.task("a")), (0, "review"), "{}", out.all());
    assert_eq!(site.processes(), Vec::<String>::new());
    assert!(
        out.stderr.contains("What it had written so far is kept on"),
        "{}",
        out.stderr
    );
    let kept = site.git(&[
        "for-each-ref",
        "--format=%(refname)",
        "refs/heads/pertask/wiz/kept",
    ]);
    assert_eq!(kept.lines().count(), 1, "{kept}");
    assert_eq!(site.git(&["show", &format!("{kept}:a.txt")]), "half");
    assert_eq!(site.git(&["show", "pertask/wiz/1-a:a.txt"]), "good");
    assert_eq!(site.locks(), Vec::<std::path::PathBuf>::new());
}
